/* SPDX-License-Identifier: Apache-2.0
 *
 * Latency: one packet at a time, from port to port, so that a switch that sleeps must wake.
 */
#include "utilities/bench/bench.h"

#include <rte_cycles.h>
#include <rte_ethdev.h>
#include <stdio.h>
#include <stdlib.h>

#define LOST_AFTER_S 0.1

static bool send_one(
	uint16_t port, struct rte_mempool *pool, unsigned flow, uint32_t tag, unsigned len);
static bool await(uint16_t port, uint32_t tag, uint64_t until);
static int compare(const void *a, const void *b);

int
bench_latency(const struct bench_options *o)
{
	double *sample_us = calloc(o->count, sizeof *sample_us);
	unsigned n = 0, lost = 0;
	struct rte_mempool *pool;
	uint16_t ports[2];
	uint64_t hz, next;

	if (!sample_us) {
		return EXIT_FAILURE;
	}
	bench_open_ports(o, ports);
	pool = rte_mempool_lookup("bench");
	hz = rte_get_tsc_hz();
	/* The first packets set up flows; they are not measured. */
	for (unsigned i = 0; i < 10 && !bench_stop; i++) {
		(void)send_one(ports[0], pool, i % o->n_flows, UINT32_MAX - i, o->size - 4);
		(void)await(ports[1], UINT32_MAX - i, rte_rdtsc() + hz / 10);
	}
	next = rte_rdtsc();
	for (unsigned i = 0; i < o->count && !bench_stop; i++) {
		uint64_t begin;

		next += hz / 1000000 * o->interval_us;
		while (rte_rdtsc() < next) {
			rte_pause();
		}
		begin = rte_rdtsc();
		if (send_one(ports[0], pool, i % o->n_flows, i, o->size - 4) &&
			await(ports[1], i, begin + (uint64_t)(LOST_AFTER_S * (double)hz))) {
			sample_us[n++] = (double)(rte_rdtsc() - begin) * 1e6 / (double)hz;
		} else {
			lost++;
		}
	}
	bench_close();
	if (!n) {
		fprintf(stderr, "weft-bench: no packet came through\n");
		free(sample_us);
		return EXIT_FAILURE;
	}
	qsort(sample_us, n, sizeof *sample_us, compare);
	printf(o->json ? "{\"median_us\": %.1f, \"p99_us\": %.1f, \"max_us\": %.1f, \"n\": %u, \"lost\": "
			 "%u}\n"
		       : "median %.1f us, 99th percentile %.1f us, longest %.1f us, %u packets, %u lost\n",
		sample_us[n / 2], sample_us[n * 99 / 100], sample_us[n - 1], n, lost);
	free(sample_us);
	return lost ? EXIT_FAILURE : EXIT_SUCCESS;
}

static bool
send_one(uint16_t port, struct rte_mempool *pool, unsigned flow, uint32_t tag, unsigned len)
{
	struct rte_mbuf *m = rte_pktmbuf_alloc(pool);
	uint8_t *data;

	if (!m) {
		return false;
	}
	data = (uint8_t *)rte_pktmbuf_append(m, (uint16_t)len);
	if (!data) {
		rte_pktmbuf_free(m);
		return false;
	}
	bench_frame_write(data, flow, 0, tag, len);
	if (rte_eth_tx_burst(port, 0, &m, 1) != 1) {
		rte_pktmbuf_free(m);
		return false;
	}
	return true;
}

/* Whether the frame with that tag comes before @until. Others are thrown away. */
static bool
await(uint16_t port, uint32_t tag, uint64_t until)
{
	while (rte_rdtsc() < until && !bench_stop) {
		struct rte_mbuf *pkts[BENCH_BURST];
		uint16_t n = rte_eth_rx_burst(port, 0, pkts, BENCH_BURST);
		bool found = false;

		for (uint16_t i = 0; i < n; i++) {
			uint32_t seen;

			found |= bench_frame_tag(rte_pktmbuf_mtod(pkts[i], uint8_t *),
					 pkts[i]->data_len, &seen) &&
				 seen == tag;
			rte_pktmbuf_free(pkts[i]);
		}
		if (found) {
			return true;
		}
	}
	return false;
}

static int
compare(const void *a, const void *b)
{
	double x = *(const double *)a, y = *(const double *)b;

	return (x > y) - (x < y);
}
