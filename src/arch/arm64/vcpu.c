/*
 * arch/arm64/vcpu.c - the state table of an arm64 vCPU, its power-on values and its words for a
 * human.
 */
#include <stdio.h>
#include <string.h>

#include "arch/arch.h"
#include "arch/arm64/gic.h"
#include "arch/arm64/vcpu.h"
#include "base/endian.h"

#define R(m, ...) FIELD(struct arm64_reg, m, __VA_ARGS__)
static const struct field reg_fields[] = {
	R(id, .max = ARM64_REG(ARM64_KINDS, 0) - 1),
	R(value, ),
};
static const struct state_table reg_table = STATE_TABLE("reg", 1, reg_fields);

#define V(m, ...)	    FIELD(struct arm64_vcpu, m, __VA_ARGS__)
#define SUB(m, t, tab, ...) FIELD_SUB(struct arm64_vcpu, m, t, tab, __VA_ARGS__)
#define COUNT(m)	    .count_off = offsetof(struct arm64_vcpu, m) + 1
static const struct field vcpu_fields[] = {
	V(x, ),
	V(sp_el0, ),
	V(sp_el1, ),
	V(pc, ),
	V(pstate, .reset = ARM64_PSTATE_EL1H | ARM64_PSTATE_DAIF),
	V(elr_el1, ),
	V(spsr, ),
	V(v, ),
	V(fpsr, ),
	V(fpcr, ),
	V(sve_vls, ),
	V(sve_z_size, .max = ARM64_SVE_Z_SIZE),
	V(sve_p_size, .max = ARM64_SVE_P_SIZE),
	V(sve_z, COUNT(sve_z_size)),
	V(sve_p, COUNT(sve_p_size)),
	V(n_regs, .max = ARM64_REGS_MAX),
	SUB(reg, struct arm64_reg, &reg_table, COUNT(n_regs)),
	V(power, .max = ARM64_POWER_SUSPENDED),
	V(serror, ),
	V(serror_has_esr, ),
	V(ext_abort, ),
	V(serror_esr, ),
};
const struct state_table arm64_vcpu_table = STATE_TABLE("arm64-vcpu", 1, vcpu_fields);

/* The place of @id in the list, or where it would be. */
static uint32_t reg_place(const struct arm64_vcpu *v, uint32_t id)
{
	uint32_t lo = 0, hi = v->n_regs;

	while (lo < hi) {
		uint32_t mid = lo + (hi - lo) / 2;

		if (v->reg[mid].id < id)
			lo = mid + 1;
		else
			hi = mid;
	}
	return lo;
}

const uint64_t *arm64_vcpu_reg_const(const struct arm64_vcpu *v, uint32_t id)
{
	uint32_t i = reg_place(v, id);

	return i < v->n_regs && v->reg[i].id == id ? &v->reg[i].value : NULL;
}

uint64_t *arm64_vcpu_reg(struct arm64_vcpu *v, uint32_t id)
{
	uint32_t i = reg_place(v, id);

	return i < v->n_regs && v->reg[i].id == id ? &v->reg[i].value : NULL;
}

bool arm64_vcpu_set_reg(struct arm64_vcpu *v, uint32_t id, uint64_t value)
{
	uint32_t i = reg_place(v, id);

	if (i == v->n_regs || v->reg[i].id != id) {
		if (v->n_regs == ARM64_REGS_MAX)
			return false;
		memmove(&v->reg[i + 1], &v->reg[i], (v->n_regs - i) * sizeof(v->reg[0]));
		v->n_regs++;
	}
	v->reg[i] = (struct arm64_reg){id, value};
	return true;
}

static const struct {
	uint32_t id;
	const char *name;
} reg_names[] = {
	{ARM64_MIDR_EL1, "MIDR_EL1"},
	{ARM64_MPIDR_EL1, "MPIDR_EL1"},
	{ARM64_PFR0_EL1, "ID_AA64PFR0_EL1"},
	{ARM64_SYSREG(3, 0, 0, 4, 1), "ID_AA64PFR1_EL1"},
	{ARM64_SYSREG(3, 0, 0, 4, 4), "ID_AA64ZFR0_EL1"},
	{ARM64_SYSREG(3, 0, 0, 5, 0), "ID_AA64DFR0_EL1"},
	{ARM64_SYSREG(3, 0, 0, 6, 0), "ID_AA64ISAR0_EL1"},
	{ARM64_SYSREG(3, 0, 0, 6, 1), "ID_AA64ISAR1_EL1"},
	{ARM64_SYSREG(3, 0, 0, 7, 0), "ID_AA64MMFR0_EL1"},
	{ARM64_SYSREG(3, 0, 0, 7, 1), "ID_AA64MMFR1_EL1"},
	{ARM64_SYSREG(3, 0, 0, 7, 2), "ID_AA64MMFR2_EL1"},
	{ARM64_CLIDR_EL1, "CLIDR_EL1"},
	{ARM64_SYSREG(3, 3, 0, 0, 1), "CTR_EL0"},
	{ARM64_SCTLR_EL1, "SCTLR_EL1"},
	{ARM64_TTBR0_EL1, "TTBR0_EL1"},
	{ARM64_TTBR1_EL1, "TTBR1_EL1"},
	{ARM64_TCR_EL1, "TCR_EL1"},
	{ARM64_ESR_EL1, "ESR_EL1"},
	{ARM64_FAR_EL1, "FAR_EL1"},
	{ARM64_MAIR_EL1, "MAIR_EL1"},
	{ARM64_VBAR_EL1, "VBAR_EL1"},
	{ARM64_TPIDR_EL1, "TPIDR_EL1"},
	{ARM64_CNTP_CTL_EL0, "CNTP_CTL_EL0"},
	{ARM64_CNTP_CVAL_EL0, "CNTP_CVAL_EL0"},
	{ARM64_CNTV_CTL_EL0, "CNTV_CTL_EL0"},
	{ARM64_CNTV_CVAL_EL0, "CNTV_CVAL_EL0"},
	{ARM64_REG(ARM64_KIND_FW, 0), "PSCI version"},
	{ARM64_REG(ARM64_KIND_FW, 1), "state of SMCCC_ARCH_WORKAROUND_1"},
	{ARM64_REG(ARM64_KIND_FW, 2), "state of SMCCC_ARCH_WORKAROUND_2"},
	{ARM64_REG(ARM64_KIND_FW, 3), "state of SMCCC_ARCH_WORKAROUND_3"},
};

const char *arm64_reg_name(uint32_t id, char *buf, size_t n)
{
	uint32_t num = ARM64_REG_NUMBER(id);

	for (size_t i = 0; i < ARRAY_LEN(reg_names); i++)
		if (reg_names[i].id == id) {
			str_copy(buf, n, reg_names[i].name);
			return buf;
		}
	switch (ARM64_REG_KIND(id)) {
	case ARM64_KIND_SYS:
		snprintf(buf, n, "S%u_%u_c%u_c%u_%u", ARM64_SYSREG_OP0(num), ARM64_SYSREG_OP1(num),
			 ARM64_SYSREG_CRN(num), ARM64_SYSREG_CRM(num), ARM64_SYSREG_OP2(num));
		break;
	case ARM64_KIND_CCSIDR: snprintf(buf, n, "CCSIDR_EL1 of cache %u", num); break;
	case ARM64_KIND_FW: snprintf(buf, n, "firmware register %u", num); break;
	default: snprintf(buf, n, "hypercall bitmap %u", num); break;
	}
	return buf;
}

uint64_t arm64_mpidr(unsigned index)
{
	return ARM64_MPIDR_RES1 | (index & 15) | (uint64_t)(index >> 4 & 255) << 8 |
	       (uint64_t)(index >> 12 & 255) << 16;
}

void arm64_vcpu_reset(void *state, unsigned index)
{
	struct arm64_vcpu *v = state;

	state_reset(&arm64_vcpu_table, v);
	v->power = index == 0 ? ARM64_POWER_ON : ARM64_POWER_OFF;
}

static uint64_t arm64_pc(const void *state)
{
	return ((const struct arm64_vcpu *)state)->pc;
}

static bool in_user_mode(const struct arm64_vcpu *v)
{
	if (v->pstate & ARM64_PSTATE_32)
		return (v->pstate & 15) == 0;
	return ARM64_PSTATE_EL(v->pstate) == 0;
}

static const char *mode_name(const struct arm64_vcpu *v)
{
	static const char *const names[16] = {"EL0t", "?",    "?", "?", "EL1t", "EL1h", "?", "?",
					      "EL2t", "EL2h", "?", "?", "EL3t", "EL3h", "?", "?"};

	if (v->pstate & ARM64_PSTATE_32)
		return in_user_mode(v) ? "AArch32 user mode" : "AArch32";
	return names[v->pstate & 15];
}

static void show_pstate(const struct arm64_vcpu *v, struct strbuf *out)
{
	static const struct {
		uint8_t bit;
		const char *set;
	} flags[] = {{31, "N"}, {30, "Z"}, {29, "C"}, {28, "V"},
		     {9, "D"},	{8, "A"},  {7, "I"},  {6, "F"}};

	strbuf_printf(out, "pstate %08llx [", (unsigned long long)v->pstate);
	for (size_t i = 0; i < ARRAY_LEN(flags); i++)
		strbuf_add(out, v->pstate >> flags[i].bit & 1 ? flags[i].set : "-");
	strbuf_printf(out, "] %s\n", mode_name(v));
}

static void show_reg(const struct arm64_vcpu *v, uint32_t id, const char *end, struct strbuf *out)
{
	const uint64_t *value = arm64_vcpu_reg_const(v, id);
	char name[40];

	arm64_reg_name(id, name, sizeof(name));
	if (value)
		strbuf_printf(out, "%-9s %016llx%s", name, (unsigned long long)*value, end);
	else
		strbuf_printf(out, "%-9s %-16s%s", name, "(reset)", end);
}

static void arm64_show(const void *state, struct strbuf *out)
{
	static const uint32_t regs[] = {ARM64_ESR_EL1,	 ARM64_FAR_EL1,	     ARM64_VBAR_EL1,
					ARM64_SCTLR_EL1, ARM64_TCR_EL1,	     ARM64_MAIR_EL1,
					ARM64_TTBR0_EL1, ARM64_TTBR1_EL1,    ARM64_TPIDR_EL1,
					ARM64_MPIDR_EL1, ARM64_CNTV_CTL_EL0, ARM64_CNTV_CVAL_EL0};
	const struct arm64_vcpu *v = state;

	strbuf_printf(out, "pc  %016llx ", (unsigned long long)v->pc);
	show_pstate(v, out);
	for (unsigned i = 0; i < 31; i++)
		strbuf_printf(out, "x%-2u %016llx%s", i, (unsigned long long)v->x[i],
			      i % 4 == 3 ? "\n" : " ");
	strbuf_printf(out, "\nsp_el0 %016llx sp_el1 %016llx elr_el1 %016llx spsr_el1 %08llx\n",
		      (unsigned long long)v->sp_el0, (unsigned long long)v->sp_el1,
		      (unsigned long long)v->elr_el1, (unsigned long long)v->spsr[ARM64_SPSR_EL1]);
	for (unsigned i = 0; i < ARRAY_LEN(regs); i++)
		show_reg(v, regs[i], i % 3 == 2 ? "\n" : " ", out);
	if (v->serror || v->ext_abort)
		strbuf_printf(out, "pending: %s\n", v->serror ? "SError" : "external abort");
}

/*
 * A vCPU is never seen to be stuck: WFI ends with any interrupt, masked or not; nor to idle: KVM
 * keeps it inside while it waits in WFI, and the state does not say so (but see arm64_waits).
 */
static enum arch_activity arm64_activity(const void *state)
{
	const struct arm64_vcpu *v = state;

	switch (v->power) {
	case ARM64_POWER_OFF: return ARCH_OFF;
	case ARM64_POWER_SUSPENDED: return ARCH_IDLE;
	default: return in_user_mode(v) ? ARCH_USER : ARCH_KERNEL;
	}
}

#define INSN_WFI	0xd503207fu
#define INSN_WFIT	0xd5031020u
#define INSN_WFIT_FIXED 0xffffffe0u

/*
 * KVM has moved on behind the WFI in which a vCPU sleeps.  Linux idles with interrupts masked, but
 * not SErrors; CPUs that have been stopped for good, as by a panic, are in a WFI with all masked.
 */
static bool arm64_waits(const void *state, struct as *mem)
{
	const struct arm64_vcpu *v = state;
	uint8_t raw[4];
	uint32_t insn;
	gpa_t pa;

	if (v->pstate & (ARM64_PSTATE_32 | ARM64_PSTATE_A) ||
	    !arm64_translate(v, mem, v->pc - 4, &pa) || as_read(mem, pa, raw, sizeof(raw)) != IO_OK)
		return false;
	insn = le32_load(raw);
	return insn == INSN_WFI || (insn & INSN_WFIT_FIXED) == INSN_WFIT;
}

static const char *arm64_doing(const void *state)
{
	const struct arm64_vcpu *v = state;

	if (v->power == ARM64_POWER_OFF)
		return "off, until another CPU starts it (PSCI CPU_ON)";
	if (v->power == ARM64_POWER_SUSPENDED)
		return "suspended, waiting for an interrupt";
	if (in_user_mode(v))
		return "in user mode";
	return v->pstate & ARM64_PSTATE_I ? "in kernel mode with interrupts off" : "in kernel mode";
}

const struct arch arch_arm64 = {
	.name = "arm64",
	.long_name = "arm64",
	.max_vcpus = ARM64_VCPUS_MAX,
	.vcpu_state_size = sizeof(struct arm64_vcpu),
	.vcpu_state = &arm64_vcpu_table,
	.vcpu_reset = arm64_vcpu_reset,
	.chips_size = sizeof(struct arm64_chips),
	.chips = &arm64_chips_table,
	.chips_reset = arm64_chips_reset,
	.pc = arm64_pc,
	.show = arm64_show,
	.doing = arm64_doing,
	.activity = arm64_activity,
	.waits = arm64_waits,
	.translate = arm64_translate,
};
