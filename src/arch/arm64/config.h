/*
 * arch/arm64/config.h - what an arm64 board and the accelerator agree on: where the interrupt
 * controller sits, what the CPUs shall have, and what the accelerator made of it.
 *
 * The board fills a struct arm64_config, whose storage it owns, before vm_new and passes it as
 * vm_options.arch_config; it must live as long as the VM.  The accelerator never writes it but for
 * what .made points to, which is the board's as well: it is good after vm_new but for what is said
 * there, does not change after that, and is what the board describes in its device tree or ACPI
 * tables.
 *
 * Without a config (NULL) there is no place for an interrupt controller: irqchip_init refuses, and
 * vCPUs run with the accelerator's choice of everything else.
 */
#ifndef LODGE_ARCH_ARM64_CONFIG_H
#define LODGE_ARCH_ARM64_CONFIG_H

#include <stdbool.h>
#include <stdint.h>

#define ARM64_GICD_SIZE	      0x10000u /* both versions */
#define ARM64_GICC_SIZE	      0x2000u  /* GICv2 CPU interface */
#define ARM64_GICR_STRIDE     0x20000u /* GICv3: a redistributor's two frames */
#define ARM64_ITS_SIZE	      0x20000u /* two frames */
#define ARM64_GICR_REGIONS    2u
#define ARM64_GIC_PPI_INTID   16u  /* INTID of PPI 0 */
#define ARM64_GIC_SPI_INTID   32u  /* INTID of SPI 0 */
#define ARM64_SPIS_MAX	      256u /* GSI n is SPI n, and a chip has at most IRQ_PINS */
#define ARM64_GICV2_VCPUS_MAX 8u

/* Private interrupts by their PPI number (SBSA §4.1.5; INTID less 16). */
#define ARM64_PPI_PMU	     7u
#define ARM64_PPI_TIMER_HYP  10u
#define ARM64_PPI_TIMER_VIRT 11u
#define ARM64_PPI_TIMER_SEC  13u
#define ARM64_PPI_TIMER_NSEC 14u

/* A CPU feature: as the host has it, or insisted on (vm_new fails if it is missing), or left out.
 */
enum arm64_want { ARM64_AUTO, ARM64_ON, ARM64_OFF };

/* Guest-physical memory for redistributors; the second region serves the vCPUs beyond the first. */
struct arm64_gicr_region {
	uint64_t base;	/* multiple of 64 KiB */
	uint32_t vcpus; /* room for that many, ARM64_GICR_STRIDE each; 0: no region */
};

/* What was made of a config. */
struct arm64_made {
	unsigned gic_version; /* 2 or 3; 0: this accelerator has none */
	bool its;	      /* GICv3 only, and only if the config has a place for it */
	unsigned ipa_bits;    /* guest-physical addresses are below 1 << ipa_bits */
	bool pmu, sve, pauth;
	uint32_t timer_hz; /* of the generic timer (CNTFRQ_EL0); 0: not known */
	uint64_t clidr;	   /* CLIDR_EL1; good when the vCPUs are there; 0: not known */
};

struct arm64_config {
	unsigned gic_version; /* wanted: 2, 3, or 0 for the host's best */
	unsigned n_spis;      /* multiple of 32, 32 to ARM64_SPIS_MAX; SPI n is GSI n */
	uint64_t gicd;	      /* distributor, ARM64_GICD_SIZE */
	uint64_t gicc;	      /* GICv2 CPU interface, ARM64_GICC_SIZE */
	struct arm64_gicr_region gicr[ARM64_GICR_REGIONS];
	uint64_t its;	   /* ARM64_ITS_SIZE; 0: none wanted */
	unsigned ipa_bits; /* wanted, 32 to 52: -ENOTSUP if the host has fewer; 0: all it has */
	enum arm64_want pmu, sve, pauth;
	struct arm64_made *made; /* filled by the accelerator's vm_init; may be NULL */
};

#endif
