/* SPDX-License-Identifier: Apache-2.0
 *
 * Bond member: a port of any type, as an ethdev that DPDK's net_bonding takes for its own.
 *
 *                 fill                                       flush
 *     provider.rx ----> ring ----> net_bonding ----> ring ----------> provider.tx
 *                        (rx and tx of a net_ring device)
 *
 * What:    net_bonding wants ethdevs; the ports of kernel devices are none, and drivers of DPDK
 *          that would make some lose tags, offload state and link changes. So each member stands
 *          behind a device of DPDK's net_ring: what the port's provider receives is put into its
 *          rx ring before net_bonding is asked, and what net_bonding has put into its tx ring is
 *          sent by the provider right after. A packet's metadata travels with it, in the buffer.
 * Link:    that of the device is the port's, told by the port's events.
 * Threads: open and close: ports thread. fill: the worker that polls the bond. flush: a worker that
 *          holds the bond's tx lock. The link: any thread. Counters: see there.
 * Why:     an ethdev driver of our own would need DPDK's driver headers, which distributions do not
 *          install.
 */
#pragma once

#include <stdatomic.h>
#include <stdbool.h>
#include <stdint.h>

#include "datapath/port.h"
#include "lib/compiler.h"

struct rte_mbuf;
struct rte_mempool;
struct rte_ring;
struct weft_error;

#define BOND_MEMBER_BURST 64u

struct bond_member {
	char name[PORT_NAME_SIZE];
	struct port *port; /* NULL: it is not there (yet) */
	struct port *bond;
	struct rte_mempool *pool;
	struct rte_ring *rx, *tx;
	char device[32]; /* net_ring's */
	uint16_t id;     /* ethdev */
	bool is_lacp;    /* LACP and marker frames are the bond's own */
	bool was_up;     /* ports thread: as logged last */
	uint16_t next_queue;
	int fds[PORT_MAX_QUEUES]; /* in the bond's epoll set; -1: none */
	_Atomic bool is_up;
	/* Written by the worker that polls; slow: LACP and marker frames among them. */
	_Atomic uint64_t rx_packets, rx_bytes, rx_slow;
	/* Written by the holder of the bond's tx lock. */
	_Atomic uint64_t tx_packets, tx_bytes, tx_slow;
};

/* Makes the device for @port, which has joined the bond. Its link is down until
 * bond_member_tell_link(). */
bool bond_member_open(struct bond_member *m, struct port *port, struct port *bond,
	struct rte_mempool *pool, bool is_lacp, const uint8_t mac[6],
	struct weft_error *err) WEFT_MUST_CHECK;
/* It must not be net_bonding's any more. Frees what is in the rings. */
void bond_member_close(struct bond_member *m);

/* Tells the device whether the port is up. */
void bond_member_tell_link(struct bond_member *m);

/* Receives up to @n frames from the port into the device, and adds to @n_slow how many of them are
 * LACP or marker frames. */
uint16_t bond_member_fill(struct bond_member *m, uint16_t n, uint32_t *n_slow);
/* Frees what net_bonding did not take. */
void bond_member_drain(struct bond_member *m);
/* Sends what net_bonding has given to the device. */
void bond_member_flush(struct bond_member *m);

/* Whether the frame is LACP or marker, untagged (802.3 annex 57A, 802.1AX section 6.4). */
bool bond_is_slow(const struct packet *p);
