/*
 * unit/bt_kvm.c - the same small guests on the software CPU and on this host's KVM: random programs
 * in real mode and in 16- and 32-bit protected mode without paging, with descriptor tables, faults
 * and their handlers.  Registers, segments with their hidden parts and memory must be the same.
 *
 * A guest says by port 0x1e that it has come to its end, and stays there.  What KVM cannot run, or
 * what does not end, is not compared; how much was is said.
 */
#include "kvm_rig.h"

#include "../bt/sysguest.h"
#include "accel/bt/bt.h"
#include "core/vcpu_private.h"

#define CASES	300u
#define COMPARE 0x30000u /* bytes of memory */

static struct rig rig[2]; /* KVM, software */
static uint8_t memory[COMPARE];
static struct machine machine;

static void tell_features(struct vcpu *v, void *arg)
{
	(void)arg;
	machine.features = ((struct bt_cpu *)v->accel)->features;
}

static int start(void **state)
{
	static const uint8_t stop[] = {0xeb, 0xfe};
	struct rig_options o = {.code = stop, .len = sizeof(stop), .chips = true};

	(void)state;
	if (rig_absent())
		return 0;
	o.mode = IRQCHIP_KERNEL;
	rig_init(&rig[0], &o);
	o.mode = IRQCHIP_USER;
	o.accel = "bt";
	rig_init(&rig[1], &o);
	return vcpu_call(&rig[1].vm->vcpus[0], tell_features, NULL);
}

static int end(void **state)
{
	(void)state;
	for (unsigned n = 0; n < 2 && rig[n].vm; n++)
		rig_exit(&rig[n]);
	return 0;
}

/* Rows whose outcome is the CPU's or the moment's own, or that wait. */
static bool comparable(const struct insn_row *row)
{
	static const char *const not_[] = {
		"rdtsc",    "rdtscp",  "cpuid",	  "rdrand", "rdseed", "hlt",	"in",
		"out",	    "insb",    "insw",	  "outsb",  "outsw",  "ins",	"outs",
		"monitor",  "mwait",   "rdpmc",	  "wrmsr",  "rdmsr",  "vmcall", "vmmcall",
		"xgetbv",   "xsetbv",  "rdpid",	  "pause",  "mov_dr", "int1",	"rsm",
		"sysenter", "sysexit", "syscall", "sysret", "invd",   "wbinvd", "swapgs",
		"sti",	    "popf",    "lmsw",	  "clts",   "ud0",    "ud1"};

	/* What KVM's own emulator, which runs these modes on some hosts, has otherwise than SDM 2.
	 */
	static const char *const kvm[] = {
		"enter",	 /* pushes by the stack's size, not by the operand's */
		"aad",	 "aam",	 /* S, Z and P by more than AL */
		"scas",	 "cmps", /* a repetition that faults leaves the flags of what it did */
	};

	for (size_t n = 0; n < ARRAY_LEN(kvm); n++)
		if (!strncmp(row->name, kvm[n], strlen(kvm[n])))
			return false;
	if (row->map == MAP_0F && row->op >= 0x18 && row->op <= 0x1f)
		return false; /* its no-operations with a ModRM byte are of another length */
	if (row->map > MAP_0F || row->attr & (A_PURE | A_FP) || row->feature != F_BASE)
		return false;
	for (unsigned n = 0; n < row->n_ops; n++)
		if (row->ops[n].where == AT_CR || row->ops[n].where == AT_DR)
			return false;
	for (size_t n = 0; n < ARRAY_LEN(not_); n++)
		if (!strncmp(row->name, not_[n], strlen(not_[n])))
			return false;
	return true;
}

/* A program of a few instructions; flags that one of them leaves undefined go to *@undef. */
static void program(struct guest *g, struct rng *r, uint16_t *undef)
{
	unsigned n = 1 + (unsigned)rng_below(r, 3);

	*undef = 0;
	while (n) {
		unsigned row = (unsigned)rng_below(r, insn_rows);
		uint8_t bytes[GEN_BYTES] = {0};
		struct insn i;

		if (!comparable(&insn_table[row]))
			continue;
		gen_bytes(r, &machine, row, g->code, bytes);
		if (insn_decode(bytes, INSN_MAX, g->code, &machine.features, &i) ||
		    !comparable(&insn_table[i.row]))
			continue;
		guest_emit(g, bytes, i.len);
		*undef |= insn_table[i.row].fl_undef;
		n--;
	}
	guest_emit(g, "\xe6\x1e\xeb\xfe", 4);
}

static void make(struct guest *g, struct rng *r, uint16_t *undef)
{
	static const enum guest_mode modes[] = {GUEST_REAL, GUEST_PROT16, GUEST_PROT32};
	static uint8_t bytes[512];
	struct input in = {bytes, sizeof(bytes)};

	for (size_t n = 0; n < sizeof(bytes); n++)
		bytes[n] = (uint8_t)(rng_next(r) >> 32);
	bytes[0] = bytes[1] = bytes[2] = 0; /* nothing odd in the tables */
	g->in = &in;
	g->ram = memory;
	g->mode = modes[rng_below(r, ARRAY_LEN(modes))];
	g->code = g->mode == GUEST_PROT32 ? 4 : 2;
	g->at = GUEST_CODE;
	memset(memory, 0, sizeof(memory));
	guest_handlers(g);
	if (g->mode != GUEST_REAL)
		guest_gdt(g);
	guest_idt(g);
	guest_regs(g);
	if (g->mode != GUEST_REAL)
		guest_tss(g);
	program(g, r, undef);
	for (unsigned n = 0; n < 16; n++) /* mostly where there is memory */
		if (n != X86_RSP)
			g->s->gpr[n] = rng_below(r, 4) ? GUEST_DATA % 0x10000 + 0x4000 +
								 rng_below(r, 0x4000)
						       : (uint32_t)rng_next(r);
	g->s->cr4 = 0;
	g->s->efer = 0;
	g->s->xcr0 = 1;
}

/* Runs it on @r; false: it did not come to its end. */
static bool play(struct rig *r, const struct x86_vcpu *from)
{
	struct x86_vcpu *s = r->vm->vcpus[0].state;
	struct err e = ERR_INIT;
	uint64_t end_ns;
	bool ended;

	rig_check(vm_reset(r->vm, &e), &e);
	assert_int_equal(as_load(&r->vm->mem, 0, memory, sizeof(memory)), IO_OK);
	rig_check(vcpu_get_state(&r->vm->vcpus[0], &e), &e);
	memcpy(s->gpr, from->gpr, sizeof(s->gpr));
	memcpy(s->seg, from->seg, sizeof(s->seg));
	s->rip = from->rip;
	s->rflags = from->rflags;
	s->gdt = from->gdt;
	s->idt = from->idt;
	s->cr0 = from->cr0;
	s->mp_state = X86_MP_RUNNING;
	if (vcpu_put_state(&r->vm->vcpus[0], &e))
		return false;
	r->dev->n = 0;
	atomic_store(&r->dev->seen, 0);
	r->requested = false;
	vm_run(r->vm);
	end_ns = sys_now_ns() + 300000000;
	while (!atomic_load(&r->dev->seen) && !r->requested && sys_now_ns() < end_ns)
		loop_step(r->loop, 1);
	vm_pause(r->vm);
	loop_step(r->loop, 0);
	ended = atomic_load(&r->dev->seen) == 1 && !r->requested && r->dev->log[0].off == 0xe;
	rig_check(vcpu_get_state(&r->vm->vcpus[0], &e), &e);
	return ended;
}

static void show(const struct guest *g, uint64_t seed)
{
	print_message("seed %llu, mode %u:", (unsigned long long)seed, (unsigned)g->mode);
	for (unsigned n = GUEST_CODE; n < g->at; n++)
		print_message(" %02x", g->ram[n]);
	print_message("\n");
}

#define SAME(what, a, b)                                                                 \
	do {                                                                             \
		if ((a) != (b)) {                                                        \
			print_message("  %s: KVM %llx, here %llx\n", what,               \
				      (unsigned long long)(a), (unsigned long long)(b)); \
			bad++;                                                           \
		}                                                                        \
	} while (0)

static unsigned compare(const struct guest *g, uint16_t undef)
{
	const struct x86_vcpu *a = rig[0].vm->vcpus[0].state, *b = rig[1].vm->vcpus[0].state;
	static const char *const seg[] = {"es", "cs", "ss", "ds", "fs", "gs", "ldtr", "tr"};
	unsigned bad = 0;

	(void)g;
	for (unsigned n = 0; n < 8; n++)
		SAME("register", a->gpr[n], b->gpr[n]);
	SAME("rip", a->rip, b->rip);
	SAME("rflags", a->rflags & ~(uint64_t)undef, b->rflags & ~(uint64_t)undef);
	SAME("cr0", a->cr0, b->cr0);
	SAME("gdt", a->gdt.base ^ a->gdt.limit, b->gdt.base ^ b->gdt.limit);
	SAME("idt", a->idt.base ^ a->idt.limit, b->idt.base ^ b->idt.limit);
	for (unsigned n = 0; n < X86_SEGS; n++) {
		SAME(seg[n], a->seg[n].sel, b->seg[n].sel);
		if (a->seg[n].attr & X86_SEG_UNUSABLE && b->seg[n].attr & X86_SEG_UNUSABLE)
			continue;
		SAME(seg[n], a->seg[n].base, b->seg[n].base);
		SAME(seg[n], a->seg[n].limit, b->seg[n].limit);
		if (a->cr0 & X86_CR0_PE)
			SAME(seg[n], a->seg[n].attr, b->seg[n].attr);
	}
	for (unsigned n = 0; n < COMPARE; n++)
		if (rig[0].ram->host[n] != rig[1].ram->host[n]) {
			print_message("  memory at %x: KVM %02x, here %02x\n", n,
				      rig[0].ram->host[n], rig[1].ram->host[n]);
			bad++;
			break;
		}
	return bad;
}

static void random_guests_end_as_under_kvm(void **state)
{
	static struct x86_vcpu first;
	unsigned compared = 0, alone = 0, differ = 0;
	uint64_t seed = 1, cases = CASES;

	(void)state;
	if (getenv("LODGE_SEED"))
		seed = strtoull(getenv("LODGE_SEED"), NULL, 10);
	if (getenv("LODGE_CASES"))
		cases = strtoull(getenv("LODGE_CASES"), NULL, 10);
	machine.avx = machine.avx512 = false;
	for (uint64_t end_ = seed + cases; seed < end_; seed++) {
		struct rng r = {seed * UINT64_C(0x9e3779b97f4a7c15)};
		struct guest g = {.machine = machine, .s = &first};
		bool there, here;
		uint16_t undef;

		x86_vcpu_reset(&first, 0);
		make(&g, &r, &undef);
		there = play(&rig[0], &first);
		if (!there)
			continue;
		here = play(&rig[1], &first);
		compared++;
		if (!here) {
			show(&g, seed);
			print_message("  it ends under KVM, and not here\n");
			alone++;
		} else if (compare(&g, undef)) {
			show(&g, seed);
			differ++;
		}
	}
	print_message("%u of %u guests ended under KVM and were compared\n", compared,
		      (unsigned)cases);
	assert_int_equal(alone + differ, 0);
	assert_true(compared * 4 > cases);
}

static struct CMUnitTest tests[] = {
	cmocka_unit_test(random_guests_end_as_under_kvm),
};

int main(void)
{
	if (rig_absent()) {
		printf("SKIP: %s\n", rig_absent());
		tests[0].test_func = rig_skip;
	}
	return cmocka_run_group_tests(tests, start, end);
}
