/*
 * core/accel.h - what core asks of an accelerator.
 */
#ifndef LODGE_CORE_ACCEL_H
#define LODGE_CORE_ACCEL_H

#include "base/err.h"
#include "core/arch.h"
#include "core/debug.h"
#include "core/irq.h"
#include "core/mem.h"

struct vm;
struct vcpu;

/* One line of `lodge info`: a fact about an accelerator. */
struct accel_fact {
	char key[48];
	char value[160];
};

#define ACCEL_FACTS_MAX 96

/* What `lodge info` and `--accel auto` learn. */
struct accel_report {
	bool present;	   /* there is something to talk to */
	bool usable;	   /* it ran guest code that needs what kernels need */
	bool limited;	   /* present and it runs some guests (real mode, the tiny kernels) */
	char summary[200]; /* one clause: "runs 64-bit kernels", "present but unable to …" */
	char why[320];	   /* when not usable: exactly why */
	char hint[240];	   /* what the user can do, or "" */
	struct accel_fact facts[ACCEL_FACTS_MAX];
	unsigned n_facts;
};

void accel_fact(struct accel_report *r, const char *key, const char *fmt, ...) PRINTF_LIKE(3, 4);

/* A doorbell: a guest write of @size bytes (0: any) at @addr, of @value if @match, signals a
 * descriptor. */
struct doorbell {
	enum as_kind space;
	gpa_t addr;
	unsigned size;
	bool match;
	uint64_t value;
};

/* Which interrupt chips the machine wants (x86). */
enum irqchip_mode {
	IRQCHIP_KERNEL, /* PIC, IOAPIC, LAPICs and PIT in the kernel */
	IRQCHIP_SPLIT,	/* LAPICs in the kernel, the rest in user space */
	IRQCHIP_USER,	/* all in user space */
};

/* Why vcpu_run came back. */
enum vcpu_stop {
	VCPU_KICKED,   /* someone asked, or nothing in particular: look at the requests and go on */
	VCPU_SHUTDOWN, /* triple fault */
	VCPU_HALTED,   /* halted with nothing that could wake it */
	VCPU_BROKEN,   /* the accelerator cannot go on; vcpu->broken says why */
	VCPU_DEBUG,    /* what debug_set asked for; vcpu->debug_stop says which */
	VCPU_DONE,     /* this vCPU has no more work (end of a script) */
};

struct accel_ops {
	const char *name; /* "kvm", "script" */
	const char *help;
	bool manual_clock; /* VM time moves by clock_step only */
	bool user_chips;   /* its interrupt chips are the board's: IRQCHIP_USER and no other */
	bool in_order;	   /* vcpu_init is called for one vCPU after the other, from 0 on */

	/* Is @arg, "key=value,...", what vm_options.accel_arg may be?  NULL: it has no options. */
	int (*arg_check)(const char *arg, struct err *e);

	/* Can it run the guests we mean to run, on this host?  Runs guest code.  Never fails: it
	 * reports. */
	void (*probe)(struct accel_report *r);

	/*
	 * Begins, on a thread of its own, what takes long, will be needed by a VM and depends on
	 * the host only.  Nothing has to follow it.  Main thread; optional.
	 */
	void (*warm_up)(void);

	int (*vm_init)(struct vm *vm, struct err *e);
	/* Also after a vm_init that failed or was never reached: vm->accel_data is NULL then. */
	void (*vm_exit)(struct vm *vm);
	/*
	 * Creates the interrupt chips and sets vm->irqchip.  Called after RAM is mapped (a KVM
	 * memory slot set after the irqchip costs milliseconds) and before vCPUs and devices.
	 */
	int (*irqchip_init)(struct vm *vm, enum irqchip_mode mode, struct err *e);

	/* Adds or (len 0) removes the slot of map @m; with @log writes are logged. */
	int (*slot_set)(struct vm *vm, const struct as_map *m, bool remove, bool log,
			struct err *e);
	/* ORs pages written by vCPUs since the last call into @bitmap and clears the log. */
	int (*slot_dirty)(struct vm *vm, const struct as_map *m, uint64_t *bitmap, struct err *e);

	/*
	 * From now on (@hold) or no longer, writes of vCPUs that lie within [base, base+len) may be
	 * held back.  They are performed by as_vcpu_write, in their order, before anything is done
	 * about the next exit of any vCPU and before its vcpu_run returns.  When this returns with
	 * @hold false, none is held any more; the world is stopped then.  Optional, and a hint.
	 */
	void (*hold_writes)(struct vm *vm, enum as_kind space, gpa_t base, uint64_t len, bool hold);

	/* On the vCPU's own thread, all of these. */
	int (*vcpu_init)(struct vcpu *v, struct err *e);
	void (*vcpu_exit)(struct vcpu *v);
	/*
	 * Runs guest code until something needs the caller.  Must not enter the guest while
	 * v->requests is non-zero, which it checks after clearing what an earlier kick left behind.
	 */
	enum vcpu_stop (*vcpu_run)(struct vcpu *v);
	/*
	 * vcpu->state from the accelerator, and back.  While v->fresh (nothing was ever put, the
	 * vCPU is as the accelerator made it) state_put may leave out what a reset state already
	 * has.
	 */
	int (*state_get)(struct vcpu *v, struct err *e);
	int (*state_put)(struct vcpu *v, struct err *e);
	/*
	 * As state_get, but only what arch->pc, show, doing, activity and translate look at; the
	 * rest of vcpu->state is undefined.  For crash reports and samples: it waits for nothing.
	 * Optional: state_get serves.
	 */
	int (*state_peek)(struct vcpu *v, struct err *e);

	/*
	 * What debug_set may ask for on this host; any thread.  Both or neither.  debug_set is
	 * given what was checked against these limits, and replaces what it was given before.
	 */
	void (*debug_limits)(struct vm *vm, struct debug_limits *l);
	int (*debug_set)(struct vcpu *v, const struct vcpu_debug *d, struct err *e);

	/* Any thread: makes vcpu_run return soon, also if it is about to be entered. */
	void (*vcpu_kick)(struct vcpu *v);
	/* Any thread: non-maskable interrupt.  Optional. */
	int (*vcpu_nmi)(struct vcpu *v, struct err *e);

	/*
	 * State of the chips outside the vCPUs (PIC, IOAPIC, PIT, clock) in vm->chips.  Optional.
	 */
	int (*chips_get)(struct vm *vm, struct err *e);
	int (*chips_put)(struct vm *vm, struct err *e);

	/* ioeventfd, or NULL: the bus does it. */
	int (*doorbell)(struct vm *vm, const struct doorbell *d, int fd, bool add, struct err *e);
};

/* All accelerators of this build, in order of preference; NULL-terminated (accel/accel.c). */
extern const struct accel_ops *const accel_list[];
/* By name, or NULL. */
const struct accel_ops *accel_find(const char *name);

#endif
