/*
 * accel/bt/exec/pkru.c - RDPKRU and WRPKRU (SDM 3A §4.6.2).
 */
#include "accel/bt/exec.h"
#include "accel/bt/mmu.h"

#define CR4_PKE (UINT64_C(1) << 22)

void exec_rdpkru(struct bt_cpu *c, const struct insn *i)
{
	(void)i;
	if (!(c->cr4 & CR4_PKE))
		bt_ud(c);
	if ((uint32_t)c->gpr[X86_RCX])
		bt_gp0(c);
	c->gpr[X86_RAX] = c->ext.pkru;
	c->gpr[X86_RDX] = 0;
}

void exec_wrpkru(struct bt_cpu *c, const struct insn *i)
{
	(void)i;
	if (!(c->cr4 & CR4_PKE))
		bt_ud(c);
	if ((uint32_t)c->gpr[X86_RCX] || (uint32_t)c->gpr[X86_RDX])
		bt_gp0(c);
	c->ext.pkru = (uint32_t)c->gpr[X86_RAX];
	mmu_mode_changed(c);
}
