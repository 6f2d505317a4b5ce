/*
 * boot/boot.h - from files to a loaded guest: what the kernel file is, where its parts go, and how
 * the first vCPU starts.
 *
 * A boot image is recognised by content, never by name.  Opening it (boot/kernel.h) reads only its
 * headers; loading it (boot/x86/load.h, boot/arm64/load.h) is separate and is done again at each
 * reset, from the same open file, so that between two loads nothing but this struct stays in
 * memory.
 */
#ifndef LODGE_BOOT_BOOT_H
#define LODGE_BOOT_BOOT_H

#include "boot/elf.h"
#include "boot/file.h"
#include "boot/unpack.h"
#include "core/mem.h"

/* The machine that the kernel is to start on; every other kernel is refused, by name. */
enum boot_arch { BOOT_X86, BOOT_ARM64 };

enum boot_format {
	BOOT_FORMAT_BZIMAGE,   /* Linux x86 boot protocol ≥ 2.06 (Documentation/x86/boot.rst) */
	BOOT_FORMAT_ELF64,     /* vmlinux; x86-64: with or without a PVH note */
	BOOT_FORMAT_ELF32,     /* i386 ELF with a PVH note */
	BOOT_FORMAT_MULTIBOOT, /* multiboot 1, ELF or with address fields */
	BOOT_FORMAT_RAW,       /* flat binary; only by boot_image_open_raw */
	BOOT_FORMAT_IMAGE,     /* Linux arm64 Image (Documentation/arch/arm64/booting.rst) */
	BOOT_FORMAT_ZBOOT,     /* an Image in an EFI program that unpacks it */
};

/* Which way into the kernel the user asks for. */
enum boot_how {
	BOOT_AUTO,  /* unpack bzImages ourselves and enter the kernel directly */
	BOOT_PVH,   /* PVH entry, or an error if the kernel has none */
	BOOT_LINUX, /* Linux's 64-bit entry */
	BOOT_SETUP, /* the kernel's own decompressor */
};

/* What the bzImage's setup header says; numbers are checked against the file's size. */
struct boot_bzimage {
	uint16_t version;	   /* boot protocol, 0x020f is 2.15 */
	uint8_t setup_header[159]; /* bytes from 0x1f1 of the file, for the zero page */
	unsigned setup_header_len;
	uint64_t pm_off, pm_len; /* protected-mode part: file offset, bytes */
	enum pack pack;		 /* of the payload; PACK_NONE: none that can be entered directly */
	uint64_t payload_off, payload_len; /* file offset, bytes of the packed stream alone */
	uint64_t unpacked_len;		   /* bytes it says it unpacks to */
	gpa_t pref_address;		   /* where it likes to be loaded */
	uint32_t init_size;		   /* bytes it needs there before it knows the memory map */
	uint32_t alignment;		   /* power of two */
	bool relocatable, entry64;	   /* xloadflags: has a 64-bit entry */
};

/* Multiboot 1 header [Multiboot 0.6.96 §3.1]. */
struct boot_multiboot {
	uint32_t flags;
	uint32_t header_off; /* file offset of the header */
	/* Address fields; used if flags has bit 16. */
	uint32_t header_addr, load_addr, load_end_addr, bss_end_addr, entry_addr;
};

/*
 * The header of an arm64 Image, numbers checked: of the file itself, of what a zboot image holds,
 * or of the first segment of a vmlinux, if there is one.
 */
struct boot_arm64_image {
	uint64_t text_offset; /* from a multiple of 2 MiB */
	uint64_t image_size;  /* bytes it needs there, bss included; 0 before Linux 3.17 */
	unsigned page_kib;    /* 4, 16 or 64: needs a CPU with pages of that size; 0: not said */
	/* BOOT_FORMAT_ZBOOT: the packed Image */
	uint64_t payload_off, payload_len;
	enum pack pack;
};

struct boot_image {
	enum boot_arch arch;
	enum boot_format format;
	char what[160]; /* for messages and `lodge info`: "Linux 6.1.0-… bzImage, lz4, relocatable"
			 */
	struct boot_file file;
	enum pack outer; /* compression around the whole file */
	struct elf elf;	 /* ELF formats, and what is inside a bzImage (bz.pack not PACK_NONE) */
	/* 32-bit entry that a PVH note names, or 0.  Known only where the note can be read without
	 * unpacking the kernel: pvh_unknown otherwise. */
	gpa_t pvh_entry;
	bool pvh_unknown;
	struct boot_bzimage bz;
	struct boot_multiboot mb;
	struct boot_arm64_image arm64;
	gpa_t raw_addr;
	/* End of what the kernel needs at its load address, bss included.  Of an arm64 kernel that
	 * goes wherever RAM is: counted from there. */
	gpa_t mem_end;
	uint32_t cmdline_max; /* longest command line, without its NUL */
	uint64_t initrd_max;  /* highest address that an initrd may occupy */
};

#endif
