/*
 * boot/smbios.h - SMBIOS 3 tables [DMTF DSP0134 3.0]: who made this machine, its UUID, sockets
 * and memory, as dmidecode and the guest's /sys/class/dmi show it.
 *
 * Structures of type 0, 1, 3, 4 (each socket), 16, 17 (each memory device), 19 (each range), 32 and
 * 127, behind a 64-bit entry point.  Pure functions on buffers.
 */
#ifndef LODGE_BOOT_SMBIOS_H
#define LODGE_BOOT_SMBIOS_H

#include "base/err.h"
#include "base/str.h"
#include "boot/uuid.h"

#define SMBIOS_ENTRY_LEN   24u
#define SMBIOS_STRING_MAX  64u
#define SMBIOS_SOCKETS_MAX 256
#define SMBIOS_RANGES_MAX  64
#define SMBIOS_DIMMS_MAX   64

struct smbios_range {
	uint64_t base, len; /* multiples of 1 KiB */
};

/*
 * Strings may be NULL: the default in parentheses, or else not specified.  They have at most
 * SMBIOS_STRING_MAX printable ASCII characters.
 */
struct smbios {
	const char *bios_vendor, *bios_version; /* ("Lodge"), (the program's version) */
	const char *bios_date;			/* MM/DD/YYYY ("01/01/2026") */
	const char *manufacturer, *product;	/* ("Lodge"), ("Virtual Machine") */
	const char *version, *serial, *sku, *family;
	uint8_t uuid[UUID_LEN]; /* in the order of its text (boot/uuid.h); all 0: not set */

	unsigned sockets, cores, threads; /* sockets; cores a socket; threads a core */
	const char *cpu_vendor, *cpu_name;
	uint64_t cpu_id;  /* CPUID leaf 1: EAX in the low, EDX in the high half */
	uint16_t cpu_mhz; /* 0: unknown */

	const uint64_t *dimm; /* bytes of each memory device, one a NUMA node is usual */
	unsigned n_dimms;
	const struct smbios_range *range; /* where the RAM is */
	unsigned n_ranges;
};

struct smbios_image {
	uint8_t entry[SMBIOS_ENTRY_LEN]; /* goes 16-byte aligned into 0xf0000-0xfffff */
	struct strbuf table;		 /* goes to the address given to smbios_build */
	unsigned n_structures;
};

/*
 * Makes entry point and structures; @addr is where the caller will put image->table.  On success
 * the caller owns @img (smbios_image_exit).  -EINVAL or -ENOMEM with a message.
 */
int smbios_build(const struct smbios *s, uint64_t addr, struct smbios_image *img,
		 struct err *e) MUST_CHECK;
void smbios_image_exit(struct smbios_image *img);

#endif
