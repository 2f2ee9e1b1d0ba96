/* SPDX-License-Identifier: Apache-2.0
 *
 * Packet edits.
 */
#include "datapath/edit.h"

#include <netinet/in.h>
#include <rte_mbuf.h>
#include <string.h>

#include "datapath/edit_internal.h"
#include "lib/compiler.h"
#include "lib/flow_key.h"
#include "vhost/packet_mbuf.h"

/* --- checksums ---------------------------------------------------------------------------------------- */

static uint16_t
fold(uint64_t sum)
{
	while (sum >> 16) {
		sum = (sum & 0xffff) + (sum >> 16);
	}
	return (uint16_t)sum;
}

/* One's complement sum of @n bytes as 16-bit words; an odd last byte is padded. */
static uint64_t
sum_bytes(const uint8_t *bytes, size_t n)
{
	uint64_t sum = 0;

	for (size_t i = 0; i + 1 < n; i += 2) {
		sum += get_be16(bytes + i);
	}
	return n & 1 ? sum + ((uint32_t)bytes[n - 1] << 8) : sum;
}

/* Where the L4 checksum stands, or NULL: no header, none used, or a later fragment. */
static uint8_t *
l4_csum(const struct packet *p, uint8_t proto, bool pseudo)
{
	uint8_t *l4 = p->data + p->l4_off;
	uint32_t room = p->head_len - p->l4_off;

	if (!p->l4_off || p->l4_off > p->head_len) {
		return NULL;
	}
	switch (proto) {
	case IPPROTO_TCP:
		return room >= 18 ? l4 + 16 : NULL;
	case IPPROTO_UDP:
		return room >= 8 && (l4[6] || l4[7]) ? l4 + 6 : NULL;
	case IPPROTO_ICMPV6:
		return room >= 4 ? l4 + 2 : NULL;
	case IPPROTO_ICMP:
		return room >= 4 && !pseudo ? l4 + 2 : NULL;
	default:
		return NULL;
	}
}

/* Replaces @n bytes that stand at an even offset of what @csum covers. @partial: it is a plain sum
 * that is not complemented yet. */
void
edit_adjust_csum(
	uint8_t *csum, const uint8_t *was, const uint8_t *now, size_t n, bool partial, bool udp)
{
	uint16_t old = get_be16(csum), sum;
	uint64_t difference = sum_bytes(now, n);

	for (size_t i = 0; i < n; i += 2) {
		difference += (uint16_t) ~(((uint32_t)was[i] << 8) | (i + 1 < n ? was[i + 1] : 0));
	}
	if (partial) {
		put_be16(csum, fold(old + difference));
		return;
	}
	sum = (uint16_t)~fold((uint16_t)~old + difference);
	put_be16(csum, udp && !sum ? 0xffff : sum);
}

/* The protocol behind the IP header(s), and whether this is a later fragment. */
static uint8_t
ip_protocol(const struct packet *p, uint16_t type, bool *later)
{
	const uint8_t *ip = p->data + p->l3_off;
	uint8_t next;
	uint32_t at;

	*later = false;
	if (type == TYPE_IPV4) {
		*later = get_be16(ip + 6) & 0x1fff;
		return ip[9];
	}
	next = ip[6];
	at = p->l3_off + 40u;
	while (at < p->l4_off && at + 8 <= p->head_len) {
		const uint8_t *h = p->data + at;

		if (next == IPPROTO_FRAGMENT) {
			*later |= (get_be16(h + 2) & 0xfff8) != 0;
			at += 8;
		} else {
			at += next == IPPROTO_AH ? (h[1] + 2u) * 4 : (h[1] + 1u) * 8;
		}
		next = h[0];
	}
	return next;
}

/* Which checksums cover the bytes that change. */
enum covers {
	COVER_NONE,
	COVER_IP = 1 << 0,     /* the IPv4 header's */
	COVER_PSEUDO = 1 << 1, /* L4, by its pseudo header */
	COVER_L4 = 1 << 2,     /* L4, directly */
};

/* Changes @n bytes at @at under @mask; @at is even within each sum that covers it. */
static void
change(struct packet *p, uint16_t type, uint8_t *at, const uint8_t *value, const uint8_t *mask,
	size_t n, unsigned covers)
{
	bool partial = p->flags & PACKET_CSUM_PARTIAL, later = false;
	uint8_t was[16], *csum = NULL, proto = 0;

	memcpy(was, at, n);
	for (size_t i = 0; i < n; i++) {
		at[i] = (uint8_t)((at[i] & ~mask[i]) | (value[i] & mask[i]));
	}
	if (covers & COVER_IP && type == TYPE_IPV4) {
		edit_adjust_csum(p->data + p->l3_off + 10, was, at, n, false, false);
	}
	if (covers & (COVER_PSEUDO | COVER_L4)) {
		proto = ip_protocol(p, type, &later);
		csum = later ? NULL : l4_csum(p, proto, covers & COVER_PSEUDO);
	}
	/* What the receiver sums up needs no help, but for the pseudo header. */
	if (csum && (!partial || covers & COVER_PSEUDO)) {
		edit_adjust_csum(csum, was, at, n, partial, proto == IPPROTO_UDP);
	}
}

static int
set_vlan(struct packet *p, const struct field *f, const uint8_t *value, const uint8_t *mask)
{
	uint32_t bits = 0, v = 0, tci;

	if (!p->n_tags) {
		return DROP_NO_VLAN;
	}
	bits = (uint32_t)get_be16(mask) << f->shift & 0xefffu; /* DEI stays */
	v = (uint32_t)get_be16(value) << f->shift;
	tci = get_be16(p->data + 14);
	put_be16(p->data + 14, (uint16_t)((tci & ~bits) | (v & bits)));
	return EDIT_OK;
}

/* TOS, DSCP, ECN and TTL: each in one byte of the header. */
static int
set_ip_byte(struct packet *p, uint16_t type, const struct field *f, const uint8_t *value,
	const uint8_t *mask)
{
	uint8_t *ip = p->data + p->l3_off, v[2] = {0}, m[2] = {0};
	bool ttl = f == field_get(FIELD_IP_TTL);

	if (type == TYPE_IPV4) {
		unsigned i = ttl ? 0 : 1; /* in a pair that begins at an even offset */

		v[i] = (uint8_t)(value[0] << f->shift);
		m[i] = (uint8_t)(mask[0] << f->shift);
		change(p, type, ip + (ttl ? 8 : 0), v, m, 2, COVER_IP);
	} else if (ttl) {
		ip[7] = (uint8_t)((ip[7] & ~mask[0]) | (value[0] & mask[0]));
	} else {
		uint32_t word = get_be32(ip), bits = (uint32_t)(uint8_t)(mask[0] << f->shift) << 20;

		word = (word & ~bits) | ((uint32_t)(uint8_t)(value[0] << f->shift) << 20 & bits);
		put_be32(ip, word);
	}
	return EDIT_OK;
}

/* What stands behind the type is as it was; where its headers are is not known any more. */
static int
set_eth_type(struct packet *p, const uint8_t *value)
{
	if (packet_l3_type(p) < 0x600) {
		return DROP_NO_L3; /* a length stands there */
	}
	memcpy(p->data + p->l3_off - 2, value, 2);
	p->l4_off = 0;
	p->l4_payload_off = 0;
	return EDIT_OK;
}

/* The checksum of the L4 header that is there goes on covering the pseudo header. */
static int
set_ip_proto(struct packet *p, uint16_t type, uint8_t proto)
{
	bool partial = p->flags & PACKET_CSUM_PARTIAL, later;
	uint8_t was[2] = {0, ip_protocol(p, type, &later)}, now[2] = {0, proto};
	uint8_t *csum = later ? NULL : l4_csum(p, was[1], true);
	uint8_t mask[2] = {0, 0xff}, *ip = p->data + p->l3_off, *next = ip + 6;
	uint32_t at = p->l3_off + 40u;

	if (type == TYPE_IPV4) {
		change(p, type, ip + 8, now, mask, 2, COVER_IP);
	} else {
		/* The last of the headers says what comes behind them. */
		while (at < p->l4_off && at + 8 <= p->head_len) {
			uint8_t *h = p->data + at;

			at += *next == IPPROTO_FRAGMENT ? 8u
			      : *next == IPPROTO_AH     ? (h[1] + 2u) * 4
							: (h[1] + 1u) * 8;
			next = h;
		}
		*next = proto;
	}
	if (csum) {
		edit_adjust_csum(csum, was, now, 2, partial, was[1] == IPPROTO_UDP);
	}
	p->l4_payload_off = 0;
	return EDIT_OK;
}

static int
set_arp(struct packet *p, enum field_id field, const uint8_t *value, const uint8_t *mask)
{
	static const struct {
		enum field_id field;
		uint8_t offset;
	} places[] = {
		{FIELD_ARP_OP, 6},
		{FIELD_ARP_SHA, 8},
		{FIELD_ARP_SPA, 14},
		{FIELD_ARP_THA, 18},
		{FIELD_ARP_TPA, 24},
	};

	for (unsigned i = 0; i < WEFT_ARRAY_SIZE(places); i++) {
		if (places[i].field == field) {
			change(p, TYPE_ARP, p->data + p->l3_off + places[i].offset, value, mask,
				field_get(field)->n_bytes, COVER_NONE);
		}
	}
	return EDIT_OK;
}

/* The ND option of @kind, or NULL. */
static uint8_t *
nd_option(const struct packet *p, uint8_t kind)
{
	uint32_t at = p->l4_off + 24u;

	while (at + 8 <= p->head_len && p->data[at + 1]) {
		if (p->data[at] == kind && p->data[at + 1] == 1) {
			return p->data + at + 2;
		}
		at += p->data[at + 1] * 8u;
	}
	return NULL;
}

static int
set_icmp(struct packet *p, uint16_t type, enum field_id field, const uint8_t *value,
	const uint8_t *mask)
{
	uint8_t *l4 = p->data + p->l4_off, v[2] = {0}, m[2] = {0}, *at;
	bool is_code = field == FIELD_ICMPV4_CODE || field == FIELD_ICMPV6_CODE;

	if (p->head_len - p->l4_off < 4) {
		return DROP_NO_L4;
	}
	switch (field) {
	case FIELD_ND_TARGET:
	case FIELD_ND_SLL:
	case FIELD_ND_TLL:
		if (p->head_len - p->l4_off < 24 || (l4[0] != 135 && l4[0] != 136)) {
			return DROP_NO_L4;
		}
		at = field == FIELD_ND_TARGET ? l4 + 8
					      : nd_option(p, field == FIELD_ND_SLL ? 1 : 2);
		if (at) {
			change(p, type, at, value, mask, field_get(field)->n_bytes, COVER_L4);
		}
		return EDIT_OK;
	default:
		/* The field keeps its byte in the low one of two. */
		v[is_code] = value[1];
		m[is_code] = mask[1];
		change(p, type, l4, v, m, 2, COVER_L4);
		return EDIT_OK;
	}
}

static int
set_ipv6(struct packet *p, enum field_id field, const uint8_t *value, const uint8_t *mask)
{
	uint8_t *ip = p->data + p->l3_off;
	uint32_t word, bits;

	switch (field) {
	case FIELD_IPV6_SRC:
		change(p, TYPE_IPV6, ip + 8, value, mask, 16, COVER_PSEUDO);
		break;
	case FIELD_IPV6_DST: {
		/* With a routing header under way the pseudo header has the final address (RFC 8200 s.8.1). */
		bool routing = ip[6] == IPPROTO_ROUTING && p->l3_off + 44u <= p->head_len && ip[43];

		change(p, TYPE_IPV6, ip + 24, value, mask, 16, routing ? COVER_NONE : COVER_PSEUDO);
		break;
	}
	default: /* flow label */
		word = get_be32(ip);
		bits = get_be32(mask) & FLOW_FLABEL_MASK;
		put_be32(ip, (word & ~bits) | (get_be32(value) & bits));
		break;
	}
	return EDIT_OK;
}

/* A word of four bytes at the L3 header: an MPLS label or the PBB tag. */
static int
set_word(struct packet *p, const struct field *f, const uint8_t *value, const uint8_t *mask)
{
	uint8_t *at = p->data + p->l3_off;
	uint32_t bits = get_be32(mask) << f->shift, v = get_be32(value) << f->shift;

	if (f == field_get(FIELD_PBB_UCA)) {
		/* The key's bit 24 is bit 27 on the wire. */
		bits = bits ? 0x08000000u : 0;
		v = v ? 0x08000000u : 0;
	}
	put_be32(at, (get_be32(at) & ~bits) | (v & bits));
	return EDIT_OK;
}

/* Whether the L3 header is whole. */
static bool
has_l3(const struct packet *p, uint16_t type)
{
	uint32_t room = p->head_len - p->l3_off;

	switch (type) {
	case TYPE_IPV4:
		return p->l4_off && room >= 20;
	case TYPE_IPV6:
		return p->l4_off && room >= 40;
	case TYPE_ARP:
	case TYPE_RARP:
		return room >= 28;
	case TYPE_MPLS:
	case TYPE_MPLS_MULTICAST:
	case TYPE_PBB:
		return room >= 4;
	default:
		return false;
	}
}

static bool
has_l4(const struct packet *p, uint16_t type, enum field_prereq prereq)
{
	bool later;
	uint8_t proto = ip_protocol(p, type, &later);

	if (later || p->l4_off + 4u > p->head_len) {
		return false;
	}
	switch (prereq) {
	case FIELD_PRE_TCP:
		return proto == IPPROTO_TCP && p->l4_payload_off;
	case FIELD_PRE_UDP:
		return proto == IPPROTO_UDP && p->l4_payload_off;
	case FIELD_PRE_SCTP:
		return proto == IPPROTO_SCTP && p->l4_payload_off;
	case FIELD_PRE_L4:
		return (proto == IPPROTO_TCP || proto == IPPROTO_UDP || proto == IPPROTO_SCTP) &&
		       p->l4_payload_off;
	case FIELD_PRE_ICMPV4:
		return proto == IPPROTO_ICMP && type == TYPE_IPV4;
	default:
		return proto == IPPROTO_ICMPV6 && type == TYPE_IPV6;
	}
}

static bool
type_fits(uint16_t type, enum field_prereq prereq)
{
	switch (prereq) {
	case FIELD_PRE_IPV4:
	case FIELD_PRE_ICMPV4:
		return type == TYPE_IPV4;
	case FIELD_PRE_IPV6:
	case FIELD_PRE_ICMPV6:
	case FIELD_PRE_ND:
	case FIELD_PRE_ND_SOL:
	case FIELD_PRE_ND_ADV:
		return type == TYPE_IPV6;
	case FIELD_PRE_ARP:
		return type == TYPE_ARP || type == TYPE_RARP;
	case FIELD_PRE_MPLS:
		return type == TYPE_MPLS || type == TYPE_MPLS_MULTICAST;
	case FIELD_PRE_PBB:
		return type == TYPE_PBB;
	default:
		return type == TYPE_IPV4 || type == TYPE_IPV6;
	}
}

static int
missing_layer(enum field_prereq prereq)
{
	switch (prereq) {
	case FIELD_PRE_MPLS:
		return DROP_NO_MPLS;
	case FIELD_PRE_PBB:
		return DROP_NO_PBB;
	default:
		return DROP_NO_L3;
	}
}

/* Where the L4 payload of a whole IP packet ends; link-layer padding may follow. */
static uint32_t
ip_end(const struct packet *p, uint16_t type)
{
	const uint8_t *ip = p->data + p->l3_off;
	uint32_t end = type == TYPE_IPV4 ? get_be16(ip + 2) : 40u + get_be16(ip + 4);

	return WEFT_MIN(p->l3_off + end, p->len);
}

/* CRC32c over SCTP's header and chunks, with the checksum field taken as zero. */
static uint32_t
sctp_crc(const struct packet *p, uint32_t end)
{
	uint32_t crc = UINT32_MAX, at = p->l4_off;

	while (at < end) {
		uint8_t chunk[256];
		uint32_t n = WEFT_MIN(end - at, (uint32_t)sizeof chunk);
		const uint8_t *data = rte_pktmbuf_read(packet_mbuf(p), at, n, chunk);

		for (uint32_t i = 0; data && i < n; i++) {
			uint32_t off = at + i - p->l4_off;

			crc ^= off >= 8 && off < 12 ? 0 : data[i];
			for (unsigned bit = 0; bit < 8; bit++) {
				crc = crc & 1 ? crc >> 1 ^ 0x82f63b78u : crc >> 1;
			}
		}
		at += n;
	}
	return ~crc;
}

/* SCTP's ports stand under a CRC32c (RFC 9260 s.6.8). It is linear: the difference of the sums before
 * and after is the difference of the fields, so that a wrong one stays wrong here too. The sum covers
 * all fragments: in a first fragment alone it cannot be kept right. */
static int
set_sctp_port(
	struct packet *p, uint16_t type, uint8_t *at, const uint8_t *value, const uint8_t *mask)
{
	bool whole = type == TYPE_IPV4 ? !(get_be16(p->data + p->l3_off + 6) & 0x3fff)
				       : p->l4_off == p->l3_off + 40;
	uint8_t *field = p->data + p->l4_off + 8;
	uint32_t end = ip_end(p, type), was, stored;

	if (!whole || p->l4_off + 12u > p->head_len) {
		return DROP_NO_L4;
	}
	was = sctp_crc(p, end);
	change(p, type, at, value, mask, 2, COVER_NONE);
	if (!(p->flags & PACKET_CSUM_PARTIAL)) {
		memcpy(&stored, field, 4); /* least significant byte first */
		stored ^= was ^ sctp_crc(p, end);
		memcpy(field, &stored, 4);
	}
	return EDIT_OK;
}

int
packet_set_field(struct packet *p, enum field_id field, const uint8_t *value, const uint8_t *mask)
{
	const struct field *f = field_get(field);
	enum field_prereq prereq = (enum field_prereq)f->prereq;
	uint16_t type;
	uint8_t *l4;

	switch (field) {
	case FIELD_ETH_DST:
	case FIELD_ETH_SRC:
		change(p, 0, p->data + (field == FIELD_ETH_SRC ? 6 : 0), value, mask, 6,
			COVER_NONE);
		return EDIT_OK;
	case FIELD_VLAN_TCI:
	case FIELD_VLAN_VID:
	case FIELD_VLAN_PCP:
		return set_vlan(p, f, value, mask);
	case FIELD_ETH_TYPE:
		return set_eth_type(p, value);
	default:
		break;
	}
	type = packet_l3_type(p);
	if (!type_fits(type, prereq) || !has_l3(p, type)) {
		return missing_layer(prereq);
	}
	if (prereq >= FIELD_PRE_TCP && prereq <= FIELD_PRE_ND_ADV && !has_l4(p, type, prereq)) {
		return DROP_NO_L4;
	}
	l4 = p->data + p->l4_off;
	switch (prereq) {
	case FIELD_PRE_IPV4:
		change(p, type, p->data + p->l3_off + (field == FIELD_IPV4_SRC ? 12 : 16), value,
			mask, 4, COVER_IP | COVER_PSEUDO);
		return EDIT_OK;
	case FIELD_PRE_IPV6:
		return set_ipv6(p, field, value, mask);
	case FIELD_PRE_IP:
		return field == FIELD_IP_PROTO ? set_ip_proto(p, type, value[0])
					       : set_ip_byte(p, type, f, value, mask);
	case FIELD_PRE_ARP:
		return set_arp(p, field, value, mask);
	case FIELD_PRE_TCP:
	case FIELD_PRE_UDP:
	case FIELD_PRE_SCTP:
	case FIELD_PRE_L4: {
		bool later;

		l4 += f->offset == offsetof(struct flow_key, l4_src) ? 0 : 2;
		if (ip_protocol(p, type, &later) == IPPROTO_SCTP) {
			return set_sctp_port(p, type, l4, value, mask);
		}
		change(p, type, l4, value, mask, 2, COVER_L4);
		return EDIT_OK;
	}
	case FIELD_PRE_ICMPV4:
	case FIELD_PRE_ICMPV6:
	case FIELD_PRE_ND:
	case FIELD_PRE_ND_SOL:
	case FIELD_PRE_ND_ADV:
		return set_icmp(p, type, field, value, mask);
	default:
		return set_word(p, f, value, mask);
	}
}

void
packet_complete_csum(const struct packet *p, uint8_t *data, uint32_t len)
{
	uint32_t start = p->csum_start, at = start + p->csum_offset;
	uint64_t sum = 0;
	uint16_t csum;

	if (!(p->flags & PACKET_CSUM_PARTIAL) || len < at + 2) {
		return;
	}
	/* The bytes that are not in @data are summed where they are. */
	sum = sum_bytes(data + start, len - start);
	for (uint32_t i = len; i < p->len;) {
		uint8_t chunk[256];
		uint32_t n = WEFT_MIN(p->len - i, (uint32_t)sizeof chunk);
		const uint8_t *more = rte_pktmbuf_read(packet_mbuf(p), i, n, chunk);

		for (uint32_t j = 0; more && j < n; j++) {
			sum += (i + j - start) & 1 ? more[j] : (uint32_t)more[j] << 8;
		}
		i += n;
	}
	/* An odd end of @data was padded as if it were the last byte: it was its high byte all the same. */
	csum = (uint16_t)~fold(sum);
	put_be16(data + at, csum ? csum : 0xffff);
}
