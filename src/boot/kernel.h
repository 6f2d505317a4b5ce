/*
 * boot/kernel.h - opens a kernel file and says what it is.
 */
#ifndef LODGE_BOOT_KERNEL_H
#define LODGE_BOOT_KERNEL_H

#include "boot/boot.h"

/*
 * Opens and recognises the kernel at @path for a machine of @arch: reads its headers (and unpacks
 * their first kilobytes), not its contents.  Every error is one sentence "PATH: what the file is
 * and what is accepted". Main thread.  *@out is the caller's, to be freed with boot_image_close.
 */
int boot_image_open(const char *path, enum boot_arch arch, struct boot_image **out,
		    struct err *e) MUST_CHECK;

/*
 * Opens a flat binary that is to be loaded and entered at @addr: in real mode on x86 (below 1 MiB),
 * at EL1 with the MMU off on arm64.  No content is refused, except none.
 */
int boot_image_open_raw(const char *path, enum boot_arch arch, gpa_t addr, struct boot_image **out,
			struct err *e) MUST_CHECK;

/* NULL does nothing. */
void boot_image_close(struct boot_image *img);

#define BOOT_RAW_ADDR	    0x7c00u  /* where a BIOS puts a boot sector */
#define BOOT_ARM64_RAW_ADDR 0x80000u /* from the start of RAM: where Image files used to be put */

#endif
