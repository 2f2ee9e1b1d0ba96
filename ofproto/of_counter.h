/* SPDX-License-Identifier: Apache-2.0
 *
 * Counters of groups and buckets: shared by the versions of a group and the flows that credit them.
 *
 * Threads: any; a reference keeps it alive.
 */
#pragma once

#include <stdatomic.h>
#include <stdint.h>
#include <stdlib.h>

#include "lib/alloc.h"

struct of_counter {
	_Atomic uint32_t refs;
	_Atomic uint64_t packets;
	_Atomic uint64_t bytes;
};

static inline struct of_counter *
of_counter_create(uint64_t packets, uint64_t bytes)
{
	struct of_counter *c = xcalloc(1, sizeof(*c));

	atomic_init(&c->refs, 1);
	atomic_init(&c->packets, packets);
	atomic_init(&c->bytes, bytes);
	return c;
}

static inline struct of_counter *
of_counter_ref(struct of_counter *c)
{
	atomic_fetch_add_explicit(&c->refs, 1, memory_order_relaxed);
	return c;
}

static inline void
of_counter_unref(struct of_counter *c)
{
	if (atomic_fetch_sub_explicit(&c->refs, 1, memory_order_acq_rel) == 1) {
		free(c);
	}
}

static inline void
of_counter_add(struct of_counter *c, uint64_t packets, uint64_t bytes)
{
	atomic_fetch_add_explicit(&c->packets, packets, memory_order_relaxed);
	atomic_fetch_add_explicit(&c->bytes, bytes, memory_order_relaxed);
}
