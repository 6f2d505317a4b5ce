/*
 * core/arch.h - what core asks of a guest architecture.  The architecture is data: one const
 * struct, in arch/<name>/.
 */
#ifndef LODGE_CORE_ARCH_H
#define LODGE_CORE_ARCH_H

#include "base/str.h"
#include "core/mem.h"
#include "core/state.h"

struct vcpu;
struct vm_topology;

/* What a vCPU does, as far as its state tells. */
enum arch_activity {
	ARCH_OFF,    /* not started */
	ARCH_IDLE,   /* waits for an interrupt */
	ARCH_STUCK,  /* halted, and no interrupt can end it */
	ARCH_USER,   /* runs a program of the guest */
	ARCH_KERNEL, /* runs anything else */
};

struct arch {
	const char *name;      /* "x86", "arm64" */
	const char *long_name; /* as messages say it: "x86-64" */
	unsigned max_vcpus;
	size_t vcpu_state_size;
	const struct state_table *vcpu_state; /* of vcpu->state */
	/* Writes into a state full of zeros who it is the state of; optional. */
	void (*vcpu_identify)(void *state, const struct vm_topology *t, unsigned index);
	/* Power-on state of vCPU @index; who it is stays. */
	void (*vcpu_reset)(void *state, unsigned index);
	/* Interrupt chips and timers outside the vCPUs; vm->chips holds chips_size bytes. */
	size_t chips_size;
	const struct state_table *chips;
	void (*chips_reset)(void *chips);
	/* The address of the next instruction: linear address on x86. */
	uint64_t (*pc)(const void *state);
	/* Registers for a human, several lines. */
	void (*show)(const void *state, struct strbuf *out);
	/* What the vCPU is doing, in words: "halted with interrupts off", "in user mode". */
	const char *(*doing)(const void *state);
	enum arch_activity (*activity)(const void *state);
	/*
	 * NULL, or whether a vCPU of ARCH_KERNEL waits for an interrupt, which only the
	 * instruction that it is at tells.  Side-effect free.
	 */
	bool (*waits)(const void *state, struct as *mem);
	/* Walks the page tables: false if @va is not mapped. Side-effect free. */
	bool (*translate)(const void *state, struct as *mem, uint64_t va, gpa_t *pa);
};

#endif
