/*
 * accel/bt/msr.c - model-specific registers (SDM 4, APM 2 appendix A, KVM's msr.rst).
 *
 * One table says which there are, where each is kept, and what it can hold.  RDMSR, WRMSR and the
 * state that is saved are made from it, so that they agree.
 */
#include <errno.h>

#include "accel/bt/cpu.h"
#include "accel/bt/exec/sys.h"
#include "accel/bt/msr.h"
#include "base/log.h"
#include "base/trace.h"

#define PHYS_MASK ((UINT64_C(1) << BT_PHYS_BITS) - 1)

/* What a value must be like. */
enum check {
	ANY,
	MASK,	  /* only bits of .arg */
	CANON,	  /* a canonical address */
	PAT,	  /* eight memory types of the page attribute table */
	TYPES,	  /* eight memory types of a fixed-range MTRR */
	CONSTANT, /* reads .arg; a write is #GP unless of the same value */
	IGNORE,	  /* reads .arg; writes have no effect */
	ONLY,	  /* write only: a command */
	CALL,	  /* .read and .write */
};

/* Is it saved? */
enum save {
	NEVER,
	ALWAYS,
	SET, /* if it is not 0: other accelerators may not have it */
};

/* A CPUID bit without which the register does not exist. */
struct gate {
	uint32_t leaf;
	uint8_t subleaf, reg, bit;
};
#define FREE               \
	{                  \
		0, 0, 0, 0 \
	}
#define G(l, r, b)                     \
	{                              \
		(l), 0, CPUID_##r, (b) \
	}

struct msr_info {
	uint32_t index;
	const char *name;
	uint16_t offset; /* in struct bt_cpu, 0: none */
	uint8_t check;
	uint8_t state; /* enum save */
	struct gate gate;
	uint64_t arg;
	uint64_t (*read)(struct bt_cpu *c);
	int (*write)(struct bt_cpu *c, uint64_t val);
};

/* Special ones. ----------------------------------------------------------------------------- */

uint64_t bt_tsc(struct bt_cpu *c)
{
	return clock_now(&c->v->vm->clock) + bt_tsc_offset(c);
}

static void tsc_moved(struct bt_cpu *c)
{
	if (c->lapic)
		lapic_tsc_moved(c->lapic);
	bt_pvclock_update(c);
}

/* A write of the TSC is one of TSC_ADJUST by the difference (SDM 3B §17.17.3). */
static int tsc_write(struct bt_cpu *c, uint64_t val)
{
	c->msr.tsc_adjust += val - bt_tsc(c);
	tsc_moved(c);
	return 0;
}

static uint64_t adjust_read(struct bt_cpu *c)
{
	return c->msr.tsc_adjust;
}

static int adjust_write(struct bt_cpu *c, uint64_t val)
{
	c->msr.tsc_adjust = val;
	tsc_moved(c);
	return 0;
}

static uint64_t lapic_read(struct bt_cpu *c, uint32_t index)
{
	uint64_t val = 0;

	return c->lapic && !lapic_msr_read(c->lapic, index, &val) ? val : 0;
}

static uint64_t base_read(struct bt_cpu *c)
{
	return lapic_read(c, X86_MSR_APIC_BASE);
}

static int base_write(struct bt_cpu *c, uint64_t val)
{
	return c->lapic ? lapic_msr_write(c->lapic, X86_MSR_APIC_BASE, val) : -EINVAL;
}

static uint64_t deadline_read(struct bt_cpu *c)
{
	return lapic_read(c, MSR_TSC_DEADLINE);
}

static int deadline_write(struct bt_cpu *c, uint64_t val)
{
	return c->lapic ? lapic_msr_write(c->lapic, MSR_TSC_DEADLINE, val) : -EINVAL;
}

uint64_t efer_known(const struct bt_cpu *c)
{
	uint64_t known = 0;

	if (cpu_has(c, 0x80000001, 0, CPUID_EDX, 11))
		known |= X86_EFER_SCE;
	if (cpu_has(c, 0x80000001, 0, CPUID_EDX, 29))
		known |= X86_EFER_LME | X86_EFER_LMA;
	if (cpu_has(c, 0x80000001, 0, CPUID_EDX, 20))
		known |= X86_EFER_NXE;
	if (cpu_has(c, 0x80000001, 0, CPUID_EDX, 25))
		known |= EFER_FFXSR;
	if (cpu_has(c, 0x80000021, 0, CPUID_EAX, 8))
		known |= EFER_AUTOIBRS;
	return known;
}

static uint64_t efer_read(struct bt_cpu *c)
{
	return c->efer;
}

static int efer_write(struct bt_cpu *c, uint64_t val)
{
	uint64_t old = c->efer;

	if (val & ~efer_known(c))
		return -EINVAL;
	if ((val ^ old) & X86_EFER_LME && c->cr0 & X86_CR0_PG)
		return -EINVAL;
	c->efer = (val & ~(uint64_t)X86_EFER_LMA) | (old & X86_EFER_LMA);
	if ((c->efer ^ old) & X86_EFER_NXE)
		mmu_flush_all(c, true);
	if (c->efer != old)
		bt_mode_changed(c);
	return 0;
}

static uint64_t fs_read(struct bt_cpu *c)
{
	return c->seg[X86_FS].base;
}

static uint64_t gs_read(struct bt_cpu *c)
{
	return c->seg[X86_GS].base;
}

static int seg_base_write(struct bt_cpu *c, unsigned seg, uint64_t val)
{
	if (!canonical(c, val))
		return -EINVAL;
	c->seg[seg].base = c->seg_base[seg] = val;
	return 0;
}

static int fs_write(struct bt_cpu *c, uint64_t val)
{
	return seg_base_write(c, X86_FS, val);
}

static int gs_write(struct bt_cpu *c, uint64_t val)
{
	return seg_base_write(c, X86_GS, val);
}

static bool memory_type(uint64_t t)
{
	return t == 0 || t == 1 || (t >= 4 && t <= 6);
}

static uint64_t mtrr_def_read(struct bt_cpu *c)
{
	return c->msr.mtrr_def;
}

static int mtrr_def_write(struct bt_cpu *c, uint64_t val)
{
	if (val & ~UINT64_C(0xcff) || !memory_type(val & 0xff))
		return -EINVAL;
	c->msr.mtrr_def = val;
	return 0;
}

static uint64_t xss_read(struct bt_cpu *c)
{
	return c->msr.xss;
}

static int xss_write(struct bt_cpu *c, uint64_t val)
{
	const struct x86_cpuid *l = x86_cpuid_find(c->cpuid, c->n_cpuid, 0xd, 1);

	if (!l || val & ~(l->ecx | (uint64_t)l->edx << 32))
		return -EINVAL;
	c->msr.xss = val;
	return 0;
}

static uint64_t system_time_read(struct bt_cpu *c)
{
	return c->msr.system_time;
}

static int system_time_write(struct bt_cpu *c, uint64_t val)
{
	c->msr.system_time = val;
	bt_pvclock_update(c);
	return 0;
}

static uint64_t wall_clock_read(struct bt_cpu *c)
{
	return c->msr.wall_clock;
}

static int wall_clock_write(struct bt_cpu *c, uint64_t val)
{
	c->msr.wall_clock = val;
	bt_pvclock_wall(c, val);
	return 0;
}

/* Without RDCL, MDS, TAA, L1TF and the like: nothing here runs ahead of itself (SDM 4). */
#define ARCH_CAPS                                                                         \
	(1u << 0 | 1u << 1 | 1u << 3 | 1u << 4 | 1u << 5 | 1u << 6 | 1u << 8 | 1u << 13 | \
	 1u << 14 | 1u << 15 | 1u << 20 | 1u << 24 | 1u << 26 | 1u << 27)

/* Power-on values. */
#define PAT_RESET	  UINT64_C(0x0007040600070406)
#define MISC_ENABLE_RESET 0x1801u /* fast strings; neither BTS nor PEBS */
#define MISC_ENABLE_MASK  UINT64_C(0x400c51889)
#define MTRR_CAP	  0x508u     /* 8 variable ranges, fixed ranges, write-combining */
#define HWCR_RESET	  (1u << 24) /* the TSC counts at one rate */

/* The table. -------------------------------------------------------------------------------- */

#define AT(member) ((uint16_t)offsetof(struct bt_cpu, member))
#define KEPT(i, n, m, ch, a)                                             \
	{                                                                \
		(i), (n), AT(msr.m), (ch), ALWAYS, FREE, (a), NULL, NULL \
	}
#define KEPT_SET(i, n, m, ch, a)                                      \
	{                                                             \
		(i), (n), AT(msr.m), (ch), SET, FREE, (a), NULL, NULL \
	}
#define KEPT_IF(i, n, m, ch, a, ...)                                         \
	{                                                                    \
		(i), (n), AT(msr.m), (ch), SET, __VA_ARGS__, (a), NULL, NULL \
	}
#define FIXED(i, n, v)                                              \
	{                                                           \
		(i), (n), 0, CONSTANT, NEVER, FREE, (v), NULL, NULL \
	}
#define DULL(i, n, v)                                             \
	{                                                         \
		(i), (n), 0, IGNORE, NEVER, FREE, (v), NULL, NULL \
	}
#define SPECIAL(i, n, st, r, w)                            \
	{                                                  \
		(i), (n), 0, CALL, (st), FREE, 0, (r), (w) \
	}
#define FIXED_MTRR(i, k) KEPT(i, "MTRR_FIX", mtrr_fixed[k], TYPES, 0)
#define MTRR_PAIR(k)                                                                               \
	KEPT(0x200 + 2 * (k), "MTRR_PHYSBASE", mtrr_phys[2 * (k)], MASK, (PHYS_MASK & ~0xf00ull)), \
		KEPT(0x201 + 2 * (k), "MTRR_PHYSMASK", mtrr_phys[2 * (k) + 1], MASK,               \
		     (PHYS_MASK & ~0x7ffull))

/* clang-format off */
/* Ascending. */
static const struct msr_info table[] = {
	SPECIAL(X86_MSR_TSC, "TSC", ALWAYS, bt_tsc, tsc_write),
	SPECIAL(0x11, "KVM_WALL_CLOCK (old)", NEVER, wall_clock_read, wall_clock_write),
	SPECIAL(0x12, "KVM_SYSTEM_TIME (old)", NEVER, system_time_read, system_time_write),
	FIXED(0x17, "PLATFORM_ID", 0),
	SPECIAL(X86_MSR_APIC_BASE, "APIC_BASE", NEVER, base_read, base_write),
	DULL(0x2a, "EBL_CR_POWERON", 0),
	FIXED(0x34, "SMI_COUNT", 0),
	FIXED(0x3a, "FEATURE_CONTROL", 1), /* locked, and nothing enabled */
	{0x3b, "TSC_ADJUST", 0, CALL, ALWAYS, G(7, EBX, 1), 0, adjust_read, adjust_write},
	KEPT_IF(0x48, "SPEC_CTRL", spec_ctrl, MASK, 7, G(7, EDX, 26)),
	{0x49, "PRED_CMD", 0, ONLY, NEVER, G(7, EDX, 26), 1, NULL, NULL},
	DULL(0x79, "BIOS_UPDT_TRIG", 0),
	DULL(0x8b, "BIOS_SIGN_ID, PATCH_LEVEL", UINT64_C(0x100000000)),
	FIXED(0xce, "PLATFORM_INFO", 10u << 8), /* 1 GHz in steps of 100 MHz */
	FIXED(0xfe, "MTRRCAP", MTRR_CAP),
	{0x10a, "ARCH_CAPABILITIES", 0, CONSTANT, NEVER, G(7, EDX, 29), ARCH_CAPS, NULL, NULL},
	{0x10b, "FLUSH_CMD", 0, ONLY, NEVER, G(7, EDX, 28), 1, NULL, NULL},
	KEPT(0x174, "SYSENTER_CS", sysenter_cs, ANY, 0),
	KEPT(0x175, "SYSENTER_ESP", sysenter_esp, CANON, 0),
	KEPT(0x176, "SYSENTER_EIP", sysenter_eip, CANON, 0),
	FIXED(0x179, "MCG_CAP", 0x100), /* no banks; MCG_CTL is there */
	KEPT_SET(0x17a, "MCG_STATUS", mcg_status, MASK, 7),
	KEPT_SET(0x17b, "MCG_CTL", mcg_ctl, ANY, 0),
	FIXED(0x198, "PERF_STATUS", 10u << 8),
	DULL(0x199, "PERF_CTL", 10u << 8),
	KEPT(X86_MSR_MISC_ENABLE, "MISC_ENABLE", misc_enable, MASK, MISC_ENABLE_MASK),
	KEPT_SET(0x1d9, "DEBUGCTL", debugctl, MASK, 3),
	DULL(0x1db, "LASTBRANCHFROMIP", 0),
	DULL(0x1dc, "LASTBRANCHTOIP", 0),
	DULL(0x1dd, "LASTINTFROMIP", 0),
	DULL(0x1de, "LASTINTTOIP", 0),
	DULL(0x1fc, "POWER_CTL", 0),
	MTRR_PAIR(0), MTRR_PAIR(1), MTRR_PAIR(2), MTRR_PAIR(3),
	MTRR_PAIR(4), MTRR_PAIR(5), MTRR_PAIR(6), MTRR_PAIR(7),
	FIXED_MTRR(0x250, 0),
	FIXED_MTRR(0x258, 1),
	FIXED_MTRR(0x259, 2),
	FIXED_MTRR(0x268, 3), FIXED_MTRR(0x269, 4), FIXED_MTRR(0x26a, 5), FIXED_MTRR(0x26b, 6),
	FIXED_MTRR(0x26c, 7), FIXED_MTRR(0x26d, 8), FIXED_MTRR(0x26e, 9), FIXED_MTRR(0x26f, 10),
	KEPT(X86_MSR_PAT, "PAT", pat, PAT, 0),
	SPECIAL(X86_MSR_MTRR_DEF_TYPE, "MTRR_DEF_TYPE", ALWAYS, mtrr_def_read, mtrr_def_write),
	DULL(0x345, "PERF_CAPABILITIES", 0),
	{MSR_TSC_DEADLINE, "TSC_DEADLINE", 0, CALL, ALWAYS, G(1, ECX, 24), 0, deadline_read,
	 deadline_write},
	{0xda0, "XSS", 0, CALL, SET, {0xd, 1, CPUID_EAX, 3}, 0, xss_read, xss_write},
	SPECIAL(0x4b564d00, "KVM_WALL_CLOCK", ALWAYS, wall_clock_read, wall_clock_write),
	SPECIAL(0x4b564d01, "KVM_SYSTEM_TIME", ALWAYS, system_time_read, system_time_write),
	KEPT_SET(0x4b564d02, "KVM_ASYNC_PF_EN", async_pf, ANY, 0),
	KEPT_SET(0x4b564d03, "KVM_STEAL_TIME", steal_time, MASK, ~UINT64_C(0x3e)),
	KEPT_SET(0x4b564d04, "KVM_PV_EOI_EN", pv_eoi, MASK, ~UINT64_C(2)),
	KEPT_SET(0x4b564d05, "KVM_POLL_CONTROL", poll_control, MASK, 1),
	SPECIAL(X86_MSR_EFER, "EFER", NEVER, efer_read, efer_write),
	KEPT(X86_MSR_STAR, "STAR", star, ANY, 0),
	KEPT(X86_MSR_LSTAR, "LSTAR", lstar, CANON, 0),
	KEPT(0xc0000083, "CSTAR", cstar, CANON, 0),
	KEPT(X86_MSR_FMASK, "FMASK", fmask, MASK, UINT32_MAX),
	SPECIAL(0xc0000100, "FS_BASE", NEVER, fs_read, fs_write),
	SPECIAL(0xc0000101, "GS_BASE", NEVER, gs_read, gs_write),
	KEPT(0xc0000102, "KERNEL_GS_BASE", kernel_gs_base, CANON, 0),
	KEPT_SET(0xc0000103, "TSC_AUX", tsc_aux, MASK, UINT32_MAX),
	DULL(0xc0010010, "SYSCFG", 0),
	DULL(0xc0010015, "HWCR", HWCR_RESET),
	DULL(0xc001001a, "TOP_MEM", 0),
	DULL(0xc001001d, "TOP_MEM2", 0),
	DULL(0xc001001f, "NB_CFG", 0),
	DULL(0xc0010020, "PATCH_LOADER", 0),
	DULL(0xc0010055, "INT_PENDING", 0),
	DULL(0xc0010058, "MMIO_CONF_BASE", 0),
	DULL(0xc0010112, "TSEG_ADDR", 0),
	DULL(0xc0010113, "TSEG_MASK", 0),
	DULL(0xc0010114, "VM_CR", 0x18), /* SVM is disabled, and that is locked */
	DULL(0xc0010117, "VM_HSAVE_PA", 0),
	DULL(0xc0011020, "LS_CFG", 0),
	DULL(0xc0011021, "IC_CFG", 0),
	DULL(0xc0011022, "DC_CFG", 0),
	DULL(0xc0011028, "FP_CFG", 0),
	DULL(0xc0011029, "DE_CFG", 2), /* LFENCE serialises */
	DULL(0xc001102a, "BU_CFG2", 0),
};
/* clang-format on */

static const struct msr_info *find(uint32_t index)
{
	size_t lo = 0, hi = ARRAY_LEN(table);

	while (lo < hi) {
		size_t mid = lo + (hi - lo) / 2;

		if (table[mid].index == index)
			return &table[mid];
		if (table[mid].index < index)
			lo = mid + 1;
		else
			hi = mid;
	}
	return NULL;
}

static bool exists(const struct bt_cpu *c, const struct msr_info *m)
{
	const struct gate *g = &m->gate;

	return !g->leaf || cpu_has(c, g->leaf, g->subleaf, g->reg, g->bit);
}

static uint64_t *place(struct bt_cpu *c, const struct msr_info *m)
{
	return (uint64_t *)(void *)((char *)c + m->offset);
}

/* Eight types; the page attribute table knows UC- (7) too. */
static bool eight_types(uint64_t val, bool pat)
{
	for (unsigned n = 0; n < 8; n++) {
		uint64_t t = val >> (8 * n) & 0xff;

		if (!memory_type(t) && !(pat && t == 7))
			return false;
	}
	return true;
}

static bool valid(const struct bt_cpu *c, const struct msr_info *m, uint64_t val)
{
	switch (m->check) {
	case MASK:
		if (m->index >= 0x200 && m->index < 0x210 && !(m->index & 1) &&
		    !memory_type(val & 0xff))
			return false;
		return !(val & ~m->arg);
	case CANON: return canonical(c, val);
	case PAT: return eight_types(val, true);
	case TYPES: return eight_types(val, false);
	default: return true;
	}
}

static int set(struct bt_cpu *c, const struct msr_info *m, uint64_t val)
{
	switch (m->check) {
	case CONSTANT: return val == m->arg ? 0 : -EINVAL;
	case IGNORE: return 0;
	case ONLY: return val & ~m->arg ? -EINVAL : 0;
	case CALL: return m->write(c, val);
	default:
		if (!valid(c, m, val))
			return -EINVAL;
		*place(c, m) = val;
		return 0;
	}
}

static uint64_t get(struct bt_cpu *c, const struct msr_info *m)
{
	switch (m->check) {
	case CONSTANT:
	case IGNORE: return m->arg;
	case CALL: return m->read(c);
	default: return *place(c, m);
	}
}

static void unknown(struct bt_cpu *c, const char *what, uint32_t index, uint64_t val)
{
	static struct ratelimit limit;
	uint64_t missed;

	if (ratelimit_ok(&limit, 20, &missed))
		TRACE(bt_msr_unknown, "%s MSR %x (%llx) at %016llx; %llu more were not told", what,
		      index, (unsigned long long)val, (unsigned long long)c->rip,
		      (unsigned long long)missed);
}

int bt_rdmsr(struct bt_cpu *c, uint32_t index, uint64_t *val)
{
	const struct msr_info *m;

	if (index - 0x800 < 0x100)
		return c->lapic ? lapic_msr_read(c->lapic, index, val) : -EINVAL;
	m = find(index);
	if (!m || !exists(c, m) || m->check == ONLY) {
		unknown(c, "read of", index, 0);
		return -EINVAL;
	}
	*val = get(c, m);
	return 0;
}

int bt_wrmsr(struct bt_cpu *c, uint32_t index, uint64_t val)
{
	const struct msr_info *m;

	if (index - 0x800 < 0x100)
		return c->lapic ? lapic_msr_write(c->lapic, index, val) : -EINVAL;
	m = find(index);
	if (!m || !exists(c, m) || set(c, m, val)) {
		unknown(c, "write to", index, val);
		return -EINVAL;
	}
	return 0;
}

/* State. ------------------------------------------------------------------------------------ */

void bt_msr_reset(struct bt_cpu *c)
{
	c->msr = (struct bt_msrs){.pat = PAT_RESET, .misc_enable = MISC_ENABLE_RESET};
}

void bt_msr_get(struct bt_cpu *c, struct x86_vcpu *out)
{
	out->n_msrs = 0;
	for (size_t n = 0; n < ARRAY_LEN(table); n++) {
		uint64_t val;

		if (table[n].state == NEVER || !exists(c, &table[n]))
			continue;
		val = get(c, &table[n]);
		if (table[n].state == ALWAYS || val)
			out->msr[out->n_msrs++] =
				(struct x86_msr){.index = table[n].index, .value = val};
	}
}

/* TSC and TSC_ADJUST are what they say; what that leaves over is the skew. */
static void put_time(struct bt_cpu *c, const struct x86_vcpu *in, uint32_t n_msrs)
{
	uint64_t tsc = 0;
	bool has_tsc = false;

	for (uint32_t n = 0; n < n_msrs; n++) {
		if (in->msr[n].index == 0x3b)
			c->msr.tsc_adjust = in->msr[n].value;
		if (in->msr[n].index == X86_MSR_TSC) {
			tsc = in->msr[n].value;
			has_tsc = true;
		}
	}
	if (has_tsc)
		c->msr.tsc_skew = tsc - bt_tsc(c);
}

/*
 * Written as plain values: what a guest's write would set off (a page of the clock filled, a timer
 * armed) is not done here.
 */
static int put_one(struct bt_cpu *c, const struct x86_msr *m)
{
	const struct msr_info *i = find(m->index);

	switch (m->index) {
	case X86_MSR_TSC:
	case 0x3b:
	case X86_MSR_APIC_BASE:
	case X86_MSR_EFER:
	case MSR_TSC_DEADLINE: /* lapic_put */
	case 0xc0000100:
	case 0xc0000101: return 0;
	case 0x4b564d00: c->msr.wall_clock = m->value; return 0;
	case 0x4b564d01: c->msr.system_time = m->value; return 0;
	default: break;
	}
	if (m->index - 0x800 < 0x100)
		return 0; /* x2APIC: part of the local APIC */
	/* What tells of the processor it comes from, and is no state of the guest's. */
	if (i && (i->check == CONSTANT || i->check == IGNORE))
		return 0;
	if (!i || !exists(c, i))
		return m->value ? -ENOTSUP : 0;
	return set(c, i, m->value);
}

/* MSRs of other accelerators whose power-on value is not 0, and that no guest can see here. */
static bool foreign(uint32_t index)
{
	return index == 0x9e	       /* SMBASE */
	       || index == 0xc0000104; /* TSC_RATIO */
}

int bt_msr_put(struct bt_cpu *c, const struct x86_vcpu *in, struct err *e)
{
	uint32_t n_msrs = MIN(in->n_msrs, X86_MSRS_MAX);

	bt_msr_reset(c);
	for (uint32_t n = 0; n < n_msrs; n++) {
		const struct x86_msr *m = &in->msr[n];
		int rc = foreign(m->index) ? 0 : put_one(c, m);

		if (rc == -ENOTSUP)
			return err_set(e, rc,
				       "the software CPU has no MSR 0x%x, which the state sets",
				       m->index),
			       err_kind(e, ERR_CONFIG);
		if (rc)
			return err_set(e, -EINVAL, "the state has 0x%llx for MSR 0x%x",
				       (unsigned long long)m->value, m->index),
			       err_kind(e, ERR_CONFIG);
	}
	put_time(c, in, n_msrs);
	return 0;
}
