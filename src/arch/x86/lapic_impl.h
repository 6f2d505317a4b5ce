/*
 * arch/x86/lapic_impl.h - between the files of the local APIC: state and delivery (lapic.c), the
 * registers (lapic_regs.c), the timer (lapic_timer.c) and the bus (lapic_bus.c).  All of it with
 * l->lock held but for what is marked.
 */
#ifndef LODGE_ARCH_X86_LAPIC_IMPL_H
#define LODGE_ARCH_X86_LAPIC_IMPL_H

#include "arch/x86/defs.h"
#include "arch/x86/lapic.h"

#define LAPIC_VECTOR_MIN 16u /* those below are exceptions' */

#define LAPIC_SVR_ENABLE   (1u << 8)
#define LAPIC_SVR_NO_FOCUS (1u << 9)
#define LAPIC_SVR_NO_EOI   (1u << 12) /* no broadcast, where the version register has it */
#define LAPIC_VER_NO_EOI   (1u << 24)

#define LAPIC_LVT_STATUS     (1u << 12)
#define LAPIC_LVT_REMOTE_IRR (1u << 14)
#define LAPIC_LVT_LEVEL	     (1u << 15)

/* ESR. */
#define LAPIC_ERR_SEND_VECTOR (1u << 5)
#define LAPIC_ERR_RECV_VECTOR (1u << 6)
#define LAPIC_ERR_REGISTER    (1u << 7)

/* l->address: the id as destinations name it in bits 31:0, and */
#define LAPIC_ADDRESS_LDR(a)  ((uint8_t)((a) >> 32)) /* xAPIC */
#define LAPIC_ADDRESS_CLUSTER (UINT64_C(1) << 40)
#define LAPIC_ADDRESS_X2APIC  (UINT64_C(1) << 41)
#define LAPIC_ADDRESS_ON      (UINT64_C(1) << 42)
#define LAPIC_ADDRESS_ENABLED (UINT64_C(1) << 43) /* by software: takes interrupts */

static inline bool lapic_is_on(const struct lapic *l)
{
	return l->base & X86_APIC_BASE_ENABLE;
}

static inline bool lapic_is_x2apic(const struct lapic *l)
{
	return l->base & X86_APIC_BASE_X2APIC;
}

/* The logical id in x2APIC mode (SDM 3A §11.12.10.2). */
static inline uint32_t lapic_x2apic_ldr(uint32_t id)
{
	return (id >> 4) << 16 | 1u << (id & 15);
}

/* lapic.c */
/* What follows from id, mode, LDR, DFR, SVR, LVT0 and base. */
void lapic_readdress(struct lapic *l);
/* PPR and the deliverable vector, after a change of TPR, ISR, IRR or base. */
void lapic_update(struct lapic *l);
/* What entry @reg of the LVT says, happens. */
void lapic_local(struct lapic *l, enum x86_lapic_reg reg);
void lapic_error(struct lapic *l, uint32_t bit);
/* Ends the highest interrupt in service.  The vector if the I/O APICs must hear of it, else -1. */
int lapic_end_of_interrupt(struct lapic *l);
/* The registers as after power-on, in the mode that l->base says; nothing runs. */
void lapic_clear(struct lapic *l);
/* Takes a message; false: not in its present state.  Takes the lock itself. */
bool lapic_accept(struct lapic *l, const struct lapic_msg *m);
/* LINT0 rose.  Takes the lock itself. */
void lapic_lint0(struct lapic *l);
/* Is it looking for @vector, requested or in service (SVR bit 9 clear)?  Takes the lock itself. */
bool lapic_is_focus(struct lapic *l, uint8_t vector);

/* lapic_timer.c */
/* The current count. */
uint32_t lapic_timer_count(struct lapic *l);
/* Fires if it is time. */
void lapic_timer_poll(struct lapic *l);
/* Tells the accelerator when to come. */
void lapic_timer_announce(struct lapic *l);
void lapic_timer_stop(struct lapic *l);
/* Counts down from @count. */
void lapic_timer_start(struct lapic *l, uint32_t count);
/* Writes of TMICT, TDCR, LVTT and IA32_TSC_DEADLINE. */
void lapic_timer_set_initial(struct lapic *l, uint32_t val);
void lapic_timer_set_divide(struct lapic *l, uint32_t val);
void lapic_timer_set_lvt(struct lapic *l, uint32_t val);
void lapic_timer_set_deadline(struct lapic *l, uint64_t val);
bool lapic_timer_is_deadline(const struct lapic *l);

#endif
