/* SPDX-License-Identifier: Apache-2.0
 *
 * Hash map: growth and iteration.
 */
#include "lib/hmap.h"

#include <assert.h>
#include <stdlib.h>

#include "lib/alloc.h"

#define MOST_BUCKETS (UINT32_C(1) << 31)

/* Room for that many buckets, a power of two. The new ones are set when they come into use. */
static void
set_capacity(struct hmap *map, size_t capacity)
{
	if (map->buckets == &map->one) {
		map->buckets = xmalloc(capacity * sizeof map->buckets[0]);
		map->buckets[0] = map->one;
	} else {
		map->buckets = xrealloc(map->buckets, capacity * sizeof map->buckets[0]);
	}
	map->mask = (uint32_t)(capacity - 1);
}

/* One more bucket: the nodes that belong there leave the one whose hashes end alike. */
static void
split(struct hmap *map)
{
	uint32_t new = map->n_buckets, old;
	struct hmap_node *node, *next;

	if (new > map->mask) {
		set_capacity(map, ((size_t)map->mask + 1) * 2);
	}
	old = hmap_bucket_(map, new);
	map->n_buckets++;
	node = map->buckets[old];
	map->buckets[old] = map->buckets[new] = NULL;
	for (; node; node = next) {
		uint32_t to = hmap_bucket_(map, node->hash);

		next = node->next;
		node->next = map->buckets[to];
		map->buckets[to] = node;
	}
}

void
hmap_init(struct hmap *map)
{
	*map = (struct hmap){.buckets = &map->one, .n_buckets = 1};
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
	while (map->n_buckets < n && map->n_buckets < MOST_BUCKETS) {
		split(map);
	}
}

void
hmap_insert(struct hmap *map, struct hmap_node *node, uint32_t hash)
{
	uint32_t at;

	if (map->n >= map->n_buckets && map->n_buckets < MOST_BUCKETS) {
		split(map);
	}
	at = hmap_bucket_(map, hash);
	node->hash = hash;
	node->next = map->buckets[at];
	map->buckets[at] = node;
	map->n++;
}

void
hmap_remove(struct hmap *map, struct hmap_node *node)
{
	struct hmap_node **at = &map->buckets[hmap_bucket_(map, node->hash)];

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
	for (; bucket < map->n_buckets; bucket++) {
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
	return node->next ? node->next : first_from(map, hmap_bucket_(map, node->hash) + (size_t)1);
}
