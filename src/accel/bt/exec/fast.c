/*
 * accel/bt/exec/fast.c - specialised meanings of the commonest instructions: moves and branches,
 * and the choice.  Each does what the general one does, for one size and form of operands; the
 * general one stays the measure (tests compare them).
 */
#include "accel/bt/exec/fast.h"

enum fast_address fast_address_of(const struct insn *i)
{
	if (i->mode != 8 || i->asize != 8 || i->seg >= X86_FS)
		return EA_ANY;
	if (i->base == INSN_RIP)
		return EA_NEXT;
	if (i->base >= 16)
		return EA_ANY;
	if (i->index == INSN_NOREG)
		return EA_BASE;
	return i->index < 16 ? EA_BASE_INDEX : EA_ANY;
}

/* MOV. --------------------------------------------------------------------------------------- */

enum form {
	RR,
	RI,
	RM,
	MR = RM + FAST_ADDRESSES,
	MI = MR + FAST_ADDRESSES,
	FORMS = MI + FAST_ADDRESSES
};

ALWAYS_INLINE void mov_load(struct bt_cpu *c, const struct insn *i, unsigned size,
			    enum fast_address at)
{
	const void *p = fast_read_ptr(c, fast_la(c, i, at, size, BT_READ), size);

	if (LIKELY(p != NULL))
		gpr_write(c, i->op[0].reg, host_read(p, size), size);
	else
		exec_mov(c, i);
}

ALWAYS_INLINE void mov_store(struct bt_cpu *c, const struct insn *i, unsigned size, bool imm,
			     enum fast_address at)
{
	void *p = fast_write_ptr(c, fast_la(c, i, at, size, BT_WRITE), size);

	if (LIKELY(p != NULL))
		host_write(p, imm ? (uint64_t)i->imm : c->gpr[i->op[1].reg], size);
	else
		exec_mov(c, i);
}

ALWAYS_INLINE void mov(struct bt_cpu *c, const struct insn *i, unsigned size, unsigned f)
{
	if (f == RR)
		gpr_write(c, i->op[0].reg, c->gpr[i->op[1].reg], size);
	else if (f == RI)
		gpr_write(c, i->op[0].reg, (uint64_t)i->imm, size);
	else if (f < MR)
		mov_load(c, i, size, (enum fast_address)(f - RM));
	else if (f < MI)
		mov_store(c, i, size, false, (enum fast_address)(f - MR));
	else
		mov_store(c, i, size, true, (enum fast_address)(f - MI));
}

#define FORM_LIST(X, size)                                                                      \
	X(size, 0)                                                                              \
	X(size, 1)                                                                              \
	X(size, 2) X(size, 3) X(size, 4) X(size, 5) X(size, 6) X(size, 7) X(size, 8) X(size, 9) \
		X(size, 10) X(size, 11) X(size, 12) X(size, 13)
#define MOV_LIST(X) FORM_LIST(X, 1) FORM_LIST(X, 2) FORM_LIST(X, 4) FORM_LIST(X, 8)
#define LOG2(size)  (size == 1 ? 0 : size == 2 ? 1 : size == 4 ? 2 : 3)

#define X(size, form)                                                           \
	static void mov_##size##_##form(struct bt_cpu *c, const struct insn *i) \
	{                                                                       \
		mov(c, i, size, form);                                          \
	}
MOV_LIST(X)
#undef X
#define X(size, form) [LOG2(size)][form] = mov_##size##_##form,
static insn_exec *const mov_fns[4][FORMS] = {MOV_LIST(X)};
#undef X

static insn_exec *choose_mov(const struct insn *i)
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
	return mov_fns[fast_log2(i->op[0].size)][form];
}

/* MOVZX, MOVSX, MOVSXD to 32 and 64 bits, LEA. ----------------------------------------------- */

enum { FROM_REG = FAST_ADDRESSES, EXTENDS };

ALWAYS_INLINE void extend(struct bt_cpu *c, const struct insn *i, unsigned from, unsigned to,
			  bool sign, unsigned f)
{
	const void *p;
	uint64_t v;

	if (f == FROM_REG) {
		v = gpr_read(c, i->op[1].reg, from);
	} else {
		p = fast_read_ptr(c, fast_la(c, i, (enum fast_address)f, from, BT_READ), from);
		if (UNLIKELY(!p)) {
			(sign ? exec_movsx : exec_movzx)(c, i);
			return;
		}
		v = host_read(p, from);
	}
	gpr_write(c, i->op[0].reg, sign ? size_sign_extend(v, from) : v, to);
}

/* Zero-extended is the same to 32 and to 64 bits. */
#define EXTEND_FORMS(X, name, from, to, sign) \
	X(name, from, to, sign, 0)            \
	X(name, from, to, sign, 1)            \
	X(name, from, to, sign, 2) X(name, from, to, sign, 3) X(name, from, to, sign, 4)
#define EXTEND_LIST(X)                    \
	EXTEND_FORMS(X, ZX1, 1, 8, false) \
	EXTEND_FORMS(X, ZX2, 2, 8, false) \
	EXTEND_FORMS(X, SX14, 1, 4, true) \
	EXTEND_FORMS(X, SX24, 2, 4, true) \
	EXTEND_FORMS(X, SX18, 1, 8, true) \
	EXTEND_FORMS(X, SX28, 2, 8, true) \
	EXTEND_FORMS(X, SX48, 4, 8, true)
enum { ZX1, ZX2, SX14, SX24, SX18, SX28, SX48, EXTEND_KINDS };

#define X(name, from, to, sign, form)                                              \
	static void extend_##name##_##form(struct bt_cpu *c, const struct insn *i) \
	{                                                                          \
		extend(c, i, from, to, sign, form);                                \
	}
EXTEND_LIST(X)
#undef X
#define X(name, from, to, sign, form) [name][form] = extend_##name##_##form,
static insn_exec *const extend_fns[EXTEND_KINDS][EXTENDS] = {EXTEND_LIST(X)};
#undef X

static insn_exec *choose_extend(const struct insn *i, bool sign)
{
	unsigned from = i->op[1].size, to = i->op[0].size, b = i->op[1].kind, kind;
	unsigned form = b == OP_REG ? (unsigned)FROM_REG : (unsigned)fast_address_of(i);

	if ((b != OP_REG && b != OP_MEM) || to < 4 || from == to)
		return NULL;
	if (!sign)
		kind = from == 1 ? ZX1 : ZX2;
	else if (to == 4)
		kind = from == 1 ? SX14 : SX24;
	else
		kind = from == 1 ? SX18 : from == 2 ? SX28 : SX48;
	return extend_fns[kind][form];
}

#define LEA_LIST(X) X(4, 0) X(4, 1) X(4, 2) X(8, 0) X(8, 1) X(8, 2)
#define X(size, form)                                                           \
	static void lea_##size##_##form(struct bt_cpu *c, const struct insn *i) \
	{                                                                       \
		gpr_write(c, i->op[0].reg, fast_ea(c, i, form), size);          \
	}
LEA_LIST(X)
#undef X
#define X(size, form) [size / 8][form] = lea_##size##_##form,
static insn_exec *const lea_fns[2][3] = {LEA_LIST(X)};
#undef X

/* LEA has no segment. */
static insn_exec *choose_lea(const struct insn *i)
{
	struct insn flat = *i;
	enum fast_address at;

	flat.seg = X86_DS;
	at = fast_address_of(&flat);
	return at == EA_ANY || i->op[0].size < 4 ? NULL : lea_fns[i->op[0].size / 8][at];
}

/* PUSH and POP of a 64-bit register. --------------------------------------------------------- */

static void push_8(struct bt_cpu *c, const struct insn *i)
{
	uint64_t sp = c->gpr[X86_RSP] - 8;
	void *p = fast_write_ptr(c, sp, 8);

	if (UNLIKELY(!p)) {
		exec_push(c, i);
		return;
	}
	host_write(p, c->gpr[i->op[0].reg], 8);
	c->gpr[X86_RSP] = sp;
}

static void pop_8(struct bt_cpu *c, const struct insn *i)
{
	const void *p = fast_read_ptr(c, c->gpr[X86_RSP], 8);

	if (UNLIKELY(!p)) {
		exec_pop(c, i);
		return;
	}
	c->gpr[X86_RSP] += 8;
	c->gpr[i->op[0].reg] = host_read(p, 8);
}

/* Near branches of 64-bit code. -------------------------------------------------------------- */

ALWAYS_INLINE bool is_canonical(uint64_t to)
{
	return LIKELY((uint64_t)((int64_t)(to << 16) >> 16) == to);
}

ALWAYS_INLINE uint64_t target_8(const struct bt_cpu *c, const struct insn *i)
{
	return c->rip + i->len + (uint64_t)i->imm;
}

static void jmp_8(struct bt_cpu *c, const struct insn *i)
{
	uint64_t to = target_8(c, i);

	if (is_canonical(to))
		c->rip = to;
	else
		exec_jmp(c, i);
}

static void call_8(struct bt_cpu *c, const struct insn *i)
{
	uint64_t to = target_8(c, i), sp = c->gpr[X86_RSP] - 8;
	void *p = fast_write_ptr(c, sp, 8);

	if (UNLIKELY(!p || !is_canonical(to))) {
		exec_call(c, i);
		return;
	}
	host_write(p, c->rip + i->len, 8);
	c->gpr[X86_RSP] = sp;
	c->rip = to;
}

static void ret_8(struct bt_cpu *c, const struct insn *i)
{
	const void *p = fast_read_ptr(c, c->gpr[X86_RSP], 8);
	uint64_t to = p ? host_read(p, 8) : 0;

	if (UNLIKELY(!p || !is_canonical(to))) {
		exec_ret(c, i);
		return;
	}
	c->gpr[X86_RSP] += 8;
	c->rip = to;
}

ALWAYS_INLINE void jcc(struct bt_cpu *c, const struct insn *i, unsigned cond)
{
	uint64_t to = target_8(c, i);

	if (!flags_test(c, cond))
		c->rip += i->len;
	else if (is_canonical(to))
		c->rip = to;
	else
		exec_jcc(c, i);
}

/* Conditional moves between registers, and SETcc of one. */
ALWAYS_INLINE void cmov(struct bt_cpu *c, const struct insn *i, unsigned cond)
{
	uint64_t v = c->gpr[flags_test(c, cond) ? i->op[1].reg : i->op[0].reg];

	gpr_write(c, i->op[0].reg, v, i->op[0].size);
}

ALWAYS_INLINE void set(struct bt_cpu *c, const struct insn *i, unsigned cond)
{
	gpr_write(c, i->op[0].reg, flags_test(c, cond), 1);
}

#define COND_LIST(X) \
	X(0) X(1) X(2) X(3) X(4) X(5) X(6) X(7) X(8) X(9) X(10) X(11) X(12) X(13) X(14) X(15)
#define X(cond)                                                         \
	static void jcc_##cond(struct bt_cpu *c, const struct insn *i)  \
	{                                                               \
		jcc(c, i, cond);                                        \
	}                                                               \
	static void cmov_##cond(struct bt_cpu *c, const struct insn *i) \
	{                                                               \
		cmov(c, i, cond);                                       \
	}                                                               \
	static void set_##cond(struct bt_cpu *c, const struct insn *i)  \
	{                                                               \
		set(c, i, cond);                                        \
	}
COND_LIST(X)
#undef X
#define X(cond) jcc_##cond,
static insn_exec *const jcc_fns[16] = {COND_LIST(X)};
#undef X
#define X(cond) cmov_##cond,
static insn_exec *const cmov_fns[16] = {COND_LIST(X)};
#undef X
#define X(cond) set_##cond,
static insn_exec *const set_fns[16] = {COND_LIST(X)};
#undef X

/* The choice. -------------------------------------------------------------------------------- */

insn_exec *fast_move(const struct insn *i)
{
	bool reg = i->op[0].kind == OP_REG;

	if (i->exec == exec_mov)
		return choose_mov(i);
	if (i->exec == exec_movzx || i->exec == exec_movsx)
		return choose_extend(i, i->exec == exec_movsx);
	if (i->exec == exec_lea)
		return choose_lea(i);
	if (i->exec == exec_cmovcc)
		return i->op[1].kind == OP_REG ? cmov_fns[op_cond(i)] : NULL;
	if (i->exec == exec_setcc)
		return reg ? set_fns[op_cond(i)] : NULL;
	if (i->mode != 8 || !reg || i->osize != 8)
		return NULL;
	return i->exec == exec_push ? push_8 : i->exec == exec_pop ? pop_8 : NULL;
}

insn_exec *fast_branch(const struct insn *i)
{
	if (i->mode != 8 || i->osize != 8)
		return NULL;
	if (i->exec == exec_jcc)
		return jcc_fns[op_cond(i)];
	if (i->exec == exec_ret && i->op[0].kind == OP_NONE)
		return ret_8;
	if (i->op[0].kind != OP_IMM)
		return NULL;
	return i->exec == exec_jmp ? jmp_8 : i->exec == exec_call ? call_8 : NULL;
}

insn_exec *exec_fast(const struct insn *i)
{
	insn_exec *f = fast_move(i);

	if (!f)
		f = fast_alu(i);
	if (!f)
		f = fast_branch(i);
	return f ? f : i->exec;
}
