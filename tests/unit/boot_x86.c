/* Kernels into guest memory, and the first vCPU at their entry, in every way that there is. */
#include "boot_load.h"

static void linux_is_there(struct bench *b, gpa_t base)
{
	bench_filled(b, base, 0x3000, 0x11);
	bench_filled(b, base + 0x3000, 0x1000, 0x22);
	bench_filled(b, base + 0x4000, 0x4000, 0);
	bench_filled(b, base + 0x8000, 0x100, 0x33);
	bench_filled(b, base + 0x8100, 0x4f00, 0);
	/* Nothing of the file is left over around it. */
	bench_filled(b, base - 0x10000, 0x10000, 0);
	bench_filled(b, base + 0xd000, 0x20000, 0);
}

static void a_bzimage_is_unpacked_in_place_and_entered_in_64_bit_mode(void **state)
{
	static const enum pack packs[] = {PACK_GZIP, PACK_BZIP2,      PACK_LZMA, PACK_XZ,
					  PACK_LZO,  PACK_LZ4_LEGACY, PACK_ZSTD};

	(void)state;
	for (size_t i = 0; i < ARRAY_LEN(packs); i++) {
		struct blob file = linux_bz(packs[i]);
		struct bench b;

		bench_init(&b, MIB(64));
		bench_kernel(&b, &file);
		assert_int_equal(boot_x86_check(&b.p, &b.e), 0);
		bench_start(&b);
		linux_is_there(&b, 0x1000000);
		assert_int_equal(b.cpu->rip, 0x1000010);
		assert_int_equal(b.cpu->cr0 & (X86_CR0_PE | X86_CR0_PG), X86_CR0_PE | X86_CR0_PG);
		assert_int_equal(b.cpu->efer, X86_EFER_LME | X86_EFER_LMA);
		assert_int_equal(b.cpu->cr4, X86_CR4_PAE);
		assert_int_equal(b.cpu->rflags, 2);
		assert_int_equal(b.cpu->seg[X86_CS].sel, 0x10);
		assert_true(b.cpu->seg[X86_CS].attr & X86_SEG_L);
		assert_int_equal(b.cpu->seg[X86_SS].sel, 0x18);
		bench_exit(&b);
		blob_free(&file);
	}
}

static void the_first_4_gib_are_mapped_one_to_one(void **state)
{
	static const gpa_t where[] = {0,	  0x1234,     0x1000010, 0x3fffffff,
				      0x40000000, 0xbfffffff, 0xffffffff};
	struct blob file = linux_bz(PACK_GZIP);
	struct bench b;
	gpa_t pa;

	(void)state;
	bench_init(&b, MIB(64));
	bench_kernel(&b, &file);
	bench_start(&b);
	for (size_t i = 0; i < ARRAY_LEN(where); i++) {
		assert_true(x86_translate(b.cpu, &b.vm->mem, where[i], &pa));
		assert_int_equal(pa, where[i]);
	}
	assert_false(x86_translate(b.cpu, &b.vm->mem, GIB(4), &pa));
	/* The descriptors are those that boot.rst asks for. */
	assert_int_equal(bench_get(&b, b.cpu->gdt.base + 0x10, 8), 0x00af9b000000ffff);
	assert_int_equal(bench_get(&b, b.cpu->gdt.base + 0x18, 8), 0x00cf93000000ffff);
	assert_true(b.cpu->gdt.limit >= 0x1f);
	bench_exit(&b);
	blob_free(&file);
}

static void the_zero_page_tells_linux_what_it_needs(void **state)
{
	struct blob file = linux_bz(PACK_LZ4_LEGACY);
	struct bench b;
	gpa_t zp;

	(void)state;
	bench_init(&b, MIB(64));
	assert_int_equal(memmap_alloc_top(&b.map, 4096, 64, MEMMAP_ACPI), MIB(64) - 4096);
	b.p.cmdline = "console=ttyS0 quiet";
	b.p.rsdp = 0xe0000;
	bench_kernel(&b, &file);
	bench_initrd(&b, "initrd", "0123456789", 10);
	bench_start(&b);
	zp = b.cpu->gpr[X86_RSI];
	assert_true(zp >= 0x1000 && zp < 0x9fc00 && zp % 4096 == 0);
	assert_int_equal(bench_get(&b, zp + 0x070, 8), 0xe0000);
	assert_int_equal(bench_get(&b, zp + 0x1ef, 1), 0); /* sentinel */
	assert_int_equal(bench_get(&b, zp + 0x1fe, 2), 0xaa55);
	assert_int_equal(bench_get(&b, zp + 0x202, 4), 0x53726448); /* HdrS */
	assert_int_equal(bench_get(&b, zp + 0x206, 2), 0x20f);
	assert_int_equal(bench_get(&b, zp + 0x210, 1), 0xff);
	assert_int_equal(bench_get(&b, zp + 0x211, 1), 1);
	assert_int_equal(bench_get(&b, zp + 0x230, 4), 0x200000);
	assert_int_equal(bench_get(&b, zp + 0x258, 8), 0x1000000);
	bench_text(&b, bench_get(&b, zp + 0x228, 4), "console=ttyS0 quiet");
	assert_int_equal(bench_get(&b, zp + 0x21c, 4), 10);
	bench_text(&b, bench_get(&b, zp + 0x218, 4), "0123456789");
	assert_int_equal(bench_get(&b, zp + 0x1e8, 1), 5);
	for (unsigned i = 0; i < b.map.n; i++) {
		assert_int_equal(bench_get(&b, zp + 0x2d0 + 20 * i, 8), b.map.e[i].addr);
		assert_int_equal(bench_get(&b, zp + 0x2d0 + 20 * i + 8, 8), b.map.e[i].len);
		assert_int_equal(bench_get(&b, zp + 0x2d0 + 20 * i + 16, 4), b.map.e[i].type);
	}
	/* The BIOS data area says where low memory ends. */
	assert_int_equal(bench_get(&b, 0x413, 2), 639);
	assert_int_equal(bench_get(&b, 0x40e, 2), 0x9fc0);
	bench_exit(&b);
	blob_free(&file);
}

static void a_reset_loads_the_same_bytes_again(void **state)
{
	struct blob file = linux_bz(PACK_ZSTD);
	struct bench b;

	(void)state;
	bench_init(&b, MIB(32));
	bench_kernel(&b, &file);
	bench_initrd(&b, "initrd", "abc", 4);
	bench_start(&b);
	for (unsigned i = 0; i < 3; i++) {
		assert_int_equal(as_fill(&b.vm->mem, 0x1000, 0xa5, 0x9ec00 - 0x1000), IO_OK);
		assert_int_equal(as_fill(&b.vm->mem, 0x1000000, 0xa5, 0xd000), IO_OK);
		bench_start(&b);
		bench_filled(&b, 0x1000000, 0x3000, 0x11);
		bench_filled(&b, 0x1004000, 0x4000, 0);
		bench_filled(&b, 0x1008100, 0x4f00, 0);
		bench_text(&b, bench_get(&b, b.cpu->gpr[X86_RSI] + 0x218, 4), "abc");
	}
	bench_exit(&b);
	blob_free(&file);
}

static void a_reset_refuses_files_that_were_changed(void **state)
{
	struct timespec times[2] = {{.tv_sec = 1000}, {.tv_sec = 1000}};
	struct blob file = linux_bz(PACK_GZIP);
	struct bench b;

	(void)state;
	bench_init(&b, MIB(32));
	bench_kernel(&b, &file);
	bench_initrd(&b, "initrd", "abc", 4);
	bench_start(&b);
	assert_int_equal(utimensat(AT_FDCWD, b.initrd[0].path, times, 0), 0);
	assert_int_equal(bench_load(&b), -ESTALE);
	assert_non_null(strstr(b.e.msg, "/initrd: was changed since the VM was started"));
	bench_exit(&b);
	blob_free(&file);
}

/* By address the pieces come in the other order than in the file. */
static void a_kernel_whose_pieces_would_cross_goes_through_a_buffer(void **state)
{
	struct blob inside = build_elf(&(struct build_elf){
		.entry = 0x1000000,
		.n_segs = 2,
		.seg = {{0x1004000, VIRT(0x1004000), 0x3000, 0x3000, 0x22},
			{0x1000000, VIRT(0x1000000), 0x4000, 0x4000, 0x11}},
	});
	struct blob file = build_bz(&(struct build_bz){
		.pack = PACK_XZ, .inside = inside, .pref = 0x1000000, .init_size = 0x20000});
	struct bench b;

	(void)state;
	bench_init(&b, MIB(32));
	bench_kernel(&b, &file);
	bench_start(&b);
	bench_filled(&b, 0x1000000, 0x4000, 0x11);
	bench_filled(&b, 0x1004000, 0x3000, 0x22);
	bench_filled(&b, 0x1007000, 0x10000, 0);
	bench_exit(&b);
	blob_free(&inside);
	blob_free(&file);
}

static void a_kernel_that_just_fits_needs_no_more_memory_to_be_unpacked(void **state)
{
	struct blob inside = linux_elf(), file;
	struct bench b;

	(void)state;
	/* The file, with its gaps, is longer than what it takes in memory. */
	assert_true(inside.n > 0x10000);
	file = build_bz(&(struct build_bz){
		.pack = PACK_LZO, .inside = inside, .pref = 0x1000000, .init_size = 0x100000});
	bench_init(&b, MIB(17));
	bench_kernel(&b, &file);
	bench_start(&b);
	bench_filled(&b, 0x1000000, 0x3000, 0x11);
	bench_filled(&b, 0x1008100, 0x4f00, 0);
	bench_exit(&b);
	bench_init(&b, MIB(16) + KIB(512));
	bench_kernel(&b, &file);
	bench_refused(&b, "needs at least 17 MiB of memory, the VM has 16.5 MiB");
	bench_exit(&b);
	blob_free(&inside);
	blob_free(&file);
}

static void initrds_stand_behind_each_other_on_multiples_of_4_below_the_limit(void **state)
{
	struct blob file = linux_bz(PACK_GZIP);
	struct bench b;
	gpa_t at;

	(void)state;
	le32_store(file.p + 0x22c, 0x17fffff);
	bench_init(&b, MIB(64));
	bench_kernel(&b, &file);
	bench_initrd(&b, "one", "11111", 5);
	bench_initrd(&b, "two", "2222", 4);
	bench_initrd(&b, "three", "333", 3);
	bench_start(&b);
	at = bench_get(&b, b.cpu->gpr[X86_RSI] + 0x218, 4);
	assert_int_equal(at, 0x1800000 - 4096);
	assert_int_equal(bench_get(&b, b.cpu->gpr[X86_RSI] + 0x21c, 4), 15);
	bench_text(&b, at, "11111");
	assert_int_equal(bench_get(&b, at + 4, 4), '1');
	assert_int_equal(bench_get(&b, at + 8, 8), 0x0033333332323232);
	bench_exit(&b);
	blob_free(&file);
}

static void too_large_initrds_are_refused_with_what_would_be_enough(void **state)
{
	struct blob file = linux_bz(PACK_GZIP), big = {0};
	struct bench b;

	(void)state;
	blob_grow(&big, MIB(20));
	bench_init(&b, MIB(32));
	bench_kernel(&b, &file);
	bench_initrd(&b, "big", big.p, big.n);
	bench_refused(&b, "needs, with its initrd, at least 37 MiB of memory, the VM has 32 MiB");
	bench_exit(&b);

	le32_store(file.p + 0x22c, 0x17fffff);
	bench_init(&b, MIB(64));
	bench_kernel(&b, &file);
	bench_initrd(&b, "big", big.p, big.n);
	bench_refused(&b, "cannot have an initrd of 20 MiB: it finds no room below 24 MiB");
	bench_exit(&b);
	blob_free(&big);
	blob_free(&file);
}

static void a_command_line_is_refused_with_both_lengths(void **state)
{
	struct blob file = linux_bz(PACK_GZIP);
	char line[2100];
	struct bench b;

	(void)state;
	memset(line, 'x', sizeof(line));
	line[2047] = 0;
	bench_init(&b, MIB(64));
	bench_kernel(&b, &file);
	b.p.cmdline = line;
	bench_start(&b);
	line[2047] = 'x';
	line[2048] = 0;
	bench_refused(&b, "takes a command line of at most 2047 characters, this one has 2048");
	bench_exit(&b);
	blob_free(&file);
}

static void pvh_is_entered_in_flat_32_bit_mode_with_its_start_info(void **state)
{
	struct blob file = linux_elf();
	struct bench b;
	gpa_t si, mods, map;

	(void)state;
	bench_init(&b, GIB(4));
	b.p.cmdline = "root=none";
	b.p.rsdp = 0xe0000;
	bench_kernel(&b, &file);
	bench_initrd(&b, "one", "1111", 4);
	bench_initrd(&b, "two", "222", 4);
	bench_start(&b);
	linux_is_there(&b, 0x1000000);
	assert_int_equal(b.cpu->rip, 0x1000020);
	assert_int_equal(b.cpu->cr0 & (X86_CR0_PE | X86_CR0_PG), X86_CR0_PE);
	assert_int_equal(b.cpu->cr4, 0);
	assert_int_equal(b.cpu->efer, 0);
	assert_int_equal(b.cpu->seg[X86_CS].base, 0);
	assert_int_equal(b.cpu->seg[X86_CS].limit, 0xffffffff);
	assert_true(b.cpu->seg[X86_CS].attr & X86_SEG_DB);
	assert_false(b.cpu->seg[X86_CS].attr & X86_SEG_L);
	assert_int_equal(b.cpu->seg[X86_TR].limit, 0x67);
	assert_int_equal(X86_SEG_TYPE(b.cpu->seg[X86_TR].attr), 11);
	si = b.cpu->gpr[X86_RBX];
	assert_int_equal(bench_get(&b, si, 4), 0x336ec578);
	assert_int_equal(bench_get(&b, si + 4, 4), 1);
	assert_int_equal(bench_get(&b, si + 12, 4), 1);
	mods = bench_get(&b, si + 16, 8);
	bench_text(&b, bench_get(&b, si + 24, 8), "root=none");
	assert_int_equal(bench_get(&b, si + 32, 8), 0xe0000);
	map = bench_get(&b, si + 40, 8);
	assert_int_equal(bench_get(&b, si + 48, 4), b.map.n);
	bench_text(&b, bench_get(&b, mods, 8), "1111222");
	assert_int_equal(bench_get(&b, mods + 8, 8), 8);
	for (unsigned i = 0; i < b.map.n; i++) {
		assert_int_equal(bench_get(&b, map + 24 * i, 8), b.map.e[i].addr);
		assert_int_equal(bench_get(&b, map + 24 * i + 8, 8), b.map.e[i].len);
		assert_int_equal(bench_get(&b, map + 24 * i + 16, 8), b.map.e[i].type);
	}
	bench_exit(&b);
	blob_free(&file);
}

static void a_bzimage_has_a_pvh_entry_too(void **state)
{
	struct blob file = linux_bz(PACK_LZ4_LEGACY);
	struct bench b;

	(void)state;
	bench_init(&b, MIB(64));
	bench_kernel(&b, &file);
	b.p.how = BOOT_PVH;
	bench_start(&b);
	linux_is_there(&b, 0x1000000);
	assert_int_equal(b.cpu->rip, 0x1000020);
	assert_int_equal(b.cpu->cr0 & X86_CR0_PG, 0);
	bench_exit(&b);
	blob_free(&file);
}

static void an_elf_kernel_is_entered_by_linux_protocol_when_asked_or_without_a_note(void **state)
{
	struct blob file = linux_elf();
	struct bench b;

	(void)state;
	bench_init(&b, MIB(64));
	bench_kernel(&b, &file);
	b.p.how = BOOT_LINUX;
	bench_start(&b);
	assert_int_equal(b.cpu->rip, 0x1000010);
	assert_true(b.cpu->efer & X86_EFER_LMA);
	/* Linux takes a page with this word and this version for boot parameters. */
	assert_int_equal(bench_get(&b, b.cpu->gpr[X86_RSI] + 0x202, 4), 0x53726448);
	assert_true(bench_get(&b, b.cpu->gpr[X86_RSI] + 0x206, 2) >= 0x20c);
	bench_exit(&b);
	blob_free(&file);
}

static void a_compressed_vmlinux_is_loaded_through_its_note(void **state)
{
	struct blob elf = linux_elf(), file = pack_blob(&elf, PACK_ZSTD);
	struct bench b;

	(void)state;
	bench_init(&b, MIB(64));
	bench_kernel(&b, &file);
	assert_int_equal(boot_x86_check(&b.p, &b.e), 0);
	bench_start(&b);
	linux_is_there(&b, 0x1000000);
	assert_int_equal(b.cpu->rip, 0x1000020);
	bench_start(&b);
	bench_exit(&b);
	blob_free(&file);
	blob_free(&elf);
}

static void a_compressed_bzimage_is_unpacked_twice(void **state)
{
	struct blob bz = linux_bz(PACK_XZ), file = pack_blob(&bz, PACK_GZIP);
	struct bench b;

	(void)state;
	bench_init(&b, MIB(64));
	bench_kernel(&b, &file);
	assert_int_equal(boot_x86_check(&b.p, &b.e), 0);
	bench_start(&b);
	linux_is_there(&b, 0x1000000);
	assert_int_equal(b.cpu->rip, 0x1000010);
	bench_exit(&b);
	blob_free(&file);
	blob_free(&bz);
}

static void the_kernels_own_decompressor_is_entered_when_asked(void **state)
{
	struct blob inside = linux_elf(), file;
	struct build_bz d = {
		.pack = PACK_GZIP, .inside = inside, .pref = 0x1000000, .init_size = 0x200000};
	struct bench b;

	(void)state;
	file = build_bz(&d);
	bench_init(&b, MIB(64));
	bench_kernel(&b, &file);
	b.p.how = BOOT_SETUP;
	bench_start(&b);
	assert_int_equal(b.cpu->rip, 0x1000200);
	assert_true(b.cpu->efer & X86_EFER_LMA);
	bench_filled(&b, 0x1000000, 0x300, 0x90);
	assert_int_equal(bench_get(&b, 0x1000300, 2), 0x8b1f);
	assert_int_equal(bench_get(&b, b.cpu->gpr[X86_RSI] + 0x214, 4), 0x1000000);
	bench_exit(&b);
	blob_free(&file);

	d.fixed = true;
	d.no_entry64 = true;
	file = build_bz(&d);
	bench_init(&b, MIB(64));
	bench_kernel(&b, &file);
	b.p.how = BOOT_SETUP;
	bench_start(&b);
	assert_int_equal(b.cpu->rip, 0x100000);
	assert_int_equal(b.cpu->efer, 0);
	assert_int_equal(b.cpu->cr0 & X86_CR0_PG, 0);
	assert_int_equal(b.cpu->gpr[X86_RBX] | b.cpu->gpr[X86_RBP] | b.cpu->gpr[X86_RDI], 0);
	assert_int_equal(bench_get(&b, b.cpu->gpr[X86_RSI] + 0x202, 4), 0x53726448);
	bench_exit(&b);
	blob_free(&file);
	blob_free(&inside);
}

static void a_32_bit_linux_inside_a_bzimage_is_entered_in_32_bit_mode(void **state)
{
	struct blob inside = build_elf(
		&(struct build_elf){.is32 = true,
				    .entry = 0x1000000,
				    .n_segs = 1,
				    .seg = {{0x1000000, 0xc1000000, 0x1000, 0x2000, 0x44}}});
	struct blob file = build_bz(&(struct build_bz){.pack = PACK_LZMA,
						       .inside = inside,
						       .pref = 0x1000000,
						       .init_size = 0x200000,
						       .no_entry64 = true});
	struct bench b;

	(void)state;
	bench_init(&b, MIB(64));
	bench_kernel(&b, &file);
	bench_start(&b);
	assert_int_equal(b.cpu->rip, 0x1000000);
	assert_int_equal(b.cpu->cr0 & X86_CR0_PG, 0);
	bench_filled(&b, 0x1000000, 0x1000, 0x44);
	b.p.how = BOOT_LINUX;
	bench_refused(&b, "has no 64-bit entry");
	bench_exit(&b);
	blob_free(&inside);
	blob_free(&file);
}

static void multiboot_gets_its_modules_and_map(void **state)
{
	struct blob file =
		build_elf(&(struct build_elf){.is32 = true,
					      .entry = 0x10000c,
					      .n_segs = 1,
					      .seg = {{0x100000, 0x100000, 0x1000, 0x3000, 0x55}}});
	char text[300];
	struct bench b;
	gpa_t mbi, mods, map;

	(void)state;
	le32_store(file.p + 0x200, 0x1badb002);
	le32_store(file.p + 0x204, 3);
	le32_store(file.p + 0x208, 0u - 0x1badb002 - 3);
	bench_init(&b, MIB(128));
	b.p.cmdline = "one two";
	bench_kernel(&b, &file);
	bench_initrd(&b, "mod1", "first", 6);
	bench_initrd(&b, "mod2", "second", 7);
	bench_start(&b);
	assert_int_equal(b.cpu->gpr[X86_RAX], 0x2badb002);
	assert_int_equal(b.cpu->rip, 0x10000c);
	assert_int_equal(b.cpu->cr0 & (X86_CR0_PE | X86_CR0_PG), X86_CR0_PE);
	assert_int_equal(bench_get(&b, 0x101000, 8), 0);
	mbi = b.cpu->gpr[X86_RBX];
	assert_int_equal(bench_get(&b, mbi, 4), 1 | 4 | 8 | 64 | 512);
	assert_int_equal(bench_get(&b, mbi + 4, 4), 639);
	assert_int_equal(bench_get(&b, mbi + 8, 4), 127 * 1024);
	snprintf(text, sizeof(text), "%s one two", b.img->file.path);
	bench_text(&b, bench_get(&b, mbi + 16, 4), text);
	assert_int_equal(bench_get(&b, mbi + 20, 4), 2);
	mods = bench_get(&b, mbi + 24, 4);
	assert_int_equal(bench_get(&b, mods, 4), 0x103000);
	assert_int_equal(bench_get(&b, mods + 4, 4), 0x103006);
	bench_text(&b, bench_get(&b, mods, 4), "first");
	bench_text(&b, bench_get(&b, mods + 8, 4), b.initrd[0].path);
	assert_int_equal(bench_get(&b, mods + 16, 4), 0x104000);
	bench_text(&b, bench_get(&b, mods + 16, 4), "second");
	assert_int_equal(bench_get(&b, mbi + 44, 4), 24 * b.map.n);
	map = bench_get(&b, mbi + 48, 4);
	for (unsigned i = 0; i < b.map.n; i++) {
		assert_int_equal(bench_get(&b, map + 24 * i, 4), 20);
		assert_int_equal(bench_get(&b, map + 24 * i + 4, 8), b.map.e[i].addr);
		assert_int_equal(bench_get(&b, map + 24 * i + 12, 8), b.map.e[i].len);
		assert_int_equal(bench_get(&b, map + 24 * i + 20, 4), b.map.e[i].type);
	}
	bench_text(&b, bench_get(&b, mbi + 64, 4), "Lodge");
	b.p.how = BOOT_PVH;
	bench_refused(&b, "is a multiboot kernel, which has no other entry");
	bench_exit(&b);
	blob_free(&file);
}

static void raw_images_start_in_real_mode_where_they_are_told(void **state)
{
	static const struct {
		gpa_t addr;
		uint64_t base, ip, sp;
	} at[] = {
		{0x7c00, 0, 0x7c00, 0x7c00},   {0, 0, 0, 0x7c00},
		{0xfff5, 0, 0xfff5, 0x7c00},   {0x12345, 0x12340, 5, 0x7c00},
		{0xf0000, 0xf0000, 0, 0x7c00}, {0x7b00, 0, 0x7b00, 0},
	};

	(void)state;
	for (size_t i = 0; i < ARRAY_LEN(at); i++) {
		struct blob file = blob_sample(3000);
		struct bench b;

		bench_init(&b, MIB(1));
		assert_int_equal(boot_image_open_raw(build_file("raw", file.p, file.n), BOOT_X86,
						     at[i].addr, &b.img, &b.e),
				 0);
		b.p.image = b.img;
		assert_int_equal(boot_x86_check(&b.p, &b.e), 0);
		bench_start(&b);
		assert_int_equal(bench_get(&b, at[i].addr, 8), le64_load(file.p));
		assert_int_equal(bench_get(&b, at[i].addr + 2992, 8), le64_load(file.p + 2992));
		assert_int_equal(b.cpu->seg[X86_CS].base, at[i].base);
		assert_int_equal(b.cpu->seg[X86_CS].sel, at[i].base >> 4);
		assert_int_equal(b.cpu->rip, at[i].ip);
		assert_int_equal(b.cpu->gpr[X86_RSP], at[i].sp);
		assert_int_equal(b.cpu->cr0 & X86_CR0_PE, 0);
		assert_int_equal(b.cpu->seg[X86_DS].base, 0);
		bench_exit(&b);
		blob_free(&file);
	}
}

static void a_raw_image_larger_than_memory_is_refused(void **state)
{
	struct blob file = blob_sample(70000);
	struct bench b;

	(void)state;
	bench_init(&b, KIB(64));
	assert_int_equal(
		boot_image_open_raw(build_file("raw", file.p, file.n), BOOT_X86, 0, &b.img, &b.e),
		0);
	b.p.image = b.img;
	bench_refused(&b, "needs at least 1 MiB of memory, the VM has 64 KiB");
	bench_exit(&b);
	blob_free(&file);
}

static void ways_that_a_kernel_does_not_have_are_refused(void **state)
{
	struct blob elf = build_elf(&(struct build_elf){
		.entry = 0x1000000, .n_segs = 1, .seg = {{0x1000000, VIRT(0x1000000), 64, 64, 0}}});
	struct blob bz = build_bz(&(struct build_bz){
		.pack = PACK_GZIP, .inside = elf, .pref = 0x1000000, .init_size = 0x100000});
	struct bench b;

	(void)state;
	bench_init(&b, MIB(64));
	bench_kernel(&b, &elf);
	b.p.how = BOOT_PVH;
	bench_refused(&b, "has no PVH entry (no CONFIG_PVH)");
	b.p.how = BOOT_SETUP;
	bench_refused(&b, "is an ELF file, which has no decompressor of its own");
	bench_exit(&b);

	/* Inside a bzImage it shows only when that is unpacked. */
	bench_init(&b, MIB(64));
	bench_kernel(&b, &bz);
	b.p.how = BOOT_PVH;
	assert_int_equal(boot_x86_check(&b.p, &b.e), 0);
	assert_int_equal(bench_load(&b), -EINVAL);
	assert_non_null(strstr(b.e.msg, "kernel: has no PVH entry (no CONFIG_PVH)"));
	bench_exit(&b);
	blob_free(&elf);
	blob_free(&bz);
}

static void segments_where_a_pc_has_no_memory_are_refused(void **state)
{
	struct blob elf = build_elf(&(struct build_elf){
		.entry = 0xb8000, .n_segs = 1, .seg = {{0xb8000, 0xb8000, 64, 4096, 0}}});
	struct bench b;

	(void)state;
	bench_init(&b, MIB(64));
	bench_kernel(&b, &elf);
	bench_refused(&b, "wants its 4096 bytes at 0xb8000, which is not free memory on a PC");
	bench_exit(&b);
	blob_free(&elf);
}

/* The head is as promised; what follows is not. */
static void a_payload_that_is_damaged_behind_its_head_is_refused_at_the_load(void **state)
{
	struct blob inside = linux_elf(), file;
	struct bench b;

	(void)state;
	file = build_bz(&(struct build_bz){.pack = PACK_LZ4_LEGACY,
					   .inside = inside,
					   .pref = 0x1000000,
					   .init_size = 0x100000,
					   .claimed = (uint32_t)inside.n + 16});
	bench_init(&b, MIB(64));
	bench_kernel(&b, &file);
	assert_int_equal(boot_x86_check(&b.p, &b.e), 0);
	assert_int_equal(bench_load(&b), -EINVAL);
	assert_non_null(strstr(
		b.e.msg, "kernel: is a Linux bzImage that is damaged: its kernel unpacks to "));
	bench_exit(&b);
	blob_free(&file);
	file = build_bz(&(struct build_bz){
		.pack = PACK_GZIP, .inside = inside, .pref = 0x1000000, .init_size = 0x100000});
	file.p[1024 + 0x300 + le32_load(file.p + 0x24c) - 8] ^= 1;
	bench_init(&b, MIB(64));
	bench_kernel(&b, &file);
	assert_int_equal(bench_load(&b), -EINVAL);
	assert_non_null(strstr(b.e.msg, "is damaged: the gzip-compressed data is damaged"));
	bench_exit(&b);
	blob_free(&file);
	blob_free(&inside);
}

static void firmware_leaves_every_processor_with_write_back_memory(void **state)
{
	struct x86_vcpu *v = calloc(1, sizeof(*v));

	(void)state;
	x86_vcpu_reset(v, 1);
	v->n_msrs = 2;
	v->msr[0] = (struct x86_msr){X86_MSR_TSC, 5};
	v->msr[1] = (struct x86_msr){X86_MSR_EFER, 7};
	boot_x86_firmware(v);
	boot_x86_firmware(v);
	assert_int_equal(v->n_msrs, 4);
	for (unsigned i = 1; i < v->n_msrs; i++)
		assert_true(v->msr[i - 1].index < v->msr[i].index);
	assert_int_equal(*x86_vcpu_msr(v, X86_MSR_MTRR_DEF_TYPE), 0xc06);
	assert_int_equal(*x86_vcpu_msr(v, X86_MSR_EFER), 7);
	v->n_msrs = X86_MSRS_MAX;
	for (uint32_t i = 0; i < X86_MSRS_MAX; i++)
		v->msr[i].index = i;
	boot_x86_firmware(v);
	assert_int_equal(v->n_msrs, X86_MSRS_MAX);
	free(v);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(a_bzimage_is_unpacked_in_place_and_entered_in_64_bit_mode),
		cmocka_unit_test(the_first_4_gib_are_mapped_one_to_one),
		cmocka_unit_test(the_zero_page_tells_linux_what_it_needs),
		cmocka_unit_test(a_reset_loads_the_same_bytes_again),
		cmocka_unit_test(a_reset_refuses_files_that_were_changed),
		cmocka_unit_test(a_kernel_whose_pieces_would_cross_goes_through_a_buffer),
		cmocka_unit_test(a_kernel_that_just_fits_needs_no_more_memory_to_be_unpacked),
		cmocka_unit_test(initrds_stand_behind_each_other_on_multiples_of_4_below_the_limit),
		cmocka_unit_test(too_large_initrds_are_refused_with_what_would_be_enough),
		cmocka_unit_test(a_command_line_is_refused_with_both_lengths),
		cmocka_unit_test(pvh_is_entered_in_flat_32_bit_mode_with_its_start_info),
		cmocka_unit_test(a_bzimage_has_a_pvh_entry_too),
		cmocka_unit_test(
			an_elf_kernel_is_entered_by_linux_protocol_when_asked_or_without_a_note),
		cmocka_unit_test(a_compressed_vmlinux_is_loaded_through_its_note),
		cmocka_unit_test(a_compressed_bzimage_is_unpacked_twice),
		cmocka_unit_test(the_kernels_own_decompressor_is_entered_when_asked),
		cmocka_unit_test(a_32_bit_linux_inside_a_bzimage_is_entered_in_32_bit_mode),
		cmocka_unit_test(multiboot_gets_its_modules_and_map),
		cmocka_unit_test(raw_images_start_in_real_mode_where_they_are_told),
		cmocka_unit_test(a_raw_image_larger_than_memory_is_refused),
		cmocka_unit_test(ways_that_a_kernel_does_not_have_are_refused),
		cmocka_unit_test(segments_where_a_pc_has_no_memory_are_refused),
		cmocka_unit_test(a_payload_that_is_damaged_behind_its_head_is_refused_at_the_load),
		cmocka_unit_test(firmware_leaves_every_processor_with_write_back_memory),
	};

	return cmocka_run_group_tests(tests, NULL, build_cleanup);
}
