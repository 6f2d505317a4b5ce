/*
 * accel/bt/host/features.c - what the host's own unit can do, by CPUID and XCR0: what of it guests
 * may be shown, and what stubs may use.
 */
#include <cpuid.h>
#include <pthread.h>

#include "accel/bt/host/host.h"
#include "base/compiler.h"

enum reg { EAX, EBX, ECX, EDX };

#define NEED_AVX    0x06u
#define NEED_AVX512 0xe6u

/* Where CPUID tells of a feature (SDM 2A CPUID), and what the host's XCR0 must have on for it. */
static const struct {
	uint8_t feature, leaf, subleaf, reg, bit, xcr0;
} known[] = {
	{F_FPU, 1, 0, EDX, 0, 0},
	{F_MMX, 1, 0, EDX, 23, 0},
	{F_FXSR, 1, 0, EDX, 24, 0},
	{F_SSE, 1, 0, EDX, 25, 0},
	{F_SSE2, 1, 0, EDX, 26, 0},
	{F_SSE3, 1, 0, ECX, 0, 0},
	{F_PCLMUL, 1, 0, ECX, 1, 0},
	{F_SSSE3, 1, 0, ECX, 9, 0},
	{F_FMA, 1, 0, ECX, 12, NEED_AVX},
	{F_SSE41, 1, 0, ECX, 19, 0},
	{F_SSE42, 1, 0, ECX, 20, 0},
	{F_AES, 1, 0, ECX, 25, 0},
	{F_XSAVE, 1, 0, ECX, 27, 0}, /* OSXSAVE: XGETBV and leaf 0xd can be relied on */
	{F_AVX, 1, 0, ECX, 28, NEED_AVX},
	{F_F16C, 1, 0, ECX, 29, NEED_AVX},
	{F_AVX2, 7, 0, EBX, 5, NEED_AVX},
	{F_AVX512F, 7, 0, EBX, 16, NEED_AVX512},
	{F_AVX512DQ, 7, 0, EBX, 17, NEED_AVX512},
	{F_AVX512IFMA, 7, 0, EBX, 21, NEED_AVX512},
	{F_AVX512CD, 7, 0, EBX, 28, NEED_AVX512},
	{F_SHA, 7, 0, EBX, 29, 0},
	{F_AVX512BW, 7, 0, EBX, 30, NEED_AVX512},
	{F_AVX512VL, 7, 0, EBX, 31, NEED_AVX512},
	{F_AVX512VBMI, 7, 0, ECX, 1, NEED_AVX512},
	{F_AVX512VBMI2, 7, 0, ECX, 6, NEED_AVX512},
	{F_GFNI, 7, 0, ECX, 8, 0},
	{F_VAES, 7, 0, ECX, 9, NEED_AVX},
	{F_VPCLMUL, 7, 0, ECX, 10, NEED_AVX},
	{F_AVX512VNNI, 7, 0, ECX, 11, NEED_AVX512},
	{F_AVX512BITALG, 7, 0, ECX, 12, NEED_AVX512},
	{F_AVX512VPOPCNT, 7, 0, ECX, 14, NEED_AVX512},
	{F_AVXVNNI, 7, 1, EAX, 4, NEED_AVX},
	{F_AVX512BF16, 7, 1, EAX, 5, NEED_AVX512},
};

/* CPUID costs microseconds where a hypervisor intercepts it: each leaf is asked for once. */
struct leaves {
	uint32_t r[3][4]; /* 1, 7.0, 7.1 */
};

static void ask(struct leaves *l)
{
	static const uint8_t of[3][2] = {{1, 0}, {7, 0}, {7, 1}};
	const unsigned max = __get_cpuid_max(0, NULL);

	for (unsigned n = 0; n < 3; n++) {
		uint32_t *r = l->r[n];

		if (of[n][0] <= max)
			__cpuid_count(of[n][0], of[n][1], r[EAX], r[EBX], r[ECX], r[EDX]);
	}
	if (l->r[1][EAX] < 1) /* no subleaf 1 */
		l->r[2][EAX] = 0;
}

static uint32_t host_xcr0(const struct leaves *l)
{
	uint32_t lo, hi;

	if (!(l->r[0][ECX] >> 27 & 1))
		return 0;
	__asm__ volatile("xgetbv" : "=a"(lo), "=d"(hi) : "c"(0));
	return lo;
}

static void find(struct insn_features *f)
{
	struct leaves l = {0};
	uint32_t xcr0;

	ask(&l);
	xcr0 = host_xcr0(&l);
	*f = (struct insn_features){0};
	for (unsigned n = 0; n < ARRAY_LEN(known); n++) {
		const unsigned b = known[n].feature;
		const uint32_t *r = l.r[known[n].leaf == 1 ? 0 : known[n].subleaf + 1];

		if ((xcr0 & known[n].xcr0) == known[n].xcr0 && r[known[n].reg] >> known[n].bit & 1)
			f->bits[b / 64] |= UINT64_C(1) << (b % 64);
	}
	/* Plain C, once the layout of the XSAVE area is known. */
	if (insn_has(f, F_XSAVE)) {
		for (unsigned b = F_XSAVEOPT; b <= F_XSAVES; b++)
			f->bits[b / 64] |= UINT64_C(1) << (b % 64);
	}
}
_Static_assert(F_XSAVES == F_XSAVEOPT + 2, "XSAVEOPT, XSAVEC, XSAVES stand together");

static struct insn_features found;
static struct pure_host host;
static pthread_once_t once = PTHREAD_ONCE_INIT;

static void look(void)
{
	find(&found);
	host.avx = insn_has(&found, F_AVX);
	host.avx512 = insn_has(&found, F_AVX512F);
	host.avx512bw = insn_has(&found, F_AVX512BW);
}

const struct pure_host *pure_host(void)
{
	pthread_once(&once, look);
	return &host;
}

void pure_features(struct insn_features *f)
{
	pthread_once(&once, look);
	*f = found;
}
