/*
 * A VM whose guest is a script, with every device of this build at its usual place on a PC or on
 * the arm64 virt board, for the tests of devices.
 */
#ifndef LODGE_TESTS_SCRIPT_VM_H
#define LODGE_TESTS_SCRIPT_VM_H

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "arch/arch.h"
#include "chardev/chardev.h"
#include "core/vm.h"
#include "device/devices.h"

extern const struct accel_ops accel_script;

struct script_vm {
	struct loop *loop;
	struct vm *vm;
	int code; /* exit code that was asked for, -1: none */
};

/*
 * Where the boards put things: wires and windows beside those that the classes say themselves.
 * Names are those of the microvm board: serial0 for the back end, class.N for devices.
 */
static const struct placed {
	const char *class, *chardev;
	uint64_t addr; /* 0: as the class says */
	int irq[4];    /* -1: none */
} placed[] = {
	{"ns16550", "serial0", 0x3f8, {4, -1, -1, -1}},
	{"ns16550", "serial1", 0x2f8, {3, -1, -1, -1}},
	{"i8042", NULL, 0, {1, 12, -1, -1}},
	{"i8254", NULL, 0, {0, -1, -1, -1}},
	{"i8259", NULL, 0, {-1, -1, -1, -1}},
	{"ioapic", NULL, 0, {-1, -1, -1, -1}},
	{"hpet", NULL, 0, {0, 8, 20, 21}},
	{"mc146818", NULL, 0, {8, -1, -1, -1}},
	{"acpi-pm", NULL, 0, {9, -1, -1, -1}},
	{"debug-exit", NULL, 0, {-1, -1, -1, -1}},
	{"debug-console", "debug", 0, {-1, -1, -1, -1}},
	{"example-mmio", "example", 0xd0000000, {-1, -1, -1, -1}},
	{"debug-exit-mmio", NULL, 0x09100000, {-1, -1, -1, -1}},
	{"pl011", "uart", 0x09000000, {33, -1, -1, -1}},
	{"pl031", NULL, 0x09010000, {34, -1, -1, -1}},
	{"pl061", NULL, 0x09030000, {39, -1, -1, -1}},
};

static int script_vm_chardev(struct script_vm *s, const char *id, struct err *e)
{
	struct chardev *c;
	int rc = chardev_open("buffer", s->loop, &c, e);

	return rc ? rc : vm_add_backend(s->vm, "chardev", id, c, chardev_free, e);
}

static int script_vm_device(struct script_vm *s, const struct placed *p, struct err *e)
{
	struct device *d;
	int rc = p->chardev ? script_vm_chardev(s, p->chardev, e) : 0;

	if (!rc)
		rc = device_new(s->vm, device_class_find(p->class), NULL, &d, e);
	if (rc)
		return rc;
	if (p->chardev)
		rc = device_set(d, "chardev", p->chardev, e);
	if (p->addr)
		device_place(d, 0, p->addr);
	for (unsigned i = 0; i < ARRAY_LEN(p->irq) && !rc; i++)
		if (p->irq[i] >= 0)
			rc = device_wire(d, i, (unsigned)p->irq[i], e);
	if (rc) {
		device_free(d);
		return rc;
	}
	return device_init(d, e);
}

static void script_vm_request(struct vm *vm, const struct vm_request *r, void *arg)
{
	struct script_vm *s = arg;

	s->code = r->event == VM_EVENT_EXIT ? r->code : EXIT_FAILED;
	loop_stop(vm->loop);
}

static void script_vm_free(struct script_vm *s)
{
	vm_free(s->vm);
	loop_free(s->loop);
}

/* READY.  @script as in --script. */
static int script_vm_make(struct script_vm *s, const char *script, unsigned cpus, struct err *e)
{
	struct vm_options o = {.name = "script",
			       .arch = &arch_x86,
			       .accel = &accel_script,
			       .n_vcpus = cpus,
			       .accel_arg = script};
	struct ram *ram;
	int rc;

	*s = (struct script_vm){.code = -1};
	o.loop = s->loop = loop_new(e);
	if (!s->loop)
		return e->code;
	rc = vm_new(&o, &s->vm, e);
	if (rc) {
		loop_free(s->loop);
		return rc;
	}
	s->vm->on_request = script_vm_request;
	s->vm->on_request_arg = s;
	rc = ram_new(s->vm, "ram", MIB(1), RAM_ANON, &ram, e);
	if (!rc)
		rc = as_map_ram(&s->vm->mem, 0, ram, 0, MIB(1), e);
	if (!rc)
		rc = accel_script.irqchip_init(s->vm, IRQCHIP_USER, e);
	for (unsigned i = 0; i < ARRAY_LEN(placed) && !rc; i++)
		rc = script_vm_device(s, &placed[i], e);
	if (!rc)
		rc = vm_start_vcpus(s->vm, e);
	if (!rc)
		rc = vm_reset(s->vm, e);
	if (rc)
		script_vm_free(s);
	return rc;
}

/* Runs a script from its beginning to its end: its exit code, or -errno. */
static inline int script_vm_run(const char *script, struct err *e)
{
	struct script_vm s;
	int rc = script_vm_make(&s, script, 2, e);

	if (rc)
		return rc;
	vm_run(s.vm);
	loop_run(s.loop);
	script_vm_free(&s);
	return s.code;
}

#endif
