/* arm64 kernel files: what they are, and why some are none. */
#include "boot_arm64_build.h"

#include "boot/kernel.h"

#define ACCEPTED                                                                          \
	"; a kernel is an arm64 Linux Image, an EFI zboot image or an ELF vmlinux, each " \
	"compressed or not"

static int open_bytes(const struct blob *b, enum boot_arch arch, struct boot_image **img, char *msg)
{
	const char *path = build_file("kernel", b->p, b->n);
	struct err e = ERR_INIT;
	int r = boot_image_open(path, arch, img, &e);

	snprintf(msg, 480, "%s", r ? e.msg + strlen(path) + 2 : "");
	return r;
}

static void refused_on(const struct blob *b, enum boot_arch arch, const char *wanted)
{
	struct boot_image *img;
	char msg[480];

	assert_true(open_bytes(b, arch, &img, msg) < 0);
	assert_string_equal(msg, wanted);
}

static void refused(const struct blob *b, const char *wanted)
{
	refused_on(b, BOOT_ARM64, wanted);
}

static void described(const struct blob *b, enum boot_format format, const char *what)
{
	struct boot_image *img;
	char msg[480];

	if (open_bytes(b, BOOT_ARM64, &img, msg))
		fail_msg("%s", msg);
	assert_int_equal(img->format, format);
	assert_string_equal(img->what, what);
	boot_image_close(img);
}

static void an_image_says_its_page_size(void **state)
{
	static const char *const what[] = {"arm64 Linux kernel (Image)",
					   "arm64 Linux kernel (Image, 4 KiB pages)",
					   "arm64 Linux kernel (Image, 16 KiB pages)",
					   "arm64 Linux kernel (Image, 64 KiB pages)"};

	(void)state;
	for (unsigned i = 0; i < 4; i++) {
		struct blob b = build_image(
			&(struct build_image){.image_size = 0x40000, .flags = i << 1 | 8});

		described(&b, BOOT_FORMAT_IMAGE, what[i]);
		blob_free(&b);
	}
}

static void an_image_is_recognised_in_every_compression(void **state)
{
	struct blob b = build_image(PLAIN);

	(void)state;
	for (enum pack p = PACK_GZIP; p < PACK_COUNT; p++) {
		struct blob z = pack_blob(&b, p);
		char what[100];

		snprintf(what, sizeof(what), "arm64 Linux kernel (Image, 4 KiB pages), %s",
			 pack_name(p));
		described(&z, BOOT_FORMAT_IMAGE, what);
		blob_free(&z);
	}
	blob_free(&b);
}

static void a_zboot_image_shows_the_image_inside(void **state)
{
	struct blob b = build_image(PLAIN), z = build_zboot(&b, PACK_ZSTD, "zstd22", 0), twice;

	(void)state;
	described(&z, BOOT_FORMAT_ZBOOT, "arm64 Linux kernel (EFI zboot, zstd, 4 KiB pages)");
	twice = pack_gzip(&z);
	refused(&twice, "is compressed twice (EFI zboot inside gzip)" ACCEPTED);
	blob_free(&twice);
	z.n -= 100;
	refused(&z, "is an EFI zboot image that is cut short: it has 11346 of 11446 bytes");
	blob_free(&z);
	blob_free(&b);
}

static void a_vmlinux_is_an_image_with_gaps(void **state)
{
	struct blob image = build_image(PLAIN), b = build_vmlinux(&image), z = pack_gzip(&b);
	struct boot_image *img;
	char msg[480];

	(void)state;
	described(&b, BOOT_FORMAT_ELF64, "arm64 Linux kernel (ELF, 4 KiB pages)");
	described(&z, BOOT_FORMAT_ELF64, "arm64 Linux kernel (ELF, 4 KiB pages), gzip");
	assert_int_equal(open_bytes(&b, BOOT_ARM64, &img, msg), 0);
	assert_true(img->elf.high);
	assert_int_equal(img->elf.entry, 0x800008000000);
	assert_int_equal(img->mem_end, 0x10000 + 9000);
	boot_image_close(img);
	blob_free(&z);
	blob_free(&b);
	blob_free(&image);
}

static void damaged_images_are_refused(void **state)
{
	static const struct {
		struct build_image d;
		const char *msg;
	} cases[] = {
		{{.image_size = 0x40000, .flags = 1},
		 "is a big-endian arm64 kernel; this machine is little-endian"},
		{{.image_size = 0x40000, .text_offset = 0x200000},
		 "is an arm64 Linux Image with a damaged header: 262144 bytes at offset 0x200000"},
		{{.image_size = 0x40000, .text_offset = 0x123},
		 "is an arm64 Linux Image with a damaged header: 262144 bytes at offset 0x123"},
		{{.image_size = 1ull << 40},
		 "is an arm64 Linux Image with a damaged header: 1099511627776 bytes at offset 0"},
		{{.image_size = UINT64_MAX},
		 "is an arm64 Linux Image with a damaged header: 18446744073709551615 bytes at "
		 "offset 0"},
		{{.image_size = 0x40000, .pe_section = 100001},
		 "is an arm64 Linux Image that is cut short: it has 100000 of 100001 bytes"},
	};
	struct blob b;

	(void)state;
	for (size_t i = 0; i < ARRAY_LEN(cases); i++) {
		b = build_image(&cases[i].d);
		refused(&b, cases[i].msg);
		blob_free(&b);
	}
	b = build_image(PLAIN);
	b.n = 62;
	refused(&b, "is an arm64 Linux Image that is cut short: not even its header is there");
	b.n = 59;
	refused(&b,
		"is not a kernel: a kernel is an arm64 Linux Image, an EFI zboot image or an ELF "
		"vmlinux, each compressed or not (it begins with 00 00 00 00)");
	blob_free(&b);
}

static void damaged_zboot_images_are_refused(void **state)
{
	struct blob image = build_image(PLAIN), sample = blob_sample(1000), b;

	(void)state;
	b = build_zboot(&image, PACK_NONE, "lz5", 0);
	refused(&b, "is an EFI zboot image that is packed in a way nobody knows here (\"lz5\")");
	blob_free(&b);
	b = build_zboot(&sample, PACK_GZIP, "gzip", 0);
	refused(&b, "is an EFI zboot image that is damaged: it does not hold an arm64 Linux Image");
	le32_store(b.p + 12, 63);
	refused(&b, "is an EFI zboot image that is damaged: nothing is packed in it");
	le32_store(b.p + 60, 0xfffffff0);
	refused(&b, "is an EFI zboot image that is damaged: its header is not all there");
	blob_free(&b);
	b = build_zboot(&image, PACK_GZIP, "gzip", 0);
	memset(b.p + 512 + 12, 0xff, 40);
	refused(&b, "is an EFI zboot image that is damaged: the gzip-compressed data is damaged");
	blob_free(&b);
	blob_free(&sample);
	blob_free(&image);
}

static void kernels_of_the_other_architecture_are_named_on_both_machines(void **state)
{
	struct blob image = build_image(PLAIN), b;
	struct boot_image *img;
	struct err e = ERR_INIT;

	(void)state;
	refused_on(&image, BOOT_X86, "is an arm64 Linux kernel (Image); this machine is x86-64");
	b = build_zboot(&image, PACK_GZIP, "gzip", 0);
	refused_on(&b, BOOT_X86, "is an EFI zboot kernel image for arm64; this machine is x86-64");
	blob_free(&b);
	b = build_zboot(&image, PACK_GZIP, "gzip", 0x5064);
	refused(&b, "is an EFI zboot kernel image for RISC-V; this machine is arm64");
	blob_free(&b);
	b = build_bz(&(struct build_bz){.inside = image, .pref = 0x1000000, .init_size = 0x300000});
	refused(&b, "is an x86 Linux kernel (bzImage); this machine is arm64");
	assert_true(boot_image_open(build_file("kernel", b.p, b.n), BOOT_ARM64, &img, &e) < 0);
	assert_string_equal(e.hint,
			    "KVM runs guests of the host's own architecture only, and the software "
			    "CPU x86-64 guests on x86-64 hosts only: start it on a host of the "
			    "guest's");
	blob_free(&b);
	b = build_elf(&(struct build_elf){.n_segs = 1, .seg = {{0x100000, 0x100000, 64, 64, 0}}});
	refused(&b, "is an ELF program for x86-64; this machine is arm64");
	b.p[18] = 183;
	b.p[5] = 2;
	b.p[18] = 0;
	b.p[19] = 183;
	refused(&b, "is a big-endian arm64 kernel (ELF); this machine is little-endian");
	blob_free(&b);
	blob_free(&image);
}

static void elf_files_that_are_no_kernels_are_refused(void **state)
{
	struct build_elf d = {.machine = 183,
			      .entry = 0x40080000,
			      .n_segs = 1,
			      .seg = {{0x40080000, 0x40080000, 64, 64, 0}}};
	struct blob b;

	(void)state;
	d.extra_type = 3;
	b = build_elf(&d);
	refused(&b, "is a program for an operating system (ELF), not a kernel" ACCEPTED);
	blob_free(&b);
	d.extra_type = 0;
	d.entry = 0x50000000;
	b = build_elf(&d);
	refused(&b, "is an ELF file for arm64 whose entry is not in it");
	blob_free(&b);
	d.n_segs = 2;
	d.entry = 0x40080000;
	d.seg[1] = (struct build_seg){0xffff800008000000, 0xffff800008000000, 64, 64, 0};
	b = build_elf(&d);
	refused(&b,
		"is an ELF file for arm64 that has segments in both halves of the address space");
	blob_free(&b);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(an_image_says_its_page_size),
		cmocka_unit_test(an_image_is_recognised_in_every_compression),
		cmocka_unit_test(a_zboot_image_shows_the_image_inside),
		cmocka_unit_test(a_vmlinux_is_an_image_with_gaps),
		cmocka_unit_test(damaged_images_are_refused),
		cmocka_unit_test(damaged_zboot_images_are_refused),
		cmocka_unit_test(kernels_of_the_other_architecture_are_named_on_both_machines),
		cmocka_unit_test(elf_files_that_are_no_kernels_are_refused),
	};

	return cmocka_run_group_tests(tests, NULL, build_cleanup);
}
