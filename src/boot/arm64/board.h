/*
 * boot/arm64/board.h - what an arm64 machine consists of, in plain words.
 *
 * A guest is told in one of two languages, device tree (boot/fdt.h) or ACPI (boot/acpi/arm64.h).
 * Both are written from this one description, so that they cannot say different things.
 *
 * Interrupts are the GIC's: SPI n is INTID 32+n, PPI n is INTID 16+n.  All are level-triggered and
 * active high unless something else is said.  An address of 0 means that the part is not there.
 */
#ifndef LODGE_BOOT_ARM64_BOARD_H
#define LODGE_BOOT_ARM64_BOARD_H

#include "base/compiler.h"
#include "base/err.h"
#include "boot/acpi/numa.h"
#include "boot/acpi/pci.h"

#define ARM64_BOARD_CPUS_MAX	512
#define ARM64_BOARD_DEVICES_MAX 256
#define ARM64_BOARD_REDISTS_MAX 16
#define ARM64_BOARD_MEMORY_MAX	64

#define ARM64_GICD_LEN 0x10000u
#define ARM64_GICC_LEN 0x2000u	/* GICv2 CPU interface */
#define ARM64_GICR_LEN 0x20000u /* of one vCPU */
#define ARM64_ITS_LEN  0x20000u
#define ARM64_CHIP_LEN 0x1000u /* PL011, PL031, PL061 */
#define ARM64_SPI_BASE 32u
#define ARM64_PPI_BASE 16u
#define ARM64_SPIS     988u /* INTIDs 32 to 1019 */
#define ARM64_PPIS     16u

/* The affinity fields of MPIDR_EL1; all other bits are 0. */
#define ARM64_MPIDR_MASK UINT64_C(0xff00ffffff)

struct arm64_cpu {
	uint64_t mpidr; /* unique */
	uint32_t node;	/* < n_nodes; ignored without nodes */
};

struct arm64_range {
	uint64_t base, len;
};

struct arm64_gic {
	unsigned version; /* 2 or 3 */
	uint64_t dist;	  /* ARM64_GICD_LEN bytes */
	uint64_t cpu;	  /* 2: ARM64_GICC_LEN bytes */
	/* 3: regions, multiples of ARM64_GICR_LEN, with room for all vCPUs together */
	struct arm64_range redist[ARM64_BOARD_REDISTS_MAX];
	unsigned n_redists;
	uint64_t its; /* 3: ARM64_ITS_LEN bytes */
};

/* PPI numbers of the generic timer. */
struct arm64_timer {
	uint8_t secure, nonsecure, virt, hyp;
};

/* A PrimeCell: ARM64_CHIP_LEN bytes of registers, an interrupt. */
struct arm64_chip {
	uint64_t base;
	uint32_t spi;
	uint32_t periph_id; /* PeriphID, told by device tree to spare the guest reading it; or 0 */
};

/* A device that needs no more than an identity and resources, e.g. virtio-mmio. */
struct arm64_device {
	const char *name;	/* of the device tree node, without the address: "virtio_mmio" */
	const char *compatible; /* device tree; NULL: it is not in there */
	const char *hid;	/* ACPI: "LNRO0005"; NULL: it is not in there */
	uint64_t base, len;
	uint32_t spi;
	bool no_irq; /* it has no interrupt; spi means nothing */
	bool edge;   /* edge-triggered, rising */
};

struct arm64_board {
	const char *oem_table; /* ACPI OEM table id, up to 8 characters; NULL: "VIRT" */
	char hypervisor[8];    /* FADT hypervisor vendor identity; all 0: none */

	const struct arm64_cpu *cpu; /* the boot CPU first */
	unsigned n_cpus;
	uint64_t clidr;			  /* CLIDR_EL1 of every CPU; 0: not known */
	unsigned sockets, cores, threads; /* product is n_cpus, threads next to each other; all 0:
					     one socket of single-threaded cores */

	const struct acpi_node_memory *memory; /* RAM, ascending; of one node if there are none */
	unsigned n_memory;
	unsigned n_nodes;	 /* 0: no NUMA */
	const uint8_t *distance; /* n_nodes × n_nodes, row by row; NULL: 10 and 20 */

	struct arm64_gic gic;
	struct arm64_timer timer;
	uint8_t pmu_ppi; /* 0: no PMU */

	struct arm64_chip uart; /* PL011, the console */
	struct arm64_chip rtc;	/* PL031; with ACPI the guest reads it by EFI's GetTime */
	struct arm64_chip gpio; /* PL061, with a power key at power_pin */
	uint8_t power_pin;
	const struct arm64_device *device;
	unsigned n_devices;
	/* NULL: none.  intx_gsi are INTIDs here, as in ACPI; io is false, io_base serves. */
	const struct acpi_pci *pci;
};

/*
 * What either language cannot say, or would say wrongly: no CPUs, CPUs of the same affinity, RAM
 * that overlaps, interrupts that do not exist.  -EINVAL with a message.  The two builders call it.
 */
int arm64_board_check(const struct arm64_board *b, struct err *e) MUST_CHECK;

#endif
