/*
 * boot/acpi/aml.h - writes ACPI Machine Language, the byte code of DSDT and SSDT
 * [ACPI 6.5 §20.2], into a growing buffer.
 *
 * The calls come in the order of the byte code.  What has a body (a scope, a device, a method, a
 * package, …) is opened by its function and closed by aml_end(); its length is computed there, so
 * no caller counts bytes.  Operators are prefix: aml_op(a, AML_STORE), then source, then target.
 *
 *	struct aml a = AML_INIT;
 *	aml_scope(&a, "\\_SB");
 *	aml_device(&a, "RTC");
 *	aml_name_id(&a, "_HID", "PNP0B00");
 *	aml_resources(&a, "_CRS");
 *	aml_res_io(&a, 0x70, 0x70, 1, 2);
 *	aml_end(&a);
 *	aml_end(&a);
 *	aml_end(&a);
 *	ret = aml_finish(&a, e);
 *
 * Errors stick: after the first mistake (a bad name, a body closed twice, no memory) nothing more
 * is written, and aml_finish() says what it was.  The writer has no other state and no locks; one
 * thread uses one writer.
 */
#ifndef LODGE_BOOT_ACPI_AML_H
#define LODGE_BOOT_ACPI_AML_H

#include "base/err.h"
#include "base/str.h"

#define AML_DEPTH_MAX 16 /* nested bodies */

struct aml_body {
	size_t start;	   /* where its length goes */
	unsigned elements; /* of a package, so far */
	uint8_t kind;	   /* enum aml_body_kind, private to aml.c */
};

struct aml {
	struct strbuf out; /* the byte code so far; valid to take after aml_finish() */
	const char *mistake;
	char where[40]; /* the name or number the mistake is about, "" if none */
	unsigned depth;
	struct aml_body body[AML_DEPTH_MAX];
};

#define AML_INIT ((struct aml){0})

/*
 * 0 if everything was closed and nothing went wrong; else -EINVAL or -ENOMEM with a message.
 * The bytes are a->out, which the caller may take or leave for aml_exit().
 */
int aml_finish(struct aml *a, struct err *e) MUST_CHECK;
/* Frees the buffer; the writer is as new. */
void aml_exit(struct aml *a);

/*
 * Things with a body; each is closed by aml_end().  Paths are ACPI's: segments of up to four of
 * A-Z, 0-9 and _ (shorter ones are padded with _), '.' between them, a leading '\' or some '^'.
 */
void aml_scope(struct aml *a, const char *path);
void aml_device(struct aml *a, const char *path);
/* A method of @args arguments (0-7); one that creates names must be @serialized. */
void aml_method(struct aml *a, const char *path, unsigned args, bool serialized);
/* Its elements are the objects written until aml_end(), at most 255. */
void aml_package(struct aml *a);
/* The condition is the next expression; aml_else() directly after the end of an if. */
void aml_if(struct aml *a);
void aml_else(struct aml *a);
void aml_while(struct aml *a);
void aml_end(struct aml *a);

/* "Name (PATH, " - the object follows. */
void aml_name(struct aml *a, const char *path);
void aml_name_int(struct aml *a, const char *path, uint64_t v);
void aml_name_string(struct aml *a, const char *path, const char *s);
/* _HID, _CID: as EISAID if @id has that form ("PNP0501"), else as a string ("ACPI0007"). */
void aml_name_id(struct aml *a, const char *path, const char *id);

/* Objects and operands. */
void aml_int(struct aml *a, uint64_t v);		/* in the shortest encoding */
void aml_string(struct aml *a, const char *s);		/* ASCII 0x01-0x7f */
void aml_bytes(struct aml *a, const void *p, size_t n); /* Buffer () {…} */
void aml_eisaid(struct aml *a, const char *id);		/* "PNP0501" */
void aml_uuid(struct aml *a, const char *text);		/* ToUUID ("33db4d5b-1ff7-…") */
void aml_ref(struct aml *a, const char *path); /* a name, also a method about to be called */
void aml_local(struct aml *a, unsigned n);     /* Local0-7 */
void aml_arg(struct aml *a, unsigned n);       /* Arg0-6 */

/*
 * Operators [ACPI 6.5 §20.2.5.3, §20.2.5.4]; operands follow as listed, a target may be
 * aml_op(a, AML_NONE).
 */
enum aml_op {
	AML_NONE = 0x00,	/* no target */
	AML_ONES = 0xff,	/* all bits set */
	AML_STORE = 0x70,	/* source, target */
	AML_ADD = 0x72,		/* a, b, target */
	AML_SUBTRACT = 0x74,	/* a, b, target */
	AML_INCREMENT = 0x75,	/* target */
	AML_SHIFT_LEFT = 0x79,	/* a, count, target */
	AML_SHIFT_RIGHT = 0x7a, /* a, count, target */
	AML_AND = 0x7b,		/* a, b, target */
	AML_OR = 0x7d,		/* a, b, target */
	AML_XOR = 0x7f,		/* a, b, target */
	AML_NOT = 0x80,		/* a, target */
	AML_DEREF = 0x83,	/* reference */
	AML_NOTIFY = 0x86,	/* object, value */
	AML_SIZEOF = 0x87,	/* object */
	AML_INDEX = 0x88,	/* object, index, target */
	AML_DWORD_FIELD = 0x8a, /* CreateDWordField: buffer, byte offset, name (aml_ref) */
	AML_LAND = 0x90,	/* a, b */
	AML_LOR = 0x91,		/* a, b */
	AML_LNOT = 0x92,	/* a */
	AML_LEQUAL = 0x93,	/* a, b */
	AML_LGREATER = 0x94,	/* a, b */
	AML_LLESS = 0x95,	/* a, b */
	AML_RETURN = 0xa4,	/* value */
	AML_BREAK = 0xa5,
};
void aml_op(struct aml *a, enum aml_op op);

/* Address spaces of operation regions [ACPI 6.5 §5.5.2.4]. */
enum aml_space { AML_SPACE_MEMORY = 0, AML_SPACE_IO = 1, AML_SPACE_PCI = 2 };
void aml_region(struct aml *a, const char *path, enum aml_space s, uint64_t addr, uint64_t len);

/*
 * Field (@region, …) with access of @width bytes (1, 2, 4, 8; 0: any), no lock; what is not
 * written keeps its value, or becomes 0 with @zero.  Then aml_field_unit() each, then aml_end().
 */
void aml_field(struct aml *a, const char *region, unsigned width, bool zero);
/* @bits bits with a name of one segment, or skipped if @seg is NULL. */
void aml_field_unit(struct aml *a, const char *seg, uint32_t bits);

/*
 * "Name (PATH, ResourceTemplate () {": the aml_res_* of below, then aml_end() [ACPI 6.5 §6.4].
 */
void aml_resources(struct aml *a, const char *path);
/* I/O ports, 16 address bits decoded. */
void aml_res_io(struct aml *a, uint16_t min, uint16_t max, uint8_t align, uint8_t len);
/* ISA interrupt 0-15, edge, active high, exclusive (IRQNoFlags). */
void aml_res_irq(struct aml *a, unsigned irq);
/* Memory32Fixed */
void aml_res_mem32(struct aml *a, bool writable, uint32_t base, uint32_t len);

struct aml_interrupt {
	uint32_t gsi;
	bool level, low, shared; /* else edge, active high, exclusive */
};
/* Memory as the smallest descriptor that can hold it, read-write. */
void aml_res_memory(struct aml *a, uint64_t base, uint64_t len);
/* Edge-triggered (rising) interrupt of one pin of the GPIO controller at @controller, pulled up. */
void aml_res_gpio_int(struct aml *a, uint16_t pin, const char *controller);
/* Extended interrupt descriptor, consumer. */
void aml_res_interrupt(struct aml *a, const struct aml_interrupt *i);

/* A window [ACPI 6.5 §6.4.3.5] with fixed minimum and maximum; empty if @max < @min (refused). */
enum aml_window_type { AML_WINDOW_MEMORY = 0, AML_WINDOW_IO = 1, AML_WINDOW_BUS = 2 };
struct aml_window {
	enum aml_window_type type;
	bool consumer;	/* the device uses it itself; else it passes it on to its children */
	bool cacheable; /* memory: write-back instead of uncacheable */
	bool prefetch;	/* memory: prefetchable (cacheable must not be set) */
	uint64_t min, max;
	uint64_t translation; /* added on the other side; ports that are memory there */
};
/* Word, DWord and QWord address space descriptors; the values must fit. */
void aml_res_word(struct aml *a, const struct aml_window *w);
void aml_res_dword(struct aml *a, const struct aml_window *w);
void aml_res_qword(struct aml *a, const struct aml_window *w);

#endif
