/*
 * accel/list.h - declares every accelerator of accels.def.
 */
#ifndef LODGE_ACCEL_LIST_H
#define LODGE_ACCEL_LIST_H

#include "core/accel.h"

#define ACCEL(name) extern const struct accel_ops accel_##name;
#include "accel/accels.def"
#undef ACCEL

/* Of the software CPU, which is there on every host and runs guests on some. */
#define BT_HELP "a CPU in software, for x86-64 guests on x86-64 hosts only"

#endif
