/*
 * accel/kvm/x86/probe.c - can this host's KVM run kernels?  Answered by running guest code.
 *
 * A /dev/kvm that opens and names every capability may still have a module behind it that runs
 * kernel mode in an instruction emulator (kvm_pvm), or an outer hypervisor that got something
 * wrong.  Names and CPUID flags do not tell; what a kernel needs does:
 *
 *	real     16-bit code writes a port
 *	paging   32-bit paging can be switched on: CR0.PG is kept without EFER.LME
 *	kernel   64-bit kernel mode takes an exception through its IDT, returns, and runs POPCNT
 *	syscall  SYSCALL in 64-bit user mode arrives in kernel mode
 *
 * All four: it runs kernels.  Only the first: it runs real-mode guests, and the report says so.
 *
 * Each test has its own vCPU in one throw-away VM of 64 KiB.  KVM_RUN may hang: a timer sends this
 * thread the kick's signal every ALARM_MS, as often as it takes, and a test that has used up
 * its time is given up.  (A signal that comes just before KVM_RUN is lost; the next one is not.)
 */
#include <errno.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/mman.h>
#include <sys/syscall.h>
#include <time.h>
#include <unistd.h>

#include "accel/kvm/x86/x86.h"
#include "arch/x86/defs.h"
#include "base/endian.h"
#include "base/str.h"
#include "base/sys.h"

#define ALARM_MS  20u
#define LIMIT_NS  UINT64_C(500000000) /* for one test */
#define EXITS_MAX 100u

/* The guest's memory. */
#define MEM_SIZE   0x10000u
#define AT_PML4	   0x1000u
#define AT_PDPT	   0x2000u
#define AT_PD	   0x3000u
#define AT_IDT	   0x4000u
#define AT_GDT	   0x5000u
#define AT_CODE	   0x6000u
#define AT_HANDLER 0x6100u
#define AT_USER	   0x7000u
#define AT_STACK   0x9000u

#define SEL_CODE  0x08
#define SEL_DATA  0x10
#define SEL_UDATA 0x23
#define SEL_UCODE 0x2b

#define PORT 0x10

/* mov $0x2a,%al; out %al,$PORT; hlt */
static const uint8_t real_code[] = {0xb0, 0x2a, 0xe6, PORT, 0xf4};
#define REAL_ANSWER 0x2a

/* int3; mov $0xff,%eax; popcnt %eax,%eax; add %bl,%al; out %al,$PORT; hlt */
static const uint8_t kernel_code[] = {0xcc, 0xb8, 0xff, 0,    0,    0,	  0xf3, 0x0f,
				      0xb8, 0xc0, 0x00, 0xd8, 0xe6, PORT, 0xf4};
/* mov $0x10,%bl; iretq */
static const uint8_t kernel_handler[] = {0xb3, 0x10, 0x48, 0xcf};
#define KERNEL_ANSWER (8 + 0x10)

/* syscall; hlt */
static const uint8_t user_code[] = {0x0f, 0x05, 0xf4};
/* mov %cs,%ax; out %al,$PORT; hlt */
static const uint8_t user_handler[] = {0x66, 0x8c, 0xc8, 0xe6, PORT, 0xf4};
#define SYSCALL_ANSWER SEL_CODE

struct probe {
	int node, vm;
	size_t run_size;
	uint8_t *mem;
	struct kvm_x86_cpuid *cpuid;
	timer_t timer;
	bool timer_on;
};

/* One test's vCPU. */
struct guest {
	int fd;
	struct kvm_run *run;
	struct kvm_sregs sregs;
	struct kvm_regs regs;
};

enum { TEST_REAL, TEST_PAGING, TEST_KERNEL, TEST_SYSCALL, TESTS };

static int setup(struct probe *p, struct err *e)
{
	struct kvm_userspace_memory_region r = {.memory_size = MEM_SIZE};
	uint64_t identity = KVM_X86_IDENTITY_MAP;
	void *m = sys_mmap(NULL, MEM_SIZE, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1,
			   0);
	int rc;

	if (m == MAP_FAILED)
		return err_nomem(e, MEM_SIZE, "a probe");
	p->mem = m;
	r.userspace_addr = (uintptr_t)m;
	rc = kvm_x86_supported_cpuid(p->node, &p->cpuid, e);
	if (rc)
		return rc;
	rc = KVM_CALL_VAL(p->node, KVM_GET_VCPU_MMAP_SIZE, 0, e);
	if (rc < 0)
		return rc;
	p->run_size = (size_t)rc;
	p->vm = KVM_CALL_VAL(p->node, KVM_CREATE_VM, 0, e);
	if (p->vm < 0)
		return p->vm;
	rc = KVM_CALL(p->vm, KVM_SET_IDENTITY_MAP_ADDR, &identity, e);
	if (rc >= 0)
		rc = KVM_CALL_VAL(p->vm, KVM_SET_TSS_ADDR, KVM_X86_TSS, e);
	if (rc >= 0)
		rc = KVM_CALL(p->vm, KVM_SET_USER_MEMORY_REGION, &r, e);
	return rc < 0 ? rc : 0;
}

static int alarm_start(struct probe *p, struct err *e)
{
	struct itimerspec its = {.it_interval.tv_nsec = ALARM_MS * 1000000,
				 .it_value.tv_nsec = ALARM_MS * 1000000};
	struct sigevent ev;

	memset(&ev, 0, sizeof(ev));
	ev.sigev_notify = SIGEV_THREAD_ID;
	ev.sigev_signo = KVM_KICK_SIG;
	ev._sigev_un._tid = (pid_t)syscall(SYS_gettid);
	kvm_kick_setup();
	if (timer_create(CLOCK_MONOTONIC, &ev, &p->timer))
		return err_errno(e, -errno, "cannot make a timer for the probe");
	p->timer_on = true;
	if (timer_settime(p->timer, 0, &its, NULL))
		return err_errno(e, -errno, "cannot start the probe's timer");
	return 0;
}

static void guest_exit(struct probe *p, struct guest *g)
{
	if (g->run)
		munmap(g->run, p->run_size);
	if (g->fd >= 0)
		close(g->fd);
}

static int guest_init(struct probe *p, struct guest *g, unsigned id, struct err *e)
{
	void *m;
	int rc;

	g->run = NULL;
	g->fd = KVM_CALL_VAL(p->vm, KVM_CREATE_VCPU, id, e);
	if (g->fd < 0)
		return g->fd;
	m = sys_mmap(NULL, p->run_size, PROT_READ | PROT_WRITE, MAP_SHARED, g->fd, 0);
	if (m == MAP_FAILED)
		return err_errno(e, -errno, "cannot map the vCPU's shared page");
	g->run = m;
	rc = KVM_CALL(g->fd, KVM_SET_CPUID2, p->cpuid, e);
	if (rc >= 0)
		rc = KVM_CALL(g->fd, KVM_GET_SREGS, &g->sregs, e);
	g->regs = (struct kvm_regs){.rip = AT_CODE, .rsp = AT_STACK, .rflags = X86_FLAGS_FIXED};
	return rc < 0 ? rc : 0;
}

/* Runs until the guest writes PORT: true if it wrote @answer; else *what says what happened. */
static bool guest_run(struct guest *g, uint8_t answer, char *what, size_t n)
{
	uint64_t end = sys_now_ns() + LIMIT_NS;

	for (unsigned i = 0; i < EXITS_MAX;) {
		const struct kvm_run *run = g->run;

		if (ioctl(g->fd, KVM_RUN, 0) < 0) {
			if (errno != EINTR && errno != EAGAIN) {
				snprintf(what, n, "KVM_RUN: %s", strerror(errno));
				return false;
			}
			if (sys_now_ns() > end)
				break;
			continue;
		}
		i++;
		switch (run->exit_reason) {
		case KVM_EXIT_IO:
			if (run->io.direction == KVM_EXIT_IO_OUT && run->io.port == PORT) {
				uint8_t got = *((const uint8_t *)run + run->io.data_offset);

				snprintf(what, n, "the answer was 0x%x, not 0x%x", got, answer);
				return got == answer;
			}
			break;
		case KVM_EXIT_SHUTDOWN: snprintf(what, n, "triple fault"); return false;
		case KVM_EXIT_INTERNAL_ERROR:
			if (run->internal.suberror == KVM_INTERNAL_ERROR_EMULATION)
				snprintf(what, n, "KVM cannot emulate the instruction");
			else
				snprintf(what, n, "KVM internal error %u", run->internal.suberror);
			return false;
		case KVM_EXIT_FAIL_ENTRY:
			snprintf(what, n, "the processor refused to enter the guest");
			return false;
		default: snprintf(what, n, "exit reason %u", run->exit_reason); return false;
		}
	}
	snprintf(what, n, "no answer in %u ms", (unsigned)(LIMIT_NS / 1000000));
	return false;
}

static struct kvm_segment flat_seg(uint16_t sel, bool code, unsigned dpl)
{
	return (struct kvm_segment){.limit = 0xffffffff,
				    .selector = sel,
				    .type = code ? 11 : 3,
				    .present = 1,
				    .dpl = (uint8_t)dpl,
				    .db = !code,
				    .s = 1,
				    .l = code,
				    .g = 1};
}

/* 2 MiB identity-mapped for both rings, a GDT, and an IDT whose int3 goes to AT_HANDLER. */
static void long_tables(uint8_t *mem)
{
	static const uint64_t gdt[] = {0, 0x00af9b000000ffff, 0x00cf93000000ffff,
				       0, 0x00cff3000000ffff, 0x00affb000000ffff};

	le64_store(mem + AT_PML4, AT_PDPT | X86_PTE_P | X86_PTE_RW | X86_PTE_US);
	le64_store(mem + AT_PDPT, AT_PD | X86_PTE_P | X86_PTE_RW | X86_PTE_US);
	le64_store(mem + AT_PD, X86_PTE_P | X86_PTE_RW | X86_PTE_US | X86_PTE_PS);
	for (size_t i = 0; i < ARRAY_LEN(gdt); i++)
		le64_store(mem + AT_GDT + i * 8, gdt[i]);
	/* A 64-bit interrupt gate (SDM 3A §6.14.1) whose offset fits into 16 bits. */
	le64_store(mem + AT_IDT + 3 * 16, (uint64_t)0x8e00 << 32 | SEL_CODE << 16 | AT_HANDLER);
	le64_store(mem + AT_IDT + 3 * 16 + 8, 0);
}

static void long_mode(struct guest *g, bool user)
{
	struct kvm_sregs *s = &g->sregs;

	s->cr0 = X86_CR0_PE | X86_CR0_PG | X86_CR0_ET | X86_CR0_NE | X86_CR0_WP | X86_CR0_MP;
	s->cr3 = AT_PML4;
	s->cr4 = X86_CR4_PAE;
	s->efer = X86_EFER_LME | X86_EFER_LMA | X86_EFER_SCE;
	s->cs = user ? flat_seg(SEL_UCODE, true, 3) : flat_seg(SEL_CODE, true, 0);
	s->ds = s->es = s->fs = s->gs = s->ss =
		user ? flat_seg(SEL_UDATA, false, 3) : flat_seg(SEL_DATA, false, 0);
	s->gdt = (struct kvm_dtable){.base = AT_GDT, .limit = 6 * 8 - 1};
	s->idt = (struct kvm_dtable){.base = AT_IDT, .limit = 32 * 16 - 1};
}

static bool test_real(struct probe *p, struct guest *g, char *what, size_t n)
{
	memcpy(p->mem + AT_CODE, real_code, sizeof(real_code));
	g->sregs.cs.base = 0;
	g->sregs.cs.selector = 0;
	if (ioctl(g->fd, KVM_SET_SREGS, &g->sregs) < 0 ||
	    ioctl(g->fd, KVM_SET_REGS, &g->regs) < 0) {
		snprintf(what, n, "KVM_SET_SREGS: %s", strerror(errno));
		return false;
	}
	return guest_run(g, REAL_ANSWER, what, n);
}

static bool test_paging(struct probe *p, struct guest *g, char *what, size_t n)
{
	(void)p;
	g->sregs.cr0 = X86_CR0_PE | X86_CR0_PG | X86_CR0_ET;
	g->sregs.cr3 = AT_PML4;
	g->sregs.efer = 0;
	if (ioctl(g->fd, KVM_SET_SREGS, &g->sregs) < 0 ||
	    ioctl(g->fd, KVM_GET_SREGS, &g->sregs) < 0) {
		snprintf(what, n, "KVM_SET_SREGS: %s", strerror(errno));
		return false;
	}
	snprintf(what, n, "CR0.PG does not stay set");
	return g->sregs.cr0 & X86_CR0_PG;
}

static bool test_kernel(struct probe *p, struct guest *g, char *what, size_t n)
{
	long_tables(p->mem);
	memcpy(p->mem + AT_CODE, kernel_code, sizeof(kernel_code));
	memcpy(p->mem + AT_HANDLER, kernel_handler, sizeof(kernel_handler));
	long_mode(g, false);
	if (ioctl(g->fd, KVM_SET_SREGS, &g->sregs) < 0 ||
	    ioctl(g->fd, KVM_SET_REGS, &g->regs) < 0) {
		snprintf(what, n, "KVM_SET_SREGS: %s", strerror(errno));
		return false;
	}
	return guest_run(g, KERNEL_ANSWER, what, n);
}

static bool test_syscall(struct probe *p, struct guest *g, char *what, size_t n)
{
	struct {
		uint32_t n, pad;
		struct kvm_msr_entry e[3];
	} msrs = {.n = 3,
		  .e = {{.index = X86_MSR_STAR,
			 .data = (uint64_t)0x18 << 48 | (uint64_t)SEL_CODE << 32},
			{.index = X86_MSR_LSTAR, .data = AT_HANDLER},
			{.index = X86_MSR_FMASK, .data = X86_FLAGS_IF}}};

	long_tables(p->mem);
	memcpy(p->mem + AT_USER, user_code, sizeof(user_code));
	memcpy(p->mem + AT_HANDLER, user_handler, sizeof(user_handler));
	long_mode(g, true);
	g->regs.rip = AT_USER;
	if (ioctl(g->fd, KVM_SET_SREGS, &g->sregs) < 0 || ioctl(g->fd, KVM_SET_MSRS, &msrs) != 3 ||
	    ioctl(g->fd, KVM_SET_REGS, &g->regs) < 0) {
		snprintf(what, n, "KVM_SET_SREGS: %s", strerror(errno));
		return false;
	}
	return guest_run(g, SYSCALL_ANSWER, what, n);
}

static const struct {
	const char *fact, *fails;
	bool (*fn)(struct probe *p, struct guest *g, char *what, size_t n);
} tests[TESTS] = {
	[TEST_REAL] = {"probe: real mode", "real-mode code does not run", test_real},
	[TEST_PAGING] = {"probe: 32-bit paging", "32-bit paging cannot be switched on",
			 test_paging},
	[TEST_KERNEL] = {"probe: 64-bit kernel mode",
			 "64-bit kernel mode does not take an exception and run POPCNT",
			 test_kernel},
	[TEST_SYSCALL] = {"probe: SYSCALL", "SYSCALL does not enter kernel mode", test_syscall},
};

/* Adds " and "-joined reasons; they are cut at the end of the buffer. */
static void add_reason(struct strbuf *why, const char *fails, const char *what)
{
	strbuf_printf(why, "%s%s (%s)", why->len ? "; " : "", fails, what);
}

static int run_tests(struct probe *p, struct accel_report *r, bool ok[TESTS], struct strbuf *why,
		     struct err *e)
{
	for (unsigned i = 0; i < TESTS; i++) {
		char what[80] = "";
		struct guest g;
		int rc = guest_init(p, &g, i, e);

		ok[i] = !rc && tests[i].fn(p, &g, what, sizeof(what));
		guest_exit(p, &g);
		if (rc)
			return rc;
		accel_fact(r, tests[i].fact, "%s%s%s", ok[i] ? "works" : "fails", ok[i] ? "" : ": ",
			   ok[i] ? "" : what);
		if (!ok[i])
			add_reason(why, tests[i].fails, what);
	}
	return 0;
}

static void probe_exit(struct probe *p)
{
	if (p->timer_on)
		timer_delete(p->timer);
	if (p->vm >= 0)
		close(p->vm);
	if (p->mem)
		munmap(p->mem, MEM_SIZE);
	free(p->cpuid);
	if (p->node >= 0)
		close(p->node);
}

static void verdict(struct accel_report *r, const bool ok[TESTS], const struct strbuf *why)
{
	const char *module = kvm_module();

	r->usable = ok[TEST_REAL] && ok[TEST_PAGING] && ok[TEST_KERNEL] && ok[TEST_SYSCALL];
	if (r->usable) {
		str_copy(r->summary, sizeof(r->summary), "runs 64-bit kernels");
		return;
	}
	r->limited = ok[TEST_REAL];
	str_copy(r->summary, sizeof(r->summary),
		 r->limited ? "present but unable to run 64-bit kernels"
			    : "present but unable to run any guest");
	snprintf(r->why, sizeof(r->why), "%s; behind it is %s", strbuf_str(why),
		 *module ? module : "a module that /sys/module does not show");
	if (!strcmp(module, "kvm_pvm"))
		str_copy(r->hint, sizeof(r->hint),
			 "kvm_pvm emulates kernel mode in software: real-mode and tiny guests run "
			 "here; unmodified kernels need a host with kvm_intel or kvm_amd");
	else
		str_copy(r->hint, sizeof(r->hint),
			 "if this host is a virtual machine, have its hypervisor switch on nested "
			 "virtualization with EPT or NPT");
}

void kvm_x86_probe(struct accel_report *r)
{
	struct probe p = {.node = -1, .vm = -1};
	struct strbuf why = {0};
	struct err e = ERR_INIT;
	uint64_t start = sys_now_ns();
	bool ok[TESTS] = {false};
	int rc;

	if (!kvm_report_start(r, &p.node))
		return;
	rc = setup(&p, &e);
	if (!rc)
		rc = alarm_start(&p, &e);
	if (!rc)
		rc = run_tests(&p, r, ok, &why, &e);
	probe_exit(&p);
	if (rc) {
		str_copy(r->summary, sizeof(r->summary), "present but cannot make a VM");
		str_copy(r->why, sizeof(r->why), e.msg);
		str_copy(r->hint, sizeof(r->hint), e.hint);
	} else {
		verdict(r, ok, &why);
	}
	strbuf_exit(&why);
	accel_fact(r, "probe: time", "%u ms", (unsigned)((sys_now_ns() - start) / 1000000));
}
