/* SPDX-License-Identifier: Apache-2.0
 *
 * Packet: what the stages of the fast path hand on.
 *
 * What:     headers, contiguous in the first PACKET_HEAD_MIN bytes (or all of a shorter frame), a
 *           reference to the body, and metadata. The body is opaque to every stage: today it is a
 *           buffer (chain) that the packet stands in, later it may stay in the sender's memory.
 * Place:    filled by vhost/ and the port providers, consumed by them; in between it belongs to
 *           the stage that got it in a batch, on every path.
 * Threads:  one worker at a time; no atomics.
 */
#pragma once

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "lib/byteorder.h"

#define PACKET_HEAD_MIN 256

/* Longest frame: 64 KiB of IP with Ethernet and two tags, and room for an outer header. */
#define PACKET_MAX_LEN 65600

enum packet_flags {
	/* The sum of @csum_start to the end is still to be stored at @csum_start + @csum_offset
	 * (virtio's VIRTIO_NET_HDR_F_NEEDS_CSUM); the pseudo header's sum stands there already. */
	PACKET_CSUM_PARTIAL = 1 << 0,
	/* The sender's device vouches for the L4 checksum. */
	PACKET_CSUM_VALID = 1 << 1,
	/* To be cut in segments of @gso_size bytes of payload. */
	PACKET_GSO_TCP4 = 1 << 2,
	PACKET_GSO_TCP6 = 1 << 3,
	PACKET_GSO_UDP = 1 << 4, /* UDP segmentation (USO) */
	PACKET_GSO_ECN = 1 << 5,
	/* The switch has put it into a tunnel, and not taken it out since. */
	PACKET_ENCAPSULATED = 1 << 6,
	PACKET_GSO_MASK = PACKET_GSO_TCP4 | PACKET_GSO_TCP6 | PACKET_GSO_UDP,
};

/* What a packet's key has of tunnels: of the one it came by, and for the one it will go by. */
struct packet_tunnel {
	/* As block 2 of struct flow_key, without its reserved end. */
	uint8_t src[16];
	uint8_t dst[16];
	be16_t flags;
	uint8_t tos;
	uint8_t ttl;
	be16_t tp_src;
	be16_t tp_dst;
	be16_t gbp_id;
	uint8_t gbp_flags;
	uint8_t gpe_proto;
	uint8_t gpe_flags;
	uint8_t erspan_ver;
	uint8_t erspan_dir;
	uint8_t erspan_hwid;
	be32_t erspan_idx;

	be32_t id;     /* as tun_id_lo */
	bool has_opts; /* else what stands behind is undefined, and counts as zero */
	uint8_t zero[7];
	/* As block 5. */
	uint8_t opts[56];
	be64_t opts_present;
};

/* Offsets of headers from the start of the frame; 0: none (but for the Ethernet header's). */
struct packet {
	uint8_t *data;     /* the frame's first byte; head_len bytes are contiguous */
	void *body;        /* opaque: the buffer, to be released by whoever consumes the packet */
	uint32_t len;      /* of the frame, all segments, without FCS */
	uint32_t head_len; /* at least min(len, PACKET_HEAD_MIN) */
	uint16_t in_port;  /* datapath port */
	uint16_t headroom; /* bytes that may be pushed in front of data */
	uint16_t flags;    /* enum packet_flags */
	uint16_t gso_size;
	uint16_t csum_start;
	uint16_t csum_offset;
	/* Set by the parser. */
	uint16_t l3_off; /* behind Ethernet and VLAN tags (and MPLS) */
	uint16_t l4_off;
	uint16_t l4_payload_off;
	uint8_t n_tags;     /* VLAN tags found, 0 to 2 */
	uint8_t key_blocks; /* presence bitmap of its key */
	uint8_t rx_queue;
	uint8_t n_recirc; /* how often it has recirculated */
	uint8_t depth;    /* how deep it was parsed (the datapath's) */
	uint8_t zero;
	uint32_t hash; /* of the key, for select and multi-queue tx */
	uint32_t recirc_id;
	struct packet_tunnel *tunnel; /* its own; NULL: all zero */
};

_Static_assert(sizeof(struct packet) <= 64, "a packet's metadata is one cache line");
