/*
 * Page tables and what a vCPU does with them, all of it from the input: walks, accesses of any
 * kind, flushes, changes of control registers, in every paging mode.
 *
 * Nothing outside the RAM that the guest was given may change: a page before and one behind it, and
 * ROM, are looked at after each run.  A walk that finds a page must have found the one that
 * x86_translate finds.
 */
#include <setjmp.h>

#include "accel/bt/mmu_private.h"
#include "arch/arch.h"
#include "base/endian.h"
#include "fuzz.h"

#define RAM  KIB(256)
#define ROM  0x60000u
#define HEAD 32u /* bytes of the input that are control registers */
#define OP   12u
#define OPS  32u

static struct bt_vm bvm;
static struct bt_cpu *cpu;
static struct ram *ram, *rom;
static _Atomic(struct bt_cpu *) cpus[1];

/* Stand-ins for the rest of the CPU. */
void bt_raise_err(struct bt_cpu *c, enum bt_vector v, uint32_t error)
{
	(void)v;
	(void)error;
	siglongjmp(*c->out, 1);
}

void bt_raise_pf(struct bt_cpu *c, uint64_t la, uint32_t error)
{
	(void)la;
	bt_raise_err(c, X86_PF, error);
}

void bt_attend(struct bt_cpu *c, uint32_t bits)
{
	atomic_fetch_or(&c->attention, bits);
}

int bt_lapic_mmio(struct bt_cpu *c, gpa_t pa, void *data, unsigned size, bool write)
{
	(void)c;
	(void)pa;
	(void)data;
	(void)size;
	(void)write;
	return 0;
}

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
	return mmu_slot_set(&bvm, m, remove, log, e);
}

static const struct accel_ops only_memory = {.name = "none",
					     .manual_clock = true,
					     .vm_init = vm_init,
					     .vm_exit = vm_exit,
					     .slot_set = slot_set};

/* Made once; RAM is in the middle of its block, with a page of canaries on both sides. */
static void make(void)
{
	struct vm_options o = {
		.name = "fuzz", .arch = &arch_x86, .accel = &only_memory, .n_vcpus = 1};
	static struct bt_cpu c;
	struct err e = ERR_INIT;

	o.loop = loop_new(&e);
	BUG_ON(!o.loop || vm_new(&o, &bvm.vm, &e));
	bvm.n = 1;
	bvm.cpu = cpus;
	bvm.a20_mask = UINT64_MAX;
	pthread_mutex_init(&bvm.exclusive, NULL);
	BUG_ON(mmu_vm_init(&bvm, &e));
	BUG_ON(ram_new(bvm.vm, "ram", RAM + 2 * GUEST_PAGE, RAM_ANON, &ram, &e));
	BUG_ON(as_map_ram(&bvm.vm->mem, 0, ram, GUEST_PAGE, RAM, &e));
	BUG_ON(ram_new(bvm.vm, "rom", GUEST_PAGE, RAM_ANON, &rom, &e));
	rom->rom = true;
	BUG_ON(as_map_ram(&bvm.vm->mem, ROM, rom, 0, GUEST_PAGE, &e));
	memset(ram->host, 0xa5, GUEST_PAGE);
	memset(ram->host + RAM + GUEST_PAGE, 0xa5, GUEST_PAGE);
	memset(rom->host, 0x27, GUEST_PAGE); /* entries: present, writable, user, accessed */
	c.bvm = &bvm;
	c.v = &bvm.vm->vcpus[0];
	BUG_ON(mmu_init(&c, &e));
	cpus[0] = cpu = &c;
	mmu_idle(cpu, false);
}

/* A legal combination nearest to what the input says. */
static void control(struct bt_cpu *c, const uint8_t *p)
{
	static const uint64_t cr4[] = {CR4_SMEP, CR4_SMAP, CR4_PKE, X86_CR4_PGE, X86_CR4_PSE};
	unsigned mode = p[0] % 5;

	c->cr0 = X86_CR0_PE | (mode ? X86_CR0_PG : 0) | (p[1] & 1 ? X86_CR0_WP : 0);
	c->cr4 = mode >= 2 ? X86_CR4_PAE : 0;
	c->cr4 |= mode == 4 ? X86_CR4_LA57 : 0;
	c->cr4 |= mode >= 3 && (p[1] & 2) ? CR4_PCIDE : 0;
	for (unsigned i = 0; i < ARRAY_LEN(cr4); i++)
		c->cr4 |= p[2] >> i & 1 ? cr4[i] : 0;
	c->efer = (mode >= 3 ? X86_EFER_LMA : 0) | (p[1] & 4 ? X86_EFER_NXE : 0);
	c->cr3 = le32_load(p + 4) % (RAM + 2 * GUEST_PAGE);
	c->rflags = p[1] & 8 ? FLAGS_AC : 0;
	c->ext.pkru = le32_load(p + 8);
	c->dr7 = p[1] & 16 ? le32_load(p + 12) : 0;
	for (unsigned i = 0; i < 4; i++)
		c->dr[i] = le16_load(p + 16 + i * 2);
	c->mode = (struct bt_mode){.code = mode >= 3 ? 8 : 4,
				   .prot = true,
				   .lma = mode >= 3,
				   .cpl = p[3] & 3,
				   .user = (p[3] & 3) == 3,
				   .align = (p[3] & 7) == 7};
	c->mmu->pages_1g = p[1] & 32;
	bvm.a20_mask = p[1] & 64 ? ~UINT64_C(0x100000) : UINT64_MAX;
	mmu_mode_changed(c);
}

static void check_walk(struct bt_cpu *c, uint64_t la, enum bt_access access, enum mmu_class cls)
{
	static struct x86_vcpu v;
	gpa_t before = 0, plain = 0;
	struct mmu_walk w;
	uint32_t error;
	bool found;

	if (!mmu_canonical(c, la))
		return;
	v.cr0 = c->cr0;
	v.cr3 = c->cr3;
	v.cr4 = c->cr4;
	v.efer = c->efer;
	found = mmu_peek(c, la, &before);
	if (found && bvm.a20_mask == UINT64_MAX)
		BUG_ON(!x86_translate(&v, &bvm.vm->mem, la, &plain) || plain != before);
	if (mmu_walk(c, la, access, cls, &w, &error))
		BUG_ON(!found || w.pa != before);
}

static void rmw(struct bt_cpu *c, uint64_t la, unsigned n, unsigned how)
{
	struct bt_bounce b;
	uint8_t *p = bt_get(c, la, n, how & 1 ? BT_RMW : BT_WRITE, how & 2, &b);

	p[0]++;
	p[n - 1]++;
	bt_put(c, &b, how & 4);
}

static void op(struct bt_cpu *c, const uint8_t *p)
{
	uint64_t la = le64_load(p + 2);
	unsigned size = 1u << p[1] % 4, n = le16_load(p + 10) % 4096 + 1;
	static uint8_t block[4096];
	const uint8_t *host;
	uint32_t version;
	bool settled;
	gpa_t pa;

	if (c->mode.code != 8)
		la = (uint32_t)la;
	switch (p[0] % 20) {
	case 0: (void)bt_ld(c, la, size); break;
	case 1: bt_st(c, la, la, size); break;
	case 2: (void)bt_ld_sys(c, la, size); break;
	case 3: bt_st_sys(c, la, la, size); break;
	case 4: (void)bt_ld_as(c, la, size, p[1] & 16); break;
	case 5: bt_st_as(c, la, la, size, p[1] & 16); break;
	case 6: bt_ld_block(c, la, block, n); break;
	case 7: bt_st_block(c, la, block, n); break;
	case 8: bt_probe(c, la, n, p[1] & 16 ? BT_RMW : BT_READ); break;
	case 9: rmw(c, la, size, p[1] >> 4); break;
	case 10: rmw(c, la, MIN(n, 64u), p[1] >> 4); break;
	case 11: bt_fetch(c, la, &pa, &host); break;
	case 12: check_walk(c, la, p[1] & 3, p[1] >> 2 & 3); break;
	case 13: mmu_flush_page(c, la); break;
	case 14: mmu_invpcid(c, p[1] & 3, n & 0xfff, la); break;
	case 15:
		c->cr3 = la % (RAM + 2 * GUEST_PAGE);
		mmu_cr3_written(c, p[1] & 1);
		mmu_mode_changed(c);
		break;
	case 16:
		(void)bt_code_mark(c, la % RAM, MIN(n, GUEST_PAGE - (unsigned)(la & 0xfff)),
				   &version, &settled);
		break;
	case 17: mmu_attend(c, p[1] & 1 ? BT_ATTN_FLUSH : BT_ATTN_CODE); break;
	case 18:
		c->mode.user = !c->mode.user;
		mmu_mode_changed(c);
		break;
	default: (void)as_write(&bvm.vm->mem, la % RAM, block, n); break;
	}
}

static void check_canaries(void)
{
	for (unsigned i = 0; i < GUEST_PAGE; i++) {
		BUG_ON(ram->host[i] != 0xa5);
		BUG_ON(ram->host[RAM + GUEST_PAGE + i] != 0xa5);
		BUG_ON(rom->host[i] != 0x27);
	}
	BUG_ON(pthread_mutex_trylock(&bvm.exclusive));
	pthread_mutex_unlock(&bvm.exclusive);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	size_t tables;

	if (size < HEAD + OP)
		return 0;
	if (!cpu)
		make();
	memset(ram->host + GUEST_PAGE, 0, RAM);
	/* Behind the operations, which are at most OPS and at most half of what there is. */
	size_t ops = MIN(OPS, (size - HEAD) / 2 / OP + 1);
	tables = MIN(size - HEAD - MIN(ops * OP, size - HEAD), (size_t)RAM);
	memcpy(ram->host + GUEST_PAGE, data + size - tables, tables);
	bt_code_written(&bvm, ram, 0, ram->size);
	mmu_forget(cpu);
	control(cpu, data);
	for (volatile size_t i = 0; i < ops && HEAD + (i + 1) * OP <= size; i++) {
		sigjmp_buf out;

		cpu->out = &out;
		if (!sigsetjmp(out, 0))
			op(cpu, data + HEAD + i * OP);
	}
	check_canaries();
	return 0;
}
