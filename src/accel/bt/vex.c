/*
 * accel/bt/vex.c - VEX and EVEX prefixes and their rules (SDM 2A §2.3, §2.7).
 */
#include "accel/bt/dec.h"

/* W, vvvv, L and pp: the last byte of VEX, and two of EVEX. */
static void take_fields(struct dec *d, unsigned w_vvvv_pp, unsigned ll)
{
	d->w = w_vvvv_pp & 0x80;
	d->i->vvvv = ~w_vvvv_pp >> 3 & 15;
	d->ll = (uint8_t)ll;
	d->pfx = w_vvvv_pp & 3; /* as 66, F3, F2 are numbered */
	d->wl = (uint8_t)((d->w ? W_1 : W_0) | L_0 << ll);
	d->i->vl = (uint8_t)(16u << ll);
}

static int take_vex(struct dec *d)
{
	bool three = *d->p++ == 0xc4;
	uint8_t b;

	d->i->vex = 1;
	d->map = MAP_V0F;
	if (!dec_has(d, 1))
		return dec_out_of_bytes(d, DEC_SHORT_ELSEWHERE);
	b = *d->p++;
	d->r = b & 0x80 ? 0 : 8;
	if (!three) {
		take_fields(d, b & 0x7fu, b >> 2 & 1);
		return 0;
	}
	d->x = b & 0x40 ? 0 : 8;
	d->b = b & 0x20 ? 0 : 8;
	if (!(b & 31) || (b & 31) > 3)
		return INSN_INVALID;
	d->map = (uint8_t)(MAP_V0F + (b & 31) - 1);
	if (!dec_has(d, 1))
		return dec_out_of_bytes(d, DEC_SHORT_ELSEWHERE);
	b = *d->p++;
	take_fields(d, b, b >> 2 & 1);
	return 0;
}

static int take_evex(struct dec *d)
{
	struct insn *i = d->i;
	uint8_t p0, p1, p2;

	d->p++;
	i->evex = 1;
	if (!dec_has(d, 1))
		return dec_out_of_bytes(d, DEC_SHORT_ELSEWHERE);
	p0 = *d->p++;
	if (p0 & 0x0c || !(p0 & 3))
		return INSN_INVALID;
	if (!dec_has(d, 1))
		return dec_out_of_bytes(d, DEC_SHORT_ELSEWHERE);
	p1 = *d->p++;
	if (!(p1 & 4))
		return INSN_INVALID;
	if (!dec_has(d, 1))
		return dec_out_of_bytes(d, DEC_SHORT_ELSEWHERE);
	p2 = *d->p++;
	d->map = (uint8_t)(MAP_E0F + (p0 & 3) - 1);
	d->r = p0 & 0x80 ? 0 : 8;
	d->x = p0 & 0x40 ? 0 : 8;
	d->b = p0 & 0x20 ? 0 : 8;
	d->r2 = p0 & 0x10 ? 0 : 16;
	take_fields(d, p1, p2 >> 5 & 3);
	d->v2 = p2 & 8 ? 0 : 16;
	i->evex_z = (p2 & 0x80) != 0;
	i->evex_b = (p2 & 0x10) != 0;
	i->mask = p2 & 7;
	return 0;
}

int dec_vector_prefix(struct dec *d, bool *was)
{
	const struct insn *i = d->i;

	*was = false;
	if (i->mode != 8) {
		/* VEX and EVEX are what would be LES, LDS and BOUND with a register. */
		if (!dec_has(d, 2))
			return dec_out_of_bytes(d, DEC_SHORT_ELSEWHERE);
		if (d->p[1] < 0xc0)
			return 0;
	}
	if (i->prefixes & (INSN_66 | INSN_REP | INSN_REPNE | INSN_LOCK | INSN_REX))
		return INSN_INVALID;
	*was = true;
	return *d->p == 0x62 ? take_evex(d) : take_vex(d);
}

static bool evex_fits(struct dec *d)
{
	struct insn *i = d->i;
	uint32_t attr = d->row->attr;
	bool rr = i->modrm >= 0xc0;

	if (i->mask ? !(attr & A_MASK) : (attr & A_NOK0) != 0 || i->evex_z)
		return false;
	if (i->evex_z && (!(attr & A_ZERO) || (!rr && d->row->ops[0].where == AT_VRM)))
		return false;
	if (!i->evex_b)
		return d->ll != 3;
	if (!(attr & (rr ? A_ER | A_SAE : A_BC32 | A_BC64)))
		return false;
	if (!rr)
		return d->ll != 3;
	i->rounding = d->ll & 3;
	i->vl = d->row->wl & L_2 ? 64 : 16;
	return true;
}

bool dec_vector_fits(struct dec *d)
{
	struct insn *i = d->i;
	unsigned need = d->form->need;

	if (!(need & FORM_VVVV) && (i->vvvv || (d->v2 && !(need & FORM_VSIB))))
		return false;
	if (i->mode != 8) {
		/* Of the register extensions only V' is looked at. */
		if (d->v2)
			return false;
		i->vvvv &= 7;
		d->b = d->r2 = 0;
	}
	if (i->evex && !evex_fits(d))
		return false;
	if (need & FORM_VVVV)
		i->vvvv |= d->v2;
	if (need & FORM_KREG && (d->r || d->r2))
		return false;
	if (need & FORM_GREG && d->r2)
		return false;
	return !(need & FORM_VSIB) || ((i->modrm & 7) == 4 && i->asize != 2);
}

bool dec_gather_fits(const struct dec *d)
{
	const struct insn *i = d->i;

	if (i->op[0].kind == OP_MEM) /* a scatter */
		return true;
	if (i->op[0].reg == i->index)
		return false;
	return i->evex || (i->vvvv != i->index && i->vvvv != i->op[0].reg);
}
