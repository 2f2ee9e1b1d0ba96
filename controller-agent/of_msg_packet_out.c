/* SPDX-License-Identifier: Apache-2.0
 *
 * PACKET_OUT: sends a packet.
 *
 * Spec: OpenFlow 1.3.5 s.A.3.7.
 */
#include <string.h>

#include "controller-agent/of_conn.h"
#include "controller-agent/of_msg.h"
#include "lib/error.h"
#include "lib/packet_key.h"

#define ETH_HEADER_LEN 14

static bool check(
	const struct ofproto *p, const struct of_packet_out_msg *msg, struct weft_error *err);
static bool is_in_port(const struct ofproto *p, struct of_port port);
static void what_it_is(const struct of_packet_out_msg *msg, struct of_match *match);

void
of_msg_packet_out(struct of_conn *c, const struct of_request *rq)
{
	struct of_service *s = of_conn_service(c);
	struct weft_error err = WEFT_ERROR_INIT;
	struct of_packet_out_msg msg;
	struct of_packet_out po;

	s->counters.packet_outs++;
	if (c->codec->get_packet_out(
		    rq->body, rq->body_len, ofproto_tlvs(c->sw->ofproto), &msg, &err) &&
		check(c->sw->ofproto, &msg, &err)) {
		po = (struct of_packet_out){
			.in_port = msg.in_port,
			.actions = msg.actions.data,
			.actions_size = msg.actions.size,
			.data = msg.data,
			.len = msg.len,
		};
		if (!s->ops.packet_out(s->ops.user, c->sw->ofproto, &po, &err)) {
			weft_error_prefix(&err, "packet-out");
		}
	}
	if (weft_error_is_set(&err)) {
		of_conn_send_error(c, rq, &err);
	}
	of_actions_uninit(&msg.actions);
}

static bool
check(const struct ofproto *p, const struct of_packet_out_msg *msg, struct weft_error *err)
{
	struct of_match match;

	if (msg->buffer_id != OF_NO_BUFFER) {
		return of_error_set(err, OFPET_BAD_REQUEST, OFPBRC_BUFFER_UNKNOWN,
			"buffer 0x%x: packets are not buffered", msg->buffer_id);
	}
	if (!is_in_port(p, msg->in_port)) {
		return of_error_set(err, OFPET_BAD_REQUEST, OFPBRC_BAD_PORT,
			"there is no port %u that a packet-out could come in by", msg->in_port.v);
	}
	if (msg->len < ETH_HEADER_LEN) {
		return of_error_set(err, OFPET_BAD_REQUEST, OFPBRC_BAD_PACKET,
			"a packet-out of %zu bytes is no Ethernet frame", msg->len);
	}
	what_it_is(msg, &match);
	return ofproto_packet_out_check(p, msg->actions.data, msg->actions.size, &match, err);
}

/* A port that there is, or one that stands for none (the codec knows which may). */
static bool
is_in_port(const struct ofproto *p, struct of_port port)
{
	return (port.v >= OFPP_MAX && !of_port_is(port, OFPP_LOCAL)) || ofproto_port_find(p, port);
}

/* The match that only this packet meets: what actions ask for must be in it. */
static void
what_it_is(const struct of_packet_out_msg *msg, struct of_match *match)
{
	of_match_init(match);
	packet_key_parse(msg->data, msg->len, &match->value);
	memset(&match->mask, 0xff, sizeof(match->mask));
}
