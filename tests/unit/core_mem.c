/* Guest memory: maps, views, DMA, vCPU accesses, dirty log; devices behind the bus. */
#include "fake_vm.h"

static struct ram *ram_at(struct vm *vm, gpa_t at, uint64_t size, bool rom)
{
	struct err e = ERR_INIT;
	struct ram *r;

	assert_int_equal(ram_new(vm, rom ? "rom" : "ram", size, RAM_ANON, &r, &e), 0);
	r->rom = rom;
	assert_int_equal(as_map_ram(&vm->mem, at, r, 0, size, &e), 0);
	return r;
}

static void what_is_written_to_ram_is_read_back_across_blocks(void **state)
{
	struct vm *vm = fake_vm_new(1);
	uint8_t in[64], out[64];

	(void)state;
	ram_at(vm, 0, 0x2000, false);
	ram_at(vm, 0x2000, 0x1000, false);
	for (unsigned i = 0; i < sizeof(in); i++)
		in[i] = (uint8_t)(i * 7);
	assert_int_equal(as_write(&vm->mem, 0x2000 - 32, in, sizeof(in)), IO_OK);
	assert_int_equal(as_read(&vm->mem, 0x2000 - 32, out, sizeof(out)), IO_OK);
	assert_memory_equal(in, out, sizeof(in));
	assert_int_equal(fake.slots_set, 2);
	fake_vm_free(vm);
}

static void dma_reaches_neither_holes_nor_devices_nor_rom(void **state)
{
	struct vm *vm = fake_vm_new(1);
	struct ram *rom = ram_at(vm, 0x10000, 0x1000, true);
	uint8_t b[16] = {1};

	(void)state;
	regs_new(vm, 0x20000);
	assert_int_equal(as_read(&vm->mem, 0x5000, b, 1), IO_UNMAPPED);
	assert_int_equal(as_read(&vm->mem, 0x10ff8, b, 16), IO_UNMAPPED);
	assert_int_equal(as_read(&vm->mem, 0x20000, b, 1), IO_REFUSED);
	assert_int_equal(as_write(&vm->mem, 0x20000, b, 1), IO_REFUSED);
	assert_int_equal(as_write(&vm->mem, 0x10000, b, 1), IO_REFUSED);
	assert_int_equal(rom->host[0], 0);
	b[0] = 9;
	assert_int_equal(as_load(&vm->mem, 0x10000, b, 1), IO_OK);
	assert_int_equal(rom->host[0], 9);
	assert_int_equal(as_read(&vm->mem, UINT64_MAX - 3, b, 16), IO_UNMAPPED);
	fake_vm_free(vm);
}

static void maps_that_overlap_are_refused_with_both_named(void **state)
{
	struct vm *vm = fake_vm_new(1);
	struct err e = ERR_INIT;
	struct device *d;
	struct ram *r;

	(void)state;
	ram_at(vm, 0x1000, 0x2000, false);
	assert_int_equal(ram_new(vm, "second", 0x1000, RAM_ANON, &r, &e), 0);
	assert_int_equal(as_map_ram(&vm->mem, 0x2000, r, 0, 0x1000, &e), -EEXIST);
	assert_string_equal(e.msg,
			    "second at address 0x2000-0x2fff would overlap ram at 0x1000-0x2fff");
	assert_int_equal(as_map_ram(&vm->mem, 0x2001, r, 0, 0x1000, &e), -EINVAL);
	assert_int_equal(as_map_ram(&vm->mem, UINT64_C(1) << 52, r, 0, 0x1000, &e), -E2BIG);
	assert_int_equal(device_new(vm, &regs_class, "r", &d, &e), 0);
	device_place(d, 0, 0x2ffc);
	assert_int_equal(device_init(d, &e), -EEXIST);
	assert_null(device_find(vm, "r"));
	fake_vm_free(vm);
}

static void a_refused_slot_leaves_the_map_as_it_was(void **state)
{
	struct vm *vm = fake_vm_new(1);
	struct err e = ERR_INIT;
	struct ram *r;
	uint8_t b;

	(void)state;
	assert_int_equal(ram_new(vm, "ram", 0x1000, RAM_ANON, &r, &e), 0);
	fake.fail_slot = -ENOSPC;
	assert_int_equal(as_map_ram(&vm->mem, 0, r, 0, 0x1000, &e), -ENOSPC);
	assert_int_equal(as_read(&vm->mem, 0, &b, 1), IO_UNMAPPED);
	fake.fail_slot = 0;
	assert_int_equal(as_map_ram(&vm->mem, 0, r, 0, 0x1000, &e), 0);
	assert_int_equal(as_unmap(&vm->mem, 0, &e), 0);
	assert_int_equal(as_unmap(&vm->mem, 0, &e), -ENOENT);
	assert_int_equal(as_read(&vm->mem, 0, &b, 1), IO_UNMAPPED);
	fake_vm_free(vm);
}

static void a_vcpu_access_is_split_over_ram_hole_and_device(void **state)
{
	struct vm *vm = fake_vm_new(1);
	struct ram *r = ram_at(vm, 0, 0x1000, false);
	struct regs *d = regs_new(vm, 0x1004);
	uint8_t b[8] = {0};

	(void)state;
	memset(r->host + 0xffe, 0x11, 2);
	assert_int_equal(as_vcpu_read(&vm->mem, 0xffe, b, 8), IO_UNMAPPED);
	assert_memory_equal(b, "\x11\x11\xff\xff\xff\xff\x5a\x5a", 8);
	assert_int_equal(as_vcpu_write(&vm->mem, 0x1002, "\1\2\3\4", 4), IO_UNMAPPED);
	assert_int_equal(d->reg[0], 3);
	assert_int_equal(d->reg[1], 4);
	assert_int_equal(atomic_load(&vm->mem.unmapped), 2);
	fake_vm_free(vm);
}

static void nothing_is_a_map_too(void **state)
{
	struct vm *vm = fake_vm_new(1);
	struct err e = ERR_INIT;
	struct regs *d;
	uint8_t b[4];

	(void)state;
	assert_int_equal(as_map_none(&vm->mem, 0x1000, 4, "the absent chip", &e), 0);
	assert_int_equal(as_vcpu_write(&vm->mem, 0x1000, "\1\2\3\4", 4), IO_UNMAPPED);
	assert_int_equal(as_vcpu_read(&vm->mem, 0x1002, b, 4), IO_UNMAPPED);
	assert_memory_equal(b, "\xff\xff\xff\xff", 4);
	assert_int_equal(atomic_load(&vm->mem.unmapped), 3); /* one of them in two pieces */
	assert_int_equal(as_read(&vm->mem, 0x1000, b, 4), IO_UNMAPPED);
	assert_int_equal(as_map_none(&vm->mem, 0x1003, 4, "another", &e), -EEXIST);
	assert_string_equal(e.msg, "another at address 0x1003-0x1006 would overlap the absent chip "
				   "at 0x1000-0x1003");
	assert_int_equal(as_unmap(&vm->mem, 0x1000, &e), 0);
	d = regs_new(vm, 0x1000);
	assert_int_equal(as_vcpu_write(&vm->mem, 0x1000, "\1\2\3\4", 4), IO_OK);
	assert_int_equal(d->reg[3], 4);
	fake_vm_free(vm);
}

static void the_accelerator_hears_which_writes_it_may_hold_back(void **state)
{
	struct vm *vm = fake_vm_new(1);
	struct device_class late = regs_class;
	struct err e = ERR_INIT;
	struct device *d;

	(void)state;
	ram_at(vm, 0x4000, 0x1000, false);
	regs_new(vm, 0x2000);
	assert_int_equal(fake.held.ranges, 0);
	late.io[0].held_off = 4;
	late.io[0].held_len = 2;
	assert_int_equal(device_new(vm, &late, NULL, &d, &e), 0);
	device_place(d, 0, 0x1000);
	assert_int_equal(device_init(d, &e), 0);
	assert_int_equal(fake.held.ranges, 1);
	assert_int_equal(fake.held.space, AS_MEMORY);
	assert_int_equal(fake.held.base, 0x1004);
	assert_int_equal(fake.held.len, 2);
	assert_int_equal(as_map_none(&vm->ports, 0xcf8, 4, "nothing", &e), 0);
	assert_int_equal(fake.held.ranges, 2);
	assert_int_equal(fake.held.space, AS_PORTS);
	assert_int_equal(fake.held.base, 0xcf8);
	assert_int_equal(fake.held.len, 4);
	device_free(d);
	assert_int_equal(fake.held.ranges, 1);
	assert_int_equal(fake.held.base, 0x1004);
	assert_int_equal(as_unmap(&vm->ports, 0xcf8, &e), 0);
	assert_int_equal(fake.held.ranges, 0);
	fake_vm_free(vm);
}

static void an_access_is_split_into_sizes_the_device_takes(void **state)
{
	struct vm *vm = fake_vm_new(1);
	struct regs *d = regs_new(vm, 0x1000);
	uint64_t v;

	(void)state;
	assert_int_equal(as_vcpu_write(&vm->mem, 0x1000, "\1\2\3\4\5\6\7\10", 8), IO_OK);
	assert_memory_equal(d->reg, "\1\2\3\4\5\6\7\10", 8);
	assert_int_equal(device_read(&d->dev, 0, 1, 2, &v), IO_OK); /* unaligned: two bytes */
	assert_int_equal(v, 0x0302);
	assert_int_equal(device_read(&d->dev, 0, 4, 4, &v), IO_OK);
	assert_int_equal(v, 0x08070605);
	fake_vm_free(vm);
}

static void the_dirty_log_has_exactly_the_pages_that_lodge_wrote(void **state)
{
	struct vm *vm = fake_vm_new(1);
	struct ram *r = ram_at(vm, 0x100000, 200 * 4096, false);
	struct as_map m = {.base = 0x100000, .len = r->size, .kind = MAP_RAM, .ram = r};
	uint64_t map[4] = {0};
	struct err e = ERR_INIT;
	struct iovec iov[2];

	(void)state;
	assert_int_equal(as_write(&vm->mem, 0x100000, "x", 1), IO_OK);
	assert_int_equal(as_dirty_start(&vm->mem, &e), 0);
	assert_int_equal(as_write(&vm->mem, 0x100000 + 3 * 4096 - 1, "xy", 2), IO_OK);
	assert_int_equal(as_iov(&vm->mem, 0x100000 + 130 * 4096, 1, true, iov, 2), 1);
	assert_int_equal(as_dirty_fetch(&vm->mem, &m, map, &e), 0);
	assert_int_equal(map[0], 3 << 2);
	assert_int_equal(map[1], 0);
	assert_int_equal(map[2], 1 << 2);
	memset(map, 0, sizeof(map));
	assert_int_equal(as_dirty_fetch(&vm->mem, &m, map, &e), 0);
	assert_int_equal(map[0] | map[1] | map[2] | map[3], 0);
	as_dirty_stop(&vm->mem);
	fake_vm_free(vm);
}

static void an_iov_covers_ram_only_and_has_a_bound(void **state)
{
	struct vm *vm = fake_vm_new(1);
	struct iovec iov[2];

	(void)state;
	for (unsigned i = 0; i < 3; i++)
		ram_at(vm, i * 0x1000, 0x1000, i == 2);
	assert_int_equal(as_iov(&vm->mem, 0x800, 0x1000, true, iov, 2), 2);
	assert_int_equal(iov[0].iov_len + iov[1].iov_len, 0x1000);
	assert_int_equal(as_iov(&vm->mem, 0x800, 0x2000, false, iov, 2), -E2BIG);
	assert_int_equal(as_iov(&vm->mem, 0x1800, 0x1000, true, iov, 2), -EFAULT);
	assert_int_equal(as_iov(&vm->mem, 0x2800, 0x1000, false, iov, 2), -EFAULT);
	assert_int_equal(as_iov(&vm->mem, 0x2800, UINT64_MAX, false, iov, 2), -EFAULT);
	fake_vm_free(vm);
}

static void every_backing_gives_memory_that_reads_zero(void **state)
{
	static const enum ram_backing kind[] = {RAM_ANON, RAM_MEMFD};
	struct vm *vm = fake_vm_new(1);
	struct err e = ERR_INIT;
	struct ram *r;

	(void)state;
	for (unsigned i = 0; i < ARRAY_LEN(kind); i++) {
		assert_int_equal(ram_new(vm, "ram", MIB(8), kind[i], &r, &e), 0);
		assert_int_equal(r->host[MIB(8) - 1], 0);
		assert_int_equal(r->fd >= 0, kind[i] != RAM_ANON);
	}
	assert_int_equal(ram_new(vm, "odd", 4097, RAM_ANON, &r, &e), -EINVAL);
	assert_int_equal(ram_new(vm, "huge", MIB(3), RAM_HUGETLB, &r, &e), -EINVAL);
	assert_string_equal(e.msg, "huge of 3 MiB is not a multiple of the 2 MiB huge page");
	fake_vm_free(vm);
}

static void properties_are_checked_by_kind_and_range(void **state)
{
	struct vm *vm = fake_vm_new(1);
	struct err e = ERR_INIT;
	struct device *d;

	(void)state;
	assert_int_equal(device_new(vm, &regs_class, NULL, &d, &e), 0);
	assert_int_equal(((struct regs *)d)->limit, 42);
	assert_int_equal(device_set(d, "limit", "100", &e), 0);
	assert_int_not_equal(device_set(d, "limit", "101", &e), 0);
	assert_int_not_equal(device_set(d, "limit", "x", &e), 0);
	assert_int_equal(device_set(d, "colour", "x", &e), -ENOENT);
	assert_string_equal(e.msg, "regs has no property \"colour\"");
	assert_int_equal(device_set(d, "addr", "0x3000", &e), 0);
	assert_int_equal(device_set(d, "irq", "5", &e), 0);
	assert_int_equal(d->irq[0].pin, 5);
	device_free(d);
	assert_int_equal(
		device_new(vm, &regs_class, "a-name-that-is-far-too-long-for-a-device", &d, &e),
		-EINVAL);
	fake_vm_free(vm);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(what_is_written_to_ram_is_read_back_across_blocks),
		cmocka_unit_test(dma_reaches_neither_holes_nor_devices_nor_rom),
		cmocka_unit_test(maps_that_overlap_are_refused_with_both_named),
		cmocka_unit_test(a_refused_slot_leaves_the_map_as_it_was),
		cmocka_unit_test(a_vcpu_access_is_split_over_ram_hole_and_device),
		cmocka_unit_test(nothing_is_a_map_too),
		cmocka_unit_test(the_accelerator_hears_which_writes_it_may_hold_back),
		cmocka_unit_test(an_access_is_split_into_sizes_the_device_takes),
		cmocka_unit_test(the_dirty_log_has_exactly_the_pages_that_lodge_wrote),
		cmocka_unit_test(an_iov_covers_ram_only_and_has_a_bound),
		cmocka_unit_test(every_backing_gives_memory_that_reads_zero),
		cmocka_unit_test(properties_are_checked_by_kind_and_range),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
