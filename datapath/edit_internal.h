/* SPDX-License-Identifier: Apache-2.0
 *
 * Packet edits: what edit.c (fields), edit_header.c (whole headers, TTLs) and edit_checksum.c share.
 */
#pragma once

#include <stdbool.h>
#include <stdint.h>

#include "lib/byteorder.h"
#include "lib/packet.h"

#define TYPE_IPV4 0x0800u
#define TYPE_ARP 0x0806u
#define TYPE_RARP 0x8035u
#define TYPE_VLAN 0x8100u
#define TYPE_QINQ 0x88a8u
#define TYPE_IPV6 0x86ddu
#define TYPE_MPLS 0x8847u
#define TYPE_MPLS_MULTICAST 0x8848u
#define TYPE_PBB 0x88e7u

#define MPLS_BOS 0x100u
#define MPLS_TTL 0xffu

/* What the IP header(s) say. */
struct ip_view {
	uint32_t end; /* of the packet; link-layer padding may follow */
	uint32_t proto_at;
	uint8_t proto; /* behind the extension headers */
	bool is_ipv4;
	bool fragment;
	bool later;  /* a fragment but the first: no L4 header */
	bool routed; /* under way by a routing header: the destination is not the last one */
};

/* Of a packet whose L3 header is of @type and whole, by the parser's word (l4_off). */
struct ip_view edit_ip_view(const struct packet *p, uint16_t type);

/* The Ethernet type in front of the L3 header; 0: there is none. */
static inline uint16_t
packet_l3_type(const struct packet *p)
{
	return p->l3_off >= 2 && p->l3_off <= p->head_len ? get_be16(p->data + p->l3_off - 2) : 0;
}

static inline bool
is_mpls(uint16_t type)
{
	return type == TYPE_MPLS || type == TYPE_MPLS_MULTICAST;
}

/* Replaces @n bytes that stand at an even offset of what @csum covers. @partial: it is a plain sum
 * that is not complemented yet. @no_zero: 0 means something else; ~0, which is as good, stands for it. */
void edit_adjust_csum(uint8_t *csum, const uint8_t *was, const uint8_t *now, size_t n, bool partial,
	bool no_zero);

/* Replaces @n bytes under SCTP's CRC32c at @crc; @behind bytes follow them in what it covers. */
void edit_adjust_crc(
	uint8_t *crc, const uint8_t *was, const uint8_t *now, size_t n, uint32_t behind);

/* Finds the headers anew, when other ones stand there than before. Returns EDIT_OK or rx-truncated. */
int edit_parse(struct packet *p);
