/*
 * accel/bt/mmu.c - the soft TLB: its sets, what fills them and what empties them.
 *
 * Sets.  An address space is remembered for each of MMU_SPACES PCIDs; without CR4.PCIDE there is
 * one, PCID 0.  Each has a set for every class of access, so a change of CPL or of RFLAGS.AC is a
 * change of pointer.  The entry of a page is at the same index in each.  Global pages are entered
 * into the space they were used in, and are looked for in all when they are invalidated.
 *
 * Flushes.  A set knows by bitmaps which of its entries are in use and which of those are global,
 * so a flush touches what is there.  A space that is not current is only told that it is stale, and
 * flushed when it is entered.  Entries of large pages are 4 KiB parts; INVLPG drops all parts of a
 * large page, which two small filters make rare to look for.
 *
 * Dirty log.  While a block of RAM is logged, the fill that gives a page its write tag marks it
 * dirty, and whoever takes a write tag away marks it once more, because the log may have been
 * fetched and cleared in between while stores went on.  So fetching the log waits for no vCPU: it
 * asks for BT_ATTN_FLUSH, and what was written until then is in a later fetch.  Sleeping and parked
 * vCPUs hold no write tags (mmu_idle), so with the world stopped the log is exact.
 */
#include <errno.h>
#include <stdlib.h>
#include <sys/mman.h>

#include "accel/bt/mmu_private.h"
#include "base/sys.h"

#define CR0_KEY (X86_CR0_PE | X86_CR0_PG | X86_CR0_WP)
#define CR4_KEY                                                                          \
	(X86_CR4_PSE | X86_CR4_PAE | X86_CR4_PGE | X86_CR4_LA57 | CR4_PCIDE | CR4_SMEP | \
	 CR4_SMAP | CR4_PKE)
#define EFER_KEY (X86_EFER_NXE | X86_EFER_LMA)

#define CPUID_1G (1u << 26) /* 0x80000001 EDX */

static void set_bit(uint64_t *map, unsigned i)
{
	map[i / 64] |= UINT64_C(1) << (i % 64);
}

static void clear_bit(uint64_t *map, unsigned i)
{
	map[i / 64] &= ~(UINT64_C(1) << (i % 64));
}

static bool logging(const struct bt_cpu *c)
{
	return atomic_load_explicit(&c->bvm->code->logging, memory_order_relaxed);
}

/* Where RAM is. ------------------------------------------------------------------------------ */

const struct mmu_window *mmu_window_find(struct bt_cpu *c, gpa_t pa)
{
	struct mmu_window *win = c->mmu->win, old = win[0];
	const struct code_ram *cr;
	struct as_map m;

	if (pa - win[1].base < win[1].len) {
		win[0] = win[1];
		win[1] = old;
		return win;
	}
	if (!as_map_at(&c->bvm->vm->mem, pa, &m) || m.kind != MAP_RAM)
		return NULL;
	cr = m.ram->written_arg;
	win[1] = old;
	win[0] = (struct mmu_window){.base = m.base,
				     .len = m.len,
				     .ram = m.ram,
				     .ram_off = m.ram_off,
				     .host = m.ram->host + m.ram_off,
				     .pages = cr ? cr->pages + m.ram_off / GUEST_PAGE : NULL};
	return win;
}

/* Sets. -------------------------------------------------------------------------------------- */

struct mmu_set *mmu_set_of(struct bt_cpu *c, enum mmu_class cls)
{
	struct mmu_set *set = &c->mmu->space[c->mmu->cur].set[cls];

	if (UNLIKELY(!set->ready)) {
		for (unsigned i = 0; i < BT_TLB_ENTRIES; i++)
			set->t.e[i].rtag = set->t.e[i].wtag = BT_TLB_NONE;
		set->ready = true;
		c->mmu->ready |= 1u << (c->mmu->cur * MMU_CLASSES + cls);
	}
	return set;
}

static COLD void log_page(struct bt_cpu *c, gpa_t pa)
{
	const struct mmu_window *w = mmu_window_at(c, pa);

	if (w)
		ram_log_dirty(w->ram, w->ram_off + (pa - w->base), GUEST_PAGE);
}

static void entry_drop(struct bt_cpu *c, struct bt_tlbe *t)
{
	if (UNLIKELY(t->wtag != BT_TLB_NONE && logging(c)))
		log_page(c, t->pa & PAGE_MASK);
	t->rtag = t->wtag = BT_TLB_NONE;
}

static void set_flush(struct bt_cpu *c, struct mmu_set *set, bool globals)
{
	uint64_t left = 0;

	if (!set->ready)
		return;
	for (unsigned w = 0; w < TLB_WORDS; w++) {
		uint64_t gone = globals ? set->used[w] : set->used[w] & ~set->global[w];

		for (uint64_t bits = gone; bits; bits &= bits - 1)
			entry_drop(c, &set->t.e[w * 64 + (unsigned)__builtin_ctzll(bits)]);
		left |= set->used[w] &= ~gone;
		set->large[w] &= ~gone;
		set->wfast[w] &= ~gone;
	}
	if (!left)
		set->bloom4m = set->bloom1g = 0;
}

static uint64_t new_gen(struct bt_mmu *m)
{
	return m->gens += 2;
}

static void space_flush(struct bt_cpu *c, unsigned space, bool globals)
{
	struct mmu_space_head *h = &c->mmu->head[space];

	for (unsigned k = 0; k < MMU_CLASSES; k++)
		set_flush(c, &c->mmu->space[space].set[k], globals);
	h->stale = false;
	h->stale_all = h->stale_all && !globals;
	h->gen = new_gen(c->mmu);
}

/* What fetches of any space learnt is forgotten. */
static void renew_gens(struct bt_mmu *m)
{
	for (unsigned i = 0; i < MMU_SPACES; i++)
		m->head[i].gen = new_gen(m);
	m->gen_global = new_gen(m);
	memset(m->fetched, 0, sizeof(m->fetched));
}

static unsigned space_find(const struct bt_mmu *m, unsigned pcid)
{
	unsigned i;

	for (i = 0; i < MMU_SPACES; i++)
		if (m->head[i].used && m->head[i].pcid == pcid)
			break;
	return i;
}

/* The one that was entered the longest time ago, or never. */
static unsigned space_oldest(const struct bt_mmu *m)
{
	unsigned oldest = 0;

	for (unsigned i = 1; i < MMU_SPACES; i++)
		if (m->head[i].stamp < m->head[oldest].stamp)
			oldest = i;
	return oldest;
}

static void space_enter(struct bt_cpu *c, unsigned pcid, bool keep)
{
	struct bt_mmu *m = c->mmu;
	unsigned i = space_find(m, pcid);

	if (i == MMU_SPACES) {
		i = space_oldest(m);
		m->head[i].used = true;
		m->head[i].pcid = (uint16_t)pcid;
		keep = false;
	}
	if (m->head[i].stale_all)
		space_flush(c, i, true);
	else if (!keep || m->head[i].stale)
		space_flush(c, i, false);
	m->head[i].stamp = ++m->clock;
	m->cur = i;
	c->tlb = &mmu_set_of(c, m->cls)->t;
}

void mmu_cr3_written(struct bt_cpu *c, bool keep)
{
	if (c->cr4 & CR4_PCIDE)
		space_enter(c, c->cr3 & 0xfff, keep);
	else
		space_flush(c, c->mmu->cur, false);
}

void mmu_flush_all(struct bt_cpu *c, bool globals)
{
	struct bt_mmu *m = c->mmu;

	for (unsigned i = 0; i < MMU_SPACES; i++) {
		m->head[i].stale = true;
		m->head[i].stale_all |= globals;
	}
	space_flush(c, m->cur, globals);
	renew_gens(m);
}

void mmu_forget(struct bt_cpu *c)
{
	struct bt_mmu *m = c->mmu;

	m->flushed = atomic_load(&c->bvm->code->flushes);
	m->win[0].len = m->win[1].len = 0;
	for (unsigned i = 0; i < MMU_SPACES; i++)
		space_flush(c, i, true);
	renew_gens(m);
	memset(m->wfilter, 0, sizeof(m->wfilter));
}

/* One page. ---------------------------------------------------------------------------------- */

static const uint8_t te_shift[] = {12, 21, 22, 30};

static uint64_t bloom_bit(uint64_t n)
{
	return UINT64_C(1) << (n * UINT64_C(0x9e3779b97f4a7c15) >> 58);
}

static void set_flush_page(struct bt_cpu *c, struct mmu_set *set, uint64_t la)
{
	struct bt_tlbe *t = &set->t.e[la >> 12 & (BT_TLB_ENTRIES - 1)];

	if ((t->rtag & ~(uint64_t)TLB_SLOW) == (la & PAGE_MASK))
		entry_drop(c, t);
	if (LIKELY(!(set->bloom4m & bloom_bit(la >> 22)) && !(set->bloom1g & bloom_bit(la >> 30))))
		return;
	for (unsigned w = 0; w < TLB_WORDS; w++)
		for (uint64_t bits = set->large[w]; bits; bits &= bits - 1) {
			t = &set->t.e[w * 64 + (unsigned)__builtin_ctzll(bits)];
			if (!((t->rtag ^ la) >> te_shift[(t->pa & TE_SIZE) / 2]))
				entry_drop(c, t);
		}
}

static unsigned fetched_hash(uint64_t la, unsigned shift)
{
	return (unsigned)(((la >> shift) + shift) * UINT64_C(0x9e3779b97f4a7c15) >> 52) %
	       FETCHED_BITS;
}

/* May a page with @la in it have been fetched from since the generations were renewed? */
static bool was_fetched(const struct bt_mmu *m, uint64_t la)
{
	for (unsigned k = 0; k < ARRAY_LEN(te_shift); k++) {
		unsigned h = fetched_hash(la, te_shift[k]);

		if (m->fetched[h / 64] >> (h % 64) & 1)
			return true;
	}
	return false;
}

void mmu_flush_page(struct bt_cpu *c, uint64_t la)
{
	struct bt_mmu *m = c->mmu;

	for (uint32_t left = m->ready; left; left &= left - 1) {
		unsigned k = (unsigned)__builtin_ctz(left);

		set_flush_page(c, &m->space[k / MMU_CLASSES].set[k % MMU_CLASSES], la);
	}
	if (was_fetched(m, la))
		renew_gens(m);
}

void mmu_invpcid(struct bt_cpu *c, unsigned type, unsigned pcid, uint64_t la)
{
	struct bt_mmu *m = c->mmu;
	unsigned i = space_find(m, pcid);

	switch (type) {
	case 0: mmu_flush_page(c, la); break;
	case 1:
		if (i == m->cur)
			space_flush(c, i, false);
		else if (i < MMU_SPACES)
			m->head[i].stale = true;
		break;
	default: mmu_flush_all(c, type == 2); break;
	}
}

/* Breakpoints: SDM 3B §18.2.4. --------------------------------------------------------------- */

static bool breakpoints_changed(struct bt_cpu *c)
{
	struct bt_mmu *m = c->mmu;

	if (LIKELY(!((c->dr7 | m->dr[4]) & 0xff)))
		return false;
	if (m->dr[4] == c->dr7 && !memcmp(m->dr, c->dr, sizeof(c->dr)))
		return false;
	memcpy(m->dr, c->dr, sizeof(c->dr));
	m->dr[4] = c->dr7;
	return true;
}

static bool breakpoint_in(const struct bt_cpu *c, uint64_t page)
{
	for (unsigned i = 0; i < 4; i++)
		if ((c->dr7 >> i * 2 & 3) && (c->dr[i] & PAGE_MASK) == page)
			return true;
	for (unsigned i = 0; c->debug.watch && i < c->debug.d.n; i++)
		if (c->debug.d.point[i].kind != DEBUG_EXEC &&
		    (c->debug.d.point[i].addr & PAGE_MASK) == page)
			return true;
	return false;
}

/* Filling. ----------------------------------------------------------------------------------- */

static void set_note(struct mmu_set *set, unsigned i, uint64_t la, const struct mmu_walk *w)
{
	set_bit(set->used, i);
	clear_bit(set->wfast, i);
	clear_bit(set->global, i);
	clear_bit(set->large, i);
	if (w->global)
		set_bit(set->global, i);
	if (w->shift > 12) {
		set_bit(set->large, i);
		if (w->shift == 30)
			set->bloom1g |= bloom_bit(la >> 30);
		else
			set->bloom4m |= bloom_bit(la >> 22);
	}
}

static unsigned walk_flags(const struct mmu_walk *w)
{
	unsigned size = w->shift == 12 ? 0 : w->shift == 21 ? 2 : w->shift == 22 ? 4 : 6;

	return size | (w->global ? TE_GLOBAL : 0);
}

void mmu_raise_canonical(struct bt_cpu *c, bool stack)
{
	bt_raise_err(c, stack ? X86_SS_FAULT : X86_GP, 0);
}

struct bt_tlbe *mmu_fill(struct bt_cpu *c, struct mmu_set *set, enum mmu_class cls, uint64_t la,
			 enum bt_access access, bool stack)
{
	unsigned i = la >> 12 & (BT_TLB_ENTRIES - 1), flags;
	struct bt_tlbe *t = &set->t.e[i];
	uint64_t page = la & PAGE_MASK;
	const struct mmu_window *win;
	struct mmu_walk w;
	uint32_t error;

	if (!mmu_canonical(c, la))
		mmu_raise_canonical(c, stack);
	if (!mmu_walk(c, la, access, cls, &w, &error))
		bt_raise_pf(c, la, error);
	entry_drop(c, t);
	set_note(set, i, la, &w);
	flags = walk_flags(&w) | (cls == MMU_USER_ALIGN ? TE_ALIGN : 0);
	w.pa &= PAGE_MASK;
	win = mmu_window_at(c, w.pa);
	if (win) {
		t->addend = (uintptr_t)(win->host + (w.pa - win->base)) - page;
		set->code[i] = code_page_of(win, w.pa);
		flags |= win->ram->rom ? TE_ROM : 0;
	} else {
		set->code[i] = NULL;
		flags |= TE_IO;
	}
	if (UNLIKELY(c->dr7 & 0xff || c->debug.watch) && breakpoint_in(c, page))
		flags |= TE_BP;
	t->pa = w.pa | flags;
	t->rtag = page | (flags & (TE_IO | TE_BP | TE_ALIGN) ? TLB_SLOW : 0);
	if (!w.write_ok || (!(access & BT_WRITE) && logging(c)))
		return t;
	if (win && logging(c))
		ram_log_dirty(win->ram, win->ram_off + (w.pa - win->base), GUEST_PAGE);
	t->wtag = page | TLB_SLOW;
	if (!(flags & TE_NO_WRITE) &&
	    (!set->code[i] || !atomic_load_explicit(&set->code[i]->lines, memory_order_relaxed)))
		mmu_allow_write(c, set, i);
	return t;
}

/* Fetches. ----------------------------------------------------------------------------------- */

static void fetch_fill(struct bt_cpu *c, uint64_t la, struct mmu_itlbe *t)
{
	struct bt_mmu *m = c->mmu;
	const struct mmu_window *win;
	struct mmu_walk w;
	uint32_t error;
	unsigned h;

	if (!mmu_canonical(c, la))
		bt_gp0(c);
	if (!mmu_walk(c, la, BT_EXEC, c->mode.user ? MMU_USER : MMU_SUP, &w, &error))
		bt_raise_pf(c, la, error);
	h = fetched_hash(la, w.shift);
	set_bit(m->fetched, h);
	w.pa &= PAGE_MASK;
	win = mmu_window_at(c, w.pa);
	*t = (struct mmu_itlbe){.la = (la & PAGE_MASK) | c->mode.user,
				.gen = w.global ? m->gen_global : m->head[m->cur].gen,
				.pa = w.pa,
				.host = win ? win->host + (w.pa - win->base) : NULL};
}

void bt_fetch(struct bt_cpu *c, uint64_t la, gpa_t *pa, const uint8_t **host)
{
	struct bt_mmu *m = c->mmu;
	struct mmu_itlbe *t = &m->itlb[la >> 12 & (ITLB_ENTRIES - 1)];

	if (t->la != ((la & PAGE_MASK) | c->mode.user) ||
	    (t->gen != m->head[m->cur].gen && t->gen != m->gen_global))
		fetch_fill(c, la, t);
	*pa = t->pa | (la & 0xfff);
	*host = t->host ? t->host + (la & 0xfff) : NULL;
}

uint64_t mmu_generation(const struct bt_cpu *c)
{
	return c->mmu->head[c->mmu->cur].gen | c->mode.user;
}

/* Modes, life. ------------------------------------------------------------------------------- */

static enum mmu_class class_now(const struct bt_cpu *c)
{
	if (c->mode.user)
		return c->mode.align ? MMU_USER_ALIGN : MMU_USER;
	return (c->cr4 & CR4_SMAP) && (c->rflags & FLAGS_AC) ? MMU_SUP_AC : MMU_SUP;
}

void mmu_mode_changed(struct bt_cpu *c)
{
	struct bt_mmu *m = c->mmu;
	uint64_t key = (c->cr0 & CR0_KEY) | (c->cr4 & CR4_KEY) << 32, efer = c->efer & EFER_KEY;
	uint32_t pkru = c->cr4 & CR4_PKE ? c->ext.pkru : 0;

	if (UNLIKELY(key != m->key[0] || efer != m->key[1] || c->bvm->a20_mask != m->key[2] ||
		     pkru != m->pkru || breakpoints_changed(c))) {
		m->key[0] = key;
		m->key[1] = efer;
		m->key[2] = c->bvm->a20_mask;
		m->pkru = pkru;
		mmu_flush_all(c, true);
		for (unsigned i = 0; i < MMU_SPACES; i++) {
			m->head[i].used = false;
			m->head[i].stamp = 0;
		}
		m->head[m->cur].used = true;
		m->head[m->cur].stamp = ++m->clock;
		m->head[m->cur].pcid = c->cr4 & CR4_PCIDE ? c->cr3 & 0xfff : 0;
	}
	m->cls = class_now(c);
	c->tlb = &mmu_set_of(c, m->cls)->t;
}

void mmu_attend(struct bt_cpu *c, uint32_t bits)
{
	if ((bits & BT_ATTN_FLUSH) || c->mmu->flushed != atomic_load(&c->bvm->code->flushes))
		mmu_forget(c);
	if (bits & BT_ATTN_CODE)
		code_serve(c);
}

int mmu_init(struct bt_cpu *c, struct err *e)
{
	const struct x86_cpuid *size = x86_cpuid_find(c->cpuid, c->n_cpuid, 0x80000008, 0);
	const struct x86_cpuid *ext = x86_cpuid_find(c->cpuid, c->n_cpuid, 0x80000001, 0);
	unsigned bits = size ? size->eax & 0xff : 46;
	struct bt_mmu *m = sys_alloc(sizeof(*m));

	if (!m)
		return err_nomem(e, sizeof(*m), "an MMU");
	m->space = sys_mmap(NULL, MMU_SPACES * sizeof(*m->space), PROT_READ | PROT_WRITE,
			    MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE, -1, 0);
	if (m->space == MAP_FAILED) {
		free(m);
		return err_errno(e, -errno, "cannot map a TLB");
	}
	bits = MIN(MAX(bits, 36u), 52u);
	m->rsvd = (UINT64_C(1) << 52) - (UINT64_C(1) << bits);
	m->pages_1g = ext && (ext->edx & CPUID_1G);
	m->key[2] = c->bvm->a20_mask;
	m->head[0].used = true;
	m->head[0].stamp = ++m->clock;
	atomic_store(&m->idle, true);
	renew_gens(m);
	c->mmu = m;
	c->tlb = &mmu_set_of(c, MMU_SUP)->t;
	return 0;
}

void mmu_exit(struct bt_cpu *c)
{
	if (!c->mmu)
		return;
	munmap(c->mmu->space, MMU_SPACES * sizeof(*c->mmu->space));
	free(c->mmu);
	c->mmu = NULL;
	c->tlb = NULL;
}
