/*
 * Words of the command line and configuration: numbers, sizes, durations, patterns, nearest words.
 */
#include "base/str.h"
#include "fuzz.h"

static const char *const words[] = {"--memory", "--machine", "--kernel", "--disk", "x", NULL};

/* The input as two strings, cut at the first NUL byte. */
static char *two_strings(const uint8_t *data, size_t size, const char **second)
{
	char *s = malloc(size + 2);

	BUG_ON(!s);
	if (size)
		memcpy(s, data, size);
	s[size] = s[size + 1] = '\0';
	*second = s + strlen(s) + 1;
	return s;
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	const char *other, *near;
	char *s = two_strings(data, size, &other);
	struct strbuf text = {0};
	struct err e = ERR_INIT;
	char shown[32];
	uint64_t v, again;

	if (!str_parse_u64(s, 3, 1000000, &v, &e))
		BUG_ON(v < 3 || v > 1000000);
	if (!str_parse_size(s, MIB(1), &v, &e)) {
		strbuf_printf(&text, "0x%llx", (unsigned long long)v);
		BUG_ON(str_parse_size(strbuf_str(&text), 1, &again, &e) || again != v);
		str_size(v, shown, sizeof(shown));
	}
	if (str_parse_duration(s, &v, &e))
		BUG_ON(e.msg[0] == '\0' || strlen(e.msg) >= sizeof(e.msg));
	near = str_nearest(s, words);
	BUG_ON(near && strlen(s) > 2 * strlen(near) + 1);
	if (strlen(s) < 200 && size < 2000)
		BUG_ON(str_match("*", other) == false || (str_match(s, s) == false));
	str_match(s, other);
	strbuf_exit(&text);
	free(s);
	return 0;
}
