/*
 * unit/boot_arm64_build.h - makes arm64 kernel files: an Image, an EFI zboot image, a vmlinux.
 */
#ifndef LODGE_UNIT_BOOT_ARM64_BUILD_H
#define LODGE_UNIT_BOOT_ARM64_BUILD_H

#include "unit.h"

#include "boot_build.h"

/* An Image of @len bytes, the fields of its header as said, a recognisable end. */
struct build_image {
	uint64_t text_offset, image_size, flags;
	size_t len;	     /* 0: 100000 */
	uint32_t pe_section; /* 0: no PE header; else where its only section ends */
	uint16_t pe_machine; /* 0: arm64 */
};

static inline void build_pe(struct blob *b, uint32_t pe, const struct build_image *d)
{
	memcpy(b->p, "MZ", 2);
	le32_store(b->p + 60, pe);
	memcpy(b->p + pe, "PE\0\0", 4);
	le16_store(b->p + pe + 4, d->pe_machine ? d->pe_machine : 0xaa64);
	le16_store(b->p + pe + 6, 1);
	le16_store(b->p + pe + 20, 0);
	le32_store(b->p + pe + 24 + 16, d->pe_section - 4096);
	le32_store(b->p + pe + 24 + 20, 4096);
}

static inline struct blob build_image(const struct build_image *d)
{
	struct blob b = blob_sample(d->len ? d->len : 100000);

	memset(b.p, 0, MIN(b.n, 256));
	if (b.n >= 64) {
		le64_store(b.p + 8, d->text_offset);
		le64_store(b.p + 16, d->image_size);
		le64_store(b.p + 24, d->flags);
		memcpy(b.p + 56, "ARM\x64", 4);
	}
	if (d->pe_section)
		build_pe(&b, 64, d);
	return b;
}

#define PLAIN (&(struct build_image){.image_size = 0x40000, .flags = 2})

static inline struct blob build_zboot(const struct blob *image, enum pack p, const char *type,
				      uint16_t machine)
{
	struct blob packed = pack_blob(image, p), b = {0};

	blob_grow(&b, 512);
	build_pe(&b, 64, &(struct build_image){.pe_section = 8192, .pe_machine = machine});
	memcpy(b.p, "MZ\0\0zimg", 8);
	le32_store(b.p + 8, 512);
	le32_store(b.p + 12, (uint32_t)packed.n);
	memcpy(b.p + 24, type, strlen(type));
	blob_add(&b, packed.p, packed.n);
	blob_free(&packed);
	return b;
}

static inline struct blob build_vmlinux(const struct blob *image)
{
	struct blob b = build_elf(&(struct build_elf){
		.machine = 183,
		.entry = 0xffff800008000000,
		.n_segs = 2,
		.seg = {{0xffff800008000000, 0xffff800008000000, 4096, 4096, 0x11},
			{0xffff800008010000, 0xffff800008010000, 100, 9000, 0x22}}});
	/* The first segment's data begins with the first 0x11s. */
	for (size_t i = 0; i + 4096 <= b.n; i++) {
		if (b.p[i] == 0x11 && b.p[i + 4095] == 0x11) {
			memcpy(b.p + i, image->p, 64);
			return b;
		}
	}
	abort();
}

#endif
