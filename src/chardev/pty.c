/*
 * chardev/pty.c - a new pseudo-terminal; programs open the path that Lodge prints.
 *
 * Nobody has it open at first, and users come and go.  The master side tells of the last close by a
 * hang-up that lasts until the next open, of which it tells nothing; inotify on the slave's node
 * does.  So: hung up -> not connected (output is kept as backlog) and no watch on the master;
 * IN_OPEN -> connected.  To begin in the hung-up state the slave is opened and closed once, in raw
 * mode, which stays with the terminal.
 */
#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/inotify.h>
#include <poll.h>
#include <termios.h>
#include <unistd.h>

#include "base/log.h"
#include "base/sys.h"
#include "chardev/internal.h"

struct pty {
	struct chardev *c;
	int master;
	char path[64];
	struct loop_fd opened; /* inotify */
};

/* Takes the master into use if the slave is open. */
static void pty_try_connect(struct pty *p)
{
	struct pollfd pfd = {.fd = p->master, .events = 0};
	int in, out;

	if (p->c->rd.fd >= 0 || poll(&pfd, 1, 0) < 0 || (pfd.revents & POLLHUP))
		return;
	in = fcntl(p->master, F_DUPFD_CLOEXEC, 3);
	out = fcntl(p->master, F_DUPFD_CLOEXEC, 3);
	if (in < 0 || out < 0) {
		log_error("%s: %s: %s", p->c->spec, p->path, strerror(errno));
		if (in >= 0)
			close(in);
		return;
	}
	chardev_connect(p->c, in, out);
}

static void on_opened(struct loop_fd *w, uint32_t events)
{
	struct pty *p = container_of(w, struct pty, opened);
	char buf[1024];

	(void)events;
	while (read(w->fd, buf, sizeof(buf)) > 0)
		;
	pty_try_connect(p);
}

static void pty_in_lost(struct chardev *c, int code)
{
	struct pty *p = c->priv;

	(void)code;
	chardev_disconnect(c);
	/* Opened again between the hang-up and now: inotify told while we were still connected. */
	pty_try_connect(p);
}

static bool pty_out_lost(struct chardev *c, int code)
{
	pty_in_lost(c, code);
	return true;
}

/* Sets raw mode on the slave and leaves the master hung up. */
static int pty_prepare(struct pty *p, struct err *e)
{
	struct termios t;
	int slave;

	if (grantpt(p->master) < 0 || unlockpt(p->master) < 0 ||
	    ptsname_r(p->master, p->path, sizeof(p->path)) != 0)
		return err_errno(e, -errno, "cannot set up a pseudo-terminal");
	slave = sys_open(p->path, O_RDWR | O_NOCTTY | O_CLOEXEC, 0);
	if (slave < 0)
		return err_errno(e, -errno, "cannot open %s", p->path);
	if (tcgetattr(slave, &t) == 0) {
		cfmakeraw(&t);
		tcsetattr(slave, TCSANOW, &t);
	}
	close(slave);
	p->opened.fd = inotify_init1(IN_NONBLOCK | IN_CLOEXEC);
	if (p->opened.fd < 0 || inotify_add_watch(p->opened.fd, p->path, IN_OPEN) < 0)
		return err_errno(e, -errno, "cannot watch %s", p->path);
	p->opened.events = EPOLLIN;
	return loop_add(p->c->loop, &p->opened, e);
}

static void pty_free(struct pty *p)
{
	if (p->opened.added)
		loop_del(p->c->loop, &p->opened);
	if (p->opened.fd >= 0)
		close(p->opened.fd);
	if (p->master >= 0)
		close(p->master);
	free(p);
}

static int pty_open(struct chardev *c, const char *arg, struct err *e)
{
	struct pty *p = sys_alloc(sizeof(*p));
	int code;

	(void)arg;
	if (!p)
		return err_nomem(e, sizeof(*p), "a pseudo-terminal");
	p->c = c;
	p->opened = (struct loop_fd){.fd = -1, .fn = on_opened};
	p->master = posix_openpt(O_RDWR | O_NOCTTY | O_CLOEXEC | O_NONBLOCK);
	code = p->master < 0 ? err_errno(e, -errno, "cannot make a pseudo-terminal")
			     : pty_prepare(p, e);
	if (code < 0) {
		pty_free(p);
		return code;
	}
	c->priv = p;
	c->connected = false;
	log_info("serial port at %s", p->path);
	return 0;
}

static void pty_close(struct chardev *c)
{
	pty_free(c->priv);
}

const struct chardev_ops chardev_pty = {
	.kind = "pty",
	.form = "pty",
	.in_size = CHARDEV_IN_SIZE,
	.drain_ms = 1000,
	.open = pty_open,
	.close = pty_close,
	.in_lost = pty_in_lost,
	.out_lost = pty_out_lost,
};
