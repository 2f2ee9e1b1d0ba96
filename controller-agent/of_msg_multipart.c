/* SPDX-License-Identifier: Apache-2.0
 *
 * MULTIPART_REQUEST: finds the handler of the part; puts requests of several messages together.
 *
 * Spec: OpenFlow 1.3.5 s.A.3.5.
 */
#include "controller-agent/of_conn.h"
#include "controller-agent/of_msg.h"
#include "lib/error.h"

static of_msg_fn *const rows[OF_PART_N] = {
	[OF_PART_DESC] = of_part_desc,
	[OF_PART_FLOW] = of_part_flow,
	[OF_PART_AGGREGATE] = of_part_aggregate,
	[OF_PART_TABLE] = of_part_table,
	[OF_PART_PORT_STATS] = of_part_port_stats,
	[OF_PART_QUEUE] = of_part_queue,
	[OF_PART_GROUP] = of_part_group,
	[OF_PART_GROUP_DESC] = of_part_group_desc,
	[OF_PART_GROUP_FEATURES] = of_part_group_features,
	[OF_PART_METER] = of_part_meter,
	[OF_PART_METER_CONFIG] = of_part_meter_config,
	[OF_PART_METER_FEATURES] = of_part_meter_features,
	[OF_PART_TABLE_FEATURES] = of_part_table_features,
	[OF_PART_PORT_DESC] = of_part_port_desc,
	[OF_PART_EXPERIMENTER] = of_part_experimenter,
};

static bool assemble(
	struct of_conn *c, const struct of_request *rq, struct of_multipart *part, bool *complete);

void
of_msg_multipart(struct of_conn *c, const struct of_request *rq)
{
	struct weft_error err = WEFT_ERROR_INIT;
	struct of_request inner = *rq;
	const struct of_wire_type *wire;
	struct of_multipart part;
	bool complete;

	if (!c->codec->get_multipart(rq->body, rq->body_len, &part, &err)) {
		of_conn_send_error(c, rq, &err);
		return;
	}
	if (!assemble(c, rq, &part, &complete)) {
		of_conn_refuse(c, rq, OFPET_BAD_REQUEST, OFPBRC_MULTIPART_BUFFER_OVERFLOW);
		return;
	}
	if (!complete) {
		return;
	}
	inner.body = part.body;
	inner.body_len = part.len;
	wire = of_codec_part(c->codec, part.part);
	if (wire && !of_wire_type_fits(wire, part.len)) {
		of_conn_refuse(c, rq, OFPET_BAD_REQUEST, OFPBRC_BAD_LEN);
	} else {
		rows[part.part](c, &inner);
	}
	strbuf_clear(&c->assembly.body);
}

/* Collects the bodies of a request that comes in several messages; one request at a time. False: it
 * is too long. */
static bool
assemble(struct of_conn *c, const struct of_request *rq, struct of_multipart *part, bool *complete)
{
	struct of_assembly *a = &c->assembly;
	bool goes_on = a->is_open && a->xid == rq->xid && a->part == part->part;

	*complete = !part->has_more;
	if (!goes_on) {
		/* One that was begun and left alone is forgotten. */
		a->is_open = false;
		strbuf_clear(&a->body);
		if (*complete) {
			return true;
		}
		a->is_open = true;
		a->xid = rq->xid;
		a->part = part->part;
	}
	if (a->body.len + part->len > OF_MULTIPART_MAX) {
		a->is_open = false;
		strbuf_clear(&a->body);
		return false;
	}
	strbuf_put_bytes(&a->body, part->body, part->len);
	if (*complete) {
		a->is_open = false;
		part->body = (const uint8_t *)strbuf_text(&a->body);
		part->len = a->body.len;
	}
	return true;
}
