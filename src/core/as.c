/*
 * core/as.c - address spaces: flat views, lookups, DMA and vCPU accesses.  Theory in core/mem.h.
 */
#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "base/endian.h"
#include "base/sys.h"
#include "base/trace.h"
#include "core/mem.h"
#include "core/vm.h"

struct flatview {
	struct flatview *retired_next;
	unsigned n;
	struct as_map map[]; /* ascending, no overlaps */
};

static const struct flatview *view_get(struct as *as)
{
	return atomic_load_explicit(&as->view, memory_order_acquire);
}

/* The map that covers @pa, or the first one above it (*hit says which), or NULL. */
static const struct as_map *view_find(const struct flatview *v, gpa_t pa, bool *hit)
{
	unsigned lo = 0, hi = v->n;

	while (lo < hi) {
		unsigned mid = (lo + hi) / 2;
		const struct as_map *m = &v->map[mid];

		if (pa < m->base)
			hi = mid;
		else if (pa - m->base >= m->len)
			lo = mid + 1;
		else {
			*hit = true;
			return m;
		}
	}
	*hit = false;
	return lo < v->n ? &v->map[lo] : NULL;
}

int as_init(struct as *as, struct vm *vm, enum as_kind kind, struct err *e)
{
	struct flatview *v = sys_alloc(sizeof(*v));

	if (!v)
		return err_nomem(e, sizeof(*v), "an address space");
	as->vm = vm;
	as->kind = kind;
	pthread_mutex_init(&as->lock, NULL);
	atomic_store(&as->view, v);
	return 0;
}

void as_reclaim(struct as *as)
{
	pthread_mutex_lock(&as->lock);
	while (as->retired) {
		struct flatview *v = as->retired;

		as->retired = v->retired_next;
		free(v);
	}
	pthread_mutex_unlock(&as->lock);
}

void as_exit(struct as *as)
{
	struct flatview *v = atomic_load(&as->view);

	if (!v)
		return;
	as_reclaim(as);
	free(v);
	atomic_store(&as->view, NULL);
	pthread_mutex_destroy(&as->lock);
}

/* Publishes @v and retires the view before it. Writers' lock held. */
static void view_publish(struct as *as, struct flatview *v)
{
	struct flatview *old = atomic_exchange_explicit(&as->view, v, memory_order_acq_rel);

	old->retired_next = as->retired;
	as->retired = old;
}

static const char *map_owner(const struct as_map *m)
{
	switch (m->kind) {
	case MAP_RAM: return m->ram->name;
	case MAP_IO: return m->dev->id;
	case MAP_NONE: break;
	}
	return m->name;
}

/* A new view with @m in it. Writers' lock held. */
static int view_insert(struct as *as, const struct as_map *m, struct flatview **out, struct err *e)
{
	const struct flatview *old = view_get(as);
	uint64_t limit = as->kind == AS_PORTS ? 0x10000 : UINT64_C(1) << 52;
	const char *space = as->kind == AS_PORTS ? "port" : "address";
	unsigned i = 0;

	if (!m->len || m->base >= limit || m->len > limit - m->base)
		return err_set(e, -E2BIG, "%s at %s 0x%llx does not fit into the address space",
			       map_owner(m), space, (unsigned long long)m->base);
	while (i < old->n && old->map[i].base + old->map[i].len <= m->base)
		i++;
	if (i < old->n && old->map[i].base < m->base + m->len)
		return err_set(e, -EEXIST,
			       "%s at %s 0x%llx-0x%llx would overlap %s at 0x%llx-0x%llx",
			       map_owner(m), space, (unsigned long long)m->base,
			       (unsigned long long)(m->base + m->len - 1), map_owner(&old->map[i]),
			       (unsigned long long)old->map[i].base,
			       (unsigned long long)(old->map[i].base + old->map[i].len - 1));
	struct flatview *v = sys_alloc(sizeof(*v) + (old->n + 1) * sizeof(v->map[0]));
	if (!v)
		return err_nomem(e, sizeof(*v), "an address space");
	v->n = old->n + 1;
	memcpy(v->map, old->map, i * sizeof(v->map[0]));
	v->map[i] = *m;
	memcpy(v->map + i + 1, old->map + i, (old->n - i) * sizeof(v->map[0]));
	*out = v;
	return 0;
}

static int slot_alloc(struct as *as, unsigned *slot, struct err *e)
{
	for (unsigned i = 0; i < ARRAY_LEN(as->slots_used) * 64; i++)
		if (!(as->slots_used[i / 64] >> (i % 64) & 1)) {
			as->slots_used[i / 64] |= UINT64_C(1) << (i % 64);
			*slot = i;
			return 0;
		}
	return err_set(e, -ENOSPC, "no memory slot is left");
}

static void slot_release(struct as *as, unsigned slot)
{
	as->slots_used[slot / 64] &= ~(UINT64_C(1) << (slot % 64));
}

int as_map_ram(struct as *as, gpa_t base, struct ram *ram, uint64_t ram_off, uint64_t len,
	       struct err *e)
{
	const struct accel_ops *accel = as->vm->accel;
	struct as_map m = {
		.base = base, .len = len, .kind = MAP_RAM, .ram = ram, .ram_off = ram_off};
	struct flatview *v;
	int rc;

	if (base % GUEST_PAGE || ram_off % GUEST_PAGE || len % GUEST_PAGE || ram_off > ram->size ||
	    len > ram->size - ram_off)
		return err_set(e, -EINVAL, "%s at 0x%llx is not aligned to pages or beyond its end",
			       ram->name, (unsigned long long)base);
	pthread_mutex_lock(&as->lock);
	rc = slot_alloc(as, &m.slot, e);
	if (rc)
		goto out_unlock;
	rc = view_insert(as, &m, &v, e);
	if (rc)
		goto out_slot;
	if (accel->slot_set) {
		rc = accel->slot_set(as->vm, &m, false, atomic_load(&ram->logging), e);
		if (rc)
			goto out_view;
	}
	view_publish(as, v);
	pthread_mutex_unlock(&as->lock);
	return 0;
out_view:
	free(v);
out_slot:
	slot_release(as, m.slot);
out_unlock:
	pthread_mutex_unlock(&as->lock);
	return rc;
}

/* Tells the accelerator which writes to @m it may hold back, or no longer.  Writers' lock held. */
static void hold_writes(struct as *as, const struct as_map *m, bool hold)
{
	const struct accel_ops *accel = as->vm->accel;
	uint64_t off = 0, len = m->len;

	if (m->kind == MAP_IO) {
		off = m->dev->class->io[m->io].held_off;
		len = m->dev->class->io[m->io].held_len;
	}
	if (m->kind != MAP_RAM && len && accel->hold_writes)
		accel->hold_writes(as->vm, as->kind, m->base + off, len, hold);
}

/* A map without memory. */
static int map_other(struct as *as, const struct as_map *m, struct err *e)
{
	struct flatview *v;
	int rc;

	pthread_mutex_lock(&as->lock);
	rc = view_insert(as, m, &v, e);
	if (!rc) {
		view_publish(as, v);
		hold_writes(as, m, true);
	}
	pthread_mutex_unlock(&as->lock);
	return rc;
}

int as_map_io(struct as *as, gpa_t base, struct device *dev, unsigned io, struct err *e)
{
	struct as_map m = {
		.base = base, .len = dev->class->io[io].len, .kind = MAP_IO, .dev = dev, .io = io};

	return map_other(as, &m, e);
}

int as_map_none(struct as *as, gpa_t base, uint64_t len, const char *name, struct err *e)
{
	struct as_map m = {.base = base, .len = len, .kind = MAP_NONE, .name = name};

	return map_other(as, &m, e);
}

int as_unmap(struct as *as, gpa_t base, struct err *e)
{
	const struct flatview *old;
	struct flatview *v;
	unsigned i = 0;
	int rc = 0;

	pthread_mutex_lock(&as->lock);
	old = view_get(as);
	while (i < old->n && old->map[i].base != base)
		i++;
	if (i == old->n) {
		rc = err_set(e, -ENOENT, "nothing is mapped at 0x%llx", (unsigned long long)base);
		goto out;
	}
	v = sys_alloc(sizeof(*v) + old->n * sizeof(v->map[0]));
	if (!v) {
		rc = err_nomem(e, sizeof(*v), "an address space");
		goto out;
	}
	v->n = old->n - 1;
	memcpy(v->map, old->map, i * sizeof(v->map[0]));
	memcpy(v->map + i, old->map + i + 1, (old->n - 1 - i) * sizeof(v->map[0]));
	const struct as_map *m = &old->map[i];
	if (m->kind == MAP_RAM) {
		if (as->vm->accel->slot_set)
			rc = as->vm->accel->slot_set(as->vm, m, true, false, e);
		if (rc) {
			free(v);
			goto out;
		}
		slot_release(as, m->slot);
	}
	hold_writes(as, m, false);
	view_publish(as, v);
out:
	pthread_mutex_unlock(&as->lock);
	return rc;
}

int as_for_each(struct as *as, int (*fn)(const struct as_map *m, void *arg), void *arg)
{
	const struct flatview *v = view_get(as);

	for (unsigned i = 0; i < v->n; i++) {
		int rc = fn(&v->map[i], arg);

		if (rc)
			return rc;
	}
	return 0;
}

/*
 * The RAM at @pa: host pointer and how many of @n bytes follow in one piece; NULL if @pa is not RAM
 * (*rc says why).
 */
static uint8_t *ram_at(const struct flatview *v, gpa_t pa, uint64_t *n, struct ram **ram,
		       uint64_t *off, enum io_result *rc)
{
	bool hit;
	const struct as_map *m = view_find(v, pa, &hit);

	if (!hit || m->kind != MAP_RAM) {
		*rc = hit && m->kind == MAP_IO ? IO_REFUSED : IO_UNMAPPED;
		return NULL;
	}
	uint64_t in = pa - m->base;
	*n = MIN(*n, m->len - in);
	*ram = m->ram;
	*off = m->ram_off + in;
	return m->ram->host + *off;
}

enum io_result as_read(struct as *as, gpa_t pa, void *dst, uint64_t n)
{
	const struct flatview *v = view_get(as);
	enum io_result rc = IO_OK;
	uint8_t *d = dst;

	while (n) {
		uint64_t piece = n, off;
		struct ram *ram;
		const uint8_t *p = ram_at(v, pa, &piece, &ram, &off, &rc);

		if (!p)
			return rc;
		memcpy(d, p, piece);
		d += piece;
		pa += piece;
		n -= piece;
	}
	return IO_OK;
}

/* Common to writes: @src NULL fills with @byte. */
static enum io_result put_bytes(struct as *as, gpa_t pa, const uint8_t *src, uint8_t byte,
				uint64_t n, bool rom_too)
{
	const struct flatview *v = view_get(as);
	enum io_result rc = IO_OK;

	while (n) {
		uint64_t piece = n, off;
		struct ram *ram;
		uint8_t *p = ram_at(v, pa, &piece, &ram, &off, &rc);

		if (!p)
			return rc;
		if (ram->rom && !rom_too)
			return IO_REFUSED;
		if (src) {
			memcpy(p, src, piece);
			src += piece;
		} else {
			memset(p, byte, piece);
		}
		ram_mark_dirty(ram, off, piece);
		pa += piece;
		n -= piece;
	}
	return IO_OK;
}

enum io_result as_write(struct as *as, gpa_t pa, const void *src, uint64_t n)
{
	return put_bytes(as, pa, src, 0, n, false);
}

enum io_result as_fill(struct as *as, gpa_t pa, uint8_t byte, uint64_t n)
{
	return put_bytes(as, pa, NULL, byte, n, false);
}

enum io_result as_load(struct as *as, gpa_t pa, const void *src, uint64_t n)
{
	return put_bytes(as, pa, src, 0, n, true);
}

int as_iov(struct as *as, gpa_t pa, uint64_t n, bool write, struct iovec *iov, int max)
{
	const struct flatview *v = view_get(as);
	enum io_result rc;
	int k = 0;

	while (n) {
		uint64_t piece = n, off;
		struct ram *ram;
		uint8_t *p = ram_at(v, pa, &piece, &ram, &off, &rc);

		if (!p || (write && ram->rom))
			return -EFAULT;
		if (k == max)
			return -E2BIG;
		if (write)
			ram_mark_dirty(ram, off, piece);
		iov[k++] = (struct iovec){p, piece};
		pa += piece;
		n -= piece;
	}
	return k;
}

bool as_map_at(struct as *as, gpa_t pa, struct as_map *out)
{
	bool hit;
	const struct as_map *m = view_find(view_get(as), pa, &hit);

	if (hit)
		*out = *m;
	return hit;
}

bool as_is_ram(struct as *as, gpa_t pa, uint64_t n)
{
	const struct flatview *v = view_get(as);
	enum io_result rc;

	while (n) {
		uint64_t piece = n, off;
		struct ram *ram;

		if (!ram_at(v, pa, &piece, &ram, &off, &rc))
			return false;
		pa += piece;
		n -= piece;
	}
	return true;
}

/*
 * How many of @size bytes at @pa lie in the same map or the same hole; sets *m to the map, or NULL
 * if nothing is there.
 */
static unsigned vcpu_piece(const struct flatview *v, gpa_t pa, unsigned size,
			   const struct as_map **m)
{
	bool hit;
	const struct as_map *f = view_find(v, pa, &hit);
	uint64_t room = hit ? f->len - (pa - f->base) : f ? f->base - pa : size;

	*m = hit && f->kind != MAP_NONE ? f : NULL;
	return (unsigned)MIN((uint64_t)size, room);
}

static enum io_result vcpu_nothing(struct as *as, gpa_t pa, unsigned size, bool write)
{
	atomic_fetch_add_explicit(&as->unmapped, 1, memory_order_relaxed);
	TRACE(bus_unmapped, "%s of %u bytes at %s 0x%llx reaches nothing", write ? "write" : "read",
	      size, as->kind == AS_PORTS ? "port" : "address", (unsigned long long)pa);
	return IO_UNMAPPED;
}

enum io_result as_vcpu_read(struct as *as, gpa_t pa, void *data, unsigned size)
{
	const struct flatview *v = view_get(as);
	enum io_result rc = IO_OK;
	uint8_t *d = data;

	while (size) {
		const struct as_map *m;
		unsigned n = vcpu_piece(v, pa, size, &m);
		enum io_result one = IO_OK;

		if (!m) {
			memset(d, 0xff, n);
			one = vcpu_nothing(as, pa, n, false);
		} else if (m->kind == MAP_RAM) {
			memcpy(d, m->ram->host + m->ram_off + (pa - m->base), n);
		} else {
			uint64_t val;
			uint8_t le[8];

			one = device_read(m->dev, m->io, pa - m->base, n, &val);
			le64_store(le, val);
			memcpy(d, le, n);
		}
		if (one != IO_OK)
			rc = one;
		d += n;
		pa += n;
		size -= n;
	}
	return rc;
}

enum io_result as_vcpu_write(struct as *as, gpa_t pa, const void *data, unsigned size)
{
	const struct flatview *v = view_get(as);
	enum io_result rc = IO_OK;
	const uint8_t *d = data;

	while (size) {
		const struct as_map *m;
		unsigned n = vcpu_piece(v, pa, size, &m);
		enum io_result one = IO_OK;

		if (!m) {
			one = vcpu_nothing(as, pa, n, true);
		} else if (m->kind == MAP_RAM) {
			one = as_write(as, pa, d, n);
		} else {
			uint8_t le[8] = {0};

			/* NOLINTNEXTLINE(clang-analyzer-core.NonNullParamChecker): never NULL */
			memcpy(le, d, n);
			one = device_write(m->dev, m->io, pa - m->base, n, le64_load(le));
		}
		if (one != IO_OK)
			rc = one;
		d += n;
		pa += n;
		size -= n;
	}
	return rc;
}

/* Switches logging of map @m; on error what was switched stays so and the caller stops logging. */
static int dirty_switch(struct as *as, const struct as_map *m, bool on, struct err *e)
{
	if (m->kind != MAP_RAM || m->ram->rom)
		return 0;
	if (on)
		for (uint64_t w = 0; w < (m->ram->size / GUEST_PAGE + 63) / 64; w++)
			atomic_store_explicit(&m->ram->dirty[w], 0, memory_order_relaxed);
	atomic_store(&m->ram->logging, on);
	return as->vm->accel->slot_set ? as->vm->accel->slot_set(as->vm, m, false, on, e) : 0;
}

int as_dirty_start(struct as *as, struct err *e)
{
	const struct flatview *v;
	int rc = 0;

	pthread_mutex_lock(&as->lock);
	v = view_get(as);
	for (unsigned i = 0; i < v->n && !rc; i++)
		rc = dirty_switch(as, &v->map[i], true, e);
	pthread_mutex_unlock(&as->lock);
	if (rc)
		as_dirty_stop(as);
	return rc;
}

void as_dirty_stop(struct as *as)
{
	const struct flatview *v;

	pthread_mutex_lock(&as->lock);
	v = view_get(as);
	for (unsigned i = 0; i < v->n; i++)
		(void)dirty_switch(as, &v->map[i], false, NULL);
	pthread_mutex_unlock(&as->lock);
}

int as_dirty_fetch(struct as *as, const struct as_map *m, uint64_t *bitmap, struct err *e)
{
	uint64_t first = m->ram_off / GUEST_PAGE, pages = m->len / GUEST_PAGE;

	if (as->vm->accel->slot_dirty) {
		int rc = as->vm->accel->slot_dirty(as->vm, m, bitmap, e);

		if (rc)
			return rc;
	}
	for (uint64_t p = 0; p < pages;) {
		uint64_t at = first + p, bit = at % 64, n = MIN(64 - bit, pages - p);
		uint64_t mask = n == 64 ? UINT64_MAX : ((UINT64_C(1) << n) - 1) << bit;
		uint64_t got = atomic_load_explicit(&m->ram->dirty[at / 64], memory_order_relaxed);

		if (got & mask) {
			got = atomic_fetch_and_explicit(&m->ram->dirty[at / 64], ~mask,
							memory_order_acquire) &
			      mask;
			for (; got; got &= got - 1) {
				uint64_t q = p + (uint64_t)__builtin_ctzll(got) - bit;

				bitmap[q / 64] |= UINT64_C(1) << (q % 64);
			}
		}
		p += n;
	}
	return 0;
}
