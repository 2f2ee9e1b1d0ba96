/* SPDX-License-Identifier: Apache-2.0
 *
 * Groups and meters: their bodies, for translation and tests.
 */
#pragma once

#include "ofproto/of_counter.h"
#include "ofproto/of_group.h"
#include "ofproto/of_meter.h"
#include "ofproto/versioned.h"

struct group_bucket {
	uint16_t weight;
	struct of_port watch_port;
	uint32_t watch_group;
	uint32_t size;
	const void *actions; /* behind the buckets */
	struct of_counter *counter;
};

/* Immutable once published. */
struct group {
	struct versioned v;
	uint8_t type; /* enum of_group_type */
	uint64_t created_ms;
	struct of_counter *counter; /* goes on from version to version */
	uint32_t n_refs;            /* the loop's, while it counts */
	uint32_t mark;              /* the loop's, while it looks for loops */
	uint32_t n_buckets;
	struct group_bucket buckets[];
};

/* Where the datapath has a meter; goes on from version to version. */
struct meter_object {
	_Atomic uint32_t refs;
	_Atomic uint64_t handle; /* slot in the upper half, generation below; 0: none */
};

/* Immutable once published. */
struct meter {
	struct versioned v;
	uint16_t flags;
	uint64_t created_ms;
	struct meter_object *object;
	uint32_t n_refs; /* the loop's, while it counts */
	uint32_t n_bands;
	struct of_meter_band bands[];
};

static inline struct group *
group_of(struct versioned *v)
{
	return v ? WEFT_CONTAINER_OF(v, struct group, v) : NULL;
}

static inline struct meter *
meter_of(struct versioned *v)
{
	return v ? WEFT_CONTAINER_OF(v, struct meter, v) : NULL;
}

static inline struct dp_handle
meter_handle(const struct meter *m)
{
	uint64_t h = atomic_load_explicit(&m->object->handle, memory_order_acquire);

	return (struct dp_handle){(uint32_t)(h >> 32), (uint32_t)h};
}

enum of_item_kind {
	OF_ITEM_GROUP,
	OF_ITEM_METER,
};

/* What a step of a transaction sees. */
struct txn_scope {
	const struct ofproto *p;
	uint64_t version;
};
/* For struct of_check; @scope: a struct txn_scope. */
bool txn_group_exists(void *scope, uint32_t id);
bool txn_meter_exists(void *scope, uint32_t id);

/* objects.c: counts in n_refs how often rules and groups of @version lead to each group and meter. */
void of_count_refs(struct ofproto *p, uint64_t version);
/* Whether a list leads to a group or to a meter. */
bool of_actions_use_objects(const void *data, size_t size);
bool of_actions_use_object(
	const void *data, size_t size, enum of_item_kind kind, uint32_t id, bool any);
/* Calls @visit for each group and meter (OF_ACTION_GROUP, OF_ACTION_METER) that a list names, nested
 * ones included. */
void of_actions_each_object(const void *data, size_t size,
	void (*visit)(uint16_t type, uint32_t id, void *user), void *user);

/* Tell the journal (and of_model_events) what has become of it in @version. */
void group_journal(struct ofproto *p, uint32_t id, uint64_t version, uint64_t now_ms);
void meter_journal(struct ofproto *p, uint32_t id, uint64_t version, uint64_t now_ms);
