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

static struct of_assembly *find(struct of_conn *c, uint32_t xid);
static struct of_assembly *begin(struct of_conn *c, uint32_t xid, enum of_part_type part);
static bool add(struct of_conn *c, struct of_assembly *a, const struct of_multipart *part);
static void forget(struct of_assembly *a);
static void run(struct of_conn *c, const struct of_request *rq, const struct of_multipart *part);

/* Requests in several messages may be interleaved; their xids tell them apart. */
void
of_msg_multipart(struct of_conn *c, const struct of_request *rq)
{
	struct weft_error err = WEFT_ERROR_INIT;
	struct of_multipart part;
	struct of_assembly *a;

	if (!c->codec->get_multipart(rq->body, rq->body_len, &part, &err)) {
		of_conn_send_error(c, rq, &err);
		return;
	}
	a = find(c, rq->xid);
	if (a && a->part != part.part) {
		forget(a); /* the xid is used for something else now */
		a = NULL;
	}
	if (!a && !part.has_more) {
		run(c, rq, &part);
		return;
	}
	if (!a) {
		a = begin(c, rq->xid, part.part);
	}
	if (!add(c, a, &part)) {
		of_conn_refuse(c, rq, OFPET_BAD_REQUEST, OFPBRC_MULTIPART_BUFFER_OVERFLOW);
	} else if (!part.has_more) {
		part.body = (const uint8_t *)strbuf_text(&a->body);
		part.len = a->body.len;
		run(c, rq, &part);
	}
	if (!part.has_more) {
		forget(a);
	}
}

/* --- requests in several messages ---------------------------------------------------------------- */

static struct of_assembly *
find(struct of_conn *c, uint32_t xid)
{
	for (unsigned i = 0; i < OF_MAX_ASSEMBLIES; i++) {
		if (c->assemblies[i].is_open && c->assemblies[i].xid == xid) {
			return &c->assemblies[i];
		}
	}
	return NULL;
}

/* If there are too many, one that was left alone is forgotten. */
static struct of_assembly *
begin(struct of_conn *c, uint32_t xid, enum of_part_type part)
{
	struct of_assembly *a = &c->assemblies[0];

	for (unsigned i = 0; i < OF_MAX_ASSEMBLIES && a->is_open; i++) {
		struct of_assembly *other = &c->assemblies[i];

		if (!other->is_open || other->touched < a->touched) {
			a = other;
		}
	}
	forget(a);
	a->is_open = true;
	a->xid = xid;
	a->part = part;
	return a;
}

/* False: too many bytes. What is left of the request is refused too, so that its end is not taken for a request
 * of its own. */
static bool
add(struct of_conn *c, struct of_assembly *a, const struct of_multipart *part)
{
	size_t bytes = part->len;

	a->touched = ++c->assembly_clock;
	for (unsigned i = 0; i < OF_MAX_ASSEMBLIES; i++) {
		bytes += c->assemblies[i].body.len;
	}
	if (a->is_refused || bytes > OF_MULTIPART_MAX) {
		strbuf_uninit(&a->body);
		a->is_refused = true;
		return false;
	}
	strbuf_put_bytes(&a->body, part->body, part->len);
	return true;
}

static void
forget(struct of_assembly *a)
{
	strbuf_uninit(&a->body);
	a->is_open = false;
	a->is_refused = false;
}

/* --- execution ----------------------------------------------------------------------------------- */

static void
run(struct of_conn *c, const struct of_request *rq, const struct of_multipart *part)
{
	const struct of_wire_type *wire = of_codec_part(c->codec, part->part);
	struct of_request inner = *rq;

	inner.body = part->body;
	inner.body_len = part->len;
	if (wire && !of_wire_type_fits(wire, part->len)) {
		of_conn_refuse(c, rq, OFPET_BAD_REQUEST, OFPBRC_BAD_LEN);
	} else {
		rows[part->part](c, &inner);
	}
}
