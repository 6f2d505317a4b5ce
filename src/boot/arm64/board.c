/*
 * boot/arm64/board.c - what cannot be described.
 */
#include "boot/arm64/board.h"

#include <errno.h>

static int check_cpus(const struct arm64_board *b, struct err *e)
{
	uint64_t n = (uint64_t)b->sockets * b->cores * b->threads;

	if (!b->n_cpus || b->n_cpus > ARM64_BOARD_CPUS_MAX)
		return err_set(e, -EINVAL, "%u CPUs (1 to %u can be described)", b->n_cpus,
			       ARM64_BOARD_CPUS_MAX);
	if ((b->sockets || b->cores || b->threads) && n != b->n_cpus)
		return err_set(e, -EINVAL, "%u sockets of %u cores of %u threads are not %u CPUs",
			       b->sockets, b->cores, b->threads, b->n_cpus);
	for (unsigned i = 0; i < b->n_cpus; i++) {
		if (b->cpu[i].mpidr & ~ARM64_MPIDR_MASK)
			return err_set(e, -EINVAL, "CPU %u: %#llx is not an affinity", i,
				       (unsigned long long)b->cpu[i].mpidr);
		if (b->n_nodes && b->cpu[i].node >= b->n_nodes)
			return err_set(e, -EINVAL, "CPU %u: there is no NUMA node %u", i,
				       b->cpu[i].node);
		for (unsigned j = 0; j < i; j++)
			if (b->cpu[i].mpidr == b->cpu[j].mpidr)
				return err_set(e, -EINVAL, "CPUs %u and %u have the same affinity",
					       j, i);
	}
	return 0;
}

static int check_memory(const struct arm64_board *b, struct err *e)
{
	uint64_t end = 0;

	if (!b->n_memory || b->n_memory > ARM64_BOARD_MEMORY_MAX)
		return err_set(e, -EINVAL, "%u ranges of memory (1 to %u can be described)",
			       b->n_memory, ARM64_BOARD_MEMORY_MAX);
	for (unsigned i = 0; i < b->n_memory; i++) {
		const struct acpi_node_memory *m = &b->memory[i];

		if (!m->len || m->base < end || (m->base | m->len) % KIB(4) ||
		    ADD_OVERFLOWS(m->base, m->len, &end))
			return err_set(e, -EINVAL,
				       "memory %u: %#llx bytes at %#llx overlap, wrap, are none or "
				       "no pages",
				       i, (unsigned long long)m->len, (unsigned long long)m->base);
	}
	return 0;
}

static int check_gic(const struct arm64_gic *g, unsigned cpus, struct err *e)
{
	uint64_t room = 0, end;

	if ((g->version != 2 && g->version != 3) || !g->dist)
		return err_set(e, -EINVAL, "GIC version %u (2 or 3 can be described)", g->version);
	if (g->version == 2)
		return g->cpu && cpus <= 8 ? 0
					   : err_set(e, -EINVAL,
						     "a GICv2 has a CPU interface and at "
						     "most 8 CPUs, not %u",
						     cpus);
	if (g->n_redists > ARM64_BOARD_REDISTS_MAX)
		return err_set(e, -EINVAL, "%u redistributor regions (at most %u can be described)",
			       g->n_redists, ARM64_BOARD_REDISTS_MAX);
	for (unsigned i = 0; i < g->n_redists; i++) {
		const struct arm64_range *r = &g->redist[i];

		if (!r->len || r->len % ARM64_GICR_LEN || r->len > UINT32_MAX ||
		    ADD_OVERFLOWS(r->base, r->len, &end))
			return err_set(e, -EINVAL, "redistributor region %u: %#llx bytes at %#llx",
				       i, (unsigned long long)r->len, (unsigned long long)r->base);
		room += r->len / ARM64_GICR_LEN;
	}
	if (room < cpus)
		return err_set(e, -EINVAL, "redistributors for %llu CPUs, there are %u",
			       (unsigned long long)room, cpus);
	return 0;
}

static int check_chip(const char *what, const struct arm64_chip *c, struct err *e)
{
	if (c->base && (c->spi >= ARM64_SPIS || c->base % ARM64_CHIP_LEN))
		return err_set(e, -EINVAL, "%s: SPI %u or address %#llx does not exist", what,
			       c->spi, (unsigned long long)c->base);
	return 0;
}

static int check_devices(const struct arm64_board *b, struct err *e)
{
	uint64_t end;

	if (b->n_devices > ARM64_BOARD_DEVICES_MAX)
		return err_set(e, -EINVAL, "%u devices (at most %u can be described)", b->n_devices,
			       ARM64_BOARD_DEVICES_MAX);
	for (unsigned i = 0; i < b->n_devices; i++) {
		const struct arm64_device *d = &b->device[i];

		if (!d->len || ADD_OVERFLOWS(d->base, d->len, &end) ||
		    (!d->no_irq && d->spi >= ARM64_SPIS))
			return err_set(e, -EINVAL,
				       "%s: %#llx bytes at %#llx, or SPI %u, do not exist", d->name,
				       (unsigned long long)d->len, (unsigned long long)d->base,
				       d->spi);
	}
	return 0;
}

static int check_ppis(const struct arm64_board *b, struct err *e)
{
	const uint8_t ppi[] = {b->timer.secure, b->timer.nonsecure, b->timer.virt, b->timer.hyp,
			       b->pmu_ppi};

	for (unsigned i = 0; i < ARRAY_LEN(ppi); i++)
		if (ppi[i] >= ARM64_PPIS)
			return err_set(e, -EINVAL, "there is no PPI %u", ppi[i]);
	return 0;
}

static int check_pci(const struct arm64_board *b, struct err *e)
{
	for (unsigned i = 0; i < 4; i++)
		if (b->pci->intx_gsi[i] < ARM64_SPI_BASE ||
		    b->pci->intx_gsi[i] >= ARM64_SPI_BASE + ARM64_SPIS)
			return err_set(e, -EINVAL, "PCI: interrupt %u is no SPI",
				       b->pci->intx_gsi[i]);
	return acpi_pci_check(b->pci, e);
}

int arm64_board_check(const struct arm64_board *b, struct err *e)
{
	struct acpi_numa numa = {b->n_nodes, b->memory, b->n_memory, b->distance};
	int r = check_cpus(b, e);

	if (!r)
		r = check_memory(b, e);
	if (!r)
		r = acpi_numa_check(&numa, e);
	if (!r)
		r = check_gic(&b->gic, b->n_cpus, e);
	if (!r)
		r = check_ppis(b, e);
	if (!r)
		r = check_chip("UART", &b->uart, e);
	if (!r)
		r = check_chip("RTC", &b->rtc, e);
	if (!r)
		r = check_chip("GPIO", &b->gpio, e);
	if (!r && b->power_pin >= 8)
		r = err_set(e, -EINVAL, "GPIO: there is no pin %u", b->power_pin);
	if (!r)
		r = check_devices(b, e);
	if (!r && b->pci)
		r = check_pci(b, e);
	return r ? err_prefix(e, "the machine cannot be described") : 0;
}
