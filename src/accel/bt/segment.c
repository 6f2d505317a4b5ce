/*
 * accel/bt/segment.c - segment checks where a segment is not flat (SDM 3A §5.3 to §5.6).
 */
#include "accel/bt/mmu.h"

#define SEG_CODE	8u /* in the type of a code or data segment */
#define SEG_EXPAND_DOWN 4u
#define SEG_RW		2u /* writable data, readable code */

static _Noreturn void refuse(struct bt_cpu *c, unsigned seg)
{
	bt_raise_err(c, seg == X86_SS ? X86_SS_FAULT : X86_GP, 0);
}

/* Does the type allow it?  In real and virtual-8086 mode every segment is readable and writable. */
static bool type_allows(const struct x86_seg *s, enum bt_access access)
{
	unsigned type = X86_SEG_TYPE(s->attr);

	if (!(s->attr & X86_SEG_P) || !(s->attr & X86_SEG_S) || (s->attr & X86_SEG_UNUSABLE))
		return false;
	if (type & SEG_CODE)
		return !(access & BT_WRITE) && (type & SEG_RW);
	return !(access & BT_WRITE) || (type & SEG_RW);
}

static bool in_limit(const struct x86_seg *s, uint64_t ea, unsigned n)
{
	uint64_t last = ea + n - 1;

	if ((X86_SEG_TYPE(s->attr) & (SEG_CODE | SEG_EXPAND_DOWN)) == SEG_EXPAND_DOWN)
		return ea > s->limit && last <= (s->attr & X86_SEG_DB ? 0xffffffff : 0xffff);
	/* A segment of 4 GiB has no end: addresses wrap, as they do where it is flat. */
	return last <= s->limit || s->limit == 0xffffffff;
}

uint64_t bt_seg_check(struct bt_cpu *c, unsigned seg, uint64_t ea, unsigned n,
		      enum bt_access access)
{
	const struct x86_seg *s = &c->seg[seg];

	if (c->mode.code == 8)
		return ea + c->seg_base[seg];
	ea = (uint32_t)ea;
	if (n) {
		if (c->mode.prot && !c->mode.vm86 && !type_allows(s, access))
			refuse(c, seg);
		if (!in_limit(s, ea, n))
			refuse(c, seg);
	}
	return (uint32_t)(ea + s->base);
}
