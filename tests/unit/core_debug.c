/* Debuggers and the VM: who is told what, and what is refused before an accelerator sees it. */
#include "fake_vm.h"

static struct vm *vm;
static unsigned told;
static struct vm_request last;

static void on_request(struct vm *of, const struct vm_request *r, void *arg)
{
	(void)arg;
	last = *r;
	loop_stop(of->loop);
}

static void on_debug(struct vm *of, void *arg)
{
	assert_ptr_equal(of, vm);
	vm_pause(of);
	*(unsigned *)arg += 1;
	loop_stop(of->loop);
}

/* A host with everything, as the software CPU's. */
static const struct debug_limits all = {.step = true,
					.software = true,
					.exec = 4,
					.watch = 4,
					.shared = true,
					.read = true,
					.exec_len = 1,
					.watch_len = 8};

static void start(const struct debug_limits *l)
{
	struct err e = ERR_INIT;

	vm = fake_vm_new(2);
	vm->on_request = on_request;
	fake.limits = *l;
	told = 0;
	assert_int_equal(vm_start_vcpus(vm, &e), 0);
	assert_int_equal(vm_reset(vm, &e), 0);
}

static void set(bool step)
{
	struct err e = ERR_INIT;

	assert_int_equal(vcpu_debug_set(&vm->vcpus[1], &(struct vcpu_debug){.step = step}, &e), 0);
}

static void who_is_attached_hears_of_each_stop_and_the_vm_goes_on(void **state)
{
	(void)state;
	start(&all);
	vm_debug_attach(vm, on_debug, &told);
	set(true);
	for (unsigned i = 1; i <= 10; i++) {
		vm_run(vm);
		loop_run(vm->loop);
		assert_int_equal(told, i);
		assert_int_equal(vm->vcpus[1].debug_stop.why, DEBUG_STEPPED);
		assert_true(vm->vcpus[1].debug_stop.pc == 0x1001);
		assert_int_equal(vm->vcpus[0].debug_stop.why, DEBUG_NOT_STOPPED);
	}
	set(false);
	assert_int_equal(vm->vcpus[1].debug_stop.why, DEBUG_NOT_STOPPED);
	fake_vm_free(vm);
}

static void a_stop_that_nobody_is_attached_for_is_an_error(void **state)
{
	(void)state;
	start(&all);
	set(true);
	vm_run(vm);
	loop_run(vm->loop);
	assert_int_equal(last.event, VM_EVENT_BROKEN);
	assert_string_equal(last.text, "cpu1: stopped at a breakpoint and no debugger is attached");
	vm_pause(vm);
	fake_vm_free(vm);
}

static void who_detaches_leaves_nothing_behind(void **state)
{
	uint64_t entries;

	(void)state;
	start(&all);
	vm_debug_attach(vm, on_debug, &told);
	set(true);
	vm_run(vm);
	loop_run(vm->loop);
	vm_debug_attach(vm, NULL, NULL);
	assert_false(fake.debug.step);
	entries = atomic_load(&vm->vcpus[1].entries);
	vm_run(vm);
	while (atomic_load(&vm->vcpus[1].entries) < entries + 10)
		loop_step(vm->loop, 1);
	assert_int_equal(told, 1);
	vm_pause(vm);
	fake_vm_free(vm);
}

static void what_a_host_cannot_do_is_refused_and_nothing_changes(void **state)
{
	static const struct debug_limits x86 = {
		.exec = 4, .watch = 4, .shared = true, .exec_len = 1, .watch_len = 8};
	static const struct debug_limits arm = {
		.step = true, .exec = 2, .watch = 1, .exec_len = 4, .watch_len = 16, .read = true};
	static const struct debug_limits brk = {.step = true, .software = true};
	static const struct {
		const struct debug_limits *limits;
		struct vcpu_debug d;
		int code;
		const char *msg;
	} cases[] = {
		{&x86, {.step = true}, -ENOTSUP, "guests cannot be stepped on this host"},
		{&arm,
		 {.software = true},
		 -ENOTSUP,
		 "there are no software breakpoints on this host"},
		{&x86, {.n = 33}, -ENOSPC, "33 breakpoints and watchpoints are too many: 32"},
		{&x86,
		 {.n = 5, .point = {{.len = 1}, {.len = 1}, {.len = 1}, {.len = 1}, {.len = 1}}},
		 -ENOSPC,
		 "5 breakpoints and watchpoints are too many: this host has 4"},
		{&arm,
		 {.n = 3, .point = {{.len = 4}, {.len = 4}, {.len = 4}}},
		 -ENOSPC,
		 "3 breakpoints are too many: this host has 2"},
		{&arm,
		 {.n = 2, .point = {{0, 4, DEBUG_WRITE}, {8, 4, DEBUG_READ}}},
		 -ENOSPC,
		 "2 watchpoints are too many: this host has 1"},
		{&brk, {.n = 1, .point = {{.len = 4}}}, -ENOTSUP, "this host has no breakpoints"},
		{&arm,
		 {.n = 1, .point = {{0x1000, 2, DEBUG_EXEC}}},
		 -EINVAL,
		 "a breakpoint at 0x1000 covers 4 bytes, not 2"},
		{&arm,
		 {.n = 1, .point = {{0x1002, 4, DEBUG_EXEC}}},
		 -EINVAL,
		 "a breakpoint of 4 bytes cannot be at 0x1002: not aligned"},
		{&x86,
		 {.n = 1, .point = {{0x1000, 4, DEBUG_READ}}},
		 -ENOTSUP,
		 "0x1000 cannot be watched for reads alone on this host"},
		{&x86,
		 {.n = 1, .point = {{0x1000, 0, DEBUG_WRITE}}},
		 -EINVAL,
		 "a watchpoint at 0x1000 covers a power of two of bytes, not 0"},
		{&x86,
		 {.n = 1, .point = {{0x1000, 3, DEBUG_WRITE}}},
		 -EINVAL,
		 "a watchpoint at 0x1000 covers a power of two of bytes, not 3"},
		{&x86,
		 {.n = 1, .point = {{0x1000, 16, DEBUG_ACCESS}}},
		 -EINVAL,
		 "a watchpoint at 0x1000 covers at most 8 bytes, not 16"},
		{&x86,
		 {.n = 1, .point = {{0x1004, 8, DEBUG_WRITE}}},
		 -EINVAL,
		 "a watchpoint of 8 bytes cannot be at 0x1004: not aligned"},
	};

	(void)state;
	for (size_t i = 0; i < ARRAY_LEN(cases); i++) {
		struct err e = ERR_INIT;

		start(cases[i].limits);
		fake.debug.n = 77;
		assert_int_equal(vcpu_debug_set(&vm->vcpus[1], &cases[i].d, &e), cases[i].code);
		assert_string_equal(e.msg, cases[i].msg);
		assert_int_equal(fake.debug.n, 77);
		fake_vm_free(vm);
	}
}

static void an_accelerator_without_means_says_so(void **state)
{
	const struct debug_limits none = {.step = false};
	struct debug_limits l;
	struct err e = ERR_INIT;

	(void)state;
	start(&none);
	assert_int_equal(vm_debug_limits(vm, &l, &e), -ENOTSUP);
	assert_string_equal(e.msg, "the accelerator \"fake\" cannot debug guests on this host");
	assert_int_equal(vcpu_debug_set(&vm->vcpus[0], &(struct vcpu_debug){.step = true}, &e),
			 -ENOTSUP);
	vm_debug_attach(vm, NULL, NULL);
	fake_vm_free(vm);
}

static void limits_are_shown_in_words(void **state)
{
	static const struct {
		struct debug_limits l;
		const char *text;
	} cases[] = {
		{{.step = false}, "none"},
		{{.step = true}, "single step"},
		{{.exec = 1, .watch = 2, .watch_len = 8},
		 "1 breakpoints, 2 watchpoints of up to 8 bytes"},
		{{.step = true,
		  .software = true,
		  .exec = 4,
		  .watch = 4,
		  .shared = true,
		  .watch_len = 8},
		 "single step, software breakpoints, 4 breakpoints or watchpoints of up to 8 "
		 "bytes"},
	};
	char text[160];

	(void)state;
	for (size_t i = 0; i < ARRAY_LEN(cases); i++) {
		debug_limits_show(&cases[i].l, text, sizeof(text));
		assert_string_equal(text, cases[i].text);
	}
	debug_limits_show(&cases[3].l, text, 20);
	assert_int_equal(strlen(text), 19);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(who_is_attached_hears_of_each_stop_and_the_vm_goes_on),
		cmocka_unit_test(a_stop_that_nobody_is_attached_for_is_an_error),
		cmocka_unit_test(who_detaches_leaves_nothing_behind),
		cmocka_unit_test(what_a_host_cannot_do_is_refused_and_nothing_changes),
		cmocka_unit_test(an_accelerator_without_means_says_so),
		cmocka_unit_test(limits_are_shown_in_words),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
