/*
 * accel/bt/flags.h - arithmetic flags.  The commonest instructions leave operands and result behind
 * and the flags are worked out when somebody looks; the rest writes them at once.
 */
#ifndef LODGE_ACCEL_BT_FLAGS_H
#define LODGE_ACCEL_BT_FLAGS_H

#include "accel/bt/bt.h"

/* The arithmetic flags (FL_ALL) as they are now. */
uint32_t flags_arith(const struct bt_cpu *c);

/* RFLAGS complete. */
static inline uint64_t flags_get(const struct bt_cpu *c)
{
	if (c->cc == CC_FLAGS)
		return c->rflags;
	return (c->rflags & ~(uint64_t)FL_ALL) | flags_arith(c);
}

/* Puts the arithmetic flags into c->rflags for good. */
static inline void flags_settle(struct bt_cpu *c)
{
	if (c->cc != CC_FLAGS) {
		c->rflags = flags_get(c);
		c->cc = CC_FLAGS;
	}
}

/* Writes the flags in @mask at once, the others as they are. */
static inline void flags_set(struct bt_cpu *c, uint32_t mask, uint32_t val)
{
	flags_settle(c);
	c->rflags = (c->rflags & ~(uint64_t)mask) | (val & mask);
}

static inline void flags_lazy(struct bt_cpu *c, enum bt_cc cc, uint64_t a, uint64_t b, uint64_t res,
			      unsigned size)
{
	c->cc = (uint8_t)cc;
	c->cc_size = (uint8_t)size;
	c->cc_a = a;
	c->cc_b = b;
	c->cc_res = res;
}

/* Condition 0 to 15 as Jcc encodes it (SDM 2 appendix B). */
bool flags_cond(const struct bt_cpu *c, unsigned cond);

#endif
