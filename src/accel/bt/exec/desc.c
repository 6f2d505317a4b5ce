/*
 * accel/bt/exec/desc.c - descriptors, the hidden parts of segment registers, and the stacks that
 * far transfers use (SDM 3A §3.4, §5).
 */
#include "accel/bt/exec/sys.h"

static bool find(const struct bt_cpu *c, uint16_t sel, unsigned bytes, uint64_t *la)
{
	uint32_t off = sel & 0xfff8u;

	if (sel & 4) {
		const struct x86_seg *ldt = &c->seg[X86_LDTR];

		if (ldt->attr & X86_SEG_UNUSABLE || !(ldt->attr & X86_SEG_P) ||
		    (uint64_t)off + bytes - 1 > ldt->limit)
			return false;
		*la = ldt->base + off;
	} else {
		if (off + bytes - 1 > c->gdt.limit)
			return false;
		*la = c->gdt.base + off;
	}
	if (!c->mode.lma)
		*la = (uint32_t)*la;
	return true;
}

bool desc_peek(struct bt_cpu *c, uint16_t sel, struct desc *d)
{
	d->sel = sel;
	d->high = 0;
	if (!find(c, sel, 8, &d->la))
		return false;
	d->raw = bt_ld_sys(c, d->la, 8);
	return true;
}

void desc_read(struct bt_cpu *c, uint16_t sel, enum bt_vector fault, struct desc *d)
{
	if (!desc_peek(c, sel, d))
		bt_raise_err(c, fault, sel_error(sel));
}

void desc_read_high(struct bt_cpu *c, enum bt_vector fault, struct desc *d)
{
	uint64_t la;

	if (!find(c, d->sel, 16, &la))
		bt_raise_err(c, fault, sel_error(d->sel));
	d->high = bt_ld_sys(c, la + 8, 8);
	if (d->high >> 40 & 0x1f) /* its type must be 0 (SDM 3A §3.5) */
		bt_raise_err(c, fault, sel_error(d->sel));
}

/* An atomic change of the type byte of a descriptor; tables are supervisor's memory. */
static void type_byte(struct bt_cpu *c, uint64_t la, uint8_t set, uint8_t clear)
{
	struct bt_bounce b;
	uint8_t *p = bt_get_sys(c, la + 5, 1, BT_RMW, true, &b);

	if (set)
		__atomic_fetch_or(p, set, __ATOMIC_SEQ_CST);
	if (clear)
		__atomic_fetch_and(p, (uint8_t)~clear, __ATOMIC_SEQ_CST);
	bt_put(c, &b, true);
}

void desc_or_type(struct bt_cpu *c, struct desc *d, unsigned bits)
{
	if ((desc_type(d->raw) & bits) == bits)
		return;
	type_byte(c, d->la, (uint8_t)bits, 0);
	d->raw |= (uint64_t)bits << 40;
}

void desc_busy(struct bt_cpu *c, uint64_t la, bool busy)
{
	type_byte(c, la, busy ? 2 : 0, busy ? 0 : 2);
}

void seg_fill(struct x86_seg *s, uint16_t sel, uint64_t d)
{
	s->base = desc_base(d);
	s->limit = desc_limit(d);
	s->attr = (uint32_t)(d >> 40) & 0xf0ff;
	if (desc_s(d))
		s->attr |= SEG_ACCESSED;
	s->sel = sel;
}

void seg_null(struct x86_seg *s, uint16_t sel)
{
	*s = (struct x86_seg){.attr = X86_SEG_UNUSABLE, .sel = sel};
}

/*
 * Real mode changes selector and base and leaves limit and rights as they are ("unreal mode" lives
 * by it); a segment that protected mode left unusable becomes usable.
 */
void seg_real(struct bt_cpu *c, unsigned seg, uint16_t sel)
{
	struct x86_seg *s = &c->seg[seg];
	uint32_t attr = X86_SEG_P | X86_SEG_S | SEG_WRITABLE | SEG_ACCESSED;

	if (c->mode.vm86)
		x86_seg_set(s, sel, 0, 0xffff, attr | 3u << 5);
	else if (s->attr & X86_SEG_UNUSABLE || !(s->attr & X86_SEG_P))
		x86_seg_set(s, sel, 0, 0xffff, attr);
	s->sel = sel;
	s->base = (uint64_t)sel << 4;
}

void seg_drop_inner(struct bt_cpu *c, unsigned cpl)
{
	static const uint8_t data[] = {X86_ES, X86_DS, X86_FS, X86_GS};

	for (unsigned n = 0; n < 4; n++) {
		struct x86_seg *s = &c->seg[data[n]];
		uint32_t type = X86_SEG_TYPE(s->attr);
		bool conforming =
			(type & (SEG_CODE | SEG_CONFORMING)) == (SEG_CODE | SEG_CONFORMING);

		if (sel_null(s->sel))
			s->sel = 0; /* its RPL goes as well; the base stays, for FS and GS */
		if (s->attr & X86_SEG_UNUSABLE || X86_SEG_DPL(s->attr) >= cpl || conforming)
			continue;
		if (c->mode.lma && !s->sel)
			s->attr = X86_SEG_UNUSABLE;
		else
			seg_null(s, 0);
	}
}

bool seg_within(const struct x86_seg *s, uint32_t off, unsigned n)
{
	uint64_t last = (uint64_t)off + n - 1;

	if ((X86_SEG_TYPE(s->attr) & (SEG_CODE | SEG_DOWN)) == SEG_DOWN && s->attr & X86_SEG_S)
		return off > s->limit && last <= (s->attr & X86_SEG_DB ? UINT32_MAX : 0xffff);
	return last <= s->limit;
}

void cs_check_rip(struct bt_cpu *c, const struct x86_seg *cs, uint64_t rip)
{
	if (c->mode.lma && cs->attr & X86_SEG_L) {
		if (!canonical(c, rip))
			bt_gp0(c);
	} else if ((uint32_t)rip > cs->limit) {
		bt_gp0(c);
	}
}

void cs_commit(struct bt_cpu *c, const struct x86_seg *cs, uint64_t rip)
{
	c->seg[X86_CS] = *cs;
	c->rip = c->mode.lma && cs->attr & X86_SEG_L ? rip : (uint32_t)rip;
	bt_mode_changed(c);
}

/* Stacks. ----------------------------------------------------------------------------------- */

void stack_set_mask(struct stack *s, bool long_mode)
{
	if (long_mode)
		s->mask = UINT64_MAX;
	else
		s->mask = s->ss.attr & X86_SEG_DB ? UINT32_MAX : 0xffff;
}

void stack_current(const struct bt_cpu *c, struct stack *s)
{
	s->ss = c->seg[X86_SS];
	s->sp = c->gpr[X86_RSP];
	s->error = 0;
	s->user = c->mode.user;
	stack_set_mask(s, in_long(c));
}

static uint64_t stack_la(struct bt_cpu *c, const struct stack *s, uint64_t sp, unsigned n)
{
	uint64_t off = sp & s->mask;

	if (s->mask == UINT64_MAX) {
		if (!canonical(c, off) || !canonical(c, off + n - 1))
			bt_raise_err(c, X86_SS_FAULT, s->error);
		return off;
	}
	if (!seg_within(&s->ss, (uint32_t)off, n))
		bt_raise_err(c, X86_SS_FAULT, s->error);
	return (uint32_t)(s->ss.base + off);
}

void stack_room(struct bt_cpu *c, const struct stack *s, unsigned count, unsigned size)
{
	unsigned n = count * size;

	if (s->mask == UINT64_MAX) {
		bt_probe_as(c, stack_la(c, s, s->sp - n, n), n, BT_WRITE, s->user);
		return;
	}
	for (unsigned k = 1; k <= count; k++)
		bt_probe_as(c, stack_la(c, s, s->sp - (uint64_t)k * size, size), size, BT_WRITE,
			    s->user);
}

static void stack_move(struct stack *s, uint64_t by)
{
	s->sp = (s->sp & ~s->mask) | ((s->sp + by) & s->mask);
}

void stack_drop(struct stack *s, int n)
{
	stack_move(s, (uint64_t)(int64_t)n);
}

void stack_push(struct bt_cpu *c, struct stack *s, uint64_t val, unsigned size)
{
	bt_st_as(c, stack_la(c, s, s->sp - size, size), val & mask_of(size), size, s->user);
	stack_move(s, -(uint64_t)size);
}

uint64_t stack_peek(struct bt_cpu *c, const struct stack *s, unsigned at, unsigned size)
{
	return bt_ld_as(c, stack_la(c, s, s->sp + at, size), size, s->user);
}

uint64_t stack_pop(struct bt_cpu *c, struct stack *s, unsigned size)
{
	uint64_t val = stack_peek(c, s, 0, size);

	stack_move(s, size);
	return val;
}

static _Noreturn void tss_fault(struct bt_cpu *c, uint16_t sel)
{
	bt_raise_err(c, X86_TS, sel_error(sel));
}

/* RSP0 to RSP2 and IST1 to IST7 (SDM 3A §7.7); SS becomes null in an inner ring. */
static void stack_inner_long(struct bt_cpu *c, unsigned cpl, unsigned ist, struct stack *s)
{
	const struct x86_seg *tr = &c->seg[X86_TR];
	unsigned off = ist ? 28 + 8 * ist : 4 + 8 * cpl;

	if (off + 7 > tr->limit)
		tss_fault(c, tr->sel);
	s->sp = bt_ld_sys(c, tr->base + off, 8);
	seg_null(&s->ss, (uint16_t)cpl);
	s->ss.attr |= cpl << 5;
	s->mask = UINT64_MAX;
	s->error = 0;
}

void stack_inner(struct bt_cpu *c, unsigned cpl, unsigned ist, struct stack *s)
{
	const struct x86_seg *tr = &c->seg[X86_TR];
	bool wide = X86_SEG_TYPE(tr->attr) & 8;
	unsigned off = wide ? 4 + 8 * cpl : 2 + 4 * cpl, size = wide ? 4 : 2;
	uint32_t la = (uint32_t)(tr->base + off);
	struct desc d;
	uint16_t sel;

	s->user = cpl == 3;
	if (c->mode.lma) {
		stack_inner_long(c, cpl, ist, s);
		return;
	}
	if (off + size + 1 > tr->limit)
		tss_fault(c, tr->sel);
	s->sp = bt_ld_sys(c, la, size);
	sel = (uint16_t)bt_ld_sys(c, la + size, 2);
	if (sel_null(sel))
		tss_fault(c, 0);
	desc_read(c, sel, X86_TS, &d);
	if ((sel & 3) != cpl || desc_dpl(d.raw) != cpl || !desc_is_writable_data(d.raw))
		tss_fault(c, sel);
	if (!desc_p(d.raw))
		bt_raise_err(c, X86_SS_FAULT, sel_error(sel));
	desc_or_type(c, &d, SEG_ACCESSED);
	seg_fill(&s->ss, sel, d.raw);
	s->error = sel_error(sel);
	stack_set_mask(s, false);
}
