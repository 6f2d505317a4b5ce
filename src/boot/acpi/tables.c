/*
 * boot/acpi/tables.c - headers, lengths, checksums and the root pointers of ACPI tables.
 */
#include "boot/acpi/tables.h"

#include <errno.h>
#include <string.h>

/* DESCRIPTION_HEADER [ACPI 6.5 §5.2.6]. */
struct acpi_header {
	char sig[4];
	le32 len;
	uint8_t revision;
	uint8_t checksum;
	char oem_id[6];
	char oem_table[8];
	le32 oem_revision;
	char creator[4];
	le32 creator_revision;
} PACKED;
_Static_assert(sizeof(struct acpi_header) == ACPI_HEADER_LEN, "table header");

/* [ACPI 6.5 §5.2.5.3] */
struct acpi_rsdp {
	char sig[8];
	uint8_t checksum; /* of the first 20 bytes */
	char oem_id[6];
	uint8_t revision;
	le32 rsdt;
	le32 len;
	le64 xsdt;
	uint8_t checksum_all;
	uint8_t reserved[3];
} PACKED;
_Static_assert(sizeof(struct acpi_rsdp) == ACPI_RSDP_LEN, "RSDP");

/* [ACPI 6.5 §5.2.10] */
struct acpi_facs {
	char sig[4];
	le32 len;
	le32 hardware_signature;
	le32 waking_vector;
	le32 global_lock;
	le32 flags;
	le64 x_waking_vector;
	uint8_t version;
	uint8_t reserved1[3];
	le32 ospm_flags;
	uint8_t reserved2[24];
} PACKED;
_Static_assert(sizeof(struct acpi_facs) == 64, "FACS");
_Static_assert(sizeof(struct acpi_gas) == 12, "generic address structure");

#define OEM_ID	       "LODGE "
#define CREATOR	       "LODG"
#define TABLE_ALIGN    16u
#define RSDP_REVISION  2
#define RSDP_LEN_V1    20u
#define FACS_VERSION   2
#define HEADER_LEN_OFF offsetof(struct acpi_header, len)
#define HEADER_SUM_OFF offsetof(struct acpi_header, checksum)

uint8_t acpi_checksum(const void *p, size_t n)
{
	const uint8_t *b = p;
	uint8_t sum = 0;

	for (size_t i = 0; i < n; i++)
		sum = (uint8_t)(sum + b[i]);
	return (uint8_t)(0u - sum);
}

static void mistake(struct acpi_set *s, const char *what)
{
	if (!s->mistake)
		s->mistake = what;
}

/* Text padded with spaces, as the specification has it for signatures and OEM ids. */
static void copy_padded(char *dst, size_t n, const char *src)
{
	size_t len = strnlen(src, n);

	memset(dst, ' ', n);
	memcpy(dst, src, len);
}

void acpi_image_exit(struct acpi_image *img)
{
	strbuf_exit(&img->tables);
	*img = (struct acpi_image){0};
}

const struct acpi_table *acpi_image_find(const struct acpi_image *img, const char *sig)
{
	for (unsigned i = 0; i < img->n_tables; i++)
		if (!strcmp(img->table[i].sig, sig))
			return &img->table[i];
	return NULL;
}

void acpi_set_begin(struct acpi_set *s, struct acpi_image *img, uint64_t base,
		    const char *oem_table)
{
	*img = (struct acpi_image){.base = base};
	*s = (struct acpi_set){.img = img};
	if (!str_copy(s->oem_table, sizeof(s->oem_table), oem_table))
		mistake(s, "the OEM table id is longer than 8 characters");
	if (base % ACPI_ALIGN)
		mistake(s, "the address is not a multiple of 64");
}

void acpi_put_bytes(struct acpi_set *s, const void *p, size_t n)
{
	if (!s->mistake)
		strbuf_add_bytes(&s->img->tables, p, n);
}

void acpi_put_zeros(struct acpi_set *s, size_t n)
{
	static const uint8_t zeros[ACPI_ALIGN];

	for (size_t part; n; n -= part) {
		part = MIN(n, sizeof(zeros));
		acpi_put_bytes(s, zeros, part);
	}
}

void acpi_put8(struct acpi_set *s, uint8_t v)
{
	acpi_put_bytes(s, &v, 1);
}

void acpi_put16(struct acpi_set *s, uint16_t v)
{
	le16 x = le16_of(v);

	acpi_put_bytes(s, &x, sizeof(x));
}

void acpi_put32(struct acpi_set *s, uint32_t v)
{
	le32 x = le32_of(v);

	acpi_put_bytes(s, &x, sizeof(x));
}

void acpi_put64(struct acpi_set *s, uint64_t v)
{
	le64 x = le64_of(v);

	acpi_put_bytes(s, &x, sizeof(x));
}

struct acpi_gas acpi_gas_io(uint16_t port, unsigned bytes, unsigned access)
{
	return (struct acpi_gas){
		.space = 1,
		.bits = (uint8_t)(bytes * 8),
		.access = access == 4 ? 3 : (uint8_t)access,
		.addr = le64_of(port),
	};
}

/* Notes a table that starts here; the blob is aligned to @align first. */
static void begin_table(struct acpi_set *s, const char *sig, size_t align, bool listed)
{
	struct acpi_image *img = s->img;
	struct acpi_table *t;

	acpi_put_zeros(s, ALIGN_UP(img->tables.len, align) - img->tables.len);
	if (img->n_tables == ACPI_TABLES_MAX)
		mistake(s, "too many tables");
	if (s->open)
		mistake(s, "a table opened inside another");
	if (s->mistake)
		return;
	s->open = true;
	s->start = img->tables.len;
	s->listed[img->n_tables] = listed;
	t = &img->table[img->n_tables++];
	*t = (struct acpi_table){.off = s->start};
	if (!str_copy(t->sig, sizeof(t->sig), sig))
		mistake(s, "a table signature is longer than 4 characters");
}

static void end_table(struct acpi_set *s)
{
	struct acpi_image *img = s->img;

	if (!s->open)
		mistake(s, "a table closed that was not open");
	if (s->mistake)
		return;
	s->open = false;
	img->table[img->n_tables - 1].len = img->tables.len - s->start;
	if (img->tables.len > UINT32_MAX)
		mistake(s, "the tables are larger than 4 GiB");
}

void acpi_open(struct acpi_set *s, const char *sig, uint8_t revision, bool listed)
{
	struct acpi_header h = {
		.revision = revision, .oem_revision = le32_of(1), .creator_revision = le32_of(1)};

	begin_table(s, sig, TABLE_ALIGN, listed);
	copy_padded(h.sig, sizeof(h.sig), sig);
	copy_padded(h.oem_id, sizeof(h.oem_id), OEM_ID);
	copy_padded(h.oem_table, sizeof(h.oem_table), s->oem_table);
	copy_padded(h.creator, sizeof(h.creator), CREATOR);
	acpi_put_bytes(s, &h, sizeof(h));
}

void acpi_close(struct acpi_set *s)
{
	struct acpi_image *img = s->img;
	char *p;
	size_t len;

	end_table(s);
	if (s->mistake || img->tables.failed)
		return;
	p = img->tables.s + s->start;
	len = img->tables.len - s->start;
	le32_store(p + HEADER_LEN_OFF, (uint32_t)len);
	p[HEADER_SUM_OFF] = (char)acpi_checksum(p, len);
}

void acpi_add_facs(struct acpi_set *s)
{
	struct acpi_facs f = {.len = le32_of(sizeof(f)), .version = FACS_VERSION};

	memcpy(f.sig, "FACS", sizeof(f.sig));
	begin_table(s, "FACS", ACPI_ALIGN, false);
	acpi_put_bytes(s, &f, sizeof(f));
	end_table(s);
}

uint64_t acpi_set_address(const struct acpi_set *s, const char *sig)
{
	const struct acpi_table *t = acpi_image_find(s->img, sig);

	return t ? s->img->base + t->off : 0;
}

static void put_xsdt(struct acpi_set *s)
{
	const struct acpi_image *img = s->img;
	unsigned n = img->n_tables;

	acpi_open(s, "XSDT", 1, false);
	for (unsigned i = 0; i < n; i++)
		if (s->listed[i])
			acpi_put64(s, img->base + img->table[i].off);
	acpi_close(s);
}

static void make_rsdp(struct acpi_set *s)
{
	struct acpi_rsdp r = {
		.revision = RSDP_REVISION,
		.len = le32_of(sizeof(r)),
		.xsdt = le64_of(acpi_set_address(s, "XSDT")),
	};

	memcpy(r.sig, "RSD PTR ", sizeof(r.sig));
	copy_padded(r.oem_id, sizeof(r.oem_id), OEM_ID);
	r.checksum = acpi_checksum(&r, RSDP_LEN_V1);
	r.checksum_all = acpi_checksum(&r, sizeof(r));
	memcpy(s->img->rsdp, &r, sizeof(r));
}

int acpi_set_finish(struct acpi_set *s, struct err *e)
{
	struct acpi_image *img = s->img;
	uint64_t end;
	int ret = 0;

	put_xsdt(s);
	if (!s->mistake && ADD_OVERFLOWS(img->base, img->tables.len, &end))
		mistake(s, "the address is too high");
	if (!s->mistake && img->tables.failed)
		ret = err_nomem(e, img->tables.cap, "ACPI tables");
	else if (s->mistake)
		ret = err_set(e, -EINVAL, "ACPI tables: %s", s->mistake);
	else
		make_rsdp(s);
	if (ret)
		acpi_image_exit(img);
	return ret;
}
