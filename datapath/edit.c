/* SPDX-License-Identifier: Apache-2.0
 *
 * Packet edits: fields.
 */
#include "datapath/edit.h"

#include <netinet/in.h>
#include <string.h>

#include "datapath/edit_internal.h"
#include "lib/compiler.h"
#include "lib/flow_key.h"
#include "lib/packet_parse.h"
#include "vhost/packet_mbuf.h"

#define ND_SOLICITATION 135
#define ND_ADVERTISEMENT 136

struct ip_view
edit_ip_view(const struct packet *p, uint16_t type)
{
	const uint8_t *ip = p->data + p->l3_off;
	struct ip_view v = {.end = p->len, .is_ipv4 = type == TYPE_IPV4};
	uint32_t at = p->l3_off + 40u;

	if (type == TYPE_IPV4) {
		v.end = WEFT_MIN(p->l3_off + (uint32_t)get_be16(ip + 2), p->len);
		v.fragment = get_be16(ip + 6) & 0x3fff;
		v.later = get_be16(ip + 6) & 0x1fff;
		v.proto_at = p->l3_off + 9u;
		v.proto = ip[9];
		return v;
	}
	if (get_be16(ip + 4)) { /* else a jumbogram, or one that is still to be cut */
		v.end = WEFT_MIN(at + get_be16(ip + 4), p->len);
	}
	v.proto_at = p->l3_off + 6u;
	v.proto = ip[6];
	while (at < p->l4_off && at + 8 <= p->head_len) {
		const uint8_t *h = p->data + at;

		v.proto_at = at;
		if (v.proto == IPPROTO_FRAGMENT) {
			v.fragment |= get_be16(h + 2) & 0xfff9;
			v.later |= (get_be16(h + 2) & 0xfff8) != 0;
			at += 8;
		} else {
			v.routed |= v.proto == IPPROTO_ROUTING && h[3];
			at += v.proto == IPPROTO_AH ? (h[1] + 2u) * 4 : (h[1] + 1u) * 8;
		}
		v.proto = h[0];
	}
	return v;
}

/* Where the L4 checksum stands, or NULL: no header, none used, or a later fragment. */
static uint8_t *
l4_csum(const struct packet *p, const struct ip_view *v, bool pseudo)
{
	uint8_t *l4 = p->data + p->l4_off;
	uint32_t end = WEFT_MIN(v->end, p->head_len), room;

	if (v->later || !p->l4_off || p->l4_off > end) {
		return NULL;
	}
	room = end - p->l4_off;
	switch (v->proto) {
	case IPPROTO_TCP:
		return room >= 18 ? l4 + 16 : NULL;
	case IPPROTO_UDP:
		return room >= 8 && (l4[6] || l4[7]) ? l4 + 6 : NULL;
	case IPPROTO_ICMPV6:
		return room >= 4 && !v->is_ipv4 ? l4 + 2 : NULL;
	case IPPROTO_ICMP:
		return room >= 4 && !pseudo && v->is_ipv4 ? l4 + 2 : NULL;
	default:
		return NULL;
	}
}

/* Whether the sum at @csum is the one that is left to the receiver; it may be an inner header's. */
static bool
is_partial(const struct packet *p, const uint8_t *csum)
{
	return p->flags & PACKET_CSUM_PARTIAL && csum == p->data + p->csum_start + p->csum_offset;
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
	uint8_t was[16], *csum;
	struct ip_view v;
	bool partial, no_zero;

	memcpy(was, at, n);
	for (size_t i = 0; i < n; i++) {
		at[i] = (uint8_t)((at[i] & ~mask[i]) | (value[i] & mask[i]));
	}
	if (covers & COVER_IP && type == TYPE_IPV4) {
		edit_adjust_csum(p->data + p->l3_off + 10, was, at, n, false, false);
	}
	if (!(covers & (COVER_PSEUDO | COVER_L4))) {
		return;
	}
	v = edit_ip_view(p, type);
	csum = l4_csum(p, &v, covers & COVER_PSEUDO);
	if (!csum) {
		return;
	}
	partial = is_partial(p, csum);
	/* What the receiver sums up needs no help, but for the pseudo header. */
	if (!partial || covers & COVER_PSEUDO) {
		/* Of ICMP alone all that is summed up can be 0, and then the checksum is ~0. */
		no_zero = v.proto == IPPROTO_UDP ||
			  (v.proto == IPPROTO_ICMP && !get_be16(p->data + p->l4_off));
		edit_adjust_csum(csum, was, at, n, partial, no_zero);
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

/* What stands behind the type is as it was, and something else now. */
static int
set_eth_type(struct packet *p, const uint8_t *value)
{
	if (packet_l3_type(p) < 0x600) {
		return DROP_NO_L3; /* a length stands there */
	}
	memcpy(p->data + p->l3_off - 2, value, 2);
	return edit_parse(p);
}

/* The checksum of the L4 header that was there goes on covering the pseudo header. */
static int
set_ip_proto(struct packet *p, uint16_t type, uint8_t proto)
{
	struct ip_view v = edit_ip_view(p, type);
	uint8_t was[2] = {0, v.proto}, now[2] = {0, proto}, mask[2] = {0, 0xff};
	uint8_t *csum = l4_csum(p, &v, true);

	if (type == TYPE_IPV4) {
		change(p, type, p->data + p->l3_off + 8, now, mask, 2, COVER_IP);
	} else {
		p->data[v.proto_at] = proto;
	}
	if (csum) {
		edit_adjust_csum(csum, was, now, 2, is_partial(p, csum), v.proto == IPPROTO_UDP);
	}
	return edit_parse(p);
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

/* An ND option with a link-layer address, or NULL. @kind 1, 2: of several the last, as in the key; 0: the
 * first of either kind. */
static uint8_t *
nd_option(const struct packet *p, uint32_t end, uint8_t kind)
{
	uint32_t at = p->l4_off + 24u;
	uint8_t *found = NULL;

	for (unsigned n = 0; n < PARSE_ND_OPTIONS && at + 8 <= end && p->data[at + 1]; n++) {
		uint8_t *option = p->data + at;
		bool is_address = option[1] == 1 && (option[0] == 1 || option[0] == 2);

		if (is_address && !kind) {
			return option;
		}
		if (is_address && option[0] == kind) {
			found = option;
		}
		at += option[1] * 8u;
	}
	return found;
}

static int
set_nd(struct packet *p, uint16_t type, enum field_id field, const uint8_t *value,
	const uint8_t *mask)
{
	uint8_t *l4 = p->data + p->l4_off, *at;
	uint8_t kind_value[2] = {value[1], 0}, kind_mask[2] = {mask[1], 0};
	uint32_t end = WEFT_MIN(edit_ip_view(p, type).end, p->head_len);

	if (end < p->l4_off + 24u || l4[1] ||
		!((l4[0] == ND_SOLICITATION && field != FIELD_ND_TLL) ||
			(l4[0] == ND_ADVERTISEMENT && field != FIELD_ND_SLL))) {
		return DROP_NO_L4;
	}
	switch (field) {
	case FIELD_ND_TARGET:
		change(p, type, l4 + 8, value, mask, 16, COVER_L4);
		break;
	case FIELD_ND_RESERVED:
		change(p, type, l4 + 4, value, mask, 4, COVER_L4);
		break;
	case FIELD_ND_OPTIONS_TYPE:
		at = nd_option(p, end, 0);
		if (at) {
			change(p, type, at, kind_value, kind_mask, 2, COVER_L4);
		}
		break;
	default:
		at = nd_option(p, end, field == FIELD_ND_SLL ? 1 : 2);
		if (at) {
			change(p, type, at + 2, value, mask, 6, COVER_L4);
		}
		break;
	}
	return EDIT_OK;
}

static int
set_icmp(struct packet *p, uint16_t type, enum field_id field, const uint8_t *value,
	const uint8_t *mask)
{
	bool is_code = field == FIELD_ICMPV4_CODE || field == FIELD_ICMPV6_CODE;
	uint8_t v[2] = {0}, m[2] = {0};

	/* The field keeps its byte in the low one of two. */
	v[is_code] = value[1];
	m[is_code] = mask[1];
	change(p, type, p->data + p->l4_off, v, m, 2, COVER_L4);
	return EDIT_OK;
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
	case FIELD_IPV6_DST:
		/* Under way by a routing header the pseudo header has the last address (RFC 8200 s.8.1). */
		change(p, TYPE_IPV6, ip + 24, value, mask, 16,
			edit_ip_view(p, TYPE_IPV6).routed ? COVER_NONE : COVER_PSEUDO);
		break;
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
	const uint8_t *arp = p->data + p->l3_off;

	switch (type) {
	case TYPE_IPV4:
		return p->l4_off && room >= 20;
	case TYPE_IPV6:
		return p->l4_off && room >= 40;
	case TYPE_ARP:
	case TYPE_RARP:
		/* Of IPv4 addresses on Ethernet (RFC 826). */
		return room >= 28 && get_be32(arp) == 0x00010800 && get_be16(arp + 4) == 0x0604;
	case TYPE_MPLS:
	case TYPE_MPLS_MULTICAST:
	case TYPE_PBB:
		return room >= 4;
	default:
		return false;
	}
}

/* Whether the L4 header is there and whole, which the parser tells by the place of its payload. */
static bool
has_l4(const struct packet *p, uint16_t type, enum field_prereq prereq)
{
	struct ip_view v = edit_ip_view(p, type);

	if (v.later || !p->l4_payload_off) {
		return false;
	}
	switch (prereq) {
	case FIELD_PRE_TCP:
		return v.proto == IPPROTO_TCP;
	case FIELD_PRE_UDP:
		return v.proto == IPPROTO_UDP;
	case FIELD_PRE_SCTP:
		return v.proto == IPPROTO_SCTP;
	case FIELD_PRE_L4:
		return v.proto == IPPROTO_TCP || v.proto == IPPROTO_UDP || v.proto == IPPROTO_SCTP;
	case FIELD_PRE_ICMPV4:
		return v.proto == IPPROTO_ICMP;
	default:
		return v.proto == IPPROTO_ICMPV6;
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

/* SCTP's ports stand under a CRC32c (RFC 9260 s.6.8). It is linear: the difference that the new bits make
 * is added, so that a wrong one stays wrong here too. It depends on how much follows up to the end of all
 * fragments: in a first fragment alone it cannot be kept right. */
static int
set_sctp_port(struct packet *p, uint16_t type, const struct ip_view *v, uint8_t *at,
	const uint8_t *value, const uint8_t *mask)
{
	uint8_t *csum = p->data + p->l4_off + 8, was[2];

	if (v->fragment) {
		return DROP_NO_L4;
	}
	memcpy(was, at, 2);
	change(p, type, at, value, mask, 2, COVER_NONE);
	if (!is_partial(p, csum)) {
		uint32_t behind = v->end - (uint32_t)(at + 2 - p->data);

		edit_adjust_crc(csum, was, at, 2, behind);
	}
	return EDIT_OK;
}

bool
edit_is_tunnel_field(enum field_id id)
{
	const struct field *f = field_get(id);

	return f->block == 2 || f->block == 5 || id == FIELD_TUN_ID;
}

/* Sets the bits of @mask in @n bytes. */
static inline void
merge(uint8_t *at, const uint8_t *value, const uint8_t *mask, unsigned n)
{
	unsigned i = 0;

	for (; i + 4 <= n; i += 4) {
		uint32_t a, v, m;

		memcpy(&a, at + i, 4);
		memcpy(&v, value + i, 4);
		memcpy(&m, mask + i, 4);
		a = (a & ~m) | (v & m);
		memcpy(at + i, &a, 4);
	}
	for (; i < n; i++) {
		at[i] = (uint8_t)((at[i] & ~mask[i]) | (value[i] & mask[i]));
	}
}

/* What the packet is to have of a tunnel; no byte of it changes. */
static int
set_tunnel(struct packet *p, const struct field *f, const uint8_t *value, const uint8_t *mask)
{
	struct packet_tunnel *t = packet_tunnel_open(p);
	uint8_t n = f->n_bytes, *at;

	if (f->block == 2) {
		at = (uint8_t *)t + (f->offset - offsetof(struct flow_key, tun_src));
	} else if (f->block == 5) {
		if (!t->has_opts) {
			memset(t->opts, 0, FLOW_BLOCK_SIZE);
			t->has_opts = true;
		}
		at = t->opts + (f->offset - offsetof(struct flow_key, tun_opts));
	} else {
		/* No tunnel carries the upper half of an id. */
		if (get_be32(value)) {
			return DROP_TUNNEL_ID_RANGE;
		}
		at = (uint8_t *)&t->id;
		value += 4;
		mask += 4;
		n = 4;
	}
	merge(at, value, mask, n);
	return EDIT_OK;
}

int
packet_set_field(struct packet *p, enum field_id field, const uint8_t *value, const uint8_t *mask)
{
	const struct field *f = field_get(field);
	enum field_prereq prereq = (enum field_prereq)f->prereq;
	uint16_t type;
	uint8_t *l4;

	if (edit_is_tunnel_field(field)) {
		return set_tunnel(p, f, value, mask);
	}

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
		struct ip_view v = edit_ip_view(p, type);

		l4 += f->offset == offsetof(struct flow_key, l4_src) ? 0 : 2;
		if (v.proto == IPPROTO_SCTP) {
			return set_sctp_port(p, type, &v, l4, value, mask);
		}
		change(p, type, l4, value, mask, 2, COVER_L4);
		return EDIT_OK;
	}
	case FIELD_PRE_ND:
	case FIELD_PRE_ND_SOL:
	case FIELD_PRE_ND_ADV:
		return set_nd(p, type, field, value, mask);
	case FIELD_PRE_ICMPV4:
	case FIELD_PRE_ICMPV6:
		return set_icmp(p, type, field, value, mask);
	default:
		return set_word(p, f, value, mask);
	}
}
