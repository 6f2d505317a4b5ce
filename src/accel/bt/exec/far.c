/*
 * accel/bt/exec/far.c - far jumps, calls and returns through every kind of descriptor (SDM 2 JMP,
 * CALL, RET; SDM 3A §5.8).
 */
#include "accel/bt/exec/sys.h"

/* The far pointer of the operand: in the code, or in memory. */
static uint64_t far_pointer(struct bt_cpu *c, const struct insn *i, uint16_t *sel)
{
	unsigned size = i->osize;
	uint64_t la, off;

	if (i->op[0].kind != OP_MEM) {
		*sel = i->imm2;
		return (uint64_t)i->imm & mask_of(size);
	}
	la = bt_la(c, i, size + 2, BT_READ);
	off = bt_ld(c, la, size);
	*sel = bt_ld16(c, in_long(c) ? la + size : (uint32_t)(la + size));
	return off;
}

static bool plain(const struct bt_cpu *c)
{
	return !c->mode.prot || c->mode.vm86;
}

/* What CS becomes in real and virtual-8086 mode. */
static struct x86_seg cs_real(const struct bt_cpu *c, uint16_t sel)
{
	struct x86_seg cs = c->seg[X86_CS];

	cs.sel = sel;
	cs.base = (uint64_t)sel << 4;
	return cs;
}

static void code_type(struct bt_cpu *c, const struct desc *d)
{
	if (!desc_is_code(d->raw))
		bt_raise_err(c, X86_GP, sel_error(d->sel));
	if (c->mode.lma && desc_l(d->raw) && desc_db(d->raw))
		bt_raise_err(c, X86_GP, sel_error(d->sel));
}

/* A code segment as the direct target of JMP and CALL: the privilege stays. */
static void direct_code(struct bt_cpu *c, struct desc *d, struct x86_seg *cs)
{
	unsigned dpl = desc_dpl(d->raw), cpl = c->mode.cpl;

	code_type(c, d);
	if (desc_type(d->raw) & SEG_CONFORMING ? dpl > cpl : (d->sel & 3u) > cpl || dpl != cpl)
		bt_raise_err(c, X86_GP, sel_error(d->sel));
	if (!desc_p(d->raw))
		bt_raise_err(c, X86_NP, sel_error(d->sel));
	seg_fill(cs, (uint16_t)((d->sel & ~3u) | cpl), d->raw);
}

/* DPL of a gate or TSS descriptor that is used by its selector. */
static void system_privilege(struct bt_cpu *c, const struct desc *d)
{
	unsigned dpl = desc_dpl(d->raw);

	if (dpl < c->mode.cpl || (d->sel & 3u) > dpl)
		bt_raise_err(c, X86_GP, sel_error(d->sel));
}

/* A call gate's code segment.  Returns the privilege it runs at. */
static unsigned gate_code(struct bt_cpu *c, uint16_t sel, bool call, struct desc *d)
{
	unsigned dpl, cpl = c->mode.cpl;
	bool conforming;

	if (sel_null(sel))
		bt_gp0(c);
	desc_read(c, sel, X86_GP, d);
	dpl = desc_dpl(d->raw);
	conforming = desc_type(d->raw) & SEG_CONFORMING;
	if (!desc_is_code(d->raw) || dpl > cpl || (!call && !conforming && dpl != cpl))
		bt_raise_err(c, X86_GP, sel_error(sel));
	if (c->mode.lma && (!desc_l(d->raw) || desc_db(d->raw)))
		bt_raise_err(c, X86_GP, sel_error(sel));
	if (!desc_p(d->raw))
		bt_raise_err(c, X86_NP, sel_error(sel));
	return conforming ? cpl : dpl;
}

/* The gate itself: #GP, #NP, and where it leads to. */
static uint64_t gate_open(struct bt_cpu *c, struct desc *g)
{
	system_privilege(c, g);
	if (!desc_p(g->raw))
		bt_raise_err(c, X86_NP, sel_error(g->sel));
	if (c->mode.lma) {
		desc_read_high(c, X86_GP, g);
		return gate_offset(g->raw) | g->high << 32;
	}
	return desc_type(g->raw) == DESC_CALL ? gate_offset(g->raw) : (uint16_t)g->raw;
}

static void jump_gate(struct bt_cpu *c, struct desc *g)
{
	uint64_t rip = gate_open(c, g);
	struct x86_seg cs;
	struct desc d;
	unsigned cpl = gate_code(c, gate_sel(g->raw), false, &d);

	seg_fill(&cs, (uint16_t)((d.sel & ~3u) | cpl), d.raw);
	cs_check_rip(c, &cs, rip);
	desc_or_type(c, &d, SEG_ACCESSED);
	cs_commit(c, &cs, rip);
}

/* TSS descriptors and task gates.  False: @d is something else. */
static bool to_task(struct bt_cpu *c, const struct insn *i, const struct desc *d, enum task_why why)
{
	struct task_args a = {.why = why, .rip = next_rip(c, i)};

	if (c->mode.lma)
		return false;
	switch (desc_type(d->raw)) {
	case DESC_TSS16:
	case DESC_TSS:
	case DESC_TSS16_BUSY:
	case DESC_TSS_BUSY: system_privilege(c, d); break;
	case DESC_TASK:
		system_privilege(c, d);
		if (!desc_p(d->raw))
			bt_raise_err(c, X86_NP, sel_error(d->sel));
		break;
	default: return false;
	}
	a.flags = flags_get(c) & ~(uint64_t)EF_RF;
	task_switch(c, desc_type(d->raw) == DESC_TASK ? gate_sel(d->raw) : d->sel, &a);
	return true;
}

void exec_jmpf(struct bt_cpu *c, const struct insn *i)
{
	uint16_t sel;
	uint64_t rip = far_pointer(c, i, &sel);
	struct x86_seg cs;
	struct desc d;

	if (plain(c)) {
		cs = cs_real(c, sel);
		cs_check_rip(c, &cs, rip);
		cs_commit(c, &cs, rip);
		return;
	}
	if (sel_null(sel))
		bt_gp0(c);
	desc_read(c, sel, X86_GP, &d);
	if (desc_s(d.raw)) {
		direct_code(c, &d, &cs);
		cs_check_rip(c, &cs, rip);
		desc_or_type(c, &d, SEG_ACCESSED);
		cs_commit(c, &cs, rip);
	} else if (desc_type(d.raw) == DESC_CALL ||
		   (desc_type(d.raw) == DESC_CALL16 && !c->mode.lma)) {
		jump_gate(c, &d);
	} else if (!to_task(c, i, &d, TASK_JMP)) {
		bt_raise_err(c, X86_GP, sel_error(sel));
	}
}

/* Pushes CS and the return address on the present stack and goes to @cs:@rip. */
static void call_same(struct bt_cpu *c, const struct x86_seg *cs, uint64_t rip, uint64_t ret,
		      unsigned size, struct desc *d)
{
	struct stack s;

	stack_current(c, &s);
	stack_room(c, &s, 2, size);
	cs_check_rip(c, cs, rip);
	if (d)
		desc_or_type(c, d, SEG_ACCESSED);
	stack_push(c, &s, c->seg[X86_CS].sel, size);
	stack_push(c, &s, ret, size);
	c->gpr[X86_RSP] = s.sp;
	cs_commit(c, cs, rip);
}

/* Through a call gate to an inner level: another stack, and the parameters copied to it. */
static void call_inner(struct bt_cpu *c, const struct x86_seg *cs, uint64_t rip, uint64_t ret,
		       struct desc *g, struct desc *d)
{
	unsigned size = c->mode.lma ? 8 : desc_type(g->raw) == DESC_CALL ? 4 : 2;
	unsigned n = c->mode.lma ? 0 : (unsigned)(g->raw >> 32 & 31);
	uint32_t param[31];
	struct stack s, old;

	stack_inner(c, cs->sel & 3, 0, &s);
	stack_room(c, &s, 4 + n, size);
	cs_check_rip(c, cs, rip);
	stack_current(c, &old);
	for (unsigned k = 0; k < n; k++)
		param[k] = (uint32_t)stack_peek(c, &old, k * size, size);
	desc_or_type(c, d, SEG_ACCESSED);
	stack_push(c, &s, c->seg[X86_SS].sel, size);
	stack_push(c, &s, c->gpr[X86_RSP], size);
	for (unsigned k = n; k-- > 0;)
		stack_push(c, &s, param[k], size);
	stack_push(c, &s, c->seg[X86_CS].sel, size);
	stack_push(c, &s, ret, size);
	c->seg[X86_SS] = s.ss;
	c->gpr[X86_RSP] = s.sp;
	cs_commit(c, cs, rip);
}

static void call_gate(struct bt_cpu *c, struct desc *g, uint64_t ret)
{
	uint64_t rip = gate_open(c, g);
	unsigned size = c->mode.lma ? 8 : desc_type(g->raw) == DESC_CALL ? 4 : 2;
	struct x86_seg cs;
	struct desc d;
	unsigned cpl = gate_code(c, gate_sel(g->raw), true, &d);

	seg_fill(&cs, (uint16_t)((d.sel & ~3u) | cpl), d.raw);
	if (cpl < c->mode.cpl) {
		call_inner(c, &cs, rip, ret, g, &d);
		return;
	}
	call_same(c, &cs, rip, ret, size, &d);
}

void exec_callf(struct bt_cpu *c, const struct insn *i)
{
	uint16_t sel;
	uint64_t rip = far_pointer(c, i, &sel), ret = next_rip(c, i);
	struct x86_seg cs;
	struct desc d;

	if (plain(c)) {
		cs = cs_real(c, sel);
		call_same(c, &cs, rip, ret, i->osize, NULL);
		return;
	}
	if (sel_null(sel))
		bt_gp0(c);
	desc_read(c, sel, X86_GP, &d);
	if (desc_s(d.raw)) {
		direct_code(c, &d, &cs);
		call_same(c, &cs, rip, ret, i->osize, &d);
	} else if (desc_type(d.raw) == DESC_CALL ||
		   (desc_type(d.raw) == DESC_CALL16 && !c->mode.lma)) {
		call_gate(c, &d, ret);
	} else if (!to_task(c, i, &d, TASK_CALL)) {
		bt_raise_err(c, X86_GP, sel_error(sel));
	}
}

/* Returns. ---------------------------------------------------------------------------------- */

void ret_code(struct bt_cpu *c, uint16_t sel, struct desc *d)
{
	unsigned rpl = sel & 3, dpl;

	if (sel_null(sel))
		bt_gp0(c);
	desc_read(c, sel, X86_GP, d);
	dpl = desc_dpl(d->raw);
	code_type(c, d);
	if (rpl < c->mode.cpl || (desc_type(d->raw) & SEG_CONFORMING ? dpl > rpl : dpl != rpl))
		bt_raise_err(c, X86_GP, sel_error(sel));
	if (!desc_p(d->raw))
		bt_raise_err(c, X86_NP, sel_error(sel));
}

void ret_stack(struct bt_cpu *c, uint16_t sel, const struct desc *cs, struct x86_seg *ss)
{
	unsigned cpl = cs->sel & 3;
	struct desc d;

	if (sel_null(sel)) {
		if (!c->mode.lma || !desc_l(cs->raw) || cpl == 3 || (sel & 3) != cpl)
			bt_gp0(c);
		seg_null(ss, sel);
		ss->attr |= cpl << 5;
		return;
	}
	desc_read(c, sel, X86_GP, &d);
	if ((sel & 3) != cpl || desc_dpl(d.raw) != cpl || !desc_is_writable_data(d.raw))
		bt_raise_err(c, X86_GP, sel_error(sel));
	if (!desc_p(d.raw))
		bt_raise_err(c, X86_SS_FAULT, sel_error(sel));
	desc_or_type(c, &d, SEG_ACCESSED);
	seg_fill(ss, sel, d.raw);
}

void ret_set_sp(struct bt_cpu *c, const struct x86_seg *ss, bool cs_long, uint64_t sp)
{
	struct stack s = {.ss = *ss};

	stack_set_mask(&s, cs_long);
	c->gpr[X86_RSP] =
		(c->gpr[X86_RSP] & (s.mask == 0xffff ? ~UINT64_C(0xffff) : 0)) | (sp & s.mask);
}

static void retf_real(struct bt_cpu *c, const struct insn *i, unsigned drop)
{
	struct x86_seg cs;
	struct stack s;
	uint64_t rip;

	stack_current(c, &s);
	rip = stack_peek(c, &s, 0, i->osize);
	cs = cs_real(c, (uint16_t)stack_peek(c, &s, i->osize, i->osize));
	cs_check_rip(c, &cs, rip);
	stack_drop(&s, 2 * i->osize + (int)drop);
	c->gpr[X86_RSP] = s.sp;
	cs_commit(c, &cs, rip);
}

void exec_retf(struct bt_cpu *c, const struct insn *i)
{
	unsigned size = i->osize, drop = i->op[0].kind == OP_IMM ? (uint16_t)i->imm : 0;
	struct x86_seg cs, ss = c->seg[X86_SS];
	struct stack s;
	struct desc d;
	uint64_t rip, sp;
	uint16_t sel;
	bool outer;

	if (plain(c)) {
		retf_real(c, i, drop);
		return;
	}
	stack_current(c, &s);
	rip = stack_peek(c, &s, 0, size);
	sel = (uint16_t)stack_peek(c, &s, size, size);
	ret_code(c, sel, &d);
	outer = (sel & 3) > c->mode.cpl;
	sp = 0;
	if (outer) {
		sp = stack_peek(c, &s, 2 * size + drop, size);
		ret_stack(c, (uint16_t)stack_peek(c, &s, 3 * size + drop, size), &d, &ss);
	}
	seg_fill(&cs, sel, d.raw);
	cs_check_rip(c, &cs, rip);
	desc_or_type(c, &d, SEG_ACCESSED);
	if (outer) {
		c->seg[X86_SS] = ss;
		ret_set_sp(c, &ss, c->mode.lma && desc_l(d.raw), sp + drop);
		seg_drop_inner(c, sel & 3);
	} else {
		stack_drop(&s, 2 * (int)size + (int)drop);
		c->gpr[X86_RSP] = s.sp;
	}
	cs_commit(c, &cs, rip);
}
