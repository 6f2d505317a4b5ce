/*
 * base/trace.c - switching trace points and printing their lines.
 *
 * The linker gathers a pointer to each point in the section "trace_points" and defines the two
 * symbols at its ends; both are weak, so that a program without any point links.  The section holds
 * pointers, not the points: sanitizers and compilers pad structs as they like, a pointer stays a
 * pointer.
 */
#include "base/trace.h"

#include <errno.h>
#include <fcntl.h>
#include <pthread.h>
#include <stdarg.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

#include "base/log.h"
#include "base/str.h"
#include "base/sys.h"

/* NOLINTBEGIN(bugprone-reserved-identifier): the linker gives these names. */
extern struct trace_point *__start_trace_points[] __attribute__((weak));
extern struct trace_point *__stop_trace_points[] __attribute__((weak));
/* NOLINTEND(bugprone-reserved-identifier) */

static _Atomic int trace_fd = STDERR_FILENO;
static uint64_t trace_start_ns;

/* Before main, so that times count from the start of the process and need no lock. */
__attribute__((constructor)) static void trace_note_start(void)
{
	trace_start_ns = sys_now_ns();
}

static size_t trace_count(void)
{
	/* By address: for the compiler these are two arrays that never meet. */
	return ((uintptr_t)__stop_trace_points - (uintptr_t)__start_trace_points) /
	       sizeof(struct trace_point *);
}

void trace_for_each(void (*fn)(const struct trace_point *p, void *arg), void *arg)
{
	for (size_t i = 0; i < trace_count(); i++)
		fn(__start_trace_points[i], arg);
}

/* The next word of a list with commas into @word; false at the end. */
static bool next_pattern(const char **list, char *word, size_t n)
{
	const char *s = *list;
	size_t len;

	if (!s)
		return false;
	len = strcspn(s, ",");
	*list = s[len] ? s + len + 1 : NULL;
	len = MIN(len, n - 1);
	memcpy(word, s, len);
	word[len] = '\0';
	return true;
}

/* How many points @pattern names; switches them when @apply. */
static size_t switch_points(const char *pattern, bool apply)
{
	bool on = pattern[0] != '-';
	size_t hits = 0;

	for (size_t i = 0; i < trace_count(); i++) {
		struct trace_point *p = __start_trace_points[i];

		if (!str_match(on ? pattern : pattern + 1, p->name))
			continue;
		hits++;
		if (apply)
			atomic_store_explicit(&p->on, on, memory_order_relaxed);
	}
	return hits;
}

int trace_enable(const char *patterns, struct err *e)
{
	char word[128];

	for (const char *s = patterns; next_pattern(&s, word, sizeof(word));)
		if (!switch_points(word, false))
			return err_set(e, -ENOENT, "no trace point matches '%s'", word);
	for (const char *s = patterns; next_pattern(&s, word, sizeof(word));)
		switch_points(word, true);
	return 0;
}

int trace_set_file(const char *path, struct err *e)
{
	int fd = sys_open(path, O_WRONLY | O_CREAT | O_APPEND, 0644);
	int old = atomic_load(&trace_fd);

	if (fd < 0)
		return err_errno(e, -errno, "%s: cannot open for trace output", path);
	if (old == STDERR_FILENO) {
		atomic_store(&trace_fd, fd);
		return 0;
	}
	/* Another thread may be writing: the number stays, what it stands for changes. */
	if (dup3(fd, old, O_CLOEXEC) < 0) {
		int code = -errno;

		close(fd);
		return err_errno(e, code, "%s: cannot use for trace output", path);
	}
	close(fd);
	return 0;
}

void trace_emit(const struct trace_point *p, const char *fmt, ...)
{
	char line[1024], thread[16] = "?";
	uint64_t us = (sys_now_ns() - trace_start_ns) / 1000;
	int n, saved = errno;
	va_list ap;

	pthread_getname_np(pthread_self(), thread, sizeof(thread));
	n = snprintf(line, sizeof(line), "%5llu.%06llu %s %s ", (unsigned long long)(us / 1000000),
		     (unsigned long long)(us % 1000000), thread, p->name);
	if (n > 0 && (size_t)n < sizeof(line)) {
		va_start(ap, fmt);
		vsnprintf(line + n, sizeof(line) - (size_t)n, fmt, ap);
		va_end(ap);
	}
	log_write_line(atomic_load_explicit(&trace_fd, memory_order_relaxed), line);
	errno = saved;
}
