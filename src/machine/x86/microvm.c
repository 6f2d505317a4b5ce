/*
 * machine/x86/microvm.c - a small PC without firmware: CPUs, RAM, interrupt controllers, up to four
 * serial ports, RTC, ACPI power management, the keyboard controller's reset line and the debug
 * ports.  The kernel is entered directly.
 *
 *	0          low RAM (up to 3 GiB)      ports  0x60 0x64  i8042 (reset line, A20)
 *	3 GiB      PCI hole                          0x70       mc146818, IRQ 8
 *	0xfec00000 I/O APIC                          0x3f8 …    COM1-COM4, IRQ 4 3 4 3
 *	0xfee00000 local APICs                       0xe9       debug console
 *	0xfed00000 HPET, if asked for                0xf4       debug exit
 *	4 GiB      the rest of the RAM
 *	                                             0x600      ACPI PM block, SCI on IRQ 9
 *	                                             0xcf8      nothing, see add_absent
 *
 * The chips that KVM has in the kernel (PIC, PIT, I/O APIC, local APICs, port 0x61) are the
 * accelerator's, except if they are all in user space: then only the local APICs are.
 */
#include <errno.h>
#include <stdlib.h>

#include "arch/arch.h"
#include "arch/x86/defs.h"
#include "arch/x86/pm.h"
#include "base/sys.h"
#include "device/devices.h"
#include "machine/options.h"
#include "machine/parts.h"
#include "machine/x86/microvm.h"

#define PCI_ADDRESS_PORT 0xcf8

/* Below this not even the boot data fits. */
#define MEMORY_MIN MIB(1)
/* What the address space of an x86 CPU with 46 bits leaves for RAM. */
#define MEMORY_MAX (UINT64_C(1) << 45)

static void board_free(struct microvm *b)
{
	microvm_tables_exit(b);
	boot_image_close(b->image);
	for (unsigned i = 0; i < MACHINE_INITRDS; i++)
		boot_file_close(&b->initrd[i]);
	free(b);
}

static void board_exit(struct vm *vm)
{
	board_free(vm->board);
	vm->board = NULL;
}

static bool has_tables(const struct microvm *b)
{
	return b->image && b->image->format != BOOT_FORMAT_RAW;
}

static int board_reset(struct vm *vm, struct err *e)
{
	struct microvm *b = vm->board;
	int rc;

	if (!b->image)
		return 0;
	if (has_tables(b)) {
		for (unsigned i = 0; i < vm->n_vcpus; i++)
			boot_x86_firmware(vm->vcpus[i].state);
		rc = microvm_tables_load(b, &vm->mem, e);
		if (rc)
			return rc;
	}
	return boot_x86_load(&vm->mem, &b->params, vm->vcpus[0].state, e);
}

/* What only other machines have. */
static int refuse_foreign(const struct machine_config *c, struct err *e)
{
	const char *what = c->dtb ? "--dtb" : c->acpi ? "--acpi" : c->gic_version ? "--gic" : NULL;

	if (!what && c->accel->user_chips && c->irqchip == IRQCHIP_SPLIT) {
		err_set(e, -EINVAL,
			"--irqchip split is KVM's; under %s all chips are in user space",
			c->accel->name);
		return err_kind(e, ERR_USAGE);
	}
	if (!what)
		return 0;
	err_set(e, -EINVAL, "%s is for arm64 machines; microvm is an x86-64 one", what);
	return err_kind(e, ERR_USAGE);
}

/* Opens what is to be booted and plans the memory: all that can be refused without a VM. */
static int plan_boot(struct microvm *b, struct err *e)
{
	const struct machine_config *c = b->config;
	int rc = 0;

	memmap_init(&b->map, c->memory);
	if (c->raw)
		rc = boot_image_open_raw(c->raw, BOOT_X86,
					 c->raw_addr == MACHINE_RAW_ADDR ? BOOT_RAW_ADDR
									 : c->raw_addr,
					 &b->image, e);
	else if (c->kernel)
		rc = boot_image_open(c->kernel, BOOT_X86, &b->image, e);
	for (unsigned i = 0; i < c->n_initrds && !rc; i++)
		rc = boot_file_open(&b->initrd[i], c->initrd[i], e);
	if (rc || !b->image)
		return rc;
	b->params = (struct boot_x86_params){
		.image = b->image,
		.how = c->boot,
		.kaslr = c->kaslr,
		.cmdline = c->append,
		.initrd = b->initrd,
		.n_initrds = c->n_initrds,
		.map = &b->map,
	};
	if (has_tables(b))
		rc = microvm_tables_init(b, e);
	return rc ? rc : boot_x86_check(&b->params, e);
}

static int add_memory(struct vm *vm, const struct microvm *b, struct err *e)
{
	const struct memmap *m = &b->map;
	struct ram *ram;
	int rc = ram_new(vm, "ram", m->low + m->high, b->config->backing, &ram, e);

	if (!rc)
		rc = as_map_ram(&vm->mem, 0, ram, 0, m->low, e);
	if (!rc && m->high)
		rc = as_map_ram(&vm->mem, MEMMAP_HOLE_END, ram, m->low, m->high, e);
	return rc;
}

static int add_serials(struct vm *vm, const struct machine_config *c, struct err *e)
{
	int rc = 0;

	for (unsigned i = 0; i < MACHINE_SERIALS && !rc; i++) {
		struct machine_chip com = {
			.class = "ns16550", .base = microvm_com[i].port, .irq = microvm_com[i].irq};
		char id[16];

		if (!c->serial[i])
			continue;
		com.chardev = id;
		rc = machine_open_serial(vm, c, i, id, e);
		if (!rc)
			rc = machine_add_chip(vm, &com, NULL, e);
	}
	return rc;
}

/*
 * The machine has no PCI.  Kernels look for it all the same, with over a hundred writes of an
 * address to 0xcf8 and a read of 0xcfc after each [PCI 3.0 §3.2.2.3.2]: only the reads need an
 * exit.
 */
static int add_absent(struct vm *vm, struct err *e)
{
	return as_map_none(&vm->ports, PCI_ADDRESS_PORT, 4, "the absent PCI address register", e);
}

/* The chips of a PC that are nobody else's. */
static int add_chips(struct vm *vm, struct err *e)
{
	static const struct machine_chip chips[] = {
		{.class = "i8259", .irq = MACHINE_NO_IRQ},
		{.class = "ioapic", .irq = MACHINE_NO_IRQ},
		{.class = "i8254", .irq = 0},
	};
	int rc = 0;

	for (unsigned i = 0; i < ARRAY_LEN(chips) && !rc; i++)
		rc = machine_add_chip(vm, &chips[i], NULL, e);
	return rc;
}

/*
 * It can take the place of the 8254 and the RTC only where the 8254 is ours: else its legacy wires
 * lead nowhere, and it says so.
 */
static int add_hpet(struct vm *vm, const struct machine_config *c, struct err *e)
{
	static const unsigned pin[DEVICE_IRQ_MAX] = {0, 8, 20, 21};
	struct device *d;
	int rc = device_new(vm, device_class_find("hpet"), NULL, &d, e);

	for (unsigned i = machine_irqchip(c) == IRQCHIP_USER ? 0 : 2; i < ARRAY_LEN(pin) && !rc;
	     i++) {
		rc = device_wire(d, i, pin[i], e);
		if (rc)
			device_free(d);
	}
	return rc ? rc : device_init(d, e);
}

static int add_devices(struct vm *vm, struct microvm *b, struct err *e)
{
	const struct machine_config *c = b->config;
	const struct machine_chip chips[] = {
		{.class = "i8042", .irq = MACHINE_NO_IRQ},
		{.class = "mc146818", .irq = 8},
		{.class = "debug-exit", .irq = MACHINE_NO_IRQ},
		{.class = "debug-console",
		 .irq = MACHINE_NO_IRQ,
		 .chardev = c->serial[0] ? "serial0" : NULL},
	};
	const struct machine_chip pm = {.class = "acpi-pm", .irq = X86_PM_SCI_IRQ};
	int rc = add_serials(vm, c, e);

	if (!rc)
		rc = add_absent(vm, e);
	if (!rc && machine_irqchip(c) == IRQCHIP_USER)
		rc = add_chips(vm, e);
	if (!rc && c->hpet)
		rc = add_hpet(vm, c, e);
	for (unsigned i = 0; i < ARRAY_LEN(chips) && !rc; i++)
		rc = machine_add_chip(vm, &chips[i], NULL, e);
	if (!rc)
		rc = machine_add_chip(vm, &pm, &b->pm, e);
	return rc ? rc : machine_add_devices(vm, c, e);
}

/* RAM before the chips: a KVM memory slot that is set after them costs milliseconds. */
static int assemble(struct vm *vm, struct microvm *b, struct err *e)
{
	const struct machine_config *c = b->config;
	int rc = c->cpu_pin ? machine_pin_vcpus(vm, c->cpu_pin, e) : 0;

	if (!rc)
		rc = vm_start_threads(vm, e);
	if (!rc)
		rc = add_memory(vm, b, e);
	if (!rc)
		rc = vm->accel->irqchip_init(vm, machine_irqchip(c), e);
	if (!rc)
		rc = vm_start_vcpus(vm, e);
	if (!rc)
		rc = add_devices(vm, b, e);
	return rc ? rc : vm_prepare(vm, e);
}

static int microvm_build(const struct machine_config *c, struct loop *l, struct vm **out,
			 struct err *e)
{
	struct vm_options o = {.name = c->name,
			       .arch = &arch_x86,
			       .accel = c->accel,
			       .loop = l,
			       .n_vcpus = c->cpus,
			       .accel_arg = c->accel_arg,
			       .cpu_model = c->cpu_model};
	struct microvm *b;
	struct vm *vm = NULL;
	int rc = machine_check(c, &arch_x86, MEMORY_MIN, MEMORY_MAX, e);

	*out = NULL;
	if (rc)
		return rc;
	b = sys_alloc(sizeof(*b));
	if (!b)
		return err_nomem(e, sizeof(*b), "a machine");
	for (unsigned i = 0; i < MACHINE_INITRDS; i++)
		b->initrd[i].fd = -1;
	b->config = c;
	rc = refuse_foreign(c, e);
	if (!rc)
		rc = machine_topology(c, &b->topology, e);
	if (!rc)
		rc = plan_boot(b, e);
	if (!rc) {
		o.topology = b->topology;
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

static int microvm_power_button(struct vm *vm, struct err *e)
{
	struct microvm *b = vm->board;

	return device_command(b->pm, "power-button", e);
}

const struct machine_type machine_microvm = {
	.name = "microvm",
	.help = "a small PC without firmware; kernels are entered directly",
	.arch = &arch_x86,
	.build = microvm_build,
	.power_button = microvm_power_button,
};
