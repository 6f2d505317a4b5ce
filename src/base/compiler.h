/*
 * base/compiler.h - the few words that C17 lacks: attributes, array length, container_of,
 * checked arithmetic and BUG_ON.  Every file may include it.
 */
#ifndef LODGE_BASE_COMPILER_H
#define LODGE_BASE_COMPILER_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#define MUST_CHECK	  __attribute__((warn_unused_result))
#define PRINTF_LIKE(f, a) __attribute__((format(printf, f, a)))
#define NORETURN	  __attribute__((noreturn))
#define COLD		  __attribute__((cold))
#define UNUSED		  __attribute__((unused))
#define PACKED		  __attribute__((packed))
#define LIKELY(c)	  __builtin_expect(!!(c), 1)
#define UNLIKELY(c)	  __builtin_expect(!!(c), 0)

#define ARRAY_LEN(a) (sizeof(a) / sizeof((a)[0]))

/* The struct of @type whose @member is at @ptr. */
#define container_of(ptr, type, member) ((type *)(void *)((char *)(ptr) - offsetof(type, member)))

#define MIN(a, b) ((a) < (b) ? (a) : (b))
#define MAX(a, b) ((a) > (b) ? (a) : (b))

#define KIB(n) ((uint64_t)(n) << 10)
#define MIB(n) ((uint64_t)(n) << 20)
#define GIB(n) ((uint64_t)(n) << 30)

/* @a is a power of two. */
#define ALIGN_DOWN(v, a) ((v) & ~((a)-1))
#define ALIGN_UP(v, a)	 (((v) + ((a)-1)) & ~((a)-1))

#define ADD_OVERFLOWS(a, b, res) __builtin_add_overflow(a, b, res)
#define MUL_OVERFLOWS(a, b, res) __builtin_mul_overflow(a, b, res)

/*
 * Our own mistakes end the process here, with the place and the condition.  Allowed only where no
 * guest, image, packet, snapshot or monitor input can make @cond true; a reviewer asks for that
 * sentence.  Everything else is a struct err or guest data.
 */
#define BUG_ON(cond)                                                                               \
	do {                                                                                       \
		if (UNLIKELY(cond))                                                                \
			bug_abort(__FILE__, __LINE__, #cond);                                      \
	} while (0)

NORETURN COLD void bug_abort(const char *file, int line, const char *cond);

#endif
