/*
 * SMBIOS structures and their entry point: what a guest that walks them finds.  dmidecode's view is
 * in tests/golden/acpi.
 */
#include <errno.h>

#include "base/endian.h"
#include "boot/smbios.h"
#include "unit.h"

static const uint64_t dimm[] = {MIB(256)};
static const struct smbios_range ranges[] = {{0, KIB(640)}, {MIB(1), MIB(255)}};

static struct smbios small_machine(void)
{
	return (struct smbios){.sockets = 1,
			       .cores = 1,
			       .threads = 1,
			       .dimm = dimm,
			       .n_dimms = 1,
			       .range = ranges,
			       .n_ranges = 2};
}

static void build(struct smbios_image *img, const struct smbios *s)
{
	struct err e = ERR_INIT;

	if (smbios_build(s, 0xf0020, img, &e))
		fail_msg("%s", e.msg);
}

/* The structure behind @p, or NULL at the end of the table. */
static const uint8_t *next(const struct smbios_image *img, const uint8_t *p)
{
	const uint8_t *end = (const uint8_t *)img->table.s + img->table.len;

	if (!p)
		return (const uint8_t *)img->table.s;
	for (p += p[1]; p[0] || p[1]; p++)
		assert_true(p + 2 <= end);
	p += 2;
	assert_true(p <= end);
	return p < end ? p : NULL;
}

/* The @n-th structure of @type, or NULL. */
static const uint8_t *find(const struct smbios_image *img, uint8_t type, unsigned n)
{
	for (const uint8_t *p = next(img, NULL); p; p = next(img, p))
		if (p[0] == type && !n--)
			return p;
	return NULL;
}

/* The text that byte @off of structure @p refers to; "" if none. */
static const char *text(const uint8_t *p, unsigned off)
{
	const char *s = (const char *)p + p[1];

	if (!p[off])
		return "";
	for (unsigned i = 1; i < p[off]; i++) {
		assert_true(*s);
		s += strlen(s) + 1;
	}
	return s;
}

static void the_entry_point_has_its_anchor_a_sum_of_zero_and_the_table(void **state)
{
	struct smbios s = small_machine();
	struct smbios_image img;
	uint8_t sum = 0;

	(void)state;
	build(&img, &s);
	assert_memory_equal(img.entry, "_SM3_", 5);
	for (size_t i = 0; i < SMBIOS_ENTRY_LEN; i++)
		sum = (uint8_t)(sum + img.entry[i]);
	assert_int_equal(sum, 0);
	assert_int_equal(img.entry[6], SMBIOS_ENTRY_LEN);
	assert_int_equal(img.entry[7], 3);
	assert_int_equal(le32_load(img.entry + 12), img.table.len);
	assert_int_equal(le64_load(img.entry + 16), 0xf0020);
	smbios_image_exit(&img);
	assert_null(img.table.s);
}

static void every_structure_is_there_once_and_the_last_one_says_so(void **state)
{
	static const uint8_t types[] = {0, 1, 3, 4, 16, 17, 19, 19, 32, 127};
	struct smbios s = small_machine();
	struct smbios_image img;
	const uint8_t *p = NULL;
	uint16_t handles[ARRAY_LEN(types)];

	(void)state;
	build(&img, &s);
	assert_int_equal(img.n_structures, ARRAY_LEN(types));
	for (size_t i = 0; i < ARRAY_LEN(types); i++) {
		p = next(&img, p);
		assert_non_null(p);
		assert_int_equal(p[0], types[i]);
		handles[i] = le16_load(p + 2);
		for (size_t j = 0; j < i; j++)
			assert_int_not_equal(handles[i], handles[j]);
	}
	assert_null(next(&img, p));
	smbios_image_exit(&img);
}

static void strings_are_the_given_ones_or_the_defaults(void **state)
{
	struct smbios s = small_machine();
	struct smbios_image img;

	(void)state;
	build(&img, &s);
	assert_string_equal(text(find(&img, 0, 0), 4), "Lodge");
	assert_string_equal(text(find(&img, 0, 0), 5), LODGE_VERSION);
	assert_string_equal(text(find(&img, 0, 0), 8), "01/01/2026");
	assert_string_equal(text(find(&img, 1, 0), 4), "Lodge");
	assert_string_equal(text(find(&img, 1, 0), 5), "Virtual Machine");
	assert_string_equal(text(find(&img, 1, 0), 7), "");
	smbios_image_exit(&img);

	s.manufacturer = "A";
	s.product = "B";
	s.version = "C";
	s.serial = "D";
	s.sku = "E";
	s.family = "F";
	s.bios_vendor = "";
	build(&img, &s);
	assert_string_equal(text(find(&img, 0, 0), 4), "");
	assert_string_equal(text(find(&img, 1, 0), 4), "A");
	assert_string_equal(text(find(&img, 1, 0), 5), "B");
	assert_string_equal(text(find(&img, 1, 0), 6), "C");
	assert_string_equal(text(find(&img, 1, 0), 7), "D");
	assert_string_equal(text(find(&img, 1, 0), 25), "E");
	assert_string_equal(text(find(&img, 1, 0), 26), "F");
	smbios_image_exit(&img);
}

static void the_bios_says_that_the_machine_is_virtual(void **state)
{
	struct smbios s = small_machine();
	struct smbios_image img;

	(void)state;
	build(&img, &s);
	assert_int_equal(find(&img, 0, 0)[0x13], 0x10);
	smbios_image_exit(&img);
}

static void the_uuid_has_its_first_groups_swapped(void **state)
{
	struct smbios s = small_machine();
	struct smbios_image img;

	(void)state;
	assert_int_equal(uuid_parse("00112233-4455-6677-8899-aabbccddeeff", s.uuid, NULL), 0);
	build(&img, &s);
	assert_memory_equal(find(&img, 1, 0) + 8,
			    "\x33\x22\x11\x00\x55\x44\x77\x66\x88\x99\xaa\xbb\xcc\xdd\xee\xff", 16);
	smbios_image_exit(&img);
}

static void each_socket_has_its_cores_and_more_than_255_in_wide_fields(void **state)
{
	struct smbios s = small_machine();
	struct smbios_image img;
	const uint8_t *p;

	(void)state;
	s.sockets = 2;
	s.cores = 200;
	s.threads = 2;
	s.cpu_id = 0x0123456789abcdef;
	s.cpu_name = "CPU";
	build(&img, &s);
	p = find(&img, 4, 1);
	assert_string_equal(text(p, 4), "CPU 1");
	assert_string_equal(text(p, 0x10), "CPU");
	assert_int_equal(le64_load(p + 8), 0x0123456789abcdef);
	assert_int_equal(p[0x23], 200);
	assert_int_equal(p[0x25], 255);
	assert_int_equal(le16_load(p + 0x2a), 200);
	assert_int_equal(le16_load(p + 0x2e), 400);
	assert_null(find(&img, 4, 2));
	smbios_image_exit(&img);
}

static void memory_sizes_have_a_unit_and_a_wide_field(void **state)
{
	static const uint64_t sizes[] = {KIB(512), MIB(1), GIB(32) - MIB(2), GIB(32) - MIB(1),
					 GIB(4096)};
	static const struct {
		unsigned size, mib;
	} want[] = {{0x8200, 0}, {1, 0}, {0x7ffe, 0}, {0x7fff, 0x7fff}, {0x7fff, 4u << 20}};
	struct smbios s = small_machine();
	struct smbios_image img;

	(void)state;
	s.dimm = sizes;
	s.n_dimms = ARRAY_LEN(sizes);
	build(&img, &s);
	for (unsigned i = 0; i < ARRAY_LEN(sizes); i++) {
		assert_int_equal(le16_load(find(&img, 17, i) + 0xc), want[i].size);
		assert_int_equal(le32_load(find(&img, 17, i) + 0x1c), want[i].mib);
	}
	assert_int_equal(le16_load(find(&img, 16, 0) + 0xd), ARRAY_LEN(sizes));
	assert_int_equal(le32_load(find(&img, 16, 0) + 7), 0x80000000);
	assert_int_equal(le64_load(find(&img, 16, 0) + 0xf),
			 KIB(512) + MIB(1) + GIB(64) - MIB(3) + GIB(4096));
	smbios_image_exit(&img);
}

static void memory_ranges_are_in_kib_or_where_that_does_not_fit_in_bytes(void **state)
{
	static const struct smbios_range high[] = {{GIB(4), GIB(4096)}};
	struct smbios s = small_machine();
	struct smbios_image img;
	const uint8_t *p;

	(void)state;
	build(&img, &s);
	p = find(&img, 19, 1);
	assert_int_equal(le32_load(p + 4), 1024);
	assert_int_equal(le32_load(p + 8), 256 * 1024 - 1);
	assert_int_equal(le64_load(p + 0xf), 0);
	smbios_image_exit(&img);

	s.range = high;
	s.n_ranges = 1;
	build(&img, &s);
	p = find(&img, 19, 0);
	assert_int_equal(le32_load(p + 4), 0xffffffff);
	assert_int_equal(le32_load(p + 8), 0xffffffff);
	assert_int_equal(le64_load(p + 0xf), GIB(4));
	assert_int_equal(le64_load(p + 0x17), GIB(4100) - 1);
	smbios_image_exit(&img);
}

static void must_say(const struct smbios *s, const char *msg)
{
	struct err e = ERR_INIT;
	struct smbios_image img;

	assert_int_equal(smbios_build(s, 0, &img, &e), -EINVAL);
	assert_string_equal(e.msg, msg);
	assert_null(img.table.s);
}

static void what_cannot_be_said_in_smbios_is_refused(void **state)
{
	static const struct smbios_range odd[] = {{512, KIB(1)}};
	struct smbios s = small_machine();
	char longer[SMBIOS_STRING_MAX + 2];

	(void)state;
	memset(longer, 'x', sizeof(longer) - 1);
	longer[sizeof(longer) - 1] = '\0';
	s.serial = longer;
	must_say(
		&s,
		"SMBIOS string 'xxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxx' "
		"is longer than 64 characters");
	s.serial = "a\nb";
	must_say(&s, "SMBIOS string 'a\nb' has a character that is not printable ASCII");
	s = small_machine();
	s.bios_date = "1/1/2026";
	must_say(&s, "SMBIOS date '1/1/2026' is not MM/DD/YYYY");
	s.bios_date = "01/01/20266";
	must_say(&s, "SMBIOS date '01/01/20266' is not MM/DD/YYYY");
	s = small_machine();
	s.sockets = 0;
	must_say(&s, "SMBIOS: 0 sockets of 1 cores with 1 threads");
	s = small_machine();
	s.cores = 40000;
	s.threads = 2;
	must_say(&s, "SMBIOS: 1 sockets of 40000 cores with 2 threads");
	s = small_machine();
	s.n_dimms = 0;
	must_say(&s, "SMBIOS: 0 memory devices in 2 ranges (at most 64, 64)");
	s = small_machine();
	s.range = odd;
	must_say(&s, "SMBIOS: memory range 0 is empty or not a multiple of 1 KiB");
}

static void a_uuid_is_read_strictly(void **state)
{
	static const char *const bad[] = {
		"", "00112233-4455-6677-8899-aabbccddeef", "00112233-4455-6677-8899-aabbccddeeff0",
		"0011223344556677-8899-aabb-ccddeeff--", "g0112233-4455-6677-8899-aabbccddeeff"};
	uint8_t uuid[UUID_LEN], swapped[UUID_LEN];
	struct err e = ERR_INIT;

	(void)state;
	for (size_t i = 0; i < ARRAY_LEN(bad); i++)
		assert_int_equal(uuid_parse(bad[i], uuid, &e), -EINVAL);
	assert_string_equal(e.msg,
			    "not a UUID: 'g0112233-4455-6677-8899-aabbccddeeff' (hexadecimal "
			    "digits as in 123e4567-e89b-12d3-a456-426614174000)");
	assert_int_equal(uuid_parse("AABBCCDD-0102-0304-0506-0708090a0B0c", uuid, &e), 0);
	assert_memory_equal(uuid, "\xaa\xbb\xcc\xdd\1\2\3\4\5\6\7\x08\x09\x0a\x0b\x0c", 16);
	uuid_swap(swapped, uuid);
	assert_memory_equal(swapped, "\xdd\xcc\xbb\xaa\2\1\4\3\5\6\7\x08\x09\x0a\x0b\x0c", 16);
	uuid_swap(swapped, swapped);
	assert_memory_equal(swapped, uuid, 16);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(the_entry_point_has_its_anchor_a_sum_of_zero_and_the_table),
		cmocka_unit_test(every_structure_is_there_once_and_the_last_one_says_so),
		cmocka_unit_test(strings_are_the_given_ones_or_the_defaults),
		cmocka_unit_test(the_bios_says_that_the_machine_is_virtual),
		cmocka_unit_test(the_uuid_has_its_first_groups_swapped),
		cmocka_unit_test(each_socket_has_its_cores_and_more_than_255_in_wide_fields),
		cmocka_unit_test(memory_sizes_have_a_unit_and_a_wide_field),
		cmocka_unit_test(memory_ranges_are_in_kib_or_where_that_does_not_fit_in_bytes),
		cmocka_unit_test(what_cannot_be_said_in_smbios_is_refused),
		cmocka_unit_test(a_uuid_is_read_strictly),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
