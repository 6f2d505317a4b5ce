/*
 * arch/x86/vcpu.c - the state table of an x86 vCPU, its power-on values and its words for a human.
 */
#include <string.h>

#include "arch/arch.h"
#include "arch/x86/chips.h"
#include "arch/x86/cpuid.h"
#include "arch/x86/defs.h"
#include "arch/x86/lapic.h"
#include "arch/x86/vcpu.h"

#define S(m, ...) FIELD(struct x86_seg, m, __VA_ARGS__)
static const struct field seg_fields[] = {
	S(base, ),
	S(limit, ),
	S(attr, .max = 0x1ffff),
	S(sel, ),
};
static const struct state_table seg_table = STATE_TABLE("seg", 1, seg_fields);

#define T(m, ...) FIELD(struct x86_table, m, __VA_ARGS__)
static const struct field table_fields[] = {
	T(base, ),
	T(limit, .reset = 0xffff),
};
static const struct state_table table_table = STATE_TABLE("table", 1, table_fields);

#define M(m, ...) FIELD(struct x86_msr, m, __VA_ARGS__)
static const struct field msr_fields[] = {
	M(index, ),
	M(value, ),
};
static const struct state_table msr_table = STATE_TABLE("msr", 1, msr_fields);

#define E(m, ...) FIELD(struct x86_events, m, __VA_ARGS__)
static const struct field event_fields[] = {
	E(exc_injected, ),
	E(exc_pending, ),
	E(exc_has_error, ),
	E(exc_has_payload, ),
	E(exc_vector, .max = 31),
	E(exc_error, ),
	E(exc_payload, ),
	E(irq_injected, ),
	E(irq_soft, ),
	E(irq_vector, ),
	E(irq_shadow, .max = 3),
	E(nmi_injected, ),
	E(nmi_pending, ),
	E(nmi_masked, ),
	E(smi_smm, ),
	E(smi_pending, ),
	E(smi_inside_nmi, ),
	E(smi_latched_init, ),
	E(triple_fault, ),
	E(sipi_vector, .max = 0xff),
};
static const struct state_table event_table = STATE_TABLE("events", 1, event_fields);

#define V(m, ...)	    FIELD(struct x86_vcpu, m, __VA_ARGS__)
#define SUB(m, t, tab, ...) FIELD_SUB(struct x86_vcpu, m, t, tab, __VA_ARGS__)
static const struct field vcpu_fields[] = {
	V(gpr, ),
	V(rip, .reset = 0xfff0),
	V(rflags, .reset = X86_FLAGS_FIXED),
	SUB(seg, struct x86_seg, &seg_table, ),
	SUB(gdt, struct x86_table, &table_table, ),
	SUB(idt, struct x86_table, &table_table, ),
	V(cr0, .reset = X86_CR0_CD | X86_CR0_NW | X86_CR0_ET),
	V(cr2, ),
	V(cr3, ),
	V(cr4, ),
	V(cr8, .max = 15),
	V(efer, ),
	V(apic_base, .reset = X86_LAPIC_ADDR | X86_APIC_BASE_ENABLE),
	V(pdptrs_valid, ),
	V(pdptr, ),
	V(irq_bitmap, ),
	V(dr, ),
	V(dr6, .reset = 0xffff0ff0),
	V(dr7, .reset = 0x400),
	V(xcr0, .reset = 1),
	V(xsave_size, .max = X86_XSAVE_MAX),
	V(xsave, .count_off = offsetof(struct x86_vcpu, xsave_size) + 1),
	V(n_msrs, .max = X86_MSRS_MAX),
	SUB(msr, struct x86_msr, &msr_table, .count_off = offsetof(struct x86_vcpu, n_msrs) + 1),
	V(has_lapic, .reset = 1),
	V(lapic, ),
	V(mp_state, .max = X86_MP_SIPI),
	SUB(events, struct x86_events, &event_table, ),
	V(tsc_khz, ),
	V(apic_id, ),
};
const struct state_table x86_vcpu_table = STATE_TABLE("x86-vcpu", 1, vcpu_fields);

void x86_seg_set(struct x86_seg *s, uint16_t sel, uint64_t base, uint32_t limit, uint32_t attr)
{
	*s = (struct x86_seg){.base = base, .limit = limit, .attr = attr, .sel = sel};
}

uint64_t *x86_vcpu_msr(struct x86_vcpu *v, uint32_t index)
{
	uint32_t lo = 0, hi = v->n_msrs;

	while (lo < hi) {
		uint32_t mid = lo + (hi - lo) / 2;

		if (v->msr[mid].index == index)
			return &v->msr[mid].value;
		if (v->msr[mid].index < index)
			lo = mid + 1;
		else
			hi = mid;
	}
	return NULL;
}

/*
 * x87 and SSE at power-on (SDM 3A table 10-1): FCW 0040h, every register +0.0 and so tagged valid
 * in the abridged form, MXCSR 1F80h.  The area is the legacy region and the XSAVE header.
 */
static void reset_fpu(struct x86_vcpu *v)
{
	v->xsave_size = X86_XSAVE_LEGACY + 64;
	v->xsave[0] = 0x40;
	v->xsave[4] = 0xff;
	v->xsave[24] = 0x80;
	v->xsave[25] = 0x1f;
	v->xsave[X86_XSAVE_LEGACY] = 3; /* XSTATE_BV: x87 and SSE are in the area */
}

static void identify(void *state, const struct vm_topology *t, unsigned index)
{
	struct x86_vcpu *v = state;

	v->apic_id = x86_apic_id(t, index);
}

void x86_vcpu_reset(void *state, unsigned index)
{
	struct x86_vcpu *v = state;
	uint32_t apic_id = v->apic_id, tsc_khz = v->tsc_khz;
	const uint32_t data = X86_SEG_P | X86_SEG_S | 3; /* read, write, accessed */

	state_reset(&x86_vcpu_table, v);
	v->apic_id = apic_id;
	v->tsc_khz = tsc_khz;
	v->gpr[X86_RDX] = 0x600; /* some family 6 processor; CPUID has the truth */
	for (unsigned i = 0; i < X86_LDTR; i++)
		x86_seg_set(&v->seg[i], 0, 0, 0xffff, data);
	x86_seg_set(&v->seg[X86_CS], 0xf000, 0xffff0000, 0xffff, data | 8);
	x86_seg_set(&v->seg[X86_LDTR], 0, 0, 0xffff, X86_SEG_P | 2);
	x86_seg_set(&v->seg[X86_TR], 0, 0, 0xffff, X86_SEG_P | 11);
	if (index == 0)
		v->apic_base |= X86_APIC_BASE_BSP;
	reset_fpu(v);
	lapic_reset_regs(v->lapic, v->apic_id, index == 0);
	v->mp_state = index == 0 ? X86_MP_RUNNING : X86_MP_WAIT_INIT;
}

static unsigned cpl(const struct x86_vcpu *v)
{
	if (!(v->cr0 & X86_CR0_PE))
		return 0;
	if (v->rflags & X86_FLAGS_VM)
		return 3;
	return X86_SEG_DPL(v->seg[X86_SS].attr);
}

static bool in_64bit(const struct x86_vcpu *v)
{
	return (v->efer & X86_EFER_LMA) && (v->seg[X86_CS].attr & X86_SEG_L);
}

static uint64_t x86_pc(const void *state)
{
	const struct x86_vcpu *v = state;

	if (in_64bit(v))
		return v->rip;
	return (uint32_t)(v->seg[X86_CS].base + v->rip);
}

static const char *mode_name(const struct x86_vcpu *v)
{
	uint32_t attr = v->seg[X86_CS].attr;

	if (!(v->cr0 & X86_CR0_PE))
		return "real mode";
	if (v->rflags & X86_FLAGS_VM)
		return "virtual-8086 mode";
	if (v->efer & X86_EFER_LMA)
		return attr & X86_SEG_L ? "64-bit mode" : "compatibility mode";
	return attr & X86_SEG_DB ? "32-bit protected mode" : "16-bit protected mode";
}

static void show_flags(const struct x86_vcpu *v, struct strbuf *out)
{
	static const struct {
		uint8_t bit;
		const char *name;
	} flags[] = {{0, "CF"}, {2, "PF"}, {4, "AF"},  {6, "ZF"}, {7, "SF"},
		     {8, "TF"}, {9, "IF"}, {10, "DF"}, {11, "OF"}};

	strbuf_printf(out, "rflags %08llx [", (unsigned long long)v->rflags);
	for (size_t i = 0, n = 0; i < ARRAY_LEN(flags); i++)
		if (v->rflags >> flags[i].bit & 1)
			strbuf_printf(out, "%s%s", n++ ? " " : "", flags[i].name);
	strbuf_add(out, "]");
}

static void show_segment(const char *name, const struct x86_seg *s, struct strbuf *out)
{
	strbuf_printf(out, "%-4s %04x base %016llx limit %08x attr %05x%s\n", name, s->sel,
		      (unsigned long long)s->base, s->limit, s->attr,
		      s->attr & X86_SEG_UNUSABLE ? " unusable" : "");
}

static void x86_show(const void *state, struct strbuf *out)
{
	static const char *const gpr[16] = {"rax", "rcx", "rdx", "rbx", "rsp", "rbp", "rsi", "rdi",
					    "r8",  "r9",  "r10", "r11", "r12", "r13", "r14", "r15"};
	static const uint8_t order[16] = {X86_RAX, X86_RBX, X86_RCX, X86_RDX, X86_RSI, X86_RDI,
					  X86_RBP, X86_RSP, X86_R8,  X86_R9,  X86_R10, X86_R11,
					  X86_R12, X86_R13, X86_R14, X86_R15};
	static const char *const seg[X86_SEGS] = {"es", "cs", "ss", "ds", "fs", "gs", "ldtr", "tr"};
	const struct x86_vcpu *v = state;

	strbuf_printf(out, "rip %016llx ", (unsigned long long)v->rip);
	show_flags(v, out);
	strbuf_printf(out, " %s, cpl %u\n", mode_name(v), cpl(v));
	for (unsigned i = 0; i < 16; i++)
		strbuf_printf(out, "%-3s %016llx%s", gpr[order[i]],
			      (unsigned long long)v->gpr[order[i]], i % 4 == 3 ? "\n" : " ");
	strbuf_printf(out, "cr0 %016llx cr2 %016llx cr3 %016llx cr4 %016llx\n",
		      (unsigned long long)v->cr0, (unsigned long long)v->cr2,
		      (unsigned long long)v->cr3, (unsigned long long)v->cr4);
	strbuf_printf(out, "cr8 %llx efer %llx apic_base %llx xcr0 %llx dr6 %llx dr7 %llx\n",
		      (unsigned long long)v->cr8, (unsigned long long)v->efer,
		      (unsigned long long)v->apic_base, (unsigned long long)v->xcr0,
		      (unsigned long long)v->dr6, (unsigned long long)v->dr7);
	for (unsigned i = 0; i < X86_SEGS; i++)
		show_segment(seg[i], &v->seg[i], out);
	strbuf_printf(out, "gdt  base %016llx limit %04x   idt base %016llx limit %04x\n",
		      (unsigned long long)v->gdt.base, v->gdt.limit,
		      (unsigned long long)v->idt.base, v->idt.limit);
}

static bool x86_stuck(const void *state)
{
	const struct x86_vcpu *v = state;
	const struct x86_events *ev = &v->events;

	return v->mp_state == X86_MP_HALTED && !(v->rflags & X86_FLAGS_IF) && !ev->nmi_pending &&
	       !ev->nmi_injected && !ev->smi_pending && !ev->exc_pending && !ev->exc_injected;
}

static const char *x86_doing(const void *state)
{
	const struct x86_vcpu *v = state;
	bool irqs = v->rflags & X86_FLAGS_IF;

	switch (v->mp_state) {
	case X86_MP_WAIT_INIT: return "not started yet (waiting for INIT)";
	case X86_MP_INIT: return "waiting to be started (SIPI)";
	case X86_MP_SIPI: return "being started";
	case X86_MP_HALTED:
		return irqs ? "halted, waiting for an interrupt" : "halted with interrupts off";
	default: break;
	}
	if (!(v->cr0 & X86_CR0_PE))
		return irqs ? "in real mode" : "in real mode with interrupts off";
	if (cpl(v) == 3)
		return "in user mode";
	return irqs ? "in kernel mode" : "in kernel mode with interrupts off";
}

static enum arch_activity x86_activity(const void *state)
{
	const struct x86_vcpu *v = state;

	switch (v->mp_state) {
	case X86_MP_WAIT_INIT:
	case X86_MP_INIT:
	case X86_MP_SIPI: return ARCH_OFF;
	case X86_MP_HALTED: return x86_stuck(state) ? ARCH_STUCK : ARCH_IDLE;
	default: return (v->cr0 & X86_CR0_PE) && cpl(v) == 3 ? ARCH_USER : ARCH_KERNEL;
	}
}

const struct arch arch_x86 = {
	.name = "x86",
	.long_name = "x86-64",
	.max_vcpus = X86_VCPUS_MAX,
	.vcpu_state_size = sizeof(struct x86_vcpu),
	.vcpu_state = &x86_vcpu_table,
	.vcpu_identify = identify,
	.vcpu_reset = x86_vcpu_reset,
	.chips_size = sizeof(struct x86_chips),
	.chips = &x86_chips_table,
	.chips_reset = x86_chips_reset,
	.pc = x86_pc,
	.show = x86_show,
	.doing = x86_doing,
	.activity = x86_activity,
	.translate = x86_translate,
};
