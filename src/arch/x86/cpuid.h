/*
 * arch/x86/cpuid.h - what CPUID tells a guest: the host's leaves, as far as the accelerator
 * supports them, made true for the guest's own topology and for this hypervisor.
 *
 * Everything here is plain data in and out, so that it can be tested without KVM and used by every
 * accelerator.
 */
#ifndef LODGE_ARCH_X86_CPUID_H
#define LODGE_ARCH_X86_CPUID_H

#include "base/compiler.h"
#include "base/err.h"
#include "core/vm.h"

#define X86_CPUID_MAX 192u /* leaves a guest can have */

struct x86_cpuid {
	uint32_t leaf, subleaf;
	bool indexed; /* ECX matters */
	uint32_t eax, ebx, ecx, edx;
};

/*
 * The (x2)APIC id of vCPU @index: thread, core and socket each in a bit field of the width CPUID
 * leaf 0xb announces (SDM 3A §9.9.3).  Ids have gaps where a count is not a power of two.
 */
uint32_t x86_apic_id(const struct vm_topology *t, unsigned index);

struct x86_cpuid_in {
	const struct x86_cpuid *host; /* what host and accelerator support */
	unsigned n_host;
	struct vm_topology topology; /* complete: no member is 0 */
	unsigned index;		     /* of the vCPU */
	bool lapic;		     /* the accelerator gives the guest a local APIC */
	bool tsc_deadline;	     /* and its timer knows the TSC-deadline mode */
	bool monitor;		     /* MONITOR and MWAIT do not trap */
	uint32_t tsc_khz;	     /* 0: not known */
	uint32_t apic_khz;	     /* frequency of the APIC timer's bus clock; 0: not known */
	uint32_t kvm_features;	     /* leaf 0x40000001 EAX; 0: no KVM leaves */
	uint32_t kvm_hints;	     /* and EDX */
};

/* KVM_FEATURE_MSI_EXT_DEST_ID: MSI addresses carry 15 bits of destination. */
#define X86_KVM_FEATURE_MSI_EXT_DEST_ID (1u << 15)

/*
 * The leaves of one vCPU into @out[X86_CPUID_MAX], in ascending order.  -E2BIG if they do not fit.
 */
int x86_cpuid_build(const struct x86_cpuid_in *in, struct x86_cpuid *out, unsigned *n,
		    struct err *e) MUST_CHECK;

/* The entry for (leaf, subleaf), or NULL. */
const struct x86_cpuid *x86_cpuid_find(const struct x86_cpuid *c, unsigned n, uint32_t leaf,
				       uint32_t subleaf);

#endif
