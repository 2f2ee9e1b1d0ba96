/* SPDX-License-Identifier: Apache-2.0
 *
 * Byte order: types for integers in network order, conversions, and access at any alignment.
 */
#pragma once

#include <stdint.h>
#include <string.h>

/* Network order; never computed with. */
typedef uint16_t be16_t;
typedef uint32_t be32_t;
typedef uint64_t be64_t;

#if __BYTE_ORDER__ == __ORDER_LITTLE_ENDIAN__
#define WEFT_SWAP16(X) __builtin_bswap16(X)
#define WEFT_SWAP32(X) __builtin_bswap32(X)
#define WEFT_SWAP64(X) __builtin_bswap64(X)
#else
#define WEFT_SWAP16(X) ((uint16_t)(X))
#define WEFT_SWAP32(X) ((uint32_t)(X))
#define WEFT_SWAP64(X) ((uint64_t)(X))
#endif

static inline be16_t
be16_from(uint16_t host)
{
	return WEFT_SWAP16(host);
}

static inline be32_t
be32_from(uint32_t host)
{
	return WEFT_SWAP32(host);
}

static inline be64_t
be64_from(uint64_t host)
{
	return WEFT_SWAP64(host);
}

static inline uint16_t
be16_to(be16_t wire)
{
	return WEFT_SWAP16(wire);
}

static inline uint32_t
be32_to(be32_t wire)
{
	return WEFT_SWAP32(wire);
}

static inline uint64_t
be64_to(be64_t wire)
{
	return WEFT_SWAP64(wire);
}

/* Host-order values of big-endian bytes, at any alignment. */
static inline uint16_t
get_be16(const void *bytes)
{
	be16_t v;

	memcpy(&v, bytes, sizeof v);
	return be16_to(v);
}

static inline uint32_t
get_be32(const void *bytes)
{
	be32_t v;

	memcpy(&v, bytes, sizeof v);
	return be32_to(v);
}

static inline uint64_t
get_be64(const void *bytes)
{
	be64_t v;

	memcpy(&v, bytes, sizeof v);
	return be64_to(v);
}

static inline void
put_be16(void *bytes, uint16_t host)
{
	be16_t v = be16_from(host);

	memcpy(bytes, &v, sizeof v);
}

static inline void
put_be32(void *bytes, uint32_t host)
{
	be32_t v = be32_from(host);

	memcpy(bytes, &v, sizeof v);
}

static inline void
put_be64(void *bytes, uint64_t host)
{
	be64_t v = be64_from(host);

	memcpy(bytes, &v, sizeof v);
}
