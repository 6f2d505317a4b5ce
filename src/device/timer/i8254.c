/*
 * device/timer/i8254.c - programmable interval timer (Intel 8254, 231164) and port 0x61 of a PC,
 * which drives the gate of counter 2 and shows its output (IBM PC/AT Technical Reference).
 *
 * For machines whose accelerator has no timer of its own.
 *
 * Nothing counts.  A counter remembers the VM time at which it began, and its value and output are
 * computed from the ticks of 1193182 Hz since then.  While the gate of counter 2 holds it, it
 * remembers how far it had come.  A new count takes effect at once, where the chip would finish
 * the period or wait for the next clock.
 *
 * Counter 0 raises IRQ 0 at each rising edge of its output.  A timer runs for the next edge; if
 * Lodge comes late the edges that were missed are not made up for.
 */
#include "core/device.h"
#include "core/vm.h"

#define HZ	   UINT64_C(1193182)
#define NS	   UINT64_C(1000000000)
#define REFRESH_NS 15085u  /* half a period of the DRAM refresh, port 0x61 bit 4 */
#define FASTEST_NS 100000u /* edges come no faster, whatever the guest asks for */

enum { RW_LATCH, RW_LOW, RW_HIGH, RW_WORD }; /* control word 5:4 */
enum { PORT_GATE = 0x01, PORT_SPEAKER = 0x02, PORT_REFRESH = 0x10, PORT_OUT = 0x20 };
enum { STATUS_OUT = 0x80, STATUS_NULL = 0x40 };

struct counter {
	uint8_t mode, rw;
	bool bcd, gate;
	bool loaded;	   /* it has a count: before that it does not count */
	bool write_high;   /* the next byte written is the high one */
	bool read_high;	   /* the next byte read is the high one */
	bool latched, status_latched;
	uint8_t low;	   /* low byte of a word that is being written */
	uint8_t status;
	uint16_t latch;
	uint32_t count;	   /* 1 to 65536 */
	uint64_t start;	   /* VM time at which it began */
	uint64_t held;	   /* gate low: ticks it had come */
};

struct i8254 {
	struct device dev;
	struct counter counter[3];
	bool speaker;
	struct timer edge;
};

/* The bounds of times keep sums of them from overflowing. */
#define C(m, ...) FIELD(struct counter, m, __VA_ARGS__)
static const struct field counter_fields[] = {
	C(mode, .max = 5), C(rw, .max = 3, .reset = RW_WORD), C(bcd, ), C(gate, .reset = true),
	C(loaded, ), C(write_high, ), C(read_high, ), C(latched, ), C(status_latched, ), C(low, ),
	C(status, ), C(latch, ), C(count, .max = 65536, .reset = 65536),
	C(start, .max = INT64_MAX / 2), C(held, .max = UINT64_C(1) << 52),
};
static const struct state_table counter_state = STATE_TABLE("i8254-counter", 1, counter_fields);

static const struct field fields[] = {
	FIELD_SUB(struct i8254, counter, struct counter, &counter_state, ),
	FIELD(struct i8254, speaker, ),
	FIELD(struct i8254, edge, ),
};
static const struct state_table state = STATE_TABLE("i8254", 1, fields);

static struct i8254 *pit(struct device *d)
{
	return container_of(d, struct i8254, dev);
}

static uint64_t to_ticks(uint64_t ns)
{
	return ns / NS * HZ + ns % NS * HZ / NS;
}

static uint64_t to_ns(uint64_t ticks) /* rounded up: then the tick is there */
{
	return ticks / HZ * NS + (ticks % HZ * NS + HZ - 1) / HZ;
}

/* How long the period is; a state from outside may hold 0. */
static uint64_t period(const struct counter *c)
{
	return MAX(c->count, 1);
}

/* Gate low stops modes 0 and 4 where they are, and holds modes 2 and 3 at their beginning. */
static bool stopped(const struct counter *c)
{
	return !c->loaded || (!c->gate && c->mode != 1 && c->mode != 5);
}

static uint64_t elapsed(const struct counter *c, uint64_t now)
{
	if (stopped(c))
		return c->mode == 2 || c->mode == 3 ? 0 : c->held;
	return now < c->start ? 0 : to_ticks(now - c->start);
}

static bool output(const struct counter *c, uint64_t now)
{
	uint64_t t = elapsed(c, now), n = period(c);

	switch (c->mode) {
	case 0: return c->loaded && t >= n;
	case 1: return !c->loaded || t >= n;
	case 2: return stopped(c) || t % n != n - 1;
	case 3: return stopped(c) || t % n < (n + 1) / 2;
	default: return !c->loaded || t != n;
	}
}

static uint16_t value(const struct counter *c, uint64_t now)
{
	uint64_t t = elapsed(c, now), n = period(c), v;
	uint64_t wrap = c->bcd ? 10000 : 65536;

	if (c->mode == 2)
		v = n - t % n;
	else if (c->mode == 3) /* counts down by two, twice a period; odd counts begin one lower */
		v = (n & ~UINT64_C(1)) - 2 * (t % n % ((n + 1) / 2));
	else
		v = (n + wrap - t % wrap) % wrap;
	if (!c->bcd)
		return (uint16_t)v;
	v %= 10000;
	return (uint16_t)(v / 1000 << 12 | v / 100 % 10 << 8 | v / 10 % 10 << 4 | v % 10);
}

/* VM time of the first rising edge after @now, UINT64_MAX: none. */
static uint64_t next_edge(const struct counter *c, uint64_t now)
{
	uint64_t t = elapsed(c, now), n = period(c);

	if (stopped(c))
		return UINT64_MAX;
	if (c->mode == 2 || c->mode == 3)
		return c->start + to_ns((t / n + 1) * n);
	if (c->mode < 2)
		return t < n ? c->start + to_ns(n) : UINT64_MAX;
	return t <= n ? c->start + to_ns(n + 1) : UINT64_MAX;
}

/* The wire follows the output of counter 0, and the timer waits for its next rising edge. */
static void update(struct i8254 *p)
{
	uint64_t now = clock_now(&p->dev.vm->clock), next = next_edge(&p->counter[0], now);

	irq_set(p->dev.irq[0], output(&p->counter[0], now));
	if (next != UINT64_MAX && (p->counter[0].mode == 2 || p->counter[0].mode == 3))
		next = MAX(next, now + FASTEST_NS);
	if (next != UINT64_MAX)
		timer_arm(&p->edge, next);
	else if (timer_pending(&p->edge))
		timer_cancel(&p->edge);
}

static void edge_fired(struct device *d)
{
	irq_set(d->irq[0], false);
	irq_set(d->irq[0], true); /* also if Lodge came so late that the output is low again */
	update(pit(d));
}

static void begin(struct i8254 *p, struct counter *c)
{
	c->start = clock_now(&p->dev.vm->clock);
	c->held = 0;
}

static void load(struct i8254 *p, struct counter *c, uint16_t v)
{
	uint32_t n = v;

	if (c->bcd)
		n = (v >> 12) * 1000u + (v >> 8 & 15) * 100u + (v >> 4 & 15) * 10u + (v & 15);
	c->count = n ? n : c->bcd ? 10000 : 65536;
	if (c->loaded && (c->mode == 1 || c->mode == 5))
		return; /* the next trigger takes it */
	c->loaded = true;
	begin(p, c);
	if (c->mode == 1 || c->mode == 5)
		c->start = c->held = 0; /* not triggered yet: long past its end */
}

static void counter_write(struct i8254 *p, struct counter *c, uint8_t val)
{
	switch (c->rw) {
	case RW_LOW: load(p, c, val); break;
	case RW_HIGH: load(p, c, (uint16_t)(val << 8)); break;
	default:
		if (c->write_high)
			load(p, c, (uint16_t)(val << 8 | c->low));
		else
			c->low = val;
		c->write_high = !c->write_high;
	}
}

static uint8_t counter_read(struct i8254 *p, struct counter *c)
{
	uint16_t v = c->latched ? c->latch : value(c, clock_now(&p->dev.vm->clock));
	bool high = c->rw == RW_HIGH || (c->rw == RW_WORD && c->read_high);

	if (c->status_latched) {
		c->status_latched = false;
		return c->status;
	}
	if (c->rw == RW_WORD)
		c->read_high = !c->read_high;
	if (c->rw != RW_WORD || high)
		c->latched = false;
	return (uint8_t)(high ? v >> 8 : v);
}

static void latch_count(struct counter *c, uint64_t now)
{
	if (!c->latched)
		c->latch = value(c, now);
	c->latched = true;
}

static void latch_status(struct counter *c, uint64_t now)
{
	if (!c->status_latched)
		c->status = (uint8_t)((output(c, now) ? STATUS_OUT : 0) |
				      (c->loaded ? 0 : STATUS_NULL) | c->rw << 4 | c->mode << 1 |
				      c->bcd);
	c->status_latched = true;
}

static void control_write(struct i8254 *p, uint8_t val)
{
	uint64_t now = clock_now(&p->dev.vm->clock);
	struct counter *c;

	if (val >> 6 == 3) { /* read-back: bits 3:1 choose counters, 5 and 4 are active low */
		for (unsigned i = 0; i < 3; i++) {
			if (!(val >> (i + 1) & 1))
				continue;
			if (!(val & 0x20))
				latch_count(&p->counter[i], now);
			if (!(val & 0x10))
				latch_status(&p->counter[i], now);
		}
		return;
	}
	c = &p->counter[val >> 6];
	if ((val >> 4 & 3) == RW_LATCH) {
		latch_count(c, now);
		return;
	}
	c->rw = val >> 4 & 3;
	c->mode = (val >> 1 & 7) > 5 ? val >> 1 & 3 : val >> 1 & 7; /* 6 and 7 are 2 and 3 */
	c->bcd = val & 1;
	c->loaded = c->latched = c->status_latched = c->read_high = c->write_high = false;
	c->held = 0;
}

static uint64_t pit_read(struct device *d, uint64_t off, unsigned size)
{
	(void)size;
	if (off == 3)
		return 0xff; /* the control word cannot be read */
	return counter_read(pit(d), &pit(d)->counter[off]);
}

static void pit_write(struct device *d, uint64_t off, unsigned size, uint64_t val)
{
	struct i8254 *p = pit(d);

	(void)size;
	if (off < 3)
		counter_write(p, &p->counter[off], (uint8_t)val);
	else
		control_write(p, (uint8_t)val);
	update(p);
}

static void gate_set(struct i8254 *p, struct counter *c, bool gate)
{
	uint64_t now = clock_now(&p->dev.vm->clock), ran = elapsed(c, now), ago = to_ns(c->held);

	if (gate == c->gate)
		return;
	c->gate = gate;
	if (!gate)
		c->held = ran;
	else if (c->mode == 0 || c->mode == 4)
		c->start = now - MIN(ago, now); /* goes on where it stopped */
	else
		begin(p, c);
}

static uint64_t port61_read(struct device *d, uint64_t off, unsigned size)
{
	struct i8254 *p = pit(d);
	uint64_t now = clock_now(&d->vm->clock);

	(void)off, (void)size;
	return (p->counter[2].gate ? PORT_GATE : 0u) | (p->speaker ? PORT_SPEAKER : 0u) |
	       (now / REFRESH_NS & 1 ? PORT_REFRESH : 0u) |
	       (output(&p->counter[2], now) ? PORT_OUT : 0u);
}

static void port61_write(struct device *d, uint64_t off, unsigned size, uint64_t val)
{
	struct i8254 *p = pit(d);

	(void)off, (void)size;
	p->speaker = val & PORT_SPEAKER;
	gate_set(p, &p->counter[2], val & PORT_GATE);
}

static int pit_init(struct device *d, struct err *e)
{
	return timer_init(&pit(d)->edge, d, edge_fired, e);
}

static void pit_reset(struct device *d)
{
	pit(d)->counter[2].gate = false;
	update(pit(d));
}

static int pit_loaded(struct device *d, struct err *e)
{
	(void)e;
	update(pit(d));
	return 0;
}

static void pit_exit(struct device *d)
{
	timer_exit(&pit(d)->edge);
}

const struct device_class i8254_class = {
	.name = "i8254",
	.help = "interval timer and port 0x61, for accelerators without one",
	.size = sizeof(struct i8254),
	.state = &state,
	.io = {{pit_read, pit_write, .sizes = 1, .space = AS_PORTS, .len = 4, .base = 0x40},
	       {port61_read, port61_write, .sizes = 1, .space = AS_PORTS, .len = 1, .base = 0x61}},
	.n_irqs = 1,
	.init = pit_init,
	.reset = pit_reset,
	.loaded = pit_loaded,
	.exit = pit_exit,
};
