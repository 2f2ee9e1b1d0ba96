/* SPDX-License-Identifier: Apache-2.0
 *
 * Flow cache: a worker's own signatures of keys under the input port's live mask.
 *
 * What:    8-way buckets of 16-bit signatures and slot numbers. An entry is only a hint: the flow's
 *          own masked compare decides. Only positive entries are kept.
 * Fair:    where a bucket is full, the input port with most entries in it gives one up. A port that is
 *          flooded with keys loses its own entries, not its neighbours'.
 * Threads: the worker's alone; slots are type-stable, so that a stale number is a flow of another
 *          life, which the live word and the compare refuse.
 */
#pragma once

#include <rte_prefetch.h>
#include <stdint.h>
#include <string.h>

#include "datapath/flow_table.h"
#include "lib/race_point.h"

#define FLOW_CACHE_WAYS 8u

struct cache_bucket {
	uint16_t signatures[FLOW_CACHE_WAYS];
	uint32_t slots[FLOW_CACHE_WAYS]; /* FLOW_SLOT_NONE: empty */
	uint8_t tags[FLOW_CACHE_WAYS];   /* the input ports, in part */
	uint8_t next_victim;
	uint8_t zero[7];
};
_Static_assert(sizeof(struct cache_bucket) == 64, "a bucket is one cache line");

struct flow_cache {
	struct cache_bucket *buckets;
	uint32_t mask;
	struct flow *flows; /* all slots */
};

static inline struct cache_bucket *
flow_cache_bucket(const struct flow_cache *c, uint32_t hash)
{
	return &c->buckets[hash & c->mask];
}

static inline void
flow_cache_prefetch(const struct flow_cache *c, uint32_t hash)
{
	rte_prefetch0(flow_cache_bucket(c, hash));
}

static inline uint16_t
flow_cache_signature(uint32_t hash)
{
	return (uint16_t)(hash >> 16);
}

typedef uint16_t flow_cache_signatures __attribute__((vector_size(2 * FLOW_CACHE_WAYS)));

/* The ways that have this signature, a bit for each: see flow_cache_way(). All eight are compared at once. */
static inline uint64_t
flow_cache_hits(const struct cache_bucket *b, uint16_t signature)
{
	flow_cache_signatures v;
	uint64_t half[2];

	memcpy(&v, b->signatures, sizeof v);
	v = (flow_cache_signatures)(v == signature);
	memcpy(half, &v, sizeof half);
	return (half[0] & 0x0001000100010001u) | (half[1] & 0x0002000200020002u);
}

/* The way of the lowest bit of flow_cache_hits(). */
static inline unsigned
flow_cache_way(uint64_t hits)
{
	unsigned bit = (unsigned)__builtin_ctzll(hits);

	return bit / 16 + (bit & 1) * 4;
}

/* The slot of an entry with the hash's signature, or FLOW_SLOT_NONE: what flow_cache_find() will most likely
 * look at. Brings its flow into the processor's cache. */
static inline uint32_t
flow_cache_guess(const struct flow_cache *c, uint32_t hash)
{
	const struct cache_bucket *b = flow_cache_bucket(c, hash);
	uint64_t hits = flow_cache_hits(b, flow_cache_signature(hash));
	uint32_t slot = hits ? b->slots[flow_cache_way(hits)] : FLOW_SLOT_NONE;

	if (WEFT_LIKELY(slot != FLOW_SLOT_NONE)) {
		rte_prefetch0(&c->flows[slot]);
		rte_prefetch0(c->flows[slot].key);
	}
	return slot;
}

/* The flow that a key hits, or NULL. */
static inline struct flow *
flow_cache_find(
	const struct flow_cache *c, uint32_t hash, const struct flow_key *key, uint8_t present)
{
	const struct cache_bucket *b = flow_cache_bucket(c, hash);
	uint64_t hits = flow_cache_hits(b, flow_cache_signature(hash));

	for (; hits; hits &= hits - 1) {
		uint32_t slot = b->slots[flow_cache_way(hits)];

		if (slot != FLOW_SLOT_NONE) {
			struct flow *f = &c->flows[slot];

			RACE_POINT();
			if (atomic_load_explicit(&f->live, memory_order_acquire) &&
				flow_matches(f, key, present)) {
				RACE_POINT();
				return f;
			}
		}
	}
	return NULL;
}

/* Which of the ways a new entry with this tag takes: a free or dead one; else one of the input port that has
 * most of them, so that no port drives another one's entries out beyond its share. */
static inline unsigned
flow_cache_victim(const struct flow_cache *c, struct cache_bucket *b, uint8_t tag)
{
	unsigned most = 0, n_most = 0, n_mine = 0, nth;
	uint8_t loser = tag;

	for (unsigned i = 0; i < FLOW_CACHE_WAYS; i++) {
		unsigned n = 0;

		if (b->slots[i] == FLOW_SLOT_NONE || !c->flows[b->slots[i]].live) {
			return i;
		}
		for (unsigned j = 0; j < FLOW_CACHE_WAYS; j++) {
			n += b->tags[j] == b->tags[i];
		}
		n_mine = b->tags[i] == tag ? n : n_mine;
		if (n > n_most) {
			n_most = n;
			most = b->tags[i];
		}
	}
	if (n_mine < n_most) {
		loser = (uint8_t)most;
	} else {
		n_most = n_mine;
	}
	nth = b->next_victim++ % n_most;
	for (unsigned i = 0;; i++) {
		if (b->tags[i] == loser && !nth--) {
			return i;
		}
	}
}

static inline void
flow_cache_insert(struct flow_cache *c, uint32_t hash, uint32_t slot)
{
	struct cache_bucket *b = flow_cache_bucket(c, hash);
	uint16_t signature = flow_cache_signature(hash);
	uint8_t tag = (uint8_t)c->flows[slot].in_port;
	unsigned at;

	for (uint64_t hits = flow_cache_hits(b, signature); hits; hits &= hits - 1) {
		if (b->slots[flow_cache_way(hits)] == slot) {
			return;
		}
	}
	at = flow_cache_victim(c, b, tag);
	b->signatures[at] = signature;
	b->slots[at] = slot;
	b->tags[at] = tag;
}
