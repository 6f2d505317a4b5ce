/*
 * device/devices.c - the list of device classes, from devices.def.
 */
#include <string.h>

#include "device/devices.h"

#define DEVICE(name) extern const struct device_class name##_class;
#include "device/devices.def"
#undef DEVICE

const struct device_class *const device_list[] = {
#define DEVICE(name) &name##_class,
#include "device/devices.def"
#undef DEVICE
	NULL,
};

const struct device_class *device_class_find(const char *name)
{
	for (unsigned i = 0; device_list[i]; i++)
		if (!strcmp(device_list[i]->name, name))
			return device_list[i];
	return NULL;
}
