/*
 * Writes that KVM holds back are performed in order, before anything that could show their absence.
 */
#include "kvm_rig.h"

#include "accel/kvm/kvm.h"
#include "device/devices.h"

#define HELD_PORT 0x30u

static const uint8_t in_order[] = {
	0xb9, 0x05, 0x00, /* mov $5,%cx */
	0x88, 0xc8,	  /* 1: mov %cl,%al */
	0xe6, 0x30,	  /* out %al,$0x30 */
	0xe2, 0xfa,	  /* loop 1b */
	0xe4, 0x32,	  /* in $0x32,%al */
	0xe6, 0x33,	  /* out %al,$0x33 */
	0xf4,		  /* hlt */
};

static const uint8_t many[] = {
	0xb9, 0xf4, 0x01, /* mov $500,%cx */
	0x89, 0xc8,	  /* 1: mov %cx,%ax */
	0xe7, 0x30,	  /* out %ax,$0x30 */
	0xe2, 0xfa,	  /* loop 1b */
	0xe4, 0x32,	  /* in $0x32,%al */
	0xf4,		  /* hlt */
};

static const uint8_t select_cmos[] = {
	0xb0, 0x40,		/* mov $0x40,%al */
	0xe6, 0x70,		/* out %al,$0x70 */
	0xff, 0x06, 0x00, 0x20, /* incw 0x2000 */
	0xeb, 0xfe,		/* 1: jmp 1b */
};

static const uint8_t look_for_pci[] = {
	0xba, 0xf8, 0x0c,		    /* mov $0xcf8,%dx */
	0x66, 0xb8, 0x00, 0x00, 0x00, 0x80, /* 1: mov $0x80000000,%eax */
	0x66, 0xef,			    /* out %eax,(%dx) */
	0xb2, 0xfc,			    /* mov $0xfc,%dl */
	0x66, 0xed,			    /* in (%dx),%eax */
	0x66, 0xa3, 0x04, 0x20,		    /* mov %eax,0x2004 */
	0xb2, 0xf8,			    /* mov $0xf8,%dl */
	0xff, 0x06, 0x00, 0x20,		    /* incw 0x2000 */
	0xeb, 0xe8,			    /* jmp 1b */
};

/* Starts the second CPU and has it write, 200 times, and reads after each. */
static const uint8_t reader[] = {
	0x64, 0x66, 0xc7, 0x06, 0xf0, 0x00, 0xff, 0x01, 0x00, 0x00, /* movl $0x1ff,%fs:0xf0 */
	0x64, 0x66, 0xc7, 0x06, 0x00, 0x03, 0x00, 0x45, 0x0c, 0x00, /* movl $0x000c4500,%fs:0x300 */
	0x64, 0x66, 0xc7, 0x06, 0x00, 0x03, 0x02, 0x46, 0x0c, 0x00, /* movl $0x000c4602,%fs:0x300 */
	0x31, 0xc0,						    /* xor %ax,%ax */
	0x40,							    /* 1: inc %ax */
	0xa3, 0x00, 0x30,					    /* mov %ax,0x3000 */
	0xf3, 0x90,						    /* 2: pause */
	0x39, 0x06, 0x02, 0x30,					    /* cmp %ax,0x3002 */
	0x75, 0xf8,						    /* jne 2b */
	0xe4, 0x32,						    /* in $0x32,%al */
	0xa1, 0x00, 0x30,					    /* mov 0x3000,%ax */
	0x3d, 0xc8, 0x00,					    /* cmp $200,%ax */
	0x75, 0xea,						    /* jne 1b */
	0xb0, 0x2e,						    /* mov $'.',%al */
	0xe6, 0x10,						    /* out %al,$0x10 */
	0xf4,							    /* hlt */
};

static const uint8_t writer[] = {
	0x31, 0xc0,		/* xor %ax,%ax */
	0x40,			/* 1: inc %ax */
	0xf3, 0x90,		/* 2: pause */
	0x39, 0x06, 0x00, 0x30, /* cmp %ax,0x3000 */
	0x75, 0xf8,		/* jne 2b */
	0xe7, 0x30,		/* out %ax,$0x30 */
	0xa3, 0x02, 0x30,	/* mov %ax,0x3002 */
	0xeb, 0xf0,		/* jmp 1b */
};

/* Ports 0x30 and 0x31 are held back, 0x32 and 0x33 are not. */
static const struct device_class held_class = {
	.name = "held",
	.help = "remembers accesses, some of them late",
	.size = sizeof(struct rig_device),
	.stateless = true,
	.io = {{rig_port_read, rig_port_write, .sizes = 1 | 2, .space = AS_PORTS, .len = 4,
		.base = HELD_PORT, .held_len = 2}},
};

static struct rig_device *add_device(struct rig *r, const struct device_class *class)
{
	struct err e = ERR_INIT;
	struct device *d;

	rig_check(device_new(r->vm, class, NULL, &d, &e), &e);
	rig_check(device_init(d, &e), &e);
	return (struct rig_device *)d;
}

/* Until KVM knows what it may hold, it holds nothing. */
static void run_held(struct rig *r)
{
	kvm_later_wait(kvm_of(r->vm));
	vm_run(r->vm);
}

static void run_until_halted(struct rig *r)
{
	run_held(r);
	assert_int_equal(rig_wait(r), VM_EVENT_OFF);
	vm_pause(r->vm);
}

static void expect_access(const struct rig_access *a, bool write, unsigned off, uint64_t val)
{
	assert_int_equal(a->write, write);
	assert_int_equal(a->off, off);
	if (write)
		assert_int_equal(a->val, val);
}

static uint16_t word_at(struct rig *r, gpa_t pa)
{
	uint16_t v;

	assert_int_equal(as_read(&r->vm->mem, pa, &v, sizeof(v)), IO_OK);
	return v;
}

static void wait_for_word(struct rig *r, gpa_t pa, uint16_t min)
{
	uint64_t end = sys_now_ns() + RIG_LIMIT;

	while (word_at(r, pa) < min) {
		loop_step(r->loop, 1);
		if (sys_now_ns() > end)
			fail_msg("the guest does not go on");
	}
}

static void held_writes_come_in_order_before_the_read_and_make_no_exit(void **state)
{
	struct rig_device *d;
	struct rig r;

	(void)state;
	rig_init(&r, &(struct rig_options){.code = in_order, .len = sizeof(in_order)});
	d = add_device(&r, &held_class);
	run_until_halted(&r);
	assert_int_equal(d->n, 7);
	for (unsigned i = 0; i < 5; i++)
		expect_access(&d->log[i], true, 0, 5 - i);
	expect_access(&d->log[5], false, 2, 0);
	expect_access(&d->log[6], true, 3, 0);
	assert_int_equal(vm_exits(r.vm, EXIT_STAT_PIO_READ), 1);
	assert_int_equal(vm_exits(r.vm, EXIT_STAT_PIO_WRITE), 1);
	rig_exit(&r);
}

static void a_full_ring_makes_an_exit_and_loses_nothing(void **state)
{
	struct rig_device *d;
	struct rig r;

	(void)state;
	rig_init(&r, &(struct rig_options){.code = many, .len = sizeof(many)});
	d = add_device(&r, &held_class);
	run_until_halted(&r);
	assert_int_equal(d->n, 501);
	for (unsigned i = 0; i < 500; i++)
		expect_access(&d->log[i], true, 0, 500 - i);
	expect_access(&d->log[500], false, 2, 0);
	assert_in_range(vm_exits(r.vm, EXIT_STAT_PIO_WRITE), 1, 10);
	rig_exit(&r);
}

static void apic_window(struct rig *r, struct x86_vcpu *s, unsigned index)
{
	(void)r;
	(void)index;
	s->seg[X86_FS].base = X86_LAPIC_ADDR;
}

static void what_one_cpu_wrote_another_cpus_read_comes_after(void **state)
{
	struct rig_device *d;
	struct rig r;

	(void)state;
	rig_init(&r, &(struct rig_options){.code = reader,
					   .len = sizeof(reader),
					   .cpus = 2,
					   .chips = true,
					   .mode = IRQCHIP_KERNEL,
					   .tweak = apic_window});
	d = add_device(&r, &held_class);
	assert_int_equal(as_load(&r.vm->mem, 0x2000, writer, sizeof(writer)), IO_OK);
	run_held(&r);
	rig_wait_char(&r, '.', 1);
	vm_pause(r.vm);
	assert_int_equal(d->n, 400);
	for (unsigned i = 0; i < 200; i++) {
		expect_access(&d->log[2 * i], true, 0, i + 1);
		expect_access(&d->log[2 * i + 1], false, 2, 0);
	}
	assert_int_equal(vm_exits(r.vm, EXIT_STAT_PIO_WRITE), 1);
	rig_exit(&r);
}

/* The guest makes no exit after it selected a byte: only the pause can have brought that here. */
static void a_saved_vm_has_the_writes_that_were_held_back(void **state)
{
	struct strbuf saved = {0};
	struct err e = ERR_INIT;
	uint8_t byte = 0xa5;
	struct rig a, b;

	(void)state;
	rig_init(&a, &(struct rig_options){.code = select_cmos, .len = sizeof(select_cmos)});
	add_device(&a, device_class_find("mc146818"));
	run_held(&a);
	wait_for_word(&a, 0x2000, 1);
	vm_pause(a.vm);
	assert_int_equal(vm_exits(a.vm, EXIT_STAT_PIO_WRITE), 0);
	assert_int_equal(as_vcpu_write(&a.vm->ports, 0x71, &byte, 1), IO_OK);
	rig_check(vm_save_state(a.vm, &saved, &e), &e);
	rig_exit(&a);

	rig_init(&b, &(struct rig_options){.code = select_cmos, .len = sizeof(select_cmos)});
	add_device(&b, device_class_find("mc146818"));
	rig_check(vm_load_state(b.vm, saved.s, saved.len, &e), &e);
	byte = 0;
	assert_int_equal(as_vcpu_read(&b.vm->ports, 0x71, &byte, 1), IO_OK);
	assert_int_equal(byte, 0xa5);
	rig_exit(&b);
	strbuf_exit(&saved);
}

static void writes_to_nothing_are_held_until_something_may_come_there(void **state)
{
	struct err e = ERR_INIT;
	uint64_t writes, nothing;
	uint16_t rounds;
	struct rig r;

	(void)state;
	rig_init(&r, &(struct rig_options){.code = look_for_pci, .len = sizeof(look_for_pci)});
	rig_check(as_map_none(&r.vm->ports, 0xcf8, 4, "no PCI", &e), &e);
	run_held(&r);
	wait_for_word(&r, 0x2000, 100);
	vm_pause(r.vm);
	rounds = word_at(&r, 0x2000);
	nothing = atomic_load(&r.vm->ports.unmapped);
	assert_int_equal(vm_exits(r.vm, EXIT_STAT_PIO_WRITE), 0);
	assert_in_range(nothing, 2 * rounds, 2 * rounds + 2); /* the next round may have begun */
	assert_int_equal(word_at(&r, 0x2004), 0xffff);

	rig_check(as_unmap(&r.vm->ports, 0xcf8, &e), &e);
	vm_run(r.vm);
	wait_for_word(&r, 0x2000, rounds + 100);
	vm_pause(r.vm);
	writes = vm_exits(r.vm, EXIT_STAT_PIO_WRITE);
	assert_in_range(writes, word_at(&r, 0x2000) - rounds - 1, word_at(&r, 0x2000) - rounds + 1);
	rig_exit(&r);
}

static struct CMUnitTest tests[] = {
	cmocka_unit_test(held_writes_come_in_order_before_the_read_and_make_no_exit),
	cmocka_unit_test(a_full_ring_makes_an_exit_and_loses_nothing),
	cmocka_unit_test(what_one_cpu_wrote_another_cpus_read_comes_after),
	cmocka_unit_test(a_saved_vm_has_the_writes_that_were_held_back),
	cmocka_unit_test(writes_to_nothing_are_held_until_something_may_come_there),
};

RIG_MAIN(tests)
