/*
 * monitor/halt.h - notices a guest that has halted for good.
 *
 * Loop thread only.
 */
#ifndef LODGE_MONITOR_HALT_H
#define LODGE_MONITOR_HALT_H

#include "core/vm.h"

struct halt_watch {
	struct vm *vm;
	struct loop_fd timer;
	uint64_t seen;	   /* activity at the last look */
	uint64_t every_ns; /* between looks */
	bool known;	   /* looked at the vCPUs since they last did anything */
	void (*on_halt)(void *arg);
	void *arg;
};

int halt_init(struct halt_watch *h, struct vm *vm, struct err *e) MUST_CHECK;
void halt_exit(struct halt_watch *h);
/* The guest is about to start, or to start again. */
void halt_start(struct halt_watch *h);

#endif
