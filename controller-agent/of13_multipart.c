/* SPDX-License-Identifier: Apache-2.0
 *
 * OpenFlow 1.3 on the wire: multipart messages.
 *
 * Spec: OpenFlow 1.3.5 s.A.3.5; ports s.A.2.1.
 */
#include <string.h>

#include "controller-agent/of13_internal.h"
#include "lib/error.h"

#define OFPMPF_REQ_MORE 1u
#define OFPMPF_REPLY_MORE 1u
#define DESC_STR_LEN 256
#define SERIAL_NUM_LEN 32
#define MAX_PORT_NAME_LEN 16

/* By number; the lengths are those of the request's body behind the multipart header. */
const struct of_wire_type of13_parts[OFPMP13_N] = {
	[OFPMP13_DESC] = {OF_PART_DESC, true, 0},
	[OFPMP13_FLOW] = {OF_PART_FLOW, false, 40},
	[OFPMP13_AGGREGATE] = {OF_PART_AGGREGATE, false, 40},
	[OFPMP13_TABLE] = {OF_PART_TABLE, true, 0},
	[OFPMP13_PORT_STATS] = {OF_PART_PORT_STATS, true, 8},
	[OFPMP13_QUEUE] = {OF_PART_QUEUE, true, 8},
	[OFPMP13_GROUP] = {OF_PART_GROUP, true, 8},
	[OFPMP13_GROUP_DESC] = {OF_PART_GROUP_DESC, true, 0},
	[OFPMP13_GROUP_FEATURES] = {OF_PART_GROUP_FEATURES, true, 0},
	[OFPMP13_METER] = {OF_PART_METER, true, 8},
	[OFPMP13_METER_CONFIG] = {OF_PART_METER_CONFIG, true, 8},
	[OFPMP13_METER_FEATURES] = {OF_PART_METER_FEATURES, true, 0},
	[OFPMP13_TABLE_FEATURES] = {OF_PART_TABLE_FEATURES, false, 0},
	[OFPMP13_PORT_DESC] = {OF_PART_PORT_DESC, true, 0},
};

/* --- requests ----------------------------------------------------------------------------------- */

bool
of13_get_multipart(
	const uint8_t *body, size_t len, struct of_multipart *part, struct weft_error *err)
{
	uint16_t number = get_be16(body);

	if (number == OFPMP13_EXPERIMENTER) {
		part->part = OF_PART_EXPERIMENTER;
	} else if (number < OFPMP13_N) {
		part->part = (enum of_part_type)of13_parts[number].type;
	} else {
		return of_error_set(err, OFPET_BAD_REQUEST, OFPBRC_BAD_MULTIPART,
			"multipart type %u is unknown", number);
	}
	part->has_more = get_be16(body + 2) & OFPMPF_REQ_MORE;
	part->body = body + 8;
	part->len = len - 8;
	return true;
}

uint32_t
of13_get_number(const uint8_t *body)
{
	return get_be32(body);
}

void
of13_get_queue(const uint8_t *body, struct of_port *port, uint32_t *queue)
{
	*port = OF_PORT(get_be32(body));
	*queue = get_be32(body + 4);
}

/* --- replies ------------------------------------------------------------------------------------ */

size_t
of13_begin_part(struct strbuf *out, uint32_t xid, enum of_part_type part)
{
	size_t start = wire_begin(out, OFP13_VERSION, OFPT13_MULTIPART_REPLY, xid);

	for (unsigned number = 0; number < OFPMP13_N; number++) {
		if (of13_parts[number].type == part) {
			wire_put_u16(out, (uint16_t)number);
		}
	}
	wire_put_u16(out, 0);
	wire_put_zeros(out, 4);
	return start;
}

void
of13_end_part(struct strbuf *out, size_t start, bool has_more)
{
	wire_set_u16(out, start + 10, has_more ? OFPMPF_REPLY_MORE : 0);
	wire_end(out, start);
}

/* s.A.3.5.1. */
void
of13_put_desc(struct strbuf *out, const struct of_desc *desc)
{
	wire_put_text(out, desc->manufacturer, DESC_STR_LEN);
	wire_put_text(out, desc->hardware, DESC_STR_LEN);
	wire_put_text(out, desc->software, DESC_STR_LEN);
	wire_put_text(out, desc->serial, SERIAL_NUM_LEN);
	wire_put_text(out, desc->description, DESC_STR_LEN);
}

/* s.A.3.5.3. */
void
of13_put_aggregate(struct strbuf *out, const struct of_aggregate *sum)
{
	wire_put_u64(out, sum->packets);
	wire_put_u64(out, sum->bytes);
	wire_put_u32(out, sum->n_flows);
	wire_put_zeros(out, 4);
}

/* s.A.3.5.4. */
void
of13_put_table(struct strbuf *out, uint8_t table, const struct of_table_stats *stats)
{
	wire_put_u8(out, table);
	wire_put_zeros(out, 3);
	wire_put_u32(out, stats->n_active);
	wire_put_u64(out, stats->n_lookups);
	wire_put_u64(out, stats->n_matched);
}

/* s.A.3.5.6. */
void
of13_put_port_stats(struct strbuf *out, struct of_port port, const struct of_port_stats *stats)
{
	wire_put_u32(out, port.v);
	wire_put_zeros(out, 4);
	wire_put_u64(out, stats->rx_packets);
	wire_put_u64(out, stats->tx_packets);
	wire_put_u64(out, stats->rx_bytes);
	wire_put_u64(out, stats->tx_bytes);
	wire_put_u64(out, stats->rx_dropped);
	wire_put_u64(out, stats->tx_dropped);
	wire_put_u64(out, stats->rx_errors);
	wire_put_u64(out, stats->tx_errors);
	wire_put_u64(out, stats->rx_frame_err);
	wire_put_u64(out, stats->rx_over_err);
	wire_put_u64(out, stats->rx_crc_err);
	wire_put_u64(out, stats->collisions);
	wire_put_u32(out, (uint32_t)(stats->duration_ms / 1000));
	wire_put_u32(out, (uint32_t)(stats->duration_ms % 1000 * 1000000));
}

/* s.A.2.1. */
void
of13_put_port(struct strbuf *out, const struct of_port_info *info)
{
	wire_put_u32(out, info->number.v);
	wire_put_zeros(out, 4);
	strbuf_put_bytes(out, info->mac, 6);
	wire_put_zeros(out, 2);
	wire_put_text(out, info->name, MAX_PORT_NAME_LEN);
	wire_put_u32(out, info->config & (OF_PORT_DOWN | OF_PORT_NO_RECV | OF_PORT_NO_FWD |
						 OF_PORT_NO_PACKET_IN));
	wire_put_u32(out, info->state);
	wire_put_u32(out, info->curr);
	wire_put_u32(out, info->advertised);
	wire_put_u32(out, info->supported);
	wire_put_u32(out, info->peer);
	wire_put_u32(out, info->curr_speed);
	wire_put_u32(out, info->max_speed);
}
