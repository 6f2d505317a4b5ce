/*
 * accel/kvm/x86/ioapic.c - the I/O APIC of split mode: arch/x86/ioapic.c behind its MMIO window,
 * with KVM's local APICs on the other side.
 *
 * The chip is guarded by chip.lock, which irq_set holds when it calls us; a vCPU's register access
 * and EOI take it too.  A message of a level entry must find KVM knowing that its vector belongs to
 * the I/O APIC, else KVM would not report the EOI: KVM learns that from its routes, so they are
 * brought up to date before the message is sent.  That happens once for each entry and not with
 * each interrupt.  KVM reports EOIs of edge entries to nobody, and they need no route.
 */
#include <errno.h>

#include "accel/kvm/x86/x86.h"
#include "arch/x86/defs.h"
#include "base/log.h"
#include "base/trace.h"

#define WINDOW 0x1000u

/* What of an entry its route is made of. */
#define ROUTE_BITS (~(uint64_t)(X86_RTE_PENDING | X86_RTE_REMOTE_IRR))

static void routes_update(struct kvm_arch *a)
{
	static struct ratelimit limit;
	struct err e = ERR_INIT;
	uint64_t missed;

	if (kvm_x86_routes_put(a, &e) && ratelimit_ok(&limit, 1, &missed))
		log_warn("I/O APIC: %s", e.msg);
}

static void deliver(void *arg, unsigned pin, uint64_t rte)
{
	struct kvm_arch *a = arg;
	uint64_t addr;
	uint32_t data;

	if ((rte & X86_RTE_LEVEL) && ((rte ^ a->routed[pin]) & ROUTE_BITS))
		routes_update(a);
	x86_ioapic_msi(rte, &addr, &data);
	TRACE(kvm_ioapic, "pin %u vector 0x%x%s", pin, X86_RTE_VECTOR(rte),
	      rte & X86_RTE_LEVEL ? " level" : "");
	kvm_x86_msi(a, addr, data);
}

void kvm_x86_ioapic_set(struct kvm_arch *a, unsigned pin, bool level)
{
	const struct x86_ioapic_bus bus = {deliver, a};

	if (pin < X86_IOAPIC_PINS)
		x86_ioapic_set(&a->ioapic, pin, level, &bus);
}

void kvm_x86_ioapic_eoi(struct kvm_arch *a, uint8_t vector)
{
	const struct x86_ioapic_bus bus = {deliver, a};

	pthread_mutex_lock(&a->chip.lock);
	x86_ioapic_eoi(&a->ioapic, vector, &bus);
	pthread_mutex_unlock(&a->chip.lock);
}

static uint64_t window_read(struct device *d, uint64_t off, unsigned size)
{
	struct kvm_arch *a = kvm_of(d->vm)->arch;
	uint32_t v;

	(void)size;
	pthread_mutex_lock(&a->chip.lock);
	v = x86_ioapic_read(&a->ioapic, off);
	pthread_mutex_unlock(&a->chip.lock);
	return v;
}

static void window_write(struct device *d, uint64_t off, unsigned size, uint64_t val)
{
	struct kvm_arch *a = kvm_of(d->vm)->arch;
	const struct x86_ioapic_bus bus = {deliver, a};

	(void)size;
	pthread_mutex_lock(&a->chip.lock);
	if (x86_ioapic_write(&a->ioapic, off, (uint32_t)val, &bus) & a->irqfd_pins)
		routes_update(a);
	pthread_mutex_unlock(&a->chip.lock);
}

/* Its registers are saved, loaded and reset with the other chips, see kvm_x86_chips_get. */
static const struct device_class ioapic_class = {
	.name = "kvm-ioapic",
	.help = "I/O APIC of a split interrupt controller",
	.size = sizeof(struct device),
	.stateless = true,
	.io = {{window_read, window_write, .sizes = 4, .space = AS_MEMORY, .len = WINDOW,
		.base = X86_IOAPIC_ADDR}},
};

int kvm_x86_ioapic_new(struct kvm_arch *a, struct err *e)
{
	struct device *d;
	int rc;

	for (unsigned i = 0; i < X86_IOAPIC_PINS; i++)
		a->routed[i] = X86_RTE_MASKED;
	rc = device_new(a->kvm->vm, &ioapic_class, "ioapic", &d, e);
	return rc ? rc : device_init(d, e);
}
