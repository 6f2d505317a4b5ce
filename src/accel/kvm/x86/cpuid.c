/*
 * accel/kvm/x86/cpuid.c - gives a vCPU its CPUID: what KVM supports on this host, through
 * arch/x86/cpuid.c.
 */
#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "accel/kvm/x86/x86.h"
#include "arch/x86/cpu_model.h"
#include "base/sys.h"

int kvm_x86_supported_cpuid(int node, struct kvm_x86_cpuid **out, struct err *e)
{
	struct kvm_x86_cpuid *c = sys_alloc(sizeof(*c));
	int rc;

	if (!c)
		return err_nomem(e, sizeof(*c), "CPUID");
	c->n = X86_CPUID_MAX;
	rc = KVM_CALL(node, KVM_GET_SUPPORTED_CPUID, c, e);
	if (rc < 0) {
		free(c);
		return rc;
	}
	*out = c;
	return 0;
}

/*
 * KVM's "supported" costs 30 µs, and 400 where the CPUID instruction itself is trapped by the next
 * hypervisor.  It is the same for all VMs of a node and needs none.  So a start has it fetched
 * first of all, on a thread of its own; while KVM works on it that CPU does nothing else, and
 * making memory and chips, whose grace periods need every CPU now and then, would wait for it.
 */
static struct {
	pthread_mutex_t lock; /* a leaf; held while KVM is asked */
	bool tried;
	struct kvm_x86_cpuid *cpuid; /* of KVM_NODE; NULL: not known */
} host = {.lock = PTHREAD_MUTEX_INITIALIZER};

static void *fetch_host_cpuid(void *arg)
{
	int node = sys_open(KVM_NODE, O_RDWR | O_CLOEXEC, 0);

	(void)arg;
	pthread_mutex_lock(&host.lock);
	/* Whoever needs it and does not find it tries again, and says why. */
	if (node >= 0 && !host.cpuid)
		(void)!kvm_x86_supported_cpuid(node, &host.cpuid, NULL);
	pthread_mutex_unlock(&host.lock);
	if (node >= 0)
		close(node);
	return NULL;
}

void kvm_x86_cpuid_warm_up(void)
{
	pthread_t thread;

	if (host.tried)
		return;
	host.tried = true;
	if (!pthread_create(&thread, NULL, fetch_host_cpuid, NULL))
		pthread_detach(thread);
}

/* What the host supports, in @copy. */
static int host_cpuid(const struct kvm_vm *kvm, struct kvm_x86_cpuid *copy, struct err *e)
{
	struct kvm_x86_cpuid *other = NULL, **c = &other;
	int rc = 0;

	pthread_mutex_lock(&host.lock);
	if (!strcmp(kvm->opt.node, KVM_NODE))
		c = &host.cpuid;
	if (!*c)
		rc = kvm_x86_supported_cpuid(kvm->node, c, e);
	if (!rc)
		*copy = **c;
	pthread_mutex_unlock(&host.lock);
	free(other);
	return rc;
}

static void from_kvm(const struct kvm_x86_cpuid *k, struct x86_cpuid *out)
{
	for (uint32_t i = 0; i < k->n; i++) {
		const struct kvm_cpuid_entry2 *e = &k->e[i];

		out[i] = (struct x86_cpuid){.leaf = e->function,
					    .subleaf = e->index,
					    .indexed = e->flags & KVM_CPUID_FLAG_SIGNIFCANT_INDEX,
					    .eax = e->eax,
					    .ebx = e->ebx,
					    .ecx = e->ecx,
					    .edx = e->edx};
	}
}

static void to_kvm(const struct x86_cpuid *c, unsigned n, struct kvm_x86_cpuid *k)
{
	k->n = n;
	for (unsigned i = 0; i < n; i++)
		k->e[i] = (struct kvm_cpuid_entry2){
			.function = c[i].leaf,
			.index = c[i].subleaf,
			.flags = c[i].indexed ? KVM_CPUID_FLAG_SIGNIFCANT_INDEX : 0,
			.eax = c[i].eax,
			.ebx = c[i].ebx,
			.ecx = c[i].ecx,
			.edx = c[i].edx};
}

static void fill_in(struct kvm_vcpu *kv, struct x86_cpuid_in *in)
{
	struct kvm_vm *kvm = kv->kvm;
	const struct x86_cpuid *features = x86_cpuid_find(in->host, in->n_host, 0x40000001, 0);

	in->topology = kvm->vm->topology;
	in->index = kv->v->index;
	in->lapic = kvm->arch->lapic;
	in->tsc_deadline = kvm_cap(kvm->fd, KVM_CAP_TSC_DEADLINE_TIMER);
	in->tsc_khz = kv->tsc_khz;
	in->apic_khz = kvm->arch->lapic ? KVM_X86_APIC_KHZ : 0;
	if (!features)
		return;
	in->kvm_features = features->eax;
	in->kvm_hints = features->edx;
	if (kvm->vm->n_vcpus > 255)
		in->kvm_features |= X86_KVM_FEATURE_MSI_EXT_DEST_ID;
}

int kvm_x86_set_cpuid(struct kvm_vcpu *kv, struct err *e)
{
	struct {
		struct x86_cpuid host[X86_CPUID_MAX], guest[X86_CPUID_MAX];
		struct kvm_x86_cpuid kvm;
	} * b;
	unsigned n;
	int rc;

	b = sys_alloc(sizeof(*b));
	if (!b)
		return err_nomem(e, sizeof(*b), "CPUID");
	rc = host_cpuid(kv->kvm, &b->kvm, e);
	if (!rc) {
		struct x86_cpuid_in in = {.host = b->host, .n_host = b->kvm.n};

		from_kvm(&b->kvm, b->host);
		fill_in(kv, &in);
		rc = x86_cpu_model_apply(kv->kvm->vm->cpu_model, b->host, in.n_host, e);
		if (!rc)
			rc = x86_cpuid_build(&in, b->guest, &n, e);
	}
	if (!rc) {
		to_kvm(b->guest, n, &b->kvm);
		rc = KVM_CALL(kv->fd, KVM_SET_CPUID2, &b->kvm, e);
	}
	free(b);
	return rc < 0 ? rc : 0;
}
