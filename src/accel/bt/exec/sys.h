/*
 * accel/bt/exec/sys.h - what the system meanings and the delivery of events share: flag and control
 * register bits, descriptors, stacks of far transfers.
 */
#ifndef LODGE_ACCEL_BT_EXEC_SYS_H
#define LODGE_ACCEL_BT_EXEC_SYS_H

#include "accel/bt/event.h"
#include "accel/bt/flags.h"
#include "accel/bt/mmu.h"

/* RFLAGS beyond the arithmetic ones (SDM 1 §3.4.3). */
#define EF_TF	 0x100u
#define EF_IF	 0x200u
#define EF_IOPL	 0x3000u
#define EF_NT	 0x4000u
#define EF_RF	 0x10000u
#define EF_VM	 0x20000u
#define EF_AC	 0x40000u
#define EF_VIF	 0x80000u
#define EF_VIP	 0x100000u
#define EF_ID	 0x200000u
#define EF_KNOWN 0x3f7fd5u /* all that can be 1 but for the fixed bit 1 */

/* CR4 (SDM 3A §2.5), all that this CPU knows. */
#define CR4_VME	     (1u << 0)
#define CR4_PVI	     (1u << 1)
#define CR4_TSD	     (1u << 2)
#define CR4_DE	     (1u << 3)
#define CR4_PCE	     (1u << 8)
#define CR4_MCE	     (1u << 6)
#define CR4_UMIP     (1u << 11)
#define CR4_FSGSBASE (1u << 16)
#define CR4_PCIDE    (1u << 17)
#define CR4_SMEP     (1u << 20)
#define CR4_SMAP     (1u << 21)
#define CR4_PKE	     (1u << 22)

#define DR6_B	   0xfu
#define DR6_BD	   (1u << 13)
#define DR6_BS	   (1u << 14)
#define DR6_BT	   (1u << 15)
#define DR6_FIXED1 0xffff0ff0u
#define DR7_GD	   (1u << 13)
#define DR7_FIXED1 0x400u

/* EFER beyond defs.h (APM 2 §3.1.7). */
#define EFER_FFXSR    (1u << 14)
#define EFER_AUTOIBRS (1u << 21)

static inline unsigned iopl(const struct bt_cpu *c)
{
	return (unsigned)(c->rflags >> 12 & 3);
}

/* 64-bit mode, not compatibility mode. */
static inline bool in_long(const struct bt_cpu *c)
{
	return c->mode.code == 8;
}

/* Bits above the width of linear addresses equal its top bit (SDM 1 §3.3.7.1). */
static inline bool canonical(const struct bt_cpu *c, uint64_t la)
{
	unsigned shift = c->cr4 & X86_CR4_LA57 ? 7 : 16;

	return (uint64_t)((int64_t)(la << shift) >> shift) == la;
}

static inline uint64_t next_rip(const struct bt_cpu *c, const struct insn *i)
{
	uint64_t next = c->rip + i->len;

	return c->mode.code == 8 ? next : (uint32_t)next;
}

/* For meanings whose row may or may not end the block: the loop steps over those that do not. */
static inline void step_over(struct bt_cpu *c, const struct insn *i)
{
	if (insn_table[i->row].attr & A_END)
		c->rip = next_rip(c, i);
}

static inline void need_cpl0(struct bt_cpu *c)
{
	if (c->mode.cpl)
		bt_gp0(c);
}

static inline uint64_t mask_of(unsigned size)
{
	return size >= 8 ? UINT64_MAX : (UINT64_C(1) << (8 * size)) - 1;
}

/* General register @r as @size bytes, and a write of it: 32 bits zero the rest, 16 and 8 do not. */
static inline uint64_t reg_get(const struct bt_cpu *c, unsigned r, unsigned size)
{
	return c->gpr[r] & mask_of(size);
}

static inline void reg_set(struct bt_cpu *c, unsigned r, uint64_t val, unsigned size)
{
	if (size >= 4)
		c->gpr[r] = val & mask_of(size);
	else
		c->gpr[r] = (c->gpr[r] & ~mask_of(size)) | (val & mask_of(size));
}

/* An operand in a register or in memory. */
static inline uint64_t rm_get(struct bt_cpu *c, const struct insn *i, const struct insn_op *o,
			      unsigned size)
{
	if (o->kind == OP_REG)
		return reg_get(c, o->reg, size);
	return bt_ld(c, bt_la(c, i, size, BT_READ), size);
}

/* Descriptors (SDM 3A §3.4.5, §3.5). -------------------------------------------------------- */

struct desc {
	uint64_t raw, high; /* high: the second half of a system descriptor of long mode */
	uint64_t la;	    /* where it lies */
	uint16_t sel;
};

enum desc_type {
	DESC_TSS16 = 1,
	DESC_LDT = 2,
	DESC_TSS16_BUSY = 3,
	DESC_CALL16 = 4,
	DESC_TASK = 5,
	DESC_INT16 = 6,
	DESC_TRAP16 = 7,
	DESC_TSS = 9,
	DESC_TSS_BUSY = 11,
	DESC_CALL = 12,
	DESC_INT = 14,
	DESC_TRAP = 15,
};
/* Types of code and data. */
#define SEG_ACCESSED   1u
#define SEG_WRITABLE   2u /* data; code: readable */
#define SEG_DOWN       4u /* data: expands down; code: conforming */
#define SEG_CODE       8u
#define SEG_CONFORMING SEG_DOWN

static inline unsigned desc_type(uint64_t d)
{
	return (unsigned)(d >> 40 & 0xf);
}
static inline bool desc_s(uint64_t d)
{
	return d >> 44 & 1;
}
static inline unsigned desc_dpl(uint64_t d)
{
	return (unsigned)(d >> 45 & 3);
}
static inline bool desc_p(uint64_t d)
{
	return d >> 47 & 1;
}
static inline bool desc_l(uint64_t d)
{
	return d >> 53 & 1;
}
static inline bool desc_db(uint64_t d)
{
	return d >> 54 & 1;
}
static inline uint32_t desc_base(uint64_t d)
{
	return (uint32_t)((d >> 16 & 0xffffff) | (d >> 56 & 0xff) << 24);
}
static inline uint32_t desc_limit(uint64_t d)
{
	uint32_t limit = (uint32_t)((d & 0xffff) | (d >> 32 & 0xf0000));

	return d >> 55 & 1 ? limit << 12 | 0xfff : limit;
}
static inline bool desc_is_code(uint64_t d)
{
	return desc_s(d) && (desc_type(d) & SEG_CODE);
}
static inline bool desc_is_writable_data(uint64_t d)
{
	return desc_s(d) && (desc_type(d) & (SEG_CODE | SEG_WRITABLE)) == SEG_WRITABLE;
}
/* Of gates. */
static inline uint16_t gate_sel(uint64_t d)
{
	return (uint16_t)(d >> 16);
}
static inline uint32_t gate_offset(uint64_t d)
{
	return (uint32_t)((d & 0xffff) | (d >> 32 & 0xffff0000));
}

static inline uint32_t sel_error(uint16_t sel)
{
	return sel & 0xfffcu;
}
static inline bool sel_null(uint16_t sel)
{
	return !(sel & 0xfffc);
}

/* The eight bytes that @sel selects; beyond the table's limit, or no LDT: @fault(sel). */
void desc_read(struct bt_cpu *c, uint16_t sel, enum bt_vector fault, struct desc *d);
/* As desc_read without a fault: false. */
bool desc_peek(struct bt_cpu *c, uint16_t sel, struct desc *d);
/* The other half of a 16-byte descriptor; @fault(sel) if it is beyond the limit or not one. */
void desc_read_high(struct bt_cpu *c, enum bt_vector fault, struct desc *d);
/* Sets bits of the type byte in memory, atomically, if one of them is clear. */
void desc_or_type(struct bt_cpu *c, struct desc *d, unsigned bits);
/* Clears or sets the busy bit of a TSS descriptor. */
void desc_busy(struct bt_cpu *c, uint64_t la, bool busy);
/* Fills the hidden part of a segment register from a descriptor. */
void seg_fill(struct x86_seg *s, uint16_t sel, uint64_t d);
void seg_null(struct x86_seg *s, uint16_t sel);
/* As real mode and virtual-8086 mode load it. */
void seg_real(struct bt_cpu *c, unsigned seg, uint16_t sel);
/* On the way to an outer level: makes data segments null that it cannot have (SDM 2B RET). */
void seg_drop_inner(struct bt_cpu *c, unsigned cpl);
/* After a change of c->seg[@seg] that is not CS. */
void seg_changed(struct bt_cpu *c, unsigned seg);
/* Are the @n bytes at @off within the limit of @s? */
bool seg_within(const struct x86_seg *s, uint32_t off, unsigned n);

/* #GP(0) if @rip lies outside of @cs, or is not canonical in 64-bit code. */
void cs_check_rip(struct bt_cpu *c, const struct x86_seg *cs, uint64_t rip);
/* Sets CS and rip, and all that depends on them; the accessed bit is set already. */
void cs_commit(struct bt_cpu *c, const struct x86_seg *cs, uint64_t rip);

/* The code segment that a return pops: checked.  far.c, as the two that follow. */
void ret_code(struct bt_cpu *c, uint16_t sel, struct desc *d);
/* And its stack segment, with what SS becomes. */
void ret_stack(struct bt_cpu *c, uint16_t sel, const struct desc *cs, struct x86_seg *ss);
/* rSP on the way to @ss: 16 bits of it if that is a 16-bit stack. */
void ret_set_sp(struct bt_cpu *c, const struct x86_seg *ss, bool cs_long, uint64_t sp);

/* Stacks of far transfers. ------------------------------------------------------------------ */

struct stack {
	struct x86_seg ss;
	uint64_t sp, mask; /* the whole register, and the part of it that counts */
	uint32_t error;	   /* of #SS */
	bool user;
};

/* The present one. */
void stack_current(const struct bt_cpu *c, struct stack *s);
/* Mask by the segment: outside 64-bit mode by its B bit. */
void stack_set_mask(struct stack *s, bool long_mode);
/* Room for @count pushes of @size: #SS, #PF. */
void stack_room(struct bt_cpu *c, const struct stack *s, unsigned count, unsigned size);
void stack_push(struct bt_cpu *c, struct stack *s, uint64_t val, unsigned size);
uint64_t stack_pop(struct bt_cpu *c, struct stack *s, unsigned size);
/* The @size bytes that lie @at bytes from the top, without moving. */
uint64_t stack_peek(struct bt_cpu *c, const struct stack *s, unsigned at, unsigned size);
/* rSP up by @n bytes, or down. */
void stack_drop(struct stack *s, int n);
/*
 * The stack of inner privilege @cpl from the TSS (SDM 3A §5.8.5), checked: #TS, #SS.  In long mode
 * SS is null and @ist, if not 0, picks the entry.
 */
void stack_inner(struct bt_cpu *c, unsigned cpl, unsigned ist, struct stack *s);

/* What CPUID says of this guest CPU, as the tables have it. */
enum cpuid_reg { CPUID_EAX, CPUID_EBX, CPUID_ECX, CPUID_EDX };
bool cpu_has(const struct bt_cpu *c, uint32_t leaf, uint32_t subleaf, enum cpuid_reg reg,
	     unsigned bit);
bool cpu_is_amd(const struct bt_cpu *c);
/* The bits of CR4 and EFER that this guest CPU has, and the values of XCR0. */
uint64_t cr4_known(const struct bt_cpu *c);
uint64_t efer_known(const struct bt_cpu *c);
bool xcr0_valid(const struct bt_cpu *c, uint64_t val);
/* MOV to debug register @n, 0 to 3, 6 or 7. */
void dr_set(struct bt_cpu *c, unsigned n, uint64_t val);

/*
 * Task switch (task.c) to the TSS that @sel selects, with all checks of its descriptor but those
 * of privilege.  Faults in the new task's segments are raised in the new task.
 */
enum task_why { TASK_JMP, TASK_CALL, TASK_INT, TASK_IRET };
struct task_args {
	enum task_why why;
	bool has_error; /* push @error on the new stack */
	uint32_t error;
	uint64_t rip, flags; /* for the old TSS */
};
void task_switch(struct bt_cpu *c, uint16_t sel, const struct task_args *a);

/* Events with the return address given; c->rip stays at the instruction until all is done. */
void event_deliver(struct bt_cpu *c, enum bt_event_kind kind, unsigned vector, bool has_error,
		   uint32_t error, uint64_t rip);

/* The meanings of this room. */
insn_exec exec_pushf, exec_popf, exec_cli, exec_sti, exec_hlt, exec_int, exec_int1, exec_int3,
	exec_into, exec_iret, exec_jmpf, exec_callf, exec_retf, exec_syscall, exec_sysret,
	exec_sysenter, exec_sysexit, exec_mov_sreg, exec_push_sreg, exec_pop_sreg, exec_lxs,
	exec_mov_cr, exec_mov_dr, exec_lgdt, exec_lidt, exec_sgdt, exec_sidt, exec_lldt, exec_sldt,
	exec_ltr, exec_str, exec_lmsw, exec_smsw, exec_clts, exec_invd, exec_wbinvd, exec_invlpg,
	exec_invpcid, exec_lar, exec_lsl, exec_verr, exec_verw, exec_arpl, exec_rdmsr, exec_wrmsr,
	exec_rdtsc, exec_rdtscp, exec_rdpmc, exec_rdpid, exec_cpuid, exec_monitor, exec_mwait,
	exec_swapgs, exec_fsgsbase, exec_xgetbv, exec_xsetbv, exec_clac, exec_rsm, exec_vmcall,
	exec_serialize;

#endif
