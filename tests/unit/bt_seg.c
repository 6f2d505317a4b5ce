/*
 * Segments, far transfers and descriptors: every kind by every mode and privilege (SDM 3A chapter
 * 5, SDM 2 JMP, CALL, RET, IRET).
 */
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

/* Words on the stack, of the size of IRET's or of other frames. */
static void frame(struct guest *g, struct x86_vcpu *s, const uint64_t *v, unsigned n, unsigned size)
{
	for (unsigned k = 0; k < n; k++)
		g_put(g, s->gpr[X86_RSP] + k * size, v[k], size);
}

/* A far pointer to G_STOP at G_DATA. */
static void with_far(struct guest *g, struct x86_vcpu *s)
{
	unsigned size = g_osize(g);

	(void)s;
	g_put(g, G_DATA, G_STOP, size);
	g_put(g, G_DATA + size, g->mode <= G_VM86 ? 0 : g->arg, 2);
}

static void with_retf(struct guest *g, struct x86_vcpu *s)
{
	const uint64_t v[] = {G_STOP, s->seg[X86_CS].sel};

	frame(g, s, v, 2, g_osize(g));
}

static uint16_t user_code(const struct guest *g, const struct x86_vcpu *s)
{
	if (g->mode <= G_VM86)
		return s->seg[X86_CS].sel;
	return (g->mode == G_LONG ? S_UCODE64 : S_UCODE) | 3;
}

static void with_retf_outer(struct guest *g, struct x86_vcpu *s)
{
	const uint64_t v[] = {G_STOP, user_code(g, s), G_STACK - 16, S_UDATA | 3};

	frame(g, s, v, 4, g_osize(g));
}

static void with_iret(struct guest *g, struct x86_vcpu *s)
{
	const uint64_t v[] = {G_STOP, s->seg[X86_CS].sel, 0x46, G_STACK - 16, s->seg[X86_SS].sel};

	frame(g, s, v, 5, g_osize(g));
}

static void with_iret_outer(struct guest *g, struct x86_vcpu *s)
{
	const uint64_t v[] = {G_STOP, user_code(g, s), 0x46, G_STACK - 16, S_UDATA | 3};

	frame(g, s, v, 5, g_osize(g));
}

/* clang-format off */
static const struct g_case cases[] = {
	G_CASE("mov ds,ax data", "ran ran ran ran 13:10 ran 13:10 ran 13:10",
	       g_eax, S_DATA, 0x8e, 0xd8),
	G_CASE("mov ds,ax udata3", "ran", g_eax, S_UDATA | 3, 0x8e, 0xd8),
	G_CASE("mov ds,ax rpl3 data0", "ran ran 13:10", g_eax, S_DATA | 3, 0x8e, 0xd8),
	G_CASE("mov ds null", "ran", g_eax, 0, 0x8e, 0xd8),
	G_CASE("mov ds null3", "ran", g_eax, 3, 0x8e, 0xd8),
	G_CASE("mov ds absent", "ran ran 11:60 11:60 13:60 11:60 13:60 11:60 13:60",
	       g_eax, S_ABSENT, 0x8e, 0xd8),
	G_CASE("mov ds beyond", "ran ran 13:1008", g_eax, S_BEYOND, 0x8e, 0xd8),
	G_CASE("mov ds xonly", "ran ran 13:a0", g_eax, S_XONLY, 0x8e, 0xd8),
	G_CASE("mov ds code", "ran ran ran ran 13:8 ran 13:8 ran 13:8", g_eax, S_CODE, 0x8e, 0xd8),
	G_CASE("mov ds conf", "ran", g_eax, S_CONF | 3, 0x8e, 0xd8),
	G_CASE("mov ds tss", "ran ran 13:38", g_eax, S_TSS, 0x8e, 0xd8),
	G_CASE("mov ds ldt", "ran ran 13:104", g_eax, 0x104, 0x8e, 0xd8),
	G_CASE("mov ds ldt0", "ran ran 13:c", g_eax, 0xc, 0x8e, 0xd8),
	G_CASE("mov ds rodata", "ran ran ran ran 13:68 ran 13:68 ran 13:68",
	       g_eax, S_RODATA, 0x8e, 0xd8),
	G_CASE("mov ds fresh", "ran", g_eax, S_FRESH | 3, 0x8e, 0xd8),
	G_CASE("mov ds data1", "ran ran ran ran 13:b0 ran 13:b0 ran 13:b0",
	       g_eax, S_DATA1 | 1, 0x8e, 0xd8),
	G_CASE("mov ds down", "ran ran ran ran 13:c8 ran 13:c8 ran 13:c8",
	       g_eax, S_DOWN, 0x8e, 0xd8),
	G_CASE("mov ss data", "ran ran ran ran 13:10 ran 13:10 ran 13:10",
	       g_eax, S_DATA, 0x8e, 0xd0),
	G_CASE("mov ss udata3", "ran ran 13:28 13:28 ran 13:28 ran 13:28 ran",
	       g_eax, S_UDATA | 3, 0x8e, 0xd0),
	G_CASE("mov ss null", "ran ran 13 13 13 13 13 ran 13", g_eax, 0, 0x8e, 0xd0),
	G_CASE("mov ss null3", "ran ran 13", g_eax, 3, 0x8e, 0xd0),
	G_CASE("mov ss ro", "ran ran 13:68", g_eax, S_RODATA, 0x8e, 0xd0),
	G_CASE("mov ss absent", "ran ran 12:60 12:60 13:60 12:60 13:60 12:60 13:60",
	       g_eax, S_ABSENT, 0x8e, 0xd0),
	G_CASE("mov ss code", "ran ran 13:8", g_eax, S_CODE, 0x8e, 0xd0),
	G_CASE("mov cs", "6", g_eax, S_CODE, 0x8e, 0xc8),
	G_CASE("mov ax,cs", "ran", NULL, 0, 0x8c, 0xc8),
	G_CASE("mov fs", "ran", g_eax, S_UDATA | 3, 0x8e, 0xe0),
	G_CASE("push fs", "ran", NULL, 0, 0x0f, 0xa0),
	G_CASE("push ds", "ran ran ran ran ran ran ran 6", NULL, 0, 0x1e),
	G_CASE("push es;pop ds", "ran ran ran ran ran ran ran 6", NULL, 0, 0x06, 0x1f),
	G_CASE("push gs; pop fs", "ran", NULL, 0, 0x0f, 0xa8, 0x0f, 0xa1),
	G_CASE("lds", "ran ran ran ran ran ran ran 6", with_far, S_UDATA | 3, 0xc5, 0x03),
	G_CASE("lss", "ran ran 13:28 13:28 ran 13:28 ran 13:28 ran",
	       with_far, S_UDATA | 3, 0x0f, 0xb2, 0x03),
	G_CASE("lgs", "ran ran ran ran 13:10 ran 13:10 ran 13:10",
	       with_far, S_DATA, 0x0f, 0xb5, 0x03),
	G_CASE("jmpf code", "jumped jumped jumped jumped 13:8 jumped 13:8 jumped 13:8",
	       with_far, S_CODE, 0xff, 0x2b),
	G_CASE("jmpf code64", "jumped jumped jumped jumped 13:18 jumped 13:18 jumped 13:18",
	       with_far, S_CODE64, 0xff, 0x2b),
	G_CASE("jmpf ucode3", "jumped jumped 13:20 13:20 jumped 13:20 jumped 13:20 jumped",
	       with_far, S_UCODE | 3, 0xff, 0x2b),
	G_CASE("jmpf ucode64 3", "jumped jumped 13:30 13:30 jumped 13:30 jumped 13:30 jumped",
	       with_far, S_UCODE64 | 3, 0xff, 0x2b),
	G_CASE("jmpf conf", "jumped", with_far, S_CONF, 0xff, 0x2b),
	G_CASE("jmpf conf3", "jumped", with_far, S_CONF | 3, 0xff, 0x2b),
	G_CASE("jmpf nocode", "jumped jumped 11:a8 11:a8 13:a8 11:a8 13:a8 11:a8 13:a8",
	       with_far, S_NOCODE, 0xff, 0x2b),
	G_CASE("jmpf data", "jumped jumped 13:10", with_far, S_DATA, 0xff, 0x2b),
	G_CASE("jmpf null", "jumped jumped 13", with_far, 0, 0xff, 0x2b),
	G_CASE("jmpf gate", "jumped jumped jumped jumped 13:8 jumped 13:18 jumped 13:18",
	       with_far, S_GATE | 3, 0xff, 0x2b),
	G_CASE("jmpf gate0", "jumped jumped jumped jumped 13:b8 jumped 13:b8 jumped 13:b8",
	       with_far, S_GATE0, 0xff, 0x2b),
	G_CASE("jmpf tss2", "jumped jumped jumped jumped jumped 13:98",
	       with_far, S_TSS2 | 3, 0xff, 0x2b),
	G_CASE("jmpf tss busy", "jumped jumped 13:38", with_far, S_TSS, 0xff, 0x2b),
	G_CASE("jmpf task", "jumped jumped jumped jumped jumped 13:90",
	       with_far, S_TASK | 3, 0xff, 0x2b),
	G_CASE("jmpf ldt", "jumped jumped 13:48", with_far, S_LDT, 0xff, 0x2b),
	G_CASE("jmpf beyond", "jumped jumped 13:1008", with_far, S_BEYOND, 0xff, 0x2b),
	G_CASE("jmpf code16", "jumped jumped jumped jumped 13:70 jumped 13:70 jumped 13:70",
	       with_far, S_CODE16, 0xff, 0x2b),
	G_CASE("jmpf ring1", "jumped jumped 13:d8", with_far, S_RING1 | 1, 0xff, 0x2b),
	G_CASE("callf code", "jumped jumped jumped jumped 13:8 jumped 13:8 jumped 13:8",
	       with_far, S_CODE, 0xff, 0x1b),
	G_CASE("callf ucode3", "jumped jumped 13:20 13:20 jumped 13:20 jumped 13:20 jumped",
	       with_far, S_UCODE | 3, 0xff, 0x1b),
	G_CASE("callf conf3", "jumped", with_far, S_CONF | 3, 0xff, 0x1b),
	G_CASE("callf gate", "jumped", with_far, S_GATE | 3, 0xff, 0x1b),
	G_CASE("callf gate0", "jumped jumped jumped jumped 13:b8 jumped 13:b8 jumped 13:b8",
	       with_far, S_GATE0, 0xff, 0x1b),
	G_CASE("callf tss2", "jumped jumped jumped jumped jumped 13:98",
	       with_far, S_TSS2 | 3, 0xff, 0x1b),
	G_CASE("callf task", "jumped jumped jumped jumped jumped 13:90",
	       with_far, S_TASK | 3, 0xff, 0x1b),
	G_CASE("callf null", "jumped jumped 13", with_far, 0, 0xff, 0x1b),
	G_CASE("callf data", "jumped jumped 13:10", with_far, S_DATA, 0xff, 0x1b),
	G_CASE("retf", "jumped", with_retf, 0, 0xcb),
	G_CASE("retf 4", "jumped", with_retf, 0, 0xca, 0x04, 0x00),
	G_CASE("lldt", "6 6 ran ran 13 ran 13 ran 13", g_eax, S_LDT, 0x0f, 0x00, 0xd0),
	G_CASE("lldt null", "6 6 ran ran 13 ran 13 ran 13", g_eax, 0, 0x0f, 0x00, 0xd0),
	G_CASE("lldt data", "6 6 13:10 13:10 13 13:10 13 13:10 13",
	       g_eax, S_DATA, 0x0f, 0x00, 0xd0),
	G_CASE("ltr tss2", "6 6 ran ran 13 13:98 13 13:98 13", g_eax, S_TSS2, 0x0f, 0x00, 0xd8),
	G_CASE("ltr busy", "6 6 13:38 13:38 13 13:38 13 13:38 13", g_eax, S_TSS, 0x0f, 0x00, 0xd8),
	G_CASE("ltr null", "6 6 13", g_eax, 0, 0x0f, 0x00, 0xd8),
	G_CASE("sldt", "6 6 ran", NULL, 0, 0x0f, 0x00, 0xc0),
	G_CASE("str", "6 6 ran", NULL, 0, 0x0f, 0x00, 0xc8),
	G_CASE("lar data", "6 6 ran", g_eax, S_DATA, 0x0f, 0x02, 0xc8),
	G_CASE("lar udata", "6 6 ran", g_eax, S_UDATA | 3, 0x0f, 0x02, 0xc8),
	G_CASE("lar tss", "6 6 ran", g_eax, S_TSS2, 0x0f, 0x02, 0xc8),
	G_CASE("lar gate", "6 6 ran", g_eax, S_GATE | 3, 0x0f, 0x02, 0xc8),
	G_CASE("lar task", "6 6 ran", g_eax, S_TASK | 3, 0x0f, 0x02, 0xc8),
	G_CASE("lar null", "6 6 ran", g_eax, 0, 0x0f, 0x02, 0xc8),
	G_CASE("lar beyond", "6 6 ran", g_eax, S_BEYOND, 0x0f, 0x02, 0xc8),
	G_CASE("lar conf", "6 6 ran", g_eax, S_CONF | 3, 0x0f, 0x02, 0xc8),
	G_CASE("lar ldt", "6 6 ran", g_eax, S_LDT, 0x0f, 0x02, 0xc8),
	G_CASE("lsl data", "6 6 ran", g_eax, S_DATA, 0x0f, 0x03, 0xc8),
	G_CASE("lsl udata", "6 6 ran", g_eax, S_UDATA | 3, 0x0f, 0x03, 0xc8),
	G_CASE("lsl gate", "6 6 ran", g_eax, S_GATE | 3, 0x0f, 0x03, 0xc8),
	G_CASE("lsl tss", "6 6 ran", g_eax, S_TSS, 0x0f, 0x03, 0xc8),
	G_CASE("verr", "6 6 ran", g_eax, S_UDATA | 3, 0x0f, 0x00, 0xe0),
	G_CASE("verr xonly", "6 6 ran", g_eax, S_XONLY, 0x0f, 0x00, 0xe0),
	G_CASE("verw", "6 6 ran", g_eax, S_UDATA | 3, 0x0f, 0x00, 0xe8),
	G_CASE("verw ro", "6 6 ran", g_eax, S_RODATA, 0x0f, 0x00, 0xe8),
	G_CASE("verr tss", "6 6 ran", g_eax, S_TSS, 0x0f, 0x00, 0xe0),
	G_CASE("arpl", "6 6 ran", g_eax, 0x40, 0x63, 0xc8),
	G_CASE("retf to user", "jumped", with_retf_outer, 0, 0xcb),
	G_CASE("iret", "jumped 13 jumped", with_iret, 0, 0xcf),
	G_CASE("iret to user", "jumped 13 jumped", with_iret_outer, 0, 0xcf),
};
/* clang-format on */

static void every_selector_is_judged_as_the_manual_says(void **state)
{
	(void)state;
	g_table(&guest, cases, ARRAY_LEN(cases));
}

static void a_loaded_segment_is_marked_accessed(void **state)
{
	struct g_end e = RUN(G_LONG, 3, g_eax, S_FRESH | 3, "\x8e\xd8");

	(void)state;
	assert_int_equal(e.vector, G_RAN);
	assert_int_equal(g_get(&guest, G_GDT + S_FRESH + 5, 1), 0xf3);
	assert_int_equal(e.s.seg[X86_DS].sel, S_FRESH | 3);
	assert_int_equal(e.s.seg[X86_DS].attr, 0xc0f3);
	assert_int_equal(e.s.seg[X86_DS].limit, 0xffffffff);
}

static void real_mode_keeps_the_limit_of_a_segment(void **state)
{
	struct g_end e = RUN(G_REAL, 0, g_eax, 0x1234, "\x8e\xd8");

	(void)state;
	assert_int_equal(e.s.seg[X86_DS].base, 0x12340);
	assert_int_equal(e.s.seg[X86_DS].limit, 0xffff);
}

static void a_return_to_an_outer_level_takes_inner_segments_away(void **state)
{
	struct g_end e = RUN(G_PROT, 0, with_retf_outer, 0, "\xcb");

	(void)state;
	assert_int_equal(e.vector, G_JUMPED);
	assert_int_equal(e.cs, S_UCODE | 3);
	assert_int_equal(e.rsp, G_STACK - 16);
	assert_int_equal(e.ss, S_UDATA | 3);
	assert_int_equal(e.s.seg[X86_DS].sel, 0);
	assert_true(e.s.seg[X86_ES].attr & X86_SEG_UNUSABLE);
	assert_true(e.s.seg[X86_GS].attr & X86_SEG_UNUSABLE);
}

static void with_base(struct guest *g, struct x86_vcpu *s)
{
	const uint64_t v[] = {G_STOP, S_UCODE64 | 3, 0x46, G_STACK - 16, S_UDATA | 3};

	frame(g, s, v, 5, 8);
	s->seg[X86_FS] =
		(struct x86_seg){.base = UINT64_C(0x7fff12345000), .attr = X86_SEG_UNUSABLE};
}

static void iretq_keeps_the_bases_of_null_segments(void **state)
{
	struct g_end e = RUN(G_LONG, 0, with_base, 0, "\x48\xcf");

	(void)state;
	assert_int_equal(e.vector, G_JUMPED);
	assert_int_equal(e.s.seg[X86_FS].base, UINT64_C(0x7fff12345000));
	assert_int_equal(e.s.seg[X86_FS].sel, 0);
}

/* A 32-bit gate with three parameters. */
static void with_params(struct guest *g, struct x86_vcpu *s)
{
	const uint64_t v[] = {0x11, 0x22, 0x33};

	with_far(g, s);
	g_put(g, G_GDT + S_GATE + 4, 3, 1);
	frame(g, s, v, 3, 4);
}

static void a_call_gate_copies_parameters_to_the_inner_stack(void **state)
{
	static const uint32_t expect[] = {G_CODE + 2, S_UCODE | 3,    0x11,	  0x22,
					  0x33,	      G_STACK - 0x80, S_UDATA | 3};
	struct g_end e = RUN(G_PROT, 3, with_params, S_GATE | 3, "\xff\x1b");

	(void)state;
	assert_int_equal(e.vector, G_JUMPED);
	assert_int_equal(e.s.seg[X86_CS].sel, S_CODE);
	assert_int_equal(e.s.gpr[X86_RSP], G_STACK0 - 28);
	for (unsigned n = 0; n < ARRAY_LEN(expect); n++)
		assert_int_equal(g_get(&guest, G_STACK0 - 28 + 4 * n, 4), expect[n]);
}

static void a_call_gate_of_long_mode_pushes_eight_bytes_each(void **state)
{
	struct g_end e = RUN(G_COMPAT, 3, with_far, S_GATE | 3, "\xff\x1b");

	(void)state;
	assert_int_equal(e.vector, G_JUMPED);
	assert_int_equal(e.s.seg[X86_CS].sel, S_CODE64);
	assert_int_equal(e.s.seg[X86_SS].sel, 0);
	assert_int_equal(e.s.gpr[X86_RSP], G_STACK0 - 32);
	assert_int_equal(g_get(&guest, G_STACK0 - 32, 8), G_CODE + 2);
	assert_int_equal(g_get(&guest, G_STACK0 - 24, 8), S_UCODE | 3);
}

/* From ring 0 to an 8086 program. */
static void with_vm86(struct guest *g, struct x86_vcpu *s)
{
	const uint64_t v[] = {G_STOP - 0x100, 0x10, 0x23002, 0x6f00, 0x20, 0x30, 0x40, 0x50, 0x60};

	frame(g, s, v, 9, 4);
}

static void iret_enters_virtual_8086_mode(void **state)
{
	struct g_end e = RUN(G_PROT, 0, with_vm86, 0, "\xcf");

	(void)state;
	assert_int_equal(e.vector, 13); /* HLT there */
	assert_int_equal(e.rip, G_STOP - 0x100);
	assert_int_equal(e.cs, 0x10);
	assert_int_equal(e.flags, 0x33002);
	assert_int_equal(e.rsp, 0x6f00);
	assert_int_equal(e.ss, 0x20);
	assert_int_equal(g_get(&guest, G_STACK0 - 16, 4), 0x30); /* ES, DS, FS, GS */
	assert_int_equal(g_get(&guest, G_STACK0 - 4, 4), 0x60);
}

/* A 16-bit stack keeps the upper half of ESP. */
static void with_esp(struct guest *g, struct x86_vcpu *s)
{
	(void)g;
	s->gpr[X86_RSP] |= 0x12340000;
}

static void a_16_bit_stack_uses_sp_alone(void **state)
{
	struct g_end e = RUN(G_PROT16, 0, with_esp, 0, "\xcc");

	(void)state;
	assert_int_equal(e.vector, 3);
	assert_int_equal(e.s.gpr[X86_RSP], 0x12340000 + G_STACK - 0x80 - 12);
}

static void with_code_fault(struct guest *g, struct x86_vcpu *s)
{
	with_far(g, s);
	g_put(g, G_TSS2 + 76, S_DATA, 2); /* CS */
}

static void a_fault_in_the_new_tasks_segments_is_the_new_tasks(void **state)
{
	struct g_end e = RUN(G_PROT, 0, with_code_fault, S_TSS2, "\xff\x2b");

	(void)state;
	/* Its SS is not loaded yet: the stack for #TS is that of the TSS' ring 0, which is null. */
	assert_int_equal(e.vector, G_SHUTDOWN);
	e = RUN(G_PROT, 0, with_far, S_TSS2, "\xff\x2b");
	assert_int_equal(e.vector, G_JUMPED);
	assert_int_equal(e.s.seg[X86_TR].sel, S_TSS2);
	assert_int_equal(g_get(&guest, G_GDT + S_TSS + 5, 1) & 2, 0);
	assert_int_equal(g_get(&guest, G_TSS + 32, 4), G_CODE + 2);
}

static void lar_and_lsl_tell_what_a_descriptor_says(void **state)
{
	struct g_end e = RUN(G_LONG, 3, g_eax, S_UDATA | 3, "\x0f\x02\xc8"); /* lar ecx, ax */

	(void)state;
	assert_int_equal(e.s.gpr[X86_RCX], 0xcff300);
	e = RUN(G_LONG, 3, g_eax, S_UDATA | 3, "\x0f\x03\xc8");
	assert_int_equal(e.s.gpr[X86_RCX], 0xffffffff);
	e = RUN(G_LONG, 3, g_eax, S_DATA, "\x0f\x03\xc8"); /* not visible from there */
	assert_int_equal(e.s.gpr[X86_RCX], 0x01010101);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(every_selector_is_judged_as_the_manual_says),
		cmocka_unit_test(a_loaded_segment_is_marked_accessed),
		cmocka_unit_test(real_mode_keeps_the_limit_of_a_segment),
		cmocka_unit_test(a_return_to_an_outer_level_takes_inner_segments_away),
		cmocka_unit_test(iretq_keeps_the_bases_of_null_segments),
		cmocka_unit_test(a_call_gate_copies_parameters_to_the_inner_stack),
		cmocka_unit_test(a_call_gate_of_long_mode_pushes_eight_bytes_each),
		cmocka_unit_test(iret_enters_virtual_8086_mode),
		cmocka_unit_test(a_16_bit_stack_uses_sp_alone),
		cmocka_unit_test(a_fault_in_the_new_tasks_segments_is_the_new_tasks),
		cmocka_unit_test(lar_and_lsl_tell_what_a_descriptor_says),
	};
	int rc;

	g_init(&guest, &accel_bt);
	rc = cmocka_run_group_tests(tests, NULL, NULL);
	g_exit(&guest);
	return rc;
}
