/*
 * arch/x86/lapic.h - the local APIC in user space: xAPIC and x2APIC (SDM 3A chapter 11), for an
 * accelerator that has no APIC of its own.
 *
 * The accelerator has one struct lapic for each vCPU and one struct lapic_bus for the VM, on which
 * they find one another.  State is the register page in the layout of x86_vcpu.lapic with
 * IA32_APIC_BASE and IA32_TSC_DEADLINE, which is also what KVM saves.
 *
 * Threads.  "own" marks what only the vCPU's thread calls; the rest may come from any thread.  Each
 * lapic has a mutex inside.  lapic_pending, lapic_events, lapic_accepts_extint and lapic_window are
 * plain atomic loads: a vCPU may look at them before each block of code, though it is cheaper to
 * look at a flag of its own that ops->signal sets.  What made signal be called is visible to who
 * has seen that flag.
 *
 * Lock order: device -> irqchip -> lapic -> (clock); never two lapics.  All of struct lapic_ops is
 * called with the lapic's mutex held, so it must be leaves that do not call back; bus->eoi is
 * called without it.
 */
#ifndef LODGE_ARCH_X86_LAPIC_H
#define LODGE_ARCH_X86_LAPIC_H

#include <pthread.h>
#include <stdatomic.h>

#include "arch/x86/vcpu.h"

struct lapic_ops {
	/* Any thread: something may be deliverable, or an event is latched; wakes a halted vCPU. */
	void (*signal)(void *arg);
	/*
	 * Says when lapic_timer_expired is to be called, in VM time; @armed false: not at all.
	 * Replaces what was said before.
	 */
	void (*timer)(void *arg, bool armed, uint64_t when);
	/* VM time in ns; must not go backwards. */
	uint64_t (*now)(void *arg);
	/* The VM time at which the vCPU's TSC reaches (or reached) @tsc; saturates at both ends. */
	uint64_t (*tsc_when)(void *arg, uint64_t tsc);
};

/* What is latched for the vCPU beside interrupts; see lapic_take_events. */
#define LAPIC_EVENT_NMI	   1u
#define LAPIC_EVENT_INIT   2u
#define LAPIC_EVENT_SIPI   4u
#define LAPIC_EVENT_EXTINT 8u /* a message: take one interrupt from the 8259s */

/* Delivery modes: ICR, LVT, redirection entries, MSI data (bits 10:8). */
enum lapic_mode {
	LAPIC_FIXED,
	LAPIC_LOWEST,
	LAPIC_SMI,
	LAPIC_NMI = 4,
	LAPIC_INIT,
	LAPIC_SIPI,
	LAPIC_EXTINT,
};

enum lapic_shorthand { LAPIC_TO_DEST, LAPIC_TO_SELF, LAPIC_TO_ALL, LAPIC_TO_OTHERS };

/* A message on the bus: an IPI, or what an I/O APIC or a device sends. */
struct lapic_msg {
	uint32_t dest; /* 8 bits in xAPIC's form, else up to 32 */
	bool logical;
	uint8_t shorthand; /* enum lapic_shorthand; others than LAPIC_TO_DEST need a sender */
	uint8_t mode;	   /* enum lapic_mode */
	uint8_t vector;
	bool trig_level; /* its EOI goes to the I/O APICs */
};

struct lapic;

struct lapic_bus {
	unsigned n; /* slots: one for each vCPU */
	_Atomic(struct lapic *) *slot;
	_Atomic unsigned turn; /* lowest priority: where the search for the next one begins */
	_Atomic bool intr;     /* INTR of the 8259s, which is LINT0 of all */
	/* EOI of a level interrupt, to the I/O APICs.  Any vCPU's thread. */
	void (*eoi)(void *arg, uint8_t vector);
	void *eoi_arg;
};

struct lapic_config {
	uint32_t apic_id;
	bool bsp;
	bool x2apic;	   /* CPUID.1:ECX[21]; without it bit 10 of IA32_APIC_BASE is reserved */
	bool tsc_deadline; /* CPUID.1:ECX[24]; without it the timer has two modes */
	uint8_t phys_bits; /* MAXPHYADDR, 32 to 52 */
};

struct lapic {
	pthread_mutex_t lock;
	struct lapic_bus *bus;
	unsigned index; /* slot on the bus */
	struct lapic_config config;
	const struct lapic_ops *ops;
	void *arg;

	/* Under lock. */
	uint32_t regs[64]; /* as x86_vcpu.lapic; TMCCT is made when it is asked for */
	uint64_t base;	   /* IA32_APIC_BASE */
	uint64_t deadline; /* IA32_TSC_DEADLINE, 0: not armed */
	uint64_t expiry;   /* count-down modes: VM time at which the count is 0 */
	bool counting;	   /* the count-down runs: expiry is to come, or comes again */
	uint32_t errors;   /* found since the last write of ESR */
	uint8_t sipi_vector;

	/* Written under lock, read by anyone. */
	_Atomic int pending;	  /* deliverable vector, or -1 */
	_Atomic uint32_t events;  /* LAPIC_EVENT_ */
	_Atomic uint64_t address; /* LAPIC_ADDRESS_ of lapic_impl.h */
	_Atomic uint8_t ppr;
	_Atomic uint64_t window;
	_Atomic bool extint;
};

/* A bus for @n vCPUs.  -ENOMEM. */
int lapic_bus_init(struct lapic_bus *b, unsigned n, struct err *e) MUST_CHECK;
/* After the last lapic_exit. */
void lapic_bus_exit(struct lapic_bus *b);

/*
 * Sends @m; @from is the sender of an IPI, else NULL.  Returns how many took it, whether or not
 * they had it pending already.  Device or irqchip locks may be held, no lapic's.
 */
unsigned lapic_bus_send(struct lapic_bus *b, struct lapic *from, const struct lapic_msg *m);
/*
 * A memory write to 0xfeexxxxx (SDM 3A §11.11).  Address bits 11:5 are bits 14:8 of the destination
 * (KVM_FEATURE_MSI_EXT_DEST_ID) if bit 4 is clear, and bits 63:40 its bits 31:8 (KVM's format).
 */
unsigned lapic_bus_msi(struct lapic_bus *b, uint64_t addr, uint32_t data);
/* INTR of the 8259s changed: it is LINT0 of every CPU. */
void lapic_bus_intr(struct lapic_bus *b, bool level);

/*
 * Set-up: the lapic in its power-on state, on @bus at @index.  @ops and @arg live as long as it.
 */
void lapic_init(struct lapic *l, struct lapic_bus *bus, unsigned index,
		const struct lapic_config *config, const struct lapic_ops *ops, void *arg);
/* Takes it off the bus; no vCPU runs any more. */
void lapic_exit(struct lapic *l);
/* Power-on values of a register page: in xAPIC mode, @boot for the boot processor's. */
void lapic_reset_regs(uint32_t regs[64], uint32_t apic_id, bool boot);
/*
 * own: power-on (SDM 3A §11.4.7.1), or @init: what an INIT does, which leaves the id,
 * IA32_APIC_BASE and a latched SIPI alone.
 */
void lapic_reset(struct lapic *l, bool init);

/*
 * own: into v->lapic, has_lapic, apic_base, cr8, IA32_TSC_DEADLINE if @v has that MSR in its list,
 * and the latched events: an NMI sets events.nmi_pending, an INIT events.smi_latched_init (as KVM
 * has it), a SIPI makes an mp_state of X86_MP_INIT X86_MP_SIPI with events.sipi_vector.  To be
 * called when the accelerator has filled in the rest.
 */
void lapic_get(struct lapic *l, struct x86_vcpu *v);
/*
 * own: and back, from any content of @v, which may come from a hostile saved state.  Of the events
 * it takes events.smi_latched_init; pending NMIs and mp_state are the accelerator's.
 */
void lapic_put(struct lapic *l, const struct x86_vcpu *v);

/* Guest-physical address of the 4 KiB register window, UINT64_MAX: there is none (x2APIC, off). */
static inline uint64_t lapic_window(struct lapic *l)
{
	return atomic_load_explicit(&l->window, memory_order_acquire);
}
/*
 * own: a 32-bit access to the window.  @off below 1000h; what is not a register reads 0 and is an
 * error in the ESR.  The accelerator splits or refuses other sizes.
 */
uint32_t lapic_mmio_read(struct lapic *l, uint32_t off);
void lapic_mmio_write(struct lapic *l, uint32_t off, uint32_t val);

/*
 * own: RDMSR and WRMSR of 800h to 8ffh, IA32_APIC_BASE and IA32_TSC_DEADLINE.  0, or -EINVAL: #GP.
 */
int lapic_msr_read(struct lapic *l, uint32_t index, uint64_t *val) MUST_CHECK;
int lapic_msr_write(struct lapic *l, uint32_t index, uint64_t val) MUST_CHECK;

/* own: CR8, 0 to 15. */
void lapic_set_tpr(struct lapic *l, uint8_t cr8);
uint8_t lapic_tpr(struct lapic *l);

/* The vector that lapic_ack would return, or -1. */
static inline int lapic_pending(struct lapic *l)
{
	return atomic_load_explicit(&l->pending, memory_order_acquire);
}
/* own: accepts the interrupt: IRR to ISR.  Its vector, or -1. */
int lapic_ack(struct lapic *l);

/* The latched events, without taking them. */
static inline uint32_t lapic_events(struct lapic *l)
{
	return atomic_load_explicit(&l->events, memory_order_acquire);
}
/*
 * own: takes all latched NMI, INIT and SIPI.  INIT comes first; a SIPI (*@sipi: its vector) is for
 * a vCPU that waits for one after that, and for nobody else.
 */
uint32_t lapic_take_events(struct lapic *l, uint8_t *sipi);

/*
 * Would the vCPU take an interrupt of the 8259s now: LINT0 is ExtINT, the APIC is off, or a message
 * asked for it.  The vector comes from x86_userchip_ack, lapic_extint_taken follows.
 */
static inline bool lapic_accepts_extint(struct lapic *l)
{
	return atomic_load_explicit(&l->extint, memory_order_acquire) ||
	       (lapic_events(l) & LAPIC_EVENT_EXTINT);
}
void lapic_extint_taken(struct lapic *l);

/* A non-maskable interrupt from outside (accel_ops.vcpu_nmi). */
void lapic_nmi(struct lapic *l);

/*
 * The time that ops->timer said has come, perhaps: early calls do no harm.  Any thread.
 */
void lapic_timer_expired(struct lapic *l);
/* own: the TSC was set or VM time has jumped: what ops->tsc_when says has changed. */
void lapic_tsc_moved(struct lapic *l);

#endif
