/*
 * boot/acpi/pci.h - a PCI Express root complex in ACPI: its object in the DSDT, and the MCFG.
 */
#ifndef LODGE_BOOT_ACPI_PCI_H
#define LODGE_BOOT_ACPI_PCI_H

#include "base/err.h"
#include "boot/acpi/aml.h"
#include "boot/acpi/tables.h"

/* A root complex with ECAM; segment 0, buses from 0. */
struct acpi_pci {
	uint64_t ecam;		   /* 1 MiB a bus */
	uint8_t last_bus;	   /* inclusive */
	bool io;		   /* x86: passes on ports 0x0-0xcf7 and 0xd00-0xffff */
	uint64_t io_base;	   /* else: where ports 0-0xffff are in memory; 0: there are none */
	uint64_t mem32, mem32_len; /* window below 4 GiB */
	uint64_t mem64, mem64_len; /* window above 4 GiB; length 0: none */
	uint32_t intx_gsi[4];	   /* pins A-D of device 0; those of device n are rotated by n */
};

/* Windows and ECAM that cannot be.  -EINVAL with a message. */
int acpi_pci_check(const struct acpi_pci *p, struct err *e) MUST_CHECK;
/* PCI0 with windows, _PRT and _OSC, and MBRD, which reserves the ECAM; inside of \_SB. */
void acpi_pci_add(struct aml *a, const struct acpi_pci *p, bool coherent);
void acpi_put_mcfg(struct acpi_set *s, const struct acpi_pci *p);

#endif
