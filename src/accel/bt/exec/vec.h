/*
 * accel/bt/exec/vec.h - the meanings of x87, MMX and vector instructions and of those that save
 * their state.  Each is an insn_exec; see bt.h for what one may do and must do.
 *
 * Rows of one meaning are told apart by their operands and, where those do not tell, by opcode.
 */
#ifndef LODGE_ACCEL_BT_EXEC_VEC_H
#define LODGE_ACCEL_BT_EXEC_VEC_H

#include "accel/bt/insn.h"

/* clang-format off */
#define VEC_MEANINGS(X) \
	X(pure)
/* clang-format on */

#define X(name) insn_exec exec_##name;
VEC_MEANINGS(X)
#undef X

#endif
