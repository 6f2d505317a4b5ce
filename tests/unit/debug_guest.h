/*
 * unit/debug_guest.h - the little guest of bt_guest.h under a debugger: it is started, stopped,
 * looked at and let go on.
 */
#ifndef LODGE_UNIT_DEBUG_GUEST_H
#define LODGE_UNIT_DEBUG_GUEST_H

#include "bt_guest.h"

static struct guest guest;
static struct g_end guest_end;
static bool guest_stopped;

/* Where the guest is tried: all that the accelerator under test can do. */
static struct {
	enum g_mode mode;
	unsigned cpl;
} d_env[8];
static unsigned d_envs;
static bool d_tcg;	/* QEMU's processor: DR7 and INT3 of guests do not come to KVM */
static bool d_emulated; /* KVM runs these guests in its emulator, which knows steps and EXEC only */

static void d_on_debug(struct vm *vm, void *arg)
{
	(void)arg;
	vm_pause(vm);
	guest_stopped = true;
}

static inline void d_set(const struct vcpu_debug *d)
{
	struct err e = ERR_INIT;

	g_check(vcpu_debug_set(&guest.vm->vcpus[0], d, &e), &e);
}

static inline void d_set_nothing(void)
{
	static const struct vcpu_debug nothing;

	d_set(&nothing);
}

static inline const struct x86_vcpu *d_state(void)
{
	struct err e = ERR_INIT;

	g_check(vcpu_get_state(&guest.vm->vcpus[0], &e), &e);
	return guest.vm->vcpus[0].state;
}

/* Puts the guest to its begin in environment @env, with nothing set. */
static inline void d_start(unsigned env, const char *code, size_t len,
			   void (*tweak)(struct guest *g, struct x86_vcpu *s))
{
	struct err e = ERR_INIT;

	guest.mode = d_env[env].mode;
	guest.cpl = guest.mode == G_VM86 ? 3 : d_env[env].cpl;
	guest.code = (const uint8_t *)code;
	guest.len = len;
	guest.tweak = tweak;
	guest.requested = false;
	if (guest.vm->phase == VM_RUNNING)
		vm_pause(guest.vm); /* a test before this one failed */
	g_check(vm_reset(guest.vm, &e), &e);
	d_set_nothing();
}
#define D_START(env, code, tweak) d_start(env, code, sizeof(code) - 1, tweak)

/* Lets it go on to the next stop; NULL: it ended, and guest_end says how. */
static inline const struct debug_stop *d_go(void)
{
	uint64_t limit = sys_now_ns() + UINT64_C(20000000000);

	guest_stopped = false;
	vm_run(guest.vm);
	while (!guest_stopped && !guest.requested) {
		loop_step(guest.loop, 100);
		if (sys_now_ns() > limit)
			fail_msg("the guest neither stopped nor halted");
	}
	if (guest_stopped)
		return &guest.vm->vcpus[0].debug_stop;
	vm_pause(guest.vm);
	guest_end = (struct g_end){.vector = G_LOST, .s = *d_state()};
	g_judge(&guest, &guest_end);
	return NULL;
}

/* It stops at once more, for @why, at @behind bytes from the begin of its code. */
static inline const struct debug_stop *d_stops(enum debug_why why, unsigned behind)
{
	const struct debug_stop *s = d_go();

	if (!s) {
		char how[48];

		g_describe(&guest_end, how);
		fail_msg("in %s at CPL %u: the guest ended with %s, rip %llx: %s",
			 g_mode_name[guest.mode], guest.cpl, how,
			 (unsigned long long)guest_end.s.rip, guest.request.text);
	}
	if (s->why != why || s->pc != G_CODE + behind)
		fail_msg("in %s at CPL %u: it stopped for %d at %llx, not for %d at %x",
			 g_mode_name[guest.mode], guest.cpl, (int)s->why, (unsigned long long)s->pc,
			 (int)why, G_CODE + behind);
	assert_true(d_state()->rip == s->pc);
	return s;
}

/* It goes on to the end, which is @how. */
static inline void d_ends(unsigned vector)
{
	const struct debug_stop *s = d_go();
	char how[48];

	if (s)
		fail_msg("in %s at CPL %u: it stopped for %d at %llx", g_mode_name[guest.mode],
			 guest.cpl, (int)s->why, (unsigned long long)s->pc);
	g_describe(&guest_end, how);
	if (guest_end.vector != vector)
		fail_msg("in %s at CPL %u: the guest ended with %s, not %x; rip %llx",
			 g_mode_name[guest.mode], guest.cpl, how, vector,
			 (unsigned long long)guest_end.s.rip);
}

static inline void d_env_add(enum g_mode mode, unsigned cpl)
{
	d_env[d_envs].mode = mode;
	d_env[d_envs++].cpl = cpl;
}

/* Of all, with a debugger attached. */
static inline void d_init(const struct accel_ops *accel)
{
	static const uint8_t nop[] = {0x90};

	g_init(&guest, accel);
	vm_debug_attach(guest.vm, d_on_debug, NULL);
	/* A vCPU's first state may leave out debug registers: after this it is not the first. */
	(void)g_run(&guest, G_REAL, 0, nop, 1, NULL);
}

#define D_SKIP_IF(what, why)                                  \
	do {                                                  \
		if (what) {                                   \
			printf("NOTE: not tried: " why "\n"); \
			skip();                               \
		}                                             \
	} while (0)
#define D_NEEDS_PROCESSOR()                                                               \
	D_SKIP_IF(d_emulated, "KVM's emulator has neither data breakpoints nor INT3 for " \
			      "debuggers")
#define D_NEEDS_REAL_ONE() \
	D_SKIP_IF(d_tcg, "under QEMU's emulation KVM gets neither DR7 nor INT3 of guests")

/* Tests that hold for every accelerator. --------------------------------------------------- */

static void a_step_stops_after_each_instruction(void **state)
{
	const struct vcpu_debug step = {.step = true};

	(void)state;
	for (unsigned k = 0; k < d_envs; k++) {
		/* nop; add al, 1; mov [data], al; add al, 1 */
		D_START(k, "\x90\x04\x01\x88\x03\x04\x01", g_eax);
		d_set(&step);
		(void)d_stops(DEBUG_STEPPED, 1);
		assert_int_equal(d_state()->gpr[X86_RAX] & 0xff, 0);
		(void)d_stops(DEBUG_STEPPED, 3);
		assert_int_equal(d_state()->gpr[X86_RAX] & 0xff, 1);
		assert_int_equal(g_get(&guest, G_DATA, 1), 0);
		(void)d_stops(DEBUG_STEPPED, 5);
		assert_int_equal(g_get(&guest, G_DATA, 1), 1);
		assert_false(d_state()->rflags & 0x100); /* TF is not the guest's */
		d_set_nothing();
		d_ends(G_RAN);
		assert_int_equal(guest_end.s.gpr[X86_RAX] & 0xff, 2);
	}
}

static void what_is_set_stays_set_when_the_registers_are(void **state)
{
	const struct vcpu_debug step = {.step = true};
	struct err e = ERR_INIT;

	(void)state;
	for (unsigned k = 0; k < d_envs; k++) {
		D_START(k, "\x90\x90\x90", NULL);
		d_set(&step);
		(void)d_stops(DEBUG_STEPPED, 1);
		(void)d_stops(DEBUG_STEPPED, 2);
		d_set(&step); /* here, and then it goes on from elsewhere */
		g_check(vm_reset(guest.vm, &e), &e);
		(void)d_stops(DEBUG_STEPPED, 1);
		(void)d_stops(DEBUG_STEPPED, 2);
		d_set_nothing();
		d_ends(G_RAN);
	}
}

static void a_breakpoint_stops_before_its_instruction_each_time(void **state)
{
	const struct vcpu_debug d = {
		.n = 2, .point = {{G_STOP, 1, DEBUG_EXEC}, {G_CODE + 3, 1, DEBUG_EXEC}}};
	const struct vcpu_debug step = {.step = true, .n = 1, .point = {{G_STOP, 1, DEBUG_EXEC}}};

	(void)state;
	D_NEEDS_REAL_ONE();
	for (unsigned k = 0; k < d_envs; k++) {
		/* again: nop; add al, 1; add al, 1; jmp again */
		D_START(k, "\x90\x04\x01\x04\x01\xeb\xf9", g_eax);
		d_set(&d);
		for (unsigned round = 0; round < 3; round++) {
			const struct debug_stop *s = d_stops(DEBUG_POINT, 3);

			assert_int_equal(s->point, 1);
			assert_int_equal(s->addr, G_CODE + 3);
			assert_int_equal(d_state()->gpr[X86_RAX] & 0xff, 2 * round + 1);
			d_set(&step);
			(void)d_stops(DEBUG_STEPPED, 5);
			d_set(&d);
		}
		d_set_nothing();
	}
}

static void a_watchpoint_stops_behind_a_write_and_not_behind_a_read(void **state)
{
	const struct vcpu_debug d = {.n = 3,
				     .point = {{G_STOP, 1, DEBUG_EXEC},
					       {G_DATA + 8, 4, DEBUG_WRITE},
					       {G_DATA, 2, DEBUG_WRITE}}};

	(void)state;
	D_NEEDS_REAL_ONE();
	D_NEEDS_PROCESSOR();
	for (unsigned k = 0; k < d_envs; k++) {
		const struct debug_stop *s;

		/* mov al, [data]; mov al, [data+1]; mov [data+2], al; mov [data+1], al; nop;
		 * mov [data+11], al; nop */
		D_START(k, "\x8a\x03\x8a\x43\x01\x88\x43\x02\x88\x43\x01\x90\x88\x43\x0b\x90",
			g_eax);
		d_set(&d);
		s = d_stops(DEBUG_POINT, 11);
		assert_int_equal(s->point, 2);
		assert_in_range(s->addr, G_DATA, G_DATA + 1);
		s = d_stops(DEBUG_POINT, 15);
		assert_int_equal(s->point, 1);
		assert_in_range(s->addr, G_DATA + 8, G_DATA + 11);
		d_ends(G_RAN);
	}
}

static void an_access_watchpoint_stops_behind_a_read_too(void **state)
{
	const struct vcpu_debug d = {.n = 1, .point = {{G_DATA, 1, DEBUG_ACCESS}}};

	(void)state;
	D_NEEDS_REAL_ONE();
	D_NEEDS_PROCESSOR();
	for (unsigned k = 0; k < d_envs; k++) {
		/* mov al, [data]; nop; mov [data], al; nop */
		D_START(k, "\x8a\x03\x90\x88\x03\x90", g_eax);
		d_set(&d);
		(void)d_stops(DEBUG_POINT, 2);
		(void)d_stops(DEBUG_POINT, 5);
		d_ends(G_RAN);
	}
}

static void int3_stops_where_it_stands_and_the_guests_own_is_given_back(void **state)
{
	const struct vcpu_debug software = {.software = true},
				pass = {.software = true, .pass = true};

	(void)state;
	D_NEEDS_PROCESSOR();
	D_NEEDS_REAL_ONE();
	for (unsigned k = 0; k < d_envs; k++) {
		D_START(k, "\x90\xcc\x90", NULL);
		d_set(&software);
		(void)d_stops(DEBUG_SOFTWARE, 1);
		(void)d_stops(DEBUG_SOFTWARE, 1); /* it is still there */
		d_set(&pass);
		d_ends(3);
		assert_int_equal(guest_end.rip, G_CODE + 2);
	}
}

static void with_own(struct guest *g, struct x86_vcpu *s)
{
	(void)g;
	s->dr[0] = G_CODE + 1;
	s->dr7 |= 2; /* G0: execution */
}

static void int3_and_debug_registers_are_the_guests_when_nobody_asks(void **state)
{
	const struct vcpu_debug d = {
		.step = true, .software = true, .n = 1, .point = {{G_DATA, 1, DEBUG_WRITE}}};

	(void)state;
	D_NEEDS_REAL_ONE();
	for (unsigned k = 0; k < d_envs; k++) {
		D_START(k, "\x90\xcc\x90", NULL);
		d_ends(3);
		D_START(k, "\x90\x90\x90", with_own);
		d_ends(1);
		assert_int_equal(guest_end.rip, G_CODE + 1);
		assert_int_equal(guest_end.s.dr6 & 15, 1);
		/* Nor does anything stay behind of a debugger that was there. */
		D_START(k, "\x90\xcc\x90", NULL);
		d_set(&d);
		d_set_nothing();
		d_ends(3);
		assert_int_equal(guest_end.s.dr7 & 0xff, 0);
	}
}

static void points_that_this_host_cannot_have_are_refused_in_words(void **state)
{
	struct vcpu_debug d = {.n = 0};
	struct debug_limits l;
	struct err e = ERR_INIT;

	(void)state;
	g_check(vm_debug_limits(guest.vm, &l, &e), &e);
	assert_true(l.step && l.software && l.exec && l.watch);
	for (d.n = 0; d.n < l.exec && d.n < DEBUG_POINTS; d.n++)
		d.point[d.n] = (struct debug_point){G_CODE + 64 + d.n, 1, DEBUG_EXEC};
	d_set(&d);
	d.n++;
	assert_int_equal(vcpu_debug_set(&guest.vm->vcpus[0], &d, &e), -ENOSPC);
	assert_non_null(strstr(e.msg, "too many"));
	d.n = 1;
	d.point[0] = (struct debug_point){G_DATA, 2 * l.watch_len, DEBUG_WRITE};
	assert_int_equal(vcpu_debug_set(&guest.vm->vcpus[0], &d, &e), -EINVAL);
	d_set_nothing();
}

#define D_COMMON                                                                               \
	cmocka_unit_test(a_step_stops_after_each_instruction),                                 \
		cmocka_unit_test(what_is_set_stays_set_when_the_registers_are),                \
		cmocka_unit_test(a_breakpoint_stops_before_its_instruction_each_time),         \
		cmocka_unit_test(a_watchpoint_stops_behind_a_write_and_not_behind_a_read),     \
		cmocka_unit_test(an_access_watchpoint_stops_behind_a_read_too),                \
		cmocka_unit_test(int3_stops_where_it_stands_and_the_guests_own_is_given_back), \
		cmocka_unit_test(int3_and_debug_registers_are_the_guests_when_nobody_asks),    \
		cmocka_unit_test(points_that_this_host_cannot_have_are_refused_in_words)

#endif
