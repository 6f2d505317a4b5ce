/*
 * device/intc/ioapic.c - the register window of the I/O APIC (Intel 82093AA).
 *
 * The chip's logic is arch/x86/ioapic.c, behind the wires of arch/x86/userchip.h, and its state is
 * saved with the other chips of the board (x86_chips).
 */
#include <errno.h>

#include "arch/x86/defs.h"
#include "arch/x86/userchip.h"
#include "core/device.h"
#include "core/vm.h"

static uint64_t window_read(struct device *d, uint64_t off, unsigned size)
{
	(void)size;
	return x86_userchip_ioapic_read(x86_userchip_of(d->vm), off);
}

static void window_write(struct device *d, uint64_t off, unsigned size, uint64_t val)
{
	(void)size;
	x86_userchip_ioapic_write(x86_userchip_of(d->vm), off, (uint32_t)val);
}

static int window_init(struct device *d, struct err *e)
{
	if (x86_userchip_of(d->vm))
		return 0;
	err_set(e, -ENOTSUP, "the machine's interrupt chips are the accelerator's");
	return err_kind(e, ERR_CONFIG);
}

static void window_reset(struct device *d)
{
	x86_userchip_ioapic_reset(x86_userchip_of(d->vm));
}

const struct device_class ioapic_class = {
	.name = "ioapic",
	.help = "I/O APIC, for accelerators without one",
	.size = sizeof(struct device),
	.stateless = true,
	.io = {{window_read, window_write, .sizes = 4, .space = AS_MEMORY, .len = 0x1000,
		.base = X86_IOAPIC_ADDR}},
	.init = window_init,
	.reset = window_reset,
};
