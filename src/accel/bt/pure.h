/*
 * accel/bt/pure.h - instructions on the host's own unit, and extended state.
 *
 * exec_pure runs a row with A_PURE by a piece of host code made once for each decoded instruction:
 * it loads the registers the row names from struct bt_cpu, executes the same instruction re-encoded
 * with its memory operand at a checked host address, and stores the registers back.  Code lives in
 * a memfd mapped twice, writable and executable.
 */
#ifndef LODGE_ACCEL_BT_PURE_H
#define LODGE_ACCEL_BT_PURE_H

#include "accel/bt/bt.h"

int pure_init(struct bt_cpu *c, struct err *e); /* the arena of one vCPU */
void pure_exit(struct bt_cpu *c);
/* All code is forgotten: the block cache was flushed, no struct insn with .code is left. */
void pure_flush(struct bt_cpu *c);
/* True when the arena is full and the block cache should be flushed at the next chance. */
bool pure_full(const struct bt_cpu *c);

/*
 * What a vector meaning in C begins with: #UD or #NM where CR0, CR4 or XCR0 forbid instructions
 * encoded as @i is.
 */
void pure_check_vector(struct bt_cpu *c, const struct insn *i);

/* Which features the host's unit has, beyond what the plain C meanings need. */
void pure_features(struct insn_features *f);

/* xsave.c: the standard-format XSAVE image (host's layout) of struct x86_vcpu, and back. */
void ext_to_xsave(const struct bt_cpu *c, struct x86_vcpu *out);
int ext_from_xsave(struct bt_cpu *c, const struct x86_vcpu *in, struct err *e);
/* State at power-on (SDM 3A table 9-1); INIT leaves extended state alone. */
void ext_reset(struct bt_cpu *c);

#endif
