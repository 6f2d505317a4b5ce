/*
 * machine/x86/tables.c - describes the microvm board to its guest: ACPI and SMBIOS.
 */
#include <errno.h>
#include <stdlib.h>

#include "arch/x86/cpuid.h"
#include "arch/x86/defs.h"
#include "base/sys.h"
#include "machine/parts.h"
#include "machine/x86/microvm.h"

const struct acpi_serial microvm_com[MACHINE_SERIALS] = {
	{0x3f8, 4}, {0x2f8, 3}, {0x3e8, 4}, {0x2e8, 3}};

static int acpi_init(struct microvm *b, const struct acpi_node_memory *mem, unsigned n_mem,
		     struct err *e)
{
	static const struct acpi_ioapic ioapic = {.id = 0, .addr = X86_IOAPIC_ADDR};
	const struct machine_config *c = b->config;
	struct acpi_serial serial[MACHINE_SERIALS];
	struct acpi_cpu *cpu = sys_alloc_array(c->cpus, sizeof(*cpu));
	struct acpi_x86 d = {
		.oem_table = "MICROVM",
		.hypervisor = "LODGE",
		.cpu = cpu,
		.n_cpus = c->cpus,
		.ioapic = &ioapic,
		.n_ioapics = 1,
		.pic = c->irqchip != IRQCHIP_SPLIT,
		/* ISA interrupt 0 is I/O APIC pin 0, as KVM wires it: no override but the SCI's. */
		.rtc = true,
		.hpet = c->hpet ? X86_HPET_ADDR : 0,
		.hpet_id = c->hpet ? X86_HPET_ID(machine_irqchip(c) == IRQCHIP_USER) : 0,
		.serial = serial,
		.n_nodes = c->numa_nodes > 1 ? c->numa_nodes : 0,
		.memory = mem,
		.n_memory = c->numa_nodes > 1 ? n_mem : 0,
	};
	size_t len;
	gpa_t base;
	int rc;

	if (!cpu)
		return err_nomem(e, c->cpus * sizeof(*cpu), "ACPI tables");
	for (unsigned i = 0; i < c->cpus; i++)
		cpu[i] = (struct acpi_cpu){.apic_id = x86_apic_id(&b->topology, i),
					   .node = d.n_nodes ? machine_node_of_cpu(c, i) : 0};
	for (unsigned i = 0; i < MACHINE_SERIALS; i++)
		if (c->serial[i])
			serial[d.n_serials++] = microvm_com[i];
	/* The size does not depend on the address: build for it, place it, build it there. */
	rc = acpi_x86_build(&d, GUEST_PAGE, &b->acpi, e);
	if (rc)
		goto out;
	len = b->acpi.tables.len;
	acpi_image_exit(&b->acpi);
	base = memmap_alloc_top(&b->map, len, GUEST_PAGE, MEMMAP_ACPI);
	b->params.rsdp = memmap_alloc_bios(&b->map, ACPI_RSDP_LEN, 16, MEMMAP_BIOS);
	if (!base || !b->params.rsdp)
		rc = err_set(e, -ENOSPC, "there is no room for %zu bytes of ACPI tables", len);
	else
		rc = acpi_x86_build(&d, base, &b->acpi, e);
out:
	free(cpu);
	return rc;
}

static int smbios_init(struct microvm *b, const struct acpi_node_memory *mem, unsigned n_mem,
		       const uint64_t *dimm, struct err *e)
{
	struct smbios_range range[MACHINE_NODES + 1];
	struct smbios d = {
		.sockets = b->topology.sockets,
		.cores = b->topology.cores,
		.threads = b->topology.threads,
		.dimm = dimm,
		.n_dimms = machine_nodes(b->config),
		.n_ranges = n_mem,
	};
	size_t len;
	int rc;

	for (unsigned i = 0; i < n_mem; i++)
		range[i] = (struct smbios_range){mem[i].base, mem[i].len};
	d.range = range;
	/* As for ACPI; anchors are looked for from 0xf0000 on [DSP0134 §5.2.2]. */
	rc = smbios_build(&d, GUEST_PAGE, &b->smbios, e);
	if (rc)
		return rc;
	len = b->smbios.table.len;
	smbios_image_exit(&b->smbios);
	b->smbios_entry = memmap_alloc_bios(&b->map, SMBIOS_ENTRY_LEN, 16, 0xf0000);
	b->smbios_table = memmap_alloc_top(&b->map, len, GUEST_PAGE, MEMMAP_RESERVED);
	if (!b->smbios_entry || !b->smbios_table)
		return err_set(e, -ENOSPC, "there is no room for %zu bytes of SMBIOS tables", len);
	return smbios_build(&d, b->smbios_table, &b->smbios, e);
}

int microvm_tables_init(struct microvm *b, struct err *e)
{
	const struct machine_ram ram[] = {{0, b->map.low}, {MEMMAP_HOLE_END, b->map.high}};
	struct acpi_node_memory mem[MACHINE_NODES + 1];
	uint64_t dimm[MACHINE_NODES];
	unsigned n = machine_node_memory(b->config, ram, ARRAY_LEN(ram), mem, dimm);
	int rc = acpi_init(b, mem, n, e);

	return rc ? rc : smbios_init(b, mem, n, dimm, e);
}

void microvm_tables_exit(struct microvm *b)
{
	acpi_image_exit(&b->acpi);
	smbios_image_exit(&b->smbios);
}

int microvm_tables_load(const struct microvm *b, struct as *mem, struct err *e)
{
	if (as_load(mem, b->acpi.base, b->acpi.tables.s, b->acpi.tables.len) == IO_OK &&
	    as_load(mem, b->params.rsdp, b->acpi.rsdp, ACPI_RSDP_LEN) == IO_OK &&
	    as_load(mem, b->smbios_table, b->smbios.table.s, b->smbios.table.len) == IO_OK &&
	    as_load(mem, b->smbios_entry, b->smbios.entry, SMBIOS_ENTRY_LEN) == IO_OK)
		return 0;
	return err_set(e, -EFAULT, "the firmware tables lie outside the guest's memory");
}
