/*
 * core/debug.c - attaching to a VM, and checking what shall stop a vCPU before an accelerator sees
 * it.
 */
#include "core/debug.h"

#include <errno.h>
#include <stdio.h>
#include <string.h>

#include "core/vm.h"

static const char *const kind_name[] = {[DEBUG_EXEC] = "breakpoint",
					[DEBUG_WRITE] = "watchpoint",
					[DEBUG_READ] = "watchpoint",
					[DEBUG_ACCESS] = "watchpoint"};

static void debug_posted(struct loop_post *p)
{
	struct vm *vm = container_of(p, struct vm, debug_post);

	if (vm->on_debug)
		vm->on_debug(vm, vm->on_debug_arg);
}

void vm_debug_attach(struct vm *vm, void (*fn)(struct vm *vm, void *arg), void *arg)
{
	static const struct vcpu_debug nothing;
	struct err e = ERR_INIT;

	if (!fn)
		loop_unpost(vm->loop, &vm->debug_post);
	vm->debug_post.fn = debug_posted;
	pthread_mutex_lock(&vm->lock);
	vm->on_debug = fn;
	vm->on_debug_arg = arg;
	pthread_mutex_unlock(&vm->lock);
	/* A vCPU that is gone, or whose accelerator sets nothing, has nothing to be taken away. */
	for (unsigned i = 0; !fn && i < vm->n_vcpus; i++)
		(void)!vcpu_debug_set(&vm->vcpus[i], &nothing, &e);
}

int vm_debug_limits(struct vm *vm, struct debug_limits *l, struct err *e)
{
	const struct accel_ops *a = vm->accel;

	memset(l, 0, sizeof(*l));
	if (a->debug_limits)
		a->debug_limits(vm, l);
	if (l->step || l->software || l->exec || l->watch)
		return 0;
	err_set(e, -ENOTSUP, "the accelerator \"%s\" cannot debug guests on this host", a->name);
	return err_kind(e, ERR_HOST);
}

static int check_point(const struct debug_point *p, const struct debug_limits *l, struct err *e)
{
	const char *name = kind_name[p->kind];
	unsigned long long addr = p->addr, len = p->len;

	if (p->kind == DEBUG_EXEC && p->len != l->exec_len)
		return err_set(e, -EINVAL, "a %s at 0x%llx covers %llu bytes, not %llu", name, addr,
			       (unsigned long long)l->exec_len, len);
	if (p->kind == DEBUG_READ && !l->read)
		return err_set(e, -ENOTSUP, "0x%llx cannot be watched for reads alone on this host",
			       addr);
	if (!p->len || (p->len & (p->len - 1)))
		return err_set(e, -EINVAL,
			       "a %s at 0x%llx covers a power of two of bytes, not %llu", name,
			       addr, len);
	if (p->kind != DEBUG_EXEC && p->len > l->watch_len)
		return err_set(e, -EINVAL, "a %s at 0x%llx covers at most %llu bytes, not %llu",
			       name, addr, (unsigned long long)l->watch_len, len);
	if (p->addr & (p->len - 1))
		return err_set(e, -EINVAL, "a %s of %llu bytes cannot be at 0x%llx: not aligned",
			       name, len, addr);
	return 0;
}

static int check_room(unsigned n, unsigned max, const char *what, struct err *e)
{
	if (n <= max)
		return 0;
	if (!max)
		return err_set(e, -ENOTSUP, "this host has no %s", what);
	return err_set(e, -ENOSPC, "%u %s are too many: this host has %u", n, what, max);
}

static int check(const struct vcpu_debug *d, const struct debug_limits *l, struct err *e)
{
	unsigned exec = 0, watch = 0;
	int rc = 0;

	if (d->step && !l->step)
		return err_set(e, -ENOTSUP, "guests cannot be stepped on this host");
	if (d->software && !l->software)
		return err_set(e, -ENOTSUP, "there are no software breakpoints on this host");
	if (d->n > DEBUG_POINTS)
		return err_set(e, -ENOSPC, "%u breakpoints and watchpoints are too many: %u", d->n,
			       DEBUG_POINTS);
	for (unsigned i = 0; i < d->n; i++)
		*(d->point[i].kind == DEBUG_EXEC ? &exec : &watch) += 1;
	if (l->shared)
		rc = check_room(exec + watch, l->exec, "breakpoints and watchpoints", e);
	if (!rc)
		rc = check_room(exec, l->exec, "breakpoints", e);
	if (!rc)
		rc = check_room(watch, l->watch, "watchpoints", e);
	for (unsigned i = 0; i < d->n && !rc; i++)
		rc = check_point(&d->point[i], l, e);
	return rc;
}

struct set_call {
	const struct vcpu_debug *d;
	struct err *e;
	int rc;
};

static void set_here(struct vcpu *v, void *arg)
{
	struct set_call *c = arg;

	c->rc = v->vm->accel->debug_set(v, c->d, c->e);
	if (!c->rc)
		v->debug_stop.why = DEBUG_NOT_STOPPED;
}

int vcpu_debug_set(struct vcpu *v, const struct vcpu_debug *d, struct err *e)
{
	struct set_call c = {.d = d, .e = e};
	struct debug_limits l;
	int rc = vm_debug_limits(v->vm, &l, e);

	if (!rc)
		rc = check(d, &l, e);
	if (rc)
		return rc;
	rc = vcpu_call(v, set_here, &c);
	if (rc)
		return err_errno(e, rc, "cpu%u has ended", v->index);
	return c.rc ? err_prefix(e, "cpu%u", v->index) : 0;
}

void debug_limits_show(const struct debug_limits *l, char *buf, size_t n)
{
	size_t used = 0;

	snprintf(buf, n, "none");
	if (l->step)
		used += (size_t)snprintf(buf, n, "single step");
	if (l->software && used < n)
		used += (size_t)snprintf(buf + used, n - used, "%ssoftware breakpoints",
					 used ? ", " : "");
	if (used >= n || (!l->exec && !l->watch))
		return;
	if (l->shared)
		snprintf(buf + used, n - used,
			 "%s%u breakpoints or watchpoints of up to %llu bytes", used ? ", " : "",
			 l->exec, (unsigned long long)l->watch_len);
	else
		snprintf(buf + used, n - used,
			 "%s%u breakpoints, %u watchpoints of up to %llu bytes", used ? ", " : "",
			 l->exec, l->watch, (unsigned long long)l->watch_len);
}
