/*
 * core/vm.h - a virtual machine: its parts and its life.
 *
 * Life: the legal transitions are the table in vm.c and are asserted there.
 *
 *	NEW      parts are being put together; no vCPU thread runs guest code
 *	READY    built and reset; vCPUs are parked
 *	RUNNING  vCPUs run, VM time runs
 *	PAUSED   vCPUs are parked, VM time stands, devices hold work and produce none
 *	STOPPED  vCPU threads have ended; only vm_free may follow
 *
 *	NEW -> READY -> RUNNING <-> PAUSED,  {READY, RUNNING, PAUSED} -> STOPPED,  NEW -> STOPPED
 *	A reset happens in READY or PAUSED and leaves the state as it was.
 *
 * vm_* functions are the main loop's thread's, except where marked "any thread".
 */
#ifndef LODGE_CORE_VM_H
#define LODGE_CORE_VM_H

#include "base/list.h"
#include "base/loop.h"
#include "core/accel.h"
#include "core/clock.h"
#include "core/device.h"
#include "core/exit.h"
#include "core/mem.h"
#include "core/vcpu.h"

enum vm_phase { VM_NEW, VM_READY, VM_RUNNING, VM_PAUSED, VM_STOPPED };

/* What a guest, a device, a vCPU or the user asked for. */
enum vm_event {
	VM_EVENT_NONE,
	VM_EVENT_OFF,	 /* power off: ACPI S5, PSCI, the last vCPU halted for good */
	VM_EVENT_RESET,	 /* reboot */
	VM_EVENT_CRASH,	 /* triple fault */
	VM_EVENT_PANIC,	 /* guest says it panicked */
	VM_EVENT_BROKEN, /* a vCPU cannot go on */
	VM_EVENT_EXIT,	 /* end Lodge with .code (debug-exit, C-a x, signal, timeout) */
};

struct vm_request {
	enum vm_event event;
	int code;	/* VM_EVENT_EXIT: the exit code */
	unsigned vcpu;	/* the vCPU it came from, or 0 */
	bool by_guest;	/* it came from a vCPU's thread, not from the user or the host */
	char text[160]; /* for the log; "" says nothing */
};

/* A host back end that devices refer to by name (chardev, block, net). */
struct backend {
	const char *kind;
	char id[32];
	void *ptr;
	void (*free)(void *ptr);
	struct backend *next;
};

/* How CPUs are grouped; the product is the number of vCPUs. */
struct vm_topology {
	unsigned sockets, cores, threads; /* cores a socket, threads a core */
};

struct vm {
	char name[32];
	const struct arch *arch;
	const struct accel_ops *accel;
	void *accel_data; /* accelerator's own */
	void *chips;	  /* arch->chips_size bytes */
	struct loop *loop;
	struct clock clock;
	struct as mem;	 /* guest-physical */
	struct as ports; /* x86 I/O ports */
	struct ram *rams;
	struct irqchip
		*irqchip; /* set by accel->irqchip_init, freed by vm_exit of the accelerator */
	struct list devices;
	struct backend *backends;
	struct vcpu *vcpus;
	unsigned n_vcpus;
	struct vm_topology topology;
	const char *accel_arg;	 /* see struct vm_options */
	const char *cpu_model;	 /* see struct vm_options */
	const void *arch_config; /* see struct vm_options */

	pthread_mutex_t lock; /* phase, parking, requests */
	pthread_cond_t cond;
	pthread_cond_t settled; /* n_making and n_puts are 0; the main thread's alone */
	enum vm_phase phase;
	bool make;		   /* vm_start_vcpus was called */
	unsigned n_making;	   /* vCPUs that are still being created */
	unsigned n_puts;	   /* vCPUs that have not taken their state since the last reset */
	bool release;		   /* vm_run was called: the last of those lets all go */
	struct vm_request request; /* first one wins until taken */
	struct loop_post request_post;

	/*
	 * Board: puts boot images and vCPUs to where they start.  World stopped, devices are reset.
	 */
	int (*board_reset)(struct vm *vm, struct err *e);
	void (*board_exit)(struct vm *vm);
	void *board;
	/* The owner's handler of requests, on the loop's thread. */
	void (*on_request)(struct vm *vm, const struct vm_request *r, void *arg);
	void *on_request_arg;
	/* vm_debug_attach; written under .lock by the loop's thread. */
	void (*on_debug)(struct vm *vm, void *arg);
	void *on_debug_arg;
	struct loop_post debug_post;
	uint64_t started_ns;		/* host time of the first vm_run */
	_Atomic uint64_t console_bytes; /* guest output seen, for the progress watcher */
};

struct vm_options {
	const char *name;
	const struct arch *arch;
	const struct accel_ops *accel;
	struct loop *loop;
	unsigned n_vcpus;
	struct vm_topology topology; /* all 0: n_vcpus sockets of one core */
	/*
	 * What the board and the accelerator have to agree on beyond the interfaces of core: a
	 * struct of arch/<name>, such as struct arm64_config; borrowed, or NULL where there is
	 * none.
	 */
	const void *arch_config;
	/*
	 * For the accelerator: what its arg_check takes, or the script of "script"; borrowed, or
	 * NULL.
	 */
	const char *accel_arg;
	/* Which features of the CPU the guest is shown (arch/x86/cpu_model.h); borrowed, or NULL.
	 */
	const char *cpu_model;
};

/* NEW.  The accelerator's VM exists; no memory, no chips, no vCPUs yet. */
int vm_new(const struct vm_options *o, struct vm **out, struct err *e) MUST_CHECK;
/*
 * Starts the vCPU threads, which wait for vm_start_vcpus: before what makes this thread wait, so
 * that they are there when they are needed.  Pinning comes before, in NEW.  Optional.
 */
int vm_start_threads(struct vm *vm, struct err *e) MUST_CHECK;
/*
 * Has the vCPU threads create their vCPUs and park.  Still NEW.  They do so while the board goes
 * on; one that cannot be created is an error of the vm_settle that follows.
 */
int vm_start_vcpus(struct vm *vm, struct err *e) MUST_CHECK;
/*
 * Resets everything and runs board_reset: NEW -> READY, or in place in READY and PAUSED.  The vCPUs
 * take their state on their own threads, those that are still being created when they are.
 */
int vm_prepare(struct vm *vm, struct err *e) MUST_CHECK;
/*
 * Waits until every vCPU is there and has taken its state; the first that could not is the error.
 * Needed once after each vm_prepare, also after the vm_run that follows it.
 */
int vm_settle(struct vm *vm, struct err *e) MUST_CHECK;
/* vm_prepare and vm_settle. */
int vm_reset(struct vm *vm, struct err *e) MUST_CHECK;
/*
 * READY or PAUSED -> RUNNING.  No vCPU enters the guest before all are there and have their state;
 * if one fails (vm_settle says so), none ever does.
 */
void vm_run(struct vm *vm);
/* RUNNING -> PAUSED: kick, park, quiesce, stop the clock. Returns with the world stopped. */
void vm_pause(struct vm *vm);
/* Any -> STOPPED: ends the vCPU threads. */
void vm_stop(struct vm *vm);
/* Stops if needed and frees all parts. NULL does nothing. */
void vm_free(struct vm *vm);

/* Any thread, any lock: asks the owner for an event; the first pending one wins. */
void vm_request(struct vm *vm, enum vm_event event, int code, const char *fmt, ...)
	PRINTF_LIKE(4, 5);

/*
 * Registers a back end; the VM owns it from here and frees it after the devices. -EEXIST, -ENOMEM.
 */
int vm_add_backend(struct vm *vm, const char *kind, const char *id, void *ptr,
		   void (*free_fn)(void *), struct err *e) MUST_CHECK;
void *vm_find_backend(struct vm *vm, const char *kind, const char *id);

/*
 * Saves and loads the state of vCPUs, chips, clock and devices (not RAM) as sections
 * {name length, name, id length, id, version, length, crc32, fields}.  READY or PAUSED.  A load
 * checks every section before it changes anything.
 */
int vm_save_state(struct vm *vm, struct strbuf *out, struct err *e) MUST_CHECK;
int vm_load_state(struct vm *vm, const void *data, size_t len, struct err *e) MUST_CHECK;

/* Totals over all vCPUs. */
uint64_t vm_exits(struct vm *vm, enum exit_stat s);

#endif
