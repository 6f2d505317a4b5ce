/*
 * tests/insn/rig.c - executes one instruction in the software CPU: a VM of one vCPU in 64-bit mode
 * at CPL 3, with the little world's three pages mapped and nothing else.
 *
 * Guest-physical memory: page tables from 0x1000, the code at 0x10000, the data at 0x20000.  Trials
 * run on the vCPU's own thread, by vcpu_call, while it is parked.
 */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "accel/bt/block.h"
#include "accel/bt/cpu.h"
#include "accel/bt/flags.h"
#include "accel/bt/mmu.h"
#include "accel/list.h"
#include "arch/arch.h"
#include "insn_test.h"

#define RAM_SIZE 0x40000u
#define AT_PML4	 0x1000u
#define AT_PDPT	 0x2000u
#define AT_PD	 0x3000u
#define AT_PT	 0x4000u /* two: code, data */
#define AT_CODE	 0x10000u
#define AT_DATA	 0x20000u
#define AT_TSS	 0x6000u
#define PTE	 7u /* present, writable, user */

/* CR4: PSE, PAE, MCE, PGE, OSFXSR, OSXMMEXCPT, OSXSAVE. */
#define CR4 0x406f0u

static struct loop *loop;
static struct vm *vm;
static struct ram *ram;
static bool wide[2]; /* AVX, AVX-512 */

struct job {
	const struct trial *t;
	const struct insn *i;
	struct outcome *out;
};

static _Noreturn void give_up(const struct err *e)
{
	fprintf(stderr, "rig: %s\n", e->msg);
	exit(1);
}

static void put64(uint64_t at, uint64_t val)
{
	memcpy(ram->host + at, &val, 8);
}

static void tables(void)
{
	unsigned code = WORLD_CODE >> 21 & 511, data = WORLD_DATA >> 21 & 511;

	put64(AT_PML4, AT_PDPT | PTE);
	put64(AT_PDPT, AT_PD | PTE); /* WORLD_CODE and WORLD_DATA are below 1 GiB */
	put64(AT_PD + 8 * code, AT_PT | PTE);
	put64(AT_PD + 8 * data, (AT_PT + 4096) | PTE);
	put64(AT_PT, AT_CODE | PTE);
	for (unsigned n = 0; n < WORLD_DATA_LEN / WORLD_PAGE; n++)
		put64(AT_PT + 4096 + 8 * n, (AT_DATA + WORLD_PAGE * n) | PTE);
}

static void first_state(struct x86_vcpu *s)
{
	uint32_t code = 0xb | X86_SEG_S | 3u << 5 | X86_SEG_P | X86_SEG_L | X86_SEG_G;
	uint32_t flat = 0x3 | X86_SEG_S | 3u << 5 | X86_SEG_P | X86_SEG_DB | X86_SEG_G;

	x86_seg_set(&s->seg[X86_CS], 0x33, 0, 0xffffffff, code);
	for (unsigned n = 0; n < 6; n++)
		if (n != X86_CS)
			x86_seg_set(&s->seg[n], n == X86_SS ? 0x2b : 0, 0, 0xffffffff, flat);
	/* No port is a program's: IOPL is 0, and the TSS has no bitmap. */
	x86_seg_set(&s->seg[X86_TR], 0x40, AT_TSS, 0x65, 0xb | X86_SEG_P);
	s->cr0 = X86_CR0_PE | X86_CR0_PG | X86_CR0_MP | X86_CR0_NE | X86_CR0_WP | X86_CR0_ET;
	s->cr3 = AT_PML4;
	s->cr4 = CR4;
	s->efer = X86_EFER_LME | X86_EFER_LMA | X86_EFER_SCE | X86_EFER_NXE;
	s->xcr0 = bt_xcr0_host();
	s->rip = WORLD_CODE;
}

static void set_state(struct vcpu *v, void *arg)
{
	struct err e = ERR_INIT;

	x86_vcpu_reset(v->state, 0);
	first_state(v->state);
	*(int *)arg = vm->accel->state_put(v, &e);
	if (*(int *)arg)
		give_up(&e);
}

static int board_reset(struct vm *m, struct err *e)
{
	(void)m;
	(void)e;
	return 0;
}

void rig_start(const struct machine *m)
{
	struct err e = ERR_INIT;
	struct vm_options o = {.name = "insn", .arch = &arch_x86, .n_vcpus = 1};
	int rc;

	wide[0] = m->avx;
	wide[1] = m->avx512;
	loop = loop_new(&e);
	if (!loop)
		give_up(&e);
	o.loop = loop;
	o.accel = &accel_bt;
	rc = vm_new(&o, &vm, &e);
	if (!rc)
		rc = ram_new(vm, "ram", RAM_SIZE, RAM_ANON, &ram, &e);
	if (!rc)
		rc = as_map_ram(&vm->mem, 0, ram, 0, RAM_SIZE, &e);
	if (!rc)
		rc = vm->accel->irqchip_init(vm, IRQCHIP_USER, &e);
	if (!rc)
		rc = vm_start_vcpus(vm, &e);
	vm->board_reset = board_reset;
	if (!rc)
		rc = vm_reset(vm, &e);
	if (rc)
		give_up(&e);
	tables();
	(void)vcpu_call(&vm->vcpus[0], set_state, &rc);
}

static void ask_features(struct vcpu *v, void *arg)
{
	*(struct insn_features *)arg = ((struct bt_cpu *)v->accel)->features;
}

void rig_features(struct insn_features *f)
{
	(void)vcpu_call(&vm->vcpus[0], ask_features, f);
}

/* x87 registers are stored by stack position in the image. */
static void put_world(struct bt_cpu *c, const struct world *w)
{
	uint8_t *fx = c->ext.fx;

	memcpy(c->gpr, w->gpr, sizeof(c->gpr));
	c->rip = w->rip;
	c->rflags = (w->rflags & 0x8d5) | (w->rflags & 0x400) | 0x202;
	c->cc = CC_FLAGS;
	memcpy(c->ext.zmm, w->zmm, sizeof(c->ext.zmm));
	memcpy(c->ext.k, w->k, sizeof(c->ext.k));
	memset(fx, 0, sizeof(c->ext.fx));
	memcpy(fx, &w->fcw, 2);
	memcpy(fx + 2, &w->fsw, 2);
	fx[4] = w->ftw;
	for (unsigned n = 0; n < 8; n++)
		memcpy(fx + 32 + 16 * n, w->st[n], 10);
	c->ext.mxcsr = w->mxcsr;
	memcpy(ram->host + AT_DATA, w->data, WORLD_DATA_LEN);
}

static void get_world(struct bt_cpu *c, struct world *w)
{
	const uint8_t *fx = c->ext.fx;

	memcpy(w->gpr, c->gpr, sizeof(w->gpr));
	w->rip = c->rip;
	w->rflags = flags_get(c);
	memcpy(w->zmm, c->ext.zmm, sizeof(w->zmm));
	memcpy(w->k, c->ext.k, sizeof(w->k));
	memcpy(&w->fcw, fx, 2);
	memcpy(&w->fsw, fx + 2, 2);
	w->ftw = fx[4];
	for (unsigned n = 0; n < 8; n++)
		memcpy(w->st[n], fx + 32 + 16 * n, 10);
	w->mxcsr = c->ext.mxcsr;
	memcpy(w->data, ram->host + AT_DATA, WORLD_DATA_LEN);
}

/* Until it has gone on: a repeated instruction may ask to be run again. */
static void execute(struct bt_cpu *c, const struct trial *t, const struct insn *i)
{
	bool sets_rip = insn_table[i->row].attr & A_END;

	for (;;) {
		c->cur = i;
		c->end = i + 1;
		i->exec(c, i);
		if (!sets_rip)
			c->rip += i->len;
		if (!t->repeats || c->rip != t->before.rip)
			return;
	}
}

static void run_here(struct vcpu *v, void *arg)
{
	struct job *j = arg;
	struct bt_cpu *c = v->accel;
	struct outcome *out = j->out;
	sigjmp_buf leave;

	mmu_idle(c, false);
	put_world(c, &j->t->before);
	bt_mode_changed(c);
	c->out = &leave;
	out->fault = NO_FAULT;
	out->lost = 0;
	out->error = 0;
	out->address = 0;
	switch (sigsetjmp(leave, 0)) {
	case 0: execute(c, j->t, j->i); break;
	case BT_LEAVE_EVENT:
		out->fault = c->event.vector;
		out->error = c->event.has_error ? c->event.error : 0;
		out->address = c->event.vector == X86_PF ? c->event.address : 0;
		break;
	default: out->lost = 1; break;
	}
	get_world(c, &out->after);
	c->out = NULL;
	mmu_idle(c, true);
}

void rig_run(const struct trial *t, const struct insn *i, struct outcome *out)
{
	struct job j = {t, i, out};

	(void)vcpu_call(&vm->vcpus[0], run_here, &j);
}

struct call {
	void (*fn)(void *arg);
	void *arg;
};

static void call_here(struct vcpu *v, void *arg)
{
	struct call *c = arg;

	(void)v;
	c->fn(c->arg);
}

void rig_do(void (*fn)(void *arg), void *arg)
{
	struct call c = {fn, arg};

	(void)vcpu_call(&vm->vcpus[0], call_here, &c);
}

void rig_stop(void)
{
	vm_free(vm);
	loop_free(loop);
}
