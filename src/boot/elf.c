/*
 * boot/elf.c - ELF headers [System V gABI, chapters 4 and 5], read with bounds.
 */
#include "boot/elf.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/endian.h"
#include "base/sys.h"

#define EI_CLASS 4
#define EI_DATA	 5
#define ET_REL	 1
#define ET_CORE	 4

#define PT_LOAD	   1u
#define PT_DYNAMIC 2u
#define PT_INTERP  3u
#define PT_NOTE	   4u
#define PT_TLS	   7u

#define NOTE_PHYS32_ENTRY 18u
#define NOTES_MAX	  KIB(64) /* Linux has about 1 KiB of them */
#define ADDR_MAX	  (UINT64_C(1) << 46)
#define HIGH_HALF	  (UINT64_C(0xffff) << 48)

static const struct {
	uint16_t id;
	const char *name;
} machines[] = {
	{2, "SPARC"},	     {3, "i386"},	 {4, "m68k"},	     {8, "MIPS"},
	{15, "PA-RISC"},     {20, "PowerPC"},	 {21, "PowerPC 64"}, {22, "s390"},
	{40, "arm"},	     {42, "SuperH"},	 {43, "SPARC 64"},   {50, "IA-64"},
	{62, "x86-64"},	     {83, "AVR"},	 {92, "OpenRISC"},   {93, "ARC"},
	{94, "Xtensa"},	     {113, "Nios II"},	 {164, "Hexagon"},   {183, "arm64"},
	{189, "MicroBlaze"}, {195, "ARCv2"},	 {243, "RISC-V"},    {247, "BPF"},
	{252, "C-SKY"},	     {258, "LoongArch"}, {0x9026, "Alpha"},
};

/* A program header, the fields that both classes have. */
struct phdr {
	uint32_t type;
	uint64_t off, vaddr, paddr, len, mem_len;
};

bool elf_is(const uint8_t *head, size_t n)
{
	return n >= 20 && !memcmp(head, "\177ELF", 4);
}

const char *elf_machine_name(uint16_t machine, char *buf, size_t n)
{
	for (size_t i = 0; i < ARRAY_LEN(machines); i++) {
		if (machines[i].id == machine)
			return machines[i].name;
	}
	snprintf(buf, n, "machine %u", machine);
	return buf;
}

static struct phdr phdr_get(const uint8_t *p, bool is64)
{
	if (is64)
		return (struct phdr){
			.type = le32_load(p),
			.off = le64_load(p + 8),
			.vaddr = le64_load(p + 16),
			.paddr = le64_load(p + 24),
			.len = le64_load(p + 32),
			.mem_len = le64_load(p + 40),
		};
	return (struct phdr){
		.type = le32_load(p),
		.off = le32_load(p + 4),
		.vaddr = le32_load(p + 8),
		.paddr = le32_load(p + 12),
		.len = le32_load(p + 16),
		.mem_len = le32_load(p + 20),
	};
}

static int add_segment(struct elf *elf, const struct phdr *h, uint64_t size, struct err *e)
{
	struct elf_segment s = {h->paddr, h->off, h->len, h->mem_len};
	bool high = elf->machine == ELF_ARM64 && (h->paddr & HIGH_HALF) == HIGH_HALF;
	uint64_t file_end, mem_end, max = high ? ~HIGH_HALF : ADDR_MAX;
	unsigned i;

	if (high)
		s.addr &= ~HIGH_HALF;
	if (ADD_OVERFLOWS(h->off, h->len, &file_end) || file_end > size)
		return err_set(
			e, -EINVAL,
			"is cut short: a segment of %llu bytes at %llu is not in its %llu bytes",
			(unsigned long long)h->len, (unsigned long long)h->off,
			(unsigned long long)size);
	if (h->mem_len < h->len)
		return err_set(e, -EINVAL, "has a segment with more bytes than memory for them");
	if (ADD_OVERFLOWS(s.addr, h->mem_len, &mem_end) || mem_end > max)
		return err_set(e, -EINVAL, "has a segment at the impossible address %#llx",
			       (unsigned long long)h->paddr);
	if (elf->n_segs && high != elf->high)
		return err_set(e, -EINVAL, "has segments in both halves of the address space");
	elf->high = high;
	if (elf->n_segs == ELF_SEGMENTS_MAX)
		return err_set(e, -EINVAL, "has more than %d segments", ELF_SEGMENTS_MAX);
	for (i = elf->n_segs; i > 0 && elf->seg[i - 1].addr > s.addr; i--)
		elf->seg[i] = elf->seg[i - 1];
	elf->seg[i] = s;
	elf->n_segs++;
	elf->end = MAX(elf->end, file_end);
	return 0;
}

/*
 * The entry of some kernels is a virtual address: it then lies in no segment's physical range and
 * in one's virtual range.
 */
static gpa_t physical_entry(uint64_t entry, const uint8_t *table, unsigned n, size_t each,
			    bool is64)
{
	gpa_t translated = entry;

	for (unsigned i = 0; i < n; i++) {
		struct phdr h = phdr_get(table + i * each, is64);

		if (h.type != PT_LOAD)
			continue;
		if (entry - h.paddr < h.mem_len)
			return entry;
		if (entry - h.vaddr < h.mem_len)
			translated = entry - h.vaddr + h.paddr;
	}
	return translated;
}

static int add_header(struct elf *elf, const struct phdr *h, uint64_t size, struct err *e)
{
	switch (h->type) {
	case PT_LOAD: return h->mem_len ? add_segment(elf, h, size, e) : 0;
	case PT_NOTE:
		if (elf->n_notes < ARRAY_LEN(elf->note_off)) {
			elf->note_off[elf->n_notes] = h->off;
			elf->note_len[elf->n_notes++] = h->len;
		}
		return 0;
	case PT_DYNAMIC:
	case PT_INTERP:
	case PT_TLS: elf->program = true; return 0;
	default: return 0;
	}
}

static int check_segments(struct elf *elf, struct err *e)
{
	if (elf->n_segs == 0)
		return err_set(e, -EINVAL, "has nothing to load");
	for (unsigned i = 1; i < elf->n_segs; i++) {
		const struct elf_segment *a = &elf->seg[i - 1];

		if (a->addr + a->mem_len > elf->seg[i].addr)
			return err_set(e, -EINVAL, "has segments that overlap at %#llx",
				       (unsigned long long)elf->seg[i].addr);
	}
	elf->lowest = elf->seg[0].addr;
	elf->highest = elf->seg[elf->n_segs - 1].addr + elf->seg[elf->n_segs - 1].mem_len;
	return 0;
}

int elf_parse(struct elf *elf, const uint8_t *head, size_t n, uint64_t size, struct err *e)
{
	uint64_t entry, phoff, shoff;
	const uint8_t *tail; /* the fields behind e_flags, the same in both classes */
	unsigned each, count;
	size_t min;
	int r = 0;

	*elf = (struct elf){0};
	if (!elf_is(head, n) || n < 64)
		return err_set(e, -EINVAL, "is cut short: not even the ELF header is there");
	if ((head[EI_CLASS] != 1 && head[EI_CLASS] != 2) || head[EI_DATA] != 1)
		return err_set(e, -EINVAL, "is an ELF file of an unknown class or byte order");
	elf->is64 = head[EI_CLASS] == 2;
	elf->type = le16_load(head + 16);
	elf->machine = le16_load(head + 18);
	entry = elf->is64 ? le64_load(head + 24) : le32_load(head + 24);
	phoff = elf->is64 ? le64_load(head + 32) : le32_load(head + 28);
	shoff = elf->is64 ? le64_load(head + 40) : le32_load(head + 32);
	tail = head + (elf->is64 ? 54 : 42);
	each = le16_load(tail);
	count = le16_load(tail + 2);
	min = elf->is64 ? 56 : 32;
	if (count == 0)
		return err_set(e, -EINVAL, "has nothing to load: no program headers");
	if (each < min || phoff > n || (uint64_t)each * count > n - phoff)
		return err_set(e, -EINVAL, "has no program headers in its first %zu bytes", n);
	for (unsigned i = 0; i < count && !r; i++) {
		struct phdr h = phdr_get(head + phoff + (size_t)i * each, elf->is64);

		r = add_header(elf, &h, size, e);
	}
	if (!r)
		r = check_segments(elf, e);
	if (r)
		return r;
	elf->entry = physical_entry(entry, head + phoff, count, each, elf->is64);
	if (elf->high)
		elf->entry &= ~HIGH_HALF;
	if (shoff && shoff < size) {
		uint64_t sections = (uint64_t)le16_load(tail + 4) * le16_load(tail + 6);

		elf->end = MIN(MAX(elf->end, shoff + sections), size);
	}
	return 0;
}

/* The descriptor of the note that is wanted, 4 or 8 bytes, or 0.  Names and data are padded to 4.
 */
static gpa_t search_notes(const uint8_t *p, size_t n)
{
	size_t pos = 0;

	while (n - pos >= 12) {
		uint64_t name_len = le32_load(p + pos), len = le32_load(p + pos + 4);
		uint32_t type = le32_load(p + pos + 8);
		uint64_t name = pos + 12, data = name + ALIGN_UP(name_len, UINT64_C(4));

		if (data > n || len > n - data)
			break;
		if (type == NOTE_PHYS32_ENTRY && name_len == 4 && !memcmp(p + name, "Xen", 4)) {
			if (len >= 8)
				return le64_load(p + data);
			return len >= 4 ? le32_load(p + data) : 0;
		}
		pos = (size_t)MIN(data + ALIGN_UP(len, UINT64_C(4)), (uint64_t)n);
	}
	return 0;
}

int elf_find_pvh(const struct elf *elf, const struct boot_src *src, gpa_t *entry, struct err *e)
{
	*entry = 0;
	for (unsigned i = 0; i < elf->n_notes && !*entry; i++) {
		size_t n = (size_t)MIN(elf->note_len[i], NOTES_MAX);
		uint8_t *buf;
		int r;

		if (n == 0)
			continue;
		buf = sys_alloc(n);
		if (!buf)
			return err_nomem(e, n, "ELF notes");
		r = boot_src_read(src, elf->note_off[i], buf, n, e);
		if (!r)
			*entry = search_notes(buf, n);
		free(buf);
		if (r)
			return r;
	}
	return 0;
}
