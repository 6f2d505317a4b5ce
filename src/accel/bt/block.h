/*
 * accel/bt/block.h - decoded blocks: straight runs of instructions, kept while the pages they come
 * from stand as they were, and the inner loop that runs one.
 */
#ifndef LODGE_ACCEL_BT_BLOCK_H
#define LODGE_ACCEL_BT_BLOCK_H

#include "accel/bt/bt.h"
#include "accel/bt/mmu.h"

/* Most instructions in a block. */
#define BLOCK_INSNS 64u

/* The block that is at a linear address in an address space and mode; see block.c. */
struct block_link {
	uint64_t la;
	uint64_t stamp; /* generation and code size; 0: nothing here */
	struct bt_block *b;
};

struct bt_block {
	struct bt_code_page *page[2]; /* [1]: of an instruction that crosses pages; else as [0] */
	uint32_t version[2];	      /* of them, when the bytes were read */
	gpa_t pa[2];		      /* of the first byte; of the second page's first */
	struct bt_block *next;	      /* in a list of the hash by pa[0] */
	uint16_t n;		      /* instructions */
	uint16_t bytes;
	uint8_t mode;		   /* 2, 4, 8: size of code */
	bool crosses;		   /* one instruction, from two pages */
	bool ends;		   /* the last instruction sets rip (A_END) */
	struct block_link link[2]; /* what followed last: at once behind it, and elsewhere */
	struct insn insn[];
};

/* Once for each vCPU, on its thread. */
int block_init(struct bt_cpu *c, struct err *e) MUST_CHECK;
void block_exit(struct bt_cpu *c);

/*
 * The block at c->rip in the current mode, decoded if need be.  c->rip is cut to 32 bits outside
 * 64-bit code.  Raises what the fetch of the first instruction does: #PF, #GP for the limit of CS.
 * With c->mode.step it has one instruction.  Good until the next call.
 */
struct bt_block *block_get(struct bt_cpu *c);

/*
 * Runs @b, which block_get just gave, and counts its instructions.  c->rip is then where to go on.
 * Meanings may leave by longjmp; c->rip is at the instruction then, and block_get counts what was
 * completed.  While an instruction runs, c->cur is it.
 */
void block_run(struct bt_cpu *c, struct bt_block *b);

/*
 * Runs the block at c->rip and those that follow, until something wants to be looked at between two
 * blocks: attention, an interrupt or NMI that waits, a shadow, a step, an end of running.
 */
void block_run_on(struct bt_cpu *c);

/* Forgets all blocks; not while one runs. */
void block_flush(struct bt_cpu *c);

/*
 * exec/fast.c: a function that does just what i->exec does and is made for this form of the
 * instruction, or i->exec.
 */
insn_exec *exec_fast(const struct insn *i);

#endif
