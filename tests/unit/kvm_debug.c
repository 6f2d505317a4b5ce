/*
 * A debugger and KVM: single step, hardware breakpoints, watchpoints, INT3.  In real mode on every
 * host, in all modes where KVM runs kernels.
 */
#include "debug_guest.h"

#include <cpuid.h>
#include <unistd.h>

#include "accel/kvm/kvm.h"

static void what_there_is_is_a_line_of_lodge_info(void **state)
{
	static struct accel_report report;

	(void)state;
	accel_find("kvm")->probe(&report);
	for (unsigned i = 0; i < report.n_facts; i++)
		if (!strcmp(report.facts[i].key, "guest-debug")) {
			assert_string_equal(report.facts[i].value,
					    "single step, software breakpoints, 4 breakpoints or "
					    "watchpoints of up to 8 bytes");
			return;
		}
	fail_msg("there is no such line");
}

static void reads_alone_cannot_be_watched(void **state)
{
	const struct vcpu_debug d = {.n = 1, .point = {{G_DATA, 1, DEBUG_READ}}};
	struct err e = ERR_INIT;

	(void)state;
	assert_int_equal(vcpu_debug_set(&guest.vm->vcpus[0], &d, &e), -ENOTSUP);
	assert_string_equal(e.msg, "0x5000 cannot be watched for reads alone on this host");
}

static void points_are_put_into_debug_registers_as_the_processor_has_them(void **state)
{
	static const struct debug_point points[] = {{UINT64_C(0xffffffff81000001), 1, DEBUG_EXEC},
						    {0x2000, 4, DEBUG_WRITE},
						    {0x3008, 8, DEBUG_ACCESS},
						    {0x4002, 2, DEBUG_WRITE}};
	struct kvm_guest_debug g;

	(void)state;
	memset(&g, 0, sizeof(g));
	for (unsigned i = 0; i < ARRAY_LEN(points); i++)
		kvm_arch_debug_point(&g, &points[i]);
	for (unsigned i = 0; i < ARRAY_LEN(points); i++)
		assert_true(g.arch.debugreg[i] == points[i].addr);
	/* LEN and R/W of 3 to 0, two bits each; G3 to G0 (SDM 3B figure 17-1). */
	assert_true(g.arch.debugreg[7] == (0x5bd006aau));
}

static const char *restricted(void)
{
	static struct accel_report report;

	accel_find("kvm")->probe(&report);
	return report.usable ? NULL : report.why;
}

/* Its SVM takes DR7 from the VMCB without setting breakpoints, and has INT3 for an INT n. */
static bool under_tcg(void)
{
	unsigned a, b, c, d;

	__cpuid(1, a, b, c, d);
	if (!(c >> 31)) /* no hypervisor */
		return false;
	__cpuid(0x40000000, a, b, c, d);
	return b == 0x54474354 && c == 0x43544743 && d == 0x47435447; /* "TCGTCGTCGTCG" */
}

/*
 * No CPL 3 in 32-bit mode: QEMU 7.2, which the nested bed stands on, gives up when such a guest's
 * exceptions go to CPL 0 ("invalid tss type").
 */
static int setup(void **state)
{
	(void)state;
	d_env_add(G_REAL, 0);
	d_emulated = restricted() != NULL;
	d_tcg = under_tcg();
	if (!restricted()) {
		d_env_add(G_PROT16, 0);
		d_env_add(G_PROT, 0);
		d_env_add(G_COMPAT, 3);
		d_env_add(G_LONG, 0);
		d_env_add(G_LONG, 3);
	}
	d_init(accel_find("kvm"));
	return 0;
}

static int teardown(void **state)
{
	(void)state;
	g_exit(&guest);
	return 0;
}

static void skipped(void **state)
{
	(void)state;
	skip();
}

int main(void)
{
	struct CMUnitTest tests[] = {
		D_COMMON,
		cmocka_unit_test(what_there_is_is_a_line_of_lodge_info),
		cmocka_unit_test(points_are_put_into_debug_registers_as_the_processor_has_them),
		cmocka_unit_test(reads_alone_cannot_be_watched),
	};
	bool absent = access("/dev/kvm", R_OK | W_OK);

	if (absent) {
		printf("SKIP: /dev/kvm cannot be opened on this host\n");
		for (size_t i = 0; i < ARRAY_LEN(tests); i++)
			tests[i].test_func = skipped;
	} else if (restricted()) {
		printf("NOTE: only real mode is tried: %s\n", restricted());
	}
	return cmocka_run_group_tests(tests, absent ? NULL : setup, absent ? NULL : teardown);
}
