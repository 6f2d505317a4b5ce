/*
 * accel/bt/msr.h - model-specific registers (msr.c) and the paravirtual clock (pvclock.c), beyond
 * bt_rdmsr and bt_wrmsr of bt.h.
 */
#ifndef LODGE_ACCEL_BT_MSR_H
#define LODGE_ACCEL_BT_MSR_H

#include "accel/bt/bt.h"

#define MSR_TSC_DEADLINE 0x6e0u

/* What the guest's TSC is ahead of VM time in ns, modulo 2^64. */
static inline uint64_t bt_tsc_offset(const struct bt_cpu *c)
{
	return (uint64_t)c->bvm->tsc_offset + c->msr.tsc_skew + c->msr.tsc_adjust;
}

/* All of struct bt_msrs as at power-on. */
void bt_msr_reset(struct bt_cpu *c);
/* The MSRs that are state into @out->msr, ascending. */
void bt_msr_get(struct bt_cpu *c, struct x86_vcpu *out);
/*
 * And back; what @in does not name becomes as at power-on.  -ENOTSUP for an MSR that this CPU has
 * not and that is not 0, -EINVAL for a value that it cannot hold.  EFER, FS and GS bases and
 * IA32_APIC_BASE have places of their own in @in: those entries are skipped.
 */
int bt_msr_put(struct bt_cpu *c, const struct x86_vcpu *in, struct err *e);

/*
 * kvmclock: fills the page that the guest named in KVM_SYSTEM_TIME, if it named one.  To be called
 * on the vCPU's thread when what VM time and TSC have to do with one another has changed: the TSC
 * was written, a state was loaded.
 */
void bt_pvclock_update(struct bt_cpu *c);
/* And the page of KVM_WALL_CLOCK at @gpa. */
void bt_pvclock_wall(struct bt_cpu *c, uint64_t gpa);

#endif
