/*
 * Exits of KVM through the public interface: ports, MMIO, ROM, and every way in which a guest ends.
 */
#include "kvm_rig.h"

static const uint8_t hello[] = {
	0xbe, 0x0d, 0x10,	/* mov $msg,%si */
	0xac,			/* 1: lodsb */
	0x84, 0xc0,		/* test %al,%al */
	0x74, 0x04,		/* jz 2f */
	0xe6, 0x10,		/* out %al,$0x10 */
	0xeb, 0xf7,		/* jmp 1b */
	0xf4,			/* 2: hlt */
	0x48, 0x69, 0x0a, 0x00, /* msg: .ascii "Hi\n\0" */
};

static const uint8_t strings[] = {
	0xbe, 0x00, 0x20, /* mov $0x2000,%si */
	0xb9, 0x2c, 0x01, /* mov $300,%cx */
	0xba, 0x10, 0x00, /* mov $0x10,%dx */
	0xfc,		  /* cld */
	0xf3, 0x6e,	  /* rep outsb */
	0xbf, 0x00, 0x30, /* mov $0x3000,%di */
	0xb9, 0x05, 0x00, /* mov $5,%cx */
	0xf3, 0x6d,	  /* rep insw */
	0xf4,		  /* hlt */
};

static const uint8_t sizes[] = {
	0x66, 0xb8, 0x44, 0x33, 0x22, 0x11, /* mov $0x11223344,%eax */
	0xe6, 0x11,			    /* out %al,$0x11 */
	0xe7, 0x12,			    /* out %ax,$0x12 */
	0x66, 0xe7, 0x14,		    /* out %eax,$0x14 */
	0xe4, 0x11,			    /* in $0x11,%al */
	0xe5, 0x12,			    /* in $0x12,%ax */
	0x66, 0xe5, 0x14,		    /* in $0x14,%eax */
	0xe4, 0x80,			    /* in $0x80,%al */
	0xa2, 0x00, 0x20,		    /* mov %al,0x2000 */
	0x66, 0xe5, 0x82,		    /* in $0x82,%eax */
	0x66, 0xa3, 0x04, 0x20,		    /* mov %eax,0x2004 */
	0xf4,				    /* hlt */
};

static const uint8_t mmio[] = {
	0xb8, 0x00, 0xb0,					    /* mov $0xb000,%ax */
	0x8e, 0xc0,						    /* mov %ax,%es */
	0x26, 0x66, 0xc7, 0x06, 0x10, 0x00, 0x44, 0x33, 0x22, 0x11, /* movl $0x11223344,%es:0x10 */
	0x26, 0xc7, 0x06, 0x20, 0x00, 0x66, 0x55,		    /* movw $0x5566,%es:0x20 */
	0x26, 0xc6, 0x06, 0x31, 0x00, 0x77,			    /* movb $0x77,%es:0x31 */
	0x26, 0x66, 0xa1, 0x40, 0x00,				    /* mov %es:0x40,%eax */
	0x66, 0xa3, 0x00, 0x20,					    /* mov %eax,0x2000 */
	0x26, 0xa0, 0x44, 0x00,					    /* mov %es:0x44,%al */
	0xa2, 0x04, 0x20,					    /* mov %al,0x2004 */
	0xb8, 0x00, 0xc8,					    /* mov $0xc800,%ax */
	0x8e, 0xc0,						    /* mov %ax,%es */
	0x26, 0x66, 0xa1, 0x00, 0x00,				    /* mov %es:0,%eax */
	0x66, 0xa3, 0x08, 0x20,					    /* mov %eax,0x2008 */
	0xf4,							    /* hlt */
};

static const uint8_t rom[] = {
	0xb8, 0x00, 0xc0,		    /* mov $0xc000,%ax */
	0x8e, 0xc0,			    /* mov %ax,%es */
	0x26, 0xa0, 0x00, 0x00,		    /* mov %es:0,%al */
	0xa2, 0x00, 0x20,		    /* mov %al,0x2000 */
	0x26, 0xc6, 0x06, 0x00, 0x00, 0x55, /* movb $0x55,%es:0 */
	0x26, 0xa0, 0x00, 0x00,		    /* mov %es:0,%al */
	0xa2, 0x01, 0x20,		    /* mov %al,0x2001 */
	0xf4,				    /* hlt */
};

/* Protected mode with an empty IDT. */
static const uint8_t triple[] = {
	0x0f, 0x01, 0x16, 0x1c, 0x10,			/* lgdt gdtr */
	0x0f, 0x01, 0x1e, 0x22, 0x10,			/* lidt idtr */
	0x0f, 0x20, 0xc0,				/* mov %cr0,%eax */
	0x0c, 0x01,					/* or $1,%al */
	0x0f, 0x22, 0xc0,				/* mov %eax,%cr0 */
	0x66, 0xea, 0x1a, 0x10, 0x00, 0x00, 0x08, 0x00, /* ljmpl $8,$1f */
	0x0f, 0x0b,					/* 1: .byte 0x0f,0x0b */
	0x0f, 0x00,					/* gdtr: .word 15 */
	0x28, 0x10, 0x00, 0x00,				/* .long gdt */
	0x00, 0x00,					/* idtr: .word 0 */
	0x00, 0x00, 0x00, 0x00,				/* .long 0 */
	0x00, 0x00, 0x00, 0x00, 0x00, 0x00, 0x00, 0x00, /* gdt: .quad 0 */
	0xff, 0xff, 0x00, 0x00, 0x00, 0x9a, 0xcf, 0x00, /* .quad 0x00cf9a000000ffff */
};

static const uint8_t nowhere[] = {
	0xea, 0x00, 0x00, 0x00, 0xb0, /* ljmp $0xb000,$0 */
};

static const uint8_t unknown_msr[] = {
	0xc7, 0x06, 0x34, 0x00, 0x19, 0x10, /* movw $gp,13*4 */
	0xc7, 0x06, 0x36, 0x00, 0x00, 0x00, /* movw $0,13*4+2 */
	0x66, 0xb9, 0x45, 0x23, 0x01, 0x00, /* mov $0x12345,%ecx */
	0x0f, 0x32,			    /* rdmsr */
	0xb0, 0x72,			    /* mov $'r',%al */
	0xe6, 0x10,			    /* out %al,$0x10 */
	0xf4,				    /* hlt */
	0xb0, 0x67,			    /* gp: mov $'g',%al */
	0xe6, 0x10,			    /* out %al,$0x10 */
	0xf4,				    /* hlt */
};

static void rig_code(struct rig *r, const uint8_t *code, size_t len)
{
	rig_init(r, &(struct rig_options){.code = code, .len = len});
}
#define RIG_CODE_OF(r, bytes) rig_code(r, bytes, sizeof(bytes))

static void run_to_the_end(struct rig *r)
{
	vm_run(r->vm);
	assert_int_equal(rig_wait(r), VM_EVENT_OFF);
	vm_pause(r->vm);
}

static void expect_accesses(const struct rig *r, const struct rig_access *want, size_t n)
{
	assert_int_equal(r->dev->n, n);
	for (size_t i = 0; i < n; i++) {
		assert_int_equal(r->dev->log[i].mmio, want[i].mmio);
		assert_int_equal(r->dev->log[i].write, want[i].write);
		assert_int_equal(r->dev->log[i].size, want[i].size);
		assert_int_equal(r->dev->log[i].off, want[i].off);
		assert_int_equal(r->dev->log[i].val, want[i].val);
	}
}

static void a_real_mode_guest_prints_through_a_port_and_halts(void **state)
{
	struct rig r;

	(void)state;
	RIG_CODE_OF(&r, hello);
	run_to_the_end(&r);
	assert_string_equal(rig_text(&r), "Hi\n");
	assert_int_equal(vm_exits(r.vm, EXIT_STAT_PIO_WRITE), 3);
	assert_int_equal(vm_exits(r.vm, EXIT_STAT_HLT), 1);
	rig_exit(&r);
}

static void string_instructions_reach_a_port_element_by_element(void **state)
{
	uint8_t sent[300];
	uint16_t got[5];
	struct rig r;

	(void)state;
	RIG_CODE_OF(&r, strings);
	for (size_t i = 0; i < sizeof(sent); i++)
		sent[i] = (uint8_t)(i * 7 + 1);
	assert_int_equal(as_load(&r.vm->mem, 0x2000, sent, sizeof(sent)), IO_OK);
	r.dev->next_read = 0xff01;
	run_to_the_end(&r);
	assert_int_equal(r.dev->n, 305);
	for (size_t i = 0; i < sizeof(sent); i++)
		assert_int_equal(r.dev->log[i].val, sent[i]);
	assert_int_equal(as_read(&r.vm->mem, 0x3000, got, sizeof(got)), IO_OK);
	for (unsigned i = 0; i < 5; i++)
		assert_int_equal(got[i], 0xff01 + i);
	rig_exit(&r);
}

static void ports_are_accessed_with_1_2_and_4_bytes_and_absent_ones_read_all_ones(void **state)
{
	static const struct rig_access want[] = {
		{.write = true, .size = 1, .off = 1, .val = 0x44},
		{.write = true, .size = 2, .off = 2, .val = 0x3344},
		{.write = true, .size = 4, .off = 4, .val = 0x11223344},
		{.size = 1, .off = 1, .val = 0},
		{.size = 2, .off = 2, .val = 1},
		{.size = 4, .off = 4, .val = 2},
	};
	uint32_t absent[2] = {0, 0};
	struct rig r;

	(void)state;
	RIG_CODE_OF(&r, sizes);
	run_to_the_end(&r);
	expect_accesses(&r, want, ARRAY_LEN(want));
	assert_int_equal(as_read(&r.vm->mem, 0x2000, absent, sizeof(absent)), IO_OK);
	assert_int_equal(absent[0] & 0xff, 0xff);
	assert_int_equal(absent[1], 0xffffffff);
	assert_int_equal(atomic_load(&r.vm->ports.unmapped), 2);
	rig_exit(&r);
}

static void memory_mapped_registers_are_read_and_written_and_holes_read_all_ones(void **state)
{
	static const struct rig_access want[] = {
		{.mmio = true, .write = true, .size = 4, .off = 0x10, .val = 0x11223344},
		{.mmio = true, .write = true, .size = 2, .off = 0x20, .val = 0x5566},
		{.mmio = true, .write = true, .size = 1, .off = 0x31, .val = 0x77},
		{.mmio = true, .size = 4, .off = 0x40, .val = 0xcafe0000},
		{.mmio = true, .size = 1, .off = 0x44, .val = 0xcafe0001},
	};
	uint32_t seen[3];
	struct rig r;

	(void)state;
	RIG_CODE_OF(&r, mmio);
	r.dev->next_read = 0xcafe0000;
	run_to_the_end(&r);
	expect_accesses(&r, want, ARRAY_LEN(want));
	assert_int_equal(as_read(&r.vm->mem, 0x2000, seen, sizeof(seen)), IO_OK);
	assert_int_equal(seen[0], 0xcafe0000);
	assert_int_equal(seen[1] & 0xff, 0x01);
	assert_int_equal(seen[2], 0xffffffff);
	assert_int_equal(vm_exits(r.vm, EXIT_STAT_MMIO_WRITE), 3);
	assert_int_equal(vm_exits(r.vm, EXIT_STAT_MMIO_READ), 3);
	rig_exit(&r);
}

static void a_guest_reads_rom_and_cannot_write_it(void **state)
{
	uint8_t byte = 0xaa, seen[2];
	struct err e = ERR_INIT;
	struct ram *ram;
	struct rig r;

	(void)state;
	RIG_CODE_OF(&r, rom);
	rig_check(ram_new(r.vm, "rom", 0x10000, RAM_ANON, &ram, &e), &e);
	ram->rom = true;
	rig_check(as_map_ram(&r.vm->mem, 0xc0000, ram, 0, 0x10000, &e), &e);
	assert_int_equal(as_load(&r.vm->mem, 0xc0000, &byte, 1), IO_OK);
	run_to_the_end(&r);
	assert_int_equal(as_read(&r.vm->mem, 0x2000, seen, 2), IO_OK);
	assert_int_equal(seen[0], 0xaa);
	assert_int_equal(seen[1], 0xaa);
	assert_int_equal(ram->host[0], 0xaa);
	assert_int_equal(vm_exits(r.vm, EXIT_STAT_MMIO_WRITE), 1);
	rig_exit(&r);
}

static void a_triple_fault_is_a_crash_of_the_guest(void **state)
{
	struct rig r;

	(void)state;
	RIG_CODE_OF(&r, triple);
	vm_run(r.vm);
	assert_int_equal(rig_wait(&r), VM_EVENT_CRASH);
	assert_non_null(strstr(r.request.text, "triple fault"));
	assert_int_equal(vm_exits(r.vm, EXIT_STAT_SHUTDOWN), 1);
	rig_exit(&r);
}

static void a_jump_into_device_memory_breaks_the_vcpu_with_the_reason_and_the_address(void **state)
{
	struct err e = ERR_INIT;
	struct strbuf text = {0};
	struct rig r;

	(void)state;
	RIG_CODE_OF(&r, nowhere);
	vm_run(r.vm);
	assert_int_equal(rig_wait(&r), VM_EVENT_BROKEN);
	if (!strstr(r.request.text, "KVM cannot emulate the instruction at 0xb0000"))
		fail_msg("%s", r.request.text);
	vm_pause(r.vm);
	rig_check(vcpu_get_state(&r.vm->vcpus[0], &e), &e);
	vcpu_show(&r.vm->vcpus[0], &text);
	assert_non_null(strstr(strbuf_str(&text), "real mode"));
	assert_non_null(strstr(strbuf_str(&text), "cs   b000"));
	strbuf_exit(&text);
	rig_exit(&r);
}

static void an_unknown_msr_is_counted_and_gives_the_guest_a_fault(void **state)
{
	struct rig r;

	(void)state;
	RIG_CODE_OF(&r, unknown_msr);
	run_to_the_end(&r);
	assert_string_equal(rig_text(&r), "g");
	assert_int_equal(vm_exits(r.vm, EXIT_STAT_MSR), 1);
	rig_exit(&r);
}

static void a_vm_can_be_reset_and_runs_its_guest_again(void **state)
{
	struct err e = ERR_INIT;
	struct rig r;

	(void)state;
	RIG_CODE_OF(&r, hello);
	for (unsigned i = 0; i < 3; i++) {
		run_to_the_end(&r);
		rig_check(vm_reset(r.vm, &e), &e);
	}
	assert_string_equal(rig_text(&r), "Hi\nHi\nHi\n");
	rig_exit(&r);
}

static void without_chips_other_cpus_wait_for_ever(void **state)
{
	struct rig r;

	(void)state;
	rig_init(&r, &(struct rig_options){.code = hello, .len = sizeof(hello), .cpus = 3});
	run_to_the_end(&r);
	assert_string_equal(rig_text(&r), "Hi\n");
	rig_exit(&r);
}

static struct CMUnitTest tests[] = {
	cmocka_unit_test(a_real_mode_guest_prints_through_a_port_and_halts),
	cmocka_unit_test(string_instructions_reach_a_port_element_by_element),
	cmocka_unit_test(ports_are_accessed_with_1_2_and_4_bytes_and_absent_ones_read_all_ones),
	cmocka_unit_test(memory_mapped_registers_are_read_and_written_and_holes_read_all_ones),
	cmocka_unit_test(a_guest_reads_rom_and_cannot_write_it),
	cmocka_unit_test(a_triple_fault_is_a_crash_of_the_guest),
	cmocka_unit_test(a_jump_into_device_memory_breaks_the_vcpu_with_the_reason_and_the_address),
	cmocka_unit_test(an_unknown_msr_is_counted_and_gives_the_guest_a_fault),
	cmocka_unit_test(a_vm_can_be_reset_and_runs_its_guest_again),
	cmocka_unit_test(without_chips_other_cpus_wait_for_ever),
};

RIG_MAIN(tests)
