/*
 * unit/user_vm.h - a VM whose interrupt chips are all in user space, as an accelerator without its
 * own would make it; its vCPUs run nothing.  It has the devices of such a board and no memory.
 */
#ifndef LODGE_UNIT_USER_VM_H
#define LODGE_UNIT_USER_VM_H

#include <time.h>

#include "unit.h"

#include "arch/arch.h"
#include "arch/x86/defs.h"
#include "arch/x86/userchip.h"
#include "core/vm.h"
#include "device/devices.h"

#define USER_CPUS 4u

/* One VM at a time. */
static struct user {
	struct loop *loop;
	struct vm *vm;
	struct lapic_bus bus;
	struct x86_userchip chip;
	struct lapic lapic[USER_CPUS];
	_Atomic unsigned signals[USER_CPUS];
	bool armed[USER_CPUS];
	uint64_t when[USER_CPUS];
	struct irq wire[3]; /* of no device: GSIs 4, 9 and 20 */
} user;

static unsigned user_index(const void *arg)
{
	return ((const struct vcpu *)arg)->index;
}

static void user_signal(void *arg)
{
	atomic_fetch_add(&user.signals[user_index(arg)], 1);
}

static void user_timer(void *arg, bool armed, uint64_t when)
{
	user.armed[user_index(arg)] = armed;
	user.when[user_index(arg)] = when;
}

static uint64_t user_now(void *arg)
{
	return clock_now(&((struct vcpu *)arg)->vm->clock);
}

static uint64_t user_tsc_when(void *arg, uint64_t tsc)
{
	(void)arg;
	return tsc;
}

static const struct lapic_ops user_lapic_ops = {user_signal, user_timer, user_now, user_tsc_when};

static int user_vm_init(struct vm *vm, struct err *e)
{
	return lapic_bus_init(&user.bus, vm->n_vcpus, e);
}

static void user_vm_exit(struct vm *vm)
{
	lapic_bus_exit(&user.bus);
	if (vm->irqchip)
		x86_userchip_exit(&user.chip);
}

static int user_irqchip_init(struct vm *vm, enum irqchip_mode mode, struct err *e)
{
	(void)mode;
	return x86_userchip_init(&user.chip, vm, X86_IOAPIC_PINS, &x86_userchip_lapics, &user.bus,
				 e);
}

static int user_vcpu_init(struct vcpu *v, struct err *e)
{
	const struct lapic_config c = {.apic_id = v->index,
				       .bsp = v->index == 0,
				       .x2apic = true,
				       .tsc_deadline = true,
				       .phys_bits = 52};

	(void)e;
	lapic_init(&user.lapic[v->index], &user.bus, v->index, &c, &user_lapic_ops, v);
	return 0;
}

static void user_vcpu_exit(struct vcpu *v)
{
	lapic_exit(&user.lapic[v->index]);
}

static enum vcpu_stop user_vcpu_run(struct vcpu *v)
{
	const struct timespec ts = {.tv_nsec = 200000};

	if (!atomic_load(&v->requests))
		nanosleep(&ts, NULL);
	return VCPU_KICKED;
}

static void user_vcpu_kick(struct vcpu *v)
{
	(void)v; /* it looks by itself, five thousand times a second */
}

static int user_state_get(struct vcpu *v, struct err *e)
{
	(void)e;
	lapic_get(&user.lapic[v->index], v->state);
	return 0;
}

static int user_state_put(struct vcpu *v, struct err *e)
{
	(void)e;
	lapic_put(&user.lapic[v->index], v->state);
	return 0;
}

static const struct accel_ops user_accel = {
	.name = "user",
	.manual_clock = true,
	.vm_init = user_vm_init,
	.vm_exit = user_vm_exit,
	.irqchip_init = user_irqchip_init,
	.vcpu_init = user_vcpu_init,
	.vcpu_exit = user_vcpu_exit,
	.vcpu_run = user_vcpu_run,
	.vcpu_kick = user_vcpu_kick,
	.state_get = user_state_get,
	.state_put = user_state_put,
};

static inline void user_check(int rc, const struct err *e)
{
	if (rc)
		fail_msg("%s", e->msg);
}

static void user_device(const char *class, int pin)
{
	struct err e = ERR_INIT;
	struct device *d;

	user_check(device_new(user.vm, device_class_find(class), NULL, &d, &e), &e);
	if (pin >= 0)
		user_check(device_wire(d, 0, (unsigned)pin, &e), &e);
	user_check(device_init(d, &e), &e);
}

/* READY, with @cpus CPUs. */
static inline void user_make(unsigned cpus)
{
	static const unsigned pin[] = {4, 9, 20};
	struct vm_options o = {
		.name = "user", .arch = &arch_x86, .accel = &user_accel, .n_vcpus = cpus};
	struct err e = ERR_INIT;

	memset(&user, 0, sizeof(user));
	o.loop = user.loop = loop_new(&e);
	assert_non_null(o.loop);
	user_check(vm_new(&o, &user.vm, &e), &e);
	user_check(user_accel.irqchip_init(user.vm, IRQCHIP_USER, &e), &e);
	user_check(vm_start_vcpus(user.vm, &e), &e);
	user_device("i8259", -1);
	user_device("ioapic", -1);
	user_device("i8254", 0);
	for (size_t i = 0; i < ARRAY_LEN(pin); i++)
		user_check(irq_connect(user.vm->irqchip, pin[i], &user.wire[i], &e), &e);
	user_check(vm_reset(user.vm, &e), &e);
}

static inline void user_free(void)
{
	vm_free(user.vm);
	loop_free(user.loop);
}

static inline void user_out(uint16_t port, uint8_t val)
{
	assert_int_equal(as_vcpu_write(&user.vm->ports, port, &val, 1), IO_OK);
}

static inline uint8_t user_in(uint16_t port)
{
	uint8_t val = 0;

	assert_int_equal(as_vcpu_read(&user.vm->ports, port, &val, 1), IO_OK);
	return val;
}

/* An entry of the I/O APIC. */
static inline void user_rte(unsigned pin, uint64_t rte)
{
	const uint32_t w[] = {0x11 + 2 * pin, (uint32_t)(rte >> 32), 0x10 + 2 * pin, (uint32_t)rte};

	for (unsigned i = 0; i < 4; i++)
		assert_int_equal(
			as_vcpu_write(&user.vm->mem, X86_IOAPIC_ADDR + (i & 1) * 0x10, &w[i], 4),
			IO_OK);
}

#endif
