/*
 * Reads one of the counters that KVM keeps for a vCPU.
 */
#ifndef LODGE_TINY_STATS_H
#define LODGE_TINY_STATS_H

/* The counter called name of the vCPU behind descriptor vcpu; -1 where this kernel has none. */
long long vcpu_stat(int vcpu, const char *name);

#endif
