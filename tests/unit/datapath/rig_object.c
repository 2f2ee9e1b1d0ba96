/* SPDX-License-Identifier: Apache-2.0
 *
 * Rig: the agent's side of objects.
 */
#include "tests/unit/datapath/rig_object.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "lib/alloc.h"

struct dp_handle rig_parts[RIG_MAX_PARTS];
struct flow_stats rig_finals[RIG_MAX_PARTS];
uint32_t rig_n_parts;

void
rig_body_init(struct rig_body *body, enum dp_object_kind kind)
{
	body->kind = kind;
	body->n_parts = 0;
	dp_actions_init(&body->bytes);
}

void
rig_body_uninit(struct rig_body *body)
{
	dp_actions_uninit(&body->bytes);
}

void
rig_bucket(struct rig_body *body, uint32_t id, uint32_t weight, uint32_t watch_port,
	struct dp_handle watch_object, const char *actions)
{
	struct dp_bucket bucket = {
		.id = id,
		.weight = weight,
		.watch_port = watch_port,
		.watch_object = watch_object,
	};
	struct dp_actions list;

	rig_actions(actions, &list);
	bucket.size = (uint32_t)(sizeof bucket + list.size);
	dp_actions_append(&body->bytes, &bucket, sizeof bucket);
	dp_actions_append(&body->bytes, list.data, list.size);
	dp_actions_uninit(&list);
	body->n_parts++;
}

void
rig_meter(struct rig_body *body, uint32_t flags)
{
	const struct dp_meter meter = {.flags = flags};

	rig_body_init(body, DP_OBJECT_METER);
	dp_actions_append(&body->bytes, &meter, sizeof meter);
	body->n_parts = 1;
}

void
rig_band(struct rig_body *body, uint32_t kind, uint32_t rate, uint32_t burst, uint32_t prec_level)
{
	const struct dp_meter_band band = {
		.id = body->n_parts++,
		.kind = kind,
		.rate = rate,
		.burst = burst,
		.prec_level = prec_level,
	};

	dp_actions_append(&body->bytes, &band, sizeof band);
}

int
rig_object_put(struct rig_agent *a, const struct rig_body *body, struct dp_handle *object)
{
	struct dp_object_put put = {
		.cmd.request = a->next_request,
		.object = *object,
		.kind = body->kind,
		.n_parts = body->n_parts,
		.body_size = (uint32_t)body->bytes.size,
	};
	struct dp_part part = {body->bytes.data, body->bytes.size};
	const struct dp_object_put_reply *reply;

	assert_true(dp_send(&a->commands, DP_OBJECT_PUT, &put, sizeof put, &part, 1));
	shm_ring_publish(&a->commands);
	assert_int_equal(rig_reply(a), DP_REPLY + DP_OBJECT_PUT);
	reply = a->msg.body;
	assert_int_equal(reply->reply.request, a->next_request);
	a->next_request++;
	if (reply->reply.status) {
		assert_int_equal(reply->n_parts, 0);
		assert_memory_equal(&reply->object, object, sizeof *object);
		return reply->reply.status;
	}
	assert_int_equal(reply->n_parts, body->n_parts);
	if (!dp_handle_is_none(*object)) {
		assert_memory_equal(&reply->object, object, sizeof *object);
	}
	*object = reply->object;
	rig_n_parts = reply->n_parts;
	memcpy(rig_parts, a->msg.parts, rig_n_parts * sizeof rig_parts[0]);
	return 0;
}

int
rig_object_del(struct rig_agent *a, struct dp_handle object)
{
	struct dp_object_del del = {.cmd.request = a->next_request, .object = object};
	const struct dp_object_del_reply *reply;

	assert_true(dp_send(&a->commands, DP_OBJECT_DEL, &del, sizeof del, NULL, 0));
	shm_ring_publish(&a->commands);
	assert_int_equal(rig_reply(a), DP_REPLY + DP_OBJECT_DEL);
	reply = a->msg.body;
	assert_int_equal(reply->reply.request, a->next_request);
	a->next_request++;
	assert_memory_equal(&reply->object, &object, sizeof object);
	rig_n_parts = reply->n_parts;
	memcpy(rig_finals, a->msg.part_stats, rig_n_parts * sizeof rig_finals[0]);
	return reply->reply.status;
}

struct dp_handle
rig_buckets(struct rig_agent *a, enum dp_object_kind kind, const char *actions)
{
	char *text = xstrdup(actions), *at = text, *one;
	struct dp_handle object = RIG_NONE;
	struct rig_body body;

	rig_body_init(&body, kind);
	while ((one = strsep(&at, "|"))) {
		rig_bucket(&body, body.n_parts + 1, 1, UINT32_MAX, RIG_NONE, one);
	}
	assert_int_equal(rig_object_put(a, &body, &object), 0);
	rig_body_uninit(&body);
	free(text);
	return object;
}

struct dp_handle
rig_drop_meter(struct rig_agent *a, uint32_t flags, uint32_t rate, uint32_t burst)
{
	struct dp_handle object = RIG_NONE;
	struct rig_body body;

	rig_meter(&body, flags);
	rig_band(&body, DP_BAND_DROP, rate, burst, 0);
	assert_int_equal(rig_object_put(a, &body, &object), 0);
	rig_body_uninit(&body);
	return object;
}

uint64_t
rig_part_packets(struct dp_handle part)
{
	struct flow_stats sum;

	stats_region_read(&rig_stats, part.slot, part.gen, &sum);
	return sum.packets;
}

const char *
rig_on(const char *action, struct dp_handle object)
{
	static char texts[8][64];
	static unsigned next;
	char *text = texts[next++ % 8];

	snprintf(text, sizeof texts[0], "%s(%u.%u)", action, object.slot, object.gen);
	return text;
}
