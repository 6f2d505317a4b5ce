/*
 * boot/x86/load.h - puts a boot image into the memory of an x86 VM and the first vCPU at its start.
 *
 * How a machine uses it:
 *
 *	before there is a VM	boot_image_open, boot_file_open for each initrd, memmap_init,
 *				memmap_alloc_* for its tables, boot_x86_check
 *	at each reset		write the tables, vcpu_reset, boot_x86_firmware for every vCPU,
 *				boot_x86_load for the boot processor
 */
#ifndef LODGE_BOOT_X86_LOAD_H
#define LODGE_BOOT_X86_LOAD_H

#include "arch/x86/vcpu.h"
#include "boot/kernel.h"
#include "boot/x86/memmap.h"

/* All borrowed; they live as long as the machine, which loads again at each reset. */
struct boot_x86_params {
	const struct boot_image *image;
	enum boot_how how;
	bool kaslr;			/* place the kernel at random */
	const char *cmdline;		/* NULL: empty */
	const struct boot_file *initrd; /* array; multiboot gets them as modules */
	unsigned n_initrds;
	const struct memmap *map; /* with the machine's tables in it */
	gpa_t rsdp;		  /* ACPI root pointer, 0: no ACPI */
};

/*
 * Everything that can be refused before there is a VM: a way in that the kernel does not have, a
 * command line that is too long, too little memory for kernel and initrds.  Reads no contents.
 */
int boot_x86_check(const struct boot_x86_params *p, struct err *e) MUST_CHECK;

/*
 * Writes kernel, initrds and boot data into @mem and sets @bsp (in its reset state) to the start.
 * Vcpus stand still and devices are quiesced.  Repeatable.  Errors as boot_x86_check, a damaged or
 * changed file, no memory; the guest's memory is then undefined.
 */
int boot_x86_load(struct as *mem, const struct boot_x86_params *p, struct x86_vcpu *bsp,
		  struct err *e) MUST_CHECK;

/*
 * What firmware leaves behind on every processor, the boot processor and the others: MTRRs on,
 * memory write-back (a kernel complains about processors that differ).  For kernels, not for raw
 * images.  INIT keeps it.
 */
void boot_x86_firmware(struct x86_vcpu *v);

#endif
