/*
 * The script accelerator: what its language refuses and how it says so, its answers on a socket,
 * and that it always lets go when the VM is paused or ends.
 */
#include <errno.h>
#include <fcntl.h>
#include <pthread.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <unistd.h>

#include "../device/script_vm.h"
#include "unit.h"

static char dir[] = "/tmp/lodge-script-XXXXXX";
static char script_path[64], log_path[64], socket_path[64];
static int real_stderr;

static void write_script(const char *text)
{
	FILE *f = fopen(script_path, "w");

	assert_non_null(f);
	assert_true(fputs(text, f) >= 0);
	assert_int_equal(fclose(f), 0);
}

/* What is logged goes to a file meanwhile. */
static void log_begin(void)
{
	int fd = open(log_path, O_RDWR | O_CREAT | O_TRUNC, 0600);

	real_stderr = dup(STDERR_FILENO);
	assert_true(fd >= 0 && real_stderr >= 0);
	assert_true(dup2(fd, STDERR_FILENO) >= 0);
	close(fd);
}

static void log_end(char *buf, size_t n)
{
	ssize_t got = pread(STDERR_FILENO, buf, n - 1, 0);

	buf[got > 0 ? got : 0] = 0;
	assert_true(dup2(real_stderr, STDERR_FILENO) >= 0);
	close(real_stderr);
}

/* Runs a script text; the log is in @log. */
static int run_text(const char *text, char *log, size_t n)
{
	struct err e = ERR_INIT;
	int code;

	write_script(text);
	log_begin();
	code = script_vm_run(script_path, &e);
	log_end(log, n);
	return code;
}

static void a_script_that_holds_ends_with_0(void **state)
{
	static const char *const scripts[] = {
		"",
		"# only a comment",
		"\n\n   \t  \n;;;\n ; # x\n",
		"outb 3ff 5a; inb 3ff == 5a;inb 3ff & f0 == 50 # and so on",
		"inb 3fd != 61; inb 3fd < 61; inb 3fd <= 60; inb 3fd > 5f; inb 3fd >= 60",
		"inb 3fd == 0x60\r\ninb 3fd\r\n",
		"! inb 3fd == 61",
		"inb 5000 == unmapped; outb 5000 1 == unmapped; readq e0000000 == ffffffffffffffff",
		"mem 1000 = 0102 0304; readl 1000 == 04030201; mem 1000 == 01020304",
		"fill 2000 100 aa; mem 20ff == aa00; writew 2ffe bbcc; mem 2ffe == ccbb",
		"time == 0; step 10us; time == 10000; step 1ms; time >= 1010000; step 0",
		("chardev serial0 send \"\\x00\\n\\\"\\\\\"; outb 3f9 1; outb 3fc 8; inb 3f8 == 0; "
		 "inb 3f8 == a; inb 3f8 == 22; inb 3f8 == 5c"),
		"outb 64 fe; expect event reset; expect event none",
		"outb f4 3; expect event exit 7",
		"expect msi none; ! expect msi fee00000 41",
		"irq 4 == 0; irq 4 count == 0; irq clear; expect irq 255 0",
		"save a; save b; save c; save d; load b; ! save e; ! load x; reset; pause",
		"repeat 3 repeat 2 outb e9 41; chardev debug count == 6",
		"quit; inb 3fd == 0",
		"inb 3fd == 60; quit\nthis is not read",
	};
	char log[4096];

	(void)state;
	for (size_t i = 0; i < ARRAY_LEN(scripts); i++)
		if (run_text(scripts[i], log, sizeof(log)) != 0)
			fail_msg("%s: %s", scripts[i], log);
}

static void a_script_that_does_not_ends_with_1_and_says_where_and_what(void **state)
{
	static const struct {
		const char *script, *message;
	} table[] = {
		{"inb 3fd == 61", ":1: inb 3fd == 61: expected 61, got 60\n"},
		{"\n# x\ninb 3fd; inb 3fd & f0 != 60",
		 ":3: inb 3fd & f0 != 60: expected !=60, got 60\n"},
		{"irq 4 count == 12", "expected 12, got 0\n"},
		{"expect irq 4 1", "expect irq 4 1: the wire is low\n"},
		{"expect event off", "got event none\n"},
		{"outb 64 fe", "the guest caused event reset, which nothing expected\n"},
		{"outb 64 fe; expect event off", "got event reset\n"},
		{"outb f4 0; expect event exit 3", "got event exit 1\n"},
		{"expect msi 0 0", "no message came\n"},
		{"chardev serial0 expect \"a\\n\"", "chardev serial0 expect \"a\n\": got \"\"\n"},
		{"outb 3fb 3; outb 3f8 7; chardev serial0 expect \"a\"", "got \"\\x07\"\n"},
		{"mem 0 == 00ff", "byte 1: expected ff, got 00\n"},
		{"mem 100000 == 00", "not all of it is memory\n"},
		{"mem d0000000 = 00", "not all of it is RAM\n"},
		{"fill fffff 2 0", "not all of it is RAM\n"},
		{"inb 5000 == refused", "expected refused, the access was unmapped\n"},
		{"repeat 5 inb 3fd == 61", "time 1: expected 61, got 60\n"},
		{"! inb 3fd == 60", "it should have failed\n"},
		{"command ns16550.0 hello", "ns16550.0 takes no commands\n"},
		{"load x", "no state \"x\""},
		/* Mistakes of the script itself, which "!" does not excuse. */
		{"inp 3fd", "there is no command \"inp\" (did you mean inb?)\n"},
		{"! inp 3fd", "there is no command \"inp\""},
		{"inb", "usage: inb PORT [& MASK] [OP VALUE]\n"},
		{"! inb 3fd == 60 70 80", "the end is not"},
		{"inb xyz", "\"xyz\" is not a hexadecimal number up to ffff\n"},
		{"inb 10000", "\"10000\" is not a hexadecimal number up to ffff\n"},
		{"outb 3f8 100", "\"100\" is not a hexadecimal number up to ff\n"},
		{"outb 3f8 -1", "\"-1\" is not a hexadecimal number"},
		{"inb 3fd = 60", "\"=\" is no comparison\n"},
		{"inb 3fd ==", "the end is not \"[& MASK] [OP VALUE]\"\n"},
		{"step soon", "soon"},
		{"show nobody", "there is no device \"nobody\"\n"},
		{"chardev nobody count", "there is no chardev \"nobody\"\n"},
		{"chardev serial0 sing", "chardev ID send TEXT, expect TEXT or count\n"},
		{"echo \"abc", "a quoted text has no end\n"},
		{"echo \"a\\q\"", "unknown escape in a quoted text\n"},
		{"echo \"a\\xg0\"", "unknown escape in a quoted text\n"},
		{"echo a\"b\"", "a blank is missing before a quoted text\n"},
		{"mem 0 == 0", "\"0\" is not a row of bytes\n"},
		{"repeat 2 save", "save cannot be repeated\n"},
		{"irq 256", "\"256\" is not a decimal number"},
	};
	char log[4096];

	(void)state;
	for (size_t i = 0; i < ARRAY_LEN(table); i++) {
		assert_int_equal(run_text(table[i].script, log, sizeof(log)), EXIT_FAILED);
		if (!strstr(log, table[i].message))
			fail_msg("%s: \"%s\" is not in: %s", table[i].script, table[i].message,
				 log);
	}
}

static void a_line_that_is_too_long_is_refused(void **state)
{
	char text[10000], log[4096];

	(void)state;
	memset(text, 'a', sizeof(text) - 1);
	text[sizeof(text) - 1] = 0;
	assert_int_equal(run_text(text, log, sizeof(log)), EXIT_FAILED);
	assert_non_null(strstr(log, "the line is too long"));
	for (size_t i = 0; i < 1000; i++)
		memcpy(text + i * 2, "a ", 3);
	assert_int_equal(run_text(text, log, sizeof(log)), EXIT_FAILED);
	assert_non_null(strstr(log, "more than 72 words"));
}

static void a_script_that_cannot_be_read_is_an_error(void **state)
{
	struct err e = ERR_INIT;

	(void)state;
	assert_int_equal(script_vm_run("/nonexistent/x.script", &e), -ENOENT);
	assert_string_equal(
		e.msg, "--script /nonexistent/x.script: cannot open: No such file or directory");
	assert_int_equal(script_vm_run(dir, &e), -EISDIR);
	assert_int_equal(script_vm_run(NULL, &e), -EINVAL);
	assert_int_equal(e.kind, ERR_USAGE);
}

/* A client on a socket, beside the loop. */
struct client {
	const char *say;
	char heard[2048];
	bool hang_up; /* in the middle, without reading on */
};

static int client_connect(void)
{
	struct sockaddr_un sa = {.sun_family = AF_UNIX};
	int fd = socket(AF_UNIX, SOCK_STREAM, 0);

	snprintf(sa.sun_path, sizeof(sa.sun_path), "%s", socket_path);
	if (connect(fd, (struct sockaddr *)&sa, sizeof(sa)) == 0)
		return fd;
	close(fd);
	return -1;
}

static void *client_main(void *arg)
{
	struct client *c = arg;
	int fd = client_connect();
	size_t n = 0;
	ssize_t got;

	if (fd < 0 || write(fd, c->say, strlen(c->say)) < 0)
		return NULL;
	if (!c->hang_up)
		shutdown(fd, SHUT_WR);
	while (!c->hang_up && (got = read(fd, c->heard + n, sizeof(c->heard) - 1 - n)) > 0)
		n += (size_t)got;
	c->heard[n] = 0;
	close(fd);
	return NULL;
}

static int run_client(struct client *c)
{
	struct err e = ERR_INIT;
	struct script_vm s;
	pthread_t t;
	char spec[80];

	snprintf(spec, sizeof(spec), "unix:%s", socket_path);
	assert_int_equal(script_vm_make(&s, spec, 1, &e), 0);
	assert_int_equal(pthread_create(&t, NULL, client_main, c), 0);
	vm_run(s.vm);
	loop_run(s.loop);
	script_vm_free(&s);
	pthread_join(t, NULL);
	assert_int_not_equal(access(socket_path, F_OK), 0); /* removed at the end */
	return s.code;
}

static void on_a_socket_each_command_is_answered_and_a_failure_is_not_the_end(void **state)
{
	struct client c = {.say = "outb 3ff 5a; inb 3ff\n\n# nothing\ninb 3ff == 5b\nnonsense\n"
				  "irq 4 count\necho hello\ninb 3fd & f0"};

	(void)state;
	assert_int_equal(run_client(&c), 0);
	assert_string_equal(c.heard,
			    "ok\nok 5a\nfail expected 5b, got 5a\n"
			    "fail there is no command \"nonsense\"\nok 0\nhello\nok\nok 60\n");
}

static void a_client_that_hangs_up_ends_the_script(void **state)
{
	struct client c = {.say = "inb 3fd\ninb 3fd\ninb 3f", .hang_up = true};

	(void)state;
	assert_int_equal(run_client(&c), 0);
}

static void a_vm_whose_script_waits_for_input_pauses_and_ends(void **state)
{
	struct err e = ERR_INIT;
	struct script_vm s;
	char spec[80];

	(void)state;
	snprintf(spec, sizeof(spec), "unix:%s", socket_path);
	for (int i = 0; i < 20; i++) {
		assert_int_equal(script_vm_make(&s, spec, 3, &e), 0);
		vm_run(s.vm);
		for (int k = 0; k < i; k++) {
			vm_pause(s.vm);
			vm_run(s.vm);
		}
		script_vm_free(&s);
	}
}

static void a_vm_whose_script_runs_pauses_and_goes_on(void **state)
{
	struct err e = ERR_INIT;
	struct script_vm s;

	(void)state;
	write_script("repeat 2000 outb e9 41\nchardev debug count == 2000\n"
		     "outb 3f9 1; outb 3fc 8; chardev serial0 send \"a\"; inb 3f8 == "
		     "61\npause\nsave\nload\ninb "
		     "3fd == 60\n");
	assert_int_equal(script_vm_make(&s, script_path, 2, &e), 0);
	vm_run(s.vm);
	while (s.code < 0) {
		vm_pause(s.vm);
		vm_run(s.vm);
		(void)loop_step(s.loop, 1);
	}
	script_vm_free(&s);
	assert_int_equal(s.code, 0);
}

static void requests_of_the_user_reach_the_owner_and_not_the_script(void **state)
{
	struct err e = ERR_INIT;
	struct script_vm s;
	char spec[80];

	(void)state;
	snprintf(spec, sizeof(spec), "unix:%s", socket_path);
	assert_int_equal(script_vm_make(&s, spec, 1, &e), 0);
	vm_run(s.vm);
	vm_request(s.vm, VM_EVENT_EXIT, EXIT_LEFT, "%s", "");
	loop_run(s.loop);
	script_vm_free(&s);
	assert_int_equal(s.code, EXIT_LEFT);
}

static int make_dir(void **state)
{
	(void)state;
	if (!mkdtemp(dir))
		return -1;
	snprintf(script_path, sizeof(script_path), "%s/a.script", dir);
	snprintf(log_path, sizeof(log_path), "%s/log", dir);
	snprintf(socket_path, sizeof(socket_path), "%s/s", dir);
	return 0;
}

static int remove_dir(void **state)
{
	(void)state;
	unlink(script_path);
	unlink(log_path);
	return rmdir(dir);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(a_script_that_holds_ends_with_0),
		cmocka_unit_test(a_script_that_does_not_ends_with_1_and_says_where_and_what),
		cmocka_unit_test(a_line_that_is_too_long_is_refused),
		cmocka_unit_test(a_script_that_cannot_be_read_is_an_error),
		cmocka_unit_test(on_a_socket_each_command_is_answered_and_a_failure_is_not_the_end),
		cmocka_unit_test(a_client_that_hangs_up_ends_the_script),
		cmocka_unit_test(a_vm_whose_script_waits_for_input_pauses_and_ends),
		cmocka_unit_test(a_vm_whose_script_runs_pauses_and_goes_on),
		cmocka_unit_test(requests_of_the_user_reach_the_owner_and_not_the_script),
	};

	return cmocka_run_group_tests(tests, make_dir, remove_dir);
}
