/* SPDX-License-Identifier: Apache-2.0
 *
 * Tunnels: VXLAN (RFC 7348) with group policy (draft-smith-vxlan-group-policy), VXLAN-GPE
 * (draft-ietf-nvo3-vxlan-gpe).
 *
 * Header: flags, three bytes that group policy and GPE use, VNI, a reserved byte. What is reserved is
 *         ignored on receipt.
 */
#include <netinet/in.h>

#include "datapath/tunnel_internal.h"
#include "lib/flow_key.h"

#define HEADER_LEN 8u
#define VNI_MAX 0xffffffu
#define FLAG_VNI 0x08u
#define FLAG_GROUP_POLICY 0x80u
#define POLICY_FLAGS 0x48u /* don't learn, policy applied */
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
decap_vni(const uint8_t *h, uint32_t room, struct packet_tunnel *t, struct tunnel_found *found)
{
	if (room < HEADER_LEN || !(h[0] & FLAG_VNI)) {
		return DROP_DECAP_BAD;
	}
	t->id = be32_from(get_be32(h + 4) >> 8);
	tunnel_add_flags(t, FLOW_TUN_KEY);
	*found = (struct tunnel_found){HEADER_LEN, TUNNEL_ETHERNET};
	return EDIT_OK;
}

static int
decap(const struct packet *p, const uint8_t *h, uint32_t room, uint32_t len,
	struct packet_tunnel *t, struct tunnel_found *found)
{
	int result = decap_vni(h, room, t, found);

	(void)p;
	(void)len;
	if (result == EDIT_OK && h[0] & FLAG_GROUP_POLICY) {
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
	int result = decap_vni(h, room, t, found);

	(void)p;
	(void)len;
	if (result != EDIT_OK) {
		return result;
	}
	if (h[0] & GPE_VERSION) {
		return DROP_DECAP_BAD;
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
