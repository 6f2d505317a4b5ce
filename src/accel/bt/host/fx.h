/*
 * accel/bt/host/fx.h - the FXSAVE64 image in struct bt_ext: where x87's registers are in it (SDM 1
 * table 10-2).
 *
 * Registers lie in it as ST(0) to ST(7), tags by physical register, one bit each: not empty.  FCW
 * and FSW in it are always such as the host would store them: reserved bits fixed, ES and B as
 * flags and masks make them.  The image's MXCSR and XMM fields are not the guest's.
 */
#ifndef LODGE_ACCEL_BT_HOST_FX_H
#define LODGE_ACCEL_BT_HOST_FX_H

#include <string.h>

#include "accel/bt/bt.h"

#define FX_FCW	 0u
#define FX_FSW	 2u
#define FX_FTW	 4u /* one byte */
#define FX_FOP	 6u
#define FX_FIP	 8u
#define FX_FDP	 16u
#define FX_MXCSR 24u
#define FX_MASK	 28u
#define FX_ST	 32u
#define FX_XMM	 160u

#define FSW_FLAGS  0x3fu
#define FSW_ES	   0x8080u /* ES, and B that follows it */
#define FSW_TOP(w) ((w) >> 11 & 7u)
#define FCW_INIT   0x37fu

static inline uint16_t fx_get16(const struct bt_cpu *c, unsigned at)
{
	uint16_t v;

	memcpy(&v, c->ext.fx + at, sizeof(v));
	return v;
}

static inline void fx_set16(struct bt_cpu *c, unsigned at, unsigned v)
{
	const uint16_t w = (uint16_t)v;

	memcpy(c->ext.fx + at, &w, sizeof(w));
}

static inline uint64_t fx_get64(const struct bt_cpu *c, unsigned at)
{
	uint64_t v;

	memcpy(&v, c->ext.fx + at, sizeof(v));
	return v;
}

static inline void fx_set64(struct bt_cpu *c, unsigned at, uint64_t v)
{
	memcpy(c->ext.fx + at, &v, sizeof(v));
}

/* x87.c: FCW and FSW as the CPU would keep what is in the image. */
void fx_normalize(struct bt_cpu *c);

#endif
