/* SPDX-License-Identifier: Apache-2.0
 *
 * OpenFlow 1.3 on the wire: flows and packets.
 *
 * Spec: OpenFlow 1.3.5 s.A.3.4.1 (flow-mod), s.A.3.5.2 (flow statistics), s.A.3.7 (packet-out),
 *       s.A.4.1 (packet-in), s.A.4.2 (flow-removed).
 */
#include <string.h>

#include "controller-agent/of13_internal.h"
#include "lib/error.h"
#include "ofproto/of_context.h"
#include "ofproto/oxm.h"

#define FLOW_MOD_FLAGS                                                                             \
	((uint32_t)(OF_FLAG_SEND_FLOW_REM | OF_FLAG_CHECK_OVERLAP | OF_FLAG_RESET_COUNTS |         \
		    OF_FLAG_NO_PKT_COUNTS | OF_FLAG_NO_BYT_COUNTS))

static bool is_packet_out_port(uint32_t port);

bool
of13_get_flow_mod(const uint8_t *body, size_t len, const struct of_tlv_map *tlvs,
	struct of_flow_mod *fm, uint32_t *buffer_id, struct weft_error *err)
{
	uint16_t flags = get_be16(body + 36);
	size_t used;

	of_flow_mod_init(fm);
	if (body[17] > OF_FLOW_DELETE_STRICT) {
		return of_error_set(err, OFPET_FLOW_MOD_FAILED, OFPFMFC_BAD_COMMAND,
			"flow-mod command %u is unknown", body[17]);
	}
	if (flags & ~FLOW_MOD_FLAGS) {
		return of_error_set(err, OFPET_FLOW_MOD_FAILED, OFPFMFC_BAD_FLAGS,
			"flow-mod flags 0x%x are unknown", flags & ~FLOW_MOD_FLAGS);
	}
	fm->command = (enum of_flow_command)body[17];
	fm->cookie = get_be64(body);
	/* The mask means nothing in an add (s.6.4). */
	fm->cookie_mask = fm->command == OF_FLOW_ADD ? 0 : get_be64(body + 8);
	fm->table = body[16];
	fm->idle_timeout = get_be16(body + 18);
	fm->hard_timeout = get_be16(body + 20);
	fm->priority = get_be16(body + 22);
	*buffer_id = get_be32(body + 24);
	fm->out_port = OF_PORT(get_be32(body + 28));
	fm->out_group = get_be32(body + 32);
	fm->flags = flags;
	if (fm->command != OF_FLOW_DELETE && fm->command != OF_FLOW_DELETE_STRICT) {
		fm->out_port = OF_PORT_NONE;
		fm->out_group = OFPG_ANY;
	}
	if (!oxm_pull_match(body + 40, len - 40, 0, tlvs, &fm->match, &used, err)) {
		return false;
	}
	fm->actions.tlvs = tlvs;
	return of13_get_instructions(body + 40 + used, len - 40 - used, &fm->actions, err);
}

bool
of13_get_flow_query(const uint8_t *body, size_t len, const struct of_tlv_map *tlvs,
	struct of_flow_query *query, struct weft_error *err)
{
	size_t used;

	of_flow_query_init(query);
	query->table = body[0];
	query->out_port = OF_PORT(get_be32(body + 4));
	query->out_group = get_be32(body + 8);
	query->cookie = get_be64(body + 16);
	query->cookie_mask = get_be64(body + 24);
	if (!oxm_pull_match(body + 32, len - 32, 0, tlvs, &query->match, &used, err)) {
		return false;
	}
	if (used != len - 32) {
		return of_error_set(err, OFPET_BAD_REQUEST, OFPBRC_BAD_LEN,
			"%zu bytes behind the match", len - 32 - used);
	}
	return true;
}

bool
of13_get_packet_out(const uint8_t *body, size_t len, const struct of_tlv_map *tlvs,
	struct of_packet_out_msg *msg, struct weft_error *err)
{
	size_t actions_len = get_be16(body + 8);

	of_actions_init(&msg->actions);
	msg->actions.tlvs = tlvs;
	msg->buffer_id = get_be32(body);
	msg->in_port = OF_PORT(get_be32(body + 4));
	if (!is_packet_out_port(msg->in_port.v)) {
		return of_error_set(err, OFPET_BAD_REQUEST, OFPBRC_BAD_PORT,
			"a packet-out with input port 0x%x", msg->in_port.v);
	}
	if (actions_len > len - 16) {
		return of_error_set(err, OFPET_BAD_REQUEST, OFPBRC_BAD_LEN,
			"a packet-out with %zu bytes of actions in %zu", actions_len, len - 16);
	}
	msg->data = body + 16 + actions_len;
	msg->len = len - 16 - actions_len;
	return of13_get_actions(body + 16, actions_len, &msg->actions, err);
}

void
of13_put_flow(struct strbuf *out, const struct of_flow_view *flow)
{
	size_t start = out->len;

	wire_put_u16(out, 0);
	wire_put_u8(out, flow->table);
	wire_put_u8(out, 0);
	of13_put_duration(out, flow->now_ms - flow->created_ms);
	wire_put_u16(out, flow->priority);
	wire_put_u16(out, flow->idle_timeout);
	wire_put_u16(out, flow->hard_timeout);
	wire_put_u16(out, flow->flags);
	wire_put_zeros(out, 4);
	wire_put_u64(out, flow->cookie);
	wire_put_u64(out, flow->packets);
	wire_put_u64(out, flow->bytes);
	oxm_put_match(out, &flow->match, OFP13_VERSION, flow->tlvs);
	of13_put_instructions(out, flow->tlvs, flow->actions, flow->actions_size);
	wire_set_u16(out, start, (uint16_t)(out->len - start));
}

void
of13_put_packet_in(struct strbuf *out, const struct of_packet_in *pi)
{
	size_t start = wire_begin(out, OFP13_VERSION, OFPT13_PACKET_IN, 0);
	size_t len = WEFT_MIN(pi->len, (size_t)pi->max_len);
	size_t room;

	wire_put_u32(out, OF_NO_BUFFER);
	wire_put_u16(out, (uint16_t)WEFT_MIN(pi->total_len, 65535u));
	/* Reasons that later versions added are actions to 1.3. */
	wire_put_u8(out, pi->reason > OF_REASON_INVALID_TTL ? OF_REASON_ACTION : pi->reason);
	wire_put_u8(out, pi->table);
	wire_put_u64(out, pi->cookie);
	oxm_put_match(out, &pi->match, OFP13_VERSION, pi->tlvs);
	wire_put_zeros(out, 2);
	room = OF_MESSAGE_MAX - (out->len - start);
	strbuf_put_bytes(out, pi->data, WEFT_MIN(len, room));
	wire_end(out, start);
}

void
of13_put_flow_removed(
	struct strbuf *out, const struct of_flow_view *flow, enum of_removed_reason reason)
{
	size_t start = wire_begin(out, OFP13_VERSION, OFPT13_FLOW_REMOVED, 0);

	wire_put_u64(out, flow->cookie);
	wire_put_u16(out, flow->priority);
	/* The reasons of 1.4 (meter, eviction) are deletions to 1.3. */
	wire_put_u8(out, (uint8_t)(reason > OF_REMOVED_GROUP ? OF_REMOVED_DELETE : reason));
	wire_put_u8(out, flow->table);
	of13_put_duration(out, flow->now_ms - flow->created_ms);
	wire_put_u16(out, flow->idle_timeout);
	wire_put_u16(out, flow->hard_timeout);
	wire_put_u64(out, flow->packets);
	wire_put_u64(out, flow->bytes);
	oxm_put_match(out, &flow->match, OFP13_VERSION, flow->tlvs);
	wire_end(out, start);
}

/* s.A.3.7: a port of the switch, or OFPP_CONTROLLER; Open vSwitch's clients also say OFPP_ANY. */
static bool
is_packet_out_port(uint32_t port)
{
	return (port && port < OFPP_MAX) || port == OFPP_LOCAL || port == OFPP_CONTROLLER ||
	       port == OFPP_ANY;
}

void
of13_put_duration(struct strbuf *out, uint64_t ms)
{
	wire_put_u32(out, (uint32_t)(ms / 1000));
	wire_put_u32(out, (uint32_t)(ms % 1000 * 1000000));
}
