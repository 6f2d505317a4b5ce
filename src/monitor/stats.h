/*
 * monitor/stats.h - --stats: counts and times of a run, as JSON.
 */
#ifndef LODGE_MONITOR_STATS_H
#define LODGE_MONITOR_STATS_H

#include "core/vm.h"

/* Host time in ns (CLOCK_MONOTONIC); 0: has not happened. */
struct run_times {
	uint64_t begin;	       /* before the VM was built */
	uint64_t built;	       /* ready to run */
	uint64_t first_output; /* a byte from the guest */
	uint64_t end;
};

/*
 * The statistics of @vm, whose vCPUs have stopped; @how names the end in a word, @code is the exit
 * code.  The caller frees it; NULL: no memory.
 */
char *stats_text(struct vm *vm, const struct run_times *t, const char *how, int code) MUST_CHECK;
/* Opens the file at @path ("-": stdout) early, so that a wrong name is told before the run. */
int stats_open(const char *path, struct err *e) MUST_CHECK;
/* Writes @text; NULL is an error. */
int stats_save(int fd, const char *text, struct err *e) MUST_CHECK;

#endif
