/*
 * accel/bt/exec/fast.h - forms of operands that the specialised meanings know.
 */
#ifndef LODGE_ACCEL_BT_EXEC_FAST_H
#define LODGE_ACCEL_BT_EXEC_FAST_H

#include "accel/bt/block.h"
#include "accel/bt/exec/operand.h"

/* Addresses.  All but the last: 64-bit code, 64-bit addresses, neither FS nor GS. */
enum fast_address {
	EA_BASE,       /* base + displacement */
	EA_BASE_INDEX, /* base + index * scale + displacement */
	EA_NEXT,       /* rip + displacement */
	EA_ANY,
	FAST_ADDRESSES
};
enum fast_address fast_address_of(const struct insn *i);

/* Sizes 1, 2, 4, 8 as 0 to 3. */
static inline unsigned fast_log2(unsigned size)
{
	return (unsigned)__builtin_ctz(size);
}

ALWAYS_INLINE uint64_t fast_ea(const struct bt_cpu *c, const struct insn *i, enum fast_address at)
{
	switch (at) {
	case EA_BASE: return c->gpr[i->base] + (uint64_t)i->disp;
	case EA_BASE_INDEX:
		return c->gpr[i->base] + (c->gpr[i->index] << i->scale) + (uint64_t)i->disp;
	default: return c->rip + i->len + (uint64_t)i->disp;
	}
}

ALWAYS_INLINE uint64_t fast_la(struct bt_cpu *c, const struct insn *i, enum fast_address at,
			       unsigned size, enum bt_access access)
{
	return at == EA_ANY ? bt_la(c, i, size, access) : fast_ea(c, i, at);
}

/* The instruction as the function it stands for and what its operands are. */
insn_exec *fast_alu(const struct insn *i);
insn_exec *fast_move(const struct insn *i);
insn_exec *fast_branch(const struct insn *i);

#endif
