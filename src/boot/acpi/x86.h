/*
 * boot/acpi/x86.h - the ACPI tables of an x86 machine, from a plain description of it.
 *
 * What is made: DSDT, FACS, FADT, MADT and WAET always; SRAT and SLIT if there are NUMA nodes;
 * MCFG if there is a PCI host bridge; HPET if there is one; XSDT and RSDP.  The machine is a full
 * ACPI one (not hardware-reduced): it has a PM timer and a fixed power button (arch/x86/pm.h).
 *
 * The tables are also what tells a stock kernel which old hardware not to look for; x86.c says
 * flag by flag what that saves.
 *
 * Pure functions; the description is only read, and nothing of it is kept.
 */
#ifndef LODGE_BOOT_ACPI_X86_H
#define LODGE_BOOT_ACPI_X86_H

#include "base/err.h"
#include "boot/acpi/numa.h"
#include "boot/acpi/pci.h"
#include "boot/acpi/tables.h"

#define ACPI_X86_CPUS_MAX    4096
#define ACPI_X86_DEVICES_MAX 256
#define ACPI_X86_SERIALS_MAX 4

struct acpi_cpu {
	uint32_t apic_id; /* 255 and more become x2APIC entries */
	uint32_t node;	  /* < n_nodes; ignored without nodes */
};

struct acpi_ioapic {
	uint8_t id;
	uint32_t addr;
	uint32_t gsi_base;
};

/*
 * ISA interrupt @irq arrives at @gsi.  There is one for every line that is not edge-triggered,
 * active high and gsi == irq.
 */
struct acpi_override {
	uint8_t irq;
	uint32_t gsi;
	bool level, low;
};

struct acpi_serial {
	uint16_t port; /* 8 ports from here */
	uint32_t irq;  /* ISA number below 16, else GSI (level, active high) */
};

enum acpi_resource_kind { ACPI_RESOURCE_IO, ACPI_RESOURCE_MEMORY, ACPI_RESOURCE_IRQ };
struct acpi_resource {
	enum acpi_resource_kind kind;
	uint64_t base;		 /* port, address, or GSI */
	uint64_t len;		 /* ports (1-255) or bytes; unused for an interrupt */
	bool level, low, shared; /* interrupt: else edge, active high, exclusive */
};

/* A device below \_SB that needs no more than an identity and resources, e.g. virtio-mmio. */
struct acpi_device {
	const char *name; /* one segment, unique: "VR00" */
	const char *hid;  /* "LNRO0005", "PNP0B00" */
	const char *cid;  /* or NULL */
	uint32_t uid;
	const struct acpi_resource *resource;
	unsigned n_resources;
};

struct acpi_x86 {
	const char *oem_table; /* up to 8 characters, "MICROVM"; NULL: "LODGE" */
	char hypervisor[8];    /* FADT hypervisor vendor identity; all 0: none */

	const struct acpi_cpu *cpu; /* APIC ids strictly ascending; the boot CPU first */
	unsigned n_cpus;
	bool cpu_devices;    /* a processor object for each CPU in the DSDT */
	uint32_t lapic_addr; /* 0: the architecture's */
	const struct acpi_ioapic *ioapic;
	unsigned n_ioapics;
	bool pic; /* a pair of 8259 */
	/* Apart from the SCI's, which is added if no entry here is for its line. */
	const struct acpi_override *override;
	unsigned n_overrides;

	uint16_t pm_base; /* arch/x86/pm.h; 0: X86_PM_BASE */
	uint8_t sci_irq;  /* 0: X86_PM_SCI_IRQ; level, active high */

	uint64_t hpet;	  /* where it is; 0: none */
	uint32_t hpet_id; /* the low half of its capabilities register */

	bool rtc;   /* mc146818 at port 0x70, interrupt 8, century in register 0x32 */
	bool i8042; /* a full keyboard controller, not only its reset line */
	bool vga;
	const struct acpi_serial *serial;
	unsigned n_serials;
	const struct acpi_device *device;
	unsigned n_devices;
	const struct acpi_pci *pci; /* NULL: no PCI; then there is no _PRT either */

	unsigned n_nodes; /* 0: no SRAT and no SLIT */
	const struct acpi_node_memory *memory;
	unsigned n_memory;
	const uint8_t *distance; /* n_nodes × n_nodes, row by row; NULL: 10 and 20 */
};

/*
 * Makes the tables for guest-physical address @base, a multiple of ACPI_ALIGN.  The size does not
 * depend on @base, so a caller that places the blob at the end of something may build it twice.
 * On success the caller owns @img (acpi_image_exit).  -EINVAL, -E2BIG or -ENOMEM with a message.
 */
int acpi_x86_build(const struct acpi_x86 *d, uint64_t base, struct acpi_image *img,
		   struct err *e) MUST_CHECK;

#endif
