/*
 * A software CPU's memory without the rest of it: a VM with RAM, ROM and a device, and CPUs that
 * have an MMU and nothing else.  Faults come back as data.
 */
#ifndef LODGE_TESTS_BT_RIG_H
#define LODGE_TESTS_BT_RIG_H

#include "accel/bt/mmu_private.h"
#include "base/sys.h"
#include "fake_vm.h"

#define RIG_CPUS 4u
#define RIG_RAM	 (8u << 20)
#define RIG_ROM	 0xff000000u /* one page */
#define RIG_DEV	 0xfe000000u /* struct regs */
#define RIG_HOLE 0xfd000000u

struct rig {
	struct vm *vm;
	struct bt_vm bvm;
	_Atomic(struct bt_cpu *) list[RIG_CPUS];
	struct bt_cpu *cpu[RIG_CPUS];
	struct ram *ram, *rom;
	struct regs *regs;
	struct x86_cpuid cpuid[2];
	gpa_t next; /* free page for tables */
};
static struct rig rig;

/* What an access raised: vector and error code, or RIG_OK. */
#define RIG_OK 0x100u
struct fault {
	unsigned vector;
	uint32_t error;
	uint64_t la;
};

/* Stand-ins for other parts of the software CPU. */
void bt_raise_err(struct bt_cpu *c, enum bt_vector v, uint32_t error)
{
	c->event.vector = (uint8_t)v;
	c->event.error = error;
	siglongjmp(*c->out, 1);
}

void bt_raise_pf(struct bt_cpu *c, uint64_t la, uint32_t error)
{
	c->event.address = la;
	bt_raise_err(c, X86_PF, error);
}

void bt_attend(struct bt_cpu *c, uint32_t bits)
{
	atomic_fetch_or(&c->attention, bits);
}

static struct {
	unsigned reads, writes;
	uint64_t val;
} rig_apic;

int bt_lapic_mmio(struct bt_cpu *c, gpa_t pa, void *data, unsigned size, bool write)
{
	(void)c;
	if ((pa & PAGE_MASK) != X86_LAPIC_ADDR)
		return 0;
	if (write) {
		rig_apic.writes++;
		memcpy(&rig_apic.val, data, size);
	} else {
		rig_apic.reads++;
		memcpy(data, &rig_apic.val, size);
	}
	return 1;
}

/* Runs @what with faults caught: a statement. */
#define TRY(c, what)                                                                    \
	__extension__({                                                                 \
		sigjmp_buf try_out;                                                     \
		struct fault try_fault = {.vector = RIG_OK};                            \
		(c)->out = &try_out;                                                    \
		if (!sigsetjmp(try_out, 0)) {                                           \
			what;                                                           \
		} else {                                                                \
			try_fault = (struct fault){(c)->event.vector, (c)->event.error, \
						   (c)->event.address};                 \
		}                                                                       \
		try_fault;                                                              \
	})

static int rig_slot_set(struct vm *vm, const struct as_map *m, bool remove, bool log, struct err *e)
{
	(void)vm;
	return mmu_slot_set(&rig.bvm, m, remove, log, e);
}

static int rig_slot_dirty(struct vm *vm, const struct as_map *m, uint64_t *bitmap, struct err *e)
{
	(void)vm;
	(void)m;
	(void)bitmap;
	(void)e;
	mmu_slot_dirty(&rig.bvm);
	return 0;
}

static struct ram *rig_map(gpa_t at, uint64_t size, bool rom)
{
	struct err e = ERR_INIT;
	struct ram *r;

	assert_int_equal(ram_new(rig.vm, rom ? "rom" : "ram", size, RAM_ANON, &r, &e), 0);
	r->rom = rom;
	assert_int_equal(as_map_ram(&rig.vm->mem, at, r, 0, size, &e), 0);
	return r;
}

/* What changed c's registers by hand calls this. */
static inline void rig_mode(struct bt_cpu *c)
{
	c->mode.user = c->mode.cpl == 3;
	c->mode.prot = c->cr0 & X86_CR0_PE;
	c->mode.lma = c->efer & X86_EFER_LMA;
	mmu_mode_changed(c);
}

static struct bt_cpu *rig_cpu(unsigned index)
{
	struct bt_cpu *c = sys_alloc(sizeof(*c));
	struct err e = ERR_INIT;

	assert_non_null(c);
	c->bvm = &rig.bvm;
	c->v = &rig.vm->vcpus[index];
	c->cpuid = rig.cpuid;
	c->n_cpuid = ARRAY_LEN(rig.cpuid);
	c->cr0 = X86_CR0_PE;
	c->mode.code = 4;
	assert_int_equal(mmu_init(c, &e), 0);
	rig.cpu[index] = c;
	atomic_store(&rig.list[index], c);
	rig_mode(c);
	mmu_idle(c, false);
	return c;
}

/* RAM from 0, a page of ROM, a device, and @n CPUs in flat protected mode without paging. */
static struct bt_cpu *rig_new(unsigned n)
{
	static struct accel_ops ops;
	struct err e = ERR_INIT;
	struct vm_options o = {
		.name = "fake", .arch = &fake_arch, .accel = &ops, .n_vcpus = RIG_CPUS};

	memset(&fake, 0, sizeof(fake));
	memset(&rig, 0, sizeof(rig));
	memset(&rig_apic, 0, sizeof(rig_apic));
	ops = fake_accel;
	ops.slot_set = rig_slot_set;
	ops.slot_dirty = rig_slot_dirty;
	o.loop = loop_new(&e);
	assert_non_null(o.loop);
	assert_int_equal(vm_new(&o, &rig.vm, &e), 0);
	rig.bvm.vm = rig.vm;
	rig.bvm.n = n;
	rig.bvm.cpu = rig.list;
	rig.bvm.a20_mask = UINT64_MAX;
	pthread_mutex_init(&rig.bvm.exclusive, NULL);
	assert_int_equal(mmu_vm_init(&rig.bvm, &e), 0);
	rig.ram = rig_map(0, RIG_RAM, false);
	rig.rom = rig_map(RIG_ROM, GUEST_PAGE, true);
	rig.regs = regs_new(rig.vm, RIG_DEV);
	rig.cpuid[0] = (struct x86_cpuid){.leaf = 0x80000001, .edx = 1u << 26};
	rig.cpuid[1] = (struct x86_cpuid){.leaf = 0x80000008, .eax = 46};
	rig.next = 0x1000;
	for (unsigned i = 0; i < n; i++)
		rig_cpu(i);
	return rig.cpu[0];
}

static void rig_free(void)
{
	for (unsigned i = 0; i < rig.bvm.n; i++) {
		atomic_store(&rig.list[i], NULL);
		mmu_exit(rig.cpu[i]);
		free(rig.cpu[i]);
	}
	mmu_vm_exit(&rig.bvm);
	pthread_mutex_destroy(&rig.bvm.exclusive);
	fake_vm_free(rig.vm);
}

static gpa_t rig_page(void)
{
	rig.next += GUEST_PAGE;
	return rig.next - GUEST_PAGE;
}

static inline uint64_t *rig_u64(gpa_t pa)
{
	return (uint64_t *)(void *)(rig.ram->host + pa);
}

static inline uint32_t *rig_u32(gpa_t pa)
{
	return (uint32_t *)(void *)(rig.ram->host + pa);
}

/*
 * The entry for @la, @shift, in 64-bit tables whose root (of entries of 2^@top bytes) is at @root;
 * tables on the way are made with all permissions.
 */
static inline uint64_t *rig_entry(gpa_t root, unsigned top, uint64_t la, unsigned shift)
{
	for (unsigned s = top;; s -= 9) {
		uint64_t *e = rig_u64(root) + (la >> s & 0x1ff);

		if (s == shift)
			return e;
		if (!(*e & X86_PTE_P))
			*e = rig_page() | X86_PTE_P | X86_PTE_RW | X86_PTE_US;
		root = *e & 0xffffffffff000;
	}
}

/* 4-level paging on, with an empty root.  CPL 0. */
static inline void rig_long(struct bt_cpu *c)
{
	c->cr0 = X86_CR0_PE | X86_CR0_PG | X86_CR0_WP;
	c->cr4 = X86_CR4_PAE | X86_CR4_PGE;
	c->efer = X86_EFER_LME | X86_EFER_LMA | X86_EFER_NXE;
	c->cr3 = rig_page();
	c->mode.code = 8;
	rig_mode(c);
}

/* Maps a page of 2^@shift bytes at @la in c's 4-level tables to @entry (address and flags). */
static inline uint64_t *rig_put(struct bt_cpu *c, uint64_t la, unsigned shift, uint64_t entry)
{
	uint64_t *e = rig_entry(c->cr3 & PAGE_MASK, 39, la, shift);

	*e = entry | X86_PTE_P | (shift > 12 ? X86_PTE_PS : 0);
	return e;
}

#endif
