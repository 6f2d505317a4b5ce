/*
 * Exits of KVM on arm64 through the public interface: devices, ROM, hypercalls, and every way in
 * which a guest ends; and dirty pages.
 */
#include "kvm_arm64_rig.h"

static const uint32_t hello[] = {
	0x52800900, /* mov w0, #'H' */
	0x39000380, /* strb w0, [x28] */
	0x52800d20, /* mov w0, #'i' */
	0x39000380, /* strb w0, [x28] */
	0x52800140, /* mov w0, #'\n' */
	0x39000380, /* strb w0, [x28] */
	0x52800100, /* mov w0, #0x8 */
	0x72b08000, /* movk w0, #0x8400, lsl #16 */
	0xd4000002, /* hvc #0 */
	0x14000000, /* b . */
};
static const uint32_t sizes[] = {
	0xd2866880, /* mov x0, #0x3344 */
	0xf2a22440, /* movk x0, #0x1122, lsl #16 */
	0xf2cef100, /* movk x0, #0x7788, lsl #32 */
	0xf2eaacc0, /* movk x0, #0x5566, lsl #48 */
	0xf9000b80, /* str x0, [x28, #0x10] */
	0xb9002380, /* str w0, [x28, #0x20] */
	0x79006780, /* strh w0, [x28, #0x32] */
	0x39010780, /* strb w0, [x28, #0x41] */
	0xf9400b81, /* ldr x1, [x28, #0x10] */
	0xf9000361, /* str x1, [x27] */
	0xb9402381, /* ldr w1, [x28, #0x20] */
	0xf9000761, /* str x1, [x27, #8] */
	0x79406781, /* ldrh w1, [x28, #0x32] */
	0xf9000b61, /* str x1, [x27, #16] */
	0x39410781, /* ldrb w1, [x28, #0x41] */
	0xf9000f61, /* str x1, [x27, #24] */
	0xf9600381, /* ldr x1, [x28, #0x4000] */
	0xf9001361, /* str x1, [x27, #32] */
	0x52800100, /* mov w0, #0x8 */
	0x72b08000, /* movk w0, #0x8400, lsl #16 */
	0xd4000002, /* hvc #0 */
	0x14000000, /* b . */
};
static const uint32_t rom[] = {
	0xd2a40001, /* mov x1, #0x20000000 */
	0x39400020, /* ldrb w0, [x1] */
	0x39000380, /* strb w0, [x28] */
	0x52800aa0, /* mov w0, #0x55 */
	0x39000020, /* strb w0, [x1] */
	0x39400020, /* ldrb w0, [x1] */
	0x39000380, /* strb w0, [x28] */
	0x52800100, /* mov w0, #0x8 */
	0x72b08000, /* movk w0, #0x8400, lsl #16 */
	0xd4000002, /* hvc #0 */
	0x14000000, /* b . */
};
/* The function in x20 with arguments in x21 to x23; the answer to the device. */
static const uint32_t call[] = {
	0xaa1403e0, /* mov x0, x20 */
	0xaa1503e1, /* mov x1, x21 */
	0xaa1603e2, /* mov x2, x22 */
	0xaa1703e3, /* mov x3, x23 */
	0xd4000002, /* hvc #0 */
	0xf9002380, /* str x0, [x28, #0x40] */
	0x52800100, /* mov w0, #0x8 */
	0x72b08000, /* movk w0, #0x8400, lsl #16 */
	0xd4000002, /* hvc #0 */
	0x14000000, /* b . */
};
static const uint32_t pair[] = {
	0xa9000780, /* stp x0, x1, [x28] */
	0x14000000, /* b . */
};
static const uint32_t nowhere[] = {
	0xd2a80020, /* mov x0, #0x40010000 */
	0xd518c000, /* msr vbar_el1, x0 */
	0xd5033fdf, /* isb */
	0xd61f0380, /* br x28 */
};
static const uint32_t abort_handler[] = {
	0xd5385200, /* mrs x0, esr_el1 */
	0xd35a7c00, /* ubfx x0, x0, #26, #6 */
	0xf9002380, /* str x0, [x28, #0x40] */
	0x52800100, /* mov w0, #0x8 */
	0x72b08000, /* movk w0, #0x8400, lsl #16 */
	0xd4000002, /* hvc #0 */
	0x14000000, /* b . */
};
static const uint32_t count[] = {
	0x91000400, /* 1: add x0, x0, #1 */
	0xf9000360, /* str x0, [x27] */
	0xf9002380, /* str x0, [x28, #0x40] */
	0x17fffffd, /* b 1b */
};
static const uint32_t spin[] = {
	0x91000400, /* 1: add x0, x0, #1 */
	0x17ffffff, /* b 1b */
};

#define PSCI_OFF	    0x84000008u
#define PSCI_RESET	    0x84000009u
#define PSCI_VERSION	    0x84000000u
#define PSCI_SYSTEM_SUSPEND 0xc400000eu
#define VENDOR_CALL	    0xc7001234u
#define NOT_SUPPORTED	    UINT64_MAX

static void rig_code(struct rig *r, const uint32_t *code, size_t len)
{
	rig_init(r, &(struct rig_options){.code = code, .len = len});
}
#define RIG_CODE_OF(r, words) rig_code(r, words, sizeof(words))

static void expect_accesses(const struct rig *r, const struct rig_access *want, size_t n)
{
	assert_int_equal(r->dev->n, n);
	for (size_t i = 0; i < n; i++) {
		assert_int_equal(r->dev->log[i].write, want[i].write);
		assert_int_equal(r->dev->log[i].size, want[i].size);
		assert_int_equal(r->dev->log[i].off, want[i].off);
		assert_true(r->dev->log[i].val == want[i].val);
	}
}

static void a_guest_prints_through_a_device_and_powers_off_by_psci(void **state)
{
	struct rig r;

	(void)state;
	RIG_CODE_OF(&r, hello);
	rig_run_to_off(&r);
	assert_string_equal(rig_text(&r), "Hi\n");
	assert_int_equal(vm_exits(r.vm, EXIT_STAT_MMIO_WRITE), 3);
	assert_int_equal(vm_exits(r.vm, EXIT_STAT_SYSTEM), 1);
	rig_exit(&r);
}

static void registers_are_accessed_with_1_2_4_and_8_bytes_and_holes_read_all_ones(void **state)
{
	static const struct rig_access want[] = {
		{.write = true, .size = 8, .off = 0x10, .val = 0x5566778811223344},
		{.write = true, .size = 4, .off = 0x20, .val = 0x11223344},
		{.write = true, .size = 2, .off = 0x32, .val = 0x3344},
		{.write = true, .size = 1, .off = 0x41, .val = 0x44},
		{.size = 8, .off = 0x10, .val = 0xcafe00000000fff0},
		{.size = 4, .off = 0x20, .val = 0xcafe00000000fff1},
		{.size = 2, .off = 0x32, .val = 0xcafe00000000fff2},
		{.size = 1, .off = 0x41, .val = 0xcafe00000000fff3},
	};
	uint64_t seen[5];
	struct rig r;

	(void)state;
	RIG_CODE_OF(&r, sizes);
	r.dev->next_read = 0xcafe00000000fff0;
	rig_run_to_off(&r);
	expect_accesses(&r, want, ARRAY_LEN(want));
	assert_int_equal(as_read(&r.vm->mem, RIG_DATA, seen, sizeof(seen)), IO_OK);
	assert_true(seen[0] == 0xcafe00000000fff0);
	assert_true(seen[1] == 0xfff1);
	assert_true(seen[2] == 0xfff2);
	assert_true(seen[3] == 0xf3);
	assert_true(seen[4] == UINT64_MAX);
	assert_int_equal(vm_exits(r.vm, EXIT_STAT_MMIO_WRITE), 4);
	assert_int_equal(vm_exits(r.vm, EXIT_STAT_MMIO_READ), 5);
	rig_exit(&r);
}

static void a_guest_reads_rom_and_cannot_write_it(void **state)
{
	uint8_t byte = 0xaa;
	struct err e = ERR_INIT;
	struct ram *ram;
	struct rig r;

	(void)state;
	RIG_CODE_OF(&r, rom);
	rig_check(ram_new(r.vm, "rom", 0x10000, RAM_ANON, &ram, &e), &e);
	ram->rom = true;
	rig_check(as_map_ram(&r.vm->mem, 0x20000000, ram, 0, 0x10000, &e), &e);
	assert_int_equal(as_load(&r.vm->mem, 0x20000000, &byte, 1), IO_OK);
	rig_run_to_off(&r);
	assert_string_equal(rig_text(&r), "\xaa\xaa");
	assert_int_equal(ram->host[0], 0xaa);
	assert_int_equal(vm_exits(r.vm, EXIT_STAT_MMIO_WRITE), 3);
	rig_exit(&r);
}

static uint64_t call_args[4];

static void set_call(struct rig *r, struct arm64_vcpu *s, unsigned index)
{
	(void)r;
	(void)index;
	memcpy(&s->x[20], call_args, sizeof(call_args));
}

static void rig_call(struct rig *r, uint64_t function)
{
	call_args[0] = function;
	rig_init(r, &(struct rig_options){.code = call, .len = sizeof(call), .tweak = set_call});
}

static void a_reset_by_psci_is_asked_for_and_starts_the_guest_again(void **state)
{
	struct err e = ERR_INIT;
	struct rig r;

	(void)state;
	rig_call(&r, PSCI_RESET);
	vm_run(r.vm);
	assert_int_equal(rig_wait(&r), VM_EVENT_RESET);
	vm_pause(r.vm);
	assert_int_equal(r.dev->n, 0);
	call_args[0] = PSCI_VERSION;
	rig_check(vm_reset(r.vm, &e), &e);
	rig_run_to_off(&r);
	assert_int_equal(r.dev->n, 1);
	assert_true(r.dev->log[0].val >= 2 && r.dev->log[0].val < 0x20000); /* 0.2 to 1.x */
	rig_exit(&r);
}

static void calls_that_nobody_offers_are_refused_and_the_guest_goes_on(void **state)
{
	static const uint64_t calls[] = {PSCI_SYSTEM_SUSPEND, VENDOR_CALL};

	(void)state;
	for (size_t i = 0; i < ARRAY_LEN(calls); i++) {
		struct rig r;

		rig_call(&r, calls[i]);
		rig_run_to_off(&r);
		assert_int_equal(r.dev->n, 1);
		assert_true(r.dev->log[0].val == NOT_SUPPORTED ||
			    (uint32_t)r.dev->log[0].val == UINT32_MAX);
		rig_exit(&r);
	}
}

static void a_pair_stored_to_a_device_is_reported_with_both_addresses(void **state)
{
	struct rig r;

	(void)state;
	RIG_CODE_OF(&r, pair);
	vm_run(r.vm);
	assert_int_equal(rig_wait(&r), VM_EVENT_BROKEN);
	assert_non_null(strstr(r.request.text, "0x40080000"));
	assert_non_null(strstr(r.request.text, "0x9000000"));
	rig_exit(&r);
}

static void code_where_no_memory_is_is_an_exception_of_the_guest(void **state)
{
	struct rig r;

	(void)state;
	RIG_CODE_OF(&r, nowhere);
	rig_load(&r, RIG_SYNC, abort_handler, sizeof(abort_handler));
	rig_run_to_off(&r);
	assert_int_equal(rig_count(&r, RIG_VALUE, 0x21), 1); /* instruction abort, same level */
	rig_exit(&r);
}

static void a_guest_that_never_exits_is_paused_a_hundred_times(void **state)
{
	uint64_t last = 0;
	struct rig r;

	(void)state;
	RIG_CODE_OF(&r, spin);
	for (unsigned i = 0; i < 100; i++) {
		vm_run(r.vm);
		vm_pause(r.vm);
		uint64_t now = rig_state(&r, 0)->x[0];

		assert_true(now >= last);
		last = now;
	}
	rig_exit(&r);
}

/* Dirty pages between two fetches, as a mask of the pages from RIG_DATA on. */
static unsigned dirty_pages(struct rig *r)
{
	uint64_t bitmap[RIG_RAM_SIZE / GUEST_PAGE / 64] = {0};
	struct err e = ERR_INIT;
	const struct as_map map = {
		.base = RIG_RAM, .len = RIG_RAM_SIZE, .kind = MAP_RAM, .ram = r->ram, .slot = 0};
	unsigned first = (RIG_DATA - RIG_RAM) / GUEST_PAGE;

	rig_check(r->vm->accel->slot_dirty(r->vm, &map, bitmap, &e), &e);
	return (unsigned)(bitmap[first / 64] >> first % 64);
}

static void pages_that_the_guest_writes_are_in_the_dirty_log_and_no_others(void **state)
{
	unsigned per = (unsigned)sysconf(_SC_PAGESIZE) / GUEST_PAGE;
	struct err e = ERR_INIT;
	struct rig r;

	(void)state;
	RIG_CODE_OF(&r, count);
	rig_check(as_dirty_start(&r.vm->mem, &e), &e);
	assert_int_equal(dirty_pages(&r), 0);
	for (unsigned i = 0; i < 3; i++) {
		vm_run(r.vm);
		rig_wait_seen(&r, atomic_load(&r.dev->seen) + 10);
		vm_pause(r.vm);
		assert_int_equal(dirty_pages(&r), (1u << per) - 1);
		assert_int_equal(dirty_pages(&r), 0);
	}
	rig_exit(&r);
}

static void the_probe_says_that_kernels_run_and_what_kind_of_kvm_it_is(void **state)
{
	static const char *const wanted[] = {"mode", "gic", "ipa-bits", "features", "probe: PSCI"};
	struct accel_report report;

	(void)state;
	memset(&report, 0, sizeof(report));
	accel_find("kvm")->probe(&report);
	for (unsigned i = 0; i < report.n_facts; i++)
		printf("%s: %s\n", report.facts[i].key, report.facts[i].value);
	if (!report.usable)
		fail_msg("%s: %s", report.summary, report.why);
	for (size_t k = 0; k < ARRAY_LEN(wanted); k++) {
		bool there = false;

		for (unsigned i = 0; i < report.n_facts; i++)
			there |= !strcmp(report.facts[i].key, wanted[k]);
		assert_true(there);
	}
}

static void expect_refused(const struct arm64_config *c, unsigned cpus, const char *words)
{
	struct vm_options o = {.name = "rig",
			       .arch = &arch_arm64,
			       .accel = accel_find("kvm"),
			       .n_vcpus = cpus,
			       .arch_config = c};
	struct err e = ERR_INIT;
	struct vm *vm = NULL;

	o.loop = loop_new(&e);
	assert_int_not_equal(vm_new(&o, &vm, &e), 0);
	if (!strstr(e.msg, words))
		fail_msg("\"%s\" does not say \"%s\"", e.msg, words);
	loop_free(o.loop);
}

static void what_the_host_cannot_give_is_refused_by_name(void **state)
{
	const struct arm64_config good = {
		.n_spis = 32, .gicd = RIG_GICD, .gicc = RIG_GICC, .gicr = {{RIG_GICR, 1}}};
	struct accel_report report;
	struct arm64_config c = good;

	(void)state;
	memset(&report, 0, sizeof(report));
	accel_find("kvm")->probe(&report);
	c.gic_version = 4;
	expect_refused(&c, 1, "GICv4");
	c = good;
	c.n_spis = 33;
	expect_refused(&c, 1, "33 SPIs");
	c = good;
	c.ipa_bits = 53;
	expect_refused(&c, 1, "53 address bits");
	expect_refused(&good, 9, "at most"); /* by the board's room, or all that a GICv2 has */
	for (unsigned i = 0; i < report.n_facts; i++) {
		if (strcmp(report.facts[i].key, "features"))
			continue;
		c = good;
		c.sve = ARM64_ON;
		if (!strstr(report.facts[i].value, "SVE"))
			expect_refused(&c, 1, "scalable vectors");
		c = good;
		c.pauth = ARM64_ON;
		if (!strstr(report.facts[i].value, "pointer"))
			expect_refused(&c, 1, "pointer authentication");
	}
}

static void a_machine_has_the_address_bits_that_it_asks_for_and_no_memory_beyond(void **state)
{
	struct arm64_made made = {0};
	const struct arm64_config c = {.n_spis = 32,
				       .gicd = RIG_GICD,
				       .gicc = RIG_GICC,
				       .gicr = {{RIG_GICR, 1}},
				       .ipa_bits = 33,
				       .made = &made};
	struct vm_options o = {.name = "rig",
			       .arch = &arch_arm64,
			       .accel = accel_find("kvm"),
			       .n_vcpus = 1,
			       .arch_config = &c};
	struct err e = ERR_INIT;
	struct ram *ram, *high;
	struct vm *vm = NULL;

	(void)state;
	o.loop = loop_new(&e);
	rig_check(vm_new(&o, &vm, &e), &e);
	assert_int_equal(made.ipa_bits, 33);
	rig_check(ram_new(vm, "ram", RIG_RAM_SIZE, RAM_ANON, &ram, &e), &e);
	rig_check(ram_new(vm, "high", RIG_RAM_SIZE, RAM_ANON, &high, &e), &e);
	rig_check(
		as_map_ram(&vm->mem, (UINT64_C(1) << 33) - RIG_RAM_SIZE, ram, 0, RIG_RAM_SIZE, &e),
		&e);
	assert_int_not_equal(as_map_ram(&vm->mem, UINT64_C(1) << 33, high, 0, RIG_RAM_SIZE, &e), 0);
	assert_non_null(strstr(e.msg, "high"));
	vm_free(vm);
	loop_free(o.loop);
}

static struct CMUnitTest tests[] = {
	cmocka_unit_test(a_guest_prints_through_a_device_and_powers_off_by_psci),
	cmocka_unit_test(registers_are_accessed_with_1_2_4_and_8_bytes_and_holes_read_all_ones),
	cmocka_unit_test(a_guest_reads_rom_and_cannot_write_it),
	cmocka_unit_test(a_reset_by_psci_is_asked_for_and_starts_the_guest_again),
	cmocka_unit_test(calls_that_nobody_offers_are_refused_and_the_guest_goes_on),
	cmocka_unit_test(a_pair_stored_to_a_device_is_reported_with_both_addresses),
	cmocka_unit_test(code_where_no_memory_is_is_an_exception_of_the_guest),
	cmocka_unit_test(a_guest_that_never_exits_is_paused_a_hundred_times),
	cmocka_unit_test(pages_that_the_guest_writes_are_in_the_dirty_log_and_no_others),
	cmocka_unit_test(the_probe_says_that_kernels_run_and_what_kind_of_kvm_it_is),
	cmocka_unit_test(what_the_host_cannot_give_is_refused_by_name),
	cmocka_unit_test(a_machine_has_the_address_bits_that_it_asks_for_and_no_memory_beyond),
};

RIG_MAIN(tests)
