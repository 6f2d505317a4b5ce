/*
 * accel/script/internal.h - between the parts of the script accelerator: the VM's side (script.c),
 * where lines come from (source.c), how a line is read (parse.c), and what it does (command.c).
 */
#ifndef LODGE_ACCEL_SCRIPT_INTERNAL_H
#define LODGE_ACCEL_SCRIPT_INTERNAL_H

#include <stdatomic.h>

#include "arch/x86/userchip.h"
#include "base/str.h"
#include "core/vm.h"

#define SCRIPT_LINE_MAX	  8192u
#define SCRIPT_TOKENS_MAX 72u
#define SCRIPT_MSIS	  64u /* remembered messages; older ones are dropped */
#define SCRIPT_EVENTS	  8u
#define SCRIPT_STATES	  4u
#define SCRIPT_REPEAT_MAX 10000000u

struct token {
	const char *s;
	size_t len; /* a quoted token may hold any byte; s[len] is 0 */
	bool quoted;
};

/* One command: a token list that points into the line. */
struct command {
	struct token tok[SCRIPT_TOKENS_MAX];
	unsigned n;
};

/* Where lines come from.  Reading waits for input or a kick. */
struct source {
	char name[108]; /* as messages say it */
	int fd;		/* what is read; -1 while no client is connected */
	int listener;	/* a Unix socket: answers go back to whoever asks; -1: a file */
	char path[108]; /* of the socket, to be removed at the end */
	char buf[SCRIPT_LINE_MAX];
	size_t head, used; /* bytes in buf that were not handed out */
	bool ended;
	unsigned line; /* number of the line handed out last */
};

struct saved_state {
	char name[32];
	struct strbuf data;
};

struct script {
	struct vm *vm;
	struct irqchip *chip; /* &recorder, or the user-space chips of an x86 machine, looked at */
	struct irqchip recorder;
	struct x86_userchip user;
	uint64_t rises[IRQ_PINS]; /* chip->lock */
	bool level[IRQ_PINS];	  /* chip->lock */
	pthread_mutex_t lock;	  /* msis and events */
	struct msi msi[SCRIPT_MSIS];
	unsigned msi_first, n_msis;
	uint64_t msi_total;
	struct vm_request event[SCRIPT_EVENTS];
	unsigned n_events;

	/* Work that only the loop's thread may do; the script waits for it on done_fd. */
	struct loop_post post;
	void (*op)(struct script *s); /* reads cmd, sets op_err */
	unsigned rounds;	      /* turns of the loop to let pass before op */
	struct err op_err;
	int done_fd;  /* eventfd */
	int *kick_fd; /* eventfd of each vCPU */

	struct saved_state states[SCRIPT_STATES];
	struct source src;
	char text[SCRIPT_LINE_MAX]; /* the line being run, cut up by the parser */
	char *rest;		    /* what is left of it, or NULL */
	struct command cmd;	    /* current one */
	enum { FETCH, SYNC, RUN, WAIT } stage;
	bool negated, at_end, finished;
	uint64_t value; /* what the command found, for the answer on a socket */
	bool has_value;
	unsigned failures;

	/* The owner's handler, which gets what the guest did not cause, and the end. */
	void (*owner)(struct vm *vm, const struct vm_request *r, void *arg);
	void *owner_arg;
	bool hooked;
	_Atomic bool ending; /* what comes now is the script's own exit request */
};

/* parse.c: the next command of @*rest (moved past it, NULL at the end of the line).  -EINVAL. */
int script_parse(char **rest, struct command *c, struct err *e) MUST_CHECK;

/* source.c. */
int source_open(struct source *s, const char *spec, struct err *e) MUST_CHECK;
void source_close(struct source *s);
enum source_result { SOURCE_LINE, SOURCE_END, SOURCE_KICKED, SOURCE_TOO_LONG };
/* The next line, without its end, into @line (SCRIPT_LINE_MAX bytes).  A kick interrupts it. */
enum source_result source_line(struct source *s, int kick_fd, char *line);
/* On a socket, sends an answer. */
void source_answer(struct source *s, const char *text);

/*
 * command.c: runs one command.  0, or -errno with a message: it failed (a mistake of the script
 * itself is of kind ERR_USAGE).  SCRIPT_LATER: s->op must run on the loop's thread.
 */
#define SCRIPT_LATER 1
int script_command(struct script *s, const struct command *c, struct err *e) MUST_CHECK;
/* The events that no command expected, for a message; false if there are none. */
bool script_left_over(struct script *s, char *buf, size_t n);

/* script.c: text for whoever runs the script: standard output, or the socket's client. */
void script_print(struct script *s, const char *text);

#endif
