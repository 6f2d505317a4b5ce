/*
 * The timer queue: order, ties, moving, taking out.
 */
#include "base/timerq.h"
#include "unit.h"

#define N 300

static uint32_t next_random(uint32_t *seed)
{
	*seed = *seed * 1664525 + 1013904223;
	return *seed >> 8;
}

static void reserve(struct timerq *q, unsigned n)
{
	for (unsigned i = 0; i < n; i++)
		assert_int_equal(timerq_reserve(q), 0);
}

static void timers_come_out_in_order_of_expiry(void **state)
{
	static struct timerq_entry t[N];
	struct timerq q = {0};
	uint32_t seed = 1;
	uint64_t last = 0;

	(void)state;
	reserve(&q, N);
	assert_null(timerq_first(&q));
	for (int i = 0; i < N; i++)
		timerq_arm(&q, &t[i], next_random(&seed) % 1000);
	for (int i = 0; i < N; i++) {
		struct timerq_entry *e = timerq_first(&q);

		assert_non_null(e);
		assert_true(e->when >= last);
		last = e->when;
		timerq_cancel(&q, e);
		assert_true(e->when == TIMERQ_NEVER);
	}
	assert_null(timerq_first(&q));
	timerq_exit(&q);
}

static void timers_of_one_instant_fire_in_the_order_they_were_armed(void **state)
{
	struct timerq_entry t[20] = {{0}};
	struct timerq q = {.seq = UINT32_MAX - 5}; /* the order survives the counter's wrap */

	(void)state;
	reserve(&q, 20);
	for (int i = 0; i < 20; i++)
		timerq_arm(&q, &t[(i * 7) % 20], 5);
	for (int i = 0; i < 20; i++) {
		assert_ptr_equal(timerq_first(&q), &t[(i * 7) % 20]);
		timerq_cancel(&q, &t[(i * 7) % 20]);
	}
	timerq_exit(&q);
}

static void arming_again_moves_a_timer(void **state)
{
	struct timerq_entry a = {0}, b = {0};
	struct timerq q = {0};

	(void)state;
	reserve(&q, 2);
	timerq_arm(&q, &a, 10);
	timerq_arm(&q, &b, 20);
	timerq_arm(&q, &a, 30);
	assert_ptr_equal(timerq_first(&q), &b);
	timerq_arm(&q, &a, 5);
	assert_ptr_equal(timerq_first(&q), &a);
	timerq_arm(&q, &a, TIMERQ_NEVER);
	assert_ptr_equal(timerq_first(&q), &b);
	assert_int_equal(q.n, 1);
	timerq_exit(&q);
}

static void cancelling_what_was_never_armed_does_nothing(void **state)
{
	struct timerq_entry a = {0}, b = {0};
	struct timerq q = {0};

	(void)state;
	reserve(&q, 2);
	timerq_cancel(&q, &a);
	timerq_arm(&q, &b, 1);
	timerq_cancel(&q, &a);
	assert_ptr_equal(timerq_first(&q), &b);
	timerq_cancel(&q, &b);
	timerq_unreserve(&q);
	timerq_unreserve(&q);
	timerq_exit(&q);
}

/* Against a list that is searched. */
static void random_arming_and_cancelling_agrees_with_a_search(void **state)
{
	static struct timerq_entry t[N];
	static uint64_t when[N];
	struct timerq q = {0};
	uint32_t seed = 7;

	(void)state;
	memset(t, 0, sizeof(t));
	memset(when, 0xff, sizeof(when));
	reserve(&q, N);
	for (int step = 0; step < 20000; step++) {
		uint32_t i = next_random(&seed) % N;
		struct timerq_entry *first;
		uint64_t least = TIMERQ_NEVER;

		when[i] = next_random(&seed) % 3 ? next_random(&seed) % 5000 : TIMERQ_NEVER;
		timerq_arm(&q, &t[i], when[i]);
		for (int k = 0; k < N; k++)
			if (when[k] < least)
				least = when[k];
		first = timerq_first(&q);
		assert_true((first ? first->when : TIMERQ_NEVER) == least);
	}
	timerq_exit(&q);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(timers_come_out_in_order_of_expiry),
		cmocka_unit_test(timers_of_one_instant_fire_in_the_order_they_were_armed),
		cmocka_unit_test(arming_again_moves_a_timer),
		cmocka_unit_test(cancelling_what_was_never_armed_does_nothing),
		cmocka_unit_test(random_arming_and_cancelling_agrees_with_a_search),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
