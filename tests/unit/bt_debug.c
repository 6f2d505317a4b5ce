/* A debugger and the software CPU: in every mode, and beside the guest's own means. */
#include "debug_guest.h"

#define FLAG_TF 0x100u

static const struct vcpu_debug step = {.step = true};

static void a_step_over_a_fault_ends_at_its_handler(void **state)
{
	const struct debug_stop *s;

	(void)state;
	for (unsigned k = 0; k < d_envs; k++) {
		D_START(k, "\x90\x0f\x0b", NULL);
		d_set(&step);
		(void)d_stops(DEBUG_STEPPED, 1);
		s = d_go();
		assert_non_null(s);
		assert_int_equal(s->why, DEBUG_STEPPED);
		assert_int_equal(s->pc, G_HLTS + 6 * 16);
		d_set_nothing();
		d_ends(6);
	}
}

static void the_guests_own_steps_and_breakpoints_go_on_beside_the_debuggers(void **state)
{
	const struct vcpu_debug d = {.step = true, .n = 1, .point = {{G_DATA, 1, DEBUG_WRITE}}};
	const struct debug_stop *s;

	(void)state;
	for (unsigned k = 0; k < d_envs; k++) {
		guest.arg = FLAG_TF;
		D_START(k, "\x90\x90", g_flags);
		d_set(&d);
		s = d_go(); /* the trap of the first NOP is delivered: the step is at its handler */
		assert_non_null(s);
		assert_int_equal(s->pc, G_HLTS + 16);
		d_set_nothing();
		d_ends(1);
		assert_int_equal(guest_end.rip, G_CODE + 1);
		assert_int_equal(guest_end.s.dr6, 0xffff4ff0);

		D_START(k, "\x90\x90\x90", with_own);
		d_set(&(const struct vcpu_debug){.n = 1, .point = {{G_CODE + 1, 1, DEBUG_EXEC}}});
		(void)d_stops(DEBUG_POINT, 1);
		d_set_nothing();
		d_ends(1);
		assert_int_equal(guest_end.rip, G_CODE + 1);
		assert_int_equal(guest_end.s.dr6, 0xffff0ff1);
	}
}

static void the_guest_does_not_see_that_it_is_stepped(void **state)
{
	const struct vcpu_debug d = {.step = true, .n = 1, .point = {{G_STOP, 1, DEBUG_EXEC}}};

	(void)state;
	for (unsigned k = 0; k < d_envs; k++) {
		D_START(k, "\x9c\x90", NULL); /* pushf */
		d_set(&d);
		(void)d_stops(DEBUG_STEPPED, 1);
		assert_int_equal(g_get(&guest, d_state()->gpr[X86_RSP], 2) & FLAG_TF, 0);
		assert_int_equal(d_state()->dr7, 0x400);
		assert_int_equal(d_state()->dr6, 0xffff0ff0);
		d_set_nothing();
		d_ends(G_RAN);
	}
}

static void reads_can_be_watched_alone_and_whole_pages(void **state)
{
	const struct vcpu_debug read = {.n = 1, .point = {{G_DATA, 1, DEBUG_READ}}};
	const struct vcpu_debug page = {.n = 1, .point = {{G_DATA, 4096, DEBUG_WRITE}}};
	const struct debug_stop *s;

	(void)state;
	for (unsigned k = 0; k < d_envs; k++) {
		/* mov [data], al; nop; mov al, [data]; nop */
		D_START(k, "\x88\x03\x90\x8a\x03\x90", g_eax);
		d_set(&read);
		(void)d_stops(DEBUG_POINT, 5);
		d_ends(G_RAN);
		D_START(k, "\x88\x43\x55\x90", g_eax); /* mov [data+55h], al */
		d_set(&page);
		s = d_stops(DEBUG_POINT, 3);
		assert_int_equal(s->addr, G_DATA + 0x55);
		d_ends(G_RAN);
	}
}

static void with_count(struct guest *g, struct x86_vcpu *s)
{
	s->gpr[X86_RAX] = g->arg;
	s->gpr[X86_RCX] = 8;
}

static void a_string_stops_between_its_iterations(void **state)
{
	const struct vcpu_debug d = {.n = 1, .point = {{G_DATA + 4, 1, DEBUG_WRITE}}};
	const struct debug_stop *s;

	(void)state;
	for (unsigned k = 0; k < d_envs; k++) {
		guest.arg = 0x55;
		D_START(k, "\xfc\xf3\xaa\x90", with_count); /* cld; rep stosb; nop */
		d_set(&d);
		s = d_go();
		assert_non_null(s);
		assert_int_equal(s->why, DEBUG_POINT);
		assert_int_equal(s->pc, G_CODE + 1);
		assert_int_equal(d_state()->gpr[X86_RCX], 3);
		assert_int_equal(g_get(&guest, G_DATA + 5, 1), 0);
		d_ends(G_RAN);
	}
}

static void interrupts_wait_while_the_guest_is_stepped(void **state)
{
	struct err e = ERR_INIT;

	(void)state;
	for (unsigned k = 0; k < d_envs; k++) {
		D_START(k, "\x90\x90\x90", NULL);
		d_set(&step);
		g_check(guest.vm->accel->vcpu_nmi(&guest.vm->vcpus[0], &e), &e);
		(void)d_stops(DEBUG_STEPPED, 1);
		(void)d_stops(DEBUG_STEPPED, 2);
		d_set_nothing();
		d_ends(2);
		assert_int_equal(guest_end.rip, G_CODE + 2);
	}
}

static int setup(void **state)
{
	(void)state;
	d_env_add(G_REAL, 0);
	d_env_add(G_PROT16, 0);
	d_env_add(G_PROT, 0);
	d_env_add(G_PROT, 3);
	d_env_add(G_COMPAT, 3);
	d_env_add(G_LONG, 0);
	d_env_add(G_LONG, 3);
	d_init(&accel_bt);
	return 0;
}

static int teardown(void **state)
{
	(void)state;
	g_exit(&guest);
	return 0;
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		D_COMMON,
		cmocka_unit_test(a_step_over_a_fault_ends_at_its_handler),
		cmocka_unit_test(the_guests_own_steps_and_breakpoints_go_on_beside_the_debuggers),
		cmocka_unit_test(the_guest_does_not_see_that_it_is_stepped),
		cmocka_unit_test(reads_can_be_watched_alone_and_whole_pages),
		cmocka_unit_test(a_string_stops_between_its_iterations),
		cmocka_unit_test(interrupts_wait_while_the_guest_is_stepped),
	};

	return cmocka_run_group_tests(tests, setup, teardown);
}
