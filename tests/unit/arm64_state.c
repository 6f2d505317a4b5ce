/*
 * The state of an arm64 vCPU and its chips without any accelerator: reset, the list of registers,
 * words for a human, save and load, and page walks of every granule.
 */
#include "unit.h"

#include "fake_vm.h"

#include "arch/arch.h"
#include "arch/arm64/gic.h"
#include "arch/arm64/vcpu.h"
#include "base/endian.h"

static struct arm64_vcpu *new_state(unsigned index)
{
	struct arm64_vcpu *s = calloc(1, sizeof(*s));

	assert_non_null(s);
	arm64_vcpu_reset(s, index);
	return s;
}

static void a_reset_vcpu_is_at_el1_masked_and_only_the_first_runs(void **state)
{
	(void)state;
	for (unsigned i = 0; i < 3; i++) {
		struct arm64_vcpu *s = new_state(i);

		assert_true(s->pstate == 0x3c5);
		assert_int_equal(s->pc, 0);
		assert_int_equal(s->n_regs, 0);
		assert_int_equal(s->power, i ? ARM64_POWER_OFF : ARM64_POWER_ON);
		assert_int_not_equal(arch_arm64.activity(s), ARCH_STUCK);
		free(s);
	}
}

static void affinities_are_clusters_of_sixteen(void **state)
{
	(void)state;
	assert_true(arm64_mpidr(0) == 0x80000000);
	assert_true(arm64_mpidr(15) == 0x8000000f);
	assert_true(arm64_mpidr(16) == 0x80000100);
	assert_true(arm64_mpidr(511) == 0x80001f0f);
}

static void registers_are_found_added_and_kept_in_order(void **state)
{
	struct arm64_vcpu *s = new_state(0);

	(void)state;
	for (uint32_t i = 0; i < ARM64_REGS_MAX; i++)
		assert_true(arm64_vcpu_set_reg(s, i * 7919 % ARM64_REGS_MAX, i));
	assert_int_equal(s->n_regs, ARM64_REGS_MAX);
	assert_false(arm64_vcpu_set_reg(s, ARM64_REGS_MAX, 1));
	assert_true(arm64_vcpu_set_reg(s, 5, 77));
	for (uint32_t i = 0; i < ARM64_REGS_MAX; i++) {
		assert_int_equal(s->reg[i].id, i);
		assert_non_null(arm64_vcpu_reg(s, i));
	}
	assert_int_equal(*arm64_vcpu_reg(s, 5), 77);
	assert_null(arm64_vcpu_reg(s, ARM64_REGS_MAX));
	free(s);
}

static void registers_have_names_known_or_made_of_their_encoding(void **state)
{
	char name[40];

	(void)state;
	assert_string_equal(arm64_reg_name(ARM64_SCTLR_EL1, name, sizeof(name)), "SCTLR_EL1");
	assert_string_equal(arm64_reg_name(ARM64_SYSREG(3, 1, 11, 2, 5), name, sizeof(name)),
			    "S3_1_c11_c2_5");
	assert_string_equal(arm64_reg_name(ARM64_REG(ARM64_KIND_CCSIDR, 2), name, sizeof(name)),
			    "CCSIDR_EL1 of cache 2");
	assert_string_equal(arm64_reg_name(ARM64_REG(ARM64_KIND_FW, 0), name, sizeof(name)),
			    "PSCI version");
}

static void a_vcpu_says_what_it_does(void **state)
{
	struct arm64_vcpu *s = new_state(1);
	struct strbuf out = {0};

	(void)state;
	assert_non_null(strstr(arch_arm64.doing(s), "CPU_ON"));
	s->power = ARM64_POWER_SUSPENDED;
	assert_non_null(strstr(arch_arm64.doing(s), "suspended"));
	s->power = ARM64_POWER_ON;
	assert_string_equal(arch_arm64.doing(s), "in kernel mode with interrupts off");
	s->pstate = 0x5;
	assert_string_equal(arch_arm64.doing(s), "in kernel mode");
	s->pstate = 0;
	assert_string_equal(arch_arm64.doing(s), "in user mode");
	s->pstate = 0x10;
	assert_string_equal(arch_arm64.doing(s), "in user mode");
	s->x[30] = 0xabcdef;
	arm64_vcpu_set_reg(s, ARM64_ESR_EL1, 0x96000046);
	arch_arm64.show(s, &out);
	assert_non_null(strstr(strbuf_str(&out), "x30 0000000000abcdef"));
	assert_non_null(strstr(strbuf_str(&out), "ESR_EL1   0000000096000046"));
	assert_non_null(strstr(strbuf_str(&out), "(reset)"));
	assert_non_null(strstr(strbuf_str(&out), "AArch32 user mode"));
	strbuf_exit(&out);
	free(s);
}

static uint64_t next_random(void *arg)
{
	uint64_t *x = arg;

	*x ^= *x << 13;
	*x ^= *x >> 7;
	*x ^= *x << 17;
	return *x;
}

static void round_trip(const struct state_table *t, void *a, void *b)
{
	struct strbuf saved = {0}, diff = {0};
	struct err e = ERR_INIT;
	uint64_t seed = 88172645463325252;

	for (unsigned i = 0; i < 20; i++) {
		state_random(t, a, next_random, &seed);
		saved.len = 0;
		state_save(t, a, &saved);
		if (state_load(t, t->version, b, saved.s, saved.len, &e))
			fail_msg("%s", e.msg);
		assert_int_equal(state_diff(t, a, b, &diff), 0);
	}
	strbuf_exit(&saved);
	strbuf_exit(&diff);
}

static void any_state_of_vcpu_and_chips_is_loaded_as_it_was_saved(void **state)
{
	struct arm64_chips *c = calloc(2, sizeof(*c));
	struct arm64_vcpu *s = calloc(2, sizeof(*s));

	(void)state;
	assert_non_null(c);
	assert_non_null(s);
	round_trip(&arm64_vcpu_table, &s[0], &s[1]);
	round_trip(&arm64_chips_table, &c[0], &c[1]);
	free(c);
	free(s);
}

static void a_power_on_gic_keeps_what_hardware_fixes(void **state)
{
	struct arm64_chips *c = calloc(1, sizeof(*c));

	(void)state;
	assert_non_null(c);
	c->version = 3;
	c->n_spis = 64;
	c->n_cpus = 2;
	c->dist.iidr = 0x4b00343b;
	c->dist.enable[1] = 5;
	c->cpu[1].ctlr = 0x8c03;
	c->cpu[1].sre = 7;
	c->cpu[1].pmr = 0xf0;
	c->its.iidr = 0x43b;
	c->its.baser[0] = UINT64_MAX;
	arm64_gic_power_on(c);
	assert_int_equal(c->dist.iidr, 0x4b00343b);
	assert_int_equal(c->dist.enable[1], 0);
	assert_int_equal(c->dist.group[1], UINT32_MAX);
	assert_int_equal(c->cpu[1].ctlr, 0x8c00);
	assert_int_equal(c->cpu[1].sre, 7);
	assert_int_equal(c->cpu[1].pmr, 0);
	assert_int_equal(c->cpu[1].enable, 0xffff);
	assert_int_equal(c->its.iidr, 0x43b);
	assert_int_equal(c->its.baser[0], 0);
	c->version = 2;
	arm64_gic_power_on(c);
	assert_int_equal(c->dist.group[1], 0);
	assert_int_equal(c->cpu[1].ctlr, 0);
	free(c);
}

/* Page walks: RAM of 2 MiB at WALK_RAM, tables in it. */
#define WALK_RAM  0x40000000u
#define WALK_SIZE 0x200000u
#define TABLE(n)  (WALK_RAM + (n)*0x10000u)

struct walk {
	struct vm *vm;
	struct ram *ram;
	struct arm64_vcpu *s;
};

static void walk_init(struct walk *w, uint64_t tcr, uint64_t ttbr0, uint64_t ttbr1)
{
	struct err e = ERR_INIT;

	w->vm = fake_vm_new(1);
	if (ram_new(w->vm, "ram", WALK_SIZE, RAM_ANON, &w->ram, &e) ||
	    as_map_ram(&w->vm->mem, WALK_RAM, w->ram, 0, WALK_SIZE, &e))
		fail_msg("%s", e.msg);
	w->s = new_state(0);
	arm64_vcpu_set_reg(w->s, ARM64_SCTLR_EL1, 1);
	arm64_vcpu_set_reg(w->s, ARM64_TCR_EL1, tcr);
	arm64_vcpu_set_reg(w->s, ARM64_TTBR0_EL1, ttbr0);
	arm64_vcpu_set_reg(w->s, ARM64_TTBR1_EL1, ttbr1);
}

static void walk_exit(struct walk *w)
{
	free(w->s);
	fake_vm_free(w->vm);
}

static void entry(struct walk *w, uint64_t table, uint64_t index, uint64_t value)
{
	uint8_t raw[8];

	le64_store(raw, value);
	assert_int_equal(as_load(&w->vm->mem, table + index * 8, raw, 8), IO_OK);
}

static void expect(struct walk *w, uint64_t va, uint64_t pa)
{
	gpa_t got = 0;

	if (!arm64_translate(w->s, &w->vm->mem, va, &got))
		fail_msg("0x%llx is not mapped", (unsigned long long)va);
	if (got != pa)
		fail_msg("0x%llx is at 0x%llx, not 0x%llx", (unsigned long long)va,
			 (unsigned long long)got, (unsigned long long)pa);
}

static void expect_none(struct walk *w, uint64_t va)
{
	gpa_t got;

	assert_false(arm64_translate(w->s, &w->vm->mem, va, &got));
}

static void a_vcpu_behind_wfi_waits_unless_it_was_stopped_for_good(void **state)
{
	static const struct {
		uint32_t insn, pstate;
		bool waits;
	} cases[] = {
		{0xd503207f, 0xc5, true},   {0xd503207f, 0x5, true},	{0xd5031023, 0xc5, true},
		{0xd503207f, 0x3c5, false}, {0xd503205f, 0xc5, false},	/* WFE */
		{0xd503201f, 0xc5, false},  {0xd503207f, 0x1d3, false}, /* AArch32 */
	};
	struct walk w;

	(void)state;
	walk_init(&w, 0, 0, 0);
	arm64_vcpu_set_reg(w.s, ARM64_SCTLR_EL1, 0);
	w.s->pc = WALK_RAM + 0x104;
	for (size_t i = 0; i < ARRAY_LEN(cases); i++) {
		uint8_t raw[4];

		le32_store(raw, cases[i].insn);
		assert_int_equal(as_load(&w.vm->mem, WALK_RAM + 0x100, raw, 4), IO_OK);
		w.s->pstate = cases[i].pstate;
		assert_int_equal(arch_arm64.waits(w.s, &w.vm->mem), cases[i].waits);
	}
	w.s->pstate = 0xc5;
	w.s->pc = WALK_RAM; /* nothing is below */
	assert_false(arch_arm64.waits(w.s, &w.vm->mem));
	w.s->pc = 0;
	assert_false(arch_arm64.waits(w.s, &w.vm->mem));
	walk_exit(&w);
}

static void without_the_mmu_addresses_are_physical(void **state)
{
	struct walk w;

	(void)state;
	walk_init(&w, 0, 0, 0);
	arm64_vcpu_set_reg(w.s, ARM64_SCTLR_EL1, 0);
	expect(&w, 0x123456789abcdef, 0x123456789abcdef);
	w.s->n_regs = 0; /* and so it is after reset */
	expect(&w, 0x1000, 0x1000);
	walk_exit(&w);
}

/* 48 bits, 4 KiB in both halves, as Linux has it: four levels, blocks at levels 1 and 2. */
static void four_kib_pages_of_48_bits_are_walked_in_both_halves(void **state)
{
	const uint64_t tcr = 16 | 16u << 16 | UINT64_C(2) << 30 | UINT64_C(5) << 32;
	struct walk w;

	(void)state;
	walk_init(&w, tcr, TABLE(0), TABLE(4) | UINT64_C(7) << 48);
	entry(&w, TABLE(0), 1, TABLE(1) | 3);
	entry(&w, TABLE(1), 2, TABLE(2) | 3);
	entry(&w, TABLE(1), 3, UINT64_C(0x8040000000) | 0x701);
	entry(&w, TABLE(2), 3, TABLE(3) | 3);
	entry(&w, TABLE(2), 4, UINT64_C(0xabcde00000) | 0x701);
	entry(&w, TABLE(3), 4, UINT64_C(0x123456789000) | UINT64_C(0x60000000000703));
	entry(&w, TABLE(3), 5, UINT64_C(0x123456789000) | 0x701); /* reserved at level 3 */
	entry(&w, TABLE(4), 0x1fe, TABLE(1) | 3);
	expect(&w, UINT64_C(0x8080604abc), UINT64_C(0x123456789abc));
	expect(&w, UINT64_C(0x8080812345), UINT64_C(0xabcde12345));
	expect(&w, UINT64_C(0x80c1234567), UINT64_C(0x8041234567));
	expect(&w, UINT64_C(0xffffff0080604abc), UINT64_C(0x123456789abc));
	expect_none(&w, UINT64_C(0x8080605000));
	expect_none(&w, UINT64_C(0x8080000000));
	expect_none(&w, UINT64_C(0x0));
	expect_none(&w, UINT64_C(0x1008080604abc));    /* beyond 48 bits */
	expect_none(&w, UINT64_C(0xa5ffff0080604abc)); /* a tag, which TCR_EL1 does not allow */
	arm64_vcpu_set_reg(w.s, ARM64_TCR_EL1, tcr | UINT64_C(1) << 38);
	expect(&w, UINT64_C(0xa5ffff0080604abc), UINT64_C(0x123456789abc));
	arm64_vcpu_set_reg(w.s, ARM64_TCR_EL1, tcr | 1u << 23); /* no walks by TTBR1 */
	expect_none(&w, UINT64_C(0xffffff0080604abc));
	expect(&w, UINT64_C(0x8080604abc), UINT64_C(0x123456789abc));
	walk_exit(&w);
}

static void short_address_spaces_begin_at_a_lower_level(void **state)
{
	struct walk w;

	(void)state;
	walk_init(&w, 25 | 2 << 14, TABLE(0), 0); /* 39 bits, 16 KiB: level 1, 8 entries */
	entry(&w, TABLE(0), 7, TABLE(1) | 3);
	entry(&w, TABLE(1), 2047, TABLE(2) | 3);
	entry(&w, TABLE(2), 2046, UINT64_C(0xfedcba98000) | 0x703);
	entry(&w, TABLE(1), 5, UINT64_C(0x7654000000) | 0x701); /* 32 MiB */
	expect(&w, UINT64_C(7) << 36 | UINT64_C(2047) << 25 | 2046 << 14 | 0x3fff,
	       UINT64_C(0xfedcba9bfff));
	expect(&w, UINT64_C(7) << 36 | 5 << 25 | 0x1abcdef, UINT64_C(0x7655abcdef));
	entry(&w, TABLE(0), 6, UINT64_C(0x7654000000) | 0x701); /* no blocks at level 1 */
	expect_none(&w, UINT64_C(6) << 36);
	arm64_vcpu_set_reg(w.s, ARM64_TCR_EL1, 34); /* 30 bits, 4 KiB: level 2 */
	entry(&w, TABLE(0), 9, UINT64_C(0x5555400000) | 0x701);
	expect(&w, 9 << 21 | 0x12345, UINT64_C(0x5555412345));
	walk_exit(&w);
}

static void sixty_four_kib_pages_reach_52_physical_bits(void **state)
{
	/* 52 bits of both kinds: level 1 has 1024 entries. */
	const uint64_t tcr = 12 | 1 << 14 | UINT64_C(6) << 32;
	struct walk w;

	(void)state;
	walk_init(&w, tcr, TABLE(0), 0);
	entry(&w, TABLE(0), 1023, TABLE(2) | 3);
	entry(&w, TABLE(2), 8191, TABLE(3) | 3);
	entry(&w, TABLE(3), 1, UINT64_C(0x12345678b703));
	entry(&w, TABLE(2), 1, UINT64_C(0x0000e0000000) | 0x5701); /* 512 MiB */
	expect(&w, UINT64_C(1023) << 42 | UINT64_C(8191) << 29 | 1 << 16 | 0xabcd,
	       UINT64_C(0xb12345678abcd));
	expect(&w, UINT64_C(1023) << 42 | 1 << 29 | 0x1234567, UINT64_C(0x50000e1234567));
	walk_exit(&w);
	/* The table itself above 48 bits cannot be in this memory: it is not mapped, and no more.
	 */
	walk_init(&w, tcr, TABLE(0) | 4, 0);
	expect_none(&w, 0);
	walk_exit(&w);
}

static void four_kib_pages_reach_52_bits_with_lpa2(void **state)
{
	const uint64_t tcr = 12 | UINT64_C(6) << 32 | UINT64_C(1) << 59;
	struct walk w;

	(void)state;
	walk_init(&w, tcr, TABLE(0), 0);
	entry(&w, TABLE(0), 15, TABLE(1) | 3); /* level -1 has 16 entries */
	entry(&w, TABLE(1), 511, TABLE(2) | 3);
	entry(&w, TABLE(2), 0, TABLE(3) | 3);
	entry(&w, TABLE(3), 1, UINT64_C(0x3000000200000) | 0x301 | 0x400);
	expect(&w, UINT64_C(15) << 48 | UINT64_C(511) << 39 | 1 << 21 | 0x1234,
	       UINT64_C(0xf000000201234));
	walk_exit(&w);
	walk_init(&w, 12 | UINT64_C(6) << 32, TABLE(0), 0); /* without: no such size */
	expect_none(&w, 0);
	walk_exit(&w);
}

static void walks_of_hostile_registers_end(void **state)
{
	struct walk w;
	uint64_t seed = 362436069;

	(void)state;
	walk_init(&w, 0, 0, 0);
	for (unsigned i = 0; i < WALK_SIZE / 8; i++)
		entry(&w, WALK_RAM, i, WALK_RAM | (next_random(&seed) & 0x1ff003));
	for (unsigned i = 0; i < 200000; i++) {
		gpa_t pa;

		arm64_vcpu_set_reg(w.s, ARM64_TCR_EL1, next_random(&seed));
		arm64_vcpu_set_reg(w.s, ARM64_TTBR0_EL1,
				   WALK_RAM | (next_random(&seed) & 0x1ff000));
		arm64_vcpu_set_reg(w.s, ARM64_TTBR1_EL1, next_random(&seed));
		(void)arm64_translate(w.s, &w.vm->mem, next_random(&seed) >> i % 64, &pa);
	}
	walk_exit(&w);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(a_reset_vcpu_is_at_el1_masked_and_only_the_first_runs),
		cmocka_unit_test(affinities_are_clusters_of_sixteen),
		cmocka_unit_test(registers_are_found_added_and_kept_in_order),
		cmocka_unit_test(registers_have_names_known_or_made_of_their_encoding),
		cmocka_unit_test(a_vcpu_says_what_it_does),
		cmocka_unit_test(any_state_of_vcpu_and_chips_is_loaded_as_it_was_saved),
		cmocka_unit_test(a_power_on_gic_keeps_what_hardware_fixes),
		cmocka_unit_test(a_vcpu_behind_wfi_waits_unless_it_was_stopped_for_good),
		cmocka_unit_test(without_the_mmu_addresses_are_physical),
		cmocka_unit_test(four_kib_pages_of_48_bits_are_walked_in_both_halves),
		cmocka_unit_test(short_address_spaces_begin_at_a_lower_level),
		cmocka_unit_test(sixty_four_kib_pages_reach_52_physical_bits),
		cmocka_unit_test(four_kib_pages_reach_52_bits_with_lpa2),
		cmocka_unit_test(walks_of_hostile_registers_end),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
