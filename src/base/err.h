/*
 * base/err.h - errors of the control path that carry their message.
 *
 * A function that can fail for a reason of the host or the user returns 0 or a negative errno and
 * takes a `struct err *` as its last parameter.  Whoever finds the mistake writes what and why
 * (err_set); each layer on the way up puts in front of whom it concerns (err_prefix); a hint says
 * what the user can do.  main() prints it and turns the kind into an exit code.  The struct lives
 * on the caller's stack; nothing is allocated, so reporting cannot fail.
 */
#ifndef LODGE_BASE_ERR_H
#define LODGE_BASE_ERR_H

#include "base/compiler.h"

/* Which of the documented exit codes an error ends with (core/exit.h has the numbers). */
enum err_kind {
	ERR_CONFIG, /* a file, image or value that cannot be used: the default */
	ERR_USAGE,  /* the command line itself */
	ERR_HOST,   /* this host cannot do it: no KVM, no permission, no memory */
};

struct err {
	int code; /* negative errno, 0: no error */
	enum err_kind kind;
	char msg[480];	/* one sentence without a full stop or newline */
	char hint[320]; /* "" or what the user can do about it */
};

#define ERR_INIT ((struct err){0})

/*
 * Sets the message and returns @code (a negative errno), so that `return err_set(e, -EINVAL, …)`
 * reads well.  @e may be NULL: the caller does not want to know.  An error that is set already is
 * replaced, kind and hint included.  The text is cut at the end of the buffer.
 *
 * What these functions return is always negative, whatever they were given: an error stays one.
 */
int err_set(struct err *e, int code, const char *fmt, ...) PRINTF_LIKE(3, 4);

/* As err_set, with ": " and the text of errno @code (of either sign) at the end. */
int err_errno(struct err *e, int code, const char *fmt, ...) PRINTF_LIKE(3, 4);

/* Puts "text: " in front of the message: each layer adds who it was.  Returns e->code. */
int err_prefix(struct err *e, const char *fmt, ...) PRINTF_LIKE(2, 3);

/* Sets the hint line; the first hint, set nearest to the cause, wins.  Returns e->code. */
int err_hint(struct err *e, const char *fmt, ...) PRINTF_LIKE(2, 3);

/* Sets the kind.  Returns e->code. */
int err_kind(struct err *e, enum err_kind kind);

/* "out of memory (N bytes for WHAT)", -ENOMEM, ERR_HOST. */
int err_nomem(struct err *e, size_t bytes, const char *what);

/*
 * The static analyser looks at one file at a time.  All that it has to know of these functions is
 * that what they return is never 0; without that, every `return err_set(…)` looks like a success.
 */
#if defined(__clang_analyzer__) && !defined(ERR_DEFINITIONS)
#define err_set(...)    ((void)err_set(__VA_ARGS__), -1)
#define err_errno(...)  ((void)err_errno(__VA_ARGS__), -1)
#define err_prefix(...) ((void)err_prefix(__VA_ARGS__), -1)
#define err_hint(...)   ((void)err_hint(__VA_ARGS__), -1)
#define err_kind(...)   ((void)err_kind(__VA_ARGS__), -1)
#define err_nomem(...)  ((void)err_nomem(__VA_ARGS__), -1)
#endif

#endif
