/* SPDX-License-Identifier: Apache-2.0
 *
 * Packets between datapath and controllers: packet-in by context, packet-out by translation.
 */
#include <errno.h>
#include <string.h>

#include "controller-agent/agent_internal.h"
#include "controller-agent/too_long.h"
#include "lib/log.h"
#include "lib/packet_key.h"
#include "ofproto/of_context.h"
#include "ofproto/of_learned.h"
#include "ofproto/of_multicast.h"
#include "ofproto/translate.h"

WEFT_LOG_MODULE(packets);

/* The OpenFlow port that the packet came in by. */
static struct of_port
in_port_of(struct agent *a, const struct of_context *context, const struct flow_key *key)
{
	struct dp_port dp_port = {be32_to(key->in_port)};
	const struct of_port_info *info;
	struct ofproto *ofproto;

	if (context->in_port) {
		return OF_PORT(context->in_port);
	}
	info = of_model_port_by_dp(a->model, dp_port, &ofproto);
	return info ? info->number : OF_PORT_NONE;
}

void
agent_packet_in(struct agent *a, const struct handler_packet_in *packet)
{
	struct weft_error err = WEFT_ERROR_INIT;
	struct ofproto *ofproto = NULL;
	struct of_context context;
	struct of_packet_in pi;
	bool is_known = packet->context &&
			of_context_decode(packet->context, packet->context_size, &context, &err);

	if (is_known && context.kind == OF_CONTEXT_TOO_LONG) {
		agent_too_long(a, packet, &context);
		return;
	}
	if (is_known &&
		(context.kind == OF_CONTEXT_PACKET_IN || context.kind == OF_CONTEXT_SNOOP)) {
		ofproto = ofproto_by_id(a->model, context.ofproto_id);
	}
	if (!ofproto) {
		a->n_unknown_packet_ins++; /* its switch or rule has gone meanwhile */
		return;
	}
	if (context.kind == OF_CONTEXT_SNOOP) {
		ofproto_multicast_packet(ofproto, context.vlan, OF_PORT(context.in_port),
			packet->data, packet->data_len, agent_now_ms());
		agent_touch(a);
		return;
	}
	of_packet_in_fill(&pi, &context, &packet->key, in_port_of(a, &context, &packet->key),
		ofproto_tlvs(ofproto));
	pi.data = packet->data;
	pi.len = packet->data_len;
	pi.total_len = packet->packet_len;
	of_service_packet_in(a->service, ofproto, &pi);
}

/* The contexts that the actions name must be in the datapath before them. */
static void
put_contexts(struct agent *a, const struct translation *t)
{
	for (uint32_t i = 0; i < t->n_contexts; i++) {
		size_t size;
		const void *bytes = of_context_find(a->model, t->contexts[i], &size);

		if (bytes) {
			handlers_context_put(a->handlers, t->contexts[i], bytes, size);
		}
	}
}

/* The rules that a packet-out teaches. */
static void
learn(struct agent *a, const struct translation *t, uint16_t tcp_flags, uint64_t now_ms)
{
	for (uint32_t i = 0; i < t->n_learns; i++) {
		of_model_learn(a->model, t->learns[i], now_ms);
	}
	for (uint32_t i = 0; i < t->n_fins && tcp_flags & TRANSLATE_TCP_ENDS; i++) {
		of_rule_limit(t->fins[i].rule, t->fins[i].idle_timeout, t->fins[i].hard_timeout);
	}
	if (t->n_learns || t->n_fins) {
		agent_touch(a);
	}
}

bool
agent_packet_out(struct agent *a, struct ofproto *ofproto, const struct of_packet_out *po,
	struct weft_error *err)
{
	struct flow_key key;

	(void)err; /* what cannot be translated drops */
	packet_key_parse(po->data, po->len, &key);
	key.in_port = be32_from(po->in_port.v);
	agent_send_out(a, ofproto, po, &key);
	return true;
}

void
agent_send_out(struct agent *a, struct ofproto *ofproto, const struct of_packet_out *po,
	const struct flow_key *key)
{
	const struct of_port_info *port = ofproto_port_find(ofproto, po->in_port);
	struct dp_port in_port = port ? port->dp_port : DP_PORT_NONE;
	struct translate_in in = {.reader = a->reader, .key = key, .now_ms = agent_now_ms()};
	struct translation t;

	of_reader_enter(a->reader);
	in.version = of_model_version(a->model);
	translation_init(&t);
	translate_packet_out(&in, ofproto, po->actions, po->actions_size, &t);
	if (t.lacks_objects) {
		handlers_translate_out(a->handlers, &(struct flow_packet_out){
							    .ofproto_id = ofproto_id(ofproto),
							    .in_port = in_port,
							    .key = *key,
							    .actions = po->actions,
							    .actions_size = po->actions_size,
							    .data = po->data,
							    .len = po->len,
						    });
	} else {
		translation_credit(&t, 1, po->len, in.now_ms);
	}
	if (t.actions.size && !t.lacks_objects) {
		put_contexts(a, &t);
		handlers_packet_out(
			a->handlers, in_port, t.actions.data, t.actions.size, po->data, po->len);
	}
	if (!t.lacks_objects) {
		learn(a, &t, be16_to(key->tcp_flags), in.now_ms);
	}
	translation_uninit(&t, a->model);
	of_reader_leave(a->reader);
}
