/*
 * accel/bt/exec/fast_alu.c - ADD, SUB, CMP, TEST, AND, OR, XOR, INC, DEC and shifts by an
 * immediate, a function for each size and form of operands.
 */
#include "accel/bt/exec/fast.h"

enum alu { ADD, SUB, AND, OR, XOR, CMP, TEST, ALUS };
/* Operands: register or immediate to register, memory to register, either to memory. */
enum form {
	RR,
	RI,
	RM,
	MR = RM + FAST_ADDRESSES,
	MI = MR + FAST_ADDRESSES,
	FORMS = MI + FAST_ADDRESSES
};

static insn_exec *const alu_generic[ALUS] = {exec_add, exec_sub, exec_and, exec_or,
					     exec_xor, exec_cmp, exec_test};

ALWAYS_INLINE uint64_t alu_value(enum alu op, uint64_t a, uint64_t b)
{
	switch (op) {
	case ADD: return a + b;
	case SUB:
	case CMP: return a - b;
	case AND:
	case TEST: return a & b;
	case OR: return a | b;
	default: return a ^ b;
	}
}

ALWAYS_INLINE void alu_flags(struct bt_cpu *c, enum alu op, uint64_t a, uint64_t b, uint64_t r,
			     unsigned size)
{
	if (op == ADD)
		flags_lazy(c, CC_ADD, a, b, r, size);
	else if (op == SUB || op == CMP)
		flags_lazy(c, CC_SUB, a, b, r, size);
	else
		flags_lazy_logic(c, r, size);
}

/* Whatever lies above the size does not disturb sums, logic and flags. */
ALWAYS_INLINE uint64_t alu_source(const struct bt_cpu *c, const struct insn *i, bool imm)
{
	return imm ? (uint64_t)i->imm : c->gpr[i->op[1].reg];
}

ALWAYS_INLINE void alu_reg(struct bt_cpu *c, const struct insn *i, enum alu op, unsigned size,
			   uint64_t b)
{
	uint64_t a = c->gpr[i->op[0].reg], r = alu_value(op, a, b);

	alu_flags(c, op, a, b, r, size);
	if (op != CMP && op != TEST)
		gpr_write(c, i->op[0].reg, r, size);
}

/* Memory as the second operand. */
ALWAYS_INLINE void alu_load(struct bt_cpu *c, const struct insn *i, enum alu op, unsigned size,
			    enum fast_address at)
{
	const void *p = fast_read_ptr(c, fast_la(c, i, at, size, BT_READ), size);

	if (LIKELY(p != NULL))
		alu_reg(c, i, op, size, host_read(p, size));
	else
		alu_generic[op](c, i);
}

ALWAYS_INLINE void alu_mem(struct bt_cpu *c, const struct insn *i, enum alu op, unsigned size,
			   bool imm, enum fast_address at)
{
	bool reads = op == CMP || op == TEST;
	uint64_t la = fast_la(c, i, at, size, reads ? BT_READ : BT_RMW), a, b, r;
	const void *from = reads ? fast_read_ptr(c, la, size) : NULL;
	void *to = reads ? NULL : fast_write_ptr(c, la, size);

	if (UNLIKELY(!from && !to)) {
		alu_generic[op](c, i);
		return;
	}
	a = host_read(reads ? from : to, size);
	b = alu_source(c, i, imm);
	r = alu_value(op, a, b);
	if (!reads)
		host_write(to, r, size);
	alu_flags(c, op, a, b, r, size);
}

/* Form @f: what is constant here is gone when it is compiled. */
ALWAYS_INLINE void alu(struct bt_cpu *c, const struct insn *i, enum alu op, unsigned size,
		       unsigned f)
{
	if (f < RM)
		alu_reg(c, i, op, size, alu_source(c, i, f == RI));
	else if (f < MR)
		alu_load(c, i, op, size, (enum fast_address)(f - RM));
	else if (f < MI)
		alu_mem(c, i, op, size, false, (enum fast_address)(f - MR));
	else
		alu_mem(c, i, op, size, true, (enum fast_address)(f - MI));
}

#define FORM_LIST(X, op, size)                                                                    \
	X(op, size, 0)                                                                            \
	X(op, size, 1)                                                                            \
	X(op, size, 2)                                                                            \
	X(op, size, 3) X(op, size, 4) X(op, size, 5) X(op, size, 6) X(op, size, 7) X(op, size, 8) \
		X(op, size, 9) X(op, size, 10) X(op, size, 11) X(op, size, 12) X(op, size, 13)
#define SIZE_LIST(X, op) FORM_LIST(X, op, 1) FORM_LIST(X, op, 4) FORM_LIST(X, op, 8)
#define ALU_LIST(X)       \
	SIZE_LIST(X, ADD) \
	SIZE_LIST(X, SUB) \
	SIZE_LIST(X, AND) \
	SIZE_LIST(X, OR)  \
	SIZE_LIST(X, XOR) \
	SIZE_LIST(X, CMP) \
	SIZE_LIST(X, TEST)

#define X(op, size, form)                                                              \
	static void alu_##op##_##size##_##form(struct bt_cpu *c, const struct insn *i) \
	{                                                                              \
		alu(c, i, op, size, form);                                             \
	}
ALU_LIST(X)
#undef X
#define X(op, size, form) [op][size / 4][form] = alu_##op##_##size##_##form,
static insn_exec *const alu_fns[ALUS][3][FORMS] = {ALU_LIST(X)};
#undef X

/* INC, DEC. ---------------------------------------------------------------------------------- */

ALWAYS_INLINE void count_reg(struct bt_cpu *c, const struct insn *i, enum bt_cc cc, unsigned size)
{
	uint64_t a = c->gpr[i->op[0].reg], r = cc == CC_INC ? a + 1 : a - 1;

	flags_lazy_inc(c, cc, a, r, size);
	gpr_write(c, i->op[0].reg, r, size);
}

#define COUNT_LIST(X) X(INC, 1) X(INC, 4) X(INC, 8) X(DEC, 1) X(DEC, 4) X(DEC, 8)
#define X(cc, size)                                                             \
	static void count_##cc##_##size(struct bt_cpu *c, const struct insn *i) \
	{                                                                       \
		count_reg(c, i, CC_##cc, size);                                 \
	}
COUNT_LIST(X)
#undef X
#define X(cc, size) [CC_##cc - CC_INC][size / 4] = count_##cc##_##size,
static insn_exec *const count_fns[2][3] = {COUNT_LIST(X)};
#undef X

/* ADC, SBB between registers, or of an immediate; IMUL with two and three operands. ----------- */

ALWAYS_INLINE void carry_reg(struct bt_cpu *c, const struct insn *i, bool sub, unsigned size,
			     bool imm)
{
	uint64_t a = c->gpr[i->op[0].reg], b = alu_source(c, i, imm), r;
	uint32_t carry = flags_carry(c);

	r = sub ? a - b - carry : a + b + carry;
	flags_lazy(c, sub ? CC_SUB : CC_ADD, a, b, r, size);
	if (sub && carry)
		flags_put(c, flags_arith(c)); /* as exec_sbb */
	gpr_write(c, i->op[0].reg, r, size);
}

ALWAYS_INLINE void product(struct bt_cpu *c, const struct insn *i, unsigned size, int64_t a,
			   int64_t b)
{
	int64_t r;
	bool over = __builtin_mul_overflow(a, b, &r);

	if (size == 4)
		over = r != (int32_t)r;
	gpr_write(c, i->op[0].reg, (uint64_t)r, size);
	flags_put(c, (flags_zsp((uint64_t)r, size) & ~FL_Z) | (over ? FL_C | FL_O : 0));
}

ALWAYS_INLINE void imul(struct bt_cpu *c, const struct insn *i, unsigned size, unsigned f, bool imm)
{
	const void *p;
	uint64_t b;

	if (f == FAST_ADDRESSES) {
		b = c->gpr[i->op[1].reg];
	} else {
		p = fast_read_ptr(c, fast_la(c, i, (enum fast_address)f, size, BT_READ), size);
		if (UNLIKELY(!p)) {
			exec_imul(c, i);
			return;
		}
		b = host_read(p, size);
	}
	product(c, i, size, (int64_t)size_sign_extend(b, size),
		imm ? i->imm : (int64_t)size_sign_extend(c->gpr[i->op[0].reg], size));
}

#define CARRY_LIST(X) \
	X(4, 0, 0) X(4, 0, 1) X(4, 1, 0) X(4, 1, 1) X(8, 0, 0) X(8, 0, 1) X(8, 1, 0) X(8, 1, 1)
#define X(size, sub, imm)                                                                \
	static void carry_##size##_##sub##_##imm(struct bt_cpu *c, const struct insn *i) \
	{                                                                                \
		carry_reg(c, i, sub, size, imm);                                         \
	}
CARRY_LIST(X)
#undef X
#define X(size, sub, imm) [size / 8][sub][imm] = carry_##size##_##sub##_##imm,
static insn_exec *const carry_fns[2][2][2] = {CARRY_LIST(X)};
#undef X

#define IMUL_FORMS(X, size, imm) \
	X(size, imm, 0) X(size, imm, 1) X(size, imm, 2) X(size, imm, 3) X(size, imm, 4)
#define IMUL_LIST(X) IMUL_FORMS(X, 4, 0) IMUL_FORMS(X, 4, 1) IMUL_FORMS(X, 8, 0) IMUL_FORMS(X, 8, 1)
#define X(size, imm, form)                                                               \
	static void imul_##size##_##imm##_##form(struct bt_cpu *c, const struct insn *i) \
	{                                                                                \
		imul(c, i, size, form, imm);                                             \
	}
IMUL_LIST(X)
#undef X
#define X(size, imm, form) [size / 8][imm][form] = imul_##size##_##imm##_##form,
static insn_exec *const imul_fns[2][2][FAST_ADDRESSES + 1] = {IMUL_LIST(X)};
#undef X

/* Shifts by a constant. ---------------------------------------------------------------------- */

enum shift { SHL, SHR, SAR };

ALWAYS_INLINE void shift_reg(struct bt_cpu *c, const struct insn *i, enum shift op, unsigned size)
{
	unsigned n = (unsigned)i->imm & (8 * size - 1);
	uint64_t a = gpr_read(c, i->op[0].reg, size), before, r;

	if (op == SHL) {
		before = a << (n - 1);
		r = before << 1;
		flags_lazy(c, CC_SHL, before, a, r, size);
	} else if (op == SHR) {
		before = a >> (n - 1);
		r = before >> 1;
		flags_lazy(c, CC_SHR, before, a >> (8 * size - 1), r, size);
	} else {
		before = (uint64_t)((int64_t)size_sign_extend(a, size) >> (n - 1));
		r = (uint64_t)((int64_t)before >> 1);
		flags_lazy(c, CC_SHR, before, 0, r, size);
	}
	gpr_write(c, i->op[0].reg, r, size);
}

#define SHIFT_LIST(X) X(SHL, 4) X(SHL, 8) X(SHR, 4) X(SHR, 8) X(SAR, 4) X(SAR, 8)
#define X(op, size)                                                             \
	static void shift_##op##_##size(struct bt_cpu *c, const struct insn *i) \
	{                                                                       \
		shift_reg(c, i, op, size);                                      \
	}
SHIFT_LIST(X)
#undef X
#define X(op, size) [op][size / 4 - 1] = shift_##op##_##size,
static insn_exec *const shift_fns[3][2] = {SHIFT_LIST(X)};
#undef X

/* Selection. --------------------------------------------------------------------------------- */

static insn_exec *choose_alu(const struct insn *i, unsigned op, unsigned size)
{
	unsigned a = i->op[0].kind, b = i->op[1].kind, at = fast_address_of(i), form;

	if (a == OP_REG && b == OP_REG)
		form = RR;
	else if (a == OP_REG && b == OP_IMM)
		form = RI;
	else if (a == OP_REG && b == OP_MEM)
		form = RM + at;
	else if (a == OP_MEM && b == OP_REG)
		form = MR + at;
	else if (a == OP_MEM && b == OP_IMM)
		form = MI + at;
	else
		return NULL;
	return alu_fns[op][size / 4][form];
}

static insn_exec *choose_shift(const struct insn *i, unsigned op)
{
	unsigned size = i->op[0].size;

	if (i->op[0].kind != OP_REG || i->op[1].kind != OP_IMM || size < 4 ||
	    !(i->imm & (8 * (int)size - 1)))
		return NULL;
	return shift_fns[op][size / 4 - 1];
}

static insn_exec *choose_carry(const struct insn *i, unsigned size)
{
	unsigned b = i->op[1].kind;

	if (size < 4 || i->op[0].kind != OP_REG || (b != OP_REG && b != OP_IMM))
		return NULL;
	return carry_fns[size / 8][i->exec == exec_sbb][b == OP_IMM];
}

static insn_exec *choose_imul(const struct insn *i, unsigned size)
{
	unsigned at = i->op[1].kind == OP_MEM ? fast_address_of(i) : FAST_ADDRESSES;

	return size < 4 ? NULL : imul_fns[size / 8][i->op[2].kind == OP_IMM][at];
}

insn_exec *fast_alu(const struct insn *i)
{
	unsigned size = i->op[0].size;

	if (size == 2 || (i->prefixes & INSN_LOCK))
		return NULL;
	for (unsigned op = 0; op < ALUS; op++)
		if (i->exec == alu_generic[op])
			return choose_alu(i, op, size);
	if ((i->exec == exec_inc || i->exec == exec_dec) && i->op[0].kind == OP_REG)
		return count_fns[i->exec == exec_dec][size / 4];
	if (i->exec == exec_adc || i->exec == exec_sbb)
		return choose_carry(i, size);
	if (i->exec == exec_imul)
		return choose_imul(i, size);
	if (i->exec == exec_shl)
		return choose_shift(i, SHL);
	if (i->exec == exec_shr)
		return choose_shift(i, SHR);
	if (i->exec == exec_sar)
		return choose_shift(i, SAR);
	return NULL;
}
