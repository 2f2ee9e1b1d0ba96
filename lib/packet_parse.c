/* SPDX-License-Identifier: Apache-2.0
 *
 * Parser.
 *
 * Place: rx > parse > cache, in the workers. Also after actions that change what the headers are
 *        (recirculation), and, by packet_key.h, wherever else a packet's key is wanted.
 * Why:   one pass with explicit bounds; the common cases (untagged IPv4 TCP or UDP) take the
 *        straight path. Block 0 is written in whole, other blocks only when the packet has them.
 */
#include "lib/packet_parse.h"

#include <netinet/in.h>
#include <string.h>

#include "lib/compiler.h"

#define ETH_LEN 14u
#define TAG_LEN 4u
#define TYPE_IPV4 0x0800u
#define TYPE_ARP 0x0806u
#define TYPE_RARP 0x8035u
#define TYPE_IPV6 0x86ddu
#define TYPE_VLAN 0x8100u
#define TYPE_QINQ 0x88a8u
#define TYPE_MPLS 0x8847u
#define TYPE_MPLS_MULTICAST 0x8848u
#define TYPE_PBB 0x88e7u
#define TYPE_MIN 0x0600u /* smaller: a length of IEEE 802.2 */
#define MAX_EXTENSIONS 16u
#define PLAIN_LEN 42u /* Ethernet, IPv4 without options, UDP */

/* A packet's tunnel fields are copied to the key as they stand. */
_Static_assert(
	offsetof(struct flow_key, zero2) - offsetof(struct flow_key, tun_src) ==
			offsetof(struct packet_tunnel, id) &&
		offsetof(struct flow_key, tun_flags) - offsetof(struct flow_key, tun_src) ==
			offsetof(struct packet_tunnel, flags) &&
		offsetof(struct flow_key, tun_erspan_idx) - offsetof(struct flow_key, tun_src) ==
			offsetof(struct packet_tunnel, erspan_idx),
	"block 2");
_Static_assert(
	sizeof(struct packet_tunnel) - offsetof(struct packet_tunnel, opts) == FLOW_BLOCK_SIZE,
	"block 5");

struct cursor {
	struct packet *p;
	struct flow_key *key;
	const uint8_t *data;
	uint32_t len; /* contiguous bytes */
	uint32_t at;
};

static bool parse_l2(struct cursor *c);
static void parse_l3(struct cursor *c, enum parse_depth depth);
static void parse_ipv4(struct cursor *c, enum parse_depth depth);
static void parse_ipv6(struct cursor *c, enum parse_depth depth);
static void parse_l4(struct cursor *c, uint32_t end);

/* Makes a block present: zeroes it. */
static inline void
open_block(struct cursor *c, unsigned block)
{
	if (!(c->p->key_blocks & FLOW_BLOCK(block))) {
		memset(c->key->bytes + block * FLOW_BLOCK_SIZE, 0, FLOW_BLOCK_SIZE);
		c->p->key_blocks |= (uint8_t)FLOW_BLOCK(block);
	}
}

static inline bool
has(const struct cursor *c, uint32_t n)
{
	return c->len - c->at >= n;
}

static inline uint16_t
u16_at(const struct cursor *c, uint32_t off)
{
	return get_be16(c->data + off);
}

static inline bool
is_tag(uint16_t type)
{
	return type == TYPE_VLAN || type == TYPE_QINQ;
}

/* What the packet brings from the tunnel it came by. */
static inline void
take_tunnel(struct packet *p, struct flow_key *key)
{
	const struct packet_tunnel *t = p->tunnel;

	key->tun_id_lo = t->id;
	p->key_blocks |= FLOW_BLOCK(2);
	memcpy(key->tun_src, t, offsetof(struct packet_tunnel, id));
	memset(key->zero2, 0, sizeof key->zero2);
	if (WEFT_UNLIKELY(t->has_opts)) {
		p->key_blocks |= FLOW_BLOCK(5);
		memcpy(key->tun_opts, t->opts, FLOW_BLOCK_SIZE);
	}
}

/* What stands in no header. */
static inline void
begin_key(struct packet *p, struct flow_key *key, enum parse_depth depth)
{
	memset(key->bytes, 0, FLOW_BLOCK_SIZE);
	p->key_blocks = FLOW_BLOCK(0);
	p->l4_off = p->l4_payload_off = 0;
	p->n_tags = 0;
	p->depth = (uint8_t)depth;
	key->in_port = be32_from(p->in_port);
	key->recirc_id = be32_from(p->recirc_id);
	key->hash = be32_from(p->recirc_id ? p->hash : 0);
	if (p->tunnel) {
		take_tunnel(p, key);
	}
}

/* Whether behind the Ethernet header, at @ip, an IPv4 header without options stands, which is whole and of no
 * fragment, and behind it a whole UDP header or, if need be, anything. */
static inline bool
is_plain_ipv4(const struct packet *p, const uint8_t *ip, bool l4)
{
	uint16_t total = get_be16(ip + 2);

	return ip[0] == 0x45 && !(get_be16(ip + 6) & 0x3fff) && total <= p->len - ETH_LEN &&
	       (l4 ? total >= PLAIN_LEN - ETH_LEN && ip[9] == IPPROTO_UDP : total >= 20);
}

/* The straight path: no tag, and IPv4 and UDP if they matter. False: nothing is done yet. */
static inline bool
parse_plain(struct packet *p, struct flow_key *key, enum parse_depth depth)
{
	const uint8_t *frame = p->data, *ip = frame + ETH_LEN;
	uint16_t type;

	if (WEFT_UNLIKELY(p->head_len < PLAIN_LEN)) {
		return false;
	}
	type = get_be16(frame + 12);
	if (depth == PARSE_L2 ? type < TYPE_MIN || is_tag(type)
			      : type != TYPE_IPV4 || !is_plain_ipv4(p, ip, depth == PARSE_L4)) {
		return false;
	}
	begin_key(p, key, depth);
	memcpy(key->eth_dst, frame, 12);
	key->eth_type = be16_from(type);
	p->l3_off = ETH_LEN;
	if (depth == PARSE_L2) {
		return true;
	}
	memcpy(&key->ip_src, ip + 12, 8);
	key->ip_proto = ip[9];
	key->ip_tos = ip[1];
	key->ip_ttl = ip[8];
	p->l4_off = ETH_LEN + 20;
	if (depth == PARSE_L4) {
		memcpy(&key->l4_src, ip + 20, 4);
		p->l4_payload_off = PLAIN_LEN;
	}
	return true;
}

static bool __attribute__((noinline))
parse_any(struct packet *p, struct flow_key *key, enum parse_depth depth)
{
	struct cursor c = {.p = p, .key = key, .data = p->data, .len = p->head_len};

	begin_key(p, key, depth);
	p->l3_off = 0;
	if (!parse_l2(&c)) {
		return false;
	}
	if (depth >= PARSE_L3) {
		parse_l3(&c, depth);
	}
	return true;
}

enum parse_depth
parse_depth_of(const struct flow_mask *mask)
{
	const struct flow_key *m = &mask->bits;
	uint8_t blocks = flow_mask_blocks(mask);

	if (m->l4_src | m->l4_dst | m->tcp_flags | m->nd_reserved) {
		return PARSE_L4;
	}
	/* ND fields of block 1 stand in ICMPv6. */
	if (blocks & FLOW_BLOCK(1)) {
		return PARSE_L4;
	}
	if (m->ip_src | m->ip_dst | m->ip_proto | m->ip_tos | m->ip_ttl | m->ip_frag) {
		return m->ip_frag & FLOW_BAD_L4 ? PARSE_L4 : PARSE_L3;
	}
	return m->mpls_lse[0] | m->mpls_lse[1] | m->mpls_lse[2] | m->pbb ? PARSE_L3 : PARSE_L2;
}

bool
packet_parse(struct packet *p, struct flow_key *key, enum parse_depth depth)
{
	return WEFT_LIKELY(parse_plain(p, key, depth)) || parse_any(p, key, depth);
}

static bool
parse_l2(struct cursor *c)
{
	struct flow_key *key = c->key;
	uint16_t type;

	if (WEFT_UNLIKELY(!has(c, ETH_LEN))) {
		return false;
	}
	memcpy(key->eth_dst, c->data, 12);
	type = u16_at(c, 12);
	c->at = 12;
	if (WEFT_UNLIKELY(is_tag(type))) {
		if (!has(c, TAG_LEN + 2)) {
			return false;
		}
		key->vlan_tpid = be16_from(type);
		key->vlan_tci = be16_from(u16_at(c, c->at + 2) | FLOW_VLAN_PRESENT);
		c->at += TAG_LEN;
		c->p->n_tags = 1;
		type = u16_at(c, c->at);
		if (is_tag(type)) {
			if (!has(c, TAG_LEN + 2)) {
				return false;
			}
			open_block(c, 3);
			key->inner_tpid = be16_from(type);
			key->inner_tci = be16_from(u16_at(c, c->at + 2) | FLOW_VLAN_PRESENT);
			c->at += TAG_LEN;
			c->p->n_tags = 2;
			type = u16_at(c, c->at);
		}
	}
	c->at += 2;
	if (WEFT_UNLIKELY(type < TYPE_MIN)) {
		/* IEEE 802.2: SNAP with an Ethernet type inside, or nothing we know. */
		static const uint8_t snap[6] = {0xaa, 0xaa, 0x03, 0, 0, 0};

		type = 0;
		if (has(c, 8) && !memcmp(c->data + c->at, snap, sizeof snap) &&
			u16_at(c, c->at + 6) >= TYPE_MIN) {
			type = u16_at(c, c->at + 6);
			c->at += 8;
		}
	}
	key->eth_type = be16_from(type);
	c->p->l3_off = (uint16_t)c->at;
	return true;
}

static void
parse_arp(struct cursor *c)
{
	struct flow_key *key = c->key;
	const uint8_t *arp = c->data + c->at;

	if (!has(c, 28) || u16_at(c, c->at) != 1 || u16_at(c, c->at + 2) != TYPE_IPV4 ||
		arp[4] != 6 || arp[5] != 4) {
		key->ip_frag = FLOW_BAD_L3;
		return;
	}
	open_block(c, 1);
	memcpy(&key->arp_op, arp + 6, 2);
	memcpy(key->arp_sha, arp + 8, 6);
	memcpy(&key->arp_spa, arp + 14, 4);
	memcpy(key->arp_tha, arp + 18, 6);
	memcpy(&key->arp_tpa, arp + 24, 4);
}

static void
parse_mpls(struct cursor *c)
{
	open_block(c, 3);
	for (unsigned i = 0; i < FLOW_N_MPLS; i++) {
		if (!has(c, 4)) {
			c->key->ip_frag = FLOW_BAD_L3;
			return;
		}
		memcpy(&c->key->mpls_lse[i], c->data + c->at, 4);
		c->at += 4;
		if (c->data[c->at - 2] & 1) {
			return; /* bottom of stack */
		}
	}
}

static void
parse_pbb(struct cursor *c)
{
	/* IEEE 802.1ah I-TAG: PCP, DEI, UCA, reserved, I-SID. */
	if (!has(c, 4)) {
		c->key->ip_frag = FLOW_BAD_L3;
		return;
	}
	open_block(c, 3);
	c->key->pbb = be32_from((get_be32(c->data + c->at) & FLOW_PBB_ISID_MASK) |
				(c->data[c->at] & 0x08 ? FLOW_PBB_UCA : 0));
}

static void
parse_l3(struct cursor *c, enum parse_depth depth)
{
	switch (be16_to(c->key->eth_type)) {
	case TYPE_IPV4:
		parse_ipv4(c, depth);
		break;
	case TYPE_IPV6:
		parse_ipv6(c, depth);
		break;
	case TYPE_ARP:
	case TYPE_RARP:
		parse_arp(c);
		break;
	case TYPE_MPLS:
	case TYPE_MPLS_MULTICAST:
		parse_mpls(c);
		break;
	case TYPE_PBB:
		parse_pbb(c);
		break;
	default:
		break;
	}
}

static void
parse_ipv4(struct cursor *c, enum parse_depth depth)
{
	const uint8_t *ip = c->data + c->at;
	struct flow_key *key = c->key;
	uint32_t header, total;
	uint16_t frag;

	if (WEFT_UNLIKELY(!has(c, 20) || ip[0] >> 4 != 4)) {
		key->ip_frag = FLOW_BAD_L3;
		return;
	}
	header = (ip[0] & 15u) * 4;
	total = get_be16(ip + 2);
	if (WEFT_UNLIKELY(header < 20 || !has(c, header) || total < header ||
			  total > c->p->len - c->at)) {
		key->ip_frag = FLOW_BAD_L3;
		return;
	}
	key->ip_tos = ip[1];
	key->ip_ttl = ip[8];
	key->ip_proto = ip[9];
	memcpy(&key->ip_src, ip + 12, 8);
	c->p->l4_off = (uint16_t)(c->at + header);
	frag = get_be16(ip + 6);
	if (WEFT_UNLIKELY(frag & 0x3fff)) {
		key->ip_frag = FLOW_FRAG_ANY | (frag & 0x1fff ? FLOW_FRAG_LATER : 0);
		if (frag & 0x1fff) {
			return;
		}
	}
	if (depth >= PARSE_L4) {
		uint32_t end = c->at + total;

		c->at += header;
		parse_l4(c, end);
	}
}

/* Extension headers: which there are and in what order (OpenFlow 1.3.5 A.2.3.8, RFC 8200 s.4.1). */
struct extensions {
	uint16_t seen;
	uint16_t last_rank;
	uint16_t n_dest;
};

static void
note_extension(struct extensions *e, uint16_t bit, uint16_t rank)
{
	/* A destination header may come twice: before the routing header and last. */
	e->n_dest += bit == FLOW_EXTHDR_DEST;
	if (e->seen & bit && (bit != FLOW_EXTHDR_DEST || e->n_dest > 2)) {
		e->seen |= FLOW_EXTHDR_UNREP;
	}
	if (rank < e->last_rank) {
		e->seen |= FLOW_EXTHDR_UNSEQ;
	}
	e->seen |= bit;
	e->last_rank = rank;
}

/* Walks to the upper-layer header. Returns its protocol; -1: bad. */
static int
walk_extensions(struct cursor *c, uint8_t next, struct extensions *e)
{
	for (unsigned n = 0; n < MAX_EXTENSIONS; n++) {
		const uint8_t *h = c->data + c->at;
		uint32_t len;

		switch (next) {
		case IPPROTO_HOPOPTS:
			note_extension(e, FLOW_EXTHDR_HOP, n ? 0 : 1);
			if (n) {
				e->seen |= FLOW_EXTHDR_UNSEQ;
			}
			break;
		case IPPROTO_ROUTING:
			note_extension(e, FLOW_EXTHDR_ROUTER, 3);
			break;
		case IPPROTO_DSTOPTS:
			note_extension(e, FLOW_EXTHDR_DEST, e->last_rank < 3 ? 2 : 7);
			break;
		case IPPROTO_FRAGMENT:
			note_extension(e, FLOW_EXTHDR_FRAG, 4);
			break;
		case IPPROTO_AH:
			note_extension(e, FLOW_EXTHDR_AUTH, 5);
			break;
		case IPPROTO_ESP:
			note_extension(e, FLOW_EXTHDR_ESP, 6);
			return next;
		case IPPROTO_NONE:
			e->seen |= FLOW_EXTHDR_NONEXT;
			return next;
		default:
			return next;
		}
		if (!has(c, 8)) {
			return -1;
		}
		if (next == IPPROTO_FRAGMENT) {
			uint16_t off = get_be16(h + 2);

			len = 8;
			/* With neither offset nor more to come it is no fragment (RFC 6946). */
			c->key->ip_frag |= (off & 0xfff9 ? FLOW_FRAG_ANY : 0) |
					   (off & 0xfff8 ? FLOW_FRAG_LATER : 0);
		} else {
			len = next == IPPROTO_AH ? (h[1] + 2u) * 4 : (h[1] + 1u) * 8;
		}
		if (!has(c, len)) {
			return -1;
		}
		next = h[0];
		c->at += len;
		if (c->key->ip_frag & FLOW_FRAG_LATER) {
			return next;
		}
	}
	return -1;
}

static void
parse_ipv6(struct cursor *c, enum parse_depth depth)
{
	const uint8_t *ip = c->data + c->at;
	struct flow_key *key = c->key;
	struct extensions e = {0};
	uint32_t word, payload, start = c->at;
	int proto;

	if (WEFT_UNLIKELY(!has(c, 40) || ip[0] >> 4 != 6)) {
		key->ip_frag = FLOW_BAD_L3;
		return;
	}
	word = get_be32(ip);
	payload = get_be16(ip + 4);
	if (WEFT_UNLIKELY(payload > c->p->len - c->at - 40)) {
		key->ip_frag = FLOW_BAD_L3;
		return;
	}
	open_block(c, 1);
	key->ip_tos = (uint8_t)(word >> 20);
	key->ip_ttl = ip[7];
	memcpy(key->ipv6_src, ip + 8, 32);
	c->at += 40;
	if (payload) {
		/* What is behind the payload is padding, no header. */
		c->len = WEFT_MIN(c->len, c->at + payload);
	}
	proto = walk_extensions(c, ip[6], &e);
	if (proto < 0) {
		/* Reset to what is sure: the fixed header. */
		key->ip_frag = FLOW_BAD_L3;
		key->flabel_exthdr = be32_from(word & FLOW_FLABEL_MASK);
		return;
	}
	key->ip_proto = (uint8_t)proto;
	key->flabel_exthdr =
		be32_from((word & FLOW_FLABEL_MASK) | (uint32_t)e.seen << FLOW_EXTHDR_SHIFT);
	c->p->l4_off = (uint16_t)c->at;
	if (depth >= PARSE_L4 && !(key->ip_frag & FLOW_FRAG_LATER)) {
		parse_l4(c, payload ? start + 40 + payload : c->p->len);
	}
}

static void
parse_nd(struct cursor *c, uint32_t end)
{
	const uint8_t *nd = c->data + c->at;
	struct flow_key *key = c->key;
	uint32_t at = c->at + 24;
	bool solicitation = nd[0] == 135, found = false;

	if (end < at || c->len < at) {
		key->ip_frag |= FLOW_BAD_L4;
		return;
	}
	memcpy(&key->nd_reserved, nd + 4, 4);
	memcpy(key->nd_target, nd + 8, 16);
	for (unsigned n = 0; n < PARSE_ND_OPTIONS && at + 8 <= end && at + 8 <= c->len; n++) {
		const uint8_t *option = c->data + at;

		if (!option[1]) {
			break; /* RFC 4861 s.4.6: of length 0: ignored from here on */
		}
		if (option[1] == 1 && !key->nd_options_type && (option[0] == 1 || option[0] == 2)) {
			key->nd_options_type = be16_from(option[0]);
		}
		/* Source link-layer address (1) in solicitations, target's (2) in advertisements. */
		if (option[1] == 1 && option[0] == (solicitation ? 1 : 2)) {
			/* Which of two a receiver takes is its own choice. */
			key->ip_frag |= found ? FLOW_BAD_L4 : 0;
			found = true;
			memcpy(solicitation ? key->nd_sll : key->nd_tll, option + 2, 6);
		}
		at += option[1] * 8u;
	}
	if (at != end) {
		key->ip_frag |= FLOW_BAD_L4; /* an option is cut, or was not seen */
	}
}

static void
parse_l4(struct cursor *c, uint32_t end)
{
	struct flow_key *key = c->key;
	const uint8_t *l4 = c->data + c->at;
	uint32_t room = (end < c->len ? end : c->len) - c->at;
	uint32_t header;

	switch (key->ip_proto) {
	case IPPROTO_TCP:
		if (room < 20 || (header = (l4[12] >> 4) * 4u) < 20 || header > room) {
			key->ip_frag |= FLOW_BAD_L4;
			return;
		}
		memcpy(&key->l4_src, l4, 4);
		key->tcp_flags = be16_from(get_be16(l4 + 12) & 0x0fff);
		c->p->l4_payload_off = (uint16_t)(c->at + header);
		break;
	case IPPROTO_UDP:
		if (room < 8) {
			key->ip_frag |= FLOW_BAD_L4;
			return;
		}
		memcpy(&key->l4_src, l4, 4);
		c->p->l4_payload_off = (uint16_t)(c->at + 8);
		break;
	case IPPROTO_SCTP:
		if (room < 12) {
			key->ip_frag |= FLOW_BAD_L4;
			return;
		}
		memcpy(&key->l4_src, l4, 4);
		c->p->l4_payload_off = (uint16_t)(c->at + 12);
		break;
	case IPPROTO_IGMP:
		/* For those who snoop; no match field stands for it. */
		if (key->eth_type == be16_from(TYPE_IPV4) && room >= 8) {
			key->icmp_type = be16_from(l4[0]);
		}
		break;
	case IPPROTO_ICMP:
	case IPPROTO_ICMPV6:
		if ((key->ip_proto == IPPROTO_ICMP) != (key->eth_type == be16_from(TYPE_IPV4))) {
			return;
		}
		if (room < 4) {
			key->ip_frag |= FLOW_BAD_L4;
			return;
		}
		key->icmp_type = be16_from(l4[0]);
		key->icmp_code = be16_from(l4[1]);
		c->p->l4_payload_off = (uint16_t)(c->at + (room < 8 ? room : 8));
		if (key->ip_proto == IPPROTO_ICMPV6 && (l4[0] == 135 || l4[0] == 136) && !l4[1]) {
			parse_nd(c, end);
		}
		break;
	default:
		break;
	}
}
