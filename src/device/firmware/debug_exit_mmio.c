/*
 * device/firmware/debug_exit_mmio.c - debug-exit for machines without I/O ports: one register of
 * four bytes in memory, which the board or the user places; what it does is in debug_exit.h.
 */
#include "device/firmware/debug_exit.h"

const struct device_class debug_exit_mmio_class = {
	.name = "debug-exit-mmio",
	.help = "register that ends the VM with an exit code",
	.size = sizeof(struct device),
	.stateless = true,
	.user = true,
	.io = {{debug_exit_read, debug_exit_write, 1 | 2 | 4, AS_MEMORY, .len = 4}},
};
