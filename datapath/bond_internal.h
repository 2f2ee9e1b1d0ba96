/* SPDX-License-Identifier: Apache-2.0
 *
 * Port type bond: its parts, as its files see each other:
 *   bond_port.c      the type: made, changed, members join and leave
 *   bond_burst.c     packets
 *   bond_listing.c   status and details
 *   bond_member.c    a port as an ethdev
 *   bond_pmd.c       a device of net_bonding
 *
 * Threads: workers call rx and tx while is_paused is false; the ports thread pauses them, waits for a
 *          grace period, changes what they look at (present, net_bonding's members) and lets them
 *          go on. The members' events come in any thread: they look at the lists under the lock.
 * Locks:   tx_lock is held by whoever calls net_bonding's tx: senders, and the poller when LACP
 *          frames may be due. Order: liveness or observers (port.c), then lock.
 */
#pragma once

#include <jansson.h>
#include <pthread.h>
#include <rte_eth_bond.h>
#include <rte_spinlock.h>
#include <stdatomic.h>
#include <stdbool.h>
#include <stdint.h>

#include "datapath/bond_member.h"
#include "datapath/bond_pmd.h"
#include "datapath/port.h"
#include "lib/list.h"

struct liveness_watch;
struct rte_mempool;

#define BOND_MAX_MEMBERS 8u
#define BOND_N_MODES (BONDING_MODE_8023AD + 1)

struct member_list {
	unsigned n;
	struct bond_member *list[BOND_MAX_MEMBERS];
};

struct port_dev {
	struct list link; /* of bonds */
	struct port *port;
	struct rte_mempool *pool;
	struct bond_pmd pmd;
	uint8_t mode;
	uint8_t mac[6];
	char primary[PORT_NAME_SIZE]; /* empty: none preferred */
	struct member_list members;   /* ports thread writes, others read, under lock */
	pthread_mutex_t lock;
	struct liveness_watch *watch;
	/* Of the workers; changed while they are paused. */
	_Atomic bool is_paused;
	struct member_list present;
	unsigned next;       /* member to be asked first */
	uint64_t slow_tsc;   /* when LACP frames were looked for */
	uint64_t slow_every; /* in TSC */
	int epoll_fd, timer_fd;
	rte_spinlock_t tx_lock;
};

/* By net_bonding's number; NULL: not offered. */
extern const char *const bond_mode_names[BOND_N_MODES];

/* Whether the member sends what the bond is given; whether any does. Under the lock, or on the ports
 * thread. */
bool bond_is_distributing(const struct port_dev *dev, const struct bond_member *m);
bool bond_is_live(const struct port_dev *dev);

/* As of struct port_provider. */
void bond_status(struct port_dev *dev, struct port_status *status);
json_t *bond_details(struct port_dev *dev);
uint16_t bond_rx(struct port_dev *dev, uint16_t queue, struct packet **pkts, uint16_t n);
uint16_t bond_tx(struct port_dev *dev, uint16_t queue, struct packet **pkts, uint16_t n);
int bond_rx_sleep(struct port_dev *dev, uint16_t queue);
void bond_rx_woken(struct port_dev *dev, uint16_t queue);
