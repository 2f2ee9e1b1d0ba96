/* SPDX-License-Identifier: Apache-2.0
 *
 * Grace periods: when may an object that readers could still see be freed?
 *
 * What:     epochs. A reader enters before it looks at shared objects and leaves when it holds no
 *           pointer to them any more. The writer unlinks an object, retires it, and runs: it is
 *           freed when every reader that was inside at that time has left.
 * Threads:  readers: any, each with a struct grace_reader of its own. Writer (retire, run, create,
 *           destroy): one, the loop.
 * Limits:   GRACE_MAX_READERS. A reader that stays inside holds back all freeing, nothing else.
 */
#pragma once

#include <stdatomic.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "lib/compiler.h"

#define GRACE_MAX_READERS 64

struct grace_item {
	struct grace_item *next;
	uint64_t epoch;
	void (*release)(struct grace_item *item);
};

struct grace_reader {
	_Alignas(64) _Atomic uint64_t inside; /* the epoch it entered in; 0: outside */
	_Atomic bool used;
	unsigned depth; /* the reader's own: enter nests */
};

struct grace {
	_Alignas(64) _Atomic uint64_t epoch;
	struct grace_item *head; /* retired, oldest first; the writer's */
	struct grace_item **tail;
	size_t n_retired;
	struct grace_reader readers[GRACE_MAX_READERS];
};

void grace_init(struct grace *g);
/* Frees what is retired. No reader may be inside. */
void grace_uninit(struct grace *g);

/* Any thread. NULL: too many. */
struct grace_reader *grace_reader_register(struct grace *g);
void grace_reader_unregister(struct grace_reader *r);

static inline void
grace_enter(struct grace *g, struct grace_reader *r)
{
	if (r->depth++ == 0) {
		atomic_store_explicit(&r->inside,
			atomic_load_explicit(&g->epoch, memory_order_acquire),
			memory_order_release);
		/* Against the writer's: one of us sees what the other one stored. */
		atomic_thread_fence(memory_order_seq_cst);
	}
}

static inline void
grace_leave(struct grace_reader *r)
{
	if (--r->depth == 0) {
		atomic_store_explicit(&r->inside, 0, memory_order_release);
	}
}

/* Writer: @item (inside an object that is unlinked already) goes to @release after a grace period. */
void grace_retire(struct grace *g, struct grace_item *item, void (*release)(struct grace_item *));

/* Writer: frees up to @max items whose time has come; whether any are left. */
bool grace_run(struct grace *g, size_t max);
