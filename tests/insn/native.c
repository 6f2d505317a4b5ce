/*
 * tests/insn/native.c - executes one instruction at a time on the host's CPU.
 *
 * A child process lives in a signal handler.  Each signal tells how the last trial ended - the trap
 * of RFLAGS.TF behind a whole instruction, or the fault that it made - and its frame holds all
 * registers, extended state included.  The handler takes them down, writes the registers of the
 * next trial into the same frame and returns into its code: one signal a trial.
 *
 * The pool of trials is shared memory.  A trial that kills the child, or does not end, is marked
 * lost; a new child goes on behind it.
 */
#include <cpuid.h>
#include <semaphore.h>
#include <signal.h>
#include <stdatomic.h>
#include <stdio.h>
#include <stddef.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/prctl.h>
#include <sys/wait.h>
#include <time.h>
#include <ucontext.h>
#include <unistd.h>

#include "insn_test.h"

#define FLAGS_TF     0x100u
#define FLAGS_FIXED  0x202u
#define FLAGS_OURS   0x240dd5u /* what a program can set: AC, ID and the arithmetic ones, DF, TF */
#define STEPS_MAX    100000u   /* iterations of a repeated string instruction */
#define XSTATE_MAGIC 0x46505853u
#define STACK_SIZE   65536u

struct shared {
	sem_t go, done;
	unsigned n;	     /* trials to do */
	_Atomic unsigned at; /* the one that is being executed */
	bool quit;
};

static struct shared *shared;
static struct trial *pool;
static unsigned pool_n;
static pid_t child;
static bool have_avx, have_avx512;
static uint32_t off_ymm, off_k, off_zmmh, off_hi16;

/* In the child only. */
static uint8_t *code, *data;
static unsigned steps;
static gregset_t home;

static uint32_t component(unsigned n)
{
	uint32_t a, b, c, d;

	__cpuid_count(0xd, n, a, b, c, d);
	return a ? b : 0;
}

void native_layout(bool *avx, bool *avx512)
{
	uint32_t a, b, c, d, lo = 0, hi;

	__cpuid(1, a, b, c, d);
	if (c & 1u << 27)
		__asm__("xgetbv" : "=a"(lo), "=d"(hi) : "c"(0));
	have_avx = (lo & 6) == 6 && (c & 1u << 28);
	__cpuid_count(7, 0, a, b, c, d);
	have_avx512 = have_avx && (lo & 0xe0) == 0xe0 && (b & 1u << 16);
	off_ymm = component(2);
	off_k = component(5);
	off_zmmh = component(6);
	off_hi16 = component(7);
	*avx = have_avx;
	*avx512 = have_avx512;
}

/* Legacy region of an XSAVE image (SDM 1 table 10-2). */
enum { FX_FCW = 0, FX_FSW = 2, FX_FTW = 4, FX_MXCSR = 24, FX_ST = 32, FX_XMM = 160, FX_BV = 512 };

static void put_extended(uint8_t *fx, const struct world *w)
{
	uint64_t bv = 3;

	memset(fx + 6, 0, 18);
	memcpy(fx + FX_FCW, &w->fcw, 2);
	memcpy(fx + FX_FSW, &w->fsw, 2);
	fx[FX_FTW] = w->ftw;
	memcpy(fx + FX_MXCSR, &w->mxcsr, 4);
	for (unsigned n = 0; n < 8; n++)
		memcpy(fx + FX_ST + 16 * n, w->st[n], 10);
	for (unsigned n = 0; n < 16; n++) {
		memcpy(fx + FX_XMM + 16 * n, w->zmm[n], 16);
		if (have_avx)
			memcpy(fx + off_ymm + 16 * n, w->zmm[n] + 16, 16);
		if (have_avx512) {
			memcpy(fx + off_zmmh + 32 * n, w->zmm[n] + 32, 32);
			memcpy(fx + off_hi16 + 64 * n, w->zmm[16 + n], 64);
		}
	}
	if (have_avx512)
		memcpy(fx + off_k, w->k, 64);
	bv |= (have_avx ? 4u : 0) | (have_avx512 ? 0xe0u : 0);
	memcpy(fx + FX_BV, &bv, 8);
}

static void get_extended(const uint8_t *fx, struct world *w)
{
	uint64_t bv;

	memcpy(&bv, fx + FX_BV, 8);
	memcpy(&w->fcw, fx + FX_FCW, 2);
	memcpy(&w->fsw, fx + FX_FSW, 2);
	w->ftw = fx[FX_FTW];
	memcpy(&w->mxcsr, fx + FX_MXCSR, 4);
	for (unsigned n = 0; n < 8; n++)
		memcpy(w->st[n], fx + FX_ST + 16 * n, 10);
	/* A component whose bit is clear is in its initial state: zero. */
	for (unsigned n = 0; n < 16; n++) {
		if (bv & 2)
			memcpy(w->zmm[n], fx + FX_XMM + 16 * n, 16);
		if (have_avx && (bv & 4))
			memcpy(w->zmm[n] + 16, fx + off_ymm + 16 * n, 16);
		if (have_avx512 && (bv & 0x40))
			memcpy(w->zmm[n] + 32, fx + off_zmmh + 32 * n, 32);
		if (have_avx512 && (bv & 0x80))
			memcpy(w->zmm[16 + n], fx + off_hi16 + 64 * n, 64);
	}
	if (have_avx512 && (bv & 0x20))
		memcpy(w->k, fx + off_k, 64);
}

/* x86_gpr's order in a signal frame. */
static const int greg[16] = {REG_RAX, REG_RCX, REG_RDX, REG_RBX, REG_RSP, REG_RBP,
			     REG_RSI, REG_RDI, REG_R8,	REG_R9,	 REG_R10, REG_R11,
			     REG_R12, REG_R13, REG_R14, REG_R15};

static void load(ucontext_t *uc, struct trial *t)
{
	greg_t *g = uc->uc_mcontext.gregs;

	memset(code, 0xcc, WORLD_PAGE);
	memcpy(code + (t->before.rip - WORLD_CODE), t->code, t->len);
	memcpy(data, t->before.data, WORLD_DATA_LEN);
	for (unsigned n = 0; n < 16; n++)
		g[greg[n]] = (greg_t)t->before.gpr[n];
	g[REG_RIP] = (greg_t)t->before.rip;
	g[REG_EFL] = (greg_t)((t->before.rflags & FLAGS_OURS) | FLAGS_FIXED | FLAGS_TF);
	put_extended((uint8_t *)uc->uc_mcontext.fpregs, &t->before);
	steps = 0;
	t->native.lost = 1; /* until it has ended */
}

static void take(const ucontext_t *uc, struct trial *t, int sig)
{
	const greg_t *g = uc->uc_mcontext.gregs;
	struct world *w = &t->native.after;

	memset(w, 0, offsetof(struct world, data));
	for (unsigned n = 0; n < 16; n++)
		w->gpr[n] = (uint64_t)g[greg[n]];
	w->rip = (uint64_t)g[REG_RIP];
	w->rflags = (uint64_t)g[REG_EFL];
	get_extended((const uint8_t *)uc->uc_mcontext.fpregs, w);
	memcpy(w->data, data, WORLD_DATA_LEN);
	t->native.fault = sig == SIGTRAP && g[REG_TRAPNO] == 1 ? NO_FAULT : (uint8_t)g[REG_TRAPNO];
	t->native.error = (uint32_t)g[REG_ERR];
	t->native.address = (uint64_t)g[REG_CR2];
	t->native.lost = 0;
}

/* The first signal is the child's own; its registers are put back behind the last trial. */
static void handler(int sig, siginfo_t *si, void *arg)
{
	ucontext_t *uc = arg;
	greg_t *g = uc->uc_mcontext.gregs;
	unsigned at = atomic_load(&shared->at);
	struct trial *t = &pool[at];

	(void)si;
	if (sig == SIGUSR1) {
		memcpy(home, g, sizeof(home));
		load(uc, t);
		return;
	}
	if (sig == SIGTRAP && t->repeats && (uint64_t)g[REG_RIP] == t->before.rip &&
	    steps++ < STEPS_MAX)
		return; /* an iteration of a repeated instruction */
	take(uc, t, sig);
	atomic_store(&shared->at, ++at);
	if (at < shared->n) {
		load(uc, &pool[at]);
		return;
	}
	static const struct world calm = {.fcw = 0x37f, .mxcsr = 0x1f80};

	memcpy(g, home, sizeof(home));
	put_extended((uint8_t *)uc->uc_mcontext.fpregs, &calm);
}

static bool map_world(void)
{
	void *c =
		mmap((void *)(uintptr_t)WORLD_CODE, WORLD_PAGE, PROT_READ | PROT_WRITE | PROT_EXEC,
		     MAP_PRIVATE | MAP_ANONYMOUS | MAP_FIXED_NOREPLACE, -1, 0);
	void *d = mmap((void *)(uintptr_t)WORLD_DATA, WORLD_DATA_LEN, PROT_READ | PROT_WRITE,
		       MAP_PRIVATE | MAP_ANONYMOUS | MAP_FIXED_NOREPLACE, -1, 0);

	if (c == MAP_FAILED || d == MAP_FAILED) {
		perror("native: cannot map the little world");
		return false;
	}
	code = c;
	data = d;
	return true;
}

static _Noreturn void child_main(void)
{
	static const int signals[] = {SIGTRAP, SIGSEGV, SIGILL, SIGFPE, SIGBUS, SIGUSR1};
	struct sigaction sa = {.sa_sigaction = handler, .sa_flags = SA_SIGINFO | SA_ONSTACK};
	stack_t ss = {.ss_size = STACK_SIZE, .ss_sp = malloc(STACK_SIZE)};

	prctl(PR_SET_PDEATHSIG, SIGKILL);
	sigfillset(&sa.sa_mask);
	for (unsigned n = 0; n < sizeof(signals) / sizeof(signals[0]); n++)
		sigaction(signals[n], &sa, NULL);
	if (!ss.ss_sp || sigaltstack(&ss, NULL) || !map_world())
		_exit(1);
	for (;;) {
		while (sem_wait(&shared->go))
			;
		if (shared->quit)
			_exit(0);
		raise(SIGUSR1);
		sem_post(&shared->done);
	}
}

static bool new_child(void)
{
	child = fork();
	if (child < 0)
		perror("native: cannot fork");
	if (!child)
		child_main();
	return child > 0;
}

struct trial *native_start(unsigned n)
{
	size_t size = sizeof(*shared) + n * sizeof(*pool);
	bool avx, avx512;
	void *m = mmap(NULL, size, PROT_READ | PROT_WRITE, MAP_SHARED | MAP_ANONYMOUS, -1, 0);

	if (m == MAP_FAILED) {
		perror("native: cannot map the pool");
		return NULL;
	}
	native_layout(&avx, &avx512);
	pool = m;
	pool_n = n;
	shared = (void *)((uint8_t *)m + n * sizeof(*pool));
	sem_init(&shared->go, 1, 0);
	sem_init(&shared->done, 1, 0);
	return new_child() ? pool : NULL;
}

/* True if the child said that it is done; false if it died or stands still, and is no more. */
static bool child_done(void)
{
	struct timespec until;

	for (unsigned tenths = 0; tenths < 100; tenths++) {
		clock_gettime(CLOCK_REALTIME, &until);
		until.tv_nsec += 100000000;
		if (until.tv_nsec >= 1000000000) {
			until.tv_nsec -= 1000000000;
			until.tv_sec++;
		}
		if (!sem_timedwait(&shared->done, &until))
			return true;
		if (waitpid(child, NULL, WNOHANG) == child)
			return false;
	}
	kill(child, SIGKILL);
	waitpid(child, NULL, 0);
	return false;
}

void native_run(unsigned n)
{
	shared->n = n;
	atomic_store(&shared->at, 0);
	while (atomic_load(&shared->at) < n) {
		sem_post(&shared->go);
		if (child_done())
			continue;
		unsigned at = atomic_load(&shared->at);

		if (at < n)
			pool[at].native.lost = 1;
		atomic_store(&shared->at, at + 1);
		sem_init(&shared->go, 1, 0);
		sem_init(&shared->done, 1, 0);
		if (!new_child())
			exit(1);
	}
}

void native_stop(void)
{
	shared->quit = true;
	sem_post(&shared->go);
	waitpid(child, NULL, 0);
	munmap(pool, pool_n * sizeof(*pool) + sizeof(*shared));
}
