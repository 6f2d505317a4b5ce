/*
 * chardev/stdio.c - the terminal, or whatever stdin and stdout are.
 *
 * The descriptors 0 and 1 share their open file description, and with it O_NONBLOCK, with the shell
 * and everything else on the terminal, so their flags are left alone.  A terminal, FIFO or other
 * special file is opened a second time through /proc/self/fd, which gives a private description
 * that can be non-blocking.  Where that is refused (the terminal belongs to another user after su)
 * a copy is used that is written to only when ready: 1 byte to a terminal, PIPE_BUF bytes to a
 * pipe, which is what readiness promises.  Sockets are sent to with MSG_DONTWAIT; files never
 * block.
 *
 * On a terminal C-a is the escape key.  Input is read ahead into a large ring, so that the escape
 * is seen even when the guest does not read its port.
 */
#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/log.h"
#include "base/sys.h"
#include "chardev/internal.h"
#include "chardev/terminal.h"

#define ESCAPE 0x01 /* C-a */

struct stdio {
	bool terminal; /* stdin is one */
	bool escaped;  /* C-a was the last key */
	int tty;       /* where the help goes */
};

static _Atomic bool in_use;

static const char help_text[] = "\r\n"
				"C-a x    leave: end the VM at once (exit code 5)\r\n"
				"C-a b    send a break\r\n"
				"C-a C-a  send C-a\r\n"
				"C-a h    this help\r\n";

/* A descriptor of our own for @fd: see the head of the file. */
static int private_fd(struct chardev *c, int fd, int mode)
{
	char path[32];
	struct stat st;

	if (fstat(fd, &st) < 0)
		return -1;
	if (!S_ISREG(st.st_mode) && !S_ISSOCK(st.st_mode)) {
		snprintf(path, sizeof(path), "/proc/self/fd/%d", fd);
		int own = sys_open(path, mode | O_NONBLOCK | O_NOCTTY | O_CLOEXEC, 0);
		if (own >= 0)
			return own;
		if (mode == O_WRONLY)
			c->out_max = isatty(fd) ? 1 : PIPE_BUF;
	}
	if (mode == O_WRONLY)
		c->out_socket = S_ISSOCK(st.st_mode);
	return fcntl(fd, F_DUPFD_CLOEXEC, 3);
}

static int stdio_open(struct chardev *c, const char *arg, struct err *e)
{
	struct stdio *s;
	int in, out;

	(void)arg;
	if (in_use)
		return err_set(e, -EBUSY, "already used by another serial port");
	s = sys_alloc(sizeof(*s));
	if (!s)
		return err_nomem(e, sizeof(*s), "stdio");
	in = private_fd(c, STDIN_FILENO, O_RDONLY);
	if (in < 0) {
		err_errno(e, -errno, "cannot use stdin");
		goto out_free;
	}
	out = private_fd(c, STDOUT_FILENO, O_WRONLY);
	if (out < 0) {
		err_errno(e, -errno, "cannot use stdout");
		goto out_in;
	}
	s->terminal = isatty(STDIN_FILENO) && terminal_claim(in) == 0;
	s->tty = isatty(STDOUT_FILENO) ? STDOUT_FILENO : STDERR_FILENO;
	c->priv = s;
	in_use = true;
	chardev_connect(c, in, out);
	return 0;
out_in:
	close(in);
out_free:
	free(s);
	return e ? e->code : -EBADF;
}

static void stdio_start(struct chardev *c)
{
	struct stdio *s = c->priv;

	if (!s->terminal)
		return;
	if (terminal_raw())
		log_info("C-a x leaves, C-a h helps");
	else
		log_info("running in the background: the terminal is read once it is brought "
			 "to the front");
}

/*
 * Reading a terminal from the background would stop the process.  What arrives then is the shell's.
 * An edge-triggered watch tells of each new input without spinning on what is not ours to read.
 */
static bool stdio_may_read(struct chardev *c)
{
	struct stdio *s = c->priv;
	uint32_t events = EPOLLIN;

	if (!s->terminal)
		return true;
	bool mine = terminal_foreground();
	if (!mine)
		events |= EPOLLET;
	else if (c->rd.events & EPOLLET)
		terminal_raw();
	if (c->rd.added && c->rd.events != events)
		loop_mod(c->loop, &c->rd, events);
	return mine;
}

/* The key after C-a.  True if it goes to the guest. */
static bool escape_key(struct chardev *c, uint8_t key)
{
	struct stdio *s = c->priv;

	switch (key) {
	case ESCAPE: return true;
	case 'x':
		if (c->leave)
			c->leave(c->leave_arg);
		return false;
	case 'b':
		if (c->attached && c->client.brk)
			c->client.brk(c->client.arg);
		return false;
	default: /* h, ? and whatever else was meant */
		if (write(s->tty, help_text, sizeof(help_text) - 1) < 0)
			log_debug("C-a h: cannot write the help");
		return false;
	}
}

static size_t stdio_filter(struct chardev *c, uint8_t *buf, size_t n)
{
	struct stdio *s = c->priv;
	size_t out = 0;

	if (!s->terminal)
		return n;
	for (size_t i = 0; i < n; i++) {
		bool keep = true;
		if (s->escaped) {
			s->escaped = false;
			keep = escape_key(c, buf[i]);
		} else if (buf[i] == ESCAPE) {
			s->escaped = true;
			keep = false;
		}
		if (keep)
			buf[out++] = buf[i];
	}
	return out;
}

static void stdio_in_lost(struct chardev *c, int code)
{
	if (code)
		log_warn("stdin: %s; the guest gets no more input", strerror(code));
	(void)c;
}

static bool stdio_out_lost(struct chardev *c, int code)
{
	if (code != EPIPE && code != EIO && code != ECONNRESET)
		return false;
	log_warn("stdout was closed; the VM goes on and its further output is dropped");
	c->write_failed = true;
	chardev_discard(c);
	return true;
}

static void stdio_close(struct chardev *c)
{
	struct stdio *s = c->priv;

	if (s->terminal)
		terminal_release();
	in_use = false;
	free(s);
}

const struct chardev_ops chardev_stdio = {
	.kind = "stdio",
	.form = "stdio",
	.in_size = KIB(256),
	.drain_ms = 5000,
	.open = stdio_open,
	.start = stdio_start,
	.close = stdio_close,
	.may_read = stdio_may_read,
	.filter = stdio_filter,
	.in_lost = stdio_in_lost,
	.out_lost = stdio_out_lost,
};
