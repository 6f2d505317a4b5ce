/* Control, debug and model-specific registers, system calls, and the state as a whole. */
#include "bt_guest.h"

static struct guest guest;

static struct g_end run(enum g_mode mode, unsigned cpl,
			void (*tweak)(struct guest *g, struct x86_vcpu *s), uint64_t arg,
			const char *code, size_t len)
{
	guest.arg = arg;
	return g_run(&guest, mode, cpl, (const uint8_t *)code, len, tweak);
}
#define RUN(mode, cpl, tweak, arg, code) run(mode, cpl, tweak, arg, code, sizeof(code) - 1)

static void with_cr0(struct guest *g, struct x86_vcpu *s)
{
	s->gpr[X86_RAX] = s->cr0 ^ g->arg;
}

static void with_cr4(struct guest *g, struct x86_vcpu *s)
{
	s->gpr[X86_RAX] = s->cr4 ^ g->arg;
}

static void with_cr4_bit(struct guest *g, struct x86_vcpu *s)
{
	s->cr4 |= g->arg;
}

static void with_gd(struct guest *g, struct x86_vcpu *s)
{
	(void)g;
	s->dr7 |= 0x2000;
}

static void with_msr(struct guest *g, struct x86_vcpu *s)
{
	s->gpr[X86_RCX] = g->arg;
	s->gpr[X86_RAX] = s->gpr[X86_RDX] = 0;
}

static void with_wrmsr(struct guest *g, struct x86_vcpu *s)
{
	s->gpr[X86_RCX] = g->arg;
	s->gpr[X86_RAX] = s->gpr[X86_RDX] = 0x80808002;
}

static void with_xsave(struct guest *g, struct x86_vcpu *s)
{
	s->cr4 |= X86_CR4_OSXSAVE;
	s->gpr[X86_RCX] = s->gpr[X86_RDX] = 0;
	s->gpr[X86_RAX] = g->arg;
}

static void msr(struct x86_vcpu *s, uint32_t index, uint64_t val)
{
	s->msr[s->n_msrs++] = (struct x86_msr){index, val};
}

static void with_star(struct guest *g, struct x86_vcpu *s)
{
	(void)g;
	s->efer |= X86_EFER_SCE;
	s->gpr[X86_RCX] = G_STOP;
	s->gpr[X86_R11] = 0x46;
	/* SYSRET's base, so that + 8 and + 16 are what they should be: data, 64-bit code. */
	msr(s, X86_MSR_STAR, (uint64_t)S_CODE64 << 32 | (uint64_t)S_UCODE << 48);
	msr(s, X86_MSR_LSTAR, G_STOP);
	msr(s, X86_MSR_FMASK, 0x47700);
}

static void with_nosce(struct guest *g, struct x86_vcpu *s)
{
	(void)g;
	s->efer &= ~(uint64_t)X86_EFER_SCE;
}

static void with_sep(struct guest *g, struct x86_vcpu *s)
{
	(void)g;
	s->gpr[X86_RDX] = G_STOP;
	s->gpr[X86_RCX] = G_STACK - 32;
	msr(s, 0x174, S_CODE);
	msr(s, 0x175, G_STACK0);
	msr(s, 0x176, G_STOP);
}

/* clang-format off */
static const struct g_case cases[] = {
	G_CASE("mov [ebx],ss", "ran", NULL, 0, 0x8c, 0x13),
	G_CASE("smsw", "ran", NULL, 0, 0x0f, 0x01, 0xe0),
	G_CASE("lmsw", "ran 13 ran ran 13 ran 13 ran 13", g_eax, 0xe, 0x0f, 0x01, 0xf0),
	G_CASE("clts", "ran 13 ran ran 13 ran 13 ran 13", NULL, 0, 0x0f, 0x06),
	G_CASE("sgdt", "ran", NULL, 0, 0x0f, 0x01, 0x03),
	G_CASE("sidt", "ran", NULL, 0, 0x0f, 0x01, 0x0b),
	G_CASE("lgdt", "ran 13 ran ran 13 ran 13 ran 13", NULL, 0, 0x0f, 0x01, 0x13),
	G_CASE("lidt", "ran 13 ran ran 13 ran 13 ran 13", NULL, 0, 0x0f, 0x01, 0x1b),
	G_CASE("mov cr0 mp", "ran 13 ran ran 13 ran 13 ran 13", with_cr0, 2, 0x0f, 0x22, 0xc0),
	G_CASE("mov cr0 nw", "13", with_cr0, 0x20000000, 0x0f, 0x22, 0xc0),
	G_CASE("mov cr0 nw cd", "ran 13 ran ran 13 ran 13 ran 13",
	       with_cr0, 0x60000000, 0x0f, 0x22, 0xc0),
	G_CASE("mov cr0 pg", "13 13 off off 13 ran 13", with_cr0, 0x80000000, 0x0f, 0x22, 0xc0),
	G_CASE("mov cr0 pg pe", "off 13 13 13 13 ran 13", with_cr0, 0x80000001, 0x0f, 0x22, 0xc0),
	G_CASE("mov cr4 pae", "ran 13 ran ran 13", with_cr4, 0x20, 0x0f, 0x22, 0xe0),
	G_CASE("mov cr4 res", "13", with_cr4, 0x80000000, 0x0f, 0x22, 0xe0),
	G_CASE("mov cr4 pcide", "13 13 13 13 13 ran 13 ran 13",
	       with_cr4, 0x20000, 0x0f, 0x22, 0xe0),
	G_CASE("mov cr4 pse", "ran 13 ran ran 13 ran 13 ran 13", with_cr4, 0x10, 0x0f, 0x22, 0xe0),
	G_CASE("mov cr1", "6", NULL, 0, 0x0f, 0x22, 0xc8),
	G_CASE("mov eax,cr0", "ran 13 ran ran 13 ran 13 ran 13", NULL, 0, 0x0f, 0x20, 0xc0),
	G_CASE("mov eax,cr2", "ran 13 ran ran 13 ran 13 ran 13", NULL, 0, 0x0f, 0x20, 0xd0),
	G_CASE("mov eax,cr3", "ran 13 ran ran 13 ran 13 ran 13", NULL, 0, 0x0f, 0x20, 0xd8),
	G_CASE("mov eax,cr4", "ran 13 ran ran 13 ran 13 ran 13", NULL, 0, 0x0f, 0x20, 0xe0),
	G_CASE("mov eax,cr8", "ran 13@1 ran ran 13@1 ran 13@1 ran 13",
	       NULL, 0, 0x44, 0x0f, 0x20, 0xc0),
	G_CASE("mov dr0", "ran 13 ran ran 13 ran 13 ran 13", g_eax, 0x1234, 0x0f, 0x23, 0xc0),
	G_CASE("mov dr4", "ran 13 ran ran 13 ran 13 ran 13", g_eax, 0, 0x0f, 0x23, 0xe0),
	G_CASE("mov dr7", "ran 13 ran ran 13 ran 13 ran 13", g_eax, 0xffffd8ff, 0x0f, 0x23, 0xf8),
	G_CASE("mov dr6", "ran 13 ran ran 13 ran 13 ran 13", g_eax, 0xffffffff, 0x0f, 0x23, 0xf0),
	G_CASE("mov eax,dr7", "ran 13 ran ran 13 ran 13 ran 13", NULL, 0, 0x0f, 0x21, 0xf8),
	G_CASE("mov eax,dr6", "ran 13 ran ran 13 ran 13 ran 13", NULL, 0, 0x0f, 0x21, 0xf0),
	G_CASE("mov eax,dr6 gd", "1 13 1 1 13 1 13 1 13", with_gd, 0, 0x0f, 0x21, 0xf0),
	G_CASE("rdmsr bad", "13", with_msr, 0x12345, 0x0f, 0x32),
	G_CASE("rdmsr efer", "ran 13 ran ran 13 ran 13 ran 13", with_msr, 0xc0000080, 0x0f, 0x32),
	G_CASE("rdmsr pat", "ran 13 ran ran 13 ran 13 ran 13", with_msr, 0x277, 0x0f, 0x32),
	G_CASE("wrmsr lstar", "ran 13 ran ran 13 ran 13 ran 13", with_msr, 0xc0000082, 0x0f, 0x30),
	G_CASE("wrmsr pat0", "ran 13 ran ran 13 ran 13 ran 13", with_msr, 0x277, 0x0f, 0x30),
	G_CASE("rdmsr mtrrcap", "ran 13 ran ran 13 ran 13 ran 13", with_msr, 0xfe, 0x0f, 0x32),
	G_CASE("rdmsr 1a0", "ran 13 ran ran 13 ran 13 ran 13", with_msr, 0x1a0, 0x0f, 0x32),
	G_CASE("swapgs", "6 6 6 6 6 6 6 ran 13", NULL, 0, 0x0f, 0x01, 0xf8),
	G_CASE("syscall", "6 6 6 6 6 6 6 jumped", with_star, 0, 0x0f, 0x05),
	G_CASE("syscall nosce", "6", with_nosce, 0, 0x0f, 0x05),
	G_CASE("sysretq", "6@1 6@1 6@1 6@1 6@1 6@1 6@1 jumped 13", with_star, 0, 0x48, 0x0f, 0x07),
	G_CASE("sysretl", "6 6 6 6 6 6 6 jumped 13", with_star, 0, 0x0f, 0x07),
	G_CASE("sysenter", "13 jumped", with_sep, 0, 0x0f, 0x34),
	G_CASE("sysenter0", "13", NULL, 0, 0x0f, 0x34),
	G_CASE("sysexit", "13 13 jumped jumped 13 jumped 13 jumped 13", with_sep, 0, 0x0f, 0x35),
	G_CASE("sysexitq", "13@1 13@1 jumped jumped 13@1 jumped 13@1 jumped 13",
	       with_sep, 0, 0x48, 0x0f, 0x35),
	G_CASE("invlpg", "ran 13 ran ran 13 ran 13 ran 13", NULL, 0, 0x0f, 0x01, 0x3b),
	G_CASE("wbinvd", "ran 13 ran ran 13 ran 13 ran 13", NULL, 0, 0x0f, 0x09),
	G_CASE("rsm", "6", NULL, 0, 0x0f, 0xaa),
	G_CASE("xgetbv", "6", NULL, 0, 0x0f, 0x01, 0xd0),
	G_CASE("rdpmc", "13", NULL, 0, 0x0f, 0x33),
	G_CASE("invd", "ran 13 ran ran 13 ran 13 ran 13", NULL, 0, 0x0f, 0x08),
	G_CASE("mov cr8", "ran 13@1 ran ran 13@1 ran 13@1 ran 13",
	       g_eax, 5, 0x44, 0x0f, 0x22, 0xc0),
	G_CASE("xsetbv without OSXSAVE", "6", NULL, 0, 0x0f, 0x01, 0xd1),
	G_CASE("xsetbv 0", "13", with_xsave, 0, 0x0f, 0x01, 0xd1),
	G_CASE("xsetbv AVX without SSE", "13", with_xsave, 5, 0x0f, 0x01, 0xd1),
	G_CASE("xsetbv 3", "ran 13 ran ran 13 ran 13 ran 13", with_xsave, 3, 0x0f, 0x01, 0xd1),
	G_CASE("rdtsc with TSD", "ran 13 ran ran 13 ran 13 ran 13", with_cr4_bit, 4, 0x0f, 0x31),
	G_CASE("mov dr4 with DE", "6 13 6 6 13 6 13 6 13", with_cr4_bit, 8, 0x0f, 0x23, 0xe0),
	G_CASE("wrfsbase without FSGSBASE", "6", NULL, 0, 0xf3, 0x0f, 0xae, 0xd0),
	G_CASE("wrfsbase", "6 6 6 6 6 6 6 ran ran", with_cr4_bit, 0x10000, 0xf3, 0x0f, 0xae, 0xd0),
	G_CASE("wrmsr EFER with unknown bits", "13", with_wrmsr, 0xc0000080, 0x0f, 0x30),
	G_CASE("wrmsr LSTAR not canonical", "13", with_wrmsr, 0xc0000082, 0x0f, 0x30),
	G_CASE("wrmsr PAT of bad types", "13", with_wrmsr, 0x277, 0x0f, 0x30),
	G_CASE("wrmsr MTRR_DEF_TYPE bad", "13", with_wrmsr, 0x2ff, 0x0f, 0x30),
	G_CASE("wrmsr MTRRCAP", "13", with_wrmsr, 0xfe, 0x0f, 0x30),
	G_CASE("vmmcall", "ran", NULL, 0, 0x0f, 0x01, 0xd9),
};
/* clang-format on */

static void system_instructions_are_allowed_where_the_manual_says(void **state)
{
	(void)state;
	g_table(&guest, cases, ARRAY_LEN(cases));
}

static void with_flags_and_star(struct guest *g, struct x86_vcpu *s)
{
	with_star(g, s);
	s->rflags |= 0x100; /* TF: FMASK takes it away, and there is no trap */
}

static void syscall_and_sysret_change_the_privilege(void **state)
{
	struct g_end e = RUN(G_LONG, 3, with_flags_and_star, 0, "\x0f\x05");

	(void)state;
	assert_int_equal(e.vector, G_JUMPED);
	assert_int_equal(e.s.gpr[X86_RCX], G_CODE + 2);
	assert_int_equal(e.s.gpr[X86_R11], 0x102);
	assert_int_equal(e.s.rflags, 2);
	assert_int_equal(e.s.seg[X86_CS].sel, S_CODE64);
	assert_int_equal(e.s.seg[X86_SS].sel, S_CODE64 + 8);
	e = RUN(G_LONG, 0, with_star, 0, "\x48\x0f\x07");
	assert_int_equal(e.vector, G_JUMPED);
	assert_int_equal(e.cs, S_UCODE64 | 3);
	assert_int_equal(e.ss, S_UDATA | 3);
	assert_int_equal(e.flags, 0x10046);
}

static void with_bad_rcx(struct guest *g, struct x86_vcpu *s)
{
	with_star(g, s);
	s->gpr[X86_RCX] = UINT64_C(0x800000000000);
}

static void sysret_to_nowhere_faults_in_ring_0(void **state)
{
	struct g_end e = RUN(G_LONG, 0, with_bad_rcx, 0, "\x48\x0f\x07");

	(void)state;
	assert_int_equal(e.vector, 13);
	assert_int_equal(e.rip, G_CODE);
	assert_int_equal(e.cs, S_CODE64);
}

static void registers_read_as_written(void **state)
{
	struct g_end e = RUN(G_LONG, 0, g_eax, 0xffffffff, "\x0f\x23\xf0"); /* mov dr6, rax */

	(void)state;
	assert_int_equal(e.s.dr6, 0xffffeff0 | 0xf);
	e = RUN(G_LONG, 0, g_eax, 0xffffd8ff, "\x0f\x23\xf8");
	assert_int_equal(e.s.dr7, 0xffff04ff);
	e = RUN(G_LONG, 0, g_eax, UINT64_C(0x100000000), "\x0f\x23\xf8");
	assert_int_equal(e.vector, 13);
	e = RUN(G_LONG, 0, g_eax, 9, "\x44\x0f\x22\xc0\x44\x0f\x20\xc1"); /* cr8 */
	assert_int_equal(e.s.gpr[X86_RCX], 9);
	assert_int_equal(e.s.cr8, 9);
	e = RUN(G_LONG, 0, g_eax, 16, "\x44\x0f\x22\xc0");
	assert_int_equal(e.vector, 13);
	e = RUN(G_LONG, 0, g_eax, 0x5a5a, "\x0f\x22\xd0"); /* cr2 */
	assert_int_equal(e.s.cr2, 0x5a5a);
	e = RUN(G_LONG, 0, NULL, 0, "\x0f\x01\xd9"); /* vmmcall: no such hypercall */
	assert_int_equal(e.s.gpr[X86_RAX], (uint64_t)-1000);
}

static void with_swapgs(struct guest *g, struct x86_vcpu *s)
{
	(void)g;
	s->seg[X86_GS].base = 0x1111;
	msr(s, 0xc0000102, 0x2222);
}

static void swapgs_exchanges_two_bases(void **state)
{
	struct g_end e = RUN(G_LONG, 0, with_swapgs, 0, "\x0f\x01\xf8");
	uint64_t *kernel = x86_vcpu_msr(&e.s, 0xc0000102);

	(void)state;
	assert_non_null(kernel);
	assert_int_equal(*kernel, 0x1111);
	assert_int_equal(e.s.seg[X86_GS].base, 0x2222);
}

/* WRMSR TSC_ADJUST = 0; RDTSC; WRMSR TSC = 0x123456789a; RDTSC. */
static void the_tsc_can_be_written(void **state)
{
	static const char code[] = "\xb9\x10\x00\x00\x00"	  /* mov ecx, 10h */
				   "\xba\x12\x00\x00\x00"	  /* mov edx, 12h */
				   "\xb8\x9a\x78\x56\x34"	  /* mov eax, 3456789ah */
				   "\x0f\x30\x0f\x31"		  /* wrmsr; rdtsc */
				   "\x89\xd6\xb9\x3b\x00\x00\x00" /* mov esi, edx; mov ecx, 3bh */
				   "\x0f\x32";			  /* rdmsr */
	struct g_end e = RUN(G_LONG, 0, NULL, 0, code);
	uint64_t *adjust = x86_vcpu_msr(&e.s, 0x3b);

	(void)state;
	assert_int_equal(e.vector, G_RAN);
	assert_int_equal(e.s.gpr[X86_RSI], 0x12);
	assert_non_null(adjust);
	assert_int_equal((uint32_t)(*adjust >> 32), e.s.gpr[X86_RDX]);
	assert_int_equal((uint32_t)*adjust, e.s.gpr[X86_RAX]);
}

/* The guest names pages for KVM's clock. */
static void the_paravirtual_clock_is_filled_in(void **state)
{
	static const char code[] =
		"\xb9\x01\x4d\x56\x4b\x31\xd2" /* mov ecx, 4b564d01h; xor edx */
		"\xb8\x01\x50\x00\x00\x0f\x30" /* mov eax, G_DATA + 1; wrmsr */
		"\xff\xc9\xb8\x40\x50\x00\x00" /* dec ecx; mov eax, G_DATA + 40h */
		"\x0f\x30";
	struct g_end e = RUN(G_LONG, 0, NULL, 0, code);
	uint64_t wall;

	(void)state;
	assert_int_equal(e.vector, G_RAN);
	assert_int_equal(g_get(&guest, G_DATA, 4), 2);		     /* version */
	assert_int_equal(g_get(&guest, G_DATA + 24, 4), 0x80000000); /* factor */
	assert_int_equal(g_get(&guest, G_DATA + 28, 1), 1);	     /* shift */
	assert_int_equal(g_get(&guest, G_DATA + 29, 1), 1);	     /* stable */
	assert_true(g_get(&guest, G_DATA + 16, 8) <= clock_now(&guest.vm->clock));
	wall = g_get(&guest, G_DATA + 0x44, 4) * 1000000000 + g_get(&guest, G_DATA + 0x48, 4);
	assert_true(wall > UINT64_C(1500000000000000000));
}

/* Real mode to 64-bit mode in one go, by the guest's own instructions. */
static void with_long_tables(struct guest *g, struct x86_vcpu *s)
{
	g_put(g, G_TABLES, (G_TABLES + 0x1000) | 7, 8);
	g_put(g, G_TABLES + 0x1000, 0x83, 8); /* 1 GiB */
	g_put(g, G_DATA, G_GDT_LIMIT, 2);
	g_put(g, G_DATA + 2, G_GDT, 4);
	(void)s;
}

static void a_guest_enters_long_mode_by_itself(void **state)
{
	static const char code[] = "\x66\xb8\x20\x00\x00\x00\x0f\x22\xe0"	  /* cr4 = PAE */
				   "\x66\xb8\x00\x00\x02\x00\x0f\x22\xd8"	  /* cr3 */
				   "\x66\xb9\x80\x00\x00\xc0"			  /* EFER */
				   "\x66\xb8\x00\x01\x00\x00\x66\x31\xd2\x0f\x30" /* LME */
				   "\x0f\x01\x16\x00\x50"			  /* lgdt [5000h] */
				   "\x66\xb8\x01\x00\x00\x80\x0f\x22\xc0" /* cr0 = PG | PE */
				   "\xea\x00\x18\x18\x00";		  /* jmp S_CODE64:G_STOP */
	struct g_end e = RUN(G_REAL, 0, with_long_tables, 0, code);

	(void)state;
	assert_int_equal(e.vector, G_JUMPED);
	assert_int_equal(e.s.efer & (X86_EFER_LMA | X86_EFER_LME), X86_EFER_LMA | X86_EFER_LME);
	assert_int_equal(e.s.seg[X86_CS].attr & X86_SEG_L, X86_SEG_L);
}

struct put {
	struct err *e;
	int rc;
};

static void put_here(struct vcpu *v, void *arg)
{
	struct put *p = arg;

	p->rc = v->vm->accel->state_put(v, p->e);
}

/* The state in the vCPU's buffer as it is, without core's checks. */
static int vcpu_put_here(struct guest *g, struct err *e)
{
	struct put p = {.e = e};

	assert_int_equal(vcpu_call(&g->vm->vcpus[0], put_here, &p), 0);
	return p.rc;
}

/* Lets the guest run for the twinkling of an eye, and stops it wherever it is. */
static void g_run_a_while(struct guest *g)
{
	g->requested = false;
	vm_run(g->vm);
	for (unsigned n = 0; n < 3 && !g->requested; n++)
		loop_step(g->loop, 1);
	vm_pause(g->vm);
}

/* A pseudo-random change of one member. */
static void g_spoil(struct x86_vcpu *s, uint64_t seed)
{
	uint64_t r = (seed + 1) * UINT64_C(0x9e3779b97f4a7c15), bits;

	r ^= r >> 29;
	r *= UINT64_C(0xbf58476d1ce4e5b9);
	r ^= r >> 32;
	bits = r >> 8;
	switch (r % 20) {
	case 0: s->rip = bits; break;
	case 1: s->rflags ^= bits & 0x3f7fd5; break;
	case 2: s->cr0 ^= 1u << (bits & 31); break;
	case 3: s->cr4 ^= 1u << (bits & 31); break;
	case 4: s->efer ^= 1u << (bits & 15); break;
	case 5: s->cr3 = bits; break;
	case 6: s->seg[bits & 7].attr ^= 1u << (bits >> 3 & 31); break;
	case 7: s->seg[bits & 7].base = bits >> 3; break;
	case 8: s->seg[bits & 7].limit = (uint32_t)(bits >> 3); break;
	case 9: s->seg[bits & 7].sel = (uint16_t)(bits >> 3); break;
	case 10: s->idt.base = bits; break;
	case 11: s->gdt.base = bits; break;
	case 12:
		s->events.exc_injected = true;
		s->events.exc_vector = bits & 31;
		break;
	case 13:
		s->events.irq_injected = true;
		s->events.irq_vector = (uint8_t)bits;
		break;
	case 14: s->events.irq_shadow = bits & 3; break;
	case 15: s->gpr[bits & 15] = bits >> 4; break;
	case 16:
		s->dr7 = bits;
		s->dr[bits & 3] = s->rip;
		break;
	case 17: s->mp_state = (uint32_t)bits & 7; break;
	case 18: s->msr[(bits & 0xff) % (s->n_msrs + 1)].value = bits >> 8; break;
	default: s->xcr0 = bits & 0xff; break;
	}
}

/* What comes out goes in and comes out the same. */
static void a_state_survives_the_way_out_and_in(void **state)
{
	struct g_end e = RUN(G_LONG, 0, with_star, 0, "\x90");
	struct x86_vcpu *s = guest.vm->vcpus[0].state;
	struct strbuf first = {0}, second = {0};
	struct err err = ERR_INIT;

	(void)state;
	(void)e;
	state_save(&x86_vcpu_table, s, &first);
	g_check(vcpu_put_here(&guest, &err), &err);
	g_check(vcpu_get_state(&guest.vm->vcpus[0], &err), &err);
	state_save(&x86_vcpu_table, s, &second);
	assert_int_equal(first.len, second.len);
	assert_memory_equal(first.s, second.s, first.len);
	strbuf_exit(&first);
	strbuf_exit(&second);
}

/* Any bytes as a state: refused with words, or taken, and then run. */
static void a_hostile_state_does_no_harm(void **state)
{
	struct x86_vcpu *s = guest.vm->vcpus[0].state, *good = malloc(sizeof(*good));
	unsigned taken = 0;

	(void)state;
	assert_non_null(good);
	(void)RUN(G_LONG, 3, NULL, 0, "\x90");
	*good = *s;
	for (unsigned n = 0; n < 4000; n++) {
		struct err e = ERR_INIT;

		*s = *good;
		for (unsigned k = 0; k < 1 + n % 8; k++)
			g_spoil(s, n * 8 + k);
		if (vcpu_put_here(&guest, &e)) {
			assert_true(e.msg[0]);
			continue;
		}
		taken++;
		g_run_a_while(&guest);
		g_check(vcpu_get_state(&guest.vm->vcpus[0], &e), &e);
	}
	assert_true(taken > 100);
	free(good);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(system_instructions_are_allowed_where_the_manual_says),
		cmocka_unit_test(syscall_and_sysret_change_the_privilege),
		cmocka_unit_test(sysret_to_nowhere_faults_in_ring_0),
		cmocka_unit_test(registers_read_as_written),
		cmocka_unit_test(swapgs_exchanges_two_bases),
		cmocka_unit_test(the_tsc_can_be_written),
		cmocka_unit_test(the_paravirtual_clock_is_filled_in),
		cmocka_unit_test(a_guest_enters_long_mode_by_itself),
		cmocka_unit_test(a_state_survives_the_way_out_and_in),
		cmocka_unit_test(a_hostile_state_does_no_harm),
	};
	int rc;

	g_init(&guest, &accel_bt);
	rc = cmocka_run_group_tests(tests, NULL, NULL);
	g_exit(&guest);
	return rc;
}
