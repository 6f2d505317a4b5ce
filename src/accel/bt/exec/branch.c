/*
 * accel/bt/exec/branch.c - near branches.  A target is checked before anything is changed.
 */
#include "accel/bt/exec/operand.h"

static uint64_t next_rip(const struct bt_cpu *c, const struct insn *i)
{
	return c->rip + i->len;
}

/* Where a relative branch goes: cut to the operand size. */
static uint64_t relative(struct bt_cpu *c, const struct insn *i, uint64_t by)
{
	uint64_t to = (next_rip(c, i) + by) & size_mask(i->osize);

	code_check(c, to);
	return to;
}

/* The target of JMP and CALL, checked. */
static uint64_t target(struct bt_cpu *c, const struct insn *i)
{
	uint64_t to;

	if (i->op[0].kind == OP_IMM)
		return relative(c, i, (uint64_t)i->imm);
	to = op_read(c, i, 0);
	code_check(c, to);
	return to;
}

void exec_jmp(struct bt_cpu *c, const struct insn *i)
{
	c->rip = target(c, i);
}

void exec_call(struct bt_cpu *c, const struct insn *i)
{
	uint64_t to, sp = c->gpr[X86_RSP] - i->osize;

	/* In 64-bit code CPUs write the return address before they look at the target. */
	if (c->mode.code == 8 && i->op[0].kind != OP_IMM) {
		to = op_read(c, i, 0);
		stack_store(c, sp, next_rip(c, i), i->osize);
		code_check(c, to);
	} else {
		to = target(c, i);
		stack_store(c, sp, next_rip(c, i), i->osize);
	}
	stack_set(c, sp);
	c->rip = to;
}

/* RET and RET imm16. */
void exec_ret(struct bt_cpu *c, const struct insn *i)
{
	uint64_t sp = c->gpr[X86_RSP], to = stack_load(c, sp, i->osize);

	code_check(c, to);
	sp += i->osize;
	if (i->op[0].kind == OP_IMM)
		sp += (uint16_t)i->imm;
	stack_set(c, sp);
	c->rip = to;
}

static void branch_if(struct bt_cpu *c, const struct insn *i, bool is)
{
	c->rip = is ? relative(c, i, (uint64_t)i->imm) : next_rip(c, i);
}

void exec_jcc(struct bt_cpu *c, const struct insn *i)
{
	branch_if(c, i, flags_cond(c, op_cond(i)));
}

/* JCXZ, JECXZ, JRCXZ: by address size. */
void exec_jcxz(struct bt_cpu *c, const struct insn *i)
{
	branch_if(c, i, !gpr_read(c, X86_RCX, i->asize));
}

static void loop_if(struct bt_cpu *c, const struct insn *i, bool is)
{
	uint64_t count = gpr_read(c, X86_RCX, i->asize) - 1;

	branch_if(c, i, is && (count & size_mask(i->asize)));
	gpr_write(c, X86_RCX, count, i->asize);
}

void exec_loop(struct bt_cpu *c, const struct insn *i)
{
	loop_if(c, i, true);
}

void exec_loope(struct bt_cpu *c, const struct insn *i)
{
	loop_if(c, i, flags_arith(c) & FL_Z);
}

void exec_loopne(struct bt_cpu *c, const struct insn *i)
{
	loop_if(c, i, !(flags_arith(c) & FL_Z));
}

/* BOUND r, m: signed, both bounds included. */
void exec_bound(struct bt_cpu *c, const struct insn *i)
{
	unsigned n = i->osize;
	uint64_t ea = bt_ea(c, i), la = bt_la_of(c, i->seg, ea, 2 * n, BT_READ);
	int64_t v = (int64_t)size_sign_extend(gpr_read(c, i->op[0].reg, n), n);
	int64_t low = (int64_t)size_sign_extend(bt_ld(c, la, n), n);
	int64_t high = (int64_t)size_sign_extend(bt_ld(c, (uint32_t)(la + n), n), n);

	if (v < low || v > high)
		bt_raise(c, X86_BR);
}
