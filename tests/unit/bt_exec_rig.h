/*
 * unit/bt_exec_rig.h - a software CPU that runs pieces of code: its own memory, MMU and blocks, in
 * a VM without devices.  Linear addresses are mapped where the test wants them.
 */
#ifndef LODGE_UNIT_BT_EXEC_RIG_H
#define LODGE_UNIT_BT_EXEC_RIG_H

#include "accel/bt/block.h"
#include "accel/bt/cpu.h"
#include "accel/bt/flags.h"
#include "accel/bt/mmu.h"
#include "accel/bt/pure.h"
#include "base/sys.h"
#include "fake_vm.h"

#define RIG_RAM	  (16u << 20)
#define RIG_CODE  0x100000u /* physical and linear: code */
#define RIG_STACK 0x200000u /* top of the stack */
#define RIG_DATA  0x300000u
#define RIG_OK	  0x100u /* no exception */

struct rig {
	struct vm *vm;
	struct bt_vm bvm;
	_Atomic(struct bt_cpu *) list[1];
	struct bt_cpu *c;
	struct ram *ram;
	gpa_t next;	 /* free page for page tables */
	bool plain;	 /* run the general meanings, not the specialised ones */
	unsigned blocks; /* that ran */
};
static struct rig rig;

static int rig_slot_set(struct vm *vm, const struct as_map *m, bool remove, bool log, struct err *e)
{
	(void)vm;
	return mmu_slot_set(&rig.bvm, m, remove, log, e);
}

static uint8_t *rig_at(gpa_t pa)
{
	return rig.ram->host + pa;
}

static gpa_t rig_page(void)
{
	rig.next += GUEST_PAGE;
	return rig.next - GUEST_PAGE;
}

/* Maps the 4 KiB page at @la to @pa. */
static void rig_map(uint64_t la, gpa_t pa, uint64_t flags)
{
	gpa_t table = rig.c->cr3;
	uint64_t *e;

	for (unsigned shift = 39; shift > 12; shift -= 9) {
		e = (uint64_t *)(void *)rig_at(table) + (la >> shift & 511);
		if (!*e)
			*e = rig_page() | X86_PTE_P | X86_PTE_RW | X86_PTE_US;
		table = *e & ~UINT64_C(0xfff);
	}
	e = (uint64_t *)(void *)rig_at(table) + (la >> 12 & 511);
	*e = pa | flags;
	mmu_flush_page(rig.c, la);
}

/* Whatever the registers say now. */
static void rig_mode(unsigned code, unsigned stack)
{
	struct bt_cpu *c = rig.c;

	c->mode = (struct bt_mode){.code = (uint8_t)code, .stack = (uint8_t)stack};
	c->mode.prot = c->cr0 & X86_CR0_PE;
	c->mode.lma = c->efer & X86_EFER_LMA;
	for (unsigned s = 0; s < 6; s++) {
		c->mode.flat[s] = code == 8 || c->seg[s].limit == UINT32_MAX;
		c->seg_base[s] = code == 8 && s < X86_FS ? 0 : c->seg[s].base;
	}
	mmu_mode_changed(c);
}

/* 64-bit code, supervisor, the first 4 MiB mapped as they are. */
static inline void rig_long_mode(void)
{
	struct bt_cpu *c = rig.c;

	c->cr0 = X86_CR0_PE | X86_CR0_PG | X86_CR0_WP | X86_CR0_NE;
	c->cr4 = X86_CR4_PAE;
	c->efer = X86_EFER_LME | X86_EFER_LMA | X86_EFER_NXE;
	c->cr3 = rig_page();
	rig_mode(8, 8);
	for (uint64_t la = 0; la < 0x400000; la += GUEST_PAGE)
		rig_map(la, la, X86_PTE_P | X86_PTE_RW);
}

/* Flat or real-mode-like 16-bit code with limits of 64 KiB; no paging. */
static inline void rig_plain_mode(unsigned code, uint32_t limit)
{
	struct bt_cpu *c = rig.c;

	c->cr0 = code == 2 ? 0 : X86_CR0_PE;
	c->cr4 = c->efer = c->cr3 = 0;
	for (unsigned s = 0; s < 6; s++)
		x86_seg_set(&c->seg[s], 8, 0, limit, s == X86_CS ? 0x9b : 0x93);
	rig_mode(code, code);
}

static struct bt_cpu *rig_new(void)
{
	static struct accel_ops ops;
	struct err e = ERR_INIT;
	struct vm_options o = {.name = "fake", .arch = &fake_arch, .accel = &ops, .n_vcpus = 1};
	static struct x86_cpuid cpuid[2];
	struct bt_cpu *c = sys_alloc(sizeof(*c));

	memset(&fake, 0, sizeof(fake));
	memset(&rig, 0, sizeof(rig));
	assert_non_null(c);
	ops = fake_accel;
	ops.slot_set = rig_slot_set;
	o.loop = loop_new(&e);
	assert_non_null(o.loop);
	assert_int_equal(vm_new(&o, &rig.vm, &e), 0);
	rig.bvm.vm = rig.vm;
	rig.bvm.n = 1;
	rig.bvm.cpu = rig.list;
	rig.bvm.a20_mask = UINT64_MAX;
	pthread_mutex_init(&rig.bvm.exclusive, NULL);
	assert_int_equal(mmu_vm_init(&rig.bvm, &e), 0);
	assert_int_equal(ram_new(rig.vm, "ram", RIG_RAM, RAM_ANON, &rig.ram, &e), 0);
	assert_int_equal(as_map_ram(&rig.vm->mem, 0, rig.ram, 0, RIG_RAM, &e), 0);
	rig.next = 0x800000;
	rig.c = c;
	c->bvm = &rig.bvm;
	c->v = &rig.vm->vcpus[0];
	cpuid[0] = (struct x86_cpuid){.leaf = 0x80000001, .edx = 1u << 26};
	cpuid[1] = (struct x86_cpuid){.leaf = 0x80000008, .eax = 46};
	c->cpuid = cpuid;
	c->n_cpuid = ARRAY_LEN(cpuid);
	memset(&c->features, 0xff, sizeof(c->features));
	c->rflags = X86_FLAGS_FIXED;
	assert_int_equal(mmu_init(c, &e), 0);
	assert_int_equal(pure_init(c, &e), 0);
	assert_int_equal(block_init(c, &e), 0);
	atomic_store(&rig.list[0], c);
	mmu_idle(c, false);
	return c;
}

static void rig_free(void)
{
	atomic_store(&rig.list[0], NULL);
	block_exit(rig.c);
	pure_exit(rig.c);
	mmu_exit(rig.c);
	free(rig.c);
	mmu_vm_exit(&rig.bvm);
	pthread_mutex_destroy(&rig.bvm.exclusive);
	fake_vm_free(rig.vm);
}

/* The meanings of the rows instead of the specialised ones. */
static void rig_generalise(struct bt_block *b)
{
	for (unsigned n = 0; n < b->n; n++)
		if (b->insn[n].len)
			b->insn[n].exec = insn_table[b->insn[n].row].exec;
}

/*
 * Runs from c->rip until it is @until, or so many blocks; gives the vector of the exception that
 * came, or RIG_OK.
 */
static unsigned rig_run(uint64_t until, unsigned blocks)
{
	struct bt_cpu *c = rig.c;
	struct bt_block *b;
	sigjmp_buf out;
	unsigned n;

	c->out = &out;
	rig.blocks = 0;
	if (sigsetjmp(out, 0))
		return c->event.vector;
	for (n = 0; n < blocks && c->rip != until; n++) {
		if (atomic_load_explicit(&c->attention, memory_order_relaxed))
			mmu_attend(c, atomic_exchange(&c->attention, 0));
		b = block_get(c);
		if (rig.plain)
			rig_generalise(b);
		rig.blocks++;
		block_run(c, b);
	}
	assert_int_equal(c->rip, until);
	return RIG_OK;
}

/* Puts @n bytes of code at linear RIG_CODE (mapped as it is), and a jump that ends the block. */
static inline void rig_code(const void *code, size_t n)
{
	memcpy(rig_at(RIG_CODE), code, n);
	memcpy(rig_at(RIG_CODE + n), "\xeb", 2);
	bt_code_written(&rig.bvm, rig.ram, RIG_CODE, n + 2);
}

/* Runs what rig_code put there. */
static inline unsigned rig_exec_again(size_t n)
{
	rig.c->rip = RIG_CODE;
	return rig_run(RIG_CODE + n + 2, 10000);
}

static inline unsigned rig_exec(const void *code, size_t n)
{
	rig_code(code, n);
	return rig_exec_again(n);
}
/* The same of a string literal. */
#define RIG_EXEC(code) rig_exec(code, sizeof(code) - 1)

#endif
