/*
 * The decoder against Zydis, another decoder of x86: byte strings of two kinds in three modes must
 * be valid for both or for none, of the same length, and with the same operands.
 *
 *	zydis [STRINGS [SEED]]
 *
 * Where the two may differ is in the tables below, with the reason.  Lodge's decoder is given every
 * feature it knows.
 */
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "accel/bt/exec.h"
#include "forge.h"

#ifdef HAVE_ZYDIS
#include <Zydis/Zydis.h>

#include "arch/x86/vcpu.h"
#include "base/str.h"

/* Instruction sets that Lodge gives no guest: instructions that only Zydis decodes. */
static const struct {
	const char *set; /* pattern of Zydis' ISA set */
	const char *why;
} foreign[] = {
	{"AMX_*", "tiles: CPUID does not show them"},
	{"AVX512_FP16*", "half precision: CPUID does not show it"},
	{"AVX512_VP2INTERSECT_*", "CPUID does not show it"},
	{"AVX512ER_*", "Xeon Phi only"},
	{"AVX512PF_*", "Xeon Phi only"},
	{"AVX512_4FMAPS_*", "Xeon Phi only"},
	{"AVX512_4VNNIW_*", "Xeon Phi only"},
	{"KNC*", "Xeon Phi only"},
	{"AMD3DNOW*", "AMD, withdrawn"},
	{"TBM", "AMD, withdrawn"},
	{"XOP*", "AMD, withdrawn"},
	{"FMA4", "AMD, withdrawn"},
	{"LWP", "AMD, withdrawn"},
	{"SSE4A", "AMD only: CPUID does not show it"},
	{"SVM", "a guest cannot be a host"},
	{"VTX", "a guest cannot be a host"},
	{"VMFUNC", "a guest cannot be a host"},
	{"SMX", "measured launch: CPUID does not show it"},
	{"SGX*", "enclaves: CPUID does not show them"},
	{"TDX", "CPUID does not show it"},
	{"SNP", "CPUID does not show it"},
	{"AMD_INVLPGB", "CPUID does not show it"},
	{"MCOMMIT", "CPUID does not show it"},
	{"MONITORX", "CPUID does not show it"},
	{"CLZERO", "CPUID does not show it"},
	{"RDPRU", "CPUID does not show it"},
	{"PADLOCK_*", "VIA only"},
	{"KEYLOCKER*", "CPUID does not show it"},
	{"CET", "shadow stacks: CPUID does not show them; ENDBR is a no-operation"},
	{"MPX", "withdrawn: CPUID does not show it"},
	{"RTM", "transactions: CPUID does not show them"},
	{"TSX_LDTRK", "transactions: CPUID does not show them"},
	{"WAITPKG", "CPUID does not show it"},
	{"ENQCMD", "CPUID does not show it"},
	{"UINTR", "CPUID does not show it"},
	{"HRESET", "CPUID does not show it"},
	{"PCONFIG", "CPUID does not show it"},
	{"PT", "PTWRITE: CPUID does not show it"},
};

static bool is_foreign(const ZydisDecodedInstruction *z)
{
	const char *set = ZydisISASetGetString(z->meta.isa_set);

	for (size_t k = 0; k < ARRAY_LEN(foreign); k++)
		if (str_match(foreign[k].set, set))
			return true;
	return false;
}

/* Instructions that only Lodge decodes, or whose operands it lists otherwise. */
static bool is_ours(const struct insn *i)
{
	const struct insn_row *r = &insn_table[i->row];

	/*
	 * VCVTSI2SD and VCVTUSI2SD of EVEX.W1 with rounding, outside 64-bit mode: Zydis takes W for
	 * 0, whose exact conversion allows no rounding in its tables.  A Xeon of 2023 executes it.
	 */
	return r->map == MAP_E0F && r->pfx == PF2 && (r->op == 0x2a || r->op == 0x7b) &&
	       i->mode != 8 && i->evex_b && i->prefixes & INSN_REX_W;
}

/* Operands. ---------------------------------------------------------------------------------- */

struct reg {
	unsigned kind, number;
};

static struct reg reg_of(ZydisRegister r)
{
	static const struct {
		ZydisRegister first, last;
		uint8_t kind, from;
	} ranges[] = {
		{ZYDIS_REGISTER_AL, ZYDIS_REGISTER_BL, OP_REG, 0},
		{ZYDIS_REGISTER_AH, ZYDIS_REGISTER_BH, OP_HIGH, 0},
		{ZYDIS_REGISTER_SPL, ZYDIS_REGISTER_R15B, OP_REG, 4},
		{ZYDIS_REGISTER_AX, ZYDIS_REGISTER_R15W, OP_REG, 0},
		{ZYDIS_REGISTER_EAX, ZYDIS_REGISTER_R15D, OP_REG, 0},
		{ZYDIS_REGISTER_RAX, ZYDIS_REGISTER_R15, OP_REG, 0},
		{ZYDIS_REGISTER_ST0, ZYDIS_REGISTER_ST7, OP_ST, 0},
		{ZYDIS_REGISTER_MM0, ZYDIS_REGISTER_MM7, OP_MMX, 0},
		{ZYDIS_REGISTER_XMM0, ZYDIS_REGISTER_XMM31, OP_VEC, 0},
		{ZYDIS_REGISTER_YMM0, ZYDIS_REGISTER_YMM31, OP_VEC, 0},
		{ZYDIS_REGISTER_ZMM0, ZYDIS_REGISTER_ZMM31, OP_VEC, 0},
		{ZYDIS_REGISTER_ES, ZYDIS_REGISTER_GS, OP_SEG, 0},
		{ZYDIS_REGISTER_CR0, ZYDIS_REGISTER_CR15, OP_CR, 0},
		{ZYDIS_REGISTER_DR0, ZYDIS_REGISTER_DR15, OP_DR, 0},
		{ZYDIS_REGISTER_K0, ZYDIS_REGISTER_K7, OP_K, 0},
	};

	for (size_t k = 0; k < ARRAY_LEN(ranges); k++)
		if (r >= ranges[k].first && r <= ranges[k].last)
			return (struct reg){ranges[k].kind, r - ranges[k].first + ranges[k].from};
	return (struct reg){OP_NONE, r};
}

static const char *register_differs(const struct insn_op *o, const ZydisDecodedOperand *z)
{
	struct reg r = reg_of(z->reg.value);
	unsigned bytes = ZydisRegisterGetWidth(ZYDIS_MACHINE_MODE_LONG_64, z->reg.value) / 8;

	if (r.kind != o->kind || r.number != o->reg)
		return "register";
	if ((o->kind == OP_REG || o->kind == OP_HIGH) && bytes != o->size)
		return "size of a register";
	if (o->kind == OP_VEC && bytes != (o->size < 16 ? 16 : o->size))
		return "length of a vector";
	return NULL;
}

static const char *index_differs(const struct insn *i, const struct insn_op *o,
				 const ZydisDecodedOperand *z)
{
	struct reg r = reg_of(z->mem.index);

	if (z->mem.index == ZYDIS_REGISTER_NONE)
		return i->index == INSN_NOREG ? NULL : "index";
	if (r.number != i->index || r.kind != (o->reg ? OP_VEC : OP_REG))
		return "index";
	if (o->reg && ZydisRegisterGetWidth(ZYDIS_MACHINE_MODE_LONG_64, z->mem.index) != o->reg * 8)
		return "length of the index vector";
	return z->mem.scale == 1u << i->scale ? NULL : "scale";
}

/* Memory operands whose size is a matter of view. */
static bool size_is_argued(const struct insn *i)
{
	const struct insn_row *r = &insn_table[i->row];

	/* A byte for Lodge, its cache line for Zydis. */
	if (r->exec == exec_clflush)
		return true;
	/* One element, as disp8 counts them, or all that may be there. */
	if (r->exec == exec_vexpand || r->exec == exec_vcompress)
		return true;
	/* MOVSXD of 16 bits: SDM 2B has r16, r/m16, and a Xeon of 2023 reads two bytes. */
	return r->op == 0x63 && r->map == MAP_1 && i->osize == 2;
}

/*
 * A SIB byte without base, REX.B set and addresses of 32 bits: SDM 2A table 2-5 says that REX.B is
 * not looked at, and a Xeon of 2023 does not.  Zydis 4.0 gives r13d and forgets the displacement;
 * not so with REX.B clear or addresses of 64 bits.
 */
static bool address_is_argued(const struct insn *i, const ZydisDecodedOperand *z)
{
	return i->asize == 4 && i->mode == 8 && i->base == INSN_NOREG &&
	       z->mem.base == ZYDIS_REGISTER_R13D;
}

/* DS in front of CALL and JMP through memory also means NOTRACK; Zydis then forgets DS. */
static bool segment_is_argued(const struct insn *i)
{
	const struct insn_row *r = &insn_table[i->row];

	return i->seg == X86_DS && (r->exec == exec_call || r->exec == exec_jmp);
}

/* Memory by ModRM, moffs, or a string instruction's. */
static const char *memory_differs(const struct insn *i, const struct insn_op *o,
				  const struct insn_spec *s, const ZydisDecodedOperand *z)
{
	uint64_t mask = i->asize == 8 ? UINT64_MAX : (UINT64_C(1) << i->asize * 8) - 1;
	bool string = s->where == AT_SI || s->where == AT_DI;
	unsigned base = string ? o->reg : i->base;
	uint8_t seg = s->where == AT_DI ? X86_ES : i->seg;
	const char *why;

	if (z->mem.base == ZYDIS_REGISTER_RIP || z->mem.base == ZYDIS_REGISTER_EIP) {
		if (base != INSN_RIP)
			return "base";
	} else if (z->mem.base == ZYDIS_REGISTER_NONE ? base != INSN_NOREG
						      : reg_of(z->mem.base).number != base) {
		return address_is_argued(i, z) ? NULL : "base";
	}
	/* In 64-bit mode only FS and GS matter; Zydis names what the prefixes say, but for LEA. */
	if (reg_of(z->mem.segment).number != seg && (i->mode != 8 || seg >= X86_FS) &&
	    z->mem.type == ZYDIS_MEMOP_TYPE_MEM && !segment_is_argued(i))
		return "segment";
	if (!string) {
		why = index_differs(i, o, z);
		if (why)
			return why;
		if (((uint64_t)z->mem.disp.value ^ (uint64_t)i->disp) & mask)
			return "displacement";
	}
	if (o->size && z->mem.type == ZYDIS_MEMOP_TYPE_MEM && !i->evex_b &&
	    z->size != o->size * 8 && !size_is_argued(i))
		return "size of memory";
	return NULL;
}

static const char *immediate_differs(const struct insn *i, const struct insn_op *o,
				     const ZydisDecodedOperand *z)
{
	uint64_t v = o->wide ? i->imm2 : (uint64_t)i->imm;
	uint64_t mask = z->size >= 64 ? UINT64_MAX : (UINT64_C(1) << z->size) - 1;

	if (z->type == ZYDIS_OPERAND_TYPE_POINTER)
		return z->ptr.segment == i->imm2 && z->ptr.offset == v ? NULL : "far pointer";
	return (z->imm.value.u ^ v) & mask ? "immediate" : NULL;
}

static const char *operand_differs(const struct insn *i, unsigned n, const ZydisDecodedOperand *z)
{
	const struct insn_op *o = &i->op[n];

	switch (o->kind) {
	case OP_MEM:
		if (z->type != ZYDIS_OPERAND_TYPE_MEMORY)
			return "not memory";
		return memory_differs(i, o, &insn_table[i->row].ops[n], z);
	case OP_IMM:
		if (z->type != ZYDIS_OPERAND_TYPE_IMMEDIATE &&
		    z->type != ZYDIS_OPERAND_TYPE_POINTER)
			return "not an immediate";
		return immediate_differs(i, o, z);
	default:
		return z->type == ZYDIS_OPERAND_TYPE_REGISTER ? register_differs(o, z)
							      : "not a register";
	}
}

/* Operands that are not written in assembly, or not always: Zydis hides them, or some of them. */
static bool is_implied(const struct insn_row *r)
{
	for (unsigned k = 0; k < r->n_ops; k++) {
		unsigned where = r->ops[k].where;

		if (where == AT_SI || where == AT_DI || where == AT_VFIXED)
			return true;
		if (where == AT_ST0 && (r->attr & (A_RW | A_RW1)) != A_RW)
			return true; /* comparisons and exchanges of x87 */
	}
	return false;
}

/* Each of the row's operands is among Zydis', in whatever order. */
static const char *implied_differ(const struct insn *i, const ZydisDecodedInstruction *z,
				  const ZydisDecodedOperand *zo)
{
	for (unsigned n = 0; n < insn_table[i->row].n_ops; n++) {
		unsigned k = 0;

		while (k < z->operand_count && operand_differs(i, n, &zo[k]))
			k++;
		if (k == z->operand_count)
			return "implied operand";
	}
	return NULL;
}

/* NULL: they are the same. */
static const char *operands_differ(const struct insn *i, const ZydisDecodedInstruction *z,
				   const ZydisDecodedOperand *zo)
{
	const struct insn_row *r = &insn_table[i->row];
	unsigned n = 0;

	/* Operands of no-operations and of UD0, UD1 mean nothing; manuals differ about them. */
	if (r->exec == exec_nop || r->exec == exec_ud)
		return NULL;
	if (is_implied(r))
		return implied_differ(i, z, zo);
	for (unsigned k = 0; k < z->operand_count; k++) {
		const char *why;

		if (zo[k].visibility == ZYDIS_OPERAND_VISIBILITY_HIDDEN)
			continue;
		if (zo[k].encoding == ZYDIS_OPERAND_ENCODING_MASK) {
			if (zo[k].reg.value - ZYDIS_REGISTER_K0 != i->mask)
				return "mask";
			continue;
		}
		if (n == r->n_ops)
			return "fewer operands";
		why = operand_differs(i, n++, &zo[k]);
		if (why)
			return why;
	}
	return n == r->n_ops ? NULL : "more operands";
}

/* Running. ----------------------------------------------------------------------------------- */

enum kind { FROM_ROWS, NOISE, KINDS };
static const unsigned modes[] = {8, 4, 2};

struct tally {
	unsigned long strings, valid, foreign, ours, differ;
};

static ZydisDecoder decoders[ARRAY_LEN(modes)];
static uint8_t met[4096];

static void show(const struct forge *f, const struct insn *i, int r, const char *why)
{
	struct strbuf text = {0};

	if (!r)
		insn_show(i, 0, &text);
	printf("    %u-bit code", i->mode * 8);
	for (unsigned k = 0; k < INSN_MAX; k++)
		printf(" %02x", f->b[k]);
	printf(": %s; Lodge: %d %s\n", why, r ? r : i->len, r ? "" : strbuf_str(&text));
	strbuf_exit(&text);
}

/* NULL: as it should be. */
static const char *compare(const struct forge *f, unsigned m, struct insn *i, int *r,
			   struct tally *t)
{
	static const struct insn_features all = {{UINT64_MAX, UINT64_MAX}};
	ZydisDecoderContext context;
	ZydisDecodedInstruction z;
	ZydisDecodedOperand zo[ZYDIS_MAX_OPERAND_COUNT];
	bool valid;

	t->strings++;
	*r = insn_decode(f->b, INSN_MAX, modes[m], &all, i);
	valid = ZYAN_SUCCESS(
		ZydisDecoderDecodeInstruction(&decoders[m], &context, f->b, INSN_MAX, &z));
	if (!*r)
		met[i->row] = 1;
	if (valid && is_foreign(&z)) {
		t->foreign++;
		return NULL;
	}
	if (!valid != (*r != 0)) {
		if (!*r && is_ours(i)) {
			t->ours++;
			return NULL;
		}
		return valid ? "only Zydis decodes it" : "only Lodge decodes it";
	}
	if (!valid)
		return NULL;
	t->valid++;
	if (z.length != i->len)
		return "length";
	if (!ZYAN_SUCCESS(
		    ZydisDecoderDecodeOperands(&decoders[m], &context, &z, zo, z.operand_count)))
		return "Zydis has no operands for it";
	return operands_differ(i, &z, zo);
}

static bool run(unsigned long strings, uint64_t seed, unsigned m, enum kind kind)
{
	struct forge f = {.seed = seed + 3 * m + kind + 1};
	struct tally t = {0};

	while (t.strings < strings) {
		const char *why;
		struct insn i;
		int r;

		if (kind == FROM_ROWS)
			forge_row(&f, &insn_table[forge_random(&f) % insn_rows], modes[m]);
		else
			forge_noise(&f);
		why = compare(&f, m, &i, &r, &t);
		if (why && t.differ++ < 10)
			show(&f, &i, r, why);
	}
	printf("    %lu strings, %lu valid for both, %lu of foreign sets, %lu that only Lodge "
	       "has\n",
	       t.strings, t.valid, t.foreign, t.ours);
	printf("%s: %s are the same in %u-bit code\n", t.differ ? "FAILED" : "ok",
	       kind == FROM_ROWS ? "strings made from the table" : "random bytes", modes[m] * 8);
	return !t.differ;
}

static bool all_met(void)
{
	unsigned missing = 0;

	for (unsigned k = 0; k < insn_rows; k++) {
		if (met[k])
			continue;
		missing++;
		printf("    row %u was never met: %s, opcode %02x\n", k, insn_table[k].name,
		       insn_table[k].op);
	}
	printf("%s: each of the %u rows was met\n", missing ? "FAILED" : "ok", insn_rows);
	return !missing;
}

int main(int argc, char **argv)
{
	unsigned long strings = argc > 1 ? strtoul(argv[1], NULL, 0) : 10000000;
	uint64_t seed = argc > 2 ? strtoull(argv[2], NULL, 0) : 0x10d9e;
	static const ZydisMachineMode machine[] = {ZYDIS_MACHINE_MODE_LONG_64,
						   ZYDIS_MACHINE_MODE_LEGACY_32,
						   ZYDIS_MACHINE_MODE_LEGACY_16};
	static const ZydisStackWidth stack[] = {ZYDIS_STACK_WIDTH_64, ZYDIS_STACK_WIDTH_32,
						ZYDIS_STACK_WIDTH_16};
	unsigned passed = 0, failed = 0;

	for (unsigned m = 0; m < ARRAY_LEN(modes); m++) {
		ZydisDecoderInit(&decoders[m], machine[m], stack[m]);
		ZydisDecoderEnableMode(&decoders[m], ZYDIS_DECODER_MODE_KNC, ZYAN_FALSE);
		ZydisDecoderEnableMode(&decoders[m], ZYDIS_DECODER_MODE_MPX, ZYAN_FALSE);
		for (unsigned kind = 0; kind < KINDS; kind++) {
			if (run(strings / 6 + 1, seed, m, kind))
				passed++;
			else
				failed++;
		}
	}
	if (all_met())
		passed++;
	else
		failed++;
	printf("%u passed, %u failed, 0 skipped\n", passed, failed);
	return failed != 0;
}

#else

int main(void)
{
	printf("skipped: the decoder against Zydis: libzydis-dev is not installed\n");
	printf("0 passed, 0 failed, 1 skipped\n");
	return 0;
}

#endif
