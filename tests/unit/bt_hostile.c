/*
 * unit/bt_hostile.c - guests of the software CPU that do what no kernel does: each ends in the way
 * the manual says, in a bounded number of rounds, and reaches nothing but its own memory.
 */
#include "unit.h"

#include "../bt/asm.h"
#include "../bt/sysguest.h"
#include "../bt/sysvm.h"

#define NO_VECTOR   0x100u
#define AT_HANDLERS 0x40000u /* 256 of 16 bytes: each writes its vector to SEEN and stops */
#define AT_SEEN	    0x4f000u
#define TOP_PT	    (GUEST_ROOT + 0x3000u) /* of 4 levels: PML4, PDPT, PD, PT */

static void reset(void)
{
	if (!sysvm.vm)
		sysvm_init(1);
	sysvm_reset();
}

/* 64-bit mode, 2 MiB mapped to themselves; each exception leaves its number at AT_SEEN and halts.
 */
static struct x86_vcpu *long_mode(void)
{
	const uint8_t none[64] = {0};
	struct input in = {none, 0};
	struct guest g = {.in = &in, .mode = GUEST_LONG};

	reset();
	g.ram = sysvm_at(0);
	g.s = sysvm_state(0);
	g.lma = g.paging = true;
	g.code = 8;
	guest_gdt(&g);
	guest_idt(&g);
	guest_tables(&g);
	guest_regs(&g);
	guest_tss(&g);
	for (unsigned v = 0; v < 256; v++) { /* mov byte [AT_SEEN], v; cli; hlt */
		uint8_t h[16] = {0xc6, 0x04, 0x25, 0, 0xf0, 4, 0, (uint8_t)v, 0xfa, 0xf4};
		unsigned at = AT_HANDLERS + 16 * v;

		memcpy(sysvm_at(at), h, sizeof(h));
		guest_put(&g, GUEST_IDT + 16 * v, at & 0xffff, 2);
		guest_put(&g, GUEST_IDT + 16 * v + 6, at >> 16, 2);
	}
	*sysvm_at(AT_SEEN) = 0xff;
	g.s->cr4 |= X86_CR4_PGE;
	return g.s;
}

static void load(uint64_t at, const void *code, size_t n)
{
	sysvm_dma(at, code, n);
}

/* Takes the registers in and runs; the last exception, or NO_VECTOR. */
static unsigned run(unsigned rounds, enum vcpu_stop *how)
{
	struct err e = ERR_INIT;
	enum vcpu_stop stop;
	uint8_t seen;

	if (sysvm_put(0, &e))
		fail_msg("%s", e.msg);
	bt_code_written(sysvm.bvm, sysvm.ram[0], 0, sysvm_map[0].len);
	stop = sysvm_run(0, rounds);
	sysvm_check_cpu(0);
	if (how)
		*how = stop;
	seen = *sysvm_at(AT_SEEN);
	return seen == 0xff ? NO_VECTOR : seen;
}

static unsigned run_code(const void *code, size_t n)
{
	load(GUEST_CODE, code, n);
	return run(1000, NULL);
}
#define RUN(code) run_code(code, sizeof(code) - 1)

/* ------------------------------------------------------------------------------------------- */

static void a_triple_fault_ends_the_run_each_time(void **state)
{
	enum vcpu_stop stop;

	(void)state;
	for (unsigned n = 0; n < 200; n++) {
		struct x86_vcpu *s = long_mode();

		s->idt = (struct x86_table){n & 1 ? UINT64_C(0x8000000000000000) : 0,
					    n & 2 ? 0xfff : 0};
		load(GUEST_CODE, "\x0f\x0b", 2);
		run(1000, &stop);
		assert_int_equal(stop, VCPU_SHUTDOWN);
	}
}

/* What a second fault during delivery makes of the first (SDM 3A table 6-5). */
static void a_fault_in_delivery_becomes_what_the_table_says(void **state)
{
	static const struct {
		unsigned first, gate_sel, expect;
		bool not_present; /* of the gate of .first */
	} t[] = {
		{X86_UD, SEL_ABSENT, X86_NP, false}, /* benign, then contributory: the second */
		{X86_DE, SEL_ABSENT, X86_DF, false}, /* contributory twice */
		{X86_GP, SEL_CODE64, X86_DF, true},
		{X86_PF, SEL_ABSENT, X86_DF, false}, /* page fault, then contributory */
		{X86_BR, SEL_CODE64, X86_NP, true},
		{X86_NM, 0, X86_GP, false},
	};

	(void)state;
	for (size_t n = 0; n < ARRAY_LEN(t); n++) {
		struct x86_vcpu *s = long_mode();
		uint8_t *gate = sysvm_at(GUEST_IDT + 16 * t[n].first);

		le64_store(sysvm_at(GUEST_GDT + SEL_ABSENT), UINT64_C(0x00af1b000000ffff));
		le16_store(gate + 2, (uint16_t)t[n].gate_sel);
		if (t[n].not_present)
			gate[5] &= 0x7f;
		s->events.exc_injected = true;
		s->events.exc_vector = (uint8_t)t[n].first;
		s->events.exc_has_error = t[n].first >= X86_DF && t[n].first != X86_NM;
		if (run(100, NULL) != t[n].expect)
			fail_msg("vector %u: %u instead of %u", t[n].first, *sysvm_at(AT_SEEN),
				 t[n].expect);
	}
}

static void delivery_that_cannot_end_is_a_triple_fault(void **state)
{
	enum vcpu_stop stop;

	(void)state;
	for (unsigned how = 0; how < 6; how++) {
		struct x86_vcpu *s = long_mode();

		switch (how) {
		case 0: s->gpr[X86_RSP] = UINT64_C(0x800000000000); break; /* no stack */
		case 1: s->gpr[X86_RSP] = 0x90000000; break;		   /* not mapped */
		case 2: /* IDT over the end of what is mapped */ s->idt.base = 0x3ffff8; break;
		case 3: s->idt.base = 0xc0000; break; /* in a device */
		case 4: s->gdt.limit = 7; break;
		default: /* all gates are task gates, which long mode has not */
			for (unsigned v = 0; v < 256; v++)
				*sysvm_at(GUEST_IDT + 16 * v + 5) = 0x85;
			break;
		}
		load(GUEST_CODE, "\x0f\x0b", 2);
		run(1000, &stop);
		if (how != 3) /* what a device answers may be a gate */
			assert_int_equal(stop, VCPU_SHUTDOWN);
	}
}

/* A handler that faults by itself, for ever: the run ends when its rounds do. */
static void exceptions_without_end_do_not_hold_the_run(void **state)
{
	enum vcpu_stop stop;

	(void)state;
	long_mode();
	*sysvm_at(AT_HANDLERS + 16 * X86_UD) = 0x0f; /* ud2 in the handler of #UD */
	*sysvm_at(AT_HANDLERS + 16 * X86_UD + 1) = 0x0b;
	sysvm_state(0)->gpr[X86_RSP] = 0x90000;
	load(GUEST_CODE, "\x0f\x0b", 2);
	run(500, &stop);
	assert_int_equal(stop, VCPU_KICKED);
	assert_int_equal(sysvm.cpu[0]->rip, AT_HANDLERS + 16 * X86_UD);
}

/*
 * mov byte [rip+imm], 0x5a; mov eax, 0x11223344; hlt with the store into the operand of the next
 * instruction, which begins anywhere around the end of a page.
 */
static void a_store_changes_the_very_next_instruction(void **state)
{
	(void)state;
	for (unsigned back = 0; back < 14; back++)
		for (unsigned byte = 0; byte < 4; byte++) {
			uint8_t code[] = {0xc6, 0x05, 1, 0, 0, 0, 0x5a, 0xb8, 0, 0, 0, 0, 0xf4};
			struct x86_vcpu *s = long_mode();
			uint64_t at = GUEST_CODE + 0x1000 - back;

			code[2] = (uint8_t)(1 + byte);
			load(at, code, sizeof(code));
			s->rip = at;
			for (unsigned again = 0; again < 3; again++) {
				run(3, NULL);
				assert_int_equal(sysvm.cpu[0]->gpr[X86_RAX], 0x5au << 8 * byte);
				load(at, code, sizeof(code));
			}
		}
}

/* A repeated store that runs over itself: what was fetched goes on or is seen changed, and ends. */
static void a_string_that_overwrites_itself_ends(void **state)
{
	(void)state;
	for (unsigned off = 0; off < 32; off++) {
		struct x86_vcpu *s = long_mode();

		load(GUEST_CODE + 0xff0 + off, "\xf3\xaa\xf4", 3); /* rep stosb; hlt */
		s->rip = GUEST_CODE + 0xff0 + off;
		s->gpr[X86_RDI] = GUEST_CODE + 0xf00;
		s->gpr[X86_RCX] = 0x300;
		s->gpr[X86_RAX] = 0xf4;
		run(2000, NULL);
		assert_int_equal(*sysvm_at(GUEST_CODE + 0xf00), 0xf4);
		assert_int_equal(*sysvm_at(GUEST_CODE + 0xff0 + off), 0xf4);
	}
}

static void an_instruction_has_15_bytes_at_most(void **state)
{
	uint8_t code[24];

	(void)state;
	for (unsigned n = 12; n < 20; n++)
		for (unsigned back = 0; back < 20; back += 5) {
			struct x86_vcpu *s = long_mode();

			memset(code, 0x2e, sizeof(code)); /* CS override */
			code[n - 1] = 0x90;
			code[n] = 0xf4;
			s->rip = GUEST_CODE + 0x1000 - back;
			load(s->rip, code, sizeof(code));
			assert_int_equal(run(20, NULL), n > 15 ? X86_GP : NO_VECTOR);
		}
}

static uint64_t *pte(unsigned level, unsigned index)
{
	return (uint64_t *)(void *)sysvm_at(GUEST_ROOT + 0x1000 * level + 8 * index);
}

static void page_tables_can_map_themselves(void **state)
{
	uint64_t seen;

	(void)state;
	long_mode();
	*pte(0, 511) = GUEST_ROOT | 3;
	/* mov rax, 0xfffffffffffff000; mov rbx, [rax+0xff8]; bts [rax+0xff8], 9; hlt */
	assert_int_equal(RUN("\x48\xb8\x00\xf0\xff\xff\xff\xff\xff\xff\x48\x8b\x98\xf8\x0f\x00\x00"
			     "\x48\x0f\xba\xa8\xf8\x0f\x00\x00\x09\xf4"),
			 NO_VECTOR);
	seen = sysvm.cpu[0]->gpr[X86_RBX];
	assert_int_equal(seen & ~UINT64_C(0x60), GUEST_ROOT | 3);
	assert_int_equal(*pte(0, 511), GUEST_ROOT | 0x263);
}

/* A table anywhere: all ones where there is nothing, what a device answers, ROM that stays as is.
 */
static void page_tables_may_lie_anywhere(void **state)
{
	static const uint64_t roots[] = {0xc0000,    0xc1ff8,	 0xa0000,	0xf0000,
					 0xfee00000, 0xfec00000, 0x3fffffff000, 0x9f000,
					 0x13f000,   0x140000,	 0x10000f000,	0x100010000};
	static uint8_t rom[0x10000];

	(void)state;
	for (size_t n = 0; n < ARRAY_LEN(roots); n++)
		for (unsigned level = 0; level < 4; level++) {
			struct x86_vcpu *s = long_mode();

			if (level)
				*pte(level - 1, 0) = roots[n] | 7;
			else
				s->cr3 = roots[n];
			memset(sysvm.ram[1]->host, 0x07, sizeof(rom)); /* present, user, writable */
			memcpy(rom, sysvm.ram[1]->host, sizeof(rom));
			RUN("\x48\x89\x04\x25\x00\x00\x02\x00\xf4");
			assert_memory_equal(rom, sysvm.ram[1]->host, sizeof(rom));
		}
}

/* Reserved bits of each level's entry: 51:46 with this CPU's addresses (SDM 3A §4.5.4). */
static void each_reserved_bit_of_a_page_table_entry_faults(void **state)
{
	(void)state;
	for (unsigned level = 0; level < 4; level++)
		for (unsigned bit = 0; bit < 64; bit++) {
			bool reserved = (bit >= 46 && bit < 52) || (bit == 7 && level == 0);
			unsigned got, e = level == 3 ? 0x20 : 0;

			long_mode();
			if (bit == 0 || bit == 1 || (bit == 7 && (level == 1 || level == 2)))
				continue; /* not what this is about */
			if (level < 3 && bit >= 12 && bit < 46)
				continue;
			/* The code must not need the entry: it runs in another 512 GiB. */
			*pte(0, 256) = 0x19007;
			memcpy(sysvm_at(0x19000), sysvm_at(GUEST_ROOT + 0x1000), 0x1000);
			memcpy(sysvm_at(0x1a000), sysvm_at(GUEST_ROOT + 0x2000), 0x1000);
			memcpy(sysvm_at(0x1b000), sysvm_at(GUEST_ROOT + 0x3000), 0x1000);
			le64_store(sysvm_at(0x19000), 0x1a007);
			le64_store(sysvm_at(0x1a000), 0x1b007);
			if (level == 0)
				*pte(0, 256) ^= UINT64_C(1) << bit;
			else
				*(uint64_t *)(void *)sysvm_at(0x18000 + 0x1000 * level + 8 * e) ^=
					UINT64_C(1) << bit;
			/* mov rbx, 0xffff800000020000; mov rcx, [rbx]; hlt */
			got = RUN("\x48\xbb\x00\x00\x02\x00\x00\x80\xff\xff\x48\x8b\x0b\xf4");
			if (reserved) {
				assert_int_equal(got, X86_PF);
				assert_int_equal(sysvm.cpu[0]->cr2, 0xffff800000020000);
			} else if (got != NO_VECTOR) {
				fail_msg("level %u bit %u: vector %u", level, bit, got);
			}
		}
}

static void code_runs_from_devices_rom_and_nothing(void **state)
{
	static const uint64_t at[] = {0xc0000, 0xbffff, 0xc1fff,  0xf0000, 0xeffff, 0xfffff,
				      0xa0000, 0x9ffff, 0x13ffff, 0x9fff1, 0xfffff1};

	(void)state;
	for (size_t n = 0; n < ARRAY_LEN(at); n++) {
		struct x86_vcpu *s = long_mode();

		*pte(2, 0) = 0x87; /* 2 MiB at once */
		s->rip = at[n];
		memset(sysvm_at(0x9fff0), 0x66, 16);
		memset(sysvm_at(0x13fff0), 0x66, 16);
		run(500, NULL);
	}
	/* ROM is code like any other, and a write to it changes nothing. */
	long_mode();
	memcpy(sysvm.ram[1]->host, "\xc6\x05\x01\x00\x00\x00\x77\xb8\x01\x00\x00\x00\xf4", 13);
	bt_code_written(sysvm.bvm, sysvm.ram[1], 0, 4096);
	sysvm_state(0)->rip = 0xf0000;
	assert_int_equal(run(10, NULL), NO_VECTOR);
	assert_int_equal(sysvm.cpu[0]->gpr[X86_RAX], 1);
}

static void dma_into_code_is_seen(void **state)
{
	(void)state;
	for (unsigned off = 0; off < 16; off++) {
		struct x86_vcpu *s = long_mode();
		uint64_t at = GUEST_CODE + 0x1000 - 8 + off;

		load(at, "\xb8\x00\x00\x00\x00\xeb\xf9", 7); /* 1: mov eax, 0; jmp 1b */
		s->rip = at;
		run(100, NULL);
		for (uint32_t v = 1; v < 50; v++) {
			uint8_t b[4];

			le32_store(b, v);
			sysvm_dma(at + 1, b, 4);
			(void)sysvm_run(0, 4);
			assert_int_equal(sysvm.cpu[0]->gpr[X86_RAX], v);
		}
	}
}

/* ------------------------------------------------------------------------------------------- */

static bool has_memory(const struct insn *i)
{
	for (unsigned n = 0; n < INSN_OPS; n++)
		if (i->op[n].kind == OP_MEM)
			return true;
	return false;
}

/* May leave a part of its result when it faults: it writes several things, or by element. */
static bool writes_parts(const struct insn *i)
{
	const struct insn_row *row = &insn_table[i->row];
	static const char *const names[] = {"enter",	 "xsave", "fxsave", "fnsave",
					    "fnstenv",	 "pusha", "v",	    "k",
					    "movdir64b", "int",	  "call"};

	if (i->prefixes & (INSN_REP | INSN_REPNE))
		return true;
	for (size_t n = 0; n < ARRAY_LEN(names); n++)
		if (!strncmp(row->name, names[n], strlen(names[n])))
			return true;
	return false;
}

/*
 * Every row that has a memory operand, with the operand over the end of a page and the next one
 * mapped, missing, read-only, a device, ROM or nothing.
 */
static void no_operand_across_pages_harms(void **state)
{
	static const uint64_t next[] = {
		0x51007, 0, 0x51005, 0xc0007, 0xf0007, 0xa0007, UINT64_C(0x8000000000050007)};
	static uint8_t page[4096];
	struct rng r = {4711};
	struct machine m = {.avx = true};

	(void)state;
	long_mode();
	m.features = sysvm.cpu[0]->features;
	m.avx512 = insn_has(&m.features, F_AVX512F);
	for (unsigned row = 0; row < insn_rows; row++)
		for (unsigned k = 0; k < ARRAY_LEN(next); k++) {
			struct x86_vcpu *s = sysvm_state(0);
			uint8_t code[GEN_BYTES] = {0};
			struct insn i;

			gen_bytes(&r, &m, row, 8, code);
			if (insn_decode(code, INSN_MAX, 8, &m.features, &i) || !has_memory(&i) ||
			    i.base > 15 || i.base == X86_RSP)
				continue;
			s->rip = GUEST_CODE;
			s->cr0 = 0x80010033;
			s->cr3 = GUEST_ROOT;
			s->efer = 0xd01;
			s->cr4 = 0x6f0 | X86_CR4_OSXSAVE;
			s->rflags = 2;
			s->xcr0 = m.avx512 ? 0xe7 : insn_has(&m.features, F_AVX) ? 7 : 3;
			for (unsigned n = 0; n < 16; n++)
				s->gpr[n] = n == X86_RSP ? GUEST_STACK : 1;
			s->gpr[i.base] = 0x51000 - (uint64_t)i.disp - (1 + rng_below(&r, 8)) -
					 (i.index < 16 ? 1u << i.scale : 0);
			*pte(3, 0x51) = next[k];
			memset(sysvm_at(0x50000), 0x11, 0x2000);
			memcpy(page, sysvm_at(0x50000), sizeof(page));
			*sysvm_at(AT_SEEN) = 0xff;
			load(GUEST_CODE, code, INSN_MAX);
			load(GUEST_CODE + i.len, "\xf4", 1);
			if (run(3, NULL) == X86_PF && !writes_parts(&i) && i.seg < X86_FS &&
			    memcmp(page, sysvm_at(0x50000), sizeof(page)) != 0)
				fail_msg("%s wrote half of its result before it faulted (%u)",
					 insn_table[i.row].name, k);
		}
}

/* Control registers and MSRs, bit by bit. --------------------------------------------------- */

/* mov CRn, rax or such, with @val in rax (and rdx, rcx); the exception that came. */
static unsigned write_reg(const char *code, size_t n, uint64_t rcx, uint64_t val, bool halves)
{
	struct x86_vcpu *s = long_mode();

	s->gpr[X86_RAX] = halves ? (uint32_t)val : val;
	s->gpr[X86_RDX] = val >> 32;
	s->gpr[X86_RCX] = rcx;
	load(GUEST_CODE, code, n);
	load(GUEST_CODE + n, "\xf4", 1);
	return run(20, NULL);
}

static void each_reserved_bit_of_control_registers_faults(void **state)
{
	uint64_t cr4, efer;

	(void)state;
	long_mode();
	cr4 = cr4_known(sysvm.cpu[0]);
	efer = efer_known(sysvm.cpu[0]);
	for (unsigned bit = 0; bit < 64; bit++) {
		uint64_t b = UINT64_C(1) << bit;
		unsigned got;

		got = write_reg("\x0f\x22\xc0", 3, 0, 0x80010033 | b, false);
		assert_int_equal(got == X86_GP, bit >= 32 || bit == 29);
		got = write_reg("\x0f\x22\xd8", 3, 0, GUEST_ROOT | b, false);
		if (bit < 12 || bit >= 46)
			assert_int_equal(got == X86_GP, bit >= 46);
		/* CR4: what it may be at once in long mode, and one more. */
		got = write_reg("\x0f\x22\xe0", 3, 0, 0x6b0 | b, false);
		assert_int_equal(got == X86_GP, !(cr4 & b) || b == X86_CR4_LA57);
		got = write_reg("\x44\x0f\x22\xc0", 4, 0, b, false);
		assert_int_equal(got == X86_GP, bit >= 4);
		got = write_reg("\x0f\x30", 2, X86_MSR_EFER, 0xd01 ^ b, true);
		assert_int_equal(got == X86_GP, !(efer & b) || b == X86_EFER_LME);
		got = write_reg("\x0f\x23\xf0", 3, 0, b, false); /* DR6 */
		assert_int_equal(got == X86_GP, bit >= 32);
		got = write_reg("\x0f\x23\xf8", 3, 0, b & ~UINT64_C(0x20ff), false); /* DR7 */
		assert_int_equal(got == X86_GP, bit >= 32);
		write_reg("\x0f\x23\xc0", 3, 0, b, false);
		got = write_reg("\x0f\x01\xd1", 3, 0, 1 | b, true); /* XSETBV */
		if (bit > 9)
			assert_true(got == X86_GP || got == X86_UD);
		assert_int_equal(write_reg("\x0f\x01\xd1", 3, 1 + bit, 1, true) == NO_VECTOR, 0);
	}
}

static void every_msr_takes_or_refuses_every_bit(void **state)
{
	static const uint32_t bases[] = {0,	     0x200,	 0x400,	     0x600,
					 0x800,	     0xd00,	 0x4b564d00, 0xc0000000,
					 0xc0000100, 0xc0010000, 0x40000000};
	struct bt_cpu *c;
	uint64_t val;

	(void)state;
	long_mode();
	assert_int_equal(RUN("\xf4"), NO_VECTOR);
	c = sysvm.cpu[0];
	mmu_idle(c, false);
	for (size_t n = 0; n < ARRAY_LEN(bases); n++)
		for (uint32_t index = bases[n]; index < bases[n] + 0x200; index++)
			for (unsigned bit = 0; bit <= 64; bit++) {
				uint64_t b = bit < 64 ? UINT64_C(1) << bit : UINT64_MAX;
				bool has = !bt_rdmsr(c, index, &val);

				/* A bit that was taken reads back, where it is a register. */
				if (index == X86_MSR_EFER && b & X86_EFER_LMA)
					continue;
				(void)bt_wrmsr(c, index, has ? val ^ b : b);
				if (has)
					(void)bt_wrmsr(c, index, val);
			}
	mmu_idle(c, true);
	sysvm_check_cpu(0);
	sysvm_run(0, 10);
	sysvm_check_state(0);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(a_triple_fault_ends_the_run_each_time),
		cmocka_unit_test(a_fault_in_delivery_becomes_what_the_table_says),
		cmocka_unit_test(delivery_that_cannot_end_is_a_triple_fault),
		cmocka_unit_test(exceptions_without_end_do_not_hold_the_run),
		cmocka_unit_test(a_store_changes_the_very_next_instruction),
		cmocka_unit_test(a_string_that_overwrites_itself_ends),
		cmocka_unit_test(an_instruction_has_15_bytes_at_most),
		cmocka_unit_test(page_tables_can_map_themselves),
		cmocka_unit_test(page_tables_may_lie_anywhere),
		cmocka_unit_test(each_reserved_bit_of_a_page_table_entry_faults),
		cmocka_unit_test(code_runs_from_devices_rom_and_nothing),
		cmocka_unit_test(dma_into_code_is_seen),
		cmocka_unit_test(no_operand_across_pages_harms),
		cmocka_unit_test(each_reserved_bit_of_control_registers_faults),
		cmocka_unit_test(every_msr_takes_or_refuses_every_bit),
	};

	log_set_level(LOG_ERROR);
	return cmocka_run_group_tests(tests, NULL, NULL);
}
