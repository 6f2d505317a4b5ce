/*
 * base/endian.h - integers whose byte order is part of their type, and unaligned access.
 *
 * Wire and file structs use le16 … be64; a plain integer cannot be assigned to them by mistake.
 */
#ifndef LODGE_BASE_ENDIAN_H
#define LODGE_BASE_ENDIAN_H

#include <endian.h>
#include <string.h>

#include "base/compiler.h"

typedef struct { uint16_t raw; } PACKED le16;
typedef struct { uint32_t raw; } PACKED le32;
typedef struct { uint64_t raw; } PACKED le64;
typedef struct { uint16_t raw; } PACKED be16;
typedef struct { uint32_t raw; } PACKED be32;
typedef struct { uint64_t raw; } PACKED be64;

#define ENDIAN_ACCESSORS(type, host, conv_in, conv_out)                                            \
	static inline host type##_get(type v)                                                      \
	{                                                                                          \
		return conv_in(v.raw);                                                             \
	}                                                                                          \
	static inline type type##_of(host v)                                                       \
	{                                                                                          \
		return (type){conv_out(v)};                                                        \
	}                                                                                          \
	static inline host type##_load(const void *p)                                              \
	{                                                                                          \
		host v;                                                                            \
		memcpy(&v, p, sizeof(v));                                                          \
		return conv_in(v);                                                                 \
	}                                                                                          \
	static inline void type##_store(void *p, host v)                                           \
	{                                                                                          \
		v = conv_out(v);                                                                   \
		memcpy(p, &v, sizeof(v));                                                          \
	}

ENDIAN_ACCESSORS(le16, uint16_t, le16toh, htole16)
ENDIAN_ACCESSORS(le32, uint32_t, le32toh, htole32)
ENDIAN_ACCESSORS(le64, uint64_t, le64toh, htole64)
ENDIAN_ACCESSORS(be16, uint16_t, be16toh, htobe16)
ENDIAN_ACCESSORS(be32, uint32_t, be32toh, htobe32)
ENDIAN_ACCESSORS(be64, uint64_t, be64toh, htobe64)

#endif
