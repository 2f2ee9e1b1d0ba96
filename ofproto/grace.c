/* SPDX-License-Identifier: Apache-2.0
 *
 * Grace periods: retired objects in the order of their epochs.
 *
 * Why it is safe: a retired item carries the epoch that stood before grace_retire() moved it on. A
 * reader that announced a later epoch read the epoch counter after that move, which the writer did
 * after unlinking, so that it cannot have found the item. Both sides fence, the reader between its
 * announcement and its first look, the writer between unlinking and looking at the announcements: either
 * the writer sees that a reader is inside, or that reader sees the unlinked state.
 */
#include "ofproto/grace.h"

#include <assert.h>

static uint64_t oldest_inside(struct grace *g);

void
grace_init(struct grace *g)
{
	atomic_init(&g->epoch, 1);
	g->head = NULL;
	g->tail = &g->head;
	g->n_retired = 0;
	for (unsigned i = 0; i < GRACE_MAX_READERS; i++) {
		atomic_init(&g->readers[i].inside, 0);
		atomic_init(&g->readers[i].used, false);
		g->readers[i].depth = 0;
	}
}

void
grace_uninit(struct grace *g)
{
	while (grace_run(g, SIZE_MAX)) {
		assert(oldest_inside(g) == atomic_load_explicit(&g->epoch, memory_order_relaxed));
	}
}

struct grace_reader *
grace_reader_register(struct grace *g)
{
	for (unsigned i = 0; i < GRACE_MAX_READERS; i++) {
		bool used = false;

		if (atomic_compare_exchange_strong_explicit(&g->readers[i].used, &used, true,
			    memory_order_acq_rel, memory_order_relaxed)) {
			g->readers[i].depth = 0;
			return &g->readers[i];
		}
	}
	return NULL;
}

void
grace_reader_unregister(struct grace_reader *r)
{
	assert(!r->depth);
	atomic_store_explicit(&r->used, false, memory_order_release);
}

void
grace_retire(struct grace *g, struct grace_item *item, void (*release)(struct grace_item *))
{
	item->epoch = atomic_fetch_add_explicit(&g->epoch, 1, memory_order_seq_cst);
	item->release = release;
	item->next = NULL;
	*g->tail = item;
	g->tail = &item->next;
	g->n_retired++;
}

bool
grace_run(struct grace *g, size_t max)
{
	uint64_t oldest;

	if (!g->head) {
		return false;
	}
	oldest = oldest_inside(g);
	for (; max && g->head && g->head->epoch < oldest; max--) {
		struct grace_item *item = g->head;

		g->head = item->next;
		if (!g->head) {
			g->tail = &g->head;
		}
		g->n_retired--;
		item->release(item);
	}
	return g->head != NULL;
}

/* The smallest epoch that a reader inside announced, and at most the current one: what is retired from
 * now on (by release functions, too) must be judged by a later look at the readers. */
static uint64_t
oldest_inside(struct grace *g)
{
	uint64_t oldest = atomic_load_explicit(&g->epoch, memory_order_relaxed);

	atomic_thread_fence(memory_order_seq_cst);
	for (unsigned i = 0; i < GRACE_MAX_READERS; i++) {
		uint64_t inside = atomic_load_explicit(&g->readers[i].inside, memory_order_seq_cst);

		if (inside && inside < oldest) {
			oldest = inside;
		}
	}
	return oldest;
}
