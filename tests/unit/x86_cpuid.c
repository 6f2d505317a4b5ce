/*
 * CPUID as a guest sees it: topology, caches, hypervisor leaves, and what is taken out.
 */
#include "unit.h"

#include "arch/x86/cpuid.h"

/* A host with everything on; bits that the guest must not see are set. */
static const struct x86_cpuid intel[] = {
	{.leaf = 0, .eax = 0x1f, .ebx = 0x756e6547, .ecx = 0x6c65746e, .edx = 0x49656e69},
	{.leaf = 1, .eax = 0x806f8, .ebx = 0x7f800800, .ecx = 0xffffffff, .edx = 0xffffffff},
	{.leaf = 4, .subleaf = 0, .indexed = true, .eax = 0xfc07c121, .ebx = 1, .ecx = 2},
	{.leaf = 4, .subleaf = 3, .indexed = true, .eax = 0xfc1fc163, .ebx = 3, .ecx = 4},
	{.leaf = 4, .subleaf = 4, .indexed = true},
	{.leaf = 5, .eax = 0x40},
	{.leaf = 7, .indexed = true, .ebx = 0xffffffff, .ecx = 0xffffffff},
	{.leaf = 0xb, .indexed = true, .ebx = 99},
	{.leaf = 0x12, .indexed = true, .eax = 3},
	{.leaf = 0x1f, .indexed = true, .ebx = 99},
	{.leaf = 0x40000000, .eax = 0x40000001},
	{.leaf = 0x80000000, .eax = 0x80000008},
	{.leaf = 0x80000001, .ecx = 0x121, .edx = 0x2c100800},
	{.leaf = 0x80000008, .eax = 0x3934, .ecx = 0x5555},
};
static const struct x86_cpuid amd[] = {
	{.leaf = 0, .eax = 0xd, .ebx = 0x68747541, .ecx = 0x444d4163, .edx = 0x69746e65},
	{.leaf = 1, .eax = 0x800f12, .ebx = 0x00100800, .ecx = 1u << 21, .edx = 1u << 9},
	{.leaf = 0x80000001, .ecx = 1u << 22 | 1u << 2 | 1u << 3, .edx = 0x2fd3fbff},
	{.leaf = 0x80000008, .eax = 0x3030},
	{.leaf = 0x8000000a, .eax = 1},
	{.leaf = 0x8000001d, .subleaf = 0, .indexed = true, .eax = 0x0000c121},
	{.leaf = 0x8000001d, .subleaf = 3, .indexed = true, .eax = 0x0001c163},
	{.leaf = 0x8000001e, .eax = 77, .ebx = 77, .ecx = 77},
};

struct guest {
	struct x86_cpuid c[X86_CPUID_MAX];
	unsigned n;
};

static void build(struct guest *g, const struct x86_cpuid_in *in)
{
	struct err e = ERR_INIT;

	if (x86_cpuid_build(in, g->c, &g->n, &e))
		fail_msg("%s", e.msg);
}

static struct x86_cpuid_in input(const struct x86_cpuid *host, unsigned n, struct vm_topology t,
				 unsigned index)
{
	return (struct x86_cpuid_in){.host = host,
				     .n_host = n,
				     .topology = t,
				     .index = index,
				     .lapic = true,
				     .tsc_deadline = true,
				     .tsc_khz = 2100000,
				     .apic_khz = 1000000,
				     .kvm_features = 0x01007efb};
}

static const struct x86_cpuid *leaf(const struct guest *g, uint32_t leaf_no, uint32_t sub)
{
	const struct x86_cpuid *c = x86_cpuid_find(g->c, g->n, leaf_no, sub);

	if (!c)
		fail_msg("leaf 0x%x.%u is missing", leaf_no, sub);
	return c;
}

static void apic_ids_have_a_bit_field_for_each_level(void **state)
{
	const struct vm_topology t = {.sockets = 2, .cores = 3, .threads = 2};
	static const uint32_t want[] = {0, 1, 2, 3, 4, 5, 8, 9, 10, 11, 12, 13};

	(void)state;
	for (unsigned i = 0; i < ARRAY_LEN(want); i++)
		assert_int_equal(x86_apic_id(&t, i), want[i]);
	assert_int_equal(x86_apic_id(&(struct vm_topology){300, 1, 1}, 299), 299);
}

static void the_topology_leaves_describe_the_guest_and_not_the_host(void **state)
{
	const struct vm_topology t = {.sockets = 2, .cores = 3, .threads = 2};
	struct x86_cpuid_in in = input(intel, ARRAY_LEN(intel), t, 7);
	struct guest g;

	(void)state;
	build(&g, &in);
	assert_int_equal(leaf(&g, 1, 0)->ebx >> 24, 9);
	assert_int_equal(leaf(&g, 1, 0)->ebx >> 16 & 0xff, 8);
	assert_int_equal(leaf(&g, 1, 0)->ebx & 0xffff, 0x0800);
	assert_true(leaf(&g, 1, 0)->edx & 1u << 28);
	for (unsigned i = 0; i < 2; i++) {
		uint32_t no = i ? 0x1f : 0xb;

		assert_int_equal(leaf(&g, no, 0)->eax, 1);
		assert_int_equal(leaf(&g, no, 0)->ebx, 2);
		assert_int_equal(leaf(&g, no, 0)->ecx, 0x100);
		assert_int_equal(leaf(&g, no, 0)->edx, 9);
		assert_int_equal(leaf(&g, no, 1)->eax, 3);
		assert_int_equal(leaf(&g, no, 1)->ebx, 6);
		assert_int_equal(leaf(&g, no, 1)->ecx, 0x201);
		assert_int_equal(leaf(&g, no, 2)->ebx, 0);
		assert_int_equal(leaf(&g, no, 2)->ecx, 2);
		assert_int_equal(leaf(&g, no, 2)->edx, 9);
	}
}

static void caches_are_shared_by_the_threads_that_the_guest_has(void **state)
{
	const struct vm_topology t = {.sockets = 1, .cores = 4, .threads = 2};
	struct x86_cpuid_in in = input(intel, ARRAY_LEN(intel), t, 0);
	struct guest g;

	(void)state;
	build(&g, &in);
	assert_int_equal(leaf(&g, 4, 0)->eax, 3u << 26 | 1u << 14 | 0x121); /* L1: a core */
	assert_int_equal(leaf(&g, 4, 3)->eax, 3u << 26 | 7u << 14 | 0x163); /* L3: the socket */
	assert_int_equal(leaf(&g, 4, 3)->ecx, 4);
	assert_int_equal(leaf(&g, 4, 4)->eax, 0);
}

static void one_cpu_has_no_hyperthreading_bit_and_amds_leaves_say_so_too(void **state)
{
	const struct vm_topology one = {1, 1, 1}, t = {.sockets = 2, .cores = 4, .threads = 2};
	struct x86_cpuid_in in = input(amd, ARRAY_LEN(amd), one, 0);
	struct guest g;

	(void)state;
	build(&g, &in);
	assert_false(leaf(&g, 1, 0)->edx & 1u << 28);
	assert_false(leaf(&g, 0x80000001, 0)->ecx & 2);
	assert_int_equal(leaf(&g, 0x80000008, 0)->ecx, 0);
	in = input(amd, ARRAY_LEN(amd), t, 11);
	build(&g, &in);
	assert_true(leaf(&g, 0x80000001, 0)->ecx & 2);
	assert_int_equal(leaf(&g, 0x80000008, 0)->eax, 0x3030);
	assert_int_equal(leaf(&g, 0x80000008, 0)->ecx, 7 | 3u << 12);
	assert_int_equal(leaf(&g, 0x8000001e, 0)->eax, 11);
	assert_int_equal(leaf(&g, 0x8000001e, 0)->ebx, 1 | 1u << 8);
	assert_int_equal(leaf(&g, 0x8000001e, 0)->ecx, 1);
	assert_int_equal(leaf(&g, 0x8000001d, 0)->eax, 1u << 14 | 0x121);
	assert_int_equal(leaf(&g, 0x8000001d, 3)->eax >> 14, 7);
	/* The host stops at leaf 0xd; 0xb is made, and AMD has no leaf 0x15. */
	assert_int_equal(leaf(&g, 0, 0)->eax, 0xd);
	assert_int_equal(leaf(&g, 0xb, 0)->edx, 11);
	assert_null(x86_cpuid_find(g.c, g.n, 0x15, 0));
}

static void what_a_guest_cannot_rely_on_is_taken_out(void **state)
{
	const struct vm_topology t = {1, 2, 1};
	struct x86_cpuid_in in = input(intel, ARRAY_LEN(intel), t, 1);
	struct guest g;
	uint32_t ecx;

	(void)state;
	build(&g, &in);
	ecx = leaf(&g, 1, 0)->ecx;
	assert_false(ecx & 1u << 3);  /* MONITOR */
	assert_false(ecx & 1u << 5);  /* VMX */
	assert_false(ecx & 1u << 27); /* OSXSAVE follows CR4, it is no feature */
	assert_true(ecx & 1u << 31);  /* hypervisor */
	assert_true(ecx & 1u << 24);  /* TSC deadline */
	assert_true(ecx & 1u << 21);  /* x2APIC */
	assert_null(x86_cpuid_find(g.c, g.n, 5, 0));
	assert_null(x86_cpuid_find(g.c, g.n, 0x12, 0));
	assert_false(leaf(&g, 7, 0)->ebx & 1u << 2); /* SGX */
	assert_false(leaf(&g, 7, 0)->ecx & 1u << 4); /* OSPKE */
	in.monitor = true;
	in.tsc_deadline = false;
	build(&g, &in);
	assert_true(leaf(&g, 1, 0)->ecx & 1u << 3);
	assert_false(leaf(&g, 1, 0)->ecx & 1u << 24);
	assert_int_equal(leaf(&g, 5, 0)->eax, 0x40);
	build(&g, &(struct x86_cpuid_in){.host = amd, .n_host = ARRAY_LEN(amd), .topology = t});
	assert_null(x86_cpuid_find(g.c, g.n, 0x8000000a, 0));
	assert_false(leaf(&g, 0x80000001, 0)->ecx & 1u << 2); /* SVM */
}

static void the_hypervisor_is_kvm_and_tells_its_frequencies(void **state)
{
	const struct vm_topology t = {1, 1, 1};
	struct x86_cpuid_in in = input(intel, ARRAY_LEN(intel), t, 0);
	const struct x86_cpuid *c;
	struct guest g;

	(void)state;
	build(&g, &in);
	c = leaf(&g, 0x40000000, 0);
	assert_int_equal(c->eax, 0x40000010);
	assert_memory_equal(&c->ebx, "KVMKVMKVM\0\0\0", 12);
	assert_int_equal(leaf(&g, 0x40000001, 0)->eax, 0x01007efb);
	assert_int_equal(leaf(&g, 0x40000010, 0)->eax, 2100000);
	assert_int_equal(leaf(&g, 0x40000010, 0)->ebx, 1000000);
	c = leaf(&g, 0x15, 0);
	assert_int_equal((uint64_t)c->ecx * c->ebx / c->eax, UINT64_C(2100000000));
	assert_int_equal(c->ecx, 1000000000);
}

static void without_an_apic_nothing_that_needs_one_is_offered(void **state)
{
	const struct vm_topology t = {1, 1, 1};
	struct x86_cpuid_in in = input(intel, ARRAY_LEN(intel), t, 0);
	struct guest g;

	(void)state;
	in.lapic = false;
	in.apic_khz = 0;
	build(&g, &in);
	assert_false(leaf(&g, 1, 0)->edx & 1u << 9);
	assert_false(leaf(&g, 1, 0)->ecx & (1u << 21 | 1u << 24));
	assert_false(leaf(&g, 0x80000001, 0)->edx & 1u << 9);
	assert_int_equal(leaf(&g, 0x40000000, 0)->eax, 0x40000001);
	assert_int_equal(leaf(&g, 0x40000001, 0)->eax &
				 (1u << 4 | 1u << 6 | 1u << 7 | 1u << 11 | 1u << 14),
			 0);
	assert_null(x86_cpuid_find(g.c, g.n, 0xb, 0));
}

static void leaves_are_in_order_and_too_many_are_refused(void **state)
{
	static struct x86_cpuid many[X86_CPUID_MAX + 1];
	const struct vm_topology t = {1, 1, 1};
	struct x86_cpuid_in in = input(intel, ARRAY_LEN(intel), t, 0);
	struct err e = ERR_INIT;
	struct guest g;

	(void)state;
	build(&g, &in);
	for (unsigned i = 1; i < g.n; i++)
		assert_true(g.c[i - 1].leaf < g.c[i].leaf || (g.c[i - 1].leaf == g.c[i].leaf &&
							      g.c[i - 1].subleaf < g.c[i].subleaf));
	for (unsigned i = 0; i < ARRAY_LEN(many); i++)
		many[i] = (struct x86_cpuid){.leaf = 0x80000100 + i, .eax = 1};
	in = input(many, ARRAY_LEN(many), t, 0);
	assert_int_not_equal(x86_cpuid_build(&in, g.c, &g.n, &e), 0);
	assert_non_null(strstr(e.msg, "more than 192 leaves"));
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(apic_ids_have_a_bit_field_for_each_level),
		cmocka_unit_test(the_topology_leaves_describe_the_guest_and_not_the_host),
		cmocka_unit_test(caches_are_shared_by_the_threads_that_the_guest_has),
		cmocka_unit_test(one_cpu_has_no_hyperthreading_bit_and_amds_leaves_say_so_too),
		cmocka_unit_test(what_a_guest_cannot_rely_on_is_taken_out),
		cmocka_unit_test(the_hypervisor_is_kvm_and_tells_its_frequencies),
		cmocka_unit_test(without_an_apic_nothing_that_needs_one_is_offered),
		cmocka_unit_test(leaves_are_in_order_and_too_many_are_refused),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
