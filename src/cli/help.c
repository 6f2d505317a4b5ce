/*
 * cli/help.c - help as text, 80 columns wide, out of the tables.
 */
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "base/sys.h"
#include "base/trace.h"
#include "cli/cli.h"
#include "device/devices.h"

#define WIDTH  80
#define INDENT 26 /* where the descriptions of options begin */

void help_wrap(struct strbuf *out, const char *text, size_t indent, size_t used)
{
	size_t col = used;

	while (*text) {
		size_t n = strcspn(text, " ");
		if (col > indent && col + 1 + n > WIDTH) {
			strbuf_add(out, "\n");
			col = 0;
		}
		if (col < indent) {
			strbuf_printf(out, "%*s", (int)(indent - col), "");
			col = indent;
		} else if (col > indent) {
			strbuf_add(out, " ");
			col++;
		}
		strbuf_add_bytes(out, text, n);
		col += n;
		text += n + strspn(text + n, " ");
	}
	strbuf_add(out, "\n");
}

static void term(struct strbuf *out, const char *name, const char *text, size_t indent)
{
	size_t used = 2 + strlen(name);

	strbuf_printf(out, "  %s", name);
	if (used >= indent) {
		strbuf_add(out, "\n");
		used = 0;
	}
	help_wrap(out, text, indent, used);
}

static void help_option(const struct opt *o, struct strbuf *out)
{
	struct strbuf name = {0}, text = {0};

	if (o->letter)
		strbuf_printf(&name, "-%c, ", o->letter);
	strbuf_printf(&name, "--%s%s%s", o->name, o->arg ? " " : "", o->arg ? o->arg : "");
	strbuf_add(&text, o->help);
	if (o->arg && o->dflt)
		strbuf_printf(&text, " [%s]", o->dflt);
	term(out, strbuf_str(&name), strbuf_str(&text), INDENT);
	strbuf_exit(&name);
	strbuf_exit(&text);
}

void help_command(const struct command *c, struct strbuf *out)
{
	const char *group = NULL;

	strbuf_printf(out, "Usage: lodge %s\n\n", c->synopsis);
	help_wrap(out, c->help, 0, 0);
	for (size_t i = 0; c->options && i < c->options->n; i++) {
		const struct opt *o = &c->options->opts[i];
		if (!group || strcmp(group, o->group))
			strbuf_printf(out, "\n%s:\n", o->group);
		group = o->group;
		help_option(o, out);
	}
}

void help_overview(struct strbuf *out)
{
	strbuf_printf(out, "Lodge %s runs virtual machines.\n\n", LODGE_VERSION);
	for (const struct command *c = command_list; c->name; c++) {
		char name[64];
		if (c->hidden)
			continue;
		snprintf(name, sizeof(name), "lodge %s", c->synopsis);
		term(out, name, c->help, 34);
	}
	strbuf_add(out, "\nTopics of \"lodge help\":\n");
	for (const struct topic *t = topic_list; t->name; t++)
		term(out, t->name, t->title, 16);
	term(out, "devices", "What --device can add", 16);
	term(out, "machines", "Machine types", 16);
	term(out, "trace", "Trace points", 16);
	strbuf_add(out, "\nThe manual page is lodge(1).\n");
}

static void help_topic(const struct topic *t, struct strbuf *out)
{
	size_t indent = 6;
	enum line_kind last = LINE_END;

	for (const struct topic_line *l = t->lines; l->kind != LINE_END; l++) {
		if (l->kind == LINE_TERM)
			indent = MAX(indent, strlen(l->a) + 4);
	}
	indent = MIN(indent, (size_t)INDENT);
	strbuf_printf(out, "%s\n", t->title);
	for (const struct topic_line *l = t->lines; l->kind != LINE_END; l++) {
		if (l->kind != last || l->kind == LINE_TEXT)
			strbuf_add(out, "\n");
		last = l->kind;
		if (l->kind == LINE_TEXT)
			help_wrap(out, l->a, 0, 0);
		else if (l->kind == LINE_TERM)
			term(out, l->a, l->b, indent);
		else
			strbuf_printf(out, "    %s\n", l->a);
	}
}

static const char *prop_word(const struct prop *p)
{
	switch (p->kind) {
	case PROP_BOOL: return "on|off";
	case PROP_STRING: return "TEXT";
	case PROP_BACKEND: return "ID";
	default: return "N";
	}
}

static void help_devices(struct strbuf *out)
{
	strbuf_add(out, "What --device CLASS[,key=value...] can add\n");
	for (size_t i = 0; device_list[i]; i++) {
		const struct device_class *c = device_list[i];
		if (!c->user)
			continue;
		strbuf_printf(out, "\n%s: ", c->name);
		help_wrap(out, c->help, 2, strlen(c->name) + 2);
		term(out, "id=NAME", "its name in messages and statistics", INDENT);
		term(out, "addr=N", "where its first window of registers lies", INDENT);
		if (c->n_irqs)
			term(out, "irq=N", "the pin its first interrupt wire leads to", INDENT);
		for (unsigned k = 0; k < c->n_props; k++) {
			char key[64];
			const struct prop *p = &c->props[k];
			snprintf(key, sizeof(key), "%s=%s", p->name, prop_word(p));
			term(out, key, p->help, INDENT);
		}
	}
}

static void help_machines(struct strbuf *out)
{
	strbuf_add(out, "Machine types\n\n");
	for (size_t i = 0; machine_list[i]; i++)
		term(out, machine_list[i]->name, machine_list[i]->help, INDENT);
}

struct points {
	const struct trace_point *v[512];
	size_t n;
};

static void collect_point(const struct trace_point *p, void *arg)
{
	struct points *all = arg;

	if (all->n < ARRAY_LEN(all->v))
		all->v[all->n++] = p;
}

static int by_name(const void *a, const void *b)
{
	const struct trace_point *const *x = a, *const *y = b;

	return strcmp((*x)->name, (*y)->name);
}

static void help_trace(struct strbuf *out)
{
	struct points all = {.n = 0};

	trace_for_each(collect_point, &all);
	qsort(all.v, all.n, sizeof(all.v[0]), by_name);
	strbuf_add(out, "Trace points, for --trace\n\n");
	for (size_t i = 0; i < all.n; i++)
		term(out, all.v[i]->name, all.v[i]->file, 30);
}

static int unknown_topic(const char *name, struct err *e)
{
	const char *words[64] = {"devices", "machines", "trace"};
	size_t n = 3;

	for (const struct topic *t = topic_list; t->name && n + 1 < ARRAY_LEN(words); t++)
		words[n++] = t->name;
	for (const struct command *c = command_list; c->name && n + 1 < ARRAY_LEN(words); c++)
		words[n++] = c->name;
	const char *near = str_nearest(name, words);
	if (near)
		err_set(e, -EINVAL, "there is no help on '%s' (did you mean %s?)", name, near);
	else
		err_set(e, -EINVAL, "there is no help on '%s'", name);
	err_hint(e, "\"lodge help\" lists the topics");
	return err_kind(e, ERR_USAGE);
}

int print_out(struct strbuf *b, struct err *e)
{
	int code;

	if (b->failed)
		code = err_nomem(e, b->cap, "text");
	else
		code = sys_write_full(STDOUT_FILENO, strbuf_str(b), b->len);
	if (code < 0 && !b->failed) {
		err_errno(e, code, "cannot write to stdout");
		err_kind(e, ERR_HOST);
	}
	strbuf_exit(b);
	/* `lodge help | head` is no error. */
	return code == -EPIPE ? 0 : code;
}

int cmd_help(int argc, char **argv, struct err *e)
{
	struct strbuf out = {0};
	const char *name = argc ? argv[0] : NULL;
	const struct command *c = name ? command_find(name) : NULL;
	const struct topic *t = topic_list;

	if (argc > 1) {
		err_set(e, -EINVAL, "'%s' is one argument too many", argv[1]);
		return err_kind(e, ERR_USAGE);
	}
	while (name && t->name && strcmp(t->name, name))
		t++;
	if (!name)
		help_overview(&out);
	else if (c && !c->hidden)
		help_command(c, &out);
	else if (t->name)
		help_topic(t, &out);
	else if (!strcmp(name, "devices"))
		help_devices(&out);
	else if (!strcmp(name, "machines"))
		help_machines(&out);
	else if (!strcmp(name, "trace"))
		help_trace(&out);
	else
		return unknown_topic(name, e);
	return print_out(&out, e);
}

int cmd_version(int argc, char **argv, struct err *e)
{
	struct strbuf out = {0};

	if (argc) {
		err_set(e, -EINVAL, "'%s' is one argument too many", argv[0]);
		return err_kind(e, ERR_USAGE);
	}
	strbuf_printf(&out, "lodge %s\n", LODGE_VERSION);
	return print_out(&out, e);
}
