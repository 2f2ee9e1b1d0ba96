/* SPDX-License-Identifier: Apache-2.0
 *
 * Listing of objects: a row for each part.
 *
 * Threads: the ports thread, online as a reader while it looks at an object.
 */
#include <arpa/inet.h>
#include <stdlib.h>

#include "datapath/listing.h"
#include "datapath/object.h"
#include "datapath/ports_thread.h"
#include "datapath/rcu.h"
#include "lib/byteorder.h"
#include "lib/eth_addr.h"
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

static void
put_address(struct strbuf *out, const uint8_t *address, bool v6)
{
	char text[INET6_ADDRSTRLEN];

	inet_ntop(v6 ? AF_INET6 : AF_INET, address, text, sizeof text);
	strbuf_put(out, text);
}

/* What the key decides is named by its field. */
static void
describe_encap(json_t *row, const struct dp_encap *e)
{
	static const struct {
		uint32_t flag;
		const char *text;
	} flags[] = {
		{DP_ENCAP_TOS_INHERIT, "tos=inherit"},
		{DP_ENCAP_TOS_FROM_KEY, "tos=tun_tos"},
		{DP_ENCAP_TTL_INHERIT, "ttl=inherit"},
		{DP_ENCAP_TTL_FROM_KEY, "ttl=tun_ttl"},
		{DP_ENCAP_FLAGS_FROM_KEY, "flags=tun_flags"},
		{DP_ENCAP_OPTS_FROM_KEY, "options=tun_opts"},
		{DP_ENCAP_GBP_FROM_KEY, "policy=tun_gbp_id"},
		{DP_ENCAP_UDP_CSUM, "csum"},
		{DP_ENCAP_L3, "l3"},
	};
	static const char *const too_long[] = {"drop", "fragment", "to-agent", "cut"};
	const uint8_t *ip = e->header + e->l3_off;
	bool v6 = ip[0] >> 4 == 6;
	uint32_t src = v6 ? 8 : 12, size = v6 ? 16 : 4;
	struct strbuf words = STRBUF_INIT;
	char mac[ETH_ADDR_TEXT_SIZE];

	strbuf_printf(&words, "%s src=", dp_tunnel_kind_name((enum dp_tunnel_kind)e->kind));
	put_address(&words, ip + src, v6);
	strbuf_put(&words, e->flags & DP_ENCAP_SRC_FROM_KEY ? "|tun_src dst=" : " dst=");
	if (e->flags & DP_ENCAP_DST_FROM_KEY) {
		strbuf_put(&words, "tun_dst");
	} else {
		put_address(&words, ip + src + size, v6);
	}
	if (e->flags & DP_ENCAP_ID_FROM_KEY) {
		strbuf_put(&words, " id=tun_id");
	} else if (e->kind == DP_TUNNEL_ERSPAN) {
		strbuf_printf(&words, " id=%u", get_be16(e->header + e->l4_off + 10) & 0x3ff);
	} else if (e->kind != DP_TUNNEL_GRE) {
		strbuf_printf(&words, " id=%u", get_be32(e->header + e->l4_off + 12) >> 8);
	}
	strbuf_printf(&words, " via=%s", eth_addr_text(e->header, mac));
	if (e->mtu) {
		strbuf_printf(&words, " mtu=%u too-long=%s", e->mtu, too_long[e->too_long]);
	}
	if (e->max_len) {
		strbuf_printf(&words, " max-len=%u", e->max_len);
	}
	for (unsigned i = 0; i < WEFT_ARRAY_SIZE(flags); i++) {
		if (e->flags & flags[i].flag) {
			strbuf_printf(&words, " %s", flags[i].text);
		}
	}
	json_object_set_new(row, "part", json_null());
	json_object_set_new(row, "live", json_null());
	if (e->port != UINT32_MAX) {
		set(row, "port", e->port);
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
		[DP_OBJECT_ENCAP] = "encap",
	};
	const struct object_body *body = info->body;
	const struct dp_meter *meter = (const void *)body->raw;
	const struct dp_meter_band *bands = (const void *)(meter + 1);
	struct flow_stats sum = {0};
	json_t *row = json_object();

	set_handle(row, "handle", info->object);
	json_object_set_new(row, "kind", json_string(kinds[body->kind]));
	set(row, "refs", info->n_refs);
	if (body->kind == DP_OBJECT_ENCAP) {
		describe_encap(row, (const void *)body->raw);
	} else if (part >= body->n_parts) {
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
