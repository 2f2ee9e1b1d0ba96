/* SPDX-License-Identifier: Apache-2.0
 *
 * Contexts.
 */
#include "datapath/context.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "lib/alloc.h"
#include "lib/hash.h"

void
contexts_init(struct contexts *c)
{
	hmap_init(&c->map);
	c->next = 1;
}

void
contexts_uninit(struct contexts *c)
{
	struct context *x, *next;

	HMAP_FOREACH_SAFE (x, next, node, &c->map) {
		hmap_remove(&c->map, &x->node);
		free(x);
	}
	hmap_uninit(&c->map);
}

static struct context *
find(const struct contexts *c, uint32_t id)
{
	struct context *x;

	HMAP_FOREACH_WITH_HASH (x, node, hash_u64(id, 0), &c->map) {
		if (x->id == id) {
			return x;
		}
	}
	return NULL;
}

int
contexts_put(struct contexts *c, uint32_t id, const void *data, uint32_t size)
{
	struct context *x;

	if (find(c, id)) {
		return -EEXIST;
	}
	/* Handlers allocate from one counter but their puts may overtake each other: an id below next
	 * is fine unless it was used, and what was used and deleted the agent remembers. */
	x = xmalloc(sizeof *x + size);
	x->id = id;
	x->size = size;
	if (size) {
		memcpy(x->data, data, size);
	}
	hmap_insert(&c->map, &x->node, hash_u64(id, 0));
	if (id >= c->next) {
		c->next = id + 1;
	}
	return 0;
}

int
contexts_del(struct contexts *c, uint32_t id)
{
	struct context *x = find(c, id);

	if (!x) {
		return -ENOENT;
	}
	hmap_remove(&c->map, &x->node);
	free(x);
	return 0;
}

const struct context *
contexts_next(const struct contexts *c, uint32_t from)
{
	const struct context *x, *best = NULL;

	/* Listing is rare: once when an agent starts. Dense ids are found at once. */
	for (uint32_t id = from; id < c->next && id - from < 64; id++) {
		if ((x = find(c, id))) {
			return x;
		}
	}
	HMAP_FOREACH (x, node, &c->map) {
		if (x->id >= from && (!best || x->id < best->id)) {
			best = x;
		}
	}
	return best;
}
