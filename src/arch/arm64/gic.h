/*
 * arch/arm64/gic.h - state outside the vCPUs: the interrupt controller (GICv2: IHI 0048, GICv3 and
 * its ITS: IHI 0069) and the generic timer's counter, whoever runs them.
 *
 * The struct holds what software can tell by registers.  What a GICv3 keeps in guest memory (LPI
 * pending tables, the ITS's device, collection and translation tables) is in guest memory here as
 * well: reading the chips' state writes it there, and giving it back reads it from there.
 */
#ifndef LODGE_ARCH_ARM64_GIC_H
#define LODGE_ARCH_ARM64_GIC_H

#include "arch/arm64/config.h"
#include "arch/arm64/vcpu.h"

#define ARM64_SPI_WORDS (ARM64_SPIS_MAX / 32)

/* Interrupts that every CPU shares.  Bit or element n is SPI n, INTID n + 32. */
struct arm64_gicd {
	uint32_t ctlr, iidr, statusr;
	uint32_t group[ARM64_SPI_WORDS], enable[ARM64_SPI_WORDS];
	uint32_t pending[ARM64_SPI_WORDS]; /* latched; GICv2: or asserted */
	uint32_t active[ARM64_SPI_WORDS];
	uint32_t level[ARM64_SPI_WORDS];	/* GICv3: the wires */
	uint32_t config[ARM64_SPI_WORDS * 2];	/* two bits each, the higher one: edge */
	uint32_t priority[ARM64_SPI_WORDS * 8]; /* a byte each */
	uint32_t target[ARM64_SPI_WORDS * 8];	/* GICv2: a byte each, bit n: CPU n */
	uint64_t route[ARM64_SPIS_MAX];		/* GICv3: GICD_IROUTERn */
};

/* A CPU's own interrupts, INTIDs 0 to 31, and its interface. */
struct arm64_gic_cpu {
	uint32_t group, enable, pending, active, level;
	uint32_t config[2], priority[8];
	uint32_t sgi_source[4]; /* GICv2: who sent each pending SGI, as GICD_SPENDSGIRn */
	/* GICv3: the redistributor's. */
	uint32_t redist_ctlr, redist_statusr;
	uint64_t propbaser, pendbaser;
	/*
	 * ICC_*_EL1.  GICv2: CTLR, PMR, BPR (bpr0), ABPR (bpr1) and APRn (ap0r) of the CPU
	 * interface.
	 */
	uint64_t ctlr, pmr, bpr0, bpr1, igrpen0, igrpen1, sre;
	uint64_t ap0r[4], ap1r[4];
};

struct arm64_its {
	uint64_t ctlr, iidr, cbaser, cwriter, creadr, baser[8];
};

struct arm64_chips {
	/*
	 * 2 or 3: what the rest is of.  0: every chip is as after power-on, whichever there are;
	 * this is what arm64_chips_reset leaves.
	 */
	uint32_t version;
	uint32_t n_spis;
	struct arm64_gicd dist;
	uint32_t n_cpus;
	struct arm64_gic_cpu cpu[ARM64_VCPUS_MAX];
	bool has_its;
	struct arm64_its its;
	/* CNTVCT_EL0, in nanoseconds.  A reset clears has_counter: it never goes back. */
	bool has_counter;
	uint64_t counter_ns;
};

extern const struct state_table arm64_chips_table;

void arm64_chips_reset(void *chips);

/*
 * Power-on values for a GIC whose state has been read into @c: what hardware fixes (version,
 * counts, implementer, the read-only bits of ICC_CTLR_EL1, ICC_SRE_EL1) stays.
 */
void arm64_gic_power_on(struct arm64_chips *c);

/* Read-only fields of ICC_CTLR_EL1 and above: all but CBPR and EOImode. */
#define ARM64_ICC_CTLR_RW	     UINT64_C(3)
#define ARM64_ICC_CTLR_PRIBITS(ctlr) ((unsigned)((ctlr) >> 8 & 7) + 1)
/* How many ICC_AP0Rn_EL1 there are for so many priority bits (IHI 0069 §12.2.2). */
static inline unsigned arm64_icc_aprs(uint64_t icc_ctlr)
{
	unsigned bits = ARM64_ICC_CTLR_PRIBITS(icc_ctlr);

	return bits <= 5 ? 1 : bits == 6 ? 2 : 4;
}

#endif
