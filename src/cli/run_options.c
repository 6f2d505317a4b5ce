/*
 * cli/run_options.c - the options of `lodge run`: the table, and what each value must be.
 */
#include <ctype.h>
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "arch/x86/cpu_model.h"
#include "base/sys.h"
#include "boot/kernel.h"
#include "chardev/chardev.h"
#include "cli/cli.h"

#define NAME_MAX_LEN 31

/* A copy of @value that the caller may cut apart and keep pointers into. */
static char *scratch(struct run_config *rc, const char *value, struct err *e)
{
	BUG_ON(rc->n_scratch == ARRAY_LEN(rc->scratch)); /* one for each option that asks, once */
	char *copy = sys_strdup(value);
	if (!copy)
		err_nomem(e, strlen(value) + 1, "an option");
	else
		rc->scratch[rc->n_scratch++] = copy;
	return copy;
}

void run_config_exit(struct run_config *rc)
{
	for (unsigned i = 0; i < rc->n_scratch; i++)
		free(rc->scratch[i]);
	rc->n_scratch = 0;
}

/* The place of @value, which is one of @words. */
static unsigned word_index(const char *const *words, const char *value)
{
	unsigned i = 0;

	while (strcmp(words[i], value))
		i++;
	return i;
}

static bool flag_on(const char *value)
{
	return !strcmp(value, "on");
}

/* A setter that stores a string, a flag or a word's place; the table has checked the value. */
#define SET_STRING(option, member)                                              \
	static int set_##option(void *target, const char *value, struct err *e) \
	{                                                                       \
		struct run_config *rc = target;                                 \
		(void)e;                                                        \
		rc->member = value;                                             \
		return 0;                                                       \
	}
#define SET_FLAG(option, member)                                                \
	static int set_##option(void *target, const char *value, struct err *e) \
	{                                                                       \
		struct run_config *rc = target;                                 \
		(void)e;                                                        \
		rc->member = flag_on(value);                                    \
		return 0;                                                       \
	}
#define SET_WORD(option, member, words)                                         \
	static int set_##option(void *target, const char *value, struct err *e) \
	{                                                                       \
		struct run_config *rc = target;                                 \
		(void)e;                                                        \
		rc->member = word_index(words, value);                          \
		return 0;                                                       \
	}

static const char *const accel_words[] = {"auto", "kvm", "bt", "script", NULL};
static const char *const backing_words[] = {"anon", "memfd", "hugetlb", NULL};
static const char *const irqchip_words[] = {"kernel", "split", "user", NULL};
static const char *const gic_words[] = {"auto", "2", "3", NULL};
static const char *const boot_words[] = {"auto", "pvh", "linux", "setup", NULL};
_Static_assert(RAM_ANON == 0 && RAM_MEMFD == 1 && RAM_HUGETLB == 2, "order of backing_words");
_Static_assert(IRQCHIP_KERNEL == 0 && IRQCHIP_SPLIT == 1 && IRQCHIP_USER == 2,
	       "order of irqchip_words");
_Static_assert(BOOT_AUTO == 0 && BOOT_PVH == 1 && BOOT_LINUX == 2 && BOOT_SETUP == 3,
	       "order of boot_words");

SET_STRING(kernel, m.kernel)
SET_STRING(append, m.append)
SET_STRING(dtb, m.dtb)
SET_STRING(cpu_pin, m.cpu_pin)
SET_STRING(script, script)
SET_STRING(stats, run.stats_path)
SET_STRING(config, config)
SET_STRING(trace_file, trace_file)
SET_FLAG(kaslr, m.kaslr)
SET_FLAG(acpi, m.acpi)
SET_FLAG(hpet, m.hpet)
SET_FLAG(no_reboot, run.no_reboot)
SET_FLAG(verbose, verbose)
SET_FLAG(quiet, quiet)
SET_FLAG(dump_config, dump_config)
SET_FLAG(help, help)
SET_WORD(backing, m.backing, backing_words)
SET_WORD(irqchip, m.irqchip, irqchip_words)
SET_WORD(boot, m.boot, boot_words)

static int set_gic(void *target, const char *value, struct err *e)
{
	struct run_config *rc = target;

	(void)e;
	rc->m.gic_version = strcmp(value, "auto") ? (unsigned)(value[0] - '0') : 0;
	return 0;
}

static int set_cpu(void *target, const char *value, struct err *e)
{
	struct run_config *rc = target;

	rc->m.cpu_model = value;
	return x86_cpu_model_check(value, e);
}

/* "auto" leaves m.accel NULL: cli/run.c chooses when everything else is known to be right. */
static int set_accel(void *target, const char *value, struct err *e)
{
	struct run_config *rc = target;
	size_t n = strcspn(value, ",");
	const char *arg = value[n] ? value + n + 1 : NULL;
	char name[16];

	str_copy(name, MIN(sizeof(name), n + 1), value);
	rc->m.accel = accel_find(name);
	rc->m.accel_arg = arg;
	if (!rc->m.accel && strcmp(name, "auto"))
		return err_set(e, -ENOENT, "this build has no accelerator '%s'", name);
	if (!arg)
		return 0;
	if (!rc->m.accel || !rc->m.accel->arg_check)
		return err_set(e, -EINVAL, "'%s' takes no options", name);
	return rc->m.accel->arg_check(arg, e);
}

static int set_machine(void *target, const char *value, struct err *e)
{
	struct run_config *rc = target;
	const char *words[32] = {0};

	rc->machine = strcmp(value, "auto") ? machine_find(value) : machine_default();
	if (rc->machine) {
		rc->m.machine = rc->machine->name;
		return 0;
	}
	for (size_t i = 0; machine_list[i] && i + 1 < ARRAY_LEN(words); i++)
		words[i] = machine_list[i]->name;
	const char *near = str_nearest(value, words);
	if (near)
		err_set(e, -ENOENT, "there is no machine '%s' (did you mean %s?)", value, near);
	else
		err_set(e, -ENOENT, "there is no machine '%s'", value);
	return err_hint(e, "\"lodge help machines\" lists them");
}

static int set_cpus(void *target, const char *value, struct err *e)
{
	struct run_config *rc = target;
	const char *key, *number;
	char *list = scratch(rc, value, e);
	uint64_t n;

	if (!list)
		return -ENOMEM;
	for (bool first = true; list_next(&list, first, &key, &number); first = false) {
		unsigned *where = &rc->m.cpus;
		if (key && !strcmp(key, "sockets"))
			where = &rc->m.sockets;
		else if (key && !strcmp(key, "cores"))
			where = &rc->m.cores;
		else if (key && !strcmp(key, "threads"))
			where = &rc->m.threads;
		else if (key && strcmp(key, "cpus"))
			return err_set(e, -EINVAL,
				       "'%s' is not known; sockets=, cores= and threads= are", key);
		if (str_parse_u64(number, 1, MACHINE_CPUS_MAX, &n, e) < 0)
			return key ? err_prefix(e, "%s", key) : e->code;
		*where = (unsigned)n;
	}
	if (rc->m.cpus)
		return 0;
	/* Only the arrangement is given: it says how many. */
	n = (uint64_t)MAX(rc->m.sockets, 1u) * MAX(rc->m.cores, 1u) * MAX(rc->m.threads, 1u);
	if (n > MACHINE_CPUS_MAX)
		return err_set(e, -ERANGE, "%llu is too large: 1 to %d is accepted",
			       (unsigned long long)n, MACHINE_CPUS_MAX);
	rc->m.cpus = (unsigned)n;
	return 0;
}

static int set_memory(void *target, const char *value, struct err *e)
{
	struct run_config *rc = target;
	uint64_t size;

	if (str_parse_size(value, MIB(1), &size, e) < 0)
		return e->code;
	if (size < GUEST_PAGE || size > GIB(1) << 14)
		return err_set(e, -ERANGE, "%s is out of range: 4K to 16384G is accepted", value);
	if (size % GUEST_PAGE)
		return err_set(e, -EINVAL, "%s is not a whole number of 4 KiB pages", value);
	rc->m.memory = size;
	return 0;
}

static int set_numa(void *target, const char *value, struct err *e)
{
	struct run_config *rc = target;
	uint64_t n;

	if (str_parse_u64(value, 1, MACHINE_NODES, &n, e) < 0)
		return e->code;
	rc->m.numa_nodes = (unsigned)n;
	return 0;
}

static int set_raw(void *target, const char *value, struct err *e)
{
	struct run_config *rc = target;
	char *file = scratch(rc, value, e);

	if (!file)
		return -ENOMEM;
	rc->m.raw = file;
	rc->m.raw_addr = MACHINE_RAW_ADDR;
	/* The last @ begins an address if a number follows; otherwise it is part of the name. */
	char *at = strrchr(file, '@');
	if (!at || !isdigit((unsigned char)at[1]))
		return 0;
	*at = 0;
	return str_parse_u64(at + 1, 0, MACHINE_RAW_ADDR - 1, &rc->m.raw_addr, e);
}

static int set_initrd(void *target, const char *value, struct err *e)
{
	struct run_config *rc = target;

	if (rc->m.n_initrds == MACHINE_INITRDS)
		return err_set(e, -E2BIG, "%s: at most %d files are accepted", value,
			       MACHINE_INITRDS);
	rc->m.initrd[rc->m.n_initrds++] = value;
	return 0;
}

static int set_device(void *target, const char *value, struct err *e)
{
	struct run_config *rc = target;

	if (rc->m.n_devices == MACHINE_DEVICES)
		return err_set(e, -E2BIG, "at most %d are accepted", MACHINE_DEVICES);
	rc->m.device[rc->m.n_devices++] = value;
	return 0;
}

static int set_serial(void *target, const char *value, struct err *e)
{
	struct run_config *rc = target;

	if (rc->n_serials == MACHINE_SERIALS)
		return err_set(e, -E2BIG, "at most %d serial ports are accepted", MACHINE_SERIALS);
	if (chardev_check(value, e) < 0)
		return e->code;
	rc->m.serial[rc->n_serials++] = strcmp(value, "none") ? value : NULL;
	return 0;
}

static int set_name(void *target, const char *value, struct err *e)
{
	struct run_config *rc = target;
	size_t n = strlen(value);

	for (size_t i = 0; i < n; i++) {
		if (!isalnum((unsigned char)value[i]) && !strchr("-_.", value[i]))
			n = NAME_MAX_LEN + 1;
	}
	if (!n || n > NAME_MAX_LEN)
		return err_set(e, -EINVAL, "a name has 1 to %d of the characters A-Z a-z 0-9 - _ .",
			       NAME_MAX_LEN);
	rc->m.name = value;
	return 0;
}

static int set_timeout(void *target, const char *value, struct err *e)
{
	struct run_config *rc = target;

	if (str_parse_duration(value, &rc->run.timeout_ns, e) < 0)
		return e->code;
	return rc->run.timeout_ns ? 0 : err_set(e, -EINVAL, "'%s' is no time at all", value);
}

static int set_watch(void *target, const char *value, struct err *e)
{
	struct run_config *rc = target;

	if (!strcmp(value, "off")) {
		rc->run.watch_ns = 0;
		return 0;
	}
	return str_parse_duration(value, &rc->run.watch_ns, e);
}

static int set_trace(void *target, const char *value, struct err *e)
{
	struct run_config *rc = target;

	if (rc->n_traces == ARRAY_LEN(rc->trace))
		return err_set(e, -E2BIG, "at most %zu are accepted", ARRAY_LEN(rc->trace));
	rc->trace[rc->n_traces++] = value;
	return 0;
}

#define BOOT	 "What runs"
#define MACHINE	 "The machine"
#define ENDING	 "How it ends"
#define WATCHING "Watching it"
#define FILES	 "Configuration"

static const struct opt opts[] = {
	{"kernel", 0, "FILE", NULL, OPT_FILE, BOOT,
	 "The kernel: bzImage, ELF vmlinux (also compressed) or multiboot, recognised by content. "
	 "A bare argument is the same.",
	 NULL, set_kernel},
	{"initrd", 0, "FILE", NULL, OPT_REPEAT | OPT_FILE, BOOT,
	 "Initial RAM disk; several are concatenated in the order given. For a multiboot kernel "
	 "each is a module.",
	 NULL, set_initrd},
	{"append", 0, "TEXT", NULL, 0, BOOT, "The kernel's command line.", NULL, set_append},
	{"boot", 0, "HOW", "auto", 0, BOOT,
	 "How the kernel is entered. auto: unpacked by Lodge and entered by PVH or the 64-bit "
	 "protocol; pvh, linux: that entry only; setup: by the kernel's own decompressor.",
	 boot_words, set_boot},
	{"kaslr", 0, NULL, "off", 0, BOOT, "Places a relocatable kernel at random.", NULL,
	 set_kaslr},
	{"raw", 0, "FILE[@ADDR]", NULL, OPT_FILE, BOOT,
	 "A flat binary instead of a kernel, loaded and entered at ADDR: in real mode (0x7c00), on "
	 "arm64 at EL1 (0x40080000).",
	 NULL, set_raw},
	{"accel", 0, "NAME[,key=value...]", "auto", OPT_KEYS, MACHINE,
	 "What executes the guest: kvm, bt (a CPU in software), script (no guest code: see "
	 "--script), or auto, which tries what this host can run, and says what it chose and why; "
	 "\"lodge help accel\" lists keys.",
	 accel_words, set_accel},
	{"machine", 0, "NAME", "auto", 0, MACHINE,
	 "The machine type; \"lodge help machines\" lists them. auto: the one whose guests this "
	 "host's "
	 "KVM can run.",
	 NULL, set_machine},
	{"cpus", 0, "N[,sockets=N,cores=N,threads=N]", "1", 0, MACHINE,
	 "How many vCPUs, and how the guest sees them arranged.", NULL, set_cpus},
	{"memory", 0, "SIZE", "512M", 0, MACHINE,
	 "Guest memory, with a suffix K, M, G or T; a bare number counts MiB.", NULL, set_memory},
	{"memory-backing", 0, "KIND", "anon", 0, MACHINE,
	 "Where it comes from: anon (transparent huge pages where the host has them), memfd "
	 "(can be shared), hugetlb (pages reserved with vm.nr_hugepages).",
	 backing_words, set_backing},
	{"numa", 0, "N", "1", 0, MACHINE, "Divides memory and vCPUs evenly among N NUMA nodes.",
	 NULL, set_numa},
	{"irqchip", 0, "WHERE", "kernel", 0, MACHINE,
	 "Interrupt chips: all in the host kernel; split: local APICs there and the rest in "
	 "Lodge; user: all in Lodge, which KVM cannot do.",
	 irqchip_words, set_irqchip},
	{"hpet", 0, NULL, "off", 0, MACHINE, "x86-64: adds high precision event timers (HPET).",
	 NULL, set_hpet},
	{"gic", 0, "VERSION", "auto", 0, MACHINE,
	 "arm64: the interrupt controller: 2, 3, or the best that the host has.", gic_words,
	 set_gic},
	{"acpi", 0, NULL, "off", 0, MACHINE,
	 "arm64: describes the machine by ACPI tables instead of a device tree.", NULL, set_acpi},
	{"dtb", 0, "FILE", NULL, OPT_FILE, MACHINE,
	 "arm64: a device tree instead of Lodge's own; it is checked, and memory and /chosen are "
	 "filled in.",
	 NULL, set_dtb},
	{"serial", 0, "BACKEND", "stdio", OPT_REPEAT, MACHINE,
	 "Where the next serial port (COM1 to COM4) leads: stdio, pty, file:PATH, unix:PATH, null "
	 "or none; \"lodge help serial\" tells more.",
	 NULL, set_serial},
	{"device", 0, "CLASS[,key=value...]", NULL, OPT_REPEAT, MACHINE,
	 "Adds a device; \"lodge help devices\" lists classes and keys.", NULL, set_device},
	{"name", 0, "NAME", "lodge", 0, MACHINE, "Names the VM and its threads.", NULL, set_name},
	{"cpu", 0, "MODEL[,+NAME][,-NAME]", "host", 0, MACHINE,
	 "Which features of the processor the guest is shown: host (all that there are), or a "
	 "level "
	 "of the x86-64 psABI (v1 to v4), and features by name; \"lodge help cpu\" lists them.",
	 NULL, set_cpu},
	{"cpu-pin", 0, "LIST", NULL, 0, MACHINE,
	 "Pins vCPUs to host CPUs: 0-3,8 confines all of them to these CPUs, 0=2,1=3-4 says it for "
	 "each vCPU.",
	 NULL, set_cpu_pin},
	{"no-reboot", 0, NULL, "off", 0, ENDING,
	 "A guest that resets ends with exit code 32 instead of starting again.", NULL,
	 set_no_reboot},
	{"timeout", 0, "TIME", NULL, 0, ENDING,
	 "Ends the VM after TIME (30s, 5m; a bare number counts seconds) with exit code 36.", NULL,
	 set_timeout},
	{"watch", 0, "TIME", "15s", 0, WATCHING,
	 "Looks at what the guest does when nothing visible has happened for TIME, and says so if "
	 "it looks stuck; off: never.",
	 NULL, set_watch},
	{"script", 0, "FILE", NULL, OPT_FILE, WATCHING,
	 "With --accel script: the commands that drive the machine; - is stdin, unix:PATH a "
	 "socket.",
	 NULL, set_script},
	{"trace", 0, "PATTERN", NULL, OPT_REPEAT, WATCHING,
	 "Switches trace points on, by name with * and ?; several with commas, -PATTERN switches "
	 "off; \"lodge help trace\" lists them.",
	 NULL, set_trace},
	{"trace-file", 0, "FILE", NULL, OPT_FILE, WATCHING,
	 "Appends the trace to FILE instead of stderr.", NULL, set_trace_file},
	{"stats", 0, "FILE", NULL, OPT_FILE, WATCHING,
	 "Writes counts and times of the run as JSON at its end; - is stdout.", NULL, set_stats},
	{"verbose", 'v', NULL, "off", OPT_CMDLINE, WATCHING, "Says more of what it does.", NULL,
	 set_verbose},
	{"quiet", 'q', NULL, "off", OPT_CMDLINE, WATCHING, "Says errors only.", NULL, set_quiet},
	{"config", 0, "FILE", NULL, OPT_CMDLINE | OPT_FILE, FILES,
	 "Reads options from FILE, one \"name = value\" a line; what the command line says wins.",
	 NULL, set_config},
	{"dump-config", 0, NULL, "off", OPT_CMDLINE, FILES,
	 "Prints this command line as a configuration file and runs nothing.", NULL,
	 set_dump_config},
	{"help", 'h', NULL, "off", OPT_CMDLINE, FILES, "This help.", NULL, set_help},
};

static const struct opt_conflict conflicts[] = {
	{"kernel", "raw"}, {"raw", "initrd"}, {"raw", "append"}, {"raw", "kaslr"},
	{"raw", "boot"},   {"raw", "acpi"},   {"raw", "dtb"},	 {"verbose", "quiet"},
};

const struct opt_table run_options_table = {
	.command = "run",
	.opts = opts,
	.n = ARRAY_LEN(opts),
	.operand = "kernel",
	.conflicts = conflicts,
	.n_conflicts = ARRAY_LEN(conflicts),
};
