/*
 * boot/x86/kaslr.h - a relocatable Linux kernel at a random place.
 *
 * The relocation table is what the kernel's build appends to the packed ELF file
 * (arch/x86/boot/compressed/misc.c, handle_relocations): lists of 32-bit words, each a virtual
 * address at which something must be changed, each list after a word of 0:
 *
 *	0, addresses of 64-bit words to add to; 0, addresses of 32-bit words to subtract from;
 *	0, addresses of 32-bit words to add to
 *
 * The middle list went away in Linux 6.15; a table with two zeros has none.
 */
#ifndef LODGE_BOOT_X86_KASLR_H
#define LODGE_BOOT_X86_KASLR_H

#include "boot/elf.h"

/* True if a file of @len bytes that begins with @elf can have a table behind it. */
bool kaslr_has_table(const struct elf *elf, uint64_t len);

/*
 * Moves the unpacked file @image of @len bytes by @delta in virtual addresses.  -EINVAL for a
 * table that is damaged or points outside the kernel.
 */
int kaslr_relocate(uint8_t *image, size_t len, const struct elf *elf, uint64_t delta,
		   struct err *e) MUST_CHECK;

/* Where a kernel may go. */
struct kaslr_range {
	uint64_t align;	   /* power of two */
	uint64_t size;	   /* bytes it needs */
	gpa_t min, max;	   /* physical: first address, address behind the last byte */
	uint64_t virt_min; /* offset from the start of the kernel's virtual range */
};

/*
 * Chooses a physical address and a virtual offset by two random numbers; false if it does not fit.
 */
bool kaslr_choose(const struct kaslr_range *r, const uint64_t seed[2], gpa_t *phys, uint64_t *virt);

/* The kernel's virtual range is this large with CONFIG_RANDOMIZE_BASE, without which no table is.
 */
#define KASLR_VIRT_SIZE GIB(1)

#endif
