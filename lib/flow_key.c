/* SPDX-License-Identifier: Apache-2.0
 *
 * Flow keys and masks: comparing, masking, hashing, packing.
 *
 * Why: plain loops over 64-bit words of the blocks that matter; compilers vectorise them, and
 *      hand-written SIMD measured no better.
 */
#include "lib/flow_key.h"

#include <string.h>

#include "lib/hash.h"

static inline const uint64_t *
block_words(const struct flow_key *key, unsigned block)
{
	return key->words + block * FLOW_BLOCK_WORDS;
}

static bool
block_is_zero(const struct flow_key *key, unsigned block)
{
	const uint64_t *words = block_words(key, block);
	uint64_t any = 0;

	for (unsigned i = 0; i < FLOW_BLOCK_WORDS; i++) {
		any |= words[i];
	}
	return !any;
}

uint8_t
flow_key_blocks(const struct flow_key *key)
{
	uint8_t blocks = 0;

	for (unsigned b = 0; b < FLOW_N_BLOCKS; b++) {
		blocks |= (uint8_t)(!block_is_zero(key, b) << b);
	}
	return blocks;
}

void
flow_key_clear_absent(struct flow_key *key, uint8_t present)
{
	for (unsigned b = 0; b < FLOW_N_BLOCKS; b++) {
		if (!(present & FLOW_BLOCK(b))) {
			memset(key->bytes + b * FLOW_BLOCK_SIZE, 0, FLOW_BLOCK_SIZE);
		}
	}
}

void
flow_key_mask(struct flow_key *dst, const struct flow_key *key, uint8_t present,
	const struct flow_mask *mask)
{
	for (unsigned b = 0; b < FLOW_N_BLOCKS; b++) {
		uint64_t *out = dst->words + b * FLOW_BLOCK_WORDS;
		const uint64_t *in = block_words(key, b), *bits = block_words(&mask->bits, b);

		if (!(present & FLOW_BLOCK(b))) {
			memset(out, 0, FLOW_BLOCK_SIZE);
			continue;
		}
		for (unsigned i = 0; i < FLOW_BLOCK_WORDS; i++) {
			out[i] = in[i] & bits[i];
		}
	}
}

bool
flow_key_matches(const struct flow_key *key, uint8_t present, const struct flow_key *value,
	const struct flow_mask *mask)
{
	uint64_t differ = 0;

	for (unsigned b = 0; b < FLOW_N_BLOCKS; b++) {
		const uint64_t *in = block_words(key, b), *bits = block_words(&mask->bits, b);
		const uint64_t *want = block_words(value, b);

		for (unsigned i = 0; i < FLOW_BLOCK_WORDS; i++) {
			differ |= ((present & FLOW_BLOCK(b) ? in[i] : 0) & bits[i]) ^ want[i];
		}
	}
	return !differ;
}

uint32_t
flow_key_hash(
	const struct flow_key *key, uint8_t present, const struct flow_mask *mask, uint32_t basis)
{
	uint64_t h = basis;

	for (unsigned b = 0; b < FLOW_N_BLOCKS; b++) {
		const uint64_t *in = block_words(key, b), *bits = block_words(&mask->bits, b);

		if (!(present & FLOW_BLOCK(b))) {
			continue;
		}
		for (unsigned i = 0; i < FLOW_BLOCK_WORDS; i++) {
			uint64_t v = in[i] & bits[i];

			/* Zero words add nothing, so that an absent block counts as one of zeroes. */
			if (v) {
				h = hash_mix(h + b * FLOW_BLOCK_WORDS + i, v);
			}
		}
	}
	return hash_finish(h);
}

bool
flow_key_equal(const struct flow_key *a, const struct flow_key *b)
{
	return !memcmp(a, b, sizeof *a);
}

void
flow_mask_union(struct flow_mask *dst, const struct flow_mask *src)
{
	for (unsigned i = 0; i < FLOW_KEY_SIZE / 8; i++) {
		dst->bits.words[i] |= src->bits.words[i];
	}
}

bool
flow_mask_covers(const struct flow_mask *wide, const struct flow_mask *narrow)
{
	uint64_t more = 0;

	for (unsigned i = 0; i < FLOW_KEY_SIZE / 8; i++) {
		more |= wide->bits.words[i] & ~narrow->bits.words[i];
	}
	return !more;
}

bool
flow_mask_equal(const struct flow_mask *a, const struct flow_mask *b)
{
	return !memcmp(a, b, sizeof *a);
}

bool
flow_match_overlaps(const struct flow_key *a, const struct flow_mask *a_mask,
	const struct flow_key *b, const struct flow_mask *b_mask)
{
	uint64_t differ = 0;

	for (unsigned i = 0; i < FLOW_KEY_SIZE / 8; i++) {
		differ |=
			(a->words[i] ^ b->words[i]) & a_mask->bits.words[i] & b_mask->bits.words[i];
	}
	return !differ;
}

void
flow_key_pack(uint8_t *dst, const struct flow_key *key, uint8_t blocks)
{
	for (unsigned b = 0; b < FLOW_N_BLOCKS; b++) {
		if (blocks & FLOW_BLOCK(b)) {
			memcpy(dst, key->bytes + b * FLOW_BLOCK_SIZE, FLOW_BLOCK_SIZE);
			dst += FLOW_BLOCK_SIZE;
		}
	}
}

void
flow_key_unpack(struct flow_key *key, const uint8_t *src, uint8_t blocks)
{
	for (unsigned b = 0; b < FLOW_N_BLOCKS; b++) {
		uint8_t *dst = key->bytes + b * FLOW_BLOCK_SIZE;

		if (blocks & FLOW_BLOCK(b)) {
			memcpy(dst, src, FLOW_BLOCK_SIZE);
			src += FLOW_BLOCK_SIZE;
		} else {
			memset(dst, 0, FLOW_BLOCK_SIZE);
		}
	}
}
