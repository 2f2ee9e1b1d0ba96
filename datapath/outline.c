/* SPDX-License-Identifier: Apache-2.0
 *
 * Outlines.
 */
#include "datapath/outline.h"

#include <netinet/in.h>
#include <stddef.h>
#include <string.h>

#include "lib/byteorder.h"
#include "lib/compiler.h"

#define TYPE_IPV4 0x0800u

/* Where fields of block 0 stand in the frame. */
static const struct place {
	uint8_t key, frame, size;
} places[] = {
	{offsetof(struct flow_key, eth_dst), 0, 12},
	{offsetof(struct flow_key, eth_type), 12, 2},
	{offsetof(struct flow_key, ip_src), OUTLINE_L3 + 12, 8},
	{offsetof(struct flow_key, ip_proto), OUTLINE_L3 + 9, 1},
	{offsetof(struct flow_key, ip_tos), OUTLINE_L3 + 1, 1},
	{offsetof(struct flow_key, ip_ttl), OUTLINE_L3 + 8, 1},
	{offsetof(struct flow_key, l4_src), OUTLINE_L4, 4},
};

bool
outline_learn(struct outline *o, const struct flow *f, const struct packet *p)
{
	const uint8_t *words = (const void *)f->mask->words, *ip = p->data + OUTLINE_L3;
	uint8_t bits[OUTLINE_SIZE] = {0}, value[OUTLINE_SIZE];

	o->live = 0;
	/* All that is in no place is zero in such a packet: the flow, which it has matched, wants it so. */
	if (f->mask->blocks != FLOW_BLOCK(0) || p->key_blocks != FLOW_BLOCK(0) ||
		p->depth < PARSE_L4 || p->recirc_id || p->tunnel || p->n_tags ||
		p->head_len < OUTLINE_SIZE || p->l3_off != OUTLINE_L3 ||
		get_be16(p->data + 12) != TYPE_IPV4 || p->l4_off != OUTLINE_L4 ||
		p->l4_payload_off != OUTLINE_L4 + 8 || ip[9] != IPPROTO_UDP ||
		get_be16(ip + 6) & 0x3fff) {
		return false;
	}
	for (unsigned i = 0; i < WEFT_ARRAY_SIZE(places); i++) {
		memcpy(bits + places[i].frame, words + places[i].key, places[i].size);
	}
	/* What makes the places what they are. */
	memset(bits + 12, 0xff, 3);
	bits[OUTLINE_L3 + 6] = 0x3f;
	bits[OUTLINE_L3 + 7] = bits[OUTLINE_L3 + 9] = 0xff;
	for (unsigned i = 0; i < OUTLINE_SIZE; i++) {
		value[i] = p->data[i] & bits[i];
	}
	memcpy(o->bits, bits, sizeof bits);
	memcpy(o->value, value, sizeof value);
	o->slot = f->slot;
	o->live = atomic_load_explicit(&f->live, memory_order_relaxed);
	return o->live;
}
