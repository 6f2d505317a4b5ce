/*
 * boot/arm64/load.h - puts a boot image into the memory of an arm64 VM, and everything that its
 * kernel is told [Linux Documentation/arch/arm64/booting.rst].
 *
 *	RAM base	kernel, at text_offset from a multiple of 2 MiB
 *	…		free
 *	below the top	initrds, then 2 MiB for the device tree, then EFI, ACPI and SMBIOS tables
 *
 * The top is that of the first 4 GiB of RAM: what a kernel must reach early is near to it.
 *
 * How a machine uses it:
 *
 *	before there is a VM	boot_image_open, boot_file_open for each initrd, fdt_open for a
 *				tree of the user, the board's description, boot_arm64_check
 *	at each reset		boot_arm64_load, then the boot vCPU starts at entry.pc with
 *				x0 = entry.dtb, x1 = x2 = x3 = 0, in EL1h, DAIF masked, MMU off;
 *				all others wait for PSCI CPU_ON
 */
#ifndef LODGE_BOOT_ARM64_LOAD_H
#define LODGE_BOOT_ARM64_LOAD_H

#include "boot/arm64/board.h"
#include "boot/fdt.h"
#include "boot/kernel.h"
#include "boot/smbios.h"

/* All borrowed; they live as long as the machine, which loads again at each reset. */
struct boot_arm64_params {
	const struct boot_image *image; /* opened for BOOT_ARM64 */
	const char *cmdline;		/* NULL: empty */
	const struct boot_file *initrd; /* array; one behind the other in memory */
	unsigned n_initrds;
	const struct arm64_board *board; /* the kernel goes to its first memory */
	const struct fdt_blob *dtb;	 /* the user's, instead of one from the board; or NULL */
	bool acpi;			 /* ACPI tables instead of a device tree; not with dtb */
	const struct smbios *smbios;	 /* only with acpi; or NULL */
	bool no_seeds;			 /* no random numbers in /chosen: every start is the same */
};

struct boot_arm64_entry {
	gpa_t pc, dtb;
};

/*
 * Everything that can be refused before there is a VM: a command line that is too long, too little
 * memory for kernel, initrds and tables, a board that cannot be described.  Reads no contents.
 */
int boot_arm64_check(const struct boot_arm64_params *p, struct err *e) MUST_CHECK;

/*
 * Writes kernel, initrds, tables and device tree into @mem.  Vcpus stand still and devices are
 * quiesced.  Repeatable.  Errors as boot_arm64_check, a damaged or changed file, no memory; the
 * guest's memory is then undefined.
 */
int boot_arm64_load(struct as *mem, const struct boot_arm64_params *p,
		    struct boot_arm64_entry *entry, struct err *e) MUST_CHECK;

/*
 * The same for an image of boot_image_open_raw, which gets neither device tree nor tables: whether
 * it fits into @len bytes of RAM at @base, and writing it into @mem.
 */
int boot_arm64_check_raw(const struct boot_image *img, gpa_t base, uint64_t len,
			 struct err *e) MUST_CHECK;
int boot_arm64_load_raw(struct as *mem, const struct boot_image *img, struct err *e) MUST_CHECK;

#endif
