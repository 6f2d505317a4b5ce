/*
 * core/vcpu.c - vCPU threads: life, requests, calls.
 *
 * A vCPU thread is always in one of five places: waiting for vm->make, creating its vCPU, inside
 * accel->vcpu_run, serving requests, or parked.  Everything another thread wants is a bit in
 * v->requests and a kick; the accelerator promises not to enter the guest while a bit is set, so a
 * kick cannot be lost. Parking, calls and their completion are under vm->lock with one condition
 * variable.
 *
 * A start has no time for handing work back and forth, each time a wake-up of another thread.  So
 * the main thread does not wait for vCPUs to be created: it asks them to take the state that it has
 * made (VCPU_REQ_PUT), and to run (vm->release), and whichever vCPU is the last to get there lets
 * all of them go.  vm->n_making and vm->n_puts count who is not there yet.
 */
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/sys.h"
#include "core/vcpu.h"
#include "core/vcpu_private.h"
#include "core/vm.h"

const char *const exit_stat_name[EXIT_STAT_COUNT] = {
#define X(id, name) name,
	EXIT_STATS(X)
#undef X
};

struct vcpu_call {
	void (*fn)(struct vcpu *v, void *arg);
	void *arg;
	bool done;
	struct vcpu_call *next;
};

static _Thread_local struct vcpu *current_vcpu;

struct vcpu *vcpu_current(void)
{
	return current_vcpu;
}

/* Runs queued calls. vm->lock held; dropped around each. */
static void run_calls_locked(struct vcpu *v)
{
	struct vm *vm = v->vm;

	atomic_fetch_and(&v->requests, ~(uint32_t)VCPU_REQ_CALL);
	while (v->call) {
		struct vcpu_call *c = v->call;

		v->call = c->next;
		pthread_mutex_unlock(&vm->lock);
		c->fn(v, c->arg);
		pthread_mutex_lock(&vm->lock);
		c->done = true;
		pthread_cond_broadcast(&vm->cond);
	}
}

void vcpu_release_locked(struct vm *vm)
{
	vm->release = false;
	for (unsigned i = 0; i < vm->n_vcpus; i++)
		if (vm->vcpus[i].code)
			return;
	for (unsigned i = 0; i < vm->n_vcpus; i++)
		atomic_fetch_and(&vm->vcpus[i].requests, ~(uint32_t)VCPU_REQ_PARK);
	pthread_cond_broadcast(&vm->cond);
}

void vcpu_put_locked(struct vcpu *v)
{
	if (!v->started || v->gone || atomic_fetch_or(&v->requests, VCPU_REQ_PUT) & VCPU_REQ_PUT)
		return;
	v->vm->n_puts++;
	pthread_cond_broadcast(&v->vm->cond);
}

static void signal_settled_locked(struct vm *vm)
{
	if (!vm->n_making && !vm->n_puts)
		pthread_cond_signal(&vm->settled);
}

/* What was asked of @v by vcpu_put_locked is done, or never will be.  vm->lock held. */
static void put_done_locked(struct vcpu *v)
{
	struct vm *vm = v->vm;

	if (!(atomic_fetch_and(&v->requests, ~(uint32_t)VCPU_REQ_PUT) & VCPU_REQ_PUT))
		return;
	if (--vm->n_puts == 0 && vm->release)
		vcpu_release_locked(vm);
	signal_settled_locked(vm);
}

static int put_state(struct vcpu *v, struct err *e)
{
	int rc = v->vm->accel->state_put ? v->vm->accel->state_put(v, e) : 0;

	v->fresh = false;
	return rc;
}

/* All vCPUs are there.  vm->lock held; dropped in between. */
static void take_state_locked(struct vcpu *v)
{
	struct vm *vm = v->vm;
	int rc;

	pthread_mutex_unlock(&vm->lock);
	v->broken = ERR_INIT;
	rc = put_state(v, &v->broken);
	if (rc)
		err_prefix(&v->broken, "cpu%u", v->index);
	pthread_mutex_lock(&vm->lock);
	v->code = rc;
	put_done_locked(v);
}

/* Serves all requests; false if the thread shall end. */
static bool serve_requests(struct vcpu *v)
{
	struct vm *vm = v->vm;
	bool go_on = true;

	pthread_mutex_lock(&vm->lock);
	for (;;) {
		uint32_t r = atomic_load(&v->requests);

		if (r & VCPU_REQ_PUT && !vm->n_making) {
			take_state_locked(v);
		} else if (r & VCPU_REQ_CALL && !(r & VCPU_REQ_PUT)) {
			run_calls_locked(v);
		} else if (r & VCPU_REQ_QUIT) {
			go_on = false;
			break;
		} else if (r & (VCPU_REQ_PARK | VCPU_REQ_PUT)) {
			if (!v->parked) {
				v->parked = true;
				pthread_cond_broadcast(&vm->cond);
			}
			pthread_cond_wait(&vm->cond, &vm->lock);
		} else {
			break;
		}
	}
	if (v->parked) {
		v->parked = false;
		v->resumed = true;
	}
	pthread_mutex_unlock(&vm->lock);
	return go_on;
}

/* True if every vCPU has halted for good; marks @v. */
static bool all_halted(struct vcpu *v)
{
	struct vm *vm = v->vm;
	bool all = true;

	pthread_mutex_lock(&vm->lock);
	v->halted = true;
	for (unsigned i = 0; i < vm->n_vcpus; i++)
		all &= vm->vcpus[i].halted;
	pthread_mutex_unlock(&vm->lock);
	return all;
}

static void stopped_for_debugger(struct vcpu *v)
{
	struct vm *vm = v->vm;
	bool attached;

	pthread_mutex_lock(&vm->lock);
	attached = vm->on_debug != NULL;
	pthread_mutex_unlock(&vm->lock);
	if (attached)
		loop_post(vm->loop, &vm->debug_post);
	else
		vm_request(vm, VM_EVENT_BROKEN, (int)v->index,
			   "cpu%u: stopped at a breakpoint and no debugger is attached", v->index);
}

/* What follows from the reason vcpu_run came back with. */
static void handle_stop(struct vcpu *v, enum vcpu_stop stop)
{
	if (stop == VCPU_KICKED)
		return;
	/* Whatever it is, this vCPU does not go on until someone resumes or resets the VM. */
	atomic_fetch_or(&v->requests, VCPU_REQ_PARK);
	switch (stop) {
	case VCPU_SHUTDOWN:
		vm_request(v->vm, VM_EVENT_CRASH, (int)v->index, "cpu%u: triple fault", v->index);
		break;
	case VCPU_HALTED:
		if (all_halted(v))
			vm_request(v->vm, VM_EVENT_OFF, 0, "the guest halted for good");
		break;
	case VCPU_BROKEN:
		vm_request(v->vm, VM_EVENT_BROKEN, (int)v->index, "cpu%u: %s", v->index,
			   v->broken.msg);
		break;
	case VCPU_DEBUG: stopped_for_debugger(v); break;
	case VCPU_KICKED:
	case VCPU_DONE: break;
	}
}

/* Waits for the vCPU below, which was started before this one and reports whatever happens. */
static void wait_turn(struct vcpu *v)
{
	struct vm *vm = v->vm;

	pthread_mutex_lock(&vm->lock);
	while (v->index > 0 && !vm->vcpus[v->index - 1].ready)
		pthread_cond_wait(&vm->cond, &vm->lock);
	pthread_mutex_unlock(&vm->lock);
}

static void set_thread_name(const struct vcpu *v)
{
	char name[32];

	snprintf(name, sizeof(name), "%.7s/cpu%u", v->vm->name, v->index);
	name[15] = 0; /* what the kernel takes */
	(void)pthread_setname_np(pthread_self(), name);
}

/* False if the VM comes to its end before. */
static bool wait_for_make(struct vcpu *v)
{
	struct vm *vm = v->vm;

	pthread_mutex_lock(&vm->lock);
	while (!vm->make && !(atomic_load(&v->requests) & VCPU_REQ_QUIT))
		pthread_cond_wait(&vm->cond, &vm->lock);
	bool make = vm->make;
	if (!make) {
		v->gone = true;
		vm->n_making--;
	}
	pthread_mutex_unlock(&vm->lock);
	return make;
}

static void *vcpu_thread(void *arg)
{
	struct vcpu *v = arg;
	struct vm *vm = v->vm;
	int rc = 0;

	current_vcpu = v;
	set_thread_name(v);
	if (!wait_for_make(v))
		return NULL;
	if (vm->accel->in_order)
		wait_turn(v);
	if (CPU_COUNT(&v->affinity))
		rc = -pthread_setaffinity_np(pthread_self(), sizeof(v->affinity), &v->affinity);
	if (rc)
		err_errno(&v->broken, rc, "cpu%u: cannot be pinned", v->index);
	else
		rc = vm->accel->vcpu_init(v, &v->broken);
	pthread_mutex_lock(&vm->lock);
	v->code = rc;
	v->ready = true;
	v->gone = rc != 0;
	vm->n_making--;
	if (v->gone)
		put_done_locked(v);
	signal_settled_locked(vm);
	pthread_cond_broadcast(&vm->cond);
	pthread_mutex_unlock(&vm->lock);
	if (rc)
		return NULL;

	for (;;) {
		if (atomic_load(&v->requests) && !serve_requests(v))
			break;
		v->debug_stop.why = DEBUG_NOT_STOPPED;
		handle_stop(v, vm->accel->vcpu_run(v));
	}
	vm->accel->vcpu_exit(v);
	pthread_mutex_lock(&vm->lock);
	v->gone = true;
	for (; v->call; v->call = v->call->next)
		v->call->done = true; /* the caller sees v->gone */
	pthread_cond_broadcast(&vm->cond);
	pthread_mutex_unlock(&vm->lock);
	return NULL;
}

int vcpu_thread_start(struct vcpu *v, struct err *e)
{
	struct vm *vm = v->vm;
	int rc;

	v->state = sys_alloc(vm->arch->vcpu_state_size);
	if (!v->state)
		return err_nomem(e, vm->arch->vcpu_state_size, "the state of a vCPU");
	if (vm->arch->vcpu_identify)
		vm->arch->vcpu_identify(v->state, &vm->topology, v->index);
	v->fresh = v->resumed = true;
	atomic_store(&v->requests, VCPU_REQ_PARK);
	pthread_mutex_lock(&vm->lock);
	vm->n_making++;
	pthread_mutex_unlock(&vm->lock);
	rc = fault_hit("pthread_create") ? EAGAIN
					 : pthread_create(&v->thread, NULL, vcpu_thread, v);
	if (rc) {
		pthread_mutex_lock(&vm->lock);
		vm->n_making--;
		signal_settled_locked(vm);
		pthread_cond_broadcast(&vm->cond);
		pthread_mutex_unlock(&vm->lock);
		err_errno(e, -rc, "cannot start the thread of cpu%u", v->index);
		err_kind(e, ERR_HOST);
		return -rc;
	}
	v->started = true;
	return 0;
}

void vcpu_request(struct vcpu *v, uint32_t bits)
{
	struct vm *vm = v->vm;

	atomic_fetch_or(&v->requests, bits);
	pthread_mutex_lock(&vm->lock);
	bool kick = v->ready && !v->gone;
	pthread_cond_broadcast(&vm->cond);
	pthread_mutex_unlock(&vm->lock);
	if (kick)
		vm->accel->vcpu_kick(v);
}

int vcpu_call(struct vcpu *v, void (*fn)(struct vcpu *v, void *arg), void *arg)
{
	struct vm *vm = v->vm;
	struct vcpu_call c = {.fn = fn, .arg = arg}, **tail;

	if (v == current_vcpu) {
		fn(v, arg);
		return 0;
	}
	pthread_mutex_lock(&vm->lock);
	if (!v->started || v->gone) {
		pthread_mutex_unlock(&vm->lock);
		return -ESRCH;
	}
	for (tail = &v->call; *tail; tail = &(*tail)->next)
		;
	*tail = &c;
	pthread_mutex_unlock(&vm->lock);
	vcpu_request(v, VCPU_REQ_CALL);
	pthread_mutex_lock(&vm->lock);
	while (!c.done)
		pthread_cond_wait(&vm->cond, &vm->lock);
	bool lost = v->gone;
	pthread_mutex_unlock(&vm->lock);
	return lost ? -ESRCH : 0;
}

struct state_call {
	int rc;
	struct err *e;
};

static void get_state_here(struct vcpu *v, void *arg)
{
	struct state_call *c = arg;

	c->rc = v->vm->accel->state_get(v, c->e);
}

static void put_state_here(struct vcpu *v, void *arg)
{
	struct state_call *c = arg;

	c->rc = put_state(v, c->e);
}

static int state_call(struct vcpu *v, void (*fn)(struct vcpu *, void *), struct err *e)
{
	struct state_call c = {.e = e};
	int rc = vcpu_call(v, fn, &c);

	if (rc)
		return err_errno(e, rc, "cpu%u has ended", v->index);
	return c.rc ? err_prefix(e, "cpu%u", v->index) : 0;
}

int vcpu_get_state(struct vcpu *v, struct err *e)
{
	return v->vm->accel->state_get ? state_call(v, get_state_here, e) : 0;
}

int vcpu_put_state(struct vcpu *v, struct err *e)
{
	return v->vm->accel->state_put ? state_call(v, put_state_here, e) : 0;
}

int vcpu_peek(struct vcpu *v, struct err *e)
{
	const struct accel_ops *a = v->vm->accel;

	if (a->state_peek)
		return a->state_peek(v, e);
	return a->state_get ? a->state_get(v, e) : 0;
}

void vcpu_show(struct vcpu *v, struct strbuf *out)
{
	const struct arch *a = v->vm->arch;
	uint64_t pc = a->pc(v->state);
	gpa_t pa;

	a->show(v->state, out);
	strbuf_printf(out, "code at %llx:", (unsigned long long)pc);
	for (unsigned i = 0; i < 24; i++) {
		uint8_t byte;

		if (!a->translate(v->state, &v->vm->mem, pc + i, &pa) ||
		    as_read(&v->vm->mem, pa, &byte, 1) != IO_OK) {
			strbuf_add(out, i ? " ..." : " not mapped");
			break;
		}
		strbuf_printf(out, " %02x", byte);
	}
	strbuf_add(out, "\n");
}
