/*
 * accel/kvm/x86/debug.c - guest debug on x86: DR0 to DR3 and DR7 (SDM 3B §17.2), INT3, single step.
 */
#include "accel/kvm/x86/x86.h"

#ifndef KVM_GUESTDBG_BLOCKIRQ
#define KVM_GUESTDBG_BLOCKIRQ 0x00100000
#endif

#define DR6_B	  0xfu
#define DR7_FIXED 0x600u /* bit 10 is always 1; GE was set where it mattered, on the 386 */

static bool can_block(int fd)
{
	return kvm_cap(fd, KVM_CAP_SET_GUEST_DEBUG2) & KVM_GUESTDBG_BLOCKIRQ;
}

void kvm_arch_debug_limits(int fd, struct debug_limits *l)
{
	*l = (struct debug_limits){.step = true,
				   .software = true,
				   .exec = 4,
				   .watch = 4,
				   .shared = true,
				   .irqs_wait = can_block(fd),
				   .exec_len = 1,
				   .watch_len = 8};
}

void kvm_arch_debug_point(struct kvm_guest_debug *g, const struct debug_point *p)
{
	/* Bits R/W and LEN of DR7. */
	static const uint64_t access[] = {[DEBUG_EXEC] = 0, [DEBUG_WRITE] = 1, [DEBUG_ACCESS] = 3};
	static const uint64_t length[] = {[1] = 0, [2] = 1, [4] = 3, [8] = 2};
	__u64 *dr7 = &g->arch.debugreg[7];
	unsigned n = 0;

	while (*dr7 >> 2 * n & 3)
		n++;
	g->arch.debugreg[n] = p->addr;
	*dr7 |= DR7_FIXED | UINT64_C(2) << 2 * n | access[p->kind] << (16 + 4 * n) |
		length[p->len] << (18 + 4 * n);
}

int kvm_arch_debug_pass(struct kvm_vcpu *kv, struct kvm_guest_debug *g, struct err *e)
{
	(void)kv;
	(void)e;
	g->control |= KVM_GUESTDBG_ENABLE | KVM_GUESTDBG_INJECT_BP;
	return 0;
}

void kvm_arch_debug_control(struct kvm_vcpu *kv, struct kvm_guest_debug *g)
{
	if (g->control & KVM_GUESTDBG_SINGLESTEP && can_block(kv->kvm->fd))
		g->control |= KVM_GUESTDBG_BLOCKIRQ;
}

int kvm_x86_exit_debug(struct vcpu *v, struct kvm_run *run)
{
	const struct kvm_vcpu *kv = v->accel;
	const struct kvm_debug_exit_arch *x = &run->debug.arch;
	struct debug_stop s = {.why = DEBUG_STEPPED, .pc = x->pc, .addr = x->pc};

	if (x->exception == BP_VECTOR) {
		s.why = DEBUG_SOFTWARE;
		return kvm_debug_stopped(v, &s);
	}
	for (unsigned i = 0; i < kv->debug.n && i < 4; i++)
		if (x->dr6 & DR6_B & 1u << i) {
			s.why = DEBUG_POINT;
			s.point = i;
			s.addr = kv->debug.point[i].addr;
			break;
		}
	return kvm_debug_stopped(v, &s);
}
