/* SPDX-License-Identifier: Apache-2.0
 *
 * Versioned objects with a number (groups, meters), found by it.
 *
 * What:     hash chains. An item is visible in versions [added, removed), as a rule is
 *           (ofproto.h); several of one number may stand there, no two visible in one version.
 * Threads:  find: any reader between enter and leave, without locks; all else: the loop.
 * Memory:   the chains are made with the first item. A removed item leaves its chain a grace period
 *           after that was published, and memory another one later.
 */
#pragma once

#include <stdatomic.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "lib/list.h"
#include "ofproto/grace.h"

#define VERSIONED_NEVER UINT64_MAX /* removed: not yet */

struct versioned_chains;
struct versioned_table;

struct versioned {
	struct grace_item retired;
	_Atomic(struct versioned *) next; /* in the chain */
	_Atomic uint64_t added;
	_Atomic uint64_t removed;
	uint32_t id;
	/* The loop's. */
	struct list by_table; /* in the order of adding */
	struct versioned_table *table;
	void (*destroy)(struct versioned *item);
};

struct versioned_table {
	_Atomic(struct versioned_chains *) chains; /* NULL: there was no item yet */
	/* The loop's. */
	struct grace *grace;
	struct list items; /* those that are not retired */
	size_t n;          /* of them */
	size_t n_next;     /* that will stay when the open transaction is published; its own */
};

void versioned_table_init(struct versioned_table *t, struct grace *grace);
/* Frees the chains. No item may be left in them. */
void versioned_table_uninit(struct versioned_table *t);

/* The item of that number in that version; NULL: none. */
struct versioned *versioned_find(const struct versioned_table *t, uint32_t id, uint64_t version);
static inline bool
versioned_is_visible(const struct versioned *item, uint64_t version)
{
	return atomic_load_explicit(&item->added, memory_order_acquire) <= version &&
	       version < atomic_load_explicit(&item->removed, memory_order_acquire);
}

/* Adds @item (its id set), visible from @version on. @destroy frees it in the end. */
void versioned_insert(struct versioned_table *t, struct versioned *item, uint64_t version,
	void (*destroy)(struct versioned *item));
/* The visible items, all or those with that number, sorted by number: a heap array of @n. */
struct versioned **versioned_collect(
	const struct versioned_table *t, uint32_t id, bool all, uint64_t version, size_t *n);
/* Its last version has been published: it goes. */
void versioned_retire(struct versioned *item);
