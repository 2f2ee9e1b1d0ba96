/* SPDX-License-Identifier: Apache-2.0
 *
 * Tunnels, inside: what a kind of tunnel must know, and prepared headers.
 */
#pragma once

#include <stdatomic.h>
#include <stdbool.h>
#include <stdint.h>
#include <string.h>

#include "datapath/edit_internal.h"
#include "datapath/tunnel.h"
#include "lib/byteorder.h"
#include "lib/compiler.h"
#include "lib/dp_protocol.h"
#include "lib/packet.h"

#define TUNNEL_ETHERNET 0x6558u /* Ethernet type of Ethernet in a tunnel */
#define TUNNEL_OUTER_MAX 65535u /* bytes of an IP packet */
#define ETH_LEN 14u

struct tunnel_encap;
struct tunnel_options;

/* What a packet decides of the header that it gets. */
struct tunnel_wish {
	const struct packet_tunnel *t;
	/* One table from the header's length to its last byte: another may be put meanwhile. NULL: no options. */
	const struct tunnel_options *options;
	uint16_t type; /* of what goes in, as in struct tunnel_found */
};

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
	uint32_t (*extra)(const struct tunnel_wish *wish);
	/* Fills in what is neither id nor of the outer headers; NULL: nothing ever. @h: the header, in its
	 * place in front of the packet. Called when @e says so. */
	void (*finish)(struct packet *p, struct tunnel_encap *e, uint8_t *h,
		const struct tunnel_wish *wish);
	/* Notes in the header, before it is finished, that the packet was cut. NULL: it has no place for
	 * that. */
	void (*note_cut)(uint8_t *h);
};

/* --- tunnel_gre.c: what all that is in GRE has */

/* Of the header with these flags. */
uint32_t tunnel_gre_size(uint16_t flags);
/* As struct tunnel_kind's decap, with the header's protocol as the type found. */
int tunnel_gre_decap(const struct packet *p, const uint8_t *h, uint32_t room, uint32_t len,
	struct packet_tunnel *t, struct tunnel_found *found);
/* As struct tunnel_kind's finish. */
void tunnel_gre_finish(
	struct packet *p, struct tunnel_encap *e, uint8_t *h, const struct tunnel_wish *wish);
#define GRE_LEN 4u
#define GRE_SEQUENCE 0x1000u

extern const struct tunnel_kind tunnel_vxlan, tunnel_vxlan_gpe, tunnel_geneve, tunnel_gre,
	tunnel_erspan, tunnel_gre_or_erspan;
extern const struct tunnel_kind *const tunnel_kinds[DP_TUNNEL_KIND_N];

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
	uint32_t limit;  /* longest outer L3 packet */
	uint32_t cut_to; /* bytes that are left of longer packets */
	uint32_t port;   /* datapath port that counts */
	_Atomic uint32_t sequence; /* the next one, without a port that counts */
	const struct dp_encap *body;
	uint8_t bytes[DP_ENCAP_MAX_SIZE] __attribute__((aligned(64))); /* the header at their end */
};

/* Bytes that the packet's tunnel fields add to the header, less those of Ethernet that it loses. */
int tunnel_encap_extra(const struct tunnel_encap *e, const struct packet *p);

/* Length of the outer L3 packet that a packet of @len bytes with @p's headers and tunnel fields makes. */
static inline uint32_t
tunnel_encap_len(const struct tunnel_encap *e, const struct packet *p, uint32_t len)
{
	uint32_t plain = (uint32_t)e->size - e->l3_off + len;

	return WEFT_UNLIKELY(e->has_extra) ? plain + (uint32_t)tunnel_encap_extra(e, p) : plain;
}

/* Sum of @n bytes at @off of a packet as 16-bit words, folded, in host order. */
uint16_t tunnel_sum(const struct packet *p, uint32_t off, uint32_t n);
/* Of a header. */
uint32_t tunnel_sum_bytes(const uint8_t *bytes, uint32_t n);
/* Of the pseudo header of @proto in the IP header @ip, with @len bytes of payload. */
uint32_t tunnel_sum_pseudo(const uint8_t *ip, bool v6, uint8_t proto, uint32_t len);

static inline uint16_t
tunnel_fold(uint64_t sum)
{
	while (sum >> 16) {
		sum = (sum & 0xffff) + (sum >> 16);
	}
	return (uint16_t)sum;
}

/* Whether an IPv4 header without options has a right checksum. */
static inline bool
tunnel_is_sum_right(const uint8_t *ip)
{
	uint64_t sum = 0, wide;
	uint32_t word;

	/* In any byte order alike (RFC 1071 s.2). */
	memcpy(&wide, ip, 8);
	sum += (wide & UINT32_MAX) + (wide >> 32);
	memcpy(&wide, ip + 8, 8);
	sum += (wide & UINT32_MAX) + (wide >> 32);
	memcpy(&word, ip + 16, 4);
	sum += word;
	sum = (sum & UINT32_MAX) + (sum >> 32);
	sum = (sum & 0xffff) + (sum >> 16);
	sum = (sum & 0xffff) + (sum >> 16);
	return (sum & 0xffff) + (sum >> 16) == 0xffff;
}

/* Whether packets of that type are taken out of GRE and Geneve: Ethernet, IP, MPLS. */
static inline bool
tunnel_knows_type(uint16_t type)
{
	return type == TUNNEL_ETHERNET || type == TYPE_IPV4 || type == TYPE_IPV6 || is_mpls(type);
}

/* tun_flags of a packet that came by a tunnel, besides FLOW_TUN_PRESENT. */
static inline void
tunnel_add_flags(struct packet_tunnel *t, uint16_t flags)
{
	t->flags = be16_from((uint16_t)(be16_to(t->flags) | flags));
}
