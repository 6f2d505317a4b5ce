/*
 * boot/acpi/x86_dsdt.c - the DSDT: what cannot be found by looking, as byte code.
 *
 * It is data, almost without methods, so that a guest's interpreter has little to run: a device
 * that has no _STA is there [ACPI 6.5 §6.3.7], and no _PIC, _INI or _REG is called because none
 * exists.  There is no power-button device: the button is fixed hardware, as the FADT says.
 *
 * A PCI root complex, where there is one, comes with _PRT (its interrupt wires) and _OSC (who runs
 * hotplug, errors and power events: the guest, for all it asks).
 */
#include "boot/acpi/x86_dsdt.h"

#include <errno.h>
#include <stdio.h>
#include <string.h>

#include "arch/x86/pm.h"
#include "boot/acpi/aml.h"

#define RTC_PORT  0x70
#define RTC_PORTS 2
#define RTC_IRQ	  8

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

static void add_sleep_states(struct aml *a)
{
	aml_name(a, "\\_S5");
	aml_package(a);
	aml_int(a, X86_PM_SLP_TYP_S5); /* for PM1a_CNT */
	aml_int(a, 0);		       /* for PM1b_CNT, which is not there */
	aml_int(a, 0);
	aml_int(a, 0);
	aml_end(a);
}

static void add_cpus(struct aml *a, const struct acpi_x86 *d)
{
	for (unsigned i = 0; i < d->n_cpus; i++) {
		char name[8];

		snprintf(name, sizeof(name), "C%03X", i & 0xfffu);
		aml_device(a, name);
		aml_name_id(a, "_HID", "ACPI0007");
		aml_name_int(a, "_UID", i);
		if (d->n_nodes)
			aml_name_int(a, "_PXM", d->cpu[i].node);
		aml_end(a);
	}
}

/* Memory as the smallest descriptor that can hold it. */
static void add_memory(struct aml *a, uint64_t base, uint64_t len)
{
	struct aml_window w = {.consumer = true, .min = base, .max = base + len - 1};

	if (w.max <= UINT32_MAX && len <= UINT32_MAX)
		aml_res_mem32(a, true, (uint32_t)base, (uint32_t)len);
	else
		aml_res_qword(a, &w);
}

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
	struct aml_window mem32 = {.min = pci->mem32, .max = pci->mem32 + pci->mem32_len - 1};
	struct aml_window mem64 = {.min = pci->mem64, .max = pci->mem64 + pci->mem64_len - 1};

	aml_resources(a, "_CRS");
	aml_res_word(a, &bus);
	if (pci->io) {
		aml_res_io(a, PCI_CONFIG_PORT, PCI_CONFIG_PORT, 1, 8);
		aml_res_word(a, &low);
		aml_res_word(a, &high);
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
static void add_pci(struct aml *a, const struct acpi_pci *pci)
{
	aml_device(a, "PCI0");
	aml_name_id(a, "_HID", "PNP0A08");
	aml_name_id(a, "_CID", "PNP0A03");
	aml_name_int(a, "_UID", 0);
	aml_name_int(a, "_SEG", 0);
	aml_name_int(a, "_BBN", 0);
	add_pci_windows(a, pci);
	add_prt(a, pci);
	add_osc(a);
	aml_end(a);

	aml_device(a, "MBRD");
	aml_name_id(a, "_HID", "PNP0C02");
	aml_name_int(a, "_UID", 0);
	aml_resources(a, "_CRS");
	add_memory(a, pci->ecam, MIB(pci->last_bus + 1u));
	aml_end(a);
	aml_end(a);
}

static void add_rtc(struct aml *a)
{
	aml_device(a, "RTC");
	aml_name_id(a, "_HID", "PNP0B00");
	aml_resources(a, "_CRS");
	aml_res_io(a, RTC_PORT, RTC_PORT, 1, RTC_PORTS);
	aml_res_irq(a, RTC_IRQ);
	aml_end(a);
	aml_end(a);
}

static void add_i8042(struct aml *a)
{
	aml_device(a, "KBD");
	aml_name_id(a, "_HID", "PNP0303");
	aml_resources(a, "_CRS");
	aml_res_io(a, 0x60, 0x60, 1, 1);
	aml_res_io(a, 0x64, 0x64, 1, 1);
	aml_res_irq(a, 1);
	aml_end(a);
	aml_end(a);

	aml_device(a, "MOU");
	aml_name_id(a, "_HID", "PNP0F13");
	aml_resources(a, "_CRS");
	aml_res_irq(a, 12);
	aml_end(a);
	aml_end(a);
}

static void add_serial(struct aml *a, unsigned n, const struct acpi_serial *s)
{
	struct aml_interrupt irq = {.gsi = s->irq, .level = true};
	char name[8];

	snprintf(name, sizeof(name), "COM%u", (n + 1) % 10);
	aml_device(a, name);
	aml_name_id(a, "_HID", "PNP0501");
	aml_name_int(a, "_UID", n + 1);
	aml_resources(a, "_CRS");
	aml_res_io(a, s->port, s->port, 1, 8);
	if (s->irq < 16)
		aml_res_irq(a, s->irq);
	else
		aml_res_interrupt(a, &irq);
	aml_end(a);
	aml_end(a);
}

static int add_resource(struct aml *a, const struct acpi_resource *r, struct err *e)
{
	struct aml_interrupt irq = {.level = r->level, .low = r->low, .shared = r->shared};
	uint64_t end;

	switch (r->kind) {
	case ACPI_RESOURCE_IO:
		if (r->base > UINT16_MAX || !r->len || r->len > UINT8_MAX ||
		    r->base + r->len > UINT16_MAX + 1u)
			return err_set(e, -EINVAL, "%llu ports from %#llx do not exist",
				       (unsigned long long)r->len, (unsigned long long)r->base);
		aml_res_io(a, (uint16_t)r->base, (uint16_t)r->base, 1, (uint8_t)r->len);
		return 0;
	case ACPI_RESOURCE_MEMORY:
		if (!r->len || ADD_OVERFLOWS(r->base, r->len, &end))
			return err_set(e, -EINVAL, "memory of %#llx bytes at %#llx does not exist",
				       (unsigned long long)r->len, (unsigned long long)r->base);
		add_memory(a, r->base, r->len);
		return 0;
	case ACPI_RESOURCE_IRQ:
		if (r->base > UINT32_MAX)
			return err_set(e, -EINVAL, "interrupt %#llx does not exist",
				       (unsigned long long)r->base);
		irq.gsi = (uint32_t)r->base;
		aml_res_interrupt(a, &irq);
		return 0;
	}
	return err_set(e, -EINVAL, "a resource of unknown kind");
}

static int add_device(struct aml *a, const struct acpi_device *dev, struct err *e)
{
	int ret;

	aml_device(a, dev->name);
	aml_name_id(a, "_HID", dev->hid);
	if (dev->cid)
		aml_name_id(a, "_CID", dev->cid);
	aml_name_int(a, "_UID", dev->uid);
	if (dev->n_resources) {
		aml_resources(a, "_CRS");
		for (unsigned i = 0; i < dev->n_resources; i++) {
			ret = add_resource(a, &dev->resource[i], e);
			if (ret)
				return err_prefix(e, "ACPI device %.4s", dev->name);
		}
		aml_end(a);
	}
	aml_end(a);
	return 0;
}

/* Names that this file gives itself. */
static bool name_is_taken(const struct acpi_x86 *d, const char *name)
{
	static const char *const fixed[] = {"RTC",  "RTC_", "KBD",  "KBD_", "MOU",  "MOU_",
					    "PCI0", "MBRD", "COM1", "COM2", "COM3", "COM4"};

	for (unsigned i = 0; i < ARRAY_LEN(fixed); i++)
		if (!strcmp(name, fixed[i]))
			return true;
	return d->cpu_devices && name[0] == 'C' && strlen(name) == 4 &&
	       strspn(name + 1, "0123456789ABCDEF") == 3;
}

/* Two objects of one name would be an error in the guest's interpreter. */
static int check_names(const struct acpi_x86 *d, struct err *e)
{
	for (unsigned i = 0; i < d->n_devices; i++) {
		const char *name = d->device[i].name;

		if (name_is_taken(d, name))
			return err_set(e, -EINVAL, "ACPI device %.4s: the name is taken", name);
		for (unsigned j = 0; j < i; j++)
			if (!strcmp(name, d->device[j].name))
				return err_set(e, -EINVAL, "ACPI device %.4s: two have this name",
					       name);
	}
	return 0;
}

static int add_all(struct aml *a, const struct acpi_x86 *d, struct err *e)
{
	int ret;

	add_sleep_states(a);
	aml_scope(a, "\\_SB");
	if (d->cpu_devices)
		add_cpus(a, d);
	if (d->pci)
		add_pci(a, d->pci);
	if (d->rtc)
		add_rtc(a);
	if (d->i8042)
		add_i8042(a);
	for (unsigned i = 0; i < d->n_serials; i++)
		add_serial(a, i, &d->serial[i]);
	for (unsigned i = 0; i < d->n_devices; i++) {
		ret = add_device(a, &d->device[i], e);
		if (ret)
			return ret;
	}
	aml_end(a);
	return aml_finish(a, e);
}

int acpi_x86_dsdt(const struct acpi_x86 *d, struct strbuf *out, struct err *e)
{
	struct aml a = AML_INIT;
	int ret = check_names(d, e);

	*out = (struct strbuf){0};
	if (!ret)
		ret = add_all(&a, d, e);
	if (!ret) {
		*out = a.out;
		a.out = (struct strbuf){0};
	}
	aml_exit(&a);
	return ret;
}
