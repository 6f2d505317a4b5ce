/*
 * accel/bt/host/host.h - what the files of host/ share: the code arena of a vCPU, the stubs in it,
 * and the encoder that writes them.  All of it belongs to the vCPU's own thread.
 */
#ifndef LODGE_ACCEL_BT_HOST_HOST_H
#define LODGE_ACCEL_BT_HOST_HOST_H

#include "accel/bt/bt.h"
#include "accel/bt/pure.h"

/* Which unit an instruction needs: what CR0, CR4 and XCR0 must allow. */
enum pure_unit {
	UNIT_NONE, /* general registers only */
	UNIT_MMX,
	UNIT_SSE,
	UNIT_AVX,    /* VEX */
	UNIT_AVX512, /* EVEX, and VEX with opmasks */
	UNIT_X87,
};

#define PS_READ	  (1u << 0) /* the memory operand is read */
#define PS_WRITE  (1u << 1) /* ... and written */
#define PS_FP	  (1u << 2) /* MXCSR decides and records */
#define PS_MMX	  (1u << 3) /* x87 goes over to MMX (SDM 1 §9.5) */
#define PS_SETTLE (1u << 4) /* flags are read, or not all of them are written */
#define PS_MASKED (1u << 5) /* a memory operand under an EVEX opmask */

/* In front of a stub's code. */
struct pure_stub {
	uint16_t len;	 /* of the code */
	uint8_t mem;	 /* bytes of the memory operand */
	uint8_t align;	 /* bits of its address that must be clear */
	uint8_t flags;	 /* PS_ */
	uint8_t unit;	 /* enum pure_unit */
	uint8_t pad[10]; /* zero: code is 16-byte aligned, and stubs are compared as bytes */
};
_Static_assert(sizeof(struct pure_stub) == 16, "the code behind it is aligned");

typedef void pure_run(struct bt_cpu *c, void *mem);

static inline pure_run *pure_entry(const struct pure_stub *s)
{
	return (pure_run *)(uintptr_t)(s + 1);
}

/* What the encoder may use on this host. */
struct pure_host {
	bool avx, avx512, avx512bw;
};
const struct pure_host *pure_host(void); /* any thread */

#define PURE_CODE_MAX 496u

/* A stub being written. */
struct pure_buf {
	struct pure_stub head;
	uint8_t code[PURE_CODE_MAX];
};

/*
 * encode.c: the stub for @i.  False: its row cannot be run this way (the table says A_PURE or names
 * an x87 meaning for what is neither).
 */
bool pure_encode(const struct insn *i, struct pure_buf *out);

/*
 * arena.c: a copy of @b in executable memory: the one that is there already, or a new one.  When
 * the arena is full the copy is good only until the next call, and *@keep is false.
 */
const struct pure_stub *arena_add(struct bt_pure *a, const struct pure_buf *b, bool *keep);

/* pure.c: the stub of @i, made when needed. */
const struct pure_stub *pure_stub_of(struct bt_cpu *c, const struct insn *i);

/* #UD or #NM where CR0, CR4 or XCR0 forbid the unit; #MF before MMX. */
void pure_check(struct bt_cpu *c, const struct pure_stub *s);
/*
 * Runs @s with its memory operand at @mem, #XM and all included.  False: done.  True: #XM is due,
 * and nothing but flags in MXCSR has changed.
 */
bool pure_run_on(struct bt_cpu *c, const struct pure_stub *s, void *mem);
_Noreturn void pure_raise_xm(struct bt_cpu *c);

/* exec/lanes.c: @s is of an EVEX row with an opmask, and its memory operand is not simply there. */
void lanes_masked(struct bt_cpu *c, const struct insn *i, const struct pure_stub *s, uint64_t la);

/* x87.c */
/* An unmasked exception is pending (SDM 1 §8.1.3, the ES bit). */
bool x87_pending(const struct bt_cpu *c);
/* Raises #MF if one is pending and CR0.NE is set. */
void x87_check(struct bt_cpu *c);
/* What an MMX instruction does to x87: TOP 0, all tags valid. */
void x87_to_mmx(struct bt_cpu *c);

#endif
