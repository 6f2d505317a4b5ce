/*
 * accel/script/parse.c - a line of a script becomes commands of tokens.
 *
 * Tokens are separated by blanks; ';' ends a command and '#' the line, both outside of quotes.  A
 * quoted token may hold \n \r \t \0 \\ \" and \xHH.  The text is cut up in place.
 */
#include <errno.h>
#include <string.h>

#include "accel/script/internal.h"

static int hex_digit(char c)
{
	static const char digits[] = "0123456789abcdef";
	const char *p = c ? strchr(digits, c >= 'A' && c <= 'F' ? c + 32 : c) : NULL;

	return p ? (int)(p - digits) : -1;
}

/* The byte that the escape at @*p (behind the backslash) stands for, or -1. */
static int escape(const char **p)
{
	static const char from[] = "nrt0\\\"", to[] = "\n\r\t\0\\\"";
	const char *at = **p ? strchr(from, **p) : NULL;
	int high, low;

	if (at) {
		(*p)++;
		return (unsigned char)to[at - from];
	}
	if (**p != 'x')
		return -1;
	high = hex_digit((*p)[1]);
	low = high < 0 ? -1 : hex_digit((*p)[2]);
	*p += 3;
	return low < 0 ? -1 : high * 16 + low;
}

/* Takes the quoted text at @*p (behind the quote); it only ever shrinks. */
static int quoted(char **p, struct token *t, struct err *e)
{
	const char *in = *p;
	char *out = *p;

	t->s = out;
	t->quoted = true;
	while (*in && *in != '"') {
		int c = (unsigned char)*in++;

		if (c == '\\')
			c = escape(&in);
		if (c < 0)
			return err_set(e, -EINVAL, "unknown escape in a quoted text");
		*out++ = (char)c;
	}
	if (!*in)
		return err_set(e, -EINVAL, "a quoted text has no end");
	t->len = (size_t)(out - t->s);
	*p += in + 1 - *p;
	*out = 0;
	return 0;
}

static void bare(char **p, struct token *t)
{
	t->s = *p;
	t->len = strcspn(*p, " \t;#\"");
	t->quoted = false;
	*p += t->len;
}

/*
 * Ends a bare token.  The byte behind it is looked at before it is overwritten: it may be what ends
 * the command.
 */
static bool command_ends(char **p, char *end)
{
	char c = **p;

	*end = 0;
	if (c == ';') {
		(*p)++;
		return true;
	}
	if (c == 0 || c == '#') {
		*p = NULL;
		return true;
	}
	return false;
}

int script_parse(char **rest, struct command *c, struct err *e)
{
	char *p = *rest;
	char none;

	c->n = 0;
	for (;;) {
		struct token *t = &c->tok[c->n];
		int rc = 0;

		p += strspn(p, " \t");
		if (command_ends(&p, &none))
			break;
		if (c->n == SCRIPT_TOKENS_MAX)
			return err_set(e, -E2BIG, "more than %u words", SCRIPT_TOKENS_MAX);
		if (*p == '"') {
			p++;
			rc = quoted(&p, t, e);
		} else {
			bare(&p, t);
		}
		if (rc)
			return rc;
		c->n++;
		if (t->quoted)
			continue;
		char *end = p;
		if (*p == '"')
			return err_set(e, -EINVAL, "a blank is missing before a quoted text");
		if (command_ends(&p, end))
			break;
		p++;
	}
	*rest = p;
	return 0;
}
