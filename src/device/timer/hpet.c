/*
 * device/timer/hpet.c - high precision event timers (IA-PC HPET specification 1.0a): a main counter
 * of 100 MHz and three comparators, each one-shot or periodic, 32 or 64 bits wide.
 *
 * Nothing counts.  The counter is a value and the VM time at which it had it; a comparator's match
 * is a VM time computed from that.  A periodic comparator moves on by whole periods, so that it
 * does not drift; matches that Lodge was late for are one interrupt.
 *
 * Wires 0 and 1 are the legacy replacement route: IRQ 0 and IRQ 8, which while it is on are the
 * HPET's alone, as if the 8254 and the RTC had been unplugged.  Wires 2 and 3 are what comparators
 * can be routed to otherwise.  What the board does not connect is not offered.  Every comparator
 * can send a message instead.
 */
#include "arch/x86/defs.h"
#include "core/device.h"
#include "core/vm.h"

#define TIMERS	   3u
#define TICK_NS	   10u
#define TICK_FS	   (TICK_NS * 1000000u)
#define FASTEST_NS 50000u /* a periodic comparator interrupts no more often */

enum { CAPABILITIES = 0x00, CONFIG = 0x10, STATUS = 0x20, COUNTER = 0xf0, TIMER = 0x100 };
enum { TIMER_CONFIG = 0x00, TIMER_COMPARATOR = 0x08, TIMER_ROUTE = 0x10, TIMER_STEP = 0x20 };
enum { ENABLE = 1, LEGACY = 2 };
enum { T_LEVEL = 1 << 1, T_IRQ = 1 << 2, T_PERIODIC = 1 << 3, T_CAN_PERIODIC = 1 << 4 };
enum { T_CAN_WIDE = 1 << 5, T_SET = 1 << 6, T_NARROW = 1 << 8, T_MESSAGE = 1 << 14 };
enum { T_CAN_MESSAGE = 1 << 15, T_ROUTE_SHIFT = 9, T_ROUTE = 0x1f << T_ROUTE_SHIFT };
#define T_WRITABLE \
	((unsigned)(T_LEVEL | T_IRQ | T_PERIODIC | T_SET | T_NARROW | T_ROUTE | T_MESSAGE))
enum { WIRE_IRQ0, WIRE_IRQ8, WIRE_ROUTED, WIRES = 4 };

struct comparator {
	uint32_t config; /* what can be written of it */
	uint64_t match;
	uint64_t period;
	uint64_t message; /* data, and address in the upper half */
};

struct hpet {
	struct device dev;
	uint32_t config, status;
	uint64_t counter; /* its value at VM time start */
	uint64_t start;
	struct comparator timer[TIMERS];
	struct timer due[TIMERS]; /* made anew from the rest */
};

#define C(m, ...) FIELD(struct comparator, m, __VA_ARGS__)
static const struct field comparator_fields[] = {
	C(config, .max = T_WRITABLE),
	C(match, .reset = UINT64_MAX),
	C(period, ),
	C(message, ),
};
static const struct state_table comparator_state =
	STATE_TABLE("hpet-comparator", 1, comparator_fields);

#define H(m, ...) FIELD(struct hpet, m, __VA_ARGS__)
static const struct field fields[] = {
	H(config, .max = ENABLE | LEGACY),
	H(status, .max = (1u << TIMERS) - 1),
	H(counter, ),
	H(start, .max = INT64_MAX / 2),
	FIELD_SUB(struct hpet, timer, struct comparator, &comparator_state, ),
};
static const struct state_table state = STATE_TABLE("hpet", 1, fields);

static struct hpet *hpet(struct device *d)
{
	return container_of(d, struct hpet, dev);
}

static uint64_t now_of(struct hpet *h)
{
	return clock_now(&h->dev.vm->clock);
}

static uint64_t ticks_since_start(const struct hpet *h, uint64_t now)
{
	return h->config & ENABLE && now > h->start ? (now - h->start) / TICK_NS : 0;
}

static uint64_t counter_at(const struct hpet *h, uint64_t now)
{
	return h->counter + ticks_since_start(h, now);
}

static bool can_legacy(const struct hpet *h)
{
	return h->dev.irq[WIRE_IRQ0].chip && h->dev.irq[WIRE_IRQ8].chip;
}

/* Bit n: interrupt n of the I/O APIC is one that a comparator can be routed to. */
static uint32_t routes(const struct hpet *h)
{
	uint32_t mask = 0;

	for (unsigned i = WIRE_ROUTED; i < WIRES; i++)
		if (h->dev.irq[i].chip && h->dev.irq[i].pin < 32)
			mask |= 1u << h->dev.irq[i].pin;
	return mask;
}

/* The wire of comparator @n, or WIRES: none. */
static unsigned wire_of(const struct hpet *h, unsigned n)
{
	uint32_t c = h->timer[n].config;
	unsigned i = WIRE_ROUTED;

	if (h->config & LEGACY && n <= WIRE_IRQ8)
		return n;
	if (c & T_MESSAGE)
		return WIRES;
	while (i < WIRES &&
	       !(h->dev.irq[i].chip && h->dev.irq[i].pin == (c & T_ROUTE) >> T_ROUTE_SHIFT))
		i++;
	return i;
}

/* A wire is up while a comparator in level mode has its status set. */
static void drive(struct hpet *h)
{
	bool level[WIRES + 1] = {false};

	for (unsigned n = 0; n < TIMERS; n++) {
		uint32_t c = h->timer[n].config;

		if (c & T_IRQ && c & T_LEVEL && h->status >> n & 1 && h->config & ENABLE)
			level[wire_of(h, n)] = true;
	}
	for (unsigned i = 0; i < WIRES; i++)
		irq_set(h->dev.irq[i], level[i]);
}

static void interrupt(struct hpet *h, unsigned n)
{
	const struct comparator *c = &h->timer[n];
	unsigned wire = wire_of(h, n);

	if (c->config & T_LEVEL)
		h->status |= 1u << n;
	else if (wire < WIRES)
		irq_pulse(h->dev.irq[wire]);
	else if (c->config & T_MESSAGE && h->dev.vm->irqchip)
		msi_send(h->dev.vm->irqchip,
			 &(struct msi){.addr = c->message >> 32, .data = (uint32_t)c->message});
	drive(h); /* and what a pulse has put down on a shared wire */
}

/* How far @to is from @from, going upwards. */
static uint64_t distance(const struct comparator *c, uint64_t from, uint64_t to)
{
	return c->config & T_NARROW ? (uint32_t)(to - from) : to - from;
}

/* Waits for the next match; @earliest is not 0 if the one of this tick has been. */
static void arm(struct hpet *h, unsigned n, uint64_t earliest)
{
	const struct comparator *c = &h->timer[n];
	uint64_t now = now_of(h), ticks = ticks_since_start(h, now), when;
	uint64_t ahead = distance(c, h->counter + ticks, c->match);

	if (!ahead && earliest)
		ahead = c->config & T_NARROW ? UINT64_C(1) << 32 : UINT64_MAX;
	if (!(h->config & ENABLE) || !(c->config & T_IRQ) || ahead > INT64_MAX / 4 / TICK_NS) {
		if (timer_pending(&h->due[n]))
			timer_cancel(&h->due[n]);
		return;
	}
	when = h->start + (ticks + ahead) * TICK_NS;
	timer_arm(&h->due[n], MAX(when, earliest));
}

/* A periodic comparator's next match lies after @value: that many periods on. */
static void move_on(struct comparator *c, uint64_t value)
{
	uint64_t late = distance(c, c->match, value);

	c->match += (late / c->period + 1) * c->period;
	if (c->config & T_NARROW)
		c->match = (uint32_t)c->match;
}

static bool repeats(const struct comparator *c)
{
	return c->config & T_PERIODIC && c->period;
}

static void fired(struct device *d, unsigned n)
{
	struct hpet *h = hpet(d);
	struct comparator *c = &h->timer[n];
	uint64_t now = now_of(h);

	interrupt(h, n);
	if (repeats(c))
		move_on(c, counter_at(h, now));
	arm(h, n, now + (repeats(c) ? FASTEST_NS : 1)); /* 32 bits go round */
}

static void fired_0(struct device *d)
{
	fired(d, 0);
}

static void fired_1(struct device *d)
{
	fired(d, 1);
}

static void fired_2(struct device *d)
{
	fired(d, 2);
}

static void arm_all(struct hpet *h)
{
	for (unsigned n = 0; n < TIMERS; n++)
		arm(h, n, 0);
}

/* A periodic comparator whose interrupt is off is brought up to date when somebody looks. */
static void catch_up(struct hpet *h, unsigned n)
{
	struct comparator *c = &h->timer[n];
	uint64_t value = counter_at(h, now_of(h)), behind = distance(c, c->match, value);

	if (repeats(c) && !(c->config & T_IRQ) && h->config & ENABLE &&
	    behind < distance(c, value, c->match))
		move_on(c, value);
}

static uint64_t capabilities(const struct hpet *h)
{
	return (uint64_t)TICK_FS << 32 | X86_HPET_ID(can_legacy(h));
}

static uint64_t read_timer(struct hpet *h, unsigned n, uint64_t off)
{
	switch (off) {
	case TIMER_CONFIG:
		return (uint64_t)routes(h) << 32 | T_CAN_PERIODIC | T_CAN_WIDE | T_CAN_MESSAGE |
		       h->timer[n].config;
	case TIMER_COMPARATOR: catch_up(h, n); return h->timer[n].match;
	case TIMER_ROUTE: return h->timer[n].message;
	default: return 0;
	}
}

static uint64_t read_reg(struct hpet *h, uint64_t off)
{
	if (off >= TIMER)
		return off < TIMER + TIMERS * TIMER_STEP
			       ? read_timer(h, (unsigned)(off - TIMER) / TIMER_STEP,
					    off % TIMER_STEP)
			       : 0;
	switch (off) {
	case CAPABILITIES: return capabilities(h);
	case CONFIG: return h->config;
	case STATUS: return h->status;
	case COUNTER: return counter_at(h, now_of(h));
	default: return 0;
	}
}

static void write_config(struct hpet *h, uint32_t val)
{
	uint64_t now = now_of(h), value = counter_at(h, now);
	bool was = h->config & LEGACY;

	h->config = val & (can_legacy(h) ? ENABLE | LEGACY : ENABLE);
	h->counter = value;
	h->start = now;
	if (was != !!(h->config & LEGACY)) {
		drive(h);
		irq_own(h->dev.irq[WIRE_IRQ0], !was);
		irq_own(h->dev.irq[WIRE_IRQ8], !was);
	}
	drive(h);
	arm_all(h);
}

static void write_counter(struct hpet *h, uint64_t val)
{
	if (h->config & ENABLE) {
		guest_err(&h->dev, "the counter is written while it runs");
		return;
	}
	h->counter = val;
}

static void write_timer_config(struct hpet *h, unsigned n, uint32_t val)
{
	struct comparator *c = &h->timer[n];
	uint32_t route = (val & T_ROUTE) >> T_ROUTE_SHIFT;

	catch_up(h, n);
	if (!(routes(h) >> route & 1)) /* it reads back as another: that is the answer */
		val = (val & ~(uint32_t)T_ROUTE) | (c->config & T_ROUTE);
	c->config = val & T_WRITABLE;
	if (c->config & T_NARROW) {
		c->match = (uint32_t)c->match;
		c->period = (uint32_t)c->period;
	}
	if (!(c->config & T_LEVEL))
		h->status &= ~(1u << n);
	drive(h);
	arm(h, n, 0);
}

/* In periodic mode a write gives the period; after VAL_SET also where it begins (§2.3.9.2.2). */
static void write_comparator(struct hpet *h, unsigned n, uint64_t val, uint64_t mask)
{
	struct comparator *c = &h->timer[n];

	if (c->config & T_NARROW)
		mask &= UINT32_MAX;
	if (c->config & T_PERIODIC)
		c->period = (c->period & ~mask) | (val & mask);
	if (!(c->config & T_PERIODIC) || c->config & T_SET)
		c->match = (c->match & ~mask) | (val & mask);
	if (c->config & T_NARROW)
		c->match = (uint32_t)c->match;
	c->config &= ~(uint32_t)T_SET;
	arm(h, n, 0);
}

/* Register @off, of which the bits of @mask are written. */
static void write_timer(struct hpet *h, unsigned n, uint64_t off, uint64_t val, uint64_t mask)
{
	uint64_t *message = &h->timer[n].message;

	switch (off) {
	case TIMER_CONFIG:
		if (mask & UINT32_MAX)
			write_timer_config(h, n, (uint32_t)val);
		break;
	case TIMER_COMPARATOR: write_comparator(h, n, val, mask); break;
	case TIMER_ROUTE: *message = (*message & ~mask) | (val & mask); break;
	default: break;
	}
}

static void write_reg(struct hpet *h, uint64_t off, uint64_t val, uint64_t mask)
{
	if (off >= TIMER) {
		if (off < TIMER + TIMERS * TIMER_STEP)
			write_timer(h, (unsigned)(off - TIMER) / TIMER_STEP, off % TIMER_STEP, val,
				    mask);
		return;
	}
	switch (off) {
	case CONFIG:
		if (mask & UINT32_MAX)
			write_config(h, (uint32_t)val);
		break;
	case STATUS:
		h->status &= ~(uint32_t)(val & mask);
		drive(h);
		break;
	case COUNTER: write_counter(h, (h->counter & ~mask) | (val & mask)); break;
	default: break;
	}
}

static uint64_t window_read(struct device *d, uint64_t off, unsigned size)
{
	uint64_t val = read_reg(hpet(d), off & ~UINT64_C(7));

	return size == 4 ? (uint32_t)(val >> (off & 4) * 8) : val;
}

static void window_write(struct device *d, uint64_t off, unsigned size, uint64_t val)
{
	unsigned shift = (unsigned)(off & 4) * 8;
	uint64_t mask = size == 4 ? (uint64_t)UINT32_MAX << shift : UINT64_MAX;

	write_reg(hpet(d), off & ~UINT64_C(7), val << shift, mask);
}

static int window_init(struct device *d, struct err *e)
{
	static void (*const fn[TIMERS])(struct device * d) = {fired_0, fired_1, fired_2};
	int rc = 0;

	for (unsigned n = 0; n < TIMERS && !rc; n++)
		rc = timer_init(&hpet(d)->due[n], d, fn[n], e);
	for (unsigned n = 0; n < TIMERS && rc; n++)
		timer_exit(&hpet(d)->due[n]);
	return rc;
}

/* What follows from the registers, after they were set as a whole. */
static void follow(struct hpet *h)
{
	irq_own(h->dev.irq[WIRE_IRQ0], h->config & LEGACY);
	irq_own(h->dev.irq[WIRE_IRQ8], h->config & LEGACY);
	drive(h);
	arm_all(h);
}

static void window_reset(struct device *d)
{
	follow(hpet(d));
}

static int window_loaded(struct device *d, struct err *e)
{
	struct hpet *h = hpet(d);

	(void)e;
	if (!can_legacy(h))
		h->config &= ENABLE;
	for (unsigned n = 0; n < TIMERS; n++) {
		struct comparator *c = &h->timer[n];

		c->config &= T_WRITABLE;
		if (c->config & T_NARROW) {
			c->match = (uint32_t)c->match;
			c->period = (uint32_t)c->period;
		}
	}
	follow(h);
	return 0;
}

static void window_exit(struct device *d)
{
	for (unsigned n = 0; n < TIMERS; n++)
		timer_exit(&hpet(d)->due[n]);
}

const struct device_class hpet_class = {
	.name = "hpet",
	.help = "high precision event timers",
	.size = sizeof(struct hpet),
	.state = &state,
	.io = {{window_read, window_write, .sizes = 4 | 8, .space = AS_MEMORY, .len = 0x400,
		.base = X86_HPET_ADDR}},
	.n_irqs = WIRES,
	.init = window_init,
	.reset = window_reset,
	.loaded = window_loaded,
	.exit = window_exit,
};
