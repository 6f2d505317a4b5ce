/* VM time on the host's clock: timers come through the event loop, and a pause stops time. */
#include "fake_vm.h"

#include "base/sys.h"

/* The fake accelerator with a clock that runs by itself. */
static struct accel_ops real_time;

static struct vm *vm_with_real_time(void)
{
	struct err e = ERR_INIT;
	struct vm_options o = {
		.name = "fake", .arch = &fake_arch, .accel = &real_time, .n_vcpus = 1};
	struct vm *vm;

	real_time = fake_accel;
	real_time.manual_clock = false;
	memset(&fake, 0, sizeof(fake));
	o.loop = loop_new(&e);
	assert_non_null(o.loop);
	assert_int_equal(vm_new(&o, &vm, &e), 0);
	return vm;
}

static void arm(struct regs *r, uint64_t when)
{
	device_lock(&r->dev);
	timer_arm(&r->timer, when);
	device_unlock(&r->dev);
}

static void a_timer_fires_through_the_loop_when_it_is_due(void **state)
{
	struct vm *vm = vm_with_real_time();
	struct regs *r = regs_new(vm, 0x1000);

	(void)state;
	clock_start(&vm->clock);
	arm(r, clock_now(&vm->clock) + 2000000);
	while (!r->fired)
		loop_step(vm->loop, -1);
	assert_true(clock_now(&vm->clock) >= 2000000);
	arm(r, 0); /* in the past: at once */
	while (r->fired < 2)
		loop_step(vm->loop, -1);
	fake_vm_free(vm);
}

static void time_stands_still_while_the_clock_is_stopped(void **state)
{
	struct vm *vm = vm_with_real_time();
	struct regs *r = regs_new(vm, 0x1000);
	uint64_t then;

	(void)state;
	clock_start(&vm->clock);
	arm(r, clock_now(&vm->clock) + 1000000);
	clock_stop(&vm->clock);
	then = clock_now(&vm->clock);
	loop_step(vm->loop, 5);
	assert_int_equal(r->fired, 0);
	assert_int_equal(clock_now(&vm->clock), then);
	clock_start(&vm->clock);
	while (!r->fired)
		loop_step(vm->loop, -1);
	fake_vm_free(vm);
}

static void again_and_again(struct device *d)
{
	struct regs *r = (struct regs *)d;

	r->fired++;
	timer_arm(&r->timer, 0);
}

static void stop_loop(struct loop_post *p);
static struct loop *stopping;
static struct loop_post stop_post = {.fn = stop_loop};

static void stop_loop(struct loop_post *p)
{
	(void)p;
	loop_stop(stopping);
}

static void a_timer_that_is_always_due_does_not_starve_the_loop(void **state)
{
	struct vm *vm = vm_with_real_time();
	struct regs *r = regs_new(vm, 0x1000);

	(void)state;
	r->timer.fn = again_and_again;
	clock_start(&vm->clock);
	arm(r, 0);
	loop_step(vm->loop, 100);
	assert_true(r->fired > 0);
	stopping = vm->loop;
	loop_post(vm->loop, &stop_post);
	loop_run(vm->loop); /* comes back: the post had its turn */
	fake_vm_free(vm);
}

static void wall_time_is_the_hosts(void **state)
{
	struct vm *vm = vm_with_real_time();
	int64_t now = time(NULL);

	(void)state;
	assert_in_range(clock_wall(&vm->clock) / 1000000000, now - 2, now + 2);
	fake_vm_free(vm);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(a_timer_fires_through_the_loop_when_it_is_due),
		cmocka_unit_test(time_stands_still_while_the_clock_is_stopped),
		cmocka_unit_test(a_timer_that_is_always_due_does_not_starve_the_loop),
		cmocka_unit_test(wall_time_is_the_hosts),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
