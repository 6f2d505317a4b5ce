/*
 * core/irq.c - interrupt wires with a wired OR at each pin.
 */
#include <errno.h>
#include <string.h>

#include "base/trace.h"
#include "core/irq.h"

int irqchip_init(struct irqchip *c, struct vm *vm, const struct irqchip_ops *ops, unsigned pins)
{
	BUG_ON(!pins || pins > IRQ_PINS); /* accelerators and boards say it */
	c->pins = pins;
	c->vm = vm;
	c->ops = ops;
	memset(c->asserted, 0, sizeof(c->asserted));
	memset(c->muted, 0, sizeof(c->muted));
	memset(c->sources, 0, sizeof(c->sources));
	return -pthread_mutex_init(&c->lock, NULL);
}

void irqchip_exit(struct irqchip *c)
{
	pthread_mutex_destroy(&c->lock);
}

int irq_connect(struct irqchip *c, unsigned pin, struct irq *out, struct err *e)
{
	if (pin >= c->pins)
		return err_set(e, -ERANGE, "interrupt %u does not exist (0 to %u)", pin,
			       c->pins - 1);
	if (c->sources[pin] == 64)
		return err_set(e, -ENOSPC, "interrupt %u has 64 devices already", pin);
	*out = (struct irq){.chip = c, .pin = (uint16_t)pin, .source = c->sources[pin]++};
	return 0;
}

static bool level_of(const struct irqchip *c, unsigned pin)
{
	return c->asserted[pin] & ~c->muted[pin];
}

/* Tells the chip if the pin's level is no longer @old.  Lock held. */
static void pin_update(struct irqchip *c, unsigned pin, bool old)
{
	bool now = level_of(c, pin);

	if (old == now)
		return;
	TRACE(irq_set, "gsi %u %s", pin, now ? "high" : "low");
	c->ops->set(c, pin, now);
}

/*
 * The lock spans the decision and the call, so that two sources that change at the same time cannot
 * reach the chip in the wrong order and leave the pin low while one asserts it.
 */
void irq_set(struct irq irq, bool level)
{
	struct irqchip *c = irq.chip;
	uint64_t bit = UINT64_C(1) << irq.source;

	if (!c)
		return;
	pthread_mutex_lock(&c->lock);
	bool old = level_of(c, irq.pin);
	c->asserted[irq.pin] = level ? c->asserted[irq.pin] | bit : c->asserted[irq.pin] & ~bit;
	pin_update(c, irq.pin, old);
	pthread_mutex_unlock(&c->lock);
}

void irq_own(struct irq irq, bool own)
{
	struct irqchip *c = irq.chip;

	if (!c)
		return;
	pthread_mutex_lock(&c->lock);
	bool old = level_of(c, irq.pin);
	c->muted[irq.pin] = own ? ~(UINT64_C(1) << irq.source) : 0;
	pin_update(c, irq.pin, old);
	pthread_mutex_unlock(&c->lock);
}

void msi_send(struct irqchip *c, const struct msi *m)
{
	TRACE(msi_send, "addr 0x%llx data 0x%x", (unsigned long long)m->addr, m->data);
	c->ops->msi(c, m);
}

void irqchip_reset(struct irqchip *c)
{
	pthread_mutex_lock(&c->lock);
	for (unsigned pin = 0; pin < IRQ_PINS; pin++) {
		bool old = level_of(c, pin);

		c->asserted[pin] = 0;
		pin_update(c, pin, old);
	}
	pthread_mutex_unlock(&c->lock);
}
