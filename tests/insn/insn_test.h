/*
 * tests/insn/insn_test.h - instructions compared with the real CPU: what the parts share.
 *
 *	gen.c	  a random instruction of a row of the table, and a state that keeps it at home
 *	native.c  executes it on the host, in a process of its own
 *	rig.c	  executes it in Lodge's software CPU, in 64-bit mode at CPL 3
 *	diff.c	  compares, reports, counts
 *
 * Both sides see the same little world: one page of code and two of data at fixed linear addresses
 * below 4 GiB, with nothing around them.
 */
#ifndef LODGE_TESTS_INSN_TEST_H
#define LODGE_TESTS_INSN_TEST_H

#include <stdbool.h>
#include <stdint.h>

#include "accel/bt/insn.h"

#define WORLD_CODE     0x10000000u
#define WORLD_DATA     0x20000000u
#define WORLD_DATA_LEN 8192u
#define WORLD_PAGE     4096u

#define NO_FAULT 0xffu

/* Registers that programs can see, and the data. */
struct world {
	uint64_t gpr[16];
	uint64_t rip, rflags;
	uint8_t zmm[32][64];
	uint64_t k[8];
	uint8_t st[8][10]; /* in the order of ST(0) to ST(7) */
	uint16_t fcw, fsw;
	uint8_t ftw; /* abridged: a bit for each register that is not empty */
	uint32_t mxcsr;
	uint8_t data[WORLD_DATA_LEN];
};

struct outcome {
	uint8_t fault; /* vector, or NO_FAULT */
	uint8_t lost;  /* the instruction did not end, or the process died of it: no comparison */
	uint32_t error;
	uint64_t address; /* of a page fault */
	struct world after;
};

struct trial {
	uint8_t code[16];
	uint8_t len;
	bool repeats; /* REP: it traps after each iteration */
	uint16_t row;
	struct world before;
	struct outcome native;
};

/* Random numbers: xorshift64*, so that a seed gives the same run everywhere. */
struct rng {
	uint64_t s;
};
static inline uint64_t rng_next(struct rng *r)
{
	r->s ^= r->s >> 12;
	r->s ^= r->s << 25;
	r->s ^= r->s >> 27;
	return r->s * UINT64_C(2685821657736338717);
}
static inline uint64_t rng_below(struct rng *r, uint64_t n)
{
	return rng_next(r) % n;
}

/* gen.c: what the host and Lodge both have. */
struct machine {
	struct insn_features features;
	bool avx, avx512;
};
/*
 * A trial of @row into *@t, all but .native; the decoded instruction into *@i.  False: this row
 * cannot be had by chance, in 64-bit user mode or on this host; try again or leave it.
 */
bool gen_trial(struct rng *r, const struct machine *m, unsigned row, struct trial *t,
	       struct insn *i);
/*
 * Bytes that begin with an instruction of @row, as random as it allows, for code of @mode (2, 4,
 * 8); at most 24.  Whether it is one in this mode and with these features is the decoder's to say.
 */
#define GEN_BYTES 24u
void gen_bytes(struct rng *r, const struct machine *m, unsigned row, unsigned mode, uint8_t *bytes);
/* Rows that are left out of the comparison, and why; NULL: compared. */
const char *gen_left_out(const struct insn_row *row);

/* native.c.  A pool of @n trials that another process executes; false with words on stderr. */
struct trial *native_start(unsigned n);
/* Executes trials [0, n) of the pool. */
void native_run(unsigned n);
void native_stop(void);
/* What the host's XSAVE areas hold: 0 none, else offsets in the standard format. */
void native_layout(bool *avx, bool *avx512);

/* rig.c */
void rig_start(const struct machine *m);
/* Calls fn on the vCPU's thread; rig_run is cheap from there. */
void rig_do(void (*fn)(void *arg), void *arg);
void rig_run(const struct trial *t, const struct insn *i, struct outcome *out);
void rig_stop(void);
/* The features that Lodge shows with everything on. */
void rig_features(struct insn_features *f);

#endif
