/*
 * machine/parts.h - what boards of every architecture do in the same way: chips, serial ports,
 * NUMA.
 */
#ifndef LODGE_MACHINE_PARTS_H
#define LODGE_MACHINE_PARTS_H

#include "boot/acpi/numa.h"
#include "machine/machine.h"

#define MACHINE_NO_IRQ UINT32_MAX

/* A chip of the board: it must be in devices.def. */
struct machine_chip {
	const char *class;
	const char *id;	     /* NULL: made from the class */
	uint64_t base;	     /* of window 0; 0: where the class says */
	uint32_t irq;	     /* GSI of wire 0, or MACHINE_NO_IRQ */
	const char *chardev; /* name of the back end for its "chardev" property, or NULL */
};

/* Makes, wires and starts it.  @out may be NULL; the VM owns the device. */
int machine_add_chip(struct vm *vm, const struct machine_chip *chip, struct device **out,
		     struct err *e) MUST_CHECK;

/*
 * Opens the character device of serial port @i of @c as the VM's back end "serial<i>", which is
 * written into @id.
 */
int machine_open_serial(struct vm *vm, const struct machine_config *c, unsigned i, char id[16],
			struct err *e) MUST_CHECK;

/* The devices of --device. */
int machine_add_devices(struct vm *vm, const struct machine_config *c, struct err *e) MUST_CHECK;

/* Checks what every board checks: number of CPUs, memory within [min, max], NUMA nodes. */
int machine_check(const struct machine_config *c, const struct arch *arch, uint64_t min,
		  uint64_t max, struct err *e) MUST_CHECK;

/* How many nodes there are: 1 without --numa. */
unsigned machine_nodes(const struct machine_config *c);
/* vCPUs are dealt out evenly; what is left over goes to the last node. */
unsigned machine_node_of_cpu(const struct machine_config *c, unsigned cpu);

/* RAM, in guest-physical order; a range may end in the middle of a node, and a node in a range. */
struct machine_ram {
	gpa_t base;
	uint64_t len;
};

/*
 * Deals the RAM out to the nodes: @out gets at most @n_ram + nodes - 1 ranges, @dimm[] (if not
 * NULL) the bytes of each node.  Returns the number of ranges.
 */
unsigned machine_node_memory(const struct machine_config *c, const struct machine_ram *ram,
			     unsigned n_ram, struct acpi_node_memory *out, uint64_t *dimm);

/* Where the interrupt chips are: as configured, unless the accelerator leaves no choice. */
enum irqchip_mode machine_irqchip(const struct machine_config *c);

#endif
