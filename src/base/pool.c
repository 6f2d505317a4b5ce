/*
 * base/pool.c - threads for work that blocks.
 *
 * One mutex guards the queue and the counts.  A job belongs to the pool from pool_submit until its
 * fn has run; if it has a done, that is posted to the loop, and after the post the pool does not
 * touch the job any more: done may free it.
 */
#include "base/pool.h"

#include <errno.h>
#include <pthread.h>
#include <signal.h>
#include <stdlib.h>

#include "base/sys.h"

struct pool {
	struct loop *loop;
	pthread_mutex_t lock;
	pthread_cond_t work; /* the queue got a job, or quit */
	pthread_cond_t calm; /* pending came to 0 */
	struct list queue;
	unsigned pending; /* submitted, fn not yet returned */
	unsigned waiting; /* jobs in the queue */
	unsigned idle;	  /* threads waiting for work */
	unsigned started, max;
	bool quit;
	pthread_t threads[];
};

static void job_done(struct loop_post *post)
{
	struct pool_job *j = container_of(post, struct pool_job, post);

	j->done(j);
}

/* Without the lock. */
static void job_run(struct pool *p, struct pool_job *j)
{
	bool tell = j->done != NULL;

	j->fn(j);
	if (tell)
		loop_post(p->loop, &j->post);
}

/* With the lock. */
static void job_ended(struct pool *p)
{
	if (--p->pending == 0)
		pthread_cond_broadcast(&p->calm);
}

static void *worker(void *arg)
{
	struct pool *p = arg;

	pthread_setname_np(pthread_self(), "lodge/pool");
	pthread_mutex_lock(&p->lock);
	for (;;) {
		struct pool_job *j;

		while (list_empty(&p->queue) && !p->quit) {
			p->idle++;
			pthread_cond_wait(&p->work, &p->lock);
			p->idle--;
		}
		if (list_empty(&p->queue))
			break;
		j = list_entry(p->queue.next, struct pool_job, link);
		list_del(&j->link);
		p->waiting--;
		pthread_mutex_unlock(&p->lock);
		job_run(p, j);
		pthread_mutex_lock(&p->lock);
		job_ended(p);
	}
	pthread_mutex_unlock(&p->lock);
	return NULL;
}

/* With the lock.  Signals are for the threads that wait for them: a worker blocks them all. */
static bool start_worker(struct pool *p)
{
	sigset_t all, old;
	bool ok;

	sigfillset(&all);
	pthread_sigmask(SIG_SETMASK, &all, &old);
	ok = !fault_hit("thread") && pthread_create(&p->threads[p->started], NULL, worker, p) == 0;
	pthread_sigmask(SIG_SETMASK, &old, NULL);
	if (ok)
		p->started++;
	return ok;
}

struct pool *pool_new(struct loop *l, unsigned max_threads, struct err *e)
{
	size_t bytes = sizeof(struct pool) + max_threads * sizeof(pthread_t);
	struct pool *p = sys_alloc(bytes);

	BUG_ON(max_threads == 0);
	if (!p) {
		err_nomem(e, bytes, "a worker pool");
		return NULL;
	}
	p->loop = l;
	p->max = max_threads;
	list_init(&p->queue);
	pthread_mutex_init(&p->lock, NULL);
	pthread_cond_init(&p->work, NULL);
	pthread_cond_init(&p->calm, NULL);
	return p;
}

void pool_submit(struct pool *p, struct pool_job *j)
{
	j->pool = p;
	j->post = (struct loop_post){.fn = job_done};
	pthread_mutex_lock(&p->lock);
	p->pending++;
	if (p->waiting >= p->idle && p->started < p->max && !start_worker(p) && !p->started) {
		/* No thread to be had at all: late is better than never. */
		pthread_mutex_unlock(&p->lock);
		job_run(p, j);
		pthread_mutex_lock(&p->lock);
		job_ended(p);
		pthread_mutex_unlock(&p->lock);
		return;
	}
	list_add_tail(&p->queue, &j->link);
	p->waiting++;
	pthread_cond_signal(&p->work);
	pthread_mutex_unlock(&p->lock);
}

void pool_drain(struct pool *p)
{
	pthread_mutex_lock(&p->lock);
	while (p->pending > 0)
		pthread_cond_wait(&p->calm, &p->lock);
	pthread_mutex_unlock(&p->lock);
}

void pool_free(struct pool *p)
{
	if (!p)
		return;
	pool_drain(p);
	pthread_mutex_lock(&p->lock);
	p->quit = true;
	pthread_cond_broadcast(&p->work);
	pthread_mutex_unlock(&p->lock);
	for (unsigned i = 0; i < p->started; i++)
		pthread_join(p->threads[i], NULL);
	pthread_cond_destroy(&p->calm);
	pthread_cond_destroy(&p->work);
	pthread_mutex_destroy(&p->lock);
	free(p);
}
