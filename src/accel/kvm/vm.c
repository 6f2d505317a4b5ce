/*
 * accel/kvm/vm.c - making and ending a VM, its options, doorbells, and its clock.
 *
 * The guest's clock (kvmclock) counts on while a VM is paused, because KVM does not know of pauses.
 * It must not: timers of the guest would all fire at once.  KVM's clock and VM time run at the same
 * rate while the VM runs, so their difference at the first entry stays true until the first pause;
 * at the next entry KVM's clock is set to VM time plus that difference.  Nothing is asked of KVM at
 * the first entry, which keeps the start short: clock_offset remembers clock.offset (VM time less
 * host time, another one after each pause), and KVM's clock less host time is still the same when
 * it is needed.  The first vCPU thread that comes out of a pause does this under kvm->lock; the
 * others wait for it there before they enter the guest.
 */
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "accel/kvm/kvm.h"
#include "base/log.h"
#include "base/str.h"
#include "base/sys.h"

#define RING_MIN 1024u /* KVM keeps up to 576 entries in reserve */
#define RING_MAX 65536u

static int option_set(struct kvm_options *o, const char *key, const char *value, struct err *e)
{
	static const char *const keys[] = {"dirty-ring", "node", NULL};
	uint64_t n;

	if (!strcmp(key, "dirty-ring")) {
		int rc = str_parse_u64(value, 0, RING_MAX, &n, e);

		if (rc)
			return err_prefix(e, "dirty-ring");
		if (n && (n < RING_MIN || (n & (n - 1))))
			return err_set(e, -EINVAL,
				       "dirty-ring: %s is not a power of two from %u to %u", value,
				       RING_MIN, RING_MAX);
		o->dirty_ring = (uint32_t)n;
		return 0;
	}
	if (!strcmp(key, "node")) {
		if (!*value || !str_copy(o->node, sizeof(o->node), value))
			return err_set(e, -EINVAL, "node: \"%s\" is not a path of 1 to %zu bytes",
				       value, sizeof(o->node) - 1);
		return 0;
	}
	const char *near = str_nearest(key, keys);

	if (near)
		err_set(e, -EINVAL, "'%s' is not known (did you mean %s?)", key, near);
	else
		err_set(e, -EINVAL, "'%s' is not known", key);
	return err_hint(e, "accepted are dirty-ring=N and node=PATH");
}

/* "key=value,key=value". */
static int options_parse(struct kvm_options *o, const char *text, struct err *e)
{
	char buf[256], *save = NULL;

	str_copy(o->node, sizeof(o->node), KVM_NODE);
	if (!text || !*text)
		return 0;
	if (!str_copy(buf, sizeof(buf), text))
		return err_set(e, -EINVAL, "kvm: the options are longer than %zu bytes",
			       sizeof(buf) - 1);
	for (char *p = strtok_r(buf, ",", &save); p; p = strtok_r(NULL, ",", &save)) {
		char *eq = strchr(p, '=');

		if (eq)
			*eq = 0;
		if (option_set(o, p, eq ? eq + 1 : "", e))
			return err_prefix(e, "kvm");
	}
	return 0;
}

int kvm_arg_check(const char *arg, struct err *e)
{
	struct kvm_options o = {.dirty_ring = 0};

	return options_parse(&o, arg, e);
}

static int create_vm(struct kvm_vm *kvm, struct err *e)
{
	unsigned long type = 0;
	int rc = kvm_arch_vm_type(kvm, &type, e);

	if (rc)
		return rc;
	rc = kvm_ioctl(kvm->node, KVM_CREATE_VM, type);
	if (rc >= 0) {
		kvm->fd = rc;
		return 0;
	}
	if (rc == -EBUSY) {
		err_set(e, rc,
			"KVM is busy: another hypervisor on this host (VirtualBox, VMware) "
			"holds the processor's virtualization");
		err_hint(e, "stop it, or unload its kernel modules");
	} else {
		err_errno(e, rc, "KVM_CREATE_VM");
	}
	err_kind(e, ERR_HOST);
	return rc;
}

static int enable_dirty(struct kvm_vm *kvm, struct err *e)
{
	uint64_t bytes = (uint64_t)kvm->opt.dirty_ring * sizeof(struct kvm_dirty_gfn), max;
	unsigned cap = KVM_CAP_DIRTY_LOG_RING_ACQ_REL;
	int rc;

	if (!kvm->opt.dirty_ring) {
		if (kvm_cap(kvm->fd, KVM_CAP_MANUAL_DIRTY_LOG_PROTECT2) &
		    KVM_DIRTY_LOG_MANUAL_PROTECT_ENABLE) {
			rc = kvm_enable_cap(kvm->fd, KVM_CAP_MANUAL_DIRTY_LOG_PROTECT2,
					    KVM_DIRTY_LOG_MANUAL_PROTECT_ENABLE, 0, e);
			kvm->manual_protect = !rc;
			return rc;
		}
		return 0;
	}
	max = (uint64_t)kvm_cap(kvm->fd, (int)cap);
	if (!max) {
		cap = KVM_CAP_DIRTY_LOG_RING;
		max = (uint64_t)kvm_cap(kvm->fd, (int)cap);
	}
	if (!max)
		return err_set(e, -ENOTSUP, "dirty-ring: this host's KVM has no dirty ring"),
		       err_kind(e, ERR_HOST);
	if (bytes > max)
		return err_set(e, -EINVAL, "dirty-ring: this host's KVM takes at most %llu entries",
			       (unsigned long long)(max / sizeof(struct kvm_dirty_gfn)));
	if (!strcmp(kvm_module(), "kvm_pvm"))
		log_warn("dirty-ring: kvm_pvm overruns the ring while it emulates kernel mode; "
			 "pages can be lost");
	return kvm_enable_cap(kvm->fd, cap, bytes, 0, e);
}

static int check_vcpus(struct kvm_vm *kvm, struct err *e)
{
	int max = kvm_cap(kvm->fd, KVM_CAP_MAX_VCPUS);

	if (!max)
		max = kvm_cap(kvm->fd, KVM_CAP_NR_VCPUS);
	if (max && kvm->vm->n_vcpus > (unsigned)max)
		return err_set(e, -E2BIG, "this host's KVM gives a VM at most %d CPUs, not %u", max,
			       kvm->vm->n_vcpus),
		       err_kind(e, ERR_HOST);
	return 0;
}

static int init_parts(struct kvm_vm *kvm, struct err *e)
{
	struct vm *vm = kvm->vm;
	int rc;

	kvm->node = kvm_open(kvm->opt.node, e);
	if (kvm->node < 0)
		return kvm->node;
	rc = kvm_check_caps(kvm->node, e);
	if (rc)
		return rc;
	rc = KVM_CALL_VAL(kvm->node, KVM_GET_VCPU_MMAP_SIZE, 0, e);
	if (rc < 0)
		return rc;
	kvm->run_size = (size_t)rc;
	rc = create_vm(kvm, e);
	if (rc)
		return rc;
	kvm_held_init(kvm);
	rc = check_vcpus(kvm, e);
	if (rc)
		return rc;
	kvm->n_slots = (unsigned)kvm_cap(kvm->fd, KVM_CAP_NR_MEMSLOTS);
	kvm->n_slots = MIN(MAX(kvm->n_slots, 32u), (unsigned)sizeof(vm->mem.slots_used) * 8);
	kvm->slots = sys_alloc_array(kvm->n_slots, sizeof(*kvm->slots));
	kvm->vcpus = sys_alloc_array(vm->n_vcpus, sizeof(*kvm->vcpus));
	if (!kvm->slots || !kvm->vcpus)
		return err_nomem(e, vm->n_vcpus * sizeof(*kvm->vcpus), "KVM's vCPUs and slots");
	for (unsigned i = 0; i < vm->n_vcpus; i++)
		kvm->vcpus[i] = (struct kvm_vcpu){.kvm = kvm, .v = &vm->vcpus[i], .fd = -1};
	rc = enable_dirty(kvm, e);
	return rc ? rc : kvm_arch_vm_init(kvm, e);
}

int kvm_vm_init(struct vm *vm, struct err *e)
{
	struct kvm_vm *kvm = sys_alloc(sizeof(*kvm));
	int rc;

	if (!kvm)
		return err_nomem(e, sizeof(*kvm), "a KVM VM");
	kvm->vm = vm;
	kvm->node = kvm->fd = -1;
	pthread_mutex_init(&kvm->lock, NULL);
	pthread_mutex_init(&kvm->held_lock, NULL);
	kvm_later_init(&kvm->later);
	vm->accel_data = kvm;
	rc = options_parse(&kvm->opt, vm->accel_arg, e);
	return rc ? rc : init_parts(kvm, e);
}

void kvm_vm_exit(struct vm *vm)
{
	struct kvm_vm *kvm = kvm_of(vm);

	if (!kvm)
		return;
	for (unsigned i = 0; kvm->vcpus && i < vm->n_vcpus; i++)
		kvm_vcpu_destroy(&kvm->vcpus[i]);
	kvm_later_exit(kvm);
	kvm_arch_vm_exit(kvm);
	for (unsigned i = 0; kvm->slots && i < kvm->n_slots; i++)
		free(kvm->slots[i].dirty);
	free(kvm->slots);
	free(kvm->vcpus);
	if (kvm->fd >= 0)
		close(kvm->fd);
	if (kvm->node >= 0)
		close(kvm->node);
	pthread_mutex_destroy(&kvm->held_lock);
	pthread_mutex_destroy(&kvm->lock);
	free(kvm);
	vm->accel_data = NULL;
	vm->irqchip = NULL;
}

int kvm_doorbell(struct vm *vm, const struct doorbell *d, int fd, bool add, struct err *e)
{
	struct kvm_ioeventfd io = {.addr = d->addr,
				   .len = d->size,
				   .fd = fd,
				   .datamatch = d->match ? d->value : 0,
				   .flags = (d->match ? KVM_IOEVENTFD_FLAG_DATAMATCH : 0) |
					    (d->space == AS_PORTS ? KVM_IOEVENTFD_FLAG_PIO : 0) |
					    (add ? 0 : KVM_IOEVENTFD_FLAG_DEASSIGN)};
	int rc = KVM_CALL(kvm_of(vm)->fd, KVM_IOEVENTFD, &io, e);

	return rc < 0 ? err_prefix(e, "doorbell at 0x%llx", (unsigned long long)d->addr) : 0;
}

/* What KVM's clock says now, less host time, modulo 2^64. */
static int clock_base(struct kvm_vm *kvm, uint64_t *base, struct err *e)
{
	uint64_t ns = 0;
	int rc = kvm_arch_clock_read(kvm, &ns, e);

	*base = ns - sys_now_ns();
	return rc;
}

/* The guest's clock at VM time now.  kvm->lock held. */
static int clock_now_locked(struct kvm_vm *kvm, uint64_t *ns, struct err *e)
{
	uint64_t base;
	int rc;

	if (kvm->clock_pending) {
		*ns = kvm->clock_value;
		return 0;
	}
	rc = clock_base(kvm, &base, e);
	if (rc)
		return rc;
	if (kvm->clock_known)
		*ns = base + clock_now(&kvm->vm->clock) - kvm->clock_offset;
	else
		*ns = base + sys_now_ns();
	return 0;
}

int kvm_clock_get(struct kvm_vm *kvm, uint64_t *ns, struct err *e)
{
	pthread_mutex_lock(&kvm->lock);
	int rc = clock_now_locked(kvm, ns, e);
	pthread_mutex_unlock(&kvm->lock);
	return rc;
}

void kvm_clock_put(struct kvm_vm *kvm, uint64_t ns)
{
	pthread_mutex_lock(&kvm->lock);
	kvm->clock_value = ns;
	kvm->clock_pending = true;
	pthread_mutex_unlock(&kvm->lock);
}

void kvm_clock_resume(struct kvm_vm *kvm)
{
	uint64_t offset = kvm->vm->clock.offset; /* constant while a vCPU is not parked */
	struct err e = ERR_INIT;
	int rc;

	pthread_mutex_lock(&kvm->lock);
	if (!kvm->clock_known && !kvm->clock_pending) {
		kvm->clock_known = true;
	} else if (kvm->clock_pending || offset != kvm->clock_offset) {
		uint64_t ns = 0;

		rc = clock_now_locked(kvm, &ns, &e);
		if (!rc)
			rc = kvm_arch_clock_write(kvm, ns, &e);
		if (rc)
			log_warn("the guest's clock jumps over the pause: %s", e.msg);
		kvm->clock_pending = false;
		kvm->clock_known = true;
	}
	kvm->clock_offset = offset;
	pthread_mutex_unlock(&kvm->lock);
}
