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
#define VEC_MEANINGS(X)                                                                            \
	X(pure) X(x87) X(x87_fnstenv) X(x87_fldenv) X(x87_fnsave) X(x87_frstor) X(x87_fnstcw)      \
	X(x87_fldcw) X(x87_fnstsw) X(x87_fnstsw_ax) X(x87_fninit) X(x87_fnclex) X(fwait) X(emms)   \
	X(fxsave) X(fxrstor) X(xsave) X(xsaveopt) X(xsavec) X(xsaves) X(xrstor) X(xrstors)         \
	X(ldmxcsr) X(stmxcsr) X(maskmovdqu) X(maskmovq) X(vmaskmov) X(vgather) X(vscatter)         \
	X(vcompress) X(vexpand) X(vmov_masked) X(vzeroupper) X(vzeroall)
/* clang-format on */

#define X(name) insn_exec exec_##name;
VEC_MEANINGS(X)
#undef X

#endif
