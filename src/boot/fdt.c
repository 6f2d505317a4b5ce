/*
 * boot/fdt.c - the device tree of an arm64 machine, /chosen, and trees that the user gives.
 *
 * Bindings are those of Linux's Documentation/devicetree/bindings: arm/cpus.yaml, arm/psci.yaml,
 * arm/pmu.yaml, cpu/cpu-topology.txt, numa.txt, timer/arm,arch_timer.yaml,
 * interrupt-controller/arm,gic.yaml and arm,gic-v3.yaml, serial/pl011.yaml, rtc/arm,pl031.yaml,
 * gpio/pl061-gpio.yaml, input/gpio-keys.yaml, virtio/mmio.yaml, pci/host-generic-pci.yaml; /chosen
 * is that of dt-schema and of arm/uefi.rst.
 */
#include <errno.h>
#include <libfdt.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "boot/fdt_impl.h"

/* Handles of nodes that others refer to; CPU n is PHANDLE_CPU + n. */
#define PHANDLE_GIC   1u
#define PHANDLE_ITS   2u
#define PHANDLE_CLOCK 3u
#define PHANDLE_GPIO  4u
#define PHANDLE_CPU   0x100u

#define CLOCK_HZ       24000000u
#define IRQ_SPI	       0u
#define IRQ_PPI	       1u
#define IRQ_EDGE       1u /* rising */
#define IRQ_LEVEL      4u /* high */
#define GPIO_LEVEL_OK  0u /* active high */
#define KEY_POWER      116u
#define PCI_SPACE_IO   0x01000000u
#define PCI_SPACE_32   0x02000000u
#define PCI_SPACE_64   0x03000000u
#define PCI_INTX_SLOTS 4u

/* A constant list of strings with its length; the last NUL is the literal's own. */
#define STRINGS(s) s, sizeof(s)

void fdt_blob_exit(struct fdt_blob *b)
{
	free(b->data);
	*b = (struct fdt_blob){0};
}

static void put_reg(struct fdt_writer *w, uint64_t base, uint64_t len)
{
	fdt_cell64(w, base);
	fdt_cell64(w, len);
	fdt_put_list(w, "reg");
}

static void put_spi(struct fdt_writer *w, uint32_t spi, bool edge)
{
	fdt_cell(w, IRQ_SPI);
	fdt_cell(w, spi);
	fdt_cell(w, edge ? IRQ_EDGE : IRQ_LEVEL);
	fdt_put_list(w, "interrupts");
}

/* Up to GICv2, the flags of a PPI say which CPUs have it. */
static void cell_ppi(struct fdt_writer *w, const struct arm64_board *b, uint8_t ppi)
{
	uint32_t cpus = b->gic.version == 2 ? ((1u << b->n_cpus) - 1) << 8 : 0;

	fdt_cell(w, IRQ_PPI);
	fdt_cell(w, ppi);
	fdt_cell(w, cpus | IRQ_LEVEL);
}

static void add_cpu_map(struct fdt_writer *w, const struct arm64_board *b)
{
	unsigned threads = b->threads ? b->threads : 1, cores = b->cores ? b->cores : b->n_cpus;
	char name[24];

	fdt_open_node(w, "cpu-map");
	for (unsigned i = 0; i < b->n_cpus; i++) {
		unsigned core = i / threads % cores, thread = i % threads;

		if (core == 0 && thread == 0) {
			snprintf(name, sizeof(name), "socket%u", i / threads / cores);
			fdt_open_node(w, name);
			fdt_open_node(w, "cluster0");
		}
		if (thread == 0) {
			snprintf(name, sizeof(name), "core%u", core);
			fdt_open_node(w, name);
		}
		if (threads > 1) {
			snprintf(name, sizeof(name), "thread%u", thread);
			fdt_open_node(w, name);
		}
		fdt_put_u32(w, "cpu", PHANDLE_CPU + i);
		if (threads > 1)
			fdt_close_node(w);
		if (thread == threads - 1)
			fdt_close_node(w);
		if (thread == threads - 1 && core == cores - 1) {
			fdt_close_node(w);
			fdt_close_node(w);
		}
	}
	fdt_close_node(w);
}

/* One address cell is enough while Aff3 is 0. */
static void add_cpus(struct fdt_writer *w, const struct arm64_board *b)
{
	bool wide = false;

	for (unsigned i = 0; i < b->n_cpus; i++)
		wide |= b->cpu[i].mpidr > UINT32_MAX;
	fdt_open_node(w, "cpus");
	fdt_put_u32(w, "#address-cells", wide ? 2 : 1);
	fdt_put_u32(w, "#size-cells", 0);
	for (unsigned i = 0; i < b->n_cpus; i++) {
		fdt_open_node_at(w, "cpu", b->cpu[i].mpidr);
		fdt_put_string(w, "device_type", "cpu");
		fdt_put_string(w, "compatible", "arm,armv8");
		if (wide)
			fdt_put_u64(w, "reg", b->cpu[i].mpidr);
		else
			fdt_put_u32(w, "reg", (uint32_t)b->cpu[i].mpidr);
		fdt_put_string(w, "enable-method", "psci");
		if (b->n_nodes)
			fdt_put_u32(w, "numa-node-id", b->cpu[i].node);
		fdt_put_u32(w, "phandle", PHANDLE_CPU + i);
		fdt_close_node(w);
	}
	add_cpu_map(w, b);
	fdt_close_node(w);

	fdt_open_node(w, "psci");
	fdt_put_strings(w, "compatible", STRINGS("arm,psci-1.0\0arm,psci-0.2"));
	fdt_put_string(w, "method", "hvc");
	fdt_close_node(w);
}

static void add_memory(struct fdt_writer *w, const struct arm64_board *b)
{
	struct acpi_numa numa = {b->n_nodes, b->memory, b->n_memory, b->distance};

	for (unsigned i = 0; i < b->n_memory; i++) {
		fdt_open_node_at(w, "memory", b->memory[i].base);
		fdt_put_string(w, "device_type", "memory");
		put_reg(w, b->memory[i].base, b->memory[i].len);
		if (b->n_nodes)
			fdt_put_u32(w, "numa-node-id", b->memory[i].node);
		fdt_close_node(w);
	}
	if (!b->n_nodes)
		return;
	fdt_open_node(w, "distance-map");
	fdt_put_string(w, "compatible", "numa-distance-map-v1");
	for (unsigned i = 0; i < b->n_nodes; i++)
		for (unsigned j = 0; j < b->n_nodes; j++) {
			fdt_cell(w, i);
			fdt_cell(w, j);
			fdt_cell(w, acpi_numa_distance(&numa, i, j));
		}
	fdt_put_list(w, "distance-matrix");
	fdt_close_node(w);
}

static void add_gic(struct fdt_writer *w, const struct arm64_board *b)
{
	const struct arm64_gic *g = &b->gic;

	fdt_open_node_at(w, "intc", g->dist);
	fdt_put_string(w, "compatible", g->version == 2 ? "arm,cortex-a15-gic" : "arm,gic-v3");
	fdt_put_u32(w, "#interrupt-cells", 3);
	fdt_put_flag(w, "interrupt-controller");
	fdt_cell64(w, g->dist);
	fdt_cell64(w, ARM64_GICD_LEN);
	if (g->version == 2) {
		fdt_cell64(w, g->cpu);
		fdt_cell64(w, ARM64_GICC_LEN);
	}
	for (unsigned i = 0; g->version == 3 && i < g->n_redists; i++) {
		fdt_cell64(w, g->redist[i].base);
		fdt_cell64(w, g->redist[i].len);
	}
	fdt_put_list(w, "reg");
	if (g->version == 3)
		fdt_put_u32(w, "#redistributor-regions", g->n_redists);
	fdt_put_u32(w, "phandle", PHANDLE_GIC);
	fdt_put_u32(w, "#address-cells", 2);
	fdt_put_u32(w, "#size-cells", 2);
	fdt_put_flag(w, "ranges");
	if (g->version == 3 && g->its) {
		fdt_open_node_at(w, "its", g->its);
		fdt_put_string(w, "compatible", "arm,gic-v3-its");
		fdt_put_flag(w, "msi-controller");
		fdt_put_u32(w, "#msi-cells", 1);
		put_reg(w, g->its, ARM64_ITS_LEN);
		fdt_put_u32(w, "phandle", PHANDLE_ITS);
		fdt_close_node(w);
	}
	fdt_close_node(w);
}

/* The timer counts on while the CPU idles; nothing else has to wake it. */
static void add_timer(struct fdt_writer *w, const struct arm64_board *b)
{
	fdt_open_node(w, "timer");
	fdt_put_strings(w, "compatible", STRINGS("arm,armv8-timer\0arm,armv7-timer"));
	cell_ppi(w, b, b->timer.secure);
	cell_ppi(w, b, b->timer.nonsecure);
	cell_ppi(w, b, b->timer.virt);
	cell_ppi(w, b, b->timer.hyp);
	fdt_put_list(w, "interrupts");
	fdt_put_flag(w, "always-on");
	fdt_close_node(w);
	if (!b->pmu_ppi)
		return;
	fdt_open_node(w, "pmu");
	fdt_put_string(w, "compatible", "arm,armv8-pmuv3");
	cell_ppi(w, b, b->pmu_ppi);
	fdt_put_list(w, "interrupts");
	fdt_close_node(w);
}

/* A PrimeCell finds its driver by the identification registers; the first string is for humans. */
static void open_primecell(struct fdt_writer *w, const char *name, const char *compatible, size_t n,
			   const struct arm64_chip *c)
{
	fdt_open_node_at(w, name, c->base);
	fdt_put_strings(w, "compatible", compatible, n);
	put_reg(w, c->base, ARM64_CHIP_LEN);
	put_spi(w, c->spi, false);
	if (c->periph_id)
		fdt_put_u32(w, "arm,primecell-periphid", c->periph_id);
}

static void put_clocks(struct fdt_writer *w, const char *names, size_t n)
{
	for (size_t i = 0; i < n; i++)
		if (!names[i])
			fdt_cell(w, PHANDLE_CLOCK);
	fdt_put_list(w, "clocks");
	fdt_put_strings(w, "clock-names", names, n);
}

static void add_power_key(struct fdt_writer *w, const struct arm64_board *b)
{
	fdt_open_node(w, "gpio-keys");
	fdt_put_string(w, "compatible", "gpio-keys");
	fdt_open_node(w, "poweroff");
	fdt_put_string(w, "label", "GPIO Key Poweroff");
	fdt_put_u32(w, "linux,code", KEY_POWER);
	fdt_cell(w, PHANDLE_GPIO);
	fdt_cell(w, b->power_pin);
	fdt_cell(w, GPIO_LEVEL_OK);
	fdt_put_list(w, "gpios");
	fdt_close_node(w);
	fdt_close_node(w);
}

static void add_chips(struct fdt_writer *w, const struct arm64_board *b)
{
	fdt_open_node(w, "apb-pclk");
	fdt_put_string(w, "compatible", "fixed-clock");
	fdt_put_u32(w, "#clock-cells", 0);
	fdt_put_u32(w, "clock-frequency", CLOCK_HZ);
	fdt_put_string(w, "clock-output-names", "clk24mhz");
	fdt_put_u32(w, "phandle", PHANDLE_CLOCK);
	fdt_close_node(w);
	if (b->uart.base) {
		open_primecell(w, "pl011", STRINGS("arm,pl011\0arm,primecell"), &b->uart);
		put_clocks(w, STRINGS("uartclk\0apb_pclk"));
		fdt_close_node(w);
	}
	if (b->rtc.base) {
		open_primecell(w, "pl031", STRINGS("arm,pl031\0arm,primecell"), &b->rtc);
		put_clocks(w, STRINGS("apb_pclk"));
		fdt_close_node(w);
	}
	if (!b->gpio.base)
		return;
	open_primecell(w, "pl061", STRINGS("arm,pl061\0arm,primecell"), &b->gpio);
	put_clocks(w, STRINGS("apb_pclk"));
	fdt_put_flag(w, "gpio-controller");
	fdt_put_u32(w, "#gpio-cells", 2);
	fdt_put_flag(w, "interrupt-controller");
	fdt_put_u32(w, "#interrupt-cells", 2);
	fdt_put_u32(w, "#address-cells", 0);
	fdt_put_u32(w, "phandle", PHANDLE_GPIO);
	fdt_close_node(w);
	add_power_key(w, b);
}

static void add_devices(struct fdt_writer *w, const struct arm64_board *b)
{
	for (unsigned i = 0; i < b->n_devices; i++) {
		const struct arm64_device *d = &b->device[i];

		if (!d->compatible)
			continue;
		fdt_open_node_at(w, d->name, d->base);
		fdt_put_string(w, "compatible", d->compatible);
		put_reg(w, d->base, d->len);
		if (!d->no_irq)
			put_spi(w, d->spi, d->edge);
		fdt_put_flag(w, "dma-coherent");
		fdt_close_node(w);
	}
}

static void cell_window(struct fdt_writer *w, uint32_t space, uint64_t bus, uint64_t cpu,
			uint64_t len)
{
	fdt_cell(w, space);
	fdt_cell64(w, bus);
	fdt_cell64(w, cpu);
	fdt_cell64(w, len);
}

/* Wires of pins A to D, which rotate with the device's number: four devices show all of it. */
static void put_intx(struct fdt_writer *w, const struct acpi_pci *p)
{
	for (uint32_t slot = 0; slot < PCI_INTX_SLOTS; slot++)
		for (uint32_t pin = 0; pin < 4; pin++) {
			fdt_cell(w, slot << 11);
			fdt_cell64(w, 0);
			fdt_cell(w, pin + 1);
			fdt_cell(w, PHANDLE_GIC);
			fdt_cell64(w, 0); /* the GIC's own address cells */
			fdt_cell(w, IRQ_SPI);
			fdt_cell(w, p->intx_gsi[(slot + pin) % 4] - ARM64_SPI_BASE);
			fdt_cell(w, IRQ_LEVEL);
		}
	fdt_put_list(w, "interrupt-map");
	fdt_cell(w, (PCI_INTX_SLOTS - 1) << 11);
	fdt_cell64(w, 0);
	fdt_cell(w, 7);
	fdt_put_list(w, "interrupt-map-mask");
}

static void add_pci(struct fdt_writer *w, const struct arm64_board *b)
{
	const struct acpi_pci *p = b->pci;

	fdt_open_node_at(w, "pcie", p->ecam);
	fdt_put_string(w, "compatible", "pci-host-ecam-generic");
	fdt_put_string(w, "device_type", "pci");
	fdt_put_u32(w, "#address-cells", 3);
	fdt_put_u32(w, "#size-cells", 2);
	fdt_put_u32(w, "#interrupt-cells", 1);
	fdt_put_u32(w, "linux,pci-domain", 0);
	put_reg(w, p->ecam, MIB(p->last_bus + 1u));
	fdt_cell(w, 0);
	fdt_cell(w, p->last_bus);
	fdt_put_list(w, "bus-range");
	if (p->io_base)
		cell_window(w, PCI_SPACE_IO, 0, p->io_base, KIB(64));
	if (p->mem32_len)
		cell_window(w, PCI_SPACE_32, p->mem32, p->mem32, p->mem32_len);
	if (p->mem64_len)
		cell_window(w, PCI_SPACE_64, p->mem64, p->mem64, p->mem64_len);
	fdt_put_list(w, "ranges");
	put_intx(w, p);
	if (b->gic.version == 3 && b->gic.its) {
		fdt_cell(w, 0);
		fdt_cell(w, PHANDLE_ITS);
		fdt_cell(w, 0);
		fdt_cell(w, 0x10000);
		fdt_put_list(w, "msi-map");
	}
	fdt_put_flag(w, "dma-coherent");
	fdt_close_node(w);
}

static void put_chosen(struct fdt_writer *w, const struct fdt_chosen *c, const char *stdout_path)
{
	fdt_open_node(w, "chosen");
	fdt_put_string(w, "bootargs", c->cmdline ? c->cmdline : "");
	if (stdout_path)
		fdt_put_string(w, "stdout-path", stdout_path);
	if (c->initrd_len) {
		fdt_put_u64(w, "linux,initrd-start", c->initrd);
		fdt_put_u64(w, "linux,initrd-end", c->initrd + c->initrd_len);
	}
	if (c->kaslr_seed)
		fdt_put_u64(w, "kaslr-seed", c->kaslr_seed);
	if (c->rng_seed_len)
		fdt_put_bytes(w, "rng-seed", c->rng_seed, MIN(c->rng_seed_len, FDT_SEED_MAX));
	if (c->efi.mmap_len) {
		fdt_put_u64(w, "linux,uefi-system-table", c->efi.system_table);
		fdt_put_u64(w, "linux,uefi-mmap-start", c->efi.mmap);
		fdt_put_u32(w, "linux,uefi-mmap-size", c->efi.mmap_len);
		fdt_put_u32(w, "linux,uefi-mmap-desc-size", c->efi.desc_len);
		fdt_put_u32(w, "linux,uefi-mmap-desc-ver", c->efi.desc_version);
		fdt_put_u32(w, "linux,uefi-secure-boot", FDT_SECURE_BOOT_OFF);
	}
	fdt_close_node(w);
}

static void put_root(struct fdt_writer *w)
{
	fdt_put_u32(w, "#address-cells", 2);
	fdt_put_u32(w, "#size-cells", 2);
}

int fdt_build_arm64(const struct arm64_board *b, const struct fdt_chosen *c, struct fdt_blob *out,
		    struct err *e)
{
	char uart[FDT_NAME_LEN];
	struct fdt_writer w;
	int r = arm64_board_check(b, e);

	*out = (struct fdt_blob){0};
	if (!r)
		r = fdt_writer_begin(&w, e);
	if (r)
		return r;
	snprintf(uart, sizeof(uart), "/pl011@%llx", (unsigned long long)b->uart.base);
	fdt_open_node(&w, "");
	put_root(&w);
	fdt_put_string(&w, "compatible", "linux,dummy-virt");
	fdt_put_string(&w, "model", "linux,dummy-virt");
	fdt_put_u32(&w, "interrupt-parent", PHANDLE_GIC);
	fdt_put_flag(&w, "dma-coherent");
	put_chosen(&w, c, c->stdout_path ? c->stdout_path : b->uart.base ? uart : NULL);
	add_memory(&w, b);
	add_cpus(&w, b);
	add_gic(&w, b);
	add_timer(&w, b);
	add_chips(&w, b);
	add_devices(&w, b);
	if (b->pci)
		add_pci(&w, b);
	fdt_close_node(&w);
	return fdt_writer_finish(&w, out, e);
}

int fdt_build_chosen(const struct fdt_chosen *c, struct fdt_blob *out, struct err *e)
{
	struct fdt_writer w;
	int r = fdt_writer_begin(&w, e);

	*out = (struct fdt_blob){0};
	if (r)
		return r;
	fdt_open_node(&w, "");
	put_root(&w);
	put_chosen(&w, c, c->stdout_path);
	fdt_close_node(&w);
	return fdt_writer_finish(&w, out, e);
}
