/* SPDX-License-Identifier: Apache-2.0
 *
 * How a struct packet stands in an mbuf: in the private area of its first segment.
 *
 * Place:   shared by vhost/ and the port providers of datapath/, which fill and consume packets;
 *          stages see struct packet alone. packet->body is the mbuf.
 * Pools:   made with priv_size PACKET_MBUF_PRIV.
 */
#pragma once

#include <rte_mbuf.h>
#include <string.h>

#include "lib/packet.h"

/* The packet, and behind it its tunnel fields, which are written when there are some. */
#define PACKET_MBUF_PRIV                                                                           \
	RTE_ALIGN_CEIL(sizeof(struct packet) + sizeof(struct packet_tunnel), RTE_MBUF_PRIV_ALIGN)

static inline struct packet *
packet_of_mbuf(struct rte_mbuf *m)
{
	return (struct packet *)rte_mbuf_to_priv(m);
}

static inline struct rte_mbuf *
packet_mbuf(const struct packet *p)
{
	return (struct rte_mbuf *)p->body;
}

/* Fills the metadata that the buffer tells, and clears the rest. The first segment must hold
 * min(len, PACKET_HEAD_MIN) bytes (see packet_make_head_contiguous()). Offload state is the
 * caller's to add. */
static inline void
packet_init_from_mbuf(struct packet *p, struct rte_mbuf *m, uint16_t in_port, uint8_t rx_queue)
{
	*p = (struct packet){
		.data = rte_pktmbuf_mtod(m, uint8_t *),
		.body = m,
		.len = rte_pktmbuf_pkt_len(m),
		.head_len = rte_pktmbuf_data_len(m),
		.in_port = in_port,
		.headroom = rte_pktmbuf_headroom(m),
		.rx_queue = rx_queue,
	};
}

/* Where the packet's own tunnel fields stand, if it has some. */
static inline struct packet_tunnel *
packet_tunnel_place(const struct packet *p)
{
	return (struct packet_tunnel *)(packet_of_mbuf(packet_mbuf(p)) + 1);
}

/* The packet's tunnel fields, to be written: zero if it had none yet. */
static inline struct packet_tunnel *
packet_tunnel_open(struct packet *p)
{
	if (!p->tunnel) {
		p->tunnel = packet_tunnel_place(p);
		memset(p->tunnel, 0, offsetof(struct packet_tunnel, opts));
	}
	return p->tunnel;
}

/* Gives @copy, whose metadata was copied, tunnel fields of its own. Its body is in place. */
static inline void
packet_tunnel_copied(struct packet *copy)
{
	const struct packet_tunnel *from = copy->tunnel;

	if (from) {
		copy->tunnel = packet_tunnel_place(copy);
		memcpy(copy->tunnel, from,
			from->has_opts ? sizeof *from : offsetof(struct packet_tunnel, opts));
	}
}
