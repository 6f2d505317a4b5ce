/*
 * accel/bt/mmu.h - guest memory as the software CPU sees it: linear addresses, the soft TLB, page
 * walks, code pages.
 *
 * Linear addresses are 64 bits here; outside 64-bit mode callers pass them cut to 32.  All of these
 * are for the vCPU's own thread unless said otherwise.  A failed access raises #PF (or #GP, #SS for
 * a non-canonical address, by @seg of bt_la) and does not return; then nothing was written.
 *
 * The TLB is one set for each address space that is remembered (PCID) and for user and supervisor
 * accesses; c->tlb is the current one.  An entry's tags match only where the access needs no
 * further thought: RAM, allowed, not holding translated code (write), no data breakpoint, no
 * alignment check.  Everything else goes to the slow path.
 */
#ifndef LODGE_ACCEL_BT_MMU_H
#define LODGE_ACCEL_BT_MMU_H

#include <string.h>

#include "accel/bt/bt.h"

#define BT_TLB_ENTRIES 1024u
#define BT_TLB_NONE    1u /* no tag: pages are aligned */

struct bt_tlbe {
	uint64_t rtag, wtag; /* linear page address, or BT_TLB_NONE */
	uintptr_t addend;    /* host address = linear address + addend */
	uint64_t pa;	     /* of the page; bits 11:0: global and page size, mmu.c's */
};

struct bt_tlb_set {
	struct bt_tlbe e[BT_TLB_ENTRIES];
};

enum bt_access { BT_READ = 0, BT_WRITE = 1, BT_EXEC = 2, BT_RMW = 3 };

static inline struct bt_tlbe *bt_tlbe_of(const struct bt_cpu *c, uint64_t la)
{
	return &c->tlb->e[la >> 12 & (BT_TLB_ENTRIES - 1)];
}

/* Slow paths: any address, any alignment, 1, 2, 4 or 8 bytes. */
uint64_t bt_ld_slow(struct bt_cpu *c, uint64_t la, unsigned size);
void bt_st_slow(struct bt_cpu *c, uint64_t la, uint64_t val, unsigned size);

/*
 * Guest memory is the guest's to race on, so the thread sanitizer does not look at what touches it
 * for a guest.
 */
#ifdef __SANITIZE_THREAD__
#define BT_GUEST_RACES __attribute__((no_sanitize("thread")))
#else
#define BT_GUEST_RACES
#endif

/* memset and memmove there. */
BT_GUEST_RACES static inline void bt_guest_set(void *dst, uint8_t v, size_t n)
{
#ifdef __SANITIZE_THREAD__
	__asm__ volatile("rep stosb" : "+D"(dst), "+c"(n) : "a"(v) : "memory");
#else
	memset(dst, v, n);
#endif
}

BT_GUEST_RACES static inline void bt_guest_move(void *dst, const void *src, size_t n)
{
#ifdef __SANITIZE_THREAD__
	volatile uint8_t *d = dst;
	const volatile uint8_t *s = src;

	if ((uintptr_t)dst <= (uintptr_t)src)
		for (size_t k = 0; k < n; k++)
			d[k] = s[k];
	else
		while (n--)
			d[n] = s[n];
#else
	memmove(dst, src, n);
#endif
}

/*
 * Loads and stores.  The tag test is of the last byte's page and the first's at once: an access
 * that crosses a page never hits.
 */
#define BT_ACCESSORS(bits)                                                                     \
	BT_GUEST_RACES static inline uint##bits##_t bt_ld##bits(struct bt_cpu *c, uint64_t la) \
	{                                                                                      \
		const struct bt_tlbe *t = bt_tlbe_of(c, la);                                   \
		uint##bits##_t v;                                                              \
		if (__builtin_expect(t->rtag != (la & ~UINT64_C(0xfff)) ||                     \
					     (la & 0xfff) > 4096 - (bits) / 8,                 \
				     0))                                                       \
			return (uint##bits##_t)bt_ld_slow(c, la, (bits) / 8);                  \
		memcpy(&v, (const void *)(uintptr_t)(la + t->addend), sizeof(v));              \
		return v;                                                                      \
	}                                                                                      \
	BT_GUEST_RACES static inline void bt_st##bits(struct bt_cpu *c, uint64_t la,           \
						      uint##bits##_t v)                        \
	{                                                                                      \
		const struct bt_tlbe *t = bt_tlbe_of(c, la);                                   \
		if (__builtin_expect(t->wtag != (la & ~UINT64_C(0xfff)) ||                     \
					     (la & 0xfff) > 4096 - (bits) / 8,                 \
				     0)) {                                                     \
			bt_st_slow(c, la, v, (bits) / 8);                                      \
			return;                                                                \
		}                                                                              \
		memcpy((void *)(uintptr_t)(la + t->addend), &v, sizeof(v));                    \
	}
BT_ACCESSORS(8)
BT_ACCESSORS(16)
BT_ACCESSORS(32)
BT_ACCESSORS(64)
#undef BT_ACCESSORS

/* By size in bytes: 1, 2, 4, 8; zero-extended. */
static inline uint64_t bt_ld(struct bt_cpu *c, uint64_t la, unsigned size)
{
	switch (size) {
	case 1: return bt_ld8(c, la);
	case 2: return bt_ld16(c, la);
	case 4: return bt_ld32(c, la);
	default: return bt_ld64(c, la);
	}
}

static inline void bt_st(struct bt_cpu *c, uint64_t la, uint64_t v, unsigned size)
{
	switch (size) {
	case 1: bt_st8(c, la, (uint8_t)v); break;
	case 2: bt_st16(c, la, (uint16_t)v); break;
	case 4: bt_st32(c, la, (uint32_t)v); break;
	default: bt_st64(c, la, v); break;
	}
}

/* Any length up to 4096 bytes; stores check everything before the first byte is written. */
void bt_ld_block(struct bt_cpu *c, uint64_t la, void *dst, unsigned n);
void bt_st_block(struct bt_cpu *c, uint64_t la, const void *src, unsigned n);
/* Raises what a write (@access) of [la, la+n) would; n up to 4096.  Sets A and D. */
void bt_probe(struct bt_cpu *c, uint64_t la, unsigned n, enum bt_access access);

/*
 * Supervisor accesses whatever the CPL: descriptor tables, TSS, IDT, and pushes to an inner stack
 * (@user false: supervisor).
 */
uint64_t bt_ld_sys(struct bt_cpu *c, uint64_t la, unsigned size);
void bt_st_sys(struct bt_cpu *c, uint64_t la, uint64_t v, unsigned size);
/* As bt_ld/bt_st with the privilege given: stacks of far transfers and of events. */
uint64_t bt_ld_as(struct bt_cpu *c, uint64_t la, unsigned size, bool user);
void bt_st_as(struct bt_cpu *c, uint64_t la, uint64_t v, unsigned size, bool user);
void bt_probe_as(struct bt_cpu *c, uint64_t la, unsigned n, enum bt_access access, bool user);

/*
 * [la, la+n) as host memory for a read-modify-write (BT_RMW: write permission is needed also if
 * nothing is written in the end) or for a block that host code touches: a pointer into RAM where
 * the range lies in one page of RAM, else @b->bytes, filled for BT_READ and BT_RMW.  bt_put ends
 * it: writes a bounce back (it cannot fault any more: checked) and looks after code pages.  A page-
 * crossing or device access with @locked holds bvm->exclusive between the two; n <= 64 then.
 * Between the two nothing may raise, unless bt_put is called first with @write false.
 */
struct bt_bounce {
	uint64_t la;
	unsigned n;
	bool bounced, exclusive, write;
	uint64_t pa[2];
	struct bt_code_page *code; /* of a pointer into a page that holds code */
	_Alignas(64) uint8_t bytes[1024 * 4];
};
void *bt_get(struct bt_cpu *c, uint64_t la, unsigned n, enum bt_access access, bool locked,
	     struct bt_bounce *b);
/* The same for a supervisor's access whatever the CPL: accessed and busy bits of descriptors. */
void *bt_get_sys(struct bt_cpu *c, uint64_t la, unsigned n, enum bt_access access, bool locked,
		 struct bt_bounce *b);
void bt_put(struct bt_cpu *c, struct bt_bounce *b, bool write);
/* The fast way of it: a pointer for a write within one page that the TLB allows, or NULL. */
static inline void *bt_write_ptr(struct bt_cpu *c, uint64_t la, unsigned n)
{
	const struct bt_tlbe *t = bt_tlbe_of(c, la);

	if (t->wtag != (la & ~UINT64_C(0xfff)) || (la & 0xfff) + n > 4096)
		return NULL;
	return (void *)(uintptr_t)(la + t->addend);
}
static inline const void *bt_read_ptr(struct bt_cpu *c, uint64_t la, unsigned n)
{
	const struct bt_tlbe *t = bt_tlbe_of(c, la);

	if (t->rtag != (la & ~UINT64_C(0xfff)) || (la & 0xfff) + n > 4096)
		return NULL;
	return (const void *)(uintptr_t)(la + t->addend);
}

/* The effective address of a memory operand; with a vector index (VSIB) the caller adds that. */
static inline uint64_t bt_ea(const struct bt_cpu *c, const struct insn *i)
{
	uint64_t ea = (uint64_t)i->disp;

	if (i->base < 16)
		ea += c->gpr[i->base];
	else if (i->base == INSN_RIP)
		ea += c->rip + i->len;
	if (i->index < 16)
		ea += c->gpr[i->index] << i->scale;
	if (__builtin_expect(i->asize == 8, 1))
		return ea;
	return i->asize == 4 ? (uint32_t)ea : (uint16_t)ea;
}

/*
 * The linear address of a memory operand: effective address, segment base, segment and (outside
 * the TLB's knowledge) canonical checks for @n bytes.  #GP(0), or #SS(0) through SS.
 */
uint64_t bt_seg_check(struct bt_cpu *c, unsigned seg, uint64_t ea, unsigned n,
		      enum bt_access access);
static inline uint64_t bt_la_of(struct bt_cpu *c, unsigned seg, uint64_t ea, unsigned n,
				enum bt_access access)
{
	if (c->mode.code == 8) /* not canonical: never in the TLB, the slow path raises */
		return ea + c->seg_base[seg];
	if (c->mode.flat[seg])
		return (uint32_t)(ea + c->seg_base[seg]);
	return bt_seg_check(c, seg, ea, n, access);
}
static inline uint64_t bt_la(struct bt_cpu *c, const struct insn *i, unsigned n,
			     enum bt_access access)
{
	return bt_la_of(c, i->seg, bt_ea(c, i), n, access);
}

/* Code. ------------------------------------------------------------------------------------- */

/*
 * Where the code at linear address @la is: the physical address, and the host address of the byte,
 * good to the end of the page.  *host NULL: not RAM (device or nothing: bytes come by
 * as_vcpu_read). Raises #PF with the instruction-fetch bit.
 */
void bt_fetch(struct bt_cpu *c, uint64_t la, gpa_t *pa, const uint8_t **host);

/*
 * Code pages.  A block of decoded instructions is good while the version of each page it came from
 * is what it was.  bt_code_mark tells that [pa, pa+n) (one page) is about to be decoded and gives
 * the page's version; the caller reads the bytes only afterwards.  *settled: every vCPU has dropped
 * its write tags to the page since it was first marked; a block of a page that is not settled may
 * be run once but not kept.  Any thread's writes to marked lines (64 bytes) raise the version.
 */
struct bt_code_page {
	_Atomic uint32_t version;
	_Atomic uint32_t marked_at; /* epoch of the first mark */
	_Atomic uint64_t lines;	    /* 64-byte lines that hold decoded code */
};
/* NULL: not RAM. */
struct bt_code_page *bt_code_mark(struct bt_cpu *c, gpa_t pa, unsigned n, uint32_t *version,
				  bool *settled);
/* Writes that did not go through a vCPU: devices' DMA, loaders.  Any thread. */
void bt_code_written(struct bt_vm *b, struct ram *r, uint64_t off, uint64_t n);

/* TLB upkeep. -------------------------------------------------------------------------------- */
/*
 * When c->cpuid is made and before c is in bvm->cpu.  It starts idle (mmu_idle).  -ENOMEM.
 * mmu_exit: when c is no longer in bvm->cpu.
 */
int mmu_init(struct bt_cpu *c, struct err *e) MUST_CHECK;
void mmu_exit(struct bt_cpu *c);
/* Before the first map of RAM; mmu_vm_exit after the last vCPU's and while RAM is still there. */
int mmu_vm_init(struct bt_vm *b, struct err *e) MUST_CHECK;
void mmu_vm_exit(struct bt_vm *b);
/*
 * For accel->slot_set and slot_dirty; any thread.  Neither waits for vCPUs.  A page that a vCPU can
 * write without being seen is reported by the fetch after next at the latest, or by the first one
 * with the world stopped.
 */
int mmu_slot_set(struct bt_vm *b, const struct as_map *m, bool remove, bool log,
		 struct err *e) MUST_CHECK;
void mmu_slot_dirty(struct bt_vm *b);
/* Any thread: all vCPUs forget their translations before their next block (A20, maps). */
void mmu_vm_flush(struct bt_vm *b);
/*
 * On the vCPU's thread: true before it sleeps, and before it leaves vcpu_run; false when it is
 * back, before it runs guest code or touches guest memory.  While idle it does neither.
 */
void mmu_idle(struct bt_cpu *c, bool idle);
/*
 * Chooses c->tlb after a change of CPL, CR0, CR4, EFER, RFLAGS.AC, DR0 to DR3, DR7, PKRU; called by
 * bt_mode_changed.  Flushes what a change of paging bits, breakpoints or keys makes wrong.
 */
void mmu_mode_changed(struct bt_cpu *c);
/* A write of CR3 (with bit 63 already taken off: @keep), of CR0/CR4 paging bits, INVLPG, INVPCID.
 */
void mmu_cr3_written(struct bt_cpu *c, bool keep);
void mmu_flush_all(struct bt_cpu *c, bool globals);
void mmu_flush_page(struct bt_cpu *c, uint64_t la);
void mmu_invpcid(struct bt_cpu *c, unsigned type, unsigned pcid, uint64_t la);
/* BT_ATTN_CODE and BT_ATTN_FLUSH, served between two blocks. */
void mmu_attend(struct bt_cpu *c, uint32_t bits);
/*
 * A number for what linear addresses of code mean now, in this address space and at this privilege:
 * what a cache keyed by linear address learnt under a number is good whenever the number is this
 * again, also after switches to other address spaces and back.
 */
uint64_t mmu_generation(const struct bt_cpu *c);
/* run.c: an access of @size bytes, 1 to 8, that reached no RAM; 1 if it was the local APIC's. */
int bt_lapic_mmio(struct bt_cpu *c, gpa_t pa, void *data, unsigned size, bool write);
/* Walks as the MMU would, without any effect; for INSN fetch of debuggers, LAR-like probes, tests.
 */
bool mmu_peek(struct bt_cpu *c, uint64_t la, gpa_t *pa);

#endif
