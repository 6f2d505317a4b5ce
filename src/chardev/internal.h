/*
 * chardev/internal.h - what the back ends of one folder share: the stream between a device and two
 * file descriptors.
 *
 * chardev.c moves the bytes; a back end (struct chardev_ops) says where they come from and go to.
 * Everything except the output ring, and the flags marked "lock", belongs to the loop's thread.
 */
#ifndef LODGE_CHARDEV_INTERNAL_H
#define LODGE_CHARDEV_INTERNAL_H

#include <pthread.h>

#include "chardev/chardev.h"

#define CHARDEV_OUT_SIZE MIB(1)	  /* bytes of guest output that wait for a slow reader */
#define CHARDEV_BACKLOG	 KIB(256) /* of which are kept while nobody is connected */
#define CHARDEV_IN_SIZE	 KIB(4)	  /* input read ahead of the guest */
#define CHARDEV_SPEC_MAX 256

struct ring {
	uint8_t *buf;
	size_t size, head, used;
};

struct chardev_ops {
	const char *kind;  /* the spec's first word */
	const char *form;  /* as messages list it; NULL: not offered to users */
	bool takes_arg;	   /* "kind:ARG", and ARG is not empty */
	size_t in_size;	   /* bytes of input ring, 0: no input */
	unsigned drain_ms; /* how long chardev_free waits for a reader that takes nothing */
	/* Connects now or later.  The back end's own struct goes to c->priv. */
	int (*open)(struct chardev *c, const char *arg, struct err *e);
	/* First turn of the loop.  Optional. */
	void (*start)(struct chardev *c);
	/* Frees c->priv; the descriptors are closed by chardev.c.  Optional. */
	void (*close)(struct chardev *c);
	/* Before @c's input is read: false leaves it unread for now.  Optional. */
	bool (*may_read)(struct chardev *c);
	/* Looks at input and may take bytes out of it; returns how many are left.  Optional. */
	size_t (*filter)(struct chardev *c, uint8_t *buf, size_t n);
	/* Input ended (code 0) or failed; reading has stopped. Optional. */
	void (*in_lost)(struct chardev *c, int code);
	/* A write failed.  True: the reader is gone, keep the bytes; false: drop them. */
	bool (*out_lost)(struct chardev *c, int code);
};

struct chardev {
	const struct chardev_ops *ops;
	struct loop *loop;
	char spec[CHARDEV_SPEC_MAX]; /* for messages */
	void *priv;

	pthread_mutex_t lock;
	struct ring out;  /* lock; only the loop takes out of it, and only while connected */
	bool connected;	  /* lock: somebody reads; otherwise the ring is a backlog */
	bool discard;	  /* lock: output is dropped for good */
	bool refused;	  /* lock: the client had a short write and waits for drained */
	uint64_t dropped; /* lock: backlog bytes lost to newer ones */
	void (*tap)(void *arg, const uint8_t *buf, size_t n); /* lock */
	void *tap_arg;

	struct ring in;
	struct loop_fd rd, wr; /* fd -1: none.  Never the same number: epoll wants one watch each */
	bool out_socket;       /* wr is somebody else's socket: send without blocking */
	size_t out_max;	       /* most bytes one write may carry */
	bool started, in_ended, write_failed;
	struct loop_post post;
	struct chardev_client client;
	bool attached;
	void (*leave)(void *arg);
	void *leave_arg;
};

extern const struct chardev_ops chardev_stdio, chardev_pty, chardev_file, chardev_unix,
	chardev_null, chardev_none, chardev_buffer;

size_t ring_put(struct ring *r, const uint8_t *src, size_t n);
/* The first contiguous piece of what is in @r. */
size_t ring_peek(const struct ring *r, const uint8_t **p);
void ring_drop(struct ring *r, size_t n);
static inline size_t ring_room(const struct ring *r)
{
	return r->size - r->used;
}

/* A reader and writer came (@in and @out are taken over; -1: none) or went.  Loop thread. */
void chardev_connect(struct chardev *c, int in, int out);
void chardev_disconnect(struct chardev *c);
/* From now on all output is dropped. */
void chardev_discard(struct chardev *c);
/* Looks again at what can be read, delivered and written.  Loop thread. */
void chardev_work(struct chardev *c);

#endif
