/* SPDX-License-Identifier: Apache-2.0
 *
 * Translation: ports, NORMAL with VLANs and learning, controllers.
 *
 * Copies that must differ from the packet (another tag on a port) are made inside a clone, so that
 * what follows still has the packet as it was; the last clone of a list is unwrapped at the end.
 */
#include <stdlib.h>
#include <string.h>

#include "lib/alloc.h"
#include "lib/byteorder.h"
#include "lib/dp_protocol.h"
#include "ofproto/fdb.h"
#include "ofproto/of_context.h"
#include "ofproto/translate_internal.h"
#include "ofproto/translate_trace.h"

#define TPID_CUSTOMER 0x8100
#define TPID_SERVICE 0x88a8

static const struct ofport *in_port(struct xlate *x);
static void put_output(struct xlate *x, const struct ofport *port);
static void output_all(struct xlate *x, uint32_t unless_config);
static bool put_context(struct xlate *x, const struct of_context *c, uint32_t *id);
static void put_learned(struct xlate *x, const struct ofport *port, uint16_t vlan);

/* --- NORMAL's view of a packet ------------------------------------------------------------------- */

struct normal {
	const struct ofport *in;
	uint16_t vlan;
	bool is_tagged;  /* the outermost tag is the VLAN's, or a priority tag */
	bool is_payload; /* customer tags belong to the payload: in by a tunnel port */
};

/* What a port wants to see outermost. */
enum wanted_tag {
	WANT_AS_IS,
	WANT_UNTAGGED,
	WANT_TAG,         /* change the id of the tag that is there, or push a customer tag */
	WANT_SERVICE_TAG, /* push a service tag */
	WANT_N,
};

static bool admit(struct xlate *x, struct normal *n);
static bool is_member(const struct of_port_info *port, uint16_t vlan);
static enum wanted_tag wanted_tag(const struct of_port_info *port, const struct normal *n);
static void output_normal(
	struct xlate *x, const struct normal *n, const struct ofport *const *to, size_t n_to);
static void apply_tag(struct xlate *x, const struct normal *n, enum wanted_tag wanted);

void
xlate_output(struct xlate *x, struct of_port number, uint16_t max_len)
{
	const struct ofport *port;
	uint32_t in = be32_to(x->pkt.key.in_port);

	switch (number.v) {
	case OFPP_IN_PORT:
		port = in_port(x);
		if (port) {
			put_output(x, port);
		}
		return;
	case OFPP_TABLE:
		if (x->is_packet_out) {
			x->is_packet_out = false;
			xlate_table(x, 0);
			x->is_packet_out = true;
		}
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
			put_output(x, port);
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
	const struct ofport *port = in_port(x);
	uint32_t in = be32_to(k->key.in_port), id;
	struct of_context c = {
		.kind = OF_CONTEXT_PACKET_IN,
		.table = x->table,
		.reason = reason,
		.ofproto_id = x->p->id,
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
	if (!port || port->info.dp_port.v != be32_to(x->in->key->in_port)) {
		c.in_port = in;
	}
	if (!put_context(x, &c, &id)) {
		return;
	}
	if (xlate_is_traced(x)) {
		xlate_tell_controller(x, reason, max_len);
	}
	xlate_commit(x);
	dp_actions_put_to_agent(&x->out->actions, id, max_len, reason);
	x->has_output = true;
}

void
xlate_freeze(struct xlate *x)
{
	struct xlate_packet *k = &x->pkt;
	const struct ofport *port = in_port(x);
	uint32_t id;
	struct of_context c = {
		.kind = OF_CONTEXT_FROZEN,
		.table = x->freeze_table == OF_TABLE_ALL ? 0 : x->freeze_table,
		.pause = x->freeze_table == OF_TABLE_ALL, /* no table: the list alone */
		.ofproto_id = x->p->id,
		.cookie = x->cookie,
		.depth = x->depth,
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
	if (!port || port->info.dp_port.v != be32_to(x->in->key->in_port)) {
		c.in_port = be32_to(k->key.in_port);
	}
	if (put_context(x, &c, &id)) {
		if (xlate_is_traced(x)) {
			xlate_tell_freeze(x, id);
		}
		xlate_commit(x);
		dp_actions_put_u32(&x->out->actions, DP_ACTION_RECIRC, id);
		x->has_output = true;
	}
}

/* Interns the context; the translation owns the reference. */
static bool
put_context(struct xlate *x, const struct of_context *c, uint32_t *id)
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

static const struct ofport *
in_port(struct xlate *x)
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
	return xlate_port_can_send(port) && !(port->info.state & OF_PORT_LINK_DOWN);
}

/* False: it is noted why not. */
static bool
may_send(struct xlate *x, const struct ofport *port)
{
	if (xlate_port_can_send(port)) {
		return true;
	}
	if (port->info.config & OF_PORT_DOWN || port->info.kind == OF_PORT_PATCH) {
		xlate_blame(x, DROP_TX_DOWN);
	}
	return false;
}

static void
tell_mute(struct xlate *x, const struct ofport *port)
{
	xlate_trace(x, "port %s does not send: it is down, or not there", port->info.name);
}

static void
put_output(struct xlate *x, const struct ofport *port)
{
	if (!may_send(x, port)) {
		tell_mute(x, port);
		return;
	}
	if (++x->n_actions > TRANSLATE_MAX_ACTIONS) {
		xlate_fail(x, DROP_TRANSLATION_LIMIT);
		return;
	}
	if (xlate_is_traced(x)) {
		xlate_tell_output(x, port);
	}
	if (port->info.kind == OF_PORT_PATCH) {
		xlate_patch(x, port);
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
			put_output(x, set->ports[i]);
		}
	}
}

/* --- NORMAL -------------------------------------------------------------------------------------- */

void
xlate_normal(struct xlate *x)
{
	static const uint8_t reserved[5] = {0x01, 0x80, 0xc2, 0x00, 0x00};
	const struct flow_key *key = &x->pkt.key;
	const struct ofport **to;
	struct normal n;
	struct of_port known;
	size_t n_to = 0;

	xlate_read_field(x, FIELD_ETH_SRC);
	xlate_read_field(x, FIELD_ETH_DST);
	if (!admit(x, &n)) {
		xlate_trace(x, "the port is no member of VLAN %u", n.vlan);
		x->drop = DROP_VLAN_NOT_ALLOWED;
		return;
	}
	if (!memcmp(key->eth_dst, reserved, sizeof(reserved)) && key->eth_dst[5] <= 0x0f) {
		xlate_trace(x, "to a reserved address, which bridges do not forward");
		return;
	}
	if (n.in && !(key->eth_src[0] & 1)) {
		if (xlate_is_traced(x)) {
			xlate_tell_learned(x, n.in->info.number, n.vlan);
		}
		put_learned(x, n.in, n.vlan);
	}
	known = key->eth_dst[0] & 1 ? OF_PORT_NONE : fdb_lookup(x->p->fdb, n.vlan, key->eth_dst);
	xlate_depend(x, OF_DEP_ADDRESS, fdb_key(n.vlan, key->eth_dst));
	if (known.v != OFPP_ANY) {
		const struct ofport *port = xlate_port(x, known);

		to = xmalloc(sizeof(*to));
		if (port && port != n.in && is_member(&port->info, n.vlan)) {
			to[n_to++] = port;
		}
		if (xlate_is_traced(x)) {
			xlate_tell_known(x, known, n.vlan, n_to);
		}
	} else {
		const struct ofport_set *set = xlate_ports(x);

		to = xmalloc((set->n + 1) * sizeof(*to));
		for (size_t i = 0; i < set->n; i++) {
			const struct ofport *port = set->ports[i];

			if (port != n.in && !(port->info.config & OF_PORT_NO_FLOOD) &&
				port->info.number.v != be32_to(key->in_port) &&
				is_member(&port->info, n.vlan)) {
				to[n_to++] = port;
			}
		}
	}
	if (known.v == OFPP_ANY && xlate_is_traced(x)) {
		xlate_tell_flood(x, n.vlan, to, n_to);
	}
	output_normal(x, &n, to, n_to);
	free(to);
}

/* Which VLAN the packet is in on its input port; false: it may not come in there. */
static bool
admit(struct xlate *x, struct normal *n)
{
	const struct of_port_info *port;
	bool has_id;

	*n = (struct normal){.in = in_port(x)};
	port = n->in ? &n->in->info : NULL;
	if (port && port->vlan_mode == OF_VLAN_DOT1Q_TUNNEL) {
		n->vlan = port->tag;
		n->is_payload = true;
		return true;
	}
	n->is_tagged = xlate_is_tagged(x);
	if (n->is_tagged) {
		xlate_read_field(x, FIELD_VLAN_VID);
		n->vlan = be16_to(x->pkt.key.vlan_tci) & 0xfff;
	}
	has_id = n->vlan != 0;
	if (!port) {
		return true;
	}
	switch (port->vlan_mode) {
	case OF_VLAN_ACCESS:
		if (has_id) {
			return false;
		}
		n->vlan = port->tag;
		return true;
	case OF_VLAN_NATIVE_TAGGED:
	case OF_VLAN_NATIVE_UNTAGGED:
		if (!has_id) {
			n->vlan = port->tag;
		}
		break;
	case OF_VLAN_TRUNK:
	case OF_VLAN_DOT1Q_TUNNEL:
		break;
	}
	return is_member(port, n->vlan);
}

static bool
is_member(const struct of_port_info *port, uint16_t vlan)
{
	switch (port->vlan_mode) {
	case OF_VLAN_ACCESS:
	case OF_VLAN_DOT1Q_TUNNEL:
		return vlan == port->tag;
	case OF_VLAN_NATIVE_TAGGED:
	case OF_VLAN_NATIVE_UNTAGGED:
		if (vlan == port->tag) {
			return true;
		}
		break;
	case OF_VLAN_TRUNK:
		break;
	}
	return !port->has_trunks || port->trunks[vlan / 64] >> vlan % 64 & 1;
}

static enum wanted_tag
wanted_tag(const struct of_port_info *port, const struct normal *n)
{
	bool untagged =
		port->vlan_mode == OF_VLAN_ACCESS || port->vlan_mode == OF_VLAN_DOT1Q_TUNNEL ||
		(port->vlan_mode == OF_VLAN_NATIVE_UNTAGGED && n->vlan == port->tag) || !n->vlan;

	if (n->is_payload) {
		return untagged ? WANT_AS_IS : WANT_SERVICE_TAG;
	}
	if (untagged) {
		return n->is_tagged ? WANT_UNTAGGED : WANT_AS_IS;
	}
	return WANT_TAG;
}

/* Outputs to ports, those that take the packet as it is first. */
static void
output_normal(struct xlate *x, const struct normal *n, const struct ofport *const *to, size_t n_to)
{
	for (unsigned wanted = WANT_AS_IS; wanted < WANT_N; wanted++) {
		struct xlate_packet *saved;
		struct of_trace_node *outer;
		bool any = false;
		size_t at = 0;

		for (size_t i = 0; i < n_to && !any; i++) {
			any = wanted_tag(&to[i]->info, n) == wanted && may_send(x, to[i]);
		}
		for (size_t i = 0; i < n_to && !any; i++) {
			if (wanted_tag(&to[i]->info, n) == wanted) {
				tell_mute(x, to[i]);
			}
		}
		if (!any || x->stopped) {
			continue;
		}
		/* What was set before is the packet's own: it is put before a copy is made. */
		xlate_commit(x);
		saved = xmemdup(&x->pkt, sizeof(x->pkt));
		outer = wanted == WANT_AS_IS
				? NULL
				: XLATE_BEGIN(x, OF_TRACE_NOTE,
					  wanted == WANT_UNTAGGED ? "a copy without the tag"
								  : "a copy tagged with VLAN %u",
					  n->vlan);
		apply_tag(x, n, wanted);
		if (x->pkt.n_pops || x->pkt.n_pushes || x->pkt.pending.bits.vlan_tci) {
			at = dp_actions_begin(&x->out->actions, DP_ACTION_CLONE, 0) + 1;
		}
		for (size_t i = 0; i < n_to && !x->stopped; i++) {
			if (wanted_tag(&to[i]->info, n) == wanted) {
				put_output(x, to[i]);
			}
		}
		if (outer) {
			xlate_trace_end(x, outer);
		}
		if (at) {
			dp_actions_end(&x->out->actions, at - 1);
			x->pkt = *saved;
		}
		free(saved);
	}
}

static void
apply_tag(struct xlate *x, const struct normal *n, enum wanted_tag wanted)
{
	switch (wanted) {
	case WANT_UNTAGGED:
		xlate_pop_vlan(x);
		break;
	case WANT_TAG:
		if (!n->is_tagged) {
			xlate_push_vlan(x, TPID_CUSTOMER);
		}
		if ((be16_to(x->pkt.key.vlan_tci) & 0xfff) != n->vlan) {
			xlate_set_u64(x, FIELD_VLAN_TCI, n->vlan, 0xfff);
		}
		break;
	case WANT_SERVICE_TAG:
		xlate_push_vlan(x, TPID_SERVICE);
		xlate_set_u64(x, FIELD_VLAN_TCI, n->vlan, 0xefff);
		break;
	case WANT_AS_IS:
	case WANT_N:
		break;
	}
}

static void
put_learned(struct xlate *x, const struct ofport *port, uint16_t vlan)
{
	struct translation *t = x->out;
	struct translate_learned *l;

	if (t->n_learned == TRANSLATE_MAX_LEARNED) {
		return;
	}
	l = &t->learned[t->n_learned++];
	l->ofproto_id = x->p->id;
	l->port = port->info.number;
	l->vlan = vlan;
	memcpy(l->mac, x->pkt.key.eth_src, sizeof(l->mac));
}
