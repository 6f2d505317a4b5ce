/*
 * boot/unpack_lz4.c - both lz4 containers.
 *
 * The legacy one, which the kernel's build makes, is a magic and then blocks, each with its length
 * (32-bit, little-endian) in front.  A block unpacks to 8 MiB, the last one to less, and none
 * refers to another.  There is no end mark: it ends with the input.  A magic between blocks starts
 * another stream.
 */
#include <errno.h>
#include <lz4.h>
#include <lz4frame.h>
#include <stdlib.h>

#include "base/endian.h"
#include "base/sys.h"
#include "boot/unpack_impl.h"
#include "boot/unpack_lib.h"

#define LZ4_FUNCTIONS(F)                   \
	F(LZ4_decompress_safe)             \
	F(LZ4_decompress_safe_partial)     \
	F(LZ4F_isError)                    \
	F(LZ4F_createDecompressionContext) \
	F(LZ4F_decompress)                 \
	F(LZ4F_freeDecompressionContext)

UNPACK_LIB(lz4, "liblz4.so.1", "liblz4-1", LZ4_FUNCTIONS);

#define LEGACY_MAGIC 0x184c2102u
#define LEGACY_BLOCK MIB(8)
#define LEGACY_BLOCK_MAX                                                         \
	(LEGACY_BLOCK + LEGACY_BLOCK / 255 + 16) /* what does not compress grows \
						  */
#define HEAD_INPUT KIB(32)

struct legacy {
	struct unpack_job *j;
	uint8_t *buf; /* for one packed block */
	size_t buf_len;
};

/* The next @n bytes of the input: in memory already, or read into the buffer. */
static int legacy_input(struct legacy *l, size_t n, const uint8_t **in)
{
	struct unpack_job *j = l->j;

	*in = NULL;
	if (n > j->end - j->off)
		return unpack_early(j->e);
	if (!j->src->file) {
		*in = j->src->mem + j->off;
		return 0;
	}
	if (n > l->buf_len) {
		free(l->buf);
		l->buf_len = 0;
		l->buf = sys_alloc(n);
		if (!l->buf)
			return err_nomem(j->e, n, "a packed block");
		l->buf_len = n;
	}
	*in = l->buf;
	return boot_src_read(j->src, j->off, l->buf, n, j->e);
}

/*
 * The head only: a few kilobytes of input make the few that are wanted.  If they do not, the whole
 * block is taken.
 */
static int legacy_head(struct legacy *l, size_t n)
{
	struct unpack_job *j = l->j;
	size_t want = MIN(j->cap - j->out, LEGACY_BLOCK);
	const uint8_t *in;
	int r, made;

	for (size_t take = MIN(n, HEAD_INPUT);; take = n) {
		r = legacy_input(l, take, &in);
		if (r)
			return r;
		made = lz4.LZ4_decompress_safe_partial((const char *)in, (char *)j->dst + j->out,
						       (int)take, (int)want, (int)want);
		if (take == n || (made >= 0 && (size_t)made == want))
			break;
	}
	if (made < 0)
		return unpack_damaged(j->e);
	j->off += n;
	j->out += (size_t)made;
	return 0;
}

static int legacy_block(struct legacy *l, size_t n)
{
	struct unpack_job *j = l->j;
	size_t room = j->cap - j->out;
	const uint8_t *in;
	int r, made;

	if (j->head)
		return legacy_head(l, n);
	r = legacy_input(l, n, &in);
	if (r)
		return r;
	made = lz4.LZ4_decompress_safe((const char *)in, (char *)j->dst + j->out, (int)n,
				       (int)MIN(room, LEGACY_BLOCK));
	if (made < 0) {
		/* One answer stands for damage and for a buffer that is too small. */
		return room < LEGACY_BLOCK
			       ? err_set(j->e, -E2BIG, "is damaged or longer than it says")
			       : unpack_damaged(j->e);
	}
	j->off += n;
	j->out += (size_t)made;
	return 0;
}

int unpack_lz4_legacy(struct unpack_job *j)
{
	struct legacy l = {.j = j};
	uint8_t word[4];
	int r = unpack_lib_load(&lz4_lib, j->e);

	if (!r)
		r = unpack_take(j, word, sizeof(word));
	/* Fewer than four bytes at the end are padding. */
	while (!r && j->end - j->off >= sizeof(word) && !(j->head && j->out == j->cap)) {
		uint32_t n;

		r = unpack_take(j, word, sizeof(word));
		if (r)
			break;
		n = le32_load(word);
		if (n == LEGACY_MAGIC)
			continue;
		if (n == 0 || n > LEGACY_BLOCK_MAX)
			r = unpack_damaged(j->e);
		else
			r = legacy_block(&l, n);
	}
	free(l.buf);
	return r;
}

static int frame_step(void *decoder, struct unpack_stream *s, struct err *e)
{
	size_t in = s->in_len, out = s->out_len, left;

	left = lz4.LZ4F_decompress(decoder, s->out, &out, s->in, &in, NULL);
	if (lz4.LZ4F_isError(left))
		return unpack_damaged(e);
	s->in += in;
	s->in_len -= in;
	s->out += out;
	s->out_len -= out;
	s->done = left == 0;
	return 0;
}

int unpack_lz4_frame(struct unpack_job *j)
{
	LZ4F_dctx *ctx = NULL;
	int r = unpack_lib_load(&lz4_lib, j->e);

	if (r)
		return r;
	if (fault_hit("lz4") ||
	    lz4.LZ4F_isError(lz4.LZ4F_createDecompressionContext(&ctx, LZ4F_VERSION)))
		return err_nomem(j->e, KIB(64), "the decoder");
	r = unpack_by_steps(j, frame_step, ctx);
	lz4.LZ4F_freeDecompressionContext(ctx);
	return r;
}
