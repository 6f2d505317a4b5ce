/*
 * base/pool.h - a small pool of threads for work that blocks (file I/O without io_uring,
 * decompression, fsync).
 *
 * A job's fn runs on a worker; its done, where given, then runs on the loop's thread.  Jobs are
 * embedded in their owners; nothing is allocated per job.  Threads start on demand up to the limit.
 */
#ifndef LODGE_BASE_POOL_H
#define LODGE_BASE_POOL_H

#include "base/compiler.h"
#include "base/err.h"
#include "base/list.h"
#include "base/loop.h"

struct pool;

struct pool_job {
	void (*fn)(struct pool_job *j);	  /* on a worker */
	void (*done)(struct pool_job *j); /* on the loop's thread, or NULL */
	struct list link;		  /* private */
	struct loop_post post;		  /* private */
	struct pool *pool;		  /* private */
};

struct pool *pool_new(struct loop *l, unsigned max_threads, struct err *e) MUST_CHECK;
/* Any thread. */
void pool_submit(struct pool *p, struct pool_job *j);
/* Waits until every submitted job's fn has run (done callbacks may still be posted). */
void pool_drain(struct pool *p);
/* Drains, ends the threads, frees. */
void pool_free(struct pool *p);

#endif
