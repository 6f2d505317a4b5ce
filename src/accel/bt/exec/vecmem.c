/*
 * accel/bt/exec/vecmem.c - vector instructions that touch memory by elements: masked moves,
 * gathers, scatters, compress and expand.  They are done in C.
 *
 * Elements that a mask excludes are not touched and do not fault.  Loads change no register before
 * the last element has been read, and stores check all elements before the first is written; only
 * gathers and scatters work element by element, as the architecture wants it: what was done stays
 * done, the mask tells how far it went, and the instruction is started again behind the fault.
 */
#include <string.h>

#include "accel/bt/exec.h"
#include "accel/bt/host/host.h"
#include "accel/bt/mmu.h"
#include "base/compiler.h"

static uint64_t element(const uint8_t *from, unsigned n, unsigned size)
{
	uint64_t v = 0;

	memcpy(&v, from + n * size, size);
	return v;
}

/* Writes a vector register as VEX and EVEX do: zero above @bytes. */
static void set_vector(struct bt_cpu *c, unsigned reg, const uint8_t *v, unsigned bytes)
{
	uint8_t *to = c->ext.zmm[reg & 31];

	memcpy(to, v, bytes);
	memset(to + bytes, 0, 64 - bytes);
}

static uint64_t cut(const struct bt_cpu *c, uint64_t la)
{
	return c->mode.code == 8 ? la : (uint32_t)la;
}

static void load_active(struct bt_cpu *c, uint64_t la, unsigned size, unsigned n, uint64_t active,
			uint8_t *to)
{
	for (unsigned k = 0; k < n; k++) {
		uint64_t v;

		if (!(active >> k & 1))
			continue;
		v = bt_ld(c, cut(c, la + k * size), size);
		memcpy(to + k * size, &v, size);
	}
}

static void store_active(struct bt_cpu *c, uint64_t la, unsigned size, unsigned n, uint64_t active,
			 const uint8_t *from)
{
	for (unsigned k = 0; k < n; k++) {
		if (active >> k & 1 && !bt_write_ptr(c, cut(c, la + k * size), size))
			bt_probe(c, cut(c, la + k * size), size, BT_WRITE);
	}
	for (unsigned k = 0; k < n; k++) {
		if (active >> k & 1)
			bt_st(c, cut(c, la + k * size), element(from, k, size), size);
	}
}

/* The top bits of @n elements. */
static uint64_t signs(const uint8_t *v, unsigned size, unsigned n)
{
	uint64_t m = 0;

	for (unsigned k = 0; k < n; k++)
		m |= (uint64_t)(v[k * size + size - 1] >> 7) << k;
	return m;
}

/* Masked moves. ------------------------------------------------------------------------------ */

static uint64_t di_address(struct bt_cpu *c, const struct insn *i, unsigned n)
{
	uint64_t ea = c->gpr[X86_RDI];

	if (i->asize < 8)
		ea = i->asize == 4 ? (uint32_t)ea : (uint16_t)ea;
	return bt_la_of(c, i->seg, ea, n, BT_WRITE);
}

/* The two vector operands of MASKMOVx, in order: data, mask. */
static void two_operands(const struct insn *i, unsigned kind, unsigned *data, unsigned *mask)
{
	unsigned found = 0;

	for (unsigned n = 0; n < INSN_OPS; n++) {
		if (i->op[n].kind != kind)
			continue;
		if (found++ == 0)
			*data = i->op[n].reg;
		else
			*mask = i->op[n].reg;
	}
}

void exec_maskmovdqu(struct bt_cpu *c, const struct insn *i)
{
	unsigned data = 0, mask = 0;

	pure_check_vector(c, i);
	two_operands(i, OP_VEC, &data, &mask);
	store_active(c, di_address(c, i, 16), 1, 16, signs(c->ext.zmm[mask & 31], 1, 16),
		     c->ext.zmm[data & 31]);
}

void exec_maskmovq(struct bt_cpu *c, const struct insn *i)
{
	static const struct pure_stub mmx = {.unit = UNIT_MMX, .flags = PS_MMX};
	const unsigned top = c->ext.fx[3] >> 3 & 7u; /* TOP, in FSW */
	unsigned data = 0, mask = 0;
	uint8_t *d, *m;

	pure_check(c, &mmx);
	two_operands(i, OP_MMX, &data, &mask);
	d = c->ext.fx + 32 + ((data - top) & 7) * 16;
	m = c->ext.fx + 32 + ((mask - top) & 7) * 16;
	store_active(c, di_address(c, i, 8), 1, 8, signs(m, 1, 8), d);
	x87_to_mmx(c);
}

/* VMASKMOVPS, VMASKMOVPD, VPMASKMOVD, VPMASKMOVQ: the mask is in vvvv. */
void exec_vmaskmov(struct bt_cpu *c, const struct insn *i)
{
	const unsigned op = insn_table[i->row].op, vl = i->vl;
	const bool wide = op == 0x2d || op == 0x2f || (op > 0x80 && i->prefixes & INSN_REX_W);
	const unsigned size = wide ? 8 : 4;
	const bool store = i->op[0].kind == OP_MEM;
	uint8_t buf[64] = {0};
	uint64_t la, active;

	pure_check_vector(c, i);
	active = signs(c->ext.zmm[i->op[1].reg & 31], size, vl / size);
	la = bt_la(c, i, vl, store ? BT_WRITE : BT_READ);
	if (store) {
		store_active(c, la, size, vl / size, active, c->ext.zmm[i->op[2].reg & 31]);
		return;
	}
	load_active(c, la, size, vl / size, active, buf);
	set_vector(c, i->op[0].reg, buf, vl);
}

/* Gather and scatter (SDM 2A §2.3.12, §2.7.6). ------------------------------------------------ */

struct vsib {
	unsigned size, index_size, n; /* bytes of an element and of an index, elements */
	uint64_t base;
	const uint8_t *index;
};

static void vsib_of(struct bt_cpu *c, const struct insn *i, unsigned mem, struct vsib *v)
{
	v->size = i->op[mem].size;
	v->index_size = insn_table[i->row].op & 1 ? 8 : 4;
	v->n = i->vl / MAX(v->size, v->index_size);
	v->base = (uint64_t)i->disp + (i->base < 16 ? c->gpr[i->base] : 0);
	v->index = c->ext.zmm[i->index & 31];
}

static uint64_t vsib_la(struct bt_cpu *c, const struct insn *i, const struct vsib *v, unsigned n,
			enum bt_access how)
{
	uint64_t index = element(v->index, n, v->index_size), ea;

	if (v->index_size == 4)
		index = (uint64_t)(int64_t)(int32_t)(uint32_t)index;
	ea = v->base + (index << i->scale);
	return bt_la_of(c, i->seg, i->asize == 8 ? ea : (uint32_t)ea, v->size, how);
}

static void gather_vex(struct bt_cpu *c, const struct insn *i, const struct vsib *v)
{
	uint8_t *to = c->ext.zmm[i->op[0].reg & 31], *mask = c->ext.zmm[i->vvvv & 31];

	if (i->op[0].reg == i->index || i->op[0].reg == i->vvvv || i->index == i->vvvv)
		bt_ud(c);
	for (unsigned n = 0; n < v->n; n++) {
		if (mask[n * v->size + v->size - 1] & 0x80) {
			const uint64_t e = bt_ld(c, vsib_la(c, i, v, n, BT_READ), v->size);

			memcpy(to + n * v->size, &e, v->size);
		}
		memset(mask + n * v->size, 0, v->size);
	}
	memset(mask, 0, 64);
	memset(to + v->n * v->size, 0, 64 - v->n * v->size);
}

void exec_vgather(struct bt_cpu *c, const struct insn *i)
{
	uint8_t *to = c->ext.zmm[i->op[0].reg & 31];
	uint64_t *k = &c->ext.k[i->mask & 7];
	struct vsib v;

	pure_check_vector(c, i);
	vsib_of(c, i, 1, &v);
	if (!i->evex) {
		gather_vex(c, i, &v);
		return;
	}
	if (i->op[0].reg == i->index)
		bt_ud(c);
	for (unsigned n = 0; n < v.n; n++) {
		if (*k >> n & 1) {
			const uint64_t e = bt_ld(c, vsib_la(c, i, &v, n, BT_READ), v.size);

			memcpy(to + n * v.size, &e, v.size);
		}
		*k &= ~(UINT64_C(1) << n);
	}
	*k = 0;
	memset(to + v.n * v.size, 0, 64 - v.n * v.size);
}

void exec_vscatter(struct bt_cpu *c, const struct insn *i)
{
	uint64_t *k = &c->ext.k[i->mask & 7];
	const uint8_t *from = c->ext.zmm[i->op[1].reg & 31];
	struct vsib v;

	pure_check_vector(c, i);
	vsib_of(c, i, 0, &v);
	for (unsigned n = 0; n < v.n; n++) {
		if (*k >> n & 1)
			bt_st(c, vsib_la(c, i, &v, n, BT_WRITE), element(from, n, v.size), v.size);
		*k &= ~(UINT64_C(1) << n);
	}
	*k = 0;
}

/* Compress and expand. ----------------------------------------------------------------------- */

static unsigned packed_size(const struct insn *i)
{
	const unsigned op = insn_table[i->row].op;
	const bool wide = i->prefixes & INSN_REX_W;

	if (op == 0x62 || op == 0x63)
		return wide ? 2 : 1;
	return wide ? 8 : 4;
}

/* The elements an opmask leaves, of @n. */
static uint64_t active_of(const struct bt_cpu *c, const struct insn *i, unsigned n)
{
	const uint64_t k = i->mask ? c->ext.k[i->mask & 7] : UINT64_MAX;

	return n == 64 ? k : k & ((UINT64_C(1) << n) - 1);
}

void exec_vcompress(struct bt_cpu *c, const struct insn *i)
{
	const unsigned size = packed_size(i), n = i->vl / size;
	uint8_t buf[64];
	unsigned at = 0;
	uint64_t active;

	if (i->op[0].kind != OP_MEM) {
		exec_pure(c, i);
		return;
	}
	pure_check_vector(c, i);
	active = active_of(c, i, n);
	for (unsigned k = 0; k < n; k++) {
		if (!(active >> k & 1))
			continue;
		memcpy(buf + at, c->ext.zmm[i->op[1].reg & 31] + k * size, size);
		at += size;
	}
	if (at)
		bt_st_block(c, bt_la(c, i, at, BT_WRITE), buf, at);
}

void exec_vexpand(struct bt_cpu *c, const struct insn *i)
{
	const unsigned size = packed_size(i), n = i->vl / size;
	uint8_t buf[64], to[64];
	unsigned at = 0;
	uint64_t active;

	if (i->op[1].kind != OP_MEM) {
		exec_pure(c, i);
		return;
	}
	pure_check_vector(c, i);
	active = active_of(c, i, n);
	if (active)
		bt_ld_block(c, bt_la(c, i, (unsigned)__builtin_popcountll(active) * size, BT_READ),
			    buf, (unsigned)__builtin_popcountll(active) * size);
	memcpy(to, c->ext.zmm[i->op[0].reg & 31], sizeof(to));
	for (unsigned k = 0; k < n; k++) {
		if (active >> k & 1) {
			memcpy(to + k * size, buf + at, size);
			at += size;
		} else if (i->evex_z) {
			memset(to + k * size, 0, size);
		}
	}
	set_vector(c, i->op[0].reg, to, i->vl);
}

/* Clearing. ---------------------------------------------------------------------------------- */

static void zero(struct bt_cpu *c, const struct insn *i, unsigned from)
{
	const unsigned n = c->mode.code == 8 ? 16 : 8;

	pure_check_vector(c, i);
	for (unsigned r = 0; r < n; r++)
		memset(c->ext.zmm[r] + from, 0, 64 - from);
}

void exec_vzeroupper(struct bt_cpu *c, const struct insn *i)
{
	zero(c, i, 16);
}

void exec_vzeroall(struct bt_cpu *c, const struct insn *i)
{
	zero(c, i, 0);
}
