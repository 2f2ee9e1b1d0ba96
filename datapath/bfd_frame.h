/* SPDX-License-Identifier: Apache-2.0
 *
 * BFD: the frames that carry control packets inside tunnels (RFC 5881 s.4; for VXLAN RFC 8971 s.4).
 */
#pragma once

#include <stdbool.h>
#include <stdint.h>

#include "datapath/bfd.h"

#define BFD_FRAME_LEN (14u + 20u + 8u + BFD_PACKET_LEN)

/* Of those that are sent; Ethernet, IPv4 and UDP. */
struct bfd_frame_ends {
	uint8_t src_mac[6], dst_mac[6];
	uint8_t src_ip[4], dst_ip[4];
	uint16_t src_port;
};

/* Writes BFD_FRAME_LEN bytes around the control packet of BFD_PACKET_LEN. */
void bfd_frame_write(const struct bfd_frame_ends *ends, const uint8_t *packet, uint8_t *frame);

/* Whether an untagged frame, of which the first @len bytes are there, carries a control packet that may be
 * listened to: TTL or hop limit 255 (RFC 5881 s.5), whole, its checksums right. IPv4 or IPv6. */
bool bfd_frame_parse(const uint8_t *frame, uint32_t len, struct bfd_packet *p);
