/* SPDX-License-Identifier: Apache-2.0
 *
 * Translation: whether a packet's sources are those that its port lets in (of_allow.h).
 *
 * Masks: an address that is listed needs the bits of its entry. One that is not needs as many leading bits as
 *        tell it from all that are, rounded up to half bytes (bytes for IPv6): so a guest that forges addresses
 *        at random makes a few masks, and no more than 15 flows (255) for each of them and entry.
 */
#include <string.h>

#include "lib/byteorder.h"
#include "ofproto/translate_internal.h"

#define ETH_TYPE_RARP 0x8035

enum {
	MLD_REPORT = 131, /* RFC 2710 */
	MLD_DONE = 132,
	ROUTER_SOLICITATION = 133, /* RFC 4861 */
	NEIGHBOUR_SOLICITATION = 135,
	NEIGHBOUR_ADVERTISEMENT = 136,
	MLD2_REPORT = 143, /* RFC 3810 */
};

static const uint8_t zeros[16];

/* Looks for a value in a list, bits that tell them apart being noted. */
struct search {
	struct xlate *x;
	enum field_id field;
	union field_value value;
	unsigned n_apart; /* leading bits that tell it from what it was compared with */
};

static bool mac_is_listed(
	struct xlate *x, const struct of_allow *allow, enum field_id field, bool or_zero);
static bool address_is_listed(struct search *s, const struct of_allow *allow, const uint8_t mac[6],
	enum of_allow_family family);
static bool ipv4_is_allowed(struct xlate *x, const struct of_allow *allow);
static bool ipv6_is_allowed(struct xlate *x, const struct of_allow *allow);
static bool arp_is_allowed(struct xlate *x, const struct of_allow *allow);
static bool nd_is_allowed(struct xlate *x, const struct of_allow *allow, bool unspecified);

bool
xlate_is_allowed(struct xlate *x, const struct of_allow *allow)
{
	struct flow_mask bad_l3 = {.bits = {.ip_frag = FLOW_BAD_L3}};

	if (!mac_is_listed(x, allow, FIELD_ETH_SRC, false)) {
		return false;
	}
	if (!xlate_holds(x, FIELD_PRE_IP) && !xlate_holds(x, FIELD_PRE_ARP)) {
		return true;
	}
	xlate_read(x, &bad_l3);
	if (x->pkt.key.ip_frag & FLOW_BAD_L3) {
		return false;
	}
	if (xlate_holds(x, FIELD_PRE_IPV4)) {
		return ipv4_is_allowed(x, allow);
	}
	return xlate_holds(x, FIELD_PRE_IPV6) ? ipv6_is_allowed(x, allow)
					      : arp_is_allowed(x, allow);
}

/* --- searching ----------------------------------------------------------------------------------- */

static void
begin(struct search *s, struct xlate *x, enum field_id field)
{
	*s = (struct search){.x = x, .field = field};
	field_load(field_get(field), &x->pkt.key, &s->value);
}

/* Notes that the first @n bits of the field were looked at. */
static void
look_at(struct search *s, unsigned n)
{
	struct flow_mask bits = {0};
	union field_value mask = {{0}};

	for (unsigned i = 0; i < n; i++) {
		mask.b[i / 8] |= (uint8_t)(0x80 >> i % 8);
	}
	field_store(field_get(s->field), &bits.bits, &mask);
	xlate_read(s->x, &bits);
}

/* Whether the field begins with the first @n bits of @prefix. */
static bool
begins_with(struct search *s, const uint8_t *prefix, unsigned n)
{
	unsigned same = 0;

	while (same < n && !((s->value.b[same / 8] ^ prefix[same / 8]) & 0x80 >> same % 8)) {
		same++;
	}
	if (same < n) {
		s->n_apart = WEFT_MAX(s->n_apart, same + 1);
		return false;
	}
	look_at(s, n);
	return true;
}

/* It was nothing that it was compared with. */
static void
end(struct search *s)
{
	unsigned step = field_get(s->field)->n_bytes == 16 ? 8 : 4;

	look_at(s, (s->n_apart + step - 1) / step * step);
}

static bool
mac_is_listed(struct xlate *x, const struct of_allow *allow, enum field_id field, bool or_zero)
{
	struct search s;

	begin(&s, x, field);
	if (or_zero && begins_with(&s, zeros, 48)) {
		return true;
	}
	for (size_t i = 0; i < allow->n; i++) {
		if (begins_with(&s, allow->entries[i].mac, 48)) {
			return true;
		}
	}
	end(&s);
	return false;
}

/* Whether the field is an address that @mac may use. If not: end() is the caller's. */
static bool
address_is_listed(struct search *s, const struct of_allow *allow, const uint8_t mac[6],
	enum of_allow_family family)
{
	for (size_t i = 0; i < allow->n; i++) {
		const struct of_allow_entry *e = &allow->entries[i];

		if (memcmp(e->mac, mac, 6) == 0 &&
			(e->family == OF_ALLOW_ANY ||
				(e->family == family && begins_with(s, e->addr, e->prefix)))) {
			return true;
		}
	}
	return false;
}

/* As address_is_listed(), with the link-local address that is made of the MAC. */
static bool
ipv6_is_listed(struct search *s, const struct of_allow *allow, const uint8_t mac[6])
{
	const uint8_t own[16] = {0xfe, 0x80, 0, 0, 0, 0, 0, 0, mac[0] ^ 0x02, mac[1], mac[2], 0xff,
		0xfe, mac[3], mac[4], mac[5]};

	return address_is_listed(s, allow, mac, OF_ALLOW_IPV6) || begins_with(s, own, 128);
}

/* --- protocols ----------------------------------------------------------------------------------- */

/* From port 68 to port 67 of everybody (RFC 2131 s.4.1). */
static bool
is_dhcp_request(struct xlate *x)
{
	const struct flow_key *key = &x->pkt.key;

	xlate_read_field(x, FIELD_IPV4_DST);
	if (key->ip_dst != UINT32_MAX || !xlate_holds(x, FIELD_PRE_UDP)) {
		return false;
	}
	xlate_read_field(x, FIELD_UDP_SRC);
	xlate_read_field(x, FIELD_UDP_DST);
	return be16_to(key->l4_src) == 68 && be16_to(key->l4_dst) == 67;
}

static bool
ipv4_is_allowed(struct xlate *x, const struct of_allow *allow)
{
	struct search s;

	begin(&s, x, FIELD_IPV4_SRC);
	if (address_is_listed(&s, allow, x->pkt.key.eth_src, OF_ALLOW_IPV4)) {
		return true;
	}
	if (begins_with(&s, zeros, 32)) {
		return is_dhcp_request(x);
	}
	end(&s);
	return false;
}

static bool
ipv6_is_allowed(struct xlate *x, const struct of_allow *allow)
{
	struct search s;
	bool unspecified = false;

	begin(&s, x, FIELD_IPV6_SRC);
	if (!ipv6_is_listed(&s, allow, x->pkt.key.eth_src)) {
		unspecified = begins_with(&s, zeros, 128);
		if (!unspecified) {
			end(&s);
			return false;
		}
	}
	return nd_is_allowed(x, allow, unspecified);
}

/* Of all IPv6 packets; @unspecified: from ::, which only those may be that ask before there is an
 * address. */
static bool
nd_is_allowed(struct xlate *x, const struct of_allow *allow, bool unspecified)
{
	const struct flow_key *key = &x->pkt.key;
	struct flow_mask unread = {.bits = {.ip_frag = FLOW_BAD_L4}};
	struct flow_mask fragment = {.bits = {.ip_frag = FLOW_FRAG_MASK}};
	bool is_advertisement;
	const uint8_t *mac;
	unsigned type;
	struct search s;

	if (!xlate_holds(x, FIELD_PRE_ICMPV6)) {
		return !unspecified;
	}
	xlate_read(x, &unread);
	if (key->ip_frag & FLOW_BAD_L4) {
		return false; /* it may be anything, or have two of an option */
	}
	xlate_read_field(x, FIELD_ICMPV6_TYPE);
	type = be16_to(key->icmp_type);
	is_advertisement = type == NEIGHBOUR_ADVERTISEMENT;
	if ((!is_advertisement && type != NEIGHBOUR_SOLICITATION) ||
		!xlate_holds(x, FIELD_PRE_ND)) {
		return !unspecified || type == MLD_REPORT || type == MLD_DONE ||
		       type == MLD2_REPORT || type == ROUTER_SOLICITATION;
	}
	xlate_read(x, &fragment);
	if (key->ip_frag & FLOW_FRAG_MASK) {
		return false; /* RFC 6980: not to be fragmented, options may be in what follows */
	}
	if (!mac_is_listed(x, allow, is_advertisement ? FIELD_ND_TLL : FIELD_ND_SLL, true)) {
		return false;
	}
	if (is_advertisement == unspecified) {
		return !is_advertisement; /* somebody else's address is asked for */
	}
	/* The target is claimed. */
	mac = is_advertisement && memcmp(key->nd_tll, zeros, 6) ? key->nd_tll : key->eth_src;
	begin(&s, x, FIELD_ND_TARGET);
	if (ipv6_is_listed(&s, allow, mac)) {
		return true;
	}
	end(&s);
	return false;
}

static bool
arp_is_allowed(struct xlate *x, const struct of_allow *allow)
{
	const uint8_t *mac = x->pkt.key.arp_sha;
	struct search s;

	if (!mac_is_listed(x, allow, FIELD_ARP_SHA, false)) {
		return false;
	}
	begin(&s, x, FIELD_ARP_SPA);
	if (address_is_listed(&s, allow, mac, OF_ALLOW_IPV4)) {
		return true;
	}
	if (!begins_with(&s, zeros, 32)) {
		end(&s);
		return false;
	}
	if (be16_to(x->pkt.key.eth_type) == ETH_TYPE_RARP) {
		return true; /* "here I am", of a guest that has moved, or asks for its address */
	}
	/* A probe: is the target's address in use? */
	begin(&s, x, FIELD_ARP_TPA);
	if (address_is_listed(&s, allow, mac, OF_ALLOW_IPV4)) {
		return true;
	}
	end(&s);
	return false;
}
