/*
 * accel/bt/features.c - which instructions a guest's CPU has, by its CPUID (SDM 2A CPUID, APM 3
 * appendix D).
 */
#include "accel/bt/insn.h"
#include "arch/x86/cpuid.h"
#include "base/compiler.h"

enum cpuid_reg { EAX, EBX, ECX, EDX };

static const struct {
	uint32_t leaf, subleaf;
	uint8_t reg, bit, feature;
} known[] = {
	{1, 0, ECX, 0, F_SSE3},
	{1, 0, ECX, 1, F_PCLMUL},
	{1, 0, ECX, 3, F_MONITOR},
	{1, 0, ECX, 9, F_SSSE3},
	{1, 0, ECX, 12, F_FMA},
	{1, 0, ECX, 13, F_CX16},
	{1, 0, ECX, 19, F_SSE41},
	{1, 0, ECX, 20, F_SSE42},
	{1, 0, ECX, 22, F_MOVBE},
	{1, 0, ECX, 23, F_POPCNT},
	{1, 0, ECX, 25, F_AES},
	{1, 0, ECX, 26, F_XSAVE},
	{1, 0, ECX, 28, F_AVX},
	{1, 0, ECX, 29, F_F16C},
	{1, 0, ECX, 30, F_RDRAND},
	{1, 0, EDX, 0, F_FPU},
	{1, 0, EDX, 8, F_CX8},
	{1, 0, EDX, 11, F_SEP},
	{1, 0, EDX, 15, F_CMOV},
	{1, 0, EDX, 19, F_CLFLUSH},
	{1, 0, EDX, 23, F_MMX},
	{1, 0, EDX, 24, F_FXSR},
	{1, 0, EDX, 25, F_SSE},
	{1, 0, EDX, 26, F_SSE2},
	{7, 0, EBX, 0, F_FSGSBASE},
	{7, 0, EBX, 3, F_BMI1},
	{7, 0, EBX, 5, F_AVX2},
	{7, 0, EBX, 8, F_BMI2},
	{7, 0, EBX, 10, F_INVPCID},
	{7, 0, EBX, 16, F_AVX512F},
	{7, 0, EBX, 17, F_AVX512DQ},
	{7, 0, EBX, 18, F_RDSEED},
	{7, 0, EBX, 19, F_ADX},
	{7, 0, EBX, 20, F_SMAP},
	{7, 0, EBX, 21, F_AVX512IFMA},
	{7, 0, EBX, 23, F_CLFLUSHOPT},
	{7, 0, EBX, 24, F_CLWB},
	{7, 0, EBX, 28, F_AVX512CD},
	{7, 0, EBX, 29, F_SHA},
	{7, 0, EBX, 30, F_AVX512BW},
	{7, 0, EBX, 31, F_AVX512VL},
	{7, 0, ECX, 1, F_AVX512VBMI},
	{7, 0, ECX, 2, F_UMIP},
	{7, 0, ECX, 3, F_PKU},
	{7, 0, ECX, 6, F_AVX512VBMI2},
	{7, 0, ECX, 8, F_GFNI},
	{7, 0, ECX, 9, F_VAES},
	{7, 0, ECX, 10, F_VPCLMUL},
	{7, 0, ECX, 11, F_AVX512VNNI},
	{7, 0, ECX, 12, F_AVX512BITALG},
	{7, 0, ECX, 14, F_AVX512VPOPCNT},
	{7, 0, ECX, 22, F_RDPID},
	{7, 0, ECX, 27, F_MOVDIRI},
	{7, 0, ECX, 28, F_MOVDIR64B},
	{7, 0, EDX, 14, F_SERIALIZE},
	{7, 1, EAX, 4, F_AVXVNNI},
	{7, 1, EAX, 5, F_AVX512BF16},
	{0xd, 1, EAX, 0, F_XSAVEOPT},
	{0xd, 1, EAX, 1, F_XSAVEC},
	{0xd, 1, EAX, 3, F_XSAVES},
	{0x80000001, 0, ECX, 0, F_LAHF64},
	{0x80000001, 0, ECX, 5, F_LZCNT},
	{0x80000001, 0, ECX, 8, F_PREFETCHW},
	{0x80000001, 0, EDX, 11, F_SYSCALL},
	{0x80000001, 0, EDX, 27, F_RDTSCP},
};

void insn_features_from_cpuid(const struct x86_cpuid *leaves, unsigned n, struct insn_features *out)
{
	*out = (struct insn_features){.bits = {UINT64_C(1) << F_BASE}};
	for (unsigned k = 0; k < ARRAY_LEN(known); k++) {
		const struct x86_cpuid *c =
			x86_cpuid_find(leaves, n, known[k].leaf, known[k].subleaf);
		uint32_t value;

		if (!c)
			continue;
		switch (known[k].reg) {
		case EAX: value = c->eax; break;
		case EBX: value = c->ebx; break;
		case ECX: value = c->ecx; break;
		default: value = c->edx; break;
		}
		if (value >> known[k].bit & 1)
			out->bits[known[k].feature / 64] |= UINT64_C(1)
							    << known[k].feature % 64;
	}
}
