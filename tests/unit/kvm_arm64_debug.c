/*
 * A debugger and KVM on arm64: software step, breakpoints, watchpoints, BRK; and that a guest has
 * its own of all of them when nobody debugs it.
 */
#include "kvm_arm64_rig.h"

static const uint32_t walk[] = {
	0xd503201f, /* nop */
	0x91000442, /* add x2, x2, #1 */
	0xf9000362, /* str x2, [x27] */
	0xf9400361, /* ldr x1, [x27] */
	0x39002762, /* strb w2, [x27, #9] */
	0xf9002382, /* str x2, [x28, #0x40] */
	0x91000442, /* add x2, x2, #1 */
	0x52800100, /* mov w0, #8 */
	0x72b08000, /* movk w0, #0x8400, lsl #16 */
	0xd4000002, /* hvc #0 */
	0x14000000, /* b . */
};
static const uint32_t rounds[] = {
	0xd503201f, /* nop */
	0x91000442, /* add x2, x2, #1 */
	0x91000442, /* add x2, x2, #1 */
	0x17fffffd, /* b rounds */
};
static const uint32_t own_brk[] = {
	0xd2a80022, /* mov x2, #0x40010000 */
	0xd518c002, /* msr vbar_el1, x2 */
	0xd5033fdf, /* isb */
	0xd503201f, /* nop */
	0xd42000e0, /* brk #7 */
	0xd503201f, /* nop */
	0xf9002382, /* str x2, [x28, #0x40] */
	0x52800100, /* mov w0, #8 */
	0x72b08000, /* movk w0, #0x8400, lsl #16 */
	0xd4000002, /* hvc #0 */
	0x14000000, /* b . */
};
static const uint32_t handler[] = {
	0xd5385200, /* mrs x0, esr_el1 */
	0xf9002380, /* str x0, [x28, #0x40] */
	0xd5384020, /* mrs x0, elr_el1 */
	0xf9002380, /* str x0, [x28, #0x40] */
	0xd5384001, /* mrs x1, spsr_el1 */
	0xf9002381, /* str x1, [x28, #0x40] */
	0xd53b4221, /* mrs x1, daif */
	0xf9002381, /* str x1, [x28, #0x40] */
	0xd5384241, /* mrs x1, CurrentEL */
	0xf9002381, /* str x1, [x28, #0x40] */
	0xd5384201, /* mrs x1, SPSel */
	0xf9002381, /* str x1, [x28, #0x40] */
	0xd53b4201, /* mrs x1, nzcv */
	0xf9002381, /* str x1, [x28, #0x40] */
	0x91001000, /* add x0, x0, #4 */
	0xd5184020, /* msr elr_el1, x0 */
	0xd5384001, /* mrs x1, spsr_el1 */
	0xb2770021, /* orr x1, x1, #0x200 */
	0xd5184001, /* msr spsr_el1, x1 */
	0xd69f03e0, /* eret */
};
static const uint32_t own[] = {
	0xd2a80022, /* mov x2, #0x40010000 */
	0xd518c002, /* msr vbar_el1, x2 */
	0xd510109f, /* msr oslar_el1, xzr */
	0x10000122, /* adr x2, 1f */
	0xd5100082, /* msr dbgbvr0_el1, x2 */
	0xd2803ce2, /* mov x2, #0x1e7 */
	0xd51000a2, /* msr dbgbcr0_el1, x2 */
	0xd2940002, /* mov x2, #0xa000 */
	0xd5100242, /* msr mdscr_el1, x2 */
	0xd5033fdf, /* isb */
	0xd50348ff, /* msr daifclr, #8 */
	0xd503201f, /* nop */
	0xd503201f, /* 1: nop */
	0xf9002382, /* str x2, [x28, #0x40] */
	0x52800100, /* mov w0, #8 */
	0x72b08000, /* movk w0, #0x8400, lsl #16 */
	0xd4000002, /* hvc #0 */
	0x14000000, /* b . */
};

#define AT(words) (RIG_CODE + 4u * (words))

static bool stopped;

static void on_debug(struct vm *vm, void *arg)
{
	(void)arg;
	vm_pause(vm);
	stopped = true;
}

static void set(struct rig *r, const struct vcpu_debug *d)
{
	struct err e = ERR_INIT;

	rig_check(vcpu_debug_set(&r->vm->vcpus[0], d, &e), &e);
}

static void start(struct rig *r, const uint32_t *code, size_t len, const struct vcpu_debug *d)
{
	rig_init(r, &(struct rig_options){.code = code, .len = len});
	rig_load(r, RIG_SYNC, handler, sizeof(handler));
	vm_debug_attach(r->vm, on_debug, NULL);
	set(r, d);
}
#define START(r, words, d) start(r, words, sizeof(words), d)

/* To the next stop, which is for @why at @pc. */
static const struct debug_stop *go(struct rig *r, enum debug_why why, uint64_t pc)
{
	const struct debug_stop *s = &r->vm->vcpus[0].debug_stop;
	uint64_t end = sys_now_ns() + RIG_LIMIT;

	stopped = false;
	vm_run(r->vm);
	while (!stopped) {
		loop_step(r->loop, 100);
		if (r->requested)
			fail_msg("the guest ended: %s", r->request.text);
		if (sys_now_ns() > end)
			fail_msg("the guest does not stop");
	}
	if (s->why != why || s->pc != pc)
		fail_msg("it stopped for %d at %llx, not for %d at %llx", (int)s->why,
			 (unsigned long long)s->pc, (int)why, (unsigned long long)pc);
	assert_true(rig_state(r, 0)->pc == pc);
	return s;
}

static void go_to_off(struct rig *r)
{
	stopped = false;
	rig_run_to_off(r);
	assert_false(stopped);
}

static void a_step_stops_after_each_instruction_a_device_access_too(void **state)
{
	const struct vcpu_debug step = {.step = true}, nothing = {.step = false};
	struct rig r;

	(void)state;
	START(&r, walk, &step);
	for (unsigned i = 1; i < 8; i++)
		(void)go(&r, DEBUG_STEPPED, AT(i));
	assert_true(rig_state(&r, 0)->x[2] == 2);
	assert_int_equal(rig_count(&r, RIG_VALUE, 1), 1);
	set(&r, &nothing);
	go_to_off(&r);
	assert_int_equal(r.dev->n, 1);
	rig_exit(&r);
}

static void what_is_set_stays_set_over_a_reset(void **state)
{
	const struct vcpu_debug d = {.step = true, .n = 1, .point = {{AT(2), 4, DEBUG_EXEC}}};
	struct err e = ERR_INIT;
	struct rig r;

	(void)state;
	START(&r, rounds, &d);
	for (unsigned round = 0; round < 2; round++) {
		(void)go(&r, DEBUG_STEPPED, AT(1));
		(void)go(&r, DEBUG_STEPPED, AT(2));
		(void)go(&r, DEBUG_POINT, AT(2));
		rig_check(vm_reset(r.vm, &e), &e);
	}
	rig_exit(&r);
}

static void a_breakpoint_stops_before_its_instruction_each_time(void **state)
{
	const struct vcpu_debug d = {.n = 2,
				     .point = {{RIG_DATA, 4, DEBUG_EXEC}, {AT(2), 4, DEBUG_EXEC}}};
	const struct vcpu_debug step = {.step = true};
	struct rig r;

	(void)state;
	START(&r, rounds, &d);
	for (unsigned round = 0; round < 3; round++) {
		assert_int_equal(go(&r, DEBUG_POINT, AT(2))->point, 1);
		assert_true(rig_state(&r, 0)->x[2] == 2 * round + 1);
		set(&r, &step);
		(void)go(&r, DEBUG_STEPPED, AT(3));
		set(&r, &d);
	}
	rig_exit(&r);
}

/* The access was not done yet, so it is stepped over without the watchpoints. */
static void step_over(struct rig *r, uint64_t pc, const struct vcpu_debug *back)
{
	const struct vcpu_debug step = {.step = true};

	set(r, &step);
	(void)go(r, DEBUG_STEPPED, pc);
	set(r, back);
}

static void a_watchpoint_stops_before_what_it_watches_for(void **state)
{
	static const struct {
		struct debug_point point;
		unsigned stops[3]; /* at which words; 0: no more */
	} cases[] = {
		{{RIG_DATA, 8, DEBUG_WRITE}, {2}},	{{RIG_DATA, 8, DEBUG_READ}, {3}},
		{{RIG_DATA, 8, DEBUG_ACCESS}, {2, 3}},	{{RIG_DATA + 4, 1, DEBUG_ACCESS}, {2, 3}},
		{{RIG_DATA + 8, 1, DEBUG_ACCESS}, {0}}, {{RIG_DATA + 8, 2, DEBUG_WRITE}, {4}},
		{{RIG_DATA, 16, DEBUG_WRITE}, {2, 4}},	{{RIG_DATA, 4096, DEBUG_ACCESS}, {2, 3, 4}},
	};

	(void)state;
	for (size_t i = 0; i < ARRAY_LEN(cases); i++) {
		const struct debug_point *p = &cases[i].point;
		struct vcpu_debug d = {.n = 2, .point = {{RIG_CODE + 0x800, 4, DEBUG_EXEC}, *p}};
		struct rig r;

		START(&r, walk, &d);
		for (unsigned k = 0; k < 3 && cases[i].stops[k]; k++) {
			unsigned at = cases[i].stops[k];
			const struct debug_stop *s = go(&r, DEBUG_POINT, AT(at));

			assert_int_equal(s->point, 1);
			assert_in_range(s->addr, RIG_DATA, RIG_DATA + 9);
			step_over(&r, AT(at + 1), &d);
		}
		go_to_off(&r);
		rig_exit(&r);
	}
}

static void of_two_watchpoints_the_right_one_is_named(void **state)
{
	const struct vcpu_debug d = {
		.n = 2, .point = {{RIG_DATA + 8, 8, DEBUG_WRITE}, {RIG_DATA, 8, DEBUG_WRITE}}};
	struct rig r;

	(void)state;
	START(&r, walk, &d);
	assert_int_equal(go(&r, DEBUG_POINT, AT(2))->point, 1);
	step_over(&r, AT(3), &d);
	assert_int_equal(go(&r, DEBUG_POINT, AT(4))->point, 0);
	rig_exit(&r);
}

static void brk_stops_where_it_stands_and_the_guests_own_is_given_back(void **state)
{
	const struct vcpu_debug software = {.software = true}, nothing = {.step = false},
				pass = {.software = true, .pass = true};
	struct rig want, r;

	(void)state;
	START(&want, own_brk, &nothing);
	go_to_off(&want);
	assert_int_equal(rig_count(&want, RIG_VALUE, 0xf2000007), 1); /* ESR_EL1 */
	START(&r, own_brk, &software);
	(void)go(&r, DEBUG_SOFTWARE, AT(4));
	(void)go(&r, DEBUG_SOFTWARE, AT(4));
	set(&r, &pass);
	go_to_off(&r);
	/* What the handler saw is what it sees without a debugger. */
	assert_int_equal(r.dev->n, want.dev->n);
	for (unsigned i = 0; i < r.dev->n; i++)
		if (r.dev->log[i].val != want.dev->log[i].val)
			fail_msg("value %u is 0x%llx, not 0x%llx", i,
				 (unsigned long long)r.dev->log[i].val,
				 (unsigned long long)want.dev->log[i].val);
	rig_exit(&want);
	rig_exit(&r);
}

static void the_debug_registers_are_the_guests_when_nobody_asks(void **state)
{
	const struct vcpu_debug nothing = {.step = false};
	const struct vcpu_debug d = {
		.step = true, .software = true, .n = 1, .point = {{RIG_DATA, 8, DEBUG_WRITE}}};
	struct rig r;

	(void)state;
	for (unsigned before = 0; before < 2; before++) {
		START(&r, own, before ? &d : &nothing);
		set(&r, &nothing);
		go_to_off(&r);
		assert_true(r.dev->log[0].val >> 26 == 0x31); /* a breakpoint at the same level */
		assert_true(r.dev->log[1].val == AT(12));
		rig_exit(&r);
	}
}

static void what_there_is_is_told_and_more_is_refused_in_words(void **state)
{
	const struct vcpu_debug nothing = {.step = false};
	struct vcpu_debug d = {.n = 0};
	struct debug_limits l;
	struct err e = ERR_INIT;
	struct rig r;

	(void)state;
	START(&r, walk, &nothing);
	rig_check(vm_debug_limits(r.vm, &l, &e), &e);
	assert_true(l.step && l.software && l.read && l.before && !l.shared);
	assert_in_range(l.exec, 2, 16); /* the architecture's least and most */
	assert_in_range(l.watch, 2, 16);
	for (d.n = 0; d.n < l.exec; d.n++)
		d.point[d.n] = (struct debug_point){AT(d.n), 4, DEBUG_EXEC};
	for (unsigned i = 0; i < l.watch; i++)
		d.point[d.n++] = (struct debug_point){RIG_DATA + 8 * i, 8, DEBUG_WRITE};
	set(&r, &d);
	if (d.n < DEBUG_POINTS) {
		d.point[d.n++] = (struct debug_point){RIG_DATA + 0x100, 8, DEBUG_WRITE};
		assert_int_equal(vcpu_debug_set(&r.vm->vcpus[0], &d, &e), -ENOSPC);
		assert_non_null(strstr(e.msg, "watchpoints are too many"));
	}
	d = (struct vcpu_debug){.n = 1, .point = {{AT(0), 1, DEBUG_EXEC}}};
	assert_int_equal(vcpu_debug_set(&r.vm->vcpus[0], &d, &e), -EINVAL);
	assert_non_null(strstr(e.msg, "covers 4 bytes, not 1"));
	rig_exit(&r);
}

static struct CMUnitTest tests[] = {
	cmocka_unit_test(a_step_stops_after_each_instruction_a_device_access_too),
	cmocka_unit_test(what_is_set_stays_set_over_a_reset),
	cmocka_unit_test(a_breakpoint_stops_before_its_instruction_each_time),
	cmocka_unit_test(a_watchpoint_stops_before_what_it_watches_for),
	cmocka_unit_test(of_two_watchpoints_the_right_one_is_named),
	cmocka_unit_test(brk_stops_where_it_stands_and_the_guests_own_is_given_back),
	cmocka_unit_test(the_debug_registers_are_the_guests_when_nobody_asks),
	cmocka_unit_test(what_there_is_is_told_and_more_is_refused_in_words),
};

RIG_MAIN(tests)
