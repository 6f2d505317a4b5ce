/* Code pages: writes to decoded code are noticed, whoever makes them. */
#include <sched.h>

#include "bt_rig.h"

#define RW   X86_PTE_RW
#define CODE UINT64_C(0x200000) /* physical, a page that holds code */

/* As the decoder does: marks 16 bytes at @pa. */
static struct bt_code_page *mark(struct bt_cpu *c, gpa_t pa, uint32_t *version, bool *settled)
{
	struct bt_code_page *p = bt_code_mark(c, pa, 16, version, settled);

	assert_non_null(p);
	assert_int_equal(atomic_load(&p->version), *version);
	return p;
}

static void attend(struct bt_cpu *c)
{
	mmu_attend(c, atomic_exchange(&c->attention, 0));
}

static void only_ram_and_rom_hold_code(void **state)
{
	struct bt_cpu *c = rig_new(1);
	uint32_t v;
	bool s;

	(void)state;
	assert_null(bt_code_mark(c, RIG_DEV, 4, &v, &s));
	assert_null(bt_code_mark(c, RIG_HOLE, 4, &v, &s));
	assert_non_null(bt_code_mark(c, RIG_ROM, 4, &v, &s));
	rig_free();
}

static void a_store_to_a_marked_line_raises_the_version(void **state)
{
	struct bt_cpu *c = rig_new(1);
	struct bt_code_page *p;
	struct bt_bounce b;
	uint8_t block[200] = {0};
	uint32_t v;
	bool s;

	(void)state;
	bt_st64(c, CODE, 1); /* has its write tag before */
	p = mark(c, CODE + 0x100, &v, &s);
	assert_true(s);
	bt_st64(c, CODE + 0xf8, 1);
	bt_st64(c, CODE + 0x140, 1);
	bt_st_block(c, CODE + 0x140, block, 200);
	assert_int_equal(atomic_load(&p->version), v);
	bt_st8(c, CODE + 0x13f, 1);
	assert_int_not_equal(atomic_load(&p->version), v);
	mark(c, CODE + 0x100, &v, &s);
	bt_st_block(c, CODE + 0x90, block, 200);
	assert_int_not_equal(atomic_load(&p->version), v);
	mark(c, CODE + 0x100, &v, &s);
	*(uint8_t *)bt_get(c, CODE + 0x100, 1, BT_RMW, true, &b) = 1;
	bt_put(c, &b, false);
	assert_int_equal(atomic_load(&p->version), v);
	*(uint8_t *)bt_get(c, CODE + 0x100, 1, BT_RMW, true, &b) = 1;
	bt_put(c, &b, true);
	assert_int_not_equal(atomic_load(&p->version), v);
	mark(c, CODE, &v, &s);
	bt_st32(c, CODE - 2, 5); /* its last two bytes */
	assert_int_not_equal(atomic_load(&p->version), v);
	mark(c, CODE, &v, &s);
	(void)bt_get(c, CODE - 2, 4, BT_RMW, true, &b);
	bt_put(c, &b, true);
	assert_int_not_equal(atomic_load(&p->version), v);
	mark(c, CODE, &v, &s);
	bt_st_sys(c, CODE + 8, 5, 8);
	assert_int_not_equal(atomic_load(&p->version), v);
	rig_free();
}

static void code_written_through_another_address_is_noticed(void **state)
{
	struct bt_cpu *c = rig_new(1);
	struct bt_code_page *p;
	uint32_t v;
	bool s;

	(void)state;
	rig_long(c);
	rig_put(c, 0x400000, 12, CODE);
	rig_put(c, 0x500000, 12, CODE | RW);
	bt_st64(c, 0x500000, 1);
	assert_non_null(bt_write_ptr(c, 0x500000, 8));
	p = mark(c, CODE, &v, &s);
	assert_null(bt_write_ptr(c, 0x500000, 8));
	bt_st64(c, 0x500000, 2);
	assert_int_not_equal(atomic_load(&p->version), v);
	rig_free();
}

static void a_page_whose_code_is_dead_is_plain_data_again(void **state)
{
	struct bt_cpu *c = rig_new(1);
	uint32_t v;
	bool s;

	(void)state;
	mark(c, CODE, &v, &s);
	bt_st64(c, CODE + 0x800, 1);
	assert_null(bt_write_ptr(c, CODE, 8));
	bt_st64(c, CODE, 1);
	assert_non_null(bt_write_ptr(c, CODE, 8));
	assert_non_null(bt_read_ptr(c, CODE, 8));
	rig_free();
}

static void dma_and_loaders_raise_the_version(void **state)
{
	struct bt_cpu *c = rig_new(1);
	struct bt_code_page *p, *rom;
	struct iovec iov;
	uint32_t v;
	bool s;

	(void)state;
	p = mark(c, CODE + 0x40, &v, &s);
	assert_int_equal(as_write(&rig.vm->mem, CODE, "x", 1), IO_OK);
	assert_int_equal(atomic_load(&p->version), v);
	assert_int_equal(as_fill(&rig.vm->mem, CODE - 0x3000, 0, 0x3041), IO_OK);
	assert_int_not_equal(atomic_load(&p->version), v);
	mark(c, CODE + 0x40, &v, &s);
	assert_int_equal(as_iov(&rig.vm->mem, CODE + 0x44, 4, true, &iov, 1), 1);
	assert_int_not_equal(atomic_load(&p->version), v);
	rom = mark(c, RIG_ROM, &v, &s);
	assert_int_equal(as_load(&rig.vm->mem, RIG_ROM, "xyz", 3), IO_OK);
	assert_int_not_equal(atomic_load(&rom->version), v);
	mark(c, RIG_ROM, &v, &s);
	bt_st32(c, RIG_ROM, 1); /* changes nothing */
	assert_int_equal(atomic_load(&rom->version), v);
	rig_free();
}

static void a_store_into_the_running_block_ends_it(void **state)
{
	struct bt_cpu *c = rig_new(1);
	struct insn block[4] = {{.len = 1}};
	uint32_t v;
	bool s;

	(void)state;
	mark(c, CODE, &v, &s);
	c->cur = block + 1;
	c->end = block + 4;
	bt_st8(c, CODE + 0x40, 1);
	assert_ptr_equal(c->end, block + 4);
	bt_st8(c, CODE + 8, 1);
	assert_ptr_equal(c->end, block + 2);
	rig_free();
}

static void a_first_mark_is_settled_when_all_cpus_have_dropped_their_tags(void **state)
{
	struct bt_cpu *c = rig_new(3), *other = rig.cpu[1];
	struct bt_code_page *p;
	uint32_t v;
	bool s;

	(void)state;
	mmu_idle(rig.cpu[2], true);
	bt_st64(other, CODE, 1);
	p = mark(c, CODE, &v, &s);
	assert_false(s);
	assert_true(atomic_load(&other->attention) & BT_ATTN_CODE);
	bt_st64(other, CODE, 2); /* goes unnoticed, which is why it is not settled */
	assert_int_equal(atomic_load(&p->version), v);
	attend(other);
	mark(c, CODE, &v, &s);
	assert_true(s);
	bt_st64(other, CODE, 3);
	assert_int_not_equal(atomic_load(&p->version), v);
	/* One that sleeps has tags, too, but looks before it uses them. */
	mmu_idle(rig.cpu[2], false);
	attend(rig.cpu[2]);
	bt_st64(rig.cpu[2], CODE, 1);
	mmu_idle(rig.cpu[2], true);
	mark(c, CODE, &v, &s);
	attend(other);
	mark(c, CODE, &v, &s);
	assert_true(s);
	mmu_idle(rig.cpu[2], false);
	bt_st64(rig.cpu[2], CODE, 1);
	assert_int_not_equal(atomic_load(&p->version), v);
	rig_free();
}

static void more_marks_than_the_ring_holds_are_all_served(void **state)
{
	enum { PAGES = 3 * CODE_RING };
	struct bt_cpu *c = rig_new(2), *other = rig.cpu[1];
	static uint32_t v[PAGES];
	unsigned fast = 0;
	bool s;

	(void)state;
	for (unsigned i = 0; i < PAGES; i++)
		bt_st64(other, CODE + i * GUEST_PAGE, 1);
	for (unsigned i = 0; i < PAGES; i++) {
		fast += bt_write_ptr(other, CODE + i * GUEST_PAGE, 8) != NULL;
		mark(c, CODE + i * GUEST_PAGE, &v[i], &s);
	}
	assert_int_equal(fast, PAGES);
	attend(other);
	for (unsigned i = 0; i < PAGES; i++) {
		assert_null(bt_write_ptr(other, CODE + i * GUEST_PAGE, 8));
		bt_st64(other, CODE + i * GUEST_PAGE, 2);
		struct bt_code_page *p = mark(c, CODE + i * GUEST_PAGE, &v[i], &s);
		assert_int_equal(atomic_load(&p->version), v[i]);
		assert_int_not_equal(v[i], 0);
	}
	rig_free();
}

/*
 * One CPU writes code and then a flag; another, that has seen the flag, must not run older code.
 * "Code" is a number, running a block gives the number that was decoded.
 */
#define FLAG  UINT64_C(0x300000)
#define COUNT 300000u

static _Atomic bool done;

static void *writer(void *arg)
{
	struct bt_cpu *c = arg;

	for (uint64_t i = 1; i <= COUNT; i++) {
		bt_st64(c, CODE + i % 2 * 0x100, i);
		bt_st64(c, CODE + 0x800, i); /* data beside it */
		bt_st64(c, FLAG + i % 2 * 8, i);
		if (atomic_load_explicit(&c->attention, memory_order_relaxed))
			attend(c);
		if (i % 1000 == 0) {
			mmu_idle(c, true);
			sched_yield();
			mmu_idle(c, false);
		}
	}
	mmu_idle(c, true);
	atomic_store(&done, true);
	return NULL;
}

struct block {
	struct bt_code_page *page; /* NULL: not kept */
	uint32_t version;
	uint64_t code;
};

BT_GUEST_RACES static uint64_t decode(gpa_t pa)
{
	return *(volatile uint64_t *)(void *)(rig.ram->host + pa);
}

static uint64_t run_block(struct bt_cpu *c, struct block *b, gpa_t pa, unsigned *kept)
{
	struct bt_code_page *p;
	uint32_t v;
	uint64_t code;
	bool settled;

	if (b->page && atomic_load(&b->page->version) == b->version) {
		++*kept;
		return b->code;
	}
	p = bt_code_mark(c, pa, 16, &v, &settled);
	code = decode(pa);
	*b = (struct block){settled ? p : NULL, v, code};
	return code;
}

static void a_cpu_that_saw_the_flag_runs_the_new_code(void **state)
{
	struct bt_cpu *c = rig_new(2);
	struct block b[2] = {{0}};
	unsigned kept = 0, runs = 0;
	pthread_t t;

	(void)state;
	atomic_store(&done, false);
	assert_int_equal(pthread_create(&t, NULL, writer, rig.cpu[1]), 0);
	for (bool last = false; !last; runs++) {
		last = atomic_load(&done);
		for (unsigned k = 0; k < 2; k++) {
			uint64_t flag = bt_ld64(c, FLAG + k * 8);
			uint64_t code = run_block(c, &b[k], CODE + k * 0x100, &kept);

			if (code < flag)
				fail_msg("ran code %llu after flag %llu", (unsigned long long)code,
					 (unsigned long long)flag);
		}
		if (atomic_load_explicit(&c->attention, memory_order_relaxed))
			attend(c);
	}
	pthread_join(t, NULL);
	print_message("%u runs, %u of them of a block that was kept\n", 2 * runs, kept);
	assert_int_equal(run_block(c, &b[0], CODE, &kept), COUNT - COUNT % 2);
	rig_free();
}

/* DMA in place of the writing CPU. */
static void *dma(void *arg)
{
	(void)arg;
	for (uint64_t i = 1; i <= COUNT / 4; i++) {
		bool ok = as_write(&rig.vm->mem, CODE, &i, 8) == IO_OK &&
			  as_write(&rig.vm->mem, FLAG, &i, 8) == IO_OK;

		if (!ok)
			break;
	}
	atomic_store(&done, true);
	return NULL;
}

static void a_cpu_that_saw_the_flag_runs_code_that_dma_brought(void **state)
{
	struct bt_cpu *c = rig_new(1);
	struct block b = {0};
	unsigned kept = 0;
	pthread_t t;

	(void)state;
	atomic_store(&done, false);
	assert_int_equal(pthread_create(&t, NULL, dma, NULL), 0);
	for (bool last = false; !last;) {
		last = atomic_load(&done);
		uint64_t flag = bt_ld64(c, FLAG);

		assert_true(run_block(c, &b, CODE, &kept) >= flag);
	}
	pthread_join(t, NULL);
	assert_int_equal(run_block(c, &b, CODE, &kept), COUNT / 4);
	rig_free();
}

/*
 * A store and a mark of its line at the same time, on a page that has another mark, so that the
 * store looks at the lines: the store finds the mark, or the decoder finds the new bytes.
 */
#define ROUNDS 100000u

static _Atomic unsigned arrived;

static void meet(unsigned n)
{
	atomic_fetch_add(&arrived, 1);
	for (unsigned spin = 0; atomic_load(&arrived) < 2 * n; spin++)
		if (spin % 1000 == 999)
			sched_yield();
}

/* This thread to the @nth CPU that the process may use, if there are so many. */
static void settle_on(unsigned nth)
{
	cpu_set_t may, one;

	if (sched_getaffinity(0, sizeof(may), &may))
		return;
	for (unsigned i = 0; i < CPU_SETSIZE; i++)
		if (CPU_ISSET(i, &may) && !nth--) {
			CPU_ZERO(&one);
			CPU_SET(i, &one);
			(void)sched_setaffinity(0, sizeof(one), &one);
			return;
		}
}

static void *store_each_round(void *arg)
{
	struct bt_cpu *c = arg;

	settle_on(1);
	for (unsigned i = 1; i <= ROUNDS; i++) {
		meet(3 * i - 2);
		attend(c);
		meet(3 * i - 1);
		for (unsigned wait = i / 64 % 64; wait; wait--)
			__asm__ volatile("" ::: "memory");
		bt_st64(c, CODE + 0x100, i);
		meet(3 * i);
	}
	mmu_idle(c, true);
	return NULL;
}

static void of_a_store_and_a_mark_at_once_one_sees_the_other(void **state)
{
	struct bt_cpu *c = rig_new(2);
	unsigned first = 0, kept = 0;
	pthread_t t;

	(void)state;
	atomic_store(&arrived, 0);
	cpu_set_t before;
	sched_getaffinity(0, sizeof(before), &before);
	assert_int_equal(pthread_create(&t, NULL, store_each_round, rig.cpu[1]), 0);
	settle_on(0);
	for (unsigned i = 1; i <= ROUNDS; i++) {
		struct bt_code_page *p;
		uint64_t code;
		uint32_t v;
		bool s;

		mark(c, CODE, &v, &s);
		meet(3 * i - 2);
		meet(3 * i - 1);
		for (unsigned wait = i % 64; wait; wait--)
			__asm__ volatile("" ::: "memory");
		p = bt_code_mark(c, CODE + 0x100, 16, &v, &s);
		code = decode(CODE + 0x100);
		meet(3 * i);
		first += code != i;
		kept += s; /* not where the store took the mark away at once */
		if (s && code != i && atomic_load(&p->version) == v)
			fail_msg("round %u: the store was not noticed", i);
		bt_code_written(&rig.bvm, rig.ram, CODE, GUEST_PAGE);
	}
	pthread_join(t, NULL);
	sched_setaffinity(0, sizeof(before), &before);
	assert_true(kept > ROUNDS / 10);
	print_message("the decoder was first in %u of %u rounds\n", first, ROUNDS);
	rig_free();
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(only_ram_and_rom_hold_code),
		cmocka_unit_test(a_store_to_a_marked_line_raises_the_version),
		cmocka_unit_test(code_written_through_another_address_is_noticed),
		cmocka_unit_test(a_page_whose_code_is_dead_is_plain_data_again),
		cmocka_unit_test(dma_and_loaders_raise_the_version),
		cmocka_unit_test(a_store_into_the_running_block_ends_it),
		cmocka_unit_test(a_first_mark_is_settled_when_all_cpus_have_dropped_their_tags),
		cmocka_unit_test(more_marks_than_the_ring_holds_are_all_served),
		cmocka_unit_test(of_a_store_and_a_mark_at_once_one_sees_the_other),
		cmocka_unit_test(a_cpu_that_saw_the_flag_runs_the_new_code),
		cmocka_unit_test(a_cpu_that_saw_the_flag_runs_code_that_dma_brought),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
