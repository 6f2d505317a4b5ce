/*
 * The AML writer: encodings of the specification, lengths, counts and checksums, and what it says
 * of mistakes.
 */
#include <errno.h>

#include "boot/acpi/aml.h"
#include "unit.h"

static void must_finish(struct aml *a)
{
	struct err e = ERR_INIT;

	if (aml_finish(a, &e))
		fail_msg("%s", e.msg);
}

/* What was written is exactly @want; the writer is freed. */
static void must_be(struct aml *a, const void *want, size_t n)
{
	must_finish(a);
	assert_int_equal(a->out.len, n);
	assert_memory_equal(a->out.s, want, n);
	aml_exit(a);
}
#define MUST_BE(a, ...) must_be(a, (const uint8_t[]){__VA_ARGS__}, sizeof((uint8_t[]){__VA_ARGS__}))

/* The writer says @msg; it is freed. */
static void must_say(struct aml *a, const char *msg)
{
	struct err e = ERR_INIT;

	assert_int_equal(aml_finish(a, &e), -EINVAL);
	assert_string_equal(e.msg, msg);
	aml_exit(a);
}

static void integers_take_the_shortest_encoding(void **state)
{
	struct aml a = AML_INIT;

	(void)state;
	aml_int(&a, 0);
	aml_int(&a, 1);
	aml_int(&a, 2);
	aml_int(&a, 0xff);
	aml_int(&a, 0x100);
	aml_int(&a, 0x10000);
	aml_int(&a, 0x100000000);
	aml_int(&a, UINT64_MAX);
	MUST_BE(&a, 0x00, 0x01, 0x0a, 0x02, 0x0a, 0xff, 0x0b, 0x00, 0x01, 0x0c, 0x00, 0x00, 0x01,
		0x00, 0x0e, 0, 0, 0, 0, 1, 0, 0, 0, 0xff);
}

static void paths_are_padded_and_prefixed_by_their_number_of_segments(void **state)
{
	struct aml a = AML_INIT;

	(void)state;
	aml_ref(&a, "A");
	aml_ref(&a, "\\");
	aml_ref(&a, "\\_SB");
	aml_ref(&a, "^^X1.Y");
	aml_ref(&a, "AAAA.BBBB.C");
	MUST_BE(&a, 'A', '_', '_', '_', '\\', 0, '\\', '_', 'S', 'B', '_', '^', '^', 0x2e, 'X', '1',
		'_', '_', 'Y', '_', '_', '_', 0x2f, 3, 'A', 'A', 'A', 'A', 'B', 'B', 'B', 'B', 'C',
		'_', '_', '_');
}

static void what_is_no_name_is_refused(void **state)
{
	static const char *const bad[] = {"a",	"1ABC", "ABCDE", "A..B", "A.",
					  ".A", "A B",	"\\^A",	 "A^"};
	struct aml a = AML_INIT;

	(void)state;
	for (size_t i = 0; i < ARRAY_LEN(bad); i++) {
		struct err e = ERR_INIT;

		aml_ref(&a, bad[i]);
		assert_int_equal(aml_finish(&a, &e), -EINVAL);
		assert_non_null(strstr(e.msg, "not an ACPI name"));
		aml_exit(&a);
	}
	aml_ref(&a, "");
	must_say(&a, "ACPI byte code: an empty ACPI path");
	aml_ref(&a, "A.B.C.D.E.F.G.H.I");
	must_say(&a,
		 "ACPI byte code: an ACPI path with more than 8 segments ('A.B.C.D.E.F.G.H.I')");
}

/* Decodes a PkgLength at @p; returns its own size. */
static size_t decode_length(const uint8_t *p, size_t *len)
{
	unsigned more = p[0] >> 6;

	*len = more ? p[0] & 0xf : p[0] & 0x3f;
	for (unsigned i = 0; i < more; i++)
		*len |= (size_t)p[1 + i] << (4 + 8 * i);
	return 1 + more;
}

static void a_bodys_length_counts_its_own_bytes_at_every_size(void **state)
{
	/* Sizes around every change of the encoding's length. */
	static const struct {
		size_t body, encoding;
	} at[] = {{4, 1},     {62, 1},	   {63, 2},	 {64, 2},      {0xffd, 2},
		  {0xffe, 3}, {0x1000, 3}, {0xffffc, 3}, {0xffffd, 4}, {0x180000, 4}};
	uint8_t *filler = calloc(1, 0x180000);

	(void)state;
	for (size_t i = 0; i < ARRAY_LEN(at); i++) {
		struct aml a = AML_INIT;
		size_t len, n;

		aml_scope(&a, "ABCD");
		strbuf_add_bytes(&a.out, filler, at[i].body - 4);
		aml_end(&a);
		must_finish(&a);
		assert_int_equal(a.out.s[0], 0x10);
		n = decode_length((const uint8_t *)a.out.s + 1, &len);
		assert_int_equal(n, at[i].encoding);
		assert_int_equal(len, at[i].body + n);
		assert_int_equal(a.out.len, 1 + len);
		assert_memory_equal(a.out.s + 1 + n, "ABCD", 4);
		aml_exit(&a);
	}
	free(filler);
}

static void bodies_nest(void **state)
{
	struct aml a = AML_INIT;

	(void)state;
	aml_scope(&a, "\\_SB");
	aml_device(&a, "D");
	aml_name_int(&a, "_UID", 7);
	aml_end(&a);
	aml_end(&a);
	MUST_BE(&a, 0x10, 0x14, '\\', '_', 'S', 'B', '_', 0x5b, 0x82, 0x0c, 'D', '_', '_', '_',
		0x08, '_', 'U', 'I', 'D', 0x0a, 7);
}

static void a_package_counts_its_elements_but_not_those_of_packages_in_it(void **state)
{
	struct aml a = AML_INIT;

	(void)state;
	aml_package(&a);
	aml_int(&a, 5);
	aml_package(&a);
	aml_int(&a, 0);
	aml_int(&a, 1);
	aml_end(&a);
	aml_string(&a, "x");
	aml_bytes(&a, "\x7f", 1);
	aml_ref(&a, "N");
	aml_eisaid(&a, "PNP0501");
	aml_end(&a);
	MUST_BE(&a, 0x12, 0x19, 6, 0x0a, 5, 0x12, 4, 2, 0, 1, 0x0d, 'x', 0, 0x11, 3, 1, 0x7f, 'N',
		'_', '_', '_', 0x0c, 0x41, 0xd0, 0x05, 0x01);
}

static void a_package_of_more_than_255_elements_is_refused(void **state)
{
	struct aml a = AML_INIT;

	(void)state;
	aml_package(&a);
	for (unsigned i = 0; i < 255; i++)
		aml_int(&a, 0);
	aml_end(&a);
	must_finish(&a);
	assert_int_equal((uint8_t)a.out.s[3], 255);
	aml_exit(&a);

	aml_package(&a);
	for (unsigned i = 0; i < 256; i++)
		aml_int(&a, 0);
	aml_end(&a);
	must_say(&a, "ACPI byte code: more than 255 elements in a package");
}

static void ids_are_eisa_ids_where_they_can_be(void **state)
{
	struct aml a = AML_INIT;

	(void)state;
	aml_name_id(&a, "_HID", "PNP0A08");
	aml_name_id(&a, "_CID", "ACPI0007");
	MUST_BE(&a, 8, '_', 'H', 'I', 'D', 0x0c, 0x41, 0xd0, 0x0a, 0x08, 8, '_', 'C', 'I', 'D',
		0x0d, 'A', 'C', 'P', 'I', '0', '0', '0', '7', 0);
	aml_eisaid(&a, "PNP0G00");
	must_say(&a, "ACPI byte code: not an EISA id ('PNP0G00')");
}

static void a_uuid_is_stored_with_its_first_groups_swapped(void **state)
{
	struct aml a = AML_INIT;

	(void)state;
	aml_uuid(&a, "00112233-4455-6677-8899-aAbBcCdDeEfF");
	MUST_BE(&a, 0x11, 0x13, 0x0a, 16, 0x33, 0x22, 0x11, 0, 0x55, 0x44, 0x77, 0x66, 0x88, 0x99,
		0xaa, 0xbb, 0xcc, 0xdd, 0xee, 0xff);
	aml_uuid(&a, "00112233-4455-6677-8899");
	must_say(&a, "ACPI byte code: not a UUID ('00112233-4455-6677-8899')");
}

static void methods_and_operators_are_prefix_code(void **state)
{
	struct aml a = AML_INIT;

	(void)state;
	aml_method(&a, "M", 2, true);
	aml_if(&a);
	aml_op(&a, AML_LEQUAL);
	aml_arg(&a, 1);
	aml_int(&a, 0);
	aml_op(&a, AML_STORE);
	aml_local(&a, 3);
	aml_ref(&a, "X");
	aml_end(&a);
	aml_else(&a);
	aml_op(&a, AML_RETURN);
	aml_op(&a, AML_ONES);
	aml_end(&a);
	aml_end(&a);
	MUST_BE(&a, 0x14, 0x15, 'M', '_', '_', '_', 0x0a, 0xa0, 0x0a, 0x93, 0x69, 0x00, 0x70, 0x63,
		'X', '_', '_', '_', 0xa1, 3, 0xa4, 0xff);
}

static void a_region_and_its_fields(void **state)
{
	struct aml a = AML_INIT;

	(void)state;
	aml_region(&a, "R", AML_SPACE_IO, 0x600, 0x10);
	aml_field(&a, "R", 4, true);
	aml_field_unit(&a, "A", 8);
	aml_field_unit(&a, NULL, 0x48);
	aml_field_unit(&a, "B", 16);
	aml_end(&a);
	MUST_BE(&a, 0x5b, 0x80, 'R', '_', '_', '_', 1, 0x0b, 0, 6, 0x0a, 0x10, 0x5b, 0x81, 0x13,
		'R', '_', '_', '_', 0x43, 'A', '_', '_', '_', 8, 0, 0x48, 0x04, 'B', '_', '_', '_',
		16);
	aml_field(&a, "R", 3, false);
	must_say(&a, "ACPI byte code: a field access width that is not 0, 1, 2, 4 or 8 ('R')");
}

static void a_resource_template_has_an_end_tag_and_knows_its_size(void **state)
{
	static const uint8_t want[] = {
		8,    '_', 'C',	 'R',  'S',  0x11, 0x25, 0x0a, 0x22,		 /* Buffer (0x22) */
		0x47, 1,   0x70, 0,    0x70, 0,	   1,	 2,			 /* IO */
		0x22, 0,   1,							 /* IRQNoFlags */
		0x86, 9,   0,	 1,    0,    0,	   0,	 0xd0, 0,    0x10, 0, 0, /* Memory32Fixed */
		0x89, 6,   0,	 0x0d, 1,    0x11, 0,	 0,    0,		 /* Interrupt */
		0x79, 0};
	const struct aml_interrupt irq = {.gsi = 17, .level = true, .low = true, .shared = true};
	struct aml a = AML_INIT;

	(void)state;
	aml_resources(&a, "_CRS");
	aml_res_io(&a, 0x70, 0x70, 1, 2);
	aml_res_irq(&a, 8);
	aml_res_mem32(&a, true, 0xd0000000, 0x1000);
	aml_res_interrupt(&a, &irq);
	aml_end(&a);
	must_be(&a, want, sizeof(want));
}

static void windows_are_words_dwords_and_qwords(void **state)
{
	struct aml_window bus = {.type = AML_WINDOW_BUS, .max = 0xff};
	struct aml_window io = {.type = AML_WINDOW_IO, .min = 0xd00, .max = 0xffff};
	struct aml_window mem = {.min = 0xc0000000, .max = 0xfebfffff, .cacheable = true};
	struct aml_window high = {
		.min = 1ull << 32, .max = (1ull << 33) - 1, .prefetch = true, .consumer = true};
	static const uint8_t want[] = {
		0x88, 13,   0,	  2,	0x0c, 0,    0,	  0,	0,    0, 0xff, 0,    0,	   0,	 0,
		1,    0x88, 13,	  0,	1,    0x0c, 3,	  0,	0,    0, 0x0d, 0xff, 0xff, 0,	 0,
		0,    0xf3, 0x87, 23,	0,    0,    0x0c, 3,	0,    0, 0,    0,    0,	   0,	 0,
		0xc0, 0xff, 0xff, 0xbf, 0xfe, 0,    0,	  0,	0,    0, 0,    0xc0, 0x3e, 0x8a, 43,
		0,    0,    0x0d, 7,	0,    0,    0,	  0,	0,    0, 0,    0,    0,	   0,	 0,
		0,    1,    0,	  0,	0,    0xff, 0xff, 0xff, 0xff, 1, 0,    0,    0,	   0,	 0,
		0,    0,    0,	  0,	0,    0,    0,	  0,	0,    0, 1,    0,    0,	   0};
	struct aml a = AML_INIT;

	(void)state;
	aml_resources(&a, "_CRS");
	aml_res_word(&a, &bus);
	aml_res_word(&a, &io);
	aml_res_dword(&a, &mem);
	aml_res_qword(&a, &high);
	aml_end(&a);
	must_finish(&a);
	assert_memory_equal(a.out.s + a.out.len - sizeof(want) - 2, want, sizeof(want));
	aml_exit(&a);
}

static void a_window_that_its_descriptor_cannot_hold_is_refused(void **state)
{
	static const struct aml_window empty = {.min = 1, .max = 0}, all = {.max = UINT64_MAX},
				       word = {.max = UINT16_MAX}, dword = {.max = UINT32_MAX},
				       wide = {.min = 1, .max = 0x100000000};
	static const struct {
		void (*add)(struct aml *, const struct aml_window *);
		const struct aml_window *w;
		const char *msg;
	} bad[] = {
		{aml_res_word, &empty, "an empty resource window"},
		{aml_res_qword, &all, "a resource window is too large for its descriptor"},
		{aml_res_word, &word, "a resource window is too large for its descriptor"},
		{aml_res_dword, &dword, "a resource window is too large for its descriptor"},
		{aml_res_dword, &wide, "a resource window is too large for its descriptor"},
	};

	(void)state;
	for (size_t i = 0; i < ARRAY_LEN(bad); i++) {
		struct aml a = AML_INIT;
		char msg[160];

		aml_resources(&a, "_CRS");
		bad[i].add(&a, bad[i].w);
		aml_end(&a);
		snprintf(msg, sizeof(msg), "ACPI byte code: %s", bad[i].msg);
		must_say(&a, msg);
	}
}

static void what_is_in_the_wrong_place_is_refused(void **state)
{
	struct aml a = AML_INIT;

	(void)state;
	aml_res_irq(&a, 3);
	must_say(&a, "ACPI byte code: a resource outside a resource template");
	aml_field_unit(&a, "A", 1);
	must_say(&a, "ACPI byte code: a field unit outside a field");
	aml_resources(&a, "_CRS");
	aml_int(&a, 1);
	must_say(&a, "ACPI byte code: an object among fields or resources");
	aml_package(&a);
	aml_name(&a, "X");
	must_say(&a, "ACPI byte code: a statement inside a package, a field or resources");
	aml_method(&a, "M", 8, false);
	must_say(&a, "ACPI byte code: a method with more than 7 arguments ('M')");
	aml_resources(&a, "_CRS");
	aml_res_irq(&a, 16);
	must_say(&a, "ACPI byte code: an ISA interrupt beyond 15");
	aml_resources(&a, "_CRS");
	aml_res_io(&a, 8, 7, 1, 1);
	must_say(&a, "ACPI byte code: an empty range of ports");
	aml_string(&a, "\xc3\xa4");
	must_say(&a, "ACPI byte code: a string that is not ASCII ('\xc3\xa4')");
	aml_local(&a, 8);
	must_say(&a, "ACPI byte code: a local beyond Local7");
	aml_arg(&a, 7);
	must_say(&a, "ACPI byte code: an argument beyond Arg6");
}

static void bodies_must_be_closed_once_and_not_nest_without_end(void **state)
{
	struct aml a = AML_INIT;

	(void)state;
	aml_scope(&a, "\\");
	must_say(&a, "ACPI byte code: a body was not closed");
	aml_end(&a);
	must_say(&a, "ACPI byte code: a body closed that was not open");
	for (unsigned i = 0; i <= AML_DEPTH_MAX; i++)
		aml_scope(&a, "A");
	must_say(&a, "ACPI byte code: bodies nested too deep");
}

static void the_first_mistake_is_the_one_that_is_told_and_nothing_is_written_after_it(void **state)
{
	struct aml a = AML_INIT;
	size_t len;

	(void)state;
	aml_ref(&a, "bad");
	len = a.out.len;
	aml_scope(&a, "ABCD");
	aml_int(&a, 1000);
	aml_ref(&a, "worse");
	assert_int_equal(a.out.len, len);
	must_say(&a, "ACPI byte code: not an ACPI name ('bad')");
}

static void a_buffer_that_failed_to_grow_is_told_as_such(void **state)
{
	struct err e = ERR_INIT;
	struct aml a = AML_INIT;

	(void)state;
	aml_scope(&a, "A");
	aml_package(&a);
	a.out.failed = true; /* as strbuf leaves it */
	aml_int(&a, 1);
	aml_end(&a);
	aml_resources(&a, "_CRS");
	aml_end(&a);
	aml_end(&a);
	assert_int_equal(aml_finish(&a, &e), -ENOMEM);
	aml_exit(&a);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(integers_take_the_shortest_encoding),
		cmocka_unit_test(paths_are_padded_and_prefixed_by_their_number_of_segments),
		cmocka_unit_test(what_is_no_name_is_refused),
		cmocka_unit_test(a_bodys_length_counts_its_own_bytes_at_every_size),
		cmocka_unit_test(bodies_nest),
		cmocka_unit_test(a_package_counts_its_elements_but_not_those_of_packages_in_it),
		cmocka_unit_test(a_package_of_more_than_255_elements_is_refused),
		cmocka_unit_test(ids_are_eisa_ids_where_they_can_be),
		cmocka_unit_test(a_uuid_is_stored_with_its_first_groups_swapped),
		cmocka_unit_test(methods_and_operators_are_prefix_code),
		cmocka_unit_test(a_region_and_its_fields),
		cmocka_unit_test(a_resource_template_has_an_end_tag_and_knows_its_size),
		cmocka_unit_test(windows_are_words_dwords_and_qwords),
		cmocka_unit_test(a_window_that_its_descriptor_cannot_hold_is_refused),
		cmocka_unit_test(what_is_in_the_wrong_place_is_refused),
		cmocka_unit_test(bodies_must_be_closed_once_and_not_nest_without_end),
		cmocka_unit_test(
			the_first_mistake_is_the_one_that_is_told_and_nothing_is_written_after_it),
		cmocka_unit_test(a_buffer_that_failed_to_grow_is_told_as_such),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
