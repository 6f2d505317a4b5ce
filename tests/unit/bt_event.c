/* Exceptions, interrupts and their way through the IDT, in every mode (SDM 3A chapter 6). */
#include "bt_guest.h"

#define FLAG_RF 0x10000u

static struct guest guest;

static struct g_end run(enum g_mode mode, unsigned cpl,
			void (*tweak)(struct guest *g, struct x86_vcpu *s), const char *code,
			size_t len)
{
	return g_run(&guest, mode, cpl, (const uint8_t *)code, len, tweak);
}
#define RUN(mode, cpl, tweak, code) run(mode, cpl, tweak, code, sizeof(code) - 1)

static unsigned gate_at(const struct guest *g, unsigned vector)
{
	return G_IDT + (g_is_long(g) ? 16 : 8) * vector;
}

static void gate_absent(struct guest *g, unsigned vector)
{
	if (g->mode != G_REAL)
		*g_at(g, gate_at(g, vector) + 5) &= 0x7f;
}

static void with_vme(struct guest *g, struct x86_vcpu *s)
{
	(void)g;
	s->cr4 |= 1;
}

static void with_dpl0(struct guest *g, struct x86_vcpu *s)
{
	(void)s;
	if (g->mode != G_REAL)
		*g_at(g, gate_at(g, 0x40) + 5) &= 0x9f;
}

static void with_trap(struct guest *g, struct x86_vcpu *s)
{
	if (g->mode != G_REAL)
		*g_at(g, gate_at(g, 0x40) + 5) |= 1;
	s->rflags |= 0x3000;
}

static void with_task(struct guest *g, struct x86_vcpu *s)
{
	if (g->mode != G_REAL && !g_is_long(g))
		g_put(g, gate_at(g, 0x40), g_gate(S_TSS2, 0, 5, 3), 8);
	s->rflags |= 0x3000;
}

static void with_ist(struct guest *g, struct x86_vcpu *s)
{
	(void)s;
	if (g_is_long(g))
		g_put(g, gate_at(g, 6) + 4, 1, 1);
}

static void with_npgate(struct guest *g, struct x86_vcpu *s)
{
	(void)s;
	gate_absent(g, 6);
}

static void with_npgate2(struct guest *g, struct x86_vcpu *s)
{
	with_npgate(g, s);
	gate_absent(g, 11);
}

static void with_npgate3(struct guest *g, struct x86_vcpu *s)
{
	with_npgate2(g, s);
	gate_absent(g, 8);
}

static void with_tss(struct guest *g, struct x86_vcpu *s)
{
	(void)g;
	x86_seg_set(&s->seg[X86_TR], S_TSS, G_TSS, 0, 0x8b);
}

/* All flags but TF and IF, on the stack. */
static void with_popf(struct guest *g, struct x86_vcpu *s)
{
	g_put(g, s->gpr[X86_RSP], 0x3f7cd5, 8);
}

static void with_popf2(struct guest *g, struct x86_vcpu *s)
{
	with_popf(g, s);
	s->rflags |= 0x3000;
}

/* clang-format off */
static const struct g_case cases[] = {
	G_CASE("nop", "ran", NULL, 0, 0x90),
	G_CASE("ud2", "6", NULL, 0, 0x0f, 0x0b),
	G_CASE("int 40", "64@2 13 64@2", NULL, 0, 0xcd, 0x40),
	G_CASE("int 40 iopl3", "64@2", g_flags, 0x3000, 0xcd, 0x40),
	G_CASE("int 40 vme", "64@2 jumped 64@2", with_vme, 0, 0xcd, 0x40),
	G_CASE("int 40 dpl0", "64@2 13 64@2 64@2 13:202 64@2 13:202 64@2 13:202",
	       with_dpl0, 0, 0xcd, 0x40),
	G_CASE("int 40 trap if", "64@2", with_trap, 0, 0xcd, 0x40),
	G_CASE("int 40 task", "64@2 jumped jumped jumped jumped 64@2", with_task, 0, 0xcd, 0x40),
	G_CASE("int3", "3@1", NULL, 0, 0xcc),
	G_CASE("int1", "1@1", NULL, 0, 0xf1),
	G_CASE("into", "ran ran ran ran ran ran ran 6", NULL, 0, 0xce),
	G_CASE("into of", "4@1 4@1 4@1 4@1 4@1 4@1 4@1 6", g_flags, 0x800, 0xce),
	G_CASE("ud2 ist", "6", with_ist, 0, 0x0f, 0x0b),
	G_CASE("ud2 np gate", "6 11:33", with_npgate, 0, 0x0f, 0x0b),
	G_CASE("ud2 np np", "6 8", with_npgate2, 0, 0x0f, 0x0b),
	G_CASE("ud2 np np np", "6 off", with_npgate3, 0, 0x0f, 0x0b),
	G_CASE("ud2 no tss", "6 off 6 6 off 6 off 6 off", with_tss, 0, 0x0f, 0x0b),
	G_CASE("nop tf", "1@1", g_flags, 0x100, 0x90),
	G_CASE("int40 tf", "64@2 13 64@2", g_flags, 0x100, 0xcd, 0x40),
	G_CASE("cli", "ran 13 ran ran 13 ran 13 ran 13", NULL, 0, 0xfa),
	G_CASE("cli iopl3", "ran", g_flags, 0x3200, 0xfa),
	G_CASE("sti;cli", "ran 13 ran ran 13 ran 13 ran 13", NULL, 0, 0xfb, 0xfa),
	G_CASE("sti;cli iopl3", "ran", g_flags, 0x3000, 0xfb, 0xfa),
	G_CASE("sti vme;cli", "ran ran ran ran 13 ran 13 ran 13", with_vme, 0, 0xfb, 0xfa),
	G_CASE("pushf", "ran 13 ran", NULL, 0, 0x9c),
	G_CASE("pushf iopl3", "ran", g_flags, 0x3000, 0x9c),
	G_CASE("pushf vme", "ran", with_vme, 0, 0x9c),
	G_CASE("popf", "ran 13 ran", with_popf, 0, 0x9d),
	G_CASE("popf iopl3", "ran", with_popf2, 0, 0x9d),
	G_CASE("popf if", "ran ran ran ran 13@7 ran 13@7 ran 13@7",
	       with_popf, 0, 0x80, 0x4c, 0x24, 0x01, 0x02, 0x9d, 0x9c, 0xfa),
	G_CASE("popf if iopl3", "ran",
	       with_popf2, 0, 0x80, 0x4c, 0x24, 0x01, 0x02, 0x9d, 0x9c, 0xfa),
	G_CASE("popf66", "ran 13 ran", with_popf, 0, 0x66, 0x9d),
};
/* clang-format on */

static void events_end_where_mode_gate_and_privilege_send_them(void **state)
{
	(void)state;
	g_table(&guest, cases, ARRAY_LEN(cases));
}

static void long_mode_pushes_a_whole_frame(void **state)
{
	struct g_end e = RUN(G_LONG, 3, NULL, "\x0f\x0b");

	(void)state;
	assert_int_equal(e.vector, 6);
	assert_int_equal(e.rip, G_CODE);
	assert_int_equal(e.cs, S_UCODE64 | 3);
	assert_int_equal(e.ss, S_UDATA | 3);
	assert_int_equal(e.rsp, G_STACK - 0x80);
	assert_int_equal(e.flags, FLAG_RF | 2); /* RF: a fault */
	assert_int_equal(e.s.gpr[X86_RSP], G_STACK0 - 40);
	assert_int_equal(e.s.seg[X86_SS].sel, 0);
	assert_int_equal(e.s.seg[X86_CS].sel, S_CODE64);
	/* At the same privilege too, on an aligned stack. */
	e = RUN(G_LONG, 0, NULL, "\x48\x83\xec\x03\xcc"); /* sub rsp, 3; int3 */
	assert_int_equal(e.vector, 3);
	assert_int_equal(e.rsp, G_STACK - 0x83);
	assert_int_equal(e.s.gpr[X86_RSP], G_STACK - 0x90 - 40);
	assert_int_equal(e.ss, S_DATA);
	assert_int_equal(e.s.seg[X86_SS].sel, S_DATA);
	assert_int_equal(e.flags & FLAG_RF, 0);
}

static void the_interrupt_stack_table_changes_the_stack(void **state)
{
	struct g_end e = RUN(G_LONG, 0, with_ist, "\x0f\x0b");

	(void)state;
	assert_int_equal(e.s.gpr[X86_RSP], G_IST - 40);
	assert_int_equal(e.rsp, G_STACK - 0x80);
	assert_int_equal(e.s.seg[X86_SS].sel, S_DATA);
}

static void with_unmapped(struct guest *g, struct x86_vcpu *s)
{
	g_put(g, G_TABLES + 0x3000 + 8 * 0x90, 0, 8);
	s->gpr[X86_RDI] = 0x90010;
}

static void a_page_fault_tells_address_and_access(void **state)
{
	struct g_end e = RUN(G_LONG, 3, with_unmapped, "\x89\x07"); /* mov [rdi], eax */

	(void)state;
	assert_int_equal(e.vector, 14);
	assert_int_equal(e.error, 6);
	assert_int_equal(e.s.cr2, 0x90010);
	assert_int_equal(e.rip, G_CODE);
}

static void with_no_stack(struct guest *g, struct x86_vcpu *s)
{
	with_unmapped(g, s);
	s->gpr[X86_RSP] = 0x90800;
}

static void with_no_stack_ist(struct guest *g, struct x86_vcpu *s)
{
	with_no_stack(g, s);
	g_put(g, gate_at(g, 8) + 4, 1, 1);
}

static void a_page_fault_without_a_stack_is_a_double_fault(void **state)
{
	struct g_end e = RUN(G_LONG, 0, with_no_stack, "\x0f\x0b");

	(void)state;
	/* #UD, then #PF of its frame, then #PF of that one's: #DF, and no stack for it either. */
	assert_int_equal(e.vector, G_SHUTDOWN);
	e = RUN(G_LONG, 0, with_no_stack_ist, "\x0f\x0b");
	assert_int_equal(e.vector, 8);
	assert_int_equal(e.error, 0);
	assert_int_equal(e.rip, G_CODE);
	assert_int_equal(e.rsp, 0x90800);
}

static void with_bad_rsp0(struct guest *g, struct x86_vcpu *s)
{
	(void)s;
	g_put(g, G_TSS + 4, UINT64_C(0x8000000000000000), 8);
	g_put(g, gate_at(g, 12) + 4, 1, 1);
}

static void a_stack_that_is_not_canonical_is_a_stack_fault(void **state)
{
	struct g_end e = RUN(G_LONG, 3, with_bad_rsp0, "\xcd\x40");

	(void)state;
	assert_int_equal(e.vector, 12);
	assert_int_equal(e.error, 0); /* INT n: no EXT */
	assert_int_equal(e.rip, G_CODE);
	e = RUN(G_LONG, 3, with_bad_rsp0, "\x0f\x0b");
	assert_int_equal(e.vector, 12);
	assert_int_equal(e.error, 1);
}

static void with_far_target(struct guest *g, struct x86_vcpu *s)
{
	(void)s;
	g_put(g, gate_at(g, 0x40) + 8, 0x8000, 4);
}

static void a_handler_that_is_not_canonical_is_a_protection_fault(void **state)
{
	struct g_end e = RUN(G_LONG, 3, with_far_target, "\xcd\x40");

	(void)state;
	assert_int_equal(e.vector, 13);
	assert_int_equal(e.error, 0);
	assert_int_equal(e.rip, G_CODE);
}

static void with_short_idt(struct guest *g, struct x86_vcpu *s)
{
	(void)g;
	s->idt.limit = 16 * 32 - 1;
}

static void a_vector_beyond_the_table_is_a_protection_fault(void **state)
{
	struct g_end e = RUN(G_LONG, 0, with_short_idt, "\xcd\x40");

	(void)state;
	assert_int_equal(e.vector, 13);
	assert_int_equal(e.error, 0x202);
}

static void protected_mode_pushes_what_privilege_needs(void **state)
{
	struct g_end e = RUN(G_PROT, 3, NULL, "\x0f\x0b");

	(void)state;
	assert_int_equal(e.s.gpr[X86_RSP], G_STACK0 - 20);
	assert_int_equal(e.s.seg[X86_SS].sel, S_DATA);
	assert_int_equal(e.rsp, G_STACK - 0x80);
	assert_int_equal(e.ss, S_UDATA | 3);
	e = RUN(G_PROT, 0, NULL, "\x0f\x0b");
	assert_int_equal(e.s.gpr[X86_RSP], G_STACK - 0x80 - 12);
	e = RUN(G_REAL, 0, NULL, "\x0f\x0b");
	assert_int_equal(e.s.gpr[X86_RSP], G_STACK - 0x80 - 6);
}

static void an_8086_program_leaves_its_segments_on_the_stack(void **state)
{
	struct g_end e = RUN(G_VM86, 3, NULL, "\x0f\x0b");

	(void)state;
	assert_int_equal(e.vector, 6);
	assert_int_equal(e.flags & 0x20000, 0x20000);
	assert_int_equal(e.s.rflags & 0x20000, 0);
	assert_int_equal(e.s.gpr[X86_RSP], G_STACK0 - 36);
	for (unsigned n = 0; n < 4; n++)
		assert_true(e.s.seg[n < 1 ? X86_ES : X86_SS + n].attr & X86_SEG_UNUSABLE);
}

static void flags_of_the_handler(void **state)
{
	struct g_end e;

	(void)state;
	guest.arg = 0x200 | 0x4000 | 0x3000; /* IF, NT, IOPL */
	e = RUN(G_LONG, 3, g_flags, "\x0f\x0b");
	assert_int_equal(e.flags, 0x7202 | FLAG_RF);
	assert_int_equal(e.s.rflags, 0x3002);
}

/* CR4 from .arg bits 7:0, RFLAGS from the rest; a frame of an 8086 program's IRET. */
static void with_virtual_if(struct guest *g, struct x86_vcpu *s)
{
	s->cr4 |= g->arg & 0xff;
	s->rflags |= g->arg & ~UINT64_C(0xff);
	g_put(g, s->gpr[X86_RSP], G_STOP, 2);
	g_put(g, s->gpr[X86_RSP] + 2, 0, 2);
	g_put(g, s->gpr[X86_RSP] + 4, 0x202, 2);
}

#define VIF   0x80000u
#define VIP   0x100000u
#define IOPL3 0x3000u

static void interrupts_can_be_virtual(void **state)
{
	struct g_end e;

	(void)state;
	/* CR4.PVI at CPL 3: STI and CLI are about VIF; a pending one is reported at once. */
	guest.arg = 2;
	e = RUN(G_PROT, 3, with_virtual_if, "\xfb");
	assert_int_equal(e.vector, G_RAN);
	assert_int_equal(e.flags & (VIF | 0x200), VIF);
	guest.arg = 2 | VIF;
	e = RUN(G_PROT, 3, with_virtual_if, "\xfa");
	assert_int_equal(e.flags & (VIF | 0x200), 0);
	guest.arg = 2 | VIP;
	e = RUN(G_PROT, 3, with_virtual_if, "\xfb");
	assert_int_equal(e.vector, 13);
	assert_int_equal(e.rip, G_CODE);
	/* CR4.VME: PUSHF shows VIF as IF, and IOPL 3; IRET sets it. */
	guest.arg = 1 | VIF;
	e = RUN(G_VM86, 3, with_virtual_if, "\x9c");
	assert_int_equal(e.vector, G_RAN);
	assert_int_equal(g_get(&guest, G_STACK - 0x82, 2), 0x3202);
	guest.arg = 1;
	e = RUN(G_VM86, 3, with_virtual_if, "\xcf");
	assert_int_equal(e.vector, G_JUMPED);
	assert_int_equal(e.flags & (VIF | 0x200), VIF);
	guest.arg = 1 | VIP;
	e = RUN(G_VM86, 3, with_virtual_if, "\xcf");
	assert_int_equal(e.vector, 13);
	assert_int_equal(e.rip, G_CODE);
	/* With IOPL 3 they are real, and the VIF is left alone. */
	guest.arg = 1 | IOPL3 | VIF;
	e = RUN(G_VM86, 3, with_virtual_if, "\xfb\xfa");
	assert_int_equal(e.flags & (VIF | 0x200), VIF);
}

static void a_single_step_is_told_in_dr6(void **state)
{
	struct g_end e;

	(void)state;
	guest.arg = 0x100;
	e = RUN(G_LONG, 3, g_flags, "\x90\x90");
	assert_int_equal(e.vector, 1);
	assert_int_equal(e.rip, G_CODE + 1);
	assert_int_equal(e.flags, 0x102);
	assert_int_equal(e.s.dr6, 0xffff4ff0);
	/* Behind MOV SS the trap waits: mov ss, ax; nop. */
	guest.arg = 0;
	e = RUN(G_LONG, 3, g_flags, "\x9c\x80\x4c\x24\x01\x01\x9d\x90\x90");
	assert_int_equal(e.rip, G_CODE + 8); /* POPF that sets TF traps behind the next one */
}

static void with_string(struct guest *g, struct x86_vcpu *s)
{
	s->gpr[X86_RCX] = 3;
	s->gpr[X86_RSI] = s->gpr[X86_RDI] = s->gpr[X86_RSP] - 64;
	(void)g;
}

static void a_single_step_stops_behind_each_element_of_a_string(void **state)
{
	struct g_end e;

	(void)state;
	/* The page is in the TLB when POPF sets TF. */
	e = RUN(G_LONG, 3, with_string, "\x88\x07\x9c\x80\x4c\x24\x01\x01\x9d\xf3\xa4\x90");
	assert_int_equal(e.vector, 1);
	assert_int_equal(e.rip, G_CODE + 9);
	assert_int_equal(e.s.gpr[X86_RCX], 2);
}

static void with_shadow(struct guest *g, struct x86_vcpu *s)
{
	s->rflags |= 0x100;
	s->gpr[X86_RAX] = S_UDATA | 3;
	(void)g;
}

static void a_trap_waits_for_the_instruction_behind_mov_ss(void **state)
{
	struct g_end e = RUN(G_LONG, 3, with_shadow, "\x8e\xd0\x90\x90");

	(void)state;
	assert_int_equal(e.vector, 1);
	assert_int_equal(e.rip, G_CODE + 3);
}

/* IRET to a breakpoint at G_STOP, with the flags .arg. */
static void with_iret(struct guest *g, struct x86_vcpu *s)
{
	const uint64_t frame[] = {G_STOP, S_CODE64, g->arg, G_STACK, S_DATA};

	for (unsigned n = 0; n < 5; n++)
		g_put(g, s->gpr[X86_RSP] + 8 * n, frame[n], 8);
	s->dr[3] = G_STOP;
	s->dr7 |= 0x80;
}

static void with_breakpoint(struct guest *g, struct x86_vcpu *s)
{
	s->dr[1] = G_CODE + 1;
	s->dr7 |= 8; /* G1: execution */
	s->rflags |= g->arg;
}

static void an_instruction_breakpoint_is_a_fault_that_rf_skips(void **state)
{
	struct g_end e;

	(void)state;
	guest.arg = 0;
	e = RUN(G_LONG, 3, with_breakpoint, "\x90\x90\x90");
	assert_int_equal(e.vector, 1);
	assert_int_equal(e.rip, G_CODE + 1);
	assert_int_equal(e.s.dr6, 0xffff0ff2);
	assert_int_equal(e.flags & FLAG_RF, 0);
	/* RF in the image of an IRET lets the next instruction pass. */
	guest.arg = 2;
	e = RUN(G_LONG, 0, with_iret, "\x48\xcf");
	assert_int_equal(e.vector, 1);
	assert_int_equal(e.rip, G_STOP);
	guest.arg = FLAG_RF | 2;
	e = RUN(G_LONG, 0, with_iret, "\x48\xcf");
	assert_int_equal(e.vector, G_JUMPED);
}

static void with_watch(struct guest *g, struct x86_vcpu *s)
{
	(void)g;
	s->dr[2] = G_DATA + 4;
	s->dr7 |= 2u << 4 | 1u << 24 | 3u << 26; /* G2: writes, 4 bytes */
}

static void a_data_breakpoint_is_a_trap(void **state)
{
	struct g_end e = RUN(G_LONG, 3, with_watch, "\x89\x43\x06\x90"); /* mov [rbx+6], eax */

	(void)state;
	assert_int_equal(e.vector, 1);
	assert_int_equal(e.rip, G_CODE + 3);
	assert_int_equal(e.s.dr6, 0xffff0ff4);
	e = RUN(G_LONG, 3, with_watch, "\x8b\x43\x06\x90"); /* a read is none */
	assert_int_equal(e.vector, G_RAN);
}

static void with_port_watch(struct guest *g, struct x86_vcpu *s)
{
	s->rflags |= 0x3000;
	s->cr4 |= g->arg;
	s->dr[0] = 0x80;
	s->dr7 |= 2 | 2u << 16; /* G0: ports, 1 byte */
}

static void a_port_breakpoint_traps_behind_the_access(void **state)
{
	struct g_end e;

	(void)state;
	guest.arg = 8;					     /* CR4.DE */
	e = RUN(G_LONG, 3, with_port_watch, "\xe6\x80\x90"); /* out 80h, al */
	assert_int_equal(e.vector, 1);
	assert_int_equal(e.rip, G_CODE + 2);
	assert_int_equal(e.s.dr6, 0xffff0ff1);
	e = RUN(G_LONG, 3, with_port_watch, "\xe6\x81\x90");
	assert_int_equal(e.vector, G_RAN);
	guest.arg = 0;
	e = RUN(G_LONG, 3, with_port_watch, "\xe6\x80\x90");
	assert_int_equal(e.vector, G_RAN);
}

static void a_task_gate_pushes_the_error_code_on_the_new_stack(void **state)
{
	struct g_end e;

	(void)state;
	e = RUN(G_PROT, 3, with_task, "\xcd\x40");
	assert_int_equal(e.vector, G_JUMPED);
	assert_int_equal(e.s.seg[X86_TR].sel, S_TSS2);
	assert_int_equal(e.s.rflags, 0x4002); /* NT */
	assert_int_equal(g_get(&guest, G_TSS2, 2), S_TSS);
	assert_int_equal(g_get(&guest, G_TSS + 32, 4), G_CODE + 2);
	assert_int_equal(g_get(&guest, G_TSS + 56, 4), G_STACK - 0x80);
	assert_int_equal(g_get(&guest, G_TSS + 76, 2), S_UCODE | 3);
	assert_int_equal(g_get(&guest, G_GDT + S_TSS + 5, 1) & 2, 2); /* still busy */
	assert_int_equal(g_get(&guest, G_GDT + S_TSS2 + 5, 1) & 2, 2);
	assert_int_equal(e.s.gpr[X86_RCX], 0x11110001);
	assert_int_equal(e.s.cr0 & X86_CR0_TS, X86_CR0_TS);
}

/* A 16-bit TSS with its own way of writing stacks, and a 16-bit gate. */
static void with_tss16(struct guest *g, struct x86_vcpu *s)
{
	memset(g_at(g, G_TSS), 0, 0x80);
	g_put(g, G_TSS + 2, G_STACK0, 2);
	g_put(g, G_TSS + 4, S_DATA, 2);
	x86_seg_set(&s->seg[X86_TR], S_TSS, G_TSS, 0x2b, 0x83);
	g_put(g, gate_at(g, 0x40), g_gate(S_CODE, G_HLTS + 16 * 0x40, 6, 3), 8);
}

static void a_16_bit_gate_and_tss_push_words(void **state)
{
	static const uint16_t frame[] = {G_CODE + 2, S_UCODE | 3, 2, G_STACK - 0x80, S_UDATA | 3};
	struct g_end e = RUN(G_PROT, 3, with_tss16, "\xcd\x40");

	(void)state;
	assert_int_equal(e.vector, 0x40);
	assert_int_equal(e.s.gpr[X86_RSP], G_STACK0 - 10);
	for (unsigned n = 0; n < ARRAY_LEN(frame); n++)
		assert_int_equal(g_get(&guest, G_STACK0 - 10 + 2 * n, 2), frame[n]);
}

/* From a 32-bit task to a 16-bit one. */
static void with_task16(struct guest *g, struct x86_vcpu *s)
{
	with_task(g, s);
	memset(g_at(g, G_TSS2), 0, 0x68);
	g_gdt_put(g, S_TSS2, g_desc(G_TSS2, 0x2b, 0x81 | A_DPL(3)));
	g_put(g, G_TSS2 + 14, G_STOP, 2);
	g_put(g, G_TSS2 + 16, 2, 2);
	g_put(g, G_TSS2 + 20, 0x2222, 2);   /* CX */
	g_put(g, G_TSS2 + 26, G_STACK1, 2); /* SP */
	g_put(g, G_TSS2 + 34, S_DATA, 2);   /* ES */
	g_put(g, G_TSS2 + 36, S_CODE, 2);   /* CS */
	g_put(g, G_TSS2 + 38, S_DATA, 2);   /* SS */
	g_put(g, G_TSS2 + 40, S_RODATA, 2); /* DS */
}

static void a_16_bit_task_can_be_switched_to(void **state)
{
	struct g_end e = RUN(G_PROT, 3, with_task16, "\xcd\x40");

	(void)state;
	assert_int_equal(e.vector, G_JUMPED);
	assert_int_equal((uint16_t)e.s.gpr[X86_RCX], 0x2222);
	assert_int_equal((uint16_t)e.s.gpr[X86_RSP], G_STACK1);
	assert_int_equal(e.s.seg[X86_DS].sel, S_RODATA);
	assert_int_equal(e.s.seg[X86_FS].sel, 0);
	assert_int_equal(e.s.seg[X86_TR].attr & 15, 3);
	assert_int_equal(g_get(&guest, G_TSS2, 2), S_TSS);
	assert_int_equal(g_get(&guest, G_TSS + 32, 4), G_CODE + 2);
}

/* #DF by a task gate, as 32-bit Linux has it: its error code lies on the new task's stack. */
static void with_df_task(struct guest *g, struct x86_vcpu *s)
{
	with_npgate2(g, s);
	g_put(g, gate_at(g, 8), g_gate(S_TSS2, 0, 5, 0), 8);
	s->seg[X86_TR].limit = 0x67;
}

static void a_double_fault_can_have_its_own_task(void **state)
{
	struct g_end e = RUN(G_PROT, 3, with_df_task, "\x0f\x0b");

	(void)state;
	assert_int_equal(e.vector, G_JUMPED);
	assert_int_equal(e.s.seg[X86_TR].sel, S_TSS2);
	assert_int_equal(e.s.gpr[X86_RSP], G_STACK1 - 4);
	assert_int_equal(g_get(&guest, G_STACK1 - 4, 4), 0);
	assert_int_equal(g_get(&guest, G_TSS + 32, 4), G_CODE);
}

static void with_nested(struct guest *g, struct x86_vcpu *s)
{
	with_task(g, s);
	g_put(g, G_STOP, 0xcf, 1); /* IRET */
}

static void iret_with_nt_goes_back_to_the_task(void **state)
{
	struct g_end e = RUN(G_PROT, 3, with_nested, "\xcd\x40");

	(void)state;
	assert_int_equal(e.vector, G_RAN);
	assert_int_equal(e.s.seg[X86_TR].sel, S_TSS);
	assert_int_equal(e.cs, S_UCODE | 3);
	assert_int_equal(g_get(&guest, G_GDT + S_TSS2 + 5, 1) & 2, 0); /* no longer busy */
	assert_int_equal(g_get(&guest, G_TSS2 + 36, 4) & 0x4000, 0);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(events_end_where_mode_gate_and_privilege_send_them),
		cmocka_unit_test(long_mode_pushes_a_whole_frame),
		cmocka_unit_test(the_interrupt_stack_table_changes_the_stack),
		cmocka_unit_test(a_page_fault_tells_address_and_access),
		cmocka_unit_test(a_page_fault_without_a_stack_is_a_double_fault),
		cmocka_unit_test(a_stack_that_is_not_canonical_is_a_stack_fault),
		cmocka_unit_test(a_handler_that_is_not_canonical_is_a_protection_fault),
		cmocka_unit_test(a_vector_beyond_the_table_is_a_protection_fault),
		cmocka_unit_test(protected_mode_pushes_what_privilege_needs),
		cmocka_unit_test(an_8086_program_leaves_its_segments_on_the_stack),
		cmocka_unit_test(flags_of_the_handler),
		cmocka_unit_test(interrupts_can_be_virtual),
		cmocka_unit_test(a_single_step_is_told_in_dr6),
		cmocka_unit_test(a_single_step_stops_behind_each_element_of_a_string),
		cmocka_unit_test(a_trap_waits_for_the_instruction_behind_mov_ss),
		cmocka_unit_test(an_instruction_breakpoint_is_a_fault_that_rf_skips),
		cmocka_unit_test(a_data_breakpoint_is_a_trap),
		cmocka_unit_test(a_port_breakpoint_traps_behind_the_access),
		cmocka_unit_test(a_task_gate_pushes_the_error_code_on_the_new_stack),
		cmocka_unit_test(a_16_bit_gate_and_tss_push_words),
		cmocka_unit_test(a_16_bit_task_can_be_switched_to),
		cmocka_unit_test(a_double_fault_can_have_its_own_task),
		cmocka_unit_test(iret_with_nt_goes_back_to_the_task),
	};
	int rc;

	g_init(&guest, &accel_bt);
	rc = cmocka_run_group_tests(tests, NULL, NULL);
	g_exit(&guest);
	return rc;
}
