/*
 * accel/kvm/arm64/regs.c - the registers that KVM_GET_REG_LIST names, from KVM and back.
 *
 * Which system registers a vCPU has is the kernel's to say, and it grows.  All of them are carried
 * by their architectural encoding.  Not in the list of struct arm64_vcpu: what has a member of its
 * own (state.c), and the counters, which are the VM's (host.c).
 *
 * Order of a put: firmware registers and identification registers come first, because KVM may let
 * both change what other registers can be, and each timer's comparator before its control register.
 * Many identification registers cannot be changed.  A put that is refused is none if the register
 * has the wanted value already; else the state is of another processor, and the message says which
 * register tells.
 */
#include <errno.h>
#include <stdlib.h>
#include <sys/ioctl.h>

#include "accel/kvm/arm64/arm64.h"
#include "base/log.h"
#include "base/sys.h"

#define COPROC(id) ((id)&KVM_REG_ARM_COPROC_MASK)
#define LIST_MAX   (ARM64_REGS_MAX + 256u) /* with those that have members of their own */

enum { TURN_FIRMWARE, TURN_ID, TURN_PLAIN, TURN_CONTROL, TURNS };

int kvm_arm64_reg_get(int fd, uint64_t id, void *value, const char *what, struct err *e)
{
	struct kvm_one_reg r = {.id = id, .addr = (uintptr_t)value};
	int rc = KVM_CALL(fd, KVM_GET_ONE_REG, &r, e);

	return rc < 0 ? err_prefix(e, "%s", what) : 0;
}

int kvm_arm64_reg_put(int fd, uint64_t id, const void *value, const char *what, struct err *e)
{
	struct kvm_one_reg r = {.id = id, .addr = (uintptr_t)value};
	int rc = KVM_CALL(fd, KVM_SET_ONE_REG, &r, e);

	return rc < 0 ? err_prefix(e, "%s", what) : 0;
}

/* KVM names two registers of the virtual timer by each other's encoding (its api.rst says so). */
static uint32_t sysreg_id(uint64_t kvm)
{
	if (kvm == KVM_REG_ARM_TIMER_CVAL)
		return ARM64_CNTV_CVAL_EL0;
	if (kvm == KVM_REG_ARM_TIMER_CNT)
		return ARM64_CNTVCT_EL0;
	return ARM64_REG(ARM64_KIND_SYS, kvm & 0xffff);
}

static uint8_t turn_of(uint32_t id)
{
	uint32_t n = ARM64_REG_NUMBER(id);

	switch (ARM64_REG_KIND(id)) {
	case ARM64_KIND_FW:
	case ARM64_KIND_FW_BITMAP: return TURN_FIRMWARE;
	case ARM64_KIND_CCSIDR: return TURN_ID;
	default: break;
	}
	if (n == ARM64_CNTV_CTL_EL0 || n == ARM64_CNTP_CTL_EL0)
		return TURN_CONTROL;
	/* All in CRn 0 but CSSELR_EL1 (op1 2), VPIDR_EL2 and VMPIDR_EL2 (op1 4) identify. */
	if (ARM64_SYSREG_OP0(n) == 3 && ARM64_SYSREG_CRN(n) == 0 && ARM64_SYSREG_OP1(n) != 2 &&
	    ARM64_SYSREG_OP1(n) != 4)
		return TURN_ID;
	return TURN_PLAIN;
}

enum reg_class { LISTED, ELSEWHERE, UNKNOWN };

/* Whether @kvm belongs into the list, and as what. */
static enum reg_class classify(uint64_t kvm, struct kvm_arm64_reg *r)
{
	uint64_t size = kvm & KVM_REG_SIZE_MASK;

	switch (COPROC(kvm)) {
	case KVM_REG_ARM_CORE:
	case KVM_REG_ARM64_SVE: return ELSEWHERE;
	case KVM_REG_ARM64_SYSREG: r->id = sysreg_id(kvm); break;
	case KVM_REG_ARM_DEMUX: r->id = ARM64_REG(ARM64_KIND_CCSIDR, kvm & 0xffff); break;
	case KVM_REG_ARM_FW: r->id = ARM64_REG(ARM64_KIND_FW, kvm & 0xffff); break;
	case KVM_REG_ARM_FW_FEAT_BMAP: r->id = ARM64_REG(ARM64_KIND_FW_BITMAP, kvm & 0xffff); break;
	default: return UNKNOWN;
	}
	if (r->id == ARM64_CNTVCT_EL0 || r->id == ARM64_CNTPCT_EL0)
		return ELSEWHERE;
	if (size != KVM_REG_SIZE_U64 && size != KVM_REG_SIZE_U32)
		return UNKNOWN;
	r->kvm = kvm;
	r->turn = turn_of(r->id);
	return LISTED;
}

static int by_id(const void *a, const void *b)
{
	const struct kvm_arm64_reg *ra = a, *rb = b;

	return ra->id < rb->id ? -1 : ra->id > rb->id;
}

struct reg_list {
	uint64_t n, id[LIST_MAX];
};

/* kvm->lock held. */
static int learn(struct kvm_arch *a, int fd, struct reg_list *list, struct err *e)
{
	int rc;

	list->n = LIST_MAX;
	rc = KVM_CALL(fd, KVM_GET_REG_LIST, list, e);
	if (rc < 0)
		return rc;
	a->reg = sys_alloc_array(ARM64_REGS_MAX, sizeof(*a->reg));
	if (!a->reg)
		return err_nomem(e, ARM64_REGS_MAX * sizeof(*a->reg), "the list of registers");
	for (uint64_t i = 0; i < MIN(list->n, (uint64_t)LIST_MAX); i++) {
		struct kvm_arm64_reg r;

		switch (classify(list->id[i], &r)) {
		case LISTED:
			if (a->n_regs == ARM64_REGS_MAX)
				return err_set(e, -E2BIG,
					       "this host's KVM has more than %u registers",
					       ARM64_REGS_MAX);
			a->reg[a->n_regs++] = r;
			break;
		case UNKNOWN:
			log_warn(
				"this host's KVM has a register that Lodge does not know (0x%llx): "
				"it is not part of a CPU's state",
				(unsigned long long)list->id[i]);
			break;
		case ELSEWHERE: break;
		}
	}
	qsort(a->reg, a->n_regs, sizeof(*a->reg), by_id);
	return 0;
}

int kvm_arm64_regs_learn(struct kvm_vcpu *kv, struct err *e)
{
	struct kvm_vm *kvm = kv->kvm;
	struct kvm_arch *a = kvm->arch;
	struct reg_list *list;
	int rc = 0;

	pthread_mutex_lock(&kvm->lock);
	if (!a->reg) {
		list = sys_alloc(sizeof(*list));
		rc = list ? learn(a, kv->fd, list, e)
			  : err_nomem(e, sizeof(*list), "the list of registers");
		free(list);
		if (rc) {
			free(a->reg);
			a->reg = NULL;
			a->n_regs = 0;
		}
	}
	pthread_mutex_unlock(&kvm->lock);
	return rc;
}

static int get_one(struct kvm_vcpu *kv, const struct kvm_arm64_reg *r, uint64_t *value,
		   struct err *e)
{
	char name[40];

	*value = 0; /* a register of 32 bits fills the lower half: both are little-endian */
	return kvm_arm64_reg_get(kv->fd, r->kvm, value, arm64_reg_name(r->id, name, sizeof(name)),
				 e);
}

int kvm_arm64_regs_get(struct kvm_vcpu *kv, struct arm64_vcpu *s, struct err *e)
{
	const struct kvm_arch *a = kv->kvm->arch;
	int rc = 0;

	s->n_regs = a->n_regs;
	for (unsigned i = 0; i < a->n_regs && !rc; i++) {
		s->reg[i].id = a->reg[i].id;
		rc = get_one(kv, &a->reg[i], &s->reg[i].value, e);
	}
	return rc;
}

static int put_one(struct kvm_vcpu *kv, const struct kvm_arm64_reg *r, uint64_t value,
		   struct err *e)
{
	struct kvm_one_reg one = {.id = r->kvm, .addr = (uintptr_t)&value};
	uint64_t has;
	char name[40];
	int code, rc;

	if (!sys_ioctl(kv->fd, KVM_SET_ONE_REG, &one))
		return 0;
	code = -errno;
	rc = get_one(kv, r, &has, e);
	if (rc || has == value)
		return rc;
	err_set(e, code, "%s cannot be 0x%llx here: this processor has 0x%llx",
		arm64_reg_name(r->id, name, sizeof(name)), (unsigned long long)value,
		(unsigned long long)has);
	return err_kind(e, ERR_HOST);
}

/* A register that this KVM does not have can only be one that says nothing. */
static int check_known(const struct kvm_arch *a, const struct arm64_vcpu *s, struct err *e)
{
	for (uint32_t i = 0; i < s->n_regs; i++) {
		const struct kvm_arm64_reg key = {.id = s->reg[i].id};
		char name[40];

		if (!s->reg[i].value || bsearch(&key, a->reg, a->n_regs, sizeof(key), by_id))
			continue;
		err_set(e, -ENOTSUP, "this host's KVM has no %s, which is 0x%llx in the state",
			arm64_reg_name(s->reg[i].id, name, sizeof(name)),
			(unsigned long long)s->reg[i].value);
		return err_kind(e, ERR_HOST);
	}
	return 0;
}

int kvm_arm64_regs_put(struct kvm_vcpu *kv, const struct arm64_vcpu *s, struct err *e)
{
	const struct kvm_arch *a = kv->kvm->arch;
	int rc = check_known(a, s, e);

	for (unsigned turn = 0; turn < TURNS; turn++)
		for (unsigned i = 0; i < a->n_regs && !rc; i++) {
			const uint64_t *value;

			if (a->reg[i].turn != turn)
				continue;
			value = arm64_vcpu_reg_const(s, a->reg[i].id);
			if (value)
				rc = put_one(kv, &a->reg[i], *value, e);
		}
	return rc;
}
