/*
 * core/vcpu_private.h - between core/vcpu.c and core/vm.c only.
 */
#ifndef LODGE_CORE_VCPU_PRIVATE_H
#define LODGE_CORE_VCPU_PRIVATE_H

#include "core/vcpu.h"

/* Starts the thread, which creates the vCPU, reports in v->ready and v->init_code, and parks. */
int vcpu_thread_start(struct vcpu *v, struct err *e) MUST_CHECK;
/* Sets request bits and makes the vCPU see them. */
void vcpu_request(struct vcpu *v, uint32_t bits);
/* v->state to the accelerator, on the vCPU's thread. */
int vcpu_put_state(struct vcpu *v, struct err *e) MUST_CHECK;

#endif
