/*
 * monitor/console.c - lines out of console bytes, and the kernel's last words among them.
 *
 * Linux says "Kernel panic - not syncing: REASON" first, then where it was, and then either
 * "Rebooting in N seconds.." or, when it hangs for good, "---[ end Kernel panic - not syncing ..."
 * [kernel/panic.c].  A program that prints such a line looks the same, so a line must begin with
 * it, apart from printk's time stamp, and old ones are forgotten.
 */
#include "monitor/console.h"

#include <stdio.h>
#include <string.h>

#include "base/sys.h"
#include "chardev/chardev.h"

#define PANIC	     "Kernel panic - not syncing"
#define PANIC_END    "---[ end Kernel panic - not syncing"
#define PANIC_RECENT 200 /* lines after which a panic is history */

/* Behind "<3>", "[   12.345678]" and "[    T1]". */
static const char *skip_stamp(const char *s)
{
	for (;;) {
		const char *end = NULL;
		s += strspn(s, " ");
		if (*s == '<')
			end = strchr(s, '>');
		else if (*s == '[')
			end = strchr(s, ']');
		if (!end || strspn(s + 1, " .0123456789TC") != (size_t)(end - s - 1))
			return s;
		s = end + 1;
	}
}

/* A line is complete.  Lock held; true if on_halted has to be called. */
static bool line_done(struct console *c, const char *line)
{
	const char *s = skip_stamp(line);
	bool first = false;

	str_copy(c->lines[c->n_lines % CONSOLE_LINES], CONSOLE_WIDTH, line);
	c->n_lines++;
	if (!strncmp(s, PANIC, strlen(PANIC))) {
		s += strlen(PANIC);
		s += strspn(s, ": ");
		c->panicked = true;
		c->panic_line = c->n_lines;
		str_copy(c->panic, sizeof(c->panic), s);
	} else if (c->panicked && !strncmp(s, PANIC_END, strlen(PANIC_END))) {
		first = !c->halted;
		c->halted = true;
	}
	return first;
}

/* Leaves out control characters and terminal control sequences (ESC [ ... letter). */
static bool printable(struct console_port *p, uint8_t b)
{
	if (p->escape == 1) {
		p->escape = b == '[' ? 2 : 0;
		return false;
	}
	if (p->escape == 2) {
		if (b >= 0x40 && b <= 0x7e)
			p->escape = 0;
		return false;
	}
	if (b == 0x1b)
		p->escape = 1;
	return b >= ' ' && b != 0x7f;
}

void console_feed(void *port, const uint8_t *buf, size_t n)
{
	struct console_port *p = port;
	struct console *c = p->console;
	bool halted = false;

	if (!atomic_fetch_add_explicit(&c->vm->console_bytes, n, memory_order_relaxed))
		c->first_ns = sys_now_ns();
	pthread_mutex_lock(&c->lock);
	for (size_t i = 0; i < n; i++) {
		if (buf[i] == '\n') {
			p->line[p->len] = 0;
			halted |= line_done(c, p->line);
			p->len = 0;
			p->escape = 0;
		} else if (printable(p, buf[i]) && p->len < CONSOLE_WIDTH - 1) {
			p->line[p->len++] = (char)buf[i];
		}
	}
	pthread_mutex_unlock(&c->lock);
	if (halted && c->on_halted)
		c->on_halted(c->arg);
}

void console_init(struct console *c, struct vm *vm)
{
	*c = (struct console){.vm = vm};
	pthread_mutex_init(&c->lock, NULL);
	for (struct backend *b = vm->backends; b && c->n_ports < CONSOLE_PORTS; b = b->next) {
		if (strcmp(b->kind, "chardev"))
			continue;
		struct console_port *p = &c->ports[c->n_ports++];
		p->console = c;
		chardev_tap(b->ptr, console_feed, p);
	}
}

void console_exit(struct console *c)
{
	for (struct backend *b = c->vm->backends; b; b = b->next) {
		if (!strcmp(b->kind, "chardev"))
			chardev_tap(b->ptr, NULL, NULL);
	}
	pthread_mutex_destroy(&c->lock);
}

void console_reset(struct console *c)
{
	pthread_mutex_lock(&c->lock);
	c->panicked = c->halted = false;
	c->n_lines = 0;
	pthread_mutex_unlock(&c->lock);
}

bool console_panicked(struct console *c, char *text, size_t n)
{
	pthread_mutex_lock(&c->lock);
	bool yes = c->panicked && c->n_lines - c->panic_line <= PANIC_RECENT;
	str_copy(text, n, yes ? c->panic : "");
	pthread_mutex_unlock(&c->lock);
	return yes;
}

void console_tail(struct console *c, unsigned n, struct strbuf *out)
{
	pthread_mutex_lock(&c->lock);
	uint64_t have = MIN(c->n_lines, (uint64_t)CONSOLE_LINES);
	for (uint64_t i = c->n_lines - MIN(have, (uint64_t)n); i < c->n_lines; i++)
		strbuf_printf(out, "  | %s\n", c->lines[i % CONSOLE_LINES]);
	for (unsigned i = 0; i < c->n_ports; i++) {
		if (c->ports[i].len)
			strbuf_printf(out, "  | %.*s\n", (int)c->ports[i].len, c->ports[i].line);
	}
	pthread_mutex_unlock(&c->lock);
}
