/*
 * arch/x86/defs.h - numbers of the architecture (SDM, APM).
 */
#ifndef LODGE_ARCH_X86_DEFS_H
#define LODGE_ARCH_X86_DEFS_H

#include "base/compiler.h"

#define X86_CR0_PE (1u << 0)
#define X86_CR0_MP (1u << 1)
#define X86_CR0_EM (1u << 2)
#define X86_CR0_TS (1u << 3)
#define X86_CR0_ET (1u << 4)
#define X86_CR0_NE (1u << 5)
#define X86_CR0_WP (1u << 16)
#define X86_CR0_AM (1u << 18)
#define X86_CR0_NW (1u << 29)
#define X86_CR0_CD (1u << 30)
#define X86_CR0_PG (1u << 31)

#define X86_CR4_PSE	   (1u << 4)
#define X86_CR4_PAE	   (1u << 5)
#define X86_CR4_PGE	   (1u << 7)
#define X86_CR4_OSFXSR	   (1u << 9)
#define X86_CR4_OSXMMEXCPT (1u << 10)
#define X86_CR4_LA57	   (1u << 12)
#define X86_CR4_OSXSAVE	   (1u << 18)

#define X86_EFER_SCE (1u << 0)
#define X86_EFER_LME (1u << 8)
#define X86_EFER_LMA (1u << 10)
#define X86_EFER_NXE (1u << 11)

#define X86_FLAGS_FIXED (1u << 1)
#define X86_FLAGS_TF	(1u << 8)
#define X86_FLAGS_IF	(1u << 9)
#define X86_FLAGS_VM	(1u << 17)

#define X86_MSR_TSC		 0x10u
#define X86_MSR_APIC_BASE	 0x1bu
#define X86_MSR_MISC_ENABLE	 0x1a0u
#define X86_MSR_TSC_DEADLINE	 0x6e0u
#define X86_MSR_X2APIC		 0x800u
#define X86_MSR_PAT		 0x277u
#define X86_MSR_MTRR_DEF_TYPE	 0x2ffu
#define X86_MSR_EFER		 0xc0000080u
#define X86_MSR_STAR		 0xc0000081u
#define X86_MSR_LSTAR		 0xc0000082u
#define X86_MSR_FMASK		 0xc0000084u

#define X86_APIC_BASE_BSP    (1u << 8)
#define X86_APIC_BASE_X2APIC (1u << 10)
#define X86_APIC_BASE_ENABLE (1u << 11)

#define X86_LAPIC_ADDR	0xfee00000u
#define X86_IOAPIC_ADDR 0xfec00000u
#define X86_HPET_ADDR	0xfed00000u

/* The low half of the HPET's capabilities: vendor, three comparators of 64 bits, revision. */
#define X86_HPET_ID(legacy) (0x80862201u | ((legacy) ? 1u << 15 : 0))

#define X86_PTE_P  (1u << 0)
#define X86_PTE_RW (1u << 1)
#define X86_PTE_US (1u << 2)
#define X86_PTE_PS (1u << 7)

#endif
