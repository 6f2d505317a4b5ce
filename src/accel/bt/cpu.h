/*
 * accel/bt/cpu.h - a software CPU's life and state: cpu.c, cpuid.c, for bt.c.
 */
#ifndef LODGE_ACCEL_BT_CPU_H
#define LODGE_ACCEL_BT_CPU_H

#include "accel/bt/bt.h"

#define BT_PHYS_BITS 46u

/* cpuid.c: fills c->cpuid and c->features.  -ENOMEM. */
int bt_cpuid_init(struct bt_cpu *c, struct err *e) MUST_CHECK;
/* XCR0 bits that the host's unit and Lodge have; 0: no XSAVE. */
uint64_t bt_xcr0_host(void);

/*
 * cpu.c: the whole state out and in.  In: any content is possible; -EINVAL with words, and then the
 * vCPU is as before.
 */
int bt_state_get(struct bt_cpu *c, struct x86_vcpu *out, struct err *e);
int bt_state_put(struct bt_cpu *c, const struct x86_vcpu *in, struct err *e);
/* What arch->pc, show, doing, activity and translate look at. */
void bt_state_peek(const struct bt_cpu *c, struct x86_vcpu *out);

#endif
