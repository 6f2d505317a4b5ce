/*
 * accel/bt/exec/operand.c - operands: the uncommon ways.
 */
#include "accel/bt/exec/operand.h"

/*
 * An operand of a locked instruction need not be aligned, and within one page of RAM the host does
 * the same as the guest's CPU would.
 */
BT_GUEST_RACES __attribute__((no_sanitize("alignment"))) bool host_cas(void *p, uint64_t old,
								       uint64_t v, unsigned size)
{
	switch (size) {
	case 1: return __sync_bool_compare_and_swap((uint8_t *)p, (uint8_t)old, (uint8_t)v);
	case 2: return __sync_bool_compare_and_swap((uint16_t *)p, (uint16_t)old, (uint16_t)v);
	case 4: return __sync_bool_compare_and_swap((uint32_t *)p, (uint32_t)old, (uint32_t)v);
	default: return __sync_bool_compare_and_swap((uint64_t *)p, old, v);
	}
}

void rmw_slow(struct bt_cpu *c, uint64_t la, const struct rmw *x, rmw_result *result,
	      rmw_done *done, bool locked)
{
	struct bt_bounce b;
	void *p = bt_write_ptr(c, la, x->size);
	bool fast = p != NULL;
	uint64_t old, res;

	if (!fast)
		p = bt_get(c, la, x->size, BT_RMW, locked, &b);
	do {
		old = host_read(p, x->size);
		res = result(x, old);
		if (!locked)
			host_write(p, res, x->size);
	} while (locked && !host_cas(p, old, res, x->size));
	if (!fast)
		bt_put(c, &b, true);
	done(c, x, old, res);
}

/* Outside the TLB an address may be not canonical; through SS that is #SS(0) (SDM 1 §3.3.7.1). */
static void stack_check(struct bt_cpu *c, uint64_t la, unsigned n)
{
	unsigned sh = c->cr4 & X86_CR4_LA57 ? 7 : 16;
	uint64_t last = la + n - 1;

	if (c->mode.code == 8 && ((uint64_t)((int64_t)(la << sh) >> sh) != la ||
				  (uint64_t)((int64_t)(last << sh) >> sh) != last))
		bt_raise_err(c, X86_SS_FAULT, 0);
}

void stack_store_slow(struct bt_cpu *c, uint64_t la, uint64_t v, unsigned n)
{
	stack_check(c, la, n);
	bt_st(c, la, v, n);
}

uint64_t stack_load_slow(struct bt_cpu *c, uint64_t la, unsigned n)
{
	stack_check(c, la, n);
	return bt_ld(c, la, n);
}

void code_check_slow(struct bt_cpu *c, uint64_t rip)
{
	if (!(c->cr4 & X86_CR4_LA57) || (uint64_t)((int64_t)(rip << 7) >> 7) != rip)
		bt_gp0(c);
}
