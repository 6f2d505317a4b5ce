/*
 * accel/kvm/x86/exits.c - every exit reason of KVM on x86 and its handler.
 */
#include <errno.h>
#include <stdio.h>
#include <string.h>

#include "accel/kvm/x86/x86.h"
#include "base/log.h"
#include "base/trace.h"

#define KVM_GUEST_ENOSYS ((uint64_t)-1000) /* KVM_ENOSYS of the guest's hypercall interface */

static int exit_io(struct vcpu *v, struct kvm_run *run)
{
	uint8_t *p = (uint8_t *)run + run->io.data_offset;
	unsigned size = run->io.size;
	bool in = run->io.direction == KVM_EXIT_IO_IN;

	vcpu_count(v, in ? EXIT_STAT_PIO_READ : EXIT_STAT_PIO_WRITE);
	for (uint32_t i = run->io.count; i; i--, p += size) {
		if (in)
			(void)as_vcpu_read(&v->vm->ports, run->io.port, p, size);
		else
			(void)as_vcpu_write(&v->vm->ports, run->io.port, p, size);
	}
	return KVM_GO_ON;
}

/* Only without an APIC in the kernel, and then nothing could wake it. */
static int exit_hlt(struct vcpu *v, struct kvm_run *run)
{
	(void)v;
	(void)run;
	return VCPU_HALTED;
}

/* AMD's processors lose the guest's state at a triple fault, and KVM then resets the vCPU. */
static int exit_shutdown(struct vcpu *v, struct kvm_run *run)
{
	const struct x86_vcpu *s = v->state;
	struct err e = ERR_INIT;

	(void)run;
	if (!kvm_x86_state_peek(v, &e) && s->rip == 0xfff0 && s->seg[X86_CS].sel == 0xf000)
		log_info("cpu%u: its registers are those of a reset: this processor does not keep "
			 "them "
			 "at a triple fault",
			 v->index);
	return VCPU_SHUTDOWN;
}

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
	return kvm_broken(v, "KVM could not deal with exception %u (error code 0x%x)",
			  run->ex.exception, run->ex.error_code);
}

/* KVM asks user space for one hypercall only, and only if that was switched on: refuse it. */
static int exit_hypercall(struct vcpu *v, struct kvm_run *run)
{
	TRACE(kvm_hypercall, "cpu%u nr %llu", v->index, (unsigned long long)run->hypercall.nr);
	run->hypercall.ret = KVM_GUEST_ENOSYS;
	return KVM_GO_ON;
}

static int exit_fail_entry(struct vcpu *v, struct kvm_run *run)
{
	uint64_t why = run->fail_entry.hardware_entry_failure_reason;

	/* VMX: bit 31 marks a failed entry, 33 is invalid guest state.  SVM: -1 is the same. */
	if (why == 0x80000021 || why == UINT64_MAX)
		return kvm_broken(v,
				  "the processor refused to enter the guest: invalid guest state "
				  "(0x%llx, host CPU %u)",
				  (unsigned long long)why, run->fail_entry.cpu);
	return kvm_broken(v,
			  "the processor refused to enter the guest (reason 0x%llx, host CPU %u)",
			  (unsigned long long)why, run->fail_entry.cpu);
}

/* " (bytes 0f b8 c0)" from what KVM had fetched at the instruction, or "". */
static const char *insn_bytes(const struct kvm_run *run, char *buf, size_t n)
{
	size_t used;
	unsigned count;

	buf[0] = 0;
	/* ndata counts 64-bit words: flags, then one byte of size and fifteen of instruction. */
	if (run->emulation_failure.ndata < 3 ||
	    !(run->emulation_failure.flags & KVM_INTERNAL_ERROR_EMULATION_FLAG_INSTRUCTION_BYTES))
		return buf;
	count = MIN(run->emulation_failure.insn_size,
		    (unsigned)sizeof(run->emulation_failure.insn_bytes));
	if (!count)
		return buf;
	used = (size_t)snprintf(buf, n, " (bytes");
	for (unsigned i = 0; i < count && used + 5 < n; i++)
		used += (size_t)snprintf(buf + used, n - used, " %02x",
					 run->emulation_failure.insn_bytes[i]);
	snprintf(buf + used, n - used, ")");
	return buf;
}

static int exit_internal_error(struct vcpu *v, struct kvm_run *run)
{
	char bytes[80];
	struct err e = ERR_INIT;
	uint64_t pc = 0;
	int rc;

	if (!kvm_x86_state_peek(v, &e))
		pc = v->vm->arch->pc(v->state);
	switch (run->internal.suberror) {
	case KVM_INTERNAL_ERROR_EMULATION:
		rc = kvm_broken(v, "KVM cannot emulate the instruction at 0x%llx%s",
				(unsigned long long)pc, insn_bytes(run, bytes, sizeof(bytes)));
		if (!strcmp(kvm_module(), "kvm_pvm"))
			err_hint(&v->broken,
				 "this host's KVM is kvm_pvm, which runs kernel-mode code in "
				 "a software emulator; see \"lodge info\"");
		return rc;
	case KVM_INTERNAL_ERROR_SIMUL_EX:
		return kvm_broken(v, "an exception came up at 0x%llx while KVM delivered another",
				  (unsigned long long)pc);
	case KVM_INTERNAL_ERROR_DELIVERY_EV:
		return kvm_broken(
			v, "the guest could not be given an event at 0x%llx (exit reason 0x%llx)",
			(unsigned long long)pc, (unsigned long long)run->internal.data[1]);
	case KVM_INTERNAL_ERROR_UNEXPECTED_EXIT_REASON:
		return kvm_broken(
			v,
			"the processor left the guest at 0x%llx for a reason KVM does not "
			"handle (0x%llx)",
			(unsigned long long)pc, (unsigned long long)run->internal.data[0]);
	default:
		return kvm_broken(v, "KVM reported internal error %u at 0x%llx",
				  run->internal.suberror, (unsigned long long)pc);
	}
}

static int exit_ioapic_eoi(struct vcpu *v, struct kvm_run *run)
{
	kvm_x86_ioapic_eoi(kvm_of(v->vm)->arch, run->eoi.vector);
	return KVM_GO_ON;
}

/* An MSR that KVM does not know: the guest gets #GP, as from a processor without it. */
static int exit_rdmsr(struct vcpu *v, struct kvm_run *run)
{
	TRACE(kvm_rdmsr, "cpu%u reads unknown MSR 0x%x", v->index, run->msr.index);
	run->msr.data = 0;
	run->msr.error = 1;
	return KVM_GO_ON;
}

static int exit_wrmsr(struct vcpu *v, struct kvm_run *run)
{
	TRACE(kvm_wrmsr, "cpu%u writes 0x%llx to unknown MSR 0x%x", v->index,
	      (unsigned long long)run->msr.data, run->msr.index);
	run->msr.error = 1;
	return KVM_GO_ON;
}

static int exit_notify(struct vcpu *v, struct kvm_run *run)
{
	if (run->notify.flags & KVM_NOTIFY_CONTEXT_INVALID)
		return kvm_broken(
			v, "the guest kept the processor from taking events, and its state is "
			   "lost");
	return KVM_GO_ON;
}

static int exit_not_asked(struct vcpu *v, struct kvm_run *run)
{
	return kvm_broken(v, "KVM gave exit \"%s\", which Lodge never asked for",
			  kvm_exits[run->exit_reason].name);
}

#define NONE			  EXIT_STAT_COUNT /* the handler counts, by direction */
#define X(reason, name, stat, fn) [KVM_EXIT_##reason] = {(name), (stat), (fn)}
const struct kvm_exit kvm_exits[] = {
	X(UNKNOWN, "unknown", EXIT_STAT_OTHER, exit_unknown),
	X(EXCEPTION, "exception", EXIT_STAT_OTHER, exit_exception),
	X(IO, "io", NONE, exit_io),
	X(HYPERCALL, "hypercall", EXIT_STAT_OTHER, exit_hypercall),
	X(DEBUG, "debug", EXIT_STAT_DEBUG, kvm_x86_exit_debug),
	X(HLT, "hlt", EXIT_STAT_HLT, exit_hlt),
	X(MMIO, "mmio", NONE, kvm_exit_mmio),
	X(IRQ_WINDOW_OPEN, "irq-window", EXIT_STAT_IRQ_WINDOW, exit_go_on),
	X(SHUTDOWN, "shutdown", EXIT_STAT_SHUTDOWN, exit_shutdown),
	X(FAIL_ENTRY, "fail-entry", EXIT_STAT_OTHER, exit_fail_entry),
	X(INTR, "interrupted", EXIT_STAT_INTR, exit_go_on),
	X(SET_TPR, "set-tpr", EXIT_STAT_OTHER, exit_go_on),
	X(TPR_ACCESS, "tpr-access", EXIT_STAT_OTHER, exit_not_asked),
	X(NMI, "host-nmi", EXIT_STAT_OTHER, exit_go_on),
	X(INTERNAL_ERROR, "internal-error", EXIT_STAT_OTHER, exit_internal_error),
	X(SYSTEM_EVENT, "system-event", EXIT_STAT_SYSTEM, kvm_exit_system_event),
	X(IOAPIC_EOI, "ioapic-eoi", EXIT_STAT_EOI, exit_ioapic_eoi),
	X(HYPERV, "hyperv", EXIT_STAT_OTHER, exit_not_asked),
	X(X86_RDMSR, "rdmsr", EXIT_STAT_MSR, exit_rdmsr),
	X(X86_WRMSR, "wrmsr", EXIT_STAT_MSR, exit_wrmsr),
	X(DIRTY_RING_FULL, "dirty-ring-full", EXIT_STAT_DIRTY, kvm_exit_dirty_ring),
	X(AP_RESET_HOLD, "ap-reset-hold", EXIT_STAT_OTHER, exit_not_asked),
	X(X86_BUS_LOCK, "bus-lock", EXIT_STAT_OTHER, exit_go_on),
	X(XEN, "xen", EXIT_STAT_OTHER, exit_not_asked),
	X(NOTIFY, "notify", EXIT_STAT_OTHER, exit_notify),
	X(MEMORY_FAULT, "memory-fault", EXIT_STAT_OTHER, kvm_exit_memory_fault),
};
#undef X
const unsigned kvm_n_exits = ARRAY_LEN(kvm_exits);
