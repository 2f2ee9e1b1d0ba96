/* SPDX-License-Identifier: Apache-2.0
 *
 * Room: datapath. Packet parser: any frame is parsed without reading beyond its headers, and a shallow
 * parse sees what a deep one does.
 */
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include "lib/packet_parse.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t len);

static struct packet
packet_of(uint8_t *frame, size_t len)
{
	return (struct packet){
		.data = frame,
		.len = (uint32_t)len,
		.head_len = (uint32_t)(len < PACKET_HEAD_MIN ? len : PACKET_HEAD_MIN),
		.in_port = 7,
	};
}

int
LLVMFuzzerTestOneInput(const uint8_t *data, size_t len)
{
	/* A copy of the exact size of the headers, so that the sanitizer sees a byte too many. */
	size_t head = len < PACKET_HEAD_MIN ? len : PACKET_HEAD_MIN;
	uint8_t *frame = malloc(head ? head : 1);
	struct flow_key keys[3];
	struct packet deep = {0};

	memcpy(frame, data, head);
	for (int depth = PARSE_L4; depth >= PARSE_L2; depth--) {
		struct packet p = packet_of(frame, len);
		bool ok = packet_parse(&p, &keys[depth], (enum parse_depth)depth);

		if (depth == PARSE_L4) {
			deep = p;
		}
		if (ok != (deep.l3_off != 0) || p.l3_off > p.head_len || p.l4_off > p.head_len ||
			p.l4_payload_off > p.head_len) {
			abort();
		}
		if (ok && (memcmp(keys[depth].eth_dst, keys[PARSE_L4].eth_dst, 12) ||
				  keys[depth].eth_type != keys[PARSE_L4].eth_type ||
				  keys[depth].vlan_tci != keys[PARSE_L4].vlan_tci)) {
			abort();
		}
	}
	free(frame);
	return 0;
}
