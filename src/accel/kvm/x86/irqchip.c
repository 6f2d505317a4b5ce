/*
 * accel/kvm/x86/irqchip.c - interrupt chips of KVM: all in the kernel, or the local APICs only
 * (split), and how wires, messages and descriptors reach them.
 *
 * GSI n is pin n of the I/O APIC and, below 16, line n of the 8259 pair, which is how KVM routes
 * when it makes the chips; so ISA interrupt 0 arrives at I/O APIC pin 0 and an ACPI table needs no
 * override for it.  Giving KVM another routing costs milliseconds, and none is given before a
 * descriptor is to raise a message.  GSIs from X86_IOAPIC_PINS on are ours for those.
 *
 * In split mode wires go to the user-space I/O APIC (ioapic.c); there is no 8259 and no PIT, as KVM
 * makes those only with its own chips, and the machine's tables must not promise them.
 */
#include <errno.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/ioctl.h>
#include <sys/timerfd.h>
#include <unistd.h>

#include "accel/kvm/x86/x86.h"
#include "arch/x86/defs.h"
#include "base/log.h"
#include "base/sys.h"
#include "base/trace.h"

struct route_list {
	uint32_t n, flags;
	struct kvm_irq_routing_entry e[16 + X86_IOAPIC_PINS + KVM_X86_MSI_ROUTES];
};

static struct kvm_arch *arch_of(struct irqchip *c)
{
	return container_of(c, struct kvm_arch, chip);
}

/*
 * The upper half of a message's address.  Guests with more than 255 CPUs put bits 14:8 of the
 * destination into address bits 11:5 (KVM_FEATURE_MSI_EXT_DEST_ID); KVM wants them in 31:8 there.
 */
static uint32_t msi_high(const struct kvm_arch *a, uint64_t addr)
{
	uint32_t high = (uint32_t)(addr >> 32);

	if (a->kvm->vm->n_vcpus > 255 && !(addr & 0x10))
		high |= ((uint32_t)addr & 0xfe0) << 3;
	return high;
}

static uint32_t msi_low(const struct kvm_arch *a, uint64_t addr)
{
	uint32_t low = (uint32_t)addr;

	return a->kvm->vm->n_vcpus > 255 && !(addr & 0x10) ? low & ~0xfe0u : low;
}

void kvm_x86_msi(struct kvm_arch *a, uint64_t addr, uint32_t data)
{
	struct kvm_msi msi = {
		.address_lo = msi_low(a, addr), .address_hi = msi_high(a, addr), .data = data};

	/* A message to nobody, or an invalid one, is the guest's own doing. */
	if (ioctl(a->kvm->fd, KVM_SIGNAL_MSI, &msi) <= 0)
		TRACE(kvm_msi_lost, "addr 0x%llx data 0x%x reached no CPU",
		      (unsigned long long)addr, data);
}

static void chip_msi(struct irqchip *c, const struct msi *m)
{
	kvm_x86_msi(arch_of(c), m->addr, m->data);
}

static void chip_set(struct irqchip *c, unsigned pin, bool level)
{
	struct kvm_arch *a = arch_of(c);
	struct kvm_irq_level line = {.irq = pin, .level = level};

	if (a->mode == IRQCHIP_SPLIT)
		kvm_x86_ioapic_set(a, pin, level);
	else
		(void)ioctl(a->kvm->fd, KVM_IRQ_LINE, &line);
}

static void add_pin(struct route_list *l, uint32_t gsi, uint32_t chip, uint32_t pin)
{
	l->e[l->n++] = (struct kvm_irq_routing_entry){.gsi = gsi,
						      .type = KVM_IRQ_ROUTING_IRQCHIP,
						      .u.irqchip = {.irqchip = chip, .pin = pin}};
}

static void add_msi(struct route_list *l, const struct kvm_arch *a, uint32_t gsi, uint64_t addr,
		    uint32_t data)
{
	l->e[l->n++] = (struct kvm_irq_routing_entry){.gsi = gsi,
						      .type = KVM_IRQ_ROUTING_MSI,
						      .u.msi = {.address_lo = msi_low(a, addr),
								.address_hi = msi_high(a, addr),
								.data = data}};
}

/* The pins' routes as KVM makes them itself, or in split mode the messages of live entries. */
static void add_pins(struct route_list *l, struct kvm_arch *a)
{
	for (uint32_t pin = 0; pin < X86_IOAPIC_PINS; pin++) {
		uint64_t rte = a->ioapic.rte[pin], addr;
		uint32_t data;

		if (a->mode == IRQCHIP_KERNEL) {
			add_pin(l, pin, KVM_IRQCHIP_IOAPIC, pin);
			if (pin < 16)
				add_pin(l, pin,
					pin < 8 ? KVM_IRQCHIP_PIC_MASTER : KVM_IRQCHIP_PIC_SLAVE,
					pin % 8);
			continue;
		}
		a->routed[pin] = rte;
		if (rte & X86_RTE_MASKED)
			continue;
		x86_ioapic_msi(rte, &addr, &data);
		add_msi(l, a, pin, addr, data);
	}
}

int kvm_x86_routes_put(struct kvm_arch *a, struct err *e)
{
	struct route_list l = {0};
	int rc;

	add_pins(&l, a);
	for (uint32_t i = 0; i < KVM_X86_MSI_ROUTES; i++)
		if (a->route[i].used)
			add_msi(&l, a, X86_IOAPIC_PINS + i, a->route[i].msi.addr,
				a->route[i].msi.data);
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

static int route_find(const struct kvm_arch *a, const struct msi *m, int fd)
{
	for (int i = 0; i < (int)KVM_X86_MSI_ROUTES; i++)
		if (m ? a->route[i].used && a->route[i].fd == fd : !a->route[i].used)
			return i;
	return -1;
}

static int msi_irqfd_add(struct kvm_arch *a, const struct msi *m, int fd, struct err *e)
{
	int i = route_find(a, NULL, -1), rc;

	if (i < 0)
		return err_set(e, -ENOSPC,
			       "a VM can have %u interrupts from descriptors, and all are used",
			       KVM_X86_MSI_ROUTES);
	a->route[i] = (struct kvm_x86_route){.used = true, .fd = fd, .msi = *m};
	rc = kvm_x86_routes_put(a, e);
	if (!rc)
		rc = irqfd(a, fd, X86_IOAPIC_PINS + (uint32_t)i, true, e);
	if (rc)
		a->route[i].used = false;
	return rc;
}

static int msi_irqfd_remove(struct kvm_arch *a, const struct msi *m, int fd, struct err *e)
{
	int i = route_find(a, m, fd), rc;

	if (i < 0)
		return err_set(e, -ENOENT, "descriptor %d raises no interrupt", fd);
	rc = irqfd(a, fd, X86_IOAPIC_PINS + (uint32_t)i, false, e);
	a->route[i].used = false; /* its route is left out the next time routes are given */
	return rc;
}

static int pin_irqfd(struct kvm_arch *a, unsigned pin, int fd, bool add, struct err *e)
{
	int rc = irqfd(a, fd, pin, add, e);

	if (rc || a->mode != IRQCHIP_SPLIT)
		return rc;
	/* KVM then sends the pin's message itself: its route must follow the I/O APIC's entry. */
	a->irqfd_pins = add ? a->irqfd_pins | 1u << pin : a->irqfd_pins & ~(1u << pin);
	return add ? kvm_x86_routes_put(a, e) : 0;
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
		rc = add ? msi_irqfd_add(a, m, fd, e) : msi_irqfd_remove(a, m, fd, e);
	else
		rc = pin_irqfd(a, pin, fd, add, e);
	pthread_mutex_unlock(&c->lock);
	return rc;
}

static const struct irqchip_ops chip_ops = {
	.name = "kvm", .set = chip_set, .msi = chip_msi, .irqfd = chip_irqfd};

/*
 * Timer ticks that the guest missed are not made up for (reinject off): a guest that was not
 * scheduled would be flooded with them, and kernels read the time elsewhere.  Saying so takes KVM
 * two grace periods, 8 to 50 ms, in which it holds the PIT's lock.  That lock is what vCPU 0 needs
 * to enter the guest on another CPU than it left it on, which a vCPU that is just being started
 * nearly always does.  So it is said a while after the start, when nobody counts milliseconds, and
 * from a thread of its own; ticks that were missed until then are dropped.
 */
#define REINJECT_OFF_AFTER_S 1

static void reinject_off(struct kvm_vm *kvm, const void *arg)
{
	struct kvm_reinject_control reinject = {.pit_reinject = 0};
	struct err e = ERR_INIT;

	(void)arg;
	if (KVM_CALL(kvm->fd, KVM_REINJECT_CONTROL, &reinject, &e) < 0)
		log_warn("missed timer ticks will be made up for: %s", e.msg);
}

static void reinject_timer_stop(struct kvm_arch *a)
{
	struct loop_fd *w = &a->reinject_timer;

	if (w->fd < 0)
		return;
	loop_del(a->kvm->vm->loop, w);
	close(w->fd);
	w->fd = -1;
}

static void on_reinject_timer(struct loop_fd *w, uint32_t events)
{
	struct kvm_arch *a = container_of(w, struct kvm_arch, reinject_timer);
	struct err e = ERR_INIT;

	(void)events;
	reinject_timer_stop(a);
	if (kvm_later(a->kvm, reinject_off, NULL, 0, &e))
		log_warn("missed timer ticks will be made up for: %s", e.msg);
}

static int reinject_timer_start(struct kvm_arch *a, struct err *e)
{
	const struct itimerspec after = {.it_value.tv_sec = REINJECT_OFF_AFTER_S};
	struct loop_fd *w = &a->reinject_timer;

	*w = (struct loop_fd){.fn = on_reinject_timer, .events = EPOLLIN};
	w->fd = timerfd_create(CLOCK_MONOTONIC, TFD_NONBLOCK | TFD_CLOEXEC);
	if (w->fd < 0 || timerfd_settime(w->fd, 0, &after, NULL) < 0)
		return err_errno(e, -errno, "cannot make a timer"), err_kind(e, ERR_HOST);
	return loop_add(a->kvm->vm->loop, w, e);
}

static int init_kernel(struct kvm_arch *a, struct err *e)
{
	struct kvm_pit_config pit = {.flags = KVM_PIT_SPEAKER_DUMMY};
	int fd = a->kvm->fd, rc;

	rc = KVM_CALL_VAL(fd, KVM_CREATE_IRQCHIP, 0, e);
	if (rc >= 0)
		rc = KVM_CALL(fd, KVM_CREATE_PIT2, &pit, e);
	if (rc < 0 || !kvm_cap(fd, KVM_CAP_REINJECT_CONTROL))
		return rc < 0 ? rc : 0;
	return reinject_timer_start(a, e);
}

static int init_split(struct kvm_arch *a, struct err *e)
{
	if (!kvm_cap(a->kvm->fd, KVM_CAP_SPLIT_IRQCHIP))
		return err_set(e, -ENOTSUP, "this host's KVM lacks KVM_CAP_SPLIT_IRQCHIP"),
		       err_kind(e, ERR_HOST);
	return kvm_enable_cap(a->kvm->fd, KVM_CAP_SPLIT_IRQCHIP, X86_IOAPIC_PINS, 0, e);
}

/* 32-bit APIC ids, and id 255 is a CPU's own and not "all" (needed beyond 255 CPUs). */
static int init_x2apic(struct kvm_arch *a, struct err *e)
{
	const uint64_t flags =
		KVM_X2APIC_API_USE_32BIT_IDS | KVM_X2APIC_API_DISABLE_BROADCAST_QUIRK;

	if (kvm_cap(a->kvm->fd, KVM_CAP_X2APIC_API))
		return kvm_enable_cap(a->kvm->fd, KVM_CAP_X2APIC_API, flags, 0, e);
	if (a->kvm->vm->n_vcpus <= 255)
		return 0;
	err_set(e, -ENOTSUP,
		"more than 255 CPUs need KVM_CAP_X2APIC_API, which this host's KVM lacks");
	return err_kind(e, ERR_HOST);
}

int kvm_x86_irqchip_init(struct vm *vm, enum irqchip_mode mode, struct err *e)
{
	struct kvm_arch *a = kvm_of(vm)->arch;
	int rc;

	if (mode == IRQCHIP_USER) {
		err_set(e, -ENOTSUP,
			"with KVM the local APICs are KVM's: the interrupt chips can be in "
			"the kernel or split, not all in user space");
		return err_kind(e, ERR_CONFIG);
	}
	a->mode = mode;
	rc = mode == IRQCHIP_SPLIT ? init_split(a, e) : init_kernel(a, e);
	if (!rc)
		rc = init_x2apic(a, e);
	if (!rc)
		rc = irqchip_init(&a->chip, vm, &chip_ops, X86_IOAPIC_PINS);
	if (rc)
		return rc;
	a->chip_ready = true;
	a->lapic = true;
	vm->irqchip = &a->chip;
	x86_ioapic_reset(&a->ioapic);
	return mode == IRQCHIP_SPLIT ? kvm_x86_ioapic_new(a, e) : 0;
}

void kvm_x86_irqchip_exit(struct kvm_arch *a)
{
	reinject_timer_stop(a);
	if (a->chip_ready)
		irqchip_exit(&a->chip);
	a->chip_ready = false;
}

static void pic_from_kvm(struct x86_pic *p, const struct kvm_pic_state *k)
{
	*p = (struct x86_pic){.last_irr = k->last_irr,
			      .irr = k->irr,
			      .imr = k->imr,
			      .isr = k->isr,
			      .priority_add = k->priority_add & 7,
			      .irq_base = k->irq_base,
			      .read_isr = k->read_reg_select,
			      .poll = k->poll,
			      .special_mask = k->special_mask,
			      .init_state = k->init_state & 3,
			      .auto_eoi = k->auto_eoi,
			      .rotate_on_auto_eoi = k->rotate_on_auto_eoi,
			      .special_fully_nested = k->special_fully_nested_mode,
			      .init4 = k->init4,
			      .elcr = k->elcr,
			      .elcr_mask = k->elcr_mask};
}

static void pic_to_kvm(const struct x86_pic *p, struct kvm_pic_state *k)
{
	*k = (struct kvm_pic_state){.last_irr = p->last_irr,
				    .irr = p->irr,
				    .imr = p->imr,
				    .isr = p->isr,
				    .priority_add = p->priority_add,
				    .irq_base = p->irq_base,
				    .read_reg_select = p->read_isr,
				    .poll = p->poll,
				    .special_mask = p->special_mask,
				    .init_state = p->init_state,
				    .auto_eoi = p->auto_eoi,
				    .rotate_on_auto_eoi = p->rotate_on_auto_eoi,
				    .special_fully_nested_mode = p->special_fully_nested,
				    .init4 = p->init4,
				    .elcr = p->elcr,
				    .elcr_mask = p->elcr_mask};
}

static void ioapic_from_kvm(struct x86_ioapic *s, const struct kvm_ioapic_state *k)
{
	s->base = k->base_address;
	s->id = k->id << 24;
	s->select = k->ioregsel & 0xff;
	s->irr = k->irr & ((1u << X86_IOAPIC_PINS) - 1);
	for (unsigned i = 0; i < X86_IOAPIC_PINS; i++)
		s->rte[i] = k->redirtbl[i].bits;
}

static void ioapic_to_kvm(const struct x86_ioapic *s, struct kvm_ioapic_state *k)
{
	*k = (struct kvm_ioapic_state){.base_address = s->base,
				       .ioregsel = s->select,
				       .id = s->id >> 24 & 0xf,
				       .irr = s->irr};
	for (unsigned i = 0; i < X86_IOAPIC_PINS; i++)
		k->redirtbl[i].bits = s->rte[i];
}

/*
 * The VM time at which a count began, which KVM has as host time and lets go on while the VM stands
 * still.  Whole periods do not matter where it would lie before the VM's beginning.
 */
static uint64_t count_start(struct clock *clock, const struct kvm_pit_channel_state *k)
{
	uint64_t now = clock_now(clock), host = sys_now_ns(), ago;

	if (k->mode > 5 || k->count_load_time <= 0 || (uint64_t)k->count_load_time > host)
		return 0;
	ago = host - (uint64_t)k->count_load_time;
	if (ago > now && k->count)
		ago %= (uint64_t)k->count * 1000000000u / 1193182u;
	return ago > now ? 0 : now - ago;
}

static void channel_from_kvm(struct x86_pit_channel *c, const struct kvm_pit_channel_state *k,
			     struct clock *clock)
{
	*c = (struct x86_pit_channel){.count = k->count,
				      .latched_count = k->latched_count,
				      .count_latched = k->count_latched & 3,
				      .status_latched = k->status_latched,
				      .status = k->status,
				      .read_state = k->read_state,
				      .write_state = k->write_state,
				      .write_latch = k->write_latch,
				      .rw_mode = k->rw_mode & 3,
				      .mode = k->mode,
				      .bcd = k->bcd,
				      .gate = k->gate,
				      .start = count_start(clock, k)};
}

/* When the count began is not ours to set: KVM begins anew, up to a period late. */
static void channel_to_kvm(const struct x86_pit_channel *c, struct kvm_pit_channel_state *k)
{
	*k = (struct kvm_pit_channel_state){.count = c->count,
					    .latched_count = c->latched_count,
					    .count_latched = c->count_latched,
					    .status_latched = c->status_latched,
					    .status = c->status,
					    .read_state = c->read_state,
					    .write_state = c->write_state,
					    .write_latch = c->write_latch,
					    .rw_mode = c->rw_mode,
					    .mode = c->mode,
					    .bcd = c->bcd,
					    .gate = c->gate};
}

static int get_kernel(int fd, struct clock *clock, struct x86_chips *s, struct err *e)
{
	struct kvm_pit_state2 pit;
	struct kvm_irqchip chip;
	int rc = 0;

	for (unsigned i = 0; i < 2 && rc >= 0; i++) {
		chip = (struct kvm_irqchip){.chip_id = i};
		rc = KVM_CALL(fd, KVM_GET_IRQCHIP, &chip, e);
		pic_from_kvm(&s->pic[i], &chip.chip.pic);
	}
	if (rc < 0)
		return rc;
	chip = (struct kvm_irqchip){.chip_id = KVM_IRQCHIP_IOAPIC};
	rc = KVM_CALL(fd, KVM_GET_IRQCHIP, &chip, e);
	if (rc < 0)
		return rc;
	ioapic_from_kvm(&s->ioapic, &chip.chip.ioapic);
	rc = KVM_CALL(fd, KVM_GET_PIT2, &pit, e);
	for (unsigned i = 0; i < 3 && rc >= 0; i++)
		channel_from_kvm(&s->pit.channel[i], &pit.channels[i], clock);
	s->pit.speaker = rc >= 0 && pit.flags & KVM_PIT_FLAGS_SPEAKER_DATA_ON;
	s->pit.legacy_off = rc >= 0 && pit.flags & KVM_PIT_FLAGS_HPET_LEGACY;
	return rc < 0 ? rc : 0;
}

static int put_kernel(int fd, const struct x86_chips *s, struct err *e)
{
	struct kvm_pit_state2 pit = {.flags = (s->pit.speaker ? KVM_PIT_FLAGS_SPEAKER_DATA_ON : 0) |
					      (s->pit.legacy_off ? KVM_PIT_FLAGS_HPET_LEGACY : 0)};
	struct kvm_irqchip chip;
	int rc = 0;

	for (unsigned i = 0; i < 2 && rc >= 0; i++) {
		chip = (struct kvm_irqchip){.chip_id = i};
		pic_to_kvm(&s->pic[i], &chip.chip.pic);
		rc = KVM_CALL(fd, KVM_SET_IRQCHIP, &chip, e);
	}
	if (rc < 0)
		return rc;
	chip = (struct kvm_irqchip){.chip_id = KVM_IRQCHIP_IOAPIC};
	ioapic_to_kvm(&s->ioapic, &chip.chip.ioapic);
	rc = KVM_CALL(fd, KVM_SET_IRQCHIP, &chip, e);
	if (rc < 0)
		return rc;
	for (unsigned i = 0; i < 3; i++)
		channel_to_kvm(&s->pit.channel[i], &pit.channels[i]);
	rc = KVM_CALL(fd, KVM_SET_PIT2, &pit, e);
	return rc < 0 ? rc : 0;
}

int kvm_x86_chips_get(struct vm *vm, struct err *e)
{
	struct kvm_vm *kvm = kvm_of(vm);
	struct kvm_arch *a = kvm->arch;
	struct x86_chips *s = vm->chips;
	int rc = 0;

	x86_chips_reset(s);
	if (a->chip_ready && a->mode == IRQCHIP_KERNEL)
		rc = get_kernel(kvm->fd, &vm->clock, s, e);
	if (a->chip_ready && a->mode == IRQCHIP_SPLIT) {
		pthread_mutex_lock(&a->chip.lock);
		s->ioapic = a->ioapic;
		pthread_mutex_unlock(&a->chip.lock);
	}
	if (!rc)
		rc = kvm_clock_get(kvm, &s->clock_ns, e);
	s->has_clock = !rc;
	return rc;
}

int kvm_x86_chips_put(struct vm *vm, struct err *e)
{
	struct kvm_vm *kvm = kvm_of(vm);
	struct kvm_arch *a = kvm->arch;
	const struct x86_chips *s = vm->chips;
	int rc = 0;

	if (a->chip_ready && a->mode == IRQCHIP_KERNEL)
		rc = put_kernel(kvm->fd, s, e);
	if (a->chip_ready && a->mode == IRQCHIP_SPLIT) {
		pthread_mutex_lock(&a->chip.lock);
		a->ioapic = s->ioapic;
		rc = kvm_x86_routes_put(a, e);
		pthread_mutex_unlock(&a->chip.lock);
	}
	if (!rc && s->has_clock)
		kvm_clock_put(kvm, s->clock_ns);
	return rc;
}
