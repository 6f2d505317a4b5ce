/*
 * Interrupts under KVM on arm64: wires, descriptors, messages through the ITS, the virtual timer,
 * start-up of further CPUs; and doorbells, which go the other way.  The guests set their GIC up by
 * writing what a table tells them.
 */
#include <poll.h>
#include <sys/eventfd.h>

#include "kvm_arm64_rig.h"

/* Writes the table at x27 (x29: the GICC), starts the timer for x26 ticks, says 'r' and waits. */
static const uint32_t irq_guest_v3[] = {
	0xd2a80020, /* mov x0, #0x40010000 */
	0xd518c000, /* msr vbar_el1, x0 */
	0xa8c10b61, /* 1: ldp x1, x2, [x27], #16 */
	0xb40000c1, /* cbz x1, 3f */
	0x36000061, /* tbz x1, #0, 2f */
	0xf81ff022, /* str x2, [x1, #-1] */
	0x17fffffc, /* b 1b */
	0xb9000022, /* 2: str w2, [x1] */
	0x17fffffa, /* b 1b */
	0xd2801e00, /* 3: mov x0, #0xf0 */
	0xd5184600, /* msr s3_0_c4_c6_0, x0 */
	0xd2800020, /* mov x0, #1 */
	0xd518cce0, /* msr s3_0_c12_c12_7, x0 */
	0xd5033fdf, /* isb */
	0xb400007a, /* cbz x26, 4f */
	0xd51be31a, /* msr cntv_tval_el0, x26 */
	0xd51be320, /* msr cntv_ctl_el0, x0 */
	0xd50342ff, /* 4: msr daifclr, #2 */
	0x52800e40, /* mov w0, #'r' */
	0x39000380, /* strb w0, [x28] */
	0xd503207f, /* 5: wfi */
	0x17ffffff, /* b 5b */
};
static const uint32_t irq_guest_v2[] = {
	0xd2a80020, /* mov x0, #0x40010000 */
	0xd518c000, /* msr vbar_el1, x0 */
	0xa8c10b61, /* 1: ldp x1, x2, [x27], #16 */
	0xb40000c1, /* cbz x1, 3f */
	0x36000061, /* tbz x1, #0, 2f */
	0xf81ff022, /* str x2, [x1, #-1] */
	0x17fffffc, /* b 1b */
	0xb9000022, /* 2: str w2, [x1] */
	0x17fffffa, /* b 1b */
	0xd2800020, /* 3: mov x0, #1 */
	0xb400007a, /* cbz x26, 4f */
	0xd51be31a, /* msr cntv_tval_el0, x26 */
	0xd51be320, /* msr cntv_ctl_el0, x0 */
	0xd50342ff, /* 4: msr daifclr, #2 */
	0x52800e40, /* mov w0, #'r' */
	0x39000380, /* strb w0, [x28] */
	0xd503207f, /* 5: wfi */
	0x17ffffff, /* b 5b */
};
/* Tells the device the INTID. */
static const uint32_t irq_handler_v3[] = {
	0xd538cc00, /* mrs x0, s3_0_c12_c12_0 */
	0xd51be33f, /* msr cntv_ctl_el0, xzr */
	0xf9004380, /* str x0, [x28, #0x80] */
	0xd518cc20, /* msr s3_0_c12_c12_1, x0 */
	0xd69f03e0, /* eret */
};
static const uint32_t irq_handler_v2[] = {
	0xb9400fa0, /* ldr w0, [x29, #0xc] */
	0xd51be33f, /* msr cntv_ctl_el0, xzr */
	0xf9004380, /* str x0, [x28, #0x80] */
	0xb90013a0, /* str w0, [x29, #0x10] */
	0xd69f03e0, /* eret */
};
static const uint32_t start[] = {
	0x52800c20, /* mov w0, #'a' */
	0x39000380, /* strb w0, [x28] */
	0x52800060, /* mov w0, #0x3 */
	0x72b88000, /* movk w0, #0xc400, lsl #16 */
	0xd2800021, /* mov x1, #1 */
	0x100000c2, /* adr x2, 2f */
	0xd2800ee3, /* mov x3, #0x77 */
	0xd4000002, /* hvc #0 */
	0xf9002380, /* str x0, [x28, #0x40] */
	0xd503207f, /* 1: wfi */
	0x17ffffff, /* b 1b */
	0xd2a1201c, /* 2: mov x28, #0x09000000 */
	0xf9002780, /* str x0, [x28, #0x48] */
	0xd53800a0, /* mrs x0, mpidr_el1 */
	0xf9002b80, /* str x0, [x28, #0x50] */
	0x52800100, /* mov w0, #0x8 */
	0x72b08000, /* movk w0, #0x8400, lsl #16 */
	0xd4000002, /* hvc #0 */
	0x14000000, /* b . */
};
static const uint32_t count[] = {
	0x91000400, /* 1: add x0, x0, #1 */
	0xf9000360, /* str x0, [x27] */
	0xf9002380, /* str x0, [x28, #0x40] */
	0x17fffffd, /* b 1b */
};

#define PPI_VIRT (ARM64_GIC_PPI_INTID + ARM64_PPI_TIMER_VIRT)
#define EDGE	 (ARM64_GIC_SPI_INTID + RIG_EDGE)
#define LEVEL	 (ARM64_GIC_SPI_INTID + RIG_LEVEL)
#define LPI	 8192u

/* Tables of the redistributor and the ITS in guest memory, and the ITS's commands. */
#define AT_PROPS   0x40030000u
#define AT_PENDING 0x40040000u
#define AT_DEVICES 0x40050000u
#define AT_COLLS   0x40060000u
#define AT_ITT	   0x40070000u
#define AT_CMDS	   0x40090000u
#define DEVICE_ID  0x18u
#define EVENT_ID   3u
#define WIDE	   1u /* in an entry's address: 64 bits */

struct entry {
	uint64_t addr, value;
};

static uint64_t timer_ticks;

/* Everything enabled, group 1, priority 0xa0; the edge wire edge-triggered, all SPIs to CPU 0. */
static unsigned gic_table(const struct rig *r, struct entry *t)
{
	bool v3 = r->made.gic_version == 3;
	uint64_t sgi = v3 ? RIG_GICR + 0x10000 : RIG_GICD;
	unsigned n = 0;

	t[n++] = (struct entry){RIG_GICD + 0x000, v3 ? 0x12 : 1};
	if (v3)
		t[n++] = (struct entry){sgi + 0x080, UINT32_MAX};
	t[n++] = (struct entry){sgi + 0x418, 0xa0a0a0a0}; /* PPIs 8 to 11 */
	t[n++] = (struct entry){sgi + 0x100, 1u << PPI_VIRT};
	if (v3)
		t[n++] = (struct entry){RIG_GICD + 0x084, UINT32_MAX};
	t[n++] = (struct entry){RIG_GICD + 0x424, 0xa0a0a0a0};
	t[n++] = (struct entry){RIG_GICD + 0x428, 0xa0a0a0a0};
	t[n++] = (struct entry){RIG_GICD + 0xc08, 2u << RIG_EDGE * 2};
	for (unsigned spi = 0; spi < 16 && !v3; spi += 4)
		t[n++] = (struct entry){RIG_GICD + 0x820 + spi, 0x01010101};
	t[n++] = (struct entry){RIG_GICD + 0x104, 1u << RIG_EDGE | 1u << RIG_LEVEL};
	if (!v3) {
		t[n++] = (struct entry){RIG_GICC + 4, 0xf0};
		t[n++] = (struct entry){RIG_GICC + 0, 1};
	}
	return n;
}

/* LPIs and an ITS that turns DEVICE_ID's EVENT_ID into LPI of CPU 0 (IHI 0069 §5.3, §12.19). */
static unsigned its_table(struct entry *t)
{
	const uint64_t valid = UINT64_C(1) << 63;
	unsigned n = 0;

	t[n++] = (struct entry){(RIG_GICR + 0x70) | WIDE, AT_PROPS | 15}; /* 16 bits of INTID */
	t[n++] = (struct entry){(RIG_GICR + 0x78) | WIDE, AT_PENDING | UINT64_C(1) << 62};
	t[n++] = (struct entry){RIG_GICR, 1};
	t[n++] = (struct entry){(RIG_ITS + 0x100) | WIDE, AT_DEVICES | valid | 0x200};
	t[n++] = (struct entry){(RIG_ITS + 0x108) | WIDE, AT_COLLS | valid | 0x200};
	t[n++] = (struct entry){(RIG_ITS + 0x80) | WIDE, AT_CMDS | valid};
	t[n++] = (struct entry){RIG_ITS, 1};
	t[n++] = (struct entry){(RIG_ITS + 0x88) | WIDE, 4 * 32};
	return n;
}

static void its_memory(struct rig *r)
{
	const uint64_t valid = UINT64_C(1) << 63;
	const uint64_t cmds[4][4] = {
		{(uint64_t)DEVICE_ID << 32 | 8, 4, AT_ITT | valid, 0}, /* MAPD, 32 events */
		{9, 0, valid, 0},				       /* MAPC 0 to CPU 0 */
		{(uint64_t)DEVICE_ID << 32 | 10, (uint64_t)LPI << 32 | EVENT_ID, 0, 0}, /* MAPTI */
		{5, 0, 0, 0},								/* SYNC */
	};
	const uint8_t enabled = 0xa0 | 1;

	rig_load(r, AT_CMDS, cmds, sizeof(cmds));
	rig_load(r, AT_PROPS, &enabled, 1);
}

static void set_irq(struct rig *r, struct arm64_vcpu *s, unsigned index)
{
	bool v3 = r->made.gic_version == 3;
	struct entry t[40] = {0};
	unsigned n = gic_table(r, t);

	if (index)
		return;
	if (r->made.its) {
		n += its_table(t + n);
		its_memory(r);
	}
	rig_load(r, RIG_DATA, t, (n + 1) * sizeof(t[0]));
	if (v3)
		rig_load(r, RIG_IRQ, irq_handler_v3, sizeof(irq_handler_v3));
	else
		rig_load(r, RIG_IRQ, irq_handler_v2, sizeof(irq_handler_v2));
	if (!v3)
		rig_load(r, RIG_CODE, irq_guest_v2, sizeof(irq_guest_v2));
	s->x[26] = timer_ticks;
}

static void irq_rig(struct rig *r)
{
	rig_init(r, &(struct rig_options){.code = irq_guest_v3,
					  .len = sizeof(irq_guest_v3),
					  .gic = true,
					  .tweak = set_irq});
}

static void irq_start(struct rig *r)
{
	irq_rig(r);
	vm_run(r->vm);
	rig_wait_for(r, RIG_CHAR, 'r', 1);
}

static void an_edge_on_a_wire_interrupts_the_guest_once_each_time(void **state)
{
	struct rig r;

	(void)state;
	timer_ticks = 0;
	irq_start(&r);
	for (unsigned i = 1; i <= 5; i++) {
		irq_pulse(r.dev->dev.irq[0]);
		rig_wait_for(&r, RIG_INTID, EDGE, i);
	}
	assert_int_equal(rig_count(&r, RIG_INTID, EDGE), 5);
	rig_exit(&r);
}

static void a_level_interrupts_until_the_device_lowers_it(void **state)
{
	struct rig r;

	(void)state;
	timer_ticks = 0;
	irq_start(&r);
	for (unsigned i = 1; i <= 3; i++) {
		irq_set(r.dev->dev.irq[1], true);
		rig_wait_for(&r, RIG_INTID, LEVEL, i);
	}
	irq_pulse(r.dev->dev.irq[0]); /* nothing else was waiting before this */
	rig_wait_for(&r, RIG_INTID, EDGE, 1);
	assert_int_equal(rig_count(&r, RIG_INTID, LEVEL), 3);
	rig_exit(&r);
}

static void the_virtual_timer_interrupts_as_ppi_11(void **state)
{
	struct rig r;

	(void)state;
	timer_ticks = 1000;
	irq_start(&r);
	rig_wait_for(&r, RIG_INTID, PPI_VIRT, 1);
	assert_int_equal(rig_count(&r, RIG_INTID, PPI_VIRT), 1);
	assert_true(r.made.timer_hz > 0);
	rig_exit(&r);
}

static void ring(int fd)
{
	const uint64_t one = 1;

	assert_int_equal(write(fd, &one, sizeof(one)), sizeof(one));
}

static void a_descriptor_raises_a_wire_until_it_is_taken_away(void **state)
{
	int fd = eventfd(0, EFD_NONBLOCK);
	struct err e = ERR_INIT;
	struct irqchip *c;
	struct rig r;

	(void)state;
	timer_ticks = 0;
	irq_start(&r);
	c = r.vm->irqchip;
	rig_check(c->ops->irqfd(c, RIG_EDGE, NULL, fd, true, &e), &e);
	ring(fd);
	rig_wait_for(&r, RIG_INTID, EDGE, 1);
	rig_check(c->ops->irqfd(c, RIG_EDGE, NULL, fd, false, &e), &e);
	ring(fd);
	irq_pulse(r.dev->dev.irq[0]);
	rig_wait_for(&r, RIG_INTID, EDGE, 2);
	assert_int_equal(rig_count(&r, RIG_INTID, EDGE), 2);
	assert_int_equal(c->ops->irqfd(c, RIG_SPIS, NULL, fd, true, &e), -EINVAL);
	close(fd);
	rig_exit(&r);
}

static const struct msi message = {
	.addr = RIG_ITS + 0x10040, .data = EVENT_ID, .devid = DEVICE_ID}; /* GITS_TRANSLATER */

/* True if there is an ITS; else the test's other half has been done: messages are refused. */
static bool its_start(struct rig *r)
{
	struct err e = ERR_INIT;

	timer_ticks = 0;
	irq_start(r);
	if (r->made.its)
		return true;
	msi_send(r->vm->irqchip, &message); /* is lost, and nothing else happens */
	assert_int_equal(r->vm->irqchip->ops->irqfd(r->vm->irqchip, 0, &message, 1, true, &e),
			 -ENOTSUP);
	irq_pulse(r->dev->dev.irq[0]);
	rig_wait_for(r, RIG_INTID, EDGE, 1);
	rig_exit(r);
	return false;
}

static void a_message_reaches_the_guest_through_the_its_by_device_number(void **state)
{
	struct msi other = message;
	struct rig r;

	(void)state;
	if (!its_start(&r))
		return;
	msi_send(r.vm->irqchip, &message);
	rig_wait_for(&r, RIG_INTID, LPI, 1);
	other.devid++; /* was never mapped */
	msi_send(r.vm->irqchip, &other);
	msi_send(r.vm->irqchip, &message);
	rig_wait_for(&r, RIG_INTID, LPI, 2);
	assert_int_equal(rig_count(&r, RIG_INTID, LPI), 2);
	rig_exit(&r);
}

static void a_descriptor_raises_a_message_and_wires_go_on_working(void **state)
{
	int fd = eventfd(0, EFD_NONBLOCK), wire = eventfd(0, EFD_NONBLOCK);
	struct err e = ERR_INIT;
	struct irqchip *c;
	struct rig r;

	(void)state;
	if (!its_start(&r))
		return;
	c = r.vm->irqchip;
	rig_check(c->ops->irqfd(c, RIG_EDGE, NULL, wire, true, &e), &e);
	rig_check(c->ops->irqfd(c, 0, &message, fd, true, &e), &e);
	for (unsigned i = 1; i <= 3; i++) {
		ring(fd);
		rig_wait_for(&r, RIG_INTID, LPI, i);
		ring(wire);
		rig_wait_for(&r, RIG_INTID, EDGE, i);
	}
	rig_check(c->ops->irqfd(c, 0, &message, fd, false, &e), &e);
	assert_int_equal(c->ops->irqfd(c, 0, &message, fd, false, &e), -ENOENT);
	close(fd);
	close(wire);
	rig_exit(&r);
}

/* Everything the guest and the GIC hold goes to a second VM, and RAM. */
static void move(struct rig *from, struct rig *to)
{
	struct strbuf saved = {0};
	struct err e = ERR_INIT;

	rig_check(vm_save_state(from->vm, &saved, &e), &e);
	irq_rig(to);
	memcpy(to->ram->host, from->ram->host, RIG_RAM_SIZE);
	rig_check(vm_load_state(to->vm, saved.s, saved.len, &e), &e);
	strbuf_exit(&saved);
	rig_exit(from);
}

static void a_guest_with_its_gic_goes_on_in_a_fresh_vm(void **state)
{
	struct rig a, b;

	(void)state;
	timer_ticks = 0;
	irq_start(&a);
	irq_pulse(a.dev->dev.irq[0]);
	rig_wait_for(&a, RIG_INTID, EDGE, 1);
	vm_pause(a.vm);
	/* These two are pending when the state is taken. */
	irq_pulse(a.dev->dev.irq[0]);
	if (a.made.its)
		msi_send(a.vm->irqchip, &message);
	move(&a, &b);
	vm_run(b.vm);
	rig_wait_for(&b, RIG_INTID, EDGE, 1);
	if (b.made.its) {
		rig_wait_for(&b, RIG_INTID, LPI, 1);
		msi_send(b.vm->irqchip, &message);
		rig_wait_for(&b, RIG_INTID, LPI, 2);
	}
	irq_set(b.dev->dev.irq[1], true);
	rig_wait_for(&b, RIG_INTID, LEVEL, 1);
	assert_int_equal(rig_count(&b, RIG_INTID, EDGE), 1);
	rig_exit(&b);
}

static void a_timer_that_runs_fires_in_a_fresh_vm(void **state)
{
	struct rig a, b;

	(void)state;
	irq_rig(&a);
	timer_ticks = a.made.timer_hz / 2;
	((struct arm64_vcpu *)a.vm->vcpus[0].state)->x[26] = timer_ticks;
	rig_exit(&a);
	irq_start(&a);
	vm_pause(a.vm);
	assert_int_equal(rig_count(&a, RIG_INTID, PPI_VIRT), 0);
	move(&a, &b);
	vm_run(b.vm);
	rig_wait_for(&b, RIG_INTID, PPI_VIRT, 1);
	rig_exit(&b);
}

static void the_state_of_the_gic_is_got_as_it_was_put(void **state)
{
	struct arm64_chips *first = malloc(sizeof(*first));
	struct strbuf diff = {0};
	struct err e = ERR_INIT;
	struct rig a, b;

	(void)state;
	assert_non_null(first);
	timer_ticks = 0;
	irq_start(&a);
	vm_pause(a.vm);
	irq_pulse(a.dev->dev.irq[0]);
	irq_set(a.dev->dev.irq[1], true);
	rig_check(a.vm->accel->chips_get(a.vm, &e), &e);
	memcpy(first, a.vm->chips, sizeof(*first));
	assert_int_equal(first->version, a.made.gic_version);
	assert_true(first->dist.enable[0] == (1u << RIG_EDGE | 1u << RIG_LEVEL));
	assert_true(first->dist.pending[0] & 1u << RIG_EDGE);
	if (first->version == 3)
		assert_true(first->dist.level[0] == 1u << RIG_LEVEL);
	irq_rig(&b);
	memcpy(b.ram->host, a.ram->host, RIG_RAM_SIZE);
	memcpy(b.vm->chips, first, sizeof(*first));
	rig_check(b.vm->accel->chips_put(b.vm, &e), &e);
	rig_check(b.vm->accel->chips_get(b.vm, &e), &e);
	first->counter_ns = ((struct arm64_chips *)b.vm->chips)->counter_ns;
	if (state_diff(&arm64_chips_table, first, b.vm->chips, &diff))
		fail_msg("states differ:\n%s", strbuf_str(&diff));
	strbuf_exit(&diff);
	free(first);
	rig_exit(&a);
	rig_exit(&b);
}

static void a_reset_leaves_the_gic_as_it_was_made(void **state)
{
	struct arm64_chips *fresh = malloc(sizeof(*fresh)), *now;
	struct strbuf diff = {0};
	struct err e = ERR_INIT;
	struct rig r;

	(void)state;
	assert_non_null(fresh);
	timer_ticks = 0;
	irq_rig(&r);
	rig_check(r.vm->accel->chips_get(r.vm, &e), &e);
	memcpy(fresh, r.vm->chips, sizeof(*fresh));
	vm_run(r.vm);
	rig_wait_for(&r, RIG_CHAR, 'r', 1);
	irq_set(r.dev->dev.irq[1], true);
	rig_wait_for(&r, RIG_INTID, LEVEL, 1);
	vm_pause(r.vm);
	irq_set(r.dev->dev.irq[1], true);
	rig_check(vm_reset(r.vm, &e), &e);
	rig_check(r.vm->accel->chips_get(r.vm, &e), &e);
	now = r.vm->chips;
	fresh->counter_ns = now->counter_ns;
	for (unsigned i = 0; i < ARRAY_LEN(now->its.baser); i++) {
		assert_false(now->its.baser[i] >> 63); /* not valid: the rest says nothing */
		fresh->its.baser[i] = now->its.baser[i];
	}
	if (state_diff(&arm64_chips_table, fresh, now, &diff))
		fail_msg("states differ:\n%s", strbuf_str(&diff));
	vm_run(r.vm);
	rig_wait_for(&r, RIG_CHAR, 'r', 2);
	irq_pulse(r.dev->dev.irq[0]);
	rig_wait_for(&r, RIG_INTID, EDGE, 1);
	strbuf_exit(&diff);
	free(fresh);
	rig_exit(&r);
}

static void a_second_cpu_is_off_until_psci_starts_it(void **state)
{
	struct rig r;

	(void)state;
	rig_init(&r, &(struct rig_options){
			     .code = start, .len = sizeof(start), .cpus = 2, .gic = true});
	assert_string_equal(r.vm->arch->doing(rig_state(&r, 1)),
			    "off, until another CPU starts it (PSCI CPU_ON)");
	rig_run_to_off(&r);
	assert_string_equal(rig_text(&r), "a");
	assert_int_equal(rig_count(&r, 0x48, 0x77), 1); /* the context it was started with */
	assert_int_equal(rig_count(&r, 0x50, arm64_mpidr(1)), 1);
	rig_exit(&r);
}

static void a_second_cpu_starts_again_after_a_reset(void **state)
{
	struct err e = ERR_INIT;
	struct rig r;

	(void)state;
	rig_init(&r, &(struct rig_options){
			     .code = start, .len = sizeof(start), .cpus = 2, .gic = true});
	for (unsigned i = 1; i <= 3; i++) {
		rig_run_to_off(&r);
		assert_int_equal(rig_count(&r, 0x48, 0x77), i);
		rig_check(vm_reset(r.vm, &e), &e);
		assert_int_equal(rig_state(&r, 0)->power, ARM64_POWER_ON);
		assert_int_equal(rig_state(&r, 1)->power, ARM64_POWER_OFF);
	}
	rig_exit(&r);
}

static void a_doorbell_signals_a_descriptor_and_not_the_device(void **state)
{
	int fd = eventfd(0, EFD_NONBLOCK);
	struct doorbell d = {.space = AS_MEMORY, .addr = RIG_MMIO + RIG_VALUE, .size = 8};
	struct pollfd p = {.fd = fd, .events = POLLIN};
	struct err e = ERR_INIT;
	uint64_t n = 0;
	struct rig r;

	(void)state;
	rig_init(&r, &(struct rig_options){.code = count, .len = sizeof(count)});
	rig_check(r.vm->accel->doorbell(r.vm, &d, fd, true, &e), &e);
	vm_run(r.vm);
	assert_int_equal(poll(&p, 1, 30000), 1);
	vm_pause(r.vm);
	assert_int_equal(read(fd, &n, sizeof(n)), sizeof(n));
	assert_true(n > 0);
	assert_int_equal(atomic_load(&r.dev->seen), 0);
	rig_check(r.vm->accel->doorbell(r.vm, &d, fd, false, &e), &e);
	vm_run(r.vm);
	rig_wait_seen(&r, 1);
	close(fd);
	rig_exit(&r);
}

static struct CMUnitTest tests[] = {
	cmocka_unit_test(an_edge_on_a_wire_interrupts_the_guest_once_each_time),
	cmocka_unit_test(a_level_interrupts_until_the_device_lowers_it),
	cmocka_unit_test(the_virtual_timer_interrupts_as_ppi_11),
	cmocka_unit_test(a_descriptor_raises_a_wire_until_it_is_taken_away),
	cmocka_unit_test(a_message_reaches_the_guest_through_the_its_by_device_number),
	cmocka_unit_test(a_descriptor_raises_a_message_and_wires_go_on_working),
	cmocka_unit_test(a_guest_with_its_gic_goes_on_in_a_fresh_vm),
	cmocka_unit_test(a_timer_that_runs_fires_in_a_fresh_vm),
	cmocka_unit_test(the_state_of_the_gic_is_got_as_it_was_put),
	cmocka_unit_test(a_reset_leaves_the_gic_as_it_was_made),
	cmocka_unit_test(a_second_cpu_is_off_until_psci_starts_it),
	cmocka_unit_test(a_second_cpu_starts_again_after_a_reset),
	cmocka_unit_test(a_doorbell_signals_a_descriptor_and_not_the_device),
};

RIG_MAIN(tests)
