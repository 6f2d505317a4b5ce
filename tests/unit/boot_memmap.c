/* The memory map of a PC, and the placing of things in it. */
#include "unit.h"

#include <errno.h>

#include "boot/x86/layout.h"

static void is(const struct memmap *m, unsigned i, gpa_t addr, uint64_t len, enum memmap_type type)
{
	assert_true(i < m->n);
	assert_int_equal(m->e[i].addr, addr);
	assert_int_equal(m->e[i].len, len);
	assert_int_equal(m->e[i].type, type);
}

static void a_small_vm_has_no_hole(void **state)
{
	struct memmap m;

	(void)state;
	memmap_init(&m, MIB(256));
	assert_int_equal(m.n, 4);
	is(&m, 0, 0, 0x9fc00, MEMMAP_RAM);
	is(&m, 1, 0x9fc00, 0x400, MEMMAP_RESERVED);
	is(&m, 2, 0xe0000, 0x20000, MEMMAP_RESERVED);
	is(&m, 3, MIB(1), MIB(255), MEMMAP_RAM);
	assert_int_equal(m.low, MIB(256));
	assert_int_equal(m.high, 0);
}

static void ram_that_does_not_fit_below_3_gib_goes_above_4_gib(void **state)
{
	struct memmap m;

	(void)state;
	memmap_init(&m, GIB(5));
	assert_int_equal(m.n, 5);
	is(&m, 3, MIB(1), GIB(3) - MIB(1), MEMMAP_RAM);
	is(&m, 4, GIB(4), GIB(2), MEMMAP_RAM);
	memmap_init(&m, GIB(3));
	assert_int_equal(m.n, 4);
	memmap_init(&m, GIB(3) + 4096);
	is(&m, 4, GIB(4), 4096, MEMMAP_RAM);
}

static void a_vm_below_one_mebibyte_has_what_there_is(void **state)
{
	struct memmap m;

	(void)state;
	memmap_init(&m, KIB(64) + 100);
	assert_int_equal(m.n, 1);
	is(&m, 0, 0, KIB(64), MEMMAP_RAM);
	assert_int_equal(memmap_alloc_bios(&m, 16, 16, 0), 0);
	assert_int_equal(memmap_alloc_top(&m, 16, 16, MEMMAP_ACPI), 0);
}

static void a_range_that_is_set_cuts_the_others_and_joins_its_like(void **state)
{
	struct memmap m;

	(void)state;
	memmap_init(&m, MIB(64));
	assert_int_equal(memmap_set(&m, MIB(16), MIB(1), MEMMAP_RESERVED), 0);
	assert_int_equal(m.n, 6);
	is(&m, 3, MIB(1), MIB(15), MEMMAP_RAM);
	is(&m, 4, MIB(16), MIB(1), MEMMAP_RESERVED);
	is(&m, 5, MIB(17), MIB(47), MEMMAP_RAM);
	assert_int_equal(memmap_set(&m, MIB(17), MIB(1), MEMMAP_RESERVED), 0);
	is(&m, 4, MIB(16), MIB(2), MEMMAP_RESERVED);
	assert_int_equal(memmap_set(&m, MIB(15), MIB(4), MEMMAP_RAM), 0);
	assert_int_equal(m.n, 4);
	is(&m, 3, MIB(1), MIB(63), MEMMAP_RAM);
	assert_int_equal(memmap_set(&m, 0xfee00000, 4096, MEMMAP_RESERVED), 0);
	is(&m, 4, 0xfee00000, 4096, MEMMAP_RESERVED);
	assert_int_equal(memmap_set(&m, 0xa0000, 0x1000, MEMMAP_RESERVED), 0);
	is(&m, 1, 0x9fc00, 0x1400, MEMMAP_RESERVED);
}

static void a_map_with_too_many_entries_stays_as_it_was(void **state)
{
	struct memmap m;
	unsigned i;
	int r = 0;

	(void)state;
	memmap_init(&m, MIB(256));
	for (i = 0; i < 100 && !r; i++)
		r = memmap_set(&m, MIB(2) + i * MIB(2), 4096, MEMMAP_RESERVED);
	assert_int_equal(r, -ENOSPC);
	assert_true(m.n <= MEMMAP_ENTRIES_MAX);
	for (i = 1; i < m.n; i++)
		assert_true(m.e[i - 1].addr + m.e[i - 1].len <= m.e[i].addr);
}

static void tables_get_room_in_the_bios_range_and_at_the_top(void **state)
{
	struct memmap m;
	gpa_t top;

	(void)state;
	memmap_init(&m, MIB(64));
	assert_int_equal(memmap_alloc_bios(&m, 36, 16, 0), 0xe0000);
	assert_int_equal(memmap_alloc_bios(&m, 24, 16, 0xf0000), 0xf0000);
	assert_int_equal(memmap_alloc_bios(&m, 0x20000, 16, 0), 0);
	assert_int_equal(memmap_alloc_bios(&m, 0xffe0, 16, 0), 0xf0020);
	assert_int_equal(memmap_alloc_bios(&m, 1, 1, 0), 0);

	top = memmap_alloc_top(&m, 5000, 64, MEMMAP_ACPI);
	assert_int_equal(top, ALIGN_DOWN(MIB(64) - 5000, 64ul));
	is(&m, m.n - 1, MIB(64) - 8192, 8192, MEMMAP_ACPI);
	top = memmap_alloc_top(&m, 4096, 4096, MEMMAP_RESERVED);
	assert_int_equal(top, MIB(64) - 12288);
	assert_true(memmap_is_ram(&m, MIB(1), MIB(63) - 12288));
	assert_false(memmap_is_ram(&m, MIB(1), MIB(63) - 12287));
	assert_int_equal(memmap_alloc_top(&m, MIB(100), 16, MEMMAP_ACPI), 0);
}

static void what_is_placed_does_not_overlap_what_is_taken(void **state)
{
	struct memmap m;
	struct layout l;
	gpa_t a;

	(void)state;
	memmap_init(&m, MIB(64));
	layout_init(&l, &m);
	assert_int_equal(layout_take(&l, MIB(16), MIB(8)), 0);
	assert_int_equal(layout_take(&l, MIB(23), MIB(8)), -EEXIST);
	assert_int_equal(layout_take(&l, MIB(60), MIB(8)), -ENOSPC);
	assert_int_equal(layout_take(&l, 0x9f000, 0x1000), -ENOSPC);
	assert_int_equal(layout_take(&l, 0, 0x1000), -EEXIST);
	assert_int_equal(layout_low(&l, 100, 16, 0, MEMMAP_EBDA), 0x1000);
	assert_int_equal(layout_low(&l, 100, 16, 0, MEMMAP_EBDA), 0x1070);
	assert_int_equal(layout_low(&l, 4096, 4096, 0, MEMMAP_EBDA), 0x2000);
	a = layout_low(&l, MIB(1), 4096, 0, GIB(4));
	assert_int_equal(a, MIB(1));
	assert_int_equal(layout_low(&l, MIB(15), 4096, 0, GIB(4)), MIB(24));
	assert_int_equal(layout_high(&l, MIB(10), 4096, 0, GIB(4)), MIB(54));
	assert_int_equal(layout_high(&l, MIB(10), 4096, 0, MIB(50)), MIB(40) - 0);
	assert_int_equal(layout_high(&l, MIB(10), 4096, 0, GIB(4)), MIB(6));
	assert_int_equal(layout_high(&l, MIB(20), 4096, 0, GIB(4)), 0);
	assert_int_equal(layout_high(&l, 0, 4096, 0, GIB(4)), 0);
}

static void the_highest_place_may_be_above_4_gib_or_below_a_limit(void **state)
{
	struct memmap m;
	struct layout l;

	(void)state;
	memmap_init(&m, GIB(6));
	layout_init(&l, &m);
	assert_int_equal(layout_high(&l, MIB(1), 4096, 0, UINT64_MAX), GIB(7) - MIB(1));
	assert_int_equal(layout_high(&l, MIB(1), 4096, 0, GIB(4)), GIB(3) - MIB(1));
	assert_int_equal(layout_high(&l, MIB(1), 4096, 0, 0x80000000), GIB(2) - MIB(1));
}

static void every_place_that_fits_is_found(void **state)
{
	struct memmap m;
	struct layout l;
	unsigned n = 0;

	(void)state;
	memmap_init(&m, MIB(4));
	layout_init(&l, &m);
	while (n < 100 && layout_high(&l, KIB(64), KIB(64), MIB(1), MIB(4)))
		n++;
	assert_int_equal(n, 48);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(a_small_vm_has_no_hole),
		cmocka_unit_test(ram_that_does_not_fit_below_3_gib_goes_above_4_gib),
		cmocka_unit_test(a_vm_below_one_mebibyte_has_what_there_is),
		cmocka_unit_test(a_range_that_is_set_cuts_the_others_and_joins_its_like),
		cmocka_unit_test(a_map_with_too_many_entries_stays_as_it_was),
		cmocka_unit_test(tables_get_room_in_the_bios_range_and_at_the_top),
		cmocka_unit_test(what_is_placed_does_not_overlap_what_is_taken),
		cmocka_unit_test(the_highest_place_may_be_above_4_gib_or_below_a_limit),
		cmocka_unit_test(every_place_that_fits_is_found),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
