/*
 * The layout of ACPI tables: addresses, checksums, root pointers; and what cannot be laid out.
 */
#include <errno.h>

#include "boot/acpi/tables.h"
#include "unit.h"

static uint8_t sum(const void *p, size_t n)
{
	const uint8_t *b = p;
	uint8_t s = 0;

	while (n--)
		s = (uint8_t)(s + *b++);
	return s;
}

/* A set of three tables, one of them not listed, and the FACS. */
static void some_tables(struct acpi_set *s, struct acpi_image *img, uint64_t base, const char *oem)
{
	acpi_set_begin(s, img, base, oem);
	acpi_open(s, "DSDT", 2, false);
	acpi_put8(s, 0xa3);
	acpi_close(s);
	acpi_open(s, "AAAA", 1, true);
	acpi_put16(s, 0x1122);
	acpi_put32(s, 0x33445566);
	acpi_put64(s, 0x778899aabbccddee);
	acpi_put_zeros(s, 200);
	acpi_close(s);
	acpi_add_facs(s);
	acpi_open(s, "BBBB", 5, true);
	acpi_close(s);
}

static void built(struct acpi_image *img, uint64_t base)
{
	struct err e = ERR_INIT;
	struct acpi_set s;

	some_tables(&s, img, base, "TEST");
	if (acpi_set_finish(&s, &e))
		fail_msg("%s", e.msg);
}

static const uint8_t *at(const struct acpi_image *img, const char *sig)
{
	const struct acpi_table *t = acpi_image_find(img, sig);

	assert_non_null(t);
	return (const uint8_t *)img->tables.s + t->off;
}

static void every_table_has_its_length_and_a_sum_of_zero(void **state)
{
	struct acpi_image img;

	(void)state;
	built(&img, 0xe0000);
	assert_int_equal(img.n_tables, 5);
	for (unsigned i = 0; i < img.n_tables; i++) {
		const struct acpi_table *t = &img.table[i];
		const uint8_t *p = (const uint8_t *)img.tables.s + t->off;

		assert_memory_equal(p, t->sig, 4);
		assert_int_equal(le32_load(p + 4), t->len);
		assert_true(t->off + t->len <= img.tables.len);
		assert_int_equal(t->off % 16, 0);
		if (strcmp(t->sig, "FACS"))
			assert_int_equal(sum(p, t->len), 0);
	}
	acpi_image_exit(&img);
	assert_null(img.tables.s);
}

static void a_header_names_who_made_it_padded_with_spaces(void **state)
{
	struct acpi_image img;

	(void)state;
	built(&img, 0);
	assert_int_equal(at(&img, "BBBB")[8], 5);
	assert_memory_equal(at(&img, "BBBB") + 10, "LODGE TEST    \1\0\0\0LODG\1\0\0\0", 26);
	acpi_image_exit(&img);
}

static void numbers_are_little_endian_behind_the_header(void **state)
{
	struct acpi_image img;

	(void)state;
	built(&img, 0);
	assert_memory_equal(at(&img, "AAAA") + ACPI_HEADER_LEN,
			    "\x22\x11\x66\x55\x44\x33\xee\xdd\xcc\xbb\xaa\x99\x88\x77\0", 15);
	assert_int_equal(acpi_image_find(&img, "AAAA")->len, ACPI_HEADER_LEN + 14 + 200);
	acpi_image_exit(&img);
}

static void the_facs_is_aligned_to_64_bytes_and_64_long(void **state)
{
	struct acpi_image img;

	(void)state;
	built(&img, 0x40);
	assert_int_equal(acpi_image_find(&img, "FACS")->off % 64, 0);
	assert_int_equal(acpi_image_find(&img, "FACS")->len, 64);
	assert_int_equal(at(&img, "FACS")[32], 2);
	acpi_image_exit(&img);
}

static void the_xsdt_lists_what_is_listed_and_the_rsdp_finds_the_xsdt(void **state)
{
	const uint64_t base = 0x1234567840;
	struct acpi_image img;
	const struct acpi_table *xsdt;

	(void)state;
	built(&img, base);
	xsdt = acpi_image_find(&img, "XSDT");
	assert_int_equal(xsdt->len, ACPI_HEADER_LEN + 16);
	assert_int_equal(le64_load(at(&img, "XSDT") + 36),
			 base + acpi_image_find(&img, "AAAA")->off);
	assert_int_equal(le64_load(at(&img, "XSDT") + 44),
			 base + acpi_image_find(&img, "BBBB")->off);

	assert_memory_equal(img.rsdp, "RSD PTR ", 8);
	assert_int_equal(sum(img.rsdp, 20), 0);
	assert_int_equal(sum(img.rsdp, 36), 0);
	assert_memory_equal(img.rsdp + 9, "LODGE ", 6);
	assert_int_equal(img.rsdp[15], 2);
	assert_int_equal(le32_load(img.rsdp + 16), 0);
	assert_int_equal(le32_load(img.rsdp + 20), 36);
	assert_int_equal(le64_load(img.rsdp + 24), base + xsdt->off);
	acpi_image_exit(&img);
}

static void the_size_does_not_depend_on_the_address(void **state)
{
	struct acpi_image low, high;

	(void)state;
	built(&low, 0);
	built(&high, 0xffffffffff000000);
	assert_int_equal(low.tables.len, high.tables.len);
	acpi_image_exit(&low);
	acpi_image_exit(&high);
}

static void a_register_of_ports_is_a_generic_address(void **state)
{
	struct acpi_gas g = acpi_gas_io(0x608, 4, 4);

	(void)state;
	assert_memory_equal(&g, "\1\x20\0\3\x08\x06\0\0\0\0\0\0", 12);
	g = acpi_gas_io(0x600, 4, 2);
	assert_memory_equal(&g, "\1\x20\0\2\0\x06", 6);
	g = acpi_gas_io(0x60c, 1, 1);
	assert_memory_equal(&g, "\1\x08\0\1\x0c\x06", 6);
}

static void must_say(struct acpi_set *s, const char *msg)
{
	struct err e = ERR_INIT;

	assert_int_equal(acpi_set_finish(s, &e), -EINVAL);
	assert_string_equal(e.msg, msg);
	assert_null(s->img->tables.s);
}

static void what_cannot_be_laid_out_is_refused(void **state)
{
	struct acpi_image img;
	struct acpi_set s;

	(void)state;
	some_tables(&s, &img, 0xe0010, "TEST");
	must_say(&s, "ACPI tables: the address is not a multiple of 64");
	some_tables(&s, &img, UINT64_MAX - 63, "TEST");
	must_say(&s, "ACPI tables: the address is too high");
	some_tables(&s, &img, 0, "NINECHARS");
	must_say(&s, "ACPI tables: the OEM table id is longer than 8 characters");
	some_tables(&s, &img, 0, "TEST");
	acpi_open(&s, "CCCC", 1, true);
	must_say(&s, "ACPI tables: a table opened inside another");
	some_tables(&s, &img, 0, "TEST");
	acpi_close(&s);
	must_say(&s, "ACPI tables: a table closed that was not open");
	acpi_set_begin(&s, &img, 0, "TEST");
	acpi_open(&s, "CCCCC", 1, true);
	acpi_close(&s);
	must_say(&s, "ACPI tables: a table signature is longer than 4 characters");
	acpi_set_begin(&s, &img, 0, "TEST");
	for (unsigned i = 0; i < ACPI_TABLES_MAX; i++) {
		acpi_open(&s, "CCCC", 1, true);
		acpi_close(&s);
	}
	must_say(&s, "ACPI tables: too many tables");
}

static void tables_without_memory_are_an_error_of_the_host(void **state)
{
	struct err e = ERR_INIT;
	struct acpi_image img;
	struct acpi_set s;

	(void)state;
	some_tables(&s, &img, 0, "TEST");
	img.tables.failed = true; /* as strbuf leaves it */
	assert_int_equal(acpi_set_finish(&s, &e), -ENOMEM);
	assert_int_equal(e.kind, ERR_HOST);
	assert_null(img.tables.s);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(every_table_has_its_length_and_a_sum_of_zero),
		cmocka_unit_test(a_header_names_who_made_it_padded_with_spaces),
		cmocka_unit_test(numbers_are_little_endian_behind_the_header),
		cmocka_unit_test(the_facs_is_aligned_to_64_bytes_and_64_long),
		cmocka_unit_test(the_xsdt_lists_what_is_listed_and_the_rsdp_finds_the_xsdt),
		cmocka_unit_test(the_size_does_not_depend_on_the_address),
		cmocka_unit_test(a_register_of_ports_is_a_generic_address),
		cmocka_unit_test(what_cannot_be_laid_out_is_refused),
		cmocka_unit_test(tables_without_memory_are_an_error_of_the_host),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
