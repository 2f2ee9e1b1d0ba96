/* SPDX-License-Identifier: Apache-2.0
 *
 * Hash of masked keys, for the fast path.
 *
 * Why: the products of word pairs do not depend on each other, so that a block costs four
 *      multiplications side by side rather than eight in a row (lib's flow_key_hash()).
 *      Equal masked keys hash alike whether a block is absent or zero.
 */
#pragma once

#include <stdbool.h>
#include <stdint.h>
#include <string.h>

#include "lib/compiler.h"
#include "lib/flow_key.h"

/* Random numbers, made anew in each run: who does not know them cannot choose packets whose keys meet in
 * one chain or bucket. */
extern uint64_t key_hash_secret[FLOW_BLOCK_WORDS];

/* Makes them, once; before the first hash. Any thread while there is but one. */
void key_hash_init(void);

static inline uint64_t
key_hash_pair(uint64_t a, uint64_t b)
{
	unsigned __int128 product = (unsigned __int128)a * b;

	return (uint64_t)product ^ (uint64_t)(product >> 64);
}

static inline uint64_t
key_hash_block(const uint64_t *in, const uint64_t *bits, unsigned block)
{
	const uint64_t *k = key_hash_secret;
	uint64_t w[FLOW_BLOCK_WORDS], any = 0, h;

	for (unsigned i = 0; i < FLOW_BLOCK_WORDS; i++) {
		w[i] = in[i] & bits[i];
		any |= w[i];
	}
	h = key_hash_pair(w[0] ^ k[0], w[1] ^ k[1]) ^ key_hash_pair(w[2] ^ k[2], w[3] ^ k[3]) ^
	    key_hash_pair(w[4] ^ k[4], w[5] ^ k[5]) ^ key_hash_pair(w[6] ^ k[6], w[7] ^ k[7]);
	return any ? key_hash_pair(h + block, k[block & 7]) : 0;
}

/* @words: the mask's words, block by block, for the blocks of @blocks. */
static inline uint32_t
key_hash_masked(const struct flow_key *key, uint8_t present, unsigned blocks, const uint64_t *words)
{
	uint64_t h = 0;

	while (blocks) {
		unsigned b = (unsigned)__builtin_ctz(blocks);

		if (WEFT_LIKELY(present & FLOW_BLOCK(b))) {
			h ^= key_hash_block(key->words + b * FLOW_BLOCK_WORDS, words, b);
		}
		words += FLOW_BLOCK_WORDS;
		blocks &= blocks - 1;
	}
	return (uint32_t)(h ^ h >> 32);
}

/* The same under a whole mask, of which @blocks matter. */
static inline uint32_t
key_hash_live(
	const struct flow_key *key, uint8_t present, unsigned blocks, const struct flow_mask *mask)
{
	uint64_t h = 0;

	blocks &= present;
	while (blocks) {
		unsigned b = (unsigned)__builtin_ctz(blocks);

		h ^= key_hash_block(key->words + b * FLOW_BLOCK_WORDS,
			mask->bits.words + b * FLOW_BLOCK_WORDS, b);
		blocks &= blocks - 1;
	}
	return (uint32_t)(h ^ h >> 32);
}

/* Odd constants of no structure: where a conversation goes is the same in every run. */
static const uint64_t key_hash_tuple_salt[8] = {
	0xa0761d6478bd642full,
	0xe7037ed1a0b428dbull,
	0x8ebc6af09c88c6e3ull,
	0x589965cc75374cc3ull,
	0x1d8e4e27c47d124full,
	0xeb44accab455d165ull,
	0x72be1fda9a4f7dc7ull,
	0xd6e8feb86659fd93ull,
};

/* Hash of what tells one conversation's packets from another's: addresses, protocol and L4 ports of IP
 * packets, but for fragments, of which only the first has ports; of other packets the Ethernet header,
 * and who asks for whom in ARP. */
static inline uint32_t
key_hash_tuple(const struct flow_key *key, uint8_t present, uint32_t basis)
{
	uint64_t where, who, hosts = 0;
	bool v4 = key->eth_type == be16_from(0x0800), v6 = key->eth_type == be16_from(0x86dd);

	if ((v4 || v6) && !(key->ip_frag & FLOW_BAD_L3)) {
		where = key->ip_frag & FLOW_FRAG_ANY ? 0
						     : (uint64_t)key->l4_src << 16 | key->l4_dst;
		where = where << 8 | key->ip_proto;
		who = (uint64_t)key->ip_src << 32 | key->ip_dst;
		if (v6 && present & FLOW_BLOCK(1)) {
			const uint64_t *a = key->words + FLOW_BLOCK_WORDS; /* source, destination */

			hosts = key_hash_pair(a[0] ^ key_hash_tuple_salt[0],
					a[1] ^ key_hash_tuple_salt[1]) ^
				key_hash_pair(a[2] ^ key_hash_tuple_salt[2],
					a[3] ^ key_hash_tuple_salt[3]);
		}
	} else {
		memcpy(&who, key->eth_dst, 8);
		memcpy(&where, key->eth_dst + 4, 8);
		hosts = (uint64_t)key->eth_type << 16 | key->vlan_tci;
		hosts ^= (uint64_t)key->arp_spa << 32 | key->arp_tpa; /* 0 but in ARP */
	}
	hosts ^= key_hash_pair(who ^ key_hash_tuple_salt[4], where ^ key_hash_tuple_salt[5]);
	hosts = key_hash_pair(hosts ^ key_hash_tuple_salt[6], basis ^ key_hash_tuple_salt[7]);
	return (uint32_t)(hosts ^ hosts >> 32);
}
