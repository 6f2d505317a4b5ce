/*
 * base/timerq.h - a queue of timers: a binary heap ordered by expiry.
 *
 * It knows no clock: the owner says what time it is.  Not locked; core/clock.c is the owner that
 * adds the lock, the VM's time and the devices.
 */
#ifndef LODGE_BASE_TIMERQ_H
#define LODGE_BASE_TIMERQ_H

#include "base/compiler.h"

#define TIMERQ_NEVER UINT64_MAX

struct timerq_entry {
	uint64_t when;	 /* TIMERQ_NEVER: not queued */
	uint32_t index;	 /* private: place in the heap */
	uint32_t seq;	 /* private: ties fire in the order they were armed */
};

/*
 * Room is reserved when an entry is registered (timerq_reserve), so that arming can never fail.
 */
struct timerq {
	struct timerq_entry **heap;
	uint32_t n, cap, reserved, seq;
};

int timerq_reserve(struct timerq *q) MUST_CHECK; /* one more entry; -ENOMEM */
void timerq_unreserve(struct timerq *q);
void timerq_arm(struct timerq *q, struct timerq_entry *t, uint64_t when);
void timerq_cancel(struct timerq *q, struct timerq_entry *t);
/* The earliest entry, or NULL. */
struct timerq_entry *timerq_first(const struct timerq *q);
void timerq_exit(struct timerq *q);

#endif
