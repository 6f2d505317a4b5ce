/*
 * accel/bt/code.c - which RAM holds code that was decoded, and how a write to it is noticed.
 *
 * Every page of RAM has a struct bt_code_page: a version and a bit for each 64-byte line that code
 * was decoded from.  A block of decoded code remembers the version and is dead when it changes.
 *
 *	decoder		(1) mark the lines	(2) read the version	(3) read the bytes
 *	writer		(1) store		(2) full fence		(3) read .lines
 *			(4) if it hit: version + 1, lines = 0, version + 1
 *
 * The host is x86: stores of a thread become visible in order, loads are done in order, and only a
 * load may pass an older store to another place.  Marking is a locked operation, and the writer has
 * a fence, so of "decoder marks" and "writer reads .lines" one comes first.  If the mark, the
 *writer sees it and raises the version; if the writer's look, its bytes were visible before the
 *mark and the decoder reads the new ones.
 *
 * All lines of a page are unmarked together, because all its blocks die together: the page is plain
 * data again until code is decoded from it anew.  The version is raised on both sides of that.
 * Before: a third thread that finds no line marked and does not raise may rely on the old blocks
 * being dead already when its own store becomes visible.  After: a decoder that read the version
 * before its lines were taken away must not have the current one.  The decoder's short way (its
 * lines are marked already) reads the version first and the lines then, for the same reason.
 *
 * What that gives the guest (SDM 3A §8.1.3): a vCPU that stores code and then anything else, a
 *flag, an interrupt, makes the raised version visible before the flag; the vCPU that sees the flag
 *looks at versions when it enters the next block, so it runs the new code, with or without a
 *serialising instruction.  A vCPU that stores into the block that it runs itself leaves the block
 *behind the storing instruction (c->end).
 *
 * Write tags.  A store that hits in the TLB looks at nothing, so pages with marks have no write tag
 * that matches; their entries are TLB_SLOW.  When a page gets its first mark, vCPUs may hold such
 * tags from before.  The mark takes the next epoch, leaves the page in a ring under that number and
 * sets BT_ATTN_CODE in every vCPU; each drops its tags to the pages in the ring between two blocks
 * and then acknowledges the epoch.  Until all have, the page is not settled: what a decoder makes
 *of it must not be kept, since a write may still go unnoticed.  Afterwards every such write is
 *visible (the acknowledgement is a later store of the same thread) and a decoder reads its bytes.
 *
 * A vCPU that sleeps or is parked counts as having acknowledged.  It clears .idle and then reads
 *the epoch before it runs guest code; the marking thread raises the epoch and then reads .idle;
 *both by locked operations, so one of them sees the other.
 *
 * DMA and loaders come by bt_code_written, as writers.
 */
#include <errno.h>
#include <stdlib.h>
#include <sys/mman.h>

#include "accel/bt/mmu_private.h"
#include "base/sys.h"

static void ram_written(struct ram *r, uint64_t off, uint64_t n)
{
	const struct code_ram *cr = r->written_arg;

	bt_code_written(cr->bvm, r, off, n);
}

static int ram_adopt(struct bt_vm *b, struct ram *r, struct err *e)
{
	struct code_ram *cr = sys_alloc(sizeof(*cr));

	if (!cr)
		return err_nomem(e, sizeof(*cr), "code pages");
	cr->bvm = b;
	cr->ram = r;
	cr->bytes = r->size / GUEST_PAGE * sizeof(*cr->pages);
	cr->pages = sys_mmap(NULL, cr->bytes, PROT_READ | PROT_WRITE,
			     MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE, -1, 0);
	if (cr->pages == MAP_FAILED) {
		free(cr);
		return err_errno(e, -errno, "cannot map the code pages of %s", r->name);
	}
	pthread_mutex_lock(&b->code->lock);
	cr->next = b->code->rams;
	b->code->rams = cr;
	pthread_mutex_unlock(&b->code->lock);
	r->written_arg = cr;
	r->written = ram_written;
	return 0;
}

/* Every vCPU that runs; one that is idle looks by itself before it runs. */
static void attend_all(struct bt_vm *b, const struct bt_cpu *but, uint32_t bits)
{
	for (unsigned i = 0; i < b->n; i++) {
		struct bt_cpu *c = atomic_load(&b->cpu[i]);

		if (c && c != but && !atomic_load(&c->mmu->idle))
			bt_attend(c, bits);
	}
}

void mmu_vm_flush(struct bt_vm *b)
{
	atomic_fetch_add(&b->code->flushes, 1);
	attend_all(b, NULL, BT_ATTN_FLUSH);
}

int mmu_slot_set(struct bt_vm *b, const struct as_map *m, bool remove, bool log, struct err *e)
{
	if (!remove && !m->ram->written) {
		int rc = ram_adopt(b, m->ram, e);

		if (rc)
			return rc;
	}
	(void)log; /* ram->logging says so already, for all maps of the block */
	bool any = false;

	pthread_mutex_lock(&b->code->lock);
	for (struct code_ram *cr = b->code->rams; cr; cr = cr->next)
		any = any || atomic_load(&cr->ram->logging);
	atomic_store(&b->code->logging, any);
	pthread_mutex_unlock(&b->code->lock);
	mmu_vm_flush(b);
	return 0;
}

void mmu_slot_dirty(struct bt_vm *b)
{
	mmu_vm_flush(b);
}

int mmu_vm_init(struct bt_vm *b, struct err *e)
{
	b->code = sys_alloc(sizeof(*b->code));
	if (!b->code)
		return err_nomem(e, sizeof(*b->code), "code pages");
	pthread_mutex_init(&b->code->lock, NULL);
	atomic_store(&b->code->epoch, 1);
	return 0;
}

void mmu_vm_exit(struct bt_vm *b)
{
	struct code_ram *next;

	if (!b->code)
		return;
	for (struct code_ram *cr = b->code->rams; cr; cr = next) {
		next = cr->next;
		cr->ram->written = NULL;
		cr->ram->written_arg = NULL;
		munmap(cr->pages, cr->bytes);
		free(cr);
	}
	pthread_mutex_destroy(&b->code->lock);
	free(b->code);
	b->code = NULL;
}

/* The version of @p is over, and all its marks. */
static COLD void page_raise(struct bt_vm *b, struct bt_code_page *p)
{
	pthread_mutex_lock(&b->code->lock);
	if (atomic_load(&p->lines)) {
		atomic_fetch_add(&p->version, 1);
		atomic_store(&p->lines, 0);
		atomic_fetch_add(&p->version, 1);
	}
	pthread_mutex_unlock(&b->code->lock);
}

bool code_stored(struct bt_vm *b, struct bt_code_page *p, unsigned off, unsigned n)
{
	/* The fence of the theory above: adding nothing is a locked operation, and a load. */
	uint64_t lines = atomic_fetch_add(&p->lines, 0);

	if (LIKELY(!(lines & code_lines(off, n))))
		return false;
	page_raise(b, p);
	return true;
}

void bt_code_written(struct bt_vm *b, struct ram *r, uint64_t off, uint64_t n)
{
	const struct code_ram *cr = r->written_arg;

	while (cr && n) {
		unsigned in = off % GUEST_PAGE;
		unsigned piece = (unsigned)MIN(n, (uint64_t)(GUEST_PAGE - in));

		(void)code_stored(b, &cr->pages[off / GUEST_PAGE], in, piece);
		off += piece;
		n -= piece;
	}
}

/* The first mark of @p: whoever has a write tag to it must hear of it.  code->lock held. */
static void page_first_mark(struct bt_code *code, struct bt_code_page *p, uint64_t lines)
{
	uint32_t epoch = atomic_load(&code->epoch) + 1;

	epoch += !epoch; /* 0 in .marked_at means settled */
	atomic_store(&p->marked_at, epoch);
	atomic_store(&code->ring[epoch % CODE_RING], p);
	atomic_fetch_or(&p->lines, lines);
	atomic_store(&code->epoch, epoch);
}

/* True if every vCPU but @c has dropped what it had at epoch @at. */
static bool all_acked(const struct bt_cpu *c, uint32_t at)
{
	struct bt_vm *b = c->bvm;

	for (unsigned i = 0; i < b->n; i++) {
		struct bt_cpu *o = atomic_load(&b->cpu[i]);

		if (!o || o == c || atomic_load(&o->mmu->idle))
			continue;
		if ((int32_t)(atomic_load(&o->mmu->acked) - at) < 0)
			return false;
	}
	return true;
}

static void page_mark(struct bt_cpu *c, struct bt_code_page *p, uint64_t lines)
{
	struct bt_vm *b = c->bvm;
	bool first;

	pthread_mutex_lock(&b->code->lock);
	first = !atomic_load(&p->lines);
	if (first)
		page_first_mark(b->code, p, lines);
	else
		atomic_fetch_or(&p->lines, lines);
	pthread_mutex_unlock(&b->code->lock);
	if (!first)
		return;
	attend_all(b, c, BT_ATTN_CODE);
	code_serve(c);
}

struct bt_code_page *bt_code_mark(struct bt_cpu *c, gpa_t pa, unsigned n, uint32_t *version,
				  bool *settled)
{
	const struct mmu_window *w = mmu_window_at(c, pa);
	uint64_t lines = code_lines(pa & 0xfff, n);
	struct bt_code_page *p;
	uint32_t at;

	if (!w)
		return NULL;
	p = code_page_of(w, pa);
	if (!p)
		return NULL;
	*version = atomic_load(&p->version);
	if ((atomic_load(&p->lines) & lines) != lines) {
		page_mark(c, p, lines);
		*version = atomic_load(&p->version);
		/* Taken away again in between: with the version read now nothing would guard. */
		if ((atomic_load(&p->lines) & lines) != lines) {
			*settled = false;
			return p;
		}
	}
	at = atomic_load(&p->marked_at);
	*settled = !at;
	if (at && all_acked(c, at)) {
		atomic_compare_exchange_strong(&p->marked_at, &at, 0);
		*settled = true;
	}
	return p;
}

/* Write tags. ------------------------------------------------------------------------------- */

void mmu_drop_write_tags(struct bt_cpu *c)
{
	struct bt_mmu *m = c->mmu;

	memset(m->wfilter, 0, sizeof(m->wfilter));
	for (unsigned s = 0; s < MMU_SPACES * MMU_CLASSES; s++) {
		struct mmu_set *set = &m->space[s / MMU_CLASSES].set[s % MMU_CLASSES];

		for (unsigned w = 0; w < TLB_WORDS && set->ready; w++)
			for (uint64_t bits = set->wfast[w]; bits; bits &= bits - 1) {
				unsigned i = w * 64 + (unsigned)__builtin_ctzll(bits);
				unsigned h = code_hash(set->code[i]);

				if (atomic_load_explicit(&set->code[i]->lines,
							 memory_order_relaxed)) {
					set->t.e[i].wtag |= TLB_SLOW;
					set->wfast[w] &= ~(bits & -bits);
				} else {
					m->wfilter[h / 64] |= UINT64_C(1) << (h % 64);
				}
			}
	}
}

void code_serve(struct bt_cpu *c)
{
	struct bt_code *code = c->bvm->code;
	struct bt_mmu *m = c->mmu;
	uint32_t from = atomic_load(&m->acked), to = atomic_load(&code->epoch);
	bool drop = to - from > CODE_RING / 2;

	for (uint32_t e = from; e != to && !drop; e++) {
		unsigned h = code_hash(atomic_load(&code->ring[(e + 1) % CODE_RING]));

		drop = m->wfilter[h / 64] >> (h % 64) & 1;
	}
	/* The ring may have come round meanwhile. */
	if (drop || atomic_load(&code->epoch) - from > CODE_RING / 2)
		mmu_drop_write_tags(c);
	atomic_store(&m->acked, to);
}

void mmu_idle(struct bt_cpu *c, bool idle)
{
	if (idle) {
		if (atomic_load(&c->bvm->code->logging))
			mmu_forget(c);
		code_serve(c);
		atomic_store(&c->mmu->idle, true);
		return;
	}
	atomic_exchange(&c->mmu->idle, false);
	mmu_attend(c, BT_ATTN_CODE);
}
