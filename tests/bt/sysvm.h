/*
 * bt/sysvm.h - a VM of software CPUs that the caller's own thread runs, a bounded number of rounds
 * at a time, with nothing of a real board but the interrupt chips: the same steps give the same
 * result every time.  For the system-level fuzzer and tests of hostile guests.
 *
 * Guest-physical memory: 640 KiB of RAM at 0, a device with registers at 0xc0000, ROM below 1 MiB,
 * 256 KiB of RAM at 1 MiB and 64 KiB at 4 GiB, the chips where a board has them.  What the host has
 * on either side of each block of RAM cannot be accessed.
 */
#ifndef LODGE_TESTS_BT_SYSVM_H
#define LODGE_TESTS_BT_SYSVM_H

#include <fenv.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>

#include "accel/bt/block.h"
#include "accel/bt/exec/sys.h"
#include "accel/bt/mmu_private.h"
#include "accel/bt/run.h"
#include "accel/list.h"
#include "arch/arch.h"
#include "base/log.h"
#include "core/state.h"
#include "base/sys.h"
#include "device/devices.h"

#define SYSVM_CPUS  2u
#define SYSVM_RAMS  4u
#define SYSVM_DEV   0xc0000u
#define SYSVM_ROM   0xf0000u
#define SYSVM_HIGH  0x100000u
#define SYSVM_FAR   UINT64_C(0x100000000)
#define SYSVM_GUARD (UINT64_C(1) << 24) /* bytes on either side */

static const struct {
	uint64_t at, len;
	bool rom;
} sysvm_map[SYSVM_RAMS] = {
	{0, 0xa0000, false},
	{SYSVM_ROM, 0x10000, true},
	{SYSVM_HIGH, 0x40000, false},
	{SYSVM_FAR, 0x10000, false},
};

/* What host code relies on in struct bt_cpu and no guest may change. */
struct sysvm_fixed {
	struct bt_vm *bvm;
	struct vcpu *v;
	struct lapic *lapic;
	struct x86_cpuid *cpuid;
	struct bt_mmu *mmu;
	struct bt_blocks *blocks;
	struct bt_pure *pure;
	struct insn_features features;
	unsigned n_cpuid;
};

static struct sysvm {
	struct loop *loop;
	struct vm *vm;
	struct bt_vm *bvm;
	unsigned n;
	struct bt_cpu *cpu[SYSVM_CPUS];
	struct sysvm_fixed fixed[SYSVM_CPUS];
	struct ram *ram[SYSVM_RAMS];
	struct device *dev;
	unsigned accesses; /* that the device saw */
} sysvm;

static uint64_t sysvm_dev_read(struct device *d, uint64_t off, unsigned size)
{
	(void)d;
	sysvm.accesses++;
	return (off * UINT64_C(0x0101010101010101) + sysvm.accesses) & mask_of(size);
}

static void sysvm_dev_write(struct device *d, uint64_t off, unsigned size, uint64_t val)
{
	(void)size;
	sysvm.accesses++;
	if (off < 8)
		irq_set(d->irq[off & 1], val & 1);
}

static const struct device_class sysvm_class = {
	.name = "sysvm",
	.help = "registers that answer with their address",
	.size = sizeof(struct device),
	.stateless = true,
	.n_irqs = 2,
	.io = {{sysvm_dev_read, sysvm_dev_write, .sizes = 1 | 2 | 4 | 8, .space = AS_MEMORY,
		.len = 0x2000, .base = SYSVM_DEV},
	       {sysvm_dev_read, sysvm_dev_write, .sizes = 1 | 2 | 4, .space = AS_PORTS, .len = 16,
		.base = 0x100}},
};

static inline void sysvm_check(int rc, const struct err *e)
{
	if (rc) {
		log_error("%s", e->msg);
		abort();
	}
}

/* The memory of @r moves to where nothing can be accessed around it. */
static void sysvm_guard(struct ram *r)
{
	uint8_t *p = mmap(NULL, r->size + 2 * SYSVM_GUARD, PROT_NONE,
			  MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE, -1, 0);

	BUG_ON(p == MAP_FAILED);
	munmap(r->host, r->size);
	r->host = p + SYSVM_GUARD;
	BUG_ON(mprotect(r->host, r->size, PROT_READ | PROT_WRITE));
}

static void sysvm_device(const struct device_class *class, int pin, struct device **out)
{
	struct err e = ERR_INIT;
	struct device *d;

	sysvm_check(device_new(sysvm.vm, class, NULL, &d, &e), &e);
	for (unsigned i = 0; pin >= 0 && i < class->n_irqs; i++)
		sysvm_check(device_wire(d, i, (unsigned)pin + i, &e), &e);
	sysvm_check(device_init(d, &e), &e);
	if (out)
		*out = d;
}

static void sysvm_cpu(unsigned n)
{
	struct vcpu *v = &sysvm.vm->vcpus[n];
	struct err e = ERR_INIT;
	struct bt_cpu *c;

	v->state = sys_alloc(sysvm.vm->arch->vcpu_state_size);
	BUG_ON(!v->state);
	sysvm.vm->arch->vcpu_identify(v->state, &sysvm.vm->topology, n);
	sysvm_check(sysvm.vm->accel->vcpu_init(v, &e), &e);
	c = v->accel;
	sysvm.cpu[n] = c;
	sysvm.fixed[n] = (struct sysvm_fixed){c->bvm,	 c->v,	  c->lapic,    c->cpuid,  c->mmu,
					      c->blocks, c->pure, c->features, c->n_cpuid};
}

static inline void sysvm_init(unsigned cpus)
{
	static struct accel_ops ops;
	struct vm_options o = {.name = "sys",
			       .arch = &arch_x86,
			       .accel = &ops,
			       .n_vcpus = cpus,
			       .cpu_model = "host,+smap,+umip,+la57"};
	struct err e = ERR_INIT;

	ops = accel_bt;
	ops.manual_clock = true;
	sysvm.n = cpus;
	sysvm.loop = o.loop = loop_new(&e);
	BUG_ON(!o.loop);
	sysvm_check(vm_new(&o, &sysvm.vm, &e), &e);
	sysvm.bvm = sysvm.vm->accel_data;
	for (unsigned i = 0; i < SYSVM_RAMS; i++) {
		sysvm_check(ram_new(sysvm.vm, "ram", sysvm_map[i].len, RAM_ANON, &sysvm.ram[i], &e),
			    &e);
		sysvm.ram[i]->rom = sysvm_map[i].rom;
		sysvm_guard(sysvm.ram[i]);
		sysvm_check(as_map_ram(&sysvm.vm->mem, sysvm_map[i].at, sysvm.ram[i], 0,
				       sysvm_map[i].len, &e),
			    &e);
	}
	sysvm_check(sysvm.vm->accel->irqchip_init(sysvm.vm, IRQCHIP_USER, &e), &e);
	for (unsigned i = 0; i < cpus; i++)
		sysvm_cpu(i);
	sysvm_device(device_class_find("i8259"), -1, NULL);
	sysvm_device(device_class_find("ioapic"), -1, NULL);
	sysvm_device(device_class_find("i8254"), 0, NULL);
	sysvm_device(&sysvm_class, 4, &sysvm.dev);
}

/* vCPU @n as it was put together in its .state. */
static inline int sysvm_put(unsigned n, struct err *e)
{
	return sysvm.vm->accel->state_put(&sysvm.vm->vcpus[n], e);
}

static inline struct x86_vcpu *sysvm_state(unsigned n)
{
	return sysvm.vm->vcpus[n].state;
}

/* Memory empty, chips and vCPUs as at power-on, VM time 0, no block and no translation known. */
static inline void sysvm_reset(void)
{
	struct err e = ERR_INIT;
	struct list *l;

	clock_set(&sysvm.vm->clock, 0);
	for (l = sysvm.vm->devices.next; l != &sysvm.vm->devices; l = l->next)
		device_reset(list_entry(l, struct device, link));
	for (unsigned i = 0; i < SYSVM_RAMS; i++) {
		memset(sysvm.ram[i]->host, sysvm_map[i].rom ? 0xcc : 0, sysvm_map[i].len);
		bt_code_written(sysvm.bvm, sysvm.ram[i], 0, sysvm_map[i].len);
	}
	sysvm.accesses = 0;
	for (unsigned n = 0; n < sysvm.n; n++) {
		x86_vcpu_reset(sysvm_state(n), n);
		sysvm_check(sysvm_put(n, &e), &e);
		block_flush(sysvm.cpu[n]);
		mmu_forget(sysvm.cpu[n]);
		sysvm.cpu[n]->irq_waits = false;
		atomic_store(&sysvm.cpu[n]->attention, BT_ATTN_IRQ);
	}
}

/* Where guest-physical @pa is, which is RAM or ROM. */
static inline uint8_t *sysvm_at(uint64_t pa)
{
	for (unsigned i = 0; i < SYSVM_RAMS; i++)
		if (pa - sysvm_map[i].at < sysvm_map[i].len)
			return sysvm.ram[i]->host + (pa - sysvm_map[i].at);
	abort();
}

/* Writes as a device does. */
static inline void sysvm_dma(uint64_t pa, const void *src, size_t n)
{
	(void)as_write(&sysvm.vm->mem, pa, src, n);
}

/* Runs vCPU @n for at most @rounds of its loop; VCPU_KICKED: it would go on. */
static inline enum vcpu_stop sysvm_run(unsigned n, uint64_t rounds)
{
	struct bt_cpu *c = sysvm.cpu[n];
	uint32_t mxcsr = __builtin_ia32_stmxcsr();
	enum vcpu_stop stop;
	uint16_t fcw, after;

	__asm__ volatile("fnstcw %0" : "=m"(fcw));
	c->budget = rounds;
	atomic_fetch_or(&c->attention, BT_ATTN_BUDGET);
	stop = sysvm.vm->accel->vcpu_run(&sysvm.vm->vcpus[n]);
	atomic_fetch_and(&c->attention, ~(uint32_t)BT_ATTN_BUDGET);
	__asm__ volatile("fnstcw %0" : "=m"(after));
	BUG_ON(fcw != after || (mxcsr ^ __builtin_ia32_stmxcsr()) & ~0x3fu);
	return stop;
}

/* VM time goes on by @ns, and the vCPUs' timers look at it. */
static inline void sysvm_step(uint64_t ns)
{
	clock_step(&sysvm.vm->clock, ns);
	for (unsigned n = 0; n < sysvm.n; n++)
		atomic_fetch_or(&sysvm.cpu[n]->attention, BT_ATTN_TIMER);
}

/* Invariants. -------------------------------------------------------------------------------- */

/* Comparisons here are not what a fuzzer should learn from. */
#ifdef __clang__
#define SYSVM_UNSEEN __attribute__((no_sanitize("coverage")))
#else
#define SYSVM_UNSEEN
#endif

/* Is the page at host address @p one of the guest's, and to be written if @write? */
SYSVM_UNSEEN static bool sysvm_is_page(uintptr_t p, bool write)
{
	for (unsigned i = 0; i < SYSVM_RAMS; i++)
		if (p - (uintptr_t)sysvm.ram[i]->host <= sysvm_map[i].len - GUEST_PAGE)
			return !(p & (GUEST_PAGE - 1)) && !(write && sysvm_map[i].rom);
	return false;
}

SYSVM_UNSEEN static void sysvm_check_set(const struct mmu_set *s)
{
	for (unsigned i = 0; s->ready && i < BT_TLB_ENTRIES; i++) {
		const struct bt_tlbe *t = &s->t.e[i];
		bool used = s->used[i / 64] >> (i % 64) & 1;

		BUG_ON(!used && (t->rtag != BT_TLB_NONE || t->wtag != BT_TLB_NONE));
		if (!(t->rtag & (GUEST_PAGE - 1)))
			BUG_ON(!sysvm_is_page(t->rtag + t->addend, false));
		if (!(t->wtag & (GUEST_PAGE - 1)))
			BUG_ON(!sysvm_is_page(t->wtag + t->addend, true));
	}
}

/* All ways from vCPU @n into the host's memory, and what it derives from its registers. */
SYSVM_UNSEEN static inline void sysvm_check_cpu(unsigned n)
{
	struct bt_cpu *c = sysvm.cpu[n];
	const struct sysvm_fixed *f = &sysvm.fixed[n];
	struct bt_mode mode = c->mode;
	uint64_t base[6];

	BUG_ON(c->bvm != f->bvm || c->v != f->v || c->lapic != f->lapic || c->mmu != f->mmu ||
	       c->cpuid != f->cpuid || c->n_cpuid != f->n_cpuid || c->blocks != f->blocks ||
	       c->pure != f->pure || memcmp(&c->features, &f->features, sizeof(f->features)) != 0);
	for (unsigned i = 0; i < MMU_SPACES; i++)
		for (unsigned k = 0; k < MMU_CLASSES; k++)
			sysvm_check_set(&c->mmu->space[i].set[k]);
	for (unsigned i = 0; i < ITLB_ENTRIES; i++)
		if (c->mmu->itlb[i].host)
			BUG_ON(!sysvm_is_page((uintptr_t)c->mmu->itlb[i].host, false));
	memcpy(base, c->seg_base, sizeof(base));
	bt_mode_changed(c);
	BUG_ON(memcmp(&mode, &c->mode, sizeof(mode)) != 0);
	BUG_ON(memcmp(base, c->seg_base, sizeof(base)) != 0);
}

/* A state that came out goes in, and comes out as it was. */
static inline void sysvm_check_state(unsigned n)
{
	static struct x86_vcpu before;
	struct vcpu *v = &sysvm.vm->vcpus[n];
	struct strbuf diff = {0};
	struct err e = ERR_INIT;

	sysvm_check(sysvm.vm->accel->state_get(v, &e), &e);
	memcpy(&before, v->state, sizeof(before));
	sysvm_check(sysvm_put(n, &e), &e);
	sysvm_check(sysvm.vm->accel->state_get(v, &e), &e);
	if (memcmp(&before, v->state, sizeof(before)) != 0 &&
	    state_diff(&x86_vcpu_table, &before, v->state, &diff)) {
		log_error("vCPU %u: %s", n, strbuf_str(&diff));
		abort();
	}
	strbuf_exit(&diff);
}

#endif
