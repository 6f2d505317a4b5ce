/*
 * boot/x86/multiboot.c - the multiboot 1 entry [Multiboot Specification 0.6.96 §3.2, §3.3]: 32-bit
 * protected mode, %eax holds a magic, %ebx points to the information structure.
 */
#include <string.h>

#include "base/endian.h"
#include "boot/x86/load_impl.h"

#define BOOT_MAGIC 0x2badb002u

#define I_MEMORY  (1u << 0)
#define I_CMDLINE (1u << 2)
#define I_MODULES (1u << 3)
#define I_MMAP	  (1u << 6)
#define I_LOADER  (1u << 9)

struct info {
	le32 flags, mem_lower, mem_upper, boot_device, cmdline, mods_count, mods_addr, syms[4];
	le32 mmap_length, mmap_addr, drives_length, drives_addr, config_table, loader_name,
		apm_table;
	le32 vbe[4];
	uint8_t framebuffer[28];
};
_Static_assert(sizeof(struct info) == 116, "the structure of §3.3 with all its fields");

struct module_wire {
	le32 start, end, string, reserved;
};

struct mmap_wire {
	le32 size; /* of what follows */
	le64 addr, len;
	le32 type;
};
_Static_assert(sizeof(struct mmap_wire) == 24, "size and 20 bytes");

static int put_mmap(struct boot_load *l, struct info *info, struct err *e)
{
	const struct memmap *m = l->p->map;
	struct mmap_wire wire[MEMMAP_ENTRIES_MAX];
	size_t len = m->n * sizeof(wire[0]);
	gpa_t addr;
	int r;

	for (unsigned i = 0; i < m->n; i++)
		wire[i] = (struct mmap_wire){
			.size = le32_of(sizeof(wire[0]) - 4),
			.addr = le64_of(m->e[i].addr),
			.len = le64_of(m->e[i].len),
			.type = le32_of(m->e[i].type),
		};
	r = boot_room(l, len, 8, &addr, e);
	if (!r)
		r = boot_put(l, addr, wire, len, e);
	info->mmap_addr = le32_of((uint32_t)addr);
	info->mmap_length = le32_of((uint32_t)len);
	return r;
}

static int put_modules(struct boot_load *l, struct info *info, struct err *e)
{
	struct module_wire wire[MODULES_MAX];
	size_t len = l->n_mods * sizeof(wire[0]);
	gpa_t addr = 0;
	int r = 0;

	for (unsigned i = 0; i < l->n_mods && !r; i++) {
		gpa_t name;

		r = boot_put_string(l, l->p->initrd[i].path, &name, e);
		wire[i] = (struct module_wire){
			.start = le32_of((uint32_t)l->mod[i].addr),
			.end = le32_of((uint32_t)(l->mod[i].addr + l->mod[i].len)),
			.string = le32_of((uint32_t)name),
		};
	}
	if (!r && len)
		r = boot_room(l, len, 8, &addr, e);
	if (!r && len)
		r = boot_put(l, addr, wire, len, e);
	info->mods_addr = le32_of((uint32_t)addr);
	info->mods_count = le32_of(l->n_mods);
	return r;
}

/* KiB of RAM from 1 MiB up to the first hole. */
static uint32_t upper_kib(const struct memmap *m)
{
	for (unsigned i = 0; i < m->n; i++) {
		if (m->e[i].type == MEMMAP_RAM && m->e[i].addr == MIB(1))
			return (uint32_t)(m->e[i].len / 1024);
	}
	return 0;
}

/* Kernels skip the first word of the command line, which boot loaders make the kernel's name. */
static int put_cmdline(struct boot_load *l, struct info *info, struct err *e)
{
	struct strbuf text = {0};
	gpa_t addr;
	int r;

	strbuf_printf(&text, "%s%s%s", l->p->image->file.path, l->p->cmdline ? " " : "",
		      l->p->cmdline ? l->p->cmdline : "");
	r = text.failed ? err_nomem(e, strlen(l->p->image->file.path), "the command line")
			: boot_put_string(l, strbuf_str(&text), &addr, e);
	strbuf_exit(&text);
	if (!r)
		info->cmdline = le32_of((uint32_t)addr);
	return r;
}

int boot_enter_multiboot(struct boot_load *l, struct x86_vcpu *v, struct err *e)
{
	struct info info = {
		.flags = le32_of(I_MEMORY | I_CMDLINE | I_MODULES | I_MMAP | I_LOADER),
		.mem_lower = le32_of((uint32_t)(MIN(l->p->map->low, MEMMAP_EBDA) / 1024)),
		.mem_upper = le32_of(upper_kib(l->p->map)),
	};
	gpa_t name;
	int r;

	r = boot_room(l, sizeof(info), 8, &l->start_info, e);
	if (!r)
		r = put_cmdline(l, &info, e);
	if (!r)
		r = boot_put_string(l, "Lodge", &name, e);
	if (!r)
		r = put_mmap(l, &info, e);
	if (!r)
		r = put_modules(l, &info, e);
	if (r)
		return r;
	info.loader_name = le32_of((uint32_t)name);
	r = boot_put(l, l->start_info, &info, sizeof(info), e);
	if (r)
		return r;
	boot_state_flat32(l, v);
	v->gpr[X86_RAX] = BOOT_MAGIC;
	v->gpr[X86_RBX] = l->start_info;
	return 0;
}
