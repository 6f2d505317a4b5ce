/*
 * tests/golden/acpi/configs.h - the machines whose tables are kept as goldens; the unit tests use
 * them too.
 */
#ifndef LODGE_TESTS_GOLDEN_ACPI_CONFIGS_H
#define LODGE_TESTS_GOLDEN_ACPI_CONFIGS_H

#include "boot/acpi/x86.h"

#define CONFIG_BASE 0xe0000ull

struct config {
	const char *name;
	const char *what;
	struct acpi_x86 d;
};

static const struct acpi_ioapic config_ioapic[] = {{.id = 0, .addr = 0xfec00000, .gsi_base = 0}};
static const struct acpi_serial config_serials[] = {
	{.port = 0x3f8, .irq = 4},
	{.port = 0x2f8, .irq = 3},
	{.port = 0x3e8, .irq = 4},
	{.port = 0x2e8, .irq = 3},
};
static const struct acpi_override config_timer[] = {{.irq = 0, .gsi = 2}};

static const struct acpi_cpu config_cpus[] = {
	{.apic_id = 0}, {.apic_id = 1}, {.apic_id = 2}, {.apic_id = 3}};
static const struct acpi_cpu config_numa_cpus[] = {{.apic_id = 0, .node = 0},
						   {.apic_id = 1, .node = 0},
						   {.apic_id = 2, .node = 1},
						   {.apic_id = 3, .node = 2}};
static const struct acpi_cpu config_x2apic_cpus[] = {{.apic_id = 0, .node = 0},
						     {.apic_id = 254, .node = 0},
						     {.apic_id = 255, .node = 1},
						     {.apic_id = 300, .node = 1}};

static const struct acpi_node_memory config_memory[] = {
	{.base = 0, .len = 0xa0000, .node = 0},
	{.base = 0x100000, .len = 0x3ff00000, .node = 0},
	{.base = 0x40000000, .len = 0x80000000, .node = 1},
	{.base = 0x100000000, .len = 0x40000000, .node = 2},
};
static const uint8_t config_distance[] = {10, 20, 40, 20, 10, 30, 40, 30, 10};

static const struct acpi_resource config_virtio0[] = {
	{.kind = ACPI_RESOURCE_MEMORY, .base = 0xd0000000, .len = 0x1000},
	{.kind = ACPI_RESOURCE_IRQ, .base = 16},
};
static const struct acpi_resource config_virtio1[] = {
	{.kind = ACPI_RESOURCE_MEMORY, .base = 0xd0001000, .len = 0x1000},
	{.kind = ACPI_RESOURCE_IRQ, .base = 17, .level = true, .shared = true},
};
static const struct acpi_resource config_high[] = {
	{.kind = ACPI_RESOURCE_MEMORY, .base = 0x800000000, .len = 0x200000},
	{.kind = ACPI_RESOURCE_IO, .base = 0x505, .len = 1},
};
static const struct acpi_device config_devices[] = {
	{.name = "VR00", .hid = "LNRO0005", .uid = 0, .resource = config_virtio0, .n_resources = 2},
	{.name = "VR01", .hid = "LNRO0005", .uid = 1, .resource = config_virtio1, .n_resources = 2},
	{.name = "PEVT",
	 .hid = "QEMU0001",
	 .cid = "PNP0C02",
	 .uid = 3,
	 .resource = config_high,
	 .n_resources = 2},
	{.name = "NONE", .hid = "PNP0C02", .uid = 4},
};

static const struct acpi_pci config_pci = {
	.ecam = 0xb0000000,
	.last_bus = 255,
	.io = true,
	.mem32 = 0xc0000000,
	.mem32_len = 0x3ec00000 - 0x02000000,
	.mem64 = 0x8000000000,
	.mem64_len = 0x8000000000,
	.intx_gsi = {16, 17, 18, 19},
};

static const struct config configs[] = {
	{"up",
	 "one CPU, one serial port, no 8259",
	 {.oem_table = "MICROVM",
	  .hypervisor = "LODGE",
	  .cpu = config_cpus,
	  .n_cpus = 1,
	  .ioapic = config_ioapic,
	  .n_ioapics = 1,
	  .rtc = true,
	  .serial = config_serials,
	  .n_serials = 1}},
	{"smp",
	 "four CPUs with processor objects, four serial ports, HPET, virtio-mmio and other devices",
	 {.oem_table = "MICROVM",
	  .hypervisor = "LODGE",
	  .cpu = config_cpus,
	  .n_cpus = 4,
	  .cpu_devices = true,
	  .ioapic = config_ioapic,
	  .n_ioapics = 1,
	  .pic = true,
	  .override = config_timer,
	  .n_overrides = 1,
	  .hpet = 0xfed00000,
	  .hpet_id = 0x8086a201,
	  .rtc = true,
	  .serial = config_serials,
	  .n_serials = 4,
	  .device = config_devices,
	  .n_devices = 4}},
	{"numa",
	 "three nodes with unequal distances",
	 {.cpu = config_numa_cpus,
	  .n_cpus = 4,
	  .cpu_devices = true,
	  .ioapic = config_ioapic,
	  .n_ioapics = 1,
	  .pic = true,
	  .rtc = true,
	  .serial = config_serials,
	  .n_serials = 1,
	  .n_nodes = 3,
	  .memory = config_memory,
	  .n_memory = 4,
	  .distance = config_distance}},
	{"x2apic",
	 "APIC ids that only x2APIC entries can hold",
	 {.cpu = config_x2apic_cpus,
	  .n_cpus = 4,
	  .cpu_devices = true,
	  .ioapic = config_ioapic,
	  .n_ioapics = 1,
	  .n_nodes = 2,
	  .memory = config_memory,
	  .n_memory = 3}},
	{"pci",
	 "a PCI Express root complex, a keyboard controller and a display",
	 {.oem_table = "Q35",
	  .cpu = config_cpus,
	  .n_cpus = 2,
	  .ioapic = config_ioapic,
	  .n_ioapics = 1,
	  .pic = true,
	  .override = config_timer,
	  .n_overrides = 1,
	  .rtc = true,
	  .i8042 = true,
	  .vga = true,
	  .serial = config_serials,
	  .n_serials = 2,
	  .pci = &config_pci}},
	{"bare", "nothing that can be left out", {.cpu = config_cpus, .n_cpus = 1}},
};

#endif
