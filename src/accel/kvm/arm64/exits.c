/*
 * accel/kvm/arm64/exits.c - every exit reason of KVM on arm64 and its handler.
 *
 * PSCI is KVM's: CPU_ON, CPU_OFF and CPU_SUSPEND never leave the kernel, SYSTEM_OFF and
 * SYSTEM_RESET come as system events, and SYSTEM_SUSPEND is refused by KVM unless it is switched
 * on, which Lodge does not do.
 */
#include <errno.h>

#include "accel/kvm/arm64/arm64.h"
#include "base/trace.h"

#ifndef KVM_EXIT_ARM_LDST64B
#define KVM_EXIT_ARM_LDST64B 41
#endif

#define SMCCC_NOT_SUPPORTED ((uint64_t)-1)

static int exit_go_on(struct vcpu *v, struct kvm_run *run)
{
	(void)v;
	(void)run;
	return KVM_GO_ON;
}

static int exit_unknown(struct vcpu *v, struct kvm_run *run)
{
	return kvm_broken(
		v, "the processor left the guest for a reason that KVM does not know (0x%llx)",
		(unsigned long long)run->hw.hardware_exit_reason);
}

static int exit_exception(struct vcpu *v, struct kvm_run *run)
{
	return kvm_broken(v, "KVM could not deal with an exception (%u, 0x%x)", run->ex.exception,
			  run->ex.error_code);
}

/* A hypercall of a range that userspace asked for, which Lodge does not: there is no such call. */
static int exit_hypercall(struct vcpu *v, struct kvm_run *run)
{
	const uint64_t ret = SMCCC_NOT_SUPPORTED;
	struct kvm_vcpu *kv = v->accel;
	struct err e = ERR_INIT;

	TRACE(kvm_hypercall, "cpu%u function 0x%llx", v->index,
	      (unsigned long long)run->hypercall.nr);
	if (kvm_arm64_reg_put(kv->fd,
			      KVM_REG_ARM64 | KVM_REG_SIZE_U64 | KVM_REG_ARM_CORE |
				      KVM_REG_ARM_CORE_REG(regs.regs[0]),
			      &ret, "x0", &e))
		return kvm_broken(v, "hypercall 0x%llx cannot be answered: %s",
				  (unsigned long long)run->hypercall.nr, e.msg);
	return KVM_GO_ON;
}

static int exit_fail_entry(struct vcpu *v, struct kvm_run *run)
{
	uint64_t why = run->fail_entry.hardware_entry_failure_reason;

	if (why == KVM_EXIT_FAIL_ENTRY_CPU_UNSUPPORTED)
		return kvm_broken(v,
				  "host CPU %u is of another kind than the one this VM's CPUs were "
				  "made for",
				  run->fail_entry.cpu);
	return kvm_broken(v,
			  "the processor refused to enter the guest (reason 0x%llx, host CPU %u)",
			  (unsigned long long)why, run->fail_entry.cpu);
}

static uint64_t pc_of(struct vcpu *v)
{
	struct err e = ERR_INIT;

	return kvm_arm64_state_get(v, &e) ? 0 : v->vm->arch->pc(v->state);
}

static int exit_internal_error(struct vcpu *v, struct kvm_run *run)
{
	return kvm_broken(v, "KVM reported internal error %u at 0x%llx", run->internal.suberror,
			  (unsigned long long)pc_of(v));
}

/*
 * A load or store to where no memory is, by an instruction that the processor does not take apart
 * for a hypervisor: pairs, exclusives, pre- and post-indexed ones, cache maintenance.
 */
static int exit_nisv(struct vcpu *v, struct kvm_run *run)
{
	return kvm_broken(
		v,
		"the instruction at 0x%llx accesses address 0x%llx, where no memory is, in "
		"a way that cannot be given to a device (syndrome 0x%llx)",
		(unsigned long long)pc_of(v), (unsigned long long)run->arm_nisv.fault_ipa,
		(unsigned long long)run->arm_nisv.esr_iss);
}

static int exit_ldst64b(struct vcpu *v, struct kvm_run *run)
{
	(void)run;
	return kvm_broken(v, "the instruction at 0x%llx accesses 64 bytes of a device at once",
			  (unsigned long long)pc_of(v));
}

#define NONE			  EXIT_STAT_COUNT /* the handler counts, by direction */
#define X(reason, name, stat, fn) [KVM_EXIT_##reason] = {(name), (stat), (fn)}
const struct kvm_exit kvm_exits[] = {
	X(UNKNOWN, "unknown", EXIT_STAT_OTHER, exit_unknown),
	X(EXCEPTION, "exception", EXIT_STAT_OTHER, exit_exception),
	X(HYPERCALL, "hypercall", EXIT_STAT_OTHER, exit_hypercall),
	X(DEBUG, "debug", EXIT_STAT_DEBUG, kvm_arm64_exit_debug),
	X(MMIO, "mmio", NONE, kvm_exit_mmio),
	X(FAIL_ENTRY, "fail-entry", EXIT_STAT_OTHER, exit_fail_entry),
	X(INTR, "interrupted", EXIT_STAT_INTR, exit_go_on),
	X(INTERNAL_ERROR, "internal-error", EXIT_STAT_OTHER, exit_internal_error),
	X(SYSTEM_EVENT, "system-event", EXIT_STAT_SYSTEM, kvm_exit_system_event),
	X(ARM_NISV, "no-syndrome", EXIT_STAT_OTHER, exit_nisv),
	X(DIRTY_RING_FULL, "dirty-ring-full", EXIT_STAT_DIRTY, kvm_exit_dirty_ring),
	X(MEMORY_FAULT, "memory-fault", EXIT_STAT_OTHER, kvm_exit_memory_fault),
	X(ARM_LDST64B, "ldst64b", EXIT_STAT_OTHER, exit_ldst64b),
};
#undef X
const unsigned kvm_n_exits = ARRAY_LEN(kvm_exits);
