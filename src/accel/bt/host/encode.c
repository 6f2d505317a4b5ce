/*
 * accel/bt/host/encode.c - from a decoded instruction to a piece of host code that does it.
 *
 * void stub(struct bt_cpu *c, void *mem): the System V ABI puts c into RDI and mem into RSI, and
 * lets a function clobber all vector, opmask and MMX registers.  A stub
 *
 *	loads the registers its operands name, vector and opmask registers into themselves, general
 *	registers into R8 (ModRM.reg), R9 (ModRM.rm), R10 (VEX.vvvv) or, where they are fixed, into
 *	themselves;
 *	loads flags and MXCSR where the row looks at them;
 *	executes the instruction, its prefixes made anew, its memory operand as [RSI];
 *	stores MXCSR, registers and flags, and leaves the unit as the ABI wants it but for MXCSR
 *	and x87, which stay the guest's.
 *
 * Legacy SSE code moves 16 bytes of a register: such instructions keep the rest.  VEX and EVEX code
 * loads as much as the instruction reads and stores whole registers: what it clears is cleared by
 * the host.  Every operand is loaded, also those only written: a row need not be trusted on that.
 */
#include <string.h>

#include "accel/bt/host/host.h"
#include "base/compiler.h"

enum { RAX, RCX, RDX, RBX, RSP, RBP, RSI, RDI, R8, R9, R10 };

struct enc {
	const struct insn *i;
	const struct insn_row *row;
	const struct pure_host *host;
	struct pure_buf *out;
	unsigned n;
	uint8_t reg, rm, vvvv; /* as the host's instruction names them */
	bool mem, wide, imm8, is4;
	uint8_t is4_reg;
	bool vector, mmx, x87;
};

static void put(struct enc *e, unsigned byte)
{
	BUG_ON(e->n >= PURE_CODE_MAX); /* the longest stub has some 300 bytes */
	e->out->code[e->n++] = (uint8_t)byte;
}

static void put32(struct enc *e, uint32_t v)
{
	for (unsigned k = 0; k < 32; k += 8)
		put(e, v >> k & 0xff);
}

/* ModRM and displacement of [RDI + off]. */
static void put_state(struct enc *e, unsigned reg, size_t off)
{
	if (off < 128) {
		put(e, 0x40 | (reg & 7) << 3 | RDI);
		put(e, (unsigned)off);
		return;
	}
	put(e, 0x80 | (reg & 7) << 3 | RDI);
	put32(e, (uint32_t)off);
}

/* Prefixes of VEX (three bytes) and EVEX; @rm may be a register or a plain base. */
struct vex {
	unsigned map, pp, w, l, reg, vvvv, rm;
	unsigned aaa, b, z;
};

static void put_vex(struct enc *e, const struct vex *v)
{
	put(e, 0xc4);
	put(e, (~v->reg >> 3 & 1) << 7 | 1u << 6 | (~v->rm >> 3 & 1) << 5 | v->map);
	put(e, v->w << 7 | (~v->vvvv & 15) << 3 | v->l << 2 | v->pp);
}

static void put_evex(struct enc *e, const struct vex *v)
{
	put(e, 0x62);
	put(e, (~v->reg >> 3 & 1) << 7 | (~v->rm >> 4 & 1) << 6 | (~v->rm >> 3 & 1) << 5 |
		       (~v->reg >> 4 & 1) << 4 | v->map);
	put(e, v->w << 7 | (~v->vvvv & 15) << 3 | 1u << 2 | v->pp);
	put(e, v->z << 7 | v->l << 5 | v->b << 4 | (~v->vvvv >> 4 & 1) << 3 | v->aaa);
}

/* Moving state. ------------------------------------------------------------------------------ */

static void move_gpr(struct enc *e, unsigned host, unsigned guest, bool store)
{
	put(e, 0x48 | (host >> 3 & 1) << 2);
	put(e, store ? 0x89 : 0x8b);
	put_state(e, host, offsetof(struct bt_cpu, gpr) + guest * sizeof(uint64_t));
}

/* movups: @bytes 16, 32, 64, 16 without VEX for legacy instructions. */
static void move_vec(struct enc *e, unsigned reg, unsigned bytes, bool legacy, bool store)
{
	struct vex v = {.map = 1, .reg = reg, .rm = RDI, .l = bytes / 32};

	if (legacy) {
		if (reg >= 8)
			put(e, 0x44);
		put(e, 0x0f);
	} else if (bytes == 64 || reg >= 16) {
		v.l = 2;
		put_evex(e, &v);
	} else {
		put_vex(e, &v);
	}
	put(e, store ? 0x11 : 0x10);
	/* With EVEX an 8-bit displacement would be scaled; the state is further away than that. */
	put_state(e, reg,
		  offsetof(struct bt_cpu, ext.zmm) + reg * sizeof(((struct bt_ext *)0)->zmm[0]));
}
_Static_assert(offsetof(struct bt_cpu, ext.zmm) >= 128, "see move_vec");

/* kmovq, or kmovw where opmasks have no more than 16 bits. */
static void move_k(struct enc *e, unsigned reg, bool store)
{
	struct vex v = {.map = 1, .reg = reg, .rm = RDI, .w = e->host->avx512bw};

	put_vex(e, &v);
	put(e, store ? 0x91 : 0x90);
	put_state(e, reg, offsetof(struct bt_cpu, ext.k) + reg * sizeof(uint64_t));
}

/* movq; an MMX register that was written has ones above it (SDM 3A table 12-2). */
static void move_mmx(struct enc *e, unsigned reg, bool store)
{
	const size_t off = offsetof(struct bt_cpu, ext.fx) + 32 + reg * 16;

	put(e, 0x0f);
	put(e, store ? 0x7f : 0x6f);
	put_state(e, reg, off);
	if (store) {
		put(e, 0x66); /* mov word [..], 0xffff */
		put(e, 0xc7);
		put_state(e, 0, off + 8);
		put(e, 0xff);
		put(e, 0xff);
	}
}

static bool writes(const struct enc *e, unsigned n)
{
	const unsigned where = e->row->ops[n].where;

	return (n == 0 && e->row->attr & A_WR) || (n == 1 && e->row->attr & A_RW1) ||
	       where == AT_FIXED || where == AT_VFIXED;
}

static unsigned host_gpr(const struct enc *e, unsigned n)
{
	switch (e->row->ops[n].where) {
	case AT_REG: return R8;
	case AT_RM: return R9;
	case AT_VVVV: return R10;
	default: return e->i->op[n].reg;
	}
}

static void move_operand(struct enc *e, unsigned n, bool store)
{
	const struct insn_op *op = &e->i->op[n];
	const bool legacy = !e->i->vex && !e->i->evex;
	unsigned bytes = MAX(e->i->vl, 16u);

	if (store && !writes(e, n))
		return;
	switch (op->kind) {
	case OP_REG: move_gpr(e, host_gpr(e, n), op->reg, store); break;
	case OP_VEC:
		if (store || e->row->ops[n].where == AT_VFIXED || e->i->evex)
			bytes = e->host->avx512 ? 64 : 32;
		move_vec(e, op->reg, legacy ? 16 : bytes, legacy, store);
		break;
	case OP_MMX: move_mmx(e, op->reg, store); break;
	case OP_K: move_k(e, op->reg, store); break;
	default: break;
	}
}

/*
 * The string compares (SDM 2B PCMPESTRI): operands that no row lists.  60 and 61 read lengths from
 * RAX and RDX, 60 and 62 write XMM0, 61 and 63 RCX.
 */
static bool is_pcmpstr(const struct insn_row *r)
{
	return (r->map == MAP_3A || r->map == MAP_V3A) && r->op >= 0x60 && r->op <= 0x63;
}

static void move_pcmpstr(struct enc *e, bool store)
{
	const bool legacy = !e->i->vex;

	if (!store) {
		move_gpr(e, RAX, X86_RAX, false);
		move_gpr(e, RDX, X86_RDX, false);
	} else if (e->row->op & 1) {
		move_gpr(e, RCX, X86_RCX, true);
	} else {
		move_vec(e, 0, legacy ? 16 : e->host->avx512 ? 64 : 32, legacy, true);
	}
}

/* Flags: the arithmetic ones only; what else the guest has in RFLAGS is not the host's. */
static void load_flags(struct enc *e)
{
	put(e, 0x8b); /* mov eax, [rflags] */
	put_state(e, RAX, offsetof(struct bt_cpu, rflags));
	put(e, 0x25); /* and eax, FL_ALL */
	put32(e, FL_ALL);
	put(e, 0x50); /* push rax; popfq */
	put(e, 0x9d);
}

/* All of them: what the row does not write was loaded before. */
static void store_flags(struct enc *e)
{
	put(e, 0x9c); /* pushfq; pop rax */
	put(e, 0x58);
	put(e, 0x25); /* and eax, FL_ALL */
	put32(e, FL_ALL);
	put(e, 0x48); /* and qword [rflags], ~FL_ALL */
	put(e, 0x81);
	put_state(e, 4, offsetof(struct bt_cpu, rflags));
	put32(e, ~FL_ALL);
	put(e, 0x48); /* or [rflags], rax */
	put(e, 0x09);
	put_state(e, RAX, offsetof(struct bt_cpu, rflags));
	put(e, 0xc6); /* mov byte [cc], CC_FLAGS */
	put_state(e, 0, offsetof(struct bt_cpu, cc));
	put(e, CC_FLAGS);
}

/* MXCSR. */
static void put_mxcsr(struct enc *e, bool store)
{
	put(e, 0x0f);
	put(e, 0xae);
	put_state(e, store ? 3 : 2, offsetof(struct bt_cpu, ext.mxcsr));
}

/* fxrstor64, fxsave64: x87 whole; XMM registers and MXCSR of that image mean nothing. */
static void move_x87(struct enc *e, bool store)
{
	put(e, 0x48);
	put(e, 0x0f);
	put(e, 0xae);
	put_state(e, store ? 0 : 1, offsetof(struct bt_cpu, ext.fx));
}

/* The instruction itself. -------------------------------------------------------------------- */

static bool take_operand(struct enc *e, unsigned n)
{
	const struct insn_op *op = &e->i->op[n];
	const struct insn_spec *s = &e->row->ops[n];

	switch (op->kind) {
	case OP_VEC: e->vector = true; break;
	case OP_MMX: e->mmx = true; break;
	case OP_MEM: e->mem = true; break;
	default: break;
	}
	if (op->kind == OP_REG && s->size == SZ_Y)
		e->wide = op->size == 8;
	switch (s->where) {
	case AT_REG: e->reg = R8; return op->kind == OP_REG;
	case AT_RM: e->rm = R9; return op->kind == OP_REG || op->kind == OP_MEM;
	case AT_VVVV: e->vvvv = R10; return op->kind == OP_REG;
	case AT_VREG:
	case AT_MREG:
	case AT_KREG: e->reg = op->reg; return true;
	case AT_VRM:
	case AT_MRM:
	case AT_KRM: e->rm = op->reg; return true;
	case AT_VVVVV:
	case AT_KVVVV: e->vvvv = op->reg; return true;
	case AT_VIS4:
		e->is4 = true;
		e->is4_reg = op->reg;
		return true;
	case AT_FIXED: return op->kind == OP_REG && op->reg <= RDX;
	case AT_IMM: e->imm8 = true; return s->size == 1;
	case AT_MEM: return op->kind == OP_MEM;
	case AT_VFIXED:
	case AT_ST0:
	case AT_STI:
	case AT_ONE: return true;
	default: return false;
	}
}

static unsigned pp_of(const struct insn_row *row)
{
	switch (row->pfx) {
	case P66: return 1;
	case PF3: return 2;
	case PF2: return 3;
	default: return 0;
	}
}

static void put_legacy(struct enc *e, unsigned rm)
{
	static const uint8_t prefix[4] = {0, 0x66, 0xf3, 0xf2};
	const unsigned pp = pp_of(e->row);
	const unsigned rex = (unsigned)e->wide << 3 | (e->reg >> 3 & 1u) << 2 | (rm >> 3 & 1);

	if (pp)
		put(e, prefix[pp]);
	if (rex)
		put(e, 0x40 | rex);
	if (e->row->map != MAP_1)
		put(e, 0x0f);
	if (e->row->map == MAP_38)
		put(e, 0x38);
	if (e->row->map == MAP_3A)
		put(e, 0x3a);
}

static void put_insn(struct enc *e)
{
	const struct insn *i = e->i;
	const unsigned rm = e->mem ? RSI : e->rm;
	struct vex v = {
		.w = e->wide, .reg = e->reg, .vvvv = e->vvvv, .rm = rm, .pp = pp_of(e->row)};

	if (i->evex) {
		v.map = e->row->map - MAP_E0F + 1u;
		v.l = i->vl / 32u;
		v.aaa = i->mask;
		v.z = i->evex_z;
		v.b = i->evex_b;
		if (i->evex_b && !e->mem)
			v.l = i->rounding;
		put_evex(e, &v);
	} else if (i->vex) {
		v.map = e->row->map - MAP_V0F + 1u;
		v.l = i->vl == 32;
		put_vex(e, &v);
	} else {
		put_legacy(e, rm);
	}
	put(e, e->row->op);
	put(e, (e->mem ? 0u : 0xc0u) | (e->reg & 7u) << 3 | (rm & 7));
	if (e->is4)
		put(e, (unsigned)e->is4_reg << 4 | ((unsigned)i->imm & 15));
	else if (e->imm8)
		put(e, (unsigned)i->imm & 0xff);
}

/* What goes into the stub's head. ------------------------------------------------------------ */

/*
 * Does the host insist on an aligned memory operand?  Legacy instructions with 16 bytes do, but
 * for the moves made for it and the string compares (SDM 2A §2.5); VEX and EVEX ones do where they
 * are called aligned or non-temporal.
 */
static bool wants_alignment(const struct insn *i, const struct insn_row *r, unsigned bytes)
{
	if (r->attr & A_ALIGN)
		return true;
	if (i->vex || i->evex) {
		switch (r->op) {
		case 0x28:
		case 0x29:
		case 0x2b: return r->map == MAP_V0F || r->map == MAP_E0F;
		case 0x6f:
		case 0x7f: return (r->map == MAP_V0F || r->map == MAP_E0F) && r->pfx == P66;
		case 0xe7: return r->map == MAP_V0F || r->map == MAP_E0F;
		case 0x2a: return (r->map == MAP_V38 || r->map == MAP_E38) && r->pfx == P66;
		default: return false;
		}
	}
	if (bytes != 16 || r->map == MAP_1)
		return false;
	if (r->map == MAP_0F)
		return !(r->op == 0x10 || r->op == 0x11 || r->op == 0xf0 ||
			 ((r->op == 0x6f || r->op == 0x7f) && r->pfx == PF3));
	return !(r->map == MAP_3A && r->op >= 0x60 && r->op <= 0x63);
}

static unsigned unit_of(const struct enc *e)
{
	bool k = false;

	for (unsigned n = 0; n < e->row->n_ops; n++)
		k |= e->i->op[n].kind == OP_K;
	if (e->x87)
		return UNIT_X87;
	if (e->i->evex || k)
		return UNIT_AVX512;
	if (!e->vector)
		return e->mmx ? UNIT_MMX : UNIT_NONE;
	return e->i->vex ? UNIT_AVX : UNIT_SSE;
}

static void fill_memory(const struct enc *e, struct pure_stub *s)
{
	const struct insn_row *r = e->row;

	for (unsigned n = 0; n < r->n_ops; n++) {
		if (e->i->op[n].kind != OP_MEM)
			continue;
		s->mem = e->i->op[n].size;
		if (e->i->evex_b)
			s->mem = r->attr & A_BC64 ? 8 : 4;
		if (n == 0 && r->attr & A_WR)
			s->flags |= PS_WRITE;
		if (n > 0 || !(r->attr & A_WR) || r->attr & A_RD)
			s->flags |= PS_READ;
	}
	if (s->mem && wants_alignment(e->i, r, s->mem))
		s->align = (uint8_t)(s->mem - 1);
	if (s->mem && e->i->evex && e->i->mask)
		s->flags |= PS_MASKED;
}

/* Instructions that raise nothing but take MXCSR's DAZ into account: VRCP14, VRSQRT14, VFPCLASS. */
static bool reads_mxcsr(const struct insn_row *r)
{
	return (r->map == MAP_E38 && r->op >= 0x4c && r->op <= 0x4f) ||
	       (r->map == MAP_E3A && (r->op == 0x66 || r->op == 0x67));
}

static void fill_head(const struct enc *e, struct pure_stub *s)
{
	const uint32_t fl = e->row->fl_written | e->row->fl_undef;

	s->unit = (uint8_t)unit_of(e);
	fill_memory(e, s);
	if (e->row->attr & A_FP || reads_mxcsr(e->row))
		s->flags |= PS_FP;
	if (e->mmx)
		s->flags |= PS_MMX;
	if (e->row->fl_read || (fl && fl != FL_ALL))
		s->flags |= PS_SETTLE;
}

static bool host_can(const struct enc *e, const struct pure_stub *s)
{
	return (s->unit != UNIT_AVX || e->host->avx) && (s->unit != UNIT_AVX512 || e->host->avx512);
}

static void put_before(struct enc *e, unsigned flags)
{
	if (e->x87)
		move_x87(e, false);
	for (unsigned n = 0; n < e->row->n_ops; n++)
		move_operand(e, n, false);
	if (is_pcmpstr(e->row))
		move_pcmpstr(e, false);
	if (e->i->evex && e->i->mask)
		move_k(e, e->i->mask, false);
	if (flags & PS_SETTLE)
		load_flags(e);
	if (flags & PS_FP)
		put_mxcsr(e, false);
}

static void put_after(struct enc *e, unsigned flags)
{
	if (flags & PS_FP)
		put_mxcsr(e, true);
	for (unsigned n = 0; n < e->row->n_ops; n++)
		move_operand(e, n, true);
	if (is_pcmpstr(e->row))
		move_pcmpstr(e, true);
	if (e->row->fl_written | e->row->fl_undef)
		store_flags(e);
	if (e->x87)
		move_x87(e, true);
	if (e->vector && (e->i->vex || e->i->evex)) { /* vzeroupper */
		put(e, 0xc5);
		put(e, 0xf8);
		put(e, 0x77);
	}
	if (e->mmx) { /* emms */
		put(e, 0x0f);
		put(e, 0x77);
	}
	put(e, 0xc3);
}

bool pure_encode(const struct insn *i, struct pure_buf *out)
{
	struct enc e = {.i = i, .row = &insn_table[i->row], .host = pure_host(), .out = out};
	const unsigned modrm = e.row->mod & 0x100 ? e.row->mod & 0xffu : i->modrm;

	memset(&out->head, 0, sizeof(out->head));
	e.reg = modrm >> 3 & 7;
	e.rm = modrm & 7;
	e.wide = i->prefixes & INSN_REX_W;
	e.x87 = e.row->map == MAP_1 && e.row->op >= 0xd8 && e.row->op <= 0xdf;
	for (unsigned n = 0; n < e.row->n_ops; n++) {
		if (!take_operand(&e, n))
			return false;
	}
	fill_head(&e, &out->head);
	if (!host_can(&e, &out->head))
		return false;
	put_before(&e, out->head.flags);
	put_insn(&e);
	put_after(&e, out->head.flags);
	out->head.len = (uint16_t)e.n;
	while (e.n % 16)
		put(&e, 0xcc);
	return true;
}
