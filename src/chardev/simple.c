/*
 * chardev/simple.c - back ends without a host side: nothing, and a buffer for tests.
 */
#include "base/sys.h"
#include "chardev/internal.h"

static int null_open(struct chardev *c, const char *arg, struct err *e)
{
	(void)arg;
	(void)e;
	chardev_discard(c);
	return 0;
}

const struct chardev_ops chardev_null = {.kind = "null", .form = "null", .open = null_open};
const struct chardev_ops chardev_none = {.kind = "none", .form = "none", .open = null_open};

static int buffer_open(struct chardev *c, const char *arg, struct err *e)
{
	(void)c;
	(void)arg;
	(void)e;
	return 0;
}

const struct chardev_ops chardev_buffer = {
	.kind = "buffer",
	.in_size = CHARDEV_IN_SIZE,
	.open = buffer_open,
};

size_t chardev_buffer_take(struct chardev *c, uint8_t *dst, size_t n)
{
	size_t taken = 0;

	pthread_mutex_lock(&c->lock);
	while (taken < n && c->out.used) {
		const uint8_t *p;
		size_t k = MIN(ring_peek(&c->out, &p), n - taken);
		for (size_t i = 0; i < k; i++)
			dst[taken + i] = p[i];
		ring_drop(&c->out, k);
		taken += k;
	}
	bool tell = c->refused && taken;
	if (tell)
		c->refused = false;
	pthread_mutex_unlock(&c->lock);
	if (tell && c->attached && c->client.drained)
		c->client.drained(c->client.arg);
	return taken;
}

size_t chardev_buffer_put(struct chardev *c, const uint8_t *src, size_t n)
{
	size_t taken = ring_put(&c->in, src, n);

	chardev_work(c);
	return taken;
}
