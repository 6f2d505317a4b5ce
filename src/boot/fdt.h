/*
 * boot/fdt.h - device trees [Devicetree Specification 0.4]: made from a description of the machine,
 * made for ACPI with only /chosen in them, or taken from the user and completed.
 *
 * Whatever its origin, a tree gets the same /chosen node at every start: command line, initrd,
 * console, seeds.  Pure functions on buffers; the blob is written by libfdt.
 */
#ifndef LODGE_BOOT_FDT_H
#define LODGE_BOOT_FDT_H

#include "boot/arm64/board.h"

/* Linux maps no more of it [Documentation/arch/arm64/booting.rst]. */
#define FDT_BLOB_MAX MIB(2)

struct fdt_blob {
	void *data; /* owned; NULL: none */
	size_t len;
};

void fdt_blob_exit(struct fdt_blob *b);

/* Where the EFI tables are, for linux,uefi-*; mmap_len 0: there are none. */
struct fdt_efi {
	uint64_t system_table;
	uint64_t mmap;
	uint32_t mmap_len, desc_len, desc_version;
};

#define FDT_SEED_MAX 64

struct fdt_chosen {
	const char *cmdline; /* NULL: empty */
	uint64_t initrd, initrd_len;
	const char *stdout_path; /* NULL: the board's UART, if the tree is made from a board */
	uint64_t kaslr_seed;	 /* 0: none */
	uint8_t rng_seed[FDT_SEED_MAX];
	unsigned rng_seed_len; /* 0: none */
	struct fdt_efi efi;
};

/*
 * A whole tree.  On success the caller owns @out.  -EINVAL, -E2BIG or -ENOMEM with a message.
 */
int fdt_build_arm64(const struct arm64_board *b, const struct fdt_chosen *c, struct fdt_blob *out,
		    struct err *e) MUST_CHECK;
/* A tree with nothing but /chosen: what tells Linux to look for ACPI. */
int fdt_build_chosen(const struct fdt_chosen *c, struct fdt_blob *out, struct err *e) MUST_CHECK;

/*
 * A tree that the user gives (--dtb), hostile until checked: format, bounds of every node and
 * property, cell counts of the root.  Errors are "PATH: why".
 */
int fdt_open(const char *path, struct fdt_blob *out, struct err *e) MUST_CHECK;
/* The same checks for @len bytes in memory; the message has no file name in front. */
int fdt_check(const void *data, size_t len, struct err *e) MUST_CHECK;

/*
 * A copy of checked tree @in with its memory nodes and /chosen replaced.  Other properties of
 * /chosen stay.  -EINVAL if an address does not fit its cells, -E2BIG, -ENOMEM.
 */
int fdt_patch(const struct fdt_blob *in, const struct acpi_node_memory *memory, unsigned n_memory,
	      const struct fdt_chosen *c, struct fdt_blob *out, struct err *e) MUST_CHECK;

#endif
