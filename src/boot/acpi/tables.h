/*
 * boot/acpi/tables.h - lays out ACPI tables [ACPI 6.5 §5.2] for a given guest-physical address:
 * headers, lengths, checksums, XSDT and RSDP.  What is in a table is the caller's (x86.h).
 *
 * Pure functions on buffers: nothing here knows a VM.  Errors stick in the set as in aml.h.
 */
#ifndef LODGE_BOOT_ACPI_TABLES_H
#define LODGE_BOOT_ACPI_TABLES_H

#include "base/endian.h"
#include "base/err.h"
#include "base/str.h"

#define ACPI_RSDP_LEN	36u
#define ACPI_HEADER_LEN 36u
#define ACPI_TABLES_MAX 16
/* The blob's address must be a multiple of this (the FACS asks for it). */
#define ACPI_ALIGN 64u

/* One finished table, for messages, dumps and tests. */
struct acpi_table {
	char sig[5]; /* "FACP", NUL-terminated */
	size_t off;  /* in the blob */
	size_t len;
};

/*
 * The result.  tables.s[0 … tables.len) goes to @base, in memory that e820 does not call RAM
 * (type 3, ACPI data, or reserved).  rsdp goes anywhere the guest is told of (PVH start_info,
 * boot_params.acpi_rsdp_addr) or where it looks by itself: 16-byte aligned in 0xe0000-0xfffff.
 */
struct acpi_image {
	uint64_t base;
	struct strbuf tables;
	uint8_t rsdp[ACPI_RSDP_LEN];
	struct acpi_table table[ACPI_TABLES_MAX]; /* in the order of their addresses */
	unsigned n_tables;
};

void acpi_image_exit(struct acpi_image *img);
/* The table with that signature, or NULL. */
const struct acpi_table *acpi_image_find(const struct acpi_image *img, const char *sig);

/* Generic address structure [§5.2.3.2]; all 0: the register does not exist. */
struct acpi_gas {
	uint8_t space; /* 0 memory, 1 I/O ports */
	uint8_t bits, bit_offset;
	uint8_t access; /* 1 byte, 2 word, 3 dword, 4 qword */
	le64 addr;
} PACKED;
/* A register of @bytes bytes at @port that is accessed @access bytes (1, 2, 4) at a time. */
struct acpi_gas acpi_gas_io(uint16_t port, unsigned bytes, unsigned access);

/* A set of tables under construction. */
struct acpi_set {
	struct acpi_image *img;
	char oem_table[9]; /* OEM table id of the headers, up to 8 characters */
	size_t start;	   /* of the open table */
	bool open;
	bool listed[ACPI_TABLES_MAX]; /* in the XSDT */
	const char *mistake;
};

/* Starts a set for guest-physical address @base; @img is overwritten. */
void acpi_set_begin(struct acpi_set *s, struct acpi_image *img, uint64_t base,
		    const char *oem_table);
/*
 * Opens a table with the standard header, 16-byte aligned; acpi_put* add to it and acpi_close()
 * fills in length and checksum.  @listed: it has an entry in the XSDT (all but DSDT and FACS).
 */
void acpi_open(struct acpi_set *s, const char *sig, uint8_t revision, bool listed);
void acpi_close(struct acpi_set *s);
/* The FACS [§5.2.10], 64-byte aligned; it has a header of its own and no checksum. */
void acpi_add_facs(struct acpi_set *s);

void acpi_put8(struct acpi_set *s, uint8_t v);
void acpi_put16(struct acpi_set *s, uint16_t v);
void acpi_put32(struct acpi_set *s, uint32_t v);
void acpi_put64(struct acpi_set *s, uint64_t v);
void acpi_put_bytes(struct acpi_set *s, const void *p, size_t n);
void acpi_put_zeros(struct acpi_set *s, size_t n);
/* Guest-physical address of a table that was added before; 0 if there is none. */
uint64_t acpi_set_address(const struct acpi_set *s, const char *sig);

/*
 * Adds the XSDT and makes the RSDP.  On error (-EINVAL, -ENOMEM, -E2BIG) the image is freed and
 * empty.
 */
int acpi_set_finish(struct acpi_set *s, struct err *e) MUST_CHECK;

/* The byte that makes the sum of @n bytes 0 if it is added to them. */
uint8_t acpi_checksum(const void *p, size_t n);

#endif
