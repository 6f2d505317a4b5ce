/*
 * device/example/example_mmio.c - a small device to learn from; examples/device/README.md walks
 * through it line by line.
 *
 *	offset  access  what
 *	0x0     RO      0x4544474c: "LGDE" in memory, how a driver knows it has found the device
 *	0x4     RW      scratch
 *	0x8     WO      the low byte goes to the character back end, if there is one
 *	0xc     RO      how many accesses there were before this one
 */
#include "base/trace.h"
#include "chardev/chardev.h"
#include "core/device.h"

enum { REG_ID = 0x0, REG_SCRATCH = 0x4, REG_PUT = 0x8, REG_COUNT = 0xc };

/* The device: struct device comes first. */
struct example_mmio {
	struct device dev;
	struct chardev *chardev; /* a property: set before init, not part of the state */
	uint32_t scratch;
	uint32_t count;
};

/* Everything that must survive save and load.  Reset, save and load need no other line. */
static const struct field fields[] = {
	FIELD(struct example_mmio, scratch, .reset = 0),
	FIELD(struct example_mmio, count, .reset = 0),
};
static const struct state_table state = STATE_TABLE("example-mmio", 1, fields);

/* Called with the device's lock held, an offset inside the window and a size of .sizes. */
static uint64_t example_read(struct device *d, uint64_t off, unsigned size)
{
	struct example_mmio *x = container_of(d, struct example_mmio, dev);
	uint32_t before = x->count++;

	(void)size; /* always 4 */
	switch (off) {
	case REG_ID: return 0x4544474c;
	case REG_SCRATCH: return x->scratch;
	case REG_COUNT: return before;
	}
	guest_err(d, "read of register 0x%x, which cannot be read", (unsigned)off);
	return 0;
}

static void example_write(struct device *d, uint64_t off, unsigned size, uint64_t val)
{
	struct example_mmio *x = container_of(d, struct example_mmio, dev);
	uint8_t byte = (uint8_t)val;

	(void)size;
	x->count++;
	switch (off) {
	case REG_SCRATCH: x->scratch = (uint32_t)val; return;
	case REG_PUT:
		TRACE(example_put, "%s: byte 0x%02x", d->id, byte);
		if (x->chardev && chardev_write(x->chardev, &byte, 1) == 0)
			guest_err(d, "byte 0x%02x is lost, nobody reads", byte);
		return;
	}
	guest_err(d, "write to register 0x%x, which cannot be written", (unsigned)off);
}

static const struct prop props[] = {
	PROP_BACK(struct example_mmio, chardev, "chardev", "where the bytes go to"),
};

/* The one public name of this file; device/devices.def has the line that adds it to the build. */
const struct device_class example_mmio_class = {
	.name = "example-mmio",
	.help = "worked example: id, scratch, output and counter registers",
	.size = sizeof(struct example_mmio),
	.props = props,
	.n_props = ARRAY_LEN(props),
	.state = &state,
	.user = true,
	.io = {{example_read, example_write, .sizes = 4, .space = AS_MEMORY, .len = 0x10}},
};
