/* SPDX-License-Identifier: Apache-2.0
 *
 * Tunnel ports: their checks, and finding them by what a packet brings.
 */
#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "lib/alloc.h"
#include "lib/byteorder.h"
#include "lib/error.h"
#include "lib/hash.h"
#include "ofproto/ofproto_internal.h"

/* What identifies a port among those of a listener; what is not given is zero. */
struct tunnel_key {
	struct of_underlay_addr remote;
	struct of_underlay_addr local;
	uint32_t id;
	uint16_t dst_port;
	uint16_t given;
	uint32_t kind; /* GRE and ERSPAN share a listener */
};

static void make_key(const struct of_tunnel *t, struct tunnel_key *key);
static bool key_equal(const struct tunnel_key *a, const struct tunnel_key *b);
static uint32_t chain_of(const struct tunnel_key *key);
static void add(struct of_model *m, const struct ofport *port);
static void del(struct of_model *m, const struct ofport *port);
static void count_kind(struct of_model *m, struct tunnel_listener *l, uint8_t kind, int n);
static void choose_face(
	struct of_model *m, struct tunnel_listener *l, const struct ofport *changed);
static const struct ofport *find(const struct tunnel_map *map, const struct tunnel_key *key);
static void free_listener(struct grace_item *item);

/* --- what is said of them ------------------------------------------------------------------------ */

bool
of_underlay_addr_is_zero(const struct of_underlay_addr *a)
{
	static const struct of_underlay_addr zero;

	return !memcmp(a, &zero, sizeof(zero));
}

bool
of_underlay_addr_is_v4(const struct of_underlay_addr *a)
{
	static const uint8_t mapped[12] = {[10] = 0xff, [11] = 0xff};

	return !memcmp(a->v, mapped, sizeof(mapped));
}

static bool
refuse(struct weft_error *err, const char *text)
{
	return weft_error_set(err, WEFT_ERR_INVALID, EINVAL, "%s", text);
}

static bool
is_multicast(const struct of_underlay_addr *a)
{
	return of_underlay_addr_is_v4(a) ? a->v[12] >= 224 : a->v[0] == 0xff;
}

static bool
is_in_gre(const struct of_tunnel *t)
{
	return t->kind == DP_TUNNEL_GRE || t->kind == DP_TUNNEL_ERSPAN;
}

uint32_t
of_tunnel_id_max(enum dp_tunnel_kind kind)
{
	return kind == DP_TUNNEL_GRE ? UINT32_MAX : kind == DP_TUNNEL_ERSPAN ? 0x3ff : 0xffffff;
}

static bool
check_erspan(const struct of_tunnel *t, struct weft_error *err)
{
	if (t->kind != DP_TUNNEL_ERSPAN) {
		return t->too_long != DP_ENCAP_CUT ||
		       refuse(err, "too-long=cut is for ERSPAN, which carries copies");
	}
	if (t->erspan.ver != 1 && t->erspan.ver != 2) {
		return refuse(err, "erspan-ver must be 1 (type II) or 2 (type III)");
	}
	if (t->erspan.idx > OF_TUNNEL_IDX_MAX || t->erspan.hwid > OF_TUNNEL_HWID_MAX ||
		t->erspan.dir > OF_TUNNEL_DIR_EGRESS) {
		return refuse(err, "erspan-idx, erspan-hwid or erspan-dir is out of range");
	}
	if (t->too_long == DP_ENCAP_TO_AGENT) {
		return refuse(err, "too-long=icmp is not for ERSPAN: what is too long is a copy");
	}
	if (t->erspan.ver == 2 ? t->erspan.idx : t->erspan.hwid || t->erspan.dir) {
		return refuse(err, "erspan-idx goes with erspan-ver=1, erspan-dir and erspan-hwid "
				   "with erspan-ver=2");
	}
	return true;
}

/* Of the kinds that have UDP ports, and of the others. */
static bool
check_id_and_port(const struct of_tunnel *t, struct weft_error *err)
{
	if (t->id > of_tunnel_id_max((enum dp_tunnel_kind)t->kind)) {
		return refuse(err, is_in_gre(t) ? "vni, the session, must be at most 1023 (10 bits)"
						: "vni must be at most 16777215 (24 bits)");
	}
	if (is_in_gre(t) != !t->dst_port) {
		return refuse(err, is_in_gre(t) ? "GRE has no UDP port" : "dst-port must not be 0");
	}
	return true;
}

static bool
is_loopback(const struct of_underlay_addr *a)
{
	static const uint8_t v6[15];

	return of_underlay_addr_is_v4(a) ? a->v[12] == 127
					 : !memcmp(a->v, v6, sizeof(v6)) && a->v[15] == 1;
}

static bool
check_bfd(const struct of_tunnel *t, bool has_remote, struct weft_error *err)
{
	if (t->bfd && t->kind == DP_TUNNEL_ERSPAN) {
		return refuse(err, "ERSPAN carries copies alone, no bfd");
	}
	if (t->bfd && (!has_remote || t->local_by != OF_TUNNEL_GIVEN)) {
		return refuse(err, "bfd watches one path: remote and local must not be flow");
	}
	if (t->bfd_id && t->id_by != OF_TUNNEL_FLOW) {
		return refuse(err,
			"bfd-vni is for vni=flow: else BFD's packets have the vni of the port");
	}
	return t->bfd_id <= of_tunnel_id_max((enum dp_tunnel_kind)t->kind) ||
	       refuse(err, "bfd-vni is wider than the tunnel carries");
}

bool
of_tunnel_check(const struct of_tunnel *t, struct weft_error *err)
{
	bool has_remote = t->remote_by == OF_TUNNEL_GIVEN;
	bool has_local = t->local_by == OF_TUNNEL_GIVEN && !of_underlay_addr_is_zero(&t->local);

	if (t->kind < DP_TUNNEL_VXLAN || t->kind > DP_TUNNEL_ERSPAN) {
		return refuse(err, "no tunnel of a kind that ports can have");
	}
	if (has_remote && of_underlay_addr_is_zero(&t->remote)) {
		return refuse(err, "the remote address is missing");
	}
	if (is_multicast(&t->remote) || is_multicast(&t->local)) {
		return refuse(err, "a multicast address cannot be a tunnel's end");
	}
	if (is_loopback(&t->remote) || is_loopback(&t->local)) {
		return refuse(err, "a loopback address cannot be a tunnel's end");
	}
	if (has_remote && has_local && !memcmp(&t->remote, &t->local, sizeof(t->remote))) {
		return refuse(err, "remote and local are the same address");
	}
	if (has_remote && has_local &&
		of_underlay_addr_is_v4(&t->remote) != of_underlay_addr_is_v4(&t->local)) {
		return refuse(err, "remote and local must both be IPv4 or both IPv6");
	}
	if (!check_id_and_port(t, err) || !check_erspan(t, err)) {
		return false;
	}
	if (t->tos & 3) {
		return refuse(err, "the low two bits of tos are ECN's: they follow the packet");
	}
	if (!t->ttl) {
		return refuse(err, "ttl must not be 0");
	}
	if (t->gbp && t->kind != DP_TUNNEL_VXLAN) {
		return refuse(err, "gbp is for plain VXLAN");
	}
	if (t->seq && t->kind != DP_TUNNEL_GRE) {
		return refuse(err, "seq is for GRE");
	}
	if (t->too_long == DP_ENCAP_FRAGMENT && t->dont_fragment) {
		return refuse(err, "too-long=fragment needs df=no");
	}
	return check_bfd(t, has_remote, err);
}

const char *
of_tunnel_conflict(const struct of_tunnel *a, const struct of_tunnel *b)
{
	struct tunnel_key one, other;

	if (a->dst_port != b->dst_port) {
		return NULL;
	}
	if (a->kind != b->kind) {
		return is_in_gre(a) ? NULL : "takes another kind of tunnel on the same UDP port";
	}
	make_key(a, &one);
	make_key(b, &other);
	return key_equal(&one, &other) ? "has the same remote, local, vni and dst-port" : NULL;
}

uint32_t
of_tunnel_hash(const struct of_tunnel *t)
{
	struct tunnel_key key;

	make_key(t, &key);
	return hash_bytes(&key, sizeof(key), 0);
}

static void
make_key(const struct of_tunnel *t, struct tunnel_key *key)
{
	memset(key, 0, sizeof(*key));
	key->dst_port = t->dst_port;
	key->kind = t->kind;
	if (t->id_by == OF_TUNNEL_GIVEN) {
		key->id = t->id;
		key->given |= TUNNEL_GIVEN_ID;
	}
	if (t->remote_by == OF_TUNNEL_GIVEN) {
		key->remote = t->remote;
		key->given |= TUNNEL_GIVEN_REMOTE;
	}
	if (t->local_by == OF_TUNNEL_GIVEN && !of_underlay_addr_is_zero(&t->local)) {
		key->local = t->local;
		key->given |= TUNNEL_GIVEN_LOCAL;
	}
}

static bool
key_equal(const struct tunnel_key *a, const struct tunnel_key *b)
{
	return !memcmp(a, b, sizeof(*a));
}

static uint32_t
chain_of(const struct tunnel_key *key)
{
	return hash_bytes(key, sizeof(*key), 0) % TUNNEL_CHAINS;
}

/* --- the map ------------------------------------------------------------------------------------- */

struct tunnel_map *
tunnel_map_create(void)
{
	return xcalloc(1, sizeof(struct tunnel_map));
}

void
tunnel_map_destroy(struct tunnel_map *map)
{
	free(map);
}

static bool
is_tunnel(const struct ofport *port)
{
	return port && port->info.kind == OF_PORT_TUNNEL;
}

const struct ofport *
tunnel_rival(
	struct of_model *m, const struct of_tunnel *t, const struct ofport *self, const char **why)
{
	struct tunnel_listener *l = tunnel_listener_find(m, t->dst_port);
	const struct ofport *rival = NULL;
	struct tunnel_key key;

	if (l && (l->kind == t->kind || is_in_gre(t))) {
		make_key(t, &key);
		rival = find(m->tunnels, &key);
	} else if (l) {
		/* Any of them but itself. */
		rival = LIST_ENTRY(l->ports.next, struct ofport, tunnel.by_listener);
		if (rival == self && l->ports.next != l->ports.prev) {
			rival = LIST_ENTRY(l->ports.prev, struct ofport, tunnel.by_listener);
		}
	}
	if (!rival || rival == self) {
		return NULL;
	}
	*why = of_tunnel_conflict(t, &rival->info.tunnel);
	return rival;
}

static bool
is_known_by_the_same(const struct ofport *a, const struct ofport *b)
{
	struct tunnel_key one, other;

	if (!is_tunnel(a) || !is_tunnel(b)) {
		return false;
	}
	make_key(&a->info.tunnel, &one);
	make_key(&b->info.tunnel, &other);
	return key_equal(&one, &other);
}

void
tunnel_replace(struct of_model *m, const struct ofport *old, const struct ofport *port)
{
	const struct ofport *known[2] = {old, port};

	for (unsigned i = 0; i < 2 && !is_known_by_the_same(old, port); i++) {
		if (is_tunnel(known[i])) {
			model_changed(m, TUNNEL_DEP(known[i]->info.tunnel.dst_port));
		}
	}
	if (is_tunnel(port)) {
		add(m, port);
	}
	if (is_tunnel(old)) {
		del(m, old);
	}
}

struct tunnel_listener *
tunnel_listener_find(const struct of_model *m, uint16_t dst_port)
{
	struct tunnel_listener *l =
		atomic_load_explicit(&m->tunnels->listeners, memory_order_acquire);

	while (l && l->dst_port != dst_port) {
		l = atomic_load_explicit(&l->next, memory_order_acquire);
	}
	return l;
}

bool
tunnel_any_listener(const struct of_model *m)
{
	return atomic_load_explicit(&m->tunnels->listeners, memory_order_acquire) != NULL;
}

const struct ofport *
tunnel_face(const struct tunnel_listener *l)
{
	return atomic_load_explicit(&l->face, memory_order_acquire);
}

enum dp_tunnel_kind
tunnel_decap_kind(const struct tunnel_listener *l)
{
	return (enum dp_tunnel_kind)atomic_load_explicit(&l->decap_kind, memory_order_relaxed);
}

static const struct ofport *
find(const struct tunnel_map *map, const struct tunnel_key *key)
{
	const struct ofport *port =
		atomic_load_explicit(&map->chains[chain_of(key)], memory_order_acquire);

	while (port) {
		struct tunnel_key other;

		make_key(&port->info.tunnel, &other);
		if (key_equal(key, &other)) {
			break;
		}
		port = atomic_load_explicit(&port->tunnel.next, memory_order_acquire);
	}
	return port;
}

const struct ofport *
tunnel_find(const struct of_model *m, const struct ofport *face, const struct flow_key *key,
	struct flow_mask *looked)
{
	const struct tunnel_listener *l = tunnel_listener_find(m, face->info.tunnel.dst_port);
	enum dp_tunnel_kind kind = l ? tunnel_decap_kind(l) : DP_TUNNEL_GRE;

	if (kind == DP_TUNNEL_GRE_OR_ERSPAN) {
		looked->bits.tun_flags |= be16_from(FLOW_TUN_ERSPAN);
		kind = be16_to(key->tun_flags) & FLOW_TUN_ERSPAN ? DP_TUNNEL_ERSPAN : DP_TUNNEL_GRE;
	}
	for (unsigned given = TUNNEL_N_GIVEN; l && given--;) {
		struct tunnel_key k = {
			.dst_port = l->dst_port, .given = (uint16_t)given, .kind = kind};
		const struct ofport *port;

		if (!atomic_load_explicit(&l->n[given], memory_order_relaxed)) {
			continue;
		}
		if (given & TUNNEL_GIVEN_ID) {
			k.id = be32_to(key->tun_id_lo);
			looked->bits.tun_id_lo = UINT32_MAX;
		}
		if (given & TUNNEL_GIVEN_REMOTE) {
			memcpy(k.remote.v, key->tun_src, sizeof(k.remote.v));
			memset(looked->bits.tun_src, 0xff, sizeof(looked->bits.tun_src));
		}
		if (given & TUNNEL_GIVEN_LOCAL) {
			memcpy(k.local.v, key->tun_dst, sizeof(k.local.v));
			memset(looked->bits.tun_dst, 0xff, sizeof(looked->bits.tun_dst));
		}
		port = find(m->tunnels, &k);
		if (port) {
			return port;
		}
	}
	return NULL;
}

/* --- changes ------------------------------------------------------------------------------------- */

static struct tunnel_listener *
make_listener(struct of_model *m, const struct of_tunnel *t)
{
	struct tunnel_listener *l = tunnel_listener_find(m, t->dst_port);

	if (!l) {
		l = xcalloc(1, sizeof(*l));
		l->kind = t->kind;
		l->dst_port = t->dst_port;
		list_init(&l->ports);
		atomic_init(&l->next,
			atomic_load_explicit(&m->tunnels->listeners, memory_order_relaxed));
		atomic_store_explicit(&m->tunnels->listeners, l, memory_order_release);
		model_changed(m, TUNNEL_DEP_ANY);
	}
	return l;
}

static void
add(struct of_model *m, const struct ofport *const_port)
{
	/* Readers look at no more of it than @next. */
	struct ofport *port = (struct ofport *)const_port;
	struct tunnel_listener *l = make_listener(m, &port->info.tunnel);
	_Atomic(const struct ofport *) *head;
	struct tunnel_key key;

	make_key(&port->info.tunnel, &key);
	port->tunnel.chain = chain_of(&key);
	head = &m->tunnels->chains[port->tunnel.chain];
	atomic_init(&port->tunnel.next, atomic_load_explicit(head, memory_order_relaxed));
	atomic_fetch_add_explicit(&l->n[key.given], 1, memory_order_relaxed);
	list_push_back(&l->ports, &port->tunnel.by_listener);
	l->kind = port->info.tunnel.kind;
	count_kind(m, l, l->kind, 1);
	atomic_store_explicit(head, port, memory_order_release);
	choose_face(m, l, port);
}

static void
del(struct of_model *m, const struct ofport *const_port)
{
	struct ofport *port = (struct ofport *)const_port;
	struct tunnel_listener *l = tunnel_listener_find(m, port->info.tunnel.dst_port);
	_Atomic(const struct ofport *) *at = &m->tunnels->chains[port->tunnel.chain];
	_Atomic(struct tunnel_listener *) *listener_at = &m->tunnels->listeners;
	const struct ofport *one;
	struct tunnel_key key;

	while ((one = atomic_load_explicit(at, memory_order_relaxed)) != port) {
		at = &((struct ofport *)one)->tunnel.next;
	}
	atomic_store_explicit(at, atomic_load_explicit(&port->tunnel.next, memory_order_relaxed),
		memory_order_release);
	make_key(&port->info.tunnel, &key);
	atomic_fetch_sub_explicit(&l->n[key.given], 1, memory_order_relaxed);
	list_remove(&port->tunnel.by_listener);
	count_kind(m, l, port->info.tunnel.kind, -1);
	choose_face(m, l, port);
	if (!list_is_empty(&l->ports)) {
		return;
	}
	while (atomic_load_explicit(listener_at, memory_order_relaxed) != l) {
		listener_at = &atomic_load_explicit(listener_at, memory_order_relaxed)->next;
	}
	atomic_store_explicit(listener_at, atomic_load_explicit(&l->next, memory_order_relaxed),
		memory_order_release);
	grace_retire(&m->grace, &l->retired, free_listener);
}

static bool
takes_packets(const struct ofport *port)
{
	return port->info.dp_port.v <= DP_PORT_MAX && !(port->info.config & OF_PORT_DOWN);
}

/* @n: 1 or -1, ports of the kind that come. */
static void
count_kind(struct of_model *m, struct tunnel_listener *l, uint8_t kind, int n)
{
	uint32_t both;

	l->n_ports += (uint32_t)n;
	l->n_erspan += kind == DP_TUNNEL_ERSPAN ? (uint32_t)n : 0;
	both = !l->n_erspan                ? DP_TUNNEL_GRE
	       : l->n_erspan == l->n_ports ? DP_TUNNEL_ERSPAN
					   : DP_TUNNEL_GRE_OR_ERSPAN;
	if (l->dst_port) {
		both = l->kind;
	}
	if (both != tunnel_decap_kind(l)) {
		atomic_store_explicit(&l->decap_kind, both, memory_order_relaxed);
		model_changed(m, TUNNEL_DEP(l->dst_port));
	}
}

/* The one that it is, as long as that takes packets: flows stand by its number. @changed: the port that comes or
 * goes. */
static void
choose_face(struct of_model *m, struct tunnel_listener *l, const struct ofport *changed)
{
	const struct ofport *face = NULL, *port;
	const struct ofport *old = tunnel_face(l);

	if (old && old != changed && old->info.dp_port.v != changed->info.dp_port.v) {
		return; /* there may be thousands of others */
	}
	LIST_FOREACH (port, tunnel.by_listener, &l->ports) {
		if (takes_packets(port) &&
			(!face || (old && port->info.dp_port.v == old->info.dp_port.v))) {
			face = port;
		}
	}
	if (!old || !face || old->info.dp_port.v != face->info.dp_port.v) {
		model_changed(m, TUNNEL_DEP(l->dst_port));
	}
	atomic_store_explicit(&l->face, face, memory_order_release);
}

static void
free_listener(struct grace_item *item)
{
	free(WEFT_CONTAINER_OF(item, struct tunnel_listener, retired));
}
