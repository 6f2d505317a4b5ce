/*
 * The event loop and the worker pool.
 */
#include <errno.h>
#include <fcntl.h>
#include <pthread.h>
#include <sys/epoll.h>
#include <sys/socket.h>
#include <unistd.h>

#include "base/loop.h"
#include "base/pool.h"
#include "unit.h"

static int make_loop(void **state)
{
	*state = loop_new(NULL);
	return *state ? 0 : -1;
}

static int drop_loop(void **state)
{
	loop_free(*state);
	return 0;
}

struct watch {
	struct loop_fd w;
	struct loop *loop;
	struct watch *victim; /* removed by the callback */
	uint32_t seen;
	int calls;
};

static void on_fd(struct loop_fd *w, uint32_t events)
{
	struct watch *t = container_of(w, struct watch, w);

	t->calls++;
	t->seen |= events;
	if (t->victim)
		loop_del(t->loop, &t->victim->w);
}

static void a_readable_descriptor_calls_its_watch(void **state)
{
	struct loop *l = *state;
	struct watch t = {.w = {.events = EPOLLIN, .fn = on_fd}};
	int p[2];

	assert_int_equal(pipe(p), 0);
	t.w.fd = p[0];
	assert_int_equal(loop_add(l, &t.w, NULL), 0);
	assert_int_equal(loop_step(l, 0), 0);
	assert_int_equal(write(p[1], "x", 1), 1);
	assert_int_equal(loop_step(l, -1), 1);
	assert_int_equal(t.seen, EPOLLIN);
	loop_del(l, &t.w);
	loop_del(l, &t.w);
	assert_int_equal(loop_step(l, 0), 0);
	close(p[0]);
	close(p[1]);
}

static void a_watch_without_events_is_silent_even_at_a_hang_up(void **state)
{
	struct loop *l = *state;
	struct watch t = {.w = {.events = EPOLLIN, .fn = on_fd}};
	int p[2];

	assert_int_equal(pipe(p), 0);
	t.w.fd = p[0];
	assert_int_equal(loop_add(l, &t.w, NULL), 0);
	assert_int_equal(loop_mod(l, &t.w, 0), 0);
	close(p[1]);
	assert_int_equal(loop_step(l, 0), 0);
	assert_int_equal(loop_mod(l, &t.w, EPOLLIN), 0);
	assert_int_equal(loop_step(l, 0), 1);
	assert_true(t.seen & EPOLLHUP);
	loop_del(l, &t.w);
	close(p[0]);
}

static void a_watch_can_change_from_reading_to_writing(void **state)
{
	struct loop *l = *state;
	struct watch t = {.w = {.events = EPOLLIN, .fn = on_fd}};
	int s[2];

	assert_int_equal(socketpair(AF_UNIX, SOCK_STREAM, 0, s), 0);
	t.w.fd = s[0];
	assert_int_equal(loop_add(l, &t.w, NULL), 0);
	assert_int_equal(loop_step(l, 0), 0);
	assert_int_equal(loop_mod(l, &t.w, EPOLLOUT), 0);
	assert_int_equal(loop_step(l, 0), 1);
	assert_int_equal(t.seen, EPOLLOUT);
	loop_del(l, &t.w);
	close(s[0]);
	close(s[1]);
}

static void a_regular_file_is_always_ready_until_it_is_silenced(void **state)
{
	struct loop *l = *state;
	struct watch t = {.w = {.events = EPOLLIN, .fn = on_fd}};
	FILE *f = tmpfile();

	assert_non_null(f);
	t.w.fd = fileno(f);
	assert_int_equal(loop_add(l, &t.w, NULL), 0);
	assert_int_equal(loop_step(l, -1), 1);
	assert_int_equal(loop_step(l, -1), 1);
	assert_int_equal(t.seen, EPOLLIN);
	assert_int_equal(loop_mod(l, &t.w, 0), 0);
	assert_int_equal(loop_step(l, 0), 0);
	assert_int_equal(loop_mod(l, &t.w, EPOLLOUT), 0);
	assert_int_equal(loop_step(l, -1), 1);
	assert_int_equal(t.seen, EPOLLIN | EPOLLOUT);
	loop_del(l, &t.w);
	assert_int_equal(loop_step(l, 0), 0);
	assert_int_equal(t.calls, 3);
	fclose(f);
}

static void a_callback_may_remove_a_watch_whose_event_is_waiting(void **state)
{
	struct loop *l = *state;
	struct watch t[2] = {{.w = {.events = EPOLLIN, .fn = on_fd}, .loop = l, .victim = &t[1]},
			     {.w = {.events = EPOLLIN, .fn = on_fd}, .loop = l, .victim = &t[0]}};
	int p[2];

	assert_int_equal(pipe(p), 0);
	t[0].w.fd = p[0];
	t[1].w.fd = dup(p[0]);
	assert_int_equal(loop_add(l, &t[0].w, NULL), 0);
	assert_int_equal(loop_add(l, &t[1].w, NULL), 0);
	assert_int_equal(write(p[1], "x", 1), 1);
	assert_int_equal(loop_step(l, -1), 1); /* the one that ran removed the other */
	assert_int_equal(t[0].calls + t[1].calls, 1);
	loop_del(l, &t[0].w);
	loop_del(l, &t[1].w);
	close(t[1].w.fd);
	close(p[0]);
	close(p[1]);
}

static void a_regular_file_may_remove_another_in_its_callback(void **state)
{
	struct loop *l = *state;
	struct watch t[2] = {{.w = {.events = EPOLLIN, .fn = on_fd}, .loop = l, .victim = &t[1]},
			     {.w = {.events = EPOLLIN, .fn = on_fd}, .loop = l, .victim = &t[0]}};
	FILE *f = tmpfile();

	assert_non_null(f);
	t[0].w.fd = t[1].w.fd = fileno(f);
	assert_int_equal(loop_add(l, &t[0].w, NULL), 0);
	assert_int_equal(loop_add(l, &t[1].w, NULL), 0);
	assert_int_equal(loop_step(l, -1), 1);
	assert_int_equal(t[0].calls, 1);
	assert_int_equal(t[1].calls, 0);
	loop_del(l, &t[0].w);
	fclose(f);
}

static void a_bad_descriptor_is_an_error_and_not_watched(void **state)
{
	struct loop *l = *state;
	struct watch t = {.w = {.fd = -1, .events = EPOLLIN, .fn = on_fd}};
	struct err e = ERR_INIT;

	assert_int_equal(loop_add(l, &t.w, &e), -EBADF);
	assert_string_equal(e.msg, "cannot watch file descriptor -1: Bad file descriptor");
	assert_int_equal(e.kind, ERR_HOST);
	loop_del(l, &t.w);
}

struct note {
	struct loop_post post;
	struct loop *loop;
	struct note *again; /* posted by the callback */
	struct note *drop;  /* taken back by the callback */
	int calls;
	bool stop, on_loop;
};

static void on_post(struct loop_post *p)
{
	struct note *n = container_of(p, struct note, post);

	n->calls++;
	n->on_loop = loop_is_current(n->loop);
	if (n->again)
		loop_post(n->loop, &n->again->post);
	if (n->drop)
		loop_unpost(n->loop, &n->drop->post);
	if (n->stop)
		loop_stop(n->loop);
}

static void a_post_queued_twice_runs_once(void **state)
{
	struct loop *l = *state;
	struct note n = {.post = {.fn = on_post}, .loop = l};

	loop_post(l, &n.post);
	loop_post(l, &n.post);
	assert_int_equal(loop_step(l, -1), 1);
	assert_int_equal(loop_step(l, 0), 0);
	assert_int_equal(n.calls, 1);
	assert_true(n.on_loop);
	assert_false(loop_is_current(l));
}

static void a_post_made_by_a_post_runs_in_the_next_step(void **state)
{
	struct loop *l = *state;
	struct note n = {.post = {.fn = on_post}, .loop = l};

	n.again = &n;
	loop_post(l, &n.post);
	for (int i = 1; i <= 3; i++) {
		assert_int_equal(loop_step(l, -1), 1);
		assert_int_equal(n.calls, i);
	}
	loop_unpost(l, &n.post);
	loop_unpost(l, &n.post);
	assert_int_equal(loop_step(l, 0), 0);
}

static void a_post_may_take_back_one_of_the_same_step(void **state)
{
	struct loop *l = *state;
	struct note b = {.post = {.fn = on_post}, .loop = l};
	struct note a = {.post = {.fn = on_post}, .loop = l, .drop = &b};

	loop_post(l, &a.post);
	loop_post(l, &b.post);
	assert_int_equal(loop_step(l, -1), 1);
	assert_int_equal(loop_step(l, 0), 0);
	assert_int_equal(b.calls, 0);
}

static void a_loop_that_was_stopped_early_does_not_start_and_can_run_again(void **state)
{
	struct loop *l = *state;
	struct note n = {.post = {.fn = on_post}, .loop = l, .stop = true};

	loop_stop(l);
	loop_run(l);
	loop_post(l, &n.post);
	loop_run(l);
	assert_int_equal(n.calls, 1);
}

#define POSTS_EACH 20000

struct poster {
	struct note *notes;
	pthread_t thread;
};

static void *post_many(void *arg)
{
	struct poster *t = arg;

	for (int i = 0; i < POSTS_EACH; i++)
		loop_post(t->notes[i].loop, &t->notes[i].post);
	return NULL;
}

static void no_post_of_another_thread_is_lost(void **state)
{
	struct loop *l = *state;
	struct poster t[2];
	int ran = 0;

	for (int i = 0; i < 2; i++) {
		t[i].notes = calloc(POSTS_EACH, sizeof(struct note));
		assert_non_null(t[i].notes);
		for (int k = 0; k < POSTS_EACH; k++) {
			t[i].notes[k].post.fn = on_post;
			t[i].notes[k].loop = l;
		}
		assert_int_equal(pthread_create(&t[i].thread, NULL, post_many, &t[i]), 0);
	}
	while (ran < 2 * POSTS_EACH)
		ran += loop_step(l, -1);
	for (int i = 0; i < 2; i++) {
		pthread_join(t[i].thread, NULL);
		for (int k = 0; k < POSTS_EACH; k++)
			assert_int_equal(t[i].notes[k].calls, 1);
		free(t[i].notes);
	}
	assert_int_equal(ran, 2 * POSTS_EACH);
}

struct sum_job {
	struct pool_job job;
	struct loop *loop;
	int *left;
	int result;
	pthread_t ran_on;
};

static void sum_fn(struct pool_job *j)
{
	struct sum_job *s = container_of(j, struct sum_job, job);

	for (int i = 1; i <= 100; i++)
		s->result += i;
	s->ran_on = pthread_self();
}

static void sum_done(struct pool_job *j)
{
	struct sum_job *s = container_of(j, struct sum_job, job);

	assert_true(loop_is_current(s->loop));
	if (--*s->left == 0)
		loop_stop(s->loop);
}

static void jobs_run_on_workers_and_report_on_the_loop(void **state)
{
	struct loop *l = *state;
	struct pool *p = pool_new(l, 3, NULL);
	struct sum_job jobs[200] = {0};
	int left = ARRAY_LEN(jobs);

	assert_non_null(p);
	for (size_t i = 0; i < ARRAY_LEN(jobs); i++) {
		jobs[i].job.fn = sum_fn;
		jobs[i].job.done = sum_done;
		jobs[i].loop = l;
		jobs[i].left = &left;
		pool_submit(p, &jobs[i].job);
	}
	loop_run(l);
	assert_int_equal(left, 0);
	for (size_t i = 0; i < ARRAY_LEN(jobs); i++) {
		assert_int_equal(jobs[i].result, 5050);
		assert_false(pthread_equal(jobs[i].ran_on, pthread_self()));
	}
	pool_free(p);
}

static void draining_waits_for_every_job(void **state)
{
	struct pool *p = pool_new(*state, 2, NULL);
	struct sum_job jobs[50] = {0};

	assert_non_null(p);
	pool_drain(p);
	for (size_t i = 0; i < ARRAY_LEN(jobs); i++) {
		jobs[i].job.fn = sum_fn;
		pool_submit(p, &jobs[i].job);
	}
	pool_drain(p);
	for (size_t i = 0; i < ARRAY_LEN(jobs); i++)
		assert_int_equal(jobs[i].result, 5050);
	pool_free(p);
	pool_free(NULL);
}

#define with_loop(f) cmocka_unit_test_setup_teardown(f, make_loop, drop_loop)

int main(void)
{
	const struct CMUnitTest tests[] = {
		with_loop(a_readable_descriptor_calls_its_watch),
		with_loop(a_watch_without_events_is_silent_even_at_a_hang_up),
		with_loop(a_watch_can_change_from_reading_to_writing),
		with_loop(a_regular_file_is_always_ready_until_it_is_silenced),
		with_loop(a_callback_may_remove_a_watch_whose_event_is_waiting),
		with_loop(a_regular_file_may_remove_another_in_its_callback),
		with_loop(a_bad_descriptor_is_an_error_and_not_watched),
		with_loop(a_post_queued_twice_runs_once),
		with_loop(a_post_made_by_a_post_runs_in_the_next_step),
		with_loop(a_post_may_take_back_one_of_the_same_step),
		with_loop(a_loop_that_was_stopped_early_does_not_start_and_can_run_again),
		with_loop(no_post_of_another_thread_is_lost),
		with_loop(jobs_run_on_workers_and_report_on_the_loop),
		with_loop(draining_waits_for_every_job),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
