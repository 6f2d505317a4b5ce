/*
 * accel/kvm/arm64/vcpu.c - the arm64 part of a VM and its vCPUs, and the accelerator's table.
 *
 * The GIC cannot be started before all vCPUs are there, and the PMU not before the GIC is.  vCPUs
 * are made by their own threads: the last one to be made starts both.  Its ioctls on the others'
 * descriptors find them idle, because nobody runs before all are made.
 *
 * vCPUs are made in the order of their numbers.  KVM takes a vCPU's id for its place among those
 * that were made, where it raises a timer's interrupt (Linux 6.1, kvm_timer_update_irq and
 * kvm_vgic_inject_irq) and where a GIC attribute names a vCPU: made in another order, the interrupt
 * goes to the wrong one, which refuses it, and a guest's CPU waits for its timer for ever.
 */
#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "accel/kvm/arm64/arm64.h"
#include "base/sys.h"

#define ARM64_KVM_CLIDR (KVM_REG_ARM64 | KVM_REG_SIZE_U64 | KVM_REG_ARM64_SYSREG | ARM64_CLIDR_EL1)

/* @want, of what the host @has: whether the vCPUs get it. */
static int decide(enum arm64_want want, bool has, const char *what, bool *on, struct err *e)
{
	*on = has && want != ARM64_OFF;
	if (has || want != ARM64_ON)
		return 0;
	err_set(e, -ENOTSUP, "this host's KVM gives guests no %s", what);
	err_kind(e, ERR_HOST);
	return err_hint(e, "leave it to the host with \"auto\"");
}

static int decide_features(struct kvm_arch *a, struct err *e)
{
	static const struct arm64_config none;
	const struct arm64_config *c = a->config ? a->config : &none;
	int fd = a->kvm->fd, rc;
	bool pauth = kvm_cap(fd, KVM_CAP_ARM_PTRAUTH_ADDRESS) &&
		     kvm_cap(fd, KVM_CAP_ARM_PTRAUTH_GENERIC);

	/* The PMU's interrupt needs a GIC. */
	rc = decide(c->pmu, kvm_cap(fd, KVM_CAP_ARM_PMU_V3) && a->made.gic_version,
		    "performance monitor (PMUv3)", &a->made.pmu, e);
	if (!rc)
		rc = decide(c->sve, kvm_cap(fd, KVM_CAP_ARM_SVE), "scalable vectors (SVE)",
			    &a->made.sve, e);
	if (!rc)
		rc = decide(c->pauth, pauth, "pointer authentication", &a->made.pauth, e);
	return rc;
}

static void set_feature(struct kvm_vcpu_init *init, unsigned feature, bool on)
{
	if (on)
		init->features[feature / 32] |= 1u << feature % 32;
}

static uint32_t timer_hz(void)
{
	uint64_t hz;

	__asm__("mrs %0, cntfrq_el0" : "=r"(hz));
	return (uint32_t)hz;
}

int kvm_arch_vm_init(struct kvm_vm *kvm, struct err *e)
{
	struct kvm_arch *a = sys_alloc(sizeof(*a));
	int rc;

	if (!a)
		return err_nomem(e, sizeof(*a), "a KVM VM");
	kvm->arch = a;
	a->kvm = kvm;
	a->config = kvm->vm->arch_config;
	a->gic = a->its = -1;
	if (!kvm_cap(kvm->fd, KVM_CAP_ARM_PSCI_0_2))
		return err_set(e, -ENOTSUP, "this host's KVM lacks KVM_CAP_ARM_PSCI_0_2"),
		       err_kind(e, ERR_HOST);
	a->made.ipa_bits = (unsigned)kvm_cap(kvm->node, KVM_CAP_ARM_VM_IPA_SIZE);
	if (!a->made.ipa_bits)
		a->made.ipa_bits = 40;
	if (a->config && a->config->ipa_bits)
		a->made.ipa_bits = MAX(a->config->ipa_bits, 32u);
	a->made.timer_hz = timer_hz();
	if (!a->made.timer_hz)
		return err_set(e, -ENOTSUP,
			       "this host's firmware does not say how fast the generic timer is "
			       "(CNTFRQ_EL0 is 0)"),
		       err_kind(e, ERR_HOST);
	rc = kvm_arm64_irqchip_choose(a, e);
	if (!rc)
		rc = decide_features(a, e);
	if (rc)
		return rc;
	rc = KVM_CALL(kvm->fd, KVM_ARM_PREFERRED_TARGET, &a->init, e);
	if (rc < 0)
		return rc;
	set_feature(&a->init, KVM_ARM_VCPU_PSCI_0_2, true);
	set_feature(&a->init, KVM_ARM_VCPU_SVE, a->made.sve);
	set_feature(&a->init, KVM_ARM_VCPU_PTRAUTH_ADDRESS, a->made.pauth);
	set_feature(&a->init, KVM_ARM_VCPU_PTRAUTH_GENERIC, a->made.pauth);
	if (a->config && a->config->made)
		*a->config->made = a->made;
	/* An access that the processor does not decode comes to us, to be reported by address. */
	if (kvm_cap(kvm->fd, KVM_CAP_ARM_NISV_TO_USER))
		rc = kvm_enable_cap(kvm->fd, KVM_CAP_ARM_NISV_TO_USER, 0, 0, e);
	return rc < 0 ? rc : 0;
}

void kvm_arch_vm_exit(struct kvm_vm *kvm)
{
	struct kvm_arch *a = kvm->arch;

	if (!a)
		return;
	kvm_arm64_irqchip_exit(a);
	free(a->reg);
	free(a);
	kvm->arch = NULL;
}

void kvm_arch_vcpu_resumed(struct kvm_vcpu *kv)
{
	(void)kv; /* the counter stood still: there is nothing a guest has to be told */
}

int kvm_arm64_vcpu_reset(struct kvm_vcpu *kv, struct err *e)
{
	const struct kvm_arch *a = kv->kvm->arch;
	struct kvm_vcpu_init init = a->init;
	int rc;

	set_feature(&init, KVM_ARM_VCPU_POWER_OFF, kv->v->index != 0);
	set_feature(&init, KVM_ARM_VCPU_PMU_V3, a->made.pmu && a->chip_ready);
	rc = KVM_CALL(kv->fd, KVM_ARM_VCPU_INIT, &init, e);
	return rc < 0 ? rc : 0;
}

static int start_pmu(struct kvm_vcpu *kv, struct err *e)
{
	const int intid = ARM64_GIC_PPI_INTID + ARM64_PPI_PMU;
	int rc = kvm_arm64_set_attr(kv->fd, KVM_ARM_VCPU_PMU_V3_CTRL, KVM_ARM_VCPU_PMU_V3_IRQ,
				    &intid, "PMU interrupt", e);

	if (rc)
		return rc;
	return kvm_arm64_set_attr(kv->fd, KVM_ARM_VCPU_PMU_V3_CTRL, KVM_ARM_VCPU_PMU_V3_INIT, NULL,
				  "PMU", e);
}

/*
 * All vCPUs are there.  The timers' interrupts are KVM's own choice, which is that of every
 * machine: PPI 11 for the virtual and 14 for the physical one.
 */
static int start_all(struct kvm_arch *a, struct err *e)
{
	int rc = kvm_arm64_reg_get(a->kvm->vcpus[0].fd, ARM64_KVM_CLIDR, &a->made.clidr,
				   "CLIDR_EL1", e);

	if (!rc && a->config->made)
		a->config->made->clidr = a->made.clidr;
	if (!rc)
		rc = kvm_arm64_irqchip_start(a, e);
	for (unsigned i = 0; i < a->kvm->vm->n_vcpus && a->made.pmu && !rc; i++)
		rc = start_pmu(&a->kvm->vcpus[i], e);
	return rc;
}

static int vcpu_init(struct vcpu *v, struct err *e)
{
	struct kvm_vm *kvm = kvm_of(v->vm);
	struct kvm_arch *a = kvm->arch;
	struct kvm_vcpu *kv;
	bool last;
	int rc;

	rc = kvm_vcpu_create(v, v->index, e);
	if (rc)
		return rc;
	kv = v->accel;
	rc = kvm_arm64_vcpu_reset(kv, e);
	if (!rc && a->made.sve) {
		int feature = KVM_ARM_VCPU_SVE;

		rc = KVM_CALL(kv->fd, KVM_ARM_VCPU_FINALIZE, &feature, e);
	}
	if (rc < 0)
		return rc;
	pthread_mutex_lock(&kvm->lock);
	last = ++a->n_inited == v->vm->n_vcpus;
	pthread_mutex_unlock(&kvm->lock);
	return last && a->chip_ready ? start_all(a, e) : 0;
}

const struct accel_ops accel_kvm = {
	.name = "kvm",
	.help = "the processor's virtualization, through /dev/kvm",
	.in_order = true,
	.arg_check = kvm_arg_check,
	.probe = kvm_arm64_probe,
	.vm_init = kvm_vm_init,
	.vm_exit = kvm_vm_exit,
	.irqchip_init = kvm_arm64_irqchip_init,
	.slot_set = kvm_slot_set,
	.slot_dirty = kvm_slot_dirty,
	.vcpu_init = vcpu_init,
	.vcpu_exit = kvm_vcpu_exit,
	.vcpu_run = kvm_vcpu_run,
	.state_get = kvm_arm64_state_get,
	.state_put = kvm_arm64_state_put,
	.debug_limits = kvm_debug_limits,
	.debug_set = kvm_debug_set,
	.vcpu_kick = kvm_vcpu_kick,
	.chips_get = kvm_arm64_chips_get,
	.chips_put = kvm_arm64_chips_put,
	.doorbell = kvm_doorbell,
};
