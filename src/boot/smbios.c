/*
 * boot/smbios.c - SMBIOS structures and the 64-bit entry point.
 *
 * A structure is a fixed part and its strings behind it, NUL-terminated, with one more NUL at the
 * end; fields hold the number of a string, from 1, or 0 for none [DMTF DSP0134 3.0 §6.1].  A
 * builder collects the strings of a structure while its fields are filled in, then writes both.
 */
#include "boot/smbios.h"

#include <errno.h>
#include <stdio.h>
#include <string.h>

#include "base/endian.h"

#define SMBIOS_MAJOR 3
#define SMBIOS_MINOR 0

#define STRINGS_MAX 8 /* of one structure */

/* Handles: the type in the high byte, a counter in the low one. */
#define HANDLE(type, n) ((uint16_t)((unsigned)(type) << 8 | (n)))
#define NO_HANDLE	0xffffu
#define NO_ERROR_HANDLE 0xfffeu

struct smbios_header {
	uint8_t type, len;
	le16 handle;
} PACKED;

struct smbios_entry { /* §5.2.2 */
	char anchor[5];
	uint8_t checksum, len, major, minor, docrev, revision, reserved;
	le32 max_size;
	le64 addr;
} PACKED;
_Static_assert(sizeof(struct smbios_entry) == SMBIOS_ENTRY_LEN, "entry point");

struct smbios_bios { /* type 0, §7.1 */
	struct smbios_header h;
	uint8_t vendor, version;
	le16 segment;
	uint8_t date, rom_size;
	le64 characteristics;
	uint8_t ext[2];
	uint8_t major, minor, ec_major, ec_minor;
} PACKED;
_Static_assert(sizeof(struct smbios_bios) == 0x18, "type 0");

struct smbios_system { /* type 1, §7.2 */
	struct smbios_header h;
	uint8_t manufacturer, product, version, serial;
	uint8_t uuid[UUID_LEN];
	uint8_t wake_up, sku, family;
} PACKED;
_Static_assert(sizeof(struct smbios_system) == 0x1b, "type 1");

struct smbios_chassis { /* type 3, §7.4 */
	struct smbios_header h;
	uint8_t manufacturer, type, version, serial, asset, boot_state, power_state, thermal_state;
	uint8_t security;
	le32 oem;
	uint8_t height, cords, n_elements, element_len, sku;
} PACKED;
_Static_assert(sizeof(struct smbios_chassis) == 0x16, "type 3");

struct smbios_cpu { /* type 4, §7.5 */
	struct smbios_header h;
	uint8_t socket, type, family, manufacturer;
	le64 id;
	uint8_t version, voltage;
	le16 clock, max_mhz, mhz;
	uint8_t status, upgrade;
	le16 cache[3];
	uint8_t serial, asset, part, cores, cores_enabled, threads;
	le16 characteristics, family2, cores2, cores_enabled2, threads2;
} PACKED;
_Static_assert(sizeof(struct smbios_cpu) == 0x30, "type 4");

struct smbios_array { /* type 16, §7.17 */
	struct smbios_header h;
	uint8_t location, use, ecc;
	le32 max_kib;
	le16 error;
	le16 devices;
	le64 max_bytes;
} PACKED;
_Static_assert(sizeof(struct smbios_array) == 0x17, "type 16");

struct smbios_dimm { /* type 17, §7.18 */
	struct smbios_header h;
	le16 array, error, total_width, data_width, size;
	uint8_t form, set, locator, bank, type;
	le16 detail, mhz;
	uint8_t manufacturer, serial, asset, part, attributes;
	le32 size_mib;
	le16 configured_mhz, voltage[3];
} PACKED;
_Static_assert(sizeof(struct smbios_dimm) == 0x28, "type 17");

struct smbios_mapped { /* type 19, §7.20 */
	struct smbios_header h;
	le32 start_kib, end_kib;
	le16 array;
	uint8_t width;
	le64 start, end;
} PACKED;
_Static_assert(sizeof(struct smbios_mapped) == 0x1f, "type 19");

struct smbios_boot { /* type 32, §7.33 */
	struct smbios_header h;
	uint8_t reserved[6], status;
} PACKED;
_Static_assert(sizeof(struct smbios_boot) == 0xb, "type 32");

/* Values of the fields above. */
#define BIOS_NO_CHARACTERISTICS (1u << 3)
#define BIOS_EXT_VIRTUAL	(1u << 4)
#define BIOS_NO_VERSION		0xff
#define WAKE_UP_POWER_SWITCH	6
#define CHASSIS_OTHER		1
#define STATE_SAFE		3
#define SECURITY_NONE		3
#define CPU_CENTRAL		3
#define CPU_FAMILY_OTHER	1
#define CPU_POPULATED_ENABLED	0x41
#define CPU_UPGRADE_OTHER	1
#define CPU_64BIT		(1u << 2)
#define CPU_MULTI_CORE		(1u << 3)
#define CPU_HW_THREADS		(1u << 4)
#define CPU_NO_EXECUTE		(1u << 5)
#define ARRAY_OTHER		1
#define ARRAY_SYSTEM_MEMORY	3
#define ARRAY_NO_ECC		3
#define ARRAY_KIB_EXTENDED	0x80000000u
#define DIMM_FORM_DIMM		9
#define DIMM_TYPE_RAM		7
#define DIMM_DETAIL_OTHER	(1u << 1)
#define DIMM_WIDTH_UNKNOWN	0xffffu
#define DIMM_SIZE_EXTENDED	0x7fffu
#define DIMM_SIZE_IN_KIB	0x8000u
#define MAPPED_EXTENDED		0xffffffffu

struct builder {
	struct strbuf out;
	const char *string[STRINGS_MAX]; /* of the structure being made */
	unsigned n_strings;
	unsigned n_structures;
	struct err *err;
	int ret;
};

static void fail(struct builder *b, const char *text, const char *why)
{
	if (!b->ret)
		b->ret = err_set(b->err, -EINVAL, "SMBIOS string '%.80s' %s", text, why);
}

/* The number of @text in the structure being made, or 0 if there is none. */
static uint8_t string(struct builder *b, const char *text)
{
	size_t n = text ? strlen(text) : 0;

	if (!n)
		return 0;
	if (n > SMBIOS_STRING_MAX)
		fail(b, text, "is longer than 64 characters");
	for (size_t i = 0; i < n; i++)
		if (text[i] < 0x20 || text[i] > 0x7e)
			fail(b, text, "has a character that is not printable ASCII");
	BUG_ON(b->n_strings == STRINGS_MAX); /* the structures below have at most 6 */
	b->string[b->n_strings++] = text;
	return (uint8_t)b->n_strings;
}

/* Writes structure @p, which starts with its header, and the strings collected for it. */
static void add(struct builder *b, void *p, size_t len, uint8_t type, unsigned n)
{
	struct smbios_header h = {
		.type = type, .len = (uint8_t)len, .handle = le16_of(HANDLE(type, n))};

	memcpy(p, &h, sizeof(h));
	strbuf_add_bytes(&b->out, p, len);
	for (unsigned i = 0; i < b->n_strings; i++)
		strbuf_add_bytes(&b->out, b->string[i], strlen(b->string[i]) + 1);
	strbuf_add_bytes(&b->out, "\0", b->n_strings ? 1 : 2);
	b->n_strings = 0;
	b->n_structures++;
}

static const char *text_or(const char *text, const char *other)
{
	return text ? text : other;
}

static void add_bios(struct builder *b, const struct smbios *s)
{
	struct smbios_bios t = {
		.vendor = string(b, text_or(s->bios_vendor, "Lodge")),
		.version = string(b, text_or(s->bios_version, LODGE_VERSION)),
		.segment = le16_of(0xe800),
		.date = string(b, text_or(s->bios_date, "01/01/2026")),
		.characteristics = le64_of(BIOS_NO_CHARACTERISTICS),
		.ext = {0, BIOS_EXT_VIRTUAL},
		.major = BIOS_NO_VERSION,
		.minor = BIOS_NO_VERSION,
		.ec_major = BIOS_NO_VERSION,
		.ec_minor = BIOS_NO_VERSION,
	};

	add(b, &t, sizeof(t), 0, 0);
}

static void add_system(struct builder *b, const struct smbios *s)
{
	struct smbios_system t = {
		.manufacturer = string(b, text_or(s->manufacturer, "Lodge")),
		.product = string(b, text_or(s->product, "Virtual Machine")),
		.version = string(b, s->version),
		.serial = string(b, s->serial),
		.wake_up = WAKE_UP_POWER_SWITCH,
		.sku = string(b, s->sku),
		.family = string(b, s->family),
	};

	uuid_swap(t.uuid, s->uuid);
	add(b, &t, sizeof(t), 1, 0);
}

static void add_chassis(struct builder *b, const struct smbios *s)
{
	struct smbios_chassis t = {
		.manufacturer = string(b, text_or(s->manufacturer, "Lodge")),
		.type = CHASSIS_OTHER,
		.version = string(b, s->version),
		.serial = string(b, s->serial),
		.boot_state = STATE_SAFE,
		.power_state = STATE_SAFE,
		.thermal_state = STATE_SAFE,
		.security = SECURITY_NONE,
	};

	add(b, &t, sizeof(t), 3, 0);
}

static uint8_t count8(unsigned n)
{
	return n > UINT8_MAX ? UINT8_MAX : (uint8_t)n; /* 255: see the 16-bit field */
}

static void add_cpu(struct builder *b, const struct smbios *s, unsigned n)
{
	unsigned threads = s->cores * s->threads;
	unsigned flags = CPU_64BIT | CPU_NO_EXECUTE | (s->cores > 1 ? CPU_MULTI_CORE : 0u) |
			 (s->threads > 1 ? CPU_HW_THREADS : 0u);
	char name[24];
	struct smbios_cpu t = {
		.type = CPU_CENTRAL,
		.family = CPU_FAMILY_OTHER,
		.manufacturer = string(b, s->cpu_vendor),
		.id = le64_of(s->cpu_id),
		.version = string(b, s->cpu_name),
		.max_mhz = le16_of(s->cpu_mhz),
		.mhz = le16_of(s->cpu_mhz),
		.status = CPU_POPULATED_ENABLED,
		.upgrade = CPU_UPGRADE_OTHER,
		.cache = {le16_of(NO_HANDLE), le16_of(NO_HANDLE), le16_of(NO_HANDLE)},
		.cores = count8(s->cores),
		.cores_enabled = count8(s->cores),
		.threads = count8(threads),
		.characteristics = le16_of((uint16_t)flags),
		.family2 = le16_of(CPU_FAMILY_OTHER),
		.cores2 = le16_of((uint16_t)s->cores),
		.cores_enabled2 = le16_of((uint16_t)s->cores),
		.threads2 = le16_of((uint16_t)threads),
	};

	snprintf(name, sizeof(name), "CPU %u", n);
	t.socket = string(b, name);
	add(b, &t, sizeof(t), 4, n);
}

static uint64_t total(const struct smbios *s)
{
	uint64_t sum = 0;

	for (unsigned i = 0; i < s->n_dimms; i++)
		sum += s->dimm[i];
	return sum;
}

static void add_array(struct builder *b, const struct smbios *s)
{
	uint64_t bytes = total(s);
	bool extended = bytes >> 10 >= ARRAY_KIB_EXTENDED;
	struct smbios_array t = {
		.location = ARRAY_OTHER,
		.use = ARRAY_SYSTEM_MEMORY,
		.ecc = ARRAY_NO_ECC,
		.max_kib = le32_of(extended ? ARRAY_KIB_EXTENDED : (uint32_t)(bytes >> 10)),
		.error = le16_of(NO_ERROR_HANDLE),
		.devices = le16_of((uint16_t)s->n_dimms),
		.max_bytes = le64_of(extended ? bytes : 0),
	};

	add(b, &t, sizeof(t), 16, 0);
}

static void add_dimm(struct builder *b, const struct smbios *s, unsigned n)
{
	uint64_t mib = s->dimm[n] >> 20, kib = s->dimm[n] >> 10;
	char name[24];
	struct smbios_dimm t = {
		.array = le16_of(HANDLE(16, 0)),
		.error = le16_of(NO_ERROR_HANDLE),
		.total_width = le16_of(DIMM_WIDTH_UNKNOWN),
		.data_width = le16_of(DIMM_WIDTH_UNKNOWN),
		.form = DIMM_FORM_DIMM,
		.type = DIMM_TYPE_RAM,
		.detail = le16_of(DIMM_DETAIL_OTHER),
		.manufacturer = string(b, text_or(s->manufacturer, "Lodge")),
	};

	if (mib >= DIMM_SIZE_EXTENDED) {
		t.size = le16_of(DIMM_SIZE_EXTENDED);
		t.size_mib = le32_of((uint32_t)mib);
	} else if (kib % 1024 && kib < DIMM_SIZE_EXTENDED) {
		t.size = le16_of((uint16_t)(DIMM_SIZE_IN_KIB | kib));
	} else {
		t.size = le16_of((uint16_t)mib);
	}
	snprintf(name, sizeof(name), "DIMM %u", n);
	t.locator = string(b, name);
	add(b, &t, sizeof(t), 17, n);
}

static void add_mapped(struct builder *b, const struct smbios *s, unsigned n)
{
	const struct smbios_range *r = &s->range[n];
	uint64_t last = r->base + r->len - 1;
	bool extended = last >> 10 >= MAPPED_EXTENDED;
	struct smbios_mapped t = {
		.start_kib = le32_of(extended ? MAPPED_EXTENDED : (uint32_t)(r->base >> 10)),
		.end_kib = le32_of(extended ? MAPPED_EXTENDED : (uint32_t)(last >> 10)),
		.array = le16_of(HANDLE(16, 0)),
		.width = (uint8_t)s->n_dimms,
		.start = le64_of(extended ? r->base : 0),
		.end = le64_of(extended ? last : 0),
	};

	add(b, &t, sizeof(t), 19, n);
}

static void add_boot(struct builder *b)
{
	struct smbios_boot t = {.status = 0}; /* no errors */

	add(b, &t, sizeof(t), 32, 0);
}

static void add_end(struct builder *b)
{
	struct smbios_header t;

	add(b, &t, sizeof(t), 127, 0);
}

static bool date_is_valid(const char *d)
{
	static const char shape[] = "dd/dd/dddd";

	for (size_t i = 0; i < sizeof(shape); i++)
		if (shape[i] == 'd' ? d[i] < '0' || d[i] > '9' : d[i] != shape[i])
			return false;
	return true;
}

static int check(const struct smbios *s, struct err *e)
{
	uint64_t end;

	if (s->bios_date && !date_is_valid(s->bios_date))
		return err_set(e, -EINVAL, "SMBIOS date '%.40s' is not MM/DD/YYYY", s->bios_date);
	if (!s->sockets || s->sockets > SMBIOS_SOCKETS_MAX || !s->cores || s->cores > UINT16_MAX ||
	    !s->threads || s->threads > UINT16_MAX / s->cores)
		return err_set(e, -EINVAL, "SMBIOS: %u sockets of %u cores with %u threads",
			       s->sockets, s->cores, s->threads);
	if (!s->n_dimms || s->n_dimms > SMBIOS_DIMMS_MAX || s->n_ranges > SMBIOS_RANGES_MAX)
		return err_set(e, -EINVAL,
			       "SMBIOS: %u memory devices in %u ranges (at most %u, %u)",
			       s->n_dimms, s->n_ranges, SMBIOS_DIMMS_MAX, SMBIOS_RANGES_MAX);
	for (unsigned i = 0; i < s->n_ranges; i++)
		if (!s->range[i].len || s->range[i].base % 1024 || s->range[i].len % 1024 ||
		    ADD_OVERFLOWS(s->range[i].base, s->range[i].len, &end))
			return err_set(e, -EINVAL,
				       "SMBIOS: memory range %u is empty or not a "
				       "multiple of 1 KiB",
				       i);
	for (unsigned i = 0; i < s->n_dimms; i++)
		if (s->dimm[i] >> 20 > INT32_MAX)
			return err_set(e, -EINVAL, "SMBIOS: memory device %u is too large", i);
	return 0;
}

static void make_entry(struct smbios_image *img, uint64_t addr)
{
	struct smbios_entry t = {
		.len = sizeof(t),
		.major = SMBIOS_MAJOR,
		.minor = SMBIOS_MINOR,
		.revision = 1,
		.max_size = le32_of((uint32_t)img->table.len),
		.addr = le64_of(addr),
	};
	const uint8_t *p = (const uint8_t *)&t;
	uint8_t sum = 0;

	memcpy(t.anchor, "_SM3_", sizeof(t.anchor));
	for (size_t i = 0; i < sizeof(t); i++)
		sum = (uint8_t)(sum + p[i]);
	t.checksum = (uint8_t)(0u - sum);
	memcpy(img->entry, &t, sizeof(t));
}

int smbios_build(const struct smbios *s, uint64_t addr, struct smbios_image *img, struct err *e)
{
	struct builder b = {.err = e};

	*img = (struct smbios_image){0};
	b.ret = check(s, e);
	if (b.ret)
		return b.ret;
	add_bios(&b, s);
	add_system(&b, s);
	add_chassis(&b, s);
	for (unsigned i = 0; i < s->sockets; i++)
		add_cpu(&b, s, i);
	add_array(&b, s);
	for (unsigned i = 0; i < s->n_dimms; i++)
		add_dimm(&b, s, i);
	for (unsigned i = 0; i < s->n_ranges; i++)
		add_mapped(&b, s, i);
	add_boot(&b);
	add_end(&b);
	if (!b.ret && b.out.failed)
		b.ret = err_nomem(e, b.out.cap, "SMBIOS tables");
	if (b.ret) {
		strbuf_exit(&b.out);
		return b.ret;
	}
	img->table = b.out;
	img->n_structures = b.n_structures;
	make_entry(img, addr);
	return 0;
}

void smbios_image_exit(struct smbios_image *img)
{
	strbuf_exit(&img->table);
	*img = (struct smbios_image){0};
}
