/*
 * boot/unpack_impl.h - what boot/unpack.c and the files for the single formats share; private.
 */
#ifndef LODGE_BOOT_UNPACK_IMPL_H
#define LODGE_BOOT_UNPACK_IMPL_H

#include "boot/unpack.h"

/* One unpacking: where it reads, where it writes. */
struct unpack_job {
	const struct boot_src *src;
	uint64_t off, end; /* what is left of the input */
	uint8_t *dst;
	size_t cap, out; /* out: bytes written so far */
	bool head;	 /* being full is success: only the first bytes are wanted */
	struct err *e;
};

/*
 * A decoder that is fed in pieces.  step consumes from in, writes to out, both moved forward, and
 * sets done at the end of the stream.  It returns 0 or the result of unpack_damaged and its like.
 */
struct unpack_stream {
	const uint8_t *in;
	size_t in_len;
	uint8_t *out;
	size_t out_len;
	bool last; /* there is no more input behind in */
	bool done;
};

typedef int unpack_step(void *decoder, struct unpack_stream *s, struct err *e);

int unpack_by_steps(struct unpack_job *j, unpack_step *step, void *decoder) MUST_CHECK;

/* Reads the next @n bytes of the input; the end of the input is "ends early". */
int unpack_take(struct unpack_job *j, void *buf, size_t n) MUST_CHECK;

int unpack_damaged(struct err *e);
int unpack_early(struct err *e);
int unpack_too_much(const struct unpack_job *j);

/* One for each format; the message is completed with the format's name by unpack(). */
int unpack_gzip(struct unpack_job *j) MUST_CHECK;
int unpack_bzip2(struct unpack_job *j) MUST_CHECK;
int unpack_lzma(struct unpack_job *j) MUST_CHECK;
int unpack_xz(struct unpack_job *j) MUST_CHECK;
int unpack_lzo(struct unpack_job *j) MUST_CHECK;
int unpack_lz4_frame(struct unpack_job *j) MUST_CHECK;
int unpack_lz4_legacy(struct unpack_job *j) MUST_CHECK;
int unpack_zstd(struct unpack_job *j) MUST_CHECK;

#endif
