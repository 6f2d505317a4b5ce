/*
 * accel/kvm/arm64/irqchip.c - the GIC in the kernel, and how wires, messages and descriptors reach
 * it.
 *
 * GSI n is SPI n: that is how KVM routes descriptors when it makes the GIC, and how wires are named
 * here.  Messages go to the ITS, which tells devices apart by a number beside address and data.  A
 * descriptor that raises a message needs a route; those have GSIs behind the SPIs, and giving KVM
 * routes means giving it the SPIs' again.
 *
 * The GIC is made before the vCPUs, because addresses of redistributors must be known when they are
 * made, and started when they are there (vcpu.c).
 */
#include <errno.h>
#include <string.h>
#include <sys/ioctl.h>
#include <unistd.h>

#include "accel/kvm/arm64/arm64.h"
#include "base/sys.h"
#include "base/trace.h"

struct route_list {
	uint32_t n, flags;
	struct kvm_irq_routing_entry e[ARM64_SPIS_MAX + KVM_ARM64_MSI_ROUTES];
};

static struct kvm_arch *arch_of(struct irqchip *c)
{
	return container_of(c, struct kvm_arch, chip);
}

/* Which version: the one asked for, or the newest that the board has a place for. */
static int choose_version(struct kvm_arch *a, struct err *e)
{
	const struct arm64_config *c = a->config;
	bool v3 = kvm_arm64_has_device(a->kvm->fd, KVM_DEV_TYPE_ARM_VGIC_V3);
	bool v2 = kvm_arm64_has_device(a->kvm->fd, KVM_DEV_TYPE_ARM_VGIC_V2);

	if (!c->gic_version && v3 && c->gicr[0].vcpus)
		a->made.gic_version = 3;
	else if (!c->gic_version && v2 && c->gicc)
		a->made.gic_version = 2;
	else if ((c->gic_version == 3 && v3) || (c->gic_version == 2 && v2))
		a->made.gic_version = c->gic_version;
	if (a->made.gic_version)
		return 0;
	if (!v2 && !v3)
		err_set(e, -ENOTSUP, "this host's KVM has no interrupt controller (GIC)");
	else
		err_set(e, -ENOTSUP, "this host's KVM has no GICv%u, only GICv%s",
			c->gic_version ? c->gic_version
			: v3	       ? 2
				       : 3,
			v2 && v3 ? "2 and GICv3"
			: v3	 ? "3"
				 : "2");
	return err_kind(e, ERR_HOST);
}

static int check_vcpus(const struct kvm_arch *a, struct err *e)
{
	const struct arm64_config *c = a->config;
	unsigned n = a->kvm->vm->n_vcpus, room = 0;

	if (a->made.gic_version == 2)
		room = ARM64_GICV2_VCPUS_MAX;
	for (unsigned i = 0; i < ARM64_GICR_REGIONS && a->made.gic_version == 3; i++)
		room += c->gicr[i].vcpus;
	if (n <= room)
		return 0;
	err_set(e, -E2BIG, "a GICv%u here serves at most %u CPUs, not %u", a->made.gic_version,
		room, n);
	return err_kind(e, ERR_CONFIG);
}

int kvm_arm64_irqchip_choose(struct kvm_arch *a, struct err *e)
{
	const struct arm64_config *c = a->config;
	int rc;

	if (!c)
		return 0;
	if (c->n_spis < 32 || c->n_spis > ARM64_SPIS_MAX || c->n_spis % 32)
		return err_set(e, -EINVAL, "%u SPIs: must be a multiple of 32, 32 to %u", c->n_spis,
			       ARM64_SPIS_MAX);
	rc = choose_version(a, e);
	if (!rc)
		rc = check_vcpus(a, e);
	a->made.its = a->made.gic_version == 3 && c->its &&
		      kvm_arm64_has_device(a->kvm->fd, KVM_DEV_TYPE_ARM_VGIC_ITS);
	return rc;
}

static int make_device(struct kvm_arch *a, uint32_t type, int *fd, struct err *e)
{
	struct kvm_create_device d = {.type = type};
	int rc = KVM_CALL(a->kvm->fd, KVM_CREATE_DEVICE, &d, e);

	if (rc < 0)
		return err_prefix(e, "GIC");
	*fd = (int)d.fd;
	return 0;
}

static int set_addr(int fd, uint64_t which, uint64_t addr, const char *what, struct err *e)
{
	return kvm_arm64_set_attr(fd, KVM_DEV_ARM_VGIC_GRP_ADDR, which, &addr, what, e);
}

/* KVM gets room for the CPUs that there are, in the order of the regions. */
static int place_redists(struct kvm_arch *a, struct err *e)
{
	uint32_t left = a->kvm->vm->n_vcpus;
	int rc = 0;

	for (unsigned i = 0; i < ARM64_GICR_REGIONS && left && !rc; i++) {
		const struct arm64_gicr_region *r = &a->config->gicr[i];
		uint64_t n = MIN(r->vcpus, left);

		if (!n)
			continue;
		rc = set_addr(a->gic, KVM_VGIC_V3_ADDR_TYPE_REDIST_REGION, n << 52 | r->base | i,
			      "GIC redistributors", e);
		left -= (uint32_t)n;
	}
	return rc;
}

static int make_v3(struct kvm_arch *a, struct err *e)
{
	const struct arm64_config *c = a->config;
	int rc = make_device(a, KVM_DEV_TYPE_ARM_VGIC_V3, &a->gic, e);

	if (!rc)
		rc = set_addr(a->gic, KVM_VGIC_V3_ADDR_TYPE_DIST, c->gicd, "GIC distributor", e);
	if (!rc)
		rc = place_redists(a, e);
	if (rc || !a->made.its)
		return rc;
	rc = make_device(a, KVM_DEV_TYPE_ARM_VGIC_ITS, &a->its, e);
	if (!rc)
		rc = set_addr(a->its, KVM_VGIC_ITS_ADDR_TYPE, c->its, "ITS", e);
	return rc;
}

static int make_v2(struct kvm_arch *a, struct err *e)
{
	const struct arm64_config *c = a->config;
	int rc = make_device(a, KVM_DEV_TYPE_ARM_VGIC_V2, &a->gic, e);

	if (!rc)
		rc = set_addr(a->gic, KVM_VGIC_V2_ADDR_TYPE_DIST, c->gicd, "GIC distributor", e);
	if (!rc)
		rc = set_addr(a->gic, KVM_VGIC_V2_ADDR_TYPE_CPU, c->gicc, "GIC CPU interface", e);
	return rc;
}

/* A message that no ITS entry takes is the guest's own doing. */
static void chip_msi(struct irqchip *c, const struct msi *m)
{
	struct kvm_arch *a = arch_of(c);
	struct kvm_msi msi = {.address_lo = (uint32_t)m->addr,
			      .address_hi = (uint32_t)(m->addr >> 32),
			      .data = m->data,
			      .flags = a->made.its ? KVM_MSI_VALID_DEVID : 0,
			      .devid = m->devid};

	if (ioctl(a->kvm->fd, KVM_SIGNAL_MSI, &msi) <= 0)
		TRACE(kvm_msi_lost, "addr 0x%llx data 0x%x device 0x%x reached no CPU",
		      (unsigned long long)m->addr, m->data, m->devid);
}

static void chip_set(struct irqchip *c, unsigned pin, bool level)
{
	struct kvm_irq_level line = {.irq = KVM_ARM_IRQ_TYPE_SPI << KVM_ARM_IRQ_TYPE_SHIFT |
					    (ARM64_GIC_SPI_INTID + pin),
				     .level = level};

	(void)ioctl(arch_of(c)->kvm->fd, KVM_IRQ_LINE, &line);
}

static int routes_put(struct kvm_arch *a, struct err *e)
{
	struct route_list l = {0};
	int rc;

	for (uint32_t pin = 0; pin < a->config->n_spis; pin++)
		l.e[l.n++] = (struct kvm_irq_routing_entry){
			.gsi = pin, .type = KVM_IRQ_ROUTING_IRQCHIP, .u.irqchip.pin = pin};
	for (uint32_t i = 0; i < KVM_ARM64_MSI_ROUTES; i++) {
		const struct msi *m = &a->route[i].msi;

		if (!a->route[i].used)
			continue;
		l.e[l.n++] = (struct kvm_irq_routing_entry){
			.gsi = a->config->n_spis + i,
			.type = KVM_IRQ_ROUTING_MSI,
			.flags = a->made.its ? KVM_MSI_VALID_DEVID : 0,
			.u.msi = {.address_lo = (uint32_t)m->addr,
				  .address_hi = (uint32_t)(m->addr >> 32),
				  .data = m->data,
				  .devid = m->devid}};
	}
	rc = KVM_CALL(a->kvm->fd, KVM_SET_GSI_ROUTING, &l, e);
	return rc < 0 ? rc : 0;
}

static int irqfd(struct kvm_arch *a, int fd, uint32_t gsi, bool add, struct err *e)
{
	struct kvm_irqfd i = {
		.fd = (uint32_t)fd, .gsi = gsi, .flags = add ? 0 : KVM_IRQFD_FLAG_DEASSIGN};
	int rc = KVM_CALL(a->kvm->fd, KVM_IRQFD, &i, e);

	return rc < 0 ? rc : 0;
}

static int route_find(const struct kvm_arch *a, bool used, int fd)
{
	for (int i = 0; i < (int)KVM_ARM64_MSI_ROUTES; i++)
		if (a->route[i].used == used && (!used || a->route[i].fd == fd))
			return i;
	return -1;
}

static int msi_irqfd_add(struct kvm_arch *a, const struct msi *m, int fd, struct err *e)
{
	int i = route_find(a, false, -1), rc;

	if (!a->made.its)
		return err_set(e, -ENOTSUP, "without an ITS no message can raise an interrupt");
	if (i < 0)
		return err_set(e, -ENOSPC,
			       "a VM can have %u interrupts from descriptors, and all are used",
			       KVM_ARM64_MSI_ROUTES);
	a->route[i] = (struct kvm_arm64_route){.used = true, .fd = fd, .msi = *m};
	rc = routes_put(a, e);
	if (!rc)
		rc = irqfd(a, fd, a->config->n_spis + (uint32_t)i, true, e);
	if (rc)
		a->route[i].used = false;
	return rc;
}

static int msi_irqfd_remove(struct kvm_arch *a, int fd, struct err *e)
{
	int i = route_find(a, true, fd), rc;

	if (i < 0)
		return err_set(e, -ENOENT, "descriptor %d raises no interrupt", fd);
	rc = irqfd(a, fd, a->config->n_spis + (uint32_t)i, false, e);
	a->route[i].used = false; /* its route is left out the next time routes are given */
	return rc;
}

static int chip_irqfd(struct irqchip *c, unsigned pin, const struct msi *m, int fd, bool add,
		      struct err *e)
{
	struct kvm_arch *a = arch_of(c);
	int rc;

	if (!m && pin >= c->pins)
		return err_set(e, -EINVAL, "interrupt %u does not exist (0 to %u)", pin,
			       c->pins - 1);
	pthread_mutex_lock(&c->lock);
	if (m)
		rc = add ? msi_irqfd_add(a, m, fd, e) : msi_irqfd_remove(a, fd, e);
	else
		rc = irqfd(a, fd, pin, add, e);
	pthread_mutex_unlock(&c->lock);
	return rc;
}

static const struct irqchip_ops chip_ops = {
	.name = "kvm", .set = chip_set, .msi = chip_msi, .irqfd = chip_irqfd};

int kvm_arm64_irqchip_init(struct vm *vm, enum irqchip_mode mode, struct err *e)
{
	struct kvm_arch *a = kvm_of(vm)->arch;
	uint32_t intids;
	int rc;

	if (mode != IRQCHIP_KERNEL) {
		err_set(e, -ENOTSUP, "with KVM on arm64 the interrupt controller is KVM's");
		return err_kind(e, ERR_CONFIG);
	}
	if (!a->config) {
		err_set(e, -EINVAL, "the machine says nothing about its interrupt controller");
		return err_kind(e, ERR_CONFIG);
	}
	rc = a->made.gic_version == 3 ? make_v3(a, e) : make_v2(a, e);
	intids = ARM64_GIC_SPI_INTID + a->config->n_spis;
	if (!rc)
		rc = kvm_arm64_set_attr(a->gic, KVM_DEV_ARM_VGIC_GRP_NR_IRQS, 0, &intids,
					"GIC interrupts", e);
	if (!rc)
		rc = irqchip_init(&a->chip, vm, &chip_ops, a->config->n_spis);
	if (rc)
		return rc;
	a->chip_ready = true;
	vm->irqchip = &a->chip;
	return 0;
}

int kvm_arm64_irqchip_start(struct kvm_arch *a, struct err *e)
{
	int rc = kvm_arm64_set_attr(a->gic, KVM_DEV_ARM_VGIC_GRP_CTRL, KVM_DEV_ARM_VGIC_CTRL_INIT,
				    NULL, "GIC", e);

	if (!rc && a->its >= 0)
		rc = kvm_arm64_set_attr(a->its, KVM_DEV_ARM_VGIC_GRP_CTRL,
					KVM_DEV_ARM_VGIC_CTRL_INIT, NULL, "ITS", e);
	return rc;
}

void kvm_arm64_irqchip_exit(struct kvm_arch *a)
{
	if (a->its >= 0)
		close(a->its);
	if (a->gic >= 0)
		close(a->gic);
	if (a->chip_ready)
		irqchip_exit(&a->chip);
	a->chip_ready = false;
	a->gic = a->its = -1;
}
