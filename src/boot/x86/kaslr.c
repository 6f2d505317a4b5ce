/*
 * boot/x86/kaslr.c - a relocatable Linux kernel at a random place.
 */
#include "boot/x86/kaslr.h"

#include <errno.h>

#include "base/endian.h"

/* __START_KERNEL_map: physical 0 in the kernel's link addresses. */
#define KERNEL_MAP UINT64_C(0xffffffff80000000)

enum kind { ADD64, SUB32, ADD32 };

bool kaslr_has_table(const struct elf *elf, uint64_t len)
{
	return elf->is64 && len >= elf->end + 12 && (len - elf->end) % 4 == 0;
}

/* The bytes of a link address, or NULL.  Tables go up through one segment after the other. */
static uint8_t *find(uint8_t *image, const struct elf *elf, unsigned *seg, uint64_t vaddr,
		     unsigned n)
{
	gpa_t addr = vaddr - KERNEL_MAP;

	for (unsigned i = 0; i < elf->n_segs; i++) {
		const struct elf_segment *s = &elf->seg[(*seg + i) % elf->n_segs];

		if (addr >= s->addr && addr - s->addr < s->len && s->len - (addr - s->addr) >= n) {
			*seg = (*seg + i) % elf->n_segs;
			return image + s->off + (addr - s->addr);
		}
	}
	return NULL;
}

static void change(uint8_t *p, enum kind kind, uint64_t delta)
{
	switch (kind) {
	case ADD64: le64_store(p, le64_load(p) + delta); break;
	case SUB32: le32_store(p, le32_load(p) - (uint32_t)delta); break;
	case ADD32: le32_store(p, le32_load(p) + (uint32_t)delta); break;
	}
}

static size_t count_zeros(const uint8_t *table, size_t words)
{
	size_t zeros = 0;

	for (size_t i = 0; i < words; i++)
		zeros += le32_load(table + 4 * i) == 0;
	return zeros;
}

int kaslr_relocate(uint8_t *image, size_t len, const struct elf *elf, uint64_t delta, struct err *e)
{
	static const enum kind three[] = {ADD64, SUB32, ADD32}, two[] = {ADD64, ADD32};
	const uint8_t *table = image + elf->end;
	const enum kind *kinds;
	size_t words, zeros;
	unsigned list = 0, seg = 0;

	if (!kaslr_has_table(elf, len))
		return err_set(e, -EINVAL, "has no relocation table");
	words = (len - elf->end) / 4;
	zeros = count_zeros(table, words);
	if ((zeros != 2 && zeros != 3) || le32_load(table) != 0)
		return err_set(e, -EINVAL, "has a damaged relocation table");
	kinds = zeros == 3 ? three : two;
	for (size_t i = 1; i < words; i++) {
		uint32_t word = le32_load(table + 4 * i);
		/* Sign-extended: link addresses are in the top 2 GiB. */
		uint64_t vaddr = (uint64_t)(int64_t)(int32_t)word;
		uint8_t *p;

		if (word == 0) {
			list++;
			BUG_ON(list >= zeros); /* they were counted above, in this very copy */
			continue;
		}
		p = find(image, elf, &seg, vaddr, kinds[list] == ADD64 ? 8 : 4);
		if (!p)
			return err_set(e, -EINVAL, "has a relocation outside the kernel, at %#llx",
				       (unsigned long long)vaddr);
		change(p, kinds[list], delta);
	}
	return 0;
}

/* One of the multiples of @align in [min, max - size]. */
static bool choose(uint64_t align, uint64_t size, uint64_t min, uint64_t max, uint64_t seed,
		   uint64_t *out)
{
	uint64_t first = ALIGN_UP(min, align);

	if (size > max || first > max - size)
		return false;
	*out = first + seed % ((max - size - first) / align + 1) * align;
	return true;
}

bool kaslr_choose(const struct kaslr_range *r, const uint64_t seed[2], gpa_t *phys, uint64_t *virt)
{
	return choose(r->align, r->size, r->min, r->max, seed[0], phys) &&
	       choose(r->align, r->size, r->virt_min, KASLR_VIRT_SIZE, seed[1], virt);
}
