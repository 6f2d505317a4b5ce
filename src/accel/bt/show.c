/*
 * accel/bt/show.c - disassembler: a decoded instruction in Intel syntax, from its row and operands.
 */
#include <inttypes.h>
#include <string.h>

#include "accel/bt/insn.h"
#include "arch/x86/vcpu.h"
#include "base/compiler.h"
#include "base/str.h"

static const char *const segments[] = {"es", "cs", "ss", "ds", "fs", "gs"};

static void show_general(unsigned reg, unsigned size, struct strbuf *out)
{
	static const char names[8][3] = {"ax", "cx", "dx", "bx", "sp", "bp", "si", "di"};

	if (reg < 8) {
		if (size == 1)
			strbuf_printf(out, reg < 4 ? "%.1sl" : "%sl", names[reg]);
		else
			strbuf_printf(out, "%s%s",
				      size == 8	  ? "r"
				      : size == 4 ? "e"
						  : "",
				      names[reg]);
		return;
	}
	strbuf_printf(out, "r%u%s", reg, size == 1 ? "b" : size == 2 ? "w" : size == 4 ? "d" : "");
}

static const char *vector_letter(unsigned size)
{
	return size == 64 ? "z" : size == 32 ? "y" : "x";
}

static void show_number(int64_t v, struct strbuf *out)
{
	if (v < 0)
		strbuf_printf(out, "-0x%" PRIx64, -(uint64_t)v);
	else
		strbuf_printf(out, "0x%" PRIx64, (uint64_t)v);
}

static void show_size(unsigned size, struct strbuf *out)
{
	static const struct {
		uint8_t size;
		const char *name;
	} names[] = {
		{1, "byte"},   {2, "word"},	{4, "dword"},	 {6, "fword"},	  {8, "qword"},
		{10, "tbyte"}, {16, "xmmword"}, {32, "ymmword"}, {64, "zmmword"},
	};

	for (unsigned k = 0; k < ARRAY_LEN(names); k++)
		if (names[k].size == size)
			strbuf_printf(out, "%s ptr ", names[k].name);
}

/* The segment where it is not the one that would be taken without a prefix. */
static void show_segment(const struct insn *i, uint8_t usual, struct strbuf *out)
{
	if (i->seg != usual && i->seg < ARRAY_LEN(segments))
		strbuf_printf(out, "%s:", segments[i->seg]);
}

static void show_index(const struct insn *i, const struct insn_op *o, struct strbuf *out)
{
	if (o->reg)
		strbuf_printf(out, "%smm%u", vector_letter(o->reg), i->index);
	else
		show_general(i->index, i->asize, out);
	if (i->scale)
		strbuf_printf(out, "*%u", 1u << i->scale);
}

static void show_address(const struct insn *i, const struct insn_op *o, struct strbuf *out)
{
	bool any = i->base != INSN_NOREG || i->index != INSN_NOREG;

	show_segment(i, i->base == 4 || i->base == 5 ? X86_SS : X86_DS, out);
	strbuf_add(out, "[");
	if (i->base == INSN_RIP)
		strbuf_add(out, i->asize == 8 ? "rip" : "eip");
	else if (i->base != INSN_NOREG)
		show_general(i->base, i->asize, out);
	if (i->index != INSN_NOREG) {
		if (i->base != INSN_NOREG)
			strbuf_add(out, "+");
		show_index(i, o, out);
	}
	if (!any) {
		uint64_t mask = i->asize == 8 ? UINT64_MAX : (UINT64_C(1) << i->asize * 8) - 1;

		strbuf_printf(out, "0x%" PRIx64, (uint64_t)i->disp & mask);
	} else if (i->disp) {
		if (i->disp > 0)
			strbuf_add(out, "+");
		show_number(i->disp, out);
	}
	strbuf_add(out, "]");
}

static void show_memory(const struct insn *i, unsigned n, struct strbuf *out)
{
	const struct insn_op *o = &i->op[n];
	const struct insn_spec *s = &insn_table[i->row].ops[n];

	show_size(o->size, out);
	if (s->where == AT_SI || s->where == AT_DI) {
		if (s->where == AT_SI)
			show_segment(i, X86_DS, out);
		else
			strbuf_add(out, "es:");
		strbuf_add(out, "[");
		show_general(o->reg, i->asize, out);
		strbuf_add(out, "]");
		return;
	}
	show_address(i, o, out);
	if (i->evex_b) {
		unsigned full = s->size == SZ_H ? i->vl / 2u : i->vl;

		strbuf_printf(out, "{1to%u}", full / o->size);
	}
}

static void show_immediate(const struct insn *i, unsigned n, uint64_t ip, struct strbuf *out)
{
	const struct insn_spec *s = &insn_table[i->row].ops[n];
	uint64_t v = i->op[n].wide ? i->imm2 : (uint64_t)i->imm;
	unsigned size = n && i->op[0].kind <= OP_HIGH ? i->op[0].size : i->osize;

	if (s->where == AT_FAR) {
		strbuf_printf(out, "0x%x:0x%" PRIx64, i->imm2, v);
		return;
	}
	if (s->where == AT_REL) {
		v += ip + i->len;
		size = i->osize;
	}
	if (size < 8)
		v &= (UINT64_C(1) << size * 8) - 1;
	strbuf_printf(out, s->where == AT_ONE ? "%" PRIu64 : "0x%" PRIx64, v);
}

static void show_operand(const struct insn *i, unsigned n, uint64_t ip, struct strbuf *out)
{
	const struct insn_op *o = &i->op[n];

	switch (o->kind) {
	case OP_REG: show_general(o->reg, o->size, out); break;
	case OP_HIGH: strbuf_printf(out, "%ch", "acdb"[o->reg]); break;
	case OP_MEM: show_memory(i, n, out); break;
	case OP_IMM: show_immediate(i, n, ip, out); break;
	case OP_SEG: strbuf_add(out, segments[o->reg]); break;
	case OP_CR: strbuf_printf(out, "cr%u", o->reg); break;
	case OP_DR: strbuf_printf(out, "dr%u", o->reg); break;
	case OP_VEC: strbuf_printf(out, "%smm%u", vector_letter(o->size), o->reg); break;
	case OP_MMX: strbuf_printf(out, "mm%u", o->reg); break;
	case OP_K: strbuf_printf(out, "k%u", o->reg); break;
	case OP_ST: strbuf_printf(out, "st(%u)", o->reg); break;
	default: break;
	}
}

/* A name with bars has one part for each size. */
static void show_name(const struct insn *i, struct strbuf *out)
{
	const struct insn_row *r = &insn_table[i->row];
	unsigned size = r->ops[0].where == AT_REL ? i->asize : i->osize; /* JCXZ */
	const char *name = r->name, *end;

	if (i->prefixes & INSN_LOCK)
		strbuf_add(out, "lock ");
	if (i->prefixes & (INSN_REP | INSN_REPNE) && r->attr & A_REP)
		strbuf_add(out, "rep ");
	if (i->prefixes & (INSN_REP | INSN_REPNE) && r->attr & A_REPZ)
		strbuf_add(out, i->prefixes & INSN_REP ? "repe " : "repne ");
	for (unsigned k = size; k > 2 && strchr(name, '|'); k /= 2)
		name = strchr(name, '|') + 1;
	end = strchrnul(name, '|');
	strbuf_add_bytes(out, name, (size_t)(end - name));
}

static void show_rounding(const struct insn *i, struct strbuf *out)
{
	static const char mode[][3] = {"rn", "rd", "ru", "rz"};

	if (insn_table[i->row].attr & A_ER)
		strbuf_printf(out, ", {%s-sae}", mode[i->rounding]);
	else
		strbuf_add(out, ", {sae}");
}

void insn_show(const struct insn *i, uint64_t ip, struct strbuf *out)
{
	const struct insn_row *r = &insn_table[i->row];

	show_name(i, out);
	for (unsigned n = 0; n < r->n_ops; n++) {
		strbuf_add(out, n ? ", " : " ");
		show_operand(i, n, ip, out);
		if (n == 0 && i->mask)
			strbuf_printf(out, "{k%u}", i->mask);
		if (n == 0 && i->evex_z)
			strbuf_add(out, "{z}");
	}
	if (i->evex_b && i->modrm >= 0xc0)
		show_rounding(i, out);
	if (i->base == INSN_RIP)
		strbuf_printf(out, " # 0x%" PRIx64, ip + i->len + (uint64_t)i->disp);
}
