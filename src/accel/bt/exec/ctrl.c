/*
 * accel/bt/exec/ctrl.c - control and debug registers, and what belongs to paging: INVLPG, INVPCID
 * (SDM 3A §2.5, §4.10.4, 3B §17.2; SDM 2B MOV).
 */
#include "accel/bt/cpu.h"
#include "accel/bt/exec/sys.h"

#define CR0_KNOWN                                                                      \
	(X86_CR0_PE | X86_CR0_MP | X86_CR0_EM | X86_CR0_TS | X86_CR0_ET | X86_CR0_NE | \
	 X86_CR0_WP | X86_CR0_AM | X86_CR0_NW | X86_CR0_CD | X86_CR0_PG)
#define CR3_PCID  0xfffu
#define CR3_KEEP  (UINT64_C(1) << 63)
#define PHYS_MASK ((UINT64_C(1) << BT_PHYS_BITS) - 1)

/* Reserved bits of a PDPTE of PAE paging (SDM 3A table 4-8). */
#define PDPTE_RESERVED (~PHYS_MASK | 0x1e6u)

/*
 * The four PDPTEs are checked when PAE paging begins or CR3 changes under it; walks read them from
 * memory (SDM 3A §4.4.1 lets a processor do so).
 */
static void check_pdptes(struct bt_cpu *c, uint64_t cr3)
{
	uint64_t e[4] = {0};

	if (as_read(&c->v->vm->mem, cr3 & 0xffffffe0, e, sizeof(e)) != IO_OK)
		return; /* not RAM: nothing is present there */
	for (unsigned n = 0; n < 4; n++)
		if (e[n] & X86_PTE_P && e[n] & PDPTE_RESERVED)
			bt_gp0(c);
}

static bool pae_paging(uint64_t cr0, uint64_t cr4, uint64_t efer)
{
	return cr0 & X86_CR0_PG && cr4 & X86_CR4_PAE && !(efer & X86_EFER_LMA);
}

/* PG goes from 0 to 1. */
static uint64_t paging_on(struct bt_cpu *c)
{
	if (!(c->efer & X86_EFER_LME))
		return c->efer;
	if (!(c->cr4 & X86_CR4_PAE) || c->seg[X86_CS].attr & X86_SEG_L ||
	    !(X86_SEG_TYPE(c->seg[X86_TR].attr) & 8))
		bt_gp0(c);
	return c->efer | X86_EFER_LMA;
}

static void set_cr0(struct bt_cpu *c, uint64_t val)
{
	uint64_t old = c->cr0, efer = c->efer, changed;

	if (val >> 32 || (val & X86_CR0_PG && !(val & X86_CR0_PE)) ||
	    (val & X86_CR0_NW && !(val & X86_CR0_CD)))
		bt_gp0(c);
	val = (val & CR0_KNOWN) | X86_CR0_ET;
	changed = val ^ old;
	if (changed & X86_CR0_PG) {
		if (val & X86_CR0_PG) {
			efer = paging_on(c);
		} else {
			if (in_long(c) || c->cr4 & CR4_PCIDE)
				bt_gp0(c);
			efer &= ~(uint64_t)X86_EFER_LMA;
		}
	}
	if (changed & (X86_CR0_PG | X86_CR0_CD | X86_CR0_NW) && pae_paging(val, c->cr4, efer))
		check_pdptes(c, c->cr3);
	c->cr0 = val;
	c->efer = efer;
	if (changed & (X86_CR0_PG | X86_CR0_WP | X86_CR0_PE))
		mmu_flush_all(c, true);
	bt_mode_changed(c);
}

static void set_cr3(struct bt_cpu *c, uint64_t val)
{
	bool keep = c->cr4 & CR4_PCIDE && val & CR3_KEEP;

	if (c->cr4 & CR4_PCIDE)
		val &= ~CR3_KEEP;
	if (c->mode.lma && val & ~PHYS_MASK)
		bt_gp0(c);
	if (pae_paging(c->cr0, c->cr4, c->efer))
		check_pdptes(c, val);
	c->cr3 = val;
	mmu_cr3_written(c, keep);
	bt_mode_changed(c);
}

uint64_t cr4_known(const struct bt_cpu *c)
{
	static const struct {
		uint32_t bits;
		uint32_t leaf;
		uint8_t reg, bit;
	} t[] = {
		{CR4_VME | CR4_PVI, 1, CPUID_EDX, 1},
		{CR4_DE, 1, CPUID_EDX, 2},
		{X86_CR4_PSE, 1, CPUID_EDX, 3},
		{CR4_TSD, 1, CPUID_EDX, 4},
		{X86_CR4_PAE, 1, CPUID_EDX, 6},
		{CR4_MCE, 1, CPUID_EDX, 7},
		{X86_CR4_PGE, 1, CPUID_EDX, 13},
		{X86_CR4_OSFXSR, 1, CPUID_EDX, 24},
		{X86_CR4_OSXMMEXCPT, 1, CPUID_EDX, 25},
		{CR4_PCIDE, 1, CPUID_ECX, 17},
		{X86_CR4_OSXSAVE, 1, CPUID_ECX, 26},
		{CR4_FSGSBASE, 7, CPUID_EBX, 0},
		{CR4_SMEP, 7, CPUID_EBX, 7},
		{CR4_SMAP, 7, CPUID_EBX, 20},
		{CR4_UMIP, 7, CPUID_ECX, 2},
		{CR4_PKE, 7, CPUID_ECX, 3},
		{X86_CR4_LA57, 7, CPUID_ECX, 16},
	};
	uint64_t known = CR4_PCE;

	for (unsigned n = 0; n < ARRAY_LEN(t); n++)
		if (cpu_has(c, t[n].leaf, 0, t[n].reg, t[n].bit))
			known |= t[n].bits;
	return known;
}

static void set_cr4(struct bt_cpu *c, uint64_t val)
{
	uint64_t changed = val ^ c->cr4;

	if (val & ~cr4_known(c))
		bt_gp0(c);
	if (c->mode.lma && (changed & X86_CR4_LA57 || !(val & X86_CR4_PAE)))
		bt_gp0(c);
	if (changed & val & CR4_PCIDE && (!c->mode.lma || c->cr3 & CR3_PCID))
		bt_gp0(c);
	if (changed & (X86_CR4_PAE | X86_CR4_PSE | X86_CR4_PGE | CR4_SMEP) &&
	    pae_paging(c->cr0, val, c->efer))
		check_pdptes(c, c->cr3);
	c->cr4 = val;
	if (changed & (X86_CR4_PAE | X86_CR4_PSE | X86_CR4_PGE | CR4_PCIDE | CR4_SMEP | CR4_SMAP |
		       CR4_PKE | X86_CR4_LA57))
		mmu_flush_all(c, true);
	bt_mode_changed(c);
}

static uint64_t get_cr(struct bt_cpu *c, unsigned n)
{
	switch (n) {
	case 0: return c->cr0;
	case 2: return c->cr2;
	case 3: return c->cr3;
	case 4: return c->cr4;
	case 8: return c->lapic ? lapic_tpr(c->lapic) : 0;
	default: bt_ud(c);
	}
}

static void set_cr(struct bt_cpu *c, unsigned n, uint64_t val)
{
	switch (n) {
	case 0: set_cr0(c, val); break;
	case 2: c->cr2 = val; break;
	case 3: set_cr3(c, val); break;
	case 4: set_cr4(c, val); break;
	case 8:
		if (val > 15)
			bt_gp0(c);
		if (c->lapic)
			lapic_set_tpr(c->lapic, (uint8_t)val);
		break;
	default: bt_ud(c);
	}
}

void exec_mov_cr(struct bt_cpu *c, const struct insn *i)
{
	unsigned size = in_long(c) ? 8 : 4;

	need_cpl0(c);
	if (i->op[0].kind == OP_CR) {
		/* The mode may be another one behind it; the next instruction's address is not. */
		uint64_t next = next_rip(c, i);

		set_cr(c, i->op[0].reg, reg_get(c, i->op[1].reg, size));
		if (insn_table[i->row].attr & A_END)
			c->rip = next;
	} else {
		reg_set(c, i->op[0].reg, get_cr(c, i->op[1].reg), size);
		step_over(c, i);
	}
}

void exec_lmsw(struct bt_cpu *c, const struct insn *i)
{
	uint64_t next = next_rip(c, i), val;

	need_cpl0(c);
	val = rm_get(c, i, &i->op[0], 2) & 15;
	val |= c->cr0 & X86_CR0_PE; /* it can be set here, and not cleared */
	set_cr0(c, (c->cr0 & ~UINT64_C(15)) | val);
	if (insn_table[i->row].attr & A_END)
		c->rip = next;
}

void exec_smsw(struct bt_cpu *c, const struct insn *i)
{
	if (c->cr4 & CR4_UMIP && c->mode.cpl)
		bt_gp0(c);
	if (i->op[0].kind == OP_REG)
		reg_set(c, i->op[0].reg, c->cr0, i->osize);
	else
		bt_st16(c, bt_la(c, i, 2, BT_WRITE), (uint16_t)c->cr0);
	step_over(c, i);
}

void exec_clts(struct bt_cpu *c, const struct insn *i)
{
	need_cpl0(c);
	c->cr0 &= ~(uint64_t)X86_CR0_TS;
	step_over(c, i);
}

/* Debug registers (SDM 3B §17.2). ----------------------------------------------------------- */

static unsigned dr_number(struct bt_cpu *c, unsigned n)
{
	if (n > 7)
		bt_ud(c);
	if (n == 4 || n == 5) {
		if (c->cr4 & CR4_DE)
			bt_ud(c);
		n += 2;
	}
	return n;
}

void dr_set(struct bt_cpu *c, unsigned n, uint64_t val)
{
	uint64_t old = c->dr7;

	if (n < 4)
		c->dr[n] = val;
	else if (n == 6)
		c->dr6 = (val & (DR6_B | DR6_BD | DR6_BS | DR6_BT)) | DR6_FIXED1;
	else
		c->dr7 = (val & 0xffff23ff) | DR7_FIXED1;
	/* Pages with data breakpoints have no place in the TLB. */
	if (n != 6 && (old | c->dr7) & 0xff)
		mmu_flush_all(c, true);
	if (n == 7)
		bt_mode_changed(c);
}

void exec_mov_dr(struct bt_cpu *c, const struct insn *i)
{
	bool write = i->op[0].kind == OP_DR;
	unsigned size = in_long(c) ? 8 : 4, n;
	uint64_t val;

	need_cpl0(c);
	n = dr_number(c, i->op[write ? 0 : 1].reg);
	if (c->dr7 & DR7_GD)
		bt_raise_db(c, DR6_BD);
	if (write) {
		val = reg_get(c, i->op[1].reg, size);
		if (n >= 6 && val >> 32)
			bt_gp0(c);
		dr_set(c, n, val);
	} else {
		val = n < 4 ? c->dr[n] : n == 6 ? c->dr6 : c->dr7;
		reg_set(c, i->op[0].reg, val, size);
	}
	step_over(c, i);
}

void bt_io_breakpoint(struct bt_cpu *c, uint16_t port, unsigned n)
{
	static const uint8_t length[] = {1, 2, 8, 4};

	if (!(c->cr4 & CR4_DE))
		return;
	for (unsigned k = 0; k < 4; k++) {
		unsigned len = length[c->dr7 >> (18 + 4 * k) & 3];
		uint64_t at = c->dr[k] & ~(uint64_t)(len - 1);

		if (!(c->dr7 >> (2 * k) & 3) || (c->dr7 >> (16 + 4 * k) & 3) != 2)
			continue;
		if (port < at + len && at < (uint64_t)port + n) {
			c->dr_hits |= (uint8_t)(1u << k);
			c->dr_pending = true;
		}
	}
}

/* Translations. ----------------------------------------------------------------------------- */

void exec_invlpg(struct bt_cpu *c, const struct insn *i)
{
	uint64_t la;

	need_cpl0(c);
	la = bt_ea(c, i) + c->seg_base[i->seg];
	mmu_flush_page(c, in_long(c) ? la : (uint32_t)la);
	step_over(c, i);
}

void exec_invpcid(struct bt_cpu *c, const struct insn *i)
{
	uint64_t type = reg_get(c, i->op[0].reg, in_long(c) ? 8 : 4), d[2];

	need_cpl0(c);
	bt_ld_block(c, bt_la(c, i, 16, BT_READ), d, 16);
	if (type > 3)
		bt_gp0(c);
	if (type < 2 && (d[0] >> 12 || (!(c->cr4 & CR4_PCIDE) && d[0])))
		bt_gp0(c);
	if (type == 0 && !canonical(c, d[1]))
		bt_gp0(c);
	mmu_invpcid(c, (unsigned)type, (unsigned)(d[0] & 0xfff), d[1]);
	step_over(c, i);
}
