/* SPDX-License-Identifier: Apache-2.0
 *
 * Tunnels: outer packets in fragments.
 *
 * Why: rte_ip_frag makes fragments of a header alone in front of references to the packet, where every
 *      stage here wants a packet's first PACKET_HEAD_MIN bytes in one piece; and for IPv6 it takes its number
 *      from the caller all the same. A fragment here is a copy with its own header.
 */
#include <errno.h>
#include <netinet/in.h>
#include <rte_mbuf.h>
#include <string.h>

#include "datapath/tunnel.h"
#include "datapath/tunnel_internal.h"
#include "datapath/worker.h"
#include "lib/compiler.h"
#include "vhost/packet_mbuf.h"

#define IPV4_DF 0x4000u
#define IPV4_MF 0x2000u
#define FRAGMENT_LEN 8u /* IPv6's header of a fragment */

/* The cut that is being made. */
struct cut {
	bool v6;
	uint32_t headers; /* Ethernet and IP */
	uint32_t added;   /* IPv6's header of a fragment */
	uint32_t step;    /* bytes of payload in each but the last */
	uint32_t id;
};

/* Ethernet, IP, and what tells a fragment's place. */
static void
put_headers(const struct packet *p, const struct cut *c, uint8_t *to, uint32_t off, uint32_t n,
	bool more)
{
	uint8_t *ip = to + p->l3_off;

	memcpy(to, p->data, c->headers);
	if (c->v6) {
		uint8_t *fragment = to + c->headers;

		put_be16(ip + 4, (uint16_t)(c->headers - p->l3_off - 40 + FRAGMENT_LEN + n));
		fragment[0] = ip[6];
		fragment[1] = 0;
		put_be16(fragment + 2, (uint16_t)(off | more));
		put_be32(fragment + 4, c->id);
		ip[6] = IPPROTO_FRAGMENT;
	} else {
		put_be16(ip + 2, (uint16_t)(c->headers - p->l3_off + n));
		put_be16(ip + 6, (uint16_t)((more ? IPV4_MF : 0) | off / 8));
		put_be16(ip + 10, 0);
		put_be16(ip + 10,
			(uint16_t)~tunnel_fold(tunnel_sum_bytes(ip, c->headers - p->l3_off)));
	}
}

static struct packet *
make_piece(struct worker *w, const struct packet *p, const struct cut *c, uint32_t off, uint32_t n,
	bool more)
{
	struct rte_mbuf *m = rte_pktmbuf_copy(packet_mbuf(p), w->pool, c->headers + off, n);
	uint8_t *front = NULL;
	struct packet *piece;

	if (m) {
		front = (uint8_t *)rte_pktmbuf_prepend(m, (uint16_t)(c->headers + c->added));
	}
	if (!front) {
		rte_pktmbuf_free(m);
		return NULL;
	}
	put_headers(p, c, front, off, n, more);
	piece = packet_of_mbuf(m);
	packet_init_from_mbuf(piece, m, p->in_port, p->rx_queue);
	piece->flags = p->flags & PACKET_ENCAPSULATED;
	piece->l3_off = p->l3_off;
	piece->l4_off = (uint16_t)(c->headers + c->added);
	piece->l4_payload_off =
		off || !p->l4_payload_off ? 0 : (uint16_t)(p->l4_payload_off + c->added);
	piece->n_tags = p->n_tags;
	piece->n_recirc = p->n_recirc;
	piece->key_blocks = p->key_blocks;
	piece->depth = p->depth;
	return piece;
}

int
tunnel_fragment(struct worker *w, const struct packet *p, uint32_t mtu, struct packet **pieces)
{
	const uint8_t *ip = p->data + p->l3_off;
	struct cut c = {.v6 = ip[0] >> 4 == 6, .headers = p->l4_off};
	uint32_t payload = p->len - c.headers, room;
	int n = 0;

	c.added = c.v6 ? FRAGMENT_LEN : 0;
	room = mtu - (c.headers - p->l3_off) - c.added;
	c.step = room & ~7u;
	c.id = c.v6 ? worker_next_ip_id(w) : 0;
	if ((!c.v6 && get_be16(ip + 6) & IPV4_DF) ||
		(payload + c.step - 1) / c.step > TUNNEL_MAX_FRAGMENTS) {
		return -EMSGSIZE;
	}
	for (uint32_t off = 0; off < payload; off += c.step) {
		uint32_t len = WEFT_MIN(c.step, payload - off);

		pieces[n] = make_piece(w, p, &c, off, len, off + len < payload);
		if (!pieces[n]) {
			while (n) {
				rte_pktmbuf_free(packet_mbuf(pieces[--n]));
			}
			return -ENOMEM;
		}
		n++;
	}
	return n;
}
