/*
 * core/irq.h - an interrupt wire is a value; an MSI is a message to the same chip.
 *
 * A struct irqchip is whatever routes interrupts to vCPUs: KVM's in-kernel chips, the user-space
 * chips, or the script accelerator's recorder.  Several devices may share a pin: each connection
 * has its own source number, and the pin is asserted while any source is (a wired OR), so that one
 * device cannot take another's interrupt away.
 */
#ifndef LODGE_CORE_IRQ_H
#define LODGE_CORE_IRQ_H

#include <pthread.h>

#include "base/compiler.h"
#include "base/err.h"

#define IRQ_PINS 256u /* GSIs a chip can have at most */

struct irqchip;
struct vm;

/* A wire.  {0} is connected to nothing and may be driven without effect. */
struct irq {
	struct irqchip *chip;
	uint16_t pin;	 /* GSI */
	uint16_t source; /* which of the pin's connections */
};

struct msi {
	uint64_t addr;
	uint32_t data;
	uint32_t devid; /* who sends it, where the chip asks (GICv3 ITS): the PCI requester id */
};

struct irqchip_ops {
	const char *name;
	/* The pin's level after the wired OR.  Any thread, chip lock held. */
	void (*set)(struct irqchip *c, unsigned pin, bool level);
	/* Delivers a message.  Any thread. */
	void (*msi)(struct irqchip *c, const struct msi *m);
	/* Routes a descriptor to a pin or (m != NULL) a message: a write to @fd raises it.
	 * Optional. */
	int (*irqfd)(struct irqchip *c, unsigned pin, const struct msi *m, int fd, bool add,
		     struct err *e);
};

struct irqchip {
	const struct irqchip_ops *ops;
	struct vm *vm;
	unsigned pins;		     /* GSIs 0 to pins - 1 exist; 1 to IRQ_PINS */
	pthread_mutex_t lock;	     /* leaf */
	uint64_t asserted[IRQ_PINS]; /* by pin: sources that assert it */
	uint64_t muted[IRQ_PINS];    /* by pin: sources that do not count, see irq_own */
	uint8_t sources[IRQ_PINS];   /* by pin: how many were connected */
};

/* A chip with @pins pins.  -errno of the mutex. */
int irqchip_init(struct irqchip *c, struct vm *vm, const struct irqchip_ops *ops, unsigned pins);
void irqchip_exit(struct irqchip *c);

/*
 * A new connection to @pin; set-up only.  -ERANGE with the pins there are if it is none of the
 * chip's.  At most 64 a pin, beyond which -ENOSPC.
 */
int irq_connect(struct irqchip *c, unsigned pin, struct irq *out, struct err *e) MUST_CHECK;

/* Any thread; a leaf: may be called with the device lock held. */
void irq_set(struct irq irq, bool level);
/* Edge: up and down. */
static inline void irq_pulse(struct irq irq)
{
	irq_set(irq, true);
	irq_set(irq, false);
}
/*
 * The pin is this source's alone (@own), or everybody's again: what the others say is remembered
 * and does not count meanwhile.  One owner a pin.  As irq_set.
 */
void irq_own(struct irq irq, bool own);
void msi_send(struct irqchip *c, const struct msi *m);

/* All pins low, as after power-on.  World stopped. */
void irqchip_reset(struct irqchip *c);

#endif
