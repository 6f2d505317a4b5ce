/*
 * device/firmware/debug_exit.c - a port that ends the VM with a code of the guest's choice, as
 * QEMU's isa-debug-exit does: a write of V ends Lodge with (V << 1 | 1) & 0xff.  The code is odd,
 * so that it cannot be taken for a clean power-off.
 */
#include "core/device.h"
#include "core/vm.h"

static uint64_t exit_read(struct device *d, uint64_t off, unsigned size)
{
	(void)d, (void)off, (void)size;
	return 0;
}

static void exit_write(struct device *d, uint64_t off, unsigned size, uint64_t val)
{
	(void)off, (void)size;
	vm_request(d->vm, VM_EVENT_EXIT, (int)((val << 1 | 1) & 0xff),
		   "%s: the guest wrote 0x%llx", d->id, (unsigned long long)val);
}

const struct device_class debug_exit_class = {
	.name = "debug-exit",
	.help = "port that ends the VM with an exit code",
	.size = sizeof(struct device),
	.stateless = true,
	.user = true,
	.io = {{exit_read, exit_write, 1 | 2 | 4, AS_PORTS, .len = 4, .base = 0xf4}},
};
