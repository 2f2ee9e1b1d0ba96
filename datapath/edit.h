/* SPDX-License-Identifier: Apache-2.0
 *
 * Packet edits: headers rewritten in place, checksums kept right.
 *
 * Checksums: adjusted by the difference (RFC 1624), never computed anew, so that a wrong one stays
 *            wrong. Where the sum is left to the receiver (PACKET_CSUM_PARTIAL) only the pseudo
 *            header's part, which stands in its place, follows. A UDP checksum of 0 stays 0.
 * Result:    an enum drop_reason, or EDIT_OK. A failed edit changed nothing.
 */
#pragma once

#include <stdint.h>

#include "lib/byteorder.h"
#include "lib/drop_reason.h"
#include "lib/field.h"
#include "lib/packet.h"

#define EDIT_OK (-1)

/* Needs the packet parsed: l3_off, l4_off and n_tags are read and kept up to date. */
int packet_push_vlan(struct packet *p, be16_t tpid, be16_t tci);
int packet_pop_vlan(struct packet *p);

/* Sets the bits of @mask in @field to those of @value (n_bytes of the field each). */
int packet_set_field(
	struct packet *p, enum field_id field, const uint8_t *value, const uint8_t *mask);

/* Decrements TTL or hop limit. EDIT_EXPIRED: it would reach 0, and was left. */
#define EDIT_EXPIRED (-2)
int packet_dec_ttl(struct packet *p);

/* Completes the checksum of a PACKET_CSUM_PARTIAL packet in a copy of its first bytes: @data holds
 * @len bytes of them; the rest is summed up in the packet. */
void packet_complete_csum(const struct packet *p, uint8_t *data, uint32_t len);
