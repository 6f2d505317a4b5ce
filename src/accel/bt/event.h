/*
 * accel/bt/event.h - exceptions and interrupts: their delivery, and the far transfers that share
 * their checks (SDM 3A §6, APM 2 §8).
 */
#ifndef LODGE_ACCEL_BT_EVENT_H
#define LODGE_ACCEL_BT_EVENT_H

#include "accel/bt/bt.h"

enum bt_event_kind {
	BT_EVENT_FAULT,
	BT_EVENT_IRQ,
	BT_EVENT_NMI,
	BT_EVENT_SOFT /* INT n */,
	BT_EVENT_INT1,
	BT_EVENT_SOFT_EXC /* INT3, INTO */
};

/*
 * Delivers through the IDT (or the IVT in real mode, or a task gate): c->rip is the return address
 * to push (of the faulting instruction, or behind a software interrupt).  Faults during delivery
 * become the right fault, #DF, or a triple fault (bt_stop with VCPU_SHUTDOWN), by the table in SDM
 * 3A §6.15.  Called by the loop with c->out set; may leave by it.
 */
void bt_deliver(struct bt_cpu *c, enum bt_event_kind kind, unsigned vector, bool has_error,
		uint32_t error);

/*
 * Delivers what a loaded state had begun to deliver, if anything; bt_stop if that was a triple
 * fault.  Called by the loop at its entry with c->out set.
 */
void bt_deliver_queued(struct bt_cpu *c);

/* An access to I/O ports: a breakpoint of DR7's type 2 traps behind the instruction (CR4.DE). */
void bt_io_breakpoint(struct bt_cpu *c, uint16_t port, unsigned n);

/* Loads a segment register with all checks of MOV Sreg, POP Sreg, LxS (protected, real, vm86). */
void bt_load_seg(struct bt_cpu *c, unsigned seg, uint16_t sel);
/* The state after INIT; after SIPI with @vector. */
void bt_init_reset(struct bt_cpu *c);
void bt_start(struct bt_cpu *c, uint8_t vector);

#endif
