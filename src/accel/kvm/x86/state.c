/*
 * accel/kvm/x86/state.c - struct x86_vcpu from KVM and back.
 *
 * The order of a put matters, and follows from what KVM does behind each ioctl: the TSC's frequency
 * before its value; control registers and EFER before everything whose meaning they change; the
 * APIC's base before its registers; pending events after the registers, which would clear them; the
 * APIC's registers before the TSC deadline, which its timer mode would discard; and the
 * multiprocessor state last but for that, because putting an APIC may wake a vCPU.
 */
#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ioctl.h>

#include "accel/kvm/x86/x86.h"
#include "arch/x86/defs.h"
#include "base/sys.h"

/* Our numbers of general registers in the order of struct kvm_regs. */
static const uint8_t gpr_order[16] = {X86_RAX, X86_RBX, X86_RCX, X86_RDX, X86_RSI, X86_RDI,
				      X86_RSP, X86_RBP, X86_R8,	 X86_R9,  X86_R10, X86_R11,
				      X86_R12, X86_R13, X86_R14, X86_R15};
_Static_assert(offsetof(struct kvm_regs, rip) == 16 * sizeof(uint64_t), "16 registers, then rip");
_Static_assert(offsetof(struct kvm_sregs, apic_base) == offsetof(struct kvm_sregs2, apic_base),
	       "sregs and sregs2 begin alike");
_Static_assert(X86_MP_HALTED == KVM_MP_STATE_HALTED && X86_MP_SIPI == KVM_MP_STATE_SIPI_RECEIVED &&
		       X86_MP_INIT == KVM_MP_STATE_INIT_RECEIVED &&
		       X86_MP_WAIT_INIT == KVM_MP_STATE_UNINITIALIZED,
	       "the multiprocessor states are numbered alike");

static int get_regs(struct kvm_vcpu *kv, struct x86_vcpu *s, struct err *e)
{
	struct kvm_regs r;
	uint64_t flat[16];
	int rc = KVM_CALL(kv->fd, KVM_GET_REGS, &r, e);

	if (rc < 0)
		return rc;
	memcpy(flat, &r, sizeof(flat));
	for (unsigned i = 0; i < 16; i++)
		s->gpr[gpr_order[i]] = flat[i];
	s->rip = r.rip;
	s->rflags = r.rflags;
	return 0;
}

static int put_regs(struct kvm_vcpu *kv, const struct x86_vcpu *s, struct err *e)
{
	struct kvm_regs r = {.rip = s->rip, .rflags = s->rflags | X86_FLAGS_FIXED};
	uint64_t flat[16];
	int rc;

	for (unsigned i = 0; i < 16; i++)
		flat[i] = s->gpr[gpr_order[i]];
	memcpy(&r, flat, sizeof(flat));
	rc = KVM_CALL(kv->fd, KVM_SET_REGS, &r, e);
	return rc < 0 ? rc : 0;
}

static struct x86_seg seg_get(const struct kvm_segment *k)
{
	uint32_t attr = (k->type & 0xfu) | (k->s ? X86_SEG_S : 0) | (k->dpl & 3u) << 5 |
			(k->present ? X86_SEG_P : 0) | (k->avl ? X86_SEG_AVL : 0) |
			(k->l ? X86_SEG_L : 0) | (k->db ? X86_SEG_DB : 0) | (k->g ? X86_SEG_G : 0) |
			(k->unusable ? X86_SEG_UNUSABLE : 0);

	return (struct x86_seg){
		.base = k->base, .limit = k->limit, .attr = attr, .sel = k->selector};
}

static struct kvm_segment seg_put(const struct x86_seg *s)
{
	return (struct kvm_segment){.base = s->base,
				    .limit = s->limit,
				    .selector = s->sel,
				    .type = X86_SEG_TYPE(s->attr),
				    .present = !!(s->attr & X86_SEG_P),
				    .dpl = X86_SEG_DPL(s->attr),
				    .db = !!(s->attr & X86_SEG_DB),
				    .s = !!(s->attr & X86_SEG_S),
				    .l = !!(s->attr & X86_SEG_L),
				    .g = !!(s->attr & X86_SEG_G),
				    .avl = !!(s->attr & X86_SEG_AVL),
				    .unusable = !!(s->attr & X86_SEG_UNUSABLE)};
}

/* Where each of our segments sits in struct kvm_sregs and kvm_sregs2. */
static const size_t seg_at[X86_SEGS] = {
	[X86_ES] = offsetof(struct kvm_sregs, es),    [X86_CS] = offsetof(struct kvm_sregs, cs),
	[X86_SS] = offsetof(struct kvm_sregs, ss),    [X86_DS] = offsetof(struct kvm_sregs, ds),
	[X86_FS] = offsetof(struct kvm_sregs, fs),    [X86_GS] = offsetof(struct kvm_sregs, gs),
	[X86_LDTR] = offsetof(struct kvm_sregs, ldt), [X86_TR] = offsetof(struct kvm_sregs, tr)};

/* Both layouts, and their common beginning. */
union sregs {
	struct kvm_sregs one;
	struct kvm_sregs2 two;
};

static int get_sregs(struct kvm_vcpu *kv, struct x86_vcpu *s, struct err *e)
{
	union sregs r = {0};
	bool two = kv->kvm->arch->sregs2;
	int rc = two ? KVM_CALL(kv->fd, KVM_GET_SREGS2, &r.two, e)
		     : KVM_CALL(kv->fd, KVM_GET_SREGS, &r.one, e);

	if (rc < 0)
		return rc;
	for (unsigned i = 0; i < X86_SEGS; i++) {
		struct kvm_segment k;

		memcpy(&k, (const char *)&r + seg_at[i], sizeof(k));
		s->seg[i] = seg_get(&k);
	}
	s->gdt = (struct x86_table){r.one.gdt.base, r.one.gdt.limit};
	s->idt = (struct x86_table){r.one.idt.base, r.one.idt.limit};
	s->cr0 = r.one.cr0;
	s->cr2 = r.one.cr2;
	s->cr3 = r.one.cr3;
	s->cr4 = r.one.cr4;
	s->cr8 = r.one.cr8;
	s->efer = r.one.efer;
	s->apic_base = r.one.apic_base;
	s->pdptrs_valid = two && (r.two.flags & KVM_SREGS2_FLAGS_PDPTRS_VALID);
	for (unsigned i = 0; i < 4; i++)
		s->pdptr[i] = s->pdptrs_valid ? r.two.pdptrs[i] : 0;
	memset(s->irq_bitmap, 0, sizeof(s->irq_bitmap));
	return 0;
}

static int put_sregs(struct kvm_vcpu *kv, const struct x86_vcpu *s, struct err *e)
{
	union sregs r;
	bool two = kv->kvm->arch->sregs2;
	int rc;

	memset(&r, 0, sizeof(r));
	for (unsigned i = 0; i < X86_SEGS; i++) {
		struct kvm_segment k = seg_put(&s->seg[i]);

		memcpy((char *)&r + seg_at[i], &k, sizeof(k));
	}
	r.one.gdt = (struct kvm_dtable){.base = s->gdt.base, .limit = s->gdt.limit};
	r.one.idt = (struct kvm_dtable){.base = s->idt.base, .limit = s->idt.limit};
	r.one.cr0 = s->cr0;
	r.one.cr2 = s->cr2;
	r.one.cr3 = s->cr3;
	r.one.cr4 = s->cr4;
	r.one.cr8 = s->cr8;
	r.one.efer = s->efer;
	r.one.apic_base = s->apic_base;
	if (two && s->pdptrs_valid) {
		r.two.flags = KVM_SREGS2_FLAGS_PDPTRS_VALID;
		memcpy(r.two.pdptrs, s->pdptr, sizeof(s->pdptr));
	}
	rc = two ? KVM_CALL(kv->fd, KVM_SET_SREGS2, &r.two, e)
		 : KVM_CALL(kv->fd, KVM_SET_SREGS, &r.one, e);
	return rc < 0 ? rc : 0;
}

static int get_xsave(struct kvm_vcpu *kv, struct x86_vcpu *s, struct err *e)
{
	size_t n = kv->kvm->arch->xsave_size;
	int rc;

	if (n > 4096)
		rc = KVM_CALL(kv->fd, KVM_GET_XSAVE2, s->xsave, e);
	else
		rc = KVM_CALL(kv->fd, KVM_GET_XSAVE, s->xsave, e);
	s->xsave_size = (uint32_t)n;
	/* Not state: MXCSR_MASK is the processor's, bytes 464 to 511 the host kernel's own. */
	memset(s->xsave + 28, 0, 4);
	memset(s->xsave + 464, 0, X86_XSAVE_LEGACY - 464);
	return rc < 0 ? rc : 0;
}

static int put_xsave(struct kvm_vcpu *kv, const struct x86_vcpu *s, struct err *e)
{
	size_t n = kv->kvm->arch->xsave_size;
	uint8_t *area;
	int rc;

	if (s->xsave_size > n) /* only if what does not fit says nothing */
		for (size_t i = n; i < s->xsave_size; i++)
			if (s->xsave[i])
				return err_set(e, -ENOTSUP,
					       "this host's processor lacks a vector unit that the "
					       "state uses"),
				       err_kind(e, ERR_HOST);
	area = sys_alloc(n);
	if (!area)
		return err_nomem(e, n, "the FPU's state");
	memcpy(area, s->xsave, MIN(n, (size_t)s->xsave_size));
	rc = KVM_CALL(kv->fd, KVM_SET_XSAVE, area, e);
	free(area);
	return rc < 0 ? rc : 0;
}

static int get_xcr0(struct kvm_vcpu *kv, struct x86_vcpu *s, struct err *e)
{
	struct kvm_xcrs x = {0};
	int rc = KVM_CALL(kv->fd, KVM_GET_XCRS, &x, e);

	s->xcr0 = 1;
	for (uint32_t i = 0; rc >= 0 && i < x.nr_xcrs && i < KVM_MAX_XCRS; i++)
		if (x.xcrs[i].xcr == 0)
			s->xcr0 = x.xcrs[i].value;
	return rc < 0 ? rc : 0;
}

static int put_xcr0(struct kvm_vcpu *kv, const struct x86_vcpu *s, struct err *e)
{
	struct kvm_xcrs x = {.nr_xcrs = 1, .xcrs[0] = {.xcr = 0, .value = s->xcr0}};
	int rc = KVM_CALL(kv->fd, KVM_SET_XCRS, &x, e);

	return rc < 0 ? rc : 0;
}

static int get_debug(struct kvm_vcpu *kv, struct x86_vcpu *s, struct err *e)
{
	struct kvm_debugregs d = {0};
	int rc = KVM_CALL(kv->fd, KVM_GET_DEBUGREGS, &d, e);

	memcpy(s->dr, d.db, sizeof(s->dr));
	s->dr6 = d.dr6;
	s->dr7 = d.dr7;
	return rc < 0 ? rc : 0;
}

static int put_debug(struct kvm_vcpu *kv, const struct x86_vcpu *s, struct err *e)
{
	struct kvm_debugregs d = {.dr6 = s->dr6, .dr7 = s->dr7};
	int rc;

	memcpy(d.db, s->dr, sizeof(s->dr));
	rc = KVM_CALL(kv->fd, KVM_SET_DEBUGREGS, &d, e);
	return rc < 0 ? rc : 0;
}

/* KVM numbers the two interrupt shadows the other way round. */
static uint8_t swap_shadow(uint8_t shadow)
{
	return (uint8_t)((shadow & 1) << 1 | (shadow >> 1 & 1));
}

static int get_events(struct kvm_vcpu *kv, struct x86_vcpu *s, struct err *e)
{
	struct kvm_vcpu_events k = {0};
	int rc = KVM_CALL(kv->fd, KVM_GET_VCPU_EVENTS, &k, e);

	if (rc < 0)
		return rc;
	s->events = (struct x86_events){
		.exc_injected = k.exception.injected,
		.exc_pending = k.exception.pending,
		.exc_has_error = k.exception.has_error_code,
		.exc_has_payload = k.exception_has_payload,
		.exc_vector = k.exception.nr & 31,
		.exc_error = k.exception.error_code,
		.exc_payload = k.exception_payload,
		.irq_injected = k.interrupt.injected,
		.irq_soft = k.interrupt.soft,
		.irq_vector = k.interrupt.nr,
		.irq_shadow = swap_shadow(k.interrupt.shadow),
		.nmi_injected = k.nmi.injected,
		.nmi_pending = k.nmi.pending,
		.nmi_masked = k.nmi.masked,
		.smi_smm = k.smi.smm,
		.smi_pending = k.smi.pending,
		.smi_inside_nmi = k.smi.smm_inside_nmi,
		.smi_latched_init = k.smi.latched_init,
		.triple_fault = k.triple_fault.pending,
		.sipi_vector = k.sipi_vector & 0xff,
	};
	return 0;
}

static int put_events(struct kvm_vcpu *kv, const struct x86_vcpu *s, struct err *e)
{
	const struct kvm_arch *a = kv->kvm->arch;
	const struct x86_events *ev = &s->events;
	struct kvm_vcpu_events k = {.exception = {.injected = ev->exc_injected,
						  .nr = ev->exc_vector,
						  .has_error_code = ev->exc_has_error,
						  .pending = ev->exc_pending,
						  .error_code = ev->exc_error},
				    .interrupt = {.injected = ev->irq_injected,
						  .nr = ev->irq_vector,
						  .soft = ev->irq_soft,
						  .shadow = swap_shadow(ev->irq_shadow)},
				    .nmi = {.injected = ev->nmi_injected,
					    .pending = ev->nmi_pending,
					    .masked = ev->nmi_masked},
				    .smi = {.smm = ev->smi_smm,
					    .pending = ev->smi_pending,
					    .smm_inside_nmi = ev->smi_inside_nmi,
					    .latched_init = ev->smi_latched_init},
				    .triple_fault.pending = ev->triple_fault,
				    .sipi_vector = ev->sipi_vector,
				    .exception_has_payload = ev->exc_has_payload,
				    .exception_payload = ev->exc_payload,
				    .flags = KVM_VCPUEVENT_VALID_NMI_PENDING |
					     KVM_VCPUEVENT_VALID_SHADOW};
	int rc;

	if (a->lapic)
		k.flags |= KVM_VCPUEVENT_VALID_SIPI_VECTOR;
	/* Kernels without SMM refuse the flag; then there is nothing to say either. */
	if (ev->smi_smm || ev->smi_pending || ev->smi_inside_nmi || ev->smi_latched_init)
		k.flags |= KVM_VCPUEVENT_VALID_SMM;
	if (a->payload)
		k.flags |= KVM_VCPUEVENT_VALID_PAYLOAD;
	if (a->triple_fault)
		k.flags |= KVM_VCPUEVENT_VALID_TRIPLE_FAULT;
	rc = KVM_CALL(kv->fd, KVM_SET_VCPU_EVENTS, &k, e);
	return rc < 0 ? rc : 0;
}

static int get_lapic(struct kvm_vcpu *kv, struct x86_vcpu *s, struct err *e)
{
	struct kvm_lapic_state l;
	int rc;

	s->has_lapic = kv->kvm->arch->lapic;
	memset(s->lapic, 0, sizeof(s->lapic));
	if (!s->has_lapic)
		return 0;
	rc = KVM_CALL(kv->fd, KVM_GET_LAPIC, &l, e);
	for (unsigned i = 0; rc >= 0 && i < ARRAY_LEN(s->lapic); i++)
		memcpy(&s->lapic[i], l.regs + i * 16, sizeof(uint32_t));
	return rc < 0 ? rc : 0;
}

static int put_lapic(struct kvm_vcpu *kv, const struct x86_vcpu *s, struct err *e)
{
	struct kvm_lapic_state l = {0};
	int rc;

	if (!s->has_lapic || !kv->kvm->arch->lapic)
		return 0;
	for (unsigned i = 0; i < ARRAY_LEN(s->lapic); i++)
		memcpy(l.regs + i * 16, &s->lapic[i], sizeof(uint32_t));
	rc = KVM_CALL(kv->fd, KVM_SET_LAPIC, &l, e);
	return rc < 0 ? rc : 0;
}

static int get_mp(struct kvm_vcpu *kv, struct x86_vcpu *s, struct err *e)
{
	struct kvm_mp_state mp = {0};
	int rc = KVM_CALL(kv->fd, KVM_GET_MP_STATE, &mp, e);

	s->mp_state = kv->held ? X86_MP_WAIT_INIT : mp.mp_state;
	return rc < 0 ? rc : 0;
}

/* Without an APIC in the kernel KVM knows "running" only: we hold back whoever is not. */
static int put_mp(struct kvm_vcpu *kv, const struct x86_vcpu *s, struct err *e)
{
	struct kvm_mp_state mp = {.mp_state = s->mp_state};
	int rc;

	if (!kv->kvm->arch->lapic) {
		kv->held = s->mp_state != X86_MP_RUNNING;
		return 0;
	}
	rc = KVM_CALL(kv->fd, KVM_SET_MP_STATE, &mp, e);
	return rc < 0 ? rc : 0;
}

uint32_t kvm_x86_tsc_khz(const struct kvm_vcpu *kv)
{
	int khz = ioctl(kv->fd, KVM_GET_TSC_KHZ, 0);

	return khz > 0 ? (uint32_t)khz : 0;
}

/* Within a part in four thousand it is the same clock, as KVM itself has it (250 ppm). */
static int put_tsc_khz(struct kvm_vcpu *kv, const struct x86_vcpu *s, struct err *e)
{
	int khz = ioctl(kv->fd, KVM_GET_TSC_KHZ, 0), rc;
	int64_t diff = (int64_t)s->tsc_khz - khz;

	if (!s->tsc_khz || khz <= 0 || (diff < 0 ? -diff : diff) <= khz / 4000)
		return 0;
	rc = KVM_CALL_VAL(kv->fd, KVM_SET_TSC_KHZ, s->tsc_khz, e);
	if (rc < 0)
		return err_prefix(e, "the state's TSC runs at %u kHz, this host's at %d kHz",
				  s->tsc_khz, khz);
	return 0;
}

/* No MSRs: the first look at them makes a VM, which can wait for a long time (msrs.c). */
int kvm_x86_state_peek(struct vcpu *v, struct err *e)
{
	static int (*const parts[])(struct kvm_vcpu *, struct x86_vcpu *, struct err *) = {
		get_regs, get_sregs, get_xcr0, get_events, get_mp, get_debug};
	int rc = 0;

	for (size_t i = 0; i < ARRAY_LEN(parts) && !rc; i++)
		rc = parts[i](v->accel, v->state, e);
	return rc;
}

int kvm_x86_state_get(struct vcpu *v, struct err *e)
{
	static int (*const parts[])(struct kvm_vcpu *, struct x86_vcpu *, struct err *) = {
		get_regs,   get_sregs, get_xsave, get_xcr0, kvm_x86_msrs_get,
		get_events, get_lapic, get_mp,	  get_debug};
	struct kvm_vcpu *kv = v->accel;
	struct x86_vcpu *s = v->state;
	int rc = kvm_x86_msrs_learn(kv->kvm, e);

	for (size_t i = 0; i < ARRAY_LEN(parts) && !rc; i++)
		rc = parts[i](kv, s, e);
	s->apic_id = (uint32_t)kv->id;
	if (!rc)
		s->tsc_khz = kvm_x86_tsc_khz(kv);
	return rc;
}

/* A new vCPU is as KVM made it, which is the power-on state but for what the board changed. */
static int put_fresh(struct kvm_vcpu *kv, struct x86_vcpu *s, struct err *e)
{
	int rc = put_sregs(kv, s, e);

	s->tsc_khz = kv->tsc_khz;
	if (!rc)
		rc = kvm_x86_msrs_put(kv, s, true, e);
	if (!rc)
		rc = put_regs(kv, s, e);
	if (!rc && s->xcr0 != 1)
		rc = put_xcr0(kv, s, e);
	if (!rc)
		rc = put_xsave(kv, s, e);
	if (!rc && (kv->v->index == 0) != (s->mp_state == X86_MP_RUNNING))
		rc = put_mp(kv, s, e);
	if (!rc && !kv->kvm->arch->lapic)
		rc = put_mp(kv, s, e);
	return rc;
}

static int put_all(struct kvm_vcpu *kv, struct x86_vcpu *s, struct err *e)
{
	int rc = put_tsc_khz(kv, s, e);

	if (!rc)
		rc = put_sregs(kv, s, e);
	if (!rc)
		rc = put_regs(kv, s, e);
	if (!rc)
		rc = put_xcr0(kv, s, e);
	if (!rc)
		rc = put_xsave(kv, s, e);
	if (!rc)
		rc = kvm_x86_msrs_put(kv, s, false, e);
	if (!rc)
		rc = put_debug(kv, s, e);
	if (!rc)
		rc = put_lapic(kv, s, e);
	if (!rc)
		rc = put_events(kv, s, e);
	if (!rc)
		rc = put_mp(kv, s, e);
	return rc ? rc : kvm_x86_deadline_put(kv, s, e);
}

int kvm_x86_state_put(struct vcpu *v, struct err *e)
{
	struct kvm_vcpu *kv = v->accel;
	struct x86_vcpu *s = v->state;
	int rc;

	if (s->apic_id != kv->id)
		return err_set(e, -EINVAL, "the state is of APIC id %u, this vCPU has %lu",
			       s->apic_id, kv->id);
	rc = v->fresh ? put_fresh(kv, s, e) : put_all(kv, s, e);
	return rc ? rc : kvm_debug_again(kv, e);
}
