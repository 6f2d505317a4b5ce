/*
 * monitor/run.h - a VM in the foreground, from its configuration to its exit code.
 */
#ifndef LODGE_MONITOR_RUN_H
#define LODGE_MONITOR_RUN_H

#include "core/vm.h"
#include "machine/machine.h"

struct run_options {
	bool no_reboot;		/* a reset ends the run with EXIT_RESET */
	uint64_t timeout_ns;	/* of host time since the guest started; 0: none */
	uint64_t watch_ns;	/* silence after which the progress watcher speaks; 0: never */
	const char *stats_path; /* "-": stdout; NULL: none */
};

/*
 * Builds the VM and runs it until it ends.  Owns the calling thread, which becomes the loop's, and
 * the signals SIGINT, SIGTERM, SIGHUP and SIGQUIT.  Returns an exit code (core/exit.h), or a
 * negative errno with @e set if the VM could not be built or went on no longer.
 */
int monitor_run(const struct machine_type *t, const struct machine_config *c,
		const struct run_options *o, struct err *e) MUST_CHECK;

#endif
