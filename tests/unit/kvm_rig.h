/*
 * unit/kvm_rig.h - a small VM on the host's own /dev/kvm, for tests through the public interface.
 *
 * 640 KiB of RAM at 0, the guest's code at 0x1000 and entered there in real mode with all segments
 * at 0; a device with ports 0x10 to 0x1f and an MMIO window at 0xb0000 that remembers what it is
 * told. Guests are given as bytes with their assembly beside them.  Real mode only, because that is
 * what every KVM can run.
 */
#ifndef LODGE_UNIT_KVM_RIG_H
#define LODGE_UNIT_KVM_RIG_H

#include <errno.h>
#include <unistd.h>

#include "unit.h"

#include "arch/arch.h"
#include "arch/x86/chips.h"
#include "arch/x86/defs.h"
#include "arch/x86/vcpu.h"
#include "base/sys.h"
#include "core/vm.h"
#include "device/devices.h"

#define RIG_CODE  0x1000u
#define RIG_RAM	  0xa0000u
#define RIG_PORT  0x10u
#define RIG_MMIO  0xb0000u
#define RIG_LOG	  4096u
#define RIG_LIMIT UINT64_C(20000000000) /* ns: a guest that hangs fails the test */

/* One access that the device saw. */
struct rig_access {
	bool write, mmio;
	uint8_t size;
	uint16_t off;
	uint64_t val;
};

struct rig_device {
	struct device dev;
	struct rig_access log[RIG_LOG];
	unsigned n;
	_Atomic unsigned seen; /* n, for other threads */
	uint64_t next_read;    /* reads give this and count it up */
};

struct rig {
	struct loop *loop;
	struct vm *vm;
	struct ram *ram;
	struct rig_device *dev;
	const uint8_t *code;
	size_t len;
	struct vm_request request;
	bool requested;
	/* Changes the first state of each vCPU. */
	void (*tweak)(struct rig *r, struct x86_vcpu *s, unsigned index);
};

struct rig_options {
	const uint8_t *code;
	size_t len;
	unsigned cpus; /* 0: 1 */
	bool chips;    /* interrupt chips as .mode says */
	enum irqchip_mode mode;
	const char *arg;
	const char *accel; /* NULL: "kvm" */
	void (*tweak)(struct rig *r, struct x86_vcpu *s, unsigned index);
};

static inline uint64_t rig_seen(struct device *d, bool write, bool mmio, uint64_t off,
				unsigned size, uint64_t val)
{
	struct rig_device *r = (struct rig_device *)d;

	if (!write)
		val = r->next_read++;
	if (r->n < RIG_LOG)
		r->log[r->n++] = (struct rig_access){.write = write,
						     .mmio = mmio,
						     .size = (uint8_t)size,
						     .off = (uint16_t)off,
						     .val = val};
	atomic_fetch_add(&r->seen, 1);
	return val;
}

static uint64_t rig_port_read(struct device *d, uint64_t off, unsigned size)
{
	return rig_seen(d, false, false, off, size, 0);
}

/* Port 0x1f is the guest's way to lower the level of wire 1. */
static void rig_port_write(struct device *d, uint64_t off, unsigned size, uint64_t val)
{
	if (off == 15)
		irq_set(d->irq[1], false);
	rig_seen(d, true, false, off, size, val);
}

static uint64_t rig_mmio_read(struct device *d, uint64_t off, unsigned size)
{
	return rig_seen(d, false, true, off, size, 0);
}

static void rig_mmio_write(struct device *d, uint64_t off, unsigned size, uint64_t val)
{
	rig_seen(d, true, true, off, size, val);
}

static const struct device_class rig_class = {
	.name = "rig",
	.help = "remembers accesses",
	.size = sizeof(struct rig_device),
	.stateless = true,
	.n_irqs = 2,
	.io = {{rig_port_read, rig_port_write, .sizes = 1 | 2 | 4, .space = AS_PORTS, .len = 16,
		.base = RIG_PORT},
	       {rig_mmio_read, rig_mmio_write, .sizes = 1 | 2 | 4 | 8, .space = AS_MEMORY,
		.len = 0x1000, .base = RIG_MMIO}},
};

static inline void rig_check(int rc, const struct err *e)
{
	if (rc)
		fail_msg("%s", e->msg);
}

static int rig_board_reset(struct vm *vm, struct err *e)
{
	struct rig *r = vm->board;

	if (as_load(&vm->mem, RIG_CODE, r->code, r->len) != IO_OK)
		return err_set(e, -EFAULT, "the guest does not fit");
	for (unsigned i = 0; i < vm->n_vcpus; i++) {
		struct x86_vcpu *s = vm->vcpus[i].state;

		for (unsigned k = X86_ES; k <= X86_GS; k++)
			x86_seg_set(&s->seg[k], 0, 0, 0xffff, k == X86_CS ? 0x9b : 0x93);
		s->rip = RIG_CODE;
		s->gpr[X86_RSP] = 0x8000;
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

/* The windows to interrupt chips that are the board's. */
static inline void rig_chip(struct rig *r, const char *class, bool wired)
{
	struct err e = ERR_INIT;
	struct device *d;

	rig_check(device_new(r->vm, device_class_find(class), NULL, &d, &e), &e);
	if (wired)
		rig_check(device_wire(d, 0, 0, &e), &e);
	rig_check(device_init(d, &e), &e);
}

/* Everything up to READY. */
static inline void rig_init(struct rig *r, const struct rig_options *o)
{
	struct err e = ERR_INIT;
	struct vm_options vo = {.name = "rig",
				.arch = &arch_x86,
				.accel = accel_find(o->accel ? o->accel : "kvm"),
				.n_vcpus = o->cpus ? o->cpus : 1,
				.accel_arg = o->arg};
	struct device *d;

	memset(r, 0, sizeof(*r));
	r->code = o->code;
	r->len = o->len;
	r->tweak = o->tweak;
	r->loop = loop_new(&e);
	assert_non_null(r->loop);
	vo.loop = r->loop;
	rig_check(vm_new(&vo, &r->vm, &e), &e);
	r->vm->board = r;
	r->vm->board_reset = rig_board_reset;
	r->vm->on_request = rig_request;
	r->vm->on_request_arg = r;
	rig_check(ram_new(r->vm, "ram", RIG_RAM, RAM_ANON, &r->ram, &e), &e);
	rig_check(as_map_ram(&r->vm->mem, 0, r->ram, 0, RIG_RAM, &e), &e);
	if (o->chips)
		rig_check(r->vm->accel->irqchip_init(r->vm, o->mode, &e), &e);
	rig_check(vm_start_vcpus(r->vm, &e), &e);
	rig_check(device_new(r->vm, &rig_class, "rig", &d, &e), &e);
	if (o->chips) {
		rig_check(device_wire(d, 0, 4, &e), &e);
		rig_check(device_wire(d, 1, 10, &e), &e);
	}
	rig_check(device_init(d, &e), &e);
	r->dev = (struct rig_device *)d;
	if (o->chips && vo.accel->user_chips) {
		rig_chip(r, "i8259", false);
		rig_chip(r, "ioapic", false);
		rig_chip(r, "i8254", true);
	}
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

/* Serves the loop until the guest has written @c to port 0x10 @n times. */
static inline void rig_wait_char(struct rig *r, char c, unsigned n)
{
	uint64_t end = sys_now_ns() + RIG_LIMIT;

	for (unsigned got = 0; got < n;) {
		loop_step(r->loop, 1);
		got = 0;
		device_lock(&r->dev->dev);
		for (unsigned i = 0; i < r->dev->n; i++) {
			const struct rig_access *a = &r->dev->log[i];

			got += a->write && !a->mmio && a->off == 0 && a->val == (uint8_t)c;
		}
		device_unlock(&r->dev->dev);
		if (r->requested)
			fail_msg("the guest ended early: %s", r->request.text);
		if (sys_now_ns() > end)
			fail_msg("the guest wrote '%c' %u times of %u", c, got, n);
	}
}

/* What the guest wrote byte by byte to port 0x10, as text. */
static inline const char *rig_text(const struct rig *r)
{
	static char text[RIG_LOG + 1];
	size_t n = 0;

	for (unsigned i = 0; i < r->dev->n; i++)
		if (r->dev->log[i].write && !r->dev->log[i].mmio && r->dev->log[i].off == 0)
			text[n++] = (char)r->dev->log[i].val;
	text[n] = 0;
	return text;
}

/* Why KVM cannot be tested here, or NULL. */
static inline const char *rig_absent(void)
{
	if (arch_host() != &arch_x86)
		return "this host is not an x86-64 host, whose KVM these guests need";
	if (access("/dev/kvm", R_OK | W_OK))
		return "/dev/kvm cannot be opened on this host";
	return NULL;
}

/* Why KVM cannot run kernels here, "" if it can. */
static inline const char *rig_restricted(void)
{
	static struct accel_report report;
	static bool asked;

	if (!asked) {
		accel_find("kvm")->probe(&report);
		asked = true;
	}
	return report.usable ? "" : report.why;
}

/*
 * cmocka's main: skips all with one sentence where there is no KVM, and says where modes are
 * emulated.
 */
#define RIG_MAIN(tests)                                                                         \
	int main(void)                                                                          \
	{                                                                                       \
		if (rig_absent()) {                                                             \
			printf("SKIP: %s\n", rig_absent());                                     \
			for (size_t i = 0; i < ARRAY_LEN(tests); i++)                           \
				(tests)[i].test_func = rig_skip;                                \
		} else if (*rig_restricted()) {                                                 \
			printf("NOTE: KVM emulates these guests here: %s\n", rig_restricted()); \
		}                                                                               \
		return cmocka_run_group_tests(tests, NULL, NULL);                               \
	}

static inline void rig_skip(void **state)
{
	(void)state;
	skip();
}

#endif
