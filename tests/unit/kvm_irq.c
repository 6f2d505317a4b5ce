/*
 * Interrupts under KVM: wires, messages, descriptors, timers, NMI and start-up of further CPUs,
 * with the chips in the kernel and split; and doorbells, which go the other way.
 */
#include <poll.h>

#include "kvm_rig.h"

static const uint8_t pic[] = {
	0xc7, 0x06, 0x90, 0x00, 0x63, 0x10, /* movw $irq4,0x24*4 */
	0xc7, 0x06, 0x92, 0x00, 0x00, 0x00, /* movw $0,0x24*4+2 */
	0xc7, 0x06, 0x80, 0x00, 0x67, 0x10, /* movw $irq0,0x20*4 */
	0xc7, 0x06, 0x82, 0x00, 0x00, 0x00, /* movw $0,0x20*4+2 */
	0xc7, 0x06, 0x08, 0x00, 0x70, 0x10, /* movw $nmi,2*4 */
	0xc7, 0x06, 0x0a, 0x00, 0x00, 0x00, /* movw $0,2*4+2 */
	0xb0, 0x11,			    /* mov $0x11,%al */
	0xe6, 0x20,			    /* out %al,$0x20 */
	0xe6, 0xa0,			    /* out %al,$0xa0 */
	0xb0, 0x20,			    /* mov $0x20,%al */
	0xe6, 0x21,			    /* out %al,$0x21 */
	0xb0, 0x28,			    /* mov $0x28,%al */
	0xe6, 0xa1,			    /* out %al,$0xa1 */
	0xb0, 0x04,			    /* mov $4,%al */
	0xe6, 0x21,			    /* out %al,$0x21 */
	0xb0, 0x02,			    /* mov $2,%al */
	0xe6, 0xa1,			    /* out %al,$0xa1 */
	0xb0, 0x01,			    /* mov $1,%al */
	0xe6, 0x21,			    /* out %al,$0x21 */
	0xe6, 0xa1,			    /* out %al,$0xa1 */
	0xb0, 0xee,			    /* mov $0xee,%al */
	0xe6, 0x21,			    /* out %al,$0x21 */
	0xb0, 0xff,			    /* mov $0xff,%al */
	0xe6, 0xa1,			    /* out %al,$0xa1 */
	0x80, 0x3e, 0x00, 0x30, 0x00,	    /* cmpb $0,0x3000 */
	0x74, 0x0c,			    /* je 3f */
	0xb0, 0x34,			    /* mov $0x34,%al */
	0xe6, 0x43,			    /* out %al,$0x43 */
	0xb0, 0x9c,			    /* mov $0x9c,%al */
	0xe6, 0x40,			    /* out %al,$0x40 */
	0xb0, 0x2e,			    /* mov $0x2e,%al */
	0xe6, 0x40,			    /* out %al,$0x40 */
	0xb0, 0x72,			    /* 3: mov $'r',%al */
	0xe6, 0x10,			    /* out %al,$0x10 */
	0xfb,				    /* sti */
	0xf4,				    /* 1: hlt */
	0xeb, 0xfd,			    /* jmp 1b */
	0xb0, 0x69,			    /* irq4: mov $'i',%al */
	0xeb, 0x02,			    /* jmp 2f */
	0xb0, 0x74,			    /* irq0: mov $'t',%al */
	0xe6, 0x10,			    /* 2: out %al,$0x10 */
	0xb0, 0x20,			    /* mov $0x20,%al */
	0xe6, 0x20,			    /* out %al,$0x20 */
	0xcf,				    /* iret */
	0xb0, 0x6e,			    /* nmi: mov $'n',%al */
	0xe6, 0x10,			    /* out %al,$0x10 */
	0xcf,				    /* iret */
};

static const uint8_t apic[] = {
	0xb0, 0xff,						    /* mov $0xff,%al */
	0xe6, 0x21,						    /* out %al,$0x21 */
	0xe6, 0xa1,						    /* out %al,$0xa1 */
	0xc7, 0x06, 0x40, 0x01, 0x64, 0x10,			    /* movw $edge,0x50*4 */
	0xc7, 0x06, 0x42, 0x01, 0x00, 0x00,			    /* movw $0,0x50*4+2 */
	0xc7, 0x06, 0x44, 0x01, 0x6c, 0x10,			    /* movw $level,0x51*4 */
	0xc7, 0x06, 0x46, 0x01, 0x00, 0x00,			    /* movw $0,0x51*4+2 */
	0xc7, 0x06, 0x48, 0x01, 0x68, 0x10,			    /* movw $msi,0x52*4 */
	0xc7, 0x06, 0x4a, 0x01, 0x00, 0x00,			    /* movw $0,0x52*4+2 */
	0x64, 0x66, 0xc7, 0x06, 0xf0, 0x00, 0xff, 0x01, 0x00, 0x00, /* movl $0x1ff,%fs:0xf0 */
	0x26, 0x66, 0xc7, 0x06, 0x00, 0x00, 0x18, 0x00, 0x00, 0x00, /* movl $0x18,%es:0 */
	0x26, 0x66, 0xc7, 0x06, 0x10, 0x00, 0x50, 0x00, 0x00, 0x00, /* movl $0x50,%es:0x10 */
	0x26, 0x66, 0xc7, 0x06, 0x00, 0x00, 0x24, 0x00, 0x00, 0x00, /* movl $0x24,%es:0 */
	0x26, 0x66, 0xc7, 0x06, 0x10, 0x00, 0x51, 0x80, 0x00, 0x00, /* movl $0x8051,%es:0x10 */
	0xb0, 0x72,						    /* mov $'r',%al */
	0xe6, 0x10,						    /* out %al,$0x10 */
	0xfb,							    /* sti */
	0xf4,							    /* 1: hlt */
	0xeb, 0xfd,						    /* jmp 1b */
	0xb0, 0x65,						    /* edge: mov $'e',%al */
	0xeb, 0x08,						    /* jmp 2f */
	0xb0, 0x6d,						    /* msi: mov $'m',%al */
	0xeb, 0x04,						    /* jmp 2f */
	0xe6, 0x1f,						    /* level: out %al,$0x1f */
	0xb0, 0x6c,						    /* mov $'l',%al */
	0xe6, 0x10,						    /* 2: out %al,$0x10 */
	0x64, 0x66, 0xc7, 0x06, 0xb0, 0x00, 0x00, 0x00, 0x00, 0x00, /* movl $0,%fs:0xb0 */
	0xcf,							    /* iret */
};

static const uint8_t smp[] = {
	0x64, 0x66, 0xc7, 0x06, 0xf0, 0x00, 0xff, 0x01, 0x00, 0x00, /* movl $0x1ff,%fs:0xf0 */
	0x64, 0x66, 0xc7, 0x06, 0x00, 0x03, 0x00, 0x45, 0x0c, 0x00, /* movl $0x000c4500,%fs:0x300 */
	0x64, 0x66, 0xc7, 0x06, 0x00, 0x03, 0x02, 0x46, 0x0c, 0x00, /* movl $0x000c4602,%fs:0x300 */
	0x80, 0x3e, 0x00, 0x30, 0x02,				    /* 1: cmpb $2,0x3000 */
	0x75, 0xf9,						    /* jne 1b */
	0xb0, 0x62,						    /* mov $'b',%al */
	0xe6, 0x10,						    /* out %al,$0x10 */
	0xfa,							    /* cli */
	0xf4,							    /* hlt */
};

static const uint8_t smp_ap[] = {
	0x2e, 0xf0, 0xfe, 0x06, 0x00, 0x10, /* lock incb %cs:0x1000 */
	0xfa,				    /* cli */
	0xf4,				    /* hlt */
};

static const uint8_t bells[] = {
	0xe6, 0x18,						    /* out %al,$0x18 */
	0xe6, 0x19,						    /* out %al,$0x19 */
	0xb8, 0x00, 0xb0,					    /* mov $0xb000,%ax */
	0x8e, 0xc0,						    /* mov %ax,%es */
	0x26, 0x66, 0xc7, 0x06, 0x00, 0x08, 0x07, 0x00, 0x00, 0x00, /* movl $7,%es:0x800 */
	0x26, 0x66, 0xc7, 0x06, 0x00, 0x08, 0x08, 0x00, 0x00, 0x00, /* movl $8,%es:0x800 */
	0xf4,							    /* hlt */
};

static const uint8_t cli_hlt[] = {
	0xfa, /* cli */
	0xf4, /* hlt */
};

/* CPU 0 starts all others, counts them, and then every CPU tells its id when it is rung. */
static const uint8_t many_cpus[] = {
	0xc7, 0x06, 0x48, 0x01, 0x43, 0x10, /* movw $bell,0x52*4 */
	0xc7, 0x06, 0x4a, 0x01, 0x00, 0x00, /* movw $0,0x52*4+2 */
	0x66, 0xb9, 0x0f, 0x08, 0x00, 0x00, /* mov $0x80f,%ecx */
	0x66, 0xb8, 0xff, 0x01, 0x00, 0x00, /* mov $0x1ff,%eax */
	0x66, 0x31, 0xd2,		    /* xor %edx,%edx */
	0x0f, 0x30,			    /* wrmsr */
	0x66, 0xb9, 0x30, 0x08, 0x00, 0x00, /* mov $0x830,%ecx */
	0x66, 0xb8, 0x00, 0x45, 0x0c, 0x00, /* mov $0x000c4500,%eax */
	0x0f, 0x30,			    /* wrmsr */
	0x66, 0xb8, 0x02, 0x46, 0x0c, 0x00, /* mov $0x000c4602,%eax */
	0x0f, 0x30,			    /* wrmsr */
	0x81, 0x3e, 0x00, 0x30, 0x2b, 0x01, /* 1: cmpw $299,0x3000 */
	0x75, 0xf8,			    /* jne 1b */
	0xb0, 0x62,			    /* mov $'b',%al */
	0xe6, 0x10,			    /* out %al,$0x10 */
	0xfb,				    /* sti */
	0xf4,				    /* 2: hlt */
	0xeb, 0xfd,			    /* jmp 2b */
	0x66, 0xb9, 0x02, 0x08, 0x00, 0x00, /* bell: mov $0x802,%ecx */
	0x0f, 0x32,			    /* rdmsr */
	0x66, 0xe7, 0x14,		    /* out %eax,$0x14 */
	0x66, 0xb9, 0x0b, 0x08, 0x00, 0x00, /* mov $0x80b,%ecx */
	0x66, 0x31, 0xc0,		    /* xor %eax,%eax */
	0x66, 0x31, 0xd2,		    /* xor %edx,%edx */
	0x0f, 0x30,			    /* wrmsr */
	0xcf,				    /* iret */
};

static const uint8_t many_cpus_ap[] = {
	0x66, 0xb9, 0x0f, 0x08, 0x00, 0x00, /* mov $0x80f,%ecx */
	0x66, 0xb8, 0xff, 0x01, 0x00, 0x00, /* mov $0x1ff,%eax */
	0x66, 0x31, 0xd2,		    /* xor %edx,%edx */
	0x0f, 0x30,			    /* wrmsr */
	0x2e, 0xf0, 0xff, 0x06, 0x00, 0x10, /* lock incw %cs:0x1000 */
	0xfb,				    /* sti */
	0xf4,				    /* 1: hlt */
	0xeb, 0xfd,			    /* jmp 1b */
};

/* ES and FS reach the I/O APIC and the local APIC although real mode's own addresses do not. */
static void apic_windows(struct rig *r, struct x86_vcpu *s, unsigned index)
{
	(void)r;
	(void)index;
	s->seg[X86_ES].base = X86_IOAPIC_ADDR;
	s->seg[X86_FS].base = X86_LAPIC_ADDR;
}

static void start_pic_guest(struct rig *r, bool pit)
{
	uint8_t flag = pit;

	rig_init(r,
		 &(struct rig_options){
			 .code = pic, .len = sizeof(pic), .chips = true, .mode = IRQCHIP_KERNEL});
	assert_int_equal(as_write(&r->vm->mem, 0x3000, &flag, 1), IO_OK);
	vm_run(r->vm);
	rig_wait_seen(r, 1);
}

static void start_apic_guest(struct rig *r, enum irqchip_mode mode)
{
	rig_init(r, &(struct rig_options){.code = apic,
					  .len = sizeof(apic),
					  .chips = true,
					  .mode = mode,
					  .tweak = apic_windows});
	vm_run(r->vm);
	rig_wait_seen(r, 1);
}

static void a_wire_through_the_8259_wakes_a_halted_guest_each_time(void **state)
{
	struct rig r;

	(void)state;
	start_pic_guest(&r, false);
	for (unsigned i = 0; i < 5; i++) {
		irq_pulse(r.dev->dev.irq[0]);
		rig_wait_seen(&r, 2 + i);
	}
	assert_string_equal(rig_text(&r), "riiiii");
	rig_exit(&r);
}

static void an_nmi_reaches_a_halted_guest(void **state)
{
	struct err e = ERR_INIT;
	struct rig r;

	(void)state;
	start_pic_guest(&r, false);
	for (unsigned i = 0; i < 3; i++) {
		rig_check(r.vm->accel->vcpu_nmi(&r.vm->vcpus[0], &e), &e);
		rig_wait_seen(&r, 2 + i);
	}
	assert_string_equal(rig_text(&r), "rnnn");
	rig_exit(&r);
}

static void the_pit_of_the_kernel_ticks_without_exits(void **state)
{
	struct rig r;

	(void)state;
	start_pic_guest(&r, true);
	rig_wait_seen(&r, 6);
	vm_pause(r.vm);
	assert_memory_equal(rig_text(&r), "rttttt", 6);
	assert_int_equal(vm_exits(r.vm, EXIT_STAT_HLT), 0);
	assert_int_equal(vm_exits(r.vm, EXIT_STAT_PIO_WRITE), r.dev->n);
	rig_exit(&r);
}

static void raise_by(int fd)
{
	uint64_t one = 1;

	assert_int_equal(write(fd, &one, sizeof(one)), sizeof(one));
}

static void descriptors_raise_a_pin_and_a_message_until_they_are_taken_away(void **state)
{
	static const enum irqchip_mode modes[] = {IRQCHIP_KERNEL, IRQCHIP_SPLIT};
	const struct msi msi = {.addr = X86_LAPIC_ADDR, .data = 0x52};
	struct err e = ERR_INIT;

	(void)state;
	for (size_t m = 0; m < ARRAY_LEN(modes); m++) {
		int pin = sys_eventfd(0), message = sys_eventfd(0);
		const struct irqchip_ops *ops;
		struct rig r;

		start_apic_guest(&r, modes[m]);
		ops = r.vm->irqchip->ops;
		rig_check(ops->irqfd(r.vm->irqchip, 4, NULL, pin, true, &e), &e);
		rig_check(ops->irqfd(r.vm->irqchip, 0, &msi, message, true, &e), &e);
		raise_by(pin);
		rig_wait_seen(&r, 2);
		raise_by(message);
		rig_wait_seen(&r, 3);
		rig_check(ops->irqfd(r.vm->irqchip, 4, NULL, pin, false, &e), &e);
		rig_check(ops->irqfd(r.vm->irqchip, 0, &msi, message, false, &e), &e);
		assert_int_not_equal(ops->irqfd(r.vm->irqchip, 0, &msi, message, false, &e), 0);
		assert_int_not_equal(ops->irqfd(r.vm->irqchip, 24, NULL, pin, true, &e), 0);
		raise_by(pin);
		raise_by(message);
		msi_send(r.vm->irqchip, &msi);
		rig_wait_seen(&r, 4);
		assert_string_equal(rig_text(&r), "remm");
		rig_exit(&r);
		close(pin);
		close(message);
	}
}

/*
 * The level handler lowers the wire before its EOI: each raise is one interrupt, no more, no less.
 * kvm_pvm takes the injection of an interrupt for its EOI, so there a level comes again.
 */
static void edges_levels_and_messages_arrive_through_the_apics(void **state)
{
	static const enum irqchip_mode modes[] = {IRQCHIP_KERNEL, IRQCHIP_SPLIT};
	const struct msi msi = {.addr = X86_LAPIC_ADDR, .data = 0x52};

	(void)state;
	for (size_t m = 0; m < ARRAY_LEN(modes); m++) {
		struct rig r;

		start_apic_guest(&r, modes[m]);
		for (unsigned i = 1; i <= 3; i++) {
			irq_pulse(r.dev->dev.irq[0]);
			rig_wait_char(&r, 'e', i);
			irq_set(r.dev->dev.irq[1], true);
			rig_wait_char(&r, 'l', i);
			msi_send(r.vm->irqchip, &msi);
			rig_wait_char(&r, 'm', i);
		}
		vm_pause(r.vm);
		if (!*rig_restricted())
			assert_string_equal(rig_text(&r), "relmelmelm");
		if (modes[m] == IRQCHIP_SPLIT)
			assert_in_range(vm_exits(r.vm, EXIT_STAT_EOI), 3,
					*rig_restricted() ? 100 : 3);
		rig_exit(&r);
	}
}

static void split_chips_are_saved_and_go_on_in_another_vm(void **state)
{
	uint8_t *mem = malloc(RIG_RAM);
	struct strbuf saved = {0};
	struct err e = ERR_INIT;
	struct rig a, b;

	(void)state;
	assert_non_null(mem);
	start_apic_guest(&a, IRQCHIP_SPLIT);
	vm_pause(a.vm);
	irq_set(a.dev->dev.irq[1], true); /* it is high when the state is saved */
	rig_check(vm_save_state(a.vm, &saved, &e), &e);
	assert_int_equal(as_read(&a.vm->mem, 0, mem, RIG_RAM), IO_OK);
	rig_exit(&a);
	rig_init(&b, &(struct rig_options){.code = apic,
					   .len = sizeof(apic),
					   .chips = true,
					   .mode = IRQCHIP_SPLIT,
					   .tweak = apic_windows});
	assert_int_equal(as_write(&b.vm->mem, 0, mem, RIG_RAM), IO_OK);
	rig_check(vm_load_state(b.vm, saved.s, saved.len, &e), &e);
	irq_set(b.dev->dev.irq[1], true); /* as a device does when it is loaded */
	vm_run(b.vm);
	rig_wait_seen(&b, 2);
	irq_pulse(b.dev->dev.irq[0]);
	rig_wait_seen(&b, 3);
	assert_string_equal(rig_text(&b), "le");
	rig_exit(&b);
	strbuf_exit(&saved);
	free(mem);
}

static void other_cpus_are_started_by_init_and_sipi(void **state)
{
	static const enum irqchip_mode modes[] = {IRQCHIP_KERNEL, IRQCHIP_SPLIT};

	(void)state;
	for (size_t m = 0; m < ARRAY_LEN(modes); m++) {
		struct err e = ERR_INIT;
		struct rig r;

		rig_init(&r, &(struct rig_options){.code = smp,
						   .len = sizeof(smp),
						   .cpus = 3,
						   .chips = true,
						   .mode = modes[m],
						   .tweak = apic_windows});
		assert_int_equal(as_load(&r.vm->mem, 0x2000, smp_ap, sizeof(smp_ap)), IO_OK);
		rig_check(vcpu_get_state(&r.vm->vcpus[2], &e), &e);
		assert_non_null(strstr(arch_x86.doing(r.vm->vcpus[2].state), "waiting for INIT"));
		vm_run(r.vm);
		rig_wait_seen(&r, 1);
		assert_string_equal(rig_text(&r), "b");
		rig_exit(&r);
	}
}

/* Ids above 255 need the x2APIC: all CPUs wake up in it. */
static void x2apic(struct rig *r, struct x86_vcpu *s, unsigned index)
{
	(void)r;
	(void)index;
	s->apic_base |= X86_APIC_BASE_X2APIC;
}

/* The message's address holds bits 7:0 of the destination in 19:12 and bits 14:8 in 11:5. */
static void three_hundred_cpus_start_and_each_is_reached_by_a_message(void **state)
{
	static const unsigned to[] = {0, 1, 254, 255, 256, 299};
	struct err e = ERR_INIT;
	unsigned seen = 1;
	struct rig r;

	(void)state;
	rig_init(&r, &(struct rig_options){.code = many_cpus,
					   .len = sizeof(many_cpus),
					   .cpus = 300,
					   .chips = true,
					   .mode = IRQCHIP_KERNEL,
					   .tweak = x2apic});
	rig_check(as_load(&r.vm->mem, 0x2000, many_cpus_ap, sizeof(many_cpus_ap)) != IO_OK, &e);
	vm_run(r.vm);
	rig_wait_seen(&r, 1);
	for (size_t i = 0; i < ARRAY_LEN(to); i++) {
		struct msi m = {.addr = X86_LAPIC_ADDR | (to[i] & 0xff) << 12 | to[i] >> 8 << 5,
				.data = 0x52};

		msi_send(r.vm->irqchip, &m);
		rig_wait_seen(&r, ++seen);
		assert_int_equal(r.dev->log[seen - 1].val, to[i]);
	}
	rig_exit(&r);
}

static void peek_here(struct vcpu *v, void *arg)
{
	struct err e = ERR_INIT;

	memset(v->state, 0, v->vm->arch->vcpu_state_size);
	rig_check(vcpu_peek(v, &e), &e);
	vcpu_show(v, arg);
}

static void a_look_at_a_vcpu_shows_what_its_whole_state_shows(void **state)
{
	struct strbuf peeked = {0}, whole = {0};
	struct err e = ERR_INIT;
	struct rig r;

	(void)state;
	rig_init(&r, &(struct rig_options){.code = cli_hlt,
					   .len = sizeof(cli_hlt),
					   .chips = true,
					   .mode = IRQCHIP_KERNEL});
	assert_int_equal(vcpu_call(&r.vm->vcpus[0], peek_here, &peeked), 0);
	rig_check(vcpu_get_state(&r.vm->vcpus[0], &e), &e);
	vcpu_show(&r.vm->vcpus[0], &whole);
	assert_string_equal(strbuf_str(&peeked), strbuf_str(&whole));
	strbuf_exit(&peeked);
	strbuf_exit(&whole);
	rig_exit(&r);
}

static void a_guest_that_halts_with_interrupts_off_is_seen_to_be_stuck(void **state)
{
	uint64_t end = sys_now_ns() + RIG_LIMIT;
	struct err e = ERR_INIT;
	struct rig r;
	bool stuck = false;

	(void)state;
	rig_init(&r, &(struct rig_options){.code = cli_hlt,
					   .len = sizeof(cli_hlt),
					   .chips = true,
					   .mode = IRQCHIP_KERNEL});
	vm_run(r.vm);
	while (!stuck && sys_now_ns() < end) {
		/* Each look interrupts the guest: it must have time for its two instructions. */
		nanosleep(&(struct timespec){.tv_nsec = 2000000}, NULL);
		rig_check(vcpu_get_state(&r.vm->vcpus[0], &e), &e);
		stuck = arch_x86.activity(r.vm->vcpus[0].state) == ARCH_STUCK;
	}
	assert_true(stuck);
	assert_string_equal(arch_x86.doing(r.vm->vcpus[0].state), "halted with interrupts off");
	rig_exit(&r);

	start_pic_guest(&r, false);
	rig_check(vcpu_get_state(&r.vm->vcpus[0], &e), &e);
	assert_false(arch_x86.activity(r.vm->vcpus[0].state) == ARCH_STUCK);
	rig_exit(&r);
}

static bool rung(int fd)
{
	uint64_t n;

	return read(fd, &n, sizeof(n)) == sizeof(n);
}

static void a_doorbell_is_heard_without_an_exit_and_only_for_its_value(void **state)
{
	struct doorbell port = {.space = AS_PORTS, .addr = 0x18, .size = 1};
	struct doorbell word = {
		.space = AS_MEMORY, .addr = RIG_MMIO + 0x800, .size = 4, .match = true, .value = 7};
	int fd[2] = {sys_eventfd(0), sys_eventfd(0)};
	struct err e = ERR_INIT;
	struct rig r;

	(void)state;
	rig_init(&r, &(struct rig_options){.code = bells, .len = sizeof(bells)});
	rig_check(r.vm->accel->doorbell(r.vm, &port, fd[0], true, &e), &e);
	rig_check(r.vm->accel->doorbell(r.vm, &word, fd[1], true, &e), &e);
	vm_run(r.vm);
	assert_int_equal(rig_wait(&r), VM_EVENT_OFF);
	assert_true(rung(fd[0]));
	assert_true(rung(fd[1]));
	assert_int_equal(r.dev->n, 2);
	assert_int_equal(r.dev->log[0].off, 9);
	assert_int_equal(r.dev->log[1].val, 8);
	rig_check(r.vm->accel->doorbell(r.vm, &port, fd[0], false, &e), &e);
	vm_pause(r.vm);
	rig_check(vm_reset(r.vm, &e), &e);
	vm_run(r.vm);
	assert_int_equal(rig_wait(&r), VM_EVENT_OFF);
	assert_false(rung(fd[0]));
	assert_int_equal(r.dev->n, 5);
	rig_exit(&r);
	close(fd[0]);
	close(fd[1]);
}

static void a_wire_leads_to_a_pin_of_the_ioapic_or_nowhere(void **state)
{
	static const enum irqchip_mode mode[] = {IRQCHIP_KERNEL, IRQCHIP_SPLIT};

	(void)state;
	for (size_t i = 0; i < ARRAY_LEN(mode); i++) {
		struct err e = ERR_INIT;
		struct irq irq;
		struct rig r;

		rig_init(&r, &(struct rig_options){.code = cli_hlt,
						   .len = sizeof(cli_hlt),
						   .chips = true,
						   .mode = mode[i]});
		rig_check(irq_connect(r.vm->irqchip, 23, &irq, &e), &e);
		assert_int_equal(irq_connect(r.vm->irqchip, 24, &irq, &e), -ERANGE);
		assert_string_equal(e.msg, "interrupt 24 does not exist (0 to 23)");
		rig_exit(&r);
	}
}

static void chips_all_in_user_space_are_refused(void **state)
{
	struct err e = ERR_INIT;
	struct rig r;

	(void)state;
	rig_init(&r, &(struct rig_options){.code = cli_hlt, .len = sizeof(cli_hlt)});
	assert_int_not_equal(r.vm->accel->irqchip_init(r.vm, IRQCHIP_USER, &e), 0);
	assert_non_null(strstr(e.msg, "can be in the kernel or split"));
	rig_exit(&r);
}

static struct CMUnitTest tests[] = {
	cmocka_unit_test(a_wire_through_the_8259_wakes_a_halted_guest_each_time),
	cmocka_unit_test(an_nmi_reaches_a_halted_guest),
	cmocka_unit_test(the_pit_of_the_kernel_ticks_without_exits),
	cmocka_unit_test(descriptors_raise_a_pin_and_a_message_until_they_are_taken_away),
	cmocka_unit_test(edges_levels_and_messages_arrive_through_the_apics),
	cmocka_unit_test(split_chips_are_saved_and_go_on_in_another_vm),
	cmocka_unit_test(other_cpus_are_started_by_init_and_sipi),
	cmocka_unit_test(three_hundred_cpus_start_and_each_is_reached_by_a_message),
	cmocka_unit_test(a_look_at_a_vcpu_shows_what_its_whole_state_shows),
		cmocka_unit_test(a_guest_that_halts_with_interrupts_off_is_seen_to_be_stuck),
	cmocka_unit_test(a_doorbell_is_heard_without_an_exit_and_only_for_its_value),
	cmocka_unit_test(a_wire_leads_to_a_pin_of_the_ioapic_or_nowhere),
	cmocka_unit_test(chips_all_in_user_space_are_refused),
};

RIG_MAIN(tests)
