/*
 * Character devices: what a device may write and is given to read, through the buffer and file back
 * ends.  Terminals, ptys and sockets have their tests in tests/console.
 */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "chardev/chardev.h"
#include "unit.h"

/* A device: it has room for a while and remembers what it was given and told. */
struct front {
	struct chardev *c;
	size_t room;
	uint8_t got[8192];
	size_t n;
	unsigned drained;
};

static size_t front_room(void *arg)
{
	return ((struct front *)arg)->room;
}

static void front_input(void *arg, const uint8_t *buf, size_t n)
{
	struct front *f = arg;

	assert_true(n <= f->room && n <= sizeof(f->got) - f->n);
	memcpy(f->got + f->n, buf, n);
	f->n += n;
	f->room -= n;
}

static void front_drained(void *arg)
{
	((struct front *)arg)->drained++;
}

static struct loop *loop;

static void front_open(struct front *f, const char *spec)
{
	const struct chardev_client client = {front_room, front_input, front_drained, NULL, f};
	struct err e = ERR_INIT;

	*f = (struct front){0};
	loop = loop_new(&e);
	assert_non_null(loop);
	assert_int_equal(chardev_open(spec, loop, &f->c, &e), 0);
	chardev_attach(f->c, &client);
}

static void front_close(struct front *f)
{
	chardev_free(f->c);
	loop_free(loop);
}

static void input_waits_until_the_device_has_room(void **state)
{
	struct front f;

	(void)state;
	front_open(&f, "buffer");
	assert_int_equal(chardev_buffer_put(f.c, (const uint8_t *)"hello", 5), 5);
	assert_int_equal(f.n, 0);
	f.room = 3;
	chardev_wake(f.c);
	loop_step(loop, 0);
	assert_memory_equal(f.got, "hel", 3);
	f.room = 100;
	chardev_wake(f.c);
	loop_step(loop, 0);
	assert_int_equal(f.n, 5);
	assert_memory_equal(f.got, "hello", 5);
	front_close(&f);
}

static void output_beyond_the_buffer_is_refused_and_told_about_later(void **state)
{
	static uint8_t block[65536], back[65536];
	struct front f;
	size_t total = 0, taken;

	(void)state;
	front_open(&f, "buffer");
	for (size_t i = 0; i < sizeof(block); i++)
		block[i] = (uint8_t)(i * 7 + i / 256);
	do {
		taken = chardev_write(f.c, block, sizeof(block));
		total += taken;
	} while (taken == sizeof(block));
	assert_int_equal(total, MIB(1));
	assert_int_equal(chardev_write(f.c, "x", 1), 0);
	assert_int_equal(f.drained, 0);
	for (size_t i = 0; i < 16; i++) {
		assert_int_equal(chardev_buffer_take(f.c, back, sizeof(back)), sizeof(back));
		assert_memory_equal(back, block, sizeof(back));
	}
	assert_int_equal(f.drained, 1);
	assert_int_equal(chardev_write(f.c, "x", 1), 1);
	front_close(&f);
}

static void count_bytes(void *arg, const uint8_t *buf, size_t n)
{
	(void)buf;
	*(size_t *)arg += n;
}

static void a_tap_sees_what_was_taken_and_nothing_else(void **state)
{
	static uint8_t block[MIB(1)];
	struct front f;
	size_t seen = 0;

	(void)state;
	front_open(&f, "buffer");
	chardev_tap(f.c, count_bytes, &seen);
	assert_int_equal(chardev_write(f.c, block, sizeof(block)), sizeof(block));
	assert_int_equal(chardev_write(f.c, block, 10), 0);
	assert_int_equal(seen, sizeof(block));
	chardev_tap(f.c, NULL, NULL);
	front_close(&f);
}

static void nothing_takes_everything(void **state)
{
	struct front f;

	(void)state;
	front_open(&f, "null");
	for (unsigned i = 0; i < 100; i++)
		assert_int_equal(chardev_write(f.c, f.got, sizeof(f.got)), sizeof(f.got));
	front_close(&f);
}

static void a_file_has_it_all_after_the_end(void **state)
{
	char path[] = "/tmp/lodge-unit-XXXXXX", spec[64], text[8] = {0};
	struct front f;
	int fd = mkstemp(path);

	(void)state;
	assert_true(fd >= 0);
	snprintf(spec, sizeof(spec), "file:%s", path);
	front_open(&f, spec);
	assert_int_equal(chardev_write(f.c, "abc", 3), 3);
	loop_step(loop, 0);
	assert_int_equal(chardev_write(f.c, "def", 3), 3);
	front_close(&f);
	assert_int_equal(pread(fd, text, sizeof(text), 0), 6);
	assert_string_equal(text, "abcdef");
	close(fd);
	unlink(path);
}

static void a_full_disk_loses_output_and_holds_nobody_up(void **state)
{
	struct front f;

	(void)state;
	if (access("/dev/full", W_OK))
		skip();
	front_open(&f, "file:/dev/full");
	for (unsigned i = 0; i < 1000; i++) {
		assert_int_equal(chardev_write(f.c, f.got, sizeof(f.got)), sizeof(f.got));
		loop_step(loop, 0);
	}
	front_close(&f);
}

static void an_unknown_spec_is_refused_with_what_is_accepted(void **state)
{
	struct err e = ERR_INIT;

	(void)state;
	assert_true(chardev_check("tcp:1234", &e) < 0);
	assert_string_equal(e.msg, "'tcp:1234' is not a serial back end");
	assert_int_equal(e.kind, ERR_USAGE);
	assert_non_null(strstr(e.hint, "stdio, pty, file:PATH"));
	assert_true(chardev_check("pty:x", &e) < 0);
	assert_true(chardev_check("unix:", &e) < 0);
	assert_int_equal(chardev_check("unix:a,server", &e), 0);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(input_waits_until_the_device_has_room),
		cmocka_unit_test(output_beyond_the_buffer_is_refused_and_told_about_later),
		cmocka_unit_test(a_tap_sees_what_was_taken_and_nothing_else),
		cmocka_unit_test(nothing_takes_everything),
		cmocka_unit_test(a_file_has_it_all_after_the_end),
		cmocka_unit_test(a_full_disk_loses_output_and_holds_nobody_up),
		cmocka_unit_test(an_unknown_spec_is_refused_with_what_is_accepted),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
