/*
 * arch/x86/userchip.c - the 8259 pair and the I/O APIC as the irqchip of a VM; see userchip.h.
 */
#include <errno.h>

#include "arch/arch.h"
#include "arch/x86/userchip.h"
#include "base/trace.h"
#include "core/vm.h"

static struct x86_userchip *of_chip(struct irqchip *c)
{
	return container_of(c, struct x86_userchip, chip);
}

static void ioapic_deliver(void *arg, unsigned pin, uint64_t rte)
{
	struct x86_userchip *u = arg;
	struct msi m = {0};

	x86_ioapic_msi(rte, &m.addr, &m.data);
	TRACE(x86_ioapic, "pin %u vector 0x%x%s", pin, X86_RTE_VECTOR(rte),
	      rte & X86_RTE_LEVEL ? " level" : "");
	u->ops->msi(u->arg, &m);
}

static struct x86_ioapic_bus ioapic_bus(struct x86_userchip *u)
{
	return (struct x86_ioapic_bus){ioapic_deliver, u};
}

/* chip.lock held. */
static void intr_update(struct x86_userchip *u)
{
	bool level = x86_pic_intr(u->state->pic);

	if (level == atomic_load_explicit(&u->intr, memory_order_relaxed))
		return;
	atomic_store_explicit(&u->intr, level, memory_order_release);
	u->ops->intr(u->arg, level);
}

static void chip_set(struct irqchip *c, unsigned pin, bool level)
{
	struct x86_userchip *u = of_chip(c);
	const struct x86_ioapic_bus bus = ioapic_bus(u);

	if (u->ops->pin)
		u->ops->pin(u->arg, pin, level);
	if (pin < 16) {
		x86_pic_set(u->state->pic, pin, level);
		intr_update(u);
	}
	if (pin < X86_IOAPIC_PINS)
		x86_ioapic_set(&u->state->ioapic, pin, level, &bus);
}

static void chip_msi(struct irqchip *c, const struct msi *m)
{
	struct x86_userchip *u = of_chip(c);

	u->ops->msi(u->arg, m);
}

static const struct irqchip_ops chip_ops = {.name = "user", .set = chip_set, .msi = chip_msi};

static void to_lapics(void *arg, const struct msi *m)
{
	if (!lapic_bus_msi(arg, m->addr, m->data))
		TRACE(x86_msi_lost, "addr 0x%llx data 0x%x reached no CPU",
		      (unsigned long long)m->addr, m->data);
}

static void intr_to_lapics(void *arg, bool level)
{
	lapic_bus_intr(arg, level);
}

const struct x86_userchip_ops x86_userchip_lapics = {.msi = to_lapics, .intr = intr_to_lapics};

int x86_userchip_init(struct x86_userchip *u, struct vm *vm, unsigned pins,
		      const struct x86_userchip_ops *ops, void *arg, struct err *e)
{
	int rc = irqchip_init(&u->chip, vm, &chip_ops, pins);

	if (rc)
		return err_errno(e, rc, "cannot make the interrupt chips");
	u->state = vm->chips;
	u->ops = ops;
	u->arg = arg;
	atomic_init(&u->intr, false);
	x86_pic_reset(u->state->pic);
	x86_ioapic_reset(&u->state->ioapic);
	if (ops == &x86_userchip_lapics) {
		struct lapic_bus *bus = arg;

		bus->eoi = x86_userchip_eoi;
		bus->eoi_arg = u;
	}
	vm->irqchip = &u->chip;
	return 0;
}

void x86_userchip_exit(struct x86_userchip *u)
{
	irqchip_exit(&u->chip);
}

struct x86_userchip *x86_userchip_of(struct vm *vm)
{
	return vm->irqchip && vm->irqchip->ops == &chip_ops ? of_chip(vm->irqchip) : NULL;
}

uint8_t x86_userchip_ack(struct x86_userchip *u)
{
	uint8_t vector;

	pthread_mutex_lock(&u->chip.lock);
	vector = x86_pic_ack(u->state->pic);
	intr_update(u);
	pthread_mutex_unlock(&u->chip.lock);
	return vector;
}

void x86_userchip_eoi(void *arg, uint8_t vector)
{
	struct x86_userchip *u = arg;
	const struct x86_ioapic_bus bus = ioapic_bus(u);

	pthread_mutex_lock(&u->chip.lock);
	x86_ioapic_eoi(&u->state->ioapic, vector, &bus);
	pthread_mutex_unlock(&u->chip.lock);
}

void x86_userchip_refresh(struct x86_userchip *u)
{
	pthread_mutex_lock(&u->chip.lock);
	intr_update(u);
	pthread_mutex_unlock(&u->chip.lock);
}

uint8_t x86_userchip_pic_read(struct x86_userchip *u, unsigned port)
{
	uint8_t val;

	pthread_mutex_lock(&u->chip.lock);
	val = x86_pic_read(u->state->pic, port);
	intr_update(u); /* a poll acknowledges */
	pthread_mutex_unlock(&u->chip.lock);
	return val;
}

void x86_userchip_pic_write(struct x86_userchip *u, unsigned port, uint8_t val)
{
	pthread_mutex_lock(&u->chip.lock);
	x86_pic_write(u->state->pic, port, val);
	intr_update(u);
	pthread_mutex_unlock(&u->chip.lock);
}

uint32_t x86_userchip_ioapic_read(struct x86_userchip *u, uint64_t off)
{
	uint32_t val;

	pthread_mutex_lock(&u->chip.lock);
	val = x86_ioapic_read(&u->state->ioapic, off);
	pthread_mutex_unlock(&u->chip.lock);
	return val;
}

void x86_userchip_ioapic_write(struct x86_userchip *u, uint64_t off, uint32_t val)
{
	const struct x86_ioapic_bus bus = ioapic_bus(u);

	pthread_mutex_lock(&u->chip.lock);
	(void)x86_ioapic_write(&u->state->ioapic, off, val, &bus);
	pthread_mutex_unlock(&u->chip.lock);
}

void x86_userchip_pic_reset(struct x86_userchip *u)
{
	pthread_mutex_lock(&u->chip.lock);
	x86_pic_reset(u->state->pic);
	intr_update(u);
	pthread_mutex_unlock(&u->chip.lock);
}

void x86_userchip_ioapic_reset(struct x86_userchip *u)
{
	pthread_mutex_lock(&u->chip.lock);
	x86_ioapic_reset(&u->state->ioapic);
	pthread_mutex_unlock(&u->chip.lock);
}
