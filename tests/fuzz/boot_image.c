/*
 * Kernel files: recognising them, and unpacking what they say is packed.  A file that is accepted
 * must have described itself within its own bounds.
 */
#include "base/sys.h"
#include "boot/recognise.h"
#include "fuzz.h"

#define OUT_MAX KIB(256)

static void check_segments(const struct elf *elf)
{
	BUG_ON(elf->n_segs > ELF_SEGMENTS_MAX);
	for (unsigned i = 0; i < elf->n_segs; i++) {
		const struct elf_segment *s = &elf->seg[i];

		BUG_ON(s->mem_len < s->len || s->mem_len == 0);
		BUG_ON(s->addr + s->mem_len < s->addr);
		BUG_ON(i > 0 && s->addr < elf->seg[i - 1].addr + elf->seg[i - 1].mem_len);
	}
}

static void check_image(const struct boot_image *img, uint64_t size)
{
	BUG_ON(img->what[0] == '\0');
	if (img->format == BOOT_FORMAT_BZIMAGE) {
		const struct boot_bzimage *bz = &img->bz;

		BUG_ON(bz->setup_header_len > sizeof(bz->setup_header));
		BUG_ON(!img->outer && (bz->pm_off > size || bz->pm_len > size - bz->pm_off));
		BUG_ON(!img->outer && bz->pack &&
		       (bz->payload_off > size || bz->payload_len > size - bz->payload_off));
	}
	if (img->format == BOOT_FORMAT_IMAGE || img->format == BOOT_FORMAT_ZBOOT) {
		const struct boot_arm64_image *a = &img->arm64;

		BUG_ON(img->mem_end < a->image_size || a->text_offset >= MIB(2));
		BUG_ON(a->pack &&
		       (a->payload_off > size || a->payload_len > size - a->payload_off));
	}
	if (img->format == BOOT_FORMAT_ELF64 || img->format == BOOT_FORMAT_ELF32)
		check_segments(&img->elf);
}

static void recognise(const struct boot_src *src, enum boot_arch arch)
{
	struct boot_image *img = sys_alloc(sizeof(*img));
	struct err e = ERR_INIT;

	BUG_ON(!img);
	img->arch = arch;
	if (boot_recognise(img, src, &e))
		BUG_ON(e.code >= 0 || e.msg[0] == '\0');
	else
		check_image(img, src->size);
	free(img);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	struct boot_src src = boot_src_mem(data, size);
	uint8_t *out = sys_alloc(OUT_MAX);
	enum pack pack = pack_recognise(data, size);
	struct err e = ERR_INIT;
	size_t n = 0;

	BUG_ON(!out);
	recognise(&src, BOOT_X86);
	recognise(&src, BOOT_ARM64);
	if (pack && !unpack(&src, 0, size, pack, out, OUT_MAX, &n, &e))
		BUG_ON(n > OUT_MAX);
	free(out);
	return 0;
}
