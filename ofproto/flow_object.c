/* SPDX-License-Identifier: Apache-2.0
 *
 * Objects of a flow registry.
 *
 * Busy:  the datapath does not delete an object while a flow refers to it, and a flow that we have
 *        changed or deleted refers to it until a grace period has passed there: we try again.
 */
#include "ofproto/flow_object.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "lib/alloc.h"
#include "lib/hash.h"
#include "lib/hmap.h"
#include "lib/list.h"
#include "ofproto/of_counter.h"

enum object_state {
	OBJECT_PUTTING, /* the put is unanswered; no handle yet */
	OBJECT_READY,
	OBJECT_REFUSED, /* the datapath does not want it */
	OBJECT_DELETING,
};

struct part {
	struct dp_handle handle; /* of its statistics */
	struct flow_stats credited;
	struct of_counter **counters; /* referenced */
	uint32_t n_counters;
	struct rule **rules; /* referenced */
	uint32_t n_rules;
};

struct flow_object {
	struct hmap_node by_body;
	struct hmap_node by_request;
	struct list link;
	enum object_state state;
	bool is_adopted; /* its parts have no counters yet */
	uint32_t refs;
	uint32_t kind;
	uint32_t seed;
	uint32_t n_parts;
	struct dp_handle handle;
	uint64_t request; /* the unanswered one */
	uint64_t idle_ms; /* since when nobody wants it, or it was refused */
	uint64_t pulled_ms;
	size_t size;
	uint8_t *body;
	struct part parts[];
};

struct flow_objects {
	const struct flow_registry_ops *ops;
	int (*prepare)(void *user);
	void *user;
	uint64_t *next_request;
	uint64_t now_ms; /* of the running translation */
	struct hmap by_body;
	struct hmap by_request;
	struct list all;
	struct flow_object **taken; /* by the running translation; referenced */
	uint32_t n_taken;
	uint32_t cap_taken;
};

static uint32_t body_hash(uint32_t kind, const void *body, size_t size);
static struct flow_object *find(struct flow_objects *o, const struct translate_object *wanted);
static bool is_same(const struct flow_object *object, const struct translate_object *wanted);
static struct flow_object *create(struct flow_objects *o, uint32_t kind, uint32_t n_parts,
	const void *body, size_t size, uint64_t now_ms);
static void set_counters(struct flow_object *object, const struct translate_object *wanted);
static int put(struct flow_objects *o, struct flow_object *object);
static void await(struct flow_objects *o, struct flow_object *object, enum object_state state);
static void forget(struct flow_objects *o, struct flow_object *object);
static void credit(struct part *part, const struct flow_stats *now);
static void pull(struct flow_objects *o, struct flow_object *object, uint64_t now_ms);

struct flow_objects *
flow_objects_create(const struct flow_registry_ops *ops, int (*prepare)(void *user), void *user,
	uint64_t *next_request)
{
	struct flow_objects *o = xcalloc(1, sizeof(*o));

	o->ops = ops;
	o->prepare = prepare;
	o->user = user;
	o->next_request = next_request;
	hmap_init(&o->by_body);
	hmap_init(&o->by_request);
	list_init(&o->all);
	return o;
}

void
flow_objects_reset(struct flow_objects *o)
{
	o->n_taken = 0;
	while (!list_is_empty(&o->all)) {
		forget(o, LIST_ENTRY(o->all.next, struct flow_object, link));
	}
}

void
flow_objects_destroy(struct flow_objects *o)
{
	flow_objects_reset(o);
	hmap_uninit(&o->by_body);
	hmap_uninit(&o->by_request);
	free(o->taken);
	free(o);
}

/* --- for translations ---------------------------------------------------------------------------- */

void
flow_objects_begin(struct flow_objects *o, uint64_t now_ms)
{
	o->now_ms = now_ms;
	while (o->n_taken) {
		flow_object_unref(o, o->taken[--o->n_taken]);
	}
}

enum translate_object_state
flow_objects_get(void *objects, const struct translate_object *wanted, struct dp_handle *handle)
{
	struct flow_objects *o = objects;
	struct flow_object *object = find(o, wanted);

	if (!object) {
		object = create(
			o, wanted->kind, wanted->n_parts, wanted->body, wanted->size, o->now_ms);
		object->seed = wanted->seed;
		set_counters(object, wanted);
		if (put(o, object)) {
			/* The ring is full: asked for again with the next translation. */
			forget(o, object);
			return TRANSLATE_OBJECT_PENDING;
		}
	}
	if (object->is_adopted) {
		set_counters(object, wanted);
	}
	switch (object->state) {
	case OBJECT_READY:
		break;
	case OBJECT_REFUSED:
		return TRANSLATE_OBJECT_NONE;
	case OBJECT_PUTTING:
	case OBJECT_DELETING:
		return TRANSLATE_OBJECT_PENDING;
	}
	if (o->n_taken == o->cap_taken) {
		o->cap_taken = 2 * o->cap_taken + 4;
		o->taken = xrealloc(o->taken, o->cap_taken * sizeof(o->taken[0]));
	}
	o->taken[o->n_taken++] = object;
	object->refs++;
	*handle = object->handle;
	return TRANSLATE_OBJECT_READY;
}

struct flow_object **
flow_objects_take(struct flow_objects *o, uint32_t *n)
{
	struct flow_object **taken =
		o->n_taken ? xmemdup(o->taken, o->n_taken * sizeof(o->taken[0])) : NULL;

	*n = o->n_taken;
	o->n_taken = 0;
	return taken;
}

void
flow_object_unref(struct flow_objects *o, struct flow_object *object)
{
	if (--object->refs == 0) {
		object->idle_ms = o->now_ms;
	}
}

/* --- replies ------------------------------------------------------------------------------------- */

static void
put_answered(struct flow_object *object, const struct dp_message *msg, uint64_t now_ms)
{
	const struct dp_object_put_reply *reply = msg->body;

	object->idle_ms = now_ms;
	if (reply->reply.status || msg->n_parts != object->n_parts) {
		object->state = OBJECT_REFUSED;
		return;
	}
	object->state = OBJECT_READY;
	object->handle = reply->object;
	for (uint32_t i = 0; i < object->n_parts; i++) {
		object->parts[i].handle = msg->parts[i];
	}
}

static void
del_answered(struct flow_objects *o, struct flow_object *object, const struct dp_message *msg,
	uint64_t now_ms)
{
	const struct dp_object_del_reply *reply = msg->body;

	if (reply->reply.status == -EBUSY) {
		object->state = OBJECT_READY;
		object->idle_ms = now_ms;
		return;
	}
	for (uint32_t i = 0; i < object->n_parts && i < msg->n_parts && !reply->reply.status; i++) {
		credit(&object->parts[i], &msg->part_stats[i]);
	}
	forget(o, object);
}

bool
flow_objects_reply(struct flow_objects *o, const struct dp_message *msg, uint64_t now_ms)
{
	const struct dp_reply *reply = msg->body;
	uint64_t request = reply->request & ~FLOW_REGISTRY_REQUEST;
	struct flow_object *object;

	if (msg->type != DP_REPLY + DP_OBJECT_PUT && msg->type != DP_REPLY + DP_OBJECT_DEL) {
		return false;
	}
	HMAP_FOREACH_WITH_HASH (object, by_request, hash_u64(request, 0), &o->by_request) {
		if (object->request == request) {
			break;
		}
	}
	if (!object) {
		return true; /* from before a reset */
	}
	hmap_remove(&o->by_request, &object->by_request);
	object->request = 0;
	if (object->state == OBJECT_PUTTING) {
		put_answered(object, msg, now_ms);
	} else {
		del_answered(o, object, msg, now_ms);
	}
	return true;
}

void
flow_objects_adopt(struct flow_objects *o, const struct dp_message *item,
	const struct flow_stats *credited, uint64_t now_ms)
{
	const struct dp_object_item *body = item->body;
	struct flow_object *object;

	if (body->kind == DP_OBJECT_METER || /* the loop's */
		item->n_parts != body->n_parts) {
		return;
	}
	object = create(o, body->kind, body->n_parts, item->data, item->data_len, now_ms);
	object->state = OBJECT_READY;
	object->is_adopted = true;
	object->handle = body->object;
	for (uint32_t i = 0; i < object->n_parts; i++) {
		object->parts[i].handle = item->parts[i];
		object->parts[i].credited = credited[i];
	}
}

/* --- running ------------------------------------------------------------------------------------- */

/* For how long it waits for somebody who wants it again. Nobody will if a rule of its has been removed, and the rule's
 * flow-removed waits for its last counts. */
static uint64_t
linger_ms(const struct flow_object *object)
{
	for (uint32_t i = 0; i < object->n_parts; i++) {
		for (uint32_t k = 0; k < object->parts[i].n_rules; k++) {
			if (of_rule_is_removed(object->parts[i].rules[k])) {
				return OBJECT_BUSY_MS;
			}
		}
	}
	return OBJECT_LINGER_MS;
}

bool
flow_objects_run(struct flow_objects *o, uint64_t now_ms, bool all)
{
	struct flow_object *object, *next;

	o->now_ms = now_ms;
	LIST_FOREACH_SAFE (object, next, link, &o->all) {
		if (object->state == OBJECT_REFUSED && !object->refs &&
			object->idle_ms + OBJECT_RETRY_MS <= now_ms) {
			forget(o, object);
			continue;
		}
		if (object->state != OBJECT_READY) {
			continue;
		}
		if (all || object->pulled_ms + FLOW_REGISTRY_STATS_MS <= now_ms) {
			pull(o, object, now_ms);
		}
		if (!object->refs && object->idle_ms + linger_ms(object) <= now_ms) {
			if (o->ops->object_del(o->ops->user,
				    FLOW_REGISTRY_REQUEST | *o->next_request, object->handle)) {
				return false;
			}
			await(o, object, OBJECT_DELETING);
		}
	}
	return true;
}

uint64_t
flow_objects_next_ms(const struct flow_objects *o)
{
	uint64_t next = UINT64_MAX;
	const struct flow_object *object;

	LIST_FOREACH (object, link, &o->all) {
		if (object->state == OBJECT_READY) {
			next = WEFT_MIN(next, object->pulled_ms + FLOW_REGISTRY_STATS_MS);
		}
		if (!object->refs && !object->request) {
			next = WEFT_MIN(next, object->idle_ms + linger_ms(object));
		}
	}
	return next;
}

bool
flow_objects_are_settled(const struct flow_objects *o)
{
	return !hmap_count(&o->by_request);
}

size_t
flow_objects_count(const struct flow_objects *o)
{
	return hmap_count(&o->by_body);
}

/* ------------------------------------------------------------------------------------------------- */

static uint32_t
body_hash(uint32_t kind, const void *body, size_t size)
{
	return hash_bytes(body, size, kind);
}

static struct flow_object *
find(struct flow_objects *o, const struct translate_object *wanted)
{
	struct flow_object *object;

	HMAP_FOREACH_WITH_HASH (
		object, by_body, body_hash(wanted->kind, wanted->body, wanted->size), &o->by_body) {
		if (is_same(object, wanted)) {
			break;
		}
	}
	return object;
}

static bool
is_same(const struct flow_object *object, const struct translate_object *wanted)
{
	if (object->kind != wanted->kind || object->n_parts != wanted->n_parts ||
		object->size != wanted->size || memcmp(object->body, wanted->body, wanted->size)) {
		return false;
	}
	for (uint32_t i = 0; i < object->n_parts && !object->is_adopted; i++) {
		const struct part *part = &object->parts[i];

		const struct translate_counters *c = &wanted->parts[i];

		if (part->n_counters != c->n || part->n_rules != c->n_rules ||
			memcmp(part->counters, c->v, c->n * sizeof(c->v[0])) ||
			(c->n_rules &&
				memcmp(part->rules, c->rules, c->n_rules * sizeof(c->rules[0])))) {
			return false;
		}
	}
	return true;
}

static struct flow_object *
create(struct flow_objects *o, uint32_t kind, uint32_t n_parts, const void *body, size_t size,
	uint64_t now_ms)
{
	struct flow_object *object =
		xcalloc(1, sizeof(*object) + n_parts * sizeof(object->parts[0]));

	object->kind = kind;
	object->n_parts = n_parts;
	object->size = size;
	object->body = xmemdup(body, size);
	object->idle_ms = now_ms;
	object->pulled_ms = now_ms;
	hmap_insert(&o->by_body, &object->by_body, body_hash(kind, body, size));
	list_push_back(&o->all, &object->link);
	return object;
}

static void
set_counters(struct flow_object *object, const struct translate_object *wanted)
{
	object->is_adopted = false;
	for (uint32_t i = 0; i < object->n_parts; i++) {
		const struct translate_counters *from = &wanted->parts[i];
		struct part *part = &object->parts[i];

		part->n_counters = from->n;
		part->counters = xmemdup(from->v, from->n * sizeof(from->v[0]));
		for (uint32_t k = 0; k < from->n; k++) {
			of_counter_ref(from->v[k]);
		}
		part->n_rules = from->n_rules;
		part->rules = xmemdup(from->rules, from->n_rules * sizeof(from->rules[0]));
		for (uint32_t k = 0; k < from->n_rules; k++) {
			of_rule_ref(from->rules[k]);
		}
	}
}

static int
put(struct flow_objects *o, struct flow_object *object)
{
	int error = o->prepare(o->user);

	if (!error) {
		error = o->ops->object_put(o->ops->user, FLOW_REGISTRY_REQUEST | *o->next_request,
			object->kind, object->seed, object->n_parts, object->body, object->size);
	}
	if (!error) {
		await(o, object, OBJECT_PUTTING);
	}
	return error;
}

static void
await(struct flow_objects *o, struct flow_object *object, enum object_state state)
{
	object->state = state;
	object->request = (*o->next_request)++;
	hmap_insert(&o->by_request, &object->by_request, hash_u64(object->request, 0));
}

static void
forget(struct flow_objects *o, struct flow_object *object)
{
	if (object->request) {
		hmap_remove(&o->by_request, &object->by_request);
	}
	hmap_remove(&o->by_body, &object->by_body);
	list_remove(&object->link);
	for (uint32_t i = 0; i < object->n_parts; i++) {
		struct part *part = &object->parts[i];

		for (uint32_t k = 0; k < part->n_counters; k++) {
			of_counter_unref(part->counters[k]);
		}
		for (uint32_t k = 0; k < part->n_rules; k++) {
			of_rule_unref(part->rules[k]);
		}
		free(part->counters);
		free(part->rules);
	}
	free(object->body);
	free(object);
}

/* Credits what came since the last time. */
static void
credit(struct part *part, const struct flow_stats *now)
{
	if (now->packets <= part->credited.packets) {
		return;
	}
	for (uint32_t i = 0; i < part->n_counters; i++) {
		of_counter_add(part->counters[i], now->packets - part->credited.packets,
			now->bytes - part->credited.bytes);
	}
	for (uint32_t i = 0; i < part->n_rules; i++) {
		of_rule_credit(part->rules[i], now->packets - part->credited.packets,
			now->bytes - part->credited.bytes, now->used_ms);
	}
	part->credited = *now;
}

static void
pull(struct flow_objects *o, struct flow_object *object, uint64_t now_ms)
{
	object->pulled_ms = now_ms;
	if (object->is_adopted) {
		return; /* whose they are is not known yet */
	}
	for (uint32_t i = 0; i < object->n_parts; i++) {
		struct flow_stats stats;

		o->ops->stats(o->ops->user, object->parts[i].handle, &stats);
		credit(&object->parts[i], &stats);
	}
}
