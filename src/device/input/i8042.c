/*
 * device/input/i8042.c - the keyboard controller of a PC with nothing plugged in, for what systems
 * still use it for: the reset line, the A20 gate, and being probed (IBM PS/2 Technical Reference,
 * "Keyboard and Auxiliary Device Controller", 1990; Intel 8242PC).
 *
 * There is one byte of output buffer.  A byte sent to a keyboard that is not there times out: the
 * controller answers 0xfe with the time-out bit, at once, because a guest would only spend exits on
 * waiting.  For the same reason the commands of the auxiliary port, which this controller does not
 * have, are answered the way that drivers take for "no such port": the interface test says the
 * clock line is stuck, and a loopback byte comes back without the auxiliary flag.
 *
 * The A20 gate keeps its value and nothing more; all of memory is always reachable.  Port 0x92 is
 * the fast way to the same gate and to reset.
 */
#include "core/device.h"
#include "core/vm.h"

enum { ST_OBF = 0x01, ST_SYS = 0x04, ST_CMD = 0x08, ST_UNLOCKED = 0x10 };
enum { ST_AUX = 0x20, ST_TIMEOUT = 0x40 };
enum { CTR_INT = 0x01, CTR_AUX_INT = 0x02, CTR_SYS = 0x04 };
enum { CTR_DISABLE = 0x10, CTR_AUX_DISABLE = 0x20 };
/* What a BIOS leaves: translation, self test passed, auxiliary port off, keyboard interrupt. */
enum { CTR_RESET = 0x65 };
enum { OUT_RESET = 0x01, OUT_A20 = 0x02, OUT_OBF = 0x10, OUT_AUX_OBF = 0x20, OUT_LINES = 0xc0 };
/* Commands that wait for a byte; WRITE_RAM is 0x60 to 0x7f. */
enum { WRITE_RAM = 0x60, WRITE_OUTPUT = 0xd1, WRITE_BUFFER, WRITE_AUX_BUFFER, WRITE_AUX };

struct i8042 {
	struct device dev;
	uint8_t ram[32]; /* [0] is the command byte, CTR */
	uint8_t data;	 /* output buffer */
	uint8_t flags;	 /* status: OBF, AUX, TIMEOUT */
	uint8_t pending; /* command that waits for its data byte, or 0 */
	bool was_cmd;	 /* the last write went to port 0x64 */
	bool a20;
	bool fast_reset; /* bit 0 of port 0x92 */
};

#define F(m, ...) FIELD(struct i8042, m, __VA_ARGS__)
static const struct field fields[] = {
	F(ram, ),
	F(data, ),
	F(flags, .max = ST_OBF | ST_AUX | ST_TIMEOUT),
	F(pending, ),
	F(was_cmd, ),
	F(a20, .reset = true),
	F(fast_reset, ),
};
static const struct state_table state = STATE_TABLE("i8042", 1, fields);

static struct i8042 *kbc(struct device *d)
{
	return container_of(d, struct i8042, dev);
}

static void update(struct i8042 *k)
{
	bool full = k->flags & ST_OBF, aux = k->flags & ST_AUX;

	irq_set(k->dev.irq[0], full && !aux && k->ram[0] & CTR_INT);
	irq_set(k->dev.irq[1], full && aux && k->ram[0] & CTR_AUX_INT);
}

/* Puts a byte into the output buffer; one that was not read is lost. */
static void answer(struct i8042 *k, uint8_t byte, unsigned flags)
{
	k->data = byte;
	k->flags = (uint8_t)(ST_OBF | flags);
}

static void reset_machine(struct i8042 *k, const char *how)
{
	vm_request(k->dev.vm, VM_EVENT_RESET, 0, "%s: reset by %s", k->dev.id, how);
}

static void output_port_write(struct i8042 *k, uint8_t val)
{
	k->a20 = val & OUT_A20;
	if (!(val & OUT_RESET))
		reset_machine(k, "the output port");
}

static uint8_t output_port(const struct i8042 *k)
{
	unsigned obf = !(k->flags & ST_OBF) ? 0 : k->flags & ST_AUX ? OUT_AUX_OBF : OUT_OBF;

	return (uint8_t)(OUT_LINES | obf | (k->a20 ? OUT_A20 : 0) | OUT_RESET);
}

static void command(struct i8042 *k, uint8_t cmd)
{
	switch (cmd & 0xe0) {
	case 0x20: answer(k, k->ram[cmd & 0x1f], 0); return;
	case WRITE_RAM: k->pending = cmd; return;
	}
	if (cmd >= 0xf0) { /* pulse the output port bits that are 0 */
		if (!(cmd & OUT_RESET))
			reset_machine(k, "a pulse of the reset line");
		return;
	}
	switch (cmd) {
	case WRITE_OUTPUT:
	case WRITE_BUFFER:
	case WRITE_AUX_BUFFER:
	case WRITE_AUX: k->pending = cmd; break;
	case 0xa4: answer(k, 0xf1, 0); break; /* no password is set */
	case 0xa7: k->ram[0] |= CTR_AUX_DISABLE; break;
	case 0xa8: k->ram[0] &= (uint8_t)~CTR_AUX_DISABLE; break;
	case 0xa9: answer(k, 0x01, 0); break; /* auxiliary clock line stuck low */
	case 0xaa:
		k->ram[0] = (CTR_RESET | CTR_DISABLE) & ~CTR_INT;
		answer(k, 0x55, 0);
		break;
	case 0xab: answer(k, 0x00, 0); break; /* keyboard lines are fine */
	case 0xad: k->ram[0] |= CTR_DISABLE; break;
	case 0xae: k->ram[0] &= (uint8_t)~CTR_DISABLE; break;
	case 0xc0: answer(k, 0x80, 0); break; /* input port: keyboard not locked */
	case 0xd0: answer(k, output_port(k), 0); break;
	case 0xdd: k->a20 = false; break;
	case 0xdf: k->a20 = true; break;
	case 0xe0: answer(k, 0x00, 0); break; /* test inputs: both lines idle */
	default: guest_err(&k->dev, "unknown command 0x%02x", cmd);
	}
}

/* A byte for the command before it, or for the keyboard. */
static void data(struct i8042 *k, uint8_t val)
{
	uint8_t cmd = k->pending;

	k->pending = 0;
	if ((cmd & 0xe0) == WRITE_RAM) {
		k->ram[cmd & 0x1f] = val;
		return;
	}
	switch (cmd) {
	case WRITE_OUTPUT: output_port_write(k, val); break;
	case WRITE_BUFFER:
	case WRITE_AUX_BUFFER: answer(k, val, 0); break;
	case WRITE_AUX: answer(k, 0xfe, ST_TIMEOUT | ST_AUX); break;
	default:
		k->ram[0] &= (uint8_t)~CTR_DISABLE; /* sending turns the interface on */
		answer(k, 0xfe, ST_TIMEOUT);
	}
}

static uint64_t data_read(struct device *d, uint64_t off, unsigned size)
{
	struct i8042 *k = kbc(d);

	(void)off, (void)size;
	k->flags = 0;
	update(k);
	return k->data;
}

static void data_write(struct device *d, uint64_t off, unsigned size, uint64_t val)
{
	struct i8042 *k = kbc(d);

	(void)off, (void)size;
	k->was_cmd = false;
	data(k, (uint8_t)val);
	update(k);
}

static uint64_t status_read(struct device *d, uint64_t off, unsigned size)
{
	struct i8042 *k = kbc(d);

	(void)off, (void)size;
	return k->flags | ST_UNLOCKED | (k->ram[0] & CTR_SYS ? ST_SYS : 0u) |
	       (k->was_cmd ? ST_CMD : 0u);
}

static void command_write(struct device *d, uint64_t off, unsigned size, uint64_t val)
{
	struct i8042 *k = kbc(d);

	(void)off, (void)size;
	k->was_cmd = true;
	k->pending = 0;
	command(k, (uint8_t)val);
	update(k);
}

static uint64_t port92_read(struct device *d, uint64_t off, unsigned size)
{
	struct i8042 *k = kbc(d);

	(void)off, (void)size;
	return (k->a20 ? OUT_A20 : 0u) | k->fast_reset;
}

static void port92_write(struct device *d, uint64_t off, unsigned size, uint64_t val)
{
	struct i8042 *k = kbc(d);
	bool reset = val & 1;

	(void)off, (void)size;
	k->a20 = val & OUT_A20;
	if (reset && !k->fast_reset)
		reset_machine(k, "port 0x92");
	k->fast_reset = reset;
}

static void kbc_reset(struct device *d)
{
	struct i8042 *k = kbc(d);

	k->ram[0] = CTR_RESET;
	update(k);
}

static int kbc_loaded(struct device *d, struct err *e)
{
	(void)e;
	update(kbc(d));
	return 0;
}

const struct device_class i8042_class = {
	.name = "i8042",
	.help = "keyboard controller without a keyboard: reset line and A20 gate",
	.size = sizeof(struct i8042),
	.state = &state,
	.io = {{data_read, data_write, .sizes = 1, .space = AS_PORTS, .len = 1, .base = 0x60},
	       {status_read, command_write, .sizes = 1, .space = AS_PORTS, .len = 1, .base = 0x64},
	       {port92_read, port92_write, .sizes = 1, .space = AS_PORTS, .len = 1, .base = 0x92}},
	.n_irqs = 2,
	.reset = kbc_reset,
	.loaded = kbc_loaded,
};
