/*
 * accel/kvm/arm64/arm64.h - private to the arm64 part of the KVM accelerator.
 *
 * Files: host.c has what the shared files ask about such hosts; vcpu.c decides what a VM's CPUs
 * have and makes them; state.c and regs.c carry their registers; irqchip.c makes the GIC and routes
 * interrupts to it, gic.c carries its state; exits.c; debug.c;
 * probe.c.
 */
#ifndef LODGE_ACCEL_KVM_ARM64_ARM64_H
#define LODGE_ACCEL_KVM_ARM64_ARM64_H

#include "accel/kvm/kvm.h"
#include "arch/arm64/config.h"
#include "arch/arm64/gic.h"
#include "arch/arm64/vcpu.h"

/* Newer than the oldest kernel headers that Lodge builds with. */
#ifndef KVM_REG_ARM_FW_FEAT_BMAP
#define KVM_REG_ARM_FW_FEAT_BMAP (0x0016 << KVM_REG_ARM_COPROC_SHIFT)
#endif

#define KVM_ARM64_MSI_ROUTES 256u

/* A descriptor that raises an MSI. */
struct kvm_arm64_route {
	bool used;
	int fd;
	struct msi msi;
};

/* A register of KVM_GET_REG_LIST that goes into the list of struct arm64_vcpu. */
struct kvm_arm64_reg {
	uint64_t kvm; /* KVM's id */
	uint32_t id;  /* ours */
	uint8_t turn; /* lower ones are put first */
};

struct kvm_arch {
	struct kvm_vm *kvm;
	const struct arm64_config *config; /* NULL: the board has no opinion and no GIC */
	struct arm64_made made;
	struct kvm_vcpu_init init; /* of vCPU 0; the others have POWER_OFF as well */
	unsigned n_inited;	   /* vCPUs, under kvm->lock */

	/* regs.c; under kvm->lock until it is there, then constant. */
	struct kvm_arm64_reg *reg;
	unsigned n_regs;

	/* Interrupt controller (irqchip.c). */
	struct irqchip chip;
	bool chip_ready;
	int gic, its; /* device descriptors, or -1 */
	/* Under chip.lock. */
	struct kvm_arm64_route route[KVM_ARM64_MSI_ROUTES]; /* GSI n_spis + index */
};

/* An attribute of a device, worded "KVM_SET_DEVICE_ATTR: GIC distributor: ..." by @what. */
int kvm_arm64_set_attr(int fd, uint32_t group, uint64_t attr, const void *value, const char *what,
		       struct err *e) MUST_CHECK;
int kvm_arm64_get_attr(int fd, uint32_t group, uint64_t attr, void *value, const char *what,
		       struct err *e) MUST_CHECK;
/* Does KVM make devices of @type (KVM_DEV_TYPE_*) for VM @fd? */
bool kvm_arm64_has_device(int fd, uint32_t type);

/* vcpu.c */
/* KVM_ARM_VCPU_INIT: makes a vCPU's registers what they are after reset. */
int kvm_arm64_vcpu_reset(struct kvm_vcpu *kv, struct err *e) MUST_CHECK;

/* regs.c */
/* Learns, once for each VM, which registers there are.  Any vCPU thread. */
int kvm_arm64_regs_learn(struct kvm_vcpu *kv, struct err *e) MUST_CHECK;
int kvm_arm64_regs_get(struct kvm_vcpu *kv, struct arm64_vcpu *s, struct err *e) MUST_CHECK;
/* All that are in the state's list, in the order they need. */
int kvm_arm64_regs_put(struct kvm_vcpu *kv, const struct arm64_vcpu *s, struct err *e) MUST_CHECK;
/* KVM_GET_ONE_REG and KVM_SET_ONE_REG; @what names the register. */
int kvm_arm64_reg_get(int fd, uint64_t id, void *value, const char *what, struct err *e) MUST_CHECK;
int kvm_arm64_reg_put(int fd, uint64_t id, const void *value, const char *what,
		      struct err *e) MUST_CHECK;

/* state.c */
int kvm_arm64_state_get(struct vcpu *v, struct err *e) MUST_CHECK;
int kvm_arm64_state_put(struct vcpu *v, struct err *e) MUST_CHECK;

/* irqchip.c */
/* Which GIC this VM will have, into a->made; before there are vCPUs. */
int kvm_arm64_irqchip_choose(struct kvm_arch *a, struct err *e) MUST_CHECK;
int kvm_arm64_irqchip_init(struct vm *vm, enum irqchip_mode mode, struct err *e) MUST_CHECK;
/* When all vCPUs are there. */
int kvm_arm64_irqchip_start(struct kvm_arch *a, struct err *e) MUST_CHECK;
void kvm_arm64_irqchip_exit(struct kvm_arch *a);

/* gic.c */
int kvm_arm64_chips_get(struct vm *vm, struct err *e) MUST_CHECK;
int kvm_arm64_chips_put(struct vm *vm, struct err *e) MUST_CHECK;

/* debug.c: the exit that it asked for. */
int kvm_arm64_exit_debug(struct vcpu *v, struct kvm_run *run);

/* probe.c */
void kvm_arm64_probe(struct accel_report *r);

#endif
