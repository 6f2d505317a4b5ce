/*
 * Loads a kernel into the memory of a VM without a CPU, and writes down what a CPU would find.
 *
 *	place [-b auto|pvh|linux|setup] [-k] [-a CMDLINE] [-m MIB] -o FILE KERNEL [INITRD]...
 *
 * FILE gets the guest's memory as far as it is below the hole; standard output gets lines "NAME
 * VALUE": what the file is, and the registers, in hexadecimal.
 */
#include <errno.h>
#include <getopt.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "arch/arch.h"
#include "base/sys.h"
#include "boot/x86/load.h"
#include "core/vm.h"

#define INITRDS_MAX 8

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

struct options {
	enum boot_how how;
	bool kaslr;
	const char *cmdline, *out, *kernel;
	uint64_t mib;
	char **initrds;
	unsigned n_initrds;
};

static void usage(void)
{
	fputs("usage: place [-b auto|pvh|linux|setup] [-k] [-a CMDLINE] [-m MIB] -o FILE KERNEL"
	      " [INITRD]...\n",
	      stderr);
	exit(2);
}

static void parse(int argc, char **argv, struct options *o)
{
	static const char *const hows[] = {"auto", "pvh", "linux", "setup"};
	int c;

	*o = (struct options){.mib = 512};
	while ((c = getopt(argc, argv, "b:ka:m:o:")) != -1) {
		unsigned how = 0;

		switch (c) {
		case 'b':
			while (how < ARRAY_LEN(hows) && strcmp(hows[how], optarg) != 0)
				how++;
			if (how == ARRAY_LEN(hows))
				usage();
			o->how = (enum boot_how)how;
			break;
		case 'k': o->kaslr = true; break;
		case 'a': o->cmdline = optarg; break;
		case 'm':
			if (str_parse_u64(optarg, 1, 3072, &o->mib, NULL))
				usage();
			break;
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

static int make_vm(const struct memmap *map, struct vm **out, struct ram **ram, struct err *e)
{
	struct vm_options o = {.name = "place", .arch = &arch_x86, .accel = &no_cpu, .n_vcpus = 1};
	int r;

	o.loop = loop_new(e);
	if (!o.loop)
		return e->code;
	r = vm_new(&o, out, e);
	if (!r)
		r = ram_new(*out, "ram", map->low, RAM_ANON, ram, e);
	if (!r)
		r = as_map_ram(&(*out)->mem, 0, *ram, 0, map->low, e);
	return r;
}

/* Only pages that are not empty are written, so that the file is sparse. */
static int write_memory(const char *path, const struct ram *ram)
{
	static const uint8_t zeros[GUEST_PAGE];
	FILE *f = fopen(path, "we");

	if (!f)
		return -1;
	for (uint64_t off = 0; off < ram->size; off += GUEST_PAGE) {
		if (off + GUEST_PAGE < ram->size && !memcmp(ram->host + off, zeros, GUEST_PAGE))
			continue;
		if (fseek(f, (long)off, SEEK_SET) ||
		    fwrite(ram->host + off, GUEST_PAGE, 1, f) != 1) {
			fclose(f);
			return -1;
		}
	}
	return fclose(f);
}

static void print_state(const struct boot_image *img, const struct x86_vcpu *v)
{
	const struct {
		const char *name;
		uint64_t value;
	} regs[] = {
		{"rip", v->rip},	  {"rsi", v->gpr[X86_RSI]}, {"rbx", v->gpr[X86_RBX]},
		{"rax", v->gpr[X86_RAX]}, {"cr0", v->cr0},	    {"cr3", v->cr3},
		{"cr4", v->cr4},	  {"efer", v->efer},	    {"gdt", v->gdt.base},
	};

	printf("what %s\n", img->what);
	for (size_t i = 0; i < ARRAY_LEN(regs); i++)
		printf("%s %llx\n", regs[i].name, (unsigned long long)regs[i].value);
}

static int run(const struct options *o, struct err *e)
{
	static struct x86_vcpu cpu;
	static struct boot_file initrd[INITRDS_MAX];
	struct memmap map;
	struct boot_x86_params p = {
		.how = o->how,
		.kaslr = o->kaslr,
		.cmdline = o->cmdline,
		.initrd = initrd,
		.n_initrds = o->n_initrds,
		.map = &map,
	};
	struct boot_image *img;
	struct ram *ram;
	struct vm *vm;
	int r;

	memmap_init(&map, MIB(o->mib));
	r = boot_image_open(o->kernel, BOOT_X86, &img, e);
	for (unsigned i = 0; i < o->n_initrds && !r; i++)
		r = boot_file_open(&initrd[i], o->initrds[i], e);
	p.image = img;
	if (!r)
		r = boot_x86_check(&p, e);
	if (!r)
		r = make_vm(&map, &vm, &ram, e);
	if (r)
		return r;
	x86_vcpu_reset(&cpu, 0);
	r = boot_x86_load(&vm->mem, &p, &cpu, e);
	if (r)
		return r;
	if (write_memory(o->out, ram))
		return err_set(e, -EIO, "%s: cannot be written", o->out);
	print_state(img, &cpu);
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
