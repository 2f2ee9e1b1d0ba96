/* SPDX-License-Identifier: Apache-2.0
 *
 * Ports thread: sockets, hot-plug, listings. It is the main thread.
 *
 * Threads: everything here is its own; events of ports come from any thread by way of a flag in the
 *          port and an eventfd. It holds no lock that a vhost callback takes.
 */
#pragma once

#include <stdbool.h>
#include <stdint.h>

#include "lib/compiler.h"
#include "lib/stats_region.h"

struct daemon;
struct event_base;
struct flow_table;
struct rte_mempool;
struct weft_error;

struct ports_thread_config {
	const struct daemon *daemon;
	struct flow_table *table;
	const struct stats_region *stats;
	int stats_fd;
	struct rte_mempool *pool;
	uint64_t instance;
	uint32_t max_flows;
	uint32_t n_slots;
};

/* Listens on RUNDIR/datapath.sock. */
bool ports_thread_start(struct event_base *base, const struct ports_thread_config *config,
	struct weft_error *err) WEFT_REQUIRES(weft_ports);

/* Removes all ports and the socket. While the workers still run. */
void ports_thread_stop(void) WEFT_REQUIRES(weft_ports);
