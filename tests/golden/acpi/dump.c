/*
 * tests/golden/acpi/dump.c - writes firmware tables to files for iasl and dmidecode.
 *
 *	dump --list			names of the configurations
 *	dump NAME DIR			DIR/SIGNATURE.dat for each ACPI table, and DIR/RSDP.bin
 *	dump --smbios DIR		DIR/smbios-SIZE.dump, each for dmidecode --from-dump
 */
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "boot/acpi/arm64.h"
#include "boot/smbios.h"

#include "../boards.h"
#include "configs.h"

/* In a dump the table stands behind the entry point, at the next multiple of 16. */
#define SMBIOS_TABLE_OFF 32

static void die(const char *what, const char *why)
{
	fprintf(stderr, "dump: %s: %s\n", what, why);
	exit(1);
}

static void write_file(const char *dir, const char *name, const void *p, size_t n, const void *p2,
		       size_t n2)
{
	char path[4096];
	FILE *f;

	snprintf(path, sizeof(path), "%s/%s", dir, name);
	f = fopen(path, "wb");
	if (!f)
		die(path, strerror(errno));
	if (fwrite(p, 1, n, f) != n || (n2 && fwrite(p2, 1, n2, f) != n2) || fclose(f))
		die(path, strerror(errno));
}

static void dump_acpi(struct acpi_image *img, const char *dir)
{
	for (unsigned i = 0; i < img->n_tables; i++) {
		char name[16];

		snprintf(name, sizeof(name), "%s.dat", img->table[i].sig);
		write_file(dir, name, img->tables.s + img->table[i].off, img->table[i].len, NULL,
			   0);
	}
	write_file(dir, "RSDP.bin", img->rsdp, sizeof(img->rsdp), NULL, 0);
	acpi_image_exit(img);
}

/* The tables of the machine with that name. */
static void build(const char *name, struct acpi_image *img)
{
	struct err e = ERR_INIT;
	int r = -ENOENT;

	for (unsigned i = 0; i < ARRAY_LEN(configs); i++)
		if (!strcmp(configs[i].name, name))
			r = acpi_x86_build(&configs[i].d, CONFIG_BASE, img, &e);
	for (unsigned i = 0; i < ARRAY_LEN(boards); i++)
		if (!strcmp(boards[i].name, name))
			r = acpi_arm64_build(&boards[i].b, CONFIG_BASE, img, &e);
	if (r)
		die(name, r == -ENOENT ? "no such configuration" : e.msg);
}

static void dump_smbios_one(const struct smbios *s, const char *dir, const char *name)
{
	uint8_t head[SMBIOS_TABLE_OFF] = {0};
	struct smbios_image img;
	struct err e = ERR_INIT;

	if (smbios_build(s, SMBIOS_TABLE_OFF, &img, &e))
		die(name, e.msg);
	memcpy(head, img.entry, sizeof(img.entry));
	write_file(dir, name, head, sizeof(head), img.table.s, img.table.len);
	smbios_image_exit(&img);
}

static void dump_smbios(const char *dir)
{
	static const uint64_t small_dimm[] = {256ull << 20};
	static const struct smbios_range small_range[] = {{0, 640 << 10}, {1 << 20, 255ull << 20}};
	static const uint64_t large_dimm[] = {6ull << 40, 48ull << 30};
	static const struct smbios_range large_range[] = {
		{0, 3ull << 30}, {4ull << 30, (6ull << 40) + (45ull << 30)}};
	struct smbios small = {.bios_version = "1.0",
			       .sockets = 1,
			       .cores = 1,
			       .threads = 1,
			       .dimm = small_dimm,
			       .n_dimms = 1,
			       .range = small_range,
			       .n_ranges = 2};
	struct smbios large = {.bios_vendor = "Vendor",
			       .bios_version = "1.0",
			       .bios_date = "11/30/2026",
			       .manufacturer = "Maker",
			       .product = "Product",
			       .version = "7",
			       .serial = "S-1",
			       .sku = "SKU",
			       .family = "Family",
			       .sockets = 2,
			       .cores = 300,
			       .threads = 2,
			       .cpu_vendor = "GenuineIntel",
			       .cpu_name = "A CPU @ 2.00GHz",
			       .cpu_id = 0x0f8bfbff00050654,
			       .cpu_mhz = 2000,
			       .dimm = large_dimm,
			       .n_dimms = 2,
			       .range = large_range,
			       .n_ranges = 2};

	if (uuid_parse("123e4567-e89b-12d3-a456-426614174000", large.uuid, NULL))
		die("uuid", "not parsed");
	dump_smbios_one(&small, dir, "smbios-small.dump");
	dump_smbios_one(&large, dir, "smbios-large.dump");
}

int main(int argc, char **argv)
{
	struct acpi_image img;

	if (argc == 2 && !strcmp(argv[1], "--list")) {
		for (unsigned i = 0; i < ARRAY_LEN(configs); i++)
			printf("%s\t%s\n", configs[i].name, configs[i].what);
		for (unsigned i = 0; i < ARRAY_LEN(boards); i++)
			printf("%s\t%s\n", boards[i].name, boards[i].what);
		return 0;
	}
	if (argc != 3)
		die("usage", "dump --list | dump NAME DIR | dump --smbios DIR");
	if (!strcmp(argv[1], "--smbios")) {
		dump_smbios(argv[2]);
		return 0;
	}
	build(argv[1], &img);
	dump_acpi(&img, argv[2]);
	return 0;
}
