/*
 * accel/bt/exec/fast.h - forms of operands that the specialised meanings know.
 */
#ifndef LODGE_ACCEL_BT_EXEC_FAST_H
#define LODGE_ACCEL_BT_EXEC_FAST_H

/*
 * Neighbouring 64-bit stores are not to be joined by way of a vector register: that takes longer
 * than both.
 */
#if defined(__GNUC__) && !defined(__clang__)
#pragma GCC optimize("no-tree-slp-vectorize")
#endif

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

/*
 * Host memory at @la, as bt_read_ptr and bt_write_ptr give it; NULL: the general meaning is called,
 * as the last thing, which looks again.  One comparison does for both ends: an access that crosses
 * pages looks at the entry of the first, which cannot have the tag of the second.
 */
ALWAYS_INLINE const void *fast_read_ptr(struct bt_cpu *c, uint64_t la, unsigned n)
{
	const struct bt_tlbe *t = bt_tlbe_of(c, la);

	if (UNLIKELY(t->rtag != ((la + n - 1) & ~UINT64_C(0xfff))))
		return NULL;
	return (const void *)(uintptr_t)(la + t->addend);
}

ALWAYS_INLINE void *fast_write_ptr(struct bt_cpu *c, uint64_t la, unsigned n)
{
	const struct bt_tlbe *t = bt_tlbe_of(c, la);

	if (UNLIKELY(t->wtag != ((la + n - 1) & ~UINT64_C(0xfff))))
		return NULL;
	return (void *)(uintptr_t)(la + t->addend);
}

/* The instruction as the function it stands for and what its operands are. */
insn_exec *fast_alu(const struct insn *i);
insn_exec *fast_move(const struct insn *i);
insn_exec *fast_branch(const struct insn *i);

#endif
