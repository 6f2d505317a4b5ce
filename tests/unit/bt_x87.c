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
	vector = TRY(i.exec(c, &i));
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

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(every_row_does_what_the_host_does),
		cmocka_unit_test(with_exceptions_unmasked_too),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
