/*
 * boot/unpack_zstd.c - zstd.
 *
 * In one shot the decoder uses the output itself as its window; in a stream it keeps a window of
 * its own (128 MiB for the kernel's `zstd -22 --ultra`) and copies every byte out of it.  So the
 * whole input is read, and only the head goes through a stream.
 */
#include <errno.h>
#include <stdlib.h>
#include <sys/mman.h>
#include <zstd.h>
#include <zstd_errors.h>

#include "base/sys.h"
#include "boot/unpack_impl.h"
#include "boot/unpack_lib.h"

#define ZSTD_FUNCTIONS(F)               \
	F(ZSTD_getErrorCode)            \
	F(ZSTD_decompressStream)        \
	F(ZSTD_isError)                 \
	F(ZSTD_findFrameCompressedSize) \
	F(ZSTD_decompressDCtx)          \
	F(ZSTD_createDCtx)              \
	F(ZSTD_freeDCtx)

UNPACK_LIB(zstd, "libzstd.so.1", "libzstd1", ZSTD_FUNCTIONS);

static int zstd_error(const struct unpack_job *j, struct err *e, size_t r)
{
	switch (zstd.ZSTD_getErrorCode(r)) {
	case ZSTD_error_dstSize_tooSmall: return j ? unpack_too_much(j) : unpack_damaged(e);
	case ZSTD_error_srcSize_wrong: return unpack_early(e);
	case ZSTD_error_memory_allocation: return err_nomem(e, MIB(1), "the window");
	case ZSTD_error_frameParameter_windowTooLarge:
		return err_set(e, -E2BIG, "needs a window of more than 128 MiB");
	default: return unpack_damaged(e);
	}
}

static int zstd_step(void *decoder, struct unpack_stream *s, struct err *e)
{
	ZSTD_inBuffer in = {s->in, s->in_len, 0};
	ZSTD_outBuffer out = {s->out, s->out_len, 0};
	size_t r = zstd.ZSTD_decompressStream(decoder, &out, &in);

	if (zstd.ZSTD_isError(r))
		return zstd_error(NULL, e, r);
	s->in += in.pos;
	s->in_len -= in.pos;
	s->out += out.pos;
	s->out_len -= out.pos;
	s->done = r == 0;
	return 0;
}

static int one_shot(struct unpack_job *j, ZSTD_DCtx *ctx, const uint8_t *in, size_t n)
{
	size_t frame = zstd.ZSTD_findFrameCompressedSize(in, n), r;

	if (zstd.ZSTD_isError(frame))
		return zstd_error(j, j->e, frame);
	r = zstd.ZSTD_decompressDCtx(ctx, j->dst, j->cap, in, frame);
	if (zstd.ZSTD_isError(r))
		return zstd_error(j, j->e, r);
	j->out = r;
	return 0;
}

static int whole(struct unpack_job *j, ZSTD_DCtx *ctx)
{
	size_t n = (size_t)(j->end - j->off);
	void *in;
	int r;

	if (!j->src->file)
		return one_shot(j, ctx, j->src->mem + j->off, n);
	if (n == 0 || n > UNPACK_MAX)
		return err_set(j->e, -EINVAL, "has an impossible length");
	in = sys_mmap(NULL, n, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
	if (in == MAP_FAILED)
		return err_nomem(j->e, n, "the packed kernel");
	r = unpack_take(j, in, n);
	if (!r)
		r = one_shot(j, ctx, in, n);
	munmap(in, n);
	return r;
}

int unpack_zstd(struct unpack_job *j)
{
	int r = unpack_lib_load(&zstd_lib, j->e);
	ZSTD_DCtx *ctx;

	if (r)
		return r;
	ctx = fault_hit("zstd") ? NULL : zstd.ZSTD_createDCtx();
	if (!ctx)
		return err_nomem(j->e, KIB(160), "the decoder");
	r = j->head ? unpack_by_steps(j, zstd_step, ctx) : whole(j, ctx);
	zstd.ZSTD_freeDCtx(ctx);
	return r;
}
