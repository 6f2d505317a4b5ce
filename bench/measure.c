/*
 * measure: starts a command once and says what it cost.
 *
 *	measure COMMAND [ARG]...
 *
 * prints five numbers on one line: nanoseconds from just before the start to the first byte on the
 * command's standard output, to its end; nanoseconds of CPU time of all its threads; its exit code
 * (128 + the number of the signal that killed it); and its first byte (-1: there was none).  The
 * command's input is /dev/null, its errors are ours.
 */
#include <errno.h>
#include <fcntl.h>
#include <spawn.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/resource.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

extern char **environ;

static int64_t now(void)
{
	struct timespec t;

	clock_gettime(CLOCK_MONOTONIC, &t);
	return t.tv_sec * INT64_C(1000000000) + t.tv_nsec;
}

static int64_t ns(struct timeval t)
{
	return t.tv_sec * INT64_C(1000000000) + t.tv_usec * INT64_C(1000);
}

static void fail(const char *what, int error)
{
	fprintf(stderr, "measure: %s: %s\n", what, strerror(error));
	exit(125);
}

/* Reads to the end; the time of the first byte, and that byte in *first (-1: none). */
static int64_t drain(int fd, int *first)
{
	unsigned char buf[4096];
	int64_t at = 0;
	ssize_t n;

	*first = -1;
	while ((n = read(fd, buf, sizeof(buf))) != 0) {
		if (n < 0 && errno != EINTR)
			fail("read", errno);
		if (n > 0 && *first < 0) {
			at = now();
			*first = buf[0];
		}
	}
	return at;
}

int main(int argc, char **argv)
{
	posix_spawn_file_actions_t acts;
	struct rusage ru;
	int out[2], status, first, error;
	pid_t pid;

	if (argc < 2) {
		fprintf(stderr, "usage: measure COMMAND [ARG]...\n");
		return 125;
	}
	if (pipe2(out, O_CLOEXEC) < 0)
		fail("pipe", errno);
	posix_spawn_file_actions_init(&acts);
	posix_spawn_file_actions_addopen(&acts, STDIN_FILENO, "/dev/null", O_RDONLY, 0);
	posix_spawn_file_actions_adddup2(&acts, out[1], STDOUT_FILENO);

	int64_t start = now();
	error = posix_spawnp(&pid, argv[1], &acts, NULL, argv + 1, environ);
	if (error)
		fail(argv[1], error);
	close(out[1]);
	int64_t byte = drain(out[0], &first);
	if (wait4(pid, &status, 0, &ru) < 0)
		fail("wait", errno);
	int64_t end = now();

	int code = WIFEXITED(status) ? WEXITSTATUS(status) : 128 + WTERMSIG(status);
	printf("%lld %lld %lld %d %d\n", first < 0 ? -1LL : (long long)(byte - start),
	       (long long)(end - start), (long long)(ns(ru.ru_utime) + ns(ru.ru_stime)), code,
	       first);
	return 0;
}
