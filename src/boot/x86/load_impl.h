/*
 * boot/x86/load_impl.h - what the files of one loading share; private to boot/x86.
 */
#ifndef LODGE_BOOT_X86_LOAD_IMPL_H
#define LODGE_BOOT_X86_LOAD_IMPL_H

#include "boot/x86/layout.h"
#include "boot/x86/load.h"

/* How the first vCPU goes in. */
enum boot_way {
	WAY_LINUX64,   /* boot.rst, "64-bit Boot Protocol" */
	WAY_LINUX32,   /* boot.rst, "32-bit Boot Protocol" */
	WAY_PVH,       /* Xen docs/misc/pvh.pandoc */
	WAY_MULTIBOOT, /* multiboot 1 */
	WAY_RAW,       /* real mode */
};

#define MODULES_MAX 32

struct boot_module {
	gpa_t addr;
	uint64_t len;
	gpa_t name; /* multiboot: its string */
};

struct boot_load {
	const struct boot_x86_params *p;
	const struct boot_image *img; /* p->image, or what is inside of it if that is compressed */
	struct boot_src src;	      /* the bytes that img describes */
	struct as *mem;		      /* NULL while only checking */
	struct layout layout;
	enum boot_way way;
	bool direct;	     /* the payload of a bzImage, not its decompressor */
	gpa_t base;	     /* where a bzImage's kernel goes: pref_address or at random */
	uint64_t virt_delta; /* how far it moves in virtual addresses */
	gpa_t entry;
	struct boot_module mod[MODULES_MAX]; /* for Linux one: all initrds */
	unsigned n_mods;
	gpa_t start_info; /* what the entry's register points to */
};

/* Writes to the guest's memory; an address that is not RAM is an error that names it. */
int boot_put(struct boot_load *l, gpa_t addr, const void *data, uint64_t len,
	     struct err *e) MUST_CHECK;
/* The lowest free boot data below 640 KiB. */
int boot_room(struct boot_load *l, uint64_t len, uint64_t align, gpa_t *addr,
	      struct err *e) MUST_CHECK;
/* Puts a string into boot data. */
int boot_put_string(struct boot_load *l, const char *s, gpa_t *addr, struct err *e) MUST_CHECK;

/* image.c: puts the kernel's bytes where plan said. */
int boot_put_image(struct boot_load *l, struct err *e) MUST_CHECK;

/* The ways: boot data into memory, then the state of the first vCPU. */
int boot_enter_linux(struct boot_load *l, struct x86_vcpu *v, struct err *e) MUST_CHECK;
int boot_enter_pvh(struct boot_load *l, struct x86_vcpu *v, struct err *e) MUST_CHECK;
int boot_enter_multiboot(struct boot_load *l, struct x86_vcpu *v, struct err *e) MUST_CHECK;
void boot_enter_raw(struct boot_load *l, struct x86_vcpu *v);

/* Flat 32-bit protected mode without paging at l->entry; PVH's, multiboot's and Linux's start. */
void boot_state_flat32(struct boot_load *l, struct x86_vcpu *v);
/* 64-bit mode at l->entry with the first 4 GiB mapped one to one; tables go into boot data. */
int boot_state_long(struct boot_load *l, struct x86_vcpu *v, struct err *e) MUST_CHECK;

#endif
