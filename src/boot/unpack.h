/*
 * boot/unpack.h - the compressions that kernels come in.
 *
 * Output goes to a buffer of the caller with a hard end; sizes that a file claims are never
 * believed.  Input is read in pieces and not mapped.  What a decompressor needs besides (windows,
 * tables) is freed before the call returns.
 */
#ifndef LODGE_BOOT_UNPACK_H
#define LODGE_BOOT_UNPACK_H

#include "boot/file.h"

enum pack {
	PACK_NONE,
	PACK_GZIP, /* RFC 1952 */
	PACK_BZIP2,
	PACK_LZMA, /* lzma-alone */
	PACK_XZ,
	PACK_LZO,	 /* lzop's container */
	PACK_LZ4,	 /* the current frame */
	PACK_LZ4_LEGACY, /* the frame that the kernel's build uses */
	PACK_ZSTD,	 /* RFC 8878 */
	PACK_COUNT
};

/* No kernel unpacks to more than this. */
#define UNPACK_MAX MIB(512)

/* "gzip", "lz4", …; "none". */
const char *pack_name(enum pack p);

/* By the first @n bytes; PACK_NONE if it is none of them. */
enum pack pack_recognise(const uint8_t *head, size_t n);

/*
 * Unpacks bytes [off, off+len) of @src into @dst.  *@out gets how many bytes came out.  -E2BIG if
 * there are more than @cap, -EINVAL if the data is damaged or ends early, -ENOMEM; the message has
 * no file name in front.  Bytes behind the end of the stream are ignored.
 */
int unpack(const struct boot_src *src, uint64_t off, uint64_t len, enum pack p, void *dst,
	   size_t cap, size_t *out, struct err *e) MUST_CHECK;

/* The same for the first @want bytes only, or fewer if there are no more. */
int unpack_head(const struct boot_src *src, uint64_t off, uint64_t len, enum pack p, void *dst,
		size_t want, size_t *out, struct err *e) MUST_CHECK;

#endif
