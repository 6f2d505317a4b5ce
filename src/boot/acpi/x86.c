/*
 * boot/acpi/x86.c - FADT, MADT, WAET, HPET, SRAT, SLIT and MCFG of an x86 machine.
 *
 * Every flag here is a question that a guest need not ask the hardware, or an answer it would get
 * wrong:
 *
 *	FADT SMI_CMD = 0	no switch into ACPI mode: no write of it, no polling of SCI_EN
 *	FADT no GPE blocks	no status and enable registers to clear
 *	FADT 8042 clear		Linux's i8042 driver leaves ports 0x60 and 0x64 alone
 *	FADT NO_VGA, NO_RTC	no probing of what is not there
 *	FADT SLP_BUTTON		no fixed sleep button: its event is not armed
 *	FADT P_LVLx_LAT		too long for C2 and C3: an idle vCPU halts, it reads no port
 *	FADT TMR_VAL_EXT	who counts all 32 bits sees the timer wrap in 20 minutes, not in 5 s
 *	MADT PCAT_COMPAT	newer kernels take the 8259s for given and do not test their masks
 *	MADT SCI override	level, active high; without it Linux assumes active low
 *	WAET			no second read of the RTC's status, no triple read of the PM timer
 *				(Windows)
 *
 * What is left of ACPI's own registers was counted with Debian's 6.1 kernel up to a shell: 22
 * accesses of PM1 (each event disabled once, GLOBAL and RTC armed and checked) and about 30 reads
 * of the PM timer.  FIX_RTC is set because it is true; Linux arms the RTC's event all the same.
 * For comparison, the RTC takes 160.
 *
 * The CPUs are in the MADT; processor objects in the DSDT are for guests that want them, and cost
 * Linux a few interpreted methods for each CPU.
 *
 * Versions are those of ACPI 6.3, which the tools of every current distribution know.
 */
#include "boot/acpi/x86.h"

#include <errno.h>
#include <string.h>

#include "arch/x86/defs.h"
#include "arch/x86/pm.h"
#include "base/endian.h"
#include "boot/acpi/fadt.h"
#include "boot/acpi/x86_dsdt.h"

#define DSDT_REVISION 2 /* integers have 64 bits */
#define MADT_REVISION 5
#define WAET_REVISION 1
#define HPET_REVISION 1
#define HPET_MIN_TICK 100

#define RTC_CENTURY_REGISTER 0x32
#define NO_C2_LATENCY	     0xffff
#define NO_C3_LATENCY	     0xffff

/* FADT boot architecture flags [table 5.11]. */
#define FADT_BOOT_LEGACY  (1u << 0)
#define FADT_BOOT_8042	  (1u << 1)
#define FADT_BOOT_NO_VGA  (1u << 2)
#define FADT_BOOT_NO_ASPM (1u << 4)
#define FADT_BOOT_NO_RTC  (1u << 5)

static uint32_t boot_arch(const struct acpi_x86 *d)
{
	uint32_t v = 0;

	if (d->n_serials || d->i8042)
		v |= FADT_BOOT_LEGACY;
	if (d->i8042)
		v |= FADT_BOOT_8042;
	if (!d->vga)
		v |= FADT_BOOT_NO_VGA;
	if (d->pci)
		v |= FADT_BOOT_NO_ASPM;
	if (!d->rtc)
		v |= FADT_BOOT_NO_RTC;
	return v;
}

static void put_fadt(struct acpi_set *s, const struct acpi_x86 *d)
{
	uint16_t pm = d->pm_base ? d->pm_base : X86_PM_BASE;
	uint64_t facs = acpi_set_address(s, "FACS"), dsdt = acpi_set_address(s, "DSDT");
	struct acpi_fadt_body f = {
		.profile = FADT_PROFILE_SERVER,
		.sci = le16_of(d->sci_irq ? d->sci_irq : X86_PM_SCI_IRQ),
		.pm1a_evt = le32_of(pm + X86_PM1_STS),
		.pm1a_cnt = le32_of(pm + X86_PM1_CNT),
		.pm_tmr = le32_of(pm + X86_PM_TMR),
		.pm1_evt_len = X86_PM1_EVT_LEN,
		.pm1_cnt_len = X86_PM1_CNT_LEN,
		.pm_tmr_len = X86_PM_TMR_LEN,
		.c2_latency = le16_of(NO_C2_LATENCY),
		.c3_latency = le16_of(NO_C3_LATENCY),
		.century = d->rtc ? RTC_CENTURY_REGISTER : 0,
		.boot_arch = le16_of((uint16_t)boot_arch(d)),
		.flags = le32_of(FADT_WBINVD | FADT_PROC_C1 | FADT_SLP_BUTTON | FADT_FIX_RTC |
				 FADT_TMR_VAL_EXT | FADT_RESET_REG | (d->vga ? 0 : FADT_HEADLESS)),
		.reset = acpi_gas_io((uint16_t)(pm + X86_PM_RESET), X86_PM_RESET_LEN, 1),
		.reset_value = X86_PM_RESET_VALUE,
		.minor = FADT_MINOR,
		.x_pm1a_evt = acpi_gas_io((uint16_t)(pm + X86_PM1_STS), X86_PM1_EVT_LEN, 2),
		.x_pm1a_cnt = acpi_gas_io((uint16_t)(pm + X86_PM1_CNT), X86_PM1_CNT_LEN, 2),
		.x_pm_tmr = acpi_gas_io((uint16_t)(pm + X86_PM_TMR), X86_PM_TMR_LEN, 4),
	};

	/* The 64-bit FACS field is for addresses that the other cannot hold; the DSDT has both. */
	if (facs <= UINT32_MAX)
		f.facs = le32_of((uint32_t)facs);
	else
		f.x_facs = le64_of(facs);
	if (dsdt <= UINT32_MAX)
		f.dsdt = le32_of((uint32_t)dsdt);
	f.x_dsdt = le64_of(dsdt);
	memcpy(f.hypervisor, d->hypervisor, sizeof(f.hypervisor));

	acpi_open(s, "FACP", FADT_REVISION, true);
	acpi_put_bytes(s, &f, sizeof(f));
	acpi_close(s);
}

/* MADT structures [ACPI 6.5 §5.2.12]. */
#define MADT_LAPIC	 0
#define MADT_IOAPIC	 1
#define MADT_OVERRIDE	 2
#define MADT_LAPIC_NMI	 4
#define MADT_X2APIC	 9
#define MADT_X2APIC_NMI	 10
#define MADT_PCAT_COMPAT 1u
#define MADT_CPU_ENABLED 1u
#define MADT_X2APIC_FROM 255u /* APIC ids that only an x2APIC entry can hold; 255 is broadcast */
#define MADT_NMI_LINT	 1

/* MPS INTI flags [table 5.26]; 0 conforms to the bus: edge, active high. */
#define INTI_LOW   0x3u
#define INTI_HIGH  0x1u
#define INTI_EDGE  0x4u
#define INTI_LEVEL 0xcu

static bool is_x2apic(const struct acpi_x86 *d, unsigned cpu)
{
	return d->cpu[cpu].apic_id >= MADT_X2APIC_FROM;
}

static void put_cpu(struct acpi_set *s, const struct acpi_x86 *d, unsigned cpu)
{
	if (is_x2apic(d, cpu)) {
		acpi_put8(s, MADT_X2APIC);
		acpi_put8(s, 16);
		acpi_put16(s, 0);
		acpi_put32(s, d->cpu[cpu].apic_id);
		acpi_put32(s, MADT_CPU_ENABLED);
		acpi_put32(s, cpu);
		return;
	}
	acpi_put8(s, MADT_LAPIC);
	acpi_put8(s, 8);
	acpi_put8(s, (uint8_t)cpu);
	acpi_put8(s, (uint8_t)d->cpu[cpu].apic_id);
	acpi_put32(s, MADT_CPU_ENABLED);
}

static void put_override(struct acpi_set *s, const struct acpi_override *o)
{
	unsigned flags = 0;

	if (o->level || o->low)
		flags = (o->level ? INTI_LEVEL : INTI_EDGE) | (o->low ? INTI_LOW : INTI_HIGH);
	acpi_put8(s, MADT_OVERRIDE);
	acpi_put8(s, 10);
	acpi_put8(s, 0); /* ISA */
	acpi_put8(s, o->irq);
	acpi_put32(s, o->gsi);
	acpi_put16(s, (uint16_t)flags);
}

static void put_overrides(struct acpi_set *s, const struct acpi_x86 *d)
{
	uint8_t sci = d->sci_irq ? d->sci_irq : X86_PM_SCI_IRQ;
	bool seen = false;

	for (unsigned i = 0; i < d->n_overrides; i++) {
		put_override(s, &d->override[i]);
		seen |= d->override[i].irq == sci;
	}
	if (!seen)
		put_override(s, &(struct acpi_override){.irq = sci, .gsi = sci, .level = true});
}

/* LINT1 of all CPUs is NMI, as on every PC. */
static void put_nmis(struct acpi_set *s, const struct acpi_x86 *d)
{
	acpi_put8(s, MADT_LAPIC_NMI);
	acpi_put8(s, 6);
	acpi_put8(s, UINT8_MAX);
	acpi_put16(s, 0);
	acpi_put8(s, MADT_NMI_LINT);
	if (!is_x2apic(d, d->n_cpus - 1))
		return;
	acpi_put8(s, MADT_X2APIC_NMI);
	acpi_put8(s, 12);
	acpi_put16(s, 0);
	acpi_put32(s, UINT32_MAX);
	acpi_put8(s, MADT_NMI_LINT);
	acpi_put_zeros(s, 3);
}

static void put_madt(struct acpi_set *s, const struct acpi_x86 *d)
{
	acpi_open(s, "APIC", MADT_REVISION, true);
	acpi_put32(s, d->lapic_addr ? d->lapic_addr : X86_LAPIC_ADDR);
	acpi_put32(s, d->pic ? MADT_PCAT_COMPAT : 0);
	for (unsigned i = 0; i < d->n_cpus; i++)
		put_cpu(s, d, i);
	for (unsigned i = 0; i < d->n_ioapics; i++) {
		acpi_put8(s, MADT_IOAPIC);
		acpi_put8(s, 12);
		acpi_put8(s, d->ioapic[i].id);
		acpi_put8(s, 0);
		acpi_put32(s, d->ioapic[i].addr);
		acpi_put32(s, d->ioapic[i].gsi_base);
	}
	put_overrides(s, d);
	put_nmis(s, d);
	acpi_close(s);
}

/* [Windows ACPI Emulated Devices Table 1.0] */
static void put_waet(struct acpi_set *s, const struct acpi_x86 *d)
{
	acpi_open(s, "WAET", WAET_REVISION, true);
	acpi_put32(s, (d->rtc ? 1u : 0u) | 2u); /* RTC good, PM timer good */
	acpi_close(s);
}

/* [IA-PC HPET 1.0a §3.2.4] */
static void put_hpet(struct acpi_set *s, const struct acpi_x86 *d)
{
	acpi_open(s, "HPET", HPET_REVISION, true);
	acpi_put32(s, d->hpet_id);
	acpi_put8(s, 0); /* generic address: memory, */
	acpi_put8(s, 64);
	acpi_put8(s, 0);
	acpi_put8(s, 0);
	acpi_put64(s, d->hpet);
	acpi_put8(s, 0); /* the first one */
	acpi_put16(s, HPET_MIN_TICK);
	acpi_put8(s, 0); /* nothing else is in its page, and no promise is needed */
	acpi_close(s);
}

/* SRAT structures [ACPI 6.5 §5.2.16]. */
#define SRAT_LAPIC   0
#define SRAT_X2APIC  2
#define SRAT_ENABLED 1u

static void put_cpu_affinity(struct acpi_set *s, const struct acpi_x86 *d, unsigned cpu)
{
	uint32_t node = d->cpu[cpu].node;

	if (is_x2apic(d, cpu)) {
		acpi_put8(s, SRAT_X2APIC);
		acpi_put8(s, 24);
		acpi_put16(s, 0);
		acpi_put32(s, node);
		acpi_put32(s, d->cpu[cpu].apic_id);
		acpi_put32(s, SRAT_ENABLED);
		acpi_put_zeros(s, 8); /* clock domain, reserved */
		return;
	}
	acpi_put8(s, SRAT_LAPIC);
	acpi_put8(s, 16);
	acpi_put8(s, (uint8_t)node);
	acpi_put8(s, (uint8_t)d->cpu[cpu].apic_id);
	acpi_put32(s, SRAT_ENABLED);
	acpi_put8(s, 0); /* SAPIC EID */
	acpi_put8(s, (uint8_t)(node >> 8));
	acpi_put8(s, (uint8_t)(node >> 16));
	acpi_put8(s, (uint8_t)(node >> 24));
	acpi_put32(s, 0); /* clock domain */
}

static struct acpi_numa numa_of(const struct acpi_x86 *d)
{
	return (struct acpi_numa){d->n_nodes, d->memory, d->n_memory, d->distance};
}

static void put_numa(struct acpi_set *s, const struct acpi_x86 *d)
{
	struct acpi_numa numa = numa_of(d);

	acpi_srat_open(s);
	for (unsigned i = 0; i < d->n_cpus; i++)
		put_cpu_affinity(s, d, i);
	acpi_srat_close(s, &numa);
	acpi_put_slit(s, &numa);
}

static int check_cpus(const struct acpi_x86 *d, struct err *e)
{
	if (!d->n_cpus || d->n_cpus > ACPI_X86_CPUS_MAX)
		return err_set(e, -EINVAL, "ACPI tables for %u CPUs (1 to %u can be described)",
			       d->n_cpus, ACPI_X86_CPUS_MAX);
	for (unsigned i = 0; i < d->n_cpus; i++) {
		if (i && d->cpu[i].apic_id <= d->cpu[i - 1].apic_id)
			return err_set(e, -EINVAL, "CPU %u: APIC id %u does not come after %u", i,
				       d->cpu[i].apic_id, d->cpu[i - 1].apic_id);
		if (d->n_nodes && d->cpu[i].node >= d->n_nodes)
			return err_set(e, -EINVAL, "CPU %u: there is no NUMA node %u", i,
				       d->cpu[i].node);
	}
	return 0;
}

static int check(const struct acpi_x86 *d, struct err *e)
{
	struct acpi_numa numa = numa_of(d);
	int ret = check_cpus(d, e);

	if (!ret)
		ret = acpi_numa_check(&numa, e);
	if (!ret && d->pci)
		ret = acpi_pci_check(d->pci, e);
	if (!ret && (d->n_serials > ACPI_X86_SERIALS_MAX || d->n_devices > ACPI_X86_DEVICES_MAX))
		ret = err_set(e, -EINVAL,
			      "ACPI tables for %u serial ports and %u devices (at most "
			      "%u and %u can be described)",
			      d->n_serials, d->n_devices, ACPI_X86_SERIALS_MAX,
			      ACPI_X86_DEVICES_MAX);
	return ret;
}

int acpi_x86_build(const struct acpi_x86 *d, uint64_t base, struct acpi_image *img, struct err *e)
{
	struct strbuf dsdt;
	struct acpi_set s;
	int ret;

	*img = (struct acpi_image){0};
	ret = check(d, e);
	if (!ret)
		ret = acpi_x86_dsdt(d, &dsdt, e);
	if (ret)
		return ret;
	acpi_set_begin(&s, img, base, d->oem_table ? d->oem_table : "LODGE");
	acpi_add_facs(&s);
	acpi_open(&s, "DSDT", DSDT_REVISION, false);
	acpi_put_bytes(&s, dsdt.s, dsdt.len);
	acpi_close(&s);
	strbuf_exit(&dsdt);
	put_fadt(&s, d);
	put_madt(&s, d);
	put_waet(&s, d);
	if (d->hpet)
		put_hpet(&s, d);
	if (d->n_nodes)
		put_numa(&s, d);
	if (d->pci)
		acpi_put_mcfg(&s, d->pci);
	return acpi_set_finish(&s, e);
}
