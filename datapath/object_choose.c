/* SPDX-License-Identifier: Apache-2.0
 *
 * Objects: which bucket a packet takes.
 */
#include "datapath/object.h"
#include "datapath/port.h"
#include "datapath/select.h"

#define SELECT_TRIES 16u /* entries of a table before all buckets are compared */

static bool is_live(struct dp_handle h, unsigned depth, unsigned *looks);

/* OpenFlow 1.3.5 section 6.5: either of what a bucket watches makes it live. */
static bool
bucket_is_live(const struct dp_bucket *b, unsigned depth, unsigned *looks)
{
	if (!*looks) {
		return false;
	}
	--*looks;
	if (b->watch_port == UINT32_MAX && dp_handle_is_none(b->watch_object)) {
		return true;
	}
	return (b->watch_port != UINT32_MAX && port_is_live(b->watch_port)) ||
	       (!dp_handle_is_none(b->watch_object) && is_live(b->watch_object, depth, looks));
}

static bool
is_live(struct dp_handle h, unsigned depth, unsigned *looks)
{
	const struct object_body *body = object_find(h);

	if (!body || depth == DP_OBJECT_MAX_DEPTH) {
		return false;
	}
	for (uint32_t i = 0; body->buckets && i < body->n_parts; i++) {
		if (bucket_is_live(body->buckets[i], depth + 1, looks)) {
			return true;
		}
	}
	return !body->buckets;
}

bool
object_bucket_is_live(const struct dp_bucket *bucket, unsigned *looks)
{
	return bucket_is_live(bucket, 0, looks);
}

/* All live buckets against each other: for when the table leads from one dead bucket to the next. */
static uint32_t
choose_best(const struct object_body *body, uint64_t hash, unsigned *looks)
{
	uint32_t best = SELECT_NONE;
	double best_score = 0;

	for (uint32_t i = 0; i < body->n_parts; i++) {
		const struct dp_bucket *b = body->buckets[i];
		const struct select_bucket candidate = {b->id, b->weight};
		double score;

		if (b->weight && bucket_is_live(b, 0, looks)) {
			score = select_score(&candidate, hash);
			if (best == SELECT_NONE || score > best_score) {
				best = i;
				best_score = score;
			}
		}
	}
	return best;
}

static uint32_t
choose_by_weight(const struct object_body *body, uint32_t hash, unsigned *looks)
{
	/* With a seed, lest one select behind another sees but the hashes that it was chosen for. */
	uint64_t h = hash_mix(body->seed, hash);

	for (unsigned try_ = 0; body->table && try_ < SELECT_TRIES; try_++) {
		uint32_t i = select_table_try(body->table, h, try_);

		if (WEFT_LIKELY(bucket_is_live(body->buckets[i], 0, looks))) {
			return i;
		}
	}
	return body->table ? choose_best(body, h, looks) : SELECT_NONE;
}

static uint32_t
choose_first(const struct object_body *body, unsigned *looks)
{
	for (uint32_t i = 0; i < body->n_parts; i++) {
		if (bucket_is_live(body->buckets[i], 0, looks)) {
			return i;
		}
	}
	return SELECT_NONE;
}

const struct dp_bucket *
object_choose(const struct object_body *body, uint32_t hash, uint32_t *part, unsigned *looks)
{
	*part = body->kind == DP_OBJECT_SELECT ? choose_by_weight(body, hash, looks)
					       : choose_first(body, looks);
	return *part == SELECT_NONE ? NULL : body->buckets[*part];
}
