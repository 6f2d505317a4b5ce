/*
 * boot/recognise.h - fills in a struct boot_image from a file's contents; private to boot.
 */
#ifndef LODGE_BOOT_RECOGNISE_H
#define LODGE_BOOT_RECOGNISE_H

#include "boot/boot.h"

/*
 * What boot_image_open does behind the opening: recognises @src for a machine of img->arch and
 * fills
 * @img in, except .file.
 * If @src is compressed as a whole, img->outer says how, and the rest describes what is inside.
 * Messages have no file name in front.
 */
int boot_recognise(struct boot_image *img, const struct boot_src *src, struct err *e) MUST_CHECK;

/*
 * The same for a file without compression around it.  @head holds its first @n bytes.  @src is NULL
 * if only these are at hand; @size is then the most that there can be.
 */
int boot_recognise_plain(struct boot_image *img, const uint8_t *head, size_t n, uint64_t size,
			 const struct boot_src *src, struct err *e) MUST_CHECK;

/* The single formats: 1 if it is this one and usable, 0 if it is another, -errno if it is unusable.
 */
int boot_recognise_bzimage(struct boot_image *img, const uint8_t *head, size_t n, uint64_t size,
			   const struct boot_src *src, struct err *e) MUST_CHECK;
int boot_recognise_multiboot(struct boot_image *img, const uint8_t *head, size_t n, uint64_t size,
			     struct err *e) MUST_CHECK;
/* Image, zboot or ELF. */
int boot_recognise_arm64(struct boot_image *img, const uint8_t *head, size_t n, uint64_t size,
			 const struct boot_src *src, struct err *e) MUST_CHECK;

/* "a kernel is …": the end of the sentence that refuses one. */
const char *boot_accepted(enum boot_arch arch);

#endif
