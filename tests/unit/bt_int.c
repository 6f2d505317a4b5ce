/*
 * Integer instructions by the book: what cannot be compared with the host from a user's program.
 * 16- and 32-bit code, faults and what they leave alone, stacks, strings at edges, ports.
 */
#include "unit.h"

#include "bt_exec_rig.h"

#define HOLE UINT64_C(0x500000)		  /* nothing is mapped here */
#define WILD UINT64_C(0x8000000000000000) /* not canonical */

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

static void use_mode(unsigned code, uint32_t limit)
{
	rig_plain_mode(code, limit);
	c->gpr[X86_RSP] = 0x8000;
}

static uint64_t load(gpa_t pa, unsigned n)
{
	uint64_t v = 0;

	memcpy(&v, rig_at(pa), n);
	return v;
}

static void store(gpa_t pa, uint64_t v, unsigned n)
{
	memcpy(rig_at(pa), &v, n);
}

/* Code for 16-bit mode lies low. */
static unsigned exec_at(uint64_t at, const char *code, size_t n)
{
	memcpy(rig_at(at), code, n);
	memcpy(rig_at(at + n), "\xeb", 2);
	bt_code_written(&rig.bvm, rig.ram, at, n + 2);
	c->rip = at;
	return rig_run(at + n + 2, 10000);
}
#define EXEC_LOW(code) exec_at(0x1000, code, sizeof(code) - 1)

static void push_and_pop_move_rsp_only_when_nothing_fails(void **state)
{
	(void)state;
	for (unsigned k = 0; k < 2; k++) {
		rig.plain = k;
		c->gpr[X86_RSP] = HOLE + 8;
		assert_int_equal(RIG_EXEC("\x50"), X86_PF); /* push rax */
		assert_int_equal(c->event.error, 2);
		assert_int_equal(c->cr2, HOLE);
		assert_int_equal(c->gpr[X86_RSP], HOLE + 8);
		c->gpr[X86_RSP] = HOLE;
		assert_int_equal(RIG_EXEC("\x58"), X86_PF); /* pop rax */
		assert_int_equal(c->gpr[X86_RSP], HOLE);
		c->gpr[X86_RSP] = RIG_STACK;
		c->gpr[X86_RBX] = HOLE;
		assert_int_equal(RIG_EXEC("\x8f\x03"), X86_PF); /* pop [rbx] */
		assert_int_equal(c->gpr[X86_RSP], RIG_STACK);
		assert_int_equal(RIG_EXEC("\xff\x33"), X86_PF); /* push [rbx] */
		assert_int_equal(c->gpr[X86_RSP], RIG_STACK);
		assert_int_equal(RIG_EXEC("\xe8\0\0\0\0\x54\x5b"),
				 RIG_OK); /* call; push rsp; pop rbx */
		assert_int_equal(c->gpr[X86_RBX], RIG_STACK - 8);
		assert_int_equal(c->gpr[X86_RSP], RIG_STACK - 8);
		assert_int_equal(load(RIG_STACK - 8, 8), RIG_CODE + 5);
	}
}

static void pop_to_the_stack_addresses_with_the_new_rsp(void **state)
{
	(void)state;
	c->gpr[X86_RSP] = RIG_STACK - 32;
	store(RIG_STACK - 32, 0x1122334455667788, 8);
	assert_int_equal(RIG_EXEC("\x8f\x44\x24\x08"), RIG_OK); /* pop [rsp+8] */
	assert_int_equal(load(RIG_STACK - 16, 8), 0x1122334455667788);
	store(RIG_STACK - 24, 0x1234, 8);
	assert_int_equal(RIG_EXEC("\x5c"), RIG_OK); /* pop rsp */
	assert_int_equal(c->gpr[X86_RSP], 0x1234);
	c->gpr[X86_RSP] = RIG_STACK;
	assert_int_equal(RIG_EXEC("\x66\x6a\xfe\x66\x5b"), RIG_OK); /* push word -2; pop bx */
	assert_int_equal(c->gpr[X86_RSP], RIG_STACK);
	assert_int_equal((uint16_t)c->gpr[X86_RBX], 0xfffe);
}

static void addresses_that_are_not_canonical_are_ss_or_gp(void **state)
{
	(void)state;
	for (unsigned k = 0; k < 2; k++) {
		rig.plain = k;
		c->gpr[X86_RSP] = WILD;
		assert_int_equal(RIG_EXEC("\x50"), X86_SS_FAULT);
		assert_int_equal(RIG_EXEC("\x58"), X86_SS_FAULT);
		assert_int_equal(RIG_EXEC("\xc3"), X86_SS_FAULT);
		assert_int_equal(RIG_EXEC("\xe8\0\0\0\0"), X86_SS_FAULT);
		c->gpr[X86_RSP] = RIG_STACK - 8;
		store(RIG_STACK - 8, WILD, 8);
		assert_int_equal(RIG_EXEC("\xc3"), X86_GP);
		assert_int_equal(c->gpr[X86_RSP], RIG_STACK - 8);
		assert_int_equal(c->rip, RIG_CODE);
		c->gpr[X86_RBX] = WILD;
		assert_int_equal(RIG_EXEC("\xff\xd3"), X86_GP); /* call rbx */
		assert_int_equal(RIG_EXEC("\xff\xe3"), X86_GP); /* jmp rbx */
		assert_int_equal(RIG_EXEC("\x8b\x03"), X86_GP); /* mov eax, [rbx] */
		assert_int_equal(c->gpr[X86_RSP], RIG_STACK - 8);
	}
}

static void enter_builds_frames_of_every_depth(void **state)
{
	(void)state;
	c->gpr[X86_RBP] = RIG_STACK - 0x100;
	store(RIG_STACK - 0x108, 0xaaaa, 8);
	store(RIG_STACK - 0x110, 0xbbbb, 8);
	assert_int_equal(RIG_EXEC("\xc8\x20\x00\x03"), RIG_OK); /* enter 32, 3 */
	assert_int_equal(load(RIG_STACK - 8, 8), RIG_STACK - 0x100);
	assert_int_equal(load(RIG_STACK - 16, 8), 0xaaaa);
	assert_int_equal(load(RIG_STACK - 24, 8), 0xbbbb);
	assert_int_equal(load(RIG_STACK - 32, 8), RIG_STACK - 8);
	assert_int_equal(c->gpr[X86_RBP], RIG_STACK - 8);
	assert_int_equal(c->gpr[X86_RSP], RIG_STACK - 64);
	assert_int_equal(RIG_EXEC("\xc9"), RIG_OK); /* leave */
	assert_int_equal(c->gpr[X86_RSP], RIG_STACK);
	assert_int_equal(c->gpr[X86_RBP], RIG_STACK - 0x100);
	/* No room where rSP would end: nothing has moved. */
	c->gpr[X86_RSP] = HOLE + 0x1000 + 16;
	rig_map(HOLE + 0x1000, 0x600000, X86_PTE_P | X86_PTE_RW);
	assert_int_equal(RIG_EXEC("\xc8\x20\x00\x00"), X86_PF);
	assert_int_equal(c->gpr[X86_RSP], HOLE + 0x1000 + 16);
	assert_int_equal(c->gpr[X86_RBP], RIG_STACK - 0x100);
}

static void all_registers_are_pushed_and_popped(void **state)
{
	(void)state;
	use_mode(4, UINT32_MAX);
	for (unsigned r = 0; r < 8; r++)
		if (r != X86_RSP)
			c->gpr[r] = 0x10000 + r;
	assert_int_equal(EXEC_LOW("\x60"), RIG_OK);
	for (unsigned r = 0; r < 8; r++)
		assert_int_equal(load(0x8000 - 4 * (r + 1), 4),
				 r == X86_RSP ? 0x8000 : 0x10000 + r);
	assert_int_equal(c->gpr[X86_RSP], 0x7fe0);
	for (unsigned r = 0; r < 8; r++)
		store(0x7fe0 + 4 * r, 0x77770000 + r, 4);
	assert_int_equal(EXEC_LOW("\x66\x61\x61"), RIG_OK); /* popa, 16 bits, then 32 */
	assert_int_equal(c->gpr[X86_RSP], 0x7fe0 + 16 + 32);
	/* 16-bit stack pointers wrap. */
	use_mode(2, 0xffff);
	c->gpr[X86_RSP] = 0xabcd0004;
	c->gpr[X86_RDI] = 0x5678;
	assert_int_equal(EXEC_LOW("\x60"), RIG_OK);
	assert_int_equal(c->gpr[X86_RSP], 0xabcdfff4);
	assert_int_equal(load(0xfff4, 2), 0x5678);
}

/* SDM's own examples, and edges. */
static void decimal_adjustments_follow_the_manual(void **state)
{
	static const struct {
		const char *code;
		uint16_t ax;
		uint32_t flags;
		uint16_t want;
		uint32_t want_flags, mask;
	} t[] = {
		{"\x27", 0xae, 0, 0x14, FL_C | FL_A, FL_C | FL_A}, /* daa */
		{"\x27", 0x79, FL_A, 0x7f, FL_A, FL_C | FL_A},
		{"\x27", 0x9a, 0, 0x00, FL_C | FL_A | FL_Z, FL_C | FL_A | FL_Z},
		{"\x27", 0x10, FL_C, 0x70, FL_C, FL_C | FL_A},
		{"\x2f", 0xee, 0, 0x88, FL_C | FL_A, FL_C | FL_A}, /* das */
		{"\x2f", 0x03, FL_A, 0xfd, FL_C | FL_A | FL_S, FL_C | FL_A | FL_S},
		{"\x2f", 0x47, FL_A, 0x41, FL_A, FL_C | FL_A},
		{"\x37", 0x000f, 0, 0x0105, FL_C | FL_A, FL_C | FL_A}, /* aaa */
		{"\x37", 0x00fa, 0, 0x0200, FL_C | FL_A, FL_C | FL_A},
		{"\x37", 0x0305, 0, 0x0305, 0, FL_C | FL_A},
		{"\x3f", 0x0205, FL_A, 0x000f, FL_C | FL_A, FL_C | FL_A}, /* aas */
		{"\x3f", 0x020f, 0, 0x0109, FL_C | FL_A, FL_C | FL_A},
		{"\xd4\x0a", 0x003f, 0, 0x0603, 0, FL_Z | FL_S}, /* aam */
		{"\xd4\x10", 0x00f0, 0, 0x0f00, FL_Z, FL_Z | FL_S},
		{"\xd5\x0a", 0x0603, 0, 0x003f, 0, FL_Z | FL_S}, /* aad */
		{"\xd5\x07", 0x2501, 0, 0x0004, 0, FL_Z | FL_S},
	};

	(void)state;
	use_mode(4, UINT32_MAX);
	for (unsigned n = 0; n < ARRAY_LEN(t); n++) {
		c->gpr[X86_RAX] = 0x12340000 | t[n].ax;
		c->cc = CC_FLAGS;
		c->rflags = X86_FLAGS_FIXED | t[n].flags;
		assert_int_equal(exec_at(0x1000, t[n].code, strlen(t[n].code)), RIG_OK);
		assert_int_equal(c->gpr[X86_RAX], 0x12340000 | t[n].want);
		assert_int_equal(flags_arith(c) & t[n].mask, t[n].want_flags);
	}
	c->gpr[X86_RAX] = 7;
	assert_int_equal(EXEC_LOW("\xd4\x00"), X86_DE);
	assert_int_equal(c->gpr[X86_RAX], 7);
}

static void quotients_that_do_not_fit_are_divide_errors(void **state)
{
	(void)state;
	c->gpr[X86_RAX] = 0x8000000000000000;
	c->gpr[X86_RDX] = UINT64_MAX;
	c->gpr[X86_RCX] = UINT64_MAX;
	assert_int_equal(RIG_EXEC("\x48\xf7\xf9"), X86_DE); /* idiv rcx */
	c->gpr[X86_RAX] = 0;
	c->gpr[X86_RDX] = 0x8000000000000000;
	assert_int_equal(RIG_EXEC("\x48\xf7\xf9"), X86_DE);
	c->gpr[X86_RCX] = 0;
	assert_int_equal(RIG_EXEC("\x48\xf7\xf1"), X86_DE); /* div rcx */
	c->gpr[X86_RAX] = 0x0100;
	c->gpr[X86_RCX] = 1;
	assert_int_equal(RIG_EXEC("\xf6\xf1"), X86_DE); /* div cl */
	assert_int_equal(c->gpr[X86_RAX], 0x0100);
	assert_int_equal(c->rip, RIG_CODE);
}

static void loops_count_in_the_address_size(void **state)
{
	(void)state;
	c->gpr[X86_RCX] = 0x100000003;
	assert_int_equal(RIG_EXEC("\xff\xc0\x67\xe2\xfb"), RIG_OK); /* inc eax; loop (ecx) */
	assert_int_equal(c->gpr[X86_RAX], 3);
	assert_int_equal(c->gpr[X86_RCX], 0);
	c->gpr[X86_RCX] = 0x100000000;
	assert_int_equal(RIG_EXEC("\x67\xe3\x02\xff\xc0"), RIG_OK); /* jecxz over inc eax */
	assert_int_equal(c->gpr[X86_RAX], 3);
	assert_int_equal(RIG_EXEC("\xe3\x02\xff\xc0"), RIG_OK); /* jrcxz is not taken */
	assert_int_equal(c->gpr[X86_RAX], 4);
	use_mode(2, 0xffff);
	c->gpr[X86_RCX] = 0x70002;
	c->gpr[X86_RAX] = 0;
	assert_int_equal(EXEC_LOW("\x40\x31\xdb\xe1\xfb"), RIG_OK); /* inc ax; xor bx,bx; loope */
	assert_int_equal(c->gpr[X86_RAX], 2);
	assert_int_equal(c->gpr[X86_RCX], 0x70000);
	assert_int_equal(EXEC_LOW("\x66\xe9\x00\x00\x01\x00"), X86_GP); /* jmp beyond the limit */
	assert_int_equal(c->rip, 0x1000);
}

static void bounds_are_included(void **state)
{
	(void)state;
	use_mode(4, UINT32_MAX);
	store(0x3000, (uint64_t)5 << 32 | (uint32_t)-5, 8);
	c->gpr[X86_RBX] = 0x3000;
	for (int v = -7; v < 8; v++) {
		c->gpr[X86_RAX] = (uint32_t)v;
		assert_int_equal(EXEC_LOW("\x62\x03"), v >= -5 && v <= 5 ? RIG_OK : X86_BR);
	}
}

/* Strings. ----------------------------------------------------------------------------------- */

static void a_repeated_copy_stops_where_it_faults_and_goes_on_there(void **state)
{
	uint8_t *src = rig_at(RIG_DATA);

	(void)state;
	for (unsigned n = 0; n < 8192; n++)
		src[n] = (uint8_t)(n * 7 + n / 256);
	rig_map(HOLE, 0x600000, X86_PTE_P | X86_PTE_RW);
	c->gpr[X86_RSI] = RIG_DATA + 3;
	c->gpr[X86_RDI] = HOLE + 5;
	c->gpr[X86_RCX] = 8000;
	assert_int_equal(RIG_EXEC("\xf3\xa4"), X86_PF);
	assert_int_equal(c->event.error, 2);
	assert_int_equal(c->cr2, HOLE + 4096);
	assert_int_equal(c->rip, RIG_CODE);
	assert_int_equal(c->gpr[X86_RDI], HOLE + 4096);
	assert_int_equal(c->gpr[X86_RSI], RIG_DATA + 3 + 4091);
	assert_int_equal(c->gpr[X86_RCX], 8000 - 4091);
	rig_map(HOLE + 4096, 0x602000, X86_PTE_P | X86_PTE_RW);
	assert_int_equal(rig_exec_again(2), RIG_OK);
	assert_int_equal(c->gpr[X86_RCX], 0);
	assert_memory_equal(rig_at(0x600005), src + 3, 4091);
	assert_memory_equal(rig_at(0x602000), src + 3 + 4091, 8000 - 4091);
}

static void a_copy_onto_itself_repeats_its_beginning(void **state)
{
	uint8_t want[9000];
	uint8_t *at = rig_at(RIG_DATA);

	(void)state;
	for (unsigned d = 1; d < 40; d += 1 + d / 8) {
		for (unsigned n = 0; n < 9000; n++)
			at[n] = want[n] = (uint8_t)(n * 11);
		for (unsigned n = 0; n < 8500; n++)
			want[n + d] = want[n];
		c->gpr[X86_RSI] = RIG_DATA;
		c->gpr[X86_RDI] = RIG_DATA + d;
		c->gpr[X86_RCX] = 8500;
		assert_int_equal(RIG_EXEC("\xf3\xa4"), RIG_OK);
		assert_memory_equal(at, want, 9000);
	}
}

static void long_repetitions_let_others_look_in_between(void **state)
{
	struct bt_block *b;
	sigjmp_buf out;

	(void)state;
	for (uint64_t la = 0; la < 0x100000; la += GUEST_PAGE)
		rig_map(0x40000000 + la, 0xc00000, X86_PTE_P | X86_PTE_RW);
	c->gpr[X86_RDI] = 0x40000000;
	c->gpr[X86_RCX] = 0x100000;
	c->gpr[X86_RAX] = 0x77;
	assert_int_equal(RIG_EXEC("\xf3\xaa"), RIG_OK);
	assert_in_range(rig.blocks, 0x100000 / 0x11000, 20);
	assert_int_equal(c->gpr[X86_RDI], 0x40100000);
	/* Attention: after one page. */
	c->out = &out;
	assert_int_equal(sigsetjmp(out, 0), 0);
	c->gpr[X86_RDI] = 0x40000000;
	c->gpr[X86_RCX] = 0x10000;
	c->rip = RIG_CODE;
	b = block_get(c);
	atomic_store(&c->attention, BT_ATTN_IRQ);
	block_run(c, b);
	atomic_store(&c->attention, 0);
	assert_int_equal(c->rip, RIG_CODE);
	assert_in_range(c->gpr[X86_RCX], 0xf000, 0xffff);
	assert_int_equal(c->gpr[X86_RDI] - 0x40000000, 0x10000 - c->gpr[X86_RCX]);
}

static void sixteen_bit_strings_wrap_and_obey_limits(void **state)
{
	(void)state;
	use_mode(2, 0xffff);
	for (unsigned n = 0; n < 32; n++)
		*rig_at((0xfff0 + n) & 0xffff) = (uint8_t)(0x40 + n);
	c->gpr[X86_RSI] = 0x1230000 | 0xfff0;
	c->gpr[X86_RDI] = 0x4000;
	c->gpr[X86_RCX] = 32;
	assert_int_equal(EXEC_LOW("\xf3\xa4"), RIG_OK);
	for (unsigned n = 0; n < 32; n++)
		assert_int_equal(*rig_at(0x4000 + n), 0x40 + n);
	assert_int_equal(c->gpr[X86_RSI], 0x1230010);
	/* A limit in the middle. */
	c->seg[X86_ES].limit = 0x4010 - 1;
	c->gpr[X86_RSI] = 0x5000;
	c->gpr[X86_RDI] = 0x4001;
	c->gpr[X86_RCX] = 16;
	assert_int_equal(EXEC_LOW("\xf3\xa5"), X86_GP);
	assert_int_equal(c->gpr[X86_RCX], 16 - 7);
	assert_int_equal(c->gpr[X86_RDI], 0x4001 + 14);
	assert_int_equal(c->gpr[X86_RSI], 0x5000 + 14);
}

static void a_fault_in_a_comparison_leaves_the_flags_of_before(void **state)
{
	(void)state;
	rig_map(HOLE, 0x600000, X86_PTE_P | X86_PTE_RW);
	c->gpr[X86_RSI] = RIG_DATA;
	c->gpr[X86_RDI] = HOLE + 4090;
	c->gpr[X86_RCX] = 100;
	memset(rig_at(RIG_DATA), 0, 200);
	memset(rig_at(0x600000), 0, 4096);
	c->cc = CC_FLAGS;
	c->rflags = X86_FLAGS_FIXED | FL_C | FL_O | FL_S;
	assert_int_equal(RIG_EXEC("\xf3\xa6"), X86_PF);
	assert_int_equal(flags_arith(c), FL_C | FL_O | FL_S);
	assert_int_equal(c->gpr[X86_RCX], 94);
}

/* Exchanges. --------------------------------------------------------------------------------- */

static void double_width_exchanges_compare_all_of_it(void **state)
{
	(void)state;
	c->gpr[X86_RSI] = RIG_DATA;
	store(RIG_DATA, 0x1122334455667788, 8);
	store(RIG_DATA + 8, 0x99, 8);
	c->gpr[X86_RAX] = 0xffffffff55667788;
	c->gpr[X86_RDX] = 0x11223344;
	c->gpr[X86_RBX] = 0xaabbccdd;
	c->gpr[X86_RCX] = 0x12345678;
	assert_int_equal(RIG_EXEC("\xf0\x0f\xc7\x0e"), RIG_OK); /* lock cmpxchg8b [rsi] */
	assert_int_equal(flags_arith(c) & FL_Z, FL_Z);
	assert_int_equal(load(RIG_DATA, 8), 0x12345678aabbccdd);
	assert_int_equal(c->gpr[X86_RAX], 0xffffffff55667788);
	assert_int_equal(RIG_EXEC("\xf0\x48\x0f\xc7\x0e"), RIG_OK); /* cmpxchg16b: fails */
	assert_int_equal(flags_arith(c) & FL_Z, 0);
	assert_int_equal(c->gpr[X86_RAX], 0x12345678aabbccdd);
	assert_int_equal(c->gpr[X86_RDX], 0x99);
	assert_int_equal(RIG_EXEC("\xf0\x48\x0f\xc7\x0e"), RIG_OK);
	assert_int_equal(load(RIG_DATA, 8), 0xaabbccdd);
	assert_int_equal(load(RIG_DATA + 8, 8), 0x12345678);
	c->gpr[X86_RSI] = RIG_DATA + 8;
	assert_int_equal(RIG_EXEC("\xf0\x48\x0f\xc7\x0e"), X86_GP);
}

static void a_failed_exchange_still_needs_leave_to_write(void **state)
{
	(void)state;
	rig_map(HOLE, 0x600000, X86_PTE_P);
	c->gpr[X86_RSI] = HOLE;
	c->gpr[X86_RAX] = 1;
	assert_int_equal(RIG_EXEC("\x0f\xb1\x1e"), X86_PF); /* cmpxchg [rsi], ebx */
	assert_int_equal(c->event.error, 3);
	assert_int_equal(c->gpr[X86_RAX], 1);
	assert_int_equal(RIG_EXEC("\x87\x1e"), X86_PF);		/* xchg [rsi], ebx */
	assert_int_equal(RIG_EXEC("\xc1\x26\x00"), X86_PF);	/* shl dword [rsi], 0 */
	assert_int_equal(RIG_EXEC("\x0f\xa3\x1e"), RIG_OK);	/* bt [rsi], ebx only reads */
	assert_int_equal(RIG_EXEC("\xf0\x0f\xab\x1e"), X86_PF); /* lock bts */
}

static void locked_operations_work_across_pages(void **state)
{
	(void)state;
	rig_map(HOLE, 0x600000, X86_PTE_P | X86_PTE_RW);
	rig_map(HOLE + 4096, 0x602000, X86_PTE_P | X86_PTE_RW);
	c->gpr[X86_RSI] = HOLE + 4093;
	store(0x600ffd, 0xffffff, 3);
	store(0x602000, 0, 5);
	c->gpr[X86_RBX] = 1;
	assert_int_equal(RIG_EXEC("\xf0\x48\x01\x1e"), RIG_OK); /* lock add [rsi], rbx */
	assert_int_equal(load(0x600ffd, 3), 0);
	assert_int_equal(load(0x602000, 5), 1);
	assert_int_equal(RIG_EXEC("\x48\x87\x1e"), RIG_OK); /* xchg [rsi], rbx */
	assert_int_equal(c->gpr[X86_RBX], 0x1000000);
	assert_int_equal(load(0x600ffd, 3), 1);
}

/* Ports. ------------------------------------------------------------------------------------- */

static void ports_need_privilege_or_a_bit_in_the_tss(void **state)
{
	struct x86_seg *tr = &c->seg[X86_TR];

	(void)state;
	c->gpr[X86_RDX] = 0x3f8;
	assert_int_equal(RIG_EXEC("\xec"), RIG_OK); /* in al, dx at CPL 0 */
	assert_int_equal((uint8_t)c->gpr[X86_RAX], 0xff);
	c->mode.cpl = 3; /* for ports only: pages are still the supervisor's */
	*tr = (struct x86_seg){.base = RIG_DATA, .limit = 104 + 0x80, .attr = 0x8b};
	memset(rig_at(RIG_DATA), 0, 0x200);
	store(RIG_DATA + 102, 104, 2);
	assert_int_equal(RIG_EXEC("\xec"), RIG_OK);
	store(RIG_DATA + 104 + 0x3f8 / 8, 1 << 3, 1);
	assert_int_equal(RIG_EXEC("\xec"), RIG_OK);
	assert_int_equal(RIG_EXEC("\xef"), X86_GP); /* out dx, eax: the fourth byte is denied */
	c->gpr[X86_RDX] = 0x3f9;
	assert_int_equal(RIG_EXEC("\xee"), RIG_OK);
	c->gpr[X86_RDX] = 0x3fb;
	assert_int_equal(RIG_EXEC("\xee"), X86_GP);
	c->gpr[X86_RDX] = 0x400; /* behind the limit */
	assert_int_equal(RIG_EXEC("\xee"), X86_GP);
	c->rflags |= 3 << 12;
	assert_int_equal(RIG_EXEC("\xee"), RIG_OK);
	c->rflags &= ~(uint64_t)(3 << 12);
	tr->attr = 0x83; /* a 16-bit TSS has no bitmap */
	c->gpr[X86_RDX] = 0x3f8;
	assert_int_equal(RIG_EXEC("\x6e"), X86_GP); /* outsb */
}

static void input_strings_check_memory_before_they_read(void **state)
{
	uint64_t before = c->v->exits[EXIT_STAT_PIO_READ];

	(void)state;
	c->gpr[X86_RDX] = 0x60;
	c->gpr[X86_RDI] = HOLE;
	c->gpr[X86_RCX] = 4;
	assert_int_equal(RIG_EXEC("\xf3\x6c"), X86_PF);
	assert_int_equal(c->v->exits[EXIT_STAT_PIO_READ], before);
	c->gpr[X86_RDI] = RIG_DATA;
	assert_int_equal(RIG_EXEC("\xf3\x6c"), RIG_OK);
	assert_int_equal(c->v->exits[EXIT_STAT_PIO_READ], before + 4);
	assert_int_equal(load(RIG_DATA, 4), 0xffffffff);
}

static void random_numbers_come_with_carry(void **state)
{
	uint64_t a;

	(void)state;
	assert_int_equal(RIG_EXEC("\x48\x0f\xc7\xf0"), RIG_OK); /* rdrand rax */
	assert_int_equal(flags_arith(c), FL_C);
	a = c->gpr[X86_RAX];
	assert_int_equal(RIG_EXEC("\x48\x0f\xc7\xf8"), RIG_OK); /* rdseed rax */
	assert_int_not_equal(c->gpr[X86_RAX], a);
	assert_int_equal(RIG_EXEC("\x0f\xc7\xf0"), RIG_OK);
	assert_int_equal(c->gpr[X86_RAX] >> 32, 0);
}

static void blocks_of_64_bytes_are_stored_aligned(void **state)
{
	(void)state;
	for (unsigned n = 0; n < 64; n++)
		*rig_at(RIG_DATA + 100 + n) = (uint8_t)(n + 1);
	c->gpr[X86_RSI] = RIG_DATA + 100;
	c->gpr[X86_RDI] = RIG_DATA + 0x400;
	assert_int_equal(RIG_EXEC("\x66\x0f\x38\xf8\x3e"), RIG_OK); /* movdir64b rdi, [rsi] */
	assert_memory_equal(rig_at(RIG_DATA + 0x400), rig_at(RIG_DATA + 100), 64);
	c->gpr[X86_RDI] += 32;
	assert_int_equal(RIG_EXEC("\x66\x0f\x38\xf8\x3e"), X86_GP);
}

#define T(test) cmocka_unit_test_setup_teardown(test, fresh, done)

int main(void)
{
	const struct CMUnitTest tests[] = {
		T(push_and_pop_move_rsp_only_when_nothing_fails),
		T(pop_to_the_stack_addresses_with_the_new_rsp),
		T(addresses_that_are_not_canonical_are_ss_or_gp),
		T(enter_builds_frames_of_every_depth),
		T(all_registers_are_pushed_and_popped),
		T(decimal_adjustments_follow_the_manual),
		T(quotients_that_do_not_fit_are_divide_errors),
		T(loops_count_in_the_address_size),
		T(bounds_are_included),
		T(a_repeated_copy_stops_where_it_faults_and_goes_on_there),
		T(a_copy_onto_itself_repeats_its_beginning),
		T(long_repetitions_let_others_look_in_between),
		T(sixteen_bit_strings_wrap_and_obey_limits),
		T(a_fault_in_a_comparison_leaves_the_flags_of_before),
		T(double_width_exchanges_compare_all_of_it),
		T(a_failed_exchange_still_needs_leave_to_write),
		T(locked_operations_work_across_pages),
		T(ports_need_privilege_or_a_bit_in_the_tss),
		T(input_strings_check_memory_before_they_read),
		T(random_numbers_come_with_carry),
		T(blocks_of_64_bytes_are_stored_aligned),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
