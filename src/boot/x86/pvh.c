/*
 * boot/x86/pvh.c - the PVH entry [Xen docs/misc/pvh.pandoc and
 * xen/include/public/arch-x86/hvm/start_info.h]: 32-bit protected mode, %ebx points to a struct
 * that names command line, modules, memory map and the ACPI root pointer.
 */
#include "base/endian.h"
#include "boot/x86/load_impl.h"

#define START_MAGIC 0x336ec578u

struct start_info {
	le32 magic, version, flags, nr_modules;
	le64 modlist, cmdline, rsdp, memmap;
	le32 memmap_entries, reserved;
};
_Static_assert(sizeof(struct start_info) == 56, "hvm_start_info, version 1");

struct modlist_entry {
	le64 addr, size, cmdline, reserved;
};
_Static_assert(sizeof(struct modlist_entry) == 32, "hvm_modlist_entry");

struct memmap_wire {
	le64 addr, size;
	le32 type, reserved;
};
_Static_assert(sizeof(struct memmap_wire) == 24, "hvm_memmap_table_entry");

static int put_memmap(struct boot_load *l, struct start_info *si, struct err *e)
{
	const struct memmap *m = l->p->map;
	struct memmap_wire wire[MEMMAP_ENTRIES_MAX];
	size_t len = m->n * sizeof(wire[0]);
	gpa_t addr;
	int r;

	for (unsigned i = 0; i < m->n; i++)
		wire[i] = (struct memmap_wire){
			.addr = le64_of(m->e[i].addr),
			.size = le64_of(m->e[i].len),
			.type = le32_of(m->e[i].type),
		};
	r = boot_room(l, len, 8, &addr, e);
	if (!r)
		r = boot_put(l, addr, wire, len, e);
	si->memmap = le64_of(addr);
	si->memmap_entries = le32_of(m->n);
	return r;
}

static int put_modules(struct boot_load *l, struct start_info *si, struct err *e)
{
	struct modlist_entry wire[MODULES_MAX];
	size_t len = l->n_mods * sizeof(wire[0]);
	gpa_t addr;
	int r;

	if (l->n_mods == 0)
		return 0;
	for (unsigned i = 0; i < l->n_mods; i++)
		wire[i] = (struct modlist_entry){
			.addr = le64_of(l->mod[i].addr),
			.size = le64_of(l->mod[i].len),
		};
	r = boot_room(l, len, 8, &addr, e);
	if (!r)
		r = boot_put(l, addr, wire, len, e);
	si->modlist = le64_of(addr);
	si->nr_modules = le32_of(l->n_mods);
	return r;
}

int boot_enter_pvh(struct boot_load *l, struct x86_vcpu *v, struct err *e)
{
	struct start_info si = {
		.magic = le32_of(START_MAGIC),
		.version = le32_of(1),
		.rsdp = le64_of(l->p->rsdp),
	};
	gpa_t cmdline;
	int r;

	r = boot_room(l, sizeof(si), 8, &l->start_info, e);
	if (!r)
		r = boot_put_string(l, l->p->cmdline ? l->p->cmdline : "", &cmdline, e);
	if (r)
		return r;
	si.cmdline = le64_of(cmdline);
	r = put_memmap(l, &si, e);
	if (!r)
		r = put_modules(l, &si, e);
	if (!r)
		r = boot_put(l, l->start_info, &si, sizeof(si), e);
	if (r)
		return r;
	boot_state_flat32(l, v);
	v->gpr[X86_RBX] = l->start_info;
	return 0;
}
