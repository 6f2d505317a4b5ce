/*
 * accel/bt/exec/bits.c - single bits, scans, counts, bit fields, CRC-32.
 */
#include "accel/bt/exec/operand.h"

/* BT, BTS, BTR, BTC: struct rmw.b is the bit's number. --------------------------------------- */

static uint64_t do_bts(const struct rmw *x, uint64_t a)
{
	return a | UINT64_C(1) << x->b;
}
static uint64_t do_btr(const struct rmw *x, uint64_t a)
{
	return a & ~(UINT64_C(1) << x->b);
}
static uint64_t do_btc(const struct rmw *x, uint64_t a)
{
	return a ^ UINT64_C(1) << x->b;
}
static void done_bit(struct bt_cpu *c, const struct rmw *x, uint64_t a, uint64_t r)
{
	(void)r;
	flags_set(c, FL_C, a >> x->b & 1);
}

/*
 * Where the operand is that has the bit: a number in a register is signed, and reaches beyond the
 * operand in memory, a whole operand at a time.
 */
static uint64_t bit_la(struct bt_cpu *c, const struct insn *i, uint64_t number,
		       enum bt_access access)
{
	unsigned n = i->op[0].size;
	uint64_t ea = bt_ea(c, i);

	if (i->op[1].kind == OP_REG) {
		int64_t words = (int64_t)size_sign_extend(number, n) >> (n == 2	  ? 4
									 : n == 4 ? 5
										  : 6);

		ea = (ea + (uint64_t)words * n) & size_mask(i->asize);
	}
	return bt_la_of(c, i->seg, ea, n, access);
}

void exec_bt(struct bt_cpu *c, const struct insn *i)
{
	unsigned n = i->op[0].size;
	uint64_t number = op_read_reg(c, i, 1), a;

	if (i->op[0].kind == OP_MEM)
		a = bt_ld(c, bit_la(c, i, number, BT_READ), n);
	else
		a = op_read_reg(c, i, 0);
	flags_set(c, FL_C, a >> (number & (8 * n - 1)) & 1);
}

ALWAYS_INLINE void bit_modify(struct bt_cpu *c, const struct insn *i, rmw_result *result)
{
	uint64_t number = op_read_reg(c, i, 1);
	struct rmw x = {.size = i->op[0].size, .i = i};

	x.b = number & (8 * x.size - 1);
	if (i->op[0].kind == OP_MEM)
		rmw_at(c, bit_la(c, i, number, BT_RMW), &x, result, done_bit,
		       i->prefixes & INSN_LOCK);
	else
		op_modify(c, i, &x, result, done_bit);
}

void exec_bts(struct bt_cpu *c, const struct insn *i)
{
	bit_modify(c, i, do_bts);
}

void exec_btr(struct bt_cpu *c, const struct insn *i)
{
	bit_modify(c, i, do_btr);
}

void exec_btc(struct bt_cpu *c, const struct insn *i)
{
	bit_modify(c, i, do_btc);
}

/* Scans and counts. -------------------------------------------------------------------------- */

static unsigned lowest(uint64_t v)
{
	return (unsigned)__builtin_ctzll(v);
}
static unsigned highest(uint64_t v)
{
	return 63 - (unsigned)__builtin_clzll(v);
}

/* A source of 0 leaves the destination alone, its upper half too. */
static void scan_done(struct bt_cpu *c, const struct insn *i, uint64_t src, uint64_t r)
{
	if (!src) {
		flags_put(c, FL_Z | FL_P);
		return;
	}
	op_write_reg(c, i, 0, r);
	flags_put(c, flags_zsp(r, 1) & FL_P);
}

void exec_bsf(struct bt_cpu *c, const struct insn *i)
{
	uint64_t v = op_read(c, i, 1);

	scan_done(c, i, v, v ? lowest(v) : 0);
}

void exec_bsr(struct bt_cpu *c, const struct insn *i)
{
	uint64_t v = op_read(c, i, 1);

	scan_done(c, i, v, v ? highest(v) : 0);
}

static void count_done(struct bt_cpu *c, const struct insn *i, uint64_t src, uint64_t r)
{
	op_write_reg(c, i, 0, r);
	flags_put(c, (src ? 0 : FL_C) | (r ? 0 : FL_Z));
}

void exec_tzcnt(struct bt_cpu *c, const struct insn *i)
{
	uint64_t v = op_read(c, i, 1);

	count_done(c, i, v, v ? lowest(v) : 8u * i->op[0].size);
}

void exec_lzcnt(struct bt_cpu *c, const struct insn *i)
{
	unsigned bits = 8u * i->op[0].size;
	uint64_t v = op_read(c, i, 1);

	count_done(c, i, v, v ? bits - 1 - highest(v) : bits);
}

void exec_popcnt(struct bt_cpu *c, const struct insn *i)
{
	uint64_t v = op_read(c, i, 1);

	op_write_reg(c, i, 0, (uint64_t)__builtin_popcountll(v));
	flags_put(c, v ? 0 : FL_Z);
}

/* BMI1 and BMI2. ----------------------------------------------------------------------------- */

/* Z and S of the result, C as given, the rest 0. */
static void bmi_done(struct bt_cpu *c, const struct insn *i, unsigned dst, uint64_t r, bool carry)
{
	unsigned n = i->op[dst].size;

	op_write_reg(c, i, dst, r);
	flags_put(c, (flags_zsp(r, n) & (FL_Z | FL_S)) | (carry ? FL_C : 0));
}

void exec_andn(struct bt_cpu *c, const struct insn *i)
{
	uint64_t b = op_read(c, i, 2);

	bmi_done(c, i, 0, ~op_read_reg(c, i, 1) & b, false);
}

void exec_bextr(struct bt_cpu *c, const struct insn *i)
{
	uint64_t v = op_read(c, i, 1), control = op_read_reg(c, i, 2), r;
	unsigned start = control & 0xff, len = control >> 8 & 0xff;

	r = start < 64 ? v >> start : 0;
	if (len < 64)
		r &= (UINT64_C(1) << len) - 1;
	op_write_reg(c, i, 0, r);
	flags_put(c, r ? 0 : FL_Z);
}

void exec_blsi(struct bt_cpu *c, const struct insn *i)
{
	uint64_t v = op_read(c, i, 1);

	bmi_done(c, i, 0, v & (0 - v), v != 0);
}

void exec_blsmsk(struct bt_cpu *c, const struct insn *i)
{
	uint64_t v = op_read(c, i, 1);

	bmi_done(c, i, 0, v ^ (v - 1), v == 0);
}

void exec_blsr(struct bt_cpu *c, const struct insn *i)
{
	uint64_t v = op_read(c, i, 1);

	bmi_done(c, i, 0, v & (v - 1), v == 0);
}

void exec_bzhi(struct bt_cpu *c, const struct insn *i)
{
	unsigned bits = 8u * i->op[0].size;
	uint64_t v = op_read(c, i, 1);
	unsigned from = op_read_reg(c, i, 2) & 0xff;

	if (from < bits)
		v &= (UINT64_C(1) << from) - 1;
	bmi_done(c, i, 0, v, from >= bits);
}

void exec_pdep(struct bt_cpu *c, const struct insn *i)
{
	uint64_t mask = op_read(c, i, 2), v = op_read_reg(c, i, 1), r = 0;

	for (; mask; mask &= mask - 1, v >>= 1)
		if (v & 1)
			r |= mask & (0 - mask);
	op_write_reg(c, i, 0, r);
}

void exec_pext(struct bt_cpu *c, const struct insn *i)
{
	uint64_t mask = op_read(c, i, 2), v = op_read_reg(c, i, 1), r = 0;

	for (unsigned n = 0; mask; mask &= mask - 1, n++)
		r |= (v >> lowest(mask) & 1) << n;
	op_write_reg(c, i, 0, r);
}

/* CRC-32C: the polynomial 11EDC6F41H, bits reflected (SDM 2A, CRC32). */
void exec_crc32(struct bt_cpu *c, const struct insn *i)
{
	unsigned n = i->op[1].size;
	uint64_t v = op_read(c, i, 1);
	uint32_t crc = (uint32_t)c->gpr[i->op[0].reg];

	for (; n; n--, v >>= 8) {
		crc ^= (uint8_t)v;
		for (unsigned b = 0; b < 8; b++)
			crc = crc >> 1 ^ (0x82f63b78u & (0 - (crc & 1)));
	}
	c->gpr[i->op[0].reg] = crc;
}
