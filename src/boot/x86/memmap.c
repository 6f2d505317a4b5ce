/*
 * boot/x86/memmap.c - the memory map of a PC.
 */
#include "boot/x86/memmap.h"

#include <errno.h>
#include <string.h>

static uint64_t entry_end(const struct memmap_entry *e)
{
	return e->addr + e->len;
}

/* Appends to @out, joined with its last entry where that touches and has the same type. */
static int append(struct memmap_entry *out, unsigned *n, gpa_t addr, gpa_t end,
		  enum memmap_type type)
{
	if (addr >= end)
		return 0;
	if (*n && entry_end(&out[*n - 1]) == addr && out[*n - 1].type == type) {
		out[*n - 1].len += end - addr;
		return 0;
	}
	if (*n == MEMMAP_ENTRIES_MAX)
		return -ENOSPC;
	out[(*n)++] = (struct memmap_entry){addr, end - addr, type};
	return 0;
}

int memmap_set(struct memmap *m, gpa_t addr, uint64_t len, enum memmap_type type)
{
	struct memmap_entry out[MEMMAP_ENTRIES_MAX];
	gpa_t end = addr + len;
	bool placed = false;
	unsigned n = 0;
	int r = 0;

	if (len == 0)
		return 0;
	for (unsigned i = 0; i < m->n && !r; i++) {
		const struct memmap_entry *o = &m->e[i];

		r = append(out, &n, o->addr, MIN(entry_end(o), addr), o->type);
		if (!r && !placed && entry_end(o) > addr) {
			r = append(out, &n, addr, end, type);
			placed = true;
		}
		if (!r)
			r = append(out, &n, MAX(o->addr, end), entry_end(o), o->type);
	}
	if (!r && !placed)
		r = append(out, &n, addr, end, type);
	if (r)
		return r;
	memcpy(m->e, out, n * sizeof(out[0]));
	m->n = n;
	return 0;
}

void memmap_init(struct memmap *m, uint64_t ram)
{
	*m = (struct memmap){.bios_next = MEMMAP_BIOS};
	m->ram = ALIGN_DOWN(ram, (uint64_t)GUEST_PAGE);
	m->low = MIN(m->ram, MEMMAP_HOLE_START);
	m->high = m->ram - m->low;
	m->e[m->n++] = (struct memmap_entry){0, MIN(m->low, MEMMAP_EBDA), MEMMAP_RAM};
	if (m->low > MEMMAP_EBDA)
		m->e[m->n++] =
			(struct memmap_entry){MEMMAP_EBDA, 0xa0000 - MEMMAP_EBDA, MEMMAP_RESERVED};
	if (m->low >= MEMMAP_BIOS_END)
		m->e[m->n++] = (struct memmap_entry){MEMMAP_BIOS, MEMMAP_BIOS_END - MEMMAP_BIOS,
						     MEMMAP_RESERVED};
	if (m->low > MEMMAP_BIOS_END)
		m->e[m->n++] = (struct memmap_entry){MEMMAP_BIOS_END, m->low - MEMMAP_BIOS_END,
						     MEMMAP_RAM};
	if (m->high)
		m->e[m->n++] = (struct memmap_entry){MEMMAP_HOLE_END, m->high, MEMMAP_RAM};
}

gpa_t memmap_alloc_bios(struct memmap *m, uint64_t len, uint64_t align, gpa_t min)
{
	gpa_t addr = ALIGN_UP(MAX(m->bios_next, min), align);

	if (m->low < MEMMAP_BIOS_END || len > MEMMAP_BIOS_END - MEMMAP_BIOS ||
	    addr > MEMMAP_BIOS_END - len)
		return 0;
	m->bios_next = addr + len;
	return addr;
}

gpa_t memmap_alloc_top(struct memmap *m, uint64_t len, uint64_t align, enum memmap_type type)
{
	for (unsigned i = m->n; i-- > 0;) {
		const struct memmap_entry *o = &m->e[i];
		gpa_t addr;

		if (o->type != MEMMAP_RAM || o->addr < MEMMAP_BIOS_END ||
		    o->addr >= MEMMAP_HOLE_START)
			continue;
		if (len == 0 || len > o->len)
			continue;
		addr = ALIGN_DOWN(entry_end(o) - len, align);
		if (addr < o->addr)
			continue;
		/* Whole pages: the guest's RAM ends at a page. */
		len = ALIGN_UP(addr + len, (uint64_t)GUEST_PAGE) -
		      ALIGN_DOWN(addr, (uint64_t)GUEST_PAGE);
		if (memmap_set(m, ALIGN_DOWN(addr, (uint64_t)GUEST_PAGE), len, type))
			return 0;
		return addr;
	}
	return 0;
}

bool memmap_is_ram(const struct memmap *m, gpa_t addr, uint64_t len)
{
	for (unsigned i = 0; i < m->n; i++) {
		const struct memmap_entry *o = &m->e[i];

		if (o->type == MEMMAP_RAM && addr >= o->addr && addr - o->addr <= o->len)
			return len <= o->len - (addr - o->addr);
	}
	return false;
}
