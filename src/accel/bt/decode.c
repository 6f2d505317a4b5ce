/*
 * accel/bt/decode.c - bytes to struct insn, by the rows of insn.def.
 *
 * At the first call the rows are sorted into buckets: for each map and opcode by as much of
 * mandatory prefix, ModRM.reg and "mod is 3" as any of its rows asks for.  So one look leads to the
 * few rows that can still be meant (mostly one), in the order of the table; the first of them that
 * fits the rest (mode, W, L, features) is the instruction.
 *
 * Decoding goes in the order of the bytes: prefixes, opcode, ModRM, then everything that can make
 * the instruction invalid, and only then displacement and immediates.  So an instruction that is
 * invalid is never taken for one that is cut short.  The one exception, bytes that end in front of
 * opcode or ModRM, is looked into by trying what could follow (cut_short).
 */
#include <endian.h>
#include <pthread.h>
#include <stdatomic.h>
#include <stdlib.h>
#include <string.h>

#include "accel/bt/insn.h"
#include "arch/x86/vcpu.h"
#include "base/compiler.h"


/* What a row needs beyond its columns: found out once. */
#define FORM_MODRM 1u
#define FORM_VVVV  2u
#define FORM_VSIB  4u
#define FORM_RREG  8u  /* mod is not looked at */
#define FORM_KREG  16u /* ModRM.reg is an opmask */
#define FORM_VL	   32u /* needs AVX512VL below 512 bits */
#define FORM_GREG  64u /* ModRM.reg is a general register */

#define MODE_OTHER 1u
#define MODE_64	   2u

#define L_BITS (L_0 | L_1 | L_2)
#define W_BITS (W_0 | W_1)

struct form {
	uint8_t need, modes;
	uint8_t feature2; /* one more CPUID feature, by the encoding */
};

#define NODE_PFX   1u
#define NODE_REG   2u
#define NODE_MOD   4u
#define NODE_MODRM 8u

struct node {
	uint16_t base; /* of its buckets */
	uint8_t flags;
};

#define ROWS_MAX    4096u
#define BUCKETS_MAX 16384u
#define LIST_MAX    32768u
#define LIST_END    0xffffu

static struct form forms[ROWS_MAX];
static struct node nodes[MAPS][256];
static uint16_t buckets[BUCKETS_MAX]; /* where in list */
static uint16_t list[LIST_MAX];	      /* rows, each bucket closed by LIST_END */
static unsigned n_buckets, n_list;

/* Building the index. ------------------------------------------------------------------------ */

static bool row_has_modrm(const struct insn_row *r)
{
	return r->mod != MOD_NONE && r->mod != MOD_PLUS;
}

static struct form form_of(const struct insn_row *r)
{
	struct form f = {.modes = MODE_OTHER | MODE_64, .feature2 = F_BASE};

	if (row_has_modrm(r))
		f.need |= FORM_MODRM;
	for (unsigned k = 0; k < r->n_ops; k++) {
		switch (r->ops[k].where) {
		case AT_VVVV:
		case AT_VVVVV:
		case AT_KVVVV: f.need |= FORM_VVVV; break;
		case AT_VSIB: f.need |= FORM_VSIB; break;
		case AT_RREG: f.need |= FORM_RREG; break;
		case AT_KREG: f.need |= FORM_KREG; break;
		case AT_REG: f.need |= FORM_GREG; break;
		default: break;
		}
	}
	if (r->attr & A_I64)
		f.modes &= (uint8_t)~MODE_64;
	if (r->attr & A_O64)
		f.modes &= (uint8_t)~MODE_OTHER;
	if (r->map >= MAP_E0F) {
		f.feature2 = F_AVX512F;
		if (r->wl & L_2 && r->wl & (L_0 | L_1))
			f.need |= FORM_VL;
	} else if (r->map >= MAP_V0F &&
		   (r->feature == F_AES || r->feature == F_PCLMUL || r->feature == F_GFNI ||
		    r->feature == F_VAES || r->feature == F_VPCLMUL)) {
		f.feature2 = F_AVX;
	}
	return f;
}

/* The opcodes of a row: one, or eight. */
static unsigned row_span(const struct insn_row *r)
{
	return r->mod == MOD_PLUS ? 8 : 1;
}

static uint8_t node_flags_of(const struct insn_row *r)
{
	uint8_t flags = row_has_modrm(r) ? NODE_MODRM : 0;

	if (r->pfx != PA)
		flags |= NODE_PFX;
	if (r->mod >= 0x10 && r->mod != MOD_PLUS)
		flags |= NODE_REG;
	if (r->mod == MOD_RM || r->mod == MOD_RR || r->mod >= 0x100 || (r->mod & 0x60) == 0x20)
		flags |= NODE_MOD;
	return flags;
}

/* Can the row be meant by this prefix (none, 66, F3, F2), ModRM.reg and mod being 3? */
static bool row_in_bucket(const struct insn_row *r, unsigned pfx, unsigned reg, bool rr)
{
	static const uint8_t pfx_of[] = {[P0] = 0, [P66] = 1, [PF3] = 2, [PF2] = 3};

	if (r->pfx != PA && pfx_of[r->pfx] != pfx)
		return false;
	if (r->mod >= 0x100)
		return rr && (r->mod >> 3 & 7) == reg;
	switch (r->mod & 0xf0) {
	case 0x10: return (r->mod & 7) == reg;
	case 0x20: return (r->mod & 7) == reg && !rr;
	case 0x30: return (r->mod & 7) == reg && rr;
	default: return r->mod == MOD_RM ? !rr : r->mod == MOD_RR ? rr : true;
	}
}

/* Fills the buckets of one opcode with its rows. */
static void node_fill(struct node *node, const uint32_t *rows, unsigned n)
{
	unsigned pfxs = node->flags & NODE_PFX ? 4 : 1, regs = node->flags & NODE_REG ? 8 : 1;
	unsigned mods = node->flags & NODE_MOD ? 2 : 1;

	node->base = (uint16_t)n_buckets;
	for (unsigned k = 0; k < pfxs * regs * mods; k++) {
		BUG_ON(n_buckets == BUCKETS_MAX || n_list + n + 1 > LIST_MAX);
		buckets[n_buckets++] = (uint16_t)n_list;
		for (unsigned j = 0; j < n; j++) {
			uint16_t row = (uint16_t)rows[j];

			if (row_in_bucket(&insn_table[row], k / mods / regs, k / mods % regs,
					  k % mods))
				list[n_list++] = row;
		}
		list[n_list++] = LIST_END;
	}
}

static int by_number(const void *a, const void *b)
{
	uint32_t x = *(const uint32_t *)a, y = *(const uint32_t *)b;

	return x < y ? -1 : x > y;
}

static void index_build(void)
{
	static uint32_t all[ROWS_MAX * 2]; /* map, opcode, row */
	unsigned n = 0, from = 0;

	BUG_ON(insn_rows > ROWS_MAX);
	for (unsigned k = 0; k < insn_rows; k++) {
		const struct insn_row *r = &insn_table[k];

		forms[k] = form_of(r);
		for (unsigned j = 0; j < row_span(r); j++) {
			BUG_ON(n == ARRAY_LEN(all));
			all[n++] = (uint32_t)r->map << 24 | (uint32_t)(r->op + j) << 16 | k;
			nodes[r->map][r->op + j].flags |= node_flags_of(r);
		}
	}
	qsort(all, n, sizeof(all[0]), by_number);
	buckets[n_buckets++] = (uint16_t)n_list; /* of opcodes without a row */
	list[n_list++] = LIST_END;
	for (unsigned k = 1; k <= n; k++) {
		if (k < n && all[k] >> 16 == all[from] >> 16)
			continue;
		node_fill(&nodes[all[from] >> 24][all[from] >> 16 & 255], &all[from], k - from);
		from = k;
	}
}

static void index_need(void)
{
	static pthread_once_t once = PTHREAD_ONCE_INIT;
	static atomic_bool ready;

	if (!atomic_load_explicit(&ready, memory_order_acquire)) {
		pthread_once(&once, index_build);
		atomic_store_explicit(&ready, true, memory_order_release);
	}
}

/* One instruction. --------------------------------------------------------------------------- */

enum shortage { SHORT_ELSEWHERE, SHORT_OPCODE, SHORT_MODRM };

struct dec {
	const uint8_t *b;
	unsigned n, pos; /* bytes there are, at most INSN_MAX; bytes read */
	struct insn *i;
	const struct insn_features *features;
	const struct insn_row *row;
	const struct form *form;
	unsigned map, op, pfx;	   /* pfx: 0 none, 1 66, 2 F3, 3 F2 */
	unsigned r, x, b_, r2, v2; /* register extensions, already shifted: 8, and 16 for r2, v2 */
	unsigned wl;		   /* W and L as a row's bits */
	unsigned ll;		   /* EVEX.L'L, VEX.L */
	bool w, disp8, seg_given;
	enum shortage short_at;
};

static int out_of_bytes(struct dec *d, enum shortage at)
{
	d->short_at = at;
	return d->n >= INSN_MAX ? INSN_LONG : INSN_SHORT;
}

static bool has_bytes(const struct dec *d, unsigned n)
{
	return d->pos + n <= d->n;
}

/* The next @n bytes, sign-extended; they are there. */
static int64_t take(struct dec *d, unsigned n)
{
	const uint8_t *p = d->b + d->pos;
	uint64_t u64;
	uint32_t u32;
	uint16_t u16;

	d->pos += n;
	switch (n) {
	case 1: return (int8_t)*p;
	case 2: memcpy(&u16, p, 2); return (int16_t)le16toh(u16);
	case 4: memcpy(&u32, p, 4); return (int32_t)le32toh(u32);
	default: memcpy(&u64, p, 8); return (int64_t)le64toh(u64);
	}
}

enum prefix_class { PC_NONE, PC_66, PC_67, PC_LOCK, PC_REP, PC_REPNE, PC_SEG, PC_REX };

static const uint8_t prefix_class[256] = {
	[0x66] = PC_66,	 [0x67] = PC_67,  [0xf0] = PC_LOCK, [0xf3] = PC_REP, [0xf2] = PC_REPNE,
	[0x26] = PC_SEG, [0x2e] = PC_SEG, [0x36] = PC_SEG,  [0x3e] = PC_SEG, [0x64] = PC_SEG,
	[0x65] = PC_SEG, [0x40] = PC_REX, [0x41] = PC_REX,  [0x42] = PC_REX, [0x43] = PC_REX,
	[0x44] = PC_REX, [0x45] = PC_REX, [0x46] = PC_REX,  [0x47] = PC_REX, [0x48] = PC_REX,
	[0x49] = PC_REX, [0x4a] = PC_REX, [0x4b] = PC_REX,  [0x4c] = PC_REX, [0x4d] = PC_REX,
	[0x4e] = PC_REX, [0x4f] = PC_REX,
};

static void segment_prefix(struct dec *d, uint8_t b)
{
	uint8_t seg = b == 0x64 ? X86_FS : b == 0x65 ? X86_GS : (b >> 3 & 3);

	/* In 64-bit mode the other four are ignored, and do not undo FS and GS. */
	if (d->i->mode == 8 && seg < X86_FS)
		return;
	d->i->seg = seg;
	d->seg_given = true;
}

/* Legacy and REX prefixes.  A REX prefix counts only right in front of the opcode. */
static int take_prefixes(struct dec *d)
{
	struct insn *i = d->i;
	uint8_t rex = 0;

	for (;; d->pos++) {
		uint8_t b, class;

		if (!has_bytes(d, 1))
			return out_of_bytes(d, SHORT_OPCODE);
		b = d->b[d->pos];
		class = prefix_class[b];
		if (class == PC_NONE || (class == PC_REX && i->mode != 8))
			break;
		rex = 0;
		switch (class) {
		case PC_66: i->prefixes |= INSN_66; break;
		case PC_67: i->prefixes |= INSN_67; break;
		case PC_LOCK: i->prefixes |= INSN_LOCK; break;
		case PC_REP: i->prefixes = (uint8_t)((i->prefixes & ~INSN_REPNE) | INSN_REP); break;
		case PC_REPNE:
			i->prefixes = (uint8_t)((i->prefixes & ~INSN_REP) | INSN_REPNE);
			break;
		case PC_SEG: segment_prefix(d, b); break;
		default: rex = b; break;
		}
	}
	if (rex) {
		i->prefixes |= INSN_REX;
		d->w = rex & 8;
		d->r = (rex & 4u) << 1;
		d->x = (rex & 2u) << 2;
		d->b_ = (rex & 1u) << 3;
	}
	d->pfx = i->prefixes & INSN_REPNE ? 3 : i->prefixes & INSN_REP ? 2 : i->prefixes & INSN_66;
	if (d->pfx == INSN_66)
		d->pfx = 1;
	return 0;
}

/* W, vvvv, L and pp: the last byte of VEX, and two of EVEX. */
static void vex_fields(struct dec *d, unsigned w_vvvv_pp, unsigned ll)
{
	static const uint8_t pfx_of_pp[] = {0, 1, 2, 3};

	d->w = w_vvvv_pp & 0x80;
	d->i->vvvv = ~w_vvvv_pp >> 3 & 15;
	d->ll = ll;
	d->pfx = pfx_of_pp[w_vvvv_pp & 3];
}

static int take_vex(struct dec *d)
{
	bool three = d->b[d->pos++] == 0xc4;
	uint8_t b;

	d->i->vex = 1;
	d->map = MAP_V0F;
	if (!has_bytes(d, 1))
		return out_of_bytes(d, SHORT_ELSEWHERE);
	b = d->b[d->pos++];
	d->r = b & 0x80 ? 0 : 8;
	if (three) {
		d->x = b & 0x40 ? 0 : 8;
		d->b_ = b & 0x20 ? 0 : 8;
		if (!(b & 31) || (b & 31) > 3)
			return INSN_INVALID;
		d->map = MAP_V0F + (b & 31u) - 1;
		if (!has_bytes(d, 1))
			return out_of_bytes(d, SHORT_ELSEWHERE);
		b = d->b[d->pos++];
		vex_fields(d, b, b >> 2 & 1);
	} else {
		vex_fields(d, b & 0x7fu, b >> 2 & 1);
	}
	return 0;
}

static int take_evex(struct dec *d)
{
	struct insn *i = d->i;
	uint8_t p0, p1, p2;

	d->pos++;
	i->evex = 1;
	if (!has_bytes(d, 1))
		return out_of_bytes(d, SHORT_ELSEWHERE);
	p0 = d->b[d->pos++];
	if (p0 & 0x0c || !(p0 & 3))
		return INSN_INVALID;
	if (!has_bytes(d, 1))
		return out_of_bytes(d, SHORT_ELSEWHERE);
	p1 = d->b[d->pos++];
	if (!(p1 & 4))
		return INSN_INVALID;
	if (!has_bytes(d, 1))
		return out_of_bytes(d, SHORT_ELSEWHERE);
	p2 = d->b[d->pos++];
	d->map = MAP_E0F + (p0 & 3u) - 1;
	d->r = p0 & 0x80 ? 0 : 8;
	d->x = p0 & 0x40 ? 0 : 8;
	d->b_ = p0 & 0x20 ? 0 : 8;
	d->r2 = p0 & 0x10 ? 0 : 16;
	vex_fields(d, p1, p2 >> 5 & 3);
	d->v2 = p2 & 8 ? 0 : 16;
	i->evex_z = (p2 & 0x80) != 0;
	i->evex_b = (p2 & 0x10) != 0;
	i->mask = p2 & 7;
	return 0;
}

/* What in 64-bit mode is always VEX or EVEX is so elsewhere only if mod of LES, LDS, BOUND is 3. */
static int take_vector_prefix(struct dec *d, bool *was)
{
	struct insn *i = d->i;

	*was = false;
	if (i->mode != 8) {
		if (!has_bytes(d, 2))
			return out_of_bytes(d, SHORT_ELSEWHERE);
		if (d->b[d->pos + 1] < 0xc0)
			return 0;
	}
	if (i->prefixes & (INSN_66 | INSN_REP | INSN_REPNE | INSN_LOCK | INSN_REX))
		return INSN_INVALID;
	*was = true;
	return d->b[d->pos] == 0x62 ? take_evex(d) : take_vex(d);
}

/* The opcode, and the map it is in. */
static int take_opcode(struct dec *d)
{
	uint8_t b = d->b[d->pos];
	bool vector = false;
	int r;

	d->map = MAP_1;
	if (b == 0xc4 || b == 0xc5 || b == 0x62) {
		r = take_vector_prefix(d, &vector);
		if (r)
			return r;
	} else if (b == 0x0f) {
		d->map = MAP_0F;
		d->pos++;
		if (!has_bytes(d, 1))
			return out_of_bytes(d, SHORT_OPCODE);
		b = d->b[d->pos];
		if (b == 0x38 || b == 0x3a) {
			d->map = b == 0x38 ? MAP_38 : MAP_3A;
			d->pos++;
		}
	}
	if (!has_bytes(d, 1))
		return out_of_bytes(d, SHORT_OPCODE);
	d->op = d->b[d->pos++];
	if (vector) {
		d->wl = (d->w ? W_1 : W_0) | L_0 << d->ll;
		d->i->vl = (uint8_t)(16u << d->ll);
	} else {
		d->wl = d->w ? W_1 : W_0;
	}
	if (d->w)
		d->i->prefixes |= INSN_REX_W;
	return 0;
}

static bool row_fits(const struct dec *d, const struct insn_row *r, const struct form *f)
{
	const struct insn *i = d->i;
	unsigned l = r->wl & L_BITS, w = r->wl & W_BITS;

	if (!(f->modes & (i->mode == 8 ? MODE_64 : MODE_OTHER)))
		return false;
	if (w && !(w & d->wl))
		return false;
	if (l) {
		/* With rounding L'L is not the length. */
		if (i->evex_b && r->attr & (A_ER | A_SAE) && i->modrm >= 0xc0) {
			if (!(l & L_2))
				return false;
		} else if (!(l & d->wl)) {
			return false;
		}
	}
	if (r->mod >= 0x100 && i->modrm != (r->mod & 0xff))
		return false;
	if (r->attr & A_NOREXB && d->b_)
		return false;
	if (f->feature2 != F_BASE && !insn_has(d->features, f->feature2))
		return false;
	if (f->need & FORM_VL && i->vl < 64 && !insn_has(d->features, F_AVX512VL) &&
	    !(i->evex_b && r->attr & (A_ER | A_SAE) && i->modrm >= 0xc0))
		return false;
	return r->feature == F_BASE || insn_has(d->features, r->feature);
}

/* The row, and the ModRM byte on the way. */
static int find_row(struct dec *d)
{
	const struct node *node = &nodes[d->map][d->op];
	unsigned k = 0;

	if (node->flags & NODE_MODRM) {
		if (!has_bytes(d, 1))
			return out_of_bytes(d, SHORT_MODRM);
		d->i->modrm = d->b[d->pos++];
	}
	if (node->flags & NODE_PFX)
		k = d->pfx;
	if (node->flags & NODE_REG)
		k = k * 8 + (d->i->modrm >> 3 & 7);
	if (node->flags & NODE_MOD)
		k = k * 2 + (d->i->modrm >= 0xc0);
	for (const uint16_t *p = &list[buckets[node->base + k]]; *p != LIST_END; p++) {
		if (row_fits(d, &insn_table[*p], &forms[*p])) {
			d->row = &insn_table[*p];
			d->form = &forms[*p];
			d->i->row = *p;
			d->i->exec = d->row->exec;
			return 0;
		}
	}
	return INSN_INVALID;
}

/* Operand size; address size is known since the prefixes. */
static void set_osize(struct dec *d)
{
	struct insn *i = d->i;
	bool small = i->prefixes & INSN_66;
	uint32_t attr = d->row->attr;

	if (i->mode == 8) {
		if (attr & A_F64 || d->w)
			i->osize = 8;
		else if (small)
			i->osize = 2;
		else
			i->osize = attr & A_D64 ? 8 : 4;
	} else {
		i->osize = (i->mode == 2) != small ? 2 : 4;
	}
}

/* Does the row allow the EVEX fields as they are? */
static bool evex_fits(struct dec *d)
{
	struct insn *i = d->i;
	uint32_t attr = d->row->attr;
	bool rr = i->modrm >= 0xc0;

	if (i->mask ? !(attr & A_MASK) : (attr & A_NOK0) != 0 || i->evex_z)
		return false;
	if (i->evex_z && !(attr & A_ZERO))
		return false;
	if (i->evex_b) {
		if (!(attr & (rr ? A_ER | A_SAE : A_BC32 | A_BC64)))
			return false;
		if (rr) {
			i->rounding = d->ll & 3;
			i->vl = d->row->wl & L_2 ? 64 : 16;
			return true;
		}
	}
	if (d->ll == 3)
		return false;
	return true;
}

/* Rules that are not about which row it is (SDM 2A §2.3, §2.7). */
static bool fields_fit(struct dec *d)
{
	struct insn *i = d->i;
	unsigned need = d->form->need;

	if (i->vex || i->evex) {
		if (i->mode != 8) {
			i->vvvv &= 7;
			d->b_ = 0;
		}
		if (!(need & FORM_VVVV) && (i->vvvv || (d->v2 && !(need & FORM_VSIB))))
			return false;
		if (i->evex && !evex_fits(d))
			return false;
		if (need & FORM_VVVV)
			i->vvvv |= (uint8_t)d->v2;
		if (need & FORM_KREG && (d->r || d->r2))
			return false;
		if (need & FORM_GREG && d->r2)
			return false;
		if (need & FORM_VSIB && (i->modrm & 7) != 4)
			return false;
	}
	if (i->prefixes & INSN_LOCK) {
		uint8_t where = d->row->ops[0].where;

		if (!(d->row->attr & A_LOCK) || i->modrm >= 0xc0 ||
		    (where != AT_RM && where != AT_MEM))
			return false;
	}
	return true;
}

/* The memory operand of a ModRM byte. -------------------------------------------------------- */

static int take_mem16(struct dec *d)
{
	static const uint8_t base[] = {3, 3, 5, 5, 6, 7, 5, 3};
	static const uint8_t index[] = {6, 7, 6, 7, INSN_NOREG, INSN_NOREG, INSN_NOREG, INSN_NOREG};
	struct insn *i = d->i;
	unsigned mod = i->modrm >> 6, rm = i->modrm & 7, n = mod;

	if (d->form->need & FORM_VSIB)
		return INSN_INVALID;
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
	if (!has_bytes(d, n))
		return out_of_bytes(d, SHORT_ELSEWHERE);
	d->disp8 = mod == 1;
	i->disp = take(d, n);
	return 0;
}

static void take_sib(struct dec *d)
{
	struct insn *i = d->i;
	uint8_t sib = d->b[d->pos++];

	i->scale = sib >> 6;
	i->base = (uint8_t)((sib & 7u) | d->b_);
	i->index = (uint8_t)((sib >> 3 & 7u) | d->x);
	if (d->form->need & FORM_VSIB)
		i->index |= (uint8_t)d->v2;
	else if (i->index == 4)
		i->index = INSN_NOREG;
}

static int take_mem(struct dec *d)
{
	struct insn *i = d->i;
	unsigned mod = i->modrm >> 6, n = mod == 1 ? 1 : mod == 2 ? 4 : 0;

	if (i->asize == 2)
		return take_mem16(d);
	if ((i->modrm & 7) == 4) {
		if (!has_bytes(d, 1))
			return out_of_bytes(d, SHORT_ELSEWHERE);
		take_sib(d);
		if (mod == 0 && (i->base & 7) == 5) {
			i->base = INSN_NOREG;
			n = 4;
		}
	} else {
		i->base = (uint8_t)((i->modrm & 7u) | d->b_);
		if (mod == 0 && (i->modrm & 7) == 5) {
			i->base = i->mode == 8 ? INSN_RIP : INSN_NOREG;
			n = 4;
		}
	}
	if ((i->base == 4 || i->base == 5) && !d->seg_given)
		i->seg = X86_SS;
	if (!n)
		return 0;
	if (!has_bytes(d, n))
		return out_of_bytes(d, SHORT_ELSEWHERE);
	d->disp8 = n == 1;
	i->disp = take(d, n);
	return 0;
}

/* Operands. ---------------------------------------------------------------------------------- */

static uint8_t size_of(const struct dec *d, uint8_t size)
{
	const struct insn *i = d->i;

	if (size < SZ_FIRST)
		return size;
	switch (size) {
	case SZ_V: return i->osize;
	case SZ_Z: return i->osize == 2 ? 2 : 4;
	case SZ_Y: return d->w && i->mode == 8 ? 8 : 4;
	case SZ_X: return i->vl;
	case SZ_H: return i->vl / 2;
	case SZ_U: return i->vl / 4;
	case SZ_E: return i->vl / 8;
	case SZ_P: return (uint8_t)(i->osize + 2);
	case SZ_S: return i->mode == 8 ? 10 : 6;
	case SZ_A: return (uint8_t)(2 * i->osize);
	case SZ_N: return i->mode == 8 ? 8 : 4;
	default: return i->asize;
	}
}

static void op_general(struct dec *d, struct insn_op *o, unsigned reg)
{
	if (o->size == 1 && reg >= 4 && reg < 8 && !(d->i->prefixes & INSN_REX) && !d->i->vex &&
	    !d->i->evex) {
		o->kind = OP_HIGH;
		o->reg = (uint8_t)(reg - 4);
	} else {
		o->kind = OP_REG;
		o->reg = (uint8_t)reg;
	}
}

static void op_memory(struct dec *d, struct insn_op *o, const struct insn_spec *s)
{
	struct insn *i = d->i;
	uint32_t attr = d->row->attr;

	o->kind = OP_MEM;
	if (s->where == AT_RM && s->fixed)
		o->size = s->fixed;
	if (i->evex_b)
		o->size = attr & A_BC32 ? 4 : 8;
	if (d->disp8 && i->evex)
		i->disp *= o->size;
	if (attr & A_NOMEMSIZE)
		o->size = 0;
}

/* An operand in rm: a register of @kind, or memory. */
static void op_rm(struct dec *d, struct insn_op *o, const struct insn_spec *s, uint8_t kind,
		  unsigned reg)
{
	if (d->i->modrm < 0xc0 && !(d->form->need & FORM_RREG)) {
		op_memory(d, o, s);
	} else if (kind == OP_REG) {
		op_general(d, o, reg);
	} else {
		o->kind = kind;
		o->reg = (uint8_t)reg;
	}
}

static int op_immediate(struct dec *d, struct insn_op *o, bool unsigned_, bool *first)
{
	int64_t v;

	if (!has_bytes(d, o->size))
		return out_of_bytes(d, SHORT_ELSEWHERE);
	v = take(d, o->size);
	if (unsigned_)
		v &= o->size == 1 ? 0xff : 0xffff;
	o->kind = OP_IMM;
	o->wide = !*first;
	if (*first)
		d->i->imm = v;
	else
		d->i->imm2 = (uint16_t)v;
	*first = false;
	return 0;
}

static int op_far(struct dec *d, struct insn_op *o)
{
	struct insn *i = d->i;

	if (!has_bytes(d, i->osize + 2u))
		return out_of_bytes(d, SHORT_ELSEWHERE);
	o->kind = OP_IMM;
	i->imm = take(d, i->osize);
	i->imm &= i->osize == 2 ? 0xffff : 0xffffffff;
	i->imm2 = (uint16_t)take(d, 2);
	return 0;
}

static int op_moffs(struct dec *d, struct insn_op *o)
{
	struct insn *i = d->i;

	if (!has_bytes(d, i->asize))
		return out_of_bytes(d, SHORT_ELSEWHERE);
	o->kind = OP_MEM;
	i->disp = take(d, i->asize);
	if (i->asize < 8)
		i->disp &= i->asize == 2 ? 0xffff : 0xffffffff;
	return 0;
}

/* Registers that there are not; and CS cannot be loaded by MOV. */
static bool op_system(struct dec *d, struct insn_op *o, unsigned where, bool first)
{
	unsigned reg = d->i->modrm >> 3 & 7;

	if (where == AT_SEG) {
		o->kind = OP_SEG;
		o->reg = (uint8_t)reg;
		return reg <= X86_GS && !(first && reg == X86_CS);
	}
	reg |= d->r;
	o->reg = (uint8_t)reg;
	if (where == AT_DR) {
		o->kind = OP_DR;
		return reg < 8;
	}
	o->kind = OP_CR;
	return reg < 9 && (1u << reg & (1u << 0 | 1u << 2 | 1u << 3 | 1u << 4 | 1u << 8));
}

static void op_vsib(struct dec *d, struct insn_op *o, const struct insn_spec *s)
{
	uint8_t index = s->fixed ? d->i->vl / 2 : d->i->vl;

	op_memory(d, o, s);
	o->reg = index < 16 ? 16 : index;
}

/* The operand @s of the row, resolved. */
static int resolve(struct dec *d, struct insn_op *o, const struct insn_spec *s, bool *imm_first)
{
	struct insn *i = d->i;
	unsigned reg = i->modrm >> 3 & 7, rm = i->modrm & 7;

	o->size = size_of(d, s->size);
	switch (s->where) {
	case AT_REG: op_general(d, o, reg | d->r); return 0;
	case AT_RM: op_rm(d, o, s, OP_REG, rm | d->b_); return 0;
	case AT_RREG: op_general(d, o, rm | d->b_); return 0;
	case AT_MEM: op_memory(d, o, s); return 0;
	case AT_PLUS: op_general(d, o, (d->op & 7) | d->b_); return 0;
	case AT_IMM:
	case AT_REL: return op_immediate(d, o, s->fixed, imm_first);
	case AT_FIXED:
		o->kind = OP_REG;
		o->reg = s->fixed;
		return 0;
	case AT_VVVV:
		o->kind = OP_REG;
		o->reg = i->vvvv;
		return 0;
	case AT_VREG:
		o->kind = OP_VEC;
		o->reg = (uint8_t)(reg | d->r | d->r2);
		return 0;
	case AT_VRM: op_rm(d, o, s, OP_VEC, rm | d->b_ | (i->evex ? d->x << 1 : 0)); return 0;
	case AT_VVVVV:
		o->kind = OP_VEC;
		o->reg = i->vvvv;
		return 0;
	case AT_VFIXED:
		o->kind = OP_VEC;
		o->reg = s->fixed;
		return 0;
	case AT_VSIB: op_vsib(d, o, s); return 0;
	case AT_KREG:
		o->kind = OP_K;
		o->reg = (uint8_t)reg;
		return 0;
	case AT_KRM: op_rm(d, o, s, OP_K, rm); return 0;
	case AT_KVVVV:
		o->kind = OP_K;
		o->reg = i->vvvv;
		return i->vvvv < 8 ? 0 : INSN_INVALID;
	case AT_MREG:
		o->kind = OP_MMX;
		o->reg = (uint8_t)reg;
		return 0;
	case AT_MRM: op_rm(d, o, s, OP_MMX, rm); return 0;
	case AT_ST0: o->kind = OP_ST; return 0;
	case AT_STI:
		o->kind = OP_ST;
		o->reg = (uint8_t)rm;
		return 0;
	case AT_FAR: return op_far(d, o);
	case AT_MOFFS: return op_moffs(d, o);
	case AT_ONE:
		o->kind = OP_IMM;
		i->imm = 1;
		return 0;
	case AT_SEG_FIXED:
		o->kind = OP_SEG;
		o->reg = s->fixed;
		return 0;
	case AT_SI:
		o->kind = OP_MEM;
		o->reg = 6;
		return 0;
	case AT_DI:
		o->kind = OP_MEM;
		o->reg = 7;
		return 0;
	case AT_VIS4:
		if (!has_bytes(d, 1))
			return out_of_bytes(d, SHORT_ELSEWHERE);
		i->imm = (uint8_t)take(d, 1);
		o->kind = OP_VEC;
		o->reg = (uint8_t)(i->imm >> 4 & (i->mode == 8 ? 15 : 7));
		return 0;
	default: return op_system(d, o, s->where, o == i->op) ? 0 : INSN_INVALID;
	}
}

/* Destination, index and mask of a gather must be three registers; of an EVEX gather two. */
static bool gather_fits(const struct insn *i, const struct insn_row *r)
{
	if (i->op[0].kind == OP_MEM) /* a scatter */
		return true;
	if (i->op[0].reg == i->index)
		return false;
	return i->evex || (i->vvvv != i->index && i->vvvv != i->op[0].reg) || r->n_ops < 3;
}

static int decode(struct dec *d)
{
	struct insn *i = d->i;
	bool imm_first = true;
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
	set_osize(d);
	if (!fields_fit(d))
		return INSN_INVALID;
	for (unsigned k = 0; k < d->row->n_ops; k++) {
		unsigned where = d->row->ops[k].where;

		if ((where == AT_SEG || where == AT_CR || where == AT_DR) &&
		    !op_system(d, &i->op[k], where, k == 0))
			return INSN_INVALID;
	}
	if (d->form->need & FORM_MODRM && i->modrm < 0xc0 && !(d->form->need & FORM_RREG)) {
		r = take_mem(d);
		if (r)
			return r;
	}
	for (unsigned k = 0; k < d->row->n_ops; k++) {
		r = resolve(d, &i->op[k], &d->row->ops[k], &imm_first);
		if (r)
			return r;
	}
	if (d->form->need & FORM_VSIB && !gather_fits(i, d->row))
		return INSN_INVALID;
	if (i->evex_z && i->op[0].kind == OP_MEM)
		return INSN_INVALID;
	i->len = (uint8_t)d->pos;
	return 0;
}

static int decode_start(struct dec *d, const uint8_t *b, unsigned n, unsigned mode,
			const struct insn_features *features, struct insn *out)
{
	*d = (struct dec){.b = b, .n = n < INSN_MAX ? n : INSN_MAX, .i = out, .features = features};
	*out = (struct insn){
		.mode = (uint8_t)mode, .base = INSN_NOREG, .index = INSN_NOREG, .seg = X86_DS};
	return decode(d);
}

/*
 * The bytes end in front of the opcode or the ModRM byte: is there one (or both) that makes the
 * instruction valid?  Tried one after the other, with zeros behind; mostly the first will do.
 */
static int cut_short(const uint8_t *b, unsigned n, unsigned mode,
		     const struct insn_features *features, enum shortage at)
{
	uint8_t more[INSN_MAX] = {0};
	int all = INSN_INVALID;
	struct insn i;
	struct dec d;

	memcpy(more, b, n);
	for (unsigned k = 0; k < (at == SHORT_OPCODE ? 65536u : 256u); k++) {
		int r;

		more[n] = at == SHORT_OPCODE ? (uint8_t)(k >> 8) : (uint8_t)k;
		if (at == SHORT_OPCODE && n + 1 < INSN_MAX)
			more[n + 1] = (uint8_t)k;
		r = decode_start(&d, more, INSN_MAX, mode, features, &i);
		if (!r)
			return INSN_SHORT;
		if (r == INSN_LONG)
			all = INSN_LONG;
	}
	return all;
}

int insn_decode(const uint8_t *b, unsigned n, unsigned mode, const struct insn_features *features,
		struct insn *out)
{
	struct dec d;
	int r;

	index_need();
	r = decode_start(&d, b, n, mode, features, out);
	if (r == INSN_SHORT && d.short_at != SHORT_ELSEWHERE)
		r = cut_short(b, n, mode, features, d.short_at);
	return r;
}
