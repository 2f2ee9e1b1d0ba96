/* SPDX-License-Identifier: Apache-2.0
 *
 * Tunnel ports: the headers that ENCAP puts in front of a packet.
 *
 * What is taken from the packet's tunnel fields stands as zero here, so that one header serves all of them.
 */
#include <string.h>

#include "lib/byteorder.h"
#include "ofproto/ofproto_internal.h"

#define ETH_LEN 14u
#define IPV4_LEN 20u
#define IPV6_LEN 40u
#define UDP_LEN 8u
#define TYPE_IPV4 0x0800
#define TYPE_IPV6 0x86dd
#define TYPE_ETHERNET 0x6558 /* transparent Ethernet bridging: RFC 1701, RFC 8926 s.3.4 */
#define IPV4_DF 0x4000
#define VXLAN_I 0x08 /* RFC 7348 s.5: the VNI is there */
#define GPE_I_P 0x0c /* draft-ietf-nvo3-vxlan-gpe s.3.1: VNI and next protocol are there */
#define GPE_ETHERNET 3
#define GRE_CSUM 0x8000 /* RFC 2784 s.2.1 */
#define GRE_KEY 0x2000  /* RFC 2890 s.2.1 */
#define GRE_SEQUENCE 0x1000
#define ERSPAN_2 0x88be /* draft-foschiano-erspan: type II and III as GRE's protocol */
#define ERSPAN_3 0x22eb
#define ERSPAN_VERSION_SHIFT 12
#define ERSPAN_ETHERNET 0x8000 /* III: P, a frame of Ethernet (FT 0) */
#define ERSPAN_HWID_SHIFT 4
#define ERSPAN_EGRESS 0x0008

static uint32_t flags_of(const struct of_tunnel *t, bool is_v4);
static uint8_t *put_ip(uint8_t *at, const struct of_tunnel *t, const struct of_underlay_addr *from,
	const struct of_underlay_addr *to);
static uint8_t *put_tunnel(uint8_t *at, const struct of_tunnel *t, bool is_egress);

size_t
tunnel_header(const struct of_tunnel *t, const struct of_underlay_path *path,
	const struct of_underlay_addr *remote, bool is_egress, struct dp_encap *e)
{
	bool is_v4 = of_underlay_addr_is_v4(remote);
	uint32_t mtu = WEFT_MIN(path->mtu, (uint32_t)UINT16_MAX);
	uint8_t *at = e->header;

	*e = (struct dp_encap){
		.kind = t->kind,
		.flags = flags_of(t, is_v4),
		.l3_off = ETH_LEN,
		.mtu = (uint16_t)mtu,
		.too_long = t->too_long,
		.port = UINT32_MAX,
	};
	memcpy(at, path->next_hop_mac, 6);
	memcpy(at + 6, path->source_mac, 6);
	put_be16(at + 12, is_v4 ? TYPE_IPV4 : TYPE_IPV6);
	at = put_ip(at + ETH_LEN, t, &path->source, remote);
	e->l4_off = (uint16_t)(at - e->header);
	if (t->dst_port) {
		put_be16(at + 2, t->dst_port);
		at += UDP_LEN;
	}
	at = put_tunnel(at, t, is_egress);
	e->size = (uint16_t)(at - e->header);
	return WEFT_ROUND_UP(sizeof(*e) + e->size, (size_t)8);
}

uint32_t
tunnel_inner_mtu(const struct dp_encap *e)
{
	return e->mtu ? e->mtu - (e->size - e->l3_off) - ETH_LEN : 0;
}

static uint32_t
flags_of(const struct of_tunnel *t, bool is_v4)
{
	bool csum = t->csum == OF_TUNNEL_CSUM_AUTO ? !is_v4 : t->csum == OF_TUNNEL_CSUM_YES;

	return tunnel_key_flags(t) | (t->tos_by == OF_TUNNEL_PACKET ? DP_ENCAP_TOS_INHERIT : 0) |
	       (t->ttl_by == OF_TUNNEL_PACKET ? DP_ENCAP_TTL_INHERIT : 0) |
	       (csum && t->dst_port ? DP_ENCAP_UDP_CSUM : 0);
}

uint32_t
tunnel_key_flags(const struct of_tunnel *t)
{
	return (t->id_by == OF_TUNNEL_FLOW ? DP_ENCAP_ID_FROM_KEY : 0) |
	       (t->remote_by == OF_TUNNEL_FLOW ? DP_ENCAP_DST_FROM_KEY : 0) |
	       (t->local_by == OF_TUNNEL_FLOW ? DP_ENCAP_SRC_FROM_KEY : 0) |
	       (t->tos_by == OF_TUNNEL_FLOW ? DP_ENCAP_TOS_FROM_KEY : 0) |
	       (t->ttl_by == OF_TUNNEL_FLOW ? DP_ENCAP_TTL_FROM_KEY : 0) |
	       (t->flags_by == OF_TUNNEL_FLOW ? DP_ENCAP_FLAGS_FROM_KEY : 0) |
	       (t->gbp ? DP_ENCAP_GBP_FROM_KEY : 0) |
	       (t->kind == DP_TUNNEL_GENEVE ? DP_ENCAP_OPTS_FROM_KEY : 0);
}

static uint8_t *
put_ip(uint8_t *at, const struct of_tunnel *t, const struct of_underlay_addr *from,
	const struct of_underlay_addr *to)
{
	static const struct of_underlay_addr none;
	uint8_t proto = t->dst_port ? TUNNEL_PROTO_UDP : TUNNEL_PROTO_GRE;
	bool is_v4 = of_underlay_addr_is_v4(to);

	if (t->remote_by == OF_TUNNEL_FLOW) {
		to = &none;
	}
	if (is_v4) {
		at[0] = 0x45;
		at[1] = t->tos;
		put_be16(at + 6, t->dont_fragment ? IPV4_DF : 0);
		at[8] = t->ttl;
		at[9] = proto;
		memcpy(at + 12, from->v + 12, 4);
		memcpy(at + 16, to->v + 12, 4);
		return at + IPV4_LEN;
	}
	put_be32(at, 6u << 28 | (uint32_t)t->tos << 20);
	at[6] = proto;
	at[7] = t->ttl;
	memcpy(at + 8, from->v, 16);
	memcpy(at + 24, to->v, 16);
	return at + IPV6_LEN;
}

static uint8_t *
put_erspan(uint8_t *at, const struct of_tunnel *t, uint32_t id, bool is_egress)
{
	bool is_3 = t->erspan.ver == 2;

	put_be16(at, GRE_SEQUENCE);
	put_be16(at + 2, is_3 ? ERSPAN_3 : ERSPAN_2);
	at += 8;
	put_be16(at, (uint16_t)(t->erspan.ver << ERSPAN_VERSION_SHIFT));
	put_be16(at + 2, (uint16_t)id);
	if (!is_3) {
		put_be32(at + 4, t->erspan.idx);
		return at + 8;
	}
	is_egress = t->erspan.dir == OF_TUNNEL_DIR_MIRROR ? is_egress
							  : t->erspan.dir == OF_TUNNEL_DIR_EGRESS;
	put_be16(at + 10, (uint16_t)(ERSPAN_ETHERNET | t->erspan.hwid << ERSPAN_HWID_SHIFT |
				     (is_egress ? ERSPAN_EGRESS : 0)));
	return at + 12;
}

static uint8_t *
put_tunnel(uint8_t *at, const struct of_tunnel *t, bool is_egress)
{
	uint32_t id = t->id_by == OF_TUNNEL_GIVEN ? t->id : 0;
	bool has_key = id || t->id_by == OF_TUNNEL_FLOW;
	bool has_csum = t->csum == OF_TUNNEL_CSUM_YES; /* GRE's */

	switch ((enum dp_tunnel_kind)t->kind) {
	case DP_TUNNEL_VXLAN:
		at[0] = VXLAN_I;
		put_be32(at + 4, id << 8);
		return at + 8;
	case DP_TUNNEL_VXLAN_GPE:
		at[0] = GPE_I_P;
		at[3] = GPE_ETHERNET;
		put_be32(at + 4, id << 8);
		return at + 8;
	case DP_TUNNEL_GENEVE:
		put_be16(at + 2, TYPE_ETHERNET);
		put_be32(at + 4, id << 8);
		return at + 8;
	case DP_TUNNEL_GRE:
		put_be16(at, (uint16_t)((has_csum ? GRE_CSUM : 0) | (has_key ? GRE_KEY : 0) |
					(t->seq ? GRE_SEQUENCE : 0)));
		put_be16(at + 2, TYPE_ETHERNET);
		at += has_csum ? 8 : 4;
		if (has_key) {
			put_be32(at, id);
			at += 4;
		}
		return at + (t->seq ? 4 : 0);
	case DP_TUNNEL_ERSPAN:
		return put_erspan(at, t, id, is_egress);
	case DP_TUNNEL_GRE_OR_ERSPAN:
	case DP_TUNNEL_KIND_N:
		break;
	}
	return at;
}
