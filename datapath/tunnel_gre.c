/* SPDX-License-Identifier: Apache-2.0
 *
 * Tunnels: GRE (RFC 2784) with key and sequence number (RFC 2890).
 *
 * Order: received sequence numbers are not looked at: packets out of order are passed on (RFC 2890 s.2.2
 *        leaves that to the receiver).
 */
#include <netinet/in.h>

#include "datapath/port.h"
#include "datapath/tunnel_internal.h"
#include "lib/flow_key.h"

#define GRE_CSUM 0x8000u
#define GRE_ROUTING 0x4000u
#define GRE_KEY 0x2000u
#define GRE_VERSION 0x0007u
/* RFC 2784 s.2.2: bits 1 to 5 that are set are RFC 1701's, but for those that RFC 2890 gave back. */
#define GRE_REFUSED (GRE_ROUTING | 0x0c00u | GRE_VERSION)

uint32_t
tunnel_gre_size(uint16_t flags)
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

int
tunnel_gre_decap(const struct packet *p, const uint8_t *h, uint32_t room, uint32_t len,
	struct packet_tunnel *t, struct tunnel_found *found)
{
	uint16_t flags;

	if (room < GRE_LEN) {
		return DROP_DECAP_BAD;
	}
	flags = get_be16(h);
	*found = (struct tunnel_found){tunnel_gre_size(flags), get_be16(h + 2)};
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
	int result = tunnel_gre_decap(p, h, room, len, t, found);

	return result != EDIT_OK || tunnel_knows_type(found->type) ? result : DROP_DECAP_PROTOCOL;
}

/* The numbers of a tunnel port go on when its headers change. */
static uint32_t
next_sequence(struct tunnel_encap *e)
{
	struct port *port = port_find(e->port);

	return atomic_fetch_add_explicit(
		port ? &port->tunnel_sequence : &e->sequence, 1, memory_order_relaxed);
}

/* Sequence number, next protocol, checksum. */
void
tunnel_gre_finish(
	struct packet *p, struct tunnel_encap *e, uint8_t *h, const struct tunnel_wish *wish)
{
	uint16_t flags = get_be16(h), sum;
	uint32_t at = (uint32_t)(h - p->data);

	if (e->flags & DP_ENCAP_L3) {
		put_be16(h + 2, wish->type);
	}
	if (flags & GRE_SEQUENCE) {
		put_be32(h + key_at(flags) + (flags & GRE_KEY ? 4 : 0), next_sequence(e));
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
	.finish = tunnel_gre_finish,
};
