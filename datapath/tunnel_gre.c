/* SPDX-License-Identifier: Apache-2.0
 *
 * Tunnels: GRE (RFC 2784) with key and sequence number (RFC 2890), and ERSPAN (draft-foschiano-erspan) in
 * it.
 *
 * Order: received sequence numbers are not looked at: packets out of order are passed on (RFC 2890 s.2.2
 *        leaves that to the receiver).
 */
#include <netinet/in.h>

#include "datapath/tunnel_internal.h"
#include "lib/flow_key.h"

#define GRE_LEN 4u
#define GRE_CSUM 0x8000u
#define GRE_ROUTING 0x4000u
#define GRE_KEY 0x2000u
#define GRE_SEQUENCE 0x1000u
#define GRE_VERSION 0x0007u
/* RFC 2784 s.2.2: bits 1 to 5 that are set are RFC 1701's, but for those that RFC 2890 gave back. */
#define GRE_REFUSED (GRE_ROUTING | 0x0c00u | GRE_VERSION)
#define ERSPAN_2 0x88beu
#define ERSPAN_3 0x22ebu
#define ERSPAN_SESSION 0x3ffu

static uint32_t
size_of(uint16_t flags)
{
	return GRE_LEN + (flags & GRE_CSUM ? 4 : 0) + (flags & GRE_KEY ? 4 : 0) +
	       (flags & GRE_SEQUENCE ? 4 : 0);
}

static uint32_t
key_at(uint16_t flags)
{
	return GRE_LEN + (flags & GRE_CSUM ? 4 : 0);
}

static uint32_t
id_at(const uint8_t *h)
{
	return key_at(get_be16(h));
}

/* What all that is in GRE has. */
static int
decap_gre(const struct packet *p, const uint8_t *h, uint32_t room, uint32_t len,
	struct packet_tunnel *t, struct tunnel_found *found)
{
	uint16_t flags;

	if (room < GRE_LEN) {
		return DROP_DECAP_BAD;
	}
	flags = get_be16(h);
	*found = (struct tunnel_found){size_of(flags), get_be16(h + 2)};
	if (flags & GRE_REFUSED || found->size > room) {
		return DROP_DECAP_BAD;
	}
	if (flags & GRE_CSUM) {
		if (!(p->flags & PACKET_GSO_MASK) &&
			tunnel_sum(p, (uint32_t)(h - p->data), len) != 0xffff) {
			return DROP_DECAP_CHECKSUM;
		}
		tunnel_add_flags(t, FLOW_TUN_CSUM);
	}
	if (flags & GRE_KEY) {
		t->id = be32_from(get_be32(h + key_at(flags)));
		tunnel_add_flags(t, FLOW_TUN_KEY);
	}
	return EDIT_OK;
}

static int
decap(const struct packet *p, const uint8_t *h, uint32_t room, uint32_t len,
	struct packet_tunnel *t, struct tunnel_found *found)
{
	int result = decap_gre(p, h, room, len, t, found);

	if (result != EDIT_OK) {
		return result;
	}
	switch (found->type) {
	case TUNNEL_ETHERNET:
	case TYPE_IPV4:
	case TYPE_IPV6:
	case TYPE_MPLS:
	case TYPE_MPLS_MULTICAST:
		return EDIT_OK;
	default:
		return DROP_DECAP_PROTOCOL;
	}
}

/* Sequence number, next protocol, checksum. */
static void
finish(struct packet *p, struct tunnel_encap *e, uint8_t *h, const struct packet_tunnel *t,
	uint16_t type)
{
	uint16_t flags = get_be16(h), sum;
	uint32_t at = (uint32_t)(h - p->data);

	(void)t;
	if (e->flags & DP_ENCAP_L3) {
		put_be16(h + 2, type);
	}
	if (flags & GRE_SEQUENCE) {
		put_be32(h + key_at(flags) + (flags & GRE_KEY ? 4 : 0),
			atomic_fetch_add_explicit(&e->sequence, 1, memory_order_relaxed));
	}
	if (flags & GRE_CSUM) {
		put_be32(h + GRE_LEN, 0);
		sum = tunnel_sum(p, at, p->len - at);
		put_be16(h + GRE_LEN, (uint16_t)~sum);
	}
}

const struct tunnel_kind tunnel_gre = {
	.proto = IPPROTO_GRE,
	.id_max = UINT32_MAX,
	.id_at = id_at,
	.decap = decap,
	.finish = finish,
};

/* --- ERSPAN -------------------------------------------------------------------------------------------- */

static uint32_t
session_at(const uint8_t *h)
{
	return size_of(get_be16(h));
}

/* Type I has neither sequence number nor header, II has 8 bytes, III 12 and with a flag 8 more. */
static int
decap_erspan(const struct packet *p, const uint8_t *h, uint32_t room, uint32_t len,
	struct packet_tunnel *t, struct tunnel_found *found)
{
	int result = decap_gre(p, h, room, len, t, found);
	const uint8_t *s = h + found->size;
	uint32_t size = found->type == ERSPAN_3 ? 12 : 8;

	if (result != EDIT_OK) {
		return result;
	}
	if (found->type != ERSPAN_2 && found->type != ERSPAN_3) {
		return DROP_DECAP_PROTOCOL;
	}
	if (found->type == ERSPAN_2 && !(get_be16(h) & GRE_SEQUENCE)) {
		t->erspan_ver = 0;
		found->type = TUNNEL_ETHERNET;
		return EDIT_OK;
	}
	if (found->size + size > room || s[0] >> 4 != (found->type == ERSPAN_3 ? 2 : 1)) {
		return DROP_DECAP_BAD;
	}
	t->erspan_ver = found->type == ERSPAN_3 ? 2 : 1;
	t->id = be32_from(get_be16(s + 2) & ERSPAN_SESSION);
	tunnel_add_flags(t, FLOW_TUN_KEY);
	if (found->type == ERSPAN_2) {
		t->erspan_idx = be32_from(get_be32(s + 4) & 0xfffff);
	} else {
		t->erspan_hwid = (uint8_t)(get_be16(s + 10) >> 4 & 0x3f);
		t->erspan_dir = s[11] >> 3 & 1;
		size += s[11] & 1 ? 8 : 0;
		if (found->size + size > room) {
			return DROP_DECAP_BAD;
		}
	}
	*found = (struct tunnel_found){found->size + size, TUNNEL_ETHERNET};
	return EDIT_OK;
}

const struct tunnel_kind tunnel_erspan = {
	.proto = IPPROTO_GRE,
	.id_max = ERSPAN_SESSION,
	.id_at = session_at,
	.decap = decap_erspan,
	.finish = finish,
};
