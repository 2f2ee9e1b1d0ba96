/* SPDX-License-Identifier: Apache-2.0
 *
 * Workers: who polls which receive queue.
 */
#include <stdlib.h>
#include <string.h>

#include "datapath/rcu.h"
#include "datapath/worker.h"
#include "lib/alloc.h"

/* First pass: a queue that has a worker stays there. Second: the others go where the fewest are. */
static void
place_queue(struct rx_list **lists, unsigned n_workers, struct port *port, uint16_t queue,
	unsigned pass)
{
	uint16_t to = port->rxq_worker[queue];
	bool placed = to < n_workers && lists[to]->n && pass;

	if (pass == 0 && to >= n_workers) {
		return;
	}
	if (pass) {
		for (unsigned i = 0; placed && i < lists[to]->n; i++) {
			if (lists[to]->queues[i].port == port &&
				lists[to]->queues[i].queue == queue) {
				return;
			}
		}
		to = 0;
		for (unsigned i = 1; i < n_workers; i++) {
			to = lists[i]->n < lists[to]->n ? (uint16_t)i : to;
		}
		port->rxq_worker[queue] = to;
	}
	lists[to]->queues[lists[to]->n++] = (struct rx_queue){port, queue};
}

static bool
is_polled(const struct port *port)
{
	return port && port->published && !port->is_member;
}

/* Evens the lists out by moving queues that nobody has assigned. */
static void
even_out(struct rx_list **lists, unsigned n_workers)
{
	for (;;) {
		unsigned most = 0, fewest = 0, i;

		for (unsigned w = 1; w < n_workers; w++) {
			most = lists[w]->n > lists[most]->n ? w : most;
			fewest = lists[w]->n < lists[fewest]->n ? w : fewest;
		}
		if (!n_workers || lists[most]->n <= lists[fewest]->n + 1) {
			return;
		}
		for (i = lists[most]->n; i > 0; i--) {
			const struct rx_queue *rxq = &lists[most]->queues[i - 1];

			if (!(rxq->port->rxq_pinned >> rxq->queue & 1)) {
				break;
			}
		}
		if (!i) {
			return;
		}
		lists[most]->queues[i - 1].port->rxq_worker[lists[most]->queues[i - 1].queue] =
			(uint16_t)fewest;
		lists[fewest]->queues[lists[fewest]->n++] = lists[most]->queues[i - 1];
		lists[most]->queues[i - 1] = lists[most]->queues[--lists[most]->n];
	}
}

/* Takes the lists and gives them to the workers; waits until the old ones are out of use. */
static void
publish_lists(struct rx_list **lists, unsigned n_workers)
{
	struct rx_list *was[DP_MAX_WORKERS];

	for (unsigned w = 0; w < n_workers; w++) {
		for (unsigned i = 0; i < lists[w]->n; i++) {
			lists[w]->queues[i].port->rxq_now[lists[w]->queues[i].queue] = (uint16_t)w;
		}
		was[w] = atomic_exchange_explicit(
			&workers.list[w]->rx, lists[w], memory_order_acq_rel);
		worker_kick(workers.list[w]);
	}
	rcu_synchronize();
	for (unsigned w = 0; w < n_workers; w++) {
		free(was[w]);
	}
}

/* Takes the queues that change their worker from the workers that have them. */
static void
withdraw_moving(struct rx_list **lists, unsigned n_workers)
{
	struct rx_list *staying[DP_MAX_WORKERS];
	bool moving = false;

	for (unsigned w = 0; w < n_workers; w++) {
		size_t size = sizeof *staying[w] + (lists[w]->n + 1) * sizeof lists[w]->queues[0];

		staying[w] = xcalloc(1, size);
		for (unsigned i = 0; i < lists[w]->n; i++) {
			const struct rx_queue *rxq = &lists[w]->queues[i];
			uint16_t now = rxq->port->rxq_now[rxq->queue];

			if (now == w || now == UINT16_MAX) {
				staying[w]->queues[staying[w]->n++] = *rxq;
			} else {
				moving = true;
			}
		}
	}
	if (moving) {
		publish_lists(staying, n_workers);
		return;
	}
	for (unsigned w = 0; w < n_workers; w++) {
		free(staying[w]);
	}
}

/* Who polls nothing now is known before ports are told of their workers. */
static void
forget_absent(void)
{
	for (uint32_t number = 0; number <= DP_PORT_MAX; number++) {
		struct port *port = port_table[number];

		for (unsigned q = is_polled(port) ? port->n_rxq : 0; port && q < PORT_MAX_QUEUES;
			q++) {
			port->rxq_now[q] = UINT16_MAX;
		}
	}
}

void
workers_assign_queues(void)
{
	struct rx_list *fresh[DP_MAX_WORKERS];
	unsigned total = 0, n_workers = workers.n;

	for (uint32_t number = 0; number <= DP_PORT_MAX; number++) {
		struct port *port = port_table[number];

		total += is_polled(port) ? port->n_rxq : 0;
	}
	for (unsigned i = 0; i < n_workers; i++) {
		fresh[i] = xcalloc(1, sizeof *fresh[i] + (total + 1) * sizeof fresh[i]->queues[0]);
	}
	/* Queues keep their worker; the others go where the fewest are. */
	for (unsigned pass = 0; pass < 2; pass++) {
		for (uint32_t number = 0; number <= DP_PORT_MAX; number++) {
			struct port *port = port_table[number];

			for (uint16_t q = 0; is_polled(port) && q < port->n_rxq; q++) {
				place_queue(fresh, n_workers, port, q, pass);
			}
		}
	}
	even_out(fresh, n_workers);
	withdraw_moving(fresh, n_workers);
	publish_lists(fresh, n_workers);
	forget_absent();
}
