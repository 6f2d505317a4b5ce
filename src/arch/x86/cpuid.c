/*
 * arch/x86/cpuid.c - builds a guest's CPUID leaves (SDM 2A "CPUID", APM 3 appendix E).
 *
 * A leaf falls in one of three classes.  Those that describe the machine's shape (1, 4, 0xb, 0x1f,
 * 0x80000008, 0x8000001d, 0x8000001e) are made for the guest's topology, the host's numbers being
 * those of another machine.  Those that describe the hypervisor (0x40000000 on) are ours.  All
 * others are the host's with the bits taken out that the guest could not rely on.
 */
#include <errno.h>
#include <string.h>

#include "arch/x86/cpuid.h"

#define L1_EBX_APIC_SHIFT   24
#define L1_EBX_COUNT_SHIFT  16
#define L1_ECX_MONITOR	    (1u << 3)
#define L1_ECX_VMX	    (1u << 5)
#define L1_ECX_PDCM	    (1u << 15)
#define L1_ECX_X2APIC	    (1u << 21)
#define L1_ECX_TSC_DEADLINE (1u << 24)
#define L1_ECX_OSXSAVE	    (1u << 27)
#define L1_ECX_HYPERVISOR   (1u << 31)
#define L1_EDX_APIC	    (1u << 9)
#define L1_EDX_HTT	    (1u << 28)
#define L7_EBX_SGX	    (1u << 2)
#define L7_ECX_OSPKE	    (1u << 4)
#define L7_ECX_SGX_LC	    (1u << 30)
#define E1_ECX_CMP_LEGACY   (1u << 1)
#define E1_ECX_SVM	    (1u << 2)
#define E1_ECX_EXTAPIC	    (1u << 3)
#define E1_ECX_TOPOEXT	    (1u << 22)
#define E1_EDX_APIC	    (1u << 9)

/* Features of KVM's leaf that need a local APIC in the kernel. */
#define KVM_NEEDS_LAPIC ((1u << 4) | (1u << 6) | (1u << 7) | (1u << 11) | (1u << 14) | (1u << 15))

enum { LEVEL_SMT = 1, LEVEL_CORE = 2 }; /* leaf 0xb ECX[15:8] */

struct builder {
	const struct x86_cpuid_in *in;
	struct x86_cpuid *out;
	unsigned n;
	bool amd, full;
	uint32_t apic_id;
	unsigned smt_bits, core_bits, per_socket;
};

static unsigned bits_for(unsigned count)
{
	unsigned b = 0;

	while (1u << b < count)
		b++;
	return b;
}

uint32_t x86_apic_id(const struct vm_topology *t, unsigned index)
{
	unsigned smt = bits_for(t->threads), core = bits_for(t->cores);
	uint32_t thread = index % t->threads, c = index / t->threads % t->cores;
	uint32_t socket = index / (t->threads * t->cores);

	return socket << (smt + core) | c << smt | thread;
}

const struct x86_cpuid *x86_cpuid_find(const struct x86_cpuid *c, unsigned n, uint32_t leaf,
				       uint32_t subleaf)
{
	for (unsigned i = 0; i < n; i++)
		if (c[i].leaf == leaf && (!c[i].indexed || c[i].subleaf == subleaf))
			return &c[i];
	return NULL;
}

static const struct x86_cpuid *host_leaf(const struct builder *b, uint32_t leaf, uint32_t subleaf)
{
	return x86_cpuid_find(b->in->host, b->in->n_host, leaf, subleaf);
}

static void put(struct builder *b, struct x86_cpuid c)
{
	if (b->n == X86_CPUID_MAX)
		b->full = true;
	else
		b->out[b->n++] = c;
}

static uint32_t host_max(const struct builder *b, uint32_t base)
{
	const struct x86_cpuid *c = host_leaf(b, base, 0);

	return c ? c->eax : base;
}

static bool host_x2apic(const struct builder *b)
{
	const struct x86_cpuid *c = host_leaf(b, 1, 0);

	return b->in->lapic && c && (c->ecx & L1_ECX_X2APIC);
}

/* The highest basic leaf: 0xb is there for every guest that can have an x2APIC. */
static uint32_t basic_max(const struct builder *b)
{
	uint32_t max = host_max(b, 0);

	if (host_x2apic(b))
		max = MAX(max, 0xbu);
	if (!b->amd && b->in->tsc_khz && b->in->apic_khz)
		max = MAX(max, 0x15u);
	return max;
}

static void leaf_1(struct builder *b, struct x86_cpuid c)
{
	const struct x86_cpuid_in *in = b->in;
	uint32_t off = L1_ECX_OSXSAVE | L1_ECX_VMX | L1_ECX_PDCM | L1_ECX_TSC_DEADLINE;
	unsigned addressable = 1u << (b->smt_bits + b->core_bits);

	if (!in->monitor)
		off |= L1_ECX_MONITOR;
	if (!in->lapic) {
		off |= L1_ECX_X2APIC;
		c.edx &= ~L1_EDX_APIC;
	}
	c.ecx = (c.ecx & ~off) | L1_ECX_HYPERVISOR;
	if (in->lapic && in->tsc_deadline)
		c.ecx |= L1_ECX_TSC_DEADLINE;
	c.edx &= ~L1_EDX_HTT;
	if (b->per_socket > 1)
		c.edx |= L1_EDX_HTT;
	c.ebx = (c.ebx & 0xffff) | MIN(addressable, 255u) << L1_EBX_COUNT_SHIFT |
		(b->apic_id & 0xff) << L1_EBX_APIC_SHIFT;
	put(b, c);
}

/*
 * Caches, on leaf 4 (Intel) and 0x8000001d (AMD) alike: which threads share one is EAX[25:14].
 * Levels 1 and 2 belong to a core, those beyond to the socket.
 */
static void cache_leaf(struct builder *b, struct x86_cpuid c)
{
	unsigned type = c.eax & 0x1f, level = c.eax >> 5 & 7;
	unsigned bits = b->smt_bits + (level >= 3 ? b->core_bits : 0);

	if (type) {
		c.eax &= 0x3fff;
		c.eax |= ((1u << bits) - 1) << 14;
		if (c.leaf == 4)
			c.eax |= MIN((1u << b->core_bits) - 1, 63u) << 26;
	}
	put(b, c);
}

/* Extended topology, leaf 0xb and, the same for a machine without dies and modules, 0x1f. */
static void topology_leaf(struct builder *b, uint32_t leaf)
{
	struct x86_cpuid c = {.leaf = leaf, .indexed = true, .edx = b->apic_id};

	c.eax = b->smt_bits;
	c.ebx = b->in->topology.threads;
	c.ecx = LEVEL_SMT << 8;
	put(b, c);
	c.subleaf = 1;
	c.eax = b->smt_bits + b->core_bits;
	c.ebx = b->per_socket;
	c.ecx = LEVEL_CORE << 8 | 1;
	put(b, c);
	c.subleaf = 2;
	c.eax = c.ebx = 0;
	c.ecx = 2;
	put(b, c);
}

/*
 * TSC and core crystal clock.  The crystal is the APIC timer's bus clock, because kernels take its
 * frequency for both: TSC = crystal × EBX / EAX.
 */
static void leaf_15(struct builder *b)
{
	put(b, (struct x86_cpuid){.leaf = 0x15,
				  .eax = b->in->apic_khz,
				  .ebx = b->in->tsc_khz,
				  .ecx = b->in->apic_khz * 1000});
}

static void basic_leaf(struct builder *b, struct x86_cpuid c)
{
	switch (c.leaf) {
	case 0x0:
		c.eax = basic_max(b);
		put(b, c);
		break;
	case 0x1: leaf_1(b, c); break;
	case 0x4: cache_leaf(b, c); break;
	case 0x5: /* MONITOR */
		if (b->in->monitor)
			put(b, c);
		break;
	case 0x7:
		if (c.subleaf == 0) {
			c.ebx &= ~L7_EBX_SGX;
			c.ecx &= ~(L7_ECX_SGX_LC | L7_ECX_OSPKE);
		}
		put(b, c);
		break;
	case 0xb: /* these are made, not copied */
	case 0x1f:
	case 0x15:
	case 0x16:
	case 0x12: break; /* SGX: there is no EPC */
	default:
		if (c.eax | c.ebx | c.ecx | c.edx)
			put(b, c);
		break;
	}
}

static void extended_leaf(struct builder *b, struct x86_cpuid c)
{
	const struct vm_topology *t = &b->in->topology;

	switch (c.leaf) {
	case 0x80000001:
		c.ecx &= ~(E1_ECX_SVM | E1_ECX_EXTAPIC | E1_ECX_CMP_LEGACY);
		if (b->amd && b->per_socket > 1)
			c.ecx |= E1_ECX_CMP_LEGACY;
		if (!b->in->lapic)
			c.edx &= ~E1_EDX_APIC;
		put(b, c);
		break;
	case 0x80000008: /* ECX: threads in the socket less one, and the width of their ids */
		c.ecx = b->amd ? (MIN(b->per_socket, 256u) - 1) | (b->smt_bits + b->core_bits) << 12
			       : 0;
		put(b, c);
		break;
	case 0x8000000a: break; /* SVM */
	case 0x8000001d: cache_leaf(b, c); break;
	case 0x8000001e: /* TOPOEXT: EBX core and its threads, ECX node */
		c.eax = b->apic_id;
		c.ebx = (b->apic_id >> b->smt_bits & ((1u << b->core_bits) - 1) & 0xff) |
			(t->threads - 1) << 8;
		c.ecx = b->apic_id >> (b->smt_bits + b->core_bits) & 0xff;
		c.edx = 0;
		put(b, c);
		break;
	default: put(b, c); break;
	}
}

/* "KVMKVMKVM", KVM's features, and the frequencies where other hypervisors put them too. */
static void hypervisor_leaves(struct builder *b)
{
	const struct x86_cpuid_in *in = b->in;
	uint32_t features = in->lapic ? in->kvm_features : in->kvm_features & ~KVM_NEEDS_LAPIC;
	bool timing = in->tsc_khz && in->apic_khz;

	if (!in->kvm_features)
		return;
	put(b, (struct x86_cpuid){.leaf = 0x40000000,
				  .eax = timing ? 0x40000010 : 0x40000001,
				  .ebx = 0x4b4d564b,
				  .ecx = 0x564b4d56,
				  .edx = 0x4d});
	put(b, (struct x86_cpuid){.leaf = 0x40000001, .eax = features, .edx = in->kvm_hints});
	if (timing)
		put(b, (struct x86_cpuid){
			       .leaf = 0x40000010, .eax = in->tsc_khz, .ebx = in->apic_khz});
}

static void copy_range(struct builder *b, uint32_t first, uint32_t last,
		       void (*fn)(struct builder *b, struct x86_cpuid c))
{
	for (unsigned i = 0; i < b->in->n_host; i++) {
		const struct x86_cpuid *c = &b->in->host[i];

		if (c->leaf >= first && c->leaf <= last)
			fn(b, *c);
	}
}

/* Insertion sort: the input is nearly sorted and at most X86_CPUID_MAX long. */
static void sort_leaves(struct x86_cpuid *c, unsigned n)
{
	for (unsigned i = 1; i < n; i++) {
		struct x86_cpuid x = c[i];
		unsigned k = i;

		for (; k && (c[k - 1].leaf > x.leaf ||
			     (c[k - 1].leaf == x.leaf && c[k - 1].subleaf > x.subleaf));
		     k--)
			c[k] = c[k - 1];
		c[k] = x;
	}
}

int x86_cpuid_build(const struct x86_cpuid_in *in, struct x86_cpuid *out, unsigned *n,
		    struct err *e)
{
	const struct vm_topology *t = &in->topology;
	struct builder b = {.in = in,
			    .out = out,
			    .apic_id = x86_apic_id(t, in->index),
			    .smt_bits = bits_for(t->threads),
			    .core_bits = bits_for(t->cores),
			    .per_socket = t->threads * t->cores};
	const struct x86_cpuid *vendor = host_leaf(&b, 0, 0);

	/* "AuthenticAMD" and "HygonGenuine" share AMD's leaves. */
	b.amd = vendor && (vendor->ebx == 0x68747541 || vendor->ebx == 0x6f677948);
	copy_range(&b, 0, 0x3fffffff, basic_leaf);
	if (basic_max(&b) >= 0xb && host_x2apic(&b))
		topology_leaf(&b, 0xb);
	if (!b.amd && in->tsc_khz && in->apic_khz)
		leaf_15(&b);
	if (host_leaf(&b, 0x1f, 0) && host_x2apic(&b))
		topology_leaf(&b, 0x1f);
	hypervisor_leaves(&b);
	copy_range(&b, 0x80000000, 0x8fffffff, extended_leaf);
	if (b.full)
		return err_set(e, -E2BIG, "the guest's CPUID has more than %u leaves",
			       X86_CPUID_MAX);
	sort_leaves(out, b.n);
	*n = b.n;
	return 0;
}
