/*
 * chardev/chardev.h - byte streams to the host: terminal, pty, file, Unix socket, nothing.
 *
 * The device calls chardev_write with its lock held, from a vCPU thread or the loop; it never
 * blocks: bytes go into a bounded buffer that the loop drains, and what does not fit is refused, so
 * that a UART can hold its "transmitter empty" bit back: a slow reader costs time, not bytes.
 * Input goes the other way only while the device says it has room.
 */
#ifndef LODGE_CHARDEV_CHARDEV_H
#define LODGE_CHARDEV_CHARDEV_H

#include "base/err.h"
#include "base/loop.h"

struct chardev;

/* The front end (a device); called on the loop's thread without locks: take the device lock. */
struct chardev_client {
	/* How many bytes can be taken now. */
	size_t (*room)(void *arg);
	/* @n <= room bytes from outside. */
	void (*input)(void *arg, const uint8_t *buf, size_t n);
	/* The output buffer has room again after a short write. */
	void (*drained)(void *arg);
	/* A break condition was asked for (C-a b).  Optional. */
	void (*brk)(void *arg);
	void *arg;
};

/*
 * Opens @spec: "stdio", "pty", "file:PATH", "unix:PATH[,server]", "none", "null", "buffer" (tests).
 * stdio has its C-a keys when stdin is a terminal, which turns raw on the loop's first turn.  The
 * caller puts the spec in front of an error; the hint for an unknown one (ERR_USAGE) lists the
 * accepted forms.
 */
int chardev_open(const char *spec, struct loop *l, struct chardev **out, struct err *e) MUST_CHECK;
/* The form of @spec only, for whoever wants to refuse it before anything is opened. */
int chardev_check(const char *spec, struct err *e) MUST_CHECK;
/* Drains for a bounded time, restores the terminal, closes.  void * as backend.free has it. */
void chardev_free(void *ptr);

/* One client per chardev; NULL detaches.  Loop thread, or with the loop not running. */
void chardev_attach(struct chardev *c, const struct chardev_client *client);
/* Any thread.  Returns how many bytes were taken (0 to n). */
size_t chardev_write(struct chardev *c, const void *buf, size_t n);
/* Any thread: the client has room again. */
void chardev_wake(struct chardev *c);

/* A copy of all output, for the progress watcher and tests; called from chardev_write. */
void chardev_tap(struct chardev *c, void (*fn)(void *arg, const uint8_t *buf, size_t n), void *arg);

/* The user asked to leave with C-a x; on the loop's thread. */
void chardev_on_leave(struct chardev *c, void (*fn)(void *arg), void *arg);

/* "buffer" only: everything written so far, and injection of input as if from outside. */
size_t chardev_buffer_take(struct chardev *c, uint8_t *dst, size_t n);
size_t chardev_buffer_put(struct chardev *c, const uint8_t *src, size_t n);

#endif
