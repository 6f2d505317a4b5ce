/*
 * A toy device, four registers of 32 bits at guest-physical address TOY_BASE:
 *
 *	0	read only	identity, "LGDE"
 *	4	read and write	a scratch register
 *	8	write only	prints a byte
 *	12	read only	number of accesses before this one
 */
#ifndef LODGE_TINY_TOY_H
#define LODGE_TINY_TOY_H

#include <linux/kvm.h>
#include <stdint.h>

#define TOY_BASE 0xd0000000u

struct toy {
	uint32_t scratch, count;
};

/* Answers the access in run->mmio, whose exit reason is KVM_EXIT_MMIO, as the machine's only
 * device. */
void toy_access(struct toy *toy, struct kvm_run *run);

#endif
