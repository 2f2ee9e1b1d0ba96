/* SPDX-License-Identifier: Apache-2.0
 *
 * Hashes for tables in memory; not stable between versions, not for untrusted collisions beyond
 * what a random basis gives.
 */
#pragma once

#include <stddef.h>
#include <stdint.h>
#include <string.h>

/* Mixes 64 bits into 64 (a multiply, a fold and a shift). */
static inline uint64_t
hash_mix(uint64_t h, uint64_t v)
{
	unsigned __int128 product =
		(unsigned __int128)(h ^ v ^ 0x9e3779b97f4a7c15u) * 0xd6e8feb86659fd93u;

	return (uint64_t)product ^ (uint64_t)(product >> 64);
}

static inline uint32_t
hash_finish(uint64_t h)
{
	h ^= h >> 32;
	h *= 0xe7037ed1a0b428dbu;
	return (uint32_t)(h >> 32);
}

static inline uint32_t
hash_u64(uint64_t v, uint32_t basis)
{
	return hash_finish(hash_mix(basis, v));
}

static inline uint32_t
hash_bytes(const void *data, size_t size, uint32_t basis)
{
	const uint8_t *p = data;
	uint64_t h = basis ^ (uint64_t)size << 32, v;

	for (; size >= 8; size -= 8, p += 8) {
		memcpy(&v, p, 8);
		h = hash_mix(h, v);
	}
	if (size) {
		v = 0;
		memcpy(&v, p, size);
		h = hash_mix(h, v);
	}
	return hash_finish(h);
}

static inline uint32_t
hash_text(const char *text, uint32_t basis)
{
	return hash_bytes(text, strlen(text), basis);
}
