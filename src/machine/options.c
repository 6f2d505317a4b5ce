/*
 * machine/options.c - parsing of CPU pinning, device options and CPU topology.
 */
#include <errno.h>
#include <sched.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "base/str.h"
#include "base/sys.h"
#include "device/devices.h"
#include "machine/options.h"

/* "3" or "3-5" into @set. */
static int parse_cpu_range(const char *text, cpu_set_t *set, struct err *e)
{
	char first[16];
	const char *dash = strchr(text, '-');
	uint64_t lo, hi;
	int rc;

	if (dash && (size_t)(dash - text) < sizeof(first)) {
		memcpy(first, text, (size_t)(dash - text));
		first[dash - text] = 0;
		rc = str_parse_u64(first, 0, CPU_SETSIZE - 1, &lo, e);
		if (!rc)
			rc = str_parse_u64(dash + 1, lo, CPU_SETSIZE - 1, &hi, e);
	} else {
		rc = str_parse_u64(text, 0, CPU_SETSIZE - 1, &lo, e);
		hi = lo;
	}
	if (rc)
		return rc;
	for (uint64_t i = lo; i <= hi; i++)
		CPU_SET(i, set);
	return 0;
}

/* One comma-separated piece; @current follows the last "V=". */
static int pin_piece(struct vm *vm, char *piece, cpu_set_t **current, cpu_set_t *all, struct err *e)
{
	char *eq = strchr(piece, '=');
	uint64_t v;

	if (eq) {
		*eq = 0;
		int rc = str_parse_u64(piece, 0, vm->n_vcpus - 1, &v, e);

		if (rc)
			return err_prefix(e, "vCPU");
		*current = &vm->vcpus[v].affinity;
		piece = eq + 1;
	}
	return parse_cpu_range(piece, *current ? *current : all, e);
}

/* Host CPUs that do not exist, or that this process may not use, are refused here by name. */
static int check_cpus(const cpu_set_t *set, const cpu_set_t *allowed, struct err *e)
{
	for (int i = 0; i < CPU_SETSIZE; i++)
		if (CPU_ISSET(i, set) && !CPU_ISSET(i, allowed))
			return err_set(e, -EINVAL,
				       "host CPU %d does not exist or is not ours to use", i);
	return 0;
}

int machine_pin_vcpus(struct vm *vm, const char *spec, struct err *e)
{
	char *copy = sys_strdup(spec), *save = NULL;
	cpu_set_t all, allowed, *current = NULL;
	int rc = 0;

	if (!copy)
		return err_nomem(e, strlen(spec), "--cpu-pin");
	CPU_ZERO(&all);
	if (sched_getaffinity(0, sizeof(allowed), &allowed))
		rc = err_errno(e, -errno, "cannot read the host CPUs this process may use");
	for (char *p = strtok_r(copy, ",", &save); p && !rc; p = strtok_r(NULL, ",", &save))
		rc = pin_piece(vm, p, &current, &all, e);
	for (unsigned i = 0; i < vm->n_vcpus && !rc; i++) {
		cpu_set_t *set = &vm->vcpus[i].affinity;

		if (!CPU_COUNT(set))
			*set = all;
		rc = check_cpus(set, &allowed, e);
	}
	free(copy);
	return rc ? err_prefix(e, "--cpu-pin %s", spec) : 0;
}

/* The value of "id=" among the key=value pairs of @rest, or NULL; changes nothing. */
static char *find_id(const char *rest, char *buf, size_t n)
{
	const char *p = rest;

	while (p) {
		if (!strncmp(p, "id=", 3)) {
			size_t len = strcspn(p + 3, ",");

			if (len >= n)
				len = n - 1;
			memcpy(buf, p + 3, len);
			buf[len] = 0;
			return buf;
		}
		p = strchr(p, ',');
		p = p ? p + 1 : NULL;
	}
	return NULL;
}

static int no_such_class(const char *name, struct err *e)
{
	const char *names[64] = {0}, *near;
	unsigned n = 0;

	for (unsigned i = 0; device_list[i] && n < ARRAY_LEN(names) - 1; i++)
		if (device_list[i]->user)
			names[n++] = device_list[i]->name;
	near = str_nearest(name, names);
	err_set(e, -ENOENT, "there is no device \"%s\"", name);
	if (near)
		err_hint(e, "did you mean \"%s\"?", near);
	else
		err_hint(e, "`lodge help devices` lists them");
	return -ENOENT;
}

static int set_pairs(struct device *d, char *rest, struct err *e)
{
	char *save = NULL;

	for (char *p = strtok_r(rest, ",", &save); p; p = strtok_r(NULL, ",", &save)) {
		char *eq = strchr(p, '=');
		int rc;

		if (eq)
			*eq = 0;
		if (!strcmp(p, "id"))
			continue;
		rc = device_set(d, p, eq ? eq + 1 : "true", e);
		if (rc)
			return rc;
	}
	return 0;
}

int machine_add_device(struct vm *vm, const char *spec, struct err *e)
{
	char *copy = sys_strdup(spec), *rest, id[64];
	const struct device_class *class;
	struct device *d;
	int rc;

	if (!copy)
		return err_nomem(e, strlen(spec), "--device");
	rest = strchr(copy, ',');
	if (rest)
		*rest++ = 0;
	class = device_class_find(copy);
	if (!class || !class->user) {
		rc = no_such_class(copy, e);
		goto out;
	}
	rc = device_new(vm, class, find_id(rest, id, sizeof(id)), &d, e);
	if (rc)
		goto out;
	if (rest)
		rc = set_pairs(d, rest, e);
	if (rc)
		device_free(d);
	else
		rc = device_init(d, e);
out:
	free(copy);
	return rc ? err_prefix(e, "--device %s", spec) : 0;
}

int machine_topology(const struct machine_config *c, struct vm_topology *t, struct err *e)
{
	unsigned threads = c->threads ? c->threads : 1;
	unsigned cores = c->cores, sockets = c->sockets;

	/*
	 * One socket is what schedulers and licences expect; but a socket does not lie in two NUMA
	 * nodes, and Linux warns of one that does.
	 */
	if (!sockets && !cores)
		sockets = c->numa_nodes > 1 && c->cpus % (c->numa_nodes * threads) == 0
				  ? c->numa_nodes
				  : 1;
	if (!cores)
		cores = c->cpus / (sockets * threads);
	if (!sockets)
		sockets = c->cpus / (cores * threads);
	if (!sockets || !cores || (uint64_t)sockets * cores * threads != c->cpus) {
		err_set(e, -EINVAL, "--cpus %u: %u sockets x %u cores x %u threads are not %u CPUs",
			c->cpus, sockets ? sockets : 1, cores ? cores : 1, threads, c->cpus);
		return err_kind(e, ERR_USAGE);
	}
	*t = (struct vm_topology){sockets, cores, threads};
	return 0;
}
