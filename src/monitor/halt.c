/*
 * monitor/halt.c - notices a guest that has halted for good.
 *
 * With interrupt chips in the host kernel a HLT does not come back to Lodge, and one with
 * interrupts off never ends: the vCPU's thread sleeps in the kernel and nobody is told.  So the
 * watch looks now and then at what the vCPU threads cost: CPU time and entries.  While that grows,
 * the guest runs.  When it stands still all vCPUs sleep, and their state is asked for, once: it
 * cannot change before one of them runs again, and then the cost has grown.  An idle guest is
 * disturbed once for each time that it stays idle for a whole period, and then one vCPU only, the
 * first that is not stuck.
 */
#include "monitor/halt.h"

#include <errno.h>
#include <sys/epoll.h>
#include <sys/timerfd.h>
#include <time.h>
#include <unistd.h>

#define FIRST_NS 10000000u /* tiny guests end soon, and somebody waits for them */
#define EVERY_NS 320000000u

static void arm(struct halt_watch *h, uint64_t ns)
{
	struct itimerspec t = {.it_value = {.tv_nsec = (long)ns}};

	timerfd_settime(h->timer.fd, 0, &t, NULL);
}

/* A number that has grown if any vCPU did anything. */
static uint64_t activity(const struct vm *vm)
{
	uint64_t sum = 0;

	for (unsigned i = 0; i < vm->n_vcpus; i++) {
		const struct vcpu *v = &vm->vcpus[i];
		struct timespec t;
		clockid_t clock;
		sum += atomic_load_explicit(&v->entries, memory_order_relaxed);
		if (pthread_getcpuclockid(v->thread, &clock) == 0 && clock_gettime(clock, &t) == 0)
			sum += (uint64_t)t.tv_sec * 1000000000 + (uint64_t)t.tv_nsec;
	}
	return sum;
}

/* On the vCPU's thread. */
static void ask_here(struct vcpu *v, void *arg)
{
	enum arch_activity *a = arg;
	struct err e = ERR_INIT;

	if (vcpu_peek(v, &e) < 0)
		return;
	*a = v->vm->arch->activity(v->state);
}

static bool halted_for_good(struct vm *vm)
{
	bool some = false;

	for (unsigned i = 0; i < vm->n_vcpus; i++) {
		enum arch_activity a = ARCH_KERNEL;
		vcpu_call(&vm->vcpus[i], ask_here, &a);
		if (a != ARCH_STUCK && a != ARCH_OFF)
			return false;
		some |= a == ARCH_STUCK;
	}
	return some;
}

static void on_timer(struct loop_fd *w, uint32_t events)
{
	struct halt_watch *h = container_of(w, struct halt_watch, timer);
	uint64_t ticks, now;

	(void)events;
	if (read(w->fd, &ticks, sizeof(ticks)) < 0 || h->vm->phase != VM_RUNNING)
		return;
	now = activity(h->vm);
	if (now != h->seen) {
		h->known = false;
	} else if (!h->known) {
		if (halted_for_good(h->vm)) {
			h->on_halt(h->arg);
			return;
		}
		h->known = true;
		now = activity(h->vm);
	}
	h->seen = now;
	arm(h, h->every_ns);
	h->every_ns = MIN(h->every_ns * 2, (uint64_t)EVERY_NS);
}

int halt_init(struct halt_watch *h, struct vm *vm, struct err *e)
{
	*h = (struct halt_watch){.vm = vm};
	h->timer = (struct loop_fd){.fn = on_timer, .events = EPOLLIN};
	h->timer.fd = timerfd_create(CLOCK_MONOTONIC, TFD_NONBLOCK | TFD_CLOEXEC);
	if (h->timer.fd < 0)
		return err_errno(e, -errno, "cannot make a timer"), err_kind(e, ERR_HOST);
	if (loop_add(vm->loop, &h->timer, e) < 0) {
		close(h->timer.fd);
		return e->code;
	}
	return 0;
}

void halt_exit(struct halt_watch *h)
{
	loop_del(h->vm->loop, &h->timer);
	close(h->timer.fd);
}

void halt_start(struct halt_watch *h)
{
	h->seen = 0;
	h->known = false;
	h->every_ns = FIRST_NS;
	/* An accelerator with a clock of its own has no threads that sleep in HLT. */
	if (!h->vm->accel->manual_clock)
		arm(h, FIRST_NS);
}
