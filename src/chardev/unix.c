/*
 * chardev/unix.c - a Unix stream socket that Lodge listens on, for one client at a time.
 *
 * A client may come and go; what the guest writes while nobody is connected is kept as backlog for
 * the next one.  A second client is turned away at once, so that it does not wait without a word.
 * A client that only stops sending (shutdown(2), `echo x | socat`) still gets the output.
 *
 * The socket is made with mode 0600 and removed at the end.  A socket left by a process that died
 * is recognised (nobody answers) and replaced; one in use and anything else at the path is not.
 */
#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <stdlib.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/un.h>
#include <unistd.h>

#include "base/log.h"
#include "base/str.h"
#include "base/sys.h"
#include "chardev/internal.h"

struct unix_server {
	struct chardev *c;
	struct sockaddr_un addr;
	struct loop_fd listener;
	bool bound;
};

static void client_gone(struct chardev *c)
{
	log_info("%s: the client disconnected", c->spec);
	chardev_disconnect(c);
}

/* True if the connected client has closed both directions. */
static bool client_hung_up(struct chardev *c)
{
	struct pollfd pfd = {.fd = c->wr.fd, .events = 0};

	return poll(&pfd, 1, 0) == 1 && (pfd.revents & (POLLHUP | POLLERR | POLLNVAL));
}

static void on_connection(struct loop_fd *w, uint32_t events)
{
	struct unix_server *s = container_of(w, struct unix_server, listener);
	struct chardev *c = s->c;
	int fd = accept4(w->fd, NULL, NULL, SOCK_NONBLOCK | SOCK_CLOEXEC);

	(void)events;
	if (fd < 0)
		return;
	if (c->wr.fd >= 0 && client_hung_up(c))
		client_gone(c);
	int out = c->wr.fd < 0 ? fcntl(fd, F_DUPFD_CLOEXEC, 3) : -1;
	if (out < 0) {
		log_info("%s: turned a second client away", c->spec);
		close(fd);
		return;
	}
	log_info("%s: a client connected", c->spec);
	chardev_connect(c, fd, out);
}

static void unix_in_lost(struct chardev *c, int code)
{
	if (code || client_hung_up(c))
		client_gone(c);
}

static bool unix_out_lost(struct chardev *c, int code)
{
	(void)code;
	client_gone(c);
	return true;
}

/* True if @addr is a socket that nobody listens on any more; it is then removed. */
static bool remove_stale(const struct sockaddr_un *addr)
{
	struct stat st;
	bool stale = false;

	if (lstat(addr->sun_path, &st) < 0 || !S_ISSOCK(st.st_mode))
		return false;
	int fd = socket(AF_UNIX, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0);
	if (fd < 0)
		return false;
	if (connect(fd, (const struct sockaddr *)addr, sizeof(*addr)) < 0 && errno == ECONNREFUSED)
		stale = unlink(addr->sun_path) == 0;
	close(fd);
	return stale;
}

static int server_bind(struct unix_server *s, struct err *e)
{
	const struct sockaddr *addr = (const struct sockaddr *)&s->addr;
	struct stat st;

	/* bind(2) gives the node the mode of the socket. */
	if (fchmod(s->listener.fd, 0600) < 0)
		return err_errno(e, -errno, "cannot make a socket");
	if (bind(s->listener.fd, addr, sizeof(s->addr)) == 0)
		return 0;
	if (errno != EADDRINUSE)
		return err_errno(e, -errno, "cannot bind");
	if (lstat(s->addr.sun_path, &st) == 0 && !S_ISSOCK(st.st_mode))
		return err_set(e, -EEXIST, "the path exists and is not a socket");
	if (!remove_stale(&s->addr))
		return err_set(e, -EADDRINUSE, "another process listens there");
	if (bind(s->listener.fd, addr, sizeof(s->addr)) < 0)
		return err_errno(e, -errno, "cannot bind");
	return 0;
}

static void server_free(struct unix_server *s)
{
	if (s->listener.added)
		loop_del(s->c->loop, &s->listener);
	if (s->bound)
		unlink(s->addr.sun_path);
	if (s->listener.fd >= 0)
		close(s->listener.fd);
	free(s);
}

static int server_start(struct unix_server *s, struct err *e)
{
	s->listener.fd = socket(AF_UNIX, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0);
	if (s->listener.fd < 0)
		return err_errno(e, -errno, "cannot make a socket");
	if (server_bind(s, e) < 0)
		return e ? e->code : -EADDRINUSE;
	s->bound = true;
	if (listen(s->listener.fd, 4) < 0)
		return err_errno(e, -errno, "cannot listen");
	s->listener.events = EPOLLIN;
	return loop_add(s->c->loop, &s->listener, e);
}

static int unix_open(struct chardev *c, const char *arg, struct err *e)
{
	struct unix_server *s;
	size_t n = strcspn(arg, ",");

	if (arg[n] && strcmp(arg + n, ",server"))
		return err_set(e, -EINVAL, "'%s' is not known here; only ',server' may follow",
			       arg + n);
	if (!n || n >= sizeof(s->addr.sun_path))
		return err_set(e, -ENAMETOOLONG, "a socket's path has 1 to %zu bytes",
			       sizeof(s->addr.sun_path) - 1);
	s = sys_alloc(sizeof(*s));
	if (!s)
		return err_nomem(e, sizeof(*s), "a socket");
	s->c = c;
	s->addr.sun_family = AF_UNIX;
	memcpy(s->addr.sun_path, arg, n);
	s->listener = (struct loop_fd){.fd = -1, .fn = on_connection};
	int code = server_start(s, e);
	if (code < 0) {
		server_free(s);
		return code;
	}
	c->priv = s;
	c->connected = false;
	return 0;
}

static void unix_close(struct chardev *c)
{
	server_free(c->priv);
}

const struct chardev_ops chardev_unix = {
	.kind = "unix",
	.form = "unix:PATH[,server]",
	.takes_arg = true,
	.in_size = CHARDEV_IN_SIZE,
	.drain_ms = 1000,
	.open = unix_open,
	.close = unix_close,
	.in_lost = unix_in_lost,
	.out_lost = unix_out_lost,
};
