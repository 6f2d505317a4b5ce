/*
 * monitor/stats.c - what a run did, as one JSON object.
 *
 * Keys are stable: later versions add, they do not rename.
 */
#include "monitor/stats.h"

#include <errno.h>
#include <fcntl.h>
#include <jansson.h>
#include <stdlib.h>
#include <string.h>
#include <sys/resource.h>
#include <unistd.h>

#include "base/sys.h"
#include "core/device.h"

static json_t *exits_json(const _Atomic uint64_t *counts)
{
	json_t *o = json_object();

	for (unsigned s = 0; s < EXIT_STAT_COUNT; s++)
		json_object_set_new(o, exit_stat_name[s],
				    json_integer((json_int_t)atomic_load(&counts[s])));
	return o;
}

static json_t *vcpus_json(const struct vm *vm)
{
	json_t *a = json_array();

	for (unsigned i = 0; i < vm->n_vcpus; i++) {
		const struct vcpu *v = &vm->vcpus[i];
		json_t *o = json_object();
		json_object_set_new(o, "index", json_integer(i));
		json_int_t entries = (json_int_t)atomic_load(&v->entries);
		json_object_set_new(o, "entries", json_integer(entries));
		json_int_t instructions = (json_int_t)atomic_load(&v->instructions);
		if (instructions)
			json_object_set_new(o, "instructions", json_integer(instructions));
		json_object_set_new(o, "exits", exits_json(v->exits));
		json_array_append_new(a, o);
	}
	return a;
}

static json_t *totals_json(struct vm *vm)
{
	json_t *o = json_object();

	for (unsigned s = 0; s < EXIT_STAT_COUNT; s++)
		json_object_set_new(o, exit_stat_name[s],
				    json_integer((json_int_t)vm_exits(vm, s)));
	return o;
}

static json_t *devices_json(struct vm *vm)
{
	json_t *a = json_array();
	struct list *pos;

	list_for_each(pos, &vm->devices) {
		const struct device *d = list_entry(pos, const struct device, link);
		json_array_append_new(
			a, json_pack("{s:s, s:s, s:I, s:I, s:I}", "id", d->id, "class",
				     d->class->name, "reads", (json_int_t)atomic_load(&d->reads),
				     "writes", (json_int_t)atomic_load(&d->writes), "guest_errors",
				     (json_int_t)atomic_load(&d->guest_errors)));
	}
	return a;
}

static json_int_t since(uint64_t from, uint64_t to)
{
	return from && to > from ? (json_int_t)(to - from) : 0;
}

static json_int_t cpu_ns(const struct timeval *t)
{
	return (json_int_t)t->tv_sec * 1000000000 + (json_int_t)t->tv_usec * 1000;
}

static json_t *host_json(void)
{
	struct rusage u = {0};

	getrusage(RUSAGE_SELF, &u);
	return json_pack("{s:I, s:I, s:I}", "user_ns", cpu_ns(&u.ru_utime), "system_ns",
			 cpu_ns(&u.ru_stime), "max_rss_bytes", (json_int_t)u.ru_maxrss * 1024);
}

static json_t *stats_json(struct vm *vm, const struct run_times *t, const char *how, int code)
{
	json_t *times = json_pack("{s:I, s:I, s:I}", "build_ns", since(t->begin, t->built),
				  "first_output_ns", since(t->built, t->first_output), "run_ns",
				  since(t->built, t->end));

	return json_pack("{s:s, s:s, s:s, s:s, s:i, s:o, s:I, s:o, s:o, s:o, s:{s:I, s:I}, s:o}",
			 "lodge", LODGE_VERSION, "name", vm->name, "accelerator", vm->accel->name,
			 "end", how, "exit_code", code, "times", times, "console_bytes",
			 (json_int_t)atomic_load(&vm->console_bytes), "exits", totals_json(vm),
			 "vcpus", vcpus_json(vm), "devices", devices_json(vm), "unmapped", "memory",
			 (json_int_t)atomic_load(&vm->mem.unmapped), "ports",
			 (json_int_t)atomic_load(&vm->ports.unmapped), "host", host_json());
}

char *stats_text(struct vm *vm, const struct run_times *t, const char *how, int code)
{
	json_t *o = stats_json(vm, t, how, code);
	char *text = o ? json_dumps(o, JSON_INDENT(2)) : NULL;

	json_decref(o);
	return text;
}

int stats_open(const char *path, struct err *e)
{
	int fd;

	if (strcmp(path, "-"))
		fd = sys_open(path, O_WRONLY | O_CREAT | O_TRUNC | O_NOCTTY, 0666);
	else
		fd = fcntl(STDOUT_FILENO, F_DUPFD_CLOEXEC, 3);
	return fd < 0 ? err_errno(e, -errno, "--stats %s: cannot open", path) : fd;
}

int stats_save(int fd, const char *text, struct err *e)
{
	int code;

	if (!text)
		return err_nomem(e, 0, "statistics");
	code = sys_write_full(fd, text, strlen(text));
	if (!code)
		code = sys_write_full(fd, "\n", 1);
	return code ? err_errno(e, code, "--stats: cannot write") : 0;
}
