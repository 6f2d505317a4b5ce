/*
 * accel/kvm/arm64/host.c - what the shared files ask about KVM on arm64 hosts: names, the type of a
 * VM, the clock; and device attributes.
 *
 * The guest's clock is the virtual counter, CNTVCT_EL0.  KVM keeps one offset for the whole VM and
 * sets it through any vCPU's KVM_REG_ARM_TIMER_CNT, so it is read and written here and is no
 * register of a vCPU.  While the VM is paused it stands still, as VM time does (vm.c).
 */
#include <errno.h>
#include <stdio.h>

#include "accel/kvm/arm64/arm64.h"
#include "base/sys.h"

/* clang-format off */
#define C(cap) {KVM_CAP_##cap, "KVM_CAP_" #cap, false}
/* clang-format on */
const struct kvm_cap_name kvm_arch_cap_names[] = {
	C(DEVICE_CTRL),
	C(ARM_PSCI_0_2),
	C(ARM_VM_IPA_SIZE),
	C(ARM_PMU_V3),
	C(ARM_SVE),
	C(ARM_PTRAUTH_ADDRESS),
	C(ARM_PTRAUTH_GENERIC),
	C(ARM_MTE),
	C(ARM_EL1_32BIT),
	C(ARM_INJECT_SERROR_ESR),
	C(ARM_INJECT_EXT_DABT),
	C(ARM_NISV_TO_USER),
	C(ARM_IRQ_LINE_LAYOUT_2),
	C(ARM_USER_IRQ),
	C(ARM_SYSTEM_SUSPEND),
	C(GUEST_DEBUG_HW_BPS),
	C(GUEST_DEBUG_HW_WPS),
	{0, NULL, false},
};
#undef C

const struct kvm_arch_words kvm_arch_words = {
	.modules = {"kvm"},
	.absent = "arm64 kernels have KVM built in, and it is there only if the firmware starts "
		  "them at EL2; if this host is a virtual machine itself, its hypervisor must "
		  "offer nested virtualization",
	.unloaded = "the kernel's log has the reason: \"dmesg | grep -i kvm\"",
	.no_driver = "the kernel's log has the reason: \"dmesg | grep -i kvm\"",
};

/* The type is how many bits guest-physical addresses have; 0 means 40. */
int kvm_arch_vm_type(struct kvm_vm *kvm, unsigned long *type, struct err *e)
{
	const struct arm64_config *c = kvm->vm->arch_config;
	unsigned most = (unsigned)kvm_cap(kvm->node, KVM_CAP_ARM_VM_IPA_SIZE);
	unsigned want = c && c->ipa_bits ? c->ipa_bits : most;

	if (want > (most ? most : 40)) {
		err_set(e, -ENOTSUP,
			"the machine needs %u address bits; this host's KVM gives a VM at most %u",
			want, most ? most : 40);
		err_kind(e, ERR_HOST);
		return err_hint(e, "less memory needs fewer");
	}
	*type = most ? MAX(want, 32u) : 0;
	return 0;
}

static int counter_fd(const struct kvm_vm *kvm, struct err *e)
{
	int fd = kvm->vcpus[0].fd;

	return fd >= 0 ? fd : err_set(e, -ENODEV, "the VM has no CPU yet, and so no counter");
}

int kvm_arch_clock_read(struct kvm_vm *kvm, uint64_t *ns, struct err *e)
{
	uint64_t ticks = 0, hz = kvm->arch->made.timer_hz;
	int fd = counter_fd(kvm, e), rc;

	if (fd < 0)
		return fd;
	rc = kvm_arm64_reg_get(fd, KVM_REG_ARM_TIMER_CNT, &ticks, "CNTVCT_EL0", e);
	*ns = ticks / hz * 1000000000 + ticks % hz * 1000000000 / hz;
	return rc;
}

int kvm_arch_clock_write(struct kvm_vm *kvm, uint64_t ns, struct err *e)
{
	uint64_t hz = kvm->arch->made.timer_hz;
	uint64_t ticks = ns / 1000000000 * hz + ns % 1000000000 * hz / 1000000000;
	int fd = counter_fd(kvm, e);

	if (fd < 0)
		return fd;
	return kvm_arm64_reg_put(fd, KVM_REG_ARM_TIMER_CNT, &ticks, "CNTVCT_EL0", e);
}

int kvm_arm64_set_attr(int fd, uint32_t group, uint64_t attr, const void *value, const char *what,
		       struct err *e)
{
	struct kvm_device_attr a = {.group = group, .attr = attr, .addr = (uintptr_t)value};
	int rc = KVM_CALL(fd, KVM_SET_DEVICE_ATTR, &a, e);

	return rc < 0 ? err_prefix(e, "%s", what) : 0;
}

int kvm_arm64_get_attr(int fd, uint32_t group, uint64_t attr, void *value, const char *what,
		       struct err *e)
{
	struct kvm_device_attr a = {.group = group, .attr = attr, .addr = (uintptr_t)value};
	int rc = KVM_CALL(fd, KVM_GET_DEVICE_ATTR, &a, e);

	return rc < 0 ? err_prefix(e, "%s", what) : 0;
}

bool kvm_arm64_has_device(int fd, uint32_t type)
{
	struct kvm_create_device d = {.type = type, .flags = KVM_CREATE_DEVICE_TEST};

	return !sys_ioctl(fd, KVM_CREATE_DEVICE, &d);
}
