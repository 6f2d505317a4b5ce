/*
 * accel/kvm/debug.c - guest debug, as far as architectures share it: KVM_SET_GUEST_DEBUG.
 *
 * KVM keeps what it was told until it is told something else.  While points are set it uses the
 * processor's debug registers for them and not for the guest, whose own it goes on to show to it.
 */
#include <string.h>

#include "accel/kvm/kvm.h"
#include "base/trace.h"

/* The same on every architecture that has them. */
#ifndef KVM_GUESTDBG_USE_HW
#define KVM_GUESTDBG_USE_HW KVM_GUESTDBG_USE_HW_BP
#endif

void kvm_debug_limits(struct vm *vm, struct debug_limits *l)
{
	int fd = kvm_of(vm)->fd;

	if (kvm_cap(fd, KVM_CAP_SET_GUEST_DEBUG))
		kvm_arch_debug_limits(fd, l);
}

void kvm_debug_fact(struct accel_report *r, int node)
{
	struct debug_limits l = {0};
	char text[sizeof(r->facts[0].value)];

	if (kvm_cap(node, KVM_CAP_SET_GUEST_DEBUG))
		kvm_arch_debug_limits(node, &l);
	debug_limits_show(&l, text, sizeof(text));
	accel_fact(r, "guest-debug", "%s", text);
}

static int set(struct kvm_vcpu *kv, const struct vcpu_debug *d, bool pass, struct err *e)
{
	struct kvm_guest_debug g;
	int rc = 0;

	memset(&g, 0, sizeof(g));
	if (d->step)
		g.control |= KVM_GUESTDBG_SINGLESTEP;
	if (d->software)
		g.control |= KVM_GUESTDBG_USE_SW_BP;
	if (d->n)
		g.control |= KVM_GUESTDBG_USE_HW;
	if (g.control)
		g.control |= KVM_GUESTDBG_ENABLE;
	for (unsigned i = 0; i < d->n; i++)
		kvm_arch_debug_point(&g, &d->point[i]);
	if (pass)
		rc = kvm_arch_debug_pass(kv, &g, e);
	kvm_arch_debug_control(kv, &g);
	if (!rc)
		rc = KVM_CALL(kv->fd, KVM_SET_GUEST_DEBUG, &g, e);
	return rc < 0 ? rc : 0;
}

int kvm_debug_set(struct vcpu *v, const struct vcpu_debug *d, struct err *e)
{
	struct kvm_vcpu *kv = v->accel;
	int rc = set(kv, d, d->pass && v->debug_stop.why == DEBUG_SOFTWARE, e);

	if (!rc)
		kv->debug = *d;
	return rc;
}

int kvm_debug_again(struct kvm_vcpu *kv, struct err *e)
{
	return kv->debug.step ? set(kv, &kv->debug, false, e) : 0;
}

int kvm_debug_stopped(struct vcpu *v, const struct debug_stop *s)
{
	TRACE(kvm_debug, "cpu%u stopped (%d) at %llx, address %llx", v->index, (int)s->why,
	      (unsigned long long)s->pc, (unsigned long long)s->addr);
	v->debug_stop = *s;
	return VCPU_DEBUG;
}
