/*
 * arch/x86/vcpu.h - the state of an x86 vCPU, the same under every accelerator.
 *
 * The struct is what the architecture manuals call processor state, with the local APIC and the
 * pending events that sit between instructions.  Accelerators fill it in state_get and take it back
 * in state_put; boot code writes it; the state table saves it.  Nothing here is in a KVM layout.
 */
#ifndef LODGE_ARCH_X86_VCPU_H
#define LODGE_ARCH_X86_VCPU_H

#include "core/arch.h"

/* clang-format off */
enum x86_gpr {
	X86_RAX, X86_RCX, X86_RDX, X86_RBX, X86_RSP, X86_RBP, X86_RSI, X86_RDI,
	X86_R8, X86_R9, X86_R10, X86_R11, X86_R12, X86_R13, X86_R14, X86_R15,
};
/* clang-format on */

enum x86_seg_index { X86_ES, X86_CS, X86_SS, X86_DS, X86_FS, X86_GS, X86_LDTR, X86_TR, X86_SEGS };

/*
 * A segment register with its hidden part.  attr holds the descriptor's attribute bits as in SDM 3A
 * §24.4.1 (VMX access rights): type 3:0, S 4, DPL 6:5, P 7, AVL 12, L 13, D/B 14, G 15,
 * unusable 16.
 */
struct x86_seg {
	uint64_t base;
	uint32_t limit; /* in bytes, scaled */
	uint32_t attr;
	uint16_t sel;
};
#define X86_SEG_TYPE(attr) ((attr)&0xf)
#define X86_SEG_S	   (1u << 4)
#define X86_SEG_DPL(attr)  ((attr) >> 5 & 3)
#define X86_SEG_P	   (1u << 7)
#define X86_SEG_AVL	   (1u << 12)
#define X86_SEG_L	   (1u << 13)
#define X86_SEG_DB	   (1u << 14)
#define X86_SEG_G	   (1u << 15)
#define X86_SEG_UNUSABLE   (1u << 16)

struct x86_table {
	uint64_t base;
	uint16_t limit;
};

struct x86_msr {
	uint32_t index;
	uint64_t value;
};

/* What is pending between two instructions (SDM 3A §6; the fields of KVM_GET_VCPU_EVENTS). */
struct x86_events {
	bool exc_injected, exc_pending, exc_has_error, exc_has_payload;
	uint8_t exc_vector;
	uint32_t exc_error;
	uint64_t exc_payload;
	bool irq_injected, irq_soft;
	uint8_t irq_vector, irq_shadow; /* shadow: 1 STI, 2 MOV SS */
	bool nmi_injected, nmi_pending, nmi_masked;
	bool smi_smm, smi_pending, smi_inside_nmi, smi_latched_init;
	bool triple_fault;
	uint32_t sipi_vector;
};

enum x86_mp { X86_MP_RUNNING, X86_MP_WAIT_INIT, X86_MP_INIT, X86_MP_HALTED, X86_MP_SIPI };

#define X86_MSRS_MAX	 512u
#define X86_XSAVE_MAX	 16384u
#define X86_XSAVE_LEGACY 512u /* the FXSAVE region; the 64-byte header follows */
#define X86_VCPUS_MAX	 1024u

/* Registers of struct x86_vcpu.lapic: the offset in the APIC page / 16 (SDM 3A table 11-1). */
enum x86_lapic_reg {
	X86_LAPIC_ID = 0x02,
	X86_LAPIC_VERSION = 0x03,
	X86_LAPIC_TPR = 0x08,
	X86_LAPIC_APR = 0x09,
	X86_LAPIC_PPR = 0x0a,
	X86_LAPIC_EOI = 0x0b,
	X86_LAPIC_RRD = 0x0c,
	X86_LAPIC_LDR = 0x0d,
	X86_LAPIC_DFR = 0x0e,
	X86_LAPIC_SVR = 0x0f,
	X86_LAPIC_ISR = 0x10, /* eight registers each */
	X86_LAPIC_TMR = 0x18,
	X86_LAPIC_IRR = 0x20,
	X86_LAPIC_ESR = 0x28,
	X86_LAPIC_ICR = 0x30,
	X86_LAPIC_ICR2 = 0x31,
	X86_LAPIC_LVTT = 0x32,
	X86_LAPIC_LVTTHM = 0x33,
	X86_LAPIC_LVTPC = 0x34,
	X86_LAPIC_LVT0 = 0x35,
	X86_LAPIC_LVT1 = 0x36,
	X86_LAPIC_LVTERR = 0x37,
	X86_LAPIC_TMICT = 0x38,
	X86_LAPIC_TMCCT = 0x39,
	X86_LAPIC_TDCR = 0x3e,
	X86_LAPIC_SELF_IPI = 0x3f,
};
#define X86_LAPIC_LVT_MASKED 0x10000u
#define X86_LAPIC_LVT_EXTINT 0x700u

struct x86_vcpu {
	uint64_t gpr[16];
	uint64_t rip, rflags;
	struct x86_seg seg[X86_SEGS];
	struct x86_table gdt, idt;
	uint64_t cr0, cr2, cr3, cr4, cr8, efer, apic_base;
	bool pdptrs_valid;
	uint64_t pdptr[4];
	uint64_t irq_bitmap[4]; /* user-space LAPIC: interrupts queued; 0 with KVM (see events) */
	uint64_t dr[4], dr6, dr7;
	uint64_t xcr0;
	uint32_t xsave_size; /* bytes of xsave in use: standard (non-compacted) format */
	uint8_t xsave[X86_XSAVE_MAX];
	uint32_t n_msrs;
	struct x86_msr msr[X86_MSRS_MAX]; /* ascending index */
	bool has_lapic;
	uint32_t lapic[64]; /* the 32-bit registers of the APIC page, one for each 16 bytes */
	uint32_t mp_state;  /* enum x86_mp */
	struct x86_events events;
	uint32_t tsc_khz; /* 0: the host's */
	uint32_t apic_id; /* fixed when the vCPU is made; a reset leaves it and tsc_khz alone */
};

extern const struct state_table x86_vcpu_table;

/* Power-on or INIT state (SDM 3A table 9-1); @index 0 is the boot processor and runs. */
void x86_vcpu_reset(void *state, unsigned index);

/* Sets @s to a flat code or data segment: 16-, 32- or 64-bit by @attr. */
void x86_seg_set(struct x86_seg *s, uint16_t sel, uint64_t base, uint32_t limit, uint32_t attr);

/* The value of an MSR in @v, or NULL. */
uint64_t *x86_vcpu_msr(struct x86_vcpu *v, uint32_t index);

/* Page walk: SDM 3A §4; every paging mode. */
bool x86_translate(const void *state, struct as *mem, uint64_t va, gpa_t *pa);

#endif
