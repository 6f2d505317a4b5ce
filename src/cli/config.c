/*
 * cli/config.c - configuration files: the same options, one "name = value" a line.
 *
 * A line is blank, a comment (# first) or a setting.  The value runs to the end of the line without
 * the blanks around it; there is no quoting.  Everything that is not understood is an error with
 * its line number: a file that is half obeyed is worse than one that is refused.
 */
#include <ctype.h>
#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "base/sys.h"
#include "cli/options.h"

#define CONFIG_MAX MIB(1)

static char *trim(char *s)
{
	s += strspn(s, " \t\r");
	size_t n = strlen(s);
	while (n && strchr(" \t\r", s[n - 1]))
		n--;
	s[n] = 0;
	return s;
}

static int unknown_name(const struct opt_table *t, const char *name, struct err *e)
{
	const char *words[96] = {0};
	size_t n = 0;

	for (size_t i = 0; i < t->n && n + 1 < ARRAY_LEN(words); i++) {
		if (!(t->opts[i].flags & OPT_CMDLINE))
			words[n++] = t->opts[i].name;
	}
	const char *near = str_nearest(name, words);
	if (near)
		return err_set(e, -EINVAL, "unknown name '%s' (did you mean %s?)", name, near);
	return err_set(e, -EINVAL, "unknown name '%s'", name);
}

static int load_line(struct settings *s, char *text, unsigned line, struct err *e)
{
	char *name = trim(text);
	char *eq = strchr(name, '=');

	if (!*name || *name == '#')
		return 0;
	if (!eq) {
		err_set(e, -EINVAL, "'%.40s' is not a \"name = value\" line", name);
		return err_prefix(e, "%s:%u", s->file, line);
	}
	*eq = 0;
	name = trim(name);
	const struct opt *o = options_find(s->table, name);
	if (!o) {
		unknown_name(s->table, name, e);
		return err_prefix(e, "%s:%u", s->file, line);
	}
	if (o->flags & OPT_CMDLINE) {
		err_set(e, -EINVAL, "'%s' belongs on the command line", name);
		return err_prefix(e, "%s:%u", s->file, line);
	}
	return settings_add(s, o, trim(eq + 1), line, e);
}

/* The first byte that no text has, as "line N" in *@line; true if there is one. */
static bool find_binary(const char *text, size_t len, unsigned *line)
{
	*line = 1;
	for (size_t i = 0; i < len; i++) {
		unsigned char c = (unsigned char)text[i];
		if (c == '\n')
			++*line;
		else if (c < ' ' && c != '\t' && c != '\r')
			return true;
	}
	return false;
}

int options_load(struct settings *s, const char *path, struct err *e)
{
	void *buf;
	size_t len;
	unsigned line;

	s->file = path;
	if (sys_read_file(path, CONFIG_MAX, &buf, &len, e) < 0)
		return err_prefix(e, "--config");
	char *text = buf;
	int code = 0;
	if (find_binary(text, len, &line)) {
		err_set(e, -EINVAL, "not a text file");
		code = err_prefix(e, "%s:%u", path, line);
	}
	line = 0;
	for (char *next = text; !code && next;) {
		char *this = next;
		next = strchr(this, '\n');
		if (next)
			*next++ = 0;
		code = load_line(s, this, ++line, e);
	}
	free(buf);
	return code;
}

/* A value that a line of a file cannot carry. */
static bool unwritable(const char *value)
{
	size_t n = strlen(value);

	return strpbrk(value, "\n\r") ||
	       (n && (isblank((unsigned char)value[0]) || isblank((unsigned char)value[n - 1])));
}

int options_dump(const struct settings *s, struct strbuf *out, struct err *e)
{
	const struct opt_table *t = s->table;

	for (size_t i = 0; i < t->n; i++) {
		const struct opt *o = &t->opts[i];
		bool any = false;
		if (o->flags & OPT_CMDLINE)
			continue;
		for (size_t j = 0; j < s->n; j++) {
			const char *value = s->v[j].value;
			if (s->v[j].opt != o)
				continue;
			if (unwritable(value))
				return err_set(e, -EINVAL,
					       "--%s: a configuration file cannot hold a value "
					       "with line ends, or blanks at its ends",
					       o->name);
			strbuf_printf(out, "%s = %s\n", o->name, value);
			any = true;
		}
		if (!any && o->dflt)
			strbuf_printf(out, "%s = %s\n", o->name, o->dflt);
	}
	return out->failed ? err_nomem(e, out->cap, "the configuration") : 0;
}
