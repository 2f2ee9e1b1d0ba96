/* SPDX-License-Identifier: Apache-2.0
 *
 * Translation: tunnels. Out by a tunnel port, through the switch that the underlay's route leads by; in where
 * that switch hands a tunnel packet to the host.
 *
 * Out: the datapath puts prepared headers in front of the packet (an object, shared by all flows to the same
 *      next hop), then translation goes on in the underlay switch with these headers as the key. What of
 *      them is not known before the packet is there (ECN, the UDP source port) makes it recirculate when
 *      somebody looks.
 * In:  decapsulated packets are received anew, by the face of their listener (tunnel_internal.h). What
 *      is not from an underlay port is dropped: a guest could otherwise speak for any tunnel's far end.
 */
#include <stdlib.h>
#include <string.h>

#include "lib/byteorder.h"
#include "lib/dp_protocol.h"
#include "ofproto/of_context.h"
#include "ofproto/translate_internal.h"
#include "ofproto/translate_trace.h"

/* One passage out. */
struct way_out {
	const struct ofport *port;
	const struct of_tunnel *tunnel;
	struct of_underlay_key ends;
	const struct of_underlay_path *path;
	const struct ofport *underlay; /* the path's port */
	struct dp_encap *encap;
	size_t encap_size;
	struct dp_handle object;
};

#define ENCAP_WORDS ((sizeof(struct dp_encap) + DP_ENCAP_MAX_SIZE) / sizeof(uint64_t))

static void lose(struct xlate *x, enum drop_reason reason);
static bool id_fits(struct xlate *x, const struct of_tunnel *t);
static bool find_ends(struct xlate *x, struct way_out *w);
static bool find_path(struct xlate *x, struct way_out *w);
static bool find_object(struct xlate *x, struct way_out *w);
static void go_out(struct xlate *x, const struct way_out *w);
static void become_outer(struct xlate_packet *k, const struct way_out *w);
static bool is_malformed(struct xlate *x);
static bool take_options(struct xlate *x);
static const struct tunnel_listener *listener_of(struct xlate *x);
static void outer_destination(struct xlate *x, struct of_underlay_addr *a);

/* --- out ----------------------------------------------------------------------------------------- */

void
xlate_tunnel(struct xlate *x, const struct ofport *port)
{
	uint64_t body[ENCAP_WORDS] = {0};
	struct way_out w = {
		.port = port, .tunnel = &port->info.tunnel, .encap = (struct dp_encap *)body};
	struct of_tunnel chosen;

	if (x->chosen.port == port) {
		/* NORMAL has said which remote. */
		chosen = port->info.tunnel;
		chosen.remote_by = OF_TUNNEL_GIVEN;
		chosen.remote = *x->chosen.remote;
		w.tunnel = &chosen;
	}
	if (x->depth >= TRANSLATE_MAX_DEPTH) {
		xlate_fail(x, DROP_RESUBMIT_DEPTH);
		return;
	}
	if (x->pkt.is_outer) {
		xlate_trace(x, "it comes out of a tunnel port already");
		lose(x, DROP_TUNNEL_LOOP);
		return;
	}
	if (id_fits(x, w.tunnel) && find_ends(x, &w) && find_path(x, &w) && find_object(x, &w)) {
		go_out(x, &w);
	}
}

/* Counted even if others get the packet: who floods to many remotes is to see that one is out of reach. */
static void
lose(struct xlate *x, enum drop_reason reason)
{
	_Static_assert(DROP_N <= 64, "a bit for each reason");
	xlate_blame(x, reason);
	x->lost |= UINT64_C(1) << reason;
}

/* Looks at the upper bits alone, which decide. */
static bool
id_fits(struct xlate *x, const struct of_tunnel *t)
{
	const struct flow_key *key = &x->pkt.key;
	be32_t beyond = be32_from(~of_tunnel_id_max((enum dp_tunnel_kind)t->kind));
	struct flow_mask bits = {.bits.tun_id_lo = beyond};

	if (t->id_by != OF_TUNNEL_FLOW) {
		return true;
	}
	xlate_read(x, &bits);
	if (!key->tun_id_hi && !(key->tun_id_lo & beyond)) {
		return true;
	}
	xlate_trace(x, "tun_id 0x%llx is wider than the tunnel carries",
		(unsigned long long)be32_to(key->tun_id_hi) << 32 | be32_to(key->tun_id_lo));
	lose(x, DROP_TUNNEL_ID_RANGE);
	return false;
}

/* The addresses that are asked for. */
static bool
find_ends(struct xlate *x, struct way_out *w)
{
	const struct of_tunnel *t = w->tunnel;

	w->ends = (struct of_underlay_key){.local = t->local, .remote = t->remote};
	if (t->remote_by == OF_TUNNEL_FLOW) {
		xlate_read_field(x, FIELD_TUN_DST);
		memcpy(w->ends.remote.v, x->pkt.key.tun_dst, sizeof(w->ends.remote.v));
	}
	if (t->local_by == OF_TUNNEL_FLOW) {
		xlate_read_field(x, FIELD_TUN_SRC);
		memcpy(w->ends.local.v, x->pkt.key.tun_src, sizeof(w->ends.local.v));
	}
	if (of_underlay_addr_is_zero(&w->ends.remote)) {
		xlate_trace(x, "no remote: tun_dst is not set");
		lose(x, DROP_TUNNEL_NO_ROUTE);
		return false;
	}
	if (!of_underlay_addr_is_zero(&w->ends.local) &&
		of_underlay_addr_is_v4(&w->ends.local) != of_underlay_addr_is_v4(&w->ends.remote)) {
		xlate_trace(x, "local and remote are not of one family");
		lose(x, DROP_TUNNEL_NO_ROUTE);
		return false;
	}
	return true;
}

static enum drop_reason
reason_of(enum of_underlay_state state)
{
	switch (state) {
	case OF_UNDERLAY_OWN_ADDRESS: /* by the loopback device */
	case OF_UNDERLAY_NO_DEVICE:
		return DROP_TUNNEL_NO_UNDERLAY;
	case OF_UNDERLAY_LINK_DOWN:
	case OF_UNDERLAY_NO_NEIGHBOUR:
	case OF_UNDERLAY_PENDING:
		return DROP_TUNNEL_NO_NEIGHBOUR;
	case OF_UNDERLAY_READY:
	case OF_UNDERLAY_NO_ROUTE:
	case OF_UNDERLAY_NO_LOCAL:
	case OF_UNDERLAY_FULL:
		break;
	}
	return DROP_TUNNEL_NO_ROUTE;
}

static bool
find_path(struct xlate *x, struct way_out *w)
{
	const struct of_underlay_route *r = xlate_underlay(x, &w->ends);
	const struct ofproto *p;
	unsigned n_usable = 0;

	if (r->state == OF_UNDERLAY_PENDING && x->in->object) {
		/* Just asked for: there will be an answer in a moment. */
		x->out->is_pending = true;
		return false;
	}
	/* Who has objects can wait, too. */
	x->out->lacks_objects |= r->state == OF_UNDERLAY_PENDING;
	for (uint32_t i = 0; i < r->n_paths; i++) {
		n_usable += r->paths[i].is_usable;
	}
	/* Connections are spread over equal paths. */
	w->path = r->state == OF_UNDERLAY_READY
			  ? of_underlay_pick(r, n_usable > 1 ? xlate_hash(x, 0) : 0)
			  : NULL;
	if (!w->path) {
		xlate_trace(x, "the underlay: %s", r->text);
		lose(x, reason_of(r->state));
		return false;
	}
	xlate_depend_on(x, of_dep(OF_DEP_PORT, w->path->ofproto_id, w->path->port.v));
	p = ofproto_by_id(x->model, w->path->ofproto_id);
	w->underlay = p ? ofport_find(p, w->path->port) : NULL;
	if (!w->underlay) {
		xlate_trace(x, "the underlay: port %s has gone", w->path->device);
		lose(x, DROP_TUNNEL_NO_UNDERLAY);
		return false;
	}
	return true;
}

bool
xlate_tunnel_has_way(struct xlate *x, const struct ofport *port)
{
	const struct of_tunnel *t = &port->info.tunnel;
	const struct of_underlay_key ends = {.local = t->local, .remote = t->remote};
	const struct of_underlay_route *r;

	if (port->info.kind != OF_PORT_TUNNEL || t->remote_by != OF_TUNNEL_GIVEN ||
		t->local_by != OF_TUNNEL_GIVEN) {
		return true;
	}
	r = xlate_underlay(x, &ends);
	/* Who is still being asked for is not known to be away. */
	return r->state == OF_UNDERLAY_READY || r->state == OF_UNDERLAY_PENDING;
}

/* To whom the agent answers about packets too long for the path. */
static bool
put_context(struct xlate *x, struct way_out *w)
{
	struct of_context c = {
		.kind = OF_CONTEXT_TOO_LONG,
		.ofproto_id = x->p->id,
		.in_port = w->port->info.number.v,
		.max_len = (uint16_t)tunnel_inner_mtu(w->encap),
	};

	w->encap->reason = OF_REASON_ACTION;
	return xlate_put_context(x, &c, &w->encap->context);
}

static bool
find_object(struct xlate *x, struct way_out *w)
{
	struct translate_object o = {.kind = DP_OBJECT_ENCAP, .body = w->encap};

	w->encap_size =
		tunnel_header(w->tunnel, w->path, &w->ends.remote, x->mirror_is_egress, w->encap);
	w->encap->max_len = x->mirror_max_len;
	if (x->is_mirror_copy && w->encap->too_long == DP_ENCAP_TO_AGENT) {
		/* Whose copy it is has no part in it, and is to hear nothing. */
		w->encap->too_long = DP_ENCAP_DROP;
	}
	w->encap->port = w->port->info.dp_port.v;
	if (w->encap->too_long == DP_ENCAP_TO_AGENT && !put_context(x, w)) {
		return false;
	}
	if (!x->in->object) {
		x->out->lacks_objects = true;
		return true;
	}
	o.size = w->encap_size;
	switch (x->in->object(x->in->object_user, &o, &w->object)) {
	case TRANSLATE_OBJECT_READY:
		return true;
	case TRANSLATE_OBJECT_PENDING:
		x->out->is_pending = true;
		return false;
	case TRANSLATE_OBJECT_NONE:
		break;
	}
	/* There is no other way to do it; it may be possible later. */
	xlate_trace(x, "the datapath takes no more tunnel headers");
	xlate_fail(x, DROP_AGENT_REFUSED);
	x->out->is_refused = true;
	return false;
}

static void
go_out(struct xlate *x, const struct way_out *w)
{
	struct dp_actions *list = &x->out->actions;
	bool had_output = x->has_output;
	struct xlate *inner;
	size_t at, empty;

	xlate_commit(x);
	xlate_commit_tunnel(x, w->encap->flags);
	xlate_note(x, w->port->tx);
	inner = xlate_leave(x, w->underlay);
	become_outer(&x->pkt, w);
	if (xlate_is_traced(x)) {
		xlate_tell_outer(x, w->underlay->ofproto);
	}
	x->from_underlay = false;
	x->has_output = false;
	at = dp_actions_begin(list, DP_ACTION_CLONE, 0);
	dp_actions_put_object(list, DP_ACTION_ENCAP, w->object);
	empty = list->size;
	xlate_receive(x, w->underlay);
	if (list->size > empty) { /* an output, or a mirror's copy */
		xlate_unwrap_last_clone(list, at + sizeof(struct dp_action_hdr));
		dp_actions_end(list, at);
	} else {
		list->size = at; /* for nothing */
	}
	x->has_output |= had_output;
	xlate_come_back(x, inner);
}

/* The outer headers are the packet's from here on. */
static void
become_outer(struct xlate_packet *k, const struct way_out *w)
{
	const struct of_tunnel *t = w->tunnel;
	const uint8_t *eth = w->encap->header;
	struct flow_key key = {
		.in_port = be32_from(w->underlay->info.number.v), .pkt_mark = k->key.pkt_mark};
	struct flow_key *unknown;

	memcpy(key.eth_dst, eth, 6);
	memcpy(key.eth_src, eth + 6, 6);
	memcpy(&key.eth_type, eth + 12, 2);
	if (of_underlay_addr_is_v4(&w->ends.remote)) {
		memcpy(&key.ip_src, w->path->source.v + 12, 4);
		memcpy(&key.ip_dst, w->ends.remote.v + 12, 4);
	} else {
		memcpy(key.ipv6_src, w->path->source.v, 16);
		memcpy(key.ipv6_dst, w->ends.remote.v, 16);
	}
	key.ip_proto = t->dst_port ? TUNNEL_PROTO_UDP : TUNNEL_PROTO_GRE;
	key.ip_tos = t->tos;
	key.ip_ttl = t->ttl;
	key.l4_dst = be16_from(t->dst_port);
	memset(k, 0, sizeof(*k));
	k->is_outer = true;
	k->key = k->base = key;
	k->origin[0] = k->origin[1] = k->own_origin = TAG_MADE;
	memset(&k->made, 0xff, sizeof(k->made));
	unknown = &k->made.bits;
	unknown->ip_tos = t->tos_by == OF_TUNNEL_GIVEN ? 0xfc : 0;
	unknown->ip_ttl = t->ttl_by == OF_TUNNEL_GIVEN ? 0xff : 0;
	unknown->l4_src = t->dst_port ? 0 : UINT16_MAX;
	unknown->hash = 0;
	if (t->too_long == DP_ENCAP_FRAGMENT) {
		unknown->ip_frag = 0;
		unknown->l4_dst = 0;
	}
	k->fixed = k->made;
}

bool
xlate_needs_unknown(const struct xlate *x, const struct of_action_hdr *a)
{
	switch (a->type) {
	case OF_ACTION_COPY_FIELD:
		return xlate_is_unknown_field(
			x, ((const struct of_action_copy_field *)(const void *)a)->src);
	case OF_ACTION_LEARN:
		return xlate_learn_needs_unknown(x, (const void *)a);
	case OF_ACTION_PUSH_MPLS:
	case OF_ACTION_DEC_NW_TTL:
		return xlate_is_unknown_field(x, FIELD_IP_TTL);
	default:
		return false;
	}
}

/* --- in ------------------------------------------------------------------------------------------ */

bool
xlate_decap(struct xlate *x, const struct ofport *port)
{
	struct xlate_packet *k = &x->pkt;
	const struct tunnel_listener *l;
	const struct ofport *face;
	struct of_underlay_addr to;
	bool malformed;
	size_t at;

	if (!port->info.is_internal || k->is_opaque) {
		return false;
	}
	if (!tunnel_any_listener(x->model)) {
		xlate_depend_on(x, TUNNEL_DEP_ANY);
		return false;
	}
	if (xlate_is_tagged(x)) {
		return false;
	}
	malformed = is_malformed(x);
	l = malformed ? NULL : listener_of(x);
	if (!malformed && !l) {
		return false;
	}
	xlate_read_field(x, FIELD_ETH_DST);
	if (memcmp(k->key.eth_dst, port->info.mac, sizeof(k->key.eth_dst))) {
		return false; /* flooded: not the host's */
	}
	if (malformed) {
		xlate_trace(x, "IP or UDP header cut or inconsistent: no tunnel packet");
		xlate_blame(x, DROP_DECAP_BAD);
		return true;
	}
	outer_destination(x, &to);
	if (!xlate_owns_address(x, &to)) {
		return false;
	}
	if (!x->from_underlay) {
		xlate_trace(x, "tunnel packet, but not from an underlay port");
		xlate_blame(x, DROP_TUNNEL_FROM_GUEST);
		return true;
	}
	face = tunnel_face(l);
	if (!face) {
		xlate_trace(x, "tunnel packet, but its tunnel ports are down");
		xlate_blame(x, DROP_RX_DISABLED);
		return true;
	}
	xlate_trace(x, "tunnel packet: decapsulated");
	xlate_commit(x);
	at = dp_actions_begin(&x->out->actions, DP_ACTION_CLONE, 0);
	dp_actions_put_decap(&x->out->actions, tunnel_decap_kind(l), face->info.dp_port, 0);
	dp_actions_end(&x->out->actions, at);
	x->has_output = true;
	return true;
}

const struct ofport *
xlate_tunnel_port(struct xlate *x, const struct ofport *face)
{
	struct flow_mask looked = {0};
	const struct ofport *port = tunnel_find(x->model, face, &x->pkt.key, &looked);

	xlate_read(x, &looked);
	xlate_depend_on(x, TUNNEL_DEP(face->info.tunnel.dst_port));
	if (!port) {
		xlate_trace(x, "no tunnel port takes the packet");
		xlate_blame(x, DROP_TUNNEL_UNKNOWN);
		return NULL;
	}
	x->p = port->ofproto;
	xlate_depend(x, OF_DEP_PORT, port->info.number.v);
	xlate_note(x, port->rx);
	x->pkt.key.in_port = x->pkt.base.in_port = be32_from(port->info.number.v);
	return take_options(x) ? port : NULL;
}

/* The datapath knows the options of all switches: those of others are unknown to this one (RFC 8926 s.3.5). */
static bool
take_options(struct xlate *x)
{
	struct flow_mask bits = {0};
	uint64_t others = atomic_load_explicit(&x->model->tlv_slots, memory_order_relaxed) &
			  ~of_tlv_slots(&x->p->tlvs);

	if (!others) {
		return true;
	}
	bits.bits.tun_opts_present = be64_from(others);
	xlate_read(x, &bits);
	others &= be64_to(x->pkt.key.tun_opts_present);
	if (others & atomic_load_explicit(&x->model->tlv_critical, memory_order_relaxed)) {
		xlate_trace(x, "an option of Geneve that must be understood is not this switch's");
		xlate_blame(x, DROP_DECAP_OPTION);
		return false;
	}
	if (others) {
		xlate_set_u64(x, FIELD_TUN_OPTS_PRESENT, 0, others);
	}
	return true;
}

void
xlate_option_set(struct xlate *x, const union field_value *mask)
{
	struct of_tlv tlv;

	if (of_tlv_of_mask(&x->p->tlvs, mask, &tlv) < OF_TLV_FIELDS) {
		xlate_set_u64(x, FIELD_TUN_OPTS_PRESENT, UINT64_C(1) << tlv.slot,
			UINT64_C(1) << tlv.slot);
	}
}

/* Whose outer headers do not tell whether it is a tunnel packet. The kernel would take it no better, but
 * nobody would know. */
static bool
is_malformed(struct xlate *x)
{
	struct flow_mask bad = {.bits = {.ip_frag = FLOW_BAD_L3}};

	if (!xlate_holds(x, FIELD_PRE_IP)) {
		return false;
	}
	bad.bits.ip_frag |= x->pkt.key.ip_frag & FLOW_BAD_L3 || !xlate_holds(x, FIELD_PRE_UDP)
				    ? 0
				    : FLOW_BAD_L4;
	xlate_read(x, &bad);
	return x->pkt.key.ip_frag & bad.bits.ip_frag;
}

static const struct tunnel_listener *
listener_of(struct xlate *x)
{
	const struct flow_key *key = &x->pkt.key;
	uint16_t dst_port = 0; /* GRE's */

	if (!xlate_holds(x, FIELD_PRE_IP)) {
		return NULL;
	}
	if (xlate_holds(x, FIELD_PRE_UDP)) {
		xlate_read_field(x, FIELD_UDP_DST);
		dst_port = be16_to(key->l4_dst);
		if (!dst_port) {
			return NULL;
		}
	} else if (key->ip_proto != TUNNEL_PROTO_GRE) {
		return NULL;
	}
	xlate_depend_on(x, TUNNEL_DEP(dst_port));
	return tunnel_listener_find(x->model, dst_port);
}

static void
outer_destination(struct xlate *x, struct of_underlay_addr *a)
{
	static const uint8_t mapped[12] = {[10] = 0xff, [11] = 0xff};

	if (xlate_holds(x, FIELD_PRE_IPV6)) {
		xlate_read_field(x, FIELD_IPV6_DST);
		memcpy(a->v, x->pkt.key.ipv6_dst, sizeof(a->v));
		return;
	}
	xlate_read_field(x, FIELD_IPV4_DST);
	memcpy(a->v, mapped, sizeof(mapped));
	memcpy(a->v + 12, &x->pkt.key.ip_dst, 4);
}
