/*
 * boot/uuid.c - text and byte orders of UUIDs.
 */
#include "boot/uuid.h"

#include <errno.h>
#include <string.h>

static int hex_digit(char c)
{
	if (c >= '0' && c <= '9')
		return c - '0';
	if (c >= 'a' && c <= 'f')
		return c - 'a' + 10;
	if (c >= 'A' && c <= 'F')
		return c - 'A' + 10;
	return -1;
}

int uuid_parse(const char *text, uint8_t uuid[UUID_LEN], struct err *e)
{
	static const char shape[] = "xxxxxxxx-xxxx-xxxx-xxxx-xxxxxxxxxxxx";
	unsigned nibble = 0;
	bool ok = strlen(text) == sizeof(shape) - 1;

	memset(uuid, 0, UUID_LEN);
	for (size_t i = 0; ok && i < sizeof(shape) - 1; i++) {
		int v = hex_digit(text[i]);

		if (shape[i] == '-') {
			ok = text[i] == '-';
			continue;
		}
		ok = v >= 0;
		if (ok) {
			uuid[nibble / 2] |= (uint8_t)(v << (nibble % 2 ? 0 : 4));
			nibble++;
		}
	}
	if (!ok)
		return err_set(e, -EINVAL,
			       "not a UUID: '%.60s' (hexadecimal digits as in "
			       "123e4567-e89b-12d3-a456-426614174000)",
			       text);
	return 0;
}

void uuid_swap(uint8_t out[UUID_LEN], const uint8_t in[UUID_LEN])
{
	static const uint8_t from[UUID_LEN] = {3, 2, 1,	 0,  5,	 4,  7,	 6,
					       8, 9, 10, 11, 12, 13, 14, 15};
	uint8_t copy[UUID_LEN];

	memcpy(copy, in, UUID_LEN);
	for (unsigned i = 0; i < UUID_LEN; i++)
		out[i] = copy[from[i]];
}
