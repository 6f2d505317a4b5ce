/*
 * arch/arm64/defs.h - numbers of the Arm architecture (Arm ARM, DDI 0487) that several files need.
 */
#ifndef LODGE_ARCH_ARM64_DEFS_H
#define LODGE_ARCH_ARM64_DEFS_H

#include <stdint.h>

/* A system register as MRS and MSR encode it (C5.1.2): 16 bits. */
#define ARM64_SYSREG(op0, op1, crn, crm, op2)                                   \
	((uint32_t)(op0) << 14 | (uint32_t)(op1) << 11 | (uint32_t)(crn) << 7 | \
	 (uint32_t)(crm) << 3 | (uint32_t)(op2))
#define ARM64_SYSREG_OP0(id) ((id) >> 14 & 3)
#define ARM64_SYSREG_OP1(id) ((id) >> 11 & 7)
#define ARM64_SYSREG_CRN(id) ((id) >> 7 & 15)
#define ARM64_SYSREG_CRM(id) ((id) >> 3 & 15)
#define ARM64_SYSREG_OP2(id) ((id)&7)

#define ARM64_MIDR_EL1	    ARM64_SYSREG(3, 0, 0, 0, 0)
#define ARM64_MPIDR_EL1	    ARM64_SYSREG(3, 0, 0, 0, 5)
#define ARM64_PFR0_EL1	    ARM64_SYSREG(3, 0, 0, 4, 0) /* ID_AA64PFR0_EL1 */
#define ARM64_CLIDR_EL1	    ARM64_SYSREG(3, 1, 0, 0, 1)
#define ARM64_SCTLR_EL1	    ARM64_SYSREG(3, 0, 1, 0, 0)
#define ARM64_TTBR0_EL1	    ARM64_SYSREG(3, 0, 2, 0, 0)
#define ARM64_TTBR1_EL1	    ARM64_SYSREG(3, 0, 2, 0, 1)
#define ARM64_TCR_EL1	    ARM64_SYSREG(3, 0, 2, 0, 2)
#define ARM64_ESR_EL1	    ARM64_SYSREG(3, 0, 5, 2, 0)
#define ARM64_FAR_EL1	    ARM64_SYSREG(3, 0, 6, 0, 0)
#define ARM64_MAIR_EL1	    ARM64_SYSREG(3, 0, 10, 2, 0)
#define ARM64_VBAR_EL1	    ARM64_SYSREG(3, 0, 12, 0, 0)
#define ARM64_TPIDR_EL1	    ARM64_SYSREG(3, 0, 13, 0, 4)
#define ARM64_CNTPCT_EL0    ARM64_SYSREG(3, 3, 14, 0, 1)
#define ARM64_CNTVCT_EL0    ARM64_SYSREG(3, 3, 14, 0, 2)
#define ARM64_CNTP_CTL_EL0  ARM64_SYSREG(3, 3, 14, 2, 1)
#define ARM64_CNTP_CVAL_EL0 ARM64_SYSREG(3, 3, 14, 2, 2)
#define ARM64_CNTV_CTL_EL0  ARM64_SYSREG(3, 3, 14, 3, 1)
#define ARM64_CNTV_CVAL_EL0 ARM64_SYSREG(3, 3, 14, 3, 2)

/* The GIC's CPU interface (IHI 0069). */
#define ARM64_ICC_PMR_EL1     ARM64_SYSREG(3, 0, 4, 6, 0)
#define ARM64_ICC_BPR0_EL1    ARM64_SYSREG(3, 0, 12, 8, 3)
#define ARM64_ICC_AP0R_EL1(n) ARM64_SYSREG(3, 0, 12, 8, 4 | (n))
#define ARM64_ICC_AP1R_EL1(n) ARM64_SYSREG(3, 0, 12, 9, (n))
#define ARM64_ICC_BPR1_EL1    ARM64_SYSREG(3, 0, 12, 12, 3)
#define ARM64_ICC_CTLR_EL1    ARM64_SYSREG(3, 0, 12, 12, 4)
#define ARM64_ICC_SRE_EL1     ARM64_SYSREG(3, 0, 12, 12, 5)
#define ARM64_ICC_IGRPEN0_EL1 ARM64_SYSREG(3, 0, 12, 12, 6)
#define ARM64_ICC_IGRPEN1_EL1 ARM64_SYSREG(3, 0, 12, 12, 7)

/* PSTATE as SPSR_ELx has it (C5.2.18). */
#define ARM64_PSTATE_SP	   (UINT64_C(1) << 0)
#define ARM64_PSTATE_EL(p) ((p) >> 2 & 3)
#define ARM64_PSTATE_EL1H  UINT64_C(5)
#define ARM64_PSTATE_32	   (UINT64_C(1) << 4) /* AArch32 */
#define ARM64_PSTATE_F	   (UINT64_C(1) << 6)
#define ARM64_PSTATE_I	   (UINT64_C(1) << 7)
#define ARM64_PSTATE_A	   (UINT64_C(1) << 8)
#define ARM64_PSTATE_D	   (UINT64_C(1) << 9)
#define ARM64_PSTATE_DAIF  (UINT64_C(15) << 6)

#define ARM64_SCTLR_M UINT64_C(1)

#define ARM64_MPIDR_RES1 UINT64_C(0x80000000)

#endif
