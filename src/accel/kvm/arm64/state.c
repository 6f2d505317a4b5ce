/*
 * accel/kvm/arm64/state.c - struct arm64_vcpu from KVM and back.
 *
 * A state whose list of registers is empty is one after reset.  KVM makes that itself: a vCPU that
 * is not new is initialised again (KVM_ARM_VCPU_INIT), and what is not in the list is put.  Any
 * other state is put as a whole; system registers before general ones, because a put of PSTATE is
 * checked against what the CPU can do, and the power state last.
 */
#include <errno.h>
#include <stdio.h>
#include <string.h>

#include "accel/kvm/arm64/arm64.h"
#include "base/sys.h"

#define CORE(size, member) \
	(KVM_REG_ARM64 | KVM_REG_SIZE_##size | KVM_REG_ARM_CORE | KVM_REG_ARM_CORE_REG(member))

/* The 64-bit general registers. */
struct core {
	uint64_t kvm;
	size_t at; /* in struct arm64_vcpu */
	const char *name;
};
#define G(kvm_member, member)                                                       \
	{                                                                           \
		CORE(U64, kvm_member), offsetof(struct arm64_vcpu, member), #member \
	}
static const struct core cores[] = {
	G(regs.regs[0], x[0]),	 G(regs.regs[1], x[1]),	  G(regs.regs[2], x[2]),
	G(regs.regs[3], x[3]),	 G(regs.regs[4], x[4]),	  G(regs.regs[5], x[5]),
	G(regs.regs[6], x[6]),	 G(regs.regs[7], x[7]),	  G(regs.regs[8], x[8]),
	G(regs.regs[9], x[9]),	 G(regs.regs[10], x[10]), G(regs.regs[11], x[11]),
	G(regs.regs[12], x[12]), G(regs.regs[13], x[13]), G(regs.regs[14], x[14]),
	G(regs.regs[15], x[15]), G(regs.regs[16], x[16]), G(regs.regs[17], x[17]),
	G(regs.regs[18], x[18]), G(regs.regs[19], x[19]), G(regs.regs[20], x[20]),
	G(regs.regs[21], x[21]), G(regs.regs[22], x[22]), G(regs.regs[23], x[23]),
	G(regs.regs[24], x[24]), G(regs.regs[25], x[25]), G(regs.regs[26], x[26]),
	G(regs.regs[27], x[27]), G(regs.regs[28], x[28]), G(regs.regs[29], x[29]),
	G(regs.regs[30], x[30]), G(regs.sp, sp_el0),	  G(sp_el1, sp_el1),
	G(regs.pc, pc),		 G(regs.pstate, pstate),  G(elr_el1, elr_el1),
	G(spsr[0], spsr[0]),	 G(spsr[1], spsr[1]),	  G(spsr[2], spsr[2]),
	G(spsr[3], spsr[3]),	 G(spsr[4], spsr[4]),
};
#undef G

static int core_get(struct kvm_vcpu *kv, struct arm64_vcpu *s, struct err *e)
{
	int rc = 0;

	for (size_t i = 0; i < ARRAY_LEN(cores) && !rc; i++)
		rc = kvm_arm64_reg_get(kv->fd, cores[i].kvm, (char *)s + cores[i].at, cores[i].name,
				       e);
	return rc;
}

/* With @sparse the registers are all 0 now. */
static int core_put(struct kvm_vcpu *kv, const struct arm64_vcpu *s, bool sparse, struct err *e)
{
	int rc = 0;

	for (size_t i = 0; i < ARRAY_LEN(cores) && !rc; i++) {
		uint64_t value;

		memcpy(&value, (const char *)s + cores[i].at, sizeof(value));
		if (!sparse || value)
			rc = kvm_arm64_reg_put(kv->fd, cores[i].kvm, &value, cores[i].name, e);
	}
	return rc;
}

static uint64_t vreg_id(unsigned i)
{
	return CORE(U128, fp_regs.vregs[0]) + i * (16 / sizeof(uint32_t));
}

static int fp_get(struct kvm_vcpu *kv, struct arm64_vcpu *s, struct err *e)
{
	int rc = kvm_arm64_reg_get(kv->fd, CORE(U32, fp_regs.fpsr), &s->fpsr, "fpsr", e);

	if (!rc)
		rc = kvm_arm64_reg_get(kv->fd, CORE(U32, fp_regs.fpcr), &s->fpcr, "fpcr", e);
	for (unsigned i = 0; i < 32 && !rc && !kv->kvm->arch->made.sve; i++)
		rc = kvm_arm64_reg_get(kv->fd, vreg_id(i), &s->v[i * 2], "v", e);
	return rc;
}

static int fp_put(struct kvm_vcpu *kv, const struct arm64_vcpu *s, bool sparse, struct err *e)
{
	int rc = 0;

	if (!sparse || s->fpsr)
		rc = kvm_arm64_reg_put(kv->fd, CORE(U32, fp_regs.fpsr), &s->fpsr, "fpsr", e);
	if (!rc && (!sparse || s->fpcr))
		rc = kvm_arm64_reg_put(kv->fd, CORE(U32, fp_regs.fpcr), &s->fpcr, "fpcr", e);
	for (unsigned i = 0; i < 32 && !rc && !kv->kvm->arch->made.sve; i++)
		if (!sparse || s->v[i * 2] || s->v[i * 2 + 1])
			rc = kvm_arm64_reg_put(kv->fd, vreg_id(i), &s->v[i * 2], "v", e);
	return rc;
}

static uint64_t pred_id(unsigned i)
{
	return i < 16 ? KVM_REG_ARM64_SVE_PREG(i, 0) : KVM_REG_ARM64_SVE_FFR(0);
}

/* KVM has the vector registers in the SVE registers' low halves then, and only there. */
static int sve_get(struct kvm_vcpu *kv, struct arm64_vcpu *s, struct err *e)
{
	int rc = 0;

	s->sve_z_size = s->sve_p_size = 0;
	memset(s->sve_vls, 0, sizeof(s->sve_vls));
	if (!kv->kvm->arch->made.sve)
		return 0;
	s->sve_z_size = ARM64_SVE_Z_SIZE;
	s->sve_p_size = ARM64_SVE_P_SIZE;
	rc = kvm_arm64_reg_get(kv->fd, KVM_REG_ARM64_SVE_VLS, s->sve_vls, "SVE lengths", e);
	for (unsigned i = 0; i < 32 && !rc; i++) {
		rc = kvm_arm64_reg_get(kv->fd, KVM_REG_ARM64_SVE_ZREG(i, 0),
				       s->sve_z + i * ARM64_SVE_Z, "z", e);
		memcpy(&s->v[i * 2], s->sve_z + i * ARM64_SVE_Z, 16);
	}
	for (unsigned i = 0; i < 17 && !rc; i++)
		rc = kvm_arm64_reg_get(kv->fd, pred_id(i), s->sve_p + i * ARM64_SVE_P, "p", e);
	return rc;
}

/* A vCPU's vector lengths are fixed when it is made. */
static int sve_check(struct kvm_vcpu *kv, const struct arm64_vcpu *s, struct err *e)
{
	uint64_t vls[ARRAY_LEN(s->sve_vls)];
	int rc;

	if (!s->sve_z_size && !s->sve_p_size)
		return 0;
	if (!kv->kvm->arch->made.sve || s->sve_z_size != ARM64_SVE_Z_SIZE ||
	    s->sve_p_size != ARM64_SVE_P_SIZE) {
		err_set(e, -ENOTSUP, "the state is of a CPU with SVE, which this VM's CPUs lack");
		return err_kind(e, ERR_HOST);
	}
	rc = kvm_arm64_reg_get(kv->fd, KVM_REG_ARM64_SVE_VLS, vls, "SVE lengths", e);
	if (rc || !memcmp(vls, s->sve_vls, sizeof(vls)))
		return rc;
	err_set(e, -ENOTSUP, "the state is of a CPU with other SVE vector lengths");
	return err_kind(e, ERR_HOST);
}

static int sve_put(struct kvm_vcpu *kv, const struct arm64_vcpu *s, bool sparse, struct err *e)
{
	bool full = s->sve_z_size && s->sve_p_size;
	int rc = 0;

	if (!kv->kvm->arch->made.sve)
		return 0;
	for (unsigned i = 0; i < 32 && !rc; i++) {
		uint8_t z[ARM64_SVE_Z] = {0};

		if (full)
			memcpy(z, s->sve_z + i * ARM64_SVE_Z, sizeof(z));
		memcpy(z, &s->v[i * 2], 16);
		if (!sparse || full || s->v[i * 2] || s->v[i * 2 + 1])
			rc = kvm_arm64_reg_put(kv->fd, KVM_REG_ARM64_SVE_ZREG(i, 0), z, "z", e);
	}
	for (unsigned i = 0; i < 17 && !rc && full; i++)
		rc = kvm_arm64_reg_put(kv->fd, pred_id(i), s->sve_p + i * ARM64_SVE_P, "p", e);
	return rc;
}

static int power_get(struct kvm_vcpu *kv, struct arm64_vcpu *s, struct err *e)
{
	struct kvm_mp_state mp = {0};
	int rc = KVM_CALL(kv->fd, KVM_GET_MP_STATE, &mp, e);

	switch (mp.mp_state) {
	case KVM_MP_STATE_STOPPED: s->power = ARM64_POWER_OFF; break;
	case KVM_MP_STATE_SUSPENDED: s->power = ARM64_POWER_SUSPENDED; break;
	default: s->power = ARM64_POWER_ON; break;
	}
	return rc < 0 ? rc : 0;
}

static int power_put(struct kvm_vcpu *kv, const struct arm64_vcpu *s, struct err *e)
{
	static const uint32_t states[] = {[ARM64_POWER_ON] = KVM_MP_STATE_RUNNABLE,
					  [ARM64_POWER_OFF] = KVM_MP_STATE_STOPPED,
					  [ARM64_POWER_SUSPENDED] = KVM_MP_STATE_SUSPENDED};
	struct kvm_mp_state mp = {.mp_state = states[s->power]};
	int rc = KVM_CALL(kv->fd, KVM_SET_MP_STATE, &mp, e);

	return rc < 0 ? rc : 0;
}

static int events_get(struct kvm_vcpu *kv, struct arm64_vcpu *s, struct err *e)
{
	struct kvm_vcpu_events k = {0};
	int rc;

	s->serror = s->serror_has_esr = s->ext_abort = false;
	s->serror_esr = 0;
	if (!kvm_cap(kv->kvm->fd, KVM_CAP_VCPU_EVENTS))
		return 0;
	rc = KVM_CALL(kv->fd, KVM_GET_VCPU_EVENTS, &k, e);
	if (rc < 0)
		return rc;
	s->serror = k.exception.serror_pending;
	s->ext_abort = k.exception.ext_dabt_pending;
	s->serror_has_esr = s->serror && k.exception.serror_has_esr;
	s->serror_esr = s->serror_has_esr ? k.exception.serror_esr : 0;
	return 0;
}

static int events_put(struct kvm_vcpu *kv, const struct arm64_vcpu *s, struct err *e)
{
	struct kvm_vcpu_events k = {.exception = {.serror_pending = s->serror,
						  .serror_has_esr = s->serror_has_esr,
						  .ext_dabt_pending = s->ext_abort,
						  .serror_esr = s->serror_esr}};
	int rc;

	/* KVM cannot take a pending SError back; a CPU that is initialised anew has none. */
	if (!s->serror && !s->ext_abort)
		return 0;
	rc = KVM_CALL(kv->fd, KVM_SET_VCPU_EVENTS, &k, e);
	return rc < 0 ? rc : 0;
}

int kvm_arm64_state_get(struct vcpu *v, struct err *e)
{
	static int (*const parts[])(struct kvm_vcpu *, struct arm64_vcpu *, struct err *) = {
		kvm_arm64_regs_get, core_get, fp_get, sve_get, events_get, power_get};
	struct kvm_vcpu *kv = v->accel;
	int rc = kvm_arm64_regs_learn(kv, e);

	for (size_t i = 0; i < ARRAY_LEN(parts) && !rc; i++)
		rc = parts[i](kv, v->state, e);
	return rc;
}

/*
 * System registers are at their reset values now, and the power state follows from the index.  In a
 * new vCPU all others are 0; a second initialisation leaves some, such as ELR_EL1, as they were.
 */
static int put_reset(struct kvm_vcpu *kv, const struct arm64_vcpu *s, struct err *e)
{
	bool off = kv->v->index != 0, fresh = kv->v->fresh;
	int rc = core_put(kv, s, fresh, e);

	if (!rc)
		rc = fp_put(kv, s, fresh, e);
	if (!rc)
		rc = sve_put(kv, s, fresh, e);
	if (!rc)
		rc = events_put(kv, s, e);
	if (!rc && (s->power == ARM64_POWER_OFF) != off)
		rc = power_put(kv, s, e);
	return rc;
}

static int put_all(struct kvm_vcpu *kv, const struct arm64_vcpu *s, struct err *e)
{
	int rc = sve_check(kv, s, e);

	if (!rc)
		rc = kvm_arm64_regs_learn(kv, e);
	if (!rc)
		rc = kvm_arm64_regs_put(kv, s, e);
	if (!rc)
		rc = core_put(kv, s, false, e);
	if (!rc)
		rc = fp_put(kv, s, false, e);
	if (!rc)
		rc = sve_put(kv, s, false, e);
	if (!rc)
		rc = events_put(kv, s, e);
	return rc ? rc : power_put(kv, s, e);
}

int kvm_arm64_state_put(struct vcpu *v, struct err *e)
{
	struct kvm_vcpu *kv = v->accel;
	const struct arm64_vcpu *s = v->state;
	int rc = v->fresh ? 0 : kvm_arm64_vcpu_reset(kv, e);

	if (rc)
		return rc;
	return s->n_regs ? put_all(kv, s, e) : put_reset(kv, s, e);
}
