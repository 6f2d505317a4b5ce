/*
 * boot/x86/memmap.h - the memory map of a PC: what the guest is told about its physical memory.
 *
 *	0         639 KiB   RAM; page 0 holds the BIOS data area, boot data goes behind it
 *	639 KiB   640 KiB   reserved: extended BIOS data area
 *	640 KiB   896 KiB   not listed: legacy video memory and option ROMs
 *	896 KiB   1 MiB     reserved: tables with anchors that are searched for here (RSDP, SMBIOS)
 *	1 MiB     3 GiB     RAM, as far as there is any
 *	3 GiB     4 GiB     PCI hole: devices, interrupt controllers
 *	4 GiB               the rest of the RAM
 *
 * One struct serves all: E820 of Linux, the map of PVH, the map of multiboot, and the machine,
 * which maps its RAM blocks from the same two numbers.
 */
#ifndef LODGE_BOOT_X86_MEMMAP_H
#define LODGE_BOOT_X86_MEMMAP_H

#include "core/mem.h"

/* Types as in ACPI 6.5 §15, table 15.1. */
enum memmap_type {
	MEMMAP_RAM = 1,
	MEMMAP_RESERVED = 2,
	MEMMAP_ACPI = 3, /* tables; RAM once the guest has read them */
	MEMMAP_ACPI_NVS = 4,
	MEMMAP_UNUSABLE = 5,
};

#define MEMMAP_HOLE_START  UINT64_C(0xc0000000) /* RAM below 4 GiB ends here at the latest */
#define MEMMAP_HOLE_END	   UINT64_C(0x100000000)
#define MEMMAP_EBDA	   0x9fc00u
#define MEMMAP_BIOS	   0xe0000u
#define MEMMAP_BIOS_END	   0x100000u
#define MEMMAP_ENTRIES_MAX 64

struct memmap_entry {
	gpa_t addr;
	uint64_t len;
	enum memmap_type type;
};

struct memmap {
	struct memmap_entry e[MEMMAP_ENTRIES_MAX]; /* ascending, none overlap, none empty */
	unsigned n;
	uint64_t ram;	    /* bytes of RAM of the VM */
	uint64_t low, high; /* bytes of it below the hole and above 4 GiB */
	gpa_t bios_next;    /* next free byte of the BIOS range */
};

/* The map of a PC with @ram bytes, rounded down to whole pages; at least one page. */
void memmap_init(struct memmap *m, uint64_t ram);

/*
 * Makes [addr, addr+len) be of @type, whatever it was; neighbours of the same type are joined.
 * -ENOSPC if there are too many entries.
 */
int memmap_set(struct memmap *m, gpa_t addr, uint64_t len, enum memmap_type type) MUST_CHECK;

/*
 * Room for a table.  memmap_alloc_bios takes it from 0xe0000-0xfffff, lowest first, for what is
 * found by searching (RSDP: 16-byte aligned; SMBIOS anchor: from 0xf0000 on, so ask with @min) and
 * for small tables.  memmap_alloc_top takes it from the top of the RAM below the hole and gives it
 * @type.  @align is a power of two.  0 if there is no room.
 */
gpa_t memmap_alloc_bios(struct memmap *m, uint64_t len, uint64_t align, gpa_t min);
gpa_t memmap_alloc_top(struct memmap *m, uint64_t len, uint64_t align, enum memmap_type type);

/* True if all of [addr, addr+len) is of type RAM. */
bool memmap_is_ram(const struct memmap *m, gpa_t addr, uint64_t len);

#endif
