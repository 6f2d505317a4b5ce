/*
 * monitor/console.h - the tail of what a guest printed: its last lines, and whether it panicked.
 *
 * Fed by chardev_tap from vCPU threads; read by the main loop.
 */
#ifndef LODGE_MONITOR_CONSOLE_H
#define LODGE_MONITOR_CONSOLE_H

#include <pthread.h>

#include "base/str.h"
#include "core/vm.h"

#define CONSOLE_LINES 20
#define CONSOLE_WIDTH 160
#define CONSOLE_PORTS 8

struct console;

/* One byte stream on its way to lines. */
struct console_port {
	struct console *console;
	char line[CONSOLE_WIDTH];
	unsigned len;
	uint8_t escape; /* inside a terminal control sequence */
};

struct console {
	struct vm *vm;
	_Atomic uint64_t first_ns; /* host time of the first byte; 0: none yet */
	pthread_mutex_t lock;	   /* all below; a leaf */
	char lines[CONSOLE_LINES][CONSOLE_WIDTH];
	uint64_t n_lines; /* ever; the newest is lines[(n_lines - 1) % CONSOLE_LINES] */
	bool panicked;
	char panic[CONSOLE_WIDTH];    /* what follows "Kernel panic - not syncing: " */
	uint64_t panic_line;	      /* n_lines when it was printed */
	bool halted;		      /* it has said that it hangs for good */
	void (*on_halted)(void *arg); /* called once, from a vCPU thread; a leaf */
	void *arg;
	struct console_port ports[CONSOLE_PORTS];
	unsigned n_ports;
};

/* Listens to every chardev of @vm.  on_halted may be set afterwards. */
void console_init(struct console *c, struct vm *vm);
void console_exit(struct console *c);
/* The guest starts again: nothing it said before counts. */
void console_reset(struct console *c);
/* True if the guest panicked not long ago; @text gets its reason. */
bool console_panicked(struct console *c, char *text, size_t n);
/* Appends the last @n lines, each indented and ended. */
void console_tail(struct console *c, unsigned n, struct strbuf *out);

/* As if from the guest; for chardev_tap and tests. */
void console_feed(void *port, const uint8_t *buf, size_t n);

#endif
