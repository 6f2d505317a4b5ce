/*
 * device/timer/acpi_pm.c - ACPI fixed hardware: power-management events and control, the PM timer,
 * the power button and the reset register [ACPI 6.5 §4.8.3].  The layout is in arch/x86/pm.h,
 * which the ACPI tables are made from too.
 *
 * The PM timer is VM time in units of 1/3579545 s; nothing counts.  Its status bit, which is set
 * each time the highest bit of the counter changes (every 10 minutes), is brought up to date when
 * somebody looks, and a timer runs only while the guest wants the event.
 */
#include <errno.h>
#include <string.h>

#include "arch/x86/pm.h"
#include "core/device.h"
#include "core/vm.h"

_Static_assert(X86_PM_TMR_BITS == 32, "timer_read cuts the counter to 32 bits");

#define NS	 1000000000u
#define CNT_KEPT (X86_PM1_CNT_BM_RLD | X86_PM1_CNT_SLP_TYP(7))

struct acpi_pm {
	struct device dev;
	uint16_t sts, en, cnt;
	uint64_t half; /* counter >> (BITS - 1) when TMR_STS was last brought up to date */
	struct timer carry;
};

#define F(m, ...) FIELD(struct acpi_pm, m, __VA_ARGS__)
static const struct field fields[] = {
	F(sts, .max = X86_PM1_EVENTS),
	F(en, .max = X86_PM1_EN_MASK),
	F(cnt, .max = CNT_KEPT),
	F(half, ),
	F(carry, ),
};
static const struct state_table state = STATE_TABLE("acpi-pm", 1, fields);

static struct acpi_pm *pm(struct device *d)
{
	return container_of(d, struct acpi_pm, dev);
}

/* Ticks since VM time 0.  Whole seconds are split off so that nothing overflows. */
static uint64_t ticks_at(uint64_t ns)
{
	return ns / NS * X86_PM_TMR_HZ + ns % NS * X86_PM_TMR_HZ / NS;
}

/* The first nanosecond in which the tick count is @ticks. */
static uint64_t ticks_to_ns(uint64_t ticks)
{
	return ticks / X86_PM_TMR_HZ * NS +
	       (ticks % X86_PM_TMR_HZ * NS + X86_PM_TMR_HZ - 1) / X86_PM_TMR_HZ;
}

static uint64_t half_now(struct acpi_pm *p)
{
	return ticks_at(clock_now(&p->dev.vm->clock)) >> (X86_PM_TMR_BITS - 1);
}

/* Brings TMR_STS up to date, drives the SCI, and keeps the timer running if it is wanted. */
static void update(struct acpi_pm *p)
{
	uint64_t half = half_now(p);

	if (half != p->half)
		p->sts |= X86_PM1_TMR;
	p->half = half;
	irq_set(p->dev.irq[0], p->sts & p->en & X86_PM1_EVENTS);
	if (p->en & X86_PM1_TMR && !(p->sts & X86_PM1_TMR))
		timer_arm(&p->carry, ticks_to_ns((half + 1) << (X86_PM_TMR_BITS - 1)));
	else if (timer_pending(&p->carry))
		timer_cancel(&p->carry);
}

static void carry_fired(struct device *d)
{
	update(pm(d));
}

/* A byte or word at @off of a 16-bit register: what the whole register becomes. */
static uint16_t merge(uint16_t old, uint64_t off, unsigned size, uint64_t val)
{
	unsigned shift = (unsigned)(off & 1) * 8, mask = size == 2 ? 0xffffu : 0xffu << shift;

	return (uint16_t)((old & ~mask) | (val << shift & mask));
}

static uint64_t event_read(struct device *d, uint64_t off, unsigned size)
{
	struct acpi_pm *p = pm(d);

	(void)size;
	update(p);
	return (off < X86_PM1_EN ? p->sts : p->en) >> (off & 1) * 8;
}

static void event_write(struct device *d, uint64_t off, unsigned size, uint64_t val)
{
	struct acpi_pm *p = pm(d);

	update(p); /* a carry that happened before this write is cleared by it, one after is not */
	if (off < X86_PM1_EN)
		p->sts &= (uint16_t)~merge(0, off, size, val);
	else
		p->en = merge(p->en, off, size, val) & X86_PM1_EN_MASK;
	update(p);
}

static uint64_t control_read(struct device *d, uint64_t off, unsigned size)
{
	(void)size;
	return (pm(d)->cnt | X86_PM1_CNT_SCI_EN) >> off * 8;
}

static void control_write(struct device *d, uint64_t off, unsigned size, uint64_t val)
{
	struct acpi_pm *p = pm(d);
	uint16_t cnt = merge(p->cnt, off, size, val);
	unsigned type = X86_PM1_CNT_SLP_TYP_GET(cnt);

	p->cnt = cnt & CNT_KEPT;
	if (!(cnt & X86_PM1_CNT_SLP_EN))
		return;
	if (type == X86_PM_SLP_TYP_S5)
		vm_request(d->vm, VM_EVENT_OFF, 0, "%s: soft off (S5)", d->id);
	else
		guest_err(d, "sleep type %u, which no sleep state has", type);
}

/* Any naturally aligned size; a wider read was split, so the value is cut out of the counter. */
static uint64_t timer_read(struct device *d, uint64_t off, unsigned size)
{
	(void)size;
	return (uint32_t)ticks_at(clock_now(&d->vm->clock)) >> off * 8;
}

static void timer_write(struct device *d, uint64_t off, unsigned size, uint64_t val)
{
	(void)off, (void)size, (void)val;
	guest_err(d, "write to the PM timer, which is read-only");
}

static uint64_t reset_read(struct device *d, uint64_t off, unsigned size)
{
	(void)d, (void)off, (void)size;
	return 0;
}

static void reset_write(struct device *d, uint64_t off, unsigned size, uint64_t val)
{
	(void)size;
	if (off == 0 && val == X86_PM_RESET_VALUE)
		vm_request(d->vm, VM_EVENT_RESET, 0, "%s: reset register", d->id);
}

static int pm_command(struct device *d, const char *word, struct err *e)
{
	struct acpi_pm *p = pm(d);

	if (strcmp(word, "power-button") != 0)
		return err_set(e, -EOPNOTSUPP, "%s knows power-button, not \"%s\"", d->id, word);
	if (!(p->en & X86_PM1_PWRBTN))
		return err_set(e, -EAGAIN, "the guest does not listen to the power button");
	p->sts |= X86_PM1_PWRBTN;
	update(p);
	return 0;
}

static int pm_init(struct device *d, struct err *e)
{
	return timer_init(&pm(d)->carry, d, carry_fired, e);
}

static void pm_reset(struct device *d)
{
	struct acpi_pm *p = pm(d);

	p->half = half_now(p);
	update(p);
}

static int pm_loaded(struct device *d, struct err *e)
{
	(void)e;
	update(pm(d));
	return 0;
}

static void pm_exit(struct device *d)
{
	timer_exit(&pm(d)->carry);
}

const struct device_class acpi_pm_class = {
	.name = "acpi-pm",
	.help = "ACPI power management: timer, power button, soft off, reset register",
	.size = sizeof(struct acpi_pm),
	.state = &state,
	.io = {{event_read, event_write, 1 | 2, AS_PORTS, X86_PM1_EVT_LEN,
		.base = X86_PM_BASE + X86_PM1_STS},
	       {control_read, control_write, 1 | 2, AS_PORTS, X86_PM1_CNT_LEN,
		.base = X86_PM_BASE + X86_PM1_CNT},
	       {timer_read, timer_write, 1 | 2 | 4, AS_PORTS, X86_PM_TMR_LEN,
		.base = X86_PM_BASE + X86_PM_TMR},
	       {reset_read, reset_write, 1, AS_PORTS, X86_PM_LEN - X86_PM_RESET,
		.base = X86_PM_BASE + X86_PM_RESET}},
	.n_irqs = 1,
	.init = pm_init,
	.reset = pm_reset,
	.loaded = pm_loaded,
	.command = pm_command,
	.exit = pm_exit,
};
