/*
 * accel/bt/insn-rows.h - families of rows that insn.def writes in one line each.  They expand to
 * ROW, whatever that is where insn.def is included.
 */
#ifndef LODGE_ACCEL_BT_INSN_ROWS_H
#define LODGE_ACCEL_BT_INSN_ROWS_H

/*
 * Add and its like: @op to @op + 5, and group 1's rows with ModRM.reg = @op / 8.  @am is the
 * attributes with a destination in memory, @ar with a register.
 */
#define ROWS_ALU(name, op, am, ar, fr, fu)                                                        \
	ROW(name, MAP_1, PA, (op) + 0, MOD_R, 0, OPS(Eb, Gb), name, BASE, am, fr, FL_ALL ^ (fu),  \
	    fu)                                                                                   \
	ROW(name, MAP_1, PA, (op) + 1, MOD_R, 0, OPS(Ev, Gv), name, BASE, am, fr, FL_ALL ^ (fu),  \
	    fu)                                                                                   \
	ROW(name, MAP_1, PA, (op) + 2, MOD_R, 0, OPS(Gb, Eb), name, BASE, ar, fr, FL_ALL ^ (fu),  \
	    fu)                                                                                   \
	ROW(name, MAP_1, PA, (op) + 3, MOD_R, 0, OPS(Gv, Ev), name, BASE, ar, fr, FL_ALL ^ (fu),  \
	    fu)                                                                                   \
	ROW(name, MAP_1, PA, (op) + 4, MOD_NONE, 0, OPS(AL, Ib), name, BASE, ar, fr,              \
	    FL_ALL ^ (fu), fu)                                                                    \
	ROW(name, MAP_1, PA, (op) + 5, MOD_NONE, 0, OPS(rAX, Iz), name, BASE, ar, fr,             \
	    FL_ALL ^ (fu), fu)                                                                    \
	ROW(name, MAP_1, PA, 0x80, MOD_X((op) / 8), 0, OPS(Eb, Ib), name, BASE, am, fr,           \
	    FL_ALL ^ (fu), fu)                                                                    \
	ROW(name, MAP_1, PA, 0x81, MOD_X((op) / 8), 0, OPS(Ev, Iz), name, BASE, am, fr,           \
	    FL_ALL ^ (fu), fu)                                                                    \
	ROW(name, MAP_1, PA, 0x82, MOD_X((op) / 8), 0, OPS(Eb, Ib), name, BASE, (am) | A_I64, fr, \
	    FL_ALL ^ (fu), fu)                                                                    \
	ROW(name, MAP_1, PA, 0x83, MOD_X((op) / 8), 0, OPS(Ev, Ib), name, BASE, am, fr,           \
	    FL_ALL ^ (fu), fu)

/*
 * Shifts and rotates: ModRM.reg = @n of groups 2.  Overflow is defined for a count of 1 only.  A
 * count of 0 leaves all flags alone.
 */
#define ROWS_SHIFT(name, n, fr, fw, fu)                                                          \
	ROW(name, MAP_1, PA, 0xc0, MOD_X(n), 0, OPS(Eb, Iub), name, BASE, A_RW, fr, fw,          \
	    (fu) | FL_O)                                                                         \
	ROW(name, MAP_1, PA, 0xc1, MOD_X(n), 0, OPS(Ev, Iub), name, BASE, A_RW, fr, fw,          \
	    (fu) | FL_O)                                                                         \
	ROW(name, MAP_1, PA, 0xd0, MOD_X(n), 0, OPS(Eb, ONE), name, BASE, A_RW, fr, (fw) | FL_O, \
	    fu)                                                                                  \
	ROW(name, MAP_1, PA, 0xd1, MOD_X(n), 0, OPS(Ev, ONE), name, BASE, A_RW, fr, (fw) | FL_O, \
	    fu)                                                                                  \
	ROW(name, MAP_1, PA, 0xd2, MOD_X(n), 0, OPS(Eb, CL), name, BASE, A_RW, fr, fw,           \
	    (fu) | FL_O)                                                                         \
	ROW(name, MAP_1, PA, 0xd3, MOD_X(n), 0, OPS(Ev, CL), name, BASE, A_RW, fr, fw, (fu) | FL_O)

/* The sixteen conditions (SDM 2 appendix B): names @n with the condition's letters, from @op on. */
#define ROWS_CC(n, map, op, mod, ops, exec, feature, attr)                                         \
	ROW(n##o, map, PA, (op) + 0, mod, 0, OPS ops, exec, feature, attr, FL_O, 0, 0)             \
	ROW(n##no, map, PA, (op) + 1, mod, 0, OPS ops, exec, feature, attr, FL_O, 0, 0)            \
	ROW(n##b, map, PA, (op) + 2, mod, 0, OPS ops, exec, feature, attr, FL_C, 0, 0)             \
	ROW(n##ae, map, PA, (op) + 3, mod, 0, OPS ops, exec, feature, attr, FL_C, 0, 0)            \
	ROW(n##e, map, PA, (op) + 4, mod, 0, OPS ops, exec, feature, attr, FL_Z, 0, 0)             \
	ROW(n##ne, map, PA, (op) + 5, mod, 0, OPS ops, exec, feature, attr, FL_Z, 0, 0)            \
	ROW(n##be, map, PA, (op) + 6, mod, 0, OPS ops, exec, feature, attr, FL_C | FL_Z, 0, 0)     \
	ROW(n##a, map, PA, (op) + 7, mod, 0, OPS ops, exec, feature, attr, FL_C | FL_Z, 0, 0)      \
	ROW(n##s, map, PA, (op) + 8, mod, 0, OPS ops, exec, feature, attr, FL_S, 0, 0)             \
	ROW(n##ns, map, PA, (op) + 9, mod, 0, OPS ops, exec, feature, attr, FL_S, 0, 0)            \
	ROW(n##p, map, PA, (op) + 10, mod, 0, OPS ops, exec, feature, attr, FL_P, 0, 0)            \
	ROW(n##np, map, PA, (op) + 11, mod, 0, OPS ops, exec, feature, attr, FL_P, 0, 0)           \
	ROW(n##l, map, PA, (op) + 12, mod, 0, OPS ops, exec, feature, attr, FL_S | FL_O, 0, 0)     \
	ROW(n##ge, map, PA, (op) + 13, mod, 0, OPS ops, exec, feature, attr, FL_S | FL_O, 0, 0)    \
	ROW(n##le, map, PA, (op) + 14, mod, 0, OPS ops, exec, feature, attr, FL_S | FL_O | FL_Z,   \
	    0, 0)                                                                                  \
	ROW(n##g, map, PA, (op) + 15, mod, 0, OPS ops, exec, feature, attr, FL_S | FL_O | FL_Z, 0, \
	    0)

#endif
