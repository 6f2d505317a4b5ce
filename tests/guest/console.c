/*
 * The console in raw mode, and the checks that nothing is lost on it in either direction.
 *
 * Input goes through one buffer, because a line and the bytes after it may arrive together.
 */
#include <poll.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <termios.h>
#include <unistd.h>

#include "check.h"
#include "stream.h"

enum {
	ANSWER_MS = 30000,  /* how long a request may take; far more than it ever does */
	SILENCE_MS = 20000, /* how long nothing may come in the middle of a transfer */
	N_LINES = 20,
	LINE_SEED = 0x1d0e,
	PASTE_SEED = 0x2c4f,
	PASTE_LENGTH = 4096, /* lodge.paste= overrides */
	TAKE_SEED = 0x3b5d,
	TAKE_LENGTH = 16384,
};

static struct {
	char data[4096];
	size_t used;
} input;

static void set_mode(bool cooked_output)
{
	struct termios mode;

	if (tcgetattr(STDIN_FILENO, &mode))
		return;
	cfmakeraw(&mode);
	if (cooked_output)
		mode.c_oflag |= OPOST | ONLCR;
	tcsetattr(STDIN_FILENO, TCSADRAIN, &mode);
}

void console_open(void)
{
	set_mode(true);
}

void console_write(const void *buf, size_t size)
{
	const char *at = buf;

	while (size > 0) {
		ssize_t n = write(STDOUT_FILENO, at, size);

		if (n <= 0)
			return;
		at += n;
		size -= (size_t)n;
	}
}

void console_drain(void)
{
	tcdrain(STDOUT_FILENO);
}

size_t console_read(void *buf, size_t size, int ms)
{
	struct pollfd in = {.fd = STDIN_FILENO, .events = POLLIN};

	if (input.used > 0) {
		size_t n = input.used < size ? input.used : size;

		memcpy(buf, input.data, n);
		memmove(input.data, input.data + n, input.used - n);
		input.used -= n;
		return n;
	}
	if (poll(&in, 1, ms) != 1)
		return 0;

	ssize_t n = read(STDIN_FILENO, buf, size);

	return n > 0 ? (size_t)n : 0;
}

bool console_line(char *buf, size_t size, int ms)
{
	int64_t deadline = check_now() + (int64_t)ms * 1000000;
	struct pollfd in = {.fd = STDIN_FILENO, .events = POLLIN};

	for (;;) {
		char *end = memchr(input.data, '\n', input.used);

		if (end) {
			size_t n = (size_t)(end - input.data);

			snprintf(buf, size, "%.*s", (int)n, input.data);
			input.used -= n + 1;
			memmove(input.data, end + 1, input.used);
			return true;
		}
		int64_t left = (deadline - check_now()) / 1000000;

		if (left <= 0 || input.used == sizeof(input.data) || poll(&in, 1, (int)left) != 1)
			return false;
		ssize_t n = read(STDIN_FILENO, input.data + input.used,
				 sizeof(input.data) - input.used);

		if (n > 0)
			input.used += (size_t)n;
	}
}

bool console_ask(const char *request, char *answer, size_t size)
{
	check_say("ask", "%s", request);
	return console_line(answer, size, ANSWER_MS);
}

/* Random lines, one at a time: each is compared here, echoed, and compared again by the host. */
static void check_lines(void)
{
	struct stream s = {LINE_SEED};
	char line[256], wanted[256];

	check_say("ask", "lines %d %d", LINE_SEED, N_LINES);
	for (int i = 0; i < N_LINES; i++) {
		size_t n = 1 + stream_next(&s) % 200;

		for (size_t at = 0; at < n; at++)
			wanted[at] = stream_char(&s);
		wanted[n] = '\0';
		if (!console_line(line, sizeof(line), ANSWER_MS)) {
			check_report("console-lines", false, "line %d did not arrive", i + 1);
			return;
		}
		check_say("echo", "%s", line);
		if (strcmp(line, wanted) != 0) {
			check_report("console-lines", false, "line %d is \"%s\"", i + 1, line);
			return;
		}
	}
	bool answered = console_line(line, sizeof(line), ANSWER_MS);

	check_report("console-lines", answered && strcmp(line, "lines ok") == 0,
		     "%d lines, host: %s", N_LINES, answered ? line : "no answer");
}

/* Many bytes at once from the host, with every value that is not the console's escape. */
static void check_paste(void)
{
	const char *option = check_option("paste");
	unsigned length = option ? (unsigned)strtoul(option, NULL, 10) : PASTE_LENGTH, total = 0;
	struct stream s = {PASTE_SEED};
	uint8_t buf[4096];

	check_say("ask", "paste %d %u", PASTE_SEED, length);
	while (total < length) {
		size_t n = console_read(buf, sizeof(buf), SILENCE_MS);

		if (n == 0) {
			check_report("console-paste", false, "only %u of %u bytes came", total,
				     length);
			return;
		}
		for (size_t i = 0; i < n; i++, total++) {
			uint8_t wanted = stream_byte(&s);

			if (buf[i] == wanted)
				continue;
			check_report("console-paste", false, "byte %u of %u is %02x, not %02x",
				     total, length, buf[i], wanted);
			while (console_read(buf, sizeof(buf), 1000) > 0)
				;
			return;
		}
	}
	check_report("console-paste", true, "%u bytes", total);
}

/* Many bytes at once to the host. */
static void check_burst(void)
{
	static uint8_t buf[TAKE_LENGTH];
	struct stream s = {TAKE_SEED};
	char line[256];

	for (size_t i = 0; i < TAKE_LENGTH; i++)
		buf[i] = stream_byte(&s);
	check_say("ask", "take %d %d", TAKE_SEED, TAKE_LENGTH);
	set_mode(false);
	console_write(buf, sizeof(buf));
	set_mode(true);
	bool answered = console_line(line, sizeof(line), ANSWER_MS);

	check_report("console-burst", answered && strcmp(line, "taken ok") == 0,
		     "%d bytes, host: %s", TAKE_LENGTH, answered ? line : "no answer");
}

void check_console(void)
{
	check_lines();
	check_paste();
	check_burst();
}

void check_answer(void)
{
	char line[128];
	bool answered = console_ask("time", line, sizeof(line));

	check_report("console-answer", answered && strncmp(line, "time ", 5) == 0, "host: %s",
		     answered ? line : "no answer");
}
