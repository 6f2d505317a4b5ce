/*
 * accel/script/source.c - lines from a file, standard input, or whoever connects to a Unix socket.
 */
#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/un.h>
#include <unistd.h>

#include "accel/script/internal.h"
#include "base/sys.h"

static int socket_open(struct source *s, const char *path, struct err *e)
{
	struct sockaddr_un sa = {.sun_family = AF_UNIX};

	if (!*path || !str_copy(sa.sun_path, sizeof(sa.sun_path), path))
		return err_set(e, -EINVAL, "--script unix:%s: the path is empty or too long", path);
	s->listener = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0);
	if (s->listener < 0)
		return err_errno(e, -errno, "cannot make a socket");
	if (bind(s->listener, (struct sockaddr *)&sa, sizeof(sa)) < 0 || listen(s->listener, 1) < 0)
		return err_errno(e, -errno, "--script unix:%s: cannot listen", path);
	str_copy(s->path, sizeof(s->path), path);
	return 0;
}

int source_open(struct source *s, const char *spec, struct err *e)
{
	struct stat st;

	s->fd = s->listener = -1;
	str_copy(s->name, sizeof(s->name), !strcmp(spec, "-") ? "standard input" : spec);
	if (!strncmp(spec, "unix:", 5))
		return socket_open(s, spec + 5, e);
	s->fd = !strcmp(spec, "-") ? fcntl(STDIN_FILENO, F_DUPFD_CLOEXEC, 3)
				   : sys_open(spec, O_RDONLY | O_CLOEXEC, 0);
	if (s->fd < 0)
		return err_errno(e, -errno, "--script %s: cannot open", spec);
	if (fstat(s->fd, &st) == 0 && S_ISDIR(st.st_mode))
		return err_set(e, -EISDIR, "--script %s: is a directory", spec);
	return 0;
}

void source_close(struct source *s)
{
	if (s->fd >= 0)
		close(s->fd);
	if (s->listener >= 0)
		close(s->listener);
	if (s->path[0])
		(void)unlink(s->path);
	s->fd = s->listener = -1;
}

/* Takes a line out of the buffer. */
static bool line_out(struct source *s, char *line)
{
	char *start = s->buf + s->head;
	const char *nl = memchr(start, '\n', s->used);
	size_t n = nl ? (size_t)(nl - start) : s->used;

	if (!nl && !(s->ended && s->used))
		return false;
	memcpy(line, start, n);
	line[n && line[n - 1] == '\r' ? n - 1 : n] = 0;
	n += nl != NULL;
	s->head += n;
	s->used -= n;
	s->line++;
	return true;
}

/* One read, or a client accepted.  False: nothing more will come. */
static bool more_in(struct source *s)
{
	ssize_t n;

	if (s->fd < 0) {
		s->fd = accept4(s->listener, NULL, NULL, SOCK_CLOEXEC);
		return s->fd >= 0;
	}
	memmove(s->buf, s->buf + s->head, s->used);
	s->head = 0;
	n = sys_read(s->fd, s->buf + s->used, sizeof(s->buf) - 1 - s->used);
	if (n > 0)
		s->used += (size_t)n;
	return n > 0;
}

enum source_result source_line(struct source *s, int kick_fd, char *line)
{
	for (;;) {
		struct pollfd pfd[2] = {{.fd = kick_fd, .events = POLLIN},
					{.fd = s->fd >= 0 ? s->fd : s->listener, .events = POLLIN}};

		if (line_out(s, line))
			return SOURCE_LINE;
		if (s->ended)
			return SOURCE_END;
		if (s->used == sizeof(s->buf) - 1)
			return SOURCE_TOO_LONG;
		(void)poll(pfd, 2, -1);
		if (pfd[0].revents)
			return SOURCE_KICKED;
		if (pfd[1].revents && !more_in(s))
			s->ended = true;
	}
}

void source_answer(struct source *s, const char *text)
{
	size_t n = strlen(text);

	if (s->listener < 0 || s->fd < 0)
		return;
	while (n) {
		ssize_t w = send(s->fd, text, n, MSG_NOSIGNAL);

		if (w < 0 && errno == EINTR)
			continue;
		if (w <= 0)
			return; /* a client that has gone is noticed by the next read */
		text += w;
		n -= (size_t)w;
	}
}
