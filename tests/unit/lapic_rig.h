/*
 * unit/lapic_rig.h - local APICs on a bus, with a clock that the test moves.
 */
#ifndef LODGE_UNIT_LAPIC_RIG_H
#define LODGE_UNIT_LAPIC_RIG_H

#include <errno.h>

#include "unit.h"

#include "arch/x86/defs.h"
#include "arch/x86/lapic.h"

#define RIG_CPUS 4u

/* MMIO offset and MSR of a register. */
#define OFF(reg) ((uint32_t)(reg)*16u)
#define MSR(reg) (X86_MSR_X2APIC + (uint32_t)(reg))

struct rig_cpu {
	struct lapic l;
	unsigned signals;
	bool armed;
	uint64_t when;
};

static struct {
	struct lapic_bus bus;
	struct rig_cpu cpu[RIG_CPUS];
	unsigned n;
	uint64_t now;
	int64_t tsc_offset; /* TSC = now + offset */
	unsigned eois;
	int last_eoi;
} rig;

static void rig_signal(void *arg)
{
	((struct rig_cpu *)arg)->signals++;
}

static void rig_timer(void *arg, bool armed, uint64_t when)
{
	struct rig_cpu *c = arg;

	c->armed = armed;
	c->when = when;
}

static uint64_t rig_now(void *arg)
{
	(void)arg;
	return rig.now;
}

static uint64_t rig_tsc_when(void *arg, uint64_t tsc)
{
	uint64_t offset = (uint64_t)rig.tsc_offset;

	(void)arg;
	return rig.tsc_offset > 0 && tsc < offset ? 0 : tsc - offset;
}

static void rig_eoi(void *arg, uint8_t vector)
{
	(void)arg;
	rig.eois++;
	rig.last_eoi = vector;
}

static const struct lapic_ops rig_ops = {rig_signal, rig_timer, rig_now, rig_tsc_when};

/* @n CPUs with ids @first, @first + 1 ...; enabled by software. */
static inline void rig_make(unsigned n, uint32_t first)
{
	struct err e = ERR_INIT;

	memset(&rig, 0, sizeof(rig));
	rig.n = n;
	rig.now = 1000000;
	rig.last_eoi = -1;
	assert_int_equal(lapic_bus_init(&rig.bus, n, &e), 0);
	rig.bus.eoi = rig_eoi;
	for (unsigned i = 0; i < n; i++) {
		const struct lapic_config c = {.apic_id = first + i,
					       .bsp = i == 0,
					       .x2apic = true,
					       .tsc_deadline = true,
					       .phys_bits = 46};

		lapic_init(&rig.cpu[i].l, &rig.bus, i, &c, &rig_ops, &rig.cpu[i]);
		lapic_mmio_write(&rig.cpu[i].l, OFF(X86_LAPIC_SVR), 0x1ff);
		rig.cpu[i].signals = 0;
	}
}

static inline void rig_free(void)
{
	for (unsigned i = 0; i < rig.n; i++)
		lapic_exit(&rig.cpu[i].l);
	lapic_bus_exit(&rig.bus);
}

static inline struct lapic *cpu(unsigned i)
{
	return &rig.cpu[i].l;
}

static inline uint32_t rd(unsigned i, unsigned reg)
{
	return lapic_mmio_read(cpu(i), OFF(reg));
}

static inline void wr(unsigned i, unsigned reg, uint32_t val)
{
	lapic_mmio_write(cpu(i), OFF(reg), val);
}

/* WRMSR and RDMSR that must not fault. */
static inline void wrmsr(unsigned i, uint32_t index, uint64_t val)
{
	if (lapic_msr_write(cpu(i), index, val))
		fail_msg("wrmsr %x %llx faulted", index, (unsigned long long)val);
}

static inline uint64_t rdmsr(unsigned i, uint32_t index)
{
	uint64_t val = 0;

	if (lapic_msr_read(cpu(i), index, &val))
		fail_msg("rdmsr %x faulted", index);
	return val;
}

static inline void to_x2apic(unsigned i)
{
	wrmsr(i, X86_MSR_APIC_BASE, rdmsr(i, X86_MSR_APIC_BASE) | X86_APIC_BASE_X2APIC);
}

/* Time goes on, and the accelerator comes when it was asked to. */
static inline void pass(uint64_t ns)
{
	uint64_t end = rig.now + ns;

	for (;;) {
		struct rig_cpu *first = NULL;

		for (unsigned i = 0; i < rig.n; i++)
			if (rig.cpu[i].armed && rig.cpu[i].when <= end &&
			    (!first || rig.cpu[i].when < first->when))
				first = &rig.cpu[i];
		if (!first)
			break;
		rig.now = rig.now < first->when ? first->when : rig.now;
		lapic_timer_expired(&first->l);
	}
	rig.now = end;
}

/* The CPU takes an interrupt, which must be @vector, and ends it. */
static inline void take(unsigned i, int vector)
{
	assert_int_equal(lapic_pending(cpu(i)), vector);
	assert_int_equal(lapic_ack(cpu(i)), vector);
	if (vector < 0)
		return;
	if (lapic_window(cpu(i)) == UINT64_MAX)
		wrmsr(i, MSR(X86_LAPIC_EOI), 0);
	else
		wr(i, X86_LAPIC_EOI, 0);
}

/* Bit i: CPU i has an interrupt pending; they are taken. */
static inline unsigned taken(int vector)
{
	unsigned who = 0;

	for (unsigned i = 0; i < rig.n; i++)
		if (lapic_pending(cpu(i)) == vector) {
			who |= 1u << i;
			take(i, vector);
		}
	return who;
}

#endif
