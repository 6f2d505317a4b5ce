/*
 * core/vmstate.c - the state of a whole VM as named sections.
 *
 * Each section is a header and the field list of one state table.  A load is all or nothing: first
 * every section is matched with its object and checked, then all are committed; only what spans
 * fields (a device's loaded()) can still fail after that, and then the VM must be reset or freed.
 */
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/endian.h"
#include "base/sys.h"
#include "core/vcpu_private.h"
#include "core/vm.h"

/* VM time, as a table of its own. */
struct vm_time {
	uint64_t now;
};
/* 146 years: a device may add any timeout it knows without looking for an overflow. */
static const struct field time_fields[] = {FIELD(struct vm_time, now, .max = INT64_MAX / 2)};
static const struct state_table time_table = STATE_TABLE("vm-time", 1, time_fields);

struct section {
	char name[64], id[64];
	unsigned version;
	const uint8_t *data;
	uint32_t len;
};

static void add_section(struct strbuf *out, const struct state_table *t, const char *id,
			const void *obj)
{
	struct strbuf body = {0};
	uint8_t head[10];
	uint8_t n = (uint8_t)strlen(t->name), m = (uint8_t)strlen(id);

	state_save(t, obj, &body);
	out->failed |= body.failed;
	strbuf_add_bytes(out, &n, 1);
	strbuf_add(out, t->name);
	strbuf_add_bytes(out, &m, 1);
	strbuf_add(out, id);
	le16_store(head, t->version);
	le32_store(head + 2, (uint32_t)body.len);
	le32_store(head + 6, str_crc32(0, body.s, body.len));
	strbuf_add_bytes(out, head, sizeof(head));
	strbuf_add_bytes(out, body.s, body.len);
	strbuf_exit(&body);
}

int vm_save_state(struct vm *vm, struct strbuf *out, struct err *e)
{
	struct vm_time time = {.now = clock_now(&vm->clock)};
	struct list *pos;
	int rc = 0;

	BUG_ON(vm->phase == VM_RUNNING);
	list_for_each(pos, &vm->devices) {
		struct device *d = list_entry(pos, struct device, link);

		if (d->class->unmigratable)
			return err_set(e, -EOPNOTSUPP, "%s cannot be saved: %s", d->id,
				       d->class->unmigratable);
	}
	add_section(out, &time_table, "0", &time);
	if (vm->accel->chips_get)
		rc = vm->accel->chips_get(vm, e);
	if (!rc && vm->chips)
		add_section(out, vm->arch->chips, "0", vm->chips);
	for (unsigned i = 0; i < vm->n_vcpus && !rc; i++) {
		char id[16];

		rc = vcpu_get_state(&vm->vcpus[i], e);
		snprintf(id, sizeof(id), "%u", i);
		if (!rc)
			add_section(out, vm->arch->vcpu_state, id, vm->vcpus[i].state);
	}
	if (rc)
		return rc;
	list_for_each(pos, &vm->devices) {
		struct device *d = list_entry(pos, struct device, link);

		if (!d->class->state)
			continue;
		device_lock(d);
		add_section(out, d->class->state, d->id, d);
		device_unlock(d);
	}
	return out->failed ? err_nomem(e, out->len, "the saved state") : 0;
}

/* The object and table that a section is about. */
static int find_object(struct vm *vm, const struct section *s, void *time, void **obj,
		       const struct state_table **t, struct device **dev, struct err *e)
{
	*dev = NULL;
	*obj = NULL;
	*t = NULL;
	if (!strcmp(s->name, time_table.name)) {
		*t = &time_table;
		*obj = time;
	} else if (vm->arch->chips && !strcmp(s->name, vm->arch->chips->name)) {
		*t = vm->arch->chips;
		*obj = vm->chips;
	} else if (!strcmp(s->name, vm->arch->vcpu_state->name)) {
		uint64_t i;

		*t = vm->arch->vcpu_state;
		if (str_parse_u64(s->id, 0, vm->n_vcpus - 1, &i, e))
			return err_prefix(e, "%s", s->name);
		*obj = vm->vcpus[i].state;
	} else {
		struct device *d = device_find(vm, s->id);

		if (d && d->class->state && !strcmp(d->class->state->name, s->name)) {
			*t = d->class->state;
			*obj = d;
			*dev = d;
		}
	}
	if (!*obj)
		return err_set(e, -ENOENT, "the machine has no %s \"%s\"", s->name, s->id);
	return 0;
}

static bool take(const uint8_t **p, size_t *left, size_t n, const uint8_t **out)
{
	if (n > *left)
		return false;
	*out = *p;
	*p += n;
	*left -= n;
	return true;
}

/* Cuts the next section off; checks lengths and CRC. */
static int next_section(const uint8_t **p, size_t *left, struct section *s, struct err *e)
{
	const uint8_t *q;
	char *dst[2] = {s->name, s->id};

	for (unsigned i = 0; i < 2; i++) {
		size_t n;

		if (!take(p, left, 1, &q))
			goto cut;
		n = *q;
		if (n > 63 || !take(p, left, n, &q))
			goto cut;
		memcpy(dst[i], q, n);
		dst[i][n] = 0;
	}
	if (!take(p, left, 10, &q))
		goto cut;
	s->version = le16_load(q);
	s->len = le32_load(q + 2);
	if (!take(p, left, s->len, &s->data))
		goto cut;
	if (str_crc32(0, s->data, s->len) != le32_load(q + 6))
		return err_set(e, -EBADMSG, "section %s \"%s\" is damaged (CRC)", s->name, s->id);
	return 0;
cut:
	return err_set(e, -EINVAL, "the saved state is cut off");
}

/* How many sections this VM must get: a state that leaves one out is refused. */
static unsigned sections_expected(struct vm *vm)
{
	unsigned n = 1 + (vm->chips != NULL) + vm->n_vcpus;
	struct list *pos;

	list_for_each(pos, &vm->devices)
		n += list_entry(pos, struct device, link)->class->state != NULL;
	return n;
}

/* One pass over all sections: checking, or committing what was checked. */
static int walk(struct vm *vm, const uint8_t *p, size_t left, bool do_commit, struct err *e)
{
	struct vm_time time = {0};
	void **seen = sys_alloc_array(sections_expected(vm), sizeof(*seen));
	unsigned n = 0;
	int rc = 0;

	if (!seen)
		return err_nomem(e, sizeof(*seen), "loading a state");
	while (left && !rc) {
		const struct state_table *t;
		struct section s;
		struct device *dev;
		void *obj;

		rc = next_section(&p, &left, &s, e);
		if (!rc)
			rc = find_object(vm, &s, &time, &obj, &t, &dev, e);
		for (unsigned i = 0; i < n && !rc; i++)
			if (seen[i] == obj)
				rc = err_set(e, -EEXIST, "section %s \"%s\" is there twice", s.name,
					     s.id);
		if (rc)
			break;
		if (n == sections_expected(vm)) {
			rc = err_set(e, -EINVAL, "the saved state has too many sections");
			break;
		}
		seen[n++] = obj;
		if (!do_commit) {
			rc = state_check(t, s.version, s.data, s.len, e);
			continue;
		}
		if (dev)
			device_lock(dev);
		rc = state_load(t, s.version, obj, s.data, s.len, e);
		if (dev)
			device_unlock(dev);
	}
	if (!rc && n != sections_expected(vm))
		rc = err_set(e, -EINVAL, "the saved state has %u of %u sections", n,
			     sections_expected(vm));
	if (!rc && do_commit)
		clock_set(&vm->clock, time.now);
	free(seen);
	return rc;
}

int vm_load_state(struct vm *vm, const void *data, size_t len, struct err *e)
{
	struct list *pos;
	int rc;

	BUG_ON(vm->phase == VM_RUNNING);
	rc = vm_settle(vm, e);
	if (!rc)
		rc = walk(vm, data, len, false, e);
	if (!rc)
		rc = walk(vm, data, len, true, e);
	for (unsigned i = 0; i < vm->n_vcpus && !rc; i++)
		rc = vcpu_put_state(&vm->vcpus[i], e);
	if (!rc && vm->chips && vm->accel->chips_put)
		rc = vm->accel->chips_put(vm, e);
	if (rc)
		return rc;
	list_for_each(pos, &vm->devices) {
		struct device *d = list_entry(pos, struct device, link);

		if (!d->class->loaded)
			continue;
		device_lock(d);
		rc = d->class->loaded(d, e);
		device_unlock(d);
		if (rc)
			return err_prefix(e, "%s", d->id);
	}
	return 0;
}
