/*
 * accel/bt/cpu.c - the state of a software CPU as a whole: what is derived from it, reset and INIT,
 * and its way out to and in from struct x86_vcpu.
 *
 * A state that comes in may be hostile: every field has any value that its type can hold.  What the
 * run time relies on beyond the types is established here: reserved bits of registers, combinations
 * of modes that do not exist.  Guest addresses need nothing, each use checks them.
 */
#include <errno.h>
#include <string.h>

#include "accel/bt/cpu.h"
#include "accel/bt/exec/sys.h"
#include "accel/bt/pure.h"
#include "accel/bt/msr.h"

/* Derived state. ---------------------------------------------------------------------------- */

/* Whole 4 GiB, present, readable and writable. */
static bool is_flat(const struct bt_cpu *c, const struct x86_seg *s)
{
	const uint32_t mask =
		SEG_CODE | SEG_DOWN | SEG_WRITABLE | X86_SEG_S | X86_SEG_P | X86_SEG_UNUSABLE;
	const uint32_t real = SEG_DOWN | X86_SEG_UNUSABLE | X86_SEG_P;

	if (s->limit != UINT32_MAX)
		return false;
	if (!c->mode.prot)
		return (s->attr & real) == X86_SEG_P;
	return (s->attr & mask) == (SEG_WRITABLE | X86_SEG_S | X86_SEG_P);
}

static void derive_seg(struct bt_cpu *c, unsigned seg)
{
	const struct x86_seg *s = &c->seg[seg];

	c->seg_base[seg] = c->mode.code == 8 && seg < X86_FS ? 0 : s->base;
	c->mode.flat[seg] = is_flat(c, s);
}

void bt_mode_changed(struct bt_cpu *c)
{
	struct bt_mode *m = &c->mode;
	const struct x86_seg *cs = &c->seg[X86_CS], *ss = &c->seg[X86_SS];

	m->prot = c->cr0 & X86_CR0_PE;
	m->lma = c->efer & X86_EFER_LMA;
	m->vm86 = m->prot && !m->lma && c->rflags & EF_VM;
	if (!m->prot)
		m->cpl = 0;
	else
		m->cpl = m->vm86 ? 3 : (uint8_t)X86_SEG_DPL(ss->attr);
	if (m->lma && cs->attr & X86_SEG_L) {
		m->code = m->stack = 8;
	} else {
		m->code = cs->attr & X86_SEG_DB ? 4 : 2;
		m->stack = ss->attr & X86_SEG_DB ? 4 : 2;
	}
	m->user = m->cpl == 3;
	m->align = m->user && c->cr0 & X86_CR0_AM && c->rflags & EF_AC;
	m->step = c->rflags & EF_TF || c->dr7 & 0xff || c->debug.each;
	for (unsigned seg = X86_ES; seg <= X86_GS; seg++)
		derive_seg(c, seg);
	mmu_mode_changed(c);
}

void seg_changed(struct bt_cpu *c, unsigned seg)
{
	if (seg == X86_SS)
		bt_mode_changed(c);
	else
		derive_seg(c, seg);
}

bool cpu_has(const struct bt_cpu *c, uint32_t leaf, uint32_t subleaf, enum cpuid_reg reg,
	     unsigned bit)
{
	const struct x86_cpuid *l = x86_cpuid_find(c->cpuid, c->n_cpuid, leaf, subleaf);
	uint32_t val;

	if (!l)
		return false;
	switch (reg) {
	case CPUID_EAX: val = l->eax; break;
	case CPUID_EBX: val = l->ebx; break;
	case CPUID_ECX: val = l->ecx; break;
	default: val = l->edx; break;
	}
	return val >> bit & 1;
}

bool cpu_is_amd(const struct bt_cpu *c)
{
	const struct x86_cpuid *l = x86_cpuid_find(c->cpuid, c->n_cpuid, 0, 0);

	/* "Auth" of AuthenticAMD, "Hygo" of HygonGenuine */
	return l && (l->ebx == 0x68747541 || l->ebx == 0x6f677948);
}

/* INIT and SIPI (SDM 3A §8.4, table 9-1). --------------------------------------------------- */

void bt_init_reset(struct bt_cpu *c)
{
	const uint32_t data = X86_SEG_P | X86_SEG_S | SEG_WRITABLE | SEG_ACCESSED;
	const struct x86_cpuid *l = x86_cpuid_find(c->cpuid, c->n_cpuid, 1, 0);

	memset(c->gpr, 0, sizeof(c->gpr));
	c->gpr[X86_RDX] = l ? l->eax : 0x600;
	c->rip = 0xfff0;
	c->rflags = X86_FLAGS_FIXED;
	c->cc = CC_FLAGS;
	for (unsigned n = X86_ES; n <= X86_GS; n++)
		x86_seg_set(&c->seg[n], 0, 0, 0xffff, data);
	x86_seg_set(&c->seg[X86_CS], 0xf000, 0xffff0000, 0xffff, data | SEG_CODE);
	x86_seg_set(&c->seg[X86_LDTR], 0, 0, 0xffff, X86_SEG_P | DESC_LDT);
	x86_seg_set(&c->seg[X86_TR], 0, 0, 0xffff, X86_SEG_P | DESC_TSS_BUSY);
	c->gdt = c->idt = (struct x86_table){.limit = 0xffff};
	c->cr0 = (c->cr0 & (X86_CR0_CD | X86_CR0_NW)) | X86_CR0_ET;
	c->cr2 = c->cr3 = c->cr4 = c->efer = 0;
	memset(c->dr, 0, sizeof(c->dr));
	c->dr6 = DR6_FIXED1;
	c->dr7 = DR7_FIXED1;
	c->irq_shadow = 0;
	c->nmi_pending = c->nmi_masked = c->dr_pending = false;
	c->delivering = 0;
	c->msr.debugctl = 0;
	if (c->lapic)
		lapic_reset(c->lapic, true);
	mmu_flush_all(c, true);
	bt_mode_changed(c);
}

void bt_start(struct bt_cpu *c, uint8_t vector)
{
	c->seg[X86_CS].sel = (uint16_t)(vector << 8);
	c->seg[X86_CS].base = (uint64_t)vector << 12;
	c->rip = 0;
	c->mp_state = X86_MP_RUNNING;
	bt_mode_changed(c);
}

/* Out. -------------------------------------------------------------------------------------- */

void bt_state_peek(const struct bt_cpu *c, struct x86_vcpu *out)
{
	memcpy(out->gpr, c->gpr, sizeof(out->gpr));
	out->rip = c->rip;
	out->rflags = flags_get(c);
	memcpy(out->seg, c->seg, sizeof(out->seg));
	out->gdt = c->gdt;
	out->idt = c->idt;
	out->cr0 = c->cr0;
	out->cr2 = c->cr2;
	out->cr3 = c->cr3;
	out->cr4 = c->cr4;
	out->cr8 = c->lapic ? lapic_tpr(c->lapic) : 0;
	out->efer = c->efer;
	out->apic_base = X86_LAPIC_ADDR;
	out->pdptrs_valid = false;
	memcpy(out->dr, c->dr, sizeof(out->dr));
	out->dr6 = c->dr6;
	out->dr7 = c->dr7;
	out->xcr0 = c->xcr0;
	out->mp_state = c->mp_state;
	out->events = (struct x86_events){.irq_shadow = c->irq_shadow,
					  .nmi_pending = c->nmi_pending,
					  .nmi_masked = c->nmi_masked};
}

static void get_queued(const struct bt_cpu *c, struct x86_events *ev)
{
	if (!c->queued.valid)
		return;
	if (c->queued.shutdown) {
		ev->triple_fault = true;
	} else if (c->queued.kind == BT_EVENT_NMI) {
		ev->nmi_injected = true;
	} else if (c->queued.kind == BT_EVENT_IRQ) {
		ev->irq_injected = true;
		ev->irq_vector = c->queued.vector;
	} else {
		ev->exc_injected = true;
		ev->exc_vector = c->queued.vector;
		ev->exc_has_error = c->queued.has_error;
		ev->exc_error = c->queued.error;
	}
}

int bt_state_get(struct bt_cpu *c, struct x86_vcpu *out, struct err *e)
{
	(void)e;
	bt_state_peek(c, out);
	get_queued(c, &out->events);
	memset(out->pdptr, 0, sizeof(out->pdptr));
	memset(out->irq_bitmap, 0, sizeof(out->irq_bitmap));
	out->tsc_khz = BT_TSC_KHZ;
	ext_to_xsave(c, out);
	bt_msr_get(c, out);
	out->has_lapic = false;
	memset(out->lapic, 0, sizeof(out->lapic));
	if (c->lapic)
		lapic_get(c->lapic, out);
	return 0;
}

/* In. --------------------------------------------------------------------------------------- */

static int refuse(struct err *e, const char *what, uint64_t val)
{
	err_set(e, -EINVAL, "%s is 0x%llx, which this CPU cannot be in", what,
		(unsigned long long)val);
	return err_kind(e, ERR_CONFIG);
}

static int check_control(const struct bt_cpu *c, const struct x86_vcpu *in, struct err *e)
{
	bool paging = in->cr0 & X86_CR0_PG, lma = paging && in->efer & X86_EFER_LME;

	if (in->cr0 >> 32 || (paging && !(in->cr0 & X86_CR0_PE)))
		return refuse(e, "CR0", in->cr0);
	if (in->cr4 & ~cr4_known(c) || (lma && !(in->cr4 & X86_CR4_PAE)) ||
	    (in->cr4 & CR4_PCIDE && !lma))
		return refuse(e, "CR4", in->cr4);
	if (in->efer & ~efer_known(c))
		return refuse(e, "EFER", in->efer);
	if (in->xcr0 > 1 && !xcr0_valid(c, in->xcr0))
		return refuse(e, "XCR0", in->xcr0);
	if (in->mp_state > X86_MP_SIPI)
		return refuse(e, "the run state", in->mp_state);
	if (in->events.smi_smm)
		return refuse(e, "system management mode", 1);
	return 0;
}

static void put_registers(struct bt_cpu *c, const struct x86_vcpu *in)
{
	bool lma = in->cr0 & X86_CR0_PG && in->efer & X86_EFER_LME;

	memcpy(c->gpr, in->gpr, sizeof(c->gpr));
	c->cc = CC_FLAGS;
	c->rflags = (in->rflags & EF_KNOWN) | X86_FLAGS_FIXED;
	if (lma || !(in->cr0 & X86_CR0_PE))
		c->rflags &= ~(uint64_t)EF_VM;
	memcpy(c->seg, in->seg, sizeof(c->seg));
	for (unsigned n = 0; n < X86_SEGS; n++)
		c->seg[n].attr &= X86_SEG_UNUSABLE | 0xf0ff;
	c->rip = lma && in->seg[X86_CS].attr & X86_SEG_L ? in->rip : (uint32_t)in->rip;
	c->gdt = in->gdt;
	c->idt = in->idt;
	c->cr0 = in->cr0 | X86_CR0_ET;
	c->cr2 = in->cr2;
	c->cr3 = in->cr3 & ((UINT64_C(1) << BT_PHYS_BITS) - 1);
	c->cr4 = in->cr4;
	c->efer = (in->efer & ~(uint64_t)X86_EFER_LMA) | (lma ? X86_EFER_LMA : 0);
	c->xcr0 = in->xcr0 | 1;
	memcpy(c->dr, in->dr, sizeof(c->dr));
	c->dr6 = (in->dr6 & (DR6_B | DR6_BD | DR6_BS | DR6_BT)) | DR6_FIXED1;
	c->dr7 = (in->dr7 & 0xffff23ff) | DR7_FIXED1;
}

/*
 * What was being injected elsewhere is delivered here first.  Software interrupts and INT3 and INTO
 * need nothing: rip is at the instruction, which will run again.
 */
static void put_events(struct bt_cpu *c, const struct x86_vcpu *in)
{
	const struct x86_events *ev = &in->events;
	bool exc = ev->exc_injected || ev->exc_pending;

	c->irq_shadow = ev->irq_shadow & 3;
	c->nmi_pending = ev->nmi_pending;
	c->nmi_masked = ev->nmi_masked;
	c->dr_pending = false;
	c->delivering = 0;
	c->mp_state = in->mp_state;
	memset(&c->queued, 0, sizeof(c->queued));
	if (exc && ev->exc_vector < 32 && ev->exc_vector != X86_BP && ev->exc_vector != X86_OF) {
		c->queued.valid = true;
		c->queued.kind = BT_EVENT_FAULT;
		c->queued.vector = ev->exc_vector;
		c->queued.has_error = ev->exc_has_error;
		c->queued.error = ev->exc_error;
		c->queued.dr6 = c->dr6 & DR6_B;
		if (ev->exc_pending && ev->exc_has_payload && ev->exc_vector == X86_PF)
			c->cr2 = ev->exc_payload;
		if (ev->exc_pending && ev->exc_has_payload && ev->exc_vector == X86_DB)
			c->queued.dr6 = ev->exc_payload & (DR6_B | DR6_BD | DR6_BS | DR6_BT);
	} else if (ev->nmi_injected) {
		c->queued.valid = true;
		c->queued.kind = BT_EVENT_NMI;
		c->queued.vector = X86_NMI;
	} else if (ev->irq_injected && !ev->irq_soft) {
		c->queued.valid = true;
		c->queued.kind = BT_EVENT_IRQ;
		c->queued.vector = ev->irq_vector;
	}
	if (ev->triple_fault)
		c->queued.valid = c->queued.shutdown = true;
}

/* All that may be refused: after it, the state is in, or nothing has changed. */
static int put_checked(struct bt_cpu *c, const struct x86_vcpu *in, struct err *e)
{
	const struct bt_msrs msr = c->msr;
	const uint64_t cr4 = c->cr4;
	int rc = check_control(c, in, e);

	if (rc)
		return rc;
	c->cr4 = in->cr4; /* says which addresses are canonical */
	rc = bt_msr_put(c, in, e);
	if (!rc)
		rc = ext_from_xsave(c, in, e);
	if (rc) {
		c->msr = msr;
		c->cr4 = cr4;
	}
	return rc;
}

int bt_state_put(struct bt_cpu *c, const struct x86_vcpu *in, struct err *e)
{
	int rc = put_checked(c, in, e);

	if (rc)
		return rc;
	put_registers(c, in);
	put_events(c, in);
	if (c->lapic)
		lapic_put(c->lapic, in);
	if (in->mp_state == X86_MP_SIPI)
		bt_start(c, (uint8_t)in->events.sipi_vector);
	mmu_flush_all(c, true);
	bt_mode_changed(c);
	atomic_fetch_or(&c->attention, BT_ATTN_IRQ);
	return 0;
}
