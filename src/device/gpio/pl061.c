/*
 * device/gpio/pl061.c - PrimeCell GPIO PL061, eight pins, one of which is a power key
 * [ARM DDI 0190B].
 *
 *	0x000-0x3fc DATA RW  bits 9:2 of the address choose the pins; the others read 0 and stay
 *	0x400 DIR  RW  1: output           0x404 IS   RW  1: level, 0: edge
 *	0x408 IBE  RW  1: both edges       0x40c IEV  RW  1: high or rising, 0: low or falling
 *	0x410 IE   RW  1: interrupt on     0x414 RIS  R   raw status
 *	0x418 MIS  R   RIS and IE          0x41c IC   W   1: forgets an edge
 *	0x420 AFSEL RW 1: not the GPIO's   0xfe0 PeriphID0-3, PCellID0-3 R
 *
 * Nothing is connected to the outputs, nor to the alternate functions: a pin with AFSEL set is an
 * input here.  What comes in from outside is low after a reset, and moves by two commands:
 * "power-button" presses the key at pin 3 and lets it go after 100 ms of VM time, long enough for a
 * driver that waits until contacts have stopped bouncing; "pin N high" and "pin N low" are for
 * tests.
 *
 * An edge is an edge of what comes in at an input pin: neither a write to DATA nor a change of
 * direction makes one.  It is remembered until IC, also while the pin is not enabled.  A level is
 * not remembered.
 */
#include <errno.h>
#include <string.h>

#include "core/device.h"
#include "core/vm.h"
#include "device/primecell.h"

#define POWER_KEY (1u << 3)
#define PRESS_NS  UINT64_C(100000000)

enum { DATA_LAST = 0x3fc, DIR = 0x400, IS = 0x404, IBE = 0x408, IEV = 0x40c, IE = 0x410 };
enum { RIS = 0x414, MIS = 0x418, IC = 0x41c, AFSEL = 0x420 };

struct pl061 {
	struct device dev;
	uint8_t in; /* from outside, pins that are outputs too */
	uint8_t out, dir, is, ibe, iev, ie, afsel;
	uint8_t edges; /* seen and not cleared */
	struct timer release;
};

#define F(m, ...) FIELD(struct pl061, m, __VA_ARGS__)
static const struct field fields[] = {
	F(in, ),  F(out, ), F(dir, ),	F(is, ),    F(ibe, ),
	F(iev, ), F(ie, ),  F(afsel, ), F(edges, ), F(release, ),
};
static const struct state_table state = STATE_TABLE("pl061", 1, fields);

static struct pl061 *gpio(struct device *d)
{
	return container_of(d, struct pl061, dev);
}

static uint8_t outputs(const struct pl061 *g)
{
	return g->dir & (uint8_t)~g->afsel;
}

static uint8_t pins(const struct pl061 *g)
{
	uint8_t out = outputs(g);

	return (uint8_t)((g->out & out) | (g->in & ~out));
}

static uint8_t ris(const struct pl061 *g)
{
	uint8_t level = (uint8_t)(~(g->in ^ g->iev) & ~outputs(g));

	return (uint8_t)((level & g->is) | (g->edges & ~g->is));
}

static void update(struct pl061 *g)
{
	irq_set(g->dev.irq[0], ris(g) & g->ie);
}

/* What comes in from outside is now @in. */
static void drive(struct pl061 *g, unsigned in)
{
	unsigned changed = (g->in ^ in) & ~(unsigned)outputs(g);

	g->in = (uint8_t)in;
	g->edges |= (uint8_t)(changed & ~g->is & (g->ibe | ~(in ^ g->iev)));
	update(g);
}

static void release_fired(struct device *d)
{
	struct pl061 *g = gpio(d);

	drive(g, g->in & ~POWER_KEY);
}

static uint64_t gpio_read(struct device *d, uint64_t off, unsigned size)
{
	struct pl061 *g = gpio(d);

	(void)size;
	if (off <= DATA_LAST)
		return pins(g) & off >> 2;
	if (off >= PRIMECELL_ID && off % 4 == 0)
		return primecell_id(PRIMECELL_PL061, off);
	switch (off) {
	case DIR: return g->dir;
	case IS: return g->is;
	case IBE: return g->ibe;
	case IEV: return g->iev;
	case IE: return g->ie;
	case RIS: return ris(g);
	case MIS: return ris(g) & g->ie;
	case IC: return 0;
	case AFSEL: return g->afsel;
	}
	guest_err(d, "read of register 0x%x, which is not there", (unsigned)off);
	return 0;
}

static void gpio_write(struct device *d, uint64_t off, unsigned size, uint64_t v)
{
	struct pl061 *g = gpio(d);
	uint8_t val = (uint8_t)v, mask = (uint8_t)(off >> 2);

	(void)size;
	if (off <= DATA_LAST) {
		g->out = (uint8_t)((g->out & ~mask) | (val & mask));
		return;
	}
	switch (off) {
	case DIR: g->dir = val; break;
	case IS: g->is = val; break;
	case IBE: g->ibe = val; break;
	case IEV: g->iev = val; break;
	case IE: g->ie = val; break;
	case IC: g->edges &= (uint8_t)~val; break;
	case AFSEL: g->afsel = val; break;
	default: guest_err(d, "write to register 0x%x, which takes none", (unsigned)off); return;
	}
	update(g);
}

static int power_button(struct pl061 *g, struct err *e)
{
	if (!(g->ie & ~outputs(g) & POWER_KEY))
		return err_set(e, -EAGAIN, "the guest does not listen to the power button");
	drive(g, g->in | POWER_KEY);
	timer_arm(&g->release, clock_now(&g->dev.vm->clock) + PRESS_NS);
	return 0;
}

static int gpio_command(struct device *d, const char *word, struct err *e)
{
	struct pl061 *g = gpio(d);
	unsigned pin;

	if (!strcmp(word, "power-button"))
		return power_button(g, e);
	if (!strncmp(word, "pin ", 4) && word[4] >= '0' && word[4] <= '7') {
		pin = 1u << (word[4] - '0');
		if (!strcmp(word + 5, " high"))
			return drive(g, g->in | pin), 0;
		if (!strcmp(word + 5, " low"))
			return drive(g, g->in & ~pin), 0;
	}
	return err_set(e, -EOPNOTSUPP,
		       "%s knows power-button, \"pin 0 high\" to \"pin 7 low\", not \"%s\"", d->id,
		       word);
}

static int gpio_init(struct device *d, struct err *e)
{
	return timer_init(&gpio(d)->release, d, release_fired, e);
}

static void gpio_reset(struct device *d)
{
	update(gpio(d));
}

static int gpio_loaded(struct device *d, struct err *e)
{
	(void)e;
	update(gpio(d));
	return 0;
}

static void gpio_exit(struct device *d)
{
	timer_exit(&gpio(d)->release);
}

const struct device_class pl061_class = {
	.name = "pl061",
	.help = "PrimeCell GPIO with a power key",
	.size = sizeof(struct pl061),
	.state = &state,
	.io = {{gpio_read, gpio_write, 1 | 2 | 4, AS_MEMORY, .len = PRIMECELL_LEN}},
	.n_irqs = 1,
	.init = gpio_init,
	.reset = gpio_reset,
	.loaded = gpio_loaded,
	.command = gpio_command,
	.exit = gpio_exit,
};
