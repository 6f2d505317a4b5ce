/*
 * accel/bt/cpuid.c - what the software CPU says it is.
 *
 * Three kinds of feature bits: what Lodge does itself in C; what it hands to the host's own unit
 * and so has if the host has it; and what would only make a guest slower here and is left out
 * (SMAP, UMIP and LA57; --cpu +NAME shows them).
 *
 * The family and model are those of an in-order core that never speculated (Atom "Saltwell"): every
 * kernel knows that such a core needs no mitigation of Meltdown, Spectre and their kin, and neither
 * does one in software.  The rest of the leaves speaks for itself.
 */
#include <cpuid.h>
#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "accel/bt/cpu.h"
#include "arch/x86/cpu_model.h"
#include "base/sys.h"

#define B(n) (1u << (n))

/* Leaf 1. */
#define L1_SIGNATURE 0x00030661u /* family 6, model 36h, stepping 1 */
#define L1_ECX_OWN                                                                      \
	(B(13) /* CX16 */ | B(17) /* PCID */ | B(21) /* x2APIC */ | B(22) /* MOVBE */ | \
	 B(23) /* POPCNT */ | B(24) /* TSC deadline */ | B(30) /* RDRAND */)
#define L1_ECX_HOST                                                                    \
	(B(0) /* SSE3 */ | B(1) /* PCLMUL */ | B(9) /* SSSE3 */ | B(19) /* SSE4.1 */ | \
	 B(20) /* SSE4.2 */ | B(25) /* AES */)
#define L1_ECX_XSAVE B(26)
#define L1_ECX_AVX   (B(12) /* FMA */ | B(28) /* AVX */ | B(29) /* F16C */)
/* All of the first 27 but PSN, DS and ACPI, with CLFLUSH, MMX, FXSR, SSE, SSE2. */
#define L1_EDX_OWN     0x078bfbffu
#define L1_EBX_CLFLUSH (8u << 8) /* lines of 64 bytes */

/* Leaf 7. */
#define L7_EBX_OWN                                                                         \
	(B(0) /* FSGSBASE */ | B(1) /* TSC_ADJUST */ | B(3) /* BMI1 */ | B(7) /* SMEP */ | \
	 B(8) /* BMI2 */ | B(9) /* ERMS */ | B(10) /* INVPCID */ | B(18) /* RDSEED */ |    \
	 B(13) /* x87 keeps no selectors */ | B(19) /* ADX */ | B(23) /* CLFLUSHOPT */ |   \
	 B(24) /* CLWB */)
/* FDP on exceptions only; SHA. */
#define L7_EBX_HOST    (B(6) | B(29))
#define L7_EBX_AVX     B(5) /* AVX2 */
#define L7_EBX_AVX512  (B(16) | B(17) | B(21) | B(28) | B(30) | B(31))
#define L7_ECX_OWN     (B(22) /* RDPID */ | B(27) /* MOVDIRI */ | B(28) /* MOVDIR64B */)
#define L7_ECX_HOST    B(8) /* GFNI */
#define L7_ECX_AVX     (B(9) /* VAES */ | B(10) /* VPCLMULQDQ */)
#define L7_ECX_AVX512  (B(1) | B(6) | B(11) | B(12) | B(14))
#define L7_EDX_OWN     (B(4) /* FSRM */ | B(14) /* SERIALIZE */ | B(29) /* ARCH_CAPABILITIES */)
#define L71_EAX_AVX    B(4) /* AVX-VNNI */
#define L71_EAX_AVX512 B(5) /* BF16 */

/* Leaf 0xd. */
#define XCR0_SSE    3u
#define XCR0_AVX    4u
#define XCR0_AVX512 0xe0u
/* XSAVEOPT, XSAVEC, XGETBV(1), XSAVES. */
#define LD1_EAX (B(0) | B(1) | B(2) | B(3))

#define E1_ECX_OWN (B(0) /* LAHF in 64-bit mode */ | B(5) /* LZCNT */ | B(8) /* PREFETCHW */)
#define E1_EDX_OWN                                                                             \
	(B(11) /* SYSCALL */ | B(20) /* NX */ | B(26) /* 1 GiB pages */ | B(27) /* RDTSCP */ | \
	 B(29) /* LM */)

/* KVM's leaf: no delay at port 80h, kvmclock by its new MSRs, and it is the same on all vCPUs. */
#define KVM_FEATURES (B(1) | B(3) | B(24))

struct leaves {
	struct x86_cpuid *c;
	unsigned n;
};

static struct x86_cpuid native(uint32_t leaf, uint32_t subleaf)
{
	struct x86_cpuid c = {.leaf = leaf, .subleaf = subleaf};

	if ((uint32_t)__get_cpuid_max(leaf & 0x80000000u, NULL) >= leaf)
		__cpuid_count(leaf, subleaf, c.eax, c.ebx, c.ecx, c.edx);
	return c;
}

static void add(struct leaves *l, struct x86_cpuid c)
{
	if (l->n < X86_CPUID_MAX)
		l->c[l->n++] = c;
}

static void add_at(struct leaves *l, uint32_t leaf, uint32_t subleaf, struct x86_cpuid c)
{
	c.leaf = leaf;
	c.subleaf = subleaf;
	c.indexed = true;
	add(l, c);
}

/* XCR0 components that host and Lodge have. */
uint64_t bt_xcr0_host(void)
{
	uint32_t lo, hi;
	uint64_t have;

	if (!(native(1, 0).ecx & B(27)))
		return 0;
	__asm__("xgetbv" : "=a"(lo), "=d"(hi) : "c"(0));
	have = XCR0_SSE;
	if ((lo & (XCR0_AVX | XCR0_SSE)) == (XCR0_AVX | XCR0_SSE) && (native(1, 0).ecx & B(28)))
		have |= XCR0_AVX;
	if ((have & XCR0_AVX) && (lo & XCR0_AVX512) == XCR0_AVX512 && (native(7, 0).ebx & B(16)) &&
	    (native(7, 0).ebx & B(31)))
		have |= XCR0_AVX512;
	return have;
}

static void features(struct leaves *l, uint64_t xcr0)
{
	struct x86_cpuid h1 = native(1, 0), h7 = native(7, 0), h71 = native(7, 1);
	bool avx = xcr0 & XCR0_AVX, avx512 = xcr0 & 0x20;
	struct x86_cpuid one = {.leaf = 1, .eax = L1_SIGNATURE, .ebx = L1_EBX_CLFLUSH};
	struct x86_cpuid seven = {.eax = 1};
	struct x86_cpuid seven1 = {0};

	one.ecx = L1_ECX_OWN | (h1.ecx & L1_ECX_HOST) | (xcr0 ? L1_ECX_XSAVE : 0) |
		  (avx ? h1.ecx & L1_ECX_AVX : 0);
	one.edx = L1_EDX_OWN;
	add(l, one);
	seven.ebx = L7_EBX_OWN | (h7.ebx & L7_EBX_HOST) | (avx ? h7.ebx & L7_EBX_AVX : 0) |
		    (avx512 ? h7.ebx & L7_EBX_AVX512 : 0);
	seven.ecx = L7_ECX_OWN | (h7.ecx & L7_ECX_HOST) | (avx ? h7.ecx & L7_ECX_AVX : 0) |
		    (avx512 ? h7.ecx & L7_ECX_AVX512 : 0);
	seven.edx = L7_EDX_OWN;
	add_at(l, 7, 0, seven);
	seven1.eax = (avx ? h71.eax & L71_EAX_AVX : 0) | (avx512 ? h71.eax & L71_EAX_AVX512 : 0);
	add_at(l, 7, 1, seven1);
}

/* Deterministic cache parameters (leaf 4): a common desktop's. */
static void caches(struct leaves *l)
{
	static const struct {
		uint8_t type, level;
		uint16_t ways;
		uint32_t sets;
	} cache[] = {{1, 1, 8, 64}, {2, 1, 8, 64}, {3, 2, 16, 1024}, {3, 3, 16, 16384}};

	for (unsigned i = 0; i < ARRAY_LEN(cache); i++)
		add_at(l, 4, i,
		       (struct x86_cpuid){.eax = cache[i].type | (uint32_t)cache[i].level << 5 |
						 B(8),
					  .ebx = 63 | (uint32_t)(cache[i].ways - 1) << 22,
					  .ecx = cache[i].sets - 1,
					  .edx = cache[i].level == 3 ? 4 : 0});
	add_at(l, 4, ARRAY_LEN(cache), (struct x86_cpuid){0});
}

/* The components' sizes and places are the host's; the sums follow XCR0 and are made in exec. */
static void xsave_leaves(struct leaves *l, uint64_t xcr0)
{
	struct x86_cpuid zero = {.eax = (uint32_t)xcr0, .ebx = 576, .ecx = 576};
	struct x86_cpuid one = native(0xd, 1);

	if (!xcr0)
		return;
	for (unsigned i = 2; i < 8; i++) {
		struct x86_cpuid c = native(0xd, i);

		if ((xcr0 >> i & 1) && c.ebx + c.eax > zero.ecx)
			zero.ecx = c.ebx + c.eax;
	}
	zero.ebx = zero.ecx;
	add_at(l, 0xd, 0, zero);
	add_at(l, 0xd, 1, (struct x86_cpuid){.eax = one.eax & LD1_EAX, .ebx = zero.ecx});
	for (unsigned i = 2; i < 8; i++)
		if (xcr0 >> i & 1)
			add_at(l, 0xd, i, native(0xd, i));
}

static void brand(struct leaves *l)
{
	static const char name[48] = "Lodge software CPU";

	for (unsigned i = 0; i < 3; i++) {
		struct x86_cpuid c = {.leaf = 0x80000002 + i};

		memcpy(&c.eax, name + 16 * i, 4);
		memcpy(&c.ebx, name + 16 * i + 4, 4);
		memcpy(&c.ecx, name + 16 * i + 8, 4);
		memcpy(&c.edx, name + 16 * i + 12, 4);
		add(l, c);
	}
}

static void extended(struct leaves *l)
{
	add(l, (struct x86_cpuid){.leaf = 0x80000000, .eax = 0x80000008});
	add(l, (struct x86_cpuid){.leaf = 0x80000001, .ecx = E1_ECX_OWN, .edx = E1_EDX_OWN});
	brand(l);
	add(l, (struct x86_cpuid){.leaf = 0x80000006, .ecx = 1024u << 16 | 6u << 12 | 64});
	add(l, (struct x86_cpuid){.leaf = 0x80000007, .edx = B(8) /* invariant TSC */});
	add(l, (struct x86_cpuid){.leaf = 0x80000008, .eax = 48u << 8 | BT_PHYS_BITS});
}

static void all_leaves(struct leaves *l)
{
	uint64_t xcr0 = bt_xcr0_host();

	add(l, (struct x86_cpuid){.leaf = 0,
				  .eax = 0x16,
				  .ebx = 0x756e6547, /* GenuineIntel */
				  .ecx = 0x6c65746e,
				  .edx = 0x49656e69});
	features(l, xcr0);
	add(l, (struct x86_cpuid){.leaf = 2, .eax = 0x00feff01}); /* see leaf 4 */
	caches(l);
	add(l, (struct x86_cpuid){.leaf = 6, .eax = B(2)}); /* the APIC timer never stops */
	xsave_leaves(l, xcr0);
	extended(l);
}

/* Shows what works but only costs time here to who asks for it by name. */
static void show_hidden(const char *model, struct leaves *l)
{
	static const struct {
		const char *name;
		uint8_t in_ecx, bit;
	} hidden[] = {{"smap", 0, 20}, {"umip", 1, 2}, {"la57", 1, 16}};

	for (unsigned i = 0; i < l->n; i++) {
		struct x86_cpuid *c = &l->c[i];

		if (c->leaf != 7 || c->subleaf)
			continue;
		for (unsigned k = 0; k < ARRAY_LEN(hidden); k++) {
			uint32_t *reg = hidden[k].in_ecx ? &c->ecx : &c->ebx;

			if (x86_cpu_model_asks(model, hidden[k].name))
				*reg |= B(hidden[k].bit);
		}
	}
}

int bt_cpuid_init(struct bt_cpu *c, struct err *e)
{
	struct vm *vm = c->v->vm;
	struct leaves l = {.c = sys_alloc(X86_CPUID_MAX * sizeof(*l.c))};
	struct x86_cpuid_in in = {.host = l.c,
				  .topology = vm->topology,
				  .index = c->v->index,
				  .lapic = true,
				  .tsc_deadline = true,
				  .tsc_khz = BT_TSC_KHZ,
				  .apic_khz = BT_TSC_KHZ,
				  .kvm_features = KVM_FEATURES};
	int rc;

	if (!l.c)
		return err_nomem(e, X86_CPUID_MAX * sizeof(*l.c), "CPUID");
	c->cpuid = sys_alloc(X86_CPUID_MAX * sizeof(*c->cpuid));
	if (!c->cpuid) {
		free(l.c);
		return err_nomem(e, X86_CPUID_MAX * sizeof(*c->cpuid), "CPUID");
	}
	all_leaves(&l);
	in.n_host = l.n;
	show_hidden(vm->cpu_model, &l);
	rc = x86_cpu_model_apply(vm->cpu_model, l.c, l.n, e);
	if (rc) {
		free(l.c);
		return rc;
	}
	if (vm->n_vcpus > 255)
		in.kvm_features |= X86_KVM_FEATURE_MSI_EXT_DEST_ID;
	rc = x86_cpuid_build(&in, c->cpuid, &c->n_cpuid, e);
	free(l.c);
	if (!rc)
		insn_features_from_cpuid(c->cpuid, c->n_cpuid, &c->features);
	return rc;
}

/*
 * SDM 2A "CPUID": beyond the last basic leaf, the last basic leaf's data; beyond the others,
 * zeros.  Where a sub-leaf does not exist, zeros, but for the topology's ECX and EDX.
 */
static const struct x86_cpuid *find(const struct bt_cpu *c, uint32_t leaf, uint32_t subleaf)
{
	uint32_t max = c->n_cpuid ? c->cpuid[0].eax : 0;

	if (leaf < 0x40000000 && leaf > max)
		leaf = max;
	return x86_cpuid_find(c->cpuid, c->n_cpuid, leaf, subleaf);
}

/* Bytes that the components of @bits take: standard or compacted form. */
static uint32_t xsave_size(const struct bt_cpu *c, uint64_t bits, bool compact)
{
	uint32_t end = 576;

	for (unsigned i = 2; i < 63; i++) {
		const struct x86_cpuid *k = bits >> i & 1 ? find(c, 0xd, i) : NULL;

		if (!k)
			continue;
		if (compact)
			end = (k->ecx & 2 ? (end + 63) & ~63u : end) + k->eax;
		else
			end = MAX(end, k->ebx + k->eax);
	}
	return end;
}

static bool apic_on(const struct bt_cpu *c)
{
	uint64_t base;

	return !lapic_msr_read(c->lapic, X86_MSR_APIC_BASE, &base) && (base & X86_APIC_BASE_ENABLE);
}

void bt_cpuid(struct bt_cpu *c, uint32_t leaf, uint32_t subleaf, uint32_t out[4])
{
	const struct x86_cpuid *k = find(c, leaf, subleaf);

	memset(out, 0, 16);
	if (!k) {
		if (leaf == 0xb || leaf == 0x1f) {
			out[2] = subleaf & 0xff;
			out[3] = c->apic.config.apic_id;
		}
		return;
	}
	out[0] = k->eax;
	out[1] = k->ebx;
	out[2] = k->ecx;
	out[3] = k->edx;
	switch (leaf) {
	case 1:
		if (c->cr4 & X86_CR4_OSXSAVE)
			out[2] |= B(27);
		if (!apic_on(c))
			out[3] &= ~B(9);
		break;
	case 7:
		if (subleaf == 0 && (c->cr4 & B(22)))
			out[2] |= B(4); /* OSPKE */
		break;
	case 0xd:
		if (subleaf == 0)
			out[1] = xsave_size(c, c->xcr0, false);
		else if (subleaf == 1)
			out[1] = xsave_size(c, c->xcr0 | c->msr.xss, true);
		break;
	default: break;
	}
}
