/*
 * The instruction table, its decoder and its disassembler: what other decoders do not tell.  That
 * the table itself is right is for tests/insn.
 */
#include "unit.h"

#include "accel/bt/exec.h"
#include "arch/x86/cpuid.h"
#include "arch/x86/vcpu.h"
#include "base/compiler.h"
#include "base/str.h"

static const struct insn_features all = {{UINT64_MAX, UINT64_MAX}};

/* Hexadecimal with blanks. */
static unsigned bytes_of(const char *hex, uint8_t *b, unsigned max)
{
	unsigned n = 0, digits = 0, v = 0;

	for (; *hex; hex++) {
		if (*hex == ' ')
			continue;
		v = v << 4 | (unsigned)(*hex <= '9' ? *hex - '0' : *hex - 'a' + 10);
		if (++digits % 2)
			continue;
		assert_true(n < max);
		b[n++] = (uint8_t)v;
	}
	return n;
}

/* Decodes a copy that ends where the bytes end: a sanitizer sees what is read behind. */
static int decode_n(const uint8_t *b, unsigned n, unsigned mode, const struct insn_features *f,
		    struct insn *i)
{
	uint8_t *copy = malloc(n ? n : 1);
	int r;

	assert_non_null(copy);
	memcpy(copy, b, n);
	r = insn_decode(copy, n, mode, f, i);
	free(copy);
	return r;
}

static int decode(const char *hex, unsigned mode, struct insn *i)
{
	uint8_t b[32];

	return decode_n(b, bytes_of(hex, b, sizeof(b)), mode, &all, i);
}

static struct insn decoded(const char *hex, unsigned mode)
{
	struct insn i;

	if (decode(hex, mode, &i))
		fail_msg("%s is not valid in %u-bit code", hex, mode * 8);
	return i;
}

static void assert_result(const char *hex, unsigned mode, int want)
{
	struct insn i;
	int r = decode(hex, mode, &i);

	if (r != want)
		fail_msg("%s in %u-bit code: %d, not %d", hex, mode * 8, r, want);
}

/* Instructions of every shape: mode, bytes. */
static const struct {
	unsigned mode;
	const char *hex, *text;
} samples[] = {
	{8, "90", "nop"},
	{8, "f3 90", "pause"},
	{8, "41 90", "xchg r8d, eax"},
	{8, "48 01 d8", "add rax, rbx"},
	{8, "00 e0", "add al, ah"},
	{8, "40 00 e0", "add al, spl"},
	{8, "83 c0 ff", "add eax, 0xffffffff"},
	{8, "f0 01 07", "lock add dword ptr [rdi], eax"},
	{8, "48 8b 05 10 00 00 00", "mov rax, qword ptr [rip+0x10] # 0x1017"},
	{8, "64 48 89 04 25 28 00 00 00", "mov qword ptr fs:[0x28], rax"},
	{8, "48 b8 08 07 06 05 04 03 02 01", "mov rax, 0x102030405060708"},
	{8, "48 a1 08 07 06 05 04 03 02 01", "mov rax, qword ptr [0x102030405060708]"},
	{8, "f3 a4", "rep movsb byte ptr es:[rdi], byte ptr [rsi]"},
	{8, "f2 ae", "repne scasb al, byte ptr es:[rdi]"},
	{8, "e8 fb ff ff ff", "call 0x1000"},
	{8, "66 e9 00 00 00 00", "jmp 0x1006"},
	{8, "67 e3 02", "jecxz 0x1005"},
	{8, "66 98", "cbw"},
	{8, "98", "cwde"},
	{8, "48 98", "cdqe"},
	{8, "c8 10 00 01", "enter 0x10, 0x1"},
	{8, "d1 e0", "shl eax, 1"},
	{8, "0f 20 c0", "mov rax, cr0"},
	{8, "44 0f 22 c0", "mov cr8, rax"},
	{8, "d9 c1", "fld st(1)"},
	{8, "66 0f 6e c0", "movd xmm0, eax"},
	{8, "66 48 0f 6e c0", "movq xmm0, rax"},
	{8, "0f c7 0f", "cmpxchg8b qword ptr [rdi]"},
	{8, "48 0f c7 0f", "cmpxchg16b xmmword ptr [rdi]"},
	{8, "c5 f8 77", "vzeroupper"},
	{8, "c4 e3 7d 4a c1 10", "vblendvps ymm0, ymm0, ymm1, ymm1"},
	{8, "c4 e2 e9 92 0c c5 00 00 00 00", "vgatherdpd xmm1, qword ptr [xmm0*8], xmm2"},
	{8, "62 f1 7c 99 58 00", "vaddps xmm0{k1}{z}, xmm0, dword ptr [rax]{1to4}"},
	{8, "62 f1 7c 18 58 c1", "vaddps zmm0, zmm0, zmm1, {rn-sae}"},
	{8, "62 f1 7c 48 58 40 01", "vaddps zmm0, zmm0, zmmword ptr [rax+0x40]"},
	{8, "62 a1 7c 40 58 c1", "vaddps zmm16, zmm16, zmm17"},
	{8, "62 f2 fd 49 90 0c c5 00 00 00 00", "vpgatherdq zmm1{k1}, qword ptr [ymm0*8]"},
	{4, "ea 00 00 00 00 08 00", "jmp far 0x8:0x0"},
	{4, "62 01", "bound eax, qword ptr [ecx]"},
	{4, "c5 08", "lds ecx, fword ptr [eax]"},
	{4, "66 60", "pusha"},
	{4, "26 a1 10 00 00 00", "mov eax, dword ptr es:[0x10]"},
	{4, "67 8b 46 fe", "mov eax, dword ptr [bp-0x2]"},
	{4, "89 e5", "mov ebp, esp"},
	{2, "66 0f b7 00", "movzx eax, word ptr [bx+si]"},
	{2, "67 66 8b 84 88 00 01 00 00", "mov eax, dword ptr [eax+ecx*4+0x100]"},
	{2, "9a 34 12 78 56", "call far 0x5678:0x1234"},
};

static void instructions_read_as_intel_writes_them(void **state)
{
	(void)state;
	for (size_t k = 0; k < ARRAY_LEN(samples); k++) {
		struct insn i = decoded(samples[k].hex, samples[k].mode);
		struct strbuf text = {0};

		insn_show(&i, 0x1000, &text);
		assert_string_equal(strbuf_str(&text), samples[k].text);
		strbuf_exit(&text);
	}
}

static void an_instruction_that_is_cut_anywhere_is_short(void **state)
{
	(void)state;
	for (size_t k = 0; k < ARRAY_LEN(samples); k++) {
		uint8_t b[INSN_MAX];
		unsigned n = bytes_of(samples[k].hex, b, sizeof(b));
		struct insn i;

		for (unsigned cut = 0; cut < n; cut++) {
			int r = decode_n(b, cut, samples[k].mode, &all, &i);

			if (r != INSN_SHORT)
				fail_msg("%s cut to %u bytes: %d", samples[k].hex, cut, r);
		}
		assert_int_equal(decode_n(b, n, samples[k].mode, &all, &i), 0);
		assert_int_equal(i.len, n);
	}
}

/* Bytes and a mode. */
struct string {
	unsigned mode;
	const char *hex;
};

static void bytes_that_nothing_can_complete_are_invalid_at_once(void **state)
{
	static const struct string bad[] = {
		{8, "06"},	    /* PUSH ES */
		{8, "0f 04"},	    /* no such opcode */
		{8, "f0 90"},	    /* LOCK NOP */
		{8, "f0 0f 38"},    /* nothing there can be locked */
		{8, "66 c5"},	    /* VEX behind 66 */
		{8, "48 c5"},	    /* ... behind REX */
		{8, "f3 62"},	    /* EVEX behind F3 */
		{8, "c4 e0"},	    /* VEX map 0 */
		{8, "c4 e4"},	    /* ... 4 */
		{8, "62 f0"},	    /* EVEX map 0 */
		{8, "62 f9"},	    /* a reserved bit */
		{8, "62 f1 78"},    /* EVEX with its fixed bit clear */
		{4, "c5 f9 77"},    /* VZEROUPPER has no 66 */
		{8, "8c f0"},	    /* segment register 6 */
		{8, "8e c8"},	    /* MOV to CS */
		{8, "0f 20 08"},    /* CR1 */
		{8, "44 0f 21 00"}, /* DR8 */
	};
	static const struct string open[] = {
		{8, ""},      {8, "66"},       {8, "f0"},    {8, "f0 0f"}, {8, "c4"},
		{8, "c5 f8"}, {8, "62 f1 7c"}, {4, "66 c5"}, {8, "0f ff"}, {8, "80"},
	};

	(void)state;
	for (size_t k = 0; k < ARRAY_LEN(bad); k++)
		assert_result(bad[k].hex, bad[k].mode, INSN_INVALID);
	for (size_t k = 0; k < ARRAY_LEN(open); k++)
		assert_result(open[k].hex, open[k].mode, INSN_SHORT);
}

static void fifteen_bytes_are_the_most(void **state)
{
	(void)state;
	assert_int_equal(decoded("66 66 66 66 66 66 66 66 66 66 66 66 66 66 90", 8).len, 15);
	assert_result("66 66 66 66 66 66 66 66 66 66 66 66 66 66 66 90", 8, INSN_LONG);
	assert_result("66 66 66 66 66 66 66 66 66 66 66 66 66 66 66 66", 4, INSN_LONG);
	assert_result("2e 2e 2e 2e 2e 2e 2e 2e 2e 2e 2e b8 00 00 00 00", 8, INSN_LONG);
	assert_int_equal(decoded("2e 2e 2e 2e 2e 2e 2e 2e 2e 2e b8 00 00 00 00", 8).len, 15);
	/* 14 bytes there: only one of the instructions that fit into 15 could follow. */
	assert_result("66 66 66 66 66 66 66 66 66 66 66 66 66 66", 8, INSN_SHORT);
	assert_result("66 66 66 66 66 66 66 66 66 66 66 66 66 0f", 8, INSN_SHORT);
	/* It will be too long, or no instruction at all. */
	assert_result("66 66 66 66 66 66 66 66 66 66 66 66 0f 38", 8, INSN_SHORT);
	/* What is wrong for another reason within 15 bytes is invalid. */
	assert_result("66 66 66 66 66 66 66 66 66 66 66 66 66 66 06", 8, INSN_INVALID);
}

static void lock_is_for_read_modify_write_of_memory(void **state)
{
	static const struct string good[] = {
		{8, "f0 01 07"},       {8, "f0 0f b1 0f"}, {8, "f0 48 0f c7 0f"}, {8, "f0 fe 07"},
		{8, "f0 0f ba 2f 01"}, {4, "f0 87 07"},	   {2, "f0 f7 17"},
	};
	static const struct string bad[] = {
		{8, "f0 01 c7"},       /* to a register */
		{8, "f0 03 07"},       /* memory is the source */
		{8, "f0 39 07"},       /* CMP */
		{8, "f0 85 07"},       /* TEST */
		{8, "f0 89 07"},       /* MOV */
		{8, "f0 0f ba 27 01"}, /* BT */
		{8, "f0 0f 58 07"},    /* ADDPS */
		{8, "f0 c5 f8 58 07"}, /* VEX */
	};

	(void)state;
	for (size_t k = 0; k < ARRAY_LEN(good); k++)
		decoded(good[k].hex, good[k].mode);
	for (size_t k = 0; k < ARRAY_LEN(bad); k++)
		assert_result(bad[k].hex, bad[k].mode, INSN_INVALID);
}

static void the_last_prefix_of_a_group_wins(void **state)
{
	struct insn i = decoded("f2 f3 0f 10 c1", 8);

	(void)state;
	assert_string_equal(insn_table[i.row].name, "movss");
	i = decoded("f3 f2 66 0f 10 c1", 8);
	assert_string_equal(insn_table[i.row].name, "movsd");
	i = decoded("2e 64 8b 00", 4);
	assert_int_equal(i.seg, X86_FS);
	i = decoded("64 2e 8b 00", 4);
	assert_int_equal(i.seg, X86_CS);
	i = decoded("64 2e 8b 00", 8); /* CS does not count in 64-bit code */
	assert_int_equal(i.seg, X86_FS);
	i = decoded("48 66 8b 00", 8); /* REX does not count in front of another prefix */
	assert_int_equal(i.osize, 2);
	i = decoded("66 48 8b 00", 8);
	assert_int_equal(i.osize, 8);
	i = decoded("48 41 8b 00", 8);
	assert_int_equal(i.osize, 4);
	assert_int_equal(i.base, 8);
}

static void operand_sizes_follow_mode_and_prefixes(void **state)
{
	static const struct {
		unsigned mode, osize;
		const char *hex;
	} sizes[] = {
		{8, 4, "01 c0"},    {8, 2, "66 01 c0"}, {8, 8, "48 01 c0"}, {8, 8, "66 48 01 c0"},
		{8, 8, "50"},	    {8, 2, "66 50"},	{8, 8, "66 48 50"}, {8, 8, "c3"},
		{8, 8, "66 c3"},    {8, 8, "ff d0"},	{8, 8, "66 ff d0"}, {8, 4, "cb"},
		{8, 8, "48 cb"},    {8, 4, "cf"},	{8, 8, "48 cf"},    {4, 4, "01 c0"},
		{4, 2, "66 01 c0"}, {2, 2, "01 c0"},	{2, 4, "66 01 c0"}, {4, 4, "c3"},
		{4, 2, "66 c3"},    {2, 4, "66 c3"},	{8, 8, "9c"},	    {8, 2, "66 9c"},
	};

	(void)state;
	for (size_t k = 0; k < ARRAY_LEN(sizes); k++)
		assert_int_equal(decoded(sizes[k].hex, sizes[k].mode).osize, sizes[k].osize);
	assert_int_equal(decoded("0f 20 c0", 4).op[0].size, 4);
	assert_int_equal(decoded("66 0f 20 c0", 2).op[0].size, 4);
	assert_int_equal(decoded("8c c0", 8).op[0].size, 4);
	assert_int_equal(decoded("48 8c 00", 8).op[0].size, 2);
	assert_int_equal(decoded("0f 01 10", 8).op[0].size, 10);
	assert_int_equal(decoded("0f 01 10", 2).op[0].size, 6);
}

static void assert_memory(const char *hex, unsigned mode, struct insn want)
{
	struct insn i = decoded(hex, mode);

	if (i.base != want.base || i.index != want.index || i.scale != want.scale ||
	    i.disp != want.disp || i.seg != want.seg || i.asize != want.asize)
		fail_msg("%s: base %u, index %u, scale %u, disp %lld, seg %u, asize %u", hex,
			 i.base, i.index, i.scale, (long long)i.disp, i.seg, i.asize);
}

#define MEM(b, x, s, d, sg, a)                                                                  \
	(struct insn)                                                                           \
	{                                                                                       \
		.base = (b), .index = (x), .scale = (s), .disp = (d), .seg = (sg), .asize = (a) \
	}
#define NONE INSN_NOREG

static void memory_operands_are_resolved(void **state)
{
	(void)state;
	assert_memory("8b 00", 8, MEM(0, NONE, 0, 0, X86_DS, 8));
	assert_memory("8b 45 fc", 8, MEM(5, NONE, 0, -4, X86_SS, 8));
	assert_memory("41 8b 45 fc", 8, MEM(13, NONE, 0, -4, X86_DS, 8));
	assert_memory("8b 04 24", 8, MEM(4, NONE, 0, 0, X86_SS, 8));
	assert_memory("41 8b 04 24", 8, MEM(12, NONE, 0, 0, X86_DS, 8));
	assert_memory("42 8b 04 60", 8, MEM(0, 12, 1, 0, X86_DS, 8));
	assert_memory("8b 04 e5 10 00 00 00", 8, MEM(NONE, NONE, 3, 16, X86_DS, 8));
	assert_memory("8b 05 f0 ff ff ff", 8, MEM(INSN_RIP, NONE, 0, -16, X86_DS, 8));
	assert_memory("67 8b 05 f0 ff ff ff", 8, MEM(INSN_RIP, NONE, 0, -16, X86_DS, 4));
	assert_memory("8b 05 f0 ff ff ff", 4, MEM(NONE, NONE, 0, -16, X86_DS, 4));
	assert_memory("65 8b 04 24", 8, MEM(4, NONE, 0, 0, X86_GS, 8));
	assert_memory("36 8b 00", 8, MEM(0, NONE, 0, 0, X86_DS, 8));
	assert_memory("36 8b 00", 4, MEM(0, NONE, 0, 0, X86_SS, 4));
	assert_memory("8b 00", 2, MEM(3, 6, 0, 0, X86_DS, 2));
	assert_memory("8b 42 80", 2, MEM(5, 6, 0, -128, X86_SS, 2));
	assert_memory("8b 06 34 12", 2, MEM(NONE, NONE, 0, 0x1234, X86_DS, 2));
	assert_memory("8b 07", 2, MEM(3, NONE, 0, 0, X86_DS, 2));
	assert_memory("67 8b 45 00", 2, MEM(5, NONE, 0, 0, X86_SS, 4));
	assert_memory("a1 f0 ff ff ff", 4, MEM(NONE, NONE, 0, 0xfffffff0, X86_DS, 4));
	assert_memory("67 a1 f0 ff ff ff", 8, MEM(NONE, NONE, 0, 0xfffffff0, X86_DS, 4));
	/* disp8 counts vectors, or elements that are broadcast, or scalars (SDM 2A §2.7.5). */
	assert_memory("62 f1 7c 48 58 40 ff", 8, MEM(0, NONE, 0, -64, X86_DS, 8));
	assert_memory("62 f1 7c 28 58 40 ff", 8, MEM(0, NONE, 0, -32, X86_DS, 8));
	assert_memory("62 f1 7c 58 58 40 ff", 8, MEM(0, NONE, 0, -4, X86_DS, 8));
	assert_memory("62 f1 fd 58 58 40 ff", 8, MEM(0, NONE, 0, -8, X86_DS, 8));
	assert_memory("62 f1 7e 08 58 40 ff", 8, MEM(0, NONE, 0, -4, X86_DS, 8));
	assert_memory("62 f1 7c 48 5a 40 ff", 8, MEM(0, NONE, 0, -32, X86_DS, 8));
	assert_memory("62 f1 7c 48 58 80 ff ff ff ff", 8, MEM(0, NONE, 0, -1, X86_DS, 8));
	assert_memory("62 f2 7d 48 21 40 02", 8, MEM(0, NONE, 0, 32, X86_DS, 8));
}

static void immediates_are_extended_as_they_mean(void **state)
{
	struct insn i;

	(void)state;
	assert_int_equal(decoded("83 c0 80", 8).imm, -128);
	assert_int_equal(decoded("48 05 00 00 00 80", 8).imm, INT64_C(-0x80000000));
	assert_true(decoded("48 b8 01 02 03 04 05 06 07 88", 8).imm ==
		    (int64_t)UINT64_C(0x8807060504030201));
	assert_int_equal(decoded("66 b8 fe ff", 8).imm, -2);
	assert_int_equal(decoded("cd 80", 8).imm, 0x80);
	assert_int_equal(decoded("e4 ff", 8).imm, 0xff);
	assert_int_equal(decoded("c2 fe ff", 8).imm, 0xfffe);
	assert_int_equal(decoded("c1 e0 ff", 8).imm, 0xff);
	assert_int_equal(decoded("eb fe", 8).imm, -2);
	i = decoded("c8 00 80 1f", 8);
	assert_int_equal(i.imm, 0x8000);
	assert_int_equal(i.imm2, 0x1f);
	assert_int_equal(i.op[1].wide, 1);
	i = decoded("ea f0 ff ff ff 10 80", 4);
	assert_true(i.imm == 0xfffffff0 && i.imm2 == 0x8010);
}

static void vector_prefixes_are_checked(void **state)
{
	static const struct string bad[] = {
		{8, "c5 f0 28 c1"},			 /* vvvv given where it is not used */
		{8, "c5 fd 6e c0"},			 /* L1 where L0 must be */
		{8, "c4 e2 fd 18 00"},			 /* W1 where W0 must be */
		{8, "c4 e2 f1 92 0c c5 00 00 00 00"},	 /* destination is the mask */
		{8, "c4 e2 69 90 0c c8"},		 /* index is the destination */
		{8, "62 f1 7c c8 58 c1"},		 /* z with k0 */
		{8, "62 f1 7c c9 11 00"},		 /* z with a memory destination */
		{8, "62 f1 7d 49 e7 00"},		 /* a mask where there is none */
		{8, "62 f1 7c 58 10 00"},		 /* b without broadcast */
		{8, "62 f1 7c 58 10 c0"},		 /* b without rounding */
		{8, "62 f1 7c 68 58 c1"},		 /* L'L = 3 */
		{8, "62 f1 7c 40 51 c1"},		 /* V' where vvvv is not used */
		{8, "62 f2 fd 48 90 0c c5 00 00 00 00"}, /* gather with k0 */
		{8, "62 f2 fd 49 90 08"},		 /* gather without SIB */
		{8, "62 71 6d 48 74 c1"},		 /* an opmask above k7 */
		{4, "62 f1 7c 40 58 c1"},		 /* V' outside 64-bit mode */
		{4, "67 c4 e2 e9 92 08"},		 /* gather with 16-bit addresses */
	};

	(void)state;
	for (size_t k = 0; k < ARRAY_LEN(bad); k++)
		assert_result(bad[k].hex, bad[k].mode, INSN_INVALID);
	/* With rounding L'L is not a length. */
	assert_int_equal(decoded("62 f1 7c 78 58 c1", 8).rounding, 3);
	assert_int_equal(decoded("62 f1 7c 78 58 c1", 8).vl, 64);
	/* Outside 64-bit mode fewer bits of register numbers are looked at. */
	assert_int_equal(decoded("c4 c1 38 58 c1", 4).op[1].reg, 0);
	assert_int_equal(decoded("c4 c1 38 58 c1", 4).op[2].reg, 1);
	assert_int_equal(decoded("62 e1 7c 48 58 c1", 4).op[0].reg, 0);
}

static const char *name_with(const char *hex, struct insn_features f)
{
	uint8_t b[INSN_MAX];
	unsigned n = bytes_of(hex, b, sizeof(b));
	struct insn i;

	return decode_n(b, n, 8, &f, &i) ? "invalid" : insn_table[i.row].name;
}

static struct insn_features without(enum insn_feature x)
{
	struct insn_features f = all;

	f.bits[x / 64] &= ~(UINT64_C(1) << x % 64);
	return f;
}

static void what_cpuid_does_not_show_is_invalid_or_another(void **state)
{
	static const struct insn_features base = {{1u << F_BASE}};

	(void)state;
	assert_string_equal(name_with("f3 0f bc c1", all), "tzcnt");
	assert_string_equal(name_with("f3 0f bc c1", without(F_BMI1)), "bsf");
	assert_string_equal(name_with("f3 0f bd c1", without(F_LZCNT)), "bsr");
	assert_string_equal(name_with("f3 0f b8 c1", without(F_POPCNT)), "invalid");
	assert_string_equal(name_with("f3 0f 1e fa", base), "endbr64");
	assert_string_equal(name_with("0f 0d 08", base), "prefetchw");
	assert_string_equal(name_with("0f 1f 00", base), "nop");
	assert_string_equal(name_with("0f 58 c1", without(F_SSE)), "invalid");
	assert_string_equal(name_with("c5 f8 58 c1", without(F_AVX)), "invalid");
	assert_string_equal(name_with("c5 fd fe c1", without(F_AVX2)), "invalid");
	assert_string_equal(name_with("c5 f9 fe c1", without(F_AVX2)), "vpaddd");
	assert_string_equal(name_with("c4 e2 79 dc c1", without(F_AVX)), "invalid");
	assert_string_equal(name_with("62 f1 7c 48 58 c1", without(F_AVX512F)), "invalid");
	assert_string_equal(name_with("62 f1 7c 28 58 c1", without(F_AVX512VL)), "invalid");
	assert_string_equal(name_with("62 f1 7c 48 58 c1", without(F_AVX512VL)), "vaddps");
	assert_string_equal(name_with("62 f1 7e 08 58 c1", without(F_AVX512VL)), "vaddss");
	assert_string_equal(name_with("9e", without(F_LAHF64)), "invalid");
}

static void features_come_from_cpuid(void **state)
{
	static const struct x86_cpuid leaves[] = {
		{.leaf = 1, .ecx = 1u << 23 | 1u << 28, .edx = 1u << 0 | 1u << 26},
		{.leaf = 7, .subleaf = 0, .indexed = true, .ebx = 1u << 8, .edx = 1u << 14},
		{.leaf = 7, .subleaf = 1, .indexed = true, .eax = 1u << 5},
		{.leaf = 0xd, .subleaf = 1, .indexed = true, .eax = 1u << 3},
		{.leaf = 0x80000001, .ecx = 1u << 5, .edx = 1u << 27},
	};
	static const enum insn_feature there[] = {F_BASE,   F_POPCNT, F_AVX,	   F_FPU,
						  F_SSE2,   F_BMI2,   F_SERIALIZE, F_AVX512BF16,
						  F_XSAVES, F_LZCNT,  F_RDTSCP};
	struct insn_features f;
	unsigned n = 0;

	(void)state;
	insn_features_from_cpuid(leaves, ARRAY_LEN(leaves), &f);
	for (size_t k = 0; k < ARRAY_LEN(there); k++)
		assert_true(insn_has(&f, there[k]));
	for (unsigned k = 0; k < INSN_FEATURE_COUNT; k++)
		n += insn_has(&f, (enum insn_feature)k);
	assert_int_equal(n, ARRAY_LEN(there));
	insn_features_from_cpuid(NULL, 0, &f);
	assert_true(insn_has(&f, F_BASE) && !insn_has(&f, F_FPU));
}

/* Rows that no string of bytes can tell apart. */
static bool rows_collide(const struct insn_row *a, const struct insn_row *b)
{
	const uint32_t apart = A_I64 | A_O64 | A_NOREXB;

	return a->map == b->map && a->op == b->op && a->pfx == b->pfx && a->mod == b->mod &&
	       a->wl == b->wl && a->feature == b->feature && !((a->attr ^ b->attr) & apart);
}

static void no_opcode_is_listed_twice(void **state)
{
	(void)state;
	for (unsigned k = 0; k < insn_rows; k++)
		for (unsigned j = k + 1; j < insn_rows; j++)
			if (rows_collide(&insn_table[k], &insn_table[j]))
				fail_msg("rows %u and %u: %s and %s", k, j, insn_table[k].name,
					 insn_table[j].name);
}

static void rows_are_sound(void **state)
{
	(void)state;
	for (unsigned k = 0; k < insn_rows; k++) {
		const struct insn_row *r = &insn_table[k];

		if (!r->exec || r->fl_written & r->fl_undef || r->n_ops > INSN_OPS)
			fail_msg("row %u, %s: meaning, flags or operands", k, r->name);
		for (unsigned n = 0; n < INSN_OPS; n++)
			if ((n < r->n_ops) != (insn_operand_code(&r->ops[n])[0] != '\0'))
				fail_msg("row %u, %s: operand %u has no code", k, r->name, n);
		if ((r->exec == exec_pure) != ((r->attr & A_PURE) != 0))
			fail_msg("row %u, %s: A_PURE is for exec_pure", k, r->name);
		if (r->attr & A_BC32 && r->attr & A_BC64)
			fail_msg("row %u, %s: two broadcasts", k, r->name);
	}
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(instructions_read_as_intel_writes_them),
		cmocka_unit_test(an_instruction_that_is_cut_anywhere_is_short),
		cmocka_unit_test(bytes_that_nothing_can_complete_are_invalid_at_once),
		cmocka_unit_test(fifteen_bytes_are_the_most),
		cmocka_unit_test(lock_is_for_read_modify_write_of_memory),
		cmocka_unit_test(the_last_prefix_of_a_group_wins),
		cmocka_unit_test(operand_sizes_follow_mode_and_prefixes),
		cmocka_unit_test(memory_operands_are_resolved),
		cmocka_unit_test(immediates_are_extended_as_they_mean),
		cmocka_unit_test(vector_prefixes_are_checked),
		cmocka_unit_test(what_cpuid_does_not_show_is_invalid_or_another),
		cmocka_unit_test(features_come_from_cpuid),
		cmocka_unit_test(no_opcode_is_listed_twice),
		cmocka_unit_test(rows_are_sound),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
