/* SPDX-License-Identifier: Apache-2.0
 *
 * Parser: from a frame's headers to a flow key.
 *
 * Depth: as deep as asked. Only a frame without a complete Ethernet or VLAN header is refused. A bad
 *        L3 or L4 header ends the parse: deeper fields are zero, a bad bit stands in ip_frag.
 * Where: reads packet->data up to head_len; sets the offsets, n_tags and key_blocks of the packet
 *        and every byte of the key's present blocks. in_port, recirc_id,
 *        and, when that is not 0, hash come from the packet; so do its tunnel fields.
 */
#pragma once

#include <stdbool.h>
#include <stdint.h>

#include "lib/flow_key.h"
#include "lib/packet.h"

#define PARSE_ND_OPTIONS 16u /* options of neighbour discovery that are looked at */

enum parse_depth {
	PARSE_L2, /* Ethernet and both tags */
	PARSE_L3, /* with IP, ARP, MPLS, PBB headers */
	PARSE_L4, /* all */
};

/* How deep a mask looks. */
enum parse_depth parse_depth_of(const struct flow_mask *mask);

/* False: truncated Ethernet or VLAN header. */
bool packet_parse(struct packet *p, struct flow_key *key, enum parse_depth depth);
