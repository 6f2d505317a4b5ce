/*
 * accel/bt/exec/muldiv.c - multiplication and division.
 *
 * After MUL and IMUL, C and O tell whether the upper half matters; S and P are of the lower half,
 * Z and A are 0.  DIV and IDIV leave the flags alone.
 */
#include "accel/bt/exec/operand.h"

__extension__ typedef unsigned __int128 uint128;
__extension__ typedef __int128 int128;

static void mul_flags(struct bt_cpu *c, uint64_t low, unsigned n, bool over)
{
	flags_put(c, (flags_zsp(low, n) & ~FL_Z) | (over ? FL_C | FL_O : 0));
}

/* The double-width product in AX or rDX:rAX. */
static void mul_put(struct bt_cpu *c, uint128 p, unsigned n)
{
	if (n == 1) {
		gpr_write(c, X86_RAX, (uint64_t)p, 2);
		return;
	}
	gpr_write(c, X86_RAX, (uint64_t)p, n);
	gpr_write(c, X86_RDX, (uint64_t)(p >> (8 * n)), n);
}

void exec_mul(struct bt_cpu *c, const struct insn *i)
{
	unsigned n = i->op[0].size;
	uint128 p = (uint128)op_read(c, i, 0) * gpr_read(c, X86_RAX, n);

	mul_put(c, p, n);
	mul_flags(c, (uint64_t)p, n, p >> (8 * n));
}

static int128 signed_product(uint64_t a, uint64_t b, unsigned n)
{
	return (int128)(int64_t)size_sign_extend(a, n) * (int64_t)size_sign_extend(b, n);
}

static bool signed_over(int128 p, unsigned n)
{
	return p != (int64_t)size_sign_extend((uint64_t)p, n);
}

void exec_imul1(struct bt_cpu *c, const struct insn *i)
{
	unsigned n = i->op[0].size;
	int128 p = signed_product(op_read(c, i, 0), c->gpr[X86_RAX], n);

	mul_put(c, (uint128)p, n);
	mul_flags(c, (uint64_t)p, n, signed_over(p, n));
}

/* IMUL r, r/m and IMUL r, r/m, imm. */
void exec_imul(struct bt_cpu *c, const struct insn *i)
{
	unsigned n = i->op[0].size;
	bool three = i->op[2].kind != OP_NONE;
	uint64_t b = op_read(c, i, 1);
	int128 p = signed_product(b, op_read_reg(c, i, three ? 2 : 0), n);

	op_write_reg(c, i, 0, (uint64_t)p);
	mul_flags(c, (uint64_t)p, n, signed_over(p, n));
}

/* MULX: the upper half last, so that it stays if both go to one register. */
void exec_mulx(struct bt_cpu *c, const struct insn *i)
{
	unsigned n = i->op[0].size;
	uint128 p = (uint128)op_read(c, i, 2) * gpr_read(c, X86_RDX, n);

	op_write_reg(c, i, 1, (uint64_t)p);
	op_write_reg(c, i, 0, (uint64_t)(p >> (8 * n)));
}

static uint128 dividend(const struct bt_cpu *c, unsigned n)
{
	if (n == 1)
		return (uint16_t)c->gpr[X86_RAX];
	return (uint128)gpr_read(c, X86_RDX, n) << (8 * n) | gpr_read(c, X86_RAX, n);
}

static void div_put(struct bt_cpu *c, uint64_t quotient, uint64_t rest, unsigned n)
{
	gpr_write(c, X86_RAX, quotient, n);
	if (n == 1)
		gpr_write_high(c, X86_RAX, rest);
	else
		gpr_write(c, X86_RDX, rest, n);
}

void exec_div(struct bt_cpu *c, const struct insn *i)
{
	unsigned n = i->op[0].size;
	uint64_t d = op_read(c, i, 0), a;
	uint128 full = dividend(c, n);

	if (full >> (8 * n) >= d) /* d is 0, or the quotient does not fit */
		bt_raise(c, X86_DE);
	if (n < 8 || !(full >> 64)) {
		a = (uint64_t)full;
		div_put(c, a / d, a % d, n);
	} else {
		div_put(c, (uint64_t)(full / d), (uint64_t)(full % d), n);
	}
}

void exec_idiv(struct bt_cpu *c, const struct insn *i)
{
	unsigned n = i->op[0].size, sh = 128 - 16 * n;
	int64_t d = (int64_t)size_sign_extend(op_read(c, i, 0), n);
	int128 a = (int128)(dividend(c, n) << sh) >> sh, q;
	uint128 min = (uint128)1 << 127;

	/* The smallest number by -1 overflows on the host, too. */
	if (d == 0 || (a == (int128)min && d == -1))
		bt_raise(c, X86_DE);
	q = a / d;
	if (signed_over(q, n))
		bt_raise(c, X86_DE);
	div_put(c, (uint64_t)q, (uint64_t)(a - q * d), n);
}
