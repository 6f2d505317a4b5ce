/*
 * boot/fdt_impl.h - writing a device tree from front to back; private to boot.
 *
 * libfdt's sequential writer, with errors that stick: after the first nothing more is written, and
 * fdt_writer_finish says what it was.
 */
#ifndef LODGE_BOOT_FDT_IMPL_H
#define LODGE_BOOT_FDT_IMPL_H

#include "base/str.h"
#include "boot/fdt.h"

struct fdt_writer {
	void *buf;
	int error;	    /* libfdt's, or 0 */
	struct strbuf list; /* cells of the property that is being put together */
};

int fdt_writer_begin(struct fdt_writer *w, struct err *e) MUST_CHECK;
/* The caller owns @out.  The writer is gone, with an error or without. */
int fdt_writer_finish(struct fdt_writer *w, struct fdt_blob *out, struct err *e) MUST_CHECK;

void fdt_open_node(struct fdt_writer *w, const char *name);
void fdt_open_node_at(struct fdt_writer *w, const char *name, uint64_t addr);
void fdt_close_node(struct fdt_writer *w);

void fdt_put_flag(struct fdt_writer *w, const char *name);
void fdt_put_string(struct fdt_writer *w, const char *name, const char *s);
/* @s is several strings, each with its NUL, @n bytes in all. */
void fdt_put_strings(struct fdt_writer *w, const char *name, const char *s, size_t n);
void fdt_put_bytes(struct fdt_writer *w, const char *name, const void *p, size_t n);
void fdt_put_u32(struct fdt_writer *w, const char *name, uint32_t v);
void fdt_put_u64(struct fdt_writer *w, const char *name, uint64_t v);

/* A list of cells: any number of these two, then fdt_put_list. */
void fdt_cell(struct fdt_writer *w, uint32_t v);
void fdt_cell64(struct fdt_writer *w, uint64_t v);
void fdt_put_list(struct fdt_writer *w, const char *name);

/*
 * linux,uefi-secure-boot is not upstream's, but distributions' (Debian, Fedora), whose kernels find
 * no EFI without it.
 */
#define FDT_SECURE_BOOT_OFF 2u

/* "name@1000". */
#define FDT_NAME_LEN 64

/* What is wrong, in words: never libfdt's own "FDT_ERR_…". */
const char *fdt_error(int error);

#endif
