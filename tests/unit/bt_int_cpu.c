/*
 * Integer instructions against the processor that the tests run on: each encoding from many states,
 * natively and in the software CPU, by its general and by its specialised meaning.  Registers,
 * memory and all flags that are defined must be the same.
 */
#include "unit.h"

#include <signal.h>
#include <sys/mman.h>

#include "bt_exec_rig.h"

#define STATES 60u
/* Where both have their data: two pages with different neighbours. */
#define DATA	 UINT64_C(0x10000000)
#define DATA_LEN 8192u

struct native {
	uint64_t gpr[16];
	uint64_t flags;
};
void native_call(struct native *r, const void *code);

/* Loads all registers but rSP, calls the code, stores them. */
__asm__(".text\n"
	".type native_call, @function\n"
	"native_call:\n"
	"	push %rbx\n	push %rbp\n	push %r12\n	push %r13\n"
	"	push %r14\n	push %r15\n	push %rdi\n	push %rsi\n"
	"	mov 8*0(%rdi), %rax\n	mov 8*1(%rdi), %rcx\n	mov 8*2(%rdi), %rdx\n"
	"	mov 8*3(%rdi), %rbx\n	mov 8*5(%rdi), %rbp\n	mov 8*6(%rdi), %rsi\n"
	"	mov 8*8(%rdi), %r8\n	mov 8*9(%rdi), %r9\n	mov 8*10(%rdi), %r10\n"
	"	mov 8*11(%rdi), %r11\n	mov 8*12(%rdi), %r12\n	mov 8*13(%rdi), %r13\n"
	"	mov 8*14(%rdi), %r14\n	mov 8*15(%rdi), %r15\n"
	"	push 8*16(%rdi)\n	popfq\n	mov 8*7(%rdi), %rdi\n"
	"	call *(%rsp)\n"
	"	xchg %rdi, 8(%rsp)\n"
	"	mov %rax, 8*0(%rdi)\n	mov %rcx, 8*1(%rdi)\n	mov %rdx, 8*2(%rdi)\n"
	"	mov %rbx, 8*3(%rdi)\n	mov %rbp, 8*5(%rdi)\n	mov %rsi, 8*6(%rdi)\n"
	"	mov %r8, 8*8(%rdi)\n	mov %r9, 8*9(%rdi)\n	mov %r10, 8*10(%rdi)\n"
	"	mov %r11, 8*11(%rdi)\n	mov %r12, 8*12(%rdi)\n	mov %r13, 8*13(%rdi)\n"
	"	mov %r14, 8*14(%rdi)\n	mov %r15, 8*15(%rdi)\n"
	"	pushfq\n	pop 8*16(%rdi)\n	cld\n"
	"	pop %rsi\n	pop %rax\n	mov %rax, 8*7(%rdi)\n"
	"	pop %r15\n	pop %r14\n	pop %r13\n	pop %r12\n	pop %rbp\n	"
	"pop %rbx\n"
	"	ret\n"
	".size native_call, . - native_call\n");

static uint8_t *native_code;
static sigjmp_buf native_out;

static void on_fpe(int sig)
{
	(void)sig;
	siglongjmp(native_out, 1);
}

/* RIG_OK or X86_DE. */
static unsigned native_run(struct native *r)
{
	if (sigsetjmp(native_out, 1))
		return X86_DE;
	native_call(r, native_code);
	return RIG_OK;
}

static uint64_t rnd(void)
{
	static uint64_t s = 88172645463325252u;

	s ^= s << 13;
	s ^= s >> 7;
	s ^= s << 17;
	return s;
}

/* Often something at an edge. */
static uint64_t value(void)
{
	static const uint64_t edge[] = {0,	    1,
					2,	    0x7f,
					0x80,	    0xff,
					0x7fff,	    0x8000,
					0xffff,	    0x7fffffff,
					0x80000000, 0xffffffff,
					INT64_MAX,  (uint64_t)INT64_MIN,
					UINT64_MAX};
	uint64_t v = rnd();

	switch (rnd() % 4) {
	case 0: return edge[v % ARRAY_LEN(edge)];
	case 1: return v >> (rnd() & 63);
	default: return v;
	}
}

/* What the registers must be like. */
enum kind {
	ANY,
	BIT, /* a bit's number in rCX, memory around [rDI] */
	STR, /* rSI and rDI in memory, rCX few */
};

static void fill(struct native *r, enum kind kind)
{
	uint64_t at = DATA + 4096 - 256 + rnd() % 512;

	for (unsigned n = 0; n < 16; n++)
		r->gpr[n] = value();
	r->flags = (rnd() & FL_ALL) | 0x202;
	r->gpr[X86_RDI] = rnd() % 4 ? at & ~UINT64_C(15) : at;
	if (kind == BIT) /* signed in each operand size */
		r->gpr[X86_RCX] = r->gpr[X86_R9] = rnd() % 1024 - 512;
	if (kind == STR) {
		r->gpr[X86_RSI] =
			rnd() % 2 ? r->gpr[X86_RDI] + rnd() % 64 - 32 : DATA + 2048 + rnd() % 4096;
		r->gpr[X86_RCX] = rnd() % 100;
		r->flags |= rnd() & FL_D;
		if (rnd() % 2)
			r->gpr[X86_RAX] = 0x5a5a5a5a5a5a5a5a;
	}
}

static void fill_data(uint8_t *p, enum kind kind)
{
	for (unsigned n = 0; n < DATA_LEN; n += 8) {
		uint64_t v = kind == STR && rnd() % 16 ? 0x5a5a5a5a5a5a5a5a : rnd();

		memcpy(p + n, &v, 8);
	}
}

static uint32_t undefined_flags;
static unsigned cases;

/* The last instruction decoded at RIG_CODE says which flags are undefined. */
static void learn_flags(const uint8_t *code, size_t n)
{
	struct insn i;

	assert_int_equal(insn_decode(code, (unsigned)n, 8, &rig.c->features, &i), INSN_OK);
	assert_int_equal(i.len, n);
	undefined_flags = insn_table[i.row].fl_undef;
}

static void one(const uint8_t *code, size_t n, enum kind kind)
{
	static uint8_t before[DATA_LEN], *const data = (uint8_t *)DATA;
	struct native in, a;
	unsigned fault;

	fill(&in, kind);
	fill_data(before, kind);
	a = in;
	memcpy(data, before, DATA_LEN);
	fault = native_run(&a);
	memcpy(rig_at(RIG_DATA), before, DATA_LEN);
	memcpy(rig.c->gpr, in.gpr, sizeof(in.gpr));
	rig.c->rflags = in.flags;
	rig.c->cc = CC_FLAGS;
	rig.plain = cases++ & 1;
	if (fault != RIG_OK) {
		a = in;
		assert_int_equal(rig_exec_again(n), fault);
		assert_int_equal(rig.c->rip, RIG_CODE);
	} else {
		assert_int_equal(rig_exec_again(n), RIG_OK);
	}
	a.gpr[X86_RSP] = rig.c->gpr[X86_RSP];
	for (unsigned r = 0; r < 16; r++)
		if (rig.c->gpr[r] != a.gpr[r])
			fail_msg("%s %02x %02x %02x %02x %02x: register %u is %llx, not %llx (was "
				 "%llx)",
				 rig.plain ? "general" : "special", code[0], code[1], code[2],
				 code[3], code[4], r, (unsigned long long)rig.c->gpr[r],
				 (unsigned long long)a.gpr[r], (unsigned long long)in.gpr[r]);
	if (fault == RIG_OK && ((flags_get(rig.c) ^ a.flags) & (FL_ALL | FL_D) & ~undefined_flags))
		fail_msg("%s %02x %02x %02x %02x %02x: flags are %llx, not %llx",
			 rig.plain ? "general" : "special", code[0], code[1], code[2], code[3],
			 code[4], (unsigned long long)flags_get(rig.c),
			 (unsigned long long)a.flags);
	assert_memory_equal(rig_at(RIG_DATA), data, DATA_LEN);
}

static void check_code(const uint8_t *code, size_t n, enum kind kind)
{
	memcpy(native_code, code, n);
	native_code[n] = 0xc3;
	rig_code(code, n);
	learn_flags(code, n);
	for (unsigned k = 0; k < STATES; k++)
		one(code, n, kind);
}

/* Encodings. --------------------------------------------------------------------------------- */

/* Opcode bytes, a ModRM byte, an immediate. */
struct enc {
	uint8_t b[16];
	size_t n;
};

static void put(struct enc *e, unsigned byte)
{
	e->b[e->n++] = (uint8_t)byte;
}

/* @op: up to three bytes, 0F and the like in front, as a number. */
static struct enc start(unsigned prefix, unsigned rex, unsigned op)
{
	struct enc e = {.n = 0};

	if (prefix >> 8)
		put(&e, prefix >> 8);
	if (prefix & 0xff)
		put(&e, prefix & 0xff);
	if (rex)
		put(&e, rex);
	if (op > 0xffff)
		put(&e, op >> 16);
	if (op > 0xff)
		put(&e, op >> 8 & 0xff);
	put(&e, op & 0xff);
	return e;
}

/* Memory operands are [rDI] and [rDI+16]. */
static void modrm(struct enc *e, unsigned reg, bool mem, unsigned rm)
{
	if (mem && rm & 1) {
		put(e, 0x40 | reg << 3 | 7);
		put(e, 0x10);
	} else if (mem) {
		put(e, reg << 3 | 7);
	} else {
		put(e, 0xc0 | reg << 3 | rm);
	}
}

static void imm(struct enc *e, unsigned bytes)
{
	uint64_t v = value();

	for (; bytes; bytes--, v >>= 8)
		put(e, v & 0xff);
}

/* Every size of "v": no prefix, 66, REX.W, and REX with registers above 7. */
static const struct {
	unsigned prefix, rex;
} sizes[] = {{0, 0}, {0x66, 0}, {0, 0x48}, {0, 0x4d}};

/* @op with ModRM, for all sizes, with register and memory, and @imm_bytes (9: by size). */
static void check_modrm(unsigned prefix, unsigned op, int reg, unsigned imm_bytes, bool reg_form,
			bool mem_form, enum kind kind)
{
	for (unsigned s = 0; s < ARRAY_LEN(sizes); s++)
		for (unsigned form = 0; form < 6; form++) {
			bool mem = form >= 3;
			/* rSP is not for tests; with a memory operand nor is a register above. */
			static const unsigned rms[] = {0, 2, 3, 0, 1, 0};
			unsigned rex = mem && sizes[s].rex == 0x4d ? 0x4c : sizes[s].rex;
			struct enc e = start(prefix << 8 | sizes[s].prefix, rex, op);

			if (mem ? !mem_form : !reg_form)
				continue;
			modrm(&e, reg >= 0 ? (unsigned)reg : form & 1 ? 1 : 3, mem, rms[form]);
			imm(&e, imm_bytes != 9 ? imm_bytes : sizes[s].prefix ? 2 : 4);
			check_code(e.b, e.n, kind);
		}
}

/* With 8-bit operands, AH to BH among them. */
static void check_bytes(unsigned op, int reg, unsigned imm_bytes)
{
	for (unsigned form = 0; form < 12; form++) {
		bool mem = form >= 8;
		static const unsigned rms[] = {0, 4, 3, 7, 2, 5, 1, 6, 0, 1, 0, 1};
		struct enc e = start(0, mem && form & 1 ? 0x4c : 0, op);
		unsigned r = reg >= 0 ? (unsigned)reg : rms[7 - form % 8];

		modrm(&e, r, mem, rms[form]);
		imm(&e, imm_bytes);
		check_code(e.b, e.n, ANY);
	}
}

static void arithmetic_and_logic_are_those_of_the_cpu(void **state)
{
	(void)state;
	for (unsigned op = 0; op < 8; op++) {
		check_bytes(op * 8, -1, 0);
		check_bytes(op * 8 + 2, -1, 0);
		check_modrm(0, op * 8 + 1, -1, 0, true, true, ANY);
		check_modrm(0, op * 8 + 3, -1, 0, true, true, ANY);
		check_bytes(0x80, (int)op, 1);
		check_modrm(0, 0x81, (int)op, 9, true, true, ANY);
		check_modrm(0, 0x83, (int)op, 1, true, true, ANY);
		if (op != 7)
			check_modrm(0xf0, op * 8 + 1, -1, 0, false, true, ANY);
	}
	check_bytes(0x84, -1, 0);
	check_modrm(0, 0x85, -1, 0, true, true, ANY);
	check_bytes(0xf6, 0, 1);
	check_modrm(0, 0xf7, 0, 9, true, true, ANY);
	for (int reg = 0; reg < 2; reg++) {
		check_bytes(0xfe, reg, 0);
		check_modrm(0, 0xff, reg, 0, true, true, ANY);
		check_bytes(0xf6, 2 + reg, 0);
		check_modrm(0, 0xf7, 2 + reg, 0, true, true, ANY);
	}
}

static void products_and_quotients_are_those_of_the_cpu(void **state)
{
	struct sigaction sa = {.sa_handler = on_fpe};

	(void)state;
	assert_int_equal(sigaction(SIGFPE, &sa, NULL), 0); /* cmocka has put its own there */
	for (int reg = 4; reg < 8; reg++) {
		check_bytes(0xf6, reg, 0);
		check_modrm(0, 0xf7, reg, 0, true, true, ANY);
	}
	check_modrm(0, 0x0faf, -1, 0, true, true, ANY);
	check_modrm(0, 0x69, -1, 9, true, true, ANY);
	check_modrm(0, 0x6b, -1, 1, true, true, ANY);
}

static void shifts_and_rotations_are_those_of_the_cpu(void **state)
{
	(void)state;
	for (int reg = 0; reg < 8; reg++)
		for (unsigned again = 0; again < 4; again++) {
			check_bytes(0xc0, reg, 1);
			check_modrm(0, 0xc1, reg, 1, true, true, ANY);
			if (again)
				continue;
			check_bytes(0xd0, reg, 0);
			check_modrm(0, 0xd1, reg, 0, true, true, ANY);
			check_bytes(0xd2, reg, 0);
			check_modrm(0, 0xd3, reg, 0, true, true, ANY);
		}
	for (unsigned again = 0; again < 4; again++) {
		check_modrm(0, 0x0fa4, -1, 1, true, true, ANY);
		check_modrm(0, 0x0fac, -1, 1, true, true, ANY);
	}
	check_modrm(0, 0x0fa5, -1, 0, true, true, ANY);
	check_modrm(0, 0x0fad, -1, 0, true, true, ANY);
}

static void bits_and_scans_are_those_of_the_cpu(void **state)
{
	(void)state;
	for (unsigned op = 0x0fa3; op <= 0x0fbb; op += 8) {
		check_modrm(0, op, 1, 0, true, true, BIT);
		check_modrm(0, 0x0fba, (int)(op >> 3 & 3) | 4, 1, true, true, ANY);
		if (op != 0x0fa3)
			check_modrm(0xf0, op, 1, 0, false, true, BIT);
	}
	check_modrm(0, 0x0fbc, -1, 0, true, true, ANY);
	check_modrm(0, 0x0fbd, -1, 0, true, true, ANY);
	if (__builtin_cpu_supports("bmi"))
		check_modrm(0xf3, 0x0fbc, -1, 0, true, true, ANY);
	if (__builtin_cpu_supports("avx2")) /* LZCNT came before it */
		check_modrm(0xf3, 0x0fbd, -1, 0, true, true, ANY);
	if (__builtin_cpu_supports("popcnt"))
		check_modrm(0xf3, 0x0fb8, -1, 0, true, true, ANY);
	if (__builtin_cpu_supports("sse4.2")) {
		check_modrm(0xf2, 0x0f38f0, -1, 0, true, true, ANY);
		check_modrm(0xf2, 0x0f38f1, -1, 0, true, true, ANY);
	}
}

/* VEX.LZ: maps 2 and 3; the three registers, or memory as the last. */
static void check_vex(unsigned map, unsigned pp, unsigned op, int reg, unsigned imm_bytes)
{
	for (unsigned w = 0; w < 2; w++)
		for (unsigned form = 0; form < 4; form++) {
			struct enc e = {.n = 0};
			unsigned vvvv = form & 1 ? 1 : 6;

			put(&e, 0xc4);
			put(&e, 0xe0 | map);
			put(&e, w << 7 | (~vvvv & 15) << 3 | pp);
			put(&e, op);
			modrm(&e,
			      reg >= 0	 ? (unsigned)reg
			      : form & 1 ? 1
					 : 3,
			      form > 1, form == 0 ? 2 : 0);
			imm(&e, imm_bytes);
			check_code(e.b, e.n, ANY);
		}
}

static void bit_fields_are_those_of_the_cpu(void **state)
{
	(void)state;
	if (__builtin_cpu_supports("bmi")) {
		check_vex(2, 0, 0xf2, -1, 0);
		check_vex(2, 0, 0xf7, -1, 0);
		check_vex(2, 0, 0xf3, 1, 0);
		check_vex(2, 0, 0xf3, 2, 0);
		check_vex(2, 0, 0xf3, 3, 0);
	}
	if (__builtin_cpu_supports("bmi2")) {
		check_vex(2, 0, 0xf5, -1, 0);
		check_vex(2, 2, 0xf5, -1, 0);
		check_vex(2, 3, 0xf5, -1, 0);
		check_vex(2, 3, 0xf6, -1, 0);
		for (unsigned pp = 1; pp < 4; pp++)
			check_vex(2, pp, 0xf7, -1, 0);
		for (unsigned n = 0; n < 8; n++) {
			struct enc e = {{0xc4, 0xe3, n & 1 ? 0xfb : 0x7b, 0xf0, 0xc1}, 5};

			imm(&e, 1);
			check_code(e.b, e.n, ANY);
		}
	}
}

static void moves_and_conversions_are_those_of_the_cpu(void **state)
{
	(void)state;
	check_bytes(0x88, -1, 0);
	check_bytes(0x8a, -1, 0);
	check_modrm(0, 0x89, -1, 0, true, true, ANY);
	check_modrm(0, 0x8b, -1, 0, true, true, ANY);
	check_bytes(0xc6, 0, 1);
	check_modrm(0, 0xc7, 0, 9, true, true, ANY);
	check_modrm(0, 0x8d, -1, 0, false, true, ANY);
	for (unsigned op = 0x0fb6; op <= 0x0fbf; op += op == 0x0fb7 ? 7 : 1)
		check_modrm(0, op, -1, 0, true, true, ANY);
	check_modrm(0, 0x63, -1, 0, true, true, ANY);
	for (unsigned cond = 0; cond < 16; cond++) {
		check_bytes(0x0f90 + cond, 0, 0);
		check_modrm(0, 0x0f40 + cond, -1, 0, true, true, ANY);
	}
	for (unsigned s = 0; s < ARRAY_LEN(sizes); s++) {
		static const unsigned ops[] = {0x90, 0x91, 0x98, 0x99, 0x9e,   0x9f,  0xf5,
					       0xf8, 0xf9, 0xfc, 0xfd, 0x0fc8, 0x0fcb};

		for (unsigned n = 0; n < ARRAY_LEN(ops); n++) {
			struct enc e = start(sizes[s].prefix, sizes[s].rex, ops[n]);

			if (ops[n] < 0xff || !sizes[s].prefix) /* BSWAP of 16 bits is undefined */
				check_code(e.b, e.n, ANY);
		}
	}
}

static void exchanges_are_those_of_the_cpu(void **state)
{
	(void)state;
	check_bytes(0x86, -1, 0);
	check_modrm(0, 0x87, -1, 0, true, true, ANY);
	check_bytes(0x0fc0, -1, 0);
	check_modrm(0, 0x0fc1, -1, 0, true, true, ANY);
	check_modrm(0xf0, 0x0fc1, -1, 0, false, true, ANY);
	check_bytes(0x0fb0, -1, 0);
	for (unsigned again = 0; again < 4; again++) {
		check_modrm(0, 0x0fb1, -1, 0, true, true, ANY);
		check_modrm(0xf0, 0x0fb1, -1, 0, false, true, ANY);
	}
}

static void strings_are_those_of_the_cpu(void **state)
{
	(void)state;
	for (unsigned op = 0xa4; op < 0xb0; op++)
		for (unsigned rep = 0xf1; rep < 0xf4; rep++)
			for (unsigned s = 0; s < ARRAY_LEN(sizes); s++) {
				struct enc e = start((rep == 0xf1 ? 0 : rep) << 8 | sizes[s].prefix,
						     sizes[s].rex, op);

				if (op == 0xa8 || op == 0xa9)
					continue;
				for (unsigned again = 0; again < 4; again++)
					check_code(e.b, e.n, STR);
			}
}

static int setup(void **state)
{
	(void)state;
	rig_new();
	rig_long_mode();
	rig_map(DATA, RIG_DATA, X86_PTE_P | X86_PTE_RW);
	rig_map(DATA + 4096, RIG_DATA + 4096, X86_PTE_P | X86_PTE_RW);
	native_code = mmap(NULL, 4096, PROT_READ | PROT_WRITE | PROT_EXEC,
			   MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
	assert_true(native_code != MAP_FAILED);
	assert_true(mmap((void *)DATA, DATA_LEN, PROT_READ | PROT_WRITE,
			 MAP_PRIVATE | MAP_ANONYMOUS | MAP_FIXED_NOREPLACE, -1, 0) == (void *)DATA);
	return 0;
}

static int teardown(void **state)
{
	(void)state;
	rig_free();
	return 0;
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(arithmetic_and_logic_are_those_of_the_cpu),
		cmocka_unit_test(products_and_quotients_are_those_of_the_cpu),
		cmocka_unit_test(shifts_and_rotations_are_those_of_the_cpu),
		cmocka_unit_test(bits_and_scans_are_those_of_the_cpu),
		cmocka_unit_test(bit_fields_are_those_of_the_cpu),
		cmocka_unit_test(moves_and_conversions_are_those_of_the_cpu),
		cmocka_unit_test(exchanges_are_those_of_the_cpu),
		cmocka_unit_test(strings_are_those_of_the_cpu),
	};

	return cmocka_run_group_tests(tests, setup, teardown);
}
