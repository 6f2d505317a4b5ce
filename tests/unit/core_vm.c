/* The VM's life, vCPU threads, requests, interrupt wires and VM time. */
#include "fake_vm.h"

static void two_devices_share_a_pin_and_neither_takes_it_from_the_other(void **state)
{
	struct vm *vm = fake_vm_new(1);
	struct err e = ERR_INIT;
	struct irq a, b;

	(void)state;
	assert_int_equal(irq_connect(vm->irqchip, 4, &a, &e), 0);
	assert_int_equal(irq_connect(vm->irqchip, 4, &b, &e), 0);
	irq_set(a, true);
	irq_set(b, true);
	irq_set(a, false);
	assert_true(fake.level[4]);
	irq_set(b, false);
	assert_false(fake.level[4]);
	assert_int_equal(fake.edges[4], 1);
	irq_set((struct irq){0}, true);
	assert_int_equal(irq_connect(vm->irqchip, 31, &a, &e), 0);
	assert_int_equal(irq_connect(vm->irqchip, 32, &a, &e), -ERANGE);
	assert_string_equal(e.msg, "interrupt 32 does not exist (0 to 31)");
	fake_vm_free(vm);
}

static void the_owner_of_a_pin_is_the_only_one_who_counts(void **state)
{
	struct vm *vm = fake_vm_new(1);
	struct err e = ERR_INIT;
	struct irq a, b;

	(void)state;
	assert_int_equal(irq_connect(vm->irqchip, 8, &a, &e), 0);
	assert_int_equal(irq_connect(vm->irqchip, 8, &b, &e), 0);
	irq_set(a, true);
	irq_own(b, true);
	assert_false(fake.level[8]);
	irq_set(a, false);
	irq_set(a, true);
	assert_false(fake.level[8]);
	irq_pulse(b);
	assert_int_equal(fake.edges[8], 2);
	irq_own(b, true);
	irq_own(b, false); /* what was said meanwhile counts again */
	assert_true(fake.level[8]);
	assert_int_equal(fake.edges[8], 3);
	irqchip_reset(vm->irqchip);
	assert_false(fake.level[8]);
	irq_own((struct irq){0}, true);
	fake_vm_free(vm);
}

static void timers_fire_in_order_and_only_when_due(void **state)
{
	struct vm *vm = fake_vm_new(1);
	struct regs *a = regs_new(vm, 0x1000), *b = regs_new(vm, 0x2000);

	(void)state;
	device_lock(&a->dev);
	timer_arm(&a->timer, 100);
	device_unlock(&a->dev);
	device_lock(&b->dev);
	timer_arm(&b->timer, 50);
	device_unlock(&b->dev);
	clock_step(&vm->clock, 49);
	assert_int_equal(a->fired + b->fired, 0);
	clock_step(&vm->clock, 1);
	assert_int_equal(b->fired, 1);
	assert_int_equal(a->fired, 0);
	device_lock(&a->dev);
	timer_cancel(&a->timer);
	assert_false(timer_pending(&a->timer));
	device_unlock(&a->dev);
	clock_step(&vm->clock, 1000);
	assert_int_equal(a->fired, 0);
	assert_int_equal(clock_now(&vm->clock), 1050);
	fake_vm_free(vm);
}

static void add_here(struct vcpu *v, void *arg)
{
	assert_ptr_equal(vcpu_current(), v);
	*(unsigned *)arg += v->index + 1;
}

static void a_vm_runs_pauses_and_runs_again_under_calls(void **state)
{
	struct vm *vm = fake_vm_new(3);
	struct err e = ERR_INIT;
	unsigned sum = 0;

	(void)state;
	assert_int_equal(vm_start_vcpus(vm, &e), 0);
	assert_int_equal(vm_reset(vm, &e), 0);
	for (unsigned round = 0; round < 20; round++) {
		vm_run(vm);
		for (unsigned i = 0; i < 3; i++)
			assert_int_equal(vcpu_call(&vm->vcpus[i], add_here, &sum), 0);
		vm_pause(vm);
		uint64_t entries = atomic_load(&vm->vcpus[0].entries);
		for (unsigned i = 0; i < 3; i++)
			assert_int_equal(vcpu_call(&vm->vcpus[i], add_here, &sum), 0);
		assert_int_equal(atomic_load(&vm->vcpus[0].entries), entries);
	}
	assert_int_equal(sum, 20 * 2 * (1 + 2 + 3));
	fake_vm_free(vm);
}

static struct vm_request last;

static void on_request(struct vm *vm, const struct vm_request *r, void *arg)
{
	(void)arg;
	last = *r;
	loop_stop(vm->loop);
}

static void a_vcpu_that_stops_for_good_reports_why(void **state)
{
	static const struct {
		enum vcpu_stop stop;
		enum vm_event event;
	} cases[] = {{VCPU_SHUTDOWN, VM_EVENT_CRASH},
		     {VCPU_HALTED, VM_EVENT_OFF},
		     {VCPU_BROKEN, VM_EVENT_BROKEN}};

	(void)state;
	for (unsigned i = 0; i < ARRAY_LEN(cases); i++) {
		struct vm *vm = fake_vm_new(2);
		struct err e = ERR_INIT;

		vm->on_request = on_request;
		fake.stop = cases[i].stop;
		assert_int_equal(vm_start_vcpus(vm, &e), 0);
		assert_int_equal(vm_reset(vm, &e), 0);
		vm_run(vm);
		loop_run(vm->loop);
		assert_int_equal(last.event, cases[i].event);
		vm_pause(vm);
		assert_int_equal(vm_reset(vm, &e), 0);
		fake_vm_free(vm);
	}
}

static void a_vcpu_that_cannot_be_made_fails_the_start_by_name(void **state)
{
	struct vm *vm = fake_vm_new(3);
	struct err e = ERR_INIT;

	(void)state;
	fake.fail_vcpu = -EMFILE;
	assert_int_equal(vm_start_vcpus(vm, &e), 0);
	assert_int_equal(vm_reset(vm, &e), -EMFILE);
	assert_string_equal(e.msg, "no vCPU today");
	assert_int_equal(vcpu_call(&vm->vcpus[1], add_here, NULL), -ESRCH);
	fake_vm_free(vm);
}

static uint64_t entries_of_all(struct vm *vm)
{
	uint64_t n = 0;

	for (unsigned i = 0; i < vm->n_vcpus; i++)
		n += atomic_load(&vm->vcpus[i].entries);
	return n;
}

static void no_vcpu_runs_before_the_last_one_is_there_and_then_all_do(void **state)
{
	struct timespec ts = {0, 5000000};
	struct vm *vm = fake_vm_new(3);
	struct err e = ERR_INIT;

	(void)state;
	atomic_store(&fake.hold_vcpu, true);
	assert_int_equal(vm_start_threads(vm, &e), 0);
	assert_int_equal(vm_start_vcpus(vm, &e), 0);
	assert_int_equal(vm_prepare(vm, &e), 0);
	vm_run(vm);
	nanosleep(&ts, NULL);
	assert_int_equal(atomic_load(&fake.puts), 0);
	assert_int_equal(entries_of_all(vm), 0);
	atomic_store(&fake.hold_vcpu, false);
	assert_int_equal(vm_settle(vm, &e), 0);
	assert_int_equal(atomic_load(&fake.puts), 3);
	for (unsigned i = 0; i < 3; i++)
		while (!atomic_load(&vm->vcpus[i].entries))
			nanosleep(&ts, NULL);
	vm_pause(vm);
	fake_vm_free(vm);
}

static void a_vcpu_that_fails_keeps_the_others_out_of_the_guest(void **state)
{
	(void)state;
	for (unsigned put = 0; put < 2; put++) {
		struct vm *vm = fake_vm_new(3);
		struct err e = ERR_INIT;

		if (put)
			fake.fail_put = -EINVAL;
		else
			fake.fail_vcpu = -EMFILE;
		assert_int_equal(vm_start_vcpus(vm, &e), 0);
		assert_int_equal(vm_prepare(vm, &e), 0);
		vm_run(vm);
		assert_int_equal(vm_settle(vm, &e), put ? -EINVAL : -EMFILE);
		assert_string_equal(e.msg, put ? "cpu1: no state today" : "no vCPU today");
		assert_int_equal(entries_of_all(vm), 0);
		vm_stop(vm);
		assert_int_equal(entries_of_all(vm), 0);
		fake_vm_free(vm);
	}
}

static void threads_that_are_never_told_to_make_a_vcpu_end_with_the_vm(void **state)
{
	struct vm *vm = fake_vm_new(3);
	struct err e = ERR_INIT;

	(void)state;
	assert_int_equal(vm_start_threads(vm, &e), 0);
	fake_vm_free(vm);
}

static struct {
	unsigned index[8];
	_Atomic unsigned n;
} made;

/* The higher the number, the faster. */
static int note_vcpu(struct vcpu *v, struct err *e)
{
	struct timespec ts = {0, (long)(8 - v->index) * 2000000};

	nanosleep(&ts, NULL);
	made.index[atomic_fetch_add(&made.n, 1)] = v->index;
	return fake_vcpu_init(v, e);
}

static void vcpus_are_made_in_order_where_the_accelerator_needs_it(void **state)
{
	struct accel_ops ordered = fake_accel;
	struct vm *vm = fake_vm_new(8);
	struct err e = ERR_INIT;

	(void)state;
	ordered.in_order = true;
	ordered.vcpu_init = note_vcpu;
	vm->accel = &ordered;
	fake.fail_vcpu = -EMFILE; /* and those behind one that fails do not wait for ever */
	assert_int_equal(vm_start_vcpus(vm, &e), 0);
	assert_int_equal(vm_reset(vm, &e), -EMFILE);
	fake_vm_free(vm);
	assert_int_equal(made.n, 8);
	for (unsigned i = 0; i < 8; i++)
		assert_int_equal(made.index[i], i);
}

static void the_first_request_wins_until_it_is_taken(void **state)
{
	struct vm *vm = fake_vm_new(1);

	(void)state;
	vm->on_request = on_request;
	vm_request(vm, VM_EVENT_OFF, 0, "first");
	vm_request(vm, VM_EVENT_EXIT, 7, "second");
	loop_run(vm->loop);
	assert_int_equal(last.event, VM_EVENT_OFF);
	assert_string_equal(last.text, "first");
	vm_request(vm, VM_EVENT_EXIT, 7, "third");
	loop_run(vm->loop);
	assert_int_equal(last.code, 7);
	fake_vm_free(vm);
}

static void a_back_end_is_found_by_kind_and_name(void **state)
{
	struct vm *vm = fake_vm_new(1);
	struct err e = ERR_INIT;
	int x;

	(void)state;
	assert_int_equal(vm_add_backend(vm, "chardev", "serial0", &x, NULL, &e), 0);
	assert_ptr_equal(vm_find_backend(vm, "chardev", "serial0"), &x);
	assert_null(vm_find_backend(vm, "net", "serial0"));
	assert_int_equal(vm_add_backend(vm, "chardev", "serial0", &x, NULL, &e), -EEXIST);
	fake_vm_free(vm);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(two_devices_share_a_pin_and_neither_takes_it_from_the_other),
		cmocka_unit_test(the_owner_of_a_pin_is_the_only_one_who_counts),
		cmocka_unit_test(timers_fire_in_order_and_only_when_due),
		cmocka_unit_test(a_vm_runs_pauses_and_runs_again_under_calls),
		cmocka_unit_test(a_vcpu_that_stops_for_good_reports_why),
		cmocka_unit_test(a_vcpu_that_cannot_be_made_fails_the_start_by_name),
		cmocka_unit_test(no_vcpu_runs_before_the_last_one_is_there_and_then_all_do),
		cmocka_unit_test(a_vcpu_that_fails_keeps_the_others_out_of_the_guest),
		cmocka_unit_test(threads_that_are_never_told_to_make_a_vcpu_end_with_the_vm),
		cmocka_unit_test(vcpus_are_made_in_order_where_the_accelerator_needs_it),
		cmocka_unit_test(the_first_request_wins_until_it_is_taken),
		cmocka_unit_test(a_back_end_is_found_by_kind_and_name),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
