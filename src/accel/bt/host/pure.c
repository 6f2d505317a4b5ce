/*
 * accel/bt/host/pure.c - the meaning of every row that the host's own unit executes (exec_pure).
 *
 * Order of checks: #UD and #NM by CR0, CR4 and XCR0; #MF of a pending x87 exception where the
 * instruction uses MMX; the memory operand (alignment #GP, #PF); then the stub, and #XM out of it.
 *
 * SIMD floating-point exceptions.  A stub runs with the guest's MXCSR, so the host or's the flags
 * into it and raises SIGFPE for what the guest has unmasked: nearly never anything.  A stub that is
 * interrupted so has stored nothing yet; the handler jumps out of it, with the flags as the host
 * has recorded them.  Masking exceptions and looking at the flags would not do: an unmasked
 * underflow is raised for exact results too, and what is recorded beside an exception depends on
 * which it is (SDM 1 §11.5.2).
 */
#include <pthread.h>
#include <signal.h>
#include <string.h>
#include <ucontext.h>

#include "accel/bt/flags.h"
#include "accel/bt/host/host.h"
#include "accel/bt/mmu.h"
#include "accel/bt/exec.h"

#define MX_FLAGS 0x3fu
#define MX_MASKS 0x1f80u

#define XCR0_AVX    0x06u
#define XCR0_AVX512 0xe6u

const struct pure_stub *pure_stub_of(struct bt_cpu *c, const struct insn *i)
{
	const struct pure_stub *s = i->code;
	struct pure_buf b;
	bool keep;

	if (LIKELY(s))
		return s;
	if (!pure_encode(i, &b))
		bt_ud(c);
	s = arena_add(c->pure, &b, &keep);
	/*
	 * A decoded instruction does not change but for this: it is a cache of the vCPU's own
	 * thread, and blocks are not shared.
	 */
	if (keep)
		((struct insn *)(uintptr_t)i)->code = (void *)(uintptr_t)s;
	return s;
}

/* SDM 2A §2.4 (exception types), tables 2-45 ff. for EVEX. */
static void check_unit(struct bt_cpu *c, unsigned unit)
{
	const bool vex = unit == UNIT_AVX || unit == UNIT_AVX512;
	const uint64_t need = unit == UNIT_AVX512 ? XCR0_AVX512 : XCR0_AVX;

	if (unit == UNIT_NONE)
		return;
	if (vex) {
		if (!c->mode.prot || c->mode.vm86 || !(c->cr4 & X86_CR4_OSXSAVE) ||
		    (c->xcr0 & need) != need)
			bt_ud(c);
	} else if (unit != UNIT_X87) {
		if (c->cr0 & X86_CR0_EM || (unit == UNIT_SSE && !(c->cr4 & X86_CR4_OSFXSR)))
			bt_ud(c);
	} else if (c->cr0 & X86_CR0_EM) {
		bt_raise(c, X86_NM);
	}
	if (c->cr0 & X86_CR0_TS)
		bt_raise(c, X86_NM);
}

void pure_check_vector(struct bt_cpu *c, const struct insn *i)
{
	check_unit(c, i->evex ? UNIT_AVX512 : i->vex ? UNIT_AVX : UNIT_SSE);
}

void pure_check(struct bt_cpu *c, const struct pure_stub *s)
{
	check_unit(c, s->unit);
	if (s->flags & PS_MMX)
		x87_check(c);
}

/*
 * The ABI wants MXCSR's control bits as they were, and they are, nearly always.  Flags it leaves to
 * us: they stay the guest's, because reading MXCSR is some 20 ns slower behind a change of them.
 */
static inline void run_stub(struct bt_cpu *c, const struct pure_stub *s, void *mem)
{
	pure_entry(s)(c, mem);
	if (UNLIKELY(s->flags & PS_FP && (c->ext.mxcsr & ~MX_FLAGS) != MX_MASKS)) {
		const uint32_t host = MX_MASKS | (c->ext.mxcsr & MX_FLAGS);

		__asm__ volatile("ldmxcsr %0" ::"m"(host));
	}
}

/* Where SIGFPE goes, while a stub runs that may raise it. */
static _Thread_local sigjmp_buf *trap_out;
static _Thread_local uint32_t trap_mxcsr;

static void on_sigfpe(int sig, siginfo_t *si, void *context)
{
	const ucontext_t *u = context;

	(void)si;
	if (!trap_out) { /* not ours: end as without a handler */
		struct sigaction none = {.sa_handler = SIG_DFL};

		sigaction(sig, &none, NULL);
		return;
	}
	trap_mxcsr = u->uc_mcontext.fpregs->mxcsr;
	siglongjmp(*trap_out, 1);
}

static void catch_sigfpe(void)
{
	struct sigaction sa = {.sa_sigaction = on_sigfpe, .sa_flags = SA_SIGINFO | SA_NODEFER};

	sigaction(SIGFPE, &sa, NULL); /* cannot fail: the number is good */
}

/* Once in each process, and SIGFPE let through once in each thread. */
static void trap_prepare(void)
{
	static pthread_once_t once = PTHREAD_ONCE_INIT;
	static _Thread_local bool ready;
	sigset_t set;

	if (ready)
		return;
	pthread_once(&once, catch_sigfpe);
	sigemptyset(&set);
	sigaddset(&set, SIGFPE);
	pthread_sigmask(SIG_UNBLOCK, &set, NULL);
	ready = true;
}

/* The unit as the ABI wants it, wherever a stub was left. */
static void unit_clean(void)
{
	const uint32_t host = MX_MASKS;

	if (pure_host()->avx)
		__asm__ volatile("vzeroupper" ::: "memory");
	__asm__ volatile("emms; ldmxcsr %0" ::"m"(host));
}

/* Some exceptions are unmasked.  True: #XM is due, and nothing but the flags has changed. */
static bool run_trapping(struct bt_cpu *c, const struct pure_stub *s, void *mem)
{
	sigjmp_buf out;

	trap_prepare();
	if (sigsetjmp(out, 0)) {
		trap_out = NULL;
		unit_clean();
		c->ext.mxcsr = trap_mxcsr;
		return true;
	}
	trap_out = &out;
	run_stub(c, s, mem);
	trap_out = NULL;
	return false;
}

_Noreturn void pure_raise_xm(struct bt_cpu *c)
{
	if (c->cr4 & X86_CR4_OSXMMEXCPT)
		bt_raise(c, X86_XM);
	bt_ud(c);
}

bool pure_run_on(struct bt_cpu *c, const struct pure_stub *s, void *mem)
{
	if (s->flags & (PS_SETTLE | PS_MMX)) {
		if (s->flags & PS_SETTLE)
			flags_settle(c);
		if (s->flags & PS_MMX)
			x87_to_mmx(c);
	}
	if (UNLIKELY(s->flags & PS_FP && (c->ext.mxcsr & MX_MASKS) != MX_MASKS))
		return run_trapping(c, s, mem);
	run_stub(c, s, mem);
	return false;
}

/* The operand is not simply there: another page, a device, a watched page, or it may trap. */
static void run_apart(struct bt_cpu *c, const struct pure_stub *s, uint64_t la)
{
	const enum bt_access how = !(s->flags & PS_WRITE) ? BT_READ
				   : s->flags & PS_READ	  ? BT_RMW
							  : BT_WRITE;
	struct bt_bounce b;
	_Alignas(64) uint8_t apart[64];
	void *mem = bt_get(c, la, s->mem, how, false, &b);
	bool due;

	if (how != BT_WRITE)
		memcpy(apart, mem, s->mem);
	due = pure_run_on(c, s, apart);
	if (how != BT_READ && !due)
		memcpy(mem, apart, s->mem);
	bt_put(c, &b, how != BT_READ && !due);
	if (due)
		pure_raise_xm(c);
}

void exec_pure(struct bt_cpu *c, const struct insn *i)
{
	const struct pure_stub *s = pure_stub_of(c, i);
	enum bt_access how;
	uint64_t la;
	void *mem;

	pure_check(c, s);
	if (!s->mem) {
		if (UNLIKELY(pure_run_on(c, s, NULL)))
			pure_raise_xm(c);
		return;
	}
	how = s->flags & PS_WRITE ? BT_WRITE : BT_READ;
	la = bt_la(c, i, s->mem, how);
	if (UNLIKELY(la & s->align)) {
		if (!(s->flags & PS_MASKED))
			bt_gp0(c);
		lanes_masked(c, i, s, la);
		return;
	}
	if (how == BT_WRITE)
		mem = bt_write_ptr(c, la, s->mem);
	else
		mem = (void *)(uintptr_t)bt_read_ptr(c, la, s->mem);
	if (UNLIKELY(!mem)) {
		if (s->flags & PS_MASKED)
			lanes_masked(c, i, s, la);
		else
			run_apart(c, s, la);
		return;
	}
	if (UNLIKELY(pure_run_on(c, s, mem)))
		pure_raise_xm(c);
}
