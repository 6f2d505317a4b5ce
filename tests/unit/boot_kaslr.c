/* A Linux kernel at a random place: its table of words to change, and the places to choose from. */
#include "boot_load.h"

#include "boot/x86/kaslr.h"

/* A kernel with words to relocate, and the table behind it; @lists is 2 or 3. */
static struct blob relocatable(unsigned lists)
{
	struct blob inside = build_elf(&(struct build_elf){
		.entry = 0x1000010,
		.n_segs = 2,
		.seg = {{0x1000000, VIRT(0x1000000), 0x1000, 0x1000, 0},
			{0x1004000, VIRT(0x1004000), 0x1000, 0x2000, 0}},
	});
	size_t seg0 = inside.n - 0x2000, seg1 = inside.n - 0x1000;
	struct blob file;

	le64_store(inside.p + seg0 + 8, VIRT(0x1000100));
	le64_store(inside.p + seg1 + 0xff8, VIRT(0x1004000));
	le32_store(inside.p + seg0 + 0x100, (uint32_t)VIRT(0x1000200));
	le32_store(inside.p + seg1 + 0x40, 0x5000000);
	blob_le32(&inside, 0);
	blob_le32(&inside, (uint32_t)VIRT(0x1000008));
	blob_le32(&inside, (uint32_t)VIRT(0x1004ff8));
	if (lists == 3) {
		blob_le32(&inside, 0);
		blob_le32(&inside, (uint32_t)VIRT(0x1004040));
	}
	blob_le32(&inside, 0);
	blob_le32(&inside, (uint32_t)VIRT(0x1000100));
	file = build_bz(&(struct build_bz){.pack = PACK_LZ4_LEGACY,
					   .inside = inside,
					   .pref = 0x1000000,
					   .init_size = 0x100000});
	blob_free(&inside);
	return file;
}

static void kaslr_moves_the_kernel_and_every_word_of_its_table(void **state)
{
	(void)state;
	for (unsigned lists = 2; lists <= 3; lists++) {
		struct blob file = relocatable(lists);
		gpa_t first = 0;
		bool moved = false;
		struct bench b;

		bench_init(&b, MIB(256));
		bench_kernel(&b, &file);
		bench_initrd(&b, "initrd", "abc", 4);
		b.p.kaslr = true;
		assert_int_equal(boot_x86_check(&b.p, &b.e), 0);
		for (unsigned i = 0; i < 20; i++) {
			gpa_t base, initrd;
			uint64_t delta;

			bench_start(&b);
			base = b.cpu->rip - 0x10;
			assert_true(base % MIB(2) == 0 && base >= 0x1000000 && base <= MIB(255));
			delta = bench_get(&b, base + 8, 8) - VIRT(0x1000100);
			assert_true(delta % MIB(2) == 0 && delta < GIB(1) - 0x1000000 - 0x100000);
			assert_int_equal(bench_get(&b, base + 0x4ff8, 8), VIRT(0x1004000) + delta);
			assert_int_equal(bench_get(&b, base + 0x100, 4),
					 (uint32_t)(VIRT(0x1000200) + delta));
			assert_int_equal(bench_get(&b, base + 0x4040, 4),
					 lists == 3 ? (uint32_t)(0x5000000 - delta) : 0x5000000);
			assert_int_equal(bench_get(&b, b.cpu->gpr[X86_RSI] + 0x211, 1),
					 delta ? 3 : 1);
			initrd = bench_get(&b, b.cpu->gpr[X86_RSI] + 0x218, 4);
			bench_text(&b, initrd, "abc");
			moved |= i > 0 && base + delta != first;
			first = base + delta;
		}
		assert_true(moved);
		b.p.kaslr = false;
		bench_start(&b);
		assert_int_equal(b.cpu->rip, 0x1000010);
		assert_int_equal(bench_get(&b, 0x1000008, 8), VIRT(0x1000100));
		assert_int_equal(bench_get(&b, b.cpu->gpr[X86_RSI] + 0x211, 1), 1);
		bench_exit(&b);
		blob_free(&file);
	}
}

static void every_slot_of_kaslr_is_inside_the_range(void **state)
{
	struct kaslr_range r = {MIB(2), MIB(50), MIB(16), MIB(100), MIB(16)};
	gpa_t lowest = UINT64_MAX, highest = 0, phys;
	uint64_t virt, top = 0;

	(void)state;
	for (uint64_t i = 0; i < 5000; i++) {
		assert_true(kaslr_choose(&r, (uint64_t[]){i, i}, &phys, &virt));
		assert_true(phys % MIB(2) == 0 && phys >= MIB(16) && phys + MIB(50) <= MIB(100));
		assert_true(virt % MIB(2) == 0 && virt >= MIB(16) && virt + MIB(50) <= GIB(1));
		lowest = MIN(lowest, phys);
		highest = MAX(highest, phys);
		top = MAX(top, virt);
	}
	assert_int_equal(lowest, MIB(16));
	assert_int_equal(highest, MIB(50));
	assert_int_equal(top, GIB(1) - MIB(50));
	assert_true(kaslr_choose(&r, (uint64_t[]){UINT64_MAX, UINT64_MAX}, &phys, &virt));
	r.max = MIB(65);
	assert_false(kaslr_choose(&r, (uint64_t[]){0, 0}, &phys, &virt));
	r.size = GIB(2);
	assert_false(kaslr_choose(&r, (uint64_t[]){0, 0}, &phys, &virt));
}

static void kaslr_is_refused_where_nothing_can_be_moved(void **state)
{
	struct blob plain = linux_bz(PACK_GZIP), elf = linux_elf(), file = relocatable(3);
	struct bench b;

	(void)state;
	bench_init(&b, MIB(64));
	b.p.kaslr = true;
	bench_kernel(&b, &plain);
	bench_refused(&b, "cannot be placed at random: it has no relocation table (no "
			  "CONFIG_RANDOMIZE_BASE)");
	b.p.how = BOOT_SETUP;
	assert_int_equal(boot_x86_check(&b.p, &b.e), 0);
	bench_exit(&b);

	bench_init(&b, MIB(64));
	b.p.kaslr = true;
	bench_kernel(&b, &elf);
	bench_refused(&b, "cannot be placed at random: only a bzImage says how it is moved");
	bench_exit(&b);

	bench_init(&b, MIB(64));
	b.p.kaslr = true;
	b.p.how = BOOT_PVH;
	bench_kernel(&b, &file);
	bench_refused(&b, "cannot be placed at random: only the 64-bit Linux entry allows it");
	bench_exit(&b);
	blob_free(&plain);
	blob_free(&elf);
	blob_free(&file);
}

static void damaged_relocation_tables_are_refused(void **state)
{
	static const uint32_t tables[][5] = {
		{0, 1, 0, 1, 1},		   /* outside the kernel */
		{0, 0x81000000, 0x81000004, 1, 0}, /* one address outside */
		{1, 0x81000000, 0, 0x81000000, 0}, /* no zero in front */
		{0, 0, 0, 0, 0},		   /* too many lists */
		{0, 0x81000ffc, 0, 0x81000ffd, 0}, /* over the end of the segment */
	};
	struct elf elf = {.is64 = true,
			  .n_segs = 1,
			  .end = 0x1000,
			  .seg = {{.addr = 0x1000000, .off = 0, .len = 0x1000, .mem_len = 0x1000}}};
	uint8_t image[0x1000 + 20];

	(void)state;
	for (size_t i = 0; i < ARRAY_LEN(tables); i++) {
		struct err e = ERR_INIT;

		memset(image, 0, sizeof(image));
		for (unsigned k = 0; k < 5; k++)
			le32_store(image + 0x1000 + 4 * k, tables[i][k]);
		assert_int_equal(kaslr_relocate(image, sizeof(image), &elf, MIB(2), &e), -EINVAL);
	}
	assert_false(kaslr_has_table(&elf, 0x1000));
	assert_false(kaslr_has_table(&elf, 0x1000 + 19));
	assert_true(kaslr_has_table(&elf, 0x1000 + 20));
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(kaslr_moves_the_kernel_and_every_word_of_its_table),
		cmocka_unit_test(every_slot_of_kaslr_is_inside_the_range),
		cmocka_unit_test(kaslr_is_refused_where_nothing_can_be_moved),
		cmocka_unit_test(damaged_relocation_tables_are_refused),
	};

	return cmocka_run_group_tests(tests, NULL, build_cleanup);
}
