/* SPDX-License-Identifier: Apache-2.0
 *
 * Packet edits: headers rewritten in place, checksums kept right.
 *
 * Checksums: adjusted by the difference (RFC 1624), never computed anew, so that a wrong one stays
 *            wrong. Where the sum is left to the receiver (PACKET_CSUM_PARTIAL) only the pseudo
 *            header's part, which stands in its place, follows. A UDP checksum of 0 stays 0.
 * Result:    an enum drop_reason, or EDIT_OK. A failed edit changed nothing, but for one below.
 */
#pragma once

#include <stdbool.h>
#include <stdint.h>

#include "lib/byteorder.h"
#include "lib/drop_reason.h"
#include "lib/field.h"
#include "lib/packet.h"

#define EDIT_OK (-1)

/* All need the packet parsed: l3_off, l4_off and n_tags are read and kept up to date. Needs of the
 * frame that it does not meet: no-vlan, no-mpls, no-pbb, no-l3, no-l4; no-headroom. A pop that leaves
 * no whole Ethernet or VLAN header: rx-truncated, the one failure behind which the frame is changed. */

/* The tag becomes the outermost. @tci: as on the wire. */
int packet_push_vlan(struct packet *p, be16_t tpid, be16_t tci);
int packet_pop_vlan(struct packet *p);

/* The label becomes the outermost header, in front of VLAN tags too; its bottom-of-stack bit is set as
 * the packet needs it. */
int packet_push_mpls(struct packet *p, be16_t eth_type, be32_t lse);
/* Removes the outermost label (behind VLAN tags, if there are some). @eth_type: of what stood behind. */
int packet_pop_mpls(struct packet *p, uint16_t eth_type);

/* Puts a backbone header in front, with the frame's own addresses, and the I-SID and priority of the
 * frame's I-TAG or tag (IEEE 802.1ah). */
int packet_push_pbb(struct packet *p, uint16_t eth_type);
/* Removes the backbone header; a B-TAG stays. */
int packet_pop_pbb(struct packet *p);

/* Copies the TTL of the header behind the outermost label (a label, IPv4 or IPv6) to that label (@out),
 * or the other way. */
int packet_copy_ttl(struct packet *p, bool out);

/* Whether a field is none of the packet's bytes, but one of what it has of tunnels. */
bool edit_is_tunnel_field(enum field_id id);

/* Sets the bits of @mask in @field to those of @value (n_bytes of the field each). A tunnel id beyond 32
 * bits: tunnel-id-range. */
int packet_set_field(
	struct packet *p, enum field_id field, const uint8_t *value, const uint8_t *mask);

/* Decrements TTL or hop limit. EDIT_EXPIRED: it would reach 0, and was left. */
#define EDIT_EXPIRED (-2)
int packet_dec_ttl(struct packet *p);
/* Likewise of the outermost label. */
int packet_dec_mpls_ttl(struct packet *p);

/* Completes the checksum of a PACKET_CSUM_PARTIAL packet in a copy of its first bytes: @data holds
 * @len bytes of them; the rest is summed up in the packet. */
void packet_complete_csum(const struct packet *p, uint8_t *data, uint32_t len);
