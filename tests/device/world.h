/*
 * A VM with one device of every class of this build, without vCPU threads: the caller plays vCPU,
 * loop and clock from one thread.  For what is tested of all classes alike; a new line in
 * devices.def is covered without a change here.
 */
#ifndef LODGE_TESTS_DEVICE_WORLD_H
#define LODGE_TESTS_DEVICE_WORLD_H

#include <stdlib.h>
#include <string.h>

#include "arch/arch.h"
#include "arch/x86/userchip.h"
#include "chardev/chardev.h"
#include "core/vm.h"
#include "device/devices.h"

#define WORLD_DEVICES 64u
#define WORLD_WINDOWS 128u

struct world {
	struct loop *loop;
	struct vm *vm;
	struct x86_userchip chip;
	bool level[IRQ_PINS];
	struct device *dev[WORLD_DEVICES];
	struct chardev *chardev[WORLD_DEVICES]; /* of dev[i], or NULL */
	unsigned n_devs;
	struct {
		struct as *as;
		uint64_t base, len;
	} window[WORLD_WINDOWS];
	unsigned n_windows;
};

static void world_pin(void *arg, unsigned pin, bool level)
{
	((struct world *)arg)->level[pin] = level;
}

static void world_msi(void *arg, const struct msi *m)
{
	(void)arg, (void)m;
}

static void world_intr(void *arg, bool level)
{
	(void)arg, (void)level;
}

static int world_vm_init(struct vm *vm, struct err *e)
{
	(void)vm, (void)e;
	return 0;
}

static void world_vm_exit(struct vm *vm)
{
	if (vm->irqchip)
		irqchip_exit(vm->irqchip);
}

static const struct x86_userchip_ops world_chip_ops = {
	.msi = world_msi, .intr = world_intr, .pin = world_pin};
static const struct accel_ops world_accel = {
	.name = "test", .manual_clock = true, .vm_init = world_vm_init, .vm_exit = world_vm_exit};

/* A device with its windows somewhere free, its wires connected, and buffers as its back ends. */
static void world_add(struct world *w, const struct device_class *class, struct err *e)
{
	unsigned n = w->n_devs++;
	struct device *d;

	BUG_ON(n == WORLD_DEVICES || device_new(w->vm, class, NULL, &d, e));
	for (unsigned i = 0; i < class->n_props; i++) {
		if (class->props[i].kind != PROP_BACKEND ||
		    strcmp(class->props[i].backend, "chardev") != 0)
			continue;
		BUG_ON(chardev_open("buffer", w->loop, &w->chardev[n], e));
		BUG_ON(vm_add_backend(w->vm, "chardev", d->id, w->chardev[n], chardev_free, e));
		BUG_ON(device_set(d, class->props[i].name, d->id, e));
	}
	for (unsigned i = 0; i < DEVICE_IO_MAX && class->io[i].len; i++) {
		const struct io_ops *io = &class->io[i];
		bool ports = io->space == AS_PORTS;
		unsigned k = w->n_windows++;

		BUG_ON(k == WORLD_WINDOWS);
		w->window[k].as = ports ? &w->vm->ports : &w->vm->mem;
		w->window[k].base =
			ports ? 0x1000 + k * 0x100 : 0xd0000000 + k * UINT64_C(0x1000000);
		w->window[k].len = io->len;
		device_place(d, i, w->window[k].base);
	}
	for (unsigned i = 0; i < class->n_irqs; i++)
		BUG_ON(device_wire(d, i, n * DEVICE_IRQ_MAX + i, e));
	BUG_ON(device_init(d, e));
	w->dev[n] = d;
}

/* The test cannot go on without a world: any failure ends it. */
static void world_init(struct world *w)
{
	struct vm_options o = {
		.name = "test", .arch = &arch_x86, .accel = &world_accel, .n_vcpus = 1};
	struct err e = ERR_INIT;
	struct ram *ram;

	memset(w, 0, sizeof(*w));
	o.loop = w->loop = loop_new(&e);
	BUG_ON(!w->loop);
	BUG_ON(vm_new(&o, &w->vm, &e));
	BUG_ON(x86_userchip_init(&w->chip, w->vm, IRQ_PINS, &world_chip_ops, w, &e));
	BUG_ON(ram_new(w->vm, "ram", MIB(1), RAM_ANON, &ram, &e));
	BUG_ON(as_map_ram(&w->vm->mem, 0, ram, 0, MIB(1), &e));
	for (unsigned i = 0; device_list[i]; i++)
		world_add(w, device_list[i], &e);
}

static void world_exit(struct world *w)
{
	vm_free(w->vm);
	loop_free(w->loop);
}

/* The saved fields of a device, "" if it has none. */
static void world_save(struct device *d, struct strbuf *out)
{
	device_lock(d);
	if (d->class->state)
		state_save(d->class->state, d, out);
	device_unlock(d);
	BUG_ON(out->failed);
}

/* As vm_load_state does it for one section. */
static int world_load(struct device *d, unsigned version, const void *data, size_t len,
		      struct err *e)
{
	int rc;

	device_lock(d);
	rc = d->class->state ? state_load(d->class->state, version, d, data, len, e) : 0;
	if (!rc && d->class->loaded)
		rc = d->class->loaded(d, e);
	device_unlock(d);
	return rc;
}

#endif
