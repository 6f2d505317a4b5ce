/*
 * device/intc/i8259.c - the ports of a PC's two 8259A and of their edge/level registers (Intel
 * 231468; 82371SB §2.5.9).
 *
 * The chips' logic is arch/x86/pic.c, behind the wires of arch/x86/userchip.h, and their state is
 * saved with the other chips of the board (x86_chips).
 */
#include <errno.h>

#include "arch/x86/userchip.h"
#include "core/device.h"
#include "core/vm.h"

enum { MASTER_PORTS, SLAVE_PORTS = 2, ELCR_PORTS = 4 };

static uint64_t read_port(struct device *d, unsigned port)
{
	return x86_userchip_pic_read(x86_userchip_of(d->vm), port);
}

static void write_port(struct device *d, unsigned port, uint64_t val)
{
	x86_userchip_pic_write(x86_userchip_of(d->vm), port, (uint8_t)val);
}

static uint64_t master_read(struct device *d, uint64_t off, unsigned size)
{
	(void)size;
	return read_port(d, MASTER_PORTS + (unsigned)off);
}

static void master_write(struct device *d, uint64_t off, unsigned size, uint64_t val)
{
	(void)size;
	write_port(d, MASTER_PORTS + (unsigned)off, val);
}

static uint64_t slave_read(struct device *d, uint64_t off, unsigned size)
{
	(void)size;
	return read_port(d, SLAVE_PORTS + (unsigned)off);
}

static void slave_write(struct device *d, uint64_t off, unsigned size, uint64_t val)
{
	(void)size;
	write_port(d, SLAVE_PORTS + (unsigned)off, val);
}

static uint64_t elcr_read(struct device *d, uint64_t off, unsigned size)
{
	(void)size;
	return read_port(d, ELCR_PORTS + (unsigned)off);
}

static void elcr_write(struct device *d, uint64_t off, unsigned size, uint64_t val)
{
	(void)size;
	write_port(d, ELCR_PORTS + (unsigned)off, val);
}

static int pic_init(struct device *d, struct err *e)
{
	if (x86_userchip_of(d->vm))
		return 0;
	err_set(e, -ENOTSUP, "the machine's interrupt chips are the accelerator's");
	return err_kind(e, ERR_CONFIG);
}

static void pic_reset(struct device *d)
{
	x86_userchip_pic_reset(x86_userchip_of(d->vm));
}

static int pic_loaded(struct device *d, struct err *e)
{
	(void)e;
	x86_userchip_refresh(x86_userchip_of(d->vm));
	return 0;
}

const struct device_class i8259_class = {
	.name = "i8259",
	.help = "the two interrupt controllers of a PC, for accelerators without them",
	.size = sizeof(struct device),
	.stateless = true,
	.io = {{master_read, master_write, .sizes = 1, .space = AS_PORTS, .len = 2, .base = 0x20},
	       {slave_read, slave_write, .sizes = 1, .space = AS_PORTS, .len = 2, .base = 0xa0},
	       {elcr_read, elcr_write, .sizes = 1, .space = AS_PORTS, .len = 2, .base = 0x4d0}},
	.init = pic_init,
	.reset = pic_reset,
	.loaded = pic_loaded,
};
