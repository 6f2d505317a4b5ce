/*
 * accel/bt/run.h - the loop of a software vCPU (run.c), for bt.c.
 */
#ifndef LODGE_ACCEL_BT_RUN_H
#define LODGE_ACCEL_BT_RUN_H

#include <signal.h>

#include "accel/bt/bt.h"

/* The signal of the local APIC's host timer. */
#define BT_TIMER_SIG (SIGRTMIN + 1)

#define BT_FLAGS_RF (1u << 16)
#define BT_DR6_BS   (1u << 14)

/* On the vCPU's thread. */
int bt_timer_init(struct bt_cpu *c, struct err *e) MUST_CHECK;
void bt_timer_exit(struct bt_cpu *c);
/* The host's timer for VM time @when; under the local APIC's lock. */
void bt_timer_set(struct bt_cpu *c, bool armed, uint64_t when);

enum vcpu_stop bt_vcpu_run(struct vcpu *v);
void bt_vcpu_kick(struct vcpu *v);
int bt_vcpu_nmi(struct vcpu *v, struct err *e);

#endif
