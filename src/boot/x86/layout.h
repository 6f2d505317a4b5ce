/*
 * boot/x86/layout.h - who takes which piece of RAM while a guest is loaded.
 *
 * Starts with all RAM of a memory map free.  Kernel segments are taken where they must be;
 * everything else is put into what is left, lowest or highest first.
 */
#ifndef LODGE_BOOT_X86_LAYOUT_H
#define LODGE_BOOT_X86_LAYOUT_H

#include "boot/x86/memmap.h"

#define LAYOUT_MAX 128

struct layout {
	const struct memmap *map;
	struct {
		gpa_t addr, end;
	} taken[LAYOUT_MAX];
	unsigned n;
};

/* Page 0 is taken from the start: the BIOS data area, and no address is 0. */
void layout_init(struct layout *l, const struct memmap *map);

/* Takes a fixed range.  -EEXIST if a part of it is taken, -ENOSPC if it is not all RAM. */
int layout_take(struct layout *l, gpa_t addr, uint64_t len) MUST_CHECK;

/*
 * Finds and takes @len bytes within [min, end) at a multiple of @align, a power of two: the lowest
 * or the highest place.  0 if there is none.
 */
gpa_t layout_low(struct layout *l, uint64_t len, uint64_t align, gpa_t min, gpa_t end);
gpa_t layout_high(struct layout *l, uint64_t len, uint64_t align, gpa_t min, gpa_t end);

#endif
