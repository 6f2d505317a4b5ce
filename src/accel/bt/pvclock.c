/*
 * accel/bt/pvclock.c - KVM's paravirtual clock (Linux: Documentation/virt/kvm/x86/msr.rst).
 *
 * The guest names a structure in its memory, one for each vCPU; the host says there what time it
 * was at which TSC, and how to go on from it.  Here the TSC counts the nanoseconds of VM time and
 * some constant, so the structure is good for as long as the TSC is not written.  A version that is
 * odd says that it is being changed.
 */
#include "accel/bt/msr.h"
#include "base/endian.h"

#define ENABLED	   1u
#define TSC_STABLE 1u

struct system_time {
	le32 version;
	le32 pad;
	le64 tsc_timestamp;
	le64 system_time;   /* ns */
	le32 tsc_to_system; /* factor: (ticks << shift) * it >> 32 */
	int8_t tsc_shift;
	uint8_t flags;
	uint8_t pad2[2];
};
_Static_assert(sizeof(struct system_time) == 32, "pvclock_vcpu_time_info");

struct wall_clock {
	le32 version;
	le32 sec, nsec; /* when system time was 0 */
};
_Static_assert(sizeof(struct wall_clock) == 12, "pvclock_wall_clock");

void bt_pvclock_update(struct bt_cpu *c)
{
	struct as *mem = &c->v->vm->mem;
	uint64_t gpa = c->msr.system_time & ~UINT64_C(3), now;
	struct system_time t = {0};
	uint32_t version;

	if (!(c->msr.system_time & ENABLED) || as_read(mem, gpa, &t, sizeof(t)) != IO_OK)
		return;
	version = (le32_get(t.version) & ~1u) + 1;
	t = (struct system_time){.version = le32_of(version)};
	if (as_write(mem, gpa, &t.version, sizeof(t.version)) != IO_OK)
		return;
	atomic_thread_fence(memory_order_seq_cst);
	now = clock_now(&c->v->vm->clock);
	t.tsc_timestamp = le64_of(now + bt_tsc_offset(c));
	t.system_time = le64_of(now);
	t.tsc_to_system = le32_of(UINT32_C(1) << 31); /* with the shift: 1 */
	t.tsc_shift = 1;
	t.flags = TSC_STABLE;
	(void)as_write(mem, gpa, &t, sizeof(t));
	atomic_thread_fence(memory_order_seq_cst);
	t.version = le32_of(version + 1);
	(void)as_write(mem, gpa, &t.version, sizeof(t.version));
}

void bt_pvclock_wall(struct bt_cpu *c, uint64_t gpa)
{
	struct clock *k = &c->v->vm->clock;
	struct as *mem = &c->v->vm->mem;
	int64_t boot = clock_wall(k) - (int64_t)clock_now(k);
	struct wall_clock w = {0};
	uint32_t version;

	if (as_read(mem, gpa, &w, sizeof(w)) != IO_OK)
		return;
	version = (le32_get(w.version) & ~1u) + 1;
	w.version = le32_of(version);
	if (as_write(mem, gpa, &w.version, sizeof(w.version)) != IO_OK)
		return;
	w.sec = le32_of((uint32_t)(boot / 1000000000));
	w.nsec = le32_of((uint32_t)(boot % 1000000000));
	(void)as_write(mem, gpa, &w, sizeof(w));
	w.version = le32_of(version + 1);
	(void)as_write(mem, gpa, &w.version, sizeof(w.version));
}
