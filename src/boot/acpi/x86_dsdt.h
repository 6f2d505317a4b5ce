/*
 * boot/acpi/x86_dsdt.h - the body of the DSDT of an x86 machine; for x86.c only.
 */
#ifndef LODGE_BOOT_ACPI_X86_DSDT_H
#define LODGE_BOOT_ACPI_X86_DSDT_H

#include "boot/acpi/x86.h"

/*
 * Writes the byte code (without the table header) of @d to @out, which the caller owns.  -EINVAL
 * or -ENOMEM with a message, and @out is empty.
 */
int acpi_x86_dsdt(const struct acpi_x86 *d, struct strbuf *out, struct err *e) MUST_CHECK;

#endif
