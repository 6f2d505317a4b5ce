/*
 * boot/x86/layout.c - who takes which piece of RAM.
 */
#include "boot/x86/layout.h"

#include <errno.h>

void layout_init(struct layout *l, const struct memmap *map)
{
	*l = (struct layout){.map = map, .n = 1};
	l->taken[0].end = GUEST_PAGE;
}

/* The taken range that meets [addr, end), or -1. */
static int conflict(const struct layout *l, gpa_t addr, gpa_t end)
{
	for (unsigned i = 0; i < l->n; i++) {
		if (l->taken[i].addr < end && addr < l->taken[i].end)
			return (int)i;
	}
	return -1;
}

static bool note(struct layout *l, gpa_t addr, gpa_t end)
{
	if (l->n == LAYOUT_MAX)
		return false;
	l->taken[l->n].addr = addr;
	l->taken[l->n++].end = end;
	return true;
}

int layout_take(struct layout *l, gpa_t addr, uint64_t len)
{
	if (!memmap_is_ram(l->map, addr, len))
		return -ENOSPC;
	if (conflict(l, addr, addr + len) >= 0)
		return -EEXIST;
	return note(l, addr, addr + len) ? 0 : -ENOSPC;
}

/* Every round passes one taken range, so there are at most LAYOUT_MAX + 1. */
static gpa_t lowest_in(const struct layout *l, uint64_t len, uint64_t align, gpa_t min, gpa_t end)
{
	gpa_t at = ALIGN_UP(min, align);
	int c;

	while (at < end && len <= end - at) {
		c = conflict(l, at, at + len);
		if (c < 0)
			return at;
		at = ALIGN_UP(l->taken[c].end, align);
	}
	return 0;
}

static gpa_t highest_in(const struct layout *l, uint64_t len, uint64_t align, gpa_t min, gpa_t end)
{
	int c;

	while (end > min && len <= end - min) {
		gpa_t at = ALIGN_DOWN(end - len, align);

		if (at < min)
			break;
		c = conflict(l, at, at + len);
		if (c < 0)
			return at;
		end = l->taken[c].addr;
	}
	return 0;
}

gpa_t layout_low(struct layout *l, uint64_t len, uint64_t align, gpa_t min, gpa_t end)
{
	for (unsigned i = 0; i < l->map->n && len; i++) {
		const struct memmap_entry *o = &l->map->e[i];
		gpa_t at;

		if (o->type != MEMMAP_RAM)
			continue;
		at = lowest_in(l, len, align, MAX(min, o->addr), MIN(end, o->addr + o->len));
		if (at)
			return note(l, at, at + len) ? at : 0;
	}
	return 0;
}

gpa_t layout_high(struct layout *l, uint64_t len, uint64_t align, gpa_t min, gpa_t end)
{
	for (unsigned i = l->map->n; i-- > 0 && len;) {
		const struct memmap_entry *o = &l->map->e[i];
		gpa_t at;

		if (o->type != MEMMAP_RAM)
			continue;
		at = highest_in(l, len, align, MAX(min, o->addr), MIN(end, o->addr + o->len));
		if (at)
			return note(l, at, at + len) ? at : 0;
	}
	return 0;
}
