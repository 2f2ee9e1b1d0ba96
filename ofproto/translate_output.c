/* SPDX-License-Identifier: Apache-2.0
 *
 * Translation: ports and controllers.
 */
#include <stdlib.h>
#include <string.h>

#include "lib/alloc.h"
#include "lib/byteorder.h"
#include "lib/dp_protocol.h"
#include "ofproto/of_context.h"
#include "ofproto/translate_internal.h"
#include "ofproto/translate_trace.h"

static void output_all(struct xlate *x, uint32_t unless_config);
static uint32_t port_to_keep(struct xlate *x);

void
xlate_output(struct xlate *x, struct of_port number, uint16_t max_len)
{
	const struct ofport *port;
	uint32_t in = be32_to(x->pkt.key.in_port);

	switch (number.v) {
	case OFPP_IN_PORT:
		port = xlate_in_port(x);
		if (port) {
			xlate_put_output(x, port);
		}
		return;
	case OFPP_TABLE:
		/* A packet-out's: other lists with it are refused. */
		xlate_resubmit(x, OF_PORT(OFPP_IN_PORT), 0);
		return;
	case OFPP_NORMAL:
		xlate_normal(x);
		return;
	case OFPP_FLOOD:
		output_all(x, OF_PORT_NO_FLOOD);
		return;
	case OFPP_ALL:
		output_all(x, 0);
		return;
	case OFPP_CONTROLLER:
		xlate_to_agent(x, x->reason, max_len, 0, NULL, 0);
		return;
	default:
		port = number.v == in ? NULL : xlate_port(x, number);
		if (port) {
			xlate_put_output(x, port);
		} else {
			xlate_trace(x,
				number.v == in ? "not back to the input port"
					       : "there is no port %u",
				number.v);
			if (number.v != in) {
				xlate_blame(x, DROP_PORT_GONE);
			}
		}
	}
}

void
xlate_to_agent(struct xlate *x, uint8_t reason, uint16_t max_len, uint16_t controller_id,
	const void *userdata, uint16_t userdata_len)
{
	struct xlate_packet *k = &x->pkt;
	const struct ofport *port = xlate_in_port(x);
	uint32_t id;
	struct of_context c = {
		.kind = OF_CONTEXT_PACKET_IN,
		.table = x->table == OF_TABLE_ALL ? 0 : x->table, /* a packet-out's: none */
		.reason = reason,
		.ofproto_id = x->p->id,
		.in_port = port_to_keep(x),
		.max_len = max_len,
		.controller_id = controller_id,
		.cookie = x->cookie,
		.metadata = k->key.metadata,
		.tun_id_hi = k->key.tun_id_hi,
		.pkt_mark = k->key.pkt_mark,
		.userdata = userdata,
		.userdata_len = userdata_len,
	};

	if (reason == OF_REASON_NO_MATCH && port && port->info.config & OF_PORT_NO_PACKET_IN) {
		xlate_trace(x, "port %s asks for no packet-ins", port->info.name);
		return;
	}
	memcpy(c.regs, k->key.regs, sizeof(c.regs));
	if (!xlate_put_context(x, &c, &id)) {
		return;
	}
	if (xlate_is_traced(x)) {
		xlate_tell_controller(x, reason, max_len);
	}
	xlate_commit(x);
	xlate_commit_tunnel(x, XLATE_ALL_TUNNEL_FIELDS);
	dp_actions_put_to_agent(&x->out->actions, id, max_len, reason);
	x->has_output = true;
}

void
xlate_freeze(struct xlate *x)
{
	struct xlate_packet *k = &x->pkt;
	uint32_t id;
	struct of_context c = {
		.kind = OF_CONTEXT_FROZEN,
		.table = x->freeze_table == OF_TABLE_ALL ? 0 : x->freeze_table,
		.pause = x->freeze_table == OF_TABLE_ALL, /* no table: the list alone */
		.ofproto_id = x->p->id,
		.in_port = port_to_keep(x),
		.cookie = x->cookie,
		.depth = x->depth,
		.mirrored = x->is_mirror_copy ? UINT32_MAX : x->mirrored, /* by none any more */
		.metadata = k->key.metadata,
		.tun_id_hi = k->key.tun_id_hi,
		.pkt_mark = k->key.pkt_mark,
		.action_set = x->action_set.data,
		.actions = x->frozen.data,
	};

	if (x->action_set.size > UINT16_MAX || x->frozen.size > UINT16_MAX) {
		xlate_fail(x, DROP_TRANSLATION_LIMIT);
		return;
	}
	c.action_set_len = (uint16_t)x->action_set.size;
	c.actions_len = (uint16_t)x->frozen.size;
	memcpy(c.regs, k->key.regs, sizeof(c.regs));
	if (xlate_put_context(x, &c, &id)) {
		if (xlate_is_traced(x)) {
			xlate_tell_freeze(x, id);
		}
		xlate_commit(x);
		xlate_commit_tunnel(x, XLATE_ALL_TUNNEL_FIELDS);
		dp_actions_put_u32(&x->out->actions, DP_ACTION_RECIRC, id);
		x->has_output = true;
	}
}

bool
xlate_put_context(struct xlate *x, const struct of_context *c, uint32_t *id)
{
	uint64_t buf[DP_CONTEXT_MAX_SIZE / sizeof(uint64_t)];
	struct translation *t = x->out;
	size_t size = of_context_encode(c, buf);

	if (xlate_is_traced(x)) {
		*id = size ? of_trace_intern(x->in->trace, x->model, buf, size) : OF_CONTEXT_NONE;
	} else {
		*id = size ? of_context_intern(x->model, buf, size) : OF_CONTEXT_NONE;
	}
	if (*id == OF_CONTEXT_NONE) {
		xlate_fail(x, DROP_TRANSLATION_LIMIT);
		return false;
	}
	if (xlate_is_traced(x)) {
		return true; /* without a reference */
	}
	if (t->n_contexts == t->cap_contexts) {
		t->cap_contexts = 2 * t->cap_contexts + 4;
		t->contexts = xrealloc(t->contexts, t->cap_contexts * sizeof(t->contexts[0]));
	}
	t->contexts[t->n_contexts++] = *id;
	return true;
}

/* The input port, as a context is to keep it; 0: the packet's datapath port tells it. */
static uint32_t
port_to_keep(struct xlate *x)
{
	const struct ofport *port = xlate_in_port(x);
	bool is_told =
		port && port->info.dp_port.v <= DP_PORT_MAX && port->info.dp_port.v == x->came_by.v;

	return is_told ? 0 : be32_to(x->pkt.key.in_port);
}

const struct ofport *
xlate_in_port(struct xlate *x)
{
	return xlate_port(x, OF_PORT(be32_to(x->pkt.key.in_port)));
}

void
xlate_blame(struct xlate *x, enum drop_reason reason)
{
	x->drop = x->drop == DROP_EXPLICIT ? reason : x->drop;
}

bool
xlate_port_can_send(const struct ofport *port)
{
	return (port->info.kind == OF_PORT_PATCH ? ofport_peer(port) != NULL
						 : port->info.dp_port.v <= DP_PORT_MAX) &&
	       !(port->info.config & (OF_PORT_DOWN | OF_PORT_NO_FWD));
}

bool
xlate_port_is_live(const struct ofport *port)
{
	return xlate_port_can_send(port) && !(port->info.state & OF_PORT_LINK_DOWN) &&
	       !port->info.is_path_down;
}

bool
xlate_may_send(struct xlate *x, const struct ofport *port)
{
	if (xlate_port_can_send(port)) {
		return true;
	}
	if (port->info.config & OF_PORT_DOWN || port->info.kind == OF_PORT_PATCH) {
		xlate_blame(x, DROP_TX_DOWN);
	}
	return false;
}

void
xlate_tell_mute(struct xlate *x, const struct ofport *port)
{
	xlate_trace(x, "port %s does not send: it is down, or not there", port->info.name);
}

void
xlate_put_output(struct xlate *x, const struct ofport *port)
{
	if (!xlate_may_send(x, port)) {
		xlate_tell_mute(x, port);
		return;
	}
	if (++x->n_actions > TRANSLATE_MAX_ACTIONS) {
		xlate_fail(x, DROP_TRANSLATION_LIMIT);
		return;
	}
	xlate_mirror(x, port, true);
	if (xlate_is_traced(x)) {
		xlate_tell_output(x, port);
	}
	if (port->info.kind == OF_PORT_PATCH) {
		xlate_patch(x, port);
		return;
	}
	if (port->info.kind == OF_PORT_TUNNEL) {
		xlate_tunnel(x, port);
		return;
	}
	if (xlate_decap(x, port)) {
		return;
	}
	xlate_commit(x);
	dp_actions_put_output(&x->out->actions, port->info.dp_port, 0);
	x->has_output = true;
}

static void
output_all(struct xlate *x, uint32_t unless_config)
{
	const struct ofport_set *set = xlate_ports(x);
	uint32_t in = be32_to(x->pkt.key.in_port);

	for (size_t i = 0; i < set->n && !x->stopped; i++) {
		if (set->ports[i]->info.number.v != in &&
			!(set->ports[i]->info.config & unless_config)) {
			xlate_put_output(x, set->ports[i]);
		}
	}
}
