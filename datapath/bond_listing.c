/* SPDX-License-Identifier: Apache-2.0
 *
 * Bonds: their state, for the liveness word and for people.
 */
#include <rte_byteorder.h>
#include <rte_eth_bond_8023ad.h>
#include <stdio.h>
#include <string.h>

#include "datapath/bond_internal.h"
#include "lib/compiler.h"
#include "lib/eth_addr.h"

const char *const bond_mode_names[BOND_N_MODES] = {
	[BONDING_MODE_ACTIVE_BACKUP] = "active-backup",
	[BONDING_MODE_BALANCE] = "balance",
	[BONDING_MODE_8023AD] = "802.3ad",
};

bool
bond_is_distributing(const struct port_dev *dev, const struct bond_member *m)
{
	struct rte_eth_bond_8023ad_slave_info info;

	return atomic_load(&m->is_up) &&
	       (dev->mode != BONDING_MODE_8023AD ||
		       (!rte_eth_bond_8023ad_slave_info(dev->pmd.id, m->id, &info) &&
			       info.actor_state & STATE_DISTRIBUTING));
}

bool
bond_is_live(const struct port_dev *dev)
{
	for (unsigned i = 0; i < dev->present.n; i++) {
		if (bond_is_distributing(dev, dev->present.list[i])) {
			return true;
		}
	}
	return false;
}

void
bond_status(struct port_dev *dev, struct port_status *status)
{
	unsigned n_up = 0;

	*status = (struct port_status){.link_up = bond_is_live(dev), .n_rxq = 1, .n_txq = 1};
	memcpy(status->mac, dev->mac, sizeof status->mac);
	for (unsigned i = 0; i < dev->present.n; i++) {
		const struct bond_member *m = dev->present.list[i];
		struct port_status s = {0};

		m->port->provider->status(m->port->dev, &s);
		n_up += atomic_load(&m->is_up);
		if (s.mtu && (!status->mtu || s.mtu < status->mtu)) {
			status->mtu = s.mtu;
		}
		if (s.max_len && (!status->max_len || s.max_len < status->max_len)) {
			status->max_len = s.max_len;
		}
		if (bond_is_distributing(dev, m)) {
			status->speed_mbps = dev->mode == BONDING_MODE_ACTIVE_BACKUP
						     ? WEFT_MAX(status->speed_mbps, s.speed_mbps)
						     : status->speed_mbps + s.speed_mbps;
		}
	}
	snprintf(status->peer, sizeof status->peer, "%s, %u of %u members up",
		bond_mode_names[dev->mode], n_up, dev->members.n);
}

/* The states of 802.1AX section 6.4.2.3, in words. */
static json_t *
lacp_words(uint8_t state)
{
	static const struct {
		uint8_t bit;
		const char *word;
	} words[] = {
		{STATE_LACP_ACTIVE, "active"},
		{STATE_LACP_SHORT_TIMEOUT, "short-timeout"},
		{STATE_AGGREGATION, "aggregation"},
		{STATE_SYNCHRONIZATION, "synchronization"},
		{STATE_COLLECTING, "collecting"},
		{STATE_DISTRIBUTING, "distributing"},
		{STATE_DEFAULTED, "defaulted"},
		{STATE_EXPIRED, "expired"},
	};
	json_t *list = json_array();

	for (unsigned i = 0; i < WEFT_ARRAY_SIZE(words); i++) {
		if (state & words[i].bit) {
			json_array_append_new(list, json_string(words[i].word));
		}
	}
	return list;
}

static json_t *
lacp_party(const struct port_params *p, uint8_t state)
{
	char system[ETH_ADDR_TEXT_SIZE];

	return json_pack("{s:s, s:i, s:i, s:o}", "system",
		eth_addr_text(p->system.addr_bytes, system), "key", rte_be_to_cpu_16(p->key),
		"port", rte_be_to_cpu_16(p->port_number), "state", lacp_words(state));
}

static const char *
aggregator_name(const struct port_dev *dev, uint16_t id)
{
	for (unsigned i = 0; i < dev->present.n; i++) {
		if (dev->present.list[i]->id == id) {
			return dev->present.list[i]->name;
		}
	}
	return "";
}

/* Whether the member is up by what net_bonding has noticed. */
static bool
is_taken_up(const struct port_dev *dev, const struct bond_member *m)
{
	uint16_t active[RTE_MAX_ETHPORTS];
	int n = rte_eth_bond_active_slaves_get(dev->pmd.id, active, RTE_MAX_ETHPORTS);

	for (int i = 0; i < n; i++) {
		if (active[i] == m->id) {
			return true;
		}
	}
	return false;
}

static const char *
member_state(const struct port_dev *dev, const struct bond_member *m)
{
	if (!m->port) {
		return "absent";
	}
	if (!is_taken_up(dev, m)) {
		return "down";
	}
	switch (dev->mode) {
	case BONDING_MODE_ACTIVE_BACKUP:
		return rte_eth_bond_primary_get(dev->pmd.id) == m->id ? "active" : "backup";
	case BONDING_MODE_8023AD:
		return bond_is_distributing(dev, m) ? "active" : "negotiating";
	default:
		return "active";
	}
}

static void
set_counter(json_t *object, const char *key, const _Atomic uint64_t *counter)
{
	json_object_set_new(object, key,
		json_integer((json_int_t)atomic_load_explicit(counter, memory_order_relaxed)));
}

static json_t *
member_json(const struct port_dev *dev, const struct bond_member *m)
{
	struct rte_eth_bond_8023ad_slave_info info;
	json_t *o = json_pack("{s:s, s:s, s:s}", "name", m->name, "link",
		atomic_load(&m->is_up) ? "up" : "down", "state", member_state(dev, m));

	set_counter(o, "rx_packets", &m->rx_packets);
	set_counter(o, "rx_bytes", &m->rx_bytes);
	set_counter(o, "tx_packets", &m->tx_packets);
	set_counter(o, "tx_bytes", &m->tx_bytes);
	if (dev->mode == BONDING_MODE_8023AD) {
		set_counter(o, "rx_lacp", &m->rx_slow);
		set_counter(o, "tx_lacp", &m->tx_slow);
		if (m->port && !rte_eth_bond_8023ad_slave_info(dev->pmd.id, m->id, &info)) {
			json_object_set_new(o, "aggregator",
				json_string(aggregator_name(dev, info.agg_port_id)));
			json_object_set_new(o, "actor", lacp_party(&info.actor, info.actor_state));
			json_object_set_new(
				o, "partner", lacp_party(&info.partner, info.partner_state));
		}
	}
	return o;
}

json_t *
bond_details(struct port_dev *dev)
{
	json_t *members = json_array(), *active = json_array();

	for (unsigned i = 0; i < dev->members.n; i++) {
		const struct bond_member *m = dev->members.list[i];

		json_array_append_new(members, member_json(dev, m));
		if (!strcmp(member_state(dev, m), "active")) {
			json_array_append_new(active, json_string(m->name));
		}
	}
	return json_pack("{s:s, s:o, s:o}", "mode", bond_mode_names[dev->mode], "active", active,
		"members", members);
}
