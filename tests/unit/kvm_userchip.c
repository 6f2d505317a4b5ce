/*
 * A state saved under KVM goes on with the chips in user space, and back: no field differs.
 */
#include "kvm_rig.h"
#include "user_vm.h"

#include "core/vcpu_private.h"

static const uint8_t stop[] = {0xf4}; /* hlt */

static const struct rig_options with_chips = {
	.code = stop, .len = sizeof(stop), .cpus = 2, .chips = true, .mode = IRQCHIP_KERNEL};

/* Chips as a kernel has them after a while: all programmed, some with requests. */
static void program_chips(struct x86_chips *c)
{
	c->pic[0].irq_base = 0x30;
	c->pic[1].irq_base = 0x38;
	c->pic[0].imr = 0xfa;
	c->pic[1].imr = 0xfe;
	c->pic[0].isr = 0x10;
	c->pic[0].irr = 0x28;
	c->pic[0].elcr = 0x20;
	c->pic[1].elcr = 0x0e;
	c->pic[0].auto_eoi = true;
	c->pic[0].priority_add = 3;
	c->pic[1].read_isr = true;
	c->pic[1].special_mask = true;
	c->ioapic.id = 3u << 24;
	c->ioapic.select = 0x12;
	c->ioapic.rte[4] = (UINT64_C(1) << 56) | 0x34;
	c->ioapic.rte[9] = (UINT64_C(1) << 56) | X86_RTE_LEVEL | X86_RTE_LOGICAL | 0x39;
	c->ioapic.rte[20] = X86_RTE_MASKED | X86_RTE_LEVEL | 0x99;
	c->pit.channel[0] = (struct x86_pit_channel){.count = 4772,
						     .mode = 2,
						     .rw_mode = 3,
						     .read_state = 3,
						     .write_state = 3,
						     .gate = true};
	c->pit.channel[1] = (struct x86_pit_channel){.count = 18,
						     .mode = 2,
						     .rw_mode = 1,
						     .read_state = 1,
						     .write_state = 1,
						     .gate = true};
	c->pit.channel[2] = (struct x86_pit_channel){.count = 1193,
						     .mode = 3,
						     .rw_mode = 3,
						     .read_state = 4,
						     .write_state = 4,
						     .write_latch = 0x5a,
						     .latched_count = 0x1234,
						     .count_latched = 2,
						     .status = 0xb6,
						     .status_latched = true};
	c->pit.speaker = true;
}

/* A local APIC with interrupts requested and in service; the timer stands, KVM's would go on. */
static void program_lapic(struct x86_vcpu *s, bool x2apic)
{
	uint32_t *r = s->lapic;

	if (x2apic) {
		s->apic_base |= X86_APIC_BASE_X2APIC;
		r[X86_LAPIC_ID] = s->apic_id;
		r[X86_LAPIC_LDR] = (s->apic_id >> 4) << 16 | 1u << (s->apic_id & 15);
	} else {
		r[X86_LAPIC_LDR] = 0x02000000;
		r[X86_LAPIC_DFR] = 0x0fffffff;
	}
	r[X86_LAPIC_SVR] = 0x1ff;
	r[X86_LAPIC_TPR] = 0x20;
	r[X86_LAPIC_PPR] = 0x60;
	s->cr8 = 2;
	r[X86_LAPIC_ISR + 3] = 1u << 5; /* 65h */
	r[X86_LAPIC_TMR + 3] = 1u << 5;
	r[X86_LAPIC_IRR + 2] = 1u << 17; /* 51h, held back */
	r[X86_LAPIC_LVTT] = 0x200ec;
	r[X86_LAPIC_LVT0] = 0x10700;
	r[X86_LAPIC_LVT1] = 0x00400;
	r[X86_LAPIC_LVTERR] = 0xfe;
	r[X86_LAPIC_LVTPC] = 0x10400;
	r[X86_LAPIC_TDCR] = 3;
	r[X86_LAPIC_ICR] = 0x000c08fd;
	r[X86_LAPIC_ICR2] = 0x01000000;
}

static void put_vcpu(struct rig *r, unsigned cpu, bool x2apic)
{
	struct err e = ERR_INIT;

	rig_check(vcpu_get_state(&r->vm->vcpus[cpu], &e), &e);
	program_lapic(r->vm->vcpus[cpu].state, x2apic);
	rig_check(vcpu_put_state(&r->vm->vcpus[cpu], &e), &e);
}

/*
 * What goes on by itself, what KVM does not let be set, and the PPR, which follows from TPR and ISR
 * and which KVM brings up to date only when the guest looks at it.
 */
static void still_time(struct vm *vm)
{
	struct x86_chips *c = vm->chips;

	c->clock_ns = 0;
	for (unsigned i = 0; i < 3; i++)
		c->pit.channel[i].start = 0;
	for (unsigned i = 0; i < vm->n_vcpus; i++) {
		struct x86_vcpu *s = vm->vcpus[i].state;
		uint64_t *tsc = x86_vcpu_msr(s, X86_MSR_TSC);

		if (tsc)
			*tsc = 0;
		s->lapic[X86_LAPIC_PPR] = 0;
	}
}

static void expect_same(struct vm *a, struct vm *b)
{
	struct strbuf diff = {0};

	still_time(a);
	still_time(b);
	if (state_diff(&x86_chips_table, a->chips, b->chips, &diff))
		fail_msg("chips differ:\n%s", strbuf_str(&diff));
	for (unsigned i = 0; i < a->n_vcpus; i++)
		if (state_diff(&x86_vcpu_table, a->vcpus[i].state, b->vcpus[i].state, &diff))
			fail_msg("vCPU %u differs:\n%s", i, strbuf_str(&diff));
	strbuf_exit(&diff);
}

static void move(struct vm *from, struct vm *to)
{
	struct strbuf s = {0}, again = {0};
	struct err e = ERR_INIT;

	rig_check(vm_save_state(from, &s, &e), &e);
	rig_check(vm_load_state(to, s.s, s.len, &e), &e);
	rig_check(vm_save_state(to, &again, &e), &e); /* gets what the chips made of it */
	strbuf_exit(&s);
	strbuf_exit(&again);
}

static void check_move(bool x2apic)
{
	struct err e = ERR_INIT;
	struct x86_chips *chips;
	struct rig a, b;

	rig_init(&a, &with_chips);
	chips = a.vm->chips;
	rig_check(a.vm->accel->chips_get(a.vm, &e), &e);
	program_chips(chips);
	rig_check(a.vm->accel->chips_put(a.vm, &e), &e);
	put_vcpu(&a, 0, x2apic);
	put_vcpu(&a, 1, x2apic);

	user_make(2);
	move(a.vm, user.vm);
	expect_same(a.vm, user.vm);
	/* It is not only stored: the local APIC and the 8259s go on from there. */
	assert_int_equal(lapic_pending(&user.lapic[0]), -1);
	assert_int_equal(lapic_tpr(&user.lapic[0]), 2);
	assert_int_equal(chips->pic[0].isr, 0x10);

	rig_init(&b, &with_chips);
	move(user.vm, b.vm);
	expect_same(user.vm, b.vm);
	expect_same(a.vm, b.vm);
	rig_exit(&b);
	user_free();
	rig_exit(&a);
}

static void xapics_and_chips_move_to_user_space_and_back(void **state)
{
	(void)state;
	check_move(false);
}

static void x2apics_and_chips_move_to_user_space_and_back(void **state)
{
	(void)state;
	check_move(true);
}

static void a_vm_just_made_is_the_same_in_both(void **state)
{
	struct rig a;

	(void)state;
	rig_init(&a, &with_chips);
	user_make(2);
	move(a.vm, user.vm);
	expect_same(a.vm, user.vm);
	user_free();
	rig_exit(&a);
}

static struct CMUnitTest tests[] = {
	cmocka_unit_test(a_vm_just_made_is_the_same_in_both),
	cmocka_unit_test(xapics_and_chips_move_to_user_space_and_back),
	cmocka_unit_test(x2apics_and_chips_move_to_user_space_and_back),
};

RIG_MAIN(tests)
