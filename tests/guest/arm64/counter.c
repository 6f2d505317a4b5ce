/* The generic timer's virtual counter. */
#include "../check.h"

uint64_t counter_read(void)
{
	uint64_t value;

	__asm__ volatile("isb; mrs %0, cntvct_el0" : "=r"(value) : : "memory");
	return value;
}

uint64_t counter_hz(void)
{
	uint64_t value;

	__asm__ volatile("mrs %0, cntfrq_el0" : "=r"(value));
	return value;
}

/*
 * WFI in user space: Linux lets EL0 execute it, KVM traps it, and nothing else does that.  The
 * timer tick, which a running task has, ends the wait.
 */
void counter_mark_init(void)
{
	__asm__ volatile("wfi" : : : "memory");
}
