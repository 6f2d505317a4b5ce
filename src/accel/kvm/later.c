/*
 * accel/kvm/later.c - what a VM needs done and nobody has to wait for.
 *
 * Some of KVM's ioctls, and closing a VM, wait for a grace period: milliseconds as a rule, and many
 * seconds where a vCPU spins in code that KVM emulates.  Neither the start of a guest nor the main
 * loop can afford that.  Such jobs are put on a list and done in order by a thread of the VM's own.
 * It is started when there is one to do and ends when there has been none for a while, which is
 * long beside a start, so that all jobs of a start share one thread, and short beside a run; the
 * next job joins it and starts another.  vm_exit joins it after the vCPUs have gone, so that
 * nothing is left behind.
 */
#include <errno.h>
#include <stddef.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include "accel/kvm/kvm.h"
#include "base/sys.h"

#define LINGER_NS 20000000 /* how long the thread waits for another job */

struct kvm_job {
	struct kvm_job *next;
	void (*fn)(struct kvm_vm *kvm, const void *arg);
	_Alignas(max_align_t) uint8_t arg[KVM_LATER_ARG];
};

void kvm_later_init(struct kvm_later *l)
{
	pthread_mutex_init(&l->lock, NULL);
	pthread_cond_init(&l->cond, NULL);
}

/* Waits for a job; false if there was none for LINGER_NS, or will be none.  l->lock held. */
static bool linger_locked(struct kvm_later *l)
{
	struct timespec t;

	clock_gettime(CLOCK_REALTIME, &t);
	t.tv_nsec += LINGER_NS;
	t.tv_sec += t.tv_nsec / 1000000000;
	t.tv_nsec %= 1000000000;
	while (!l->jobs && !l->closing)
		if (pthread_cond_timedwait(&l->cond, &l->lock, &t))
			break;
	return l->jobs != NULL;
}

static void *later_thread(void *arg)
{
	struct kvm_vm *kvm = arg;
	struct kvm_later *l = &kvm->later;
	struct kvm_job *job;

	pthread_mutex_lock(&l->lock);
	while (linger_locked(l)) {
		job = l->jobs;
		l->jobs = job->next;
		l->busy = true;
		pthread_mutex_unlock(&l->lock);
		job->fn(kvm, job->arg);
		free(job);
		pthread_mutex_lock(&l->lock);
		l->busy = false;
		if (!l->jobs)
			pthread_cond_broadcast(&l->cond);
	}
	l->alive = false;
	pthread_mutex_unlock(&l->lock);
	return NULL;
}

static int start_locked(struct kvm_vm *kvm, struct err *e)
{
	struct kvm_later *l = &kvm->later;
	int rc;

	if (l->started) /* it has seen the last of its jobs, and takes no lock any more */
		pthread_join(l->thread, NULL);
	rc = fault_hit("pthread_create") ? EAGAIN
					 : pthread_create(&l->thread, NULL, later_thread, kvm);
	l->started = l->alive = !rc;
	return rc ? err_errno(e, -rc, "cannot start a thread"), err_kind(e, ERR_HOST) : 0;
}

int kvm_later(struct kvm_vm *kvm, void (*fn)(struct kvm_vm *kvm, const void *arg), const void *arg,
	      size_t len, struct err *e)
{
	struct kvm_later *l = &kvm->later;
	struct kvm_job *job = sys_alloc(sizeof(*job)), **tail;
	int rc = 0;

	BUG_ON(len > sizeof(job->arg)); /* our own calls, each with a type of its own */
	if (!job)
		return err_nomem(e, sizeof(*job), "a job for later");
	job->fn = fn;
	if (len)
		memcpy(job->arg, arg, len);
	pthread_mutex_lock(&l->lock);
	for (tail = &l->jobs; *tail; tail = &(*tail)->next)
		;
	*tail = job;
	if (l->alive)
		pthread_cond_broadcast(&l->cond);
	else
		rc = start_locked(kvm, e);
	if (rc)
		*tail = NULL;
	pthread_mutex_unlock(&l->lock);
	if (rc)
		free(job);
	return rc;
}

void kvm_later_wait(struct kvm_vm *kvm)
{
	struct kvm_later *l = &kvm->later;

	pthread_mutex_lock(&l->lock);
	while (l->busy || l->jobs)
		pthread_cond_wait(&l->cond, &l->lock);
	pthread_mutex_unlock(&l->lock);
}

void kvm_later_exit(struct kvm_vm *kvm)
{
	struct kvm_later *l = &kvm->later;

	pthread_mutex_lock(&l->lock);
	l->closing = true;
	pthread_cond_broadcast(&l->cond);
	pthread_mutex_unlock(&l->lock);
	if (l->started)
		pthread_join(l->thread, NULL);
	pthread_cond_destroy(&l->cond);
	pthread_mutex_destroy(&l->lock);
}
