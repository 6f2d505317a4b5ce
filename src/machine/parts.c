/*
 * machine/parts.c - what boards of every architecture do in the same way.
 */
#include "machine/parts.h"

#include <errno.h>
#include <stdio.h>

#include "arch/arch.h"
#include "base/str.h"
#include "chardev/chardev.h"
#include "device/devices.h"
#include "machine/options.h"

int machine_add_chip(struct vm *vm, const struct machine_chip *chip, struct device **out,
		     struct err *e)
{
	const struct device_class *class = device_class_find(chip->class);
	struct device *d;
	int rc;

	BUG_ON(!class); /* a board's own list against devices.def */
	rc = device_new(vm, class, chip->id, &d, e);
	if (rc)
		return rc;
	if (chip->base)
		device_place(d, 0, chip->base);
	if (chip->irq != MACHINE_NO_IRQ)
		rc = device_wire(d, 0, chip->irq, e);
	if (!rc && chip->chardev)
		rc = device_set(d, "chardev", chip->chardev, e);
	if (rc) {
		device_free(d);
		return rc;
	}
	rc = device_init(d, e);
	if (!rc && out)
		*out = d;
	return rc;
}

int machine_open_serial(struct vm *vm, const struct machine_config *c, unsigned i, char id[16],
			struct err *e)
{
	struct chardev *chr;
	int rc;

	snprintf(id, 16, "serial%u", i);
	rc = chardev_open(c->serial[i], vm->loop, &chr, e);
	if (rc)
		return err_prefix(e, "--serial %s", c->serial[i]);
	rc = vm_add_backend(vm, "chardev", id, chr, chardev_free, e);
	if (rc)
		chardev_free(chr);
	return rc;
}

int machine_add_devices(struct vm *vm, const struct machine_config *c, struct err *e)
{
	int rc = 0;

	for (unsigned i = 0; i < c->n_devices && !rc; i++)
		rc = machine_add_device(vm, c->device[i], e);
	return rc;
}

int machine_check(const struct machine_config *c, const struct arch *arch, uint64_t min,
		  uint64_t max, struct err *e)
{
	char is[32], limit[32];
	const struct arch *host = arch_host();

	if (!c->accel->manual_clock && arch != host) {
		err_set(e, -ENOTSUP,
			"the %s machine runs %s guests, and %s runs those of the host only (%s)",
			c->machine, arch->long_name, c->accel->name,
			host ? host->long_name : "an architecture that Lodge does not know");
		return err_kind(e, ERR_HOST);
	}
	if (!c->cpus || c->cpus > arch->max_vcpus) {
		err_set(e, -EINVAL, "--cpus %u: a VM has 1 to %u CPUs", c->cpus, arch->max_vcpus);
		return err_kind(e, ERR_USAGE);
	}
	if (c->memory < min || c->memory > max) {
		bool small = c->memory < min;

		err_set(e, -EINVAL, "--memory %s: this machine takes %s %s",
			str_size(c->memory, is, sizeof(is)), small ? "at least" : "at most",
			str_size(small ? min : max, limit, sizeof(limit)));
		return err_kind(e, ERR_USAGE);
	}
	if (c->numa_nodes > MACHINE_NODES || (c->numa_nodes > 1 && c->numa_nodes > c->cpus)) {
		err_set(e, -EINVAL, "--numa %u: a VM with %u CPUs has at most %u nodes",
			c->numa_nodes, c->cpus, MIN(c->cpus, MACHINE_NODES));
		return err_kind(e, ERR_USAGE);
	}
	return 0;
}

unsigned machine_nodes(const struct machine_config *c)
{
	return MAX(c->numa_nodes, 1u);
}

unsigned machine_node_of_cpu(const struct machine_config *c, unsigned cpu)
{
	unsigned nodes = machine_nodes(c), each = c->cpus / nodes;

	return each ? MIN(cpu / each, nodes - 1) : cpu % nodes;
}

unsigned machine_node_memory(const struct machine_config *c, const struct machine_ram *ram,
			     unsigned n_ram, struct acpi_node_memory *out, uint64_t *dimm)
{
	unsigned nodes = machine_nodes(c), node = 0, n = 0;
	uint64_t total = 0, each, left;

	for (unsigned i = 0; i < n_ram; i++)
		total += ram[i].len;
	each = ALIGN_DOWN(total / nodes, MIB(2));
	left = nodes == 1 ? total : each; /* what the current node still gets */
	for (unsigned i = 0; dimm && i < nodes; i++)
		dimm[i] = i == nodes - 1 ? total - each * (nodes - 1) : each;
	for (unsigned i = 0; i < n_ram; i++)
		for (uint64_t at = 0; at < ram[i].len;) {
			uint64_t len =
				node == nodes - 1 ? ram[i].len - at : MIN(left, ram[i].len - at);

			if (len)
				out[n++] = (struct acpi_node_memory){
					.base = ram[i].base + at, .len = len, .node = node};
			at += len;
			left -= MIN(left, len);
			if (!left && node < nodes - 1) {
				node++;
				left = each;
			}
		}
	return n;
}

enum irqchip_mode machine_irqchip(const struct machine_config *c)
{
	return c->accel->user_chips ? IRQCHIP_USER : c->irqchip;
}
