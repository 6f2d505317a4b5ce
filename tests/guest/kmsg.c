/*
 * The kernel log: nothing in it may say that the machine is wrong.
 *
 * Two sieves.  Some texts are never in order (a bug, a firmware bug, an ACPI error).  Beyond these,
 * every line of level "warning" or worse must match a line of /baseline, a file of fnmatch(3)
 * patterns; each of those is there because QEMU's machine of that kind (microvm, virt) causes the
 * same line in the same bed.
 * What the kernel prints between "[ cut here ]" and "[ end trace" goes by its line "WARNING: ...".
 */
#include <fcntl.h>
#include <fnmatch.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "check.h"

enum { LEVEL_WARNING = 4, FACILITY_SHIFT = 3, RECORD = 8192 };

static const char *const forbidden[] = {
	"Firmware Bug",
	"Firmware Warn",
	"BUG:",
	"WARNING:",
	"ACPI Error",
	"ACPI BIOS Error",
	"ACPI Warning",
	"ACPI Exception",
	"Call Trace:",
	"soft lockup",
	"self-detected stall",
	"detected stalls",
	"nobody cared",
	"Marking clocksource",
	"TSC unstable",
	"Kernel panic",
	"Unknown kernel command line parameters",
	"input overrun",
};

/* One record of /dev/kmsg: "PRIORITY,NUMBER,TIME,FLAGS;TEXT\n...". */
struct record {
	unsigned level, facility;
	char *text;
	char raw[RECORD];
};

static bool next_record(int fd, struct record *r)
{
	ssize_t n = read(fd, r->raw, sizeof(r->raw) - 1);

	if (n <= 0)
		return false;
	r->raw[n] = '\0';
	unsigned long priority = strtoul(r->raw, NULL, 10);

	r->level = (unsigned)priority & ((1u << FACILITY_SHIFT) - 1);
	r->facility = (unsigned)priority >> FACILITY_SHIFT;
	r->text = strchr(r->raw, ';');
	r->text = r->text ? r->text + 1 : r->raw;
	r->text[strcspn(r->text, "\n")] = '\0';
	return true;
}

static int open_log(void)
{
	return open("/dev/kmsg", O_RDONLY | O_NONBLOCK | O_CLOEXEC);
}

bool kmsg_find(const char *text, char *buf, size_t size)
{
	static struct record r;
	int fd = open_log();
	const char *at = NULL;

	if (fd < 0)
		return false;
	while (!at && next_record(fd, &r))
		at = strstr(r.text, text);
	close(fd);
	if (at)
		snprintf(buf, size, "%s", at + strlen(text));
	return at != NULL;
}

static const char *is_forbidden(const char *text)
{
	for (size_t i = 0; i < sizeof(forbidden) / sizeof(forbidden[0]); i++) {
		if (strstr(text, forbidden[i]))
			return forbidden[i];
	}
	return NULL;
}

static bool in_baseline(const char *baseline, const char *text)
{
	char pattern[512];

	for (const char *line = baseline; *line;
	     line += strcspn(line, "\n"), line += *line == '\n') {
		size_t n = strcspn(line, "\n");

		if (n == 0 || n >= sizeof(pattern) || *line == '#')
			continue;
		memcpy(pattern, line, n);
		pattern[n] = '\0';
		if (fnmatch(pattern, text, 0) == 0)
			return true;
	}
	return false;
}

/* What the sieves have found so far. */
struct sieve {
	char baseline[16384];
	unsigned lines, known, bad;
	bool in_trace, trace_known; /* between the marks of a trace; its WARNING was known */
};

static void sift(struct sieve *s, const struct record *r)
{
	bool known = in_baseline(s->baseline, r->text);

	s->lines++;
	if (strstr(r->text, "[ cut here ]")) {
		s->in_trace = true;
		s->trace_known = false;
		return;
	}
	if (s->in_trace && strstr(r->text, "WARNING: ")) {
		s->trace_known = known;
	} else if (s->in_trace) {
		s->in_trace = !strstr(r->text, "[ end trace ");
		if (s->trace_known || known)
			return;
	} else if (r->level > LEVEL_WARNING && !is_forbidden(r->text)) {
		return;
	}
	*(known ? &s->known : &s->bad) += 1;
	check_say(known ? "known" : "warn", "%s", r->text);
}

void check_kmsg(void)
{
	static struct record r;
	static struct sieve s;
	int fd = open_log();

	if (fd < 0) {
		check_report("kernel-log", false, "/dev/kmsg cannot be opened");
		return;
	}
	check_read_file("/baseline", s.baseline, sizeof(s.baseline));
	while (next_record(fd, &r)) {
		if (r.facility == 0)
			sift(&s, &r);
	}
	close(fd);
	check_report("kernel-log", s.lines > 0 && s.bad == 0,
		     "%u lines, %u warnings that QEMU causes too, %u others", s.lines, s.known,
		     s.bad);
}
