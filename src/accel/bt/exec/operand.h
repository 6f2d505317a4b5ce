/*
 * accel/bt/exec/operand.h - operands of integer instructions: read, written, modified in place.
 *
 * Values are 64 bits wide with nothing above their size, registers included: a result is cut when
 * it is written.  In a read-modify-write the place is got first, writable, and the new value is
 * worked out when nothing can fail any more; with LOCK, and always for XCHG, the host's
 * compare-and-exchange puts it there.
 */
#ifndef LODGE_ACCEL_BT_EXEC_OPERAND_H
#define LODGE_ACCEL_BT_EXEC_OPERAND_H

#include "accel/bt/exec.h"
#include "accel/bt/flags.h"
#include "accel/bt/mmu.h"

#define ALWAYS_INLINE static inline __attribute__((always_inline))

/* All ones in @size bytes. */
static inline uint64_t size_mask(unsigned size)
{
	return UINT64_MAX >> (64 - 8 * size);
}

static inline uint64_t size_sign_extend(uint64_t v, unsigned size)
{
	unsigned sh = 64 - 8 * size;

	return (uint64_t)((int64_t)(v << sh) >> sh);
}

static inline uint64_t gpr_read(const struct bt_cpu *c, unsigned reg, unsigned size)
{
	return c->gpr[reg] & size_mask(size);
}

/* 32 bits clear the upper half; 8 and 16 leave the rest alone. */
static inline void gpr_write(struct bt_cpu *c, unsigned reg, uint64_t v, unsigned size)
{
	if (size == 8)
		c->gpr[reg] = v;
	else if (size == 4)
		c->gpr[reg] = (uint32_t)v;
	else if (size == 2)
		c->gpr[reg] = (c->gpr[reg] & ~UINT64_C(0xffff)) | (uint16_t)v;
	else
		c->gpr[reg] = (c->gpr[reg] & ~UINT64_C(0xff)) | (uint8_t)v;
}

/* AH, CH, DH, BH. */
static inline void gpr_write_high(struct bt_cpu *c, unsigned reg, uint64_t v)
{
	c->gpr[reg] = (c->gpr[reg] & ~UINT64_C(0xff00)) | (uint64_t)(uint8_t)v << 8;
}

/* Operand @n that is no memory. */
static inline uint64_t op_read_reg(const struct bt_cpu *c, const struct insn *i, unsigned n)
{
	const struct insn_op *o = &i->op[n];

	switch (o->kind) {
	case OP_REG: return gpr_read(c, o->reg, o->size);
	case OP_HIGH: return c->gpr[o->reg] >> 8 & 0xff;
	default: return o->wide ? i->imm2 : (uint64_t)i->imm;
	}
}

static inline uint64_t op_read(struct bt_cpu *c, const struct insn *i, unsigned n)
{
	if (i->op[n].kind == OP_MEM)
		return bt_ld(c, bt_la(c, i, i->op[n].size, BT_READ), i->op[n].size);
	return op_read_reg(c, i, n);
}

static inline void op_write_reg(struct bt_cpu *c, const struct insn *i, unsigned n, uint64_t v)
{
	const struct insn_op *o = &i->op[n];

	if (o->kind == OP_HIGH)
		gpr_write_high(c, o->reg, v);
	else
		gpr_write(c, o->reg, v, o->size);
}

static inline void op_write(struct bt_cpu *c, const struct insn *i, unsigned n, uint64_t v)
{
	if (i->op[n].kind == OP_MEM)
		bt_st(c, bt_la(c, i, i->op[n].size, BT_WRITE), v, i->op[n].size);
	else
		op_write_reg(c, i, n, v);
}

/* Host memory that is guest memory, any alignment. */
BT_GUEST_RACES static inline uint64_t host_read(const void *p, unsigned size)
{
	uint64_t v = 0;

	switch (size) {
	case 1: memcpy(&v, p, 1); break;
	case 2: memcpy(&v, p, 2); break;
	case 4: memcpy(&v, p, 4); break;
	default: memcpy(&v, p, 8); break;
	}
	return v;
}

BT_GUEST_RACES static inline void host_write(void *p, uint64_t v, unsigned size)
{
	switch (size) {
	case 1: memcpy(p, &v, 1); break;
	case 2: memcpy(p, &v, 2); break;
	case 4: memcpy(p, &v, 4); break;
	default: memcpy(p, &v, 8); break;
	}
}

/* Puts @v at @p if @old is there; true, or false.  Atomic, also when it is not aligned. */
bool host_cas(void *p, uint64_t old, uint64_t v, unsigned size);

/*
 * A read-modify-write of memory operand @n.  @result gives the new value out of the old one, as
 * often as it is asked, and has no effect; @done leaves flags and registers behind, once, after the
 * store.  Both get @x.
 */
struct rmw {
	uint64_t b;	/* second operand */
	unsigned size;	/* bytes */
	uint32_t carry; /* flag C before */
	const struct insn *i;
};
typedef uint64_t rmw_result(const struct rmw *x, uint64_t old);
typedef void rmw_done(struct bt_cpu *c, const struct rmw *x, uint64_t old, uint64_t res);

void rmw_slow(struct bt_cpu *c, uint64_t la, const struct rmw *x, rmw_result *result,
	      rmw_done *done, bool locked);

/* @la is checked for the segment, nothing more. */
ALWAYS_INLINE void rmw_at(struct bt_cpu *c, uint64_t la, const struct rmw *x, rmw_result *result,
			  rmw_done *done, bool locked)
{
	void *p = bt_write_ptr(c, la, x->size);
	uint64_t old, res;

	if (UNLIKELY(!p || locked)) {
		rmw_slow(c, la, x, result, done, locked);
		return;
	}
	old = host_read(p, x->size);
	res = result(x, old);
	host_write(p, res, x->size);
	done(c, x, old, res);
}

/* Operand 0, whatever it is, is read, changed and written. */
ALWAYS_INLINE void op_modify(struct bt_cpu *c, const struct insn *i, const struct rmw *x,
			     rmw_result *result, rmw_done *done)
{
	uint64_t old, res;

	if (i->op[0].kind == OP_MEM) {
		rmw_at(c, bt_la(c, i, x->size, BT_RMW), x, result, done, i->prefixes & INSN_LOCK);
		return;
	}
	old = op_read_reg(c, i, 0);
	res = result(x, old);
	op_write_reg(c, i, 0, res);
	done(c, x, old, res);
}

/* Zero, sign and parity of a result, for flags_put and flags_set. */
static inline uint32_t flags_zsp(uint64_t r, unsigned size)
{
	uint32_t f = __builtin_parity((unsigned)r & 0xff) ? 0 : FL_P;
	unsigned sh = 64 - 8 * size;

	f |= r << sh ? 0 : FL_Z;
	return f | ((uint32_t)(r << sh >> 56) & FL_S);
}

/* The number of the condition: the low four bits of the opcode. */
static inline unsigned op_cond(const struct insn *i)
{
	return insn_table[i->row].op & 15;
}

/* The stack, and what code may be at. ------------------------------------------------------- */

static inline uint64_t stack_mask(const struct bt_cpu *c)
{
	return size_mask(c->mode.stack);
}

static inline void stack_set(struct bt_cpu *c, uint64_t sp)
{
	gpr_write(c, X86_RSP, sp, c->mode.stack);
}

/* @n bytes at @sp (cut to the stack's size here), stored or loaded; #SS instead of #GP. */
void stack_store_slow(struct bt_cpu *c, uint64_t la, uint64_t v, unsigned n);
uint64_t stack_load_slow(struct bt_cpu *c, uint64_t la, unsigned n);

static inline void stack_store(struct bt_cpu *c, uint64_t sp, uint64_t v, unsigned n)
{
	uint64_t la = bt_la_of(c, X86_SS, sp & stack_mask(c), n, BT_WRITE);
	void *p = bt_write_ptr(c, la, n);

	if (LIKELY(p != NULL))
		host_write(p, v, n);
	else
		stack_store_slow(c, la, v, n);
}

static inline uint64_t stack_load(struct bt_cpu *c, uint64_t sp, unsigned n)
{
	uint64_t la = bt_la_of(c, X86_SS, sp & stack_mask(c), n, BT_READ);
	const void *p = bt_read_ptr(c, la, n);

	return LIKELY(p != NULL) ? host_read(p, n) : stack_load_slow(c, la, n);
}

static inline void stack_push(struct bt_cpu *c, uint64_t v, unsigned n)
{
	uint64_t sp = c->gpr[X86_RSP] - n;

	stack_store(c, sp, v, n);
	stack_set(c, sp);
}

/* #GP(0) unless near code can be at @rip: canonical, or within the limit of CS. */
void code_check_slow(struct bt_cpu *c, uint64_t rip);
static inline void code_check(struct bt_cpu *c, uint64_t rip)
{
	if (LIKELY(c->mode.code == 8)) {
		if (UNLIKELY((uint64_t)((int64_t)(rip << 16) >> 16) != rip))
			code_check_slow(c, rip);
	} else if (UNLIKELY(rip > c->seg[X86_CS].limit)) {
		bt_gp0(c);
	}
}

#endif
