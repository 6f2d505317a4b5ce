/*
 * machine/x86/microvm.h - between the files of the microvm board.
 */
#ifndef LODGE_MACHINE_X86_MICROVM_H
#define LODGE_MACHINE_X86_MICROVM_H

#include "boot/acpi/x86.h"
#include "boot/smbios.h"
#include "boot/x86/load.h"
#include "machine/machine.h"

struct microvm {
	const struct machine_config *config;
	struct vm_topology topology;
	struct boot_image *image; /* NULL: nothing to boot (script accelerator) */
	struct boot_file initrd[MACHINE_INITRDS];
	struct memmap map;
	struct boot_x86_params params;
	struct device *pm;
	/* Tables, made once and written at each reset; raw images get none. */
	struct acpi_image acpi;
	struct smbios_image smbios;
	gpa_t smbios_entry, smbios_table;
};

/* Ports and interrupts of COM1 to COM4. */
extern const struct acpi_serial microvm_com[MACHINE_SERIALS];

/*
 * Makes the ACPI and SMBIOS tables of the configuration and takes their room out of b->map.
 * microvm_tables_exit frees them, made or not.
 */
int microvm_tables_init(struct microvm *b, struct err *e) MUST_CHECK;
void microvm_tables_exit(struct microvm *b);
/* Writes them into guest memory. */
int microvm_tables_load(const struct microvm *b, struct as *mem, struct err *e) MUST_CHECK;

#endif
