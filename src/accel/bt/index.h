/*
 * accel/bt/index.h - the rows of insn.def sorted for the decoder (decode.c only).
 *
 * For each map and opcode there are buckets by as much of mandatory prefix, ModRM.reg and "mod is
 * 3" as any of its rows asks for.  So one look leads to the few rows that can still be meant
 * (mostly one), in the order of the table; the first of them that fits the rest (mode, W, L,
 * features) is the instruction.
 */
#ifndef LODGE_ACCEL_BT_INDEX_H
#define LODGE_ACCEL_BT_INDEX_H

#include <stdatomic.h>

#include "accel/bt/insn.h"

/* What a row needs beyond its columns: found out once. */
#define FORM_MODRM  1u
#define FORM_VVVV   2u
#define FORM_VSIB   4u
#define FORM_RREG   8u	 /* mod is not looked at */
#define FORM_KREG   16u	 /* ModRM.reg is an opmask */
#define FORM_VL	    32u	 /* needs AVX512VL below 512 bits */
#define FORM_GREG   64u	 /* ModRM.reg is a general register */
#define FORM_SYSTEM 128u /* ModRM.reg is a segment, control or debug register */
#define FORM_CHOICE 256u /* more than the bucket decides whether it is this row */

#define MODE_OTHER 1u
#define MODE_64	   2u

#define L_BITS (L_0 | L_1 | L_2)
#define W_BITS (W_0 | W_1)

struct insn_form {
	uint16_t need;
	uint8_t modes;
	uint8_t feature2; /* one more CPUID feature, by the encoding */
};

#define NODE_PFX   1u
#define NODE_REG   2u
#define NODE_MOD   4u
#define NODE_MODRM 8u

struct insn_node {
	uint16_t base; /* of its buckets */
	uint8_t flags;
};

#define INSN_ROWS_MAX	 4096u
#define INSN_BUCKETS_MAX 16384u
#define INSN_LIST_MAX	 32768u
#define INSN_LIST_END	 0xffffu

struct insn_index {
	struct insn_form forms[INSN_ROWS_MAX];
	struct insn_node nodes[MAPS][256];
	uint16_t buckets[INSN_BUCKETS_MAX]; /* where in list */
	uint16_t list[INSN_LIST_MAX];	    /* rows, each bucket closed by INSN_LIST_END */
	atomic_bool ready;
};

extern struct insn_index insn_index;
/* Builds it, once; any thread. */
void insn_index_build(void);

static inline void insn_index_need(void)
{
	if (__builtin_expect(!atomic_load_explicit(&insn_index.ready, memory_order_acquire), 0))
		insn_index_build();
}

#endif
