/*
 * boot/bzimage.c - the header of a Linux bzImage [Documentation/arch/x86/boot.rst].
 *
 * A bzImage is a real-mode part of (setup_sects + 1) sectors with the header at 0x1f1, and a
 * protected-mode part: a decompressor around the packed kernel ("payload"), which is an ELF file
 * and, for a kernel that can be moved, a relocation table behind it.  Every compression but gzip is
 * followed by the unpacked length in four bytes; gzip ends with that length by itself.
 */
#include <ctype.h>
#include <errno.h>
#include <stdio.h>
#include <string.h>

#include "base/endian.h"
#include "base/str.h"
#include "boot/recognise.h"

#define H_SETUP_SECTS	 0x1f1
#define H_SYSSIZE	 0x1f4
#define H_BOOT_FLAG	 0x1fe
#define H_JUMP_LEN	 0x201
#define H_MAGIC		 0x202
#define H_VERSION	 0x206
#define H_KERNEL_VERSION 0x20e
#define H_LOADFLAGS	 0x211
#define H_INITRD_MAX	 0x22c
#define H_ALIGNMENT	 0x230
#define H_RELOCATABLE	 0x234
#define H_XLOADFLAGS	 0x236
#define H_CMDLINE_SIZE	 0x238
#define H_PAYLOAD	 0x248
#define H_PAYLOAD_LEN	 0x24c
#define H_PREF_ADDRESS	 0x258
#define H_INIT_SIZE	 0x260
#define H_END		 0x290 /* of the place for the header in the zero page */

#define LOADED_HIGH   0x1u
#define XLF_KERNEL_64 0x1u

/* What syssize counts and what is in the file may differ by padding. */
#define PADDING 64u

/* The part of the version string that `uname -r` says. */
static void kernel_release(const struct boot_src *src, const uint8_t *head, size_t n, char *out,
			   size_t room)
{
	uint64_t off = (uint64_t)le16_load(head + H_KERNEL_VERSION) + 0x200;
	char text[64] = {0};
	struct err ignored;
	size_t len = 0;

	out[0] = 0;
	if (off == 0x200)
		return;
	if (off + sizeof(text) <= n)
		memcpy(text, head + off, sizeof(text) - 1);
	else if (!src || boot_src_read(src, off, text, sizeof(text) - 1, &ignored))
		return;
	while (isgraph((unsigned char)text[len]))
		len++;
	text[len] = 0;
	str_copy(out, room, text);
}

/* Field by field, as far as the protocol's version has them. */
static void take_fields(struct boot_image *img, const uint8_t *h)
{
	struct boot_bzimage *bz = &img->bz;
	unsigned v = bz->version;
	unsigned end = H_MAGIC + h[H_JUMP_LEN];

	bz->setup_header_len = MIN(end, H_END) - H_SETUP_SECTS;
	memcpy(bz->setup_header, h + H_SETUP_SECTS, bz->setup_header_len);
	bz->pm_off = (uint64_t)((h[H_SETUP_SECTS] ? h[H_SETUP_SECTS] : 4) + 1) * 512;
	bz->pm_len = (uint64_t)le32_load(h + H_SYSSIZE) * 16;
	img->cmdline_max = le32_load(h + H_CMDLINE_SIZE) ? le32_load(h + H_CMDLINE_SIZE) : 255;
	img->initrd_max = le32_load(h + H_INITRD_MAX);
	bz->alignment = le32_load(h + H_ALIGNMENT);
	bz->relocatable = h[H_RELOCATABLE];
	bz->pref_address = MIB(1);
	if (v >= 0x208) {
		bz->payload_off = le32_load(h + H_PAYLOAD) + bz->pm_off;
		bz->payload_len = le32_load(h + H_PAYLOAD_LEN);
	}
	if (v >= 0x20a) {
		bz->pref_address = le64_load(h + H_PREF_ADDRESS);
		bz->init_size = le32_load(h + H_INIT_SIZE);
	}
	if (v >= 0x20c)
		bz->entry64 = le16_load(h + H_XLOADFLAGS) & XLF_KERNEL_64;
}

static int check_fields(struct boot_image *img, uint64_t size, struct err *e)
{
	struct boot_bzimage *bz = &img->bz;
	uint64_t need = bz->pm_off + bz->pm_len;

	if (need > size + PADDING)
		return err_set(e, -EINVAL,
			       "is a Linux bzImage that is cut short: it has %llu of %llu bytes",
			       (unsigned long long)size, (unsigned long long)need);
	bz->pm_len = MIN(bz->pm_len, size - bz->pm_off);
	if (bz->alignment == 0)
		bz->alignment = MIB(2);
	if (bz->alignment & (bz->alignment - 1) || bz->alignment > GIB(1) || bz->pm_len == 0 ||
	    bz->pref_address < MIB(1) || bz->pref_address > GIB(64))
		return err_set(e, -EINVAL, "is a Linux bzImage with a damaged header");
	if (bz->payload_len && (bz->payload_off - bz->pm_off > bz->pm_len ||
				bz->payload_len > bz->pm_len - (bz->payload_off - bz->pm_off)))
		return err_set(
			e, -EINVAL,
			"is a Linux bzImage with a damaged header: its payload is not in the file");
	return 0;
}

/*
 * What is packed inside.  A payload that is not known to us is left to the kernel's own
 * decompressor; one that is known and damaged is an error.
 */
static int open_payload(struct boot_image *img, const struct boot_src *src, struct err *e)
{
	struct boot_bzimage *bz = &img->bz;
	uint64_t limit = bz->init_size ? MIN(bz->init_size, UNPACK_MAX) : UNPACK_MAX;
	uint8_t head[ELF_HEAD_MAX];
	enum pack p;
	size_t n;
	int r;

	if (bz->payload_len < 32)
		return 0;
	r = boot_src_read(src, bz->payload_off, head, 32, e);
	if (r)
		return r;
	p = pack_recognise(head, 32);
	if (p == PACK_NONE)
		return 0;
	r = boot_src_read(src, bz->payload_off + bz->payload_len - 4, head, 4, e);
	if (r)
		return r;
	bz->unpacked_len = le32_load(head);
	if (bz->unpacked_len > limit || bz->unpacked_len < 64)
		return err_set(
			e, -EINVAL,
			"is a Linux bzImage that is damaged: its kernel would unpack to %llu bytes",
			(unsigned long long)bz->unpacked_len);
	if (p != PACK_GZIP)
		bz->payload_len -= 4;
	r = unpack_head(src, bz->payload_off, bz->payload_len, p, head,
			(size_t)MIN(sizeof(head), bz->unpacked_len), &n, e);
	if (boot_err_is_content(r))
		err_prefix(e, "is a Linux bzImage that is damaged");
	if (r)
		return r;
	if (!elf_is(head, n))
		return 0;
	r = elf_parse(&img->elf, head, n, bz->unpacked_len, e);
	if (r)
		return boot_err_about(e, "is a Linux bzImage that is damaged: the kernel in it");
	if (img->elf.machine == 62 || img->elf.machine == 3)
		bz->pack = p;
	return 0;
}

static void describe(struct boot_image *img, const char *release)
{
	const struct boot_bzimage *bz = &img->bz;

	snprintf(img->what, sizeof(img->what), "Linux %s%s(bzImage, boot protocol %u.%02u%s%s%s%s)",
		 release, release[0] ? " " : "", bz->version >> 8, bz->version & 0xff,
		 bz->pack ? ", " : "", bz->pack ? pack_name(bz->pack) : "",
		 bz->entry64 || (bz->pack && img->elf.is64) ? "" : ", 32-bit",
		 bz->relocatable ? ", relocatable" : "");
}

int boot_recognise_bzimage(struct boot_image *img, const uint8_t *head, size_t n, uint64_t size,
			   const struct boot_src *src, struct err *e)
{
	struct boot_bzimage *bz = &img->bz;
	char release[48];
	int r;

	if (n < H_END || le16_load(head + H_BOOT_FLAG) != 0xaa55 ||
	    memcmp(head + H_MAGIC, "HdrS", 4) != 0)
		return 0;
	bz->version = le16_load(head + H_VERSION);
	if (bz->version < 0x206)
		return err_set(e, -EINVAL,
			       "is a Linux kernel of boot protocol %u.%02u; 2.06 (Linux 2.6.22) or "
			       "later is needed",
			       bz->version >> 8, bz->version & 0xff);
	if (!(head[H_LOADFLAGS] & LOADED_HIGH))
		return err_set(e, -EINVAL,
			       "is a Linux zImage, which loads below 1 MiB; a bzImage is needed");
	take_fields(img, head);
	r = check_fields(img, size, e);
	if (!r && src)
		r = open_payload(img, src, e);
	if (r)
		return r;
	img->format = BOOT_FORMAT_BZIMAGE;
	img->pvh_unknown = true;
	img->mem_end = bz->pref_address + MAX(bz->init_size, bz->pm_len);
	if (bz->pack)
		img->mem_end = MAX(img->mem_end, img->elf.highest);
	kernel_release(src, head, n, release, sizeof(release));
	describe(img, release);
	return 1;
}
