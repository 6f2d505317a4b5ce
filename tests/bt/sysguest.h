/*
 * bt/sysguest.h - a guest made of bytes: mode, descriptor tables, page tables, registers and a
 * program, all mostly sensible and now and then not.  Any bytes make a guest.
 *
 * What is where in the first block of RAM is below; it is mapped to itself.  Each exception has a
 * handler that goes back to behind a few bytes, so that programs go on.
 */
#ifndef LODGE_TESTS_BT_SYSGUEST_H
#define LODGE_TESTS_BT_SYSGUEST_H

#include <string.h>

#include "../insn/insn_test.h"
#include "accel/bt/exec/sys.h"
#include "arch/x86/vcpu.h"
#include "base/endian.h"

#define GUEST_CODE     0x1000u /* three pages */
#define GUEST_CODE_LEN 0x3000u
#define GUEST_STACK    0x6000u /* the top of two pages */
#define GUEST_TSS      0x6000u /* two of them */
#define GUEST_GDT      0x7000u
#define GUEST_IDT      0x8000u
#define GUEST_HANDLER  0x9000u
#define GUEST_LDT      0xa000u
#define GUEST_DATA     0x20000u /* four pages */
#define GUEST_ROOT     0x10000u /* page tables: root, then one of each level, then four PTs */
#define GUEST_RAM      0x30000u /* of it is mapped: the first 2 MiB but holes */

enum guest_mode {
	GUEST_REAL,
	GUEST_UNREAL,
	GUEST_VM86,
	GUEST_PROT16,
	GUEST_PROT32,
	GUEST_PAGED32,
	GUEST_PAE,
	GUEST_LONG,
	GUEST_COMPAT,
	GUEST_COMPAT16,
	GUEST_LA57,
	GUEST_MODES
};

/* Selectors. */
enum {
	SEL_CODE64 = 0x08,
	SEL_DATA = 0x10,
	SEL_CODE32 = 0x18,
	SEL_UDATA = 0x20,
	SEL_UCODE32 = 0x28,
	SEL_UCODE64 = 0x30,
	SEL_CODE16 = 0x38,
	SEL_DATA16 = 0x40,
	SEL_UCODE16 = 0x48,
	SEL_TSS = 0x50,
	SEL_LDT = 0x60,
	SEL_CALL = 0x70,
	SEL_TASK = 0x80,
	SEL_TSS2 = 0x88,
	SEL_CONFORMING = 0x98,
	SEL_DOWN = 0xa0,
	SEL_ABSENT = 0xa8,
	SEL_TSS16 = 0xb0,
	SEL_END = 0xc0
};

struct input {
	const uint8_t *p;
	size_t left;
};

static inline uint8_t in_byte(struct input *in)
{
	if (!in->left)
		return 0;
	in->left--;
	return *in->p++;
}

static inline uint64_t in_bytes(struct input *in, unsigned n)
{
	uint64_t v = 0;

	while (n--)
		v = v << 8 | in_byte(in);
	return v;
}

static inline uint64_t in_next(void *arg)
{
	return in_bytes(arg, 8);
}

struct guest {
	struct input *in;
	struct machine machine;
	uint8_t *ram; /* of guest-physical 0 */
	struct x86_vcpu *s;
	enum guest_mode mode;
	bool user, lma, paging;
	unsigned code; /* 2, 4, 8 */
	unsigned at;   /* where the next byte of code goes */
};

static inline void guest_put(struct guest *g, unsigned at, uint64_t val, unsigned n)
{
	for (unsigned i = 0; i < n; i++)
		g->ram[at + i] = (uint8_t)(val >> 8 * i);
}

/* Values that mean something somewhere. */
/* long: a table */
static inline uint64_t guest_value(struct guest *g)
{
	static const uint64_t values[] = {
		GUEST_CODE,
		GUEST_CODE + 0xff0,
		GUEST_STACK,
		GUEST_TSS,
		GUEST_GDT,
		GUEST_IDT,
		GUEST_HANDLER,
		GUEST_DATA,
		GUEST_DATA + 0xffc,
		GUEST_DATA + 0x1ff0,
		GUEST_ROOT,
		GUEST_ROOT + 0x4000,
		GUEST_ROOT + 0x4ff8,
		0x9fffc,
		0xa0000,
		0xc0000,
		0xc1ffc,
		0xf0000,
		0xfffff,
		0x100000,
		0x13fff8,
		0x1ffffc,
		0xfec00000,
		0xfee00000,
		0xfee000f0,
		0xfee00300,
		0xfee00380,
		0xffffff80,
		0x100000000,
		0x10000fff8,
		/* selectors */
		0,
		SEL_CODE64,
		SEL_DATA,
		SEL_CODE32,
		SEL_UDATA | 3,
		SEL_UCODE32 | 3,
		SEL_UCODE64 | 3,
		SEL_CODE16,
		SEL_DATA16,
		SEL_TSS,
		SEL_LDT,
		SEL_CALL,
		SEL_TASK,
		SEL_TSS2,
		SEL_CONFORMING,
		SEL_DOWN,
		SEL_ABSENT,
		SEL_TSS16,
		4,
		0xc,
		0x14,
		0x3fb,
		/* control registers, flags, entries of page tables */
		0x11,
		0x80000011,
		0x80010033,
		0x80050033,
		0x6f0,
		0x406f0,
		0x506b0,
		0x100620,
		0x300620,
		0x3506f0,
		0x1020,
		0x500,
		0xd01,
		0x202,
		0x302,
		0x23202,
		0x47202,
		0x3002,
		0x155,
		0xd0155,
		0x2000,
		0xffff07ff,
		0x67,
		0x87,
		0xe7,
		0xc0087,
		0xf0067,
		0x50000067,
		/* numbers */
		1,
		2,
		8,
		15,
		0x1f,
		0x1b,
		0x10,
		0x7f,
		0x80,
		0xfe,
		0xff,
		0x7fff,
		0x8000,
		0xffff,
		0x7fffffff,
		0x80000000,
		0xffffffff,
		0x7fffffffffff,
		0x800000000000,
		0xffff800000000000,
		0x7fffffffffffffff,
		0x8000000000000000,
		UINT64_MAX,
	};
	uint64_t x = in_bytes(g->in, 2),
		 v = values[(x & 0xff) % (sizeof(values) / sizeof(values[0]))];

	switch (x >> 8 & 7) {
	case 0: return v + (x >> 11);
	case 1: return v - (x >> 11);
	case 2: return in_bytes(g->in, 4);
	case 3: return in_bytes(g->in, 8);
	default: return v;
	}
}

/* Program. ----------------------------------------------------------------------------------- */

static inline void guest_emit(struct guest *g, const void *bytes, unsigned n)
{
	const uint8_t *b = bytes;

	for (unsigned i = 0; i < n && g->at < GUEST_CODE + GUEST_CODE_LEN; i++)
		g->ram[g->at++] = b[i];
}

static inline void guest_emit_num(struct guest *g, uint64_t val, unsigned n)
{
	uint8_t b[8];

	le64_store(b, val);
	guest_emit(g, b, n);
}

/* Any instruction of the table. */
static inline void guest_row(struct guest *g)
{
	unsigned row = (unsigned)in_bytes(g->in, 2) % insn_rows;
	struct rng r = {in_bytes(g->in, 2) * UINT64_C(0x9e3779b97f4a7c15) + 1};
	uint8_t bytes[GEN_BYTES] = {0};
	struct insn i;

	gen_bytes(&r, &g->machine, row, g->code, bytes);
	if (insn_decode(bytes, INSN_MAX, g->code, &g->machine.features, &i) == INSN_OK)
		guest_emit(g, bytes, i.len);
	else
		guest_emit(g, bytes, 4);
}

static inline void guest_load(struct guest *g, unsigned reg, uint64_t val)
{
	reg &= 7;
	if (g->code == 2)
		guest_emit(g, "\x66", 1);
	if (g->code == 8)
		guest_emit(g, "\x48", 1);
	guest_emit_num(g, 0xb8 + reg, 1);
	guest_emit_num(g, val, g->code == 8 ? 8 : 4);
}

/* mov [@at], @val, 1 or 4 bytes, by a 32-bit address. */
static inline void guest_store(struct guest *g, uint32_t at, uint32_t val, unsigned size)
{
	if (g->code != 4)
		guest_emit(g, "\x67", 1);
	if (g->code == 2 && size == 4)
		guest_emit(g, "\x66", 1);
	guest_emit(g, size == 4 ? "\xc7" : "\xc6", 1);
	if (g->code == 8)
		guest_emit(g, "\x04\x25", 2);
	else
		guest_emit(g, "\x05", 1);
	guest_emit_num(g, at, 4);
	guest_emit_num(g, val, size);
}

static inline void guest_msr(struct guest *g)
{
	static const uint32_t msrs[] = {
		0x10,	    0x1b,	0x3a,	    0x3b,	0x48,	    0x8b,	0xfe,
		0x174,	    0x175,	0x176,	    0x179,	0x1a0,	    0x1d9,	0x200,
		0x201,	    0x20f,	0x250,	    0x258,	0x268,	    0x26f,	0x277,
		0x2ff,	    0x6e0,	0x800,	    0x802,	0x808,	    0x80b,	0x80d,
		0x80f,	    0x820,	0x828,	    0x830,	0x832,	    0x837,	0x838,
		0x839,	    0x83e,	0x83f,	    0xda0,	0xc0000080, 0xc0000081, 0xc0000082,
		0xc0000083, 0xc0000084, 0xc0000100, 0xc0000101, 0xc0000102, 0xc0000103, 0x4b564d00,
		0x4b564d01, 0x4b564d02, 0x4b564d03, 0x4b564d04, 0x11,	    0x12,	0x40000000};
	unsigned k = in_byte(g->in);

	guest_load(g, X86_RCX, msrs[k % (sizeof(msrs) / sizeof(msrs[0]))]);
	guest_load(g, X86_RAX, guest_value(g));
	guest_load(g, X86_RDX, in_byte(g->in) & 1 ? guest_value(g) : 0);
	guest_emit(g, k & 0x80 ? "\x0f\x32" : "\x0f\x30", 2);
}

/* What a kernel does, with eax or memory at eax. */
static inline void guest_system(struct guest *g)
{
#define S(s)                     \
	{                        \
		s, sizeof(s) - 1 \
	}
	static const struct {
		const char *s;
		unsigned n;
	} what[] = {
		S("\x0f\x22\xc0"),
		S("\x0f\x22\xd8"),
		S("\x0f\x22\xe0"),
		S("\x0f\x22\xd0"),
		S("\x44\x0f\x22\xc0"),
		S("\x0f\x20\xc0"),
		S("\x0f\x30"),
		S("\x0f\x32"),
		S("\x0f\x00\xd8"),
		S("\x0f\x00\xd0"),
		S("\x8e\xd8"),
		S("\x8e\xd0"),
		S("\x8e\xc0"),
		S("\x8e\xe0"),
		S("\x8e\xe8"),
		S("\xfb"),
		S("\xfa"),
		S("\xf4"),
		S("\xcf"),
		S("\x48\xcf"),
		S("\x66\xcf"),
		S("\xcb"),
		S("\x48\xcb"),
		S("\x0f\x05"),
		S("\x48\x0f\x07"),
		S("\x0f\x34"),
		S("\x0f\x35"),
		S("\x9d"),
		S("\x9c"),
		S("\x0f\x23\xc0"),
		S("\x0f\x23\xd8"),
		S("\x0f\x23\xf8"),
		S("\xf3\xa4"),
		S("\xf3\xab"),
		S("\xf3\xa5"),
		S("\xfd"),
		S("\xfc"),
		S("\xf3\x6d"),
		S("\xf3\x6e"),
		S("\x0f\x01\x38"),
		S("\x0f\x01\x10"),
		S("\x0f\x01\x18"),
		S("\x0f\x01\x00"),
		S("\x0f\x01\xf0"),
		S("\x0f\xa2"),
		S("\x0f\x01\xd1"),
		S("\xcd\x21"),
		S("\xcd\x80"),
		S("\xcc"),
		S("\xf1"),
		S("\xff\x28"),
		S("\xff\x18"),
		S("\x48\xff\x28"),
		S("\x0f\x01\xf8"),
		S("\x0f\x01\xca"),
		S("\x0f\x01\xcb"),
		S("\x50"),
		S("\x58"),
		S("\x68\x10\x00\x00\x00"),
		S("\x66\x0f\x38\x82\x00"),
		S("\x0f\xc7\x08"),
		S("\xf0\x0f\xc7\x08"),
		S("\xf0\x48\x0f\xc7\x08"),
		S("\xf0\xff\x00"),
		S("\x87\x00"),
		S("\x0f\xae\x00"),
		S("\x0f\xae\x08"),
		S("\x0f\xae\x20"),
		S("\x0f\xae\x28"),
		S("\x0f\xc7\x28"),
		S("\x0f\xc7\x18"),
		S("\x0f\x01\xee"),
		S("\x0f\x01\xef"),
		S("\xd9\x30"),
		S("\xdd\x30"),
		S("\xdd\x20"),
		S("\x8b\xe0"),
		S("\x48\x8b\xe0"),
		S("\xff\xe0"),
		S("\xff\xd0"),
		S("\xc8\x10\x00\x1f"),
	};
#undef S
	unsigned k = in_byte(g->in) % (sizeof(what) / sizeof(what[0]));

	guest_emit(g, what[k].s, what[k].n);
}

static inline void guest_far(struct guest *g)
{
	unsigned k = in_byte(g->in);
	uint16_t sel = (uint16_t)guest_value(g);

	if (g->code == 8) { /* push the selector and the address, and return */
		guest_load(g, X86_RAX, sel);
		guest_load(g, X86_RDX, k & 1 ? guest_value(g) : g->at + 20);
		guest_emit(g, "\x50\x52\x48\xcb", 4);
		return;
	}
	guest_emit(g, k & 1 ? "\x9a" : "\xea", 1);
	guest_emit_num(g, k & 2 ? guest_value(g) : g->at + g->code + 2, g->code);
	guest_emit_num(g, sel, 2);
}

static inline void guest_item(struct guest *g)
{
	unsigned op = in_byte(g->in), n;

	switch (op & 15) {
	default: guest_row(g); break;
	case 6:
		for (n = op >> 4; n < 16; n++)
			guest_emit_num(g, in_byte(g->in), 1);
		break;
	case 7:
	case 8: guest_load(g, op >> 4, guest_value(g)); break;
	case 9: /* into the program */
		guest_store(g, GUEST_CODE + (uint32_t)in_bytes(g->in, 2) % GUEST_CODE_LEN,
			    in_byte(g->in), 1);
		break;
	case 10: guest_store(g, (uint32_t)guest_value(g), (uint32_t)guest_value(g), 4); break;
	case 11: /* into page tables and descriptors */
		guest_store(g, (op & 16 ? GUEST_ROOT : GUEST_TSS) + (in_bytes(g->in, 2) & 0x7ffcu),
			    (uint32_t)guest_value(g), 4);
		break;
	case 12: guest_msr(g); break;
	case 13: guest_system(g); break;
	case 14: guest_far(g); break;
	case 15: /* a branch, or on to the end of the page */
		if (op & 16) {
			guest_emit_num(g, 0x70 + (op >> 5), 1);
			guest_emit_num(g, in_byte(g->in), 1);
		} else if (op & 32) {
			guest_emit(g, "\xeb", 1);
			guest_emit_num(g, in_byte(g->in), 1);
		} else {
			while ((g->at & 0xfff) != 0xffc && g->at < GUEST_CODE + GUEST_CODE_LEN)
				guest_emit(g, "\x90", 1);
			g->at -= op >> 6;
		}
		break;
	}
}

/* Tables. ------------------------------------------------------------------------------------ */

static inline void guest_desc(struct guest *g, unsigned sel, uint32_t base, uint32_t limit,
			      uint32_t attr)
{
	uint64_t d = (limit & 0xffff) | (uint64_t)(base & 0xffffff) << 16 |
		     (uint64_t)(attr & 0xf0ff) << 40 | (uint64_t)(limit & 0xf0000) << 32 |
		     (uint64_t)(base >> 24) << 56;

	guest_put(g, GUEST_GDT + sel, d, 8);
}

#define G32 0xc000u /* 4 KiB units, 32 bits */
static inline void guest_gdt(struct guest *g)
{
	uint32_t tss = g->lma || g->mode != GUEST_PROT16 ? 0x8b : 0x83;

	guest_desc(g, SEL_CODE64, 0, 0xfffff, 0xa09b);
	guest_desc(g, SEL_DATA, 0, 0xfffff, G32 | 0x93);
	guest_desc(g, SEL_CODE32, 0, 0xfffff, G32 | 0x9b);
	guest_desc(g, SEL_UDATA, 0, 0xfffff, G32 | 0xf3);
	guest_desc(g, SEL_UCODE32, 0, 0xfffff, G32 | 0xfb);
	guest_desc(g, SEL_UCODE64, 0, 0xfffff, 0xa0fb);
	guest_desc(g, SEL_CODE16, 0, 0xffff, 0x9b);
	guest_desc(g, SEL_DATA16, 0, 0xffff, 0x93);
	guest_desc(g, SEL_UCODE16, 0, 0xffff, 0xfb);
	guest_desc(g, SEL_TSS, GUEST_TSS, 0x3ff, tss);
	guest_desc(g, SEL_LDT, GUEST_LDT, 0x3ff, 0x82);
	if (g->lma) {
		guest_put(g, GUEST_GDT + SEL_CALL,
			  SEL_CODE64 << 16 | (uint64_t)0xec00 << 32 | GUEST_HANDLER, 8);
	} else {
		guest_put(g, GUEST_GDT + SEL_CALL,
			  SEL_CODE32 << 16 | (uint64_t)0xec02 << 32 | GUEST_HANDLER, 8);
		guest_put(g, GUEST_GDT + SEL_TASK, SEL_TSS2 << 16 | (uint64_t)0xe500 << 32, 8);
	}
	guest_desc(g, SEL_TSS2, GUEST_TSS + 0x800, 0x67, 0xe9);
	guest_desc(g, SEL_TSS16, GUEST_TSS + 0xc00, 0x2b, 0xe1);
	guest_desc(g, SEL_CONFORMING, 0, 0xfffff, G32 | 0x9f);
	guest_desc(g, SEL_DOWN, 0, 0x1f, G32 | 0xf7);
	guest_desc(g, SEL_ABSENT, 0, 0xfffff, G32 | 0x13);
	memcpy(g->ram + GUEST_LDT, g->ram + GUEST_GDT, SEL_END);
	for (unsigned n = in_byte(g->in) % 4; n; n--)
		guest_put(g, GUEST_GDT + (in_byte(g->in) * 8u) % SEL_END, in_bytes(g->in, 8), 8);
}

static inline void guest_tss(struct guest *g)
{
	unsigned t = GUEST_TSS, t2 = GUEST_TSS + 0x800;

	if (g->lma) {
		for (unsigned n = 0; n < 10; n++) /* RSP0 to 2, IST1 to 7 */
			guest_put(g, t + 4 + 8 * n, GUEST_STACK - 0x400 - 0x40 * n, 8);
		guest_put(g, t + 0x66, 0x68, 2);
		return;
	}
	if (g->mode == GUEST_PROT16) {
		guest_put(g, t + 2, GUEST_STACK - 0x400, 2);
		guest_put(g, t + 4, SEL_DATA16, 2);
	} else {
		guest_put(g, t + 4, GUEST_STACK - 0x400, 4);
		guest_put(g, t + 8, SEL_DATA, 2);
		guest_put(g, t + 0x66, 0x68, 2);
	}
	guest_put(g, t2 + 4, GUEST_STACK - 0x600, 4);
	guest_put(g, t2 + 8, SEL_DATA, 2);
	guest_put(g, t2 + 0x1c, g->s->cr3, 4);
	guest_put(g, t2 + 0x20, GUEST_HANDLER, 4);
	guest_put(g, t2 + 0x24, 2, 4);
	guest_put(g, t2 + 0x38, GUEST_STACK - 0x800, 4);
	for (unsigned n = 0; n < 6; n++)
		guest_put(g, t2 + 0x48 + 4 * n, n == 1 ? SEL_CODE32 : SEL_DATA, 2);
	guest_put(g, t2 + 0x66, 0x68, 2);
}

/* Handlers: without an error code, and 16 bytes on with one. */
static inline void guest_handlers(struct guest *g)
{
	static const uint8_t long_[] = {0x48, 0x83, 0x04, 0x24, 1,    0x48, 0xcf, 0,	0,
					0,    0,    0,	  0,	0,    0,    0,	  0x48, 0x83,
					0xc4, 8,    0x48, 0x83, 0x04, 0x24, 1,	  0x48, 0xcf};
	static const uint8_t prot[] = {0x83, 0x04, 0x24, 1,    0xcf, 0,	   0, 0,
				       0,    0,	   0,	 0,    0,    0,	   0, 0,
				       0x83, 0xc4, 4,	 0x83, 0x04, 0x24, 1, 0xcf};
	/* push bp; mov bp,sp; add word [bp+2],1; pop bp; iret */
	static const uint8_t real[] = {0x55, 0x89, 0xe5, 0x83, 0x46, 2, 1,    0x5d, 0xcf, 0,
				       0,    0,	   0,	 0,    0,    0, 0x83, 0xc4, 2,	  0x55,
				       0x89, 0xe5, 0x83, 0x46, 2,    1, 0x5d, 0xcf};
	uint8_t skip = (uint8_t)(in_byte(g->in) % 8 + 1), *h = g->ram + GUEST_HANDLER;

	if (g->lma) {
		memcpy(h, long_, sizeof(long_));
		h[4] = h[24] = skip;
	} else if (g->mode >= GUEST_PROT32 || g->mode == GUEST_VM86) {
		memcpy(h, prot, sizeof(prot));
		h[3] = h[22] = skip;
	} else {
		memcpy(h, real, sizeof(real));
		h[6] = h[25] = skip;
	}
}

static inline void guest_idt(struct guest *g)
{
	bool real = g->mode == GUEST_REAL || g->mode == GUEST_UNREAL;
	unsigned size = g->lma ? 16 : real ? 4 : 8;

	for (unsigned v = 0; v < 256; v++) {
		unsigned at = (real ? 0 : GUEST_IDT) + v * size;
		unsigned h = GUEST_HANDLER + (!real && v < 32 && (0x27d00u >> v & 1) ? 16 : 0);
		uint64_t type = v >= 0x20 || v == 3 || v == 4 ? 0xee00 : 0x8e00;

		if (real)
			guest_put(g, at, h, 4);
		else if (g->lma)
			guest_put(g, at, h | SEL_CODE64 << 16 | type << 32, 8);
		else if (g->mode == GUEST_PROT16)
			guest_put(g, at, h | SEL_CODE16 << 16 | (type & 0xf7ff) << 32, 8);
		else
			guest_put(g, at, h | SEL_CODE32 << 16 | type << 32, 8);
	}
	for (unsigned n = in_byte(g->in) % 4; n; n--) {
		unsigned at = (real ? 0 : GUEST_IDT) + in_byte(g->in) % 40 * size;
		unsigned how = in_byte(g->in);

		if (how & 1)
			guest_put(g, at, in_bytes(g->in, 8), 8);
		else if (how & 2) /* a task gate */
			guest_put(g, at, SEL_TSS2 << 16 | (uint64_t)0xe500 << 32, 8);
		else if (how & 4) /* trap gate */
			g->ram[at + 5] |= 1;
		else if (how & 8) /* IST */
			g->ram[at + 4] = how >> 4 & 7;
		else
			guest_put(g, at + 2, guest_value(g), 2);
	}
}

/* Page tables: 2 MiB mapped to themselves, but what is then changed. */
static inline void guest_tables(struct guest *g)
{
	unsigned levels = g->mode == GUEST_LA57 ? 5 : g->lma ? 4 : g->mode == GUEST_PAE ? 3 : 2;
	unsigned size = levels == 2 ? 4 : 8, at = GUEST_ROOT, per = 4096 / size;

	for (unsigned l = levels; l > 1; l--, at += 0x1000) {
		uint64_t flags = levels == 3 && l == 3 ? 1 : 7;

		guest_put(g, at, (at + 0x1000) | flags, size);
		if (l == 2 && levels > 2) /* the next 2 MiB: a large page of the same */
			guest_put(g, at + size, 0x87, size);
	}
	for (unsigned p = 0; p < per && p < 512; p++)
		guest_put(g, at + p * size, p << 12 | 7, size);
	for (unsigned n = in_byte(g->in) % 8; n; n--) {
		unsigned how = in_byte(g->in), level = how & 7, page = (unsigned)in_bytes(g->in, 2);
		unsigned e = (level < levels ? GUEST_ROOT + level * 0x1000 : at) +
			     (level < levels - 1 ? page % 4 : page % 64) * size;
		uint64_t old = g->ram[e], v = in_byte(g->in);

		switch (how >> 3 & 7) {
		case 0: guest_put(g, e, old ^ v, 1); break;	 /* flags */
		case 1: guest_put(g, e + size - 1, v, 1); break; /* reserved bits, NX */
		case 2: guest_put(g, e, (GUEST_ROOT + (v & 7) * 0x1000) | 7, size); break;
		case 3: guest_put(g, e, 0xc0007 | v << 12, size); break; /* device, holes, ROM */
		case 4: guest_put(g, e, 0xfee00007 | (v & 1) << 12, 4); break;
		case 5: guest_put(g, e, in_bytes(g->in, 8), size); break;
		case 6: guest_put(g, e, 0x100000007u, size); break;
		default: guest_put(g, e, (v << 12) | 7, size); break;
		}
	}
}

/* Registers. --------------------------------------------------------------------------------- */

static inline void guest_segs(struct guest *g, uint16_t cs, uint16_t ds, uint32_t cs_attr,
			      uint32_t ds_attr, uint32_t limit)
{
	for (unsigned n = 0; n < 6; n++)
		x86_seg_set(&g->s->seg[n], n == X86_CS ? cs : ds, 0, limit,
			    n == X86_CS ? cs_attr : ds_attr);
}

static inline void guest_mode_regs(struct guest *g)
{
	struct x86_vcpu *s = g->s;
	uint32_t u = g->user ? 0x60 : 0;
	uint16_t rpl = g->user ? 3 : 0;

	s->cr0 = X86_CR0_PE | X86_CR0_ET | X86_CR0_NE | X86_CR0_MP;
	switch (g->mode) {
	case GUEST_REAL:
	case GUEST_UNREAL:
		s->cr0 = X86_CR0_ET;
		guest_segs(g, 0, 0, 0x9b, 0x93, g->mode == GUEST_REAL ? 0xffff : UINT32_MAX);
		break;
	case GUEST_VM86:
		guest_segs(g, 0, 0, 0xf3, 0xf3, 0xffff);
		s->rflags |= X86_FLAGS_VM | 0x3000;
		break;
	case GUEST_PROT16:
		guest_segs(g, g->user ? SEL_UCODE16 | 3 : SEL_CODE16,
			   (uint16_t)((g->user ? SEL_UDATA : SEL_DATA16) | rpl), 0x9b | u, 0x93 | u,
			   0xffff);
		break;
	case GUEST_COMPAT16:
		guest_segs(g, SEL_UCODE16 | 3, SEL_UDATA | 3, 0xfb, 0xf3, 0xffff);
		break;
	case GUEST_LONG:
	case GUEST_LA57:
		guest_segs(g, (uint16_t)((g->user ? SEL_UCODE64 : SEL_CODE64) | rpl),
			   (uint16_t)((g->user ? SEL_UDATA : SEL_DATA) | rpl), 0xa09b | u,
			   G32 | 0x93 | u, UINT32_MAX);
		break;
	default:
		guest_segs(g, (uint16_t)((g->user ? SEL_UCODE32 : SEL_CODE32) | rpl),
			   (uint16_t)((g->user ? SEL_UDATA : SEL_DATA) | rpl), G32 | 0x9b | u,
			   G32 | 0x93 | u, UINT32_MAX);
		break;
	}
	s->cr4 = X86_CR4_OSFXSR | X86_CR4_OSXMMEXCPT | X86_CR4_OSXSAVE;
	if (g->paging) {
		s->cr0 |= X86_CR0_PG | X86_CR0_WP;
		s->cr3 = GUEST_ROOT;
	}
	if (g->mode == GUEST_PAE || g->lma)
		s->cr4 |= X86_CR4_PAE;
	else
		s->cr4 |= X86_CR4_PSE;
	if (g->mode == GUEST_LA57)
		s->cr4 |= X86_CR4_LA57;
	s->efer = X86_EFER_SCE | X86_EFER_NXE | (g->lma ? X86_EFER_LME | X86_EFER_LMA : 0);
}

static inline void guest_regs(struct guest *g)
{
	struct x86_vcpu *s = g->s;

	guest_mode_regs(g);
	if (g->mode >= GUEST_VM86) {
		s->gdt = (struct x86_table){GUEST_GDT, SEL_END - 1};
		s->idt = (struct x86_table){GUEST_IDT, 0xfff};
	} else {
		s->idt = (struct x86_table){0, 0x3ff};
	}
	x86_seg_set(&s->seg[X86_TR], SEL_TSS, GUEST_TSS, 0x3ff,
		    g->mode == GUEST_PROT16 ? 0x83 : 0x8b);
	x86_seg_set(&s->seg[X86_LDTR], SEL_LDT, GUEST_LDT, 0x3ff, 0x82);
	s->rip = GUEST_CODE;
	for (unsigned n = 0; n < 16; n++)
		s->gpr[n] = n == X86_RSP ? GUEST_STACK : guest_value(g);
	s->rflags |= 2;
	for (unsigned n = 0; n < 4; n++)
		s->dr[n] = GUEST_CODE + n;
	s->xcr0 = 7;
	s->mp_state = X86_MP_RUNNING;
}

/* Some bits of registers otherwise; what is refused then shows that it is refused. */
static inline void guest_tweak(struct guest *g)
{
	struct x86_vcpu *s = g->s;

	for (unsigned n = in_byte(g->in) % 4; n; n--) {
		unsigned what = in_byte(g->in), bit = in_byte(g->in);
		uint64_t b = UINT64_C(1) << (bit & 63);

		switch (what & 15) {
		case 0: s->cr0 ^= b & 0xe005003f; break;
		case 1: s->cr4 ^= b & 0xf00fff; break;
		case 2: s->cr4 ^= b; break;
		case 3: s->efer ^= b; break;
		case 4:
		case 5: s->rflags ^= b & 0x3f7fd5; break;
		case 6: s->dr7 ^= bit | UINT64_C(0xd0000) << (bit & 3); break;
		case 7: s->dr[bit & 3] = guest_value(g); break;
		case 8: s->seg[bit & 7].attr ^= (uint32_t)in_bytes(g->in, 2); break;
		case 9: s->seg[bit & 7].base = guest_value(g); break;
		case 10: s->seg[bit & 7].limit = (uint32_t)guest_value(g); break;
		case 11: s->xcr0 ^= b & 0x2e7; break;
		case 12: s->cr3 = guest_value(g); break;
		case 13:
			s->idt = (struct x86_table){guest_value(g), (uint16_t)guest_value(g)};
			break;
		case 14:
			s->gdt = (struct x86_table){guest_value(g), (uint16_t)guest_value(g)};
			break;
		default: s->mp_state = bit % 5; break;
		}
	}
}

/* Makes the guest: memory from g->ram on, registers in g->s, which is as at power-on. */
static inline void guest_make(struct guest *g)
{
	unsigned mode = in_byte(g->in), items;

	g->mode = (enum guest_mode)((mode & 31) % GUEST_MODES);
	g->user = mode & 32;
	g->lma = g->mode >= GUEST_LONG;
	g->paging = g->mode >= GUEST_PAGED32 || (g->mode == GUEST_VM86 && mode & 64);
	g->code = g->mode == GUEST_LONG || g->mode == GUEST_LA57	 ? 8
		  : g->mode <= GUEST_PROT16 || g->mode == GUEST_COMPAT16 ? 2
									 : 4;
	g->at = GUEST_CODE;
	guest_handlers(g);
	if (g->mode >= GUEST_VM86)
		guest_gdt(g);
	guest_idt(g);
	if (g->paging)
		guest_tables(g);
	guest_regs(g);
	if (g->mode >= GUEST_VM86)
		guest_tss(g);
	guest_tweak(g);
	for (items = in_byte(g->in) % 64; items && g->in->left; items--)
		guest_item(g);
	guest_emit(g, "\xeb\xfe", 2);
}

#endif
