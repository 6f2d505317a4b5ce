/*
 * boot/elf.h - the parts of an ELF file that a loader needs, 32- and 64-bit, little-endian.
 */
#ifndef LODGE_BOOT_ELF_H
#define LODGE_BOOT_ELF_H

#include "boot/file.h"
#include "core/mem.h"

#define ELF_SEGMENTS_MAX 64
#define ELF_ARM64	 183

/* One PT_LOAD, by its physical address. */
struct elf_segment {
	gpa_t addr;
	uint64_t off, len; /* in the file */
	uint64_t mem_len;  /* >= len; the rest is zeroed */
};

struct elf {
	bool is64;
	uint16_t machine, type;
	gpa_t entry; /* as in the header, turned into a physical address if it is a virtual one */
	struct elf_segment
		seg[ELF_SEGMENTS_MAX]; /* ascending addresses, none overlap, none empty */
	unsigned n_segs;
	uint64_t note_off[4], note_len[4]; /* PT_NOTE */
	unsigned n_notes;
	uint64_t end;	       /* file offset behind the last segment and the section headers */
	gpa_t lowest, highest; /* of the segments: first byte, byte behind the last */
	/* arm64: the physical addresses are virtual ones of the upper half, which means nowhere in
	 * particular; entry and addresses are their lower 48 bits. */
	bool high;
	bool program; /* it is meant for an operating system: has PT_INTERP, PT_DYNAMIC or PT_TLS */
};

/* Bytes from the start of a file that elf_parse can use. */
#define ELF_HEAD_MAX 8192u

/* True if @head begins as an ELF file does. */
bool elf_is(const uint8_t *head, size_t n);
/* "arm64", "RISC-V", …, or "machine 0x1234". Returns @buf or a constant. */
const char *elf_machine_name(uint16_t machine, char *buf, size_t n);

/*
 * Parses header and program headers out of @head, the first @n bytes of a file of @size bytes.
 * -EINVAL with a message without the file's name.
 */
int elf_parse(struct elf *elf, const uint8_t *head, size_t n, uint64_t size,
	      struct err *e) MUST_CHECK;

/*
 * The entry that a PVH note names [Xen XEN_ELFNOTE_PHYS32_ENTRY]; *@entry is 0 if there is none.
 */
int elf_find_pvh(const struct elf *elf, const struct boot_src *src, gpa_t *entry,
		 struct err *e) MUST_CHECK;

#endif
