/*
 * base/trace.h - trace points: one line at the point of use, off by a branch.
 *
 *	TRACE(serial_tx, "port %x byte %02x", port, byte);
 *
 * The first argument is the point's name, unique in its file; `--trace PATTERN` switches on all
 * points whose name matches a shell pattern (several patterns with commas, "-PATTERN" switches
 * off).  The points are static structs and their addresses are gathered in one linker section, so
 * that they can be listed and switched without registration.  Output goes to stderr or to the file
 * set by trace_set_file, one write(2) a line, with seconds since start and the thread's name.
 */
#ifndef LODGE_BASE_TRACE_H
#define LODGE_BASE_TRACE_H

#include <stdatomic.h>

#include "base/compiler.h"
#include "base/err.h"

struct trace_point {
	const char *name;
	const char *file;
	int line;
	_Atomic bool on;
};

#define TRACE(point, ...)                                                                          \
	do {                                                                                       \
		static struct trace_point trace_##point = {#point, __FILE__, __LINE__, false};     \
		static struct trace_point *trace_##point##_entry                                   \
			__attribute__((section("trace_points"), used)) = &trace_##point;           \
		if (UNLIKELY(atomic_load_explicit(&trace_##point.on, memory_order_relaxed)))       \
			trace_emit(&trace_##point, __VA_ARGS__);                                   \
	} while (0)

void trace_emit(const struct trace_point *p, const char *fmt, ...) PRINTF_LIKE(2, 3);

/*
 * Switches points by @patterns.  -ENOENT with the pattern named if one matches no point.
 * Any thread.
 */
int trace_enable(const char *patterns, struct err *e) MUST_CHECK;

/* Sends output to the file at @path (created, appended to) instead of stderr. */
int trace_set_file(const char *path, struct err *e) MUST_CHECK;

/* Calls @fn for every point, in no order. */
void trace_for_each(void (*fn)(const struct trace_point *p, void *arg), void *arg);

#endif
