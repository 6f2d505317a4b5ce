/*
 * tests/insn/gen.c - random instructions out of rows of the instruction table, and states that keep
 * them in the little world.
 *
 * Prefixes, opcode and ModRM are made from the row; all bytes behind them are random, and the
 * decoder says how many there are.  Then registers (or the displacement) are chosen so that the
 * memory operand is in the two data pages, or now and then across their end.
 */
#include <string.h>

#include "arch/x86/vcpu.h"
#include "insn_test.h"

#define IS_VEX(row)  ((row)->map >= MAP_V0F && (row)->map <= MAP_V3A)
#define IS_EVEX(row) ((row)->map >= MAP_E0F)

/* Meanings that are not a program's, or whose outcome is not the CPU's alone. */
static const struct {
	const char *name, *why;
} left_out[] = {
	{"syscall", "it enters the host's kernel"},
	{"sysenter", "it enters the host's kernel"},
	{"int", "it enters the host's kernel"},
	{"int1", "its trap cannot be told from the end of a step"},
	{"int3", "its trap cannot be told from the end of a step"},
	{"cpuid", "the two CPUs are not the same"},
	{"rdtsc", "time passes"},
	{"rdtscp", "time passes"},
	{"rdpid", "the host's number is its own"},
	{"rdrand", "it is random"},
	{"rdseed", "it is random"},
	{"xgetbv", "the two CPUs are not the same"},
	{"rdfsbase", "the host's program lives by its FS"},
	{"rdgsbase", "the host's program lives by its GS"},
	{"wrfsbase", "the host's program lives by its FS"},
	{"wrgsbase", "the host's program lives by its GS"},
	{"mov_sreg", "the host's descriptor tables are its own"},
	{"lar", "the host's descriptor tables are its own"},
	{"lsl", "the host's descriptor tables are its own"},
	{"verr", "the host's descriptor tables are its own"},
	{"verw", "the host's descriptor tables are its own"},
	{"sgdt", "the host's descriptor tables are its own"},
	{"sidt", "the host's descriptor tables are its own"},
	{"sldt", "the host's descriptor tables are its own"},
	{"str", "the host's descriptor tables are its own"},
	{"smsw", "the host's CR0 is its own"},
	{"lss", "the host's descriptor tables are its own"},
	{"lfs", "the host's descriptor tables are its own"},
	{"lgs", "the host's descriptor tables are its own"},
	{"popf", "the host keeps flags that it traps by"},
	{"pushf", "the host's flags show the trap"},
	{"vmcall", "the host's hypervisor hears it"},
	{"vmmcall", "the host's hypervisor hears it"},
	{"xsave", "its image's layout is compared by tests/unit/bt_xsave.c"},
	{"xsaveopt", "its image's layout is compared by tests/unit/bt_xsave.c"},
	{"xsavec", "its image's layout is compared by tests/unit/bt_xsave.c"},
	{"xrstor", "random headers load states that the host optimises"},
	{"fxsave", "it stores pointers that the host keeps"},
	{"fxsave64", "it stores pointers that the host keeps"},
	{"fxrstor", "random images only fault; see tests/unit/bt_xsave.c"},
	{"fxrstor64", "random images only fault; see tests/unit/bt_xsave.c"},
	{"fnstenv", "it stores pointers that the host keeps"},
	{"fnsave", "it stores pointers that the host keeps"},
	{"hlt", "a fault at CPL 3, the same as any other privileged one"},
};

/* The first of a row's names. */
static bool is_named(const struct insn_row *row, const char *name)
{
	const char *at = row->name;
	size_t len = strlen(name);

	for (;;) {
		size_t n = strcspn(at, "|");

		if (n == len && !memcmp(at, name, n))
			return true;
		if (!at[n])
			return false;
		at += n + 1;
	}
}

const char *gen_left_out(const struct insn_row *row)
{
	if (row->attr & A_I64)
		return "not in 64-bit mode";
	if (row->attr & A_CPL0)
		return "a fault at CPL 3, the same as any other privileged one";
	for (unsigned n = 0; n < row->n_ops; n++)
		if (row->ops[n].where == AT_FAR || row->ops[n].where == AT_SEG ||
		    row->ops[n].where == AT_SEG_FIXED || row->ops[n].size == SZ_P)
			return "the host's descriptor tables are its own";
	for (size_t n = 0; n < sizeof(left_out) / sizeof(left_out[0]); n++)
		if (is_named(row, left_out[n].name))
			return left_out[n].why;
	if (is_named(row, "iret") || is_named(row, "iretd") || is_named(row, "iretq") ||
	    is_named(row, "retf"))
		return "the host's descriptor tables are its own";
	return NULL;
}

struct maker {
	struct rng *r;
	const struct machine *m;
	const struct insn_row *row;
	uint8_t *b;
	unsigned n;
	unsigned modrm_at; /* 0: there is none */
	unsigned mode;	   /* 2, 4, 8: size of code */
};

static void byte(struct maker *k, unsigned b)
{
	k->b[k->n++] = (uint8_t)b;
}

static bool chance(struct maker *k, unsigned percent)
{
	return rng_below(k->r, 100) < percent;
}

static bool uses(const struct insn_row *row, unsigned a, unsigned b, unsigned c)
{
	for (unsigned n = 0; n < row->n_ops; n++)
		if (row->ops[n].where == a || row->ops[n].where == b || row->ops[n].where == c)
			return true;
	return false;
}

static void legacy_prefixes(struct maker *k)
{
	const struct insn_row *row = k->row;
	unsigned rex = 0;

	if ((row->attr & A_LOCK) && chance(k, 20))
		byte(k, 0xf0);
	if ((row->pfx == PA && chance(k, 20)) || row->pfx == P66)
		byte(k, 0x66);
	if (row->attr & (A_REP | A_REPZ) && chance(k, 60))
		byte(k, (row->attr & A_REPZ) && chance(k, 50) ? 0xf2 : 0xf3);
	if (row->pfx == PF3)
		byte(k, 0xf3);
	if (row->pfx == PF2)
		byte(k, 0xf2);
	if (chance(k, 4))
		byte(k, 0x67);
	if (chance(k, 50))
		rex = 0x40 | (unsigned)rng_below(k->r, 16);
	if (row->wl & W_1)
		rex |= 0x48;
	if (row->wl & W_0)
		rex &= ~8u;
	if ((row->attr & A_NOREXB) && rex)
		rex &= ~1u;
	if (rex && k->mode == 8)
		byte(k, rex | 0x40);
}

static void opcode_maps(struct maker *k)
{
	if (k->row->map >= MAP_0F)
		byte(k, 0x0f);
	if (k->row->map == MAP_38)
		byte(k, 0x38);
	if (k->row->map == MAP_3A)
		byte(k, 0x3a);
}

static unsigned pick_w(struct maker *k)
{
	return k->row->wl & W_1 ? 1 : k->row->wl & W_0 ? 0 : (unsigned)rng_below(k->r, 2);
}

static unsigned pick_l(struct maker *k, bool evex)
{
	unsigned have[3], n = 0, wl = k->row->wl & (L_0 | L_1 | L_2);

	for (unsigned l = 0; l < (evex ? 3u : 2u); l++)
		if (!wl || (wl & (L_0 << l)))
			have[n++] = l;
	return n ? have[rng_below(k->r, n)] : 0;
}

static unsigned pick_vvvv(struct maker *k, bool used, unsigned bits)
{
	return used ? (unsigned)rng_below(k->r, 1u << bits) : (1u << bits) - 1;
}

static unsigned simd_pp(const struct insn_row *row)
{
	return row->pfx == P66 ? 1 : row->pfx == PF3 ? 2 : row->pfx == PF2 ? 3 : 0;
}

static void vex(struct maker *k)
{
	bool used = uses(k->row, AT_VVVV, AT_VVVVV, AT_KVVVV);
	unsigned map = k->row->map - MAP_V0F + 1;
	unsigned rxb = uses(k->row, AT_KREG, AT_KRM, AT_KVVVV) ? 7 : (unsigned)rng_below(k->r, 8);
	unsigned v = uses(k->row, AT_KVVVV, AT_KVVVV, AT_KVVVV) ? 8 | (unsigned)rng_below(k->r, 8)
								: pick_vvvv(k, used, 4);
	unsigned w = pick_w(k), l = pick_l(k, false);

	if (k->mode != 8) { /* else it is LES or LDS */
		rxb = 7;
		v |= 8;
	}
	if (map == 1 && !w && (rxb & 3) == 3 && chance(k, 50)) {
		byte(k, 0xc5);
		byte(k, (rxb & 4) << 5 | v << 3 | l << 2 | simd_pp(k->row));
		return;
	}
	byte(k, 0xc4);
	byte(k, rxb << 5 | map);
	byte(k, w << 7 | v << 3 | l << 2 | simd_pp(k->row));
}

/* *@ll_at: where the byte with z, L'L, b and aaa is, for what depends on ModRM. */
static unsigned evex(struct maker *k)
{
	const struct insn_row *row = k->row;
	bool used = uses(row, AT_VVVV, AT_VVVVV, AT_KVVVV),
	     vsib = uses(row, AT_VSIB, AT_VSIB, AT_VSIB);
	unsigned map = row->map - MAP_E0F + 1, v = pick_vvvv(k, used, 5), p2 = 0;
	unsigned rxbr = (unsigned)rng_below(k->r, 16);

	if (uses(row, AT_KREG, AT_KREG, AT_KREG))
		rxbr |= 9; /* opmasks have three bits */
	if (vsib && !used)
		v = (v & 15) | (unsigned)rng_below(k->r, 2) << 4;
	if ((row->attr & A_MASK) && (chance(k, 50) || (row->attr & A_NOK0)))
		p2 |= 1 + (unsigned)rng_below(k->r, 7);
	if ((row->attr & A_ZERO) && (p2 & 7) && chance(k, 40))
		p2 |= 0x80;
	p2 |= pick_l(k, true) << 5 | (v & 16) >> 1;
	if (k->mode != 8) { /* else it is BOUND */
		rxbr = 15;
		v |= 8;
	}
	byte(k, 0x62);
	byte(k, rxbr << 4 | map);
	byte(k, pick_w(k) << 7 | (v & 15) << 3 | 4 | simd_pp(row));
	byte(k, p2);
	return k->n - 1;
}

static void modrm(struct maker *k)
{
	unsigned mod = k->row->mod, b = (unsigned)rng_below(k->r, 256), kind = mod & 0x1f0;

	if (mod == MOD_NONE || mod == MOD_PLUS)
		return;
	if (mod & 0x100) {
		byte(k, mod & 0xff);
		return;
	}
	if (kind == 0x20 || mod == MOD_RM)
		b = (b & 0x3f) | (unsigned)rng_below(k->r, 3) << 6;
	else if (kind == 0x30 || mod == MOD_RR || chance(k, 20))
		b |= 0xc0;
	if (kind)
		b = (b & ~0x38u) | (mod & 7) << 3;
	if (uses(k->row, AT_VSIB, AT_VSIB, AT_VSIB))
		b = (b & ~7u) | 4;
	k->modrm_at = k->n;
	byte(k, b);
}

static void make_bytes(struct maker *k)
{
	const struct insn_row *row = k->row;
	unsigned evex_at = 0, op = row->op;

	if (IS_EVEX(row)) {
		evex_at = evex(k);
	} else if (IS_VEX(row)) {
		vex(k);
	} else {
		legacy_prefixes(k);
		opcode_maps(k);
	}
	if (row->mod == MOD_PLUS)
		op |= (unsigned)rng_below(k->r, 8);
	byte(k, op);
	modrm(k);
	if (evex_at && k->modrm_at) {
		bool mem = k->b[k->modrm_at] < 0xc0;

		if (mem && (row->attr & (A_BC32 | A_BC64)) && chance(k, 40))
			k->b[evex_at] |= 0x10;
		if (!mem && (row->attr & (A_ER | A_SAE)) && chance(k, 40))
			k->b[evex_at] |= 0x10;
	}
	while (k->n < 16) {
		uint64_t x = rng_next(k->r);

		/* Small displacements and immediates as well as any. */
		byte(k, chance(k, 30) ? 0 : chance(k, 20) ? 0xff : (unsigned)(x >> 56));
	}
}

static const uint64_t corners[] = {0,
				   1,
				   2,
				   0x7f,
				   0x80,
				   0xff,
				   0x7fff,
				   0x8000,
				   0xffff,
				   0x7fffffff,
				   0x80000000,
				   0xffffffff,
				   0x7fffffffffffffff,
				   0x8000000000000000,
				   0xffffffffffffffff};

static uint64_t value(struct rng *r)
{
	uint64_t x = rng_next(r);

	switch (x & 7) {
	case 0: return corners[(x >> 8) % (sizeof(corners) / sizeof(corners[0]))];
	case 1: return x >> 8 & 0xff;
	case 2: return (uint64_t)(int64_t)(int32_t)(x >> 16);
	case 3: return x >> (x >> 8 & 63);
	default: return rng_next(r);
	}
}

/* Floating-point numbers of all kinds, so that their rules are met. */
static void vector(struct rng *r, uint8_t *z)
{
	static const uint32_t f32[] = {0,	   0x80000000, 0x3f800000, 0xbf800000,
				       0x7f800000, 0xff800000, 0x7fc00000, 0x7f800001,
				       1,	   0x007fffff, 0x7f7fffff, 0x4f000000};
	static const uint64_t f64[] = {0,
				       0x8000000000000000,
				       0x3ff0000000000000,
				       0x7ff0000000000000,
				       0x7ff8000000000000,
				       0x7ff0000000000001,
				       1,
				       0x7fefffffffffffff,
				       0x43e0000000000000,
				       0xc1e0000000000000};
	unsigned kind = (unsigned)rng_below(r, 4);

	for (unsigned n = 0; n < 64; n += 8) {
		uint64_t x = rng_next(r);

		if (kind == 1 && (x & 3))
			x = f32[(x >> 8) % 12] | (uint64_t)f32[(x >> 32) % 12] << 32;
		if (kind == 2 && (x & 3))
			x = f64[(x >> 8) % 10];
		if (kind == 3)
			x = (0x3ff0000000000000u + (x >> 12 << 3)) ^ (x & 1) << 63;
		memcpy(z + n, &x, 8);
	}
}

static void x87(struct rng *r, struct world *w)
{
	static const uint16_t exponents[] = {0x3fff, 0x4000, 0xbfff, 0,
					     0x7fff, 0x8000, 0x403e, 0x3f81};

	for (unsigned n = 0; n < 8; n++) {
		uint64_t m = rng_next(r) | (rng_below(r, 8) ? UINT64_C(1) << 63 : 0);
		uint16_t e = rng_below(r, 3) ? exponents[rng_below(r, 8)] : (uint16_t)rng_next(r);

		if (!rng_below(r, 4))
			m = UINT64_C(1) << 63;
		memcpy(w->st[n], &m, 8);
		memcpy(w->st[n] + 8, &e, 2);
	}
	w->fcw = 0x37f;
	if (!rng_below(r, 2)) /* precision and rounding */
		w->fcw = (uint16_t)(0x7f | (rng_next(r) & 0xc00) |
				    (rng_below(r, 3) ? 0x300 : 0x200));
	w->fsw = (uint16_t)(rng_next(r) & 0x7d00);
	w->ftw = rng_below(r, 3) ? 0xff : (uint8_t)rng_next(r);
}

static void make_state(struct maker *k, struct world *w)
{
	struct rng *r = k->r;

	for (unsigned n = 0; n < 16; n++)
		w->gpr[n] = value(r);
	w->gpr[X86_RSP] = WORLD_DATA + 0x800 + rng_below(r, 0x800);
	if (rng_below(r, 2))
		w->gpr[X86_RSP] &= ~15u;
	w->rflags = 2 | (rng_next(r) & 0x8d5) | (rng_below(r, 8) ? 0 : 0x400);
	for (unsigned n = 0; n < 32; n++)
		vector(r, w->zmm[n]);
	if (!k->m->avx512) {
		memset(w->zmm[16], 0, sizeof(w->zmm) / 2);
		for (unsigned n = 0; n < 16; n++)
			memset(w->zmm[n] + 32, 0, 32);
	}
	for (unsigned n = 0; n < 8; n++)
		w->k[n] = k->m->avx512 ? value(r) : 0;
	x87(r, w);
	w->mxcsr = 0x1f80;
	if (!rng_below(r, 3)) /* rounding, FTZ, DAZ, flags, now and then an exception unmasked */
		w->mxcsr = (uint32_t)((rng_next(r) & 0xe07f) |
				      (rng_below(r, 3) ? 0x1f80 : rng_next(r) & 0x1f80));
	for (unsigned n = 0; n < WORLD_DATA_LEN; n += 64)
		vector(r, w->data + n);
}

/* Where the operand shall be: mostly aligned as instructions like it, now and then at the edge. */
static uint64_t target(struct maker *k, unsigned size)
{
	uint64_t off = rng_below(k->r, WORLD_DATA_LEN - 128);

	if (chance(k, 3))
		return WORLD_DATA + WORLD_DATA_LEN - rng_below(k->r, size ? size : 1);
	if (chance(k, 3))
		return WORLD_DATA - rng_below(k->r, 2u * (size ? size : 1));
	if (chance(k, 5))
		return WORLD_DATA + WORLD_PAGE - rng_below(k->r, size ? size : 1);
	return WORLD_DATA + (chance(k, 70) ? off & ~63u : off);
}

static unsigned mem_size(const struct insn *i)
{
	for (unsigned n = 0; n < INSN_OPS; n++)
		if (i->op[n].kind == OP_MEM)
			return i->op[n].size;
	return 0;
}

static void place_vsib(struct maker *k, struct world *w, const struct insn *i)
{
	bool quads = k->row->op & 1; /* indexes of 64 bits */

	for (unsigned n = 0; n < 64; n += quads ? 8 : 4) {
		int64_t x = (int64_t)rng_below(k->r, chance(k, 1) ? UINT64_MAX : 64);

		memcpy(w->zmm[i->index] + n, &x, quads ? 8 : 4);
	}
	w->gpr[i->base] = WORLD_DATA + 1024 + rng_below(k->r, 64) - (uint64_t)i->disp;
}

/* Chooses registers or the displacement so that the operand is at a target; false: cannot. */
static bool place(struct maker *k, struct trial *t, struct insn *i)
{
	struct world *w = &t->before;
	uint64_t at = target(k, mem_size(i)), rest = at - (uint64_t)i->disp;

	if (uses(k->row, AT_VSIB, AT_VSIB, AT_VSIB)) {
		if (i->base == INSN_NOREG || i->base == INSN_RIP || i->base == X86_RSP)
			return false;
		place_vsib(k, w, i);
		return true;
	}
	if (uses(k->row, AT_MOFFS, AT_MOFFS, AT_MOFFS)) {
		memcpy(t->code + i->len - i->asize, &at, i->asize);
		return true;
	}
	if (!k->modrm_at || i->modrm >= 0xc0)
		return true;
	if (i->base == INSN_RIP || (i->base == INSN_NOREG && i->index == INSN_NOREG)) {
		bool rip = i->base == INSN_RIP;
		int32_t d = (int32_t)(at - (rip ? w->rip + i->len : 0));

		memcpy(t->code + k->modrm_at + (rip ? 1 : (i->modrm & 7) == 4 ? 2 : 1), &d, 4);
		return true;
	}
	if (i->base == i->index)
		return false;
	if (i->base == INSN_NOREG) {
		w->gpr[i->index] = rest >> i->scale;
		return i->index != X86_RSP;
	}
	if (i->index != INSN_NOREG)
		rest -= w->gpr[i->index] << i->scale;
	w->gpr[i->base] = rest;
	return i->base != X86_RSP || (at >= WORLD_DATA + 256 && at < WORLD_DATA + 7900);
}

/* What rows use without naming it in ModRM. */
static void place_implied(struct maker *k, struct world *w)
{
	const struct insn_row *row = k->row;

	if (uses(row, AT_SI, AT_DI, AT_SI) || is_named(row, "maskmovq") ||
	    is_named(row, "maskmovdqu") || is_named(row, "vmaskmovdqu")) {
		w->gpr[X86_RSI] = target(k, 16);
		w->gpr[X86_RDI] = target(k, 16);
		w->gpr[X86_RCX] = rng_below(k->r, 24);
	}
	if (is_named(row, "xlatb")) {
		w->gpr[X86_RAX] = rng_below(k->r, 256);
		w->gpr[X86_RBX] = target(k, 256);
	}
	if (is_named(row, "leave") || is_named(row, "enter"))
		w->gpr[X86_RBP] = WORLD_DATA + 0x900 + rng_below(k->r, 0x600);
	/* A bit offset in a register reaches beyond the operand: not beyond the world. */
	if (row->attr & A_LOCK && uses(row, AT_REG, AT_REG, AT_REG) && row->name[0] == 'b')
		for (unsigned n = 0; n < 16; n++)
			if (n != X86_RSP && chance(k, 80))
				w->gpr[n] = rng_below(k->r, 4096);
}

void gen_bytes(struct rng *r, const struct machine *m, unsigned row, unsigned mode, uint8_t *bytes)
{
	struct maker k = {.r = r, .m = m, .row = &insn_table[row], .b = bytes, .mode = mode};

	make_bytes(&k);
}

bool gen_trial(struct rng *r, const struct machine *m, unsigned row, struct trial *t,
	       struct insn *i)
{
	uint8_t bytes[24];
	struct maker k = {.r = r, .m = m, .row = &insn_table[row], .b = bytes, .mode = 8};

	make_bytes(&k);
	if (insn_decode(bytes, 15, 8, &m->features, i) != INSN_OK || i->row != row)
		return false;
	memcpy(t->code, bytes, 15);
	t->len = i->len;
	t->row = (uint16_t)row;
	t->repeats = (k.row->attr & (A_REP | A_REPZ)) && (i->prefixes & (INSN_REP | INSN_REPNE));
	t->repeats |= uses(k.row, AT_VSIB, AT_VSIB, AT_VSIB); /* a trap may come in between */
	make_state(&k, &t->before);
	t->before.rip = WORLD_CODE + 0x100;
	place_implied(&k, &t->before);
	if (!place(&k, t, i))
		return false;
	return insn_decode(t->code, i->len, 8, &m->features, i) == INSN_OK;
}
