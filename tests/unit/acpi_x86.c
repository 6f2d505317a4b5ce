/*
 * The tables of x86 machines say what the description says, and no more; descriptions that no guest
 * could use are refused.  The byte-for-byte view is in tests/golden/acpi.
 */
#include <errno.h>

#include "../golden/acpi/configs.h"
#include "arch/x86/pm.h"
#include "unit.h"

static const struct acpi_x86 *machine(const char *name)
{
	for (size_t i = 0; i < ARRAY_LEN(configs); i++)
		if (!strcmp(configs[i].name, name))
			return &configs[i].d;
	fail_msg("no configuration %s", name);
	return NULL;
}

static void build(struct acpi_image *img, const struct acpi_x86 *d)
{
	struct err e = ERR_INIT;

	if (acpi_x86_build(d, CONFIG_BASE, img, &e))
		fail_msg("%s", e.msg);
}

/* A table's bytes; *len is its length.  NULL if there is none. */
static const uint8_t *table(const struct acpi_image *img, const char *sig, size_t *len)
{
	const struct acpi_table *t = acpi_image_find(img, sig);

	*len = t ? t->len : 0;
	return t ? (const uint8_t *)img->tables.s + t->off : NULL;
}

static bool contains(const struct acpi_image *img, const char *sig, const char *bytes)
{
	size_t len;
	const uint8_t *p = table(img, sig, &len);

	return p && memmem(p, len, bytes, strlen(bytes));
}

/* How many structures of @type are behind byte @from of a table of {type, length} structures. */
static unsigned count(const struct acpi_image *img, const char *sig, size_t from, uint8_t type)
{
	size_t len;
	const uint8_t *p = table(img, sig, &len);
	unsigned n = 0;

	assert_non_null(p);
	for (; from < len; from += p[from + 1]) {
		assert_true(p[from + 1] >= 2 && from + p[from + 1] <= len);
		n += p[from] == type;
	}
	return n;
}

/* The @n-th structure of that type. */
static const uint8_t *structure(const struct acpi_image *img, const char *sig, size_t from,
				uint8_t type, unsigned n)
{
	size_t len;
	const uint8_t *p = table(img, sig, &len);

	for (; p && from < len; from += p[from + 1])
		if (p[from] == type && !n--)
			return p + from;
	fail_msg("%s has no structure %u of type %u", sig, n, type);
	return NULL;
}

#define MADT_FROM 44
#define SRAT_FROM 48

static void the_same_tables_are_always_there_and_others_only_when_asked_for(void **state)
{
	static const char *const always[] = {"FACS", "DSDT", "FACP", "APIC", "WAET", "XSDT"};
	struct acpi_image img;

	(void)state;
	for (size_t c = 0; c < ARRAY_LEN(configs); c++) {
		const struct acpi_x86 *d = &configs[c].d;

		build(&img, d);
		for (size_t i = 0; i < ARRAY_LEN(always); i++)
			assert_non_null(acpi_image_find(&img, always[i]));
		assert_int_equal(!!acpi_image_find(&img, "SRAT"), d->n_nodes > 0);
		assert_int_equal(!!acpi_image_find(&img, "SLIT"), d->n_nodes > 0);
		assert_int_equal(!!acpi_image_find(&img, "MCFG"), d->pci != NULL);
		assert_int_equal(contains(&img, "DSDT", "_PRT"), d->pci != NULL);
		assert_int_equal(contains(&img, "DSDT", "RTC_"), d->rtc);
		assert_int_equal(contains(&img, "DSDT", "COM1"), d->n_serials > 0);
		assert_int_equal(contains(&img, "DSDT", "ACPI0007"), d->cpu_devices);
		assert_true(contains(&img, "DSDT", "_S5_"));
		acpi_image_exit(&img);
	}
}

static void the_fadt_has_the_registers_of_the_power_management_block(void **state)
{
	struct acpi_x86 d = *machine("bare");
	struct acpi_image img;
	const uint8_t *f;
	size_t len;

	(void)state;
	d.pm_base = 0x4400;
	build(&img, &d);
	f = table(&img, "FACP", &len);
	assert_int_equal(len, 276);
	assert_int_equal(le16_load(f + 46), X86_PM_SCI_IRQ);
	assert_int_equal(le32_load(f + 48), 0); /* no SMI command */
	assert_int_equal(le32_load(f + 56), 0x4400 + X86_PM1_STS);
	assert_int_equal(le32_load(f + 64), 0x4400 + X86_PM1_CNT);
	assert_int_equal(le32_load(f + 76), 0x4400 + X86_PM_TMR);
	assert_memory_equal(f + 88, "\4\2\0\4\0\0", 6);
	assert_int_equal(le64_load(f + 120), 0x4400 + X86_PM_RESET);
	assert_int_equal(f[128], X86_PM_RESET_VALUE);
	assert_int_equal(le64_load(f + 152), 0x4400 + X86_PM1_STS);
	assert_int_equal(le64_load(f + 176), 0x4400 + X86_PM1_CNT);
	assert_int_equal(le64_load(f + 212), 0x4400 + X86_PM_TMR);
	assert_true(le32_load(f + 112) & 1u << 10);  /* reset register */
	assert_false(le32_load(f + 112) & 1u << 4);  /* fixed power button */
	assert_false(le32_load(f + 112) & 1u << 20); /* not hardware-reduced */
	acpi_image_exit(&img);
}

static void the_fadt_says_which_old_hardware_is_there(void **state)
{
	static const struct {
		const char *name;
		unsigned boot, century;
	} want[] = {
		{"up", 0x05, 0x32},  /* legacy devices (serial), no VGA */
		{"bare", 0x24, 0},   /* no VGA, no RTC */
		{"pci", 0x13, 0x32}, /* legacy devices, 8042, no ASPM */
	};
	struct acpi_image img;
	size_t len;

	(void)state;
	for (size_t i = 0; i < ARRAY_LEN(want); i++) {
		build(&img, machine(want[i].name));
		assert_int_equal(le16_load(table(&img, "FACP", &len) + 109), want[i].boot);
		assert_int_equal(table(&img, "FACP", &len)[108], want[i].century);
		acpi_image_exit(&img);
	}
}

static void the_fadt_points_to_dsdt_and_facs_below_and_above_4_gib(void **state)
{
	const uint64_t high = 0x100000000;
	struct acpi_image img;
	const uint8_t *f;
	size_t len;

	(void)state;
	build(&img, machine("up"));
	f = table(&img, "FACP", &len);
	assert_int_equal(le32_load(f + 36), CONFIG_BASE + acpi_image_find(&img, "FACS")->off);
	assert_int_equal(le64_load(f + 132), 0);
	assert_int_equal(le32_load(f + 40), CONFIG_BASE + acpi_image_find(&img, "DSDT")->off);
	assert_int_equal(le64_load(f + 140), CONFIG_BASE + acpi_image_find(&img, "DSDT")->off);
	acpi_image_exit(&img);

	assert_int_equal(acpi_x86_build(machine("up"), high, &img, NULL), 0);
	f = table(&img, "FACP", &len);
	assert_int_equal(le32_load(f + 36), 0);
	assert_int_equal(le64_load(f + 132), high + acpi_image_find(&img, "FACS")->off);
	assert_int_equal(le32_load(f + 40), 0);
	assert_int_equal(le64_load(f + 140), high + acpi_image_find(&img, "DSDT")->off);
	acpi_image_exit(&img);
}

static void each_cpu_has_one_entry_and_only_high_apic_ids_an_x2apic_entry(void **state)
{
	struct acpi_image img;
	const uint8_t *p;

	(void)state;
	build(&img, machine("smp"));
	assert_int_equal(count(&img, "APIC", MADT_FROM, 0), 4);
	assert_int_equal(count(&img, "APIC", MADT_FROM, 9), 0);
	assert_int_equal(count(&img, "APIC", MADT_FROM, 10), 0);
	acpi_image_exit(&img);

	build(&img, machine("x2apic"));
	assert_int_equal(count(&img, "APIC", MADT_FROM, 0), 2);
	assert_int_equal(count(&img, "APIC", MADT_FROM, 9), 2);
	assert_int_equal(count(&img, "APIC", MADT_FROM, 10), 1);
	p = structure(&img, "APIC", MADT_FROM, 0, 1);
	assert_int_equal(p[2], 1);
	assert_int_equal(p[3], 254);
	assert_int_equal(le32_load(p + 4), 1);
	p = structure(&img, "APIC", MADT_FROM, 9, 1);
	assert_int_equal(le32_load(p + 4), 300);
	assert_int_equal(le32_load(p + 8), 1);
	assert_int_equal(le32_load(p + 12), 3);
	acpi_image_exit(&img);
}

static void a_thousand_cpus_fit_with_their_processor_objects(void **state)
{
	enum { N = 1024 };
	struct acpi_cpu *cpu = calloc(N, sizeof(*cpu));
	struct acpi_x86 d = {.cpu = cpu, .n_cpus = N, .cpu_devices = true};
	struct acpi_image img;

	(void)state;
	for (unsigned i = 0; i < N; i++)
		cpu[i].apic_id = i;
	build(&img, &d);
	assert_int_equal(count(&img, "APIC", MADT_FROM, 0), 255);
	assert_int_equal(count(&img, "APIC", MADT_FROM, 9), N - 255);
	assert_true(contains(&img, "DSDT", "C3FF"));
	acpi_image_exit(&img);
	free(cpu);
}

static void the_sci_is_level_and_active_high_unless_the_machine_says_otherwise(void **state)
{
	static const struct acpi_override own[] = {
		{.irq = 9, .gsi = 20, .level = true, .low = true},
		{.irq = 10, .gsi = 10, .low = true}};
	struct acpi_x86 d = *machine("smp");
	struct acpi_image img;
	const uint8_t *p;

	(void)state;
	build(&img, &d);
	assert_int_equal(count(&img, "APIC", MADT_FROM, 2), 2);
	p = structure(&img, "APIC", MADT_FROM, 2, 0); /* the timer, as a PC has it */
	assert_memory_equal(p, "\2\x0a\0\0\2\0\0\0\0\0", 10);
	p = structure(&img, "APIC", MADT_FROM, 2, 1);
	assert_memory_equal(p, "\2\x0a\0\x09\x09\0\0\0\x0d\0", 10);
	acpi_image_exit(&img);

	d.override = own;
	d.n_overrides = 2;
	build(&img, &d);
	assert_int_equal(count(&img, "APIC", MADT_FROM, 2), 2);
	p = structure(&img, "APIC", MADT_FROM, 2, 0);
	assert_memory_equal(p, "\2\x0a\0\x09\x14\0\0\0\x0f\0", 10);
	p = structure(&img, "APIC", MADT_FROM, 2, 1);
	assert_memory_equal(p, "\2\x0a\0\x0a\x0a\0\0\0\x07\0", 10);
	acpi_image_exit(&img);
}

static void numa_nodes_have_their_cpus_memory_and_distances(void **state)
{
	struct acpi_x86 d = *machine("numa");
	struct acpi_image img;
	const uint8_t *p;
	size_t len;

	(void)state;
	build(&img, &d);
	assert_int_equal(count(&img, "SRAT", SRAT_FROM, 0), 4);
	assert_int_equal(count(&img, "SRAT", SRAT_FROM, 1), 4);
	assert_int_equal(structure(&img, "SRAT", SRAT_FROM, 0, 3)[2], 2);
	p = structure(&img, "SRAT", SRAT_FROM, 1, 2);
	assert_int_equal(le32_load(p + 2), 1);
	assert_int_equal(le64_load(p + 8), 0x40000000);
	assert_int_equal(le64_load(p + 16), 0x80000000);
	assert_int_equal(le32_load(p + 28), 1);
	p = table(&img, "SLIT", &len);
	assert_int_equal(le64_load(p + 36), 3);
	assert_memory_equal(p + 44, config_distance, 9);
	acpi_image_exit(&img);

	d.distance = NULL;
	build(&img, &d);
	p = table(&img, "SLIT", &len);
	assert_memory_equal(p + 44, "\x0a\x14\x14\x14\x0a\x14\x14\x14\x0a", 9);
	acpi_image_exit(&img);
}

static void must_say(const struct acpi_x86 *d, const char *msg)
{
	struct err e = ERR_INIT;
	struct acpi_image img;

	assert_int_equal(acpi_x86_build(d, CONFIG_BASE, &img, &e), -EINVAL);
	assert_string_equal(e.msg, msg);
	assert_null(img.tables.s);
}

static void cpus_and_nodes_that_do_not_fit_together_are_refused(void **state)
{
	static const struct acpi_cpu twice[] = {{.apic_id = 3}, {.apic_id = 3}};
	static const struct acpi_cpu strange[] = {{.apic_id = 0, .node = 3}};
	static const struct acpi_node_memory lost[] = {{.base = 0, .len = 1, .node = 3}};
	static const uint8_t skew[] = {10, 20, 20, 20, 10, 20, 20, 9, 10};
	struct acpi_x86 d = *machine("numa");

	(void)state;
	d.n_cpus = 0;
	must_say(&d, "ACPI tables for 0 CPUs (1 to 4096 can be described)");
	d.n_cpus = 4097;
	must_say(&d, "ACPI tables for 4097 CPUs (1 to 4096 can be described)");
	d.cpu = twice;
	d.n_cpus = 2;
	must_say(&d, "CPU 1: APIC id 3 does not come after 3");
	d.cpu = strange;
	d.n_cpus = 1;
	must_say(&d, "CPU 0: there is no NUMA node 3");
	d = *machine("numa");
	d.memory = lost;
	d.n_memory = 1;
	must_say(&d, "NUMA memory 0: no such node or range");
	d = *machine("numa");
	d.distance = skew;
	must_say(&d, "NUMA distance from 2 to 1 is 9 (10 for the node itself, more for any other)");
	d.n_nodes = 65;
	must_say(&d, "65 NUMA nodes (at most 64 can be described)");
}

static void devices_that_cannot_be_described_are_refused(void **state)
{
	static const struct acpi_resource ports = {
		.kind = ACPI_RESOURCE_IO, .base = 0xffff, .len = 2};
	static const struct acpi_resource memory = {
		.kind = ACPI_RESOURCE_MEMORY, .base = UINT64_MAX, .len = 1};
	static const struct acpi_resource irq = {.kind = ACPI_RESOURCE_IRQ, .base = 1ull << 32};
	struct acpi_device dev[2] = {{.name = "COM1", .hid = "PNP0501"},
				     {.name = "DEV0", .hid = "X"}};
	struct acpi_x86 d = *machine("smp");

	(void)state;
	d.device = dev;
	d.n_devices = 1;
	must_say(&d, "ACPI device COM1: the name is taken");
	dev[0].name = "C00F";
	must_say(&d, "ACPI device C00F: the name is taken");
	dev[0].name = "DEV0";
	d.n_devices = 2;
	must_say(&d, "ACPI device DEV0: two have this name");
	d.n_devices = 1;
	dev[0].name = "dev0";
	must_say(&d, "ACPI byte code: not an ACPI name ('dev0')");
	dev[0].name = "DEV0";
	dev[0].n_resources = 1;
	dev[0].resource = &ports;
	must_say(&d, "ACPI device DEV0: 2 ports from 0xffff do not exist");
	dev[0].resource = &memory;
	must_say(&d, "ACPI device DEV0: memory of 0x1 bytes at 0xffffffffffffffff does not exist");
	dev[0].resource = &irq;
	must_say(&d, "ACPI device DEV0: interrupt 0x100000000 does not exist");
	d.n_devices = 257;
	must_say(&d, "ACPI tables for 4 serial ports and 257 devices (at most 4 and 256 can be "
		     "described)");
}

static void a_pci_root_complex_must_fit_its_address_spaces(void **state)
{
	struct acpi_x86 d = *machine("pci");
	struct acpi_pci pci = config_pci;

	(void)state;
	d.pci = &pci;
	pci.ecam = 0xb0080000;
	must_say(&d, "PCI: no ECAM can be at 0xb0080000");
	pci = config_pci;
	pci.mem32_len = 0x80000000;
	must_say(&d, "PCI: the 32-bit window ends above 4 GiB");
	pci = config_pci;
	pci.mem64_len = UINT64_MAX;
	must_say(&d, "PCI: the 64-bit window has no end");
}

static void an_unaligned_address_is_refused(void **state)
{
	struct err e = ERR_INIT;
	struct acpi_image img;

	(void)state;
	assert_int_equal(acpi_x86_build(machine("up"), 0xe0001, &img, &e), -EINVAL);
	assert_string_equal(e.msg, "ACPI tables: the address is not a multiple of 64");
	assert_null(img.tables.s);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(the_same_tables_are_always_there_and_others_only_when_asked_for),
		cmocka_unit_test(the_fadt_has_the_registers_of_the_power_management_block),
		cmocka_unit_test(the_fadt_says_which_old_hardware_is_there),
		cmocka_unit_test(the_fadt_points_to_dsdt_and_facs_below_and_above_4_gib),
		cmocka_unit_test(each_cpu_has_one_entry_and_only_high_apic_ids_an_x2apic_entry),
		cmocka_unit_test(a_thousand_cpus_fit_with_their_processor_objects),
		cmocka_unit_test(
			the_sci_is_level_and_active_high_unless_the_machine_says_otherwise),
		cmocka_unit_test(numa_nodes_have_their_cpus_memory_and_distances),
		cmocka_unit_test(cpus_and_nodes_that_do_not_fit_together_are_refused),
		cmocka_unit_test(devices_that_cannot_be_described_are_refused),
		cmocka_unit_test(a_pci_root_complex_must_fit_its_address_spaces),
		cmocka_unit_test(an_unaligned_address_is_refused),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
