/*
 * boot/unpack_lzma.c - lzma-alone and xz through liblzma.
 */
#include <errno.h>
#include <lzma.h>
#include <stdlib.h>

#include "base/sys.h"
#include "boot/unpack_impl.h"
#include "boot/unpack_lib.h"

#define LZMA_FUNCTIONS(F) \
	F(lzma_alone_decoder) F(lzma_stream_decoder) F(lzma_code) F(lzma_memusage) F(lzma_end)

UNPACK_LIB(lzma, "liblzma.so.5", "liblzma5", LZMA_FUNCTIONS);

/* `xz -9` has a window of 64 MiB; the kernel's build asks for 32 MiB; lzma -9 for 64 MiB. */
#define WINDOW_MAX MIB(160)

static void *lzma_alloc_hook(void *opaque, size_t n, size_t size)
{
	(void)opaque;
	return sys_alloc_array(n, size);
}

static void lzma_free_hook(void *opaque, void *p)
{
	(void)opaque;
	free(p);
}

static int lzma_step(void *decoder, struct unpack_stream *s, struct err *e)
{
	lzma_stream *z = decoder;
	lzma_ret r;

	z->next_in = s->in;
	z->avail_in = s->in_len;
	z->next_out = s->out;
	z->avail_out = s->out_len;
	r = lzma.lzma_code(z, LZMA_RUN);
	s->in = z->next_in;
	s->in_len = z->avail_in;
	s->out = z->next_out;
	s->out_len = z->avail_out;
	switch (r) {
	case LZMA_STREAM_END: s->done = true; return 0;
	case LZMA_OK:
	case LZMA_BUF_ERROR: return 0;
	case LZMA_MEM_ERROR: return err_nomem(e, (size_t)lzma.lzma_memusage(z), "the window");
	case LZMA_MEMLIMIT_ERROR:
		return err_set(e, -E2BIG,
			       "needs %llu MiB of memory to unpack, more than the %llu MiB allowed",
			       (unsigned long long)(lzma.lzma_memusage(z) >> 20),
			       (unsigned long long)(WINDOW_MAX >> 20));
	default: return unpack_damaged(e);
	}
}

static int run(struct unpack_job *j, bool alone)
{
	lzma_allocator hooks = {lzma_alloc_hook, lzma_free_hook, NULL};
	lzma_stream z = LZMA_STREAM_INIT;
	lzma_ret r;
	int ret = unpack_lib_load(&lzma_lib, j->e);

	if (ret)
		return ret;
	z.allocator = &hooks;
	r = alone ? lzma.lzma_alone_decoder(&z, WINDOW_MAX)
		  : lzma.lzma_stream_decoder(&z, WINDOW_MAX, 0);
	if (r != LZMA_OK) {
		lzma.lzma_end(&z);
		return err_nomem(j->e, KIB(64), "the decoder");
	}
	ret = unpack_by_steps(j, lzma_step, &z);
	lzma.lzma_end(&z);
	return ret;
}

int unpack_lzma(struct unpack_job *j)
{
	return run(j, true);
}

int unpack_xz(struct unpack_job *j)
{
	return run(j, false);
}
