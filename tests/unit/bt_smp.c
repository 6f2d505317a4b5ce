/*
 * unit/bt_smp.c - two software CPUs at once, each on a thread of its own: atomic operations, the
 * order of stores and loads, code that one changes for the other, interrupts between them, page
 * tables that both use.
 *
 * Guests are 64-bit code at 0x1000 with the first 2 MiB mapped to themselves and the local APIC's
 * page, interrupts off; rdi is the number of the CPU.  Each writes to port 0x10 when it is done.
 */
#include "kvm_rig.h"

#include "../bt/asm.h"
#include "accel/bt/bt.h"

#define TABLES	0x70000u /* PML4, PDPT, PD, PD of the fourth GiB, PT of the first 2 MiB */
#define IDT	0x78000u
#define N	20000
#define STR(x)	STR_(x)
#define STR_(x) #x

static bool only_first; /* the other waits for INIT */

static void put64(struct rig *r, unsigned at, uint64_t val)
{
	memcpy(r->ram->host + at, &val, 8);
}

static void tables(struct rig *r)
{
	put64(r, TABLES, (TABLES + 0x1000) | 7);
	put64(r, TABLES + 0x1000, (TABLES + 0x2000) | 7);
	put64(r, TABLES + 0x1018, (TABLES + 0x3000) | 7);
	put64(r, TABLES + 0x2000, (TABLES + 0x4000) | 7);
	put64(r, TABLES + 0x3000 + 8 * 503, 0xfee00000 | 0x9f);
	for (unsigned p = 0; p < 512; p++)
		put64(r, TABLES + 0x4000 + 8 * p, p << 12 | 7);
}

static void long_mode(struct rig *r, struct x86_vcpu *s, unsigned index)
{
	if (index && only_first)
		return;
	tables(r);
	s->cr0 = X86_CR0_PE | X86_CR0_PG | X86_CR0_WP | X86_CR0_NE | X86_CR0_ET;
	s->cr3 = TABLES;
	s->cr4 = X86_CR4_PAE;
	s->efer = X86_EFER_LME | X86_EFER_LMA;
	for (unsigned n = X86_ES; n <= X86_GS; n++)
		x86_seg_set(&s->seg[n], n == X86_CS ? 8 : 16, 0, UINT32_MAX,
			    n == X86_CS ? 0xa09b : 0xc093);
	s->idt = (struct x86_table){IDT, 0xfff};
	/* Descriptors for the return from handlers. */
	put64(r, 0x77008, UINT64_C(0x00af9b000000ffff));
	put64(r, 0x77010, UINT64_C(0x00cf93000000ffff));
	s->gdt = (struct x86_table){0x77000, 0x1f};
	s->gpr[X86_RDI] = index;
	s->gpr[X86_RSP] = 0x60000 - 0x4000 * index;
	s->mp_state = X86_MP_RUNNING;
}

/* Runs until both (@n of them) are done. */
static void run(struct rig *r, const uint8_t *code, size_t len, unsigned n, unsigned cpus)
{
	struct rig_options o = {.code = code,
				.len = len,
				.cpus = cpus,
				.chips = true,
				.mode = IRQCHIP_USER,
				.accel = "bt",
				.tweak = long_mode};

	rig_init(r, &o);
	vm_run(r->vm);
	if (n) {
		rig_wait_seen(r, n);
		vm_pause(r->vm);
	}
}
#define RUN(r, name) run(r, name, GUEST_ASM_LEN(name), 2, 2)

static uint64_t get(struct rig *r, unsigned at, unsigned size)
{
	uint64_t v = 0;

	memcpy(&v, r->ram->host + at, size);
	return v;
}

#define DONE "out %al, $0x10\n99: cli\nhlt\njmp 99b\n"
/* Both begin together. */
#define START "lock incl 0x9000\n98: pause\ncmpl $2, 0x9000\njb 98b\n"

/* Atomic operations. ------------------------------------------------------------------------ */

GUEST_ASM(counters, 64,
	  START "mov $" STR(N) ", %ecx\n"
			       "1: lock incq 0x9100\n"
			       "lock addb $1, 0x9109\n"
			       "mov $1, %eax\n"
			       "lock xaddl %eax, 0x9110\n"
			       "lock decw 0x9118\n"
			       "2: mov 0x9120, %rax\n" /* compare and exchange */
			       "lea 3(%rax), %rdx\n"
			       "lock cmpxchg %rdx, 0x9120\n"
			       "jne 2b\n"
			       "3: mov $1, %eax\n" /* a lock by XCHG around what is not atomic */
			       "xchg %eax, 0x9130\n"
			       "test %eax, %eax\n"
			       "jnz 3b\n"
			       "incl 0x9138\n"
			       "movl $0, 0x9130\n"
			       "lock xorl $1, 0x9140\n"
			       "lock btcl $5, 0x9144\n"
			       "dec %ecx\n"
			       "jnz 1b\n" DONE);

static void locked_operations_lose_nothing(void **state)
{
	struct rig r;

	(void)state;
	RUN(&r, counters);
	assert_int_equal(get(&r, 0x9100, 8), 2 * N);
	assert_int_equal(get(&r, 0x9109, 1), (uint8_t)(2 * N));
	assert_int_equal(get(&r, 0x9110, 4), 2 * N);
	assert_int_equal(get(&r, 0x9118, 2), (uint16_t)(-2 * N));
	assert_int_equal(get(&r, 0x9120, 8), 6 * N);
	assert_int_equal(get(&r, 0x9138, 4), 2 * N);
	assert_int_equal(get(&r, 0x9140, 4), 0);
	assert_int_equal(get(&r, 0x9144, 4), 0);
	rig_exit(&r);
}

GUEST_ASM(pairs, 64,
	  START "mov $" STR(N) ", %r8d\n"
			       "1: mov 0x9200, %rax\n"
			       "mov 0x9208, %rdx\n"
			       "2: lea 1(%rax), %rbx\n"
			       "lea 2(%rdx), %rcx\n"
			       "lock cmpxchg16b 0x9200\n"
			       "jne 2b\n"
			       "mov 0x9220, %eax\n"
			       "mov 0x9224, %edx\n"
			       "3: lea 1(%rax), %ebx\n"
			       "lea 2(%rdx), %ecx\n"
			       "lock cmpxchg8b 0x9220\n"
			       "jne 3b\n"
			       "dec %r8d\n"
			       "jnz 1b\n" DONE);

static void pairs_are_exchanged_at_once(void **state)
{
	struct rig r;

	(void)state;
	RUN(&r, pairs);
	assert_int_equal(get(&r, 0x9200, 8), 2 * N);
	assert_int_equal(get(&r, 0x9208, 8), 4 * N);
	assert_int_equal(get(&r, 0x9220, 4), 2 * N);
	assert_int_equal(get(&r, 0x9224, 4), 4 * N);
	rig_exit(&r);
}

GUEST_ASM(splits, 64,
	  START "mov $" STR(N) ", %ecx\n"
			       "1: lock incq 0x9ffc\n" /* over the end of a page */
			       "lock addl $1, 0xafff\n"
			       "lock incl 0x933e\n" /* over the end of a line */
			       "mov $1, %eax\n"
			       "lock xaddq %rax, 0xbff9\n"
			       "dec %ecx\n"
			       "jnz 1b\n" DONE);

static void locks_across_lines_and_pages_lose_nothing(void **state)
{
	struct rig r;

	(void)state;
	RUN(&r, splits);
	assert_int_equal(get(&r, 0x9ffc, 8), 2 * N);
	assert_int_equal(get(&r, 0xafff, 4), 2 * N);
	assert_int_equal(get(&r, 0x933e, 4), 2 * N);
	assert_int_equal(get(&r, 0xbff9, 8), 2 * N);
	rig_exit(&r);
}

/* Order (SDM 3A §8.2.3). --------------------------------------------------------------------- */

/* One writes data, then flag; who sees the flag sees the data. */
GUEST_ASM(messages, 64,
	  START "test %edi, %edi\n"
		"jnz 2f\n"
		"xor %ecx, %ecx\n"
		"1: inc %ecx\n"
		"mov %ecx, 0x9300\n"
		"mov %ecx, 0x9380\n"
		"cmp $200000, %ecx\n"
		"jb 1b\n" DONE "2: mov 0x9380, %eax\n"
		"mov 0x9300, %edx\n"
		"cmp %eax, %edx\n"
		"jae 3f\n"
		"incl 0x93c0\n"
		"3: cmp $200000, %eax\n"
		"jb 2b\n" DONE);

static void a_flag_is_not_seen_before_the_data(void **state)
{
	struct rig r;

	(void)state;
	RUN(&r, messages);
	assert_int_equal(get(&r, 0x93c0, 4), 0);
	rig_exit(&r);
}

#define ROUNDS 3000
/*
 * Round r8 of both together.  Store buffering with a fence: not both old.  Loads, then stores (at
 * 0x30000 and 0x34000): not both new.
 */
GUEST_ASM(fences, 64,
	  START "xor %r8d, %r8d\n"
		"1: inc %r8d\n"
		"mov %edi, %ebx\n"
		"shl $6, %ebx\n" /* mine at 0x9400 + rbx, the other's at 0x9440 - rbx */
		"mov $0x9440, %edx\n"
		"sub %ebx, %edx\n"
		"mov %r8d, 0x9500(%rbx)\n"
		"2: pause\ncmp %r8d, 0x100(%rdx)\njb 2b\n"
		"mov %r8d, 0x9400(%rbx)\n"
		"mfence\n"
		"mov (%rdx), %eax\n"
		"mov %edi, %esi\n"
		"shl $14, %esi\n"
		"mov %eax, 0x20000(%rsi,%r8,4)\n"
		"mov 0x200(%rdx), %eax\n" /* load the other's, then store mine */
		"mov %r8d, 0x9600(%rbx)\n"
		"mov %eax, 0x30000(%rsi,%r8,4)\n"
		"mov %r8d, 0x9700(%rbx)\n"
		"3: pause\ncmp %r8d, 0x300(%rdx)\njb 3b\n"
		"cmp $" STR(ROUNDS) ", %r8d\n"
				    "jb 1b\n" DONE);

static void fences_and_dependent_stores_keep_their_order(void **state)
{
	struct rig r;

	(void)state;
	RUN(&r, fences);
	for (uint32_t n = 1; n <= ROUNDS; n++) {
		bool old0 = get(&r, 0x20000 + 4 * n, 4) < n, old1 = get(&r, 0x24000 + 4 * n, 4) < n;
		bool new0 = get(&r, 0x30000 + 4 * n, 4) >= n,
		     new1 = get(&r, 0x34000 + 4 * n, 4) >= n;

		assert_false(old0 && old1);
		assert_false(new0 && new1);
	}
	rig_exit(&r);
}

/* Code. -------------------------------------------------------------------------------------- */

/*
 * SDM 3A §8.1.3: one stores code, then a flag; the other sees the flag, executes a serializing
 * instruction, and then the code.  At 0xb100, and at 0xbffd over the end of a page.
 */
GUEST_ASM(modify, 64,
	  "movl $0xb8, 0xb100\n" /* mov eax, 0; ret */
	  "movb $0xc3, 0xb105\n"
	  "movl $0xb8, 0xbffd\n"
	  "movb $0xc3, 0xc002\n" START "xor %r8d, %r8d\n"
	  "test %edi, %edi\n"
	  "jnz 2f\n"
	  "1: inc %r8d\n"
	  "mov %r8d, 0xb101\n"
	  "mov %r8d, 0xbffe\n"
	  "mov %r8d, 0x9800\n"
	  "3: pause\ncmp %r8d, 0x9840\njne 3b\n"
	  "cmp $" STR(ROUNDS) ", %r8d\n"
			      "jb 1b\n" DONE "2: inc %r8d\n"
			      "4: pause\ncmp %r8d, 0x9800\njne 4b\n"
			      "xor %eax, %eax\ncpuid\n"
			      "mov $0xb100, %edx\ncall *%rdx\n"
			      "cmp %r8d, %eax\nje 5f\nincl 0x9880\n"
			      "5: mov $0xbffd, %edx\ncall *%rdx\n"
			      "cmp %r8d, %eax\nje 6f\nincl 0x9884\n"
			      "6: mov %r8d, 0x9840\n"
			      "cmp $" STR(ROUNDS) ", %r8d\n"
						  "jb 2b\n" DONE);

static void code_that_another_cpu_changed_is_seen(void **state)
{
	struct rig r;

	(void)state;
	RUN(&r, modify);
	assert_int_equal(get(&r, 0x9880, 4), 0);
	assert_int_equal(get(&r, 0x9884, 4), 0);
	rig_exit(&r);
}

/*
 * One flips an instruction of two bytes in a loop that the other runs, between a no-operation and a
 * branch over the next: an aligned store of what one fetch reads, so never a mixture.
 */
GUEST_ASM(flips, 64,
	  "movl $0x90669066, 0xb200\n" /* two of 66 90, or jmp +2: then inc ecx; jmp rdx */
	  "movl $0xe2ffc1ff, 0xb204\n" START "test %edi, %edi\n"
	  "jnz 2f\n"
	  "mov $4000, %ecx\n"
	  "1: movl $0x906602eb, 0xb200\n"
	  "movl $0x90669066, 0xb200\n"
	  "dec %ecx\n"
	  "jnz 1b\n"
	  "movl $1, 0x9900\n" DONE "2: xor %ecx, %ecx\n"
	  "3: lea 4f(%rip), %rdx\n"
	  "mov $0xb200, %eax\n"
	  "jmp *%rax\n"
	  "4: incl 0x9940\n"
	  "cmpl $0, 0x9900\n"
	  "je 3b\n"
	  "mov %ecx, 0x9944\n" DONE);

static void code_under_change_is_old_or_new(void **state)
{
	struct rig r;

	(void)state;
	RUN(&r, flips);
	assert_int_equal(get(&r, 0x9940, 4), get(&r, 0x9944, 4));
	assert_true(get(&r, 0x9940, 4) > 0);
	rig_exit(&r);
}

/* Interrupts. -------------------------------------------------------------------------------- */

/* A gate of vector @v to the code behind label @l, by rax, rdx. */
#define GATE(v, l)                          \
	"lea " l "(%rip), %rax\n"           \
	"mov %ax, 0x78000+16*" #v "\n"      \
	"movl $0x8e00, 0x78004+16*" #v "\n" \
	"movw $8, 0x78002+16*" #v "\n"      \
	"shr $16, %eax\nmov %ax, 0x78006+16*" #v "\n"
#define IPIS 3000

/* r9: where the ICR is written: r10 is an address (xAPIC) or 0 (x2APIC). */
#define APIC_ON(x2)	   "mov $0x1b, %ecx\nrdmsr\nor $" x2 ", %eax\nwrmsr\n"
#define SEND_X1(low, high) "movl $" high ", %ds:(%r10)\nmovl $" low ", -16(%r10)\n"

GUEST_ASM(ipis_x1, 64,
	  GATE(0x41, "50f") GATE(0xff, "51f")
		  APIC_ON("0x800") "mov $0xfee000f0, %r10\nmovl $0x1ff, (%r10)\n"
				   "mov $0xfee000b0, %r11\n"
				   "mov $0xfee00310, %r10\n" START "test %edi, %edi\n"
				   "jnz 2f\n"
				   "xor %r8d, %r8d\n"
				   "1: inc %r8d\n" SEND_X1("0x4041",
							   "0x01000000") /* fixed, physical 1 */
	  "3: pause\ncmp %r8d, 0x9a00\njne 3b\n"
	  "inc %r8d\n" SEND_X1("0xc4041", "0") /* all but self */
	  "4: pause\ncmp %r8d, 0x9a00\njne 4b\n"
	  "cmp $" STR(IPIS) ", %r8d\n"
			    "jb 1b\n" SEND_X1("0x4400", "0x01000000") /* NMI ends it */ DONE
	  "2: " GATE(2, "52f") "sti\n5: hlt\njmp 5b\n"
			       "50: incl 0x9a00\nmovl $0, (%r11)\niretq\n"
			       "51: iretq\n"
			       "52: incl 0x9a04\n" DONE);

GUEST_ASM(ipis_x2, 64,
	  GATE(0x41, "50f") GATE(0xff, "51f") APIC_ON("0x800") APIC_ON(
		  "0xc00") "mov $0x80f, %ecx\nmov $0x1ff, %eax\nxor %edx, %edx\nwrmsr\n" START
			   "test %edi, %edi\n"
			   "jnz 2f\n"
			   "xor %r8d, %r8d\n"
			   "mov $0x830, %ecx\n"
			   "1: inc %r8d\n"
			   "mov $1, %edx\nmov $0x4041, %eax\nwrmsr\n"
			   "3: pause\ncmp %r8d, 0x9a00\njne 3b\n"
			   "inc %r8d\n"
			   "mov $0, %edx\nmov $0xc4041, %eax\nwrmsr\n"
			   "4: pause\ncmp %r8d, 0x9a00\njne 4b\n"
			   "inc %r8d\n" /* logical: cluster 0, bit 1 */
			   "mov $2, %edx\nmov $0x4841, %eax\nwrmsr\n"
			   "6: pause\ncmp %r8d, 0x9a00\njne 6b\n"
			   "cmp $" STR(
				   IPIS) ", %r8d\n"
					 "jb 1b\n"
					 "mov $1, %edx\nmov $0x4400, %eax\nwrmsr\n" DONE "2: " GATE(
						 2,
						 "52f") "sti\n5: hlt\njmp 5b\n"
							"50: incl 0x9a00\nmov $0x80b, %ecx\nxor "
							"%eax, %eax\nxor %edx, %edx\nwrmsr\niretq\n"
							"51: iretq\n"
							"52: incl 0x9a04\n" DONE);

static void no_interrupt_between_cpus_is_lost(void **state)
{
	struct rig r;

	(void)state;
	RUN(&r, ipis_x1);
	assert_int_equal(get(&r, 0x9a00, 4), IPIS);
	assert_int_equal(get(&r, 0x9a04, 4), 1);
	rig_exit(&r);
	RUN(&r, ipis_x2);
	assert_int_equal(get(&r, 0x9a00, 4), IPIS);
	assert_int_equal(get(&r, 0x9a04, 4), 1);
	rig_exit(&r);
}

/* INIT, SIPI 8 and NMI a hundred times to the other, which comes up in real mode at 0x8000. */
GUEST_ASM(
	startup, 64,
	APIC_ON("0x800") "mov $0xfee000f0, %r10\nmovl $0x1ff, (%r10)\n"
			 "mov $0xfee00310, %r10\n"
			 "lea 70f(%rip), %rsi\nmov $0x8000, %edi\nmov $71f-70f, %ecx\nrep movsb\n"
			 "lea 71f(%rip), %rsi\nmov $0x8100, %edi\nmov $72f-71f, %ecx\nrep movsb\n"
			 "movl $0x8100, 8\n" /* vector 2 of the other */
			 "xor %r8d, %r8d\n"
			 "1: inc %r8d\n" SEND_X1("0x4500", "0x01000000")
				 SEND_X1("0x4608",
					 "0x01000000") "2: pause\ncmp %r8d, 0x9b00\njne "
						       "2b\n" SEND_X1("0x4400",
								      "0x01000000") "3: pause\ncmp "
										    "%r8d, "
										    "0x9b04\njne "
										    "3b\n"
										    "cmp $100, "
										    "%r8d\n"
										    "jb 1b\n" DONE
										    ".code16\n"
										    "70: mov "
										    "$0x7000, "
										    "%esp\nlock "
										    "incl "
										    "0x9b00\n4: "
										    "hlt\njmp 4b\n"
										    "71: lock incl "
										    "0x9b04\niret\n"
										    "72: "
										    ".code64\n");

static void a_cpu_is_started_and_started_again(void **state)
{
	struct rig r;

	(void)state;
	only_first = true;
	run(&r, startup, GUEST_ASM_LEN(startup), 1, 2);
	only_first = false;
	assert_int_equal(get(&r, 0x9b00, 4), 100);
	assert_int_equal(get(&r, 0x9b04, 4), 100);
	rig_exit(&r);
}

/* Page tables. ------------------------------------------------------------------------------- */

/*
 * One clears A and D of a page, drops the translation, stores into the page, and must find both
 * set; the other flips one of the entry's free bits all the time.  No change of either is lost.
 */
GUEST_ASM(dirty, 64,
	  START "mov $" STR(N) ", %ecx\n"
			       "test %edi, %edi\n"
			       "jnz 2f\n"
			       "1: lock andq $~0x60, 0x74000+8*0x50\n"
			       "invlpg 0x50000\n"
			       "movl %ecx, 0x50000\n"
			       "mov 0x74000+8*0x50, %eax\n"
			       "and $0x60, %eax\n"
			       "cmp $0x60, %eax\n"
			       "je 3f\n"
			       "incl 0x9c00\n"
			       "3: dec %ecx\n"
			       "jnz 1b\n" DONE "2: xor %esi, %esi\n"
			       "4: lock btcq $52, 0x74000+8*0x50\n"
			       "mov 0x74000+8*0x50, %rax\n"
			       "shr $52, %rax\n"
			       "xor $1, %esi\n"
			       "cmp %esi, %eax\n"
			       "je 5f\n"
			       "incl 0x9c04\n"
			       "5: dec %ecx\n"
			       "jnz 4b\n" DONE);

static void accessed_and_dirty_bits_are_set_atomically(void **state)
{
	struct rig r;

	(void)state;
	RUN(&r, dirty);
	assert_int_equal(get(&r, 0x9c00, 4), 0);
	assert_int_equal(get(&r, 0x9c04, 4), 0);
	rig_exit(&r);
}

/* Ends. -------------------------------------------------------------------------------------- */

GUEST_ASM(mad_spin, 64, "1: jmp 1b\n");
GUEST_ASM(mad_string, 64, "mov $0xb0000, %edi\nmov $0xb0100, %esi\nmov $-1, %rcx\nrep movsb\n");
GUEST_ASM(mad_fill, 64,
	  "mov $0x20000, %edi\n1: mov $0x8000, %ecx\nrep stosb\nsub $0x8000, %edi\njmp 1b\n");
GUEST_ASM(mad_fault, 64, GATE(6, "1f") "1: mov $0x60000, %esp\nud2\n");
GUEST_ASM(mad_pf, 64,
	  GATE(14, "1f") "1: mov $0x60000, %esp\nmov $0x40000000, %eax\nmov (%rax), %eax\n");
GUEST_ASM(mad_shadow, 64, "1: mov %ss, %eax\n.rept 200\nmov %eax, %ss\n.endr\njmp 1b\n");
GUEST_ASM(mad_self, 64,
	  "1: incb 2f(%rip)\n2: .byte 0\nadd %al, (%rsp)\nmovb $0, 2b(%rip)\njmp 1b\n");
GUEST_ASM(mad_split, 64, "1: lock incq 0xaffff\njmp 1b\n");
GUEST_ASM(mad_halt, 64, "cli\n1: hlt\njmp 1b\n");

static void any_guest_can_be_paused_and_ended(void **state)
{
	static const struct {
		const uint8_t *code, *end;
	} t[] = {{mad_spin, mad_spin_end}, {mad_string, mad_string_end},
		 {mad_fill, mad_fill_end}, {mad_fault, mad_fault_end},
		 {mad_pf, mad_pf_end},	   {mad_shadow, mad_shadow_end},
		 {mad_self, mad_self_end}, {mad_split, mad_split_end},
		 {mad_halt, mad_halt_end}};

	(void)state;
	for (size_t n = 0; n < ARRAY_LEN(t); n++) {
		struct rig r;

		run(&r, t[n].code, (size_t)(t[n].end - t[n].code), 0, 2);
		for (unsigned k = 0; k < 5; k++) {
			loop_step(r.loop, 2);
			vm_pause(r.vm); /* comes back, or the test hangs */
			vm_run(r.vm);
		}
		loop_step(r.loop, 0);
		assert_false(r.requested);
		rig_exit(&r);
	}
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(locked_operations_lose_nothing),
		cmocka_unit_test(pairs_are_exchanged_at_once),
		cmocka_unit_test(locks_across_lines_and_pages_lose_nothing),
		cmocka_unit_test(a_flag_is_not_seen_before_the_data),
		cmocka_unit_test(fences_and_dependent_stores_keep_their_order),
		cmocka_unit_test(code_that_another_cpu_changed_is_seen),
		cmocka_unit_test(code_under_change_is_old_or_new),
		cmocka_unit_test(no_interrupt_between_cpus_is_lost),
		cmocka_unit_test(a_cpu_is_started_and_started_again),
		cmocka_unit_test(accessed_and_dirty_bits_are_set_atomically),
		cmocka_unit_test(any_guest_can_be_paused_and_ended),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
