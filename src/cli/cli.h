/*
 * cli/cli.h - the subcommands and what they share.
 */
#ifndef LODGE_CLI_CLI_H
#define LODGE_CLI_CLI_H

#include "cli/options.h"
#include "machine/machine.h"
#include "monitor/run.h"

/* What `lodge run` was asked for. */
struct run_config {
	struct machine_config m;
	const struct machine_type *machine;
	struct run_options run;
	bool verbose, quiet, dump_config, help;
	const char *config;
	const char *script; /* for the script accelerator: file, "-", or "unix:PATH" */
	const char *trace[16], *trace_file;
	unsigned n_traces, n_serials;
	char *scratch[4]; /* copies that the setters cut apart; owned */
	unsigned n_scratch;
};

struct command {
	const char *name;
	const char *synopsis; /* after "lodge " */
	const char *help;     /* one line */
	const struct opt_table *options;
	/* Arguments after the name.  An exit code, or a negative errno with @e set. */
	int (*fn)(int argc, char **argv, struct err *e);
	bool hidden;
};

extern const struct command command_list[]; /* ends with a NULL name */
const struct command *command_find(const char *name);

extern const struct opt_table run_options_table, info_options_table;
void run_config_exit(struct run_config *rc);

int cmd_run(int argc, char **argv, struct err *e);
int cmd_info(int argc, char **argv, struct err *e);
int cmd_help(int argc, char **argv, struct err *e);
int cmd_version(int argc, char **argv, struct err *e);
int cmd_gen(int argc, char **argv, struct err *e);

/* cli/help.c: appends the help of one command, or of Lodge as a whole. */
void help_command(const struct command *c, struct strbuf *out);
void help_overview(struct strbuf *out);
/* @text in lines of 80 columns after @indent blanks; the first line has @used columns already. */
void help_wrap(struct strbuf *out, const char *text, size_t indent, size_t used);
/* Writes @b to stdout and frees it: 0, or an error for a full disk and the like. */
int print_out(struct strbuf *b, struct err *e) MUST_CHECK;

/*
 * cli/topics.c: the text of `lodge help TOPIC`, of which the manual page is made too.
 */
enum line_kind {
	LINE_END,
	LINE_TEXT,    /* a paragraph: a */
	LINE_TERM,    /* a term and its description: a, b */
	LINE_EXAMPLE, /* shown as it is: a */
};

struct topic_line {
	enum line_kind kind;
	const char *a, *b;
};

struct topic {
	const char *name;  /* "lodge help NAME" */
	const char *title; /* heading */
	const struct topic_line *lines;
};

extern const struct topic topic_list[]; /* ends with a NULL name */

#endif
