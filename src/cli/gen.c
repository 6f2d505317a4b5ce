/*
 * cli/gen.c - the manual page and the completions, out of the tables.
 *
 * `make docs` writes them to docs/; a test compares.
 */
#include <ctype.h>
#include <errno.h>
#include <string.h>

#include "cli/cli.h"

#define MAN_DATE  "November 22, 2026"
#define MAN_WIDTH 78

/* One word of running text: nothing in it is a request or an escape to mdoc. */
static void man_word(struct strbuf *out, const char *word, size_t n, bool line_start)
{
	if (line_start && (*word == '.' || *word == '\''))
		strbuf_add(out, "\\&");
	for (size_t i = 0; i < n; i++) {
		if (word[i] == '\\')
			strbuf_add(out, "\\e");
		else
			strbuf_add_bytes(out, word + i, 1);
	}
}

/* @text as mdoc text: short lines, and a new one for each sentence. */
static void man_text(struct strbuf *out, const char *text)
{
	size_t col = 0;

	while (*text) {
		size_t n = strcspn(text, " ");
		const char *next = text + n + strspn(text + n, " ");
		if (col && col + 1 + n > MAN_WIDTH) {
			strbuf_add(out, "\n");
			col = 0;
		} else if (col) {
			strbuf_add(out, " ");
			col++;
		}
		man_word(out, text, n, !col);
		col += n;
		if (*next && text[n - 1] == '.' && isupper((unsigned char)*next)) {
			strbuf_add(out, "\n");
			col = 0;
		}
		text = next;
	}
	strbuf_add(out, "\n");
}

static void man_option(const struct opt *o, struct strbuf *out)
{
	strbuf_add(out, ".It ");
	if (o->letter)
		strbuf_printf(out, "Fl %c , ", o->letter);
	strbuf_printf(out, "Fl -%s", o->name);
	if (o->arg)
		strbuf_printf(out, " Ar %s", o->arg);
	strbuf_add(out, "\n");
	man_text(out, o->help);
	if (o->arg && o->dflt)
		strbuf_printf(out, "The default is\n.Cm %s .\n", o->dflt);
}

static void man_options(const struct opt_table *t, struct strbuf *out)
{
	const char *group = NULL;

	for (size_t i = 0; i < t->n; i++) {
		if (!group || strcmp(group, t->opts[i].group)) {
			if (group)
				strbuf_add(out, ".El\n");
			strbuf_printf(out, ".Pp\n.Em %s\n.Bl -tag -width Ds\n", t->opts[i].group);
		}
		group = t->opts[i].group;
		man_option(&t->opts[i], out);
	}
	if (group)
		strbuf_add(out, ".El\n");
}

static void man_commands(struct strbuf *out)
{
	for (const struct command *c = command_list; c->name; c++) {
		if (c->hidden)
			continue;
		strbuf_printf(out, ".Ss lodge %s\n", c->name);
		man_text(out, c->help);
		if (c->options)
			man_options(c->options, out);
	}
}

static void man_topic(const struct topic *t, struct strbuf *out)
{
	enum line_kind last = LINE_END;

	for (const struct topic_line *l = t->lines;; l++) {
		if (l->kind != last && (last == LINE_TERM || last == LINE_EXAMPLE))
			strbuf_add(out, last == LINE_TERM ? ".El\n" : ".Ed\n");
		if (l->kind == LINE_END)
			return;
		if (l->kind == LINE_TEXT && last != LINE_END)
			strbuf_add(out, ".Pp\n");
		if (l->kind == LINE_TERM && last != LINE_TERM)
			strbuf_add(out, ".Bl -tag -width unix:PATHserver\n");
		if (l->kind == LINE_EXAMPLE && last != LINE_EXAMPLE)
			strbuf_add(out, ".Bd -literal -offset indent\n");
		last = l->kind;
		if (l->kind == LINE_TERM)
			strbuf_printf(out, ".It %s\n", l->a);
		if (l->kind == LINE_EXAMPLE)
			strbuf_printf(out, "%s\n", l->a);
		else
			man_text(out, l->kind == LINE_TERM ? l->b : l->a);
	}
}

static void gen_man(struct strbuf *out)
{
	strbuf_printf(out, ".\\\" Made by \"lodge gen man\" out of src/cli; do not edit.\n"
			   ".Dd " MAN_DATE "\n.Dt LODGE 1\n.Os\n.Sh NAME\n.Nm lodge\n"
			   ".Nd runs virtual machines\n.Sh SYNOPSIS\n");
	for (const struct command *c = command_list; c->name; c++) {
		if (!c->hidden)
			strbuf_printf(out, ".Nm\n.Cm %s\n", c->synopsis);
	}
	strbuf_add(out, ".Sh DESCRIPTION\n.Nm\nbuilds a virtual machine out of memory, interrupt "
			"chips, devices and\nfirmware tables, loads a kernel into it and has an "
			"accelerator, the host's\nKVM, execute it.\n");
	man_commands(out);
	for (const struct topic *t = topic_list; t->name; t++) {
		if (!strcmp(t->name, "exit"))
			continue;
		strbuf_printf(out, ".Ss %s\n", t->title);
		man_topic(t, out);
	}
	strbuf_add(out, ".Sh EXIT STATUS\n");
	for (const struct topic *t = topic_list; t->name; t++) {
		if (!strcmp(t->name, "exit"))
			man_topic(t, out);
	}
	strbuf_add(out, ".Sh EXAMPLES\nA kernel and its initial RAM disk, on this terminal:\n"
			".Pp\n.Dl lodge run vmlinuz --initrd initrd.img --append console=ttyS0\n"
			".Pp\nWhat this host can do:\n.Pp\n.Dl lodge info\n"
			".Sh DIAGNOSTICS\nA message is one line that begins with\n.Ql lodge\\&: .\n"
			"Where there is something to be done about it, a line that begins with\n"
			".Ql hint\\&:\nfollows.\n");
}

/* The words of a table as a shell list: "--kernel --initrd ...". */
static void words_of(const struct opt_table *t, struct strbuf *out)
{
	for (size_t i = 0; i < t->n; i++)
		strbuf_printf(out, "%s--%s", i ? " " : "", t->opts[i].name);
}

/* bash: "case" arms for the options whose value can be completed. */
static void bash_values(const struct opt_table *t, struct strbuf *out)
{
	for (size_t i = 0; i < t->n; i++) {
		const struct opt *o = &t->opts[i];
		if (!o->arg)
			continue;
		strbuf_printf(out, "\t--%s)\n", o->name);
		if (o->words) {
			strbuf_add(out, "\t\tCOMPREPLY=($(compgen -W \"");
			for (size_t k = 0; o->words[k]; k++)
				strbuf_printf(out, "%s%s", k ? " " : "", o->words[k]);
			strbuf_add(out, "\" -- \"$cur\"))\n");
		} else if (o->flags & OPT_FILE) {
			strbuf_add(out, "\t\tCOMPREPLY=($(compgen -f -- \"$cur\"))\n");
		}
		strbuf_add(out, "\t\treturn ;;\n");
	}
}

static void command_words(struct strbuf *out)
{
	for (const struct command *c = command_list; c->name; c++) {
		if (!c->hidden)
			strbuf_printf(out, "%s ", c->name);
	}
	strbuf_add(out, "--help --version");
}

static void topic_words(struct strbuf *out)
{
	for (const struct command *c = command_list; c->name; c++) {
		if (!c->hidden)
			strbuf_printf(out, "%s ", c->name);
	}
	for (const struct topic *t = topic_list; t->name; t++)
		strbuf_printf(out, "%s ", t->name);
	strbuf_add(out, "devices machines trace");
}

static void gen_bash(struct strbuf *out)
{
	strbuf_add(out, "# bash completion for lodge; made by \"lodge gen bash\", do not edit\n"
			"# shellcheck shell=bash disable=SC2207\n"
			"_lodge() {\n\tlocal cur=${COMP_WORDS[COMP_CWORD]}\n"
			"\tlocal prev=${COMP_WORDS[COMP_CWORD - 1]}\n\tCOMPREPLY=()\n"
			"\tif [ \"$COMP_CWORD\" -eq 1 ]; then\n"
			"\t\tCOMPREPLY=($(compgen -W \"");
	command_words(out);
	strbuf_add(out, "\" -- \"$cur\"))\n\t\treturn\n\tfi\n\tcase ${COMP_WORDS[1]} in\n");
	for (const struct command *c = command_list; c->name; c++) {
		if (!c->options)
			continue;
		strbuf_printf(out, "\t%s) _lodge_%s ;;\n", c->name, c->name);
	}
	strbuf_add(out, "\thelp) COMPREPLY=($(compgen -W \"");
	topic_words(out);
	strbuf_add(out, "\" -- \"$cur\")) ;;\n\tesac\n}\n");
	for (const struct command *c = command_list; c->name; c++) {
		if (!c->options)
			continue;
		strbuf_printf(out, "\n# cur and prev are _lodge's\n_lodge_%s() {\n", c->name);
		strbuf_add(out, "\tcase $prev in\n");
		bash_values(c->options, out);
		strbuf_add(out, "\tesac\n\tif [[ $cur == -* ]]; then\n"
				"\t\tCOMPREPLY=($(compgen -W \"");
		words_of(c->options, out);
		strbuf_add(out, "\" -- \"$cur\"))\n");
		if (c->options->operand)
			strbuf_add(out, "\telse\n\t\tCOMPREPLY=($(compgen -f -- \"$cur\"))\n");
		strbuf_add(out, "\tfi\n}\n");
	}
	strbuf_add(out, "\ncomplete -o filenames -F _lodge lodge\n");
}

/* @text for a zsh _arguments spec inside single quotes: up to the first full stop. */
static void zsh_text(struct strbuf *out, const char *text)
{
	for (; *text && !(text[0] == '.' && (text[1] == ' ' || !text[1])); text++) {
		if (strchr("[]:\\", *text))
			strbuf_add(out, "\\");
		if (*text == '\'')
			strbuf_add(out, "'\\'");
		strbuf_add_bytes(out, text, 1);
	}
}

static void zsh_option(const struct opt *o, struct strbuf *out)
{
	strbuf_printf(out, "\t\t'%s--%s%s[", o->flags & OPT_REPEAT ? "*" : "", o->name,
		      o->arg ? "=" : "");
	zsh_text(out, o->help);
	strbuf_add(out, "]");
	if (o->arg) {
		strbuf_add(out, ":");
		zsh_text(out, o->arg);
		strbuf_add(out, ":");
	}
	if (o->words) {
		strbuf_add(out, "(");
		for (size_t k = 0; o->words[k]; k++)
			strbuf_printf(out, "%s%s", k ? " " : "", o->words[k]);
		strbuf_add(out, ")");
	} else if (o->flags & OPT_FILE) {
		strbuf_add(out, "_files");
	}
	strbuf_add(out, "' \\\n");
}

static void gen_zsh(struct strbuf *out)
{
	strbuf_add(out, "#compdef lodge\n"
			"# zsh completion for lodge; made by \"lodge gen zsh\", do not edit\n"
			"_lodge() {\n\tif (( CURRENT == 2 )); then\n\t\tcompadd -- ");
	command_words(out);
	strbuf_add(out, "\n\t\treturn\n\tfi\n\tlocal command=$words[2]\n\tshift words\n"
			"\t(( CURRENT-- ))\n\tcase $command in\n");
	for (const struct command *c = command_list; c->name; c++) {
		if (!c->options)
			continue;
		strbuf_printf(out, "\t%s)\n\t\t_arguments \\\n", c->name);
		for (size_t i = 0; i < c->options->n; i++)
			zsh_option(&c->options->opts[i], out);
		strbuf_printf(out, "\t\t'%s'\n\t\t;;\n",
			      c->options->operand ? "*:file:_files" : "*:: :");
	}
	strbuf_add(out, "\thelp)\n\t\tcompadd -- ");
	topic_words(out);
	strbuf_add(out, "\n\t\t;;\n\tesac\n}\n\n_lodge \"$@\"\n");
}

int cmd_gen(int argc, char **argv, struct err *e)
{
	struct strbuf out = {0};
	const char *what = argc == 1 ? argv[0] : "";

	if (!strcmp(what, "man"))
		gen_man(&out);
	else if (!strcmp(what, "bash"))
		gen_bash(&out);
	else if (!strcmp(what, "zsh"))
		gen_zsh(&out);
	else {
		err_set(e, -EINVAL, "gen: man, bash or zsh is needed");
		return err_kind(e, ERR_USAGE);
	}
	return print_out(&out, e);
}
