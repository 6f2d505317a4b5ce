/*
 * Errors: the message is made where the mistake is found and grows on its way up.
 */
#include <errno.h>

#include "base/err.h"
#include "base/list.h"
#include "unit.h"

static void setting_an_error_returns_its_code(void **state)
{
	struct err e = ERR_INIT;

	(void)state;
	assert_int_equal(err_set(&e, -EINVAL, "disk %d is odd", 3), -EINVAL);
	assert_int_equal(e.code, -EINVAL);
	assert_string_equal(e.msg, "disk 3 is odd");
	assert_string_equal(e.hint, "");
	assert_int_equal(e.kind, ERR_CONFIG);
}

static void an_errno_of_either_sign_is_spelled_out(void **state)
{
	struct err e = ERR_INIT;

	(void)state;
	assert_int_equal(err_errno(&e, ENOENT, "foo.img: cannot open"), -ENOENT);
	assert_string_equal(e.msg, "foo.img: cannot open: No such file or directory");
	assert_int_equal(err_errno(&e, -EACCES, "foo.img: cannot open"), -EACCES);
	assert_string_equal(e.msg, "foo.img: cannot open: Permission denied");
	assert_int_equal(err_errno(&e, 4000, "x"), -4000);
	assert_string_equal(e.msg, "x: error 4000");
}

static void each_layer_says_who_it_was(void **state)
{
	struct err e = ERR_INIT;

	(void)state;
	err_set(&e, -EINVAL, "bad magic");
	err_prefix(&e, "%s", "foo.img");
	assert_int_equal(err_prefix(&e, "--disk"), -EINVAL);
	assert_string_equal(e.msg, "--disk: foo.img: bad magic");
}

static void the_first_hint_wins(void **state)
{
	struct err e = ERR_INIT;

	(void)state;
	err_set(&e, -EACCES, "no");
	err_hint(&e, "join group %s", "kvm");
	assert_int_equal(err_hint(&e, "give up"), -EACCES);
	assert_string_equal(e.hint, "join group kvm");
}

static void a_new_error_replaces_text_kind_and_hint(void **state)
{
	struct err e = ERR_INIT;

	(void)state;
	err_set(&e, -EACCES, "first");
	err_hint(&e, "hint of the first");
	assert_int_equal(err_kind(&e, ERR_USAGE), -EACCES);
	err_set(&e, -EINVAL, "second");
	assert_string_equal(e.msg, "second");
	assert_string_equal(e.hint, "");
	assert_int_equal(e.kind, ERR_CONFIG);
}

static void an_errors_own_text_may_be_its_argument(void **state)
{
	struct err e = ERR_INIT;

	(void)state;
	err_set(&e, -EINVAL, "inner");
	err_set(&e, e.code, "outer around (%s)", e.msg);
	assert_string_equal(e.msg, "outer around (inner)");
	err_hint(&e, "about %s", e.msg);
	err_prefix(&e, "%s", e.msg);
	assert_string_equal(e.msg, "outer around (inner): outer around (inner)");
}

static void long_text_is_cut_at_the_end_of_the_buffer(void **state)
{
	struct err e = ERR_INIT;
	char text[2000];

	(void)state;
	memset(text, 'x', sizeof(text) - 1);
	text[sizeof(text) - 1] = '\0';
	err_set(&e, -EINVAL, "%s", text);
	assert_int_equal(strlen(e.msg), sizeof(e.msg) - 1);
	err_prefix(&e, "front");
	assert_int_equal(strlen(e.msg), sizeof(e.msg) - 1);
	assert_memory_equal(e.msg, "front: xxx", 10);
	for (size_t n = sizeof(e.msg) - 4; n < sizeof(e.msg) + 4; n++) {
		err_set(&e, -EINVAL, "old");
		err_prefix(&e, "%.*s", (int)n, text);
		assert_int_equal(strlen(e.msg), sizeof(e.msg) - 1);
	}
	err_hint(&e, "%s", text);
	assert_int_equal(strlen(e.hint), sizeof(e.hint) - 1);
}

static void nobody_needs_to_want_the_message(void **state)
{
	(void)state;
	assert_int_equal(err_set(NULL, -EBUSY, "x"), -EBUSY);
	assert_int_equal(err_errno(NULL, EBUSY, "x"), -EBUSY);
	assert_true(err_prefix(NULL, "x") < 0);
	assert_true(err_hint(NULL, "x") < 0);
	assert_true(err_kind(NULL, ERR_HOST) < 0);
	assert_int_equal(err_nomem(NULL, 1, "x"), -ENOMEM);
}

static void an_error_stays_one_whatever_its_code(void **state)
{
	struct err e = ERR_INIT;

	(void)state;
	assert_int_equal(err_set(&e, 0, "x"), -EINVAL);
	assert_int_equal(err_set(&e, EBUSY, "x"), -EBUSY);
}

static void out_of_memory_says_how_much_for_what(void **state)
{
	struct err e = ERR_INIT;

	(void)state;
	assert_int_equal(err_nomem(&e, 4096, "guest memory"), -ENOMEM);
	assert_string_equal(e.msg, "out of memory (4096 bytes for guest memory)");
	assert_int_equal(e.kind, ERR_HOST);
}

struct item {
	int n;
	struct list link;
};

static void a_list_keeps_order_and_removal_inside_a_walk_is_safe(void **state)
{
	struct list head = LIST_INIT(head), *pos, *tmp;
	struct item items[5];
	int sum = 0, n = 0;

	(void)state;
	assert_true(list_empty(&head));
	for (int i = 0; i < 5; i++) {
		items[i].n = i;
		list_add_tail(&head, &items[i].link);
	}
	list_for_each(pos, &head)
		assert_int_equal(list_entry(pos, struct item, link)->n, n++);
	list_for_each_safe(pos, tmp, &head) {
		struct item *it = list_entry(pos, struct item, link);

		if (it->n % 2 == 0)
			list_del(&it->link);
	}
	list_del(&items[0].link); /* a second removal does no harm */
	list_for_each(pos, &head)
		sum += list_entry(pos, struct item, link)->n;
	assert_int_equal(sum, 1 + 3);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(setting_an_error_returns_its_code),
		cmocka_unit_test(an_errno_of_either_sign_is_spelled_out),
		cmocka_unit_test(each_layer_says_who_it_was),
		cmocka_unit_test(the_first_hint_wins),
		cmocka_unit_test(a_new_error_replaces_text_kind_and_hint),
		cmocka_unit_test(an_errors_own_text_may_be_its_argument),
		cmocka_unit_test(long_text_is_cut_at_the_end_of_the_buffer),
		cmocka_unit_test(nobody_needs_to_want_the_message),
		cmocka_unit_test(an_error_stays_one_whatever_its_code),
		cmocka_unit_test(out_of_memory_says_how_much_for_what),
		cmocka_unit_test(a_list_keeps_order_and_removal_inside_a_walk_is_safe),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
