/*
 * device/firmware/debug_console.c - a port whose every written byte goes to a character back end.
 * Firmware and small kernels print through it before they have any driver.  A read gives 0xe9,
 * which is how a guest knows that the port is there.
 *
 * The port has no way to say "wait": what a slow reader leaves no room for is lost, and said so.
 */
#include "chardev/chardev.h"
#include "core/device.h"
#include "core/vm.h"

struct debug_console {
	struct device dev;
	struct chardev *chardev;
	struct ratelimit lost_limit;
};

static uint64_t console_read(struct device *d, uint64_t off, unsigned size)
{
	(void)d, (void)off, (void)size;
	return 0xe9;
}

static void console_write(struct device *d, uint64_t off, unsigned size, uint64_t val)
{
	struct debug_console *c = container_of(d, struct debug_console, dev);
	uint8_t byte = (uint8_t)val;
	uint64_t missed;

	(void)off, (void)size;
	if (!c->chardev || chardev_write(c->chardev, &byte, 1) == 1)
		return;
	if (ratelimit_ok(&c->lost_limit, 1, &missed))
		log_warn("%s: output is lost, its reader is too slow (%llu bytes before this one)",
			 d->id, (unsigned long long)missed);
}

static const struct prop props[] = {
	PROP_BACK(struct debug_console, chardev, "chardev", "where the bytes go to"),
};

const struct device_class debug_console_class = {
	.name = "debug-console",
	.help = "port that prints every byte written to it",
	.size = sizeof(struct debug_console),
	.props = props,
	.n_props = ARRAY_LEN(props),
	.stateless = true,
	.user = true,
	.io = {{console_read, console_write, 1, AS_PORTS, .len = 1, .base = 0xe9}},
};
