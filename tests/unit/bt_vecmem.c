/* Vector instructions that touch memory by elements: what they do, and where they fault. */
#include <stdio.h>

#include "bt_gen.h"

static void report(const struct insn *i, const struct gen *g, const char *what, unsigned vector,
		   int sig)
{
	fprintf(stderr, "%s (", insn_table[i->row].name);
	for (unsigned n = 0; n < g->n; n++)
		fprintf(stderr, "%02x%s", g->b[n], n + 1 < g->n ? " " : "");
	fprintf(stderr, "): %s; guest vector %u, host signal %d\n", what, vector, sig);
}

static bool decoded(const struct gen *g, struct insn *i)
{
	return insn_decode(g->b, g->n, 8, &rig.c->features, i) == INSN_OK && i->len == g->n;
}

/* The memory operand at offset @at of the data on both sides. */
static void point(uint64_t at)
{
	rig.c->gpr[X86_RBX] = RIG_DATA + at;
	native.gpr[X86_RBX] = (uintptr_t)native.data + at;
}

/* Masks that are mostly the low elements: then what lies behind the hole is often masked off. */
static void low_masks(void)
{
	static struct x86_vcpu image;

	for (unsigned k = 0; k < 8; k++) {
		rig.c->ext.k[k] = rnd() % 4 ? (UINT64_C(1) << rnd() % 64) - 1 : rnd() << 32 ^ rnd();
		if (rnd() % 8 == 0)
			rig.c->ext.k[k] = 0;
	}
	ext_to_xsave(rig.c, &image);
	memcpy(native.area, image.xsave, sizeof(native.area));
}

/* One encoding of row @n whose operand reaches over the end of the data; 1 run. */
static int try_masked(unsigned n, unsigned *wrong, unsigned *faults)
{
	const struct insn_row *r = &insn_table[n];
	const char *what;
	unsigned vector;
	uint64_t at = RIG_BYTES - rnd() % 72;
	struct insn i;
	struct gen g;
	int sig;

	gen_row(&g, r, 0);
	if (!g.mem || !decoded(&g, &i))
		return 0;
	if (i.exec == exec_pure && (!i.mask || pure_stub_of(rig.c, &i)->align))
		return 0;
	rig_fill(0x1f80 | (rnd() & 0xe07f));
	low_masks();
	point(at);
	vector = rig_run(&i);
	sig = rig_host(g.b, g.n);
	if ((vector == X86_PF) != (sig == SIGSEGV) || (vector != X86_PF && vector != RIG_OK))
		what = "an exception";
	else
		what = rig_differs(FL_ALL);
	if (what) {
		report(&i, &g, what, vector, sig);
		fprintf(stderr, "\t%llu bytes are there, mask %llx\n",
			(unsigned long long)(RIG_BYTES - at),
			(unsigned long long)rig.c->ext.k[i.mask]);
		++*wrong;
	}
	*faults += sig == SIGSEGV;
	return 1;
}

static bool by_elements(const struct insn_row *r)
{
	return r->exec == exec_vmaskmov || r->exec == exec_vcompress || r->exec == exec_vexpand ||
	       (r->exec == exec_pure && r->map >= MAP_E0F && r->attr & A_MASK);
}

static void elements_that_are_masked_off_do_not_fault(void **state)
{
	unsigned rows = 0, wrong = 0, runs = 0, faults = 0;

	(void)state;
	rig_new();
	for (unsigned n = 0; n < insn_rows; n++) {
		const struct insn_row *r = &insn_table[n];
		unsigned done = 0, before = wrong;

		if (!by_elements(r) || !insn_has(&rig.c->features, r->feature))
			continue;
		for (unsigned k = 0; k < 200 && wrong < before + 2; k++)
			done += (unsigned)try_masked(n, &wrong, &faults);
		runs += done;
		rows += done != 0;
	}
	rig_free();
	print_message("%u rows, %u instructions, %u faults\n", rows, runs, faults);
	assert_int_equal(wrong, 0);
}

/* Index vectors whose elements reach from the data into the page behind it, or do not. */
static void small_indices(const struct insn *i)
{
	static struct x86_vcpu image;
	const unsigned size = insn_table[i->row].op & 1 ? 8 : 4;
	uint8_t *v = rig.c->ext.zmm[i->index & 31];

	for (unsigned n = 0; n < 64 / size; n++) {
		int64_t x = (int64_t)(rnd() % 100) - 20;

		memcpy(v + n * size, &x, size);
	}
	ext_to_xsave(rig.c, &image);
	memcpy(native.area, image.xsave, sizeof(native.area));
}

/* In C a gather may fault; started again with the page there it must end as the host's does. */
static int try_gather(unsigned n, unsigned *wrong, unsigned *faults)
{
	const char *what = NULL;
	unsigned vector;
	struct insn i;
	struct gen g;
	int sig;

	gen_row(&g, &insn_table[n], 0);
	if (!decoded(&g, &i))
		return 0;
	rig_hole(true);
	rig_fill(0x1f80);
	small_indices(&i);
	point(RIG_BYTES - rnd() % 500);
	memset(rig.data + RIG_BYTES, 0x5a, 0x1000);
	memset(native.data + RIG_BYTES, 0x5a, 0x1000);
	sig = rig_host(g.b, g.n);
	if (sig) { /* registers that must be distinct */
		vector = rig_run(&i);
		if (sig != SIGILL || vector != X86_UD)
			what = "an exception";
		goto out;
	}
	rig_hole(false);
	mprotect(native.data + RIG_BYTES, 0x1000, PROT_READ);
	vector = rig_run(&i);
	if (vector == X86_PF) {
		++*faults;
		rig_hole(true);
		vector = rig_run(&i);
	}
	what = vector != RIG_OK ? "an exception" : rig_differs(FL_ALL);
	if (!what && memcmp(rig.data + RIG_BYTES, native.data + RIG_BYTES, 0x1000))
		what = "memory";
out:
	if (what) {
		report(&i, &g, what, vector, sig);
		++*wrong;
	}
	return 1;
}

static void gathers_and_scatters_go_on_behind_a_fault(void **state)
{
	unsigned rows = 0, wrong = 0, runs = 0, faults = 0;

	(void)state;
	rig_new();
	for (unsigned n = 0; n < insn_rows; n++) {
		const struct insn_row *r = &insn_table[n];
		unsigned done = 0, before = wrong;

		if ((r->exec != exec_vgather && r->exec != exec_vscatter) ||
		    !insn_has(&rig.c->features, r->feature))
			continue;
		for (unsigned k = 0; k < 200 && wrong < before + 2; k++)
			done += (unsigned)try_gather(n, &wrong, &faults);
		runs += done;
		rows += done != 0;
		if (!done)
			fprintf(stderr, "row %u, %s: no encoding was decoded\n", n, r->name);
	}
	rig_free();
	print_message("%u rows, %u instructions, %u faults\n", rows, runs, faults);
	assert_int_equal(wrong, 0);
}

static void masked_byte_stores_and_clearing_do_what_the_host_does(void **state)
{
	unsigned wrong = 0, runs = 0;

	(void)state;
	rig_new();
	for (unsigned n = 0; n < insn_rows; n++) {
		const struct insn_row *r = &insn_table[n];

		if ((r->exec != exec_maskmovdqu && r->exec != exec_maskmovq &&
		     r->exec != exec_vzeroall && r->exec != exec_vzeroupper) ||
		    !insn_has(&rig.c->features, r->feature))
			continue;
		for (unsigned k = 0; k < 100; k++) {
			const uint64_t at = rnd() % (RIG_BYTES - 64);
			const char *what;
			struct insn i;
			struct gen g;

			gen_row(&g, r, 0);
			if (!decoded(&g, &i))
				continue;
			rig_fill(0x1f80);
			rig.c->gpr[X86_RDI] = RIG_DATA + at;
			native.gpr[X86_RDI] = (uintptr_t)native.data + at;
			assert_int_equal(rig_run(&i), RIG_OK);
			assert_int_equal(rig_host(g.b, g.n), 0);
			native.gpr[X86_RDI] = rig.c->gpr[X86_RDI];
			what = rig_differs(FL_ALL);
			if (what) {
				report(&i, &g, what, RIG_OK, 0);
				wrong++;
			}
			runs++;
		}
	}
	rig_free();
	assert_int_equal(wrong, 0);
	assert_true(runs > 200);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(elements_that_are_masked_off_do_not_fault),
		cmocka_unit_test(gathers_and_scatters_go_on_behind_a_fault),
		cmocka_unit_test(masked_byte_stores_and_clearing_do_what_the_host_does),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
