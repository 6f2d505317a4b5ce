/* The EFI tables that an arm64 kernel finds its ACPI tables by, and their GetTime. */
#include <errno.h>
#include <sys/mman.h>
#include <time.h>

#include "unit.h"

#include "../golden/boards.h"
#include "boot/arm64/efi.h"

#define RAM 0x40000000ull

static void the_memory_map_covers_all_ram_once(void **state)
{
	const struct arm64_board *b = &boards[2].b;
	struct efi_image efi;
	struct err e = ERR_INIT;
	const uint8_t *map;
	uint64_t at = 0x40000000;
	unsigned runtime = 0;

	(void)state;
	assert_int_equal(efi_build(b, NULL, 0xa0000000, &efi, &e), 0);
	map = (const uint8_t *)efi.block.s + (efi.fdt.mmap - efi.base);
	assert_int_equal(efi.fdt.mmap_len, 7 * 40);
	assert_int_equal(le32_load(map), 11); /* the RTC's registers */
	assert_int_equal(le64_load(map + 8), 0x09010000);
	assert_int_equal(le64_load(map + 32), 1ull << 63 | 1);
	map += 40;
	for (unsigned i = 0; i < 6; i++, map += 40) {
		uint64_t attribute = le64_load(map + 32);

		assert_int_equal(le64_load(map + 8), at);
		assert_true(attribute & 8);
		runtime += attribute >> 63;
		at += le64_load(map + 24) * 4096;
	}
	assert_int_equal(runtime, 1);
	assert_int_equal(at, 0x140000000);
	efi_image_exit(&efi);
}

static void every_efi_header_has_its_checksum(void **state)
{
	static const unsigned off[] = {0x100, 0x200};
	struct efi_image efi;
	struct err e = ERR_INIT;

	(void)state;
	assert_int_equal(efi_build(&boards[0].b, NULL, 0x50000000, &efi, &e), 0);
	for (unsigned i = 0; i < ARRAY_LEN(off); i++) {
		uint8_t *h = (uint8_t *)efi.block.s + off[i];
		uint32_t len = le32_load(h + 12), crc = le32_load(h + 16);

		memset(h + 16, 0, 4);
		assert_int_equal(str_crc32(0, h, len), crc);
	}
	efi_image_exit(&efi);
	assert_int_equal(efi_build(&boards[0].b, NULL, 0x50001000, &efi, &e), -EINVAL);
	assert_string_equal(e.msg, "EFI tables cannot be at 0x50001000");
}

/* What GetTime's pointer in the runtime services table points to, as an offset in the block. */
static uint64_t get_time_offset(const struct efi_image *efi)
{
	return le64_load(efi->block.s + 0x100 + 24) - 0x20000000;
}

static void get_time_is_there_with_an_rtc_and_refuses_without(void **state)
{
	struct arm64_board b = boards[0].b;
	struct efi_image efi;
	struct err e = ERR_INIT;

	(void)state;
	assert_int_equal(efi_build(&b, NULL, 0x50000000, &efi, &e), 0);
	assert_int_equal(get_time_offset(&efi), 0x400);
	assert_int_equal(le64_load(efi.block.s + 0x100 + 32) - 0x20000000, 0);
	efi_image_exit(&efi);
	b.rtc.base = 0;
	assert_int_equal(efi_build(&b, NULL, 0x50000000, &efi, &e), 0);
	assert_int_equal(get_time_offset(&efi), 0);
	assert_int_equal(efi.fdt.mmap_len % 40, 0);
	efi_image_exit(&efi);
}

#ifdef __aarch64__
/* Calls it as the guest does: both mapped where the memory map puts them. */
static void get_time_agrees_with_the_c_library(void **state)
{
	static const uint32_t seconds[] = {0,	       59,	   86399,      86400,
					   951782399,  951782400,  951868800,  1078012800,
					   1095379199, 1709164800, 1735689599, 1735689600,
					   1795357699, 4107542399, UINT32_MAX};
	int prot = PROT_READ | PROT_WRITE,
	    flags = MAP_PRIVATE | MAP_ANONYMOUS | MAP_FIXED_NOREPLACE;
	uint8_t *code = mmap((void *)0x20000000, 0x20000, prot, flags, -1, 0),
		*rtc = code + 0x10000;
	uint64_t (*get_time)(uint8_t * time, uint32_t * caps) = NULL;
	struct efi_image efi;
	struct err e = ERR_INIT;
	uint64_t at;

	(void)state;
	assert_ptr_equal(code, (void *)0x20000000);
	assert_int_equal(efi_build(&boards[0].b, NULL, 0x50000000, &efi, &e), 0);
	memcpy(code, efi.block.s, 0x10000);
	at = (uint64_t)code + get_time_offset(&efi);
	memcpy(&get_time, &at, sizeof(at));
	assert_int_equal(mprotect(code, 0x10000, PROT_READ | PROT_EXEC), 0);
	__builtin___clear_cache((char *)code, (char *)code + 0x10000);
	for (size_t i = 0; i < ARRAY_LEN(seconds); i++) {
		time_t s = seconds[i];
		uint32_t caps[3] = {9, 9, 9};
		uint8_t t[16];
		struct tm tm;

		memset(t, 0xee, sizeof(t));
		le32_store(rtc, seconds[i]);
		gmtime_r(&s, &tm);
		assert_int_equal(get_time(t, caps), 0);
		assert_int_equal(le16_load(t), tm.tm_year + 1900);
		assert_int_equal(t[2], tm.tm_mon + 1);
		assert_int_equal(t[3], tm.tm_mday);
		assert_int_equal(t[4], tm.tm_hour);
		assert_int_equal(t[5], tm.tm_min);
		assert_int_equal(t[6], tm.tm_sec);
		assert_int_equal(le32_load(t + 8), 0);
		assert_int_equal(le32_load(t + 12), 0);
		assert_int_equal(caps[0], 1);
		assert_int_equal(get_time(t, NULL), 0);
	}
	assert_int_equal(get_time(NULL, NULL), 0x8000000000000002);
	efi_image_exit(&efi);
	munmap(code, 0x20000);
}
#endif

static void smbios_is_found_where_the_system_table_says(void **state)
{
	static const uint64_t dimm[] = {MIB(64)};
	static const struct smbios_range range[] = {{RAM, MIB(64)}};
	struct smbios s = {.sockets = 1,
			   .cores = 1,
			   .threads = 1,
			   .dimm = dimm,
			   .n_dimms = 1,
			   .range = range,
			   .n_ranges = 1};
	struct efi_image efi;
	struct err e = ERR_INIT;
	const char *p;

	(void)state;
	assert_int_equal(efi_build(&boards[0].b, &s, 0x50000000, &efi, &e), 0);
	p = efi.block.s + (efi.smbios - efi.base);
	assert_memory_equal(p, "_SM3_", 5);
	assert_true(le64_load(p + 16) - efi.base < efi.block.len);
	efi_image_exit(&efi);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(the_memory_map_covers_all_ram_once),
		cmocka_unit_test(every_efi_header_has_its_checksum),
		cmocka_unit_test(get_time_is_there_with_an_rtc_and_refuses_without),
#ifdef __aarch64__
		cmocka_unit_test(get_time_agrees_with_the_c_library),
#endif
		cmocka_unit_test(smbios_is_found_where_the_system_table_says),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
