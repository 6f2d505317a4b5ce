/*
 * Host calls, the log, trace points, and fault injection.
 */
#include <errno.h>
#include <fcntl.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

#include "base/log.h"
#include "base/str.h"
#include "base/sys.h"
#include "base/trace.h"
#include "unit.h"

/* A file of the given text; the caller unlinks. */
static void write_temp(char *path, const char *text, size_t n)
{
	int fd;

	memcpy(path, "/tmp/lodge-unit-XXXXXX", 23);
	fd = mkstemp(path);
	assert_true(fd >= 0);
	assert_int_equal(sys_write_full(fd, text, n), 0);
	close(fd);
}

static void a_file_is_read_whole_with_a_zero_behind_it(void **state)
{
	char path[32];
	void *data;
	size_t len;

	(void)state;
	write_temp(path, "abc", 3);
	assert_int_equal(sys_read_file(path, 3, &data, &len, NULL), 0);
	assert_int_equal(len, 3);
	assert_memory_equal(data, "abc", 4);
	free(data);
	unlink(path);
}

static void a_file_over_the_limit_is_refused_by_name(void **state)
{
	char path[32], want[100];
	struct err e = ERR_INIT;
	void *data;
	size_t len;

	(void)state;
	write_temp(path, "abcd", 4);
	assert_int_equal(sys_read_file(path, 3, &data, &len, &e), -EFBIG);
	snprintf(want, sizeof(want), "%s: larger than the 3 bytes allowed here", path);
	assert_string_equal(e.msg, want);
	unlink(path);
}

static void a_file_of_unknown_size_is_read_to_its_end(void **state)
{
	struct err e = ERR_INIT;
	void *data;
	size_t len;

	(void)state;
	assert_int_equal(sys_read_file("/proc/self/maps", 1 << 20, &data, &len, NULL), 0);
	assert_true(len > 0);
	assert_int_equal(strlen(data), len);
	free(data);
	assert_int_equal(sys_read_file("/proc/self/maps", 10, &data, &len, &e), -EFBIG);
}

static void what_is_no_regular_file_is_refused_by_name(void **state)
{
	struct err e = ERR_INIT;
	char path[] = "/tmp/lodge-unit-XXXXXX", want[100];
	void *data;
	size_t len;

	(void)state;
	assert_int_equal(sys_read_file("/", 10, &data, &len, &e), -EISDIR);
	assert_string_equal(e.msg, "/: is a directory");
	assert_int_equal(sys_read_file("/dev/zero", 10, &data, &len, &e), -EINVAL);
	assert_string_equal(e.msg, "/dev/zero: is a character device");
	assert_int_equal(sys_read_file("/no/such", 10, &data, &len, &e), -ENOENT);
	assert_string_equal(e.msg, "/no/such: cannot open: No such file or directory");
	assert_non_null(mkdtemp(path));
	assert_int_equal(rmdir(path), 0);
	assert_int_equal(mkfifo(path, 0600), 0);
	assert_int_equal(sys_read_file(path, 10, &data, &len, &e), -EINVAL);
	snprintf(want, sizeof(want), "%s: is a pipe", path);
	assert_string_equal(e.msg, want);
	unlink(path);
}

static void an_early_end_of_file_is_no_data(void **state)
{
	char path[32], buf[8] = "";
	int fd;

	(void)state;
	write_temp(path, "abcdef", 6);
	fd = sys_open(path, O_RDONLY, 0);
	assert_true(fd >= 0);
	assert_true(fcntl(fd, F_GETFD) & FD_CLOEXEC);
	assert_int_equal(sys_pread_full(fd, buf, 4, 2), 0);
	assert_string_equal(buf, "cdef");
	assert_int_equal(sys_pread_full(fd, buf, 4, 3), -ENODATA);
	assert_int_equal(sys_write_full(fd, "x", 1), -EBADF);
	close(fd);
	unlink(path);
}

static void an_array_whose_size_overflows_is_refused(void **state)
{
	void *p;
	int *v;

	(void)state;
	assert_null(sys_alloc_array(SIZE_MAX / 2, 3));
	assert_null(sys_realloc_array(NULL, SIZE_MAX / 2, 3));
	p = sys_alloc_array(0, 8);
	assert_non_null(p);
	p = sys_realloc_array(p, 0, 0);
	assert_non_null(p);
	free(p);
	v = sys_alloc_array(3, sizeof(int));
	assert_non_null(v);
	assert_true(v[0] == 0 && v[1] == 0 && v[2] == 0);
	free(v);
}

/* What @fn writes to stderr. */
static void capture(void (*fn)(void), char *out, size_t n)
{
	int saved = dup(STDERR_FILENO), p[2];
	ssize_t r;

	assert_int_equal(pipe(p), 0);
	dup2(p[1], STDERR_FILENO);
	close(p[1]);
	fn();
	dup2(saved, STDERR_FILENO);
	close(saved);
	r = read(p[0], out, n - 1);
	assert_true(r >= 0);
	out[r] = '\0';
	close(p[0]);
}

static void say_things(void)
{
	struct err e = ERR_INIT;

	errno = EXDEV;
	log_info("hello %d", 1);
	log_warn("careful");
	log_debug("not shown");
	log_error("name \x1b[31m\x07 %s", "tab\there");
	err_set(&e, -EINVAL, "--disk: no");
	log_err(&e);
	err_hint(&e, "yes");
	log_err(&e);
	assert_int_equal(errno, EXDEV);
}

static void messages_are_lines_that_cannot_drive_the_terminal(void **state)
{
	char out[1000];

	(void)state;
	capture(say_things, out, sizeof(out));
	assert_string_equal(out, "lodge: hello 1\n"
				 "lodge: warning: careful\n"
				 "lodge: name ?[31m? tab\there\n"
				 "lodge: --disk: no\n"
				 "lodge: --disk: no\nhint: yes\n");
}

static void say_two_lines(void)
{
	log_set_crlf(true);
	log_info("one\ntwo");
	log_set_crlf(false);
	log_set_level(LOG_ERROR);
	log_info("not shown");
	log_set_level(LOG_INFO);
}

static void on_a_raw_terminal_lines_end_in_cr_lf(void **state)
{
	char out[100];

	(void)state;
	capture(say_two_lines, out, sizeof(out));
	assert_string_equal(out, "lodge: one\r\ntwo\r\n");
}

static void say_much(void)
{
	char text[8000];

	memset(text, 'x', sizeof(text) - 1);
	text[sizeof(text) - 1] = '\0';
	log_info("%s", text);
}

static void a_message_that_is_too_long_is_cut(void **state)
{
	char out[9000];

	(void)state;
	capture(say_much, out, sizeof(out));
	assert_int_equal(strlen(out), 2048);
	assert_int_equal(out[2047], '\n');
}

static void a_rate_limit_lets_a_burst_through_and_then_one_a_second(void **state)
{
	const uint64_t s = UINT64_C(1000000000);
	struct ratelimit r = {0};
	uint64_t missed = 99;

	(void)state;
	for (int i = 0; i < 3; i++) {
		assert_true(ratelimit_ok_at(&r, 3, 100 * s, &missed));
		assert_int_equal(missed, 0);
	}
	assert_false(ratelimit_ok_at(&r, 3, 100 * s, &missed));
	assert_false(ratelimit_ok_at(&r, 3, 101 * s - 1, &missed));
	assert_true(ratelimit_ok_at(&r, 3, 101 * s, &missed));
	assert_int_equal(missed, 2);
	assert_false(ratelimit_ok_at(&r, 3, 101 * s, &missed));
	for (int i = 0; i < 3; i++)
		assert_true(ratelimit_ok_at(&r, 3, 500 * s, &missed));
	assert_false(ratelimit_ok_at(&r, 3, 500 * s, &missed));
	assert_true(ratelimit_ok(&(struct ratelimit){0}, 1, &missed));
}

static int evaluated;

static int count_evaluation(void)
{
	return ++evaluated;
}

static void pass_points(void)
{
	TRACE(unit_first, "value %d", count_evaluation());
	TRACE(unit_second, "text %s", "x");
}

static void find_point(const struct trace_point *p, void *arg)
{
	int *found = arg;

	if (strcmp(p->name, "unit_first") == 0 && strstr(p->file, "base_sys.c") && p->line > 0)
		++*found;
}

static void trace_points_are_found_without_registration(void **state)
{
	int found = 0;

	(void)state;
	trace_for_each(find_point, &found);
	assert_int_equal(found, 1);
}

static void a_point_that_is_off_prints_and_evaluates_nothing(void **state)
{
	char out[200];

	(void)state;
	capture(pass_points, out, sizeof(out));
	assert_string_equal(out, "");
	assert_int_equal(evaluated, 0);
}

static void points_are_switched_by_pattern(void **state)
{
	char out[200];

	(void)state;
	assert_int_equal(trace_enable("unit_*,-unit_sec*", NULL), 0);
	capture(pass_points, out, sizeof(out));
	assert_true(str_match("*.?????? * unit_first value 1\n", out));
	assert_int_equal(trace_enable("unit_second,-unit_first", NULL), 0);
	capture(pass_points, out, sizeof(out));
	assert_true(str_match("*.?????? * unit_second text x\n", out));
	assert_int_equal(trace_enable("-unit_*", NULL), 0);
	capture(pass_points, out, sizeof(out));
	assert_string_equal(out, "");
}

static void a_pattern_that_names_no_point_is_an_error_and_changes_nothing(void **state)
{
	struct err e = ERR_INIT;
	char out[200];

	(void)state;
	assert_int_equal(trace_enable("unit_*,unit_thrid", &e), -ENOENT);
	assert_string_equal(e.msg, "no trace point matches 'unit_thrid'");
	capture(pass_points, out, sizeof(out));
	assert_string_equal(out, "");
	assert_int_equal(trace_enable("", &e), -ENOENT);
}

static void trace_output_goes_to_the_file_that_was_set_last(void **state)
{
	char path[2][32];
	struct err e = ERR_INIT;
	void *data;
	size_t len;

	(void)state;
	assert_int_equal(trace_set_file("/no/such/place", &e), -ENOENT);
	assert_string_equal(
		e.msg, "/no/such/place: cannot open for trace output: No such file or directory");
	assert_int_equal(trace_enable("unit_second", NULL), 0);
	for (int i = 0; i < 2; i++) {
		write_temp(path[i], "before\n", 7);
		assert_int_equal(trace_set_file(path[i], NULL), 0);
		pass_points();
	}
	assert_int_equal(trace_enable("-unit_second", NULL), 0);
	for (int i = 0; i < 2; i++) {
		assert_int_equal(sys_read_file(path[i], 1000, &data, &len, NULL), 0);
		assert_true(str_match("before\n*unit_second text x\n", data));
		assert_int_equal(strstr((char *)data, "text x")[6], '\n');
		assert_null(strstr(strstr((char *)data, "text x") + 1, "text x"));
		free(data);
		unlink(path[i]);
	}
}

static void a_bug_names_its_place_and_aborts(void **state)
{
	int p[2], status;
	char out[200];
	ssize_t n;
	pid_t pid;

	(void)state;
	assert_int_equal(pipe(p), 0);
	pid = fork();
	if (pid == 0) {
		dup2(p[1], STDERR_FILENO);
		BUG_ON(evaluated >= 0);
		_exit(0);
	}
	close(p[1]);
	assert_int_equal(waitpid(pid, &status, 0), pid);
	assert_true(WIFSIGNALED(status) && WTERMSIG(status) == SIGABRT);
	n = read(p[0], out, sizeof(out) - 1);
	assert_true(n > 0);
	out[n] = '\0';
	assert_true(str_match("lodge: bug at *base_sys.c:*: evaluated >= 0\n*", out));
	close(p[0]);
}

#ifdef FAULT_INJECTION
/* Five calls of five kinds; returns which failed, by a bit, each with its own errno. */
static int five_calls(void)
{
	int failed = 0, fd;
	void *p = sys_alloc(10);
	char c;

	failed |= !p && errno == ENOMEM ? 1 : 0;
	free(p);
	fd = sys_open("/dev/zero", O_RDONLY, 0);
	failed |= fd < 0 && errno == EMFILE ? 2 : 0;
	if (fd < 0)
		fd = open("/dev/zero", O_RDONLY | O_CLOEXEC);
	failed |= sys_read(fd, &c, 1) < 0 && errno == EIO ? 4 : 0;
	close(fd);
	p = sys_mmap(NULL, 4096, PROT_READ, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
	failed |= p == MAP_FAILED && errno == ENOMEM ? 8 : 0;
	if (p != MAP_FAILED)
		munmap(p, 4096);
	fd = sys_eventfd(0);
	failed |= fd < 0 && errno == EMFILE ? 16 : 0;
	if (fd >= 0)
		close(fd);
	return failed;
}
#endif

#ifdef FAULT_INJECTION
#define FAULT_RUNS 7

static struct {
	int status;
	char path[32]; /* where the number of calls was written */
} fault_run[FAULT_RUNS];

/* In processes of their own, before anything here has made a call: the counter starts once. */
static void run_with_faults(void)
{
	for (int nth = 0; nth < FAULT_RUNS; nth++) {
		char number[16];
		pid_t pid;

		memcpy(fault_run[nth].path, "/tmp/lodge-unit-XXXXXX", 23);
		close(mkstemp(fault_run[nth].path));
		snprintf(number, sizeof(number), "%d", nth);
		pid = fork();
		if (pid == 0) {
			setenv("LODGE_FAULT", number, 1);
			setenv("LODGE_FAULT_COUNT", fault_run[nth].path, 1);
			exit(five_calls());
		}
		waitpid(pid, &fault_run[nth].status, 0);
	}
}
#endif

static void the_nth_call_fails_once_and_the_calls_are_counted(void **state)
{
	(void)state;
#ifdef FAULT_INJECTION
	for (int nth = 0; nth < FAULT_RUNS; nth++) {
		int status = fault_run[nth].status;
		void *text;
		size_t len;

		assert_true(WIFEXITED(status));
		assert_int_equal(WEXITSTATUS(status), nth >= 1 && nth <= 5 ? 1 << (nth - 1) : 0);
		assert_int_equal(sys_read_file(fault_run[nth].path, 100, &text, &len, NULL), 0);
		assert_string_equal(text, "5\n");
		free(text);
		unlink(fault_run[nth].path);
	}
#else
	assert_false(fault_hit("anything")); /* this build has no faults to inject */
#endif
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(a_file_is_read_whole_with_a_zero_behind_it),
		cmocka_unit_test(a_file_over_the_limit_is_refused_by_name),
		cmocka_unit_test(a_file_of_unknown_size_is_read_to_its_end),
		cmocka_unit_test(what_is_no_regular_file_is_refused_by_name),
		cmocka_unit_test(an_early_end_of_file_is_no_data),
		cmocka_unit_test(an_array_whose_size_overflows_is_refused),
		cmocka_unit_test(messages_are_lines_that_cannot_drive_the_terminal),
		cmocka_unit_test(on_a_raw_terminal_lines_end_in_cr_lf),
		cmocka_unit_test(a_message_that_is_too_long_is_cut),
		cmocka_unit_test(a_rate_limit_lets_a_burst_through_and_then_one_a_second),
		cmocka_unit_test(trace_points_are_found_without_registration),
		cmocka_unit_test(a_point_that_is_off_prints_and_evaluates_nothing),
		cmocka_unit_test(points_are_switched_by_pattern),
		cmocka_unit_test(a_pattern_that_names_no_point_is_an_error_and_changes_nothing),
		cmocka_unit_test(trace_output_goes_to_the_file_that_was_set_last),
		cmocka_unit_test(a_bug_names_its_place_and_aborts),
		cmocka_unit_test(the_nth_call_fails_once_and_the_calls_are_counted),
	};

#ifdef FAULT_INJECTION
	run_with_faults();
#endif
	return cmocka_run_group_tests(tests, NULL, NULL);
}
