/* The soft TLB and guest memory accesses of the software CPU; walks are in bt_walk.c. */
#include "bt_rig.h"

#define RW  X86_PTE_RW
#define US  X86_PTE_US
#define LA1 UINT64_C(0x7f0000400000)
#define LA2 UINT64_C(0xffff888000401000)

static void expect(struct fault f, unsigned vector, uint32_t error)
{
	assert_int_equal(f.vector, vector);
	if (vector != RIG_OK)
		assert_int_equal(f.error, error);
}

static void without_paging_memory_is_where_it_is(void **state)
{
	struct bt_cpu *c = rig_new(1);

	(void)state;
	bt_st32(c, 0x5000, 0x12345678);
	assert_int_equal(*rig_u32(0x5000), 0x12345678);
	assert_int_equal(bt_ld16(c, 0x5002), 0x1234);
	assert_ptr_equal(bt_write_ptr(c, 0x5004, 8), rig.ram->host + 0x5004);
	assert_null(bt_write_ptr(c, 0x5ffc, 8));
	rig_free();
}

static void the_a20_gate_folds_the_second_mebibyte(void **state)
{
	struct bt_cpu *c = rig_new(1);

	(void)state;
	bt_st8(c, 0x100010, 1);
	rig.bvm.a20_mask = ~UINT64_C(0x100000);
	rig_mode(c);
	bt_st8(c, 0x100010, 7);
	assert_int_equal(rig.ram->host[0x10], 7);
	assert_int_equal(rig.ram->host[0x100010], 1);
	rig_free();
}

static void an_access_across_pages_that_faults_writes_nothing(void **state)
{
	struct bt_cpu *c = rig_new(1);
	struct bt_bounce b;
	uint8_t big[64] = {0xff};

	(void)state;
	rig_long(c);
	rig_put(c, LA1, 12, 0x100000 | RW);
	rig_put(c, LA1 + 0x1000, 12, 0x200000); /* read-only */
	struct fault f = TRY(c, bt_st64(c, LA1 + 0xffc, UINT64_MAX));
	expect(f, X86_PF, PF_P | PF_W);
	assert_int_equal(f.la, LA1 + 0x1000);
	assert_int_equal(*rig_u32(0x100ffc), 0);
	expect(TRY(c, bt_st_block(c, LA1 + 0xff0, big, 64)), X86_PF, PF_P | PF_W);
	assert_int_equal(rig.ram->host[0x100ff0], 0);
	expect(TRY(c, bt_get(c, LA1 + 0xffc, 8, BT_RMW, true, &b)), X86_PF, PF_P | PF_W);
	expect(TRY(c, bt_probe(c, LA1 + 0xffc, 8, BT_WRITE)), X86_PF, PF_P | PF_W);
	assert_int_equal(pthread_mutex_trylock(&rig.bvm.exclusive), 0);
	pthread_mutex_unlock(&rig.bvm.exclusive);
	/* The first page alone was a write, so far as D is concerned. */
	rig_put(c, LA1 + 0x1000, 12, 0x200000 | RW);
	bt_st64(c, LA1 + 0xffc, 0x1122334455667788);
	assert_int_equal(*rig_u32(0x100ffc), 0x55667788);
	assert_int_equal(*rig_u32(0x200000), 0x11223344);
	assert_int_equal(bt_ld64(c, LA1 + 0xffc), 0x1122334455667788);
	rig_free();
}

static void devices_rom_and_nothing_are_reached_as_a_vcpu_reaches_them(void **state)
{
	struct bt_cpu *c = rig_new(1);
	uint8_t b[16];

	(void)state;
	rig_long(c);
	rig_put(c, LA1, 12, RIG_DEV | RW);
	rig_put(c, LA1 + 0x1000, 12, RIG_ROM | RW);
	rig_put(c, LA1 + 0x2000, 12, RIG_HOLE | RW);
	rig_put(c, LA1 + 0x3000, 12, X86_LAPIC_ADDR | RW);
	assert_int_equal(bt_ld16(c, LA1 + 2), 0x5a5a);
	bt_st8(c, LA1 + 1, 9);
	assert_int_equal(rig.regs->reg[1], 9);
	assert_int_equal(atomic_load(&c->v->exits[EXIT_STAT_MMIO_READ]), 1);
	assert_int_equal(atomic_load(&c->v->exits[EXIT_STAT_MMIO_WRITE]), 1);
	rig.rom->host[8] = 3;
	bt_st64(c, LA1 + 0x1008, 5);
	assert_int_equal(bt_ld64(c, LA1 + 0x1008), 3);
	assert_int_equal(bt_ld32(c, LA1 + 0x2000), UINT32_MAX);
	bt_st32(c, LA1 + 0x2000, 1);
	bt_st32(c, LA1 + 0x30b0, 0);
	assert_int_equal(rig_apic.writes, 1);
	assert_int_equal(bt_ld32(c, LA1 + 0x3020), 0);
	assert_int_equal(rig_apic.reads, 1);
	bt_ld_block(c, LA1, b, 16);
	assert_memory_equal(b, "\x5a\x09\x5a\x5a\x5a\x5a\x5a\x5a\xff\xff\xff\xff\xff\xff\xff\xff",
			    16);
	/* From the device's page into ROM. */
	bt_st32(c, LA1 + 0xffe, 0);
	assert_int_equal(bt_ld32(c, LA1 + 0xffe), 0xffff);
	rig_free();
}

static void addresses_that_are_not_canonical_are_gp_or_ss(void **state)
{
	struct bt_cpu *c = rig_new(1);
	struct insn mov = {.seg = X86_DS}, push = {.seg = X86_DS}, frame = {.seg = X86_SS};

	(void)state;
	rig_long(c);
	rig_put(c, 0x7ffffffff000, 12, 0x100000 | RW);
	c->cur = &mov;
	expect(TRY(c, bt_ld8(c, UINT64_C(1) << 47)), X86_GP, 0);
	expect(TRY(c, bt_st8(c, UINT64_MAX >> 1, 0)), X86_GP, 0);
	expect(TRY(c, bt_st64(c, 0x7ffffffffffc, UINT64_MAX)), X86_GP, 0);
	assert_int_equal(*rig_u32(0x100ffc), 0);
	c->cur = &frame;
	expect(TRY(c, bt_ld8(c, UINT64_C(1) << 47)), X86_SS_FAULT, 0);
	c->cur = &push;
	c->gpr[X86_RSP] = UINT64_C(0x8000000000000000);
	expect(TRY(c, bt_st64(c, c->gpr[X86_RSP] - 8, 0)), X86_SS_FAULT, 0);
	expect(TRY(c, bt_st_as(c, UINT64_C(1) << 50, 0, 8, false)), X86_SS_FAULT, 0);
	expect(TRY(c, bt_ld_sys(c, UINT64_C(1) << 50, 8)), X86_GP, 0);
	rig_free();
}

static void alignment_is_checked_for_users_who_asked(void **state)
{
	struct bt_cpu *c = rig_new(1);
	struct bt_bounce b;

	(void)state;
	rig_long(c);
	rig_put(c, LA1, 12, 0x100000 | RW | US);
	c->mode.cpl = 3;
	rig_mode(c);
	expect(TRY(c, bt_st32(c, LA1 + 1, 1)), RIG_OK, 0);
	c->mode.align = true;
	rig_mode(c);
	expect(TRY(c, bt_st32(c, LA1 + 1, 2)), X86_AC, 0);
	expect(TRY(c, bt_ld64(c, LA1 + 4)), X86_AC, 0);
	expect(TRY(c, bt_get(c, LA1 + 2, 4, BT_RMW, false, &b)), X86_AC, 0);
	expect(TRY(c, bt_ld16(c, LA1 + 0x1001)), X86_PF, PF_U);
	expect(TRY(c, bt_st32(c, LA1 + 4, 3)), RIG_OK, 0);
	expect(TRY(c, bt_st32(c, LA1 + 4, 4)), RIG_OK, 0);
	assert_int_equal(*rig_u32(0x100004), 4);
	assert_int_equal(*rig_u64(0x100000) >> 8, 0x04000001);
	c->mode.align = false;
	rig_mode(c);
	expect(TRY(c, bt_st32(c, LA1 + 1, 2)), RIG_OK, 0);
	rig_free();
}

static void data_breakpoints_are_hit_by_bytes_that_overlap(void **state)
{
	struct bt_cpu *c = rig_new(1);

	(void)state;
	rig_long(c);
	rig_put(c, LA1, 12, 0x100000 | RW);
	bt_st64(c, LA1 + 0x10, 0);
	c->dr[0] = LA1 + 0x10;
	c->dr[3] = LA1 + 0x20;
	c->dr7 = 1 | 1 << 16 | 3 << 18 | 1 << 6 | 3u << 28; /* 0: write, 4; 3: read or write, 1 */
	rig_mode(c);
	bt_st8(c, LA1 + 0xf, 1);
	(void)bt_ld64(c, LA1 + 0x10);
	(void)bt_ld64(c, LA1 + 0x18);
	assert_false(c->dr_pending);
	bt_st64(c, LA1 + 0xc, 1);
	assert_true(c->dr_pending);
	assert_int_equal(c->dr_hits, 1);
	(void)bt_ld32(c, LA1 + 0x20);
	assert_int_equal(c->dr_hits, 9);
	c->dr_pending = false;
	c->dr7 = 0;
	rig_mode(c);
	bt_st64(c, LA1 + 0x10, 0);
	assert_false(c->dr_pending);
	assert_non_null(bt_write_ptr(c, LA1 + 0x10, 8));
	rig_free();
}

/* Flushes. ----------------------------------------------------------------------------------- */

/* An address space of its own with LA1 and, global, LA2. */
static gpa_t space_new(struct bt_cpu *c, gpa_t to)
{
	c->cr3 = rig_page();
	rig_put(c, LA1, 12, to | RW | US);
	rig_put(c, LA2, 12, 0x300000 | RW | PTE_G);
	return c->cr3;
}

static void cr3(struct bt_cpu *c, gpa_t root, unsigned pcid, bool keep)
{
	c->cr3 = root | pcid;
	mmu_cr3_written(c, keep);
	rig_mode(c);
}

static void a_cr3_write_flushes_all_but_global_pages(void **state)
{
	struct bt_cpu *c = rig_new(1);
	gpa_t a, b;

	(void)state;
	*rig_u64(0x100000) = 1;
	*rig_u64(0x200000) = 2;
	*rig_u64(0x300000) = 3;
	*rig_u64(0x400000) = 4;
	rig_long(c);
	a = space_new(c, 0x100000);
	b = space_new(c, 0x200000);
	cr3(c, a, 0, false);
	assert_int_equal(bt_ld64(c, LA1), 1);
	assert_int_equal(bt_ld64(c, LA2), 3);
	*rig_entry(b, 39, LA2, 12) = 0x400000 | X86_PTE_P | PTE_G;
	cr3(c, b, 0, false);
	assert_int_equal(bt_ld64(c, LA1), 2);
	assert_int_equal(bt_ld64(c, LA2), 3); /* the TLB still has it */
	assert_non_null(bt_read_ptr(c, LA2, 8));
	mmu_flush_page(c, LA2);
	assert_int_equal(bt_ld64(c, LA2), 4);
	/* Without CR4.PGE nothing is global, and the change flushes all. */
	*rig_entry(b, 39, LA2, 12) = 0x300000 | X86_PTE_P | PTE_G;
	c->cr4 &= ~(uint64_t)X86_CR4_PGE;
	rig_mode(c);
	assert_int_equal(bt_ld64(c, LA2), 3);
	cr3(c, a, 0, false);
	assert_null(bt_read_ptr(c, LA2, 8));
	rig_free();
}

static void address_spaces_with_pcids_are_remembered(void **state)
{
	struct bt_cpu *c = rig_new(1);
	gpa_t root[12];

	(void)state;
	rig_long(c);
	c->cr4 |= CR4_PCIDE;
	rig_mode(c);
	for (unsigned i = 0; i < 12; i++) {
		root[i] = space_new(c, 0x100000 + i * 0x1000);
		*rig_u64(0x100000 + i * 0x1000) = i;
	}
	for (unsigned i = 0; i < 6; i++) {
		cr3(c, root[i], i + 1, false);
		assert_int_equal(bt_ld64(c, LA1), i);
	}
	for (unsigned i = 0; i < 6; i++) {
		cr3(c, root[i], i + 1, true);
		assert_non_null(bt_read_ptr(c, LA1, 8));
		assert_int_equal(bt_ld64(c, LA1), i);
	}
	cr3(c, root[2], 3, false);
	assert_null(bt_read_ptr(c, LA1, 8));
	/* More than are remembered: always right, if slow. */
	for (unsigned n = 0; n < 100; n++) {
		unsigned i = n * 7 % 12;

		cr3(c, root[i], i + 1, n >= 12);
		assert_int_equal(bt_ld64(c, LA1), i);
	}
	/* A PCID that comes again for other tables, after a write that did not keep. */
	cr3(c, root[5], 1, false);
	assert_int_equal(bt_ld64(c, LA1), 5);
	rig_free();
}

static void invpcid_flushes_what_its_type_says(void **state)
{
	struct bt_cpu *c = rig_new(1);
	gpa_t a, b;

	(void)state;
	rig_long(c);
	c->cr4 |= CR4_PCIDE;
	rig_mode(c);
	a = space_new(c, 0x100000);
	b = space_new(c, 0x101000);
	for (unsigned type = 0; type < 4; type++) {
		cr3(c, a, 1, false);
		(void)bt_ld64(c, LA1);
		cr3(c, b, 2, false);
		(void)bt_ld64(c, LA1);
		(void)bt_ld64(c, LA2);
		mmu_invpcid(c, type, 1, LA1);
		if (type)
			assert_int_equal(!!bt_read_ptr(c, LA1, 8), type == 1);
		assert_int_equal(!!bt_read_ptr(c, LA2, 8), type != 2);
		cr3(c, a, 1, true);
		assert_null(bt_read_ptr(c, LA1, 8));
	}
	(void)bt_ld64(c, LA1);
	mmu_invpcid(c, 1, 1, 0);
	assert_null(bt_read_ptr(c, LA1, 8));
	rig_free();
}

static void invlpg_anywhere_in_a_large_page_drops_all_its_parts(void **state)
{
	static const unsigned shift[] = {21, 30};
	struct bt_cpu *c = rig_new(1);

	(void)state;
	for (unsigned k = 0; k < 2; k++) {
		uint64_t la = UINT64_C(0x123) << 30, size = UINT64_C(1) << shift[k];

		rig_long(c);
		rig_put(c, la, shift[k], 0 | RW | (k ? PTE_G : 0));
		rig_put(c, la + size, shift[k], 0 | RW);
		(void)bt_ld64(c, la);
		(void)bt_ld64(c, la + 0x5000);
		(void)bt_ld64(c, la + size + 0x6000);
		mmu_flush_page(c, la + size - 1);
		assert_null(bt_read_ptr(c, la, 8));
		assert_null(bt_read_ptr(c, la + 0x5000, 8));
		assert_non_null(bt_read_ptr(c, la + size + 0x6000, 8));
	}
	rig_free();
}

static void a_change_of_paging_bits_makes_entries_anew(void **state)
{
	struct bt_cpu *c = rig_new(1);

	(void)state;
	rig_long(c);
	rig_put(c, LA1, 12, 0x100000);
	c->cr0 &= ~(uint64_t)X86_CR0_WP;
	rig_mode(c);
	bt_st64(c, LA1, 1);
	c->cr0 |= X86_CR0_WP;
	rig_mode(c);
	expect(TRY(c, bt_st64(c, LA1, 2)), X86_PF, PF_P | PF_W);
	rig_free();
}

static void smap_is_lifted_by_ac_and_for_explicit_accesses_only(void **state)
{
	struct bt_cpu *c = rig_new(1);

	(void)state;
	rig_long(c);
	c->cr4 |= CR4_SMAP;
	rig_mode(c);
	rig_put(c, LA1, 12, 0x100000 | RW | US);
	for (unsigned i = 0; i < 3; i++) {
		c->rflags &= ~(uint64_t)FLAGS_AC;
		rig_mode(c);
		expect(TRY(c, bt_st64(c, LA1, i)), X86_PF, PF_P | PF_W);
		c->rflags |= FLAGS_AC;
		rig_mode(c);
		expect(TRY(c, bt_st64(c, LA1, i)), RIG_OK, 0);
		expect(TRY(c, bt_ld_sys(c, LA1, 8)), X86_PF, PF_P);
		expect(TRY(c, bt_ld_as(c, LA1, 8, true)), RIG_OK, 0);
	}
	rig_free();
}

static void each_privilege_has_entries_of_its_own(void **state)
{
	struct bt_cpu *c = rig_new(1);
	struct bt_bounce b;

	(void)state;
	rig_long(c);
	rig_put(c, LA2, 12, 0x100000 | RW);
	bt_st64(c, LA2, 77);
	c->mode.cpl = 3;
	rig_mode(c);
	expect(TRY(c, bt_ld64(c, LA2)), X86_PF, PF_P | PF_U);
	assert_int_equal(bt_ld_sys(c, LA2, 8), 77);
	bt_st_sys(c, LA2, 78, 4);
	expect(TRY(c, bt_st_as(c, LA2, 1, 8, true)), X86_PF, PF_P | PF_U | PF_W);
	bt_st_as(c, LA2 + 8, 1, 8, false);
	*(uint8_t *)bt_get_sys(c, LA2 + 8, 1, BT_RMW, true, &b) += 1;
	bt_put(c, &b, true);
	c->mode.cpl = 0;
	rig_mode(c);
	assert_int_equal(bt_ld64(c, LA2), 78);
	assert_int_equal(bt_ld64(c, LA2 + 8), 2);
	rig_free();
}

static void fetches_have_permissions_and_a_generation(void **state)
{
	struct bt_cpu *c = rig_new(1);
	const uint8_t *host;
	uint64_t gen, other;
	gpa_t pa, root;

	(void)state;
	rig_long(c);
	c->cr4 |= CR4_PCIDE;
	rig_mode(c);
	root = c->cr3;
	rig_put(c, LA1, 12, 0x100000 | RW);
	rig_put(c, LA1 + 0x1000, 12, 0x101000 | PTE_NX);
	rig_put(c, LA1 + 0x2000, 12, RIG_DEV);
	bt_fetch(c, LA1 + 5, &pa, &host);
	assert_int_equal(pa, 0x100005);
	assert_ptr_equal(host, rig.ram->host + 0x100005);
	expect(TRY(c, bt_fetch(c, LA1 + 0x1000, &pa, &host)), X86_PF, PF_P | PF_I);
	bt_fetch(c, LA1 + 0x2003, &pa, &host);
	assert_int_equal(pa, RIG_DEV + 3);
	assert_null(host);
	gen = mmu_generation(c);
	mmu_flush_page(c, LA2); /* nothing was fetched there */
	assert_int_equal(mmu_generation(c), gen);
	(void)space_new(c, 0x200000);
	cr3(c, c->cr3, 7, false);
	other = mmu_generation(c);
	assert_int_not_equal(other, gen);
	bt_fetch(c, LA1, &pa, &host);
	assert_int_equal(pa, 0x200000);
	cr3(c, root, 0, true);
	assert_int_equal(mmu_generation(c), gen);
	bt_fetch(c, LA1, &pa, &host);
	assert_int_equal(pa, 0x100000);
	rig_put(c, LA1, 12, 0x102000);
	mmu_flush_page(c, LA1);
	assert_int_not_equal(mmu_generation(c), gen);
	bt_fetch(c, LA1, &pa, &host);
	assert_int_equal(pa, 0x102000);
	c->mode.cpl = 3;
	rig_mode(c);
	assert_int_not_equal(mmu_generation(c) & ~UINT64_C(1), gen);
	expect(TRY(c, bt_fetch(c, LA1, &pa, &host)), X86_PF, PF_P | PF_U | PF_I);
	rig_free();
}

static void a_change_of_the_map_is_seen_when_it_is_attended_to(void **state)
{
	struct bt_cpu *c = rig_new(1);
	struct err e = ERR_INIT;

	(void)state;
	assert_int_equal(bt_ld32(c, RIG_HOLE), UINT32_MAX);
	rig_map(RIG_HOLE, GUEST_PAGE, false);
	assert_true(atomic_load(&c->attention) & BT_ATTN_FLUSH);
	mmu_attend(c, BT_ATTN_FLUSH);
	bt_st32(c, RIG_HOLE, 5);
	assert_int_equal(bt_ld32(c, RIG_HOLE), 5);
	assert_non_null(bt_read_ptr(c, RIG_HOLE, 4));
	assert_int_equal(as_unmap(&rig.vm->mem, RIG_HOLE, &e), 0);
	mmu_attend(c, BT_ATTN_FLUSH);
	assert_int_equal(bt_ld32(c, RIG_HOLE), UINT32_MAX);
	/* One that was idle is not waked, and sees it. */
	mmu_idle(c, true);
	atomic_store(&c->attention, 0);
	rig_map(RIG_HOLE, GUEST_PAGE, false);
	assert_int_equal(atomic_load(&c->attention), 0);
	mmu_idle(c, false);
	assert_int_equal(bt_ld32(c, RIG_HOLE), 0);
	rig_free();
}

static uint64_t dirty_of(unsigned page)
{
	struct as_map m = {.base = 0, .len = RIG_RAM, .kind = MAP_RAM, .ram = rig.ram};
	uint64_t map[RIG_RAM / GUEST_PAGE / 64] = {0};
	struct err e = ERR_INIT;

	assert_int_equal(as_dirty_fetch(&rig.vm->mem, &m, map, &e), 0);
	return map[page / 64] >> (page % 64) & 1;
}

static void the_dirty_log_misses_no_store_of_a_vcpu(void **state)
{
	struct bt_cpu *c = rig_new(1);
	struct err e = ERR_INIT;

	(void)state;
	bt_st64(c, 0x100000, 1); /* has its write tag before logging starts */
	(void)bt_ld64(c, 0x101000);
	assert_int_equal(as_dirty_start(&rig.vm->mem, &e), 0);
	bt_st64(c, 0x100000, 2); /* not attended to yet */
	mmu_attend(c, atomic_exchange(&c->attention, 0));
	assert_true(dirty_of(0x100));
	mmu_attend(c, atomic_exchange(&c->attention, 0));
	(void)bt_ld64(c, 0x100000);
	(void)bt_ld64(c, 0x101000);
	(void)dirty_of(0x100);
	assert_false(dirty_of(0x100)); /* reads mark nothing */
	mmu_attend(c, atomic_exchange(&c->attention, 0));
	bt_st64(c, 0x101000, 2);
	assert_true(dirty_of(0x101));
	bt_st64(c, 0x101000, 3); /* by a tag from before the fetch */
	mmu_idle(c, true);
	assert_true(dirty_of(0x101));
	assert_false(dirty_of(0x101));
	mmu_idle(c, false);
	mmu_attend(c, atomic_exchange(&c->attention, 0));
	/* Evicted by another page of the same index before it was attended to. */
	bt_st64(c, 0x101000, 4);
	(void)dirty_of(0x101);
	bt_st64(c, 0x101000, 5);
	(void)bt_ld64(c, 0x101000 + BT_TLB_ENTRIES * GUEST_PAGE);
	assert_true(dirty_of(0x101));
	as_dirty_stop(&rig.vm->mem);
	rig_free();
}

/* Read-modify-write. ------------------------------------------------------------------------- */

static void a_read_modify_write_is_in_place_or_bounced(void **state)
{
	struct bt_cpu *c = rig_new(1);
	struct bt_bounce b;
	uint8_t *p;

	(void)state;
	rig_long(c);
	rig_put(c, LA1, 12, 0x100000 | RW);
	rig_put(c, LA1 + 0x1000, 12, 0x200000 | RW);
	rig_put(c, LA1 + 0x2000, 12, RIG_DEV | RW);
	p = bt_get(c, LA1 + 8, 8, BT_RMW, true, &b);
	assert_ptr_equal(p, rig.ram->host + 0x100008);
	assert_false(b.exclusive);
	bt_put(c, &b, true);
	*rig_u32(0x100ffc) = 0x11111111;
	p = bt_get(c, LA1 + 0xffc, 8, BT_RMW, true, &b);
	assert_ptr_equal(p, b.bytes);
	assert_true(b.exclusive);
	assert_int_not_equal(pthread_mutex_trylock(&rig.bvm.exclusive), 0);
	assert_int_equal(p[0], 0x11);
	memset(p, 0x22, 8);
	bt_put(c, &b, true);
	assert_int_equal(*rig_u32(0x100ffc), 0x22222222);
	assert_int_equal(*rig_u32(0x200000), 0x22222222);
	p = bt_get(c, LA1 + 0xffc, 8, BT_RMW, true, &b);
	p[0] = 9;
	bt_put(c, &b, false);
	assert_int_equal(*rig_u32(0x100ffc), 0x22222222);
	p = bt_get(c, LA1 + 0x2000, 2, BT_RMW, true, &b);
	assert_int_equal(p[0], 0x5a);
	p[0]++;
	bt_put(c, &b, true);
	assert_int_equal(rig.regs->reg[0], 0x5b);
	assert_int_equal(pthread_mutex_trylock(&rig.bvm.exclusive), 0);
	pthread_mutex_unlock(&rig.bvm.exclusive);
	rig_free();
}

/* Segments. ---------------------------------------------------------------------------------- */

static void effective_addresses_wrap_at_their_size(void **state)
{
	struct bt_cpu *c = rig_new(1);
	struct insn i = {.base = X86_RBX, .index = X86_RSI, .scale = 2, .disp = -8, .len = 7};

	(void)state;
	c->rip = 0x1000;
	c->gpr[X86_RBX] = 0x1fffffff0;
	c->gpr[X86_RSI] = 8;
	i.asize = 8;
	assert_int_equal(bt_ea(c, &i), 0x200000008);
	i.asize = 4;
	assert_int_equal(bt_ea(c, &i), 8);
	i.asize = 2;
	i.scale = 0;
	i.disp = 0x10;
	assert_int_equal(bt_ea(c, &i), 8);
	i = (struct insn){.base = INSN_RIP, .index = INSN_NOREG, .disp = -8, .len = 7, .asize = 8};
	assert_int_equal(bt_ea(c, &i), 0xfff);
	i = (struct insn){.base = INSN_NOREG, .index = INSN_NOREG, .disp = -1, .asize = 4};
	assert_int_equal(bt_ea(c, &i), 0xffffffff);
	rig_free();
}

static uint64_t found_la;

static struct fault la_of(struct bt_cpu *c, unsigned seg, uint64_t ea, unsigned n,
			  enum bt_access access)
{
	return TRY(c, found_la = bt_la_of(c, seg, ea, n, access));
}

static void segments_have_limits_and_types(void **state)
{
	enum { DATA_RW = 0x93, DATA_RO = 0x91, DOWN = 0x97, CODE_X = 0x99, CODE_XR = 0x9b };
	static const struct {
		uint32_t limit, attr;
		uint32_t ea;
		unsigned n;
		enum bt_access access;
		bool ok;
	} t[] = {
		{0xffff, DATA_RW, 0xffff, 1, BT_WRITE, true},
		{0xffff, DATA_RW, 0xffff, 2, BT_READ, false},
		{0xffff, DATA_RW, 0x10000, 1, BT_READ, false},
		{0xffffffff, DATA_RW, 0xffffffff, 4, BT_READ, true},
		{0xfffffffe, DATA_RW, 0xffffffff, 1, BT_READ, false},
		{0xffff, DATA_RO, 0, 1, BT_READ, true},
		{0xffff, DATA_RO, 0, 1, BT_RMW, false},
		{0xfff, DOWN, 0xfff, 1, BT_READ, false},
		{0xfff, DOWN, 0x1000, 1, BT_WRITE, true},
		{0xfff, DOWN, 0xffff, 1, BT_READ, true},
		{0xfff, DOWN, 0xffff, 2, BT_READ, false},
		{0xfff, DOWN | X86_SEG_DB, 0xffff, 2, BT_READ, true},
		{0xfff, DOWN | X86_SEG_DB, 0xffffffff, 2, BT_READ, false},
		{0xffff, CODE_X, 0, 1, BT_READ, false},
		{0xffff, CODE_XR, 0, 1, BT_READ, true},
		{0xffff, CODE_XR, 0, 1, BT_WRITE, false},
		{0xffff, DATA_RW | X86_SEG_UNUSABLE, 0, 1, BT_READ, false},
		{0xffff, DATA_RW & ~X86_SEG_P, 0, 1, BT_READ, false},
	};
	struct bt_cpu *c = rig_new(1);

	(void)state;
	for (unsigned i = 0; i < ARRAY_LEN(t); i++)
		for (unsigned s = 0; s < 2; s++) {
			unsigned seg = s ? X86_SS : X86_DS;

			c->seg[seg] = (struct x86_seg){
				.base = 0xfff00000, .limit = t[i].limit, .attr = t[i].attr};
			expect(la_of(c, seg, t[i].ea, t[i].n, t[i].access),
			       t[i].ok ? RIG_OK
			       : s     ? X86_SS_FAULT
				       : X86_GP,
			       0);
			if (t[i].ok)
				assert_int_equal(found_la, (uint32_t)(0xfff00000 + t[i].ea));
		}
	/* Real mode looks at limits only. */
	c->cr0 = 0;
	rig_mode(c);
	c->seg[X86_CS] = (struct x86_seg){.base = 0xf0000, .limit = 0xffff, .attr = CODE_X};
	expect(la_of(c, X86_CS, 0x10, 2, BT_WRITE), RIG_OK, 0);
	assert_int_equal(found_la, 0xf0010);
	expect(la_of(c, X86_CS, 0xffff, 2, BT_READ), X86_GP, 0);
	c->seg[X86_CS].limit = 0xffffffff; /* "unreal" */
	expect(la_of(c, X86_CS, 0x200000, 2, BT_READ), RIG_OK, 0);
	rig_free();
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(without_paging_memory_is_where_it_is),
		cmocka_unit_test(the_a20_gate_folds_the_second_mebibyte),
		cmocka_unit_test(an_access_across_pages_that_faults_writes_nothing),
		cmocka_unit_test(devices_rom_and_nothing_are_reached_as_a_vcpu_reaches_them),
		cmocka_unit_test(addresses_that_are_not_canonical_are_gp_or_ss),
		cmocka_unit_test(alignment_is_checked_for_users_who_asked),
		cmocka_unit_test(data_breakpoints_are_hit_by_bytes_that_overlap),
		cmocka_unit_test(a_cr3_write_flushes_all_but_global_pages),
		cmocka_unit_test(address_spaces_with_pcids_are_remembered),
		cmocka_unit_test(invpcid_flushes_what_its_type_says),
		cmocka_unit_test(invlpg_anywhere_in_a_large_page_drops_all_its_parts),
		cmocka_unit_test(a_change_of_paging_bits_makes_entries_anew),
		cmocka_unit_test(smap_is_lifted_by_ac_and_for_explicit_accesses_only),
		cmocka_unit_test(each_privilege_has_entries_of_its_own),
		cmocka_unit_test(fetches_have_permissions_and_a_generation),
		cmocka_unit_test(a_change_of_the_map_is_seen_when_it_is_attended_to),
		cmocka_unit_test(the_dirty_log_misses_no_store_of_a_vcpu),
		cmocka_unit_test(a_read_modify_write_is_in_place_or_bounced),
		cmocka_unit_test(effective_addresses_wrap_at_their_size),
		cmocka_unit_test(segments_have_limits_and_types),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
