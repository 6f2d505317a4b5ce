/*
 * arch/x86/translate.c - page walks in software (SDM 3A §4.3 to §4.5), for the debugger and crash
 * reports.  Permissions are not checked and accessed bits are not set: the question is only where a
 * linear address lies.  A walk reads at most five entries.
 */
#include "arch/x86/defs.h"
#include "arch/x86/vcpu.h"
#include "base/endian.h"

#define ADDR_MASK UINT64_C(0x000ffffffffff000) /* bits 51:12 */
#define PAGE_2M	  (UINT64_C(1) << 21)
#define PAGE_4M	  (UINT64_C(1) << 22)

static bool entry32(struct as *mem, gpa_t table, uint64_t index, uint32_t *e)
{
	le32 raw;

	if (as_read(mem, table + index * 4, &raw, sizeof(raw)) != IO_OK)
		return false;
	*e = le32_get(raw);
	return *e & X86_PTE_P;
}

static bool entry64(struct as *mem, gpa_t table, uint64_t index, uint64_t *e)
{
	le64 raw;

	if (as_read(mem, table + index * 8, &raw, sizeof(raw)) != IO_OK)
		return false;
	*e = le64_get(raw);
	return *e & X86_PTE_P;
}

/* 32-bit paging; a 4 MiB page has physical bits 39:32 in bits 20:13 of its entry (PSE-36). */
static bool walk_32(const struct x86_vcpu *v, struct as *mem, uint32_t va, gpa_t *pa)
{
	uint32_t e;

	if (!entry32(mem, v->cr3 & 0xfffff000, va >> 22, &e))
		return false;
	if ((e & X86_PTE_PS) && (v->cr4 & X86_CR4_PSE)) {
		*pa = ((uint64_t)(e >> 13 & 0xff) << 32) | (e & 0xffc00000) | (va & (PAGE_4M - 1));
		return true;
	}
	if (!entry32(mem, e & 0xfffff000, va >> 12 & 0x3ff, &e))
		return false;
	*pa = (e & 0xfffff000) | (va & 0xfff);
	return true;
}

/* From the table at @table, whose entries each cover 2^@shift bytes, down to the page. */
static bool walk_64(struct as *mem, gpa_t table, unsigned shift, uint64_t va, gpa_t *pa)
{
	for (;; shift -= 9) {
		uint64_t e, size = UINT64_C(1) << shift;

		if (!entry64(mem, table, va >> shift & 0x1ff, &e))
			return false;
		if (shift == 12 || ((shift == 21 || shift == 30) && (e & X86_PTE_PS))) {
			*pa = (e & ADDR_MASK & ~(size - 1)) | (va & (size - 1));
			return true;
		}
		table = e & ADDR_MASK;
	}
}

/* PAE: four page-directory pointers sit in registers, loaded when CR3 was written (§4.4.1). */
static bool walk_pae(const struct x86_vcpu *v, struct as *mem, uint32_t va, gpa_t *pa)
{
	uint64_t pdpte;

	if (v->pdptrs_valid) {
		pdpte = v->pdptr[va >> 30];
		if (!(pdpte & X86_PTE_P))
			return false;
	} else if (!entry64(mem, v->cr3 & 0xffffffe0, va >> 30, &pdpte)) {
		return false;
	}
	return walk_64(mem, pdpte & ADDR_MASK, 21, va, pa);
}

bool x86_translate(const void *state, struct as *mem, uint64_t va, gpa_t *pa)
{
	const struct x86_vcpu *v = state;

	if (!(v->cr0 & X86_CR0_PG) || !(v->cr0 & X86_CR0_PE)) {
		*pa = (uint32_t)va;
		return true;
	}
	if (v->efer & X86_EFER_LMA) {
		unsigned bits = v->cr4 & X86_CR4_LA57 ? 57 : 48;
		uint64_t top = va >> (bits - 1);

		if (top != 0 && top != UINT64_MAX >> (bits - 1))
			return false; /* not canonical */
		return walk_64(mem, v->cr3 & ADDR_MASK, bits - 9, va, pa);
	}
	if (v->cr4 & X86_CR4_PAE)
		return walk_pae(v, mem, (uint32_t)va, pa);
	return walk_32(v, mem, (uint32_t)va, pa);
}
