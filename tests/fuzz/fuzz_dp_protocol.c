/* SPDX-License-Identifier: Apache-2.0
 *
 * Room: lib. Records of the datapath protocol. The first byte says whose: command, reply or upcall;
 * the next two are the record's kind. What is accepted is touched to its last byte.
 */
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include "lib/dp_protocol.h"
#include "lib/error.h"
#include "lib/strbuf.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t len);

static volatile uint8_t sink;

static void
touch(const void *data, size_t size)
{
	const uint8_t *p = data;

	for (size_t i = 0; i < size; i++) {
		sink ^= p[i];
	}
}

/* As the receiver walks it: as many parts as were promised, to the last byte. */
static void
touch_object(uint32_t kind, const struct dp_message *msg)
{
	const struct dp_meter *meter = (const void *)msg->data;
	const uint8_t *at = msg->data, *end = at + msg->data_len;
	uint32_t n = 0;

	if (kind == DP_OBJECT_SELECT || kind == DP_OBJECT_FIRST_LIVE) {
		for (; at < end; n++) {
			const struct dp_bucket *b = (const void *)at;
			struct strbuf s = STRBUF_INIT;

			dp_actions_format(b->actions, b->size - sizeof *b, &s);
			strbuf_uninit(&s);
			at += b->size;
		}
	} else if (kind == DP_OBJECT_METER) {
		const struct dp_meter_band *bands = (const void *)(meter + 1);

		for (n = 1; at + sizeof *meter + (n - 1) * sizeof *bands < end; n++) {
			sink ^= (uint8_t)bands[n - 1].kind;
		}
		at += sizeof *meter + (n - 1) * sizeof *bands;
	} else {
		at = end;
	}
	if (at != end || n != msg->n_parts) {
		abort();
	}
}

static void
touch_message(const struct dp_message *msg)
{
	struct strbuf s = STRBUF_INIT;

	touch(msg->body, sizeof(uint64_t));
	touch(msg->data, msg->data_len);
	touch(msg->parts, msg->parts ? msg->n_parts * sizeof msg->parts[0] : 0);
	touch(msg->part_stats, msg->part_stats ? msg->n_parts * sizeof msg->part_stats[0] : 0);
	if (msg->type == DP_OBJECT_PUT) {
		touch_object(((const struct dp_object_put *)msg->body)->kind, msg);
	} else if (msg->type == DP_OBJECT_ITEM) {
		touch_object(((const struct dp_object_item *)msg->body)->kind, msg);
	}
	flow_text_format(&msg->key, &msg->mask, &s);
	dp_actions_format(msg->actions, msg->actions_size, &s);
	strbuf_uninit(&s);
}

int
LLVMFuzzerTestOneInput(const uint8_t *data, size_t len)
{
	struct weft_error err = WEFT_ERROR_INIT;
	struct dp_message msg;
	uint32_t kind;
	uint8_t *copy;
	bool ok;

	if (len < 3) {
		return 0;
	}
	kind = data[1] | (uint32_t)data[2] << 8;
	copy = aligned_alloc(8, (len - 3 + 8) / 8 * 8);
	memcpy(copy, data + 3, len - 3);
	switch (data[0] % 3) {
	case 0:
		ok = dp_command_decode(kind, copy, len - 3, &msg, &err);
		break;
	case 1:
		ok = dp_reply_decode(kind, copy, len - 3, &msg, &err);
		break;
	default:
		ok = dp_upcall_decode(kind, copy, len - 3, &msg, &err);
		break;
	}
	if (ok) {
		touch_message(&msg);
	} else if (!weft_error_is_set(&err)) {
		abort(); /* a refusal says why */
	}
	free(copy);
	return 0;
}
