/*
 * boot/copy.h - files into guest memory: what the loaders of all architectures do alike.
 *
 * A file's bytes are read straight into the guest's memory, without a buffer between.  Messages
 * are those of boot/file.h: with the path in front where the function knows it.
 */
#ifndef LODGE_BOOT_COPY_H
#define LODGE_BOOT_COPY_H

#include "boot/boot.h"

/* Refuses files that were written to since they were opened. */
int boot_files_check(const struct boot_image *img, const struct boot_file *initrd, unsigned n,
		     struct err *e) MUST_CHECK;

/* Bytes [off, off+len) of @src to @addr. */
int boot_copy(struct as *mem, gpa_t addr, const struct boot_src *src, uint64_t off, uint64_t len,
	      struct err *e) MUST_CHECK;
int boot_clear(struct as *mem, gpa_t addr, uint64_t len, struct err *e) MUST_CHECK;
/* The segments of @elf, which describes @src, each @shift higher than it says; their rest is zero.
 */
int boot_copy_segments(struct as *mem, const struct boot_src *src, const struct elf *elf,
		       uint64_t shift, struct err *e) MUST_CHECK;
/* A whole file. */
int boot_copy_file(struct as *mem, gpa_t addr, const struct boot_file *f, struct err *e) MUST_CHECK;

/*
 * Several initrds are one behind the other: cpio archives, which begin at multiples of 4; the bytes
 * between are zero.
 */
uint64_t boot_initrds_len(const struct boot_file *initrd, unsigned n);
int boot_copy_initrds(struct as *mem, gpa_t addr, const struct boot_file *initrd, unsigned n,
		      struct err *e) MUST_CHECK;

/*
 * A file that is compressed as a whole: unpacks @src to a buffer of address space, of which only
 * what is used costs memory, and recognises what is inside, now knowing all of it.  @inner then
 * describes *@src, which is the buffer.  boot_fold frees *@buf, also after an error.
 */
int boot_unfold(const struct boot_image *outer, struct boot_src *src, struct boot_image *inner,
		void **buf, struct err *e) MUST_CHECK;
void boot_fold(void *buf);

#endif
