/* arm64 kernels: what their files are, where they go, and what their guests are told. */
#include "unit.h"

#include <errno.h>
#include <libfdt.h>
#include <sys/mman.h>
#include <time.h>

#include "fake_vm.h"

#include "../golden/boards.h"
#include "boot/arm64/efi.h"
#include "boot/arm64/load.h"
#include "boot_build.h"

#define ACCEPTED                                                                          \
	"; a kernel is an arm64 Linux Image, an EFI zboot image or an ELF vmlinux, each " \
	"compressed or not"
#define RAM 0x40000000ull

/* An Image of @len bytes, the fields of its header as said, a recognisable end. */
struct build_image {
	uint64_t text_offset, image_size, flags;
	size_t len;	     /* 0: 100000 */
	uint32_t pe_section; /* 0: no PE header; else where its only section ends */
	uint16_t pe_machine; /* 0: arm64 */
};

static void build_pe(struct blob *b, uint32_t pe, const struct build_image *d)
{
	memcpy(b->p, "MZ", 2);
	le32_store(b->p + 60, pe);
	memcpy(b->p + pe, "PE\0\0", 4);
	le16_store(b->p + pe + 4, d->pe_machine ? d->pe_machine : 0xaa64);
	le16_store(b->p + pe + 6, 1);
	le16_store(b->p + pe + 20, 0);
	le32_store(b->p + pe + 24 + 16, d->pe_section - 4096);
	le32_store(b->p + pe + 24 + 20, 4096);
}

static struct blob build_image(const struct build_image *d)
{
	struct blob b = blob_sample(d->len ? d->len : 100000);

	memset(b.p, 0, MIN(b.n, 256));
	if (b.n >= 64) {
		le64_store(b.p + 8, d->text_offset);
		le64_store(b.p + 16, d->image_size);
		le64_store(b.p + 24, d->flags);
		memcpy(b.p + 56, "ARM\x64", 4);
	}
	if (d->pe_section)
		build_pe(&b, 64, d);
	return b;
}

#define PLAIN (&(struct build_image){.image_size = 0x40000, .flags = 2})

static struct blob build_zboot(const struct blob *image, enum pack p, const char *type,
			       uint16_t machine)
{
	struct blob packed = pack_blob(image, p), b = {0};

	blob_grow(&b, 512);
	build_pe(&b, 64, &(struct build_image){.pe_section = 8192, .pe_machine = machine});
	memcpy(b.p, "MZ\0\0zimg", 8);
	le32_store(b.p + 8, 512);
	le32_store(b.p + 12, (uint32_t)packed.n);
	memcpy(b.p + 24, type, strlen(type));
	blob_add(&b, packed.p, packed.n);
	blob_free(&packed);
	return b;
}

static struct blob build_vmlinux(const struct blob *image)
{
	struct blob b = build_elf(&(struct build_elf){
		.machine = 183,
		.entry = 0xffff800008000000,
		.n_segs = 2,
		.seg = {{0xffff800008000000, 0xffff800008000000, 4096, 4096, 0x11},
			{0xffff800008010000, 0xffff800008010000, 100, 9000, 0x22}}});
	/* The first segment's data begins with the first 0x11s. */
	for (size_t i = 0; i + 4096 <= b.n; i++) {
		if (b.p[i] == 0x11 && b.p[i + 4095] == 0x11) {
			memcpy(b.p + i, image->p, 64);
			return b;
		}
	}
	abort();
}

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

/* A VM with RAM as the board says, to load into. */
struct bench {
	struct vm *vm;
	struct arm64_board board;
	struct acpi_node_memory memory;
	struct boot_arm64_params p;
	struct boot_image *img;
	struct boot_file initrd[3];
	struct boot_arm64_entry entry;
	struct fdt_blob dtb;
	struct err e;
};

static void bench_init(struct bench *b, const struct blob *kernel, uint64_t ram)
{
	struct ram *r;

	*b = (struct bench){.vm = fake_vm_new(1),
			    .board = boards[0].b,
			    .memory = {.base = RAM, .len = ram},
			    .entry = {1, 1}};
	b->board.memory = &b->memory;
	b->p.board = &b->board;
	b->p.cmdline = "console=ttyAMA0";
	assert_int_equal(ram_new(b->vm, "ram", ram, RAM_ANON, &r, &b->e), 0);
	assert_int_equal(as_map_ram(&b->vm->mem, RAM, r, 0, ram, &b->e), 0);
	if (boot_image_open(build_file("kernel", kernel->p, kernel->n), BOOT_ARM64, &b->img, &b->e))
		fail_msg("%s", b->e.msg);
	b->p.image = b->img;
}

static void bench_initrd(struct bench *b, const char *name, const void *p, size_t n)
{
	if (boot_file_open(&b->initrd[b->p.n_initrds++], build_file(name, p, n), &b->e))
		fail_msg("%s", b->e.msg);
	b->p.initrd = b->initrd;
}

static void bench_exit(struct bench *b)
{
	boot_image_close(b->img);
	for (unsigned i = 0; i < b->p.n_initrds; i++)
		boot_file_close(&b->initrd[i]);
	fdt_blob_exit(&b->dtb);
	fake_vm_free(b->vm);
}

/* Loads, and takes the device tree out of the memory. */
static void bench_start(struct bench *b)
{
	uint8_t head[8];

	if (boot_arm64_check(&b->p, &b->e) || boot_arm64_load(&b->vm->mem, &b->p, &b->entry, &b->e))
		fail_msg("%s", b->e.msg);
	assert_int_equal(b->entry.dtb % 8, 0);
	assert_int_equal(as_read(&b->vm->mem, b->entry.dtb, head, sizeof(head)), IO_OK);
	fdt_blob_exit(&b->dtb);
	b->dtb.len = be32_load(head + 4);
	assert_true(b->dtb.len <= FDT_BLOB_MAX);
	b->dtb.data = malloc(b->dtb.len);
	assert_int_equal(as_read(&b->vm->mem, b->entry.dtb, b->dtb.data, b->dtb.len), IO_OK);
	assert_int_equal(fdt_check_full(b->dtb.data, b->dtb.len), 0);
}

static void bench_refused(struct bench *b, const char *wanted)
{
	const char *path = b->img->file.path;
	size_t skip = strncmp(wanted, "the ", 4) ? strlen(path) + 2 : 0;

	b->e = ERR_INIT;
	assert_true(boot_arm64_check(&b->p, &b->e) < 0);
	assert_string_equal(b->e.msg + skip, wanted);
	assert_true(boot_arm64_load(&b->vm->mem, &b->p, &b->entry, &b->e) < 0);
	assert_string_equal(b->e.msg + skip, wanted);
}

static void memory_is(struct bench *b, gpa_t at, const void *p, size_t n)
{
	uint8_t *got = malloc(n);

	assert_int_equal(as_read(&b->vm->mem, at, got, n), IO_OK);
	assert_memory_equal(got, p, n);
	free(got);
}

static const void *chosen(const struct bench *b, const char *name, int len)
{
	int node = fdt_path_offset(b->dtb.data, "/chosen"), n;
	const void *p = fdt_getprop(b->dtb.data, node, name, &n);

	assert_true(node >= 0 && p);
	assert_int_equal(n, len);
	return p;
}

static void an_image_goes_to_the_beginning_of_ram_in_every_wrapping(void **state)
{
	struct blob image = build_image(
		&(struct build_image){.image_size = 0x40000, .text_offset = 0x80000, .flags = 2});
	struct blob files[PACK_COUNT + 2];
	unsigned n = 0;

	(void)state;
	for (enum pack p = PACK_NONE; p < PACK_COUNT; p++)
		files[n++] = pack_blob(&image, p);
	files[n++] = build_zboot(&image, PACK_GZIP, "gzip", 0);
	files[n++] = build_zboot(&image, PACK_XZ, "xzkern", 0);
	for (unsigned i = 0; i < n; i++) {
		struct bench b;

		bench_init(&b, &files[i], MIB(64));
		bench_start(&b);
		assert_int_equal(b.entry.pc, RAM + 0x80000);
		memory_is(&b, b.entry.pc, image.p, image.n);
		bench_exit(&b);
		blob_free(&files[i]);
	}
	blob_free(&image);
}

static void what_is_appended_to_an_image_stays_within_its_size(void **state)
{
	struct blob image = build_image(&(struct build_image){.image_size = 0x8000, .len = 0x9000});
	uint8_t zeros[64] = {0};
	struct bench b;

	(void)state;
	bench_init(&b, &image, MIB(64));
	bench_start(&b);
	memory_is(&b, RAM, image.p, 0x8000);
	memory_is(&b, RAM + 0x8000, zeros, sizeof(zeros));
	bench_exit(&b);
	blob_free(&image);
}

static void an_image_that_unpacks_to_more_than_it_says_is_refused(void **state)
{
	struct blob image = build_image(&(struct build_image){.image_size = 0x8000, .len = 0x9000});
	struct blob z = pack_gzip(&image);
	struct bench b;

	(void)state;
	bench_init(&b, &z, MIB(64));
	assert_int_equal(boot_arm64_check(&b.p, &b.e), 0);
	assert_int_equal(boot_arm64_load(&b.vm->mem, &b.p, &b.entry, &b.e), -E2BIG);
	bench_exit(&b);
	blob_free(&z);
	blob_free(&image);
}

static void a_vmlinux_goes_where_an_image_goes(void **state)
{
	struct blob image = build_image(PLAIN), b = build_vmlinux(&image), z = pack_gzip(&b);
	uint8_t fill[100];

	(void)state;
	memset(fill, 0x22, sizeof(fill));
	for (unsigned i = 0; i < 2; i++) {
		struct bench t;

		bench_init(&t, i ? &z : &b, MIB(64));
		bench_start(&t);
		assert_int_equal(t.entry.pc, RAM);
		memory_is(&t, RAM, image.p, 64);
		memory_is(&t, RAM + 0x10000, fill, sizeof(fill));
		bench_exit(&t);
	}
	blob_free(&z);
	blob_free(&b);
	blob_free(&image);
}

static void an_elf_file_with_physical_addresses_goes_there(void **state)
{
	struct build_elf d = {.machine = 183,
			      .entry = 0x40300010,
			      .n_segs = 1,
			      .seg = {{0x40300000, 0x40300000, 100, 200, 0x33}}};
	struct blob b = build_elf(&d);
	uint8_t fill[100];
	struct bench t;

	(void)state;
	memset(fill, 0x33, sizeof(fill));
	bench_init(&t, &b, MIB(64));
	bench_start(&t);
	assert_int_equal(t.entry.pc, 0x40300010);
	memory_is(&t, 0x40300000, fill, sizeof(fill));
	bench_exit(&t);
	blob_free(&b);
	d.entry = d.seg[0].addr = 0x1000;
	b = build_elf(&d);
	bench_init(&t, &b, MIB(64));
	bench_refused(&t, "wants to be at 0x1000, RAM of this machine begins at 0x40000000");
	bench_exit(&t);
	blob_free(&b);
}

static void initrds_are_behind_each_other_and_the_guest_is_told_where(void **state)
{
	struct blob image = build_image(PLAIN);
	uint64_t start, end;
	struct bench b;

	(void)state;
	bench_init(&b, &image, MIB(64));
	bench_initrd(&b, "one", "12345", 5);
	bench_initrd(&b, "two", "abcdefgh", 8);
	bench_start(&b);
	start = be64_load(chosen(&b, "linux,initrd-start", 8));
	end = be64_load(chosen(&b, "linux,initrd-end", 8));
	assert_int_equal(end - start, 16);
	memory_is(&b, start, "12345\0\0\0abcdefgh", 16);
	assert_true(end <= b.entry.dtb);
	assert_string_equal(chosen(&b, "bootargs", 16), "console=ttyAMA0");
	assert_string_equal(chosen(&b, "stdout-path", 15), "/pl011@9000000");
	bench_exit(&b);
	blob_free(&image);
}

static void each_start_has_other_seeds_unless_that_is_turned_off(void **state)
{
	struct blob image = build_image(PLAIN);
	uint8_t first[8];
	struct bench b;

	(void)state;
	bench_init(&b, &image, MIB(64));
	bench_start(&b);
	memcpy(first, chosen(&b, "kaslr-seed", 8), 8);
	chosen(&b, "rng-seed", 64);
	bench_start(&b);
	assert_memory_not_equal(first, chosen(&b, "kaslr-seed", 8), 8);
	b.p.no_seeds = true;
	bench_start(&b);
	assert_null(
		fdt_getprop(b.dtb.data, fdt_path_offset(b.dtb.data, "/chosen"), "rng-seed", NULL));
	bench_exit(&b);
	blob_free(&image);
}

/* Follows what Linux follows: /chosen, system table, configuration table, RSDP, XSDT. */
static void with_acpi_the_tree_has_nothing_but_chosen_and_leads_to_the_tables(void **state)
{
	static const uint8_t acpi20[16] = {0x71, 0xe8, 0x68, 0x88, 0xf1, 0xe4, 0xd3, 0x11,
					   0xbc, 0x22, 0x00, 0x80, 0xc7, 0x3c, 0x88, 0x81};
	struct blob image = build_image(PLAIN);
	uint8_t system[120], config[24], rsdp[36], sig[4];
	struct as *mem;
	struct bench b;
	bool found = false;

	(void)state;
	bench_init(&b, &image, MIB(64));
	b.p.acpi = true;
	bench_start(&b);
	mem = &b.vm->mem;
	assert_true(fdt_path_offset(b.dtb.data, "/cpus") < 0);
	assert_int_equal(be32_load(chosen(&b, "linux,uefi-mmap-desc-ver", 4)), 1);
	assert_int_equal(be32_load(chosen(&b, "linux,uefi-mmap-desc-size", 4)), 40);
	assert_int_equal(as_read(mem, be64_load(chosen(&b, "linux,uefi-system-table", 8)), system,
				 sizeof(system)),
			 IO_OK);
	assert_memory_equal(system, "IBI SYST", 8);
	for (uint64_t i = 0; i < le64_load(system + 104); i++) {
		assert_int_equal(as_read(mem, le64_load(system + 112) + 24 * i, config, 24), IO_OK);
		if (memcmp(config, acpi20, 16) != 0)
			continue;
		found = true;
		assert_int_equal(as_read(mem, le64_load(config + 16), rsdp, 36), IO_OK);
		assert_memory_equal(rsdp, "RSD PTR ", 8);
		assert_int_equal(acpi_checksum(rsdp, 36), 0);
		assert_int_equal(as_read(mem, le64_load(rsdp + 24), sig, 4), IO_OK);
		assert_memory_equal(sig, "XSDT", 4);
	}
	assert_true(found);
	bench_exit(&b);
	blob_free(&image);
}

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

static void what_does_not_fit_is_refused_before_there_is_a_vm(void **state)
{
	struct blob image = build_image(&(struct build_image){.image_size = MIB(20)});
	char *cmdline = malloc(3000), *big = calloc(1, 11000000);
	struct bench b;

	(void)state;
	memset(cmdline, 'x', 2999);
	cmdline[2048] = 0;
	bench_init(&b, &image, MIB(32));
	b.p.cmdline = cmdline;
	bench_refused(&b, "takes a command line of at most 2047 characters, this one has 2048");
	cmdline[2047] = 0;
	assert_int_equal(boot_arm64_check(&b.p, &b.e), 0);
	bench_initrd(&b, "big", big, 11000000);
	bench_refused(&b, "needs, with its initrd, at least 34 MiB of memory, the VM has 32 MiB");
	bench_exit(&b);
	bench_init(&b, &image, MIB(16));
	bench_refused(&b, "needs at least 22 MiB of memory, the VM has 16 MiB");
	bench_exit(&b);
	bench_init(&b, &image, MIB(2));
	b.p.acpi = true;
	bench_refused(&b, "needs at least 23 MiB of memory, the VM has 2 MiB");
	bench_exit(&b);
	free(big);
	free(cmdline);
	blob_free(&image);
}

static void what_a_refusal_says_is_enough_is_enough(void **state)
{
	struct blob image = build_image(&(struct build_image){.image_size = MIB(20)});
	struct bench b;

	(void)state;
	for (unsigned i = 0; i < 2; i++) {
		bench_init(&b, &image, MIB(21));
		b.p.acpi = i;
		assert_int_equal(boot_arm64_check(&b.p, &b.e), -ENOMEM);
		bench_exit(&b);
		bench_init(&b, &image, i ? MIB(23) : MIB(22));
		b.p.acpi = i;
		bench_start(&b);
		bench_exit(&b);
	}
	blob_free(&image);
}

static void a_tree_of_the_user_and_acpi_exclude_each_other(void **state)
{
	struct blob image = build_image(PLAIN);
	struct fdt_chosen none = {0};
	struct fdt_blob user;
	struct bench b;
	int node;

	(void)state;
	bench_init(&b, &image, MIB(64));
	assert_int_equal(fdt_build_arm64(&boards[1].b, &none, &user, &b.e), 0);
	b.p.dtb = &user;
	bench_start(&b);
	node = fdt_path_offset(b.dtb.data, "/memory@40000000");
	assert_true(node > 0);
	assert_int_equal(be64_load((const char *)fdt_getprop(b.dtb.data, node, "reg", NULL) + 8),
			 MIB(64));
	assert_true(fdt_path_offset(b.dtb.data, "/virtio_mmio@a000000") > 0);
	b.p.acpi = true;
	bench_refused(&b,
		      "the machine is described by ACPI or by a device tree of the user, not by "
		      "both");
	fdt_blob_exit(&user);
	bench_exit(&b);
	blob_free(&image);
}

static void a_kernel_that_is_written_to_is_refused_at_the_next_reset(void **state)
{
	struct blob image = build_image(PLAIN);
	struct bench b;

	(void)state;
	bench_init(&b, &image, MIB(64));
	bench_start(&b);
	assert_int_equal(truncate(b.img->file.path, 5000), 0);
	assert_int_equal(boot_arm64_load(&b.vm->mem, &b.p, &b.entry, &b.e), -ESTALE);
	bench_exit(&b);
	blob_free(&image);
}

static void a_flat_binary_goes_where_it_is_told_if_there_is_ram(void **state)
{
	static const struct {
		gpa_t at;
		int code;
	} cases[] = {{RAM, 0},		 {RAM + MIB(1) - 100, 0}, {RAM + MIB(1) - 96, -EINVAL},
		     {RAM + 2, -EINVAL}, {RAM - 4, -EINVAL},	  {UINT64_MAX - 3, -EINVAL}};
	struct blob b = blob_sample(100), kernel = build_image(PLAIN);
	const char *path = build_file("raw", b.p, b.n);
	struct bench bench;

	(void)state;
	bench_init(&bench, &kernel, MIB(1));
	for (size_t i = 0; i < ARRAY_LEN(cases); i++) {
		struct boot_image *img;
		struct err e = ERR_INIT;
		uint8_t back[100];

		assert_int_equal(boot_image_open_raw(path, BOOT_ARM64, cases[i].at, &img, &e), 0);
		assert_int_equal(boot_arm64_check_raw(img, RAM, MIB(1), &e), cases[i].code);
		if (!cases[i].code) {
			assert_int_equal(boot_arm64_load_raw(&bench.vm->mem, img, &e), 0);
			assert_int_equal(as_read(&bench.vm->mem, cases[i].at, back, 100), IO_OK);
			assert_memory_equal(back, b.p, 100);
		}
		boot_image_close(img);
	}
	bench_exit(&bench);
	blob_free(&b);
	blob_free(&kernel);
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
		cmocka_unit_test(an_image_goes_to_the_beginning_of_ram_in_every_wrapping),
		cmocka_unit_test(what_is_appended_to_an_image_stays_within_its_size),
		cmocka_unit_test(an_image_that_unpacks_to_more_than_it_says_is_refused),
		cmocka_unit_test(a_vmlinux_goes_where_an_image_goes),
		cmocka_unit_test(an_elf_file_with_physical_addresses_goes_there),
		cmocka_unit_test(initrds_are_behind_each_other_and_the_guest_is_told_where),
		cmocka_unit_test(each_start_has_other_seeds_unless_that_is_turned_off),
		cmocka_unit_test(with_acpi_the_tree_has_nothing_but_chosen_and_leads_to_the_tables),
		cmocka_unit_test(the_memory_map_covers_all_ram_once),
		cmocka_unit_test(every_efi_header_has_its_checksum),
		cmocka_unit_test(get_time_is_there_with_an_rtc_and_refuses_without),
#ifdef __aarch64__
		cmocka_unit_test(get_time_agrees_with_the_c_library),
#endif
		cmocka_unit_test(smbios_is_found_where_the_system_table_says),
		cmocka_unit_test(what_does_not_fit_is_refused_before_there_is_a_vm),
		cmocka_unit_test(what_a_refusal_says_is_enough_is_enough),
		cmocka_unit_test(a_tree_of_the_user_and_acpi_exclude_each_other),
		cmocka_unit_test(a_kernel_that_is_written_to_is_refused_at_the_next_reset),
		cmocka_unit_test(a_flat_binary_goes_where_it_is_told_if_there_is_ram),
	};

	return cmocka_run_group_tests(tests, NULL, build_cleanup);
}
