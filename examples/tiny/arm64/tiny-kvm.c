/*
 * tiny-kvm: a whole virtual machine monitor for arm64 in one file, on nothing but the KVM API.
 *
 *	tiny-kvm [-i] FILE
 *
 * loads the flat binary FILE 512 KiB above the start of memory, which is at 1 GiB, starts it there
 * at EL1 with the MMU off and runs it until it asks PSCI to switch the machine off.  What the guest
 * stores at 0x09000000 appears on standard output.  -i gives the machine a GICv3, and with it the
 * CPU's timer an interrupt.  README.md is the guided tour; the numbers (1) to (7) are its steps.
 *
 * API: [Linux Documentation/virt/kvm/api.rst, devices/arm-vgic-v3.rst].
 */
#include <errno.h>
#include <fcntl.h>
#include <linux/kvm.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>
#include <stdlib.h>
#include <sys/ioctl.h>
#include <sys/mman.h>
#include <unistd.h>
#include "toy.h"

#define RAM_BASE 0x40000000u
#define RAM_SIZE (16u << 20)
#define START	 0x80000u /* of the program, in memory */
#define UART	 0x09000000u
#define LINE	 0xd0001000u
#define LINE_SPI 3 /* shared interrupt 3 is number 32 + 3 */
#define GICD	 0x08000000u
#define GICR	 0x080a0000u

#define REG(name) \
	(KVM_REG_ARM64 | KVM_REG_SIZE_U64 | KVM_REG_ARM_CORE | KVM_REG_ARM_CORE_REG(regs.name))

struct tiny {
	int kvm, vm, vcpu, gic; /* one descriptor each: the system, a machine, a CPU, its GIC */
	struct kvm_run *run;	/* the page in which KVM says why KVM_RUN returned */
	uint8_t *ram;		/* guest-physical address RAM_BASE is ram[0] */
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

static void machine_create(struct tiny *t)
{
	t->kvm = need(open("/dev/kvm", O_RDWR | O_CLOEXEC), "/dev/kvm"); /* (1) */
	if (ioctl(t->kvm, KVM_GET_API_VERSION, 0) != KVM_API_VERSION) {
		fprintf(stderr, "tiny-kvm: this kernel does not speak version 12 of the KVM API\n");
		exit(1);
	}
	t->vm = need(ioctl(t->kvm, KVM_CREATE_VM, 0), "KVM_CREATE_VM"); /* (2) */

	t->ram = mmap(NULL, RAM_SIZE, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
	need(t->ram == MAP_FAILED ? -1 : 0, "memory for the guest");
	struct kvm_userspace_memory_region slot = {
		.slot = 0,
		.guest_phys_addr = RAM_BASE,
		.memory_size = RAM_SIZE,
		.userspace_addr = (uintptr_t)t->ram,
	};
	need(ioctl(t->vm, KVM_SET_USER_MEMORY_REGION, &slot), "the memory slot"); /* (3) */
}

static void set_register(struct tiny *t, uint64_t id, uint64_t value)
{
	struct kvm_one_reg reg = {.id = id, .addr = (uintptr_t)&value};

	need(ioctl(t->vcpu, KVM_SET_ONE_REG, &reg), "KVM_SET_ONE_REG");
}

static uint64_t get_register(struct tiny *t, uint64_t id)
{
	uint64_t value = 0;
	struct kvm_one_reg reg = {.id = id, .addr = (uintptr_t)&value};

	need(ioctl(t->vcpu, KVM_GET_ONE_REG, &reg), "KVM_GET_ONE_REG");
	return value;
}

static void vcpu_create(struct tiny *t)
{
	struct kvm_vcpu_init init;

	t->vcpu = need(ioctl(t->vm, KVM_CREATE_VCPU, 0), "KVM_CREATE_VCPU"); /* (4) */
	size_t len = (size_t)need(ioctl(t->kvm, KVM_GET_VCPU_MMAP_SIZE, 0), "kvm_run's size");
	t->run = mmap(NULL, len, PROT_READ | PROT_WRITE, MAP_SHARED, t->vcpu, 0);
	need(t->run == MAP_FAILED ? -1 : 0, "mmap of kvm_run");

	need(ioctl(t->vm, KVM_ARM_PREFERRED_TARGET, &init), "KVM_ARM_PREFERRED_TARGET");
	init.features[0] |= 1u << KVM_ARM_VCPU_PSCI_0_2;
	need(ioctl(t->vcpu, KVM_ARM_VCPU_INIT, &init), "KVM_ARM_VCPU_INIT");
	set_register(t, REG(pc), RAM_BASE + START); /* (5) */
}

static void gic_set(struct tiny *t, uint32_t group, uint64_t attr, void *value, const char *what)
{
	struct kvm_device_attr a = {.group = group, .attr = attr, .addr = (uintptr_t)value};

	need(ioctl(t->gic, KVM_SET_DEVICE_ATTR, &a), what);
}

static void gic_create(struct tiny *t)
{
	struct kvm_create_device gic = {.type = KVM_DEV_TYPE_ARM_VGIC_V3};
	uint64_t distributor = GICD, redistributor = GICR;
	uint32_t interrupts = 64;

	need(ioctl(t->vm, KVM_CREATE_DEVICE, &gic), "a GICv3, which this host may not have");
	t->gic = (int)gic.fd;
	gic_set(t, KVM_DEV_ARM_VGIC_GRP_ADDR, KVM_VGIC_V3_ADDR_TYPE_DIST, &distributor,
		"the distributor's address");
	gic_set(t, KVM_DEV_ARM_VGIC_GRP_ADDR, KVM_VGIC_V3_ADDR_TYPE_REDIST, &redistributor,
		"the redistributor's address");
	gic_set(t, KVM_DEV_ARM_VGIC_GRP_NR_IRQS, 0, &interrupts, "the number of interrupts");
	gic_set(t, KVM_DEV_ARM_VGIC_GRP_CTRL, KVM_DEV_ARM_VGIC_CTRL_INIT, NULL, "the GIC");
}

static void load(struct tiny *t, const char *file)
{
	int fd = need(open(file, O_RDONLY | O_CLOEXEC), file);
	int len = need((int)read(fd, t->ram + START, RAM_SIZE - START), file);

	if (len == 0 || len == (int)(RAM_SIZE - START)) {
		fprintf(stderr, "tiny-kvm: %s: empty, or larger than the memory\n", file);
		exit(1);
	}
	close(fd);
}

/* The device of irq.S: a word whose lowest bit is the level of an interrupt line. */
static void line_access(struct tiny *t)
{
	struct kvm_irq_level line = {
		.irq = KVM_ARM_IRQ_TYPE_SPI << KVM_ARM_IRQ_TYPE_SHIFT | (32 + LINE_SPI),
		.level = t->run->mmio.data[0] & 1u,
	};

	if (t->run->mmio.is_write)
		need(ioctl(t->vm, KVM_IRQ_LINE, &line), "KVM_IRQ_LINE");
}

static void memory_access(struct tiny *t)
{
	struct kvm_run *run = t->run;

	if (run->mmio.phys_addr == UART && run->mmio.is_write)
		putchar(run->mmio.data[0]);
	else if (run->mmio.phys_addr == LINE && t->gic >= 0)
		line_access(t);
	else
		toy_access(&t->toy, run);
}

static int give_up(struct tiny *t, const char *why, unsigned long long detail)
{
	uint64_t pc = get_register(t, REG(pc));

	fprintf(stderr, "tiny-kvm: %s", why);
	if (detail)
		fprintf(stderr, " (%#llx)", detail);
	fprintf(stderr, " at pc %#llx, pstate %#llx, code", (unsigned long long)pc,
		(unsigned long long)get_register(t, REG(pstate)));
	if (pc >= RAM_BASE && pc - RAM_BASE <= RAM_SIZE - 4) {
		uint32_t word;

		memcpy(&word, t->ram + (pc - RAM_BASE), sizeof(word));
		fprintf(stderr, " %08x", word);
	}
	fputc('\n', stderr);
	return 1;
}

static int machine_run(struct tiny *t)
{
	for (;;) {
		int r = ioctl(t->vcpu, KVM_RUN, 0); /* (6) */
		if (r < 0 && errno == EINTR)
			continue;
		if (r < 0 && errno == ENOSYS)
			return give_up(t, "KVM cannot say what the access was", 0);
		need(r, "KVM_RUN");
		t->exits++;
		switch (t->run->exit_reason) { /* (7) */
		case KVM_EXIT_MMIO: memory_access(t); break;
		case KVM_EXIT_SYSTEM_EVENT:
			if (t->run->system_event.type == KVM_SYSTEM_EVENT_SHUTDOWN)
				return 0;
			return give_up(t, "the guest asks for something else than its end",
				       t->run->system_event.type);
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

int main(int argc, char **argv)
{
	int with_gic = argc == 3 && strcmp(argv[1], "-i") == 0;
	struct tiny t = {.gic = -1};

	if (argc != 2 + with_gic) {
		fprintf(stderr, "usage: tiny-kvm [-i] FILE\n");
		return 2;
	}
	setbuf(stdout, NULL); /* what the guest prints is seen at once */
	machine_create(&t);
	vcpu_create(&t);
	if (with_gic)
		gic_create(&t);
	load(&t, argv[argc - 1]);
	int code = machine_run(&t);
	fprintf(stderr, "tiny-kvm: %s after %lu exits\n", code ? "stopped" : "switched off",
		t.exits);
	return code;
}
