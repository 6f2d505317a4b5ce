/*
 * The state of vCPUs under KVM on arm64: what is put is got, a reset is one, a running guest goes
 * on elsewhere, and time stands still while it is paused.
 */
#include "kvm_arm64_rig.h"

#include "core/vcpu_private.h"

static const uint32_t count[] = {
	0x91000400, /* 1: add x0, x0, #1 */
	0xf9000360, /* str x0, [x27] */
	0xf9002380, /* str x0, [x28, #0x40] */
	0x17fffffd, /* b 1b */
};

static const struct rig_options counting = {.code = count, .len = sizeof(count), .gic = true};

static struct arm64_vcpu *copy_of(const struct arm64_vcpu *s)
{
	struct arm64_vcpu *c = malloc(sizeof(*c));

	assert_non_null(c);
	memcpy(c, s, sizeof(*c));
	return c;
}

static void put_state(struct rig *r, unsigned cpu, const struct arm64_vcpu *s)
{
	struct err e = ERR_INIT;

	memcpy(r->vm->vcpus[cpu].state, s, sizeof(*s));
	rig_check(vcpu_put_state(&r->vm->vcpus[cpu], &e), &e);
}

static void expect_same(const struct arm64_vcpu *a, const struct arm64_vcpu *b)
{
	char name[40];
	struct strbuf diff = {0};

	assert_int_equal(a->n_regs, b->n_regs);
	for (uint32_t i = 0; i < a->n_regs; i++) {
		assert_int_equal(a->reg[i].id, b->reg[i].id);
		if (a->reg[i].value != b->reg[i].value)
			fail_msg("%s is 0x%llx and not 0x%llx",
				 arm64_reg_name(b->reg[i].id, name, sizeof(name)),
				 (unsigned long long)b->reg[i].value,
				 (unsigned long long)a->reg[i].value);
	}
	if (state_diff(&arm64_vcpu_table, a, b, &diff))
		fail_msg("states differ:\n%s", strbuf_str(&diff));
	strbuf_exit(&diff);
}

/* The put of a new vCPU leaves most of the state to KVM; this shows that nothing is missing. */
static void a_new_vcpu_has_the_power_on_state_in_every_field(void **state)
{
	struct rig_options o = counting;
	struct rig r;

	(void)state;
	o.cpus = 3;
	rig_init(&r, &o);
	for (unsigned cpu = 0; cpu < 3; cpu++) {
		struct arm64_vcpu *want = copy_of(r.vm->vcpus[cpu].state);
		struct arm64_vcpu *got = rig_state(&r, cpu);
		const uint64_t *mpidr = arm64_vcpu_reg(got, ARM64_MPIDR_EL1);

		assert_int_equal(want->n_regs, 0);
		assert_true(got->n_regs > 100);
		assert_non_null(mpidr);
		assert_true(*mpidr == arm64_mpidr(cpu));
		want->n_regs = got->n_regs;
		memcpy(want->reg, got->reg, sizeof(want->reg));
		memcpy(want->sve_vls, got->sve_vls, sizeof(want->sve_vls));
		want->sve_z_size = got->sve_z_size;
		want->sve_p_size = got->sve_p_size;
		expect_same(want, got);
		free(want);
	}
	rig_exit(&r);
}

/* SVE registers of the longest length there is; their low ends are the vector registers. */
static void make_strange_vectors(struct arm64_vcpu *s)
{
	unsigned quads = 0;

	for (unsigned i = 0; i < 16; i++)
		if (s->sve_vls[0] >> i & 1)
			quads = i + 1;
	assert_int_not_equal(quads, 0);
	for (unsigned i = 0; i < 32; i++) {
		memset(s->sve_z + i * ARM64_SVE_Z, (int)(i + 1), quads * 16);
		memcpy(s->sve_z + i * ARM64_SVE_Z, &s->v[i * 2], 16);
	}
	for (unsigned i = 0; i < 17; i++)
		memset(s->sve_p + i * ARM64_SVE_P, (int)(i + 0x81), quads * 2);
}

/* Values that are legal and unlike any default, in whatever can be changed. */
static void make_strange(struct arm64_vcpu *s)
{
	static const uint32_t regs[] = {
		ARM64_TTBR0_EL1,
		ARM64_TTBR1_EL1,
		ARM64_FAR_EL1,
		ARM64_VBAR_EL1,
		ARM64_TPIDR_EL1,
		ARM64_SYSREG(3, 3, 13, 0, 2) /* TPIDR_EL0 */,
		ARM64_CNTV_CVAL_EL0,
		ARM64_SYSREG(3, 0, 7, 4, 0) /* PAR_EL1 */,
		ARM64_SYSREG(2, 0, 0, 1, 4) /* DBGBVR1_EL1 */,
	};

	for (unsigned i = 0; i < 31; i++)
		s->x[i] = 0x0123456789abcdef * (i + 3);
	for (unsigned i = 0; i < 64; i++)
		s->v[i] = 0xfedcba9876543210 * (i + 5);
	for (unsigned i = 0; i < ARM64_SPSRS; i++)
		s->spsr[i] = 0x60000000 + i;
	s->sp_el0 = 0x1110;
	s->sp_el1 = 0x2220;
	s->elr_el1 = 0x3330;
	s->pc = 0x4440;
	s->pstate = UINT64_C(0xf0000000) | ARM64_PSTATE_DAIF | 4; /* NZCV, EL1t */
	s->fpsr = 0x8000001f;
	s->fpcr = 0x00c00000;
	for (size_t i = 0; i < ARRAY_LEN(regs); i++) {
		uint64_t *value = arm64_vcpu_reg(s, regs[i]);

		assert_non_null(value);
		*value = UINT64_C(0x0000123456780) * (i + 1) * 8;
	}
	*arm64_vcpu_reg(s, ARM64_CNTV_CTL_EL0) = 2; /* masked */
	if (s->sve_z_size)
		make_strange_vectors(s);
}

static void everything_that_is_put_is_got(void **state)
{
	struct arm64_vcpu *want;
	struct rig r;

	(void)state;
	rig_init(&r, &counting);
	want = copy_of(rig_state(&r, 0));
	printf("%u registers in the list\n", want->n_regs);
	make_strange(want);
	put_state(&r, 0, want);
	expect_same(want, rig_state(&r, 0));
	free(want);
	rig_exit(&r);
}

static void every_register_of_a_vcpu_is_the_same_in_a_fresh_vm(void **state)
{
	struct arm64_vcpu *want;
	struct rig a, b;

	(void)state;
	rig_init(&a, &counting);
	vm_run(a.vm);
	rig_wait_seen(&a, 20);
	vm_pause(a.vm);
	want = copy_of(rig_state(&a, 0));
	make_strange(want);
	put_state(&a, 0, want);
	free(want);
	want = copy_of(rig_state(&a, 0));
	rig_exit(&a);
	rig_init(&b, &counting);
	put_state(&b, 0, want);
	expect_same(want, rig_state(&b, 0));
	free(want);
	rig_exit(&b);
}

static void a_reset_undoes_everything_that_a_guest_can_do(void **state)
{
	/* Whose reset value is unknown (Arm ARM D1.2.2), and what follows from it. */
	static const uint32_t unknown[] = {ARM64_CNTV_CVAL_EL0, ARM64_CNTV_CTL_EL0};
	struct arm64_vcpu *first, *strange, *now;
	struct err e = ERR_INIT;
	struct rig r;

	(void)state;
	rig_init(&r, &counting);
	first = copy_of(rig_state(&r, 0));
	vm_run(r.vm);
	rig_wait_seen(&r, 20);
	vm_pause(r.vm);
	strange = copy_of(rig_state(&r, 0));
	make_strange(strange);
	put_state(&r, 0, strange);
	rig_check(vm_reset(r.vm, &e), &e);
	now = rig_state(&r, 0);
	assert_int_equal(*arm64_vcpu_reg(now, ARM64_CNTV_CTL_EL0) & 3, 0);
	for (size_t i = 0; i < ARRAY_LEN(unknown); i++)
		*arm64_vcpu_reg(first, unknown[i]) = *arm64_vcpu_reg(now, unknown[i]);
	expect_same(first, now);
	free(first);
	free(strange);
	rig_exit(&r);
}

static void a_running_guest_goes_on_in_a_fresh_vm(void **state)
{
	struct strbuf saved = {0};
	struct err e = ERR_INIT;
	uint64_t last;
	struct rig a, b;

	(void)state;
	rig_init(&a, &counting);
	vm_run(a.vm);
	rig_wait_seen(&a, 50);
	vm_pause(a.vm);
	last = a.dev->log[a.dev->n - 1].val;
	rig_check(vm_save_state(a.vm, &saved, &e), &e);
	rig_init(&b, &counting);
	rig_check(vm_load_state(b.vm, saved.s, saved.len, &e), &e);
	vm_run(b.vm);
	rig_wait_seen(&b, 50);
	vm_pause(b.vm);
	for (unsigned i = 0; i < 50; i++)
		assert_true(b.dev->log[i].val == last + 1 + i);
	strbuf_exit(&saved);
	rig_exit(&a);
	rig_exit(&b);
}

/* CNTVCT_EL0 in nanoseconds, of a VM that is paused. */
static uint64_t counter(struct rig *r)
{
	struct err e = ERR_INIT;

	rig_check(r->vm->accel->chips_get(r->vm, &e), &e);
	return ((struct arm64_chips *)r->vm->chips)->counter_ns;
}

#define PAUSE UINT64_C(1000000000)

static void the_counter_stands_still_while_the_guest_is_paused(void **state)
{
	uint64_t before, after, start, paused;
	struct rig r;

	(void)state;
	rig_init(&r, &counting);
	vm_run(r.vm);
	rig_wait_seen(&r, 5);
	start = sys_now_ns();
	vm_pause(r.vm);
	paused = sys_now_ns();
	before = counter(&r);
	while (sys_now_ns() - paused < PAUSE)
		loop_step(r.loop, 50);
	after = counter(&r); /* the same but for how long it takes to read two clocks */
	assert_true(MAX(after, before) - MIN(after, before) < PAUSE / 2);
	vm_run(r.vm);
	rig_wait_seen(&r, atomic_load(&r.dev->seen) + 5);
	vm_pause(r.vm);
	after = counter(&r);
	assert_true(after > before);
	/* Host time went on by the pause and more; guest time only by the rest. */
	assert_true(after - before < sys_now_ns() - start - PAUSE / 2);
	rig_exit(&r);
}

static void a_state_of_another_processor_is_refused_by_the_registers_name(void **state)
{
	struct arm64_vcpu *s;
	struct err e = ERR_INIT;
	struct rig r;

	(void)state;
	rig_init(&r, &counting);
	s = rig_state(&r, 0);
	*arm64_vcpu_reg(s, ARM64_MIDR_EL1) ^= 0x10;
	assert_int_not_equal(vcpu_put_state(&r.vm->vcpus[0], &e), 0);
	assert_non_null(strstr(e.msg, "MIDR_EL1 cannot be 0x"));
	s = rig_state(&r, 0);
	assert_true(arm64_vcpu_set_reg(s, ARM64_SYSREG(3, 7, 15, 15, 7), 5));
	assert_int_not_equal(vcpu_put_state(&r.vm->vcpus[0], &e), 0);
	assert_non_null(strstr(e.msg, "no S3_7_c15_c15_7"));
	rig_exit(&r);
}

static void a_pending_serror_is_saved_and_cleared_by_a_reset(void **state)
{
	struct arm64_vcpu *s;
	struct err e = ERR_INIT;
	struct rig r;

	(void)state;
	rig_init(&r, &counting);
	s = rig_state(&r, 0);
	assert_false(s->serror);
	s->serror = true;
	put_state(&r, 0, copy_of(s));
	assert_true(rig_state(&r, 0)->serror);
	rig_check(vm_reset(r.vm, &e), &e);
	assert_false(rig_state(&r, 0)->serror);
	rig_exit(&r);
}

static struct CMUnitTest tests[] = {
	cmocka_unit_test(a_new_vcpu_has_the_power_on_state_in_every_field),
	cmocka_unit_test(everything_that_is_put_is_got),
	cmocka_unit_test(every_register_of_a_vcpu_is_the_same_in_a_fresh_vm),
	cmocka_unit_test(a_reset_undoes_everything_that_a_guest_can_do),
	cmocka_unit_test(a_running_guest_goes_on_in_a_fresh_vm),
	cmocka_unit_test(the_counter_stands_still_while_the_guest_is_paused),
	cmocka_unit_test(a_state_of_another_processor_is_refused_by_the_registers_name),
	cmocka_unit_test(a_pending_serror_is_saved_and_cleared_by_a_reset),
};

RIG_MAIN(tests)
