/* Instructions on the host's own unit: every row, against the host itself. */
#include <stdio.h>

#include "bt_gen.h"

/* Where the memory operand lies: within a page, or across two. */
static uint64_t place(unsigned bytes, unsigned align)
{
	if (align)
		return (rnd() % (RIG_BYTES / 64)) * 64;
	if (rnd() % 4 == 0 && bytes > 1)
		return 0x1000 - 1 - rnd() % (bytes - 1);
	return rnd() % (RIG_BYTES - 64);
}

static void fail_with(const struct insn *i, const struct gen *g, const char *what, unsigned vector,
		      int sig)
{
	fprintf(stderr, "%s (", insn_table[i->row].name);
	for (unsigned n = 0; n < g->n; n++)
		fprintf(stderr, "%02x%s", g->b[n], n + 1 < g->n ? " " : "");
	fprintf(stderr, "): %s; guest vector %u, host signal %d\n", what, vector, sig);
}

static bool host_has(const struct insn_row *r)
{
	return insn_has(&rig.c->features, r->feature) &&
	       (r->map < MAP_E0F || insn_has(&rig.c->features, F_AVX512F));
}

/* The same bytes mean the same in 32-bit code: eight registers, no REX prefix, W clear. */
static bool fits_32bit(const struct gen *g, const struct insn_row *r)
{
	for (unsigned n = 0; r->map < MAP_V0F && n < 2; n++) {
		if ((g->b[n] & 0xf0) == 0x40)
			return false;
	}
	/* Bit 7 of an immediate may be that of a register. */
	return !g->w && g->imm < 0x80 && g->reg < 8 && g->rm < 8 && g->vvvv < 8;
}

static void set_code(unsigned size)
{
	rig.c->mode.code = (uint8_t)size;
	memset(rig.c->mode.flat, true, sizeof(rig.c->mode.flat));
	mmu_mode_changed(rig.c);
}

/* One random encoding of row @n, on both sides; 1 run, 0 the decoder has another row for it. */
static int try_row(unsigned n, insn_exec *exec, unsigned *wrong)
{
	const struct insn_row *r = &insn_table[n];
	struct bt_cpu *c = rig.c;
	const struct pure_stub *s;
	const char *what;
	unsigned vector;
	uint64_t at;
	unsigned mode;
	struct insn i;
	struct gen g;
	int sig;

	gen_row(&g, r, (int32_t)rnd() % 4096);
	mode = fits_32bit(&g, r) && rnd() % 2 ? 4 : 8;
	if (insn_decode(g.b, g.n, mode, &c->features, &i) != INSN_OK || i.len != g.n ||
	    i.exec != exec)
		return 0;
	rig_fill(0x1f80 | (rnd() & 0xe07f));
	fx_set16(c, FX_FCW, FCW_INIT);
	s = pure_stub_of(c, &i);
	at = place(s->mem ? s->mem : 1, s->align);
	c->gpr[X86_RBX] = RIG_DATA + at - (uint64_t)(int64_t)g.disp;
	native.gpr[X86_RBX] = (uintptr_t)native.data + at - (uint64_t)(int64_t)g.disp;
	set_code(mode);
	vector = rig_run(&i);
	set_code(8);
	sig = rig_host(g.b, g.n);
	what = vector != RIG_OK || sig ? "an exception" : rig_differs(FL_ALL);
	if (what) {
		fail_with(&i, &g, what, vector, sig);
		++*wrong;
	}
	return 1;
}

static void every_row_does_what_the_host_does(void **state)
{
	unsigned rows = 0, missed = 0, wrong = 0, runs = 0;

	(void)state;
	rig_new();
	for (unsigned n = 0; n < insn_rows; n++) {
		const struct insn_row *r = &insn_table[n];
		unsigned done = 0, before = wrong;

		if (r->exec != exec_pure || !host_has(r))
			continue;
		for (unsigned k = 0; k < 100 && wrong == before; k++) {
			if (k % 64 == 63)
				pure_flush(rig.c);
			done += (unsigned)try_row(n, exec_pure, &wrong);
		}
		rows++;
		runs += done;
		if (!done) {
			fprintf(stderr, "row %u, %s: no encoding of it was decoded\n", n, r->name);
			missed++;
		}
	}
	rig_free();
	print_message("%u rows, %u instructions\n", rows, runs);
	assert_int_equal(wrong, 0);
	assert_int_equal(missed, 0);
	assert_true(rows > 300);
}

/* A floating-point row with some exceptions unmasked: 1 run, 0 not. */
static int try_unmasked(unsigned n, unsigned *wrong, unsigned *trapped)
{
	struct bt_cpu *c = rig.c;
	const char *what = NULL;
	unsigned vector;
	struct insn i;
	struct gen g;
	int sig;

	gen_row(&g, &insn_table[n], 0);
	if (insn_decode(g.b, g.n, 8, &c->features, &i) != INSN_OK || i.exec != exec_pure)
		return 0;
	rig_fill((uint32_t)rnd() & 0xffff);
	c->gpr[X86_RBX] = RIG_DATA;
	native.gpr[X86_RBX] = (uintptr_t)native.data;
	vector = rig_run(&i);
	sig = rig_host(g.b, g.n);
	if ((vector == X86_XM) != (sig == SIGFPE) || (vector != X86_XM && vector != RIG_OK)) {
		what = "an exception";
	} else {
		what = rig_differs(FL_ALL);
	}
	if (what) {
		fail_with(&i, &g, what, vector, sig);
		++*wrong;
	}
	*trapped += sig == SIGFPE;
	return 1;
}

static void unmasked_exceptions_leave_all_but_flags_alone(void **state)
{
	unsigned wrong = 0, runs = 0, trapped = 0;

	(void)state;
	rig_new();
	for (unsigned n = 0; n < insn_rows; n++) {
		const struct insn_row *r = &insn_table[n];
		const unsigned before = wrong;

		if (r->exec != exec_pure || !host_has(r) || !(r->attr & A_FP))
			continue;
		for (unsigned k = 0; k < 300 && wrong == before; k++)
			runs += (unsigned)try_unmasked(n, &wrong, &trapped);
	}
	rig_free();
	print_message("%u instructions, %u trapped\n", runs, trapped);
	assert_int_equal(wrong, 0);
	assert_true(trapped > 100);
}

/* What an instruction raises when one bit of CR0, CR4 or XCR0 says no. */
static void the_units_are_forbidden_as_the_manual_says(void **state)
{
	static const struct {
		uint8_t b[8], n;
		uint16_t em, ts, osfxsr, osxsave, avx, avx512, vm86; /* vectors */
	} t[] = {
		{{0x66, 0x0f, 0xfe, 0xc1},
		 4,
		 X86_UD,
		 X86_NM,
		 X86_UD,
		 RIG_OK,
		 RIG_OK,
		 RIG_OK,
		 RIG_OK}, /* paddd xmm */
		{{0x0f, 0xfe, 0xc1},
		 3,
		 X86_UD,
		 X86_NM,
		 RIG_OK,
		 RIG_OK,
		 RIG_OK,
		 RIG_OK,
		 RIG_OK}, /* paddd mm */
		{{0xc5, 0xf5, 0xfe, 0xc1},
		 4,
		 RIG_OK,
		 X86_NM,
		 RIG_OK,
		 X86_UD,
		 X86_UD,
		 RIG_OK,
		 X86_UD}, /* vpaddd ymm */
		{{0x62, 0xf1, 0x75, 0x48, 0xfe, 0xc1},
		 6,
		 RIG_OK,
		 X86_NM,
		 RIG_OK,
		 X86_UD,
		 X86_UD,
		 X86_UD,
		 X86_UD}, /* vpaddd zmm */
		{{0xd8, 0xc1}, 2, X86_NM, X86_NM, RIG_OK, RIG_OK, RIG_OK, RIG_OK, RIG_OK}, /* fadd
											    */
		{{0x9b}, 1, RIG_OK, RIG_OK, RIG_OK, RIG_OK, RIG_OK, RIG_OK, RIG_OK}, /* fwait */
	};

	(void)state;
	for (unsigned n = 0; n < ARRAY_LEN(t); n++) {
		struct bt_cpu *c = rig_new();
		const uint64_t cr0 = c->cr0, cr4 = c->cr4, xcr0 = c->xcr0;
		struct insn i;

		if (insn_decode(t[n].b, t[n].n, 8, &c->features, &i) != INSN_OK) {
			rig_free(); /* a unit the host has not got */
			continue;
		}
		assert_int_equal(rig_run(&i), RIG_OK);
		c->cr0 = cr0 | X86_CR0_EM;
		assert_int_equal(rig_run(&i), t[n].em);
		c->cr0 = cr0 | X86_CR0_TS;
		assert_int_equal(rig_run(&i), t[n].ts);
		c->cr0 = cr0;
		c->cr4 = cr4 & ~(uint64_t)X86_CR4_OSFXSR;
		assert_int_equal(rig_run(&i), t[n].osfxsr);
		c->cr4 = cr4 & ~(uint64_t)X86_CR4_OSXSAVE;
		assert_int_equal(rig_run(&i), t[n].osxsave);
		c->cr4 = cr4;
		c->xcr0 = 3;
		assert_int_equal(rig_run(&i), t[n].avx);
		c->xcr0 = xcr0 & 7;
		assert_int_equal(rig_run(&i), t[n].avx512);
		c->xcr0 = xcr0;
		c->mode.vm86 = true;
		assert_int_equal(rig_run(&i), t[n].vm86);
		rig_free();
	}
}

static unsigned run_at(const uint8_t *b, unsigned n, uint64_t la)
{
	struct insn i;

	assert_int_equal(insn_decode(b, n, 8, &rig.c->features, &i), INSN_OK);
	rig.c->gpr[X86_RBX] = la;
	return rig_run(&i);
}

static void only_aligned_forms_insist_on_alignment(void **state)
{
	static const uint8_t paddd[] = {0x66, 0x0f, 0xfe, 0x03}, movups[] = {0x0f, 0x10, 0x03},
			     movaps[] = {0x0f, 0x28, 0x03}, vpaddd[] = {0xc5, 0xf5, 0xfe, 0x03},
			     vmovaps[] = {0xc5, 0xfc, 0x28, 0x03};

	(void)state;
	rig_new();
	assert_int_equal(run_at(paddd, sizeof(paddd), RIG_DATA + 8), X86_GP);
	assert_int_equal(run_at(movaps, sizeof(movaps), RIG_DATA + 8), X86_GP);
	assert_int_equal(run_at(movaps, sizeof(movaps), RIG_DATA + 16), RIG_OK);
	assert_int_equal(run_at(movups, sizeof(movups), RIG_DATA + 1), RIG_OK);
	assert_int_equal(run_at(movups, sizeof(movups), RIG_DATA + RIG_BYTES - 8), X86_PF);
	if (insn_has(&rig.c->features, F_AVX2)) {
		assert_int_equal(run_at(vmovaps, sizeof(vmovaps), RIG_DATA + 16), X86_GP);
		assert_int_equal(run_at(vmovaps, sizeof(vmovaps), RIG_DATA + 32), RIG_OK);
		assert_int_equal(run_at(vpaddd, sizeof(vpaddd), RIG_DATA + 1), RIG_OK);
	}
	rig_free();
}

static void without_osxmmexcpt_an_exception_is_an_invalid_opcode(void **state)
{
	static const uint8_t divps[] = {0x0f, 0x5e, 0x03};
	struct bt_cpu *c = rig_new();

	(void)state;
	memset(rig.data, 0, 16);
	c->ext.mxcsr = 0x1f80 & ~0x80u; /* invalid operation is unmasked: 0 / 0 */
	assert_int_equal(run_at(divps, 3, RIG_DATA), X86_XM);
	c->cr4 &= ~(uint64_t)X86_CR4_OSXMMEXCPT;
	assert_int_equal(run_at(divps, 3, RIG_DATA), X86_UD);
	assert_int_equal(c->ext.mxcsr & 0x3f, 1);
	rig_free();
}

/* More stubs than fit: the arena says so, and instructions go on being right. */
static void a_full_arena_is_slow_not_wrong(void **state)
{
	uint8_t b[] = {0x66, 0x0f, 0x70, 0xc1, 0}; /* pshufd xmm, xmm, imm */
	struct bt_cpu *c = rig_new();
	unsigned made = 0;

	(void)state;
	for (unsigned regs = 0; regs < 64; regs++) {
		for (unsigned imm = 0; imm < 256; imm++) {
			for (unsigned w = 0; w < 2; w++) {
				uint8_t long_form[6] = {0x66, 0x48};
				uint32_t want, got;
				struct insn i;

				b[3] = (uint8_t)(0xc0 | regs);
				b[4] = (uint8_t)imm;
				memcpy(long_form + 2, b + 1, 4);
				assert_int_equal(insn_decode(w ? long_form : b, w ? 6 : 5, 8,
							     &c->features, &i),
						 INSN_OK);
				rnd_bytes(c->ext.zmm[regs & 7], 16);
				memcpy(&want, c->ext.zmm[regs & 7] + (imm & 3) * 4, 4);
				assert_int_equal(rig_run(&i), RIG_OK);
				memcpy(&got, c->ext.zmm[regs >> 3], 4);
				assert_int_equal(want, got);
				made++;
			}
		}
	}
	assert_true(pure_full(c));
	pure_flush(c);
	assert_false(pure_full(c));
	assert_int_equal(run_at(b, 5, 0), RIG_OK);
	print_message("%u instructions\n", made);
	rig_free();
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(every_row_does_what_the_host_does),
		cmocka_unit_test(unmasked_exceptions_leave_all_but_flags_alone),
		cmocka_unit_test(the_units_are_forbidden_as_the_manual_says),
		cmocka_unit_test(only_aligned_forms_insist_on_alignment),
		cmocka_unit_test(without_osxmmexcpt_an_exception_is_an_invalid_opcode),
		cmocka_unit_test(a_full_arena_is_slow_not_wrong),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
