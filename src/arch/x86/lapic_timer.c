/*
 * arch/x86/lapic_timer.c - the timer of the local APIC (SDM 3A §11.5.4).
 *
 * The bus clock is 1 GHz of VM time, as KVM has it, so a count is a nanosecond times the divisor.
 * Nothing counts: `expiry` is the VM time at which the count is 0, and a periodic timer moves it on
 * by whole periods, so that it does not drift however late it is served.  Periods that were missed
 * are one interrupt.
 *
 * While the LVT entry is masked nobody has to come: the timer is brought up to date when someone
 * looks.  In TSC-deadline mode the counts are 0.
 */
#include "arch/x86/lapic_impl.h"

#define MODE(lvt)     ((lvt) >> 17 & 3)
#define MODE_PERIODIC 1u
#define MODE_DEADLINE 2u

/* A periodic timer interrupts no more often, whatever the guest asks for. */
#define FASTEST_NS 50000u

bool lapic_timer_is_deadline(const struct lapic *l)
{
	return MODE(l->regs[X86_LAPIC_LVTT]) == MODE_DEADLINE;
}

/* TDCR: bits 3, 1 and 0 make a number; 7 divides by 1, n by two to the n + 1. */
static unsigned shift(const struct lapic *l)
{
	uint32_t d = l->regs[X86_LAPIC_TDCR];

	return ((d & 3) + (d >> 1 & 4) + 1) & 7;
}

static uint64_t period(const struct lapic *l)
{
	return (uint64_t)l->regs[X86_LAPIC_TMICT] << shift(l);
}

static uint64_t round_up(uint64_t ns, unsigned sh)
{
	return (ns + (UINT64_C(1) << sh) - 1) >> sh;
}

uint32_t lapic_timer_count(struct lapic *l)
{
	uint64_t now, p = period(l);

	if (!l->counting || lapic_timer_is_deadline(l))
		return 0;
	now = l->ops->now(l->arg);
	if (now < l->expiry)
		return (uint32_t)round_up(l->expiry - now, shift(l));
	if (MODE(l->regs[X86_LAPIC_LVTT]) != MODE_PERIODIC || !p)
		return 0;
	return (uint32_t)round_up(p - (now - l->expiry) % p, shift(l));
}

void lapic_timer_announce(struct lapic *l)
{
	bool deadline = lapic_timer_is_deadline(l);
	bool armed = (deadline ? l->deadline != 0 : l->counting) &&
		     !(l->regs[X86_LAPIC_LVTT] & X86_LAPIC_LVT_MASKED);

	l->ops->timer(l->arg, armed,
		      !armed	 ? 0
		      : deadline ? l->ops->tsc_when(l->arg, l->deadline)
				 : l->expiry);
}

void lapic_timer_stop(struct lapic *l)
{
	l->counting = false;
	l->deadline = 0;
	lapic_timer_announce(l);
}

void lapic_timer_start(struct lapic *l, uint32_t count)
{
	l->counting = count != 0;
	l->expiry = l->ops->now(l->arg) + ((uint64_t)count << shift(l));
	lapic_timer_announce(l);
}

/* Is it time?  Then the count begins anew or ends. */
static bool due(struct lapic *l)
{
	uint64_t now = l->ops->now(l->arg), p = period(l);

	if (lapic_timer_is_deadline(l)) {
		if (!l->deadline || now < l->ops->tsc_when(l->arg, l->deadline))
			return false;
		l->deadline = 0;
		return true;
	}
	if (!l->counting || now < l->expiry)
		return false;
	if (MODE(l->regs[X86_LAPIC_LVTT]) == MODE_PERIODIC && p)
		l->expiry += ((now - l->expiry + FASTEST_NS) / p + 1) * p;
	else
		l->counting = false;
	return true;
}

void lapic_timer_poll(struct lapic *l)
{
	if (due(l))
		lapic_local(l, X86_LAPIC_LVTT);
}

void lapic_timer_set_initial(struct lapic *l, uint32_t val)
{
	if (lapic_timer_is_deadline(l))
		return;
	lapic_timer_poll(l);
	l->regs[X86_LAPIC_TMICT] = val;
	lapic_timer_start(l, val);
}

/* The count that is left stays, and goes on at another pace. */
void lapic_timer_set_divide(struct lapic *l, uint32_t val)
{
	uint32_t left;

	lapic_timer_poll(l);
	left = lapic_timer_count(l);
	l->regs[X86_LAPIC_TDCR] = val & 0xb;
	if (l->counting)
		lapic_timer_start(l, left);
}

void lapic_timer_set_lvt(struct lapic *l, uint32_t val)
{
	bool was = lapic_timer_is_deadline(l);

	lapic_timer_poll(l);
	l->regs[X86_LAPIC_LVTT] = val;
	if (lapic_timer_is_deadline(l) != was) { /* into or out of deadline mode: disarmed */
		l->regs[X86_LAPIC_TMICT] = 0;
		l->counting = false;
		l->deadline = 0;
	}
	lapic_timer_announce(l);
}

void lapic_timer_set_deadline(struct lapic *l, uint64_t val)
{
	if (!lapic_timer_is_deadline(l))
		return;
	lapic_timer_poll(l);
	l->deadline = val;
	lapic_timer_poll(l); /* one that lies in the past fires at once */
	lapic_timer_announce(l);
}

void lapic_timer_expired(struct lapic *l)
{
	pthread_mutex_lock(&l->lock);
	lapic_timer_poll(l);
	lapic_timer_announce(l);
	pthread_mutex_unlock(&l->lock);
}

void lapic_tsc_moved(struct lapic *l)
{
	lapic_timer_expired(l);
}
