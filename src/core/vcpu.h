/*
 * core/vcpu.h - a vCPU and its thread.
 *
 * The thread is named "NAME/cpuN", can be pinned, and spends its life in vcpu_run of the
 * accelerator.  It leaves it for requests: bits in v->requests that anybody sets before a kick.
 * Registers are touched by the vCPU's own thread only; vcpu_call runs a function there.
 */
#ifndef LODGE_CORE_VCPU_H
#define LODGE_CORE_VCPU_H

#include <pthread.h>
#include <sched.h>
#include <stdatomic.h>

#include "core/accel.h"

/* Exits to user space, by reason, for --stats and the progress watcher. */
#define EXIT_STATS(X)               \
	X(PIO_READ, "pio-read")     \
	X(PIO_WRITE, "pio-write")   \
	X(MMIO_READ, "mmio-read")   \
	X(MMIO_WRITE, "mmio-write") \
	X(HLT, "hlt")               \
	X(INTR, "interrupted")      \
	X(MSR, "msr")               \
	X(IRQ_WINDOW, "irq-window") \
	X(EOI, "ioapic-eoi")        \
	X(SYSTEM, "system-event")   \
	X(DIRTY, "dirty-ring-full") \
	X(DEBUG, "debug")           \
	X(SHUTDOWN, "shutdown")     \
	X(OTHER, "other")
enum exit_stat {
#define X(id, name) EXIT_STAT_##id,
	EXIT_STATS(X)
#undef X
		EXIT_STAT_COUNT
};
extern const char *const exit_stat_name[EXIT_STAT_COUNT];

enum vcpu_request {
	VCPU_REQ_PARK = 1 << 0, /* stand still until vm_resume */
	VCPU_REQ_CALL = 1 << 1, /* run v->call */
	VCPU_REQ_QUIT = 1 << 2, /* end the thread */
	VCPU_REQ_PUT = 1 << 3,	/* give v->state to the accelerator, before all else */
};

struct vcpu {
	struct vm *vm;
	unsigned index;
	pthread_t thread;
	bool started;
	cpu_set_t affinity; /* from --cpu-pin; empty: not pinned */
	_Atomic uint32_t requests;
	_Atomic bool in_run; /* inside accel->vcpu_run */
	/* Under vm->lock. */
	bool parked, ready, gone, halted;
	int code; /* result of vcpu_init, then of the last state_put; v->broken has the words */
	struct vcpu_call *call; /* queue */
	/* This thread only. */
	void *accel;  /* accelerator's own */
	void *state;  /* arch->vcpu_state_size bytes */
	bool fresh;   /* no state was put yet */
	bool resumed; /* set by core when the vCPU comes out of a park; the accelerator clears it */
	struct err broken;
	/* Set by the accelerator before VCPU_DEBUG; others may read it while the vCPU is parked. */
	struct debug_stop debug_stop;
	/* Counters: written by this thread, read by anyone. */
	_Atomic uint64_t exits[EXIT_STAT_COUNT];
	_Atomic uint64_t entries;
	_Atomic uint64_t instructions; /* that an accelerator which counts them has executed */
};

/* Counts an exit; this vCPU's thread only, so a plain load and store do. */
static inline void vcpu_count(struct vcpu *v, enum exit_stat s)
{
	uint64_t n = atomic_load_explicit(&v->exits[s], memory_order_relaxed);
	atomic_store_explicit(&v->exits[s], n + 1, memory_order_relaxed);
}

/*
 * Runs fn(v, arg) on the vCPU's thread between two entries and waits for it.  Works while parked.
 * Not from a vCPU thread for another vCPU, and not with a device lock held.
 * -ESRCH if the thread has ended.
 */
int vcpu_call(struct vcpu *v, void (*fn)(struct vcpu *v, void *arg), void *arg);

/* accel->state_get on the vCPU's thread: v->state is then good until the vCPU runs again. */
int vcpu_get_state(struct vcpu *v, struct err *e) MUST_CHECK;

/*
 * On the vCPU's thread: enough of v->state for a look at it (accel->state_peek); not to be saved or
 * put back.
 */
int vcpu_peek(struct vcpu *v, struct err *e) MUST_CHECK;

/* The vCPU whose thread this is, or NULL. */
struct vcpu *vcpu_current(void);

/*
 * Registers and the code bytes at the program counter, for a crash report.  On the vCPU's thread,
 * after vcpu_peek.
 */
void vcpu_show(struct vcpu *v, struct strbuf *out);

#endif
