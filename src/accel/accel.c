/*
 * accel/accel.c - the accelerators of this build.
 */
#include <stdarg.h>
#include <stdio.h>
#include <string.h>

#include "accel/list.h"
#include "base/str.h"

const struct accel_ops *const accel_list[] = {
#define ACCEL(name) &accel_##name,
#include "accel/accels.def"
#undef ACCEL
	NULL,
};

const struct accel_ops *accel_find(const char *name)
{
	for (size_t i = 0; accel_list[i]; i++)
		if (!strcmp(accel_list[i]->name, name))
			return accel_list[i];
	return NULL;
}

void accel_fact(struct accel_report *r, const char *key, const char *fmt, ...)
{
	struct accel_fact *f = &r->facts[r->n_facts];
	va_list ap;

	if (r->n_facts == ACCEL_FACTS_MAX)
		return;
	str_copy(f->key, sizeof(f->key), key);
	va_start(ap, fmt);
	vsnprintf(f->value, sizeof(f->value), fmt, ap);
	va_end(ap);
	r->n_facts++;
}
