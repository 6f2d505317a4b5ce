/*
 * arch/x86/ioapic.c - the I/O APIC's logic (Intel 82093AA datasheet; EOI register: ICH9 §13.5.6).
 *
 * A pin in edge mode sends one message for each rise; a rise while the entry is masked is lost, as
 * the datasheet says.  A pin in level mode sends a message when its input is high, the entry is not
 * masked and the last message has been acknowledged (Remote IRR clear); the EOI clears Remote IRR
 * and sends again if the input is still high.  `irr` holds the inputs' levels.
 */
#include "arch/x86/chips.h"
#include "arch/x86/defs.h"

#define REG_SELECT 0x00
#define REG_WINDOW 0x10
#define REG_EOI	   0x40
#define INDEX_ID   0x00
#define INDEX_VER  0x01
#define INDEX_ARB  0x02
#define INDEX_RTE  0x10

/* Bits of an entry that software cannot write: Delivery Status and Remote IRR. */
#define RTE_READ_ONLY ((uint64_t)(X86_RTE_PENDING | X86_RTE_REMOTE_IRR))
/* Bits 55:17 are reserved; 55:48 carry the extended destination on a few chips, not on this one. */
#define RTE_WRITABLE (UINT64_C(0xff0000000001ffff) & ~RTE_READ_ONLY)

void x86_ioapic_reset(struct x86_ioapic *s)
{
	*s = (struct x86_ioapic){.base = X86_IOAPIC_ADDR};
	for (unsigned i = 0; i < X86_IOAPIC_PINS; i++)
		s->rte[i] = X86_RTE_MASKED;
}

static void service_level(struct x86_ioapic *s, unsigned pin, const struct x86_ioapic_bus *bus)
{
	uint64_t rte = s->rte[pin];

	if (!(rte & X86_RTE_LEVEL) || (rte & (X86_RTE_MASKED | X86_RTE_REMOTE_IRR)) ||
	    !(s->irr >> pin & 1))
		return;
	s->rte[pin] |= X86_RTE_REMOTE_IRR;
	bus->deliver(bus->arg, pin, rte);
}

void x86_ioapic_set(struct x86_ioapic *s, unsigned pin, bool level,
		    const struct x86_ioapic_bus *bus)
{
	uint32_t bit = 1u << pin;
	bool rise = level && !(s->irr & bit);

	s->irr = level ? s->irr | bit : s->irr & ~bit;
	if (s->rte[pin] & X86_RTE_LEVEL)
		service_level(s, pin, bus);
	else if (rise && !(s->rte[pin] & X86_RTE_MASKED))
		bus->deliver(bus->arg, pin, s->rte[pin]);
}

void x86_ioapic_eoi(struct x86_ioapic *s, uint8_t vector, const struct x86_ioapic_bus *bus)
{
	for (unsigned pin = 0; pin < X86_IOAPIC_PINS; pin++) {
		uint64_t rte = s->rte[pin];

		if (X86_RTE_VECTOR(rte) != vector || !(rte & X86_RTE_REMOTE_IRR))
			continue;
		s->rte[pin] &= ~(uint64_t)X86_RTE_REMOTE_IRR;
		service_level(s, pin, bus);
	}
}

static uint32_t window_read(const struct x86_ioapic *s)
{
	switch (s->select) {
	case INDEX_ID:
	case INDEX_ARB: return s->id;
	case INDEX_VER: return X86_IOAPIC_VERSION;
	default: break;
	}
	if (s->select < INDEX_RTE || s->select >= INDEX_RTE + 2 * X86_IOAPIC_PINS)
		return 0;
	uint64_t rte = s->rte[(s->select - INDEX_RTE) / 2];

	return (uint32_t)(s->select & 1 ? rte >> 32 : rte);
}

static uint32_t window_write(struct x86_ioapic *s, uint32_t val, const struct x86_ioapic_bus *bus)
{
	if (s->select == INDEX_ID) {
		s->id = val & 0x0f000000;
		return 0;
	}
	if (s->select < INDEX_RTE || s->select >= INDEX_RTE + 2 * X86_IOAPIC_PINS)
		return 0;
	unsigned pin = (s->select - INDEX_RTE) / 2;
	uint64_t old = s->rte[pin], rte = old;

	if (s->select & 1)
		rte = (rte & 0xffffffff) | (uint64_t)val << 32;
	else
		rte = (rte & ~UINT64_C(0xffffffff)) | val;
	rte = (rte & RTE_WRITABLE) | (old & RTE_READ_ONLY);
	/*
	 * Linux clears a stuck Remote IRR on chips without EOI register by a trip through edge
	 * mode.
	 */
	if (!(rte & X86_RTE_LEVEL))
		rte &= ~(uint64_t)X86_RTE_REMOTE_IRR;
	s->rte[pin] = rte;
	service_level(s, pin, bus);
	return old == rte ? 0 : 1u << pin;
}

uint32_t x86_ioapic_read(const struct x86_ioapic *s, uint64_t off)
{
	switch (off) {
	case REG_SELECT: return s->select;
	case REG_WINDOW: return window_read(s);
	default: return 0;
	}
}

uint32_t x86_ioapic_write(struct x86_ioapic *s, uint64_t off, uint32_t val,
			  const struct x86_ioapic_bus *bus)
{
	switch (off) {
	case REG_SELECT: s->select = val & 0xff; return 0;
	case REG_WINDOW: return window_write(s, val, bus);
	case REG_EOI: x86_ioapic_eoi(s, (uint8_t)val, bus); return 0;
	default: return 0;
	}
}

void x86_ioapic_msi(uint64_t rte, uint64_t *addr, uint32_t *data)
{
	*addr = X86_LAPIC_ADDR | (rte >> 56) << 12 | (rte & X86_RTE_LOGICAL ? 4 : 0);
	*data = X86_RTE_VECTOR(rte) | X86_RTE_DELIVERY(rte) << 8 |
		(rte & X86_RTE_LEVEL ? 1u << 15 | 1u << 14 : 0);
}
