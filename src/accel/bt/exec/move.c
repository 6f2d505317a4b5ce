/*
 * accel/bt/exec/move.c - moves, conversions, single flags, hints.
 */
#include <sys/random.h>

#include "accel/bt/exec/operand.h"

void exec_mov(struct bt_cpu *c, const struct insn *i)
{
	op_write(c, i, 0, op_read(c, i, 1));
}

/* Stores past the caches: to other processors a store is a store. */
void exec_movnti(struct bt_cpu *c, const struct insn *i)
{
	op_write(c, i, 0, op_read_reg(c, i, 1));
}

void exec_movdiri(struct bt_cpu *c, const struct insn *i)
{
	op_write(c, i, 0, op_read_reg(c, i, 1));
}

/* MOVDIR64B r, m512: 64 bytes to ES:r, aligned, at once. */
void exec_movdir64b(struct bt_cpu *c, const struct insn *i)
{
	uint64_t to = gpr_read(c, i->op[0].reg, i->asize), dst, src;
	_Alignas(64) uint8_t bytes[64];

	src = bt_la(c, i, sizeof(bytes), BT_READ);
	dst = bt_la_of(c, X86_ES, to, sizeof(bytes), BT_WRITE);
	bt_ld_block(c, src, bytes, sizeof(bytes));
	if (dst & 63 || (c->mode.code == 8 && (uint64_t)((int64_t)(dst << 16) >> 16) != dst))
		bt_gp0(c);
	bt_st_block(c, dst, bytes, sizeof(bytes));
}

void exec_lea(struct bt_cpu *c, const struct insn *i)
{
	op_write_reg(c, i, 0, bt_ea(c, i));
}

void exec_movzx(struct bt_cpu *c, const struct insn *i)
{
	op_write_reg(c, i, 0, op_read(c, i, 1));
}

void exec_movsx(struct bt_cpu *c, const struct insn *i)
{
	op_write_reg(c, i, 0, size_sign_extend(op_read(c, i, 1), i->op[1].size));
}

/* CBW, CWDE, CDQE. */
void exec_cbw(struct bt_cpu *c, const struct insn *i)
{
	gpr_write(c, X86_RAX, size_sign_extend(c->gpr[X86_RAX], i->osize / 2), i->osize);
}

/* CWD, CDQ, CQO. */
void exec_cwd(struct bt_cpu *c, const struct insn *i)
{
	bool negative = c->gpr[X86_RAX] >> (8 * i->osize - 1) & 1;

	gpr_write(c, X86_RDX, negative ? UINT64_MAX : 0, i->osize);
}

/* With 16-bit operands, which the manual leaves undefined, processors give 0. */
void exec_bswap(struct bt_cpu *c, const struct insn *i)
{
	unsigned n = i->op[0].size;
	uint64_t v = c->gpr[i->op[0].reg];

	v = n == 8 ? __builtin_bswap64(v) : n == 4 ? __builtin_bswap32((uint32_t)v) : 0;
	gpr_write(c, i->op[0].reg, v, n);
}

void exec_movbe(struct bt_cpu *c, const struct insn *i)
{
	unsigned n = i->op[0].size;

	op_write(c, i, 0, __builtin_bswap64(op_read(c, i, 1)) >> (64 - 8 * n));
}

void exec_setcc(struct bt_cpu *c, const struct insn *i)
{
	op_write(c, i, 0, flags_cond(c, op_cond(i)));
}

/* The source is read, and the upper half of a 32-bit register cleared, in any case. */
void exec_cmovcc(struct bt_cpu *c, const struct insn *i)
{
	uint64_t v = op_read(c, i, 1);

	if (!flags_cond(c, op_cond(i)))
		v = op_read_reg(c, i, 0);
	op_write_reg(c, i, 0, v);
}

/* XLAT: the default segment and its override are the decoder's. */
void exec_xlat(struct bt_cpu *c, const struct insn *i)
{
	uint64_t ea = (c->gpr[X86_RBX] + (uint8_t)c->gpr[X86_RAX]) & size_mask(i->asize);

	gpr_write(c, X86_RAX, bt_ld8(c, bt_la_of(c, i->seg, ea, 1, BT_READ)), 1);
}

void exec_salc(struct bt_cpu *c, const struct insn *i)
{
	(void)i;
	gpr_write(c, X86_RAX, flags_carry(c) ? 0xff : 0, 1);
}

/* Flags. ------------------------------------------------------------------------------------- */

#define FL_AH (FL_C | FL_P | FL_A | FL_Z | FL_S)

void exec_lahf(struct bt_cpu *c, const struct insn *i)
{
	(void)i;
	gpr_write_high(c, X86_RAX, (flags_arith(c) & FL_AH) | X86_FLAGS_FIXED);
}

void exec_sahf(struct bt_cpu *c, const struct insn *i)
{
	(void)i;
	flags_set(c, FL_AH, (uint32_t)(c->gpr[X86_RAX] >> 8));
}

void exec_clc(struct bt_cpu *c, const struct insn *i)
{
	(void)i;
	flags_set(c, FL_C, 0);
}

void exec_stc(struct bt_cpu *c, const struct insn *i)
{
	(void)i;
	flags_set(c, FL_C, FL_C);
}

void exec_cmc(struct bt_cpu *c, const struct insn *i)
{
	(void)i;
	flags_set(c, FL_C, ~flags_carry(c));
}

void exec_cld(struct bt_cpu *c, const struct insn *i)
{
	(void)i;
	c->rflags &= ~(uint64_t)FL_D;
}

void exec_std(struct bt_cpu *c, const struct insn *i)
{
	(void)i;
	c->rflags |= FL_D;
}

/* Hints, and what orders memory. ------------------------------------------------------------- */

void exec_nop(struct bt_cpu *c, const struct insn *i)
{
	(void)c, (void)i;
}

/* A guest that waits for somebody: the row ends the block, so that what came in is looked at. */
void exec_pause(struct bt_cpu *c, const struct insn *i)
{
	c->rip += i->len;
}

/* The host's loads and stores are the guest's, in the same order: only MFENCE says more. */
void exec_mfence(struct bt_cpu *c, const struct insn *i)
{
	(void)c, (void)i;
	atomic_thread_fence(memory_order_seq_cst);
}

/* Caches are the host's: CLFLUSH and its like check the address as a load does. */
void exec_clflush(struct bt_cpu *c, const struct insn *i)
{
	bt_probe(c, bt_la(c, i, 1, BT_READ), 1, BT_READ);
}

void exec_ud(struct bt_cpu *c, const struct insn *i)
{
	(void)i;
	bt_ud(c);
}

/* RDRAND, RDSEED: the host kernel's generator, some numbers at a time. ----------------------- */

static void random_put(struct bt_cpu *c, const struct insn *i)
{
	static _Thread_local uint64_t store[16];
	static _Thread_local unsigned left;
	bool got = true;

	if (!left) {
		got = getrandom(store, sizeof(store), GRND_NONBLOCK) == (ssize_t)sizeof(store);
		left = got ? ARRAY_LEN(store) : 0;
	}
	op_write_reg(c, i, 0, got ? store[--left] : 0);
	flags_put(c, got ? FL_C : 0);
}

void exec_rdrand(struct bt_cpu *c, const struct insn *i)
{
	random_put(c, i);
}

void exec_rdseed(struct bt_cpu *c, const struct insn *i)
{
	random_put(c, i);
}
