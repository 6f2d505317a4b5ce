/*
 * device/devices.h - all device classes of this build, from devices.def.
 */
#ifndef LODGE_DEVICE_DEVICES_H
#define LODGE_DEVICE_DEVICES_H

#include "core/device.h"

/* NULL-terminated. */
extern const struct device_class *const device_list[];
/* By name, or NULL. */
const struct device_class *device_class_find(const char *name);

#endif
