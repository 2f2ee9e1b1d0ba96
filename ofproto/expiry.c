/* SPDX-License-Identifier: Apache-2.0
 *
 * Timeouts: a binary heap of rules by when they may be due.
 *
 * An idle timeout moves with every packet, but the entry in the heap does not: when it comes to the
 * top, it is filed again for what its last use says.
 */
#include <stdlib.h>

#include "lib/alloc.h"
#include "ofproto/ofproto_internal.h"
#include "ofproto/translate.h"

/* How soon to look again at a rule whose statistics are not in yet. */
#define RETRY_MS 100

static uint64_t due(const struct rule *r);
static uint64_t hard_due(const struct rule *r);
static uint64_t stats_ms(const struct of_model *m);
static bool judge(struct rule *r, uint64_t now_ms, uint64_t pulled_ms,
	enum of_removed_reason *reason, uint64_t *again);
static void place(struct of_model *m, uint32_t i, struct rule *r, uint64_t due_ms);
static void sift(struct of_model *m, uint32_t i, struct rule *r, uint64_t due_ms);

void
expiry_add(struct of_model *m, struct rule *r)
{
	if (!r->idle_timeout && !r->hard_timeout) {
		return;
	}
	if (m->n_heap == m->cap_heap) {
		m->cap_heap = 2 * m->cap_heap + 64;
		m->heap = xrealloc(m->heap, m->cap_heap * sizeof(m->heap[0]));
		m->heap_due = xrealloc(m->heap_due, m->cap_heap * sizeof(m->heap_due[0]));
	}
	sift(m, m->n_heap++, r, due(r));
}

void
expiry_del(struct of_model *m, struct rule *r)
{
	uint32_t i = r->heap_index;

	if (i == UINT32_MAX) {
		return;
	}
	r->heap_index = UINT32_MAX;
	m->n_heap--;
	if (i < m->n_heap) {
		sift(m, i, m->heap[m->n_heap], m->heap_due[m->n_heap]);
	}
}

void
of_rule_limit(struct rule *r, uint16_t idle_timeout, uint16_t hard_timeout)
{
	struct of_model *m = r->ofproto->model;

	if (atomic_load_explicit(&r->cls.removed, memory_order_relaxed) != CLS_NEVER) {
		return;
	}
	if (idle_timeout && (!r->idle_timeout || r->idle_timeout > idle_timeout)) {
		r->idle_timeout = idle_timeout;
	}
	if (hard_timeout && (!r->hard_timeout || r->hard_timeout > hard_timeout)) {
		r->hard_timeout = hard_timeout;
	}
	expiry_del(m, r);
	expiry_add(m, r);
}

bool
expiry_run(struct of_model *m, uint64_t now_ms, unsigned budget)
{
	uint64_t pulled_ms = stats_ms(m);
	struct of_txn *t = NULL;

	while (budget-- && m->n_heap && m->heap_due[0] <= now_ms) {
		struct rule *r = m->heap[0];
		enum of_removed_reason reason;
		uint64_t again;

		if (judge(r, now_ms, pulled_ms, &reason, &again)) {
			if (!t) {
				t = txn_begin(m, 1);
			}
			expiry_del(m, r);
			txn_remove(t, r, reason);
		} else {
			sift(m, 0, r, again);
		}
	}
	if (t) {
		of_txn_commit(t, now_ms);
	}
	return m->n_heap && m->heap_due[0] <= now_ms;
}

/* Whether its time is over; if not, when to look again. */
static bool
judge(struct rule *r, uint64_t now_ms, uint64_t pulled_ms, enum of_removed_reason *reason,
	uint64_t *again)
{
	uint64_t used =
		WEFT_MAX(atomic_load_explicit(&r->used_ms, memory_order_relaxed), r->created_ms);
	uint64_t idle_due = used + (uint64_t)r->idle_timeout * 1000;

	if (r->hard_timeout && hard_due(r) <= now_ms) {
		*reason = OF_REMOVED_HARD;
		return true;
	}
	if (r->idle_timeout && idle_due <= now_ms && idle_due <= pulled_ms) {
		*reason = OF_REMOVED_IDLE;
		return true;
	}
	*again = due(r);
	if (*again <= now_ms) {
		*again = now_ms + RETRY_MS;
	}
	return false;
}

static uint64_t
due(const struct rule *r)
{
	uint64_t used =
		WEFT_MAX(atomic_load_explicit(&r->used_ms, memory_order_relaxed), r->created_ms);
	uint64_t ms = UINT64_MAX;

	if (r->hard_timeout) {
		ms = hard_due(r);
	}
	if (r->idle_timeout) {
		ms = WEFT_MIN(ms, used + (uint64_t)r->idle_timeout * 1000);
	}
	return ms;
}

/* A learned rule's time begins anew whenever it is learned. */
static uint64_t
hard_due(const struct rule *r)
{
	return WEFT_MAX(r->created_ms, atomic_load_explicit(&r->renewed_ms, memory_order_relaxed)) +
	       (uint64_t)r->hard_timeout * 1000;
}

/* All use of rules until then has been credited. */
static uint64_t
stats_ms(const struct of_model *m)
{
	uint64_t ms = UINT64_MAX;

	for (unsigned i = 0; i < GRACE_MAX_READERS; i++) {
		const struct of_reader *r =
			atomic_load_explicit(&m->readers[i], memory_order_acquire);

		if (r) {
			ms = WEFT_MIN(ms, atomic_load_explicit(&r->stats_ms, memory_order_acquire));
		}
	}
	return ms;
}

static void
place(struct of_model *m, uint32_t i, struct rule *r, uint64_t due_ms)
{
	m->heap[i] = r;
	m->heap_due[i] = due_ms;
	r->heap_index = i;
}

/* Puts @r where it belongs, from the hole at @i on. */
static void
sift(struct of_model *m, uint32_t i, struct rule *r, uint64_t due_ms)
{
	while (i && m->heap_due[(i - 1) / 2] > due_ms) {
		place(m, i, m->heap[(i - 1) / 2], m->heap_due[(i - 1) / 2]);
		i = (i - 1) / 2;
	}
	for (;;) {
		uint32_t child = 2 * i + 1;

		if (child + 1 < m->n_heap && m->heap_due[child + 1] < m->heap_due[child]) {
			child++;
		}
		if (child >= m->n_heap || m->heap_due[child] >= due_ms) {
			break;
		}
		place(m, i, m->heap[child], m->heap_due[child]);
		i = child;
	}
	place(m, i, r, due_ms);
}
