/*
 * accel/bt/bt.h - the software CPU: what its rooms share.
 *
 *	insn.def insn.h decode.c show.c     the instruction table, decoder, disassembler
 *	exec/                               meanings: integer, string, system, x87, vector
 *	mmu.h mmu.c walk.c                  soft TLB, page walks, guest memory, code pages
 *	event.h event.c                     exceptions, interrupts, task switches
 *	block.c run.c                       decoded blocks and the loop that runs them
 *	host/                               pure instructions on the host's own unit
 *	cpu.c cpuid.c msr.c                 state in and out, what the CPU says it is
 *	debug.c                             what a debugger of the host's wants
 *	bt.c                                struct accel_ops
 *
 * One struct bt_cpu for each vCPU, touched by its own thread only, but for .attention and what
 * struct lapic guards.
 *
 * Meanings.  exec_X(c, i) is called with c->rip at the instruction.  It makes every check before
 * its first side effect, and gives up by bt_raise() and its like, which do not return: they leave
 * by longjmp to the loop, so a meaning holds no lock and owns no memory when it touches guest
 * memory or raises.  Rows without A_END leave c->rip alone; the loop adds i->len.  Rows with A_END
 * set c->rip to the next instruction, wherever it is.  A repeated string instruction may return
 * early with c->rip unchanged, having done some iterations: it is run again after interrupts were
 * looked at.
 */
#ifndef LODGE_ACCEL_BT_BT_H
#define LODGE_ACCEL_BT_BT_H

#include <setjmp.h>
#include <stdatomic.h>
#include <time.h>

#include "accel/bt/insn.h"
#include "arch/x86/cpuid.h"
#include "arch/x86/defs.h"
#include "arch/x86/lapic.h"
#include "arch/x86/userchip.h"
#include "arch/x86/vcpu.h"
#include "core/vcpu.h"
#include "core/vm.h"

/* Vectors of exceptions (SDM 3A table 6-1). */
enum bt_vector {
	X86_DE,
	X86_DB,
	X86_NMI,
	X86_BP,
	X86_OF,
	X86_BR,
	X86_UD,
	X86_NM,
	X86_DF,
	X86_TS = 10,
	X86_NP,
	X86_SS_FAULT,
	X86_GP,
	X86_PF,
	X86_MF = 16,
	X86_AC,
	X86_MC,
	X86_XM,
};

/* How the arithmetic flags are kept (flags.h). */
enum bt_cc {
	CC_FLAGS, /* they are in .rflags */
	CC_ADD,	  /* cc_res = cc_a + cc_b */
	CC_SUB,	  /* cc_res = cc_a - cc_b */
	CC_LOGIC, /* C and O clear, A clear */
	CC_INC,	  /* as ADD of 1, C as in .rflags */
	CC_DEC,
	CC_SHL,	  /* cc_a: one bit before cc_res; cc_b: before the shift */
	CC_SHR,	  /* SAR too; cc_a: one bit before cc_res; cc_b: flag O */
};

/* x87, vector and mask registers while the guest runs; XSAVE images are made of it (xsave.c). */
struct bt_ext {
	_Alignas(64) uint8_t zmm[32][64];
	uint64_t k[8];
	/*
	 * FXSAVE64 image of x87 (SDM 1 table 10-2); XMM fields unused.  Bytes 0-31 and 32-159.  The
	 * instruction and data pointers in it are the guest's.
	 */
	_Alignas(16) uint8_t fx[512];
	uint32_t mxcsr;
	uint32_t pkru;
};

/* MSRs that are only stored, or have a place of their own (msr.c). */
struct bt_msrs {
	uint64_t star, lstar, cstar, fmask, kernel_gs_base, tsc_aux;
	uint64_t sysenter_cs, sysenter_esp, sysenter_eip;
	uint64_t pat, misc_enable, spec_ctrl, xss, debugctl;
	uint64_t mtrr_def, mtrr_fixed[11], mtrr_phys[16];
	uint64_t tsc_adjust;
	uint64_t tsc_skew; /* TSC less VM time and tsc_adjust, that a state from elsewhere left */
	uint64_t system_time, wall_clock; /* kvmclock (KVM's documentation, msr.rst) */
	uint64_t pv_eoi, async_pf, steal_time, poll_control;
	uint64_t mcg_status, mcg_ctl;
};

/* Derived from CR0, CR4, EFER, RFLAGS, CS, CPL: bt_mode_changed() makes it anew. */
struct bt_mode {
	uint8_t code; /* 2, 4, 8: size of code */
	uint8_t cpl;
	uint8_t stack; /* 2, 4, 8: size of the stack pointer */
	bool prot;     /* CR0.PE */
	bool vm86;
	bool lma;     /* long mode, compatibility mode included */
	bool align;   /* alignment is checked: CPL 3, CR0.AM, RFLAGS.AC */
	bool user;    /* data accesses are user accesses: CPL 3 */
	bool step;    /* one instruction at a time: RFLAGS.TF, breakpoints in DR7, a debugger's */
	bool flat[6]; /* by segment: base any, limit 4 GiB, present, readable and writable */
};

struct bt_tlb_set;
struct bt_block;
struct bt_vm;

/* Why .attention is set: bits of it. Any thread sets; the vCPU's own clears. */
enum bt_attention {
	BT_ATTN_REQUEST = 1 << 0, /* v->requests */
	BT_ATTN_IRQ = 1 << 1,	  /* the local APIC or the PIC may have something */
	BT_ATTN_BUDGET = 1 << 2, /* .budget counts: stays set while it does */
	BT_ATTN_TIMER = 1 << 5,	 /* the local APIC's timer is due */
	BT_ATTN_CODE = 1 << 6,	/* write tags of code pages are to be dropped; see mmu.c */
	BT_ATTN_FLUSH = 1 << 7, /* memory maps or the dirty log changed: forget all translations */
};

struct bt_cpu {
	/* Hot: what nearly every instruction touches. */
	uint64_t gpr[16];
	uint64_t rip;	 /* of the instruction that runs */
	uint64_t rflags; /* complete but for what cc says */
	uint64_t cc_res, cc_a, cc_b;
	uint8_t cc;	 /* enum bt_cc */
	uint8_t cc_size; /* 1, 2, 4, 8 bytes */
	struct bt_mode mode;
	struct bt_tlb_set *tlb; /* of the current address space and privilege (mmu.c) */
	uint64_t seg_base[6];	/* as seg[].base; ES, CS, SS, DS are 0 in 64-bit mode */
	_Atomic uint32_t attention;
	/* The block that runs: set by the loop; a store into code that runs cuts it short here. */
	const struct insn *cur, *end;

	struct x86_seg seg[X86_SEGS];
	struct x86_table gdt, idt;
	uint64_t cr0, cr2, cr3, cr4, efer;
	uint64_t dr[4], dr6, dr7;
	uint64_t xcr0;
	struct bt_msrs msr;
	uint8_t irq_shadow; /* 1: behind STI, 2: behind MOV SS: the next one runs first */
	bool nmi_pending, nmi_masked;
	bool no_trap;	 /* the instruction that runs does not trap for the TF it began with */
	bool dr_pending; /* a data breakpoint was hit: dr6 bits in dr_hits */
	uint8_t dr_hits;
	uint8_t delivering; /* an event is being delivered: enum in event.c, for #DF */
	uint32_t mp_state;  /* enum x86_mp */
	struct bt_ext ext;

	/* Cold. */
	struct bt_vm *bvm;
	struct vcpu *v;
	struct lapic *lapic; /* &apic, or NULL in tests without one */
	struct insn_features features; /* of this guest CPU, for the decoder */
	struct x86_cpuid *cpuid;
	unsigned n_cpuid;
	struct bt_mmu *mmu;	  /* owned by mmu.c */
	struct bt_blocks *blocks; /* owned by block.c */
	struct bt_pure *pure;	  /* owned by host/ */
	sigjmp_buf *out;	  /* where bt_raise and bt_stop leave to; see run.c */
	/* The event that bt_raise left with. */
	struct {
		uint8_t vector;
		bool has_error, soft;
		uint32_t error;
		uint64_t address; /* CR2 of #PF */
		uint64_t dr6;	  /* bits to set, of #DB */
	} event;
	/* An event that a state brought: delivered before anything is run (bt_deliver_queued). */
	struct {
		bool valid, has_error, shutdown;
		uint8_t kind, vector; /* enum bt_event_kind */
		uint32_t error, dr6;
	} queued;
	uint64_t instructions; /* retired, counted by block */
	/* What the host's debugger wants (debug.c). */
	struct {
		struct vcpu_debug d;
		bool each;  /* look at each instruction: a step or points are set */
		bool watch; /* one of the points watches data */
		bool hit;   /* and was hit: point, at address */
		unsigned point;
		uint64_t addr;
	} debug;

	/* run.c */
	uint64_t budget;	/* BT_ATTN_BUDGET: rounds of the loop until vcpu_run comes back */
	enum vcpu_stop stop;	/* what bt_stop left with */
	bool irq_waits;		/* an interrupt may wait for IF, TPR or the end of a shadow */
	_Atomic bool asleep;	/* in the futex of .attention, or about to be */
	timer_t timer;		/* of the host, for the local APIC's */
	bool has_timer, timer_armed;
	uint64_t timer_when; /* VM time */
	struct lapic apic;
};

struct bt_vm {
	struct vm *vm;
	unsigned n;
	_Atomic(struct bt_cpu *) *cpu; /* by index; NULL until the vCPU is made */
	struct bt_code *code;	   /* code pages of all RAM, owned by mmu.c */
	pthread_mutex_t exclusive; /* split locks and locked accesses to devices */
	int64_t tsc_offset;	   /* guest TSC = VM time in ns + this: it runs at 1 GHz */
	uint64_t a20_mask;	   /* all ones, or without bit 20 */
	struct lapic_bus bus;
	struct x86_userchip chips;
	bool chips_ready;
};

/* What leaves by c->out. */
enum bt_leave { BT_LEAVE_EVENT = 1 /* c->event is to be delivered */, BT_LEAVE_STOP /* c->stop */ };

#define BT_TSC_KHZ 1000000u

/* event.c.  None of them returns: the instruction has no effect but what it did before. */
_Noreturn void bt_raise(struct bt_cpu *c, enum bt_vector v);
_Noreturn void bt_raise_err(struct bt_cpu *c, enum bt_vector v, uint32_t error);
_Noreturn void bt_raise_pf(struct bt_cpu *c, uint64_t la, uint32_t error);
/* #DB as a trap or fault at c->rip, with @dr6 for DR6. */
_Noreturn void bt_raise_db(struct bt_cpu *c, uint32_t dr6);
/* Delivers c->event, which bt_raise left; called by the loop. */
void bt_deliver_raised(struct bt_cpu *c);
static inline _Noreturn void bt_gp0(struct bt_cpu *c)
{
	bt_raise_err(c, X86_GP, 0);
}
static inline _Noreturn void bt_ud(struct bt_cpu *c)
{
	bt_raise(c, X86_UD);
}

/* cpu.c: call after any change of what struct bt_mode is made of, or of CR3 and paging bits. */
void bt_mode_changed(struct bt_cpu *c);

/* msr.c; nonzero: #GP(0).  cpuid.c. */
int bt_rdmsr(struct bt_cpu *c, uint32_t index, uint64_t *val);
int bt_wrmsr(struct bt_cpu *c, uint32_t index, uint64_t val);
void bt_cpuid(struct bt_cpu *c, uint32_t leaf, uint32_t subleaf, uint32_t out[4]);
/* The guest's TSC now. */
uint64_t bt_tsc(struct bt_cpu *c);

/*
 * debug.c.  Before and behind an instruction, where c->debug.each, and at INT3: they leave by
 * bt_stop if the debugger wants to know.
 */
void bt_debug_before(struct bt_cpu *c);
void bt_debug_behind(struct bt_cpu *c);
void bt_debug_int3(struct bt_cpu *c);
void bt_debug_limits(struct vm *vm, struct debug_limits *l);
int bt_debug_set(struct vcpu *v, const struct vcpu_debug *d, struct err *e);

/* run.c: any thread. */
void bt_attend(struct bt_cpu *c, uint32_t bits);

/*
 * Ends vcpu_run after the instruction or event at hand, with VCPU_SHUTDOWN (triple fault) or
 * VCPU_BROKEN.  Does not return.
 */
_Noreturn void bt_stop(struct bt_cpu *c, enum vcpu_stop why);

#endif
