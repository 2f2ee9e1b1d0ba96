/* SPDX-License-Identifier: Apache-2.0
 *
 * Ports, the core's half.
 */
#include "datapath/port.h"

#include <errno.h>
#include <pthread.h>
#include <stdlib.h>
#include <string.h>

#include "datapath/rcu.h"
#include "datapath/tables.h"
#include "datapath/upcall.h"
#include "datapath/worker.h"
#include "lib/alloc.h"

_Atomic(struct port *) port_table[DP_PORT_MAX + 2];
_Thread_local unsigned port_thread_slot = UINT32_MAX;
unsigned port_n_slots;

static struct port_sums removed; /* counters of ports that are gone; ports thread */
static void (*wake_ports)(struct port *port, enum port_event event);
static pthread_mutex_t observers = PTHREAD_MUTEX_INITIALIZER; /* of observer, observer_user */

static unsigned
own_slot(void)
{
	return port_thread_slot < port_n_slots ? port_thread_slot : port_n_slots - 1;
}

static struct port *
port_alloc(uint16_t number, const char *name)
{
	struct port *port = xcalloc(1, sizeof *port);

	port->number = number;
	strncpy(port->name, name, sizeof port->name - 1);
	port->per_worker = xaligned(64, port_n_slots * sizeof port->per_worker[0]);
	for (unsigned q = 0; q < PORT_MAX_QUEUES; q++) {
		rte_spinlock_init(&port->tx_locks[q]);
		port->rxq_worker[q] = port->rxq_now[q] = UINT16_MAX;
	}
	port->admin_up = true;
	port->n_txq = 1;
	port->max_len = PACKET_MAX_LEN;
	return port;
}

static void
port_free(struct port *port)
{
	free(port->per_worker);
	free(port);
}

int
port_init(unsigned n_workers)
{
	port_n_slots = n_workers + 1;
	memset(&removed, 0, sizeof removed);
	atomic_store(&port_table[DP_PORT_MADE], port_alloc(DP_PORT_MADE, "switch"));
	return 0;
}

void
port_uninit(void)
{
	struct port *made = atomic_exchange(&port_table[DP_PORT_MADE], NULL);

	if (made) {
		port_free(made);
	}
}

struct port *
port_create(uint16_t number, const char *name, const struct port_provider *provider,
	struct port_config *config, struct weft_error *err)
{
	struct port *port = port_alloc(number, name);

	port->provider = provider;
	config->port = port;
	config->name = port->name;
	config->type = provider->type;
	config->number = number;
	port->dev = provider->open(config, err);
	if (!port->dev) {
		port_free(port);
		return NULL;
	}
	return port;
}

static void
take_status(struct port *port, const struct port_status *status)
{
	uint16_t n_txq = WEFT_MAX(status->n_txq, (uint16_t)1);

	atomic_store(&port->link_up, status->link_up);
	atomic_store(&port->max_len, status->max_len ? status->max_len : PACKET_MAX_LEN);
	atomic_store(&port->n_rxq, WEFT_MIN(status->n_rxq, (uint16_t)PORT_MAX_QUEUES));
	atomic_store(&port->n_txq, WEFT_MIN(n_txq, (uint16_t)PORT_MAX_QUEUES));
}

void
port_publish(struct port *port)
{
	struct port_status status = {0};

	port->provider->status(port->dev, &status);
	take_status(port, &status);
	atomic_store_explicit(&port_table[port->number], port, memory_order_release);
	port->published = true;
	workers_assign_queues();
}

void
port_refresh(struct port *port, const struct port_status *status)
{
	bool queues = status->n_rxq != port->n_rxq;

	take_status(port, status);
	if (queues && port->published) {
		workers_assign_queues();
	} else if (port->published) {
		/* A peer has come to a queue that had nothing to wait on (-ENODEV). */
		for (unsigned w = 0; w < workers.n; w++) {
			worker_kick(workers.list[w]);
		}
	}
	port_tell_observer(port);
}

void
port_unpublish(struct port *port)
{
	port->published = false;
	workers_assign_queues();
	atomic_store_explicit(&port_table[port->number], NULL, memory_order_release);
	rcu_synchronize();
}

void
port_destroy(struct port *port)
{
	struct port_sums sums;

	port->provider->close(port->dev);
	port_read_counters(port, &sums);
	sums.parked = 0; /* purged */
	port_sums_add(&removed, &sums);
	port_free(port);
}

void
port_assign(struct port *port, const uint16_t wanted[PORT_MAX_QUEUES])
{
	port->rxq_pinned = 0;
	for (unsigned q = 0; q < PORT_MAX_QUEUES; q++) {
		if (wanted[q] != UINT16_MAX) {
			port->rxq_worker[q] = wanted[q];
			port->rxq_pinned |= UINT64_C(1) << q;
		}
	}
	if (port->published) {
		workers_assign_queues();
	}
}

#define COUNTER(NAME) sums->NAME += atomic_load_explicit(&c->NAME, memory_order_relaxed)

void
port_read_counters(const struct port *port, struct port_sums *sums)
{
	memset(sums, 0, sizeof *sums);
	for (unsigned w = 0; w < port_n_slots; w++) {
		const struct port_counters *c = &port->per_worker[w].counters;

		COUNTER(rx_packets);
		COUNTER(rx_bytes);
		COUNTER(tx_packets);
		COUNTER(tx_bytes);
		COUNTER(made);
		COUNTER(copied);
		COUNTER(to_agent);
		COUNTER(tunnel_rx_packets);
		COUNTER(tunnel_rx_bytes);
		COUNTER(tunnel_tx_packets);
		COUNTER(tunnel_tx_bytes);
		COUNTER(upcalls);
		COUNTER(upcalls_joined);
		COUNTER(cache_hits);
		COUNTER(table_hits);
		COUNTER(misses);
		for (unsigned r = 0; r < DROP_N; r++) {
			COUNTER(drops[r]);
		}
	}
	for (unsigned w = 0; w < workers.n; w++) {
		sums->parked += park_count(workers.list[w], port->number);
	}
	for (unsigned r = 0; r < DROP_N; r++) {
		sums->dropped += sums->drops[r];
	}
}

void
port_read_removed(struct port_sums *sums)
{
	*sums = removed;
}

void
port_sums_add(struct port_sums *to, const struct port_sums *from)
{
	/* All members are 64-bit counts. */
	uint64_t *t = (uint64_t *)to;
	const uint64_t *f = (const uint64_t *)from;

	for (size_t i = 0; i < sizeof *to / sizeof *t; i++) {
		t[i] += f[i];
	}
}

void
port_read_all(struct port_sums *sums)
{
	struct port_sums one;

	port_read_removed(sums);
	for (uint32_t n = 0; n <= DP_PORT_MADE; n++) {
		const struct port *port = port_find(n);

		if (port) {
			port_read_counters(port, &one);
			port_sums_add(sums, &one);
		}
	}
}

int64_t
port_books_missing(const struct port_sums *s)
{
	return (int64_t)(s->rx_packets + s->made + s->copied - s->tx_packets - s->to_agent -
			 s->dropped - s->parked);
}

void
port_set_event_handler(void (*wake)(struct port *port, enum port_event event))
{
	wake_ports = wake;
}

void
port_core_event(struct port *port, enum port_event event)
{
	port_tell_observer(port);
	if (wake_ports) {
		wake_ports(port, event);
	}
}

void
port_core_synchronize(void)
{
	rcu_synchronize();
}

void
port_core_tx_drop(struct port *port, unsigned reason, uint32_t n)
{
	struct port_worker *pw = &port->per_worker[own_slot()];

	counter_add(&pw->counters.drops[reason], n);
	pw->tx_noted += n;
}

void
port_core_rx_drop(struct port *port, unsigned reason, uint32_t n)
{
	struct port_worker *pw = &port->per_worker[own_slot()];

	counter_add(&pw->counters.rx_packets, n);
	counter_add(&pw->counters.drops[reason], n);
}

/* --- members of a bond ------------------------------------------------------------------------------ */

void
port_join(struct port *port, struct port *bond)
{
	port->bond = bond;
	for (unsigned q = 0; q < PORT_MAX_QUEUES; q++) {
		if (!(port->rxq_pinned >> q & 1)) {
			port->rxq_worker[q] = UINT16_MAX;
		}
	}
	atomic_store(&port->is_member, true);
	workers_assign_queues();
	tables_flush_port(port->number);
}

void
port_leave(struct port *port)
{
	atomic_store(&port->is_member, false);
	port->bond = NULL;
	workers_assign_queues();
}

void
port_observe(struct port *port, void (*fn)(void *user), void *user)
{
	pthread_mutex_lock(&observers);
	port->observer = fn;
	port->observer_user = user;
	pthread_mutex_unlock(&observers);
}

void
port_tell_observer(struct port *port)
{
	if (!atomic_load(&port->is_member)) {
		return;
	}
	pthread_mutex_lock(&observers);
	if (port->observer) {
		port->observer(port->observer_user);
	}
	pthread_mutex_unlock(&observers);
}

bool
port_is_up(const struct port *port)
{
	bool link = port->provider->is_up ? port->provider->is_up(port->dev)
					  : atomic_load(&port->link_up);

	return link && atomic_load(&port->admin_up);
}

uint16_t
port_member_tx(struct port *member, struct packet **pkts, uint16_t n, uint32_t *n_lost)
{
	struct port_worker *pw = &member->per_worker[own_slot()];
	uint16_t taken;

	pw->tx_noted = 0;
	taken = member->provider->tx(member->dev, 0, pkts, n);
	*n_lost = pw->tx_noted;
	return taken;
}

void
port_note_lost(struct port *port, uint32_t n)
{
	port->per_worker[own_slot()].tx_noted += n;
}

void
port_note_made(struct port *member, uint32_t n)
{
	counter_add(&member->per_worker[own_slot()].counters.made, n);
}
