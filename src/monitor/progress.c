/*
 * monitor/progress.c - the boot-progress watcher.
 *
 * While a guest prints, the watcher costs one timer expiry each quiet period.  After a silence it
 * takes a few samples of every vCPU's program counter and of what it is doing, 50 ms apart, and
 * judges:
 *
 *	it never printed anything		-> said, whatever it does: the user sees nothing
 *	no vCPU does anything that could end	-> said: halted for good, or spinning in a few bytes
 *	idle (halted, waiting for an interrupt),
 *	in user mode, or moving about		-> not said: it may be waiting for its user, or busy
 *
 * A report is repeated when the silence has doubled, so that a long wait costs few lines.
 *
 * A panic that hangs for good is told by the console (monitor/console.c).  Text proves nothing, so
 * the vCPUs are sampled too: after a panic all but one are stopped and that one loops in the
 * kernel; a vCPU that idles or runs user code belongs to a guest that merely printed the words.
 */
#include "monitor/progress.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/timerfd.h>
#include <unistd.h>

#include "base/log.h"
#include "base/sys.h"

#define SECOND	      UINT64_C(1000000000)
#define SAMPLES	      8
#define SAMPLE_NS     (SECOND / 20)
#define PANIC_SAMPLES 12
#define SPIN_BYTES    64

static void arm(struct progress *p, uint64_t ns)
{
	struct itimerspec t = {
		.it_value = {.tv_sec = (time_t)(ns / SECOND), .tv_nsec = (long)(ns % SECOND)}};

	timerfd_settime(p->timer.fd, 0, &t, NULL);
}

/* On the vCPU's thread. */
static void sample_here(struct vcpu *v, void *arg)
{
	struct progress_cpu *s = arg;
	const struct arch *a = v->vm->arch;
	struct err e;

	if (vcpu_peek(v, &e) < 0)
		return;
	uint64_t pc = a->pc(v->state);
	s->pc_min = s->samples ? MIN(s->pc_min, pc) : pc;
	s->pc_max = s->samples ? MAX(s->pc_max, pc) : pc;
	s->doing = a->doing(v->state);
	switch (a->activity(v->state)) {
	case ARCH_OFF: s->off++; break;
	case ARCH_IDLE: s->idle++; break;
	case ARCH_STUCK: s->stuck++; break;
	case ARCH_USER: s->user++; break;
	case ARCH_KERNEL:
		if (!a->waits || !a->waits(v->state, &v->vm->mem))
			break;
		s->idle++;
		s->doing = "waiting for an interrupt";
		break;
	}
	s->samples++;
}

static unsigned cpus(const struct progress *p)
{
	return MIN(p->vm->n_vcpus, (unsigned)PROGRESS_CPUS);
}

static void sample(struct progress *p)
{
	for (unsigned i = 0; i < cpus(p); i++)
		vcpu_call(&p->vm->vcpus[i], sample_here, &p->cpu[i]);
	p->samples++;
}

static void samples_clear(struct progress *p)
{
	memset(p->cpu, 0, sizeof(p->cpu));
	p->samples = 0;
}

static bool spins(const struct progress_cpu *s)
{
	return s->samples > 1 && !s->idle && !s->stuck && !s->user && !s->off &&
	       s->pc_max - s->pc_min <= SPIN_BYTES;
}

/* No vCPU does anything that could lead on. */
static bool dead(const struct progress *p)
{
	bool some = false;

	for (unsigned i = 0; i < cpus(p); i++) {
		const struct progress_cpu *s = &p->cpu[i];
		bool gone = s->samples && (s->stuck == s->samples || spins(s));
		if (!gone && s->off < s->samples && s->idle < s->samples)
			return false;
		some |= gone;
	}
	return some;
}

static void describe_cpu(const struct progress_cpu *s, unsigned i, struct strbuf *out)
{
	unsigned long long lo = s->pc_min, hi = s->pc_max;

	if (!s->samples)
		strbuf_printf(out, "  cpu%u: state not known\n", i);
	else if (s->off == s->samples)
		strbuf_printf(out, "  cpu%u: %s\n", i, s->doing);
	else if (spins(s) && hi > lo)
		strbuf_printf(out, "  cpu%u: spinning within %llu bytes at %#llx, %s\n", i, hi - lo,
			      lo, s->doing);
	else if (hi - lo <= SPIN_BYTES)
		strbuf_printf(out, "  cpu%u: %s, at %#llx\n", i, s->doing, lo);
	else
		strbuf_printf(out, "  cpu%u: %s, between %#llx and %#llx\n", i, s->doing, lo, hi);
}

static void describe(struct progress *p, struct strbuf *out)
{
	bool any = false;

	for (unsigned i = 0; i < cpus(p); i++)
		describe_cpu(&p->cpu[i], i, out);
	if (p->vm->n_vcpus > PROGRESS_CPUS)
		strbuf_printf(out, "  and %u more vCPUs\n", p->vm->n_vcpus - PROGRESS_CPUS);
	strbuf_add(out, "  exits meanwhile:");
	for (unsigned s = 0; s < EXIT_STAT_COUNT; s++) {
		uint64_t n = vm_exits(p->vm, s) - p->exits[s];
		if (!n)
			continue;
		strbuf_printf(out, " %s %llu", exit_stat_name[s], (unsigned long long)n);
		any = true;
	}
	strbuf_add(out, any ? "\n" : " none\n");
	struct strbuf tail = {0};
	console_tail(p->console, 5, &tail);
	if (tail.len)
		strbuf_printf(out, "  last on its console:\n%s", strbuf_str(&tail));
	strbuf_exit(&tail);
}

void progress_describe(struct progress *p, struct strbuf *out)
{
	samples_clear(p);
	if (p->vm->phase == VM_RUNNING) {
		sample(p);
		sample(p);
	}
	describe(p, out);
	samples_clear(p);
}

static void say_accel(struct progress *p, struct strbuf *out)
{
	struct accel_report *r = sys_alloc(sizeof(*r));

	if (!r)
		return;
	p->vm->accel->probe(r);
	if (!r->usable && r->why[0])
		strbuf_printf(out, "  %s on this host: %s\n", p->vm->accel->name, r->why);
	free(r);
}

static void say(struct progress *p, uint64_t silence)
{
	struct strbuf out = {0};
	bool silent = p->seen_bytes == p->start_bytes;
	unsigned long long s = silence / SECOND;

	describe(p, &out);
	if (!p->spoke && !p->vm->accel->manual_clock)
		say_accel(p, &out);
	if (!p->spoke && silent && p->hint)
		strbuf_printf(&out, "hint: %s\n", p->hint);
	if (out.len)
		out.s[--out.len] = 0;
	log_warn("%s %llu s:\n%s",
		 silent ? "the guest has printed nothing in"
			: "the guest looks stuck and has printed nothing for",
		 s, strbuf_str(&out));
	strbuf_exit(&out);
	p->spoke = true;
}

static void snapshot_exits(struct progress *p)
{
	for (unsigned s = 0; s < EXIT_STAT_COUNT; s++)
		p->exits[s] = vm_exits(p->vm, s);
}

/* From @now on, nothing has been printed. */
static void begin_silence(struct progress *p, uint64_t now)
{
	p->seen_bytes = atomic_load_explicit(&p->vm->console_bytes, memory_order_relaxed);
	p->since_ns = now;
	p->look_ns = p->quiet_ns;
	p->checking_panic = false;
	snapshot_exits(p);
	samples_clear(p);
	arm(p, p->quiet_ns);
}

/* True while the samples fit a kernel that has panicked. */
static bool looks_panicked(const struct progress *p)
{
	for (unsigned i = 0; i < cpus(p); i++) {
		if (p->cpu[i].user || p->cpu[i].idle)
			return false;
	}
	return true;
}

static void check_panic(struct progress *p, uint64_t now)
{
	sample(p);
	if (!looks_panicked(p)) {
		begin_silence(p, now);
	} else if (p->samples < PANIC_SAMPLES) {
		arm(p, 2 * SAMPLE_NS);
	} else {
		p->checking_panic = false;
		p->on_panic(p->arg);
	}
}

static void on_timer(struct loop_fd *w, uint32_t events)
{
	struct progress *p = container_of(w, struct progress, timer);
	uint64_t ticks, now = sys_now_ns();

	(void)events;
	if (read(w->fd, &ticks, sizeof(ticks)) < 0 || p->vm->phase != VM_RUNNING)
		return;
	if (atomic_load_explicit(&p->vm->console_bytes, memory_order_relaxed) != p->seen_bytes) {
		begin_silence(p, now);
		return;
	}
	if (p->checking_panic) {
		check_panic(p, now);
		return;
	}
	if (now - p->since_ns < p->look_ns) {
		arm(p, p->look_ns - (now - p->since_ns));
		return;
	}
	sample(p);
	if (p->samples < SAMPLES) {
		arm(p, SAMPLE_NS);
		return;
	}
	if (p->seen_bytes == p->start_bytes || dead(p))
		say(p, now - p->since_ns);
	samples_clear(p);
	p->look_ns *= 2;
	arm(p, p->look_ns - MIN(p->look_ns - 1, now - p->since_ns));
}

static void on_halted_post(struct loop_post *post)
{
	struct progress *p = container_of(post, struct progress, halted_post);

	begin_silence(p, sys_now_ns());
	p->checking_panic = true;
	arm(p, 2 * SAMPLE_NS);
}

static void on_halted(void *arg)
{
	struct progress *p = arg;

	loop_post(p->vm->loop, &p->halted_post);
}

int progress_init(struct progress *p, struct vm *vm, struct console *c, uint64_t quiet_ns,
		  struct err *e)
{
	*p = (struct progress){.vm = vm, .console = c, .quiet_ns = quiet_ns};
	p->timer = (struct loop_fd){.fn = on_timer, .events = EPOLLIN};
	p->halted_post.fn = on_halted_post;
	p->timer.fd = timerfd_create(CLOCK_MONOTONIC, TFD_NONBLOCK | TFD_CLOEXEC);
	if (p->timer.fd < 0)
		return err_errno(e, -errno, "cannot make a timer"), err_kind(e, ERR_HOST);
	if (loop_add(vm->loop, &p->timer, e) < 0) {
		close(p->timer.fd);
		return e->code;
	}
	c->arg = p;
	c->on_halted = on_halted;
	return 0;
}

void progress_exit(struct progress *p)
{
	p->console->on_halted = NULL;
	loop_unpost(p->vm->loop, &p->halted_post);
	loop_del(p->vm->loop, &p->timer);
	close(p->timer.fd);
}

void progress_start(struct progress *p)
{
	p->spoke = false;
	begin_silence(p, sys_now_ns());
	p->start_bytes = p->seen_bytes;
}
