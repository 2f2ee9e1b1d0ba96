/* SPDX-License-Identifier: Apache-2.0
 *
 * Change log: a ring of batches, each retired when its place is needed.
 */
#include "ofproto/change_log.h"

#include <stdlib.h>
#include <string.h>

#include "lib/alloc.h"
#include "ofproto/classifier.h"

static struct change *add(struct change_batch **b);
static void drop_first(struct change_log *log);
static void free_batch(struct grace_item *item);

void
change_log_init(struct change_log *log, struct grace *grace)
{
	log->grace = grace;
	atomic_init(&log->first, 0);
	atomic_init(&log->end, 0);
	log->n_changes = 0;
	for (unsigned i = 0; i < CHANGE_LOG_MAX_BATCHES; i++) {
		atomic_init(&log->ring[i], NULL);
	}
}

void
change_log_uninit(struct change_log *log)
{
	for (unsigned i = 0; i < CHANGE_LOG_MAX_BATCHES; i++) {
		change_batch_destroy(atomic_load_explicit(&log->ring[i], memory_order_relaxed));
	}
}

/* --- the writer ---------------------------------------------------------------------------------- */

void
change_note(struct change_batch **b, uint64_t dep)
{
	struct change *c = add(b);

	if (c) {
		*c = (struct change){.dep = dep, .kind = CHANGE_DEP};
	}
}

void
change_note_rule(struct change_batch **b, uint64_t table_dep, const struct cls_rule *rule)
{
	struct change *c = add(b);
	struct change_batch *batch = *b;
	const uint64_t *mask;
	unsigned n;

	if (!c) {
		return;
	}
	*c = (struct change){
		.dep = table_dep,
		.map = cls_rule_map(rule),
		.words = (uint32_t)batch->n_words,
		.priority = rule->priority,
		.kind = CHANGE_RULE_NEW,
	};
	mask = cls_rule_mask_words(rule);
	n = of_mini_n(c->map);
	if (!batch->words || batch->n_words + 2 * n > batch->words_capacity) {
		batch->words_capacity = 2 * batch->words_capacity + 2 * n;
		batch->words =
			xrealloc(batch->words, batch->words_capacity * sizeof(batch->words[0]));
	}
	memcpy(batch->words + batch->n_words, mask, n * sizeof(mask[0]));
	memcpy(batch->words + batch->n_words + n, rule->words, n * sizeof(rule->words[0]));
	batch->n_words += 2 * n;
}

void
change_note_all(struct change_batch **b)
{
	if (!*b) {
		*b = xcalloc(1, sizeof(**b));
	}
	(*b)->is_all = true;
	(*b)->n = 0;
	(*b)->n_words = 0;
}

void
change_batch_destroy(struct change_batch *b)
{
	if (b) {
		free(b->changes);
		free(b->words);
		free(b);
	}
}

void
change_log_append(struct change_log *log, struct change_batch *b, uint64_t version)
{
	uint64_t end = atomic_load_explicit(&log->end, memory_order_relaxed);

	if (!b) {
		change_note_all(&b);
	}
	b->seq = end;
	b->version = version;
	log->n_changes += b->n;
	while (end - atomic_load_explicit(&log->first, memory_order_relaxed) >=
			CHANGE_LOG_MAX_BATCHES ||
		(log->n_changes > CHANGE_LOG_MAX_CHANGES &&
			end != atomic_load_explicit(&log->first, memory_order_relaxed))) {
		drop_first(log);
	}
	atomic_store_explicit(&log->ring[end % CHANGE_LOG_MAX_BATCHES], b, memory_order_release);
	atomic_store_explicit(&log->end, end + 1, memory_order_release);
}

void
change_log_trim(struct change_log *log, uint64_t seq)
{
	uint64_t end = atomic_load_explicit(&log->end, memory_order_relaxed);

	while (atomic_load_explicit(&log->first, memory_order_relaxed) < WEFT_MIN(seq, end)) {
		drop_first(log);
	}
}

/* Readers see first that it is gone, and then where it was something else. */
static void
drop_first(struct change_log *log)
{
	uint64_t first = atomic_load_explicit(&log->first, memory_order_relaxed);
	_Atomic(struct change_batch *) *slot = &log->ring[first % CHANGE_LOG_MAX_BATCHES];
	struct change_batch *b = atomic_load_explicit(slot, memory_order_relaxed);

	atomic_store_explicit(&log->first, first + 1, memory_order_release);
	atomic_store_explicit(slot, NULL, memory_order_release);
	log->n_changes -= b->n;
	grace_retire(log->grace, &b->retired, free_batch);
}

static struct change *
add(struct change_batch **b)
{
	struct change_batch *batch;

	if (!*b) {
		*b = xcalloc(1, sizeof(**b));
	}
	batch = *b;
	if (batch->n == CHANGE_BATCH_MAX) {
		change_note_all(b);
	}
	if (batch->is_all) {
		return NULL;
	}
	if (batch->n == batch->capacity) {
		batch->capacity = 2 * batch->capacity + 1;
		batch->changes =
			xrealloc(batch->changes, batch->capacity * sizeof(batch->changes[0]));
	}
	return &batch->changes[batch->n++];
}

static void
free_batch(struct grace_item *item)
{
	change_batch_destroy(WEFT_CONTAINER_OF(item, struct change_batch, retired));
}

/* --- readers ------------------------------------------------------------------------------------- */

const struct change_batch *
change_log_get(const struct change_log *log, uint64_t seq)
{
	const struct change_batch *b = atomic_load_explicit(
		&log->ring[seq % CHANGE_LOG_MAX_BATCHES], memory_order_acquire);

	return b && b->seq == seq ? b : NULL;
}
