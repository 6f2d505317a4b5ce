/*
 * arch/x86/userchip.h - the board's interrupt chips in user space: the 8259 pair and the I/O APIC
 * as the irqchip of a VM.
 *
 * GSI n is pin n of the I/O APIC and below 16 line n of the 8259s as well, as KVM wires its own
 * chips; so a saved state and the machine's tables fit both.  The chips' state is vm->chips: there
 * is nothing to get or put.  The devices "i8259" and "ioapic" are the windows to it.
 *
 * All of it is guarded by chip.lock.  Lock order: device -> chip.lock -> lapic.
 */
#ifndef LODGE_ARCH_X86_USERCHIP_H
#define LODGE_ARCH_X86_USERCHIP_H

#include <stdatomic.h>

#include "arch/x86/chips.h"
#include "arch/x86/lapic.h"
#include "core/irq.h"

/* Where the chips' outputs go.  Leaves, called with chip.lock held (msi: also without). */
struct x86_userchip_ops {
	void (*msi)(void *arg, const struct msi *m);	  /* from the I/O APIC and from devices */
	void (*intr)(void *arg, bool level);		  /* INTR of the 8259s changed */
	void (*pin)(void *arg, unsigned pin, bool level); /* looks on as wires change; optional */
};

/* To the local APICs of a struct lapic_bus, which is @arg. */
extern const struct x86_userchip_ops x86_userchip_lapics;

struct x86_userchip {
	struct irqchip chip;
	struct x86_chips *state; /* vm->chips */
	const struct x86_userchip_ops *ops;
	void *arg;
	_Atomic bool intr;
};

/*
 * Makes @u the VM's irqchip with its chips in power-on state; pins from X86_IOAPIC_PINS on lead to
 * ops->pin only.  With x86_userchip_lapics, the bus gets its EOI handler here.
 */
int x86_userchip_init(struct x86_userchip *u, struct vm *vm, unsigned pins,
		      const struct x86_userchip_ops *ops, void *arg, struct err *e) MUST_CHECK;
void x86_userchip_exit(struct x86_userchip *u);
/* That of @vm, or NULL if its chips are others. */
struct x86_userchip *x86_userchip_of(struct vm *vm);

/* INTR of the 8259s: any thread, an atomic load. */
static inline bool x86_userchip_intr(struct x86_userchip *u)
{
	return atomic_load_explicit(&u->intr, memory_order_acquire);
}
/* The acknowledge cycle of the 8259s: the vector, a spurious one if nothing is pending (any more).
 */
uint8_t x86_userchip_ack(struct x86_userchip *u);
/* An EOI broadcast to the I/O APIC; @arg is the struct x86_userchip. */
void x86_userchip_eoi(void *arg, uint8_t vector);
/*
 * vm->chips was changed from outside (load, reset): the outputs follow.  The devices do that in
 * their reset and loaded.
 */
void x86_userchip_refresh(struct x86_userchip *u);

/* The windows.  @port: 0 and 1 the master's, 2 and 3 the slave's, 4 and 5 the ELCRs. */
uint8_t x86_userchip_pic_read(struct x86_userchip *u, unsigned port);
void x86_userchip_pic_write(struct x86_userchip *u, unsigned port, uint8_t val);
uint32_t x86_userchip_ioapic_read(struct x86_userchip *u, uint64_t off);
void x86_userchip_ioapic_write(struct x86_userchip *u, uint64_t off, uint32_t val);
/* Power-on state of one of them. */
void x86_userchip_pic_reset(struct x86_userchip *u);
void x86_userchip_ioapic_reset(struct x86_userchip *u);

#endif
