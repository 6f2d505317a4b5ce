/*
 * boot/acpi/pci.c - a PCI Express root complex as byte code, and the MCFG.
 *
 * It comes with _PRT (its interrupt wires) and _OSC (who runs hotplug, errors and power events: the
 * guest, for all it asks).
 */
#include "boot/acpi/pci.h"

#include <errno.h>

#define MCFG_REVISION 1

#define PCI_CONFIG_PORT 0xcf8
#define PCI_SLOTS	32u
#define PCI_PINS	4u

/* _OSC of a PCI host bridge [PCI Firmware 3.3 §4.5.1]. */
#define PCI_OSC_UUID	     "33db4d5b-1ff7-401c-9657-7441c03dd766"
#define OSC_QUERY	     0x01u /* CDW1: say what would be granted */
#define OSC_UNKNOWN_UUID     0x04u
#define OSC_UNKNOWN_REVISION 0x08u
#define OSC_MASKED	     0x10u
/* Native hotplug, power events, error reports, capability structure, LTR; no SHPC hotplug. */
#define OSC_PCI_GRANTED 0x3du

static void add_interrupt_pin(struct aml *a, unsigned slot, unsigned pin, uint32_t gsi)
{
	aml_package(a);
	aml_int(a, slot << 16 | 0xffffu); /* all functions of the device */
	aml_int(a, pin);
	aml_int(a, 0); /* no link device: the next is a GSI */
	aml_int(a, gsi);
	aml_end(a);
}

/* [ACPI 6.5 §6.2.13]; pins rotate with the device number so that devices share wires evenly. */
static void add_prt(struct aml *a, const struct acpi_pci *pci)
{
	aml_name(a, "_PRT");
	aml_package(a);
	for (unsigned slot = 0; slot < PCI_SLOTS; slot++)
		for (unsigned pin = 0; pin < PCI_PINS; pin++)
			add_interrupt_pin(a, slot, pin, pci->intx_gsi[(slot + pin) % PCI_PINS]);
	aml_end(a);
}

static void or_into(struct aml *a, const char *name, uint32_t bits)
{
	aml_op(a, AML_OR);
	aml_ref(a, name);
	aml_int(a, bits);
	aml_ref(a, name);
}

static void dword_field(struct aml *a, unsigned off, const char *name)
{
	aml_op(a, AML_DWORD_FIELD);
	aml_arg(a, 3);
	aml_int(a, off);
	aml_ref(a, name);
}

/* _OSC (UUID, revision, count, capabilities): grants what is in the mask, clears the rest. */
static void add_osc(struct aml *a)
{
	aml_method(a, "_OSC", 4, true);
	dword_field(a, 0, "CDW1");
	aml_if(a);
	aml_op(a, AML_LEQUAL);
	aml_arg(a, 0);
	aml_uuid(a, PCI_OSC_UUID);
	dword_field(a, 8, "CDW3");
	aml_op(a, AML_STORE);
	aml_ref(a, "CDW3");
	aml_local(a, 0);
	aml_op(a, AML_AND);
	aml_local(a, 0);
	aml_int(a, OSC_PCI_GRANTED);
	aml_ref(a, "CDW3");
	aml_if(a);
	aml_op(a, AML_LNOT);
	aml_op(a, AML_LEQUAL);
	aml_arg(a, 1);
	aml_int(a, 1);
	or_into(a, "CDW1", OSC_UNKNOWN_REVISION);
	aml_end(a);
	aml_if(a);
	aml_op(a, AML_LNOT);
	aml_op(a, AML_LEQUAL);
	aml_ref(a, "CDW3");
	aml_local(a, 0);
	or_into(a, "CDW1", OSC_MASKED);
	aml_end(a);
	aml_end(a);
	aml_else(a);
	or_into(a, "CDW1", OSC_UNKNOWN_UUID);
	aml_end(a);
	aml_op(a, AML_RETURN);
	aml_arg(a, 3);
	aml_end(a);
}

static void add_pci_windows(struct aml *a, const struct acpi_pci *pci)
{
	struct aml_window bus = {.type = AML_WINDOW_BUS, .max = pci->last_bus};
	struct aml_window low = {.type = AML_WINDOW_IO, .max = PCI_CONFIG_PORT - 1};
	struct aml_window high = {
		.type = AML_WINDOW_IO, .min = PCI_CONFIG_PORT + 8, .max = UINT16_MAX};
	struct aml_window mapped = {
		.type = AML_WINDOW_IO, .max = UINT16_MAX, .translation = pci->io_base};
	struct aml_window mem32 = {.min = pci->mem32, .max = pci->mem32 + pci->mem32_len - 1};
	struct aml_window mem64 = {.min = pci->mem64, .max = pci->mem64 + pci->mem64_len - 1};

	aml_resources(a, "_CRS");
	aml_res_word(a, &bus);
	if (pci->io) {
		aml_res_io(a, PCI_CONFIG_PORT, PCI_CONFIG_PORT, 1, 8);
		aml_res_word(a, &low);
		aml_res_word(a, &high);
	} else if (pci->io_base) {
		aml_res_qword(a, &mapped);
	}
	if (pci->mem32_len)
		aml_res_dword(a, &mem32);
	if (pci->mem64_len)
		aml_res_qword(a, &mem64);
	aml_end(a);
}

/*
 * The root complex, and the ECAM as a motherboard resource, where an OS looks for it [PCI Firmware
 * 3.3 §4.1.2].
 */
void acpi_pci_add(struct aml *a, const struct acpi_pci *pci, bool coherent)
{
	aml_device(a, "PCI0");
	aml_name_id(a, "_HID", "PNP0A08");
	aml_name_id(a, "_CID", "PNP0A03");
	aml_name_int(a, "_UID", 0);
	aml_name_int(a, "_SEG", 0);
	aml_name_int(a, "_BBN", 0);
	if (coherent)
		aml_name_int(a, "_CCA", 1);
	add_pci_windows(a, pci);
	add_prt(a, pci);
	add_osc(a);
	aml_end(a);

	aml_device(a, "MBRD");
	aml_name_id(a, "_HID", "PNP0C02");
	aml_name_int(a, "_UID", 0);
	aml_resources(a, "_CRS");
	aml_res_memory(a, pci->ecam, MIB(pci->last_bus + 1u));
	aml_end(a);
	aml_end(a);
}

int acpi_pci_check(const struct acpi_pci *p, struct err *e)
{
	uint64_t end;

	if (p->ecam % MIB(1) || ADD_OVERFLOWS(p->ecam, MIB(p->last_bus + 1u), &end))
		return err_set(e, -EINVAL, "PCI: no ECAM can be at %#llx",
			       (unsigned long long)p->ecam);
	if (ADD_OVERFLOWS(p->mem32, p->mem32_len, &end) || end > GIB(4))
		return err_set(e, -EINVAL, "PCI: the 32-bit window ends above 4 GiB");
	if (ADD_OVERFLOWS(p->mem64, p->mem64_len, &end))
		return err_set(e, -EINVAL, "PCI: the 64-bit window has no end");
	return 0;
}

/* [PCI Firmware 3.3 §4.1.2] */
void acpi_put_mcfg(struct acpi_set *s, const struct acpi_pci *pci)
{
	acpi_open(s, "MCFG", MCFG_REVISION, true);
	acpi_put_zeros(s, 8);
	acpi_put64(s, pci->ecam);
	acpi_put16(s, 0); /* segment */
	acpi_put8(s, 0);
	acpi_put8(s, pci->last_bus);
	acpi_put_zeros(s, 4);
	acpi_close(s);
}
