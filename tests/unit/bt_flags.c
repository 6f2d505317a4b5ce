/*
 * The arithmetic flags of the software CPU: what is worked out late is what would have been written
 * at once, and conditions are those of SDM 2 appendix B.
 */
#include "unit.h"

#include "accel/bt/flags.h"

static struct bt_cpu cpu;

static uint64_t rnd(void)
{
	static uint64_t s = 0x2545f4914f6cdd1d;

	s ^= s << 13;
	s ^= s >> 7;
	s ^= s << 17;
	return s;
}

static uint64_t value(unsigned size)
{
	static const uint64_t edge[] = {
		0,	   1,	       0x7f,	   0x80,      0x7fff,
		0x8000,	   0x7fffffff, 0x80000000, INT64_MAX, (uint64_t)INT64_MIN,
		UINT64_MAX};
	uint64_t v = rnd() % 2 ? rnd() : edge[rnd() % ARRAY_LEN(edge)];

	return v & UINT64_MAX >> (64 - 8 * size);
}

/* Zero, sign and parity, one bit after the other. */
static uint32_t plain_zsp(uint64_t r, unsigned size)
{
	unsigned ones = 0;

	r &= UINT64_MAX >> (64 - 8 * size);
	for (unsigned n = 0; n < 8; n++)
		ones += r >> n & 1;
	return (r ? 0 : FL_Z) | (r >> (8 * size - 1) ? FL_S : 0) | (ones % 2 ? 0 : FL_P);
}

/* Bit by bit, with a full adder: a + b + in, or with ~b what a subtraction does. */
static uint32_t plain_add(uint64_t a, uint64_t b, bool in, unsigned size, bool subtract)
{
	uint64_t r = 0;
	unsigned bits = 8 * size;
	bool carry = in != subtract, last = false, half = false;

	for (unsigned n = 0; n < bits; n++) {
		bool x = a >> n & 1, y = (b >> n & 1) != subtract;

		last = carry;
		r |= (uint64_t)(x ^ y ^ carry) << n;
		carry = (x && y) || (x && carry) || (y && carry);
		if (n == 3)
			half = carry;
	}
	return plain_zsp(r, size) | (carry != subtract ? FL_C : 0) | (half != subtract ? FL_A : 0) |
	       (carry != last ? FL_O : 0);
}

static bool plain_cond(uint32_t f, unsigned cond)
{
	bool c = f & FL_C, z = f & FL_Z, s = f & FL_S, o = f & FL_O, p = f & FL_P;
	const bool is[8] = {o, c, z, c || z, s, p, s != o, z || s != o};

	return is[cond / 2] != (cond & 1);
}

/* All that can be asked of the flags as they are in cpu gives @want. */
static void expect(uint32_t want)
{
	struct bt_cpu settled = cpu;

	assert_int_equal(flags_arith(&cpu), want);
	assert_int_equal(flags_get(&cpu), (cpu.rflags & ~(uint64_t)FL_ALL) | want);
	assert_int_equal(flags_carry(&cpu), want & FL_C);
	flags_settle(&settled);
	assert_int_equal(settled.cc, CC_FLAGS);
	assert_int_equal(settled.rflags, flags_get(&cpu));
	for (unsigned cond = 0; cond < 16; cond++) {
		assert_int_equal(flags_cond(&cpu, cond), plain_cond(want, cond));
		assert_int_equal(flags_cond(&settled, cond), plain_cond(want, cond));
	}
}

static const unsigned sizes[] = {1, 2, 4, 8};

/* What lies above the operand's size in a, b and the result says nothing. */
static uint64_t dirt(unsigned size)
{
	return size == 8 ? 0 : rnd() << (8 * size);
}

static void sums_and_differences_have_the_flags_of_a_full_adder(void **state)
{
	(void)state;
	for (unsigned n = 0; n < 40000; n++) {
		unsigned size = sizes[n % 4];
		uint64_t a = value(size), b = value(size);
		bool in = rnd() % 2;

		cpu.rflags = rnd() | X86_FLAGS_FIXED;
		flags_lazy(&cpu, CC_ADD, a ^ dirt(size), b ^ dirt(size), (a + b) ^ dirt(size),
			   size);
		expect(plain_add(a, b, false, size, false));
		flags_lazy(&cpu, CC_ADD, a, b, a + b + in, size);
		expect(plain_add(a, b, in, size, false));
		flags_lazy(&cpu, CC_SUB, a ^ dirt(size), b ^ dirt(size), (a - b) ^ dirt(size),
			   size);
		expect(plain_add(a, b, false, size, true));
	}
}

static void logic_clears_carry_overflow_and_adjust(void **state)
{
	(void)state;
	for (unsigned n = 0; n < 4000; n++) {
		unsigned size = sizes[n % 4];
		uint64_t r = value(size);

		flags_lazy_logic(&cpu, r ^ dirt(size), size);
		expect(plain_zsp(r, size));
		flags_lazy(&cpu, CC_LOGIC, rnd(), rnd(), r ^ dirt(size), size);
		expect(plain_zsp(r, size));
	}
}

static void counting_leaves_the_carry_of_whatever_was_before(void **state)
{
	(void)state;
	for (unsigned n = 0; n < 20000; n++) {
		unsigned size = sizes[n % 4];
		uint64_t a = value(size), b = value(size);
		uint32_t carry;

		cpu.rflags = rnd() | X86_FLAGS_FIXED;
		switch (n / 4 % 4) {
		case 0: flags_lazy(&cpu, CC_ADD, a, b, a + b, size); break;
		case 1: flags_lazy(&cpu, CC_SUB, a, b, a - b, size); break;
		case 2: flags_put(&cpu, rnd() & FL_ALL); break;
		default: flags_lazy(&cpu, CC_SHR, a, 0, a >> 1, size); break;
		}
		carry = flags_arith(&cpu) & FL_C;
		flags_lazy_inc(&cpu, CC_INC, b, b + 1, size);
		expect((plain_add(b, 1, false, size, false) & ~FL_C) | carry);
		flags_lazy_inc(&cpu, CC_DEC, a, a - 1, size);
		expect((plain_add(a, 1, false, size, true) & ~FL_C) | carry);
	}
}

static void shifts_know_the_last_bit_out(void **state)
{
	(void)state;
	for (unsigned n = 0; n < 20000; n++) {
		unsigned size = sizes[n % 4], bits = 8 * size,
			 k = 1 + (unsigned)(rnd() % (bits - 1));
		uint64_t a = value(size), top = a >> (bits - 1) & 1;
		uint64_t r = a << k;

		flags_lazy(&cpu, CC_SHL, a << (k - 1), a, r, size);
		expect(plain_zsp(r, size) | (a >> (bits - k) & 1 ? FL_C : 0) |
		       (top != (a >> (bits - 2) & 1) ? FL_O : 0));
		r = a >> k;
		flags_lazy(&cpu, CC_SHR, a >> (k - 1), top, r, size);
		expect(plain_zsp(r, size) | (a >> (k - 1) & 1 ? FL_C : 0) | (top ? FL_O : 0));
	}
}

static void single_flags_are_written_and_the_others_stay(void **state)
{
	(void)state;
	for (unsigned n = 0; n < 4000; n++) {
		uint32_t mask = rnd() & FL_ALL, val = (uint32_t)rnd(), before;

		cpu.rflags = rnd() | X86_FLAGS_FIXED;
		flags_lazy(&cpu, CC_SUB, n, n * 7, 0 - n * 6u, 4);
		before = flags_arith(&cpu);
		flags_set(&cpu, mask, val);
		expect((before & ~mask) | (val & mask));
		flags_put(&cpu, val & FL_ALL);
		expect(val & FL_ALL);
	}
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(sums_and_differences_have_the_flags_of_a_full_adder),
		cmocka_unit_test(logic_clears_carry_overflow_and_adjust),
		cmocka_unit_test(counting_leaves_the_carry_of_whatever_was_before),
		cmocka_unit_test(shifts_know_the_last_bit_out),
		cmocka_unit_test(single_flags_are_written_and_the_others_stay),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
