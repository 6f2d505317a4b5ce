/*
 * base/log.c - lines on stderr.
 *
 * A message is built whole on the stack and leaves in one write(2), so that lines of different
 * threads never mix.  What a guest can put into a message (a device name, a path) must not drive
 * the user's terminal: control characters are shown as '?'.
 */
#include "base/log.h"

#include <errno.h>
#include <poll.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "base/sys.h"

#define LOG_LINE_MAX 2048
/* Somebody may have made the terminal non-blocking; a reader that stands still loses lines. */
#define LOG_STALL_MS 1000

static enum log_level log_level = LOG_INFO;
static _Atomic bool log_crlf;

void log_set_level(enum log_level level)
{
	log_level = level;
}

void log_set_crlf(bool on)
{
	atomic_store_explicit(&log_crlf, on, memory_order_relaxed);
}

/* All of @buf to @fd; gives up on an error, which there is nobody to tell. */
static void write_patiently(int fd, const char *buf, size_t n)
{
	while (n > 0) {
		ssize_t r = write(fd, buf, n);

		if (r >= 0) {
			buf += r;
			n -= (size_t)r;
		} else if (errno == EAGAIN) {
			struct pollfd p = {.fd = fd, .events = POLLOUT};

			if (poll(&p, 1, LOG_STALL_MS) <= 0)
				return;
		} else if (errno != EINTR) {
			return;
		}
	}
}

static bool is_control(char c)
{
	return ((unsigned char)c < ' ' && c != '\n' && c != '\t') || c == 0x7f;
}

void log_write_line(int fd, const char *text)
{
	char out[2 * LOG_LINE_MAX + 2];
	bool cr = fd == STDERR_FILENO && atomic_load_explicit(&log_crlf, memory_order_relaxed);
	size_t n = 0;

	for (size_t i = 0; i < LOG_LINE_MAX && text[i]; i++) {
		char c = text[i];

		if (c == '\n' && cr)
			out[n++] = '\r';
		else if (is_control(c))
			c = '?';
		out[n++] = c;
	}
	if (cr)
		out[n++] = '\r';
	out[n++] = '\n';
	write_patiently(fd, out, n);
}

void log_at(enum log_level level, const char *fmt, ...)
{
	char line[LOG_LINE_MAX];
	va_list ap;
	int n, saved = errno;

	if (level > log_level)
		return;
	n = snprintf(line, sizeof(line), "lodge: %s", level == LOG_WARN ? "warning: " : "");
	va_start(ap, fmt);
	vsnprintf(line + n, sizeof(line) - (size_t)n, fmt, ap);
	va_end(ap);
	log_write_line(STDERR_FILENO, line);
	errno = saved;
}

void log_err(const struct err *e)
{
	if (e->hint[0])
		log_error("%s\nhint: %s", e->msg, e->hint);
	else
		log_error("%s", e->msg);
}

/*
 * The bucket in its "virtual scheduling" form [ITU-T I.371, GCRA]: next_ns is when a steady stream
 * of one a second would have its next turn; being early by up to burst - 1 turns is allowed.
 */
bool ratelimit_ok_at(struct ratelimit *r, unsigned burst, uint64_t now, uint64_t *missed)
{
	const uint64_t turn = UINT64_C(1000000000);
	uint64_t old = atomic_load_explicit(&r->next_ns, memory_order_relaxed);
	uint64_t next;

	BUG_ON(burst == 0);
	do {
		next = MAX(old, now);
		if (next - now > (burst - 1) * turn) {
			atomic_fetch_add_explicit(&r->missed, 1, memory_order_relaxed);
			return false;
		}
	} while (!atomic_compare_exchange_weak_explicit(
		&r->next_ns, &old, next + turn, memory_order_relaxed, memory_order_relaxed));
	*missed = atomic_exchange_explicit(&r->missed, 0, memory_order_relaxed);
	return true;
}

bool ratelimit_ok(struct ratelimit *r, unsigned burst, uint64_t *missed)
{
	return ratelimit_ok_at(r, burst, sys_now_ns(), missed);
}
