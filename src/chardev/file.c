/*
 * chardev/file.c - output into a file; no input.
 *
 * The file is created or emptied.  When the disk is full output is lost, with one message for each
 * time it begins to fail; a FIFO must have its reader already.
 */
#include <errno.h>
#include <fcntl.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/sys.h"
#include "chardev/internal.h"

static int file_open(struct chardev *c, const char *arg, struct err *e)
{
	int flags = O_WRONLY | O_CREAT | O_TRUNC | O_NONBLOCK | O_NOCTTY | O_CLOEXEC;
	int fd = sys_open(arg, flags, 0666);

	if (fd < 0 && errno == ENXIO)
		return err_set(e, -ENXIO, "cannot open: nobody reads this FIFO or socket yet");
	if (fd < 0)
		return err_errno(e, -errno, "cannot open");
	chardev_connect(c, -1, fd);
	return 0;
}

const struct chardev_ops chardev_file = {
	.kind = "file",
	.form = "file:PATH",
	.takes_arg = true,
	.drain_ms = 5000,
	.open = file_open,
};
