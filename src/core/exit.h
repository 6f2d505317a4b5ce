/*
 * core/exit.h - how a VM ends and the exit code that Lodge ends with.  lodge(1) has the same table.
 * A guest that writes V to the debug-exit port ends Lodge with (V << 1 | 1) & 0xff.
 */
#ifndef LODGE_CORE_EXIT_H
#define LODGE_CORE_EXIT_H

enum exit_code {
	EXIT_GUEST_OFF = 0, /* the guest powered off, or halted for good */
	EXIT_FAILED = 1,    /* Lodge could not go on: a host error while running */
	EXIT_USAGE = 2,	    /* the command line is wrong */
	EXIT_HOST = 3,	    /* this host cannot run it: no KVM, no permission, no memory */
	EXIT_CONFIG = 4,    /* a file, image or value cannot be used */
	EXIT_LEFT = 5,	    /* the user left with C-a x */
	EXIT_RESET = 32,    /* the guest reset and --no-reboot was given */
	EXIT_CRASH = 33,    /* triple fault */
	EXIT_PANIC = 34,    /* the guest kernel panicked */
	EXIT_ACCEL = 35,    /* the accelerator could not run the guest further */
	EXIT_TIMEOUT = 36,  /* --timeout ran out */
	EXIT_SIGNAL = 128,  /* + number: ended by a signal */
};

#endif
