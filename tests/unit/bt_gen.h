/*
 * unit/bt_gen.h - random encodings of a row of the instruction table, for 64-bit mode.  The memory
 * operand is always [RBX + disp32], or with a vector index; RSP and RBX are no operands otherwise.
 */
#ifndef LODGE_UNIT_BT_GEN_H
#define LODGE_UNIT_BT_GEN_H

#include "bt_vec_rig.h"

struct gen {
	uint8_t b[24];
	unsigned n;
	unsigned reg, rm, vvvv, imm;
	bool mem, has_imm, w;
	unsigned l, aaa, z, bc;
	bool vsib;
	unsigned index, scale;
	int32_t disp;
};

static inline void gen_put(struct gen *g, unsigned byte)
{
	g->b[g->n++] = (uint8_t)byte;
}

static inline unsigned gen_gpr(void)
{
	unsigned r;

	do
		r = (unsigned)rnd() % 16;
	while (r == X86_RSP || r == X86_RBX);
	return r;
}

static inline void gen_operands(struct gen *g, const struct insn_row *r, bool evex)
{
	const unsigned vectors = evex ? 32 : 16;

	g->vvvv = 0;
	g->reg = (unsigned)rnd() % 8;
	g->rm = (unsigned)rnd() % 8;
	for (unsigned n = 0; n < r->n_ops; n++) {
		switch (r->ops[n].where) {
		case AT_REG: g->reg = gen_gpr(); break;
		case AT_RM: g->rm = gen_gpr(); break;
		case AT_VVVV: g->vvvv = gen_gpr(); break;
		case AT_VREG: g->reg = (unsigned)rnd() % vectors; break;
		case AT_VRM: g->rm = (unsigned)rnd() % vectors; break;
		case AT_VVVVV: g->vvvv = (unsigned)rnd() % vectors; break;
		case AT_KVVVV: g->vvvv = (unsigned)rnd() % 8; break;
		case AT_VSIB:
			g->vsib = true;
			g->index = (unsigned)rnd() % vectors;
			g->scale = (unsigned)rnd() % 4;
			break;
		case AT_IMM:
		case AT_VIS4: g->has_imm = true; break;
		default: break;
		}
	}
	g->imm = (unsigned)rnd() & 0xff;
}

static inline void gen_modrm(struct gen *g, const struct insn_row *r)
{
	const unsigned m = r->mod;

	if (m == MOD_NONE)
		return;
	if (m & 0x100) {
		g->mem = false;
		g->reg = m >> 3 & 7;
		g->rm = m & 7;
		return;
	}
	if (m == MOD_RM || (m & 0x30) == 0x20)
		g->mem = true;
	else if (m == MOD_RR || (m & 0x30) == 0x30)
		g->mem = false;
	else
		g->mem = rnd() % 2;
	if (m >= 0x10)
		g->reg = m & 7;
}

static inline void gen_evex(struct gen *g, const struct insn_row *r)
{
	bool to_memory = g->mem;

	if (r->attr & A_MASK)
		g->aaa = (unsigned)rnd() % 8;
	if (r->attr & A_NOK0 && !g->aaa)
		g->aaa = 1;
	to_memory = g->mem && (r->ops[0].where == AT_VRM || r->ops[0].where == AT_MEM);
	if (r->attr & A_ZERO && g->aaa && !to_memory)
		g->z = rnd() % 2;
	if (g->mem && r->attr & (A_BC32 | A_BC64))
		g->bc = rnd() % 2;
	if (!g->mem && r->attr & (A_ER | A_SAE) && rnd() % 2) {
		g->bc = 1;
		g->l = r->attr & A_ER ? (unsigned)rnd() % 4 : g->l;
	}
}

static inline void gen_prefixes(struct gen *g, const struct insn_row *r)
{
	static const uint8_t prefix[] = {0, 0, 0x66, 0xf3, 0xf2}, pp[] = {0, 0, 1, 2, 3};
	const unsigned rm = g->mem ? X86_RBX : g->rm;
	const unsigned x = g->vsib ? g->index >> 3 & 1 : !g->mem && rm >= 16;
	const unsigned v4 = g->vsib ? g->index >> 4 : g->vvvv >> 4;

	if (r->map >= MAP_E0F) {
		gen_put(g, 0x62);
		gen_put(g, (~g->reg >> 3 & 1) << 7 | (unsigned)!x << 6 | (~rm >> 3 & 1) << 5 |
				   (~g->reg >> 4 & 1) << 4 | (r->map - MAP_E0F + 1u));
		gen_put(g, (unsigned)g->w << 7 | (~g->vvvv & 15) << 3 | 4 | pp[r->pfx]);
		gen_put(g, g->z << 7 | g->l << 5 | g->bc << 4 | (~v4 & 1) << 3 | g->aaa);
	} else if (r->map >= MAP_V0F) {
		gen_put(g, 0xc4);
		gen_put(g, (~g->reg >> 3 & 1) << 7 | (unsigned)!x << 6 | (~rm >> 3 & 1) << 5 |
				   (r->map - MAP_V0F + 1u));
		gen_put(g, (unsigned)g->w << 7 | (~g->vvvv & 15) << 3 | g->l << 2 | pp[r->pfx]);
	} else {
		if (prefix[r->pfx])
			gen_put(g, prefix[r->pfx]);
		if (g->w || g->reg >= 8 || rm >= 8 || (r->map != MAP_1 && rnd() % 4 == 0))
			gen_put(g, 0x40 | (unsigned)g->w << 3 | (g->reg >> 3 & 1) << 2 |
					   (rm >> 3 & 1));
		if (r->map != MAP_1)
			gen_put(g, 0x0f);
		if (r->map == MAP_38)
			gen_put(g, 0x38);
		if (r->map == MAP_3A)
			gen_put(g, 0x3a);
	}
}

static inline bool gen_one_l(const struct insn_row *r, unsigned l)
{
	return !(r->wl & (L_0 | L_1 | L_2)) || r->wl & (L_0 << l);
}

/* An encoding of @r with the memory operand at RBX + @disp. */
static inline void gen_row(struct gen *g, const struct insn_row *r, int32_t disp)
{
	const bool evex = r->map >= MAP_E0F, vex = r->map >= MAP_V0F;

	*g = (struct gen){.disp = disp};
	g->w = r->wl & W_1 ? true : r->wl & W_0 ? false : rnd() % 2;
	if (!vex && r->map == MAP_1)
		g->w = false;
	do
		g->l = (unsigned)rnd() % (evex ? 3 : vex ? 2 : 1);
	while (!gen_one_l(r, g->l) && vex);
	gen_operands(g, r, evex);
	gen_modrm(g, r);
	if (evex)
		gen_evex(g, r);
	gen_prefixes(g, r);
	gen_put(g, r->op);
	if (r->mod == MOD_NONE)
		return;
	gen_put(g, (g->mem ? 0x80u : 0xc0u) | (g->reg & 7) << 3 |
			   (g->vsib  ? 4
			    : g->mem ? (unsigned)X86_RBX
				     : g->rm & 7));
	if (g->vsib)
		gen_put(g, g->scale << 6 | (g->index & 7) << 3 | X86_RBX);
	if (g->mem) {
		memcpy(g->b + g->n, &g->disp, 4);
		g->n += 4;
	}
	if (g->has_imm)
		gen_put(g, g->imm);
}

#endif
