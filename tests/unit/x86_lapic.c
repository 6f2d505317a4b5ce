/*
 * The local APIC: registers, priorities, errors, modes, state.
 */
#include "lapic_rig.h"

static int free_rig(void **state)
{
	(void)state;
	rig_free();
	return 0;
}

static void fixed(unsigned to, uint8_t vector, bool level)
{
	const struct lapic_msg m = {.dest = to, .vector = vector, .trig_level = level};

	assert_int_equal(lapic_bus_send(&rig.bus, NULL, &m), 1);
}

static void power_on_values_are_the_manuals(void **state)
{
	struct lapic *l;

	(void)state;
	rig_make(2, 0);
	lapic_reset(cpu(1), false);
	l = cpu(1);
	assert_int_equal(rdmsr(1, X86_MSR_APIC_BASE), 0xfee00800);
	assert_int_equal(rdmsr(0, X86_MSR_APIC_BASE), 0xfee00900);
	assert_int_equal(lapic_window(l), 0xfee00000);
	assert_int_equal(rd(1, X86_LAPIC_ID), 1u << 24);
	assert_int_equal(rd(1, X86_LAPIC_VERSION), 0x50014);
	assert_int_equal(rd(1, X86_LAPIC_DFR), 0xffffffff);
	assert_int_equal(rd(1, X86_LAPIC_SVR), 0xff);
	for (unsigned r = X86_LAPIC_LVTT; r <= X86_LAPIC_LVTERR; r++)
		assert_int_equal(rd(1, r), X86_LAPIC_LVT_MASKED);
	assert_int_equal(rd(1, X86_LAPIC_TMICT), 0);
	assert_int_equal(lapic_pending(l), -1);
	assert_int_equal(lapic_events(l), 0);
	assert_false(lapic_accepts_extint(l));
	lapic_reset(cpu(0), false);
	assert_int_equal(rd(0, X86_LAPIC_LVT0), 0x700);
	assert_true(lapic_accepts_extint(cpu(0)));
}

static void an_interrupt_goes_from_request_to_service_to_its_end(void **state)
{
	(void)state;
	rig_make(1, 0);
	fixed(0, 0x31, false);
	assert_int_equal(rig.cpu[0].signals, 1);
	assert_int_equal(rd(0, X86_LAPIC_IRR + 1), 1u << 17);
	fixed(0, 0x31, false); /* once more: it is pending already */
	assert_int_equal(rig.cpu[0].signals, 1);
	assert_int_equal(lapic_ack(cpu(0)), 0x31);
	assert_int_equal(rd(0, X86_LAPIC_IRR + 1), 0);
	assert_int_equal(rd(0, X86_LAPIC_ISR + 1), 1u << 17);
	assert_int_equal(rd(0, X86_LAPIC_PPR), 0x30);
	assert_int_equal(lapic_ack(cpu(0)), -1);
	fixed(0, 0x31, false); /* waits for the end of the first */
	assert_int_equal(lapic_pending(cpu(0)), -1);
	wr(0, X86_LAPIC_EOI, 0);
	assert_int_equal(rig.eois, 0); /* an edge: nobody else hears of it */
	take(0, 0x31);
	wr(0, X86_LAPIC_EOI, 0); /* none in service */
	assert_int_equal(lapic_pending(cpu(0)), -1);
}

static void higher_classes_interrupt_lower_ones_and_not_their_own(void **state)
{
	(void)state;
	rig_make(1, 0);
	fixed(0, 0x41, false);
	assert_int_equal(lapic_ack(cpu(0)), 0x41);
	fixed(0, 0x4f, false);
	assert_int_equal(lapic_pending(cpu(0)), -1);
	fixed(0, 0x50, false);
	fixed(0, 0xff, false);
	assert_int_equal(lapic_ack(cpu(0)), 0xff);
	assert_int_equal(lapic_pending(cpu(0)), -1);
	wr(0, X86_LAPIC_EOI, 0);
	assert_int_equal(lapic_ack(cpu(0)), 0x50);
	wr(0, X86_LAPIC_EOI, 0);
	wr(0, X86_LAPIC_EOI, 0);
	take(0, 0x4f);
}

static void tpr_and_cr8_hold_classes_back(void **state)
{
	(void)state;
	rig_make(1, 0);
	wr(0, X86_LAPIC_TPR, 0xffffff43);
	assert_int_equal(rd(0, X86_LAPIC_TPR), 0x43);
	assert_int_equal(rd(0, X86_LAPIC_PPR), 0x43);
	assert_int_equal(lapic_tpr(cpu(0)), 4);
	fixed(0, 0x4f, false);
	assert_int_equal(lapic_pending(cpu(0)), -1);
	rig.cpu[0].signals = 0;
	lapic_set_tpr(cpu(0), 3);
	assert_int_equal(rig.cpu[0].signals, 1);
	assert_int_equal(rd(0, X86_LAPIC_TPR), 0x30);
	assert_int_equal(lapic_pending(cpu(0)), 0x4f);
	lapic_set_tpr(cpu(0), 15);
	assert_int_equal(lapic_pending(cpu(0)), -1);
	wr(0, X86_LAPIC_TPR, 0);
	assert_int_equal(lapic_ack(cpu(0)), 0x4f);
	wr(0, X86_LAPIC_TPR, 0x45); /* same class as in service: TPR, with its low half */
	assert_int_equal(rd(0, X86_LAPIC_PPR), 0x45);
	wr(0, X86_LAPIC_TPR, 0x3f);
	assert_int_equal(rd(0, X86_LAPIC_PPR), 0x40);
}

static void the_end_of_a_level_interrupt_is_broadcast(void **state)
{
	(void)state;
	rig_make(1, 0);
	fixed(0, 0x61, true);
	assert_int_equal(rd(0, X86_LAPIC_TMR + 3), 2);
	take(0, 0x61);
	assert_int_equal(rig.eois, 1);
	assert_int_equal(rig.last_eoi, 0x61);
	fixed(0, 0x61, false);
	assert_int_equal(rd(0, X86_LAPIC_TMR + 3), 0);
	take(0, 0x61);
	assert_int_equal(rig.eois, 1);
}

static void off_by_software_it_masks_its_table_and_takes_nothing_new(void **state)
{
	const struct lapic_msg m = {.dest = 0, .vector = 0x40};
	const struct lapic_msg nmi = {.dest = 0, .mode = LAPIC_NMI};

	(void)state;
	rig_make(1, 0);
	wr(0, X86_LAPIC_LVT1, 0x400);
	fixed(0, 0x55, false);
	wr(0, X86_LAPIC_SVR, 0xff);
	assert_int_equal(rd(0, X86_LAPIC_LVT1), 0x10400);
	wr(0, X86_LAPIC_LVT1, 0x400);
	assert_int_equal(rd(0, X86_LAPIC_LVT1), 0x10400);
	assert_int_equal(lapic_bus_send(&rig.bus, NULL, &m), 0);
	assert_int_equal(lapic_bus_send(&rig.bus, NULL, &nmi), 1);
	assert_int_equal(lapic_events(cpu(0)), LAPIC_EVENT_NMI);
	take(0, 0x55); /* what was accepted before is still to be handled */
}

static void registers_keep_the_bits_that_exist(void **state)
{
	static const struct {
		unsigned reg;
		uint32_t keeps;
	} t[] = {{X86_LAPIC_TPR, 0xff},
		 {X86_LAPIC_LDR, 0xff000000},
		 {X86_LAPIC_SVR, 0x3ff},
		 {X86_LAPIC_ICR2, 0xff000000},
		 {X86_LAPIC_LVTT, 0x700ff | 0x10000},
		 {X86_LAPIC_LVTTHM, 0x107ff},
		 {X86_LAPIC_LVTPC, 0x107ff},
		 {X86_LAPIC_LVT0, 0x1a7ff},
		 {X86_LAPIC_LVT1, 0x1a7ff},
		 {X86_LAPIC_LVTERR, 0x100ff},
		 {X86_LAPIC_TDCR, 0xb},
		 {X86_LAPIC_ID, 0},
		 {X86_LAPIC_VERSION, 0x50014},
		 {X86_LAPIC_PPR, 0xff},
		 {X86_LAPIC_ISR, 0},
		 {X86_LAPIC_IRR + 7, 0},
		 {X86_LAPIC_TMR + 3, 0},
		 {X86_LAPIC_TMCCT, 0},
		 {X86_LAPIC_APR, 0},
		 {X86_LAPIC_RRD, 0},
		 {X86_LAPIC_EOI, 0},
		 {X86_LAPIC_DFR, 0xffffffff}};

	(void)state;
	rig_make(1, 0);
	for (size_t i = 0; i < ARRAY_LEN(t); i++) {
		wr(0, t[i].reg, 0xffffffff);
		if (rd(0, t[i].reg) != t[i].keeps)
			fail_msg("register %x reads %x, not %x", t[i].reg, rd(0, t[i].reg),
				 t[i].keeps);
	}
	wr(0, X86_LAPIC_DFR, 0);
	assert_int_equal(rd(0, X86_LAPIC_DFR), 0x0fffffff);
	wr(0, X86_LAPIC_ICR, 0xffffffff & ~(7u << 8)); /* to all but self: nobody */
	assert_int_equal(rd(0, X86_LAPIC_ICR), 0xcc8ff);
}

static void errors_show_after_a_write_of_the_register_and_interrupt_once(void **state)
{
	(void)state;
	rig_make(2, 0);
	wr(0, X86_LAPIC_LVTERR, 0xfe);
	(void)lapic_mmio_read(cpu(0), 0x40);
	take(0, 0xfe);
	(void)lapic_mmio_read(cpu(0), 0x3ff);
	lapic_mmio_write(cpu(0), 0x3f0, 1); /* SELF IPI is of x2APIC mode */
	lapic_mmio_write(cpu(0), 0xfff, 1);
	lapic_mmio_write(cpu(0), 0x400, 1);
	assert_int_equal(lapic_pending(cpu(0)), -1);
	assert_int_equal(rd(0, X86_LAPIC_ESR), 0);
	wr(0, X86_LAPIC_ESR, 0x55);
	assert_int_equal(rd(0, X86_LAPIC_ESR), 0x80);
	wr(0, X86_LAPIC_ESR, 0);
	assert_int_equal(rd(0, X86_LAPIC_ESR), 0);
	/* A vector of an exception is not sent ... */
	wr(0, X86_LAPIC_ICR2, 1u << 24);
	wr(0, X86_LAPIC_ICR, 15);
	take(0, 0xfe);
	assert_int_equal(lapic_pending(cpu(1)), -1);
	wr(0, X86_LAPIC_ESR, 0);
	assert_int_equal(rd(0, X86_LAPIC_ESR), 0x20);
	/* ... and not received. */
	fixed(1, 3, false);
	assert_int_equal(lapic_pending(cpu(1)), -1);
	wr(1, X86_LAPIC_ESR, 0);
	assert_int_equal(rd(1, X86_LAPIC_ESR), 0x40);
	/* Also not in the entry for errors itself. */
	wr(0, X86_LAPIC_ESR, 0);
	wr(0, X86_LAPIC_LVTERR, 5);
	(void)lapic_mmio_read(cpu(0), 0);
	wr(0, X86_LAPIC_ESR, 0);
	assert_int_equal(rd(0, X86_LAPIC_ESR), 0xc0);
	for (unsigned r = 0; r < 8; r++)
		assert_int_equal(rd(0, X86_LAPIC_IRR + r), 0);
}

static void the_base_register_changes_modes_as_the_manual_draws_it(void **state)
{
	enum { OFF_, XAPIC = 0x800, X2APIC = 0xc00, WRONG = 0x400 };
	static const struct {
		uint32_t from, to;
		bool ok;
	} t[] = {{XAPIC, X2APIC, true},	 {XAPIC, OFF_, true},	 {XAPIC, XAPIC, true},
		 {XAPIC, WRONG, false},	 {X2APIC, OFF_, true},	 {X2APIC, XAPIC, false},
		 {X2APIC, X2APIC, true}, {X2APIC, WRONG, false}, {OFF_, XAPIC, true},
		 {OFF_, X2APIC, false},	 {OFF_, OFF_, true},	 {OFF_, WRONG, false}};

	(void)state;
	rig_make(1, 0);
	for (size_t i = 0; i < ARRAY_LEN(t); i++) {
		lapic_reset(cpu(0), false);
		wrmsr(0, X86_MSR_APIC_BASE, 0xfee00900);
		if (t[i].from != XAPIC)
			wrmsr(0, X86_MSR_APIC_BASE, 0xfee00100 | t[i].from);
		if (!lapic_msr_write(cpu(0), X86_MSR_APIC_BASE, 0xfee00100 | t[i].to) != t[i].ok)
			fail_msg("%x to %x", t[i].from, t[i].to);
		assert_int_equal(rdmsr(0, X86_MSR_APIC_BASE),
				 0xfee00100 | (t[i].ok ? t[i].to : t[i].from));
	}
	lapic_reset(cpu(0), false);
	for (unsigned bit = 0; bit < 64; bit++) {
		bool reserved = bit < 8 || bit == 9 || bit >= 46;
		int rc =
			lapic_msr_write(cpu(0), X86_MSR_APIC_BASE, 0xfee00800 ^ UINT64_C(1) << bit);

		assert_int_equal(rc != 0, reserved);
		lapic_reset(cpu(0), false);
	}
	wrmsr(0, X86_MSR_APIC_BASE, UINT64_C(0x123456789000) | XAPIC);
	assert_int_equal(lapic_window(cpu(0)), UINT64_C(0x123456789000));
}

static void off_it_is_not_there_and_comes_back_as_new(void **state)
{
	const struct lapic_msg init = {.dest = 0, .mode = LAPIC_INIT};

	(void)state;
	rig_make(1, 0);
	wr(0, X86_LAPIC_TPR, 0x20);
	fixed(0, 0x99, false);
	wr(0, X86_LAPIC_TMICT, 1000);
	wrmsr(0, X86_MSR_APIC_BASE, 0xfee00100);
	assert_int_equal(lapic_pending(cpu(0)), -1);
	assert_int_equal(lapic_window(cpu(0)), UINT64_MAX);
	assert_int_equal(lapic_bus_send(&rig.bus, NULL, &init), 0);
	assert_true(lapic_accepts_extint(cpu(0)));
	assert_false(rig.cpu[0].armed);
	wrmsr(0, X86_MSR_APIC_BASE, 0xfee00900);
	assert_int_equal(rd(0, X86_LAPIC_TPR), 0);
	assert_int_equal(rd(0, X86_LAPIC_SVR), 0xff);
	assert_int_equal(lapic_pending(cpu(0)), -1);
}

static void in_x2apic_mode_registers_are_msrs_and_reserved_bits_fault(void **state)
{
	/* Bit n: MSR 800h + n can be read, written [table 11-6]. */
	const uint64_t reads = UINT64_C(0x43fd01ffffffa50c);
	const uint64_t writes = UINT64_C(0xc1fd010000008900);
	uint64_t val;

	(void)state;
	rig_make(2, 0x12);
	for (uint32_t i = 0x800; i < 0x900; i++) {
		assert_int_equal(lapic_msr_read(cpu(0), i, &val), -EINVAL);
		assert_int_equal(lapic_msr_write(cpu(0), i, 0), -EINVAL);
	}
	wr(0, X86_LAPIC_SVR, 0x1ff);
	to_x2apic(0);
	assert_int_equal(lapic_window(cpu(0)), UINT64_MAX);
	for (uint32_t i = 0; i < 0x100; i++) {
		bool r = i < 64 && reads >> i & 1, w = i < 64 && writes >> i & 1;

		if (!lapic_msr_read(cpu(0), 0x800 + i, &val) != r)
			fail_msg("rdmsr %x", 0x800 + i);
		if (i == X86_LAPIC_ICR || i == X86_LAPIC_SELF_IPI || i == X86_LAPIC_SVR)
			continue;
		if (!lapic_msr_write(cpu(0), 0x800 + i, 0) != w)
			fail_msg("wrmsr %x", 0x800 + i);
	}
	assert_int_equal(rdmsr(0, MSR(X86_LAPIC_ID)), 0x12);
	assert_int_equal(rdmsr(0, MSR(X86_LAPIC_LDR)), 0x10004);
	assert_int_equal(lapic_msr_write(cpu(0), MSR(X86_LAPIC_EOI), 1), -EINVAL);
	assert_int_equal(lapic_msr_write(cpu(0), MSR(X86_LAPIC_ESR), 1), -EINVAL);
	assert_int_equal(lapic_msr_write(cpu(0), MSR(X86_LAPIC_TPR), 0x100), -EINVAL);
	assert_int_equal(lapic_msr_write(cpu(0), MSR(X86_LAPIC_SVR), 0x1400), -EINVAL);
	assert_int_equal(lapic_msr_write(cpu(0), MSR(X86_LAPIC_TDCR), 4), -EINVAL);
	assert_int_equal(lapic_msr_write(cpu(0), MSR(X86_LAPIC_LVTT), 0x100), -EINVAL);
	assert_int_equal(lapic_msr_write(cpu(0), MSR(X86_LAPIC_ICR), 0x10000), -EINVAL);
	assert_int_equal(lapic_msr_write(cpu(0), MSR(X86_LAPIC_SELF_IPI), 0x100), -EINVAL);
	for (unsigned bit = 32; bit < 64; bit++)
		assert_int_equal(lapic_msr_write(cpu(0), MSR(X86_LAPIC_TMICT), UINT64_C(1) << bit),
				 -EINVAL);
	wrmsr(0, MSR(X86_LAPIC_SELF_IPI), 0x77);
	take(0, 0x77);
	wrmsr(0, MSR(X86_LAPIC_LVTERR), X86_LAPIC_LVT_MASKED);
	wrmsr(0, MSR(X86_LAPIC_SELF_IPI), 0x0f);
	wrmsr(0, MSR(X86_LAPIC_ESR), 0);
	assert_int_equal(rdmsr(0, MSR(X86_LAPIC_ESR)), 0x20);
	wrmsr(0, MSR(X86_LAPIC_ICR), UINT64_C(0x1234567800000400)); /* an NMI to nobody */
	assert_int_equal(rdmsr(0, MSR(X86_LAPIC_ICR)), UINT64_C(0x1234567800000400));
}

static void a_cpu_without_x2apic_or_deadline_faults_on_both(void **state)
{
	uint64_t val;

	(void)state;
	rig_make(1, 0);
	cpu(0)->config.x2apic = cpu(0)->config.tsc_deadline = false;
	assert_int_equal(lapic_msr_write(cpu(0), X86_MSR_APIC_BASE, 0xfee00d00), -EINVAL);
	assert_int_equal(lapic_msr_write(cpu(0), X86_MSR_TSC_DEADLINE, 1), -EINVAL);
	assert_int_equal(lapic_msr_read(cpu(0), X86_MSR_TSC_DEADLINE, &val), -EINVAL);
	wr(0, X86_LAPIC_LVTT, 0x40030);
	assert_int_equal(rd(0, X86_LAPIC_LVTT), 0x30);
}

static void an_init_keeps_the_mode_and_the_id(void **state)
{
	(void)state;
	rig_make(1, 300);
	to_x2apic(0);
	wrmsr(0, MSR(X86_LAPIC_TPR), 0x30);
	wrmsr(0, MSR(X86_LAPIC_LVTT), 0x40031);
	wrmsr(0, X86_MSR_TSC_DEADLINE, rig.now + 500);
	assert_true(rig.cpu[0].armed);
	lapic_reset(cpu(0), true);
	assert_false(rig.cpu[0].armed);
	assert_int_equal(rdmsr(0, X86_MSR_APIC_BASE), 0xfee00d00);
	assert_int_equal(rdmsr(0, MSR(X86_LAPIC_ID)), 300);
	assert_int_equal(rdmsr(0, MSR(X86_LAPIC_LDR)), 18u << 16 | 1u << 12);
	assert_int_equal(rdmsr(0, MSR(X86_LAPIC_TPR)), 0);
	assert_int_equal(rdmsr(0, X86_MSR_TSC_DEADLINE), 0);
}

static void the_8259s_reach_the_cpu_through_lint0(void **state)
{
	(void)state;
	rig_make(2, 0);
	lapic_reset(cpu(0), false);
	rig.cpu[0].signals = rig.cpu[1].signals = 0;
	lapic_bus_intr(&rig.bus, true);
	assert_int_equal(rig.cpu[0].signals, 1);
	assert_int_equal(rig.cpu[1].signals, 0);
	wr(0, X86_LAPIC_SVR, 0x1ff);
	wr(0, X86_LAPIC_LVT0, 0x10700);
	assert_false(lapic_accepts_extint(cpu(0)));
	rig.cpu[0].signals = 0;
	wr(0, X86_LAPIC_LVT0, 0x700); /* INTR is still up */
	assert_int_equal(rig.cpu[0].signals, 1);
	lapic_bus_intr(&rig.bus, false);
	/* As a fixed interrupt, which Linux tries when nothing else works, and as an NMI. */
	wr(0, X86_LAPIC_LVT0, 0x31);
	lapic_bus_intr(&rig.bus, true);
	lapic_bus_intr(&rig.bus, false);
	take(0, 0x31);
	wr(0, X86_LAPIC_LVT0, 0x400);
	lapic_bus_intr(&rig.bus, true);
	assert_int_equal(lapic_events(cpu(0)), LAPIC_EVENT_NMI);
	/* A message can ask for one as well. */
	assert_false(lapic_accepts_extint(cpu(1)));
	assert_int_equal(lapic_bus_msi(&rig.bus, 0xfee01000, 0x700), 1);
	assert_true(lapic_accepts_extint(cpu(1)));
	lapic_extint_taken(cpu(1));
	assert_false(lapic_accepts_extint(cpu(1)));
}

static struct x86_vcpu *saved(unsigned i)
{
	struct x86_vcpu *v = calloc(1, sizeof(*v));

	assert_non_null(v);
	x86_vcpu_reset(v, i);
	v->n_msrs = 1;
	v->msr[0].index = X86_MSR_TSC_DEADLINE;
	lapic_get(cpu(i), v);
	return v;
}

static void assert_same_state(struct x86_vcpu *a, struct x86_vcpu *b)
{
	struct strbuf diff = {0};

	if (state_diff(&x86_vcpu_table, a, b, &diff))
		fail_msg("%s", strbuf_str(&diff));
	strbuf_exit(&diff);
}

static void a_state_that_was_got_is_put_back_whole(void **state)
{
	struct x86_vcpu *a, *b;

	(void)state;
	rig_make(2, 0);
	wr(0, X86_LAPIC_TPR, 0x20);
	wr(0, X86_LAPIC_LVTT, 0x20040);
	wr(0, X86_LAPIC_TDCR, 3);
	wr(0, X86_LAPIC_TMICT, 1000);
	fixed(0, 0x66, true);
	assert_int_equal(lapic_ack(cpu(0)), 0x66);
	fixed(0, 0x71, false);
	rig.now += 16 * 300 + 5;
	a = saved(0);
	assert_int_equal(a->lapic[X86_LAPIC_TMCCT], 700);
	assert_int_equal(a->cr8, 2);
	lapic_reset(cpu(0), false);
	rig.now += 123456;
	lapic_put(cpu(0), a);
	assert_true(rig.cpu[0].armed);
	assert_int_equal(rig.cpu[0].when, rig.now + 700 * 16);
	assert_int_equal(lapic_pending(cpu(0)), 0x71);
	b = saved(0);
	assert_same_state(a, b);
	free(a);
	free(b);
	to_x2apic(1);
	wrmsr(1, MSR(X86_LAPIC_LVTT), 0x40032);
	wrmsr(1, X86_MSR_TSC_DEADLINE, rig.now + 1000);
	a = saved(1);
	assert_int_equal(a->msr[0].value, rig.now + 1000);
	lapic_reset(cpu(1), false);
	lapic_put(cpu(1), a);
	b = saved(1);
	assert_same_state(a, b);
	pass(1000);
	take(1, 0x32);
	free(a);
	free(b);
}

static void latched_events_are_in_the_state(void **state)
{
	const struct lapic_msg nmi = {.dest = 1, .mode = LAPIC_NMI};
	const struct lapic_msg init = {.dest = 1, .mode = LAPIC_INIT};
	const struct lapic_msg sipi = {.dest = 1, .mode = LAPIC_SIPI, .vector = 0x9a};
	struct x86_vcpu *v;
	uint8_t vector;

	(void)state;
	rig_make(2, 0);
	lapic_bus_send(&rig.bus, NULL, &nmi);
	lapic_bus_send(&rig.bus, NULL, &init);
	v = saved(1);
	assert_true(v->events.nmi_pending);
	assert_true(v->events.smi_latched_init);
	lapic_put(cpu(1), v);
	assert_int_equal(lapic_events(cpu(1)), LAPIC_EVENT_INIT);
	assert_int_equal(lapic_take_events(cpu(1), &vector), LAPIC_EVENT_INIT);
	assert_int_equal(lapic_events(cpu(1)), 0);
	lapic_bus_send(&rig.bus, NULL, &sipi);
	v->mp_state = X86_MP_INIT;
	lapic_get(cpu(1), v);
	assert_int_equal(v->mp_state, X86_MP_SIPI);
	assert_int_equal(v->events.sipi_vector, 0x9a);
	assert_int_equal(lapic_take_events(cpu(1), &vector), LAPIC_EVENT_SIPI);
	assert_int_equal(vector, 0x9a);
	/* INIT makes what came before it void. */
	lapic_bus_send(&rig.bus, NULL, &sipi);
	lapic_bus_send(&rig.bus, NULL, &init);
	assert_int_equal(lapic_take_events(cpu(1), &vector), LAPIC_EVENT_INIT);
	free(v);
}

static uint64_t next_random(void *arg)
{
	uint64_t *x = arg;

	*x ^= *x << 13;
	*x ^= *x >> 7;
	*x ^= *x << 17;
	return *x;
}

/* What a hostile state leaves is a state like any other. */
static void any_state_can_be_put_and_then_comes_back_the_same(void **state)
{
	struct x86_vcpu *v = calloc(1, sizeof(*v)), *a, *b;
	uint64_t seed = 88172645463325252u;

	(void)state;
	assert_non_null(v);
	rig_make(1, 7);
	for (unsigned i = 0; i < 300; i++) {
		state_random(&x86_vcpu_table, v, next_random, &seed);
		v->n_msrs = 1;
		v->msr[0].index = X86_MSR_TSC_DEADLINE;
		lapic_put(cpu(0), v);
		assert_true(lapic_pending(cpu(0)) == -1 || lapic_pending(cpu(0)) > 15);
		a = saved(0);
		lapic_put(cpu(0), a);
		b = saved(0);
		assert_same_state(a, b);
		free(a);
		free(b);
		pass(next_random(&seed) % 10000000);
		while (lapic_ack(cpu(0)) >= 0)
			;
	}
	free(v);
}

/* Every register with every kind of value, in both modes: nothing but answers. */
static void hostile_writes_leave_it_working(void **state)
{
	uint64_t seed = 42, val;

	(void)state;
	rig_make(RIG_CPUS, 0);
	for (unsigned i = 0; i < 200000; i++) {
		uint64_t r = next_random(&seed), v = next_random(&seed) >> r % 64;
		unsigned c = r >> 8 & 3, reg = r >> 16 & 63;

		switch (r >> 32 & 7) {
		case 0: (void)!lapic_msr_read(cpu(c), MSR(reg), &val); break;
		case 1: (void)!lapic_msr_write(cpu(c), MSR(reg), v); break;
		case 2:
			(void)!lapic_msr_write(cpu(c), X86_MSR_APIC_BASE, 0xfee00000 | (v & 0xd00));
			break;
		case 3:
			(void)!lapic_msr_write(cpu(c), X86_MSR_TSC_DEADLINE, rig.now + v % 99999);
			break;
		case 4: lapic_mmio_write(cpu(c), r >> 40 & 0xfff, (uint32_t)v); break;
		case 5: (void)lapic_mmio_read(cpu(c), r >> 40 & 0xfff); break;
		case 6:
			lapic_bus_msi(&rig.bus, 0xfee00000 | (v & 0xfffff), (uint32_t)(v >> 20));
			break;
		default: wr(c, reg, (uint32_t)v);
		}
		if (i % 64 == 0)
			pass(v % 20000);
		(void)lapic_ack(cpu(c));
	}
	for (unsigned i = 0; i < RIG_CPUS; i++) {
		lapic_reset(cpu(i), false);
		wr(i, X86_LAPIC_SVR, 0x1ff);
		fixed(i, 0x40 + (uint8_t)i, false);
		take(i, 0x40 + (int)i);
	}
}

#define TEST(fn) cmocka_unit_test_teardown(fn, free_rig)

int main(void)
{
	const struct CMUnitTest tests[] = {
		TEST(power_on_values_are_the_manuals),
		TEST(an_interrupt_goes_from_request_to_service_to_its_end),
		TEST(higher_classes_interrupt_lower_ones_and_not_their_own),
		TEST(tpr_and_cr8_hold_classes_back),
		TEST(the_end_of_a_level_interrupt_is_broadcast),
		TEST(off_by_software_it_masks_its_table_and_takes_nothing_new),
		TEST(registers_keep_the_bits_that_exist),
		TEST(errors_show_after_a_write_of_the_register_and_interrupt_once),
		TEST(the_base_register_changes_modes_as_the_manual_draws_it),
		TEST(off_it_is_not_there_and_comes_back_as_new),
		TEST(in_x2apic_mode_registers_are_msrs_and_reserved_bits_fault),
		TEST(a_cpu_without_x2apic_or_deadline_faults_on_both),
		TEST(an_init_keeps_the_mode_and_the_id),
		TEST(the_8259s_reach_the_cpu_through_lint0),
		TEST(a_state_that_was_got_is_put_back_whole),
		TEST(latched_events_are_in_the_state),
		TEST(any_state_can_be_put_and_then_comes_back_the_same),
		TEST(hostile_writes_leave_it_working),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
