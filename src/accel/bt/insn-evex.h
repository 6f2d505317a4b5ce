/*
 * accel/bt/insn-evex.h - families of EVEX rows, for insn-evex.def and insn-evex3a.def.  As the
 * others they expand to ROW, whatever that is where insn.def is included.
 */
#ifndef LODGE_ACCEL_BT_INSN_EVEX_H
#define LODGE_ACCEL_BT_INSN_EVEX_H

#define A_MZ  (A_MASK | A_ZERO)
#define L_ALL (L_0 | L_1 | L_2)

#define E(name, map, pfx, op, mod, wl, ops, feature, attr) \
	ROW(name, MAP_E##map, pfx, op, mod, wl, OPS ops, pure, feature, A_PURE | (attr), 0, 0, 0)

/* All lengths: three operands, two, two and an immediate, three and an immediate. */
#define E3(name, map, pfx, op, w, feature, attr) \
	E(name, map, pfx, op, MOD_R, (w) | L_ALL, (Vx, Hx, Wx), feature, A_WR | A_MZ | (attr))
#define E2(name, map, pfx, op, w, feature, attr) \
	E(name, map, pfx, op, MOD_R, (w) | L_ALL, (Vx, Wx), feature, A_WR | A_MZ | (attr))
#define E2I(name, map, pfx, op, mod, w, ops, feature, attr) \
	E(name, map, pfx, op, mod, (w) | L_ALL, ops, feature, A_WR | A_MZ | (attr))
#define E3I(name, map, pfx, op, w, feature, attr) \
	E(name, map, pfx, op, MOD_R, (w) | L_ALL, (Vx, Hx, Wx, Iub), feature, A_WR | A_MZ | (attr))
/* Doublewords and quadwords, told apart by W. */
#define E3_DQ(name, map, op)                            \
	E3(name##d, map, P66, op, W_0, AVX512F, A_BC32) \
	E3(name##q, map, P66, op, W_1, AVX512F, A_BC64)
/* Stores of registers: to memory they cannot zero. */
#define E_ST(name, pfx, op, w, feature, attr) \
	E(name, 0F, pfx, op, MOD_R, (w) | L_ALL, (Wx, Vx), feature, A_WR | A_MZ | (attr))
/* Comparisons into an opmask. */
#define E_K3(name, map, pfx, op, w, feature, attr) \
	E(name, map, pfx, op, MOD_R, (w) | L_ALL, (KGq, Hx, Wx), feature, A_WR | A_MASK | (attr))
#define E_K3I(name, map, pfx, op, wl, ops, feature, attr) \
	E(name, map, pfx, op, MOD_R, wl, ops, feature, A_WR | A_MASK | (attr))

/* Arithmetic, packed and scalar; @round is A_ER or A_SAE. */
#define E_PS_PD(name, op, round)                                        \
	E3(name##ps, 0F, P0, op, W_0, AVX512F, A_FP | A_BC32 | (round)) \
	E3(name##pd, 0F, P66, op, W_1, AVX512F, A_FP | A_BC64 | (round))
#define E_SS_SD(name, op, round)                                      \
	E(name##ss, 0F, PF3, op, MOD_R, W_0, (Vdq, Hdq, Wd), AVX512F, \
	  A_FP | A_WR | A_MZ | (round))                               \
	E(name##sd, 0F, PF2, op, MOD_R, W_1, (Vdq, Hdq, Wq), AVX512F, A_FP | A_WR | A_MZ | (round))
/* Scalar in 0F 38. */
#define E_S38(name, op, attr)                                                               \
	E(name##ss, 38, P66, op, MOD_R, W_0, (Vdq, Hdq, Wd), AVX512F, A_WR | A_MZ | (attr)) \
	E(name##sd, 38, P66, op, MOD_R, W_1, (Vdq, Hdq, Wq), AVX512F, A_WR | A_MZ | (attr))
/* Conversions of vectors in 0F. */
#define E_CVT(name, pfx, op, w, ops, feature, attr) \
	E(name, 0F, pfx, op, MOD_R, (w) | L_ALL, ops, feature, A_WR | A_MZ | (attr))
/* Shifts of all elements by the low quadword of an XMM register. */
#define E_BY(name, op, w, feature) \
	E(name, 0F, P66, op, MOD_R, (w) | L_ALL, (Vx, Hx, Wdq), feature, A_WR | A_MZ)
/* From narrow elements to wide ones, and from wide to narrow, in 0F 38. */
#define E_UP(name, op, w, narrow, feature, attr) \
	E(name, 38, P66, op, MOD_R, (w) | L_ALL, (Vx, narrow), feature, A_WR | A_MZ | (attr))
#define E_DOWN(name, op, narrow, feature) \
	E(name, 38, PF3, op, MOD_R, W_0 | L_ALL, (narrow, Vx), feature, A_WR | A_MZ)
#define E_GATHER(name, meaning, op, w, ops)                                         \
	ROW(name, MAP_E38, P66, op, MOD_RM, (w) | L_ALL, OPS ops, meaning, AVX512F, \
	    A_RW | A_MASK | A_NOK0, 0, 0, 0)
/* @size is the letter of the element's size; disp8 counts elements. */
#define E_EXPAND(expand, compress, op_ex, op_co, w, feature, size)                                \
	ROW(expand, MAP_E38, P66, op_ex, MOD_RM, (w) | L_ALL, OPS(Vx, M##size), vexpand, feature, \
	    A_WR | A_MZ, 0, 0, 0)                                                                 \
	E(expand, 38, P66, op_ex, MOD_RR, (w) | L_ALL, (Vx, Wx), feature, A_WR | A_MZ)            \
	ROW(compress, MAP_E38, P66, op_co, MOD_RM, (w) | L_ALL, OPS(M##size, Vx), vcompress,      \
	    feature, A_WR | A_MASK, 0, 0, 0)                                                      \
	E(compress, 38, P66, op_co, MOD_RR, (w) | L_ALL, (Wx, Vx), feature, A_WR | A_MZ)

#define E_FMA_P(name, op)                                                    \
	E3(name##ps, 38, P66, op, W_0, AVX512F, A_RD | A_FP | A_BC32 | A_ER) \
	E3(name##pd, 38, P66, op, W_1, AVX512F, A_RD | A_FP | A_BC64 | A_ER)
#define E_FMA_S(name, op) E_S38(name, op, A_RD | A_FP | A_ER)
#define E_FMA(order, op)                      \
	E_FMA_P(vfmaddsub##order, (op) + 0x6) \
	E_FMA_P(vfmsubadd##order, (op) + 0x7) \
	E_FMA_P(vfmadd##order, (op) + 0x8)    \
	E_FMA_S(vfmadd##order, (op) + 0x9)    \
	E_FMA_P(vfmsub##order, (op) + 0xa)    \
	E_FMA_S(vfmsub##order, (op) + 0xb)    \
	E_FMA_P(vfnmadd##order, (op) + 0xc)   \
	E_FMA_S(vfnmadd##order, (op) + 0xd)   \
	E_FMA_P(vfnmsub##order, (op) + 0xe)   \
	E_FMA_S(vfnmsub##order, (op) + 0xf)

#endif
