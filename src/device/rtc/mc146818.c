/*
 * device/rtc/mc146818.c - real-time clock and CMOS memory (Motorola MC146818A, 1984; IBM PC/AT
 * Technical Reference for the ports and the century byte).
 *
 * Time.  The chip has a timeline T in nanoseconds: wall time plus `phase`, which places the instant
 * at which a second ends.  The date is T in whole seconds plus `offset` seconds; a guest that sets
 * the date changes `offset`, one that restarts the divider chain changes `phase` (the first update
 * comes half a second later).  The date registers are computed when they are read; while the clock
 * is halted (SET, or the divider in reset) they are plain memory, and the date is taken from them
 * when it runs again.  Day of week always follows from the date.
 *
 * Interrupts.  PF, UF and AF become set whether enabled or not, so they are brought up to date
 * (from `synced` to now) whenever they matter.  A timer runs only for an event that is enabled and
 * whose flag is clear: after an interrupt nothing happens until the guest reads register C.
 *
 * The memory, the date and the mode bits are battery-backed: a reset of the machine keeps them.
 */
#include "core/device.h"
#include "core/vm.h"

enum { SEC, SEC_ALARM, MIN_, MIN_ALARM, HOUR, HOUR_ALARM, DOW, DAY, MONTH, YEAR };
enum { REG_A = 10, REG_B, REG_C, REG_D, CENTURY = 0x32, RAM_SIZE = 128 };
enum { A_UIP = 0x80, A_DIV = 0x70, A_DIV_MAX = 0x20, A_RATE = 0x0f };
enum { B_SET = 0x80, B_PIE = 0x40, B_AIE = 0x20, B_UIE = 0x10, B_SQWE = 0x08 };
enum { B_BINARY = 0x04, B_24H = 0x02 };
enum { C_IRQF = 0x80, C_PF = 0x40, C_AF = 0x20, C_UF = 0x10, C_FLAGS = 0x70 };
enum { D_VALID = 0x80, HOUR_PM = 0x80, ALARM_ANY = 0xc0 };

#define NS	  UINT64_C(1000000000)
#define UIP_NS	  244000u /* UIP is set so long before an update [MC146818A, figure 15] */
#define DAY_S	  86400u
#define DAYS_400Y UINT64_C(146097)
#define CYCLE_S	  (25 * DAYS_400Y * DAY_S) /* 10,000 years */
#define NEVER	  UINT64_MAX
/* 0000-03-01 to 1970-01-01 of the proleptic Gregorian calendar, in days. */
#define EPOCH_DAYS UINT64_C(719468)

struct mc146818 {
	struct device dev;
	uint8_t index;
	uint8_t ram[RAM_SIZE];
	uint64_t offset; /* seconds from T's date to the guest's, modulo 10,000 years */
	uint64_t phase;	 /* ns added to wall time */
	uint64_t synced; /* T up to which the flags of register C are known */
	struct timer timer;
};

#define F(m, ...) FIELD(struct mc146818, m, __VA_ARGS__)
static const struct field fields[] = {
	F(index, .max = 0x7f),
	F(ram, .keep = true),
	F(offset, .max = CYCLE_S - 1, .keep = true),
	F(phase, .max = NS - 1, .keep = true),
	F(synced, ),
	F(timer, ),
};
static const struct state_table state = STATE_TABLE("mc146818", 1, fields);

static struct mc146818 *rtc(struct device *d)
{
	return container_of(d, struct mc146818, dev);
}

struct date {
	unsigned year, month, day, dow; /* 0 to 9999, 1 to 12, 1 to 31, 1 (Sunday) to 7 */
	unsigned hour, min, sec;
};

/*
 * Calendar arithmetic in years that begin on 1 March, so that the leap day is the last day of its
 * year: with m counted from March, (153 m + 2) / 5 days lie before month m.  @t counts seconds
 * from 0000-03-01.
 */
static struct date date_of(uint64_t t)
{
	unsigned s = (unsigned)(t % DAY_S);
	uint64_t days = t / DAY_S, d = days % DAYS_400Y, y, m;
	struct date r = {.hour = s / 3600, .min = s / 60 % 60, .sec = s % 60};

	y = (d - d / 1460 + d / 36524 - d / 146096) / 365;
	d -= 365 * y + y / 4 - y / 100;
	m = (5 * d + 2) / 153;
	r.day = (unsigned)(d - (153 * m + 2) / 5 + 1);
	r.month = (unsigned)(m < 10 ? m + 3 : m - 9);
	r.year = (unsigned)((days / DAYS_400Y * 400 + y + (m >= 10)) % 10000);
	r.dow = (unsigned)((days + 3) % 7 + 1); /* 0000-03-01 was a Wednesday */
	return r;
}

static uint64_t seconds_of(const struct date *r)
{
	uint64_t y = r->month < 3 ? (r->year + 9999) % 10000 : r->year;
	uint64_t m = r->month < 3 ? r->month + 9 : r->month - 3;
	uint64_t days = y / 400 * DAYS_400Y + y % 400 * 365 + y % 400 / 4 - y % 400 / 100 +
			(153 * m + 2) / 5 + r->day - 1;

	return days * DAY_S + r->hour * UINT64_C(3600) + r->min * UINT64_C(60) + r->sec;
}

static uint64_t t_now(struct mc146818 *c)
{
	return (uint64_t)clock_wall(&c->dev.vm->clock) + c->phase;
}

/* The guest's date at @t, in seconds from 0000-03-01. */
static uint64_t date_seconds(const struct mc146818 *c, uint64_t t)
{
	return (t / NS + EPOCH_DAYS * DAY_S + c->offset) % CYCLE_S;
}

static bool divider_runs(const struct mc146818 *c)
{
	return (c->ram[REG_A] & A_DIV) <= A_DIV_MAX;
}

static bool running(const struct mc146818 *c)
{
	return divider_runs(c) && !(c->ram[REG_B] & B_SET);
}

/* A number as the data mode of register B has it, and back, brought into [min, max]. */
static uint8_t encode(const struct mc146818 *c, unsigned v)
{
	return (uint8_t)(c->ram[REG_B] & B_BINARY ? v : v / 10 * 16 + v % 10);
}

static unsigned decode(const struct mc146818 *c, uint8_t v)
{
	return c->ram[REG_B] & B_BINARY ? v : v / 16u * 10 + v % 16;
}

static unsigned decode_in(const struct mc146818 *c, unsigned reg, unsigned min, unsigned max)
{
	unsigned v = decode(c, c->ram[reg]);

	return v < min ? min : v > max ? max : v;
}

static uint8_t encode_hour(const struct mc146818 *c, unsigned h)
{
	if (c->ram[REG_B] & B_24H)
		return encode(c, h);
	return encode(c, (h + 11) % 12 + 1) | (h >= 12 ? HOUR_PM : 0);
}

static unsigned decode_hour(const struct mc146818 *c, uint8_t v)
{
	if (c->ram[REG_B] & B_24H)
		return decode(c, v);
	return decode(c, v & 0x7f) % 12 + (v & HOUR_PM ? 12 : 0);
}

/* The date registers from the running clock. */
static void date_to_regs(struct mc146818 *c, uint64_t t)
{
	struct date r = date_of(date_seconds(c, t));

	c->ram[SEC] = encode(c, r.sec);
	c->ram[MIN_] = encode(c, r.min);
	c->ram[HOUR] = encode_hour(c, r.hour);
	c->ram[DOW] = encode(c, r.dow);
	c->ram[DAY] = encode(c, r.day);
	c->ram[MONTH] = encode(c, r.month);
	c->ram[YEAR] = encode(c, r.year % 100);
	c->ram[CENTURY] = encode(c, r.year / 100);
}

/* The clock from the date registers; what is no date becomes the nearest. */
static void date_from_regs(struct mc146818 *c, uint64_t t)
{
	struct date r = {
		.year = decode_in(c, CENTURY, 0, 99) * 100 + decode_in(c, YEAR, 0, 99),
		.month = decode_in(c, MONTH, 1, 12),
		.day = decode_in(c, DAY, 1, 31),
		.hour = MIN(decode_hour(c, c->ram[HOUR]), 23u),
		.min = decode_in(c, MIN_, 0, 59),
		.sec = decode_in(c, SEC, 0, 59),
	};
	uint64_t base = (t / NS + EPOCH_DAYS * DAY_S) % CYCLE_S;

	c->offset = (seconds_of(&r) + CYCLE_S - base) % CYCLE_S;
}

/* Periodic interrupts: how many ticks of the 32768 Hz oscillator apart; 0: none. */
static unsigned period_ticks(const struct mc146818 *c)
{
	unsigned rate = c->ram[REG_A] & A_RATE;

	if (!rate || !divider_runs(c))
		return 0;
	return 1u << (rate < 3 ? rate + 6 : rate - 1);
}

static uint64_t osc_ticks(uint64_t t)
{
	return t / NS * 32768 + t % NS * 32768 / NS;
}

/* The first T at which a periodic event comes after @t. */
static uint64_t next_period(const struct mc146818 *c, uint64_t t)
{
	uint64_t period = period_ticks(c), tick;

	if (!period)
		return NEVER;
	tick = (osc_ticks(t) / period + 1) * period;
	return tick / 32768 * NS + (tick % 32768 * NS + 32767) / 32768;
}

static bool alarm_hit(uint8_t reg, unsigned want, unsigned have)
{
	return reg >= ALARM_ANY || want == have;
}

/*
 * The first T at which the alarm comes after @t.  Skips by hours, then minutes, then seconds: at
 * most 25 + 60 + 60 steps, and an alarm at no time of day runs out of them.
 */
static uint64_t next_alarm(const struct mc146818 *c, uint64_t t)
{
	const uint8_t *ram = c->ram;
	uint64_t s = t / NS + 1;

	for (unsigned i = 0; i < 150; i++) {
		unsigned now = (unsigned)((s + c->offset + EPOCH_DAYS * DAY_S) % CYCLE_S % DAY_S);

		if (!alarm_hit(ram[HOUR_ALARM], decode_hour(c, ram[HOUR_ALARM]), now / 3600))
			s += 3600 - now % 3600;
		else if (!alarm_hit(ram[MIN_ALARM], decode(c, ram[MIN_ALARM]), now / 60 % 60))
			s += 60 - now % 60;
		else if (!alarm_hit(ram[SEC_ALARM], decode(c, ram[SEC_ALARM]), now % 60))
			s++;
		else
			return s * NS;
	}
	return NEVER;
}

static uint64_t next_update(uint64_t t)
{
	return (t / NS + 1) * NS;
}

/* Brings the flags of register C up to date. */
static void sync_flags(struct mc146818 *c, uint64_t t)
{
	if (t < c->synced) /* wall time was set back */
		c->synced = t;
	if (next_period(c, c->synced) <= t)
		c->ram[REG_C] |= C_PF;
	if (running(c) && next_update(c->synced) <= t)
		c->ram[REG_C] |= C_UF;
	if (running(c) && next_alarm(c, c->synced) <= t)
		c->ram[REG_C] |= C_AF;
	c->synced = t;
}

/* Drives the wire and runs the timer if an enabled event is still to come. */
static void update(struct mc146818 *c)
{
	uint8_t want = c->ram[REG_B] & ~c->ram[REG_C] & C_FLAGS;
	uint64_t next = NEVER;

	irq_set(c->dev.irq[0], c->ram[REG_B] & c->ram[REG_C] & C_FLAGS);
	if (want & C_PF)
		next = next_period(c, c->synced);
	if (want & C_UF && running(c))
		next = MIN(next, next_update(c->synced));
	if (want & C_AF && running(c))
		next = MIN(next, next_alarm(c, c->synced));
	if (next != NEVER)
		timer_arm(&c->timer, clock_now(&c->dev.vm->clock) + (next - c->synced));
	else if (timer_pending(&c->timer))
		timer_cancel(&c->timer);
}

static void timer_fired(struct device *d)
{
	struct mc146818 *c = rtc(d);

	sync_flags(c, t_now(c));
	update(c);
}

/* Registers A and B: whatever halts or restarts the clock moves the date to or from memory. */
static void mode_write(struct mc146818 *c, unsigned reg, uint8_t val)
{
	uint64_t t = t_now(c);
	bool ran = running(c), divided = divider_runs(c);

	sync_flags(c, t);
	if (ran)
		date_to_regs(c, t);
	c->ram[reg] = reg == REG_A ? val & ~A_UIP : val;
	if (reg == REG_B && val & B_SET)
		c->ram[REG_B] &= (uint8_t)~B_UIE; /* setting SET clears UIE */
	if (!divided && divider_runs(c)) {
		c->phase = (c->phase + NS + NS / 2 - t % NS) % NS;
		t = c->synced = t_now(c);
	}
	if (running(c) && !ran)
		date_from_regs(c, t);
	update(c);
}

static void date_write(struct mc146818 *c, unsigned reg, uint8_t val)
{
	uint64_t t = t_now(c);

	sync_flags(c, t);
	if (running(c))
		date_to_regs(c, t);
	c->ram[reg] = val;
	if (running(c))
		date_from_regs(c, t);
	update(c);
}

static uint8_t data_read(struct mc146818 *c)
{
	uint64_t t = t_now(c);
	uint8_t val;

	switch (c->index) {
	case SEC:
	case MIN_:
	case HOUR:
	case DOW:
	case DAY:
	case MONTH:
	case YEAR:
	case CENTURY:
		if (running(c))
			date_to_regs(c, t);
		break;
	case REG_A:
		return c->ram[REG_A] | (running(c) && NS - t % NS <= UIP_NS ? A_UIP : 0);
	case REG_C:
		sync_flags(c, t);
		val = c->ram[REG_C] & C_FLAGS;
		val |= val & c->ram[REG_B] ? C_IRQF : 0;
		c->ram[REG_C] = 0;
		update(c);
		return val;
	case REG_D: return D_VALID;
	}
	return c->ram[c->index];
}

static uint64_t rtc_read(struct device *d, uint64_t off, unsigned size)
{
	(void)size;
	return off == 0 ? 0xff : data_read(rtc(d)); /* the index cannot be read back */
}

static void rtc_write(struct device *d, uint64_t off, unsigned size, uint64_t v)
{
	struct mc146818 *c = rtc(d);
	uint8_t val = (uint8_t)v;

	(void)size;
	if (off == 0) {
		c->index = val & 0x7f; /* bit 7 masks the NMI on a PC */
		return;
	}
	if (c->index <= YEAR || c->index == CENTURY)
		date_write(c, c->index, val);
	else if (c->index == REG_A || c->index == REG_B)
		mode_write(c, c->index, val);
	else if (c->index != REG_C && c->index != REG_D)
		c->ram[c->index] = val;
}

static int rtc_init(struct device *d, struct err *e)
{
	struct mc146818 *c = rtc(d);

	c->ram[REG_A] = 0x26; /* 32768 Hz, periodic rate 1024 Hz: what a BIOS sets */
	c->ram[REG_B] = B_24H;
	return timer_init(&c->timer, d, timer_fired, e);
}

/* The RESET pin [MC146818A, "Reset"]; the rest is battery-backed. */
static void rtc_reset(struct device *d)
{
	struct mc146818 *c = rtc(d);

	c->ram[REG_B] &= (uint8_t)~(B_PIE | B_AIE | B_UIE | B_SQWE);
	c->ram[REG_C] = 0;
	c->synced = t_now(c);
	update(c);
}

/* VM time and wall time have moved against each other: the timer is made anew. */
static void rtc_resume(struct device *d)
{
	timer_fired(d);
}

static int rtc_loaded(struct device *d, struct err *e)
{
	(void)e;
	timer_fired(d);
	return 0;
}

static void rtc_exit(struct device *d)
{
	timer_exit(&rtc(d)->timer);
}

const struct device_class mc146818_class = {
	.name = "mc146818",
	.help = "real-time clock and CMOS memory",
	.size = sizeof(struct mc146818),
	.state = &state,
	.io = {{rtc_read, rtc_write, .sizes = 1, .space = AS_PORTS, .len = 2, .base = 0x70,
		.held_len = 1}}, /* the index, which shows in the data only */
	.n_irqs = 1,
	.init = rtc_init,
	.reset = rtc_reset,
	.loaded = rtc_loaded,
	.resume = rtc_resume,
	.exit = rtc_exit,
};
