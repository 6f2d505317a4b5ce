/*
 * accel/bt/exec/atomic.c - exchanges.  XCHG with memory is locked with and without the prefix.
 */
#include "accel/bt/exec/operand.h"

static uint64_t do_xchg(const struct rmw *x, uint64_t a)
{
	(void)a;
	return x->b;
}
static void done_xchg(struct bt_cpu *c, const struct rmw *x, uint64_t a, uint64_t r)
{
	(void)r;
	op_write_reg(c, x->i, x->i->op[0].kind == OP_MEM ? 1 : 0, a);
}

/* Either operand may be the memory: XCHG has no order. */
void exec_xchg(struct bt_cpu *c, const struct insn *i)
{
	unsigned mem = i->op[1].kind == OP_MEM;
	struct rmw x = {.size = i->op[0].size, .i = i};
	uint64_t a, b;

	if (i->op[mem].kind == OP_MEM) {
		x.b = op_read_reg(c, i, !mem);
		rmw_at(c, bt_la(c, i, x.size, BT_RMW), &x, do_xchg, done_xchg, true);
		return;
	}
	a = op_read_reg(c, i, 0);
	b = op_read_reg(c, i, 1);
	op_write_reg(c, i, 0, b);
	op_write_reg(c, i, 1, a);
}

static uint64_t do_xadd(const struct rmw *x, uint64_t a)
{
	return a + x->b;
}
static void done_xadd(struct bt_cpu *c, const struct rmw *x, uint64_t a, uint64_t r)
{
	flags_lazy(c, CC_ADD, a, x->b, r, x->size);
	op_write_reg(c, x->i, 1, a);
}

/* With one register as both, the sum stays. */
void exec_xadd(struct bt_cpu *c, const struct insn *i)
{
	struct rmw x = {op_read_reg(c, i, 1), i->op[0].size, 0, i};
	uint64_t a;

	if (i->op[0].kind == OP_MEM) {
		op_modify(c, i, &x, do_xadd, done_xadd);
		return;
	}
	a = op_read_reg(c, i, 0);
	done_xadd(c, &x, a, a + x.b);
	op_write_reg(c, i, 0, a + x.b);
}

/* CMPXCHG.  Memory is written in any case. ---------------------------------------------------- */

struct cmpxchg {
	struct rmw x; /* first: do_ and done_ get a pointer to it */
	uint64_t acc, src;
};

static const struct cmpxchg *cmpxchg_of(const struct rmw *x)
{
	return (const struct cmpxchg *)(const void *)x;
}

static uint64_t do_compare(const struct rmw *x, uint64_t a)
{
	return a == cmpxchg_of(x)->acc ? cmpxchg_of(x)->src : a;
}

/* A 32-bit accumulator is written, its upper half cleared, only when the comparison failed. */
static void done_compare(struct bt_cpu *c, const struct rmw *x, uint64_t a, uint64_t r)
{
	uint64_t acc = cmpxchg_of(x)->acc;

	(void)r;
	flags_lazy(c, CC_SUB, acc, a, acc - a, x->size);
	if (a != acc)
		gpr_write(c, X86_RAX, a, x->size);
}

void exec_cmpxchg(struct bt_cpu *c, const struct insn *i)
{
	unsigned n = i->op[0].size;
	struct cmpxchg x = {{0, n, 0, i}, gpr_read(c, X86_RAX, n), op_read_reg(c, i, 1)};
	uint64_t a;

	if (i->op[0].kind == OP_MEM) {
		op_modify(c, i, &x.x, do_compare, done_compare);
		return;
	}
	a = op_read_reg(c, i, 0);
	if (a == x.acc)
		op_write_reg(c, i, 0, x.src);
	done_compare(c, &x.x, a, 0);
}

/* CMPXCHG8B and CMPXCHG16B. ------------------------------------------------------------------ */

__extension__ typedef unsigned __int128 uint128;

/*
 * Aligned, as CMPXCHG16B demands.  Gives what was there.  Compilers' own way is a call of a library
 * unless all is built for CPUs that have it.
 */
static uint128 host_cas16(void *p, uint128 old, uint128 v)
{
	uint64_t low = (uint64_t)old, high = (uint64_t)(old >> 64);

	__asm__ volatile("lock cmpxchg16b %2"
			 : "+a"(low), "+d"(high), "+m"(*(uint128 *)p)
			 : "b"((uint64_t)v), "c"((uint64_t)(v >> 64))
			 : "cc", "memory");
	return (uint128)high << 64 | low;
}

BT_GUEST_RACES __attribute__((no_sanitize("alignment"))) static uint128
cas_pair(void *p, unsigned n, uint128 old, uint128 v)
{
	if (n == 16)
		return host_cas16(p, old, v);
	return __sync_val_compare_and_swap((uint64_t *)p, (uint64_t)old, (uint64_t)v);
}

static uint128 gpr_pair(const struct bt_cpu *c, unsigned high, unsigned low, unsigned half)
{
	return (uint128)gpr_read(c, high, half) << (8 * half) | gpr_read(c, low, half);
}

void exec_cmpxchg8b(struct bt_cpu *c, const struct insn *i)
{
	unsigned half = i->prefixes & INSN_REX_W ? 8 : 4, n = 2 * half;
	uint128 acc = gpr_pair(c, X86_RDX, X86_RAX, half), was;
	uint64_t la = bt_la(c, i, n, BT_RMW);
	struct bt_bounce b;
	void *p;

	if (n == 16 && (la & 15))
		bt_gp0(c);
	p = bt_write_ptr(c, la, n);
	if (p) {
		was = cas_pair(p, n, acc, gpr_pair(c, X86_RCX, X86_RBX, half));
	} else {
		p = bt_get(c, la, n, BT_RMW, i->prefixes & INSN_LOCK, &b);
		was = cas_pair(p, n, acc, gpr_pair(c, X86_RCX, X86_RBX, half));
		bt_put(c, &b, true);
	}
	flags_set(c, FL_Z, was == acc ? FL_Z : 0);
	if (was != acc) {
		gpr_write(c, X86_RAX, (uint64_t)was, half);
		gpr_write(c, X86_RDX, (uint64_t)(was >> (8 * half)), half);
	}
}
