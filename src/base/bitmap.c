/*
 * base/bitmap.c - searching and counting in bitmaps of 64-bit words.
 */
#include "base/bitmap.h"

size_t bitmap_next(const uint64_t *map, size_t bits, size_t from)
{
	size_t i;
	uint64_t word;

	if (from >= bits)
		return bits;
	i = from / 64;
	word = map[i] & (~UINT64_C(0) << (from % 64));
	while (!word) {
		if (++i >= BITMAP_WORDS(bits))
			return bits;
		word = map[i];
	}
	i = i * 64 + (size_t)__builtin_ctzll(word);
	return MIN(i, bits);
}

size_t bitmap_count(const uint64_t *map, size_t bits)
{
	size_t n = 0;

	for (size_t i = 0; i < bits / 64; i++)
		n += (size_t)__builtin_popcountll(map[i]);
	if (bits % 64)
		n += (size_t)__builtin_popcountll(map[bits / 64] & ~(~UINT64_C(0) << (bits % 64)));
	return n;
}
