/*
 * boot/unpack.c - which compression it is, and the loop that the decoders share.
 */
#include "boot/unpack.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/endian.h"
#include "base/str.h"
#include "base/sys.h"
#include "boot/unpack_impl.h"

/* Pieces that the input is read in: small beside the caches, large beside the cost of a read. */
#define CHUNK KIB(256)

static const struct {
	const char *name;
	int (*run)(struct unpack_job *j);
	uint8_t magic[9];
	unsigned magic_len;
} formats[PACK_COUNT] = {
	[PACK_NONE] = {.name = "none"},
	[PACK_GZIP] = {"gzip", unpack_gzip, {0x1f, 0x8b, 0x08}, 3},
	[PACK_BZIP2] = {"bzip2", unpack_bzip2, {'B', 'Z', 'h'}, 3},
	[PACK_LZMA] = {"lzma", unpack_lzma, {0x5d, 0, 0}, 3},
	[PACK_XZ] = {"xz", unpack_xz, {0xfd, '7', 'z', 'X', 'Z', 0}, 6},
	[PACK_LZO] = {"lzo", unpack_lzo, {0x89, 'L', 'Z', 'O', 0, '\r', '\n', 0x1a, '\n'}, 9},
	[PACK_LZ4] = {"lz4", unpack_lz4_frame, {0x04, 0x22, 0x4d, 0x18}, 4},
	[PACK_LZ4_LEGACY] = {"lz4", unpack_lz4_legacy, {0x02, 0x21, 0x4c, 0x18}, 4},
	[PACK_ZSTD] = {"zstd", unpack_zstd, {0x28, 0xb5, 0x2f, 0xfd}, 4},
};

const char *pack_name(enum pack p)
{
	return formats[p].name;
}

/*
 * Two formats have weak magics.  lzma-alone: a properties byte, then the dictionary's size, then
 * the length, which is unknown (all ones) or sane.  bzip2: the block size is a digit, and a block
 * or the end of the stream follows.
 */
static bool looks_right(enum pack p, const uint8_t *head, size_t n)
{
	static const uint8_t block[6] = {0x31, 0x41, 0x59, 0x26, 0x53, 0x59};
	uint64_t len;

	if (p == PACK_LZMA) {
		if (n < 13)
			return false;
		len = le64_load(head + 5);
		return le32_load(head + 1) >= 4096 && (len == UINT64_MAX || len <= GIB(256));
	}
	if (p == PACK_BZIP2)
		return n >= 10 && head[3] >= '1' && head[3] <= '9' && !memcmp(head + 4, block, 6);
	return true;
}

enum pack pack_recognise(const uint8_t *head, size_t n)
{
	for (unsigned p = PACK_NONE + 1; p < PACK_COUNT; p++) {
		if (n >= formats[p].magic_len &&
		    !memcmp(head, formats[p].magic, formats[p].magic_len) &&
		    looks_right((enum pack)p, head, n))
			return (enum pack)p;
	}
	return PACK_NONE;
}

int unpack_damaged(struct err *e)
{
	return err_set(e, -EINVAL, "is damaged");
}

int unpack_early(struct err *e)
{
	return err_set(e, -EINVAL, "ends early");
}

int unpack_too_much(const struct unpack_job *j)
{
	char size[32];

	return err_set(j->e, -E2BIG, "unpacks to more than the %s that there should be",
		       str_size(j->cap, size, sizeof(size)));
}

int unpack_take(struct unpack_job *j, void *buf, size_t n)
{
	int r;

	if (n > j->end - j->off)
		return unpack_early(j->e);
	r = boot_src_read(j->src, j->off, buf, n, j->e);
	if (!r)
		j->off += n;
	return r;
}

/*
 * Feeds the input that is in @s.  When the buffer is full the decoder gets one byte more, outside
 * of it: a stream that ends exactly at the end of the buffer leaves that byte alone.
 */
static int feed(struct unpack_job *j, unpack_step *step, void *decoder, struct unpack_stream *s)
{
	uint8_t spill = 0;

	for (;;) {
		bool full = j->out == j->cap;
		size_t in_before = s->in_len;
		uint8_t *out_before = full ? &spill : j->dst + j->out;
		size_t made;
		int r;

		if (full && j->head) {
			s->done = true;
			return 0;
		}
		s->out = out_before;
		s->out_len = full ? 1 : j->cap - j->out;
		r = step(decoder, s, j->e);
		if (r)
			return r;
		made = (size_t)(s->out - out_before);
		if (full && made)
			return unpack_too_much(j);
		j->out += made;
		if (s->done)
			return 0;
		if (!made && s->in_len == in_before) {
			/* No progress: it wants more input. */
			return s->last ? unpack_early(j->e) : 0;
		}
	}
}

int unpack_by_steps(struct unpack_job *j, unpack_step *step, void *decoder)
{
	struct unpack_stream s = {0};
	uint8_t *buf = NULL;
	int r = 0;

	if (j->src->file) {
		buf = sys_alloc(CHUNK);
		if (!buf)
			return err_nomem(j->e, CHUNK, "reading");
	} else {
		s.in = j->src->mem + j->off;
		s.in_len = (size_t)(j->end - j->off);
		s.last = true;
	}
	while (!r && !s.done) {
		if (buf) {
			size_t keep = s.in_len, n = (size_t)MIN(j->end - j->off, CHUNK - keep);

			memmove(buf, s.in ? s.in : buf, keep);
			r = unpack_take(j, buf + keep, n);
			if (r)
				break;
			s.in = buf;
			s.in_len = keep + n;
			s.last = j->off == j->end;
		}
		r = feed(j, step, decoder, &s);
		if (!r && !s.done && s.in_len == CHUNK)
			r = unpack_damaged(j->e);
	}
	free(buf);
	return r;
}

static int run(struct unpack_job *j, enum pack p, size_t *out)
{
	int r;

	*out = 0;
	if (p == PACK_NONE || p >= PACK_COUNT)
		return err_set(j->e, -EINVAL, "is not compressed");
	r = formats[p].run(j);
	if (r == 0)
		*out = j->out;
	if (boot_err_is_content(r)) {
		char subject[48];

		snprintf(subject, sizeof(subject), "the %s-compressed data", formats[p].name);
		boot_err_about(j->e, subject);
	}
	return r;
}

/* The range that is left if the input is shorter than it should be. */
static uint64_t clamp_end(const struct boot_src *src, uint64_t off, uint64_t len)
{
	return off > src->size ? off : off + MIN(len, src->size - off);
}

int unpack(const struct boot_src *src, uint64_t off, uint64_t len, enum pack p, void *dst,
	   size_t cap, size_t *out, struct err *e)
{
	struct unpack_job j = {
		.src = src,
		.off = off,
		.end = clamp_end(src, off, len),
		.dst = dst,
		.cap = cap,
		.e = e,
	};

	return run(&j, p, out);
}

int unpack_head(const struct boot_src *src, uint64_t off, uint64_t len, enum pack p, void *dst,
		size_t want, size_t *out, struct err *e)
{
	struct unpack_job j = {
		.src = src,
		.off = off,
		.end = clamp_end(src, off, len),
		.dst = dst,
		.cap = want,
		.head = true,
		.e = e,
	};

	return run(&j, p, out);
}
