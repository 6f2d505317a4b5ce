/*
 * boot/acpi/arm64_dsdt.h - the body of the DSDT of an arm64 machine; for arm64.c only.
 */
#ifndef LODGE_BOOT_ACPI_ARM64_DSDT_H
#define LODGE_BOOT_ACPI_ARM64_DSDT_H

#include "boot/arm64/board.h"

/* The UART's object, which DBG2 names. */
#define ACPI_ARM64_UART "\\_SB.COM0"

/*
 * Writes the byte code (without the table header) of @b to @out, which the caller owns.  -EINVAL
 * or -ENOMEM with a message, and @out is empty.
 */
int acpi_arm64_dsdt(const struct arm64_board *b, struct strbuf *out, struct err *e) MUST_CHECK;

#endif
