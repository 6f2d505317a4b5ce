/*
 * boot/acpi/arm64_dsdt.c - the DSDT: the devices of an arm64 machine as byte code.
 *
 * It is data, but for one method: the power key is a pin of the PL061, whose interrupt is an ACPI
 * event (_AEI); the method of that event tells the power button's object.  A machine without the
 * PL061 has no power button.
 *
 * All memory is coherent to all devices, which arm64 guests do not take for granted (_CCA).
 */
#include "boot/acpi/arm64_dsdt.h"

#include <stdio.h>
#include <string.h>

#include "boot/acpi/aml.h"

#define NOTIFY_BUTTON 0x80

static void add_resources(struct aml *a, uint64_t base, uint64_t len,
			  const struct aml_interrupt *irq)
{
	aml_resources(a, "_CRS");
	aml_res_memory(a, base, len);
	if (irq)
		aml_res_interrupt(a, irq);
	aml_end(a);
}

/* The CPUs of the MADT once more, by their processor UID [ACPI 6.5 §8.4]. */
static void add_cpus(struct aml *a, const struct arm64_board *b)
{
	for (unsigned i = 0; i < b->n_cpus; i++) {
		char name[8];

		snprintf(name, sizeof(name), "C%03X", i & 0xfffu);
		aml_device(a, name);
		aml_name_id(a, "_HID", "ACPI0007");
		aml_name_int(a, "_UID", i);
		if (b->n_nodes)
			aml_name_int(a, "_PXM", b->cpu[i].node);
		aml_end(a);
	}
}

static void add_chip(struct aml *a, const char *name, const char *hid, const struct arm64_chip *c)
{
	struct aml_interrupt irq = {.gsi = ARM64_SPI_BASE + c->spi, .level = true};

	aml_device(a, name);
	aml_name_id(a, "_HID", hid);
	aml_name_int(a, "_UID", 0);
	aml_name_int(a, "_CCA", 1);
	add_resources(a, c->base, ARM64_CHIP_LEN, &irq);
}

/* [ACPI 6.5 §5.6.5.2]: the event of pin n is handled by _En (edge), n in hexadecimal. */
static void add_power_button(struct aml *a, const struct arm64_board *b)
{
	char event[8];

	add_chip(a, "GPO0", "ARMH0061", &b->gpio);
	aml_resources(a, "_AEI");
	aml_res_gpio_int(a, b->power_pin, "GPO0");
	aml_end(a);
	snprintf(event, sizeof(event), "_E%02X", b->power_pin);
	aml_method(a, event, 0, false);
	aml_op(a, AML_NOTIFY);
	aml_ref(a, "\\_SB.PWRB");
	aml_int(a, NOTIFY_BUTTON);
	aml_end(a);
	aml_end(a);

	aml_device(a, "PWRB");
	aml_name_id(a, "_HID", "PNP0C0C");
	aml_name_int(a, "_UID", 0);
	aml_end(a);
}

/* Unique by their number here; _UID counts the devices of one kind. */
static void add_device(struct aml *a, const struct arm64_board *b, unsigned n)
{
	const struct arm64_device *d = &b->device[n];
	struct aml_interrupt irq = {.gsi = ARM64_SPI_BASE + d->spi, .level = !d->edge};
	unsigned uid = 0;
	char name[8];

	for (unsigned i = 0; i < n; i++)
		uid += b->device[i].hid && !strcmp(b->device[i].hid, d->hid);
	snprintf(name, sizeof(name), "D%03X", n & 0xfffu);
	aml_device(a, name);
	aml_name_id(a, "_HID", d->hid);
	aml_name_int(a, "_UID", uid);
	aml_name_int(a, "_CCA", 1);
	add_resources(a, d->base, d->len, d->no_irq ? NULL : &irq);
	aml_end(a);
}

int acpi_arm64_dsdt(const struct arm64_board *b, struct strbuf *out, struct err *e)
{
	struct aml a = AML_INIT;
	int ret;

	*out = (struct strbuf){0};
	aml_scope(&a, "\\_SB");
	add_cpus(&a, b);
	if (b->uart.base) {
		add_chip(&a, "COM0", "ARMH0011", &b->uart);
		aml_end(&a);
	}
	if (b->gpio.base)
		add_power_button(&a, b);
	for (unsigned i = 0; i < b->n_devices; i++)
		if (b->device[i].hid)
			add_device(&a, b, i);
	if (b->pci)
		acpi_pci_add(&a, b->pci, true);
	aml_end(&a);
	ret = aml_finish(&a, e);
	if (!ret) {
		*out = a.out;
		a.out = (struct strbuf){0};
	}
	aml_exit(&a);
	return ret;
}
