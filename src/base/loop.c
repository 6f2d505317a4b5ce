/*
 * base/loop.c - the event loop.
 *
 * Watches live in epoll, with the watch's address as the event's data.  epoll refuses regular
 * files, which are always ready: those are on the list `always`, and while it is not empty the loop
 * does not sleep.  A watch without events leaves epoll, because epoll reports hang-ups whether
 * asked or not, and a silent watch would spin.
 *
 * A callback may remove any watch, also one whose event waits in the batch that is being
 * dispatched: loop_del looks through the rest of the batch and blanks it.
 *
 * Posts are a list under a mutex, beside an eventfd that epoll watches.  A poster writes to the
 * eventfd only if nobody has since the loop last looked (`rung`).  The loop empties the eventfd
 * before it clears `rung` and takes the list, so that a post falls either into the list it takes or
 * behind a fresh write.  Posts made by a callback run in the next step: no step is endless.
 */
#include "base/loop.h"

#include <errno.h>
#include <pthread.h>
#include <stdatomic.h>
#include <stdlib.h>
#include <sys/epoll.h>
#include <sys/eventfd.h>
#include <unistd.h>

#include "base/sys.h"

#define LOOP_BATCH 64

struct loop {
	int epfd, wakefd;
	_Atomic bool stop;
	pthread_mutex_t lock;
	/* Under the lock. */
	bool rung;
	struct list posts; /* to run in the next step */
	struct list taken; /* to run in this step */
	/* Loop thread only. */
	struct list always;
	struct epoll_event batch[LOOP_BATCH];
	int batch_at, batch_n; /* the events not yet dispatched */
};

static _Thread_local const struct loop *loop_of_thread;

/* With the lock. */
static void loop_ring(struct loop *l)
{
	uint64_t one = 1;

	if (l->rung)
		return;
	l->rung = true;
	/* Fails only if the counter is full: then the loop is awake anyway. */
	if (write(l->wakefd, &one, sizeof(one)) < 0)
		BUG_ON(errno != EAGAIN);
}

struct loop *loop_new(struct err *e)
{
	struct loop *l = sys_alloc(sizeof(*l));
	struct epoll_event ev = {.events = EPOLLIN, .data.ptr = NULL};

	if (!l) {
		err_nomem(e, sizeof(*l), "an event loop");
		return NULL;
	}
	pthread_mutex_init(&l->lock, NULL);
	list_init(&l->posts);
	list_init(&l->taken);
	list_init(&l->always);
	l->wakefd = sys_eventfd(0);
	if (l->wakefd < 0)
		goto out_free;
	l->epfd = epoll_create1(EPOLL_CLOEXEC);
	if (l->epfd < 0)
		goto out_wake;
	if (fault_hit("epoll_ctl") || epoll_ctl(l->epfd, EPOLL_CTL_ADD, l->wakefd, &ev) < 0)
		goto out_epoll;
	return l;

out_epoll:
	close(l->epfd);
out_wake:
	close(l->wakefd);
out_free:
	pthread_mutex_destroy(&l->lock);
	free(l);
	err_errno(e, errno, "cannot make an event loop");
	err_kind(e, ERR_HOST);
	return NULL;
}

void loop_free(struct loop *l)
{
	struct list *pos, *tmp;

	if (!l)
		return;
	list_for_each_safe(pos, tmp, &l->posts) {
		list_entry(pos, struct loop_post, link)->queued = false;
		list_del(pos);
	}
	list_for_each_safe(pos, tmp, &l->always)
		list_del(pos);
	pthread_mutex_destroy(&l->lock);
	close(l->wakefd);
	close(l->epfd);
	free(l);
}

/* Makes epoll, or the list `always`, agree with w->events. */
static int watch_apply(struct loop *l, struct loop_fd *w)
{
	struct epoll_event ev = {.events = w->events, .data.ptr = w};
	int op = w->polled ? EPOLL_CTL_MOD : EPOLL_CTL_ADD;

	if (!w->events) {
		if (w->polled)
			epoll_ctl(l->epfd, EPOLL_CTL_DEL, w->fd, &ev);
		w->polled = false;
		list_del(&w->always);
		return 0;
	}
	if (!list_empty(&w->always))
		return 0;
	if (fault_hit("epoll_ctl"))
		return -ENOSPC;
	if (epoll_ctl(l->epfd, op, w->fd, &ev) == 0) {
		w->polled = true;
		return 0;
	}
	if (errno != EPERM)
		return -errno;
	list_add_tail(&l->always, &w->always);
	return 0;
}

int loop_add(struct loop *l, struct loop_fd *w, struct err *e)
{
	int r;

	if (!w->added) {
		list_init(&w->always);
		w->polled = false;
	}
	r = watch_apply(l, w);
	if (r < 0) {
		err_errno(e, r, "cannot watch file descriptor %d", w->fd);
		return err_kind(e, ERR_HOST);
	}
	w->added = true;
	return 0;
}

int loop_mod(struct loop *l, struct loop_fd *w, uint32_t events)
{
	BUG_ON(!w->added);
	if (w->events == events)
		return 0;
	w->events = events;
	return watch_apply(l, w);
}

void loop_del(struct loop *l, struct loop_fd *w)
{
	if (!w->added)
		return;
	if (w->polled)
		epoll_ctl(l->epfd, EPOLL_CTL_DEL, w->fd, NULL);
	list_del(&w->always);
	w->added = w->polled = false;
	for (int i = l->batch_at; i < l->batch_n; i++)
		if (l->batch[i].data.ptr == w)
			l->batch[i].events = 0;
}

void loop_post(struct loop *l, struct loop_post *p)
{
	pthread_mutex_lock(&l->lock);
	if (!p->queued) {
		p->queued = true;
		list_add_tail(&l->posts, &p->link);
		loop_ring(l);
	}
	pthread_mutex_unlock(&l->lock);
}

void loop_unpost(struct loop *l, struct loop_post *p)
{
	pthread_mutex_lock(&l->lock);
	if (p->queued) {
		p->queued = false;
		list_del(&p->link);
	}
	pthread_mutex_unlock(&l->lock);
}

/* Moves all of @from to the end of @to. */
static void list_take(struct list *to, struct list *from)
{
	if (list_empty(from))
		return;
	from->next->prev = to->prev;
	to->prev->next = from->next;
	from->prev->next = to;
	to->prev = from->prev;
	list_init(from);
}

static int run_events(struct loop *l)
{
	int ran = 0;

	while (l->batch_at < l->batch_n) {
		struct epoll_event *ev = &l->batch[l->batch_at++];
		struct loop_fd *w = ev->data.ptr;
		uint32_t events = ev->events;

		if (!events)
			continue; /* removed by an earlier callback of this batch */
		if (!w) {
			uint64_t count;

			if (read(l->wakefd, &count, sizeof(count)) < 0)
				BUG_ON(errno != EAGAIN && errno != EINTR);
			continue;
		}
		events &= w->events | EPOLLERR | EPOLLHUP;
		if (!events || !w->events)
			continue; /* changed by an earlier callback of this batch */
		w->fn(w, events);
		ran++;
	}
	return ran;
}

static int run_always(struct loop *l)
{
	struct list turn = LIST_INIT(turn);
	int ran = 0;

	list_take(&turn, &l->always);
	while (!list_empty(&turn)) {
		struct loop_fd *w = list_entry(turn.next, struct loop_fd, always);

		list_del(&w->always);
		list_add_tail(&l->always, &w->always);
		w->fn(w, w->events & (EPOLLIN | EPOLLOUT));
		ran++;
	}
	return ran;
}

static int run_posts(struct loop *l)
{
	int ran = 0;

	pthread_mutex_lock(&l->lock);
	l->rung = false;
	list_take(&l->taken, &l->posts);
	while (!list_empty(&l->taken)) {
		struct loop_post *p = list_entry(l->taken.next, struct loop_post, link);

		list_del(&p->link);
		p->queued = false;
		pthread_mutex_unlock(&l->lock);
		p->fn(p);
		ran++;
		pthread_mutex_lock(&l->lock);
	}
	pthread_mutex_unlock(&l->lock);
	return ran;
}

int loop_step(struct loop *l, int timeout_ms)
{
	const struct loop *outer = loop_of_thread;
	int n, ran;

	loop_of_thread = l;
	n = epoll_wait(l->epfd, l->batch, LOOP_BATCH, list_empty(&l->always) ? timeout_ms : 0);
	BUG_ON(n < 0 && errno != EINTR);
	l->batch_at = 0;
	l->batch_n = MAX(n, 0);
	ran = run_events(l);
	ran += run_always(l);
	ran += run_posts(l);
	loop_of_thread = outer;
	return ran;
}

void loop_run(struct loop *l)
{
	const struct loop *outer = loop_of_thread;

	loop_of_thread = l;
	while (!atomic_exchange(&l->stop, false))
		loop_step(l, -1);
	loop_of_thread = outer;
}

void loop_stop(struct loop *l)
{
	atomic_store(&l->stop, true);
	pthread_mutex_lock(&l->lock);
	loop_ring(l);
	pthread_mutex_unlock(&l->lock);
}

bool loop_is_current(const struct loop *l)
{
	return loop_of_thread == l;
}
