/*
 * The state of vCPUs and chips under KVM: what is put is got, and a running guest goes on
 * elsewhere.
 */
#include <time.h>

#include "kvm_rig.h"

#include "core/vcpu_private.h"

static const uint8_t counter[] = {
	0x66, 0x43,		      /* 1: inc %ebx */
	0x66, 0x89, 0x1e, 0x00, 0x20, /* mov %ebx,0x2000 */
	0x66, 0x89, 0xd8,	      /* mov %ebx,%eax */
	0x66, 0xe7, 0x14,	      /* out %eax,$0x14 */
	0xeb, 0xf1,		      /* jmp 1b */
};

#define MSR_TSC 0x10u

static const struct rig_options with_chips = {
	.code = counter, .len = sizeof(counter), .chips = true, .mode = IRQCHIP_KERNEL};

static struct x86_vcpu *get_state(struct rig *r, unsigned cpu)
{
	struct err e = ERR_INIT;

	rig_check(vcpu_get_state(&r->vm->vcpus[cpu], &e), &e);
	return r->vm->vcpus[cpu].state;
}

static void put_state(struct rig *r, unsigned cpu, const struct x86_vcpu *s)
{
	struct err e = ERR_INIT;

	memcpy(r->vm->vcpus[cpu].state, s, sizeof(*s));
	rig_check(vcpu_put_state(&r->vm->vcpus[cpu], &e), &e);
}

static struct x86_vcpu *copy_of(const struct x86_vcpu *s)
{
	struct x86_vcpu *c = malloc(sizeof(*c));

	assert_non_null(c);
	memcpy(c, s, sizeof(*c));
	return c;
}

/* What goes on by itself between two looks: the time stamp counter. */
static void still_time(struct x86_vcpu *s)
{
	uint64_t *tsc = x86_vcpu_msr(s, MSR_TSC);

	if (tsc)
		*tsc = 0;
}

static void expect_same(struct x86_vcpu *a, struct x86_vcpu *b)
{
	struct strbuf diff = {0};

	still_time(a);
	still_time(b);
	if (state_diff(&x86_vcpu_table, a, b, &diff))
		fail_msg("states differ:\n%s", strbuf_str(&diff));
	strbuf_exit(&diff);
}

/* The put of a new vCPU leaves most of the state to KVM; this shows that nothing is missing. */
static void a_new_vcpu_has_the_power_on_state_in_every_field(void **state)
{
	static const bool chips[] = {true, false};
	struct rig_options o = with_chips;

	(void)state;
	for (size_t i = 0; i < ARRAY_LEN(chips); i++) {
		struct rig r;

		o.chips = chips[i];
		o.cpus = 3;
		rig_init(&r, &o);
		for (unsigned cpu = 0; cpu < 3; cpu++) {
			struct x86_vcpu *want = copy_of(r.vm->vcpus[cpu].state);
			struct x86_vcpu *got = get_state(&r, cpu);

			/*
			 * A state from reset names no MSR, has no chip to leave out, and a short
			 * FPU area.
			 */
			want->n_msrs = got->n_msrs;
			memcpy(want->msr, got->msr, sizeof(want->msr));
			want->xsave_size = got->xsave_size;
			if (!chips[i]) {
				want->has_lapic = false;
				memset(want->lapic, 0, sizeof(want->lapic));
			}
			expect_same(want, got);
			free(want);
		}
		rig_exit(&r);
	}
}

/* Values that are legal and unlike any default, in whatever the table holds. */
static void make_strange(struct x86_vcpu *s)
{
	static const uint32_t msrs[] = {0x174,	      0x175,	     0x176,
					X86_MSR_STAR, X86_MSR_LSTAR, 0xc0000102};

	for (unsigned i = 0; i < 16; i++)
		s->gpr[i] = 0x0123456789abcdef * (i + 3);
	s->rip = 0x1234;
	s->rflags = 0xad7; /* CF PF AF ZF SF IF OF and bit 1 */
	for (unsigned i = 0; i < 4; i++)
		s->dr[i] = 0x1000 * (i + 1);
	s->cr2 = 0xdeadbeef;
	s->cr8 = 5;
	s->lapic[X86_LAPIC_TPR] = s->lapic[X86_LAPIC_PPR] = 0x50; /* CR8 is their upper half */
	s->gdt = (struct x86_table){0x6000, 0x1f};
	s->idt = (struct x86_table){0x7000, 0x2f};
	for (unsigned i = 0; i < 16 * 16; i++)
		s->xsave[160 + i] = (uint8_t)(i * 5 + 1); /* XMM0 to XMM15 */
	s->xsave[24] = 0xc0;				  /* MXCSR */
	s->xsave[X86_XSAVE_LEGACY] |= 3;
	for (size_t i = 0; i < ARRAY_LEN(msrs); i++) {
		uint64_t *m = x86_vcpu_msr(s, msrs[i]);

		if (m)
			*m = 0x100000 + i * 0x1010;
	}
	s->lapic[X86_LAPIC_SVR] = 0x1ff;
	s->lapic[X86_LAPIC_LVT1] = 0x00400;
	s->lapic[X86_LAPIC_LVTT] = 0x10031;
	s->events.nmi_masked = true;
}

static void what_is_got_from_one_vm_is_put_into_another_bit_for_bit(void **state)
{
	struct x86_vcpu *first, *second;
	struct rig a, b;

	(void)state;
	rig_init(&a, &with_chips);
	rig_init(&b, &with_chips);
	first = copy_of(get_state(&a, 0));
	make_strange(first);
	put_state(&a, 0, first);
	second = copy_of(get_state(&a, 0));
	expect_same(first, second);
	put_state(&b, 0, second);
	expect_same(second, get_state(&b, 0));
	assert_true(second->n_msrs > 20);
	/* AMD's processors have one interrupt shadow for STI and MOV SS: both bits come back. */
	first->events.irq_shadow = 1;
	put_state(&b, 0, first);
	assert_true(get_state(&b, 0)->events.irq_shadow & 1);
	free(first);
	free(second);
	rig_exit(&a);
	rig_exit(&b);
}

static void a_reset_brings_every_field_back_to_power_on(void **state)
{
	struct err e = ERR_INIT;
	struct x86_vcpu *first, *strange;
	struct rig r;

	(void)state;
	rig_init(&r, &with_chips);
	first = copy_of(get_state(&r, 0));
	strange = copy_of(first);
	make_strange(strange);
	put_state(&r, 0, strange);
	rig_check(vm_reset(r.vm, &e), &e);
	expect_same(first, get_state(&r, 0));
	free(first);
	free(strange);
	rig_exit(&r);
}

static void the_chips_of_the_kernel_take_back_what_they_gave(void **state)
{
	struct x86_chips want, *chips;
	struct strbuf diff = {0};
	struct err e = ERR_INIT;
	struct rig a;

	(void)state;
	rig_init(&a, &with_chips);
	chips = a.vm->chips;
	x86_chips_reset(&want);
	rig_check(a.vm->accel->chips_get(a.vm, &e), &e);
	want.has_clock = chips->has_clock;
	want.clock_ns = chips->clock_ns;
	if (state_diff(&x86_chips_table, &want, chips, &diff))
		fail_msg("chips at power-on differ:\n%s", strbuf_str(&diff));
	chips->pic[0].irq_base = 0x20;
	chips->pic[1].irq_base = 0x28;
	chips->pic[0].imr = 0xfb;
	chips->pic[1].elcr = 0x0e;
	chips->ioapic.id = 3u << 24;
	chips->ioapic.select = 0x12;
	chips->ioapic.rte[9] = (UINT64_C(1) << 56) | X86_RTE_MASKED | X86_RTE_LEVEL | 0x39;
	chips->pit.channel[2].count = 1193;
	chips->pit.channel[2].mode = 3;
	chips->pit.channel[2].rw_mode = 3;
	chips->pit.speaker = true;
	memcpy(&want, chips, sizeof(want));
	rig_check(a.vm->accel->chips_put(a.vm, &e), &e);
	rig_check(a.vm->accel->chips_get(a.vm, &e), &e);
	want.clock_ns = chips->clock_ns;
	if (state_diff(&x86_chips_table, &want, chips, &diff))
		fail_msg("chips differ:\n%s", strbuf_str(&diff));
	strbuf_exit(&diff);
	rig_exit(&a);
}

/* The counter's values that a rig saw follow on *next. */
static void expect_count(const struct rig *r, uint64_t *next)
{
	for (unsigned i = 0; i < r->dev->n; i++)
		assert_int_equal(r->dev->log[i].val, (*next)++);
}

static void a_running_guest_goes_on_in_a_second_vm(void **state)
{
	uint8_t *mem = malloc(RIG_RAM);
	struct strbuf saved = {0};
	struct err e = ERR_INIT;
	uint64_t next = 1;
	struct rig a, b;

	(void)state;
	assert_non_null(mem);
	rig_init(&a, &with_chips);
	vm_run(a.vm);
	rig_wait_seen(&a, 100);
	vm_pause(a.vm);
	rig_check(vm_save_state(a.vm, &saved, &e), &e);
	assert_int_equal(as_read(&a.vm->mem, 0, mem, RIG_RAM), IO_OK);
	expect_count(&a, &next);
	rig_exit(&a);

	rig_init(&b, &with_chips);
	assert_int_equal(as_write(&b.vm->mem, 0, mem, RIG_RAM), IO_OK);
	rig_check(vm_load_state(b.vm, saved.s, saved.len, &e), &e);
	vm_run(b.vm);
	rig_wait_seen(&b, 100);
	vm_pause(b.vm);
	expect_count(&b, &next);
	assert_true(next > 200);
	rig_exit(&b);
	strbuf_exit(&saved);
	free(mem);
}

static int64_t clock_less_vm_time(struct rig *r)
{
	struct err e = ERR_INIT;

	rig_check(r->vm->accel->chips_get(r->vm, &e), &e);
	return (int64_t)(((struct x86_chips *)r->vm->chips)->clock_ns - clock_now(&r->vm->clock));
}

/* Allows for a descheduling between the two looks that the difference is made of. */
static void the_guests_clock_stands_still_while_the_vm_is_paused(void **state)
{
	const struct timespec pause = {.tv_nsec = 300000000};
	int64_t before, after;
	struct rig r;

	(void)state;
	rig_init(&r, &with_chips);
	vm_run(r.vm);
	rig_wait_seen(&r, 10);
	vm_pause(r.vm);
	before = clock_less_vm_time(&r);
	for (unsigned i = 0; i < 2; i++) {
		nanosleep(&pause, NULL);
		vm_run(r.vm);
		rig_wait_seen(&r, 20 + i * 10);
		vm_pause(r.vm);
	}
	after = clock_less_vm_time(&r);
	assert_true(llabs(after - before) < 200000000);
	rig_exit(&r);
}

static void a_state_of_another_cpu_or_with_absent_registers_is_refused(void **state)
{
	struct err e = ERR_INIT;
	struct x86_vcpu *s;
	struct rig r;

	(void)state;
	rig_init(&r, &with_chips);
	s = get_state(&r, 0);
	s->apic_id = 7;
	assert_int_not_equal(vcpu_put_state(&r.vm->vcpus[0], &e), 0);
	assert_non_null(strstr(e.msg, "the state is of APIC id 7"));
	s = get_state(&r, 0);
	s->msr[s->n_msrs++] = (struct x86_msr){.index = 0xfffffff0, .value = 1};
	assert_int_not_equal(vcpu_put_state(&r.vm->vcpus[0], &e), 0);
	assert_non_null(strstr(e.msg, "no MSR 0xfffffff0"));
	rig_exit(&r);
}

static struct CMUnitTest tests[] = {
	cmocka_unit_test(a_new_vcpu_has_the_power_on_state_in_every_field),
	cmocka_unit_test(what_is_got_from_one_vm_is_put_into_another_bit_for_bit),
	cmocka_unit_test(a_reset_brings_every_field_back_to_power_on),
	cmocka_unit_test(the_chips_of_the_kernel_take_back_what_they_gave),
	cmocka_unit_test(a_running_guest_goes_on_in_a_second_vm),
	cmocka_unit_test(the_guests_clock_stands_still_while_the_vm_is_paused),
	cmocka_unit_test(a_state_of_another_cpu_or_with_absent_registers_is_refused),
};

RIG_MAIN(tests)
