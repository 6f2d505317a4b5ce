/*
 * cli/options.c - parsing of options by table.
 */
#include "cli/options.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "base/sys.h"

#define WORDS_MAX 96

void settings_exit(struct settings *s)
{
	for (size_t i = 0; i < s->n; i++)
		free(s->v[i].value);
	free(s->v);
	s->v = NULL;
	s->n = s->cap = 0;
}

const struct setting *settings_find(const struct settings *s, const char *name)
{
	for (size_t i = s->n; i-- > 0;) {
		if (!strcmp(s->v[i].opt->name, name))
			return &s->v[i];
	}
	return NULL;
}

const struct opt *options_find(const struct opt_table *t, const char *name)
{
	for (size_t i = 0; i < t->n; i++) {
		if (!strcmp(t->opts[i].name, name))
			return &t->opts[i];
	}
	return NULL;
}

/* Puts in front of the message where the setting came from. */
static int blame(const struct settings *s, const struct opt *o, unsigned line, struct err *e)
{
	if (line)
		return err_prefix(e, "%s:%u: %s", s->file, line, o->name);
	return err_prefix(e, "--%s", o->name);
}

/* How much of @value is the word. */
static size_t word_len(const struct opt *o, const char *value)
{
	return o->flags & OPT_KEYS ? strcspn(value, ",") : strlen(value);
}

static int wrong_word(const struct opt *o, const char *value, struct err *e)
{
	char word[64];
	struct strbuf all = {0};

	str_copy(word, MIN(sizeof(word), word_len(o, value) + 1), value);
	const char *near = str_nearest(word, o->words);

	for (size_t i = 0; o->words[i]; i++)
		strbuf_printf(&all, "%s%s", i ? ", " : "", o->words[i]);
	if (near)
		err_set(e, -EINVAL, "'%s' is not known (did you mean %s?)", word, near);
	else
		err_set(e, -EINVAL, "'%s' is not known", word);
	err_hint(e, "accepted are %s", strbuf_str(&all));
	strbuf_exit(&all);
	return e->code;
}

static bool word_known(const struct opt *o, const char *value)
{
	size_t n = word_len(o, value);

	for (size_t i = 0; o->words && o->words[i]; i++) {
		if (strlen(o->words[i]) == n && !strncmp(o->words[i], value, n))
			return true;
	}
	return !o->words;
}

/* "on" and "off" in the forms people write; the canonical one, or NULL. */
static const char *flag_word(const char *value)
{
	static const char *const words[][2] = {
		{"on", "on"},	{"yes", "on"}, {"true", "on"},	 {"1", "on"},
		{"off", "off"}, {"no", "off"}, {"false", "off"}, {"0", "off"},
	};

	for (size_t i = 0; i < ARRAY_LEN(words); i++) {
		if (!strcmp(words[i][0], value))
			return words[i][1];
	}
	return NULL;
}

static int check_value(const struct settings *s, const struct opt *o, const char **value,
		       unsigned line, struct err *e)
{
	const struct setting *old = settings_find(s, o->name);

	if (old && !(o->flags & OPT_REPEAT) && old->line && line)
		return err_set(e, -EINVAL, "given before, in line %u", old->line);
	if (old && !(o->flags & OPT_REPEAT))
		return err_set(e, -EINVAL, "given twice");
	if (!word_known(o, *value))
		return wrong_word(o, *value, e);
	if (!o->arg) {
		const char *word = flag_word(*value);
		if (!word)
			return err_set(e, -EINVAL, "'%s' is neither on nor off", *value);
		*value = word;
	}
	return 0;
}

int settings_add(struct settings *s, const struct opt *o, const char *value, unsigned line,
		 struct err *e)
{
	if (check_value(s, o, &value, line, e) < 0) {
		if (!line)
			err_kind(e, ERR_USAGE);
		return blame(s, o, line, e);
	}
	if (s->n == s->cap) {
		size_t cap = s->cap ? s->cap * 2 : 16;
		struct setting *v = sys_realloc_array(s->v, cap, sizeof(*v));
		if (!v)
			return err_nomem(e, cap * sizeof(*v), "options");
		s->v = v;
		s->cap = cap;
	}
	char *copy = sys_strdup(value);
	if (!copy)
		return err_nomem(e, strlen(value) + 1, "an option");
	s->v[s->n++] = (struct setting){.opt = o, .value = copy, .line = line};
	return 0;
}

int settings_merge(struct settings *s, const struct settings *from, struct err *e)
{
	size_t own = s->n;

	s->file = from->file;
	for (size_t i = 0; i < from->n; i++) {
		const struct setting *f = &from->v[i];
		bool have = false;
		for (size_t j = 0; j < own; j++)
			have |= s->v[j].opt == f->opt;
		if (!have && settings_add(s, f->opt, f->value, f->line, e) < 0)
			return e->code;
	}
	return 0;
}

bool settings_given(const struct settings *s, const char *name)
{
	const struct setting *x = settings_find(s, name);

	return x && !(x->opt->dflt && !strcmp(x->value, x->opt->dflt));
}

int settings_apply(const struct settings *s, void *target, struct err *e)
{
	const struct opt_table *t = s->table;

	for (size_t i = 0; i < t->n_conflicts; i++) {
		const struct opt_conflict *c = &t->conflicts[i];
		if (settings_given(s, c->a) && settings_given(s, c->b)) {
			err_set(e, -EINVAL, "--%s and --%s exclude each other", c->a, c->b);
			return err_kind(e, ERR_USAGE);
		}
	}
	for (size_t i = 0; i < t->n; i++) {
		const struct opt *o = &t->opts[i];
		if (o->dflt && !settings_find(s, o->name) && o->set(target, o->dflt, e) < 0)
			return blame(s, o, 0, e);
	}
	for (size_t i = 0; i < s->n; i++) {
		const struct setting *x = &s->v[i];
		if (x->opt->set(target, x->value, e) < 0) {
			if (!x->line && e->kind == ERR_CONFIG)
				err_kind(e, ERR_USAGE);
			return blame(s, x->opt, x->line, e);
		}
	}
	return 0;
}

static int unknown_option(const struct opt_table *t, const char *arg, struct err *e)
{
	const char *words[WORDS_MAX] = {0};
	char name[64];

	for (size_t i = 0; i < t->n && i + 1 < WORDS_MAX; i++)
		words[i] = t->opts[i].name;
	str_copy(name, sizeof(name), arg + strspn(arg, "-"));
	name[strcspn(name, "=")] = 0;
	const char *near = str_nearest(name, words);
	int dashes = arg[1] == '-' ? (int)strcspn(arg, "=") : 2;
	if (near)
		err_set(e, -EINVAL, "unknown option %.*s (did you mean --%s?)", dashes, arg, near);
	else
		err_set(e, -EINVAL, "unknown option %.*s", dashes, arg);
	err_hint(e, "\"lodge help %s\" lists the options", t->command);
	return err_kind(e, ERR_USAGE);
}

static const struct opt *find_letter(const struct opt_table *t, char letter)
{
	for (size_t i = 0; i < t->n; i++) {
		if (letter && t->opts[i].letter == letter)
			return &t->opts[i];
	}
	return NULL;
}

/* --name, --name=value, --name value.  Returns how many arguments it took. */
static int parse_long(struct settings *s, char **argv, struct err *e)
{
	char name[64];
	size_t n = strcspn(argv[0] + 2, "=");
	const char *value = argv[0][2 + n] ? argv[0] + 3 + n : NULL;
	int took = 1;

	str_copy(name, MIN(sizeof(name), n + 1), argv[0] + 2);
	const struct opt *o = n < sizeof(name) ? options_find(s->table, name) : NULL;
	if (!o)
		return unknown_option(s->table, argv[0], e);
	if (!value && !o->arg)
		value = "on";
	if (!value) {
		value = argv[1];
		took = 2;
	}
	if (!value) {
		err_set(e, -EINVAL, "--%s needs a value: --%s %s", name, name, o->arg);
		return err_kind(e, ERR_USAGE);
	}
	int code = settings_add(s, o, value, 0, e);
	return code < 0 ? code : took;
}

/* -v, -vq, -o value. */
static int parse_short(struct settings *s, char **argv, struct err *e)
{
	for (const char *p = argv[0] + 1; *p; p++) {
		const struct opt *o = find_letter(s->table, *p);
		const char *value = "on";
		int took = 1;
		if (!o)
			return unknown_option(s->table, argv[0], e);
		if (o->arg) {
			value = p[1] ? p + 1 : argv[1];
			took = p[1] ? 1 : 2;
		}
		if (!value) {
			err_set(e, -EINVAL, "-%c needs a value: -%c %s", *p, *p, o->arg);
			return err_kind(e, ERR_USAGE);
		}
		if (settings_add(s, o, value, 0, e) < 0)
			return e->code;
		if (o->arg)
			return took;
	}
	return 1;
}

static int parse_operand(struct settings *s, const char *arg, struct err *e)
{
	const struct opt_table *t = s->table;

	if (!t->operand) {
		err_set(e, -EINVAL, "'%s' is one argument too many", arg);
		err_hint(e, "\"lodge help %s\" says what it takes", t->command);
		return err_kind(e, ERR_USAGE);
	}
	if (settings_find(s, t->operand)) {
		err_set(e, -EINVAL, "'%s' is one argument too many: the %s is '%s' already", arg,
			t->operand, settings_find(s, t->operand)->value);
		return err_kind(e, ERR_USAGE);
	}
	return settings_add(s, options_find(t, t->operand), arg, 0, e);
}

int options_parse(struct settings *s, int argc, char **argv, struct err *e)
{
	bool only_operands = false;

	for (int i = 0; i < argc;) {
		char *arg = argv[i];
		int took = 1;
		if (!only_operands && !strcmp(arg, "--"))
			only_operands = true;
		else if (!only_operands && !strncmp(arg, "--", 2))
			took = parse_long(s, argv + i, e);
		else if (!only_operands && arg[0] == '-' && arg[1])
			took = parse_short(s, argv + i, e);
		else
			took = parse_operand(s, arg, e);
		if (took < 0)
			return took;
		i += MAX(took, 1);
	}
	return 0;
}

bool list_next(char **list, bool first, const char **key, const char **value)
{
	char *item = *list;

	if (!item)
		return false;
	char *comma = strchr(item, ',');
	if (comma)
		*comma = 0;
	*list = comma ? comma + 1 : NULL;
	char *eq = strchr(item, '=');
	if (eq) {
		*eq = 0;
		*key = item;
		*value = eq + 1;
	} else {
		*key = first ? NULL : item;
		*value = first ? item : "on";
	}
	return true;
}
