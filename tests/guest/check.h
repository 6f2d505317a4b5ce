/*
 * The guest-side checker: what its parts share.  The protocol on the console is described at the
 * head of check.c.  Everything here runs in one thread, in PID 1 of the guest.
 */
#ifndef LODGE_TESTS_GUEST_CHECK_H
#define LODGE_TESTS_GUEST_CHECK_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#define CHECK_FORMAT(string, first) __attribute__((format(printf, string, first)))

/* Report one result: "check: NAME: ok|FAIL: DETAIL". Counted for the last line. */
void check_report(const char *name, bool ok, const char *format, ...) CHECK_FORMAT(3, 4);

/* Report something seen that is neither right nor wrong: "KIND: DETAIL". */
void check_say(const char *kind, const char *format, ...) CHECK_FORMAT(2, 3);

/*
 * The value of NAME in "lodge.NAME=VALUE" on the kernel's command line, "" for a bare "lodge.NAME",
 * NULL when it is not there. The string is valid until the next call.
 */
const char *check_option(const char *name);

/* Read a whole small file (procfs, sysfs) into buf as a string. Returns its length or -1. */
long check_read_file(const char *path, char *buf, size_t size);

/* Nanoseconds of CLOCK_MONOTONIC, and a sleep on it. */
int64_t check_now(void);
void check_sleep_ms(long ms);

/* console.c: the console in raw mode, lines and bytes both ways. */
void console_open(void);
/* Read up to size bytes, waiting at most ms for the first. Returns 0 when none came. */
size_t console_read(void *buf, size_t size, int ms);
void console_write(const void *buf, size_t size);
/* Read one line without its end. Returns false when none is complete within ms. */
bool console_line(char *buf, size_t size, int ms);
/* Send "ask: REQUEST" and wait for the one-line answer. */
bool console_ask(const char *request, char *answer, size_t size);
/* Wait until everything written has left. */
void console_drain(void);
void check_console(void);
/* One question and its answer: the least that shows the console's two directions. */
void check_answer(void);

/* clock.c */
void check_clocks(void);

/* system.c */
void check_cpus(void);
void check_memory(void);
void check_interrupts(void);
void check_tables(void);

/* kmsg.c */
/*
 * Find the first line of the kernel log that contains `text`; copy what follows it to buf.
 * Returns false if there is none.
 */
bool kmsg_find(const char *text, char *buf, size_t size);
void check_kmsg(void);

/* end.c: the way lodge.end= names; does not return. */
_Noreturn void check_end(void);

/* x86/counter.c, arm64/counter.c: the CPU's own time counter. */
uint64_t counter_read(void);
/* Its frequency as the kernel knows it, in Hz; 0 if that cannot be told. */
uint64_t counter_hz(void);
/* Make one exit that a tracer of the host's KVM can recognise as "/init has begun". */
void counter_mark_init(void);

#endif
