/*
 * x86_cpu_model.c - CPU models: which features stay, what is refused and in which words.
 */
#include "unit.h"

#include <errno.h>

#include "arch/x86/cpu_model.h"

/* A host with everything up to AVX-512. */
static unsigned host(struct x86_cpuid *c)
{
	const struct x86_cpuid all[] = {
		{.leaf = 1, .ecx = ~0u, .edx = ~0u},
		{.leaf = 7, .indexed = true, .eax = 1, .ebx = ~0u, .ecx = ~0u, .edx = ~0u},
		{.leaf = 7, .subleaf = 1, .indexed = true, .eax = ~0u},
		{.leaf = 0xd, .indexed = true, .eax = 0x602e7},
		{.leaf = 0xd, .subleaf = 1, .indexed = true, .eax = 0xf},
		{.leaf = 0x80000001, .ecx = ~0u, .edx = ~0u},
	};

	memcpy(c, all, sizeof(all));
	return ARRAY_LEN(all);
}

static void host_changes_nothing(void **state)
{
	struct x86_cpuid c[8], want[8];
	unsigned n = host(c);
	struct err e = ERR_INIT;

	(void)state;
	host(want);
	assert_int_equal(x86_cpu_model_apply(NULL, c, n, &e), 0);
	assert_memory_equal(c, want, n * sizeof(*c));
	assert_int_equal(x86_cpu_model_apply("host", c, n, &e), 0);
	assert_memory_equal(c, want, n * sizeof(*c));
}

static void a_level_hides_what_is_beyond_it(void **state)
{
	struct x86_cpuid c[8];
	unsigned n = host(c);
	struct err e = ERR_INIT;

	(void)state;
	assert_int_equal(x86_cpu_model_apply("v2", c, n, &e), 0);
	assert_true(c[0].ecx & 1u << 20);     /* SSE4.2 */
	assert_false(c[0].ecx & 1u << 28);    /* AVX */
	assert_false(c[0].ecx & 1u << 25);    /* AES */
	assert_false(c[0].ecx & 1u << 26);    /* XSAVE */
	assert_true(c[0].ecx & 1u << 17);     /* PCID is for kernels */
	assert_false(c[1].ebx & 1u << 16);    /* AVX-512F */
	assert_int_equal(c[3].eax & 0xe4, 0); /* and its registers */
}

static void a_feature_takes_what_needs_it_along(void **state)
{
	struct x86_cpuid c[8];
	unsigned n = host(c);
	struct err e = ERR_INIT;

	(void)state;
	assert_int_equal(x86_cpu_model_apply("-avx", c, n, &e), 0);
	assert_false(c[0].ecx & 1u << 12); /* FMA */
	assert_false(c[1].ebx & 1u << 5);  /* AVX2 */
	assert_false(c[1].ebx & 1u << 30); /* AVX-512BW, by way of AVX2 and AVX-512F */
	assert_false(c[2].eax & 1u << 4);  /* AVX-VNNI */
	assert_int_equal(c[3].eax, 0x60203);
}

static void a_feature_can_be_added_to_a_level(void **state)
{
	struct x86_cpuid c[8];
	unsigned n = host(c);
	struct err e = ERR_INIT;

	(void)state;
	assert_int_equal(x86_cpu_model_apply("v2,+aes,-popcnt", c, n, &e), 0);
	assert_true(c[0].ecx & 1u << 25);
	assert_false(c[0].ecx & 1u << 23);
	assert_true(x86_cpu_model_asks("v2,+aes,-popcnt", "aes"));
	assert_false(x86_cpu_model_asks("v2,+aes,-popcnt", "popcnt"));
	assert_false(x86_cpu_model_asks("v2,+aes,-aes", "aes"));
	assert_false(x86_cpu_model_asks(NULL, "aes"));
}

static void what_the_host_lacks_is_refused(void **state)
{
	struct x86_cpuid c[8];
	unsigned n = host(c);
	struct err e = ERR_INIT;

	(void)state;
	c[1].ebx &= ~(1u << 5);
	assert_int_equal(x86_cpu_model_apply("v3", c, n, &e), -ENOTSUP);
	assert_string_equal(e.msg, "the CPU model asks for a level that has avx2, which this host "
				   "cannot give");
	host(c);
	c[1].ebx &= ~(1u << 29);
	assert_int_equal(x86_cpu_model_apply("v2,+sha_ni", c, n, &e), -ENOTSUP);
}

static void unknown_words_are_refused_with_the_nearest(void **state)
{
	struct err e = ERR_INIT;

	(void)state;
	assert_int_equal(x86_cpu_model_check("v5", &e), -EINVAL);
	assert_string_equal(e.msg, "there is no CPU model 'v5'");
	assert_int_equal(x86_cpu_model_check("host,+avx512", &e), -EINVAL);
	assert_non_null(strstr(e.msg, "did you mean avx512"));
	assert_int_equal(x86_cpu_model_check("+aes,v2", &e), -EINVAL);
	assert_int_equal(x86_cpu_model_check("+", &e), -EINVAL);
	assert_int_equal(x86_cpu_model_check("v2,+aes", &e), 0);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(host_changes_nothing),
		cmocka_unit_test(a_level_hides_what_is_beyond_it),
		cmocka_unit_test(a_feature_takes_what_needs_it_along),
		cmocka_unit_test(a_feature_can_be_added_to_a_level),
		cmocka_unit_test(what_the_host_lacks_is_refused),
		cmocka_unit_test(unknown_words_are_refused_with_the_nearest),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
