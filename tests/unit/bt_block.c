/*
 * Decoded blocks: found again, dropped when code changes by whatever way, ended where they must;
 * rip and the count of instructions are exact.
 */
#include "unit.h"

#include "bt_exec_rig.h"

#define PAGE UINT64_C(0x500000) /* linear; the tests map it */

static struct bt_cpu *c;

static int fresh(void **state)
{
	(void)state;
	c = rig_new();
	rig_long_mode();
	c->gpr[X86_RSP] = RIG_STACK;
	return 0;
}

static int done(void **state)
{
	(void)state;
	rig_free();
	return 0;
}

/* Stores as a device does. */
static void dma(gpa_t pa, const char *bytes, size_t n)
{
	assert_int_equal(as_write(&rig.vm->mem, pa, bytes, n), IO_OK);
}
#define DMA(pa, s) dma(pa, s, sizeof(s) - 1)

static struct bt_block *get(uint64_t rip)
{
	struct bt_block *b;
	sigjmp_buf out;

	c->out = &out;
	c->rip = rip;
	if (sigsetjmp(out, 0))
		return NULL;
	b = block_get(c);
	return b;
}

static void a_block_ends_at_a_branch_and_is_found_again(void **state)
{
	struct bt_block *b;

	(void)state;
	DMA(RIG_CODE, "\xff\xc0\x90\xff\xc3\xeb\xf9\xff\xc1");
	b = get(RIG_CODE);
	assert_int_equal(b->n, 4);
	assert_int_equal(b->bytes, 7);
	assert_true(b->ends);
	assert_ptr_equal(get(RIG_CODE), b);
	assert_ptr_not_equal(get(RIG_CODE + 2), b);
	/* By another linear address. */
	rig_map(PAGE, RIG_CODE, X86_PTE_P | X86_PTE_RW);
	assert_ptr_equal(get(PAGE), b);
	block_flush(c);
	b = get(RIG_CODE);
	assert_int_equal(b->n, 4);
	block_run(c, b);
	assert_int_equal(c->rip, RIG_CODE);
	assert_int_equal(c->gpr[X86_RAX], 1);
	assert_int_equal(c->gpr[X86_RBX], 1);
}

static void the_same_bytes_mean_another_thing_in_another_mode(void **state)
{
	(void)state;
	DMA(RIG_CODE, "\x48\xff\xc0\xeb\xfb"); /* inc rax, or dec eax and inc eax */
	c->gpr[X86_RAX] = 5;
	block_run(c, get(RIG_CODE));
	assert_int_equal(c->gpr[X86_RAX], 6);
	assert_int_equal(c->instructions, 2);
	rig_plain_mode(4, UINT32_MAX);
	block_run(c, get(RIG_CODE));
	assert_int_equal(c->gpr[X86_RAX], 6);
	assert_int_equal(c->instructions, 5);
}

static void a_store_into_the_block_that_runs_is_seen_by_the_next_instruction(void **state)
{
	(void)state;
	for (unsigned k = 0; k < 3; k++) {
		c->gpr[X86_RDI] = RIG_CODE + 5;
		c->gpr[X86_RAX] = c->gpr[X86_RCX] = c->gpr[X86_RBX] = 0;
		assert_int_equal(RIG_EXEC("\xc6\x07\xc1\x90\xff\xc0"),
				 RIG_OK); /* inc ecx instead */
		assert_int_equal(c->gpr[X86_RAX], 0);
		assert_int_equal(c->gpr[X86_RCX], 1);
	}
	/* The last instruction of a block: a jump that is made longer. */
	c->gpr[X86_RDI] = RIG_CODE + 4;
	DMA(RIG_CODE, "\xc6\x07\x02\xeb\x00\xff\xc3\xeb\x00");
	c->rip = RIG_CODE;
	c->gpr[X86_RBX] = 0;
	assert_int_equal(rig_run(RIG_CODE + 9, 10), RIG_OK);
	assert_int_equal(c->gpr[X86_RBX], 0);
}

static void stores_of_others_end_blocks(void **state)
{
	struct bt_block *b;

	(void)state;
	DMA(RIG_CODE, "\xff\xc0\xeb\xfc");
	b = get(RIG_CODE);
	block_run(c, b);
	DMA(RIG_CODE + 1, "\xc3"); /* a device */
	block_run(c, get(RIG_CODE));
	assert_int_equal(c->gpr[X86_RAX], 1);
	assert_int_equal(c->gpr[X86_RBX], 1);
	bt_st8(c, RIG_CODE + 1, 0xc1); /* this CPU */
	block_run(c, get(RIG_CODE));
	assert_int_equal(c->gpr[X86_RCX], 1);
	/* Data beside the code, in another line, leaves the block alone. */
	b = get(RIG_CODE);
	bt_st64(c, RIG_CODE + 256, 0);
	assert_ptr_equal(get(RIG_CODE), b);
}

static void a_string_store_into_code_is_seen(void **state)
{
	(void)state;
	DMA(RIG_CODE + 0x100, "\xff\xc0\xff\xc0\xeb\x00");
	block_run(c, get(RIG_CODE + 0x100));
	assert_int_equal(c->gpr[X86_RAX], 2);
	memcpy(rig_at(RIG_DATA), "\xff\xc3\xff\xc3", 4);
	c->gpr[X86_RSI] = RIG_DATA;
	c->gpr[X86_RDI] = RIG_CODE + 0x100;
	c->gpr[X86_RCX] = 4;
	assert_int_equal(RIG_EXEC("\xf3\xa4"), RIG_OK);
	block_run(c, get(RIG_CODE + 0x100));
	assert_int_equal(c->gpr[X86_RBX], 2);
}

static void an_instruction_across_pages_depends_on_both(void **state)
{
	struct bt_block *b;

	(void)state;
	rig_map(PAGE, 0x600000, X86_PTE_P | X86_PTE_RW);
	rig_map(PAGE + 4096, 0x602000, X86_PTE_P | X86_PTE_RW);
	rig_map(PAGE + 8192, 0x604000, X86_PTE_P | X86_PTE_RW);
	DMA(0x600ffb, "\x90\x90\x48\xc7\xc0"); /* nop; nop; mov rax, imm32 */
	DMA(0x602000, "\x11\0\0\0\xeb\x00");
	DMA(0x604000, "\x22\0\0\0\xeb\x00");
	b = get(PAGE + 4091);
	assert_int_equal(b->n, 2); /* what lies before is a block of its own */
	block_run(c, b);
	assert_int_equal(c->rip, PAGE + 4093);
	for (unsigned k = 0; k < 2; k++) {
		b = get(PAGE + 4093);
		assert_int_equal(b->n, 1);
		assert_true(b->crosses);
		block_run(c, b);
		assert_int_equal(c->gpr[X86_RAX], 0x11);
		assert_int_equal(c->rip, PAGE + 4100);
	}
	assert_ptr_equal(get(PAGE + 4093), b);
	DMA(0x602000, "\x33"); /* the second page is written */
	block_run(c, get(PAGE + 4093));
	assert_int_equal(c->gpr[X86_RAX], 0x33);
	DMA(0x600fff, "\xc3"); /* the first */
	block_run(c, get(PAGE + 4093));
	assert_int_equal(c->gpr[X86_RBX], 0x33);
	rig_map(PAGE + 4096, 0x604000, X86_PTE_P | X86_PTE_RW); /* the second is another one */
	block_run(c, get(PAGE + 4093));
	assert_int_equal(c->gpr[X86_RBX], 0x22);
	rig_map(PAGE + 4096, 0, 0);
	assert_null(get(PAGE + 4093));
	assert_int_equal(c->event.vector, X86_PF);
	assert_int_equal(c->cr2, PAGE + 4096);
	assert_int_equal(c->rip, PAGE + 4093);
}

static void a_fetch_fault_comes_at_its_instruction(void **state)
{
	(void)state;
	rig_map(PAGE, 0x600000, X86_PTE_P | X86_PTE_RW);
	DMA(0x600ffc, "\xff\xc0\xff\xc3");
	c->rip = PAGE + 4092;
	assert_int_equal(rig_run(0, 5), X86_PF);
	assert_int_equal(c->rip, PAGE + 4096);
	assert_int_equal(c->cr2, PAGE + 4096);
	assert_int_equal(c->event.error, 0x10);
	assert_int_equal(c->gpr[X86_RAX], 1);
	assert_int_equal(c->gpr[X86_RBX], 1);
	assert_int_equal(c->instructions, 2);
}

static void bytes_that_are_no_instruction_raise_when_they_are_reached(void **state)
{
	static const char ud[] = "\xff\xc0\xf0\xff\xc0", /* LOCK of a register */
		long_one[] = "\xff\xc0\x66\x66\x66\x66\x66\x66\x66\x66\x66\x66\x66\x66\x66\x66\x90";

	(void)state;
	assert_int_equal(rig_exec(ud, sizeof(ud) - 1), X86_UD);
	assert_int_equal(c->rip, RIG_CODE + 2);
	assert_int_equal(c->gpr[X86_RAX], 1);
	assert_int_equal(rig_exec(long_one, sizeof(long_one) - 1), RIG_OK); /* 15 bytes */
	assert_int_equal(
		RIG_EXEC("\x66\x66\x66\x66\x66\x66\x66\x66\x66\x66\x66\x66\x66\x66\x66\x90"),
		X86_GP);
	assert_int_equal(c->rip, RIG_CODE);
	assert_int_equal(c->gpr[X86_RAX], 2);
}

static void rip_and_count_are_exact_when_an_instruction_faults(void **state)
{
	(void)state;
	c->gpr[X86_RBX] = PAGE;
	for (unsigned k = 0; k < 2; k++) {
		rig.plain = k;
		c->instructions = 0;
		assert_int_equal(RIG_EXEC("\x90\xff\xc0\x8b\x03\x90"), X86_PF); /* mov eax, [rbx] */
		assert_int_equal(c->rip, RIG_CODE + 3);
		assert_int_equal(c->cr2, PAGE);
		c->gpr[X86_RBX] = RIG_DATA;
		assert_int_equal(rig_run(RIG_CODE + 8, 5), RIG_OK);
		c->gpr[X86_RBX] = PAGE;
		assert_int_equal(c->instructions, 2 + 3);
	}
}

static void a_single_step_is_one_instruction(void **state)
{
	(void)state;
	DMA(RIG_CODE, "\xff\xc0\xff\xc0\xf3\xaa\xeb\x00");
	c->gpr[X86_RDI] = RIG_DATA;
	c->gpr[X86_RCX] = 3;
	assert_int_equal(get(RIG_CODE)->n, 3);
	c->mode.step = true;
	assert_int_equal(get(RIG_CODE)->n, 1);
	block_run(c, get(RIG_CODE));
	assert_int_equal(c->rip, RIG_CODE + 2);
	block_run(c, get(RIG_CODE + 4)); /* one element of a repetition */
	assert_int_equal(c->rip, RIG_CODE + 4);
	assert_int_equal(c->gpr[X86_RCX], 2);
	c->mode.step = false;
	assert_int_equal(get(RIG_CODE)->n, 3);
}

static void code_obeys_the_limit_of_cs(void **state)
{
	(void)state;
	rig_plain_mode(2, 0xffff);
	DMA(0x2000, "\x40\x40\xb8\x34\x12\xeb\x00");
	c->seg[X86_CS].limit = 0x2003;
	c->rip = 0x2000;
	assert_int_equal(rig_run(0, 5), X86_GP);
	assert_int_equal(c->rip, 0x2002); /* mov ax, imm16 does not fit */
	assert_int_equal(c->gpr[X86_RAX], 2);
	c->rip = 0x2004;
	assert_int_equal(rig_run(0, 5), X86_GP);
	c->seg[X86_CS].limit = 0xffff;
	c->rip = 0x2000;
	assert_int_equal(rig_run(0x2007, 5), RIG_OK);
	assert_int_equal(c->gpr[X86_RAX], 0x1234);
	c->seg[X86_CS].limit = 0x2003; /* there is a longer block now */
	c->rip = 0x2000;
	assert_int_equal(rig_run(0, 5), X86_GP);
	assert_int_equal(c->rip, 0x2002);
}

static void code_outside_ram_is_read_from_where_it_is(void **state)
{
	struct bt_block *b;

	(void)state;
	rig_map(PAGE, 0x70000000, X86_PTE_P | X86_PTE_RW); /* nothing is there: all ones */
	b = get(PAGE);
	assert_non_null(b);
	c->rip = PAGE;
	assert_int_equal(rig_run(0, 1), X86_UD); /* FF /7 */
	assert_int_equal(c->rip, PAGE);
}

static void a_full_cache_starts_anew(void **state)
{
	enum { PAGES = 256 };

	(void)state;
	for (unsigned n = 0; n < PAGES; n++)
		rig_map(PAGE + n * 4096, 0xc00000 + n * 4096, X86_PTE_P | X86_PTE_RW);
	memset(rig_at(0xc00000), 0x90, PAGES * 4096);
	DMA(0xc00000 + PAGES * 4096 - 2, "\xeb\x00");
	for (unsigned k = 0; k < 2; k++) {
		c->instructions = 0;
		c->rip = PAGE;
		rig_map(PAGE + PAGES * 4096, 0, 0);
		assert_int_equal(rig_run(PAGE + PAGES * 4096, 100000), RIG_OK);
		assert_int_equal(c->instructions, PAGES * 4096 - 1);
	}
}

static void blocks_run_on_until_somebody_wants_something(void **state)
{
	sigjmp_buf out;

	(void)state;
	DMA(RIG_CODE, "\x48\xff\xc0\x48\x39\xd8\x75\xf8\xf4"); /* inc rax; cmp rax, rbx; jne; hlt */
	c->gpr[X86_RBX] = 1000;
	c->out = &out;
	assert_int_equal(sigsetjmp(out, 0), 0);
	c->rip = RIG_CODE;
	while (c->mp_state == X86_MP_RUNNING) {
		if (atomic_load(&c->attention))
			mmu_attend(c, atomic_exchange(&c->attention, 0));
		block_run_on(c);
	}
	assert_int_equal(c->gpr[X86_RAX], 1000);
	assert_int_equal(c->instructions, 3001);
	assert_int_equal(c->rip, RIG_CODE + 9);
	/* With attention: one block. */
	c->mp_state = X86_MP_RUNNING;
	c->rip = RIG_CODE;
	atomic_store(&c->attention, BT_ATTN_IRQ);
	block_run_on(c);
	atomic_store(&c->attention, 0);
	assert_int_equal(c->gpr[X86_RAX], 1001);
}

#define T(test) cmocka_unit_test_setup_teardown(test, fresh, done)

int main(void)
{
	const struct CMUnitTest tests[] = {
		T(a_block_ends_at_a_branch_and_is_found_again),
		T(the_same_bytes_mean_another_thing_in_another_mode),
		T(a_store_into_the_block_that_runs_is_seen_by_the_next_instruction),
		T(stores_of_others_end_blocks),
		T(a_string_store_into_code_is_seen),
		T(an_instruction_across_pages_depends_on_both),
		T(a_fetch_fault_comes_at_its_instruction),
		T(bytes_that_are_no_instruction_raise_when_they_are_reached),
		T(rip_and_count_are_exact_when_an_instruction_faults),
		T(a_single_step_is_one_instruction),
		T(code_obeys_the_limit_of_cs),
		T(code_outside_ram_is_read_from_where_it_is),
		T(a_full_cache_starts_anew),
		T(blocks_run_on_until_somebody_wants_something),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
