/*
 * cli/options.h - options as tables.
 *
 * A subcommand has one const table of options.  From it follow parsing, configuration files and
 * their dump, --help, the manual page and the completions of bash and zsh.
 */
#ifndef LODGE_CLI_OPTIONS_H
#define LODGE_CLI_OPTIONS_H

#include "base/err.h"
#include "base/str.h"

enum opt_flag {
	OPT_REPEAT = 1 << 0,  /* may be given more than once, in order */
	OPT_CMDLINE = 1 << 1, /* on the command line only, not in configuration files */
	OPT_FILE = 1 << 2,    /* the value is a file name: completions offer files */
	OPT_KEYS = 1 << 3,    /* ",key=value..." may follow the word, for set to check */
};

struct opt {
	const char *name; /* without dashes; the key in a configuration file */
	char letter;	  /* short form, or 0 */
	const char *arg;  /* what the value is called; NULL: on or off */
	const char *dflt; /* the value when it is not given; NULL: none */
	unsigned flags;
	const char *group;	  /* heading in the help */
	const char *help;	  /* sentences */
	const char *const *words; /* the values that exist, NULL-terminated; NULL: any */
	/* Checks @value and stores it in the command's struct; @value lives as long as that. */
	int (*set)(void *target, const char *value, struct err *e);
};

/* Two options of which only one may be given. */
struct opt_conflict {
	const char *a, *b;
};

struct opt_table {
	const char *command;
	const struct opt *opts;
	size_t n;
	const char *operand; /* the option that a bare argument is the value of, or NULL */
	const struct opt_conflict *conflicts;
	size_t n_conflicts;
};

/* One option as it was given. */
struct setting {
	const struct opt *opt;
	char *value;
	unsigned line; /* in the configuration file; 0: from the command line */
};

struct settings {
	const struct opt_table *table;
	const char *file; /* name of the configuration file, for messages */
	struct setting *v;
	size_t n, cap;
};

void settings_exit(struct settings *s);
/* The last setting of @name, or NULL. */
const struct setting *settings_find(const struct settings *s, const char *name);
/* True if @name was given a value other than its default, which asks for nothing. */
bool settings_given(const struct settings *s, const char *name);
/* Adds a setting; @value is copied.  Refuses unknown values of a closed set and repetitions. */
int settings_add(struct settings *s, const struct opt *o, const char *value, unsigned line,
		 struct err *e) MUST_CHECK;
/* Adds all of @from that @s does not have yet: what is in @s wins. */
int settings_merge(struct settings *s, const struct settings *from, struct err *e) MUST_CHECK;
/* Refuses conflicts, then calls each option's set: defaults first, then what was given. */
int settings_apply(const struct settings *s, void *target, struct err *e) MUST_CHECK;

/* Options and bare arguments after the subcommand's name. */
int options_parse(struct settings *s, int argc, char **argv, struct err *e) MUST_CHECK;
const struct opt *options_find(const struct opt_table *t, const char *name);

/* cli/config.c: "name = value" lines.  options_load reads @path, options_dump writes all of @s. */
int options_load(struct settings *s, const char *path, struct err *e) MUST_CHECK;
int options_dump(const struct settings *s, struct strbuf *out, struct err *e) MUST_CHECK;

/*
 * Comma-separated lists: the first key may be bare (then *@key is NULL), a bare key later is true
 * ("on").  Takes the next item off *@list, which is modified; false at the end.
 */
bool list_next(char **list, bool first, const char **key, const char **value);

#endif
