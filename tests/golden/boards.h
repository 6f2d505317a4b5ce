/*
 * tests/golden/boards.h - the arm64 machines whose device trees and ACPI tables are kept as
 * goldens; the unit tests use them too.
 */
#ifndef LODGE_TESTS_GOLDEN_BOARDS_H
#define LODGE_TESTS_GOLDEN_BOARDS_H

#include "boot/arm64/board.h"

#define BOARD_GICV3                                 \
	.gic = {.version = 3,                       \
		.dist = 0x08000000,                 \
		.redist = {{0x080a0000, 0xf60000}}, \
		.n_redists = 1,                     \
		.its = 0x08080000}
#define BOARD_TIMER .timer = {.secure = 13, .nonsecure = 14, .virt = 11, .hyp = 10}
#define BOARD_CHIPS                                                              \
	.uart = {0x09000000, 1, 0x00341011}, .rtc = {0x09010000, 2, 0x00041031}, \
	.gpio = {0x09030000, 7, 0x00041061}, .power_pin = 3

struct board {
	const char *name, *what;
	struct arm64_board b;
};

static const struct arm64_cpu board_cpus[] = {
	{.mpidr = 0}, {.mpidr = 1}, {.mpidr = 2}, {.mpidr = 3}};
static const struct arm64_cpu board_numa_cpus[] = {{.mpidr = 0, .node = 0},
						   {.mpidr = 1, .node = 0},
						   {.mpidr = 0x100, .node = 1},
						   {.mpidr = 0x0100000101, .node = 2}};
static const struct acpi_node_memory board_memory[] = {{.base = 0x40000000, .len = 0x20000000}};
static const struct acpi_node_memory board_numa_memory[] = {
	{.base = 0x40000000, .len = 0x40000000, .node = 0},
	{.base = 0x80000000, .len = 0x80000000, .node = 1},
	{.base = 0x100000000, .len = 0x40000000, .node = 2},
};
static const uint8_t board_distance[] = {10, 20, 40, 20, 10, 30, 40, 30, 10};
static const struct arm64_device board_devices[] = {
	{.name = "virtio_mmio",
	 .compatible = "virtio,mmio",
	 .hid = "LNRO0005",
	 .base = 0x0a000000,
	 .len = 0x200,
	 .spi = 16,
	 .edge = true},
	{.name = "virtio_mmio",
	 .compatible = "virtio,mmio",
	 .hid = "LNRO0005",
	 .base = 0x0a000200,
	 .len = 0x200,
	 .spi = 17,
	 .edge = true},
	{.name = "flash", .compatible = "cfi-flash", .len = 0x4000000, .no_irq = true},
	{.name = "acpi_only", .hid = "QEMU0002", .base = 0x9020000, .len = 0x18, .spi = 40},
};
static const struct acpi_pci board_pci = {
	.ecam = 0x3f000000,
	.last_bus = 15,
	.io_base = 0x3eff0000,
	.mem32 = 0x10000000,
	.mem32_len = 0x2eff0000,
	.mem64 = 0x8000000000,
	.mem64_len = 0x8000000000,
	.intx_gsi = {35, 36, 37, 38},
};

static const struct board boards[] = {
	{"arm64-up",
	 "one CPU, GICv3, PMU, all chips",
	 {.hypervisor = "LODGE",
	  .cpu = board_cpus,
	  .n_cpus = 1,
	  .clidr = 0xa200023,
	  .memory = board_memory,
	  .n_memory = 1,
	  BOARD_GICV3,
	  BOARD_TIMER,
	  .pmu_ppi = 7,
	  BOARD_CHIPS}},
	{"arm64-v2",
	 "four CPUs as two cores of two threads, three levels of caches, GICv2, devices",
	 {.cpu = board_cpus,
	  .n_cpus = 4,
	  .clidr = 0x123,
	  .sockets = 1,
	  .cores = 2,
	  .threads = 2,
	  .memory = board_memory,
	  .n_memory = 1,
	  .gic = {.version = 2, .dist = 0x08000000, .cpu = 0x08010000},
	  BOARD_TIMER,
	  .pmu_ppi = 7,
	  BOARD_CHIPS,
	  .device = board_devices,
	  .n_devices = 4}},
	{"arm64-numa",
	 "three nodes with unequal distances, two sockets, affinities of four levels, two regions "
	 "of "
	 "redistributors",
	 {.cpu = board_numa_cpus,
	  .n_cpus = 4,
	  .sockets = 2,
	  .cores = 2,
	  .threads = 1,
	  .memory = board_numa_memory,
	  .n_memory = 3,
	  .n_nodes = 3,
	  .distance = board_distance,
	  .gic = {.version = 3,
		  .dist = 0x08000000,
		  .redist = {{0x080a0000, 0xf60000}, {0x4000000000, 0x4000000}},
		  .n_redists = 2},
	  BOARD_TIMER,
	  BOARD_CHIPS}},
	{"arm64-pci",
	 "a PCI Express root complex with an ITS",
	 {.cpu = board_cpus,
	  .n_cpus = 2,
	  .memory = board_memory,
	  .n_memory = 1,
	  BOARD_GICV3,
	  BOARD_TIMER,
	  .pmu_ppi = 7,
	  BOARD_CHIPS,
	  .pci = &board_pci}},
	{"arm64-bare",
	 "nothing that can be left out",
	 {.cpu = board_cpus,
	  .n_cpus = 1,
	  .memory = board_memory,
	  .n_memory = 1,
	  .gic = {.version = 3,
		  .dist = 0x08000000,
		  .redist = {{0x080a0000, 0x20000}},
		  .n_redists = 1},
	  BOARD_TIMER}},
};

#endif
