/* SPDX-License-Identifier: Apache-2.0
 *
 * OpenFlow 1.3 on the wire: groups and meters.
 *
 * Spec: OpenFlow 1.3.5 s.A.3.4.2 (group-mod), s.A.3.4.4 (meter-mod), s.A.3.5.9 to s.A.3.5.14.
 */
#include <string.h>

#include "controller-agent/of13_internal.h"
#include "lib/error.h"

#define BUCKET_SIZE 16u
#define BAND_SIZE 16u
/* s.A.3.5.11, enum ofp_group_capabilities: weights, liveness, chaining with a check for loops. */
#define GROUP_CAPABILITIES 0xfu

static bool get_bucket(const uint8_t *data, size_t len, const struct of_tlv_map *tlvs,
	struct of_group_mod *gm, struct weft_error *err);
static void put_bucket(
	struct strbuf *out, const struct of_tlv_map *tlvs, const struct of_bucket_view *b);

static enum of_mod_command
mod_command(uint16_t command)
{
	return command < OF_MOD_N ? (enum of_mod_command)command : OF_MOD_N;
}

bool
of13_get_group_mod(const uint8_t *body, size_t len, const struct of_tlv_map *tlvs,
	struct of_group_mod *gm, struct weft_error *err)
{
	of_group_mod_init(gm);
	gm->command = mod_command(get_be16(body));
	gm->type = body[2];
	gm->group = get_be32(body + 4);
	if (gm->command == OF_MOD_DELETE) {
		return true; /* buckets mean nothing there */
	}
	for (size_t at = 8; at < len;) {
		size_t size = len - at >= BUCKET_SIZE ? get_be16(body + at) : 0;

		if (size < BUCKET_SIZE || size % 8 || size > len - at) {
			return of_error_set_at(err, OFPET_GROUP_MOD_FAILED, OFPGMFC_BAD_BUCKET, at,
				"a bucket of %zu bytes where %zu are left", size, len - at);
		}
		if (!get_bucket(body + at, size, tlvs, gm, err)) {
			return false;
		}
		at += size;
	}
	return true;
}

static bool
get_bucket(const uint8_t *data, size_t len, const struct of_tlv_map *tlvs, struct of_group_mod *gm,
	struct weft_error *err)
{
	struct of_bucket *b;

	if (gm->n_buckets == OF_MAX_BUCKETS) {
		return of_error_set(err, OFPET_GROUP_MOD_FAILED, OFPGMFC_OUT_OF_BUCKETS,
			"more than %u buckets", OF_MAX_BUCKETS);
	}
	b = of_group_mod_add_bucket(gm);
	b->weight = get_be16(data + 2);
	b->watch_port = OF_PORT(get_be32(data + 4));
	b->watch_group = get_be32(data + 8);
	b->actions.tlvs = tlvs;
	return of13_get_actions(data + BUCKET_SIZE, len - BUCKET_SIZE, &b->actions, err);
}

bool
of13_get_meter_mod(const uint8_t *body, size_t len, struct of_meter_mod *mm, struct weft_error *err)
{
	memset(mm, 0, sizeof(*mm));
	mm->command = mod_command(get_be16(body));
	mm->flags = get_be16(body + 2);
	mm->meter = get_be32(body + 4);
	for (size_t at = 8; at < len && mm->command != OF_MOD_DELETE; at += BAND_SIZE) {
		struct of_meter_band *band = &mm->bands[mm->n_bands];

		/* Bands of all types that there are have one length. */
		if (len - at < BAND_SIZE || get_be16(body + at + 2) != BAND_SIZE) {
			return of_error_set_at(err, OFPET_METER_MOD_FAILED, OFPMMFC_BAD_BAND, at,
				"a band is not %u bytes long", BAND_SIZE);
		}
		if (mm->n_bands == OF_MAX_BANDS) {
			return of_error_set(err, OFPET_METER_MOD_FAILED, OFPMMFC_OUT_OF_BANDS,
				"more than %u bands", OF_MAX_BANDS);
		}
		band->type = get_be16(body + at);
		band->rate = get_be32(body + at + 4);
		band->burst = get_be32(body + at + 8);
		band->prec_level = band->type == OF_BAND_DSCP_REMARK ? body[at + 12] : 0;
		mm->n_bands++;
	}
	return true;
}

/* --- groups -------------------------------------------------------------------------------------- */

/* s.A.3.5.9. */
void
of13_put_group(struct strbuf *out, const struct of_group_view *view)
{
	size_t start = out->len;

	wire_put_zeros(out, 4);
	wire_put_u32(out, view->id);
	wire_put_u32(out, view->n_refs);
	wire_put_zeros(out, 4);
	wire_put_u64(out, view->packets);
	wire_put_u64(out, view->bytes);
	of13_put_duration(out, view->now_ms - view->created_ms);
	for (uint32_t i = 0; i < view->n_buckets; i++) {
		wire_put_u64(out, view->buckets[i].packets);
		wire_put_u64(out, view->buckets[i].bytes);
	}
	wire_set_u16(out, start, (uint16_t)(out->len - start));
}

/* s.A.3.5.10. */
void
of13_put_group_desc(struct strbuf *out, const struct of_group_view *view)
{
	size_t start = out->len;

	wire_put_u16(out, 0);
	wire_put_u8(out, view->type);
	wire_put_u8(out, 0);
	wire_put_u32(out, view->id);
	for (uint32_t i = 0; i < view->n_buckets; i++) {
		put_bucket(out, view->tlvs, &view->buckets[i]);
	}
	wire_set_u16(out, start, (uint16_t)(out->len - start));
}

static void
put_bucket(struct strbuf *out, const struct of_tlv_map *tlvs, const struct of_bucket_view *b)
{
	size_t start = out->len;

	wire_put_u16(out, 0);
	wire_put_u16(out, b->weight);
	wire_put_u32(out, b->watch_port.v);
	wire_put_u32(out, b->watch_group);
	wire_put_zeros(out, 4);
	of13_put_actions(out, tlvs, b->actions, b->actions_size);
	wire_set_u16(out, start, (uint16_t)(out->len - start));
}

/* s.A.3.5.11. */
void
of13_put_group_features(struct strbuf *out)
{
	uint32_t actions = of13_action_bits();

	wire_put_u32(out, (1u << OF_GROUP_TYPE_N) - 1);
	wire_put_u32(out, GROUP_CAPABILITIES);
	for (unsigned type = 0; type < OF_GROUP_TYPE_N; type++) {
		wire_put_u32(out, OF_MAX_GROUPS);
	}
	for (unsigned type = 0; type < OF_GROUP_TYPE_N; type++) {
		wire_put_u32(out, actions);
	}
}

/* --- meters -------------------------------------------------------------------------------------- */

/* s.A.3.5.12. */
void
of13_put_meter(
	struct strbuf *out, const struct of_meter_view *view, const struct of_meter_stats *stats)
{
	size_t start = out->len;

	wire_put_u32(out, view->id);
	wire_put_u16(out, 0);
	wire_put_zeros(out, 6);
	wire_put_u32(out, view->n_flows);
	wire_put_u64(out, stats->packets);
	wire_put_u64(out, stats->bytes);
	of13_put_duration(out, view->now_ms - view->created_ms);
	for (uint32_t i = 0; i < view->n_bands; i++) {
		wire_put_u64(out, stats->bands[i].packets);
		wire_put_u64(out, stats->bands[i].bytes);
	}
	wire_set_u16(out, start + 4, (uint16_t)(out->len - start));
}

/* s.A.3.5.13. */
void
of13_put_meter_config(struct strbuf *out, const struct of_meter_view *view)
{
	size_t start = out->len;

	wire_put_u16(out, 0);
	wire_put_u16(out, view->flags);
	wire_put_u32(out, view->id);
	for (uint32_t i = 0; i < view->n_bands; i++) {
		const struct of_meter_band *b = &view->bands[i];

		wire_put_u16(out, b->type);
		wire_put_u16(out, BAND_SIZE);
		wire_put_u32(out, b->rate);
		wire_put_u32(out, b->burst);
		wire_put_u8(out, b->prec_level);
		wire_put_zeros(out, 3);
	}
	wire_set_u16(out, start, (uint16_t)(out->len - start));
}

/* s.A.3.5.14. */
void
of13_put_meter_features(struct strbuf *out)
{
	wire_put_u32(out, OF_MAX_METERS);
	wire_put_u32(out, 1u << OF_BAND_DROP | 1u << OF_BAND_DSCP_REMARK);
	wire_put_u32(out, OF_METER_FLAGS_ALL);
	wire_put_u8(out, OF_MAX_BANDS);
	wire_put_u8(out, 0); /* colours: none */
	wire_put_zeros(out, 2);
}
