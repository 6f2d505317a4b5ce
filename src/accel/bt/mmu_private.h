/*
 * accel/bt/mmu_private.h - what walk.c, mmu.c, access.c and code.c share.  Nobody else includes it.
 */
#ifndef LODGE_ACCEL_BT_MMU_PRIVATE_H
#define LODGE_ACCEL_BT_MMU_PRIVATE_H

#include "accel/bt/mmu.h"

/* Bits of control registers and flags that only the MMU looks at (SDM 3A §2.5, §2.3). */
#define CR4_PCIDE (1u << 17)
#define CR4_SMEP  (1u << 20)
#define CR4_SMAP  (1u << 21)
#define CR4_PKE	  (1u << 22)
#define FLAGS_AC  (1u << 18)

/* Bits of paging-structure entries beyond those in arch/x86/defs.h (SDM 3A §4.3 to §4.5). */
#define PTE_A  (1u << 5)
#define PTE_D  (1u << 6)
#define PTE_G  (1u << 8)
#define PTE_NX (UINT64_C(1) << 63)

/* Error code of #PF (SDM 3A §4.7). */
#define PF_P	1u
#define PF_W	2u
#define PF_U	4u
#define PF_RSVD 8u
#define PF_I	16u
#define PF_PK	32u

#define PAGE_MASK (~UINT64_C(0xfff))

/* Who accesses.  Each has a TLB set of its own in every address space. */
enum mmu_class {
	MMU_SUP,	/* supervisor; with SMAP: RFLAGS.AC clear, or an implicit access */
	MMU_USER,	/* CPL 3 */
	MMU_SUP_AC,	/* supervisor with SMAP and RFLAGS.AC */
	MMU_USER_ALIGN, /* CPL 3 with alignment checks: no entry matches at once */
	MMU_CLASSES
};

static inline bool mmu_is_user(enum mmu_class cls)
{
	return cls == MMU_USER || cls == MMU_USER_ALIGN;
}

/* A piece of RAM or ROM, remembered from the flat view until BT_ATTN_FLUSH. */
struct mmu_window {
	gpa_t base;
	uint64_t len;
	struct ram *ram;
	uint64_t ram_off;
	uint8_t *host;		    /* of .base */
	struct bt_code_page *pages; /* of .base */
};

/* What a walk found. */
struct mmu_walk {
	gpa_t pa;      /* of the byte that was asked for, A20 applied */
	uint8_t shift; /* the page has 2^shift bytes */
	bool global;
	bool write_ok; /* writes are allowed and the dirty bit is set */
};

/*
 * Walks for an access of class @cls and sets A and D.  False: *error is for #PF, nothing was set.
 * @la is canonical.
 */
bool mmu_walk(struct bt_cpu *c, uint64_t la, enum bt_access access, enum mmu_class cls,
	      struct mmu_walk *w, uint32_t *error);
bool mmu_canonical(const struct bt_cpu *c, uint64_t la);

/*
 * TLB sets.  A tag is the page's linear address, with TLB_SLOW if the translation is known and the
 * access allowed, but there is something to look at: a device, ROM, a breakpoint, translated code.
 */
#define TLB_SLOW 2u

/* Low bits of bt_tlbe.pa. */
#define TE_GLOBAL   1u
#define TE_SIZE	    6u /* 0: 4 KiB, 2: 2 MiB, 4: 4 MiB, 6: 1 GiB */
#define TE_IO	    8u /* neither RAM nor ROM */
#define TE_ROM	    16u
#define TE_BP	    32u /* a data breakpoint of DR7 or of a debugger is in the page */
#define TE_ALIGN    64u
#define TE_NO_WRITE (TE_IO | TE_ROM | TE_BP | TE_ALIGN) /* why a write needs more than code.c */

#define TLB_WORDS (BT_TLB_ENTRIES / 64)

struct mmu_set {
	struct bt_tlb_set t; /* first: c->tlb points to it */
	struct bt_code_page *code[BT_TLB_ENTRIES];
	uint64_t used[TLB_WORDS];   /* entries that may hold something */
	uint64_t global[TLB_WORDS]; /* of them: global pages */
	uint64_t large[TLB_WORDS];  /* of them: parts of large pages */
	uint64_t wfast[TLB_WORDS];  /* of them: may have a write tag that matches at once */
	uint64_t bloom4m, bloom1g;  /* which large pages may be here */
	bool ready;
};

/* An address space that is remembered, by PCID; 0 without CR4.PCIDE. */
#define MMU_SPACES 8u
struct mmu_space {
	struct mmu_set set[MMU_CLASSES];
};
struct mmu_space_head {
	uint16_t pcid;
	bool used;
	bool stale;	/* a flush that is made when the space is entered: non-global entries */
	bool stale_all; /* and global ones */
	uint64_t stamp; /* when it was entered last */
	uint64_t gen;	/* what instruction fetches mean; bit 0 is left for user and supervisor */
};

#define ITLB_ENTRIES 256u
struct mmu_itlbe {
	uint64_t la; /* page | 1 for user */
	uint64_t gen;
	gpa_t pa;
	const uint8_t *host;
};

#define WFILTER_BITS 65536u
#define FETCHED_BITS 4096u

struct bt_mmu {
	enum mmu_class cls;
	unsigned cur;	/* space */
	uint32_t ready; /* sets that are in use: bit space * MMU_CLASSES + class */
	struct mmu_space *space;
	struct mmu_space_head head[MMU_SPACES];
	uint64_t clock;	     /* for stamps */
	uint64_t gens;	     /* last generation given, a multiple of 2 */
	uint64_t gen_global; /* of global pages in all spaces */
	uint64_t key[3];     /* control register bits that entries depend on */
	uint64_t dr[5];	     /* breakpoints that entries depend on */
	uint32_t pkru;
	struct mmu_window win[2];
	uint32_t flushed; /* struct bt_code.flushes when that was done last */
	uint64_t rsvd;	  /* physical-address bits above MAXPHYADDR, up to bit 51 */
	bool pages_1g;	  /* CPUID */
	struct mmu_itlbe itlb[ITLB_ENTRIES];
	uint64_t fetched[FETCHED_BITS / 64]; /* hashes of pages that fetches of this space used */
	/* code.c */
	_Atomic uint32_t acked; /* epoch up to which write tags of code pages were dropped */
	_Atomic bool idle;	/* runs no guest code, and looks at the epoch before it does */
	uint64_t wfilter[WFILTER_BITS / 64]; /* code pages that may have a fast write tag here */
};

/* mmu.c */
struct mmu_set *mmu_set_of(struct bt_cpu *c, enum mmu_class cls);
/* RAM or ROM at @pa; NULL: neither.  Good until the next call. */
const struct mmu_window *mmu_window_find(struct bt_cpu *c, gpa_t pa);
static inline const struct mmu_window *mmu_window_at(struct bt_cpu *c, gpa_t pa)
{
	const struct mmu_window *w = c->mmu->win;

	if (LIKELY(pa - w->base < w->len))
		return w;
	return mmu_window_find(c, pa);
}
/* Walks and puts the result into @set; raises. */
struct bt_tlbe *mmu_fill(struct bt_cpu *c, struct mmu_set *set, enum mmu_class cls, uint64_t la,
			 enum bt_access access, bool stack);
_Noreturn void mmu_raise_canonical(struct bt_cpu *c, bool stack);
/* Write tags that match at once are given up where code.c says so, in all sets. */
void mmu_drop_write_tags(struct bt_cpu *c);

/* Drops all that is known, as for BT_ATTN_FLUSH. */
void mmu_forget(struct bt_cpu *c);
/* Entry @i of @set may have a write tag that matches at once from now on. */
static inline void mmu_allow_write(struct bt_cpu *c, struct mmu_set *set, unsigned i)
{
	unsigned h = (unsigned)((uintptr_t)set->code[i] / sizeof(*set->code[i])) % WFILTER_BITS;

	set->t.e[i].wtag &= ~(uint64_t)TLB_SLOW;
	if (!set->code[i])
		return;
	set->wfast[i / 64] |= UINT64_C(1) << (i % 64);
	c->mmu->wfilter[h / 64] |= UINT64_C(1) << (h % 64);
}

/* code.c */
struct code_ram {
	struct bt_vm *bvm;
	struct ram *ram;
	struct bt_code_page *pages;
	size_t bytes;
	struct code_ram *next;
};
#define CODE_RING 256u
struct bt_code {
	pthread_mutex_t lock; /* a leaf: transitions of .lines between none and some; .rams */
	_Atomic uint32_t epoch;
	_Atomic uint32_t flushes; /* how often all vCPUs were asked to forget their translations */
	_Atomic(struct bt_code_page *) ring[CODE_RING]; /* pages by the epoch of their mark */
	_Atomic bool logging;				/* writes to some RAM are logged */
	struct code_ram *rams;
};
/*
 * [off, off+n) of the page of @p was just stored to by this thread: drops what was made of it.
 * True if the page held code there.
 */
bool code_stored(struct bt_vm *b, struct bt_code_page *p, unsigned off, unsigned n);
/* Serves BT_ATTN_CODE. */
void code_serve(struct bt_cpu *c);
static inline struct bt_code_page *code_page_of(const struct mmu_window *w, gpa_t pa)
{
	return w->pages ? &w->pages[(pa - w->base) / GUEST_PAGE] : NULL;
}

static inline uint64_t code_lines(unsigned off, unsigned n)
{
	return UINT64_MAX << (off / 64) & UINT64_MAX >> (63 - (off + n - 1) / 64);
}

static inline unsigned code_hash(const struct bt_code_page *p)
{
	return (unsigned)((uintptr_t)p / sizeof(*p)) % WFILTER_BITS;
}

/* memcpy where one side is guest memory; see BT_GUEST_RACES. */
static inline void guest_copy(void *dst, const void *src, size_t n)
{
#ifdef __SANITIZE_THREAD__
	__asm__ volatile("rep movsb" : "+D"(dst), "+S"(src), "+c"(n)::"memory");
#else
	memcpy(dst, src, n);
#endif
}

#endif
