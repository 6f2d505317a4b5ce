/*
 * accel/kvm/arm64/debug.c - guest debug on arm64: breakpoints and watchpoints in the processor's
 * registers (Arm ARM D2.8 to D2.10, D23.3), BRK, software step.
 */
#include "accel/kvm/arm64/arm64.h"
#include "arch/arm64/defs.h"

/* DBGBCR and DBGWCR: enabled, at EL0 and EL1. */
#define CR_ENABLE   1u
#define CR_EL0_EL1  (3u << 1)
#define BCR_BAS_ALL (0xfu << 5)
#define WCR_LOAD    (1u << 3)
#define WCR_STORE   (2u << 3)
#define WCR_BAS	    5
#define WCR_MASK    24

/* Exception classes of ESR_ELx. */
#define EC_BREAKPOINT 0x30u
#define EC_WATCHPOINT 0x34u
#define EC_BRK32      0x38u
#define EC_BRK	      0x3cu

/* PSTATE as SPSR has it. */
#define PSR_EL1H    UINT64_C(5)
#define PSR_MODE    UINT64_C(0xf)
#define PSR_AARCH32 (UINT64_C(1) << 4)
#define PSR_DAIF    (UINT64_C(0xf) << 6)
#define PSR_SSBS    (UINT64_C(1) << 12)
#define PSR_PAN	    (UINT64_C(1) << 22)
#define PSR_DIT	    (UINT64_C(1) << 24)
#define PSR_NZCV    (UINT64_C(0xf) << 28)
#define SCTLR_SPAN  (UINT64_C(1) << 23)
#define SCTLR_DSSBS (UINT64_C(1) << 44)

#define CORE_REG(member) \
	(KVM_REG_ARM64 | KVM_REG_SIZE_U64 | KVM_REG_ARM_CORE | KVM_REG_ARM_CORE_REG(member))
#define SYS_REG(number) \
	(KVM_REG_ARM64 | KVM_REG_SIZE_U64 | KVM_REG_ARM64_SYSREG | (uint64_t)(number))

void kvm_arch_debug_limits(int fd, struct debug_limits *l)
{
	*l = (struct debug_limits){
		.step = true,
		.software = true,
		.exec = MIN((unsigned)kvm_cap(fd, KVM_CAP_GUEST_DEBUG_HW_BPS),
			    (unsigned)KVM_ARM_MAX_DBG_REGS),
		.watch = MIN((unsigned)kvm_cap(fd, KVM_CAP_GUEST_DEBUG_HW_WPS),
			     (unsigned)KVM_ARM_MAX_DBG_REGS),
		.read = true,
		.before = true,
		.exec_len = 4,
		.watch_len = UINT64_C(1) << 31,
	};
}

void kvm_arch_debug_point(struct kvm_guest_debug *g, const struct debug_point *p)
{
	static const uint32_t access[] = {[DEBUG_WRITE] = WCR_STORE,
					  [DEBUG_READ] = WCR_LOAD,
					  [DEBUG_ACCESS] = WCR_LOAD | WCR_STORE};
	uint32_t bytes, mask = 0;
	unsigned n = 0;

	if (p->kind == DEBUG_EXEC) {
		while (g->arch.dbg_bcr[n])
			n++;
		g->arch.dbg_bvr[n] = p->addr;
		g->arch.dbg_bcr[n] = CR_ENABLE | CR_EL0_EL1 | BCR_BAS_ALL;
		return;
	}
	while (g->arch.dbg_wcr[n])
		n++;
	/* Up to 8 bytes are chosen one by one within their doubleword, more by leaving out bits. */
	bytes = p->len >= 8 ? 0xff : ((1u << p->len) - 1) << (p->addr & 7);
	if (p->len > 8)
		mask = (uint32_t)__builtin_ctzll(p->len);
	g->arch.dbg_wvr[n] = p->addr & ~UINT64_C(7);
	g->arch.dbg_wcr[n] =
		CR_ENABLE | CR_EL0_EL1 | access[p->kind] | bytes << WCR_BAS | mask << WCR_MASK;
}

void kvm_arch_debug_control(struct kvm_vcpu *kv, struct kvm_guest_debug *g)
{
	(void)kv;
	(void)g;
}

struct taking {
	uint64_t pc, pstate, vbar, sctlr;
};

static int read_taking(int fd, struct taking *t, struct err *e)
{
	int rc = kvm_arm64_reg_get(fd, CORE_REG(regs.pc), &t->pc, "pc", e);

	if (!rc)
		rc = kvm_arm64_reg_get(fd, CORE_REG(regs.pstate), &t->pstate, "pstate", e);
	if (!rc)
		rc = kvm_arm64_reg_get(fd, SYS_REG(ARM64_VBAR_EL1), &t->vbar, "VBAR_EL1", e);
	if (!rc)
		rc = kvm_arm64_reg_get(fd, SYS_REG(ARM64_SCTLR_EL1), &t->sctlr, "SCTLR_EL1", e);
	return rc;
}

/* PSTATE at the handler (Arm ARM, AArch64.TakeException). */
static uint64_t handler_pstate(const struct taking *t)
{
	uint64_t p = PSR_EL1H | PSR_DAIF | (t->pstate & (PSR_NZCV | PSR_PAN | PSR_DIT));

	if (!(t->sctlr & SCTLR_SPAN))
		p |= PSR_PAN;
	if (t->sctlr & SCTLR_DSSBS)
		p |= PSR_SSBS;
	return p;
}

/* KVM takes no request for a BRK exception: its registers are set as the processor would. */
int kvm_arch_debug_pass(struct kvm_vcpu *kv, struct kvm_guest_debug *g, struct err *e)
{
	const uint64_t esr = kv->run->debug.arch.hsr;
	struct taking t;
	uint64_t pstate, pc;
	int rc = read_taking(kv->fd, &t, e);

	(void)g;
	if (rc)
		return rc;
	pstate = handler_pstate(&t);
	if (t.pstate & PSR_AARCH32)
		pc = t.vbar + 0x600;
	else
		pc = t.vbar + (!(t.pstate & PSR_MODE)		   ? 0x400
			       : (t.pstate & PSR_MODE) == PSR_EL1H ? 0x200
								   : 0);
	rc = kvm_arm64_reg_put(kv->fd, CORE_REG(elr_el1), &t.pc, "ELR_EL1", e);
	if (!rc)
		rc = kvm_arm64_reg_put(kv->fd, CORE_REG(spsr[KVM_SPSR_EL1]), &t.pstate, "SPSR_EL1",
				       e);
	if (!rc)
		rc = kvm_arm64_reg_put(kv->fd, SYS_REG(ARM64_ESR_EL1), &esr, "ESR_EL1", e);
	if (!rc)
		rc = kvm_arm64_reg_put(kv->fd, CORE_REG(regs.pstate), &pstate, "pstate", e);
	if (!rc)
		rc = kvm_arm64_reg_put(kv->fd, CORE_REG(regs.pc), &pc, "pc", e);
	return rc;
}

static uint64_t distance(uint64_t addr, const struct debug_point *p)
{
	if (addr < p->addr)
		return p->addr - addr;
	return addr - p->addr < p->len ? 0 : addr - p->addr - p->len + 1;
}

/*
 * Which point it was.  The address of an access is anywhere in what it touched (Arm ARM D2.10.5):
 * the point that is nearest to it.
 */
static void find_point(const struct vcpu_debug *d, bool exec, struct debug_stop *s)
{
	uint64_t best = UINT64_MAX;

	for (unsigned i = 0; i < d->n; i++) {
		const struct debug_point *p = &d->point[i];

		if ((p->kind == DEBUG_EXEC) != exec || distance(s->addr, p) >= best)
			continue;
		best = distance(s->addr, p);
		s->point = i;
		s->why = DEBUG_POINT;
	}
}

int kvm_arm64_exit_debug(struct vcpu *v, struct kvm_run *run)
{
	struct kvm_vcpu *kv = v->accel;
	struct debug_stop s = {.why = DEBUG_STEPPED};
	struct err e = ERR_INIT;

	if (kvm_arm64_reg_get(kv->fd, CORE_REG(regs.pc), &s.pc, "pc", &e))
		return kvm_broken(v, "stopped at a breakpoint, and its address is not known: %s",
				  e.msg);
	s.addr = s.pc;
	switch (run->debug.arch.hsr >> 26) {
	case EC_BREAKPOINT: find_point(&kv->debug, true, &s); break;
	case EC_WATCHPOINT:
		s.addr = run->debug.arch.far;
		find_point(&kv->debug, false, &s);
		break;
	case EC_BRK:
	case EC_BRK32: s.why = DEBUG_SOFTWARE; break;
	default: break;
	}
	return kvm_debug_stopped(v, &s);
}
