/*
 * base/str.h - text: a growing buffer, numbers and sizes with strict parsing, nearest word.
 */
#ifndef LODGE_BASE_STR_H
#define LODGE_BASE_STR_H

#include <stdarg.h>

#include "base/compiler.h"
#include "base/err.h"

/*
 * A string that grows.  Zero-initialised is empty.  An allocation that fails sets .failed and
 * later additions do nothing, so that a caller checks once at the end.
 */
struct strbuf {
	char *s; /* NUL-terminated once something was added; NULL before */
	size_t len, cap;
	bool failed;
};

void strbuf_add(struct strbuf *b, const char *s);
void strbuf_add_bytes(struct strbuf *b, const void *p, size_t n);
void strbuf_printf(struct strbuf *b, const char *fmt, ...) PRINTF_LIKE(2, 3);
void strbuf_vprintf(struct strbuf *b, const char *fmt, va_list ap) PRINTF_LIKE(2, 0);
void strbuf_exit(struct strbuf *b);
/* The text, never NULL. */
const char *strbuf_str(const struct strbuf *b);

/*
 * A whole number, decimal or 0x…, within [min, max]; the message names what is wrong and the range.
 */
int str_parse_u64(const char *s, uint64_t min, uint64_t max, uint64_t *out,
		  struct err *e) MUST_CHECK;

/*
 * A size: a number with one of the suffixes K M G T (1024-based, also KiB, k, m…); a bare number
 * counts in units of @unit bytes (1 or MiB(1)).  Refused with the accepted suffixes named.
 */
int str_parse_size(const char *s, uint64_t unit, uint64_t *out, struct err *e) MUST_CHECK;

/* A duration: number with ns, us, ms, s, m or h; a bare number is seconds.  In nanoseconds. */
int str_parse_duration(const char *s, uint64_t *out, struct err *e) MUST_CHECK;

/* "256 MiB", "1.5 GiB", "512 bytes": for messages.  Returns @buf. */
const char *str_size(uint64_t bytes, char *buf, size_t n);

/*
 * The word of @words (NULL-terminated) nearest to @s by edit distance, or NULL if none is near
 * enough to be meant.
 */
const char *str_nearest(const char *s, const char *const *words);

/* Copies as strlcpy does; true if it fit. */
bool str_copy(char *dst, size_t n, const char *src);

/* Shell pattern with * and ? only; bounded time. */
bool str_match(const char *pattern, const char *s);

/* CRC-32 (IEEE 802.3) of @n bytes, continuing from @crc (0 at the start). */
uint32_t str_crc32(uint32_t crc, const void *p, size_t n);

#endif
