/*
 * base/loop.h - an event loop over epoll.
 *
 * One thread runs a loop; the main thread runs the first.  File descriptors and idle work belong to
 * the loop and are touched by its thread only; loop_post and loop_stop are the ways in from other
 * threads.
 */
#ifndef LODGE_BASE_LOOP_H
#define LODGE_BASE_LOOP_H

#include "base/compiler.h"
#include "base/err.h"
#include "base/list.h"

struct loop;

/*
 * A watched descriptor, embedded in its owner.  @events is EPOLLIN and/or EPOLLOUT; fn gets what
 * happened.  The descriptor stays the owner's.  Loop thread only.
 */
struct loop_fd {
	int fd;
	uint32_t events;
	void (*fn)(struct loop_fd *w, uint32_t events);
	bool added;   /* private */
	bool polled;  /* private: epoll refuses regular files, they are always ready */
	struct list always;
};

/*
 * Work handed to the loop from any thread.  A post that is already queued is queued once.  The
 * struct must stay alive until fn has run or loop_unpost has returned.
 */
struct loop_post {
	void (*fn)(struct loop_post *p);
	struct list link;     /* private */
	bool queued;	      /* private */
};

struct loop *loop_new(struct err *e) MUST_CHECK;
void loop_free(struct loop *l);

/* Starts or changes (same struct) a watch; 0 events keeps it registered but silent. */
int loop_add(struct loop *l, struct loop_fd *w, struct err *e) MUST_CHECK;
int loop_mod(struct loop *l, struct loop_fd *w, uint32_t events);
void loop_del(struct loop *l, struct loop_fd *w);

/* Any thread; wakes the loop.  Never fails, never allocates. */
void loop_post(struct loop *l, struct loop_post *p);
/* Takes a post back.  Loop thread, or with the loop not running. */
void loop_unpost(struct loop *l, struct loop_post *p);

/* Runs until loop_stop.  The calling thread becomes the loop's thread. */
void loop_run(struct loop *l);
/* Waits at most @timeout_ms (-1: for ever), dispatches once, returns how many callbacks ran. */
int loop_step(struct loop *l, int timeout_ms);
/* Any thread: loop_run returns soon. */
void loop_stop(struct loop *l);
/* True on the thread that runs @l. */
bool loop_is_current(const struct loop *l);

#endif
