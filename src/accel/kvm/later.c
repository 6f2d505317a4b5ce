/*
 * accel/kvm/later.c - what a VM needs done and nobody has to wait for.
 *
 * Some of KVM's ioctls, and closing a VM, wait for a grace period: milliseconds as a rule, and many
 * seconds where a vCPU spins in code that KVM emulates.  Neither the start of a guest nor the main
 * loop can afford that.  Such jobs are put on a list and done in order by a thread of the VM's own,
 * which is started when there is one to do and ends when there is none left; the next job joins it
 * and starts another.  vm_exit joins it after the vCPUs have gone, so that nothing is left behind.
 */
#include <errno.h>
#include <stddef.h>
#include <stdlib.h>
#include <string.h>

#include "accel/kvm/kvm.h"
#include "base/sys.h"

struct kvm_job {
	struct kvm_job *next;
	void (*fn)(struct kvm_vm *kvm, const void *arg);
	_Alignas(max_align_t) uint8_t arg[KVM_LATER_ARG];
};

void kvm_later_init(struct kvm_later *l)
{
	pthread_mutex_init(&l->lock, NULL);
	pthread_cond_init(&l->idle, NULL);
}

static void *later_thread(void *arg)
{
	struct kvm_vm *kvm = arg;
	struct kvm_later *l = &kvm->later;
	struct kvm_job *job;

	pthread_mutex_lock(&l->lock);
	while ((job = l->jobs)) {
		l->jobs = job->next;
		pthread_mutex_unlock(&l->lock);
		job->fn(kvm, job->arg);
		free(job);
		pthread_mutex_lock(&l->lock);
	}
	l->busy = false;
	pthread_cond_broadcast(&l->idle);
	pthread_mutex_unlock(&l->lock);
	return NULL;
}

/* Joins a thread that has done all; it takes no lock any more.  l->lock held. */
static void join_locked(struct kvm_later *l)
{
	if (l->started)
		pthread_join(l->thread, NULL);
	l->started = false;
}

static int start_locked(struct kvm_vm *kvm, struct err *e)
{
	struct kvm_later *l = &kvm->later;
	int rc;

	join_locked(l);
	rc = fault_hit("pthread_create") ? EAGAIN
					 : pthread_create(&l->thread, NULL, later_thread, kvm);
	l->started = l->busy = !rc;
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
	if (!l->busy)
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
	while (l->busy)
		pthread_cond_wait(&l->idle, &l->lock);
	join_locked(l);
	pthread_mutex_unlock(&l->lock);
}

void kvm_later_exit(struct kvm_vm *kvm)
{
	kvm_later_wait(kvm);
	pthread_cond_destroy(&kvm->later.idle);
	pthread_mutex_destroy(&kvm->later.lock);
}
