/*
 * core/vm.c - the life of a virtual machine.
 */
#include <errno.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/str.h"
#include "base/sys.h"
#include "base/trace.h"
#include "core/vcpu_private.h"
#include "core/vm.h"

static const char *const phase_name[] = {"new", "ready", "running", "paused", "stopped"};

/* The legal transitions, by [from] a bitmap of to. */
static const uint8_t phase_next[] = {
	[VM_NEW] = 1 << VM_READY | 1 << VM_STOPPED,
	[VM_READY] = 1 << VM_RUNNING | 1 << VM_STOPPED,
	[VM_RUNNING] = 1 << VM_PAUSED | 1 << VM_STOPPED,
	[VM_PAUSED] = 1 << VM_RUNNING | 1 << VM_STOPPED,
	[VM_STOPPED] = 0,
};

/* Callers are Lodge's own main loop, never a guest or a client: a wrong order is our mistake. */
static void phase_set(struct vm *vm, enum vm_phase to)
{
	pthread_mutex_lock(&vm->lock);
	BUG_ON(!(phase_next[vm->phase] >> to & 1));
	TRACE(vm_phase, "%s: %s -> %s", vm->name, phase_name[vm->phase], phase_name[to]);
	vm->phase = to;
	pthread_mutex_unlock(&vm->lock);
}

static void request_posted(struct loop_post *p)
{
	struct vm *vm = container_of(p, struct vm, request_post);
	struct vm_request r;

	pthread_mutex_lock(&vm->lock);
	r = vm->request;
	vm->request = (struct vm_request){0};
	pthread_mutex_unlock(&vm->lock);
	if (r.event != VM_EVENT_NONE && vm->on_request)
		vm->on_request(vm, &r, vm->on_request_arg);
}

void vm_request(struct vm *vm, enum vm_event event, int code, const char *fmt, ...)
{
	struct vm_request r = {.event = event, .code = code};
	const struct vcpu *v = vcpu_current();
	va_list ap;

	va_start(ap, fmt);
	vsnprintf(r.text, sizeof(r.text), fmt, ap);
	va_end(ap);
	r.vcpu = v ? v->index : 0;
	r.by_guest = v != NULL;
	TRACE(vm_request, "event %d code %d: %s", (int)event, code, r.text);
	pthread_mutex_lock(&vm->lock);
	bool first = vm->request.event == VM_EVENT_NONE;
	if (first)
		vm->request = r;
	pthread_mutex_unlock(&vm->lock);
	if (first)
		loop_post(vm->loop, &vm->request_post);
}

static int vm_init_parts(struct vm *vm, const struct vm_options *o, struct err *e)
{
	int rc = clock_init(&vm->clock, vm, o->loop, o->accel->manual_clock, e);

	if (rc)
		return rc;
	rc = as_init(&vm->mem, vm, AS_MEMORY, e);
	if (rc)
		return rc;
	rc = as_init(&vm->ports, vm, AS_PORTS, e);
	if (rc)
		return rc;
	vm->vcpus = sys_alloc_array(o->n_vcpus, sizeof(*vm->vcpus));
	if (!vm->vcpus)
		return err_nomem(e, o->n_vcpus * sizeof(*vm->vcpus), "vCPUs");
	vm->n_vcpus = o->n_vcpus;
	vm->accel_arg = o->accel_arg;
	vm->cpu_model = o->cpu_model;
	vm->arch_config = o->arch_config;
	vm->topology = o->topology;
	if (!vm->topology.sockets)
		vm->topology = (struct vm_topology){o->n_vcpus, 1, 1};
	for (unsigned i = 0; i < o->n_vcpus; i++) {
		vm->vcpus[i].vm = vm;
		vm->vcpus[i].index = i;
	}
	if (!o->arch->chips_size)
		return 0;
	vm->chips = sys_alloc(o->arch->chips_size);
	return vm->chips ? 0 : err_nomem(e, o->arch->chips_size, "the state of the chips");
}

int vm_new(const struct vm_options *o, struct vm **out, struct err *e)
{
	struct vm *vm = sys_alloc(sizeof(*vm));
	int rc;

	*out = NULL;
	if (!vm)
		return err_nomem(e, sizeof(*vm), "a VM");
	str_copy(vm->name, sizeof(vm->name), o->name ? o->name : "lodge");
	vm->arch = o->arch;
	vm->accel = o->accel;
	vm->loop = o->loop;
	vm->request_post.fn = request_posted;
	list_init(&vm->devices);
	pthread_mutex_init(&vm->lock, NULL);
	pthread_cond_init(&vm->cond, NULL);
	pthread_cond_init(&vm->settled, NULL);
	rc = vm_init_parts(vm, o, e);
	if (!rc)
		rc = vm->accel->vm_init(vm, e);
	if (rc) {
		vm_free(vm);
		return rc;
	}
	*out = vm;
	return 0;
}

int vm_start_threads(struct vm *vm, struct err *e)
{
	int rc = 0;

	for (unsigned i = 0; i < vm->n_vcpus && !rc; i++)
		if (!vm->vcpus[i].started)
			rc = vcpu_thread_start(&vm->vcpus[i], e);
	return rc;
}

int vm_start_vcpus(struct vm *vm, struct err *e)
{
	int rc = vm_start_threads(vm, e);

	if (rc)
		return rc;
	pthread_mutex_lock(&vm->lock);
	vm->make = true;
	pthread_cond_broadcast(&vm->cond);
	pthread_mutex_unlock(&vm->lock);
	return 0;
}

int vm_settle(struct vm *vm, struct err *e)
{
	int rc = 0;

	pthread_mutex_lock(&vm->lock);
	while (vm->n_making || vm->n_puts)
		pthread_cond_wait(&vm->settled, &vm->lock);
	for (unsigned i = 0; i < vm->n_vcpus && !rc; i++) {
		rc = vm->vcpus[i].code;
		if (rc && e)
			*e = vm->vcpus[i].broken;
	}
	pthread_mutex_unlock(&vm->lock);
	return rc;
}

int vm_prepare(struct vm *vm, struct err *e)
{
	struct list *pos;
	int rc = 0;

	BUG_ON(vm->phase == VM_RUNNING || vm->phase == VM_STOPPED);
	if (vm->phase != VM_NEW) /* nobody reads the states that are written here */
		rc = vm_settle(vm, e);
	if (rc)
		return rc;
	list_for_each(pos, &vm->devices)
		device_reset(list_entry(pos, struct device, link));
	if (vm->irqchip)
		irqchip_reset(vm->irqchip);
	if (vm->chips) {
		vm->arch->chips_reset(vm->chips);
		/* A VM that has just been made has its chips in reset state. */
		if (vm->phase != VM_NEW && vm->accel->chips_put)
			rc = vm->accel->chips_put(vm, e);
		if (rc)
			return rc;
	}
	for (unsigned i = 0; i < vm->n_vcpus; i++) {
		vm->arch->vcpu_reset(vm->vcpus[i].state, i);
		vm->vcpus[i].halted = false;
	}
	if (vm->board_reset)
		rc = vm->board_reset(vm, e);
	if (rc)
		return rc;
	pthread_mutex_lock(&vm->lock);
	for (unsigned i = 0; i < vm->n_vcpus; i++)
		vcpu_put_locked(&vm->vcpus[i]);
	pthread_mutex_unlock(&vm->lock);
	if (vm->phase == VM_NEW)
		phase_set(vm, VM_READY);
	return 0;
}

int vm_reset(struct vm *vm, struct err *e)
{
	int rc = vm_prepare(vm, e);

	return rc ? rc : vm_settle(vm, e);
}

static void resume_all(struct vm *vm)
{
	struct list *pos;

	list_for_each(pos, &vm->devices) {
		struct device *d = list_entry(pos, struct device, link);

		if (!d->class->resume)
			continue;
		device_lock(d);
		d->class->resume(d);
		device_unlock(d);
	}
}

void vm_run(struct vm *vm)
{
	if (!vm->started_ns)
		vm->started_ns = sys_now_ns();
	phase_set(vm, VM_RUNNING);
	clock_start(&vm->clock);
	resume_all(vm);
	pthread_mutex_lock(&vm->lock);
	for (unsigned i = 0; i < vm->n_vcpus; i++)
		vm->vcpus[i].halted = false;
	vm->release = true;
	if (!vm->n_making && !vm->n_puts)
		vcpu_release_locked(vm);
	pthread_mutex_unlock(&vm->lock);
}

/* Nobody is let out of the park any more. */
static void take_back_release(struct vm *vm)
{
	pthread_mutex_lock(&vm->lock);
	vm->release = false;
	pthread_mutex_unlock(&vm->lock);
}

static void park_all(struct vm *vm)
{
	take_back_release(vm);
	for (unsigned i = 0; i < vm->n_vcpus; i++)
		if (vm->vcpus[i].started)
			vcpu_request(&vm->vcpus[i], VCPU_REQ_PARK);
	pthread_mutex_lock(&vm->lock);
	for (unsigned i = 0; i < vm->n_vcpus; i++)
		while (vm->vcpus[i].started && !vm->vcpus[i].parked && !vm->vcpus[i].gone)
			pthread_cond_wait(&vm->cond, &vm->lock);
	pthread_mutex_unlock(&vm->lock);
}

static void quiesce_all(struct vm *vm)
{
	struct list *pos;

	list_for_each(pos, &vm->devices) {
		struct device *d = list_entry(pos, struct device, link);

		if (!d->class->quiesce)
			continue;
		device_lock(d);
		d->class->quiesce(d);
		device_unlock(d);
	}
}

void vm_pause(struct vm *vm)
{
	park_all(vm);
	quiesce_all(vm);
	clock_stop(&vm->clock);
	phase_set(vm, VM_PAUSED);
	as_reclaim(&vm->mem);
	as_reclaim(&vm->ports);
}

void vm_stop(struct vm *vm)
{
	take_back_release(vm);
	for (unsigned i = 0; i < vm->n_vcpus; i++)
		if (vm->vcpus[i].started)
			vcpu_request(&vm->vcpus[i], VCPU_REQ_QUIT);
	for (unsigned i = 0; i < vm->n_vcpus; i++)
		if (vm->vcpus[i].started) {
			pthread_join(vm->vcpus[i].thread, NULL);
			vm->vcpus[i].started = false;
		}
	quiesce_all(vm);
	clock_stop(&vm->clock);
	phase_set(vm, VM_STOPPED);
}

void vm_free(struct vm *vm)
{
	if (!vm)
		return;
	if (vm->phase != VM_STOPPED)
		vm_stop(vm);
	loop_unpost(vm->loop, &vm->request_post);
	loop_unpost(vm->loop, &vm->debug_post);
	while (!list_empty(&vm->devices))
		device_free(list_entry(vm->devices.prev, struct device, link));
	for (struct backend *b = vm->backends, *next; b; b = next) {
		next = b->next;
		if (b->free)
			b->free(b->ptr);
		free(b);
	}
	if (vm->board_exit)
		vm->board_exit(vm);
	vm->accel->vm_exit(vm);
	as_exit(&vm->mem);
	as_exit(&vm->ports);
	for (struct ram *r = vm->rams, *next; r; r = next) {
		next = r->next;
		ram_free(r);
	}
	for (unsigned i = 0; i < vm->n_vcpus; i++)
		free(vm->vcpus[i].state);
	free(vm->vcpus);
	free(vm->chips);
	clock_exit(&vm->clock);
	pthread_cond_destroy(&vm->settled);
	pthread_cond_destroy(&vm->cond);
	pthread_mutex_destroy(&vm->lock);
	free(vm);
}

int vm_add_backend(struct vm *vm, const char *kind, const char *id, void *ptr,
		   void (*free_fn)(void *), struct err *e)
{
	struct backend *b;

	if (vm_find_backend(vm, kind, id))
		return err_set(e, -EEXIST, "there is a %s \"%s\" already", kind, id);
	b = sys_alloc(sizeof(*b));
	if (!b)
		return err_nomem(e, sizeof(*b), "a back end");
	b->kind = kind;
	str_copy(b->id, sizeof(b->id), id);
	b->ptr = ptr;
	b->free = free_fn;
	b->next = vm->backends;
	vm->backends = b;
	return 0;
}

void *vm_find_backend(struct vm *vm, const char *kind, const char *id)
{
	for (struct backend *b = vm->backends; b; b = b->next)
		if (!strcmp(b->kind, kind) && !strcmp(b->id, id))
			return b->ptr;
	return NULL;
}

uint64_t vm_exits(struct vm *vm, enum exit_stat s)
{
	uint64_t n = 0;

	for (unsigned i = 0; i < vm->n_vcpus; i++)
		n += atomic_load_explicit(&vm->vcpus[i].exits[s], memory_order_relaxed);
	return n;
}
