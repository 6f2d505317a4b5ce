/*
 * What must hold for every class in device/devices.def: reset, save and load, properties.  A new
 * class is tested by its line there.
 */
#include <errno.h>

#include "../device/world.h"
#include "base/endian.h"
#include "unit.h"

static struct world w;

static int setup(void **state)
{
	(void)state;
	world_init(&w);
	return 0;
}

static int teardown(void **state)
{
	(void)state;
	world_exit(&w);
	return 0;
}

/* xorshift64*: the same values on every run. */
static uint64_t next(void *arg)
{
	uint64_t *x = arg;

	*x ^= *x >> 12;
	*x ^= *x << 25;
	*x ^= *x >> 27;
	return *x * UINT64_C(0x2545f4914f6cdd1d);
}

static void randomize(struct device *d, uint64_t *seed)
{
	if (!d->class->state)
		return;
	device_lock(d);
	state_random(d->class->state, d, next, seed);
	device_unlock(d);
}

static void assert_same(const struct strbuf *a, const struct strbuf *b, const char *what)
{
	if (a->len != b->len || memcmp(strbuf_str(a), strbuf_str(b), a->len) != 0)
		fail_msg("%s: the saved states differ", what);
}

static void every_class_is_complete(void **state)
{
	(void)state;
	for (unsigned i = 0; device_list[i]; i++) {
		const struct device_class *c = device_list[i];

		assert_ptr_equal(device_class_find(c->name), c);
		assert_true(c->help && c->help[0]);
		assert_true(c->size >= sizeof(struct device));
		assert_true(c->state || c->stateless);
		assert_false(c->state && c->stateless);
		assert_true(c->n_irqs <= DEVICE_IRQ_MAX);
		for (unsigned k = 0; k < DEVICE_IO_MAX && c->io[k].len; k++) {
			assert_non_null(c->io[k].read);
			assert_non_null(c->io[k].write);
			assert_true(c->io[k].sizes && c->io[k].sizes < 16);
			assert_true(c->io[k].held_off <= c->io[k].len);
			assert_true(c->io[k].held_len <= c->io[k].len - c->io[k].held_off);
		}
		for (unsigned k = 0; k < c->n_props; k++)
			assert_true(c->props[k].help && c->props[k].help[0]);
		for (unsigned k = 0; k < i; k++)
			assert_string_not_equal(c->name, device_list[k]->name);
	}
}

/* Battery-backed fields, which a reset leaves alone, are first given the values of a new device. */
static void reset_brings_back_the_first_state_whatever_the_state_was(void **state)
{
	static struct world first;
	uint64_t seed = 1;

	(void)state;
	world_init(&first);
	for (unsigned i = 0; i < w.n_devs; i++) {
		const struct state_table *t = w.dev[i]->class->state;
		struct strbuf diff = {0};

		for (unsigned round = 0; round < 50; round++)
			randomize(w.dev[i], &seed);
		device_reset(w.dev[i]);
		for (unsigned k = 0; t && k < t->n; k++)
			if (t->fields[k].keep)
				memcpy((uint8_t *)w.dev[i] + t->fields[k].off,
				       (uint8_t *)first.dev[i] + t->fields[k].off,
				       t->fields[k].total);
		device_reset(w.dev[i]);
		if (t && state_diff(t, first.dev[i], w.dev[i], &diff))
			fail_msg("%s", strbuf_str(&diff));
		strbuf_exit(&diff);
	}
	world_exit(&first);
}

static void reset_lowers_every_wire(void **state)
{
	uint64_t seed = 2;

	(void)state;
	for (unsigned i = 0; i < w.n_devs; i++) {
		struct err e = ERR_INIT;

		for (unsigned round = 0; round < 20; round++) {
			randomize(w.dev[i], &seed);
			if (w.dev[i]->class->loaded)
				(void)!w.dev[i]->class->loaded(w.dev[i], &e);
			device_reset(w.dev[i]);
			for (unsigned pin = 0; pin < IRQ_PINS; pin++)
				assert_false(w.level[pin]);
		}
	}
}

static void what_was_loaded_saves_and_loads_to_itself(void **state)
{
	uint64_t seed = 3;

	(void)state;
	for (unsigned i = 0; i < w.n_devs; i++) {
		struct device *d = w.dev[i];

		for (unsigned round = 0; round < 200 && d->class->state; round++) {
			struct strbuf a = {0}, b = {0}, c = {0};
			struct err e = ERR_INIT;

			randomize(d, &seed);
			world_save(d, &a);
			if (world_load(d, d->class->state->version, a.s, a.len, &e) == 0) {
				world_save(d, &b);
				assert_int_equal(
					world_load(d, d->class->state->version, b.s, b.len, &e), 0);
				world_save(d, &c);
				assert_same(&b, &c, d->id);
			}
			strbuf_exit(&a);
			strbuf_exit(&b);
			strbuf_exit(&c);
		}
	}
}

/* A refused load changes nothing; an accepted one is a state like any other. */
static void try_load(struct device *d, const struct strbuf *before, const void *data, size_t len)
{
	struct strbuf after = {0};
	struct err e = ERR_INIT;
	int rc = state_check(d->class->state, d->class->state->version, data, len, &e);

	if (rc) {
		assert_true(e.msg[0] != 0);
		assert_int_not_equal(world_load(d, d->class->state->version, data, len, &e), 0);
		world_save(d, &after);
		assert_same(before, &after, d->id);
	} else {
		(void)!world_load(d, d->class->state->version, data, len, &e);
		(void)!world_load(d, d->class->state->version, before->s, before->len, &e);
	}
	strbuf_exit(&after);
}

static void a_state_cut_off_anywhere_is_refused_whole(void **state)
{
	uint64_t seed = 4;

	(void)state;
	for (unsigned i = 0; i < w.n_devs; i++) {
		struct device *d = w.dev[i];
		struct strbuf s = {0};
		struct err e = ERR_INIT;

		if (!d->class->state)
			continue;
		randomize(d, &seed);
		world_save(d, &s);
		(void)!world_load(d, d->class->state->version, s.s, s.len, &e);
		strbuf_exit(&s);
		s = (struct strbuf){0};
		world_save(d, &s);
		for (size_t n = 0; n < s.len; n++) {
			assert_int_not_equal(
				state_check(d->class->state, d->class->state->version, s.s, n, &e),
				0);
			try_load(d, &s, s.s, n);
		}
		strbuf_exit(&s);
	}
}

static void a_state_with_any_bit_flipped_is_refused_whole_or_loads(void **state)
{
	(void)state;
	for (unsigned i = 0; i < w.n_devs; i++) {
		struct device *d = w.dev[i];
		struct strbuf s = {0};

		if (!d->class->state)
			continue;
		world_save(d, &s);
		for (size_t bit = 0; bit < s.len * 8; bit++) {
			s.s[bit / 8] ^= (char)(1 << bit % 8);
			struct strbuf flipped = {0};
			strbuf_add_bytes(&flipped, s.s, s.len);
			s.s[bit / 8] ^= (char)(1 << bit % 8);
			try_load(d, &s, flipped.s, flipped.len);
			strbuf_exit(&flipped);
		}
		strbuf_exit(&s);
	}
}

static void a_state_of_a_newer_version_is_refused(void **state)
{
	(void)state;
	for (unsigned i = 0; i < w.n_devs; i++) {
		struct device *d = w.dev[i];
		struct strbuf s = {0};
		struct err e = ERR_INIT;

		if (!d->class->state)
			continue;
		world_save(d, &s);
		assert_int_not_equal(world_load(d, d->class->state->version + 1u, s.s, s.len, &e),
				     0);
		assert_non_null(strstr(e.msg, "newer"));
		strbuf_exit(&s);
	}
}

static void accesses_of_any_size_anywhere_in_a_window_return(void **state)
{
	uint64_t seed = 5;

	(void)state;
	for (unsigned k = 0; k < w.n_windows; k++)
		for (uint64_t off = 0; off < MIN(w.window[k].len, 64u); off++)
			for (unsigned size = 1; size <= 8; size++) {
				uint8_t data[8];

				le64_store(data, next(&seed));
				(void)as_vcpu_write(w.window[k].as, w.window[k].base + off, data,
						    size);
				(void)as_vcpu_read(w.window[k].as, w.window[k].base + off, data,
						   size);
			}
}

/* One property of a device that is not live: its edges, and nonsense. */
static void check_prop(struct device *d, const struct prop *p)
{
	struct err e = ERR_INIT;

	switch (p->kind) {
	case PROP_U8:
	case PROP_U16:
	case PROP_U32:
	case PROP_U64:
		assert_int_equal(device_set(d, p->name, "0", &e), 0);
		assert_int_equal(device_set(d, p->name, "-1", &e), -EINVAL);
		assert_int_equal(device_set(d, p->name, "18446744073709551616", &e), -ERANGE);
		break;
	case PROP_BOOL:
		assert_int_equal(device_set(d, p->name, "on", &e), 0);
		assert_int_equal(device_set(d, p->name, "maybe", &e), -EINVAL);
		break;
	case PROP_STRING: assert_int_equal(device_set(d, p->name, "text", &e), 0); break;
	case PROP_BACKEND: assert_int_equal(device_set(d, p->name, "nobody", &e), -ENOENT); break;
	}
}

static void properties_take_what_they_say_and_refuse_the_rest(void **state)
{
	(void)state;
	for (unsigned i = 0; device_list[i]; i++) {
		struct err e = ERR_INIT;
		struct device *d;

		assert_int_equal(device_new(w.vm, device_list[i], "spare", &d, &e), 0);
		for (unsigned k = 0; k < device_list[i]->n_props; k++)
			check_prop(d, &device_list[i]->props[k]);
		assert_int_equal(device_set(d, "no-such-property", "1", &e), -ENOENT);
		assert_non_null(strstr(e.msg, device_list[i]->name));
		if (device_list[i]->io[0].len)
			assert_int_equal(device_set(d, "addr", "0x7000", &e), 0);
		if (device_list[i]->n_irqs)
			assert_int_equal(device_set(d, "irq", "999", &e), -ERANGE);
		device_free(d);
	}
}

static void every_device_can_be_made_twice_and_freed(void **state)
{
	(void)state;
	for (unsigned i = 0; device_list[i]; i++) {
		struct err e = ERR_INIT;
		struct device *d;

		assert_int_equal(device_new(w.vm, device_list[i], "second", &d, &e), 0);
		for (unsigned k = 0; k < DEVICE_IO_MAX && device_list[i]->io[k].len; k++)
			device_place(d, k,
				     device_list[i]->io[k].space == AS_PORTS
					     ? 0x7000 + 0x100 * k
					     : 0x10000000 * (k + 1));
		assert_int_equal(device_init(d, &e), 0);
		device_free(d);
		assert_null(device_find(w.vm, "second"));
	}
}

#define TEST(fn) cmocka_unit_test_setup_teardown(fn, setup, teardown)

int main(void)
{
	const struct CMUnitTest tests[] = {
		TEST(every_class_is_complete),
		TEST(reset_brings_back_the_first_state_whatever_the_state_was),
		TEST(reset_lowers_every_wire),
		TEST(what_was_loaded_saves_and_loads_to_itself),
		TEST(a_state_cut_off_anywhere_is_refused_whole),
		TEST(a_state_with_any_bit_flipped_is_refused_whole_or_loads),
		TEST(a_state_of_a_newer_version_is_refused),
		TEST(accesses_of_any_size_anywhere_in_a_window_return),
		TEST(properties_take_what_they_say_and_refuse_the_rest),
		TEST(every_device_can_be_made_twice_and_freed),
	};

	log_set_level(LOG_ERROR);
	return cmocka_run_group_tests(tests, NULL, NULL);
}
