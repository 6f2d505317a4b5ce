/*
 * machine/arm64/virt.c - an arm64 machine with the memory map of QEMU's virt, so that stock
 *firmware and kernels feel at home: CPUs started by PSCI, GIC, a UART, a clock, a power key.
 *
 *	0x08000000  GIC distributor            0x09000000  PL011, SPI 1
 *	0x08010000  GICv2 CPU interface        0x09010000  PL031, SPI 2
 *	0x08080000  GICv3 ITS                  0x09030000  PL061, SPI 7; pin 3 is the power key
 *	0x080a0000  GICv3 redistributors       0x09100000  debug exit
 *	0x40000000  RAM                        0x4000000000  redistributors of vCPUs from 123 on
 *
 * GIC, timer and PMU are the accelerator's.  Whether the guest is told by device tree or by ACPI is
 * the user's choice; both are written from one description.
 */
#include <errno.h>
#include <stdlib.h>

#include "arch/arch.h"
#include "arch/arm64/config.h"
#include "arch/arm64/vcpu.h"
#include "base/str.h"
#include "base/sys.h"
#include "boot/arm64/load.h"
#include "device/primecell.h"
#include "machine/options.h"
#include "machine/parts.h"

#define RAM_BASE   GIB(1)
#define MEMORY_MIN MIB(16)
/* Redistributors of a large machine begin at 256 GiB. */
#define MEMORY_MAX (GIB(256) - RAM_BASE)

#define GICD	   0x08000000u
#define GICC	   0x08010000u
#define ITS	   0x08080000u
#define GICR	   0x080a0000u
#define GICR_VCPUS 123u
#define GICR_HIGH  GIB(256)
#define UART	   0x09000000u
#define UART_SPI   1u
#define RTC	   0x09010000u
#define RTC_SPI	   2u
#define GPIO	   0x09030000u
#define GPIO_SPI   7u
#define GPIO_POWER 3u
#define DEBUG_EXIT 0x09100000u
#define SPIS	   256u

struct virt {
	const struct machine_config *config;
	struct vm_topology topology;
	struct boot_image *image; /* NULL: nothing to boot (script accelerator) */
	struct boot_file initrd[MACHINE_INITRDS];
	struct fdt_blob dtb; /* the user's */
	struct arm64_config arch;
	struct arm64_made made;
	struct device *gpio;
	/* The description and what it points to. */
	struct arm64_board board;
	struct arm64_cpu *cpu;
	struct acpi_node_memory memory[MACHINE_NODES];
	uint64_t dimm[MACHINE_NODES];
	struct smbios_range range;
	struct smbios smbios;
	struct boot_arm64_params params;
};

static void board_free(struct virt *b)
{
	boot_image_close(b->image);
	for (unsigned i = 0; i < MACHINE_INITRDS; i++)
		boot_file_close(&b->initrd[i]);
	fdt_blob_exit(&b->dtb);
	free(b->cpu);
	free(b);
}

static void board_exit(struct vm *vm)
{
	board_free(vm->board);
	vm->board = NULL;
}

static bool is_raw(const struct virt *b)
{
	return b->image && b->image->format == BOOT_FORMAT_RAW;
}

static int board_reset(struct vm *vm, struct err *e)
{
	struct virt *b = vm->board;
	struct arm64_vcpu *boot = vm->vcpus[0].state;
	struct boot_arm64_entry entry;
	int rc;

	if (!b->image)
		return 0;
	if (is_raw(b)) {
		boot->pc = b->image->raw_addr;
		return boot_arm64_load_raw(&vm->mem, b->image, e);
	}
	b->board.clidr = b->made.clidr;
	rc = boot_arm64_load(&vm->mem, &b->params, &entry, e);
	if (rc)
		return rc;
	boot->pc = entry.pc;
	boot->x[0] = entry.dtb;
	return 0;
}

/* Where things are, for the accelerator. */
static void plan_arch(struct virt *b)
{
	const struct machine_config *c = b->config;

	b->arch = (struct arm64_config){
		.gic_version = c->gic_version,
		.n_spis = SPIS,
		.gicd = GICD,
		.gicc = GICC,
		.gicr = {{.base = GICR, .vcpus = MIN(c->cpus, GICR_VCPUS)}},
		.its = ITS,
		.made = &b->made,
	};
	if (c->cpus > GICR_VCPUS)
		b->arch.gicr[1] = (struct arm64_gicr_region){.base = GICR_HIGH,
							     .vcpus = c->cpus - GICR_VCPUS};
}

static bool shown_cpu(const struct machine_config *c)
{
	return c->cpu_model && strcmp(c->cpu_model, "host") != 0;
}

/* What only other machines have, and what this one has one of. */
static int refuse_foreign(const struct machine_config *c, struct err *e)
{
	const char *what = c->boot != BOOT_AUTO		  ? "--boot"
			   : c->kaslr			  ? "--kaslr"
			   : c->irqchip != IRQCHIP_KERNEL ? "--irqchip"
			   : shown_cpu(c)		  ? "--cpu"
			   : c->hpet			  ? "--hpet"
							  : NULL;

	if (what) {
		err_set(e, -EINVAL, "%s is for x86-64 machines; virt is an arm64 one", what);
		return err_kind(e, ERR_USAGE);
	}
	for (unsigned i = 1; i < MACHINE_SERIALS; i++)
		if (c->serial[i]) {
			err_set(e, -EINVAL, "--serial %s: the virt machine has one serial port",
				c->serial[i]);
			return err_kind(e, ERR_USAGE);
		}
	if (c->acpi && c->dtb) {
		err_set(e, -EINVAL, "--acpi and --dtb exclude each other");
		return err_kind(e, ERR_USAGE);
	}
	return 0;
}

static int plan_raw(struct virt *b, struct err *e)
{
	const struct machine_config *c = b->config;
	gpa_t at = c->raw_addr == MACHINE_RAW_ADDR ? RAM_BASE + BOOT_ARM64_RAW_ADDR : c->raw_addr;
	int rc = boot_image_open_raw(c->raw, BOOT_ARM64, at, &b->image, e);

	return rc ? rc : boot_arm64_check_raw(b->image, RAM_BASE, c->memory, e);
}

static int plan_boot(struct virt *b, struct err *e)
{
	const struct machine_config *c = b->config;
	int rc = 0;

	if (c->raw)
		rc = plan_raw(b, e);
	else if (c->kernel)
		rc = boot_image_open(c->kernel, BOOT_ARM64, &b->image, e);
	for (unsigned i = 0; i < c->n_initrds && !rc; i++)
		rc = boot_file_open(&b->initrd[i], c->initrd[i], e);
	if (!rc && c->dtb)
		rc = fdt_open(c->dtb, &b->dtb, e);
	return rc;
}

static void describe_gic(struct virt *b)
{
	struct arm64_gic *g = &b->board.gic;

	g->version = b->made.gic_version;
	g->dist = GICD;
	if (g->version == 2) {
		g->cpu = GICC;
		return;
	}
	for (unsigned i = 0; i < ARM64_GICR_REGIONS && b->arch.gicr[i].vcpus; i++)
		g->redist[g->n_redists++] = (struct arm64_range){
			b->arch.gicr[i].base, (uint64_t)b->arch.gicr[i].vcpus * ARM64_GICR_STRIDE};
	g->its = b->made.its ? ITS : 0;
}

/* What the guest is told; after the accelerator has said what it made. */
static int describe(struct virt *b, struct err *e)
{
	const struct machine_config *c = b->config;
	const struct machine_ram ram = {RAM_BASE, c->memory};

	b->cpu = sys_alloc_array(c->cpus, sizeof(*b->cpu));
	if (!b->cpu)
		return err_nomem(e, c->cpus * sizeof(*b->cpu), "the description of the CPUs");
	for (unsigned i = 0; i < c->cpus; i++)
		b->cpu[i] = (struct arm64_cpu){.mpidr = arm64_mpidr(i) & ARM64_MPIDR_MASK,
					       .node = machine_node_of_cpu(c, i)};
	b->board = (struct arm64_board){
		.oem_table = "VIRT",
		.hypervisor = "LODGE",
		.cpu = b->cpu,
		.n_cpus = c->cpus,
		.sockets = b->topology.sockets,
		.cores = b->topology.cores,
		.threads = b->topology.threads,
		.memory = b->memory,
		.n_memory = machine_node_memory(c, &ram, 1, b->memory, b->dimm),
		.n_nodes = c->numa_nodes > 1 ? c->numa_nodes : 0,
		.timer = {.secure = ARM64_PPI_TIMER_SEC,
			  .nonsecure = ARM64_PPI_TIMER_NSEC,
			  .virt = ARM64_PPI_TIMER_VIRT,
			  .hyp = ARM64_PPI_TIMER_HYP},
		.pmu_ppi = b->made.pmu ? ARM64_PPI_PMU : 0,
		.uart = {c->serial[0] ? UART : 0, UART_SPI, PRIMECELL_PL011},
		.rtc = {RTC, RTC_SPI, PRIMECELL_PL031},
		.gpio = {GPIO, GPIO_SPI, PRIMECELL_PL061},
		.power_pin = GPIO_POWER,
	};
	describe_gic(b);
	b->range = (struct smbios_range){RAM_BASE, c->memory};
	b->smbios = (struct smbios){.sockets = b->topology.sockets,
				    .cores = b->topology.cores,
				    .threads = b->topology.threads,
				    .dimm = b->dimm,
				    .n_dimms = machine_nodes(c),
				    .range = &b->range,
				    .n_ranges = 1};
	b->params = (struct boot_arm64_params){.image = b->image,
					       .cmdline = c->append,
					       .initrd = b->initrd,
					       .n_initrds = c->n_initrds,
					       .board = &b->board,
					       .dtb = c->dtb ? &b->dtb : NULL,
					       .acpi = c->acpi,
					       .smbios = c->acpi ? &b->smbios : NULL};
	return boot_arm64_check(&b->params, e);
}

static int check_space(const struct virt *b, struct err *e)
{
	char is[32];

	if (!b->made.ipa_bits || RAM_BASE + b->config->memory <= UINT64_C(1) << b->made.ipa_bits)
		return 0;
	err_set(e, -E2BIG,
		"--memory %s: guest-physical addresses have %u bits on this host, and RAM starts "
		"at 1 GiB",
		str_size(b->config->memory, is, sizeof(is)), b->made.ipa_bits);
	return err_kind(e, ERR_HOST);
}

static int add_memory(struct vm *vm, const struct virt *b, struct err *e)
{
	uint64_t bytes = ALIGN_DOWN(b->config->memory, UINT64_C(65536)); /* pages of any host */
	struct ram *ram;
	int rc = ram_new(vm, "ram", bytes, b->config->backing, &ram, e);

	return rc ? rc : as_map_ram(&vm->mem, RAM_BASE, ram, 0, bytes, e);
}

static int add_devices(struct vm *vm, struct virt *b, struct err *e)
{
	const struct machine_config *c = b->config;
	struct machine_chip uart = {.class = "pl011", .base = UART, .irq = UART_SPI};
	const struct machine_chip rtc = {.class = "pl031", .base = RTC, .irq = RTC_SPI};
	const struct machine_chip gpio = {.class = "pl061", .base = GPIO, .irq = GPIO_SPI};
	const struct machine_chip off = {
		.class = "debug-exit-mmio", .base = DEBUG_EXIT, .irq = MACHINE_NO_IRQ};
	char id[16];
	int rc = 0;

	if (c->serial[0]) {
		uart.chardev = id;
		rc = machine_open_serial(vm, c, 0, id, e);
		if (!rc)
			rc = machine_add_chip(vm, &uart, NULL, e);
	}
	if (!rc)
		rc = machine_add_chip(vm, &rtc, NULL, e);
	if (!rc)
		rc = machine_add_chip(vm, &gpio, &b->gpio, e);
	if (!rc)
		rc = machine_add_chip(vm, &off, NULL, e);
	return rc ? rc : machine_add_devices(vm, c, e);
}

static int assemble(struct vm *vm, struct virt *b, struct err *e)
{
	int rc = check_space(b, e);

	if (!rc && b->image && !is_raw(b))
		rc = describe(b, e);
	if (!rc)
		rc = add_memory(vm, b, e);
	if (!rc)
		rc = vm->accel->irqchip_init(vm, b->config->irqchip, e);
	if (!rc && b->config->cpu_pin)
		rc = machine_pin_vcpus(vm, b->config->cpu_pin, e);
	if (!rc)
		rc = vm_start_vcpus(vm, e);
	if (!rc)
		rc = add_devices(vm, b, e);
	return rc ? rc : vm_prepare(vm, e);
}

static int virt_build(const struct machine_config *c, struct loop *l, struct vm **out,
		      struct err *e)
{
	struct vm_options o = {.name = c->name,
			       .arch = &arch_arm64,
			       .accel = c->accel,
			       .loop = l,
			       .n_vcpus = c->cpus,
			       .accel_arg = c->accel_arg};
	struct vm *vm = NULL;
	struct virt *b;
	int rc = machine_check(c, &arch_arm64, MEMORY_MIN, MEMORY_MAX, e);

	*out = NULL;
	if (rc)
		return rc;
	b = sys_alloc(sizeof(*b));
	if (!b)
		return err_nomem(e, sizeof(*b), "a machine");
	for (unsigned i = 0; i < MACHINE_INITRDS; i++)
		b->initrd[i].fd = -1;
	b->config = c;
	plan_arch(b);
	rc = refuse_foreign(c, e);
	if (!rc)
		rc = machine_topology(c, &b->topology, e);
	if (!rc)
		rc = plan_boot(b, e);
	if (!rc) {
		o.topology = b->topology;
		o.arch_config = &b->arch;
		rc = vm_new(&o, &vm, e);
	}
	if (rc) {
		board_free(b);
		return rc;
	}
	vm->board = b;
	vm->board_reset = board_reset;
	vm->board_exit = board_exit;
	rc = assemble(vm, b, e);
	if (rc) {
		vm_free(vm);
		return rc;
	}
	*out = vm;
	return 0;
}

static int virt_power_button(struct vm *vm, struct err *e)
{
	struct virt *b = vm->board;

	return device_command(b->gpio, "power-button", e);
}

const struct machine_type machine_virt = {
	.name = "virt",
	.help = "an arm64 machine with the memory map of QEMU's virt",
	.arch = &arch_arm64,
	.build = virt_build,
	.power_button = virt_power_button,
};
