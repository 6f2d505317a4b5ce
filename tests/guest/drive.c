/*
 * The host's side of the checker's protocol (see check.c): starts a virtual machine monitor with
 *the guest's console on a terminal (or on pipes), answers what the guest asks, and judges the end.
 *
 *	drive [--pipe] [--limit SECONDS] [--code N] [--log FILE] [--button COMMAND] -- VMM ARG...
 *
 * What the guest reports goes to standard output, line by line; the whole console goes to the log.
 * Two lines of our own are added: "check: exit: ..." compares the monitor's exit code with --code,
 * and "check: end: ..." says whether the guest got to its last line and all its results came.  When
 *something failed, the console's last lines follow. The --button command finds the monitor's
 *process in $DRIVE_PID. Exit code 0 when all is well, 1 when a check failed, 2 when the monitor
 *cannot be started.
 */
#include <errno.h>
#include <fcntl.h>
#include <getopt.h>
#include <inttypes.h>
#include <poll.h>
#include <pty.h>
#include <signal.h>
#include <stdarg.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/wait.h>
#include <termios.h>
#include <time.h>
#include <unistd.h>

#include "stream.h"

enum {
	LINE = 2048,
	TAIL = 1024,	 /* how much of the console is shown after a failure */
	OUTBOX = 131072, /* the longest paste is half of it */
	KILL_CODE = 128,
};

struct options {
	bool pipes;
	int limit, code;
	const char *log, *button;
	char **command;
};

struct drive {
	struct options opt;
	pid_t child;
	int in, out; /* to and from the monitor */
	FILE *log;
	int64_t deadline;
	unsigned failed;
	bool ended, late;
	unsigned seen, said_ok,
		said_failed; /* results: lines that came, and the last line's sums */

	char line[LINE]; /* what has come of the current line */
	size_t line_used;
	char tail[TAIL]; /* the newest console output, a ring */
	uint64_t tail_total;

	uint8_t outbox[OUTBOX]; /* bytes on their way to the guest */
	size_t out_at, out_end;

	struct stream echo; /* the lines that the guest is to echo */
	int echo_left, echo_wrong;
	char echo_wanted[256];
	struct stream take; /* the bytes that the guest is sending */
	unsigned take_left, take_at, take_wrong_at;
	bool taking, take_wrong;
};

static int64_t now_of(clockid_t clock)
{
	struct timespec t;

	clock_gettime(clock, &t);
	return (int64_t)t.tv_sec * 1000000000 + t.tv_nsec;
}

static void result(struct drive *d, const char *name, bool ok, const char *format, ...)
	__attribute__((format(printf, 4, 5)));

static void result(struct drive *d, const char *name, bool ok, const char *format, ...)
{
	va_list args;

	printf("check: %s: %s: ", name, ok ? "ok" : "FAIL");
	va_start(args, format);
	vprintf(format, args);
	va_end(args);
	putchar('\n');
	fflush(stdout);
	d->failed += !ok;
}

/* ---- to the guest ---- */

static void post(struct drive *d, const void *data, size_t size)
{
	if (d->out_at == d->out_end)
		d->out_at = d->out_end = 0;
	if (size > sizeof(d->outbox) - d->out_end) {
		result(d, "drive", false, "the guest asks for more than it takes");
		return;
	}
	memcpy(d->outbox + d->out_end, data, size);
	d->out_end += size;
}

static void post_line(struct drive *d, const char *format, ...)
	__attribute__((format(printf, 2, 3)));

static void post_line(struct drive *d, const char *format, ...)
{
	char line[512];
	va_list args;

	va_start(args, format);
	int n = vsnprintf(line, sizeof(line) - 1, format, args);
	va_end(args);
	line[n++] = '\n';
	post(d, line, (size_t)n);
}

static void flush_outbox(struct drive *d)
{
	ssize_t n = write(d->in, d->outbox + d->out_at, d->out_end - d->out_at);

	if (n > 0)
		d->out_at += (size_t)n;
	else if (n < 0 && errno != EAGAIN && errno != EINTR)
		d->out_at = d->out_end = 0; /* the monitor has closed its input or is gone */
}

/* ---- what the guest asks for ---- */

static void send_echo_line(struct drive *d)
{
	size_t n = 1 + stream_next(&d->echo) % 200;

	for (size_t i = 0; i < n; i++)
		d->echo_wanted[i] = stream_char(&d->echo);
	d->echo_wanted[n] = '\0';
	post_line(d, "%s", d->echo_wanted);
}

static void got_echo(struct drive *d, const char *text)
{
	if (d->echo_left == 0)
		return;
	d->echo_wrong += strcmp(text, d->echo_wanted) != 0;
	if (--d->echo_left > 0)
		send_echo_line(d);
	else if (d->echo_wrong)
		post_line(d, "lines wrong: %d", d->echo_wrong);
	else
		post_line(d, "lines ok");
}

static void paste(struct drive *d, uint32_t seed, unsigned size)
{
	static uint8_t data[OUTBOX / 2];
	struct stream s = {seed};

	if (size > sizeof(data))
		size = sizeof(data);
	for (unsigned i = 0; i < size; i++)
		data[i] = stream_byte(&s);
	post(d, data, size);
}

static void press_button(struct drive *d)
{
	char pid[16];

	snprintf(pid, sizeof(pid), "%d", (int)d->child);
	setenv("DRIVE_PID", pid, 1);
	int status = d->opt.button ? system(d->opt.button) : -1; /* the caller's own command */

	result(d, "press", status == 0, "%s",
	       !d->opt.button ? "no --button command was given"
	       : status	      ? "the --button command failed"
			      : "the power button is being pressed");
}

static void answer(struct drive *d, const char *request)
{
	unsigned seed, size;

	if (strcmp(request, "time") == 0) {
		int64_t date = now_of(CLOCK_REALTIME);

		post_line(d, "time %" PRId64 " %" PRId64, date, now_of(CLOCK_MONOTONIC));
	} else if (sscanf(request, "lines %u %u", &seed, &size) == 2) {
		d->echo = (struct stream){seed};
		d->echo_left = (int)size;
		send_echo_line(d);
	} else if (sscanf(request, "paste %u %u", &seed, &size) == 2) {
		paste(d, seed, size);
	} else if (sscanf(request, "take %u %u", &seed, &size) == 2) {
		d->take = (struct stream){seed};
		d->take_left = size;
		d->take_at = 0;
		d->take_wrong = false;
		d->taking = true;
	} else if (strcmp(request, "button") == 0) {
		press_button(d);
	} else {
		result(d, "drive", false, "the guest asks for \"%s\"", request);
	}
}

/* ---- from the guest ---- */

static bool has_prefix(const char *line, const char *prefix)
{
	return strncmp(line, prefix, strlen(prefix)) == 0;
}

static void got_line(struct drive *d, const char *line)
{
	static const char *const shown[] = {
		"check: ", "info: ", "irq: ", "warn: ", "known: ", "table: "};

	if (has_prefix(line, "ask: "))
		answer(d, line + 5);
	if (has_prefix(line, "echo: "))
		got_echo(d, line + 6);
	if (sscanf(line, "end: %u ok, %u failed", &d->said_ok, &d->said_failed) == 2)
		d->ended = true;
	if (has_prefix(line, "check: ")) {
		d->seen += !d->ended;
		d->failed += strstr(line, ": FAIL: ") != NULL;
	}
	for (size_t i = 0; i < sizeof(shown) / sizeof(shown[0]); i++) {
		if (has_prefix(line, shown[i]))
			printf("%s\n", line);
	}
	fflush(stdout);
}

static void got_taken(struct drive *d, uint8_t byte)
{
	uint8_t wanted = stream_byte(&d->take);

	if (byte != wanted && !d->take_wrong) {
		d->take_wrong = true;
		d->take_wrong_at = d->take_at;
	}
	d->take_at++;
	if (--d->take_left > 0)
		return;
	d->taking = false;
	if (d->take_wrong)
		post_line(d, "taken byte %u is wrong", d->take_wrong_at);
	else
		post_line(d, "taken ok");
}

static void got_byte(struct drive *d, char c)
{
	d->tail[d->tail_total++ % TAIL] = c;
	if (c == '\r')
		return;
	if (c != '\n') {
		if (d->line_used < LINE - 1)
			d->line[d->line_used++] = c;
		return;
	}
	d->line[d->line_used] = '\0';
	d->line_used = 0;
	got_line(d, d->line);
}

/* Returns false when the monitor has closed its output. */
static bool read_console(struct drive *d)
{
	char buf[4096];
	ssize_t n = read(d->out, buf, sizeof(buf));

	if (n < 0 && (errno == EAGAIN || errno == EINTR))
		return true;
	if (n <= 0)
		return false; /* a pty whose other side is closed says EIO */
	if (d->log)
		fwrite(buf, 1, (size_t)n, d->log);
	for (ssize_t i = 0; i < n; i++) {
		if (d->taking)
			got_taken(d, (uint8_t)buf[i]);
		else
			got_byte(d, buf[i]);
	}
	return true;
}

/* ---- the monitor ---- */

static _Noreturn void run_child(char **command)
{
	signal(SIGPIPE, SIG_DFL);
	execvp(command[0], command);
	fprintf(stderr, "drive: %s: %s\n", command[0], strerror(errno));
	_exit(2);
}

static bool start_on_pty(struct drive *d)
{
	struct termios raw = {.c_cflag = CS8 | CREAD | CLOCAL};
	int master;

	cfmakeraw(&raw);
	d->child = forkpty(&master, NULL, &raw, NULL);
	if (d->child == 0)
		run_child(d->opt.command);
	d->in = d->out = master;
	return d->child > 0;
}

static bool start_on_pipes(struct drive *d)
{
	int in[2], out[2];

	if (pipe2(in, O_CLOEXEC) || pipe2(out, O_CLOEXEC))
		return false;
	d->child = fork();
	if (d->child == 0) {
		dup2(in[0], STDIN_FILENO);
		dup2(out[1], STDOUT_FILENO);
		dup2(out[1], STDERR_FILENO);
		run_child(d->opt.command);
	}
	close(in[0]);
	close(out[1]);
	d->in = in[1];
	d->out = out[0];
	return d->child > 0;
}

/* Serve the guest until the monitor closes its output or the limit passes. */
static void serve(struct drive *d)
{
	for (;;) {
		struct pollfd fds[2] = {{.fd = d->out, .events = POLLIN},
					{.fd = d->in, .events = POLLOUT}};
		int64_t left = (d->deadline - now_of(CLOCK_MONOTONIC)) / 1000000;

		if (left <= 0) {
			d->late = true;
			return;
		}
		if (poll(fds, d->out_at < d->out_end ? 2 : 1, (int)left) <= 0)
			continue;
		if (fds[0].revents && !read_console(d))
			return;
		if (d->out_at < d->out_end && fds[1].revents)
			flush_outbox(d);
	}
}

/* The monitor's exit code, or 128 + the signal that ended it. */
static int finish(struct drive *d)
{
	int status;

	if (d->late)
		kill(d->child, SIGKILL);
	while (waitpid(d->child, &status, 0) < 0 && errno == EINTR)
		;
	return WIFEXITED(status) ? WEXITSTATUS(status) : KILL_CODE + WTERMSIG(status);
}

static void show_tail(const struct drive *d)
{
	uint64_t at = d->tail_total > TAIL ? d->tail_total - TAIL : 0;

	printf("---- the console's last lines ----\n| ");
	for (; at < d->tail_total; at++) {
		char c = d->tail[at % TAIL];

		if (c == '\n')
			printf("\n| ");
		else if (c == '\t' || (c >= ' ' && c <= '~'))
			putchar(c);
	}
	printf("\n----\n");
}

static void parse(struct options *o, int argc, char **argv)
{
	static const struct option table[] = {
		{"pipe", no_argument, NULL, 'p'},	  {"limit", required_argument, NULL, 'l'},
		{"code", required_argument, NULL, 'c'},	  {"log", required_argument, NULL, 'o'},
		{"button", required_argument, NULL, 'b'}, {0},
	};
	int c;

	while ((c = getopt_long(argc, argv, "+", table, NULL)) != -1) {
		switch (c) {
		case 'p': o->pipes = true; break;
		case 'l': o->limit = atoi(optarg); break;
		case 'c': o->code = atoi(optarg); break;
		case 'o': o->log = optarg; break;
		case 'b': o->button = optarg; break;
		default: exit(2);
		}
	}
	o->command = argv + optind;
	if (!*o->command) {
		fprintf(stderr, "usage: drive [OPTION]... -- VMM [ARG]...\n");
		exit(2);
	}
}

int main(int argc, char **argv)
{
	static struct drive d = {.opt = {.limit = 60}};

	parse(&d.opt, argc, argv);
	signal(SIGPIPE, SIG_IGN);
	if (d.opt.log && !(d.log = fopen(d.opt.log, "we"))) {
		fprintf(stderr, "drive: %s: %s\n", d.opt.log, strerror(errno));
		return 2;
	}
	d.deadline = now_of(CLOCK_MONOTONIC) + (int64_t)d.opt.limit * 1000000000;
	if (!(d.opt.pipes ? start_on_pipes(&d) : start_on_pty(&d))) {
		fprintf(stderr, "drive: %s cannot be started: %s\n", d.opt.command[0],
			strerror(errno));
		return 2;
	}
	fcntl(d.in, F_SETFL, O_NONBLOCK);
	serve(&d);

	int code = finish(&d);

	if (d.late)
		result(&d, "limit", false, "the guest did not end within %d s", d.opt.limit);
	result(&d, "exit", code == d.opt.code, "the monitor's exit code is %d, wanted %d", code,
	       d.opt.code);
	result(&d, "end", d.ended && d.seen == d.said_ok + d.said_failed,
	       "%s its last line: %u ok, %u failed, of which %u lines came",
	       d.ended ? "the checker came to" : "the checker did not come to", d.said_ok,
	       d.said_failed, d.seen);
	if (d.failed)
		show_tail(&d);
	if (d.log)
		fclose(d.log);
	return d.failed ? 1 : 0;
}
