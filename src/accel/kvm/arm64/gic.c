/*
 * accel/kvm/arm64/gic.c - struct arm64_chips from KVM's GIC and back.  The world is stopped: KVM
 * refuses all of this while a vCPU runs.
 *
 * KVM gives userspace the registers as software would see them, with exceptions (Linux's
 * Documentation/virt/kvm/devices/arm-vgic-v3.rst): in a GICv3, set-pending registers are the
 * latches alone and are written as a whole, and wires are read and written apart.  In a GICv2 they
 * are set bits, so that clear registers are written first.
 *
 * The order of a put: registers that say how others are meant (IIDR, CTLR, group, configuration)
 * before those, wires before pending before active; redistributors before the ITS, whose tables
 * refer to LPIs; and each of CTLR of redistributors and ITS after what it switches on.
 */
#include <errno.h>

#include "accel/kvm/arm64/arm64.h"

#define GICD_CTLR      0x0000u
#define GICD_IIDR      0x0008u
#define GICD_STATUSR   0x0010u
#define GIC_IGROUPR    0x0080u /* these are alike in distributor and redistributor */
#define GIC_ISENABLER  0x0100u
#define GIC_ICENABLER  0x0180u
#define GIC_ISPENDR    0x0200u
#define GIC_ICPENDR    0x0280u
#define GIC_ISACTIVER  0x0300u
#define GIC_ICACTIVER  0x0380u
#define GIC_IPRIORITYR 0x0400u
#define GICD_ITARGETSR 0x0800u
#define GIC_ICFGR      0x0c00u
#define GICD_CPENDSGIR 0x0f10u
#define GICD_SPENDSGIR 0x0f20u
#define GICD_IROUTER   0x6000u
#define GICR_CTLR      0x0000u
#define GICR_STATUSR   0x0010u
#define GICR_PROPBASER 0x0070u
#define GICR_PENDBASER 0x0078u
#define GICR_SGI       0x10000u /* the second frame */
#define GICC_CTLR      0x0000u
#define GICC_PMR       0x0004u
#define GICC_BPR       0x0008u
#define GICC_ABPR      0x001cu
#define GICC_APR       0x00d0u
#define GITS_CTLR      0x0000u
#define GITS_IIDR      0x0004u
#define GITS_CBASER    0x0080u
#define GITS_CWRITER   0x0088u
#define GITS_CREADR    0x0090u
#define GITS_BASER     0x0100u

#define DIST   KVM_DEV_ARM_VGIC_GRP_DIST_REGS
#define REDIST KVM_DEV_ARM_VGIC_GRP_REDIST_REGS
#define LEVEL  KVM_DEV_ARM_VGIC_GRP_LEVEL_INFO
#define CPU_V2 KVM_DEV_ARM_VGIC_GRP_CPU_REGS
#define CPU_V3 KVM_DEV_ARM_VGIC_GRP_CPU_SYSREGS

/* One transfer: after a failure the rest does nothing. */
struct xfer {
	int gic, its;
	bool put;
	uint64_t who; /* the CPU, where KVM wants it in an attribute */
	int rc;
	struct err *e;
};

static void one(struct xfer *x, uint32_t group, uint64_t attr, void *value)
{
	if (x->rc)
		return;
	attr |= x->who;
	if (x->put)
		x->rc = kvm_arm64_set_attr(x->gic, group, attr, value, "GIC", x->e);
	else
		x->rc = kvm_arm64_get_attr(x->gic, group, attr, value, "GIC", x->e);
	if (x->rc)
		err_prefix(x->e, "register group %u, 0x%llx", group, (unsigned long long)attr);
}

/* @n 32-bit registers from @off. */
static void regs(struct xfer *x, uint32_t group, uint32_t off, uint32_t *value, unsigned n)
{
	for (unsigned i = 0; i < n; i++)
		one(x, group, off + i * 4, &value[i]);
}

/* A 64-bit register that KVM takes by halves. */
static void halves(struct xfer *x, uint32_t group, uint32_t off, uint64_t *value)
{
	uint32_t half[2] = {(uint32_t)*value, (uint32_t)(*value >> 32)};

	regs(x, group, off, half, 2);
	*value = half[0] | (uint64_t)half[1] << 32;
}

/* Bits that are set by one register and cleared by another: a put clears all and sets what is. */
static void set_clear(struct xfer *x, uint32_t group, uint32_t set, uint32_t clear, uint32_t *value,
		      unsigned n)
{
	for (unsigned i = 0; i < n; i++) {
		uint32_t all = UINT32_MAX;

		if (x->put)
			one(x, group, clear + i * 4, &all);
		one(x, group, set + i * 4, &value[i]);
	}
}

/* Wires, 32 of them: @intid is a multiple of 32. */
static void wires(struct xfer *x, uint32_t intid, uint32_t *value)
{
	one(x, LEVEL,
	    (uint64_t)VGIC_LEVEL_INFO_LINE_LEVEL << KVM_DEV_ARM_VGIC_LINE_LEVEL_INFO_SHIFT | intid,
	    value);
}

static void v3_dist(struct xfer *x, struct arm64_chips *c)
{
	struct arm64_gicd *d = &c->dist;
	unsigned w = c->n_spis / 32;

	x->who = 0;
	one(x, DIST, GICD_IIDR, &d->iidr);
	one(x, DIST, GICD_CTLR, &d->ctlr);
	one(x, DIST, GICD_STATUSR, &d->statusr);
	regs(x, DIST, GIC_IGROUPR + 4, d->group, w);
	regs(x, DIST, GIC_ICFGR + 8, d->config, w * 2);
	regs(x, DIST, GIC_IPRIORITYR + 32, d->priority, w * 8);
	for (unsigned i = 0; i < c->n_spis; i++)
		halves(x, DIST, GICD_IROUTER + (ARM64_GIC_SPI_INTID + i) * 8, &d->route[i]);
	set_clear(x, DIST, GIC_ISENABLER + 4, GIC_ICENABLER + 4, d->enable, w);
	for (unsigned i = 0; i < w; i++)
		wires(x, ARM64_GIC_SPI_INTID + i * 32, &d->level[i]);
	regs(x, DIST, GIC_ISPENDR + 4, d->pending, w);
	set_clear(x, DIST, GIC_ISACTIVER + 4, GIC_ICACTIVER + 4, d->active, w);
}

static void v3_redist(struct xfer *x, struct arm64_gic_cpu *s)
{
	uint32_t off = 0;

	if (x->put)
		one(x, REDIST, GICR_CTLR, &off);
	one(x, REDIST, GICR_STATUSR, &s->redist_statusr);
	halves(x, REDIST, GICR_PROPBASER, &s->propbaser);
	halves(x, REDIST, GICR_PENDBASER, &s->pendbaser);
	one(x, REDIST, GICR_CTLR, &s->redist_ctlr);
	one(x, REDIST, GICR_SGI + GIC_IGROUPR, &s->group);
	regs(x, REDIST, GICR_SGI + GIC_ICFGR, s->config, 2);
	regs(x, REDIST, GICR_SGI + GIC_IPRIORITYR, s->priority, 8);
	set_clear(x, REDIST, GICR_SGI + GIC_ISENABLER, GICR_SGI + GIC_ICENABLER, &s->enable, 1);
	wires(x, 0, &s->level);
	one(x, REDIST, GICR_SGI + GIC_ISPENDR, &s->pending);
	set_clear(x, REDIST, GICR_SGI + GIC_ISACTIVER, GICR_SGI + GIC_ICACTIVER, &s->active, 1);
}

static void v3_interface(struct xfer *x, struct arm64_gic_cpu *s)
{
	one(x, CPU_V3, ARM64_ICC_SRE_EL1, &s->sre);
	one(x, CPU_V3, ARM64_ICC_CTLR_EL1, &s->ctlr);
	one(x, CPU_V3, ARM64_ICC_IGRPEN0_EL1, &s->igrpen0);
	one(x, CPU_V3, ARM64_ICC_IGRPEN1_EL1, &s->igrpen1);
	one(x, CPU_V3, ARM64_ICC_PMR_EL1, &s->pmr);
	one(x, CPU_V3, ARM64_ICC_BPR0_EL1, &s->bpr0);
	one(x, CPU_V3, ARM64_ICC_BPR1_EL1, &s->bpr1);
	for (unsigned i = 0; i < arm64_icc_aprs(s->ctlr); i++) {
		one(x, CPU_V3, ARM64_ICC_AP0R_EL1(i), &s->ap0r[i]);
		one(x, CPU_V3, ARM64_ICC_AP1R_EL1(i), &s->ap1r[i]);
	}
}

static void v3_cpus(struct xfer *x, struct arm64_chips *c)
{
	for (uint32_t i = 0; i < c->n_cpus; i++) {
		x->who = (arm64_mpidr(i) & ~ARM64_MPIDR_RES1) << KVM_DEV_ARM_VGIC_V3_MPIDR_SHIFT;
		v3_redist(x, &c->cpu[i]);
		v3_interface(x, &c->cpu[i]);
	}
	x->who = 0;
}

static void v2_dist(struct xfer *x, struct arm64_chips *c)
{
	struct arm64_gicd *d = &c->dist;
	unsigned w = c->n_spis / 32;

	x->who = 0;
	one(x, DIST, GICD_IIDR, &d->iidr); /* also tells KVM that groups can be written */
	one(x, DIST, GICD_CTLR, &d->ctlr);
	regs(x, DIST, GIC_IGROUPR + 4, d->group, w);
	regs(x, DIST, GIC_ICFGR + 8, d->config, w * 2);
	regs(x, DIST, GIC_IPRIORITYR + 32, d->priority, w * 8);
	regs(x, DIST, GICD_ITARGETSR + 32, d->target, w * 8);
	set_clear(x, DIST, GIC_ISENABLER + 4, GIC_ICENABLER + 4, d->enable, w);
	set_clear(x, DIST, GIC_ISPENDR + 4, GIC_ICPENDR + 4, d->pending, w);
	set_clear(x, DIST, GIC_ISACTIVER + 4, GIC_ICACTIVER + 4, d->active, w);
}

/* A GICv2's interface has 32-bit registers. */
static void v2_interface_reg(struct xfer *x, uint32_t off, uint64_t *value)
{
	uint32_t v = (uint32_t)*value;

	one(x, CPU_V2, off, &v);
	*value = v;
}

static void v2_cpus(struct xfer *x, struct arm64_chips *c)
{
	for (uint32_t i = 0; i < c->n_cpus; i++) {
		struct arm64_gic_cpu *s = &c->cpu[i];

		x->who = (uint64_t)i << KVM_DEV_ARM_VGIC_CPUID_SHIFT;
		one(x, DIST, GIC_IGROUPR, &s->group);
		regs(x, DIST, GIC_ICFGR, s->config, 2);
		regs(x, DIST, GIC_IPRIORITYR, s->priority, 8);
		set_clear(x, DIST, GIC_ISENABLER, GIC_ICENABLER, &s->enable, 1);
		set_clear(x, DIST, GIC_ISPENDR, GIC_ICPENDR, &s->pending, 1);
		set_clear(x, DIST, GICD_SPENDSGIR, GICD_CPENDSGIR, s->sgi_source, 4);
		set_clear(x, DIST, GIC_ISACTIVER, GIC_ICACTIVER, &s->active, 1);
		v2_interface_reg(x, GICC_CTLR, &s->ctlr);
		v2_interface_reg(x, GICC_PMR, &s->pmr);
		v2_interface_reg(x, GICC_BPR, &s->bpr0);
		v2_interface_reg(x, GICC_ABPR, &s->bpr1);
		for (uint32_t k = 0; k < 4; k++)
			v2_interface_reg(x, GICC_APR + k * 4, &s->ap0r[k]);
	}
	x->who = 0;
}

static void its_reg(struct xfer *x, uint32_t off, uint64_t *value)
{
	if (x->rc)
		return;
	if (x->put)
		x->rc = kvm_arm64_set_attr(x->its, KVM_DEV_ARM_VGIC_GRP_ITS_REGS, off, value, "ITS",
					   x->e);
	else
		x->rc = kvm_arm64_get_attr(x->its, KVM_DEV_ARM_VGIC_GRP_ITS_REGS, off, value, "ITS",
					   x->e);
	if (x->rc)
		err_prefix(x->e, "register 0x%x", off);
}

static void control(struct xfer *x, int fd, uint64_t what, const char *name)
{
	if (!x->rc)
		x->rc = kvm_arm64_set_attr(fd, KVM_DEV_ARM_VGIC_GRP_CTRL, what, NULL, name, x->e);
}

static void its_regs(struct xfer *x, struct arm64_its *s)
{
	its_reg(x, GITS_IIDR, &s->iidr);
	its_reg(x, GITS_CBASER, &s->cbaser);
	its_reg(x, GITS_CREADR, &s->creadr);
	its_reg(x, GITS_CWRITER, &s->cwriter);
	for (uint32_t i = 0; i < ARRAY_LEN(s->baser); i++)
		its_reg(x, GITS_BASER + i * 8, &s->baser[i]);
}

/* What the ITS and the redistributors hold goes to where the guest told them, if it did. */
static void its_get(struct xfer *x, struct arm64_its *s)
{
	control(x, x->gic, KVM_DEV_ARM_VGIC_SAVE_PENDING_TABLES, "LPI pending tables");
	control(x, x->its, KVM_DEV_ARM_ITS_SAVE_TABLES, "ITS tables in guest memory");
	its_regs(x, s);
	its_reg(x, GITS_CTLR, &s->ctlr);
}

static void its_put(struct xfer *x, struct arm64_its *s, bool tables)
{
	control(x, x->its, KVM_DEV_ARM_ITS_CTRL_RESET, "ITS");
	if (!tables)
		return;
	its_regs(x, s);
	control(x, x->its, KVM_DEV_ARM_ITS_RESTORE_TABLES, "ITS tables in guest memory");
	its_reg(x, GITS_CTLR, &s->ctlr);
}

static struct xfer xfer_of(const struct kvm_arch *a, bool put, struct err *e)
{
	return (struct xfer){.gic = a->gic, .its = a->its, .put = put, .e = e};
}

static int gic_get(const struct kvm_arch *a, struct arm64_chips *c, struct err *e)
{
	struct xfer x = xfer_of(a, false, e);

	c->version = a->made.gic_version;
	c->n_spis = a->config->n_spis;
	c->n_cpus = a->kvm->vm->n_vcpus;
	if (c->version == 3) {
		v3_cpus(&x, c);
		v3_dist(&x, c);
	} else {
		v2_dist(&x, c);
		v2_cpus(&x, c);
	}
	return x.rc;
}

static int gic_put(const struct kvm_arch *a, struct arm64_chips *c, bool power_on, struct err *e)
{
	struct xfer x = xfer_of(a, true, e);

	if (c->version == 3) {
		v3_dist(&x, c);
		v3_cpus(&x, c);
	} else {
		v2_dist(&x, c);
		v2_cpus(&x, c);
	}
	if (a->its >= 0)
		its_put(&x, &c->its, !power_on);
	return x.rc;
}

int kvm_arm64_chips_get(struct vm *vm, struct err *e)
{
	struct kvm_vm *kvm = kvm_of(vm);
	struct kvm_arch *a = kvm->arch;
	struct arm64_chips *c = vm->chips;
	int rc = 0;

	arm64_chips_reset(c);
	c->has_its = a->its >= 0;
	if (c->has_its) {
		struct xfer x = xfer_of(a, false, e);

		its_get(&x, &c->its);
		rc = x.rc;
	}
	if (!rc && a->chip_ready)
		rc = gic_get(a, c, e);
	if (!rc)
		rc = kvm_clock_get(kvm, &c->counter_ns, e);
	c->has_counter = !rc;
	return rc;
}

/* Power-on values of a GIC depend on the GIC: what is fixed is read, the rest is set. */
static int power_on(struct kvm_arch *a, struct arm64_chips *c, struct err *e)
{
	int rc = gic_get(a, c, e);

	if (rc)
		return rc;
	arm64_gic_power_on(c);
	return gic_put(a, c, true, e);
}

int kvm_arm64_chips_put(struct vm *vm, struct err *e)
{
	struct kvm_vm *kvm = kvm_of(vm);
	struct kvm_arch *a = kvm->arch;
	struct arm64_chips *c = vm->chips;
	int rc = 0;

	if (a->chip_ready && !c->version)
		rc = power_on(a, c, e);
	else if (c->version != (a->chip_ready ? a->made.gic_version : 0))
		rc = err_set(e, -EINVAL, "the state is of a GICv%u, this machine has GICv%u",
			     c->version, a->made.gic_version);
	else if (c->version && (c->n_spis != a->config->n_spis || c->n_cpus != vm->n_vcpus ||
				c->has_its != (a->its >= 0)))
		rc = err_set(
			e, -EINVAL,
			"the state is of a GIC with %u SPIs, %u CPUs and %s ITS: this machine's "
			"is not like that",
			c->n_spis, c->n_cpus, c->has_its ? "an" : "no");
	else if (c->version)
		rc = gic_put(a, c, false, e);
	if (!rc && c->has_counter)
		kvm_clock_put(kvm, c->counter_ns);
	return rc;
}
