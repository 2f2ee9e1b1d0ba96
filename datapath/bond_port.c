/* SPDX-License-Identifier: Apache-2.0
 *
 * Port type bond: several ports as one, by DPDK's net_bonding.
 *
 * Members: named ports, which from then on are the bond's alone (port_join()). One that is not there
 *          when the bond is made, or is removed, is taken as soon as it is made (anew); so nobody
 *          must make ports in an order.
 * Time:    net_bonding's LACP wants rx and tx to be called every 100 ms: a timer wakes the worker that
 *          polls the bond. Its look at the links comes every 10 ms, in DPDK's interrupt thread.
 */
#include "datapath/bond_port.h"

#include <errno.h>
#include <rte_cycles.h>
#include <rte_ethdev.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/timerfd.h>
#include <unistd.h>

#include "datapath/bond_internal.h"
#include "datapath/liveness.h"
#include "datapath/providers.h"
#include "datapath/worker.h"
#include "lib/alloc.h"
#include "lib/error.h"
#include "lib/list.h"
#include "lib/log.h"
#include "lib/strbuf.h"

WEFT_LOG_MODULE(bond);

#define SLOW_TIMER_MS 50u /* half of what net_bonding asks for */

static struct list bonds = {&bonds, &bonds}; /* ports thread */

/* --- names of members --------------------------------------------------------------------------------------- */

static struct bond_member *
find_member(const struct member_list *list, const char *name)
{
	for (unsigned i = 0; i < list->n; i++) {
		if (!strcmp(list->list[i]->name, name)) {
			return list->list[i];
		}
	}
	return NULL;
}

static struct port *
find_port(const char *name)
{
	for (uint32_t n = 0; n <= DP_PORT_MAX; n++) {
		struct port *port = port_find(n);

		if (port && !strcmp(port->name, name)) {
			return port;
		}
	}
	return NULL;
}

/* Whether @port could be a member of @bond. */
static bool
check_port(const struct port *port, const struct port *bond, struct weft_error *err)
{
	struct strbuf types = STRBUF_INIT;

	if (port->bond && port->bond != bond) {
		return weft_error_set(err, WEFT_ERR_CONFLICT, EBUSY,
			"port %s is a member of bond %s already", port->name, port->bond->name);
	}
	if (port->provider->can_join) {
		return true;
	}
	provider_list_joining(&types);
	weft_error_set(err, WEFT_ERR_INVALID, EINVAL,
		"port %s is of type %s, which cannot be a bond's member; these can: %s", port->name,
		port->provider->type, strbuf_text(&types));
	strbuf_uninit(&types);
	return false;
}

static void
free_names(struct member_list *list)
{
	for (unsigned i = 0; i < list->n; i++) {
		free(list->list[i]);
	}
	list->n = 0;
}

/* Takes "A,B": new members without ports. */
static bool
take_names(struct port_dev *dev, const char *text, struct member_list *list, struct weft_error *err)
{
	const char *at = text;

	list->n = 0;
	while (true) {
		size_t len = strcspn(at, ",");
		struct bond_member *m;

		if (!len || len >= PORT_NAME_SIZE) {
			weft_error_set(err, WEFT_ERR_INVALID, EINVAL,
				"members=%s: must be names of ports, like A,B", text);
			goto refuse;
		}
		if (list->n == BOND_MAX_MEMBERS) {
			weft_error_set(err, WEFT_ERR_INVALID, ERANGE,
				"members=%s: a bond has at most %u members", text,
				BOND_MAX_MEMBERS);
			goto refuse;
		}
		m = xcalloc(1, sizeof *m);
		memcpy(m->name, at, len);
		if (find_member(list, m->name) || !strcmp(m->name, dev->port->name)) {
			weft_error_set(err, WEFT_ERR_INVALID, EINVAL, "members=%s: port %s %s",
				text, m->name,
				strcmp(m->name, dev->port->name) ? "stands there twice"
								 : "is the bond itself");
			free(m);
			goto refuse;
		}
		list->list[list->n++] = m;
		if (!at[len]) {
			return true;
		}
		at += len + 1;
	}
refuse:
	free_names(list);
	return false;
}

/* --- joining and leaving ------------------------------------------------------------------------------------ */

/* The link has changed, or how much of it is usable. Any thread; the lock is held. */
static void
tell_state(struct port_dev *dev)
{
	atomic_store(&dev->port->link_up, bond_is_live(dev));
	port_core_event(dev->port, PORT_EVENT_STATUS);
}

/* A member's event, in the thread that posts it. */
static void
on_member_event(void *user)
{
	struct bond_member *m = user;
	struct port_dev *dev = m->bond->dev;

	pthread_mutex_lock(&dev->lock);
	bond_member_tell_link(m);
	tell_state(dev);
	pthread_mutex_unlock(&dev->lock);
}

/* Workers leave the bond alone from here on. */
static void
pause_workers(struct port_dev *dev)
{
	atomic_store(&dev->is_paused, true);
	port_core_synchronize();
}

static void
resume_workers(struct port_dev *dev)
{
	atomic_store(&dev->is_paused, false);
	for (unsigned i = 0; i < workers.n; i++) {
		worker_kick(workers.list[i]);
	}
}

static void
set_primary(struct port_dev *dev)
{
	const struct bond_member *m = find_member(&dev->present, dev->primary);

	if (m) {
		(void)rte_eth_bond_primary_set(dev->pmd.id, m->id);
	}
}

static bool
join(struct port_dev *dev, struct bond_member *m, struct port *port, struct weft_error *err)
	WEFT_REQUIRES(weft_ports)
{
	bool is_lacp = dev->mode == BONDING_MODE_8023AD;
	int rc;

	if (!check_port(port, dev->port, err) ||
		!bond_member_open(m, port, dev->port, dev->pool, is_lacp, dev->mac, err)) {
		return false;
	}
	port_join(port, dev->port);
	pause_workers(dev);
	pthread_mutex_lock(&dev->lock);
	rc = rte_eth_bond_slave_add(dev->pmd.id, m->id);
	if (!rc) {
		dev->present.list[dev->present.n++] = m;
		bond_member_tell_link(m);
		set_primary(dev);
	}
	pthread_mutex_unlock(&dev->lock);
	resume_workers(dev);
	if (rc) {
		bond_member_close(m);
		port_leave(port);
		return weft_error_set(err, WEFT_ERR_SYSTEM, EIO,
			"net_bonding refuses port %s as a member", port->name);
	}
	port_observe(port, on_member_event, m);
	on_member_event(m); /* what came in between */
	return true;
}

static void
forget_descriptors(struct port_dev *dev, struct bond_member *m)
{
	for (unsigned q = 0; q < PORT_MAX_QUEUES; q++) {
		if (m->fds[q] >= 0) {
			(void)epoll_ctl(dev->epoll_fd, EPOLL_CTL_DEL, m->fds[q], NULL);
			m->fds[q] = -1;
		}
	}
}

static void
leave(struct port_dev *dev, struct bond_member *m) WEFT_REQUIRES(weft_ports)
{
	struct port *port = m->port;

	port_observe(port, NULL, NULL);
	pause_workers(dev);
	pthread_mutex_lock(&dev->lock);
	(void)rte_eth_dev_stop(m->id);
	(void)rte_eth_bond_slave_remove(dev->pmd.id, m->id);
	for (unsigned i = 0; i < dev->present.n; i++) {
		if (dev->present.list[i] == m) {
			dev->present.list[i] = dev->present.list[--dev->present.n];
		}
	}
	forget_descriptors(dev, m);
	bond_member_close(m);
	tell_state(dev);
	pthread_mutex_unlock(&dev->lock);
	resume_workers(dev);
	port_leave(port);
}

void
bond_port_added(struct port *port)
{
	struct weft_error err = WEFT_ERROR_INIT;
	struct port_dev *dev;

	LIST_FOREACH (dev, link, &bonds) {
		struct bond_member *m = find_member(&dev->members, port->name);

		if (m && !m->port && !join(dev, m, port, &err)) {
			LOG_WARN("bond %s: %s", dev->port->name, err.text);
		}
	}
}

void
bond_port_removed(struct port *port)
{
	if (port->bond) {
		struct port_dev *dev = port->bond->dev;

		leave(dev, find_member(&dev->members, port->name));
	}
}

/* --- open --------------------------------------------------------------------------------------------------- */

static void
live_news(enum liveness_news news, void *user)
{
	struct port_dev *dev = user;

	(void)news;
	pthread_mutex_lock(&dev->lock);
	tell_state(dev);
	pthread_mutex_unlock(&dev->lock);
}

static bool
ask_live(void *user)
{
	struct port_dev *dev = user;
	bool live;

	pthread_mutex_lock(&dev->lock);
	live = bond_is_live(dev);
	pthread_mutex_unlock(&dev->lock);
	return live;
}

/* The address of the first member that has one; LACP knows the system by it. */
static void
choose_mac(struct port_dev *dev)
{
	struct rte_ether_addr random;

	for (unsigned i = 0; i < dev->members.n; i++) {
		struct port *port = find_port(dev->members.list[i]->name);
		struct port_status status = {0};

		if (port) {
			port->provider->status(port->dev, &status);
		}
		memcpy(&random, status.mac, sizeof random);
		if (rte_is_valid_assigned_ether_addr(&random)) {
			memcpy(dev->mac, status.mac, sizeof dev->mac);
			return;
		}
	}
	rte_eth_random_addr(random.addr_bytes);
	memcpy(dev->mac, &random, sizeof dev->mac);
}

static bool
make_descriptors(struct port_dev *dev, struct weft_error *err)
{
	const struct itimerspec often = {
		.it_interval.tv_nsec = SLOW_TIMER_MS * 1000000,
		.it_value.tv_nsec = SLOW_TIMER_MS * 1000000,
	};
	struct epoll_event event = {.events = EPOLLIN};

	dev->epoll_fd = epoll_create1(EPOLL_CLOEXEC);
	if (dev->epoll_fd >= 0 && dev->mode == BONDING_MODE_8023AD) {
		dev->timer_fd = timerfd_create(CLOCK_MONOTONIC, TFD_CLOEXEC | TFD_NONBLOCK);
		if (dev->timer_fd >= 0 && !timerfd_settime(dev->timer_fd, 0, &often, NULL) &&
			!epoll_ctl(dev->epoll_fd, EPOLL_CTL_ADD, dev->timer_fd, &event)) {
			return true;
		}
	} else if (dev->epoll_fd >= 0) {
		return true;
	}
	return weft_error_set(
		err, WEFT_ERR_SYSTEM, errno, "cannot make descriptors: %s", strerror(errno));
}

static uint8_t
mode_of(const char *name)
{
	for (uint8_t i = 0; i < BOND_N_MODES; i++) {
		if (bond_mode_names[i] && !strcmp(bond_mode_names[i], name)) {
			return i;
		}
	}
	return BONDING_MODE_ACTIVE_BACKUP; /* the option's choices were checked */
}

static void
set_balance(struct port_dev *dev, const char *text)
{
	(void)rte_eth_bond_xmit_policy_set(
		dev->pmd.id, !strcmp(text, "l2")    ? BALANCE_XMIT_POLICY_LAYER2
			     : !strcmp(text, "l23") ? BALANCE_XMIT_POLICY_LAYER23
						    : BALANCE_XMIT_POLICY_LAYER34);
}

static bool
check_primary(const char *primary, const struct member_list *members, struct weft_error *err)
{
	return !primary || find_member(members, primary) ||
	       weft_error_set(err, WEFT_ERR_INVALID, EINVAL, "primary=%s is no member", primary);
}

/* Takes the named ports that are there. */
static bool
join_all(struct port_dev *dev, struct member_list *list, struct weft_error *err)
	WEFT_REQUIRES(weft_ports)
{
	for (unsigned i = 0; i < list->n; i++) {
		struct port *port = find_port(list->list[i]->name);

		if (port && !list->list[i]->port && !join(dev, list->list[i], port, err)) {
			return false;
		}
	}
	return true;
}

static void
bond_close(struct port_dev *dev) WEFT_REQUIRES(weft_ports)
{
	list_remove(&dev->link);
	liveness_unwatch(dev->watch);
	for (unsigned i = 0; i < dev->members.n; i++) {
		if (dev->members.list[i]->port) {
			leave(dev, dev->members.list[i]);
		}
	}
	bond_pmd_close(&dev->pmd);
	free_names(&dev->members);
	if (dev->epoll_fd >= 0) {
		close(dev->epoll_fd);
	}
	if (dev->timer_fd >= 0) {
		close(dev->timer_fd);
	}
	pthread_mutex_destroy(&dev->lock);
	free(dev);
}

/* Before any is taken: nothing happens to the others when one of them cannot be. */
static bool
check_ports(const struct port_dev *dev, const struct member_list *list, struct weft_error *err)
{
	for (unsigned i = 0; i < list->n; i++) {
		const struct port *port = find_port(list->list[i]->name);

		if (port && !check_port(port, dev->port, err)) {
			return false;
		}
	}
	return true;
}

static struct port_dev *
bond_open(const struct port_config *config, struct weft_error *err) WEFT_REQUIRES(weft_ports)
{
	const char *members = port_option_find(config->options, config->n_options, "members");
	const char *mode = port_option_find(config->options, config->n_options, "mode");
	const char *balance = port_option_find(config->options, config->n_options, "balance");
	const char *primary = port_option_find(config->options, config->n_options, "primary");
	struct port_dev *dev = xcalloc(1, sizeof *dev);

	dev->port = config->port;
	dev->port->dev = dev; /* the members' events come before this returns */
	dev->pool = config->pool;
	dev->mode = mode ? mode_of(mode) : BONDING_MODE_ACTIVE_BACKUP;
	dev->epoll_fd = dev->timer_fd = -1;
	dev->slow_every = rte_get_tsc_hz() / 100;
	rte_spinlock_init(&dev->tx_lock);
	pthread_mutex_init(&dev->lock, NULL);
	list_push_back(&bonds, &dev->link);
	if (!take_names(dev, members, &dev->members, err) ||
		!check_ports(dev, &dev->members, err) ||
		!check_primary(primary, &dev->members, err)) {
		goto close;
	}
	if (primary) {
		snprintf(dev->primary, sizeof dev->primary, "%s", primary);
	}
	choose_mac(dev);
	if (!make_descriptors(dev, err) ||
		!bond_pmd_open(&dev->pmd, config->number, dev->mode, dev->mac, dev->pool, err)) {
		goto close;
	}
	set_balance(dev, balance ? balance : "l34");
	if (!join_all(dev, &dev->members, err)) {
		goto close;
	}
	bond_pmd_wait_for_links();
	if (dev->mode == BONDING_MODE_8023AD) {
		dev->watch = liveness_watch_poll(ask_live, live_news, dev, err);
		if (!dev->watch) {
			goto close;
		}
	}
	return dev;
close:
	bond_close(dev);
	return NULL;
}

/* --- changes ------------------------------------------------------------------------------------------------ */

/* Members that stay keep their places with net_bonding. */
static bool
set_members(struct port_dev *dev, struct member_list *wanted, struct weft_error *err)
	WEFT_REQUIRES(weft_ports)
{
	struct member_list old = dev->members, fresh = {0};

	for (unsigned i = 0; i < wanted->n; i++) {
		if (!find_member(&old, wanted->list[i]->name)) {
			fresh.list[fresh.n++] = wanted->list[i];
		}
	}
	if (!join_all(dev, &fresh, err)) {
		for (unsigned i = 0; i < fresh.n; i++) {
			if (fresh.list[i]->port) {
				leave(dev, fresh.list[i]);
			}
		}
		return false;
	}
	for (unsigned i = 0; i < old.n; i++) {
		if (old.list[i]->port && !find_member(wanted, old.list[i]->name)) {
			leave(dev, old.list[i]);
		}
	}
	pthread_mutex_lock(&dev->lock);
	for (unsigned i = 0; i < wanted->n; i++) {
		struct bond_member *known = find_member(&old, wanted->list[i]->name), *m;

		/* What is known takes the place of what was parsed, which is freed as an old one. */
		for (unsigned k = 0; known && k < old.n; k++) {
			if (old.list[k] == known) {
				m = wanted->list[i];
				wanted->list[i] = known;
				old.list[k] = m;
				break;
			}
		}
	}
	dev->members = *wanted;
	pthread_mutex_unlock(&dev->lock);
	free_names(&old);
	wanted->n = 0;
	return true;
}

static bool
bond_set(struct port_dev *dev, const struct port_option *options, size_t n, struct weft_error *err)
	WEFT_REQUIRES(weft_ports)
{
	const char *members = port_option_find(options, n, "members");
	const char *primary = port_option_find(options, n, "primary");
	const char *balance = port_option_find(options, n, "balance");
	const char *preferred = primary ? primary : dev->primary[0] ? dev->primary : NULL;
	struct member_list wanted = {0};
	bool ok;

	if (members && (!take_names(dev, members, &wanted, err))) {
		return false;
	}
	ok = check_ports(dev, &wanted, err) &&
	     check_primary(preferred, members ? &wanted : &dev->members, err) &&
	     (!members || set_members(dev, &wanted, err));
	free_names(&wanted);
	if (ok && primary) {
		snprintf(dev->primary, sizeof dev->primary, "%s", primary);
		set_primary(dev);
	}
	if (ok && balance) {
		set_balance(dev, balance);
	}
	return ok;
}

/* --- the type --------------------------------------------------------------------------------------------- */

static const struct port_option_spec bond_options[] = {
	{"members", PORT_OPT_TEXT, 0, 0, NULL, true, true, "ports of the switch, A[,B..]"},
	{"mode", PORT_OPT_CHOICE, 0, 0, "active-backup,balance,802.3ad", false, false,
		"how they share (active-backup)"},
	{"balance", PORT_OPT_CHOICE, 0, 0, "l2,l23,l34", false, true,
		"headers that choose the member (l34)"},
	{"primary", PORT_OPT_TEXT, 0, 0, NULL, false, true,
		"member that is active whenever it is up"},
	{NULL, PORT_OPT_TEXT, 0, 0, NULL, false, false, NULL},
};

const struct port_provider bond_provider = {
	.type = "bond",
	.help = "several ports as one",
	.options = bond_options,
	.open = bond_open,
	.close = bond_close,
	.set = bond_set,
	.status = bond_status,
	.details = bond_details,
	.rx = bond_rx,
	.tx = bond_tx,
	.rx_sleep = bond_rx_sleep,
	.rx_woken = bond_rx_woken,
};
