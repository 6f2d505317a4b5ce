/*
 * chardev/chardev.c - the stream between a device and a back end.
 *
 * Output.  chardev_write copies into a ring under the lock and, if the ring was empty, posts work
 * to the loop; the loop writes without the lock (it alone takes out of the ring) and watches for
 * EPOLLOUT while bytes remain.  So a ring with bytes in it always has either work posted, a watch,
 * or nobody connected.  A write that does not fit is cut short and remembered; when a few KiB are
 * free again the client's drained is called.  While nobody is connected the ring is a backlog: the
 * newest CHARDEV_BACKLOG bytes are kept for whoever comes, and the guest is not held up.
 *
 * Input.  The loop reads into a ring of its own and hands over what the client has room for; it
 * reads on while the ring has room.  The client calls chardev_wake when it has room again: room is
 * asked on the loop's thread after the wake was posted, so none is lost.
 */
#include "chardev/chardev.h"

#include <errno.h>
#include <poll.h>
#include <stdlib.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/socket.h>
#include <unistd.h>

#include "base/log.h"
#include "base/str.h"
#include "base/sys.h"
#include "base/trace.h"
#include "chardev/internal.h"

#define DRAINED_ROOM KIB(4)   /* room that is worth telling the client about */
#define TURN_BYTES   KIB(256) /* written before the loop's other work gets its turn */

size_t ring_put(struct ring *r, const uint8_t *src, size_t n)
{
	n = MIN(n, ring_room(r));
	if (!n)
		return 0;
	size_t tail = (r->head + r->used) % r->size;
	size_t first = MIN(n, r->size - tail);
	memcpy(r->buf + tail, src, first);
	memcpy(r->buf, src + first, n - first);
	r->used += n;
	return n;
}

size_t ring_peek(const struct ring *r, const uint8_t **p)
{
	*p = r->buf + r->head;
	return MIN(r->used, r->size - r->head);
}

/* An empty ring starts again at its beginning, so that a quiet port touches few pages. */
void ring_drop(struct ring *r, size_t n)
{
	r->used -= n;
	r->head = r->used ? (r->head + n) % r->size : 0;
}

static int ring_init(struct ring *r, size_t size, struct err *e)
{
	if (!size)
		return 0;
	r->buf = sys_alloc(size);
	if (!r->buf)
		return err_nomem(e, size, "a serial buffer");
	r->size = size;
	return 0;
}

/* A watch that the kernel has no memory for is tried again on the loop's next turn. */
static void watch(struct chardev *c, struct loop_fd *w, uint32_t events)
{
	struct err e = ERR_INIT;
	int code = 0;

	if (w->fd < 0)
		return;
	if (w->added) {
		code = loop_mod(c->loop, w, events);
	} else if (events) {
		w->events = events;
		code = loop_add(c->loop, w, &e);
	}
	if (code < 0) {
		loop_del(c->loop, w);
		loop_post(c->loop, &c->post);
	}
}

static void close_fd(struct chardev *c, struct loop_fd *w)
{
	loop_del(c->loop, w);
	if (w->fd >= 0)
		close(w->fd);
	w->fd = -1;
}

static ssize_t out_write(struct chardev *c, const uint8_t *p, size_t n)
{
	n = MIN(n, c->out_max);
	if (c->out_socket)
		return send(c->wr.fd, p, n, MSG_DONTWAIT | MSG_NOSIGNAL);
	return sys_write(c->wr.fd, p, n);
}

/* After @n bytes were written or dropped.  True if the client waits and has room now. */
static bool out_taken(struct chardev *c, size_t n)
{
	pthread_mutex_lock(&c->lock);
	ring_drop(&c->out, n);
	bool tell = c->refused && (ring_room(&c->out) >= DRAINED_ROOM || !c->out.used);
	if (tell)
		c->refused = false;
	pthread_mutex_unlock(&c->lock);
	return tell;
}

static size_t out_peek(struct chardev *c, const uint8_t **p)
{
	pthread_mutex_lock(&c->lock);
	size_t n = c->connected ? ring_peek(&c->out, p) : 0;
	pthread_mutex_unlock(&c->lock);
	return n;
}

static void tell_drained(struct chardev *c)
{
	if (c->attached && c->client.drained)
		c->client.drained(c->client.arg);
}

/* A write failed for good: true if the bytes wait for another reader. */
static bool out_failed(struct chardev *c, int code, size_t n)
{
	if (c->ops->out_lost && c->ops->out_lost(c, code))
		return true;
	if (!c->write_failed)
		log_error("%s: cannot write: %s; output is lost", c->spec, strerror(code));
	c->write_failed = true;
	if (out_taken(c, n))
		tell_drained(c);
	return false;
}

static void flush(struct chardev *c)
{
	const uint8_t *p;
	size_t n, done = 0;

	while (c->wr.fd >= 0 && (n = out_peek(c, &p))) {
		if (done >= TURN_BYTES) {
			loop_post(c->loop, &c->post);
			break;
		}
		ssize_t w = out_write(c, p, n);
		if (w < 0 && errno == EAGAIN) {
			watch(c, &c->wr, EPOLLOUT);
			return;
		}
		if (w < 0) {
			if (out_failed(c, errno, n))
				return;
			continue;
		}
		c->write_failed = false;
		done += (size_t)w;
		if (out_taken(c, (size_t)w))
			tell_drained(c);
		/* A descriptor that can block is written to once for each time it is ready. */
		if (c->out_max < SIZE_MAX) {
			watch(c, &c->wr, out_peek(c, &p) ? EPOLLOUT : 0);
			return;
		}
	}
	watch(c, &c->wr, 0);
}

static void deliver(struct chardev *c)
{
	while (c->attached && c->in.used) {
		const uint8_t *p;
		size_t n = ring_peek(&c->in, &p);
		size_t room = c->client.room(c->client.arg);
		if (!room)
			return;
		n = MIN(n, room);
		c->client.input(c->client.arg, p, n);
		ring_drop(&c->in, n);
	}
}

static void in_end(struct chardev *c, int code)
{
	c->in_ended = true;
	watch(c, &c->rd, 0);
	TRACE(chardev_in_end, "%s: %s", c->spec, code ? strerror(code) : "end of input");
	if (c->ops->in_lost)
		c->ops->in_lost(c, code);
}

static void on_readable(struct loop_fd *w, uint32_t events)
{
	struct chardev *c = container_of(w, struct chardev, rd);
	uint8_t buf[4096];
	size_t n = MIN(sizeof(buf), ring_room(&c->in));

	(void)events;
	if (!n || (c->ops->may_read && !c->ops->may_read(c)))
		return;
	ssize_t got = sys_read(w->fd, buf, n);
	if (got < 0 && errno == EAGAIN)
		return;
	if (got <= 0) {
		in_end(c, got < 0 ? errno : 0);
		return;
	}
	n = (size_t)got;
	if (c->ops->filter)
		n = c->ops->filter(c, buf, n);
	ring_put(&c->in, buf, n);
	chardev_work(c);
}

static void on_writable(struct loop_fd *w, uint32_t events)
{
	(void)events;
	flush(container_of(w, struct chardev, wr));
}

void chardev_work(struct chardev *c)
{
	flush(c);
	deliver(c);
	watch(c, &c->rd, !c->in_ended && ring_room(&c->in) ? EPOLLIN : 0);
}

static void on_post(struct loop_post *p)
{
	struct chardev *c = container_of(p, struct chardev, post);

	if (!c->started) {
		c->started = true;
		if (c->ops->start)
			c->ops->start(c);
	}
	chardev_work(c);
}

void chardev_connect(struct chardev *c, int in, int out)
{
	pthread_mutex_lock(&c->lock);
	uint64_t lost = c->dropped;
	c->dropped = 0;
	c->connected = true;
	pthread_mutex_unlock(&c->lock);
	if (lost)
		log_info("%s: %llu bytes of older output were dropped before anybody read them",
			 c->spec, (unsigned long long)lost);
	c->rd.fd = in;
	c->wr.fd = out;
	c->in_ended = false;
	loop_post(c->loop, &c->post);
}

void chardev_disconnect(struct chardev *c)
{
	close_fd(c, &c->rd);
	close_fd(c, &c->wr);
	pthread_mutex_lock(&c->lock);
	c->connected = false;
	if (c->out.used > CHARDEV_BACKLOG) {
		c->dropped += c->out.used - CHARDEV_BACKLOG;
		ring_drop(&c->out, c->out.used - CHARDEV_BACKLOG);
	}
	bool tell = c->refused;
	c->refused = false;
	pthread_mutex_unlock(&c->lock);
	if (tell)
		tell_drained(c);
}

void chardev_discard(struct chardev *c)
{
	pthread_mutex_lock(&c->lock);
	c->discard = true;
	ring_drop(&c->out, c->out.used);
	bool tell = c->refused;
	c->refused = false;
	pthread_mutex_unlock(&c->lock);
	watch(c, &c->wr, 0);
	if (tell)
		tell_drained(c);
}

/* Makes room in the backlog by giving up the oldest.  Returns how many bytes of @n to skip. */
static size_t backlog_room(struct chardev *c, size_t n)
{
	size_t skip = n > CHARDEV_BACKLOG ? n - CHARDEV_BACKLOG : 0;
	size_t keep = CHARDEV_BACKLOG - (n - skip);

	if (c->out.used > keep) {
		c->dropped += c->out.used - keep;
		ring_drop(&c->out, c->out.used - keep);
	}
	c->dropped += skip;
	return skip;
}

size_t chardev_write(struct chardev *c, const void *buf, size_t n)
{
	const uint8_t *p = buf;
	size_t taken = n;
	bool wake = false;

	if (!n)
		return 0;
	pthread_mutex_lock(&c->lock);
	if (!c->discard && c->connected) {
		wake = !c->out.used;
		taken = ring_put(&c->out, p, n);
		if (taken < n)
			c->refused = true;
	} else if (!c->discard) {
		size_t skip = backlog_room(c, n);
		ring_put(&c->out, p + skip, n - skip);
	}
	if (c->tap && taken)
		c->tap(c->tap_arg, p, taken);
	pthread_mutex_unlock(&c->lock);
	if (wake)
		loop_post(c->loop, &c->post);
	return taken;
}

void chardev_wake(struct chardev *c)
{
	loop_post(c->loop, &c->post);
}

void chardev_attach(struct chardev *c, const struct chardev_client *client)
{
	c->attached = client != NULL;
	if (!client)
		return;
	c->client = *client;
	loop_post(c->loop, &c->post);
}

void chardev_tap(struct chardev *c, void (*fn)(void *arg, const uint8_t *buf, size_t n), void *arg)
{
	pthread_mutex_lock(&c->lock);
	c->tap = fn;
	c->tap_arg = arg;
	pthread_mutex_unlock(&c->lock);
}

void chardev_on_leave(struct chardev *c, void (*fn)(void *arg), void *arg)
{
	c->leave = fn;
	c->leave_arg = arg;
}

static const struct chardev_ops *const kinds[] = {
	&chardev_stdio, &chardev_pty,  &chardev_file,	&chardev_unix,
	&chardev_none,	&chardev_null, &chardev_buffer,
};

static int spec_unknown(const char *spec, struct err *e)
{
	struct strbuf forms = {0};
	const char *words[ARRAY_LEN(kinds) + 1] = {0}, *near_form = NULL;
	char first[32];
	size_t n = 0;

	for (size_t i = 0; i < ARRAY_LEN(kinds); i++) {
		if (!kinds[i]->form)
			continue;
		strbuf_printf(&forms, "%s%s", n ? ", " : "", kinds[i]->form);
		words[n++] = kinds[i]->kind;
	}
	str_copy(first, sizeof(first), spec);
	first[strcspn(first, ":,")] = 0;
	const char *near = str_nearest(first, words);
	for (size_t i = 0; near && i < ARRAY_LEN(kinds); i++) {
		if (kinds[i]->kind == near)
			near_form = kinds[i]->form;
	}
	if (near_form)
		err_set(e, -EINVAL, "'%s' is not a serial back end (did you mean %s?)", spec,
			near_form);
	else
		err_set(e, -EINVAL, "'%s' is not a serial back end", spec);
	err_hint(e, "accepted are %s", strbuf_str(&forms));
	strbuf_exit(&forms);
	return err_kind(e, ERR_USAGE);
}

/* The back end that @spec names, with *@arg what follows the colon. */
static const struct chardev_ops *spec_find(const char *spec, const char **arg)
{
	for (size_t i = 0; i < ARRAY_LEN(kinds); i++) {
		size_t n = strlen(kinds[i]->kind);
		if (strncmp(spec, kinds[i]->kind, n))
			continue;
		if (!kinds[i]->takes_arg && !spec[n])
			return kinds[i];
		if (kinds[i]->takes_arg && spec[n] == ':' && spec[n + 1]) {
			*arg = spec + n + 1;
			return kinds[i];
		}
	}
	return NULL;
}

int chardev_check(const char *spec, struct err *e)
{
	const char *arg = "";

	return spec_find(spec, &arg) ? 0 : spec_unknown(spec, e);
}

int chardev_open(const char *spec, struct loop *l, struct chardev **out, struct err *e)
{
	const char *arg = "";
	const struct chardev_ops *ops = spec_find(spec, &arg);

	if (!ops)
		return spec_unknown(spec, e);
	struct chardev *c = sys_alloc(sizeof(*c));
	if (!c)
		return err_nomem(e, sizeof(*c), "a serial port");
	c->ops = ops;
	c->loop = l;
	str_copy(c->spec, sizeof(c->spec), spec);
	pthread_mutex_init(&c->lock, NULL);
	c->rd = (struct loop_fd){.fd = -1, .fn = on_readable};
	c->wr = (struct loop_fd){.fd = -1, .fn = on_writable};
	c->post.fn = on_post;
	c->out_max = SIZE_MAX;
	c->connected = true;
	if (ring_init(&c->out, CHARDEV_OUT_SIZE, e) < 0 || ring_init(&c->in, ops->in_size, e) < 0)
		goto out_free;
	if (ops->open(c, arg, e) < 0)
		goto out_free;
	loop_post(l, &c->post);
	*out = c;
	return 0;
out_free:
	loop_unpost(l, &c->post);
	close_fd(c, &c->rd);
	close_fd(c, &c->wr);
	pthread_mutex_destroy(&c->lock);
	free(c->out.buf);
	free(c->in.buf);
	free(c);
	return e ? e->code : -EINVAL;
}

/* Writes what is left, as long as the reader takes something within each drain_ms. */
static void drain(struct chardev *c)
{
	const uint8_t *p;
	size_t n;

	while (c->wr.fd >= 0 && (n = out_peek(c, &p))) {
		struct pollfd pfd = {.fd = c->wr.fd, .events = POLLOUT};
		int ready = poll(&pfd, 1, (int)c->ops->drain_ms);
		if (ready < 0 && errno == EINTR)
			continue;
		ssize_t w = ready > 0 ? out_write(c, p, n) : -1;
		if (w < 0 && ready > 0 && errno == EAGAIN)
			continue;
		if (w < 0)
			break;
		out_taken(c, (size_t)w);
	}
	if (c->wr.fd >= 0 && c->connected && c->out.used && !c->write_failed)
		log_warn("%s: the last %zu bytes of output were not read and are lost", c->spec,
			 c->out.used);
}

void chardev_free(void *ptr)
{
	struct chardev *c = ptr;

	if (!c)
		return;
	c->attached = false;
	drain(c);
	loop_unpost(c->loop, &c->post);
	if (c->ops->close)
		c->ops->close(c);
	close_fd(c, &c->rd);
	close_fd(c, &c->wr);
	pthread_mutex_destroy(&c->lock);
	free(c->out.buf);
	free(c->in.buf);
	free(c);
}
