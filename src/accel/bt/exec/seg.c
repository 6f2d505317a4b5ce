/*
 * accel/bt/exec/seg.c - segment registers and descriptor tables: MOV Sreg, PUSH and POP Sreg, LDS
 * and the like, LLDT, LTR, LGDT, and the instructions that ask about descriptors (SDM 2, SDM 3A
 * §5).
 */
#include "accel/bt/exec/sys.h"

static void load_null(struct bt_cpu *c, unsigned seg, uint16_t sel)
{
	if (seg == X86_SS) {
		unsigned cpl = c->mode.cpl;

		if (!in_long(c) || cpl == 3 || (sel & 3) != cpl)
			bt_gp0(c);
		seg_null(&c->seg[seg], sel);
		c->seg[seg].attr |= cpl << 5;
	} else {
		seg_null(&c->seg[seg], sel);
	}
	seg_changed(c, seg);
}

static void check_stack(struct bt_cpu *c, const struct desc *d)
{
	unsigned cpl = c->mode.cpl;

	if ((d->sel & 3u) != cpl || !desc_is_writable_data(d->raw) || desc_dpl(d->raw) != cpl)
		bt_raise_err(c, X86_GP, sel_error(d->sel));
	if (!desc_p(d->raw))
		bt_raise_err(c, X86_SS_FAULT, sel_error(d->sel));
}

static void check_data(struct bt_cpu *c, const struct desc *d)
{
	unsigned type = desc_type(d->raw), dpl = desc_dpl(d->raw), rpl = d->sel & 3u;

	if (!desc_s(d->raw) || (type & (SEG_CODE | SEG_WRITABLE)) == SEG_CODE)
		bt_raise_err(c, X86_GP, sel_error(d->sel));
	if ((type & (SEG_CODE | SEG_CONFORMING)) != (SEG_CODE | SEG_CONFORMING) &&
	    (rpl > dpl || c->mode.cpl > dpl))
		bt_raise_err(c, X86_GP, sel_error(d->sel));
	if (!desc_p(d->raw))
		bt_raise_err(c, X86_NP, sel_error(d->sel));
}

void bt_load_seg(struct bt_cpu *c, unsigned seg, uint16_t sel)
{
	struct desc d;

	if (!c->mode.prot || c->mode.vm86) {
		seg_real(c, seg, sel);
		seg_changed(c, seg);
		return;
	}
	if (sel_null(sel)) {
		load_null(c, seg, sel);
		return;
	}
	desc_read(c, sel, X86_GP, &d);
	if (seg == X86_SS)
		check_stack(c, &d);
	else
		check_data(c, &d);
	desc_or_type(c, &d, SEG_ACCESSED);
	seg_fill(&c->seg[seg], sel, d.raw);
	seg_changed(c, seg);
}

/* Interrupts and traps wait for the instruction behind a load of SS (SDM 3A §6.8.3). */
static void shadow_ss(struct bt_cpu *c, const struct insn *i, unsigned seg)
{
	if (seg == X86_SS && insn_table[i->row].attr & A_END && !c->irq_shadow)
		c->irq_shadow = 2;
}

/* To a register: zero-extended to the operand size; to memory always 16 bits. */
static void store_sel(struct bt_cpu *c, const struct insn *i, uint16_t sel)
{
	if (i->op[0].kind == OP_REG)
		reg_set(c, i->op[0].reg, sel, i->osize);
	else
		bt_st16(c, bt_la(c, i, 2, BT_WRITE), sel);
}

void exec_mov_sreg(struct bt_cpu *c, const struct insn *i)
{
	unsigned seg;

	if (i->op[0].kind != OP_SEG) {
		if (i->op[1].reg > X86_GS)
			bt_ud(c);
		store_sel(c, i, c->seg[i->op[1].reg].sel);
		step_over(c, i);
		return;
	}
	seg = i->op[0].reg;
	if (seg == X86_CS || seg > X86_GS)
		bt_ud(c);
	bt_load_seg(c, seg, (uint16_t)rm_get(c, i, &i->op[1], 2));
	shadow_ss(c, i, seg);
	step_over(c, i);
}

void exec_push_sreg(struct bt_cpu *c, const struct insn *i)
{
	struct stack s;
	uint16_t sel = c->seg[i->op[0].reg].sel;

	stack_current(c, &s);
	stack_room(c, &s, 1, i->osize);
	/* Only the selector's two bytes are written (SDM 2B PUSH: recent processors). */
	stack_drop(&s, -(int)i->osize);
	{
		struct stack at = s;

		stack_drop(&at, 2);
		stack_push(c, &at, sel, 2);
	}
	c->gpr[X86_RSP] = s.sp;
	step_over(c, i);
}

void exec_pop_sreg(struct bt_cpu *c, const struct insn *i)
{
	unsigned seg = i->op[0].reg;
	struct stack s;
	uint16_t sel;

	stack_current(c, &s);
	sel = (uint16_t)stack_pop(c, &s, i->osize);
	bt_load_seg(c, seg, sel);
	c->gpr[X86_RSP] = s.sp;
	shadow_ss(c, i, seg);
	step_over(c, i);
}

/* LDS, LES, LSS, LFS, LGS: which one is told by the opcode. */
void exec_lxs(struct bt_cpu *c, const struct insn *i)
{
	unsigned seg, size = i->osize;
	uint64_t la, off;
	uint16_t sel;

	switch (insn_table[i->row].op) {
	case 0xc4: seg = X86_ES; break;
	case 0xc5: seg = X86_DS; break;
	case 0xb2: seg = X86_SS; break;
	case 0xb4: seg = X86_FS; break;
	default: seg = X86_GS; break;
	}
	la = bt_la(c, i, size + 2, BT_READ);
	off = bt_ld(c, la, size);
	sel = bt_ld16(c, in_long(c) ? la + size : (uint32_t)(la + size));
	bt_load_seg(c, seg, sel);
	reg_set(c, i->op[0].reg, off, size);
	step_over(c, i);
}

/* Tables. ----------------------------------------------------------------------------------- */

static void need_prot(struct bt_cpu *c)
{
	if (!c->mode.prot || c->mode.vm86)
		bt_ud(c);
}

/* SGDT, SIDT, SLDT, STR and SMSW are the kernel's secret with CR4.UMIP (SDM 3A §2.5). */
static void need_umip(struct bt_cpu *c)
{
	if (c->cr4 & CR4_UMIP && c->mode.cpl)
		bt_gp0(c);
}

static void load_table(struct bt_cpu *c, const struct insn *i, struct x86_table *t)
{
	unsigned size = in_long(c) ? 8 : 4;
	uint64_t la, base;
	uint16_t limit;

	need_cpl0(c);
	la = bt_la(c, i, size + 2, BT_READ);
	limit = bt_ld16(c, la);
	base = bt_ld(c, in_long(c) ? la + 2 : (uint32_t)(la + 2), size);
	if (size == 4 && i->osize == 2)
		base &= 0xffffff;
	if (!canonical(c, base))
		bt_gp0(c);
	*t = (struct x86_table){.base = base, .limit = limit};
	step_over(c, i);
}

void exec_lgdt(struct bt_cpu *c, const struct insn *i)
{
	load_table(c, i, &c->gdt);
}

void exec_lidt(struct bt_cpu *c, const struct insn *i)
{
	load_table(c, i, &c->idt);
}

static void store_table(struct bt_cpu *c, const struct insn *i, const struct x86_table *t)
{
	unsigned size = in_long(c) ? 8 : 4;
	uint8_t b[10];

	need_umip(c);
	memcpy(b, &t->limit, 2);
	memcpy(b + 2, &t->base, size);
	bt_st_block(c, bt_la(c, i, size + 2, BT_WRITE), b, size + 2);
	step_over(c, i);
}

void exec_sgdt(struct bt_cpu *c, const struct insn *i)
{
	store_table(c, i, &c->gdt);
}

void exec_sidt(struct bt_cpu *c, const struct insn *i)
{
	store_table(c, i, &c->idt);
}

void exec_sldt(struct bt_cpu *c, const struct insn *i)
{
	need_prot(c);
	need_umip(c);
	store_sel(c, i, c->seg[X86_LDTR].sel);
	step_over(c, i);
}

void exec_str(struct bt_cpu *c, const struct insn *i)
{
	need_prot(c);
	need_umip(c);
	store_sel(c, i, c->seg[X86_TR].sel);
	step_over(c, i);
}

/* A system segment's descriptor for LLDT and LTR. */
static void system_desc(struct bt_cpu *c, uint16_t sel, unsigned types, struct desc *d)
{
	if (sel & 4)
		bt_raise_err(c, X86_GP, sel_error(sel));
	desc_read(c, sel, X86_GP, d);
	if (desc_s(d->raw) || !(types >> desc_type(d->raw) & 1))
		bt_raise_err(c, X86_GP, sel_error(sel));
	if (c->mode.lma)
		desc_read_high(c, X86_GP, d);
	if (!desc_p(d->raw))
		bt_raise_err(c, X86_NP, sel_error(sel));
	if (!canonical(c, d->high << 32 | desc_base(d->raw)))
		bt_raise_err(c, X86_GP, sel_error(sel));
}

static void system_fill(struct bt_cpu *c, unsigned seg, const struct desc *d)
{
	seg_fill(&c->seg[seg], d->sel, d->raw);
	c->seg[seg].base |= d->high << 32;
}

void exec_lldt(struct bt_cpu *c, const struct insn *i)
{
	struct desc d;
	uint16_t sel;

	need_prot(c);
	need_cpl0(c);
	sel = (uint16_t)rm_get(c, i, &i->op[0], 2);
	if (sel_null(sel)) {
		seg_null(&c->seg[X86_LDTR], sel);
	} else {
		system_desc(c, sel, 1u << DESC_LDT, &d);
		system_fill(c, X86_LDTR, &d);
	}
	step_over(c, i);
}

void exec_ltr(struct bt_cpu *c, const struct insn *i)
{
	unsigned types = 1u << DESC_TSS | (c->mode.lma ? 0 : 1u << DESC_TSS16);
	struct desc d;
	uint16_t sel;

	need_prot(c);
	need_cpl0(c);
	sel = (uint16_t)rm_get(c, i, &i->op[0], 2);
	if (sel_null(sel))
		bt_gp0(c);
	system_desc(c, sel, types, &d);
	desc_or_type(c, &d, 2);
	system_fill(c, X86_TR, &d);
	step_over(c, i);
}

/* Questions about descriptors. ------------------------------------------------------------- */

/* Is @d visible at CPL and the selector's RPL?  Conforming code always is. */
static bool visible(const struct bt_cpu *c, const struct desc *d)
{
	unsigned dpl = desc_dpl(d->raw);

	if (desc_is_code(d->raw) && desc_type(d->raw) & SEG_CONFORMING)
		return true;
	return c->mode.cpl <= dpl && (d->sel & 3u) <= dpl;
}

/* System types that LAR and LSL know (SDM 2A tables 3-54 and 3-56). */
#define LAR_TYPES  0x1a3eu /* 1 to 5, 9, 11, 12 */
#define LAR_TYPES8 0x1a04u /* long mode: 2, 9, 11, 12 */
#define LSL_TYPES  0x0a0eu /* 1, 2, 3, 9, 11 */
#define LSL_TYPES8 0x0a04u

static bool ask(struct bt_cpu *c, uint16_t sel, unsigned types, struct desc *d)
{
	if (sel_null(sel) || !desc_peek(c, sel, d))
		return false;
	if (!desc_s(d->raw) && !(types >> desc_type(d->raw) & 1))
		return false;
	if (!desc_s(d->raw) && c->mode.lma) {
		uint64_t last = (uint64_t)(sel & 0xfff8u) + 15;

		if (last > (sel & 4 ? c->seg[X86_LDTR].limit : c->gdt.limit) ||
		    bt_ld_sys(c, d->la + 12, 4) >> 8 & 0x1f)
			return false;
	}
	return visible(c, d);
}

void exec_lar(struct bt_cpu *c, const struct insn *i)
{
	struct desc d;
	bool ok;

	need_prot(c);
	ok = ask(c, (uint16_t)rm_get(c, i, &i->op[1], 2), c->mode.lma ? LAR_TYPES8 : LAR_TYPES, &d);
	if (ok)
		reg_set(c, i->op[0].reg, d.raw >> 32 & (i->osize == 2 ? 0xff00 : 0xffff00),
			i->osize);
	flags_set(c, FL_Z, ok ? FL_Z : 0);
	step_over(c, i);
}

void exec_lsl(struct bt_cpu *c, const struct insn *i)
{
	struct desc d;
	bool ok;

	need_prot(c);
	ok = ask(c, (uint16_t)rm_get(c, i, &i->op[1], 2), c->mode.lma ? LSL_TYPES8 : LSL_TYPES, &d);
	if (ok)
		reg_set(c, i->op[0].reg, desc_limit(d.raw), i->osize);
	flags_set(c, FL_Z, ok ? FL_Z : 0);
	step_over(c, i);
}

void exec_verr(struct bt_cpu *c, const struct insn *i)
{
	struct desc d;
	bool ok;

	need_prot(c);
	ok = ask(c, (uint16_t)rm_get(c, i, &i->op[0], 2), 0, &d) &&
	     (desc_type(d.raw) & (SEG_CODE | SEG_WRITABLE)) != SEG_CODE;
	flags_set(c, FL_Z, ok ? FL_Z : 0);
	step_over(c, i);
}

void exec_verw(struct bt_cpu *c, const struct insn *i)
{
	struct desc d;
	bool ok;

	need_prot(c);
	ok = ask(c, (uint16_t)rm_get(c, i, &i->op[0], 2), 0, &d) && desc_is_writable_data(d.raw);
	flags_set(c, FL_Z, ok ? FL_Z : 0);
	step_over(c, i);
}

void exec_arpl(struct bt_cpu *c, const struct insn *i)
{
	uint16_t src = (uint16_t)c->gpr[i->op[1].reg], dst;
	uint64_t la = 0;
	bool less;

	need_prot(c);
	if (i->op[0].kind == OP_REG) {
		dst = (uint16_t)c->gpr[i->op[0].reg];
	} else {
		la = bt_la(c, i, 2, BT_RMW);
		bt_probe(c, la, 2, BT_RMW);
		dst = bt_ld16(c, la);
	}
	less = (dst & 3) < (src & 3);
	if (less) {
		dst = (uint16_t)((dst & ~3u) | (src & 3u));
		if (i->op[0].kind == OP_REG)
			reg_set(c, i->op[0].reg, dst, 2);
		else
			bt_st16(c, la, dst);
	}
	flags_set(c, FL_Z, less ? FL_Z : 0);
	step_over(c, i);
}
