/*
 * A VM without a real CPU, for tests of core: vCPUs that only count entries, an interrupt chip that
 * remembers levels, a manual clock, and one register-file device.
 */
#ifndef LODGE_TESTS_FAKE_VM_H
#define LODGE_TESTS_FAKE_VM_H

#include <errno.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include <cmocka.h>

#include "core/vm.h"

/* One vCPU register, so that there is something to save. */
struct fake_state {
	uint64_t pc;
};
static const struct field fake_state_fields[] = {FIELD(struct fake_state, pc, )};
static const struct state_table fake_state_table = STATE_TABLE("fake-cpu", 1, fake_state_fields);

static void fake_vcpu_reset(void *state, unsigned index)
{
	((struct fake_state *)state)->pc = 0x1000 + index;
}

static uint64_t fake_pc(const void *state)
{
	return ((const struct fake_state *)state)->pc;
}

static void fake_show(const void *state, struct strbuf *out)
{
	strbuf_printf(out, "pc %llx\n", (unsigned long long)fake_pc(state));
}

static const char *fake_doing(const void *state)
{
	(void)state;
	return "pretending";
}

static bool fake_translate(const void *state, struct as *mem, uint64_t va, gpa_t *pa)
{
	(void)state;
	(void)mem;
	*pa = va;
	return true;
}

static const struct arch fake_arch = {
	.name = "fake",
	.long_name = "fake",
	.max_vcpus = 64,
	.vcpu_state_size = sizeof(struct fake_state),
	.vcpu_state = &fake_state_table,
	.vcpu_reset = fake_vcpu_reset,
	.pc = fake_pc,
	.show = fake_show,
	.doing = fake_doing,
	.translate = fake_translate,
};

/* What the tests look at; one VM at a time. */
static struct {
	struct irqchip chip;
	bool level[IRQ_PINS];
	unsigned edges[IRQ_PINS];
	unsigned slots_set, slots_removed;
	/* Of hold_writes: the last call, and how many ranges may be held now. */
	struct {
		enum as_kind space;
		gpa_t base;
		uint64_t len;
		int ranges;
	} held;
	int fail_slot, fail_vcpu; /* error to give, or 0 */
	int fail_put;		  /* of vCPU 1 */
	_Atomic bool hold_vcpu;	  /* vCPU 1 takes its time to be created */
	_Atomic unsigned puts;
	enum vcpu_stop stop; /* what vcpu_run answers */
	struct debug_limits limits;
	struct vcpu_debug debug; /* vCPU 1's */
	_Atomic bool debug_step; /* of it */
	_Atomic unsigned kicks;
} fake;

static void fake_irq_set(struct irqchip *c, unsigned pin, bool level)
{
	(void)c;
	fake.level[pin] = level;
	fake.edges[pin] += level;
}

static void fake_msi(struct irqchip *c, const struct msi *m)
{
	(void)c;
	(void)m;
}

static const struct irqchip_ops fake_chip_ops = {
	.name = "fake", .set = fake_irq_set, .msi = fake_msi};

static int fake_vm_init(struct vm *vm, struct err *e)
{
	(void)e;
	vm->accel_data = &fake;
	irqchip_init(&fake.chip, vm, &fake_chip_ops, 32);
	vm->irqchip = &fake.chip;
	return 0;
}

static void fake_vm_exit(struct vm *vm)
{
	if (vm->accel_data)
		irqchip_exit(&fake.chip);
}

static int fake_slot_set(struct vm *vm, const struct as_map *m, bool remove, bool log,
			 struct err *e)
{
	(void)vm;
	(void)m;
	(void)log;
	if (fake.fail_slot)
		return err_set(e, fake.fail_slot, "no slot today");
	if (remove)
		fake.slots_removed++;
	else
		fake.slots_set++;
	return 0;
}

static void fake_hold_writes(struct vm *vm, enum as_kind space, gpa_t base, uint64_t len, bool hold)
{
	(void)vm;
	fake.held.space = space;
	fake.held.base = base;
	fake.held.len = len;
	fake.held.ranges += hold ? 1 : -1;
}

static int fake_vcpu_init(struct vcpu *v, struct err *e)
{
	struct timespec ts = {0, 200000};

	while (v->index == 1 && atomic_load(&fake.hold_vcpu))
		nanosleep(&ts, NULL);
	if (fake.fail_vcpu && v->index == 1)
		return err_set(e, fake.fail_vcpu, "no vCPU today");
	return 0;
}

static int fake_state_put(struct vcpu *v, struct err *e)
{
	atomic_fetch_add(&fake.puts, 1);
	if (fake.fail_put && v->index == 1)
		return err_set(e, fake.fail_put, "no state today");
	return 0;
}

static void fake_vcpu_exit(struct vcpu *v)
{
	(void)v;
}

/* "Runs" in slices of 0.2 ms, each one a return to core, as a guest with many exits does. */
static enum vcpu_stop fake_vcpu_run(struct vcpu *v)
{
	struct timespec ts = {0, 200000};

	if (atomic_load(&v->requests))
		return VCPU_KICKED;
	atomic_fetch_add(&v->entries, 1);
	nanosleep(&ts, NULL);
	if (v->index == 1 && atomic_load(&fake.debug_step)) {
		v->debug_stop = (struct debug_stop){.why = DEBUG_STEPPED, .pc = 0x1001};
		return VCPU_DEBUG;
	}
	return fake.stop;
}

static void fake_debug_limits(struct vm *vm, struct debug_limits *l)
{
	(void)vm;
	*l = fake.limits;
}

static int fake_debug_set(struct vcpu *v, const struct vcpu_debug *d, struct err *e)
{
	(void)e;
	if (v->index == 1) {
		fake.debug = *d;
		atomic_store(&fake.debug_step, d->step);
	}
	return 0;
}

static void fake_vcpu_kick(struct vcpu *v)
{
	(void)v;
	atomic_fetch_add(&fake.kicks, 1);
}

static const struct accel_ops fake_accel = {
	.name = "fake",
	.manual_clock = true,
	.vm_init = fake_vm_init,
	.vm_exit = fake_vm_exit,
	.slot_set = fake_slot_set,
	.hold_writes = fake_hold_writes,
	.vcpu_init = fake_vcpu_init,
	.vcpu_exit = fake_vcpu_exit,
	.vcpu_run = fake_vcpu_run,
	.state_put = fake_state_put,
	.debug_limits = fake_debug_limits,
	.debug_set = fake_debug_set,
	.vcpu_kick = fake_vcpu_kick,
};

static inline struct vm *fake_vm_new(unsigned n_vcpus)
{
	struct err e = ERR_INIT;
	struct vm_options o = {
		.name = "fake", .arch = &fake_arch, .accel = &fake_accel, .n_vcpus = n_vcpus};
	struct vm *vm;

	memset(&fake, 0, sizeof(fake));
	o.loop = loop_new(&e);
	assert_non_null(o.loop);
	assert_int_equal(vm_new(&o, &vm, &e), 0);
	return vm;
}

static inline void fake_vm_free(struct vm *vm)
{
	struct loop *l = vm->loop;

	vm_free(vm);
	loop_free(l);
}

/* A device with eight bytes of registers, a timer and a property. */
struct regs {
	struct device dev;
	uint8_t reg[8];
	uint16_t word;
	bool flag;
	struct timer timer;
	uint32_t fired;
	uint32_t limit; /* property */
};

static uint64_t regs_read(struct device *d, uint64_t off, unsigned size)
{
	uint64_t v = 0;

	memcpy(&v, ((struct regs *)d)->reg + off, size);
	return v;
}

static void regs_write(struct device *d, uint64_t off, unsigned size, uint64_t val)
{
	memcpy(((struct regs *)d)->reg + off, &val, size);
}

static void regs_fire(struct device *d)
{
	((struct regs *)d)->fired++;
}

static int regs_init(struct device *d, struct err *e)
{
	return timer_init(&((struct regs *)d)->timer, d, regs_fire, e);
}

static void regs_exit(struct device *d)
{
	timer_exit(&((struct regs *)d)->timer);
}

static const struct field regs_fields[] = {
	FIELD(struct regs, reg, .reset = 0x5a),
	FIELD(struct regs, word, .max = 1000, .reset = 7),
	FIELD(struct regs, flag, ),
	FIELD(struct regs, timer, ),
	FIELD(struct regs, fired, .since = 2),
};
static const struct state_table regs_table = STATE_TABLE("regs", 2, regs_fields);
static const struct prop regs_props[] = {
	PROP(struct regs, limit, "an upper limit", .max = 100, .dflt = "42"),
};
static const struct device_class regs_class = {
	.name = "regs",
	.help = "eight bytes of registers",
	.size = sizeof(struct regs),
	.props = regs_props,
	.n_props = ARRAY_LEN(regs_props),
	.state = &regs_table,
	.io = {{regs_read, regs_write, .sizes = 1 | 2, .space = AS_MEMORY, .len = 8}},
	.n_irqs = 1,
	.init = regs_init,
	.exit = regs_exit,
};

static inline struct regs *regs_new(struct vm *vm, gpa_t at)
{
	struct err e = ERR_INIT;
	struct device *d;

	assert_int_equal(device_new(vm, &regs_class, NULL, &d, &e), 0);
	device_place(d, 0, at);
	assert_int_equal(device_init(d, &e), 0);
	return (struct regs *)d;
}

#endif
