/*
 * boot/acpi/arm64.h - the ACPI tables of an arm64 machine.
 *
 * What is made: DSDT, FADT (hardware-reduced, PSCI by HVC), MADT, GTDT and PPTT always; SPCR and
 * DBG2 if there is a UART; SRAT and SLIT if there are NUMA nodes; MCFG if there is a PCI host
 * bridge, and IORT if there is an ITS for it too; XSDT and RSDP.
 *
 * A guest finds them through an EFI system table only (boot/arm64/efi.h).  The RTC is in no table:
 * ACPI has no name for a PL031, the time comes from EFI's GetTime.
 *
 * Pure functions; the description is only read, and nothing of it is kept.
 */
#ifndef LODGE_BOOT_ACPI_ARM64_H
#define LODGE_BOOT_ACPI_ARM64_H

#include "boot/acpi/tables.h"
#include "boot/arm64/board.h"

/*
 * Makes the tables for guest-physical address @base, a multiple of ACPI_ALIGN.  The size does not
 * depend on @base.  On success the caller owns @img (acpi_image_exit).  -EINVAL, -E2BIG or -ENOMEM
 * with a message.
 */
int acpi_arm64_build(const struct arm64_board *b, uint64_t base, struct acpi_image *img,
		     struct err *e) MUST_CHECK;

#endif
