/*
 * arch/arm64/translate.c - stage 1 page walks in software (Arm ARM D8.2 and D8.3), for the debugger
 * and crash reports.  Permissions are not checked and access flags are not set: the question is
 * only where a virtual address lies.  A walk reads at most five entries.
 *
 * The two halves of the address space have their own table, size and granule.  With n bits of
 * address and a granule of 2^g bytes, a table has 2^(g-3) entries of 8 bytes, so each level
 * resolves g-3 bits; the first one resolves what is left over.
 */
#include "arch/arm64/vcpu.h"
#include "base/endian.h"

#define TCR_T0SZ(t) ((unsigned)((t)&63))
#define TCR_T1SZ(t) ((unsigned)((t) >> 16 & 63))
#define TCR_EPD0    (UINT64_C(1) << 7)
#define TCR_EPD1    (UINT64_C(1) << 23)
#define TCR_TG0(t)  ((unsigned)((t) >> 14 & 3))
#define TCR_TG1(t)  ((unsigned)((t) >> 30 & 3))
#define TCR_IPS(t)  ((unsigned)((t) >> 32 & 7))
#define TCR_TBI0    (UINT64_C(1) << 37)
#define TCR_TBI1    (UINT64_C(1) << 38)
#define TCR_DS	    (UINT64_C(1) << 59)

#define BITS(hi, lo) ((UINT64_MAX >> (63 - (hi))) & (UINT64_MAX << (lo)))

/* One half's regime. */
struct regime {
	unsigned granule; /* 12, 14 or 16 */
	unsigned bits;	  /* of virtual address */
	bool ds;	  /* 52-bit descriptors with granules of 4 and 16 KiB (FEAT_LPA2) */
	bool lpa;	  /* 52-bit descriptors with a granule of 64 KiB */
	uint64_t ttbr;
	bool wide_ttbr; /* physical addresses have 52 bits */
};

static uint64_t reg(const struct arm64_vcpu *v, uint32_t id)
{
	const uint64_t *p = arm64_vcpu_reg_const(v, id);

	return p ? *p : 0;
}

/* False if there are no walks for @va. */
static bool regime_of(const struct arm64_vcpu *v, uint64_t va, struct regime *r)
{
	static const uint8_t granule0[4] = {12, 16, 14, 0}, granule1[4] = {0, 14, 12, 16};
	uint64_t tcr = reg(v, ARM64_TCR_EL1);
	bool high = va >> 55 & 1, tagged = tcr & (high ? TCR_TBI1 : TCR_TBI0);
	unsigned top = tagged ? 55 : 63, size = high ? TCR_T1SZ(tcr) : TCR_T0SZ(tcr);

	r->granule = high ? granule1[TCR_TG1(tcr)] : granule0[TCR_TG0(tcr)];
	if (!r->granule || (tcr & (high ? TCR_EPD1 : TCR_EPD0)) || size < 12 || size > 48)
		return false;
	r->bits = 64 - size;
	r->wide_ttbr = TCR_IPS(tcr) == 6;
	r->ds = (tcr & TCR_DS) && r->granule != 16;
	r->lpa = r->granule == 16 && r->wide_ttbr;
	r->ttbr = reg(v, high ? ARM64_TTBR1_EL1 : ARM64_TTBR0_EL1);
	if (r->bits > 48 && r->granule != 16 && !r->ds)
		return false;
	if (r->bits <= r->granule)
		return false;
	/* Above the half's bits an address repeats bit 55. */
	return (va & BITS(top, r->bits)) == (high ? BITS(top, r->bits) : 0);
}

static gpa_t table_base(const struct regime *r, unsigned index_bits)
{
	unsigned low = index_bits + 3;

	if (!r->wide_ttbr)
		return r->ttbr & BITS(47, low);
	return (r->ttbr & BITS(47, MAX(low, 6u))) | (r->ttbr >> 2 & 15) << 48;
}

/* The output address of a descriptor, down to bit @low. */
static gpa_t desc_address(const struct regime *r, uint64_t desc, unsigned low)
{
	if (r->ds)
		return (desc & BITS(49, low)) | (desc >> 8 & 3) << 50;
	if (r->lpa)
		return (desc & BITS(47, low)) | (desc >> 12 & 15) << 48;
	return desc & BITS(47, low);
}

/* May a descriptor of this level be a block?  (Table D8-16 and following.) */
static bool block_allowed(const struct regime *r, int level)
{
	switch (r->granule) {
	case 12: return level >= (r->ds ? 0 : 1);
	case 14: return level >= (r->ds ? 1 : 2);
	default: return level >= (r->lpa ? 1 : 2);
	}
}

bool arm64_translate(const void *state, struct as *mem, uint64_t va, gpa_t *pa)
{
	const struct arm64_vcpu *v = state;
	struct regime r;

	if (!(reg(v, ARM64_SCTLR_EL1) & ARM64_SCTLR_M)) {
		*pa = va;
		return true;
	}
	if (!regime_of(v, va, &r))
		return false;
	unsigned stride = r.granule - 3;
	int level = 4 - (int)((r.bits - r.granule + stride - 1) / stride);
	unsigned shift = r.granule + (unsigned)(3 - level) * stride, top = r.bits;
	gpa_t table = table_base(&r, r.bits - shift);

	for (;; level++, top = shift, shift -= stride) {
		uint64_t index = va >> shift & BITS(top - shift - 1, 0), desc;
		le64 raw;

		if (as_read(mem, table + index * 8, &raw, sizeof(raw)) != IO_OK)
			return false;
		desc = le64_get(raw);
		if (!(desc & 1))
			return false;
		if (level == 3 ? !(desc & 2) : !(desc & 2) && !block_allowed(&r, level))
			return false;
		if (level == 3 || !(desc & 2)) {
			*pa = desc_address(&r, desc, shift) | (va & BITS(shift - 1, 0));
			return true;
		}
		table = desc_address(&r, desc, r.granule);
	}
}
