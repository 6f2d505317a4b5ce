/*
 * accel/kvm/x86/host.c - what the shared files ask about KVM on x86 hosts: names, the type of a VM,
 * kvmclock.
 */
#include "accel/kvm/x86/x86.h"

/* clang-format off */
#define C(cap) {KVM_CAP_##cap, "KVM_CAP_" #cap, false}
/* clang-format on */
const struct kvm_cap_name kvm_arch_cap_names[] = {
	C(EXT_CPUID),
	C(SET_TSS_ADDR),
	C(SET_IDENTITY_MAP_ADDR),
	C(XSAVE2),
	C(SREGS2),
	C(SYNC_REGS),
	C(GET_TSC_KHZ),
	C(TSC_CONTROL),
	C(TSC_DEADLINE_TIMER),
	C(ADJUST_CLOCK),
	C(KVMCLOCK_CTRL),
	C(SPLIT_IRQCHIP),
	C(X2APIC_API),
	C(EXCEPTION_PAYLOAD),
	C(X86_TRIPLE_FAULT_EVENT),
	C(X86_USER_SPACE_MSR),
	C(X86_SMM),
	C(NESTED_STATE),
	C(PIT2),
	C(PIT_STATE2),
	C(REINJECT_CONTROL),
	C(DEBUGREGS),
	C(XSAVE),
	C(XCRS),
	{0, NULL, false},
};
#undef C

const struct kvm_arch_words kvm_arch_words = {
	.modules = {"kvm_intel", "kvm_amd", "kvm_pvm"},
	.absent = "load KVM with \"modprobe kvm_intel\" or \"modprobe kvm_amd\"; if that fails, "
		  "switch on VT-x or AMD-V in the firmware's setup, or nested virtualization if "
		  "this host is a virtual machine itself",
	.unloaded = "the kvm module is loaded but not the one for this processor: try "
		    "\"modprobe kvm_intel\" or \"modprobe kvm_amd\"",
	.no_driver = "load kvm_intel or kvm_amd with modprobe",
};

int kvm_arch_vm_type(struct kvm_vm *kvm, unsigned long *type, struct err *e)
{
	(void)kvm;
	(void)e;
	*type = 0;
	return 0;
}

int kvm_arch_clock_read(struct kvm_vm *kvm, uint64_t *ns, struct err *e)
{
	struct kvm_clock_data data = {0};
	int rc = KVM_CALL(kvm->fd, KVM_GET_CLOCK, &data, e);

	*ns = data.clock;
	return rc < 0 ? rc : 0;
}

int kvm_arch_clock_write(struct kvm_vm *kvm, uint64_t ns, struct err *e)
{
	struct kvm_clock_data data = {.clock = ns};
	int rc = KVM_CALL(kvm->fd, KVM_SET_CLOCK, &data, e);

	return rc < 0 ? rc : 0;
}
