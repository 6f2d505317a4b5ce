/* x87 and MMX state: against the host, and what the host must not see or show. */
#include <stdio.h>

#include "bt_gen.h"

static bool is_x87(const struct insn_row *r)
{
	return r->map == MAP_1 && r->op >= 0xd8 && r->op <= 0xdf;
}

/* Random control word; then both sides take it from the same image. */
static void fill(bool masked)
{
	static struct x86_vcpu image;
	struct bt_cpu *c = rig.c;

	rig_fill(0x1f80);
	fx_set16(c, FX_FCW, ((unsigned)rnd() & 0x0f3f) | 0x40 | (masked ? 0x3f : 0));
	ext_to_xsave(c, &image);
	memcpy(native.area, image.xsave, sizeof(native.area));
}

static void report(const struct insn *i, const struct gen *g, const char *what, unsigned vector)
{
	fprintf(stderr, "%s (", insn_table[i->row].name);
	for (unsigned n = 0; n < g->n; n++)
		fprintf(stderr, "%02x%s", g->b[n], n + 1 < g->n ? " " : "");
	fprintf(stderr, "): %s; guest vector %u\n", what, vector);
}

/* The pointers: the guest's own wherever the host has stored its own. */
static const char *pointers_differ(const struct insn *i)
{
	const uint64_t fip = fx_get64(rig.c, FX_FIP), fdp = fx_get64(rig.c, FX_FDP);
	uint64_t host_fip, host_fdp;

	memcpy(&host_fip, native.area + FX_FIP, 8);
	memcpy(&host_fdp, native.area + FX_FDP, 8);
	if (fip != (host_fip ? RIG_RIP : 0))
		return "the instruction pointer";
	if (fdp != (host_fdp ? bt_ea(rig.c, i) : 0))
		return "the data pointer";
	if (memcmp(rig.c->ext.fx + FX_FOP, native.area + FX_FOP, 2))
		return "the opcode";
	return NULL;
}

static int try_row(unsigned n, bool masked, unsigned *wrong)
{
	struct bt_cpu *c = rig.c;
	const uint64_t at = rnd() % 4 ? rnd() % 0xf00 : 0xff0 + rnd() % 16;
	const char *what;
	unsigned vector;
	struct insn i;
	struct gen g;

	gen_row(&g, &insn_table[n], 0);
	if (insn_decode(g.b, g.n, 8, &c->features, &i) != INSN_OK || i.len != g.n)
		return 0;
	fill(masked);
	c->gpr[X86_RBX] = RIG_DATA + at;
	native.gpr[X86_RBX] = (uintptr_t)native.data + at;
	vector = rig_run(&i);
	what = rig_host(g.b, g.n) || vector != RIG_OK ? "an exception" : rig_differs(FL_ALL);
	if (!what && i.exec == exec_x87)
		what = pointers_differ(&i);
	if (what) {
		report(&i, &g, what, vector);
		++*wrong;
	}
	return 1;
}

static void rows_do_what_the_host_does(bool masked)
{
	unsigned rows = 0, wrong = 0;

	rig_new();
	for (unsigned n = 0; n < insn_rows; n++) {
		const struct insn_row *r = &insn_table[n];
		unsigned done = 0, before = wrong;

		if (!is_x87(r) && r->exec != exec_emms)
			continue;
		/* They show or take pointers, which are never the same on the two sides. */
		if (r->exec == exec_x87_fnstenv || r->exec == exec_x87_fnsave ||
		    r->exec == exec_x87_frstor || r->exec == exec_x87_fldenv)
			continue;
		for (unsigned k = 0; k < 200 && wrong == before; k++)
			done += (unsigned)try_row(n, masked, &wrong);
		if (!done)
			fprintf(stderr, "row %u, %s: no encoding was decoded\n", n, r->name);
		wrong += !done;
		rows++;
	}
	rig_free();
	print_message("%u rows\n", rows);
	assert_int_equal(wrong, 0);
	assert_true(rows > 100);
}

static void every_row_does_what_the_host_does(void **state)
{
	(void)state;
	rows_do_what_the_host_does(true);
}

static void with_exceptions_unmasked_too(void **state)
{
	(void)state;
	rows_do_what_the_host_does(false);
}

static unsigned run(const uint8_t *b, unsigned n)
{
	struct insn i;

	assert_int_equal(insn_decode(b, n, 8, &rig.c->features, &i), INSN_OK);
	return rig_run(&i);
}
#define RUN(...) run((const uint8_t[]){__VA_ARGS__}, sizeof((const uint8_t[]){__VA_ARGS__}))

/* 1 / 0 with division by zero unmasked. */
static void make_pending(void)
{
	assert_int_equal(RUN(0xdb, 0xe3), RIG_OK); /* fninit */
	fx_set16(rig.c, FX_FCW, FCW_INIT & ~4u);
	assert_int_equal(RUN(0xd9, 0xe8), RIG_OK); /* fld1 */
	assert_int_equal(RUN(0xd9, 0xee), RIG_OK); /* fldz */
	rig.c->rip = RIG_RIP + 100;
	assert_int_equal(RUN(0xde, 0xf9), RIG_OK); /* fdivp: raised by the next one */
	rig.c->rip = RIG_RIP + 200;
	assert_int_equal(fx_get16(rig.c, FX_FSW) & (FSW_ES | 4u), FSW_ES | 4u);
}

static void a_pending_exception_comes_with_the_next_instruction_that_waits(void **state)
{
	struct bt_cpu *c = rig_new();

	(void)state;
	make_pending();
	assert_int_equal(fx_get64(c, FX_FIP), RIG_RIP + 100);
	assert_int_equal(fx_get16(c, FX_FOP), 0x6f9);
	assert_int_equal(RUN(0xd9, 0xe8), X86_MF);	 /* fld1 */
	assert_int_equal(RUN(0x9b), X86_MF);		 /* fwait */
	assert_int_equal(RUN(0x0f, 0xfe, 0xc1), X86_MF); /* paddd mm */
	assert_int_equal(RUN(0x0f, 0x77), X86_MF);	 /* emms */
	assert_int_equal(RUN(0x66, 0x0f, 0xfe, 0xc1), RIG_OK);
	c->gpr[X86_RBX] = RIG_DATA;
	assert_int_equal(RUN(0xd9, 0x2b), X86_MF); /* fldcw */
	assert_int_equal(RUN(0xdf, 0xe0), RIG_OK); /* fnstsw ax */
	assert_int_equal(c->gpr[X86_RAX] & 0xffff, fx_get16(c, FX_FSW));
	assert_int_equal(RUN(0xd9, 0x3b), RIG_OK); /* fnstcw */
	assert_int_equal(RUN(0xdb, 0xe2), RIG_OK); /* fnclex */
	assert_int_equal(RUN(0x9b), RIG_OK);
	assert_int_equal(RUN(0xd9, 0xe8), RIG_OK);
	rig_free();
}

static void with_ne_clear_instructions_go_on(void **state)
{
	struct bt_cpu *c = rig_new();

	(void)state;
	make_pending();
	c->cr0 &= ~(uint64_t)X86_CR0_NE;
	assert_int_equal(RUN(0x9b), RIG_OK);
	assert_int_equal(RUN(0xd9, 0xe8), RIG_OK);
	assert_int_equal(fx_get16(c, FX_FSW) & (FSW_ES | 4u), FSW_ES | 4u);
	c->cr0 |= X86_CR0_NE;
	assert_int_equal(RUN(0xd9, 0xe8), X86_MF);
	rig_free();
}

static void fwait_heeds_ts_only_with_mp(void **state)
{
	struct bt_cpu *c = rig_new();

	(void)state;
	c->cr0 |= X86_CR0_TS;
	assert_int_equal(RUN(0x9b), RIG_OK);
	c->cr0 |= X86_CR0_MP;
	assert_int_equal(RUN(0x9b), X86_NM);
	assert_int_equal(RUN(0xdb, 0xe3), X86_NM);
	rig_free();
}

/* An unmasked exception of a store leaves memory alone, also where it lies on two pages. */
static void a_store_that_traps_writes_nothing(void **state)
{
	struct bt_cpu *c = rig_new();

	(void)state;
	for (unsigned at = 0; at < 2; at++) {
		const uint64_t to = at ? 0xffe : 0;

		assert_int_equal(RUN(0xdb, 0xe3), RIG_OK);
		fx_set16(c, FX_FCW, FCW_INIT & ~1u); /* stack underflow */
		memset(rig.data, 0x77, RIG_BYTES);
		c->gpr[X86_RBX] = RIG_DATA + to;
		assert_int_equal(RUN(0xd9, 0x1b), RIG_OK); /* fstp dword [rbx] */
		assert_true(x87_pending(c));
		for (unsigned n = 0; n < 4; n++)
			assert_int_equal(rig.data[to + n], 0x77);
		assert_int_equal(RUN(0xdb, 0xe2), RIG_OK);
		fx_set16(c, FX_FCW, FCW_INIT);
		assert_int_equal(RUN(0xd9, 0xe8), RIG_OK);
		assert_int_equal(RUN(0xd9, 0x1b), RIG_OK);
		assert_memory_equal(rig.data + to, "\0\0\x80\x3f", 4);
	}
	rig_free();
}

/* The layouts that the host cannot be asked for in 64-bit mode (SDM 1 figures 8-9 to 8-12). */
static void the_environment_of_real_mode_has_linear_pointers(void **state)
{
	struct bt_cpu *c = rig_new();
	uint16_t w[7];
	uint32_t d[7];

	(void)state;
	fx_set64(c, FX_FIP, 0x12345);
	fx_set64(c, FX_FDP, 0x6789a);
	fx_set16(c, FX_FOP, 0x5bc);
	c->mode.prot = false;
	c->gpr[X86_RBX] = RIG_DATA;
	assert_int_equal(RUN(0x66, 0xd9, 0x33), RIG_OK); /* fnstenv, 14 bytes */
	memcpy(w, rig.data, 14);
	assert_int_equal(w[3], 0x2345);
	assert_int_equal(w[4], 0x15bc);
	assert_int_equal(w[5], 0x789a);
	assert_int_equal(w[6], 0x6000);
	assert_int_equal(RUN(0xd9, 0x33), RIG_OK);
	memcpy(d, rig.data, 28);
	assert_int_equal(d[3] & 0xffff, 0x2345);
	assert_int_equal(d[4], 0x15bc);
	assert_int_equal(d[5] & 0xffff, 0x789a);
	assert_int_equal(d[6], 0x6000);
	assert_int_equal(RUN(0xdb, 0xe3), RIG_OK);
	assert_int_equal(RUN(0xd9, 0x23), RIG_OK); /* fldenv */
	assert_int_equal(fx_get64(c, FX_FIP), 0x12345);
	assert_int_equal(fx_get64(c, FX_FDP), 0x6789a);
	assert_int_equal(fx_get16(c, FX_FOP), 0x5bc);
	rig_free();
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(every_row_does_what_the_host_does),
		cmocka_unit_test(with_exceptions_unmasked_too),
		cmocka_unit_test(a_pending_exception_comes_with_the_next_instruction_that_waits),
		cmocka_unit_test(with_ne_clear_instructions_go_on),
		cmocka_unit_test(fwait_heeds_ts_only_with_mp),
		cmocka_unit_test(a_store_that_traps_writes_nothing),
		cmocka_unit_test(the_environment_of_real_mode_has_linear_pointers),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
