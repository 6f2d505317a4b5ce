/*
 * accel/bt/exec.h - declares the meanings that rows of insn.def name: exec_NAME for each NAME of
 * exec-names.def.
 */
#ifndef LODGE_ACCEL_BT_EXEC_H
#define LODGE_ACCEL_BT_EXEC_H

#include "accel/bt/insn.h"

#define EXEC(name) insn_exec exec_##name;
#include "accel/bt/exec-names.def"
#undef EXEC

#endif
