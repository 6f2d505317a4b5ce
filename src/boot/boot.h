/*
 * boot/boot.h - from files to a loaded guest: what the kernel file is, where its parts go, and how
 * the first vCPU starts.
 *
 * A boot image is recognised by content, never by name.  Recognising and unpacking make a struct
 * boot_image: a list of segments (guest-physical address, bytes) and an entry.  Loading it into
 * memory is separate and can be repeated, so that a guest's reboot starts from the same bytes.
 */
#ifndef LODGE_BOOT_BOOT_H
#define LODGE_BOOT_BOOT_H

#include "base/err.h"
#include "core/mem.h"

enum boot_format {
	BOOT_FORMAT_BZIMAGE,  /* Linux x86 boot protocol ≥ 2.06 (Documentation/x86/boot.rst) */
	BOOT_FORMAT_ELF64,    /* x86-64 vmlinux, with or without a PVH note */
	BOOT_FORMAT_ELF32,    /* i386 ELF with a PVH note */
	BOOT_FORMAT_MULTIBOOT,/* multiboot 1, ELF32 or with address fields */
	BOOT_FORMAT_RAW,      /* flat real-mode binary; only by --raw */
};

#define BOOT_SEGMENTS_MAX 64

struct boot_segment {
	gpa_t addr;
	const uint8_t *data; /* len bytes, NULL if len is 0 */
	uint64_t len;
	uint64_t mem_len; /* >= len; the rest is zeroed */
};

struct boot_image {
	enum boot_format format;
	char what[160]; /* for messages and `lodge info`: "Linux 6.1.0-… bzImage, lz4, relocatable" */
	struct boot_segment seg[BOOT_SEGMENTS_MAX];
	unsigned n_segs;
	gpa_t entry;	     /* 64-bit entry (ELF e_entry, physical) or real-mode address */
	gpa_t pvh_entry;     /* 32-bit PVH entry, or 0 */
	gpa_t setup_entry64; /* 64-bit entry of the kernel's own decompressor (--boot=setup), or 0 */
	gpa_t mem_end;	     /* end of what the kernel needs at its load address, bss and heap included */
	uint8_t setup_header[128]; /* bzImage: bytes from 0x1f1 of the file */
	unsigned setup_header_len;
	uint32_t cmdline_max; /* longest command line without its NUL; 0: unknown, 2047 is assumed */
	uint64_t initrd_max;  /* highest address an initrd may end at, inclusive */
	uint64_t min_memory;  /* bytes of RAM below which it cannot start, for messages */
	void *bufs[4];	      /* what the segments point into; owned */
	unsigned n_bufs;
};

#endif
