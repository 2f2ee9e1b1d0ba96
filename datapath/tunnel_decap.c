/* SPDX-License-Identifier: Apache-2.0
 *
 * Tunnels: out.
 *
 * Sums:  an outer checksum that the sender's device vouches for, or that was left to us, never was on a wire
 *        and is not looked at. One that was left to us for the inner packet is completed first, but for
 *        packets that are still to be cut: there the outer one is no sum of anything yet.
 * Order: Ethernet's padding goes first, then what is in front of the inner packet.
 */
#include <netinet/in.h>
#include <rte_mbuf.h>
#include <string.h>

#include "datapath/offload.h"
#include "datapath/tunnel.h"
#include "datapath/tunnel_internal.h"
#include "datapath/worker.h"
#include "lib/compiler.h"
#include "lib/flow_key.h"
#include "lib/packet_parse.h"
#include "vhost/packet_mbuf.h"

#define UDP_LEN 8u
#define ECN_MASK 3u
#define ECN_NONE 0u
#define ECN_ECT1 1u
#define ECN_ECT0 2u
#define ECN_CE 3u
#define TRUSTED (PACKET_CSUM_PARTIAL | PACKET_CSUM_VALID | PACKET_GSO_MASK)

/* What the outer headers say. */
struct outer {
	bool v6;
	uint8_t tos, ttl, proto;
	uint16_t flags; /* FLOW_TUN_* */
	uint32_t l4, end;
};

/* The parser has found the header whole, and as long as it says. */
static inline int
check_ipv4(const struct packet *p, struct outer *o)
{
	const uint8_t *ip = p->data + p->l3_off;
	uint32_t header = (uint32_t)p->l4_off - p->l3_off;
	uint16_t frag = get_be16(ip + 6);

	if (WEFT_LIKELY(header == 20) ? !tunnel_is_sum_right(ip)
				      : tunnel_fold(tunnel_sum_bytes(ip, header)) != 0xffff) {
		return DROP_DECAP_CHECKSUM;
	}
	o->v6 = false;
	o->tos = ip[1];
	o->ttl = ip[8];
	o->proto = ip[9];
	o->flags = frag & 0x4000 ? FLOW_TUN_DF : 0;
	o->l4 = p->l4_off;
	o->end = p->l3_off + get_be16(ip + 2);
	return WEFT_UNLIKELY(frag & 0x3fff) ? (int)DROP_DECAP_FRAGMENT : EDIT_OK;
}

static int
check_ipv6(const struct packet *p, struct outer *o)
{
	const uint8_t *ip = p->data + p->l3_off;
	struct ip_view v;

	/* Likewise, and the extension headers too; but a jumbogram is taken to be right. */
	if (!get_be16(ip + 4)) {
		return DROP_DECAP_BAD;
	}
	v = edit_ip_view(p, TYPE_IPV6);
	o->v6 = true;
	o->flags = 0;
	o->tos = (uint8_t)(get_be16(ip) >> 4);
	o->ttl = ip[7];
	o->proto = v.proto;
	o->l4 = p->l4_off;
	o->end = v.end;
	return v.fragment ? (int)DROP_DECAP_FRAGMENT : EDIT_OK;
}

/* A sum that was left to us: done if it is the inner packet's, forgotten if it is an outer one. */
static int
settle_partial(struct packet *p, const struct outer *o)
{
	if (!(p->flags & PACKET_CSUM_PARTIAL) || p->flags & PACKET_GSO_MASK) {
		return EDIT_OK;
	}
	if (p->csum_start == o->l4) {
		p->flags &= (uint16_t)~PACKET_CSUM_PARTIAL;
		return EDIT_OK;
	}
	return p->csum_start > o->l4 && !offload_complete_csum(p) ? EDIT_OK : (int)DROP_DECAP_BAD;
}

static int
check_udp(struct packet *p, struct outer *o, struct packet_tunnel *t, bool trusted)
{
	const uint8_t *udp = p->data + o->l4;
	uint32_t len;

	if (o->end - o->l4 < UDP_LEN || p->head_len < o->l4 + UDP_LEN) {
		return DROP_DECAP_BAD;
	}
	len = get_be16(udp + 4);
	if (len < UDP_LEN || len > o->end - o->l4) {
		return DROP_DECAP_BAD;
	}
	t->tp_src = be16_from(get_be16(udp));
	t->tp_dst = be16_from(get_be16(udp + 2));
	if (get_be16(udp + 6)) {
		if (!trusted && tunnel_fold(tunnel_sum_pseudo(
						    p->data + p->l3_off, o->v6, IPPROTO_UDP, len) +
					    (uint64_t)tunnel_sum(p, o->l4, len)) != 0xffff) {
			return DROP_DECAP_CHECKSUM;
		}
		o->flags |= FLOW_TUN_CSUM;
	}
	o->end = o->l4 + len;
	o->l4 += UDP_LEN;
	return EDIT_OK;
}

/* Begins the packet's tunnel fields with what IP says. */
static inline struct packet_tunnel *
take_outer(struct packet *p, const struct outer *o)
{
	static const uint8_t mapped[12] = {[10] = 0xff, [11] = 0xff};
	struct packet_tunnel *t = packet_tunnel_place(p);
	const uint8_t *ip = p->data + p->l3_off;

	if (WEFT_UNLIKELY(o->v6)) {
		memcpy(t->src, ip + 8, 32);
	} else {
		memcpy(t->src, mapped, 12);
		memcpy(t->src + 12, ip + 12, 4);
		memcpy(t->dst, mapped, 12);
		memcpy(t->dst + 12, ip + 16, 4);
	}
	memset(&t->flags, 0,
		offsetof(struct packet_tunnel, opts) - offsetof(struct packet_tunnel, flags));
	t->tos = o->tos;
	t->ttl = o->ttl;
	p->tunnel = t;
	return t;
}

/* Makes the packet what stands from @off to @end, with Ethernet in front if it has none. */
static int
uncover(struct packet *p, uint32_t off, uint32_t end, uint16_t type)
{
	bool l3 = type != TUNNEL_ETHERNET;
	uint16_t flags = p->flags;

	if (end < p->len) {
		worker_truncate(p, end);
		p->flags = flags; /* no sum of the sender's covers padding */
	}
	if (l3) {
		off -= ETH_LEN;
		memset(p->data + off, 0, ETH_LEN - 2);
		put_be16(p->data + off + ETH_LEN - 2, type);
	}
	p->data = (uint8_t *)rte_pktmbuf_adj(packet_mbuf(p), (uint16_t)off);
	p->len -= off;
	p->head_len -= off;
	p->headroom = (uint16_t)(p->headroom + off);
	p->csum_start = (uint16_t)(p->csum_start - off);
	if (WEFT_LIKELY(p->head_len == p->len || p->head_len >= PACKET_HEAD_MIN)) {
		return EDIT_OK;
	}
	return worker_pull_head(p) ? EDIT_OK : (int)DROP_NO_HEADROOM;
}

/* RFC 6040 s.4.2: what the underlay says of congestion is told to the inner packet's ends. */
static int
merge_ecn(struct packet *p, uint8_t outer)
{
	uint8_t mask = ECN_MASK, ecn = outer, inner;
	struct flow_key key;

	if (!packet_parse(p, &key, PARSE_L3) || !p->l4_off) {
		return EDIT_OK; /* no IP, or not whole */
	}
	inner = key.ip_tos & ECN_MASK;
	if (inner == ECN_NONE) {
		return outer == ECN_CE ? (int)DROP_DECAP_ECN : EDIT_OK;
	}
	if (outer == ECN_CE || inner == ECN_ECT0) {
		packet_set_field(p, FIELD_IP_ECN, &ecn, &mask);
	}
	return EDIT_OK;
}

/* Checks the outer headers. Returns EDIT_OK or a drop reason; @t: what they say. */
static int
check_outer(
	struct packet *p, const struct tunnel_kind *k, struct outer *o, struct packet_tunnel **t)
{
	bool trusted = p->flags & TRUSTED;
	int result = DROP_DECAP_BAD;

	switch (p->l4_off ? packet_l3_type(p) : 0) {
	case TYPE_IPV4:
		result = check_ipv4(p, o);
		break;
	case TYPE_IPV6:
		result = check_ipv6(p, o);
		break;
	default:
		break;
	}
	if (result != EDIT_OK) {
		return result;
	}
	if (o->proto != k->proto) {
		return DROP_DECAP_BAD;
	}
	if (WEFT_UNLIKELY(trusted) && (result = settle_partial(p, o)) != EDIT_OK) {
		return result;
	}
	*t = take_outer(p, o);
	if (k->proto == IPPROTO_UDP && (result = check_udp(p, o, *t, trusted)) != EDIT_OK) {
		return result;
	}
	(*t)->flags = be16_from((uint16_t)(FLOW_TUN_PRESENT | o->flags));
	return EDIT_OK;
}

/* The same for what nearly all packets have: IPv4 without options, UDP without a checksum, nothing of it left to
 * us. False: nothing is done. */
static inline bool
check_plain(
	struct packet *p, const struct tunnel_kind *k, struct outer *o, struct packet_tunnel **t)
{
	const uint8_t *ip = p->data + p->l3_off, *udp = ip + 20;
	uint16_t frag, total, len;

	/* No other header than IPv4's is as short. */
	if (p->l4_off - p->l3_off != 20 || p->flags & TRUSTED ||
		p->head_len < p->l4_off + UDP_LEN) {
		return false;
	}
	frag = get_be16(ip + 6);
	total = get_be16(ip + 2);
	len = get_be16(udp + 4);
	if (frag & 0x3fff || ip[9] != IPPROTO_UDP || k->proto != IPPROTO_UDP || udp[6] | udp[7] ||
		len < UDP_LEN || len + 20u > total || !tunnel_is_sum_right(ip)) {
		return false;
	}
	*o = (struct outer){.tos = ip[1],
		.ttl = ip[8],
		.l4 = p->l4_off + UDP_LEN,
		.end = (uint32_t)p->l4_off + len};
	*t = take_outer(p, o);
	memcpy(&(*t)->tp_src, udp, 4);
	(*t)->flags = be16_from((uint16_t)(FLOW_TUN_PRESENT | (frag & 0x4000 ? FLOW_TUN_DF : 0)));
	return true;
}

int
tunnel_decap(struct packet *p, uint32_t kind)
{
	const struct tunnel_kind *k = tunnel_kinds[kind];
	struct tunnel_found found;
	struct packet_tunnel *t;
	struct outer o;
	int result;

	if (WEFT_UNLIKELY(!check_plain(p, k, &o, &t)) &&
		(result = check_outer(p, k, &o, &t)) != EDIT_OK) {
		return result;
	}
	result = k->decap(
		p, p->data + o.l4, WEFT_MIN(o.end, p->head_len) - o.l4, o.end - o.l4, t, &found);
	if (WEFT_UNLIKELY(result != EDIT_OK)) {
		return result;
	}
	if (WEFT_UNLIKELY(found.type == TUNNEL_ETHERNET && o.end - o.l4 < found.size + ETH_LEN)) {
		return DROP_DECAP_BAD;
	}
	result = uncover(p, o.l4 + found.size, o.end, found.type);
	p->hash = 0;
	p->flags &= (uint16_t) ~(PACKET_ENCAPSULATED | PACKET_CSUM_VALID);
	if (WEFT_LIKELY((o.tos & 1) == 0) || result != EDIT_OK) {
		return result; /* neither ECT(1) nor CE: nothing to tell */
	}
	return merge_ecn(p, o.tos & ECN_MASK);
}
