/*
 * bare: the least that can run a flat real-mode binary on the KVM API, for comparison.
 *
 *	bare [-i] [-c] FILE	256 MiB of memory, FILE at 0x7c00
 *		-i	interrupt controllers and timer
 *		-c	a CPUID, without which KVM lets no guest into long mode
 *
 * Port 0x3f8 goes to standard output, a value V written to port 0xf4 ends with code (V << 1) | 1,
 * and every other access is taken and forgotten.  Nothing is checked that costs time.
 */
#include <fcntl.h>
#include <linux/kvm.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/mman.h>
#include <unistd.h>

#define RAM_SIZE (256ul << 20)
#define START	 0x7c00

static long need(long result, const char *what)
{
	if (result < 0) {
		perror(what);
		exit(1);
	}
	return result;
}

static int vm_create(int kvm, uint8_t *ram, int with_irqchip)
{
	struct kvm_userspace_memory_region slot = {.memory_size = RAM_SIZE,
						   .userspace_addr = (uintptr_t)ram};
	struct kvm_pit_config pit = {.flags = 0};
	int vm = (int)need(ioctl(kvm, KVM_CREATE_VM, 0), "KVM_CREATE_VM");

	need(ioctl(vm, KVM_SET_TSS_ADDR, 0xfffbd000ul), "KVM_SET_TSS_ADDR");
	need(ioctl(vm, KVM_SET_USER_MEMORY_REGION, &slot), "KVM_SET_USER_MEMORY_REGION");
	if (with_irqchip) {
		need(ioctl(vm, KVM_CREATE_IRQCHIP, 0), "KVM_CREATE_IRQCHIP");
		need(ioctl(vm, KVM_CREATE_PIT2, &pit), "KVM_CREATE_PIT2");
	}
	return vm;
}

static void vcpu_start(int vcpu)
{
	struct kvm_regs regs = {.rip = START, .rsp = START, .rflags = 2};
	struct kvm_sregs sregs;

	need(ioctl(vcpu, KVM_GET_SREGS, &sregs), "KVM_GET_SREGS");
	sregs.cs.base = 0;
	sregs.cs.selector = 0;
	need(ioctl(vcpu, KVM_SET_SREGS, &sregs), "KVM_SET_SREGS");
	need(ioctl(vcpu, KVM_SET_REGS, &regs), "KVM_SET_REGS");
}

static int vcpu_run(int vcpu, struct kvm_run *run)
{
	for (;;) {
		need(ioctl(vcpu, KVM_RUN, 0), "KVM_RUN");
		const uint8_t *data = (uint8_t *)run + run->io.data_offset;
		switch (run->exit_reason) {
		case KVM_EXIT_IO:
			if (run->io.direction == KVM_EXIT_IO_IN)
				break;
			if (run->io.port == 0x3f8)
				need(write(STDOUT_FILENO, data, 1), "standard output");
			else if (run->io.port == 0xf4)
				return (*data << 1) | 1;
			break;
		case KVM_EXIT_MMIO: break;
		default: fprintf(stderr, "bare: exit reason %u\n", run->exit_reason); return 1;
		}
	}
}

static void vcpu_set_cpuid(int kvm, int vcpu)
{
	struct kvm_cpuid2 *id = calloc(1, sizeof(*id) + 256 * sizeof(id->entries[0]));

	need(id ? 0 : -1, "memory");
	id->nent = 256;
	need(ioctl(kvm, KVM_GET_SUPPORTED_CPUID, id), "KVM_GET_SUPPORTED_CPUID");
	need(ioctl(vcpu, KVM_SET_CPUID2, id), "KVM_SET_CPUID2");
}

int main(int argc, char **argv)
{
	int with_irqchip = argc > 2 && strcmp(argv[1], "-i") == 0;
	int with_cpuid = argc > 2 && strcmp(argv[1 + with_irqchip], "-c") == 0;

	if (argc != 2 + with_irqchip + with_cpuid) {
		fprintf(stderr, "usage: bare [-i] [-c] FILE\n");
		return 2;
	}
	int kvm = (int)need(open("/dev/kvm", O_RDWR | O_CLOEXEC), "/dev/kvm");
	uint8_t *ram = mmap(NULL, RAM_SIZE, PROT_READ | PROT_WRITE,
			    MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE, -1, 0);
	need(ram == MAP_FAILED ? -1 : 0, "memory");
	int vm = vm_create(kvm, ram, with_irqchip);
	int file = (int)need(open(argv[argc - 1], O_RDONLY | O_CLOEXEC), argv[argc - 1]);
	need(read(file, ram + START, RAM_SIZE - START), argv[argc - 1]);
	int vcpu = (int)need(ioctl(vm, KVM_CREATE_VCPU, 0), "KVM_CREATE_VCPU");
	size_t len = (size_t)need(ioctl(kvm, KVM_GET_VCPU_MMAP_SIZE, 0), "kvm_run's size");
	struct kvm_run *run = mmap(NULL, len, PROT_READ | PROT_WRITE, MAP_SHARED, vcpu, 0);
	need(run == MAP_FAILED ? -1 : 0, "kvm_run");
	if (with_cpuid)
		vcpu_set_cpuid(kvm, vcpu);
	vcpu_start(vcpu);
	return vcpu_run(vcpu, run);
}
