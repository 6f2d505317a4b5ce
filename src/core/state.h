/*
 * core/state.h - one const field table per state struct.
 *
 * From the table follow save, load, reset, show, diff and fuzzing.  What is not in the table is
 * host-side and rebuilt in init() or loaded().
 *
 *	#define F(m, ...) FIELD(struct ns16550, m, __VA_ARGS__)
 *	static const struct field fields[] = { F(ier, .max = 0x0f), F(lcr, .reset = 3), F(fifo, ) };
 *	static const struct state_table state = STATE_TABLE("ns16550", 1, fields);
 *
 * Saved form: for each field a u8 name length, the name, a u32 byte count, the bytes; integers are
 * little-endian with their declared width, arrays back to back, nested tables as a field list of
 * their own, element by element with a u32 byte count each; timers as u64 VM time.  A load is
 *hostile input: everything is validated in a first pass (known name, once, size, bounds, counts),
 *and only a second pass, which cannot fail, writes the struct.  Unknown fields and missing fields
 *are errors, except that a field newer than the saved section's version gets its reset value.
 */
#ifndef LODGE_CORE_STATE_H
#define LODGE_CORE_STATE_H

#include "base/compiler.h"
#include "base/err.h"
#include "base/str.h"
#include "core/clock.h"

enum field_kind {
	FIELD_UINT,  /* unsigned integers of 1, 2, 4 or 8 bytes, and arrays of them */
	FIELD_BOOL,  /* bool and arrays of it; only 0 and 1 load */
	FIELD_TABLE, /* nested struct or array of structs: .sub */
	FIELD_TIMER, /* struct timer: armed time, or never */
};

struct state_table {
	const char *name;
	uint16_t version;
	const struct field *fields;
	unsigned n;
};

struct field {
	const char *name;
	uint32_t off;
	uint32_t elem;	/* bytes of one element */
	uint32_t total; /* bytes of the whole member */
	uint8_t kind;
	/*
	 * The version that brought it; 0 = 1 = from the beginning.  Counted in versions of the
	 * section's outermost table: nested tables have no version of their own.
	 */
	uint16_t since;
	uint64_t max;	/* largest value that loads; 0: whatever fits */
	uint64_t reset; /* value after reset, each element */
	bool keep; /* battery-backed: a device's reset leaves it; init() gives its first value */
	const struct state_table *sub;
	/*
	 * A counted vector: offset + 1 of a uint32_t member (a field of this table, listed before)
	 * that says how many elements are in use; only those are saved.  0: all.
	 */
	uint32_t count_off;
};

#define FIELD_ELEM_(x)                                                                       \
	_Generic((x), bool : 1, bool * : 1, uint8_t : 1, uint8_t * : 1, uint16_t : 2,        \
		 uint16_t * : 2, uint32_t : 4, uint32_t * : 4, uint64_t : 8, uint64_t * : 8, \
		 default                                                                     \
		 : sizeof(x))
#define FIELD_KIND_(x) \
	_Generic((x), bool: FIELD_BOOL, bool *: FIELD_BOOL, uint8_t: FIELD_UINT,                   \
		 uint8_t *: FIELD_UINT, uint16_t: FIELD_UINT, uint16_t *: FIELD_UINT,              \
		 uint32_t: FIELD_UINT, uint32_t *: FIELD_UINT, uint64_t: FIELD_UINT,               \
		 uint64_t *: FIELD_UINT, struct timer: FIELD_TIMER, default: FIELD_TABLE)

/* A member of an integer, bool or timer type, or an array of integers or bools. */
#define FIELD(type, member, ...)                                                                \
	{                                                                                       \
		.name = #member, .off = offsetof(type, member),                                 \
		.elem = FIELD_ELEM_(((type *)0)->member), .total = sizeof(((type *)0)->member), \
		.kind = FIELD_KIND_(((type *)0)->member), __VA_ARGS__                           \
	}
/* A member that is a struct, or an array of structs of @elem_type, with its own @table. */
#define FIELD_SUB(type, member, elem_type, table, ...)                                     \
	{                                                                                  \
		.name = #member, .off = offsetof(type, member), .elem = sizeof(elem_type), \
		.total = sizeof(((type *)0)->member), .kind = FIELD_TABLE, .sub = (table), \
		__VA_ARGS__                                                                \
	}
#define STATE_TABLE(table_name, table_version, array)                                \
	{                                                                            \
		.name = (table_name), .version = (table_version), .fields = (array), \
		.n = ARRAY_LEN(array)                                                \
	}

/* Reset values into @obj, except where .keep; timers are cancelled. */
void state_reset(const struct state_table *t, void *obj);
/* Appends the saved form. */
void state_save(const struct state_table *t, const void *obj, struct strbuf *out);
/* Validates @len bytes without touching anything. @version is the saved section's. */
int state_check(const struct state_table *t, unsigned version, const void *data, size_t len,
		struct err *e) MUST_CHECK;
/* state_check, then commits.  On error @obj is as before. */
int state_load(const struct state_table *t, unsigned version, void *obj, const void *data,
	       size_t len, struct err *e) MUST_CHECK;
/* "name = value" lines, indented by @indent. */
void state_show(const struct state_table *t, const void *obj, unsigned indent, struct strbuf *out);
/* A line for each field in which @a and @b differ; returns how many. */
unsigned state_diff(const struct state_table *t, const void *a, const void *b, struct strbuf *out);
/*
 * Fuzzing: fills every field of @obj with values drawn from @next (called for each 64 bits),
 * brought within the declared bounds.  Timers become unarmed or near.
 */
void state_random(const struct state_table *t, void *obj, uint64_t (*next)(void *arg), void *arg);

#endif
