/*
 * arch/arch.h - the guest architectures of this build.
 */
#ifndef LODGE_ARCH_ARCH_H
#define LODGE_ARCH_ARCH_H

#include "core/arch.h"

extern const struct arch arch_x86;
extern const struct arch arch_arm64;

/* The architecture of the host, whose guests KVM can run; NULL if Lodge has none for it. */
const struct arch *arch_host(void);

#endif
