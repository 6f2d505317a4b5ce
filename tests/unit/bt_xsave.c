/* Instructions that save and restore extended state, against the host's own. */
#include <stdio.h>

#include "bt_gen.h"

#define HEADER 512u

/* Registers at random, some components as after initialization, x87's pointers not 0. */
static void fill(void)
{
	static struct x86_vcpu image;
	struct bt_cpu *c = rig.c;

	rig_fill((uint32_t)rnd() & 0xffff);
	fx_set16(c, FX_FCW, ((unsigned)rnd() & 0x0f3f) | 0x40);
	fx_set16(c, FX_FOP, (unsigned)rnd() & 0x7ff);
	fx_set64(c, FX_FIP, rnd() & UINT64_C(0x7fffffffffff));
	fx_set64(c, FX_FDP, rnd() & UINT64_C(0x7fffffffffff));
	if (rnd() % 3 == 0)
		memset(c->ext.k, 0, sizeof(c->ext.k));
	for (unsigned r = 0; r < 16; r++) {
		if (rig.seed & 0x10000)
			memset(c->ext.zmm[r] + 16, 0, 16);
		if (rig.seed & 0x20000)
			memset(c->ext.zmm[r] + 32, 0, 32);
		if (rig.seed & 0x40000)
			memset(c->ext.zmm[r + 16], 0, 64);
	}
	ext_to_xsave(c, &image);
	memcpy(native.area, image.xsave, sizeof(native.area));
}

static uint32_t components(void)
{
	return rnd() % 2 ? native.components : (uint32_t)rnd() & 0xff;
}

static void put64(uint64_t at, uint64_t v)
{
	memcpy(rig.data + at, &v, 8);
	memcpy(native.data + at, &v, 8);
}

/* An image to restore at @at: often a good one. */
static void make_image(uint64_t at, bool compact)
{
	const uint64_t bv = components() & native.components;

	if (rnd() % 8)
		put64(at + FX_MXCSR, rnd() & 0xffff);
	if (rnd() % 8) {
		memset(rig.data + at + HEADER, 0, 64);
		memset(native.data + at + HEADER, 0, 64);
		put64(at + HEADER, rnd() % 8 ? bv : rnd() & 0x1ff);
		if (compact)
			put64(at + HEADER + 8,
			      UINT64_C(1) << 63 |
				      (rnd() % 4 ? bv | (components() & native.components)
						 : components()));
		if (rnd() % 8 == 0)
			put64(at + HEADER + 8 * (rnd() % 8), 1);
	}
}

static bool restores(const struct insn_row *r)
{
	return r->exec == exec_fxrstor || r->exec == exec_xrstor || r->exec == exec_ldmxcsr ||
	       r->exec == exec_x87_fldenv || r->exec == exec_x87_frstor;
}

static bool saves(const struct insn_row *r)
{
	return r->exec == exec_fxsave || r->exec == exec_xsave || r->exec == exec_xsaveopt ||
	       r->exec == exec_xsavec || r->exec == exec_stmxcsr || r->exec == exec_x87_fnstenv ||
	       r->exec == exec_x87_fnsave;
}

static void report(const struct gen *g, const char *name, const char *what, unsigned vector,
		   int sig)
{
	fprintf(stderr, "%s (", name);
	for (unsigned n = 0; n < g->n; n++)
		fprintf(stderr, "%02x%s", g->b[n], n + 1 < g->n ? " " : "");
	fprintf(stderr, "): %s; guest vector %u, host signal %d\n", what, vector, sig);
	for (unsigned n = 0; n < RIG_BYTES; n++) {
		if (rig.data[n] != native.data[n]) {
			fprintf(stderr, "\tfirst at %#x, address %#llx, mask %llx\n", n,
				(unsigned long long)(rig.c->gpr[X86_RBX] - RIG_DATA),
				(unsigned long long)rig.c->gpr[X86_RAX]);
			break;
		}
	}
}

/* Where the area lies: mostly right, at times not aligned or not all there. */
static uint64_t place(void)
{
	const uint64_t at = rnd() % 80 * 64;

	switch (rnd() % 16) {
	case 0: return at + rnd() % 64;
	case 1: return RIG_BYTES - rnd() % 40 * 64;
	default: return at;
	}
}

static int try_row(unsigned n, unsigned *wrong, unsigned *faults)
{
	const struct insn_row *r = &insn_table[n];
	struct bt_cpu *c = rig.c;
	const char *what = NULL;
	const uint64_t at = place();
	unsigned vector;
	struct insn i;
	struct gen g;
	int sig;

	gen_row(&g, r, 0);
	if (r->map == MAP_1 && rnd() % 2) { /* the 14-byte layout */
		memmove(g.b + 1, g.b, g.n++);
		g.b[0] = 0x66;
	}
	if (insn_decode(g.b, g.n, 8, &c->features, &i) != INSN_OK || i.len != g.n ||
	    i.exec != r->exec)
		return 0;
	fill();
	c->gpr[X86_RBX] = RIG_DATA + at;
	native.gpr[X86_RBX] = (uintptr_t)native.data + at;
	c->gpr[X86_RAX] = native.gpr[X86_RAX] = components();
	/* How many bits of it a CPU keeps differs; canonical ones all do. */
	if (at + FX_FDP < RIG_BYTES)
		put64(at + FX_FIP, rnd() & UINT64_C(0x7fffffffffff));
	if (restores(r) && at + 576 < RIG_BYTES)
		make_image(at, rnd() % 2);
	/* The host may write part of an area, and then fault: that is not compared. */
	vector = rig_run(&i);
	sig = rig_host(g.b, g.n);
	if ((vector != RIG_OK) != (sig != 0))
		what = "an exception";
	else if (sig)
		memcpy(native.data, rig.data, RIG_BYTES);
	if (!what)
		what = rig_differs(FL_ALL);
	if (!what && !sig && memcmp(c->ext.fx + FX_FOP, native.area + FX_FOP, 18))
		what = "x87's pointers";
	if (what) {
		report(&g, r->name, what, vector, sig);
		++*wrong;
	}
	*faults += sig != 0;
	return 1;
}

static void images_are_the_hosts_byte_for_byte(void **state)
{
	unsigned rows = 0, wrong = 0, runs = 0, faults = 0;

	(void)state;
	rig_new();
	for (unsigned n = 0; n < insn_rows; n++) {
		const struct insn_row *r = &insn_table[n];
		unsigned done = 0, before = wrong;

		if ((!saves(r) && !restores(r)) || !insn_has(&rig.c->features, r->feature))
			continue;
		for (unsigned k = 0; k < 600 && wrong < before + 3; k++)
			done += (unsigned)try_row(n, &wrong, &faults);
		runs += done;
		rows += done != 0;
	}
	rig_free();
	print_message("%u rows, %u instructions, %u faults\n", rows, runs, faults);
	assert_int_equal(wrong, 0);
	assert_true(rows >= 12);
}

/* XSAVES and XRSTORS are for the kernel: with no supervisor components they are XSAVEC and XRSTOR.
 */
static void the_supervisors_forms_go_round(void **state)
{
	const uint8_t save[] = {0x0f, 0xc7, 0x6b, 0}, restore[] = {0x0f, 0xc7, 0x5b, 0};
	struct bt_cpu *c = rig_new();
	struct insn s, r;
	struct bt_ext *before = malloc(sizeof(*before));

	(void)state;
	assert_non_null(before);
	assert_int_equal(insn_decode(save, 4, 8, &c->features, &s), INSN_OK);
	assert_int_equal(insn_decode(restore, 4, 8, &c->features, &r), INSN_OK);
	fill();
	memset(rig.data, 0, RIG_BYTES);
	c->gpr[X86_RBX] = RIG_DATA;
	c->gpr[X86_RAX] = c->gpr[X86_RDX] = UINT32_MAX;
	assert_int_equal(rig_run(&r), X86_GP); /* not compacted */
	assert_int_equal(rig_run(&s), RIG_OK);
	*before = c->ext;
	ext_reset(c);
	assert_int_equal(rig_run(&r), RIG_OK);
	assert_memory_equal(before->zmm, c->ext.zmm, sizeof(c->ext.zmm));
	assert_memory_equal(before->k, c->ext.k, sizeof(c->ext.k));
	assert_int_equal(before->mxcsr, c->ext.mxcsr);
	c->mode.cpl = 3;
	assert_int_equal(rig_run(&s), X86_GP);
	assert_int_equal(rig_run(&r), X86_GP);
	c->cr4 &= ~(uint64_t)X86_CR4_OSXSAVE;
	assert_int_equal(rig_run(&s), X86_UD);
	free(before);
	rig_free();
}

static void an_image_goes_out_and_in_and_bad_ones_are_refused(void **state)
{
	static struct x86_vcpu one, two;
	struct bt_cpu *c = rig_new();
	struct err e = ERR_INIT;

	(void)state;
	fill();
	ext_to_xsave(c, &one);
	ext_reset(c);
	assert_int_equal(ext_from_xsave(c, &one, &e), 0);
	ext_to_xsave(c, &two);
	assert_int_equal(one.xsave_size, two.xsave_size);
	assert_memory_equal(one.xsave, two.xsave, sizeof(one.xsave));
	two.xsave[FX_MXCSR + 2] = 1;
	assert_int_equal(ext_from_xsave(c, &two, &e), -EINVAL);
	two = one;
	two.xsave[HEADER + 2] = 0x80; /* a component nobody has */
	assert_int_equal(ext_from_xsave(c, &two, &e), -EINVAL);
	two = one;
	two.xsave[HEADER + 15] = 0x80; /* compacted */
	assert_int_equal(ext_from_xsave(c, &two, &e), -EINVAL);
	two = one;
	two.xsave_size = 512;
	assert_int_equal(ext_from_xsave(c, &two, &e), -EINVAL);
	rig_free();
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(images_are_the_hosts_byte_for_byte),
		cmocka_unit_test(the_supervisors_forms_go_round),
		cmocka_unit_test(an_image_goes_out_and_in_and_bad_ones_are_refused),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
