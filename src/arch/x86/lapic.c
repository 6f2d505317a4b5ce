/*
 * arch/x86/lapic.c - the local APIC's state: what it accepts, what it offers to the CPU, and its
 * saved form (SDM 3A §11.8, §11.4.7).
 *
 * A vector is requested in the IRR until the CPU takes it, then in service in the ISR until the
 * guest's EOI; TMR says whether that goes to the I/O APICs.  An interrupt is deliverable if its
 * class (bits 7:4) is above that of the PPR, which is the higher one of TPR and of what is in
 * service. The result is kept in `pending`, an atomic that the vCPU polls; whatever changes one of
 * these registers calls lapic_update.
 *
 * IPIs and messages are edges except where an I/O APIC says level; a fixed LINT0 is taken as an
 * edge too.  What was found wrong but not yet moved into the ESR is the one thing that the saved
 * form does not hold.
 */
#include <errno.h>
#include <string.h>

#include "arch/x86/lapic_impl.h"

/* xAPIC of a Pentium 4 and later, six LVT entries. */
#define VERSION 0x50014u

static bool bit_test(const uint32_t *regs, unsigned first, uint8_t vector)
{
	return regs[first + vector / 32] >> vector % 32 & 1;
}

static void bit_set(uint32_t *regs, unsigned first, uint8_t vector, bool on)
{
	uint32_t bit = 1u << vector % 32, *r = &regs[first + vector / 32];

	*r = on ? *r | bit : *r & ~bit;
}

/* The highest vector of eight registers, or -1. */
static int highest(const uint32_t *regs, unsigned first)
{
	for (int i = 7; i >= 0; i--)
		if (regs[first + (unsigned)i])
			return i * 32 + 31 - __builtin_clz(regs[first + (unsigned)i]);
	return -1;
}

void lapic_update(struct lapic *l)
{
	int irr = highest(l->regs, X86_LAPIC_IRR), isr = highest(l->regs, X86_LAPIC_ISR);
	uint32_t tpr = l->regs[X86_LAPIC_TPR], serving = isr < 0 ? 0 : (uint32_t)isr & 0xf0;
	uint32_t ppr = (tpr & 0xf0) >= serving ? tpr : serving;
	int pending = lapic_is_on(l) && irr >= 0 && (uint32_t)irr >> 4 > ppr >> 4 ? irr : -1;
	int old = atomic_load_explicit(&l->pending, memory_order_relaxed);

	l->regs[X86_LAPIC_PPR] = ppr;
	atomic_store_explicit(&l->ppr, (uint8_t)ppr, memory_order_relaxed);
	if (pending == old)
		return;
	atomic_store_explicit(&l->pending, pending, memory_order_release);
	if (pending >= 0)
		l->ops->signal(l->arg);
}

/* Is LINT0 a way for the 8259s, or is there no APIC between them and the CPU? */
static bool takes_extint(const struct lapic *l)
{
	uint32_t lvt = l->regs[X86_LAPIC_LVT0];

	return !lapic_is_on(l) ||
	       (lvt & (X86_LAPIC_LVT_MASKED | X86_LAPIC_LVT_EXTINT)) == X86_LAPIC_LVT_EXTINT;
}

void lapic_readdress(struct lapic *l)
{
	bool x2apic = lapic_is_x2apic(l), on = lapic_is_on(l);
	uint32_t id = l->config.apic_id;
	uint64_t phys = (UINT64_C(1) << l->config.phys_bits) - 1, a;

	/* An id that xAPIC mode cannot say is the CPU's all the same: how else to start it? */
	if (!x2apic && id <= UINT8_MAX)
		id = l->regs[X86_LAPIC_ID] >> 24;
	a = id | (uint64_t)(l->regs[X86_LAPIC_LDR] >> 24) << 32;
	if (l->regs[X86_LAPIC_DFR] >> 28 != 0xf)
		a |= LAPIC_ADDRESS_CLUSTER;
	if (x2apic)
		a |= LAPIC_ADDRESS_X2APIC;
	if (on)
		a |= LAPIC_ADDRESS_ON;
	if (on && l->regs[X86_LAPIC_SVR] & LAPIC_SVR_ENABLE)
		a |= LAPIC_ADDRESS_ENABLED;
	atomic_store(&l->address, a);
	atomic_store(&l->window, on && !x2apic ? l->base & phys & ~UINT64_C(0xfff) : UINT64_MAX);
	atomic_store(&l->extint, takes_extint(l));
	if (takes_extint(l) && atomic_load(&l->bus->intr))
		l->ops->signal(l->arg);
}

static void latch(struct lapic *l, uint32_t event)
{
	atomic_fetch_or(&l->events, event);
	l->ops->signal(l->arg);
}

static void request(struct lapic *l, uint8_t vector, bool level)
{
	if (vector < LAPIC_VECTOR_MIN) {
		lapic_error(l, LAPIC_ERR_RECV_VECTOR);
		return;
	}
	bit_set(l->regs, X86_LAPIC_TMR, vector, level);
	bit_set(l->regs, X86_LAPIC_IRR, vector, true);
	lapic_update(l);
}

/* INIT makes an earlier SIPI void. */
static void latch_init(struct lapic *l)
{
	atomic_fetch_and(&l->events, ~LAPIC_EVENT_SIPI);
	latch(l, LAPIC_EVENT_INIT);
}

void lapic_local(struct lapic *l, enum x86_lapic_reg reg)
{
	uint32_t lvt = l->regs[reg];
	bool fixed = reg == X86_LAPIC_LVTT || reg == X86_LAPIC_LVTERR;

	if (lvt & X86_LAPIC_LVT_MASKED)
		return;
	switch (fixed ? LAPIC_FIXED : lvt >> 8 & 7) {
	case LAPIC_FIXED: request(l, (uint8_t)lvt, false); break;
	case LAPIC_NMI: latch(l, LAPIC_EVENT_NMI); break;
	case LAPIC_INIT: latch_init(l); break;
	default: break; /* ExtINT is a level, see lapic_accepts_extint; no SMM */
	}
}

/* Each error interrupts once until the ESR is written: also if the error is in this LVT entry. */
void lapic_error(struct lapic *l, uint32_t bit)
{
	if (l->errors & bit)
		return;
	l->errors |= bit;
	lapic_local(l, X86_LAPIC_LVTERR);
}

bool lapic_accept(struct lapic *l, const struct lapic_msg *m)
{
	bool taken = true;

	pthread_mutex_lock(&l->lock);
	switch (m->mode) {
	case LAPIC_FIXED:
	case LAPIC_LOWEST:
		taken = lapic_is_on(l) && l->regs[X86_LAPIC_SVR] & LAPIC_SVR_ENABLE;
		if (taken)
			request(l, m->vector, m->trig_level);
		break;
	case LAPIC_NMI: latch(l, LAPIC_EVENT_NMI); break;
	case LAPIC_INIT: latch_init(l); break;
	case LAPIC_SIPI:
		l->sipi_vector = m->vector;
		latch(l, LAPIC_EVENT_SIPI);
		break;
	case LAPIC_EXTINT: latch(l, LAPIC_EVENT_EXTINT); break;
	case LAPIC_SMI: break; /* there is no SMM */
	default: taken = false;
	}
	pthread_mutex_unlock(&l->lock);
	return taken;
}

void lapic_lint0(struct lapic *l)
{
	pthread_mutex_lock(&l->lock);
	if (takes_extint(l) || lapic_events(l) & LAPIC_EVENT_EXTINT)
		l->ops->signal(l->arg);
	else
		lapic_local(l, X86_LAPIC_LVT0);
	pthread_mutex_unlock(&l->lock);
}

bool lapic_is_focus(struct lapic *l, uint8_t vector)
{
	bool is;

	pthread_mutex_lock(&l->lock);
	is = !(l->regs[X86_LAPIC_SVR] & LAPIC_SVR_NO_FOCUS) &&
	     (bit_test(l->regs, X86_LAPIC_IRR, vector) || bit_test(l->regs, X86_LAPIC_ISR, vector));
	pthread_mutex_unlock(&l->lock);
	return is;
}

void lapic_nmi(struct lapic *l)
{
	pthread_mutex_lock(&l->lock);
	latch(l, LAPIC_EVENT_NMI);
	pthread_mutex_unlock(&l->lock);
}

int lapic_ack(struct lapic *l)
{
	int vector;

	if (lapic_pending(l) < 0)
		return -1;
	pthread_mutex_lock(&l->lock);
	vector = atomic_load_explicit(&l->pending, memory_order_relaxed);
	if (vector >= 0) {
		bit_set(l->regs, X86_LAPIC_IRR, (uint8_t)vector, false);
		bit_set(l->regs, X86_LAPIC_ISR, (uint8_t)vector, true);
		lapic_update(l);
	}
	pthread_mutex_unlock(&l->lock);
	return vector;
}

int lapic_end_of_interrupt(struct lapic *l)
{
	int vector = highest(l->regs, X86_LAPIC_ISR);
	bool quiet = l->regs[X86_LAPIC_SVR] & LAPIC_SVR_NO_EOI &&
		     l->regs[X86_LAPIC_VERSION] & LAPIC_VER_NO_EOI;

	if (vector < 0)
		return -1;
	bit_set(l->regs, X86_LAPIC_ISR, (uint8_t)vector, false);
	lapic_update(l);
	return bit_test(l->regs, X86_LAPIC_TMR, (uint8_t)vector) && !quiet ? vector : -1;
}

uint32_t lapic_take_events(struct lapic *l, uint8_t *sipi)
{
	uint32_t events;

	pthread_mutex_lock(&l->lock);
	events = atomic_fetch_and(&l->events, LAPIC_EVENT_EXTINT) & ~LAPIC_EVENT_EXTINT;
	*sipi = l->sipi_vector;
	pthread_mutex_unlock(&l->lock);
	return events;
}

void lapic_extint_taken(struct lapic *l)
{
	atomic_fetch_and(&l->events, ~LAPIC_EVENT_EXTINT);
}

void lapic_set_tpr(struct lapic *l, uint8_t cr8)
{
	pthread_mutex_lock(&l->lock);
	l->regs[X86_LAPIC_TPR] = (cr8 & 15u) << 4;
	lapic_update(l);
	pthread_mutex_unlock(&l->lock);
}

uint8_t lapic_tpr(struct lapic *l)
{
	uint8_t tpr;

	pthread_mutex_lock(&l->lock);
	tpr = (uint8_t)(l->regs[X86_LAPIC_TPR] >> 4);
	pthread_mutex_unlock(&l->lock);
	return tpr;
}

/*
 * LINT0 of the boot processor is ExtINT, as every firmware leaves it: the 8259's interrupts then
 * arrive before a kernel has touched the APIC.
 */
void lapic_reset_regs(uint32_t regs[64], uint32_t apic_id, bool boot)
{
	memset(regs, 0, 64 * sizeof(regs[0]));
	regs[X86_LAPIC_ID] = apic_id << 24;
	regs[X86_LAPIC_VERSION] = VERSION;
	regs[X86_LAPIC_DFR] = 0xffffffff;
	regs[X86_LAPIC_SVR] = 0xff;
	for (unsigned i = X86_LAPIC_LVTT; i <= X86_LAPIC_LVTERR; i++)
		regs[i] = X86_LAPIC_LVT_MASKED;
	if (boot)
		regs[X86_LAPIC_LVT0] = X86_LAPIC_LVT_EXTINT;
}

void lapic_clear(struct lapic *l)
{
	lapic_reset_regs(l->regs, l->config.apic_id, l->config.bsp);
	if (lapic_is_x2apic(l)) {
		l->regs[X86_LAPIC_ID] = l->config.apic_id;
		l->regs[X86_LAPIC_LDR] = lapic_x2apic_ldr(l->config.apic_id);
	}
	l->errors = 0;
	lapic_timer_stop(l);
	lapic_readdress(l);
	lapic_update(l);
}

void lapic_reset(struct lapic *l, bool init)
{
	pthread_mutex_lock(&l->lock);
	if (!init)
		l->base = X86_LAPIC_ADDR | X86_APIC_BASE_ENABLE |
			  (l->config.bsp ? X86_APIC_BASE_BSP : 0);
	atomic_fetch_and(&l->events, init ? LAPIC_EVENT_SIPI : 0);
	lapic_clear(l);
	pthread_mutex_unlock(&l->lock);
}

void lapic_init(struct lapic *l, struct lapic_bus *bus, unsigned index,
		const struct lapic_config *config, const struct lapic_ops *ops, void *arg)
{
	memset(l, 0, sizeof(*l));
	pthread_mutex_init(&l->lock, NULL);
	l->bus = bus;
	l->index = index;
	l->config = *config;
	l->ops = ops;
	l->arg = arg;
	atomic_init(&l->pending, -1);
	lapic_reset(l, false);
	BUG_ON(index >= bus->n); /* as many slots as vCPUs */
	atomic_store(&bus->slot[index], l);
}

void lapic_exit(struct lapic *l)
{
	atomic_store(&l->bus->slot[l->index], NULL);
	pthread_mutex_destroy(&l->lock);
}

void lapic_get(struct lapic *l, struct x86_vcpu *v)
{
	uint64_t *deadline = x86_vcpu_msr(v, X86_MSR_TSC_DEADLINE);
	uint32_t events;

	pthread_mutex_lock(&l->lock);
	lapic_timer_poll(l);
	events = lapic_events(l);
	memcpy(v->lapic, l->regs, sizeof(v->lapic));
	v->lapic[X86_LAPIC_TMCCT] = lapic_timer_count(l);
	v->has_lapic = true;
	v->apic_base = l->base;
	v->cr8 = l->regs[X86_LAPIC_TPR] >> 4;
	if (deadline)
		*deadline = l->deadline;
	v->events.nmi_pending |= events & LAPIC_EVENT_NMI;
	v->events.smi_latched_init = events & LAPIC_EVENT_INIT;
	if (v->mp_state == X86_MP_INIT && events & LAPIC_EVENT_SIPI) {
		v->mp_state = X86_MP_SIPI;
		v->events.sipi_vector = l->sipi_vector;
	}
	pthread_mutex_unlock(&l->lock);
}

/* Registers from outside become ones that the guest could have made. */
static void take_regs(struct lapic *l, const uint32_t *from)
{
	uint32_t *r = l->regs;

	memcpy(r, from, sizeof(l->regs));
	r[X86_LAPIC_VERSION] = VERSION | (r[X86_LAPIC_VERSION] & LAPIC_VER_NO_EOI);
	r[X86_LAPIC_TPR] &= 0xff;
	r[X86_LAPIC_DFR] |= 0x0fffffff;
	r[X86_LAPIC_SVR] &= 0x13ff;
	r[X86_LAPIC_TDCR] &= 0xb;
	if (lapic_is_x2apic(l)) {
		r[X86_LAPIC_ID] = l->config.apic_id;
		r[X86_LAPIC_LDR] = lapic_x2apic_ldr(l->config.apic_id);
	} else {
		r[X86_LAPIC_ID] &= 0xff000000;
		r[X86_LAPIC_LDR] &= 0xff000000;
	}
	for (unsigned i = X86_LAPIC_LVTT; i <= X86_LAPIC_LVTERR; i++)
		r[i] &= i == X86_LAPIC_LVTT ? 0x710ff : 0x1f7ff;
	if (!l->config.tsc_deadline && lapic_timer_is_deadline(l))
		r[X86_LAPIC_LVTT] = X86_LAPIC_LVT_MASKED;
	for (unsigned i = 0; i < 3; i++) /* vectors 0 to 15 */
		r[X86_LAPIC_ISR + 8 * i] &= 0xffff0000;
	r[X86_LAPIC_TMCCT] = MIN(r[X86_LAPIC_TMCCT], r[X86_LAPIC_TMICT]);
}

/* IA32_APIC_BASE from outside, likewise. */
static uint64_t take_base(const struct lapic *l, uint64_t base)
{
	uint64_t flags = base & (X86_APIC_BASE_BSP | X86_APIC_BASE_ENABLE | X86_APIC_BASE_X2APIC);

	if (!(flags & X86_APIC_BASE_ENABLE) || !l->config.x2apic)
		flags &= ~(uint64_t)X86_APIC_BASE_X2APIC;
	return flags | (base & ((UINT64_C(1) << l->config.phys_bits) - 1) & ~UINT64_C(0xfff));
}

void lapic_put(struct lapic *l, const struct x86_vcpu *v)
{
	/* x86_vcpu_msr gives a pointer to write through; nobody does. */
	const struct x86_msr *m = v->msr, *end = m + MIN(v->n_msrs, X86_MSRS_MAX);

	pthread_mutex_lock(&l->lock);
	l->base = take_base(l, v->apic_base);
	atomic_store(&l->events, v->events.smi_latched_init ? LAPIC_EVENT_INIT : 0);
	lapic_clear(l);
	l->regs[X86_LAPIC_TPR] = (uint32_t)(v->cr8 & 15) << 4;
	if (v->has_lapic)
		take_regs(l, v->lapic);
	while (m < end && m->index != X86_MSR_TSC_DEADLINE)
		m++;
	if (lapic_timer_is_deadline(l))
		l->deadline = m < end ? m->value : 0;
	lapic_timer_start(l, lapic_timer_is_deadline(l) ? 0 : l->regs[X86_LAPIC_TMCCT]);
	lapic_timer_poll(l);
	lapic_timer_announce(l);
	lapic_readdress(l);
	lapic_update(l);
	if (lapic_events(l))
		l->ops->signal(l->arg);
	pthread_mutex_unlock(&l->lock);
}
