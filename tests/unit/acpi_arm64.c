/* The ACPI tables of arm64 machines: sums, pointers, and what is in them only if it is there. */
#include "unit.h"

#include <errno.h>

#include "../golden/boards.h"
#include "boot/acpi/arm64.h"

#define BASE 0x5fff0000ull

static const uint8_t *table(const struct acpi_image *img, const char *sig, size_t *len)
{
	const struct acpi_table *t = acpi_image_find(img, sig);

	if (!t)
		fail_msg("no %s", sig);
	*len = t->len;
	return (const uint8_t *)img->tables.s + t->off;
}

static void build(const struct arm64_board *b, struct acpi_image *img)
{
	struct err e = ERR_INIT;

	if (acpi_arm64_build(b, BASE, img, &e))
		fail_msg("%s", e.msg);
}

static void every_table_has_length_and_checksum(void **state)
{
	(void)state;
	for (size_t i = 0; i < ARRAY_LEN(boards); i++) {
		struct acpi_image img;

		build(&boards[i].b, &img);
		assert_int_equal(acpi_checksum(img.rsdp, 20), 0);
		assert_int_equal(acpi_checksum(img.rsdp, sizeof(img.rsdp)), 0);
		for (unsigned j = 0; j < img.n_tables; j++) {
			const char *p = img.tables.s + img.table[j].off;

			assert_int_equal(le32_load(p + 4), img.table[j].len);
			assert_int_equal(acpi_checksum(p, img.table[j].len), 0);
		}
		acpi_image_exit(&img);
	}
}

static void the_size_does_not_depend_on_the_address(void **state)
{
	struct acpi_image a, b;
	struct err e = ERR_INIT;

	(void)state;
	assert_int_equal(acpi_arm64_build(&boards[1].b, 0, &a, &e), 0);
	assert_int_equal(acpi_arm64_build(&boards[1].b, UINT64_C(1) << 47, &b, &e), 0);
	assert_int_equal(a.tables.len, b.tables.len);
	acpi_image_exit(&a);
	acpi_image_exit(&b);
}

static void the_fadt_says_hardware_reduced_and_psci_by_hvc(void **state)
{
	struct acpi_image img;
	const uint8_t *p;
	size_t n;

	(void)state;
	build(&boards[0].b, &img);
	p = table(&img, "FACP", &n);
	assert_int_equal(n, 276);
	assert_true(le32_load(p + 112) & 1u << 20);
	assert_int_equal(le16_load(p + 129), 3);
	assert_int_equal(le64_load(p + 140), BASE + acpi_image_find(&img, "DSDT")->off);
	assert_memory_equal(p + 268, "LODGE\0\0\0", 8);
	acpi_image_exit(&img);
}

/* The structures of a MADT of this type. */
static unsigned madt_count(const uint8_t *p, size_t n, uint8_t type, const uint8_t **first)
{
	unsigned count = 0;

	*first = NULL;
	for (size_t at = 44; at < n; at += p[at + 1]) {
		assert_true(p[at + 1] >= 2);
		if (p[at] == type && !count++)
			*first = p + at;
	}
	return count;
}

static void the_madt_has_every_part_of_the_gic(void **state)
{
	struct acpi_image img;
	const uint8_t *p, *s;
	size_t n;

	(void)state;
	build(&boards[2].b, &img);
	p = table(&img, "APIC", &n);
	assert_int_equal(madt_count(p, n, 11, &s), 4);
	assert_int_equal(le64_load(s + 32), 0);
	assert_int_equal(madt_count(p, n, 12, &s), 1);
	assert_int_equal(s[20], 3);
	assert_int_equal(madt_count(p, n, 14, &s), 2);
	assert_int_equal(le64_load(s + 4), 0x080a0000);
	assert_int_equal(madt_count(p, n, 15, &s), 0);
	acpi_image_exit(&img);

	build(&boards[1].b, &img);
	p = table(&img, "APIC", &n);
	assert_int_equal(madt_count(p, n, 14, &s), 0);
	assert_int_equal(madt_count(p, n, 12, &s), 1);
	assert_int_equal(s[20], 2);
	assert_int_equal(madt_count(p, n, 11, &s), 4);
	assert_int_equal(le64_load(s + 32), 0x08010000);
	assert_int_equal(le32_load(s + 20), 23);
	acpi_image_exit(&img);
}

static void interrupts_are_numbered_as_the_gic_does(void **state)
{
	struct acpi_image img;
	const uint8_t *p;
	size_t n;

	(void)state;
	build(&boards[0].b, &img);
	p = table(&img, "GTDT", &n);
	assert_int_equal(le32_load(p + 48), 29);
	assert_int_equal(le32_load(p + 56), 30);
	assert_int_equal(le32_load(p + 64), 27);
	assert_int_equal(le32_load(p + 72), 26);
	p = table(&img, "SPCR", &n);
	assert_int_equal(n, 80);
	assert_int_equal(le64_load(p + 44), 0x09000000);
	assert_int_equal(le32_load(p + 54), 33);
	acpi_image_exit(&img);
}

static void tables_of_parts_that_are_not_there_are_not_there(void **state)
{
	static const struct {
		unsigned board;
		const char *there, *missing;
	} cases[] = {
		{0, "SPCR DBG2", "MCFG IORT SRAT SLIT"},
		{2, "SRAT SLIT SPCR", "MCFG IORT"},
		{3, "MCFG IORT", "SRAT"},
		{4, "APIC GTDT PPTT FACP DSDT", "SPCR DBG2 SRAT SLIT MCFG IORT"},
	};

	(void)state;
	for (size_t i = 0; i < ARRAY_LEN(cases); i++) {
		struct acpi_image img;
		char sig[5] = "";

		build(&boards[cases[i].board].b, &img);
		for (size_t j = 0; j < strlen(cases[i].there); j += 5) {
			memcpy(sig, cases[i].there + j, 4);
			assert_non_null(acpi_image_find(&img, sig));
		}
		for (size_t j = 0; j < strlen(cases[i].missing); j += 5) {
			memcpy(sig, cases[i].missing + j, 4);
			assert_null(acpi_image_find(&img, sig));
		}
		acpi_image_exit(&img);
	}
}

static void the_iort_is_left_out_without_an_its(void **state)
{
	struct arm64_board b = boards[3].b;
	struct acpi_image img;

	(void)state;
	b.gic.its = 0;
	build(&b, &img);
	assert_non_null(acpi_image_find(&img, "MCFG"));
	assert_null(acpi_image_find(&img, "IORT"));
	acpi_image_exit(&img);
}

static void the_topology_has_a_node_for_each_package_core_and_thread(void **state)
{
	struct arm64_board b = boards[1].b; /* 1 package, 2 cores, 4 threads */
	struct acpi_image img;
	const uint8_t *p;
	size_t n;

	(void)state;
	b.clidr = 0;
	build(&b, &img);
	p = table(&img, "PPTT", &n);
	assert_int_equal(n, 36 + 7 * 20);
	assert_int_equal(le32_load(p + 36 + 4), 0x11);
	assert_int_equal(le32_load(p + 56 + 4), 0x10);
	assert_int_equal(le32_load(p + 56 + 8), 36);
	assert_int_equal(le32_load(p + 76 + 4), 0x1e);
	assert_int_equal(le32_load(p + 76 + 8), 56);
	assert_int_equal(le32_load(p + 156 + 12), 3);
	acpi_image_exit(&img);
}

/* One level's structures: what refers to a cache, and the cache. */
static void expect_cache(const uint8_t *pptt, size_t ref, unsigned type, uint32_t next)
{
	const uint8_t *cache = pptt + le32_load(pptt + ref);

	assert_int_equal(cache[0], 1);
	assert_int_equal(cache[1], 24);
	assert_int_equal(le32_load(cache + 4), 0x10);
	assert_int_equal(le32_load(cache + 8), next);
	assert_int_equal(cache[21], type << 2);
}

static void the_caches_are_those_of_clidr_the_outermost_the_packages(void **state)
{
	struct arm64_board b = boards[1].b;
	struct acpi_image img;
	const uint8_t *p;
	size_t n;

	(void)state;
	build(&b, &img);
	p = table(&img, "PPTT", &n);
	assert_int_equal(n, 36 + 4 * 24 + (20 + 4) + 2 * (20 + 2 * 4) + 4 * 20);
	assert_int_equal(le32_load(p + 132 + 16), 1);
	expect_cache(p, 132 + 20, 2, 0); /* level 3 */
	assert_int_equal(le32_load(p + 156 + 16), 2);
	expect_cache(p, 156 + 20, 0, 60); /* level 1 */
	expect_cache(p, 156 + 24, 1, 60);
	assert_int_equal(le32_load(p + 184 + 16), 0); /* a thread */
	acpi_image_exit(&img);

	b = boards[0].b;
	b.clidr = 4; /* one unified cache and no other is the core's */
	build(&b, &img);
	p = table(&img, "PPTT", &n);
	assert_int_equal(n, 36 + 24 + 20 + (20 + 4));
	expect_cache(p, 36 + 24 + 20 + 20, 2, 0);
	acpi_image_exit(&img);

	b.clidr = ~UINT64_C(0); /* seven levels of a reserved type */
	build(&b, &img);
	table(&img, "PPTT", &n);
	assert_int_equal(n, 36 + 7 * 24 + 20 + (20 + 4));
	acpi_image_exit(&img);
}

static void machines_that_cannot_be_are_refused(void **state)
{
	struct arm64_board d[4] = {boards[3].b, boards[2].b, boards[1].b, boards[0].b};
	static const char *const msg[] = {
		"PCI: interrupt 3 is no SPI",
		"CPU 3: there is no NUMA node 2",
		"1 sockets of 3 cores of 2 threads are not 4 CPUs",
		"a GICv2 has a CPU interface and at most 8 CPUs, not 1",
	};
	struct acpi_pci pci = board_pci;
	struct acpi_image img;
	struct err e = ERR_INIT;

	(void)state;
	pci.intx_gsi[2] = 3;
	d[0].pci = &pci;
	d[1].n_nodes = 2;
	d[1].distance = NULL;
	d[2].cores = 3;
	d[3].gic.version = 2;
	for (size_t i = 0; i < ARRAY_LEN(d); i++) {
		assert_int_equal(acpi_arm64_build(&d[i], BASE, &img, &e), -EINVAL);
		assert_memory_equal(e.msg, "the machine cannot be described: ", 33);
		assert_string_equal(e.msg + 33, msg[i]);
	}
	assert_int_equal(acpi_arm64_build(&boards[0].b, BASE + 1, &img, &e), -EINVAL);
	assert_string_equal(e.msg, "ACPI tables: the address is not a multiple of 64");
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(every_table_has_length_and_checksum),
		cmocka_unit_test(the_size_does_not_depend_on_the_address),
		cmocka_unit_test(the_fadt_says_hardware_reduced_and_psci_by_hvc),
		cmocka_unit_test(the_madt_has_every_part_of_the_gic),
		cmocka_unit_test(interrupts_are_numbered_as_the_gic_does),
		cmocka_unit_test(tables_of_parts_that_are_not_there_are_not_there),
		cmocka_unit_test(the_iort_is_left_out_without_an_its),
		cmocka_unit_test(the_topology_has_a_node_for_each_package_core_and_thread),
		cmocka_unit_test(the_caches_are_those_of_clidr_the_outermost_the_packages),
		cmocka_unit_test(machines_that_cannot_be_are_refused),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
