/*
 * accel/kvm/x86/x86.h - private to the x86 part of the KVM accelerator.
 */
#ifndef LODGE_ACCEL_KVM_X86_X86_H
#define LODGE_ACCEL_KVM_X86_X86_H

#include "accel/kvm/kvm.h"
#include "arch/x86/chips.h"
#include "arch/x86/cpuid.h"
#include "arch/x86/vcpu.h"

/* Below the BIOS area, as every x86 VMM has them: three pages of TSS, one of identity map. */
#define KVM_X86_IDENTITY_MAP 0xfeffc000u
#define KVM_X86_TSS	     0xfeffd000u

#define KVM_X86_APIC_KHZ   1000000u /* KVM's APIC timer counts nanoseconds */
#define KVM_X86_MSI_ROUTES 256u

/* Buffers laid out as KVM's structs with a flexible array are. */
struct kvm_x86_msrs {
	uint32_t n, pad;
	struct kvm_msr_entry e[X86_MSRS_MAX];
};
struct kvm_x86_cpuid {
	uint32_t n, pad;
	struct kvm_cpuid_entry2 e[X86_CPUID_MAX];
};

/* A descriptor that raises an MSI. */
struct kvm_x86_route {
	bool used;
	int fd;
	struct msi msi;
};

struct kvm_arch {
	struct kvm_vm *kvm;
	size_t xsave_size;
	bool sregs2, payload, triple_fault;
	bool lapic; /* in the kernel */

	/* MSRs that can be got and set, ascending, with their power-on values (msrs.c). */
	struct x86_msr *msr;
	unsigned n_msrs;

	/* Interrupt chips (irqchip.c). */
	enum irqchip_mode mode;
	struct irqchip chip;
	bool chip_ready;
	struct loop_fd reinject_timer;
	/* Under chip.lock. */
	struct x86_ioapic ioapic;	  /* split only */
	uint64_t routed[X86_IOAPIC_PINS]; /* split: the entries KVM's routes were made from */
	uint32_t irqfd_pins;
	struct kvm_x86_route route[KVM_X86_MSI_ROUTES]; /* GSI X86_IOAPIC_PINS + index */
};

/* cpuid.c */
/* The accelerator's warm_up: has KVM_NODE's CPUID fetched on a thread of its own. */
void kvm_x86_cpuid_warm_up(void);
int kvm_x86_set_cpuid(struct kvm_vcpu *kv, struct err *e) MUST_CHECK;
/* KVM_GET_SUPPORTED_CPUID of @node into fresh memory; the caller frees. */
int kvm_x86_supported_cpuid(int node, struct kvm_x86_cpuid **out, struct err *e) MUST_CHECK;

/* msrs.c */
/* Finds out, once for each VM and on a throw-away one, which MSRs work.  Any vCPU thread. */
int kvm_x86_msrs_learn(struct kvm_vm *kvm, struct err *e) MUST_CHECK;
int kvm_x86_msrs_get(struct kvm_vcpu *kv, struct x86_vcpu *s, struct err *e) MUST_CHECK;
/* All but the TSC deadline, which the APIC's state would undo. */
int kvm_x86_msrs_put(struct kvm_vcpu *kv, const struct x86_vcpu *s, bool fresh,
		     struct err *e) MUST_CHECK;
int kvm_x86_deadline_put(struct kvm_vcpu *kv, struct x86_vcpu *s, struct err *e) MUST_CHECK;

/* state.c */
/* 0: KVM does not say. */
uint32_t kvm_x86_tsc_khz(const struct kvm_vcpu *kv);
int kvm_x86_state_get(struct vcpu *v, struct err *e) MUST_CHECK;
int kvm_x86_state_put(struct vcpu *v, struct err *e) MUST_CHECK;
int kvm_x86_state_peek(struct vcpu *v, struct err *e) MUST_CHECK;

/* irqchip.c */
int kvm_x86_irqchip_init(struct vm *vm, enum irqchip_mode mode, struct err *e) MUST_CHECK;
void kvm_x86_irqchip_exit(struct kvm_arch *a);
int kvm_x86_chips_get(struct vm *vm, struct err *e) MUST_CHECK;
int kvm_x86_chips_put(struct vm *vm, struct err *e) MUST_CHECK;
/* Gives KVM all routes anew.  chip.lock held. */
int kvm_x86_routes_put(struct kvm_arch *a, struct err *e) MUST_CHECK;
/* Delivers a message. */
void kvm_x86_msi(struct kvm_arch *a, uint64_t addr, uint32_t data);

/* ioapic.c: the user-space I/O APIC of split mode. */
int kvm_x86_ioapic_new(struct kvm_arch *a, struct err *e) MUST_CHECK;
void kvm_x86_ioapic_set(struct kvm_arch *a, unsigned pin, bool level);
/* An EOI of @vector reached KVM_EXIT_IOAPIC_EOI. */
void kvm_x86_ioapic_eoi(struct kvm_arch *a, uint8_t vector);

/* debug.c: the exit that it asked for. */
int kvm_x86_exit_debug(struct vcpu *v, struct kvm_run *run);

/* probe.c */
void kvm_x86_probe(struct accel_report *r);

#endif
