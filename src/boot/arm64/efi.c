/*
 * boot/arm64/efi.c - an EFI system table, as a kernel sees it after its EFI stub has run.
 *
 * Linux on arm64 looks for ACPI and SMBIOS tables in EFI's configuration table only, and for EFI in
 * /chosen (linux,uefi-*).  It then takes its memory from the EFI memory map and no longer from the
 * device tree (drivers/firmware/efi/efi-init.c), and with a tree that has nothing but /chosen it
 * turns to ACPI (arch/arm64/kernel/acpi.c).
 *
 * Of the runtime services GetTime works if there is a PL031, which ACPI has no other way to give to
 * the guest: a few instructions that read it (efi_time.S).  All others return EFI_UNSUPPORTED.
 * Kernels since 5.7 do not even call those: EFI_RT_PROPERTIES_TABLE says which there are [UEFI 2.10
 * §4.6.2].  Linux takes its clock only from an EFI that has all four functions of time in there, so
 * they are; it lives with a SetTime and wake-ups that are refused.
 *
 * The runtime regions have virtual addresses already, since for the kernel SetVirtualAddressMap was
 * called; they are in the range that Linux's stub uses, and like there in the lower half.
 *
 * Linux's stub also leaves a list of memory that the kernel reserves for the next one after kexec
 * (LINUX_EFI_MEMRESERVE_TABLE in include/linux/efi.h); the GIC's driver complains if there is none
 * to add its LPI tables to.
 *
 * The system table lies in the runtime region because kernels before 5.6 demand it.
 */
#include "boot/arm64/efi.h"

#include <errno.h>
#include <string.h>

#include "base/endian.h"
#include "boot/acpi/arm64.h"
#include "boot/arm64/efi_time.h"

/* Memory types and attributes [UEFI 2.10 §7.2]. */
#define EFI_RUNTIME_CODE     5
#define EFI_CONVENTIONAL     7
#define EFI_ACPI_RECLAIM     9
#define EFI_MMIO	     11
#define EFI_MEMORY_UC	     UINT64_C(0x1)
#define EFI_MEMORY_CACHEABLE UINT64_C(0xf) /* UC, WC, WT and WB are all possible */
#define EFI_MEMORY_RUNTIME   (UINT64_C(1) << 63)
#define EFI_PAGE	     4096u
#define EFI_DESC_VERSION     1u

#define EFI_REVISION	 0x00020046u		      /* 2.7 */
#define EFI_SYSTEM_SIG	 UINT64_C(0x5453595320494249) /* "IBI SYST" */
#define EFI_RUNTIME_SIG	 UINT64_C(0x56524553544e5552) /* "RUNTSERV" */
#define RUNTIME_SERVICES 14u

/* Where Linux's stub begins to map runtime regions. */
#define RUNTIME_VIRT UINT64_C(0x20000000)
#define RTC_VIRT     (RUNTIME_VIRT + EFI_ALIGN)

/* GetTime, SetTime, GetWakeupTime, SetWakeupTime [UEFI 2.10 §4.6.2]. */
#define RT_TIME_SERVICES 0x000fu

/* Offsets in the block. */
#define OFF_CODE     0x000u
#define OFF_RUNTIME  0x100u
#define OFF_SYSTEM   0x200u
#define OFF_TIME     0x400u
#define OFF_RECLAIM  KIB(64)
#define OFF_VENDOR   (OFF_RECLAIM + 0x000)
#define OFF_CONFIG   (OFF_RECLAIM + 0x040)
#define OFF_RT_PROPS (OFF_RECLAIM + 0x0b0)
#define OFF_RESERVE  (OFF_RECLAIM + 0x0c0) /* 16 bytes of 0: an empty list */
#define OFF_RSDP     (OFF_RECLAIM + 0x0d0)
#define OFF_SMBIOS   (OFF_RECLAIM + 0x100)
#define OFF_MAP	     (OFF_RECLAIM + 0x140)

struct efi_header {
	le64 sig;
	le32 revision, len, crc, reserved;
} PACKED;

/* [UEFI 2.10 §4.3] */
struct efi_system {
	struct efi_header h;
	le64 vendor;
	le32 vendor_revision, pad;
	le64 con_in_handle, con_in, con_out_handle, con_out, std_err_handle, std_err;
	le64 runtime, boot, n_tables, tables;
} PACKED;
_Static_assert(sizeof(struct efi_system) == 120, "EFI_SYSTEM_TABLE");

/* [UEFI 2.10 §4.5] */
struct efi_runtime {
	struct efi_header h;
	le64 service[RUNTIME_SERVICES];
} PACKED;

/* [UEFI 2.10 §4.6] */
struct efi_config {
	uint8_t guid[16];
	le64 table;
} PACKED;

/* [UEFI 2.10 §7.2.3] */
struct efi_descriptor {
	le32 type, pad;
	le64 phys, virt, pages, attribute;
} PACKED;
_Static_assert(sizeof(struct efi_descriptor) == 40, "EFI_MEMORY_DESCRIPTOR");

/* Every range of memory, of which the block makes at most three more, and the RTC. */
#define MAP_MAX	 (ARM64_BOARD_MEMORY_MAX + 4)
#define OFF_ACPI ALIGN_UP(OFF_MAP + MAP_MAX * sizeof(struct efi_descriptor), ACPI_ALIGN)

/* Guids in the order of their bytes in memory. */
static const uint8_t guid_acpi20[16] = {0x71, 0xe8, 0x68, 0x88, 0xf1, 0xe4, 0xd3, 0x11,
					0xbc, 0x22, 0x00, 0x80, 0xc7, 0x3c, 0x88, 0x81};
static const uint8_t guid_smbios3[16] = {0x44, 0x15, 0xfd, 0xf2, 0x94, 0x97, 0x2c, 0x4a,
					 0x99, 0x2e, 0xe5, 0xbb, 0xcf, 0x20, 0xe3, 0x94};
static const uint8_t guid_rt_props[16] = {0x8a, 0x91, 0x66, 0xeb, 0xef, 0x7e, 0x2a, 0x40,
					  0x84, 0x2e, 0x93, 0x1d, 0x21, 0xc3, 0x8a, 0xe9};

static const uint8_t guid_reserve[16] = {0xc6, 0xb0, 0x8e, 0x88, 0xde, 0x8e, 0xf5, 0x4f,
					 0xa8, 0xf0, 0x9a, 0xee, 0x5c, 0xb9, 0x77, 0xc2};

static void put(struct efi_image *img, uint64_t off, const void *p, size_t n)
{
	memcpy(img->block.s + off, p, n);
}

/* The CRC is that of the whole table with the field itself as 0 [UEFI 2.10 §4.2]. */
static void put_table(struct efi_image *img, uint64_t off, void *table, size_t n)
{
	struct efi_header *h = table;

	h->revision = le32_of(EFI_REVISION);
	h->len = le32_of((uint32_t)n);
	h->crc = le32_of(0);
	h->crc = le32_of(str_crc32(0, table, n));
	put(img, off, table, n);
}

static void put_runtime(struct efi_image *img, const struct arm64_board *b)
{
	/* mov x0, #3; movk x0, #0x8000, lsl #48; ret: EFI_UNSUPPORTED */
	static const uint32_t code[] = {0xd2800060, 0xf2f00000, 0xd65f03c0};
	struct efi_runtime t = {.h.sig = le64_of(EFI_RUNTIME_SIG)};

	for (unsigned i = 0; i < ARRAY_LEN(code); i++)
		le32_store(img->block.s + OFF_CODE + 4 * (size_t)i, code[i]);
	for (unsigned i = 0; i < RUNTIME_SERVICES; i++)
		t.service[i] = le64_of(RUNTIME_VIRT + OFF_CODE);
	if (b->rtc.base) {
		for (unsigned i = 0; i < ARRAY_LEN(efi_time_code); i++)
			le32_store(img->block.s + OFF_TIME + 4 * (size_t)i, efi_time_code[i]);
		le64_store(img->block.s + OFF_TIME + sizeof(efi_time_code), RTC_VIRT);
		t.service[0] = le64_of(RUNTIME_VIRT + OFF_TIME);
	}
	put_table(img, OFF_RUNTIME, &t, sizeof(t));
}

static void put_config(struct efi_image *img, const struct arm64_board *b)
{
	struct efi_config c[] = {{.table = le64_of(img->base + OFF_RT_PROPS)},
				 {.table = le64_of(img->base + OFF_RESERVE)},
				 {.table = le64_of(img->base + OFF_RSDP)},
				 {.table = le64_of(img->base + OFF_SMBIOS)}};
	unsigned n = ARRAY_LEN(c) - !img->smbios;
	struct efi_system t = {
		.h.sig = le64_of(EFI_SYSTEM_SIG),
		.vendor = le64_of(img->base + OFF_VENDOR),
		.runtime = le64_of(RUNTIME_VIRT + OFF_RUNTIME),
		.n_tables = le64_of(n),
		.tables = le64_of(img->base + OFF_CONFIG),
	};
	static const char vendor[] = "Lodge";
	uint8_t props[8];

	memcpy(c[0].guid, guid_rt_props, 16);
	memcpy(c[1].guid, guid_reserve, 16);
	memcpy(c[2].guid, guid_acpi20, 16);
	memcpy(c[3].guid, guid_smbios3, 16);
	put(img, OFF_CONFIG, c, n * sizeof(c[0]));
	put_table(img, OFF_SYSTEM, &t, sizeof(t));
	for (size_t i = 0; i < sizeof(vendor); i++)
		le16_store(img->block.s + OFF_VENDOR + 2 * i, (uint16_t)vendor[i]);
	le16_store(props, 1); /* version */
	le16_store(props + 2, sizeof(props));
	le32_store(props + 4, b->rtc.base ? RT_TIME_SERVICES : 0);
	put(img, OFF_RT_PROPS, props, sizeof(props));
}

/* Adds [addr, end) to the map; an empty range adds nothing. */
static void add_range(struct efi_image *img, unsigned *n, uint32_t type, uint64_t addr,
		      uint64_t end)
{
	struct efi_descriptor d = {
		.type = le32_of(type),
		.phys = le64_of(addr),
		.virt = le64_of(type == EFI_RUNTIME_CODE ? RUNTIME_VIRT : 0),
		.pages = le64_of((end - addr) / EFI_PAGE),
		.attribute = le64_of(EFI_MEMORY_CACHEABLE |
				     (type == EFI_RUNTIME_CODE ? EFI_MEMORY_RUNTIME : 0)),
	};

	if (addr < end)
		put(img, OFF_MAP + sizeof(d) * (*n)++, &d, sizeof(d));
}

static void put_map(struct efi_image *img, const struct arm64_board *b)
{
	struct efi_descriptor rtc = {
		.type = le32_of(EFI_MMIO),
		.phys = le64_of(b->rtc.base),
		.virt = le64_of(RTC_VIRT),
		.pages = le64_of(ARM64_CHIP_LEN / EFI_PAGE),
		.attribute = le64_of(EFI_MEMORY_UC | EFI_MEMORY_RUNTIME),
	};
	uint64_t at = img->base, block_end = at + img->block.len;
	unsigned n = 0;

	if (b->rtc.base)
		put(img, OFF_MAP + sizeof(rtc) * n++, &rtc, sizeof(rtc));

	for (unsigned i = 0; i < b->n_memory; i++) {
		uint64_t base = b->memory[i].base, end = base + b->memory[i].len;

		if (at < base || at >= end) {
			add_range(img, &n, EFI_CONVENTIONAL, base, end);
			continue;
		}
		add_range(img, &n, EFI_CONVENTIONAL, base, at);
		add_range(img, &n, EFI_RUNTIME_CODE, at, at + OFF_RECLAIM);
		add_range(img, &n, EFI_ACPI_RECLAIM, at + OFF_RECLAIM, block_end);
		add_range(img, &n, EFI_CONVENTIONAL, block_end, end);
	}
	img->fdt = (struct fdt_efi){
		.system_table = img->base + OFF_SYSTEM,
		.mmap = img->base + OFF_MAP,
		.mmap_len = n * (uint32_t)sizeof(struct efi_descriptor),
		.desc_len = sizeof(struct efi_descriptor),
		.desc_version = EFI_DESC_VERSION,
	};
}

static bool add_zeros(struct strbuf *b, uint64_t n)
{
	static const uint8_t zeros[256];

	for (uint64_t part; n && !b->failed; n -= part) {
		part = MIN(n, sizeof(zeros));
		strbuf_add_bytes(b, zeros, part);
	}
	return !b->failed;
}

static int add_smbios(struct efi_image *img, const struct smbios *s, struct err *e)
{
	struct smbios_image tables;
	bool ok;
	int r;

	if (!s)
		return 0;
	ok = add_zeros(&img->block, ALIGN_UP(img->block.len, 16u) - img->block.len);
	r = smbios_build(s, img->base + img->block.len, &tables, e);
	if (r)
		return r;
	strbuf_add_bytes(&img->block, tables.table.s, tables.table.len);
	if (ok && !img->block.failed)
		put(img, OFF_SMBIOS, tables.entry, sizeof(tables.entry));
	img->smbios = img->base + OFF_SMBIOS;
	smbios_image_exit(&tables);
	return 0;
}

static int add_acpi(struct efi_image *img, const struct arm64_board *b, struct err *e)
{
	struct acpi_image acpi;
	int r = acpi_arm64_build(b, img->base + OFF_ACPI, &acpi, e);

	if (r)
		return r;
	if (add_zeros(&img->block, OFF_ACPI))
		put(img, OFF_RSDP, acpi.rsdp, sizeof(acpi.rsdp));
	strbuf_add_bytes(&img->block, acpi.tables.s, acpi.tables.len);
	img->rsdp = img->base + OFF_RSDP;
	acpi_image_exit(&acpi);
	return 0;
}

int efi_build(const struct arm64_board *b, const struct smbios *smbios, uint64_t base,
	      struct efi_image *img, struct err *e)
{
	int r = 0;

	*img = (struct efi_image){.base = base};
	if (base % EFI_ALIGN)
		return err_set(e, -EINVAL, "EFI tables cannot be at %#llx",
			       (unsigned long long)base);
	r = add_acpi(img, b, e);
	if (!r)
		r = add_smbios(img, smbios, e);
	if (!r && !add_zeros(&img->block, ALIGN_UP(img->block.len, EFI_ALIGN) - img->block.len))
		r = err_nomem(e, img->block.cap, "EFI tables");
	if (r) {
		efi_image_exit(img);
		return r;
	}
	put_runtime(img, b);
	put_config(img, b);
	put_map(img, b);
	return 0;
}

void efi_image_exit(struct efi_image *img)
{
	strbuf_exit(&img->block);
	*img = (struct efi_image){0};
}
