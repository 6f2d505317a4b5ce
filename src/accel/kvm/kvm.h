/*
 * accel/kvm/kvm.h - private to the KVM accelerator: its structs, and what its files ask of each
 * other.
 *
 * Files: caps.c opens the node and names capabilities; vm.c makes the VM and times its clock;
 * slots.c hands over memory and fetches dirty pages; run.c runs vCPUs and has the exits that every
 * architecture shares; held.c performs the writes that KVM held back; later.c does what nobody has
 * to wait for; debug.c sets what stops a vCPU for a debugger; report.c writes facts for `lodge
 * info`.  The folder of the host's architecture has registers, CPUID, interrupt chips, its own
 * exits and the probe; it implements the kvm_arch_* functions and defines accel_kvm.
 */
#ifndef LODGE_ACCEL_KVM_KVM_H
#define LODGE_ACCEL_KVM_KVM_H

#include <linux/kvm.h>
#include <pthread.h>
#include <stdatomic.h>

#include "core/vm.h"

/* Newer than the oldest kernel headers that Lodge builds with. */
#ifndef KVM_EXIT_MEMORY_FAULT
#define KVM_EXIT_MEMORY_FAULT 39
#endif
#ifndef KVM_DIRTY_LOG_PAGE_OFFSET
#define KVM_DIRTY_LOG_PAGE_OFFSET 64
#endif
#ifndef KVM_CAP_DIRTY_LOG_RING_ACQ_REL
#define KVM_CAP_DIRTY_LOG_RING_ACQ_REL 223
#endif

#define KVM_NODE     "/dev/kvm"
#define KVM_KICK_SIG SIGUSR1 /* ends KVM_RUN; its handler does nothing */

/* What vm->accel_arg may say: "dirty-ring=N,node=PATH". */
struct kvm_options {
	char node[64];
	uint32_t dirty_ring; /* entries a vCPU; 0: bitmaps */
};

struct kvm_arch; /* the architecture's part of a VM */

/* A vCPU.  They live from vm_init to vm_exit, so that a late kick finds one. */
struct kvm_vcpu {
	struct kvm_vm *kvm;
	struct vcpu *v;
	int fd;		   /* -1: none */
	_Atomic pid_t tid; /* 0: cannot be kicked */
	struct kvm_run *run;
	struct kvm_coalesced_mmio_ring *held_ring; /* see held.c; NULL: none */
	_Atomic bool nmi;			   /* wanted; seen when KVM_RUN is interrupted */
	bool held; /* not started, and no interrupt chip to start it */
	bool ran;
	unsigned long id;
	uint32_t tsc_khz; /* x86: as KVM made it; 0: not known */
	struct kvm_dirty_gfn *ring;
	uint32_t ring_next; /* under kvm->lock */
	struct vcpu_debug debug;
};

/* A memory slot, by the number core gave it. */
struct kvm_slot {
	uint64_t pages;
	uint64_t *dirty; /* dirty ring: what was harvested and not yet fetched */
	bool used, log;
};

/* Jobs for later, see later.c. */
struct kvm_later {
	pthread_mutex_t lock; /* leaf */
	pthread_cond_t cond;
	struct kvm_job *jobs; /* still to be done, in order */
	pthread_t thread;
	bool started; /* there is a thread to join */
	bool alive;   /* it will look at the list again */
	bool busy;    /* a job that is not on the list any more is being done */
	bool closing; /* what is on the list is all there will be */
};

struct kvm_vm {
	struct vm *vm;
	int node, fd;
	struct kvm_options opt;
	size_t run_size;
	bool manual_protect;
	unsigned n_slots;
	pthread_mutex_t lock; /* slots, rings, clock, what is learned once; no device lock inside */
	struct kvm_slot *slots;
	struct kvm_vcpu *vcpus; /* vm->n_vcpus */
	/* The guest's clock, see vm.c. */
	bool clock_known, clock_pending;
	uint64_t clock_offset, clock_value;
	struct kvm_later later;
	/* Writes held back, see held.c: where their ring is behind a run page (0: none). */
	size_t held_off;
	uint32_t held_max;	   /* entries */
	bool held_ports;	   /* ports too */
	pthread_mutex_t held_lock; /* outside the locks of devices, inside none */
	struct kvm_arch *arch;
};

static inline struct kvm_vm *kvm_of(const struct vm *vm)
{
	return vm->accel_data;
}

/* caps.c */

/*
 * Opens the node and checks that it is a KVM of the one stable API version; the descriptor or
 * -errno.
 */
int kvm_open(const char *path, struct err *e) MUST_CHECK;
/* KVM_CHECK_EXTENSION on the node or a VM: 0 is no. */
int kvm_cap(int fd, int cap);
/* -ENOTSUP with the first missing capability's name if this KVM lacks one that Lodge needs. */
int kvm_check_caps(int fd, struct err *e) MUST_CHECK;
/*
 * ioctl(2), again for as long as a signal interrupts it: a kick may hit its vCPU's thread in any of
 * them, and KVM_CREATE_VM for one gives up then.  Its result, or -errno.
 */
int kvm_ioctl(int fd, unsigned long req, unsigned long arg) MUST_CHECK;
/* An ioctl whose failure is worded "KVM_SET_REGS: Invalid argument".  Its result, or -errno. */
#define KVM_CALL(fd, req, arg, e)     kvm_call((fd), (req), #req, (arg), (e))
#define KVM_CALL_VAL(fd, req, val, e) kvm_call_val((fd), (req), #req, (val), (e))
int kvm_call(int fd, unsigned long req, const char *name, void *arg, struct err *e) MUST_CHECK;
int kvm_call_val(int fd, unsigned long req, const char *name, unsigned long val,
		 struct err *e) MUST_CHECK;
/* Switches on a capability of a VM. */
int kvm_enable_cap(int fd, unsigned cap, uint64_t arg0, uint64_t arg1, struct err *e) MUST_CHECK;
/* The module that drives the hardware ("kvm_intel"), or "" if none shows. */
const char *kvm_module(void);

struct kvm_cap_name {
	int cap;
	const char *name;
	bool needed;
};
/* All that Lodge uses on every architecture and on this one, each ended by a NULL name. */
extern const struct kvm_cap_name kvm_cap_names[], kvm_arch_cap_names[];

/* vm.c */

/* The accelerator's arg_check. */
int kvm_arg_check(const char *arg, struct err *e) MUST_CHECK;
int kvm_vm_init(struct vm *vm, struct err *e) MUST_CHECK;
void kvm_vm_exit(struct vm *vm);
int kvm_doorbell(struct vm *vm, const struct doorbell *d, int fd, bool add, struct err *e);
/* The guest's clock as of VM time now. */
int kvm_clock_get(struct kvm_vm *kvm, uint64_t *ns, struct err *e) MUST_CHECK;
/* Sets it before the next entry. */
void kvm_clock_put(struct kvm_vm *kvm, uint64_t ns);
/* Before the first entry after a pause. */
void kvm_clock_resume(struct kvm_vm *kvm);

/* held.c */

/* Looks whether KVM holds writes back.  After the VM was created. */
void kvm_held_init(struct kvm_vm *kvm);
/* Performs what is held back.  A vCPU's thread, no lock held. */
void kvm_held_flush(struct kvm_vcpu *kv);
/* The accelerator's hold_writes. */
void kvm_hold_writes(struct vm *vm, enum as_kind space, gpa_t base, uint64_t len, bool hold);

/* later.c */

#define KVM_LATER_ARG 64u

void kvm_later_init(struct kvm_later *l);
/*
 * Has @fn called on a thread of its own, after all jobs before it, with a copy of the @len bytes
 * (at most KVM_LATER_ARG) at @arg.  Any thread, no lock of the VM held that @fn takes.  -ENOMEM, or
 * -EAGAIN if the host gives no thread; then @fn is not called.
 */
int kvm_later(struct kvm_vm *kvm, void (*fn)(struct kvm_vm *kvm, const void *arg), const void *arg,
	      size_t len, struct err *e) MUST_CHECK;
/* Returns when all jobs that were put on the list before are done. */
void kvm_later_wait(struct kvm_vm *kvm);
/* Waits for them and ends the thread; nobody may have another job. */
void kvm_later_exit(struct kvm_vm *kvm);

/* slots.c */

int kvm_slot_set(struct vm *vm, const struct as_map *m, bool remove, bool log, struct err *e);
int kvm_slot_dirty(struct vm *vm, const struct as_map *m, uint64_t *bitmap, struct err *e);
/* Empties every vCPU's ring.  Takes kvm->lock. */
int kvm_ring_harvest(struct kvm_vm *kvm, struct err *e) MUST_CHECK;
int kvm_ring_map(struct kvm_vcpu *kv, struct err *e) MUST_CHECK;

/* run.c */

/* Creates vCPU number @id of KVM's; its thread. */
int kvm_vcpu_create(struct vcpu *v, unsigned long id, struct err *e) MUST_CHECK;
void kvm_vcpu_exit(struct vcpu *v);
/* Unmaps and closes; any thread, when nobody can kick it. */
void kvm_vcpu_destroy(struct kvm_vcpu *kv);
enum vcpu_stop kvm_vcpu_run(struct vcpu *v);
void kvm_vcpu_kick(struct vcpu *v);
int kvm_vcpu_nmi(struct vcpu *v, struct err *e);
/* Installs the kick's handler and lets it through on this thread. */
void kvm_kick_setup(void);

#define KVM_GO_ON (-1) /* an exit handler's "enter the guest again" */

/* An exit's handler: KVM_GO_ON or an enum vcpu_stop. */
struct kvm_exit {
	const char *name;
	enum exit_stat stat;
	int (*fn)(struct vcpu *v, struct kvm_run *run);
};
/* By exit reason; the architecture's.  Entries without a handler are reported as unknown. */
extern const struct kvm_exit kvm_exits[];
extern const unsigned kvm_n_exits;

int kvm_exit_mmio(struct vcpu *v, struct kvm_run *run);
int kvm_exit_system_event(struct vcpu *v, struct kvm_run *run);
int kvm_exit_dirty_ring(struct vcpu *v, struct kvm_run *run);
int kvm_exit_memory_fault(struct vcpu *v, struct kvm_run *run);
/* Puts the reason into v->broken; returns VCPU_BROKEN. */
int kvm_broken(struct vcpu *v, const char *fmt, ...) PRINTF_LIKE(2, 3);

/* debug.c: the accelerator's debug_limits and debug_set. */

void kvm_debug_limits(struct vm *vm, struct debug_limits *l);
int kvm_debug_set(struct vcpu *v, const struct vcpu_debug *d, struct err *e);
/* After registers were set: KVM on x86 forgets a step when that moves the program counter. */
int kvm_debug_again(struct kvm_vcpu *kv, struct err *e) MUST_CHECK;
/* What `lodge info` says about it. */
void kvm_debug_fact(struct accel_report *r, int node);
/* Notes why @v stopped; returns VCPU_DEBUG. */
int kvm_debug_stopped(struct vcpu *v, const struct debug_stop *s);

/* report.c */

/*
 * Facts about node, module, version and capabilities; false (with why and hint) if there is no use
 * in going on.
 */
bool kvm_report_start(struct accel_report *r, int *node);

/* Of the architecture's folder. */

/* What KVM_CREATE_VM is to be given. */
int kvm_arch_vm_type(struct kvm_vm *kvm, unsigned long *type, struct err *e) MUST_CHECK;
int kvm_arch_vm_init(struct kvm_vm *kvm, struct err *e) MUST_CHECK;
void kvm_arch_vm_exit(struct kvm_vm *kvm);
/* After vcpu_run found v->resumed, before the guest is entered. */
void kvm_arch_vcpu_resumed(struct kvm_vcpu *kv);
/* The guest's clock, in nanoseconds, while no vCPU is in KVM_RUN. */
int kvm_arch_clock_read(struct kvm_vm *kvm, uint64_t *ns, struct err *e) MUST_CHECK;
int kvm_arch_clock_write(struct kvm_vm *kvm, uint64_t ns, struct err *e) MUST_CHECK;

/* What guest debug gives on node or VM @fd, which has KVM_CAP_SET_GUEST_DEBUG. */
void kvm_arch_debug_limits(int fd, struct debug_limits *l);
/* Puts @p into the next free debug register of its kind. */
void kvm_arch_debug_point(struct kvm_guest_debug *g, const struct debug_point *p);
/* The vCPU takes the exception of the software breakpoint that it stopped at. */
int kvm_arch_debug_pass(struct kvm_vcpu *kv, struct kvm_guest_debug *g, struct err *e) MUST_CHECK;
/* The last word before KVM_SET_GUEST_DEBUG. */
void kvm_arch_debug_control(struct kvm_vcpu *kv, struct kvm_guest_debug *g);

/* What messages say about this architecture's KVM. */
struct kvm_arch_words {
	const char *modules[4]; /* that drive the hardware; NULL-terminated */
	const char *absent;	/* hint where there is no node */
	const char *unloaded;	/* hint where kvm is loaded and none of the modules is */
	const char *no_driver;	/* hint where the node has no driver behind it */
};
extern const struct kvm_arch_words kvm_arch_words;

extern const struct accel_ops accel_kvm;

#endif
