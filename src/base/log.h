/*
 * base/log.h - what Lodge tells its user while it runs: whole lines on stderr, "lodge: ..." in
 * front, safe from any thread.  On a raw terminal a line ends in CR LF.
 */
#ifndef LODGE_BASE_LOG_H
#define LODGE_BASE_LOG_H

#include <stdatomic.h>

#include "base/compiler.h"
#include "base/err.h"

enum log_level { LOG_ERROR, LOG_WARN, LOG_INFO, LOG_DEBUG };

/* Messages above @level are not printed.  The default is LOG_INFO.  Set before threads start. */
void log_set_level(enum log_level level);

/* True while the terminal is raw (chardev/stdio sets it): lines then end in CR LF. */
void log_set_crlf(bool on);

/*
 * Prints one message after "lodge: " (warnings after "lodge: warning: ").  It may hold line feeds;
 * other control characters are shown as '?'.  Cut at 2 KiB.  errno is left as it was.
 */
void log_at(enum log_level level, const char *fmt, ...) PRINTF_LIKE(2, 3);
#define log_error(...) log_at(LOG_ERROR, __VA_ARGS__)
#define log_warn(...)  log_at(LOG_WARN, __VA_ARGS__)
#define log_info(...)  log_at(LOG_INFO, __VA_ARGS__)
#define log_debug(...) log_at(LOG_DEBUG, __VA_ARGS__)

/* Writes @text and a line end to @fd in one write(2), cleaned as above; CR LF for raw stderr. */
void log_write_line(int fd, const char *text);

/* Prints @e as "lodge: MESSAGE" and, where there is one, "hint: TEXT" on the next line. */
void log_err(const struct err *e);

/*
 * A token bucket for messages that a guest can cause: at most @burst at once and one more a
 * second.  Zero-initialised with the two constants is ready.  Thread-safe, lock-free.
 */
struct ratelimit {
	_Atomic uint64_t next_ns; /* theoretical time at which the bucket is empty again */
	_Atomic uint64_t missed;  /* how many were refused since the last success */
};

/*
 * True if a message may be printed now.  *@missed gets how many were swallowed before it (it is not
 * touched on false).  @burst is at least 1.
 */
bool ratelimit_ok(struct ratelimit *r, unsigned burst, uint64_t *missed);
/* The same at a time of the caller's, in nanoseconds. */
bool ratelimit_ok_at(struct ratelimit *r, unsigned burst, uint64_t now, uint64_t *missed);

#endif
