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
	return insn_has(&rig.c->features, r->feature);
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
	struct insn i;
	struct gen g;
	int sig;

	gen_row(&g, r, (int32_t)rnd() % 4096);
	if (insn_decode(g.b, g.n, 8, &c->features, &i) != INSN_OK || i.len != g.n ||
	    i.exec != exec)
		return 0;
	rig_fill(0x1f80 | (rnd() & 0xe07f));
	fx_set16(c, FX_FCW, FCW_INIT);
	s = pure_stub_of(c, &i);
	at = place(s->mem ? s->mem : 1, s->align);
	c->gpr[X86_RBX] = RIG_DATA + at - (uint64_t)(int64_t)g.disp;
	native.gpr[X86_RBX] = (uintptr_t)native.data + at - (uint64_t)(int64_t)g.disp;
	vector = TRY(i.exec(c, &i));
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
	vector = TRY(i.exec(c, &i));
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

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(every_row_does_what_the_host_does),
		cmocka_unit_test(unmasked_exceptions_leave_all_but_flags_alone),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
