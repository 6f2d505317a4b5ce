/*
 * accel/bt/decode.c - bytes to struct insn, by the rows of insn.def and their index (index.h).
 *
 * Decoding goes in the order of the bytes: prefixes, opcode, ModRM, then everything that can make
 * the instruction invalid, and only then displacement and immediates.  So an instruction that is
 * invalid is never taken for one that is cut short.  The one exception, bytes that end in front of
 * opcode or ModRM, is looked into by trying what could follow (cut_short).
 */
#include <endian.h>
#include <string.h>

#include "accel/bt/dec.h"
#include "arch/x86/vcpu.h"
#include "base/compiler.h"

/* Little-endian numbers, sign-extended; the bytes are there. */
static inline int64_t take8(struct dec *d)
{
	return (int8_t)*d->p++;
}

static inline int64_t take32(struct dec *d)
{
	uint32_t v;

	memcpy(&v, d->p, 4);
	d->p += 4;
	return (int32_t)le32toh(v);
}

static int64_t take(struct dec *d, unsigned n)
{
	uint64_t v64;
	uint16_t v16;

	switch (n) {
	case 1: return take8(d);
	case 4: return take32(d);
	case 2:
		memcpy(&v16, d->p, 2);
		d->p += 2;
		return (int16_t)le16toh(v16);
	default:
		memcpy(&v64, d->p, 8);
		d->p += 8;
		return (int64_t)le64toh(v64);
	}
}

/* Prefixes and opcode. ----------------------------------------------------------------------- */

enum prefix_class { PC_NONE, PC_66, PC_67, PC_LOCK, PC_REP, PC_REPNE, PC_SEG, PC_REX };

#define PREFIXES                                                                              \
	[0x66] = PC_66, [0x67] = PC_67, [0xf0] = PC_LOCK, [0xf3] = PC_REP, [0xf2] = PC_REPNE, \
	[0x26] = PC_SEG, [0x2e] = PC_SEG, [0x36] = PC_SEG, [0x3e] = PC_SEG, [0x64] = PC_SEG,  \
	[0x65] = PC_SEG
static const uint8_t prefix_class[2][256] = {
	{PREFIXES},
	{PREFIXES, [0x40] = PC_REX, [0x41] = PC_REX, [0x42] = PC_REX, [0x43] = PC_REX,
	 [0x44] = PC_REX, [0x45] = PC_REX, [0x46] = PC_REX, [0x47] = PC_REX, [0x48] = PC_REX,
	 [0x49] = PC_REX, [0x4a] = PC_REX, [0x4b] = PC_REX, [0x4c] = PC_REX, [0x4d] = PC_REX,
	 [0x4e] = PC_REX, [0x4f] = PC_REX},
};
#undef PREFIXES

static void segment_prefix(struct dec *d, uint8_t b)
{
	uint8_t seg = b == 0x64 ? X86_FS : b == 0x65 ? X86_GS : (b >> 3 & 3);

	/* In 64-bit mode the other four are ignored, and do not undo FS and GS. */
	if (d->i->mode == 8 && seg < X86_FS)
		return;
	d->i->seg = seg;
	d->seg_given = true;
}

static void rex_prefix(struct dec *d, uint8_t rex)
{
	d->i->prefixes |= INSN_REX;
	d->w = rex & 8;
	d->r = (uint8_t)((rex & 4) << 1);
	d->x = (uint8_t)((rex & 2) << 2);
	d->b = (uint8_t)((rex & 1) << 3);
}

/* Legacy and REX prefixes.  A REX prefix counts only right in front of the opcode. */
static int take_prefixes(struct dec *d)
{
	const uint8_t *class_of = prefix_class[d->i->mode == 8];
	uint8_t rex = 0, prefixes = 0;

	for (;; d->p++) {
		uint8_t b, class;

		if (UNLIKELY(d->p == d->end))
			return dec_out_of_bytes(d, DEC_SHORT_OPCODE);
		b = *d->p;
		class = class_of[b];
		if (class == PC_NONE)
			break;
		if (class == PC_REX) {
			rex = b;
			continue;
		}
		rex = 0;
		switch (class) {
		case PC_66: prefixes |= INSN_66; break;
		case PC_67: prefixes |= INSN_67; break;
		case PC_LOCK: prefixes |= INSN_LOCK; break;
		case PC_REP: prefixes = (uint8_t)((prefixes & ~INSN_REPNE) | INSN_REP); break;
		case PC_REPNE: prefixes = (uint8_t)((prefixes & ~INSN_REP) | INSN_REPNE); break;
		default: segment_prefix(d, b); break;
		}
	}
	d->i->prefixes = prefixes;
	if (rex)
		rex_prefix(d, rex);
	if (prefixes)
		d->pfx = prefixes & INSN_REPNE ? 3
			 : prefixes & INSN_REP ? 2
			 : prefixes & INSN_66  ? 1
					       : 0;
	return 0;
}

/* The opcode, and the map it is in. */
static int take_opcode(struct dec *d)
{
	uint8_t b = *d->p;
	bool vector = false;

	d->map = MAP_1;
	if (b == 0x0f) {
		d->map = MAP_0F;
		d->p++;
		if (UNLIKELY(d->p == d->end))
			return dec_out_of_bytes(d, DEC_SHORT_OPCODE);
		b = *d->p;
		if (b == 0x38 || b == 0x3a) {
			d->map = b == 0x38 ? MAP_38 : MAP_3A;
			d->p++;
		}
	} else if (b == 0xc4 || b == 0xc5 || b == 0x62) {
		int r = dec_vector_prefix(d, &vector);

		if (r)
			return r;
	}
	if (UNLIKELY(d->p == d->end))
		return dec_out_of_bytes(d, DEC_SHORT_OPCODE);
	d->op = *d->p++;
	if (!vector)
		d->wl = d->w ? W_1 : W_0;
	if (d->w)
		d->i->prefixes |= INSN_REX_W;
	return 0;
}

/* The row. ----------------------------------------------------------------------------------- */

/* With rounding, EVEX.L'L is not the length. */
static bool rounds(const struct insn *i, const struct insn_row *r)
{
	return i->evex_b && i->modrm >= 0xc0 && r->attr & (A_ER | A_SAE);
}

static bool row_fits(const struct dec *d, const struct insn_row *r, const struct insn_form *f)
{
	const struct insn *i = d->i;
	unsigned l = r->wl & L_BITS, w = r->wl & W_BITS;

	if (!(f->modes & (i->mode == 8 ? MODE_64 : MODE_OTHER)))
		return false;
	if (w && !(w & d->wl))
		return false;
	if (l && !(l & (rounds(i, r) ? L_2 : d->wl)))
		return false;
	if (r->mod >= 0x100 && i->modrm != (r->mod & 0xff))
		return false;
	if (r->attr & A_NOREXB && d->b)
		return false;
	if (!insn_has(d->features, r->feature) || !insn_has(d->features, f->feature2))
		return false;
	return !(f->need & FORM_VL) || i->vl == 64 || rounds(i, r) ||
	       insn_has(d->features, F_AVX512VL);
}

/* The row, and the ModRM byte on the way. */
static int find_row(struct dec *d)
{
	const struct insn_node *node = &insn_index.nodes[d->map][d->op];
	struct insn *i = d->i;
	unsigned k = 0;

	if (node->flags & NODE_MODRM) {
		if (UNLIKELY(d->p == d->end))
			return dec_out_of_bytes(d, DEC_SHORT_MODRM);
		i->modrm = *d->p++;
	}
	if (node->flags & NODE_PFX)
		k = d->pfx;
	if (node->flags & NODE_REG)
		k = k * 8 + (i->modrm >> 3 & 7);
	if (node->flags & NODE_MOD)
		k = k * 2 + (i->modrm >= 0xc0);
	for (const uint16_t *p = &insn_index.list[insn_index.buckets[node->base + k]];
	     *p != INSN_LIST_END; p++) {
		const struct insn_form *f = &insn_index.forms[*p];

		if (!(f->need & FORM_CHOICE) || row_fits(d, &insn_table[*p], f)) {
			d->row = &insn_table[*p];
			d->form = f;
			i->row = *p;
			i->exec = d->row->exec;
			return 0;
		}
	}
	return INSN_INVALID;
}

/*
 * Sizes by mode and operand size, in the order of enum insn_size: V Z Y X H U E P S A N.  Vectors
 * go by another number.
 */
#define SIZES(v, z, y, n)                                                      \
	{                                                                      \
		v, z, y, 0, 0, 0, 0, (v) + 2, (n) == 8 ? 10 : 6, 2 * (v), n, 0 \
	}
static const uint8_t sizes_other[3][12] = {
	SIZES(2, 2, 4, 4), SIZES(4, 4, 4, 4), SIZES(8, 4, 4, 4), /* there is none */
};
static const uint8_t sizes_64[2][3][12] = {
	{SIZES(2, 2, 4, 8), SIZES(4, 4, 4, 8), SIZES(8, 4, 4, 8)},
	{SIZES(2, 2, 8, 8), SIZES(4, 4, 8, 8), SIZES(8, 4, 8, 8)},
};
#undef SIZES

static void set_osize(struct dec *d)
{
	struct insn *i = d->i;
	bool small = i->prefixes & INSN_66;
	uint32_t attr = d->row->attr;

	if (i->mode == 8) {
		unsigned k = d->w || attr & A_F64 ? 2 : small ? 0 : attr & A_D64 ? 2 : 1;

		i->osize = (uint8_t)(2u << k);
		d->sizes = sizes_64[d->w][k];
	} else {
		unsigned k = (i->mode == 2) == small;

		i->osize = (uint8_t)(2u << k);
		d->sizes = sizes_other[k];
	}
}

/* Registers that there are not; and CS cannot be loaded by MOV. */
static bool system_register_is(const struct dec *d)
{
	unsigned reg = d->i->modrm >> 3 & 7;

	for (unsigned k = 0; k < d->row->n_ops; k++) {
		switch (d->row->ops[k].where) {
		case AT_SEG: return reg <= X86_GS && !(k == 0 && reg == X86_CS);
		case AT_DR: return !d->r;
		case AT_CR: return d->r ? reg == 0 : reg == 0 || (reg >= 2 && reg <= 4);
		default: break;
		}
	}
	return true;
}

/* Rules that are not about which row it is. */
static bool fields_fit(struct dec *d)
{
	const struct insn *i = d->i;
	uint8_t where = d->row->ops[0].where;

	if (i->vl)
		return dec_vector_fits(d);
	if (i->prefixes & INSN_LOCK &&
	    (!(d->row->attr & A_LOCK) || i->modrm >= 0xc0 || (where != AT_RM && where != AT_MEM)))
		return false;
	return !(d->form->need & FORM_SYSTEM) || system_register_is(d);
}

/* The memory operand of a ModRM byte. -------------------------------------------------------- */

static int take_mem16(struct dec *d)
{
	static const uint8_t base[] = {3, 3, 5, 5, 6, 7, 5, 3};
	static const uint8_t index[] = {6, 7, 6, 7, INSN_NOREG, INSN_NOREG, INSN_NOREG, INSN_NOREG};
	struct insn *i = d->i;
	unsigned mod = i->modrm >> 6, rm = i->modrm & 7, n = mod;

	i->base = base[rm];
	i->index = index[rm];
	if (mod == 0 && rm == 6) {
		i->base = INSN_NOREG;
		n = 2;
	}
	if (i->base == 5 && !d->seg_given)
		i->seg = X86_SS;
	if (!n)
		return 0;
	if (!dec_has(d, n))
		return dec_out_of_bytes(d, DEC_SHORT_ELSEWHERE);
	d->disp8 = mod == 1;
	i->disp = take(d, n);
	return 0;
}

/* The SIB byte; true: there is no base but a displacement of 32 bits. */
static bool take_sib(struct dec *d)
{
	struct insn *i = d->i;
	uint8_t sib = *d->p++;

	i->scale = sib >> 6;
	i->base = (uint8_t)((sib & 7) | d->b);
	i->index = (uint8_t)((sib >> 3 & 7) | d->x);
	if (d->form->need & FORM_VSIB)
		i->index |= d->v2;
	else if (i->index == 4)
		i->index = INSN_NOREG;
	if ((sib & 7) != 5 || i->modrm >= 0x40)
		return false;
	i->base = INSN_NOREG;
	return true;
}

static int take_mem(struct dec *d)
{
	struct insn *i = d->i;
	unsigned mod = i->modrm >> 6, rm = i->modrm & 7;
	bool disp32 = mod == 2;

	if (UNLIKELY(i->asize == 2))
		return take_mem16(d);
	if (rm == 4) {
		if (UNLIKELY(d->p == d->end))
			return dec_out_of_bytes(d, DEC_SHORT_ELSEWHERE);
		disp32 |= take_sib(d);
	} else if (rm == 5 && mod == 0) {
		i->base = i->mode == 8 ? INSN_RIP : INSN_NOREG;
		disp32 = true;
	} else {
		i->base = (uint8_t)(rm | d->b);
	}
	if ((i->base == 4 || i->base == 5) && !d->seg_given)
		i->seg = X86_SS;
	if (mod == 1) {
		if (UNLIKELY(d->p == d->end))
			return dec_out_of_bytes(d, DEC_SHORT_ELSEWHERE);
		d->disp8 = true;
		i->disp = take8(d);
	} else if (disp32) {
		if (UNLIKELY(!dec_has(d, 4)))
			return dec_out_of_bytes(d, DEC_SHORT_ELSEWHERE);
		i->disp = take32(d);
	}
	return 0;
}

/* Operands. ---------------------------------------------------------------------------------- */

static inline unsigned size_of(const struct dec *d, uint8_t size)
{
	unsigned v;

	if (size < SZ_FIRST)
		return size;
	v = d->sizes[size - SZ_FIRST];
	if (v)
		return v;
	return size == SZ_ADDR ? d->i->asize : d->i->vl >> (size - SZ_X);
}

static inline struct insn_op register_op(unsigned kind, unsigned reg, unsigned size)
{
	return (struct insn_op){.kind = (uint8_t)kind, .reg = (uint8_t)reg, .size = (uint8_t)size};
}

static inline struct insn_op general_op(const struct dec *d, unsigned reg, unsigned size)
{
	if (size == 1 && reg - 4 < 4 && !(d->i->prefixes & INSN_REX) && !d->i->vl)
		return register_op(OP_HIGH, reg - 4, 1);
	return register_op(OP_REG, reg, size);
}

static inline bool is_memory(const struct dec *d)
{
	return d->i->modrm < 0xc0 && !(d->form->need & FORM_RREG);
}

static struct insn_op memory_op(struct dec *d, const struct insn_spec *s, unsigned size)
{
	struct insn *i = d->i;
	uint32_t attr = d->row->attr;

	if (s->where == AT_RM && s->fixed)
		size = s->fixed;
	if (i->evex_b)
		size = attr & A_BC32 ? 4 : 8;
	if (i->evex && d->disp8)
		i->disp *= size;
	if (attr & A_NOMEMSIZE)
		size = 0;
	return register_op(OP_MEM, 0, size);
}

static struct insn_op vsib_op(struct dec *d, const struct insn_spec *s, unsigned size)
{
	struct insn_op o = memory_op(d, s, size);
	unsigned index = s->fixed ? d->i->vl / 2u : d->i->vl;

	o.reg = (uint8_t)(index < 16 ? 16 : index);
	return o;
}

static int immediate_op(struct dec *d, struct insn_op *o, const struct insn_spec *s, unsigned size)
{
	bool second = o != d->i->op && o[-1].kind == OP_IMM;
	int64_t v;

	if (UNLIKELY(!dec_has(d, size)))
		return dec_out_of_bytes(d, DEC_SHORT_ELSEWHERE);
	v = size == 1 ? take8(d) : size == 4 ? take32(d) : take(d, size);
	if (s->fixed)
		v &= size == 1 ? 0xff : 0xffff;
	*o = (struct insn_op){.kind = OP_IMM, .size = (uint8_t)size, .wide = second};
	if (second)
		d->i->imm2 = (uint16_t)v;
	else
		d->i->imm = v;
	return 0;
}

static int far_op(struct dec *d, struct insn_op *o, unsigned size)
{
	struct insn *i = d->i;

	if (!dec_has(d, size))
		return dec_out_of_bytes(d, DEC_SHORT_ELSEWHERE);
	*o = register_op(OP_IMM, 0, size);
	i->imm = take(d, i->osize) & (i->osize == 2 ? 0xffff : 0xffffffff);
	i->imm2 = (uint16_t)take(d, 2);
	return 0;
}

static int moffs_op(struct dec *d, struct insn_op *o, unsigned size)
{
	struct insn *i = d->i;

	if (!dec_has(d, i->asize))
		return dec_out_of_bytes(d, DEC_SHORT_ELSEWHERE);
	*o = register_op(OP_MEM, 0, size);
	i->disp = take(d, i->asize);
	if (i->asize < 8)
		i->disp &= i->asize == 2 ? 0xffff : 0xffffffff;
	return 0;
}

static int is4_op(struct dec *d, struct insn_op *o, unsigned size)
{
	struct insn *i = d->i;

	if (!dec_has(d, 1))
		return dec_out_of_bytes(d, DEC_SHORT_ELSEWHERE);
	i->imm = (uint8_t)take8(d);
	*o = register_op(OP_VEC, i->imm >> 4 & (i->mode == 8 ? 15 : 7), size);
	return 0;
}

/* What is not general registers, memory or immediates. */
static int other_op(struct dec *d, struct insn_op *o, const struct insn_spec *s, unsigned size)
{
	const struct insn *i = d->i;
	unsigned reg = i->modrm >> 3 & 7, rm = i->modrm & 7, kind, n;

	switch (s->where) {
	case AT_VRM:
		kind = OP_VEC;
		n = rm | d->b | (i->evex ? (unsigned)d->x << 1 : 0);
		break;
	case AT_MRM: kind = OP_MMX, n = rm; break;
	case AT_KRM: kind = OP_K, n = rm; break;
	case AT_VREG: kind = OP_VEC, n = reg | d->r | d->r2; break;
	case AT_VVVVV: kind = OP_VEC, n = i->vvvv; break;
	case AT_VFIXED: kind = OP_VEC, n = s->fixed; break;
	case AT_KREG: kind = OP_K, n = reg; break;
	case AT_KVVVV: kind = OP_K, n = i->vvvv; break;
	case AT_MREG: kind = OP_MMX, n = reg; break;
	case AT_FIXED: kind = OP_REG, n = s->fixed; break;
	case AT_VVVV: kind = OP_REG, n = i->vvvv; break;
	case AT_ST0: kind = OP_ST, n = 0; break;
	case AT_STI: kind = OP_ST, n = rm; break;
	case AT_SEG: kind = OP_SEG, n = reg; break;
	case AT_SEG_FIXED: kind = OP_SEG, n = s->fixed; break;
	case AT_CR: kind = OP_CR, n = reg | d->r; break;
	case AT_DR: kind = OP_DR, n = reg; break;
	case AT_SI: kind = OP_MEM, n = 6; break;
	case AT_DI: kind = OP_MEM, n = 7; break;
	case AT_VSIB: *o = vsib_op(d, s, size); return 0;
	case AT_FAR: return far_op(d, o, size);
	case AT_MOFFS: return moffs_op(d, o, size);
	case AT_VIS4: return is4_op(d, o, size);
	default: /* AT_ONE */
		d->i->imm = 1;
		kind = OP_IMM, n = 0;
		break;
	}
	if ((s->where == AT_VRM || s->where == AT_MRM || s->where == AT_KRM) && is_memory(d))
		*o = memory_op(d, s, size);
	else
		*o = register_op(kind, n, size);
	return kind == OP_K && n > 7 ? INSN_INVALID : 0;
}

/* The operand @s of the row, resolved. */
static inline int resolve(struct dec *d, struct insn_op *o, const struct insn_spec *s)
{
	unsigned size = size_of(d, s->size), modrm = d->i->modrm;

	switch (s->where) {
	case AT_REG: *o = general_op(d, (modrm >> 3 & 7) | d->r, size); return 0;
	case AT_RM:
		if (is_memory(d))
			*o = memory_op(d, s, size);
		else
			*o = general_op(d, (modrm & 7) | d->b, size);
		return 0;
	case AT_RREG: *o = general_op(d, (modrm & 7) | d->b, size); return 0;
	case AT_MEM: *o = memory_op(d, s, size); return 0;
	case AT_PLUS: *o = general_op(d, (d->op & 7u) | d->b, size); return 0;
	case AT_IMM:
	case AT_REL: return immediate_op(d, o, s, size);
	default: return other_op(d, o, s, size);
	}
}

static int decode(struct dec *d)
{
	struct insn *i = d->i;
	const struct insn_row *row;
	int r = take_prefixes(d);

	if (r)
		return r;
	i->asize = i->mode;
	if (i->prefixes & INSN_67)
		i->asize = i->mode == 4 ? 2 : 4;
	r = take_opcode(d);
	if (r)
		return r;
	r = find_row(d);
	if (r)
		return r;
	row = d->row;
	set_osize(d);
	if ((i->vl || i->prefixes & INSN_LOCK || d->form->need & FORM_SYSTEM) && !fields_fit(d))
		return INSN_INVALID;
	if (d->form->need & FORM_MODRM && is_memory(d)) {
		r = take_mem(d);
		if (r)
			return r;
	}
	for (unsigned k = 0; k < row->n_ops; k++) {
		r = resolve(d, &i->op[k], &row->ops[k]);
		if (r)
			return r;
	}
	return d->form->need & FORM_VSIB && !dec_gather_fits(d) ? INSN_INVALID : 0;
}

static int decode_start(struct dec *d, const uint8_t *b, unsigned n, unsigned mode,
			const struct insn_features *features, struct insn *out)
{
	int r;

	*d = (struct dec){.p = b,
			  .end = b + (n < INSN_MAX ? n : INSN_MAX),
			  .all = n >= INSN_MAX,
			  .i = out,
			  .features = features};
	*out = (struct insn){
		.mode = (uint8_t)mode, .base = INSN_NOREG, .index = INSN_NOREG, .seg = X86_DS};
	r = decode(d);
	out->len = (uint8_t)(d->p - b);
	return r;
}

/*
 * The bytes end in front of the opcode or the ModRM byte: is there one (or both) that makes the
 * instruction valid, or decides why it is not?  Tried one after the other, with @fill behind;
 * mostly the first will do.
 */
static int cut_short(const uint8_t *b, unsigned n, unsigned mode,
		     const struct insn_features *features, bool opcode, uint8_t fill)
{
	uint8_t more[INSN_MAX];
	int all = INSN_INVALID;
	struct insn i;
	struct dec d;

	memset(more, fill, sizeof(more));
	memcpy(more, b, n);
	for (unsigned k = 0; k < (opcode ? 65536u : 256u); k++) {
		int r;

		more[n] = opcode ? (uint8_t)(k >> 8) : (uint8_t)k;
		if (opcode && n + 1 < INSN_MAX)
			more[n + 1] = (uint8_t)k;
		r = decode_start(&d, more, INSN_MAX, mode, features, &i);
		if (!r || (k && r != all))
			return INSN_SHORT;
		all = r;
	}
	return all;
}

int insn_decode(const uint8_t *b, unsigned n, unsigned mode, const struct insn_features *features,
		struct insn *out)
{
	struct dec d;
	int r;

	insn_index_need();
	r = decode_start(&d, b, n, mode, features, out);
	if (r != INSN_SHORT || d.short_at == DEC_SHORT_ELSEWHERE)
		return r;
	r = cut_short(b, n, mode, features, d.short_at == DEC_SHORT_OPCODE, 0);
	/* A SIB byte of 0 makes a gather's index the register that may be its mask: try another. */
	if (r == INSN_INVALID)
		r = cut_short(b, n, mode, features, d.short_at == DEC_SHORT_OPCODE, 8);
	return r;
}
