/*
 * The I/O APIC's logic: registers, edges, levels, EOI.
 */
#include "unit.h"

#include "arch/x86/chips.h"

#define SELECT 0x00u
#define WINDOW 0x10u
#define EOI    0x40u

static struct {
	unsigned n, pin;
	uint64_t rte;
} sent;

static void deliver(void *arg, unsigned pin, uint64_t rte)
{
	(void)arg;
	sent.n++;
	sent.pin = pin;
	sent.rte = rte;
}

static const struct x86_ioapic_bus bus = {deliver, NULL};

static struct x86_ioapic fresh(void)
{
	struct x86_ioapic s;

	memset(&sent, 0, sizeof(sent));
	x86_ioapic_reset(&s);
	return s;
}

static uint32_t write_reg(struct x86_ioapic *s, uint8_t index, uint32_t val)
{
	x86_ioapic_write(s, SELECT, index, &bus);
	return x86_ioapic_write(s, WINDOW, val, &bus);
}

static uint32_t read_reg(struct x86_ioapic *s, uint8_t index)
{
	x86_ioapic_write(s, SELECT, index, &bus);
	return x86_ioapic_read(s, WINDOW);
}

static void registers_read_back_what_software_may_write(void **state)
{
	struct x86_ioapic s = fresh();

	(void)state;
	assert_int_equal(read_reg(&s, 1), 0x00170020);
	write_reg(&s, 0, 0xffffffff);
	assert_int_equal(read_reg(&s, 0), 0x0f000000);
	assert_int_equal(read_reg(&s, 2), 0x0f000000);
	assert_int_equal(read_reg(&s, 0x10), X86_RTE_MASKED);
	assert_int_equal(write_reg(&s, 0x10 + 2 * 5, 0xffffffff), 1u << 5);
	assert_int_equal(read_reg(&s, 0x10 + 2 * 5), 0x1afff); /* without both status bits */
	assert_int_equal(write_reg(&s, 0x11 + 2 * 5, 0xffffffff), 1u << 5);
	assert_int_equal(read_reg(&s, 0x11 + 2 * 5), 0xff000000);
	assert_int_equal(write_reg(&s, 0x11 + 2 * 5, 0xffffffff), 0);
	assert_int_equal(write_reg(&s, 0x10 + 2 * 24, 1), 0);
	assert_int_equal(read_reg(&s, 0x10 + 2 * 24), 0);
	assert_int_equal(read_reg(&s, 0xff), 0);
	assert_int_equal(x86_ioapic_read(&s, 0x20), 0);
	assert_int_equal(sent.n, 0);
}

static void an_edge_is_sent_once_and_lost_while_masked(void **state)
{
	struct x86_ioapic s = fresh();

	(void)state;
	x86_ioapic_set(&s, 4, true, &bus);
	x86_ioapic_set(&s, 4, false, &bus);
	write_reg(&s, 0x18, 0x30);
	assert_int_equal(sent.n, 0);
	x86_ioapic_set(&s, 4, true, &bus);
	x86_ioapic_set(&s, 4, true, &bus);
	assert_int_equal(sent.n, 1);
	assert_int_equal(sent.pin, 4);
	assert_int_equal(X86_RTE_VECTOR(sent.rte), 0x30);
	x86_ioapic_set(&s, 4, false, &bus);
	x86_ioapic_set(&s, 4, true, &bus);
	assert_int_equal(sent.n, 2);
}

static void a_level_is_sent_again_after_each_eoi_while_it_is_high(void **state)
{
	struct x86_ioapic s = fresh();

	(void)state;
	x86_ioapic_set(&s, 9, true, &bus); /* high before it is unmasked */
	assert_int_equal(sent.n, 0);
	write_reg(&s, 0x10 + 2 * 9, X86_RTE_LEVEL | 0x41);
	assert_int_equal(sent.n, 1);
	assert_true(s.rte[9] & X86_RTE_REMOTE_IRR);
	x86_ioapic_set(&s, 9, true, &bus);
	x86_ioapic_eoi(&s, 0x42, &bus);
	assert_int_equal(sent.n, 1);
	x86_ioapic_eoi(&s, 0x41, &bus);
	assert_int_equal(sent.n, 2);
	x86_ioapic_set(&s, 9, false, &bus);
	x86_ioapic_eoi(&s, 0x41, &bus);
	assert_int_equal(sent.n, 2);
	assert_false(s.rte[9] & X86_RTE_REMOTE_IRR);
}

static void the_eoi_register_and_a_trip_through_edge_mode_end_a_level_interrupt(void **state)
{
	struct x86_ioapic s = fresh();

	(void)state;
	write_reg(&s, 0x10 + 2 * 9, X86_RTE_LEVEL | 0x41);
	x86_ioapic_set(&s, 9, true, &bus);
	x86_ioapic_write(&s, EOI, 0x41, &bus);
	assert_int_equal(sent.n, 2);
	x86_ioapic_set(&s, 9, false, &bus);
	write_reg(&s, 0x10 + 2 * 9, X86_RTE_MASKED | 0x41);
	assert_false(s.rte[9] & X86_RTE_REMOTE_IRR);
	write_reg(&s, 0x10 + 2 * 9, X86_RTE_LEVEL | 0x41);
	assert_int_equal(sent.n, 2);
}

static void an_entry_becomes_the_message_that_the_manual_shows(void **state)
{
	uint64_t addr;
	uint32_t data;

	(void)state;
	x86_ioapic_msi(UINT64_C(0x0300000000000031), &addr, &data);
	assert_int_equal(addr, 0xfee03000);
	assert_int_equal(data, 0x31);
	x86_ioapic_msi(UINT64_C(0x0f00000000000000) | X86_RTE_LOGICAL | X86_RTE_LEVEL | 1u << 8 |
			       0x52,
		       &addr, &data);
	assert_int_equal(addr, 0xfee0f004);
	assert_int_equal(data, 0xc152);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(registers_read_back_what_software_may_write),
		cmocka_unit_test(an_edge_is_sent_once_and_lost_while_masked),
		cmocka_unit_test(a_level_is_sent_again_after_each_eoi_while_it_is_high),
		cmocka_unit_test(
			the_eoi_register_and_a_trip_through_edge_mode_end_a_level_interrupt),
		cmocka_unit_test(an_entry_becomes_the_message_that_the_manual_shows),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
