/*
 * The guest of bench/cpu: its first program, which says when it was reached and when each of some
 * small workloads is done.  A line for each: its name, and the nanoseconds it took by the guest's
 * clock.
 */
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mount.h>
#include <sys/reboot.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

static uint64_t now(void)
{
	struct timespec t;

	clock_gettime(CLOCK_MONOTONIC, &t);
	return (uint64_t)t.tv_sec * 1000000000u + (uint64_t)t.tv_nsec;
}

/* What was computed, so that it is. */
static volatile uint64_t sink;
static volatile double fsink;

/* Sieves the primes below a million: loads, stores and branches. */
static void integer(void)
{
	static uint8_t composite[1000000];
	uint64_t primes = 0;

	memset(composite, 0, sizeof(composite));
	for (unsigned n = 2; n < sizeof(composite); n++) {
		if (composite[n])
			continue;
		primes++;
		for (unsigned k = 2 * n; k < sizeof(composite); k += n)
			composite[k] = 1;
	}
	sink = primes;
}

static void copy(void)
{
	static uint8_t from[1 << 20], to[1 << 20];

	for (unsigned n = 0; n < 400; n++) {
		from[n] = (uint8_t)n;
		memcpy(to, from, sizeof(to));
		__asm__ volatile("" ::"r"(to), "r"(from) : "memory");
		sink += to[n];
	}
}

/* Euler's method on an oscillator: dependent SSE2 arithmetic. */
static void floating(void)
{
	double x = 1, v = 0;

	for (unsigned n = 0; n < 1000000; n++) {
		v -= x * 1e-4;
		x += v * 1e-4;
	}
	fsink = x;
}

static void calls(void)
{
	for (unsigned n = 0; n < 30000; n++)
		sink += (uint64_t)syscall(SYS_getppid);
}

static void command(const char *text)
{
	int status = 0;
	pid_t p = fork();

	if (p == 0) {
		execl("/bin/busybox", "sh", "-c", text, (char *)NULL);
		_exit(127);
	}
	if (p < 0 || waitpid(p, &status, 0) != p || status) {
		printf("failed: %s\n", text);
		exit(1);
	}
}

static void sha(void)
{
	command("dd if=/dev/zero bs=64k count=16 2>/dev/null | sha256sum >/dev/null");
}

static void pack(void)
{
	command("gzip -c </bin/busybox | dd of=/dev/null 2>/dev/null");
}

static void spawn(void)
{
	for (unsigned n = 0; n < 20; n++)
		command("true");
}

int main(void)
{
	static const struct {
		const char *name;
		void (*run)(void);
	} work[] = {{"sieve", integer},	     {"memcpy", copy},	 {"floating point", floating},
		    {"system calls", calls}, {"sha256sum", sha}, {"gzip", pack},
		    {"fork and exec", spawn}};

	setvbuf(stdout, NULL, _IOLBF, 0);
	mount("devtmpfs", "/dev", "devtmpfs", 0, NULL);
	printf("= start to /init %llu\n", (unsigned long long)now());
	for (unsigned n = 0; n < sizeof(work) / sizeof(work[0]); n++) {
		uint64_t began = now();

		work[n].run();
		printf("= %s %llu\n", work[n].name, (unsigned long long)(now() - began));
	}
	printf("= end 0\n");
	sync();
	reboot(RB_POWER_OFF);
	return 1;
}
