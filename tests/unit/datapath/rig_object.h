/* SPDX-License-Identifier: Apache-2.0
 *
 * Rig: the agent's side of objects.
 */
#pragma once

#include "datapath/object.h"
#include "tests/unit/datapath/rig.h"

#define RIG_NONE ((struct dp_handle){0, 0})
#define RIG_MAX_PARTS 4096u

/* A body that grows bucket by bucket, or band by band. */
struct rig_body {
	uint32_t kind;
	uint32_t n_parts;
	struct dp_actions bytes;
};

void rig_body_init(struct rig_body *body, enum dp_object_kind kind);
void rig_body_uninit(struct rig_body *body);
void rig_bucket(struct rig_body *body, uint32_t id, uint32_t weight, uint32_t watch_port,
	struct dp_handle watch_object, const char *actions);
/* A meter's own part has id 0; that of band number N (from 1) N. */
void rig_meter(struct rig_body *body, uint32_t flags);
void rig_band(
	struct rig_body *body, uint32_t kind, uint32_t rate, uint32_t burst, uint32_t prec_level);

/* The last put's parts, or the last delete's sums. */
extern struct dp_handle rig_parts[RIG_MAX_PARTS];
extern struct flow_stats rig_finals[RIG_MAX_PARTS];
extern uint32_t rig_n_parts;

/* Puts a body and waits: over @object, or a new one (none), stored there. The status. */
int rig_object_put(struct rig_agent *a, const struct rig_body *body, struct dp_handle *object);
int rig_object_del(struct rig_agent *a, struct dp_handle object);

/* An object of buckets, actions separated by '|', ids and weights 1, 2, 3, .. and 1 (watching nothing). */
struct dp_handle rig_buckets(struct rig_agent *a, enum dp_object_kind kind, const char *actions);
/* A meter of one band that drops. */
struct dp_handle rig_drop_meter(struct rig_agent *a, uint32_t flags, uint32_t rate, uint32_t burst);

/* What a part has counted. */
uint64_t rig_part_packets(struct dp_handle part);

/* An action on an object, as text in a buffer that the next but seven overwrites. */
const char *rig_on(const char *action, struct dp_handle object);
