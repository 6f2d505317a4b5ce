/*
 * accel/kvm/held.c - writes that KVM holds back instead of leaving the guest for each.
 *
 * KVM keeps writes to ranges that were registered with it ("coalesced", [Documentation/virt/kvm/
 * api.rst, KVM_REGISTER_COALESCED_MMIO]) in a ring that all vCPUs of a VM share and that is mapped
 * behind each one's run page.  Their order in it is the order they were made in.  A vCPU that comes
 * out of KVM_RUN, for whatever reason, performs what the ring holds before anything else is done
 * about its exit.  So the write of a port's index comes before the read of the data it selects,
 * also if another vCPU made it; and a vCPU that is parked has left nothing behind: there is nothing
 * held when state is saved, loaded or reset.  When the ring is full, the write makes an exit.
 *
 * `first` moves on when the write has been performed, not when it is taken: who finds the ring
 * empty without a lock may go on.  Only one thread at a time takes from it, under held_lock, which
 * is outside all locks of devices.  It stops at the end it has seen first, which all its own writes
 * are before, and is not kept there by the writes of others.
 *
 * One thing is not exact: of a string of writes (REP OUTS) that fills the ring KVM drops the rest.
 * What may be held back is an index or nothing at all, and no guest writes 170 of those in a
 * string.
 *
 * Making a range known waits for a grace period, milliseconds, and is done later.c's way: until
 * then writes make exits, as they do on a KVM that cannot hold them.
 */
#include <unistd.h>

#include "accel/kvm/kvm.h"
#include "base/log.h"

void kvm_held_init(struct kvm_vm *kvm)
{
	size_t page = (size_t)sysconf(_SC_PAGESIZE);
	size_t off = (size_t)kvm_cap(kvm->fd, KVM_CAP_COALESCED_MMIO) * page;

	if (!off || off + page > kvm->run_size)
		return;
	kvm->held_off = off;
	kvm->held_max = (uint32_t)((page - sizeof(struct kvm_coalesced_mmio_ring)) /
				   sizeof(struct kvm_coalesced_mmio));
	kvm->held_ports = kvm_cap(kvm->fd, KVM_CAP_COALESCED_PIO);
}

static void perform(struct vm *vm, const struct kvm_coalesced_mmio *w)
{
	struct as *as = w->pio ? &vm->ports : &vm->mem;

	/* as_vcpu_write takes at most 8 bytes, and KVM never holds more. */
	(void)as_vcpu_write(as, w->phys_addr, w->data, MIN(w->len, (uint32_t)sizeof(w->data)));
}

void kvm_held_flush(struct kvm_vcpu *kv)
{
	struct kvm_vm *kvm = kv->kvm;
	struct kvm_coalesced_mmio_ring *r = kv->held_ring;
	uint32_t i, end;

	if (!r)
		return;
	end = __atomic_load_n(&r->last, __ATOMIC_ACQUIRE); /* before first, which may pass it */
	if (LIKELY(__atomic_load_n(&r->first, __ATOMIC_ACQUIRE) == end))
		return;
	pthread_mutex_lock(&kvm->held_lock);
	end = __atomic_load_n(&r->last, __ATOMIC_ACQUIRE) % kvm->held_max;
	for (i = r->first % kvm->held_max; i != end;) {
		perform(kvm->vm, &r->coalesced_mmio[i]);
		i = (i + 1) % kvm->held_max;
		__atomic_store_n(&r->first, i, __ATOMIC_RELEASE);
	}
	pthread_mutex_unlock(&kvm->held_lock);
}

/* No vCPU will run again. */
static bool is_over(struct vm *vm)
{
	pthread_mutex_lock(&vm->lock);
	bool over = vm->phase == VM_STOPPED;
	pthread_mutex_unlock(&vm->lock);
	return over;
}

static void zone_add(struct kvm_vm *kvm, const void *arg)
{
	struct kvm_coalesced_mmio_zone zone = *(const struct kvm_coalesced_mmio_zone *)arg;
	struct err e = ERR_INIT;

	if (!is_over(kvm->vm) && KVM_CALL(kvm->fd, KVM_REGISTER_COALESCED_MMIO, &zone, &e) < 0)
		log_debug("writes at 0x%llx are not held back: %s", (unsigned long long)zone.addr,
			  e.msg);
}

void kvm_hold_writes(struct vm *vm, enum as_kind space, gpa_t base, uint64_t len, bool hold)
{
	struct kvm_vm *kvm = kvm_of(vm);
	struct kvm_coalesced_mmio_zone zone = {
		.addr = base, .size = (uint32_t)len, .pio = space == AS_PORTS};
	struct err e = ERR_INIT;

	if (!kvm->held_off || len > UINT32_MAX || (space == AS_PORTS && !kvm->held_ports))
		return;
	if (hold) {
		if (kvm_later(kvm, zone_add, &zone, sizeof(zone), &e))
			log_debug("writes at 0x%llx are not held back: %s",
				  (unsigned long long)base, e.msg);
		return;
	}
	if (is_over(vm)) /* what follows takes time, too */
		return;
	kvm_later_wait(kvm);
	if (KVM_CALL(kvm->fd, KVM_UNREGISTER_COALESCED_MMIO, &zone, &e) < 0)
		log_warn("writes at 0x%llx are still held back: %s", (unsigned long long)base,
			 e.msg);
}
