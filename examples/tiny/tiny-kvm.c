/*
 * tiny-kvm: a whole virtual machine monitor in one file, on nothing but the KVM API.
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
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/mman.h>
#include <sys/time.h>
#include <unistd.h>
#include "stats.h"
#include "toy.h"

#define RAM_SIZE (16u << 20)

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

static void machine_create(struct tiny *t, int with_irqchip)
{
	t->kvm = need(open("/dev/kvm", O_RDWR | O_CLOEXEC), "/dev/kvm"); /* (1) */
	if (ioctl(t->kvm, KVM_GET_API_VERSION, 0) != KVM_API_VERSION) {
		fprintf(stderr, "tiny-kvm: this kernel does not speak version 12 of the KVM API\n");
		exit(1);
	}
	t->vm = need(ioctl(t->kvm, KVM_CREATE_VM, 0), "KVM_CREATE_VM"); /* (2) */
	need(ioctl(t->vm, KVM_SET_TSS_ADDR, 0xfffbd000ul), "KVM_SET_TSS_ADDR");

	t->ram = mmap(NULL, RAM_SIZE, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
	need(t->ram == MAP_FAILED ? -1 : 0, "memory for the guest");
	struct kvm_userspace_memory_region slot = {
		.slot = 0,
		.guest_phys_addr = 0,
		.memory_size = RAM_SIZE,
		.userspace_addr = (uintptr_t)t->ram,
	};
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
	size_t len = (size_t)need(ioctl(t->kvm, KVM_GET_VCPU_MMAP_SIZE, 0), "kvm_run's size");
	t->run = mmap(NULL, len, PROT_READ | PROT_WRITE, MAP_SHARED, t->vcpu, 0);
	need(t->run == MAP_FAILED ? -1 : 0, "mmap of kvm_run");

	static union { /* the head, and room for the entries that follow it */
		struct kvm_cpuid2 head;
		char room[sizeof(struct kvm_cpuid2) + 256 * sizeof(struct kvm_cpuid_entry2)];
	} id = {.head.nent = 256};
	need(ioctl(t->kvm, KVM_GET_SUPPORTED_CPUID, &id), "KVM_GET_SUPPORTED_CPUID");
	need(ioctl(t->vcpu, KVM_SET_CPUID2, &id), "KVM_SET_CPUID2");

	struct kvm_sregs s;
	need(ioctl(t->vcpu, KVM_GET_SREGS, &s), "KVM_GET_SREGS"); /* (5) */
	s.cs.base = 0; /* reset says ffff0000: the last page below 4 GiB, where firmware lives */
	s.cs.selector = 0;
	need(ioctl(t->vcpu, KVM_SET_SREGS, &s), "KVM_SET_SREGS");
	struct kvm_regs r = {.rip = start, .rsp = start, .rflags = 2};
	need(ioctl(t->vcpu, KVM_SET_REGS, &r), "KVM_SET_REGS");
}

static uint16_t load(struct tiny *t, char *file)
{
	char *at = strrchr(file, '@'), *end = NULL;
	unsigned long addr = at ? strtoul(at + 1, &end, 0) : 0x7c00;

	if (at && (end == at + 1 || *end != '\0' || addr > UINT16_MAX)) {
		fprintf(stderr, "tiny-kvm: %s: an address from 0 to 0xffff must follow @\n", file);
		exit(2);
	}
	if (at)
		*at = '\0';
	int fd = need(open(file, O_RDONLY | O_CLOEXEC), file);
	int len = need((int)read(fd, t->ram + addr, RAM_SIZE - addr), file);
	if (len == 0 || len == (int)(RAM_SIZE - addr)) {
		fprintf(stderr, "tiny-kvm: %s: empty, or larger than the memory\n", file);
		exit(1);
	}
	close(fd);
	return (uint16_t)addr;
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

static int give_up(struct tiny *t, const char *why, unsigned long long detail)
{
	struct kvm_regs r;
	struct kvm_sregs s;

	need(ioctl(t->vcpu, KVM_GET_REGS, &r), "KVM_GET_REGS");
	need(ioctl(t->vcpu, KVM_GET_SREGS, &s), "KVM_GET_SREGS");
	fprintf(stderr, "tiny-kvm: %s", why);
	if (detail)
		fprintf(stderr, " (%#llx)", detail);
	fprintf(stderr, " at rip %#llx, cs base %#llx, cr0 %#llx, code", r.rip, s.cs.base, s.cr0);
	for (uint64_t a = s.cs.base + r.rip, n = 0; n < 8 && a + n < RAM_SIZE; n++)
		fprintf(stderr, " %02x", t->ram[a + n]);
	fputc('\n', stderr);
	return 1;
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
		case KVM_EXIT_IO: port_access(t->run); break;
		case KVM_EXIT_MMIO: toy_access(&t->toy, t->run); break;
		case KVM_EXIT_HLT: return 0;
		case KVM_EXIT_SHUTDOWN: return give_up(t, "triple fault", 0);
		case KVM_EXIT_FAIL_ENTRY:
			return give_up(t, "the CPU refused the guest's state",
				       t->run->fail_entry.hardware_entry_failure_reason);
		case KVM_EXIT_INTERNAL_ERROR:
			return give_up(t, "KVM cannot go on", t->run->internal.suberror);
		default:
			return give_up(t, "an exit this program does not know",
				       t->run->exit_reason);
		}
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
	vcpu_create(&t, load(&t, argv[argc - 1]));
	if (with_irqchip) {
		struct sigaction sa = {.sa_handler = wake};
		struct itimerval every = {{0, 50000}, {0, 50000}};
		sigaction(SIGALRM, &sa, NULL);
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
