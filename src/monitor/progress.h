/*
 * monitor/progress.h - watches that a guest makes visible progress, and says what is known about
 * one that does not.
 *
 * Loop thread only.
 */
#ifndef LODGE_MONITOR_PROGRESS_H
#define LODGE_MONITOR_PROGRESS_H

#include "monitor/console.h"

#define PROGRESS_CPUS 8 /* vCPUs that are looked at */

/* What a vCPU did while it was sampled. */
struct progress_cpu {
	uint64_t pc_min, pc_max;
	const char *doing;		 /* at the last sample */
	unsigned idle, stuck, user, off; /* samples; the rest ran in the kernel */
	unsigned samples;
};

struct progress {
	struct vm *vm;
	struct console *console;
	uint64_t quiet_ns; /* silence before the first look; 0: never */
	const char *hint;  /* said with the first report of a guest that never printed; or NULL */
	struct loop_fd timer;
	uint64_t start_bytes;		 /* console bytes when the guest started */
	uint64_t seen_bytes;		 /* console bytes at the last look */
	uint64_t since_ns;		 /* host time since which nothing was printed */
	uint64_t look_ns;		 /* length of silence at which to look next; doubles */
	uint64_t exits[EXIT_STAT_COUNT]; /* at since_ns */
	bool spoke;
	bool checking_panic; /* the samples decide whether a panic is real */
	unsigned samples;
	struct progress_cpu cpu[PROGRESS_CPUS];
	struct loop_post halted_post;
	void (*on_panic)(void *arg); /* the guest panicked and hangs for good */
	void *arg;
};

int progress_init(struct progress *p, struct vm *vm, struct console *c, uint64_t quiet_ns,
		  struct err *e) MUST_CHECK;
void progress_exit(struct progress *p);
/* The guest is about to start, or to start again. */
void progress_start(struct progress *p);
/* Samples now, and appends what every vCPU does, the exits of the silence and the last lines. */
void progress_describe(struct progress *p, struct strbuf *out);

#endif
