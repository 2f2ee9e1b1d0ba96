/* SPDX-License-Identifier: Apache-2.0
 *
 * Listing of objects: a row for each part.
 *
 * Threads: the ports thread, online as a reader while it looks at an object.
 */
#include <stdlib.h>

#include "datapath/listing.h"
#include "datapath/object.h"
#include "datapath/ports_thread.h"
#include "datapath/rcu.h"
#include "lib/strbuf.h"

#define ROWS_A_PAGE 1000u

static void
set(json_t *row, const char *key, uint64_t n)
{
	json_object_set_new(row, key, json_integer((json_int_t)n));
}

static void
set_handle(json_t *row, const char *key, struct dp_handle h)
{
	struct strbuf text = STRBUF_INIT;

	strbuf_printf(&text, "%u.%u", h.slot, h.gen);
	json_object_set_new(row, key, json_string(strbuf_text(&text)));
	strbuf_uninit(&text);
}

/* The members that tell what a bucket does, and in words. */
static void
describe_bucket(json_t *row, uint32_t kind, const struct dp_bucket *b)
{
	struct strbuf words = STRBUF_INIT, actions = STRBUF_INIT;
	unsigned looks = OBJECT_MAX_LOOKS;

	set(row, "part", b->id);
	json_object_set_new(
		row, "live", json_string(object_bucket_is_live(b, &looks) ? "yes" : "no"));
	if (kind == DP_OBJECT_SELECT) {
		set(row, "weight", b->weight);
		strbuf_printf(&words, "weight=%u ", b->weight);
	}
	if (b->watch_port != UINT32_MAX) {
		set(row, "watch_port", b->watch_port);
		strbuf_printf(&words, "watch_port=%u ", b->watch_port);
	}
	if (!dp_handle_is_none(b->watch_object)) {
		set_handle(row, "watch_object", b->watch_object);
		strbuf_printf(
			&words, "watch_object=%u.%u ", b->watch_object.slot, b->watch_object.gen);
	}
	dp_actions_format(b->actions, b->size - sizeof *b, &actions);
	json_object_set_new(row, "actions", json_string(strbuf_text(&actions)));
	strbuf_printf(&words, "actions=%s", strbuf_text(&actions));
	json_object_set_new(row, "what", json_string(strbuf_text(&words)));
	strbuf_uninit(&actions);
	strbuf_uninit(&words);
}

static void
describe_meter(json_t *row, const struct dp_meter *meter, const struct dp_meter_band *band)
{
	const char *unit = meter->flags & DP_METER_PKTPS ? "pktps" : "kbps";
	struct strbuf words = STRBUF_INIT;

	json_object_set_new(row, "live", json_null());
	if (!band) {
		set(row, "part", meter->id);
		json_object_set_new(row, "unit", json_string(unit));
		strbuf_printf(&words, "all packets, %s", unit);
	} else {
		const char *kind = band->kind == DP_BAND_DROP ? "drop" : "dscp-remark";

		set(row, "part", band->id);
		json_object_set_new(row, "band", json_string(kind));
		set(row, "rate", band->rate);
		strbuf_printf(&words, "%s rate=%u", kind, band->rate);
		if (meter->flags & DP_METER_BURST && band->burst) {
			set(row, "burst", band->burst);
			strbuf_printf(&words, " burst=%u", band->burst);
		}
		if (band->kind == DP_BAND_DSCP_REMARK) {
			set(row, "prec_level", band->prec_level);
			strbuf_printf(&words, " prec_level=%u", band->prec_level);
		}
	}
	json_object_set_new(row, "what", json_string(strbuf_text(&words)));
	strbuf_uninit(&words);
}

/* @part beyond the last: the object has none. */
static json_t *
row_of(const struct stats_region *stats, const struct object_info *info, uint32_t part)
{
	static const char *const kinds[] = {
		[DP_OBJECT_SELECT] = "select",
		[DP_OBJECT_FIRST_LIVE] = "first-live",
		[DP_OBJECT_METER] = "meter",
	};
	const struct object_body *body = info->body;
	const struct dp_meter *meter = (const void *)body->raw;
	const struct dp_meter_band *bands = (const void *)(meter + 1);
	struct flow_stats sum = {0};
	json_t *row = json_object();

	set_handle(row, "handle", info->object);
	json_object_set_new(row, "kind", json_string(kinds[body->kind]));
	set(row, "refs", info->n_refs);
	if (part >= body->n_parts) {
		json_object_set_new(row, "part", json_null());
		json_object_set_new(row, "live", json_string("no"));
		json_object_set_new(row, "what", json_string("no buckets"));
	} else {
		stats_region_read(stats, body->parts[part].slot, body->parts[part].gen, &sum);
		if (body->buckets) {
			describe_bucket(row, body->kind, body->buckets[part]);
		} else {
			describe_meter(row, meter, part ? &bands[part - 1] : NULL);
		}
	}
	set(row, "packets", sum.packets);
	set(row, "bytes", sum.bytes);
	return row;
}

json_t *
listing_objects(
	const struct ports_thread_config *config, const json_t *params, struct weft_error *err)
{
	json_t *rows, *page;
	struct object_info info;
	uint32_t slot, next;

	if (!listing_from(params, &slot, err)) {
		return NULL;
	}
	rows = json_array();
	page = json_object();
	json_object_set_new(page, "next", json_null());
	rcu_online(RCU_READER_PORTS);
	while (objects_list(slot, &info, &next)) {
		if (json_array_size(rows) >= ROWS_A_PAGE) {
			json_object_set_new(
				page, "next", json_integer((json_int_t)info.object.slot));
			break;
		}
		for (uint32_t part = 0; part == 0 || part < info.body->n_parts; part++) {
			json_array_append_new(rows, row_of(config->stats, &info, part));
		}
		rcu_quiescent(RCU_READER_PORTS);
		slot = next;
	}
	rcu_offline(RCU_READER_PORTS);
	json_object_set_new(page, "objects", rows);
	return page;
}
