/*
 * Prints how fast this machine's time stamp counter runs, in kHz.  L1 gets it on its command line,
 * because a kernel that measures it under a software CPU on a busy host may be far off, and with it
 * every clock of the guests in it.
 *
 * Each reading of the counter is taken between two readings of the clock; the best of many is kept,
 * so that it does not matter when the host takes the CPU away.
 */
#include <stdint.h>
#include <stdio.h>
#include <time.h>
#include <x86intrin.h>

enum { TRIES = 1000, PAUSE_MS = 60 };

struct reading {
	int64_t ns, span;
	uint64_t count;
};

static int64_t now(void)
{
	struct timespec t;

	clock_gettime(CLOCK_MONOTONIC, &t);
	return (int64_t)t.tv_sec * 1000000000 + t.tv_nsec;
}

static struct reading best_reading(void)
{
	struct reading best = {.span = INT64_MAX};

	for (int i = 0; i < TRIES; i++) {
		int64_t before = now();
		uint64_t count = __rdtsc();
		int64_t after = now();

		if (after - before < best.span)
			best = (struct reading){before / 2 + after / 2, after - before, count};
	}
	return best;
}

int main(void)
{
	struct timespec pause = {.tv_nsec = PAUSE_MS * 1000000};
	struct reading first = best_reading();

	nanosleep(&pause, NULL);
	struct reading last = best_reading();

	printf("%.0f\n", (double)(last.count - first.count) * 1e6 / (double)(last.ns - first.ns));
	return 0;
}
