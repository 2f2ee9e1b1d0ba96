/* SPDX-License-Identifier: Apache-2.0
 *
 * Packet edits that add and remove whole headers, and those that move TTLs between them.
 *
 * Where: a new header becomes the outermost one, right behind the Ethernet addresses (OpenFlow 1.3.5
 *        s.5.12). A label or PBB tag hides what stood there, VLAN tags included: the offsets end at it.
 */
#include <rte_mbuf.h>
#include <string.h>

#include "datapath/edit.h"
#include "datapath/edit_internal.h"
#include "lib/flow_key.h"
#include "lib/packet_parse.h"
#include "vhost/packet_mbuf.h"

#define ETH_ADDRS_LEN 12u
#define ETH_LEN 14u
#define TAG_LEN 4u
#define LSE_LEN 4u
#define ITAG_LEN 4u
#define PBB_LEN (ETH_LEN + ITAG_LEN)
#define ITAG_PCP 0xe0000000u

/* Room for @n bytes more in front, whose contents are undefined; NULL: there is none. */
static uint8_t *
grow(struct packet *p, uint16_t n)
{
	uint8_t *front = p->len + n > PACKET_MAX_LEN
				 ? NULL
				 : (uint8_t *)rte_pktmbuf_prepend(packet_mbuf(p), n);

	if (front) {
		p->data = front;
		p->len += n;
		p->head_len += n;
		p->headroom = (uint16_t)(p->headroom - n);
		p->csum_start = (uint16_t)(p->csum_start + n);
	}
	return front;
}

static void
shrink(struct packet *p, uint16_t n)
{
	p->data = (uint8_t *)rte_pktmbuf_adj(packet_mbuf(p), n);
	p->len -= n;
	p->head_len -= n;
	p->headroom = (uint16_t)(p->headroom + n);
	p->csum_start = (uint16_t)(p->csum_start - n);
}

/* Follows a move of the front by @by bytes. */
static void
shift_offsets(struct packet *p, int by)
{
	p->l3_off = (uint16_t)(p->l3_off + by);
	p->l4_off = p->l4_off ? (uint16_t)(p->l4_off + by) : 0;
	p->l4_payload_off = p->l4_payload_off ? (uint16_t)(p->l4_payload_off + by) : 0;
}

/* A header that hides all behind it now stands in place of the Ethernet type. */
static void
hide(struct packet *p)
{
	p->l3_off = ETH_LEN;
	p->l4_off = p->l4_payload_off = 0;
	p->n_tags = 0;
}

int
edit_parse(struct packet *p)
{
	uint8_t blocks = p->key_blocks, depth = p->depth;
	struct flow_key scratch;
	bool whole = packet_parse(p, &scratch, PARSE_L4);

	p->key_blocks = blocks;
	p->depth = depth;
	/* As on the way in: a tag that is cut off makes it no frame. */
	return whole ? EDIT_OK : (int)DROP_RX_TRUNCATED;
}

/* --- VLAN tags ------------------------------------------------------------------------------------------ */

int
packet_push_vlan(struct packet *p, be16_t tpid, be16_t tci)
{
	uint8_t *front = grow(p, TAG_LEN);

	if (!front) {
		return DROP_NO_HEADROOM;
	}
	memmove(front, front + TAG_LEN, ETH_ADDRS_LEN);
	memcpy(front + ETH_ADDRS_LEN, &tpid, 2);
	memcpy(front + ETH_LEN, &tci, 2);
	p->n_tags++;
	shift_offsets(p, TAG_LEN);
	return EDIT_OK;
}

int
packet_pop_vlan(struct packet *p)
{
	if (!p->n_tags) {
		return DROP_NO_VLAN;
	}
	memmove(p->data + TAG_LEN, p->data, ETH_ADDRS_LEN);
	shrink(p, TAG_LEN);
	p->n_tags--;
	shift_offsets(p, -(int)TAG_LEN);
	/* Behind the two tags that were parsed a third may have stood in the place of L3. */
	if (p->n_tags == 1) {
		uint16_t type = packet_l3_type(p);

		if (type == TYPE_VLAN || type == TYPE_QINQ) {
			return edit_parse(p);
		}
	}
	return EDIT_OK;
}

/* --- MPLS ------------------------------------------------------------------------------------------------- */

int
packet_push_mpls(struct packet *p, be16_t eth_type, be32_t lse)
{
	bool is_bottom = !is_mpls(get_be16(p->data + ETH_ADDRS_LEN));
	uint8_t *front = grow(p, LSE_LEN);

	if (!front) {
		return DROP_NO_HEADROOM;
	}
	memmove(front, front + LSE_LEN, ETH_ADDRS_LEN);
	memcpy(front + ETH_ADDRS_LEN, &eth_type, 2);
	put_be32(front + ETH_LEN, (be32_to(lse) & ~MPLS_BOS) | (is_bottom ? MPLS_BOS : 0));
	hide(p);
	return EDIT_OK;
}

/* The outermost label, or NULL. */
static uint8_t *
outer_label(const struct packet *p)
{
	return is_mpls(packet_l3_type(p)) && p->l3_off + LSE_LEN <= p->head_len
		       ? p->data + p->l3_off
		       : NULL;
}

int
packet_pop_mpls(struct packet *p, uint16_t eth_type)
{
	if (!outer_label(p)) {
		return DROP_NO_MPLS;
	}
	put_be16(p->data + p->l3_off - 2, eth_type);
	memmove(p->data + LSE_LEN, p->data, p->l3_off);
	shrink(p, LSE_LEN);
	return edit_parse(p);
}

/* --- PBB -------------------------------------------------------------------------------------------------- */

int
packet_push_pbb(struct packet *p, uint16_t eth_type)
{
	uint32_t itag = 0;
	uint8_t *front;

	/* OpenFlow 1.3.5 s.5.12.1: I-SID from the I-TAG that is there, priority from the outer tag. */
	if (packet_l3_type(p) == TYPE_PBB && p->l3_off + ITAG_LEN <= p->head_len) {
		itag = get_be32(p->data + p->l3_off) & (ITAG_PCP | FLOW_PBB_ISID_MASK);
	}
	if (p->n_tags) {
		itag = (itag & FLOW_PBB_ISID_MASK) |
		       (((uint32_t)get_be16(p->data + ETH_LEN) << 16) & ITAG_PCP);
	}
	front = grow(p, PBB_LEN);
	if (!front) {
		return DROP_NO_HEADROOM;
	}
	memcpy(front, front + PBB_LEN, ETH_ADDRS_LEN);
	put_be16(front + ETH_ADDRS_LEN, eth_type);
	put_be32(front + ETH_LEN, itag);
	hide(p);
	return EDIT_OK;
}

int
packet_pop_pbb(struct packet *p)
{
	uint8_t addrs[ETH_ADDRS_LEN], *customer = p->data + p->l3_off + ITAG_LEN;
	uint32_t tags = p->l3_off - ETH_LEN; /* the B-TAG, which is another action's to remove */

	if (packet_l3_type(p) != TYPE_PBB || p->l3_off + ITAG_LEN + ETH_LEN > p->head_len) {
		return DROP_NO_PBB;
	}
	memcpy(addrs, customer, ETH_ADDRS_LEN);
	memmove(customer + ETH_ADDRS_LEN - tags, p->data + ETH_ADDRS_LEN, tags);
	shrink(p, PBB_LEN);
	memcpy(p->data, addrs, ETH_ADDRS_LEN);
	return edit_parse(p);
}

/* --- TTL -------------------------------------------------------------------------------------------------- */

/* The IP header at @at; NULL: it is none, or not all there. */
static uint8_t *
ip_header(const struct packet *p, uint32_t at)
{
	uint8_t *ip = p->data + at;

	if (at + 20 <= p->head_len && ip[0] >> 4 == 4 && (ip[0] & 15u) >= 5) {
		return ip;
	}
	return at + 40 <= p->head_len && ip[0] >> 4 == 6 ? ip : NULL;
}

/* TTL or hop limit. */
static uint8_t
ip_ttl(const uint8_t *ip)
{
	return ip[0] >> 4 == 4 ? ip[8] : ip[7];
}

static void
set_ip_ttl(uint8_t *ip, uint8_t ttl)
{
	if (ip[0] >> 4 == 4) {
		uint8_t was[2] = {ip[8], ip[9]};

		ip[8] = ttl;
		edit_adjust_csum(ip + 10, was, ip + 8, 2, false, false);
	} else {
		ip[7] = ttl;
	}
}

int
packet_copy_ttl(struct packet *p, bool out)
{
	uint8_t *label = outer_label(p), *ip;

	if (!label) {
		return DROP_NO_MPLS;
	}
	if (!(get_be32(label) & MPLS_BOS)) {
		uint8_t *next = label + LSE_LEN;

		if (p->l3_off + 2 * LSE_LEN > p->head_len) {
			return DROP_NO_MPLS;
		}
		*(out ? &label[3] : &next[3]) = *(out ? &next[3] : &label[3]);
		return EDIT_OK;
	}
	ip = ip_header(p, p->l3_off + LSE_LEN);
	if (!ip) {
		return DROP_NO_L3;
	}
	if (out) {
		label[3] = ip_ttl(ip);
	} else {
		set_ip_ttl(ip, label[3]);
	}
	return EDIT_OK;
}

int
packet_dec_ttl(struct packet *p)
{
	uint16_t type = packet_l3_type(p);
	uint8_t *ip = NULL;

	if (p->l4_off && (type == TYPE_IPV4 || type == TYPE_IPV6)) {
		ip = ip_header(p, p->l3_off);
	}
	if (!ip) {
		return DROP_NO_L3;
	}
	if (ip_ttl(ip) <= 1) {
		return EDIT_EXPIRED;
	}
	set_ip_ttl(ip, (uint8_t)(ip_ttl(ip) - 1));
	return EDIT_OK;
}

int
packet_dec_mpls_ttl(struct packet *p)
{
	uint8_t *label = outer_label(p);

	if (!label) {
		return DROP_NO_MPLS;
	}
	if (label[3] <= 1) {
		return EDIT_EXPIRED;
	}
	label[3]--;
	return EDIT_OK;
}
