/*
 * core/clock.c - VM time and its timers.  Theory and lock order in core/clock.h.
 */
#include <errno.h>
#include <stdint.h>
#include <sys/epoll.h>
#include <sys/timerfd.h>
#include <time.h>
#include <unistd.h>

#include "base/sys.h"
#include "core/clock.h"
#include "core/vm.h"

/*
 * Timers fired in one go before other events get their turn; a period of 0 cannot starve the loop.
 */
#define FIRE_MAX 256u
/* And in one step of a manual clock. */
#define STEP_FIRE_MAX 1000000u

static uint64_t now_locked(const struct clock *c)
{
	return c->running && !c->manual ? sys_now_ns() + c->offset : c->stopped_at;
}

uint64_t clock_now(struct clock *c)
{
	uint32_t seq;
	uint64_t now;

	do {
		seq = atomic_load_explicit(&c->seq, memory_order_acquire);
		now = atomic_load_explicit(&c->running, memory_order_relaxed) && !c->manual
			      ? sys_now_ns() +
					atomic_load_explicit(&c->offset, memory_order_relaxed)
			      : atomic_load_explicit(&c->stopped_at, memory_order_relaxed);
		atomic_thread_fence(memory_order_acquire);
	} while (UNLIKELY(seq & 1 || seq != atomic_load_explicit(&c->seq, memory_order_relaxed)));
	return now;
}

/* Around a change of what now is made of; the lock is held. */
static void change_begin(struct clock *c)
{
	atomic_fetch_add(&c->seq, 1);
}

static void change_end(struct clock *c)
{
	atomic_fetch_add(&c->seq, 1);
}

/* Sets the timerfd for the earliest timer. */
static void rearm_locked(struct clock *c)
{
	const struct timerq_entry *first = timerq_first(&c->queue);
	struct itimerspec its = {0};

	if (c->manual)
		return;
	if (c->running && first) {
		uint64_t now = now_locked(c), host = sys_now_ns();
		uint64_t at = first->when > now ? host + (first->when - now) : host;

		if (at < host || at > INT64_MAX)
			at = INT64_MAX; /* centuries away */
		its.it_value.tv_sec = (time_t)(at / 1000000000u);
		its.it_value.tv_nsec = (long)(at % 1000000000u);
	}
	(void)timerfd_settime(c->tfd.fd, TFD_TIMER_ABSTIME, &its, NULL);
}

/*
 * Fires the earliest timer if it is due at @limit.  False if none is.  The look at the queue and
 * the removal are two steps, because the device's lock comes before the clock's.
 */
static bool fire_one(struct clock *c, uint64_t limit)
{
	pthread_mutex_lock(&c->lock);
	struct timerq_entry *first = timerq_first(&c->queue);
	if (!first || first->when > limit) {
		pthread_mutex_unlock(&c->lock);
		return false;
	}
	struct timer *t = container_of(first, struct timer, entry);
	struct device *d = t->dev;
	pthread_mutex_unlock(&c->lock);

	device_lock(d);
	pthread_mutex_lock(&c->lock);
	bool due = t->entry.when <= limit;
	if (due) {
		if (c->manual && t->entry.when > c->stopped_at)
			c->stopped_at = t->entry.when;
		timerq_cancel(&c->queue, &t->entry);
	}
	pthread_mutex_unlock(&c->lock);
	if (due)
		t->fn(d);
	device_unlock(d);
	return true;
}

static void clock_fd_ready(struct loop_fd *w, uint32_t events)
{
	struct clock *c = container_of(w, struct clock, tfd);
	uint64_t n;
	unsigned fired = 0;

	(void)events;
	if (read(w->fd, &n, sizeof(n)) < 0 && errno != EAGAIN)
		return;
	while (fired++ < FIRE_MAX && c->running && fire_one(c, clock_now(c)))
		;
	pthread_mutex_lock(&c->lock);
	rearm_locked(c);
	pthread_mutex_unlock(&c->lock);
}

int clock_init(struct clock *c, struct vm *vm, struct loop *l, bool manual, struct err *e)
{
	c->vm = vm;
	c->manual = manual;
	c->tfd = (struct loop_fd){.fd = -1, .events = EPOLLIN, .fn = clock_fd_ready};
	pthread_mutex_init(&c->lock, NULL);
	if (manual)
		return 0;
	c->tfd.fd = timerfd_create(CLOCK_MONOTONIC, TFD_CLOEXEC | TFD_NONBLOCK);
	if (c->tfd.fd < 0)
		return err_errno(e, -errno, "cannot make a timer descriptor");
	return loop_add(l, &c->tfd, e);
}

void clock_exit(struct clock *c)
{
	if (!c->vm)
		return;
	if (c->tfd.fd >= 0) {
		loop_del(c->vm->loop, &c->tfd);
		close(c->tfd.fd);
	}
	timerq_exit(&c->queue);
	pthread_mutex_destroy(&c->lock);
}

void clock_start(struct clock *c)
{
	pthread_mutex_lock(&c->lock);
	if (!c->running) {
		change_begin(c);
		c->offset = c->stopped_at - sys_now_ns();
		c->running = true;
		change_end(c);
		rearm_locked(c);
	}
	pthread_mutex_unlock(&c->lock);
}

void clock_stop(struct clock *c)
{
	pthread_mutex_lock(&c->lock);
	if (c->running) {
		change_begin(c);
		c->stopped_at = now_locked(c);
		c->running = false;
		change_end(c);
		rearm_locked(c);
	}
	pthread_mutex_unlock(&c->lock);
}

void clock_step(struct clock *c, uint64_t ns)
{
	unsigned fired = 0;
	uint64_t target;

	pthread_mutex_lock(&c->lock);
	if (ADD_OVERFLOWS(c->stopped_at, ns, &target))
		target = TIMERQ_NEVER - 1;
	pthread_mutex_unlock(&c->lock);
	while (fired++ < STEP_FIRE_MAX && fire_one(c, target))
		;
	pthread_mutex_lock(&c->lock);
	c->stopped_at = target;
	pthread_mutex_unlock(&c->lock);
}

void clock_set(struct clock *c, uint64_t now)
{
	pthread_mutex_lock(&c->lock);
	BUG_ON(c->running && !c->manual);
	c->stopped_at = now;
	pthread_mutex_unlock(&c->lock);
}

int64_t clock_wall(struct clock *c)
{
	struct timespec ts;

	if (c->manual)
		return (int64_t)(UINT64_C(1000000000) * CLOCK_MANUAL_EPOCH + clock_now(c));
	clock_gettime(CLOCK_REALTIME, &ts);
	return INT64_C(1000000000) * ts.tv_sec + ts.tv_nsec;
}

int timer_init(struct timer *t, struct device *dev, void (*fn)(struct device *dev), struct err *e)
{
	struct clock *c = &dev->vm->clock;
	int rc;

	pthread_mutex_lock(&c->lock);
	rc = timerq_reserve(&c->queue);
	pthread_mutex_unlock(&c->lock);
	if (rc)
		return err_nomem(e, sizeof(*t), "a timer");
	t->entry.when = TIMERQ_NEVER;
	t->fn = fn;
	t->dev = dev;
	return 0;
}

void timer_exit(struct timer *t)
{
	if (!t->dev)
		return;
	struct clock *c = &t->dev->vm->clock;

	timer_cancel(t);
	pthread_mutex_lock(&c->lock);
	timerq_unreserve(&c->queue);
	pthread_mutex_unlock(&c->lock);
	t->dev = NULL;
}

void timer_arm(struct timer *t, uint64_t when)
{
	struct clock *c = &t->dev->vm->clock;

	pthread_mutex_lock(&c->lock);
	const struct timerq_entry *before = timerq_first(&c->queue);
	timerq_arm(&c->queue, &t->entry, MIN(when, TIMERQ_NEVER - 1));
	if (timerq_first(&c->queue) != before || before == &t->entry)
		rearm_locked(c);
	pthread_mutex_unlock(&c->lock);
}

void timer_cancel(struct timer *t)
{
	struct clock *c = &t->dev->vm->clock;

	pthread_mutex_lock(&c->lock);
	timerq_cancel(&c->queue, &t->entry); /* an early wake-up does no harm: no re-arming */
	pthread_mutex_unlock(&c->lock);
}

bool timer_pending(const struct timer *t)
{
	return t->entry.when != TIMERQ_NEVER;
}
