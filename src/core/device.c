/*
 * core/device.c - making, wiring and reaching devices: everything that a class does not have to
 * write itself.
 */
#include <errno.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/str.h"
#include "base/sys.h"
#include "base/trace.h"
#include "core/device.h"
#include "core/vm.h"

static struct as *io_space(struct device *d, unsigned io)
{
	return d->class->io[io].space == AS_PORTS ? &d->vm->ports : &d->vm->mem;
}

static unsigned class_n_io(const struct device_class *c)
{
	unsigned n = 0;

	while (n < DEVICE_IO_MAX && c->io[n].len)
		n++;
	return n;
}

static const struct prop *prop_find(const struct device_class *c, const char *name)
{
	for (unsigned i = 0; i < c->n_props; i++)
		if (!strcmp(c->props[i].name, name))
			return &c->props[i];
	return NULL;
}

static int prop_set_number(void *p, const struct prop *prop, unsigned bits, const char *value,
			   struct err *e)
{
	uint64_t max = bits == 64 ? UINT64_MAX : (UINT64_C(1) << bits) - 1, v;
	int rc = str_parse_u64(value, 0, prop->max ? prop->max : max, &v, e);

	if (rc)
		return rc;
	switch (bits) {
	case 8: *(uint8_t *)p = (uint8_t)v; break;
	case 16: *(uint16_t *)p = (uint16_t)v; break;
	case 32: *(uint32_t *)p = (uint32_t)v; break;
	default: *(uint64_t *)p = v; break;
	}
	return 0;
}

static int prop_set_bool(bool *p, const char *value, struct err *e)
{
	static const char *const yes[] = {"true", "on", "yes", "1"};
	static const char *const no[] = {"false", "off", "no", "0"};

	for (unsigned i = 0; i < ARRAY_LEN(yes); i++) {
		if (!strcmp(value, yes[i]))
			return *p = true, 0;
		if (!strcmp(value, no[i]))
			return *p = false, 0;
	}
	return err_set(e, -EINVAL, "\"%s\" is neither on nor off", value);
}

static int prop_set(struct device *d, const struct prop *prop, const char *value, struct err *e)
{
	void *p = (uint8_t *)d + prop->off;
	char *copy;

	switch (prop->kind) {
	case PROP_U8: return prop_set_number(p, prop, 8, value, e);
	case PROP_U16: return prop_set_number(p, prop, 16, value, e);
	case PROP_U32: return prop_set_number(p, prop, 32, value, e);
	case PROP_U64: return prop_set_number(p, prop, 64, value, e);
	case PROP_BOOL: return prop_set_bool(p, value, e);
	case PROP_STRING:
		copy = sys_strdup(value);
		if (!copy)
			return err_nomem(e, strlen(value), "a property");
		free(*(char **)p);
		*(char **)p = copy;
		return 0;
	case PROP_BACKEND:
		*(void **)p = vm_find_backend(d->vm, prop->backend, value);
		if (*(void **)p)
			return 0;
		return err_set(e, -ENOENT, "there is no %s named \"%s\"", prop->backend, value);
	}
	return err_set(e, -EINVAL, "property of an unknown kind");
}

int device_set(struct device *d, const char *name, const char *value, struct err *e)
{
	const struct prop *prop = prop_find(d->class, name);
	uint64_t v;
	int rc;

	if (prop) {
		rc = prop_set(d, prop, value, e);
	} else if (!strcmp(name, "addr") && class_n_io(d->class)) {
		rc = str_parse_u64(value, 0, UINT64_MAX - 1, &v, e);
		if (!rc)
			d->io_base[0] = v;
	} else if (!strcmp(name, "irq") && d->class->n_irqs) {
		rc = str_parse_u64(value, 0, UINT32_MAX, &v, e);
		if (!rc)
			rc = device_wire(d, 0, (unsigned)v, e);
	} else {
		return err_set(e, -ENOENT, "%s has no property \"%s\"", d->class->name, name);
	}
	return rc ? err_prefix(e, "%s: %s", d->class->name, name) : 0;
}

/* "class.N" with the lowest free N. */
static void auto_id(struct vm *vm, const struct device_class *class, char *id, size_t n)
{
	unsigned k = 0;

	do
		snprintf(id, n, "%.20s.%u", class->name, k++);
	while (device_find(vm, id));
}

int device_new(struct vm *vm, const struct device_class *class, const char *id, struct device **out,
	       struct err *e)
{
	struct device *d;
	int rc = 0;

	*out = NULL;
	if (id && (strlen(id) >= sizeof(d->id) || !*id))
		return err_set(e, -EINVAL, "\"%s\" is too long for the name of a device", id);
	if (id && device_find(vm, id))
		return err_set(e, -EEXIST, "there is a device \"%s\" already", id);
	d = sys_alloc(class->size);
	if (!d)
		return err_nomem(e, class->size, class->name);
	d->class = class;
	d->vm = vm;
	pthread_mutex_init(&d->lock, NULL);
	if (id)
		str_copy(d->id, sizeof(d->id), id);
	else
		auto_id(vm, class, d->id, sizeof(d->id));
	for (unsigned i = 0; i < DEVICE_IO_MAX; i++)
		d->io_base[i] = class->io[i].base ? class->io[i].base : DEVICE_NO_ADDR;
	list_add_tail(&vm->devices, &d->link);
	for (unsigned i = 0; i < class->n_props && !rc; i++)
		if (class->props[i].dflt)
			rc = prop_set(d, &class->props[i], class->props[i].dflt, e);
	if (rc) {
		device_free(d);
		return rc;
	}
	*out = d;
	return 0;
}

int device_wire(struct device *d, unsigned n, unsigned pin, struct err *e)
{
	BUG_ON(n >= DEVICE_IRQ_MAX);
	if (!d->vm->irqchip)
		return err_set(e, -ENXIO, "the machine has no interrupt controller");
	return irq_connect(d->vm->irqchip, pin, &d->irq[n], e);
}

void device_place(struct device *d, unsigned io, uint64_t base)
{
	BUG_ON(io >= DEVICE_IO_MAX || d->inited);
	d->io_base[io] = base;
}

static void unmap_windows(struct device *d, unsigned n)
{
	for (unsigned i = 0; i < n; i++)
		if (d->io_base[i] != DEVICE_NO_ADDR)
			(void)as_unmap(io_space(d, i), d->io_base[i], NULL);
}

int device_init(struct device *d, struct err *e)
{
	unsigned n = class_n_io(d->class), i = 0;
	int rc = d->class->init ? d->class->init(d, e) : 0;

	if (rc)
		goto out_free;
	d->inited = true;
	for (i = 0; i < n && !rc; i++)
		if (d->io_base[i] != DEVICE_NO_ADDR)
			rc = as_map_io(io_space(d, i), d->io_base[i], d, i, e);
	if (!rc) {
		device_reset(d);
		return 0;
	}
	unmap_windows(d, i - 1);
	for (i = 0; i < n; i++)
		d->io_base[i] = DEVICE_NO_ADDR;
out_free:
	err_prefix(e, "%s", d->id);
	device_free(d);
	return rc;
}

void device_free(struct device *d)
{
	if (!d)
		return;
	if (d->inited) {
		unmap_windows(d, class_n_io(d->class));
		if (d->class->exit)
			d->class->exit(d);
	}
	for (unsigned i = 0; i < d->class->n_props; i++)
		if (d->class->props[i].kind == PROP_STRING)
			free(*(char **)(void *)((uint8_t *)d + d->class->props[i].off));
	list_del(&d->link);
	pthread_mutex_destroy(&d->lock);
	free(d);
}

void device_reset(struct device *d)
{
	device_lock(d);
	if (d->class->state)
		state_reset(d->class->state, d);
	if (d->class->reset)
		d->class->reset(d);
	device_unlock(d);
}

struct device *device_find(struct vm *vm, const char *id)
{
	struct list *pos;

	list_for_each(pos, &vm->devices) {
		struct device *d = list_entry(pos, struct device, link);

		if (!strcmp(d->id, id))
			return d;
	}
	return NULL;
}

int device_command(struct device *d, const char *word, struct err *e)
{
	int rc;

	if (!d->class->command)
		return err_set(e, -EOPNOTSUPP, "%s takes no commands", d->id);
	device_lock(d);
	rc = d->class->command(d, word, e);
	device_unlock(d);
	return rc;
}

void device_lock(struct device *d)
{
	pthread_mutex_lock(&d->lock);
}

void device_unlock(struct device *d)
{
	pthread_mutex_unlock(&d->lock);
}

static void count(_Atomic uint64_t *n)
{
	uint64_t v = atomic_load_explicit(n, memory_order_relaxed);

	atomic_store_explicit(n, v + 1, memory_order_relaxed); /* device lock held */
}

/* The largest declared size that divides an access of @size at @off into whole pieces; 0: none. */
static unsigned piece_size(uint8_t sizes, uint64_t off, unsigned size)
{
	for (unsigned p = 8; p; p >>= 1)
		if ((sizes & p) && p <= size && size % p == 0 && off % p == 0)
			return p;
	return 0;
}

enum io_result device_read(struct device *d, unsigned io, uint64_t off, unsigned size,
			   uint64_t *val)
{
	const struct io_ops *ops = &d->class->io[io];
	unsigned piece = piece_size(ops->sizes, off, size);
	uint64_t v = 0;

	device_lock(d);
	count(&d->reads);
	if (!piece) {
		device_unlock(d);
		guest_err(d, "read of %u bytes at offset 0x%llx is not a size it takes", size,
			  (unsigned long long)off);
		*val = size >= 8 ? UINT64_MAX : (UINT64_C(1) << size * 8) - 1;
		return IO_REFUSED;
	}
	for (unsigned i = 0; i < size; i += piece) {
		uint64_t one = ops->read(d, off + i, piece);

		if (piece < 8)
			one &= (UINT64_C(1) << piece * 8) - 1;
		v |= one << i * 8;
	}
	device_unlock(d);
	TRACE(io_read, "%s[%u]+0x%llx/%u = 0x%llx", d->id, io, (unsigned long long)off, size,
	      (unsigned long long)v);
	*val = v;
	return IO_OK;
}

enum io_result device_write(struct device *d, unsigned io, uint64_t off, unsigned size,
			    uint64_t val)
{
	const struct io_ops *ops = &d->class->io[io];
	unsigned piece = piece_size(ops->sizes, off, size);

	TRACE(io_write, "%s[%u]+0x%llx/%u := 0x%llx", d->id, io, (unsigned long long)off, size,
	      (unsigned long long)val);
	device_lock(d);
	count(&d->writes);
	if (!piece) {
		device_unlock(d);
		guest_err(d, "write of %u bytes at offset 0x%llx is not a size it takes", size,
			  (unsigned long long)off);
		return IO_REFUSED;
	}
	for (unsigned i = 0; i < size; i += piece) {
		uint64_t one = val >> i * 8;

		if (piece < 8)
			one &= (UINT64_C(1) << piece * 8) - 1;
		ops->write(d, off + i, piece, one);
	}
	device_unlock(d);
	return IO_OK;
}

void guest_err(struct device *d, const char *fmt, ...)
{
	char text[200];
	uint64_t missed;
	va_list ap;

	va_start(ap, fmt);
	vsnprintf(text, sizeof(text), fmt, ap);
	va_end(ap);
	atomic_fetch_add_explicit(&d->guest_errors, 1, memory_order_relaxed);
	TRACE(guest_err, "%s: %s", d->id, text);
	if (!ratelimit_ok(&d->guest_err_limit, 3, &missed))
		return;
	if (missed)
		log_debug("%s: guest error: %s (and %llu more before it)", d->id, text,
			  (unsigned long long)missed);
	else
		log_debug("%s: guest error: %s", d->id, text);
}
