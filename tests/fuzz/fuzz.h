/*
 * fuzz/fuzz.h - what a fuzz target provides.
 */
#ifndef LODGE_TESTS_FUZZ_H
#define LODGE_TESTS_FUZZ_H

#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

/*
 * Called with any bytes, again and again in one process.  Must not keep state between calls; what
 * it finds it reports by ending the process (a sanitizer, or BUG_ON where a promise is broken).
 */
int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

#endif
