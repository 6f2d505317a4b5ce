/*
 * Local APICs on their bus: destinations, shorthands, lowest priority, messages, events; and the
 * timer.
 */
#include <pthread.h>

#include "lapic_rig.h"

static int free_rig(void **state)
{
	(void)state;
	rig_free();
	return 0;
}

/* Who gets a fixed interrupt from CPU 0 in xAPIC mode. */
static unsigned ipi(uint8_t dest, uint32_t low)
{
	wr(0, X86_LAPIC_ICR2, (uint32_t)dest << 24);
	wr(0, X86_LAPIC_ICR, low | 0x80);
	return taken(0x80);
}

#define LOGICAL (1u << 11)
#define LOWEST	(1u << 8)

static void physical_destinations_are_ids_or_everybody(void **state)
{
	(void)state;
	rig_make(4, 4);
	assert_int_equal(ipi(4, 0), 1);
	assert_int_equal(ipi(7, 0), 8);
	assert_int_equal(ipi(8, 0), 0);
	assert_int_equal(ipi(0xff, 0), 15);
	assert_int_equal(ipi(9, 1u << 18), 1); /* self, all, others: dest does not count */
	assert_int_equal(ipi(9, 2u << 18), 15);
	assert_int_equal(ipi(9, 3u << 18), 14);
}

static void the_flat_model_has_a_bit_for_each_cpu(void **state)
{
	(void)state;
	rig_make(4, 0);
	for (unsigned i = 0; i < 4; i++)
		wr(i, X86_LAPIC_LDR, 1u << (24 + i));
	assert_int_equal(ipi(5, LOGICAL), 5);
	assert_int_equal(ipi(0xf0, LOGICAL), 0);
	assert_int_equal(ipi(0xff, LOGICAL), 15);
}

static void the_cluster_model_has_four_bits_in_each_of_fifteen(void **state)
{
	static const uint8_t ldr[] = {0x11, 0x12, 0x21, 0x28};

	(void)state;
	rig_make(4, 0);
	for (unsigned i = 0; i < 4; i++) {
		wr(i, X86_LAPIC_DFR, 0);
		wr(i, X86_LAPIC_LDR, (uint32_t)ldr[i] << 24);
	}
	assert_int_equal(ipi(0x13, LOGICAL), 3);
	assert_int_equal(ipi(0x2f, LOGICAL), 12);
	assert_int_equal(ipi(0x31, LOGICAL), 0);
	assert_int_equal(ipi(0xf1, LOGICAL), 5); /* all clusters */
	assert_int_equal(ipi(0xff, LOGICAL), 15);
}

static unsigned x2ipi(uint32_t dest, uint32_t low)
{
	wrmsr(0, MSR(X86_LAPIC_ICR), ((uint64_t)dest << 32) | low | 0x80);
	return taken(0x80);
}

static void x2apic_destinations_have_32_bits_and_clusters_of_16(void **state)
{
	(void)state;
	rig_make(4, 0x10e); /* two in cluster 10h, two in 11h */
	for (unsigned i = 0; i < 4; i++)
		to_x2apic(i);
	assert_int_equal(x2ipi(0x110, 0), 4);
	assert_int_equal(x2ipi(0x0e, 0), 0);
	assert_int_equal(x2ipi(0xff, 0), 0);
	assert_int_equal(x2ipi(0xffffffff, 0), 15);
	assert_int_equal(x2ipi(0x10ffff, LOGICAL), 3);
	assert_int_equal(x2ipi(0x110003, LOGICAL), 12);
	assert_int_equal(x2ipi(0x108000, LOGICAL), 2);
	assert_int_equal(x2ipi(0x12ffff, LOGICAL), 0);
	assert_int_equal(x2ipi(0xffffffff, LOGICAL), 15);
	assert_int_equal(x2ipi(0, 3u << 18), 14);
}

static void a_cpu_with_a_large_id_can_be_started_before_its_x2apic_is_on(void **state)
{
	uint8_t vector;

	(void)state;
	rig_make(2, 300);
	to_x2apic(0);
	wrmsr(0, MSR(X86_LAPIC_ICR), (UINT64_C(301) << 32) | 0xc500);
	assert_int_equal(lapic_take_events(cpu(1), &vector), LAPIC_EVENT_INIT);
	wrmsr(0, MSR(X86_LAPIC_ICR), (UINT64_C(301 & 0xff) << 32) | 0xc500);
	assert_int_equal(lapic_events(cpu(1)), 0);
}

static void init_and_sipi_reach_the_cpu_as_events(void **state)
{
	uint8_t vector = 0;

	(void)state;
	rig_make(2, 0);
	wr(0, X86_LAPIC_ICR2, 1u << 24);
	rig.cpu[1].signals = 0;
	wr(0, X86_LAPIC_ICR, 0xc500);
	assert_int_equal(rig.cpu[1].signals, 1);
	wr(0, X86_LAPIC_ICR, 0x8500); /* de-assert: does nothing */
	wr(0, X86_LAPIC_ICR, 0x4699);
	assert_int_equal(lapic_take_events(cpu(1), &vector), LAPIC_EVENT_INIT | LAPIC_EVENT_SIPI);
	assert_int_equal(vector, 0x99);
	wr(0, X86_LAPIC_ICR, 0x4400);
	wr(0, X86_LAPIC_ICR, 0x4200); /* SMI */
	wr(0, X86_LAPIC_ICR, 0x4700); /* ExtINT and 3 are no modes of the ICR */
	wr(0, X86_LAPIC_ICR, 0x4399);
	assert_int_equal(lapic_events(cpu(1)), LAPIC_EVENT_NMI);
	lapic_nmi(cpu(0));
	assert_int_equal(lapic_events(cpu(0)), LAPIC_EVENT_NMI);
	assert_int_equal(lapic_pending(cpu(1)), -1);
}

static void the_lowest_priority_gets_it_and_equals_take_turns(void **state)
{
	unsigned seen = 0;

	(void)state;
	rig_make(4, 0);
	for (unsigned i = 0; i < 4; i++)
		wr(i, X86_LAPIC_LDR, 1u << (24 + i));
	for (unsigned i = 0; i < 4; i++) {
		unsigned who = ipi(0xff, LOGICAL | LOWEST);

		assert_int_equal(who & (who - 1), 0); /* one */
		seen |= who;
	}
	assert_int_equal(seen, 15);
	for (unsigned i = 0; i < 4; i++)
		wr(i, X86_LAPIC_TPR, i == 2 ? 0x10 : 0x20);
	for (unsigned i = 0; i < 4; i++)
		assert_int_equal(ipi(0xff, LOGICAL | LOWEST), 4);
	assert_int_equal(ipi(0x3, LOGICAL | LOWEST) & ~3u, 0);
	wr(2, X86_LAPIC_SVR, 0xff); /* off by software: no candidate */
	assert_int_equal(ipi(0x4, LOGICAL | LOWEST), 0);
	assert_int_equal(ipi(0xff, LOGICAL | LOWEST) & 4, 0);
}

static void a_focus_processor_comes_before_the_lowest_priority(void **state)
{
	const struct lapic_msg m = {.dest = 3, .vector = 0x55};
	const struct lapic_msg lowest = {.dest = 0xff, .mode = LAPIC_LOWEST, .vector = 0x55};

	(void)state;
	rig_make(4, 0);
	wr(3, X86_LAPIC_TPR, 0xf0);
	assert_int_equal(lapic_bus_send(&rig.bus, NULL, &m), 1);
	assert_int_equal(lapic_bus_send(&rig.bus, NULL, &lowest), 1);
	assert_int_equal(taken(0x55), 0);
	wr(3, X86_LAPIC_SVR, 0x3ff); /* it does not look */
	assert_int_equal(lapic_bus_send(&rig.bus, NULL, &lowest), 1);
	assert_int_not_equal(taken(0x55) & 7, 0);
}

static void messages_of_devices_are_decoded_as_the_manual_says(void **state)
{
	(void)state;
	rig_make(4, 0);
	for (unsigned i = 0; i < 4; i++)
		wr(i, X86_LAPIC_LDR, 1u << (24 + i));
	lapic_bus_msi(&rig.bus, 0xfee02000, 0x44);
	assert_int_equal(taken(0x44), 4);
	lapic_bus_msi(&rig.bus, 0xfee06004, 0x44);
	assert_int_equal(taken(0x44), 6);
	lapic_bus_msi(&rig.bus, 0xfee0600c, 0x44); /* redirection hint: one of the two */
	unsigned who = taken(0x44);
	assert_true(who == 2 || who == 4);
	lapic_bus_msi(&rig.bus, 0xfee0f004, 0x144);
	who = taken(0x44);
	assert_true(who && !(who & (who - 1)));
	lapic_bus_msi(&rig.bus, 0xfee01000, 0xc044);
	rig.eois = 0;
	assert_int_equal(taken(0x44), 2);
	assert_int_equal(rig.eois, 1);
	lapic_bus_msi(&rig.bus, 0xfee01000, 0x400);
	assert_int_equal(lapic_events(cpu(1)), LAPIC_EVENT_NMI);
	assert_int_equal(lapic_bus_msi(&rig.bus, 0xfef01000, 0x44), 0);
	assert_int_equal(lapic_bus_msi(&rig.bus, 0xfee01000, 0x644), 0);
	assert_int_equal(lapic_bus_msi(&rig.bus, 0xfee01000, 0x344), 0);
}

static void messages_reach_ids_of_15_and_32_bits(void **state)
{
	(void)state;
	rig_make(2, 0x1234);
	to_x2apic(0);
	to_x2apic(1);
	lapic_bus_msi(&rig.bus, 0xfee34000 | 0x12 << 5, 0x44);
	assert_int_equal(taken(0x44), 1);
	lapic_bus_msi(&rig.bus, 0xfee34000 | 0x12 << 5 | 0x10, 0x44); /* remappable: not extended */
	assert_int_equal(taken(0x44), 0);
	lapic_bus_msi(&rig.bus, UINT64_C(0x1200fee35000), 0x44);
	assert_int_equal(taken(0x44), 2);
}

/* --- the timer --- */

static void a_one_shot_counts_down_once_at_the_divided_clock(void **state)
{
	static const struct {
		uint8_t tdcr, divisor;
	} t[] = {{0, 2}, {1, 4}, {2, 8}, {3, 16}, {8, 32}, {9, 64}, {10, 128}, {11, 1}};

	(void)state;
	rig_make(1, 0);
	wr(0, X86_LAPIC_LVTT, 0x40);
	for (size_t i = 0; i < ARRAY_LEN(t); i++) {
		uint64_t d = t[i].divisor;

		wr(0, X86_LAPIC_TDCR, t[i].tdcr);
		wr(0, X86_LAPIC_TMICT, 1000);
		assert_int_equal(rd(0, X86_LAPIC_TMCCT), 1000);
		assert_int_equal(rig.cpu[0].when, rig.now + 1000 * d);
		pass(400 * d);
		assert_int_equal(rd(0, X86_LAPIC_TMCCT), 600);
		pass(600 * d - 1);
		assert_int_equal(lapic_pending(cpu(0)), -1);
		pass(1);
		take(0, 0x40);
		assert_int_equal(rd(0, X86_LAPIC_TMCCT), 0);
		assert_false(rig.cpu[0].armed);
		pass(5000 * d);
		assert_int_equal(lapic_pending(cpu(0)), -1);
	}
	wr(0, X86_LAPIC_TMICT, 1000);
	wr(0, X86_LAPIC_TMICT, 0); /* stops it */
	assert_false(rig.cpu[0].armed);
	wr(0, X86_LAPIC_TMICT, UINT32_MAX);
	assert_int_equal(rig.cpu[0].when, rig.now + UINT32_MAX);
}

static void a_periodic_timer_does_not_drift_however_late_it_is_served(void **state)
{
	uint64_t begin;

	(void)state;
	rig_make(1, 0);
	wr(0, X86_LAPIC_TDCR, 11);
	wr(0, X86_LAPIC_LVTT, 0x20040);
	wr(0, X86_LAPIC_TMICT, 1000000);
	begin = rig.now;
	for (unsigned i = 1; i <= 50; i++) {
		rig.now = begin + i * UINT64_C(1000000) + i * 997; /* late by that much */
		lapic_timer_expired(cpu(0));
		take(0, 0x40);
		assert_int_equal(rig.cpu[0].when, begin + (i + 1) * UINT64_C(1000000));
	}
	rig.now =
		begin + 60 * UINT64_C(1000000) + 400000; /* ten periods missed are one interrupt */
	assert_int_equal(rd(0, X86_LAPIC_TMCCT), 600000);
	lapic_timer_expired(cpu(0));
	take(0, 0x40);
	assert_int_equal(lapic_pending(cpu(0)), -1);
	assert_int_equal(rig.cpu[0].when, begin + 61 * UINT64_C(1000000));
	lapic_timer_expired(cpu(0)); /* too early: nothing */
	assert_int_equal(lapic_pending(cpu(0)), -1);
	/* A period of a nanosecond does not stop the host. */
	wr(0, X86_LAPIC_TMICT, 1);
	lapic_timer_expired(cpu(0));
	rig.now += 1;
	lapic_timer_expired(cpu(0));
	assert_true(rig.cpu[0].when >= rig.now + 10000);
}

static void a_masked_timer_counts_and_asks_for_nobody(void **state)
{
	(void)state;
	rig_make(1, 0);
	wr(0, X86_LAPIC_TDCR, 11);
	wr(0, X86_LAPIC_LVTT, 0x30040);
	wr(0, X86_LAPIC_TMICT, 1000000);
	assert_false(rig.cpu[0].armed);
	pass(3400000);
	assert_int_equal(rd(0, X86_LAPIC_TMCCT), 600000);
	wr(0, X86_LAPIC_LVTT, 0x20040);
	assert_true(rig.cpu[0].armed);
	assert_int_equal(rig.cpu[0].when, rig.now + 600000);
	wr(0, X86_LAPIC_LVTT, 0x10040); /* one-shot, masked, runs out */
	pass(2000000);
	wr(0, X86_LAPIC_LVTT, 0x40);
	assert_false(rig.cpu[0].armed);
	assert_int_equal(lapic_pending(cpu(0)), -1);
}

static void a_new_divisor_goes_on_with_the_count_that_is_left(void **state)
{
	(void)state;
	rig_make(1, 0);
	wr(0, X86_LAPIC_LVTT, 0x40);
	wr(0, X86_LAPIC_TDCR, 11);
	wr(0, X86_LAPIC_TMICT, 1000);
	pass(400);
	wr(0, X86_LAPIC_TDCR, 3);
	assert_int_equal(rd(0, X86_LAPIC_TMCCT), 600);
	assert_int_equal(rig.cpu[0].when, rig.now + 600 * 16);
}

static void the_deadline_fires_once_and_reads_zero_after_that(void **state)
{
	(void)state;
	rig_make(1, 0);
	wrmsr(0, X86_MSR_TSC_DEADLINE, 5); /* not in that mode: ignored */
	assert_int_equal(rdmsr(0, X86_MSR_TSC_DEADLINE), 0);
	wr(0, X86_LAPIC_TMICT, 12345);
	wr(0, X86_LAPIC_LVTT, 0x40050);
	assert_int_equal(rd(0, X86_LAPIC_TMICT), 0); /* the change of mode disarms */
	assert_false(rig.cpu[0].armed);
	wr(0, X86_LAPIC_TMICT, 5);
	assert_int_equal(rd(0, X86_LAPIC_TMICT), 0);
	rig.tsc_offset = 1000;
	wrmsr(0, X86_MSR_TSC_DEADLINE, rig.now + 3000);
	assert_int_equal(rig.cpu[0].when, rig.now + 2000);
	pass(1999);
	assert_int_equal(lapic_pending(cpu(0)), -1);
	assert_int_equal(rdmsr(0, X86_MSR_TSC_DEADLINE), rig.now + 1001);
	pass(1);
	take(0, 0x50);
	assert_int_equal(rdmsr(0, X86_MSR_TSC_DEADLINE), 0);
	assert_false(rig.cpu[0].armed);
	wrmsr(0, X86_MSR_TSC_DEADLINE, 1); /* long past */
	take(0, 0x50);
	/* The guest sets its TSC forward, over the deadline. */
	wrmsr(0, X86_MSR_TSC_DEADLINE, rig.now + 100000);
	rig.tsc_offset += 1000000;
	lapic_tsc_moved(cpu(0));
	take(0, 0x50);
	wrmsr(0, X86_MSR_TSC_DEADLINE, UINT64_MAX);
	assert_true(rig.cpu[0].armed);
	wrmsr(0, X86_MSR_TSC_DEADLINE, 0);
	assert_false(rig.cpu[0].armed);
	wrmsr(0, X86_MSR_TSC_DEADLINE, rig.now + 100000000);
	wr(0, X86_LAPIC_LVTT, 0x50); /* out of the mode: disarmed */
	assert_false(rig.cpu[0].armed);
}

/* --- threads --- */

#define ROUNDS 20000u

static void *sender(void *arg)
{
	const struct lapic_msg m = {.dest = 0xff, .vector = 0x80, .trig_level = true};

	(void)arg;
	for (unsigned i = 0; i < ROUNDS; i++)
		lapic_bus_send(&rig.bus, NULL, &m);
	return NULL;
}

/* For the thread sanitizer, and so that no request is lost between two threads. */
static void many_threads_send_while_the_cpus_take(void **state)
{
	pthread_t t[2];
	unsigned got = 0;

	(void)state;
	rig_make(1, 0);
	for (size_t i = 0; i < ARRAY_LEN(t); i++)
		assert_int_equal(pthread_create(&t[i], NULL, sender, NULL), 0);
	for (unsigned i = 0; i < ROUNDS; i++)
		if (lapic_ack(cpu(0)) == 0x80) {
			got++;
			wr(0, X86_LAPIC_EOI, 0);
		}
	for (size_t i = 0; i < ARRAY_LEN(t); i++)
		pthread_join(t[i], NULL);
	if (lapic_pending(cpu(0)) >= 0) {
		take(0, 0x80);
		got++;
	}
	assert_true(got >= 1);
	assert_int_equal(rig.eois, got);
	assert_int_equal(lapic_pending(cpu(0)), -1);
}

#define TEST(fn) cmocka_unit_test_teardown(fn, free_rig)

int main(void)
{
	const struct CMUnitTest tests[] = {
		TEST(physical_destinations_are_ids_or_everybody),
		TEST(the_flat_model_has_a_bit_for_each_cpu),
		TEST(the_cluster_model_has_four_bits_in_each_of_fifteen),
		TEST(x2apic_destinations_have_32_bits_and_clusters_of_16),
		TEST(a_cpu_with_a_large_id_can_be_started_before_its_x2apic_is_on),
		TEST(init_and_sipi_reach_the_cpu_as_events),
		TEST(the_lowest_priority_gets_it_and_equals_take_turns),
		TEST(a_focus_processor_comes_before_the_lowest_priority),
		TEST(messages_of_devices_are_decoded_as_the_manual_says),
		TEST(messages_reach_ids_of_15_and_32_bits),
		TEST(a_one_shot_counts_down_once_at_the_divided_clock),
		TEST(a_periodic_timer_does_not_drift_however_late_it_is_served),
		TEST(a_masked_timer_counts_and_asks_for_nobody),
		TEST(a_new_divisor_goes_on_with_the_count_that_is_left),
		TEST(the_deadline_fires_once_and_reads_zero_after_that),
		TEST(many_threads_send_while_the_cpus_take),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
