/*
 * accel/bt/block.c - the cache of decoded blocks and the loop over one.
 *
 * A block ends behind an instruction that sets rip, before the end of its page, behind a repeated
 * string instruction (which may want to come back to itself), or where the bytes make no
 * instruction; then a pseudo-instruction raises what the processor would.  An instruction that
 * crosses into another page is a block of its own and depends on both.
 *
 * Blocks lie one behind the other in one piece of memory; when it is full, all are forgotten.  They
 * are found by linear address in a direct-mapped table, for the code size and the generation of the
 * MMU (which stands for address space and privilege), else by physical address in a hash.  Either
 * way a block is good while the versions of its pages are what they were when its bytes were read.
 * A block remembers what followed it, at once behind it and elsewhere, as entries of that table.
 * A dead one is taken out of the hash when it is met there; its memory comes back with the rest.
 *
 * What may not be kept is made in the free part of the same memory and overwritten by the next:
 * code outside RAM, in a page that is not settled (mmu.h), cut short by the limit of CS, or a
 * single step.
 */
#include <errno.h>
#include <stdlib.h>
#include <sys/mman.h>

#include "accel/bt/block.h"
#include "accel/bt/mmu_private.h"
#include "accel/bt/pure.h"
#include "base/sys.h"

#define MEMORY	 MIB(24)
#define LA_COUNT 16384u
#define PA_COUNT 65536u
#define ROOM	 (sizeof(struct bt_block) + BLOCK_INSNS * sizeof(struct insn))
#define LINE	 64u /* bytes of code that are marked at a time */

struct bt_blocks {
	uint8_t *memory;
	size_t used;
	/* First instruction of the block that runs or was left by a longjmp, or NULL. */
	const struct insn *running;
	struct block_link by_la[LA_COUNT];
	struct bt_block *by_pa[PA_COUNT];
};

int block_init(struct bt_cpu *c, struct err *e)
{
	struct bt_blocks *s = sys_alloc(sizeof(*s));

	if (!s)
		return err_nomem(e, sizeof(*s), "decoded blocks");
	s->memory = sys_mmap(NULL, MEMORY, PROT_READ | PROT_WRITE,
			     MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE, -1, 0);
	if (s->memory == MAP_FAILED) {
		free(s);
		return err_errno(e, -errno, "cannot map memory for decoded blocks");
	}
	c->blocks = s;
	return 0;
}

void block_exit(struct bt_cpu *c)
{
	if (!c->blocks)
		return;
	munmap(c->blocks->memory, MEMORY);
	free(c->blocks);
	c->blocks = NULL;
}

static void forget(struct bt_cpu *c)
{
	struct bt_blocks *s = c->blocks;

	s->used = 0;
	memset(s->by_la, 0, sizeof(s->by_la));
	memset(s->by_pa, 0, sizeof(s->by_pa));
	pure_flush(c);
}

/* A block that was left by longjmp: what it completed counts. */
static void count_left(struct bt_cpu *c)
{
	if (c->blocks->running)
		c->instructions += (uint64_t)(c->cur - c->blocks->running);
	c->blocks->running = NULL;
}

void block_flush(struct bt_cpu *c)
{
	count_left(c);
	forget(c);
}

/* Decoding. ---------------------------------------------------------------------------------- */

/* What the decoder stands on while it makes a block. */
struct maker {
	struct bt_cpu *c;
	struct bt_block *b;
	const struct insn_features *features;
	uint64_t la;	     /* of the block */
	const uint8_t *host; /* of its first byte, good to the end of the page */
	unsigned at;	     /* bytes decoded */
	unsigned marked;     /* bytes that may be looked at */
	unsigned room;	     /* to the end of the page, or to the limit of CS if that is nearer */
	bool limited;	     /* to the limit of CS */
	bool keep;	     /* so far */
	bool changed;	     /* written to meanwhile: begin again */
};

static void raise_ud(struct bt_cpu *c, const struct insn *i)
{
	(void)i;
	bt_ud(c);
}

static void raise_gp(struct bt_cpu *c, const struct insn *i)
{
	(void)i;
	bt_gp0(c);
}

/* A pseudo-instruction for bytes that are none: it raises when it is reached. */
static void put_bad(struct bt_block *b, enum insn_error why)
{
	struct insn *i = &b->insn[b->n++];

	memset(i, 0, sizeof(*i));
	i->exec = why == INSN_LONG ? raise_gp : raise_ud;
	i->mode = b->mode;
	b->ends = true;
}

/* Takes in the instruction just decoded at the end of @b.  False: the block ends behind it. */
static bool put(struct bt_block *b)
{
	struct insn *i = &b->insn[b->n++];
	uint32_t attr = insn_table[i->row].attr;

	i->exec = exec_fast(i);
	b->bytes = (uint16_t)(b->bytes + i->len);
	if (attr & A_END) {
		b->ends = true;
		return false;
	}
	if ((attr & (A_REP | A_REPZ)) && (i->prefixes & (INSN_REP | INSN_REPNE)))
		return false;
	return b->n < BLOCK_INSNS;
}

/* Lets the next line of code be looked at.  False: there is none, or all must begin again. */
static bool mark_more(struct maker *m)
{
	gpa_t pa = m->b->pa[0] + m->marked;
	unsigned n = MIN(LINE - (unsigned)(pa & (LINE - 1)), m->room - m->marked);
	struct bt_code_page *page;
	uint32_t version = 0;
	bool settled = false;

	if (!n)
		return false;
	page = bt_code_mark(m->c, pa, n, &version, &settled);
	if (page && m->marked && version != m->b->version[0]) {
		m->changed = true;
		return false;
	}
	m->b->page[0] = page;
	m->b->version[0] = version;
	m->keep = m->keep && page && settled;
	m->marked += n;
	return true;
}

/* The first eight at once, so that one store of another vCPU is seen as a whole or not at all. */
static void copy_code(uint8_t *to, const uint8_t *from, unsigned n)
{
	if (n < 8) {
		guest_copy(to, from, n);
		return;
	}
	guest_copy(to, from, 8);
	guest_copy(to + 8, from + 8, n - 8);
}

/*
 * Decodes one at m->at.  INSN_SHORT: it needs bytes behind m->room.  The decoder gets a copy: it
 * may look at a byte twice, and others may write to the code meanwhile.
 */
static int decode_one(struct maker *m)
{
	struct bt_block *b = m->b;
	uint8_t bytes[INSN_MAX];
	int rc = INSN_SHORT;
	unsigned n;

	for (;;) {
		n = MIN(m->marked - m->at, INSN_MAX);
		copy_code(bytes, m->host + m->at, n);
		if (n)
			rc = insn_decode(bytes, n, b->mode, m->features, &b->insn[b->n]);
		if (rc != INSN_SHORT || !mark_more(m))
			return rc;
	}
}

/* Bytes of code from m->la on that are within the limit of CS, at most 2 * 4096. */
static unsigned within_limit(const struct bt_cpu *c)
{
	uint64_t limit = c->seg[X86_CS].limit, max = 2 * GUEST_PAGE;

	if (c->mode.code == 8)
		return (unsigned)max;
	return c->rip > limit ? 0 : (unsigned)MIN(limit - c->rip + 1, max);
}

/* The bytes of code outside RAM come one by one, from devices or from nothing. */
static void read_outside(struct bt_cpu *c, gpa_t pa, uint8_t *to, unsigned n)
{
	for (unsigned k = 0; k < n; k++) {
		to[k] = 0xff;
		(void)as_vcpu_read(&c->v->vm->mem, pa + k, &to[k], 1);
	}
}

/*
 * The first instruction is not all in its page, or not in RAM: it is put together in a buffer.
 * @in_page bytes are there before the page ends, of @room within the limit of CS.
 */
static void make_single(struct maker *m, unsigned in_page, unsigned room)
{
	struct bt_cpu *c = m->c;
	struct bt_block *b = m->b;
	uint8_t bytes[INSN_MAX] = {0};
	const uint8_t *host = NULL;
	unsigned n = MIN(MIN(in_page, room), INSN_MAX), more;
	uint64_t la = m->la + in_page;
	uint32_t version = 0;
	bool settled = false;
	int rc;

	if (m->host)
		guest_copy(bytes, m->host, n);
	else
		read_outside(c, b->pa[0], bytes, n);
	rc = insn_decode(bytes, n, b->mode, m->features, b->insn);
	if (rc == INSN_SHORT) {
		if (room <= n)
			bt_gp0(c);
		bt_fetch(c, b->mode == 8 ? la : (uint32_t)la, &b->pa[1], &host);
		more = MIN(room, INSN_MAX) - n;
		b->crosses = true;
		b->page[1] = bt_code_mark(c, b->pa[1], more, &version, &settled);
		b->version[1] = version;
		m->keep = m->keep && b->page[1] && settled;
		if (host)
			guest_copy(bytes + n, host, more);
		else
			read_outside(c, b->pa[1], bytes + n, more);
		rc = insn_decode(bytes, n + more, b->mode, m->features, b->insn);
		if (rc == INSN_SHORT)
			bt_gp0(c); /* more than the limit of CS allows */
	}
	if (rc < 0)
		put_bad(b, (enum insn_error)rc);
	else
		put(b);
}

/* Fills m->b.  False: the code was written to meanwhile. */
static bool make(struct maker *m)
{
	struct bt_cpu *c = m->c;
	struct bt_block *b = m->b;
	unsigned in_page = GUEST_PAGE - (unsigned)(m->la & (GUEST_PAGE - 1)),
		 room = within_limit(c);
	unsigned max = c->mode.step ? 1 : BLOCK_INSNS;
	int rc;

	if (!room)
		bt_gp0(c);
	*b = (struct bt_block){.mode = c->mode.code};
	bt_fetch(c, m->la, &b->pa[0], &m->host);
	m->at = 0;
	m->marked = 0;
	m->room = MIN(in_page, room);
	m->limited = room < in_page;
	m->keep = !m->limited && !c->mode.step;
	m->changed = false;
	if (!m->host) {
		m->keep = false;
		make_single(m, in_page, room);
		return true;
	}
	while (b->n < max) {
		rc = decode_one(m);
		if (m->changed)
			return false;
		if (rc == INSN_SHORT) {
			if (!b->n)
				make_single(m, in_page, room);
			break;
		}
		if (rc < 0) {
			put_bad(b, (enum insn_error)rc);
			break;
		}
		m->at += b->insn[b->n].len;
		if (!put(b) || m->at == m->room)
			break;
	}
	if (!b->crosses) {
		b->page[1] = b->page[0];
		b->version[1] = b->version[0];
	}
	return true;
}

/* Finding. ----------------------------------------------------------------------------------- */

static bool stands(const struct bt_block *b)
{
	return atomic_load_explicit(&b->page[0]->version, memory_order_acquire) == b->version[0] &&
	       atomic_load_explicit(&b->page[1]->version, memory_order_acquire) == b->version[1];
}

/* Blocks that are neighbours have heads that are: decoding goes from one to the next. */
static struct bt_block **pa_head(struct bt_blocks *s, gpa_t pa, unsigned mode)
{
	return &s->by_pa[(pa >> 1 ^ pa >> 18 ^ mode << 12) & (PA_COUNT - 1)];
}

static struct block_link *la_entry(struct bt_blocks *s, uint64_t la)
{
	return &s->by_la[(la ^ la >> 14) & (LA_COUNT - 1)];
}

/* What mmu_generation gives, without a call. */
static inline uint64_t la_stamp(const struct bt_cpu *c)
{
	const struct bt_mmu *m = c->mmu;

	return (m->head[m->cur].gen | c->mode.user) << 4 | c->mode.code;
}

/* All of the block must be within the limit of CS; nothing else about it depends on the limit. */
static bool limit_allows(const struct bt_cpu *c, const struct bt_block *b)
{
	return c->mode.code == 8 || c->rip + b->bytes - 1 <= c->seg[X86_CS].limit;
}

/* By physical address.  The second page of a block must be mapped where it was. */
static struct bt_block *find_pa(struct bt_cpu *c, uint64_t la)
{
	struct bt_block **link, *b;
	const uint8_t *host;
	gpa_t pa, pa1;

	bt_fetch(c, la, &pa, &host);
	link = pa_head(c->blocks, pa, c->mode.code);
	for (b = *link; b; link = &b->next, b = *link) {
		if (b->pa[0] != pa || b->mode != c->mode.code)
			continue;
		if (!stands(b)) { /* and never will again */
			*link = b->next;
			return NULL;
		}
		if (!limit_allows(c, b))
			continue;
		if (!b->crosses)
			return b;
		la = ALIGN_UP(la + 1, (uint64_t)GUEST_PAGE);
		bt_fetch(c, b->mode == 8 ? la : (uint32_t)la, &pa1, &host);
		return pa1 == b->pa[1] ? b : NULL;
	}
	return NULL;
}

static struct bt_block *make_block(struct bt_cpu *c, uint64_t la)
{
	struct bt_blocks *s = c->blocks;
	struct bt_block **head;
	struct maker m = {.c = c, .features = &c->features, .la = la};

	if (s->used + ROOM > MEMORY)
		forget(c);
	m.b = (struct bt_block *)(void *)(s->memory + s->used);
	while (!make(&m))
		;
	if (!m.keep)
		return m.b;
	s->used += sizeof(*m.b) + m.b->n * sizeof(m.b->insn[0]);
	head = pa_head(s, m.b->pa[0], m.b->mode);
	m.b->next = *head;
	*head = m.b;
	*la_entry(s, la) = (struct block_link){la, la_stamp(c), m.b};
	return m.b;
}

static __attribute__((noinline)) struct bt_block *get_slow(struct bt_cpu *c, uint64_t la)
{
	struct bt_block *b;

	c->blocks->running = NULL; /* it may raise, and the block before is done */
	if (pure_full(c))
		forget(c);
	if (c->mode.step)
		return make_block(c, la);
	b = find_pa(c, la);
	if (!b)
		return make_block(c, la);
	*la_entry(c->blocks, la) = (struct block_link){la, la_stamp(c), b};
	return b;
}

static inline __attribute__((always_inline)) uint64_t code_la(struct bt_cpu *c)
{
	if (LIKELY(c->mode.code == 8))
		return c->rip;
	c->rip = (uint32_t)c->rip;
	return (uint32_t)(c->rip + c->seg_base[X86_CS]);
}

static inline __attribute__((always_inline)) bool
matches(const struct bt_cpu *c, const struct block_link *l, uint64_t la, uint64_t stamp)
{
	return l->la == la && l->stamp == stamp && stands(l->b) && limit_allows(c, l->b);
}

static inline __attribute__((always_inline)) struct bt_block *get(struct bt_cpu *c)
{
	uint64_t la = code_la(c);
	const struct block_link *e = la_entry(c->blocks, la);

	return LIKELY(matches(c, e, la, la_stamp(c)) && !c->mode.step) ? e->b : get_slow(c, la);
}

/*
 * The block behind @b, which ran from linear address @*la; @*la is then its own.  A link to a block
 * is as good as an entry of the table: both are forgotten with all blocks, and a block that is not
 * kept is in neither.
 */
static inline __attribute__((always_inline)) struct bt_block *
follow(struct bt_cpu *c, struct bt_block *b, uint64_t *la)
{
	uint64_t to = code_la(c), stamp = la_stamp(c);
	struct block_link *l = &b->link[to != *la + b->bytes];
	const struct block_link *e;

	*la = to;
	if (LIKELY(matches(c, l, to, stamp)))
		return l->b;
	e = la_entry(c->blocks, to);
	if (UNLIKELY(!matches(c, e, to, stamp)))
		return get_slow(c, to);
	*l = *e;
	return l->b;
}

/*
 * Both c->cur and c->rip are kept for each instruction: any may fault, and a store may find out
 * that it changes what runs, and then sets c->end behind itself.
 */
static inline __attribute__((always_inline)) void run(struct bt_cpu *c, struct bt_block *b)
{
	const struct insn *i = b->insn, *last = b->insn + b->n - 1;
	uint64_t rip = c->rip;

	c->blocks->running = i;
	c->end = last + 1;
	for (;;) {
		c->cur = i;
		c->rip = rip;
		i->exec(c, i);
		rip += i->len;
		if (++i >= c->end)
			break;
	}
	if (UNLIKELY(i <= last)) {
		c->rip += i[-1].len;
		c->instructions += (uint64_t)(i - b->insn);
		return;
	}
	if (!b->ends)
		c->rip += last->len; /* to where the meaning left it: REP may have come back */
	c->instructions += b->n;
}

struct bt_block *block_get(struct bt_cpu *c)
{
	if (UNLIKELY(c->blocks->running != NULL))
		count_left(c);
	return get(c);
}

void block_run(struct bt_cpu *c, struct bt_block *b)
{
	run(c, b);
	c->blocks->running = NULL;
}

/* True while there is nothing that the loop must look at between two blocks. */
static inline bool undisturbed(const struct bt_cpu *c)
{
	return !(atomic_load_explicit(&c->attention, memory_order_relaxed) | c->irq_waits |
		 c->irq_shadow | c->nmi_pending | c->mode.step | (c->mp_state != X86_MP_RUNNING));
}

void block_run_on(struct bt_cpu *c)
{
	struct bt_block *b;
	uint64_t la;

	if (c->blocks->running)
		count_left(c);
	b = get(c);
	la = code_la(c);
	for (;;) {
		run(c, b);
		if (UNLIKELY(!undisturbed(c)))
			break;
		b = follow(c, b, &la);
	}
	c->blocks->running = NULL;
}
