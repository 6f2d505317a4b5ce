/*
 * boot/unpack_lzo.c - lzo in lzop's container, which the kernel's build uses.
 *
 * A header (magic, versions, method, flags, times, name, checksum), then blocks of at most 256 KiB
 * here: unpacked length, packed length, checksums of both as the flags say, data.  All numbers are
 * big-endian.  An unpacked length of 0 ends it; equal lengths mean that the block is stored.
 */
#include <errno.h>
#include <lzo/lzo1x.h>
#include <stdlib.h>
#include <string.h>

#include "base/endian.h"
#include "base/str.h"
#include "base/sys.h"
#include "boot/unpack_impl.h"
#include "boot/unpack_lib.h"

#define LZO_FUNCTIONS(F) F(__lzo_init_v2) F(lzo1x_decompress_safe) F(lzo_adler32)

UNPACK_LIB(lzo, "liblzo2.so.2", "liblzo2-2", LZO_FUNCTIONS);

#define F_ADLER32_D 0x1u
#define F_ADLER32_C 0x2u
#define F_EXTRA	    0x40u
#define F_CRC32_D   0x100u
#define F_CRC32_C   0x200u
#define F_FILTER    0x800u

#define BLOCK_MAX MIB(1)

struct lzop {
	struct unpack_job *j;
	uint32_t flags;
	uint8_t *in, *out; /* BLOCK_MAX each */
};

static int take_be32(struct unpack_job *j, uint32_t *v)
{
	uint8_t b[4];
	int r = unpack_take(j, b, sizeof(b));

	*v = r ? 0 : be32_load(b);
	return r;
}

static int skip(struct unpack_job *j, uint64_t n)
{
	if (n > j->end - j->off)
		return unpack_early(j->e);
	j->off += n;
	return 0;
}

/*
 * magic 9, version 2, library 2, [needed version 2], method 1, [level 1], flags 4, [filter 4],
 * mode 4, time 4, [high time 4], name length 1, name, checksum 4, [extra: length 4, data, checksum
 * 4]; parts in brackets depend on version and flags.
 */
static int take_header(struct lzop *z)
{
	struct unpack_job *j = z->j;
	uint8_t b[16];
	uint16_t version;
	uint32_t n;
	int r;

	r = unpack_take(j, b, 9 + 2 + 2);
	if (r)
		return r;
	version = be16_load(b + 9);
	r = unpack_take(j, b, version >= 0x940 ? 4 : 1);
	if (r)
		return r;
	if (b[version >= 0x940 ? 2 : 0] > 3)
		return unpack_damaged(j->e);
	r = take_be32(j, &z->flags);
	if (!r)
		r = skip(j, 8u + (z->flags & F_FILTER ? 4 : 0) + (version >= 0x940 ? 4 : 0));
	if (!r)
		r = unpack_take(j, b, 1);
	if (!r)
		r = skip(j, (uint64_t)b[0] + 4);
	if (!r && z->flags & F_EXTRA) {
		r = take_be32(j, &n);
		if (!r)
			r = skip(j, (uint64_t)n + 4);
	}
	return r;
}

static bool sums_match(uint32_t flags, uint32_t f_adler, uint32_t f_crc, const uint32_t *sums,
		       const uint8_t *data, uint32_t n)
{
	if (flags & f_adler && *sums++ != lzo.lzo_adler32(1, data, n))
		return false;
	return !(flags & f_crc) || *sums == str_crc32(0, data, n);
}

/* The data of one block: @packed bytes of input make @n bytes of output. */
static int block(struct lzop *z, uint32_t n, uint32_t packed, const uint32_t *sums_d,
		 const uint32_t *sums_c)
{
	struct unpack_job *j = z->j;
	const uint8_t *from = z->in;
	lzo_uint made = n;
	size_t room = j->cap - j->out;
	int r;

	r = unpack_take(j, z->in, packed);
	if (r)
		return r;
	if (packed < n) {
		if (!sums_match(z->flags, F_ADLER32_C, F_CRC32_C, sums_c, z->in, packed) ||
		    lzo.lzo1x_decompress_safe(z->in, packed, z->out, &made, NULL) != LZO_E_OK ||
		    made != n)
			return unpack_damaged(j->e);
		from = z->out;
	}
	if (!sums_match(z->flags, F_ADLER32_D, F_CRC32_D, sums_d, from, n))
		return unpack_damaged(j->e);
	if (n > room && !j->head)
		return unpack_too_much(j);
	memcpy(j->dst + j->out, from, MIN(n, room));
	j->out += MIN(n, room);
	return 0;
}

static int blocks(struct lzop *z)
{
	struct unpack_job *j = z->j;
	int r = 0;

	while (!r && !(j->head && j->out == j->cap)) {
		uint32_t n, packed, sums_d[2] = {0}, sums_c[2] = {0};
		unsigned d = 0, c = 0;

		r = take_be32(j, &n);
		if (r || n == 0)
			break;
		r = take_be32(j, &packed);
		if (!r && z->flags & F_ADLER32_D)
			r = take_be32(j, &sums_d[d++]);
		if (!r && z->flags & F_CRC32_D)
			r = take_be32(j, &sums_d[d]);
		if (!r && packed < n && z->flags & F_ADLER32_C)
			r = take_be32(j, &sums_c[c++]);
		if (!r && packed < n && z->flags & F_CRC32_C)
			r = take_be32(j, &sums_c[c]);
		if (!r && (n > BLOCK_MAX || packed == 0 || packed > n))
			r = unpack_damaged(j->e);
		if (!r)
			r = block(z, n, packed, sums_d, sums_c);
	}
	return r;
}

int unpack_lzo(struct unpack_job *j)
{
	struct lzop z = {.j = j};
	int r = unpack_lib_load(&lzo_lib, j->e);

	if (r)
		return r;
	if (lzo.lzo_init() != LZO_E_OK)
		return err_set(j->e, -ENOSYS, "cannot be unpacked: liblzo2 does not start");
	z.in = sys_alloc(2 * BLOCK_MAX);
	if (!z.in)
		return err_nomem(j->e, 2 * BLOCK_MAX, "a block");
	z.out = z.in + BLOCK_MAX;
	r = take_header(&z);
	if (!r)
		r = blocks(&z);
	free(z.in);
	return r;
}
