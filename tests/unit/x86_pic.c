/*
 * The pair of 8259A: initialisation, edges and levels, priorities, every kind of EOI, poll, the
 * spurious interrupts.
 */
#include "unit.h"

#include "arch/x86/chips.h"

enum { M, MD, S, SD, ELCR_M, ELCR_S }; /* ports */

static struct x86_pic p[2];

/* As a BIOS and Linux do: vectors 30h and 38h, nothing masked. */
static void boot(uint8_t icw4)
{
	x86_pic_reset(p);
	x86_pic_write(p, M, 0x11);
	x86_pic_write(p, S, 0x11);
	x86_pic_write(p, MD, 0x30);
	x86_pic_write(p, SD, 0x38);
	x86_pic_write(p, MD, 4);
	x86_pic_write(p, SD, 2);
	x86_pic_write(p, MD, icw4);
	x86_pic_write(p, SD, icw4);
}

static void up(unsigned n)
{
	x86_pic_set(p, n, true);
}

static void down(unsigned n)
{
	x86_pic_set(p, n, false);
}

static void pulse(unsigned n)
{
	up(n);
	down(n);
}

static void expect(int vector)
{
	assert_int_equal(x86_pic_intr(p), vector >= 0);
	if (vector >= 0)
		assert_int_equal(x86_pic_ack(p), vector);
}

static void an_edge_is_one_interrupt_until_its_eoi(void **state)
{
	(void)state;
	boot(1);
	expect(-1);
	up(4);
	up(4);
	expect(0x34);
	expect(-1);
	down(4);
	up(4); /* requested again while in service */
	expect(-1);
	x86_pic_write(p, M, 0x20);
	expect(0x34);
	x86_pic_write(p, M, 0x64); /* specific */
	expect(-1);
	assert_int_equal(p[0].isr, 0);
}

static void a_level_comes_again_while_it_is_high(void **state)
{
	(void)state;
	boot(1);
	x86_pic_write(p, ELCR_M, 0xff);
	x86_pic_write(p, ELCR_S, 0xff);
	assert_int_equal(x86_pic_read(p, ELCR_M), 0xf8); /* 0, 1 and 2 are edges for good */
	assert_int_equal(x86_pic_read(p, ELCR_S), 0xde);
	up(5);
	expect(0x35);
	x86_pic_write(p, M, 0x20);
	expect(0x35);
	down(5);
	x86_pic_write(p, M, 0x20);
	expect(-1);
	up(5);
	down(5); /* gone before anybody looked */
	expect(-1);
	up(10);
	expect(0x3a);
	x86_pic_write(p, S, 0x20);
	x86_pic_write(p, M, 0x20);
	expect(0x3a);
	down(10);
}

static void a_masked_line_is_remembered(void **state)
{
	(void)state;
	boot(1);
	x86_pic_write(p, MD, 0xff);
	pulse(3);
	expect(-1);
	assert_int_equal(x86_pic_read(p, MD), 0xff);
	assert_int_equal(x86_pic_read(p, M), 8);
	x86_pic_write(p, MD, 0);
	expect(0x33);
	x86_pic_write(p, M, 0x0b);
	assert_int_equal(x86_pic_read(p, M), 8);
	x86_pic_write(p, M, 0x0a);
	assert_int_equal(x86_pic_read(p, M), 0);
}

static void line_0_is_the_highest_and_the_slave_sits_at_2(void **state)
{
	static const int order[] = {0x30, 0x31, 0x38, 0x3f, 0x33, 0x37};

	(void)state;
	boot(1);
	pulse(7), pulse(3), pulse(15), pulse(8), pulse(1), pulse(0);
	for (size_t i = 0; i < ARRAY_LEN(order); i++) {
		expect(order[i]);
		if (order[i] >= 0x38)
			x86_pic_write(p, S, 0x20);
		x86_pic_write(p, M, 0x20);
	}
	expect(-1);
}

static void what_is_in_service_holds_back_its_like_and_lower(void **state)
{
	(void)state;
	boot(1);
	pulse(4);
	expect(0x34);
	pulse(5);
	pulse(4);
	expect(-1);
	pulse(3);
	expect(0x33);
	pulse(9); /* the slave is above 3 */
	expect(0x39);
	pulse(8); /* within the slave: held back at the master without special nesting */
	expect(-1);
	x86_pic_write(p, S, 0x20);
	x86_pic_write(p, M, 0x20);
	expect(0x38);
}

static void special_full_nesting_lets_the_slave_interrupt_itself(void **state)
{
	(void)state;
	boot(0x11);
	assert_true(p[0].special_fully_nested);
	pulse(12);
	expect(0x3c);
	pulse(9);
	expect(0x39);
	pulse(13);
	expect(-1);
}

static void a_special_mask_lets_lower_lines_through(void **state)
{
	(void)state;
	boot(1);
	pulse(1);
	expect(0x31);
	pulse(6);
	expect(-1);
	x86_pic_write(p, MD, 2);
	x86_pic_write(p, M, 0x68);
	expect(0x36);
	x86_pic_write(p, M, 0x20); /* ends 6: what is masked is passed over */
	assert_int_equal(p[0].isr, 2);
	x86_pic_write(p, M, 0x48);
	pulse(6);
	expect(-1);
}

static void priorities_rotate_with_the_eoi_or_are_set(void **state)
{
	(void)state;
	boot(1);
	pulse(3), pulse(4);
	expect(0x33);
	x86_pic_write(p, M, 0xa0); /* rotate: 3 is the lowest now */
	assert_int_equal(p[0].priority_add, 4);
	pulse(3), pulse(0);
	expect(0x34);
	x86_pic_write(p, M, 0xe4); /* rotate on a specific EOI: 4 is the lowest */
	assert_int_equal(p[0].priority_add, 5);
	expect(0x30);
	x86_pic_write(p, M, 0x20);
	expect(0x33);
	x86_pic_write(p, M, 0x20);
	x86_pic_write(p, M, 0xc7); /* set: 7 the lowest, as at first */
	assert_int_equal(p[0].priority_add, 0);
	x86_pic_write(p, M, 0x40); /* no operation */
	x86_pic_write(p, M, 0x20); /* nothing in service */
	assert_int_equal(p[0].priority_add, 0);
}

static void automatic_eoi_keeps_nothing_in_service_and_can_rotate(void **state)
{
	(void)state;
	boot(3);
	pulse(5), pulse(6);
	expect(0x35);
	assert_int_equal(p[0].isr, 0);
	expect(0x36);
	x86_pic_write(p, M, 0x80);
	pulse(2 + 1), pulse(4);
	expect(0x33);
	assert_int_equal(p[0].priority_add, 4);
	pulse(3);
	expect(0x34);
	expect(0x33);
	x86_pic_write(p, M, 0x00);
	assert_false(p[0].rotate_on_auto_eoi);
}

static void an_acknowledge_of_nothing_is_a_spurious_7_or_15(void **state)
{
	(void)state;
	boot(1);
	assert_int_equal(x86_pic_ack(p), 0x37);
	assert_int_equal(p[0].isr, 0);
	pulse(14);
	x86_pic_write(p, SD, 0xff); /* the slave loses it, the master has it */
	expect(0x3f);
	assert_int_equal(p[0].isr, 4);
	assert_int_equal(p[1].isr, 0);
}

static void a_poll_is_an_acknowledge_that_gives_the_number(void **state)
{
	(void)state;
	boot(1);
	x86_pic_write(p, M, 0x0c);
	assert_int_equal(x86_pic_read(p, M), 0);
	pulse(6);
	x86_pic_write(p, M, 0x0c);
	assert_int_equal(x86_pic_read(p, MD), 0x86); /* at either port */
	expect(-1);
	assert_int_equal(p[0].isr, 0x40);
	assert_int_equal(x86_pic_read(p, MD), 0);
	pulse(11);
	x86_pic_write(p, S, 0x0c);
	assert_int_equal(x86_pic_read(p, S), 0x83);
	expect(-1);
}

static void icw1_starts_over_and_without_icw4_its_features_are_off(void **state)
{
	(void)state;
	boot(0x13);
	pulse(4);
	expect(0x34);
	x86_pic_write(p, MD, 0xaa);
	up(6);
	x86_pic_write(p, M, 0x10);
	assert_int_equal(p[0].imr, 0);
	assert_int_equal(p[0].isr, 0);
	assert_int_equal(p[0].irr, 0);
	assert_false(p[0].auto_eoi);
	assert_false(p[0].special_fully_nested);
	x86_pic_write(p, MD, 0x57);
	x86_pic_write(p, MD, 4);
	x86_pic_write(p, MD, 0x0f); /* a mask already */
	assert_int_equal(x86_pic_read(p, MD), 0x0f);
	up(6); /* a rise is needed, and ICW1 has forgotten the level */
	expect(0x56);
}

static uint64_t next_random(void *arg)
{
	uint64_t *x = arg;

	*x ^= *x << 13;
	*x ^= *x >> 7;
	*x ^= *x << 17;
	return *x;
}

/* Whatever the state and whatever is written, it answers; and INTR means that there is a vector. */
static void any_state_and_any_write_leave_a_chip_that_answers(void **state)
{
	struct x86_chips *c = calloc(1, sizeof(*c));
	uint64_t seed = 7;

	(void)state;
	assert_non_null(c);
	for (unsigned i = 0; i < 2000; i++) {
		state_random(&x86_chips_table, c, next_random, &seed);
		memcpy(p, c->pic, sizeof(p));
		for (unsigned k = 0; k < 50; k++) {
			uint64_t r = next_random(&seed);

			switch (r & 3) {
			case 0:
				x86_pic_write(p, r >> 8 & 7 ? r >> 8 & 3 : 4, (uint8_t)(r >> 16));
				break;
			case 1: (void)x86_pic_read(p, (unsigned)(r >> 8) % 6); break;
			case 2: x86_pic_set(p, r >> 8 & 15, r >> 16 & 1); break;
			default:
				if (x86_pic_intr(p))
					(void)x86_pic_ack(p);
			}
			assert_true(p[0].priority_add < 8 && p[1].priority_add < 8);
			assert_true(p[0].init_state < 4 && p[1].init_state < 4);
		}
	}
	free(c);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(an_edge_is_one_interrupt_until_its_eoi),
		cmocka_unit_test(a_level_comes_again_while_it_is_high),
		cmocka_unit_test(a_masked_line_is_remembered),
		cmocka_unit_test(line_0_is_the_highest_and_the_slave_sits_at_2),
		cmocka_unit_test(what_is_in_service_holds_back_its_like_and_lower),
		cmocka_unit_test(special_full_nesting_lets_the_slave_interrupt_itself),
		cmocka_unit_test(a_special_mask_lets_lower_lines_through),
		cmocka_unit_test(priorities_rotate_with_the_eoi_or_are_set),
		cmocka_unit_test(automatic_eoi_keeps_nothing_in_service_and_can_rotate),
		cmocka_unit_test(an_acknowledge_of_nothing_is_a_spurious_7_or_15),
		cmocka_unit_test(a_poll_is_an_acknowledge_that_gives_the_number),
		cmocka_unit_test(icw1_starts_over_and_without_icw4_its_features_are_off),
		cmocka_unit_test(any_state_and_any_write_leave_a_chip_that_answers),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
