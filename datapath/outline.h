/* SPDX-License-Identifier: Apache-2.0
 *
 * Outline: the outer headers of a flow whose packets leave their tunnel, as bytes under a mask.
 *
 * Why:      one remote's packets differ in lengths, checksums and the UDP source port, at most. Who has the bytes that
 *           the flow looks at in common with the packet before need neither be parsed nor looked up: that was 25 cycles
 *           of decapsulation.
 * What:     untagged IPv4 without options or fragments, UDP. A packet that differs in any masked byte goes the
 *           ordinary way, which is always right.
 * Threads:  each worker has its own for each port.
 * Lifetime: it holds for one generation of the flow: key and mask of a flow never change within it.
 */
#pragma once

#include <stdbool.h>
#include <stdint.h>

#include "datapath/flow_table.h"
#include "lib/packet.h"

#define OUTLINE_SIZE 48u
#define OUTLINE_L3 14u
#define OUTLINE_L4 34u

struct outline {
	uint32_t slot, live; /* of the flow, and its generation; 0: there is none */
	uint64_t bits[OUTLINE_SIZE / 8];
	uint64_t value[OUTLINE_SIZE / 8];
};

/* Makes the outline of @f from a packet that it matched, parsed as deep as L4. False: the packet is of no such kind,
 * or @f looks at what no outline tells; there is no outline then. */
bool outline_learn(struct outline *o, const struct flow *f, const struct packet *p);

/* Whether a received packet, neither parsed nor of a tunnel, has the outline: then it is marked as parsed, though
 * no key was made. */
static inline bool
outline_fits(const struct outline *o, struct packet *p)
{
	const uint8_t *frame = p->data;
	const flow_lanes *bits = (const void *)o->bits, *value = (const void *)o->value;
	flow_lanes differ = {0};
	uint32_t total;

	if (WEFT_UNLIKELY(p->head_len < OUTLINE_SIZE)) {
		return false;
	}
	for (unsigned i = 0; i < OUTLINE_SIZE / sizeof differ; i++) {
		flow_lanes bytes;

		memcpy(&bytes, frame + i * sizeof bytes, sizeof bytes);
		differ |= (bytes & bits[i]) ^ value[i];
	}
	total = (uint32_t)frame[OUTLINE_L3 + 2] << 8 | frame[OUTLINE_L3 + 3];
	if (WEFT_UNLIKELY(differ[0] | differ[1]) || total < OUTLINE_L4 + 8 - OUTLINE_L3 ||
		total > p->len - OUTLINE_L3) {
		return false;
	}
	p->l3_off = OUTLINE_L3;
	p->l4_off = OUTLINE_L4;
	p->l4_payload_off = OUTLINE_L4 + 8;
	p->n_tags = 0;
	p->key_blocks = FLOW_BLOCK(0);
	p->depth = PARSE_L4;
	return true;
}
