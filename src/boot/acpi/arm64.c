/*
 * boot/acpi/arm64.c - FADT, MADT, GTDT, PPTT, SPCR, DBG2, SRAT, SLIT, MCFG and IORT.
 *
 * The machine is hardware-reduced: no PM registers, no SCI, no FACS.  CPUs are started and the
 * machine is reset and turned off by PSCI, by HVC (FADT, ARM_BOOT_ARCH).  GSIs are INTIDs.
 *
 * Versions are those of ACPI 6.3, which the tools of every current distribution know.
 */
#include "boot/acpi/arm64.h"

#include <string.h>

#include "boot/acpi/arm64_dsdt.h"
#include "boot/acpi/fadt.h"

#define DSDT_REVISION 2 /* integers have 64 bits */
#define MADT_REVISION 5
#define GTDT_REVISION 3
#define PPTT_REVISION 2
#define SPCR_REVISION 2
#define DBG2_REVISION 0
#define IORT_REVISION 0

static uint32_t ppi(uint8_t n)
{
	return n + ARM64_PPI_BASE;
}

static struct acpi_gas gas_memory(uint64_t addr)
{
	return (struct acpi_gas){.bits = 32, .access = 3, .addr = le64_of(addr)};
}

static void put_fadt(struct acpi_set *s, const struct arm64_board *b)
{
	struct acpi_fadt_body f = {
		.profile = FADT_PROFILE_SERVER,
		.flags = le32_of(FADT_HW_REDUCED | FADT_HEADLESS),
		.arm_boot_arch = le16_of(FADT_ARM_PSCI | FADT_ARM_PSCI_HVC),
		.minor = FADT_MINOR,
		.x_dsdt = le64_of(acpi_set_address(s, "DSDT")),
	};

	memcpy(f.hypervisor, b->hypervisor, sizeof(f.hypervisor));
	acpi_open(s, "FACP", FADT_REVISION, true);
	acpi_put_bytes(s, &f, sizeof(f));
	acpi_close(s);
}

/* MADT structures [ACPI 6.5 §5.2.12.14 to 18]. */
#define MADT_GICC	 11
#define MADT_GICD	 12
#define MADT_GICR	 14
#define MADT_ITS	 15
#define MADT_CPU_ENABLED 1u

struct madt_gicc {
	uint8_t type, len;
	le16 reserved1;
	le32 interface, uid, flags, parking, pmu;
	le64 parked, base, gicv, gich;
	le32 maintenance;
	le64 gicr, mpidr;
	uint8_t efficiency, reserved2;
	le16 spe;
} PACKED;
_Static_assert(sizeof(struct madt_gicc) == 80, "GICC of ACPI 6.3");

static void put_gicc(struct acpi_set *s, const struct arm64_board *b, unsigned cpu)
{
	struct madt_gicc g = {
		.type = MADT_GICC,
		.len = sizeof(g),
		.interface = le32_of(cpu),
		.uid = le32_of(cpu),
		.flags = le32_of(MADT_CPU_ENABLED),
		.pmu = le32_of(b->pmu_ppi ? ppi(b->pmu_ppi) : 0),
		.base = le64_of(b->gic.version == 2 ? b->gic.cpu : 0),
		.mpidr = le64_of(b->cpu[cpu].mpidr),
	};

	acpi_put_bytes(s, &g, sizeof(g));
}

static void put_madt(struct acpi_set *s, const struct arm64_board *b)
{
	const struct arm64_gic *g = &b->gic;

	acpi_open(s, "APIC", MADT_REVISION, true);
	acpi_put32(s, 0); /* no local APIC */
	acpi_put32(s, 0);
	acpi_put8(s, MADT_GICD);
	acpi_put8(s, 24);
	acpi_put16(s, 0);
	acpi_put32(s, 0); /* GIC id */
	acpi_put64(s, g->dist);
	acpi_put32(s, 0); /* vector base */
	acpi_put8(s, (uint8_t)g->version);
	acpi_put_zeros(s, 3);
	for (unsigned i = 0; i < b->n_cpus; i++)
		put_gicc(s, b, i);
	for (unsigned i = 0; g->version == 3 && i < g->n_redists; i++) {
		acpi_put8(s, MADT_GICR);
		acpi_put8(s, 16);
		acpi_put16(s, 0);
		acpi_put64(s, g->redist[i].base);
		acpi_put32(s, (uint32_t)g->redist[i].len);
	}
	if (g->version == 3 && g->its) {
		acpi_put8(s, MADT_ITS);
		acpi_put8(s, 20);
		acpi_put16(s, 0);
		acpi_put32(s, 0); /* ITS id, as in IORT */
		acpi_put64(s, g->its);
		acpi_put32(s, 0);
	}
	acpi_close(s);
}

#define GTDT_NONE      UINT64_MAX /* no memory-mapped counter */
#define GTDT_ALWAYS_ON 4u	  /* level-triggered, active high; counts while the CPU idles */

/* [ACPI 6.5 §5.2.25] */
static void put_gtdt(struct acpi_set *s, const struct arm64_board *b)
{
	const uint8_t timer[] = {b->timer.secure, b->timer.nonsecure, b->timer.virt, b->timer.hyp};

	acpi_open(s, "GTDT", GTDT_REVISION, true);
	acpi_put64(s, GTDT_NONE);
	acpi_put32(s, 0);
	for (unsigned i = 0; i < ARRAY_LEN(timer); i++) {
		acpi_put32(s, ppi(timer[i]));
		acpi_put32(s, GTDT_ALWAYS_ON);
	}
	acpi_put64(s, GTDT_NONE);
	acpi_put32(s, 0); /* no platform timers */
	acpi_put32(s, 0);
	acpi_put32(s, 0); /* no virtual timer at EL2 */
	acpi_put32(s, 0);
	acpi_close(s);
}

#define PPTT_PROCESSOR	0
#define PPTT_CACHE	1
#define PPTT_NODE_LEN	20u /* and 4 for each cache */
#define PPTT_CACHE_LEN	24u
#define PPTT_PACKAGE	1u
#define PPTT_UID_VALID	2u
#define PPTT_THREAD	4u
#define PPTT_LEAF	8u
#define PPTT_IDENTICAL	16u
#define PPTT_TYPE_VALID 16u /* of a cache; nothing else about it is known */

/* Cache types as in CLIDR_EL1's Ctype fields [Arm ARM D19.2.27]. */
enum { CACHE_NONE, CACHE_INSTRUCTION, CACHE_DATA, CACHE_SEPARATE, CACHE_UNIFIED };
#define PPTT_DATA	 (0u << 2)
#define PPTT_INSTRUCTION (1u << 2)
#define PPTT_UNIFIED	 (2u << 2)

/* Offsets of cache structures in the table; 0: none. */
struct caches {
	uint32_t core[2]; /* the innermost data and instruction cache */
	uint32_t package;
};

static uint32_t pptt_offset(const struct acpi_set *s)
{
	return (uint32_t)(s->img->tables.len - s->start);
}

static uint32_t put_cache(struct acpi_set *s, uint8_t type, uint32_t next)
{
	uint32_t off = pptt_offset(s);

	acpi_put8(s, PPTT_CACHE);
	acpi_put8(s, PPTT_CACHE_LEN);
	acpi_put16(s, 0);
	acpi_put32(s, PPTT_TYPE_VALID);
	acpi_put32(s, next);
	acpi_put32(s, 0); /* size */
	acpi_put32(s, 0); /* sets */
	acpi_put8(s, 0);  /* ways */
	acpi_put8(s, type);
	acpi_put16(s, 0); /* bytes in a line */
	return off;
}

static unsigned cache_type(uint64_t clidr, unsigned level)
{
	return level > 7 ? CACHE_NONE : clidr >> (level - 1) * 3 & 7;
}

/*
 * Linux wants to find here what CLIDR_EL1 says, no more and no less: it makes room by the one and
 * fills it by the other.  Outer caches come first, because inner ones refer to them.  The outermost
 * is the package's if it is unified and not the only one: a guest's scheduler takes CPUs without a
 * common cache for strangers.
 */
static struct caches put_caches(struct acpi_set *s, uint64_t clidr)
{
	struct caches c = {0};
	unsigned level = 0;

	while (cache_type(clidr, level + 1) != CACHE_NONE)
		level++;
	if (level > 1 && cache_type(clidr, level) == CACHE_UNIFIED) {
		c.package = put_cache(s, PPTT_UNIFIED, 0);
		level--;
	}
	for (; level > 0; level--) {
		unsigned type = cache_type(clidr, level);

		if (type == CACHE_DATA || type == CACHE_SEPARATE)
			c.core[0] = put_cache(s, PPTT_DATA, c.core[0]);
		if (type == CACHE_INSTRUCTION || type == CACHE_SEPARATE)
			c.core[1] = put_cache(s, PPTT_INSTRUCTION, c.core[1]);
		if (type >= CACHE_UNIFIED)
			c.core[0] = c.core[1] = put_cache(s, PPTT_UNIFIED, c.core[0]);
	}
	if (c.core[0] == c.core[1])
		c.core[1] = 0;
	return c;
}

/*
 * Adds a processor node with @n caches of its own, those that are 0 left out; returns its offset in
 * the table, by which its children refer to it.
 */
static uint32_t put_processor(struct acpi_set *s, uint32_t flags, uint32_t parent, uint32_t uid,
			      const uint32_t *cache, unsigned n)
{
	uint32_t off = pptt_offset(s), there = 0;

	for (unsigned i = 0; i < n; i++)
		there += cache[i] != 0;
	acpi_put8(s, PPTT_PROCESSOR);
	acpi_put8(s, (uint8_t)(PPTT_NODE_LEN + there * 4));
	acpi_put16(s, 0);
	acpi_put32(s, flags | PPTT_IDENTICAL);
	acpi_put32(s, parent);
	acpi_put32(s, uid);
	acpi_put32(s, there);
	for (unsigned i = 0; i < n; i++)
		if (cache[i])
			acpi_put32(s, cache[i]);
	return off;
}

/* [ACPI 6.5 §5.2.30]: packages, cores, and threads if there are any. */
static void put_pptt(struct acpi_set *s, const struct arm64_board *b)
{
	unsigned threads = b->threads ? b->threads : 1, cores = b->cores ? b->cores : b->n_cpus;
	uint32_t package = 0, core = 0;
	struct caches c;

	acpi_open(s, "PPTT", PPTT_REVISION, true);
	c = put_caches(s, b->clidr);
	for (unsigned i = 0; i < b->n_cpus; i++) {
		if (i % (cores * threads) == 0)
			package = put_processor(s, PPTT_PACKAGE, 0, i / (cores * threads),
						&c.package, 1);
		if (threads == 1) {
			put_processor(s, PPTT_UID_VALID | PPTT_LEAF, package, i, c.core, 2);
			continue;
		}
		if (i % threads == 0)
			core = put_processor(s, 0, package, i / threads % cores, c.core, 2);
		put_processor(s, PPTT_UID_VALID | PPTT_LEAF | PPTT_THREAD, core, i, NULL, 0);
	}
	acpi_close(s);
}

#define PORT_SERIAL   0x8000u
#define PORT_PL011    3u
#define SPCR_IRQ_GIC  8u
#define SPCR_115200   7u /* what a driver asks of a line that has no speed */
#define SPCR_STOP_1   1u
#define SPCR_ANSI     3u
#define NO_PCI_DEVICE 0xffffu

/* [Microsoft, Serial Port Console Redirection Table 1.07] */
static void put_spcr(struct acpi_set *s, const struct arm64_chip *uart)
{
	struct acpi_gas gas = gas_memory(uart->base);

	acpi_open(s, "SPCR", SPCR_REVISION, true);
	acpi_put8(s, PORT_PL011);
	acpi_put_zeros(s, 3);
	acpi_put_bytes(s, &gas, sizeof(gas));
	acpi_put8(s, SPCR_IRQ_GIC);
	acpi_put8(s, 0);
	acpi_put32(s, ARM64_SPI_BASE + uart->spi);
	acpi_put8(s, SPCR_115200);
	acpi_put8(s, 0); /* no parity */
	acpi_put8(s, SPCR_STOP_1);
	acpi_put8(s, 0); /* no flow control */
	acpi_put8(s, SPCR_ANSI);
	acpi_put8(s, 0);
	acpi_put16(s, NO_PCI_DEVICE);
	acpi_put16(s, NO_PCI_DEVICE);
	acpi_put_zeros(s, 3 + 4 + 1 + 4); /* PCI address and flags, segment, reserved */
	acpi_close(s);
}

/* [Microsoft Debug Port Table 2] */
static void put_dbg2(struct acpi_set *s, const struct arm64_chip *uart)
{
	const unsigned head = 22, gas_off = head, size_off = head + 12, name_off = size_off + 4;
	struct acpi_gas gas = gas_memory(uart->base);

	acpi_open(s, "DBG2", DBG2_REVISION, true);
	acpi_put32(s, ACPI_HEADER_LEN + 8); /* first device */
	acpi_put32(s, 1);
	acpi_put8(s, 0); /* revision */
	acpi_put16(s, (uint16_t)(name_off + sizeof(ACPI_ARM64_UART)));
	acpi_put8(s, 1); /* register ranges */
	acpi_put16(s, sizeof(ACPI_ARM64_UART));
	acpi_put16(s, (uint16_t)name_off);
	acpi_put16(s, 0); /* OEM data */
	acpi_put16(s, 0);
	acpi_put16(s, PORT_SERIAL);
	acpi_put16(s, PORT_PL011);
	acpi_put16(s, 0);
	acpi_put16(s, (uint16_t)gas_off);
	acpi_put16(s, (uint16_t)size_off);
	acpi_put_bytes(s, &gas, sizeof(gas));
	acpi_put32(s, ARM64_CHIP_LEN);
	acpi_put_bytes(s, ACPI_ARM64_UART, sizeof(ACPI_ARM64_UART));
	acpi_close(s);
}

#define SRAT_GICC    3
#define SRAT_ENABLED 1u

static void put_numa(struct acpi_set *s, const struct arm64_board *b)
{
	struct acpi_numa numa = {b->n_nodes, b->memory, b->n_memory, b->distance};

	acpi_srat_open(s);
	for (unsigned i = 0; i < b->n_cpus; i++) {
		acpi_put8(s, SRAT_GICC);
		acpi_put8(s, 18);
		acpi_put32(s, b->cpu[i].node);
		acpi_put32(s, i); /* processor UID */
		acpi_put32(s, SRAT_ENABLED);
		acpi_put32(s, 0); /* clock domain */
	}
	acpi_srat_close(s, &numa);
	acpi_put_slit(s, &numa);
}

#define IORT_HEAD_LEN  48u
#define IORT_ITS_LEN   24u
#define IORT_ROOT_LEN  36u
#define IORT_MAP_LEN   20u
#define IORT_ITS       0
#define IORT_ROOT      2
#define IORT_COHERENT  1u
#define IORT_CPM_DACS  3u /* coherent path to memory, device attributes are cacheable */
#define IORT_ADDR_BITS 64
#define IORT_ALL_IDS   0xffffu /* a number of ids, minus one */

/* [Arm DEN0049]: every requester id of the root complex is the same device id of the ITS. */
static void put_iort(struct acpi_set *s)
{
	acpi_open(s, "IORT", IORT_REVISION, true);
	acpi_put32(s, 2);
	acpi_put32(s, IORT_HEAD_LEN);
	acpi_put32(s, 0);

	acpi_put8(s, IORT_ITS);
	acpi_put16(s, IORT_ITS_LEN);
	acpi_put8(s, 0);
	acpi_put32(s, 0);
	acpi_put32(s, 0); /* no mappings */
	acpi_put32(s, 0);
	acpi_put32(s, 1);
	acpi_put32(s, 0); /* the ITS's id in the MADT */

	acpi_put8(s, IORT_ROOT);
	acpi_put16(s, IORT_ROOT_LEN + IORT_MAP_LEN);
	acpi_put8(s, 1);
	acpi_put32(s, 0);
	acpi_put32(s, 1); /* one mapping */
	acpi_put32(s, IORT_ROOT_LEN);
	acpi_put32(s, IORT_COHERENT);
	acpi_put8(s, 0);
	acpi_put16(s, 0);
	acpi_put8(s, IORT_CPM_DACS);
	acpi_put32(s, 0); /* no ATS */
	acpi_put32(s, 0); /* segment */
	acpi_put8(s, IORT_ADDR_BITS);
	acpi_put_zeros(s, 3);
	acpi_put32(s, 0);
	acpi_put32(s, IORT_ALL_IDS);
	acpi_put32(s, 0);
	acpi_put32(s, IORT_HEAD_LEN);
	acpi_put32(s, 0);
	acpi_close(s);
}

int acpi_arm64_build(const struct arm64_board *b, uint64_t base, struct acpi_image *img,
		     struct err *e)
{
	struct strbuf dsdt;
	struct acpi_set s;
	int ret;

	*img = (struct acpi_image){0};
	ret = arm64_board_check(b, e);
	if (!ret)
		ret = acpi_arm64_dsdt(b, &dsdt, e);
	if (ret)
		return ret;
	acpi_set_begin(&s, img, base, b->oem_table ? b->oem_table : "VIRT");
	acpi_open(&s, "DSDT", DSDT_REVISION, false);
	acpi_put_bytes(&s, dsdt.s, dsdt.len);
	acpi_close(&s);
	strbuf_exit(&dsdt);
	put_fadt(&s, b);
	put_madt(&s, b);
	put_gtdt(&s, b);
	put_pptt(&s, b);
	if (b->uart.base) {
		put_spcr(&s, &b->uart);
		put_dbg2(&s, &b->uart);
	}
	if (b->n_nodes)
		put_numa(&s, b);
	if (b->pci) {
		acpi_put_mcfg(&s, b->pci);
		if (b->gic.version == 3 && b->gic.its)
			put_iort(&s);
	}
	return acpi_set_finish(&s, e);
}
