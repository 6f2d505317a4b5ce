/*
 * The TLB against the tables: whatever a guest changes and however it flushes, as long as it
 * flushes as the manual asks (SDM 3A §4.10.4), accesses, fetches and caches by mmu_generation agree
 * with a walk.
 */
#include "bt_rig.h"

#define RW	X86_PTE_RW
#define US	X86_PTE_US
#define SPACES	11u /* more than are remembered */
#define USERS	24u /* pages of each space */
#define KERNELS 12u /* global pages, the same in all */
#define KERNEL	UINT64_C(0xffff888000000000)
#define DATA	0x200000u /* where the pages are that get mapped: every word has its address */

struct space {
	gpa_t root;
	bool dirty; /* its next CR3 write must not keep */
};

static struct space space[SPACES];
static unsigned current;
static uint64_t seed = 88172645463325252u;

static unsigned rnd(unsigned n)
{
	seed ^= seed << 13;
	seed ^= seed >> 7;
	seed ^= seed << 17;
	return (unsigned)(seed >> 20) % n;
}

/* Some share an index in the TLB; the last third are in large pages. */
static uint64_t user_la(unsigned i)
{
	if (i < USERS * 2 / 3)
		return (i % 4) * BT_TLB_ENTRIES * GUEST_PAGE * 8 + 0x40000000 + i / 4 * 0x1000;
	return 0x80000000 + i * UINT64_C(0x200000);
}

static bool is_large(bool kernel, unsigned i)
{
	return kernel ? i >= KERNELS / 2 : i >= USERS * 2 / 3;
}

static uint64_t la_of(bool kernel, unsigned i)
{
	if (!kernel)
		return user_la(i);
	return KERNEL + (is_large(true, i) ? (i + 1) * UINT64_C(0x200000) : i * UINT64_C(0x1000));
}

/* A new translation, or none. */
static void change(gpa_t root, bool kernel, unsigned i)
{
	bool large = is_large(kernel, i);
	uint64_t *e = rig_entry(root, 39, la_of(kernel, i), large ? 21 : 12);
	uint64_t pa = large ? DATA + rnd(3) * 0x200000 : DATA + rnd(512) * 0x1000;

	*e = rnd(8) ? pa | X86_PTE_P | (rnd(4) ? RW : 0) | US | (large ? X86_PTE_PS : 0) |
			      (kernel ? PTE_G : 0)
		    : 0;
}

static void load_cr3(struct bt_cpu *c, unsigned s, bool keep)
{
	c->cr3 = space[s].root | s;
	mmu_cr3_written(c, keep && !space[s].dirty);
	rig_mode(c);
	space[s].dirty = false;
	current = s;
}

static void toggle_pge(struct bt_cpu *c)
{
	c->cr4 ^= X86_CR4_PGE;
	rig_mode(c);
	c->cr4 ^= X86_CR4_PGE;
	rig_mode(c);
	for (unsigned i = 0; i < SPACES; i++)
		space[i].dirty = false;
}

static uint64_t inside(bool kernel, unsigned i)
{
	/* Few parts of large pages, so that they are met again. */
	return la_of(kernel, i) + rnd(0x1000) + (is_large(kernel, i) ? rnd(4) * 0x7d000 : 0);
}

static void change_global(struct bt_cpu *c)
{
	unsigned i = rnd(KERNELS);

	change(space[0].root, true, i);
	switch (rnd(40)) {
	case 0: mmu_invpcid(c, 2, 0, 0); break;
	case 1: toggle_pge(c); break;
	default: mmu_flush_page(c, inside(true, i)); break;
	}
}

static void change_user(struct bt_cpu *c)
{
	unsigned s = rnd(3) ? current : rnd(SPACES), i = rnd(USERS);

	change(space[s].root, false, i);
	switch (rnd(50)) {
	case 0: mmu_invpcid(c, 2, 0, 0); break;
	case 1: mmu_invpcid(c, 3, 0, 0); break;
	case 2: toggle_pge(c); break;
	default:
		if (rnd(4) == 0)
			mmu_invpcid(c, 0, s, inside(false, i));
		else if (rnd(4) == 0)
			mmu_invpcid(c, 1, s, 0);
		else if (s != current)
			space[s].dirty = true;
		else if (rnd(2))
			mmu_flush_page(c, inside(false, i));
		else
			load_cr3(c, s, false);
	}
}

/* What a cache by linear address would hold. */
static struct {
	uint64_t gen, la;
	gpa_t pa;
} cache[4096];

static void check_fetch(struct bt_cpu *c, uint64_t la, bool there, gpa_t want)
{
	uint64_t gen = mmu_generation(c);
	unsigned h = (unsigned)((gen * 31 + (la >> 12)) % ARRAY_LEN(cache));
	const uint8_t *host;
	gpa_t pa = 0;

	if (cache[h].gen == gen && cache[h].la == (la & PAGE_MASK)) {
		assert_true(there);
		assert_int_equal(cache[h].pa, want & PAGE_MASK);
	}
	struct fault f = TRY(c, bt_fetch(c, la, &pa, &host));
	assert_int_equal(f.vector, there ? RIG_OK : X86_PF);
	if (!there)
		return;
	assert_int_equal(pa, want);
	assert_ptr_equal(host, rig.ram->host + pa);
	cache[h].gen = gen;
	cache[h].la = la & PAGE_MASK;
	cache[h].pa = pa & PAGE_MASK;
}

static struct fault try_ld(struct bt_cpu *c, uint64_t la, uint64_t *got)
{
	return TRY(c, *got = bt_ld64(c, la));
}

static void check_access(struct bt_cpu *c)
{
	bool kernel = rnd(3) == 0, there;
	unsigned i = rnd(kernel ? KERNELS : USERS);
	uint64_t la = inside(kernel, i) & ~UINT64_C(7), got = 0;
	uint64_t entry = *rig_entry(space[current].root, 39, la, is_large(kernel, i) ? 21 : 12);
	gpa_t pa = 0;
	struct fault f;

	there = mmu_peek(c, la, &pa);
	switch (rnd(4)) {
	case 0: check_fetch(c, la, there, pa); return;
	case 1:
		f = TRY(c, bt_st64(c, la, pa));
		assert_int_equal(f.vector, there && (entry & RW) ? RIG_OK : X86_PF);
		return;
	default:
		f = try_ld(c, la, &got);
		assert_int_equal(f.vector, there ? RIG_OK : X86_PF);
		if (there)
			assert_int_equal(got, pa);
	}
}

static struct bt_cpu *world_new(void)
{
	struct bt_cpu *c = rig_new(1);

	rig_long(c);
	c->cr4 |= CR4_PCIDE;
	rig_mode(c);
	memset(space, 0, sizeof(space));
	memset(cache, 0, sizeof(cache));
	for (gpa_t pa = DATA; pa < RIG_RAM; pa += 8)
		*rig_u64(pa) = pa;
	for (unsigned s = 0; s < SPACES; s++) {
		space[s].root = rig_page();
		for (unsigned i = 0; i < USERS; i++)
			change(space[s].root, false, i);
	}
	for (unsigned i = 0; i < KERNELS; i++)
		change(space[0].root, true, i);
	for (unsigned s = 1; s < SPACES; s++)
		*rig_entry(space[s].root, 39, KERNEL, 39) =
			*rig_entry(space[0].root, 39, KERNEL, 39);
	assert_true(rig.next <= DATA);
	load_cr3(c, 0, false);
	return c;
}

static void a_guest_that_flushes_sees_its_tables(void **state)
{
	struct bt_cpu *c = world_new();

	(void)state;
	for (unsigned n = 0; n < 1000000; n++) {
		switch (rnd(40)) {
		case 0: change_global(c); break;
		case 1:
		case 2: change_user(c); break;
		case 3:
		case 4: load_cr3(c, rnd(SPACES), rnd(8)); break;
		case 5:
			c->mode.cpl = c->mode.cpl ? 0 : 3;
			rig_mode(c);
			break;
		case 6:
			if (!rnd(100))
				mmu_attend(c, BT_ATTN_FLUSH);
			break;
		default: check_access(c); break;
		}
	}
	rig_free();
}

/* Remembering must be worth something: after a round through six spaces nothing is walked anew. */
static void a_round_of_address_spaces_finds_all_as_it_was(void **state)
{
	struct bt_cpu *c = world_new();
	uint64_t got;

	(void)state;
	for (unsigned s = 0; s < 6; s++) {
		load_cr3(c, s, true);
		for (unsigned i = 0; i < 4; i++)
			(void)try_ld(c, user_la(i * 4), &got);
	}
	for (unsigned s = 0; s < 6; s++) {
		load_cr3(c, s, true);
		for (unsigned i = 0; i < 4; i++) {
			gpa_t pa;

			if (mmu_peek(c, user_la(i * 4), &pa))
				assert_non_null(bt_read_ptr(c, user_la(i * 4), 8));
		}
	}
	rig_free();
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(a_guest_that_flushes_sees_its_tables),
		cmocka_unit_test(a_round_of_address_spaces_finds_all_as_it_was),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
