/*
 * core/vcpu_private.h - between core/vcpu.c and core/vm.c only.
 */
#ifndef LODGE_CORE_VCPU_PRIVATE_H
#define LODGE_CORE_VCPU_PRIVATE_H

#include "core/vcpu.h"

/*
 * Starts the thread, which waits for vm->make, creates the vCPU, reports in v->ready and v->code,
 * and parks.
 */
int vcpu_thread_start(struct vcpu *v, struct err *e) MUST_CHECK;
/*
 * Has the vCPU take v->state as soon as all vCPUs are there; vm->n_puts counts it until then.  The
 * vCPU is parked or not yet there.  vm->lock held.
 */
void vcpu_put_locked(struct vcpu *v);
/* Lets all vCPUs out of the park, if each is there and has taken its state.  vm->lock held. */
void vcpu_release_locked(struct vm *vm);
/* Sets request bits and makes the vCPU see them. */
void vcpu_request(struct vcpu *v, uint32_t bits);
/* v->state to the accelerator, on the vCPU's thread. */
int vcpu_put_state(struct vcpu *v, struct err *e) MUST_CHECK;

#endif
