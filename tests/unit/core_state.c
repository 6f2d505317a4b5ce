/* State tables: what is saved comes back, and nothing else gets in. */
#include "fake_vm.h"

struct inner {
	uint8_t a;
	uint32_t b;
};
static const struct field inner_fields[] = {FIELD(struct inner, a, .max = 9),
					    FIELD(struct inner, b, )};
static const struct state_table inner_table = STATE_TABLE("inner", 1, inner_fields);

struct outer {
	uint8_t u8;
	uint16_t u16[3];
	uint64_t u64;
	bool yes;
	uint32_t n;
	struct inner in[4];
	uint16_t later;
};
static const struct field outer_fields[] = {
	FIELD(struct outer, u8, .max = 100, .reset = 1),
	FIELD(struct outer, u16, .reset = 0x1234),
	FIELD(struct outer, u64, ),
	FIELD(struct outer, yes, ),
	FIELD(struct outer, n, .max = 4),
	FIELD_SUB(struct outer, in, struct inner, &inner_table,
		  .count_off = offsetof(struct outer, n) + 1),
	FIELD(struct outer, later, .since = 2, .reset = 77),
};
static const struct state_table outer_table = STATE_TABLE("outer", 2, outer_fields);

static uint64_t draw(void *arg)
{
	uint64_t *s = arg;

	*s = *s * UINT64_C(6364136223846793005) + 1442695040888963407;
	return *s ^ *s >> 33;
}

static void what_is_saved_is_loaded(void **state)
{
	uint64_t seed = 1;

	(void)state;
	for (unsigned i = 0; i < 200; i++) {
		struct outer a = {0}, b = {0};
		struct strbuf s = {0}, diff = {0};
		struct err e = ERR_INIT;

		state_random(&outer_table, &a, draw, &seed);
		state_save(&outer_table, &a, &s);
		assert_int_equal(state_load(&outer_table, 2, &b, s.s, s.len, &e), 0);
		assert_int_equal(state_diff(&outer_table, &a, &b, &diff), 0);
		b.u16[1]++;
		assert_int_equal(state_diff(&outer_table, &a, &b, &diff), 1);
		strbuf_exit(&s);
		strbuf_exit(&diff);
	}
}

static void a_state_cut_off_anywhere_is_refused_and_changes_nothing(void **state)
{
	struct outer a = {.u8 = 3, .n = 2, .u64 = 5}, b, before;
	struct strbuf s = {0};
	struct err e = ERR_INIT;

	(void)state;
	state_save(&outer_table, &a, &s);
	memset(&b, 0x2a, sizeof(b));
	before = b;
	for (size_t len = 0; len < s.len; len++) {
		int rc = state_load(&outer_table, 2, &b, s.s, len, &e);

		assert_int_not_equal(rc, 0);
		assert_memory_equal(&b, &before, sizeof(b));
	}
	strbuf_exit(&s);
}

static void a_flipped_bit_never_breaks_a_bound(void **state)
{
	struct outer a = {.u8 = 3, .n = 3, .yes = true}, b;
	struct strbuf s = {0};
	struct err e = ERR_INIT;

	(void)state;
	state_save(&outer_table, &a, &s);
	for (size_t i = 0; i < s.len * 8; i++) {
		s.s[i / 8] = (char)(s.s[i / 8] ^ 1 << i % 8);
		if (!state_load(&outer_table, 2, &b, s.s, s.len, &e)) {
			assert_in_range(b.u8, 0, 100);
			assert_in_range(b.n, 0, 4);
			for (unsigned k = 0; k < b.n; k++)
				assert_in_range(b.in[k].a, 0, 9);
		}
		s.s[i / 8] = (char)(s.s[i / 8] ^ 1 << i % 8);
	}
	strbuf_exit(&s);
}

static void an_older_state_gets_reset_values_for_newer_fields(void **state)
{
	static const struct state_table old_table = {.name = "outer",
						     .version = 1,
						     .fields = outer_fields,
						     .n = ARRAY_LEN(outer_fields) - 1};
	struct outer a = {.u8 = 9}, b = {0};
	struct strbuf s = {0};
	struct err e = ERR_INIT;

	(void)state;
	state_save(&old_table, &a, &s);
	assert_int_equal(state_load(&outer_table, 1, &b, s.s, s.len, &e), 0);
	assert_int_equal(b.later, 77);
	assert_int_equal(b.u8, 9);
	assert_int_not_equal(state_load(&outer_table, 2, &b, s.s, s.len, &e), 0);
	assert_string_equal(e.msg, "outer.later is missing");
	assert_int_not_equal(state_load(&outer_table, 3, &b, s.s, s.len, &e), 0);
	strbuf_exit(&s);
}

static void a_value_over_its_limit_is_refused_by_name(void **state)
{
	struct outer a = {.u8 = 101}, b = {0};
	struct strbuf s = {0};
	struct err e = ERR_INIT;

	(void)state;
	state_save(&outer_table, &a, &s);
	assert_int_equal(state_load(&outer_table, 2, &b, s.s, s.len, &e), -ERANGE);
	assert_string_equal(e.msg, "outer.u8: 0x65 is over its limit of 0x64");
	strbuf_exit(&s);
}

static void reset_gives_every_element_its_value(void **state)
{
	struct outer a;

	(void)state;
	memset(&a, 0xff, sizeof(a));
	state_reset(&outer_table, &a);
	assert_int_equal(a.u8, 1);
	assert_int_equal(a.u16[2], 0x1234);
	assert_int_equal(a.in[3].b, 0);
	assert_int_equal(a.later, 77);
}

static void a_vm_state_moves_into_another_vm(void **state)
{
	struct err e = ERR_INIT;
	struct strbuf s = {0}, again = {0};
	struct vm *vm = fake_vm_new(2);
	struct regs *d = regs_new(vm, 0x1000);

	(void)state;
	assert_int_equal(vm_start_vcpus(vm, &e), 0);
	assert_int_equal(vm_reset(vm, &e), 0);
	((struct fake_state *)vm->vcpus[1].state)->pc = 0xabc;
	d->reg[3] = 0x77;
	clock_set(&vm->clock, 5000);
	device_lock(&d->dev);
	timer_arm(&d->timer, 9000);
	device_unlock(&d->dev);
	assert_int_equal(vm_save_state(vm, &s, &e), 0);
	fake_vm_free(vm);

	vm = fake_vm_new(2);
	d = regs_new(vm, 0x1000);
	assert_int_equal(vm_start_vcpus(vm, &e), 0);
	assert_int_equal(vm_reset(vm, &e), 0);
	for (size_t len = 0; len < s.len; len++)
		assert_int_not_equal(vm_load_state(vm, s.s, len, &e), 0);
	assert_int_equal(d->reg[3], 0x5a);
	assert_int_equal(vm_load_state(vm, s.s, s.len, &e), 0);
	assert_int_equal(d->reg[3], 0x77);
	assert_int_equal(((struct fake_state *)vm->vcpus[1].state)->pc, 0xabc);
	assert_int_equal(clock_now(&vm->clock), 5000);
	clock_step(&vm->clock, 4000);
	assert_int_equal(d->fired, 1);
	d->fired = 0;
	clock_set(&vm->clock, 5000);
	device_lock(&d->dev);
	timer_arm(&d->timer, 9000);
	device_unlock(&d->dev);
	assert_int_equal(vm_save_state(vm, &again, &e), 0);
	assert_int_equal(again.len, s.len);
	assert_memory_equal(again.s, s.s, s.len);
	fake_vm_free(vm);
	strbuf_exit(&s);
	strbuf_exit(&again);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(what_is_saved_is_loaded),
		cmocka_unit_test(a_state_cut_off_anywhere_is_refused_and_changes_nothing),
		cmocka_unit_test(a_flipped_bit_never_breaks_a_bound),
		cmocka_unit_test(an_older_state_gets_reset_values_for_newer_fields),
		cmocka_unit_test(a_value_over_its_limit_is_refused_by_name),
		cmocka_unit_test(reset_gives_every_element_its_value),
		cmocka_unit_test(a_vm_state_moves_into_another_vm),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
