/*
 * accel/bt/debug.c - a debugger of the host's: single step, breakpoints, watchpoints and INT3, all
 * beside the guest's own (RFLAGS.TF, DR0 to DR7), which go on to work.
 *
 * With a step or a point the vCPU runs one instruction at a time (c->mode.step), and the loop asks
 * here before and behind each.  What is watched is found where data breakpoints of DR7 are: their
 * pages have no fast way in the TLB (access.c).  INT3 alone costs nothing until it is run.
 */
#include "accel/bt/mmu.h"

void bt_debug_limits(struct vm *vm, struct debug_limits *l)
{
	(void)vm;
	*l = (struct debug_limits){.step = true,
				   .software = true,
				   .exec = DEBUG_POINTS,
				   .watch = DEBUG_POINTS,
				   .shared = true,
				   .read = true,
				   .irqs_wait = true,
				   .exec_len = 1,
				   .watch_len = GUEST_PAGE};
}

int bt_debug_set(struct vcpu *v, const struct vcpu_debug *d, struct err *e)
{
	struct bt_cpu *c = v->accel;

	(void)e;
	c->debug.d = *d;
	c->debug.d.pass = d->pass && v->debug_stop.why == DEBUG_SOFTWARE;
	c->debug.each = d->step || d->n;
	c->debug.watch = c->debug.hit = false;
	for (unsigned i = 0; i < d->n; i++)
		c->debug.watch |= d->point[i].kind != DEBUG_EXEC;
	mmu_flush_all(c, true);
	bt_mode_changed(c);
	return 0;
}

static uint64_t linear_rip(const struct bt_cpu *c)
{
	return c->mode.code == 8 ? c->rip : (uint32_t)(c->rip + c->seg_base[X86_CS]);
}

static _Noreturn void stop(struct bt_cpu *c, enum debug_why why, unsigned point, uint64_t addr)
{
	c->v->debug_stop =
		(struct debug_stop){.why = why, .pc = linear_rip(c), .addr = addr, .point = point};
	c->debug.hit = false;
	vcpu_count(c->v, EXIT_STAT_DEBUG);
	bt_stop(c, VCPU_DEBUG);
}

void bt_debug_before(struct bt_cpu *c)
{
	uint64_t la = linear_rip(c);

	c->debug.hit = false;
	for (unsigned i = 0; i < c->debug.d.n; i++)
		if (c->debug.d.point[i].kind == DEBUG_EXEC && c->debug.d.point[i].addr == la)
			stop(c, DEBUG_POINT, i, la);
}

void bt_debug_behind(struct bt_cpu *c)
{
	if (c->debug.hit)
		stop(c, DEBUG_POINT, c->debug.point, c->debug.addr);
	if (c->debug.d.step)
		stop(c, DEBUG_STEPPED, 0, linear_rip(c));
}

void bt_debug_int3(struct bt_cpu *c)
{
	if (!c->debug.d.pass)
		stop(c, DEBUG_SOFTWARE, 0, linear_rip(c));
	c->debug.d.pass = false;
}
