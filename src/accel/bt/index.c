/*
 * accel/bt/index.c - builds the index of the instruction table at the first decode.
 */
#include "accel/bt/index.h"

#include <pthread.h>
#include <stdlib.h>

#include "base/compiler.h"

struct insn_index insn_index;
static unsigned n_buckets, n_list;

static bool row_has_modrm(const struct insn_row *r)
{
	return r->mod != MOD_NONE && r->mod != MOD_PLUS;
}

static struct insn_form form_of(const struct insn_row *r)
{
	struct insn_form f = {.modes = MODE_OTHER | MODE_64, .feature2 = F_BASE};

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
		case AT_SEG:
		case AT_CR:
		case AT_DR: f.need |= FORM_SYSTEM; break;
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
	if (f.modes != (MODE_OTHER | MODE_64) || f.feature2 != F_BASE || r->feature != F_BASE ||
	    r->wl || r->mod >= 0x100 || r->attr & A_NOREXB)
		f.need |= FORM_CHOICE;
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
static void node_fill(struct insn_node *node, const uint32_t *rows, unsigned n)
{
	unsigned pfxs = node->flags & NODE_PFX ? 4 : 1, regs = node->flags & NODE_REG ? 8 : 1;
	unsigned mods = node->flags & NODE_MOD ? 2 : 1;

	node->base = (uint16_t)n_buckets;
	for (unsigned k = 0; k < pfxs * regs * mods; k++) {
		BUG_ON(n_buckets == INSN_BUCKETS_MAX || n_list + n + 1 > INSN_LIST_MAX);
		insn_index.buckets[n_buckets++] = (uint16_t)n_list;
		for (unsigned j = 0; j < n; j++) {
			uint16_t row = (uint16_t)rows[j];

			if (row_in_bucket(&insn_table[row], k / mods / regs, k / mods % regs,
					  k % mods))
				insn_index.list[n_list++] = row;
		}
		insn_index.list[n_list++] = INSN_LIST_END;
	}
}

static int by_number(const void *a, const void *b)
{
	uint32_t x = *(const uint32_t *)a, y = *(const uint32_t *)b;

	return x < y ? -1 : x > y;
}

static void build(void)
{
	static uint32_t all[INSN_ROWS_MAX * 2]; /* map, opcode, row */
	unsigned n = 0, from = 0;

	BUG_ON(insn_rows > INSN_ROWS_MAX);
	for (unsigned k = 0; k < insn_rows; k++) {
		const struct insn_row *r = &insn_table[k];

		insn_index.forms[k] = form_of(r);
		for (unsigned j = 0; j < row_span(r); j++) {
			BUG_ON(n == ARRAY_LEN(all));
			all[n++] = (uint32_t)r->map << 24 | (uint32_t)(r->op + j) << 16 | k;
			insn_index.nodes[r->map][r->op + j].flags |= node_flags_of(r);
		}
	}
	qsort(all, n, sizeof(all[0]), by_number);
	insn_index.buckets[n_buckets++] = (uint16_t)n_list; /* of opcodes without a row */
	insn_index.list[n_list++] = INSN_LIST_END;
	for (unsigned k = 1; k <= n; k++) {
		if (k < n && all[k] >> 16 == all[from] >> 16)
			continue;
		node_fill(&insn_index.nodes[all[from] >> 24][all[from] >> 16 & 255], &all[from],
			  k - from);
		from = k;
	}
}

void insn_index_build(void)
{
	static pthread_once_t once = PTHREAD_ONCE_INIT;

	pthread_once(&once, build);
	atomic_store_explicit(&insn_index.ready, true, memory_order_release);
}
