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
	uint64_t old = c->asserted[irq.pin], now = level ? old | bit : old & ~bit;
	c->asserted[irq.pin] = now;
	if (!old != !now) {
		TRACE(irq_set, "gsi %u %s", irq.pin, level ? "high" : "low");
		c->ops->set(c, irq.pin, level);
	}
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
	for (unsigned pin = 0; pin < IRQ_PINS; pin++)
		if (c->asserted[pin]) {
			c->asserted[pin] = 0;
			c->ops->set(c, pin, false);
		}
	pthread_mutex_unlock(&c->lock);
}
