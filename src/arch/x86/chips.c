/*
 * arch/x86/chips.c - state tables and power-on values of the PC's interrupt chips and timer.
 */
#include "arch/x86/chips.h"
#include "arch/x86/defs.h"

#define P(m, ...) FIELD(struct x86_pic, m, __VA_ARGS__)
static const struct field pic_fields[] = {
	P(last_irr, ),
	P(irr, ),
	P(imr, ),
	P(isr, ),
	P(priority_add, .max = 7),
	P(irq_base, ),
	P(read_isr, ),
	P(poll, ),
	P(special_mask, ),
	P(init_state, .max = 3),
	P(auto_eoi, ),
	P(rotate_on_auto_eoi, ),
	P(special_fully_nested, ),
	P(init4, ),
	P(elcr, ),
	P(elcr_mask, ),
};
static const struct state_table pic_table = STATE_TABLE("i8259", 1, pic_fields);

#define A(m, ...) FIELD(struct x86_ioapic, m, __VA_ARGS__)
static const struct field ioapic_fields[] = {
	A(base, .reset = X86_IOAPIC_ADDR),
	A(id, ),
	A(select, .max = 0xff),
	A(irr, .max = 0xffffff),
	A(rte, .reset = X86_RTE_MASKED),
};
static const struct state_table ioapic_table = STATE_TABLE("ioapic", 1, ioapic_fields);

#define C(m, ...) FIELD(struct x86_pit_channel, m, __VA_ARGS__)
static const struct field channel_fields[] = {
	C(count, .max = 65536, .reset = 65536),
	C(latched_count, ),
	C(count_latched, .max = 3),
	C(status_latched, ),
	C(status, ),
	C(read_state, .max = 4),
	C(write_state, .max = 4),
	C(write_latch, ),
	C(rw_mode, .max = 3),
	C(mode, .reset = 0xff),
	C(bcd, ),
	C(gate, .reset = 1),
	/* The bounds of times keep sums of them from overflowing. */
	C(null_count, .since = 2),
	C(start, .max = INT64_MAX / 2, .since = 2),
	C(held, .max = UINT64_C(1) << 52, .since = 2),
};
static const struct state_table channel_table = STATE_TABLE("i8254-channel", 1, channel_fields);

#define T(m, ...) FIELD(struct x86_pit, m, __VA_ARGS__)
static const struct field pit_fields[] = {
	FIELD_SUB(struct x86_pit, channel, struct x86_pit_channel, &channel_table, ),
	T(speaker, ),
	T(legacy_off, ),
};
static const struct state_table pit_table = STATE_TABLE("i8254", 1, pit_fields);

#define X(m, ...) FIELD(struct x86_chips, m, __VA_ARGS__)
static const struct field chips_fields[] = {
	FIELD_SUB(struct x86_chips, pic, struct x86_pic, &pic_table, ),
	FIELD_SUB(struct x86_chips, ioapic, struct x86_ioapic, &ioapic_table, ),
	FIELD_SUB(struct x86_chips, pit, struct x86_pit, &pit_table, ),
	X(has_clock, ),
	X(clock_ns, ),
};
const struct state_table x86_chips_table = STATE_TABLE("x86-chips", 2, chips_fields);

void x86_pit_reset(struct x86_pit *s)
{
	state_reset(&pit_table, s);
	s->channel[2].gate = false; /* port 61h bit 0 opens it */
}

void x86_chips_reset(void *chips)
{
	struct x86_chips *c = chips;

	state_reset(&x86_chips_table, c);
	x86_pic_reset(c->pic);
	x86_pit_reset(&c->pit);
}
