/* SPDX-License-Identifier: Apache-2.0
 *
 * Devices of net_bonding.
 *
 * Why: net_bonding does not start without a member, and not with one that cannot change its address,
 *      as net_ring's cannot; later it does not mind either. So it is started with a device of
 *      net_null, which is taken out again at once.
 */
#include "datapath/bond_pmd.h"

#include <errno.h>
#include <rte_alarm.h>
#include <rte_bus_vdev.h>
#include <rte_errno.h>
#include <rte_eth_bond.h>
#include <rte_ethdev.h>
#include <rte_lcore.h>
#include <rte_log.h>
#include <semaphore.h>
#include <stdio.h>
#include <string.h>

#include "lib/error.h"

#define RING_SIZE 256u
#define LINK_POLL_MS 10u

static bool
refuse(const struct bond_pmd *b, int rc, const char *what, struct weft_error *err)
{
	/* -1: no cause given. */
	return weft_error_set(err, WEFT_ERR_SYSTEM, rc == -1 ? EIO : -rc,
		"cannot %s %s: %s; DPDK was built for %d devices, a bond takes two and one for each member",
		what, b->name, rc == -1 ? "net_bonding refuses" : rte_strerror(-rc),
		RTE_MAX_ETHPORTS);
}

static int
configure(struct bond_pmd *b, const uint8_t mac[6], struct rte_mempool *pool)
{
	struct rte_eth_conf conf = {0};
	struct rte_ether_addr address;
	int rc;

	memcpy(&address, mac, sizeof address);
	rc = rte_eth_bond_mac_address_set(b->id, &address);
	rc = rc ? rc : rte_eth_bond_link_monitoring_set(b->id, LINK_POLL_MS);
	rc = rc ? rc : rte_eth_dev_configure(b->id, 1, 1, &conf);
	rc = rc ? rc : rte_eth_rx_queue_setup(b->id, 0, RING_SIZE, 0, NULL, pool);
	rc = rc ? rc : rte_eth_tx_queue_setup(b->id, 0, RING_SIZE, 0, NULL);
	return rc;
}

/* Starts it with a member that is there only for that. */
static int
start(struct bond_pmd *b, const uint8_t mac[6], struct rte_mempool *pool)
{
	char name[BOND_PMD_NAME_SIZE + 16];
	uint16_t id;
	int rc;

	snprintf(name, sizeof name, "net_null_%s", b->name);
	rc = rte_vdev_init(name, "no-rx=1");
	if (rc) {
		return rc;
	}
	rc = rte_eth_dev_get_port_by_name(name, &id);
	rc = rc ? rc : rte_eth_bond_slave_add(b->id, id);
	if (!rc) {
		rc = configure(b, mac, pool);
		rc = rc ? rc : rte_eth_dev_start(b->id);
		b->is_started = !rc;
		(void)rte_eth_dev_stop(id);
		(void)rte_eth_bond_slave_remove(b->id, id);
	}
	(void)rte_vdev_uninit(name);
	return rc;
}

bool
bond_pmd_open(struct bond_pmd *b, unsigned number, uint8_t mode, const uint8_t mac[6],
	struct rte_mempool *pool, struct weft_error *err)
{
	int rc;

	/* It complains of each address that a member does not take. */
	rte_log_set_level_pattern("pmd.net.bonding", RTE_LOG_CRIT);
	snprintf(b->name, sizeof b->name, "net_bonding_weft%u", number);
	rc = rte_eth_bond_create(
		b->name, mode, (uint8_t)rte_lcore_to_socket_id(rte_get_main_lcore()));
	if (rc < 0) {
		refuse(b, rc, "make", err);
		b->name[0] = '\0';
		return false;
	}
	b->id = (uint16_t)rc;
	rc = start(b, mac, pool);
	/* Members are asked for everything; so is the bond, which else takes no stranger's frames. */
	rc = rc ? rc : rte_eth_promiscuous_enable(b->id);
	if (!rc) {
		return true;
	}
	refuse(b, rc, "start", err);
	bond_pmd_close(b);
	return false;
}

static void
post(void *done)
{
	sem_post(done);
}

/* It stands in the list of alarms and cannot be taken from there: a later one comes after it, in the
 * same thread. */
void
bond_pmd_wait_for_links(void)
{
	sem_t done;

	sem_init(&done, 0, 0);
	if (!rte_eal_alarm_set((LINK_POLL_MS + 1) * 1000, post, &done)) {
		while (sem_wait(&done)) {
		}
	}
	sem_destroy(&done);
}

void
bond_pmd_close(struct bond_pmd *b)
{
	if (!b->name[0]) {
		return;
	}
	if (b->is_started) {
		(void)rte_eth_dev_stop(b->id);
		bond_pmd_wait_for_links();
	}
	(void)rte_eth_dev_close(b->id);
	(void)rte_eth_bond_free(b->name);
	b->name[0] = '\0';
	b->is_started = false;
}
