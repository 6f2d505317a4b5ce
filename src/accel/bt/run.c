/*
 * accel/bt/run.c - the loop of a software vCPU: events between blocks, sleep, kicks, timers.
 *
 * Everything that another thread wants of a vCPU is a bit in .attention, set by bt_attend, looked
 * at between two blocks.  A vCPU that sleeps (HLT, wait for SIPI) waits on that word by futex, so
 * the bit that is set wakes it; the waker makes the system call only when the sleeper has said
 * that it sleeps.  The sleeper says so first and looks at the word afterwards, the waker the other
 * way round, both with sequential consistency: a wake-up cannot fall between.
 *
 * The local APIC's timer is a POSIX timer of the vCPU's thread: its signal sets a bit, and ends
 * the futex wait as well.  It runs on the host's clock; what is due is decided by VM time.
 *
 * Meanings give up by bt_raise and bt_stop, which leave by siglongjmp to bt_vcpu_run.  The event
 * is then delivered there, so that faults during delivery come back to the same place.
 */
#include <errno.h>
#include <linux/futex.h>
#include <signal.h>
#include <string.h>
#include <sys/syscall.h>
#include <time.h>
#include <unistd.h>

#include "accel/bt/block.h"
#include "accel/bt/event.h"
#include "accel/bt/flags.h"
#include "accel/bt/mmu.h"
#include "accel/bt/msr.h"
#include "accel/bt/run.h"
#include "arch/x86/lapic.h"
#include "base/sys.h"

static _Thread_local struct bt_cpu *here;

static void futex(_Atomic uint32_t *word, int op, uint32_t val, const struct timespec *t)
{
	(void)syscall(SYS_futex, word, op | FUTEX_PRIVATE_FLAG, val, t, NULL, 0);
}

void bt_attend(struct bt_cpu *c, uint32_t bits)
{
	atomic_fetch_or(&c->attention, bits);
	if (atomic_load(&c->asleep))
		futex(&c->attention, FUTEX_WAKE, 1, NULL);
}

/* Timer of this thread. */
static void timer_signal(int sig)
{
	(void)sig;
	if (here)
		atomic_fetch_or(&here->attention, BT_ATTN_TIMER);
}

static void signal_install(void)
{
	struct sigaction sa = {.sa_handler = timer_signal, .sa_flags = SA_RESTART};

	sigemptyset(&sa.sa_mask);
	(void)sigaction(BT_TIMER_SIG, &sa, NULL);
}

int bt_timer_init(struct bt_cpu *c, struct err *e)
{
	static pthread_once_t once = PTHREAD_ONCE_INIT;
	struct sigevent ev;
	sigset_t set;

	pthread_once(&once, signal_install);
	memset(&ev, 0, sizeof(ev));
	ev.sigev_notify = SIGEV_THREAD_ID;
	ev.sigev_signo = BT_TIMER_SIG;
	ev._sigev_un._tid = (pid_t)syscall(SYS_gettid);
	if (timer_create(CLOCK_MONOTONIC, &ev, &c->timer)) {
		err_errno(e, -errno, "cannot make the timer of a local APIC");
		return err_kind(e, ERR_HOST);
	}
	c->has_timer = true;
	here = c;
	sigemptyset(&set);
	sigaddset(&set, BT_TIMER_SIG);
	pthread_sigmask(SIG_UNBLOCK, &set, NULL);
	return 0;
}

void bt_timer_exit(struct bt_cpu *c)
{
	if (c->has_timer)
		timer_delete(c->timer);
	c->has_timer = false;
	here = NULL;
}

/* Arms the host's timer for VM time @when; own thread. */
void bt_timer_set(struct bt_cpu *c, bool armed, uint64_t when)
{
	struct itimerspec its = {0};

	c->timer_armed = armed;
	c->timer_when = when;
	if (armed) {
		uint64_t now = clock_now(&c->v->vm->clock), host = sys_now_ns();
		uint64_t at = when > now ? host + (when - now) : host;

		if (when <= now) {
			atomic_fetch_or(&c->attention, BT_ATTN_TIMER);
			return;
		}
		if (at < host || at > INT64_MAX)
			at = INT64_MAX; /* centuries away */
		its.it_value.tv_sec = (time_t)(at / 1000000000u);
		its.it_value.tv_nsec = (long)(at % 1000000000u);
	}
	(void)timer_settime(c->timer, TIMER_ABSTIME, &its, NULL);
}

static void timer_due(struct bt_cpu *c)
{
	if (!c->timer_armed)
		return;
	if (clock_now(&c->v->vm->clock) < c->timer_when) {
		bt_timer_set(c, true, c->timer_when); /* VM time stood still meanwhile */
		return;
	}
	c->timer_armed = false;
	lapic_timer_expired(c->lapic);
}

_Noreturn void bt_stop(struct bt_cpu *c, enum vcpu_stop why)
{
	c->stop = why;
	siglongjmp(*c->out, BT_LEAVE_STOP);
}

/* What the local APIC has latched: INIT, SIPI, NMI (SDM 3A §8.4, §10.4.7). */
static void latched(struct bt_cpu *c)
{
	uint8_t sipi = 0;
	uint32_t ev;

	if (!(lapic_events(c->lapic) & (LAPIC_EVENT_NMI | LAPIC_EVENT_INIT | LAPIC_EVENT_SIPI)))
		return;
	ev = lapic_take_events(c->lapic, &sipi);
	if (ev & LAPIC_EVENT_INIT) {
		bt_init_reset(c);
		c->mp_state = c->v->index ? X86_MP_INIT : X86_MP_RUNNING;
	}
	if (ev & LAPIC_EVENT_SIPI && c->mp_state == X86_MP_INIT) {
		bt_start(c, sipi);
		c->mp_state = X86_MP_RUNNING;
	}
	if (ev & LAPIC_EVENT_NMI)
		c->nmi_pending = true;
}

static bool extint_pending(struct bt_cpu *c)
{
	return lapic_accepts_extint(c->lapic) && x86_userchip_intr(&c->bvm->chips);
}

static bool wants_irq(struct bt_cpu *c)
{
	return lapic_pending(c->lapic) >= 0 || extint_pending(c);
}

/* Takes the interrupt that is next in line, if there is one; may leave by a fault. */
static void take_irq(struct bt_cpu *c)
{
	int vector = lapic_ack(c->lapic);

	if (vector < 0 && extint_pending(c)) {
		vector = x86_userchip_ack(&c->bvm->chips);
		lapic_extint_taken(c->lapic);
	}
	if (vector < 0)
		return;
	c->mp_state = X86_MP_RUNNING;
	vcpu_count(c->v, EXIT_STAT_INTR);
	bt_deliver(c, BT_EVENT_IRQ, (unsigned)vector, false, 0);
}

/* One more round of the loop, if there is a limit.  False: there is none left. */
static bool spend(struct bt_cpu *c)
{
	if (!c->budget)
		return false;
	c->budget--;
	atomic_fetch_or(&c->attention, BT_ATTN_BUDGET);
	return true;
}

/*
 * Serves .attention.  False: vcpu_run shall come back, and the rest is served when it is called
 * again.  An interrupt that cannot be taken now stays marked in .irq_waits, and is looked at again
 * when IF or TPR may have changed: between any two blocks while it waits.
 */
static bool attend(struct bt_cpu *c)
{
	uint32_t bits = atomic_exchange(&c->attention, 0);

	if (UNLIKELY(bits & BT_ATTN_REQUEST || (bits & BT_ATTN_BUDGET && !spend(c)))) {
		bits &= ~(uint32_t)(BT_ATTN_REQUEST | BT_ATTN_BUDGET);
		atomic_fetch_or(&c->attention, bits);
		return false;
	}
	if (bits & (BT_ATTN_CODE | BT_ATTN_FLUSH))
		mmu_attend(c, bits);
	if (bits & BT_ATTN_TIMER)
		timer_due(c);
	if (bits & (BT_ATTN_IRQ | BT_ATTN_TIMER)) {
		latched(c);
		c->irq_waits = true;
	}
	return true;
}

/* Between two instructions: NMI, then interrupts. */
static void events(struct bt_cpu *c)
{
	if (c->mp_state != X86_MP_RUNNING && c->mp_state != X86_MP_HALTED)
		return;
	if (c->irq_shadow)
		return;
	if (c->debug.d.step && c->mp_state == X86_MP_RUNNING)
		return;
	if (c->nmi_pending && !c->nmi_masked) {
		c->nmi_pending = false;
		c->nmi_masked = true;
		c->mp_state = X86_MP_RUNNING;
		bt_deliver(c, BT_EVENT_NMI, X86_NMI, false, 0);
		return;
	}
	if (!c->irq_waits)
		return;
	if (!wants_irq(c))
		c->irq_waits = false;
	else if (c->rflags & X86_FLAGS_IF)
		take_irq(c);
}

/* Sleeps until there is something to attend to. */
static void sleep_now(struct bt_cpu *c)
{
	mmu_idle(c, true);
	atomic_store(&c->asleep, true);
	if (!atomic_load(&c->attention))
		futex(&c->attention, FUTEX_WAIT, 0, NULL);
	atomic_store(&c->asleep, false);
	mmu_idle(c, false);
}

/* Halted for good: nothing that could ever end it. */
static bool halted_for_good(const struct bt_cpu *c)
{
	return c->mp_state == X86_MP_HALTED && !(c->rflags & X86_FLAGS_IF) && c->bvm->n == 1;
}

static bool step_wanted(const struct bt_cpu *c)
{
	return (c->rflags & X86_FLAGS_TF) || (c->dr7 & 0xff) || c->debug.each;
}

/* Does an instruction breakpoint stand at rip?  DR6 bits. */
static uint32_t code_breakpoint(const struct bt_cpu *c)
{
	uint64_t la = c->mode.code == 8 ? c->rip : (uint32_t)(c->rip + c->seg_base[X86_CS]);
	uint32_t hits = 0;

	if (c->rflags & BT_FLAGS_RF)
		return 0;
	for (unsigned n = 0; n < 4; n++)
		if ((c->dr7 >> (2 * n) & 3) && !(c->dr7 >> (16 + 4 * n) & 3) && c->dr[n] == la)
			hits |= 1u << n;
	return hits;
}

/*
 * One instruction, with what is checked around it: breakpoints, RFLAGS.TF, the shadow of STI and
 * MOV SS, RFLAGS.RF (SDM 3B §17.3.1).
 */
static void step(struct bt_cpu *c)
{
	bool tf = c->rflags & X86_FLAGS_TF;
	uint8_t shadow = c->irq_shadow;
	uint32_t hits = shadow & 2 ? 0 : code_breakpoint(c);

	if (c->debug.each)
		bt_debug_before(c);
	if (hits)
		bt_raise_db(c, hits);
	c->rflags &= ~(uint64_t)BT_FLAGS_RF; /* before it: IRET may set it for the next one */
	c->mode.step = true;
	c->irq_shadow = 0;
	c->no_trap = false;
	if (!(shadow & 2)) { /* of an instruction that faulted */
		c->dr_pending = false;
		c->dr_hits = 0;
	}
	block_run(c, block_get(c));
	c->mode.step = step_wanted(c);
	tf = tf && !c->no_trap;
	/* Traps wait for the instruction behind MOV SS. */
	if (!(c->irq_shadow & 2) && (tf || c->dr_pending)) {
		hits = (tf ? BT_DR6_BS : 0) | (c->dr_pending ? c->dr_hits : 0);
		c->dr_pending = false;
		bt_raise_db(c, hits);
	}
	if (c->debug.each)
		bt_debug_behind(c);
}

/* An event that was raised: a step ends at its handler. */
static void deliver_raised(struct bt_cpu *c)
{
	c->mode.step = step_wanted(c);
	if (c->event.vector != X86_DB)
		c->debug.hit = false; /* of an instruction that was not completed */
	bt_deliver_raised(c);
	if (c->debug.each)
		bt_debug_behind(c);
}

static void resumed(struct bt_cpu *c)
{
	c->v->resumed = false;
	if (c->timer_armed)
		bt_timer_set(c, true, c->timer_when);
	bt_pvclock_update(c); /* a state may have been loaded */
	atomic_fetch_or(&c->attention, BT_ATTN_IRQ | BT_ATTN_FLUSH);
}

/* Runs until .attention asks for more than attend can do. */
static enum vcpu_stop loop(struct bt_cpu *c)
{
	for (;;) {
		if (UNLIKELY(atomic_load_explicit(&c->attention, memory_order_relaxed)) &&
		    !attend(c))
			return VCPU_KICKED;
		if (UNLIKELY(c->irq_waits || c->nmi_pending))
			events(c);
		if (UNLIKELY(c->mp_state != X86_MP_RUNNING)) {
			if (halted_for_good(c) && !c->nmi_pending)
				return VCPU_HALTED;
			if (!atomic_load(&c->attention)) {
				vcpu_count(c->v, EXIT_STAT_HLT);
				sleep_now(c);
			}
			continue;
		}
		if (UNLIKELY(c->mode.step || c->irq_shadow)) {
			step(c);
			continue;
		}
		block_run_on(c);
	}
}

static void leave(struct bt_cpu *c)
{
	atomic_store_explicit(&c->v->instructions, c->instructions, memory_order_relaxed);
	mmu_idle(c, true);
}

enum vcpu_stop bt_vcpu_run(struct vcpu *v)
{
	struct bt_cpu *c = v->accel;
	sigjmp_buf out;
	enum vcpu_stop stop;

	atomic_fetch_and(&c->attention, ~(uint32_t)BT_ATTN_REQUEST);
	if (atomic_load(&v->requests))
		return VCPU_KICKED;
	if (v->resumed)
		resumed(c);
	c->out = &out;
	mmu_idle(c, false);
	atomic_fetch_add_explicit(&v->entries, 1, memory_order_relaxed);
	switch (sigsetjmp(out, 0)) {
	case BT_LEAVE_EVENT: deliver_raised(c); break;
	case BT_LEAVE_STOP: leave(c); return c->stop;
	default: bt_deliver_queued(c); break;
	}
	stop = loop(c);
	leave(c);
	return stop;
}

void bt_vcpu_kick(struct vcpu *v)
{
	struct bt_vm *b = v->vm->accel_data;
	struct bt_cpu *c = b ? b->cpu[v->index] : NULL;

	if (c)
		bt_attend(c, BT_ATTN_REQUEST);
}

int bt_vcpu_nmi(struct vcpu *v, struct err *e)
{
	struct bt_vm *b = v->vm->accel_data;

	(void)e;
	lapic_nmi(&b->cpu[v->index]->apic);
	return 0;
}
