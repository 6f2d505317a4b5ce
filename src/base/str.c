/*
 * base/str.c - text.
 */
#include "base/str.h"

#include <ctype.h>
#include <errno.h>
#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>

#include "base/endian.h"
#include "base/sys.h"

/* Room for @more bytes and the NUL. */
static bool strbuf_reserve(struct strbuf *b, size_t more)
{
	size_t need, cap;
	char *s;

	if (b->failed)
		return false;
	if (ADD_OVERFLOWS(b->len, more, &need) || need > SIZE_MAX / 4) {
		b->failed = true;
		return false;
	}
	if (need < b->cap)
		return true;
	cap = MAX(need + 1, MAX(b->cap * 2, (size_t)64));
	s = sys_realloc_array(b->s, cap, 1);
	if (!s) {
		b->failed = true;
		return false;
	}
	b->s = s;
	b->cap = cap;
	return true;
}

void strbuf_add_bytes(struct strbuf *b, const void *p, size_t n)
{
	if (!strbuf_reserve(b, n))
		return;
	if (n)
		memcpy(b->s + b->len, p, n);
	b->len += n;
	b->s[b->len] = '\0';
}

void strbuf_add(struct strbuf *b, const char *s)
{
	strbuf_add_bytes(b, s, strlen(s));
}

void strbuf_vprintf(struct strbuf *b, const char *fmt, va_list ap)
{
	va_list again;
	int n;

	if (b->failed)
		return;
	va_copy(again, ap);
	n = vsnprintf(b->s ? b->s + b->len : NULL, b->s ? b->cap - b->len : 0, fmt, ap);
	if (n < 0) {
		b->failed = true;
	} else if ((size_t)n < b->cap - b->len) {
		b->len += (size_t)n;
	} else if (strbuf_reserve(b, (size_t)n)) {
		vsnprintf(b->s + b->len, b->cap - b->len, fmt, again);
		b->len += (size_t)n;
	} else if (b->s) {
		b->s[b->len] = '\0'; /* the first try may have left a part */
	}
	va_end(again);
}

void strbuf_printf(struct strbuf *b, const char *fmt, ...)
{
	va_list ap;

	va_start(ap, fmt);
	strbuf_vprintf(b, fmt, ap);
	va_end(ap);
}

void strbuf_exit(struct strbuf *b)
{
	free(b->s);
	*b = (struct strbuf){0};
}

const char *strbuf_str(const struct strbuf *b)
{
	return b->s ? b->s : "";
}

static int digit_value(char c)
{
	if (c >= '0' && c <= '9')
		return c - '0';
	if (c >= 'a' && c <= 'f')
		return c - 'a' + 10;
	if (c >= 'A' && c <= 'F')
		return c - 'A' + 10;
	return 16;
}

/*
 * The number at the start of @s, decimal or 0x…: -EINVAL without a digit, -ERANGE over 64 bits (the
 * digits are passed all the same).  *@end is behind it.
 */
static int parse_digits(const char *s, const char **end, uint64_t *out)
{
	uint64_t v = 0, base = 10;
	int r = -EINVAL;

	if (s[0] == '0' && (s[1] == 'x' || s[1] == 'X')) {
		base = 16;
		s += 2;
	}
	for (; (unsigned)digit_value(*s) < base; s++) {
		if (r == -EINVAL)
			r = 0;
		if (MUL_OVERFLOWS(v, base, &v) || ADD_OVERFLOWS(v, (uint64_t)digit_value(*s), &v))
			r = -ERANGE;
	}
	*end = s;
	*out = v;
	return r;
}

int str_parse_u64(const char *s, uint64_t min, uint64_t max, uint64_t *out, struct err *e)
{
	const char *end;
	uint64_t v;
	int r = parse_digits(s, &end, &v);

	if (r == -EINVAL || *end)
		return err_set(e, -EINVAL, "'%s' is not a whole number", s);
	if (r == -ERANGE || v > max)
		return err_set(e, -ERANGE, "%s is too large: %llu to %llu is accepted", s,
			       (unsigned long long)min, (unsigned long long)max);
	if (v < min)
		return err_set(e, -ERANGE, "%s is too small: %llu to %llu is accepted", s,
			       (unsigned long long)min, (unsigned long long)max);
	*out = v;
	return 0;
}

int str_parse_size(const char *s, uint64_t unit, uint64_t *out, struct err *e)
{
	static const char letters[] = "KMGT";
	const char *end, *letter;
	uint64_t v;
	int r = parse_digits(s, &end, &v);

	if (r == -EINVAL)
		return err_set(e, -EINVAL,
			       "'%s' is not a size: a whole number is needed, as in 512M or 4G", s);
	if (*end) {
		letter = strchr(letters, toupper((unsigned char)*end));
		if (!letter || (end[1] && strcasecmp(end + 1, "iB") != 0))
			return err_set(
				e, -EINVAL,
				"'%s' has the unknown suffix '%s': K, M, G and T are accepted", s,
				end);
		unit = UINT64_C(1) << (10 * (letter - letters + 1));
	}
	if (r == -ERANGE || MUL_OVERFLOWS(v, unit, &v))
		return err_set(e, -ERANGE, "%s is too large for a size", s);
	*out = v;
	return 0;
}

int str_parse_duration(const char *s, uint64_t *out, struct err *e)
{
	static const struct {
		const char *suffix;
		uint64_t ns;
	} units[] = {
		{"", UINT64_C(1000000000)},
		{"ns", 1},
		{"us", 1000},
		{"ms", 1000000},
		{"s", UINT64_C(1000000000)},
		{"m", UINT64_C(60000000000)},
		{"h", UINT64_C(3600000000000)},
	};
	const char *end;
	uint64_t v;
	int r = parse_digits(s, &end, &v);

	if (r == -EINVAL)
		return err_set(e, -EINVAL,
			       "'%s' is not a duration: a whole number is needed, as in 30s or 5m",
			       s);
	for (size_t i = 0; i < ARRAY_LEN(units); i++) {
		if (strcmp(end, units[i].suffix) != 0)
			continue;
		if (r == -ERANGE || MUL_OVERFLOWS(v, units[i].ns, &v))
			return err_set(e, -ERANGE, "%s is too large for a duration", s);
		*out = v;
		return 0;
	}
	return err_set(e, -EINVAL,
		       "'%s' has the unknown suffix '%s': ns, us, ms, s, m and h are accepted", s,
		       end);
}

const char *str_size(uint64_t bytes, char *buf, size_t n)
{
	static const char *const names[] = {"KiB", "MiB", "GiB", "TiB", "PiB", "EiB"};
	size_t i = 0;
	uint64_t unit, tenths;

	if (bytes < 1024) {
		snprintf(buf, n, "%u byte%s", (unsigned)bytes, bytes == 1 ? "" : "s");
		return buf;
	}
	while (i + 1 < ARRAY_LEN(names) && bytes >> (10 * (i + 2)))
		i++;
	/* Cut, not rounded: 1023.99 MiB must not become 1024 MiB. */
	unit = UINT64_C(1) << (10 * (i + 1));
	tenths = bytes % unit * 10 / unit;
	if (tenths)
		snprintf(buf, n, "%u.%u %s", (unsigned)(bytes / unit), (unsigned)tenths, names[i]);
	else
		snprintf(buf, n, "%u %s", (unsigned)(bytes / unit), names[i]);
	return buf;
}

#define NEAREST_MAX 40 /* longer words are not compared */

/*
 * Edit distance with neighbours swapped as one edit (optimal string alignment), over three rows of
 * the usual table.
 */
static size_t distance(const char *a, size_t na, const char *b, size_t nb)
{
	size_t rows[3][NEAREST_MAX + 1];
	size_t *two = rows[0], *one = rows[1], *now = rows[2];

	for (size_t j = 0; j <= nb; j++)
		one[j] = j;
	for (size_t i = 1; i <= na; i++) {
		size_t *spare = two;

		now[0] = i;
		for (size_t j = 1; j <= nb; j++) {
			size_t d = one[j - 1] + (a[i - 1] != b[j - 1]);

			d = MIN(d, one[j] + 1);
			d = MIN(d, now[j - 1] + 1);
			if (i > 1 && j > 1 && a[i - 1] == b[j - 2] && a[i - 2] == b[j - 1])
				d = MIN(d, two[j - 2] + 1);
			now[j] = d;
		}
		two = one;
		one = now;
		now = spare;
	}
	return one[nb];
}

const char *str_nearest(const char *s, const char *const *words)
{
	const char *best = NULL;
	size_t n = strlen(s);
	/* A third of the letters wrong is a slip; more is another word. */
	size_t limit = n / 3 + 1;

	if (n == 0 || n > NEAREST_MAX)
		return NULL;
	for (; *words; words++) {
		size_t len = strlen(*words);
		size_t d;

		if (len == 0 || len > NEAREST_MAX)
			continue;
		d = distance(s, n, *words, len);
		if (d < limit && d < MAX(n, len)) {
			limit = d;
			best = *words;
		}
	}
	return best;
}

bool str_copy(char *dst, size_t n, const char *src)
{
	size_t len = strlen(src);

	if (n == 0)
		return false;
	if (len >= n) {
		memcpy(dst, src, n - 1);
		dst[n - 1] = '\0';
		return false;
	}
	memcpy(dst, src, len + 1);
	return true;
}

/* Only the last * is ever retried, a step further: the work is at most length times length. */
bool str_match(const char *pattern, const char *s)
{
	const char *star = NULL, *from = NULL;

	while (*s) {
		if (*pattern == '*') {
			star = ++pattern;
			from = s;
		} else if (*pattern == '?' || *pattern == *s) {
			pattern++;
			s++;
		} else if (star) {
			pattern = star;
			s = ++from;
		} else {
			return false;
		}
	}
	while (*pattern == '*')
		pattern++;
	return *pattern == '\0';
}

/*
 * CRC-32 eight bytes at a time ("slicing by 8"): table[k][b] is the CRC of byte b with k zero bytes
 * behind it.
 */
static uint32_t crc_table[8][256];
static pthread_once_t crc_once = PTHREAD_ONCE_INIT;

static void crc_make_table(void)
{
	for (uint32_t b = 0; b < 256; b++) {
		uint32_t c = b;

		for (int k = 0; k < 8; k++)
			c = c >> 1 ^ (c & 1 ? UINT32_C(0xedb88320) : 0);
		crc_table[0][b] = c;
	}
	for (uint32_t b = 0; b < 256; b++)
		for (int k = 1; k < 8; k++)
			crc_table[k][b] =
				crc_table[k - 1][b] >> 8 ^ crc_table[0][crc_table[k - 1][b] & 0xff];
}

uint32_t str_crc32(uint32_t crc, const void *p, size_t n)
{
	const uint8_t *at = p;

	pthread_once(&crc_once, crc_make_table);
	crc = ~crc;
	for (; n >= 8; n -= 8, at += 8) {
		uint32_t lo = le32_load(at) ^ crc, hi = le32_load(at + 4);

		crc = crc_table[7][lo & 0xff] ^ crc_table[6][lo >> 8 & 0xff] ^
		      crc_table[5][lo >> 16 & 0xff] ^ crc_table[4][lo >> 24] ^
		      crc_table[3][hi & 0xff] ^ crc_table[2][hi >> 8 & 0xff] ^
		      crc_table[1][hi >> 16 & 0xff] ^ crc_table[0][hi >> 24];
	}
	for (; n > 0; n--)
		crc = crc >> 8 ^ crc_table[0][(crc ^ *at++) & 0xff];
	return ~crc;
}
