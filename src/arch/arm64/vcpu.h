/*
 * arch/arm64/vcpu.h - the state of an arm64 vCPU, the same under every accelerator.
 *
 * General and vector registers have members of their own.  Everything else that the architecture
 * calls a system register, and what firmware interfaces (PSCI, SMCCC) have as state, is a list of
 * identities and values, because which of them exist depends on the processor.  An empty list means
 * their reset values, which is what arm64_vcpu_reset leaves and boards start from: they add only
 * what shall differ.  The timers are registers too; the counter they compare with is the VM's and
 * is kept with the chips (gic.h).
 */
#ifndef LODGE_ARCH_ARM64_VCPU_H
#define LODGE_ARCH_ARM64_VCPU_H

#include "arch/arm64/defs.h"
#include "core/arch.h"

#define ARM64_VCPUS_MAX 512u
#define ARM64_REGS_MAX	1024u

/* SVE: registers of up to 2048 bits. */
#define ARM64_SVE_Z	 256u /* bytes of a Z register */
#define ARM64_SVE_P	 32u  /* bytes of a P register and of FFR */
#define ARM64_SVE_Z_SIZE (32u * ARM64_SVE_Z)
#define ARM64_SVE_P_SIZE (17u * ARM64_SVE_P)

/*
 * Identity of a register in the list: kind << 16 | number.  Numbers: the encoding of a system
 * register (ARM64_SYSREG), the CSSELR value of a cache size, the number that firmware state has in
 * Linux's KVM interface.
 */
enum arm64_reg_kind {
	ARM64_KIND_SYS,	      /* ARM64_SYSREG() as it is: kind 0 */
	ARM64_KIND_CCSIDR,    /* CCSIDR_EL1 by CSSELR_EL1 */
	ARM64_KIND_FW,	      /* PSCI version, state of workarounds */
	ARM64_KIND_FW_BITMAP, /* hypercalls offered */
	ARM64_KINDS
};
#define ARM64_REG(kind, number) ((uint32_t)(kind) << 16 | (number))
#define ARM64_REG_KIND(id)	((id) >> 16)
#define ARM64_REG_NUMBER(id)	((id)&0xffff)

struct arm64_reg {
	uint32_t id;
	uint64_t value;
};

enum arm64_spsr { ARM64_SPSR_EL1, ARM64_SPSR_ABT, ARM64_SPSR_UND, ARM64_SPSR_IRQ, ARM64_SPSR_FIQ };
#define ARM64_SPSRS 5u /* all but the first are AArch32's */

enum arm64_power { ARM64_POWER_ON, ARM64_POWER_OFF, ARM64_POWER_SUSPENDED };

struct arm64_vcpu {
	uint64_t x[31];
	uint64_t sp_el0, sp_el1, pc, pstate;
	uint64_t elr_el1, spsr[ARM64_SPSRS];
	uint64_t v[64]; /* V0 to V31, low half first; with SVE also in z */
	uint32_t fpsr, fpcr;
	/* SVE; sve_z_size and sve_p_size are 0 where there is none, else the sizes above. */
	uint64_t sve_vls[8]; /* bit n: a vector length of (n + 1) * 128 bits is there */
	uint32_t sve_z_size, sve_p_size;
	uint8_t sve_z[ARM64_SVE_Z_SIZE];
	uint8_t sve_p[ARM64_SVE_P_SIZE]; /* P0 to P15, FFR */
	uint32_t n_regs;
	struct arm64_reg reg[ARM64_REGS_MAX]; /* ascending id */
	uint8_t power;			      /* enum arm64_power */
	/* An SError or external abort that waits to be taken. */
	bool serror, serror_has_esr, ext_abort;
	uint64_t serror_esr;
};

extern const struct state_table arm64_vcpu_table;

/*
 * Power-on (Arm ARM D1.2): EL1h with D, A, I and F masked, at address 0.  @index 0 runs, others are
 * off until PSCI CPU_ON.
 */
void arm64_vcpu_reset(void *state, unsigned index);

/* The value of a register in the list, or NULL. */
uint64_t *arm64_vcpu_reg(struct arm64_vcpu *v, uint32_t id);
const uint64_t *arm64_vcpu_reg_const(const struct arm64_vcpu *v, uint32_t id);
/* Gives a register a value, adding it if needed; false if the list is full. */
bool arm64_vcpu_set_reg(struct arm64_vcpu *v, uint32_t id, uint64_t value);
/* "SCTLR_EL1", "S3_0_c1_c0_1", "PSCI version" into @buf, which is returned. */
const char *arm64_reg_name(uint32_t id, char *buf, size_t n);

/* MPIDR_EL1 of vCPU @index: 16 a cluster, then 256 clusters (Aff0, Aff1, Aff2), as KVM numbers. */
uint64_t arm64_mpidr(unsigned index);

/*
 * Stage 1 walk (Arm ARM D8): TTBR0 and TTBR1, granules of 4, 16 and 64 KiB, 25 to 52 address bits
 * as far as TCR_EL1 says.  With the MMU off addresses are physical.
 */
bool arm64_translate(const void *state, struct as *mem, uint64_t va, gpa_t *pa);

#endif
