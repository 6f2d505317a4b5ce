/*
 * accel/bt/host/pure.c - the meaning of every row that the host's own unit executes (exec_pure).
 *
 * Order of checks: #UD and #NM by CR0, CR4 and XCR0; #MF of a pending x87 exception where the
 * instruction uses MMX; the memory operand (alignment #GP, #PF); then the stub, and #XM out of it.
 *
 * SIMD floating-point exceptions.  The host never sees one: what runs on it runs with all of them
 * masked.  With the guest's masks all set, as nearly always, the stub uses the guest's MXCSR as it
 * is and the host or's the flags into it.  Otherwise the stub runs with masks set and flags clear,
 * and what it raised decides whether its effects stand:
 *  - an unmasked invalid, denormal or division by zero is found before anything is computed: then
 *    only flags of those three are recorded (SDM 1 §11.5.2);
 *  - an unmasked underflow is raised by any tiny result, a masked one only by an inexact one: so
 *    the stub is run once more with flush-to-zero, which raises it for all tiny results.
 */
#include <string.h>

#include "accel/bt/flags.h"
#include "accel/bt/host/host.h"
#include "accel/bt/mmu.h"
#include "accel/bt/exec.h"

#define MX_FLAGS 0x3fu
#define MX_PRE	 0x07u /* invalid, denormal, division by zero */
#define MX_UE	 0x10u
#define MX_MASKS 0x1f80u
#define MX_FTZ	 0x8000u

#define XCR0_AVX    0x06u
#define XCR0_AVX512 0xe6u

const struct pure_stub *pure_stub_of(struct bt_cpu *c, const struct insn *i)
{
	const struct pure_stub *s = i->code;
	struct pure_buf b;
	bool keep;

	if (LIKELY(s))
		return s;
	if (!pure_encode(i, &b))
		bt_ud(c);
	s = arena_add(c->pure, &b, &keep);
	/*
	 * A decoded instruction does not change but for this: it is a cache of the vCPU's own
	 * thread, and blocks are not shared.
	 */
	if (keep)
		((struct insn *)(uintptr_t)i)->code = (void *)(uintptr_t)s;
	return s;
}

/* SDM 2A §2.4 (exception types), tables 2-45 ff. for EVEX. */
static void check_unit(struct bt_cpu *c, unsigned unit)
{
	const bool vex = unit == UNIT_AVX || unit == UNIT_AVX512;
	const uint64_t need = unit == UNIT_AVX512 ? XCR0_AVX512 : XCR0_AVX;

	if (unit == UNIT_NONE)
		return;
	if (vex) {
		if (!c->mode.prot || c->mode.vm86 || !(c->cr4 & X86_CR4_OSXSAVE) ||
		    (c->xcr0 & need) != need)
			bt_ud(c);
	} else if (unit != UNIT_X87) {
		if (c->cr0 & X86_CR0_EM || (unit == UNIT_SSE && !(c->cr4 & X86_CR4_OSFXSR)))
			bt_ud(c);
	} else if (c->cr0 & X86_CR0_EM) {
		bt_raise(c, X86_NM);
	}
	if (c->cr0 & X86_CR0_TS)
		bt_raise(c, X86_NM);
}

void pure_check_vector(struct bt_cpu *c, const struct insn *i)
{
	check_unit(c, i->evex ? UNIT_AVX512 : i->vex ? UNIT_AVX : UNIT_SSE);
}

void pure_check(struct bt_cpu *c, const struct pure_stub *s)
{
	check_unit(c, s->unit);
	if (s->flags & PS_MMX)
		x87_check(c);
}

/* What a stub may change, to be put back when it turns out to fault. */
struct kept {
	uint8_t zmm[64], fx[160];
	uint64_t k, gpr, rflags;
	uint8_t cc;
};

static void keep_state(struct bt_cpu *c, const struct insn *i, struct kept *k, bool back)
{
	const unsigned reg = i->op[0].reg;

#define KEEP(a, b) (back ? memcpy(&(b), &(a), sizeof(a)) : memcpy(&(a), &(b), sizeof(a)))
	switch (i->op[0].kind) {
	case OP_VEC: KEEP(k->zmm, c->ext.zmm[reg & 31]); break;
	case OP_K: KEEP(k->k, c->ext.k[reg & 7]); break;
	case OP_REG: KEEP(k->gpr, c->gpr[reg & 15]); break;
	case OP_MMX: KEEP(k->fx, c->ext.fx); break;
	default: break;
	}
	KEEP(k->rflags, c->rflags);
	KEEP(k->cc, c->cc);
#undef KEEP
}

/*
 * The ABI wants MXCSR's control bits as they were, and they are, nearly always.  Flags it leaves to
 * us: they stay the guest's, because reading MXCSR is some 20 ns slower behind a change of them.
 */
static inline void run_stub(struct bt_cpu *c, const struct pure_stub *s, void *mem)
{
	pure_entry(s)(c, mem);
	if (UNLIKELY(s->flags & PS_FP && (c->ext.mxcsr & ~MX_FLAGS) != MX_MASKS)) {
		const uint32_t host = MX_MASKS | (c->ext.mxcsr & MX_FLAGS);

		__asm__ volatile("ldmxcsr %0" ::"m"(host));
	}
}

static uint32_t run_masked(struct bt_cpu *c, const struct pure_stub *s, void *mem, uint32_t mxcsr)
{
	c->ext.mxcsr = (mxcsr & ~MX_FLAGS) | MX_MASKS;
	run_stub(c, s, mem);
	return c->ext.mxcsr & MX_FLAGS;
}

/* Some exceptions are unmasked.  True: #XM is due, and nothing but the flags has changed. */
static bool run_trapping(struct bt_cpu *c, const struct insn *i, const struct pure_stub *s,
			 void *mem)
{
	const uint32_t guest = c->ext.mxcsr, open = ~guest >> 7 & MX_FLAGS;
	uint32_t raised = 0, due;
	struct kept k;

	keep_state(c, i, &k, false);
	if (open & MX_UE) {
		raised = run_masked(c, s, mem, guest | MX_FTZ) & MX_UE;
		keep_state(c, i, &k, true);
	}
	raised |= run_masked(c, s, mem, open & MX_UE ? guest & ~MX_FTZ : guest);
	due = raised & open;
	if (due & MX_PRE)
		raised &= MX_PRE;
	if (due)
		keep_state(c, i, &k, true);
	c->ext.mxcsr = guest | raised;
	return due != 0;
}

_Noreturn void pure_raise_xm(struct bt_cpu *c)
{
	if (c->cr4 & X86_CR4_OSXMMEXCPT)
		bt_raise(c, X86_XM);
	bt_ud(c);
}

bool pure_run_on(struct bt_cpu *c, const struct insn *i, const struct pure_stub *s, void *mem)
{
	if (s->flags & (PS_SETTLE | PS_MMX)) {
		if (s->flags & PS_SETTLE)
			flags_settle(c);
		if (s->flags & PS_MMX)
			x87_to_mmx(c);
	}
	if (UNLIKELY(s->flags & PS_FP && (c->ext.mxcsr & MX_MASKS) != MX_MASKS))
		return run_trapping(c, i, s, mem);
	run_stub(c, s, mem);
	return false;
}

/* The operand is not simply there: another page, a device, a watched page, or it may trap. */
static void run_apart(struct bt_cpu *c, const struct insn *i, const struct pure_stub *s, uint64_t la)
{
	const enum bt_access how = !(s->flags & PS_WRITE) ? BT_READ
				   : s->flags & PS_READ	  ? BT_RMW
							  : BT_WRITE;
	struct bt_bounce b;
	_Alignas(64) uint8_t apart[64];
	void *mem = bt_get(c, la, s->mem, how, false, &b);
	bool due;

	memcpy(apart, mem, s->mem);
	due = pure_run_on(c, i, s, apart);
	if (how != BT_READ && !due)
		memcpy(mem, apart, s->mem);
	bt_put(c, &b, how != BT_READ && !due);
	if (due)
		pure_raise_xm(c);
}

void exec_pure(struct bt_cpu *c, const struct insn *i)
{
	const struct pure_stub *s = pure_stub_of(c, i);
	enum bt_access how;
	uint64_t la;
	void *mem;

	pure_check(c, s);
	if (!s->mem) {
		if (UNLIKELY(pure_run_on(c, i, s, NULL)))
			pure_raise_xm(c);
		return;
	}
	how = s->flags & PS_WRITE ? BT_WRITE : BT_READ;
	la = bt_la(c, i, s->mem, how);
	if (UNLIKELY(la & s->align))
		bt_gp0(c);
	if (how == BT_WRITE)
		mem = bt_write_ptr(c, la, s->mem);
	else
		mem = (void *)(uintptr_t)bt_read_ptr(c, la, s->mem);
	if (UNLIKELY(!mem || (s->flags & (PS_FP | PS_WRITE)) == (PS_FP | PS_WRITE))) {
		if (s->flags & PS_MASKED)
			lanes_masked(c, i, s, la);
		else
			run_apart(c, i, s, la);
		return;
	}
	if (UNLIKELY(pure_run_on(c, i, s, mem)))
		pure_raise_xm(c);
}
