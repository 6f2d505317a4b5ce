/*
 * The tail of the console: lines, and a kernel's panic among them.
 */
#include <string.h>

#include "monitor/console.h"
#include "unit.h"

static struct vm vm;
static struct console console;
static unsigned halted;

static void count_halted(void *arg)
{
	(void)arg;
	halted++;
}

/* A console with one port and nobody behind it. */
static int setup(void **state)
{
	(void)state;
	halted = 0;
	console_init(&console, &vm);
	console.on_halted = count_halted;
	console.ports[0].console = &console;
	console.n_ports = 1;
	return 0;
}

static int teardown(void **state)
{
	(void)state;
	console_exit(&console);
	return 0;
}

static void say(const char *text)
{
	console_feed(&console.ports[0], (const uint8_t *)text, strlen(text));
}

static bool panicked(const char *why)
{
	char text[CONSOLE_WIDTH];
	bool yes = console_panicked(&console, text, sizeof(text));

	assert_string_equal(text, why);
	return yes;
}

static void the_tail_is_lines_without_control_sequences(void **state)
{
	struct strbuf out = {0};

	(void)state;
	say("one\r\ntwo\r\n\x1b[1;31mth");
	say("ree\x1b[0m\r\nlog\tin: ");
	console_tail(&console, 2, &out);
	assert_string_equal(strbuf_str(&out), "  | two\n  | three\n  | login: \n");
	strbuf_exit(&out);
}

static void a_long_line_is_cut_and_the_next_one_is_whole(void **state)
{
	struct strbuf out = {0};

	(void)state;
	for (unsigned i = 0; i < 1000; i++)
		say("x");
	say("\nnext\n");
	console_tail(&console, 1, &out);
	assert_string_equal(strbuf_str(&out), "  | next\n");
	strbuf_exit(&out);
}

static void a_panic_is_seen_behind_time_stamps(void **state)
{
	(void)state;
	assert_false(panicked(""));
	say("[    1.234567] Kernel panic - not syncing: VFS: Unable to mount root fs\r\n");
	assert_true(panicked("VFS: Unable to mount root fs"));
	console_reset(&console);
	assert_false(panicked(""));
	say("<0>[    1.234567][    T1] Kernel panic - not syncing: Attempted to kill init!\n");
	assert_true(panicked("Attempted to kill init!"));
}

static void the_words_in_the_middle_of_a_line_are_no_panic(void **state)
{
	(void)state;
	say("# grep 'Kernel panic - not syncing' kern.log\n");
	say("Nov 22 12:00:01 host kernel: [ 1.0] Kernel panic - not syncing: old\n");
	say("[a note] Kernel panic - not syncing: no stamp\n");
	assert_false(panicked(""));
}

static void a_panic_long_ago_is_forgotten(void **state)
{
	(void)state;
	say("Kernel panic - not syncing: x\n");
	assert_true(panicked("x"));
	for (unsigned i = 0; i < 300; i++)
		say("life goes on\n");
	assert_false(panicked(""));
}

static void the_end_of_a_panic_is_told_once_and_only_after_its_beginning(void **state)
{
	(void)state;
	say("[ 1.0] ---[ end Kernel panic - not syncing: x ]---\n");
	assert_int_equal(halted, 0);
	say("[ 1.0] Kernel panic - not syncing: x\n");
	say("[ 1.0] ---[ end Kernel panic - not syncing: x ]---\n");
	say("[ 1.0] ---[ end Kernel panic - not syncing: x ]---\n");
	assert_int_equal(halted, 1);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test_setup_teardown(the_tail_is_lines_without_control_sequences, setup,
						teardown),
		cmocka_unit_test_setup_teardown(a_long_line_is_cut_and_the_next_one_is_whole, setup,
						teardown),
		cmocka_unit_test_setup_teardown(a_panic_is_seen_behind_time_stamps, setup,
						teardown),
		cmocka_unit_test_setup_teardown(the_words_in_the_middle_of_a_line_are_no_panic,
						setup, teardown),
		cmocka_unit_test_setup_teardown(a_panic_long_ago_is_forgotten, setup, teardown),
		cmocka_unit_test_setup_teardown(
			the_end_of_a_panic_is_told_once_and_only_after_its_beginning, setup,
			teardown),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
