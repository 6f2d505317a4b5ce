/*
 * Saved states: the first byte picks a device class, the second the version, the rest is its
 * section.  What passes the check must be what the fields allow; nothing may be read beyond it.
 */
#include "device/devices.h"
#include "fuzz.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	struct err e = ERR_INIT;
	unsigned n = 0;

	while (device_list[n])
		n++;
	if (size < 2 || n == 0)
		return 0;
	const struct device_class *class = device_list[data[0] % n];

	if (class->state && state_check(class->state, data[1], data + 2, size - 2, &e))
		BUG_ON(e.code >= 0 || e.msg[0] == '\0');
	return 0;
}
