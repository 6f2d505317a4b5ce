/*
 * boot/acpi/x86_dsdt.c - the DSDT: what cannot be found by looking, as byte code.
 *
 * It is data, almost without methods, so that a guest's interpreter has little to run: a device
 * that has no _STA is there [ACPI 6.5 §6.3.7], and no _PIC, _INI or _REG is called because none
 * exists.  There is no power-button device: the button is fixed hardware, as the FADT says.
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
		aml_res_memory(a, r->base, r->len);
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
		acpi_pci_add(a, d->pci, false);
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
