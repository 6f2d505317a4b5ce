/*
 * unit/bt_move.c - a guest that runs under one accelerator goes on under another: from the software
 * CPU to KVM and back, as far as this host's KVM can run it, and from one software CPU to the next.
 */
#include "kvm_rig.h"

#include "../bt/asm.h"
#include "core/vcpu_private.h"

#define TABLES 0x70000u
#define IDT    0x78000u

/*
 * Real mode: ticks of the 8254 through the 8259 at about 100 Hz.  The handler writes the number of
 * the tick to port 0x10; the loop counts, in a register and in memory.
 */
GUEST_ASM(ticking, 16,
	  "movw $0x1000+50f-ticking, 0x80\nmovw $0, 0x82\n"
	  "mov $0x11, %al\nout %al, $0x20\nout %al, $0xa0\n"
	  "mov $0x20, %al\nout %al, $0x21\nmov $0x28, %al\nout %al, $0xa1\n"
	  "mov $4, %al\nout %al, $0x21\nmov $2, %al\nout %al, $0xa1\n"
	  "mov $1, %al\nout %al, $0x21\nout %al, $0xa1\n"
	  "mov $0xfe, %al\nout %al, $0x21\nmov $0xff, %al\nout %al, $0xa1\n"
	  "mov $0x34, %al\nout %al, $0x43\nmov $0x9c, %al\nout %al, $0x40\n"
	  "mov $0x2e, %al\nout %al, $0x40\n"
	  "xor %ebx, %ebx\nmovl $0, 0x500\nmovl $0, 0x504\nsti\n"
	  "1: inc %ebx\n"
	  "incl 0x500\n"
	  "cmp %ebx, 0x500\n"
	  "jne 2f\n"
	  "hlt\n"
	  "jmp 1b\n"
	  "2: mov $0xee, %al\nout %al, $0x11\n"
	  "3: cli\nhlt\njmp 3b\n"
	  "50: push %ax\n"
	  "incl 0x504\n"
	  "mov 0x504, %al\n"
	  "out %al, $0x10\n"
	  "mov $0x20, %al\nout %al, $0x20\n"
	  "pop %ax\n"
	  "iret\n");

static struct rig_options options(const char *accel)
{
	bool kvm = !strcmp(accel, "kvm");

	return (struct rig_options){.code = ticking,
				    .len = GUEST_ASM_LEN(ticking),
				    .chips = true,
				    .mode = kvm ? IRQCHIP_KERNEL : IRQCHIP_USER,
				    .accel = accel};
}

/*
 * A KVM without TSC scaling refuses a state whose TSC runs at another rate than the host's.  The
 * ticking guest does not read the TSC: it may go on with any.
 */
static const struct accel_ops *real;

static int get_without_tsc(struct vcpu *v, struct err *e)
{
	int rc = real->state_get(v, e);

	((struct x86_vcpu *)v->state)->tsc_khz = 0;
	return rc;
}

static void save_without_tsc(struct vm *vm, struct strbuf *s)
{
	struct accel_ops ops = *vm->accel;
	struct err e = ERR_INIT;

	real = vm->accel;
	ops.state_get = get_without_tsc;
	vm->accel = &ops;
	rig_check(vm_save_state(vm, s, &e), &e);
	vm->accel = real;
}

/* State and memory of @from, which is paused, into @to, which has not run. */
static void move(struct rig *from, struct rig *to, bool tsc)
{
	struct strbuf s = {0};
	struct err e = ERR_INIT;

	if (tsc)
		rig_check(vm_save_state(from->vm, &s, &e), &e);
	else
		save_without_tsc(from->vm, &s);
	assert_int_equal(as_load(&to->vm->mem, 0, from->ram->host, RIG_RAM), IO_OK);
	rig_check(vm_load_state(to->vm, s.s, s.len, &e), &e);
	strbuf_exit(&s);
}

/* The numbers written to port 0x10 follow one another from @first; gives the one after the last. */
static unsigned check_ticks(struct rig *r, unsigned first)
{
	for (unsigned n = 0; n < r->dev->n; n++) {
		const struct rig_access *a = &r->dev->log[n];

		if (a->mmio || a->off)
			fail_msg("the loop's counters differ");
		assert_int_equal(a->val, first & 0xff);
		first++;
	}
	return first;
}

/* A few ticks here, then a few there, and so on along @path. */
static void travel(const char *const *path, unsigned n)
{
	unsigned tick = 1;
	struct rig rig[2];

	for (unsigned k = 0; k < n; k++) {
		struct rig_options o = options(path[k]);
		struct rig *r = &rig[k & 1];

		rig_init(r, &o);
		if (k) {
			move(&rig[~k & 1], r, !strcmp(path[k - 1], path[k]));
			rig_exit(&rig[~k & 1]);
		}
		vm_run(r->vm);
		rig_wait_seen(r, 5);
		vm_pause(r->vm);
		tick = check_ticks(r, tick);
	}
	assert_true(tick > 5 * n);
	rig_exit(&rig[~n & 1]);
}

static void a_ticking_guest_moves_to_kvm_and_back(void **state)
{
	static const char *const path[] = {"bt", "kvm", "bt", "kvm", "kvm", "bt", "bt"};

	(void)state;
	if (rig_absent()) {
		printf("SKIP: %s\n", rig_absent());
		skip();
	}
	travel(path, ARRAY_LEN(path));
}

static void a_ticking_guest_moves_between_software_cpus(void **state)
{
	static const char *const path[] = {"bt", "bt", "bt", "bt"};

	(void)state;
	travel(path, ARRAY_LEN(path));
}

/* ------------------------------------------------------------------------------------------- */

/*
 * Long mode: a number kept in a register, in memory, in xmm0, in ymm of no use, in st(0) and in the
 * local APIC's ticks, which come by a timer of one shot.  What does not agree is told to port 0x11.
 */
GUEST_ASM(long_guest, 64,
	  "mov $0x78000, %ecx\nlea 50f(%rip), %rax\n"
	  "mov %ax, 16*0x41(%rcx)\nmovw $8, 2+16*0x41(%rcx)\nmovl $0x8e00, 4+16*0x41(%rcx)\n"
	  "mov $0xfee000f0, %r10\nmovl $0x1ff, (%r10)\n"
	  "mov $0xfee00320, %r10\nmovl $0x41, (%r10)\n"
	  "mov $0xfee003e0, %r10\nmovl $0xb, (%r10)\n"
	  "mov $0xfee00380, %r10\nmov $0xfee000b0, %r11\n"
	  "mov $0x1b, %ecx\nrdmsr\nor $0x800, %eax\nwrmsr\n"
	  "fninit\nfldz\n"
	  "pxor %xmm0, %xmm0\npxor %xmm15, %xmm15\n"
	  "mov $1, %eax\nmovq %rax, %xmm1\n"
	  "xor %ebx, %ebx\nmovq $0, 0x500\nmovq $0, 0x508\n"
	  "movl $1000000, (%r10)\nsti\n"
	  "1: inc %rbx\n"
	  "incq 0x500\n"
	  "paddq %xmm1, %xmm0\npsubq %xmm1, %xmm15\n"
	  "fld1\nfaddp\n"
	  "cmp %rbx, 0x500\njne 2f\n"
	  "movq %xmm0, %rax\ncmp %rax, %rbx\njne 2f\n"
	  "movq %xmm15, %rax\nneg %rax\ncmp %rax, %rbx\njne 2f\n"
	  "fld %st(0)\nfistpq 0x510\ncmp 0x510, %rbx\njne 2f\n"
	  "jmp 1b\n"
	  "2: out %al, $0x11\n3: cli\nhlt\njmp 3b\n"
	  "50: push %rax\n"
	  "incq 0x508\n"
	  "mov 0x508, %al\nout %al, $0x10\n"
	  "movl $0, (%r11)\n"
	  "movl $1000000, (%r10)\n"
	  "pop %rax\niretq\n");

static void put64(struct rig *r, unsigned at, uint64_t val)
{
	memcpy(r->ram->host + at, &val, 8);
}

static void long_mode(struct rig *r, struct x86_vcpu *s, unsigned index)
{
	(void)index;
	put64(r, TABLES, (TABLES + 0x1000) | 3);
	put64(r, TABLES + 0x1000, (TABLES + 0x2000) | 3);
	put64(r, TABLES + 0x1018, (TABLES + 0x3000) | 3);
	put64(r, TABLES + 0x2000, 0x83);
	put64(r, TABLES + 0x3000 + 8 * 503, 0xfee00000 | 0x9b);
	s->cr0 = X86_CR0_PE | X86_CR0_PG | X86_CR0_WP | X86_CR0_NE | X86_CR0_ET | X86_CR0_MP;
	s->cr3 = TABLES;
	s->cr4 = X86_CR4_PAE | X86_CR4_OSFXSR;
	s->efer = X86_EFER_LME | X86_EFER_LMA;
	for (unsigned n = X86_ES; n <= X86_GS; n++)
		x86_seg_set(&s->seg[n], n == X86_CS ? 8 : 16, 0, UINT32_MAX,
			    n == X86_CS ? 0xa09b : 0xc093);
	put64(r, 0x77008, UINT64_C(0x00af9b000000ffff));
	put64(r, 0x77010, UINT64_C(0x00cf93000000ffff));
	s->gdt = (struct x86_table){0x77000, 0x1f};
	s->idt = (struct x86_table){IDT, 0xfff};
	s->gpr[X86_RSP] = 0x60000;
}

static const struct rig_options long_options = {
	.code = long_guest, .accel = "bt", .chips = true, .mode = IRQCHIP_USER, .tweak = long_mode};

static void a_long_mode_guest_moves_in_the_middle_of_everything(void **state)
{
	struct rig_options o = long_options;
	unsigned tick = 1;
	struct rig rig[2];

	(void)state;
	o.len = GUEST_ASM_LEN(long_guest);
	for (unsigned k = 0; k < 12; k++) {
		struct rig *r = &rig[k & 1];

		rig_init(r, &o);
		if (k) {
			move(&rig[~k & 1], r, true);
			rig_exit(&rig[~k & 1]);
		}
		vm_run(r->vm);
		if (k % 3 == 2)
			loop_step(r->loop, 1); /* perhaps before the next tick */
		else
			rig_wait_seen(r, 2);
		vm_pause(r->vm);
		tick = check_ticks(r, tick);
	}
	assert_true(tick > 10);
	rig_exit(&rig[1]);
}

/* Hostile ones. ------------------------------------------------------------------------------ */

static uint64_t next_random(void *arg)
{
	uint64_t *s = arg;

	*s ^= *s << 13;
	*s ^= *s >> 7;
	*s ^= *s << 17;
	return *s;
}

static void no_state_from_a_file_harms(void **state)
{
	struct rig_options o = long_options;
	struct err e = ERR_INIT;
	uint64_t seed = 88172645463325252;
	unsigned taken = 0;
	struct rig r;

	(void)state;
	o.len = GUEST_ASM_LEN(long_guest);
	rig_init(&r, &o);
	for (unsigned k = 0; k < 400; k++) {
		struct strbuf s = {0};
		struct x86_vcpu *v = r.vm->vcpus[0].state;
		uint32_t size;

		if (k % 40 == 0)
			rig_check(vm_reset(r.vm, &e), &e);
		if (k & 1) { /* any state that the table allows */
			rig_check(vcpu_get_state(&r.vm->vcpus[0], &e), &e);
			size = v->xsave_size;
			state_random(&x86_vcpu_table, v, next_random, &seed);
			v->events.smi_smm = false;
			v->cr0 = k & 2 ? 0x80050033 : v->cr0 & 0x1f;
			v->cr4 &= 0x6b0;
			v->efer &= 0xd01;
			v->n_msrs = 0;
			v->xsave_size = size;
			v->xcr0 = 3;
			memset(v->xsave + X86_XSAVE_LEGACY, 0, 64);
			memcpy(v->xsave + 24, "\x80\x1f\0\0", 4); /* MXCSR */
			v->mp_state = X86_MP_RUNNING;
			if (vcpu_put_state(&r.vm->vcpus[0], &e) == 0)
				taken++;
		} else { /* a file with some bytes changed; mostly the checksums tell */
			rig_check(vm_save_state(r.vm, &s, &e), &e);
			for (unsigned n = 0; n < 4; n++)
				s.s[next_random(&seed) % s.len] ^= (char)next_random(&seed);
			if (vm_load_state(r.vm, s.s, s.len, &e) == 0)
				taken++;
			strbuf_exit(&s);
		}
		vm_run(r.vm);
		loop_step(r.loop, k % 8 == 0);
		vm_pause(r.vm);
		r.requested = false;
	}
	assert_true(taken > 10);
	rig_exit(&r);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(a_ticking_guest_moves_between_software_cpus),
		cmocka_unit_test(a_ticking_guest_moves_to_kvm_and_back),
		cmocka_unit_test(a_long_mode_guest_moves_in_the_middle_of_everything),
		cmocka_unit_test(no_state_from_a_file_harms),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
