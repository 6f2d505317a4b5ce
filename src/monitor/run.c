/*
 * monitor/run.c - the main loop of a VM in the foreground.
 *
 * One thread: it builds the VM, runs the event loop until something ends the VM, and takes it
 * apart.  What can end it, and the exit code:
 *
 *	a request of the guest, a device or a vCPU (vm->on_request)	see on_request
 *	C-a x								EXIT_LEFT
 *	SIGINT, SIGTERM, SIGHUP, SIGQUIT				EXIT_SIGNAL + number
 *	SIGPWR				presses the guest's power button; the guest decides
 *	--timeout							EXIT_TIMEOUT
 *	a panic that hangs for good (monitor/progress.c)		EXIT_PANIC
 *
 * The first of them wins.  The signals are blocked before the first thread starts, so that every
 * thread has them blocked and they arrive at the signalfd only.
 */
#include "monitor/run.h"

#include <errno.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/signalfd.h>
#include <sys/timerfd.h>
#include <unistd.h>

#include "base/log.h"
#include "base/sys.h"
#include "chardev/chardev.h"
#include "monitor/console.h"
#include "monitor/halt.h"
#include "monitor/progress.h"
#include "monitor/stats.h"

struct run {
	const struct machine_type *machine;
	const struct machine_config *config;
	const struct run_options *options;
	struct loop *loop;
	struct vm *vm;
	struct console console;
	struct progress progress;
	struct halt_watch halt;
	struct run_times times;
	struct loop_fd signals, timeout;
	int stats_fd; /* -1: none */
	bool ended;
	int code;
	const char *how;
	struct err failed; /* .code set: why the run ended with EXIT_FAILED */
};

/* Ends the run with @code; what comes later is ignored. */
static void finish(struct run *r, int code, const char *how)
{
	if (r->ended)
		return;
	r->ended = true;
	r->code = code;
	r->how = how;
	loop_stop(r->loop);
}

static void print_lines(struct strbuf *b)
{
	char *save = NULL;

	if (!b->s)
		return;
	for (char *p = strtok_r(b->s, "\n", &save); p; p = strtok_r(NULL, "\n", &save))
		log_write_line(STDERR_FILENO, p);
}

/* On the vCPU's thread. */
static void show_here(struct vcpu *v, void *arg)
{
	struct strbuf *out = arg;
	struct err e = ERR_INIT;

	if (vcpu_peek(v, &e) < 0)
		strbuf_printf(out, "cpu%u: %s\n", v->index, e.msg);
	else
		vcpu_show(v, out);
}

/* Stops the world and prints the registers of vCPU @index. */
static void show_registers(struct run *r, unsigned index)
{
	struct strbuf out = {0};

	if (r->vm->phase == VM_RUNNING)
		vm_pause(r->vm);
	if (index < r->vm->n_vcpus)
		vcpu_call(&r->vm->vcpus[index], show_here, &out);
	print_lines(&out);
	strbuf_exit(&out);
}

static bool guest_panicked(struct run *r)
{
	char why[CONSOLE_WIDTH];

	if (!console_panicked(&r->console, why, sizeof(why)))
		return false;
	log_error("the guest kernel panicked: %s", why);
	return true;
}

/*
 * What other vCPUs asked for between the reset's request and the pause is about a guest that no
 * longer exists; what the user asked for stays.
 */
static void forget_requests(struct vm *vm)
{
	pthread_mutex_lock(&vm->lock);
	if (vm->request.event != VM_EVENT_EXIT)
		vm->request = (struct vm_request){0};
	pthread_mutex_unlock(&vm->lock);
}

static void reset(struct run *r)
{
	if (guest_panicked(r)) {
		finish(r, EXIT_PANIC, "panic");
		return;
	}
	if (r->options->no_reboot) {
		log_info("the guest reset, and --no-reboot was given");
		finish(r, EXIT_RESET, "reset");
		return;
	}
	log_debug("the guest resets");
	vm_pause(r->vm);
	forget_requests(r->vm);
	if (vm_reset(r->vm, &r->failed) < 0) {
		err_prefix(&r->failed, "reset");
		finish(r, EXIT_FAILED, "failed");
		return;
	}
	console_reset(&r->console);
	progress_start(&r->progress);
	halt_start(&r->halt);
	vm_run(r->vm);
}

static void broken(struct run *r, const struct vm_request *q)
{
	const struct vcpu *v = &r->vm->vcpus[q->vcpu < r->vm->n_vcpus ? q->vcpu : 0];

	/* The vCPU has parked itself: its error does not change any more. */
	if (v->broken.code)
		log_error("cpu%u: %s%s%s", v->index, v->broken.msg,
			  v->broken.hint[0] ? "\nhint: " : "", v->broken.hint);
	else
		log_error("%s", q->text);
	show_registers(r, q->vcpu);
	finish(r, EXIT_ACCEL, "broken");
}

static void on_request(struct vm *vm, const struct vm_request *q, void *arg)
{
	struct run *r = arg;

	(void)vm;
	if (r->ended)
		return;
	switch (q->event) {
	case VM_EVENT_NONE: break;
	case VM_EVENT_OFF:
		log_info("%s", q->text[0] ? q->text : "the guest powered off");
		finish(r, EXIT_GUEST_OFF, "off");
		break;
	case VM_EVENT_RESET: reset(r); break;
	case VM_EVENT_CRASH:
		log_error("the guest crashed: %s", q->text[0] ? q->text : "triple fault");
		show_registers(r, q->vcpu);
		finish(r, EXIT_CRASH, "crash");
		break;
	case VM_EVENT_PANIC:
		log_error("the guest kernel panicked%s%s", q->text[0] ? ": " : "", q->text);
		finish(r, EXIT_PANIC, "panic");
		break;
	case VM_EVENT_BROKEN: broken(r, q); break;
	case VM_EVENT_EXIT:
		if (q->text[0])
			log_info("%s", q->text);
		finish(r, q->code, "exit");
		break;
	}
}

static void on_leave(void *arg)
{
	struct run *r = arg;

	if (!r->ended)
		log_info("left with C-a x");
	finish(r, EXIT_LEFT, "left");
}

static void on_panic(void *arg)
{
	struct run *r = arg;

	if (!r->ended && guest_panicked(r))
		finish(r, EXIT_PANIC, "panic");
}

static void on_halt(void *arg)
{
	struct run *r = arg;

	if (r->ended)
		return;
	if (guest_panicked(r)) {
		finish(r, EXIT_PANIC, "panic");
		return;
	}
	log_info("the guest halted for good");
	finish(r, EXIT_GUEST_OFF, "halt");
}

static void press_power_button(struct run *r)
{
	struct err e = ERR_INIT;

	if (!r->vm)
		return;
	if (r->machine->power_button(r->vm, &e) < 0)
		log_err(&e);
	else
		log_info("the power button was pressed (SIGPWR)");
}

static void on_signal(struct loop_fd *w, uint32_t events)
{
	struct run *r = container_of(w, struct run, signals);
	struct signalfd_siginfo info;

	(void)events;
	if (r->ended || read(w->fd, &info, sizeof(info)) != (ssize_t)sizeof(info))
		return;
	int sig = (int)info.ssi_signo;
	if (sig == SIGPWR) {
		press_power_button(r);
		return;
	}
	log_info("ended by SIG%s", sigabbrev_np(sig));
	finish(r, EXIT_SIGNAL + sig, "signal");
}

static void on_timeout(struct loop_fd *w, uint32_t events)
{
	struct run *r = container_of(w, struct run, timeout);
	struct strbuf out = {0};

	(void)events;
	if (r->ended)
		return;
	if (guest_panicked(r)) {
		finish(r, EXIT_PANIC, "panic");
		return;
	}
	log_error("the guest did not end within the %g s of --timeout",
		  (double)r->options->timeout_ns / 1e9);
	progress_describe(&r->progress, &out);
	print_lines(&out);
	strbuf_exit(&out);
	finish(r, EXIT_TIMEOUT, "timeout");
}

static const int our_signals[] = {SIGINT, SIGTERM, SIGHUP, SIGQUIT, SIGPWR};

static int signals_init(struct run *r, const sigset_t *set, struct err *e)
{
	r->signals = (struct loop_fd){.fn = on_signal, .events = EPOLLIN};
	r->signals.fd = signalfd(-1, set, SFD_NONBLOCK | SFD_CLOEXEC);
	if (r->signals.fd < 0)
		return err_errno(e, -errno, "cannot receive signals"), err_kind(e, ERR_HOST);
	return loop_add(r->loop, &r->signals, e);
}

static int timeout_init(struct run *r, struct err *e)
{
	uint64_t ns = r->options->timeout_ns;
	struct itimerspec t = {.it_value = {.tv_sec = (time_t)(ns / 1000000000),
					    .tv_nsec = (long)(ns % 1000000000)}};

	if (!ns)
		return 0;
	r->timeout = (struct loop_fd){.fn = on_timeout, .events = EPOLLIN};
	r->timeout.fd = timerfd_create(CLOCK_MONOTONIC, TFD_NONBLOCK | TFD_CLOEXEC);
	if (r->timeout.fd < 0 || timerfd_settime(r->timeout.fd, 0, &t, NULL) < 0)
		return err_errno(e, -errno, "cannot make a timer"), err_kind(e, ERR_HOST);
	return loop_add(r->loop, &r->timeout, e);
}

static void fd_exit(struct run *r, struct loop_fd *w)
{
	loop_del(r->loop, w);
	if (w->fd >= 0)
		close(w->fd);
	w->fd = -1;
}

static void chardevs_listen(struct run *r)
{
	for (struct backend *b = r->vm->backends; b; b = b->next) {
		if (!strcmp(b->kind, "chardev"))
			chardev_on_leave(b->ptr, on_leave, r);
	}
}

/* The VM runs until something calls finish. */
static int run_to_end(struct run *r, struct err *e)
{
	int code = timeout_init(r, e);

	if (code < 0)
		return code;
	r->times.built = sys_now_ns();
	progress_start(&r->progress);
	halt_start(&r->halt);
	vm_run(r->vm);
	code = vm_settle(r->vm, e);
	if (code < 0)
		return code;
	loop_run(r->loop);
	vm_stop(r->vm);
	r->times.end = sys_now_ns();
	r->times.first_output = r->console.first_ns;
	if (r->failed.code)
		log_err(&r->failed);
	return r->code;
}

/* The VM is built: watches and runs it. */
static int run_built(struct run *r, struct err *e)
{
	const char *append = r->config->append ? r->config->append : "";
	int code;

	console_init(&r->console, r->vm);
	code = progress_init(&r->progress, r->vm, &r->console, r->options->watch_ns, e);
	if (code < 0)
		goto out_console;
	code = halt_init(&r->halt, r->vm, e);
	if (code < 0)
		goto out_progress;
	r->progress.on_panic = on_panic;
	r->halt.on_halt = on_halt;
	r->progress.arg = r->halt.arg = r;
	if (r->config->kernel && !strstr(append, "console="))
		r->progress.hint = "a Linux kernel prints here with --append console=ttyS0";
	r->vm->on_request = on_request;
	r->vm->on_request_arg = r;
	chardevs_listen(r);
	code = run_to_end(r, e);
	fd_exit(r, &r->timeout);
	halt_exit(&r->halt);
out_progress:
	progress_exit(&r->progress);
out_console:
	console_exit(&r->console);
	return code;
}

/* A run whose statistics are lost has failed, if it had not ended badly by itself. */
static int save_stats(struct run *r, const char *text, int code)
{
	struct err e = ERR_INIT;

	if (stats_save(r->stats_fd, text, &e) == 0)
		return code;
	log_err(&e);
	return code ? code : EXIT_FAILED;
}

static int run_loop(struct run *r, const struct machine_type *t, const sigset_t *set, struct err *e)
{
	int code = signals_init(r, set, e);

	if (!code)
		code = t->build(r->config, r->loop, &r->vm, e);
	if (code < 0) {
		fd_exit(r, &r->signals);
		return code;
	}
	code = run_built(r, e);
	bool stats = code >= 0 && r->stats_fd >= 0;
	char *text = stats ? stats_text(r->vm, &r->times, r->how, code) : NULL;
	vm_free(r->vm);
	fd_exit(r, &r->signals);
	if (stats)
		code = save_stats(r, text, code);
	free(text);
	return code;
}

int monitor_run(const struct machine_type *t, const struct machine_config *c,
		const struct run_options *o, struct err *e)
{
	struct run r = {.machine = t, .config = c, .options = o, .how = "failed", .stats_fd = -1};
	sigset_t set, old;
	int code;

	r.signals.fd = r.timeout.fd = -1;
	r.times.begin = sys_now_ns();
	if (o->stats_path && (r.stats_fd = stats_open(o->stats_path, e)) < 0)
		return r.stats_fd;
	sigemptyset(&set);
	for (size_t i = 0; i < ARRAY_LEN(our_signals); i++)
		sigaddset(&set, our_signals[i]);
	pthread_sigmask(SIG_BLOCK, &set, &old);
	r.loop = loop_new(e);
	code = r.loop ? run_loop(&r, t, &set, e) : e->code;
	loop_free(r.loop);
	pthread_sigmask(SIG_SETMASK, &old, NULL);
	if (r.stats_fd >= 0)
		close(r.stats_fd);
	return code;
}
