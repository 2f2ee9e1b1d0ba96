/* SPDX-License-Identifier: Apache-2.0
 *
 * Ports: the core's half. Number, counters, queues, what workers see of a port.
 *
 * Threads:  made and removed by the ports thread; workers read port_find() while online.
 * Removal:  rx queues are taken from the workers, the number is unpublished (outputs drop as
 *           port-gone), a grace period passes; then nobody but the ports thread holds the port. Its
 *           flows are removed and its parked packets purged by the tables thread, and at last
 *           the device is closed and the port freed.
 * Members:  a port that belongs to a bond (bond_port.c) keeps its number, device and drop counters, but
 *           workers neither poll it nor output to it: the bond calls its provider.
 * Counters: one struct port_worker for each worker, and one more for other threads (vhost
 *           callbacks, ports thread), written by its owner alone with relaxed stores.
 * Books:    over all ports: rx + made + copied = tx + to_agent + dropped + parked (now).
 */
#pragma once

#include <rte_spinlock.h>
#include <stdatomic.h>
#include <stdbool.h>
#include <stdint.h>

#include "datapath/outline.h"
#include "datapath/port_provider.h"
#include "lib/compiler.h"
#include "lib/dp_protocol.h"
#include "lib/drop_reason.h"

struct capture_set;

#define PORT_NAME_SIZE 64
#define TX_BATCH 32u

struct port_counters {
	_Atomic uint64_t rx_packets, rx_bytes;
	_Atomic uint64_t tx_packets, tx_bytes;
	_Atomic uint64_t made, copied, to_agent;
	/* Of a tunnel port: what came out of its tunnels and went in. Not in the books, where a packet stays
	 * the one that was received. */
	_Atomic uint64_t tunnel_rx_packets, tunnel_rx_bytes, tunnel_tx_packets, tunnel_tx_bytes;
	_Atomic uint64_t upcalls, upcalls_joined;
	_Atomic uint64_t cache_hits, table_hits, misses;
	_Atomic uint64_t drops[DROP_N];
};

/* What one worker has of a port. */
struct port_worker {
	struct port_counters counters;
	/* The worker's alone. */
	uint32_t last_flow; /* slot of the one that took all of the last burst; UINT32_MAX: none */
	struct outline outline; /* of a decapsulating flow, while that takes what comes */
	uint32_t n_tx;
	uint32_t tx_noted; /* drops that the provider reported in this flush */
	uint64_t tx_bytes; /* in the batch */
	struct packet *tx[TX_BATCH];
} WEFT_CACHE_ALIGNED;

struct port {
	uint16_t number;
	_Atomic bool admin_up;
	_Atomic bool is_member; /* of a bond: no rx queue is assigned, outputs drop as port-gone */
	_Atomic bool link_up;   /* liveness word: told by the provider's status */
	_Atomic bool path_down; /* likewise: BFD has found that nobody answers behind the link */
	_Atomic uint16_t n_rxq, n_txq;
	_Atomic uint32_t max_len; /* longest frame that is output; a packet to be cut: its pieces */
	const struct port_provider *provider;
	struct port_dev *dev;
	struct port_worker *per_worker;                       /* n_workers + 1 */
	_Atomic(struct capture_set *) capture_rx, capture_tx; /* NULL: nobody watches */
	rte_spinlock_t tx_locks[PORT_MAX_QUEUES];
	/* Of the ports thread. */
	char name[PORT_NAME_SIZE];
	uint16_t rxq_worker[PORT_MAX_QUEUES]; /* that is to poll it; UINT16_MAX: none yet */
	/* Of a tunnel port, the workers': the number of the next packet (GRE), of all of them together. It
	 * stands among what no worker reads. */
	_Atomic uint32_t tunnel_sequence;
	uint16_t rxq_now[PORT_MAX_QUEUES]; /* that polls it; UINT16_MAX: none */
	uint64_t rxq_pinned;               /* bits of queues that somebody has assigned */
	bool published;
	struct port *bond; /* that it is a member of; NULL: none */
	void (*observer)(void *user);
	void *observer_user;
	_Atomic bool has_news; /* an event that the ports thread has not seen */
	void *user;            /* the ports thread's */
};

extern _Atomic(struct port *) port_table[DP_PORT_MAX + 2];

static inline struct port *
port_find(uint32_t number)
{
	return number <= DP_PORT_MADE
		       ? atomic_load_explicit(&port_table[number], memory_order_acquire)
		       : NULL;
}

/* Whether packets sent to a port would arrive, as far as is known: it is there, up, has a link and no path that is
 * found to be broken. Online in RCU. */
static inline bool
port_is_live(uint32_t number)
{
	const struct port *port = number <= DP_PORT_MAX ? port_find(number) : NULL;

	return port && atomic_load_explicit(&port->link_up, memory_order_relaxed) &&
	       !atomic_load_explicit(&port->path_down, memory_order_relaxed) &&
	       atomic_load_explicit(&port->admin_up, memory_order_relaxed);
}

/* The number of the calling thread's counters: a worker's, else the last. */
extern _Thread_local unsigned port_thread_slot;
extern unsigned port_n_slots; /* workers + 1 */

static inline void
counter_add(_Atomic uint64_t *counter, uint64_t n)
{
	atomic_store_explicit(counter, atomic_load_explicit(counter, memory_order_relaxed) + n,
		memory_order_relaxed);
}

/* Makes the table for @n_workers, and the pseudo port of packets that the switch makes. */
int port_init(unsigned n_workers);
void port_uninit(void);

/* --- ports thread ---------------------------------------------------------------------------------- */

/* Makes a port and opens its device by @provider. Options have been checked. Not yet visible. */
struct port *port_create(uint16_t number, const char *name, const struct port_provider *provider,
	struct port_config *config, struct weft_error *err) WEFT_REQUIRES(weft_ports);

/* Visible to workers from here on; its rx queues are polled. */
void port_publish(struct port *port) WEFT_REQUIRES(weft_ports);

/* Takes up a change of status: link, number of queues. */
void port_refresh(struct port *port, const struct port_status *status) WEFT_REQUIRES(weft_ports);

/* Stop, unpublish, grace period. */
void port_unpublish(struct port *port) WEFT_REQUIRES(weft_ports);

/* After port_unpublish() and the removal of its flows: closes the device, frees the port. */
void port_destroy(struct port *port) WEFT_REQUIRES(weft_ports);

/* Gives rx queues to workers: @workers has one for each of PORT_MAX_QUEUES queues, UINT16_MAX leaves
 * the choice to the core. */
void port_assign(struct port *port, const uint16_t workers[PORT_MAX_QUEUES])
	WEFT_REQUIRES(weft_ports);

/* --- members of a bond ------------------------------------------------------------------------------ */

/* Takes the port from the workers and its flows from the table: from here on it is @bond's. */
void port_join(struct port *port, struct port *bond) WEFT_REQUIRES(weft_ports);
/* Gives it back to the workers. */
void port_leave(struct port *port) WEFT_REQUIRES(weft_ports);

/* Calls @fn after each event of the port, in the thread that posts it, and after a change of its
 * administrative state. One observer a port; @fn NULL ends it: when that returns none runs. */
void port_observe(struct port *port, void (*fn)(void *user), void *user) WEFT_REQUIRES(weft_ports);
void port_tell_observer(struct port *port);
/* Whether packets can be sent now: link and administrative state. Any thread. */
bool port_is_up(const struct port *port);

/* Worker: sends on a member's device, as its provider's tx does. @n_lost: how many of those taken
 * were counted as dropped on the member. */
uint16_t port_member_tx(struct port *member, struct packet **pkts, uint16_t n, uint32_t *n_lost);
/* Worker: that many of the packets that @port took are counted as dropped elsewhere. */
void port_note_lost(struct port *port, uint32_t n);
/* Worker: lost on a member, but no packet of anybody's: one that the switch made. */
void port_note_made(struct port *member, uint32_t n);

/* Sums of a port's counters, any thread that may hold the port. */
struct port_sums {
	uint64_t rx_packets, rx_bytes, tx_packets, tx_bytes, made, copied, to_agent;
	uint64_t tunnel_rx_packets, tunnel_rx_bytes, tunnel_tx_packets, tunnel_tx_bytes;
	uint64_t upcalls, upcalls_joined, cache_hits, table_hits, misses, parked;
	uint64_t drops[DROP_N], dropped;
};
void port_read_counters(const struct port *port, struct port_sums *sums);
/* Adds those of ports that have been removed. */
void port_read_removed(struct port_sums *sums);
void port_sums_add(struct port_sums *to, const struct port_sums *from);
/* Those of all ports, removed ones too; and what the books are short of: 0 once no packet is on its way. */
void port_read_all(struct port_sums *sums);
int64_t port_books_missing(const struct port_sums *sums);

/* Sets the function that port_core_event() wakes the ports thread with. */
void port_set_event_handler(void (*wake)(struct port *port, enum port_event event));
