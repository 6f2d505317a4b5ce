/*
 * /init of the check initramfs: looks at the machine from inside, says what it sees, and ends.
 *
 * The console carries a protocol of lines. Guest to host:
 *	check: NAME: ok|FAIL: DETAIL	one result
 *	info: ..., irq: ..., warn: ...	what was seen, for the reader
 *	table: NAME BASE64		a firmware table, with lodge.dump
 *	ask: REQUEST			the host is to answer with one line (or bytes):
 *	    time			"time REALTIME MONOTONIC" of the host, nanoseconds
 *	    lines SEED COUNT		COUNT random lines, each after the guest has echoed the last
 *	    paste SEED LENGTH		LENGTH bytes of the random stream at once
 *	    take SEED LENGTH		the guest sends LENGTH bytes; "taken ok" or what was wrong
 *	    button			press the power button
 *	end: N ok, N failed		the last line; then the guest ends as lodge.end= says
 * Options on the kernel's command line:
 *	lodge.cpus=N lodge.mem=MiB	what the machine was told to be
 *	lodge.end=poweroff|reboot|panic|button|hang|spin
 *	lodge.quick			no clocks and one line on the console: boot, look, end
 *	lodge.paste=N			the length of the paste
 *	lodge.smbios			SMBIOS tables must be there
 *	lodge.dump			print the ACPI tables
 *	lodge.describe=dt|acpi		what the machine is described by (acpi if it is not given)
 */
#include <fcntl.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/klog.h>
#include <sys/mount.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <sys/utsname.h>
#include <time.h>
#include <unistd.h>

#include "check.h"

enum { CONSOLE_OFF_LEVEL = 8 }; /* syslog(2): set the level of messages for the console */

static unsigned n_ok, n_failed;
static char cmdline[4096];

static void CHECK_FORMAT(2, 0) print_line(const char *head, const char *format, va_list args)
{
	char line[1024];
	int n = snprintf(line, sizeof(line), "%s", head);

	n += vsnprintf(line + n, sizeof(line) - (size_t)n - 1, format, args);
	if (n > (int)sizeof(line) - 2)
		n = (int)sizeof(line) - 2;
	line[n++] = '\n';
	console_write(line, (size_t)n);
}

void check_report(const char *name, bool ok, const char *format, ...)
{
	char head[96];
	va_list args;

	*(ok ? &n_ok : &n_failed) += 1;
	snprintf(head, sizeof(head), "check: %s: %s: ", name, ok ? "ok" : "FAIL");
	va_start(args, format);
	print_line(head, format, args);
	va_end(args);
}

void check_say(const char *kind, const char *format, ...)
{
	char head[96];
	va_list args;

	snprintf(head, sizeof(head), "%s: ", kind);
	va_start(args, format);
	print_line(head, format, args);
	va_end(args);
}

const char *check_option(const char *name)
{
	static char value[128];
	char key[64];
	const char *at = cmdline;
	size_t n = (size_t)snprintf(key, sizeof(key), "lodge.%s", name);

	while ((at = strstr(at, key)) != NULL) {
		bool begins = at == cmdline || at[-1] == ' ';

		at += n;
		if (!begins || (*at != '=' && *at != ' ' && *at != '\0' && *at != '\n'))
			continue;
		value[0] = '\0';
		if (*at == '=')
			snprintf(value, sizeof(value), "%.*s", (int)strcspn(at + 1, " \n"), at + 1);
		return value;
	}
	return NULL;
}

long check_read_file(const char *path, char *buf, size_t size)
{
	int fd = open(path, O_RDONLY | O_CLOEXEC);
	size_t total = 0;
	ssize_t n;

	if (fd < 0)
		return -1;
	while (total < size - 1 && (n = read(fd, buf + total, size - 1 - total)) > 0)
		total += (size_t)n;
	buf[total] = '\0';
	close(fd);
	return (long)total;
}

int64_t check_now(void)
{
	struct timespec t;

	clock_gettime(CLOCK_MONOTONIC, &t);
	return (int64_t)t.tv_sec * 1000000000 + t.tv_nsec;
}

void check_sleep_ms(long ms)
{
	struct timespec t = {.tv_sec = ms / 1000, .tv_nsec = ms % 1000 * 1000000};

	clock_nanosleep(CLOCK_MONOTONIC, 0, &t, NULL);
}

static void mount_all(void)
{
	mkdir("/proc", 0755);
	mkdir("/sys", 0755);
	mkdir("/dev", 0755);
	mount("proc", "/proc", "proc", 0, NULL);
	mount("sysfs", "/sys", "sysfs", 0, NULL);
	mount("devtmpfs", "/dev", "devtmpfs", 0, NULL);
}

/* Load the modules that /modules/order names, one a line; a kernel may have them built in. */
static void load_modules(void)
{
	char order[1024], path[128];
	char *save = NULL;

	if (check_read_file("/modules/order", order, sizeof(order)) < 0)
		return;
	for (char *name = strtok_r(order, "\n", &save); name; name = strtok_r(NULL, "\n", &save)) {
		snprintf(path, sizeof(path), "/modules/%s", name);
		int fd = open(path, O_RDONLY | O_CLOEXEC);
		bool loaded = fd >= 0 && syscall(SYS_finit_module, fd, "", 0) == 0;

		if (!loaded)
			check_report("module", false, "%s cannot be loaded", name);
		if (fd >= 0)
			close(fd);
	}
}

int main(void)
{
	struct utsname kernel;

	counter_mark_init();
	mount_all();
	klogctl(CONSOLE_OFF_LEVEL, NULL, 1);
	console_open();
	check_read_file("/proc/cmdline", cmdline, sizeof(cmdline));
	uname(&kernel);
	check_say("info", "kernel %s %s", kernel.release, kernel.machine);
	check_say("info", "init after %lld ms", (long long)(check_now() / 1000000));
	load_modules();
	check_cpus();
	check_memory();
	if (!check_option("quick")) {
		check_clocks();
		check_console();
	} else {
		check_answer();
	}
	check_interrupts();
	check_tables();
	check_kmsg();
	check_say("end", "%u ok, %u failed", n_ok, n_failed);
	console_drain();
	check_end();
}
