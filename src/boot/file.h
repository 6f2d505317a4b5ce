/*
 * boot/file.h - files that are read once at each reset: kernels and initrds.
 *
 * The file stays open and is not mapped: a mapping of a file that somebody truncates is a SIGBUS.
 * A stamp taken at the first look tells at every load whether the bytes are still the same.
 */
#ifndef LODGE_BOOT_FILE_H
#define LODGE_BOOT_FILE_H

#include "base/compiler.h"
#include "base/err.h"

struct boot_file {
	char *path; /* as the user wrote it, for messages; owned */
	int fd;	    /* read-only; owned; -1: not open */
	uint64_t size;
	int64_t mtime_ns; /* when it was last written to, as seen at open */
};

/*
 * Opens a regular file.  Errors, all "PATH: why": cannot be opened, a directory, a pipe, a device,
 * empty.  After an error there is nothing to close.
 */
int boot_file_open(struct boot_file *f, const char *path, struct err *e) MUST_CHECK;
/* A zero-initialised or closed @f is fine: path NULL means that nothing is open. */
void boot_file_close(struct boot_file *f);
/* Refuses a file that was written to since it was opened. */
int boot_file_check(const struct boot_file *f, struct err *e) MUST_CHECK;

/*
 * Bytes to read from: a file, or memory that something was unpacked to.  Borrowed from the caller.
 */
struct boot_src {
	const struct boot_file *file; /* or NULL: */
	const uint8_t *mem;
	uint64_t size;
};

struct boot_src boot_src_file(const struct boot_file *f);
struct boot_src boot_src_mem(const void *mem, uint64_t size);
/* Reads exactly @n bytes at @off.  The message has no file name in front. */
int boot_src_read(const struct boot_src *s, uint64_t off, void *dst, size_t n,
		  struct err *e) MUST_CHECK;

/*
 * Most messages of boot are predicates: "is damaged", "has no PVH entry".  This puts what such a
 * message is about in front, without a colon.  Returns e->code.
 */
int boot_err_about(struct err *e, const char *subject);

/*
 * True for @r of a file whose contents are bad, false for a host that is out of memory or cannot
 * read: then the message must not blame the contents.
 */
bool boot_err_is_content(int r);

#endif
