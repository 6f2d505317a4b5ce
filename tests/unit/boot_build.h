/*
 * Builds the files that the boot tests open: compressed data of every kind, ELF files, bzImages,
 * multiboot kernels.  Everything goes into one folder that is removed at the end.
 */
#ifndef LODGE_TESTS_BOOT_BUILD_H
#define LODGE_TESTS_BOOT_BUILD_H

#include <bzlib.h>
#include <ftw.h>
#include <lz4.h>
#include <lz4frame.h>
#include <lzma.h>
#include <lzo/lzo1x.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>
#include <zlib.h>
#include <zstd.h>

#include "base/endian.h"
#include "boot/unpack.h"

/* Bytes that grow. */
struct blob {
	uint8_t *p;
	size_t n;
};

static inline void *blob_grow(struct blob *b, size_t n)
{
	b->p = realloc(b->p, b->n + n + 1);
	if (!b->p)
		abort();
	memset(b->p + b->n, 0, n);
	b->n += n;
	return b->p + b->n - n;
}

static inline void blob_add(struct blob *b, const void *p, size_t n)
{
	memcpy(blob_grow(b, n), p, n);
}

static inline void blob_pad_to(struct blob *b, size_t n)
{
	if (b->n < n)
		blob_grow(b, n - b->n);
}

static inline void blob_le32(struct blob *b, uint32_t v)
{
	le32_store(blob_grow(b, 4), v);
}

static inline void blob_be32(struct blob *b, uint32_t v)
{
	be32_store(blob_grow(b, 4), v);
}

static inline void blob_free(struct blob *b)
{
	free(b->p);
	*b = (struct blob){0};
}

/* Text-like bytes: they compress, and no two stretches are alike. */
static inline struct blob blob_sample(size_t n)
{
	struct blob b = {0};
	uint8_t *p = blob_grow(&b, n);
	uint32_t x = 1;

	for (size_t i = 0; i < n; i++) {
		if (i % 16 == 0)
			x = x * 1103515245 + 12345;
		p[i] = (uint8_t)("lodge house"[i % 11] + (x >> 24) % 5);
	}
	return b;
}

/* lz4's legacy frame, in blocks of 8 MiB. */
static inline struct blob pack_lz4_legacy(const struct blob *in)
{
	struct blob out = {0};

	blob_le32(&out, 0x184c2102);
	for (size_t off = 0; off < in->n; off += MIB(8)) {
		int n = (int)MIN(in->n - off, MIB(8)), bound = LZ4_compressBound(n), made;
		char *buf = malloc((size_t)bound);

		made = LZ4_compress_default((const char *)in->p + off, buf, n, bound);
		blob_le32(&out, (uint32_t)made);
		blob_add(&out, buf, (size_t)made);
		free(buf);
	}
	return out;
}

/* lzop's container as lzop 1.03 writes it: version 0x1030, checksums as @flags say. */
static inline struct blob pack_lzo(const struct blob *in, uint32_t flags)
{
	static const uint8_t magic[] = {0x89, 'L', 'Z', 'O', 0, '\r', '\n', 0x1a, '\n'};
	static const uint8_t versions[] = {0x10, 0x30, 0x20, 0xa0, 0x09, 0x40, 1, 5};
	uint8_t *work = malloc(LZO1X_1_MEM_COMPRESS), *buf = malloc(KIB(300));
	struct blob out = {0};

	blob_add(&out, magic, sizeof(magic));
	blob_add(&out, versions, sizeof(versions));
	blob_be32(&out, flags);
	blob_grow(&out, 4 + 4 + 4);
	blob_add(&out, "\1x", 2);
	blob_grow(&out, 4);
	for (size_t off = 0; off < in->n; off += KIB(256)) {
		uint32_t n = (uint32_t)MIN(in->n - off, KIB(256));
		const uint8_t *data = in->p + off;
		lzo_uint made = 0;
		bool packed;

		lzo1x_1_compress(data, n, buf, &made, work);
		packed = made < n;
		if (!packed)
			made = n;
		blob_be32(&out, n);
		blob_be32(&out, (uint32_t)made);
		if (flags & 0x1)
			blob_be32(&out, (uint32_t)adler32(1, data, n));
		if (flags & 0x100)
			blob_be32(&out, (uint32_t)crc32(0, data, n));
		if (flags & 0x2 && packed)
			blob_be32(&out, (uint32_t)adler32(1, buf, (unsigned)made));
		if (flags & 0x200 && packed)
			blob_be32(&out, (uint32_t)crc32(0, buf, (unsigned)made));
		blob_add(&out, packed ? buf : data, made);
	}
	blob_be32(&out, 0);
	free(work);
	free(buf);
	return out;
}

static inline struct blob pack_gzip(const struct blob *in)
{
	z_stream z = {0};
	struct blob out = {0};

	if (deflateInit2(&z, 6, Z_DEFLATED, 15 + 16, 8, Z_DEFAULT_STRATEGY) != Z_OK)
		abort();
	z.next_in = in->p;
	z.avail_in = (unsigned)in->n;
	z.avail_out = (unsigned)deflateBound(&z, in->n) + 64;
	z.next_out = blob_grow(&out, z.avail_out);
	if (deflate(&z, Z_FINISH) != Z_STREAM_END)
		abort();
	out.n = z.total_out;
	deflateEnd(&z);
	return out;
}

static inline struct blob pack_lzma(const struct blob *in, bool alone)
{
	lzma_stream z = LZMA_STREAM_INIT;
	lzma_options_lzma opt;
	struct blob out = {0};

	lzma_lzma_preset(&opt, 1);
	if ((alone ? lzma_alone_encoder(&z, &opt) : lzma_easy_encoder(&z, 1, LZMA_CHECK_CRC32)) !=
	    LZMA_OK)
		abort();
	z.next_in = in->p;
	z.avail_in = in->n;
	z.avail_out = in->n * 2 + 4096;
	z.next_out = blob_grow(&out, z.avail_out);
	if (lzma_code(&z, LZMA_FINISH) != LZMA_STREAM_END)
		abort();
	out.n = z.total_out;
	lzma_end(&z);
	return out;
}

static inline struct blob pack_blob(const struct blob *in, enum pack p)
{
	struct blob out = {0};
	unsigned bz_n;

	switch (p) {
	case PACK_GZIP: return pack_gzip(in);
	case PACK_LZMA: return pack_lzma(in, true);
	case PACK_XZ: return pack_lzma(in, false);
	case PACK_LZO: return pack_lzo(in, 0x1);
	case PACK_LZ4_LEGACY: return pack_lz4_legacy(in);
	case PACK_BZIP2:
		bz_n = (unsigned)(in->n + in->n / 100 + 600);
		blob_grow(&out, bz_n);
		if (BZ2_bzBuffToBuffCompress((char *)out.p, &bz_n, (char *)in->p, (unsigned)in->n,
					     9, 0, 0))
			abort();
		out.n = bz_n;
		return out;
	case PACK_LZ4:
		blob_grow(&out, LZ4F_compressFrameBound(in->n, NULL));
		out.n = LZ4F_compressFrame(out.p, out.n, in->p, in->n, NULL);
		return out;
	case PACK_ZSTD:
		blob_grow(&out, ZSTD_compressBound(in->n));
		out.n = ZSTD_compress(out.p, out.n, in->p, in->n, 1);
		return out;
	default: blob_add(&out, in->p, in->n); return out;
	}
}

/* The folder of the test's files, made at the first use. */
static char build_folder[64];

static inline const char *build_dir(void)
{
	if (!build_folder[0]) {
		snprintf(build_folder, sizeof(build_folder), "%s/lodge-boot.XXXXXX",
			 getenv("TMPDIR") ? getenv("TMPDIR") : "/tmp");
		if (!mkdtemp(build_folder))
			abort();
	}
	return build_folder;
}

/* Writes a file and returns its path, good until the eighth call from now. */
static inline const char *build_file(const char *name, const void *data, size_t n)
{
	static char paths[8][160];
	static unsigned next;
	char *path = paths[next++ % 8];
	FILE *f;

	snprintf(path, sizeof(paths[0]), "%s/%s", build_dir(), name);
	f = fopen(path, "we");
	if (!f || fwrite(data, 1, n, f) != n || fclose(f))
		abort();
	return path;
}

static inline int build_remove(const char *path, const struct stat *st, int kind, struct FTW *ftw)
{
	(void)st;
	(void)kind;
	(void)ftw;
	return remove(path);
}

static inline int build_cleanup(void **state)
{
	(void)state;
	if (!build_folder[0])
		return 0;
	return nftw(build_folder, build_remove, 8, FTW_DEPTH | FTW_PHYS);
}

/* An ELF file: segments as given, data filled with a byte each. */
struct build_seg {
	uint64_t addr, vaddr, len, mem_len;
	uint8_t fill;
};

struct build_elf {
	bool is32;
	uint16_t machine; /* 0: x86 by class */
	uint16_t type;	  /* 0: ET_EXEC */
	uint64_t entry;
	uint32_t pvh; /* 0: no note */
	struct build_seg seg[6];
	unsigned n_segs;
	uint32_t extra_type; /* one more program header of this type, or 0 */
	uint32_t gap;	     /* bytes left free before each segment's data, multiple of 16 */
	bool no_sections;
};

static inline void build_phdr(struct blob *b, bool is32, uint32_t type, uint64_t off,
			      const struct build_seg *s)
{
	uint8_t *p = blob_grow(b, is32 ? 32 : 56);

	le32_store(p, type);
	if (is32) {
		le32_store(p + 4, (uint32_t)off);
		le32_store(p + 8, (uint32_t)s->vaddr);
		le32_store(p + 12, (uint32_t)s->addr);
		le32_store(p + 16, (uint32_t)s->len);
		le32_store(p + 20, (uint32_t)s->mem_len);
	} else {
		le64_store(p + 8, off);
		le64_store(p + 16, s->vaddr);
		le64_store(p + 24, s->addr);
		le64_store(p + 32, s->len);
		le64_store(p + 40, s->mem_len);
	}
}

static inline struct blob build_elf(const struct build_elf *d)
{
	size_t ehdr = d->is32 ? 52 : 64, each = d->is32 ? 32 : 56;
	unsigned count = d->n_segs + (d->pvh != 0) + (d->extra_type != 0);
	uint64_t off = ehdr + each * count + (d->pvh ? 20 : 0);
	struct blob b = {0};
	uint8_t *h = blob_grow(&b, ehdr);

	memcpy(h, "\177ELF", 4);
	h[4] = d->is32 ? 1 : 2;
	h[5] = h[6] = 1;
	le16_store(h + 16, d->type ? d->type : 2);
	le16_store(h + 18, d->machine ? d->machine : d->is32 ? 3 : 62);
	if (d->is32) {
		le32_store(h + 24, (uint32_t)d->entry);
		le32_store(h + 28, (uint32_t)ehdr);
	} else {
		le64_store(h + 24, d->entry);
		le64_store(h + 32, ehdr);
	}
	le16_store(h + (d->is32 ? 42 : 54), (uint16_t)each);
	le16_store(h + (d->is32 ? 44 : 56), (uint16_t)count);
	for (unsigned i = 0; i < d->n_segs; i++) {
		off = ALIGN_UP(off, 16u) + d->gap;
		build_phdr(&b, d->is32, 1, off, &d->seg[i]);
		off += d->seg[i].len;
	}
	if (d->extra_type)
		build_phdr(&b, d->is32, d->extra_type, 0, &(struct build_seg){0});
	if (d->pvh)
		build_phdr(&b, d->is32, 4, b.n + each,
			   &(struct build_seg){.len = 20, .mem_len = 20});
	if (d->pvh) {
		blob_le32(&b, 4);
		blob_le32(&b, 4);
		blob_le32(&b, 18);
		blob_add(&b, "Xen", 4);
		blob_le32(&b, d->pvh);
	}
	for (unsigned i = 0; i < d->n_segs; i++) {
		blob_pad_to(&b, ALIGN_UP(b.n, 16u) + d->gap);
		memset(blob_grow(&b, d->seg[i].len), d->seg[i].fill, d->seg[i].len);
	}
	return b;
}

/* A bzImage around a payload. */
struct build_bz {
	uint16_t version; /* 0: 2.15 */
	enum pack pack;
	struct blob inside; /* what is packed */
	uint64_t pref;
	uint32_t init_size;
	uint32_t cmdline;
	uint8_t loadflags; /* 0: LOADED_HIGH */
	uint32_t claimed;  /* the unpacked length it claims; 0: the true one */
	bool no_entry64, fixed;
};

static inline struct blob build_bz(const struct build_bz *d)
{
	struct blob packed = pack_blob(&d->inside, d->pack), b = {0};
	uint8_t *h;

	if (d->pack != PACK_GZIP)
		blob_le32(&packed, d->claimed ? d->claimed : (uint32_t)d->inside.n);
	else if (d->claimed)
		le32_store(packed.p + packed.n - 4, d->claimed);
	h = blob_grow(&b, 1024);
	h[0x1f1] = 1;
	le32_store(h + 0x1f4, (uint32_t)((0x300 + packed.n + 15) / 16));
	le16_store(h + 0x1fe, 0xaa55);
	h[0x200] = 0xeb;
	h[0x201] = 0x6a;
	memcpy(h + 0x202, "HdrS", 4);
	le16_store(h + 0x206, d->version ? d->version : 0x20f);
	le16_store(h + 0x20e, 0x100);
	memcpy(h + 0x300, "6.1.0-test (builder)", 21);
	h[0x211] = d->loadflags ? d->loadflags : 1;
	le32_store(h + 0x22c, 0x7fffffff);
	le32_store(h + 0x230, 0x200000);
	h[0x234] = !d->fixed;
	le16_store(h + 0x236, d->no_entry64 ? 0 : 1);
	le32_store(h + 0x238, d->cmdline ? d->cmdline : 2047);
	le32_store(h + 0x248, 0x300);
	le32_store(h + 0x24c, (uint32_t)packed.n);
	le64_store(h + 0x258, d->pref);
	le32_store(h + 0x260, d->init_size);
	memset(blob_grow(&b, 0x300), 0x90, 0x300);
	blob_add(&b, packed.p, packed.n);
	blob_pad_to(&b, 1024 + ALIGN_UP(0x300 + packed.n, 16u));
	blob_free(&packed);
	return b;
}

#endif
