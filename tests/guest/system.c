/* CPUs, memory, interrupts and firmware tables as the guest's kernel has found them. */
#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <sched.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>
#include <sys/stat.h>
#include <unistd.h>

#include "check.h"

enum {
	MAX_CPUS = 256,
	TURNS = 50, /* how often the checker moves around all CPUs */
};

static bool move_to(unsigned cpu)
{
	cpu_set_t set;

	CPU_ZERO(&set);
	CPU_SET(cpu, &set);
	return sched_setaffinity(0, sizeof(set), &set) == 0 && sched_getcpu() == (int)cpu;
}

/* Every CPU runs us, its timer wakes us, and its counter is never behind another CPU's. */
static void check_each_cpu(unsigned n)
{
	uint64_t last = 0, back = 0;

	for (int turn = 0; turn < TURNS; turn++) {
		for (unsigned cpu = 0; cpu < n; cpu++) {
			if (!move_to(cpu)) {
				check_report("cpu-run", false, "CPU %u runs nothing: %s", cpu,
					     strerror(errno));
				return;
			}
			uint64_t now = counter_read();

			if (now < last && last - now > back)
				back = last - now;
			last = now;
			if (turn > 0)
				continue;
			int64_t start = check_now();

			check_sleep_ms(5);
			if (check_now() - start < 5000000) {
				check_report("cpu-timer", false, "CPU %u wakes too early", cpu);
				return;
			}
		}
	}
	check_report("cpu-run", true, "each of %u CPUs runs and wakes by its timer", n);
	check_report("cpu-counter", back == 0, "went back by %" PRIu64 " in %u moves", back,
		     n * TURNS);
}

void check_cpus(void)
{
	const char *wanted = check_option("cpus");
	char online[64] = "";
	int n = (int)sysconf(_SC_NPROCESSORS_ONLN);

	check_read_file("/sys/devices/system/cpu/online", online, sizeof(online));
	online[strcspn(online, "\n")] = '\0';
	check_report("cpus", wanted == NULL || atoi(wanted) == n, "%d online (%s)%s%s", n, online,
		     wanted ? ", wanted " : "", wanted ? wanted : "");
	if (n > 0 && n <= MAX_CPUS)
		check_each_cpu((unsigned)n);
}

/*
 * Sum of what /proc/iomem calls RAM, in bytes.  On arm64 the parts of it that firmware keeps for
 * itself stand between the others as "reserved", and so does what was never RAM: a part counts when
 * it touches RAM.  On x86 the word is "Reserved", and none of it counts.
 */
static uint64_t ram_size(void)
{
	char line[256];
	uint64_t sum = 0, first, last, end = 0, waiting = 0, waiting_end = 0;
	FILE *map = fopen("/proc/iomem", "re");

	if (!map)
		return 0;
	while (fgets(line, sizeof(line), map)) {
		bool ram = strstr(line, ": System RAM"), reserved = strstr(line, ": reserved");

		if (line[0] == ' ' || (!ram && !reserved) ||
		    sscanf(line, "%" SCNx64 "-%" SCNx64, &first, &last) != 2)
			continue;
		if (ram || first == end) {
			sum += last - first + 1 + (waiting_end == first ? waiting : 0);
			end = last + 1;
			waiting = 0;
			continue;
		}
		waiting = last - first + 1 + (waiting_end == first ? waiting : 0);
		waiting_end = last + 1;
	}
	fclose(map);
	return sum;
}

void check_memory(void)
{
	const char *option = check_option("mem");
	char info[4096], *at;
	uint64_t ram = ram_size(), usable = 0;

	if (check_read_file("/proc/meminfo", info, sizeof(info)) > 0) {
		at = strstr(info, "MemTotal:");
		usable = at ? strtoull(at + 9, NULL, 10) * 1024 : 0;
	}
	/* One MiB may be taken by holes below 1 MiB and by firmware tables. */
	uint64_t wanted = option ? strtoull(option, NULL, 10) << 20 : ram;

	check_report("memory", ram <= wanted && ram + (1 << 20) >= wanted,
		     "%" PRIu64 " KiB of RAM in the map, wanted %" PRIu64 " KiB", ram >> 10,
		     wanted >> 10);
	check_report("memory-usable", usable > ram / 100 * 70 && usable <= ram,
		     "%" PRIu64 " KiB usable", usable >> 10);
}

static unsigned long long sum_counts(const char *counts)
{
	unsigned long long sum = 0;
	char *end;

	for (;;) {
		unsigned long long n = strtoull(counts, &end, 10);

		if (end == counts)
			return sum;
		sum += n;
		counts = end;
	}
}

void check_interrupts(void)
{
	static char text[65536];
	char *save = NULL;
	unsigned long long serial = 0;

	if (check_read_file("/proc/interrupts", text, sizeof(text)) < 0) {
		check_report("interrupts", false, "/proc/interrupts cannot be read");
		return;
	}
	for (char *line = strtok_r(text, "\n", &save); line; line = strtok_r(NULL, "\n", &save)) {
		char *colon = strchr(line, ':');
		unsigned long long sum = colon ? sum_counts(colon + 1) : 0;

		if (sum == 0)
			continue;
		check_say("irq", "%s", line + strspn(line, " "));
		if (strstr(line, "ttyS0") || strstr(line, "uart-pl011"))
			serial = sum;
		if (strncasecmp(line + strspn(line, " "), "ERR:", 4) == 0 ||
		    strncmp(line + strspn(line, " "), "MIS:", 4) == 0)
			check_report("interrupt-errors", false, "%s", line);
	}
	check_report("console-interrupt", serial > 0, "%llu interrupts of the serial port", serial);
}

static void print_base64(const char *name, const uint8_t *data, size_t size)
{
	static const char digits[] =
		"ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/";
	char line[80];
	size_t n = 0;

	for (size_t i = 0; i < size; i += 3) {
		size_t left = size - i;
		uint32_t bits = (uint32_t)data[i] << 16 |
				(left > 1 ? (uint32_t)data[i + 1] << 8 : 0) |
				(left > 2 ? data[i + 2] : 0);

		line[n++] = digits[bits >> 18];
		line[n++] = digits[bits >> 12 & 63];
		line[n++] = left > 1 ? digits[bits >> 6 & 63] : '=';
		line[n++] = left > 2 ? digits[bits & 63] : '=';
		if (n == 64 || left <= 3) {
			check_say("table", "%s %.*s", name, (int)n, line);
			n = 0;
		}
	}
}

static bool dump_table(const char *folder, const char *name)
{
	static uint8_t data[1 << 20];
	char path[300];
	ssize_t n, size = 0;

	snprintf(path, sizeof(path), "%s/%s", folder, name);
	int fd = open(path, O_RDONLY | O_CLOEXEC);

	if (fd < 0)
		return false;
	while ((size_t)size < sizeof(data) &&
	       (n = read(fd, data + size, sizeof(data) - (size_t)size)) > 0)
		size += n;
	close(fd);
	print_base64(name, data, (size_t)size);
	return size > 0;
}

/* List the tables in a folder; returns how many there are. */
static unsigned list_tables(const char *folder, char *names, size_t size, bool dump)
{
	unsigned count = 0;
	size_t used = 0;
	struct dirent *entry;
	DIR *dir = opendir(folder);

	names[0] = '\0';
	if (!dir)
		return 0;
	while ((entry = readdir(dir)) != NULL) {
		if (entry->d_type != DT_REG)
			continue;
		if (used < size)
			used += (size_t)snprintf(names + used, size - used, "%s%s",
						 count ? " " : "", entry->d_name);
		if (dump && !dump_table(folder, entry->d_name))
			check_report("table", false, "%s cannot be read", entry->d_name);
		count++;
	}
	closedir(dir);
	return count;
}

/* The device tree that the kernel has unpacked; an ACPI guest's has nothing but /chosen. */
static void check_device_tree(unsigned acpi_tables)
{
	char compatible[128] = "", model[128] = "";

	check_read_file("/sys/firmware/devicetree/base/compatible", compatible, sizeof(compatible));
	check_read_file("/sys/firmware/devicetree/base/model", model, sizeof(model));
	check_report("device-tree", compatible[0] && acpi_tables == 0,
		     "compatible with \"%s\", model \"%s\", %u ACPI tables", compatible, model,
		     acpi_tables);
}

void check_tables(void)
{
	bool dump = check_option("dump") != NULL;
	const char *describe = check_option("describe");
	bool tree = describe && strcmp(describe, "dt") == 0;
	char names[512];
	unsigned n = list_tables("/sys/firmware/acpi/tables", names, sizeof(names), dump);

	if (tree)
		check_device_tree(n);
	else
		check_report("acpi-tables", n > 0, "%u: %s", n, names);
	n = list_tables("/sys/firmware/dmi/tables", names, sizeof(names), dump);
	if (check_option("smbios"))
		check_report("smbios-tables", n > 0, "%u: %s", n, names);
	else
		check_say("info", "%u SMBIOS tables", n);
}
