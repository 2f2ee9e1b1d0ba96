/* SPDX-License-Identifier: Apache-2.0
 *
 * Offloads in software.
 *
 * Why: rte_gso of DPDK 22.11 knows neither TCP over IPv6 nor packets whose headers a guest wrote and
 *      nobody checked; a segment here is a plain copy with its own headers.
 */
#include "datapath/offload.h"

#include <errno.h>
#include <netinet/in.h>
#include <rte_mbuf.h>
#include <string.h>

#include "datapath/edit.h"
#include "lib/byteorder.h"
#include "lib/compiler.h"
#include "vhost/packet_mbuf.h"

#define TCP_FIN 0x01u
#define TCP_PSH 0x08u
#define TCP_CWR 0x80u
#define MAX_HEADERS 256u
#define MAX_L2_HEADERS 8u

int
offload_complete_csum(struct packet *p)
{
	if (p->csum_start + p->csum_offset + 2u > p->head_len || p->csum_start > p->len) {
		return -EINVAL;
	}
	packet_complete_csum(p, p->data, p->head_len);
	p->flags &= (uint16_t)~PACKET_CSUM_PARTIAL;
	return 0;
}

uint32_t
offload_piece_len(const struct packet *p)
{
	uint32_t l4_len = 8;

	if (!(p->flags & PACKET_GSO_MASK)) {
		return p->len;
	}
	if (!(p->flags & PACKET_GSO_UDP)) {
		l4_len = p->csum_start + 13u <= p->head_len
				 ? (p->data[p->csum_start + 12] >> 4) * 4u
				 : 20u;
	}
	return p->csum_start + l4_len + p->gso_size;
}

/* Where the headers of a GSO packet stand. */
struct headers {
	uint32_t l3, l4, payload;
	bool v6, udp;
};

/* Whether the L4 header is that of the first IP header. The kernel also hands out tunnel packets whose
 * inner TCP is to be cut: their outer headers are not ours to repeat. */
static bool
is_outermost(const uint8_t *ip, const struct headers *h)
{
	uint8_t proto = h->udp ? IPPROTO_UDP : IPPROTO_TCP, found = ip[h->v6 ? 6 : 9];

	if (!h->v6) {
		return found == proto && h->l4 == h->l3 + (ip[0] & 15u) * 4u;
	}
	if (found == proto) {
		return h->l4 == h->l3 + 40;
	}
	/* Extension headers may stand between. */
	return found == IPPROTO_HOPOPTS || found == IPPROTO_ROUTING || found == IPPROTO_FRAGMENT ||
	       found == IPPROTO_DSTOPTS;
}

/* Skips what may stand in front of IP: tags, labels and backbone headers, as flows push them. Returns
 * where IP begins and whether it is IPv6; 0: nowhere. */
static uint32_t
find_ip(const struct packet *p, bool *v6)
{
	const uint8_t *d = p->data;
	uint32_t at = 12;

	for (unsigned n = 0; n < MAX_L2_HEADERS && at + 6 <= p->head_len; n++) {
		switch (get_be16(d + at)) {
		case 0x8100:
		case 0x88a8:
			at += 4;
			break;
		case 0x88e7:
			at += 2 + 4 + 12;
			break;
		case 0x8847:
		case 0x8848:
			for (at += 2; at + 5 <= p->head_len; at += 4) {
				if (d[at + 2] & 1) { /* bottom of stack */
					*v6 = d[at + 4] >> 4 == 6;
					return *v6 || d[at + 4] >> 4 == 4 ? at + 4 : 0;
				}
			}
			return 0;
		case 0x0800:
		case 0x86dd:
			*v6 = get_be16(d + at) == 0x86dd;
			return at + 2;
		default:
			return 0;
		}
	}
	return 0;
}

static bool
find_headers(const struct packet *p, struct headers *h)
{
	const uint8_t *d = p->data;

	*h = (struct headers){.udp = p->flags & PACKET_GSO_UDP};
	h->l3 = find_ip(p, &h->v6);
	/* The sender says where L4 begins: that is where its checksum is to be computed from. */
	h->l4 = p->csum_start;
	if (!h->l3 || h->l4 < h->l3 + (h->v6 ? 40u : 20u) ||
		h->l4 + (h->udp ? 8u : 20u) > p->head_len) {
		return false;
	}
	if (!is_outermost(d + h->l3, h)) {
		return false;
	}
	h->payload = h->l4 + (h->udp ? 8u : (d[h->l4 + 12] >> 4) * 4u);
	return h->payload <= p->head_len && h->payload <= MAX_HEADERS && h->payload < p->len &&
	       h->payload >= h->l4 + (h->udp ? 8u : 20u);
}

static uint64_t
add_bytes(uint64_t sum, const uint8_t *data, uint32_t n)
{
	for (uint32_t i = 0; i + 1 < n; i += 2) {
		sum += get_be16(data + i);
	}
	return n & 1 ? sum + ((uint32_t)data[n - 1] << 8) : sum;
}

static uint16_t
finish(uint64_t sum)
{
	while (sum >> 16) {
		sum = (sum & 0xffff) + (sum >> 16);
	}
	return (uint16_t)~sum;
}

/* Lengths, identification, sequence number, flags and checksums of segment @index. */
static void
fix_headers(uint8_t *d, const struct headers *h, uint32_t len, uint32_t offset, unsigned index,
	bool last)
{
	uint8_t *ip = d + h->l3, *l4 = d + h->l4;
	uint32_t l4_len = len - h->l4;
	uint64_t sum = l4_len;
	uint16_t csum;

	if (h->v6) {
		put_be16(ip + 4, (uint16_t)(len - h->l3 - 40));
		sum += add_bytes(0, ip + 8, 32);
	} else {
		put_be16(ip + 2, (uint16_t)(len - h->l3));
		put_be16(ip + 4, (uint16_t)(get_be16(ip + 4) + index));
		put_be16(ip + 10, 0);
		put_be16(ip + 10, finish(add_bytes(0, ip, h->l4 - h->l3)));
		sum += add_bytes(0, ip + 12, 8);
	}
	if (h->udp) {
		put_be16(l4 + 4, (uint16_t)l4_len);
		put_be16(l4 + 6, 0);
		csum = finish(add_bytes(sum + IPPROTO_UDP, l4, l4_len));
		put_be16(l4 + 6, csum ? csum : 0xffff);
		return;
	}
	put_be32(l4 + 4, get_be32(l4 + 4) + offset);
	if (!last) {
		l4[13] &= (uint8_t) ~(TCP_FIN | TCP_PSH);
	}
	if (index) {
		l4[13] &= (uint8_t)~TCP_CWR; /* RFC 3168 s.6.1.2: once */
	}
	put_be16(l4 + 16, 0);
	put_be16(l4 + 16, finish(add_bytes(sum + IPPROTO_TCP, l4, l4_len)));
}

/* A packet of one buffer with the headers and @n bytes of payload from @from. */
static struct packet *
make_segment(const struct packet *p, struct rte_mempool *pool, const struct headers *h,
	uint32_t from, uint32_t n)
{
	struct rte_mbuf *m = rte_pktmbuf_alloc(pool);
	const uint8_t *data;
	struct packet *s;
	uint8_t *room;

	room = m ? (uint8_t *)rte_pktmbuf_append(m, (uint16_t)(h->payload + n)) : NULL;
	if (!room) {
		rte_pktmbuf_free(m);
		return NULL;
	}
	memcpy(room, p->data, h->payload);
	data = rte_pktmbuf_read(packet_mbuf(p), from, n, room + h->payload);
	if (data && data != room + h->payload) {
		memcpy(room + h->payload, data, n);
	}
	s = packet_of_mbuf(m);
	packet_init_from_mbuf(s, m, p->in_port, p->rx_queue);
	s->hash = p->hash;
	return s;
}

int
offload_segment(const struct packet *p, struct rte_mempool *pool, struct packet **segments)
{
	struct headers h;
	uint32_t size = p->gso_size, from;
	int n = 0;

	if (!size || !(p->flags & PACKET_CSUM_PARTIAL) || !find_headers(p, &h) ||
		h.payload + size >
			(uint32_t)rte_pktmbuf_data_room_size(pool) - RTE_PKTMBUF_HEADROOM) {
		return -EINVAL;
	}
	if ((p->len - h.payload + size - 1) / size > OFFLOAD_MAX_SEGMENTS) {
		return -EMSGSIZE;
	}
	for (from = h.payload; from < p->len; from += size) {
		uint32_t payload = WEFT_MIN(size, p->len - from);

		segments[n] = make_segment(p, pool, &h, from, payload);
		if (!segments[n]) {
			while (n) {
				rte_pktmbuf_free(packet_mbuf(segments[--n]));
			}
			return -ENOMEM;
		}
		fix_headers(segments[n]->data, &h, h.payload + payload, from - h.payload,
			(unsigned)n, from + size >= p->len);
		n++;
	}
	return n;
}
