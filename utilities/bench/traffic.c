/* SPDX-License-Identifier: Apache-2.0
 *
 * Throughput: frames in at one port as fast as it takes them, counted at the other.
 */
#include "utilities/bench/bench.h"

#include <rte_cycles.h>
#include <rte_ethdev.h>
#include <rte_malloc.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

/* Headers of one frame, ready to be copied in one go; those of a VXLAN packet. */
#define HEAD_SIZE 64u
#define VXLAN_HEAD_SIZE 128u

#define LEARN_WINDOW 128u /* a multiple of BENCH_BURST */
#define LEARN_PATIENCE_MS 50u
#define LEARN_NAP_NS 20000

struct way {
	uint16_t in, out; /* ports: frames go in at one, out at the other */
	struct rte_mempool *pool;
	uint8_t *heads; /* head_size bytes a flow */
	unsigned head_size;
	unsigned skip; /* outer headers of what comes out */
	unsigned n_flows;
	unsigned next_flow;
	struct rte_mbuf *unsent[BENCH_BURST];
	unsigned n_unsent;
	uint64_t sent, received, foreign, lost;
};

static void way_open(
	struct way *w, const struct bench_options *o, const uint16_t ports[2], unsigned direction);
static void way_send(struct way *w, unsigned len);
static void way_receive(struct way *w);
static void learn(struct way *w, unsigned len);
static void run_until(
	struct way *ways, unsigned n_ways, const struct bench_options *o, uint64_t end);
static void print_result(
	const struct bench_options *o, const struct way *ways, unsigned n_ways, double seconds);

/* Of what goes in, without FCS. */
static unsigned
frame_len(const struct bench_options *o)
{
	return o->size - 4 + (o->vxlan_in ? BENCH_VXLAN_LEN : 0);
}

int
bench_traffic(const struct bench_options *o)
{
	unsigned n_ways = o->both_ways ? 2 : 1;
	struct way ways[2] = {0};
	uint16_t ports[2];
	uint64_t begin, hz;

	bench_open_ports(o, ports);
	hz = rte_get_tsc_hz();
	for (unsigned i = 0; i < n_ways; i++) {
		way_open(&ways[i], o, ports, i);
	}
	for (unsigned i = 0; i < n_ways; i++) {
		learn(&ways[i], frame_len(o));
	}
	run_until(ways, n_ways, o, rte_rdtsc() + (uint64_t)(o->warm_up_s * (double)hz));
	for (unsigned i = 0; i < n_ways; i++) {
		ways[i].sent = ways[i].received = ways[i].foreign = 0;
	}
	begin = rte_rdtsc();
	run_until(ways, n_ways, o, begin + (uint64_t)(o->seconds * (double)hz));
	print_result(o, ways, n_ways, (double)(rte_rdtsc() - begin) / (double)hz);
	for (unsigned i = 0; i < n_ways; i++) {
		rte_free(ways[i].heads);
	}
	bench_close();
	for (unsigned i = 0; i < n_ways; i++) {
		if (!ways[i].received) {
			fprintf(stderr, "weft-bench: nothing came out of %s\n",
				o->socket[ways[i].out == ports[1]]);
			return EXIT_FAILURE;
		}
	}
	return EXIT_SUCCESS;
}

static void
way_open(struct way *w, const struct bench_options *o, const uint16_t ports[2], unsigned direction)
{
	w->in = ports[direction];
	w->out = ports[!direction];
	w->pool = rte_mempool_lookup("bench");
	w->n_flows = o->n_flows;
	w->head_size = o->vxlan_in ? VXLAN_HEAD_SIZE : HEAD_SIZE;
	w->skip = o->vxlan_out ? BENCH_VXLAN_LEN : 0;
	w->heads = rte_zmalloc("heads", (size_t)o->n_flows * w->head_size, 64);
	if (!w->heads) {
		fprintf(stderr, "weft-bench: no memory for %u flows; give more --memory\n",
			o->n_flows);
		exit(EXIT_FAILURE);
	}
	for (unsigned i = 0; i < o->n_flows; i++) {
		uint8_t *head = w->heads + (size_t)i * w->head_size;

		if (o->vxlan_in) {
			bench_vxlan_write(head, o->vxlan_mac, i, o->size - 4);
			head += BENCH_VXLAN_LEN;
		}
		bench_frame_write(head, i, direction, i, o->size - 4);
	}
}

/* Sends each flow once, no more at a time than a switch keeps while it asks its slow path, and waits until
 * they have come through: what is measured then is the fast path. Sleeps, for the slow path may need this
 * core. */
static void
learn(struct way *w, unsigned len)
{
	uint64_t patience = rte_get_tsc_hz() * LEARN_PATIENCE_MS / 1000;

	for (unsigned n = 0; n < w->n_flows && !bench_stop; n += LEARN_WINDOW) {
		uint64_t want = w->sent + LEARN_WINDOW, since = rte_rdtsc();

		while (w->sent < want && !bench_stop) {
			way_send(w, len);
		}
		while (w->received + w->lost < w->sent && !bench_stop) {
			uint64_t received = w->received;

			way_receive(w);
			if (w->received != received) {
				since = rte_rdtsc();
			} else if (rte_rdtsc() - since > patience) {
				w->lost = w->sent - w->received;
			} else {
				nanosleep(&(struct timespec){.tv_nsec = LEARN_NAP_NS}, NULL);
			}
		}
	}
}

static void
run_until(struct way *ways, unsigned n_ways, const struct bench_options *o, uint64_t end)
{
	double cycles_per_packet = o->rate_pps > 0 ? (double)rte_get_tsc_hz() / o->rate_pps : 0;
	uint64_t begin = rte_rdtsc(), start_sent = ways[0].sent, now;

	while ((now = rte_rdtsc()) < end && !bench_stop) {
		for (unsigned i = 0; i < n_ways; i++) {
			if (cycles_per_packet <= 0 ||
				(double)(now - begin) >=
					(double)(ways[i].sent - start_sent) * cycles_per_packet) {
				way_send(&ways[i], frame_len(o));
			}
			way_receive(&ways[i]);
		}
	}
}

static void
way_send(struct way *w, unsigned len)
{
	uint16_t n;

	if (w->n_unsent < BENCH_BURST) {
		unsigned want = BENCH_BURST - w->n_unsent;
		struct rte_mbuf **fresh = w->unsent + w->n_unsent;

		if (rte_pktmbuf_alloc_bulk(w->pool, fresh, want)) {
			return;
		}
		for (unsigned i = 0; i < want; i++) {
			rte_memcpy(rte_pktmbuf_mtod(fresh[i], void *),
				w->heads + (size_t)w->next_flow * w->head_size, w->head_size);
			fresh[i]->data_len = (uint16_t)len;
			fresh[i]->pkt_len = len;
			if (++w->next_flow == w->n_flows) {
				w->next_flow = 0;
			}
		}
		w->n_unsent = BENCH_BURST;
	}
	n = rte_eth_tx_burst(w->in, 0, w->unsent, (uint16_t)w->n_unsent);
	w->sent += n;
	w->n_unsent -= n;
	memmove(w->unsent, w->unsent + n, w->n_unsent * sizeof w->unsent[0]);
}

static void
way_receive(struct way *w)
{
	struct rte_mbuf *pkts[2 * BENCH_BURST];
	uint16_t n = rte_eth_rx_burst(w->out, 0, pkts, 2 * BENCH_BURST);
	uint32_t tag;

	if (!n) {
		return;
	}
	/* One look a burst tells a foreign sender; more would be the generator's time. */
	if (pkts[0]->data_len < w->skip ||
		!bench_frame_tag(rte_pktmbuf_mtod_offset(pkts[0], uint8_t *, w->skip),
			pkts[0]->data_len - w->skip, &tag)) {
		w->foreign += n;
	} else {
		w->received += n;
	}
	rte_pktmbuf_free_bulk(pkts, n);
}

static void
print_result(const struct bench_options *o, const struct way *ways, unsigned n_ways, double seconds)
{
	uint64_t sent = 0, received = 0, foreign = 0;

	for (unsigned i = 0; i < n_ways; i++) {
		sent += ways[i].sent;
		received += ways[i].received;
		foreign += ways[i].foreign;
	}
	printf(o->json ? "{\"mpps\": %.4f, \"sent_mpps\": %.4f, \"foreign\": %llu, \"seconds\": %.3f,"
			 " \"flows\": %u, \"size\": %u}\n"
		       : "%.3f Mpps received, %.3f Mpps sent, %llu foreign frames, %.1f s, %u flows of "
			 "%u bytes\n",
		(double)received / seconds / 1e6, (double)sent / seconds / 1e6,
		(unsigned long long)foreign, seconds, o->n_flows, o->size);
}
