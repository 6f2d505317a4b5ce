/*
 * boot/acpi/x86.c - FADT, MADT, WAET, SRAT, SLIT and MCFG of an x86 machine.
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
#include "boot/acpi/x86_dsdt.h"

#define FADT_REVISION 6
#define FADT_MINOR    3
#define DSDT_REVISION 2 /* integers have 64 bits */
#define MADT_REVISION 5
#define SRAT_REVISION 3
#define SLIT_REVISION 1
#define MCFG_REVISION 1
#define WAET_REVISION 1

#define RTC_CENTURY_REGISTER 0x32
#define PROFILE_SERVER	     4 /* enterprise server */
#define NO_C2_LATENCY	     0xffff
#define NO_C3_LATENCY	     0xffff

/* FADT feature flags [ACPI 6.5 §5.2.9, table 5.10]. */
#define FADT_WBINVD	 (1u << 0)
#define FADT_PROC_C1	 (1u << 2)
#define FADT_SLP_BUTTON	 (1u << 5) /* no fixed sleep button; PWR_BUTTON clear: there is one */
#define FADT_FIX_RTC	 (1u << 6) /* no RTC wake event in PM1 */
#define FADT_TMR_VAL_EXT (1u << 8)
#define FADT_RESET_REG	 (1u << 10)
#define FADT_HEADLESS	 (1u << 12)

/* FADT boot architecture flags [table 5.11]. */
#define FADT_BOOT_LEGACY  (1u << 0)
#define FADT_BOOT_8042	  (1u << 1)
#define FADT_BOOT_NO_VGA  (1u << 2)
#define FADT_BOOT_NO_ASPM (1u << 4)
#define FADT_BOOT_NO_RTC  (1u << 5)

struct acpi_fadt_body { /* behind the header [ACPI 6.5 §5.2.9] */
	le32 facs, dsdt;
	uint8_t reserved1, profile;
	le16 sci;
	le32 smi_cmd;
	uint8_t acpi_enable, acpi_disable, s4bios, pstate_cnt;
	le32 pm1a_evt, pm1b_evt, pm1a_cnt, pm1b_cnt, pm2_cnt, pm_tmr, gpe0, gpe1;
	uint8_t pm1_evt_len, pm1_cnt_len, pm2_cnt_len, pm_tmr_len;
	uint8_t gpe0_len, gpe1_len, gpe1_base, cst_cnt;
	le16 c2_latency, c3_latency, flush_size, flush_stride;
	uint8_t duty_offset, duty_width, day_alarm, month_alarm, century;
	le16 boot_arch;
	uint8_t reserved2;
	le32 flags;
	struct acpi_gas reset;
	uint8_t reset_value;
	le16 arm_boot_arch;
	uint8_t minor;
	le64 x_facs, x_dsdt;
	struct acpi_gas x_pm1a_evt, x_pm1b_evt, x_pm1a_cnt, x_pm1b_cnt, x_pm2_cnt, x_pm_tmr;
	struct acpi_gas x_gpe0, x_gpe1, sleep_control, sleep_status;
	char hypervisor[8];
} PACKED;
_Static_assert(sizeof(struct acpi_fadt_body) == 276 - ACPI_HEADER_LEN, "FADT");

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
		.profile = PROFILE_SERVER,
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

/* SRAT structures [ACPI 6.5 §5.2.16]. */
#define SRAT_LAPIC   0
#define SRAT_MEMORY  1
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

static void put_srat(struct acpi_set *s, const struct acpi_x86 *d)
{
	acpi_open(s, "SRAT", SRAT_REVISION, true);
	acpi_put32(s, 1); /* reserved, 1 for compatibility */
	acpi_put_zeros(s, 8);
	for (unsigned i = 0; i < d->n_cpus; i++)
		put_cpu_affinity(s, d, i);
	for (unsigned i = 0; i < d->n_memory; i++) {
		acpi_put8(s, SRAT_MEMORY);
		acpi_put8(s, 40);
		acpi_put32(s, d->memory[i].node);
		acpi_put16(s, 0);
		acpi_put64(s, d->memory[i].base);
		acpi_put64(s, d->memory[i].len);
		acpi_put32(s, 0);
		acpi_put32(s, SRAT_ENABLED);
		acpi_put_zeros(s, 8);
	}
	acpi_close(s);
}

#define SLIT_LOCAL  10u
#define SLIT_REMOTE 20u

static uint8_t distance(const struct acpi_x86 *d, unsigned from, unsigned to)
{
	if (d->distance)
		return d->distance[from * d->n_nodes + to];
	return from == to ? SLIT_LOCAL : SLIT_REMOTE;
}

static void put_slit(struct acpi_set *s, const struct acpi_x86 *d)
{
	acpi_open(s, "SLIT", SLIT_REVISION, true);
	acpi_put64(s, d->n_nodes);
	for (unsigned i = 0; i < d->n_nodes; i++)
		for (unsigned j = 0; j < d->n_nodes; j++)
			acpi_put8(s, distance(d, i, j));
	acpi_close(s);
}

/* [PCI Firmware 3.3 §4.1.2] */
static void put_mcfg(struct acpi_set *s, const struct acpi_pci *pci)
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

/* A guest throws away a SLIT with a wrong entry; we do not make one. */
static int check_nodes(const struct acpi_x86 *d, struct err *e)
{
	uint64_t end;

	if (d->n_nodes > ACPI_X86_NODES_MAX)
		return err_set(e, -EINVAL, "%u NUMA nodes (at most %u can be described)",
			       d->n_nodes, ACPI_X86_NODES_MAX);
	for (unsigned i = 0; d->n_nodes && i < d->n_memory; i++) {
		const struct acpi_node_memory *m = &d->memory[i];

		if (m->node >= d->n_nodes || !m->len || ADD_OVERFLOWS(m->base, m->len, &end))
			return err_set(e, -EINVAL, "NUMA memory %u: no such node or range", i);
	}
	for (unsigned i = 0; i < d->n_nodes; i++)
		for (unsigned j = 0; j < d->n_nodes; j++)
			if ((i == j) != (distance(d, i, j) == SLIT_LOCAL) ||
			    distance(d, i, j) < SLIT_LOCAL)
				return err_set(e, -EINVAL,
					       "NUMA distance from %u to %u is %u (%u for the node "
					       "itself, more for any other)",
					       i, j, distance(d, i, j), SLIT_LOCAL);
	return 0;
}

static int check_pci(const struct acpi_pci *p, struct err *e)
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

static int check(const struct acpi_x86 *d, struct err *e)
{
	int ret = check_cpus(d, e);

	if (!ret)
		ret = check_nodes(d, e);
	if (!ret && d->pci)
		ret = check_pci(d->pci, e);
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
	if (d->n_nodes) {
		put_srat(&s, d);
		put_slit(&s, d);
	}
	if (d->pci)
		put_mcfg(&s, d->pci);
	return acpi_set_finish(&s, e);
}
