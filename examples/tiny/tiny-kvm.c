/*
 * tiny-kvm: a whole virtual machine monitor, on nothing but the KVM API.
 *
 *	tiny-kvm [-i] FILE[@ADDR]
 *
 * loads the flat binary FILE at the guest-physical address ADDR (0x7c00), starts it there in real
 * mode and runs it until it halts with interrupts off.  What the guest writes to the serial port
 * 0x3f8 or to the debug console 0xe9 appears on standard output.  -i gives the machine interrupt
 * controllers and a timer.  README.md is the guided tour; the numbers (1) to (8) are its steps.
 *
 * API: [Linux Documentation/virt/kvm/api.rst].
 */
#include <errno.h>
#include <fcntl.h>
#include <linux/kvm.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/mman.h>
#include <sys/time.h>
#include "guest.h"
#include "stats.h"
#include "toy.h"

struct tiny {
	int kvm, vm, vcpu;   /* one descriptor each: the system, a machine, a CPU */
	struct kvm_run *run; /* the page in which KVM says why KVM_RUN returned */
	uint8_t *ram;	     /* guest-physical address 0 is ram[0] */
	struct toy toy;
	unsigned long exits;
};

static int need(int result, const char *what)
{
	if (result < 0) {
		fprintf(stderr, "tiny-kvm: %s: %s\n", what, strerror(errno));
		exit(1);
	}
	return result;
}

static void *map(size_t len, int flags, int fd, const char *what)
{
	void *p = mmap(NULL, len, PROT_READ | PROT_WRITE, flags, fd, 0);

	need(p == MAP_FAILED ? -1 : 0, what);
	return p;
}

static void machine_create(struct tiny *t, int with_irqchip)
{
	t->kvm = need(open("/dev/kvm", O_RDWR | O_CLOEXEC), "/dev/kvm"); /* (1) */
	if (ioctl(t->kvm, KVM_GET_API_VERSION, 0) != KVM_API_VERSION) {
		fprintf(stderr, "tiny-kvm: this kernel does not speak version 12 of the KVM API\n");
		exit(1);
	}
	t->vm = need(ioctl(t->kvm, KVM_CREATE_VM, 0), "KVM_CREATE_VM"); /* (2) */
	need(ioctl(t->vm, KVM_SET_TSS_ADDR, 0xfffbd000ul), "KVM_SET_TSS_ADDR");

	t->ram = map(RAM_SIZE, MAP_PRIVATE | MAP_ANONYMOUS, -1, "memory for the guest");
	struct kvm_userspace_memory_region slot = {
		.guest_phys_addr = 0, .memory_size = RAM_SIZE, .userspace_addr = (uintptr_t)t->ram};
	need(ioctl(t->vm, KVM_SET_USER_MEMORY_REGION, &slot), "the memory slot"); /* (3) */
	if (with_irqchip) {
		struct kvm_pit_config pit = {.flags = 0};
		need(ioctl(t->vm, KVM_CREATE_IRQCHIP, 0), "KVM_CREATE_IRQCHIP");
		need(ioctl(t->vm, KVM_CREATE_PIT2, &pit), "KVM_CREATE_PIT2");
	}
}

static void vcpu_create(struct tiny *t, uint16_t start)
{
	t->vcpu = need(ioctl(t->vm, KVM_CREATE_VCPU, 0), "KVM_CREATE_VCPU"); /* (4) */
	int len = need(ioctl(t->kvm, KVM_GET_VCPU_MMAP_SIZE, 0), "kvm_run's size");
	t->run = map((size_t)len, MAP_SHARED, t->vcpu, "kvm_run");

	struct kvm_cpuid2 *id = calloc(1, sizeof(*id) + 256 * sizeof(id->entries[0]));
	need(id ? 0 : -1, "memory for CPUID");
	id->nent = 256;
	need(ioctl(t->kvm, KVM_GET_SUPPORTED_CPUID, id), "KVM_GET_SUPPORTED_CPUID");
	need(ioctl(t->vcpu, KVM_SET_CPUID2, id), "KVM_SET_CPUID2");
	free(id);

	struct kvm_sregs s;
	need(ioctl(t->vcpu, KVM_GET_SREGS, &s), "KVM_GET_SREGS"); /* (5) */
	s.cs.base = 0; /* reset says ffff0000: the last page below 4 GiB, where firmware lives */
	s.cs.selector = 0;
	need(ioctl(t->vcpu, KVM_SET_SREGS, &s), "KVM_SET_SREGS");
	struct kvm_regs r = {.rip = start, .rsp = start, .rflags = 2};
	need(ioctl(t->vcpu, KVM_SET_REGS, &r), "KVM_SET_REGS");
}

static void port_access(struct kvm_run *run)
{
	uint8_t *data = (uint8_t *)run + run->io.data_offset;
	size_t len = (size_t)run->io.size * run->io.count;

	if (run->io.direction == KVM_EXIT_IO_IN) /* 0x3fd: the serial port can always send */
		memset(data, run->io.port == 0x3fd ? 0x60 : 0xff, len);
	else if (run->io.port == 0x3f8 || run->io.port == 0xe9)
		fwrite(data, 1, len, stdout);
}

/* With interrupt controllers in the kernel, HLT waits there too: has the guest halted for good? */
static int halted_for_good(struct tiny *t)
{
	struct kvm_mp_state state = {.mp_state = KVM_MP_STATE_RUNNABLE};

	(void)ioctl(t->vcpu, KVM_GET_MP_STATE, &state);
	return state.mp_state == KVM_MP_STATE_HALTED && !t->run->if_flag;
}

static int machine_run(struct tiny *t)
{
	const char *why;
	unsigned long long detail = 0;

	for (;;) {
		int r = ioctl(t->vcpu, KVM_RUN, 0); /* (6) */
		if (r < 0 && errno == EINTR) {
			if (halted_for_good(t))
				return 0;
			continue;
		}
		need(r, "KVM_RUN");
		t->exits++;
		switch (t->run->exit_reason) { /* (7) */
		case KVM_EXIT_IO: port_access(t->run); continue;
		case KVM_EXIT_MMIO: toy_access(&t->toy, t->run); continue;
		case KVM_EXIT_HLT: return 0;
		case KVM_EXIT_SHUTDOWN: why = "triple fault"; break;
		case KVM_EXIT_FAIL_ENTRY:
			why = "the CPU refused the guest's state";
			detail = t->run->fail_entry.hardware_entry_failure_reason;
			break;
		case KVM_EXIT_INTERNAL_ERROR:
			why = "KVM cannot go on";
			detail = t->run->internal.suberror;
			break;
		default: why = "an exit this program does not know"; detail = t->run->exit_reason;
		}
		return guest_stopped(t->vcpu, t->ram, why, detail);
	}
}

static void wake(int sig)
{
	(void)sig; /* its only work is to make KVM_RUN return EINTR */
}

int main(int argc, char **argv)
{
	int with_irqchip = argc == 3 && strcmp(argv[1], "-i") == 0;
	struct tiny t = {0};

	if (argc != 2 + with_irqchip) {
		fprintf(stderr, "usage: tiny-kvm [-i] FILE[@ADDR]\n");
		return 2;
	}
	setbuf(stdout, NULL); /* what the guest prints is seen at once */
	machine_create(&t, with_irqchip);
	vcpu_create(&t, guest_load(argv[argc - 1], t.ram));
	if (with_irqchip) {
		struct itimerval every = {{0, 50000}, {0, 50000}};
		signal(SIGALRM, wake);
		setitimer(ITIMER_REAL, &every, NULL);
	}
	int code = machine_run(&t);
	long long emulated = vcpu_stat(t.vcpu, "insn_emulation"); /* (8) */
	fprintf(stderr, "tiny-kvm: %s after %lu exits", code ? "stopped" : "halted", t.exits);
	if (emulated >= 0)
		fprintf(stderr, "; KVM emulated %lld instructions", emulated);
	fputc('\n', stderr);
	return code;
}
