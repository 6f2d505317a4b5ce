/*
 * Loads an arm64 kernel into the memory of a VM without a CPU, and writes down what a CPU would
 *find.
 *
 *	place [-A] [-g 2|3] [-n 2] [-d DTB] [-a CMDLINE] -o FILE KERNEL [INITRD]...
 *
 * The machine is QEMU's virt with two CPUs and MEMORY bytes of RAM, of which the first 2 MiB are
 * left to QEMU.  FILE gets the rest; standard output gets "NAME VALUE" lines.
 */
#include <errno.h>
#include <getopt.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/sys.h"
#include "boot/arm64/load.h"
#include "core/arch.h"
#include "core/vm.h"

#define INITRDS_MAX 8
#define BASE	    0x40200000ull
#define MEMORY	    MIB(254)

static int no_vm_init(struct vm *vm, struct err *e)
{
	(void)vm;
	(void)e;
	return 0;
}

static void no_vm_exit(struct vm *vm)
{
	(void)vm;
}

static int no_slot(struct vm *vm, const struct as_map *m, bool remove, bool log, struct err *e)
{
	(void)vm;
	(void)m;
	(void)remove;
	(void)log;
	(void)e;
	return 0;
}

static const struct accel_ops no_cpu = {
	.name = "none",
	.manual_clock = true,
	.vm_init = no_vm_init,
	.vm_exit = no_vm_exit,
	.slot_set = no_slot,
};
static const struct state_table no_state;
static const struct arch no_arch = {.name = "none",
				    .long_name = "none",
				    .max_vcpus = 1,
				    .vcpu_state_size = 8,
				    .vcpu_state = &no_state};

struct options {
	bool acpi;
	unsigned gic, nodes;
	const char *cmdline, *out, *dtb, *kernel;
	char **initrds;
	unsigned n_initrds;
};

static void usage(void)
{
	fputs("usage: place [-A] [-g 2|3] [-n 2] [-d DTB] [-a CMDLINE] -o FILE KERNEL"
	      " [INITRD]...\n",
	      stderr);
	exit(2);
}

static unsigned number(const char *s, unsigned min, unsigned max)
{
	uint64_t v = 0;

	if (str_parse_u64(s, min, max, &v, NULL))
		usage();
	return (unsigned)v;
}

static void parse(int argc, char **argv, struct options *o)
{
	int c;

	*o = (struct options){.gic = 3};
	while ((c = getopt(argc, argv, "Ag:n:d:a:o:")) != -1) {
		switch (c) {
		case 'A': o->acpi = true; break;
		case 'g': o->gic = number(optarg, 2, 3); break;
		case 'n': o->nodes = number(optarg, 2, 2); break;
		case 'd': o->dtb = optarg; break;
		case 'a': o->cmdline = optarg; break;
		case 'o': o->out = optarg; break;
		default: usage();
		}
	}
	if (optind == argc || !o->out || argc - optind - 1 > INITRDS_MAX)
		usage();
	o->kernel = argv[optind];
	o->initrds = argv + optind + 1;
	o->n_initrds = (unsigned)(argc - optind - 1);
}

static void describe(const struct options *o, struct arm64_board *b)
{
	static const struct arm64_cpu cpus[] = {{.mpidr = 0, .node = 0}, {.mpidr = 1, .node = 1}};
	static const struct acpi_node_memory one[] = {{BASE, MEMORY, 0}};
	static const struct acpi_node_memory two[] = {{BASE, MEMORY / 2, 0},
						      {BASE + MEMORY / 2, MEMORY / 2, 1}};

	*b = (struct arm64_board){
		.cpu = cpus,
		.n_cpus = 2,
		.memory = o->nodes ? two : one,
		.n_memory = o->nodes ? 2 : 1,
		.n_nodes = o->nodes,
		.gic = {.version = o->gic, .dist = 0x08000000},
		.timer = {.secure = 13, .nonsecure = 14, .virt = 11, .hyp = 10},
		.pmu_ppi = 7,
		.uart = {0x09000000, 1},
		.rtc = {0x09010000, 2},
		.gpio = {0x09030000, 7},
		.power_pin = 3,
	};
	if (o->gic == 2) {
		b->gic.cpu = 0x08010000;
		return;
	}
	b->gic.redist[0] = (struct arm64_range){0x080a0000, 0xf60000};
	b->gic.n_redists = 1;
	b->gic.its = 0x08080000;
}

static int make_vm(struct vm **out, struct ram **ram, struct err *e)
{
	struct vm_options o = {.name = "place", .arch = &no_arch, .accel = &no_cpu, .n_vcpus = 1};
	int r;

	o.loop = loop_new(e);
	if (!o.loop)
		return e->code;
	r = vm_new(&o, out, e);
	if (!r)
		r = ram_new(*out, "ram", MEMORY, RAM_ANON, ram, e);
	if (!r)
		r = as_map_ram(&(*out)->mem, BASE, *ram, 0, MEMORY, e);
	return r;
}

static int write_memory(const char *path, const struct ram *ram)
{
	FILE *f = fopen(path, "we");

	if (!f || fwrite(ram->host, ram->size, 1, f) != 1)
		return -1;
	return fclose(f);
}

static int run(const struct options *o, struct err *e)
{
	static const uint64_t dimm[] = {MEMORY};
	static const struct smbios_range range[] = {{BASE, MEMORY}};
	static const struct smbios smbios = {.sockets = 1,
					     .cores = 2,
					     .threads = 1,
					     .dimm = dimm,
					     .n_dimms = 1,
					     .range = range,
					     .n_ranges = 1};
	static struct boot_file initrd[INITRDS_MAX];
	struct boot_arm64_entry entry;
	struct arm64_board board;
	struct fdt_blob dtb;
	struct boot_arm64_params p = {
		.cmdline = o->cmdline,
		.initrd = initrd,
		.n_initrds = o->n_initrds,
		.board = &board,
		.dtb = o->dtb ? &dtb : NULL,
		.acpi = o->acpi,
		.smbios = &smbios,
	};
	struct boot_image *img;
	struct ram *ram;
	struct vm *vm;
	int r;

	describe(o, &board);
	r = boot_image_open(o->kernel, BOOT_ARM64, &img, e);
	for (unsigned i = 0; i < o->n_initrds && !r; i++)
		r = boot_file_open(&initrd[i], o->initrds[i], e);
	if (!r && o->dtb)
		r = fdt_open(o->dtb, &dtb, e);
	p.image = img;
	if (!r)
		r = boot_arm64_check(&p, e);
	if (!r)
		r = make_vm(&vm, &ram, e);
	if (!r)
		r = boot_arm64_load(&vm->mem, &p, &entry, e);
	if (r)
		return r;
	if (write_memory(o->out, ram))
		return err_set(e, -EIO, "%s: cannot be written", o->out);
	printf("what %s\npc %llx\ndtb %llx\nbase %llx\n", img->what, (unsigned long long)entry.pc,
	       (unsigned long long)entry.dtb, (unsigned long long)BASE);
	return 0;
}

int main(int argc, char **argv)
{
	struct err e = ERR_INIT;
	struct options o;

	parse(argc, argv, &o);
	if (run(&o, &e) == 0)
		return 0;
	fprintf(stderr, "place: %s\n", e.msg);
	return 1;
}
