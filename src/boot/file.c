/*
 * boot/file.c - files that are read once at each reset.
 */
#include "boot/file.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/str.h"
#include "base/sys.h"

static int64_t stamp_ns(struct timespec t)
{
	return (int64_t)t.tv_sec * 1000000000 + t.tv_nsec;
}

/* What a file that is not a regular one is called. */
static const char *kind_of(mode_t mode)
{
	switch (mode & S_IFMT) {
	case S_IFDIR: return "a directory";
	case S_IFIFO: return "a pipe";
	case S_IFSOCK: return "a socket";
	case S_IFBLK: return "a block device";
	case S_IFCHR: return "a character device";
	default: return "not a regular file";
	}
}

static int take_stamp(struct boot_file *f, struct err *e)
{
	struct stat st;

	if (fstat(f->fd, &st) < 0)
		return err_errno(e, -errno, "%s: cannot be examined", f->path);
	if (!S_ISREG(st.st_mode)) {
		err_set(e, S_ISDIR(st.st_mode) ? -EISDIR : -EINVAL, "%s: is %s", f->path,
			kind_of(st.st_mode));
		return err_hint(e,
				"a regular file is needed: it is read again when the guest resets");
	}
	if (st.st_size <= 0)
		return err_set(e, -EINVAL, "%s: is empty", f->path);
	f->size = (uint64_t)st.st_size;
	f->mtime_ns = stamp_ns(st.st_mtim);
	return 0;
}

int boot_file_open(struct boot_file *f, const char *path, struct err *e)
{
	int r;

	*f = (struct boot_file){.fd = -1};
	f->path = sys_strdup(path);
	if (!f->path)
		return err_nomem(e, strlen(path) + 1, "a file name");
	/* Non-blocking: a pipe without a writer is to be refused, not waited for. */
	f->fd = sys_open(path, O_RDONLY | O_CLOEXEC | O_NOCTTY | O_NONBLOCK, 0);
	if (f->fd < 0)
		r = err_errno(e, -errno, "%s: cannot open", path);
	else
		r = take_stamp(f, e);
	if (r)
		boot_file_close(f);
	return r;
}

void boot_file_close(struct boot_file *f)
{
	if (!f->path)
		return;
	if (f->fd >= 0)
		close(f->fd);
	free(f->path);
	*f = (struct boot_file){.fd = -1};
}

/*
 * Only size and modification time: the change time moves with a rename, which changes no byte.
 */
int boot_file_check(const struct boot_file *f, struct err *e)
{
	struct stat st;

	if (fstat(f->fd, &st) < 0)
		return err_errno(e, -errno, "%s: cannot be examined", f->path);
	if ((uint64_t)st.st_size == f->size && stamp_ns(st.st_mtim) == f->mtime_ns)
		return 0;
	err_set(e, -ESTALE,
		"%s: was changed since the VM was started, and a reset would load other bytes",
		f->path);
	return err_hint(e, "start the VM again to boot the new file");
}

struct boot_src boot_src_file(const struct boot_file *f)
{
	return (struct boot_src){.file = f, .size = f->size};
}

struct boot_src boot_src_mem(const void *mem, uint64_t size)
{
	return (struct boot_src){.mem = mem, .size = size};
}

int boot_src_read(const struct boot_src *s, uint64_t off, void *dst, size_t n, struct err *e)
{
	uint64_t end;
	int r;

	if (ADD_OVERFLOWS(off, n, &end) || end > s->size)
		return err_set(e, -EINVAL, "ends early: byte %llu is wanted and it has %llu",
			       (unsigned long long)off + n, (unsigned long long)s->size);
	if (!s->file) {
		memcpy(dst, s->mem + off, n);
		return 0;
	}
	r = sys_pread_full(s->file->fd, dst, n, (off_t)off);
	if (r == -ENODATA)
		return err_set(e, r, "became shorter while it was read");
	if (r)
		return err_errno(e, r, "cannot be read");
	return 0;
}

int boot_err_about(struct err *e, const char *subject)
{
	char msg[sizeof(e->msg)];

	if (!e)
		return -EINVAL;
	str_copy(msg, sizeof(msg), e->msg);
	snprintf(e->msg, sizeof(e->msg), "%s %.*s", subject,
		 (int)(sizeof(e->msg) - strlen(subject) - 2), msg);
	return e->code;
}

bool boot_err_is_content(int r)
{
	return r == -EINVAL || r == -E2BIG;
}
