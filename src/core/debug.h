/*
 * core/debug.h - watching a guest: single steps, breakpoints, watchpoints, on any accelerator.
 *
 * Who debugs attaches to the VM, then says for each vCPU what shall stop it.  A vCPU that stops
 * notes why in v->debug_stop and parks; the others run on until the VM is paused.  vm_run lets all
 * go on.  The guest sees nothing of it, but for what is said below.
 *
 *	step      The vCPU stops after one instruction.  If that faults: on the software CPU at the
 *	          handler's first, under KVM where the processor has it (on x86 when the handler is
 *	          done).  Interrupts wait where debug_limits.irqs_wait.
 *	software  INT3, BRK: they stop the vCPU where they stand, the guest's own as well; for
 *	          those there is .pass.  Putting them into memory is the debugger's work.
 *	EXEC      The vCPU stops before the instruction at the address, each time: to go on from
 *	          there, step without the point.
 *	WRITE ... An access of the bytes at the address stops the vCPU, behind the instruction on
 *	          x86, before it on arm64 (debug_limits.before).
 *
 * Addresses are virtual ones (x86: linear), of whatever address space the vCPU is in.  Where points
 * are set in the processor's own debug registers, those of the guest are out of use meanwhile (KVM
 * on both architectures; it still reads what it wrote), and a PUSHF that is stepped under KVM
 * pushes TF.
 */
#ifndef LODGE_CORE_DEBUG_H
#define LODGE_CORE_DEBUG_H

#include <stdbool.h>
#include <stdint.h>

#include "base/compiler.h"
#include "base/err.h"

struct vm;
struct vcpu;

#define DEBUG_POINTS 32u

enum debug_kind { DEBUG_EXEC, DEBUG_WRITE, DEBUG_READ, DEBUG_ACCESS };

struct debug_point {
	uint64_t addr; /* a multiple of len */
	uint64_t len;  /* of EXEC: debug_limits.exec_len; else a power of two */
	enum debug_kind kind;
};

/* What shall stop a vCPU; all 0: nothing. */
struct vcpu_debug {
	bool step;
	bool software;
	/*
	 * The software breakpoint that the vCPU has stopped at is the guest's: it takes the
	 * exception when it goes on.  Means something in the first vcpu_debug_set after the stop.
	 */
	bool pass;
	unsigned n;
	struct debug_point point[DEBUG_POINTS];
};

/* What an accelerator can do on this host. */
struct debug_limits {
	bool step, software;
	unsigned exec, watch; /* points of EXEC, and of all others */
	bool shared;	      /* the two together have .exec places, which is .watch then */
	bool read;	      /* reads can be watched without writes */
	bool before;	      /* a watched access stops the vCPU before it is done */
	bool irqs_wait;	      /* interrupts wait while a vCPU steps */
	uint64_t exec_len;    /* bytes and alignment of an EXEC point */
	uint64_t watch_len;   /* the most bytes that a point watches */
};

enum debug_why { DEBUG_NOT_STOPPED, DEBUG_STEPPED, DEBUG_SOFTWARE, DEBUG_POINT };

/* Why a vCPU stopped. */
struct debug_stop {
	enum debug_why why;
	uint64_t pc;	/* where it goes on */
	uint64_t addr;	/* of an access that was watched, as near as the host knows; else pc */
	unsigned point; /* DEBUG_POINT: index in vcpu_debug.point */
};

/*
 * Calls @fn on the loop's thread whenever a vCPU of @vm has stopped; which, says v->debug_stop.  It
 * may be called once for several, and again for one it has dealt with.  NULL detaches: all vCPUs
 * then stop for nothing any more.  The loop's thread.
 */
void vm_debug_attach(struct vm *vm, void (*fn)(struct vm *vm, void *arg), void *arg);

/* What there is on this host; -ENOTSUP with a sentence if nothing. */
int vm_debug_limits(struct vm *vm, struct debug_limits *l, struct err *e) MUST_CHECK;

/*
 * Replaces what stops @v.  As vcpu_call.  -EINVAL, -ENOSPC, -ENOTSUP with what is wrong with @d,
 * and nothing is changed then.  Best while the VM is paused; v->debug_stop is cleared.
 */
int vcpu_debug_set(struct vcpu *v, const struct vcpu_debug *d, struct err *e) MUST_CHECK;

/* "single step, software breakpoints, 4 breakpoints or watchpoints of up to 8 bytes". */
void debug_limits_show(const struct debug_limits *l, char *buf, size_t n);

#endif
