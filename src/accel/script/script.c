/*
 * accel/script/script.c - an accelerator without guest code: a text script plays the guest.
 *
 * The first vCPU's thread reads commands and runs them, as a real vCPU would run instructions:
 * ports and memory through as_vcpu_read and as_vcpu_write, time by clock_step.  The interrupt chip
 * only records.  All device tests stand on it, and a program can drive it through a socket.
 *
 * The same script gives the same result every time.  VM time moves by `step` only; and before each
 * command the loop's thread gets two turns, so that whatever the command before it caused there (a
 * byte on its way to a device, a request for a reset) has arrived.  The script waits for the loop's
 * thread but also for a kick: the loop's thread may itself be waiting for this vCPU to park.
 *
 * Requests that the guest causes (power-off, reset, exit) are for `expect event`: the owner of the
 * VM does not see them.  It gets the end of the script as an exit request.
 */
#include <errno.h>
#include <poll.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/eventfd.h>
#include <unistd.h>

#include "accel/script/internal.h"
#include "arch/arch.h"
#include "base/sys.h"

static void fd_raise(int fd)
{
	uint64_t one = 1;

	(void)!write(fd, &one, sizeof(one));
}

static bool fd_clear(int fd)
{
	uint64_t n;

	return read(fd, &n, sizeof(n)) == sizeof(n);
}

void script_print(struct script *s, const char *text)
{
	if (s->src.listener >= 0)
		source_answer(&s->src, text);
	else
		fputs(text, stdout);
}

/* --- the recording interrupt chip --- */

static void record_pin(void *arg, unsigned pin, bool level)
{
	struct script *s = arg;

	s->rises[pin] += level;
	s->level[pin] = level;
}

static void record_msi(void *arg, const struct msi *m)
{
	struct script *s = arg;

	pthread_mutex_lock(&s->lock);
	if (s->n_msis == SCRIPT_MSIS) {
		s->msi_first = (s->msi_first + 1) % SCRIPT_MSIS;
		s->n_msis--;
	}
	s->msi[(s->msi_first + s->n_msis++) % SCRIPT_MSIS] = *m;
	pthread_mutex_unlock(&s->lock);
}

static void chip_set(struct irqchip *c, unsigned pin, bool level)
{
	record_pin(container_of(c, struct script, recorder), pin, level);
}

static void chip_msi(struct irqchip *c, const struct msi *m)
{
	record_msi(container_of(c, struct script, recorder), m);
}

static const struct irqchip_ops chip_ops = {.name = "recorder", .set = chip_set, .msi = chip_msi};

static void ignore_intr(void *arg, bool level)
{
	(void)arg, (void)level; /* "intr" asks the chip */
}

static const struct x86_userchip_ops user_ops = {
	.msi = record_msi, .intr = ignore_intr, .pin = record_pin};

/* Nobody takes the interrupts; but the board's own chips, if it has them, are there and work. */
static int irqchip_make(struct vm *vm, enum irqchip_mode mode, struct err *e)
{
	struct script *s = vm->accel_data;
	int rc;

	if (mode == IRQCHIP_USER && vm->arch == &arch_x86) {
		rc = x86_userchip_init(&s->user, vm, IRQ_PINS, &user_ops, s, e);
		s->chip = rc ? NULL : &s->user.chip;
		return rc;
	}
	rc = irqchip_init(&s->recorder, vm, &chip_ops, IRQ_PINS);
	if (rc)
		return err_errno(e, rc, "cannot make the interrupt recorder");
	vm->irqchip = s->chip = &s->recorder;
	return 0;
}

/* --- the loop's side --- */

static void on_request(struct vm *vm, const struct vm_request *r, void *arg)
{
	struct script *s = arg;

	if (!r->by_guest || s->ending) {
		if (s->owner)
			s->owner(vm, r, s->owner_arg);
		return;
	}
	pthread_mutex_lock(&s->lock);
	if (s->n_events < SCRIPT_EVENTS)
		s->event[s->n_events++] = *r;
	pthread_mutex_unlock(&s->lock);
}

static void posted(struct loop_post *p)
{
	struct script *s = container_of(p, struct script, post);

	if (!s->hooked) {
		s->owner = s->vm->on_request;
		s->owner_arg = s->vm->on_request_arg;
		s->vm->on_request = on_request;
		s->vm->on_request_arg = s;
		s->hooked = true;
	}
	if (s->rounds > 0) {
		s->rounds--;
		loop_post(s->vm->loop, &s->post);
		return;
	}
	if (s->op)
		s->op(s);
	fd_raise(s->done_fd);
}

static void post(struct script *s, unsigned rounds)
{
	s->rounds = rounds;
	s->op_err = ERR_INIT;
	loop_post(s->vm->loop, &s->post);
}

/* --- the vCPU's side --- */

/* Waits for what was posted.  False if a kick came first. */
static bool wait_done(struct script *s, int kick_fd)
{
	struct pollfd pfd[2] = {{.fd = s->done_fd, .events = POLLIN},
				{.fd = kick_fd, .events = POLLIN}};

	for (;;) {
		(void)poll(pfd, 2, -1);
		if (pfd[0].revents)
			return fd_clear(s->done_fd);
		if (pfd[1].revents)
			return false;
	}
}

/* What the current command was, for messages. */
static void command_text(const struct command *c, struct strbuf *b)
{
	for (unsigned i = 0; i < c->n; i++) {
		const char *q = c->tok[i].quoted ? "\"" : "";

		strbuf_printf(b, "%s%s%.40s%s", i ? " " : "", q, c->tok[i].s, q);
	}
}

/* The result of a command, for whoever waits for it. */
static void report(struct script *s, int rc, const struct err *e)
{
	struct strbuf b = {0};

	if (rc) {
		s->failures++;
		command_text(&s->cmd, &b);
	}
	if (s->src.listener >= 0) {
		struct strbuf line = {0};

		if (rc)
			strbuf_printf(&line, "fail %s\n", e->msg);
		else if (s->has_value)
			strbuf_printf(&line, "ok %llx\n", (unsigned long long)s->value);
		else
			strbuf_add(&line, "ok\n");
		source_answer(&s->src, strbuf_str(&line));
		strbuf_exit(&line);
	} else if (rc) {
		log_error("%s:%u: %s: %s", s->src.name, s->src.line, strbuf_str(&b), e->msg);
		s->at_end = true; /* a file ends at its first failure */
	}
	strbuf_exit(&b);
}

/* "! COMMAND" turns a failure into success, but not a mistake of the script. */
static void finish_command(struct script *s, int rc, struct err *e)
{
	if (s->negated && !(rc && e->kind == ERR_USAGE))
		rc = rc ? 0 : err_set(e, -EILSEQ, "it should have failed");
	report(s, rc, e);
	s->stage = FETCH;
}

static void end_script(struct script *s)
{
	char event[32];
	struct err e = ERR_INIT;

	if (!s->failures && script_left_over(s, event, sizeof(event))) {
		s->cmd.n = 0;
		err_set(&e, -EILSEQ, "the guest caused event %s, which nothing expected", event);
		report(s, e.code, &e);
	}
	(void)fflush(stdout);
	s->finished = true;
	s->ending = true;
	vm_request(s->vm, VM_EVENT_EXIT,
		   s->failures && s->src.listener < 0 ? EXIT_FAILED : EXIT_GUEST_OFF, "%s", "");
}

/* Sets up the next command.  False on a kick. */
static bool fetch(struct script *s, int kick_fd)
{
	struct err e = ERR_INIT;

	if (s->at_end)
		return true;
	if (!s->rest) {
		switch (source_line(&s->src, kick_fd, s->text)) {
		case SOURCE_KICKED: return false;
		case SOURCE_END: s->at_end = true; break;
		case SOURCE_LINE: s->rest = s->text; break;
		case SOURCE_TOO_LONG:
			report(s, err_set(&e, -E2BIG, "the line is too long"), &e);
			s->at_end = true;
			break;
		}
	}
	s->cmd.n = 0;
	if (s->rest && script_parse(&s->rest, &s->cmd, &e)) {
		report(s, -EINVAL, &e);
		s->cmd.n = 0;
		s->rest = NULL;
	}
	s->negated = s->cmd.n > 1 && !strcmp(s->cmd.tok[0].s, "!");
	if (s->negated)
		memmove(s->cmd.tok, s->cmd.tok + 1, --s->cmd.n * sizeof(s->cmd.tok[0]));
	return true;
}

/* One stage of one command.  False on a kick. */
static bool advance(struct script *s, int kick_fd)
{
	struct err e = ERR_INIT;
	int rc;

	switch (s->stage) {
	case FETCH:
		if (!fetch(s, kick_fd))
			return false;
		if (s->cmd.n > 0 || s->at_end) {
			s->op = NULL;
			post(s, 1);
			s->stage = SYNC;
		}
		return true;
	case SYNC:
		if (!wait_done(s, kick_fd))
			return false;
		if (s->at_end)
			end_script(s);
		s->stage = RUN;
		return true;
	case RUN:
		rc = script_command(s, &s->cmd, &e);
		if (rc != SCRIPT_LATER) {
			finish_command(s, rc, &e);
			return true;
		}
		post(s, 0);
		s->stage = WAIT;
		return true;
	case WAIT:
		if (!wait_done(s, kick_fd))
			return false;
		e = s->op_err;
		finish_command(s, e.code, &e);
		return true;
	}
	return true;
}

static enum vcpu_stop vcpu_run(struct vcpu *v)
{
	struct script *s = v->vm->accel_data;
	int kick_fd = s->kick_fd[v->index];
	struct pollfd pfd = {.fd = kick_fd, .events = POLLIN};

	v->resumed = false;
	for (;;) {
		(void)fd_clear(kick_fd);
		if (atomic_load(&v->requests))
			return VCPU_KICKED;
		if (v->index == 0 && s->finished)
			return VCPU_DONE;
		if (v->index > 0)
			(void)poll(&pfd, 1, -1); /* the others sleep */
		else if (!advance(s, kick_fd))
			continue; /* clears the kick and looks at the requests */
	}
}

static int vcpu_init(struct vcpu *v, struct err *e)
{
	struct script *s = v->vm->accel_data;

	s->kick_fd[v->index] = sys_eventfd(0);
	if (s->kick_fd[v->index] < 0)
		return err_errno(e, -errno, "cannot make an event descriptor");
	return 0;
}

static void vcpu_exit(struct vcpu *v)
{
	(void)v; /* a late kick may still come: vm_exit closes the descriptor */
}

static void vcpu_kick(struct vcpu *v)
{
	fd_raise(((struct script *)v->vm->accel_data)->kick_fd[v->index]);
}

static int state_same(struct vcpu *v, struct err *e)
{
	(void)v, (void)e;
	return 0; /* nobody runs: vcpu->state stays what it is */
}

/* --- the VM --- */

static void probe(struct accel_report *r)
{
	r->present = true;
	str_copy(r->summary, sizeof(r->summary), "plays a script on the devices");
	str_copy(r->why, sizeof(r->why), "it runs no guest code");
}

static int vm_init(struct vm *vm, struct err *e)
{
	struct script *s;

	if (!vm->accel_arg) {
		err_set(e, -EINVAL, "--accel script needs --script FILE");
		return err_kind(e, ERR_USAGE);
	}
	s = sys_alloc(sizeof(*s));
	if (!s)
		return err_nomem(e, sizeof(*s), "the script");
	s->vm = vm;
	s->src.fd = s->src.listener = s->done_fd = -1;
	s->post.fn = posted;
	pthread_mutex_init(&s->lock, NULL);
	vm->accel_data = s;
	s->kick_fd = sys_alloc_array(vm->n_vcpus, sizeof(s->kick_fd[0]));
	if (!s->kick_fd)
		return err_nomem(e, vm->n_vcpus * sizeof(s->kick_fd[0]), "the script");
	for (unsigned i = 0; i < vm->n_vcpus; i++)
		s->kick_fd[i] = -1;
	s->done_fd = sys_eventfd(0);
	if (s->done_fd < 0)
		return err_errno(e, -errno, "cannot make an event descriptor");
	return source_open(&s->src, vm->accel_arg, e);
}

static void vm_exit(struct vm *vm)
{
	struct script *s = vm->accel_data;

	if (!s)
		return;
	loop_unpost(vm->loop, &s->post);
	source_close(&s->src);
	for (unsigned i = 0; s->kick_fd && i < vm->n_vcpus; i++)
		if (s->kick_fd[i] >= 0)
			close(s->kick_fd[i]);
	free(s->kick_fd);
	if (s->done_fd >= 0)
		close(s->done_fd);
	for (unsigned i = 0; i < SCRIPT_STATES; i++)
		strbuf_exit(&s->states[i].data);
	if (s->chip)
		irqchip_exit(s->chip);
	pthread_mutex_destroy(&s->lock);
	free(s);
}

const struct accel_ops accel_script = {
	.name = "script",
	.help = "no CPU: a text script drives the devices (--script)",
	.manual_clock = true,
	.probe = probe,
	.vm_init = vm_init,
	.vm_exit = vm_exit,
	.irqchip_init = irqchip_make,
	.vcpu_init = vcpu_init,
	.vcpu_exit = vcpu_exit,
	.vcpu_run = vcpu_run,
	.state_get = state_same,
	.state_put = state_same,
	.vcpu_kick = vcpu_kick,
};
