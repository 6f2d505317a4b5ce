/*
 * The guest's file, and the report when it goes wrong.
 */
#include <errno.h>
#include <fcntl.h>
#include <linux/kvm.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ioctl.h>
#include <unistd.h>
#include "guest.h"

static void refuse(const char *file, const char *why, int code)
{
	fprintf(stderr, "tiny-kvm: %s: %s\n", file, why);
	exit(code);
}

uint16_t guest_load(char *file, uint8_t *ram)
{
	char *at = strrchr(file, '@'), *end = NULL;
	unsigned long addr = at ? strtoul(at + 1, &end, 0) : 0x7c00;

	if (at && (end == at + 1 || *end != '\0' || addr > UINT16_MAX))
		refuse(file, "an address from 0 to 0xffff must follow @", 2);
	if (at)
		*at = '\0';
	int fd = open(file, O_RDONLY | O_CLOEXEC);
	ssize_t room = (ssize_t)(RAM_SIZE - addr),
		len = fd < 0 ? -1 : read(fd, ram + addr, RAM_SIZE - addr);
	if (len < 0)
		refuse(file, strerror(errno), 1);
	if (len == 0 || len == room)
		refuse(file, "empty, or larger than the memory", 1);
	close(fd);
	return (uint16_t)addr;
}

int guest_stopped(int vcpu, const uint8_t *ram, const char *why, unsigned long long detail)
{
	struct kvm_regs r = {0};
	struct kvm_sregs s = {0};

	fprintf(stderr, "tiny-kvm: %s", why);
	if (detail)
		fprintf(stderr, " (%#llx)", detail);
	if (ioctl(vcpu, KVM_GET_REGS, &r) < 0 || ioctl(vcpu, KVM_GET_SREGS, &s) < 0)
		fprintf(stderr, "; KVM does not tell its registers: %s", strerror(errno));
	fprintf(stderr, " at rip %#llx, cs base %#llx, cr0 %#llx, code", r.rip, s.cs.base, s.cr0);
	for (uint64_t a = s.cs.base + r.rip, n = 0; n < 8 && a + n < RAM_SIZE; n++)
		fprintf(stderr, " %02x", ram[a + n]);
	fputc('\n', stderr);
	return 1;
}
