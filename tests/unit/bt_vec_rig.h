/*
 * unit/bt_vec_rig.h - one instruction twice: by its meaning on a software CPU, and as it is on the
 * host, from the same registers.  Extended state goes between the two as an XSAVE image.
 *
 * The software CPU runs in 64-bit mode; linear addresses below 2 MiB are RAM, but for one page.
 * The host's side has the same bytes in mappings of its own.
 */
#ifndef LODGE_UNIT_BT_VEC_RIG_H
#define LODGE_UNIT_BT_VEC_RIG_H

#include <signal.h>
#include <sys/mman.h>
#include <ucontext.h>

#include "accel/bt/cpu.h"
#include "accel/bt/exec.h"
#include "accel/bt/flags.h"
#include "accel/bt/host/fx.h"
#include "accel/bt/host/host.h"
#include "accel/bt/mmu.h"
#include "base/sys.h"
#include "fake_vm.h"

#define RIG_RAM	  (4u << 20)
#define RIG_DATA  0x100000u /* two pages of data, and one that is not there */
#define RIG_BYTES 0x2000u
#define RIG_OK	  0x100u
#define RIG_RIP	  0x7654321000u

static struct {
	struct vm *vm;
	struct bt_vm bvm;
	_Atomic(struct bt_cpu *) list[1];
	struct bt_cpu *c;
	struct ram *ram;
	uint8_t *data; /* the guest's at RIG_DATA */
	uint64_t seed;
} rig;

/* What the host runs, and its registers before and behind it. */
struct native {
	_Alignas(64) uint8_t area[4096];
	uint64_t gpr[16], rflags;
	uint32_t components;
	uint8_t *code;
	uint8_t *data; /* at the place of RIG_DATA */
	uint64_t rsp;
};
extern struct native native;
extern void native_run(void);
struct native native;

/* clang-format off */
#define GPRS(X) \
	X(rax, 0) X(rcx, 8) X(rdx, 16) X(rbx, 24) X(rbp, 40) X(rsi, 48) X(rdi, 56) X(r8, 64) \
	X(r9, 72) X(r10, 80) X(r11, 88) X(r12, 96) X(r13, 104) X(r14, 112) X(r15, 120)
#define LOAD(r, o) "mov native+4096+" #o "(%rip), %" #r "\n"
#define SAVE(r, o) "mov %" #r ", native+4096+" #o "(%rip)\n"
__asm__(".text\n.globl native_run\nnative_run:\n"
	"push %rbx\npush %rbp\npush %r12\npush %r13\npush %r14\npush %r15\n"
	"mov native+4232(%rip), %eax\nxor %edx, %edx\nxrstor64 native(%rip)\n"
	"push native+4224(%rip)\npopfq\n"
	GPRS(LOAD)
	"call *native+4240(%rip)\n"
	GPRS(SAVE)
	"pushfq\npop native+4224(%rip)\n"
	"mov native+4232(%rip), %eax\nxor %edx, %edx\nxsave64 native(%rip)\n"
	"fninit\npush $0x1f80\nldmxcsr (%rsp)\npop %rax\n"
	"pop %r15\npop %r14\npop %r13\npop %r12\npop %rbp\npop %rbx\nret\n");
/* clang-format on */
_Static_assert(offsetof(struct native, gpr) == 4096 && offsetof(struct native, rflags) == 4224 &&
		       offsetof(struct native, components) == 4232 &&
		       offsetof(struct native, code) == 4240,
	       "native_run knows them by number");

static inline uint64_t rnd(void)
{
	rig.seed ^= rig.seed << 13;
	rig.seed ^= rig.seed >> 7;
	rig.seed ^= rig.seed << 17;
	return rig.seed * UINT64_C(0x2545f4914f6cdd1d) >> 8;
}

/* Bytes that are often floating-point numbers worth looking at. */
static inline void rnd_bytes(void *p, size_t n)
{
	static const uint32_t f32[] = {0,	   0x80000000, 0x3f800000, 0xbf800000, 0x7f800000,
				       0x7fc00000, 0x7fa00000, 0x00000001, 0x007fffff, 0x7f7fffff,
				       0x3f7fffff, 0x4f000000, 0x5f000000, 0x40490fdb, 0x00800000};
	static const uint64_t f64[] = {UINT64_C(0x3ff0000000000000), UINT64_C(0x7ff0000000000000),
				       UINT64_C(0x7ff8000000000000), UINT64_C(0x7ff4000000000000),
				       UINT64_C(0x0000000000000001), UINT64_C(0x7fefffffffffffff),
				       UINT64_C(0x000fffffffffffff), UINT64_C(0x3fd5555555555555),
				       UINT64_C(0xc1e0000000000000), UINT64_C(0x43e0000000000000)};
	uint8_t *b = p;

	for (size_t k = 0; k < n; k += 8) {
		uint64_t v = rnd() ^ rnd() << 32;
		uint32_t w[2];

		if (rnd() % 3 == 0) {
			w[0] = f32[rnd() % ARRAY_LEN(f32)];
			w[1] = rnd() % 2 ? f32[rnd() % ARRAY_LEN(f32)] : (uint32_t)rnd();
			memcpy(&v, w, 8);
		} else if (rnd() % 3 == 0) {
			v = f64[rnd() % ARRAY_LEN(f64)];
		}
		memcpy(b + k, &v, MIN(n - k, (size_t)8));
	}
}

static int rig_slot_set(struct vm *vm, const struct as_map *m, bool remove, bool log, struct err *e)
{
	(void)vm;
	return mmu_slot_set(&rig.bvm, m, remove, log, e);
}

/* Executes @i with exceptions caught: the vector, or RIG_OK. */
static __attribute__((noinline)) unsigned rig_run(const struct insn *i)
{
	sigjmp_buf out;

	rig.c->out = &out;
	rig.c->delivering = 0;
	if (sigsetjmp(out, 0))
		return rig.c->event.vector;
	i->exec(rig.c, i);
	return RIG_OK;
}

/* The test framework puts its own handler of SIGFPE in front of each test. */
static void rig_sigfpe(void)
{
	static const uint8_t addps[] = {0x0f, 0x58, 0xc0};
	static struct sigaction ours;
	static bool known;
	struct insn i;

	if (!known) { /* the first instruction that may trap installs it */
		assert_int_equal(insn_decode(addps, 3, 8, &rig.c->features, &i), INSN_OK);
		rig.c->ext.mxcsr = 0;
		assert_int_equal(rig_run(&i), RIG_OK);
		rig.c->ext.mxcsr = 0x1f80;
		sigaction(SIGFPE, NULL, &ours);
		known = true;
	}
	sigaction(SIGFPE, &ours, NULL);
}

/* The first 2 MiB as they are, RIG_DATA + RIG_BYTES not there; tables at 3 MiB. */
static void rig_paging(struct bt_cpu *c)
{
	uint64_t *t = (uint64_t *)(void *)(rig.ram->host + 0x300000);

	t[0] = 0x301003;
	t[512] = 0x302003;
	t[1024] = 0x303003;
	for (unsigned n = 0; n < 512; n++)
		t[1536 + n] = n == (RIG_DATA + RIG_BYTES) >> 12 ? 0 : n << 12 | 3u;
	c->cr0 = X86_CR0_PE | X86_CR0_PG | X86_CR0_WP | X86_CR0_NE;
	c->cr4 = X86_CR4_PAE | X86_CR4_OSFXSR | X86_CR4_OSXMMEXCPT | X86_CR4_OSXSAVE;
	c->efer = X86_EFER_LME | X86_EFER_LMA | X86_EFER_NXE;
	c->cr3 = 0x300000;
	c->xcr0 = bt_xcr0_host();
	c->mode = (struct bt_mode){.code = 8, .stack = 8, .prot = true, .lma = true};
	mmu_mode_changed(c);
}

/* The page behind the data is there on both sides, or on neither. */
static inline void rig_hole(bool filled)
{
	uint64_t *t = (uint64_t *)(void *)(rig.ram->host + 0x303000);
	const uint64_t la = RIG_DATA + RIG_BYTES;

	t[la >> 12] = filled ? la | 3 : 0;
	mmu_flush_page(rig.c, la);
	assert_int_equal(mprotect(native.data + RIG_BYTES, 0x1000,
				  filled ? PROT_READ | PROT_WRITE : PROT_NONE),
			 0);
}

static void rig_native(void)
{
	uint8_t *p = mmap(NULL, RIG_BYTES + 0x3000, PROT_READ | PROT_WRITE,
			  MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);

	assert_true(p != MAP_FAILED);
	native.data = p;
	assert_int_equal(mprotect(p + RIG_BYTES, 0x1000, PROT_NONE), 0);
	native.code = p + RIG_BYTES + 0x1000;
	assert_int_equal(mprotect(native.code, 0x1000, PROT_READ | PROT_WRITE | PROT_EXEC), 0);
	native.components = (uint32_t)bt_xcr0_host();
}

static struct bt_cpu *rig_new(void)
{
	static struct accel_ops ops;
	struct err e = ERR_INIT;
	struct vm_options o = {.name = "fake", .arch = &fake_arch, .accel = &ops, .n_vcpus = 1};
	static struct x86_cpuid cpuid[2];
	struct insn_features host;
	struct bt_cpu *c = aligned_alloc(64, ALIGN_UP(sizeof(*c), (size_t)64));

	assert_non_null(c);
	memset(c, 0, sizeof(*c));
	memset(&fake, 0, sizeof(fake));
	memset(&rig, 0, sizeof(rig));
	rig.seed = 0x123456789;
	ops = fake_accel;
	ops.slot_set = rig_slot_set;
	o.loop = loop_new(&e);
	assert_non_null(o.loop);
	assert_int_equal(vm_new(&o, &rig.vm, &e), 0);
	rig.bvm.vm = rig.vm;
	rig.bvm.n = 1;
	rig.bvm.cpu = rig.list;
	rig.bvm.a20_mask = UINT64_MAX;
	pthread_mutex_init(&rig.bvm.exclusive, NULL);
	assert_int_equal(mmu_vm_init(&rig.bvm, &e), 0);
	assert_int_equal(ram_new(rig.vm, "ram", RIG_RAM, RAM_ANON, &rig.ram, &e), 0);
	assert_int_equal(as_map_ram(&rig.vm->mem, 0, rig.ram, 0, RIG_RAM, &e), 0);
	rig.data = rig.ram->host + RIG_DATA;
	rig.c = c;
	c->bvm = &rig.bvm;
	c->v = &rig.vm->vcpus[0];
	cpuid[0] = (struct x86_cpuid){.leaf = 0x80000001, .edx = 1u << 26};
	cpuid[1] = (struct x86_cpuid){.leaf = 0x80000008, .eax = 46};
	c->cpuid = cpuid;
	c->n_cpuid = ARRAY_LEN(cpuid);
	pure_features(&host);
	c->features = host;
	c->features.bits[F_BASE / 64] |= 1u << F_BASE | 1u << F_CMOV;
	c->rflags = X86_FLAGS_FIXED;
	c->rip = RIG_RIP;
	assert_int_equal(mmu_init(c, &e), 0);
	assert_int_equal(pure_init(c, &e), 0);
	atomic_store(&rig.list[0], c);
	mmu_idle(c, false);
	ext_reset(c);
	rig_paging(c);
	rig_native();
	rig_sigfpe();
	return c;
}

static void rig_free(void)
{
	munmap(native.data, RIG_BYTES + 0x3000);
	atomic_store(&rig.list[0], NULL);
	pure_exit(rig.c);
	mmu_exit(rig.c);
	free(rig.c);
	mmu_vm_exit(&rig.bvm);
	pthread_mutex_destroy(&rig.bvm.exclusive);
	fake_vm_free(rig.vm);
}

/* Random registers and memory, the same on both sides.  @mxcsr as given. */
static void rig_fill(uint32_t mxcsr)
{
	static struct x86_vcpu image;
	struct bt_cpu *c = rig.c;

	rnd_bytes(c->ext.zmm, sizeof(c->ext.zmm));
	for (unsigned n = 0; n < 8; n++)
		c->ext.k[n] = rnd() << 40 ^ rnd();
	for (unsigned n = 0; n < 8; n++) {
		rnd_bytes(c->ext.fx + FX_ST + n * 16, 8);
		memset(c->ext.fx + FX_ST + n * 16 + 8, 0, 8);
		fx_set16(c, FX_ST + n * 16 + 8,
			 rnd() % 4 ? (unsigned)(0x3ff0 + rnd() % 0x20) : (unsigned)rnd());
	}
	fx_set16(c, FX_FCW, FCW_INIT);
	fx_set16(c, FX_FSW, (unsigned)(rnd() & 0x7f00));
	fx_set16(c, FX_FTW, (unsigned)(rnd() & 0xff));
	fx_set16(c, FX_FOP, 0);
	fx_set64(c, FX_FIP, 0);
	fx_set64(c, FX_FDP, 0);
	c->ext.mxcsr = mxcsr;
	for (unsigned n = 0; n < 16; n++)
		native.gpr[n] = c->gpr[n] = rnd() % 3 ? rnd() << 32 ^ rnd() : rnd() % 20;
	c->rflags = X86_FLAGS_FIXED | (rnd() & FL_ALL);
	c->cc = CC_FLAGS;
	native.rflags = c->rflags;
	rnd_bytes(rig.data, RIG_BYTES);
	memcpy(native.data, rig.data, RIG_BYTES);
	ext_to_xsave(c, &image);
	memcpy(native.area, image.xsave, sizeof(native.area));
}

/* Signals of the host's side come back as their number. */
static sigjmp_buf native_out;

static void on_signal(int sig, siginfo_t *si, void *context)
{
	const ucontext_t *u = context;

	(void)si;
	if (sig == SIGFPE) /* x87, XMM and MXCSR as they were then */
		memcpy(native.area, u->uc_mcontext.fpregs, 416);
	siglongjmp(native_out, sig);
}

/*
 * Runs @n bytes on the host; 0 or a signal.  After a signal native has the registers from before,
 * but for x87, XMM and MXCSR after SIGFPE.
 */
static __attribute__((noinline)) int rig_host(const uint8_t *b, unsigned n)
{
	static struct sigaction sa = {.sa_sigaction = on_signal,
				      .sa_flags = SA_SIGINFO | SA_NODEFER};
	struct sigaction old[3];
	static const int sigs[3] = {SIGSEGV, SIGFPE, SIGILL};
	const uint32_t mxcsr = 0x1f80;
	int sig;

	memcpy(native.code, b, n);
	native.code[n] = 0xc3;
	for (unsigned k = 0; k < 3; k++)
		sigaction(sigs[k], &sa, &old[k]);
	sig = sigsetjmp(native_out, 0);
	if (!sig)
		native_run();
	else
		__asm__ volatile("fninit; ldmxcsr %0" ::"m"(mxcsr));
	for (unsigned k = 0; k < 3; k++)
		sigaction(sigs[k], &old[k], NULL);
	return sig;
}

/* NULL, or what differs between the two sides. */
static const char *rig_differs(uint32_t flags)
{
	static struct x86_vcpu image;
	struct bt_cpu *c = rig.c;

	ext_to_xsave(c, &image);
	if (memcmp(image.xsave + 160, native.area + 160, 256))
		return "an XMM register";
	if (memcmp(image.xsave + 576, native.area + 576, image.xsave_size - 576))
		return "a vector or mask register";
	if (memcmp(image.xsave + FX_MXCSR, native.area + FX_MXCSR, 4))
		return "MXCSR";
	if (memcmp(image.xsave, native.area, 5))
		return "x87's control, status or tags";
	if (memcmp(image.xsave + FX_ST, native.area + FX_ST, 128))
		return "an x87 register";
	for (unsigned n = 0; n < 16; n++) {
		if (n != X86_RSP && n != X86_RBX && c->gpr[n] != native.gpr[n])
			return "a general register";
	}
	if ((flags_get(c) ^ native.rflags) & flags)
		return "a flag";
	if (memcmp(rig.data, native.data, RIG_BYTES))
		return "memory";
	return NULL;
}

#endif
