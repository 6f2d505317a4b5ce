/*
 * Kernel files all the way into guest memory: what is accepted must load or be refused with a
 * message, and write nowhere but into RAM.  The first byte chooses the way in.
 */
#include <stdio.h>
#include <sys/mman.h>
#include <unistd.h>

#include "arch/arch.h"
#include "base/sys.h"
#include "boot/x86/load.h"
#include "core/vm.h"
#include "fuzz.h"

#define RAM MIB(24)

static int vm_init(struct vm *vm, struct err *e)
{
	(void)vm;
	(void)e;
	return 0;
}

static void vm_exit(struct vm *vm)
{
	(void)vm;
}

static int slot_set(struct vm *vm, const struct as_map *m, bool remove, bool log, struct err *e)
{
	(void)vm;
	(void)m;
	(void)remove;
	(void)log;
	(void)e;
	return 0;
}

static const struct accel_ops no_cpu = {.name = "none",
					.manual_clock = true,
					.vm_init = vm_init,
					.vm_exit = vm_exit,
					.slot_set = slot_set};

/* Made once: the memory, which every load overwrites where it wants to. */
static struct vm *make_vm(void)
{
	struct vm_options o = {.name = "fuzz", .arch = &arch_x86, .accel = &no_cpu, .n_vcpus = 1};
	struct err e = ERR_INIT;
	struct ram *ram;
	struct vm *vm;

	o.loop = loop_new(&e);
	BUG_ON(!o.loop || vm_new(&o, &vm, &e) || ram_new(vm, "ram", RAM, RAM_ANON, &ram, &e) ||
	       as_map_ram(&vm->mem, 0, ram, 0, RAM, &e));
	return vm;
}

static void load(struct vm *vm, struct boot_image *img, uint8_t way)
{
	static struct x86_vcpu cpu;
	struct memmap map;
	struct boot_x86_params p = {
		.image = img,
		.how = (enum boot_how)(way & 3),
		.kaslr = way & 4,
		.cmdline = "quiet",
		.initrd = &img->file,
		.n_initrds = way >> 3 & 1,
		.map = &map,
		.rsdp = MEMMAP_BIOS,
	};
	struct err e = ERR_INIT;

	memmap_init(&map, RAM);
	x86_vcpu_reset(&cpu, 0);
	if (boot_x86_check(&p, &e)) {
		BUG_ON(e.code >= 0 || !e.msg[0]);
		return;
	}
	if (boot_x86_load(&vm->mem, &p, &cpu, &e))
		BUG_ON(e.code >= 0 || !e.msg[0]);
	else
		BUG_ON(!(cpu.rflags & 2));
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	static struct vm *vm;
	struct err e = ERR_INIT;
	struct boot_image *img;
	char path[40];
	int fd;

	if (!vm)
		vm = make_vm();
	if (size < 2)
		return 0;
	fd = memfd_create("kernel", MFD_CLOEXEC);
	BUG_ON(fd < 0 || sys_write_full(fd, data + 1, size - 1));
	snprintf(path, sizeof(path), "/proc/self/fd/%d", fd);
	if (boot_image_open(path, BOOT_X86, &img, &e) == 0) {
		load(vm, img, data[0]);
		boot_image_close(img);
	} else {
		BUG_ON(e.code >= 0 || !e.msg[0] || img);
	}
	close(fd);
	return 0;
}
