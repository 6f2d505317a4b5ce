/*
 * boot/arm64/efi.h - an EFI system table without firmware, so that an arm64 guest finds its ACPI
 * and SMBIOS tables [UEFI 2.10 §4; Linux Documentation/arch/arm64/arm-acpi.rst].
 *
 * The guest is not started through EFI: it gets the state that a kernel is in after its EFI stub
 * has run and ExitBootServices and SetVirtualAddressMap are behind it, as kexec does it.  There is
 * one runtime service that works, GetTime, if the board has an RTC; the others return
 * EFI_UNSUPPORTED.
 *
 * Everything is one block of RAM of @len bytes:
 *
 *	0	runtime services code: system table, runtime services table, the functions
 *	64 KiB	ACPI reclaim memory: configuration table, memory map, ACPI and SMBIOS tables
 */
#ifndef LODGE_BOOT_ARM64_EFI_H
#define LODGE_BOOT_ARM64_EFI_H

#include "boot/fdt.h"
#include "boot/smbios.h"

#define EFI_ALIGN KIB(64) /* base and length of the block; what the specification asks on arm64 */

struct efi_image {
	uint64_t base;
	struct strbuf block;
	struct fdt_efi fdt;    /* for /chosen */
	uint64_t rsdp, smbios; /* addresses; smbios is 0 without one */
};

/*
 * Makes the block for address @base.  Its length does not depend on @base, except that @base must
 * lie in the board's memory, which the memory map divides; 0 is for learning the length.  @smbios
 * may be NULL.  On success the caller owns @img.  -EINVAL, -E2BIG, -ENOMEM with a message.
 */
int efi_build(const struct arm64_board *b, const struct smbios *smbios, uint64_t base,
	      struct efi_image *img, struct err *e) MUST_CHECK;
void efi_image_exit(struct efi_image *img);

#endif
