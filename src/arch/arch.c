/*
 * arch/arch.c - which architecture this host's KVM runs.
 */
#include <string.h>
#include <sys/utsname.h>

#include "arch/arch.h"

const struct arch *arch_host(void)
{
	static const struct {
		const char *machine; /* uname(2) */
		const struct arch *arch;
	} hosts[] = {{"x86_64", &arch_x86}, {"aarch64", &arch_arm64}};
	struct utsname u;

	if (uname(&u))
		return NULL;
	for (size_t i = 0; i < ARRAY_LEN(hosts); i++)
		if (!strcmp(u.machine, hosts[i].machine))
			return hosts[i].arch;
	return NULL;
}
