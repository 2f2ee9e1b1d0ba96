/* SPDX-License-Identifier: Apache-2.0
 *
 * A naive packet.
 */
#include "tests/unit/datapath/naive.h"

#include <assert.h>
#include <string.h>

#include "datapath/edit.h"
#include "lib/compiler.h"
#include "tests/unit/datapath/lab.h"

#define IPV4 0x0800
#define IPV6 0x86dd
#define ARP 0x0806
#define RARP 0x8035
#define PBB 0x88e7
#define TCP 6
#define UDP 17
#define SCTP 132
#define ICMP 1
#define ICMP6 58

/* --- where things are ----------------------------------------------------------------------------------- */

struct view {
	size_t l3, l4, end; /* end: of the IP packet */
	uint16_t type;
	size_t proto_at;
	uint8_t proto;
	bool has_l3;   /* whole, whatever it is */
	bool has_l4;   /* TCP, UDP, SCTP, ICMP or ICMPv6, whole */
	bool fragment; /* and which */
	bool later;
	bool routed;
};

static uint16_t
u16(const struct naive *n, size_t at)
{
	return get_be16(n->bytes + at);
}

static bool
is_tag(uint16_t type)
{
	return type == 0x8100 || type == 0x88a8;
}

static bool
is_label(uint16_t type)
{
	return type == 0x8847 || type == 0x8848;
}

static void
view_l4(const struct naive *n, struct view *v)
{
	size_t end = v->end < n->head ? v->end : n->head, room = end > v->l4 ? end - v->l4 : 0;
	const uint8_t *l4 = n->bytes + v->l4;

	if (v->later || end < v->l4) {
		return;
	}
	switch (v->proto) {
	case TCP:
		v->has_l4 = room >= 20 && l4[12] >> 4 >= 5 && (l4[12] >> 4) * 4u <= room;
		break;
	case UDP:
		v->has_l4 = room >= 8;
		break;
	case SCTP:
		v->has_l4 = room >= 12;
		break;
	case ICMP:
		v->has_l4 = room >= 4 && v->type == IPV4;
		break;
	case ICMP6:
		v->has_l4 = room >= 4 && v->type == IPV6;
		break;
	default:
		break;
	}
}

static void
view_ipv4(const struct naive *n, struct view *v)
{
	const uint8_t *ip = n->bytes + v->l3;
	size_t room = n->len - v->l3, header, total;

	if (n->head < v->l3 + 20 || ip[0] >> 4 != 4) {
		return;
	}
	header = (ip[0] & 15u) * 4;
	total = get_be16(ip + 2);
	if (header < 20 || v->l3 + header > n->head || total < header || total > room) {
		return;
	}
	v->has_l3 = true;
	v->l4 = v->l3 + header;
	v->end = v->l3 + total;
	v->proto_at = v->l3 + 9;
	v->proto = ip[9];
	v->later = get_be16(ip + 6) & 0x1fff;
	v->fragment = v->later || ip[6] & 0x20;
	view_l4(n, v);
}

static void
view_ipv6(const struct naive *n, struct view *v)
{
	const uint8_t *ip = n->bytes + v->l3;
	size_t room = n->len - v->l3, at = v->l3 + 40, headers = 0;

	if (n->head < v->l3 + 40 || ip[0] >> 4 != 6 || get_be16(ip + 4) > room - 40) {
		return;
	}
	v->end = get_be16(ip + 4) ? at + get_be16(ip + 4) : n->len;
	v->proto_at = v->l3 + 6;
	for (;; headers++) {
		uint8_t next = n->bytes[v->proto_at];
		const uint8_t *h = n->bytes + at;
		size_t len;

		if (v->later) {
			break;
		}
		if (headers == 16) {
			return;
		}
		if (next != 0 && next != 43 && next != 44 && next != 51 && next != 60) {
			break;
		}
		if (WEFT_MIN(n->head, v->end) < at + 8) {
			return;
		}
		len = next == 44 ? 8u : next == 51 ? (h[1] + 2u) * 4 : (h[1] + 1u) * 8;
		if (WEFT_MIN(n->head, v->end) < at + len) {
			return;
		}
		if (next == 44) {
			v->later = get_be16(h + 2) >> 3;
			v->fragment |= v->later || h[3] & 1;
		}
		v->routed |= next == 43 && h[3];
		v->proto_at = at;
		at += len;
	}
	v->has_l3 = true;
	v->proto = n->bytes[v->proto_at];
	v->l4 = at;
	view_l4(n, v);
}

static struct view
view(const struct naive *n)
{
	static const uint8_t ether_arp[6] = {0, 1, 8, 0, 6, 4},
			     snap[6] = {0xaa, 0xaa, 0x03, 0, 0, 0};
	struct view v = {.l3 = 14 + 4 * n->n_tags};

	v.type = u16(n, v.l3 - 2);
	if (v.type < 0x600 && n->head >= v.l3 + 8 && !memcmp(n->bytes + v.l3, snap, 6) &&
		u16(n, v.l3 + 6) >= 0x600) {
		v.type = u16(n, v.l3 + 6);
		v.l3 += 8;
	}
	if (v.type == IPV4) {
		view_ipv4(n, &v);
	} else if (v.type == IPV6) {
		view_ipv6(n, &v);
	} else if (v.type == ARP || v.type == RARP) {
		v.has_l3 = n->head >= v.l3 + 28 && !memcmp(n->bytes + v.l3, ether_arp, 6);
	} else if (is_label(v.type) || v.type == PBB) {
		v.has_l3 = n->head >= v.l3 + 4;
	}
	return v;
}

int
naive_parse(struct naive *n)
{
	n->n_tags = 0;
	if (n->len < 14) {
		return DROP_RX_TRUNCATED;
	}
	while (n->n_tags < 2 && is_tag(u16(n, 12 + 4 * n->n_tags))) {
		n->n_tags++;
		if (n->len < 14 + 4 * n->n_tags) {
			return DROP_RX_TRUNCATED;
		}
	}
	return EDIT_OK;
}

/* --- checksums ------------------------------------------------------------------------------------------ */

static uint32_t
sum(const struct naive *n, size_t from, size_t to, size_t hole)
{
	uint32_t s = 0;

	for (size_t at = from; at < to && at < n->len; at++) {
		if (at != hole && at != hole + 1) {
			s += (at - from) & 1 ? n->bytes[at] : (uint32_t)n->bytes[at] << 8;
			s = (s & 0xffff) + (s >> 16);
		}
	}
	return s;
}

static uint16_t
folded(uint32_t s)
{
	while (s >> 16) {
		s = (s & 0xffff) + (s >> 16);
	}
	return (uint16_t)s;
}

/* Where the L4 checksum stands; 0: there is none. */
static size_t
csum_place(const struct naive *n, const struct view *v)
{
	size_t end = v->end < n->head ? v->end : n->head, at;

	if (!v->l4 || v->later) {
		return 0;
	}
	if (v->proto == TCP) {
		return v->l4 + 18 <= end ? v->l4 + 16 : 0;
	}
	if (v->proto == UDP) {
		at = v->l4 + 6;
		return v->l4 + 8 <= end && (n->bytes[at] || n->bytes[at + 1]) ? at : 0;
	}
	if ((v->proto == ICMP && v->type == IPV4) || (v->proto == ICMP6 && v->type == IPV6)) {
		return v->l4 + 4 <= end ? v->l4 + 2 : 0;
	}
	return 0;
}

/* A destination that is not the last one is not in the pseudo header. */
static uint32_t
pseudo_sum(const struct naive *n, const struct view *v, uint8_t proto)
{
	size_t addresses = v->l3 + (v->type == IPV4 ? 12 : 8), n_bytes = v->type == IPV4 ? 8 : 32;

	return sum(n, addresses, addresses + (v->routed ? 16 : n_bytes), SIZE_MAX - 1) + proto +
	       (uint32_t)((v->end - v->l4) & 0xffff) + (uint32_t)((v->end - v->l4) >> 16);
}

/* What should stand at @place, if @proto is what the pseudo header says. */
static uint16_t
right_csum(const struct naive *n, const struct view *v, size_t place, uint8_t proto)
{
	uint32_t s = sum(n, v->l4, v->end, place);
	uint16_t csum;

	if (v->proto != ICMP) {
		s += pseudo_sum(n, v, proto);
	}
	csum = (uint16_t)~folded(s);
	if (!csum && (v->proto == UDP || (v->proto == ICMP && !u16(n, v->l4)))) {
		return 0xffff;
	}
	return csum;
}

static uint16_t
right_ip_csum(const struct naive *n, size_t ip)
{
	return (uint16_t)~folded(sum(n, ip, ip + 20, ip + 10));
}

/* What was @stored where @was would have been right, now that @now would be. */
static uint16_t
as_wrong(struct naive *n, uint16_t stored, uint16_t was, uint16_t now, bool no_zero)
{
	uint16_t csum;

	if (stored == was) {
		return now;
	}
	n->is_loose = true;
	csum = (uint16_t)((0x1fffeu + stored + now - was) % 0xffff);
	return !csum && no_zero ? 0xffff : csum;
}

static uint32_t
right_crc(const struct naive *n, const struct view *v)
{
	uint32_t crc = UINT32_MAX;

	for (size_t at = v->l4; at < v->end; at++) {
		crc ^= at >= v->l4 + 8 && at < v->l4 + 12 ? 0 : n->bytes[at];
		for (unsigned bit = 0; bit < 8; bit++) {
			crc = crc & 1 ? crc >> 1 ^ 0x82f63b78u : crc >> 1;
		}
	}
	return ~crc;
}

static uint32_t
get_le32(const uint8_t *b)
{
	return b[0] | (uint32_t)b[1] << 8 | (uint32_t)b[2] << 16 | (uint32_t)b[3] << 24;
}

static void
put_le32(uint8_t *b, uint32_t v)
{
	for (unsigned i = 0; i < 4; i++) {
		b[i] = (uint8_t)(v >> 8 * i);
	}
}

void
naive_mend(struct naive *n)
{
	struct view v = view(n);
	size_t place;

	if (!v.l4) {
		return;
	}
	if (v.type == IPV4) {
		size_t header = v.l4 - v.l3;

		put_be16(n->bytes + v.l3 + 10,
			(uint16_t)~folded(sum(n, v.l3, v.l3 + header, v.l3 + 10)));
	}
	place = csum_place(n, &v);
	if (place) {
		put_be16(n->bytes + place, right_csum(n, &v, place, v.proto));
	}
	if (v.proto == SCTP && v.has_l4) {
		put_le32(n->bytes + v.l4 + 8, right_crc(n, &v));
	}
}

bool
naive_partial(const struct naive *n, size_t *l4, size_t *csum, uint16_t *pseudo)
{
	struct view v = view(n);

	*csum = csum_place(n, &v);
	if (!*csum || !v.has_l4 || v.fragment || v.routed || (v.proto != TCP && v.proto != UDP) ||
		v.end != n->len) {
		return false;
	}
	*l4 = v.l4;
	*pseudo = folded(pseudo_sum(n, &v, v.proto));
	return true;
}

/* --- fields --------------------------------------------------------------------------------------------- */

/* @width bits of the big-endian number of @n bytes at @at. */
struct place {
	size_t at;
	unsigned n, shift, width;
};

static struct place
place_of(const struct view *v, enum field_id id)
{
	size_t l3 = v->l3, l4 = v->l4;
	bool v4 = v->type == IPV4;

	switch (id) {
	case FIELD_ETH_DST:
		return (struct place){0, 6, 0, 48};
	case FIELD_ETH_SRC:
		return (struct place){6, 6, 0, 48};
	case FIELD_ETH_TYPE:
		return (struct place){l3 - 2, 2, 0, 16};
	case FIELD_VLAN_TCI:
	case FIELD_VLAN_VID:
		return (struct place){14, 2, 0, id == FIELD_VLAN_VID ? 12 : 16};
	case FIELD_VLAN_PCP:
		return (struct place){14, 2, 13, 3};
	case FIELD_IPV4_SRC:
		return (struct place){l3 + 12, 4, 0, 32};
	case FIELD_IPV4_DST:
		return (struct place){l3 + 16, 4, 0, 32};
	case FIELD_IP_PROTO:
		return (struct place){v->proto_at, 1, 0, 8};
	case FIELD_IP_TOS:
		return v4 ? (struct place){l3 + 1, 1, 0, 8} : (struct place){l3, 4, 20, 8};
	case FIELD_IP_DSCP:
		return v4 ? (struct place){l3 + 1, 1, 2, 6} : (struct place){l3, 4, 22, 6};
	case FIELD_IP_ECN:
		return v4 ? (struct place){l3 + 1, 1, 0, 2} : (struct place){l3, 4, 20, 2};
	case FIELD_IP_TTL:
		return (struct place){l3 + (v4 ? 8 : 7), 1, 0, 8};
	case FIELD_ARP_OP:
		return (struct place){l3 + 6, 2, 0, 16};
	case FIELD_ARP_SHA:
		return (struct place){l3 + 8, 6, 0, 48};
	case FIELD_ARP_SPA:
		return (struct place){l3 + 14, 4, 0, 32};
	case FIELD_ARP_THA:
		return (struct place){l3 + 18, 6, 0, 48};
	case FIELD_ARP_TPA:
		return (struct place){l3 + 24, 4, 0, 32};
	case FIELD_TCP_SRC:
	case FIELD_UDP_SRC:
	case FIELD_SCTP_SRC:
	case FIELD_L4_SRC:
		return (struct place){l4, 2, 0, 16};
	case FIELD_TCP_DST:
	case FIELD_UDP_DST:
	case FIELD_SCTP_DST:
	case FIELD_L4_DST:
		return (struct place){l4 + 2, 2, 0, 16};
	case FIELD_ICMPV4_TYPE:
	case FIELD_ICMPV6_TYPE:
		return (struct place){l4, 1, 0, 8};
	case FIELD_ICMPV4_CODE:
	case FIELD_ICMPV6_CODE:
		return (struct place){l4 + 1, 1, 0, 8};
	case FIELD_IPV6_SRC:
		return (struct place){l3 + 8, 16, 0, 128};
	case FIELD_IPV6_DST:
		return (struct place){l3 + 24, 16, 0, 128};
	case FIELD_IPV6_FLABEL:
		return (struct place){l3, 4, 0, 20};
	case FIELD_ND_TARGET:
		return (struct place){l4 + 8, 16, 0, 128};
	case FIELD_ND_RESERVED:
		return (struct place){l4 + 4, 4, 0, 32};
	case FIELD_MPLS_LABEL:
		return (struct place){l3, 4, 12, 20};
	case FIELD_MPLS_TC:
		return (struct place){l3, 4, 9, 3};
	case FIELD_MPLS_BOS:
		return (struct place){l3, 4, 8, 1};
	case FIELD_MPLS_TTL:
		return (struct place){l3, 4, 0, 8};
	case FIELD_PBB_ISID:
		return (struct place){l3, 4, 0, 24};
	case FIELD_PBB_UCA:
		return (struct place){l3, 4, 27, 1};
	default:
		return (struct place){0, 0, 0, 0};
	}
}

static bool
bit(const uint8_t *number, unsigned n_bytes, unsigned i)
{
	return number[n_bytes - 1 - i / 8] >> i % 8 & 1;
}

static void
write_bits(struct naive *n, const struct place *place, const struct field *f, const uint8_t *value,
	const uint8_t *mask)
{
	for (unsigned i = 0; i < place->width; i++) {
		uint8_t *byte = n->bytes + place->at + place->n - 1 - (place->shift + i) / 8;
		unsigned in = (place->shift + i) % 8;

		if (bit(mask, f->n_bytes, i)) {
			*byte = (uint8_t)((*byte & ~(1u << in)) |
					  (uint32_t)bit(value, f->n_bytes, i) << in);
		}
	}
}

/* The option of neighbour discovery; at 0: it is not there. The last one of the first 16 counts; for
 * the kind itself the first with an address. */
static struct place
nd_option(const struct naive *n, const struct view *v, enum field_id id)
{
	uint8_t kind = id == FIELD_ND_SLL ? 1 : 2;
	size_t end = v->end < n->head ? v->end : n->head, at = v->l4 + 24, found = 0;

	for (unsigned i = 0; i < 16 && at + 8 <= end && n->bytes[at + 1]; i++) {
		if (n->bytes[at + 1] != 1) {
			/* nothing of ours */
		} else if (id == FIELD_ND_OPTIONS_TYPE) {
			if (n->bytes[at] == 1 || n->bytes[at] == 2) {
				return (struct place){at, 1, 0, 8};
			}
		} else if (n->bytes[at] == kind) {
			found = at + 2;
		}
		at += n->bytes[at + 1] * 8u;
	}
	return (struct place){found, 6, 0, 48};
}

/* Whether the packet has the field, else why not. */
static int
has_field(const struct naive *n, const struct view *v, enum field_id id)
{
	const uint8_t *l4 = n->bytes + v->l4;
	bool v4 = v->type == IPV4 && v->has_l3, v6 = v->type == IPV6 && v->has_l3, is_nd;
	uint8_t proto = v->has_l4 ? v->proto : 255;

	switch ((enum field_prereq)field_get(id)->prereq) {
	case FIELD_PRE_NONE:
		if (id == FIELD_ETH_TYPE) {
			return v->type >= 0x600 ? EDIT_OK : DROP_NO_L3;
		}
		return field_get(id)->offset != offsetof(struct flow_key, vlan_tci) || n->n_tags
			       ? EDIT_OK
			       : DROP_NO_VLAN;
	case FIELD_PRE_VLAN:
		return n->n_tags ? EDIT_OK : DROP_NO_VLAN;
	case FIELD_PRE_MPLS:
		return is_label(v->type) && v->has_l3 ? EDIT_OK : DROP_NO_MPLS;
	case FIELD_PRE_PBB:
		return v->type == PBB && v->has_l3 ? EDIT_OK : DROP_NO_PBB;
	case FIELD_PRE_ARP:
		return (v->type == ARP || v->type == RARP) && v->has_l3 ? EDIT_OK : DROP_NO_L3;
	case FIELD_PRE_IPV4:
		return v4 ? EDIT_OK : DROP_NO_L3;
	case FIELD_PRE_IPV6:
		return v6 ? EDIT_OK : DROP_NO_L3;
	case FIELD_PRE_IP:
		return v4 || v6 ? EDIT_OK : DROP_NO_L3;
	case FIELD_PRE_TCP:
		return !v4 && !v6 ? DROP_NO_L3 : proto == TCP ? EDIT_OK : DROP_NO_L4;
	case FIELD_PRE_UDP:
		return !v4 && !v6 ? DROP_NO_L3 : proto == UDP ? EDIT_OK : DROP_NO_L4;
	case FIELD_PRE_SCTP:
	case FIELD_PRE_L4:
		if (!v4 && !v6) {
			return DROP_NO_L3;
		}
		if (proto == SCTP) {
			return v->fragment ? DROP_NO_L4 : EDIT_OK;
		}
		return field_get(id)->prereq == FIELD_PRE_L4 && (proto == TCP || proto == UDP)
			       ? EDIT_OK
			       : DROP_NO_L4;
	case FIELD_PRE_ICMPV4:
		return !v4 ? DROP_NO_L3 : proto == ICMP ? EDIT_OK : DROP_NO_L4;
	case FIELD_PRE_ICMPV6:
		return !v6 ? DROP_NO_L3 : proto == ICMP6 ? EDIT_OK : DROP_NO_L4;
	default:
		is_nd = proto == ICMP6 && v->l4 + 24 <= v->end && v->l4 + 24 <= n->head && !l4[1] &&
			((l4[0] == 135 && id != FIELD_ND_TLL) ||
				(l4[0] == 136 && id != FIELD_ND_SLL));
		return !v6 ? DROP_NO_L3 : is_nd ? EDIT_OK : DROP_NO_L4;
	}
}

int
naive_set(struct naive *n, enum field_id id, const uint8_t *value, const uint8_t *mask)
{
	struct view v = view(n);
	struct place place = place_of(&v, id);
	const struct field *f = field_get(id);
	size_t csum = csum_place(n, &v);
	uint16_t was = 0, was_ip = 0;
	uint32_t was_crc = 0, crc = 0;
	uint8_t tci_mask[2], proto = v.proto;
	int result = has_field(n, &v, id);

	if (result != EDIT_OK) {
		return result;
	}
	if (id == FIELD_VLAN_TCI) {
		/* The bit of DEI says in the key that there is a tag. */
		tci_mask[0] = mask[0] & 0xef;
		tci_mask[1] = mask[1];
		mask = tci_mask;
	} else if (id == FIELD_ND_SLL || id == FIELD_ND_TLL || id == FIELD_ND_OPTIONS_TYPE) {
		place = nd_option(n, &v, id);
		if (!place.at) {
			return EDIT_OK;
		}
	}
	if (csum) {
		was = right_csum(n, &v, csum, proto);
	}
	if (v.l4 && v.type == IPV4) {
		was_ip = right_ip_csum(n, v.l3);
	}
	if (place.at == v.l4 || place.at == v.l4 + 2) {
		crc = get_le32(n->bytes + v.l4 + 8);
		was_crc = proto == SCTP && v.l4 ? right_crc(n, &v) : 0;
	}
	write_bits(n, &place, f, value, mask);
	if (id == FIELD_IP_PROTO) {
		proto = value[0];
	}
	if (v.l4 && v.type == IPV4) {
		put_be16(n->bytes + v.l3 + 10,
			as_wrong(n, u16(n, v.l3 + 10), was_ip, right_ip_csum(n, v.l3), false));
	}
	if (csum) {
		uint16_t now = right_csum(n, &v, csum, proto);

		put_be16(n->bytes + csum, as_wrong(n, u16(n, csum), was, now, v.proto == UDP));
	}
	if (was_crc) {
		put_le32(n->bytes + v.l4 + 8, crc ^ was_crc ^ right_crc(n, &v));
	}
	return id == FIELD_ETH_TYPE || id == FIELD_IP_PROTO ? naive_parse(n) : EDIT_OK;
}

/* --- headers -------------------------------------------------------------------------------------------- */

static bool
open_gap(struct naive *n, size_t at, unsigned by)
{
	if (n->headroom < (int)by || n->len + by > PACKET_MAX_LEN) {
		return false;
	}
	memmove(n->bytes + at + by, n->bytes + at, n->len - at);
	n->len += by;
	n->head += by;
	n->headroom -= (int)by;
	return true;
}

static void
close_gap(struct naive *n, size_t at, unsigned by)
{
	memmove(n->bytes + at, n->bytes + at + by, n->len - at - by);
	n->len -= by;
	n->head -= by;
	n->headroom += (int)by;
}

int
naive_push_vlan(struct naive *n, uint16_t tpid, uint16_t tci)
{
	if (!open_gap(n, 12, 4)) {
		return DROP_NO_HEADROOM;
	}
	put_be16(n->bytes + 12, tpid);
	put_be16(n->bytes + 14, tci);
	n->n_tags++;
	return EDIT_OK;
}

int
naive_pop_vlan(struct naive *n)
{
	if (!n->n_tags) {
		return DROP_NO_VLAN;
	}
	close_gap(n, 12, 4);
	n->n_tags--;
	return n->n_tags == 1 && is_tag(u16(n, 16)) ? naive_parse(n) : EDIT_OK;
}

int
naive_push_mpls(struct naive *n, uint16_t type, uint32_t lse)
{
	bool is_bottom = !is_label(u16(n, 12));

	if (!open_gap(n, 14, 4)) {
		return DROP_NO_HEADROOM;
	}
	put_be16(n->bytes + 12, type);
	put_be32(n->bytes + 14, is_bottom ? lse | 0x100 : lse & ~0x100u);
	n->n_tags = 0;
	return EDIT_OK;
}

int
naive_pop_mpls(struct naive *n, uint16_t type)
{
	struct view v = view(n);

	if (!is_label(v.type) || !v.has_l3) {
		return DROP_NO_MPLS;
	}
	put_be16(n->bytes + v.l3 - 2, type);
	close_gap(n, v.l3, 4);
	return naive_parse(n);
}

int
naive_push_pbb(struct naive *n, uint16_t type)
{
	struct view v = view(n);
	uint32_t itag = v.type == PBB && v.has_l3 ? get_be32(n->bytes + v.l3) & 0xe0ffffffu : 0;

	if (n->n_tags) {
		itag = (itag & 0xffffff) | (uint32_t)(n->bytes[14] & 0xe0) << 24;
	}
	if (!open_gap(n, 0, 18)) {
		return DROP_NO_HEADROOM;
	}
	memcpy(n->bytes, n->bytes + 18, 12);
	put_be16(n->bytes + 12, type);
	put_be32(n->bytes + 14, itag);
	n->n_tags = 0;
	return EDIT_OK;
}

int
naive_pop_pbb(struct naive *n)
{
	struct view v = view(n);

	if (v.type != PBB || n->head < v.l3 + 4 + 14) {
		return DROP_NO_PBB;
	}
	memcpy(n->bytes, n->bytes + v.l3 + 4, 12);
	/* The backbone's type and I-TAG go, and the customer's addresses that have moved. */
	close_gap(n, v.l3 - 2, 18);
	return naive_parse(n);
}

/* --- TTLs ----------------------------------------------------------------------------------------------- */

/* Where an IP header at @ip has its TTL; 0: it is none. */
static size_t
ttl_place(const struct naive *n, size_t ip)
{
	if (ip + 20 <= n->head && n->bytes[ip] >> 4 == 4 && (n->bytes[ip] & 15) >= 5) {
		return ip + 8;
	}
	return ip + 40 <= n->head && n->bytes[ip] >> 4 == 6 ? ip + 7 : 0;
}

static void
set_ttl(struct naive *n, size_t ip, uint8_t ttl)
{
	size_t place = ttl_place(n, ip);
	uint16_t was = right_ip_csum(n, ip);

	n->bytes[place] = ttl;
	if (place == ip + 8) {
		put_be16(n->bytes + ip + 10,
			as_wrong(n, u16(n, ip + 10), was, right_ip_csum(n, ip), false));
	}
}

int
naive_copy_ttl(struct naive *n, bool out)
{
	struct view v = view(n);
	size_t ttl = v.l3 + 3, behind;

	if (!is_label(v.type) || !v.has_l3) {
		return DROP_NO_MPLS;
	}
	if (!(n->bytes[v.l3 + 2] & 1)) {
		if (n->head < v.l3 + 8) {
			return DROP_NO_MPLS;
		}
		n->bytes[out ? ttl : ttl + 4] = n->bytes[out ? ttl + 4 : ttl];
		return EDIT_OK;
	}
	behind = ttl_place(n, v.l3 + 4);
	if (!behind) {
		return DROP_NO_L3;
	}
	if (out) {
		n->bytes[ttl] = n->bytes[behind];
	} else {
		set_ttl(n, v.l3 + 4, n->bytes[ttl]);
	}
	return EDIT_OK;
}

int
naive_dec_ttl(struct naive *n)
{
	struct view v = view(n);
	uint8_t ttl;

	if (!v.l4) {
		return DROP_NO_L3;
	}
	ttl = n->bytes[ttl_place(n, v.l3)];
	if (ttl < 2) {
		return EDIT_EXPIRED;
	}
	set_ttl(n, v.l3, (uint8_t)(ttl - 1));
	return EDIT_OK;
}

int
naive_dec_mpls_ttl(struct naive *n)
{
	struct view v = view(n);

	if (!is_label(v.type) || !v.has_l3) {
		return DROP_NO_MPLS;
	}
	if (n->bytes[v.l3 + 3] < 2) {
		return EDIT_EXPIRED;
	}
	n->bytes[v.l3 + 3]--;
	return EDIT_OK;
}
