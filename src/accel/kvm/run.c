/*
 * accel/kvm/run.c - vCPUs of KVM: making them, kicking them, the run loop, and the exits that every
 * architecture shares.
 *
 * A kick must end KVM_RUN whether the thread is inside it, about to enter it, or busy with an exit.
 * The kicker sets run->immediate_exit and then sends the thread a signal whose handler does
 * nothing. Inside KVM_RUN the signal ends it; before it, KVM sees immediate_exit.  Both come back
 * as EINTR. vcpu_run clears the flag before it looks at v->requests, so what is asked for after the
 * look sets the flag again.  An exit that wants an answer (a read of a port, say) is always
 * followed by another KVM_RUN, which takes the answer in before it looks at the flag: a parked vCPU
 * never has an instruction half done, and its registers can be saved.
 */
#include <errno.h>
#include <signal.h>
#include <stdarg.h>
#include <stdio.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/mman.h>
#include <sys/syscall.h>
#include <unistd.h>

#include "accel/kvm/kvm.h"
#include "base/str.h"
#include "base/sys.h"
#include "base/trace.h"

static void kick_handler(int sig)
{
	(void)sig;
}

static void kick_install(void)
{
	/* No SA_RESTART: the point is that KVM_RUN ends. */
	struct sigaction sa = {.sa_handler = kick_handler};

	sigemptyset(&sa.sa_mask);
	(void)sigaction(KVM_KICK_SIG, &sa, NULL);
}

void kvm_kick_setup(void)
{
	static pthread_once_t once = PTHREAD_ONCE_INIT;
	sigset_t set;

	pthread_once(&once, kick_install);
	sigemptyset(&set);
	sigaddset(&set, KVM_KICK_SIG);
	pthread_sigmask(SIG_UNBLOCK, &set, NULL);
}

int kvm_vcpu_create(struct vcpu *v, unsigned long id, struct err *e)
{
	struct kvm_vm *kvm = kvm_of(v->vm);
	struct kvm_vcpu *kv = &kvm->vcpus[v->index];
	void *p;
	int rc;

	kvm_kick_setup();
	rc = KVM_CALL_VAL(kvm->fd, KVM_CREATE_VCPU, id, e);
	if (rc < 0)
		return rc;
	kv->fd = rc;
	kv->id = id;
	p = sys_mmap(NULL, kvm->run_size, PROT_READ | PROT_WRITE, MAP_SHARED, kv->fd, 0);
	if (p == MAP_FAILED) {
		rc = err_errno(e, -errno, "cannot map the vCPU's shared page");
		err_kind(e, ERR_HOST);
		return rc;
	}
	kv->run = p;
	if (kvm->held_off)
		kv->held_ring = (void *)((uint8_t *)p + kvm->held_off);
	rc = kvm_ring_map(kv, e);
	if (rc)
		return rc;
	v->accel = kv;
	atomic_store(&kv->tid, (pid_t)syscall(SYS_gettid));
	return 0;
}

/* The descriptor and the shared page stay until vm_exit: a kick may be on its way. */
void kvm_vcpu_exit(struct vcpu *v)
{
	struct kvm_vcpu *kv = v->accel;

	if (kv)
		atomic_store(&kv->tid, 0);
}

void kvm_vcpu_destroy(struct kvm_vcpu *kv)
{
	if (kv->ring)
		munmap(kv->ring, kv->kvm->opt.dirty_ring * sizeof(struct kvm_dirty_gfn));
	if (kv->run)
		munmap(kv->run, kv->kvm->run_size);
	if (kv->fd >= 0)
		close(kv->fd);
	kv->ring = NULL;
	kv->run = NULL;
	kv->held_ring = NULL;
	kv->fd = -1;
}

static void set_immediate_exit(struct kvm_run *run, uint8_t on)
{
	__atomic_store_n(&run->immediate_exit, on, __ATOMIC_SEQ_CST);
}

void kvm_vcpu_kick(struct vcpu *v)
{
	struct kvm_vcpu *kv = &kvm_of(v->vm)->vcpus[v->index];
	pid_t tid = atomic_load(&kv->tid);

	if (!tid)
		return;
	set_immediate_exit(kv->run, 1);
	/* It may have ended since; then nobody is there to be kicked. */
	(void)syscall(SYS_tgkill, getpid(), tid, KVM_KICK_SIG);
}

/* KVM_NMI is the vCPU's own ioctl and would wait for KVM_RUN to end: its thread does it. */
int kvm_vcpu_nmi(struct vcpu *v, struct err *e)
{
	struct kvm_vcpu *kv = &kvm_of(v->vm)->vcpus[v->index];

	if (!atomic_load(&kv->tid))
		return err_set(e, -ESRCH, "cpu%u has ended", v->index);
	atomic_store(&kv->nmi, true);
	kvm_vcpu_kick(v);
	return 0;
}

int kvm_broken(struct vcpu *v, const char *fmt, ...)
{
	struct err *e = &v->broken;
	char text[sizeof(e->msg)];
	va_list ap;

	va_start(ap, fmt);
	vsnprintf(text, sizeof(text), fmt, ap);
	va_end(ap);
	*e = ERR_INIT;
	err_set(e, -EIO, "%s", text);
	err_kind(e, ERR_HOST);
	return VCPU_BROKEN;
}

int kvm_exit_mmio(struct vcpu *v, struct kvm_run *run)
{
	/* as_vcpu_* take at most 8 bytes, and KVM never gives more. */
	unsigned len = MIN(run->mmio.len, (uint32_t)sizeof(run->mmio.data));

	if (run->mmio.is_write) {
		vcpu_count(v, EXIT_STAT_MMIO_WRITE);
		(void)as_vcpu_write(&v->vm->mem, run->mmio.phys_addr, run->mmio.data, len);
	} else {
		vcpu_count(v, EXIT_STAT_MMIO_READ);
		(void)as_vcpu_read(&v->vm->mem, run->mmio.phys_addr, run->mmio.data, len);
	}
	return KVM_GO_ON;
}

int kvm_exit_system_event(struct vcpu *v, struct kvm_run *run)
{
	uint32_t type = run->system_event.type;

	switch (type) {
	case KVM_SYSTEM_EVENT_SHUTDOWN:
		vm_request(v->vm, VM_EVENT_OFF, 0, "the guest powered off");
		return VCPU_DONE;
	case KVM_SYSTEM_EVENT_RESET:
		vm_request(v->vm, VM_EVENT_RESET, 0, "the guest asked for a reset");
		return VCPU_DONE;
	case KVM_SYSTEM_EVENT_CRASH:
		vm_request(v->vm, VM_EVENT_PANIC, 0, "the guest reported a crash");
		return VCPU_DONE;
	default:
		return kvm_broken(v, "KVM reported the system event %u, which Lodge does not know",
				  type);
	}
}

int kvm_exit_dirty_ring(struct vcpu *v, struct kvm_run *run)
{
	struct err e = ERR_INIT;

	(void)run;
	if (kvm_ring_harvest(kvm_of(v->vm), &e))
		return kvm_broken(v, "cannot empty the dirty ring: %s", e.msg);
	return KVM_GO_ON;
}

int kvm_exit_memory_fault(struct vcpu *v, struct kvm_run *run)
{
	uint64_t gpa;

	/* struct { u64 flags, gpa, size; }, which older headers lack. */
	memcpy(&gpa, run->padding + 8, sizeof(gpa));
	return kvm_broken(v, "the host has no memory behind guest address 0x%llx",
			  (unsigned long long)gpa);
}

/* KVM_RUN gave an error: KVM_GO_ON or why the vCPU stops. */
static int run_failed(struct vcpu *v, struct kvm_vcpu *kv, int err)
{
	switch (err) {
	case EINTR:
		vcpu_count(v, EXIT_STAT_INTR);
		if (atomic_exchange(&kv->nmi, false))
			(void)ioctl(kv->fd, KVM_NMI, 0);
		return VCPU_KICKED;
	case EAGAIN: return KVM_GO_ON; /* an AP took an INIT: it sleeps on in the next KVM_RUN */
	case EFAULT:
		if (kv->run->exit_reason == KVM_EXIT_MEMORY_FAULT)
			return kvm_exit_memory_fault(v, kv->run);
		return kvm_broken(v, "the host has no memory behind a guest address that was used");
	case ENOMEM: return kvm_broken(v, "KVM_RUN: the host is out of memory");
	default: return kvm_broken(v, "KVM_RUN: %s", strerror(err));
	}
}

static int exit_unknown(struct vcpu *v, uint32_t reason)
{
	return kvm_broken(v, "KVM gave exit reason %u, which Lodge does not know", reason);
}

static void resumed(struct vcpu *v, struct kvm_vcpu *kv)
{
	kvm_clock_resume(kv->kvm);
	if (kv->ran)
		kvm_arch_vcpu_resumed(kv);
	kv->ran = true;
	v->resumed = false;
}

enum vcpu_stop kvm_vcpu_run(struct vcpu *v)
{
	struct kvm_vcpu *kv = v->accel;
	struct kvm_run *run = kv->run;
	int next, err;

	set_immediate_exit(run, 0);
	if (atomic_load(&v->requests))
		return VCPU_KICKED;
	if (v->resumed)
		resumed(v, kv);
	if (kv->held)
		return VCPU_HALTED;
	do {
		uint64_t n = atomic_load_explicit(&v->entries, memory_order_relaxed);

		atomic_store_explicit(&v->entries, n + 1, memory_order_relaxed);
		err = ioctl(kv->fd, KVM_RUN, 0) < 0 ? errno : 0;
		kvm_held_flush(kv);
		if (err) {
			next = run_failed(v, kv, err);
			continue;
		}
		uint32_t reason = run->exit_reason;
		const struct kvm_exit *x = reason < kvm_n_exits ? &kvm_exits[reason] : NULL;

		if (UNLIKELY(!x || !x->fn)) {
			vcpu_count(v, EXIT_STAT_OTHER);
			next = exit_unknown(v, reason);
			continue;
		}
		TRACE(kvm_exit, "cpu%u %s", v->index, x->name);
		if (x->stat != EXIT_STAT_COUNT)
			vcpu_count(v, x->stat);
		next = x->fn(v, run);
	} while (next == KVM_GO_ON);
	return (enum vcpu_stop)next;
}
