/*
 * accel/bt/exec/string.c - MOVS, STOS, LODS, CMPS, SCAS, INS, OUTS.
 *
 * A repeated instruction goes in runs: as many elements as lie in one page of each operand, done at
 * the host's speed where the TLB gives pointers, else one element the slow way, which fills the
 * TLB, raises, or talks to a device.  Registers are moved after each run, so that a fault finds
 * them at the element that faulted.  After some work, or when something is pending, it returns with
 * rip where it was.
 *
 * Rows without A_END leave rip to the loop, which adds the length: to come back to itself, such an
 * instruction takes the length off first.  Blocks end behind repeated instructions.
 */
#include "accel/bt/exec/string.h"

bool str_begin(struct str *s, struct bt_cpu *c, const struct insn *i, unsigned n)
{
	*s = (struct str){.c = c, .i = i, .left = 1, .n = n};
	s->mask = size_mask(i->asize);
	s->back = c->rflags & FL_D;
	s->rep = i->prefixes & (INSN_REP | INSN_REPNE);
	if (s->rep)
		s->left = c->gpr[X86_RCX] & s->mask;
	if (s->left)
		return true;
	if (insn_table[i->row].attr & A_END)
		c->rip += i->len;
	return false;
}

static uint64_t within(uint64_t a, uint64_t b)
{
	return a < b ? a : b;
}

uint64_t str_run(const struct str *s, unsigned seg, uint64_t ea, uint64_t la)
{
	const struct bt_cpu *c = s->c;
	unsigned in_page = la & 0xfff;
	uint64_t k = s->left, room;

	if (k == 1 || in_page + s->n > 4096 || c->rflags & X86_FLAGS_TF)
		return 1; /* single steps stop behind each element (SDM 3B §17.3.1.4) */
	if (s->back) {
		k = within(k, within(in_page, ea) / s->n + 1);
	} else {
		k = within(k, (4096 - in_page) / s->n);
		k = within(k, (s->mask - ea) / s->n + 1);
	}
	if (c->mode.code != 8 && !c->mode.flat[seg]) {
		const struct x86_seg *x = &c->seg[seg];

		if ((X86_SEG_TYPE(x->attr) & 12) == 4) /* expands down */
			return 1;
		room = ea <= x->limit ? (x->limit - ea + 1) / s->n : 1;
		k = s->back ? k : within(k, room);
	}
	return k ? k : 1;
}

void str_step(const struct str *s, unsigned reg, uint64_t k)
{
	uint64_t by = k * s->n;

	gpr_write(s->c, reg, s->back ? s->c->gpr[reg] - by : s->c->gpr[reg] + by, s->i->asize);
}

bool str_next(struct str *s, uint64_t k, uint64_t work, bool stop)
{
	struct bt_cpu *c = s->c;
	bool ends = insn_table[s->i->row].attr & A_END;

	if (s->rep) {
		s->left -= k;
		gpr_write(c, X86_RCX, c->gpr[X86_RCX] - k, s->i->asize);
		s->work += work;
		if (s->left && !stop) {
			if (s->work < STR_WORK_MAX && !c->mode.step &&
			    !atomic_load_explicit(&c->attention, memory_order_relaxed))
				return true;
			if (!ends)
				c->rip -= s->i->len;
			return false;
		}
	}
	if (ends)
		c->rip += s->i->len;
	return false;
}

/* MOVS, STOS, LODS. -------------------------------------------------------------------------- */

/* As copying element after element forward would: what was written is read again. */
static void copy_up(uint8_t *dst, const uint8_t *src, uint64_t bytes, unsigned n)
{
	uintptr_t d = (uintptr_t)dst - (uintptr_t)src;
	uint64_t done = d;

	if (d >= bytes) { /* also where the destination is below */
		bt_guest_move(dst, src, bytes);
	} else if (d < n) {
		for (uint64_t at = 0; at < bytes; at += n)
			host_write(dst + at, host_read(src + at, n), n);
	} else { /* the first d bytes again and again */
		bt_guest_move(dst, src, d);
		for (; done < bytes; done *= 2)
			bt_guest_move(dst + done, dst, within(done, bytes - done));
	}
}

static void copy_down(uint8_t *dst, const uint8_t *src, uint64_t bytes, unsigned n)
{
	if ((uintptr_t)src - (uintptr_t)dst >= bytes) {
		bt_guest_move(dst, src, bytes);
		return;
	}
	for (uint64_t at = bytes; at; at -= n)
		host_write(dst + at - n, host_read(src + at - n, n), n);
}

void exec_movs(struct bt_cpu *c, const struct insn *i)
{
	struct str s;
	uint64_t from, to, src, dst, k;
	const uint8_t *p;
	uint8_t *q;

	if (!str_begin(&s, c, i, i->op[0].size))
		return;
	do {
		from = str_ea(&s, X86_RSI), to = str_ea(&s, X86_RDI);
		src = bt_la_of(c, i->seg, from, s.n, BT_READ);
		dst = bt_la_of(c, X86_ES, to, s.n, BT_WRITE);
		k = within(str_run(&s, i->seg, from, src), str_run(&s, X86_ES, to, dst));
		p = bt_read_ptr(c, str_low(&s, src, k), (unsigned)k * s.n);
		q = bt_write_ptr(c, str_low(&s, dst, k), (unsigned)k * s.n);
		if (k == 1 || !p || !q) {
			k = 1;
			bt_st(c, dst, bt_ld(c, src, s.n), s.n);
		} else if (s.back) {
			copy_down(q, p, k * s.n, s.n);
		} else {
			copy_up(q, p, k * s.n, s.n);
		}
		str_step(&s, X86_RSI, k);
		str_step(&s, X86_RDI, k);
	} while (str_next(&s, k, k == 1 ? STR_WORK_SINGLE : k * s.n, false));
}

/* What is written comes from here only: another vCPU may store to the same memory meanwhile. */
static void fill(uint8_t *dst, uint64_t v, uint64_t bytes, unsigned n)
{
	uint8_t pattern[64];

	if (n == 1 || !(v & size_mask(n))) {
		bt_guest_set(dst, (uint8_t)v, bytes);
		return;
	}
	for (unsigned k = 0; k < sizeof(pattern); k += n)
		memcpy(pattern + k, &v, n);
	for (; bytes >= sizeof(pattern); bytes -= sizeof(pattern), dst += sizeof(pattern))
		bt_guest_move(dst, pattern, sizeof(pattern));
	bt_guest_move(dst, pattern, bytes);
}

void exec_stos(struct bt_cpu *c, const struct insn *i)
{
	struct str s;
	uint64_t to, dst, k;
	uint8_t *q;

	if (!str_begin(&s, c, i, i->op[0].size))
		return;
	do {
		to = str_ea(&s, X86_RDI);
		dst = bt_la_of(c, X86_ES, to, s.n, BT_WRITE);
		k = str_run(&s, X86_ES, to, dst);
		q = bt_write_ptr(c, str_low(&s, dst, k), (unsigned)k * s.n);
		if (k == 1 || !q) {
			k = 1;
			bt_st(c, dst, c->gpr[X86_RAX], s.n);
		} else {
			fill(q, c->gpr[X86_RAX], k * s.n, s.n);
		}
		str_step(&s, X86_RDI, k);
	} while (str_next(&s, k, k == 1 ? STR_WORK_SINGLE : k * s.n, false));
}

/* Of a run only the last element stays. */
void exec_lods(struct bt_cpu *c, const struct insn *i)
{
	struct str s;
	uint64_t from, src, k, v;
	const uint8_t *p;

	if (!str_begin(&s, c, i, i->op[0].size))
		return;
	do {
		from = str_ea(&s, X86_RSI);
		src = bt_la_of(c, i->seg, from, s.n, BT_READ);
		k = str_run(&s, i->seg, from, src);
		p = bt_read_ptr(c, str_low(&s, src, k), (unsigned)k * s.n);
		if (k == 1 || !p) {
			k = 1;
			v = bt_ld(c, src, s.n);
		} else {
			v = host_read(s.back ? p : p + (k - 1) * s.n, s.n);
		}
		gpr_write(c, X86_RAX, v, s.n);
		str_step(&s, X86_RSI, k);
	} while (str_next(&s, k, k == 1 ? STR_WORK_SINGLE : k * s.n, false));
}

/* CMPS, SCAS. -------------------------------------------------------------------------------- */

/*
 * Compares up to *@k elements, the first at @a and @b, by the repeat prefix; @one_b: @b is nothing,
 * pair[1] is the accumulator.  Gives the last pair and how many there were; true: it ends the
 * repetition.
 */
static bool compare_run(const struct str *s, const uint8_t *a, const uint8_t *b, bool one_b,
			uint64_t *k, uint64_t pair[2])
{
	ptrdiff_t step = s->back ? -(ptrdiff_t)s->n : (ptrdiff_t)s->n;
	bool until_equal = s->i->prefixes & INSN_REPNE;
	uint64_t at = 0, max = *k;

	if (!s->back && !one_b && !until_equal && !memcmp(a, b, max * s->n))
		at = max - 1; /* all alike: go to the last */
	for (;; at++) {
		pair[0] = host_read(a + (ptrdiff_t)at * step, s->n);
		pair[1] = one_b ? pair[1] : host_read(b + (ptrdiff_t)at * step, s->n);
		if ((pair[0] == pair[1]) == until_equal) {
			*k = at + 1;
			return true;
		}
		if (at + 1 == max)
			return false;
	}
}

/*
 * The flags change when the comparison is over: CPUs show those from before the instruction when it
 * is interrupted or faults between two elements.
 */
void exec_cmps(struct bt_cpu *c, const struct insn *i)
{
	struct str s;
	uint64_t from, to, src, dst, k, low, pair[2];
	const uint8_t *p, *q;
	bool stop, again;

	if (!str_begin(&s, c, i, i->op[0].size))
		return;
	do {
		from = str_ea(&s, X86_RSI), to = str_ea(&s, X86_RDI);
		src = bt_la_of(c, i->seg, from, s.n, BT_READ);
		dst = bt_la_of(c, X86_ES, to, s.n, BT_READ);
		k = within(str_run(&s, i->seg, from, src), str_run(&s, X86_ES, to, dst));
		low = s.back ? (k - 1) * s.n : 0;
		p = bt_read_ptr(c, src - low, (unsigned)k * s.n);
		q = bt_read_ptr(c, dst - low, (unsigned)k * s.n);
		if (k == 1 || !p || !q) {
			k = 1;
			pair[0] = bt_ld(c, src, s.n);
			pair[1] = bt_ld(c, dst, s.n);
			stop = (pair[0] == pair[1]) == !!(i->prefixes & INSN_REPNE);
		} else {
			stop = compare_run(&s, p + low, q + low, false, &k, pair);
		}
		str_step(&s, X86_RSI, k);
		str_step(&s, X86_RDI, k);
		again = str_next(&s, k, k == 1 ? STR_WORK_SINGLE : k * s.n, stop);
	} while (again);
	if (!s.rep || !s.left || stop)
		flags_lazy(c, CC_SUB, pair[0], pair[1], pair[0] - pair[1], s.n);
}

void exec_scas(struct bt_cpu *c, const struct insn *i)
{
	struct str s;
	uint64_t to, dst, k, low, pair[2];
	const uint8_t *q;
	bool stop, again;

	if (!str_begin(&s, c, i, i->op[1].size))
		return;
	pair[1] = gpr_read(c, X86_RAX, s.n);
	do {
		to = str_ea(&s, X86_RDI);
		dst = bt_la_of(c, X86_ES, to, s.n, BT_READ);
		k = str_run(&s, X86_ES, to, dst);
		low = s.back ? (k - 1) * s.n : 0;
		q = bt_read_ptr(c, dst - low, (unsigned)k * s.n);
		if (k == 1 || !q) {
			k = 1;
			pair[0] = bt_ld(c, dst, s.n);
			stop = (pair[0] == pair[1]) == !!(i->prefixes & INSN_REPNE);
		} else {
			stop = compare_run(&s, q + low, q, true, &k, pair);
		}
		str_step(&s, X86_RDI, k);
		again = str_next(&s, k, k == 1 ? STR_WORK_SINGLE : k * s.n, stop);
	} while (again);
	if (!s.rep || !s.left || stop)
		flags_lazy(c, CC_SUB, pair[1], pair[0], pair[1] - pair[0], s.n);
}

/* INS, OUTS: one element at a time; memory is checked before a port is read. ----------------- */

void exec_ins(struct bt_cpu *c, const struct insn *i)
{
	uint16_t port = (uint16_t)c->gpr[X86_RDX];
	unsigned n = i->op[0].size;
	struct str s;
	uint64_t dst;

	io_check(c, port, n);
	if (!str_begin(&s, c, i, n))
		return;
	do {
		dst = bt_la_of(c, X86_ES, str_ea(&s, X86_RDI), n, BT_WRITE);
		bt_probe(c, dst, n, BT_WRITE);
		bt_st(c, dst, io_read(c, port, n), n);
		str_step(&s, X86_RDI, 1);
	} while (str_next(&s, 1, STR_WORK_SINGLE, false));
}

void exec_outs(struct bt_cpu *c, const struct insn *i)
{
	uint16_t port = (uint16_t)c->gpr[X86_RDX];
	unsigned n = i->op[1].size;
	struct str s;
	uint64_t src;

	io_check(c, port, n);
	if (!str_begin(&s, c, i, n))
		return;
	do {
		src = bt_la_of(c, i->seg, str_ea(&s, X86_RSI), n, BT_READ);
		io_write(c, port, bt_ld(c, src, n), n);
		str_step(&s, X86_RSI, 1);
	} while (str_next(&s, 1, STR_WORK_SINGLE, false));
}
