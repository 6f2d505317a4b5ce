/* The decompressors: what goes in comes out, and nothing that a file claims is believed. */
#include "unit.h"

#include <errno.h>

#include "boot/unpack_lib.h"
#include "boot_build.h"

static const enum pack all[] = {PACK_GZIP, PACK_BZIP2, PACK_LZMA,	PACK_XZ,
				PACK_LZO,  PACK_LZ4,   PACK_LZ4_LEGACY, PACK_ZSTD};

static int unpack_blob(const struct blob *packed, enum pack p, void *dst, size_t cap, size_t *n,
		       struct err *e)
{
	struct boot_src src = boot_src_mem(packed->p, packed->n);

	*e = ERR_INIT;
	return unpack(&src, 0, packed->n, p, dst, cap, n, e);
}

static void every_format_is_recognised_by_its_first_bytes(void **state)
{
	struct blob in = blob_sample(5000);

	(void)state;
	for (size_t i = 0; i < ARRAY_LEN(all); i++) {
		struct blob packed = pack_blob(&in, all[i]);

		assert_int_equal(pack_recognise(packed.p, packed.n), all[i]);
		assert_int_equal(pack_recognise(packed.p, 2), PACK_NONE);
		blob_free(&packed);
	}
	assert_int_equal(pack_recognise(in.p, in.n), PACK_NONE);
	assert_int_equal(pack_recognise((const uint8_t *)"BZh9 is a word", 14), PACK_NONE);
	assert_int_equal(pack_recognise((const uint8_t *)"]\0\0and thirteen more", 20), PACK_NONE);
	blob_free(&in);
}

/* Larger than one piece of reading, than a block of lzo and than a block of lz4. */
static void what_was_packed_is_unpacked_from_memory_and_from_a_file(void **state)
{
	struct blob in = blob_sample(MIB(9) + 123);
	uint8_t *out = malloc(in.n);

	(void)state;
	for (size_t i = 0; i < ARRAY_LEN(all); i++) {
		struct blob packed = pack_blob(&in, all[i]);
		struct err e = ERR_INIT;
		struct boot_file f;
		struct boot_src src;
		size_t n;

		assert_int_equal(unpack_blob(&packed, all[i], out, in.n, &n, &e), 0);
		assert_int_equal(n, in.n);
		assert_memory_equal(out, in.p, in.n);
		memset(out, 0, in.n);
		assert_int_equal(boot_file_open(&f, build_file("packed", packed.p, packed.n), &e),
				 0);
		src = boot_src_file(&f);
		assert_int_equal(unpack(&src, 0, f.size, all[i], out, in.n, &n, &e), 0);
		assert_int_equal(n, in.n);
		assert_memory_equal(out, in.p, in.n);
		boot_file_close(&f);
		blob_free(&packed);
	}
	free(out);
	blob_free(&in);
}

static void one_byte_more_than_the_buffer_is_refused(void **state)
{
	struct blob in = blob_sample(300000);
	uint8_t *out = malloc(in.n);

	(void)state;
	for (size_t i = 0; i < ARRAY_LEN(all); i++) {
		struct blob packed = pack_blob(&in, all[i]);
		struct err e;
		size_t n;

		out[in.n - 1] = 0xee;
		assert_int_equal(unpack_blob(&packed, all[i], out, in.n - 1, &n, &e), -E2BIG);
		assert_int_equal(out[in.n - 1], 0xee);
		assert_int_equal(n, 0);
		blob_free(&packed);
	}
	free(out);
	blob_free(&in);
}

static void the_head_alone_can_be_unpacked(void **state)
{
	struct blob in = blob_sample(MIB(9));
	uint8_t out[8192];

	(void)state;
	for (size_t i = 0; i < ARRAY_LEN(all); i++) {
		struct blob packed = pack_blob(&in, all[i]);
		struct boot_src src = boot_src_mem(packed.p, packed.n);
		struct err e = ERR_INIT;
		size_t n;

		memset(out, 0, sizeof(out));
		assert_int_equal(unpack_head(&src, 0, packed.n, all[i], out, sizeof(out), &n, &e),
				 0);
		assert_int_equal(n, sizeof(out));
		assert_memory_equal(out, in.p, sizeof(out));
		blob_free(&packed);
	}
	blob_free(&in);
}

static void a_head_longer_than_the_data_is_all_of_it(void **state)
{
	struct blob in = blob_sample(1000);
	uint8_t out[8192];

	(void)state;
	for (size_t i = 0; i < ARRAY_LEN(all); i++) {
		struct blob packed = pack_blob(&in, all[i]);
		struct boot_src src = boot_src_mem(packed.p, packed.n);
		struct err e = ERR_INIT;
		size_t n;

		assert_int_equal(unpack_head(&src, 0, packed.n, all[i], out, sizeof(out), &n, &e),
				 0);
		assert_int_equal(n, 1000);
		assert_memory_equal(out, in.p, 1000);
		blob_free(&packed);
	}
	blob_free(&in);
}

/* The legacy lz4 frame has no end mark: cut between two blocks it is only shorter. */
static void data_that_is_cut_short_is_refused_at_every_length(void **state)
{
	struct blob in = blob_sample(2000);
	uint8_t out[2000];

	(void)state;
	for (size_t i = 0; i < ARRAY_LEN(all); i++) {
		struct blob packed = pack_blob(&in, all[i]);
		struct blob cut = packed;

		for (cut.n = 0; cut.n < packed.n; cut.n++) {
			struct err e;
			size_t n;
			int r = unpack_blob(&cut, all[i], out, sizeof(out), &n, &e);

			if (all[i] == PACK_LZ4_LEGACY && cut.n >= 4 && cut.n < 8)
				assert_int_equal(n, 0);
			else
				assert_int_not_equal(r, 0);
		}
		blob_free(&packed);
	}
	blob_free(&in);
}

static void a_message_names_the_format_and_what_is_wrong(void **state)
{
	struct blob in = blob_sample(100000);
	uint8_t *out = malloc(in.n);
	struct err e;
	size_t n;
	struct blob z = pack_blob(&in, PACK_ZSTD), g = pack_blob(&in, PACK_GZIP);

	(void)state;
	z.n /= 2;
	assert_int_equal(unpack_blob(&z, PACK_ZSTD, out, in.n, &n, &e), -EINVAL);
	assert_string_equal(e.msg, "the zstd-compressed data ends early");
	g.p[g.n - 8] ^= 0x55; /* of the checksum */
	assert_int_equal(unpack_blob(&g, PACK_GZIP, out, in.n, &n, &e), -EINVAL);
	assert_string_equal(e.msg, "the gzip-compressed data is damaged");
	g.p[g.n - 8] ^= 0x55; /* of the checksum */
	assert_int_equal(unpack_blob(&g, PACK_GZIP, out, KIB(64), &n, &e), -E2BIG);
	assert_string_equal(
		e.msg,
		"the gzip-compressed data unpacks to more than the 64 KiB that there should be");
	assert_int_equal(unpack_blob(&g, PACK_NONE, out, in.n, &n, &e), -EINVAL);
	blob_free(&z);
	blob_free(&g);
	blob_free(&in);
	free(out);
}

static void every_changed_byte_gives_an_error_or_wrong_bytes_but_no_more_than_fit(void **state)
{
	struct blob in = blob_sample(700);
	uint8_t out[701];

	(void)state;
	for (size_t i = 0; i < ARRAY_LEN(all); i++) {
		struct blob packed = pack_blob(&in, all[i]);

		for (size_t k = 0; k < packed.n; k++) {
			struct err e;
			size_t n;

			packed.p[k] ^= 0xff;
			out[700] = 0xcd;
			(void)!unpack_blob(&packed, all[i], out, 700, &n, &e);
			assert_int_equal(out[700], 0xcd);
			assert_true(n <= 700);
			packed.p[k] ^= 0xff;
		}
		blob_free(&packed);
	}
	blob_free(&in);
}

static void bytes_behind_the_end_of_a_stream_are_ignored(void **state)
{
	struct blob in = blob_sample(3000);
	uint8_t out[3000];

	(void)state;
	for (size_t i = 0; i < ARRAY_LEN(all); i++) {
		struct blob packed = pack_blob(&in, all[i]);
		struct err e;
		size_t n;

		blob_add(&packed, "\0\0\0", 3);
		assert_int_equal(unpack_blob(&packed, all[i], out, sizeof(out), &n, &e), 0);
		assert_int_equal(n, 3000);
		blob_free(&packed);
	}
	blob_free(&in);
}

static void checksums_of_lzop_are_checked_in_each_of_its_ways(void **state)
{
	static const uint32_t flags[] = {0, 0x1, 0x2, 0x3, 0x100, 0x200, 0x300, 0x303};
	struct blob in = blob_sample(600000);
	uint8_t *out = malloc(in.n);

	(void)state;
	for (size_t i = 0; i < ARRAY_LEN(flags); i++) {
		struct blob packed = pack_lzo(&in, flags[i]);
		struct err e;
		size_t n;

		assert_int_equal(unpack_blob(&packed, PACK_LZO, out, in.n, &n, &e), 0);
		assert_int_equal(n, in.n);
		assert_memory_equal(out, in.p, in.n);
		if (flags[i]) {
			/* The first checksum: behind the header of 38 bytes and two lengths. */
			packed.p[38 + 8 + 3] ^= 1;
			assert_int_equal(unpack_blob(&packed, PACK_LZO, out, in.n, &n, &e),
					 -EINVAL);
		}
		blob_free(&packed);
	}
	free(out);
	blob_free(&in);
}

static void blocks_that_lzop_stored_are_copied(void **state)
{
	struct blob in = {0};
	uint8_t *p = blob_grow(&in, 5000), out[5000];
	uint32_t x = 7;
	struct blob packed;
	struct err e;
	size_t n;

	(void)state;
	for (size_t i = 0; i < in.n; i++) {
		x = x * 1664525 + 1013904223;
		p[i] = (uint8_t)(x >> 24);
	}
	packed = pack_lzo(&in, 0x303);
	assert_true(packed.n > in.n);
	assert_int_equal(unpack_blob(&packed, PACK_LZO, out, sizeof(out), &n, &e), 0);
	assert_memory_equal(out, in.p, in.n);
	blob_free(&packed);
	blob_free(&in);
}

#define NO_FUNCTIONS(F)	   F(strlen)
#define WRONG_FUNCTIONS(F) F(inflate) F(err_set)

UNPACK_LIB(no_such, "libno-such.so.7", "libno-such7", NO_FUNCTIONS);
UNPACK_LIB(too_old, "libz.so.1", "zlib1g", WRONG_FUNCTIONS);

static void a_library_that_the_host_lacks_is_named_with_its_package(void **state)
{
	struct err e = ERR_INIT;

	(void)state;
	assert_int_equal(unpack_lib_load(&no_such_lib, &e), -ENOSYS);
	assert_string_equal(e.msg, "cannot be unpacked: this host has no usable libno-such.so.7");
	assert_string_equal(e.hint, "Debian's package libno-such7 has it");
	assert_int_equal(e.kind, ERR_HOST);
	e = ERR_INIT;
	assert_int_equal(unpack_lib_load(&too_old_lib, &e), -ENOSYS);
	assert_string_equal(e.msg, "cannot be unpacked: this host has no usable libz.so.1");
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(every_format_is_recognised_by_its_first_bytes),
		cmocka_unit_test(what_was_packed_is_unpacked_from_memory_and_from_a_file),
		cmocka_unit_test(one_byte_more_than_the_buffer_is_refused),
		cmocka_unit_test(the_head_alone_can_be_unpacked),
		cmocka_unit_test(a_head_longer_than_the_data_is_all_of_it),
		cmocka_unit_test(data_that_is_cut_short_is_refused_at_every_length),
		cmocka_unit_test(a_message_names_the_format_and_what_is_wrong),
		cmocka_unit_test(
			every_changed_byte_gives_an_error_or_wrong_bytes_but_no_more_than_fit),
		cmocka_unit_test(bytes_behind_the_end_of_a_stream_are_ignored),
		cmocka_unit_test(checksums_of_lzop_are_checked_in_each_of_its_ways),
		cmocka_unit_test(blocks_that_lzop_stored_are_copied),
		cmocka_unit_test(a_library_that_the_host_lacks_is_named_with_its_package),
	};

	return cmocka_run_group_tests(tests, NULL, build_cleanup);
}
