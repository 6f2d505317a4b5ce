/*
 * device/timer/i8254.c - programmable interval timer (Intel 8254, 231164) and port 0x61 of a PC,
 * which drives the gate of counter 2 and shows its output (IBM PC/AT Technical Reference).
 *
 * For machines whose accelerator has no timer of its own.  The counters are vm->chips->pit, under
 * the device's lock, and are saved with the other chips of the board, so that a state moves to and
 * from KVM's timer.
 *
 * Nothing counts.  A counter remembers the VM time at which it began, and its value and output are
 * computed from the ticks of 1193182 Hz since then.  While the gate of counter 2 holds it, it
 * remembers how far it had come.  A new count takes effect at once, where the chip would finish
 * the period or wait for the next clock.
 *
 * Counter 0 pulses IRQ 0 at each rising edge of its output, as KVM's timer does: nobody wires it as
 * a level, and a saved state then means the same to both.  A timer runs for the next edge; if Lodge
 * comes late the edges that were missed are not made up for.
 */
#include <errno.h>

#include "arch/arch.h"
#include "arch/x86/chips.h"
#include "core/device.h"
#include "core/vm.h"

#define HZ	   UINT64_C(1193182)
#define NS	   UINT64_C(1000000000)
#define REFRESH_NS 15085u  /* half a period of the DRAM refresh, port 0x61 bit 4 */
#define FASTEST_NS 100000u /* edges come no faster, whatever the guest asks for */

/* Control word 5:4; read_state, write_state and count_latched go on to RW_SECOND. */
enum { RW_LATCH, RW_LOW, RW_HIGH, RW_WORD, RW_SECOND };
enum { PORT_GATE = 0x01, PORT_SPEAKER = 0x02, PORT_REFRESH = 0x10, PORT_OUT = 0x20 };
enum { STATUS_OUT = 0x80, STATUS_NULL = 0x40 };

struct i8254 {
	struct device dev;
	struct timer edge;
};

static struct i8254 *pit(struct device *d)
{
	return container_of(d, struct i8254, dev);
}

static struct x86_pit *state_of(struct i8254 *p)
{
	return &((struct x86_chips *)p->dev.vm->chips)->pit;
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
static uint64_t period(const struct x86_pit_channel *c)
{
	return MAX(c->count, 1);
}

/* It has a mode and a count; a state from outside may hold any mode. */
static bool loaded(const struct x86_pit_channel *c)
{
	return c->mode <= 5 && !c->null_count;
}

/* Gate low stops modes 0 and 4 where they are, and holds modes 2 and 3 at their beginning. */
static bool stopped(const struct x86_pit_channel *c)
{
	return !loaded(c) || (!c->gate && c->mode != 1 && c->mode != 5);
}

static uint64_t elapsed(const struct x86_pit_channel *c, uint64_t now)
{
	if (stopped(c))
		return c->mode == 2 || c->mode == 3 ? 0 : c->held;
	return now < c->start ? 0 : to_ticks(now - c->start);
}

static bool output(const struct x86_pit_channel *c, uint64_t now)
{
	uint64_t t = elapsed(c, now), n = period(c);

	switch (c->mode) {
	case 0: return loaded(c) && t >= n;
	case 1: return !loaded(c) || t >= n;
	case 2: return stopped(c) || t % n != n - 1;
	case 3: return stopped(c) || t % n < (n + 1) / 2;
	case 4:
	case 5: return !loaded(c) || t != n;
	default: return false; /* whatever it is at power-on */
	}
}

static uint16_t value(const struct x86_pit_channel *c, uint64_t now)
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
static uint64_t next_edge(const struct x86_pit_channel *c, uint64_t now)
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

/* Waits for the next rising edge of counter 0, @earliest in the periodic modes. */
static void arm(struct i8254 *p, uint64_t earliest)
{
	const struct x86_pit_channel *c = &state_of(p)->channel[0];
	uint64_t next = next_edge(c, clock_now(&p->dev.vm->clock));

	if (next != UINT64_MAX && !state_of(p)->legacy_off)
		timer_arm(&p->edge, c->mode == 2 || c->mode == 3 ? MAX(next, earliest) : next);
	else if (timer_pending(&p->edge))
		timer_cancel(&p->edge);
}

static void edge_fired(struct device *d)
{
	irq_pulse(d->irq[0]);
	arm(pit(d), clock_now(&d->vm->clock) + FASTEST_NS);
}

static void begin(struct i8254 *p, struct x86_pit_channel *c)
{
	c->start = clock_now(&p->dev.vm->clock);
	c->held = 0;
}

static void load(struct i8254 *p, struct x86_pit_channel *c, uint16_t v)
{
	uint32_t n = v;

	if (c->bcd)
		n = (v >> 12) * 1000u + (v >> 8 & 15) * 100u + (v >> 4 & 15) * 10u + (v & 15);
	c->count = n ? n : c->bcd ? 10000 : 65536;
	if (loaded(c) && (c->mode == 1 || c->mode == 5))
		return; /* the next trigger takes it */
	c->null_count = false;
	begin(p, c);
	if (c->mode == 1 || c->mode == 5)
		c->start = c->held = 0; /* not triggered yet: long past its end */
}

static void counter_write(struct i8254 *p, struct x86_pit_channel *c, uint8_t val)
{
	switch (c->write_state) {
	case RW_HIGH: load(p, c, (uint16_t)(val << 8)); break;
	case RW_WORD:
		c->write_latch = val;
		c->write_state = RW_SECOND;
		break;
	case RW_SECOND:
		load(p, c, (uint16_t)(val << 8 | c->write_latch));
		c->write_state = RW_WORD;
		break;
	default: load(p, c, val);
	}
}

/* One byte of @v as @step says, which moves on to the next. */
static uint8_t read_byte(uint16_t v, uint8_t *step)
{
	bool high = *step == RW_HIGH || *step == RW_SECOND;

	if (*step >= RW_WORD)
		*step = *step == RW_WORD ? RW_SECOND : RW_WORD;
	return (uint8_t)(high ? v >> 8 : v);
}

static uint8_t counter_read(struct i8254 *p, struct x86_pit_channel *c)
{
	if (c->status_latched) {
		c->status_latched = false;
		return c->status;
	}
	if (c->count_latched) {
		bool word = c->count_latched == RW_WORD;
		uint8_t val = read_byte(c->latched_count, &c->count_latched);

		c->count_latched = word ? RW_HIGH : 0;
		return val;
	}
	return read_byte(value(c, clock_now(&p->dev.vm->clock)), &c->read_state);
}

static void latch_count(struct x86_pit_channel *c, uint64_t now)
{
	if (c->count_latched)
		return;
	c->latched_count = value(c, now);
	c->count_latched = c->rw_mode;
}

static void latch_status(struct x86_pit_channel *c, uint64_t now)
{
	if (!c->status_latched)
		c->status = (uint8_t)((output(c, now) ? STATUS_OUT : 0) |
				      (loaded(c) ? 0 : STATUS_NULL) | c->rw_mode << 4 |
				      (c->mode & 7) << 1 | c->bcd);
	c->status_latched = true;
}

static void control_write(struct i8254 *p, uint8_t val)
{
	uint64_t now = clock_now(&p->dev.vm->clock);
	struct x86_pit_channel *c;

	if (val >> 6 == 3) { /* read-back: bits 3:1 choose counters, 5 and 4 are active low */
		for (unsigned i = 0; i < 3; i++) {
			if (!(val >> (i + 1) & 1))
				continue;
			if (!(val & 0x20))
				latch_count(&state_of(p)->channel[i], now);
			if (!(val & 0x10))
				latch_status(&state_of(p)->channel[i], now);
		}
		return;
	}
	c = &state_of(p)->channel[val >> 6];
	if ((val >> 4 & 3) == RW_LATCH) {
		latch_count(c, now);
		return;
	}
	c->rw_mode = c->read_state = c->write_state = val >> 4 & 3;
	c->mode = (val >> 1 & 7) > 5 ? val >> 1 & 3 : val >> 1 & 7; /* 6 and 7 are 2 and 3 */
	c->bcd = val & 1;
	c->null_count = true;
	c->status_latched = false;
	c->count_latched = 0;
	c->held = 0;
}

static uint64_t pit_read(struct device *d, uint64_t off, unsigned size)
{
	(void)size;
	if (off == 3)
		return 0xff; /* the control word cannot be read */
	return counter_read(pit(d), &state_of(pit(d))->channel[off]);
}

static void pit_write(struct device *d, uint64_t off, unsigned size, uint64_t val)
{
	struct i8254 *p = pit(d);

	/* A latch command changes nothing, and a guest that polls must not put off its own tick. */
	bool tick = off == 0 || (off == 3 && !(val & 0xc0) && val & 0x30);

	(void)size;
	if (off < 3)
		counter_write(p, &state_of(p)->channel[off], (uint8_t)val);
	else
		control_write(p, (uint8_t)val);
	if (tick)
		arm(p, clock_now(&d->vm->clock) + FASTEST_NS);
}

static void gate_set(struct i8254 *p, struct x86_pit_channel *c, bool gate)
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
	const struct x86_pit *s = state_of(pit(d));
	uint64_t now = clock_now(&d->vm->clock);

	(void)off, (void)size;
	return (s->channel[2].gate ? PORT_GATE : 0u) | (s->speaker ? PORT_SPEAKER : 0u) |
	       (now / REFRESH_NS & 1 ? PORT_REFRESH : 0u) |
	       (output(&s->channel[2], now) ? PORT_OUT : 0u);
}

static void port61_write(struct device *d, uint64_t off, unsigned size, uint64_t val)
{
	struct x86_pit *s = state_of(pit(d));

	(void)off, (void)size;
	s->speaker = val & PORT_SPEAKER;
	gate_set(pit(d), &s->channel[2], val & PORT_GATE);
}

static int pit_init(struct device *d, struct err *e)
{
	if (d->vm->arch == &arch_x86)
		return timer_init(&pit(d)->edge, d, edge_fired, e);
	err_set(e, -ENOTSUP, "it is a timer of x86 machines");
	return err_kind(e, ERR_CONFIG);
}

static void pit_reset(struct device *d)
{
	x86_pit_reset(state_of(pit(d)));
	arm(pit(d), 0);
}

static int pit_loaded(struct device *d, struct err *e)
{
	(void)e;
	arm(pit(d), 0);
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
	.stateless = true,
	.io = {{pit_read, pit_write, .sizes = 1, .space = AS_PORTS, .len = 4, .base = 0x40},
	       {port61_read, port61_write, .sizes = 1, .space = AS_PORTS, .len = 1, .base = 0x61}},
	.n_irqs = 1,
	.init = pit_init,
	.reset = pit_reset,
	.loaded = pit_loaded,
	.exit = pit_exit,
};
