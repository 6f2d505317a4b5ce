/*
 * accel/bt/exec/sys.c - system calls, flags with privilege, HLT, time stamps, and what is left of
 * the system instructions.
 */
#include "accel/bt/exec/sys.h"

/* Flat segments as SYSCALL and its like load them without a look at the tables. */
#define CODE64(dpl) (0xa09bu | (dpl) << 5)
#define CODE32(dpl) (0xc09bu | (dpl) << 5)
#define DATA32(dpl) (0xc093u | (dpl) << 5)

static void flat_load(struct bt_cpu *c, unsigned sel_cs, unsigned sel_ss, bool wide, unsigned cpl,
		      uint64_t rip)
{
	struct x86_seg cs;

	x86_seg_set(&cs, (uint16_t)((sel_cs & 0xfffcu) | cpl), 0, UINT32_MAX,
		    wide ? CODE64(cpl) : CODE32(cpl));
	x86_seg_set(&c->seg[X86_SS], (uint16_t)((sel_ss & 0xfffcu) | cpl), 0, UINT32_MAX,
		    DATA32(cpl));
	cs_commit(c, &cs, rip);
}

/* SYSCALL and SYSRET outside 64-bit code are AMD's alone (SDM 2B, APM 3). */
static void need_syscall(struct bt_cpu *c)
{
	if (!(c->efer & X86_EFER_SCE) || !c->mode.prot || c->mode.vm86)
		bt_ud(c);
	if (!in_long(c) && !cpu_is_amd(c))
		bt_ud(c);
}

void exec_syscall(struct bt_cpu *c, const struct insn *i)
{
	unsigned sel = (unsigned)(c->msr.star >> 32 & 0xffff);
	uint64_t next = next_rip(c, i);

	need_syscall(c);
	flags_settle(c);
	if (!c->mode.lma) {
		c->gpr[X86_RCX] = next;
		c->rflags &= ~(uint64_t)(EF_VM | EF_IF | EF_RF);
		flat_load(c, sel, sel + 8, false, 0, (uint32_t)c->msr.star);
		return;
	}
	c->gpr[X86_RCX] = next;
	c->gpr[X86_R11] = c->rflags & ~(uint64_t)EF_RF;
	c->rflags = (c->rflags & ~(c->msr.fmask | EF_RF)) | X86_FLAGS_FIXED;
	c->no_trap = !(c->rflags & EF_TF);
	flat_load(c, sel, sel + 8, true, 0, in_long(c) ? c->msr.lstar : c->msr.cstar);
}

void exec_sysret(struct bt_cpu *c, const struct insn *i)
{
	unsigned sel = (unsigned)(c->msr.star >> 48);
	bool wide = in_long(c) && i->osize == 8;
	uint64_t rip = c->gpr[X86_RCX];

	need_syscall(c);
	need_cpl0(c);
	/* Intel's way: the fault comes before the change of privilege (AMD faults behind it). */
	if (wide && !canonical(c, rip))
		bt_gp0(c);
	flags_settle(c);
	if (c->mode.lma)
		c->rflags =
			(c->gpr[X86_R11] & EF_KNOWN & ~(uint64_t)(EF_RF | EF_VM)) | X86_FLAGS_FIXED;
	else
		c->rflags |= EF_IF;
	flat_load(c, wide ? sel + 16 : sel, sel + 8, wide, 3, wide ? rip : (uint32_t)rip);
}

void exec_sysenter(struct bt_cpu *c, const struct insn *i)
{
	unsigned sel = (unsigned)(c->msr.sysenter_cs & 0xfffc);
	bool lma = c->mode.lma;

	(void)i;
	if (!c->mode.prot || !sel)
		bt_gp0(c);
	flags_settle(c);
	c->rflags &= ~(uint64_t)(EF_VM | EF_IF | EF_RF);
	c->gpr[X86_RSP] = lma ? c->msr.sysenter_esp : (uint32_t)c->msr.sysenter_esp;
	flat_load(c, sel, sel + 8, lma, 0, c->msr.sysenter_eip);
}

void exec_sysexit(struct bt_cpu *c, const struct insn *i)
{
	unsigned sel = (unsigned)(c->msr.sysenter_cs & 0xfffc);
	bool wide = in_long(c) && i->osize == 8;
	uint64_t rip = c->gpr[X86_RDX], rsp = c->gpr[X86_RCX];

	if (!c->mode.prot || c->mode.cpl || !sel)
		bt_gp0(c);
	if (wide && (!canonical(c, rip) || !canonical(c, rsp)))
		bt_gp0(c);
	c->gpr[X86_RSP] = wide ? rsp : (uint32_t)rsp;
	flat_load(c, sel + (wide ? 32 : 16), sel + (wide ? 40 : 24), wide, 3, rip);
}

void exec_swapgs(struct bt_cpu *c, const struct insn *i)
{
	uint64_t base = c->seg[X86_GS].base;

	if (!in_long(c))
		bt_ud(c);
	need_cpl0(c);
	c->seg[X86_GS].base = c->seg_base[X86_GS] = c->msr.kernel_gs_base;
	c->msr.kernel_gs_base = base;
	step_over(c, i);
}

/* RDFSBASE, RDGSBASE, WRFSBASE, WRGSBASE: reg of ModRM is 0 to 3. */
void exec_fsgsbase(struct bt_cpu *c, const struct insn *i)
{
	unsigned n = i->modrm >> 3 & 3, seg = n & 1 ? X86_GS : X86_FS, r = i->op[0].reg;
	uint64_t val;

	if (!in_long(c) || !(c->cr4 & CR4_FSGSBASE))
		bt_ud(c);
	if (n < 2) {
		reg_set(c, r, c->seg[seg].base, i->osize == 8 ? 8 : 4);
	} else {
		val = reg_get(c, r, i->osize == 8 ? 8 : 4);
		if (!canonical(c, val))
			bt_gp0(c);
		c->seg[seg].base = c->seg_base[seg] = val;
	}
	step_over(c, i);
}

/* Flags. ------------------------------------------------------------------------------------ */

static void flags_write(struct bt_cpu *c, uint64_t val, uint64_t mask)
{
	uint64_t old;

	flags_settle(c);
	old = c->rflags;
	c->rflags = (old & ~mask) | (val & mask) | X86_FLAGS_FIXED;
	if ((old ^ c->rflags) & (EF_TF | EF_AC))
		bt_mode_changed(c);
}

void exec_pushf(struct bt_cpu *c, const struct insn *i)
{
	uint64_t image = flags_get(c) & ~(uint64_t)(EF_VM | EF_RF);
	struct stack s;

	if (c->mode.vm86 && iopl(c) < 3) {
		if (!(c->cr4 & CR4_VME) || i->osize != 2)
			bt_gp0(c);
		image = (image & ~(uint64_t)EF_IF) | EF_IOPL | (image & EF_VIF ? EF_IF : 0);
	}
	stack_current(c, &s);
	stack_push(c, &s, image, i->osize);
	c->gpr[X86_RSP] = s.sp;
	step_over(c, i);
}

void exec_popf(struct bt_cpu *c, const struct insn *i)
{
	uint64_t mask = FL_ALL | FL_D | EF_TF | EF_NT, image;
	struct stack s;

	if (i->osize > 2)
		mask |= EF_AC | EF_ID | EF_RF;
	if (c->mode.vm86 && iopl(c) < 3 && (!(c->cr4 & CR4_VME) || i->osize != 2))
		bt_gp0(c);
	stack_current(c, &s);
	image = stack_pop(c, &s, i->osize) & ~(uint64_t)EF_RF;
	if (c->mode.vm86 && iopl(c) < 3) {
		if (image & EF_TF || (image & EF_IF && c->rflags & EF_VIP))
			bt_gp0(c);
		image |= image & EF_IF ? EF_VIF : 0;
		mask |= EF_VIF;
	} else if (c->mode.cpl <= iopl(c)) {
		mask |= EF_IF;
	}
	if (c->mode.cpl == 0)
		mask |= EF_IOPL;
	c->gpr[X86_RSP] = s.sp;
	flags_write(c, image, mask);
	step_over(c, i);
}

/* May CLI and STI change IF?  False: VIF instead. #GP(0): neither. */
static bool owns_if(struct bt_cpu *c)
{
	if (c->mode.cpl <= iopl(c))
		return true;
	if (c->mode.vm86 ? !(c->cr4 & CR4_VME) : !(c->cr4 & CR4_PVI) || c->mode.cpl != 3)
		bt_gp0(c);
	return false;
}

void exec_cli(struct bt_cpu *c, const struct insn *i)
{
	c->rflags &= ~(uint64_t)(owns_if(c) ? EF_IF : EF_VIF);
	step_over(c, i);
}

void exec_sti(struct bt_cpu *c, const struct insn *i)
{
	if (owns_if(c)) {
		if (!(c->rflags & EF_IF))
			c->irq_shadow |= 1;
		c->rflags |= EF_IF;
	} else {
		if (c->rflags & EF_VIP)
			bt_gp0(c);
		c->rflags |= EF_VIF;
	}
	step_over(c, i);
}

void exec_clac(struct bt_cpu *c, const struct insn *i)
{
	if (c->mode.cpl)
		bt_ud(c);
	flags_settle(c);
	if (i->modrm & 1)
		c->rflags |= EF_AC;
	else
		c->rflags &= ~(uint64_t)EF_AC;
	bt_mode_changed(c);
	step_over(c, i);
}

/* The rest. --------------------------------------------------------------------------------- */

void exec_hlt(struct bt_cpu *c, const struct insn *i)
{
	need_cpl0(c);
	c->rip = next_rip(c, i);
	c->mp_state = X86_MP_HALTED;
}

/* Nothing to wait for is armed by MONITOR: MWAIT comes back at once, as it always may. */
void exec_monitor(struct bt_cpu *c, const struct insn *i)
{
	uint64_t ea = c->gpr[X86_RAX] & mask_of(i->asize);

	if (c->mode.cpl)
		bt_ud(c);
	if ((uint32_t)c->gpr[X86_RCX])
		bt_gp0(c);
	(void)bt_ld8(c, bt_la_of(c, i->seg, ea, 1, BT_READ));
	step_over(c, i);
}

void exec_mwait(struct bt_cpu *c, const struct insn *i)
{
	if (c->mode.cpl)
		bt_ud(c);
	if (c->gpr[X86_RCX] & 0xfffffffe)
		bt_gp0(c);
	step_over(c, i);
}

static void set_pair(struct bt_cpu *c, uint64_t val)
{
	c->gpr[X86_RAX] = (uint32_t)val;
	c->gpr[X86_RDX] = val >> 32;
}

static uint64_t get_pair(const struct bt_cpu *c)
{
	return (uint32_t)c->gpr[X86_RAX] | c->gpr[X86_RDX] << 32;
}

static void need_tsc(struct bt_cpu *c)
{
	if (c->cr4 & CR4_TSD && c->mode.cpl)
		bt_gp0(c);
}

void exec_rdtsc(struct bt_cpu *c, const struct insn *i)
{
	need_tsc(c);
	set_pair(c, bt_tsc(c));
	step_over(c, i);
}

void exec_rdtscp(struct bt_cpu *c, const struct insn *i)
{
	need_tsc(c);
	set_pair(c, bt_tsc(c));
	c->gpr[X86_RCX] = (uint32_t)c->msr.tsc_aux;
	step_over(c, i);
}

void exec_rdpid(struct bt_cpu *c, const struct insn *i)
{
	reg_set(c, i->op[0].reg, c->msr.tsc_aux, in_long(c) ? 8 : 4);
	step_over(c, i);
}

/* There are no performance counters. */
void exec_rdpmc(struct bt_cpu *c, const struct insn *i)
{
	(void)i;
	bt_gp0(c);
}

void exec_rdmsr(struct bt_cpu *c, const struct insn *i)
{
	uint64_t val;

	need_cpl0(c);
	if (bt_rdmsr(c, (uint32_t)c->gpr[X86_RCX], &val))
		bt_gp0(c);
	set_pair(c, val);
	step_over(c, i);
}

void exec_wrmsr(struct bt_cpu *c, const struct insn *i)
{
	need_cpl0(c);
	if (bt_wrmsr(c, (uint32_t)c->gpr[X86_RCX], get_pair(c)))
		bt_gp0(c);
	step_over(c, i);
}

void exec_cpuid(struct bt_cpu *c, const struct insn *i)
{
	uint32_t out[4];

	bt_cpuid(c, (uint32_t)c->gpr[X86_RAX], (uint32_t)c->gpr[X86_RCX], out);
	c->gpr[X86_RAX] = out[0];
	c->gpr[X86_RBX] = out[1];
	c->gpr[X86_RCX] = out[2];
	c->gpr[X86_RDX] = out[3];
	step_over(c, i);
}

static void need_xsave(struct bt_cpu *c)
{
	if (!(c->cr4 & X86_CR4_OSXSAVE))
		bt_ud(c);
}

/* XCR1 reads as what is in use: all that is enabled may be. */
void exec_xgetbv(struct bt_cpu *c, const struct insn *i)
{
	uint32_t n = (uint32_t)c->gpr[X86_RCX];

	need_xsave(c);
	if (n > 1 || (n == 1 && !cpu_has(c, 0xd, 1, CPUID_EAX, 2)))
		bt_gp0(c);
	set_pair(c, c->xcr0);
	step_over(c, i);
}

bool xcr0_valid(const struct bt_cpu *c, uint64_t val)
{
	const struct x86_cpuid *l = x86_cpuid_find(c->cpuid, c->n_cpuid, 0xd, 0);
	const uint64_t avx = 6, mpx = 0x18, avx512 = 0xe0, amx = 0x60000;

	if (!(val & 1) || !l || val & ~(l->eax | (uint64_t)l->edx << 32))
		return false;
	if ((val & 4 && !(val & 2)) || (val & mpx && (val & mpx) != mpx))
		return false;
	if (val & avx512 && ((val & avx512) != avx512 || (val & avx) != avx))
		return false;
	return !(val & amx) || (val & amx) == amx;
}

void exec_xsetbv(struct bt_cpu *c, const struct insn *i)
{
	uint64_t val = get_pair(c);

	need_xsave(c);
	need_cpl0(c);
	if ((uint32_t)c->gpr[X86_RCX] || !xcr0_valid(c, val))
		bt_gp0(c);
	c->xcr0 = val;
	step_over(c, i);
}

/* No caches to write back; INVD may not lose what other CPUs and devices see as memory. */
void exec_invd(struct bt_cpu *c, const struct insn *i)
{
	need_cpl0(c);
	step_over(c, i);
}

void exec_wbinvd(struct bt_cpu *c, const struct insn *i)
{
	need_cpl0(c);
	step_over(c, i);
}

void exec_serialize(struct bt_cpu *c, const struct insn *i)
{
	step_over(c, i);
}

void exec_rsm(struct bt_cpu *c, const struct insn *i)
{
	(void)i;
	bt_ud(c); /* not in system management mode */
}

/* VMCALL and VMMCALL reach the hypervisor, which knows no call; their neighbours do not exist. */
#define HYPERCALL_EPERM	 -1
#define HYPERCALL_ENOSYS -1000

void exec_vmcall(struct bt_cpu *c, const struct insn *i)
{
	int rc = c->mode.cpl ? HYPERCALL_EPERM : HYPERCALL_ENOSYS;

	if (i->modrm != 0xc1 && i->modrm != 0xd9)
		bt_ud(c);
	reg_set(c, X86_RAX, (uint64_t)(int64_t)rc, in_long(c) ? 8 : 4);
	step_over(c, i);
}
