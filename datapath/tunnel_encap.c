/* SPDX-License-Identifier: Apache-2.0
 *
 * Tunnels: in.
 *
 * Why: the copy has a fixed size, so that it is a few wide moves; what is in front of the header in the copy is
 *      written to headroom, which is nobody's. The IPv4 checksum is that of the prepared header with what is
 *      filled in added, but where addresses are: then it is made anew.
 */
#include <netinet/in.h>
#include <rte_mbuf.h>
#include <string.h>

#include "datapath/offload.h"
#include "datapath/tunnel.h"
#include "datapath/tunnel_internal.h"
#include "datapath/tunnel_options.h"
#include "datapath/worker.h"
#include "lib/compiler.h"
#include "lib/flow_key.h"
#include "vhost/packet_mbuf.h"

#define UDP_LEN 8u
#define PORT_FIRST 0xc000u /* RFC 7348 s.5: the dynamic ports */
#define IPV4_DF 0x4000u
#define FROM_KEY_SLOW                                                                              \
	(DP_ENCAP_DST_FROM_KEY | DP_ENCAP_SRC_FROM_KEY | DP_ENCAP_TOS_FROM_KEY |                   \
		DP_ENCAP_TTL_FROM_KEY | DP_ENCAP_FLAGS_FROM_KEY)

static const struct packet_tunnel no_tunnel;

/* What the packet's own IP header says, if it has one. */
struct inner {
	bool is_ip;
	uint8_t tos, ttl;
};

static inline struct inner
inner_of(const struct packet *p)
{
	const uint8_t *ip = p->data + p->l3_off;
	uint16_t type = packet_l3_type(p);

	/* The parser has found the header whole when it knows where the next one is. */
	if (p->l4_off && type == TYPE_IPV4) {
		return (struct inner){true, ip[1], ip[8]};
	}
	if (p->l4_off && type == TYPE_IPV6) {
		return (struct inner){true, (uint8_t)(get_be16(ip) >> 4), ip[7]};
	}
	return (struct inner){false, 0, 0};
}

/* Bytes of Ethernet that do not go into the tunnel. */
static uint32_t
stripped(const struct tunnel_encap *e)
{
	return e->flags & DP_ENCAP_L3 ? ETH_LEN : 0;
}

static struct tunnel_wish
wish_of(const struct tunnel_encap *e, const struct packet *p)
{
	const struct packet_tunnel *t = p->tunnel ? p->tunnel : &no_tunnel;
	bool options = e->flags & DP_ENCAP_OPTS_FROM_KEY && t->has_opts;

	return (struct tunnel_wish){t, options ? tunnel_options_get() : NULL, TUNNEL_ETHERNET};
}

static uint32_t
extra_of(const struct tunnel_encap *e, const struct tunnel_wish *wish)
{
	return wish->options && e->kind->extra ? e->kind->extra(wish) : 0;
}

int
tunnel_encap_extra(const struct tunnel_encap *e, const struct packet *p)
{
	struct tunnel_wish wish = wish_of(e, p);

	return (int)extra_of(e, &wish) - (int)stripped(e);
}

/* --- from the key --------------------------------------------------------------------------------------- */

/* An address of the outer header's family; NULL: another. */
static const uint8_t *
address(const uint8_t *a, bool v6)
{
	static const uint8_t mapped[12] = {[10] = 0xff, [11] = 0xff}, zero[16];

	if (!memcmp(a, mapped, sizeof mapped)) {
		return !v6 && memcmp(a + 12, zero, 4) ? a + 12 : NULL;
	}
	return v6 && memcmp(a, zero, sizeof zero) ? a : NULL;
}

static bool
is_zero_address(const uint8_t *a)
{
	static const uint8_t zero[16];

	return !memcmp(a, zero, sizeof zero);
}

/* Whether the key's addresses can be had. */
static bool
has_addresses(const struct tunnel_encap *e, const struct packet_tunnel *t)
{
	return (!(e->flags & DP_ENCAP_DST_FROM_KEY) || address(t->dst, e->v6)) &&
	       (!(e->flags & DP_ENCAP_SRC_FROM_KEY) || is_zero_address(t->src) ||
		       address(t->src, e->v6));
}

static void
put_addresses(const struct tunnel_encap *e, const struct packet_tunnel *t, uint8_t *ip)
{
	uint32_t size = e->v6 ? 16 : 4;
	uint8_t *src = ip + (e->v6 ? 8 : 12);

	if (e->flags & DP_ENCAP_SRC_FROM_KEY && !is_zero_address(t->src)) {
		memcpy(src, address(t->src, e->v6), size);
	}
	if (e->flags & DP_ENCAP_DST_FROM_KEY) {
		memcpy(src + size, address(t->dst, e->v6), size);
	}
}

/* --- the headers ---------------------------------------------------------------------------------------- */

/* What the outer IP header gets. */
struct outer {
	uint8_t tos, ttl;
	uint16_t len; /* of the IP packet */
	bool slow;    /* addresses and flags of the key too */
};

static void
put_ipv4(struct worker *w, const struct tunnel_encap *e, const struct packet_tunnel *t, uint8_t *ip,
	const struct outer *o)
{
	uint16_t id;
	uint32_t sum;

	if (WEFT_UNLIKELY(e->flags & DP_ENCAP_FLAGS_FROM_KEY)) {
		put_be16(ip + 6, be16_to(t->flags) & FLOW_TUN_DF ? IPV4_DF : 0);
	}
	/* One that cannot be a fragment needs no number (RFC 6864 s.4.1). */
	id = ip[6] & IPV4_DF >> 8 ? 0 : (uint16_t)worker_next_ip_id(w);
	ip[1] = o->tos;
	ip[8] = o->ttl;
	put_be16(ip + 2, o->len);
	put_be16(ip + 4, id);
	if (WEFT_UNLIKELY(o->slow)) {
		put_addresses(e, t, ip);
		put_be16(ip + 10, 0);
		put_be16(ip + 10, (uint16_t)~tunnel_fold(tunnel_sum_bytes(ip, 20)));
		return;
	}
	sum = e->ip_sum + o->tos + ((uint32_t)o->ttl << 8) + o->len + id;
	sum = (sum & 0xffff) + (sum >> 16);
	put_be16(ip + 10, (uint16_t) ~((sum & 0xffff) + (sum >> 16)));
}

static void
put_ipv6(const struct tunnel_encap *e, const struct packet_tunnel *t, uint8_t *ip,
	const struct outer *o)
{
	put_be16(ip, (uint16_t)(0x6000u | (uint32_t)o->tos << 4 | (ip[1] & 0x0fu)));
	put_be16(ip + 4, (uint16_t)(o->len - 40));
	ip[7] = o->ttl;
	if (WEFT_UNLIKELY(o->slow)) {
		put_addresses(e, t, ip);
	}
}

static void
put_udp(const struct packet *p, const struct tunnel_encap *e, const struct packet_tunnel *t,
	uint32_t hash)
{
	uint8_t *udp = p->data + e->l4_off;
	uint16_t len = (uint16_t)(p->len - e->l4_off), sum;
	bool csum = e->flags & DP_ENCAP_UDP_CSUM;

	put_be16(udp, (uint16_t)(PORT_FIRST | hash >> 18));
	put_be16(udp + 4, len);
	put_be16(udp + 6, 0);
	if (WEFT_UNLIKELY(e->flags & DP_ENCAP_FLAGS_FROM_KEY)) {
		csum = be16_to(t->flags) & FLOW_TUN_CSUM;
	}
	if (csum) {
		sum = (uint16_t)~tunnel_fold(
			tunnel_sum_pseudo(p->data + e->l3_off, e->v6, IPPROTO_UDP, len) +
			(uint64_t)tunnel_sum(p, e->l4_off, len));
		put_be16(udp + 6, sum ? sum : 0xffff);
	}
}

/* Takes Ethernet off and makes room for the header; copies it. The packet has the room. */
static void
put_header(struct packet *p, const struct tunnel_encap *e, uint32_t extra)
{
	struct rte_mbuf *m = packet_mbuf(p);
	uint8_t *behind = p->data + stripped(e) - extra;
	int grown = (int)(e->size + extra) - (int)stripped(e);

	if (WEFT_LIKELY(e->copied == 64 && p->headroom >= 64 + extra)) {
		memcpy(behind - 64, e->bytes, 64);
	} else if (e->copied == 128 && p->headroom >= 128 + extra) {
		memcpy(behind - 128, e->bytes, 128);
	} else {
		memcpy(behind - e->size, e->bytes + e->copied - e->size, e->size);
	}
	m->data_off = (uint16_t)(m->data_off - grown);
	m->data_len = (uint16_t)(m->data_len + grown);
	m->pkt_len = (uint32_t)((int)m->pkt_len + grown);
	p->data -= grown;
	p->len = m->pkt_len;
	p->head_len = m->data_len;
	p->headroom = (uint16_t)(p->headroom - grown);
}

/* Whether the packet can go into the tunnel. Fills in the type of what goes in. */
static int
check(const struct tunnel_encap *e, const struct packet *p, uint32_t extra,
	struct tunnel_wish *wish)
{
	if (e->flags & DP_ENCAP_L3) {
		wish->type = packet_l3_type(p);
		if (p->l3_off != ETH_LEN || (wish->type != TYPE_IPV4 && wish->type != TYPE_IPV6 &&
						    !is_mpls(wish->type))) {
			return DROP_ENCAP_BAD;
		}
	}
	if (extra && extra + e->size - e->tunnel_off - 8 > e->kind->extra_max) {
		return DROP_ENCAP_BAD;
	}
	return has_addresses(e, wish->t) ? EDIT_OK : DROP_ENCAP_BAD;
}

int
tunnel_encap(struct worker *w, struct packet *p, struct tunnel_encap *e, uint32_t hash)
{
	struct tunnel_wish wish = wish_of(e, p);
	const struct packet_tunnel *t = wish.t;
	const struct inner inner = inner_of(p);
	uint32_t extra = 0, id = be32_to(t->id), len;
	struct outer o = {.tos = e->tos, .ttl = e->ttl};
	bool is_cut;
	uint8_t *ip;

	if (WEFT_UNLIKELY(p->flags & PACKET_ENCAPSULATED)) {
		return DROP_TUNNEL_LOOP;
	}
	is_cut = p->len > e->cut_to;
	if (WEFT_UNLIKELY(is_cut)) {
		if (p->flags & PACKET_CSUM_PARTIAL && offload_complete_csum(p)) {
			return DROP_TX_OFFLOAD;
		}
		worker_truncate(p, e->cut_to);
	}
	len = p->len + e->size - e->l3_off;
	if (WEFT_UNLIKELY(e->has_extra || e->flags & FROM_KEY_SLOW)) {
		int result;

		extra = extra_of(e, &wish);
		result = check(e, p, extra, &wish);
		if (result != EDIT_OK) {
			return result;
		}
		len += extra - stripped(e);
		o.slow = true;
		o.tos = e->flags & DP_ENCAP_TOS_FROM_KEY ? t->tos & 0xfc : o.tos;
		o.ttl = e->flags & DP_ENCAP_TTL_FROM_KEY && t->ttl ? t->ttl : o.ttl;
	}
	if (WEFT_UNLIKELY(len > TUNNEL_OUTER_MAX)) {
		return DROP_ENCAP_TOO_LONG;
	}
	if (e->flags & DP_ENCAP_ID_FROM_KEY && WEFT_UNLIKELY(id > e->kind->id_max)) {
		return DROP_TUNNEL_ID_RANGE;
	}
	if (WEFT_UNLIKELY(p->flags & PACKET_CSUM_PARTIAL) && offload_complete_csum(p)) {
		return DROP_TX_OFFLOAD;
	}
	if (WEFT_UNLIKELY(p->headroom < e->size + extra) &&
		!worker_make_room(w, p, e->size + extra)) {
		return DROP_NO_HEADROOM;
	}
	put_header(p, e, extra);
	if (inner.is_ip) {
		o.tos = (uint8_t)(((e->flags & DP_ENCAP_TOS_INHERIT ? inner.tos : o.tos) & 0xfc) |
				  (inner.tos & 3));
		o.ttl = e->flags & DP_ENCAP_TTL_INHERIT ? inner.ttl : o.ttl;
	}
	o.len = (uint16_t)len;
	if (e->flags & DP_ENCAP_ID_FROM_KEY) {
		uint8_t *word = p->data + e->id_at;

		put_be32(word, (get_be32(word) & ~(e->kind->id_max << e->kind->id_shift)) |
				       id << e->kind->id_shift);
	}
	if (WEFT_UNLIKELY(is_cut) && e->kind->note_cut) {
		e->kind->note_cut(p->data + e->tunnel_off);
	}
	if (WEFT_UNLIKELY(e->finish)) {
		e->kind->finish(p, e, p->data + e->tunnel_off, &wish);
	}
	ip = p->data + e->l3_off;
	if (WEFT_LIKELY(!e->v6)) {
		put_ipv4(w, e, t, ip, &o);
	} else {
		put_ipv6(e, t, ip, &o);
	}
	if (e->kind->proto == IPPROTO_UDP) {
		put_udp(p, e, t, hash);
	}
	p->l3_off = e->l3_off;
	p->l4_off = e->l4_off;
	p->l4_payload_off = e->kind->proto == IPPROTO_UDP ? (uint16_t)(e->l4_off + UDP_LEN) : 0;
	p->n_tags = e->n_tags;
	p->hash = 0;
	p->tunnel = NULL;
	p->flags = (uint16_t)((p->flags & ~PACKET_CSUM_VALID) | PACKET_ENCAPSULATED);
	return EDIT_OK;
}
