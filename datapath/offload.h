/* SPDX-License-Identifier: Apache-2.0
 *
 * Offloads in software, for far sides that cannot: checksums completed, TCP and UDP segmented.
 */
#pragma once

#include <stdint.h>

#include "lib/packet.h"

struct rte_mempool;

#define OFFLOAD_MAX_SEGMENTS 128u

/* Completes a PACKET_CSUM_PARTIAL checksum in place. -EINVAL: its place is outside the packet. */
int offload_complete_csum(struct packet *p);

/* Length of the frame; of one that is to be cut: of its longest piece. */
uint32_t offload_piece_len(const struct packet *p);

/* Cuts a PACKET_GSO_* packet into packets of at most gso_size bytes of payload each, with complete
 * checksums, made from @pool. Returns how many stand in @segments; the packet itself stays the
 * caller's. -EINVAL: not what its flags say; -ENOMEM: no buffers (nothing is left);
 * -EMSGSIZE: more than OFFLOAD_MAX_SEGMENTS. */
int offload_segment(const struct packet *p, struct rte_mempool *pool, struct packet **segments);
