/*
 * The random bytes that the guest's checker and the host's driver send each other: both sides make
 * the same sequence from the same seed, so that the receiver can name the first wrong byte.
 */
#ifndef LODGE_TESTS_GUEST_STREAM_H
#define LODGE_TESTS_GUEST_STREAM_H

#include <stdint.h>

/* Position in a sequence; set `state` to the seed, which must not be 0. */
struct stream {
	uint32_t state;
};

/* The next 32 random bits (xorshift). */
static inline uint32_t stream_next(struct stream *s)
{
	s->state ^= s->state << 13;
	s->state ^= s->state >> 17;
	s->state ^= s->state << 5;
	return s->state;
}

/*
 * The next byte: any value but 0x01 (C-a), which is the escape character of a console, and LF,
 * before which a monitor on a terminal may put a carriage return.
 */
static inline uint8_t stream_byte(struct stream *s)
{
	uint8_t byte = (uint8_t)(stream_next(s) >> 11);

	return byte == 0x01 || byte == '\n' ? 0x02 : byte;
}

/* The next printable character. */
static inline char stream_char(struct stream *s)
{
	return (char)(' ' + (stream_next(s) >> 9) % 95);
}

#endif
