/*
 * The chips of a board in user space, together: wires through 8259s and I/O APIC to local APICs,
 * EOIs back, reset, state.
 */
#include "user_vm.h"

static int free_user(void **state)
{
	(void)state;
	user_free();
	return 0;
}

#define EOI 0xb0u
#define SVR 0xf0u

static void enable_lapics(unsigned n)
{
	for (unsigned i = 0; i < n; i++)
		lapic_mmio_write(&user.lapic[i], SVR, 0x1ff);
}

static void init_pics(void)
{
	static const struct {
		uint16_t port;
		uint8_t val;
	} w[] = {{0x20, 0x11}, {0x21, 0x30}, {0x21, 4}, {0x21, 1},
		 {0xa0, 0x11}, {0xa1, 0x38}, {0xa1, 2}, {0xa1, 1}};

	for (size_t i = 0; i < ARRAY_LEN(w); i++)
		user_out(w[i].port, w[i].val);
}

static void an_isa_interrupt_reaches_the_boot_cpu_through_the_8259s(void **state)
{
	(void)state;
	user_make(2);
	init_pics();
	assert_false(x86_userchip_intr(&user.chip));
	unsigned before = user.signals[0];
	irq_set(user.wire[0], true);
	assert_true(x86_userchip_intr(&user.chip));
	assert_true(user.signals[0] > before);
	assert_true(lapic_accepts_extint(&user.lapic[0]));
	assert_false(lapic_accepts_extint(&user.lapic[1]));
	assert_int_equal(x86_userchip_ack(&user.chip), 0x34);
	assert_false(x86_userchip_intr(&user.chip));
	user_out(0x20, 0x20);
	irq_pulse(user.wire[1]);
	assert_int_equal(x86_userchip_ack(&user.chip), 0x39);
	assert_int_equal(x86_userchip_ack(&user.chip), 0x37); /* spurious */
}

static void the_same_wire_is_a_pin_of_the_io_apic(void **state)
{
	(void)state;
	user_make(2);
	enable_lapics(2);
	user_rte(4, UINT64_C(1) << 56 | 0x51);
	irq_pulse(user.wire[0]);
	assert_int_equal(lapic_pending(&user.lapic[0]), -1);
	assert_int_equal(lapic_ack(&user.lapic[1]), 0x51);
	lapic_mmio_write(&user.lapic[1], EOI, 0);
	user_rte(20, 0x61); /* beyond the 8259s */
	irq_pulse(user.wire[2]);
	assert_int_equal(lapic_ack(&user.lapic[0]), 0x61);
}

static void a_level_comes_again_until_its_device_is_served(void **state)
{
	struct x86_chips *chips;

	(void)state;
	user_make(1);
	enable_lapics(1);
	chips = user.vm->chips;
	user_rte(9, X86_RTE_LEVEL | 0x71);
	irq_set(user.wire[1], true);
	for (unsigned i = 0; i < 3; i++) {
		assert_int_equal(lapic_ack(&user.lapic[0]), 0x71);
		assert_true(chips->ioapic.rte[9] & X86_RTE_REMOTE_IRR);
		if (i == 2)
			irq_set(user.wire[1], false);
		lapic_mmio_write(&user.lapic[0], EOI, 0);
	}
	assert_int_equal(lapic_pending(&user.lapic[0]), -1);
	assert_false(chips->ioapic.rte[9] & X86_RTE_REMOTE_IRR);
}

static void a_device_sends_messages_to_local_apics(void **state)
{
	const struct msi m = {.addr = 0xfee01000, .data = 0x45};
	const struct msi nobody = {.addr = 0xfee77000, .data = 0x45};

	(void)state;
	user_make(2);
	enable_lapics(2);
	msi_send(user.vm->irqchip, &m);
	msi_send(user.vm->irqchip, &nobody);
	assert_int_equal(lapic_ack(&user.lapic[1]), 0x45);
	assert_int_equal(lapic_pending(&user.lapic[0]), -1);
}

static void the_timer_ticks_through_either(void **state)
{
	(void)state;
	user_make(1);
	init_pics();
	enable_lapics(1);
	user_out(0x43, 0x34);
	user_out(0x40, 0xa9);
	user_out(0x40, 0x04); /* 1193: a millisecond */
	clock_step(&user.vm->clock, 1100000);
	assert_int_equal(x86_userchip_ack(&user.chip), 0x30);
	user_out(0x20, 0x20);
	user_out(0x21, 0xff);
	user_rte(0, 0x31);
	clock_step(&user.vm->clock, 1000000);
	assert_int_equal(lapic_ack(&user.lapic[0]), 0x31);
}

static void a_reset_forgets_everything(void **state)
{
	struct err e = ERR_INIT;
	struct x86_chips want;
	struct strbuf diff = {0};

	(void)state;
	user_make(2);
	init_pics();
	enable_lapics(2);
	user_rte(9, X86_RTE_LEVEL | 0x71);
	user_out(0x43, 0x34);
	irq_set(user.wire[0], true);
	irq_set(user.wire[1], true);
	assert_true(x86_userchip_intr(&user.chip));
	user_check(vm_reset(user.vm, &e), &e);
	memset(&want, 0, sizeof(want));
	x86_chips_reset(&want);
	if (state_diff(&x86_chips_table, &want, user.vm->chips, &diff))
		fail_msg("%s", strbuf_str(&diff));
	assert_false(x86_userchip_intr(&user.chip));
	assert_int_equal(lapic_pending(&user.lapic[0]), -1);
}

static void a_saved_state_has_requests_on_their_way(void **state)
{
	struct strbuf a = {0}, b = {0};
	struct err e = ERR_INIT;

	(void)state;
	user_make(2);
	init_pics();
	enable_lapics(2);
	user_rte(9, X86_RTE_LEVEL | 0x71);
	irq_pulse(user.wire[0]);
	irq_set(user.wire[1], true);
	user_check(vm_save_state(user.vm, &a, &e), &e);
	user_check(vm_reset(user.vm, &e), &e);
	user_check(vm_load_state(user.vm, a.s, a.len, &e), &e);
	irq_set(user.wire[1], true); /* as a device does in loaded() */
	user_check(vm_save_state(user.vm, &b, &e), &e);
	assert_int_equal(a.len, b.len);
	assert_memory_equal(a.s, b.s, a.len);
	assert_true(x86_userchip_intr(&user.chip));
	assert_int_equal(x86_userchip_ack(&user.chip), 0x39); /* the slave's are above 4 */
	assert_int_equal(lapic_ack(&user.lapic[0]), 0x71);
	irq_set(user.wire[1], false);
	lapic_mmio_write(&user.lapic[0], EOI, 0);
	assert_int_equal(lapic_pending(&user.lapic[0]), -1);
	strbuf_exit(&a);
	strbuf_exit(&b);
}

static uint64_t next_random(void *arg)
{
	uint64_t *x = arg;

	*x ^= *x << 13;
	*x ^= *x >> 7;
	*x ^= *x << 17;
	return *x;
}

/* Chips from a hostile state: everything that can reach them answers, and a reset ends it. */
static void any_state_of_the_chips_loads_and_runs(void **state)
{
	struct strbuf s = {0};
	struct err e = ERR_INIT;
	uint64_t seed = 99;

	(void)state;
	user_make(2);
	for (unsigned i = 0; i < 200; i++) {
		state_random(&x86_chips_table, user.vm->chips, next_random, &seed);
		for (unsigned c = 0; c < 2; c++)
			state_random(&x86_vcpu_table, user.vm->vcpus[c].state, next_random, &seed);
		s = (struct strbuf){0};
		user_check(vm_save_state(user.vm, &s, &e), &e);
		user_check(vm_load_state(user.vm, s.s, s.len, &e), &e);
		strbuf_exit(&s);
		for (unsigned k = 0; k < 60; k++) {
			static const uint16_t port[] = {0x20, 0x21, 0x40, 0x41,	 0x42, 0x43,
							0x61, 0xa0, 0xa1, 0x4d0, 0x4d1};
			uint64_t r = next_random(&seed);

			switch (r & 3) {
			case 0:
				user_out(port[(r >> 8) % ARRAY_LEN(port)], (uint8_t)(r >> 16));
				break;
			case 1: (void)user_in(port[(r >> 8) % ARRAY_LEN(port)]); break;
			case 2: irq_set(user.wire[(r >> 8) % 3], r >> 16 & 1); break;
			default: clock_step(&user.vm->clock, r >> 8 & 0xfffff);
			}
			x86_userchip_eoi(&user.chip, (uint8_t)(r >> 24));
			if (x86_userchip_intr(&user.chip))
				(void)x86_userchip_ack(&user.chip);
			(void)lapic_ack(&user.lapic[r >> 32 & 1]);
		}
		user_check(vm_reset(user.vm, &e), &e);
		assert_false(x86_userchip_intr(&user.chip));
	}
}

#define TEST(fn) cmocka_unit_test_teardown(fn, free_user)

int main(void)
{
	const struct CMUnitTest tests[] = {
		TEST(an_isa_interrupt_reaches_the_boot_cpu_through_the_8259s),
		TEST(the_same_wire_is_a_pin_of_the_io_apic),
		TEST(a_level_comes_again_until_its_device_is_served),
		TEST(a_device_sends_messages_to_local_apics),
		TEST(the_timer_ticks_through_either),
		TEST(a_reset_forgets_everything),
		TEST(a_saved_state_has_requests_on_their_way),
		TEST(any_state_of_the_chips_loads_and_runs),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
