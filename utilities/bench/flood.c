/* SPDX-License-Identifier: Apache-2.0
 *
 * Flood: what a neighbour costs that sends nothing but new flows.
 *
 * Frames of ever new flows (or, with --flows, of so many over and over) go in at the first port as fast as it takes them (or --rate), out at the second.
 * Meanwhile one established flow and, every --interval-us, the first frame of a new one go from the third
 * port to the fourth. Told for them, first without the flood, then with it: frames of the established flow
 * that were lost, and how long the first frames took, which is the time to set up a flow.
 */
#include "utilities/bench/bench.h"

#include <rte_cycles.h>
#include <rte_ethdev.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include "lib/alloc.h"

#define STEADY_PPS 10000u
#define FIRST 0x80000000u    /* in a tag: the first frame of a new flow */
#define DRAIN_S 1.5          /* longer than a switch keeps what waits for its slow path */
#define FLOWS_MAX (1u << 24) /* there are no more addresses */
#define NAP_NS 1000

struct attack {
	uint16_t in, out;
	struct rte_mbuf *unsent[BENCH_BURST];
	unsigned n_unsent;
	uint32_t next_flow;
	uint64_t sent;
};

struct victim {
	uint16_t in, out;
	uint32_t next_flow;
	uint64_t sent, received; /* of the established flow */
	unsigned n_first, n_set_up;
	uint64_t *first_sent; /* TSC, by tag */
	double *set_up_us;    /* in the order of arrival */
};

struct flood {
	const struct bench_options *o;
	struct rte_mempool *pool;
	struct attack attack;
	struct victim victim;
};

static struct rte_mbuf *
make_frame(const struct flood *f, uint32_t flow, uint32_t tag)
{
	struct rte_mbuf *m = rte_pktmbuf_alloc(f->pool);
	unsigned len = f->o->size - 4;

	if (m) {
		bench_frame_write(rte_pktmbuf_mtod(m, uint8_t *), flow, 0, tag, len);
		m->data_len = (uint16_t)len;
		m->pkt_len = len;
	}
	return m;
}

static void
discard(uint16_t port)
{
	struct rte_mbuf *pkts[2 * BENCH_BURST];
	uint16_t n = rte_eth_rx_burst(port, 0, pkts, 2 * BENCH_BURST);

	rte_pktmbuf_free_bulk(pkts, n);
}

static void
attack_send(struct flood *f)
{
	struct attack *a = &f->attack;
	uint32_t n_flows = f->o->n_flows > 1 ? f->o->n_flows : FLOWS_MAX;
	uint16_t n;

	while (a->n_unsent < BENCH_BURST) {
		struct rte_mbuf *m = make_frame(f, a->next_flow, 0);

		if (!m) {
			break;
		}
		a->next_flow = (a->next_flow + 1) % n_flows;
		a->unsent[a->n_unsent++] = m;
	}
	n = rte_eth_tx_burst(a->in, 0, a->unsent, (uint16_t)a->n_unsent);
	a->sent += n;
	a->n_unsent -= n;
	memmove(a->unsent, a->unsent + n, a->n_unsent * sizeof a->unsent[0]);
}

/* Whether the switch took it. */
static bool
victim_send(struct flood *f, uint32_t flow, uint32_t tag)
{
	struct rte_mbuf *m = make_frame(f, flow, tag);

	if (m && rte_eth_tx_burst(f->victim.in, 0, &m, 1) == 1) {
		return true;
	}
	rte_pktmbuf_free(m);
	return false;
}

static void
victim_receive(struct flood *f)
{
	struct victim *v = &f->victim;
	struct rte_mbuf *pkts[2 * BENCH_BURST];
	uint16_t n = rte_eth_rx_burst(v->out, 0, pkts, 2 * BENCH_BURST);
	uint64_t now = rte_rdtsc();

	for (uint16_t i = 0; i < n; i++) {
		uint32_t tag;

		if (!bench_frame_tag(
			    rte_pktmbuf_mtod(pkts[i], uint8_t *), pkts[i]->data_len, &tag)) {
			continue;
		}
		if (!(tag & FIRST)) {
			v->received++;
		} else if ((tag & ~FIRST) < v->n_first && v->first_sent[tag & ~FIRST]) {
			v->set_up_us[v->n_set_up++] = (double)(now - v->first_sent[tag & ~FIRST]) *
						      1e6 / (double)rte_get_tsc_hz();
			v->first_sent[tag & ~FIRST] = 0; /* not twice */
		}
	}
	rte_pktmbuf_free_bulk(pkts, n);
}

static int
compare(const void *a, const void *b)
{
	double x = *(const double *)a, y = *(const double *)b;

	return (x > y) - (x < y);
}

/* One phase. @with: the flood too. */
static void
run(struct flood *f, bool with)
{
	struct victim *v = &f->victim;
	const struct bench_options *o = f->o;
	uint64_t hz = rte_get_tsc_hz(), begin = rte_rdtsc(), now = begin;
	uint64_t end = begin + (uint64_t)(o->seconds * (double)hz);
	uint64_t steady_step = hz / STEADY_PPS, first_step = hz / 1000000 * o->interval_us;
	uint64_t next_steady = begin, next_first = begin + first_step;

	v->sent = v->received = v->n_first = v->n_set_up = 0;
	f->attack.sent = 0;
	for (; now < end + (uint64_t)(DRAIN_S * (double)hz) && !bench_stop; now = rte_rdtsc()) {
		if (with && now < end &&
			(o->rate_pps <= 0 || (double)f->attack.sent * (double)hz <
						     (double)(now - begin) * o->rate_pps)) {
			attack_send(f);
		} else {
			nanosleep(&(struct timespec){.tv_nsec = NAP_NS}, NULL);
		}
		discard(f->attack.out);
		if (now >= next_steady && now < end) {
			next_steady += steady_step;
			v->sent += victim_send(f, 0, 0);
		}
		if (now >= next_first && now < end && v->n_first < o->count) {
			next_first += first_step;
			v->first_sent[v->n_first] = rte_rdtsc();
			if (victim_send(f, v->next_flow, FIRST | v->n_first)) {
				v->n_first++;
				v->next_flow++;
			}
		}
		victim_receive(f);
	}
	qsort(v->set_up_us, v->n_set_up, sizeof v->set_up_us[0], compare);
}

static void
print_phase(const struct flood *f, const char *name, const char *end)
{
	const struct victim *v = &f->victim;
	const double *us = v->set_up_us;
	unsigned n = v->n_set_up;

	printf(f->o->json
			? "\"%s\": {\"flood_mpps\": %.3f, \"steady_sent\": %llu, \"steady_lost\": %llu, "
			  "\"new_sent\": %u, \"new_lost\": %u, \"median_us\": %.1f, \"p99_us\": %.1f, "
			  "\"max_us\": %.1f}%s"
			: "%s: flood of %.3f Mpps; established flow: %llu sent, %llu lost; new flows: %u sent, "
			  "%u lost, set up in median %.1f us, 99th percentile %.1f us, longest %.1f us%s",
		name, (double)f->attack.sent / f->o->seconds / 1e6, (unsigned long long)v->sent,
		(unsigned long long)(v->sent - v->received), v->n_first, v->n_first - n,
		n ? us[n / 2] : 0, n ? us[n * 99 / 100] : 0, n ? us[n - 1] : 0, end);
}

int
bench_flood(const struct bench_options *o)
{
	struct flood f = {.o = o};
	uint16_t ports[BENCH_MAX_PORTS];
	bool through;

	bench_open_ports(o, ports);
	f.pool = rte_mempool_lookup("bench");
	f.attack.in = ports[0];
	f.attack.out = ports[1];
	f.victim.in = ports[2];
	f.victim.out = ports[3];
	f.victim.next_flow = 1;
	f.victim.first_sent = xcalloc(o->count, sizeof f.victim.first_sent[0]);
	f.victim.set_up_us = xcalloc(o->count, sizeof f.victim.set_up_us[0]);
	run(&f, false); /* sets up the established flow; not told */
	fputs(o->json ? "{" : "", stdout);
	run(&f, false);
	through = f.victim.received;
	print_phase(&f, "alone", o->json ? ", " : "\n");
	run(&f, true);
	print_phase(&f, "flooded", o->json ? "}\n" : "\n");
	rte_pktmbuf_free_bulk(f.attack.unsent, f.attack.n_unsent);
	bench_close();
	free(f.victim.first_sent);
	free(f.victim.set_up_us);
	if (!through) {
		fprintf(stderr, "weft-bench: nothing came out of %s\n", o->socket[3]);
		return EXIT_FAILURE;
	}
	return EXIT_SUCCESS;
}
