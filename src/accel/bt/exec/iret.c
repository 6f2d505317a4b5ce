/*
 * accel/bt/exec/iret.c - IRET in all modes, and the instructions that cause events (SDM 2A INT n,
 * IRET).
 */
#include "accel/bt/exec/sys.h"

void exec_int(struct bt_cpu *c, const struct insn *i)
{
	event_deliver(c, BT_EVENT_SOFT, (uint8_t)i->imm, false, 0, next_rip(c, i));
}

void exec_int1(struct bt_cpu *c, const struct insn *i)
{
	event_deliver(c, BT_EVENT_INT1, X86_DB, false, 0, next_rip(c, i));
}

void exec_int3(struct bt_cpu *c, const struct insn *i)
{
	if (UNLIKELY(c->debug.d.software))
		bt_debug_int3(c);
	event_deliver(c, BT_EVENT_SOFT_EXC, X86_BP, false, 0, next_rip(c, i));
}

void exec_into(struct bt_cpu *c, const struct insn *i)
{
	if (flags_get(c) & FL_O)
		event_deliver(c, BT_EVENT_SOFT_EXC, X86_OF, false, 0, next_rip(c, i));
	else
		c->rip = next_rip(c, i);
}

/* What an IRET popped. */
struct frame {
	unsigned size;
	uint64_t rip, flags;
	uint16_t cs;
};

static void set_flags(struct bt_cpu *c, uint64_t val, uint64_t mask)
{
	flags_settle(c);
	c->rflags = (c->rflags & ~mask) | (val & mask) | X86_FLAGS_FIXED;
}

/* The flags that IRET may change at the CPL it runs at. */
static uint64_t iret_mask(const struct bt_cpu *c, unsigned size)
{
	uint64_t mask = FL_ALL | FL_D | EF_TF | EF_NT;

	if (size > 2)
		mask |= EF_RF | EF_AC | EF_ID;
	if (c->mode.cpl <= iopl(c))
		mask |= EF_IF;
	if (c->mode.cpl == 0)
		mask |= EF_IOPL | (size > 2 ? EF_VIF | EF_VIP : 0);
	return mask;
}

static void pop_frame(struct bt_cpu *c, struct stack *s, struct frame *f)
{
	unsigned size = f->size;

	f->rip = stack_peek(c, s, 0, size);
	f->cs = (uint16_t)stack_peek(c, s, size, size);
	f->flags = stack_peek(c, s, 2 * size, size);
}

/* Real mode, and virtual-8086 mode with @mask narrowed. */
static void iret_plain(struct bt_cpu *c, struct stack *s, const struct frame *f, uint64_t mask)
{
	struct x86_seg cs = c->seg[X86_CS];

	cs.sel = f->cs;
	cs.base = (uint64_t)f->cs << 4;
	cs_check_rip(c, &cs, f->rip);
	stack_drop(s, 3 * (int)f->size);
	c->gpr[X86_RSP] = s->sp;
	set_flags(c, f->flags, mask);
	cs_commit(c, &cs, f->rip);
}

static void iret_vm86(struct bt_cpu *c, struct stack *s, struct frame *f)
{
	uint64_t mask = FL_ALL | FL_D | EF_TF | EF_NT | (f->size > 2 ? EF_RF | EF_AC | EF_ID : 0);

	if (iopl(c) == 3) {
		iret_plain(c, s, f, mask | EF_IF);
		return;
	}
	if (!(c->cr4 & CR4_VME) || f->size != 2 || f->flags & EF_TF ||
	    (f->flags & EF_IF && c->rflags & EF_VIP))
		bt_gp0(c);
	if (f->flags & EF_IF)
		f->flags |= EF_VIF;
	iret_plain(c, s, f, mask | EF_VIF);
}

/* From ring 0 to virtual-8086 mode. */
static void iret_to_vm86(struct bt_cpu *c, struct stack *s, const struct frame *f)
{
	static const uint8_t order[] = {X86_SS, X86_ES, X86_DS, X86_FS, X86_GS};
	uint64_t sp = stack_peek(c, s, 12, 4);
	uint16_t sel[5];

	for (unsigned n = 0; n < 5; n++)
		sel[n] = (uint16_t)stack_peek(c, s, 16 + 4 * n, 4);
	if (f->rip > 0xffff)
		bt_gp0(c);
	set_flags(c, f->flags, EF_KNOWN);
	bt_mode_changed(c);
	seg_real(c, X86_CS, f->cs);
	for (unsigned n = 0; n < 5; n++)
		seg_real(c, order[n], sel[n]);
	c->gpr[X86_RSP] = (uint32_t)sp;
	c->rip = (uint32_t)f->rip;
	bt_mode_changed(c);
}

/* NT: back to the task that the TSS names. */
static void iret_task(struct bt_cpu *c, const struct insn *i)
{
	const struct x86_seg *tr = &c->seg[X86_TR];
	uint16_t link = (uint16_t)bt_ld_sys(c, (uint32_t)tr->base, 2);
	struct task_args a = {.why = TASK_IRET, .rip = next_rip(c, i)};

	a.flags = flags_get(c) & ~(uint64_t)(EF_NT | EF_RF);
	task_switch(c, link, &a);
}

static void iret_prot(struct bt_cpu *c, struct stack *s, const struct frame *f)
{
	bool was_long = in_long(c), pops_stack, outer;
	unsigned size = f->size;
	struct x86_seg cs, ss = c->seg[X86_SS];
	struct desc d;
	uint64_t sp = 0, mask = iret_mask(c, size);

	ret_code(c, f->cs, &d);
	outer = (f->cs & 3) > c->mode.cpl;
	pops_stack = outer || was_long;
	if (pops_stack) {
		sp = stack_peek(c, s, 3 * size, size);
		ret_stack(c, (uint16_t)stack_peek(c, s, 4 * size, size), &d, &ss);
	}
	seg_fill(&cs, f->cs, d.raw);
	cs_check_rip(c, &cs, f->rip);
	desc_or_type(c, &d, SEG_ACCESSED);
	if (pops_stack) {
		c->seg[X86_SS] = ss;
		ret_set_sp(c, &ss, c->mode.lma && desc_l(d.raw), sp);
	} else {
		stack_drop(s, 3 * (int)size);
		c->gpr[X86_RSP] = s->sp;
	}
	if (outer)
		seg_drop_inner(c, f->cs & 3);
	set_flags(c, f->flags, mask);
	cs_commit(c, &cs, f->rip);
}

void exec_iret(struct bt_cpu *c, const struct insn *i)
{
	struct frame f = {.size = i->osize};
	struct stack s;

	if (c->mode.prot && !c->mode.vm86 && c->rflags & EF_NT) {
		if (c->mode.lma)
			bt_gp0(c);
		iret_task(c, i);
		c->nmi_masked = false;
		return;
	}
	stack_current(c, &s);
	if (c->mode.vm86 && iopl(c) < 3 && !(c->cr4 & CR4_VME))
		bt_gp0(c);
	pop_frame(c, &s, &f);
	if (!c->mode.prot)
		iret_plain(c, &s, &f, f.size > 2 ? EF_KNOWN & ~(EF_VM | EF_VIF | EF_VIP) : 0x7fd5);
	else if (c->mode.vm86)
		iret_vm86(c, &s, &f);
	else if (!c->mode.lma && f.size == 4 && f.flags & EF_VM && c->mode.cpl == 0)
		iret_to_vm86(c, &s, &f);
	else
		iret_prot(c, &s, &f);
	c->nmi_masked = false;
}
