/*
 * accel/bt/exec/lanes.c - EVEX instructions with an opmask whose memory operand is not simply
 * there: on two pages, on a device, in a page that is watched.
 *
 * Elements that are masked off are not accessed and do not fault.  The operand is assembled beside
 * from those that are, the stub runs on that, and of what it writes the active elements are stored.
 */
#include <string.h>

#include "accel/bt/exec.h"
#include "accel/bt/host/host.h"
#include "accel/bt/mmu.h"
#include "base/compiler.h"

/* How an EVEX instruction with an opmask touches its memory operand (SDM 2A §2.8, types E1-E12). */
enum touch {
	BY_ELEMENT, /* faults come from active elements only; elements of W ? 8 : 4 bytes */
	BYTES,	    /* the same by bytes */
	WORDS,
	BY_W,  /* W ? 2 : 1 */
	WHOLE, /* types "NF": always touched whole */
};

static const struct {
	uint8_t map, first, last, pfx, touch; /* PA: whatever it is */
} touches[] = {
	{MAP_E0F, 0x12, 0x16, PA, WHOLE},
	{MAP_E0F, 0x60, 0x63, PA, WHOLE},
	{MAP_E0F, 0x64, 0x64, PA, BYTES},
	{MAP_E0F, 0x65, 0x65, PA, WORDS},
	{MAP_E0F, 0x67, 0x6d, PA, WHOLE},
	{MAP_E0F, 0x6f, 0x6f, PF2, BY_W},
	{MAP_E0F, 0x70, 0x70, PA, WHOLE},
	{MAP_E0F, 0x71, 0x71, PA, WORDS},
	{MAP_E0F, 0x74, 0x74, PA, BYTES},
	{MAP_E0F, 0x75, 0x75, PA, WORDS},
	{MAP_E0F, 0x7f, 0x7f, PF2, BY_W},
	{MAP_E0F, 0xc6, 0xc6, PA, WHOLE},
	{MAP_E0F, 0xd1, 0xd3, PA, WHOLE},
	{MAP_E0F, 0xd5, 0xd5, PA, WORDS},
	{MAP_E0F, 0xd8, 0xd8, PA, BYTES},
	{MAP_E0F, 0xd9, 0xd9, PA, WORDS},
	{MAP_E0F, 0xda, 0xda, PA, BYTES},
	{MAP_E0F, 0xdc, 0xdc, PA, BYTES},
	{MAP_E0F, 0xdd, 0xdd, PA, WORDS},
	{MAP_E0F, 0xde, 0xde, PA, BYTES},
	{MAP_E0F, 0xe0, 0xe0, PA, BYTES},
	{MAP_E0F, 0xe1, 0xe2, PA, WHOLE},
	{MAP_E0F, 0xe3, 0xe5, PA, WORDS},
	{MAP_E0F, 0xe8, 0xe8, PA, BYTES},
	{MAP_E0F, 0xe9, 0xea, PA, WORDS},
	{MAP_E0F, 0xec, 0xec, PA, BYTES},
	{MAP_E0F, 0xed, 0xee, PA, WORDS},
	{MAP_E0F, 0xf1, 0xf3, PA, WHOLE},
	{MAP_E0F, 0xf5, 0xf6, PA, WHOLE},
	{MAP_E0F, 0xf8, 0xf8, PA, BYTES},
	{MAP_E0F, 0xf9, 0xf9, PA, WORDS},
	{MAP_E0F, 0xfc, 0xfc, PA, BYTES},
	{MAP_E0F, 0xfd, 0xfd, PA, WORDS},
	{MAP_E38, 0x00, 0x00, PA, WHOLE},
	{MAP_E38, 0x04, 0x04, PA, WHOLE},
	{MAP_E38, 0x0b, 0x0b, PA, WORDS},
	{MAP_E38, 0x0c, 0x0d, PA, WHOLE},
	{MAP_E38, 0x10, 0x10, PF3, BYTES}, /* 10-15, 20-25, 30-35 with F3: narrowing stores */
	{MAP_E38, 0x11, 0x12, PF3, BYTES},
	{MAP_E38, 0x13, 0x14, PF3, WORDS},
	{MAP_E38, 0x20, 0x22, PF3, BYTES},
	{MAP_E38, 0x23, 0x24, PF3, WORDS},
	{MAP_E38, 0x30, 0x32, PF3, BYTES},
	{MAP_E38, 0x33, 0x34, PF3, WORDS},
	{MAP_E38, 0x10, 0x13, P66, WORDS},
	{MAP_E38, 0x16, 0x16, PA, WHOLE},
	{MAP_E38, 0x1c, 0x1c, PA, BYTES},
	{MAP_E38, 0x1d, 0x1d, PA, WORDS},
	{MAP_E38, 0x20, 0x22, P66, BYTES},
	{MAP_E38, 0x23, 0x24, P66, WORDS},
	{MAP_E38, 0x26, 0x26, PA, BY_W},
	{MAP_E38, 0x2b, 0x2b, PA, WHOLE},
	{MAP_E38, 0x30, 0x32, P66, BYTES},
	{MAP_E38, 0x33, 0x34, P66, WORDS},
	{MAP_E38, 0x36, 0x36, PA, WHOLE},
	{MAP_E38, 0x38, 0x38, PA, BYTES},
	{MAP_E38, 0x3a, 0x3a, PA, WORDS},
	{MAP_E38, 0x3c, 0x3c, PA, BYTES},
	{MAP_E38, 0x3e, 0x3e, PA, WORDS},
	{MAP_E38, 0x54, 0x54, PA, BY_W},
	{MAP_E38, 0x62, 0x63, PA, BY_W},
	{MAP_E38, 0x66, 0x66, PA, BY_W},
	{MAP_E38, 0x70, 0x70, PA, WORDS},
	{MAP_E38, 0x72, 0x72, P66, WORDS},
	{MAP_E38, 0x72, 0x72, PF2, WHOLE},
	{MAP_E38, 0x75, 0x77, PA, WHOLE},
	{MAP_E38, 0x78, 0x78, PA, BYTES},
	{MAP_E38, 0x79, 0x79, PA, WORDS},
	{MAP_E38, 0x7d, 0x7f, PA, WHOLE},
	{MAP_E38, 0x83, 0x83, PA, WHOLE},
	{MAP_E38, 0x8d, 0x8d, PA, WHOLE},
	{MAP_E38, 0x8f, 0x8f, PA, BYTES},
	{MAP_E38, 0xc4, 0xc4, PA, WHOLE},
	{MAP_E38, 0xcf, 0xcf, PA, BYTES},
	{MAP_E3A, 0x00, 0x05, PA, WHOLE},
	{MAP_E3A, 0x0f, 0x0f, PA, WHOLE},
	{MAP_E3A, 0x18, 0x1b, PA, WHOLE},
	{MAP_E3A, 0x1d, 0x1d, PA, WORDS},
	{MAP_E3A, 0x23, 0x23, PA, WHOLE},
	{MAP_E3A, 0x38, 0x3b, PA, WHOLE},
	{MAP_E3A, 0x3e, 0x3f, PA, BY_W},
	{MAP_E3A, 0x42, 0x43, PA, WHOLE},
	{MAP_E3A, 0x70, 0x70, PA, WORDS},
	{MAP_E3A, 0x72, 0x72, PA, WORDS},
	{MAP_E3A, 0xce, 0xcf, PA, WHOLE},
};

static enum touch touch_of(const struct insn_row *r)
{
	for (unsigned n = 0; n < ARRAY_LEN(touches); n++) {
		if (r->map == touches[n].map && r->op >= touches[n].first &&
		    r->op <= touches[n].last && (touches[n].pfx == PA || touches[n].pfx == r->pfx))
			return (enum touch)touches[n].touch;
	}
	return BY_ELEMENT;
}

/* A memory operand as elements under a mask. */
struct lanes {
	uint64_t la, active;
	unsigned n, size; /* of an element, in bytes */
	bool whole;
};

static bool broadcasts(const struct insn *i, const struct insn_row *r)
{
	return i->evex_b || (r->map == MAP_E38 && r->pfx == P66 &&
			     ((r->op >= 0x18 && r->op <= 0x1b) ||
			      (r->op >= 0x58 && r->op <= 0x5b) || r->op == 0x78 || r->op == 0x79));
}

/* The result's elements, where a broadcast makes them of few in memory. */
static unsigned results(const struct insn *i, const struct insn_row *r, unsigned size)
{
	for (unsigned n = 0; n < r->n_ops; n++) {
		if (i->op[n].kind == OP_MEM && r->ops[n].size == SZ_H) /* and widens them */
			return i->vl / (size * 2);
	}
	return i->vl / size;
}

static void lanes_of(struct bt_cpu *c, const struct insn *i, const struct pure_stub *s, uint64_t la,
		     struct lanes *l)
{
	const struct insn_row *r = &insn_table[i->row];
	const bool w = i->prefixes & INSN_REX_W;
	const uint64_t k = c->ext.k[i->mask & 7];
	const enum touch t = touch_of(r);
	unsigned many;

	BUG_ON(!s->mem); /* PS_MASKED says that there is one */
	*l = (struct lanes){.la = la, .size = w ? 8 : 4, .whole = t == WHOLE};
	switch (t) {
	case BYTES: l->size = 1; break;
	case WORDS: l->size = 2; break;
	case BY_W: l->size = w ? 2 : 1; break;
	default: break;
	}
	if (i->evex_b || s->mem < l->size) /* a scalar may be smaller than W says */
		l->size = s->mem;
	l->n = s->mem / l->size;
	many = broadcasts(i, r) ? results(i, r, l->size) : l->n;
	for (unsigned n = 0; n < many; n++)
		l->active |= (k >> n & 1) << (n % l->n);
}

static uint64_t lane_la(const struct bt_cpu *c, const struct lanes *l, unsigned n)
{
	const uint64_t la = l->la + (uint64_t)n * l->size;

	return c->mode.code == 8 ? la : (uint32_t)la;
}

void lanes_masked(struct bt_cpu *c, const struct insn *i, const struct pure_stub *s, uint64_t la)
{
	_Alignas(64) uint8_t buf[64] = {0};
	struct lanes l;

	lanes_of(c, i, s, la, &l);
	if (la & s->align && (l.whole || l.active)) /* what accesses nothing need not be aligned */
		bt_gp0(c);
	if (l.whole && s->flags & PS_READ)
		bt_ld_block(c, la, buf, s->mem);
	if (l.whole && s->flags & PS_WRITE)
		bt_probe(c, la, s->mem, BT_WRITE);
	for (unsigned n = 0; !l.whole && n < l.n; n++) {
		if (!(l.active >> n & 1))
			continue;
		if (s->flags & PS_READ)
			bt_ld_block(c, lane_la(c, &l, n), buf + n * l.size, l.size);
		if (s->flags & PS_WRITE)
			bt_probe(c, lane_la(c, &l, n), l.size, BT_WRITE);
	}
	if (pure_run_on(c, s, buf))
		pure_raise_xm(c);
	for (unsigned n = 0; s->flags & PS_WRITE && n < l.n; n++) {
		if (l.active >> n & 1)
			bt_st_block(c, lane_la(c, &l, n), buf + n * l.size, l.size);
	}
}
