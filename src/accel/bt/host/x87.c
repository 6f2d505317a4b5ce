/*
 * accel/bt/host/x87.c - x87 arithmetic on the host's unit, and the instructions that control it.
 *
 * The stub of an arithmetic instruction loads the whole unit, executes, and saves it whole; behind
 * it the host's unit is empty, with the control word of FNINIT and nothing pending.  An exception
 * that the guest has unmasked is therefore never raised on the host: it is seen in the image (ES),
 * and raised as #MF before the guest's next waiting instruction, as the architecture wants it.
 *
 * With CR0.NE clear a PC would signal FERR# and get IRQ 13, or go on with IGNNE# asserted.  Here
 * instructions go on, always, and there is no IRQ 13: no guest that boots on a CPU of this class
 * clears NE.  Pending exceptions are put aside while the host executes one.
 *
 * Instruction and data pointers.  The image is loaded with zeros in their place; what the host
 * stores there other than 0 says that it updates the pointer (when and which differs between CPUs)
 * and becomes the guest's own.  FCS and FDS are 0, as CPUID.7.0:EBX[13] says.
 */
#include "accel/bt/exec.h"
#include "accel/bt/flags.h"
#include "accel/bt/host/fx.h"
#include "accel/bt/host/host.h"
#include "accel/bt/mmu.h"

void fx_normalize(struct bt_cpu *c)
{
	const unsigned fcw = (fx_get16(c, FX_FCW) & 0x1f3fu) | 0x40u;
	unsigned fsw = fx_get16(c, FX_FSW) & ~FSW_ES;

	if (fsw & ~fcw & FSW_FLAGS)
		fsw |= FSW_ES;
	fx_set16(c, FX_FCW, fcw);
	fx_set16(c, FX_FSW, fsw);
}

bool x87_pending(const struct bt_cpu *c)
{
	return fx_get16(c, FX_FSW) & FSW_ES;
}

void x87_check(struct bt_cpu *c)
{
	if (UNLIKELY(x87_pending(c) && c->cr0 & X86_CR0_NE))
		bt_raise(c, X86_MF);
}

/* What all but FWAIT begin with; @waiting: not one of the FN… */
static void check(struct bt_cpu *c, bool waiting)
{
	if (UNLIKELY(c->cr0 & (X86_CR0_EM | X86_CR0_TS)))
		bt_raise(c, X86_NM);
	if (waiting)
		x87_check(c);
}

/* Registers do not move when TOP changes, but their places in the image do. */
static void set_top(struct bt_cpu *c, unsigned top)
{
	const unsigned fsw = fx_get16(c, FX_FSW);
	const unsigned by = (top - FSW_TOP(fsw)) & 7u;
	uint8_t regs[8][16];

	if (!by)
		return;
	memcpy(regs, c->ext.fx + FX_ST, sizeof(regs));
	for (unsigned n = 0; n < 8; n++)
		memcpy(c->ext.fx + FX_ST + n * 16, regs[(n + by) & 7], 16);
	fx_set16(c, FX_FSW, (fsw & ~0x3800u) | top << 11);
}

void x87_to_mmx(struct bt_cpu *c)
{
	set_top(c, 0);
	c->ext.fx[FX_FTW] = 0xff;
}

/* Arithmetic. -------------------------------------------------------------------------------- */

struct pointers {
	uint64_t fip, fdp;
	uint16_t fop, aside; /* aside: flags of exceptions that are pending and ignored */
};

static void before(struct bt_cpu *c, struct pointers *p)
{
	/* Control bits as the ABI wants them, flags as they are: see run_stub in pure.c. */
	const uint32_t mxcsr = 0x1f80 | (c->ext.mxcsr & 0x3f);

	p->fip = fx_get64(c, FX_FIP);
	p->fdp = fx_get64(c, FX_FDP);
	p->fop = fx_get16(c, FX_FOP);
	p->aside = 0;
	fx_set64(c, FX_FIP, 0);
	fx_set64(c, FX_FDP, 0);
	fx_set16(c, FX_FOP, 0);
	memcpy(c->ext.fx + FX_MXCSR, &mxcsr, sizeof(mxcsr));
	if (UNLIKELY(x87_pending(c))) {
		p->aside = fx_get16(c, FX_FSW) & FSW_FLAGS;
		fx_set16(c, FX_FSW, fx_get16(c, FX_FSW) & ~(FSW_ES | FSW_FLAGS));
	}
}

static void after(struct bt_cpu *c, const struct insn *i, const struct pointers *p)
{
	fx_set64(c, FX_FIP, fx_get64(c, FX_FIP) ? c->rip : p->fip);
	fx_set64(c, FX_FDP, fx_get64(c, FX_FDP) ? bt_ea(c, i) : p->fdp);
	if (fx_get16(c, FX_FOP))
		fx_set16(c, FX_FOP, (insn_table[i->row].op & 7u) << 8 | i->modrm);
	else
		fx_set16(c, FX_FOP, p->fop);
	if (UNLIKELY(p->aside)) {
		fx_set16(c, FX_FSW, fx_get16(c, FX_FSW) | p->aside);
		fx_normalize(c);
	}
}

static void run(struct bt_cpu *c, const struct insn *i, const struct pure_stub *s, void *mem)
{
	struct pointers p;

	if (s->flags & PS_SETTLE)
		flags_settle(c);
	before(c, &p);
	pure_entry(s)(c, mem);
	/* Both leave the stack empty; EMMS is faster, but keeps control and raises what is pending.
	 */
	if (LIKELY(fx_get16(c, FX_FCW) == FCW_INIT && !x87_pending(c)))
		__asm__ volatile("emms");
	else
		__asm__ volatile("fninit");
	after(c, i, &p);
}

/*
 * A store whose memory is not simply there.  It is not written when an invalid operation, overflow
 * or underflow is raised and unmasked.
 */
static void store_apart(struct bt_cpu *c, const struct insn *i, const struct pure_stub *s,
			uint64_t la)
{
	uint8_t apart[16];
	struct bt_bounce b;
	void *mem = bt_get(c, la, s->mem, BT_WRITE, false, &b);
	unsigned open;

	run(c, i, s, apart);
	open = fx_get16(c, FX_FSW) & ~fx_get16(c, FX_FCW) & 0x19u;
	if (!open)
		memcpy(mem, apart, s->mem);
	bt_put(c, &b, !open);
}

void exec_x87(struct bt_cpu *c, const struct insn *i)
{
	const struct pure_stub *s = pure_stub_of(c, i);
	uint8_t apart[16];
	uint64_t la;
	void *mem;

	check(c, true);
	if (!s->mem) {
		run(c, i, s, NULL);
	} else if (s->flags & PS_WRITE) {
		la = bt_la(c, i, s->mem, BT_WRITE);
		mem = bt_write_ptr(c, la, s->mem);
		if (LIKELY(mem))
			run(c, i, s, mem);
		else
			store_apart(c, i, s, la);
	} else {
		la = bt_la(c, i, s->mem, BT_READ);
		mem = (void *)(uintptr_t)bt_read_ptr(c, la, s->mem);
		if (UNLIKELY(!mem)) {
			bt_ld_block(c, la, apart, s->mem);
			mem = apart;
		}
		run(c, i, s, mem);
	}
}

/* Control. ----------------------------------------------------------------------------------- */

static void init(struct bt_cpu *c)
{
	set_top(c, 0);
	fx_set16(c, FX_FCW, FCW_INIT);
	fx_set16(c, FX_FSW, 0);
	fx_set16(c, FX_FTW, 0);
	fx_set16(c, FX_FOP, 0);
	fx_set64(c, FX_FIP, 0);
	fx_set64(c, FX_FDP, 0);
}

void exec_x87_fninit(struct bt_cpu *c, const struct insn *i)
{
	(void)i;
	check(c, false);
	init(c);
}

void exec_x87_fnclex(struct bt_cpu *c, const struct insn *i)
{
	(void)i;
	check(c, false);
	fx_set16(c, FX_FSW, fx_get16(c, FX_FSW) & 0x7f00u);
}

void exec_x87_fnstcw(struct bt_cpu *c, const struct insn *i)
{
	check(c, false);
	bt_st16(c, bt_la(c, i, 2, BT_WRITE), fx_get16(c, FX_FCW));
}

void exec_x87_fnstsw(struct bt_cpu *c, const struct insn *i)
{
	check(c, false);
	bt_st16(c, bt_la(c, i, 2, BT_WRITE), fx_get16(c, FX_FSW));
}

void exec_x87_fnstsw_ax(struct bt_cpu *c, const struct insn *i)
{
	(void)i;
	check(c, false);
	c->gpr[X86_RAX] = (c->gpr[X86_RAX] & ~UINT64_C(0xffff)) | fx_get16(c, FX_FSW);
}

void exec_x87_fldcw(struct bt_cpu *c, const struct insn *i)
{
	check(c, true);
	fx_set16(c, FX_FCW, bt_ld16(c, bt_la(c, i, 2, BT_READ)));
	fx_normalize(c);
}

/* CR0.MP decides whether TS matters (SDM 3A table 2-2); EM does not. */
void exec_fwait(struct bt_cpu *c, const struct insn *i)
{
	(void)i;
	if ((c->cr0 & (X86_CR0_MP | X86_CR0_TS)) == (X86_CR0_MP | X86_CR0_TS))
		bt_raise(c, X86_NM);
	x87_check(c);
}

void exec_emms(struct bt_cpu *c, const struct insn *i)
{
	(void)i;
	if (c->cr0 & X86_CR0_EM)
		bt_ud(c);
	if (c->cr0 & X86_CR0_TS)
		bt_raise(c, X86_NM);
	x87_check(c);
	set_top(c, 0);
	c->ext.fx[FX_FTW] = 0;
}

/* The environment (SDM 1 §8.1.10). ----------------------------------------------------------- */

#define ENV_MAX 28u

/* The tag word with its two bits for each register, as FNSTENV makes it of the contents. */
static unsigned full_tags(const struct bt_cpu *c)
{
	const unsigned top = FSW_TOP(fx_get16(c, FX_FSW));
	unsigned tags = 0;

	for (unsigned r = 0; r < 8; r++) {
		const uint8_t *st = c->ext.fx + FX_ST + ((r - top) & 7u) * 16;
		unsigned exp, tag;
		uint64_t frac;

		memcpy(&frac, st, sizeof(frac));
		exp = (st[8] | (unsigned)st[9] << 8) & 0x7fff;
		if (!(c->ext.fx[FX_FTW] >> r & 1))
			tag = 3; /* empty */
		else if (exp == 0 && frac == 0)
			tag = 1; /* zero */
		else if (exp == 0 || exp == 0x7fff || !(frac >> 63))
			tag = 2; /* special */
		else
			tag = 0;
		tags |= tag << (r * 2);
	}
	return tags;
}

static void put_words(uint8_t *to, bool wide, const uint32_t *v)
{
	for (unsigned n = 0; n < 7; n++) {
		if (wide)
			memcpy(to + n * 4, &v[n], 4);
		else
			memcpy(to + n * 2, &v[n], 2);
	}
}

static void get_words(const uint8_t *from, bool wide, uint32_t *v)
{
	memset(v, 0, 7 * sizeof(*v));
	for (unsigned n = 0; n < 7; n++)
		memcpy(&v[n], from + n * (wide ? 4 : 2), wide ? 4 : 2);
}

/*
 * Fields in order: FCW, FSW, FTW, FIP, FCS and FOP, FDP, FDS.  In real and virtual-8086 mode the
 * upper bits of the pointers stand where selectors do otherwise; the 16-bit protected layout has no
 * FOP.
 */
static bool real_layout(const struct bt_cpu *c)
{
	return !c->mode.prot || c->mode.vm86;
}

static void env_store(const struct bt_cpu *c, bool wide, uint8_t *to)
{
	const uint32_t ones = wide ? 0xffff0000u : 0;
	const uint32_t fip = (uint32_t)fx_get64(c, FX_FIP), fdp = (uint32_t)fx_get64(c, FX_FDP);
	const uint32_t fop = fx_get16(c, FX_FOP);
	uint32_t v[7] = {ones | fx_get16(c, FX_FCW),
			 ones | fx_get16(c, FX_FSW),
			 ones | full_tags(c),
			 fip,
			 0,
			 fdp,
			 ones};

	if (real_layout(c)) {
		const uint32_t upper = wide ? 0xffff : 0xf;

		v[3] = ones | (fip & 0xffff);
		v[4] = (fip >> 16 & upper) << 12 | fop;
		v[5] = ones | (fdp & 0xffff);
		v[6] = (fdp >> 16 & upper) << 12;
	} else if (wide) {
		v[4] = fop << 16;
	}
	put_words(to, wide, v);
}

static void env_load(struct bt_cpu *c, bool wide, const uint8_t *from)
{
	uint32_t v[7], fop = 0, tags = 0;

	get_words(from, wide, v);
	if (real_layout(c)) {
		fop = v[4] & 0x7ff;
		v[3] = (v[3] & 0xffff) | v[4] >> 12 << 16;
		v[5] = (v[5] & 0xffff) | v[6] >> 12 << 16;
	} else if (wide) {
		fop = v[4] >> 16 & 0x7ff;
	}
	for (unsigned r = 0; r < 8; r++)
		tags |= ((v[2] >> (r * 2) & 3) != 3) << r;
	set_top(c, FSW_TOP(v[1]));
	fx_set16(c, FX_FCW, v[0]);
	fx_set16(c, FX_FSW, v[1]);
	c->ext.fx[FX_FTW] = (uint8_t)tags;
	fx_set16(c, FX_FOP, fop);
	fx_set64(c, FX_FIP, v[3]);
	fx_set64(c, FX_FDP, v[5]);
	fx_normalize(c);
}

void exec_x87_fnstenv(struct bt_cpu *c, const struct insn *i)
{
	const bool wide = i->osize != 2;
	const unsigned n = wide ? 28 : 14;
	uint8_t b[ENV_MAX];

	check(c, false);
	env_store(c, wide, b);
	bt_st_block(c, bt_la(c, i, n, BT_WRITE), b, n);
	fx_set16(c, FX_FCW, fx_get16(c, FX_FCW) | FSW_FLAGS);
	fx_normalize(c);
}

void exec_x87_fldenv(struct bt_cpu *c, const struct insn *i)
{
	const bool wide = i->osize != 2;
	const unsigned n = wide ? 28 : 14;
	uint8_t b[ENV_MAX];

	check(c, true);
	bt_ld_block(c, bt_la(c, i, n, BT_READ), b, n);
	env_load(c, wide, b);
}

void exec_x87_fnsave(struct bt_cpu *c, const struct insn *i)
{
	const bool wide = i->osize != 2;
	const unsigned n = wide ? 28 : 14;
	uint8_t b[ENV_MAX + 80];

	check(c, false);
	env_store(c, wide, b);
	for (unsigned r = 0; r < 8; r++)
		memcpy(b + n + r * 10, c->ext.fx + FX_ST + r * 16, 10);
	bt_st_block(c, bt_la(c, i, n + 80, BT_WRITE), b, n + 80);
	init(c);
}

void exec_x87_frstor(struct bt_cpu *c, const struct insn *i)
{
	const bool wide = i->osize != 2;
	const unsigned n = wide ? 28 : 14;
	uint8_t b[ENV_MAX + 80];

	check(c, true);
	bt_ld_block(c, bt_la(c, i, n + 80, BT_READ), b, n + 80);
	env_load(c, wide, b);
	for (unsigned r = 0; r < 8; r++)
		memcpy(c->ext.fx + FX_ST + r * 16, b + n + r * 10, 10);
}
