/*
 * accel/bt/event.c - delivery of exceptions and interrupts (SDM 3A §6, §20.3; APM 2 §8).
 *
 * A meaning raises: what happened goes to c->event, and control leaves to the loop, which calls
 * bt_deliver.  While that works, c->delivering says what class of event it is about and whether
 * error codes have the EXT bit; a fault then becomes, by the table in SDM 3A §6.15, that fault
 * itself, a double fault or the end, and leaves to the loop the same way.  c->rip and all other
 * registers stay what they were until nothing can fail any more.
 */
#include "accel/bt/exec/sys.h"
#include "base/trace.h"

/* Classes in c->delivering; 0: nothing is being delivered. */
enum {
	CLASS_BENIGN = 1,
	CLASS_CONTRIBUTORY,
	CLASS_PAGE,
	CLASS_DOUBLE,
	CLASS_MASK = 7,
	CLASS_EXT = 8,
};

#define ERROR_EXT 1u
#define ERROR_IDT 2u

struct event {
	enum bt_event_kind kind;
	uint8_t vector;
	bool has_error;
	uint32_t error;
	uint64_t rip; /* to push */
	uint64_t flags;
};

static unsigned class_of(enum bt_event_kind kind, unsigned vector)
{
	if (kind != BT_EVENT_FAULT)
		return CLASS_BENIGN;
	switch (vector) {
	case X86_DE:
	case X86_TS:
	case X86_NP:
	case X86_SS_FAULT:
	case X86_GP: return CLASS_CONTRIBUTORY;
	case X86_PF: return CLASS_PAGE;
	case X86_DF: return CLASS_DOUBLE;
	default: return CLASS_BENIGN;
	}
}

static _Noreturn void raise_event(struct bt_cpu *c, enum bt_vector v, bool has_error,
				  uint32_t error)
{
	unsigned first = c->delivering & CLASS_MASK, second = class_of(BT_EVENT_FAULT, v);

	if (first == CLASS_DOUBLE && second != CLASS_BENIGN) {
		c->delivering = 0;
		TRACE(bt_triple_fault, "vector %u at %016llx during a double fault", v,
		      (unsigned long long)c->rip);
		bt_stop(c, VCPU_SHUTDOWN);
	}
	if (first && has_error && v != X86_PF && v != X86_AC && c->delivering & CLASS_EXT)
		error |= ERROR_EXT;
	if ((first == CLASS_CONTRIBUTORY && second == CLASS_CONTRIBUTORY) ||
	    (first == CLASS_PAGE && (second == CLASS_CONTRIBUTORY || second == CLASS_PAGE))) {
		TRACE(bt_double_fault, "vector %u error %x at %016llx", v, error,
		      (unsigned long long)c->rip);
		v = X86_DF;
		has_error = true;
		error = 0;
	}
	c->delivering = 0;
	c->event.vector = (uint8_t)v;
	c->event.has_error = has_error;
	c->event.error = error;
	c->event.soft = false;
	siglongjmp(*c->out, BT_LEAVE_EVENT);
}

void bt_raise(struct bt_cpu *c, enum bt_vector v)
{
	c->event.dr6 = 0;
	raise_event(c, v, v == X86_DF, 0);
}

void bt_raise_err(struct bt_cpu *c, enum bt_vector v, uint32_t error)
{
	raise_event(c, v, true, error);
}

void bt_raise_pf(struct bt_cpu *c, uint64_t la, uint32_t error)
{
	c->cr2 = la;
	c->event.address = la;
	raise_event(c, X86_PF, true, error);
}

void bt_raise_db(struct bt_cpu *c, uint32_t dr6)
{
	c->event.dr6 = dr6;
	raise_event(c, X86_DB, false, 0);
}

/* RFLAGS as delivery pushes it (SDM 3B §17.3.1.1 on RF). */
static uint64_t flags_image(struct bt_cpu *c, enum bt_event_kind kind, unsigned vector)
{
	uint64_t f = flags_get(c);

	switch (kind) {
	case BT_EVENT_FAULT:
		if (vector == X86_DF || vector == X86_MC || vector == X86_BP || vector == X86_OF)
			return f;
		if (vector == X86_DB && !(c->event.dr6 & DR6_BD))
			return f; /* a trap, or an instruction breakpoint */
		return f | EF_RF;
	case BT_EVENT_SOFT:
	case BT_EVENT_INT1:
	case BT_EVENT_SOFT_EXC: return f & ~(uint64_t)EF_RF;
	default: return f;
	}
}

/* INT n, INT3 and INTO are subject to the gate's DPL. */
static bool by_software(const struct event *ev)
{
	return ev->kind == BT_EVENT_SOFT || ev->kind == BT_EVENT_SOFT_EXC;
}

/* Real mode (SDM 3A §20.1.4): no error code, 16 bits of everything. */
static void deliver_real(struct bt_cpu *c, const struct event *ev)
{
	uint64_t at = c->idt.base + ev->vector * 4u;
	struct x86_seg cs = c->seg[X86_CS];
	struct stack s;
	uint32_t entry;

	if (ev->vector * 4u + 3 > c->idt.limit)
		bt_raise_err(c, X86_GP, ev->vector * 8u | ERROR_IDT);
	entry = (uint32_t)bt_ld_sys(c, (uint32_t)at, 4);
	stack_current(c, &s);
	stack_room(c, &s, 3, 2);
	cs.sel = (uint16_t)(entry >> 16);
	cs.base = (uint64_t)cs.sel << 4;
	cs_check_rip(c, &cs, entry & 0xffff);
	stack_push(c, &s, ev->flags, 2);
	stack_push(c, &s, c->seg[X86_CS].sel, 2);
	stack_push(c, &s, ev->rip, 2);
	c->gpr[X86_RSP] = s.sp;
	c->rflags &= ~(uint64_t)(EF_IF | EF_TF | EF_AC | EF_RF);
	cs_commit(c, &cs, entry & 0xffff);
}

/*
 * INT n of virtual-8086 mode that the redirection bitmap leaves to the 8086 program: by the vector
 * table at linear address 0 (SDM 3A §20.3.3.4, methods 5 and 6).
 */
static void deliver_redirected(struct bt_cpu *c, const struct event *ev)
{
	uint32_t entry = (uint32_t)bt_ld_as(c, ev->vector * 4u, 4, true);
	uint64_t image = ev->flags;
	struct x86_seg cs = c->seg[X86_CS];
	struct stack s;

	if (iopl(c) < 3) {
		image = (image | EF_IOPL) & ~(uint64_t)EF_IF;
		if (image & EF_VIF)
			image |= EF_IF;
	}
	stack_current(c, &s);
	stack_room(c, &s, 3, 2);
	cs.sel = (uint16_t)(entry >> 16);
	cs.base = (uint64_t)cs.sel << 4;
	stack_push(c, &s, image, 2);
	stack_push(c, &s, c->seg[X86_CS].sel, 2);
	stack_push(c, &s, ev->rip, 2);
	c->gpr[X86_RSP] = s.sp;
	c->rflags &= ~(uint64_t)(EF_TF | EF_RF | EF_NT | (iopl(c) < 3 ? EF_VIF : EF_IF));
	cs_commit(c, &cs, entry & 0xffff);
}

/* Bit @vector of the redirection bitmap, which lies below the I/O bitmap; set: to the IDT. */
static bool redirect_bit(struct bt_cpu *c, unsigned vector)
{
	uint32_t at;

	if (c->seg[X86_TR].limit < 0x67 || X86_SEG_TYPE(c->seg[X86_TR].attr) != DESC_TSS_BUSY)
		bt_gp0(c);
	at = (uint32_t)bt_ld_sys(c, (uint32_t)(c->seg[X86_TR].base + 0x66), 2);
	if (at < 32 || at - 32 + vector / 8 > c->seg[X86_TR].limit)
		bt_gp0(c);
	at += vector / 8 - 32;
	return bt_ld_sys(c, (uint32_t)(c->seg[X86_TR].base + at), 1) >> (vector % 8) & 1;
}

/* INT n in virtual-8086 mode.  True: done. */
static bool deliver_vm86_soft(struct bt_cpu *c, const struct event *ev)
{
	if (c->cr4 & CR4_VME && !redirect_bit(c, ev->vector)) {
		deliver_redirected(c, ev);
		return true;
	}
	if (iopl(c) < 3)
		bt_gp0(c);
	return false;
}

/* The code segment behind a gate: what CS becomes. */
static unsigned gate_target(struct bt_cpu *c, uint16_t sel, struct desc *d)
{
	unsigned cpl = c->mode.cpl;

	if (sel_null(sel))
		bt_gp0(c);
	desc_read(c, sel, X86_GP, d);
	if (!desc_is_code(d->raw) || desc_dpl(d->raw) > cpl)
		bt_raise_err(c, X86_GP, sel_error(sel));
	if (c->mode.lma && (!desc_l(d->raw) || desc_db(d->raw)))
		bt_raise_err(c, X86_GP, sel_error(sel));
	if (!desc_p(d->raw))
		bt_raise_err(c, X86_NP, sel_error(sel));
	if (!(desc_type(d->raw) & SEG_CONFORMING))
		cpl = desc_dpl(d->raw);
	if (c->mode.vm86 && (cpl != 0 || desc_type(d->raw) & SEG_CONFORMING))
		bt_raise_err(c, X86_GP, sel_error(sel));
	return cpl;
}

static void entered(struct bt_cpu *c, unsigned gate_type)
{
	uint64_t clear = EF_TF | EF_NT | EF_VM | EF_RF;

	if (!(gate_type & 1)) /* an interrupt gate */
		clear |= EF_IF;
	c->rflags &= ~clear;
}

/* Long mode (SDM 3A §6.14). */
static void deliver_long(struct bt_cpu *c, const struct event *ev)
{
	uint32_t off = ev->vector * 16u, error = ev->vector * 8u | ERROR_IDT;
	uint64_t lo, rip;
	unsigned type, cpl, ist;
	struct x86_seg cs;
	struct stack s;
	struct desc d;

	if (off + 15 > c->idt.limit)
		bt_raise_err(c, X86_GP, error);
	lo = bt_ld_sys(c, c->idt.base + off, 8);
	rip = gate_offset(lo) | bt_ld_sys(c, c->idt.base + off + 8, 4) << 32;
	type = desc_type(lo);
	if (desc_s(lo) || (type != DESC_INT && type != DESC_TRAP))
		bt_raise_err(c, X86_GP, error);
	if (by_software(ev) && desc_dpl(lo) < c->mode.cpl)
		bt_raise_err(c, X86_GP, error);
	if (!desc_p(lo))
		bt_raise_err(c, X86_NP, error);
	cpl = gate_target(c, gate_sel(lo), &d);
	ist = (unsigned)(lo >> 32 & 7);
	if (cpl < c->mode.cpl || ist) {
		stack_inner(c, cpl, ist, &s);
	} else {
		s = (struct stack){.ss = c->seg[X86_SS], .sp = c->gpr[X86_RSP]};
		s.mask = UINT64_MAX;
	}
	s.user = cpl == 3;
	s.sp &= ~UINT64_C(15);
	stack_room(c, &s, ev->has_error ? 6 : 5, 8);
	if (!canonical(c, rip))
		bt_gp0(c);
	seg_fill(&cs, (uint16_t)((d.sel & ~3u) | cpl), d.raw);
	stack_push(c, &s, c->seg[X86_SS].sel, 8);
	stack_push(c, &s, c->gpr[X86_RSP], 8);
	stack_push(c, &s, ev->flags, 8);
	stack_push(c, &s, c->seg[X86_CS].sel, 8);
	stack_push(c, &s, ev->rip, 8);
	if (ev->has_error)
		stack_push(c, &s, ev->error, 8);
	desc_or_type(c, &d, SEG_ACCESSED);
	if (cpl < c->mode.cpl)
		seg_null(&c->seg[X86_SS], (uint16_t)cpl), /* DPL keeps the privilege */
			c->seg[X86_SS].attr |= cpl << 5;
	c->gpr[X86_RSP] = s.sp;
	entered(c, type);
	cs_commit(c, &cs, rip);
}

static void push_frame(struct bt_cpu *c, struct stack *s, const struct event *ev, bool inner,
		       unsigned size)
{
	static const uint8_t data[] = {X86_GS, X86_FS, X86_DS, X86_ES};

	if (c->mode.vm86)
		for (unsigned n = 0; n < 4; n++)
			stack_push(c, s, c->seg[data[n]].sel, size);
	if (inner) {
		stack_push(c, s, c->seg[X86_SS].sel, size);
		stack_push(c, s, c->gpr[X86_RSP], size);
	}
	stack_push(c, s, ev->flags, size);
	stack_push(c, s, c->seg[X86_CS].sel, size);
	stack_push(c, s, ev->rip, size);
	if (ev->has_error)
		stack_push(c, s, ev->error, size);
}

/* Through an interrupt or trap gate of protected mode (SDM 3A §6.12.1). */
static void deliver_gate(struct bt_cpu *c, const struct event *ev, uint64_t gate)
{
	unsigned type = desc_type(gate), size = type & 8 ? 4 : 2, count;
	uint32_t rip = size == 4 ? gate_offset(gate) : (uint16_t)gate;
	bool vm86 = c->mode.vm86, inner;
	struct x86_seg cs;
	struct stack s;
	struct desc d;
	unsigned cpl = gate_target(c, gate_sel(gate), &d);

	inner = cpl < c->mode.cpl;
	if (inner)
		stack_inner(c, cpl, 0, &s);
	else
		stack_current(c, &s);
	count = 3u + (inner ? 2 : 0) + (vm86 ? 4 : 0) + (ev->has_error ? 1 : 0);
	stack_room(c, &s, count, size);
	seg_fill(&cs, (uint16_t)((d.sel & ~3u) | cpl), d.raw);
	cs_check_rip(c, &cs, rip);
	push_frame(c, &s, ev, inner, size);
	desc_or_type(c, &d, SEG_ACCESSED);
	if (vm86)
		for (unsigned seg = X86_ES; seg <= X86_GS; seg++)
			if (seg != X86_CS && seg != X86_SS)
				seg_null(&c->seg[seg], 0);
	if (inner)
		c->seg[X86_SS] = s.ss;
	c->gpr[X86_RSP] = s.sp;
	entered(c, type);
	cs_commit(c, &cs, rip);
}

static void deliver_prot(struct bt_cpu *c, const struct event *ev)
{
	uint32_t off = ev->vector * 8u, error = off | ERROR_IDT;
	uint64_t gate;
	unsigned type;

	if (off + 7 > c->idt.limit)
		bt_raise_err(c, X86_GP, error);
	gate = bt_ld_sys(c, (uint32_t)(c->idt.base + off), 8);
	type = desc_type(gate);
	if (desc_s(gate) || (type != DESC_TASK && (type & 7) != DESC_INT16 && (type & 7) != 7))
		bt_raise_err(c, X86_GP, error);
	if (by_software(ev) && desc_dpl(gate) < c->mode.cpl)
		bt_raise_err(c, X86_GP, error);
	if (!desc_p(gate))
		bt_raise_err(c, X86_NP, error);
	if (type == DESC_TASK) {
		const struct task_args a = {TASK_INT, ev->has_error, ev->error, ev->rip, ev->flags};

		task_switch(c, gate_sel(gate), &a);
	} else {
		deliver_gate(c, ev, gate);
	}
}

/*
 * DR6 and DR7 as a debug exception leaves them (SDM 3B §17.2).  INT1 says nothing in DR6; but a
 * breakpoint that still waits (behind MOV SS) becomes one exception with whatever #DB comes first.
 */
static void debug_registers(struct bt_cpu *c, enum bt_event_kind kind)
{
	uint64_t hits = c->dr_pending ? c->dr_hits : 0;

	c->dr_pending = false;
	if (kind == BT_EVENT_FAULT)
		hits |= c->event.dr6;
	else if (!hits)
		return;
	c->dr6 = (c->dr6 & ~(uint64_t)DR6_B) | hits | DR6_FIXED1;
	c->dr7 &= ~(uint64_t)DR7_GD;
	c->msr.debugctl &= ~UINT64_C(1);
	c->event.dr6 = 0;
}

void event_deliver(struct bt_cpu *c, enum bt_event_kind kind, unsigned vector, bool has_error,
		   uint32_t error, uint64_t rip)
{
	struct event ev = {.kind = kind,
			   .vector = (uint8_t)vector,
			   .has_error = has_error,
			   .error = error,
			   .rip = rip,
			   .flags = flags_image(c, kind, vector)};

	flags_settle(c);
	if (vector == X86_DB && (kind == BT_EVENT_FAULT || kind == BT_EVENT_INT1))
		debug_registers(c, kind);
	if (kind == BT_EVENT_NMI)
		c->nmi_masked = true;
	c->delivering = (uint8_t)class_of(kind, vector);
	if (!by_software(&ev))
		c->delivering |= CLASS_EXT;
	TRACE(bt_event, "vector %u kind %d error %x at %04x:%016llx cpl %u", vector, kind, error,
	      c->seg[X86_CS].sel, (unsigned long long)rip, c->mode.cpl);
	if (!c->mode.prot)
		deliver_real(c, &ev);
	else if (c->mode.lma)
		deliver_long(c, &ev);
	else if (!c->mode.vm86 || kind != BT_EVENT_SOFT || !deliver_vm86_soft(c, &ev))
		deliver_prot(c, &ev);
	c->delivering = 0;
	c->irq_shadow = 0;
	c->no_trap = true; /* INT n and the like: TF is off at the handler's first instruction */
	c->mp_state = X86_MP_RUNNING;
}

void bt_deliver(struct bt_cpu *c, enum bt_event_kind kind, unsigned vector, bool has_error,
		uint32_t error)
{
	event_deliver(c, kind, vector, has_error, error, c->rip);
}

void bt_deliver_raised(struct bt_cpu *c)
{
	event_deliver(c, BT_EVENT_FAULT, c->event.vector, c->event.has_error, c->event.error,
		      c->rip);
}

void bt_deliver_queued(struct bt_cpu *c)
{
	if (!c->queued.valid)
		return;
	c->queued.valid = false;
	if (c->queued.shutdown)
		bt_stop(c, VCPU_SHUTDOWN);
	c->event.dr6 = c->queued.dr6;
	event_deliver(c, c->queued.kind, c->queued.vector, c->queued.has_error, c->queued.error,
		      c->rip);
}
