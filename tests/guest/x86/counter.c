/* The time stamp counter. */
#include <stdlib.h>
#include <sys/io.h>
#include <x86intrin.h>

#include "../check.h"

/*
 * No PC device answers at this port (some kernels use it for short delays); a write to it leaves
 * the guest, and a tracer of the host's KVM sees it with an instruction pointer in user space.
 */
enum { MARK_PORT = 0xed };

uint64_t counter_read(void)
{
	unsigned cpu;

	return __rdtscp(&cpu);
}

uint64_t counter_hz(void)
{
	char text[64], *end;

	if (!kmsg_find("tsc: Detected ", text, sizeof(text)))
		return 0;
	double mhz = strtod(text, &end);

	return end == text ? 0 : (uint64_t)(mhz * 1e6);
}

void counter_mark_init(void)
{
	if (ioperm(MARK_PORT, 1, 1) == 0) {
		outb(0, MARK_PORT);
		ioperm(MARK_PORT, 1, 0);
	}
}
