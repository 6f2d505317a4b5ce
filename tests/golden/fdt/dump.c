/*
 * tests/golden/fdt/dump.c - writes device trees to files for dtc.
 *
 *	dump --list		names of the machines, and what they are
 *	dump NAME FILE		the device tree of one; "chosen" is the one with nothing but /chosen
 */
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "../boards.h"
#include "boot/fdt.h"

static void die(const char *what, const char *why)
{
	fprintf(stderr, "dump: %s: %s\n", what, why);
	exit(1);
}

static void write_file(const char *path, const struct fdt_blob *b)
{
	FILE *f = fopen(path, "wb");

	if (!f || fwrite(b->data, 1, b->len, f) != b->len || fclose(f))
		die(path, strerror(errno));
}

static int build(const char *name, struct fdt_blob *out, struct err *e)
{
	struct fdt_chosen c = {
		.cmdline = "console=ttyAMA0 quiet",
		.initrd = 0x48000000,
		.initrd_len = 0x123456,
		.kaslr_seed = 0x1122334455667788,
		.rng_seed = {1, 2, 3, 4, 5, 6, 7, 8},
		.rng_seed_len = 8,
	};

	for (unsigned i = 0; i < ARRAY_LEN(boards); i++)
		if (!strcmp(boards[i].name, name))
			return fdt_build_arm64(&boards[i].b, &c, out, e);
	if (strcmp(name, "chosen") != 0)
		return err_set(e, -ENOENT, "no such machine");
	c.efi = (struct fdt_efi){.system_table = 0x5ffe0200,
				 .mmap = 0x5fff0140,
				 .mmap_len = 120,
				 .desc_len = 40,
				 .desc_version = 1};
	return fdt_build_chosen(&c, out, e);
}

int main(int argc, char **argv)
{
	struct err e = ERR_INIT;
	struct fdt_blob b;

	if (argc == 2 && !strcmp(argv[1], "--list")) {
		for (unsigned i = 0; i < ARRAY_LEN(boards); i++)
			printf("%s\t%s\n", boards[i].name, boards[i].what);
		printf("chosen\tnothing but /chosen, for ACPI\n");
		return 0;
	}
	if (argc != 3)
		die("usage", "dump --list | dump NAME FILE");
	if (build(argv[1], &b, &e))
		die(argv[1], e.msg);
	write_file(argv[2], &b);
	fdt_blob_exit(&b);
	return 0;
}
