/*
 * accel/bt/insn.c - the instruction table as data: the rows of insn.def.
 */
#include "accel/bt/insn.h"

#include "accel/bt/exec.h"

/* An operand code is its struct insn_spec in one number. */
enum operand_code {
	CODE_, /* none */
#define OPERAND(code, where, size, fixed) CODE_##code = (where) | (size) << 8 | (fixed) << 16,
#include "accel/bt/operands.def"
#undef OPERAND
};

#define SPEC(code)                                                                     \
	{                                                                              \
		(uint8_t)(code), (uint8_t)((code) >> 8 & 255), (uint8_t)((code) >> 16) \
	}
#define OPS_1(a)       .n_ops = CODE_##a != 0, .ops = {SPEC(CODE_##a)}
#define OPS_2(a, b)    .n_ops = 2, .ops = {SPEC(CODE_##a), SPEC(CODE_##b)}
#define OPS_3(a, b, c) .n_ops = 3, .ops = {SPEC(CODE_##a), SPEC(CODE_##b), SPEC(CODE_##c)}
#define OPS_4(a, b, c, d) \
	.n_ops = 4, .ops = {SPEC(CODE_##a), SPEC(CODE_##b), SPEC(CODE_##c), SPEC(CODE_##d)}
#define OPS_PICK(a, b, c, d, pick, ...) pick

/* The number of codes says which. */
#define OPS(...) OPS_PICK(__VA_ARGS__, OPS_4, OPS_3, OPS_2, OPS_1, 0)(__VA_ARGS__)

#define ROW(nm, m, pf, opcode, modrm, w_l, ops_, meaning, feat, at, fr, fw, fu) \
	{.name = #nm,                                                           \
	 .map = (m),                                                            \
	 .pfx = (pf),                                                           \
	 .op = (opcode),                                                        \
	 .wl = (w_l),                                                           \
	 .mod = (modrm),                                                        \
	 .feature = F_##feat,                                                   \
	 .attr = (at),                                                          \
	 .fl_read = (fr),                                                       \
	 .fl_written = (fw),                                                    \
	 .fl_undef = (fu),                                                      \
	 .exec = exec_##meaning,                                                \
	 ops_},

const struct insn_row insn_table[] = {
#include "accel/bt/insn.def"
};
const unsigned insn_rows = sizeof(insn_table) / sizeof(insn_table[0]);

const char *insn_operand_code(const struct insn_spec *s)
{
	switch (s->where | s->size << 8 | s->fixed << 16) {
#define OPERAND(code, where, size, fixed) \
	case CODE_##code:                 \
		return #code;
#include "accel/bt/operands.def"
#undef OPERAND
	default: return "";
	}
}
