/* SPDX-License-Identifier: Apache-2.0
 *
 * Bag of hashes: open addressing. A slot holds a hash and its count; with a count of 0 it is used again for
 * another hash, but probes go on behind it, as behind any that is not as new.
 */
#include "ofproto/hash_bag.h"

#include <stdlib.h>

#include "lib/alloc.h"

#define MIN_SLOTS 8u

struct hash_bag_slots {
	struct grace_item retired;
	uint32_t mask;           /* size - 1 */
	_Atomic uint64_t slot[]; /* hash, count, and a bit for "not as new" */
};

#define HASH(SLOT) ((uint32_t)((SLOT) >> 32))
#define COUNT(SLOT) ((uint32_t)(SLOT) >> 1)

static void resize(struct hash_bag *b, struct grace *grace);

static uint64_t
make_slot(uint32_t hash, uint32_t count)
{
	return (uint64_t)hash << 32 | count << 1 | 1;
}

/* The slot of a hash; or, if it is not in, the first that it can have (@slots with room alone). */
static _Atomic uint64_t *
find(struct hash_bag_slots *slots, uint32_t hash)
{
	_Atomic uint64_t *empty = NULL;

	for (uint32_t i = hash & slots->mask;; i = (i + 1) & slots->mask) {
		uint64_t slot = atomic_load_explicit(&slots->slot[i], memory_order_relaxed);

		if (slot && HASH(slot) == hash && COUNT(slot)) {
			return &slots->slot[i];
		}
		if (!empty && !COUNT(slot)) {
			empty = &slots->slot[i];
		}
		if (!slot) {
			return empty;
		}
	}
}

void
hash_bag_uninit(struct hash_bag *b)
{
	free(atomic_load_explicit(&b->slots, memory_order_relaxed));
}

void
hash_bag_add(struct hash_bag *b, struct grace *grace, uint32_t hash)
{
	struct hash_bag_slots *slots = atomic_load_explicit(&b->slots, memory_order_relaxed);
	_Atomic uint64_t *at;
	uint64_t slot;

	if (!slots || (b->n_used + 1) * 4 > (slots->mask + 1) * 3) {
		resize(b, grace);
		slots = atomic_load_explicit(&b->slots, memory_order_relaxed);
	}
	at = find(slots, hash);
	slot = atomic_load_explicit(at, memory_order_relaxed);
	b->n += !COUNT(slot);
	b->n_used += !slot;
	atomic_store_explicit(at, make_slot(hash, COUNT(slot) + 1), memory_order_release);
}

void
hash_bag_remove(struct hash_bag *b, struct grace *grace, uint32_t hash)
{
	struct hash_bag_slots *slots = atomic_load_explicit(&b->slots, memory_order_relaxed);
	_Atomic uint64_t *at = find(slots, hash);
	uint32_t count = COUNT(atomic_load_explicit(at, memory_order_relaxed)) - 1;

	b->n -= !count;
	atomic_store_explicit(at, make_slot(hash, count), memory_order_release);
	if (slots->mask + 1 > MIN_SLOTS && b->n * 8 < slots->mask + 1) {
		resize(b, grace);
	}
}

bool
hash_bag_has(const struct hash_bag *b, uint32_t hash)
{
	const struct hash_bag_slots *slots = atomic_load_explicit(&b->slots, memory_order_acquire);

	if (!slots) {
		return false;
	}
	for (uint32_t i = hash & slots->mask;; i = (i + 1) & slots->mask) {
		uint64_t slot = atomic_load_explicit(&slots->slot[i], memory_order_acquire);

		if (!slot) {
			return false;
		}
		if (HASH(slot) == hash && COUNT(slot)) {
			return true;
		}
	}
}

static void
free_slots(struct grace_item *item)
{
	free(WEFT_CONTAINER_OF(item, struct hash_bag_slots, retired));
}

/* New slots, with room for as many again. */
static void
resize(struct hash_bag *b, struct grace *grace)
{
	struct hash_bag_slots *old = atomic_load_explicit(&b->slots, memory_order_relaxed), *slots;
	uint32_t size = MIN_SLOTS;

	while (size < (b->n + 1) * 2) {
		size *= 2;
	}
	slots = xcalloc(1, sizeof(*slots) + size * sizeof(slots->slot[0]));
	slots->mask = size - 1;
	for (uint32_t i = 0; old && i <= old->mask; i++) {
		uint64_t slot = atomic_load_explicit(&old->slot[i], memory_order_relaxed);

		if (COUNT(slot)) {
			atomic_store_explicit(find(slots, HASH(slot)), slot, memory_order_relaxed);
		}
	}
	b->n_used = b->n;
	atomic_store_explicit(&b->slots, slots, memory_order_release);
	if (old) {
		grace_retire(grace, &old->retired, free_slots);
	}
}
