/*
 * accel/bt/access.c - guest memory where the TLB's tags do not match at once: misses, accesses
 * across pages, devices, ROM, breakpoints, alignment checks, pages that hold code.
 *
 * Order of checks for one access: canonical address and paging for each page it touches, lowest
 * first, then alignment (#AC), and only then the first byte moves.  Data breakpoints are noted when
 * it has moved.
 *
 * Locked accesses that cross a page or reach a device are made under bvm->exclusive, from bt_get to
 * bt_put.  They are atomic to each other, not to plain or locked accesses within one page of RAM,
 * which do not take it.  Lock order: exclusive, then a device's lock, then code.c's.  Only this
 * file takes exclusive, on a vCPU's thread that holds no device's lock (bt_get is called by
 * meanings and by event delivery, which run outside of devices), so no device's lock is ever held
 * by somebody who waits for it, and a device may be accessed with it held.
 */
#include "accel/bt/exec.h"
#include "accel/bt/mmu_private.h"

/* What an access is made with. */
struct how {
	struct mmu_set *set;
	enum mmu_class cls;
	bool stack; /* not canonical: #SS, whatever the instruction says */
	bool sys;   /* linear addresses have the width of the mode, not of the code */
};

static struct how how_now(const struct bt_cpu *c)
{
	/* The set is the first thing in struct mmu_set. */
	return (struct how){.set = (struct mmu_set *)(void *)c->tlb, .cls = c->mmu->cls};
}

static struct how how_as(struct bt_cpu *c, bool user, bool stack)
{
	enum mmu_class cls = user ? MMU_USER : MMU_SUP;

	return (struct how){mmu_set_of(c, cls), cls, stack, true};
}

/* Linear address of the next page. */
static uint64_t next_page(const struct bt_cpu *c, const struct how *h, uint64_t la)
{
	uint64_t next = (la & PAGE_MASK) + GUEST_PAGE;

	if (h->sys ? c->mode.lma : c->mode.code == 8)
		return next;
	return (uint32_t)next;
}

/*
 * Does a non-canonical @la belong to the stack?  Explicit operands have their segment; what is near
 * rSP or at rBP and was not an operand is push, pop, call, return, ENTER or LEAVE.
 */
static COLD bool is_stack(const struct bt_cpu *c, const struct how *h, uint64_t la)
{
	if (h->stack || (!h->sys && c->cur && c->cur->seg == X86_SS))
		return true;
	if (h->sys || !c->cur)
		return false;
	return la - c->gpr[X86_RSP] + 64 < 128 ||
	       ((c->cur->exec == exec_enter || c->cur->exec == exec_leave) &&
		la - c->gpr[X86_RBP] + 8 < 16);
}

static COLD struct bt_tlbe *miss(struct bt_cpu *c, const struct how *h, uint64_t la,
				 enum bt_access access)
{
	bool stack = !mmu_canonical(c, la) && is_stack(c, h, la);

	return mmu_fill(c, h->set, h->cls, la, access, stack);
}

/* The entry that allows the access at @la; raises. */
static inline struct bt_tlbe *find(struct bt_cpu *c, const struct how *h, uint64_t la,
				   enum bt_access access)
{
	struct bt_tlbe *t = &h->set->t.e[la >> 12 & (BT_TLB_ENTRIES - 1)];
	uint64_t tag = access & BT_WRITE ? t->wtag : t->rtag;

	if (LIKELY((tag & ~(uint64_t)TLB_SLOW) == (la & PAGE_MASK)))
		return t;
	return miss(c, h, la, access);
}

static void check_align(struct bt_cpu *c, const struct how *h, uint64_t la, unsigned size)
{
	if (UNLIKELY(h->cls == MMU_USER_ALIGN && (la & (size - 1)) && size <= 8))
		bt_raise_err(c, X86_AC, 0);
}

/* Notes which of the points that a debugger watches an access of [la, la+n) hits. */
static void note_watched(struct bt_cpu *c, uint64_t la, unsigned n, bool write)
{
	for (unsigned i = 0; i < c->debug.d.n && !c->debug.hit; i++) {
		const struct debug_point *p = &c->debug.d.point[i];

		if (p->kind == DEBUG_EXEC || p->kind == (write ? DEBUG_READ : DEBUG_WRITE))
			continue;
		if (la < p->addr + p->len && p->addr < la + n) {
			c->debug.hit = true;
			c->debug.point = i;
			c->debug.addr = MAX(la, p->addr);
		}
	}
}

/* Notes the data breakpoints that an access of [la, la+n) hits. */
static COLD void note_breakpoints(struct bt_cpu *c, uint64_t la, unsigned n, bool write)
{
	static const uint8_t length[] = {1, 2, 8, 4};

	if (c->debug.watch)
		note_watched(c, la, n, write);
	for (unsigned i = 0; i < 4; i++) {
		unsigned kind = c->dr7 >> (16 + i * 4) & 3, len;

		if (!(c->dr7 >> i * 2 & 3) || !(kind == 3 || (kind == 1 && write)))
			continue;
		len = length[c->dr7 >> (18 + i * 4) & 3];
		uint64_t at = c->dr[i] & ~(uint64_t)(len - 1);
		if (la < at + len && at < la + n) {
			c->dr_pending = true;
			c->dr_hits |= (uint8_t)(1u << i);
		}
	}
}

/* Moving bytes. ------------------------------------------------------------------------------ */

BT_GUEST_RACES static uint64_t host_ld(const uint8_t *p, unsigned size)
{
	uint64_t v8;
	uint32_t v4;
	uint16_t v2;

	switch (size) {
	case 1: return *p;
	case 2: memcpy(&v2, p, 2); return v2;
	case 4: memcpy(&v4, p, 4); return v4;
	default: memcpy(&v8, p, 8); return v8;
	}
}

BT_GUEST_RACES static void host_st(uint8_t *p, uint64_t v, unsigned size)
{
	uint32_t v4 = (uint32_t)v;
	uint16_t v2 = (uint16_t)v;

	switch (size) {
	case 1: *p = (uint8_t)v; break;
	case 2: memcpy(p, &v2, 2); break;
	case 4: memcpy(p, &v4, 4); break;
	default: memcpy(p, &v, 8); break;
	}
}

/* What is not RAM, within one page, in pieces that a bus takes. */
static COLD void io_read(struct bt_cpu *c, gpa_t pa, uint8_t *dst, unsigned n)
{
	while (n) {
		unsigned k = MIN(n, 8u);

		vcpu_count(c->v, EXIT_STAT_MMIO_READ);
		if (!bt_lapic_mmio(c, pa, dst, k, false))
			(void)as_vcpu_read(&c->bvm->vm->mem, pa, dst, k);
		pa += k;
		dst += k;
		n -= k;
	}
}

static COLD void io_write(struct bt_cpu *c, gpa_t pa, const uint8_t *src, unsigned n)
{
	while (n) {
		unsigned k = MIN(n, 8u);
		uint8_t one[8] = {0};

		memcpy(one, src, k);
		vcpu_count(c->v, EXIT_STAT_MMIO_WRITE);
		if (!bt_lapic_mmio(c, pa, one, k, true))
			(void)as_vcpu_write(&c->bvm->vm->mem, pa, one, k);
		pa += k;
		src += k;
		n -= k;
	}
}

/* A store hit code: the block that runs may be it, and ends behind its current instruction. */
static COLD void cut_block(struct bt_cpu *c)
{
	if (c->cur)
		c->end = c->cur + 1;
}

/* Bytes [la, la+n) were stored through an entry that is TLB_SLOW. */
static inline void stored(struct bt_cpu *c, struct mmu_set *set, const struct bt_tlbe *t,
			  uint64_t la, unsigned n)
{
	unsigned i = (unsigned)(t - set->t.e);
	struct bt_code_page *code = set->code[i];

	if (code) {
		if (code_stored(c->bvm, code, la & 0xfff, n))
			cut_block(c);
		if (!(t->pa & TE_NO_WRITE) &&
		    !atomic_load_explicit(&code->lines, memory_order_relaxed))
			mmu_allow_write(c, set, i);
	}
	if (UNLIKELY(t->pa & TE_BP))
		note_breakpoints(c, la, n, true);
}

static void read_piece(struct bt_cpu *c, const struct bt_tlbe *t, uint64_t la, void *dst,
		       unsigned n)
{
	if (UNLIKELY(t->pa & TE_IO))
		io_read(c, (t->pa & PAGE_MASK) | (la & 0xfff), dst, n);
	else
		guest_copy(dst, (const void *)(uintptr_t)(la + t->addend), n);
	if (UNLIKELY(t->pa & TE_BP))
		note_breakpoints(c, la, n, false);
}

static void write_piece(struct bt_cpu *c, struct mmu_set *set, const struct bt_tlbe *t, uint64_t la,
			const void *src, unsigned n)
{
	if (UNLIKELY(t->pa & (TE_IO | TE_ROM))) {
		io_write(c, (t->pa & PAGE_MASK) | (la & 0xfff), src, n);
		if (t->pa & TE_BP)
			note_breakpoints(c, la, n, true);
		return;
	}
	guest_copy((void *)(uintptr_t)(la + t->addend), src, n);
	if (t->wtag & TLB_SLOW)
		stored(c, set, t, la, n);
}

static unsigned in_page(uint64_t la, unsigned n)
{
	return MIN(n, GUEST_PAGE - (unsigned)(la & 0xfff));
}

static void read_bytes(struct bt_cpu *c, const struct how *h, uint64_t la, void *dst, unsigned n)
{
	unsigned first = in_page(la, n);
	const struct bt_tlbe *t = find(c, h, la, BT_READ);

	if (first < n) {
		uint64_t la2 = next_page(c, h, la);
		const struct bt_tlbe *t2 = find(c, h, la2, BT_READ);

		check_align(c, h, la, n);
		read_piece(c, t, la, dst, first);
		read_piece(c, t2, la2, (uint8_t *)dst + first, n - first);
		return;
	}
	read_piece(c, t, la, dst, n);
}

static void write_bytes(struct bt_cpu *c, const struct how *h, uint64_t la, const void *src,
			unsigned n)
{
	unsigned first = in_page(la, n);
	const struct bt_tlbe *t = find(c, h, la, BT_WRITE);

	if (first < n) {
		uint64_t la2 = next_page(c, h, la);
		const struct bt_tlbe *t2 = find(c, h, la2, BT_WRITE);

		check_align(c, h, la, n);
		write_piece(c, h->set, t, la, src, first);
		write_piece(c, h->set, t2, la2, (const uint8_t *)src + first, n - first);
		return;
	}
	write_piece(c, h->set, t, la, src, n);
}

static uint64_t ld(struct bt_cpu *c, const struct how *h, uint64_t la, unsigned size)
{
	const struct bt_tlbe *t;
	uint64_t v = 0;

	if (UNLIKELY((la & 0xfff) + size > GUEST_PAGE)) {
		read_bytes(c, h, la, &v, size);
		return v;
	}
	t = find(c, h, la, BT_READ);
	if (LIKELY(!(t->rtag & TLB_SLOW)))
		return host_ld((const uint8_t *)(uintptr_t)(la + t->addend), size);
	check_align(c, h, la, size);
	if (!(t->pa & TE_IO))
		v = host_ld((const uint8_t *)(uintptr_t)(la + t->addend), size);
	else
		io_read(c, (t->pa & PAGE_MASK) | (la & 0xfff), (uint8_t *)&v, size);
	if (UNLIKELY(t->pa & TE_BP))
		note_breakpoints(c, la, size, false);
	return v;
}

static void st(struct bt_cpu *c, const struct how *h, uint64_t la, uint64_t v, unsigned size)
{
	const struct bt_tlbe *t;

	if (UNLIKELY((la & 0xfff) + size > GUEST_PAGE)) {
		write_bytes(c, h, la, &v, size);
		return;
	}
	t = find(c, h, la, BT_WRITE);
	if (UNLIKELY(t->pa & (TE_IO | TE_ROM))) {
		check_align(c, h, la, size);
		write_piece(c, h->set, t, la, &v, size);
		return;
	}
	check_align(c, h, la, size);
	host_st((uint8_t *)(uintptr_t)(la + t->addend), v, size);
	if (t->wtag & TLB_SLOW)
		stored(c, h->set, t, la, size);
}

/* The interface. ----------------------------------------------------------------------------- */

uint64_t bt_ld_slow(struct bt_cpu *c, uint64_t la, unsigned size)
{
	struct how h = how_now(c);

	return ld(c, &h, la, size);
}

void bt_st_slow(struct bt_cpu *c, uint64_t la, uint64_t val, unsigned size)
{
	struct how h = how_now(c);

	st(c, &h, la, val, size);
}

uint64_t bt_ld_sys(struct bt_cpu *c, uint64_t la, unsigned size)
{
	struct how h = how_as(c, false, false);

	return ld(c, &h, la, size);
}

void bt_st_sys(struct bt_cpu *c, uint64_t la, uint64_t v, unsigned size)
{
	struct how h = how_as(c, false, false);

	st(c, &h, la, v, size);
}

uint64_t bt_ld_as(struct bt_cpu *c, uint64_t la, unsigned size, bool user)
{
	struct how h = how_as(c, user, true);

	return ld(c, &h, la, size);
}

void bt_st_as(struct bt_cpu *c, uint64_t la, uint64_t v, unsigned size, bool user)
{
	struct how h = how_as(c, user, true);

	st(c, &h, la, v, size);
}

void bt_ld_block(struct bt_cpu *c, uint64_t la, void *dst, unsigned n)
{
	struct how h = how_now(c);

	if (n)
		read_bytes(c, &h, la, dst, n);
}

void bt_st_block(struct bt_cpu *c, uint64_t la, const void *src, unsigned n)
{
	struct how h = how_now(c);

	if (n)
		write_bytes(c, &h, la, src, n);
}

static void probe(struct bt_cpu *c, const struct how *h, uint64_t la, unsigned n,
		  enum bt_access access)
{
	if (!n)
		return;
	(void)find(c, h, la, access);
	if (in_page(la, n) < n)
		(void)find(c, h, next_page(c, h, la), access);
}

void bt_probe(struct bt_cpu *c, uint64_t la, unsigned n, enum bt_access access)
{
	struct how h = how_now(c);

	probe(c, &h, la, n, access);
}

void bt_probe_as(struct bt_cpu *c, uint64_t la, unsigned n, enum bt_access access, bool user)
{
	struct how h = how_as(c, user, true);

	probe(c, &h, la, n, access);
}

/* Read-modify-write. ------------------------------------------------------------------------- */

static COLD void bounce(struct bt_cpu *c, const struct how *h, const struct bt_tlbe *t[2],
			bool locked, struct bt_bounce *b, enum bt_access access)
{
	unsigned first = in_page(b->la, b->n);

	b->bounced = true;
	b->pa[0] = t[0]->pa;
	b->pa[1] = t[1] ? t[1]->pa : 0;
	if (locked) {
		pthread_mutex_lock(&c->bvm->exclusive);
		b->exclusive = true;
	}
	if (access == BT_WRITE)
		return;
	read_piece(c, t[0], b->la, b->bytes, first);
	if (t[1])
		read_piece(c, t[1], next_page(c, h, b->la), b->bytes + first, b->n - first);
}

static void *get(struct bt_cpu *c, const struct how *h, uint64_t la, unsigned n,
		 enum bt_access access, bool locked, struct bt_bounce *b)
{
	const struct bt_tlbe *t[2] = {find(c, h, la, access), NULL};
	unsigned why = access & BT_WRITE ? TE_IO | TE_ROM : TE_IO;

	b->la = la;
	b->n = n;
	b->bounced = b->exclusive = false;
	b->write = access & BT_WRITE;
	b->code = NULL;
	if (UNLIKELY(in_page(la, n) < n))
		t[1] = find(c, h, next_page(c, h, la), access);
	if (!(n & (n - 1)))
		check_align(c, h, la, n);
	if (UNLIKELY(t[1] || (t[0]->pa & (why | TE_BP)))) {
		bounce(c, h, t, locked, b, access);
		return b->bytes;
	}
	if (b->write && (t[0]->wtag & TLB_SLOW))
		b->code = h->set->code[t[0] - h->set->t.e];
	return (void *)(uintptr_t)(la + t[0]->addend);
}

void *bt_get(struct bt_cpu *c, uint64_t la, unsigned n, enum bt_access access, bool locked,
	     struct bt_bounce *b)
{
	struct how h = how_now(c);

	return get(c, &h, la, n, access, locked, b);
}

void *bt_get_sys(struct bt_cpu *c, uint64_t la, unsigned n, enum bt_access access, bool locked,
		 struct bt_bounce *b)
{
	struct how h = how_as(c, false, false);

	return get(c, &h, la, n, access, locked, b);
}

/* Writes to where bt_get was allowed to; @flags has the low bits of the TLB entry. */
static void put_piece(struct bt_cpu *c, uint64_t flags, uint64_t la, const uint8_t *src, unsigned n)
{
	gpa_t pa = (flags & PAGE_MASK) | (la & 0xfff);
	const struct mmu_window *w = mmu_window_at(c, pa);
	struct bt_code_page *code;

	if (flags & TE_BP)
		note_breakpoints(c, la, n, true);
	if (!w || w->ram->rom) {
		io_write(c, pa, src, n);
		return;
	}
	guest_copy(w->host + (pa - w->base), src, n);
	ram_log_dirty(w->ram, w->ram_off + (pa - w->base), n);
	code = code_page_of(w, pa);
	if (code && code_stored(c->bvm, code, la & 0xfff, n))
		cut_block(c);
}

void bt_put(struct bt_cpu *c, struct bt_bounce *b, bool write)
{
	unsigned first = in_page(b->la, b->n);

	if (!b->bounced) {
		if (b->code && write && code_stored(c->bvm, b->code, b->la & 0xfff, b->n))
			cut_block(c);
		return;
	}
	if (write && b->write) {
		put_piece(c, b->pa[0], b->la, b->bytes, first);
		if (first < b->n)
			put_piece(c, b->pa[1], b->la + first, b->bytes + first, b->n - first);
	}
	if (b->exclusive) {
		b->exclusive = false;
		pthread_mutex_unlock(&c->bvm->exclusive);
	}
}
