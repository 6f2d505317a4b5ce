/*
 * accel/bt/exec/xsave.c - FXSAVE, XSAVE and their like, MXCSR, and the XSAVE image of the vCPU's
 * state (SDM 1 §10.5, §13).
 *
 * Offsets and sizes in the standard format are the host's (CPUID leaf 0xd), so that an image means
 * the same to every accelerator on this host; the guest is shown the same leaf.  There are no
 * supervisor components: IA32_XSS is 0, XSAVES and XRSTORS differ from XSAVEC and XRSTOR only as
 * the manual says they do then.
 *
 * Outside 64-bit mode there are eight vector registers: what memory or registers hold of the others
 * is left alone.
 */
#include <cpuid.h>
#include <errno.h>
#include <pthread.h>
#include <string.h>

#include "accel/bt/exec.h"
#include "accel/bt/host/fx.h"
#include "accel/bt/mmu.h"
#include "accel/bt/pure.h"

enum component { X87, SSE, AVX, OPMASK = 5, ZMM_HI, ZMM_16, PKRU = 9, COMPONENTS };

#define HEADER	 512u
#define EXTENDED 576u
#define COMPACT	 (UINT64_C(1) << 63)
#define AREA_MAX 4096u
#define BIT(n)	 (UINT64_C(1) << (n))

static inline uint32_t get_le32(const uint8_t *p)
{
	uint32_t v;

	memcpy(&v, p, sizeof(v));
	return v;
}

static inline uint64_t get_le64(const uint8_t *p)
{
	uint64_t v;

	memcpy(&v, p, sizeof(v));
	return v;
}

static inline void put_le64(uint8_t *p, uint64_t v)
{
	memcpy(p, &v, sizeof(v));
}

/* Layout: the components this CPU knows, where the host has them. ----------------------------- */

static struct {
	uint16_t offset, size;
	bool align; /* to 64 bytes, in the compacted format */
} layout[COMPONENTS];
static uint32_t mxcsr_mask;
static uint64_t known; /* components */
static pthread_once_t once = PTHREAD_ONCE_INIT;

static void look(void)
{
	static const uint16_t sizes[COMPONENTS] = {
		[AVX] = 256, [OPMASK] = 64, [ZMM_HI] = 512, [ZMM_16] = 1024, [PKRU] = 8};
	_Alignas(16) uint8_t fx[512];
	uint32_t a, b, cx, d;

	__asm__ volatile("fxsave64 %0" : "=m"(fx));
	memcpy(&mxcsr_mask, fx + FX_MASK, sizeof(mxcsr_mask));
	if (!mxcsr_mask)
		mxcsr_mask = 0xffbf; /* SDM 1 §11.6.6 */
	known = BIT(X87) | BIT(SSE);
	for (unsigned n = AVX; n < COMPONENTS; n++) {
		if (!sizes[n] || !__get_cpuid_count(0xd, n, &a, &b, &cx, &d))
			continue;
		if (a != sizes[n] || b < EXTENDED || b + a > AREA_MAX)
			continue; /* not there, or not as the architecture has it */
		layout[n].size = sizes[n];
		layout[n].offset = (uint16_t)b;
		layout[n].align = cx & 2;
		known |= BIT(n);
	}
}

/* Where components lie in an area, for one instruction. */
struct area {
	uint16_t at[COMPONENTS];
	unsigned size; /* of all of it */
};

static void area_standard(struct area *a, uint64_t which)
{
	a->size = EXTENDED;
	for (unsigned n = AVX; n < COMPONENTS; n++) {
		a->at[n] = layout[n].offset;
		if (which >> n & 1)
			a->size = MAX(a->size, (unsigned)layout[n].offset + layout[n].size);
	}
}

static void area_compact(struct area *a, uint64_t which)
{
	a->size = EXTENDED;
	for (unsigned n = AVX; n < COMPONENTS; n++) {
		if (!(which >> n & 1))
			continue;
		if (layout[n].align)
			a->size = ALIGN_UP(a->size, 64u);
		a->at[n] = (uint16_t)a->size;
		a->size += layout[n].size;
	}
}

/* Components. -------------------------------------------------------------------------------- */

/* Copies @bytes at @from of each of @n vector registers, from register @first on. */
static void copy_regs(struct bt_cpu *c, unsigned first, unsigned n, unsigned from, unsigned bytes,
		      uint8_t *mem, bool store)
{
	for (unsigned r = 0; r < n; r++) {
		uint8_t *reg = c->ext.zmm[first + r] + from;

		if (store)
			memcpy(mem + r * bytes, reg, bytes);
		else
			memcpy(reg, mem + r * bytes, bytes);
	}
}

static void copy_bytes(void *reg, uint8_t *mem, unsigned bytes, bool store)
{
	if (store)
		memcpy(mem, reg, bytes);
	else
		memcpy(reg, mem, bytes);
}

/* One component but x87; @mem is its place.  @n: vector registers, 8 or 16. */
static void copy_component(struct bt_cpu *c, unsigned comp, unsigned n, uint8_t *mem, bool store)
{
	switch (comp) {
	case SSE: copy_regs(c, 0, n, 0, 16, mem, store); break;
	case AVX: copy_regs(c, 0, n, 16, 16, mem, store); break;
	case OPMASK: copy_bytes(c->ext.k, mem, sizeof(c->ext.k), store); break;
	case ZMM_HI: copy_regs(c, 0, n, 32, 32, mem, store); break;
	case ZMM_16: /* not there outside 64-bit mode */
		if (n == 16)
			copy_regs(c, 16, 16, 0, 64, mem, store);
		break;
	case PKRU:
		if (store)
			memset(mem, 0, 8);
		copy_bytes(&c->ext.pkru, mem, sizeof(c->ext.pkru), store);
		if (!store)
			mmu_mode_changed(c);
		break;
	default: break;
	}
}

/*
 * x87 in the area's first 160 bytes.  @wide: the pointers have 64 bits; else 32, and selectors,
 * which are 0.
 */
static void x87_store(const struct bt_cpu *c, uint8_t *mem, bool wide)
{
	memcpy(mem, c->ext.fx, FX_MXCSR);
	mem[5] = 0;
	if (!wide) {
		memset(mem + FX_FIP + 4, 0, 4);
		memset(mem + FX_FDP + 4, 0, 4);
	}
	for (unsigned n = 0; n < 8; n++) {
		memcpy(mem + FX_ST + n * 16, c->ext.fx + FX_ST + n * 16, 10);
		memset(mem + FX_ST + n * 16 + 10, 0, 6);
	}
}

static void x87_load(struct bt_cpu *c, const uint8_t *mem, bool wide)
{
	memcpy(c->ext.fx, mem, FX_MXCSR);
	c->ext.fx[5] = 0;
	fx_set16(c, FX_FOP, fx_get16(c, FX_FOP) & 0x7ffu);
	if (!wide) {
		memset(c->ext.fx + FX_FIP + 4, 0, 4);
		memset(c->ext.fx + FX_FDP + 4, 0, 4);
	}
	for (unsigned n = 0; n < 8; n++) {
		memcpy(c->ext.fx + FX_ST + n * 16, mem + FX_ST + n * 16, 10);
		memset(c->ext.fx + FX_ST + n * 16 + 10, 0, 6);
	}
	fx_normalize(c);
}

static const uint8_t zeros[1024];

static void init_component(struct bt_cpu *c, unsigned comp, unsigned n)
{
	if (comp == X87) {
		memset(c->ext.fx, 0, FX_XMM);
		fx_set16(c, FX_FCW, FCW_INIT);
	} else {
		copy_component(c, comp, n, (uint8_t *)(uintptr_t)zeros, false);
	}
}

static bool all_zero(const void *p, size_t n)
{
	const uint8_t *b = p;

	return b[0] == 0 && memcmp(b, b + 1, n - 1) == 0;
}

static bool regs_used(const struct bt_cpu *c, unsigned first, unsigned from, unsigned bytes)
{
	for (unsigned r = first; r < first + 16; r++) {
		if (!all_zero(c->ext.zmm[r] + from, bytes))
			return true;
	}
	return false;
}

static bool x87_used(const struct bt_cpu *c)
{
	return fx_get16(c, FX_FCW) != FCW_INIT ||
	       !all_zero(c->ext.fx + FX_FSW, FX_MXCSR - FX_FSW) ||
	       !all_zero(c->ext.fx + FX_ST, 128);
}

/* XINUSE: the components that are not as after initialization. */
static uint64_t in_use(const struct bt_cpu *c)
{
	uint64_t x = 0;

	x |= (uint64_t)x87_used(c) << X87;
	x |= (uint64_t)regs_used(c, 0, 0, 16) << SSE;
	x |= (uint64_t)regs_used(c, 0, 16, 16) << AVX;
	x |= (uint64_t)!all_zero(c->ext.k, sizeof(c->ext.k)) << OPMASK;
	x |= (uint64_t)regs_used(c, 0, 32, 32) << ZMM_HI;
	x |= (uint64_t)regs_used(c, 16, 0, 64) << ZMM_16;
	x |= (uint64_t)(c->ext.pkru != 0) << PKRU;
	return x;
}

/* FXSAVE, FXRSTOR, MXCSR. -------------------------------------------------------------------- */

static unsigned vector_regs(const struct bt_cpu *c)
{
	return c->mode.code == 8 ? 16 : 8;
}

static bool wide_pointers(const struct insn *i)
{
	return i->mode == 8 && i->prefixes & INSN_REX_W;
}

static void mxcsr_store(const struct bt_cpu *c, uint8_t *mem)
{
	memcpy(mem + FX_MXCSR, &c->ext.mxcsr, 4);
	memcpy(mem + FX_MASK, &mxcsr_mask, 4);
}

static uint64_t fx_address(struct bt_cpu *c, const struct insn *i, enum bt_access how)
{
	uint64_t la;

	if (c->cr0 & (X86_CR0_EM | X86_CR0_TS))
		bt_raise(c, X86_NM);
	la = bt_la(c, i, HEADER, how);
	if (la & 15)
		bt_gp0(c);
	pthread_once(&once, look);
	return la;
}

void exec_fxsave(struct bt_cpu *c, const struct insn *i)
{
	const uint64_t la = fx_address(c, i, BT_WRITE);
	const unsigned n = vector_regs(c);
	_Alignas(64) uint8_t b[HEADER];

	bt_probe(c, la, HEADER, BT_WRITE);
	x87_store(c, b, wide_pointers(i));
	mxcsr_store(c, b);
	copy_component(c, SSE, n, b + FX_XMM, true);
	bt_st_block(c, la, b, FX_XMM + n * 16); /* the rest is software's, or untouched */
}

void exec_fxrstor(struct bt_cpu *c, const struct insn *i)
{
	const uint64_t la = fx_address(c, i, BT_READ);
	_Alignas(64) uint8_t b[HEADER];
	uint32_t mxcsr;

	bt_ld_block(c, la, b, HEADER);
	mxcsr = get_le32(b + FX_MXCSR);
	if (mxcsr & ~mxcsr_mask)
		bt_gp0(c);
	x87_load(c, b, wide_pointers(i));
	c->ext.mxcsr = mxcsr;
	copy_component(c, SSE, vector_regs(c), b + FX_XMM, false);
}

void exec_ldmxcsr(struct bt_cpu *c, const struct insn *i)
{
	uint32_t v;

	pure_check_vector(c, i);
	v = bt_ld32(c, bt_la(c, i, 4, BT_READ));
	pthread_once(&once, look);
	if (v & ~mxcsr_mask)
		bt_gp0(c);
	c->ext.mxcsr = v;
}

void exec_stmxcsr(struct bt_cpu *c, const struct insn *i)
{
	pure_check_vector(c, i);
	bt_st32(c, bt_la(c, i, 4, BT_WRITE), c->ext.mxcsr);
}

/* XSAVE and its like. ------------------------------------------------------------------------ */

/* The checks that all share, and the components that EDX:EAX and XCR0 select. */
static uint64_t xsave_begin(struct bt_cpu *c)
{
	const uint32_t lo = (uint32_t)c->gpr[X86_RAX], hi = (uint32_t)c->gpr[X86_RDX];

	if (!(c->cr4 & X86_CR4_OSXSAVE))
		bt_ud(c);
	if (c->cr0 & X86_CR0_TS)
		bt_raise(c, X86_NM);
	pthread_once(&once, look);
	return ((uint64_t)hi << 32 | lo) & c->xcr0 & known;
}

static uint64_t xsave_address(struct bt_cpu *c, const struct insn *i, unsigned n,
			      enum bt_access how)
{
	const uint64_t la = bt_la(c, i, n, how);

	if (la & 63)
		bt_gp0(c);
	return la;
}

static void store_components(struct bt_cpu *c, const struct insn *i, uint8_t *mem,
			     const struct area *a, uint64_t which)
{
	const unsigned n = vector_regs(c);

	if (which & BIT(X87))
		x87_store(c, mem, wide_pointers(i));
	if (which & BIT(SSE))
		copy_component(c, SSE, n, mem + FX_XMM, true);
	for (unsigned k = AVX; k < COMPONENTS; k++) {
		if (which >> k & 1)
			copy_component(c, k, n, mem + a->at[k], true);
	}
}

static void store_standard(struct bt_cpu *c, const struct insn *i, bool only_used)
{
	const uint64_t rfbm = xsave_begin(c), used = in_use(c);
	struct bt_bounce b;
	struct area a;
	uint8_t *mem;
	uint64_t bv;

	area_standard(&a, rfbm);
	mem = bt_get(c, xsave_address(c, i, a.size, BT_RMW), a.size, BT_RMW, false, &b);
	store_components(c, i, mem, &a, only_used ? rfbm & used : rfbm);
	if (rfbm & (BIT(SSE) | BIT(AVX)))
		mxcsr_store(c, mem);
	bv = get_le64(mem + HEADER);
	put_le64(mem + HEADER, (bv & ~rfbm) | (used & rfbm));
	bt_put(c, &b, true);
}

void exec_xsave(struct bt_cpu *c, const struct insn *i)
{
	store_standard(c, i, false);
}

void exec_xsaveopt(struct bt_cpu *c, const struct insn *i)
{
	store_standard(c, i, true);
}

void exec_xsavec(struct bt_cpu *c, const struct insn *i)
{
	const uint64_t rfbm = xsave_begin(c);
	uint64_t which = rfbm & in_use(c);
	struct bt_bounce b;
	struct area a;
	uint8_t *mem;

	/* Here MXCSR counts as part of SSE (SDM 1 §13.10). */
	if (c->ext.mxcsr != 0x1f80)
		which |= rfbm & BIT(SSE);
	area_compact(&a, rfbm);
	mem = bt_get(c, xsave_address(c, i, a.size, BT_RMW), a.size, BT_RMW, false, &b);
	store_components(c, i, mem, &a, which);
	if (which & BIT(SSE))
		mxcsr_store(c, mem);
	put_le64(mem + HEADER, which);
	put_le64(mem + HEADER + 8, rfbm | COMPACT);
	bt_put(c, &b, true);
}

void exec_xsaves(struct bt_cpu *c, const struct insn *i)
{
	if (!(c->cr4 & X86_CR4_OSXSAVE))
		bt_ud(c);
	if (c->mode.cpl)
		bt_gp0(c);
	exec_xsavec(c, i);
}

/* Loads or initializes what @rfbm names.  @mem is a private copy. */
static void load_components(struct bt_cpu *c, const struct insn *i, uint8_t *mem,
			    const struct area *a, uint64_t rfbm, uint64_t bv)
{
	const unsigned n = vector_regs(c);

	for (unsigned k = 0; k < COMPONENTS; k++) {
		if (!(rfbm >> k & 1))
			continue;
		if (!(bv >> k & 1))
			init_component(c, k, n);
		else if (k == X87)
			x87_load(c, mem, wide_pointers(i));
		else
			copy_component(c, k, n, k == SSE ? mem + FX_XMM : mem + a->at[k], false);
	}
}

/*
 * How much of an area XRSTOR touches: to the end of the last component asked for, whether it is in
 * the image or not (as the CPUs do that were looked at).
 */
static unsigned touched(const struct area *a, uint64_t which)
{
	unsigned n = EXTENDED;

	for (unsigned k = AVX; k < COMPONENTS; k++) {
		if (which >> k & 1)
			n = MAX(n, (unsigned)a->at[k] + layout[k].size);
	}
	return n;
}

static void load_standard(struct bt_cpu *c, const struct insn *i, uint64_t la, uint64_t rfbm)
{
	_Alignas(64) uint8_t mem[AREA_MAX];
	uint32_t mxcsr = c->ext.mxcsr;
	struct area a;
	uint64_t bv;

	bt_ld_block(c, la + HEADER, mem + HEADER, 64);
	bv = get_le64(mem + HEADER);
	if (bv & ~c->xcr0 || !all_zero(mem + HEADER + 8, 16))
		bt_gp0(c);
	area_standard(&a, rfbm);
	bt_ld_block(c, la, mem, touched(&a, rfbm));
	if (rfbm & (BIT(SSE) | BIT(AVX)))
		mxcsr = get_le32(mem + FX_MXCSR);
	if (mxcsr & ~mxcsr_mask)
		bt_gp0(c);
	load_components(c, i, mem, &a, rfbm, bv);
	c->ext.mxcsr = mxcsr;
}

static void load_compact(struct bt_cpu *c, const struct insn *i, uint64_t la, uint64_t rfbm)
{
	_Alignas(64) uint8_t mem[AREA_MAX];
	uint32_t mxcsr = c->ext.mxcsr;
	uint64_t bv, has;
	struct area a;

	bt_ld_block(c, la + HEADER, mem + HEADER, 64);
	bv = get_le64(mem + HEADER);
	has = get_le64(mem + HEADER + 8) & ~COMPACT;
	if (has & ~(c->xcr0 & known) || bv & ~has || !all_zero(mem + HEADER + 16, 48))
		bt_gp0(c);
	area_compact(&a, has);
	bt_ld_block(c, la, mem, touched(&a, rfbm & has));
	if (rfbm & BIT(SSE))
		mxcsr = bv & BIT(SSE) ? get_le32(mem + FX_MXCSR) : 0x1f80;
	if (mxcsr & ~mxcsr_mask)
		bt_gp0(c);
	load_components(c, i, mem, &a, rfbm, bv);
	c->ext.mxcsr = mxcsr;
}

static bool is_compact(struct bt_cpu *c, uint64_t la)
{
	return bt_ld64(c, la + HEADER + 8) & COMPACT;
}

void exec_xrstor(struct bt_cpu *c, const struct insn *i)
{
	const uint64_t rfbm = xsave_begin(c);
	const uint64_t la = xsave_address(c, i, EXTENDED, BT_READ);

	if (is_compact(c, la) && insn_has(&c->features, F_XSAVEC))
		load_compact(c, i, la, rfbm);
	else
		load_standard(c, i, la, rfbm);
}

void exec_xrstors(struct bt_cpu *c, const struct insn *i)
{
	uint64_t rfbm, la;

	if (!(c->cr4 & X86_CR4_OSXSAVE))
		bt_ud(c);
	if (c->mode.cpl)
		bt_gp0(c);
	rfbm = xsave_begin(c);
	la = xsave_address(c, i, EXTENDED, BT_READ);
	if (!is_compact(c, la))
		bt_gp0(c);
	load_compact(c, i, la, rfbm);
}

/* The image of struct x86_vcpu. -------------------------------------------------------------- */

void ext_to_xsave(const struct bt_cpu *c, struct x86_vcpu *out)
{
	struct bt_cpu *from = (struct bt_cpu *)(uintptr_t)c; /* read only: store is true */
	struct area a;

	pthread_once(&once, look);
	area_standard(&a, known);
	BUG_ON(a.size > sizeof(out->xsave)); /* AREA_MAX is smaller */
	memset(out->xsave, 0, sizeof(out->xsave));
	x87_store(c, out->xsave, true);
	mxcsr_store(c, out->xsave);
	memset(out->xsave + FX_MASK, 0, 4); /* as the KVM side leaves it: not state */
	for (unsigned k = SSE; k < COMPONENTS; k++) {
		if (known >> k & 1)
			copy_component(from, k, 16, out->xsave + (k == SSE ? FX_XMM : a.at[k]),
				       true);
	}
	put_le64(out->xsave + HEADER, (in_use(c) & known) | BIT(X87) | BIT(SSE));
	out->xsave_size = a.size;
}

int ext_from_xsave(struct bt_cpu *c, const struct x86_vcpu *in, struct err *e)
{
	_Alignas(64) uint8_t mem[AREA_MAX] = {0};
	uint32_t mxcsr;
	struct area a;
	uint64_t bv;

	pthread_once(&once, look);
	if (in->xsave_size < EXTENDED || in->xsave_size > sizeof(in->xsave))
		return err_set(e, -EINVAL, "extended state: %u bytes are no XSAVE image",
			       in->xsave_size);
	memcpy(mem, in->xsave, MIN((size_t)in->xsave_size, sizeof(mem)));
	bv = get_le64(mem + HEADER);
	area_standard(&a, bv & known);
	if (bv & ~known || a.size > in->xsave_size || !all_zero(mem + HEADER + 8, 56))
		return err_set(e, -EINVAL,
			       "extended state: components %#llx are not what this host has",
			       (unsigned long long)bv);
	mxcsr = get_le32(mem + FX_MXCSR);
	if (mxcsr & ~mxcsr_mask)
		return err_set(e, -EINVAL, "extended state: MXCSR %#x has reserved bits set",
			       mxcsr);
	for (unsigned k = 0; k < COMPONENTS; k++) {
		if (!(bv >> k & 1))
			init_component(c, k, 16);
		else if (k == X87)
			x87_load(c, mem, true);
		else
			copy_component(c, k, 16, k == SSE ? mem + FX_XMM : mem + a.at[k], false);
	}
	c->ext.mxcsr = mxcsr;
	return 0;
}

void ext_reset(struct bt_cpu *c)
{
	memset(&c->ext, 0, sizeof(c->ext));
	fx_set16(c, FX_FCW, 0x40);
	c->ext.fx[FX_FTW] = 0xff; /* all hold +0.0 */
	c->ext.mxcsr = 0x1f80;
}
