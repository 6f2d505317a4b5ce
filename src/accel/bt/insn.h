/*
 * accel/bt/insn.h - x86 instructions as data: the rows of the instruction table and one decoded
 * instruction.
 *
 * insn.def is the only place that lists an opcode.  Each row says how an instruction is encoded,
 * what its operands are (in the letters of SDM 2 appendix A.2), which CPUID feature it belongs to,
 * what it does with the flags, and which function has its meaning.  Decoder, disassembler,
 * interpreter, random test generator and coverage report are made from it.
 */
#ifndef LODGE_ACCEL_BT_INSN_H
#define LODGE_ACCEL_BT_INSN_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

struct bt_cpu;
struct insn;

/* The meaning of an instruction; see bt.h for what it may do. */
typedef void insn_exec(struct bt_cpu *c, const struct insn *i);

#define INSN_MAX 15u /* bytes (SDM 2A §2.3.11) */
#define INSN_OPS 5u  /* operands, the implied last register of EVEX and VEX forms included */

/* Opcode maps. */
enum insn_map {
	MAP_1,	 /* one byte */
	MAP_0F,	 /* 0F */
	MAP_38,	 /* 0F 38 */
	MAP_3A,	 /* 0F 3A */
	MAP_V0F, /* VEX.0F and so on */
	MAP_V38,
	MAP_V3A,
	MAP_E0F, /* EVEX.0F and so on */
	MAP_E38,
	MAP_E3A,
	MAPS
};

/* Mandatory prefix. */
enum insn_pfx {
	PA,  /* any: 66 is the operand size, F2 and F3 are REP or ignored */
	P0,  /* none of them */
	P66, /* 66, no F2 nor F3 */
	PF3,
	PF2,
};

/*
 * What the byte behind the opcode must be.  R: a ModRM byte.  RM: one with a memory operand; RR:
 * one with mod = 3.  X(n), XM(n), XR(n): the same with reg = n.  XB(b): exactly the byte b.
 */
#define MOD_NONE  0u
#define MOD_R	  1u
#define MOD_RM	  2u
#define MOD_RR	  3u
#define MOD_X(n)  (0x10u | (n))
#define MOD_XM(n) (0x20u | (n))
#define MOD_XR(n) (0x30u | (n))
#define MOD_XB(b) (0x100u | (b))
#define MOD_PLUS  0x40u /* no ModRM byte: the opcode's low three bits are a register */

/* W and vector length, or'ed.  Legacy rows use W0 and W1 for REX.W where it selects a row. */
#define W_ANY 0u
#define W_0   1u
#define W_1   2u
#define L_ANY 0u
#define L_0   4u  /* 128 bits, or LZ */
#define L_1   8u  /* 256 */
#define L_2   16u /* 512 */

/*
 * Operands.  SDM 2 appendix A.2: the first letter is where it is, the second how large.
 * A far pointer; B VEX.vvvv general; C, D control, debug register (reg); E general or memory;
 * F flags; G general (reg); H vector VEX.vvvv; I immediate; J relative; L vector in imm[7:4];
 * M memory only; N MMX (rm, register only); O moffs; P MMX (reg); Q MMX or memory; R general (rm,
 * register only); S segment register (reg); U vector (rm, register only); V vector (reg);
 * W vector or memory; X DS:rSI; Y ES:rDI; Z the opcode's low three bits.
 * KG, KE, KH, KR, KM: opmask register in reg, rm or memory, vvvv, rm only; ST0, STi of x87.
 * Sizes: b 1; w 2; d 4; q 8; v 2, 4 or 8 by operand size; z 2 or 4 (4 at 8); y 4 or 8 (REX.W);
 * dq 16; qq 32; oq 64; x by vector length; h half, u quarter, e eighth of it;
 * p far pointer 2+2/4/8; s pseudo-descriptor; a BOUND's pair; t 10 bytes of x87; ps, pd … are x;
 * n 8 in 64-bit mode, 4 elsewhere.  operands.def lists the codes.  disp8*N of EVEX needs no column:
 * N is the size of the memory operand, or of the element that is broadcast.
 */
enum insn_where {
	AT_NONE,
	AT_REG,	  /* general register */
	AT_RM,	  /* general register or memory */
	AT_VVVV,  /* general register */
	AT_PLUS,  /* general register in the opcode */
	AT_FIXED, /* general register .fixed */
	AT_MEM,	  /* memory, by ModRM */
	AT_IMM,
	AT_REL,
	AT_FAR,
	AT_MOFFS,
	AT_ONE, /* the constant 1 */
	AT_SEG, /* segment register in reg */
	AT_SEG_FIXED,
	AT_CR,
	AT_DR,
	AT_SI,
	AT_DI, /* string operands */
	AT_VREG,
	AT_VRM,
	AT_VVVVV,
	AT_VIS4,
	AT_VFIXED, /* vector */
	AT_VSIB,   /* memory with a vector index */
	AT_MREG,
	AT_MRM, /* MMX */
	AT_KREG,
	AT_KRM,
	AT_KVVVV, /* opmask */
	AT_ST0,
	AT_STI,	 /* x87 */
	AT_RREG, /* general register in rm, whatever mod says */
};

/* A size in bytes that is fixed, or one of these. */
enum insn_size {
	SZ_0 = 0,
	SZ_FIRST = 0x80,
	SZ_V = SZ_FIRST,
	SZ_Z,
	SZ_Y,
	SZ_X,
	SZ_H,
	SZ_U,
	SZ_E,
	SZ_P,
	SZ_S,
	SZ_A,
	SZ_N,	 /* 8 in 64-bit mode, 4 elsewhere: control registers and their like */
	SZ_ADDR, /* by address size */
};

/* Attributes of a row. */
#define A_LOCK	(1u << 0)  /* LOCK allowed with a memory destination */
#define A_I64	(1u << 1)  /* #UD in 64-bit mode */
#define A_O64	(1u << 2)  /* 64-bit mode only */
#define A_D64	(1u << 3)  /* operand size defaults to 64 bits in 64-bit mode, 66 makes it 16 */
#define A_F64	(1u << 4)  /* operand size is 64 bits in 64-bit mode, prefixes ignored */
#define A_CPL0	(1u << 5)  /* #GP(0) at CPL > 0 */
#define A_PROT	(1u << 6)  /* #UD in real and virtual-8086 mode */
#define A_END	(1u << 7)  /* ends a block: sets rip itself */
#define A_REP	(1u << 8)  /* REP repeats it */
#define A_REPZ	(1u << 9)  /* REPE and REPNE */
#define A_ALIGN (1u << 10) /* memory operand must be aligned to its size: #GP(0) (SSE) */
#define A_PURE                                                                             \
	(1u << 11) /* may run on the host's own unit: registers, flags, one memory operand \
		    */
#define A_RD	    (1u << 12) /* operand 0 is read ... */
#define A_WR	    (1u << 13) /* ... and written */
#define A_RW	    (A_RD | A_WR)
#define A_RW1	    (1u << 14) /* operand 1 is written too (XCHG, XADD, MULX, gathers' mask) */
#define A_FP	    (1u << 15) /* SIMD floating point: MXCSR decides and records (#XM) */
#define A_BC32	    (1u << 16) /* EVEX.b with memory: a 32-bit element is broadcast */
#define A_BC64	    (1u << 17)
#define A_ER	    (1u << 18) /* EVEX.b with registers: rounding */
#define A_SAE	    (1u << 19) /* EVEX.b with registers: no exceptions */
#define A_MASK	    (1u << 20) /* EVEX.aaa allowed */
#define A_ZERO	    (1u << 21) /* EVEX.z allowed */
#define A_NOK0	    (1u << 22) /* EVEX.aaa must not be 0 (gathers, scatters) */
#define A_NOMEMSIZE (1u << 24) /* the memory operand is an address only (LEA, INVLPG, prefetch) */
#define A_NOREXB    (1u << 30) /* not with REX.B: NOP, which is XCHG of r8 with it */

/* CPUID features, as rows name them; bits are looked up in features.c. */
#define INSN_FEATURES(X)                                                                           \
	X(BASE)                                                                                    \
	X(CMOV)                                                                                    \
	X(CX8)                                                                                     \
	X(CX16) X(FPU) X(MMX) X(FXSR) X(SSE) X(SSE2) X(SSE3) X(SSSE3) X(SSE41) X(SSE42) X(         \
		POPCNT) X(AES) X(PCLMUL) X(SHA) X(MOVBE) X(LZCNT) X(BMI1) X(BMI2) X(ADX) X(RDRAND) \
		X(RDSEED) X(AVX) X(AVX2) X(F16C) X(FMA) X(VAES) X(VPCLMUL) X(GFNI) X(AVXVNNI) X(   \
			AVX512F) X(AVX512VL) X(AVX512BW) X(AVX512DQ) X(AVX512CD) X(AVX512IFMA)     \
			X(AVX512VBMI) X(AVX512VBMI2) X(AVX512VNNI) X(AVX512BITALG) X(              \
				AVX512VPOPCNT) X(AVX512BF16) X(SYSCALL) X(SEP) X(RDTSCP) X(RDPID)  \
				X(FSGSBASE) X(XSAVE) X(XSAVEOPT) X(XSAVEC) X(XSAVES) X(INVPCID)    \
					X(SMAP) X(MONITOR) X(CLFLUSH) X(CLFLUSHOPT) X(CLWB)        \
						X(LAHF64) X(PREFETCHW) X(SERIALIZE) X(MOVDIRI)     \
							X(MOVDIR64B) X(UMIP) X(PKU)
enum insn_feature {
#define X(f) F_##f,
	INSN_FEATURES(X)
#undef X
		INSN_FEATURE_COUNT
};

/* Arithmetic flags as the row's masks name them: the bits of RFLAGS. */
#define FL_C   0x001u
#define FL_P   0x004u
#define FL_A   0x010u
#define FL_Z   0x040u
#define FL_S   0x080u
#define FL_D   0x400u
#define FL_O   0x800u
#define FL_ALL (FL_C | FL_P | FL_A | FL_Z | FL_S | FL_O)

struct insn_spec {
	uint8_t where, size; /* enum insn_where; bytes or enum insn_size */
	uint8_t fixed; /* number of a fixed register; AT_IMM: 1 for zero-extended; AT_RM: size of
			* memory where it differs; AT_VSIB: 1 for half an index vector */
};

struct insn_row {
	const char *name; /* mnemonic, lower case; with bars: one for each operand size 2, 4, 8 */
	uint8_t map, pfx, op, wl;
	uint16_t mod;
	uint8_t feature;
	uint8_t n_ops;
	uint32_t attr;
	uint16_t fl_read, fl_written, fl_undef;
	struct insn_spec ops[INSN_OPS];
	insn_exec *exec;
};

extern const struct insn_row insn_table[];
extern const unsigned insn_rows;
/* Which of the operand codes of operands.def an operand is: its letters, as "Ev". */
const char *insn_operand_code(const struct insn_spec *s);

enum insn_kind {
	OP_NONE,
	OP_REG,	 /* general register .reg, .size bytes from bit 0 */
	OP_HIGH, /* AH, CH, DH, BH: .reg is 0 to 3 */
	OP_MEM,	 /* .size bytes at the memory operand */
	OP_IMM,	 /* insn.imm (AT_IMM, AT_REL, AT_ONE), or insn.imm2 where it is the second */
	OP_SEG,
	OP_CR,
	OP_DR,
	OP_VEC, /* vector register .reg, .size 16, 32, 64 or an element's */
	OP_MMX,
	OP_K,
	OP_ST,
};

struct insn_op {
	uint8_t kind;
	uint8_t reg;  /* number; VSIB: size of the index vector in bytes, 16, 32 or 64 */
	uint8_t size; /* bytes; 0: an address only, or a block whose size the meaning knows */
	uint8_t wide; /* which immediate: 0 imm, 1 imm2 */
};

#define INSN_NOREG 0xffu
#define INSN_RIP   0xfeu /* insn.base: disp is from the next instruction */

/* Prefixes seen. */
#define INSN_LOCK  1u
#define INSN_REP   2u /* F3 */
#define INSN_REPNE 4u /* F2 */
#define INSN_66	   8u
#define INSN_67	   16u
#define INSN_REX   32u
#define INSN_REX_W 64u /* REX.W, VEX.W, EVEX.W */

/* A decoded instruction.  Immutable; depends on the bytes and the mode only. */
struct insn {
	insn_exec *exec; /* the row's, or a faster one that means the same */
	void *code;	 /* host code for it, made by host/pure.c; NULL: none */
	int64_t imm;	 /* immediate or relative displacement, sign-extended; far offset */
	int64_t disp;	 /* displacement; moffs address */
	struct insn_op op[INSN_OPS];
	uint16_t row;
	uint16_t imm2; /* ENTER's level, far selector, EXTRQ; */
	uint8_t len;
	uint8_t mode;	     /* 2, 4 or 8: 16-, 32-, 64-bit code */
	uint8_t osize;	     /* operand size in bytes: 2, 4, 8 */
	uint8_t asize;	     /* address size in bytes */
	uint8_t base, index; /* general registers; INSN_NOREG; INSN_RIP; VSIB: index is a vector */
	uint8_t scale;	     /* shift, 0 to 3 */
	uint8_t seg;	     /* enum x86_seg_index of the memory operand, default or overridden */
	uint8_t prefixes;
	uint8_t modrm;
	uint8_t vl;   /* vector length in bytes; 0: not VEX nor EVEX */
	uint8_t vvvv; /* complemented: a register number */
	uint8_t mask; /* EVEX.aaa */
	uint8_t evex_b : 1, evex_z : 1, evex : 1, vex : 1, rounding : 2 /* EVEX.L'L as rounding */;
};

enum insn_error { INSN_OK = 0, INSN_SHORT = -1, INSN_INVALID = -2, INSN_LONG = -3 };

/*
 * Decodes the instruction in @b[0..n) for a CPU with @features (a bit for each enum insn_feature)
 * in @mode (2, 4, 8).  INSN_SHORT: more than @n bytes are needed to tell (n < 15).  INSN_LONG: over
 * 15 bytes (#GP).  INSN_INVALID: #UD.  What depends on the CPU's state (CPL, CR0, CR4, XCR0) is the
 * meaning's affair, not the decoder's.  Reads nothing behind @b + n; no other side effect.
 */
struct insn_features {
	uint64_t bits[2];
};
int insn_decode(const uint8_t *b, unsigned n, unsigned mode, const struct insn_features *features,
		struct insn *out);

/* Intel syntax, one line, no newline.  @ip is the address of the instruction. */
struct strbuf;
void insn_show(const struct insn *i, uint64_t ip, struct strbuf *out);

/* features.c: what the guest's CPUID @leaves make of it.  F_BASE is always there. */
struct x86_cpuid;
void insn_features_from_cpuid(const struct x86_cpuid *leaves, unsigned n,
			      struct insn_features *out);

static inline bool insn_has(const struct insn_features *f, enum insn_feature x)
{
	return f->bits[x / 64] >> (x % 64) & 1;
}

#endif
