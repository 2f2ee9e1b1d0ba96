/* SPDX-License-Identifier: Apache-2.0
 *
 * Packet parser of the slow path.
 *
 * Why: the datapath's parser works on bursts of packets in shared memory and stops where the live
 *      masks end. A packet-out needs one packet's whole key once; 250 plain lines are cheaper than a
 *      dependency between the rooms.
 */
#include "lib/packet_key.h"

#include <stdbool.h>
#include <string.h>

#include "lib/byteorder.h"
#include "lib/field.h"
#include "lib/flow_key.h"
#include "lib/strbuf.h"

#define ETH_LEN 14
#define TAG_LEN 4
#define MAX_TAGS 2

struct cursor {
	const uint8_t *at;
	size_t len;
};

static void parse_l3(struct cursor *c, struct flow_key *key);
static void parse_arp(struct cursor *c, struct flow_key *key);
static void parse_mpls(struct cursor *c, struct flow_key *key);
static void parse_ipv4(struct cursor *c, struct flow_key *key);
static void parse_ipv6(struct cursor *c, struct flow_key *key);
static bool skip_extensions(struct cursor *c, struct flow_key *key, uint8_t *next);
static void parse_l4(struct cursor *c, struct flow_key *key, bool is_v6);
static void parse_nd(struct cursor *c, struct flow_key *key);

static const uint8_t *
take(struct cursor *c, size_t n)
{
	const uint8_t *p = c->at;

	if (c->len < n) {
		return NULL;
	}
	c->at += n;
	c->len -= n;
	return p;
}

static uint16_t
peek16(const struct cursor *c)
{
	return c->len >= 2 ? get_be16(c->at) : 0;
}

void
packet_key_parse(const uint8_t *data, size_t len, struct flow_key *key)
{
	struct cursor c = {data, len};
	const uint8_t *p = take(&c, ETH_LEN - 2);
	uint16_t type;

	memset(key, 0, sizeof(*key));
	if (!p) {
		return;
	}
	memcpy(key->eth_dst, p, 6);
	memcpy(key->eth_src, p + 6, 6);
	for (unsigned i = 0; i < MAX_TAGS && (peek16(&c) == 0x8100 || peek16(&c) == 0x88a8); i++) {
		p = take(&c, TAG_LEN);
		if (!p) {
			return;
		}
		*(i ? &key->inner_tpid : &key->vlan_tpid) = be16_from(get_be16(p));
		*(i ? &key->inner_tci : &key->vlan_tci) =
			be16_from(get_be16(p + 2) | FLOW_VLAN_PRESENT);
	}
	p = take(&c, 2);
	if (!p) {
		return;
	}
	type = get_be16(p);
	if (type < 0x600) {
		/* 802.3: a length; with a SNAP header of organisation 0 there is a type behind it. */
		static const uint8_t snap[6] = {0xaa, 0xaa, 3, 0, 0, 0};

		if (c.len < 8 || memcmp(c.at, snap, sizeof(snap)) || get_be16(c.at + 6) < 0x600) {
			return;
		}
		type = get_be16(c.at + 6);
		take(&c, 8);
	}
	key->eth_type = be16_from(type);
	parse_l3(&c, key);
}

static void
parse_l3(struct cursor *c, struct flow_key *key)
{
	switch (be16_to(key->eth_type)) {
	case 0x0800:
		parse_ipv4(c, key);
		break;
	case 0x86dd:
		parse_ipv6(c, key);
		break;
	case 0x0806:
	case 0x8035:
		parse_arp(c, key);
		break;
	case 0x8847:
	case 0x8848:
		parse_mpls(c, key);
		break;
	case 0x88e7:
		if (c->len >= 4) {
			uint32_t tag = get_be32(c->at);

			/* I-TAG: PCP, DEI, UCA, reserved, I-SID. */
			key->pbb = be32_from((tag & FLOW_PBB_ISID_MASK) |
					     (tag & 0x08000000u ? FLOW_PBB_UCA : 0));
		}
		break;
	}
}

static void
parse_arp(struct cursor *c, struct flow_key *key)
{
	const uint8_t *p = take(c, 28);

	if (!p || get_be32(p) != 0x00010800u || get_be16(p + 4) != 0x0604u) {
		key->ip_frag = FLOW_BAD_L3;
		return;
	}
	memcpy(&key->arp_op, p + 6, 2);
	memcpy(key->arp_sha, p + 8, 6);
	memcpy(&key->arp_spa, p + 14, 4);
	memcpy(key->arp_tha, p + 18, 6);
	memcpy(&key->arp_tpa, p + 24, 4);
}

static void
parse_mpls(struct cursor *c, struct flow_key *key)
{
	for (unsigned i = 0; i < FLOW_N_MPLS; i++) {
		const uint8_t *p = take(c, 4);

		if (!p) {
			key->ip_frag = i ? key->ip_frag : FLOW_BAD_L3;
			return;
		}
		memcpy(&key->mpls_lse[i], p, 4);
		if (p[2] & 1) {
			return;
		}
	}
}

static void
parse_ipv4(struct cursor *c, struct flow_key *key)
{
	const uint8_t *p = c->at;
	size_t head, total;
	uint16_t offset;

	if (c->len < 20 || p[0] >> 4 != 4 || (head = (p[0] & 15u) * 4u) < 20 || head > c->len ||
		(total = get_be16(p + 2)) < head || total > c->len) {
		key->ip_frag = FLOW_BAD_L3;
		return;
	}
	key->ip_tos = p[1];
	key->ip_ttl = p[8];
	key->ip_proto = p[9];
	memcpy(&key->ip_src, p + 12, 4);
	memcpy(&key->ip_dst, p + 16, 4);
	offset = get_be16(p + 6);
	if (offset & 0x3fff) {
		key->ip_frag = FLOW_FRAG_ANY | (offset & 0x1fff ? FLOW_FRAG_LATER : 0);
	}
	c->len = total;
	take(c, head);
	if (!(key->ip_frag & FLOW_FRAG_LATER)) {
		parse_l4(c, key, false);
	}
}

static void
parse_ipv6(struct cursor *c, struct flow_key *key)
{
	const uint8_t *p = take(c, 40);
	size_t payload;
	uint8_t next;

	if (!p || p[0] >> 4 != 6 || (payload = get_be16(p + 4)) > c->len) {
		key->ip_frag = FLOW_BAD_L3;
		return;
	}
	key->ip_tos = (uint8_t)(get_be16(p) >> 4);
	key->flabel_exthdr = be32_from(get_be32(p) & FLOW_FLABEL_MASK);
	key->ip_ttl = p[7];
	memcpy(key->ipv6_src, p + 8, 16);
	memcpy(key->ipv6_dst, p + 24, 16);
	if (payload) {
		c->len = payload; /* 0: a jumbogram, or what was left to be segmented */
	}
	next = p[6];
	if (!skip_extensions(c, key, &next)) {
		key->ip_frag |= FLOW_BAD_L4;
		key->ip_proto = next;
		return;
	}
	key->ip_proto = next;
	if (!(key->ip_frag & FLOW_FRAG_LATER)) {
		parse_l4(c, key, true);
	}
}

/* OpenFlow 1.3.5 s.A.2.3.8: which headers are there, whether in the order of RFC 2460 s.4.1, whether
 * one came more often than it should. False: cut off. */
static bool
skip_extensions(struct cursor *c, struct flow_key *key, uint8_t *next)
{
	static const struct {
		uint8_t proto;
		uint8_t place; /* in the recommended order; destination options may stand twice */
		uint16_t bit;
	} kinds[] = {
		{0, 1, FLOW_EXTHDR_HOP},
		{60, 2, FLOW_EXTHDR_DEST},
		{43, 3, FLOW_EXTHDR_ROUTER},
		{44, 4, FLOW_EXTHDR_FRAG},
		{51, 5, FLOW_EXTHDR_AUTH},
		{50, 6, FLOW_EXTHDR_ESP},
		{59, 9, FLOW_EXTHDR_NONEXT},
	};
	uint16_t seen = 0;
	unsigned place = 0, n_dest = 0;

	for (unsigned rounds = 0; rounds < 16; rounds++) {
		const uint8_t *p = c->at;
		size_t size, kind = 0;

		while (kind < sizeof(kinds) / sizeof(kinds[0]) && kinds[kind].proto != *next) {
			kind++;
		}
		if (kind == sizeof(kinds) / sizeof(kinds[0])) {
			break;
		}
		n_dest += *next == 60;
		if (seen & kinds[kind].bit && (*next != 60 || n_dest > 2)) {
			seen |= FLOW_EXTHDR_UNREP;
		}
		if (kinds[kind].place < place && *next != 60) {
			seen |= FLOW_EXTHDR_UNSEQ;
		}
		place = kinds[kind].place > place ? kinds[kind].place : place;
		seen |= kinds[kind].bit;
		key->flabel_exthdr = be32_from((be32_to(key->flabel_exthdr) & FLOW_FLABEL_MASK) |
					       (uint32_t)seen << FLOW_EXTHDR_SHIFT);
		if (*next == 59 || *next == 50) {
			break;
		}
		if (c->len < 8) {
			return false;
		}
		size = *next == 44 ? 8 : *next == 51 ? (p[1] + 2u) * 4u : (p[1] + 1u) * 8u;
		if (*next == 44) {
			uint16_t offset = get_be16(p + 2);

			key->ip_frag = offset & 0xfff9 ? FLOW_FRAG_ANY : 0;
			key->ip_frag |= offset & 0xfff8 ? FLOW_FRAG_LATER : 0;
		}
		*next = p[0];
		if (!take(c, size)) {
			return false;
		}
		if (key->ip_frag & FLOW_FRAG_LATER) {
			break;
		}
	}
	return true;
}

static void
parse_l4(struct cursor *c, struct flow_key *key, bool is_v6)
{
	size_t need = 0;

	switch (key->ip_proto) {
	case 6:
		need = 20;
		break;
	case 17:
		need = 8;
		break;
	case 132:
		need = 12;
		break;
	case 1:
		need = is_v6 ? 0 : 8;
		break;
	case 58:
		need = is_v6 ? 8 : 0;
		break;
	}
	if (!need) {
		return;
	}
	if (c->len < need) {
		key->ip_frag |= FLOW_BAD_L4;
		return;
	}
	if (key->ip_proto == 1 || key->ip_proto == 58) {
		key->icmp_type = be16_from(c->at[0]);
		key->icmp_code = be16_from(c->at[1]);
		if (is_v6 && (c->at[0] == 135 || c->at[0] == 136) && !c->at[1]) {
			parse_nd(c, key);
		}
		return;
	}
	memcpy(&key->l4_src, c->at, 2);
	memcpy(&key->l4_dst, c->at + 2, 2);
	if (key->ip_proto == 6) {
		key->tcp_flags = be16_from(get_be16(c->at + 12) & 0xfff);
	}
}

static void
parse_nd(struct cursor *c, struct flow_key *key)
{
	bool is_solicitation = c->at[0] == 135;
	const uint8_t *p = take(c, 24);

	if (!p) {
		return;
	}
	memcpy(key->nd_target, p + 8, 16);
	while (c->len >= 8) {
		p = c->at;
		if (!p[1] || !take(c, p[1] * 8u)) {
			return;
		}
		if (p[1] == 1 && p[0] == 1 && is_solicitation) {
			memcpy(key->nd_sll, p + 2, 6);
		} else if (p[1] == 1 && p[0] == 2 && !is_solicitation) {
			memcpy(key->nd_tll, p + 2, 6);
		}
	}
}

void
packet_key_format(const struct flow_key *key, struct strbuf *out)
{
	static const union field_value none;
	struct flow_mask mask = {0};

	for (unsigned id = 0; id < FIELD_XREG0; id++) {
		const struct field *f = field_get((enum field_id)id);
		union field_value value;

		field_load(f, key, &value);
		if (field_prereq_holds((enum field_prereq)f->prereq, key) &&
			(memcmp(&value, &none, sizeof value) || id == FIELD_ICMPV4_TYPE ||
				id == FIELD_ICMPV6_TYPE)) {
			field_mask_exact(f, &mask);
		}
	}
	flow_text_format_match(key, &mask, NULL, out);
}
