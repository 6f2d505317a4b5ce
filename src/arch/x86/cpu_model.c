/*
 * arch/x86/cpu_model.c - CPU models: features by name, and the levels of the psABI.
 */
#include <errno.h>
#include <string.h>

#include "arch/x86/cpu_model.h"

enum reg { EAX, EBX, ECX, EDX };

/* Levels; ALWAYS: no extension for programs, shown with every level. */
enum { V1 = 1, V2, V3, V4, BEYOND, ALWAYS };

struct feature {
	const char *name;
	uint32_t leaf;
	uint8_t subleaf, reg, bit, level;
	const char *needs; /* without this one it is not shown either */
};

/* SDM 2A "CPUID", APM 3 appendix E; levels by the x86-64 psABI §3.1.1. */
/* clang-format off */
static const struct feature features[] = {
	{"sse3", 1, 0, ECX, 0, V2, NULL},
	{"pclmulqdq", 1, 0, ECX, 1, BEYOND, NULL},
	{"ssse3", 1, 0, ECX, 9, V2, NULL},
	{"cx16", 1, 0, ECX, 13, V2, NULL},
	{"pcid", 1, 0, ECX, 17, ALWAYS, NULL},
	{"sse4_1", 1, 0, ECX, 19, V2, NULL},
	{"sse4_2", 1, 0, ECX, 20, V2, NULL},
	{"x2apic", 1, 0, ECX, 21, ALWAYS, NULL},
	{"movbe", 1, 0, ECX, 22, V3, NULL},
	{"popcnt", 1, 0, ECX, 23, V2, NULL},
	{"tsc_deadline_timer", 1, 0, ECX, 24, ALWAYS, NULL},
	{"aes", 1, 0, ECX, 25, BEYOND, NULL},
	{"xsave", 1, 0, ECX, 26, V3, NULL},
	{"avx", 1, 0, ECX, 28, V3, "xsave"},
	{"fma", 1, 0, ECX, 12, V3, "avx"},
	{"f16c", 1, 0, ECX, 29, V3, "avx"},
	{"rdrand", 1, 0, ECX, 30, BEYOND, NULL},
	{"vme", 1, 0, EDX, 1, ALWAYS, NULL},
	{"pse36", 1, 0, EDX, 17, ALWAYS, NULL},
	{"mtrr", 1, 0, EDX, 12, ALWAYS, NULL},
	{"pat", 1, 0, EDX, 16, ALWAYS, NULL},
	{"fsgsbase", 7, 0, EBX, 0, BEYOND, NULL},
	{"tsc_adjust", 7, 0, EBX, 1, ALWAYS, NULL},
	{"bmi1", 7, 0, EBX, 3, V3, NULL},
	{"hle", 7, 0, EBX, 4, BEYOND, NULL},
	{"avx2", 7, 0, EBX, 5, V3, "avx"},
	{"smep", 7, 0, EBX, 7, ALWAYS, NULL},
	{"bmi2", 7, 0, EBX, 8, V3, NULL},
	{"erms", 7, 0, EBX, 9, ALWAYS, NULL},
	{"invpcid", 7, 0, EBX, 10, ALWAYS, NULL},
	{"rtm", 7, 0, EBX, 11, BEYOND, NULL},
	{"avx512f", 7, 0, EBX, 16, V4, "avx2"},
	{"avx512dq", 7, 0, EBX, 17, V4, "avx512f"},
	{"rdseed", 7, 0, EBX, 18, BEYOND, NULL},
	{"adx", 7, 0, EBX, 19, BEYOND, NULL},
	{"smap", 7, 0, EBX, 20, ALWAYS, NULL},
	{"avx512ifma", 7, 0, EBX, 21, BEYOND, "avx512f"},
	{"clflushopt", 7, 0, EBX, 23, ALWAYS, NULL},
	{"clwb", 7, 0, EBX, 24, ALWAYS, NULL},
	{"avx512cd", 7, 0, EBX, 28, V4, "avx512f"},
	{"sha_ni", 7, 0, EBX, 29, BEYOND, NULL},
	{"avx512bw", 7, 0, EBX, 30, V4, "avx512f"},
	{"avx512vl", 7, 0, EBX, 31, V4, "avx512f"},
	{"avx512vbmi", 7, 0, ECX, 1, BEYOND, "avx512f"},
	{"umip", 7, 0, ECX, 2, ALWAYS, NULL},
	{"pku", 7, 0, ECX, 3, ALWAYS, NULL},
	{"waitpkg", 7, 0, ECX, 5, BEYOND, NULL},
	{"avx512_vbmi2", 7, 0, ECX, 6, BEYOND, "avx512f"},
	{"gfni", 7, 0, ECX, 8, BEYOND, NULL},
	{"vaes", 7, 0, ECX, 9, BEYOND, "avx"},
	{"vpclmulqdq", 7, 0, ECX, 10, BEYOND, "avx"},
	{"avx512_vnni", 7, 0, ECX, 11, BEYOND, "avx512f"},
	{"avx512_bitalg", 7, 0, ECX, 12, BEYOND, "avx512f"},
	{"avx512_vpopcntdq", 7, 0, ECX, 14, BEYOND, "avx512f"},
	{"la57", 7, 0, ECX, 16, ALWAYS, NULL},
	{"rdpid", 7, 0, ECX, 22, BEYOND, NULL},
	{"movdiri", 7, 0, ECX, 27, BEYOND, NULL},
	{"movdir64b", 7, 0, ECX, 28, BEYOND, NULL},
	{"fsrm", 7, 0, EDX, 4, ALWAYS, NULL},
	{"serialize", 7, 0, EDX, 14, BEYOND, NULL},
	{"avx512_vp2intersect", 7, 0, EDX, 8, BEYOND, "avx512f"},
	{"avx512_fp16", 7, 0, EDX, 23, BEYOND, "avx512bw"},
	{"amx_tile", 7, 0, EDX, 24, BEYOND, "xsave"},
	{"amx_int8", 7, 0, EDX, 25, BEYOND, "amx_tile"},
	{"amx_bf16", 7, 0, EDX, 22, BEYOND, "amx_tile"},
	{"avx_vnni", 7, 1, EAX, 4, BEYOND, "avx2"},
	{"avx512_bf16", 7, 1, EAX, 5, BEYOND, "avx512f"},
	{"xsaveopt", 0xd, 1, EAX, 0, ALWAYS, "xsave"},
	{"xsavec", 0xd, 1, EAX, 1, ALWAYS, "xsave"},
	{"xgetbv1", 0xd, 1, EAX, 2, ALWAYS, "xsave"},
	{"xsaves", 0xd, 1, EAX, 3, ALWAYS, "xsave"},
	{"lahf_lm", 0x80000001, 0, ECX, 0, V2, NULL},
	{"abm", 0x80000001, 0, ECX, 5, V3, NULL},
	{"sse4a", 0x80000001, 0, ECX, 6, BEYOND, NULL},
	{"3dnowprefetch", 0x80000001, 0, ECX, 8, BEYOND, NULL},
	{"xop", 0x80000001, 0, ECX, 11, BEYOND, "avx"},
	{"fma4", 0x80000001, 0, ECX, 16, BEYOND, "avx"},
	{"tbm", 0x80000001, 0, ECX, 21, BEYOND, NULL},
	{"nx", 0x80000001, 0, EDX, 20, ALWAYS, NULL},
	{"pdpe1gb", 0x80000001, 0, EDX, 26, ALWAYS, NULL},
	{"rdtscp", 0x80000001, 0, EDX, 27, ALWAYS, NULL},
};
/* clang-format on */

/* XSAVE components that belong to a feature (leaf 0xd, sub-leaf 0, EAX). */
static const struct {
	const char *name;
	uint32_t bits;
} components[] = {{"avx", 4}, {"avx512f", 0xe0}, {"pku", 0x200}, {"amx_tile", 0x60000}};

static const char *const bases[] = {"host", "v1", "v2", "v3", "v4"};

static uint32_t *reg_of(struct x86_cpuid *c, unsigned reg)
{
	switch (reg) {
	case EAX: return &c->eax;
	case EBX: return &c->ebx;
	case ECX: return &c->ecx;
	default: return &c->edx;
	}
}

static struct x86_cpuid *leaf_of(struct x86_cpuid *c, unsigned n, uint32_t leaf, uint32_t subleaf)
{
	for (unsigned i = 0; i < n; i++)
		if (c[i].leaf == leaf && (!c[i].indexed || c[i].subleaf == subleaf))
			return &c[i];
	return NULL;
}

static const struct feature *feature_find(const char *name, size_t len)
{
	for (size_t i = 0; i < ARRAY_LEN(features); i++)
		if (strlen(features[i].name) == len && !memcmp(features[i].name, name, len))
			return &features[i];
	return NULL;
}

static bool has(struct x86_cpuid *c, unsigned n, const struct feature *f)
{
	struct x86_cpuid *l = leaf_of(c, n, f->leaf, f->subleaf);

	return l && (*reg_of(l, f->reg) >> f->bit & 1);
}

static void take_out(struct x86_cpuid *c, unsigned n, const struct feature *f)
{
	struct x86_cpuid *l = leaf_of(c, n, f->leaf, f->subleaf), *d = leaf_of(c, n, 0xd, 0);

	if (l)
		*reg_of(l, f->reg) &= ~(1u << f->bit);
	for (size_t i = 0; d && i < ARRAY_LEN(components); i++)
		if (!strcmp(components[i].name, f->name))
			d->eax &= ~components[i].bits;
	for (size_t i = 0; i < ARRAY_LEN(features); i++)
		if (features[i].needs && !strcmp(features[i].needs, f->name) &&
		    has(c, n, &features[i]))
			take_out(c, n, &features[i]);
}

/* One word of a model; calls back for each. */
struct word {
	const char *text;
	size_t len;
	char sign; /* '+', '-', or 0: the base */
};

static bool next_word(const char **at, struct word *w)
{
	const char *s = *at;

	if (!s || !*s)
		return false;
	w->sign = '\0';
	if (*s == '+' || *s == '-')
		w->sign = *s++;
	w->text = s;
	w->len = strcspn(s, ",");
	*at = s[w->len] ? s + w->len + 1 : s + w->len;
	return true;
}

static int base_level(const struct word *w)
{
	for (unsigned i = 0; i < ARRAY_LEN(bases); i++)
		if (strlen(bases[i]) == w->len && !memcmp(bases[i], w->text, w->len))
			return i ? (int)i : BEYOND;
	return -1;
}

static int unknown(const struct word *w, bool first, struct err *e)
{
	const char *words[ARRAY_LEN(features) + 1] = {0};
	const char *near;
	char name[32];

	str_copy(name, MIN(sizeof(name), w->len + 1), w->text);
	if (!w->sign) {
		err_set(e, -EINVAL, "there is no CPU model '%s'", name);
		err_hint(e, first ? "host, v1, v2, v3 or v4"
				  : "+NAME shows a feature, -NAME hides it");
		return err_kind(e, ERR_USAGE);
	}
	for (size_t i = 0; i < ARRAY_LEN(features); i++)
		words[i] = features[i].name;
	near = str_nearest(name, words);
	if (near)
		err_set(e, -EINVAL, "there is no CPU feature '%s' (did you mean %s?)", name, near);
	else
		err_set(e, -EINVAL, "there is no CPU feature '%s'", name);
	return err_kind(e, ERR_USAGE);
}

int x86_cpu_model_check(const char *spec, struct err *e)
{
	struct word w;
	bool first = true;

	while (next_word(&spec, &w)) {
		bool known =
			w.sign ? feature_find(w.text, w.len) != NULL : first && base_level(&w) >= 0;
		if (!known)
			return unknown(&w, first, e);
		first = false;
	}
	return 0;
}

static int lacking(const char *what, const struct feature *f, struct err *e)
{
	err_set(e, -ENOTSUP, "the CPU model asks for %s%s, which this host cannot give", what,
		f->name);
	return err_kind(e, ERR_HOST);
}

bool x86_cpu_model_asks(const char *spec, const char *name)
{
	struct word w;
	bool asks = false;

	while (next_word(&spec, &w))
		if (w.sign && strlen(name) == w.len && !memcmp(name, w.text, w.len))
			asks = w.sign == '+';
	return asks;
}

/* A feature that @spec asks for by name stays, whatever the level says. */
static int apply_level(const char *spec, unsigned level, struct x86_cpuid *c, unsigned n,
		       struct err *e)
{
	if (level == BEYOND)
		return 0;
	for (size_t i = 0; i < ARRAY_LEN(features); i++) {
		const struct feature *f = &features[i];

		if (f->level <= level && !has(c, n, f))
			return lacking("a level that has ", f, e);
		if (f->level > level && f->level <= BEYOND && !x86_cpu_model_asks(spec, f->name))
			take_out(c, n, f);
	}
	return 0;
}

int x86_cpu_model_apply(const char *spec, struct x86_cpuid *c, unsigned n, struct err *e)
{
	const char *at = spec;
	struct word w;
	int rc = x86_cpu_model_check(spec, e);

	while (!rc && next_word(&at, &w)) {
		const struct feature *f = w.sign ? feature_find(w.text, w.len) : NULL;

		if (!f) {
			rc = apply_level(spec, (unsigned)base_level(&w), c, n, e);
		} else if (w.sign == '-') {
			take_out(c, n, f);
		} else if (!has(c, n, f)) {
			rc = lacking("", f, e);
		}
	}
	return rc;
}
