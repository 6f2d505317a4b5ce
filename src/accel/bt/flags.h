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

/* All arithmetic flags at once. */
static inline void flags_put(struct bt_cpu *c, uint32_t val)
{
	c->rflags = (c->rflags & ~(uint64_t)FL_ALL) | val;
	c->cc = CC_FLAGS;
}

/*
 * The operands and the result of what was done; bits above @size are not looked at.  CC_ADD holds
 * for an addition with carry too.  CC_INC and CC_DEC: flags_lazy_inc.
 */
static inline void flags_lazy(struct bt_cpu *c, enum bt_cc cc, uint64_t a, uint64_t b, uint64_t res,
			      unsigned size)
{
	c->cc = (uint8_t)cc;
	c->cc_size = (uint8_t)size;
	c->cc_a = a;
	c->cc_b = b;
	c->cc_res = res;
}

/*
 * Flags of AND, OR, XOR, TEST: those of @res - 0, so that what looks at a result most often, the
 * conditions, has one case for comparisons and for logic.
 */
static inline void flags_lazy_logic(struct bt_cpu *c, uint64_t res, unsigned size)
{
	flags_lazy(c, CC_SUB, res, 0, res, size);
}

/* The carry flag. */
static inline uint32_t flags_carry(const struct bt_cpu *c)
{
	if (c->cc == CC_SUB) {
		unsigned sh = 64 - 8u * c->cc_size;

		return c->cc_a << sh < c->cc_b << sh;
	}
	return (c->cc == CC_FLAGS ? (uint32_t)c->rflags : flags_arith(c)) & FL_C;
}

/* INC or DEC: the carry flag stays, in .rflags. */
static inline void flags_lazy_inc(struct bt_cpu *c, enum bt_cc cc, uint64_t a, uint64_t res,
				  unsigned size)
{
	if (c->cc != CC_FLAGS && c->cc != CC_INC && c->cc != CC_DEC)
		c->rflags = (c->rflags & ~(uint64_t)FL_C) | flags_carry(c);
	flags_lazy(c, cc, a, 1, res, size);
}

/* A condition over flags that are worked out. */
static inline bool flags_cond_of(uint32_t f, unsigned cond)
{
	bool is;

	switch (cond >> 1) {
	case 0: is = f & FL_O; break;
	case 1: is = f & FL_C; break;
	case 2: is = f & FL_Z; break;
	case 3: is = f & (FL_C | FL_Z); break;
	case 4: is = f & FL_S; break;
	case 5: is = f & FL_P; break;
	case 6: is = (f >> 4 ^ f) & FL_S; break;
	default: is = ((f >> 4 ^ f) & FL_S) || (f & FL_Z); break;
	}
	return is ^ (cond & 1);
}

/* A condition after a comparison, or after logic. */
static inline bool flags_cond_sub(const struct bt_cpu *c, unsigned cond)
{
	unsigned sh = 64 - 8u * c->cc_size;
	uint64_t a = c->cc_a << sh, b = c->cc_b << sh, r = c->cc_res << sh;
	bool is;

	switch (cond >> 1) {
	case 0: is = ((a ^ b) & (a ^ r)) >> 63; break;
	case 1: is = a < b; break;
	case 2: is = !r; break;
	case 3: is = a <= b; break;
	case 4: is = r >> 63; break;
	case 5: is = !__builtin_parity((unsigned)c->cc_res & 0xff); break;
	case 6: is = (int64_t)a < (int64_t)b; break;
	default: is = (int64_t)a <= (int64_t)b; break;
	}
	return is ^ (cond & 1);
}

/*
 * Condition 0 to 15 as Jcc encodes it (SDM 2 appendix B).  Inline for a @cond that is a constant.
 */
static inline bool flags_test(const struct bt_cpu *c, unsigned cond)
{
	bool by_result = cond >> 1 == 2 || cond >> 1 == 4 || cond >> 1 == 5; /* Z, S, P */

	if (LIKELY(by_result ? c->cc != CC_FLAGS : c->cc == CC_SUB))
		return flags_cond_sub(c, cond);
	return flags_cond_of(c->cc == CC_FLAGS ? (uint32_t)c->rflags : flags_arith(c), cond);
}
bool flags_cond(const struct bt_cpu *c, unsigned cond);

#endif
