/*
 * boot/x86/state.c - the modes in which kernels are entered.
 */
#include <string.h>

#include "arch/x86/defs.h"
#include "base/endian.h"
#include "boot/x86/load_impl.h"

/* The selectors that boot.rst wants: __BOOT_CS and __BOOT_DS; the TSS is PVH's. */
#define SEL_CODE 0x10
#define SEL_DATA 0x18
#define SEL_TSS	 0x20

#define SEG_CODE  (X86_SEG_P | X86_SEG_S | X86_SEG_G | 0xb) /* execute, read, accessed */
#define SEG_DATA  (X86_SEG_P | X86_SEG_S | X86_SEG_G | X86_SEG_DB | 0x3)
#define SEG_TSS	  (X86_SEG_P | 0xb)
#define SEG_FLAT  0xffffffffu
#define TSS_LIMIT 0x67u

#define MTRR_WRITE_BACK	  6u
#define MTRR_ENABLE	  (1u << 11)
#define MTRR_ENABLE_FIXED (1u << 10)
#define CPU_FAST_STRINGS  1u /* IA32_MISC_ENABLE bit 0 */

/* The 8 bytes of a descriptor [SDM 3A §3.4.5]. */
static uint64_t descriptor(const struct x86_seg *s)
{
	uint64_t limit = s->attr & X86_SEG_G ? s->limit >> 12 : s->limit;

	return (limit & 0xffff) | (s->base & 0xffffff) << 16 | (uint64_t)(s->attr & 0xff) << 40 |
	       (limit >> 16 & 0xf) << 48 | (uint64_t)(s->attr >> 12 & 0xf) << 52 |
	       (s->base >> 24 & 0xff) << 56;
}

static void set_segments(struct x86_vcpu *v, uint32_t code_size)
{
	static const enum x86_seg_index data[] = {X86_DS, X86_ES, X86_FS, X86_GS, X86_SS};

	x86_seg_set(&v->seg[X86_CS], SEL_CODE, 0, SEG_FLAT, SEG_CODE | code_size);
	for (size_t i = 0; i < ARRAY_LEN(data); i++)
		x86_seg_set(&v->seg[data[i]], SEL_DATA, 0, SEG_FLAT, SEG_DATA);
	x86_seg_set(&v->seg[X86_TR], SEL_TSS, 0, TSS_LIMIT, SEG_TSS);
	v->rflags = X86_FLAGS_FIXED;
	memset(&v->idt, 0, sizeof(v->idt));
}

void boot_state_flat32(struct boot_load *l, struct x86_vcpu *v)
{
	set_segments(v, X86_SEG_DB);
	v->rip = l->entry;
	v->cr0 = X86_CR0_PE | X86_CR0_ET;
	v->cr4 = 0;
	v->efer = 0;
}

/* A GDT with what is in the segment registers, for a kernel that loads them again. */
static int put_gdt(struct boot_load *l, struct x86_vcpu *v, struct err *e)
{
	uint8_t gdt[SEL_TSS + 16] = {0}; /* a TSS descriptor takes 16 bytes in 64-bit mode */
	gpa_t addr;
	int r;

	le64_store(gdt + SEL_CODE, descriptor(&v->seg[X86_CS]));
	le64_store(gdt + SEL_DATA, descriptor(&v->seg[X86_DS]));
	le64_store(gdt + SEL_TSS, descriptor(&v->seg[X86_TR]));
	r = boot_room(l, sizeof(gdt), 16, &addr, e);
	if (!r)
		r = boot_put(l, addr, gdt, sizeof(gdt), e);
	v->gdt.base = addr;
	v->gdt.limit = sizeof(gdt) - 1;
	return r;
}

/* One PML4, one PDPT, four page directories of 2 MiB pages. */
static int put_page_tables(struct boot_load *l, gpa_t *cr3, struct err *e)
{
	const uint64_t table = X86_PTE_P | X86_PTE_RW, page = table | X86_PTE_PS;
	uint8_t buf[GUEST_PAGE];
	int r;

	r = boot_room(l, 6 * GUEST_PAGE, GUEST_PAGE, cr3, e);
	if (r)
		return r;
	memset(buf, 0, sizeof(buf));
	le64_store(buf, (*cr3 + GUEST_PAGE) | table);
	r = boot_put(l, *cr3, buf, sizeof(buf), e);
	for (unsigned i = 0; i < 4; i++)
		le64_store(buf + 8 * i, (*cr3 + (2 + i) * GUEST_PAGE) | table);
	if (!r)
		r = boot_put(l, *cr3 + GUEST_PAGE, buf, sizeof(buf), e);
	for (unsigned i = 0; i < 4 && !r; i++) {
		for (unsigned k = 0; k < 512; k++)
			le64_store(buf + 8 * k, (GIB(1) * i + MIB(2) * k) | page);
		r = boot_put(l, *cr3 + (2 + i) * GUEST_PAGE, buf, sizeof(buf), e);
	}
	return r;
}

int boot_state_long(struct boot_load *l, struct x86_vcpu *v, struct err *e)
{
	gpa_t cr3;
	int r;

	set_segments(v, X86_SEG_L);
	v->rip = l->entry;
	r = put_gdt(l, v, e);
	if (!r)
		r = put_page_tables(l, &cr3, e);
	if (r)
		return r;
	v->cr3 = cr3;
	v->cr4 = X86_CR4_PAE;
	v->cr0 = X86_CR0_PE | X86_CR0_ET | X86_CR0_PG;
	v->efer = X86_EFER_LME | X86_EFER_LMA;
	return 0;
}

/* Puts @value into the vCPU's MSR list, which stays in ascending order; a full list is left alone.
 */
static void set_msr(struct x86_vcpu *v, uint32_t index, uint64_t value)
{
	uint64_t *old = x86_vcpu_msr(v, index);
	uint32_t i;

	if (old) {
		*old = value;
		return;
	}
	if (v->n_msrs >= X86_MSRS_MAX)
		return;
	for (i = v->n_msrs++; i > 0 && v->msr[i - 1].index > index; i--)
		v->msr[i] = v->msr[i - 1];
	v->msr[i] = (struct x86_msr){index, value};
}

void boot_x86_firmware(struct x86_vcpu *v)
{
	set_msr(v, X86_MSR_MISC_ENABLE, CPU_FAST_STRINGS);
	set_msr(v, X86_MSR_MTRR_DEF_TYPE, MTRR_ENABLE | MTRR_ENABLE_FIXED | MTRR_WRITE_BACK);
}

/*
 * Real mode: the segment's base and the offset make the address.  Addresses below 64 KiB keep base
 * 0, as a BIOS jumps to 0:7c00.  The stack is below 0x7c00, or at the end of the first 64 KiB if
 * the image is there.
 */
void boot_enter_raw(struct boot_load *l, struct x86_vcpu *v)
{
	gpa_t addr = l->img->raw_addr, end = addr + l->img->file.size;
	gpa_t base = addr < KIB(64) ? 0 : addr & ~UINT64_C(0xf);
	const uint32_t data = X86_SEG_P | X86_SEG_S | 0x3, code = X86_SEG_P | X86_SEG_S | 0xb;

	for (unsigned i = X86_ES; i <= X86_GS; i++)
		x86_seg_set(&v->seg[i], 0, 0, 0xffff, data);
	x86_seg_set(&v->seg[X86_CS], (uint16_t)(base >> 4), base, 0xffff, code);
	v->rip = addr - base;
	v->rflags = X86_FLAGS_FIXED;
	v->gpr[X86_RSP] = addr < BOOT_RAW_ADDR && end > BOOT_RAW_ADDR - KIB(1) ? 0 : BOOT_RAW_ADDR;
}
