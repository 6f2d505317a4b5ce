/*
 * base/bitmap.h - bitmaps of 64-bit words, bit 0 of word 0 first, as KVM's dirty log has them.
 */
#ifndef LODGE_BASE_BITMAP_H
#define LODGE_BASE_BITMAP_H

#include "base/compiler.h"

#define BITMAP_WORDS(bits) (((bits) + 63) / 64)

static inline void bitmap_set(uint64_t *map, size_t bit)
{
	map[bit / 64] |= UINT64_C(1) << (bit % 64);
}

static inline void bitmap_clear(uint64_t *map, size_t bit)
{
	map[bit / 64] &= ~(UINT64_C(1) << (bit % 64));
}

static inline bool bitmap_test(const uint64_t *map, size_t bit)
{
	return map[bit / 64] >> (bit % 64) & 1;
}

/* The first set bit at or after @from, or @bits if there is none below @bits. */
size_t bitmap_next(const uint64_t *map, size_t bits, size_t from);

/* How many of the first @bits bits are set. */
size_t bitmap_count(const uint64_t *map, size_t bits);

#endif
