/*
 * insn/forge.h - byte strings that are nearly instructions: made from the rows of the instruction
 * table with prefixes, fields and operands at random, some of them wrong.
 */
#ifndef LODGE_INSN_FORGE_H
#define LODGE_INSN_FORGE_H

#include "accel/bt/insn.h"

struct forge {
	uint64_t seed; /* not 0 */
	uint8_t b[32];
	unsigned n;
};

/* xorshift64* (Vigna 2016). */
static inline uint64_t forge_random(struct forge *f)
{
	f->seed ^= f->seed >> 12;
	f->seed ^= f->seed << 25;
	f->seed ^= f->seed >> 27;
	return f->seed * UINT64_C(2685821657736338717);
}

static inline void forge_put(struct forge *f, unsigned b)
{
	f->b[f->n++] = (uint8_t)b;
}

/* True once in @n. */
static inline bool forge_one_in(struct forge *f, unsigned n)
{
	return forge_random(f) >> 32 & 0xffff ? (forge_random(f) >> 40) % n == 0 : true;
}

static inline unsigned forge_pp(const struct insn_row *r)
{
	return r->pfx == P66 ? 1 : r->pfx == PF3 ? 2 : r->pfx == PF2 ? 3 : 0;
}

static inline void forge_legacy(struct forge *f, const struct insn_row *r, unsigned mode)
{
	static const uint8_t pfx[] = {0, 0x66, 0xf3, 0xf2};
	uint64_t x = forge_random(f);

	if (forge_pp(r))
		forge_put(f, pfx[forge_pp(r)]);
	if (mode == 8 && (x & 1 || r->wl & W_1))
		forge_put(f, 0x40 | (x >> 1 & 15) | (r->wl & W_1 ? 8 : 0));
	if (r->map != MAP_1)
		forge_put(f, 0x0f);
	if (r->map == MAP_38 || r->map == MAP_3A)
		forge_put(f, r->map == MAP_38 ? 0x38 : 0x3a);
}

/* A vector length that the row allows, mostly. */
static inline unsigned forge_ll(struct forge *f, const struct insn_row *r)
{
	unsigned allowed = r->wl / L_0 & 7, ll = forge_random(f) >> 20 & 3;

	if (forge_one_in(f, 16))
		return ll;
	while (allowed && !(allowed >> ll & 1))
		ll = (ll + 1) % 3;
	return ll;
}

static inline unsigned forge_w_vvvv(struct forge *f, const struct insn_row *r)
{
	uint64_t x = forge_random(f);
	unsigned w = r->wl & W_1 ? 1 : r->wl & W_0 ? 0 : x & 1;

	return w << 7 | (x & 2 ? 15u : x >> 8 & 15) << 3 | forge_pp(r);
}

/* Outside 64-bit mode the top bits must be set, or it is LES, LDS or BOUND. */
static inline unsigned forge_top(struct forge *f, unsigned mode)
{
	return mode != 8 && !forge_one_in(f, 16) ? 0xc0 : 0;
}

static inline void forge_vex(struct forge *f, const struct insn_row *r, unsigned mode)
{
	uint64_t x = forge_random(f);
	unsigned map = r->map - MAP_V0F + 1u, fields = forge_w_vvvv(f, r);
	unsigned l = forge_ll(f, r) & 1;

	if (map == 1 && fields < 0x80 && x & 1) {
		forge_put(f, 0xc5);
		forge_put(f, (x >> 8 & 0x80) | fields | l << 2 | forge_top(f, mode));
		return;
	}
	forge_put(f, 0xc4);
	forge_put(f, (x >> 8 & 0xe0) | map | forge_top(f, mode));
	forge_put(f, fields | l << 2);
}

static inline void forge_evex(struct forge *f, const struct insn_row *r, unsigned mode)
{
	uint64_t x = forge_random(f);

	forge_put(f, 0x62);
	forge_put(f, (x & 0xf0) | (r->map - MAP_E0F + 1u) | forge_top(f, mode));
	if (forge_one_in(f, 64))
		f->b[f->n - 1] ^= 4u << (x >> 16 & 1);
	forge_put(f, forge_w_vvvv(f, r) | (forge_one_in(f, 256) ? 0 : 4));
	forge_put(f, (forge_one_in(f, 3) ? 0x80u : 0) | forge_ll(f, r) << 5 |
			     (forge_one_in(f, 3) ? 0x10u : 0) | (forge_one_in(f, 4) ? 0 : 8u) |
			     (x & 0x200 ? x >> 12 & 7 : 0));
}

static inline void forge_modrm(struct forge *f, const struct insn_row *r)
{
	unsigned x = forge_random(f) >> 8 & 0xff, reg = r->mod & 7;

	if (r->mod >= 0x100)
		x = r->mod & 0xff;
	else if (r->mod >= 0x10)
		x = (x & 0xc7) | reg << 3;
	if (r->mod < 0x100 && (r->mod == MOD_RR || r->mod >= 0x30))
		x |= 0xc0;
	else if (r->mod < 0x100 && (r->mod == MOD_RM || r->mod >= 0x20) && x >= 0xc0)
		x &= 0xbf;
	forge_put(f, x);
}

/* @mode as insn_decode takes it. */
static inline void forge_row(struct forge *f, const struct insn_row *r, unsigned mode)
{
	static const uint8_t prefixes[] = {0x66, 0x67, 0xf2, 0xf3, 0x2e,
					   0x64, 0x65, 0xf0, 0x36, 0x26};

	f->n = 0;
	if (forge_one_in(f, 4))
		for (unsigned n = 1 + (forge_random(f) >> 33) % 3; n; n--)
			forge_put(f, prefixes[(forge_random(f) >> 17) % sizeof(prefixes)]);
	if (r->map >= MAP_E0F)
		forge_evex(f, r, mode);
	else if (r->map >= MAP_V0F)
		forge_vex(f, r, mode);
	else
		forge_legacy(f, r, mode);
	forge_put(f, r->op + (r->mod == MOD_PLUS ? forge_random(f) >> 12 & 7 : 0));
	if (r->mod != MOD_NONE && r->mod != MOD_PLUS)
		forge_modrm(f, r);
	while (f->n < INSN_MAX)
		forge_put(f, forge_random(f) >> 24 & 0xff);
}

/* Uniform bytes, half of them behind a byte that leads further into the table. */
static inline void forge_noise(struct forge *f)
{
	static const uint8_t lead[] = {0x0f, 0x62, 0xc4, 0xc5, 0xf3, 0x66, 0xf2, 0xd9};

	for (f->n = 0; f->n < 16;)
		forge_put(f, forge_random(f) >> 24 & 0xff);
	if (forge_random(f) >> 40 & 1) {
		f->b[0] = lead[forge_random(f) >> 40 & 7];
		if (f->b[0] == 0x62)
			f->b[2] |= 4;
	}
}

#endif
