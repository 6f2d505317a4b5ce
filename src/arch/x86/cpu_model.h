/*
 * arch/x86/cpu_model.h - which of the features that host and accelerator offer a guest is shown.
 *
 * A model is "host", or a level of the x86-64 psABI ("v1" to "v4"), and then any number of ",+NAME"
 * and ",-NAME".  "host" may be left out: "-avx512f".  A level shows what the psABI asks of it and
 * hides every instruction-set extension beyond; what is no extension for programs (PCID, x2APIC …)
 * stays as offered.  Names are those of Linux's /proc/cpuinfo.
 */
#ifndef LODGE_ARCH_X86_CPU_MODEL_H
#define LODGE_ARCH_X86_CPU_MODEL_H

#include "arch/x86/cpuid.h"
#include "base/str.h"

/* Is @spec written as above, with known names?  -EINVAL with words, ERR_USAGE. */
int x86_cpu_model_check(const char *spec, struct err *e) MUST_CHECK;

/*
 * Takes out of @c[0..n), which is what can be had, what @spec does not show.  -ENOTSUP with words,
 * ERR_HOST, if it asks for a feature or a level that is not there.  NULL is "host".
 */
int x86_cpu_model_apply(const char *spec, struct x86_cpuid *c, unsigned n,
			struct err *e) MUST_CHECK;

/* Does @spec ask for feature @name by "+name"? */
bool x86_cpu_model_asks(const char *spec, const char *name);

#endif
