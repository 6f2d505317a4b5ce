/*
 * accel/kvm/arm64/accel.c - KVM on arm64 hosts: looked at, and refused with the reason.
 */
#include <errno.h>
#include <unistd.h>

#include "accel/kvm/kvm.h"
#include "base/str.h"

#define NO_GUEST "this version of Lodge has no arm64 guest architecture"

static void probe(struct accel_report *r)
{
	int node;

	if (!kvm_report_start(r, &node))
		return;
	close(node);
	str_copy(r->summary, sizeof(r->summary), "present but cannot be used yet");
	str_copy(r->why, sizeof(r->why), NO_GUEST);
}

static int vm_init(struct vm *vm, struct err *e)
{
	(void)vm;
	err_set(e, -ENOTSUP, "kvm: " NO_GUEST);
	return err_kind(e, ERR_HOST);
}

static void vm_exit(struct vm *vm)
{
	(void)vm;
}

const struct accel_ops accel_kvm = {
	.name = "kvm",
	.help = "the processor's virtualization, through /dev/kvm",
	.probe = probe,
	.vm_init = vm_init,
	.vm_exit = vm_exit,
};
