/*
 * accel/bt/exec/stack.c - PUSH, POP and frames.  rSP moves when nothing can fail any more.
 */
#include "accel/bt/exec/operand.h"

void exec_push(struct bt_cpu *c, const struct insn *i)
{
	stack_push(c, op_read(c, i, 0), i->osize);
}

/*
 * The address of POP [rSP + x] is worked out with rSP behind the value (SDM 2B, POP); a fault of
 * the store finds the old one.
 */
void exec_pop(struct bt_cpu *c, const struct insn *i)
{
	uint64_t old = c->gpr[X86_RSP], v = stack_load(c, old, i->osize), ea;

	if (i->op[0].kind != OP_MEM) {
		stack_set(c, old + i->osize);
		op_write_reg(c, i, 0, v);
		return;
	}
	stack_set(c, old + i->osize);
	ea = bt_ea(c, i);
	c->gpr[X86_RSP] = old;
	bt_st(c, bt_la_of(c, i->seg, ea, i->osize, BT_WRITE), v, i->osize);
	stack_set(c, old + i->osize);
}

/* All eight places are good before the first is written. */
void exec_pusha(struct bt_cpu *c, const struct insn *i)
{
	uint64_t sp = c->gpr[X86_RSP], la;

	for (unsigned r = 0; r < 8; r++) {
		la = bt_la_of(c, X86_SS, (sp - (r + 1) * i->osize) & stack_mask(c), i->osize,
			      BT_WRITE);
		bt_probe(c, la, i->osize, BT_WRITE);
	}
	for (unsigned r = 0; r < 8; r++)
		stack_store(c, sp - (r + 1) * i->osize, c->gpr[r], i->osize);
	stack_set(c, sp - 8u * i->osize);
}

void exec_popa(struct bt_cpu *c, const struct insn *i)
{
	uint64_t sp = c->gpr[X86_RSP], v[8];

	for (unsigned r = 0; r < 8; r++)
		v[7 - r] = stack_load(c, sp + r * i->osize, i->osize);
	for (unsigned r = 0; r < 8; r++)
		if (r != X86_RSP)
			gpr_write(c, r, v[r], i->osize);
	stack_set(c, sp + 8u * i->osize);
}

/*
 * ENTER (SDM 2A): rBP is pushed, then the frame pointers of the outer levels, then this frame's.
 * A store at the new rSP must be possible, though there is none.
 */
void exec_enter(struct bt_cpu *c, const struct insn *i)
{
	unsigned n = i->osize, level = i->imm2 & 31;
	uint64_t sp = c->gpr[X86_RSP] - n, bp = c->gpr[X86_RBP], frame = sp;

	stack_store(c, sp, bp, n);
	for (unsigned l = 1; l < level; l++) {
		bp -= n;
		sp -= n;
		stack_store(c, sp, stack_load(c, bp, n), n);
	}
	if (level) {
		sp -= n;
		stack_store(c, sp, frame, n);
	}
	sp -= (uint16_t)i->imm;
	bt_probe(c, bt_la_of(c, X86_SS, sp & stack_mask(c), n, BT_WRITE), n, BT_WRITE);
	gpr_write(c, X86_RBP, frame, n);
	stack_set(c, sp);
}

void exec_leave(struct bt_cpu *c, const struct insn *i)
{
	uint64_t sp = c->gpr[X86_RBP], v = stack_load(c, sp, i->osize);

	stack_set(c, sp + i->osize);
	gpr_write(c, X86_RBP, v, i->osize);
}
