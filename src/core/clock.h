/*
 * core/clock.h - VM time and its timers.
 *
 * VM time counts nanoseconds while the VM runs and stands still while it is paused.  Device timers
 * are armed in VM time and fire on the loop's thread with their device's lock held.  Under the
 * script accelerator the clock is manual: it moves only by clock_step, which fires due timers in
 * order on the caller's thread.
 *
 * Lock order: device lock, then clock lock.  The clock never holds its lock when it takes a
 * device's: it looks at the earliest timer, takes the device's lock, and only then, under the clock
 * lock again, takes the timer off if it is still due.
 */
#ifndef LODGE_CORE_CLOCK_H
#define LODGE_CORE_CLOCK_H

#include <pthread.h>
#include <stdatomic.h>

#include "base/loop.h"
#include "base/timerq.h"

struct device;
struct vm;

/* Wall time at VM time 0 of a manual clock: 2024-01-01 00:00:00 UTC, in seconds since 1970. */
#define CLOCK_MANUAL_EPOCH 1704067200

struct clock {
	struct vm *vm;
	pthread_mutex_t lock;
	bool manual;
	/*
	 * What VM time is, written under the lock and read without it: a vCPU in software asks very
	 * often.  @seq is odd while it changes.
	 */
	_Atomic uint32_t seq;
	_Atomic bool running;
	_Atomic uint64_t offset;     /* VM time = host time + offset while running, mod 2^64 */
	_Atomic uint64_t stopped_at; /* VM time while not running */
	struct timerq queue;
	struct loop_fd tfd; /* timerfd for the earliest timer */
};

struct timer {
	struct timerq_entry entry;
	struct device *dev;
	void (*fn)(struct device *dev);
};

int clock_init(struct clock *c, struct vm *vm, struct loop *l, bool manual,
	       struct err *e) MUST_CHECK;
void clock_exit(struct clock *c);
/* VM time in ns.  Any thread; takes no lock. */
uint64_t clock_now(struct clock *c);
/* Starts and stops VM time (pause, resume). */
void clock_start(struct clock *c);
void clock_stop(struct clock *c);
/* Manual clock: forward by @ns, firing what falls due.  No device lock held. */
void clock_step(struct clock *c, uint64_t ns);
/* Sets VM time (load of a saved state); the clock must be stopped. */
void clock_set(struct clock *c, uint64_t now);
/*
 * Wall time in ns since 1970 UTC as the guest shall see it: the host's, or on a manual clock
 * CLOCK_MANUAL_EPOCH plus VM time.
 */
int64_t clock_wall(struct clock *c);

/* In a device's init; room for arming is reserved here.  -ENOMEM. */
int timer_init(struct timer *t, struct device *dev, void (*fn)(struct device *dev),
	       struct err *e) MUST_CHECK;
void timer_exit(struct timer *t);
/* Arms (or moves) to VM time @when; in the past fires at once.  Device lock held. */
void timer_arm(struct timer *t, uint64_t when);
void timer_cancel(struct timer *t);
bool timer_pending(const struct timer *t);

#endif
