/* SPDX-License-Identifier: Apache-2.0
 *
 * Datapath protocol: the check of prepared tunnel headers.
 *
 * Why: the datapath copies them and writes to their fields without looking again.
 */
#include "lib/dp_encap.h"

#include <netinet/in.h>
#include <stdbool.h>

#include "lib/byteorder.h"
#include "lib/dp_action.h"
#include "lib/dp_protocol.h"

#define MTU_MIN 68u /* RFC 791 s.3.2 */
#define IPV4_LEN 20u
#define IPV6_LEN 40u
#define IPV4_DF 0x4000u

#define KINDS_UDP (1u << DP_TUNNEL_VXLAN | 1u << DP_TUNNEL_VXLAN_GPE | 1u << DP_TUNNEL_GENEVE)
#define KINDS_L3 (1u << DP_TUNNEL_VXLAN_GPE | 1u << DP_TUNNEL_GENEVE | 1u << DP_TUNNEL_GRE)

/* Which kinds of tunnel a flag is for. */
static const struct {
	uint32_t flag, kinds;
} flag_kinds[] = {
	{DP_ENCAP_ID_FROM_KEY, ~0u},
	{DP_ENCAP_DST_FROM_KEY, ~0u},
	{DP_ENCAP_TOS_INHERIT, ~0u},
	{DP_ENCAP_TTL_INHERIT, ~0u},
	{DP_ENCAP_UDP_CSUM, KINDS_UDP},
	{DP_ENCAP_OPTS_FROM_KEY, 1u << DP_TUNNEL_GENEVE},
	{DP_ENCAP_GBP_FROM_KEY, 1u << DP_TUNNEL_VXLAN},
	{DP_ENCAP_SRC_FROM_KEY, ~0u},
	{DP_ENCAP_TOS_FROM_KEY, ~0u},
	{DP_ENCAP_TTL_FROM_KEY, ~0u},
	{DP_ENCAP_FLAGS_FROM_KEY, ~0u},
	{DP_ENCAP_L3, KINDS_L3},
};

static const char *
check_flags(const struct dp_encap *e)
{
	uint32_t left = e->flags;

	for (unsigned i = 0; i < WEFT_ARRAY_SIZE(flag_kinds); i++) {
		if (left & flag_kinds[i].flag && !(flag_kinds[i].kinds >> e->kind & 1)) {
			return "encapsulation with a flag that is not for its kind of tunnel";
		}
		left &= ~flag_kinds[i].flag;
	}
	if (left) {
		return "encapsulation with unknown flags";
	}
	if ((e->flags & DP_ENCAP_TOS_INHERIT && e->flags & DP_ENCAP_TOS_FROM_KEY) ||
		(e->flags & DP_ENCAP_TTL_INHERIT && e->flags & DP_ENCAP_TTL_FROM_KEY)) {
		return "encapsulation with flags that exclude each other";
	}
	if (e->too_long == DP_ENCAP_CUT && e->flags & (DP_ENCAP_OPTS_FROM_KEY | DP_ENCAP_L3)) {
		return "encapsulation that cuts packets, behind a header of unknown length";
	}
	return NULL;
}

/* Ethernet, tags, IP. */
static const char *
check_outer(const struct dp_encap *e)
{
	const uint8_t *ip = e->header + e->l3_off;
	uint8_t proto = KINDS_UDP >> e->kind & 1 ? IPPROTO_UDP : IPPROTO_GRE;
	uint32_t at = 12;

	for (; at + 2u < e->l3_off; at += 4) {
		uint16_t tpid = get_be16(e->header + at);

		if (tpid != 0x8100 && tpid != 0x88a8) {
			return "encapsulation whose IP header is not where it is said to be";
		}
	}
	switch (get_be16(e->header + at)) {
	case 0x0800:
		if (e->l4_off != e->l3_off + IPV4_LEN || ip[0] != 0x45 || ip[9] != proto) {
			return "encapsulation with a bad IPv4 header";
		}
		/* None of a fragment, nor with the reserved bit. */
		if (get_be16(ip + 6) & ~IPV4_DF) {
			return "encapsulation with a bad IPv4 header";
		}
		return e->too_long == DP_ENCAP_FRAGMENT && get_be16(ip + 6)
			       ? "encapsulation to be fragmented that says don't fragment"
			       : NULL;
	case 0x86dd:
		return e->l4_off == e->l3_off + IPV6_LEN && ip[0] >> 4 == 6 && ip[6] == proto
			       ? NULL
			       : "encapsulation with a bad IPv6 header";
	default:
		return "encapsulation that is not in IP";
	}
}

/* Whether Geneve options fill @len bytes. */
static bool
are_options(const uint8_t *options, uint32_t len)
{
	uint32_t at = 0;

	while (at + 4 <= len && !(options[at + 3] & 0xe0)) {
		at += 4 + (options[at + 3] & 0x1fu) * 4;
	}
	return at == len;
}

/* Whether the tunnel's own header is one of its kind, and nothing else. @l3: its next protocol does not
 * matter. */
static bool
is_tunnel_header(const struct dp_encap *e, const uint8_t *h, uint32_t size)
{
	bool l3 = e->flags & DP_ENCAP_L3;
	uint16_t flags, proto;

	if (size < 4) {
		return false;
	}
	flags = get_be16(h);
	proto = get_be16(h + 2);
	switch ((enum dp_tunnel_kind)e->kind) {
	case DP_TUNNEL_VXLAN: /* RFC 7348 s.5; group policy: its flag, and the rest with it alone */
		return size == 8 && h[0] & 0x08 && !(h[0] & ~0x88) && !h[7] &&
		       (h[0] & 0x80 ? !(h[1] & ~0x48) : !h[1] && !proto);
	case DP_TUNNEL_VXLAN_GPE: /* version 0 with VNI and next protocol */
		return size == 8 && (h[0] & 0xfc) == 0x0c && !h[1] && !h[2] && !h[7] &&
		       (l3 || h[3] == 3);
	case DP_TUNNEL_GENEVE: /* RFC 8926 s.3.4 */
		return size >= 8 && h[0] <= 63 && size == 8u + h[0] * 4u && !(h[1] & 0x3f) &&
		       !h[7] && (l3 || proto == 0x6558) && are_options(h + 8, size - 8);
	case DP_TUNNEL_GRE: /* RFC 2784, 2890: checksum, key, sequence number */
		return !(flags & ~0xb000) &&
		       size == 4u + 4u * (unsigned)__builtin_popcount(flags) &&
		       (l3 || proto == 0x6558) &&
		       (flags & 0x2000 || !(e->flags & DP_ENCAP_ID_FROM_KEY));
	case DP_TUNNEL_ERSPAN: /* type II and III, with sequence numbers, no sub-header */
		return flags == 0x1000 &&
		       ((proto == 0x88be && size == 16 && h[8] >> 4 == 1) ||
			       (proto == 0x22eb && size == 20 && h[8] >> 4 == 2 && !(h[19] & 1)));
	case DP_TUNNEL_GRE_OR_ERSPAN:
	case DP_TUNNEL_KIND_N:
		break;
	}
	return false;
}

const char *
dp_encap_check(const struct dp_encap *e)
{
	const char *why;
	uint32_t tunnel;

	if (e->kind < DP_TUNNEL_VXLAN || e->kind > DP_TUNNEL_ERSPAN || e->too_long > DP_ENCAP_CUT ||
		(e->mtu && e->mtu < MTU_MIN) || (e->port > DP_PORT_MAX && e->port != UINT32_MAX)) {
		return "encapsulation with a bad kind, MTU or port";
	}
	tunnel = e->l4_off + (KINDS_UDP >> e->kind & 1 ? 8u : 0);
	if (e->size > DP_ENCAP_MAX_SIZE || tunnel > e->size || e->l4_off < e->l3_off + IPV4_LEN ||
		(e->l3_off != 14 && e->l3_off != 18 && e->l3_off != 22)) {
		return "encapsulation with bad sizes";
	}
	if ((e->max_len && e->max_len < DP_ENCAP_MIN_CUT) ||
		(e->too_long == DP_ENCAP_CUT && e->mtu &&
			e->mtu < e->size - e->l3_off + DP_ENCAP_MIN_CUT)) {
		return "encapsulation that leaves too little of packets";
	}
	why = check_flags(e);
	why = why ? why : check_outer(e);
	if (!why && !is_tunnel_header(e, e->header + tunnel, e->size - tunnel)) {
		why = "encapsulation with a bad tunnel header";
	}
	return why;
}
