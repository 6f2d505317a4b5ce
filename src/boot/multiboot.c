/*
 * boot/multiboot.c - the multiboot 1 header [Multiboot Specification 0.6.96 §3.1].
 */
#include <errno.h>
#include <stdio.h>

#include "base/endian.h"
#include "boot/recognise.h"

#define MAGIC	   0x1badb002u
#define SEARCH	   8192u /* the header is in the first 8192 bytes, at a multiple of 4 */
#define F_KNOWN	   0x7u	 /* of the flags that must be understood, bits 15 to 0 */
#define F_ADDRESS  (1u << 16)
#define HEADER_MIN 12u
#define HEADER_MAX 32u

static bool find(const uint8_t *head, size_t n, uint32_t *off)
{
	for (size_t i = 0; i + HEADER_MIN <= MIN(n, SEARCH); i += 4) {
		if (le32_load(head + i) == MAGIC &&
		    MAGIC + le32_load(head + i + 4) + le32_load(head + i + 8) == 0) {
			*off = (uint32_t)i;
			return true;
		}
	}
	return false;
}

/* The address fields make one segment of the file, as the specification's §3.1.3 defines them. */
static int take_addresses(struct boot_image *img, const uint8_t *h, size_t n, uint64_t size,
			  struct err *e)
{
	struct boot_multiboot *mb = &img->mb;
	struct elf_segment *s = &img->elf.seg[0];
	uint64_t back, len;

	if (n < HEADER_MAX)
		return err_set(e, -EINVAL, "is a multiboot kernel that is cut short");
	mb->header_addr = le32_load(h + 12);
	mb->load_addr = le32_load(h + 16);
	mb->load_end_addr = le32_load(h + 20);
	mb->bss_end_addr = le32_load(h + 24);
	mb->entry_addr = le32_load(h + 28);
	back = (uint64_t)mb->header_addr - mb->load_addr;
	if (mb->header_addr < mb->load_addr || back > mb->header_off)
		return err_set(e, -EINVAL,
			       "is a multiboot kernel whose load address is not in the file");
	s->addr = mb->load_addr;
	s->off = mb->header_off - back;
	if (mb->load_end_addr)
		len = (uint64_t)mb->load_end_addr - mb->load_addr;
	else /* to the end of the file, which is not known yet if it is compressed */
		len = img->outer ? 0 : size - s->off;
	if (mb->load_end_addr && (mb->load_end_addr <= mb->load_addr || len > size - s->off))
		return err_set(e, -EINVAL,
			       "is a multiboot kernel that is cut short: it has %llu of %llu bytes",
			       (unsigned long long)size, (unsigned long long)(s->off + len));
	s->len = len;
	s->mem_len = len;
	if (mb->bss_end_addr > mb->load_addr)
		s->mem_len = MAX(len, (uint64_t)mb->bss_end_addr - mb->load_addr);
	img->elf.n_segs = 1;
	img->elf.entry = mb->entry_addr;
	img->elf.lowest = s->addr;
	img->elf.highest = s->addr + s->mem_len;
	return 0;
}

int boot_recognise_multiboot(struct boot_image *img, const uint8_t *head, size_t n, uint64_t size,
			     struct err *e)
{
	struct boot_multiboot *mb = &img->mb;
	bool is_elf = elf_is(head, n);
	int r = 0;

	if (!find(head, n, &mb->header_off))
		return 0;
	mb->flags = le32_load(head + mb->header_off + 4);
	if (mb->flags & 0xffff & ~F_KNOWN)
		return err_set(
			e, -EINVAL,
			"is a multiboot kernel that asks for features %#x, which are not known",
			mb->flags & 0xffff & ~F_KNOWN);
	if (mb->flags & F_ADDRESS) {
		img->elf = (struct elf){.machine = 3};
		r = take_addresses(img, head + mb->header_off, n - mb->header_off, size, e);
	} else if (!is_elf) {
		return 0; /* the magic by chance */
	} else if (img->elf.n_segs == 0) {
		r = elf_parse(&img->elf, head, MIN(n, ELF_HEAD_MAX), size, e);
		if (r)
			boot_err_about(e, "is a multiboot ELF file that");
	}
	if (!r && img->elf.entry > UINT32_MAX)
		r = err_set(e, -EINVAL, "is a multiboot kernel with its entry above 4 GiB");
	if (r)
		return r;
	img->format = BOOT_FORMAT_MULTIBOOT;
	img->mem_end = img->elf.highest;
	snprintf(img->what, sizeof(img->what), "multiboot kernel (%s)",
		 mb->flags & F_ADDRESS ? "flat, with address fields"
		 : img->elf.is64       ? "64-bit ELF"
				       : "32-bit ELF");
	return 1;
}
