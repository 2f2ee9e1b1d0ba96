/* SPDX-License-Identifier: Apache-2.0
 *
 * Members of bonds.
 *
 * Books: the bond counts what passes it; a member's core counters have only what was lost there.
 *        LACP and marker frames are nobody's packets: they are in neither.
 */
#include "datapath/bond_member.h"

#include <errno.h>
#include <rte_bus_vdev.h>
#include <rte_errno.h>
#include <rte_eth_bond_8023ad.h>
#include <rte_eth_ring.h>
#include <rte_ethdev.h>
#include <rte_mbuf.h>
#include <rte_ring.h>
#include <stdio.h>
#include <string.h>

#include "lib/drop_reason.h"
#include "lib/error.h"
#include "vhost/packet_mbuf.h"

#define RING_SIZE 512u /* more than a burst of the bond, and than the LACP frames of a while */
#define SLOW_LEN sizeof(struct lacpdu_header)

_Static_assert(sizeof(struct marker_header) == SLOW_LEN, "both are 124 bytes, without FCS");

/* --- life --------------------------------------------------------------------------------------------------- */

static struct rte_ring *
make_ring(const struct bond_member *m, const char *way)
{
	char name[32];

	snprintf(name, sizeof name, "weft_member%u_%s", m->port->number, way);
	return rte_ring_create(name, RING_SIZE, SOCKET_ID_ANY, RING_F_SP_ENQ | RING_F_SC_DEQ);
}

bool
bond_member_open(struct bond_member *m, struct port *port, struct port *bond,
	struct rte_mempool *pool, bool is_lacp, const uint8_t mac[6], struct weft_error *err)
{
	struct rte_ether_addr address;
	const char *name;
	int id, rc;

	m->port = port;
	m->bond = bond;
	m->pool = pool;
	m->is_lacp = is_lacp;
	m->id = RTE_MAX_ETHPORTS;
	m->rx = make_ring(m, "rx");
	m->tx = m->rx ? make_ring(m, "tx") : NULL;
	if (!m->tx) {
		weft_error_set(err, WEFT_ERR_SYSTEM, rte_errno, "port %s: no memory for a member",
			port->name);
		goto close;
	}
	for (unsigned q = 0; q < PORT_MAX_QUEUES; q++) {
		m->fds[q] = -1;
	}
	snprintf(m->device, sizeof m->device, "net_ring_weft%u", port->number);
	name = m->device + strlen("net_ring_"); /* which it puts in front */
	id = rte_eth_from_rings(name, &m->rx, 1, &m->tx, 1, 0);
	if (id < 0 || id >= RTE_MAX_ETHPORTS) {
		m->device[0] = '\0';
		weft_error_set(err, WEFT_ERR_SYSTEM, ENOSPC,
			"port %s: DPDK has no device left for a member; it was built for %d",
			port->name, RTE_MAX_ETHPORTS);
		goto close;
	}
	m->id = (uint16_t)id;
	/* The device has room for one address and none yet: the first one added is its own. All members
	 * have the bond's, which is the system's name to LACP. */
	memcpy(&address, mac, sizeof address);
	rc = rte_eth_dev_mac_addr_add(m->id, &address, 0);
	if (!rc) {
		return true;
	}
	weft_error_set(err, WEFT_ERR_SYSTEM, -rc, "port %s: cannot give a member its address: %s",
		port->name, rte_strerror(-rc));
close:
	bond_member_close(m);
	return false;
}

static void
free_ring(struct rte_ring *ring)
{
	void *m;

	while (ring && !rte_ring_dequeue(ring, &m)) {
		rte_pktmbuf_free(m);
	}
	rte_ring_free(ring);
}

void
bond_member_close(struct bond_member *m)
{
	if (m->device[0]) {
		(void)rte_eth_dev_close(m->id);
		(void)rte_vdev_uninit(m->device);
	}
	free_ring(m->rx);
	free_ring(m->tx);
	m->device[0] = '\0';
	m->rx = m->tx = NULL;
	m->port = NULL;
	atomic_store(&m->is_up, false);
}

void
bond_member_tell_link(struct bond_member *m)
{
	bool up = port_is_up(m->port);

	atomic_store(&m->is_up, up);
	/* net_bonding looks at the device's link within 10 ms. */
	(void)(up ? rte_eth_dev_set_link_up(m->id) : rte_eth_dev_set_link_down(m->id));
}

/* --- packets ------------------------------------------------------------------------------------------------ */

bool
bond_is_slow(const struct packet *p)
{
	return p->len >= sizeof(struct rte_ether_hdr) + 1 &&
	       p->data[12] == RTE_ETHER_TYPE_SLOW >> 8 &&
	       p->data[13] == (RTE_ETHER_TYPE_SLOW & 0xff) &&
	       (p->data[14] == SLOW_SUBTYPE_LACP || p->data[14] == SLOW_SUBTYPE_MARKER);
}

/* Gives received frames to the device; how many it got. */
static uint16_t
put_received(struct bond_member *m, struct packet **pkts, uint16_t n, uint32_t *n_slow)
{
	struct rte_mbuf *mbufs[BOND_MEMBER_BURST];
	uint32_t slow = 0, kept = 0;
	uint64_t bytes = 0;

	for (uint16_t i = 0; i < n; i++) {
		struct packet *p = pkts[i];
		bool is_slow = m->is_lacp && bond_is_slow(p);

		bytes += p->len;
		slow += is_slow;
		if (WEFT_UNLIKELY(is_slow && p->len < SLOW_LEN)) {
			/* net_bonding believes their length. */
			port_core_rx_drop(m->bond, DROP_RX_TRUNCATED, 1);
			rte_pktmbuf_free(packet_mbuf(p));
			continue;
		}
		*n_slow += is_slow;
		p->in_port = m->bond->number;
		p->rx_queue = 0;
		mbufs[kept++] = packet_mbuf(p);
	}
	counter_add(&m->rx_packets, n);
	counter_add(&m->rx_bytes, bytes);
	counter_add(&m->rx_slow, slow);
	/* The ring is empty between bursts: there is room. */
	return (uint16_t)rte_ring_enqueue_burst(m->rx, (void *const *)mbufs, kept, NULL);
}

uint16_t
bond_member_fill(struct bond_member *m, uint16_t n, uint32_t *n_slow)
{
	uint16_t n_queues = atomic_load_explicit(&m->port->n_rxq, memory_order_relaxed);
	uint16_t got = 0;

	for (uint16_t i = 0; i < n_queues && got < n; i++) {
		struct packet *pkts[BOND_MEMBER_BURST];
		uint16_t queue = (uint16_t)((m->next_queue + i) % n_queues);
		uint16_t room = WEFT_MIN((uint16_t)(n - got), (uint16_t)BOND_MEMBER_BURST);
		uint16_t more = m->port->provider->rx(m->port->dev, queue, pkts, room);

		got = (uint16_t)(got + (more ? put_received(m, pkts, more, n_slow) : 0));
	}
	m->next_queue++;
	return got;
}

void
bond_member_drain(struct bond_member *m)
{
	void *left;

	while (WEFT_UNLIKELY(!rte_ring_dequeue(m->rx, &left))) {
		rte_pktmbuf_free(left);
	}
}

/* Frames of LACP come from a pool of net_bonding's, whose buffers have no room for a packet's
 * metadata; or they are marker frames that it answers in place. */
static struct packet *
take_slow(struct bond_member *m, struct rte_mbuf *mbuf)
{
	struct rte_mbuf *copy = rte_pktmbuf_copy(mbuf, m->pool, 0, UINT32_MAX);

	rte_pktmbuf_free(mbuf);
	if (!copy) {
		return NULL; /* the next one comes soon enough */
	}
	packet_init_from_mbuf(packet_of_mbuf(copy), copy, DP_PORT_MADE, 0);
	return packet_of_mbuf(copy);
}

static void
send_slow(struct bond_member *m, struct rte_mbuf *mbuf)
{
	struct packet *p = take_slow(m, mbuf);
	uint32_t len = p ? p->len : 0, n_lost;

	if (!p) {
		return;
	}
	if (!port_member_tx(m->port, &p, 1, &n_lost)) {
		rte_pktmbuf_free(packet_mbuf(p));
		return;
	}
	if (n_lost) {
		port_note_made(m->port, n_lost);
		return;
	}
	counter_add(&m->tx_packets, 1);
	counter_add(&m->tx_bytes, len);
	counter_add(&m->tx_slow, 1);
}

static void
send_packets(struct bond_member *m, struct packet **pkts, uint16_t n)
{
	bool is_up = atomic_load_explicit(&m->is_up, memory_order_relaxed);
	uint64_t bytes = 0;
	uint32_t n_lost = 0;
	uint16_t taken = 0;

	/* Those that the member takes cannot be looked at any more. */
	for (uint16_t i = 0; i < n; i++) {
		bytes += pkts[i]->len;
	}
	/* net_bonding may not have seen yet that it is down. */
	if (WEFT_LIKELY(is_up)) {
		taken = port_member_tx(m->port, pkts, n, &n_lost);
		port_note_lost(m->bond, n_lost);
	}
	for (uint16_t i = taken; i < n; i++) {
		bytes -= pkts[i]->len;
		rte_pktmbuf_free(packet_mbuf(pkts[i]));
	}
	counter_add(&m->tx_packets, taken - n_lost);
	counter_add(&m->tx_bytes, bytes);
	if (taken < n) {
		port_core_tx_drop(m->bond, is_up ? DROP_TX_FULL : DROP_TX_DOWN, n - taken);
	}
}

void
bond_member_flush(struct bond_member *m)
{
	struct rte_mbuf *mbufs[BOND_MEMBER_BURST];
	unsigned n;

	while ((n = rte_ring_dequeue_burst(m->tx, (void **)mbufs, BOND_MEMBER_BURST, NULL))) {
		struct packet *pkts[BOND_MEMBER_BURST];
		uint16_t n_pkts = 0;

		for (unsigned i = 0; i < n; i++) {
			bool is_foreign =
				rte_pktmbuf_priv_size(mbufs[i]->pool) < sizeof(struct packet);

			/* The bond takes no slow frames from the switch: these are net_bonding's. */
			if (m->is_lacp && (is_foreign || bond_is_slow(packet_of_mbuf(mbufs[i])))) {
				send_slow(m, mbufs[i]);
			} else {
				pkts[n_pkts++] = packet_of_mbuf(mbufs[i]);
			}
		}
		if (n_pkts) {
			send_packets(m, pkts, n_pkts);
		}
	}
}
