/*
 * arch/x86/chips.h - state of the PC's interrupt chips and its timer, the same whether the chip
 * runs in the host kernel or in Lodge, so that a saved state moves between the two.
 */
#ifndef LODGE_ARCH_X86_CHIPS_H
#define LODGE_ARCH_X86_CHIPS_H

#include "core/state.h"

#define X86_IOAPIC_PINS 24u

/* One 8259A (datasheet 231468); index 0 is the master. */
struct x86_pic {
	uint8_t last_irr; /* levels of the inputs, for edge detection */
	uint8_t irr, imr, isr;
	uint8_t priority_add; /* input with the highest priority */
	uint8_t irq_base;     /* ICW2 */
	bool read_isr;	      /* OCW3: reads give ISR, else IRR */
	bool poll;
	bool special_mask;
	uint8_t init_state; /* 0: initialised; else the ICW expected next, less one */
	bool auto_eoi, rotate_on_auto_eoi, special_fully_nested;
	bool init4;	   /* ICW4 will come */
	uint8_t elcr;	   /* ports 4d0h and 4d1h: level-triggered inputs */
	uint8_t elcr_mask; /* which bits of it can be set */
};

/* I/O APIC (82093AA; the EOI register of later ones). */
struct x86_ioapic {
	uint64_t base;
	uint32_t id;	 /* as the register has it: bits 27:24 */
	uint32_t select; /* IOREGSEL */
	uint32_t irr;	 /* pins that assert, or with a held edge */
	uint64_t rte[X86_IOAPIC_PINS];
};

#define X86_RTE_VECTOR(rte)   ((uint8_t)(rte))
#define X86_RTE_DELIVERY(rte) ((unsigned)((rte) >> 8 & 7))
#define X86_RTE_LOGICAL	      (1u << 11)
#define X86_RTE_PENDING	      (1u << 12)
#define X86_RTE_LOW	      (1u << 13)
#define X86_RTE_REMOTE_IRR    (1u << 14)
#define X86_RTE_LEVEL	      (1u << 15)
#define X86_RTE_MASKED	      (1u << 16)

/* A counter of the 8254 (datasheet 231164). */
struct x86_pit_channel {
	uint32_t count; /* 1 to 65536 */
	uint16_t latched_count;
	uint8_t count_latched; /* access mode of the latched count, 0: none */
	bool status_latched;
	uint8_t status;
	uint8_t read_state, write_state; /* 1 LSB, 2 MSB, 3 first and 4 second byte of a word */
	uint8_t write_latch;
	uint8_t rw_mode;
	uint8_t mode; /* 0 to 5; 0xff: not programmed yet */
	bool bcd;
	bool gate;
	bool null_count; /* a control word came, and no count since: it stands */
	uint64_t start;	 /* VM time at which it began; in KVM it cannot be set */
	uint64_t held;	 /* ticks it had come when the gate stopped it */
};

struct x86_pit {
	struct x86_pit_channel channel[3];
	bool speaker;	 /* port 61h bit 1 */
	bool legacy_off; /* an HPET in legacy mode took IRQ 0 */
};

/* A chip that the machine does not have stays at its power-on values. */
struct x86_chips {
	struct x86_pic pic[2];
	struct x86_ioapic ioapic;
	struct x86_pit pit;
	/*
	 * kvmclock, in nanoseconds, as the pvclock page counts.  A reset clears has_clock: the
	 * clock of a running guest is never set back.
	 */
	bool has_clock;
	uint64_t clock_ns;
};

extern const struct state_table x86_chips_table;

/* Power-on state of all of them. */
void x86_chips_reset(void *chips);

/*
 * The pair of 8259A as pure logic, the slave at input 2 of the master; @p is x86_chips.pic. Whoever
 * owns it calls these under its own lock and looks at x86_pic_intr afterwards.
 */
void x86_pic_reset(struct x86_pic p[2]);
/* Input @line, 0 to 15. */
void x86_pic_set(struct x86_pic p[2], unsigned line, bool level);
/* The master's INT output. */
bool x86_pic_intr(const struct x86_pic p[2]);
/* Both INTA cycles: the vector; a spurious 7 or 15 if the request is gone. */
uint8_t x86_pic_ack(struct x86_pic p[2]);
/* Ports: 0 and 1 are 20h and 21h, 2 and 3 a0h and a1h, 4 and 5 4d0h and 4d1h. */
uint8_t x86_pic_read(struct x86_pic p[2], unsigned port);
void x86_pic_write(struct x86_pic p[2], unsigned port, uint8_t val);

void x86_pit_reset(struct x86_pit *s);

/*
 * The I/O APIC as pure logic: whoever owns one calls these under its own lock and delivers what
 * they hand out.  @deliver gets a message as the chip puts it on the bus.
 */
struct x86_ioapic_bus {
	void (*deliver)(void *arg, unsigned pin, uint64_t rte);
	void *arg;
};

/* Version register: 0x20 has the EOI register; 24 pins. */
#define X86_IOAPIC_VERSION 0x00170020u

void x86_ioapic_reset(struct x86_ioapic *s);
/* An input's level. */
void x86_ioapic_set(struct x86_ioapic *s, unsigned pin, bool level,
		    const struct x86_ioapic_bus *bus);
/* An EOI broadcast for @vector. */
void x86_ioapic_eoi(struct x86_ioapic *s, uint8_t vector, const struct x86_ioapic_bus *bus);
/* The 4 KiB window: 32-bit registers at 00h, 10h and 40h; others read 0. */
uint32_t x86_ioapic_read(const struct x86_ioapic *s, uint64_t off);
/* Returns a bit mask of the pins whose redirection entry changed. */
uint32_t x86_ioapic_write(struct x86_ioapic *s, uint64_t off, uint32_t val,
			  const struct x86_ioapic_bus *bus);
/* The message that entry @rte sends (SDM 3A §11.11). */
void x86_ioapic_msi(uint64_t rte, uint64_t *addr, uint32_t *data);

#endif
