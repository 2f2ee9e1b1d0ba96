/* SPDX-License-Identifier: Apache-2.0
 *
 * Hash map with its links inside the elements, chained, growing by linear hashing: bucket by bucket, an
 * insertion moves no more than one chain, however large the map is.
 *
 * The user hashes and compares. An element must not be in two maps by the same node. Not safe
 * between threads.
 */
#pragma once

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "lib/compiler.h"

struct hmap_node {
	struct hmap_node *next;
	uint32_t hash;
};

struct hmap {
	struct hmap_node **buckets; /* &one while it has a single bucket */
	struct hmap_node *one;
	uint32_t mask;      /* of the buckets that there is room for, a power of two */
	uint32_t n_buckets; /* in use, more than half of them */
	size_t n;
};

void hmap_init(struct hmap *map);
/* Frees the map's own memory; the elements are the user's. */
void hmap_uninit(struct hmap *map);
void hmap_insert(struct hmap *map, struct hmap_node *node, uint32_t hash);
void hmap_remove(struct hmap *map, struct hmap_node *node);
/* Makes room for @n elements. */
void hmap_reserve(struct hmap *map, size_t n);

static inline size_t
hmap_count(const struct hmap *map)
{
	return map->n;
}

static inline bool
hmap_is_empty(const struct hmap *map)
{
	return !map->n;
}

static inline uint32_t
hmap_bucket_(const struct hmap *map, uint32_t hash)
{
	uint32_t at = hash & map->mask;

	return at < map->n_buckets ? at : at & map->mask >> 1;
}

/* First node with that hash, and the next one after @node with the same; NULL: none. */
static inline struct hmap_node *
hmap_next_with_hash_(struct hmap_node *node, uint32_t hash)
{
	while (node && node->hash != hash) {
		node = node->next;
	}
	return node;
}

static inline struct hmap_node *
hmap_first_with_hash(const struct hmap *map, uint32_t hash)
{
	return hmap_next_with_hash_(map->buckets[hmap_bucket_(map, hash)], hash);
}

static inline struct hmap_node *
hmap_next_with_hash(const struct hmap_node *node)
{
	return hmap_next_with_hash_(node->next, node->hash);
}

/* Any order; inserting while iterating may skip or repeat. */
struct hmap_node *hmap_first(const struct hmap *map);
struct hmap_node *hmap_next(const struct hmap *map, const struct hmap_node *node);

#define HMAP_ENTRY(NODE, TYPE, MEMBER)                                                             \
	({                                                                                         \
		struct hmap_node *hmap_entry_node = (NODE);                                        \
		hmap_entry_node ? WEFT_CONTAINER_OF(hmap_entry_node, TYPE, MEMBER) : NULL;         \
	})

#define HMAP_FOREACH_WITH_HASH(VAR, MEMBER, HASH, MAP)                                             \
	for (VAR = HMAP_ENTRY(hmap_first_with_hash(MAP, HASH), __typeof__(*VAR), MEMBER); VAR;     \
		VAR = HMAP_ENTRY(hmap_next_with_hash(&VAR->MEMBER), __typeof__(*VAR), MEMBER))

#define HMAP_FOREACH(VAR, MEMBER, MAP)                                                             \
	for (VAR = HMAP_ENTRY(hmap_first(MAP), __typeof__(*VAR), MEMBER); VAR;                     \
		VAR = HMAP_ENTRY(hmap_next(MAP, &VAR->MEMBER), __typeof__(*VAR), MEMBER))

/* The body may remove (and free) @VAR. @NEXT: a second variable of the type. */
#define HMAP_FOREACH_SAFE(VAR, NEXT, MEMBER, MAP)                                                  \
	for (VAR = HMAP_ENTRY(hmap_first(MAP), __typeof__(*VAR), MEMBER);                          \
		VAR &&                                                                             \
		(NEXT = HMAP_ENTRY(hmap_next(MAP, &VAR->MEMBER), __typeof__(*VAR), MEMBER), true); \
		VAR = NEXT)
