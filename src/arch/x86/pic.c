/*
 * arch/x86/pic.c - the logic of the PC's two 8259A (Intel 231468; ELCR: 82371SB §2.5.9).
 *
 * `irr` holds requests: in edge mode from the rise until the acknowledge, in level mode while the
 * input is high.  Edge or level is the ELCR's to say, pin by pin; LTIM of ICW1 does nothing, as in
 * PCs since EISA.  `last_irr` holds the inputs' levels.
 *
 * The slave's INT is input 2 of the master.  It is given as a pulse whenever something happens
 * while the slave has a request: the request at the master outlives one that the slave has lost,
 * and then ends in a spurious interrupt 15.  KVM does the same, and a state means the same in both.
 */
#include <string.h>

#include "arch/x86/chips.h"

enum { MASTER, SLAVE };
enum { ICW1 = 0x10, ICW1_IC4 = 0x01, OCW3 = 0x08, OCW3_RR = 0x02, OCW3_RIS = 0x01 };
enum { OCW3_POLL = 0x04, OCW3_ESMM = 0x40, OCW3_SMM = 0x20 };
enum { ICW4_SFNM = 0x10, ICW4_AEOI = 0x02 };
enum { CASCADE = 2, SPURIOUS = 7 };
/* OCW2 bits 7:5. */
enum {
	ROTATE_AEOI_CLEAR,
	EOI,
	NOP,
	SPECIFIC_EOI,
	ROTATE_AEOI_SET,
	ROTATE_EOI,
	SET_PRIORITY,
	ROTATE_SPECIFIC,
};

/* The input in @mask with the highest priority, as a distance from the highest there is; 8: none.
 */
static unsigned distance(const struct x86_pic *s, uint8_t mask)
{
	unsigned d = 0;

	while (d < 8 && !(mask >> ((s->priority_add + d) & 7) & 1))
		d++;
	return d;
}

/* The input that asks the CPU now, or -1. */
static int requesting(const struct x86_pic *s, bool master)
{
	unsigned d = distance(s, (uint8_t)(s->irr & ~s->imr));
	uint8_t serving = s->isr;

	if (s->special_mask)
		serving &= (uint8_t)~s->imr;
	if (s->special_fully_nested && master)
		serving &= (uint8_t) ~(1u << CASCADE);
	return d < distance(s, serving) ? (int)((s->priority_add + d) & 7) : -1;
}

static void input(struct x86_pic *s, unsigned n, bool level)
{
	uint8_t bit = (uint8_t)(1u << n);

	if (level && ((s->elcr & bit) || !(s->last_irr & bit)))
		s->irr |= bit;
	else if (!level && (s->elcr & bit))
		s->irr &= (uint8_t)~bit;
	s->last_irr = level ? s->last_irr | bit : s->last_irr & (uint8_t)~bit;
}

static void cascade(struct x86_pic p[2])
{
	if (requesting(&p[SLAVE], false) < 0)
		return;
	input(&p[MASTER], CASCADE, true);
	input(&p[MASTER], CASCADE, false);
}

/* INTA for one chip. */
static void acknowledge(struct x86_pic *s, unsigned n)
{
	uint8_t bit = (uint8_t)(1u << n);

	if (!s->auto_eoi)
		s->isr |= bit;
	else if (s->rotate_on_auto_eoi)
		s->priority_add = (uint8_t)((n + 1) & 7);
	if (!(s->elcr & bit))
		s->irr &= (uint8_t)~bit;
}

void x86_pic_reset(struct x86_pic p[2])
{
	memset(p, 0, 2 * sizeof(p[0]));
	p[MASTER].elcr_mask = 0xf8; /* IRQ 0, 1 and 2 are edge-triggered for good */
	p[SLAVE].elcr_mask = 0xde;  /* and so are 8 and 13 */
}

void x86_pic_set(struct x86_pic p[2], unsigned line, bool level)
{
	input(&p[line >> 3 & 1], line & 7, level);
	cascade(p);
}

bool x86_pic_intr(const struct x86_pic p[2])
{
	return requesting(&p[MASTER], true) >= 0;
}

uint8_t x86_pic_ack(struct x86_pic p[2])
{
	int n = requesting(&p[MASTER], true), m;
	uint8_t vector;

	if (n < 0)
		return p[MASTER].irq_base | SPURIOUS;
	acknowledge(&p[MASTER], (unsigned)n);
	vector = (uint8_t)(p[MASTER].irq_base + n);
	if (n == CASCADE) {
		m = requesting(&p[SLAVE], false);
		if (m >= 0)
			acknowledge(&p[SLAVE], (unsigned)m);
		vector = (uint8_t)(p[SLAVE].irq_base + (m < 0 ? SPURIOUS : m));
	}
	cascade(p);
	return vector;
}

static void write_icw1(struct x86_pic *s, uint8_t val)
{
	s->init4 = val & ICW1_IC4;
	s->last_irr = 0;
	s->irr &= s->elcr;
	s->imr = s->isr = s->priority_add = 0;
	s->special_mask = s->read_isr = s->poll = s->rotate_on_auto_eoi = false;
	if (!s->init4)
		s->special_fully_nested = s->auto_eoi = false;
	s->init_state = 1;
}

static void write_ocw2(struct x86_pic *s, uint8_t val)
{
	unsigned command = val >> 5, n = val & 7;

	switch (command) {
	case ROTATE_AEOI_CLEAR:
	case ROTATE_AEOI_SET: s->rotate_on_auto_eoi = command == ROTATE_AEOI_SET; return;
	case SET_PRIORITY: s->priority_add = (uint8_t)((n + 1) & 7); return;
	case EOI:
	case ROTATE_EOI: {
		/* In special mask mode a masked interrupt is not what a plain EOI ends. */
		unsigned d = distance(s, s->special_mask ? s->isr & (uint8_t)~s->imr : s->isr);

		if (d == 8)
			return;
		n = (s->priority_add + d) & 7;
		break;
	}
	case SPECIFIC_EOI:
	case ROTATE_SPECIFIC: break;
	default: return;
	}
	s->isr &= (uint8_t) ~(1u << n);
	if (command == ROTATE_EOI || command == ROTATE_SPECIFIC)
		s->priority_add = (uint8_t)((n + 1) & 7);
}

static void write_command(struct x86_pic *s, uint8_t val)
{
	if (val & ICW1) {
		write_icw1(s, val);
	} else if (val & OCW3) {
		if (val & OCW3_POLL)
			s->poll = true;
		if (val & OCW3_RR)
			s->read_isr = val & OCW3_RIS;
		if (val & OCW3_ESMM)
			s->special_mask = val & OCW3_SMM;
	} else {
		write_ocw2(s, val);
	}
}

static void write_data(struct x86_pic *s, uint8_t val)
{
	switch (s->init_state) {
	case 0: s->imr = val; break;
	case 1:
		s->irq_base = val & 0xf8;
		s->init_state = 2;
		break;
	case 2: s->init_state = s->init4 ? 3 : 0; break; /* who is where is fixed */
	default:
		s->special_fully_nested = val & ICW4_SFNM;
		s->auto_eoi = val & ICW4_AEOI;
		s->init_state = 0;
	}
}

void x86_pic_write(struct x86_pic p[2], unsigned port, uint8_t val)
{
	struct x86_pic *s = &p[port >= 4 ? port & 1 : port >> 1 & 1];

	if (port >= 4)
		s->elcr = val & s->elcr_mask;
	else if (port & 1)
		write_data(s, val);
	else
		write_command(s, val);
	cascade(p);
}

/* The poll command: the next read is an INTA that gives the input's number. */
static uint8_t read_poll(struct x86_pic p[2], unsigned chip)
{
	int n = requesting(&p[chip], chip == MASTER);

	p[chip].poll = false;
	if (n < 0)
		return 0;
	acknowledge(&p[chip], (unsigned)n);
	if (chip == SLAVE) /* and the master is not asked for it any more */
		p[MASTER].irr &= (uint8_t) ~(1u << CASCADE);
	cascade(p);
	return (uint8_t)(0x80 | n);
}

uint8_t x86_pic_read(struct x86_pic p[2], unsigned port)
{
	unsigned chip = port >> 1 & 1;

	if (port >= 4)
		return p[port & 1].elcr;
	if (p[chip].poll)
		return read_poll(p, chip);
	if (port & 1)
		return p[chip].imr;
	return p[chip].read_isr ? p[chip].isr : p[chip].irr;
}
