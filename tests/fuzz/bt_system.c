/*
 * Whole guests on the software CPU.  The bytes are a guest (bt/sysguest.h) and then what happens to
 * it from outside while one or two vCPUs run it: DMA, interrupts, IPIs, time, saved states, hostile
 * ones too, changes of the dirty log.
 *
 * Beyond not crashing and not hanging: no way into host memory but to guest RAM is ever in a TLB,
 * nothing that host code relies on changes, what is derived from registers agrees with them, a
 * state that is saved can be loaded, and the host's own floating-point modes stay.
 *
 * The sanitizers see Lodge's own code.  Stubs in the code arena are host code that no compiler
 * instrumented: they touch memory through pointers that C code has checked against the TLB, so what
 * is checked here is those pointers' sources; guest RAM lies between pages without access, and what
 * stubs could overwrite in struct bt_cpu is compared afterwards.
 */
#include "../bt/sysguest.h"
#include "../bt/sysvm.h"
#include "fuzz.h"

#define EVENTS_MAX 20u
#define ROUNDS	   24u /* of one turn of a vCPU */

static bool alive[SYSVM_CPUS];

static void make_guest(struct input *in)
{
	struct guest g = {.in = in, .ram = sysvm_at(0), .s = sysvm_state(0)};
	struct err e = ERR_INIT;

	g.machine.features = sysvm.cpu[0]->features;
	g.machine.avx = true;
	g.machine.avx512 = insn_has(&g.machine.features, F_AVX512F);
	guest_make(&g);
	if (sysvm_put(0, &e)) {
		BUG_ON(!e.msg[0]);
		x86_vcpu_reset(g.s, 0);
		guest_regs(&g);
		if (sysvm_put(0, &e)) /* five levels, where there are none */
			BUG_ON(g.mode != GUEST_LA57);
	}
	bt_code_written(sysvm.bvm, sysvm.ram[0], 0, sysvm_map[0].len);
	if (sysvm.n < 2 || !(in_byte(in) & 1))
		return;
	/* The second runs the same program from further on. */
	unsigned id = sysvm_state(1)->apic_id;
	*sysvm_state(1) = *g.s;
	sysvm_state(1)->apic_id = id;
	sysvm_state(1)->rip += in_byte(in);
	sysvm_state(1)->gpr[X86_RSP] -= 0x800;
	(void)!sysvm_put(1, &e);
}

static void dma(struct input *in)
{
	uint8_t buf[16];
	unsigned n = in_byte(in) % 16 + 1;
	uint64_t at = GUEST_CODE + in_bytes(in, 2) % 0x20000;

	for (unsigned i = 0; i < n; i++)
		buf[i] = in_byte(in);
	sysvm_dma(at, buf, n);
}

/* The state of a vCPU with some bytes of it changed, as a file may hold it. */
static void load_mutated(struct input *in, unsigned cpu)
{
	struct vcpu *v = &sysvm.vm->vcpus[cpu];
	struct strbuf s = {0};
	struct err e = ERR_INIT;

	sysvm_check(sysvm.vm->accel->state_get(v, &e), &e);
	state_save(&x86_vcpu_table, v->state, &s);
	BUG_ON(s.failed);
	for (unsigned n = in_byte(in) % 8; n && s.len; n--)
		s.s[in_bytes(in, 2) % s.len] ^= (char)in_byte(in);
	if (state_load(&x86_vcpu_table, x86_vcpu_table.version, v->state, s.s, s.len, &e) ||
	    sysvm_put(cpu, &e))
		BUG_ON(!e.msg[0]);
	strbuf_exit(&s);
}

/* Any state that the table allows. */
static void load_random(struct input *in, unsigned cpu)
{
	struct x86_vcpu *s = sysvm_state(cpu);
	struct err e = ERR_INIT;
	uint64_t r;

	state_random(&x86_vcpu_table, s, in_next, in);
	/* Most would be refused for these. */
	r = in_bytes(in, 2);
	s->events.smi_smm = false;
	s->cr0 &= r & 1 ? UINT32_MAX : 0x80050033;
	s->cr4 &= cr4_known(sysvm.cpu[cpu]) | X86_CR4_PAE;
	s->efer &= efer_known(sysvm.cpu[cpu]);
	s->mp_state = X86_MP_RUNNING;
	if (r & 2)
		s->cr3 = GUEST_ROOT;
	if (r & 4)
		s->rip = GUEST_CODE + (s->rip & 0xff);
	if (r & 8)
		s->n_msrs = 0;
	if (r & 16)
		s->xcr0 = 7;
	if (r & 32)
		memset(s->xsave, 0, sizeof(s->xsave));
	if (r & 64)
		s->cr0 |= X86_CR0_PE;
	if (sysvm_put(cpu, &e))
		BUG_ON(!e.msg[0]);
}

static void dirty_log(struct input *in)
{
	static uint64_t bits[4];
	struct err e = ERR_INIT;
	struct as_map m;

	switch (in_byte(in) % 3) {
	case 0: (void)!as_dirty_start(&sysvm.vm->mem, &e); break;
	case 1: as_dirty_stop(&sysvm.vm->mem); break;
	default:
		if (as_map_at(&sysvm.vm->mem, SYSVM_HIGH, &m))
			(void)!as_dirty_fetch(&sysvm.vm->mem, &m, bits, &e);
		break;
	}
}

static void happen(struct input *in)
{
	unsigned what = in_byte(in), cpu = (what >> 4) % sysvm.n;
	struct err e = ERR_INIT;

	switch (what & 15) {
	case 0: sysvm_step(UINT64_C(1) << in_byte(in) % 40); break;
	case 1: sysvm_step(1000); break;
	case 2:
	case 3: dma(in); break;
	case 4: irq_set(sysvm.dev->irq[what >> 4 & 1], what & 32); break;
	case 5: (void)!sysvm.vm->accel->vcpu_nmi(&sysvm.vm->vcpus[cpu], &e); break;
	case 6: load_mutated(in, cpu); break;
	case 7: load_random(in, cpu); break;
	case 8: dirty_log(in); break;
	case 9: sysvm_check_state(cpu); break;
	case 10: { /* what an interrupt controller elsewhere sends */
		struct msi m = {.addr = 0xfee00000 | in_bytes(in, 3),
				.data = (uint32_t)in_bytes(in, 2)};

		sysvm.vm->irqchip->ops->msi(sysvm.vm->irqchip, &m);
		break;
	}
	case 11:
		sysvm.bvm->a20_mask ^= 1u << 20;
		mmu_vm_flush(sysvm.bvm);
		break;
	default: break;
	}
}

static void turn(unsigned cpu)
{
	enum vcpu_stop stop;

	if (!alive[cpu])
		return;
	stop = sysvm_run(cpu, ROUNDS);
	alive[cpu] = stop == VCPU_KICKED;
	BUG_ON(stop == VCPU_BROKEN);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	struct input in = {data, size};

	if (!sysvm.vm) {
		log_set_level(LOG_ERROR);
		sysvm_init(SYSVM_CPUS);
	}
	sysvm.bvm->a20_mask = ~UINT64_C(0);
	as_dirty_stop(&sysvm.vm->mem);
	sysvm_reset();
	make_guest(&in);
	for (unsigned n = 0; n < sysvm.n; n++)
		alive[n] = true;
	for (unsigned k = 0; k < 4 || (in.left && k < EVENTS_MAX); k++) {
		for (unsigned n = 0; n < sysvm.n; n++) {
			turn(n);
			if (k % 8 == 7)
				sysvm_check_cpu(n);
		}
		happen(&in);
	}
	for (unsigned n = 0; n < sysvm.n; n++) {
		sysvm_check_cpu(n);
		sysvm_check_state(n);
	}
	return 0;
}
