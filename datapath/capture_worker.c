/* SPDX-License-Identifier: Apache-2.0
 *
 * Capture, the workers' half: filter, copy, count.
 *
 * Why: a record is copied at once, and not a reference to the packet kept: the sender's buffers are few,
 *      and what was sent is no longer ours. A record of a packet that the device did not take has
 *      its place in the ring already; it is marked to be skipped.
 */
#include <rte_cycles.h>
#include <rte_mbuf.h>
#include <string.h>

#include "datapath/capture_internal.h"
#include "datapath/edit.h"

#define PREFETCH 4u

static void
copy_bytes(const struct packet *p, uint8_t *to, uint32_t n)
{
	for (const struct rte_mbuf *seg = packet_mbuf(p); seg && n; seg = seg->next) {
		uint32_t part = WEFT_MIN(n, (uint32_t)seg->data_len);

		memcpy(to, rte_pktmbuf_mtod(seg, const uint8_t *), part);
		to += part;
		n -= part;
	}
}

/* Puts a packet into the ring, not yet published. NULL: it is full. */
static struct capture_record *
put_record(const struct capture *c, struct capture_worker *cw, const struct packet *p, uint64_t tsc,
	uint16_t queue, enum pcapng_direction direction)
{
	uint32_t caplen = WEFT_MIN(p->len, c->snaplen);
	struct capture_record *r =
		shm_ring_reserve(&cw->in, 0, (uint32_t)sizeof(struct capture_record) + caplen);

	if (!r) {
		return NULL;
	}
	*r = (struct capture_record){
		.tsc = tsc,
		.len = p->len,
		.caplen = caplen,
		.queue = queue,
		.gso_size = p->flags & PACKET_GSO_MASK ? p->gso_size : 0,
		.direction = (uint8_t)direction,
	};
	copy_bytes(p, (uint8_t *)(r + 1), caplen);
	packet_complete_csum(p, (uint8_t *)(r + 1), caplen);
	return r;
}

/* The loss before a record goes with it. */
static void
tell_loss(struct capture_worker *cw, struct capture_record *r)
{
	uint64_t lost = atomic_load_explicit(&cw->lost, memory_order_relaxed);

	r->lost = (uint32_t)(lost - cw->lost_told);
	cw->lost_told = lost;
}

static inline bool
is_wanted(const struct capture *c, struct capture_worker *cw, const struct packet *p)
{
	if (capture_quick_refuses(&cw->quick, p)) {
		return false;
	}
	if (capture_filter_match(c->filter, p, cw->scratch)) {
		return true;
	}
	capture_quick_learn(&cw->quick, c->filter->insns, c->filter->n_insns, p);
	return false;
}

static void
capture_burst(struct capture *c, struct capture_worker *cw, uint16_t queue,
	struct packet *const *pkts, unsigned n)
{
	uint64_t tsc = rte_rdtsc();
	unsigned n_accepted = 0;

	for (unsigned i = 0; i < n; i++) {
		struct capture_record *r;

		if (i + PREFETCH < n) {
			rte_prefetch0(pkts[i + PREFETCH]->data);
		}
		if (!is_wanted(c, cw, pkts[i])) {
			continue;
		}
		n_accepted++;
		r = put_record(c, cw, pkts[i], tsc, queue, PCAPNG_IN);
		if (r) {
			tell_loss(cw, r);
		} else {
			counter_add(&cw->lost, 1);
		}
	}
	counter_add(&cw->seen, n);
	if (n_accepted) {
		counter_add(&cw->accepted, n_accepted);
		shm_ring_publish(&cw->in);
	}
}

void
capture_received(const struct capture_set *set, unsigned worker, uint16_t queue,
	struct packet *const *pkts, unsigned n)
{
	for (unsigned i = 0; i < set->n; i++) {
		capture_burst(set->list[i], &set->list[i]->per_worker[worker], queue, pkts, n);
	}
}

void
capture_sending(const struct capture_set *set, unsigned worker, uint16_t queue,
	struct packet *const *pkts, unsigned n)
{
	for (unsigned i = 0; i < set->n; i++) {
		struct capture *c = set->list[i];
		struct capture_worker *cw = &c->per_worker[worker];
		uint64_t tsc = rte_rdtsc();

		cw->n_pending = 0;
		for (unsigned j = 0; j < n; j++) {
			if (is_wanted(c, cw, pkts[j])) {
				cw->pending[cw->n_pending].record =
					put_record(c, cw, pkts[j], tsc, queue, PCAPNG_OUT);
				cw->pending[cw->n_pending++].place = j;
			}
		}
	}
}

void
capture_sent(const struct capture_set *set, unsigned worker, unsigned n_sent)
{
	for (unsigned i = 0; i < set->n; i++) {
		struct capture_worker *cw = &set->list[i]->per_worker[worker];
		unsigned n_accepted = 0;

		for (unsigned j = 0; j < cw->n_pending; j++) {
			struct capture_record *r = cw->pending[j].record;

			if (cw->pending[j].place >= n_sent) {
				if (r) {
					r->skip = 1;
				}
				continue;
			}
			n_accepted++;
			if (r) {
				tell_loss(cw, r);
			} else {
				counter_add(&cw->lost, 1);
			}
		}
		counter_add(&cw->seen, n_sent);
		counter_add(&cw->accepted, n_accepted);
		if (cw->n_pending) {
			shm_ring_publish(&cw->in);
		}
	}
}
