/*
 * boot/unpack_zlib.c - gzip and bzip2, whose libraries have the same shape.
 */
#include <bzlib.h>
#include <errno.h>
#include <limits.h>
#include <stdlib.h>
#define ZLIB_CONST
#include <zlib.h>

#include "base/sys.h"
#include "boot/unpack_impl.h"
#include "boot/unpack_lib.h"

#define ZLIB_FUNCTIONS(F)  F(inflateInit2_) F(inflate) F(inflateEnd)
#define BZIP2_FUNCTIONS(F) F(BZ2_bzDecompressInit) F(BZ2_bzDecompress) F(BZ2_bzDecompressEnd)

UNPACK_LIB(zlib, "libz.so.1", "zlib1g", ZLIB_FUNCTIONS);
UNPACK_LIB(bzip2, "libbz2.so.1.0", "libbz2-1.0", BZIP2_FUNCTIONS);

static void *gzip_alloc(void *opaque, unsigned n, unsigned size)
{
	(void)opaque;
	return sys_alloc_array(n, size);
}

static void gzip_free(void *opaque, void *p)
{
	(void)opaque;
	free(p);
}

static int gzip_step(void *decoder, struct unpack_stream *s, struct err *e)
{
	z_stream *z = decoder;
	size_t in = MIN(s->in_len, UINT_MAX), out = MIN(s->out_len, UINT_MAX);
	int r;

	z->next_in = s->in;
	z->avail_in = (unsigned)in;
	z->next_out = s->out;
	z->avail_out = (unsigned)out;
	r = zlib.inflate(z, Z_NO_FLUSH);
	s->in += in - z->avail_in;
	s->in_len -= in - z->avail_in;
	s->out += out - z->avail_out;
	s->out_len -= out - z->avail_out;
	switch (r) {
	case Z_STREAM_END: s->done = true; return 0;
	case Z_OK:
	case Z_BUF_ERROR: return 0;
	case Z_MEM_ERROR: return err_nomem(e, KIB(32), "the gzip window");
	default: return unpack_damaged(e);
	}
}

int unpack_gzip(struct unpack_job *j)
{
	z_stream z = {.zalloc = gzip_alloc, .zfree = gzip_free};
	int r = unpack_lib_load(&zlib_lib, j->e);

	if (r)
		return r;
	/* 16 more than the window's bits: a gzip header, not a zlib one. */
	r = zlib.inflateInit2(&z, 15 + 16);
	if (r != Z_OK)
		return err_nomem(j->e, KIB(10), "the gzip decoder");
	r = unpack_by_steps(j, gzip_step, &z);
	zlib.inflateEnd(&z);
	return r;
}

static void *bzip2_alloc(void *opaque, int n, int size)
{
	(void)opaque;
	return n < 0 || size < 0 ? NULL : sys_alloc_array((size_t)n, (size_t)size);
}

static int bzip2_step(void *decoder, struct unpack_stream *s, struct err *e)
{
	bz_stream *z = decoder;
	size_t in = MIN(s->in_len, UINT_MAX), out = MIN(s->out_len, UINT_MAX);
	union {
		const uint8_t *in;
		char *next; /* the library reads it only, and its interface does not say so */
	} u = {s->in};
	int r;

	z->next_in = u.next;
	z->avail_in = (unsigned)in;
	z->next_out = (char *)s->out;
	z->avail_out = (unsigned)out;
	r = bzip2.BZ2_bzDecompress(z);
	s->in += in - z->avail_in;
	s->in_len -= in - z->avail_in;
	s->out += out - z->avail_out;
	s->out_len -= out - z->avail_out;
	switch (r) {
	case BZ_STREAM_END: s->done = true; return 0;
	case BZ_OK: return 0;
	case BZ_MEM_ERROR: return err_nomem(e, MIB(4), "the bzip2 block");
	default: return unpack_damaged(e);
	}
}

int unpack_bzip2(struct unpack_job *j)
{
	bz_stream z = {.bzalloc = bzip2_alloc, .bzfree = gzip_free};
	int r = unpack_lib_load(&bzip2_lib, j->e);

	if (r)
		return r;
	if (bzip2.BZ2_bzDecompressInit(&z, 0, 0) != BZ_OK)
		return err_nomem(j->e, KIB(64), "the bzip2 decoder");
	r = unpack_by_steps(j, bzip2_step, &z);
	bzip2.BZ2_bzDecompressEnd(&z);
	return r;
}
