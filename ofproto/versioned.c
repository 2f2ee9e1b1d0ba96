/* SPDX-License-Identifier: Apache-2.0
 *
 * Versioned objects: hash chains that one writer changes under readers.
 */
#include "ofproto/versioned.h"

#include <stdlib.h>

#include "lib/alloc.h"
#include "lib/hash.h"

#define N_CHAINS 4096u

struct versioned_chains {
	_Atomic(struct versioned *) heads[N_CHAINS];
};

static _Atomic(struct versioned *) *chain_of(struct versioned_chains *c, uint32_t id);
static void leave_chain(struct grace_item *retired);
static void leave_memory(struct grace_item *retired);

void
versioned_table_init(struct versioned_table *t, struct grace *grace)
{
	atomic_init(&t->chains, NULL);
	t->grace = grace;
	list_init(&t->items);
	t->n = t->n_next = 0;
}

void
versioned_table_uninit(struct versioned_table *t)
{
	free(atomic_load_explicit(&t->chains, memory_order_relaxed));
}

struct versioned *
versioned_find(const struct versioned_table *t, uint32_t id, uint64_t version)
{
	struct versioned_chains *c = atomic_load_explicit(&t->chains, memory_order_acquire);
	struct versioned *item;

	if (!c) {
		return NULL;
	}
	item = atomic_load_explicit(chain_of(c, id), memory_order_acquire);
	while (item && (item->id != id || !versioned_is_visible(item, version))) {
		item = atomic_load_explicit(&item->next, memory_order_acquire);
	}
	return item;
}

void
versioned_insert(struct versioned_table *t, struct versioned *item, uint64_t version,
	void (*destroy)(struct versioned *item))
{
	struct versioned_chains *c = atomic_load_explicit(&t->chains, memory_order_relaxed);
	_Atomic(struct versioned *) *head;

	if (!c) {
		c = xcalloc(1, sizeof(*c));
		atomic_store_explicit(&t->chains, c, memory_order_release);
	}
	item->table = t;
	item->destroy = destroy;
	atomic_init(&item->added, version);
	atomic_init(&item->removed, VERSIONED_NEVER);
	list_push_back(&t->items, &item->by_table);
	t->n++;
	head = chain_of(c, item->id);
	atomic_init(&item->next, atomic_load_explicit(head, memory_order_relaxed));
	atomic_store_explicit(head, item, memory_order_release);
}

static int
compare(const void *a, const void *b)
{
	uint32_t x = (*(struct versioned *const *)a)->id, y = (*(struct versioned *const *)b)->id;

	return (x > y) - (x < y);
}

struct versioned **
versioned_collect(
	const struct versioned_table *t, uint32_t id, bool all, uint64_t version, size_t *n)
{
	struct versioned **items = xcalloc(all ? t->n + 1 : 1, sizeof(*items));
	struct versioned *item;

	*n = 0;
	if (!all) {
		item = versioned_find(t, id, version);
		if (item) {
			items[(*n)++] = item;
		}
		return items;
	}
	LIST_FOREACH (item, by_table, &t->items) {
		if (versioned_is_visible(item, version)) {
			items[(*n)++] = item;
		}
	}
	qsort(items, *n, sizeof(items[0]), compare);
	return items;
}

void
versioned_retire(struct versioned *item)
{
	list_remove(&item->by_table);
	item->table->n--;
	grace_retire(item->table->grace, &item->retired, leave_chain);
}

static _Atomic(struct versioned *) *
chain_of(struct versioned_chains *c, uint32_t id)
{
	return &c->heads[hash_u64(id, 0) % N_CHAINS];
}

/* Nobody finds it any more. Readers may stand on it: its own link stays. */
static void
leave_chain(struct grace_item *retired)
{
	struct versioned *item = WEFT_CONTAINER_OF(retired, struct versioned, retired), *at;
	struct versioned_chains *c =
		atomic_load_explicit(&item->table->chains, memory_order_relaxed);
	_Atomic(struct versioned *) *link = chain_of(c, item->id);

	while ((at = atomic_load_explicit(link, memory_order_relaxed)) != item) {
		link = &at->next;
	}
	atomic_store_explicit(link, atomic_load_explicit(&item->next, memory_order_relaxed),
		memory_order_release);
	grace_retire(item->table->grace, &item->retired, leave_memory);
}

static void
leave_memory(struct grace_item *retired)
{
	struct versioned *item = WEFT_CONTAINER_OF(retired, struct versioned, retired);

	item->destroy(item);
}
