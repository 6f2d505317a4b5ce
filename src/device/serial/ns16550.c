/*
 * device/serial/ns16550.c - 16550A UART with FIFOs (National Semiconductor PC16550D, June 1995).
 *
 * What the data sheet does not say, or what a virtual line makes different:
 *
 * The line control register comes up as firmware leaves it, 8N1, and not as 0 (5 bits a character):
 * there is no firmware here, and a kernel's early console or a tiny guest just sends.
 *
 * Sending takes no time.  A byte that the character back end takes leaves the chip at once, so THRE
 * is set again before the guest can look, and a THRE interrupt is pending again.  When the back end
 * takes nothing the bytes stay in the transmit FIFO and THRE stays clear until it has drained: a
 * slow reader costs the guest time and never a byte.
 *
 * Receiving is pulled.  The back end asks how much room there is and hands over no more, so the
 * line cannot overrun; only the guest itself can, in loopback.  While the guest does not listen
 * there is no room, so that what was typed ahead is not lost in the FIFO resets of a driver that
 * starts: a guest listens when it has enabled the receive interrupt and OUT2 (a driver that probes
 * the chip sets all of IER for a moment), or when it keeps reading LSR without sending (POLLS times
 * more often), as a polling guest does.  For the same reason a character that waits in RBR moves
 * into the FIFO when that is switched on, where the data sheet lets it go: Linux enables the
 * interrupt first.
 *
 * The character timeout runs in VM time from the last arrival or RBR read; the timer is not moved
 * at each of them but looks, when it fires, whether it was too early.
 *
 * On a PC the OUT2 pin opens the gate between the chip and the interrupt controller.  Loopback
 * forces the modem control pins inactive, so it closes the gate too.
 */
#include <string.h>

#include "chardev/chardev.h"
#include "core/device.h"
#include "core/vm.h"

#define FIFO  16u
#define CLOCK 1843200u
#define POLLS 8u

enum { RBR_THR, IER, IIR_FCR, LCR, MCR, LSR, MSR, SCR };
enum { IER_RDI = 1, IER_THRI = 2, IER_RLSI = 4, IER_MSI = 8 };
enum { IIR_NONE = 1, IIR_MSI = 0, IIR_THRI = 2, IIR_RDI = 4, IIR_RLSI = 6, IIR_TIMEOUT = 12 };
enum { IIR_FIFO = 0xc0 };
enum { FCR_ENABLE = 1, FCR_CLEAR_RX = 2, FCR_CLEAR_TX = 4, FCR_KEPT = 0xc9 };
enum { LCR_STOP2 = 4, LCR_PARITY = 8, LCR_BREAK = 0x40, LCR_DLAB = 0x80 };
enum { MCR_DTR = 1, MCR_RTS = 2, MCR_OUT1 = 4, MCR_OUT2 = 8, MCR_LOOP = 16 };
enum { LSR_DR = 1, LSR_OE = 2, LSR_BI = 16, LSR_THRE = 32, LSR_TEMT = 64, LSR_FIFOE = 128 };
enum { LSR_CHAR = 0x1c, LSR_ERRORS = 0x1e }; /* errors of a character: PE, FE, BI; and OE */
enum { MSR_CTS = 0x10, MSR_DSR = 0x20, MSR_RI = 0x40, MSR_DCD = 0x80 };

struct ns16550 {
	struct device dev;
	struct chardev *chardev;
	struct chardev_client client;
	bool held;  /* the back end was told there is no room: wake it when there is */
	bool quiet; /* the world is stopped */
	bool brk;   /* a break waits until the guest listens, as characters do */
	uint16_t div;
	uint8_t ier, fcr, lcr, mcr, scr;
	uint8_t err;   /* LSR error bits: overrun, and those of the character on top */
	uint8_t delta; /* MSR 3:0 */
	uint8_t rx_count, tx_count, polls;
	uint8_t rx[FIFO], rx_err[FIFO], tx[FIFO]; /* [0] is the oldest */
	bool thre_irq, timeout_irq;
	uint64_t touched; /* VM time of the last arrival or RBR read */
	struct timer timeout;
};

#define F(m, ...) FIELD(struct ns16550, m, __VA_ARGS__)
static const struct field fields[] = {
	F(div, .reset = 12),
	F(ier, .max = 0x0f),
	F(fcr, ),
	F(lcr, .reset = 3),
	F(mcr, .max = 0x1f),
	F(scr, ),
	F(err, .max = LSR_ERRORS),
	F(delta, .max = 0x0f),
	F(polls, .max = POLLS),
	F(rx_count, .max = FIFO),
	F(rx, ),
	F(rx_err, .max = LSR_CHAR),
	F(tx_count, .max = FIFO),
	F(tx, ),
	F(thre_irq, .reset = true),
	F(timeout_irq, ),
	F(touched, ),
	F(timeout, ),
};
static const struct state_table state = STATE_TABLE("ns16550", 1, fields);

static struct ns16550 *uart(struct device *d)
{
	return container_of(d, struct ns16550, dev);
}

static unsigned capacity(const struct ns16550 *u)
{
	return u->fcr & FCR_ENABLE ? FIFO : 1;
}

/* How many received characters make an interrupt. */
static unsigned trigger(const struct ns16550 *u)
{
	static const uint8_t level[] = {1, 4, 8, 14};

	return u->fcr & FCR_ENABLE ? level[u->fcr >> 6] : 1;
}

/* Four character times [PC16550D §8.4.1], in ns. */
static uint64_t timeout_ns(const struct ns16550 *u)
{
	unsigned bits = 1 + 5 + (u->lcr & 3) + 1; /* start, data, stop */

	bits += u->lcr & LCR_PARITY ? 1 : 0;
	bits += u->lcr & LCR_STOP2 ? 1 : 0;
	return UINT64_C(4) * bits * 16 * MAX(u->div, 1) * 1000000000 / CLOCK;
}

static uint8_t lsr_value(const struct ns16550 *u)
{
	uint8_t lsr = u->err, waiting = u->err & LSR_CHAR;

	for (unsigned i = 1; i < u->rx_count && i < FIFO; i++)
		waiting |= u->rx_err[i];
	lsr |= u->rx_count > 0 ? LSR_DR : 0;
	lsr |= u->tx_count == 0 ? LSR_THRE | LSR_TEMT : 0;
	return lsr | (u->fcr & FCR_ENABLE && waiting ? LSR_FIFOE : 0);
}

static uint8_t iir_value(const struct ns16550 *u)
{
	bool rx = u->ier & IER_RDI;

	return u->ier & IER_RLSI && u->err		 ? IIR_RLSI
	       : rx && u->rx_count >= trigger(u)	 ? IIR_RDI
	       : rx && u->rx_count > 0 && u->timeout_irq ? IIR_TIMEOUT
	       : u->ier & IER_THRI && u->thre_irq	 ? IIR_THRI
	       : u->ier & IER_MSI && u->delta		 ? IIR_MSI
							 : IIR_NONE;
}

/* The modem lines in, as in MSR 7:4.  Outside loopback somebody is always there and ready. */
static uint8_t lines(const struct ns16550 *u)
{
	if (!(u->mcr & MCR_LOOP))
		return MSR_CTS | MSR_DSR | MSR_DCD;
	return (uint8_t)((u->mcr & MCR_RTS ? MSR_CTS : 0) | (u->mcr & MCR_DTR ? MSR_DSR : 0) |
			 (u->mcr & MCR_OUT1 ? MSR_RI : 0) | (u->mcr & MCR_OUT2 ? MSR_DCD : 0));
}

static bool listening(const struct ns16550 *u)
{
	bool by_interrupt = u->ier & IER_RDI && u->mcr & MCR_OUT2;

	return by_interrupt || u->polls >= POLLS;
}

static void rx_push(struct ns16550 *u, uint8_t byte, uint8_t err);

/* After any change: the interrupt wire, the timeout, and a back end that waits for room. */
static void update(struct ns16550 *u)
{
	if (u->brk && listening(u) && !u->quiet && !(u->mcr & MCR_LOOP) &&
	    u->rx_count < capacity(u)) {
		u->brk = false;
		rx_push(u, 0, LSR_BI);
	}
	bool gate = (u->mcr & (MCR_OUT2 | MCR_LOOP)) == MCR_OUT2;

	irq_set(u->dev.irq[0], gate && iir_value(u) != IIR_NONE);
	if (u->fcr & FCR_ENABLE && u->ier & IER_RDI && u->rx_count > 0 && !u->timeout_irq &&
	    u->rx_count < trigger(u) && !timer_pending(&u->timeout))
		timer_arm(&u->timeout, u->touched + timeout_ns(u));
	if (u->held && u->rx_count == 0 && listening(u) && u->chardev) {
		u->held = false;
		chardev_wake(u->chardev);
	}
}

static void timeout_fired(struct device *d)
{
	struct ns16550 *u = uart(d);

	if (u->rx_count > 0 && clock_now(&d->vm->clock) - u->touched >= timeout_ns(u))
		u->timeout_irq = true;
	update(u);
}

static void rx_push(struct ns16550 *u, uint8_t byte, uint8_t err)
{
	u->touched = clock_now(&u->dev.vm->clock);
	u->timeout_irq = false;
	if (u->rx_count >= capacity(u)) {
		u->err |= LSR_OE;
		if (u->fcr & FCR_ENABLE)
			return; /* the FIFO keeps what it has; a lone RBR is overwritten */
		u->rx_count = 0;
	}
	if (u->rx_count == 0)
		u->err |= err;
	u->rx[u->rx_count] = byte;
	u->rx_err[u->rx_count] = err;
	u->rx_count++;
}

static uint8_t rx_pop(struct ns16550 *u)
{
	uint8_t byte = u->rx[0];

	if (u->rx_count == 0)
		return byte; /* RBR holds what was read last */
	u->touched = clock_now(&u->dev.vm->clock);
	u->timeout_irq = false;
	u->rx_count--;
	if (u->rx_count > 0) {
		memmove(u->rx, u->rx + 1, FIFO - 1);
		memmove(u->rx_err, u->rx_err + 1, FIFO - 1);
		u->err |= u->rx_err[0];
	}
	return byte;
}

static void tx_byte(struct ns16550 *u, uint8_t byte)
{
	byte &= (uint8_t)(0xffu >> (3 - (u->lcr & 3))); /* word length */
	u->thre_irq = false;
	u->polls = u->polls ? u->polls - 1 : 0;
	if (u->mcr & MCR_LOOP) {
		rx_push(u, byte, 0);
		u->thre_irq = u->tx_count == 0;
	} else if (u->tx_count == 0 && (!u->chardev || chardev_write(u->chardev, &byte, 1) == 1)) {
		u->thre_irq = true;
	} else if (u->tx_count < capacity(u)) {
		u->tx[u->tx_count++] = byte;
	} else {
		guest_err(&u->dev, "byte 0x%02x written to a full transmitter", byte);
	}
}

static void fcr_write(struct ns16550 *u, uint8_t val)
{
	bool clear = (u->fcr ^ val) & FCR_ENABLE, on = val & FCR_ENABLE;

	if ((clear && !on) || (on && val & FCR_CLEAR_RX)) {
		u->rx_count = 0;
		u->err &= (uint8_t)~LSR_CHAR;
		u->timeout_irq = false;
	}
	if (clear || (on && val & FCR_CLEAR_TX)) {
		u->tx_count = 0;
		u->thre_irq = true;
	}
	u->fcr = on ? val & FCR_KEPT : 0; /* without bit 0 the others are not programmed */
	u->polls = 0;
}

static void mcr_write(struct ns16550 *u, uint8_t val)
{
	uint8_t before = lines(u), changed;

	u->mcr = val & 0x1f;
	changed = before ^ lines(u);
	if (!(before & MSR_RI))
		changed &= (uint8_t)~MSR_RI; /* TERI: the trailing edge only */
	u->delta |= changed >> 4;
}

static uint64_t uart_read(struct device *d, uint64_t off, unsigned size)
{
	struct ns16550 *u = uart(d);
	bool dlab = u->lcr & LCR_DLAB;
	uint8_t val = 0;

	(void)size;
	switch (off) {
	case RBR_THR: val = dlab ? (uint8_t)u->div : rx_pop(u); break;
	case IER: val = dlab ? (uint8_t)(u->div >> 8) : u->ier; break;
	case IIR_FCR:
		val = iir_value(u);
		if (val == IIR_THRI)
			u->thre_irq = false;
		val |= u->fcr & FCR_ENABLE ? IIR_FIFO : 0;
		break;
	case LCR: return u->lcr;
	case MCR: return u->mcr;
	case LSR:
		val = lsr_value(u);
		if (u->polls < POLLS)
			u->polls++;
		u->err = 0;
		break;
	case MSR:
		val = lines(u) | u->delta;
		u->delta = 0;
		break;
	case SCR: return u->scr;
	}
	update(u);
	return val;
}

static void uart_write(struct device *d, uint64_t off, unsigned size, uint64_t v)
{
	struct ns16550 *u = uart(d);
	bool dlab = u->lcr & LCR_DLAB;
	uint8_t val = (uint8_t)v;

	(void)size;
	switch (off) {
	case RBR_THR:
		if (dlab)
			u->div = (u->div & 0xff00) | val;
		else
			tx_byte(u, val);
		break;
	case IER:
		if (dlab) {
			u->div = (uint16_t)(u->div & 0xff) | (uint16_t)(val << 8);
			break;
		}
		if (val & ~u->ier & IER_THRI)
			u->thre_irq = u->tx_count == 0;
		u->ier = val & 0x0f;
		u->polls = 0;
		break;
	case IIR_FCR: fcr_write(u, val); break;
	case LCR:
		if (val & ~u->lcr & LCR_BREAK && u->mcr & MCR_LOOP)
			rx_push(u, 0, LSR_BI);
		u->lcr = val;
		break;
	case MCR: mcr_write(u, val); break;
	case SCR: u->scr = val; return;
	default: return; /* LSR and MSR are read-only [§8.6.1, §8.8] */
	}
	update(u);
}

static size_t client_room(void *arg)
{
	struct ns16550 *u = arg;
	size_t n = 0;

	device_lock(&u->dev);
	if (listening(u) && !u->quiet && !(u->mcr & MCR_LOOP) && u->rx_count < capacity(u))
		n = capacity(u) - u->rx_count;
	u->held = n == 0;
	device_unlock(&u->dev);
	return n;
}

static void client_input(void *arg, const uint8_t *buf, size_t n)
{
	struct ns16550 *u = arg;

	device_lock(&u->dev);
	for (size_t i = 0; i < n; i++)
		rx_push(u, buf[i], 0);
	u->held |= u->rx_count >= capacity(u);
	update(u);
	device_unlock(&u->dev);
}

static void client_break(void *arg)
{
	struct ns16550 *u = arg;

	device_lock(&u->dev);
	u->brk = true;
	update(u);
	device_unlock(&u->dev);
}

static void tx_drain(struct ns16550 *u)
{
	size_t n = chardev_write(u->chardev, u->tx, u->tx_count);

	memmove(u->tx, u->tx + n, u->tx_count - n);
	u->tx_count -= (uint8_t)n;
	u->thre_irq = u->tx_count == 0;
	update(u);
}

static void client_drained(void *arg)
{
	struct ns16550 *u = arg;

	device_lock(&u->dev);
	if (u->tx_count > 0 && !u->quiet)
		tx_drain(u);
	device_unlock(&u->dev);
}

static int uart_init(struct device *d, struct err *e)
{
	struct ns16550 *u = uart(d);
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
	struct ns16550 *u = uart(d);

	u->quiet = false;
	if (u->chardev)
		chardev_wake(u->chardev);
	if (u->chardev && u->tx_count > 0)
		tx_drain(u); /* the drained call may have come while the world stood still */
}

static void uart_exit(struct device *d)
{
	struct ns16550 *u = uart(d);

	if (u->chardev)
		chardev_attach(u->chardev, NULL);
	timer_exit(&u->timeout);
}

static const struct prop props[] = {
	PROP_BACK(struct ns16550, chardev, "chardev", "where the bytes go to and come from"),
};

const struct device_class ns16550_class = {
	.name = "ns16550",
	.help = "16550A serial port",
	.size = sizeof(struct ns16550),
	.props = props,
	.n_props = ARRAY_LEN(props),
	.state = &state,
	.user = true,
	.io = {{uart_read, uart_write, .sizes = 1, .space = AS_PORTS, .len = 8, .base = 0x3f8}},
	.n_irqs = 1,
	.init = uart_init,
	.reset = uart_reset,
	.loaded = uart_loaded,
	.quiesce = uart_quiesce,
	.resume = uart_resume,
	.exit = uart_exit,
};
