/*
 * accel/bt/dec.h - an instruction while it is decoded (decode.c, vex.c).
 */
#ifndef LODGE_ACCEL_BT_DEC_H
#define LODGE_ACCEL_BT_DEC_H

#include "accel/bt/index.h"

/* What the bytes end in front of. */
enum dec_short { DEC_SHORT_ELSEWHERE, DEC_SHORT_OPCODE, DEC_SHORT_MODRM };

struct dec {
	const uint8_t *p,
		*end; /* the next byte; behind the last, at most INSN_MAX from the first */
	struct insn *i;
	const struct insn_features *features;
	const struct insn_row *row;
	const struct insn_form *form;
	const uint8_t *sizes;	 /* of enum insn_size from SZ_FIRST on; 0: not in the table */
	uint8_t map, op, pfx;	 /* pfx: 0 none, 1 66, 2 F3, 3 F2 */
	uint8_t r, x, b, r2, v2; /* register extensions, already shifted: 8, and 16 for r2, v2 */
	uint8_t wl;		 /* W and L as a row's bits */
	uint8_t ll;		 /* EVEX.L'L, VEX.L */
	bool w, disp8, seg_given;
	bool all; /* end is the limit of 15 bytes */
	uint8_t short_at;
};

static inline bool dec_has(const struct dec *d, unsigned n)
{
	return (size_t)(d->end - d->p) >= n;
}

static inline int dec_out_of_bytes(struct dec *d, enum dec_short at)
{
	d->short_at = (uint8_t)at;
	return d->all ? INSN_LONG : INSN_SHORT;
}

/*
 * At C4, C5 or 62: takes a VEX or EVEX prefix, *was, or leaves LES, LDS or BOUND alone.  0 or enum
 * insn_error.
 */
int dec_vector_prefix(struct dec *d, bool *was);
/* Do the fields of a VEX or EVEX prefix suit the row? */
bool dec_vector_fits(struct dec *d);
/* Are the registers of a gather apart, as they must? */
bool dec_gather_fits(const struct dec *d);

#endif
