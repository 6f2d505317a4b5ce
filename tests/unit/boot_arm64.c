/* arm64 kernels: where they go, and what their guests are told. */
#include <errno.h>
#include <libfdt.h>

#include "fake_vm.h"

#include "boot_arm64_build.h"

#include "../golden/boards.h"
#include "boot/arm64/load.h"

#define RAM 0x40000000ull

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
		cmocka_unit_test(an_image_goes_to_the_beginning_of_ram_in_every_wrapping),
		cmocka_unit_test(what_is_appended_to_an_image_stays_within_its_size),
		cmocka_unit_test(an_image_that_unpacks_to_more_than_it_says_is_refused),
		cmocka_unit_test(a_vmlinux_goes_where_an_image_goes),
		cmocka_unit_test(an_elf_file_with_physical_addresses_goes_there),
		cmocka_unit_test(initrds_are_behind_each_other_and_the_guest_is_told_where),
		cmocka_unit_test(each_start_has_other_seeds_unless_that_is_turned_off),
		cmocka_unit_test(with_acpi_the_tree_has_nothing_but_chosen_and_leads_to_the_tables),
		cmocka_unit_test(what_does_not_fit_is_refused_before_there_is_a_vm),
		cmocka_unit_test(what_a_refusal_says_is_enough_is_enough),
		cmocka_unit_test(a_tree_of_the_user_and_acpi_exclude_each_other),
		cmocka_unit_test(a_kernel_that_is_written_to_is_refused_at_the_next_reset),
		cmocka_unit_test(a_flat_binary_goes_where_it_is_told_if_there_is_ram),
	};

	return cmocka_run_group_tests(tests, NULL, build_cleanup);
}
