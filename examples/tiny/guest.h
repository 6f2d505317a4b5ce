/*
 * What surrounds the KVM API in tiny-kvm: a file for the guest's memory, and a report on a guest
 * that cannot go on.
 */
#ifndef LODGE_TINY_GUEST_H
#define LODGE_TINY_GUEST_H

#include <stdint.h>

#define RAM_SIZE (16u << 20)

/* Copies FILE[@ADDR] to ram[ADDR] (0x7c00) and returns ADDR; ends the program if it cannot. */
uint16_t guest_load(char *file, uint8_t *ram);

/* Says why the guest of this vCPU cannot go on, and where it stands; returns the exit code 1. */
int guest_stopped(int vcpu, const uint8_t *ram, const char *why, unsigned long long detail);

#endif
