/*
 * A VM with PC memory and no CPU, to load kernels into.
 */
#ifndef LODGE_TESTS_BOOT_LOAD_H
#define LODGE_TESTS_BOOT_LOAD_H

#include <fcntl.h>

#include "fake_vm.h"

#include "arch/x86/defs.h"
#include "boot/x86/load.h"
#include "boot_build.h"

/* One at a time. */
struct bench {
	struct vm *vm;
	struct memmap map;
	struct boot_x86_params p;
	struct boot_image *img;
	struct boot_file initrd[4];
	struct x86_vcpu *cpu;
	struct err e;
};

static inline void bench_init(struct bench *b, uint64_t ram)
{
	struct ram *r;

	*b = (struct bench){.vm = fake_vm_new(1), .cpu = calloc(1, sizeof(*b->cpu))};
	memmap_init(&b->map, ram);
	assert_int_equal(ram_new(b->vm, "low", b->map.low, RAM_ANON, &r, &b->e), 0);
	assert_int_equal(as_map_ram(&b->vm->mem, 0, r, 0, b->map.low, &b->e), 0);
	if (b->map.high) {
		assert_int_equal(ram_new(b->vm, "high", b->map.high, RAM_ANON, &r, &b->e), 0);
		assert_int_equal(as_map_ram(&b->vm->mem, GIB(4), r, 0, b->map.high, &b->e), 0);
	}
	b->p.map = &b->map;
}

static inline void bench_exit(struct bench *b)
{
	boot_image_close(b->img);
	for (unsigned i = 0; i < b->p.n_initrds; i++)
		boot_file_close(&b->initrd[i]);
	fake_vm_free(b->vm);
	free(b->cpu);
}

static inline void bench_kernel(struct bench *b, const struct blob *file)
{
	if (boot_image_open(build_file("kernel", file->p, file->n), BOOT_X86, &b->img, &b->e))
		fail_msg("%s", b->e.msg);
	b->p.image = b->img;
}

static inline void bench_initrd(struct bench *b, const char *name, const void *p, size_t n)
{
	if (boot_file_open(&b->initrd[b->p.n_initrds++], build_file(name, p, n), &b->e))
		fail_msg("%s", b->e.msg);
	b->p.initrd = b->initrd;
}

static inline int bench_load(struct bench *b)
{
	b->e = ERR_INIT;
	x86_vcpu_reset(b->cpu, 0);
	return boot_x86_load(&b->vm->mem, &b->p, b->cpu, &b->e);
}

/* Loads, and it must work. */
static inline void bench_start(struct bench *b)
{
	if (bench_load(b))
		fail_msg("%s", b->e.msg);
}

/* Is refused by the check with this message (behind the kernel's path), and by the load too. */
static inline void bench_refused(struct bench *b, const char *msg)
{
	size_t skip = strlen(b->img->file.path) + 2;

	b->e = ERR_INIT;
	assert_true(boot_x86_check(&b->p, &b->e) < 0);
	assert_string_equal(b->e.msg + skip, msg);
	assert_true(bench_load(b) < 0);
	assert_string_equal(b->e.msg + skip, msg);
}

static inline uint64_t bench_get(struct bench *b, gpa_t addr, unsigned n)
{
	uint8_t buf[8] = {0};

	assert_int_equal(as_read(&b->vm->mem, addr, buf, n), IO_OK);
	return le64_load(buf);
}

/* All bytes of [addr, addr+n) are @byte. */
static inline void bench_filled(struct bench *b, gpa_t addr, uint64_t n, uint8_t byte)
{
	for (uint64_t i = 0; i < n; i++) {
		if (bench_get(b, addr + i, 1) != byte)
			fail_msg("byte at %#llx is %#llx, not %#x", (unsigned long long)(addr + i),
				 (unsigned long long)bench_get(b, addr + i, 1), byte);
	}
}

static inline void bench_text(struct bench *b, gpa_t addr, const char *text)
{
	char buf[300] = "";

	assert_int_equal(as_read(&b->vm->mem, addr, buf, strlen(text) + 1), IO_OK);
	assert_string_equal(buf, text);
}

/* A kernel's link address of a physical one. */
#define VIRT(pa) (0xffffffff80000000 + (pa))

/* Two pieces and a zeroed tail, with gaps in the file as Linux has them. */
static inline struct blob linux_elf(void)
{
	return build_elf(&(struct build_elf){
		.entry = 0x1000010,
		.pvh = 0x1000020,
		.gap = 0x4000,
		.n_segs = 3,
		.seg = {{0x1000000, VIRT(0x1000000), 0x3000, 0x3000, 0x11},
			{0x1003000, VIRT(0x1003000), 0x1000, 0x1000, 0x22},
			{0x1008000, VIRT(0x1008000), 0x100, 0x5000, 0x33}},
	});
}

static inline struct blob linux_bz(enum pack p)
{
	struct blob inside = linux_elf(), b;

	b = build_bz(&(struct build_bz){
		.pack = p, .inside = inside, .pref = 0x1000000, .init_size = 0x20000});
	blob_free(&inside);
	return b;
}

#endif
