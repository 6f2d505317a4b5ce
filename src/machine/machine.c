/*
 * machine/machine.c - the machine types of this build.
 */
#include <string.h>

#include "arch/arch.h"
#include "machine/machine.h"

#define MACHINE(name) extern const struct machine_type machine_##name;
#include "machine/machines.def"
#undef MACHINE

const struct machine_type *const machine_list[] = {
#define MACHINE(name) &machine_##name,
#include "machine/machines.def"
#undef MACHINE
	NULL,
};

const struct machine_type *machine_find(const char *name)
{
	for (unsigned i = 0; machine_list[i]; i++)
		if (!strcmp(machine_list[i]->name, name))
			return machine_list[i];
	return NULL;
}

const struct machine_type *machine_default(void)
{
	for (unsigned i = 0; machine_list[i]; i++)
		if (machine_list[i]->arch == arch_host())
			return machine_list[i];
	return machine_list[0];
}
