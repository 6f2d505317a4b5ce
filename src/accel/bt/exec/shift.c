/*
 * accel/bt/exec/shift.c - shifts and rotations.
 *
 * The count is cut to 5 bits, to 6 with 64-bit operands; 0 changes no flag.  O is defined for a
 * count of 1; processors give it as the first of many steps would, and A is 0 after a shift.
 */
#include "accel/bt/exec/operand.h"

/*
 * One row of what a shift does: .carry is what was shifted out last, 0 or 1; .over the O flag;
 * .same: rotations touch C and O only.
 */
struct shifted {
	uint64_t r;
	bool carry, over, same;
};
typedef struct shifted shift_fn(uint64_t a, unsigned count, unsigned bits, uint64_t b, bool carry);

static bool bit(uint64_t v, unsigned n)
{
	return v >> n & 1;
}

static struct shifted do_shl(uint64_t a, unsigned n, unsigned bits, uint64_t b, bool cf)
{
	(void)b, (void)cf;
	return (struct shifted){a << n, n <= bits && bit(a, bits - n),
				bit(a, bits - 1) != bit(a, bits - 2), false};
}

static struct shifted do_shr(uint64_t a, unsigned n, unsigned bits, uint64_t b, bool cf)
{
	(void)b, (void)cf;
	return (struct shifted){a >> n, bit(a, n - 1), bit(a, bits - 1), false};
}

static struct shifted do_sar(uint64_t a, unsigned n, unsigned bits, uint64_t b, bool cf)
{
	int64_t s = (int64_t)size_sign_extend(a, bits / 8);

	(void)b, (void)cf;
	return (struct shifted){(uint64_t)(s >> n), s >> (n - 1) & 1, false, false};
}

static uint64_t rotate_left(uint64_t a, unsigned n, unsigned bits)
{
	n &= bits - 1;
	return n ? a << n | a >> (bits - n) : a;
}

static struct shifted do_rol(uint64_t a, unsigned n, unsigned bits, uint64_t b, bool cf)
{
	uint64_t r = rotate_left(a, n, bits);

	(void)b, (void)cf;
	return (struct shifted){r, r & 1, bit(a, bits - 1) != bit(a, bits - 2), true};
}

static struct shifted do_ror(uint64_t a, unsigned n, unsigned bits, uint64_t b, bool cf)
{
	uint64_t r = rotate_left(a, bits - n % bits, bits);

	(void)b, (void)cf;
	return (struct shifted){r, bit(r, bits - 1), bit(a, 0) != bit(a, bits - 1), true};
}

/* @n is below bits + 1 and not 0: the caller has seen to that. */
static struct shifted do_rcl(uint64_t a, unsigned n, unsigned bits, uint64_t b, bool cf)
{
	uint64_t r = (n < 64 ? a << n : 0) | (uint64_t)cf << (n - 1);

	(void)b;
	if (n > 1)
		r |= a >> (bits + 1 - n);
	return (struct shifted){r, bit(a, bits - n), bit(a, bits - 1) != bit(a, bits - 2), true};
}

static struct shifted do_rcr(uint64_t a, unsigned n, unsigned bits, uint64_t b, bool cf)
{
	uint64_t r = (n < 64 ? a >> n : 0) | (uint64_t)cf << (bits - n);

	(void)b;
	if (n > 1)
		r |= a << (bits + 1 - n);
	return (struct shifted){r, bit(a, n - 1), cf != bit(a, bits - 1), true};
}

/* With 16 bits and a count above 16 the destination's bits follow the source's. */
static struct shifted do_shld(uint64_t a, unsigned n, unsigned bits, uint64_t b, bool cf)
{
	bool over = bit(a, bits - 1) != bit(a, bits - 2);

	(void)cf;
	if (n > bits) {
		uint64_t t = a;

		n -= bits, a = b, b = t;
	}
	return (struct shifted){(n < 64 ? a << n : 0) | b >> (bits - n), bit(a, bits - n), over,
				false};
}

static struct shifted do_shrd(uint64_t a, unsigned n, unsigned bits, uint64_t b, bool cf)
{
	bool over = bit(a, bits - 1) != bit(b, 0);

	(void)cf;
	if (n > bits) {
		uint64_t t = a;

		n -= bits, a = b, b = t;
	}
	return (struct shifted){a >> n | b << (bits - n), bit(a, n - 1), over, false};
}

/* struct rmw: .b is the second source of SHLD and SHRD, .carry C before and the count above it. */
#define COUNT_SHIFT 8

static shift_fn *const fns[] = {do_rol, do_ror, do_rcl,	 do_rcr, do_shl,
				do_shr, do_sar, do_shld, do_shrd};
enum { ROL, ROR, RCL, RCR, SHL, SHR, SAR, SHLD, SHRD };

ALWAYS_INLINE struct shifted shift_now(const struct rmw *x, uint64_t a, unsigned kind)
{
	return fns[kind](a, x->carry >> COUNT_SHIFT, 8 * x->size, x->b, x->carry & 1);
}

ALWAYS_INLINE void shift_done(struct bt_cpu *c, const struct rmw *x, uint64_t a, unsigned kind)
{
	struct shifted s = shift_now(x, a, kind);
	uint32_t f = (s.carry ? FL_C : 0) | (s.over ? FL_O : 0);

	if (s.same)
		flags_set(c, FL_C | FL_O, f);
	else
		flags_put(c, f | flags_zsp(s.r, x->size));
}

#define SHIFT(kind)                                                                            \
	static uint64_t do_##kind(const struct rmw *x, uint64_t a)                             \
	{                                                                                      \
		return shift_now(x, a, kind).r;                                                \
	}                                                                                      \
	static void done_##kind(struct bt_cpu *c, const struct rmw *x, uint64_t a, uint64_t r) \
	{                                                                                      \
		(void)r;                                                                       \
		shift_done(c, x, a, kind);                                                     \
	}
SHIFT(ROL)
SHIFT(ROR)
SHIFT(RCL)
SHIFT(RCR)
SHIFT(SHL)
SHIFT(SHR)
SHIFT(SAR)
SHIFT(SHLD)
SHIFT(SHRD)
#undef SHIFT

/* A shift by 0, or by a whole turn of RCL: the destination is written as it was, flags stay. */
static uint64_t do_same(const struct rmw *x, uint64_t a)
{
	(void)x;
	return a;
}
static void done_same(struct bt_cpu *c, const struct rmw *x, uint64_t a, uint64_t r)
{
	(void)c, (void)x, (void)a, (void)r;
}

ALWAYS_INLINE void shift(struct bt_cpu *c, const struct insn *i, rmw_result *result, rmw_done *done,
			 unsigned kind)
{
	bool two = kind >= SHLD;
	unsigned n = i->op[0].size, bits = 8 * n;
	unsigned count = (unsigned)op_read_reg(c, i, two ? 2 : 1) & (n == 8 ? 63 : 31);
	struct rmw x = {two ? op_read_reg(c, i, 1) : 0, n, 0, i};

	if (kind == RCL || kind == RCR)
		count %= bits + 1;
	if (count) {
		x.carry = count << COUNT_SHIFT;
		if (kind == RCL || kind == RCR)
			x.carry |= flags_carry(c);
		op_modify(c, i, &x, result, done);
	} else {
		op_modify(c, i, &x, do_same, done_same);
	}
}

void exec_rol(struct bt_cpu *c, const struct insn *i)
{
	shift(c, i, do_ROL, done_ROL, ROL);
}

void exec_ror(struct bt_cpu *c, const struct insn *i)
{
	shift(c, i, do_ROR, done_ROR, ROR);
}

void exec_rcl(struct bt_cpu *c, const struct insn *i)
{
	shift(c, i, do_RCL, done_RCL, RCL);
}

void exec_rcr(struct bt_cpu *c, const struct insn *i)
{
	shift(c, i, do_RCR, done_RCR, RCR);
}

void exec_shl(struct bt_cpu *c, const struct insn *i)
{
	shift(c, i, do_SHL, done_SHL, SHL);
}

void exec_shr(struct bt_cpu *c, const struct insn *i)
{
	shift(c, i, do_SHR, done_SHR, SHR);
}

void exec_sar(struct bt_cpu *c, const struct insn *i)
{
	shift(c, i, do_SAR, done_SAR, SAR);
}

void exec_shld(struct bt_cpu *c, const struct insn *i)
{
	shift(c, i, do_SHLD, done_SHLD, SHLD);
}

void exec_shrd(struct bt_cpu *c, const struct insn *i)
{
	shift(c, i, do_SHRD, done_SHRD, SHRD);
}

/* BMI2: no flags. ---------------------------------------------------------------------------- */

static unsigned x_count(const struct bt_cpu *c, const struct insn *i)
{
	return (unsigned)op_read_reg(c, i, 2) & (i->op[0].size * 8u - 1);
}

void exec_rorx(struct bt_cpu *c, const struct insn *i)
{
	unsigned bits = i->op[0].size * 8u;
	uint64_t a = op_read(c, i, 1);

	op_write_reg(c, i, 0, rotate_left(a, bits - x_count(c, i), bits));
}

void exec_sarx(struct bt_cpu *c, const struct insn *i)
{
	int64_t a = (int64_t)size_sign_extend(op_read(c, i, 1), i->op[0].size);

	op_write_reg(c, i, 0, (uint64_t)(a >> x_count(c, i)));
}

void exec_shlx(struct bt_cpu *c, const struct insn *i)
{
	uint64_t a = op_read(c, i, 1);

	op_write_reg(c, i, 0, a << x_count(c, i));
}

void exec_shrx(struct bt_cpu *c, const struct insn *i)
{
	uint64_t a = op_read(c, i, 1);

	op_write_reg(c, i, 0, a >> x_count(c, i));
}
