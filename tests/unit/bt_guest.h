/*
 * unit/bt_guest.h - one instruction at a time in a little guest of any mode and privilege, under
 * the software CPU and, where it can run the case, under this machine's KVM.
 *
 * Every exception and interrupt has a handler that is one HLT at an address of its own, with
 * interrupts off; another HLT lies behind the instruction that is tried.  So each trial ends with
 * the guest halted for good, and where it halted, with what stack, says what happened.
 */
#ifndef LODGE_UNIT_BT_GUEST_H
#define LODGE_UNIT_BT_GUEST_H

#include <errno.h>

#include "unit.h"

#include "accel/list.h"
#include "arch/arch.h"
#include "arch/x86/defs.h"
#include "arch/x86/vcpu.h"
#include "base/str.h"
#include "base/sys.h"
#include "core/vm.h"

#define G_RAM	 0x100000u
#define G_CODE	 0x1000u /* the instruction that is tried */
#define G_STOP	 0x1800u /* a HLT that targets of jumps may use */
#define G_GDT	 0x2000u
#define G_LDT	 0x2800u
#define G_IDT	 0x3000u
#define G_TSS	 0x4000u
#define G_TSS2	 0x4400u
#define G_DATA	 0x5000u
#define G_STACK	 0x7000u  /* top, of the present privilege */
#define G_STACK0 0x7800u  /* top, RSP0 of the TSS */
#define G_IST	 0x7c00u  /* top, IST1 */
#define G_STACK1 0x7a00u  /* top, RSP1 */
#define G_HLTS	 0x8000u  /* handlers: 16 bytes apart */
#define G_TABLES 0x20000u /* page tables */

/* Selectors. */
enum {
	S_CODE = 0x08,
	S_DATA = 0x10,
	S_CODE64 = 0x18,
	S_UCODE = 0x20,
	S_UDATA = 0x28,
	S_UCODE64 = 0x30,
	S_TSS = 0x38,	 /* two slots */
	S_LDT = 0x48,	 /* two slots */
	S_CONF = 0x58,	 /* conforming code, DPL 0; 64-bit in long mode */
	S_ABSENT = 0x60, /* data, not present */
	S_RODATA = 0x68, /* DPL 0 */
	S_CODE16 = 0x70,
	S_DATA16 = 0x78,
	S_GATE = 0x80,	 /* call gate to S_CODE(64), DPL 3, two slots */
	S_TASK = 0x90,	 /* task gate to S_TSS2, DPL 3 */
	S_TSS2 = 0x98,	 /* available 32-bit TSS, DPL 3 */
	S_XONLY = 0xa0,	 /* code that cannot be read */
	S_NOCODE = 0xa8, /* code, not present */
	S_DATA1 = 0xb0,	 /* data, DPL 1 */
	S_GATE0 = 0xb8,	 /* call gate of DPL 0, two slots */
	S_DOWN = 0xc8,	 /* data that expands down from 0x7fff */
	S_FRESH = 0xd0,	 /* data, DPL 3, not accessed yet */
	S_RING1 = 0xd8,	 /* code, DPL 1 */
	S_BEYOND = 0x1008,
};
#define G_GDT_LIMIT 0x1ffu

enum g_mode { G_REAL, G_VM86, G_PROT16, G_PROT, G_COMPAT, G_LONG, G_MODES };
static const char *const g_mode_name[G_MODES] = {"real",   "vm86",   "16-bit",
						 "32-bit", "compat", "64-bit"};

struct guest {
	struct loop *loop;
	struct vm *vm;
	struct ram *ram;
	uint8_t *image; /* what memory is to be at the start */
	struct vm_request request;
	bool requested;
	/* The trial. */
	enum g_mode mode;
	unsigned cpl;
	const uint8_t *code;
	size_t len;
	void (*tweak)(struct guest *g, struct x86_vcpu *s);
	uint64_t arg; /* for tweak */
};

/* How it ended. */
#define G_RAN	   0x100u /* to the HLT behind the instruction */
#define G_JUMPED   0x101u /* to G_STOP */
#define G_SHUTDOWN 0x102u
#define G_LOST	   0x103u
struct g_end {
	unsigned vector; /* or G_ */
	uint32_t error;
	uint64_t rip, cs, flags, rsp, ss; /* of the frame */
	bool broken;			  /* the accelerator gave up */
	struct x86_vcpu s;
};

static inline uint8_t *g_at(struct guest *g, uint64_t pa)
{
	return g->image + pa;
}

static inline void g_put(struct guest *g, uint64_t pa, uint64_t val, unsigned size)
{
	memcpy(g_at(g, pa), &val, size);
}

static inline uint64_t g_get(const struct guest *g, uint64_t pa, unsigned size)
{
	uint64_t val = 0;

	memcpy(&val, g->ram->host + pa, size);
	return val;
}

/* A descriptor: @attr as in struct x86_seg. */
static inline uint64_t g_desc(uint32_t base, uint32_t limit, uint32_t attr)
{
	if (attr & X86_SEG_G)
		limit >>= 12;
	return (limit & 0xffff) | (uint64_t)(base & 0xffffff) << 16 |
	       (uint64_t)(attr & 0xf0ff) << 40 | (uint64_t)(limit >> 16 & 15) << 48 |
	       (uint64_t)(base >> 24) << 56;
}

static inline uint64_t g_gate(uint16_t sel, uint32_t off, unsigned type, unsigned dpl)
{
	return (off & 0xffff) | (uint64_t)sel << 16 | (uint64_t)(0x80 | type | dpl << 5) << 40 |
	       (uint64_t)(off >> 16) << 48;
}

#define A_CODE32 0xc09bu
#define A_DATA32 0xc093u
#define A_CODE64 0xa09bu
#define A_CODE16 0x009bu
#define A_DATA16 0x0093u
#define A_DPL(n) ((uint32_t)(n) << 5)

static inline bool g_is_long(const struct guest *g)
{
	return g->mode >= G_COMPAT;
}

static inline void g_gdt_put(struct guest *g, unsigned sel, uint64_t d)
{
	g_put(g, G_GDT + sel, d, 8);
}

static void g_tables(struct guest *g)
{
	bool lma = g_is_long(g);
	uint16_t kernel = lma ? S_CODE64 : S_CODE;
	uint32_t conf = lma ? A_CODE64 : A_CODE32;

	g_gdt_put(g, S_CODE, g_desc(0, ~0u, A_CODE32));
	g_gdt_put(g, S_DATA, g_desc(0, ~0u, A_DATA32));
	g_gdt_put(g, S_CODE64, g_desc(0, ~0u, A_CODE64));
	g_gdt_put(g, S_UCODE, g_desc(0, ~0u, A_CODE32 | A_DPL(3)));
	g_gdt_put(g, S_UDATA, g_desc(0, ~0u, A_DATA32 | A_DPL(3)));
	g_gdt_put(g, S_UCODE64, g_desc(0, ~0u, A_CODE64 | A_DPL(3)));
	g_gdt_put(g, S_TSS, g_desc(G_TSS, 0x1ff, 0x8b));
	g_gdt_put(g, S_LDT, g_desc(G_LDT, 0xff, 0x82));
	g_gdt_put(g, S_CONF, g_desc(0, ~0u, conf | 4));
	g_gdt_put(g, S_ABSENT, g_desc(0, ~0u, A_DATA32 & ~0x80u));
	g_gdt_put(g, S_RODATA, g_desc(0, ~0u, A_DATA32 & ~2u));
	g_gdt_put(g, S_CODE16, g_desc(0, 0xffff, A_CODE16));
	g_gdt_put(g, S_DATA16, g_desc(0, 0xffff, A_DATA16));
	g_gdt_put(g, S_GATE, g_gate(kernel, G_STOP, 12, 3));
	g_gdt_put(g, S_TASK, g_gate(S_TSS2, 0, 5, 3));
	g_gdt_put(g, S_TSS2, g_desc(G_TSS2, 0x67, 0x89 | A_DPL(3)));
	g_gdt_put(g, S_XONLY, g_desc(0, ~0u, A_CODE32 & ~2u));
	g_gdt_put(g, S_NOCODE, g_desc(0, ~0u, conf & ~0x80u));
	g_gdt_put(g, S_DATA1, g_desc(0, ~0u, A_DATA32 | A_DPL(1)));
	g_gdt_put(g, S_GATE0, g_gate(kernel, G_STOP, 12, 0));
	g_gdt_put(g, S_DOWN, g_desc(0, 0x7fff, 0x4097));
	g_gdt_put(g, S_FRESH, g_desc(0, ~0u, (A_DATA32 | A_DPL(3)) & ~1u));
	g_gdt_put(g, S_RING1, g_desc(0, ~0u, conf | A_DPL(1)));
}

static void g_idt(struct guest *g)
{
	for (unsigned n = 0; n < 256; n++) {
		uint32_t at = G_HLTS + 16 * n;

		g_put(g, at, 0xf4, 1);
		if (g->mode == G_REAL)
			g_put(g, n * 4, at, 4);
		else if (g_is_long(g))
			g_put(g, G_IDT + 16 * n, g_gate(S_CODE64, at, 14, 3), 8);
		else
			g_put(g, G_IDT + 8 * n, g_gate(S_CODE, at, 14, 3), 8);
	}
	if (g->mode == G_VM86) /* the 8086 program's own */
		for (unsigned n = 0; n < 256; n++)
			g_put(g, n * 4, G_STOP, 4);
}

/* The TSS that runs, and a 32-bit one to switch to. */
static void g_tss(struct guest *g)
{
	if (g_is_long(g)) {
		g_put(g, G_TSS + 4, G_STACK0, 8);
		g_put(g, G_TSS + 12, G_STACK1, 8);
		g_put(g, G_TSS + 36, G_IST, 8);
	} else {
		g_put(g, G_TSS + 4, G_STACK0, 4);
		g_put(g, G_TSS + 8, S_DATA, 4);
		g_put(g, G_TSS + 12, G_STACK1, 4);
		g_put(g, G_TSS + 16, S_DATA1 | 1, 4);
		g_put(g, G_TSS + 0x66, 0x88, 2); /* I/O map: above the redirection map */
		memset(g_at(g, G_TSS + 0x88), 0xff, 0x100);
	}
	g_put(g, G_TSS2 + 28, 0, 4);
	g_put(g, G_TSS2 + 32, G_STOP, 4);
	g_put(g, G_TSS2 + 36, 2, 4);
	for (unsigned n = 0; n < 8; n++)
		g_put(g, G_TSS2 + 40 + 4 * n, 0x11110000 + n, 4);
	g_put(g, G_TSS2 + 56, G_STACK1, 4);
	for (unsigned n = 0; n < 6; n++)
		g_put(g, G_TSS2 + 72 + 4 * n, n == 1 ? S_CODE : S_DATA, 4);
}

/* Identity: the first GiB, for users too. */
static void g_paging(struct guest *g, struct x86_vcpu *s)
{
	g_put(g, G_TABLES, (G_TABLES + 0x1000) | 7, 8);
	g_put(g, G_TABLES + 0x1000, (G_TABLES + 0x2000) | 7, 8);
	g_put(g, G_TABLES + 0x2000, (G_TABLES + 0x3000) | 7, 8);
	for (unsigned n = 0; n < 256; n++)
		g_put(g, G_TABLES + 0x3000 + 8 * n, n * 0x1000 | 7, 8);
	s->cr3 = G_TABLES;
	s->cr4 |= X86_CR4_PAE;
	s->efer |= X86_EFER_LME | X86_EFER_LMA | X86_EFER_SCE;
	s->cr0 |= X86_CR0_PG;
}

static void g_segments(struct guest *g, struct x86_vcpu *s)
{
	unsigned cpl = g->cpl;
	uint16_t code = cpl ? S_UCODE : S_CODE, data = cpl ? S_UDATA : S_DATA;
	uint32_t code_attr = A_CODE32, data_attr = A_DATA32, limit = ~0u;

	if (g->mode == G_PROT16) {
		code_attr = A_CODE16;
		data_attr = A_DATA16;
		limit = 0xffff;
		code = S_CODE16;
		data = S_DATA16;
	} else if (g->mode == G_LONG) {
		code_attr = A_CODE64;
		code = cpl ? S_UCODE64 : S_CODE64;
	}
	for (unsigned n = X86_ES; n <= X86_GS; n++)
		x86_seg_set(&s->seg[n], (uint16_t)(data | cpl), 0, limit, data_attr | A_DPL(cpl));
	x86_seg_set(&s->seg[X86_CS], (uint16_t)(code | cpl), 0, limit, code_attr | A_DPL(cpl));
}

static void g_state(struct guest *g, struct x86_vcpu *s)
{
	s->rip = G_CODE;
	s->rflags = 2;
	for (unsigned n = 0; n < 16; n++)
		s->gpr[n] = 0x01010101 * n;
	s->gpr[X86_RSP] = G_STACK - 0x80;
	s->gpr[X86_RBX] = s->gpr[X86_RDI] = G_DATA; /* [ebx], and [bp+di] */
	s->gpr[X86_RBP] = 0;
	s->cr0 = X86_CR0_ET | X86_CR0_NE;
	if (g->mode == G_REAL) {
		for (unsigned n = X86_ES; n <= X86_GS; n++)
			x86_seg_set(&s->seg[n], 0, 0, 0xffff, n == X86_CS ? 0x9b : 0x93);
		return;
	}
	s->cr0 |= X86_CR0_PE;
	s->gdt = (struct x86_table){G_GDT, G_GDT_LIMIT};
	s->idt = (struct x86_table){G_IDT, 0xfff};
	x86_seg_set(&s->seg[X86_TR], S_TSS, G_TSS, 0x1ff, 0x8b);
	x86_seg_set(&s->seg[X86_LDTR], S_LDT, G_LDT, 0xff, 0x82);
	if (g->mode == G_VM86) {
		s->rflags |= X86_FLAGS_VM;
		for (unsigned n = X86_ES; n <= X86_GS; n++)
			x86_seg_set(&s->seg[n], 0, 0, 0xffff, 0xf3);
		return;
	}
	g_segments(g, s);
	if (g_is_long(g))
		g_paging(g, s);
}

static int g_board_reset(struct vm *vm, struct err *e)
{
	struct guest *g = vm->board;
	struct x86_vcpu *s = vm->vcpus[0].state;

	memset(g->image, 0, G_RAM);
	g_tables(g);
	g_idt(g);
	g_tss(g);
	memcpy(g_at(g, G_CODE), g->code, g->len);
	g_put(g, G_CODE + g->len, 0xf4, 1);
	g_put(g, G_STOP, 0xf4, 1);
	g_state(g, s);
	if (g->tweak)
		g->tweak(g, s);
	if (as_load(&vm->mem, 0, g->image, G_RAM) != IO_OK)
		return err_set(e, -EFAULT, "the guest does not fit");
	return 0;
}

static void g_request(struct vm *vm, const struct vm_request *req, void *arg)
{
	struct guest *g = arg;

	(void)vm;
	g->request = *req;
	g->requested = true;
}

static void g_check(int rc, const struct err *e)
{
	if (rc)
		fail_msg("%s", e->msg);
}

static void g_init(struct guest *g, const struct accel_ops *accel)
{
	struct err e = ERR_INIT;
	struct vm_options o = {.name = "guest", .arch = &arch_x86, .accel = accel, .n_vcpus = 1};

	memset(g, 0, sizeof(*g));
	g->image = malloc(G_RAM);
	assert_non_null(g->image);
	g->loop = o.loop = loop_new(&e);
	assert_non_null(g->loop);
	g_check(vm_new(&o, &g->vm, &e), &e);
	g->vm->board = g;
	g->vm->board_reset = g_board_reset;
	g->vm->on_request = g_request;
	g->vm->on_request_arg = g;
	g_check(ram_new(g->vm, "ram", G_RAM, RAM_ANON, &g->ram, &e), &e);
	g_check(as_map_ram(&g->vm->mem, 0, g->ram, 0, G_RAM, &e), &e);
	if (accel == &accel_bt)
		g_check(accel->irqchip_init(g->vm, IRQCHIP_USER, &e), &e);
	g_check(vm_start_vcpus(g->vm, &e), &e);
}

static void g_exit(struct guest *g)
{
	vm_free(g->vm);
	loop_free(g->loop);
	free(g->image);
}

static bool g_has_error(unsigned vector)
{
	return vector == 8 || (vector >= 10 && vector <= 14) || vector == 17;
}

/* The frame that the handler's stack holds. */
static void g_frame(const struct guest *g, struct g_end *end)
{
	uint64_t cs_base = end->s.seg[X86_SS].base, at = end->s.gpr[X86_RSP];
	bool lma = g_is_long(g), real = g->mode == G_REAL;
	unsigned size = lma ? 8 : real ? 2 : 4;

	at = real ? (at & 0xffff) + cs_base : lma ? at : (uint32_t)(at + cs_base);
	if (at > G_RAM - 64)
		return;
	if (g_has_error(end->vector) && !real) {
		end->error = (uint32_t)g_get(g, at, 4);
		at += size;
	}
	end->rip = g_get(g, at, size);
	end->cs = g_get(g, at + size, size) & 0xffff;
	end->flags = g_get(g, at + 2 * size, size);
	end->rsp = g_get(g, at + 3 * size, size);
	end->ss = g_get(g, at + 4 * size, size) & 0xffff;
}

static void g_judge(struct guest *g, struct g_end *end)
{
	uint64_t rip = end->s.rip - 1 + (g->mode == G_REAL ? end->s.seg[X86_CS].base : 0);

	if (g->request.event == VM_EVENT_CRASH) {
		end->vector = G_SHUTDOWN;
	} else if (g->request.event != VM_EVENT_OFF) {
		end->broken = true;
	} else if (rip == G_STOP) {
		end->vector = G_JUMPED;
	} else if (rip == G_CODE + g->len) {
		end->vector = G_RAN;
	} else if (rip - G_HLTS < 0x1000 && !((rip - G_HLTS) & 15)) {
		end->vector = (unsigned)(rip - G_HLTS) / 16;
		g_frame(g, end);
		/* HLT at an outer level. */
		if (end->vector == 13 && !end->error && end->cs & 3 && end->rip == G_CODE + g->len)
			end->vector = G_RAN;
		if (end->vector == 13 && !end->error && end->cs & 3 && end->rip == G_STOP)
			end->vector = G_JUMPED;
		if (end->vector == 13 && g->mode == G_VM86 && end->rip == G_CODE + g->len)
			end->vector = G_RAN;
		if (end->vector == 13 && g->mode == G_VM86 && end->rip == G_STOP)
			end->vector = G_JUMPED;
	}
}

/* Runs one trial. */
static struct g_end g_run(struct guest *g, enum g_mode mode, unsigned cpl, const uint8_t *code,
			  size_t len, void (*tweak)(struct guest *g, struct x86_vcpu *s))
{
	struct g_end end = {.vector = G_LOST};
	struct err e = ERR_INIT;
	uint64_t limit = sys_now_ns() + UINT64_C(20000000000);

	g->mode = mode;
	g->cpl = mode == G_VM86 ? 3 : cpl;
	g->code = code;
	g->len = len;
	g->tweak = tweak;
	g->requested = false;
	g_check(vm_reset(g->vm, &e), &e);
	vm_run(g->vm);
	while (!g->requested) {
		loop_step(g->loop, 100);
		if (sys_now_ns() > limit)
			fail_msg("the guest did not halt");
	}
	vm_pause(g->vm);
	g_check(vcpu_get_state(&g->vm->vcpus[0], &e), &e);
	end.s = *(struct x86_vcpu *)g->vm->vcpus[0].state;
	g_judge(g, &end);
	return end;
}

/*
 * A row of a table of trials: the same instruction in nine environments.  What shall become of it
 * is a word for each: "ran", "jumped", "off" (a triple fault), or an exception as VECTOR,
 * VECTOR:ERROR in hexadecimal, VECTOR@BYTES with the return address BYTES behind the instruction's
 * begin.  The last word stands for all that follow.
 */
struct g_case {
	const char *name;
	uint8_t code[12];
	uint8_t len;
	void (*tweak)(struct guest *g, struct x86_vcpu *s);
	uint64_t arg;
	const char *expect;
};
#define G_CASE(name, expect, tweak, arg, ...)                                                  \
	{                                                                                      \
		(name), {__VA_ARGS__}, sizeof((const uint8_t[]){__VA_ARGS__}), (tweak), (arg), \
			(expect)                                                               \
	}

static const struct {
	uint8_t mode, cpl;
} g_env[] = {{G_REAL, 0},   {G_VM86, 3},   {G_PROT16, 0}, {G_PROT, 0}, {G_PROT, 3},
	     {G_COMPAT, 0}, {G_COMPAT, 3}, {G_LONG, 0},	  {G_LONG, 3}};

static void g_describe(const struct g_end *end, char out[48])
{
	uint64_t behind = end->rip - G_CODE;
	int n;

	switch (end->vector) {
	case G_RAN: str_copy(out, 48, "ran"); return;
	case G_JUMPED: str_copy(out, 48, "jumped"); return;
	case G_SHUTDOWN: str_copy(out, 48, "off"); return;
	case G_LOST: str_copy(out, 48, "lost"); return;
	default: break;
	}
	n = snprintf(out, 48, "%u", end->vector);
	if (end->error)
		n += snprintf(out + n, 48 - (size_t)n, ":%x", end->error);
	if (behind)
		snprintf(out + n, 48 - (size_t)n, "@%llx", (unsigned long long)behind);
}

static inline void g_table(struct guest *g, const struct g_case *cases, size_t n)
{
	unsigned failed = 0;

	for (size_t i = 0; i < n; i++) {
		const struct g_case *k = &cases[i];
		const char *word = k->expect;

		for (size_t v = 0; v < ARRAY_LEN(g_env); v++) {
			size_t len = strcspn(word, " ");
			struct g_end end;
			char got[48];

			g->arg = k->arg;
			end = g_run(g, g_env[v].mode, g_env[v].cpl, k->code, k->len, k->tweak);
			g_describe(&end, got);
			if (strlen(got) != len || memcmp(got, word, len)) {
				printf("%s in %s at CPL %u: %s, not %.*s\n", k->name,
				       g_mode_name[g_env[v].mode], g_env[v].cpl, got, (int)len,
				       word);
				failed++;
			}
			if (word[len])
				word += len + 1;
		}
	}
	assert_int_equal(failed, 0);
}

/* Common changes of the first state. */
static inline void g_eax(struct guest *g, struct x86_vcpu *s)
{
	s->gpr[X86_RAX] = g->arg;
}
static inline void g_flags(struct guest *g, struct x86_vcpu *s)
{
	s->rflags |= g->arg;
}
static inline unsigned g_osize(const struct guest *g)
{
	return g->mode == G_PROT16 || g->mode <= G_VM86 ? 2 : 4;
}

#endif
