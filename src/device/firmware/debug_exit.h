/*
 * device/firmware/debug_exit.h - what the debug-exit devices of all boards share: a write of V ends
 * Lodge with (V << 1 | 1) & 0xff, as QEMU's isa-debug-exit does.  The code is odd, so that it
 * cannot be taken for a clean power-off.
 */
#ifndef LODGE_DEVICE_FIRMWARE_DEBUG_EXIT_H
#define LODGE_DEVICE_FIRMWARE_DEBUG_EXIT_H

#include "core/device.h"
#include "core/vm.h"

/* The class's read: nothing is ever in the register. */
static inline uint64_t debug_exit_read(struct device *d, uint64_t off, unsigned size)
{
	(void)d, (void)off, (void)size;
	return 0;
}

/* The class's write, anywhere in the window: asks the VM's owner to end Lodge. */
static inline void debug_exit_write(struct device *d, uint64_t off, unsigned size, uint64_t val)
{
	(void)off, (void)size;
	vm_request(d->vm, VM_EVENT_EXIT, (int)((val << 1 | 1) & 0xff), "%s: the guest wrote 0x%llx",
		   d->id, (unsigned long long)val);
}

#endif
