/*
 * accel/kvm/x86/vcpu.c - the x86 part of a VM and its vCPUs, and the accelerator's table.
 */
#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ioctl.h>

#include "accel/kvm/x86/x86.h"
#include "base/sys.h"

struct needed {
	int cap;
	const char *name;
};

/* What struct x86_vcpu cannot be filled without; all of Linux 5.10's KVM on 64-bit hosts. */
static const struct needed x86_needed[] = {
	{KVM_CAP_EXT_CPUID, "KVM_CAP_EXT_CPUID"}, {KVM_CAP_VCPU_EVENTS, "KVM_CAP_VCPU_EVENTS"},
	{KVM_CAP_DEBUGREGS, "KVM_CAP_DEBUGREGS"}, {KVM_CAP_XSAVE, "KVM_CAP_XSAVE"},
	{KVM_CAP_XCRS, "KVM_CAP_XCRS"},		  {KVM_CAP_SET_TSS_ADDR, "KVM_CAP_SET_TSS_ADDR"},
};

static int check_needed(int fd, struct err *e)
{
	for (size_t i = 0; i < ARRAY_LEN(x86_needed); i++)
		if (!kvm_cap(fd, x86_needed[i].cap))
			return err_set(e, -ENOTSUP, "this host's KVM lacks %s", x86_needed[i].name),
			       err_kind(e, ERR_HOST);
	return 0;
}

static int enable_events(struct kvm_arch *a, struct err *e)
{
	int fd = a->kvm->fd, rc = 0;

	a->payload = kvm_cap(fd, KVM_CAP_EXCEPTION_PAYLOAD);
	a->triple_fault = kvm_cap(fd, KVM_CAP_X86_TRIPLE_FAULT_EVENT);
	if (a->payload)
		rc = kvm_enable_cap(fd, KVM_CAP_EXCEPTION_PAYLOAD, 1, 0, e);
	if (!rc && a->triple_fault)
		rc = kvm_enable_cap(fd, KVM_CAP_X86_TRIPLE_FAULT_EVENT, 1, 0, e);
	/* Unknown MSRs come to us, so that they are counted and can be traced by number. */
	if (!rc && kvm_cap(fd, KVM_CAP_X86_USER_SPACE_MSR))
		rc = kvm_enable_cap(fd, KVM_CAP_X86_USER_SPACE_MSR, KVM_MSR_EXIT_REASON_UNKNOWN, 0,
				    e);
	return rc;
}

int kvm_arch_vm_init(struct kvm_vm *kvm, struct err *e)
{
	struct kvm_arch *a = sys_alloc(sizeof(*a));
	uint64_t identity = KVM_X86_IDENTITY_MAP;
	int rc;

	if (!a)
		return err_nomem(e, sizeof(*a), "a KVM VM");
	kvm->arch = a;
	a->kvm = kvm;
	a->reinject_timer.fd = -1;
	rc = check_needed(kvm->fd, e);
	if (rc)
		return rc;
	a->sregs2 = kvm_cap(kvm->fd, KVM_CAP_SREGS2);
	rc = kvm_cap(kvm->fd, KVM_CAP_XSAVE2);
	a->xsave_size = rc > 4096 ? (size_t)rc : 4096;
	if (a->xsave_size > X86_XSAVE_MAX)
		return err_set(e, -ENOTSUP,
			       "this processor's registers take %zu bytes; Lodge knows %u",
			       a->xsave_size, X86_XSAVE_MAX),
		       err_kind(e, ERR_HOST);
	/* Intel processors without "unrestricted guest" run real mode in these pages. */
	rc = KVM_CALL(kvm->fd, KVM_SET_IDENTITY_MAP_ADDR, &identity, e);
	if (rc >= 0)
		rc = KVM_CALL_VAL(kvm->fd, KVM_SET_TSS_ADDR, KVM_X86_TSS, e);
	return rc < 0 ? rc : enable_events(a, e);
}

void kvm_arch_vm_exit(struct kvm_vm *kvm)
{
	struct kvm_arch *a = kvm->arch;

	if (!a)
		return;
	kvm_x86_irqchip_exit(a);
	free(a->msr);
	free(a);
	kvm->arch = NULL;
}

/* Tells a guest with kvmclock that it stood still, so that its watchdogs do not bark. */
void kvm_arch_vcpu_resumed(struct kvm_vcpu *kv)
{
	/* EINVAL: the guest does not use the clock. */
	(void)ioctl(kv->fd, KVM_KVMCLOCK_CTRL, 0);
}

static int vcpu_init(struct vcpu *v, struct err *e)
{
	int rc = kvm_vcpu_create(v, x86_apic_id(&v->vm->topology, v->index), e);
	struct kvm_vcpu *kv = v->accel;

	if (rc)
		return rc;
	kv->tsc_khz = kvm_x86_tsc_khz(kv);
	return kvm_x86_set_cpuid(kv, e);
}

const struct accel_ops accel_kvm = {
	.name = "kvm",
	.help = "the processor's virtualization, through /dev/kvm",
	.arg_check = kvm_arg_check,
	.probe = kvm_x86_probe,
	.warm_up = kvm_x86_cpuid_warm_up,
	.vm_init = kvm_vm_init,
	.vm_exit = kvm_vm_exit,
	.irqchip_init = kvm_x86_irqchip_init,
	.slot_set = kvm_slot_set,
	.slot_dirty = kvm_slot_dirty,
	.vcpu_init = vcpu_init,
	.vcpu_exit = kvm_vcpu_exit,
	.vcpu_run = kvm_vcpu_run,
	.state_get = kvm_x86_state_get,
	.state_put = kvm_x86_state_put,
	.state_peek = kvm_x86_state_peek,
	.debug_limits = kvm_debug_limits,
	.debug_set = kvm_debug_set,
	.vcpu_kick = kvm_vcpu_kick,
	.vcpu_nmi = kvm_vcpu_nmi,
	.chips_get = kvm_x86_chips_get,
	.chips_put = kvm_x86_chips_put,
	.doorbell = kvm_doorbell,
	.hold_writes = kvm_hold_writes,
};
