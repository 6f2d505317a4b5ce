/*
 * accel/kvm/arm64/probe.c - can this host's KVM run kernels, and what kind of KVM is it?
 *
 * The first is answered by running guest code at EL1 in a throw-away VM of 128 KiB:
 *
 *	mmio       with the MMU off, a store reaches a device
 *	exception  with the MMU on, BRK arrives at VBAR_EL1, its syndrome is right, ERET returns,
 *and a store through the page table reaches the device psci       SYSTEM_OFF by HVC becomes a
 *system event
 *
 * KVM_RUN may hang: a timer sends this thread the kick's signal every ALARM_MS, as often as it
 *takes. (A signal that comes just before KVM_RUN is lost; the next one is not.)
 *
 * The second: the kernel says how KVM sits on the processor in its log only, which not everybody
 *may read.  What everybody can see is which timer the host kernel itself uses, in /proc/interrupts.
 * Linux on a host with KVM uses the EL2 physical timer when it runs at EL2 (VHE) and the EL1 one
 * when it does not (drivers/clocksource/arm_arch_timer.c, arch_timer_select_ppi).  The interrupts
 * have numbers that the base system architecture fixes (SBSA §4.1.5).  Protected mode is chosen on
 * the kernel's command line and has a kernel at EL1.  Where these facts are not there the answer is
 * "not known".
 */
#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/mman.h>
#include <sys/syscall.h>
#include <time.h>
#include <unistd.h>

#include "accel/kvm/arm64/arm64.h"
#include "base/endian.h"
#include "base/str.h"
#include "base/sys.h"

#define ALARM_MS 20u
#define LIMIT_NS UINT64_C(2000000000) /* for all tests */

/* The guest's memory, and beyond it the device. */
#define MEM_SIZE   0x20000u
#define AT_CODE	   0x1000u
#define AT_VECTORS 0x2000u
#define AT_HANDLER (AT_VECTORS + 0x200) /* synchronous, from EL1 with its own stack pointer */
#define AT_TABLE   0x4000u
#define AT_DEVICE  0x40000000u

static const uint32_t code[] = {
	0xd2a80009, /* mov x9, #AT_DEVICE */
	0x52800021, /* mov w1, #MMIO_ANSWER */
	0xb9000121, /* str w1, [x9] */
	0xd2840002, /* mov x2, #AT_VECTORS */
	0xd518c002, /* msr vbar_el1, x2 */
	0xd2801fe2, /* mov x2, #0xff: attribute 0 write-back, 1 device */
	0xd518a202, /* msr mair_el1, x2 */
	0xd286a322, /* mov x2, #0x3519: 39 bits by TTBR0, walks cached and shared, */
	0xf2a01002, /* movk x2, #0x80, lsl #16: none by TTBR1 */
	0xd5182042, /* msr tcr_el1, x2 */
	0xd2880002, /* mov x2, #AT_TABLE */
	0xd5182002, /* msr ttbr0_el1, x2 */
	0xd5033fdf, /* isb */
	0xd5381002, /* mrs x2, sctlr_el1 */
	0xd28200a3, /* mov x3, #0x1005: MMU and caches */
	0xaa030042, /* orr x2, x2, x3 */
	0xd5181002, /* msr sctlr_el1, x2 */
	0xd5033fdf, /* isb */
	0xd4200000, /* brk #0 */
	0x11000821, /* add w1, w1, #2 */
	0xb9000121, /* str w1, [x9] */
	0x52800100, /* mov w0, #0x8: SYSTEM_OFF */
	0x72b08000, /* movk w0, #0x8400, lsl #16 */
	0xd4000002, /* hvc #0 */
	0x14000000, /* b . */
};
static const uint32_t handler[] = {
	0xd5385201, /* mrs x1, esr_el1 */
	0xd35a7c21, /* ubfx x1, x1, #26, #6: exception class */
	0xd5384023, /* mrs x3, elr_el1 */
	0x91001063, /* add x3, x3, #4 */
	0xd5184023, /* msr elr_el1, x3 */
	0xd69f03e0, /* eret */
};
#define MMIO_ANSWER	 1u
#define EXCEPTION_ANSWER (0x3cu + 2) /* the class of BRK, and 2 */

/* Level 1 blocks of 1 GiB: memory, executable, and the device. */
#define BLOCK_MEMORY 0x701u
#define BLOCK_DEVICE 0x405u

enum test { TEST_MMIO, TEST_EXCEPTION, TEST_PSCI, TESTS };
static const struct {
	const char *fact, *fails;
} tests[TESTS] = {
	[TEST_MMIO] = {"probe: device access", "EL1 code does not reach a device"},
	[TEST_EXCEPTION] = {"probe: MMU and exceptions",
			    "EL1 code with the MMU on does not take an exception and return"},
	[TEST_PSCI] = {"probe: PSCI", "SYSTEM_OFF does not arrive"},
};

struct probe {
	int node, vm, vcpu;
	size_t run_size;
	struct kvm_run *run;
	uint8_t *mem;
	timer_t timer;
	bool timer_on;
	bool gicv2, gicv3, its;
};

static int make_vcpu(struct probe *p, struct err *e)
{
	struct kvm_vcpu_init init;
	void *m;
	int rc = KVM_CALL_VAL(p->node, KVM_GET_VCPU_MMAP_SIZE, 0, e);

	if (rc < 0)
		return rc;
	p->run_size = (size_t)rc;
	p->vcpu = KVM_CALL_VAL(p->vm, KVM_CREATE_VCPU, 0, e);
	if (p->vcpu < 0)
		return p->vcpu;
	m = sys_mmap(NULL, p->run_size, PROT_READ | PROT_WRITE, MAP_SHARED, p->vcpu, 0);
	if (m == MAP_FAILED)
		return err_errno(e, -errno, "cannot map the vCPU's shared page");
	p->run = m;
	rc = KVM_CALL(p->vm, KVM_ARM_PREFERRED_TARGET, &init, e);
	if (rc < 0)
		return rc;
	init.features[0] |= 1u << KVM_ARM_VCPU_PSCI_0_2;
	rc = KVM_CALL(p->vcpu, KVM_ARM_VCPU_INIT, &init, e);
	return rc < 0 ? rc : 0;
}

static int setup(struct probe *p, struct err *e)
{
	struct kvm_userspace_memory_region r = {.memory_size = MEM_SIZE};
	const uint64_t pc = AT_CODE;
	void *m;
	int rc;

	/* The type 0, 40 bits, is refused where there are fewer. */
	p->vm = KVM_CALL_VAL(p->node, KVM_CREATE_VM,
			     (unsigned long)kvm_cap(p->node, KVM_CAP_ARM_VM_IPA_SIZE), e);
	if (p->vm < 0)
		return p->vm;
	p->gicv2 = kvm_arm64_has_device(p->vm, KVM_DEV_TYPE_ARM_VGIC_V2);
	p->gicv3 = kvm_arm64_has_device(p->vm, KVM_DEV_TYPE_ARM_VGIC_V3);
	p->its = kvm_arm64_has_device(p->vm, KVM_DEV_TYPE_ARM_VGIC_ITS);
	m = sys_mmap(NULL, MEM_SIZE, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
	if (m == MAP_FAILED)
		return err_nomem(e, MEM_SIZE, "a probe");
	p->mem = m;
	memcpy(p->mem + AT_CODE, code, sizeof(code));
	memcpy(p->mem + AT_HANDLER, handler, sizeof(handler));
	le64_store(p->mem + AT_TABLE, BLOCK_MEMORY);
	le64_store(p->mem + AT_TABLE + 8, AT_DEVICE | BLOCK_DEVICE);
	r.userspace_addr = (uintptr_t)m;
	rc = KVM_CALL(p->vm, KVM_SET_USER_MEMORY_REGION, &r, e);
	if (rc >= 0)
		rc = make_vcpu(p, e);
	if (rc < 0)
		return rc;
	return kvm_arm64_reg_put(p->vcpu,
				 KVM_REG_ARM64 | KVM_REG_SIZE_U64 | KVM_REG_ARM_CORE |
					 KVM_REG_ARM_CORE_REG(regs.pc),
				 &pc, "pc", e);
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

static void probe_exit(struct probe *p)
{
	if (p->timer_on)
		timer_delete(p->timer);
	if (p->run)
		munmap(p->run, p->run_size);
	if (p->vcpu >= 0)
		close(p->vcpu);
	if (p->vm >= 0)
		close(p->vm);
	if (p->mem)
		munmap(p->mem, MEM_SIZE);
	if (p->node >= 0)
		close(p->node);
}

/* What a finished KVM_RUN says about @test: true if it is passed; else *what says why not. */
static bool judge(const struct kvm_run *run, enum test test, char *what, size_t n)
{
	uint32_t got = 0, want = test == TEST_MMIO ? MMIO_ANSWER : EXCEPTION_ANSWER;

	switch (run->exit_reason) {
	case KVM_EXIT_MMIO:
		memcpy(&got, run->mmio.data, sizeof(got));
		if (test == TEST_PSCI || !run->mmio.is_write || run->mmio.phys_addr != AT_DEVICE)
			snprintf(what, n, "an access of address 0x%llx instead",
				 (unsigned long long)run->mmio.phys_addr);
		else if (got != want)
			snprintf(what, n, "the answer was 0x%x, not 0x%x", got, want);
		else
			return true;
		return false;
	case KVM_EXIT_SYSTEM_EVENT:
		if (test == TEST_PSCI && run->system_event.type == KVM_SYSTEM_EVENT_SHUTDOWN)
			return true;
		snprintf(what, n, "system event %u instead", run->system_event.type);
		return false;
	case KVM_EXIT_FAIL_ENTRY:
		snprintf(what, n, "the processor refused to enter the guest");
		return false;
	default: snprintf(what, n, "exit reason %u", run->exit_reason); return false;
	}
}

static bool run_test(struct probe *p, enum test test, uint64_t end, char *what, size_t n)
{
	for (;;) {
		if (!ioctl(p->vcpu, KVM_RUN, 0))
			return judge(p->run, test, what, n);
		if (errno != EINTR && errno != EAGAIN) {
			snprintf(what, n, "KVM_RUN: %s", strerror(errno));
			return false;
		}
		if (sys_now_ns() > end) {
			snprintf(what, n, "no answer in %u ms", (unsigned)(LIMIT_NS / 1000000));
			return false;
		}
	}
}

/* Each test goes on where the one before it ended: after a failure the rest is not run. */
static unsigned run_tests(struct probe *p, struct accel_report *r, char *what, size_t n)
{
	uint64_t end = sys_now_ns() + LIMIT_NS;

	for (unsigned i = 0; i < TESTS; i++) {
		if (!run_test(p, (enum test)i, end, what, n)) {
			accel_fact(r, tests[i].fact, "fails: %s", what);
			return i;
		}
		accel_fact(r, tests[i].fact, "works");
	}
	return TESTS;
}

/* A small file into @buf, cut at its end; false if it cannot be read. */
static bool slurp(const char *path, char *buf, size_t n)
{
	int fd = sys_open(path, O_RDONLY | O_CLOEXEC, 0);
	size_t used = 0;
	ssize_t got = 1;

	if (fd < 0)
		return false;
	while (got > 0 && used < n - 1) {
		got = read(fd, buf + used, n - 1 - used);
		if (got > 0)
			used += (size_t)got;
	}
	close(fd);
	buf[used] = 0;
	return used > 0;
}

/* The host kernel's timer interrupt by its INTID, or 0. */
static unsigned host_timer(void)
{
	FILE *f = fopen("/proc/interrupts", "re");
	char *line = NULL;
	size_t size = 0;
	unsigned intid = 0;

	if (!f)
		return 0;
	/* " 11:  4711  GICv3  26 Level     arch_timer", with a count for each CPU */
	while (!intid && getline(&line, &size, f) > 0) {
		char *gic = strstr(line, "GIC"), *end;
		unsigned long n;

		if (!gic || !strstr(gic, " arch_timer"))
			continue;
		gic += strcspn(gic, " \t");
		n = strtoul(gic, &end, 10);
		if (end != gic && n < 32)
			intid = (unsigned)n;
	}
	free(line);
	fclose(f);
	return intid;
}

static const char *mode(void)
{
	char cmdline[4096];
	bool protected = slurp("/proc/cmdline", cmdline, sizeof(cmdline)) &&
			 strstr(cmdline, "kvm-arm.mode=protected");

	switch (host_timer()) {
	case ARM64_GIC_PPI_INTID + ARM64_PPI_TIMER_HYP: return "VHE: the host kernel runs at EL2";
	case ARM64_GIC_PPI_INTID + ARM64_PPI_TIMER_NSEC:
		if (protected)
			return "protected: split, and the host kernel at EL1 is kept out of EL2";
		return "non-VHE: split over EL2 and the host kernel at EL1";
	default: return "not known: /proc/interrupts does not show the host kernel's timer";
	}
}

static void facts(struct accel_report *r, const struct probe *p)
{
	unsigned ipa = (unsigned)kvm_cap(p->node, KVM_CAP_ARM_VM_IPA_SIZE);
	bool pauth = kvm_cap(p->node, KVM_CAP_ARM_PTRAUTH_ADDRESS) &&
		     kvm_cap(p->node, KVM_CAP_ARM_PTRAUTH_GENERIC);

	accel_fact(r, "mode", "%s", mode());
	accel_fact(r, "gic", "%s%s%s%s", p->gicv3 ? "GICv3" : "", p->its ? " with ITS" : "",
		   p->gicv3 && p->gicv2 ? ", " : "",
		   p->gicv2   ? "GICv2"
		   : p->gicv3 ? ""
			      : "none");
	accel_fact(r, "ipa-bits", "%u", ipa ? ipa : 40);
	accel_fact(r, "host-page", "%ld bytes", sysconf(_SC_PAGESIZE));
	accel_fact(r, "features", "PSCI%s%s%s",
		   kvm_cap(p->node, KVM_CAP_ARM_PMU_V3) ? ", PMUv3" : "",
		   kvm_cap(p->node, KVM_CAP_ARM_SVE) ? ", SVE" : "",
		   pauth ? ", pointer authentication" : "");
	accel_fact(r, "debug-registers", "%d breakpoints, %d watchpoints",
		   kvm_cap(p->node, KVM_CAP_GUEST_DEBUG_HW_BPS),
		   kvm_cap(p->node, KVM_CAP_GUEST_DEBUG_HW_WPS));
}

static void verdict(struct accel_report *r, const struct probe *p, unsigned passed,
		    const char *what)
{
	bool gic = p->gicv2 || p->gicv3;

	r->usable = passed == TESTS && gic;
	if (r->usable) {
		str_copy(r->summary, sizeof(r->summary), "runs 64-bit kernels");
		return;
	}
	r->limited = passed > TEST_MMIO;
	str_copy(r->summary, sizeof(r->summary),
		 r->limited ? "present but unable to run 64-bit kernels"
			    : "present but unable to run any guest");
	if (passed < TESTS)
		snprintf(r->why, sizeof(r->why), "%s (%s)", tests[passed].fails, what);
	else
		str_copy(r->why, sizeof(r->why), "it has no interrupt controller (GIC) for guests");
	str_copy(r->hint, sizeof(r->hint),
		 "if this host is a virtual machine, its hypervisor's nested virtualization does "
		 "not do what a processor does");
}

void kvm_arm64_probe(struct accel_report *r)
{
	struct probe p = {.node = -1, .vm = -1, .vcpu = -1};
	struct err e = ERR_INIT;
	uint64_t start = sys_now_ns();
	char what[80] = "";
	unsigned passed = 0;
	int rc;

	if (!kvm_report_start(r, &p.node))
		return;
	rc = setup(&p, &e);
	if (!rc)
		rc = alarm_start(&p, &e);
	if (!rc) {
		facts(r, &p);
		passed = run_tests(&p, r, what, sizeof(what));
		verdict(r, &p, passed, what);
	} else {
		str_copy(r->summary, sizeof(r->summary), "present but cannot make a VM");
		str_copy(r->why, sizeof(r->why), e.msg);
		str_copy(r->hint, sizeof(r->hint), e.hint);
	}
	probe_exit(&p);
	accel_fact(r, "probe: time", "%u ms", (unsigned)((sys_now_ns() - start) / 1000000));
}
