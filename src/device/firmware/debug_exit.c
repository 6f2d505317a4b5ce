/*
 * device/firmware/debug_exit.c - a port that ends the VM with a code of the guest's choice; what it
 * does is in debug_exit.h.
 */
#include "device/firmware/debug_exit.h"

const struct device_class debug_exit_class = {
	.name = "debug-exit",
	.help = "port that ends the VM with an exit code",
	.size = sizeof(struct device),
	.stateless = true,
	.user = true,
	.io = {{debug_exit_read, debug_exit_write, 1 | 2 | 4, AS_PORTS, .len = 4, .base = 0xf4}},
};
