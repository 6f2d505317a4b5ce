/*
 * cli/run.c - `lodge run`: from options to a configuration, the choice of the accelerator, the run.
 */
#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "base/log.h"
#include "base/sys.h"
#include "base/trace.h"
#include "cli/cli.h"

/* Options that mean something for a kernel only. */
static int check_boot(const struct settings *s, const struct run_config *rc, struct err *e)
{
	static const char *const need_kernel[] = {"initrd", "append", "boot", "kaslr"};

	for (size_t i = 0; i < ARRAY_LEN(need_kernel); i++) {
		if (rc->m.kernel || !settings_given(s, need_kernel[i]))
			continue;
		err_set(e, -EINVAL, "--%s needs a kernel", need_kernel[i]);
		err_hint(e, "lodge run --%s ... FILE", need_kernel[i]);
		return err_kind(e, ERR_USAGE);
	}
	bool script = rc->m.accel && rc->m.accel->manual_clock;
	if (rc->script && rc->m.accel && !script) {
		err_set(e, -EINVAL, "--script needs --accel script");
		return err_kind(e, ERR_USAGE);
	}
	if (script && !rc->script) {
		err_set(e, -EINVAL, "--accel script needs --script FILE");
		return err_kind(e, ERR_USAGE);
	}
	if (!rc->m.kernel && !rc->m.raw && !rc->script) {
		err_set(e, -EINVAL, "there is nothing to run");
		err_hint(e, "name a kernel (lodge run FILE) or a flat binary "
			    "(lodge run --raw FILE)");
		return err_kind(e, ERR_USAGE);
	}
	return 0;
}

/* What --accel auto takes: the first that ran what this guest needs. */
static int choose_accel(struct run_config *rc, struct err *e)
{
	struct accel_report *r = sys_alloc(sizeof(*r));
	struct strbuf refused = {0}, brief = {0};
	char hint[sizeof(r->hint)] = "";

	if (!r)
		return err_nomem(e, sizeof(*r), "a report");
	for (size_t i = 0; accel_list[i] && !rc->m.accel; i++) {
		const struct accel_ops *a = accel_list[i];
		if (a->manual_clock)
			continue;
		memset(r, 0, sizeof(*r));
		a->probe(r);
		if (r->usable || (r->limited && rc->m.raw)) {
			rc->m.accel = a;
			log_info("using %s: %s%s%s%s%s", a->name,
				 r->usable ? "" : "enough for a flat binary (", r->summary,
				 r->usable ? "" : ")", brief.len ? "; not " : "",
				 strbuf_str(&brief));
			continue;
		}
		strbuf_printf(&refused, "%s%s: %s", refused.len ? "; " : "", a->name, r->why);
		size_t first = strcspn(r->why, ";");
		strbuf_printf(&brief, "%s%s: %.*s%s", brief.len ? "; " : "", a->name, (int)first,
			      r->why, r->why[first] ? " and more (lodge info)" : "");
		if (!hint[0])
			str_copy(hint, sizeof(hint), r->hint);
	}
	if (!rc->m.accel) {
		err_set(e, -ENODEV, "no accelerator of this host can run this guest: %s",
			strbuf_str(&refused));
		if (hint[0])
			err_hint(e, "%s", hint);
		err_kind(e, ERR_HOST);
	}
	strbuf_exit(&refused);
	strbuf_exit(&brief);
	free(r);
	return rc->m.accel ? 0 : -ENODEV;
}

/* An accelerator asked for by name was not probed; when it has failed, a probe may say why. */
static void explain_accel(const struct accel_ops *a)
{
	struct accel_report *r = sys_alloc(sizeof(*r));

	if (!r)
		return;
	a->probe(r);
	if (!r->usable && r->why[0])
		log_error("%s on this host: %s", a->name, r->why);
	free(r);
}

/* Before all else that takes time: the accelerators have a thread for it. */
static void warm_up(const struct run_config *rc)
{
	for (size_t i = 0; accel_list[i] && !rc->script; i++) {
		const struct accel_ops *a = accel_list[i];
		if (a->warm_up && (!rc->m.accel || rc->m.accel == a))
			a->warm_up();
	}
}

static int run_vm(struct run_config *rc, struct err *e)
{
	bool chosen = rc->m.accel != NULL;

	warm_up(rc);

	if (!chosen && rc->script) {
		rc->m.accel = accel_find("script");
		log_info("using script: --script asks for it");
	}
	if (rc->script)
		rc->m.accel_arg = rc->script;
	if (!rc->m.accel && choose_accel(rc, e) < 0)
		return e->code;
	for (unsigned i = 0; i < rc->n_traces; i++) {
		if (trace_enable(rc->trace[i], e) < 0) {
			err_hint(e, "\"lodge help trace\" lists the trace points");
			return err_prefix(e, "--trace");
		}
	}
	if (rc->trace_file && trace_set_file(rc->trace_file, e) < 0)
		return err_prefix(e, "--trace-file");
	int code = monitor_run(rc->machine, &rc->m, &rc->run, e);
	if (chosen && (code == EXIT_ACCEL || code == EXIT_CRASH) && !rc->m.accel->manual_clock)
		explain_accel(rc->m.accel);
	return code;
}

static int dump_config(const struct settings *s, struct err *e)
{
	struct strbuf out = {0};

	if (options_dump(s, &out, e) < 0) {
		strbuf_exit(&out);
		return e->code;
	}
	return print_out(&out, e);
}

static int print_help(struct err *e)
{
	struct strbuf out = {0};

	help_command(command_find("run"), &out);
	return print_out(&out, e);
}

int cmd_run(int argc, char **argv, struct err *e)
{
	struct settings s = {.table = &run_options_table}, file = {.table = &run_options_table};
	struct run_config rc = {0};
	int code = options_parse(&s, argc, argv, e);

	const struct setting *config = settings_find(&s, "config");
	if (!code && settings_find(&s, "help")) {
		code = print_help(e);
		goto out;
	}
	if (!code && config)
		code = options_load(&file, config->value, e);
	if (!code && config)
		code = settings_merge(&s, &file, e);
	if (!code)
		code = settings_apply(&s, &rc, e);
	if (code < 0)
		goto out;
	if (rc.verbose)
		log_set_level(LOG_DEBUG);
	if (rc.quiet)
		log_set_level(LOG_ERROR);
	if (rc.dump_config)
		code = dump_config(&s, e);
	else
		code = check_boot(&s, &rc, e);
	if (!code && !rc.dump_config)
		code = run_vm(&rc, e);
out:
	run_config_exit(&rc);
	settings_exit(&file);
	settings_exit(&s);
	return code;
}
