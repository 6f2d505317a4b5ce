/*
 * arch/x86/lapic_regs.c - the registers of the local APIC, as memory (xAPIC, SDM 3A table 11-1) and
 * as MSRs (x2APIC, table 11-6), and the transitions of IA32_APIC_BASE (§11.12.5).
 *
 * A register has one number in both: the offset over 16, the MSR less 800h.  What memory ignores is
 * #GP for an MSR: reserved bits, a read of what can only be written, a write of what can only be
 * read.  Memory answers a register that does not exist with 0 and an error in the ESR.
 */
#include <errno.h>

#include "arch/x86/lapic_impl.h"

#define REG(n)	       (UINT64_C(1) << (n))
#define REGS(first, n) (((UINT64_C(1) << (n)) - 1) << (first))

#define LVTS REGS(X86_LAPIC_LVTT, 6)
#define READ_WRITE                                                                           \
	(REG(X86_LAPIC_TPR) | REG(X86_LAPIC_SVR) | REG(X86_LAPIC_ESR) | REG(X86_LAPIC_ICR) | \
	 LVTS | REG(X86_LAPIC_TMICT) | REG(X86_LAPIC_TDCR))
#define READ_ONLY                                                                               \
	(REG(X86_LAPIC_ID) | REG(X86_LAPIC_VERSION) | REG(X86_LAPIC_PPR) | REG(X86_LAPIC_LDR) | \
	 REGS(X86_LAPIC_ISR, 24) | REG(X86_LAPIC_TMCCT))
#define XAPIC_READ                                                                               \
	(READ_WRITE | READ_ONLY | REG(X86_LAPIC_APR) | REG(X86_LAPIC_EOI) | REG(X86_LAPIC_RRD) | \
	 REG(X86_LAPIC_DFR) | REG(X86_LAPIC_ICR2))
#define XAPIC_EXISTS XAPIC_READ
#define X2APIC_READ  (READ_WRITE | READ_ONLY)
#define X2APIC_WRITE (READ_WRITE | REG(X86_LAPIC_EOI) | REG(X86_LAPIC_SELF_IPI))

/* ICR: vector, delivery mode, destination mode, level, trigger mode, shorthand. */
#define ICR_BITS	 0xccfffu
#define ICR_BUSY	 (1u << 12) /* never: a message arrives while it is sent */
#define ICR_LOGICAL	 (1u << 11)
#define ICR_ASSERT	 (1u << 14)
#define ICR_SHORTHAND(v) ((v) >> 18 & 3)

/* The bits that exist in a register that can be written. */
static uint32_t writable(const struct lapic *l, unsigned reg)
{
	switch (reg) {
	case X86_LAPIC_TPR:
	case X86_LAPIC_SELF_IPI: return 0xff;
	case X86_LAPIC_SVR:
		return 0x3ff |
		       (l->regs[X86_LAPIC_VERSION] & LAPIC_VER_NO_EOI ? LAPIC_SVR_NO_EOI : 0);
	case X86_LAPIC_ICR: return ICR_BITS | ICR_BUSY;
	case X86_LAPIC_LVTT: return l->config.tsc_deadline ? 0x710ff : 0x310ff;
	case X86_LAPIC_LVTTHM:
	case X86_LAPIC_LVTPC: return 0x117ff;
	case X86_LAPIC_LVT0:
	case X86_LAPIC_LVT1: return 0x1f7ff;
	case X86_LAPIC_LVTERR: return 0x110ff;
	case X86_LAPIC_TDCR: return 0xb;
	case X86_LAPIC_TMICT: return UINT32_MAX;
	default: return 0; /* EOI and ESR take 0 only */
	}
}

static uint32_t read_reg(struct lapic *l, unsigned reg)
{
	switch (reg) {
	case X86_LAPIC_TMCCT: lapic_timer_poll(l); return lapic_timer_count(l);
	case X86_LAPIC_APR:
	case X86_LAPIC_EOI:
	case X86_LAPIC_RRD: return 0; /* not since the Pentium 4 */
	default: return l->regs[reg];
	}
}

/* Off by software: all of the LVT is masked, and stays so. */
static void write_svr(struct lapic *l, uint32_t val)
{
	l->regs[X86_LAPIC_SVR] = val;
	if (!(val & LAPIC_SVR_ENABLE)) {
		for (unsigned i = X86_LAPIC_LVTT + 1; i <= X86_LAPIC_LVTERR; i++)
			l->regs[i] |= X86_LAPIC_LVT_MASKED;
		lapic_timer_set_lvt(l, l->regs[X86_LAPIC_LVTT] | X86_LAPIC_LVT_MASKED);
	}
	lapic_readdress(l);
}

static void write_lvt(struct lapic *l, unsigned reg, uint32_t val)
{
	val &= ~(LAPIC_LVT_STATUS | LAPIC_LVT_REMOTE_IRR);
	if (!(l->regs[X86_LAPIC_SVR] & LAPIC_SVR_ENABLE))
		val |= X86_LAPIC_LVT_MASKED;
	if (reg == X86_LAPIC_LVTT)
		lapic_timer_set_lvt(l, val);
	else
		l->regs[reg] = val;
	if (reg == X86_LAPIC_LVT0)
		lapic_readdress(l);
}

/*
 * The message that the ICR, or a SELF IPI, says.  False: there is none to send.  SIPIs and INITs
 * have no trigger; an INIT level de-assert does nothing since the Pentium 4.
 */
static bool message_of(struct lapic *l, uint32_t low, uint32_t dest, struct lapic_msg *m)
{
	*m = (struct lapic_msg){.dest = dest,
				.logical = low & ICR_LOGICAL,
				.shorthand = (uint8_t)ICR_SHORTHAND(low),
				.mode = low >> 8 & 7,
				.vector = (uint8_t)low};
	if (m->mode == LAPIC_EXTINT || (m->mode == LAPIC_INIT && !(low & ICR_ASSERT)))
		return false;
	if (m->mode > LAPIC_LOWEST || m->vector >= LAPIC_VECTOR_MIN)
		return true;
	lapic_error(l, LAPIC_ERR_SEND_VECTOR);
	return false;
}

/* What a write causes outside of the lapic, done when its lock is free. */
struct effect {
	bool send;
	struct lapic_msg msg;
	int eoi; /* vector, or -1 */
};

static void write_icr(struct lapic *l, uint32_t low, uint32_t high, struct effect *x)
{
	l->regs[X86_LAPIC_ICR] = low & ICR_BITS;
	l->regs[X86_LAPIC_ICR2] = high;
	x->send = message_of(l, low, lapic_is_x2apic(l) ? high : high >> 24, &x->msg);
}

/* @val has no bits that do not exist. */
static void write_reg(struct lapic *l, unsigned reg, uint32_t val, struct effect *x)
{
	switch (reg) {
	case X86_LAPIC_TPR:
		l->regs[reg] = val;
		lapic_update(l);
		break;
	case X86_LAPIC_EOI: x->eoi = lapic_end_of_interrupt(l); break;
	case X86_LAPIC_SVR: write_svr(l, val); break;
	case X86_LAPIC_ESR:
		l->regs[reg] = l->errors;
		l->errors = 0;
		break;
	case X86_LAPIC_ICR: write_icr(l, val, l->regs[X86_LAPIC_ICR2], x); break;
	case X86_LAPIC_SELF_IPI:
		x->send = message_of(l, LAPIC_TO_SELF << 18 | val, 0, &x->msg);
		break;
	case X86_LAPIC_TMICT: lapic_timer_set_initial(l, val); break;
	case X86_LAPIC_TDCR: lapic_timer_set_divide(l, val); break;
	default: write_lvt(l, reg, val);
	}
}

/* Registers that only xAPIC mode has, or has writable. */
static void write_xapic(struct lapic *l, unsigned reg, uint32_t val, struct effect *x)
{
	switch (reg) {
	case X86_LAPIC_LDR: l->regs[reg] = val & 0xff000000; break;
	case X86_LAPIC_DFR: l->regs[reg] = val | 0x0fffffff; break;
	case X86_LAPIC_ICR2: l->regs[reg] = val & 0xff000000; return;
	default:
		if (REG(reg) & X2APIC_WRITE)
			write_reg(l, reg, val & writable(l, reg), x);
		return; /* the rest cannot be written */
	}
	lapic_readdress(l);
}

static void perform(struct lapic *l, const struct effect *x)
{
	if (x->send)
		(void)lapic_bus_send(l->bus, l, &x->msg);
	if (x->eoi >= 0 && l->bus->eoi)
		l->bus->eoi(l->bus->eoi_arg, (uint8_t)x->eoi);
}

static bool is_register(uint32_t off)
{
	return !(off & 15) && off / 16 < 64 && REG(off / 16) & XAPIC_EXISTS;
}

uint32_t lapic_mmio_read(struct lapic *l, uint32_t off)
{
	uint32_t val = 0;

	pthread_mutex_lock(&l->lock);
	if (is_register(off))
		val = read_reg(l, off / 16);
	else
		lapic_error(l, LAPIC_ERR_REGISTER);
	pthread_mutex_unlock(&l->lock);
	return val;
}

void lapic_mmio_write(struct lapic *l, uint32_t off, uint32_t val)
{
	struct effect x = {.eoi = -1};

	pthread_mutex_lock(&l->lock);
	if (is_register(off))
		write_xapic(l, off / 16, val, &x);
	else
		lapic_error(l, LAPIC_ERR_REGISTER);
	pthread_mutex_unlock(&l->lock);
	perform(l, &x);
}

/* Off and on again: all registers begin anew.  Into x2APIC mode: id and LDR change their form. */
static int write_base(struct lapic *l, uint64_t val)
{
	const uint64_t mode = X86_APIC_BASE_ENABLE | X86_APIC_BASE_X2APIC;
	uint64_t known = ((UINT64_C(1) << l->config.phys_bits) - 1) & ~UINT64_C(0x6ff);
	uint64_t from = l->base & mode, to = val & mode;

	if (l->config.x2apic)
		known |= X86_APIC_BASE_X2APIC;
	if (val & ~known || to == X86_APIC_BASE_X2APIC)
		return -EINVAL;
	if (from != to && ((from == mode && to) || (to == mode && !from)))
		return -EINVAL;
	l->base = val;
	if (from != to && to == mode) {
		l->regs[X86_LAPIC_ID] = l->config.apic_id;
		l->regs[X86_LAPIC_LDR] = lapic_x2apic_ldr(l->config.apic_id);
		l->regs[X86_LAPIC_ICR2] = 0;
	} else if (from != to) {
		lapic_clear(l);
	}
	lapic_readdress(l);
	lapic_update(l);
	return 0;
}

static bool is_x2apic_msr(const struct lapic *l, uint32_t index, uint64_t regs)
{
	return lapic_is_x2apic(l) && index - X86_MSR_X2APIC < 64 &&
	       regs & REG(index - X86_MSR_X2APIC);
}

static int read_msr(struct lapic *l, uint32_t index, uint64_t *val)
{
	switch (index) {
	case X86_MSR_APIC_BASE: *val = l->base; return 0;
	case X86_MSR_TSC_DEADLINE:
		if (!l->config.tsc_deadline)
			return -EINVAL;
		lapic_timer_poll(l);
		*val = l->deadline;
		return 0;
	default: break;
	}
	if (!is_x2apic_msr(l, index, X2APIC_READ))
		return -EINVAL;
	*val = read_reg(l, index - X86_MSR_X2APIC);
	if (index - X86_MSR_X2APIC == X86_LAPIC_ICR)
		*val |= (uint64_t)l->regs[X86_LAPIC_ICR2] << 32;
	return 0;
}

static int write_msr(struct lapic *l, uint32_t index, uint64_t val, struct effect *x)
{
	unsigned reg = index - X86_MSR_X2APIC;

	switch (index) {
	case X86_MSR_APIC_BASE: return write_base(l, val);
	case X86_MSR_TSC_DEADLINE:
		if (!l->config.tsc_deadline)
			return -EINVAL;
		lapic_timer_set_deadline(l, val);
		return 0;
	default: break;
	}
	if (!is_x2apic_msr(l, index, X2APIC_WRITE) || (uint32_t)val & ~writable(l, reg) ||
	    (val >> 32 && reg != X86_LAPIC_ICR))
		return -EINVAL;
	if (reg == X86_LAPIC_ICR)
		write_icr(l, (uint32_t)val, (uint32_t)(val >> 32), x);
	else
		write_reg(l, reg, (uint32_t)val, x);
	return 0;
}

int lapic_msr_read(struct lapic *l, uint32_t index, uint64_t *val)
{
	int rc;

	pthread_mutex_lock(&l->lock);
	rc = read_msr(l, index, val);
	pthread_mutex_unlock(&l->lock);
	return rc;
}

int lapic_msr_write(struct lapic *l, uint32_t index, uint64_t val)
{
	struct effect x = {.eoi = -1};
	int rc;

	pthread_mutex_lock(&l->lock);
	rc = write_msr(l, index, val, &x);
	pthread_mutex_unlock(&l->lock);
	perform(l, &x);
	return rc;
}
