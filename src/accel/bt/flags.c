/*
 * accel/bt/flags.c - arithmetic flags out of operands and result (SDM 1 §3.4.3.1).
 *
 * Everything is shifted to the top of 64 bits, so that one piece of code serves all sizes: the
 * carry out of an addition is the top bit of (a & b) | ((a | b) & ~r), whatever was carried in; the
 * borrow of a subtraction that of (~a & b) | ((~a | b) & r).  After a shift, O is what a shift by
 * one bit would have given, as processors have it for all counts.
 */
#include "accel/bt/flags.h"

uint32_t flags_arith(const struct bt_cpu *c)
{
	unsigned sh = 64 - 8u * c->cc_size;
	uint64_t a = c->cc_a, b = c->cc_b, r = c->cc_res, carry, over;
	uint32_t f;

	if (c->cc == CC_FLAGS)
		return (uint32_t)c->rflags & FL_ALL;
	f = __builtin_parity((unsigned)r & 0xff) ? 0 : FL_P;
	f |= r << sh ? 0 : FL_Z;
	f |= (uint32_t)(r << sh >> 56) & FL_S;
	if (c->cc == CC_LOGIC)
		return f;
	if (c->cc == CC_SHL)
		return f | (uint32_t)(a << sh >> 63) |
		       ((uint32_t)((b ^ b << 1) << sh >> 52) & FL_O);
	if (c->cc == CC_SHR)
		return f | ((uint32_t)a & FL_C) | ((uint32_t)b ? FL_O : 0);
	f |= (uint32_t)(a ^ b ^ r) & FL_A;
	if (c->cc == CC_ADD || c->cc == CC_INC) {
		carry = (a & b) | ((a | b) & ~r);
		over = (a ^ r) & (b ^ r);
	} else {
		carry = (~a & b) | ((~a | b) & r);
		over = (a ^ b) & (a ^ r);
	}
	f |= (uint32_t)(over << sh >> 52) & FL_O;
	if (c->cc == CC_INC || c->cc == CC_DEC)
		return f | ((uint32_t)c->rflags & FL_C);
	return f | (uint32_t)(carry << sh >> 63);
}

bool flags_cond(const struct bt_cpu *c, unsigned cond)
{
	return flags_test(c, cond & 15);
}
