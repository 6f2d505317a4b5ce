/*
 * accel/kvm/slots.c - memory slots and the pages that vCPUs dirtied.
 *
 * Two ways to learn dirty pages.  The bitmap: KVM keeps one for each slot; with manual protection
 * fetching (KVM_GET_DIRTY_LOG) and write-protecting again (KVM_CLEAR_DIRTY_LOG, only what was
 * fetched) are two steps.  The ring: each vCPU has a ring of (slot, page) entries that it shares
 * with us; we copy entries into a bitmap of our own, mark them harvested, and KVM_RESET_DIRTY_RINGS
 * takes them back.  A vCPU whose ring fills up exits and harvests all rings itself.  Entries are
 * published by KVM with a release store of their flags and given back by us likewise.
 *
 * Both count in pages of the host, of 4, 16 or 64 KiB; our bitmaps have a bit for each GUEST_PAGE.
 */
#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <unistd.h>

#include "accel/kvm/kvm.h"
#include "base/bitmap.h"
#include "base/str.h"
#include "base/sys.h"

/* GUEST_PAGEs in a page of the host. */
static uint64_t host_page(void)
{
	return (uint64_t)sysconf(_SC_PAGESIZE) / GUEST_PAGE;
}

/* Marks page @n of the host in a bitmap of @pages. */
static void set_page(uint64_t *bitmap, uint64_t n, uint64_t pages)
{
	uint64_t per = host_page();

	for (uint64_t i = 0; i < per && n * per + i < pages; i++)
		bitmap_set(bitmap, n * per + i);
}

static int slot_refused(int code, const struct as_map *m, struct err *e)
{
	char size[32];

	str_size(m->len, size, sizeof(size));
	if (code == -ENOMEM)
		err_set(e, code, "the host kernel has no memory to manage %s of guest memory",
			size);
	else
		err_errno(e, code, "KVM_SET_USER_MEMORY_REGION: %s (%s at 0x%llx)", m->ram->name,
			  size, (unsigned long long)m->base);
	err_kind(e, ERR_HOST);
	return code;
}

/* The ring needs a bitmap of ours for each logged slot.  kvm->lock held. */
static int slot_bitmap(struct kvm_vm *kvm, struct kvm_slot *s, bool log, struct err *e)
{
	if (!log || !kvm->opt.dirty_ring) {
		free(s->dirty);
		s->dirty = NULL;
		return 0;
	}
	if (!s->dirty)
		s->dirty = sys_alloc_array(BITMAP_WORDS(s->pages), sizeof(uint64_t));
	return s->dirty ? 0 : err_nomem(e, BITMAP_WORDS(s->pages) * 8, "a dirty bitmap");
}

int kvm_slot_set(struct vm *vm, const struct as_map *m, bool remove, bool log, struct err *e)
{
	struct kvm_vm *kvm = kvm_of(vm);
	struct kvm_userspace_memory_region r = {
		.slot = m->slot,
		.flags = (log ? KVM_MEM_LOG_DIRTY_PAGES : 0) | (m->ram->rom ? KVM_MEM_READONLY : 0),
		.guest_phys_addr = m->base,
		.memory_size = remove ? 0 : m->len,
		.userspace_addr = (uintptr_t)m->ram->host + m->ram_off};
	struct kvm_slot *s;
	int rc;

	if (m->slot >= kvm->n_slots)
		return err_set(e, -ENOSPC,
			       "this host's KVM gives a VM %u memory slots, and all are used",
			       kvm->n_slots),
		       err_kind(e, ERR_HOST);
	if (m->ram->rom && !kvm_cap(kvm->fd, KVM_CAP_READONLY_MEM))
		return err_set(e, -ENOTSUP,
			       "this host's KVM lacks KVM_CAP_READONLY_MEM, which ROM needs"),
		       err_kind(e, ERR_HOST);
	pthread_mutex_lock(&kvm->lock);
	s = &kvm->slots[m->slot];
	s->pages = m->len / GUEST_PAGE;
	rc = slot_bitmap(kvm, s, log && !remove, e);
	if (rc)
		goto out;
	rc = kvm_ioctl(kvm->fd, KVM_SET_USER_MEMORY_REGION, (uintptr_t)&r);
	if (rc < 0) {
		rc = slot_refused(rc, m, e);
		goto out;
	}
	s->used = !remove;
	s->log = log && !remove;
out:
	pthread_mutex_unlock(&kvm->lock);
	return rc;
}

int kvm_ring_map(struct kvm_vcpu *kv, struct err *e)
{
	size_t bytes = kv->kvm->opt.dirty_ring * sizeof(struct kvm_dirty_gfn);
	void *p;

	if (!bytes)
		return 0;
	p = sys_mmap(NULL, bytes, PROT_READ | PROT_WRITE, MAP_SHARED, kv->fd,
		     (off_t)KVM_DIRTY_LOG_PAGE_OFFSET * sysconf(_SC_PAGESIZE));
	if (p == MAP_FAILED)
		return err_errno(e, -errno, "cannot map the dirty ring"), err_kind(e, ERR_HOST);
	kv->ring = p;
	return 0;
}

/* How many entries were taken.  kvm->lock held. */
static uint32_t harvest_vcpu(struct kvm_vcpu *kv)
{
	struct kvm_vm *kvm = kv->kvm;
	uint32_t n;

	for (n = 0; n < kvm->opt.dirty_ring; n++) {
		struct kvm_dirty_gfn *g = &kv->ring[kv->ring_next & (kvm->opt.dirty_ring - 1)];

		if (__atomic_load_n(&g->flags, __ATOMIC_ACQUIRE) != KVM_DIRTY_GFN_F_DIRTY)
			break;
		if (g->slot < kvm->n_slots) {
			struct kvm_slot *s = &kvm->slots[g->slot];

			if (s->dirty && g->offset < s->pages)
				set_page(s->dirty, g->offset, s->pages);
		}
		__atomic_store_n(&g->flags, (uint32_t)KVM_DIRTY_GFN_F_RESET, __ATOMIC_RELEASE);
		kv->ring_next++;
	}
	return n;
}

static int harvest_locked(struct kvm_vm *kvm, struct err *e)
{
	uint32_t n = 0;

	for (unsigned i = 0; i < kvm->vm->n_vcpus; i++)
		if (kvm->vcpus[i].ring)
			n += harvest_vcpu(&kvm->vcpus[i]);
	if (!n)
		return 0;
	int rc = KVM_CALL_VAL(kvm->fd, KVM_RESET_DIRTY_RINGS, 0, e);

	return rc < 0 ? rc : 0;
}

int kvm_ring_harvest(struct kvm_vm *kvm, struct err *e)
{
	pthread_mutex_lock(&kvm->lock);
	int rc = harvest_locked(kvm, e);
	pthread_mutex_unlock(&kvm->lock);
	return rc;
}

static int ring_dirty(struct kvm_vm *kvm, struct kvm_slot *s, uint64_t *bitmap, struct err *e)
{
	int rc = harvest_locked(kvm, e);

	if (rc || !s->dirty)
		return rc;
	for (uint64_t w = 0; w < BITMAP_WORDS(s->pages); w++) {
		bitmap[w] |= s->dirty[w];
		s->dirty[w] = 0;
	}
	return 0;
}

static int log_dirty(struct kvm_vm *kvm, unsigned slot, uint64_t pages, uint64_t *bitmap,
		     struct err *e)
{
	uint64_t host_pages = pages / host_page();
	size_t words = BITMAP_WORDS(host_pages);
	uint64_t *got = sys_alloc_array(words, sizeof(*got)), any = 0;
	struct kvm_dirty_log log = {.slot = slot, .dirty_bitmap = got};
	int rc;

	if (!got)
		return err_nomem(e, words * sizeof(*got), "a dirty bitmap");
	rc = KVM_CALL(kvm->fd, KVM_GET_DIRTY_LOG, &log, e);
	for (size_t w = 0; w < words && rc >= 0; w++) {
		any |= got[w];
		if (host_pages == pages)
			bitmap[w] |= got[w];
	}
	for (uint64_t n = 0; n < host_pages && rc >= 0 && host_pages != pages; n++)
		if (bitmap_test(got, n))
			set_page(bitmap, n, pages);
	if (rc >= 0 && kvm->manual_protect && any) {
		/* Both ends on multiples of 64 pages or at the end of the slot. */
		struct kvm_clear_dirty_log clear = {
			.slot = slot, .num_pages = (uint32_t)host_pages, .dirty_bitmap = got};

		rc = KVM_CALL(kvm->fd, KVM_CLEAR_DIRTY_LOG, &clear, e);
	}
	free(got);
	return rc < 0 ? rc : 0;
}

int kvm_slot_dirty(struct vm *vm, const struct as_map *m, uint64_t *bitmap, struct err *e)
{
	struct kvm_vm *kvm = kvm_of(vm);
	struct kvm_slot *s = &kvm->slots[m->slot];
	int rc = 0;

	pthread_mutex_lock(&kvm->lock);
	if (s->used && s->log) {
		if (kvm->opt.dirty_ring)
			rc = ring_dirty(kvm, s, bitmap, e);
		else
			rc = log_dirty(kvm, m->slot, s->pages, bitmap, e);
	}
	pthread_mutex_unlock(&kvm->lock);
	return rc;
}
