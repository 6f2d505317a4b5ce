/*
 * device/serial/pl011.c - PrimeCell UART PL011, revision r1p5 [ARM DDI 0183G].
 *
 *	0x000 DR     RW  data 7:0; of a received character FE 8, PE 9, BE 10, OE 11
 *	0x004 RSR    RW  FE 0, PE 1, BE 2 of the character read last, OE 3; any write clears
 *	0x018 FR     R   CTS 0, DSR 1, DCD 2, BUSY 3, RXFE 4, TXFF 5, RXFF 6, TXFE 7, RI 8
 *	0x020 ILPR   RW  0x024 IBRD  RW  0x028 FBRD  RW  0x02c LCR_H RW  0x030 CR    RW
 *	0x034 IFLS   RW  0x038 IMSC  RW  0x03c RIS   R   0x040 MIS   R   0x044 ICR   W
 *	0x048 DMACR  RW  0xfe0 PeriphID0-3, PCellID0-3 R
 *
 * What the manual does not say, or what a virtual line makes different:
 *
 * Revision.  r1p5 has FIFOs of 32, the earlier ones of 16.  A driver of the SBSA's generic UART
 * takes 32 for granted and fills half of them after an interrupt without a look, so fewer would
 * lose bytes.
 *
 * Reset.  The chip comes up as firmware leaves it, enabled, 115200 8N1 with FIFOs, and not with
 * UARTEN, LCR_H and the divisor 0: the drivers of early consoles and of the SBSA never set it up.
 *
 * Sending takes no time.  What the back end takes leaves the FIFO at once; what it does not take
 * stays there with BUSY and in the end TXFF set until it has drained: a slow reader costs the guest
 * time and never a byte.  In silicon the transmit interrupt comes when the FIFO falls through its
 * level.  Here a byte that leaves sets it whenever the FIFO is then at or below its level, as if it
 * had been above: a driver that refills half a FIFO at each interrupt would wait for ever for a
 * transition of a FIFO that never fills.  A write that takes the FIFO above its level clears it, so
 * that while it is set there is room for all that is above the level.
 *
 * Receiving is pulled.  The back end asks how much room there is and hands over no more, so the
 * line cannot overrun; only the guest itself can, in loopback.  While the guest does not listen
 * there is no room, so that what was typed ahead is not lost when a starting driver empties or
 * switches the FIFO: a guest listens when the receiver is enabled, and so is the receive or the
 * receive timeout interrupt, or it keeps reading FR without writing (POLLS times), as a polling
 * guest does.
 *
 * The receive timeout is 32 bit periods of VM time after the last arrival or, while characters
 * remain, after ICR has cleared it.  Nothing counts: it is looked at when somebody reads it, and a
 * timer runs while the interrupt is enabled.  The timer is not moved with each character but looks,
 * when it fires, whether it was too early.
 *
 * Not modelled: IrDA, whose register and bits hold what is written; DMA requests, which go to no
 * controller; the test registers of chapter 4; the five separate interrupts besides UARTINTR.
 */
#include <string.h>

#include "chardev/chardev.h"
#include "core/device.h"
#include "core/vm.h"
#include "device/primecell.h"

#define FIFO	  32u
#define CLOCK_MHZ 24u
#define POLLS	  8u

enum { DR = 0, RSR = 4, FR = 0x18, ILPR = 0x20, IBRD = 0x24, FBRD = 0x28, LCR_H = 0x2c };
enum { CR = 0x30, IFLS = 0x34, IMSC = 0x38, RIS = 0x3c, MIS = 0x40, ICR = 0x44, DMACR = 0x48 };
enum { DR_BE = 0x400, DR_OE = 0x800, RSR_CHAR = 7, RSR_OE = 8 };
enum { FR_CTS = 1, FR_DSR = 2, FR_DCD = 4, FR_RI = 0x100 };
enum { FR_BUSY = 8, FR_RXFE = 0x10, FR_TXFF = 0x20, FR_RXFF = 0x40, FR_TXFE = 0x80 };
enum { LCR_BRK = 1, LCR_FEN = 0x10, LCR_RESET = 0x70 };
enum { CR_UARTEN = 1, CR_LBE = 0x80, CR_TXE = 0x100, CR_RXE = 0x200, CR_DTR = 0x400 };
enum { CR_RTS = 0x800, CR_OUT1 = 0x1000, CR_OUT2 = 0x2000, CR_RTSEN = 0x4000, CR_CTSEN = 0x8000 };
enum { CR_KEPT = 0xff87, CR_RESET = CR_UARTEN | CR_TXE | CR_RXE };
enum { INT_RI = 1, INT_CTS = 2, INT_DCD = 4, INT_DSR = 8, INT_RX = 0x10, INT_TX = 0x20 };
enum { INT_RT = 0x40, INT_FE = 0x80, INT_OE = 0x400, INT_ALL = 0x7ff };

struct pl011 {
	struct device dev;
	struct chardev *chardev;
	struct chardev_client client;
	bool held;  /* the back end was told there is no room: wake it when there is */
	bool quiet; /* the world is stopped */
	uint16_t cr, ibrd, imsc, ris;
	uint16_t lines; /* FR's modem lines when they were last looked at */
	uint8_t ilpr, fbrd, lcr_h, ifls, dmacr, rsr;
	uint32_t div; /* in 1/64: IBRD and FBRD as the last write of LCR_H took them over */
	bool overrun; /* the next character that is stored carries OE */
	uint8_t rx_count, tx_count, polls;
	uint16_t rx[FIFO]; /* as DR shows them; [0] is the oldest */
	uint8_t tx[FIFO];
	uint64_t touched; /* VM time from which the receive timeout runs */
	struct timer timeout;
};

#define F(m, ...) FIELD(struct pl011, m, __VA_ARGS__)
static const struct field fields[] = {
	F(cr, .reset = CR_RESET),
	F(ibrd, .reset = 13),
	F(fbrd, .max = 0x3f, .reset = 1),
	F(div, .max = 0x3fffff, .reset = 13 << 6 | 1),
	F(lcr_h, .reset = LCR_RESET),
	F(ifls, .max = 0x3f, .reset = 0x12),
	F(imsc, .max = INT_ALL),
	F(ris, .max = INT_ALL),
	F(lines, .max = 0x1ff, .reset = FR_CTS | FR_DSR | FR_DCD),
	F(ilpr, ),
	F(dmacr, .max = 7),
	F(rsr, .max = RSR_CHAR | RSR_OE),
	F(overrun, ),
	F(polls, .max = POLLS),
	F(rx_count, .max = FIFO),
	F(rx, .max = 0xfff),
	F(tx_count, .max = FIFO),
	F(tx, ),
	F(touched, ),
	F(timeout, ),
};
static const struct state_table state = STATE_TABLE("pl011", 1, fields);

static struct pl011 *uart(struct device *d)
{
	return container_of(d, struct pl011, dev);
}

static unsigned capacity(const struct pl011 *u)
{
	return u->lcr_h & LCR_FEN ? FIFO : 1;
}

/* Characters at a level of IFLS: 1/8, 1/4, 1/2, 3/4, 7/8; the reserved ones are as the last. */
static unsigned fifo_level(unsigned select)
{
	static const uint8_t eighths[8] = {1, 2, 4, 6, 7, 7, 7, 7};

	return eighths[select & 7] * FIFO / 8;
}

/* So many waiting characters make an interrupt. */
static unsigned rx_level(const struct pl011 *u)
{
	return u->lcr_h & LCR_FEN ? fifo_level(u->ifls >> 3) : 1;
}

/* So many characters to send, or fewer, make an interrupt. */
static unsigned tx_level(const struct pl011 *u)
{
	return u->lcr_h & LCR_FEN ? fifo_level(u->ifls) : 0;
}

/* 32 bits of 16 clock cycles times the divisor [DDI 0183 §2.8, §3.3.6], in ns. */
static uint64_t timeout_ns(const struct pl011 *u)
{
	return UINT64_C(32) * 16 * MAX(u->div, 64u) * 1000 / (64 * CLOCK_MHZ);
}

static bool rts(const struct pl011 *u)
{
	return u->cr & CR_RTSEN ? u->rx_count < rx_level(u) : u->cr & CR_RTS;
}

/* The modem lines in, as in FR.  Outside loopback somebody is always there and ready. */
static uint16_t lines(const struct pl011 *u)
{
	if (!(u->cr & CR_LBE))
		return FR_CTS | FR_DSR | FR_DCD;
	return (uint16_t)((rts(u) ? FR_CTS : 0) | (u->cr & CR_DTR ? FR_DSR : 0) |
			  (u->cr & CR_OUT1 ? FR_DCD : 0) | (u->cr & CR_OUT2 ? FR_RI : 0));
}

static bool receiving(const struct pl011 *u)
{
	return (u->cr & (CR_UARTEN | CR_RXE)) == (CR_UARTEN | CR_RXE);
}

static bool sending(const struct pl011 *u)
{
	return (u->cr & (CR_UARTEN | CR_TXE)) == (CR_UARTEN | CR_TXE) &&
	       (!(u->cr & CR_CTSEN) || lines(u) & FR_CTS);
}

static bool listening(const struct pl011 *u)
{
	return receiving(u) && (u->imsc & (INT_RX | INT_RT) || u->polls >= POLLS);
}

static uint16_t flags(const struct pl011 *u)
{
	return (uint16_t)(lines(u) | (u->rx_count == 0 ? FR_RXFE : 0) |
			  (u->rx_count >= capacity(u) ? FR_RXFF : 0) |
			  (u->tx_count == 0 ? FR_TXFE : FR_BUSY) |
			  (u->tx_count >= capacity(u) ? FR_TXFF : 0));
}

/* Brings RIS up to date with what has no event of its own: the modem lines and the time. */
static void sync_ris(struct pl011 *u)
{
	unsigned now = lines(u), changed = now ^ u->lines;

	u->lines = (uint16_t)now;
	u->ris |= changed & FR_RI ? INT_RI : 0;
	u->ris |= changed & FR_CTS ? INT_CTS : 0;
	u->ris |= changed & FR_DCD ? INT_DCD : 0;
	u->ris |= changed & FR_DSR ? INT_DSR : 0;
	if (u->rx_count > 0 && clock_now(&u->dev.vm->clock) - u->touched >= timeout_ns(u))
		u->ris |= INT_RT;
}

/* After any change: the interrupt wire, the timeout, and a back end that waits for room. */
static void update(struct pl011 *u)
{
	sync_ris(u);
	irq_set(u->dev.irq[0], u->ris & u->imsc);
	if (u->imsc & INT_RT && u->rx_count > 0 && !(u->ris & INT_RT) &&
	    !timer_pending(&u->timeout))
		timer_arm(&u->timeout, u->touched + timeout_ns(u));
	if (u->held && u->rx_count == 0 && listening(u) && u->chardev) {
		u->held = false;
		chardev_wake(u->chardev);
	}
}

static void timeout_fired(struct device *d)
{
	update(uart(d));
}

/* @entry is the character with its errors, as DR shows it. */
static void rx_push(struct pl011 *u, unsigned entry)
{
	u->touched = clock_now(&u->dev.vm->clock);
	if (u->rx_count >= capacity(u)) { /* the FIFO keeps what it has [§2.4.3] */
		u->overrun = true;
		u->rsr |= RSR_OE;
		u->ris |= INT_OE;
		return;
	}
	u->rx[u->rx_count++] = (uint16_t)(entry | (u->overrun ? DR_OE : 0));
	u->overrun = false;
	u->ris |= (uint16_t)((entry >> 8 & RSR_CHAR) * INT_FE);
	if (u->rx_count >= rx_level(u))
		u->ris |= INT_RX;
}

static uint16_t rx_pop(struct pl011 *u)
{
	uint16_t entry = u->rx[0];

	if (u->rx_count == 0)
		return entry & 0xff; /* what was read last */
	u->rsr = (uint8_t)((u->rsr & RSR_OE) | (entry >> 8 & RSR_CHAR));
	u->rx_count--;
	if (u->rx_count > 0)
		memmove(u->rx, u->rx + 1, (FIFO - 1) * sizeof(u->rx[0]));
	else
		u->ris &= (uint16_t)~INT_RT;
	if (u->rx_count < rx_level(u))
		u->ris &= (uint16_t)~INT_RX;
	return entry;
}

/* Back into the receiver, until the line is held up by the receiver's own RTS. */
static size_t tx_loop(struct pl011 *u)
{
	size_t n = 0;

	for (; n < u->tx_count && sending(u); n++)
		if (receiving(u))
			rx_push(u, u->tx[n]);
	return n;
}

/* Sends what can be sent now. */
static void tx_run(struct pl011 *u)
{
	size_t n = u->tx_count;

	if (u->quiet || !n || !sending(u))
		return;
	if (u->cr & CR_LBE)
		n = tx_loop(u);
	else if (u->chardev)
		n = chardev_write(u->chardev, u->tx, n);
	memmove(u->tx, u->tx + n, u->tx_count - n);
	u->tx_count -= (uint8_t)n;
	if (n > 0 && u->tx_count <= tx_level(u))
		u->ris |= INT_TX;
}

static void dr_write(struct pl011 *u, unsigned byte)
{
	byte &= 0xffu >> (3 - (u->lcr_h >> 5 & 3)); /* word length */
	if (u->tx_count >= capacity(u)) {
		guest_err(&u->dev, "byte 0x%02x written to a full transmitter", byte);
		return;
	}
	u->tx[u->tx_count++] = (uint8_t)byte;
	if (u->tx_count > tx_level(u))
		u->ris &= (uint16_t)~INT_TX;
	tx_run(u);
}

static void lcr_h_write(struct pl011 *u, uint8_t val)
{
	bool brk = val & ~u->lcr_h & LCR_BRK;

	if ((val ^ u->lcr_h) & LCR_FEN) {
		u->ris &= (uint16_t) ~(INT_RX | INT_RT);
		u->ris |= u->tx_count > 0 ? INT_TX : 0;
		u->rx_count = u->tx_count = 0;
		u->overrun = false;
	}
	u->lcr_h = val;
	u->div = (uint32_t)u->ibrd << 6 | u->fbrd;
	if (brk && u->cr & CR_LBE && receiving(u))
		rx_push(u, DR_BE);
}

static void icr_write(struct pl011 *u, uint16_t val)
{
	sync_ris(u); /* a timeout that was due before is cleared by this */
	u->ris &= (uint16_t)~val;
	if (val & INT_RT)
		u->touched = clock_now(&u->dev.vm->clock);
}

static uint64_t uart_read(struct device *d, uint64_t off, unsigned size)
{
	struct pl011 *u = uart(d);
	uint16_t val;

	(void)size;
	if (off >= PRIMECELL_ID && off % 4 == 0)
		return primecell_id(PRIMECELL_PL011, off);
	switch (off) {
	case DR:
		val = rx_pop(u);
		tx_run(u); /* in loopback the room lets more come */
		update(u);
		return val;
	case RSR: return u->rsr;
	case FR:
		val = flags(u);
		if (u->rx_count == 0 && u->tx_count == 0 && u->polls < POLLS)
			u->polls++;
		update(u);
		return val;
	case ILPR: return u->ilpr;
	case IBRD: return u->ibrd;
	case FBRD: return u->fbrd;
	case LCR_H: return u->lcr_h;
	case CR: return u->cr;
	case IFLS: return u->ifls;
	case IMSC: return u->imsc;
	case RIS: update(u); return u->ris;
	case MIS: update(u); return u->ris & u->imsc;
	case ICR: return 0;
	case DMACR: return u->dmacr;
	}
	guest_err(d, "read of register 0x%x, which is not there", (unsigned)off);
	return 0;
}

static void uart_write(struct device *d, uint64_t off, unsigned size, uint64_t val)
{
	struct pl011 *u = uart(d);

	(void)size;
	u->polls = 0;
	switch (off) {
	case DR: dr_write(u, (uint8_t)val); break;
	case RSR: u->rsr = 0; return;
	case ILPR: u->ilpr = (uint8_t)val; return;
	case IBRD: u->ibrd = (uint16_t)val; return;
	case FBRD: u->fbrd = val & 0x3f; return;
	case LCR_H: lcr_h_write(u, (uint8_t)val); break;
	case CR:
		u->cr = val & CR_KEPT;
		tx_run(u);
		break;
	case IFLS: u->ifls = val & 0x3f; break;
	case IMSC: u->imsc = val & INT_ALL; break;
	case ICR: icr_write(u, val & INT_ALL); break;
	case DMACR: u->dmacr = val & 7; return;
	default: guest_err(d, "write to register 0x%x, which takes none", (unsigned)off); return;
	}
	update(u);
}

static size_t client_room(void *arg)
{
	struct pl011 *u = arg;
	size_t n = 0;

	device_lock(&u->dev);
	if (listening(u) && !u->quiet && !(u->cr & CR_LBE) && u->rx_count < capacity(u))
		n = capacity(u) - u->rx_count;
	u->held = n == 0;
	device_unlock(&u->dev);
	return n;
}

static void client_input(void *arg, const uint8_t *buf, size_t n)
{
	struct pl011 *u = arg;

	device_lock(&u->dev);
	for (size_t i = 0; i < n; i++)
		rx_push(u, buf[i]);
	u->held |= u->rx_count >= capacity(u);
	update(u);
	device_unlock(&u->dev);
}

static void client_break(void *arg)
{
	struct pl011 *u = arg;

	if (client_room(arg) == 0)
		return;
	device_lock(&u->dev);
	rx_push(u, DR_BE);
	update(u);
	device_unlock(&u->dev);
}

static void client_drained(void *arg)
{
	struct pl011 *u = arg;

	device_lock(&u->dev);
	tx_run(u);
	update(u);
	device_unlock(&u->dev);
}

static int uart_init(struct device *d, struct err *e)
{
	struct pl011 *u = uart(d);
	int r = timer_init(&u->timeout, d, timeout_fired, e);

	if (r < 0)
		return r;
	u->client = (struct chardev_client){.room = client_room,
					    .input = client_input,
					    .arg = u,
					    .drained = client_drained,
					    .brk = client_break};
	if (u->chardev)
		chardev_attach(u->chardev, &u->client);
	return 0;
}

static void uart_reset(struct device *d)
{
	update(uart(d));
}

static int uart_loaded(struct device *d, struct err *e)
{
	(void)e;
	update(uart(d));
	return 0;
}

static void uart_quiesce(struct device *d)
{
	uart(d)->quiet = true;
}

static void uart_resume(struct device *d)
{
	struct pl011 *u = uart(d);

	u->quiet = false;
	if (u->chardev)
		chardev_wake(u->chardev);
	tx_run(u); /* the drained call may have come while the world stood still */
	update(u);
}

static void uart_exit(struct device *d)
{
	struct pl011 *u = uart(d);

	if (u->chardev)
		chardev_attach(u->chardev, NULL);
	timer_exit(&u->timeout);
}

static const struct prop props[] = {
	PROP_BACK(struct pl011, chardev, "chardev", "where the bytes go to and come from"),
};

const struct device_class pl011_class = {
	.name = "pl011",
	.help = "PrimeCell UART",
	.size = sizeof(struct pl011),
	.props = props,
	.n_props = ARRAY_LEN(props),
	.state = &state,
	.user = true,
	.io = {{uart_read, uart_write, 1 | 2 | 4, AS_MEMORY, .len = PRIMECELL_LEN}},
	.n_irqs = 1,
	.init = uart_init,
	.reset = uart_reset,
	.loaded = uart_loaded,
	.quiesce = uart_quiesce,
	.resume = uart_resume,
	.exit = uart_exit,
};
