/*
 * boot/acpi/aml.c - the AML writer.
 *
 * AML puts the length of a body in front of it, in 1 to 4 bytes, and that length counts its own
 * bytes [ACPI 6.5 §20.2.4].  So a body is written first and its length is inserted when it is
 * closed; the few kilobytes of a DSDT make the moving cheap, and nothing is ever counted by hand.
 * A package's element count and a resource template's buffer size and end tag are made at the
 * same moment.
 */
#include "boot/acpi/aml.h"

#include <errno.h>
#include <string.h>

#include "base/endian.h"
#include "boot/uuid.h"

/* Byte values of [ACPI 6.5 §20.2] that are not operators. */
#define AML_ZERO	     0x00
#define AML_ONE		     0x01
#define AML_NAME	     0x08
#define AML_BYTE_PREFIX	     0x0a
#define AML_WORD_PREFIX	     0x0b
#define AML_DWORD_PREFIX     0x0c
#define AML_STRING_PREFIX    0x0d
#define AML_QWORD_PREFIX     0x0e
#define AML_SCOPE	     0x10
#define AML_BUFFER	     0x11
#define AML_PACKAGE	     0x12
#define AML_METHOD	     0x14
#define AML_DUAL_NAME	     0x2e
#define AML_MULTI_NAME	     0x2f
#define AML_EXT		     0x5b
#define AML_EXT_REGION	     0x80
#define AML_EXT_FIELD	     0x81
#define AML_EXT_DEVICE	     0x82
#define AML_LOCAL0	     0x60
#define AML_ARG0	     0x68
#define AML_IF		     0xa0
#define AML_ELSE	     0xa1
#define AML_WHILE	     0xa2
#define AML_PKG_LENGTH_MAX   0x0fffffffu
#define AML_SEGMENTS_MAX     8u
#define AML_PACKAGE_ELEMENTS 255u

/* Resource descriptors [ACPI 6.5 §6.4]. */
#define RES_IRQ		0x22 /* small, 2 bytes: no flags */
#define RES_IO		0x47
#define RES_END		0x79
#define RES_MEM32_FIXED 0x86
#define RES_DWORD	0x87
#define RES_WORD	0x88
#define RES_INTERRUPT	0x89
#define RES_GPIO	0x8c
#define RES_QWORD	0x8a

enum aml_body_kind { BODY_TERMS, BODY_PACKAGE, BODY_FIELD, BODY_RESOURCES };

/* Without memory the bodies are no longer followed, and what looks like a mistake is none. */
static void mistake(struct aml *a, const char *what, const char *where)
{
	if (a->mistake || a->out.failed)
		return;
	a->mistake = what;
	str_copy(a->where, sizeof(a->where), where);
}

static void emit(struct aml *a, const void *p, size_t n)
{
	if (!a->mistake)
		strbuf_add_bytes(&a->out, p, n);
}

static void emit8(struct aml *a, unsigned v)
{
	uint8_t b = (uint8_t)v;

	emit(a, &b, 1);
}

static void emit16(struct aml *a, uint16_t v)
{
	le16 x = le16_of(v);

	emit(a, &x, sizeof(x));
}

static void emit32(struct aml *a, uint32_t v)
{
	le32 x = le32_of(v);

	emit(a, &x, sizeof(x));
}

static void emit64(struct aml *a, uint64_t v)
{
	le64 x = le64_of(v);

	emit(a, &x, sizeof(x));
}

static void insert(struct aml *a, size_t at, const void *p, size_t n)
{
	struct strbuf *b = &a->out;

	emit(a, p, n);
	if (a->mistake || b->failed)
		return;
	memmove(b->s + at + n, b->s + at, b->len - n - at);
	memcpy(b->s + at, p, n);
}

static struct aml_body *innermost(struct aml *a)
{
	return a->depth ? &a->body[a->depth - 1] : NULL;
}

/* Something with a value starts here: it may be an element, and it must be allowed here. */
static void term(struct aml *a)
{
	struct aml_body *b = innermost(a);

	if (!b || b->kind == BODY_TERMS)
		return;
	if (b->kind != BODY_PACKAGE)
		mistake(a, "an object among fields or resources", "");
	else if (b->elements++ == AML_PACKAGE_ELEMENTS)
		mistake(a, "more than 255 elements in a package", "");
}

/* An operator or a named object starts here. */
static void statement(struct aml *a)
{
	struct aml_body *b = innermost(a);

	if (b && b->kind != BODY_TERMS)
		mistake(a, "a statement inside a package, a field or resources", "");
}

/* The writer must be between resources (or field units). */
static void inside(struct aml *a, enum aml_body_kind kind)
{
	struct aml_body *b = innermost(a);

	if (!b || b->kind != kind)
		mistake(a,
			kind == BODY_FIELD ? "a field unit outside a field"
					   : "a resource outside a resource template",
			"");
}

static void open_body(struct aml *a, enum aml_body_kind kind)
{
	if (a->mistake)
		return;
	if (a->depth == AML_DEPTH_MAX) {
		mistake(a, "bodies nested too deep", "");
		return;
	}
	a->body[a->depth++] = (struct aml_body){.start = a->out.len, .kind = (uint8_t)kind};
}

/* Encodes @v as a PkgLength of @bytes bytes. */
static void encode_length(uint8_t out[4], uint32_t v, unsigned bytes)
{
	if (bytes == 1) {
		out[0] = (uint8_t)v;
		return;
	}
	out[0] = (uint8_t)((bytes - 1) << 6 | (v & 0xf));
	v >>= 4;
	for (unsigned i = 1; i < bytes; i++, v >>= 8)
		out[i] = (uint8_t)v;
}

static unsigned length_bytes(uint64_t v)
{
	if (v <= 0x3f)
		return 1;
	if (v <= 0xfff)
		return 2;
	return v <= 0xfffff ? 3 : 4;
}

/* The length of a body of @n bytes counts its own encoding too. */
static void insert_length(struct aml *a, size_t at, size_t n)
{
	uint8_t enc[4];
	unsigned bytes = 1;

	while (bytes < 4 && length_bytes(n + bytes) > bytes)
		bytes++;
	if (n + bytes > AML_PKG_LENGTH_MAX) {
		mistake(a, "a body is larger than 256 MiB", "");
		return;
	}
	encode_length(enc, (uint32_t)(n + bytes), bytes);
	insert(a, at, enc, bytes);
}

static size_t encode_int(uint8_t out[9], uint64_t v)
{
	if (v <= 1) {
		out[0] = v ? AML_ONE : AML_ZERO;
		return 1;
	}
	if (v == UINT64_MAX) {
		out[0] = AML_ONES;
		return 1;
	}
	if (v <= UINT8_MAX) {
		out[0] = AML_BYTE_PREFIX;
		out[1] = (uint8_t)v;
		return 2;
	}
	if (v <= UINT16_MAX) {
		out[0] = AML_WORD_PREFIX;
		le16_store(out + 1, (uint16_t)v);
		return 3;
	}
	if (v <= UINT32_MAX) {
		out[0] = AML_DWORD_PREFIX;
		le32_store(out + 1, (uint32_t)v);
		return 5;
	}
	out[0] = AML_QWORD_PREFIX;
	le64_store(out + 1, v);
	return 9;
}

/* The end tag's checksum is 0, which counts as right [ACPI 6.5 §6.4.2.9] and is what iasl writes.
 */
static void close_resources(struct aml *a, size_t start)
{
	uint8_t enc[9];

	emit8(a, RES_END);
	emit8(a, 0);
	insert(a, start, enc, encode_int(enc, a->out.len - start));
}

void aml_end(struct aml *a)
{
	struct aml_body *b = innermost(a);

	if (!b)
		mistake(a, "a body closed that was not open", "");
	if (a->mistake || a->out.failed)
		return;
	a->depth--;
	if (b->kind == BODY_RESOURCES)
		close_resources(a, b->start);
	else if (b->kind == BODY_PACKAGE)
		a->out.s[b->start] = (char)(uint8_t)b->elements;
	if (!a->out.failed)
		insert_length(a, b->start, a->out.len - b->start);
}

int aml_finish(struct aml *a, struct err *e)
{
	if (a->out.failed)
		return err_nomem(e, a->out.cap, "ACPI byte code");
	if (!a->mistake && a->depth)
		mistake(a, "a body was not closed", "");
	if (a->mistake)
		return err_set(e, -EINVAL, "ACPI byte code: %s%s%s%s", a->mistake,
			       a->where[0] ? " ('" : "", a->where, a->where[0] ? "')" : "");
	return 0;
}

void aml_exit(struct aml *a)
{
	strbuf_exit(&a->out);
	*a = AML_INIT;
}

/* One segment of @n characters, padded to four. */
static void emit_segment(struct aml *a, const char *s, size_t n)
{
	char seg[4] = {'_', '_', '_', '_'};
	bool ok = n >= 1 && n <= sizeof(seg);

	for (size_t i = 0; ok && i < n; i++) {
		ok = s[i] == '_' || (s[i] >= 'A' && s[i] <= 'Z') ||
		     (i > 0 && s[i] >= '0' && s[i] <= '9');
		seg[i] = s[i];
	}
	if (!ok)
		mistake(a, "not an ACPI name", s);
	emit(a, seg, sizeof(seg));
}

/* NameString [ACPI 6.5 §20.2.2]. */
static void emit_path(struct aml *a, const char *path)
{
	const char *s = path;
	unsigned segments = 0;

	if (*s == '\\')
		emit8(a, (unsigned char)*s++);
	else
		while (*s == '^')
			emit8(a, (unsigned char)*s++);
	if (*s)
		for (const char *p = s; p; p = strchr(p, '.'), p = p ? p + 1 : NULL)
			segments++;
	if (!segments && s == path)
		mistake(a, "an empty ACPI path", "");
	if (segments > AML_SEGMENTS_MAX)
		mistake(a, "an ACPI path with more than 8 segments", path);
	if (!segments) {
		emit8(a, AML_ZERO);
		return;
	}
	if (segments == 2) {
		emit8(a, AML_DUAL_NAME);
	} else if (segments > 2) {
		emit8(a, AML_MULTI_NAME);
		emit8(a, segments);
	}
	for (unsigned i = 0; i < segments; i++) {
		size_t n = strcspn(s, ".");

		emit_segment(a, s, n);
		s += n + 1;
	}
}

void aml_scope(struct aml *a, const char *path)
{
	statement(a);
	emit8(a, AML_SCOPE);
	open_body(a, BODY_TERMS);
	emit_path(a, path);
}

void aml_device(struct aml *a, const char *path)
{
	statement(a);
	emit8(a, AML_EXT);
	emit8(a, AML_EXT_DEVICE);
	open_body(a, BODY_TERMS);
	emit_path(a, path);
}

void aml_method(struct aml *a, const char *path, unsigned args, bool serialized)
{
	statement(a);
	if (args > 7)
		mistake(a, "a method with more than 7 arguments", path);
	emit8(a, AML_METHOD);
	open_body(a, BODY_TERMS);
	emit_path(a, path);
	emit8(a, args | (serialized ? 8u : 0u));
}

void aml_package(struct aml *a)
{
	term(a);
	emit8(a, AML_PACKAGE);
	open_body(a, BODY_PACKAGE);
	emit8(a, 0); /* the count, set by aml_end */
}

void aml_if(struct aml *a)
{
	statement(a);
	emit8(a, AML_IF);
	open_body(a, BODY_TERMS);
}

void aml_else(struct aml *a)
{
	statement(a);
	emit8(a, AML_ELSE);
	open_body(a, BODY_TERMS);
}

void aml_while(struct aml *a)
{
	statement(a);
	emit8(a, AML_WHILE);
	open_body(a, BODY_TERMS);
}

void aml_name(struct aml *a, const char *path)
{
	statement(a);
	emit8(a, AML_NAME);
	emit_path(a, path);
}

void aml_name_int(struct aml *a, const char *path, uint64_t v)
{
	aml_name(a, path);
	aml_int(a, v);
}

void aml_name_string(struct aml *a, const char *path, const char *s)
{
	aml_name(a, path);
	aml_string(a, s);
}

static int hex_upper(char c)
{
	if (c >= '0' && c <= '9')
		return c - '0';
	return c >= 'A' && c <= 'F' ? c - 'A' + 10 : -1;
}

/* Three letters and four hexadecimal digits [ACPI 6.5 §19.6.38]. */
static bool encode_eisaid(const char *id, uint32_t *out)
{
	uint32_t v = 0;

	if (strlen(id) != 7)
		return false;
	for (unsigned i = 0; i < 3; i++) {
		if (id[i] < 'A' || id[i] > 'Z')
			return false;
		v = v << 5 | (uint32_t)(id[i] - 'A' + 1);
	}
	for (unsigned i = 3; i < 7; i++) {
		int d = hex_upper(id[i]);

		if (d < 0)
			return false;
		v = v << 4 | (uint32_t)d;
	}
	*out = __builtin_bswap32(v);
	return true;
}

void aml_name_id(struct aml *a, const char *path, const char *id)
{
	uint32_t v;

	aml_name(a, path);
	if (encode_eisaid(id, &v))
		aml_int(a, v);
	else
		aml_string(a, id);
}

void aml_eisaid(struct aml *a, const char *id)
{
	uint32_t v = 0;

	if (!encode_eisaid(id, &v))
		mistake(a, "not an EISA id", id);
	aml_int(a, v);
}

void aml_int(struct aml *a, uint64_t v)
{
	uint8_t enc[9];

	term(a);
	emit(a, enc, encode_int(enc, v));
}

void aml_string(struct aml *a, const char *s)
{
	term(a);
	for (const char *p = s; *p; p++)
		if ((unsigned char)*p > 0x7f)
			mistake(a, "a string that is not ASCII", s);
	emit8(a, AML_STRING_PREFIX);
	emit(a, s, strlen(s) + 1);
}

void aml_bytes(struct aml *a, const void *p, size_t n)
{
	uint8_t enc[9];
	size_t start;

	term(a);
	emit8(a, AML_BUFFER);
	start = a->out.len;
	emit(a, enc, encode_int(enc, n));
	emit(a, p, n);
	if (!a->mistake && !a->out.failed)
		insert_length(a, start, a->out.len - start);
}

void aml_uuid(struct aml *a, const char *text)
{
	uint8_t uuid[UUID_LEN];

	if (uuid_parse(text, uuid, NULL))
		mistake(a, "not a UUID", text);
	uuid_swap(uuid, uuid);
	aml_bytes(a, uuid, sizeof(uuid));
}

void aml_ref(struct aml *a, const char *path)
{
	term(a);
	emit_path(a, path);
}

void aml_local(struct aml *a, unsigned n)
{
	statement(a);
	if (n > 7)
		mistake(a, "a local beyond Local7", "");
	emit8(a, AML_LOCAL0 + n);
}

void aml_arg(struct aml *a, unsigned n)
{
	statement(a);
	if (n > 6)
		mistake(a, "an argument beyond Arg6", "");
	emit8(a, AML_ARG0 + n);
}

void aml_op(struct aml *a, enum aml_op op)
{
	statement(a);
	emit8(a, op);
}

void aml_region(struct aml *a, const char *path, enum aml_space s, uint64_t addr, uint64_t len)
{
	statement(a);
	emit8(a, AML_EXT);
	emit8(a, AML_EXT_REGION);
	emit_path(a, path);
	emit8(a, s);
	aml_int(a, addr);
	aml_int(a, len);
}

void aml_field(struct aml *a, const char *region, unsigned width, bool zero)
{
	unsigned access = 0;

	statement(a);
	while (access < 5 && width != (access ? 1u << (access - 1) : 0u))
		access++;
	if (access == 5)
		mistake(a, "a field access width that is not 0, 1, 2, 4 or 8", region);
	emit8(a, AML_EXT);
	emit8(a, AML_EXT_FIELD);
	open_body(a, BODY_FIELD);
	emit_path(a, region);
	emit8(a, access | (zero ? 2u << 5 : 0u));
}

void aml_field_unit(struct aml *a, const char *seg, uint32_t bits)
{
	uint8_t enc[4];
	unsigned bytes = length_bytes(bits);

	inside(a, BODY_FIELD);
	if (bits > AML_PKG_LENGTH_MAX)
		mistake(a, "a field unit is too long", seg ? seg : "");
	if (seg)
		emit_segment(a, seg, strlen(seg));
	else
		emit8(a, 0);
	encode_length(enc, bits, bytes);
	emit(a, enc, bytes);
}

void aml_resources(struct aml *a, const char *path)
{
	aml_name(a, path);
	emit8(a, AML_BUFFER);
	open_body(a, BODY_RESOURCES);
}

void aml_res_io(struct aml *a, uint16_t min, uint16_t max, uint8_t align, uint8_t len)
{
	inside(a, BODY_RESOURCES);
	if (max < min || !len)
		mistake(a, "an empty range of ports", "");
	emit8(a, RES_IO);
	emit8(a, 1); /* decodes 16 bits */
	emit16(a, min);
	emit16(a, max);
	emit8(a, align);
	emit8(a, len);
}

void aml_res_irq(struct aml *a, unsigned irq)
{
	inside(a, BODY_RESOURCES);
	if (irq > 15)
		mistake(a, "an ISA interrupt beyond 15", "");
	emit8(a, RES_IRQ);
	emit16(a, (uint16_t)(1u << (irq & 15)));
}

void aml_res_mem32(struct aml *a, bool writable, uint32_t base, uint32_t len)
{
	inside(a, BODY_RESOURCES);
	emit8(a, RES_MEM32_FIXED);
	emit16(a, 9);
	emit8(a, writable);
	emit32(a, base);
	emit32(a, len);
}

void aml_res_memory(struct aml *a, uint64_t base, uint64_t len)
{
	struct aml_window w = {.consumer = true, .min = base, .max = base + len - 1};

	if (w.max <= UINT32_MAX && len <= UINT32_MAX)
		aml_res_mem32(a, true, (uint32_t)base, (uint32_t)len);
	else
		aml_res_qword(a, &w);
}

/* GPIO connection descriptor [ACPI 6.5 §6.4.3.8.1]: fixed part, one pin, the controller's path. */
void aml_res_gpio_int(struct aml *a, uint16_t pin, const char *controller)
{
	const unsigned fixed = 23, pins = fixed, name = fixed + 2;
	size_t len = strlen(controller) + 1;

	inside(a, BODY_RESOURCES);
	if (len > 64)
		mistake(a, "the path of a GPIO controller is too long", controller);
	emit8(a, RES_GPIO);
	emit16(a, (uint16_t)(name - 3 + len));
	emit8(a, 1);  /* revision */
	emit8(a, 0);  /* an interrupt */
	emit16(a, 1); /* consumer */
	emit16(a, 1); /* edge, active high, exclusive */
	emit8(a, 1);  /* pull-up */
	emit16(a, 0); /* drive strength */
	emit16(a, 0); /* debounce time */
	emit16(a, (uint16_t)pins);
	emit8(a, 0); /* resource source index */
	emit16(a, (uint16_t)name);
	emit16(a, (uint16_t)(name + len)); /* vendor data: none */
	emit16(a, 0);
	emit16(a, pin);
	emit(a, controller, len);
}

void aml_res_interrupt(struct aml *a, const struct aml_interrupt *i)
{
	inside(a, BODY_RESOURCES);
	emit8(a, RES_INTERRUPT);
	emit16(a, 6);
	emit8(a, 1u | (i->level ? 0u : 2u) | (i->low ? 4u : 0u) | (i->shared ? 8u : 0u));
	emit8(a, 1);
	emit32(a, i->gsi);
}

/* The part of an address space descriptor that all widths share. */
static void window_head(struct aml *a, uint8_t tag, unsigned width, const struct aml_window *w)
{
	unsigned specific = 0;
	uint64_t limit = width == 8 ? UINT64_MAX - 1 : (1ull << (width * 8)) - 1;

	inside(a, BODY_RESOURCES);
	if (w->max < w->min)
		mistake(a, "an empty resource window", "");
	if (w->max > limit || w->max - w->min == UINT64_MAX)
		mistake(a, "a resource window is too large for its descriptor", "");
	if (w->type == AML_WINDOW_MEMORY)
		specific = 1u | (w->prefetch ? 3u << 1 : w->cacheable ? 1u << 1 : 0u);
	else if (w->type == AML_WINDOW_IO)
		/* The whole range, not ISA or non-ISA parts of it; translated to memory or not. */
		specific = 3u | (w->translation ? 1u << 4 : 0u);
	if (w->translation && width != 8)
		mistake(a, "a translation in a window that is not 64 bits wide", "");
	emit8(a, tag);
	emit16(a, (uint16_t)(3 + 5 * width));
	emit8(a, w->type);
	emit8(a, (w->consumer ? 1u : 0u) | 0xcu); /* minimum and maximum are fixed */
	emit8(a, specific);
}

void aml_res_word(struct aml *a, const struct aml_window *w)
{
	window_head(a, RES_WORD, 2, w);
	if (w->max - w->min == UINT16_MAX)
		mistake(a, "a resource window is too large for its descriptor", "");
	emit16(a, 0); /* granularity */
	emit16(a, (uint16_t)w->min);
	emit16(a, (uint16_t)w->max);
	emit16(a, 0); /* translation */
	emit16(a, (uint16_t)(w->max - w->min + 1));
}

void aml_res_dword(struct aml *a, const struct aml_window *w)
{
	window_head(a, RES_DWORD, 4, w);
	if (w->max - w->min == UINT32_MAX)
		mistake(a, "a resource window is too large for its descriptor", "");
	emit32(a, 0);
	emit32(a, (uint32_t)w->min);
	emit32(a, (uint32_t)w->max);
	emit32(a, 0);
	emit32(a, (uint32_t)(w->max - w->min + 1));
}

void aml_res_qword(struct aml *a, const struct aml_window *w)
{
	window_head(a, RES_QWORD, 8, w);
	emit64(a, 0);
	emit64(a, w->min);
	emit64(a, w->max);
	emit64(a, w->translation);
	emit64(a, w->max - w->min + 1);
}
