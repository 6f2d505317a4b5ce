/*
 * bt/asm.h - guest code written as assembly in a test: GUEST_ASM(name, bits, text) gives the bytes
 * [name, name_end), position-independent or for where the test puts them.
 */
#ifndef LODGE_TESTS_BT_ASM_H
#define LODGE_TESTS_BT_ASM_H

#include <stdint.h>

#define GUEST_ASM(name, bits, text)                                                            \
	__asm__(".pushsection .rodata\n.code" #bits "\n" #name ":\n" text "\n" #name "_end:\n" \
		".byte 0\n.code64\n.popsection\n");                                            \
	extern const uint8_t name[] __asm__(#name), name##_end[] __asm__(#name "_end")
#define GUEST_ASM_LEN(name) ((size_t)(name##_end - (name)))

#endif
