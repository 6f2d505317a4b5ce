/*
 * accel/bt/exec/bcd.c - decimal adjustments (SDM 2A, AAA to AAS; 2B, DAA, DAS).
 */
#include "accel/bt/exec/operand.h"

static uint8_t get_al(const struct bt_cpu *c)
{
	return (uint8_t)c->gpr[X86_RAX];
}

/* AAA and AAS differ in the sign; a processor of today adds to AX as a whole. */
static void ascii_adjust(struct bt_cpu *c, int by)
{
	uint32_t f = flags_arith(c);
	uint16_t ax = (uint16_t)c->gpr[X86_RAX];
	bool adjust = (ax & 15) > 9 || (f & FL_A);

	if (adjust)
		ax = (uint16_t)(ax + by);
	gpr_write(c, X86_RAX, ax & 0xff0f, 2);
	flags_put(c, flags_zsp(ax & 15, 1) | (adjust ? FL_A | FL_C : 0));
}

void exec_aaa(struct bt_cpu *c, const struct insn *i)
{
	(void)i;
	ascii_adjust(c, 0x106);
}

void exec_aas(struct bt_cpu *c, const struct insn *i)
{
	(void)i;
	ascii_adjust(c, -0x106);
}

void exec_aam(struct bt_cpu *c, const struct insn *i)
{
	uint8_t al = get_al(c), base = (uint8_t)i->imm;

	if (base) {
		gpr_write(c, X86_RAX, (uint64_t)(al / base) << 8 | al % base, 2);
		flags_put(c, flags_zsp(al % base, 1));
	} else {
		bt_raise(c, X86_DE);
	}
}

void exec_aad(struct bt_cpu *c, const struct insn *i)
{
	uint16_t ax = (uint16_t)c->gpr[X86_RAX];
	uint8_t al = (uint8_t)((ax & 0xff) + (ax >> 8) * (uint8_t)i->imm);

	gpr_write(c, X86_RAX, al, 2);
	flags_put(c, flags_zsp(al, 1));
}

/* DAA and DAS. */
static void decimal_adjust(struct bt_cpu *c, bool minus)
{
	uint32_t f = flags_arith(c), out = 0;
	uint8_t old = get_al(c), al = old;

	if ((old & 15) > 9 || (f & FL_A)) {
		al = (uint8_t)(minus ? al - 6 : al + 6);
		out = FL_A;
		if (minus && old < 6)
			out |= FL_C;
	}
	if (old > 0x99 || (f & FL_C)) {
		al = (uint8_t)(minus ? al - 0x60 : al + 0x60);
		out |= FL_C;
	}
	gpr_write(c, X86_RAX, al, 1);
	flags_put(c, flags_zsp(al, 1) | out);
}

void exec_daa(struct bt_cpu *c, const struct insn *i)
{
	(void)i;
	decimal_adjust(c, false);
}

void exec_das(struct bt_cpu *c, const struct insn *i)
{
	(void)i;
	decimal_adjust(c, true);
}
