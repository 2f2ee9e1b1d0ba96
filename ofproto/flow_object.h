/* SPDX-License-Identifier: Apache-2.0
 *
 * Objects of a flow registry: what its flows let the datapath choose from.
 *
 * What:     an object is known by its bytes and by the counters that its parts credit; flows whose
 *           translations want the same one share it. The first that wants it asks the datapath for
 *           it and waits; when nobody refers to it any more, and a while after, it is deleted.
 * Full:     what the datapath refuses is not asked for again for OBJECT_RETRY_MS; translation does
 *           without.
 * Threads:  the handler that owns the registry.
 */
#pragma once

#include <stdbool.h>
#include <stdint.h>

#include "ofproto/flow_registry.h"
#include "ofproto/translate.h"

struct flow_object;
struct flow_objects;

#define OBJECT_LINGER_MS 1000
#define OBJECT_BUSY_MS 10 /* until a delete is tried again that has no reason to wait */
#define OBJECT_RETRY_MS 1000

/* @prepare is called before an object is put: what its buckets name must be there. 0 or -errno.
 * Requests have FLOW_REGISTRY_REQUEST and come from @next_request. */
struct flow_objects *flow_objects_create(const struct flow_registry_ops *ops,
	int (*prepare)(void *user), void *user, uint64_t *next_request);
/* Forgets everything; the datapath's objects stay. No flow may refer to one. */
void flow_objects_reset(struct flow_objects *o);
void flow_objects_destroy(struct flow_objects *o);

/* A translation begins: those that the last one wanted and nobody took are given back. */
void flow_objects_begin(struct flow_objects *o, uint64_t now_ms);
/* translate_in.object */
enum translate_object_state flow_objects_get(
	void *objects, const struct translate_object *wanted, struct dp_handle *handle);
/* The objects of the last translation, referenced: an array of @n for the caller (NULL: none). */
struct flow_object **flow_objects_take(struct flow_objects *o, uint32_t *n);
void flow_object_unref(struct flow_objects *o, struct flow_object *object);

/* A reply; whether it was an object's. */
bool flow_objects_reply(struct flow_objects *o, const struct dp_message *msg, uint64_t now_ms);
/* One that an earlier agent put. @credited: what had been credited of each part. */
void flow_objects_adopt(struct flow_objects *o, const struct dp_message *item,
	const struct flow_stats *credited, uint64_t now_ms);

/* Reads statistics that are older than FLOW_REGISTRY_STATS_MS (@all: all), deletes what nobody wants.
 * False: the ring is full. */
bool flow_objects_run(struct flow_objects *o, uint64_t now_ms, bool all);
/* When flow_objects_run() has to be called at the latest. */
uint64_t flow_objects_next_ms(const struct flow_objects *o);
/* No command is unanswered. */
bool flow_objects_are_settled(const struct flow_objects *o);
size_t flow_objects_count(const struct flow_objects *o);
