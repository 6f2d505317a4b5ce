/*
 * accel/bt/walk.c - page walks (SDM 3A §4.3 to §4.7, APM 2 §5).
 *
 * All paging modes: none, 32-bit with 4 MiB pages (PSE-36), PAE, 4 and 5 levels with 2 MiB and
 * 1 GiB pages.  Nothing of the upper levels is remembered between walks.
 *
 * Where the manuals leave room or the makers differ:
 * - PAE's four page-directory pointers are read at every walk, as AMD does, not when CR3 is loaded;
 *   reserved bits in them are #PF with RSVD.
 * - Tables that lie neither in RAM nor in ROM read as not present.  In ROM accessed and dirty bits
 *   stay as they are, and the walk goes on.
 * - Accessed and dirty bits are set after all checks of all levels, so a walk that faults sets
 * none.
 *
 * Concurrency.  Entries are read once each, with single loads, and A and D are set with compare-
 * exchange against the value that was read; when another vCPU changed the entry in between, the
 * whole walk starts again.  An exchange that fails means that somebody else's store succeeded.  To
 * code pages and the dirty log these stores are writes as any other.
 */
#include "accel/bt/mmu_private.h"

struct step {
	void *entry; /* host address */
	gpa_t at;
	uint64_t val;
};

struct walker {
	struct step step[5];
	unsigned n;
	uint64_t all, any; /* of the entries: bits that all, that some of them have */
	bool wide;	   /* 64-bit entries */
	uint64_t leaf;
	uint8_t shift;
	gpa_t pa;
};

enum walk_end { WALK_OK, WALK_NOT_PRESENT, WALK_RESERVED };

bool mmu_canonical(const struct bt_cpu *c, uint64_t la)
{
	unsigned unused = c->cr4 & X86_CR4_LA57 ? 64 - 57 : 64 - 48;

	if (!(c->efer & X86_EFER_LMA))
		return true;
	return (uint64_t)((int64_t)(la << unused) >> unused) == la;
}

/* Reads the entry at @at; false if there is no memory. */
BT_GUEST_RACES static inline bool step_read(struct bt_cpu *c, struct walker *w, gpa_t at)
{
	struct step *s = &w->step[w->n];
	const struct mmu_window *win;

	at &= c->bvm->a20_mask;
	win = mmu_window_at(c, at);
	if (UNLIKELY(!win))
		return false;
	s->entry = win->host + (at - win->base);
	s->at = at;
	if (w->wide)
		s->val = __atomic_load_n((uint64_t *)s->entry, __ATOMIC_ACQUIRE);
	else
		s->val = __atomic_load_n((uint32_t *)s->entry, __ATOMIC_ACQUIRE);
	w->n++;
	return true;
}

/* Combines the permissions of the entry that was read last. */
static void step_combine(struct walker *w, uint64_t val)
{
	w->all &= val;
	w->any |= val;
}

static enum walk_end walk_32(struct bt_cpu *c, struct walker *w, uint32_t la)
{
	uint64_t e;

	w->wide = false;
	if (!step_read(c, w, (c->cr3 & 0xfffff000) + (la >> 22) * 4))
		return WALK_NOT_PRESENT;
	e = w->step[0].val;
	if (!(e & X86_PTE_P))
		return WALK_NOT_PRESENT;
	step_combine(w, e);
	if ((e & X86_PTE_PS) && (c->cr4 & X86_CR4_PSE)) {
		/* Bits 20:13 are address bits 39:32, as far as there are any; bit 21 is none. */
		gpa_t high = (e >> 13 & 0xff) << 32;

		if ((e & 1u << 21) || (high & c->mmu->rsvd))
			return WALK_RESERVED;
		w->leaf = e;
		w->shift = 22;
		w->pa = high | (e & 0xffc00000) | (la & 0x3fffff);
		return WALK_OK;
	}
	if (!step_read(c, w, (e & 0xfffff000) + (la >> 12 & 0x3ff) * 4))
		return WALK_NOT_PRESENT;
	e = w->step[1].val;
	if (!(e & X86_PTE_P))
		return WALK_NOT_PRESENT;
	step_combine(w, e);
	w->leaf = e;
	w->shift = 12;
	w->pa = (e & 0xfffff000) | (la & 0xfff);
	return WALK_OK;
}

/* From the table at @table, whose entries cover 2^@shift bytes each; @rsvd holds in every entry. */
static enum walk_end walk_64(struct bt_cpu *c, struct walker *w, gpa_t table, unsigned shift,
			     uint64_t rsvd, uint64_t la)
{
	for (;; shift -= 9) {
		uint64_t e, size = UINT64_C(1) << shift, addr;
		bool leaf;

		if (!step_read(c, w, table + (la >> shift & 0x1ff) * 8))
			return WALK_NOT_PRESENT;
		e = w->step[w->n - 1].val;
		if (!(e & X86_PTE_P))
			return WALK_NOT_PRESENT;
		leaf = shift == 12 || (e & X86_PTE_PS);
		if (e & rsvd)
			return WALK_RESERVED;
		if (leaf && shift > 12 &&
		    (shift > 30 || (shift == 30 && !c->mmu->pages_1g) || (e & (size - 0x2000))))
			return WALK_RESERVED;
		step_combine(w, e);
		addr = e & UINT64_C(0xffffffffff000);
		if (leaf) {
			w->leaf = e;
			w->shift = (uint8_t)shift;
			w->pa = (addr & ~(size - 1)) | (la & (size - 1));
			return WALK_OK;
		}
		table = addr;
	}
}

static enum walk_end walk_pae(struct bt_cpu *c, struct walker *w, uint64_t rsvd, uint32_t la)
{
	uint64_t e;

	w->wide = true;
	rsvd |= UINT64_C(0x7ff) << 52;
	if (!step_read(c, w, (c->cr3 & 0xffffffe0) + (la >> 30) * 8))
		return WALK_NOT_PRESENT;
	e = w->step[0].val;
	w->n = 0; /* it has neither permissions nor an accessed bit */
	if (!(e & X86_PTE_P))
		return WALK_NOT_PRESENT;
	if (e & (rsvd | PTE_NX | 0x1e6))
		return WALK_RESERVED;
	return walk_64(c, w, e & UINT64_C(0xffffffffff000), 21, rsvd, la);
}

/* Down to the page, without a look at permissions. */
static enum walk_end walk_tables(struct bt_cpu *c, struct walker *w, uint64_t la)
{
	uint64_t rsvd = c->mmu->rsvd | (c->efer & X86_EFER_NXE ? 0 : PTE_NX);

	w->n = 0;
	w->all = UINT64_MAX;
	w->any = 0;
	if (c->efer & X86_EFER_LMA) {
		w->wide = true;
		return walk_64(c, w, c->cr3 & UINT64_C(0xffffffffff000) & ~c->mmu->rsvd,
			       c->cr4 & X86_CR4_LA57 ? 48 : 39, rsvd, la);
	}
	if (c->cr4 & X86_CR4_PAE)
		return walk_pae(c, w, rsvd, (uint32_t)la);
	return walk_32(c, w, (uint32_t)la);
}

/* Does PKRU forbid it (SDM 3A §4.6.2)?  @write as the key sees it: WP clear lets supervisors. */
static bool key_forbids(const struct bt_cpu *c, const struct walker *w, bool write)
{
	if (LIKELY(!(c->cr4 & CR4_PKE)) || !(c->efer & X86_EFER_LMA) || !(w->all & X86_PTE_US))
		return false;
	return c->ext.pkru >> (w->leaf >> 59 & 15) * 2 & (write ? 3 : 1);
}

/* 0, or PF_P and PF_PK as they are due. */
static uint32_t forbidden(const struct bt_cpu *c, const struct walker *w, enum bt_access access,
			  enum mmu_class cls)
{
	bool user = mmu_is_user(cls), guarded = user || (c->cr0 & X86_CR0_WP);
	bool us = w->all & X86_PTE_US, rw = w->all & X86_PTE_RW, nx = w->any & PTE_NX;
	uint32_t err = 0;

	if (access == BT_EXEC) {
		if (nx || (user ? !us : us && (c->cr4 & CR4_SMEP)))
			err = PF_P;
		return err;
	}
	if (user ? !us : us && (c->cr4 & CR4_SMAP) && cls != MMU_SUP_AC)
		err = PF_P;
	if ((access & BT_WRITE) && !rw && guarded)
		err = PF_P;
	if (key_forbids(c, w, (access & BT_WRITE) && guarded))
		err = PF_P | PF_PK;
	return err;
}

/* Sets @bits in the entry; false: it is no longer what was read. */
static COLD BT_GUEST_RACES bool step_set(struct bt_cpu *c, const struct walker *w,
					 const struct step *s, uint64_t bits)
{
	const struct mmu_window *win = mmu_window_at(c, s->at);
	unsigned size = w->wide ? 8 : 4;
	struct bt_code_page *code;

	if (!win || win->ram->rom)
		return true;
	if (w->wide) {
		uint64_t old = s->val;

		if (!__atomic_compare_exchange_n((uint64_t *)s->entry, &old, old | bits, false,
						 __ATOMIC_SEQ_CST, __ATOMIC_RELAXED))
			return false;
	} else {
		uint32_t old = (uint32_t)s->val;

		if (!__atomic_compare_exchange_n((uint32_t *)s->entry, &old, old | (uint32_t)bits,
						 false, __ATOMIC_SEQ_CST, __ATOMIC_RELAXED))
			return false;
	}
	ram_log_dirty(win->ram, win->ram_off + (s->at - win->base), size);
	code = code_page_of(win, s->at);
	if (code)
		(void)code_stored(c->bvm, code, s->at & 0xfff, size);
	return true;
}

/* Sets A everywhere and D in the leaf; false: an entry is no longer what was read. */
static bool set_bits(struct bt_cpu *c, const struct walker *w, bool write)
{
	uint64_t leaf = PTE_A | (write ? PTE_D : 0);

	if (LIKELY((w->all & PTE_A) && (w->leaf & leaf) == leaf))
		return true;
	for (unsigned i = 0; i < w->n; i++) {
		uint64_t bits = i == w->n - 1 ? leaf : PTE_A;

		if ((w->step[i].val & bits) != bits && !step_set(c, w, &w->step[i], bits))
			return false;
	}
	return true;
}

bool mmu_walk(struct bt_cpu *c, uint64_t la, enum bt_access access, enum mmu_class cls,
	      struct mmu_walk *out, uint32_t *error)
{
	bool write = access & BT_WRITE;
	struct walker w;
	enum walk_end end;
	uint32_t err;

	if (!(c->cr0 & X86_CR0_PG)) {
		*out = (struct mmu_walk){(uint32_t)la & c->bvm->a20_mask, 12, false, true};
		return true;
	}
	do {
		end = walk_tables(c, &w, la);
		err = end == WALK_NOT_PRESENT ? 0 : PF_P | PF_RSVD;
		if (end == WALK_OK)
			err = forbidden(c, &w, access, cls);
		if (end != WALK_OK || err) {
			if (write)
				err |= PF_W;
			if (mmu_is_user(cls))
				err |= PF_U;
			if (access == BT_EXEC &&
			    ((c->cr4 & CR4_SMEP) ||
			     ((c->cr4 & X86_CR4_PAE) && (c->efer & X86_EFER_NXE))))
				err |= PF_I;
			*error = err;
			return false;
		}
	} while (!set_bits(c, &w, write));
	out->pa = w.pa & c->bvm->a20_mask;
	out->shift = w.shift;
	out->global = (w.leaf & PTE_G) && (c->cr4 & X86_CR4_PGE);
	out->write_ok = (write || (w.leaf & PTE_D)) && !forbidden(c, &w, BT_WRITE, cls);
	return true;
}

bool mmu_peek(struct bt_cpu *c, uint64_t la, gpa_t *pa)
{
	struct walker w;

	if (!(c->cr0 & X86_CR0_PG)) {
		*pa = (uint32_t)la & c->bvm->a20_mask;
		return true;
	}
	if (!mmu_canonical(c, la) || walk_tables(c, &w, la) != WALK_OK)
		return false;
	*pa = w.pa & c->bvm->a20_mask;
	return true;
}
