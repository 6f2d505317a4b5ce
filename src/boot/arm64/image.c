/*
 * boot/arm64/image.c - what an arm64 kernel file is: a Linux Image, an EFI zboot image around one,
 * or an ELF file.
 *
 * An Image [Linux Documentation/arch/arm64/booting.rst] is the kernel as it lies in memory, behind
 * a header of 64 bytes that is also its first instructions.  The header does not say how long the
 * file is; for a kernel with an EFI stub, which makes it a PE file, the section headers do.
 *
 * A zboot image [Linux drivers/firmware/efi/libstub/zboot-header.S] is an EFI program that unpacks
 * an Image; where it lies in the file and how it is packed is at fixed places.
 *
 * A vmlinux is linked to virtual addresses and says that its physical ones are the same.  It is an
 * Image with gaps: its first segment begins with the header, and it goes where an Image goes.
 */
#include <errno.h>
#include <stdio.h>
#include <string.h>

#include "base/endian.h"
#include "boot/recognise.h"

#define H_TEXT_OFFSET 8
#define H_IMAGE_SIZE  16
#define H_FLAGS	      24
#define H_MAGIC	      56
#define H_PE	      60
#define H_LEN	      64u
#define MAGIC	      "ARM\x64"

#define FLAG_BIG_ENDIAN 1u
#define FLAG_PAGE_SHIFT 1
#define OLD_TEXT_OFFSET 0x80000u
#define OLD_BSS		MIB(16) /* more than any kernel before 3.17 had */
#define TEXT_OFFSET_MAX MIB(2)
#define IMAGE_SIZE_MAX	GIB(1)

#define PE_MACHINE	 4
#define PE_SECTIONS	 6
#define PE_OPTIONAL_LEN	 20
#define PE_HEAD_LEN	 24u
#define PE_SECTION_LEN	 40u
#define PE_MACHINE_ARM64 0xaa64
#define PE_SECTIONS_MAX	 16

#define Z_MAGIC	      "MZ\0\0zimg"
#define Z_PAYLOAD     8
#define Z_PAYLOAD_LEN 12
#define Z_TYPE	      24
#define Z_TYPE_LEN    32

#define ELF_TYPE    16
#define ELF_MACHINE 18
#define ET_EXEC	    2
#define ET_DYN	    3

/* The command line that Linux has room for (COMMAND_LINE_SIZE), without its NUL. */
#define CMDLINE_MAX 2047u

static bool is_image(const uint8_t *p, size_t n)
{
	return n >= H_PE && !memcmp(p + H_MAGIC, MAGIC, 4);
}

/* The PE header at the offset in the header's word at 60; NULL if it is not in @head. */
static const uint8_t *pe_header(const uint8_t *head, size_t n)
{
	uint32_t pe;

	if (n < H_LEN || memcmp(head, "MZ", 2) != 0)
		return NULL;
	pe = le32_load(head + H_PE);
	if (pe > n || n - pe < PE_HEAD_LEN || memcmp(head + pe, "PE\0\0", 4) != 0)
		return NULL;
	return head + pe;
}

/* How long the file must be so that all sections are in it; 0: it does not say. */
static uint64_t pe_file_len(const uint8_t *head, size_t n)
{
	const uint8_t *pe = pe_header(head, n), *s;
	unsigned sections;
	uint64_t len = 0;

	if (!pe)
		return 0;
	sections = le16_load(pe + PE_SECTIONS);
	s = pe + PE_HEAD_LEN + le16_load(pe + PE_OPTIONAL_LEN);
	if (sections > PE_SECTIONS_MAX ||
	    (uint64_t)(s - head) + (uint64_t)sections * PE_SECTION_LEN > n)
		return 0;
	for (; sections; sections--, s += PE_SECTION_LEN)
		len = MAX(len, (uint64_t)le32_load(s + 16) + le32_load(s + 20));
	return len;
}

/* Fills in img->arm64 from a header of which 64 bytes are there. */
static int take_header(struct boot_image *img, const uint8_t *h, struct err *e)
{
	static const unsigned page_kib[] = {0, 4, 16, 64};
	uint64_t flags = le64_load(h + H_FLAGS);
	struct boot_arm64_image *a = &img->arm64;

	if (flags & FLAG_BIG_ENDIAN)
		return err_set(e, -EINVAL,
			       "is a big-endian arm64 kernel; this machine is little-endian");
	a->text_offset = le64_load(h + H_TEXT_OFFSET);
	a->image_size = le64_load(h + H_IMAGE_SIZE);
	a->page_kib = page_kib[flags >> FLAG_PAGE_SHIFT & 3];
	if (!a->image_size)
		a->text_offset = OLD_TEXT_OFFSET;
	if (a->text_offset >= TEXT_OFFSET_MAX || a->text_offset % KIB(4) ||
	    a->image_size > IMAGE_SIZE_MAX || (a->image_size && a->image_size < H_LEN))
		return err_set(
			e, -EINVAL,
			"is an arm64 Linux Image with a damaged header: %llu bytes at offset "
			"%#llx",
			(unsigned long long)a->image_size, (unsigned long long)a->text_offset);
	return 0;
}

/* The rest of the sentence in brackets: "Image", "Image, 4 KiB pages". */
static void describe(struct boot_image *img, const char *format)
{
	unsigned kib = img->arm64.page_kib;
	char pages[24] = "";

	if (kib)
		snprintf(pages, sizeof(pages), ", %u KiB pages", kib);
	snprintf(img->what, sizeof(img->what), "arm64 Linux kernel (%s%s)", format, pages);
}

/* @size is that of the file, or the most that it can be if it is packed. */
static int recognise_image(struct boot_image *img, const uint8_t *head, size_t n, uint64_t size,
			   struct err *e)
{
	uint64_t need;
	int r;

	if (n < H_LEN)
		return err_set(e, -EINVAL,
			       "is an arm64 Linux Image that is cut short: not even its header is "
			       "there");
	r = take_header(img, head, e);
	if (r)
		return r;
	need = pe_file_len(head, n);
	if (need > size)
		return err_set(
			e, -EINVAL,
			"is an arm64 Linux Image that is cut short: it has %llu of %llu bytes",
			(unsigned long long)size, (unsigned long long)need);
	img->format = BOOT_FORMAT_IMAGE;
	/* An old kernel that is packed: nothing but unpacking it tells how long it is. */
	img->mem_end =
		img->arm64.text_offset +
		(img->arm64.image_size ? img->arm64.image_size : MIN(size, MIB(64)) + OLD_BSS);
	describe(img, "Image");
	return 1;
}

static int damaged_zboot(struct err *e, const char *why)
{
	return err_set(e, -EINVAL, "is an EFI zboot image that is damaged: %s", why);
}

static int recognise_zboot(struct boot_image *img, const uint8_t *head, size_t n, uint64_t size,
			   const struct boot_src *src, struct err *e)
{
	const uint8_t *pe = pe_header(head, n);
	struct boot_arm64_image *a = &img->arm64;
	char type[Z_TYPE_LEN + 1] = "", format[48];
	uint8_t start[H_LEN];
	size_t got;
	int r;

	if (n < H_LEN || !pe)
		return damaged_zboot(e, "its header is not all there");
	if (le16_load(pe + PE_MACHINE) != PE_MACHINE_ARM64)
		return 0;
	if (!src)
		return err_set(e, -EINVAL, "is compressed twice (EFI zboot inside %s); %s",
			       pack_name(img->outer), boot_accepted(BOOT_ARM64));
	a->payload_off = le32_load(head + Z_PAYLOAD);
	a->payload_len = le32_load(head + Z_PAYLOAD_LEN);
	memcpy(type, head + Z_TYPE, Z_TYPE_LEN);
	if (a->payload_off + a->payload_len > size)
		return err_set(e, -EINVAL,
			       "is an EFI zboot image that is cut short: it has %llu of %llu bytes",
			       (unsigned long long)size,
			       (unsigned long long)(a->payload_off + a->payload_len));
	if (a->payload_len < sizeof(start))
		return damaged_zboot(e, "nothing is packed in it");
	r = boot_src_read(src, a->payload_off, start, sizeof(start), e);
	if (r)
		return r;
	a->pack = pack_recognise(start, sizeof(start));
	if (!a->pack)
		return err_set(e, -EINVAL,
			       "is an EFI zboot image that is packed in a way nobody knows here "
			       "(\"%.8s\")",
			       type[0] >= ' ' && type[0] < 0x7f ? type : "?");
	r = unpack_head(src, a->payload_off, a->payload_len, a->pack, start, sizeof(start), &got,
			e);
	if (r)
		return err_prefix(e, "is an EFI zboot image that is damaged");
	if (got < H_LEN || !is_image(start, got))
		return damaged_zboot(e, "it does not hold an arm64 Linux Image");
	r = take_header(img, start, e);
	if (r)
		return r;
	if (!a->image_size)
		return damaged_zboot(e, "the Image in it does not say how large it is");
	img->format = BOOT_FORMAT_ZBOOT;
	img->mem_end = a->text_offset + a->image_size;
	snprintf(format, sizeof(format), "EFI zboot, %s", pack_name(a->pack));
	describe(img, format);
	return 1;
}

/* A vmlinux has an Image's header at its beginning; other kernels have none. */
static int take_elf_header(struct boot_image *img, const uint8_t *head, size_t n,
			   const struct boot_src *src, struct err *e)
{
	const struct elf_segment *s = &img->elf.seg[0];
	uint8_t h[H_LEN];
	int r;

	if (s->len < H_LEN)
		return 0;
	if (s->off <= n && n - s->off >= H_LEN) {
		memcpy(h, head + s->off, H_LEN);
	} else if (src) {
		r = boot_src_read(src, s->off, h, H_LEN, e);
		if (r)
			return r;
	} else {
		return 0;
	}
	return is_image(h, H_LEN) ? take_header(img, h, e) : 0;
}

static int recognise_elf(struct boot_image *img, const uint8_t *head, size_t n, uint64_t size,
			 const struct boot_src *src, struct err *e)
{
	const struct elf *elf = &img->elf;
	uint16_t type, machine;
	int r;

	if (head[5] == 2 && be16_load(head + ELF_MACHINE) == ELF_ARM64)
		return err_set(e, -EINVAL,
			       "is a big-endian arm64 kernel (ELF); this machine is little-endian");
	type = le16_load(head + ELF_TYPE);
	machine = le16_load(head + ELF_MACHINE);
	if (head[5] != 1 || machine != ELF_ARM64 || (type != ET_EXEC && type != ET_DYN))
		return 0;
	r = elf_parse(&img->elf, head, MIN(n, ELF_HEAD_MAX), size, e);
	if (r)
		return boot_err_about(e, "is an ELF file for arm64 that");
	if (elf->program || !elf->is64)
		return err_set(e, -EINVAL,
			       "is a program for an operating system (ELF), not a kernel; %s",
			       boot_accepted(BOOT_ARM64));
	if (elf->entry - elf->lowest >= elf->highest - elf->lowest)
		return err_set(e, -EINVAL, "is an ELF file for arm64 whose entry is not in it");
	r = take_elf_header(img, head, n, src, e);
	if (r)
		return r;
	if (elf->highest - elf->lowest > IMAGE_SIZE_MAX)
		return err_set(e, -EINVAL, "is an ELF file for arm64 whose segments are far apart");
	img->format = BOOT_FORMAT_ELF64;
	img->mem_end =
		elf->high ? elf->highest - elf->lowest + img->arm64.text_offset : elf->highest;
	describe(img, "ELF");
	return 1;
}

int boot_recognise_arm64(struct boot_image *img, const uint8_t *head, size_t n, uint64_t size,
			 const struct boot_src *src, struct err *e)
{
	img->cmdline_max = CMDLINE_MAX;
	img->initrd_max = UINT64_MAX;
	if (n >= 8 && !memcmp(head, Z_MAGIC, 8))
		return recognise_zboot(img, head, n, size, src, e);
	if (is_image(head, n))
		return recognise_image(img, head, n, size, e);
	if (elf_is(head, n))
		return recognise_elf(img, head, n, size, src, e);
	return 0;
}
