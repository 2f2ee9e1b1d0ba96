/* SPDX-License-Identifier: Apache-2.0
 *
 * DPDK and the virtio-user ports of the traffic generator.
 *
 * Why: in-order, unmergeable split queues are the fastest that DPDK's virtio-user has (vectorised
 *      and packed ones measured 5 to 10 % slower), and buffers no larger than the frames nearly
 *      doubled the generator's limit on ordinary pages: its working set is then in the TLB.
 */
#include "utilities/bench/bench.h"

#include <errno.h>
#include <rte_dev.h>
#include <rte_eal.h>
#include <rte_errno.h>
#include <rte_ethdev.h>
#include <rte_mbuf.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#define N_MBUFS 4096
#define QUEUE_SIZE 512

static void die(const char *format, ...) __attribute__((format(printf, 1, 2), noreturn));
static bool huge_pages_suffice(unsigned memory_mb);

void
bench_open_eal(const struct bench_options *o)
{
	char core[32], memory[32], prefix[64];
	const char *args[64];
	int n = 0;

	snprintf(core, sizeof core, "%u", o->core);
	snprintf(memory, sizeof memory, "%u", o->memory_mb);
	snprintf(prefix, sizeof prefix, "--file-prefix=weft-bench-%d", (int)getpid());
	args[n++] = "weft-bench";
	args[n++] = "-l";
	args[n++] = core;
	args[n++] = "-m";
	args[n++] = memory;
	args[n++] = "--no-pci";
	args[n++] = "--no-telemetry";
	args[n++] = "--no-shconf";
	args[n++] = "--log-level=lib.eal:error";
	args[n++] = "--log-level=pmd.net.virtio:error";
	args[n++] = "--log-level=lib.vhost:error";
	if (o->no_huge || !huge_pages_suffice(o->memory_mb)) {
		args[n++] = "--no-huge";
		args[n++] = prefix;
	} else {
		args[n++] = "--in-memory";
		args[n++] = "--single-file-segments";
	}
	for (int i = 0; i < o->n_eal_args && n < 60; i++) {
		args[n++] = o->eal_args[i];
	}
	args[n] = NULL;
	if (rte_eal_init(n, (char **)args) < 0) {
		die("cannot start DPDK: %s", rte_strerror(rte_errno));
	}
}

void
bench_open_ports(const struct bench_options *o, uint16_t *port_ids)
{
	struct rte_mempool *pool;

	bench_open_eal(o);
	/* Buffers no larger than needed: with ordinary pages the generator's limit is the TLB. */
	pool = rte_pktmbuf_pool_create("bench", N_MBUFS, 256, 0,
		(uint16_t)(RTE_PKTMBUF_HEADROOM + RTE_ALIGN_CEIL(o->size + 64, 64)), 0);
	if (!pool) {
		die("cannot make a packet pool: %s; give more --memory", rte_strerror(rte_errno));
	}
	for (unsigned i = 0; i < o->n_ports; i++) {
		struct rte_eth_conf conf = {.rxmode.mtu = o->size};
		struct rte_eth_dev_info info;
		char name[32], args[256];
		int error;

		snprintf(name, sizeof name, "net_virtio_user%u", i);
		snprintf(args, sizeof args,
			"path=%s,queues=1,queue_size=%d,mrg_rxbuf=0,in_order=1,"
			"mac=02:00:00:00:00:%02x",
			o->socket[i], QUEUE_SIZE, i + 1);
		error = rte_eal_hotplug_add("vdev", name, args);
		if (error) {
			die("cannot open %s: %s; is a vhost-user server listening there?",
				o->socket[i], rte_strerror(-error));
		}
		error = rte_eth_dev_get_port_by_name(name, &port_ids[i]);
		if (!error) {
			error = rte_eth_dev_info_get(port_ids[i], &info);
		}
		if (!error) {
			error = rte_eth_dev_configure(port_ids[i], 1, 1, &conf);
		}
		if (!error) {
			error = rte_eth_rx_queue_setup(
				port_ids[i], 0, QUEUE_SIZE, SOCKET_ID_ANY, NULL, pool);
		}
		if (!error) {
			error = rte_eth_tx_queue_setup(
				port_ids[i], 0, QUEUE_SIZE, SOCKET_ID_ANY, NULL);
		}
		if (!error) {
			error = rte_eth_dev_start(port_ids[i]);
		}
		if (error) {
			die("cannot start the port on %s: %s", o->socket[i], rte_strerror(-error));
		}
	}
}

void
bench_close(void)
{
	rte_eal_cleanup();
}

/* Whether so many MB of huge pages are free; DPDK would otherwise refuse to start. */
static bool
huge_pages_suffice(unsigned memory_mb)
{
	FILE *f = fopen("/proc/meminfo", "r");
	unsigned long n_free = 0, size_kb = 0;
	char line[128];

	if (!f) {
		return false;
	}
	while (fgets(line, sizeof line, f)) {
		sscanf(line, "HugePages_Free: %lu", &n_free);
		sscanf(line, "Hugepagesize: %lu kB", &size_kb);
	}
	fclose(f);
	return n_free * size_kb / 1024 >= memory_mb;
}

static void
die(const char *format, ...)
{
	va_list args;

	fputs("weft-bench: ", stderr);
	va_start(args, format);
	vfprintf(stderr, format, args);
	va_end(args);
	fputc('\n', stderr);
	exit(EXIT_FAILURE);
}
