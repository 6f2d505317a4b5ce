/* What a kernel file is, by its content; and the sentence for everything that is none. */
#include "unit.h"

#include <errno.h>
#include <fcntl.h>

#include "boot/identify.h"
#include "boot/kernel.h"
#include "boot_build.h"

#define ACCEPTED                                                                            \
	"; a kernel is a Linux bzImage, an ELF vmlinux, a PVH or a multiboot kernel, each " \
	"compressed or not"

/* Opens the bytes as a kernel; NULL and the message without the path in @e if it is refused. */
static struct boot_image *open_bytes(const void *p, size_t n, struct err *e)
{
	const char *path = build_file("kernel", p, n);
	struct boot_image *img;
	size_t skip = strlen(path) + 2;

	*e = ERR_INIT;
	if (boot_image_open(path, BOOT_X86, &img, e) == 0)
		return img;
	assert_null(img);
	assert_true(e->code < 0);
	assert_memory_equal(e->msg, path, strlen(path));
	memmove(e->msg, e->msg + skip, strlen(e->msg + skip) + 1);
	return NULL;
}

static void refused(const void *p, size_t n, const char *msg)
{
	struct err e;

	assert_null(open_bytes(p, n, &e));
	assert_string_equal(e.msg, msg);
}

static struct blob small_elf(uint32_t pvh)
{
	return build_elf(&(struct build_elf){
		.entry = 0x1000000,
		.pvh = pvh,
		.n_segs = 2,
		.seg = {{0x1000000, 0xffffffff81000000, 5000, 5000, 0x11},
			{0x1002000, 0xffffffff81002000, 100, 9000, 0x22}},
	});
}

static void an_elf_kernel_is_described_by_its_segments(void **state)
{
	struct blob b = small_elf(0);
	struct boot_image *img;
	struct err e;

	(void)state;
	img = open_bytes(b.p, b.n, &e);
	assert_non_null(img);
	assert_int_equal(img->format, BOOT_FORMAT_ELF64);
	assert_string_equal(img->what, "x86-64 kernel (ELF)");
	assert_int_equal(img->elf.n_segs, 2);
	assert_int_equal(img->elf.entry, 0x1000000);
	assert_int_equal(img->elf.seg[1].addr, 0x1002000);
	assert_int_equal(img->elf.seg[1].len, 100);
	assert_int_equal(img->elf.seg[1].mem_len, 9000);
	assert_int_equal(img->mem_end, 0x1002000 + 9000);
	assert_int_equal(img->pvh_entry, 0);
	boot_image_close(img);
	blob_free(&b);
}

static void a_pvh_note_is_found_in_both_classes(void **state)
{
	struct blob b = small_elf(0x1000abc);
	struct boot_image *img;
	struct err e;

	(void)state;
	img = open_bytes(b.p, b.n, &e);
	assert_non_null(img);
	assert_int_equal(img->pvh_entry, 0x1000abc);
	assert_string_equal(img->what, "x86-64 kernel (ELF, PVH)");
	boot_image_close(img);
	blob_free(&b);

	b = build_elf(&(struct build_elf){.is32 = true,
					  .entry = 0x100000,
					  .pvh = 0x100020,
					  .n_segs = 1,
					  .seg = {{0x100000, 0x100000, 64, 64, 0}}});
	img = open_bytes(b.p, b.n, &e);
	assert_non_null(img);
	assert_int_equal(img->format, BOOT_FORMAT_ELF32);
	assert_int_equal(img->pvh_entry, 0x100020);
	boot_image_close(img);
	blob_free(&b);
}

static void an_entry_that_is_virtual_becomes_physical(void **state)
{
	struct blob b = build_elf(
		&(struct build_elf){.entry = 0xffffffff80200040,
				    .n_segs = 1,
				    .seg = {{0x200000, 0xffffffff80200000, 100, 100, 0}}});
	struct boot_image *img;
	struct err e;

	(void)state;
	img = open_bytes(b.p, b.n, &e);
	assert_non_null(img);
	assert_int_equal(img->elf.entry, 0x200040);
	boot_image_close(img);
	blob_free(&b);
}

static void a_bzimage_shows_the_kernel_inside_in_every_compression(void **state)
{
	static const struct {
		enum pack p;
		const char *what;
	} packs[] = {
		{PACK_GZIP, "gzip"}, {PACK_BZIP2, "bzip2"},    {PACK_LZMA, "lzma"}, {PACK_XZ, "xz"},
		{PACK_LZO, "lzo"},   {PACK_LZ4_LEGACY, "lz4"}, {PACK_ZSTD, "zstd"},
	};
	struct blob inside = small_elf(0);

	(void)state;
	for (size_t i = 0; i < ARRAY_LEN(packs); i++) {
		struct blob b = build_bz(&(struct build_bz){.pack = packs[i].p,
							    .inside = inside,
							    .pref = 0x1000000,
							    .init_size = 0x300000});
		struct boot_image *img;
		char what[160];
		struct err e;

		img = open_bytes(b.p, b.n, &e);
		assert_non_null(img);
		assert_int_equal(img->format, BOOT_FORMAT_BZIMAGE);
		assert_int_equal(img->bz.pack, packs[i].p);
		assert_int_equal(img->bz.unpacked_len, inside.n);
		assert_int_equal(img->elf.n_segs, 2);
		assert_int_equal(img->mem_end, 0x1300000);
		assert_int_equal(img->cmdline_max, 2047);
		assert_int_equal(img->initrd_max, 0x7fffffff);
		assert_true(img->bz.entry64);
		snprintf(what, sizeof(what),
			 "Linux 6.1.0-test (bzImage, boot protocol 2.15, %s, relocatable)",
			 packs[i].what);
		assert_string_equal(img->what, what);
		boot_image_close(img);
		blob_free(&b);
	}
	blob_free(&inside);
}

static void a_bzimage_with_an_unknown_payload_is_left_to_its_own_decompressor(void **state)
{
	struct blob inside = blob_sample(5000);
	struct blob b = build_bz(&(struct build_bz){
		.pack = PACK_NONE, .inside = inside, .pref = 0x1000000, .init_size = 0x300000});
	struct boot_image *img;
	struct err e;

	(void)state;
	img = open_bytes(b.p, b.n, &e);
	assert_non_null(img);
	assert_int_equal(img->bz.pack, PACK_NONE);
	assert_string_equal(img->what,
			    "Linux 6.1.0-test (bzImage, boot protocol 2.15, relocatable)");
	boot_image_close(img);
	blob_free(&b);
	blob_free(&inside);
}

static void put_multiboot(uint8_t *p, uint32_t flags)
{
	le32_store(p, 0x1badb002);
	le32_store(p + 4, flags);
	le32_store(p + 8, 0u - 0x1badb002 - flags);
}

static void multiboot_is_found_by_its_header_in_elf_and_in_flat_files(void **state)
{
	struct build_elf d = {.is32 = true,
			      .entry = 0x10000c,
			      .n_segs = 1,
			      .seg = {{0x100000, 0x100000, 4096, 8192, 0}}};
	struct blob b = build_elf(&d);
	struct boot_image *img;
	struct err e;

	(void)state;
	put_multiboot(b.p + 0x400, 3);
	img = open_bytes(b.p, b.n, &e);
	assert_non_null(img);
	assert_int_equal(img->format, BOOT_FORMAT_MULTIBOOT);
	assert_string_equal(img->what, "multiboot kernel (32-bit ELF)");
	assert_int_equal(img->elf.entry, 0x10000c);
	assert_int_equal(img->mem_end, 0x102000);
	boot_image_close(img);
	blob_free(&b);

	memset(blob_grow(&b, 3000), 0x90, 3000);
	put_multiboot(b.p + 64, 0x10003);
	le32_store(b.p + 64 + 12, 0x100010); /* header at: the load address is file offset 48 */
	le32_store(b.p + 64 + 16, 0x100000);
	le32_store(b.p + 64 + 20, 0);
	le32_store(b.p + 64 + 24, 0x104000);
	le32_store(b.p + 64 + 28, 0x100040);
	img = open_bytes(b.p, b.n, &e);
	assert_non_null(img);
	assert_string_equal(img->what, "multiboot kernel (flat, with address fields)");
	assert_int_equal(img->elf.seg[0].off, 48);
	assert_int_equal(img->elf.seg[0].len, 3000 - 48);
	assert_int_equal(img->elf.seg[0].mem_len, 0x4000);
	assert_int_equal(img->elf.entry, 0x100040);
	boot_image_close(img);
	le32_store(b.p + 64 + 20, 0x101000);
	refused(b.p, b.n, "is a multiboot kernel that is cut short: it has 3000 of 4144 bytes");
	le32_store(b.p + 64 + 16, 0xf0000);
	refused(b.p, b.n, "is a multiboot kernel whose load address is not in the file");
	put_multiboot(b.p + 64, 0x10013);
	refused(b.p, b.n, "is a multiboot kernel that asks for features 0x10, which are not known");
	blob_free(&b);
}

static void a_kernel_that_is_compressed_as_a_whole_is_recognised_inside(void **state)
{
	static const enum pack packs[] = {PACK_GZIP, PACK_BZIP2, PACK_LZMA, PACK_XZ,
					  PACK_LZO,  PACK_LZ4,	 PACK_ZSTD, PACK_LZ4_LEGACY};
	struct blob elf = small_elf(0x1000100);

	(void)state;
	for (size_t i = 0; i < ARRAY_LEN(packs); i++) {
		struct blob b = pack_blob(&elf, packs[i]);
		struct boot_image *img;
		char what[160];
		struct err e;

		img = open_bytes(b.p, b.n, &e);
		assert_non_null(img);
		assert_int_equal(img->format, BOOT_FORMAT_ELF64);
		assert_int_equal(img->outer, packs[i]);
		assert_true(img->pvh_unknown);
		snprintf(what, sizeof(what), "x86-64 kernel (ELF), %s", pack_name(packs[i]));
		assert_string_equal(img->what, what);
		boot_image_close(img);
		blob_free(&b);
	}
	blob_free(&elf);
}

static void kernels_of_other_machines_are_named(void **state)
{
	static const struct {
		uint16_t machine;
		const char *msg;
	} elfs[] = {
		{183, "is an ELF program for arm64; this machine is x86-64"},
		{243, "is an ELF program for RISC-V; this machine is x86-64"},
		{258, "is an ELF program for LoongArch; this machine is x86-64"},
		{0x7777, "is an ELF program for machine 30583; this machine is x86-64"},
	};
	uint8_t image[256] = {'M', 'Z'};
	struct blob b, z;

	(void)state;
	memcpy(image + 56, "ARM\x64", 4);
	refused(image, sizeof(image), "is an arm64 Linux kernel (Image); this machine is x86-64");
	b = (struct blob){image, sizeof(image)};
	z = pack_blob(&b, PACK_GZIP);
	refused(z.p, z.n,
		"is a gzip-compressed file that holds an arm64 Linux kernel (Image); this machine "
		"is x86-64");
	blob_free(&z);
	memcpy(image + 56, "RSC\x05", 4);
	refused(image, sizeof(image), "is a RISC-V Linux kernel (Image); this machine is x86-64");
	memset(image, 0, sizeof(image));
	memcpy(image, "MZ\0\0zimg", 8);
	le32_store(image + 60, 128);
	memcpy(image + 128, "PE\0\0", 4);
	le16_store(image + 132, 0xaa64);
	refused(image, sizeof(image),
		"is an EFI zboot kernel image for arm64; this machine is x86-64");
	for (size_t i = 0; i < ARRAY_LEN(elfs); i++) {
		b = build_elf(&(struct build_elf){.machine = elfs[i].machine,
						  .n_segs = 1,
						  .seg = {{0x1000, 0x1000, 16, 16, 0}}});
		refused(b.p, b.n, elfs[i].msg);
		blob_free(&b);
	}
	/* Big-endian. */
	memset(image, 0, sizeof(image));
	memcpy(image, "\177ELF\2\2\1", 7);
	image[17] = 2;
	image[19] = 22;
	refused(image, sizeof(image), "is an ELF program for s390; this machine is x86-64");
}

static void what_is_no_kernel_is_named(void **state)
{
	static const struct {
		uint32_t off;
		const char *bytes;
		uint8_t len;
		const char *what;
	} files[] = {
		{0, "QFI\xfb", 4, "a qcow2 disk image"},
		{0x8001, "CD001", 5, "an ISO 9660 disk image"},
		{0x438, "\x53\xef", 2, "an ext4 file system image"},
		{0x10040, "_BHRfS_M", 8, "a btrfs file system image"},
		{0, "XFSB", 4, "an XFS file system image"},
		{512, "EFI PART", 8, "a disk image with a GPT partition table"},
		{0, "070701000001", 12, "a cpio archive (an initrd)"},
		{0, "!<arch>\ndebian-binary", 21, "a Debian package"},
		{257, "ustar", 5, "a tar archive"},
		{0, "PK\3\4", 4, "a zip archive"},
		{0, "\xd0\x0d\xfe\xed", 4, "a device tree or FIT image"},
		{40, "_FVH", 4, "a UEFI firmware image"},
	};
	char msg[400];

	(void)state;
	for (size_t i = 0; i < ARRAY_LEN(files); i++) {
		struct blob b = {0};

		blob_pad_to(&b, 70000);
		b.p[69000] = 1;
		memcpy(b.p + files[i].off, files[i].bytes, files[i].len);
		snprintf(msg, sizeof(msg), "is %s" ACCEPTED, files[i].what);
		refused(b.p, b.n, msg);
		blob_free(&b);
	}
}

static void scripts_texts_and_zeros_are_named(void **state)
{
	struct blob b = {0};

	(void)state;
	refused("#!/bin/sh\necho hi\n", 18, "is a script (#!/bin/sh)" ACCEPTED);
	refused("just some words\n", 16, "is a text file" ACCEPTED);
	blob_grow(&b, 100);
	refused(b.p, b.n, "is a file of zeros only" ACCEPTED);
	blob_grow(&b, 99900);
	refused(b.p, b.n, "is a file that begins with 65664 zeros" ACCEPTED);
	blob_free(&b);
	refused("\x01\x02\xfe\xff", 4,
		"is not a kernel: a kernel is a Linux bzImage, an ELF vmlinux, a PVH or a "
		"multiboot kernel, "
		"each compressed or not (it begins with 01 02 fe ff)");
}

static void boot_sectors_and_partitioned_disks_are_told_apart(void **state)
{
	uint8_t sector[512] = {0xeb, 0x3c, 0x90};
	struct err e;

	(void)state;
	sector[510] = 0x55;
	sector[511] = 0xaa;
	refused(sector, sizeof(sector), "is a boot sector" ACCEPTED);
	sector[446] = 0x80;
	sector[450] = 0x83;
	assert_null(open_bytes(sector, sizeof(sector), &e));
	assert_string_equal(e.msg, "is a disk image with an MBR partition table" ACCEPTED);
	assert_string_equal(e.hint, "a flat real-mode binary is started with --raw FILE");
}

static void efi_programs_are_named_with_their_machine(void **state)
{
	uint8_t pe[512] = {'M', 'Z'};

	(void)state;
	le32_store(pe + 60, 128);
	memcpy(pe + 128, "PE\0\0", 4);
	le16_store(pe + 132, 0x8664);
	pe[128 + 92] = 10;
	refused(pe, sizeof(pe), "is an EFI program for x86-64 (PE)" ACCEPTED);
	le16_store(pe + 132, 0xaa64);
	pe[128 + 92] = 3;
	refused(pe, sizeof(pe), "is a Windows program for arm64 (PE)" ACCEPTED);
	le32_store(pe + 60, 0xfffffff0);
	refused(pe, sizeof(pe), "is a DOS program" ACCEPTED);
}

static void an_initrd_given_as_a_kernel_gets_a_hint(void **state)
{
	struct blob cpio = {0}, z;
	struct err e;

	(void)state;
	blob_add(&cpio, "07070100000001", 14);
	blob_grow(&cpio, 600);
	z = pack_blob(&cpio, PACK_GZIP);
	assert_null(open_bytes(z.p, z.n, &e));
	assert_string_equal(
		e.msg, "is a gzip-compressed file that holds a cpio archive (an initrd)" ACCEPTED);
	assert_string_equal(e.hint, "an initrd is given with --initrd, beside a kernel");
	blob_free(&z);
	z = pack_blob(&cpio, PACK_ZSTD);
	refused(z.p, z.n,
		"is a zstd-compressed file that holds a cpio archive (an initrd)" ACCEPTED);
	blob_free(&z);
	blob_free(&cpio);
}

static void programs_modules_and_old_elf_files_are_told_from_kernels(void **state)
{
	struct build_elf d = {.entry = 0x401000,
			      .n_segs = 1,
			      .extra_type = 7,
			      .seg = {{0x400000, 0x400000, 5000, 5000, 0}}};
	struct blob b = build_elf(&d);

	(void)state;
	refused(b.p, b.n, "is a program for an operating system (ELF), not a kernel" ACCEPTED);
	blob_free(&b);
	d = (struct build_elf){.type = 1, .n_segs = 1, .seg = {{0, 0, 16, 16, 0}}};
	b = build_elf(&d);
	refused(b.p, b.n, "is an ELF object file (a kernel module?) for x86-64" ACCEPTED);
	blob_free(&b);
	d = (struct build_elf){.is32 = true, .n_segs = 1, .seg = {{0x100000, 0x100000, 16, 16, 0}}};
	b = build_elf(&d);
	refused(b.p, b.n,
		"is a 32-bit ELF file with neither a PVH note nor a multiboot header" ACCEPTED);
	blob_free(&b);
}

static void damaged_elf_files_are_refused(void **state)
{
	struct blob b = small_elf(0);

	(void)state;
	refused(b.p, 40,
		"is an ELF file for x86 that is cut short: not even the ELF header is there");
	refused(b.p, b.n - 1,
		"is an ELF file for x86 that is cut short: a segment of 100 bytes at 5184 is not "
		"in its 5283 bytes");
	refused(b.p, 100,
		"is an ELF file for x86 that has no program headers in its first 100 bytes");
	le16_store(b.p + 56, 0);
	refused(b.p, b.n, "is an ELF file for x86 that has nothing to load: no program headers");
	le16_store(b.p + 56, 2);
	le64_store(b.p + 64 + 40, 4999);
	refused(b.p, b.n,
		"is an ELF file for x86 that has a segment with more bytes than memory for them");
	le64_store(b.p + 64 + 40, 0x2001);
	refused(b.p, b.n, "is an ELF file for x86 that has segments that overlap at 0x1002000");
	le64_store(b.p + 64 + 40, 5000);
	le64_store(b.p + 64 + 24, 0xffffffffffff0000);
	refused(b.p, b.n,
		"is an ELF file for x86 that has a segment at the impossible address "
		"0xffffffffffff0000");
	le64_store(b.p + 64 + 8, 0xfffffffffffff000);
	refused(b.p, b.n,
		"is an ELF file for x86 that is cut short: a segment of 5000 bytes at "
		"18446744073709547520 is "
		"not in its 5284 bytes");
	blob_free(&b);
}

static void damaged_and_old_bzimages_are_refused(void **state)
{
	struct blob inside = small_elf(0), b;
	struct build_bz d = {
		.pack = PACK_GZIP, .inside = inside, .pref = 0x1000000, .init_size = 0x300000};
	char msg[200];

	(void)state;
	b = build_bz(&d);
	snprintf(msg, sizeof(msg), "is a Linux bzImage that is cut short: it has 1024 of %zu bytes",
		 b.n);
	refused(b.p, 1024, msg);
	b.p[1024 + 0x300 + 30] ^= 0xff;
	b.p[1024 + 0x300 + 31] ^= 0xff;
	b.p[1024 + 0x300 + 33] ^= 0xff;
	refused(b.p, b.n,
		"is a Linux bzImage that is damaged: the gzip-compressed data is damaged");
	le32_store(b.p + 0x24c, 0x10000000);
	refused(b.p, b.n,
		"is a Linux bzImage with a damaged header: its payload is not in the file");
	le32_store(b.p + 0x230, 3);
	refused(b.p, b.n, "is a Linux bzImage with a damaged header");
	le16_store(b.p + 0x206, 0x205);
	refused(b.p, b.n,
		"is a Linux kernel of boot protocol 2.05; 2.06 (Linux 2.6.22) or later is needed");
	le16_store(b.p + 0x206, 0x206);
	b.p[0x211] = 0;
	refused(b.p, b.n, "is a Linux zImage, which loads below 1 MiB; a bzImage is needed");
	blob_free(&b);
	d.claimed = 0x300001;
	b = build_bz(&d);
	refused(b.p, b.n,
		"is a Linux bzImage that is damaged: its kernel would unpack to 3145729 bytes");
	blob_free(&b);
	blob_free(&inside);
}

static void files_that_cannot_be_read_are_refused_with_the_reason(void **state)
{
	struct boot_image *img;
	struct err e = ERR_INIT;
	char path[200], msg[300];

	(void)state;
	snprintf(path, sizeof(path), "%s/missing", build_dir());
	assert_int_equal(boot_image_open(path, BOOT_X86, &img, &e), -ENOENT);
	snprintf(msg, sizeof(msg), "%s: cannot open: No such file or directory", path);
	assert_string_equal(e.msg, msg);
	assert_null(img);

	e = ERR_INIT;
	assert_int_equal(boot_image_open(build_dir(), BOOT_X86, &img, &e), -EISDIR);
	snprintf(msg, sizeof(msg), "%s: is a directory", build_dir());
	assert_string_equal(e.msg, msg);

	e = ERR_INIT;
	snprintf(path, sizeof(path), "%s", build_file("empty", "", 0));
	assert_int_equal(boot_image_open(path, BOOT_X86, &img, &e), -EINVAL);
	snprintf(msg, sizeof(msg), "%s: is empty", path);
	assert_string_equal(e.msg, msg);

	e = ERR_INIT;
	snprintf(path, sizeof(path), "%s/pipe", build_dir());
	assert_int_equal(mkfifo(path, 0600), 0);
	assert_int_equal(boot_image_open(path, BOOT_X86, &img, &e), -EINVAL);
	snprintf(msg, sizeof(msg), "%s: is a pipe", path);
	assert_string_equal(e.msg, msg);

	e = ERR_INIT;
	assert_int_equal(boot_image_open("/dev/zero", BOOT_X86, &img, &e), -EINVAL);
	assert_string_equal(e.msg, "/dev/zero: is a character device");
}

static void compressed_files_that_hold_nothing_good_are_refused(void **state)
{
	struct blob empty = {calloc(1, 1), 0}, text = {0}, z, zz;

	(void)state;
	z = pack_blob(&empty, PACK_GZIP);
	refused(z.p, z.n, "is a gzip-compressed file that holds nothing" ACCEPTED);
	blob_free(&z);
	blob_add(&text, "words\n", 6);
	z = pack_blob(&text, PACK_XZ);
	refused(z.p, z.n, "is an xz-compressed file that holds a text file" ACCEPTED);
	zz = pack_blob(&z, PACK_GZIP);
	refused(zz.p, zz.n, "is compressed twice (xz inside gzip)" ACCEPTED);
	refused(z.p, z.n - 20, "the xz-compressed data ends early");
	blob_free(&z);
	blob_free(&zz);
	blob_free(&text);
	blob_free(&empty);
}

static void a_raw_image_is_taken_as_it_is_below_one_mebibyte(void **state)
{
	struct boot_image *img;
	struct err e = ERR_INIT;
	const char *path = build_file("raw", "#!\xf4", 3);
	char msg[300];

	(void)state;
	assert_int_equal(boot_image_open_raw(path, BOOT_X86, BOOT_RAW_ADDR, &img, &e), 0);
	assert_int_equal(img->format, BOOT_FORMAT_RAW);
	assert_int_equal(img->mem_end, 0x7c03);
	assert_string_equal(img->what, "flat real-mode binary (3 bytes at 0x7c00)");
	boot_image_close(img);
	assert_int_equal(boot_image_open_raw(path, BOOT_X86, 0x100000, &img, &e), -EINVAL);
	snprintf(msg, sizeof(msg),
		 "%s: cannot start at 0x100000: real mode reaches addresses below 1 MiB", path);
	assert_string_equal(e.msg, msg);
	assert_null(img);
	assert_int_equal(boot_image_open_raw(path, BOOT_ARM64, 0x40080000, &img, &e), 0);
	assert_string_equal(img->what, "flat arm64 binary (3 bytes at 0x40080000)");
	boot_image_close(img);
}

static void a_file_that_is_written_to_is_noticed(void **state)
{
	const char *path = build_file("changing", "1234", 4);
	struct timespec times[2] = {{.tv_sec = 1000}, {.tv_sec = 1000}};
	struct err e = ERR_INIT;
	struct boot_file f;
	char other[200];

	(void)state;
	assert_int_equal(utimensat(AT_FDCWD, path, times, 0), 0);
	assert_int_equal(boot_file_open(&f, path, &e), 0);
	assert_int_equal(boot_file_check(&f, &e), 0);
	snprintf(other, sizeof(other), "%s/renamed", build_dir());
	assert_int_equal(rename(path, other), 0);
	assert_int_equal(boot_file_check(&f, &e), 0);
	assert_int_equal(truncate(other, 3), 0);
	assert_int_equal(boot_file_check(&f, &e), -ESTALE);
	assert_non_null(strstr(e.msg, "was changed since the VM was started"));
	boot_file_close(&f);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(an_elf_kernel_is_described_by_its_segments),
		cmocka_unit_test(a_pvh_note_is_found_in_both_classes),
		cmocka_unit_test(an_entry_that_is_virtual_becomes_physical),
		cmocka_unit_test(a_bzimage_shows_the_kernel_inside_in_every_compression),
		cmocka_unit_test(a_bzimage_with_an_unknown_payload_is_left_to_its_own_decompressor),
		cmocka_unit_test(multiboot_is_found_by_its_header_in_elf_and_in_flat_files),
		cmocka_unit_test(a_kernel_that_is_compressed_as_a_whole_is_recognised_inside),
		cmocka_unit_test(kernels_of_other_machines_are_named),
		cmocka_unit_test(what_is_no_kernel_is_named),
		cmocka_unit_test(scripts_texts_and_zeros_are_named),
		cmocka_unit_test(boot_sectors_and_partitioned_disks_are_told_apart),
		cmocka_unit_test(efi_programs_are_named_with_their_machine),
		cmocka_unit_test(an_initrd_given_as_a_kernel_gets_a_hint),
		cmocka_unit_test(programs_modules_and_old_elf_files_are_told_from_kernels),
		cmocka_unit_test(damaged_elf_files_are_refused),
		cmocka_unit_test(damaged_and_old_bzimages_are_refused),
		cmocka_unit_test(files_that_cannot_be_read_are_refused_with_the_reason),
		cmocka_unit_test(compressed_files_that_hold_nothing_good_are_refused),
		cmocka_unit_test(a_raw_image_is_taken_as_it_is_below_one_mebibyte),
		cmocka_unit_test(a_file_that_is_written_to_is_noticed),
	};

	return cmocka_run_group_tests(tests, NULL, build_cleanup);
}
