/*
 * arch/x86/lapic_bus.c - how messages find the local APICs that they are for (SDM 3A §11.6.2,
 * §11.12.9, §11.11).
 *
 * Each lapic publishes in one atomic word how destinations see it; a sender looks at these words
 * and takes the lock of those that match, one at a time.  A guest that changes an address while a
 * message is under way cannot know which of the two it meets.
 *
 * What a destination means is the receiver's mode to say, as with KVM when it has the
 * X2APIC_API_DISABLE_BROADCAST_QUIRK: FFh is everybody in xAPIC mode and CPU 255 in x2APIC mode.
 *
 * Lowest priority: a focus processor takes it; else the one with the lowest PPR, and of several of
 * these the next in turn.
 */
#include <stdlib.h>

#include "arch/x86/lapic_impl.h"
#include "base/sys.h"

int lapic_bus_init(struct lapic_bus *b, unsigned n, struct err *e)
{
	*b = (struct lapic_bus){.n = n};
	b->slot = sys_alloc_array(n, sizeof(*b->slot));
	return b->slot ? 0 : err_nomem(e, n * sizeof(*b->slot), "the local APICs");
}

void lapic_bus_exit(struct lapic_bus *b)
{
	free(b->slot);
	b->slot = NULL;
	b->n = 0;
}

static bool is_for_logical(uint64_t a, uint32_t dest)
{
	uint32_t ldr = LAPIC_ADDRESS_LDR(a);

	if (a & LAPIC_ADDRESS_X2APIC) {
		ldr = lapic_x2apic_ldr((uint32_t)a);
		return ldr >> 16 == dest >> 16 && (ldr & dest & 0xffff);
	}
	if (dest > UINT8_MAX)
		return false;
	if (!(a & LAPIC_ADDRESS_CLUSTER))
		return ldr & dest;
	return (ldr >> 4 == dest >> 4 || dest >> 4 == 0xf) && (ldr & dest & 0xf);
}

static bool is_for(uint64_t a, const struct lapic_msg *m)
{
	if (m->dest == UINT32_MAX || (m->dest == UINT8_MAX && !(a & LAPIC_ADDRESS_X2APIC)))
		return true;
	return m->logical ? is_for_logical(a, m->dest) : m->dest == (uint32_t)a;
}

/* The lapic in slot @i if @m is for it. */
static struct lapic *target(struct lapic_bus *b, unsigned i, const struct lapic *from,
			    const struct lapic_msg *m)
{
	struct lapic *l = atomic_load(&b->slot[i]);
	uint64_t a = l ? atomic_load(&l->address) : 0;

	if (!(a & LAPIC_ADDRESS_ON))
		return NULL;
	switch (m->shorthand) {
	case LAPIC_TO_SELF: return l == from ? l : NULL;
	case LAPIC_TO_ALL: return l;
	case LAPIC_TO_OTHERS: return l != from ? l : NULL;
	default: return is_for(a, m) ? l : NULL;
	}
}

static struct lapic *lowest(struct lapic_bus *b, const struct lapic *from,
			    const struct lapic_msg *m)
{
	unsigned turn = atomic_load_explicit(&b->turn, memory_order_relaxed) % b->n;
	struct lapic *best = NULL;

	for (unsigned k = 0; k < b->n; k++) {
		struct lapic *l = target(b, (turn + k) % b->n, from, m);

		if (!l || !(atomic_load(&l->address) & LAPIC_ADDRESS_ENABLED))
			continue;
		if (lapic_is_focus(l, m->vector))
			return l;
		if (!best || atomic_load_explicit(&l->ppr, memory_order_relaxed) <
				     atomic_load_explicit(&best->ppr, memory_order_relaxed))
			best = l;
	}
	if (best)
		atomic_store_explicit(&b->turn, best->index + 1, memory_order_relaxed);
	return best;
}

unsigned lapic_bus_send(struct lapic_bus *b, struct lapic *from, const struct lapic_msg *m)
{
	unsigned reached = 0;

	if (m->mode == LAPIC_LOWEST) {
		struct lapic *l = b->n ? lowest(b, from, m) : NULL;

		return l && lapic_accept(l, m);
	}
	for (unsigned i = 0; i < b->n; i++) {
		struct lapic *l = target(b, i, from, m);

		if (l)
			reached += lapic_accept(l, m);
	}
	return reached;
}

unsigned lapic_bus_msi(struct lapic_bus *b, uint64_t addr, uint32_t data)
{
	struct lapic_msg m = {.dest = (uint32_t)(addr >> 12 & 0xff),
			      .logical = addr & 4,
			      .mode = data >> 8 & 7,
			      .vector = (uint8_t)data,
			      .trig_level = data & 1u << 15};

	if ((addr & 0xfff00000) != X86_LAPIC_ADDR || m.mode == LAPIC_SIPI)
		return 0;
	if (!(addr & 0x10))
		m.dest |= (uint32_t)(addr >> 5 & 0x7f) << 8;
	m.dest |= (uint32_t)(addr >> 40) << 8;
	/* Redirection hint: one of those that a logical destination names. */
	if (addr & 8 && m.logical && m.mode == LAPIC_FIXED)
		m.mode = LAPIC_LOWEST;
	return lapic_bus_send(b, NULL, &m);
}

void lapic_bus_intr(struct lapic_bus *b, bool level)
{
	atomic_store(&b->intr, level);
	for (unsigned i = 0; i < b->n && level; i++) {
		struct lapic *l = atomic_load(&b->slot[i]);

		if (l)
			lapic_lint0(l);
	}
}
