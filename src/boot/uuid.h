/*
 * boot/uuid.h - UUIDs [RFC 4122] as firmware tables want them.
 */
#ifndef LODGE_BOOT_UUID_H
#define LODGE_BOOT_UUID_H

#include "base/compiler.h"
#include "base/err.h"

#define UUID_LEN 16u

/* Parses "8-4-4-4-12" hexadecimal text into the order of the text.  -EINVAL with a message. */
int uuid_parse(const char *text, uint8_t uuid[UUID_LEN], struct err *e) MUST_CHECK;

/*
 * From the order of the text to that of ACPI and SMBIOS and back: the first three groups are
 * little-endian there.  @out and @in may be the same.
 */
void uuid_swap(uint8_t out[UUID_LEN], const uint8_t in[UUID_LEN]);

#endif
