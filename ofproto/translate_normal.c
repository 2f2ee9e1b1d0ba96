/* SPDX-License-Identifier: Apache-2.0
 *
 * Translation: NORMAL with VLANs and learning.
 *
 * Copies that must differ from the packet (another tag on a port) are made inside a clone, so that
 * what follows still has the packet as it was; the last clone of a list is unwrapped at the end.
 */
#include <stdlib.h>
#include <string.h>

#include "lib/alloc.h"
#include "lib/byteorder.h"
#include "ofproto/fdb.h"
#include "ofproto/mirror_internal.h"
#include "ofproto/translate_internal.h"
#include "ofproto/translate_multicast.h"
#include "ofproto/translate_trace.h"

#define TPID_CUSTOMER 0x8100
#define TPID_SERVICE 0x88a8

/* NORMAL's view of a packet. */
struct normal {
	const struct ofport *in;
	uint16_t vlan;
	bool is_tagged;         /* the outermost tag is the VLAN's, or a priority tag */
	bool is_payload;        /* customer tags belong to the payload: in by a tunnel port */
	struct fdb_place known; /* where the packet is to go; no port: everywhere */
};

/* What a port wants to see outermost. */
enum wanted_tag {
	WANT_AS_IS,
	WANT_UNTAGGED,
	WANT_TAG,         /* change the id of the tag that is there, or push a customer tag */
	WANT_SERVICE_TAG, /* push a service tag */
	WANT_N,
};

static bool admit(struct xlate *x, const struct ofport *in, struct normal *n);
static bool is_member(const struct of_port_info *port, uint16_t vlan);
static enum wanted_tag wanted_tag(const struct of_port_info *port, const struct normal *n);
static void output_normal(
	struct xlate *x, const struct normal *n, const struct ofport *const *to, size_t n_to);
static void apply_tag(struct xlate *x, const struct normal *n, enum wanted_tag wanted);
static bool learns_remotes(const struct ofport *port);
static bool is_split(const struct normal *n, const struct ofport *to);
static void put_output(struct xlate *x, const struct normal *n, const struct ofport *to);
static void put_learned(struct xlate *x, const struct ofport *port, uint16_t vlan);

void
xlate_normal(struct xlate *x)
{
	static const uint8_t reserved[5] = {0x01, 0x80, 0xc2, 0x00, 0x00};
	const struct mirror_set *mirrors =
		atomic_load_explicit(&x->p->mirrors, memory_order_acquire);
	const struct flow_key *key = &x->pkt.key;
	const struct ofport **to;
	struct normal n;
	struct xlate_listeners listeners;
	bool is_rspan, listens;
	size_t n_to = 0;

	xlate_read_field(x, FIELD_ETH_SRC);
	xlate_read_field(x, FIELD_ETH_DST);
	if (!admit(x, xlate_in_port(x), &n)) {
		xlate_trace(x, "the port is no member of VLAN %u", n.vlan);
		x->drop = DROP_VLAN_NOT_ALLOWED;
		return;
	}
	if (n.in && mirror_set_has_port(mirrors, n.in->info.number)) {
		xlate_trace(x, "came in by a mirror's output port");
		x->drop = DROP_MIRROR_PORT;
		return;
	}
	if (!memcmp(key->eth_dst, reserved, sizeof(reserved)) && key->eth_dst[5] <= 0x0f) {
		xlate_trace(x, "to a reserved address, which bridges do not forward");
		return;
	}
	/* Copies have the sources of what was copied, who are elsewhere. */
	is_rspan = mirror_set_has_vlan(mirrors, n.vlan);
	if (n.in && !(key->eth_src[0] & 1) && !is_rspan) {
		put_learned(x, n.in, n.vlan);
	}
	n.known.port = OF_PORT_NONE;
	if (!(key->eth_dst[0] & 1) && !is_rspan) {
		n.known = fdb_find(x->p->fdb, n.vlan, key->eth_dst);
	}
	xlate_depend(x, OF_DEP_ADDRESS, fdb_key(n.vlan, key->eth_dst));
	if (n.known.port.v != OFPP_ANY) {
		const struct ofport *port = xlate_port(x, n.known.port);

		to = xmalloc(sizeof(*to));
		if (port && port != n.in && !is_split(&n, port) && is_member(&port->info, n.vlan)) {
			to[n_to++] = port;
		}
		if (xlate_is_traced(x)) {
			xlate_tell_known(x, &n.known, n.vlan, n_to);
		}
	} else {
		const struct ofport_set *set = xlate_ports(x);

		listens = !is_rspan && xlate_multicast(x, n.vlan, n.in, &listeners);
		to = xmalloc((set->n + 1) * sizeof(*to));
		for (size_t i = 0; i < set->n; i++) {
			const struct ofport *port = set->ports[i];

			if (port != n.in && !is_split(&n, port) &&
				!(port->info.config & OF_PORT_NO_FLOOD) &&
				port->info.number.v != be32_to(key->in_port) &&
				(!listens || xlate_listens(&listeners, port)) &&
				is_member(&port->info, n.vlan) &&
				!mirror_set_has_port(mirrors, port->info.number)) {
				to[n_to++] = port;
			}
		}
	}
	if (n.known.port.v == OFPP_ANY && xlate_is_traced(x)) {
		xlate_tell_flood(x, n.vlan, to, n_to);
	}
	output_normal(x, &n, to, n_to);
	free(to);
}

bool
xlate_vlan_on(struct xlate *x, const struct ofport *port, uint16_t *vlan)
{
	struct normal n;
	bool is_in = admit(x, port, &n);

	*vlan = n.vlan;
	return is_in;
}

void
xlate_put_in_vlan(struct xlate *x, uint16_t vlan)
{
	const struct mirror_set *mirrors =
		atomic_load_explicit(&x->p->mirrors, memory_order_acquire);
	const struct ofport_set *set = xlate_ports(x);
	struct normal n = {
		.vlan = vlan, .is_tagged = xlate_is_tagged(x), .known.port = OF_PORT_NONE};
	const struct ofport **to = xmalloc((set->n + 1) * sizeof(*to));
	size_t n_to = 0;

	for (size_t i = 0; i < set->n; i++) {
		const struct of_port_info *info = &set->ports[i]->info;

		if (!(info->config & OF_PORT_NO_FLOOD) && is_member(info, vlan) &&
			!mirror_set_has_port(mirrors, info->number)) {
			to[n_to++] = set->ports[i];
		}
	}
	output_normal(x, &n, to, n_to);
	free(to);
}

/* Which VLAN the packet is in on its input port; false: it may not come in there. */
static bool
admit(struct xlate *x, const struct ofport *in, struct normal *n)
{
	const struct of_port_info *port;
	bool has_id;

	*n = (struct normal){.in = in};
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
			any = wanted_tag(&to[i]->info, n) == wanted && xlate_may_send(x, to[i]);
		}
		for (size_t i = 0; i < n_to && !any; i++) {
			if (wanted_tag(&to[i]->info, n) == wanted) {
				xlate_tell_mute(x, to[i]);
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
				put_output(x, n, to[i]);
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

/* Whether it is a tunnel port of many remotes, between which NORMAL chooses. */
static bool
learns_remotes(const struct ofport *port)
{
	return port && port->info.kind == OF_PORT_TUNNEL && port->info.flood &&
	       port->info.tunnel.remote_by == OF_TUNNEL_FLOW;
}

/* What came from a remote is for guests of this host: other remotes have had it from there. */
static bool
is_split(const struct normal *n, const struct ofport *to)
{
	return learns_remotes(n->in) && learns_remotes(to);
}

/* To the remote that is known, or to all. */
static void
put_output(struct xlate *x, const struct normal *n, const struct ofport *to)
{
	const struct of_flood *flood = to->info.flood;

	if (!learns_remotes(to)) {
		xlate_put_output(x, to);
		return;
	}
	x->chosen.port = to;
	if (n->known.port.v != OFPP_ANY && !of_underlay_addr_is_zero(&n->known.remote)) {
		x->chosen.remote = &n->known.remote;
		xlate_put_output(x, to);
	} else {
		for (size_t i = 0; i < flood->n && !x->stopped; i++) {
			x->chosen.remote = &flood->remotes[i];
			xlate_put_output(x, to);
		}
	}
	x->chosen.port = NULL;
}

static void
put_learned(struct xlate *x, const struct ofport *port, uint16_t vlan)
{
	struct translation *t = x->out;
	struct translate_learned *l;
	struct fdb_place place = {.port = port->info.number};

	if (learns_remotes(port)) {
		xlate_read_field(x, FIELD_TUN_SRC);
		memcpy(place.remote.v, x->pkt.key.tun_src, sizeof(place.remote.v));
	}
	if (xlate_is_traced(x)) {
		xlate_tell_learned(x, &place, vlan);
	}
	if (t->n_learned == TRANSLATE_MAX_LEARNED) {
		return;
	}
	l = &t->learned[t->n_learned++];
	l->ofproto_id = x->p->id;
	l->place = place;
	l->vlan = vlan;
	memcpy(l->mac, x->pkt.key.eth_src, sizeof(l->mac));
}
