/*
 * Text: strict numbers, the nearest word, patterns, CRC; bitmaps and byte order beside them.
 */
#include <errno.h>
#include <zlib.h>

#include "base/bitmap.h"
#include "base/endian.h"
#include "base/str.h"
#include "unit.h"

static void a_buffer_grows_and_keeps_its_text(void **state)
{
	struct strbuf b = {0};

	(void)state;
	assert_string_equal(strbuf_str(&b), "");
	strbuf_printf(&b, "%s", "");
	assert_string_equal(strbuf_str(&b), "");
	for (int i = 0; i < 1000; i++)
		strbuf_printf(&b, "%d,", i % 10);
	assert_int_equal(b.len, 2000);
	assert_memory_equal(b.s + 1990, "5,6,7,8,9,", 11);
	strbuf_add(&b, "end");
	strbuf_add_bytes(&b, "\0x", 2);
	assert_int_equal(b.len, 2005);
	assert_false(b.failed);
	strbuf_exit(&b);
	assert_null(b.s);
}

static void a_buffer_that_cannot_grow_says_so_once_and_keeps_what_it_has(void **state)
{
	struct strbuf b = {0};

	(void)state;
	strbuf_add(&b, "kept");
	strbuf_add_bytes(&b, "x", SIZE_MAX - 2);
	assert_true(b.failed);
	strbuf_add(&b, "more");
	strbuf_printf(&b, "more");
	assert_string_equal(strbuf_str(&b), "kept");
	strbuf_exit(&b);
}

static void number_ok(const char *s, uint64_t want)
{
	uint64_t v = ~want;

	assert_int_equal(str_parse_u64(s, 0, UINT64_MAX, &v, NULL), 0);
	assert_int_equal(v, want);
}

static void number_bad(const char *s, int code, const char *msg)
{
	struct err e = ERR_INIT;
	uint64_t v = 77;

	assert_int_equal(str_parse_u64(s, 1, 255, &v, &e), code);
	assert_string_equal(e.msg, msg);
	assert_int_equal(v, 77);
}

static void whole_numbers_are_decimal_or_hexadecimal(void **state)
{
	(void)state;
	number_ok("0", 0);
	number_ok("42", 42);
	number_ok("010", 10);
	number_ok("0x1fF", 0x1ff);
	number_ok("18446744073709551615", UINT64_MAX);
	number_ok("0xffffffffffffffff", UINT64_MAX);
}

static void what_is_no_number_is_refused_with_the_range_named(void **state)
{
	(void)state;
	number_bad("", -EINVAL, "'' is not a whole number");
	number_bad("0x", -EINVAL, "'0x' is not a whole number");
	number_bad("-1", -EINVAL, "'-1' is not a whole number");
	number_bad("+1", -EINVAL, "'+1' is not a whole number");
	number_bad(" 1", -EINVAL, "' 1' is not a whole number");
	number_bad("1 ", -EINVAL, "'1 ' is not a whole number");
	number_bad("1.5", -EINVAL, "'1.5' is not a whole number");
	number_bad("12a", -EINVAL, "'12a' is not a whole number");
	number_bad("0", -ERANGE, "0 is too small: 1 to 255 is accepted");
	number_bad("256", -ERANGE, "256 is too large: 1 to 255 is accepted");
	number_bad("18446744073709551616", -ERANGE,
		   "18446744073709551616 is too large: 1 to 255 is accepted");
	number_bad("0x10000000000000001", -ERANGE,
		   "0x10000000000000001 is too large: 1 to 255 is accepted");
}

static void size_ok(const char *s, uint64_t unit, uint64_t want)
{
	uint64_t v = ~want;

	assert_int_equal(str_parse_size(s, unit, &v, NULL), 0);
	assert_int_equal(v, want);
}

static void size_bad(const char *s, int code, const char *msg)
{
	struct err e = ERR_INIT;
	uint64_t v = 77;

	assert_int_equal(str_parse_size(s, MIB(1), &v, &e), code);
	assert_string_equal(e.msg, msg);
	assert_int_equal(v, 77);
}

static void sizes_take_a_suffix_or_the_callers_unit(void **state)
{
	(void)state;
	size_ok("512", MIB(1), MIB(512));
	size_ok("512", 1, 512);
	size_ok("1K", 1, 1024);
	size_ok("2k", MIB(1), 2048);
	size_ok("3M", 1, MIB(3));
	size_ok("3MiB", 1, MIB(3));
	size_ok("3mib", 1, MIB(3));
	size_ok("4G", 1, GIB(4));
	size_ok("0x10G", 1, GIB(16));
	size_ok("1T", 1, GIB(1024));
	size_ok("16777215T", 1, UINT64_C(16777215) << 40);
}

static void a_size_with_a_wrong_suffix_is_refused_by_name(void **state)
{
	(void)state;
	size_bad("512Q", -EINVAL, "'512Q' has the unknown suffix 'Q': K, M, G and T are accepted");
	size_bad("512MB", -EINVAL,
		 "'512MB' has the unknown suffix 'MB': K, M, G and T are accepted");
	size_bad("1.5G", -EINVAL,
		 "'1.5G' has the unknown suffix '.5G': K, M, G and T are accepted");
	size_bad("G", -EINVAL, "'G' is not a size: a whole number is needed, as in 512M or 4G");
	size_bad("", -EINVAL, "'' is not a size: a whole number is needed, as in 512M or 4G");
	size_bad("-1M", -EINVAL, "'-1M' is not a size: a whole number is needed, as in 512M or 4G");
}

static void a_size_over_64_bits_is_refused(void **state)
{
	(void)state;
	size_bad("16777216T", -ERANGE, "16777216T is too large for a size");
	size_bad("18446744073709551615", -ERANGE, "18446744073709551615 is too large for a size");
	size_bad("99999999999999999999999K", -ERANGE,
		 "99999999999999999999999K is too large for a size");
}

static void durations_have_units_and_are_seconds_without_one(void **state)
{
	static const struct {
		const char *s;
		uint64_t ns;
	} good[] = {{"5ns", 5},
		    {"7us", 7000},
		    {"20ms", 20000000},
		    {"3", UINT64_C(3000000000)},
		    {"3s", UINT64_C(3000000000)},
		    {"2m", UINT64_C(120000000000)},
		    {"1h", UINT64_C(3600000000000)}};
	struct err e = ERR_INIT;
	uint64_t v;

	(void)state;
	for (size_t i = 0; i < ARRAY_LEN(good); i++) {
		assert_int_equal(str_parse_duration(good[i].s, &v, NULL), 0);
		assert_int_equal(v, good[i].ns);
	}
	assert_int_equal(str_parse_duration("5d", &v, &e), -EINVAL);
	assert_string_equal(e.msg,
			    "'5d' has the unknown suffix 'd': ns, us, ms, s, m and h are accepted");
	assert_int_equal(str_parse_duration("soon", &v, &e), -EINVAL);
	assert_string_equal(e.msg,
			    "'soon' is not a duration: a whole number is needed, as in 30s or 5m");
	assert_int_equal(str_parse_duration("5124096h", &v, &e), -ERANGE);
}

static void sizes_are_shown_in_the_largest_unit_that_fits(void **state)
{
	static const struct {
		uint64_t n;
		const char *text;
	} table[] = {{0, "0 bytes"},
		     {1, "1 byte"},
		     {512, "512 bytes"},
		     {1024, "1 KiB"},
		     {MIB(256), "256 MiB"},
		     {MIB(1536), "1.5 GiB"},
		     {GIB(1) - 1, "1023.9 MiB"},
		     {UINT64_MAX, "15.9 EiB"}};
	char buf[32];

	(void)state;
	for (size_t i = 0; i < ARRAY_LEN(table); i++)
		assert_string_equal(str_size(table[i].n, buf, sizeof(buf)), table[i].text);
}

static void the_nearest_word_is_offered_only_if_it_may_be_meant(void **state)
{
	static const char *const words[] = {"--memory", "--machine", "--kernel",
					    "--disk",	"--cpus",    NULL};
	char longer[400];

	(void)state;
	assert_string_equal(str_nearest("--memroy", words), "--memory");
	assert_string_equal(str_nearest("--disc", words), "--disk");
	assert_string_equal(str_nearest("--cpu", words), "--cpus");
	assert_string_equal(str_nearest("kernel", words), "--kernel");
	assert_null(str_nearest("--colour", words));
	assert_null(str_nearest("", words));
	assert_null(str_nearest("x", words));
	memset(longer, 'm', sizeof(longer) - 1);
	longer[sizeof(longer) - 1] = '\0';
	assert_null(str_nearest(longer, words));
}

static void a_copy_that_does_not_fit_is_cut_and_says_so(void **state)
{
	char buf[4];

	(void)state;
	assert_true(str_copy(buf, sizeof(buf), "abc"));
	assert_string_equal(buf, "abc");
	assert_false(str_copy(buf, sizeof(buf), "abcd"));
	assert_string_equal(buf, "abc");
	assert_false(str_copy(buf, 0, "x"));
	assert_string_equal(buf, "abc");
}

static void patterns_match_with_star_and_question_mark(void **state)
{
	char many[301];

	(void)state;
	assert_true(str_match("serial_*", "serial_tx"));
	assert_true(str_match("*", ""));
	assert_true(str_match("", ""));
	assert_true(str_match("*_?x", "serial_tx"));
	assert_true(str_match("a*b*c", "a__b__b__c"));
	assert_false(str_match("serial", "serial_tx"));
	assert_false(str_match("?", ""));
	assert_false(str_match("*x", "serial_ty"));
	assert_false(str_match("[s]erial_tx", "serial_tx"));
	/* Exponential in a naive matcher. */
	memset(many, 'a', sizeof(many) - 1);
	many[sizeof(many) - 1] = '\0';
	assert_false(str_match("*a*a*a*a*a*a*a*a*a*a*a*a*a*a*a*a*a*a*b", many));
}

static void crc32_agrees_with_its_check_value_and_with_zlib(void **state)
{
	uint8_t data[100];

	(void)state;
	assert_int_equal(str_crc32(0, "123456789", 9), 0xcbf43926);
	assert_int_equal(str_crc32(0, "", 0), 0);
	for (size_t i = 0; i < sizeof(data); i++)
		data[i] = (uint8_t)(i * 37 + 11);
	for (size_t from = 0; from < 9; from++) {
		for (size_t n = 0; from + n <= sizeof(data); n++) {
			uint32_t whole = str_crc32(0, data + from, n);
			uint32_t half = str_crc32(0, data + from, n / 2);

			assert_int_equal(whole, crc32(0, data + from, (unsigned)n));
			assert_int_equal(str_crc32(half, data + from + n / 2, n - n / 2), whole);
		}
	}
}

static void bitmaps_find_and_count_bits_over_word_ends(void **state)
{
	uint64_t map[BITMAP_WORDS(200)] = {0};

	(void)state;
	assert_int_equal(ARRAY_LEN(map), 4);
	assert_int_equal(bitmap_next(map, 200, 0), 200);
	bitmap_set(map, 3);
	bitmap_set(map, 63);
	bitmap_set(map, 64);
	bitmap_set(map, 199);
	assert_int_equal(bitmap_count(map, 200), 4);
	assert_int_equal(bitmap_count(map, 199), 3);
	assert_int_equal(bitmap_count(map, 64), 2);
	assert_int_equal(bitmap_count(map, 0), 0);
	assert_int_equal(bitmap_next(map, 200, 0), 3);
	assert_int_equal(bitmap_next(map, 200, 4), 63);
	assert_int_equal(bitmap_next(map, 200, 64), 64);
	assert_int_equal(bitmap_next(map, 200, 65), 199);
	assert_int_equal(bitmap_next(map, 199, 65), 199); /* beyond the end: none */
	assert_int_equal(bitmap_next(map, 200, 200), 200);
	assert_int_equal(bitmap_next(map, 200, 5000), 200);
	bitmap_clear(map, 63);
	assert_false(bitmap_test(map, 63));
	assert_true(bitmap_test(map, 64));
}

static void byte_order_is_part_of_the_type(void **state)
{
	uint8_t bytes[9] = {0};

	(void)state;
	le32_store(bytes + 1, 0x11223344);
	assert_memory_equal(bytes + 1, "\x44\x33\x22\x11", 4);
	assert_int_equal(be32_load(bytes + 1), 0x44332211);
	be16_store(bytes, 0xabcd);
	assert_memory_equal(bytes, "\xab\xcd", 2);
	assert_int_equal(le64_get(le64_of(UINT64_C(0x123456789abcdef0))),
			 UINT64_C(0x123456789abcdef0));
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(a_buffer_grows_and_keeps_its_text),
		cmocka_unit_test(a_buffer_that_cannot_grow_says_so_once_and_keeps_what_it_has),
		cmocka_unit_test(whole_numbers_are_decimal_or_hexadecimal),
		cmocka_unit_test(what_is_no_number_is_refused_with_the_range_named),
		cmocka_unit_test(sizes_take_a_suffix_or_the_callers_unit),
		cmocka_unit_test(a_size_with_a_wrong_suffix_is_refused_by_name),
		cmocka_unit_test(a_size_over_64_bits_is_refused),
		cmocka_unit_test(durations_have_units_and_are_seconds_without_one),
		cmocka_unit_test(sizes_are_shown_in_the_largest_unit_that_fits),
		cmocka_unit_test(the_nearest_word_is_offered_only_if_it_may_be_meant),
		cmocka_unit_test(a_copy_that_does_not_fit_is_cut_and_says_so),
		cmocka_unit_test(patterns_match_with_star_and_question_mark),
		cmocka_unit_test(crc32_agrees_with_its_check_value_and_with_zlib),
		cmocka_unit_test(bitmaps_find_and_count_bits_over_word_ends),
		cmocka_unit_test(byte_order_is_part_of_the_type),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
