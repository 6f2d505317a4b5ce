/*
 * cli/info.c - `lodge info`: which accelerators this host has, what they can run, and if not, why.
 *
 * The JSON form is an interface: keys are added, never renamed.
 *
 *	{"lodge": VERSION, "host": {KEY: VALUE...}, "accelerators": [{"name", "present", "usable",
 *	 "limited", "summary", "why", "hint", "facts": {KEY: VALUE...}}...]}
 */
#include <errno.h>
#include <jansson.h>
#include <sched.h>
#include <stdlib.h>
#include <string.h>
#include <sys/sysinfo.h>
#include <sys/utsname.h>
#include <unistd.h>

#include "base/sys.h"
#include "cli/cli.h"
#include "core/accel.h"

struct info_config {
	bool json, help;
};

static int set_json(void *target, const char *value, struct err *e)
{
	struct info_config *c = target;

	(void)e;
	c->json = !strcmp(value, "on");
	return 0;
}

static int set_help(void *target, const char *value, struct err *e)
{
	struct info_config *c = target;

	(void)e;
	c->help = !strcmp(value, "on");
	return 0;
}

static const struct opt opts[] = {
	{"json", 0, NULL, "off", OPT_CMDLINE, "Options", "The same as JSON, for programs.", NULL,
	 set_json},
	{"help", 'h', NULL, "off", OPT_CMDLINE, "Options", "This help.", NULL, set_help},
};

const struct opt_table info_options_table = {
	.command = "info",
	.opts = opts,
	.n = ARRAY_LEN(opts),
};

/* The value of the first "KEY : value" line of @path, or "" if there is none. */
static void proc_value(const char *path, const char *key, char *buf, size_t n)
{
	struct err e = ERR_INIT;
	void *text;
	size_t len;

	buf[0] = 0;
	if (sys_read_file(path, MIB(4), &text, &len, &e) < 0)
		return;
	for (char *p = text; p && *p; p = strchr(p, '\n') ? strchr(p, '\n') + 1 : NULL) {
		if (strncmp(p, key, strlen(key)))
			continue;
		char *v = p + strcspn(p, ":\n");
		v += strspn(v, ": \t");
		v[strcspn(v, "\n")] = 0;
		str_copy(buf, n, v);
		break;
	}
	free(text);
}

/* Facts about the host, in the form that accelerators use too. */
static void host_facts(struct accel_report *r)
{
	struct utsname u;
	struct sysinfo s;
	cpu_set_t cpus;
	char text[128], size[32], free_size[32];

	if (uname(&u) == 0) {
		accel_fact(r, "kernel", "%s %s", u.sysname, u.release);
		accel_fact(r, "architecture", "%s", u.machine);
	}
	proc_value("/proc/cpuinfo", "model name", text, sizeof(text));
	if (text[0])
		accel_fact(r, "cpu", "%s", text);
	if (sched_getaffinity(0, sizeof(cpus), &cpus) == 0)
		accel_fact(r, "cpus", "%d of %ld", CPU_COUNT(&cpus), sysconf(_SC_NPROCESSORS_ONLN));
	if (sysinfo(&s) == 0) {
		uint64_t unit = s.mem_unit ? s.mem_unit : 1;
		accel_fact(r, "memory", "%s, %s free",
			   str_size(s.totalram * unit, size, sizeof(size)),
			   str_size(s.freeram * unit, free_size, sizeof(free_size)));
	}
	accel_fact(r, "page size", "%s",
		   str_size((uint64_t)sysconf(_SC_PAGESIZE), size, sizeof(size)));
	proc_value("/proc/meminfo", "HugePages_Free", text, sizeof(text));
	proc_value("/proc/meminfo", "Hugepagesize", size, sizeof(size));
	if (text[0])
		accel_fact(r, "huge pages free", "%s of %s", text, size);
}

static json_t *facts_json(const struct accel_report *r)
{
	json_t *o = json_object();

	for (unsigned i = 0; i < r->n_facts; i++)
		json_object_set_new(o, r->facts[i].key, json_string(r->facts[i].value));
	return o;
}

#define COLUMN 40 /* where values begin */

static void row(struct strbuf *out, const char *key, const char *value)
{
	strbuf_printf(out, "  %s", key);
	help_wrap(out, value, COLUMN, 2 + strlen(key));
}

static void facts_text(const struct accel_report *r, struct strbuf *out)
{
	for (unsigned i = 0; i < r->n_facts; i++)
		row(out, r->facts[i].key, r->facts[i].value);
}

static const char *verdict(const struct accel_report *r)
{
	if (r->usable)
		return "yes";
	return r->limited ? "no; smaller guests" : "no";
}

static void accel_text(const struct accel_ops *a, const struct accel_report *r, struct strbuf *out)
{
	strbuf_printf(out, "\n%s: %s\n", a->name, a->help);
	row(out, "present", r->present ? "yes" : "no");
	row(out, "runs kernels", verdict(r));
	if (r->summary[0])
		row(out, "in short", r->summary);
	if (r->why[0])
		row(out, "why not", r->why);
	if (r->hint[0])
		row(out, "hint", r->hint);
	facts_text(r, out);
}

static json_t *accel_json(const struct accel_ops *a, const struct accel_report *r)
{
	return json_pack("{s:s, s:b, s:b, s:b, s:s, s:s, s:s, s:o}", "name", a->name, "present",
			 r->present, "usable", r->usable, "limited", r->limited, "summary",
			 r->summary, "why", r->why, "hint", r->hint, "facts", facts_json(r));
}

static int print_json(json_t *o, struct err *e)
{
	struct strbuf out = {0};
	char *text = o ? json_dumps(o, JSON_INDENT(2)) : NULL;

	json_decref(o);
	if (!text)
		return err_nomem(e, 0, "the report");
	strbuf_printf(&out, "%s\n", text);
	free(text);
	return print_out(&out, e);
}

static int report(const struct info_config *c, struct accel_report *r, struct err *e)
{
	struct strbuf out = {0};
	json_t *all = json_array(), *host;

	host_facts(r);
	host = facts_json(r);
	strbuf_printf(&out, "Lodge %s\n\nhost:\n", LODGE_VERSION);
	facts_text(r, &out);
	for (size_t i = 0; accel_list[i]; i++) {
		memset(r, 0, sizeof(*r));
		accel_list[i]->probe(r);
		accel_text(accel_list[i], r, &out);
		json_array_append_new(all, accel_json(accel_list[i], r));
	}
	json_t *o = json_pack("{s:s, s:o, s:o}", "lodge", LODGE_VERSION, "host", host,
			      "accelerators", all);
	if (c->json) {
		strbuf_exit(&out);
		return print_json(o, e);
	}
	json_decref(o);
	return print_out(&out, e);
}

int cmd_info(int argc, char **argv, struct err *e)
{
	struct settings s = {.table = &info_options_table};
	struct info_config c = {0};
	struct strbuf help = {0};
	int code = options_parse(&s, argc, argv, e);

	if (!code)
		code = settings_apply(&s, &c, e);
	settings_exit(&s);
	if (code < 0)
		return code;
	if (c.help) {
		help_command(command_find("info"), &help);
		return print_out(&help, e);
	}
	struct accel_report *r = sys_alloc(sizeof(*r));
	if (!r)
		return err_nomem(e, sizeof(*r), "a report");
	code = report(&c, r, e);
	free(r);
	return code;
}
