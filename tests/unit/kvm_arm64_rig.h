/*
 * unit/kvm_arm64_rig.h - a small VM on an arm64 host's own /dev/kvm, for tests through the public
 * interface.
 *
 * 1 MiB of RAM at 0x40000000, the guest's code at RIG_CODE and entered there at EL1 with the MMU
 * off, x28 = the device's window and x27 = RIG_DATA; a device that remembers what it is told.
 * Guests are given as instruction words with their assembly beside them; one that takes exceptions
 * has its handlers, of at most 32 instructions, at RIG_VECTORS.  LODGE_TEST_GIC=2 or 3 asks for a
 * version of the GIC, otherwise it is the host's best.
 */
#ifndef LODGE_UNIT_KVM_ARM64_RIG_H
#define LODGE_UNIT_KVM_ARM64_RIG_H

#include <errno.h>
#include <unistd.h>

#include "unit.h"

#include "arch/arch.h"
#include "arch/arm64/config.h"
#include "arch/arm64/gic.h"
#include "arch/arm64/vcpu.h"
#include "base/sys.h"
#include "core/vm.h"

#define RIG_RAM	     0x40000000u
#define RIG_RAM_SIZE 0x100000u
#define RIG_CODE     0x40080000u
#define RIG_VECTORS  0x40010000u
#define RIG_SYNC     (RIG_VECTORS + 0x200)
#define RIG_IRQ	     (RIG_VECTORS + 0x280)
#define RIG_DATA     0x40020000u
#define RIG_MMIO     0x09000000u
#define RIG_GICD     0x08000000u
#define RIG_GICC     0x08010000u
#define RIG_ITS	     0x08080000u
#define RIG_GICR     0x080a0000u
#define RIG_GICR_2   0x20000000u /* the second CPU's and on */
#define RIG_SPIS     64u
#define RIG_EDGE     4u	 /* SPI of the device's wire 0 */
#define RIG_LEVEL    10u /* and of wire 1, which a write of its INTID to offset 0x80 lowers */
#define RIG_LOG	     4096u
#define RIG_LIMIT    UINT64_C(30000000000) /* ns: a guest that hangs fails the test */

/* Offsets in the device's window. */
#define RIG_CHAR  0x00u
#define RIG_VALUE 0x40u
#define RIG_INTID 0x80u

/* One access that the device saw. */
struct rig_access {
	bool write;
	uint8_t size;
	uint16_t off;
	uint64_t val;
};

struct rig_device {
	struct device dev;
	struct rig_access log[RIG_LOG];
	unsigned n;
	_Atomic unsigned seen; /* n, for other threads; goes on beyond RIG_LOG */
	uint64_t next_read;    /* reads give this and count it up */
};

struct rig;
typedef void (*rig_tweak)(struct rig *r, struct arm64_vcpu *s, unsigned index);

struct rig {
	struct loop *loop;
	struct vm *vm;
	struct ram *ram;
	struct rig_device *dev;
	struct arm64_config config;
	struct arm64_made made;
	const uint32_t *code;
	size_t len;
	struct vm_request request;
	bool requested;
	rig_tweak tweak; /* changes the first state of each vCPU, and memory */
};

struct rig_options {
	const uint32_t *code;
	size_t len;
	unsigned cpus; /* 0: 1 */
	bool gic;
	rig_tweak tweak;
};

static uint64_t rig_seen(struct device *d, bool write, uint64_t off, unsigned size, uint64_t val)
{
	struct rig_device *r = (struct rig_device *)d;

	if (!write)
		val = r->next_read++;
	if (r->n < RIG_LOG)
		r->log[r->n++] = (struct rig_access){
			.write = write, .size = (uint8_t)size, .off = (uint16_t)off, .val = val};
	atomic_fetch_add(&r->seen, 1);
	return val;
}

static uint64_t rig_read(struct device *d, uint64_t off, unsigned size)
{
	return rig_seen(d, false, off, size, 0);
}

static void rig_write(struct device *d, uint64_t off, unsigned size, uint64_t val)
{
	if (off == RIG_INTID && val == ARM64_GIC_SPI_INTID + RIG_LEVEL)
		irq_set(d->irq[1], false);
	rig_seen(d, true, off, size, val);
}

static const struct device_class rig_class = {
	.name = "rig",
	.help = "remembers accesses",
	.size = sizeof(struct rig_device),
	.stateless = true,
	.n_irqs = 2,
	.io = {{rig_read, rig_write, .sizes = 1 | 2 | 4 | 8, .space = AS_MEMORY, .len = 0x1000,
		.base = RIG_MMIO}},
};

static inline void rig_check(int rc, const struct err *e)
{
	if (rc)
		fail_msg("%s", e->msg);
}

static inline void rig_load(struct rig *r, gpa_t at, const void *data, size_t len)
{
	assert_int_equal(as_load(&r->vm->mem, at, data, len), IO_OK);
}

static int rig_board_reset(struct vm *vm, struct err *e)
{
	struct rig *r = vm->board;

	if (as_load(&vm->mem, RIG_CODE, r->code, r->len) != IO_OK)
		return err_set(e, -EFAULT, "the guest does not fit");
	for (unsigned i = 0; i < vm->n_vcpus; i++) {
		struct arm64_vcpu *s = vm->vcpus[i].state;

		s->pc = RIG_CODE;
		s->x[27] = RIG_DATA;
		s->x[28] = RIG_MMIO;
		s->x[29] = RIG_GICC;
		if (r->tweak)
			r->tweak(r, s, i);
	}
	return 0;
}

static void rig_request(struct vm *vm, const struct vm_request *req, void *arg)
{
	struct rig *r = arg;

	(void)vm;
	r->request = *req;
	r->requested = true;
}

static inline struct vm_options rig_vm_options(struct rig *r, const struct rig_options *o)
{
	const char *gic = getenv("LODGE_TEST_GIC");

	r->config = (struct arm64_config){.gic_version = gic ? (unsigned)(*gic - '0') : 0,
					  .n_spis = RIG_SPIS,
					  .gicd = RIG_GICD,
					  .gicc = RIG_GICC,
					  .gicr = {{RIG_GICR, 1}, {RIG_GICR_2, 7}},
					  .its = RIG_ITS,
					  .made = &r->made};
	return (struct vm_options){.name = "rig",
				   .arch = &arch_arm64,
				   .accel = accel_find("kvm"),
				   .loop = r->loop,
				   .n_vcpus = o->cpus ? o->cpus : 1,
				   .arch_config = o->gic ? &r->config : NULL};
}

/* Everything up to READY. */
static inline void rig_init(struct rig *r, const struct rig_options *o)
{
	struct err e = ERR_INIT;
	struct vm_options vo;
	struct device *d;

	memset(r, 0, sizeof(*r));
	r->code = o->code;
	r->len = o->len;
	r->tweak = o->tweak;
	r->loop = loop_new(&e);
	assert_non_null(r->loop);
	vo = rig_vm_options(r, o);
	rig_check(vm_new(&vo, &r->vm, &e), &e);
	r->vm->board = r;
	r->vm->board_reset = rig_board_reset;
	r->vm->on_request = rig_request;
	r->vm->on_request_arg = r;
	rig_check(ram_new(r->vm, "ram", RIG_RAM_SIZE, RAM_ANON, &r->ram, &e), &e);
	rig_check(as_map_ram(&r->vm->mem, RIG_RAM, r->ram, 0, RIG_RAM_SIZE, &e), &e);
	if (o->gic)
		rig_check(r->vm->accel->irqchip_init(r->vm, IRQCHIP_KERNEL, &e), &e);
	rig_check(vm_start_vcpus(r->vm, &e), &e);
	rig_check(device_new(r->vm, &rig_class, "rig", &d, &e), &e);
	if (o->gic) {
		rig_check(device_wire(d, 0, RIG_EDGE, &e), &e);
		rig_check(device_wire(d, 1, RIG_LEVEL, &e), &e);
	}
	rig_check(device_init(d, &e), &e);
	r->dev = (struct rig_device *)d;
	rig_check(vm_reset(r->vm, &e), &e);
}

static inline void rig_exit(struct rig *r)
{
	vm_free(r->vm);
	loop_free(r->loop);
}

/* Serves the loop until the VM asks for something; which event. */
static inline enum vm_event rig_wait(struct rig *r)
{
	uint64_t end = sys_now_ns() + RIG_LIMIT;

	while (!r->requested) {
		loop_step(r->loop, 100);
		if (sys_now_ns() > end)
			fail_msg("the guest did nothing for %u s",
				 (unsigned)(RIG_LIMIT / 1000000000));
	}
	r->requested = false;
	return r->request.event;
}

static inline void rig_run_to_off(struct rig *r)
{
	vm_run(r->vm);
	if (rig_wait(r) != VM_EVENT_OFF)
		fail_msg("the guest did not power off: %s", r->request.text);
	vm_pause(r->vm);
}

/* How often @val was written to @off. */
static inline unsigned rig_count(struct rig *r, unsigned off, uint64_t val)
{
	unsigned n = 0;

	device_lock(&r->dev->dev);
	for (unsigned i = 0; i < r->dev->n; i++) {
		const struct rig_access *a = &r->dev->log[i];

		n += a->write && a->off == off && a->val == val;
	}
	device_unlock(&r->dev->dev);
	return n;
}

/* Serves the loop until the guest has written @val to @off @n times. */
static inline void rig_wait_for(struct rig *r, unsigned off, uint64_t val, unsigned n)
{
	uint64_t end = sys_now_ns() + RIG_LIMIT;

	while (rig_count(r, off, val) < n) {
		loop_step(r->loop, 1);
		if (r->requested)
			fail_msg("the guest ended early: %s", r->request.text);
		if (sys_now_ns() > end)
			fail_msg("the guest wrote 0x%llx to 0x%x %u times of %u",
				 (unsigned long long)val, off, rig_count(r, off, val), n);
	}
}

/* Serves the loop until the device has seen @n accesses. */
static inline void rig_wait_seen(struct rig *r, unsigned n)
{
	uint64_t end = sys_now_ns() + RIG_LIMIT;

	while (atomic_load(&r->dev->seen) < n) {
		loop_step(r->loop, 1);
		if (r->requested)
			fail_msg("the guest ended early: %s", r->request.text);
		if (sys_now_ns() > end)
			fail_msg("the guest made %u accesses of %u", atomic_load(&r->dev->seen), n);
	}
}

/* What the guest wrote byte by byte, as text. */
static inline const char *rig_text(const struct rig *r)
{
	static char text[RIG_LOG + 1];
	size_t n = 0;

	for (unsigned i = 0; i < r->dev->n; i++)
		if (r->dev->log[i].write && r->dev->log[i].off == RIG_CHAR)
			text[n++] = (char)r->dev->log[i].val;
	text[n] = 0;
	return text;
}

static inline struct arm64_vcpu *rig_state(struct rig *r, unsigned cpu)
{
	struct err e = ERR_INIT;

	rig_check(vcpu_get_state(&r->vm->vcpus[cpu], &e), &e);
	return r->vm->vcpus[cpu].state;
}

/*
 * Why KVM cannot be tested here, or NULL.  A node that opens is not enough: where this program is
 * run by an emulator, it is the KVM of another architecture and cannot be talked to.
 */
static inline const char *rig_absent(void)
{
	static struct accel_report report;
	static bool asked;

	if (!asked)
		accel_find("kvm")->probe(&report);
	asked = true;
	for (unsigned i = 0; i < report.n_facts; i++)
		if (!strcmp(report.facts[i].key, "api-version"))
			return NULL;
	return report.why;
}

static void rig_skip(void **state)
{
	(void)state;
	skip();
}

/* cmocka's main: skips all with one sentence where there is no KVM. */
#define RIG_MAIN(tests)                                                       \
	int main(void)                                                        \
	{                                                                     \
		for (size_t i = 0; rig_absent() && i < ARRAY_LEN(tests); i++) \
			(tests)[i].test_func = rig_skip;                      \
		if (rig_absent())                                             \
			printf("SKIP: %s\n", rig_absent());                   \
		return cmocka_run_group_tests(tests, NULL, NULL);             \
	}

#endif
