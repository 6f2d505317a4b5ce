/*
 * accel/bt/host/x87.c - x87 and what MMX does to it.
 */
#include <string.h>

#include "accel/bt/exec/vec.h"
#include "accel/bt/host/host.h"
#include "accel/bt/mmu.h"

/* The FXSAVE64 image (SDM 1 table 10-2). */
#define FX_FCW	0
#define FX_FSW	2
#define FX_FTW	4
#define FX_REGS 32

#define FSW_TOP(w) ((w) >> 11 & 7u)

static uint16_t get16(const struct bt_cpu *c, unsigned at)
{
	uint16_t v;

	memcpy(&v, c->ext.fx + at, sizeof(v));
	return v;
}

static void set16(struct bt_cpu *c, unsigned at, uint16_t v)
{
	memcpy(c->ext.fx + at, &v, sizeof(v));
}

bool x87_pending(const struct bt_cpu *c)
{
	return get16(c, FX_FSW) & ~get16(c, FX_FCW) & 0x3f;
}

void x87_check(struct bt_cpu *c)
{
	if (x87_pending(c) && c->cr0 & X86_CR0_NE)
		bt_raise(c, X86_MF);
}

/* Registers lie in the image as ST(0) to ST(7): with another TOP they move. */
static void set_top(struct bt_cpu *c, unsigned top)
{
	const uint16_t fsw = get16(c, FX_FSW);
	const unsigned by = (top - FSW_TOP(fsw)) & 7u;
	uint8_t regs[8][16];

	if (!by)
		return;
	memcpy(regs, c->ext.fx + FX_REGS, sizeof(regs));
	for (unsigned n = 0; n < 8; n++)
		memcpy(c->ext.fx + FX_REGS + n * 16, regs[(n + by) & 7], 16);
	set16(c, FX_FSW, (uint16_t)((fsw & ~0x3800u) | top << 11));
}

void x87_to_mmx(struct bt_cpu *c)
{
	set_top(c, 0);
	c->ext.fx[FX_FTW] = 0xff;
}
