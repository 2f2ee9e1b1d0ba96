/* SPDX-License-Identifier: Apache-2.0
 *
 * Bonds: packets.
 *
 * Threads: workers.
 */
#include <errno.h>
#include <rte_cycles.h>
#include <rte_ethdev.h>
#include <rte_mbuf.h>
#include <sys/epoll.h>
#include <unistd.h>

#include "datapath/bond_internal.h"
#include "lib/compiler.h"
#include "lib/drop_reason.h"
#include "vhost/packet_mbuf.h"

/* LACP frames leave with a call of tx, also when nothing else does. */
static void
send_slow(struct port_dev *dev)
{
	uint64_t now = rte_rdtsc();

	if (now - dev->slow_tsc < dev->slow_every || !rte_spinlock_trylock(&dev->tx_lock)) {
		return;
	}
	dev->slow_tsc = now;
	(void)rte_eth_tx_burst(dev->pmd.id, 0, NULL, 0);
	for (unsigned i = 0; i < dev->present.n; i++) {
		bond_member_flush(dev->present.list[i]);
	}
	rte_spinlock_unlock(&dev->tx_lock);
}

uint16_t
bond_rx(struct port_dev *dev, uint16_t queue, struct packet **pkts, uint16_t n)
{
	struct rte_mbuf *mbufs[BOND_MEMBER_BURST];
	uint32_t n_slow = 0;
	uint16_t entered = 0, got;

	if (WEFT_UNLIKELY(atomic_load(&dev->is_paused) || !dev->present.n)) {
		return 0;
	}
	n = WEFT_MIN(n, (uint16_t)BOND_MEMBER_BURST);
	dev->next++;
	for (unsigned i = 0; i < dev->present.n && entered < n; i++) {
		struct bond_member *m = dev->present.list[(dev->next + i) % dev->present.n];

		entered =
			(uint16_t)(entered + bond_member_fill(m, (uint16_t)(n - entered), &n_slow));
	}
	if (dev->mode == BONDING_MODE_8023AD) {
		send_slow(dev);
	}
	if (!entered) {
		return 0;
	}
	/* No more than it is asked for has entered: it leaves in the rings only what it does not look
	 * at, frames that came by members which are not in use. */
	got = rte_eth_rx_burst(dev->pmd.id, queue, mbufs, n);
	for (unsigned i = 0; i < dev->present.n; i++) {
		bond_member_drain(dev->present.list[i]);
	}
	if (WEFT_UNLIKELY(entered > got + n_slow)) {
		port_core_rx_drop(dev->port, DROP_BOND_INACTIVE, entered - got - n_slow);
	}
	for (uint16_t i = 0; i < got; i++) {
		pkts[i] = packet_of_mbuf(mbufs[i]);
	}
	return got;
}

/* Puts those that can be sent into @mbufs, and drops the others; how many can be. */
static uint16_t
choose_packets(struct port_dev *dev, struct packet **pkts, uint16_t n, struct rte_mbuf **mbufs)
{
	uint16_t kept = 0;

	for (uint16_t i = 0; i < n; i++) {
		struct rte_mbuf *m = packet_mbuf(pkts[i]);

		/* Forged by whom the switch serves, the partner would believe it. */
		if (WEFT_UNLIKELY(dev->mode == BONDING_MODE_8023AD && bond_is_slow(pkts[i]))) {
			port_core_tx_drop(dev->port, DROP_SLOW_PROTOCOL, 1);
			rte_pktmbuf_free(m);
			continue;
		}
		mbufs[kept++] = m;
	}
	return kept;
}

static uint16_t
send_batch(struct port_dev *dev, struct packet **pkts, uint16_t n)
{
	struct rte_mbuf *mbufs[BOND_MEMBER_BURST];
	uint16_t kept = choose_packets(dev, pkts, n, mbufs), sent;
	uint16_t done = (uint16_t)(n - kept);

	sent = kept ? rte_eth_tx_burst(dev->pmd.id, 0, mbufs, kept) : 0;
	/* net_bonding has put those that it did not take to the end. */
	done = (uint16_t)(done + sent);
	for (uint16_t i = sent; i < kept; i++) {
		pkts[done + i - sent] = packet_of_mbuf(mbufs[i]);
	}
	for (unsigned i = 0; i < dev->present.n; i++) {
		bond_member_flush(dev->present.list[i]);
	}
	return done;
}

uint16_t
bond_tx(struct port_dev *dev, uint16_t queue, struct packet **pkts, uint16_t n)
{
	uint16_t done = 0;

	(void)queue;
	if (WEFT_UNLIKELY(atomic_load(&dev->is_paused) || !dev->present.n)) {
		return 0;
	}
	rte_spinlock_lock(&dev->tx_lock);
	while (done < n) {
		uint16_t batch = WEFT_MIN((uint16_t)(n - done), (uint16_t)BOND_MEMBER_BURST);
		uint16_t sent = send_batch(dev, pkts + done, batch);

		done = (uint16_t)(done + sent);
		if (sent < batch) {
			break;
		}
	}
	rte_spinlock_unlock(&dev->tx_lock);
	return done;
}

/* Withdraws the wish of the members before @end to be woken. */
static void
wake_members(struct port_dev *dev, unsigned end)
{
	for (unsigned i = 0; i < end; i++) {
		struct port *port = dev->present.list[i]->port;

		for (uint16_t q = 0; port->provider->rx_woken && q < port->n_rxq; q++) {
			port->provider->rx_woken(port->dev, q);
		}
	}
}

/* Puts the descriptor of a queue into the set, if it is not there. */
static int
watch_queue(struct port_dev *dev, struct bond_member *m, uint16_t queue)
{
	struct port *port = m->port;
	struct epoll_event event = {.events = EPOLLIN};
	int fd = port->provider->rx_sleep ? port->provider->rx_sleep(port->dev, queue) : -ENOTSUP;

	if (fd == -ENODEV || (fd >= 0 && fd == m->fds[queue])) {
		return 0;
	}
	if (fd < 0) {
		return fd;
	}
	if (m->fds[queue] >= 0) {
		(void)epoll_ctl(dev->epoll_fd, EPOLL_CTL_DEL, m->fds[queue], NULL);
	}
	m->fds[queue] = epoll_ctl(dev->epoll_fd, EPOLL_CTL_ADD, fd, &event) ? -1 : fd;
	return m->fds[queue] < 0 ? -ENOTSUP : 0;
}

int
bond_rx_sleep(struct port_dev *dev, uint16_t queue)
{
	(void)queue;
	if (atomic_load(&dev->is_paused)) {
		return -EAGAIN;
	}
	for (unsigned i = 0; i < dev->present.n; i++) {
		struct bond_member *m = dev->present.list[i];

		for (uint16_t q = 0; q < m->port->n_rxq; q++) {
			int rc = watch_queue(dev, m, q);

			if (rc) {
				wake_members(dev, i + 1);
				return rc;
			}
		}
	}
	return dev->epoll_fd;
}

void
bond_rx_woken(struct port_dev *dev, uint16_t queue)
{
	uint64_t n;

	(void)queue;
	if (dev->timer_fd >= 0 && read(dev->timer_fd, &n, sizeof n) < 0) {
		/* EAGAIN: it was not the timer. */
	}
	if (!atomic_load(&dev->is_paused)) {
		wake_members(dev, dev->present.n);
	}
}
