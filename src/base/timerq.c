/*
 * base/timerq.c - a binary heap of timers.
 *
 * Entry i's children are 2i+1 and 2i+2; each entry knows its own place, so that it can be moved or
 * taken out without a search.  An entry is queued exactly if the heap has it at its index: an entry
 * that was never armed needs no initialisation.
 */
#include "base/timerq.h"

#include <errno.h>
#include <stdlib.h>

#include "base/sys.h"

static bool queued(const struct timerq *q, const struct timerq_entry *t)
{
	return t->index < q->n && q->heap[t->index] == t;
}

static bool before(const struct timerq_entry *a, const struct timerq_entry *b)
{
	if (a->when != b->when)
		return a->when < b->when;
	/* Modulo 2^32: entries of one instant were armed within 2^31 armings of each other. */
	return (int32_t)(a->seq - b->seq) < 0;
}

static void put(struct timerq *q, uint32_t i, struct timerq_entry *t)
{
	q->heap[i] = t;
	t->index = i;
}

/* Lets @t, at a hole at @i, rise or sink to where it belongs. */
static void settle(struct timerq *q, uint32_t i, struct timerq_entry *t)
{
	while (i > 0 && before(t, q->heap[(i - 1) / 2])) {
		put(q, i, q->heap[(i - 1) / 2]);
		i = (i - 1) / 2;
	}
	for (;;) {
		uint32_t child = 2 * i + 1;

		if (child >= q->n)
			break;
		if (child + 1 < q->n && before(q->heap[child + 1], q->heap[child]))
			child++;
		if (!before(q->heap[child], t))
			break;
		put(q, i, q->heap[child]);
		i = child;
	}
	put(q, i, t);
}

int timerq_reserve(struct timerq *q)
{
	if (q->reserved == q->cap) {
		uint32_t cap = q->cap ? q->cap * 2 : 16;
		void *heap = sys_realloc_array(q->heap, cap, sizeof(struct timerq_entry *));

		if (!heap)
			return -ENOMEM;
		q->heap = heap;
		q->cap = cap;
	}
	q->reserved++;
	return 0;
}

void timerq_unreserve(struct timerq *q)
{
	BUG_ON(q->reserved == 0);
	q->reserved--;
	BUG_ON(q->n > q->reserved);
}

void timerq_arm(struct timerq *q, struct timerq_entry *t, uint64_t when)
{
	if (when == TIMERQ_NEVER) {
		timerq_cancel(q, t);
		return;
	}
	if (!queued(q, t)) {
		BUG_ON(q->n >= q->reserved);
		t->index = q->n++;
	}
	t->when = when;
	t->seq = q->seq++;
	settle(q, t->index, t);
}

void timerq_cancel(struct timerq *q, struct timerq_entry *t)
{
	if (queued(q, t)) {
		struct timerq_entry *last = q->heap[--q->n];

		if (last != t)
			settle(q, t->index, last);
	}
	t->when = TIMERQ_NEVER;
}

struct timerq_entry *timerq_first(const struct timerq *q)
{
	return q->n ? q->heap[0] : NULL;
}

void timerq_exit(struct timerq *q)
{
	free(q->heap);
	*q = (struct timerq){0};
}
