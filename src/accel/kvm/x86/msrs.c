/*
 * accel/kvm/x86/msrs.c - the model-specific registers that make up a vCPU's state.
 *
 * Which ones those are depends on the host's processor and kernel.  KVM_GET_MSR_INDEX_LIST names
 * most; the memory-type registers are not in it.  Some of them can be read and not written back. So
 * the list is measured: a throw-away vCPU with the guest's CPUID is asked for each, and given back
 * what it said; what fails is left out.  The same vCPU shows the values at power-on, which a reset
 * needs: an MSR that a state does not name is at its power-on value.  This costs a millisecond and
 * happens when state is first saved, loaded or reset, never at a start.  Closing the throw-away VM
 * waits for all vCPUs of the host to leave what KVM does for them, and one that spins in code that
 * is emulated has been seen to hold it up for a minute: that is left to later.c.
 */
#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ioctl.h>
#include <unistd.h>

#include "accel/kvm/x86/x86.h"
#include "arch/x86/defs.h"
#include "base/sys.h"
#include "base/trace.h"

#define MSR_TSC_DEADLINE 0x6e0u

struct index_list {
	uint32_t n;
	uint32_t index[X86_MSRS_MAX];
};

/* Hyper-V's MSRs: no guest of ours sees that interface, and a write would make KVM set it up. */
static bool is_hyperv(uint32_t index)
{
	return index >= 0x40000000 && index < 0x40000200;
}

/* Values that are not worth resetting one by one: time goes on. */
static bool is_time(uint32_t index)
{
	return index == X86_MSR_TSC || index == MSR_TSC_DEADLINE;
}

static void add_index(struct index_list *l, uint32_t index)
{
	for (uint32_t i = 0; i < l->n; i++)
		if (l->index[i] == index)
			return;
	if (l->n < X86_MSRS_MAX)
		l->index[l->n++] = index;
}

/* MTRRs (SDM 3A §12.11): not in KVM's list although they are state. */
static void add_mtrrs(struct index_list *l)
{
	for (uint32_t i = 0x200; i < 0x210; i++)
		add_index(l, i);
	add_index(l, 0x250);
	add_index(l, 0x258);
	add_index(l, 0x259);
	for (uint32_t i = 0x268; i < 0x270; i++)
		add_index(l, i);
	add_index(l, X86_MSR_MTRR_DEF_TYPE);
}

static int compare(const void *a, const void *b)
{
	const uint32_t *x = a, *y = b;

	return *x < *y ? -1 : *x > *y;
}

static int index_list(int node, struct index_list *l, struct err *e)
{
	uint32_t kept = 0;
	int rc;

	l->n = X86_MSRS_MAX;
	rc = KVM_CALL(node, KVM_GET_MSR_INDEX_LIST, l, e);
	if (rc < 0)
		return rc;
	for (uint32_t i = 0; i < l->n; i++)
		if (!is_hyperv(l->index[i]))
			l->index[kept++] = l->index[i];
	l->n = kept;
	add_mtrrs(l);
	qsort(l->index, l->n, sizeof(l->index[0]), compare);
	return 0;
}

/* Keeps of @l what @fd can read and takes back, with its value. */
static unsigned measure(int fd, const struct index_list *l, struct x86_msr *out)
{
	unsigned n = 0;

	for (uint32_t i = 0; i < l->n; i++) {
		struct {
			uint32_t n, pad;
			struct kvm_msr_entry e;
		} one = {.n = 1, .e.index = l->index[i]};
		bool ok = ioctl(fd, KVM_GET_MSRS, &one) == 1 && ioctl(fd, KVM_SET_MSRS, &one) == 1;

		if (ok)
			out[n++] = (struct x86_msr){.index = one.e.index,
						    .value = is_time(one.e.index) ? 0 : one.e.data};
		else
			TRACE(kvm_msr_dropped, "MSR 0x%x cannot be %s", one.e.index,
			      ok ? "written" : "got and set");
	}
	return n;
}

/* A vCPU with an APIC in the kernel and the CPUID of the guest's. */
static int throw_away_vcpu(struct kvm_vm *kvm, int *vm, int *vcpu, struct err *e)
{
	int rc;

	*vm = KVM_CALL_VAL(kvm->node, KVM_CREATE_VM, 0, e);
	if (*vm < 0)
		return *vm;
	if (kvm->arch->lapic && kvm_cap(*vm, KVM_CAP_SPLIT_IRQCHIP)) {
		rc = kvm_enable_cap(*vm, KVM_CAP_SPLIT_IRQCHIP, X86_IOAPIC_PINS, 0, e);
		if (rc)
			return rc;
	}
	*vcpu = KVM_CALL_VAL(*vm, KVM_CREATE_VCPU, 0, e);
	return *vcpu < 0 ? *vcpu : 0;
}

struct throw_away {
	int vm, vcpu;
};

static void throw_away_close(struct kvm_vm *kvm, const void *arg)
{
	const struct throw_away *t = arg;

	(void)kvm;
	if (t->vcpu >= 0)
		close(t->vcpu);
	if (t->vm >= 0)
		close(t->vm);
}

static int learn(struct kvm_vm *kvm, struct err *e)
{
	struct index_list l;
	struct kvm_x86_cpuid *cpuid = sys_alloc(sizeof(*cpuid));
	struct throw_away t = {.vm = -1, .vcpu = -1};
	int rc;

	kvm->arch->msr = sys_alloc_array(X86_MSRS_MAX, sizeof(*kvm->arch->msr));
	if (!cpuid || !kvm->arch->msr) {
		rc = err_nomem(e, sizeof(*cpuid), "MSRs");
		goto out;
	}
	rc = index_list(kvm->node, &l, e);
	if (rc)
		goto out;
	rc = throw_away_vcpu(kvm, &t.vm, &t.vcpu, e);
	if (rc)
		goto out;
	cpuid->n = X86_CPUID_MAX;
	rc = KVM_CALL(kvm->vcpus[0].fd, KVM_GET_CPUID2, cpuid, e);
	if (rc >= 0)
		rc = KVM_CALL(t.vcpu, KVM_SET_CPUID2, cpuid, e);
	if (rc >= 0) {
		kvm->arch->n_msrs = measure(t.vcpu, &l, kvm->arch->msr);
		rc = 0;
	}
out:
	if (t.vm >= 0 && kvm_later(kvm, throw_away_close, &t, sizeof(t), NULL))
		throw_away_close(kvm, &t);
	free(cpuid);
	if (rc) {
		free(kvm->arch->msr);
		kvm->arch->msr = NULL;
	}
	return rc;
}

int kvm_x86_msrs_learn(struct kvm_vm *kvm, struct err *e)
{
	int rc = 0;

	pthread_mutex_lock(&kvm->lock);
	if (!kvm->arch->msr)
		rc = learn(kvm, e);
	pthread_mutex_unlock(&kvm->lock);
	return rc ? err_prefix(e, "cannot learn this host's MSRs") : 0;
}

int kvm_x86_msrs_get(struct kvm_vcpu *kv, struct x86_vcpu *s, struct err *e)
{
	const struct kvm_arch *a = kv->kvm->arch;
	struct kvm_x86_msrs m;
	int rc;

	m.n = a->n_msrs;
	m.pad = 0;
	for (unsigned i = 0; i < a->n_msrs; i++)
		m.e[i] = (struct kvm_msr_entry){.index = a->msr[i].index};
	rc = KVM_CALL(kv->fd, KVM_GET_MSRS, &m, e);
	if (rc < 0)
		return rc;
	if ((unsigned)rc != a->n_msrs)
		return err_set(e, -EIO, "KVM_GET_MSRS: MSR 0x%x cannot be read", a->msr[rc].index);
	s->n_msrs = a->n_msrs;
	for (unsigned i = 0; i < a->n_msrs; i++)
		s->msr[i] = (struct x86_msr){.index = m.e[i].index, .value = m.e[i].data};
	return 0;
}

static int put_list(struct kvm_vcpu *kv, struct kvm_x86_msrs *m, struct err *e)
{
	int rc;

	if (!m->n)
		return 0;
	rc = KVM_CALL(kv->fd, KVM_SET_MSRS, m, e);
	if (rc < 0)
		return rc;
	if ((uint32_t)rc != m->n)
		return err_set(e, -EINVAL, "KVM does not take 0x%llx for MSR 0x%x",
			       (unsigned long long)m->e[rc].data, m->e[rc].index),
		       err_kind(e, ERR_HOST);
	return 0;
}

static const struct x86_msr *find(const struct x86_msr *msr, unsigned n, uint32_t index)
{
	for (unsigned i = 0; i < n; i++)
		if (msr[i].index == index)
			return &msr[i];
	return NULL;
}

/*
 * The state's MSRs, and those that it leaves out at their power-on values, merged in ascending
 * order: performance counters thus come before their global switch.
 */
static int merged(const struct kvm_arch *a, const struct x86_vcpu *s, struct kvm_x86_msrs *m,
		  struct err *e)
{
	for (unsigned i = 0; i < a->n_msrs; i++) {
		const struct x86_msr *own = find(s->msr, s->n_msrs, a->msr[i].index);

		if (a->msr[i].index != MSR_TSC_DEADLINE)
			m->e[m->n++] =
				(struct kvm_msr_entry){.index = a->msr[i].index,
						       .data = own ? own->value : a->msr[i].value};
	}
	/* One that is 0 elsewhere is as one that does not exist. */
	for (unsigned i = 0; i < s->n_msrs; i++)
		if (s->msr[i].value && !find(a->msr, a->n_msrs, s->msr[i].index))
			return err_set(e, -ENOTSUP,
				       "this host's KVM has no MSR 0x%x, which the state sets",
				       s->msr[i].index),
			       err_kind(e, ERR_HOST);
	return 0;
}

int kvm_x86_msrs_put(struct kvm_vcpu *kv, const struct x86_vcpu *s, bool fresh, struct err *e)
{
	struct kvm_x86_msrs m;
	int rc = 0;

	m.n = m.pad = 0;
	if (!fresh) {
		rc = kvm_x86_msrs_learn(kv->kvm, e);
		if (!rc)
			rc = merged(kv->kvm->arch, s, &m, e);
	} else {
		for (unsigned i = 0; i < s->n_msrs && i < X86_MSRS_MAX; i++)
			m.e[m.n++] = (struct kvm_msr_entry){.index = s->msr[i].index,
							    .data = s->msr[i].value};
	}
	return rc ? rc : put_list(kv, &m, e);
}

int kvm_x86_deadline_put(struct kvm_vcpu *kv, struct x86_vcpu *s, struct err *e)
{
	const uint64_t *deadline = x86_vcpu_msr(s, MSR_TSC_DEADLINE);
	struct kvm_x86_msrs m;

	if (!deadline)
		return 0;
	m.n = 1;
	m.pad = 0;
	m.e[0] = (struct kvm_msr_entry){.index = MSR_TSC_DEADLINE, .data = *deadline};
	return put_list(kv, &m, e);
}
