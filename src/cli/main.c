/*
 * cli/main.c - where Lodge starts and, alone of all files, ends the process.
 */
#include <errno.h>
#include <fcntl.h>
#include <malloc.h>
#include <signal.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "base/log.h"
#include "cli/cli.h"
#include "core/exit.h"

const struct command command_list[] = {
	{"run", "run [OPTION]... [FILE]",
	 "Runs a virtual machine in the foreground. FILE is a kernel, recognised by content.",
	 &run_options_table, cmd_run, false},
	{"info", "info [--json]",
	 "Says which accelerators this host has, what they can run and, if not, exactly why.",
	 &info_options_table, cmd_info, false},
	{"help", "help [TOPIC]", "Explains a subcommand or a topic.", NULL, cmd_help, false},
	{"version", "version", "Prints the version.", NULL, cmd_version, false},
	{"gen", "gen man|bash|zsh", "Prints the manual page or completions.", NULL, cmd_gen, true},
	{NULL, NULL, NULL, NULL, NULL, false},
};

const struct command *command_find(const char *name)
{
	for (const struct command *c = command_list; c->name; c++) {
		if (!strcmp(c->name, name))
			return c;
	}
	return NULL;
}

static int unknown_command(const char *name, struct err *e)
{
	const char *words[16] = {0};
	size_t n = 0;

	for (const struct command *c = command_list; c->name && n + 1 < ARRAY_LEN(words); c++) {
		if (!c->hidden)
			words[n++] = c->name;
	}
	const char *near = str_nearest(name, words);
	if (near)
		err_set(e, -EINVAL, "there is no subcommand '%s' (did you mean %s?)", name, near);
	else
		err_set(e, -EINVAL, "there is no subcommand '%s'", name);
	if (access(name, F_OK) == 0)
		err_hint(e, "to run the file: lodge run %s", name);
	else
		err_hint(e, "\"lodge --help\" lists them");
	return err_kind(e, ERR_USAGE);
}

static int exit_code_of(const struct err *e)
{
	switch (e->kind) {
	case ERR_USAGE: return EXIT_USAGE;
	case ERR_HOST: return EXIT_HOST;
	case ERR_CONFIG: break;
	}
	return EXIT_CONFIG;
}

/* Descriptors 0 to 2 that are closed would be taken by the first files opened. */
static void open_standard_fds(void)
{
	for (int fd = 0; fd <= 2; fd++) {
		if (fcntl(fd, F_GETFD) < 0 && open("/dev/null", O_RDWR) != fd)
			_exit(EXIT_FAILED);
	}
}

int main(int argc, char **argv)
{
	struct sigaction ignore = {.sa_handler = SIG_IGN};
	struct err e = ERR_INIT;
	const char *name = argc > 1 ? argv[1] : "help";
	int code;

	open_standard_fds();
	/* One heap for all threads: a thread's own costs its start more than sharing ever does. */
	mallopt(M_ARENA_MAX, 1);
	/* Writes to what has gone or is full give an error where they are made. */
	sigaction(SIGPIPE, &ignore, NULL);
	sigaction(SIGXFSZ, &ignore, NULL);
	if (!strcmp(name, "--help") || !strcmp(name, "-h"))
		name = "help";
	if (!strcmp(name, "--version") || !strcmp(name, "-V"))
		name = "version";
	const struct command *c = command_find(name);
	if (c)
		code = c->fn(MAX(argc - 2, 0), argv + MIN(argc, 2), &e);
	else
		code = unknown_command(name, &e);
	if (code < 0) {
		log_err(&e);
		code = exit_code_of(&e);
	}
	exit(code);
}
