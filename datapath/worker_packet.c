/* SPDX-License-Identifier: Apache-2.0
 *
 * Packets in a worker's hands: made, copied, cut short, dropped, and counted on the port they came
 * from.
 */
#include <rte_mbuf.h>
#include <string.h>

#include "datapath/worker.h"
#include "vhost/packet_mbuf.h"

/* Shorter packets are copied as fast as a reference to them is made and dropped again. */
#define SHARE_MIN 512u
#define SPARE_ROOM 32u /* for tags and labels behind what room is made for */

struct port_worker *
worker_port(struct worker *w, uint16_t in_port)
{
	struct port *port = port_find(in_port);

	if (!port) {
		port = port_find(DP_PORT_MADE);
	}
	return &port->per_worker[w->id];
}

void
worker_free(struct packet *p)
{
	rte_pktmbuf_free(packet_mbuf(p));
}

void
worker_drop(struct worker *w, struct packet *p, enum drop_reason reason)
{
	counter_add(&worker_port(w, p->in_port)->counters.drops[reason], 1);
	worker_free(p);
}

void
worker_count_copied(struct worker *w, const struct packet *p)
{
	counter_add(&worker_port(w, p->in_port)->counters.copied, 1);
}

void
worker_uncount_copied(struct worker *w, const struct packet *p)
{
	counter_add(&worker_port(w, p->in_port)->counters.copied, UINT64_MAX);
}

void
worker_truncate(struct packet *p, uint32_t len)
{
	struct rte_mbuf *m = packet_mbuf(p);

	if (len < p->len) {
		struct rte_mbuf *seg = m;
		uint32_t left = len;

		while (seg->data_len < left) {
			left -= seg->data_len;
			seg = seg->next;
		}
		seg->data_len = (uint16_t)left;
		if (seg->next) {
			rte_pktmbuf_free(seg->next);
			seg->next = NULL;
			m->nb_segs = 1;
			for (struct rte_mbuf *s = m; s != seg; s = s->next) {
				m->nb_segs++;
			}
		}
		m->pkt_len = len;
		p->len = len;
		p->head_len = m->data_len;
		p->flags &= (uint16_t) ~(PACKET_CSUM_PARTIAL | PACKET_GSO_MASK);
	}
}

bool
worker_make_room(struct worker *w, struct packet *p, uint32_t n)
{
	struct rte_mbuf *m = packet_mbuf(p), *more;
	uint32_t shift = n + SPARE_ROOM - p->headroom, room = rte_pktmbuf_tailroom(m), over;

	if (room < shift) {
		over = shift - room;
		more = over < m->data_len ? rte_pktmbuf_alloc(w->pool) : NULL;
		if (!more || rte_pktmbuf_tailroom(more) < over) {
			rte_pktmbuf_free(more);
			return false;
		}
		m->data_len = (uint16_t)(m->data_len - over);
		memcpy(rte_pktmbuf_mtod(more, uint8_t *),
			rte_pktmbuf_mtod_offset(m, uint8_t *, m->data_len), over);
		more->data_len = (uint16_t)over;
		more->next = m->next;
		m->next = more;
		m->nb_segs++;
	}
	memmove(rte_pktmbuf_mtod_offset(m, uint8_t *, shift), rte_pktmbuf_mtod(m, uint8_t *),
		m->data_len);
	m->data_off = (uint16_t)(m->data_off + shift);
	p->data = rte_pktmbuf_mtod(m, uint8_t *);
	p->head_len = m->data_len;
	p->headroom = rte_pktmbuf_headroom(m);
	return true;
}

bool
worker_pull_head(struct packet *p)
{
	struct rte_mbuf *m = packet_mbuf(p), *next;
	uint32_t want = WEFT_MIN(p->len, (uint32_t)PACKET_HEAD_MIN);

	if (WEFT_LIKELY(p->head_len >= want)) {
		return true;
	}
	if (m->buf_len < want) {
		return false;
	}
	if (rte_pktmbuf_tailroom(m) < want - m->data_len) {
		uint8_t *front = (uint8_t *)m->buf_addr + (m->buf_len - want);

		memmove(front, rte_pktmbuf_mtod(m, uint8_t *), m->data_len);
		m->data_off = (uint16_t)(m->buf_len - want);
	}
	while (m->data_len < want) {
		uint32_t n;

		next = m->next;
		n = WEFT_MIN(want - m->data_len, (uint32_t)next->data_len);
		memcpy(rte_pktmbuf_mtod_offset(m, uint8_t *, m->data_len),
			rte_pktmbuf_mtod(next, uint8_t *), n);
		m->data_len = (uint16_t)(m->data_len + n);
		next->data_off = (uint16_t)(next->data_off + n);
		next->data_len = (uint16_t)(next->data_len - n);
		if (!next->data_len) {
			m->next = next->next;
			m->nb_segs--;
			rte_pktmbuf_free_seg(next);
		}
	}
	p->data = rte_pktmbuf_mtod(m, uint8_t *);
	p->head_len = m->data_len;
	p->headroom = rte_pktmbuf_headroom(m);
	return true;
}

struct packet *
worker_copy(struct worker *w, const struct packet *p, uint32_t max_len)
{
	uint32_t len = max_len && max_len < p->len ? max_len : UINT32_MAX;
	struct rte_mbuf *m = rte_pktmbuf_copy(packet_mbuf(p), w->pool, 0, len);
	struct packet *copy;

	worker_count_copied(w, p);
	if (!m) {
		counter_add(&worker_port(w, p->in_port)->counters.drops[DROP_NO_COPY], 1);
		return NULL;
	}
	copy = packet_of_mbuf(m);
	*copy = *p;
	copy->body = m;
	copy->data = rte_pktmbuf_mtod(m, uint8_t *);
	copy->len = m->pkt_len;
	copy->head_len = m->data_len;
	copy->headroom = rte_pktmbuf_headroom(m);
	packet_tunnel_copied(copy);
	if (copy->len < p->len) {
		copy->flags &= (uint16_t) ~(PACKET_CSUM_PARTIAL | PACKET_GSO_MASK);
	}
	return copy;
}

struct packet *
worker_share(struct worker *w, const struct packet *p, uint32_t max_len)
{
	struct packet *copy;
	struct rte_mbuf *m;

	/* What a port may complete in place must be its own. */
	if (p->len < SHARE_MIN || (max_len && max_len < p->len) ||
		p->flags & (PACKET_CSUM_PARTIAL | PACKET_GSO_MASK)) {
		return worker_copy(w, p, max_len);
	}
	m = rte_pktmbuf_clone(packet_mbuf(p), w->pool);
	worker_count_copied(w, p);
	if (!m) {
		counter_add(&worker_port(w, p->in_port)->counters.drops[DROP_NO_COPY], 1);
		return NULL;
	}
	copy = packet_of_mbuf(m);
	*copy = *p;
	copy->body = m;
	packet_tunnel_copied(copy);
	return copy;
}

struct packet *
worker_make(struct worker *w, const uint8_t *data, uint32_t len, uint16_t in_port)
{
	struct port_worker *pw = worker_port(w, in_port);
	struct rte_mbuf *m = rte_pktmbuf_alloc(w->pool), *last = m;
	struct packet *p;

	counter_add(&pw->counters.made, 1);
	if (!m) {
		goto no_buffer;
	}
	for (uint32_t off = 0; off < len;) {
		uint16_t room = rte_pktmbuf_tailroom(last);
		uint16_t n = (uint16_t)WEFT_MIN((uint32_t)room, len - off);

		if (!room) {
			struct rte_mbuf *more = rte_pktmbuf_alloc(w->pool);

			if (!more) {
				rte_pktmbuf_free(m);
				goto no_buffer;
			}
			more->data_off = 0;
			last->next = more;
			last = more;
			m->nb_segs++;
			continue;
		}
		memcpy(rte_pktmbuf_mtod_offset(last, uint8_t *, last->data_len), data + off, n);
		last->data_len = (uint16_t)(last->data_len + n);
		m->pkt_len += n;
		off += n;
	}
	p = packet_of_mbuf(m);
	packet_init_from_mbuf(p, m, in_port, 0);
	return p;

no_buffer:
	counter_add(&pw->counters.drops[DROP_RX_NO_BUFFER], 1);
	return NULL;
}
