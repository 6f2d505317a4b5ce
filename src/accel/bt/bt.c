/*
 * accel/bt/bt.c - the software CPU as an accelerator.
 */
#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "accel/bt/block.h"
#include "accel/bt/cpu.h"
#include "accel/bt/mmu.h"
#include "accel/bt/msr.h"
#include "accel/bt/pure.h"
#include "accel/bt/run.h"
#include "accel/list.h"
#include "base/sys.h"

static int vm_init(struct vm *vm, struct err *e)
{
	struct bt_vm *b = sys_alloc(sizeof(*b));

	if (!b)
		return err_nomem(e, sizeof(*b), "a software VM");
	vm->accel_data = b;
	b->vm = vm;
	b->n = vm->n_vcpus;
	b->a20_mask = ~UINT64_C(0);
	pthread_mutex_init(&b->exclusive, NULL);
	b->cpu = sys_alloc(b->n * sizeof(struct bt_cpu *));
	if (!b->cpu)
		return err_nomem(e, b->n * sizeof(struct bt_cpu *), "a software VM");
	return mmu_vm_init(b, e);
}

static void cpu_free(struct bt_cpu *c)
{
	if (!c)
		return;
	if (c->lapic)
		lapic_exit(c->lapic);
	block_exit(c);
	pure_exit(c);
	mmu_exit(c);
	free(c->cpuid);
	free(c);
}

static void vm_exit(struct vm *vm)
{
	struct bt_vm *b = vm->accel_data;

	if (!b)
		return;
	for (unsigned i = 0; b->cpu && i < b->n; i++)
		cpu_free(atomic_exchange(&b->cpu[i], NULL));
	if (b->chips_ready)
		x86_userchip_exit(&b->chips);
	lapic_bus_exit(&b->bus);
	mmu_vm_exit(b);
	free(b->cpu);
	pthread_mutex_destroy(&b->exclusive);
	free(b);
	vm->accel_data = NULL;
}

static int irqchip_init_user(struct vm *vm, enum irqchip_mode mode, struct err *e)
{
	struct bt_vm *b = vm->accel_data;
	int rc;

	(void)mode; /* there is no other: .user_chips */
	rc = lapic_bus_init(&b->bus, b->n, e);
	if (!rc)
		rc = x86_userchip_init(&b->chips, vm, X86_IOAPIC_PINS, &x86_userchip_lapics,
				       &b->bus, e);
	b->chips_ready = !rc;
	return rc;
}

static int slot_set(struct vm *vm, const struct as_map *m, bool remove, bool log, struct err *e)
{
	return mmu_slot_set(vm->accel_data, m, remove, log, e);
}

/* Writes are in the maps' own log (ram_mark_dirty): there is nothing to add. */
static int slot_dirty(struct vm *vm, const struct as_map *m, uint64_t *bitmap, struct err *e)
{
	(void)m;
	(void)bitmap;
	(void)e;
	mmu_slot_dirty(vm->accel_data);
	return 0;
}

/* The local APIC's view of its vCPU. */
static void apic_signal(void *arg)
{
	bt_attend(arg, BT_ATTN_IRQ);
}

static void apic_timer(void *arg, bool armed, uint64_t when)
{
	bt_timer_set(arg, armed, when);
}

static uint64_t apic_now(void *arg)
{
	struct bt_cpu *c = arg;

	return clock_now(&c->v->vm->clock);
}

static uint64_t apic_tsc_when(void *arg, uint64_t tsc)
{
	struct bt_cpu *c = arg;
	uint64_t now = clock_now(&c->v->vm->clock), when = tsc - bt_tsc_offset(c);

	/* What is far from now on the other side of the wrap is far in the past, or the future. */
	if ((int64_t)(when - now) > 0)
		return when > now ? when : UINT64_MAX;
	return when <= now ? when : 0;
}

static const struct lapic_ops apic_ops = {apic_signal, apic_timer, apic_now, apic_tsc_when};

/* An access of the vCPU to the page of its local APIC: aligned 32 bits, or nothing. */
int bt_lapic_mmio(struct bt_cpu *c, gpa_t pa, void *data, unsigned size, bool write)
{
	uint32_t off = pa & 0xfff, val;

	if (!c->lapic || (pa & ~(gpa_t)0xfff) != lapic_window(c->lapic))
		return 0;
	if (write) {
		memcpy(&val, data, sizeof(val));
		if (size == 4 && !(off & 3))
			lapic_mmio_write(c->lapic, off, val);
		return 1;
	}
	memset(data, 0, size);
	val = lapic_mmio_read(c->lapic, off & ~3u);
	memcpy(data, (uint8_t *)&val + (off & 3), MIN(size, 4 - (off & 3)));
	return 1;
}

static int cpu_init(struct bt_cpu *c, struct err *e)
{
	struct lapic_config config = {.apic_id = x86_apic_id(&c->v->vm->topology, c->v->index),
				      .bsp = c->v->index == 0,
				      .x2apic = true,
				      .tsc_deadline = true,
				      .phys_bits = BT_PHYS_BITS};
	int rc;

	lapic_init(&c->apic, &c->bvm->bus, c->v->index, &config, &apic_ops, c);
	c->lapic = &c->apic;
	rc = bt_cpuid_init(c, e);
	if (!rc)
		rc = pure_init(c, e);
	if (!rc)
		rc = mmu_init(c, e);
	if (!rc)
		rc = block_init(c, e);
	if (!rc)
		rc = bt_timer_init(c, e);
	return rc;
}

static int vcpu_init(struct vcpu *v, struct err *e)
{
	struct bt_vm *b = v->vm->accel_data;
	struct bt_cpu *c = aligned_alloc(64, (sizeof(*c) + 63) & ~(size_t)63);
	int rc;

	if (!c)
		return err_nomem(e, sizeof(*c), "a software CPU");
	memset(c, 0, sizeof(*c));
	c->v = v;
	c->bvm = b;
	v->accel = c;
	rc = cpu_init(c, e);
	if (rc) {
		bt_timer_exit(c);
		cpu_free(c);
		v->accel = NULL;
		return rc;
	}
	atomic_store(&b->cpu[v->index], c);
	return 0;
}

/* The rest stays until vm_exit: others may still signal it. */
static void vcpu_exit(struct vcpu *v)
{
	bt_timer_exit(v->accel);
}

static int state_get(struct vcpu *v, struct err *e)
{
	return bt_state_get(v->accel, v->state, e);
}

static int state_put(struct vcpu *v, struct err *e)
{
	return bt_state_put(v->accel, v->state, e);
}

static int state_peek(struct vcpu *v, struct err *e)
{
	(void)e;
	bt_state_peek(v->accel, v->state);
	return 0;
}

static void probe(struct accel_report *r)
{
	struct debug_limits l;
	char text[160];

	r->present = r->usable = true;
	str_copy(r->summary, sizeof(r->summary), "runs 64-bit kernels in software");
	accel_fact(r, "kind", "interpreter");
	bt_debug_limits(NULL, &l);
	debug_limits_show(&l, text, sizeof(text));
	accel_fact(r, "guest-debug", "%s", text);
}

const struct accel_ops accel_bt = {
	.name = "bt",
	.help = BT_HELP,
	.user_chips = true,
	.probe = probe,
	.vm_init = vm_init,
	.vm_exit = vm_exit,
	.irqchip_init = irqchip_init_user,
	.slot_set = slot_set,
	.slot_dirty = slot_dirty,
	.vcpu_init = vcpu_init,
	.vcpu_exit = vcpu_exit,
	.vcpu_run = bt_vcpu_run,
	.state_get = state_get,
	.state_put = state_put,
	.state_peek = state_peek,
	.debug_limits = bt_debug_limits,
	.debug_set = bt_debug_set,
	.vcpu_kick = bt_vcpu_kick,
	.vcpu_nmi = bt_vcpu_nmi,
};
