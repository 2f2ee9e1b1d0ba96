/* SPDX-License-Identifier: Apache-2.0
 *
 * Hash map: growth and iteration.
 */
#include "lib/hmap.h"

#include <assert.h>
#include <stdlib.h>

#include "lib/alloc.h"

static void
resize(struct hmap *map, size_t n_buckets)
{
	struct hmap_node **buckets = xcalloc(n_buckets, sizeof *buckets);
	uint32_t mask = (uint32_t)(n_buckets - 1);

	for (size_t i = 0; i <= map->mask; i++) {
		struct hmap_node *node = map->buckets[i], *next;

		for (; node; node = next) {
			next = node->next;
			node->next = buckets[node->hash & mask];
			buckets[node->hash & mask] = node;
		}
	}
	if (map->buckets != &map->one) {
		free(map->buckets);
	}
	map->buckets = buckets;
	map->mask = mask;
}

void
hmap_init(struct hmap *map)
{
	map->one = NULL;
	map->buckets = &map->one;
	map->mask = 0;
	map->n = 0;
}

void
hmap_uninit(struct hmap *map)
{
	if (map->buckets != &map->one) {
		free(map->buckets);
	}
	hmap_init(map);
}

void
hmap_reserve(struct hmap *map, size_t n)
{
	size_t n_buckets = (size_t)map->mask + 1;

	while (n_buckets < n && n_buckets < (size_t)1 << 31) {
		n_buckets *= 2;
	}
	if (n_buckets > (size_t)map->mask + 1) {
		resize(map, n_buckets);
	}
}

void
hmap_insert(struct hmap *map, struct hmap_node *node, uint32_t hash)
{
	if (map->n > map->mask) {
		hmap_reserve(map, map->n * 2 < 8 ? 8 : map->n * 2);
	}
	node->hash = hash;
	node->next = map->buckets[hash & map->mask];
	map->buckets[hash & map->mask] = node;
	map->n++;
}

void
hmap_remove(struct hmap *map, struct hmap_node *node)
{
	struct hmap_node **at = &map->buckets[node->hash & map->mask];

	while (*at != node) {
		assert(*at);
		at = &(*at)->next;
	}
	*at = node->next;
	map->n--;
}

static struct hmap_node *
first_from(const struct hmap *map, size_t bucket)
{
	for (; bucket <= map->mask; bucket++) {
		if (map->buckets[bucket]) {
			return map->buckets[bucket];
		}
	}
	return NULL;
}

struct hmap_node *
hmap_first(const struct hmap *map)
{
	return first_from(map, 0);
}

struct hmap_node *
hmap_next(const struct hmap *map, const struct hmap_node *node)
{
	return node->next ? node->next : first_from(map, (node->hash & map->mask) + (size_t)1);
}
