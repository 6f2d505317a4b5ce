/*
 * base/sys.c - host calls, and the counter that makes one of them fail.
 */
#include "base/sys.h"

#include <errno.h>
#include <fcntl.h>
#include <pthread.h>
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/eventfd.h>
#include <sys/ioctl.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <time.h>
#include <unistd.h>

#ifdef FAULT_INJECTION

static _Atomic uint64_t fault_calls;
static uint64_t fault_nth;
static const char *fault_count_path;
static pthread_once_t fault_once = PTHREAD_ONCE_INIT;

static void fault_report(void)
{
	FILE *f = fopen(fault_count_path, "we");

	if (!f)
		return;
	fprintf(f, "%llu\n", (unsigned long long)atomic_load(&fault_calls));
	fclose(f);
}

static void fault_setup(void)
{
	const char *n = getenv("LODGE_FAULT");

	if (n)
		fault_nth = strtoull(n, NULL, 10);
	fault_count_path = getenv("LODGE_FAULT_COUNT");
	if (fault_count_path)
		atexit(fault_report);
}

bool fault_hit(const char *what)
{
	(void)what; /* for a debugger that stops here */
	pthread_once(&fault_once, fault_setup);
	return atomic_fetch_add(&fault_calls, 1) + 1 == fault_nth;
}

#endif

/* True, with errno set, if this call must fail. */
static bool faulted(const char *what, int code)
{
	if (!fault_hit(what))
		return false;
	errno = code;
	return true;
}

void *sys_alloc(size_t bytes)
{
	if (faulted("alloc", ENOMEM))
		return NULL;
	return calloc(1, bytes ? bytes : 1);
}

/* n * bytes, at least 1 (a realloc to nothing would free); false, with errno set, on overflow. */
static bool array_size(size_t n, size_t bytes, size_t *total)
{
	if (MUL_OVERFLOWS(n, bytes, total)) {
		errno = ENOMEM;
		return false;
	}
	*total = MAX(*total, (size_t)1);
	return true;
}

void *sys_alloc_array(size_t n, size_t bytes)
{
	size_t total;

	return array_size(n, bytes, &total) ? sys_alloc(total) : NULL;
}

void *sys_realloc_array(void *p, size_t n, size_t bytes)
{
	size_t total;

	if (!array_size(n, bytes, &total) || faulted("alloc", ENOMEM))
		return NULL;
	return realloc(p, total);
}

char *sys_strdup(const char *s)
{
	if (faulted("alloc", ENOMEM))
		return NULL;
	return strdup(s);
}

int sys_open(const char *path, int flags, mode_t mode)
{
	int fd;

	if (faulted("open", EMFILE))
		return -1;
	do
		fd = open(path, flags | O_CLOEXEC, mode);
	while (fd < 0 && errno == EINTR);
	return fd;
}

ssize_t sys_read(int fd, void *buf, size_t n)
{
	ssize_t r;

	if (faulted("read", EIO))
		return -1;
	do
		r = read(fd, buf, n);
	while (r < 0 && errno == EINTR);
	return r;
}

ssize_t sys_pread(int fd, void *buf, size_t n, off_t off)
{
	ssize_t r;

	if (faulted("pread", EIO))
		return -1;
	do
		r = pread(fd, buf, n, off);
	while (r < 0 && errno == EINTR);
	return r;
}

ssize_t sys_write(int fd, const void *buf, size_t n)
{
	ssize_t r;

	if (faulted("write", EIO))
		return -1;
	do
		r = write(fd, buf, n);
	while (r < 0 && errno == EINTR);
	return r;
}

void *sys_mmap(void *addr, size_t len, int prot, int flags, int fd, off_t off)
{
	if (faulted("mmap", ENOMEM))
		return MAP_FAILED;
	return mmap(addr, len, prot, flags, fd, off);
}

int sys_ioctl(int fd, unsigned long req, void *arg)
{
	if (faulted("ioctl", ENOMEM))
		return -1;
	return ioctl(fd, req, arg);
}

int sys_ioctl_val(int fd, unsigned long req, unsigned long arg)
{
	if (faulted("ioctl", ENOMEM))
		return -1;
	return ioctl(fd, req, arg);
}

int sys_eventfd(unsigned flags)
{
	if (faulted("eventfd", EMFILE))
		return -1;
	return eventfd(0, (int)flags | EFD_NONBLOCK | EFD_CLOEXEC);
}

int sys_pread_full(int fd, void *buf, size_t n, off_t off)
{
	char *at = buf;

	while (n > 0) {
		ssize_t r = sys_pread(fd, at, n, off);

		if (r < 0)
			return -errno;
		if (r == 0)
			return -ENODATA;
		at += r;
		off += r;
		n -= (size_t)r;
	}
	return 0;
}

int sys_write_full(int fd, const void *buf, size_t n)
{
	const char *at = buf;

	while (n > 0) {
		ssize_t r = sys_write(fd, at, n);

		if (r < 0)
			return -errno;
		at += r;
		n -= (size_t)r;
	}
	return 0;
}

static const char *file_type(mode_t mode)
{
	switch (mode & S_IFMT) {
	case S_IFDIR: return "a directory";
	case S_IFIFO: return "a pipe";
	case S_IFSOCK: return "a socket";
	case S_IFCHR: return "a character device";
	case S_IFBLK: return "a block device";
	default: return "not a regular file";
	}
}

static int too_large(const char *path, size_t max, struct err *e)
{
	return err_set(e, -EFBIG, "%s: larger than the %zu bytes allowed here", path, max);
}

/* Reads to the end of @fd, which announced @guess bytes: it may have grown, or be from /proc. */
static int read_to_end(int fd, const char *path, size_t guess, size_t max, void **out, size_t *len,
		       struct err *e)
{
	size_t cap = guess + 1, n = 0;
	char *buf = sys_alloc(cap);
	int code;

	if (!buf)
		return err_nomem(e, cap, path);
	for (;;) {
		ssize_t r = sys_read(fd, buf + n, cap - n);

		if (r < 0) {
			code = err_errno(e, errno, "%s: cannot read", path);
			goto out_free;
		}
		if (r == 0)
			break;
		n += (size_t)r;
		if (n > max) {
			code = too_large(path, max, e);
			goto out_free;
		}
		if (n == cap) {
			size_t more = MIN(MAX(cap, (size_t)4096), max - n + 1);
			char *bigger = sys_realloc_array(buf, cap + more, 1);

			if (!bigger) {
				code = err_nomem(e, cap + more, path);
				goto out_free;
			}
			buf = bigger;
			cap += more;
		}
	}
	buf[n] = '\0';
	*out = buf;
	*len = n;
	return 0;
out_free:
	free(buf);
	return code;
}

int sys_read_file(const char *path, size_t max, void **out, size_t *len, struct err *e)
{
	/* Non-blocking for the open only: a pipe without a writer must not hold us up. */
	int fd = sys_open(path, O_RDONLY | O_NONBLOCK | O_NOCTTY, 0);
	struct stat st;
	int r;

	if (fd < 0)
		return err_errno(e, errno, "%s: cannot open", path);
	if (fstat(fd, &st) < 0)
		r = err_errno(e, errno, "%s: cannot examine", path);
	else if (!S_ISREG(st.st_mode))
		r = err_set(e, S_ISDIR(st.st_mode) ? -EISDIR : -EINVAL, "%s: is %s", path,
			    file_type(st.st_mode));
	else if ((uint64_t)st.st_size > max)
		r = too_large(path, max, e);
	else
		r = read_to_end(fd, path, (size_t)st.st_size, max, out, len, e);
	close(fd);
	return r;
}

uint64_t sys_now_ns(void)
{
	struct timespec t;

	clock_gettime(CLOCK_MONOTONIC, &t);
	return (uint64_t)t.tv_sec * UINT64_C(1000000000) + (uint64_t)t.tv_nsec;
}
