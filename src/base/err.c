/*
 * base/err.c - errors that carry their message.
 *
 * Every function formats into a buffer of its own first, so that an error's own text may be among
 * the arguments.
 */
#define ERR_DEFINITIONS
#include "base/err.h"

#include <errno.h>
#include <stdarg.h>
#include <stdio.h>
#include <string.h>

#include "base/log.h"
#include "base/str.h"

/* A code that callers can return: negative whatever they passed. */
static int err_code(int code)
{
	if (code == 0)
		return -EINVAL;
	return code < 0 ? code : -code;
}

int err_set(struct err *e, int code, const char *fmt, ...)
{
	char msg[sizeof(e->msg)];
	va_list ap;

	if (!e)
		return err_code(code);
	va_start(ap, fmt);
	vsnprintf(msg, sizeof(msg), fmt, ap);
	va_end(ap);
	*e = (struct err){.code = err_code(code)};
	str_copy(e->msg, sizeof(e->msg), msg);
	return e->code;
}

int err_errno(struct err *e, int code, const char *fmt, ...)
{
	char msg[sizeof(e->msg)];
	const char *text = strerrordesc_np(-err_code(code));
	va_list ap;

	if (!e)
		return err_code(code);
	va_start(ap, fmt);
	vsnprintf(msg, sizeof(msg), fmt, ap);
	va_end(ap);
	if (!text)
		return err_set(e, code, "%s: error %d", msg, -err_code(code));
	return err_set(e, code, "%s: %s", msg, text);
}

int err_prefix(struct err *e, const char *fmt, ...)
{
	char front[sizeof(e->msg)];
	char old[sizeof(e->msg)];
	size_t n;
	va_list ap;

	if (!e)
		return -EINVAL;
	va_start(ap, fmt);
	vsnprintf(front, sizeof(front), fmt, ap);
	va_end(ap);
	str_copy(old, sizeof(old), e->msg);
	n = strlen(front);
	str_copy(e->msg, sizeof(e->msg), front);
	if (str_copy(e->msg + n, sizeof(e->msg) - n, ": "))
		str_copy(e->msg + n + 2, sizeof(e->msg) - n - 2, old);
	return err_code(e->code);
}

int err_hint(struct err *e, const char *fmt, ...)
{
	char hint[sizeof(e->hint)];
	va_list ap;

	if (!e)
		return -EINVAL;
	if (!e->hint[0]) {
		va_start(ap, fmt);
		vsnprintf(hint, sizeof(hint), fmt, ap);
		va_end(ap);
		str_copy(e->hint, sizeof(e->hint), hint);
	}
	return err_code(e->code);
}

int err_kind(struct err *e, enum err_kind kind)
{
	if (!e)
		return -EINVAL;
	e->kind = kind;
	return err_code(e->code);
}

int err_nomem(struct err *e, size_t bytes, const char *what)
{
	err_set(e, -ENOMEM, "out of memory (%zu bytes for %s)", bytes, what);
	err_kind(e, ERR_HOST);
	return -ENOMEM;
}
