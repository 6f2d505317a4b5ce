/*
 * accel/bt/exec/task.c - the hardware task switch (SDM 3A §7.3).
 *
 * In three steps.  First all checks of the new TSS's descriptor and probes of both segments: faults
 * are the old task's.  Then the switch itself, which cannot fail: state into the old TSS, busy
 * bits, link, and all registers from the new one, with selectors but without hidden parts.  Then
 * the segments are loaded one by one: faults are the new task's, #TS for most.
 */
#include "accel/bt/exec/sys.h"

#define TSS_LIMIT   0x67u
#define TSS16_LIMIT 0x2bu
#define TSS_LINK    0u

/* Where things are in a TSS: 32-bit and 16-bit (SDM 3A figures 7-2 and 7-10). */
struct layout {
	uint8_t size; /* of a register */
	uint8_t ip, flags, gpr, sel, n_sel, ldt;
};
static const struct layout layouts[2] = {
	{.size = 2, .ip = 14, .flags = 16, .gpr = 18, .sel = 34, .n_sel = 4, .ldt = 42},
	{.size = 4, .ip = 32, .flags = 36, .gpr = 40, .sel = 72, .n_sel = 6, .ldt = 96},
};
static const uint8_t sel_order[6] = {X86_ES, X86_CS, X86_SS, X86_DS, X86_FS, X86_GS};

/* A new task as its TSS has it. */
struct task {
	const struct layout *l;
	uint32_t base;
	uint64_t cr3, ip, flags;
	uint32_t gpr[8];
	uint16_t sel[X86_GS + 1], ldt;
	bool trap; /* the T bit */
};

static const struct layout *layout_of(unsigned type)
{
	return &layouts[type >> 3 & 1];
}

static uint64_t tss_ld(struct bt_cpu *c, uint64_t base, unsigned off, unsigned size)
{
	return bt_ld_sys(c, (uint32_t)(base + off), size);
}

static void tss_st(struct bt_cpu *c, uint64_t base, unsigned off, uint64_t val, unsigned size)
{
	bt_st_sys(c, (uint32_t)(base + off), val, size);
}

/* The descriptor of the new TSS. */
static void find_tss(struct bt_cpu *c, uint16_t sel, enum task_why why, struct desc *d)
{
	enum bt_vector fault = why == TASK_IRET ? X86_TS : X86_GP;
	unsigned busy = why == TASK_IRET ? 2 : 0, type;

	if (sel & 4 || sel_null(sel))
		bt_raise_err(c, fault, sel_error(sel));
	desc_read(c, sel, fault, d);
	type = desc_type(d->raw);
	if (desc_s(d->raw) || ((type & ~8u) != (DESC_TSS16 | busy)))
		bt_raise_err(c, fault, sel_error(sel));
	if (!desc_p(d->raw))
		bt_raise_err(c, X86_NP, sel_error(sel));
	if (desc_limit(d->raw) < (type & 8 ? TSS_LIMIT : TSS16_LIMIT))
		bt_raise_err(c, X86_TS, sel_error(sel));
}

static void read_task(struct bt_cpu *c, const struct desc *d, struct task *t)
{
	const struct layout *l = layout_of(desc_type(d->raw));

	*t = (struct task){.l = l, .base = desc_base(d->raw)};
	bt_probe_as(c, t->base, l->size == 4 ? TSS_LIMIT + 1 : TSS16_LIMIT + 1, BT_WRITE, false);
	t->ip = tss_ld(c, t->base, l->ip, l->size);
	t->flags = tss_ld(c, t->base, l->flags, l->size);
	for (unsigned n = 0; n < 8; n++)
		t->gpr[n] = (uint32_t)tss_ld(c, t->base, l->gpr + n * l->size, l->size);
	for (unsigned n = 0; n < l->n_sel; n++)
		t->sel[sel_order[n]] = (uint16_t)tss_ld(c, t->base, l->sel + n * l->size, 2);
	t->ldt = (uint16_t)tss_ld(c, t->base, l->ldt, 2);
	if (l->size == 4) {
		t->cr3 = tss_ld(c, t->base, 28, 4);
		t->trap = tss_ld(c, t->base, 100, 2) & 1;
	}
}

/* The present task into its TSS. */
static void save_task(struct bt_cpu *c, const struct task_args *a)
{
	const struct x86_seg *tr = &c->seg[X86_TR];
	const struct layout *l = layout_of(X86_SEG_TYPE(tr->attr));

	tss_st(c, tr->base, l->ip, a->rip, l->size);
	tss_st(c, tr->base, l->flags, a->flags, l->size);
	for (unsigned n = 0; n < 8; n++)
		tss_st(c, tr->base, l->gpr + n * l->size, c->gpr[n], l->size);
	for (unsigned n = 0; n < l->n_sel; n++)
		tss_st(c, tr->base, l->sel + n * l->size, c->seg[sel_order[n]].sel, 2);
}

static void load_registers(struct bt_cpu *c, const struct task *t)
{
	flags_settle(c);
	if (t->l->size == 4) {
		c->rflags = (t->flags & EF_KNOWN) | X86_FLAGS_FIXED;
		for (unsigned n = 0; n < 8; n++)
			c->gpr[n] = t->gpr[n];
	} else { /* the upper halves are not in it */
		c->rflags = (t->flags & 0x7fd5) | X86_FLAGS_FIXED;
		for (unsigned n = 0; n < 8; n++)
			c->gpr[n] = t->gpr[n] | 0xffff0000;
	}
	c->rip = t->ip;
	for (unsigned n = X86_ES; n <= X86_GS; n++)
		seg_null(&c->seg[n], t->sel[n]);
	/* Until CS is known the privilege is that of the selectors. */
	c->seg[X86_SS].attr |= (t->sel[X86_CS] & 3u) << 5;
	c->seg[X86_CS].attr |= X86_SEG_DB;
	seg_null(&c->seg[X86_LDTR], t->ldt);
	c->cr0 |= X86_CR0_TS;
	c->dr7 &= ~UINT64_C(0x55); /* L0 to L3 */
}

static _Noreturn void ts(struct bt_cpu *c, uint16_t sel)
{
	bt_raise_err(c, X86_TS, sel_error(sel));
}

static void load_ldt(struct bt_cpu *c, uint16_t sel)
{
	struct desc d;

	if (sel_null(sel))
		return;
	if (sel & 4)
		ts(c, sel);
	desc_read(c, sel, X86_TS, &d);
	if (desc_s(d.raw) || desc_type(d.raw) != DESC_LDT || !desc_p(d.raw))
		ts(c, sel);
	seg_fill(&c->seg[X86_LDTR], sel, d.raw);
}

static void load_code(struct bt_cpu *c, uint16_t sel)
{
	unsigned rpl = sel & 3;
	struct desc d;

	if (sel_null(sel))
		ts(c, sel);
	desc_read(c, sel, X86_TS, &d);
	if (!desc_is_code(d.raw) ||
	    (desc_type(d.raw) & SEG_CONFORMING ? desc_dpl(d.raw) > rpl : desc_dpl(d.raw) != rpl))
		ts(c, sel);
	if (!desc_p(d.raw))
		bt_raise_err(c, X86_NP, sel_error(sel));
	desc_or_type(c, &d, SEG_ACCESSED);
	seg_fill(&c->seg[X86_CS], sel, d.raw);
}

static void load_stack(struct bt_cpu *c, uint16_t sel)
{
	unsigned cpl = c->mode.cpl;
	struct desc d;

	if (sel_null(sel))
		ts(c, sel);
	desc_read(c, sel, X86_TS, &d);
	if (!desc_is_writable_data(d.raw) || desc_dpl(d.raw) != cpl || (sel & 3) != cpl)
		ts(c, sel);
	if (!desc_p(d.raw))
		bt_raise_err(c, X86_SS_FAULT, sel_error(sel));
	desc_or_type(c, &d, SEG_ACCESSED);
	seg_fill(&c->seg[X86_SS], sel, d.raw);
}

static void load_data(struct bt_cpu *c, unsigned seg, uint16_t sel)
{
	unsigned type, dpl;
	struct desc d;

	if (sel_null(sel))
		return;
	desc_read(c, sel, X86_TS, &d);
	type = desc_type(d.raw);
	dpl = desc_dpl(d.raw);
	if (!desc_s(d.raw) || (type & (SEG_CODE | SEG_WRITABLE)) == SEG_CODE)
		ts(c, sel);
	if ((type & (SEG_CODE | SEG_CONFORMING)) != (SEG_CODE | SEG_CONFORMING) &&
	    (dpl < c->mode.cpl || dpl < (sel & 3u)))
		ts(c, sel);
	if (!desc_p(d.raw))
		bt_raise_err(c, X86_NP, sel_error(sel));
	desc_or_type(c, &d, SEG_ACCESSED);
	seg_fill(&c->seg[seg], sel, d.raw);
}

/* The hidden parts, in the new task. */
static void load_segments(struct bt_cpu *c, const struct task *t)
{
	static const uint8_t data[] = {X86_ES, X86_DS, X86_FS, X86_GS};

	load_ldt(c, t->ldt);
	if (c->mode.vm86) {
		for (unsigned n = X86_ES; n <= X86_GS; n++)
			seg_real(c, n, t->sel[n]);
		bt_mode_changed(c);
		return;
	}
	load_code(c, t->sel[X86_CS]);
	bt_mode_changed(c);
	load_stack(c, t->sel[X86_SS]);
	bt_mode_changed(c);
	for (unsigned n = 0; n < 4; n++)
		load_data(c, data[n], t->sel[data[n]]);
	bt_mode_changed(c);
}

static void new_cr3(struct bt_cpu *c, const struct task *t)
{
	if (t->l->size != 4 || !(c->cr0 & X86_CR0_PG) || c->cr3 == t->cr3)
		return;
	c->cr3 = t->cr3;
	mmu_cr3_written(c, false);
}

/* The error code that an exception brought along, on the new task's stack. */
static void push_error(struct bt_cpu *c, const struct task *t, uint32_t error)
{
	struct stack s;

	stack_current(c, &s);
	stack_push(c, &s, error, t->l->size);
	c->gpr[X86_RSP] = s.sp;
}

void task_switch(struct bt_cpu *c, uint16_t sel, const struct task_args *a)
{
	struct x86_seg *tr = &c->seg[X86_TR];
	const struct layout *old = layout_of(X86_SEG_TYPE(tr->attr));
	uint64_t old_desc = c->gdt.base + (tr->sel & 0xfff8u);
	uint16_t old_sel = tr->sel;
	bool nested = a->why == TASK_CALL || a->why == TASK_INT;
	struct desc d;
	struct task t;

	find_tss(c, sel, a->why, &d);
	if (tr->limit < (old->size == 4 ? TSS_LIMIT : TSS16_LIMIT))
		ts(c, old_sel);
	bt_probe_as(c, (uint32_t)tr->base, old->size == 4 ? TSS_LIMIT + 1 : TSS16_LIMIT + 1,
		    BT_WRITE, false);
	bt_probe_as(c, (uint32_t)d.la, 8, BT_WRITE, false);
	bt_probe_as(c, (uint32_t)old_desc, 8, BT_WRITE, false);
	read_task(c, &d, &t);

	flags_settle(c);
	save_task(c, a);
	if (!nested)
		desc_busy(c, (uint32_t)old_desc, false);
	if (a->why != TASK_IRET)
		desc_busy(c, d.la, true);
	if (nested) {
		tss_st(c, t.base, TSS_LINK, old_sel, 2);
		t.flags |= EF_NT;
	}
	seg_fill(tr, sel, d.raw | UINT64_C(2) << 40);
	new_cr3(c, &t);
	load_registers(c, &t);
	bt_mode_changed(c);

	load_segments(c, &t);
	cs_check_rip(c, &c->seg[X86_CS], c->rip);
	if (a->has_error)
		push_error(c, &t, a->error);
	if (t.trap)
		bt_raise_db(c, DR6_BT);
}
