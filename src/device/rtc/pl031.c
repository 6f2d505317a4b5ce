/*
 * device/rtc/pl031.c - PrimeCell real-time clock PL031 [ARM DDI 0224].
 *
 *	0x00 DR   R   the counter: seconds
 *	0x04 MR   RW  match: the counter's value that makes an interrupt
 *	0x08 LR   RW  load: a write sets the counter; reads what was written last
 *	0x0c CR   RW  bit 0: the counter runs
 *	0x10 IMSC RW  0x14 RIS R  0x18 MIS R  0x1c ICR W   bit 0: the match interrupt
 *	0xfe0 PeriphID0-3, PCellID0-3 R
 *
 * Nothing counts.  The counter is wall time in whole seconds plus `offset`, modulo 2^32; a guest
 * that sets the time changes `offset`.  It is battery-backed, so a reset of the machine keeps it,
 * and firmware has started it: CR reads 1, and as the manual says nothing but the reset of a real
 * board could stop it [§3.3.4].
 *
 * The raw interrupt becomes set when the counter arrives at MR, or when the guest makes them equal,
 * whether it is enabled or not, so it is brought up to date (from `synced` to now) whenever it
 * matters.  A timer runs only for an interrupt that is enabled and still to come.
 */
#include "core/device.h"
#include "core/vm.h"
#include "device/primecell.h"

#define NS UINT64_C(1000000000)

enum { DR = 0, MR = 4, LR = 8, CR = 0xc, IMSC = 0x10, RIS = 0x14, MIS = 0x18, ICR = 0x1c };

struct pl031 {
	struct device dev;
	uint32_t mr, lr;
	uint32_t offset; /* counter minus wall time in seconds */
	bool imsc, ris;
	uint64_t synced; /* wall time in seconds up to which `ris` is known */
	struct timer match;
};

#define F(m, ...) FIELD(struct pl031, m, __VA_ARGS__)
static const struct field fields[] = {
	F(mr, ), F(lr, ), F(offset, .keep = true), F(imsc, ), F(ris, ), F(synced, ), F(match, ),
};
static const struct state_table state = STATE_TABLE("pl031", 1, fields);

static struct pl031 *rtc(struct device *d)
{
	return container_of(d, struct pl031, dev);
}

static uint64_t wall_ns(struct pl031 *c)
{
	return (uint64_t)clock_wall(&c->dev.vm->clock);
}

static uint32_t counter(const struct pl031 *c, uint64_t seconds)
{
	return (uint32_t)seconds + c->offset;
}

/* Seconds from @seconds of wall time until the counter next arrives at MR: 1 to 2^32. */
static uint64_t until_match(const struct pl031 *c, uint64_t seconds)
{
	return UINT64_C(1) + (uint32_t)(c->mr - counter(c, seconds) - 1);
}

static void sync_ris(struct pl031 *c)
{
	uint64_t now = wall_ns(c) / NS;

	if (now < c->synced) /* wall time was set back */
		c->synced = now;
	if (now - c->synced >= until_match(c, c->synced))
		c->ris = true;
	c->synced = now;
}

/* Drives the wire and runs the timer if an enabled interrupt is still to come. */
static void update(struct pl031 *c)
{
	uint64_t t = wall_ns(c);

	sync_ris(c);
	irq_set(c->dev.irq[0], c->ris && c->imsc);
	if (c->imsc && !c->ris)
		timer_arm(&c->match,
			  clock_now(&c->dev.vm->clock) + until_match(c, t / NS) * NS - t % NS);
	else if (timer_pending(&c->match))
		timer_cancel(&c->match);
}

static void match_fired(struct device *d)
{
	update(rtc(d));
}

static uint64_t rtc_read(struct device *d, uint64_t off, unsigned size)
{
	struct pl031 *c = rtc(d);

	(void)size;
	if (off >= PRIMECELL_ID)
		return primecell_id(PRIMECELL_PL031, off);
	switch (off) {
	case DR: return counter(c, wall_ns(c) / NS);
	case MR: return c->mr;
	case LR: return c->lr;
	case CR: return 1;
	case IMSC: return c->imsc;
	case RIS: update(c); return c->ris;
	case MIS: update(c); return c->ris && c->imsc;
	case ICR: return 0;
	}
	guest_err(d, "read of register 0x%x, which is not there", (unsigned)off);
	return 0;
}

static void rtc_write(struct device *d, uint64_t off, unsigned size, uint64_t val)
{
	struct pl031 *c = rtc(d);

	(void)size;
	sync_ris(c); /* under the old values */
	switch (off) {
	case MR: c->mr = (uint32_t)val; break;
	case LR:
		c->lr = (uint32_t)val;
		c->offset = c->lr - (uint32_t)c->synced;
		break;
	case CR: return;
	case IMSC: c->imsc = val & 1; break;
	case ICR:
		if (val & 1)
			c->ris = false;
		break;
	default: guest_err(d, "write to register 0x%x, which takes none", (unsigned)off); return;
	}
	if ((off == MR || off == LR) && counter(c, c->synced) == c->mr)
		c->ris = true;
	update(c);
}

static int rtc_init(struct device *d, struct err *e)
{
	return timer_init(&rtc(d)->match, d, match_fired, e);
}

static void rtc_reset(struct device *d)
{
	struct pl031 *c = rtc(d);

	c->synced = wall_ns(c) / NS;
	update(c);
}

/* VM time and wall time have moved against each other: the timer is made anew. */
static void rtc_resume(struct device *d)
{
	update(rtc(d));
}

static int rtc_loaded(struct device *d, struct err *e)
{
	(void)e;
	update(rtc(d));
	return 0;
}

static void rtc_exit(struct device *d)
{
	timer_exit(&rtc(d)->match);
}

const struct device_class pl031_class = {
	.name = "pl031",
	.help = "PrimeCell real-time clock",
	.size = sizeof(struct pl031),
	.state = &state,
	.io = {{rtc_read, rtc_write, .sizes = 4, .space = AS_MEMORY, .len = PRIMECELL_LEN}},
	.n_irqs = 1,
	.init = rtc_init,
	.reset = rtc_reset,
	.loaded = rtc_loaded,
	.resume = rtc_resume,
	.exit = rtc_exit,
};
