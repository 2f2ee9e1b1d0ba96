/* SPDX-License-Identifier: Apache-2.0
 *
 * News: packet-ins, flow-removed and port-status, to whoever wants them.
 *
 * What:     a connection gets what its filters let through for its role. A client of SWITCH.mgmt gets
 *           nothing until it has asked, by SET_CONFIG with a length other than 0 (as Open vSwitch
 *           does, and ovs-ofctl's monitor expects).
 * Limits:   packet-ins go through the connection's packet_queue.h: at its controller's rate, and while
 *           fewer than CHANNEL_REPLY_HIGH bytes wait to be sent. The others are few and are always
 *           sent.
 * Spec:     OpenFlow 1.3.5 s.6.1.2, s.6.3.4, s.A.3.10, s.A.4.1 to s.A.4.3.
 */
#include <stdlib.h>
#include <string.h>

#include "controller-agent/of_conn.h"
#include "ofproto/of_context.h"

#define OFP_LATER_REASONS (OF_PROTOCOL_14 | OF_PROTOCOL_15)

static void send_packet_in(struct of_conn *c, const struct of_packet_in *pi);
static void wait_for_turn(struct of_conn *c, uint64_t now);
static bool is_wanted(const struct of_conn *c, enum of_async_kind kind, unsigned reason);
static unsigned packet_in_reason(const struct of_conn *c, uint8_t reason);
static unsigned removed_reason(const struct of_conn *c, enum of_removed_reason reason);
static void copy_options(
	struct of_match *match, const struct flow_key *key, const struct of_tlv_map *tlvs);
static void copy_field(struct of_match *match, const struct flow_key *key, enum field_id field);
static void set_bytes(struct of_match *match, enum field_id field, const void *bytes);

/* --- packet-in ---------------------------------------------------------------------------------- */

void
of_service_packet_in(struct of_service *s, struct ofproto *p, const struct of_packet_in *pi)
{
	struct of_switch *sw = of_switch_find(s, p);
	struct of_conn *c, *next;

	/* Connections have controller id 0 (NXT_SET_CONTROLLER_ID is not known). */
	if (!sw || pi->controller_id) {
		return;
	}
	LIST_FOREACH_SAFE (c, next, link, &sw->conns) {
		if (!is_wanted(c, OF_ASYNC_PACKET_IN,
			    c->codec ? packet_in_reason(c, pi->reason) : 0)) {
			continue;
		}
		c->codec->put_packet_in(&c->out, pi);
		send_packet_in(c, pi);
	}
}

/* What stands in @c->out. */
static void
send_packet_in(struct of_conn *c, const struct of_packet_in *pi)
{
	struct of_service_counters *counters = &of_conn_service(c)->counters;
	struct packet_queue *q = &c->packet_ins;
	uint64_t n_queued = q->n_queued, n_dropped = q->n_dropped;
	uint64_t now = timers_now(of_conn_service(c)->timers);

	if (!channel_is_full(c->channel) && packet_queue_pass(q, now)) {
		counters->packet_ins++;
		of_conn_send(c);
		return;
	}
	packet_queue_put(q, pi->in_port.v, pi->reason, c->out.data, c->out.len);
	strbuf_clear(&c->out);
	counters->packet_ins_queued += q->n_queued - n_queued;
	counters->packet_ins_dropped += q->n_dropped - n_dropped;
	wait_for_turn(c, now);
}

void
of_conn_send_packet_ins(void *conn)
{
	struct of_conn *c = conn;
	struct of_service *s = of_conn_service(c);
	uint64_t now = timers_now(s->timers);
	struct queued_packet *packet;

	while (!channel_is_full(c->channel) &&
		(packet = packet_queue_take(&c->packet_ins, now)) != NULL) {
		/* Role and filters may have changed since. */
		if (is_wanted(c, OF_ASYNC_PACKET_IN, packet_in_reason(c, packet->reason))) {
			s->counters.packet_ins++;
			strbuf_put_bytes(&c->out, packet->bytes, packet->size);
			of_conn_send(c);
		} else {
			s->counters.packet_ins_dropped++;
			packet_queue_unsent(&c->packet_ins);
		}
		free(packet);
	}
	wait_for_turn(c, now);
}

/* A channel that is full calls when it is not any more. */
static void
wait_for_turn(struct of_conn *c, uint64_t now)
{
	timer_set(of_conn_service(c)->timers, &c->packet_in_timer,
		channel_is_full(c->channel) ? UINT64_MAX : packet_queue_due(&c->packet_ins, now));
}

void
of_packet_in_fill(struct of_packet_in *pi, const struct of_context *context,
	const struct flow_key *key, struct of_port in_port, const struct of_tlv_map *tlvs)
{
	static const enum field_id tunnel[] = {FIELD_TUN_SRC, FIELD_TUN_DST, FIELD_TUN_FLAGS,
		FIELD_TUN_GBP_ID, FIELD_TUN_GBP_FLAGS};
	struct flow_key all = *key;

	pi->in_port = in_port;
	pi->max_len = context->max_len;
	pi->reason = context->reason;
	pi->table = context->table;
	pi->controller_id = context->controller_id;
	pi->cookie = context->cookie;
	of_match_init(&pi->match);
	of_match_set_u64(&pi->match, FIELD_IN_PORT, in_port.v);
	all.tun_id_hi = context->tun_id_hi;
	copy_field(&pi->match, &all, FIELD_TUN_ID);
	for (size_t i = 0; i < WEFT_ARRAY_SIZE(tunnel); i++) {
		copy_field(&pi->match, &all, tunnel[i]);
	}
	pi->tlvs = tlvs;
	copy_options(&pi->match, key, tlvs);
	set_bytes(&pi->match, FIELD_METADATA, &context->metadata);
	set_bytes(&pi->match, FIELD_PKT_MARK, &context->pkt_mark);
	for (unsigned i = 0; i < FLOW_N_REGS; i++) {
		set_bytes(&pi->match, (enum field_id)(FIELD_REG0 + i), &context->regs[i]);
	}
}

/* The options that the packet has. */
static void
copy_options(struct of_match *match, const struct flow_key *key, const struct of_tlv_map *tlvs)
{
	union field_value value, ones;
	struct of_tlv tlv;

	field_load(field_get(FIELD_TUN_OPTS), key, &value);
	field_value_ones(field_get(FIELD_TUN_OPTS), &ones);
	for (unsigned i = 0; key->tun_opts_present && i < OF_TLV_FIELDS; i++) {
		if (of_tlv_get(tlvs, i, &tlv) && be64_to(key->tun_opts_present) >> tlv.slot & 1) {
			of_tlv_match(match, &tlv, &value, &ones);
		}
	}
}

/* A field that is zero tells nothing and is left out. */
static void
copy_field(struct of_match *match, const struct flow_key *key, enum field_id field)
{
	union field_value value;

	memset(&value, 0, sizeof(value));
	field_load(field_get(field), key, &value);
	set_bytes(match, field, value.b);
}

static void
set_bytes(struct of_match *match, enum field_id field, const void *bytes)
{
	static const union field_value zero;
	size_t n_bytes = field_get(field)->n_bytes;
	union field_value value;

	if (memcmp(bytes, &zero, n_bytes) != 0) {
		memset(&value, 0, sizeof(value));
		memcpy(value.b, bytes, n_bytes);
		of_match_set(match, field, &value, NULL);
	}
}

/* --- the others --------------------------------------------------------------------------------- */

void
of_service_flow_removed(struct of_service *s, struct ofproto *p, const struct of_flow_view *flow,
	enum of_removed_reason reason)
{
	struct of_switch *sw = of_switch_find(s, p);
	struct of_conn *c, *next;

	if (!sw) {
		return;
	}
	LIST_FOREACH_SAFE (c, next, link, &sw->conns) {
		if (is_wanted(c, OF_ASYNC_FLOW_REMOVED, c->codec ? removed_reason(c, reason) : 0)) {
			s->counters.flow_removed++;
			c->codec->put_flow_removed(&c->out, flow, reason);
			of_conn_send(c);
		}
	}
}

void
of_service_port_status(struct of_service *s, struct ofproto *p, enum of_port_reason reason,
	const struct of_port_info *info)
{
	struct of_switch *sw = of_switch_find(s, p);
	struct of_conn *c, *next;

	if (!sw) {
		return;
	}
	LIST_FOREACH_SAFE (c, next, link, &sw->conns) {
		if (is_wanted(c, OF_ASYNC_PORT_STATUS, reason)) {
			s->counters.port_status++;
			c->codec->put_port_status(&c->out, reason, info);
			of_conn_send(c);
		}
	}
}

void
of_switch_update_settings(struct of_switch *sw)
{
	struct of_settings settings;
	bool wanted = false;
	struct of_conn *c;

	LIST_FOREACH (c, link, &sw->conns) {
		wanted = wanted || is_wanted(c, OF_ASYNC_PACKET_IN, OF_REASON_INVALID_TTL);
	}
	ofproto_get_settings(sw->ofproto, &settings);
	if (settings.invalid_ttl_to_agent != wanted) {
		settings.invalid_ttl_to_agent = wanted;
		ofproto_set_settings(sw->ofproto, &settings);
	}
}

static bool
is_wanted(const struct of_conn *c, enum of_async_kind kind, unsigned reason)
{
	if (!c->codec || !channel_is_open(c->channel)) {
		return false;
	}
	if (!c->controller && !c->config.miss_send_len) {
		return false;
	}
	return c->async.mask[kind][c->role == OF_ROLE_SLAVE] >> reason & 1;
}

/* The reasons that 1.4 added are actions to those before. */
static unsigned
packet_in_reason(const struct of_conn *c, uint8_t reason)
{
	if (reason > OF_REASON_INVALID_TTL && !(c->codec->protocol & OFP_LATER_REASONS)) {
		return OF_REASON_ACTION;
	}
	return reason;
}

/* The reasons that 1.4 added (meter, eviction) are deletions to those before. */
static unsigned
removed_reason(const struct of_conn *c, enum of_removed_reason reason)
{
	if (reason > OF_REMOVED_GROUP && !(c->codec->protocol & OFP_LATER_REASONS)) {
		return OF_REMOVED_DELETE;
	}
	return reason;
}
