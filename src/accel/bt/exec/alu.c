/*
 * accel/bt/exec/alu.c - addition, subtraction and logic.
 */
#include "accel/bt/exec/operand.h"

/* Two operands, and the one of INC, DEC, NEG, NOT. ------------------------------------------ */

static uint64_t do_add(const struct rmw *x, uint64_t a)
{
	return a + x->b;
}
static uint64_t do_adc(const struct rmw *x, uint64_t a)
{
	return a + x->b + x->carry;
}
static uint64_t do_sub(const struct rmw *x, uint64_t a)
{
	return a - x->b;
}
static uint64_t do_sbb(const struct rmw *x, uint64_t a)
{
	return a - x->b - x->carry;
}
static uint64_t do_and(const struct rmw *x, uint64_t a)
{
	return a & x->b;
}
static uint64_t do_or(const struct rmw *x, uint64_t a)
{
	return a | x->b;
}
static uint64_t do_xor(const struct rmw *x, uint64_t a)
{
	return a ^ x->b;
}
static uint64_t do_neg(const struct rmw *x, uint64_t a)
{
	(void)x;
	return 0 - a;
}
static uint64_t do_not(const struct rmw *x, uint64_t a)
{
	(void)x;
	return ~a;
}

static void done_add(struct bt_cpu *c, const struct rmw *x, uint64_t a, uint64_t r)
{
	flags_lazy(c, CC_ADD, a, x->b, r, x->size);
}
static void done_sub(struct bt_cpu *c, const struct rmw *x, uint64_t a, uint64_t r)
{
	flags_lazy(c, CC_SUB, a, x->b, r, x->size);
}
/* A borrow that came in is not seen in a < b: the conditions could not use it. */
static void done_sbb(struct bt_cpu *c, const struct rmw *x, uint64_t a, uint64_t r)
{
	flags_lazy(c, CC_SUB, a, x->b, r, x->size);
	flags_put(c, flags_arith(c));
}
static void done_logic(struct bt_cpu *c, const struct rmw *x, uint64_t a, uint64_t r)
{
	(void)a;
	flags_lazy_logic(c, r, x->size);
}
static void done_inc(struct bt_cpu *c, const struct rmw *x, uint64_t a, uint64_t r)
{
	flags_lazy_inc(c, CC_INC, a, r, x->size);
}
static void done_dec(struct bt_cpu *c, const struct rmw *x, uint64_t a, uint64_t r)
{
	flags_lazy_inc(c, CC_DEC, a, r, x->size);
}
static void done_neg(struct bt_cpu *c, const struct rmw *x, uint64_t a, uint64_t r)
{
	flags_lazy(c, CC_SUB, 0, a, r, x->size);
}
static void done_not(struct bt_cpu *c, const struct rmw *x, uint64_t a, uint64_t r)
{
	(void)c, (void)x, (void)a, (void)r;
}

ALWAYS_INLINE void modify2(struct bt_cpu *c, const struct insn *i, rmw_result *result,
			   rmw_done *done, uint32_t carry)
{
	struct rmw x = {op_read(c, i, 1), i->op[0].size, carry, i};

	op_modify(c, i, &x, result, done);
}

ALWAYS_INLINE void modify1(struct bt_cpu *c, const struct insn *i, rmw_result *result,
			   rmw_done *done, uint64_t b)
{
	struct rmw x = {b, i->op[0].size, 0, i};

	op_modify(c, i, &x, result, done);
}

void exec_add(struct bt_cpu *c, const struct insn *i)
{
	modify2(c, i, do_add, done_add, 0);
}

void exec_adc(struct bt_cpu *c, const struct insn *i)
{
	modify2(c, i, do_adc, done_add, flags_carry(c));
}

void exec_sub(struct bt_cpu *c, const struct insn *i)
{
	modify2(c, i, do_sub, done_sub, 0);
}

void exec_sbb(struct bt_cpu *c, const struct insn *i)
{
	modify2(c, i, do_sbb, done_sbb, flags_carry(c));
}

void exec_and(struct bt_cpu *c, const struct insn *i)
{
	modify2(c, i, do_and, done_logic, 0);
}

void exec_or(struct bt_cpu *c, const struct insn *i)
{
	modify2(c, i, do_or, done_logic, 0);
}

void exec_xor(struct bt_cpu *c, const struct insn *i)
{
	modify2(c, i, do_xor, done_logic, 0);
}

void exec_inc(struct bt_cpu *c, const struct insn *i)
{
	modify1(c, i, do_add, done_inc, 1);
}

void exec_dec(struct bt_cpu *c, const struct insn *i)
{
	modify1(c, i, do_sub, done_dec, 1);
}

void exec_neg(struct bt_cpu *c, const struct insn *i)
{
	modify1(c, i, do_neg, done_neg, 0);
}

void exec_not(struct bt_cpu *c, const struct insn *i)
{
	modify1(c, i, do_not, done_not, 0);
}

void exec_cmp(struct bt_cpu *c, const struct insn *i)
{
	uint64_t a = op_read(c, i, 0), b = op_read(c, i, 1);

	flags_lazy(c, CC_SUB, a, b, a - b, i->op[0].size);
}

void exec_test(struct bt_cpu *c, const struct insn *i)
{
	uint64_t a = op_read(c, i, 0), b = op_read(c, i, 1);

	flags_lazy_logic(c, a & b, i->op[0].size);
}

/* ADCX, ADOX: an addition with a carry chain of its own. ------------------------------------ */

static void add_through(struct bt_cpu *c, const struct insn *i, uint32_t flag)
{
	unsigned n = i->op[0].size, sh = 64 - 8 * n;
	uint64_t a, b = op_read(c, i, 1), r;

	flags_settle(c);
	a = op_read_reg(c, i, 0);
	r = a + b + !!(c->rflags & flag);
	flags_set(c, flag, ((a & b) | ((a | b) & ~r)) << sh >> 63 ? flag : 0);
	op_write_reg(c, i, 0, r);
}

void exec_adcx(struct bt_cpu *c, const struct insn *i)
{
	add_through(c, i, FL_C);
}

void exec_adox(struct bt_cpu *c, const struct insn *i)
{
	add_through(c, i, FL_O);
}
