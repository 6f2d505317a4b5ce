/*
 * accel/bt/exec/string.h - what the string instructions share: repetition in runs of elements.
 */
#ifndef LODGE_ACCEL_BT_EXEC_STRING_H
#define LODGE_ACCEL_BT_EXEC_STRING_H

#include "accel/bt/exec/operand.h"

/* A string instruction that runs. */
struct str {
	struct bt_cpu *c;
	const struct insn *i;
	uint64_t left; /* elements to go */
	uint64_t mask; /* of addresses */
	uint64_t work; /* what was done, in bytes or so */
	unsigned n;    /* bytes of an element */
	bool rep, back;
};

/* False: repeated no times, all done. */
bool str_begin(struct str *s, struct bt_cpu *c, const struct insn *i, unsigned n);
/*
 * How many elements, from the one at @ea of @seg and linear address @la on, lie in one page and
 * within the segment; at least 1, of which nothing is known.  At most s->left.
 */
uint64_t str_run(const struct str *s, unsigned seg, uint64_t ea, uint64_t la);
/* Moves register @reg by @k elements. */
void str_step(const struct str *s, unsigned reg, uint64_t k);
/*
 * @k elements are done, at the cost of @work; @stop: no more.  False: return, c->rip is right:
 * behind the instruction, or at it for some more of it after a look at what is pending.
 */
bool str_next(struct str *s, uint64_t k, uint64_t work, bool stop);

/* What an element costs that goes alone, so that one call lasts no longer than some 100 us. */
#define STR_WORK_SINGLE 64u
#define STR_WORK_MAX	65536u

/* The effective address in @reg. */
static inline uint64_t str_ea(const struct str *s, unsigned reg)
{
	return s->c->gpr[reg] & s->mask;
}
/* The lowest address of a run of @k elements of which the first is at @la. */
static inline uint64_t str_low(const struct str *s, uint64_t la, uint64_t k)
{
	return s->back ? la - (k - 1) * s->n : la;
}

/* io.c: #GP(0) unless ports [port, port+n) may be accessed; and the access. */
void io_check(struct bt_cpu *c, uint16_t port, unsigned n);
uint64_t io_read(struct bt_cpu *c, uint16_t port, unsigned n);
void io_write(struct bt_cpu *c, uint16_t port, uint64_t v, unsigned n);

#endif
