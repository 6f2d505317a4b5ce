/*
 * base/sys.h - the host calls that a start of Lodge depends on, each behind one function, so that
 * fault injection can make the n-th of them fail and so that messages are the same everywhere.
 *
 * Fault injection (builds with FAULT_INJECTION: debug and asan): LODGE_FAULT=N in the environment
 * makes the N-th call, counted from 1 over all kinds, fail once with its usual error; LODGE_FAULT=0
 * fails none; with LODGE_FAULT_COUNT=FILE the number of calls is written to FILE at exit, which is
 * how the test knows when it has tried every n.
 */
#ifndef LODGE_BASE_SYS_H
#define LODGE_BASE_SYS_H

#include <sys/types.h>

#include "base/compiler.h"
#include "base/err.h"

/* True if this call must fail (fault injection); always false in release builds. */
#ifdef FAULT_INJECTION
bool fault_hit(const char *what);
#else
static inline bool fault_hit(const char *what)
{
	(void)what;
	return false;
}
#endif

/* Zeroed memory, or NULL.  sys_alloc_array refuses a product that overflows.  free() frees. */
void *sys_alloc(size_t bytes) MUST_CHECK;
void *sys_alloc_array(size_t n, size_t bytes) MUST_CHECK;
/* realloc(3) with the overflow check of reallocarray; new bytes are not cleared. */
void *sys_realloc_array(void *p, size_t n, size_t bytes) MUST_CHECK;
char *sys_strdup(const char *s) MUST_CHECK;

/* As the system calls, with EINTR retried; -1 and errno on failure. */
int sys_open(const char *path, int flags, mode_t mode) MUST_CHECK;
ssize_t sys_read(int fd, void *buf, size_t n) MUST_CHECK;
ssize_t sys_pread(int fd, void *buf, size_t n, off_t off) MUST_CHECK;
ssize_t sys_write(int fd, const void *buf, size_t n) MUST_CHECK;
void *sys_mmap(void *addr, size_t len, int prot, int flags, int fd, off_t off) MUST_CHECK;
int sys_ioctl(int fd, unsigned long req, void *arg) MUST_CHECK; /* EINTR is not retried */
int sys_ioctl_val(int fd, unsigned long req, unsigned long arg) MUST_CHECK;
int sys_eventfd(unsigned flags) MUST_CHECK; /* non-blocking, close-on-exec */

/* Reads exactly @n bytes at @off; -ENODATA at an early end of file. */
int sys_pread_full(int fd, void *buf, size_t n, off_t off) MUST_CHECK;
/* Writes all of @n bytes; 0 or -errno. */
int sys_write_full(int fd, const void *buf, size_t n) MUST_CHECK;

/*
 * A regular file read whole into fresh memory.  Directories, devices that never end and files over
 * @max bytes are refused by name.  *@out is the caller's to free; it has one 0 byte behind @len.
 */
int sys_read_file(const char *path, size_t max, void **out, size_t *len, struct err *e) MUST_CHECK;

/* CLOCK_MONOTONIC in nanoseconds. */
uint64_t sys_now_ns(void);

#endif
