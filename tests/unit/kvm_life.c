/*
 * VMs under KVM come and go without a trace, vCPUs are kicked, paused and called at any moment, and
 * the probe says what this host can do.
 */
#include <dirent.h>
#include <semaphore.h>

#include "kvm_rig.h"

#include "accel/kvm/kvm.h"

static const uint8_t counter[] = {
	0x66, 0x43,	  /* 1: inc %ebx */
	0x66, 0x89, 0xd8, /* mov %ebx,%eax */
	0x66, 0xe7, 0x14, /* out %eax,$0x14 */
	0xeb, 0xf6,	  /* jmp 1b */
};

static const uint8_t spin[] = {
	0x66, 0xff, 0x06, 0x00, 0x20, /* 1: incl 0x2000 */
	0xeb, 0xf9,		      /* jmp 1b */
};

static const uint8_t two[] = {
	0x64, 0x66, 0xc7, 0x06, 0xf0, 0x00, 0xff, 0x01, 0x00, 0x00, /* movl $0x1ff,%fs:0xf0 */
	0x64, 0x66, 0xc7, 0x06, 0x00, 0x03, 0x00, 0x45, 0x0c, 0x00, /* movl $0x000c4500,%fs:0x300 */
	0x64, 0x66, 0xc7, 0x06, 0x00, 0x03, 0x02, 0x46, 0x0c, 0x00, /* movl $0x000c4602,%fs:0x300 */
	0x66, 0xff, 0x06, 0x00, 0x30,				    /* 1: incl 0x3000 */
	0xe6, 0x10,						    /* out %al,$0x10 */
	0xeb, 0xf7,						    /* jmp 1b */
};

static const uint8_t two_ap[] = {
	0x2e, 0x66, 0xf0, 0xff, 0x06, 0x00, 0x11, /* 1: lock incl %cs:0x1100 */
	0xe6, 0x11,				  /* out %al,$0x11 */
	0xeb, 0xf5,				  /* jmp 1b */
};

static const uint8_t spin_ap[] = {
	0x2e, 0x66, 0xf0, 0xff, 0x06, 0x00, 0x11, /* 1: lock incl %cs:0x1100 */
	0xeb, 0xf7,				  /* jmp 1b */
};

static unsigned open_files(void)
{
	DIR *d = opendir("/proc/self/fd");
	unsigned n = 0;

	assert_non_null(d);
	while (readdir(d))
		n++;
	closedir(d);
	return n;
}

/* A line of /proc/self/status in KiB, or 0. */
static unsigned long status_kib(const char *key)
{
	FILE *f = fopen("/proc/self/status", "r");
	char line[128];
	unsigned long v = 0;

	assert_non_null(f);
	while (fgets(line, sizeof(line), f))
		if (!strncmp(line, key, strlen(key)))
			v = strtoul(line + strlen(key), NULL, 10);
	fclose(f);
	return v;
}

static void start_and_stop(bool chips, enum irqchip_mode mode)
{
	struct rig r;

	rig_init(&r, &(struct rig_options){
			     .code = spin, .len = sizeof(spin), .chips = chips, .mode = mode});
	vm_run(r.vm);
	rig_exit(&r);
}

/* Sanitizers keep freed memory for a while; then only descriptors are counted. */
#if defined(__SANITIZE_ADDRESS__) || defined(__SANITIZE_THREAD__)
#define RSS_GROWTH_KIB 300000u
#else
#define RSS_GROWTH_KIB 2048u
#endif

static void a_thousand_vms_leave_no_descriptor_and_no_memory_behind(void **state)
{
	unsigned long rss, size;
	unsigned files;

	(void)state;
	for (unsigned i = 0; i < 20; i++)
		start_and_stop(i % 2, IRQCHIP_KERNEL);
	files = open_files();
	rss = status_kib("VmRSS:");
	size = status_kib("VmSize:");
	for (unsigned i = 0; i < 1000; i++)
		start_and_stop(i % 10 == 0, i % 20 ? IRQCHIP_SPLIT : IRQCHIP_KERNEL);
	assert_int_equal(open_files(), files);
	assert_in_range(status_kib("VmRSS:"), 0, rss + RSS_GROWTH_KIB);
	assert_in_range(status_kib("VmSize:"), 0, size + RSS_GROWTH_KIB);
}

static void read_counter(struct vcpu *v, void *arg)
{
	struct err e = ERR_INIT;

	if (v->vm->accel->state_get(v, &e))
		*(uint64_t *)arg = UINT64_MAX;
	else
		*(uint64_t *)arg = ((struct x86_vcpu *)v->state)->gpr[X86_RBX];
}

/* A kick that got lost would hang the call; one that broke an exit would break the sequence. */
static void calls_reach_a_vcpu_that_is_busy_with_exits(void **state)
{
	uint64_t last = 0, now;
	struct rig r;

	(void)state;
	rig_init(&r, &(struct rig_options){.code = counter, .len = sizeof(counter)});
	vm_run(r.vm);
	for (unsigned i = 0; i < 1000; i++) {
		assert_int_equal(vcpu_call(&r.vm->vcpus[0], read_counter, &now), 0);
		assert_true(now != UINT64_MAX && now >= last);
		last = now;
	}
	vm_pause(r.vm);
	for (unsigned i = 0; i < r.dev->n; i++)
		assert_int_equal(r.dev->log[i].val, i + 1);
	rig_exit(&r);
}

static void calls_reach_a_vcpu_that_never_exits_by_itself(void **state)
{
	struct err e = ERR_INIT;
	struct rig r;

	(void)state;
	rig_init(&r, &(struct rig_options){.code = spin, .len = sizeof(spin)});
	vm_run(r.vm);
	for (unsigned i = 0; i < 500; i++)
		rig_check(vcpu_get_state(&r.vm->vcpus[0], &e), &e);
	rig_exit(&r);
}

struct storm {
	struct vcpu *v;
	_Atomic bool end;
};

static void *kick_on(void *arg)
{
	struct storm *s = arg;

	while (!atomic_load(&s->end))
		s->v->vm->accel->vcpu_kick(s->v);
	return NULL;
}

/* The first state of a VM is got with a throw-away VM: kicks must not stop that half-way. */
static void the_state_is_got_in_a_storm_of_kicks(void **state)
{
	struct err e = ERR_INIT;

	(void)state;
	for (unsigned i = 0; i < 10; i++) {
		struct storm s = {.end = false};
		pthread_t thread;
		struct rig r;

		rig_init(&r, &(struct rig_options){.code = spin, .len = sizeof(spin)});
		vm_run(r.vm);
		s.v = &r.vm->vcpus[0];
		assert_int_equal(pthread_create(&thread, NULL, kick_on, &s), 0);
		rig_check(vcpu_get_state(s.v, &e), &e);
		atomic_store(&s.end, true);
		pthread_join(thread, NULL);
		rig_exit(&r);
	}
}

static void apic_window(struct rig *r, struct x86_vcpu *s, unsigned index)
{
	(void)r;
	(void)index;
	s->seg[X86_FS].base = X86_LAPIC_ADDR;
}

static uint32_t word_at(struct rig *r, gpa_t pa)
{
	uint32_t v;

	assert_int_equal(as_read(&r->vm->mem, pa, &v, sizeof(v)), IO_OK);
	return v;
}

static void a_paused_vm_stands_still_and_goes_on_with_both_cpus(void **state)
{
	struct rig r;

	(void)state;
	rig_init(&r, &(struct rig_options){.code = two,
					   .len = sizeof(two),
					   .cpus = 2,
					   .chips = true,
					   .mode = IRQCHIP_KERNEL,
					   .tweak = apic_window});
	assert_int_equal(as_load(&r.vm->mem, 0x2000, two_ap, sizeof(two_ap)), IO_OK);
	vm_run(r.vm);
	while (!word_at(&r, 0x3100))
		loop_step(r.loop, 1);
	for (unsigned i = 0; i < 100; i++) {
		uint32_t a, b;

		vm_pause(r.vm);
		a = word_at(&r, 0x3000);
		b = word_at(&r, 0x3100);
		loop_step(r.loop, i % 10 == 0);
		assert_int_equal(word_at(&r, 0x3000), a);
		assert_int_equal(word_at(&r, 0x3100), b);
		vm_run(r.vm);
		while (word_at(&r, 0x3000) == a || word_at(&r, 0x3100) == b)
			loop_step(r.loop, 1);
	}
	rig_exit(&r);
}

static void wait_here(struct kvm_vm *kvm, const void *arg)
{
	sem_t *const *sem = arg;

	(void)kvm;
	while (sem_wait(*sem))
		;
}

/* The VM's side thread is held up, so the throw-away VM can be closed by nobody while it is. */
static void the_first_state_does_not_wait_for_the_throw_away_vm_to_close(void **state)
{
	struct err e = ERR_INIT;
	unsigned files;
	sem_t sem, *arg = &sem;
	struct rig r;

	(void)state;
	sem_init(&sem, 0, 0);
	rig_init(&r, &(struct rig_options){.code = two,
					   .len = sizeof(two),
					   .cpus = 2,
					   .chips = true,
					   .mode = IRQCHIP_KERNEL,
					   .tweak = apic_window});
	assert_int_equal(as_load(&r.vm->mem, 0x2000, spin_ap, sizeof(spin_ap)), IO_OK);
	vm_run(r.vm);
	while (!word_at(&r, 0x3100))
		loop_step(r.loop, 1);
	kvm_later_wait(kvm_of(r.vm));
	files = open_files();
	rig_check(kvm_later(kvm_of(r.vm), wait_here, &arg, sizeof(arg), &e), &e);
	rig_check(vcpu_get_state(&r.vm->vcpus[0], &e), &e);
	assert_int_equal(open_files(), files + 2);
	vm_pause(r.vm);
	assert_int_equal(sem_post(&sem), 0);
	kvm_later_wait(kvm_of(r.vm));
	assert_int_equal(open_files(), files);
	rig_exit(&r);
	sem_destroy(&sem);
}

static void count_up(struct kvm_vm *kvm, const void *arg)
{
	unsigned *const *n = arg;

	(void)kvm;
	++**n;
}

static void jobs_for_later_are_all_done_when_the_vm_has_gone(void **state)
{
	struct err e = ERR_INIT;
	unsigned n = 0, *arg = &n;
	struct rig r;

	(void)state;
	rig_init(&r, &(struct rig_options){.code = spin, .len = sizeof(spin)});
	for (unsigned i = 0; i < 100; i++)
		rig_check(kvm_later(kvm_of(r.vm), count_up, &arg, sizeof(arg), &e), &e);
	kvm_later_wait(kvm_of(r.vm));
	assert_int_equal(n, 100);
	for (unsigned i = 0; i < 100; i++)
		rig_check(kvm_later(kvm_of(r.vm), count_up, &arg, sizeof(arg), &e), &e);
	rig_exit(&r);
	assert_int_equal(n, 200);
}

static const char *fact(const struct accel_report *r, const char *key)
{
	for (unsigned i = 0; i < r->n_facts; i++)
		if (!strcmp(r->facts[i].key, key))
			return r->facts[i].value;
	return "";
}

static void the_probe_says_what_it_found_and_leaves_nothing_behind(void **state)
{
	static struct accel_report first, r;
	unsigned long rss = 0;
	unsigned files = 0;

	(void)state;
	for (unsigned i = 0; i < 30; i++) {
		memset(&r, 0, sizeof(r));
		accel_find("kvm")->probe(&r);
		assert_true(r.present);
		assert_string_equal(fact(&r, "probe: real mode"), "works");
		if (r.usable)
			assert_string_equal(r.summary, "runs 64-bit kernels");
		else
			assert_non_null(strstr(r.why, "; behind it is "));
		assert_true(r.usable || r.limited);
		if (i == 9) {
			first = r;
			files = open_files();
			rss = status_kib("VmRSS:");
		}
		if (i > 9)
			assert_int_equal(r.usable, first.usable);
	}
	assert_int_equal(open_files(), files);
	assert_in_range(status_kib("VmRSS:"), 0, rss + RSS_GROWTH_KIB);
	printf("NOTE: %s%s%s (probe: %s)\n", r.summary, *r.why ? ": " : "", r.why,
	       fact(&r, "probe: time"));
}

static void more_cpus_than_kvm_gives_are_refused_with_the_number(void **state)
{
	struct err e = ERR_INIT;
	struct loop *loop = loop_new(&e);
	struct vm_options o = {
		.arch = &arch_x86, .accel = accel_find("kvm"), .loop = loop, .n_vcpus = 100000};
	struct vm *vm;

	(void)state;
	assert_int_not_equal(vm_new(&o, &vm, &e), 0);
	assert_non_null(strstr(e.msg, "this host's KVM gives a VM at most "));
	assert_non_null(strstr(e.msg, ", not 100000"));
	loop_free(loop);
}

static struct CMUnitTest tests[] = {
	cmocka_unit_test(a_thousand_vms_leave_no_descriptor_and_no_memory_behind),
	cmocka_unit_test(calls_reach_a_vcpu_that_is_busy_with_exits),
	cmocka_unit_test(calls_reach_a_vcpu_that_never_exits_by_itself),
	cmocka_unit_test(the_state_is_got_in_a_storm_of_kicks),
	cmocka_unit_test(a_paused_vm_stands_still_and_goes_on_with_both_cpus),
	cmocka_unit_test(the_first_state_does_not_wait_for_the_throw_away_vm_to_close),
	cmocka_unit_test(jobs_for_later_are_all_done_when_the_vm_has_gone),
	cmocka_unit_test(the_probe_says_what_it_found_and_leaves_nothing_behind),
	cmocka_unit_test(more_cpus_than_kvm_gives_are_refused_with_the_number),
};

RIG_MAIN(tests)
