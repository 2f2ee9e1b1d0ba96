/* SPDX-License-Identifier: Apache-2.0
 *
 * Tunnels, inside: what a kind of tunnel must know, and prepared headers.
 */
#pragma once

#include <stdatomic.h>
#include <stdbool.h>
#include <stdint.h>

#include "datapath/edit.h"
#include "datapath/edit_internal.h"
#include "lib/byteorder.h"
#include "lib/dp_protocol.h"
#include "lib/packet.h"

#define TUNNEL_ETHERNET 0x6558u /* Ethernet type of Ethernet in a tunnel */
#define ETH_LEN 14u

struct tunnel_encap;

/* What a tunnel's header says. */
struct tunnel_found {
	uint32_t size; /* of the header */
	uint16_t type; /* Ethernet type of what is behind it; TUNNEL_ETHERNET: a whole frame */
};

struct tunnel_kind {
	uint8_t proto;    /* IPPROTO_UDP or IPPROTO_GRE */
	uint8_t id_shift; /* of the id in its word of the header, big-endian */
	uint32_t id_max;
	uint32_t extra_max; /* bytes of what stands behind the fixed header */

	/* Where that word stands in a header that has one. */
	uint32_t (*id_at)(const uint8_t *h);
	/* Checks a received header and fills in the tunnel fields that it tells. @h: its bytes, of which
	 * @room are there in one piece; @len: bytes of header and what is behind it. EDIT_OK or a drop
	 * reason. */
	int (*decap)(const struct packet *p, const uint8_t *h, uint32_t room, uint32_t len,
		struct packet_tunnel *t, struct tunnel_found *found);
	/* Bytes that stand behind the prepared header, as the key says. NULL: none. */
	uint32_t (*extra)(const struct tunnel_encap *e, const struct packet_tunnel *t);
	/* Fills in what is neither id nor of the outer headers; NULL: nothing ever. @h: the header, in its
	 * place in front of the packet; @type: as in struct tunnel_found. Called when @e says so. */
	void (*finish)(struct packet *p, struct tunnel_encap *e, uint8_t *h,
		const struct packet_tunnel *t, uint16_t type);
};

extern const struct tunnel_kind tunnel_vxlan, tunnel_vxlan_gpe, tunnel_geneve, tunnel_gre,
	tunnel_erspan;
extern const struct tunnel_kind *const tunnel_kinds[DP_TUNNEL_ERSPAN + 1];

/* A prepared header, and what was computed from it. */
struct tunnel_encap {
	const struct tunnel_kind *kind;
	uint32_t flags; /* enum dp_encap_flags */
	uint16_t size, l3_off, l4_off, tunnel_off;
	uint16_t copied; /* bytes that are copied: size, rounded up */
	uint8_t n_tags;
	uint8_t tos, ttl; /* DSCP and TTL, when nothing else decides; no ECN */
	bool v6;
	bool finish; /* the kind has to fill in more */
	bool has_extra; /* the packet's tunnel fields decide how long the header is, or Ethernet goes */
	uint32_t ip_sum; /* of the IPv4 header without TOS, TTL, length, identification, checksum */
	uint32_t id_at;  /* from the header's first byte */
	_Atomic uint32_t sequence;
	const struct dp_encap *body;
	uint8_t bytes[DP_ENCAP_MAX_SIZE] __attribute__((aligned(64))); /* the header at their end */
};

/* Sum of @n bytes at @off of a packet as 16-bit words, folded, in host order. */
uint16_t tunnel_sum(const struct packet *p, uint32_t off, uint32_t n);
/* Of a header. */
uint32_t tunnel_sum_bytes(const uint8_t *bytes, uint32_t n);
/* Of the pseudo header of @proto in the IP header @ip, with @len bytes of payload. */
uint32_t tunnel_sum_pseudo(const uint8_t *ip, bool v6, uint8_t proto, uint32_t len);
uint16_t tunnel_fold(uint64_t sum);

/* tun_flags of a packet that came by a tunnel, besides FLOW_TUN_PRESENT. */
static inline void
tunnel_add_flags(struct packet_tunnel *t, uint16_t flags)
{
	t->flags = be16_from((uint16_t)(be16_to(t->flags) | flags));
}
