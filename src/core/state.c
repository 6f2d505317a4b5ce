/*
 * core/state.c - everything that follows from a state table.  The saved form is in core/state.h.
 *
 * A load is two passes over the same bytes.  The first proves that the second cannot fail; the
 * second writes.  Both walk with struct cursor, which never steps past its end.
 */
#include <errno.h>
#include <string.h>

#include "base/endian.h"
#include "core/state.h"

#define FIELD_NAME_MAX 63u

struct cursor {
	const uint8_t *p;
	size_t left;
};

/* The next @n bytes, or NULL. */
static const uint8_t *take(struct cursor *c, size_t n)
{
	const uint8_t *p = c->p;

	if (n > c->left)
		return NULL;
	c->p += n;
	c->left -= n;
	return p;
}

static unsigned elems(const struct field *f)
{
	return f->kind == FIELD_TIMER ? 1 : f->total / f->elem;
}

/* How many elements of @f are in use in @obj. */
static unsigned used(const struct field *f, const void *obj)
{
	uint32_t n;

	if (!f->count_off)
		return elems(f);
	memcpy(&n, (const uint8_t *)obj + f->count_off - 1, sizeof(n));
	return MIN(n, elems(f));
}

static uint64_t uint_get(const void *p, unsigned size)
{
	uint8_t v8;
	uint16_t v16;
	uint32_t v32;
	uint64_t v64;

	switch (size) {
	case 1: memcpy(&v8, p, 1); return v8;
	case 2: memcpy(&v16, p, 2); return v16;
	case 4: memcpy(&v32, p, 4); return v32;
	default: memcpy(&v64, p, 8); return v64;
	}
}

static void uint_put(void *p, unsigned size, uint64_t v)
{
	uint8_t v8 = (uint8_t)v;
	uint16_t v16 = (uint16_t)v;
	uint32_t v32 = (uint32_t)v;

	switch (size) {
	case 1: memcpy(p, &v8, 1); break;
	case 2: memcpy(p, &v16, 2); break;
	case 4: memcpy(p, &v32, 4); break;
	default: memcpy(p, &v, 8); break;
	}
}

/* Integers of the saved form: little-endian, @size bytes. */
static uint64_t wire_get(const uint8_t *p, unsigned size)
{
	uint64_t v = 0;

	for (unsigned i = size; i-- > 0;)
		v = v << 8 | p[i];
	return v;
}

static void wire_add(struct strbuf *b, uint64_t v, unsigned size)
{
	uint8_t le[8];

	le64_store(le, v);
	strbuf_add_bytes(b, le, size);
}

static uint8_t *member(const struct field *f, void *obj, unsigned i)
{
	return (uint8_t *)obj + f->off + (size_t)i * f->elem;
}

static const uint8_t *cmember(const struct field *f, const void *obj, unsigned i)
{
	return (const uint8_t *)obj + f->off + (size_t)i * f->elem;
}

static void reset_fields(const struct state_table *t, void *obj, bool kept_too)
{
	for (unsigned k = 0; k < t->n; k++) {
		const struct field *f = &t->fields[k];

		if (f->keep && !kept_too)
			continue;
		if (!f->reset && (f->kind == FIELD_UINT || f->kind == FIELD_BOOL)) {
			memset(member(f, obj, 0), 0, f->total); /* some are kilobytes of them */
			continue;
		}
		for (unsigned i = 0; i < elems(f); i++) {
			uint8_t *p = member(f, obj, i);

			if (f->kind == FIELD_TABLE)
				reset_fields(f->sub, p, kept_too);
			else if (f->kind == FIELD_TIMER)
				timer_cancel((struct timer *)(void *)p);
			else
				uint_put(p, f->elem, f->reset);
		}
	}
}

void state_reset(const struct state_table *t, void *obj)
{
	reset_fields(t, obj, false);
}

static void save_value(const struct field *f, const void *obj, struct strbuf *out)
{
	for (unsigned i = 0; i < used(f, obj); i++) {
		const uint8_t *p = cmember(f, obj, i);

		if (f->kind == FIELD_TABLE) {
			struct strbuf sub = {0};

			state_save(f->sub, p, &sub);
			out->failed |= sub.failed;
			wire_add(out, sub.len, 4);
			strbuf_add_bytes(out, sub.s, sub.len);
			strbuf_exit(&sub);
		} else if (f->kind == FIELD_TIMER) {
			wire_add(out, ((const struct timer *)(const void *)p)->entry.when, 8);
		} else {
			wire_add(out, uint_get(p, f->elem), f->elem);
		}
	}
}

void state_save(const struct state_table *t, const void *obj, struct strbuf *out)
{
	for (unsigned k = 0; k < t->n; k++) {
		const struct field *f = &t->fields[k];
		struct strbuf value = {0};

		BUG_ON(strlen(f->name) > FIELD_NAME_MAX);
		save_value(f, obj, &value);
		out->failed |= value.failed;
		wire_add(out, strlen(f->name), 1);
		strbuf_add(out, f->name);
		wire_add(out, value.len, 4);
		strbuf_add_bytes(out, value.s, value.len);
		strbuf_exit(&value);
	}
}

/* Reads one {name, bytes} pair: the field it names and a cursor over its bytes. */
static int next_field(const struct state_table *t, struct cursor *c, const struct field **f,
		      struct cursor *value, struct err *e)
{
	const uint8_t *len = take(c, 1), *name = len ? take(c, *len) : NULL;
	const uint8_t *size = name ? take(c, 4) : NULL;

	if (!size)
		return err_set(e, -EINVAL, "%s: the saved state is cut off", t->name);
	value->left = le32_load(size);
	value->p = take(c, value->left);
	if (!value->p)
		return err_set(e, -EINVAL, "%s: field \"%.*s\" is longer than the saved state",
			       t->name, *len, (const char *)name);
	for (unsigned k = 0; k < t->n; k++)
		if (strlen(t->fields[k].name) == *len && !memcmp(t->fields[k].name, name, *len)) {
			*f = &t->fields[k];
			return 0;
		}
	return err_set(e, -EINVAL, "%s has no field \"%.*s\"", t->name, MIN(*len, 63),
		       (const char *)name);
}

static int check_uint(const struct state_table *t, const struct field *f, const uint8_t *p,
		      struct err *e)
{
	uint64_t v = wire_get(p, f->elem);
	uint64_t max = f->kind == FIELD_BOOL ? 1 : f->max ? f->max : UINT64_MAX;

	if (v <= max)
		return 0;
	return err_set(e, -ERANGE, "%s.%s: 0x%llx is over its limit of 0x%llx", t->name, f->name,
		       (unsigned long long)v, (unsigned long long)max);
}

static int check_fields(const struct state_table *t, unsigned version, struct cursor c,
			struct err *e);

/* Checks the bytes of one field; *n gets how many elements they hold. */
static int check_value(const struct state_table *t, const struct field *f, unsigned version,
		       struct cursor v, uint64_t *n, struct err *e)
{
	unsigned elem = f->kind == FIELD_TIMER ? 8 : f->elem;
	int rc = 0;

	*n = 0;
	while (v.left && !rc) {
		const uint8_t *p;

		if (++*n > elems(f))
			return err_set(e, -ERANGE, "%s.%s has more than its %u elements", t->name,
				       f->name, elems(f));
		if (f->kind == FIELD_TABLE) {
			const uint8_t *size = take(&v, 4);

			p = size ? take(&v, le32_load(size)) : NULL;
			if (p)
				rc = check_fields(f->sub, version,
						  (struct cursor){p, le32_load(size)}, e);
			if (p && rc)
				err_prefix(e, "%s.%s", t->name, f->name);
		} else {
			p = take(&v, elem);
			if (p && f->kind != FIELD_TIMER)
				rc = check_uint(t, f, p, e);
		}
		if (!p)
			return err_set(e, -EINVAL,
				       "%s.%s: its size is not a whole number of elements", t->name,
				       f->name);
	}
	if (!rc && !f->count_off && *n != elems(f))
		return err_set(e, -EINVAL, "%s.%s has %llu elements instead of %u", t->name,
			       f->name, (unsigned long long)*n, elems(f));
	return rc;
}

/* The field that counts the elements of vector @f. */
static unsigned counter_of(const struct state_table *t, const struct field *f)
{
	for (unsigned k = 0; k < t->n; k++)
		if (t->fields[k].off == f->count_off - 1)
			return k;
	BUG_ON("a counted vector without its counter in the table");
}

#define FIELDS_MAX 128u

static int check_fields(const struct state_table *t, unsigned version, struct cursor c,
			struct err *e)
{
	bool seen[FIELDS_MAX] = {false};
	uint64_t count[FIELDS_MAX] = {0}, first[FIELDS_MAX] = {0};

	BUG_ON(t->n > FIELDS_MAX);
	while (c.left) {
		const struct field *f;
		struct cursor v;
		int rc = next_field(t, &c, &f, &v, e);
		size_t k;

		if (rc)
			return rc;
		k = (size_t)(f - t->fields);
		if (seen[k])
			return err_set(e, -EINVAL, "%s.%s is there twice", t->name, f->name);
		seen[k] = true;
		rc = check_value(t, f, version, v, &count[k], e);
		if (rc)
			return rc;
		if (f->kind == FIELD_UINT && v.left >= f->elem)
			first[k] = wire_get(v.p, f->elem);
	}
	for (unsigned k = 0; k < t->n; k++) {
		const struct field *f = &t->fields[k];

		if (!seen[k] && f->since <= version)
			return err_set(e, -EINVAL, "%s.%s is missing", t->name, f->name);
		if (seen[k] && f->count_off && count[k] != first[counter_of(t, f)])
			return err_set(e, -EINVAL, "%s.%s: %llu elements, but %s says %llu",
				       t->name, f->name, (unsigned long long)count[k],
				       t->fields[counter_of(t, f)].name,
				       (unsigned long long)first[counter_of(t, f)]);
	}
	return 0;
}

int state_check(const struct state_table *t, unsigned version, const void *data, size_t len,
		struct err *e)
{
	if (version > t->version)
		return err_set(e, -EINVAL,
			       "%s: saved by a newer Lodge (version %u, this one knows %u)",
			       t->name, version, t->version);
	return check_fields(t, version, (struct cursor){data, len}, e);
}

static void commit(const struct state_table *t, void *obj, struct cursor c);

static void commit_value(const struct field *f, void *obj, struct cursor v)
{
	for (unsigned i = 0; v.left; i++) {
		uint8_t *p = member(f, obj, i);

		if (f->kind == FIELD_TABLE) {
			uint32_t n = le32_load(take(&v, 4));
			struct cursor sub = {take(&v, n), n};

			commit(f->sub, p, sub);
		} else if (f->kind == FIELD_TIMER) {
			struct timer *timer = (struct timer *)(void *)p;
			uint64_t when = le64_load(take(&v, 8));

			if (when == TIMERQ_NEVER)
				timer_cancel(timer);
			else
				timer_arm(timer, when);
		} else {
			uint_put(p, f->elem, wire_get(take(&v, f->elem), f->elem));
		}
	}
}

/* Second pass: the bytes are known to be good. */
static void commit(const struct state_table *t, void *obj, struct cursor c)
{
	reset_fields(t, obj, true);
	while (c.left) {
		const struct field *f;
		struct cursor v;

		BUG_ON(next_field(t, &c, &f, &v, NULL)); /* state_check has accepted them */
		commit_value(f, obj, v);
	}
}

int state_load(const struct state_table *t, unsigned version, void *obj, const void *data,
	       size_t len, struct err *e)
{
	int rc = state_check(t, version, data, len, e);

	if (!rc)
		commit(t, obj, (struct cursor){data, len});
	return rc;
}

static void show_field(const struct field *f, const void *obj, unsigned indent, struct strbuf *out)
{
	if (f->kind == FIELD_TABLE) {
		for (unsigned i = 0; i < used(f, obj); i++) {
			strbuf_printf(out, "%*s%s[%u]:\n", (int)indent, "", f->name, i);
			state_show(f->sub, cmember(f, obj, i), indent + 2, out);
		}
		return;
	}
	strbuf_printf(out, "%*s%s =", (int)indent, "", f->name);
	if (f->kind == FIELD_TIMER) {
		const struct timer *t = (const struct timer *)(const void *)cmember(f, obj, 0);

		if (timer_pending(t))
			strbuf_printf(out, " due at %llu ns", (unsigned long long)t->entry.when);
		else
			strbuf_add(out, " off");
	} else {
		for (unsigned i = 0; i < used(f, obj); i++)
			strbuf_printf(out, " %llx",
				      (unsigned long long)uint_get(cmember(f, obj, i), f->elem));
	}
	strbuf_add(out, "\n");
}

void state_show(const struct state_table *t, const void *obj, unsigned indent, struct strbuf *out)
{
	for (unsigned k = 0; k < t->n; k++)
		show_field(&t->fields[k], obj, indent, out);
}

unsigned state_diff(const struct state_table *t, const void *a, const void *b, struct strbuf *out)
{
	unsigned n = 0;

	for (unsigned k = 0; k < t->n; k++) {
		const struct field *f = &t->fields[k];
		struct strbuf va = {0}, vb = {0};

		show_field(f, a, 0, &va);
		show_field(f, b, 0, &vb);
		if (strcmp(strbuf_str(&va), strbuf_str(&vb)) != 0) {
			n++;
			strbuf_printf(out, "%s.- %s%s.+ %s", t->name, strbuf_str(&va), t->name,
				      strbuf_str(&vb));
		}
		strbuf_exit(&va);
		strbuf_exit(&vb);
	}
	return n;
}

void state_random(const struct state_table *t, void *obj, uint64_t (*next)(void *arg), void *arg)
{
	for (unsigned k = 0; k < t->n; k++) {
		const struct field *f = &t->fields[k];

		for (unsigned i = 0; i < elems(f); i++) {
			uint8_t *p = member(f, obj, i);
			uint64_t v = next(arg);

			if (f->kind == FIELD_TABLE)
				state_random(f->sub, p, next, arg);
			else if (f->kind == FIELD_TIMER && (v & 1))
				timer_arm((struct timer *)(void *)p, v >> 40);
			else if (f->kind == FIELD_TIMER)
				timer_cancel((struct timer *)(void *)p);
			else if (f->kind == FIELD_BOOL)
				uint_put(p, 1, v & 1);
			else
				uint_put(p, f->elem,
					 f->max && f->max != UINT64_MAX ? v % (f->max + 1) : v);
		}
	}
}
