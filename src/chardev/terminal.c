/*
 * chardev/terminal.c - raw mode with a way back.
 *
 * A process has one controlling terminal, so the state is one static struct: signal handlers have
 * no other way to reach it.  The ways out, and who restores:
 *
 *	chardev_free, exit(3)	terminal_release, atexit
 *	fatal signals		on_fatal: restores, puts the old action back, sends the signal again
 *				(a fault happens again by itself on return, so that a sanitizer's
 *				report or a core dump shows the true place)
 *	SIGTSTP from outside	on_stop: restores, stops; raw again when continued
 *	SIGSTOP			cannot be caught; the shell restores, on_cont makes it raw again
 *
 * Handlers are installed only over the default action (or, for faults, over a sanitizer's), and
 * only while the terminal is claimed: the main loop's signalfd and an accelerator's kick signal
 * keep theirs.
 *
 * tcsetattr from the background stops the process by SIGTTOU; nothing here calls it then, except
 * the restore, which blocks that signal for the moment.
 */
#include "chardev/terminal.h"

#include <errno.h>
#include <signal.h>
#include <stdlib.h>
#include <termios.h>
#include <unistd.h>

static const int fatal_signals[] = {
	SIGHUP,	 SIGINT,  SIGQUIT, SIGILL,  SIGTRAP,   SIGABRT, SIGBUS, SIGFPE, SIGUSR1,   SIGSEGV,
	SIGUSR2, SIGALRM, SIGTERM, SIGXCPU, SIGVTALRM, SIGPROF, SIGIO,	SIGPWR, SIGSTKFLT, SIGSYS,
};

static struct {
	int fd;
	_Atomic bool claimed;
	_Atomic bool raw;
	struct termios cooked, made_raw;
	struct sigaction old[ARRAY_LEN(fatal_signals)];
	struct sigaction old_tstp, old_cont;
	bool have_atexit;
} term;

bool terminal_foreground(void)
{
	return term.claimed && tcgetpgrp(term.fd) == getpgrp();
}

bool terminal_raw(void)
{
	if (!terminal_foreground() || tcsetattr(term.fd, TCSANOW, &term.made_raw) < 0)
		return false;
	term.raw = true;
	return true;
}

void terminal_restore(void)
{
	sigset_t ttou, old;

	if (!term.claimed || !term.raw)
		return;
	sigemptyset(&ttou);
	sigaddset(&ttou, SIGTTOU);
	pthread_sigmask(SIG_BLOCK, &ttou, &old);
	tcsetattr(term.fd, TCSANOW, &term.cooked);
	pthread_sigmask(SIG_SETMASK, &old, NULL);
	term.raw = false;
}

static bool is_fault(int sig)
{
	return sig == SIGSEGV || sig == SIGBUS || sig == SIGILL || sig == SIGFPE || sig == SIGTRAP;
}

static void on_fatal(int sig, siginfo_t *info, void *context)
{
	int saved = errno;

	(void)context;
	terminal_restore();
	for (size_t i = 0; i < ARRAY_LEN(fatal_signals); i++) {
		if (fatal_signals[i] == sig)
			sigaction(sig, &term.old[i], NULL);
	}
	if (!is_fault(sig) || info->si_code <= 0)
		raise(sig);
	errno = saved;
}

static void on_stop(int sig)
{
	struct sigaction dfl = {.sa_handler = SIG_DFL}, mine;
	sigset_t set, old;
	int saved = errno;

	terminal_restore();
	sigaction(sig, &dfl, &mine);
	sigemptyset(&set);
	sigaddset(&set, sig);
	raise(sig);
	pthread_sigmask(SIG_UNBLOCK, &set, &old); /* stops here */
	pthread_sigmask(SIG_SETMASK, &old, NULL);
	sigaction(sig, &mine, NULL);
	terminal_raw();
	errno = saved;
}

static void on_cont(int sig)
{
	int saved = errno;

	(void)sig;
	terminal_raw();
	errno = saved;
}

static void handlers_install(void)
{
	struct sigaction fatal = {.sa_sigaction = on_fatal, .sa_flags = SA_SIGINFO | SA_ONSTACK};
	struct sigaction stop = {.sa_handler = on_stop, .sa_flags = SA_RESTART};
	struct sigaction cont = {.sa_handler = on_cont, .sa_flags = SA_RESTART};

	for (size_t i = 0; i < ARRAY_LEN(fatal_signals); i++) {
		int sig = fatal_signals[i];
		sigaction(sig, NULL, &term.old[i]);
		if (term.old[i].sa_handler == SIG_DFL || is_fault(sig))
			sigaction(sig, &fatal, NULL);
	}
	sigaction(SIGTSTP, &stop, &term.old_tstp);
	sigaction(SIGCONT, &cont, &term.old_cont);
}

static void handlers_remove(void)
{
	for (size_t i = 0; i < ARRAY_LEN(fatal_signals); i++) {
		struct sigaction now;
		sigaction(fatal_signals[i], NULL, &now);
		if ((now.sa_flags & SA_SIGINFO) && now.sa_sigaction == on_fatal)
			sigaction(fatal_signals[i], &term.old[i], NULL);
	}
	sigaction(SIGTSTP, &term.old_tstp, NULL);
	sigaction(SIGCONT, &term.old_cont, NULL);
}

int terminal_claim(int fd)
{
	if (term.claimed)
		return -EBUSY;
	if (tcgetattr(fd, &term.cooked) < 0)
		return -errno;
	term.made_raw = term.cooked;
	cfmakeraw(&term.made_raw);
	/* Guests that end their lines with LF alone, and our own messages, draw no staircase. */
	term.made_raw.c_oflag |= OPOST | ONLCR;
	term.made_raw.c_cc[VMIN] = 1;
	term.made_raw.c_cc[VTIME] = 0;
	term.fd = fd;
	term.claimed = true;
	if (!term.have_atexit) {
		term.have_atexit = true;
		if (atexit(terminal_restore))
			return -ENOMEM;
	}
	handlers_install();
	return 0;
}

void terminal_release(void)
{
	if (!term.claimed)
		return;
	terminal_restore();
	handlers_remove();
	term.claimed = false;
}
