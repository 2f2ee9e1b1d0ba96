/* SPDX-License-Identifier: Apache-2.0
 *
 * Tunnels: VXLAN (RFC 7348) with group policy (draft-smith-vxlan-group-policy), VXLAN-GPE
 * (draft-ietf-nvo3-vxlan-gpe).
 *
 * Header: flags, three bytes that group policy and GPE use, VNI, a reserved byte.
 * Why:    what is reserved must be zero, though RFC 7348 s.5 has receivers ignore it: whoever sets it speaks
 *         an extension, which may put something else than Ethernet behind the header. Linux and Open vSwitch
 *         refuse it too. GPE's word that Ethernet follows is let pass: it says what is taken for granted.
 */
#include <netinet/in.h>

#include "datapath/tunnel_internal.h"
#include "lib/compiler.h"
#include "lib/flow_key.h"

#define HEADER_LEN 8u
#define VNI_MAX 0xffffffu
#define FLAG_VNI 0x08u
#define FLAG_GROUP_POLICY 0x80u
#define POLICY 0x80000000u
#define POLICY_FLAGS 0x48u /* don't learn, policy applied */
/* What is reserved in the first word, without group policy and with, in GPE's, and in the second. */
#define RESERVED 0xf7ffffffu
#define RESERVED_POLICY 0x77b70000u
#define RESERVED_GPE 0xc0ffff00u
#define RESERVED_ID 0xffu
#define NEXT_PROTOCOL 0x040000ffu /* GPE's flag and number */
#define NEXT_ETHERNET 0x04000003u
#define GPE_VERSION 0x30u
#define GPE_NEXT_PROTOCOL 0x04u
#define GPE_FLAGS 0x03u /* broadcast and the like, OAM */
#define GPE_OAM 0x01u
#define GPE_IPV4 1u
#define GPE_IPV6 2u
#define GPE_ETHERNET 3u
#define GPE_MPLS 5u

static uint32_t
id_at(const uint8_t *h)
{
	(void)h;
	return 4;
}

static int
decap_vni(const uint8_t *h, uint32_t room, uint32_t reserved, struct packet_tunnel *t,
	struct tunnel_found *found)
{
	uint32_t id;

	if (room < HEADER_LEN || !(h[0] & FLAG_VNI)) {
		return DROP_DECAP_BAD;
	}
	id = get_be32(h + 4);
	if (WEFT_UNLIKELY((get_be32(h) & reserved) | (id & RESERVED_ID))) {
		return DROP_DECAP_RESERVED;
	}
	t->id = be32_from(id >> 8);
	tunnel_add_flags(t, FLOW_TUN_KEY);
	*found = (struct tunnel_found){HEADER_LEN, TUNNEL_ETHERNET};
	return EDIT_OK;
}

static uint32_t
reserved_beside(uint32_t word)
{
	if (word & POLICY) {
		return RESERVED_POLICY;
	}
	return (word & NEXT_PROTOCOL) == NEXT_ETHERNET ? RESERVED & ~NEXT_PROTOCOL : RESERVED;
}

static int
decap(const struct packet *p, const uint8_t *h, uint32_t room, uint32_t len,
	struct packet_tunnel *t, struct tunnel_found *found)
{
	uint32_t word = room < HEADER_LEN ? 0 : get_be32(h);
	int result = decap_vni(h, room,
		WEFT_UNLIKELY(word & RESERVED) ? reserved_beside(word) : RESERVED, t, found);

	(void)p;
	(void)len;
	if (WEFT_UNLIKELY(word & POLICY) && result == EDIT_OK) {
		t->gbp_id = be16_from(get_be16(h + 2));
		t->gbp_flags = h[1] & POLICY_FLAGS;
	}
	return result;
}

static void
finish(struct packet *p, struct tunnel_encap *e, uint8_t *h, const struct tunnel_wish *wish)
{
	const struct packet_tunnel *t = wish->t;

	(void)p;
	if (e->flags & DP_ENCAP_GBP_FROM_KEY && (be16_to(t->gbp_id) || t->gbp_flags)) {
		h[0] |= FLAG_GROUP_POLICY;
		h[1] = t->gbp_flags & POLICY_FLAGS;
		put_be16(h + 2, be16_to(t->gbp_id));
	}
}

const struct tunnel_kind tunnel_vxlan = {
	.proto = IPPROTO_UDP,
	.id_shift = 8,
	.id_max = VNI_MAX,
	.id_at = id_at,
	.decap = decap,
	.finish = finish,
};

/* --- GPE ----------------------------------------------------------------------------------------------- */

static int
decap_gpe(const struct packet *p, const uint8_t *h, uint32_t room, uint32_t len,
	struct packet_tunnel *t, struct tunnel_found *found)
{
	int result = room && h[0] & GPE_VERSION ? (int)DROP_DECAP_BAD
						: decap_vni(h, room, RESERVED_GPE, t, found);

	(void)p;
	(void)len;
	if (result != EDIT_OK) {
		return result;
	}
	t->gpe_flags = h[0] & GPE_FLAGS;
	if (h[0] & GPE_OAM) {
		tunnel_add_flags(t, FLOW_TUN_OAM);
	}
	if (!(h[0] & GPE_NEXT_PROTOCOL)) {
		return EDIT_OK;
	}
	t->gpe_proto = h[3];
	switch (h[3]) {
	case GPE_ETHERNET:
		return EDIT_OK;
	case GPE_IPV4:
		found->type = TYPE_IPV4;
		return EDIT_OK;
	case GPE_IPV6:
		found->type = TYPE_IPV6;
		return EDIT_OK;
	case GPE_MPLS:
		found->type = TYPE_MPLS;
		return EDIT_OK;
	default:
		return DROP_DECAP_PROTOCOL;
	}
}

static void
finish_gpe(struct packet *p, struct tunnel_encap *e, uint8_t *h, const struct tunnel_wish *wish)
{
	(void)p;
	if (e->flags & DP_ENCAP_L3) {
		h[3] = wish->type == TYPE_IPV4   ? GPE_IPV4
		       : wish->type == TYPE_IPV6 ? GPE_IPV6
						 : GPE_MPLS;
	}
}

const struct tunnel_kind tunnel_vxlan_gpe = {
	.proto = IPPROTO_UDP,
	.id_shift = 8,
	.id_max = VNI_MAX,
	.id_at = id_at,
	.decap = decap_gpe,
	.finish = finish_gpe,
};
